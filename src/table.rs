//! Tables in Parquet files: takes a file; gives the cells of some of its columns in some of its rows.
//!
//! A table is opened once and shared, and read by ranges of rows: what lies in the middle of a file of gigabytes costs about what it
//! holds itself. Without the feature `parquet` every file is refused with [`TableError::NotBuilt`].

mod cell;
#[cfg(feature = "parquet")]
mod cursor;
#[cfg(feature = "parquet")]
mod file;
#[cfg(not(feature = "parquet"))]
#[path = "table/not_built.rs"]
mod file;

pub use cell::Cell;
pub use file::Table;

use std::cmp::Ordering;
use std::io;
use std::sync::Arc;

/// How a Parquet file begins, and how it ends.
pub const MAGIC: &[u8] = b"PAR1";

/// Why a file cannot be used as a table.
#[derive(Debug, thiserror::Error)]
pub enum TableError {
    /// This program has no reader for it.
    #[error("Parquet, which this program was built without")]
    NotBuilt,
    /// The file cannot be opened.
    #[error("cannot be read: {0}")]
    Io(#[from] io::Error),
    /// The file is cut, or is not what it seems to be.
    #[error("a damaged Parquet file: {0}")]
    Damaged(String),
    /// A column is packed in a way that this program cannot undo.
    #[error("column `{column}` is compressed with {codec}, which this program does not read")]
    Codec {
        /// The column.
        column: String,
        /// The way, as Parquet calls it.
        codec: String,
    },
}

impl TableError {
    /// What can be done about it.
    pub fn way_out(&self) -> &'static str {
        match self {
            TableError::NotBuilt => "build with the feature `parquet`, which is on by default, or name transcripts",
            TableError::Io(_) => "check the path and its permissions",
            TableError::Damaged(_) => "fetch or write the file again; a download may have broken off",
            TableError::Codec { .. } => "write the file again without compression, with snappy or with zstd",
        }
    }
}

/// Rows that follow one another: from `start` to the one before `end`, counted from 0 through the whole file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Span {
    /// The first row.
    pub start: u64,
    /// The row after the last.
    pub end: u64,
}

impl Span {
    /// How many rows it has.
    pub fn rows(self) -> u64 {
        self.end - self.start
    }
}

/// Rows of a table: spans in ascending order that do not touch.
#[derive(Debug, Clone)]
pub struct Rows {
    /// The table.
    pub table: Arc<Table>,
    /// Where the rows are.
    pub spans: Vec<Span>,
}

impl Rows {
    /// Adds a row behind the others.
    pub fn push(&mut self, row: u64) {
        push(&mut self.spans, row);
    }

    /// How many there are.
    pub fn count(&self) -> u64 {
        self.spans.iter().map(|span| span.rows()).sum()
    }

    fn key(&self) -> (&std::path::Path, &[Span]) {
        (self.table.path(), &self.spans)
    }
}

/// Adds a row behind those of `spans`.
pub fn push(spans: &mut Vec<Span>, row: u64) {
    match spans.last_mut() {
        Some(last) if last.end == row => last.end += 1,
        _ => spans.push(Span { start: row, end: row + 1 }),
    }
}

/// The same rows of the same file are the same, however often the file was opened.
impl PartialEq for Rows {
    fn eq(&self, other: &Rows) -> bool {
        self.key() == other.key()
    }
}

impl Eq for Rows {}

impl PartialOrd for Rows {
    fn partial_cmp(&self, other: &Rows) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Rows {
    fn cmp(&self, other: &Rows) -> Ordering {
        self.key().cmp(&other.key())
    }
}

/// Some columns of some rows.
#[derive(Debug, Default)]
pub struct Batch {
    /// A list a column, in the order asked for; a column that the table lacks is all [`Cell::Null`].
    pub columns: Vec<Vec<Cell>>,
    /// Rows in which a column could not be read, counted once for each such column; the cells are [`Cell::Null`].
    pub damaged: u64,
}

impl Batch {
    /// Takes a cell out.
    pub fn take(&mut self, column: usize, row: usize) -> Cell {
        self.columns.get_mut(column).and_then(|cells| cells.get_mut(row)).map(std::mem::take).unwrap_or_default()
    }
}

#[cfg(all(test, feature = "parquet"))]
mod tests;
