//! Takes OpenCode's SQLite database; gives the sessions in it and, one at a time, their transcripts. It is never written to.

use super::Thread;
use super::record::{Facts, Info, Part};
use super::transcript::{Message, Transcript};
use crate::session::document;
use crate::session::{ReadError, ReadReport};
use rusqlite::types::ValueRef;
use rusqlite::{Connection, ErrorCode, OpenFlags, Row, params};
use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// How a SQLite file begins.
const MAGIC: &[u8] = b"SQLite format 3\0";

/// Whether a file that begins with `head` is a SQLite database.
pub(super) fn is_database(head: &[u8]) -> bool {
    head.starts_with(MAGIC)
}

/// The sessions in the database at `path`; none if it is not OpenCode's.
///
/// # Errors
/// A database that is damaged, or held by somebody else.
pub(super) fn threads(path: &Path) -> rusqlite::Result<Option<Vec<Thread>>> {
    let database = open(path)?;
    database.query_row("SELECT count(*) FROM sqlite_master", [], |_| Ok(()))?;
    let has = |table: &str, columns: &[&str]| columns.iter().all(|column| has_column(&database, table, column));
    if !has("session", &["id"]) || !has("message", &["session_id", "data"]) || !has("part", &["message_id", "data"]) {
        return Ok(None);
    }
    let parent = if has("session", &["parent_id"]) { "parent_id" } else { "NULL" };
    let mut statement = database.prepare(&format!("SELECT id, {parent} FROM session ORDER BY id"))?;
    let rows = statement.query_map([], |row| Ok((text(row, 0)?, text(row, 1)?)))?;
    let rows = rows.collect::<Result<Vec<_>, _>>()?;
    Ok(Some(rows.into_iter().filter_map(|(id, parent)| Some(Thread { id: id?, parent })).collect()))
}

/// The transcripts of the session `id` and, without their parts, of the sessions that its agent started.
pub(super) fn transcripts(id: &str, path: &Path) -> Result<Vec<Transcript>, ReadError> {
    let read = || -> rusqlite::Result<Vec<Transcript>> {
        let database = open(path)?;
        let mut transcripts = Vec::new();
        for session in with_subagents(&database, id)? {
            transcripts.push(transcript(&database, &session, path, session == id)?);
        }
        Ok(transcripts)
    };
    read().map_err(|source| ReadError::Database { path: path.to_owned(), source })
}

/// Opens a database for reading. Without a log beside it nobody writes to it, and SQLite need not look for one; with a log the
/// newest rows are only there.
fn open(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    let has_log = std::fs::metadata(PathBuf::from(log)).is_ok_and(|log| log.len() > 0);
    let immutable = || {
        let name = path.to_str()?.replace('%', "%25").replace('?', "%3f").replace('#', "%23");
        Connection::open_with_flags(format!("file:{name}?immutable=1"), flags | OpenFlags::SQLITE_OPEN_URI).ok()
    };
    let readable = |database: &Connection| database.prepare("SELECT 1 FROM sqlite_master").is_ok();
    if has_log
        && let Ok(database) = Connection::open_with_flags(path, flags)
        && readable(&database)
    {
        return Ok(database);
    }
    // A folder that cannot be written to has no place for the index of a log; what is in the database is better than nothing.
    immutable().map_or_else(|| Connection::open_with_flags(path, flags), Ok)
}

fn has_column(database: &Connection, table: &str, column: &str) -> bool {
    let query = "SELECT count(*) FROM pragma_table_info(?1) WHERE name = ?2";
    database.query_row(query, params![table, column], |row| row.get::<_, i64>(0)).is_ok_and(|count| count > 0)
}

/// A session and all that were started from it.
fn with_subagents(database: &Connection, id: &str) -> rusqlite::Result<Vec<String>> {
    if !has_column(database, "session", "parent_id") {
        return Ok(vec![id.to_owned()]);
    }
    let query = "WITH RECURSIVE below(id) AS (SELECT ?1 UNION SELECT session.id FROM session JOIN below ON session.parent_id = below.id)
                 SELECT id FROM below";
    let below = database.prepare(query)?.query_map([id], |row| text(row, 0))?.collect::<Result<Vec<_>, _>>()?;
    Ok(below.into_iter().flatten().collect())
}

