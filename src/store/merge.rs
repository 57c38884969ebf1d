//! Taking over what other stores hold: answers, the ledger, facts about models. From stores of any known format, also damaged ones, and
//! from exported files. Merging the same again changes nothing.
//!
//! Where both have an answer to one request, the one that is here stays in use: runs may have been made with it. The other one was paid
//! for all the same, so it is kept as a superseded answer.

mod lines;
mod salvage;

use super::StoreError;
use super::file::{self, BUSY_TIMEOUT};
use super::format::{self, Format, VERSION};
use super::row::{SUMMED, checksum, ledger_columns};
use jiff::Timestamp;
use rusqlite::functions::FunctionFlags;
use rusqlite::{Connection, OpenFlags, OptionalExtension, Transaction, TransactionBehavior, params};
use serde::Serialize;
use std::ffi::OsString;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// The first bytes of every SQLite database.
const DATABASE: &[u8] = b"SQLite format 3\0";

/// Room for the pages of the store's index while rows come in, in KiB: keys are evenly spread, so that every page is met again and again.
const CACHE_KIB: i64 = 256 * 1024;

/// Why a file cannot be merged.
#[derive(Debug, thiserror::Error)]
pub enum MergeError {
    /// One of the stores failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The file cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A line is no answer.
    #[error("{}:{line}: {reason}; nothing of this file was merged", path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: u64,
        /// What is wrong with it.
        reason: String,
    },
    /// The file is the store itself.
    #[error("{} is the store itself", .0.display())]
    Itself(PathBuf),
}

/// What came of merging a file.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Merged {
    /// Answers that are new here, superseded ones of the other store among them.
    pub added: u64,
    /// Answers that were here already.
    pub known: u64,
    /// Other answers to requests that have one here: kept as superseded ones.
    pub conflicting: u64,
    /// Answers that cannot be read, or are not what was stored: left out.
    pub damaged: u64,
    /// Bytes that the file should have at its end, and has not: nobody knows how many answers stood there.
    pub missing_bytes: u64,
    /// Lines of the ledger that are new here.
    pub evaluations: u64,
    /// Facts about models that are new here, or newer than those that were.
    pub facts: u64,
}

/// Takes over what the file at `from` holds, all of it or, where there is an error, nothing. The store is made where it is missing.
pub fn merge(store: &Path, from: &Path) -> Result<Merged, MergeError> {
    let io = |source| MergeError::Io { path: from.to_owned(), source };
    let real = from.canonicalize().map_err(io)?;
    if store.canonicalize().is_ok_and(|store| store == real) {
        return Err(MergeError::Itself(from.to_owned()));
    }
    let mut head = Vec::new();
    std::fs::File::open(from).and_then(|file| file.take(DATABASE.len() as u64).read_to_end(&mut head)).map_err(io)?;
    if head == DATABASE {
        let missing_bytes = missing_bytes(from).map_err(io)?;
        let merged = match attach(store, from) {
            // What SQLite cannot read as a whole may be read row by row.
            Err(StoreError::Damaged { .. }) => salvage::salvage(&mut open(store)?, store, from)?,
            done => done?,
        };
        return Ok(Merged { missing_bytes, ..merged });
    }
    lines::merge(&mut open(store)?, store, from)
}

/// How many bytes an SQLite file is shorter than its head says: the size of a page at byte 16 (1 stands for 65,536), their number at byte 28,
/// both big-endian. What is still in the log beside it is not counted, nor is anything where there is one.
fn missing_bytes(from: &Path) -> std::io::Result<u64> {
    let mut log = from.as_os_str().to_owned();
    log.push("-wal");
    if std::fs::metadata(&log).is_ok_and(|log| log.len() > 0) {
        return Ok(0);
    }
    let mut head = [0; 32];
    let mut file = std::fs::File::open(from)?;
    let length = file.metadata()?.len();
    if file.read_exact(&mut head).is_err() {
        return Ok(0);
    }
    let page = match u16::from_be_bytes([head[16], head[17]]) {
        1 => 65_536,
        size => u64::from(size),
    };
    let pages = u64::from(u32::from_be_bytes([head[28], head[29], head[30], head[31]]));
    Ok((page * pages).saturating_sub(length))
}

