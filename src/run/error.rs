//! Why a run's files cannot be read or written, and what can be done about it.

use miette::Diagnostic;
use std::io;
use std::path::PathBuf;

/// Why a run's files cannot be read or written.
#[derive(Debug, thiserror::Error, Diagnostic)]
pub enum RunError {
    /// Reading or writing failed.
    #[error("cannot {action} {path}: {source}", path = path.display())]
    #[diagnostic(help("{}", way_out(source)))]
    Io {
        /// `read`, `write`, `create` or `remove`.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file is not what this program writes.
    #[error("{path}:{line}: {message}", path = path.display())]
    #[diagnostic(help("`interrater annotate` writes the run again; answers that were paid for are in the store"))]
    Invalid {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong.
        message: String,
    },
    /// A file has lost rows.
    #[error("{path} has {rows} rows, its manifest counts {expected}: the file was cut", path = path.display())]
    #[diagnostic(help("`interrater annotate` writes the run again; answers that were paid for are in the store"))]
    Cut {
        /// The file.
        path: PathBuf,
        /// The rows that are there.
        rows: usize,
        /// Those that there were.
        expected: usize,
    },
    /// There is no such run.
    #[error("there is no run `{name}` in {folder}", folder = folder.display())]
    #[diagnostic(help("`interrater runs` lists the runs that there are"))]
    Unknown {
        /// The name asked for.
        name: String,
        /// The folder of runs.
        folder: PathBuf,
    },
}

/// What can be done where a file of a run cannot be read or written.
fn way_out(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
            "free space there, then repeat the command: answers that were paid for are in the store"
        }
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            "get permission for it, or name another folder in [paths] runs; answers that were paid for are in the store"
        }
        _ => "answers that were paid for are in the store: mend the cause and repeat the command",
    }
}
