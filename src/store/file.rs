//! The store's file: opening it, recognising it, and saying what SQLite's errors mean for whoever owns it.

use super::StoreError;
use rusqlite::{Connection, ErrorCode, OpenFlags, Transaction, TransactionBehavior};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long a connection waits for another process.
pub(super) const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// "intr": tells our files from other databases.
const APPLICATION_ID: i64 = 0x696e_7472;

/// The format that this version writes.
const VERSION: i64 = 1;

const SCHEMA: &str = "
CREATE TABLE response (
    id         INTEGER PRIMARY KEY,
    key        TEXT NOT NULL UNIQUE,
    provider   TEXT NOT NULL,
    model      TEXT NOT NULL,
    endpoint   TEXT NOT NULL,
    task       TEXT,
    run        TEXT NOT NULL,
    request    TEXT NOT NULL,
    body       TEXT NOT NULL,
    status     INTEGER NOT NULL,
    usage      TEXT,
    created_at TEXT NOT NULL,
    attempts   INTEGER NOT NULL,
    latency_ms INTEGER NOT NULL
) STRICT;
CREATE TABLE evaluation (
    id        INTEGER PRIMARY KEY,
    rater     TEXT NOT NULL,
    task      TEXT NOT NULL,
    field     TEXT NOT NULL,
    gold_path TEXT NOT NULL,
    gold_hash TEXT NOT NULL,
    split     TEXT NOT NULL,
    at        TEXT NOT NULL,
    metric    TEXT NOT NULL,
    value     REAL,
    items     INTEGER NOT NULL
) STRICT;
CREATE TABLE model_fact (
    id        INTEGER PRIMARY KEY,
    provider  TEXT NOT NULL,
    endpoint  TEXT NOT NULL,
    model     TEXT NOT NULL,
    feature   TEXT NOT NULL,
    learnt_at TEXT NOT NULL,
    message   TEXT NOT NULL,
    UNIQUE (provider, endpoint, model, feature)
) STRICT;
";

/// A connection that writes; the file is recognised, or made, first.
pub(super) fn open(path: &Path) -> Result<Connection, StoreError> {
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        std::fs::create_dir_all(folder)
            .map_err(|source| StoreError::Folder { path: folder.to_owned(), source: Arc::new(source) })?;
    }
    // SQLite does not wait where the change to write-ahead logging meets another process that opens the same new file: so we do.
    let started = Instant::now();
    loop {
        match try_open(path) {
            Err(StoreError::Locked { .. }) if started.elapsed() < BUSY_TIMEOUT => {
                std::thread::sleep(Duration::from_millis(10));
            }
            opened => return opened,
        }
    }
}

/// A connection that only reads, to a file that [`open`] has recognised.
pub(super) fn open_reader(path: &Path) -> Result<Connection, StoreError> {
    connect(path)
        .and_then(|connection| {
            // Not opened read-only: a reader of a write-ahead log may have to repair its index.
            connection.pragma_update(None, "query_only", true)?;
            Ok(connection)
        })
        .map_err(|error| explain("open", path, Arc::new(error)))
}

fn try_open(path: &Path) -> Result<Connection, StoreError> {
    let fail = |error| explain("open", path, Arc::new(error));
    let mut connection = connect(path).map_err(fail)?;
    // Recognised before anything is changed: a database of another program stays as it is. In a transaction, since another process may
    // be making the file between two looks at it.
    let fresh = recognise(path, &connection.transaction().map_err(fail)?)?;
    let journal: String =
        connection.pragma_update_and_check(None, "journal_mode", "wal", |row| row.get(0)).map_err(fail)?;
    if !journal.eq_ignore_ascii_case("wal") {
        return Err(StoreError::NoLog { path: path.to_owned() });
    }
    // An answer costs money: it shall survive a power cut, not only a crash of ours.
    connection.pragma_update(None, "synchronous", "full").map_err(fail)?;
    if fresh {
        create(path, &mut connection)?;
    }
    Ok(connection)
}

fn connect(path: &Path) -> rusqlite::Result<Connection> {
    // Without SQLITE_OPEN_URI: a path that begins with `file:` is a path.
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    Ok(connection)
}

/// Whether the file is new; an error where it is not ours or of an unknown format.
fn recognise(path: &Path, transaction: &Transaction<'_>) -> Result<bool, StoreError> {
    let read = || -> rusqlite::Result<(i64, i64, i64)> {
        let application = transaction.pragma_query_value(None, "application_id", |row| row.get(0))?;
        let version = transaction.pragma_query_value(None, "user_version", |row| row.get(0))?;
        let tables = transaction.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
        Ok((application, version, tables))
    };
    match read().map_err(|error| explain("open", path, Arc::new(error)))? {
        (0, 0, 0) => Ok(true),
        (APPLICATION_ID, VERSION, _) => Ok(false),
        (APPLICATION_ID, found, _) if found > VERSION => {
            Err(StoreError::Newer { path: path.to_owned(), found, known: VERSION })
        }
        _ => Err(StoreError::Foreign { path: path.to_owned() }),
    }
}

fn create(path: &Path, connection: &mut Connection) -> Result<(), StoreError> {
    let fail = |error| explain("create", path, Arc::new(error));
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(fail)?;
    // Another process may have made it while we waited for the lock.
    if recognise(path, &transaction)? {
        transaction.execute_batch(SCHEMA).map_err(fail)?;
        transaction.pragma_update(None, "application_id", APPLICATION_ID).map_err(fail)?;
        transaction.pragma_update(None, "user_version", VERSION).map_err(fail)?;
    }
    transaction.commit().map_err(fail)
}

/// What an error of SQLite means for the owner of the file.
pub(super) fn explain(action: &'static str, path: &Path, source: Arc<rusqlite::Error>) -> StoreError {
    let path = path.to_owned();
    match source.sqlite_error_code() {
        Some(ErrorCode::NotADatabase) => StoreError::NotADatabase { path },
        Some(ErrorCode::DatabaseCorrupt) => StoreError::Damaged { path, source },
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => StoreError::Locked { path },
        Some(ErrorCode::DiskFull) => StoreError::DiskFull { path },
        Some(ErrorCode::ReadOnly) => StoreError::ReadOnly { path },
        _ => StoreError::Sqlite { action, path, source },
    }
}
