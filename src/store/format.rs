//! The store's tables, by version of the format: making them, recognising them, bringing those of an earlier version up to date.
//!
//! Format 2 knows of each answer which unit it is about, and a checksum of its body; what its request was made of says more. Format 3
//! knows by which lane an answer came, and has the journal of batch jobs. Format 4 knows to whom single units of a test split were shown. A
//! file of an earlier format gets the new columns and tables in place; what nobody wrote down then stays null. Keys are the same in all.

use super::StoreError;
use super::file::BUSY_TIMEOUT;
use rusqlite::{Connection, Transaction, TransactionBehavior};
use std::path::Path;

/// "intr": tells our files from other databases.
const APPLICATION_ID: i64 = 0x696e_7472;

/// The format that this version writes.
pub(super) const VERSION: i64 = 4;

const SCHEMA: &str = "
CREATE TABLE response (
    id         INTEGER PRIMARY KEY,
    key        TEXT NOT NULL UNIQUE,
    provider   TEXT NOT NULL,
    model      TEXT NOT NULL,
    endpoint   TEXT NOT NULL,
    task       TEXT,
    unit       TEXT,
    run        TEXT NOT NULL,
    request    TEXT NOT NULL,
    body       TEXT NOT NULL,
    checksum   INTEGER,
    status     INTEGER NOT NULL,
    usage      TEXT,
    created_at TEXT NOT NULL,
    attempts   INTEGER NOT NULL,
    latency_ms INTEGER NOT NULL,
    lane       TEXT
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
    items     INTEGER NOT NULL,
    shown_to  TEXT
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

/// What is on its way to a batch lane, written down before it is sent. A request is in one job at most, and leaves the journal when its answer
/// comes.
const JOURNAL: &str = "
CREATE TABLE job (
    id         TEXT PRIMARY KEY,
    way        TEXT NOT NULL,
    provider   TEXT NOT NULL,
    endpoint   TEXT NOT NULL,
    model      TEXT NOT NULL,
    runs       TEXT NOT NULL,
    state      TEXT NOT NULL,
    place      TEXT,
    input_file TEXT,
    remote     TEXT,
    progress   TEXT,
    message    TEXT,
    requests   INTEGER NOT NULL,
    answered   INTEGER NOT NULL,
    failed     INTEGER NOT NULL,
    bytes      INTEGER NOT NULL,
    created_at TEXT NOT NULL,
    sent_at    TEXT,
    closed_at  TEXT
) STRICT;
CREATE TABLE job_request (
    id      INTEGER PRIMARY KEY,
    job     TEXT NOT NULL REFERENCES job (id),
    key     TEXT NOT NULL UNIQUE,
    task    TEXT,
    unit    TEXT,
    run     TEXT NOT NULL,
    request TEXT NOT NULL,
    state   TEXT NOT NULL,
    detail  TEXT
) STRICT;
CREATE INDEX job_request_job ON job_request (job, state);
";

/// From format 3.
const FROM_3: &str = "ALTER TABLE evaluation ADD COLUMN shown_to TEXT;";

/// From format 2.
const FROM_2: &str = "ALTER TABLE response ADD COLUMN lane TEXT;";

/// From format 1. A superseded answer was named by its row's number, which means another one in another store; now by its time.
const FROM_1: &str = "
ALTER TABLE response ADD COLUMN unit TEXT;
ALTER TABLE response ADD COLUMN checksum INTEGER;
UPDATE OR REPLACE response SET key = substr(key, 1, 64) || '#' || created_at WHERE length(key) > 64;
";

/// What a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    /// New: it has no tables yet.
    Fresh,
    /// A store of this version.
    Version(i64),
}

/// What the file is; an error where it is not ours or of a later format. `attached` is the name of an attached file that is meant.
pub(super) fn recognise(path: &Path, connection: &Connection, attached: Option<&str>) -> Result<Format, StoreError> {
    let read = || -> rusqlite::Result<(i64, i64, i64)> {
        let application = connection.pragma_query_value(attached, "application_id", |row| row.get(0))?;
        let version = connection.pragma_query_value(attached, "user_version", |row| row.get(0))?;
        let tables = format!("SELECT count(*) FROM {}.sqlite_schema", attached.unwrap_or("main"));
        let tables = connection.query_row(&tables, [], |row| row.get(0))?;
        Ok((application, version, tables))
    };
    match read().map_err(|error| StoreError::of("open", path, BUSY_TIMEOUT, error))? {
        (0, 0, 0) => Ok(Format::Fresh),
        (APPLICATION_ID, version @ 1..=VERSION, _) => Ok(Format::Version(version)),
        (APPLICATION_ID, found, _) if found > VERSION => {
            Err(StoreError::Newer { path: path.to_owned(), found, known: VERSION })
        }
        _ => Err(StoreError::Foreign { path: path.to_owned() }),
    }
}

/// Makes the tables, or brings them up to date: all of it or nothing.
pub(super) fn prepare(path: &Path, connection: &mut Connection) -> Result<(), StoreError> {
    let fail = |error| StoreError::of("prepare", path, BUSY_TIMEOUT, error);
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(fail)?;
    // Another process may have done it while we waited for the lock.
    let statements: &[&str] = match recognise(path, &transaction, None)? {
        Format::Fresh => &[SCHEMA, JOURNAL],
        Format::Version(1) => &[FROM_1, FROM_2, JOURNAL, FROM_3],
        Format::Version(2) => &[FROM_2, JOURNAL, FROM_3],
        Format::Version(3) => &[FROM_3],
        Format::Version(_) => return Ok(()),
    };
    let change = |transaction: &Transaction<'_>| {
        statements.iter().try_for_each(|statements| transaction.execute_batch(statements))?;
        transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
        transaction.pragma_update(None, "user_version", VERSION)
    };
    change(&transaction).and_then(|()| transaction.commit()).map_err(fail)
}
