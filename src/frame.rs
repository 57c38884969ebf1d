//! A table of typed columns, written row by row: JSON lines, and Parquet where the feature `parquet` is built.
//!
//! Takes columns and cells; gives bytes that depend on them alone. It knows nothing of sessions or runs.

mod json_lines;
#[cfg(feature = "parquet")]
mod parquet;

pub(crate) use json_lines::Row;
pub use json_lines::escape_controls;

use jiff::Timestamp;
use std::borrow::Cow;
use std::fmt;
use std::io::{self, Write};

/// What the cells of a column hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Text.
    Text,
    /// A list of texts, which may be empty.
    Texts,
    /// A whole number.
    Integer,
    /// A number.
    Real,
    /// True or false.
    Flag,
    /// A moment, to the microsecond.
    Time,
}

impl Kind {
    /// What documentation calls it.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Text => "string",
            Kind::Texts => "list<string>",
            Kind::Integer => "int64",
            Kind::Real => "double",
            Kind::Flag => "boolean",
            Kind::Time => "timestamp",
        }
    }
}

/// A column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// Its name.
    pub name: Cow<'static, str>,
    /// What it holds.
    pub kind: Kind,
    /// Whether a cell may be null.
    pub nullable: bool,
}

impl Column {
    /// A column that has a value in every row.
    pub const fn always(name: &'static str, kind: Kind) -> Column {
        Column { name: Cow::Borrowed(name), kind, nullable: false }
    }

    /// A column that may be null.
    pub const fn nullable(name: &'static str, kind: Kind) -> Column {
        Column { name: Cow::Borrowed(name), kind, nullable: true }
    }
}

/// One value of a row, of its column's kind.
#[derive(Debug, Clone, PartialEq)]
pub enum Cell<'a> {
    /// None.
    Null,
    /// Text.
    Text(Cow<'a, str>),
    /// A list of texts.
    Texts(Vec<&'a str>),
    /// A whole number.
    Integer(i64),
    /// A number.
    Real(f64),
    /// True or false.
    Flag(bool),
    /// A moment.
    Time(Timestamp),
}

impl<'a> Cell<'a> {
    /// Text that is there.
    pub fn text(text: impl Into<Cow<'a, str>>) -> Cell<'a> {
        Cell::Text(text.into())
    }

    /// A count.
    pub fn count(count: impl TryInto<i64>) -> Cell<'a> {
        Cell::Integer(count.try_into().unwrap_or(i64::MAX))
    }
}

impl<'a> From<&'a str> for Cell<'a> {
    fn from(text: &'a str) -> Cell<'a> {
        Cell::text(text)
    }
}

impl From<u32> for Cell<'_> {
    fn from(number: u32) -> Self {
        Cell::Integer(i64::from(number))
    }
}

impl From<f64> for Cell<'_> {
    fn from(number: f64) -> Self {
        Cell::Real(number)
    }
}

impl From<bool> for Cell<'_> {
    fn from(flag: bool) -> Self {
        Cell::Flag(flag)
    }
}

impl From<Timestamp> for Cell<'_> {
    fn from(at: Timestamp) -> Self {
        Cell::Time(at)
    }
}

impl<'a, T: Into<Cell<'a>>> From<Option<T>> for Cell<'a> {
    fn from(value: Option<T>) -> Cell<'a> {
        value.map_or(Cell::Null, T::into)
    }
}

/// A file format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// One JSON object a line, with every column in every line.
    JsonLines,
    /// Parquet.
    Parquet,
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.extension())
    }
}

/// This program was built without the feature `parquet`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error, miette::Diagnostic)]
#[error("this program was built without Parquet")]
#[diagnostic(help(
    "write JSON lines, which pandas, polars and DuckDB read as well, or build with the feature `parquet`, which is on by default"
))]
pub struct NoParquet;

impl Format {
    /// The ending of files in this format.
    pub fn extension(self) -> &'static str {
        match self {
            Format::JsonLines => "jsonl",
            Format::Parquet => "parquet",
        }
    }

    /// Whether this program can write it.
    pub fn check(self) -> Result<Format, NoParquet> {
        if self == Format::Parquet && cfg!(not(feature = "parquet")) { Err(NoParquet) } else { Ok(self) }
    }
}

/// Writes a table.
pub struct Writer<W: Write + Send>(Backend<W>);

enum Backend<W: Write + Send> {
    JsonLines(json_lines::JsonLines<W>),
    #[cfg(feature = "parquet")]
    Parquet(parquet::ParquetFile<W>),
}

impl<W: Write + Send> Writer<W> {
    /// Begins a table of these columns.
    ///
    /// # Errors
    /// Those of writing; an error that holds [`NoParquet`] where the program cannot write `format`.
    pub fn new(to: W, format: Format, columns: Vec<Column>) -> io::Result<Writer<W>> {
        match format {
            Format::JsonLines => Ok(Writer(Backend::JsonLines(json_lines::JsonLines::new(to, columns)))),
            #[cfg(feature = "parquet")]
            Format::Parquet => Ok(Writer(Backend::Parquet(parquet::ParquetFile::new(to, columns)?))),
            #[cfg(not(feature = "parquet"))]
            Format::Parquet => Err(io::Error::other(NoParquet)),
        }
    }

    /// Writes a row: a cell a column, in their order.
    ///
    /// # Errors
    /// Those of writing.
    pub fn row(&mut self, cells: &[Cell<'_>]) -> io::Result<()> {
        match &mut self.0 {
            Backend::JsonLines(lines) => lines.row(cells),
            #[cfg(feature = "parquet")]
            Backend::Parquet(file) => file.row(cells),
        }
    }

    /// Ends the table; gives back what it was written to.
    ///
    /// # Errors
    /// Those of writing.
    pub fn finish(self) -> io::Result<W> {
        match self.0 {
            Backend::JsonLines(lines) => lines.finish(),
            #[cfg(feature = "parquet")]
            Backend::Parquet(file) => file.finish(),
        }
    }
}