/// A connection that writes much at once.
fn open(store: &Path) -> Result<Connection, StoreError> {
    // Makes the file, or brings it up to date.
    drop(file::open(store)?);
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_URI | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    // With addresses allowed, only an absolute path is surely a path.
    let place = std::path::absolute(store)
        .map_err(|source| StoreError::Folder { path: store.to_owned(), source: source.into() })?;
    let open = || {
        let connection = Connection::open_with_flags(place, flags)?;
        connection.busy_timeout(BUSY_TIMEOUT)?;
        connection.pragma_update(None, "synchronous", "full")?;
        connection.pragma_update(None, "cache_size", -CACHE_KIB)?;
        let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC;
        connection.create_scalar_function("checksum_of", -1, flags, |call| {
            Ok(checksum((0..call.len()).map(|at| call.get_raw(at))))
        })?;
        Ok(connection)
    };
    open().map_err(|error: rusqlite::Error| StoreError::of("open", store, BUSY_TIMEOUT, error))
}

/// Merges another store as a whole, within SQLite: row by row would take many times as long.
fn attach(store: &Path, from: &Path) -> Result<Merged, StoreError> {
    let mut connection = open(store)?;
    let there = |error| StoreError::of("read", from, BUSY_TIMEOUT, error);
    let place = |source| StoreError::Folder { path: from.to_owned(), source };
    let look = |connection: &Connection, address: OsString| -> Result<i64, StoreError> {
        connection.execute("ATTACH ?1 AS other", [address.to_string_lossy()]).map_err(there)?;
        match format::recognise(from, connection, Some("other")) {
            Ok(Format::Version(version)) => Ok(version),
            failed => {
                drop(connection.execute_batch("DETACH other"));
                failed.and(Err(StoreError::Foreign { path: from.to_owned() }))
            }
        }
    };
    let absolute = std::path::absolute(from).map_err(|source| place(source.into()))?;
    let version = match look(&connection, absolute.into()) {
        // Where nothing can be written, the index of the log cannot be made. Without a log nobody is writing either.
        Err(StoreError::NoAccess { .. } | StoreError::ReadOnly { .. } | StoreError::Disk { .. })
            if file::log_bytes(from) == 0 =>
        {
            look(&connection, file::immutable(from).map_err(place)?)?
        }
        looked => looked?,
    };
    let here = |error| of_either(store, from, error);
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(here)?;
    let merged = merge_attached(&transaction, version).map_err(here)?;
    transaction.commit().map_err(here)?;
    Ok(merged)
}

/// An error of a statement on both files: damage is taken to be in the other one, since that is why it is merged; room is lacking here.
fn of_either(store: &Path, from: &Path, error: rusqlite::Error) -> StoreError {
    let told = StoreError::of("read", from, BUSY_TIMEOUT, error);
    match told {
        StoreError::Damaged { .. } | StoreError::NotADatabase { .. } => told,
        StoreError::Sqlite { source, .. } => StoreError::of("merge into", store, BUSY_TIMEOUT, source),
        StoreError::DiskFull { .. } => StoreError::DiskFull { path: store.to_owned() },
        StoreError::Locked { waited, .. } => StoreError::Locked { path: store.to_owned(), waited },
        StoreError::ReadOnly { .. } => StoreError::ReadOnly { path: store.to_owned() },
        StoreError::Disk { source, .. } => StoreError::Disk { path: store.to_owned(), source },
        other => other,
    }
}

