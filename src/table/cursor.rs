//! A place in a row group from which reading goes on, so that rows read in their order are decoded once.

use super::Cell;
use jiff::Timestamp;
use parquet::basic::{ConvertedType, LogicalType, TimeUnit};
use parquet::column::reader::{ColumnReader, ColumnReaderImpl, get_column_reader};
use parquet::data_type::{ByteArray, DataType, Int96};
use parquet::errors::{ParquetError, Result};
use parquet::file::metadata::{ColumnChunkMetaData, ParquetMetaData};
use parquet::file::page_index::offset_index::PageLocation;
use parquet::file::reader::SerializedPageReader;
use parquet::schema::types::ColumnDescriptor;
use std::collections::HashMap;
use std::fs::File;
use std::sync::Arc;

/// Columns of a row group, each open at some row.
pub(super) struct Cursor {
    /// Handles that are copies share their position in the file, so each cursor has a file of its own and is used by one thread at a time.
    file: Arc<File>,
    pub group: usize,
    /// Where the last read began, counted within the group: reading from here on goes forward.
    pub row: u64,
    columns: HashMap<usize, Open>,
}

/// A column and the row that it gives next.
struct Open {
    reader: ColumnReader,
    row: u64,
}

impl Cursor {
    pub fn new(file: File, group: usize) -> Cursor {
        Cursor { file: Arc::new(file), group, row: 0, columns: HashMap::new() }
    }

    /// The cells of a column in `rows` rows from `start` on, both within the group.
    ///
    /// # Errors
    /// Damage in the column. The column is closed then, and opened anew when it is asked for again.
    pub fn read(&mut self, metadata: &ParquetMetaData, column: usize, start: u64, rows: u64) -> Result<Vec<Cell>> {
        let mut open = match self.columns.remove(&column).filter(|open| open.row <= start) {
            Some(open) => open,
            None => self.open(metadata, column)?,
        };
        let (skipped, rows) = (usize::try_from(start - open.row)?, usize::try_from(rows)?);
        let descriptor = metadata.file_metadata().schema_descr().column(column);
        if skip(&mut open.reader, skipped)? != skipped {
            return Err(ended_early());
        }
        let cells = cells(&mut open.reader, &descriptor, rows)?;
        open.row = start + rows as u64;
        self.columns.insert(column, open);
        self.row = start;
        Ok(cells)
    }

    fn open(&self, metadata: &ParquetMetaData, column: usize) -> Result<Open> {
        let group = metadata.row_group(self.group);
        let chunk = group.column(column);
        let locations = metadata.page_index_for_row_group(self.group).page_locations(column).cloned();
        let locations = locations.filter(|pages| are_in_place(pages, chunk, group.num_rows()));
        let pages = SerializedPageReader::new(self.file.clone(), chunk, usize::try_from(group.num_rows())?, locations)?;
        let descriptor = metadata.file_metadata().schema_descr().column(column);
        Ok(Open { reader: get_column_reader(descriptor, Box::new(pages)), row: 0 })
    }
}

/// Whether an index of pages fits its column. The pages can be found without one.
fn are_in_place(pages: &[PageLocation], chunk: &ColumnChunkMetaData, rows: i64) -> bool {
    let (start, length) = chunk.byte_range();
    let (Ok(start), Ok(length)) = (i64::try_from(start), i64::try_from(length)) else { return false };
    let mut end = start;
    let mut row = -1;
    pages.first().is_some_and(|first| first.first_row_index == 0)
        && pages.iter().all(|page| {
            let follows = page.offset >= end && page.first_row_index > row && page.compressed_page_size >= 0;
            end = page.offset.saturating_add(i64::from(page.compressed_page_size));
            row = page.first_row_index;
            follows && end <= start.saturating_add(length) && row < rows
        })
}

fn ended_early() -> ParquetError {
    ParquetError::EOF("a column ends before its last row".to_owned())
}