fn transcript(database: &Connection, id: &str, path: &Path, with_parts: bool) -> rusqlite::Result<Transcript> {
    let mut transcript = Transcript { path: path.to_owned(), id: id.to_owned(), ..Transcript::default() };
    let column = |name| if has_column(database, "session", name) { name } else { "NULL" };
    let query = format!(
        "SELECT {}, {}, {} FROM session WHERE id = ?1",
        column("parent_id"),
        column("time_created"),
        column("revert")
    );
    let facts = database.query_row(&query, [id], |row| {
        let created = text(row, 1)?.and_then(|created| created.parse().ok());
        Ok(Facts::from_columns(id, text(row, 0)?, created, text(row, 2)?))
    });
    match facts {
        Ok(facts) => transcript.facts = facts,
        Err(rusqlite::Error::QueryReturnedNoRows) => return Ok(transcript),
        Err(error) => return Err(error),
    }
    let order = if has_column(database, "message", "time_created") { "time_created, id" } else { "id" };
    let query = format!("SELECT id, CAST(data AS TEXT) FROM message WHERE session_id = ?1 ORDER BY {order}");
    let mut places = HashMap::new();
    transcript.report.bad += each_row(database, &query, id, &mut |row| {
        let Some((id, data)) = text(row, 0)?.zip(json(row, 1, &mut transcript.report)?) else {
            transcript.report.bad += 1;
            return Ok(());
        };
        if let Some(info) = document::parse_counted::<Info>(&data, &mut transcript.report) {
            places.insert(id.clone(), transcript.messages.len());
            transcript.messages.push(Message { id, info, parts: Vec::new() });
        }
        Ok(())
    })?;
    if with_parts {
        let query = "SELECT message_id, CAST(data AS TEXT), id FROM part WHERE message_id IN
                     (SELECT id FROM message WHERE session_id = ?1) ORDER BY id";
        transcript.report.bad += each_row(database, query, id, &mut |row| {
            let place = text(row, 0)?.and_then(|message| places.get(&message).copied());
            let Some((place, data)) = place.zip(json(row, 1, &mut transcript.report)?) else {
                transcript.report.bad += 1;
                return Ok(());
            };
            if let Some(part) = document::parse_counted::<Part>(&data, &mut transcript.report) {
                let id = text(row, 2)?.unwrap_or_default();
                transcript.messages[place].parts.push(part.with_id(id));
            }
            Ok(())
        })?;
    }
    transcript.count();
    Ok(transcript)
}

/// Calls `each` with every row that belongs to `id`; gives how often damage of the file made an end of that before the last row.
fn each_row(
    database: &Connection,
    query: &str,
    id: &str,
    each: &mut dyn FnMut(&Row<'_>) -> rusqlite::Result<()>,
) -> rusqlite::Result<u64> {
    let mut statement = database.prepare(query)?;
    let mut rows = statement.query([id])?;
    loop {
        match rows.next() {
            Ok(Some(row)) => each(row)?,
            Ok(None) => return Ok(0),
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::DatabaseCorrupt) => return Ok(1),
            Err(error) => return Err(error),
        }
    }
}

/// A column with JSON, as text; counts what had to be repaired.
fn json(row: &Row<'_>, column: usize, report: &mut ReadReport) -> rusqlite::Result<Option<String>> {
    let bytes = row.get_ref(column)?.as_bytes().unwrap_or_default();
    report.repaired += u64::from(std::str::from_utf8(bytes).is_err());
    text(row, column)
}

/// A column as text, whatever its type, with broken characters replaced; none where it is null.
fn text(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<String>> {
    Ok(match row.get_ref(column)? {
        ValueRef::Null => None,
        ValueRef::Integer(number) => Some(number.to_string()),
        ValueRef::Real(number) => Some(number.to_string()),
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => Some(String::from_utf8_lossy(bytes).into_owned()),
    })
}
