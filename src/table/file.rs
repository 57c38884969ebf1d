//! A Parquet file, opened: its columns, and cells by ranges of rows.

use super::cursor::Cursor;
use super::{Batch, Cell, Span, TableError};
use parquet::basic::Compression;
use parquet::errors::ParquetError;
use parquet::file::metadata::{ColumnChunkMetaData, PageIndexPolicy, ParquetMetaData, ParquetMetaDataReader};
use std::collections::HashMap;
use std::fmt;
use std::fs::File;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// So many places in the file are kept open for whoever goes on from there. Each holds a page of each column that it read.
const CURSORS: usize = 16;

/// Where a column is damaged, this many rows or fewer are given up; more are tried in halves.
const GIVEN_UP: u64 = 512;

/// A Parquet file. Columns of lists and structures are left alone: no table of sessions needs one.
pub struct Table {
    path: PathBuf,
    metadata: ParquetMetaData,
    columns: HashMap<String, usize>,
    /// The first row of each row group, and behind them the number of all rows.
    starts: Vec<u64>,
    cursors: Mutex<Vec<Cursor>>,
}

impl fmt::Debug for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Table").field("path", &self.path).field("rows", &self.rows()).finish_non_exhaustive()
    }
}

impl Table {
    /// Opens a file and reads what it says of itself.
    ///
    /// # Errors
    /// A file that cannot be opened, is cut or damaged, or packed in a way that is not known here.
    pub fn open(path: &Path) -> Result<Table, TableError> {
        let file = File::open(path)?;
        // The index of pages spares reading their heads one after the other; few writers add one, and it is not needed.
        let with_index =
            ParquetMetaDataReader::new().with_offset_index_policy(PageIndexPolicy::Optional).parse_and_finish(&file);
        let metadata = with_index.or_else(|_| ParquetMetaDataReader::new().parse_and_finish(&file)).map_err(damaged)?;
        let length = file.metadata()?.len();
        let mut columns = HashMap::new();
        for (index, column) in metadata.file_metadata().schema_descr().columns().iter().enumerate() {
            if let ([name], 0) = (column.path().parts(), column.max_rep_level()) {
                columns.insert(name.clone(), index);
            }
        }
        let mut starts = vec![0];
        for group in metadata.row_groups() {
            let rows = u64::try_from(group.num_rows())
                .map_err(|_| TableError::Damaged("a row group has fewer than no rows".to_owned()))?;
            starts.push(starts.last().copied().unwrap_or(0) + rows);
            for column in group.columns() {
                check_place(column, length)?;
                if let Some(codec) = unknown_codec(column.compression()) {
                    return Err(TableError::Codec { column: column.column_path().string(), codec });
                }
            }
        }
        Ok(Table { path: path.to_owned(), metadata, columns, starts, cursors: Mutex::default() })
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether there is a column of this name.
    pub fn has(&self, column: &str) -> bool {
        self.columns.contains_key(column)
    }

    /// How many rows there are.
    pub fn rows(&self) -> u64 {
        self.starts.last().copied().unwrap_or(0)
    }

    /// The cells of `columns` in the rows of `spans`, in their order. Rows beyond the last are left out.
    ///
    /// # Errors
    /// A file that can no longer be opened. Damage in the file is no error: what cannot be read is empty and counted.
    pub fn read(&self, columns: &[&str], spans: &[Span]) -> io::Result<Batch> {
        let mut batch = Batch { columns: columns.iter().map(|_| Vec::new()).collect(), damaged: 0 };
        let mut cursor: Option<Cursor> = None;
        for span in spans {
            let mut start = span.start;
            while start < span.end.min(self.rows()) {
                let group = self.starts.partition_point(|first| *first <= start) - 1;
                let end = span.end.min(self.starts[group + 1]);
                let part = Span { start: start - self.starts[group], end: end - self.starts[group] };
                let mut here = match cursor.take() {
                    Some(cursor) if cursor.group == group && cursor.row <= part.start => cursor,
                    other => {
                        other.into_iter().for_each(|left| self.put_back(left));
                        self.cursor(group, part.start)?
                    }
                };
                for (name, cells) in columns.iter().zip(&mut batch.columns) {
                    match self.columns.get(*name) {
                        Some(&column) => batch.damaged += self.column(&mut here, column, part, cells),
                        None => cells.extend((0..part.rows()).map(|_| Cell::Null)),
                    }
                }
                cursor = Some(here);
                start = end;
            }
        }
        cursor.into_iter().for_each(|cursor| self.put_back(cursor));
        Ok(batch)
    }

    /// Adds the cells of one column in rows of a group; gives how many of them could not be read.
    fn column(&self, cursor: &mut Cursor, column: usize, part: Span, cells: &mut Vec<Cell>) -> u64 {
        // On some damage the crate panics where it should fail; the column is closed then all the same.
        let read = || cursor.read(&self.metadata, column, part.start, part.rows()).ok();
        match catch_unwind(AssertUnwindSafe(read)).ok().flatten() {
            Some(found) => {
                cells.extend(found);
                0
            }
            None if part.rows() > GIVEN_UP => {
                let middle = part.start + part.rows() / 2;
                self.column(cursor, column, Span { end: middle, ..part }, cells)
                    + self.column(cursor, column, Span { start: middle, ..part }, cells)
            }
            None => {
                cells.extend((0..part.rows()).map(|_| Cell::Null));
                part.rows()
            }
        }
    }

    /// The open cursor that is the least way before `row` of a group, or a new one.
    fn cursor(&self, group: usize, row: u64) -> io::Result<Cursor> {
        let mut cursors = self.cursors.lock().unwrap_or_else(PoisonError::into_inner);
        let before = cursors.iter().enumerate().filter(|(_, cursor)| cursor.group == group && cursor.row <= row);
        match before.max_by_key(|(_, cursor)| cursor.row).map(|(position, _)| position) {
            Some(position) => Ok(cursors.remove(position)),
            None => Ok(Cursor::new(File::open(&self.path)?, group)),
        }
    }

    fn put_back(&self, cursor: Cursor) {
        let mut cursors = self.cursors.lock().unwrap_or_else(PoisonError::into_inner);
        if cursors.len() >= CURSORS {
            cursors.remove(0);
        }
        cursors.push(cursor);
    }
}

fn damaged(error: ParquetError) -> TableError {
    TableError::Damaged(match error {
        ParquetError::General(message) | ParquetError::NYI(message) | ParquetError::EOF(message) => message,
        other => other.to_string(),
    })
}

/// Checks that a column lies within the file: the crate trusts what a damaged file says of itself.
fn check_place(column: &ColumnChunkMetaData, length: u64) -> Result<(), TableError> {
    let start = column.dictionary_page_offset().unwrap_or(column.data_page_offset());
    let end = start.checked_add(column.compressed_size());
    let within = start >= 0
        && column.compressed_size() >= 0
        && column.num_values() >= 0
        && end.is_some_and(|end| end.cast_unsigned() <= length);
    match within {
        true => Ok(()),
        false => Err(TableError::Damaged(format!("column `{}` lies outside of it", column.column_path().string()))),
    }
}

/// The name of a way of packing that this program does not read.
fn unknown_codec(compression: Compression) -> Option<String> {
    match compression {
        Compression::UNCOMPRESSED | Compression::SNAPPY | Compression::ZSTD(_) => None,
        other => Some(other.to_string().split('(').next().unwrap_or_default().to_lowercase()),
    }
}
