//! The store's file: opening it to write or only to read, and what it takes on the disk.

use super::StoreError;
use super::format::{self, Format};
use rusqlite::{Connection, OpenFlags};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long a connection waits for another process.
pub(super) const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// A connection that writes; the file is recognised, made, or brought up to date first.
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

fn try_open(path: &Path) -> Result<Connection, StoreError> {
    let fail = |error| StoreError::of("open", path, BUSY_TIMEOUT, error);
    // Without SQLITE_OPEN_URI: a path that begins with `file:` is a path.
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = connect(path, flags).map_err(fail)?;
    // Recognised before anything is changed: a database of another program stays as it is. In a transaction, since another process may
    // be making the file between two looks at it.
    let transaction = connection.transaction().map_err(fail)?;
    let format = format::recognise(path, &transaction, None)?;
    drop(transaction);
    let journal: String =
        connection.pragma_update_and_check(None, "journal_mode", "wal", |row| row.get(0)).map_err(fail)?;
    if !journal.eq_ignore_ascii_case("wal") {
        return Err(StoreError::NoLog { path: path.to_owned() });
    }
    // An answer costs money: it shall survive a power cut, not only a crash of ours.
    connection.pragma_update(None, "synchronous", "full").map_err(fail)?;
    if format != Format::Version(format::VERSION) {
        format::prepare(path, &mut connection)?;
    }
    Ok(connection)
}

/// A connection that only reads, and the file's format. Nothing is made and nothing brought up to date.
pub(super) fn open_reader(path: &Path) -> Result<(Connection, i64), StoreError> {
    if !path.exists() {
        return Err(StoreError::Missing { path: path.to_owned() });
    }
    // Not opened read-only where that can be helped: a reader of a write-ahead log may have to repair its index.
    let usual = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let opened = connect(path, usual).and_then(|connection| {
        connection.pragma_update(None, "query_only", true)?;
        Ok(connection)
    });
    let fail = |error| StoreError::of("open", path, BUSY_TIMEOUT, error);
    let look = |connection: Connection| match format::recognise(path, &connection, None)? {
        Format::Fresh => Err(StoreError::Missing { path: path.to_owned() }),
        Format::Version(version) => Ok((connection, version)),
    };
    match opened.map_err(fail).and_then(look) {
        // Where nothing can be written, the index of the log cannot be made. Without a log nobody is writing either.
        Err(StoreError::NoAccess { .. } | StoreError::ReadOnly { .. } | StoreError::Disk { .. })
            if log_bytes(path) == 0 =>
        {
            let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI | OpenFlags::SQLITE_OPEN_NO_MUTEX;
            let place = immutable(path).map_err(|source| StoreError::Folder { path: path.to_owned(), source })?;
            connect(Path::new(&place), flags).map_err(fail).and_then(look)
        }
        opened => opened,
    }
}

fn connect(path: &Path, flags: OpenFlags) -> rusqlite::Result<Connection> {
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    Ok(connection)
}

/// The address of a file that nobody changes while it is read.
pub(super) fn immutable(path: &Path) -> Result<OsString, Arc<std::io::Error>> {
    let mut address = OsString::from("file:");
    let escaped = |text: &str| text.replace('%', "%25").replace('?', "%3f").replace('#', "%23");
    let path = std::path::absolute(path).map_err(Arc::new)?;
    match path.to_str() {
        Some(text) => address.push(escaped(text)),
        None => address.push(&path),
    }
    address.push("?immutable=1");
    Ok(address)
}

/// A file that SQLite keeps beside the store: `wal` is what was written last, `shm` its index.
pub(super) fn beside(path: &Path, kind: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push("-");
    name.push(kind);
    name.into()
}

/// Bytes of what was written last and is not in the file yet.
pub(super) fn log_bytes(path: &Path) -> u64 {
    bytes(&beside(path, "wal"))
}

fn bytes(path: &Path) -> u64 {
    std::fs::metadata(path).map_or(0, |file| file.len())
}

/// What the store takes on the disk, in bytes: its file, what was written last, and the index of that.
pub fn size_on_disk(path: &Path) -> u64 {
    bytes(path) + log_bytes(path) + bytes(&beside(path, "shm"))
}

/// Whether nothing was ever stored at `path`: no file, or an empty one.
pub fn is_new(path: &Path) -> bool {
    bytes(path) == 0
}