fn skip(reader: &mut ColumnReader, rows: usize) -> Result<usize> {
    match reader {
        _ if rows == 0 => Ok(0),
        ColumnReader::BoolColumnReader(reader) => reader.skip_records(rows),
        ColumnReader::Int32ColumnReader(reader) => reader.skip_records(rows),
        ColumnReader::Int64ColumnReader(reader) => reader.skip_records(rows),
        ColumnReader::Int96ColumnReader(reader) => reader.skip_records(rows),
        ColumnReader::FloatColumnReader(reader) => reader.skip_records(rows),
        ColumnReader::DoubleColumnReader(reader) => reader.skip_records(rows),
        ColumnReader::ByteArrayColumnReader(reader) => reader.skip_records(rows),
        ColumnReader::FixedLenByteArrayColumnReader(reader) => reader.skip_records(rows),
    }
}

fn cells(reader: &mut ColumnReader, descriptor: &ColumnDescriptor, rows: usize) -> Result<Vec<Cell>> {
    let deepest = descriptor.max_def_level();
    let unit = unit(descriptor);
    match reader {
        ColumnReader::BoolColumnReader(reader) => values(reader, deepest, rows, |flag| Cell::Flag(*flag)),
        ColumnReader::Int32ColumnReader(reader) => values(reader, deepest, rows, |n| Cell::Number(f64::from(*n))),
        ColumnReader::Int64ColumnReader(reader) => values(reader, deepest, rows, |n| whole(*n, unit)),
        ColumnReader::Int96ColumnReader(reader) => values(reader, deepest, rows, old_time),
        ColumnReader::FloatColumnReader(reader) => values(reader, deepest, rows, |n| Cell::Number(f64::from(*n))),
        ColumnReader::DoubleColumnReader(reader) => values(reader, deepest, rows, |n| Cell::Number(*n)),
        ColumnReader::ByteArrayColumnReader(reader) => values(reader, deepest, rows, text),
        ColumnReader::FixedLenByteArrayColumnReader(reader) => values(reader, deepest, rows, |bytes| text(bytes)),
    }
}

/// Reads so many rows of a column that is not nested: a cell a row.
fn values<T: DataType>(
    reader: &mut ColumnReaderImpl<T>,
    deepest: i16,
    rows: usize,
    cell: impl Fn(&T::T) -> Cell,
) -> Result<Vec<Cell>> {
    let (mut levels, mut found) = (Vec::new(), Vec::new());
    let (records, _, _) = reader.read_records(rows, Some(&mut levels), None, &mut found)?;
    if records != rows {
        return Err(ended_early());
    }
    if deepest == 0 {
        return Ok(found.iter().map(cell).collect());
    }
    let mut found = found.iter();
    Ok(levels
        .into_iter()
        .map(|level| if level == deepest { found.next().map(&cell).unwrap_or_default() } else { Cell::Null })
        .collect())
}

/// The unit of a column of times.
fn unit(descriptor: &ColumnDescriptor) -> Option<TimeUnit> {
    match (descriptor.logical_type_ref(), descriptor.converted_type()) {
        (Some(LogicalType::Timestamp(time)), _) => Some(time.unit),
        (_, ConvertedType::TIMESTAMP_MILLIS) => Some(TimeUnit::MILLIS),
        (_, ConvertedType::TIMESTAMP_MICROS) => Some(TimeUnit::MICROS),
        _ => None,
    }
}

fn whole(number: i64, unit: Option<TimeUnit>) -> Cell {
    let time = match unit {
        None => return Cell::Number(number as f64),
        Some(TimeUnit::MILLIS) => Timestamp::from_millisecond(number),
        Some(TimeUnit::MICROS) => Timestamp::from_microsecond(number),
        Some(TimeUnit::NANOS) => Timestamp::from_nanosecond(i128::from(number)),
    };
    time.map_or(Cell::Null, Cell::Time)
}

/// A time as older writers store it: days and nanoseconds.
fn old_time(time: &Int96) -> Cell {
    Timestamp::from_microsecond(time.to_micros()).map_or(Cell::Null, Cell::Time)
}

fn text(bytes: &ByteArray) -> Cell {
    Cell::Text(String::from_utf8_lossy(bytes.data()).into())
}