fn merge_attached(transaction: &Transaction<'_>, version: i64) -> rusqlite::Result<Merged> {
    let copied = "provider, model, endpoint, task, run, request, body, status, usage, created_at, attempts, latency_ms";
    // Format 1 has no units, no checksums, and the row's number in the key of a superseded answer.
    let summed = match version {
        1 => SUMMED.replace("unit", "NULL").replace("lane", "NULL"),
        2 => SUMMED.replace("lane", "NULL"),
        _ => SUMMED.to_owned(),
    };
    let (sum, lane) = (format!("checksum_of({summed})"), if version < 3 { "NULL" } else { "lane" });
    let (unit, whole, sum, key) = match version {
        1 => (
            "NULL",
            "TRUE".to_owned(),
            sum,
            "CASE WHEN length(key) > 64 THEN substr(key, 1, 64) || '#' || created_at ELSE key END",
        ),
        _ => ("unit", format!("(checksum IS NULL OR checksum = {sum})"), format!("coalesce(checksum, {sum})"), "key"),
    };
    let insert = |key: &str, condition: &str| {
        let statement = format!(
            "INSERT OR IGNORE INTO main.response (key, unit, checksum, lane, {copied})
             SELECT {key}, {unit}, {sum}, {lane}, {copied} FROM other.response AS theirs WHERE {condition} ORDER BY id"
        );
        transaction.execute(&statement, []).map(|rows| rows as u64)
    };
    let count = |condition: &str| {
        let statement = format!("SELECT count(*) FROM other.response WHERE {condition}");
        transaction.query_row(&statement, [], |row| row.get(0)).map(i64::cast_unsigned)
    };
    let (all, damaged) = (count("TRUE")?, count(&format!("NOT {whole}"))?);
    // Sums are made once, unless some are wrong.
    let whole = if damaged == 0 { "TRUE" } else { &whole };
    let ours = "SELECT 1 FROM main.response AS ours WHERE ours.key = substr(theirs.key, 1, 64)";
    let same = "ours.created_at = theirs.created_at AND ours.body = theirs.body";
    // First what is in conflict with answers that are here: afterwards their answers are here, too.
    let conflicting = insert(
        "key || '#' || created_at",
        &format!("{whole} AND length(key) = 64 AND EXISTS ({ours} AND NOT ({same}))"),
    )?;
    let current = insert("key", &format!("{whole} AND length(key) = 64"))?;
    let superseded = insert(key, &format!("{whole} AND length(key) > 64 AND NOT EXISTS ({ours} AND {same})"))?;
    let added = current + superseded;
    Ok(Merged {
        added,
        known: all - damaged - added - conflicting,
        conflicting,
        damaged,
        missing_bytes: 0,
        evaluations: merge_ledger(transaction, version)?,
        facts: merge_facts(transaction)?,
    })
}

/// Two lines of a ledger that are equal in everything, the time included, are one.
fn merge_ledger(transaction: &Transaction<'_>, version: i64) -> rusqlite::Result<u64> {
    let (columns, theirs) = (ledger_columns(VERSION), ledger_columns(version));
    let statement = format!(
        "INSERT INTO main.evaluation ({columns}) SELECT {columns} FROM
         (SELECT {theirs} AS shown_to FROM other.evaluation EXCEPT SELECT {columns} FROM main.evaluation) ORDER BY at, rater, task, field"
    );
    transaction.execute(&statement, []).map(|rows| rows as u64)
}

/// A fact grows old: of two the later one stays.
fn merge_facts(transaction: &Transaction<'_>) -> rusqlite::Result<u64> {
    let mut merged = 0;
    let mut theirs = transaction
        .prepare("SELECT provider, endpoint, model, feature, learnt_at, message FROM other.model_fact ORDER BY id")?;
    let mut rows = theirs.query([])?;
    while let Some(row) = rows.next()? {
        let cells: [String; 6] = [row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?, row.get(5)?];
        merged += u64::from(take_fact(transaction, &cells)?);
    }
    Ok(merged)
}

/// Takes over a fact, given as provider, endpoint, model, feature, time and words. Gives whether it is new, or newer than what was known.
fn take_fact(transaction: &Transaction<'_>, fact: &[String; 6]) -> rusqlite::Result<bool> {
    let [provider, endpoint, model, feature, learnt_at, message] = fact;
    let known: Option<String> = transaction
        .prepare_cached(
            "SELECT learnt_at FROM main.model_fact WHERE provider = ?1 AND endpoint = ?2 AND model = ?3 AND feature = ?4",
        )?
        .query_row([provider, endpoint, model, feature], |row| row.get(0))
        .optional()?;
    let time = |text: &str| text.parse::<Timestamp>().ok();
    if known.is_some_and(|known| time(&known) >= time(learnt_at)) {
        return Ok(false);
    }
    transaction
        .prepare_cached(
            "INSERT INTO main.model_fact (provider, endpoint, model, feature, learnt_at, message) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
             ON CONFLICT DO UPDATE SET learnt_at = excluded.learnt_at, message = excluded.message",
        )?
        .execute(params![provider, endpoint, model, feature, learnt_at, message])?;
    Ok(true)
}
