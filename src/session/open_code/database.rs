//! Takes OpenCode's SQLite database; gives the sessions in it and, one at a time, their transcripts. It is never written to.

use super::Thread;
use super::record::{Facts, Info, Part};
use super::transcript::{Message, Transcript};
use crate::session::ReadError;
use crate::session::document;
use rusqlite::{Connection, OpenFlags, params};
use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// How a SQLite file begins.
const MAGIC: &[u8] = b"SQLite format 3\0";

/// Whether a file that begins with `head` is a SQLite database.
pub(super) fn is_database(head: &[u8]) -> bool {
    head.starts_with(MAGIC)
}

/// The sessions in the database at `path`; none if it is not OpenCode's.
pub(super) fn threads(path: &Path) -> Option<Vec<Thread>> {
    let database = open(path).ok()?;
    let has = |table: &str, columns: &[&str]| columns.iter().all(|column| has_column(&database, table, column));
    if !has("session", &["id"]) || !has("message", &["session_id", "data"]) || !has("part", &["message_id", "data"]) {
        return None;
    }
    let parent = if has("session", &["parent_id"]) { "parent_id" } else { "NULL" };
    let mut statement = database.prepare(&format!("SELECT id, {parent} FROM session ORDER BY id")).ok()?;
    let rows = statement.query_map([], |row| Ok(Thread { id: row.get(0)?, parent: row.get(1)? })).ok()?;
    rows.collect::<Result<Vec<_>, _>>().ok()
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
    database.prepare(query)?.query_map([id], |row| row.get(0))?.collect()
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
    let facts =
        database.query_row(&query, [id], |row| Ok(Facts::from_columns(id, row.get(0)?, row.get(1)?, row.get(2)?)));
    match facts {
        Ok(facts) => transcript.facts = facts,
        Err(rusqlite::Error::QueryReturnedNoRows) => return Ok(transcript),
        Err(error) => return Err(error),
    }
    let order = if has_column(database, "message", "time_created") { "time_created, id" } else { "id" };
    let query = format!("SELECT id, CAST(data AS TEXT) FROM message WHERE session_id = ?1 ORDER BY {order}");
    let mut places = HashMap::new();
    let mut statement = database.prepare(&query)?;
    let mut rows = statement.query([id])?;
    while let Some(row) = rows.next()? {
        let (id, data): (String, String) = (row.get(0)?, row.get(1)?);
        match document::parse::<Info>(&data) {
            Ok(info) => {
                places.insert(id.clone(), transcript.messages.len());
                transcript.messages.push(Message { id, info, parts: Vec::new() });
            }
            Err(_) => transcript.report.bad += 1,
        }
    }
    if with_parts {
        let query = "SELECT message_id, CAST(data AS TEXT), id FROM part WHERE message_id IN
                     (SELECT id FROM message WHERE session_id = ?1) ORDER BY id";
        let mut statement = database.prepare(query)?;
        let mut rows = statement.query([id])?;
        while let Some(row) = rows.next()? {
            let (message, data): (String, String) = (row.get(0)?, row.get(1)?);
            match (document::parse::<Part>(&data), places.get(&message)) {
                (Ok(part), Some(&at)) => transcript.messages[at].parts.push(part.with_id(row.get(2)?)),
                _ => transcript.report.bad += 1,
            }
        }
    }
    transcript.count();
    Ok(transcript)
}
