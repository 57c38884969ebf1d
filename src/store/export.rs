//! Writing answers to a file that people, `git` and other programs can read: JSON lines, always in the same order.

use super::row::{Cells, columns};
use super::{AnswerLine, Entry, Reader, RequestKey, Standing, StoreError};
use jiff::Timestamp;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};

/// Why answers cannot be exported.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The store cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The file cannot be written.
    #[error("cannot write {}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file is something else, which would be lost.
    #[error("{} is there already, and is no export of answers: name another file, or move it away", path.display())]
    Occupied {
        /// The file.
        path: PathBuf,
    },
}

/// Writes the answers for which `wanted` holds to `path`, a line an answer, ordered by time and key: equal stores give equal files. The
/// file is there when it is whole. Gives the number of lines.
pub fn export<E: From<ExportError>>(
    reader: &Reader,
    path: &Path,
    wanted: impl FnMut(&AnswerLine) -> Result<bool, E>,
) -> Result<u64, E> {
    if !may_be_replaced(path) {
        return Err(ExportError::Occupied { path: path.to_owned() }.into());
    }
    let mut new = path.as_os_str().to_owned();
    new.push(".new");
    let new = PathBuf::from(new);
    let written = write(reader, &new, wanted);
    let io = |source| ExportError::Io { path: path.to_owned(), source };
    match written {
        Ok(lines) => fs::rename(&new, path).map(|()| lines).map_err(|source| io(source).into()),
        Err(error) => {
            // Half a file serves nobody, and takes room where there may be none.
            drop(fs::remove_file(&new));
            Err(error)
        }
    }
}

fn write<E: From<ExportError>>(
    reader: &Reader,
    path: &Path,
    mut wanted: impl FnMut(&AnswerLine) -> Result<bool, E>,
) -> Result<u64, E> {
    let fail = |error| ExportError::Store(reader.fail(error));
    let io = |source| ExportError::Io { path: path.to_owned(), source };
    // What others write or delete meanwhile is not seen.
    let moment = reader.connection().unchecked_transaction().map_err(fail)?;
    let mut order: Vec<(Timestamp, RequestKey, bool, i64)> = Vec::new();
    let look = |entry: Entry| -> Result<(), ExportError> {
        order.push((entry.created_at, entry.key, entry.standing == Standing::Superseded, entry.id));
        Ok(())
    };
    reader.entries(look)?;
    order.sort_unstable();
    let select = format!("SELECT {}, body FROM response WHERE id = ?1", columns(reader.format()));
    let mut statement = moment.prepare_cached(&select).map_err(fail)?;
    let mut file = BufWriter::new(File::create(path).map_err(io)?);
    let mut lines = 0;
    for (_, _, superseded, id) in order {
        let read = |row: &rusqlite::Row<'_>| Ok(Cells { path: reader.path(), table: "response", row }.response());
        let stored = statement.query_row([id], read).map_err(fail)?.map_err(ExportError::Store)?;
        let line = AnswerLine::new(stored, if superseded { Standing::Superseded } else { Standing::Current });
        if wanted(&line)? {
            serde_json::to_writer(&mut file, &line).map_err(|error| io(error.into()))?;
            file.write_all(b"\n").map_err(io)?;
            lines += 1;
        }
    }
    let written = file.into_inner().map_err(|error| error.into_error()).and_then(|file| file.sync_all());
    written.map(|()| lines).map_err(|source| io(source).into())
}

/// Whether nothing but an earlier export is lost if the file is written.
fn may_be_replaced(path: &Path) -> bool {
    if !path.exists() {
        return true;
    }
    let mut line = String::new();
    let read = File::open(path).and_then(|file| BufReader::new(file).read_line(&mut line));
    read.is_ok() && (line.is_empty() || AnswerLine::read(&line).is_ok())
}
