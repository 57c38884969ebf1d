//! Why the store could not be opened, read or written. Each message names the file and, where there is one, the way out.

use rusqlite::ErrorCode;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// What went wrong with the store.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// The folder of the store cannot be made.
    #[error("cannot create the folder {}: {source}", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// Why.
        source: Arc<std::io::Error>,
    },
    /// There is no store where one is to be read.
    #[error("there is no store of answers at {}: `interrater annotate` with a model makes one, or name another one in [paths] store", path.display())]
    Missing {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// The file is something else.
    #[error("{} is not a store of answers (not an SQLite database): move it away, or name another file for the store", path.display())]
    NotADatabase {
        /// The file.
        path: PathBuf,
    },
    /// The file is a database of another program.
    #[error("{} is a database, but not a store of answers: name another file for the store", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// The file was written by a later version.
    #[error(
        "{} has format {found}, and this version of interrater knows formats up to {known}: install a newer interrater, or name another file for the store",
        path.display()
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: i64,
        /// The latest format known here.
        known: i64,
    },
    /// The file is damaged.
    #[error(
        "{path} is damaged ({source}): move it away, with {path}-wal if that is there, and `interrater cache merge` what was moved: \
         every answer that can still be read comes into a new store",
        path = path.display()
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What SQLite found.
        source: Arc<rusqlite::Error>,
    },
    /// The file is so damaged that not even its tables can be found.
    #[error(
        "nothing can be read from {path} ({source}): restore it from a backup, or try `sqlite3 {path} .recover | sqlite3 rescued.db`",
        path = path.display()
    )]
    Lost {
        /// The file.
        path: PathBuf,
        /// What SQLite found.
        source: Arc<rusqlite::Error>,
    },
    /// An answer is not what was stored.
    #[error(
        "{path} is damaged (answer {id} is not what was stored): move it away, with {path}-wal if that is there, and \
         `interrater cache merge` what was moved: every answer that is whole comes into a new store",
        path = path.display()
    )]
    Altered {
        /// The file.
        path: PathBuf,
        /// The answer's row.
        id: i64,
    },
    /// Another process holds the file for longer than we wait.
    #[error("{} has been locked by another process for {} seconds: wait for it or end it, then run again", path.display(), waited.as_secs())]
    Locked {
        /// The file.
        path: PathBuf,
        /// How long we have waited.
        waited: Duration,
    },
    /// No room for an answer.
    #[error("no room to write {}: free space on its disk, then run again", path.display())]
    DiskFull {
        /// The file.
        path: PathBuf,
    },
    /// The disk does not take what is written, for another reason than its size: a quota, a limit, a fault.
    #[error(
        "the disk does not take what is written to {} ({source}): it may be full, over a quota, or failing; make room or name another file for the store, then run again",
        path.display()
    )]
    Disk {
        /// The file.
        path: PathBuf,
        /// What SQLite says.
        source: Arc<rusqlite::Error>,
    },
    /// The file or its folder cannot be written.
    #[error("{} cannot be written: give write permission on it and its folder, or name another file for the store", path.display())]
    ReadOnly {
        /// The file.
        path: PathBuf,
    },
    /// The file cannot be opened: permissions, a folder of its name, too long a path.
    #[error(
        "cannot open {} ({source}): it must be a file, and you need permission to read and write it and its folder; or name another file for the store",
        path.display()
    )]
    NoAccess {
        /// The file.
        path: PathBuf,
        /// What SQLite says.
        source: Arc<rusqlite::Error>,
    },
    /// The file system cannot share memory between processes.
    #[error("{} is on a file system without write-ahead logging (a network disk?): keep the store on a local disk", path.display())]
    NoLog {
        /// The file.
        path: PathBuf,
    },
    /// A row that no version of ours can have written.
    #[error("{} holds a {table} row {id} whose {column} is not readable: {reason}", path.display())]
    BadRow {
        /// The file.
        path: PathBuf,
        /// Its table.
        table: &'static str,
        /// The row's number.
        id: i64,
        /// The column.
        column: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// Text that is no request key.
    #[error("`{text}` is not a request key: 64 hexadecimal digits are expected")]
    BadKey {
        /// The text.
        text: String,
    },
    /// The thread that writes has ended.
    #[error("the writer of {} has stopped", path.display())]
    Stopped {
        /// The file.
        path: PathBuf,
    },
    /// Any other failure that SQLite tells of.
    #[error("cannot {action} {}: {source}", path.display())]
    Sqlite {
        /// What was tried: open, read, write.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// SQLite's error.
        source: Arc<rusqlite::Error>,
    },
}

impl StoreError {
    /// What an error of SQLite means for the owner of the file. `waited` is how long a lock was waited for.
    pub(super) fn of(
        action: &'static str,
        path: &Path,
        waited: Duration,
        source: impl Into<Arc<rusqlite::Error>>,
    ) -> StoreError {
        let (path, source) = (path.to_owned(), source.into());
        match source.sqlite_error_code() {
            Some(ErrorCode::NotADatabase) => StoreError::NotADatabase { path },
            Some(ErrorCode::DatabaseCorrupt) => StoreError::Damaged { path, source },
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => StoreError::Locked { path, waited },
            Some(ErrorCode::DiskFull) => StoreError::DiskFull { path },
            Some(ErrorCode::ReadOnly) => StoreError::ReadOnly { path },
            Some(ErrorCode::CannotOpen) => StoreError::NoAccess { path, source },
            Some(ErrorCode::SystemIoFailure) if !is_read_failure(&source) => StoreError::Disk { path, source },
            _ => StoreError::Sqlite { action, path, source },
        }
    }
}

fn is_read_failure(error: &rusqlite::Error) -> bool {
    let code = error.sqlite_error().map(|error| error.extended_code);
    matches!(code, Some(rusqlite::ffi::SQLITE_IOERR_READ | rusqlite::ffi::SQLITE_IOERR_SHORT_READ))
}
