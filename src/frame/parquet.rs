//! A table as Parquet: cells are gathered by column and written a row group at a time, so that memory is bounded by a row group and
//! the largest row. zstd; texts are UTF-8 strings, times are microseconds in UTC, a list has the three levels that the format asks for.

use super::{Cell, Column, Kind};
use ::parquet::basic::{Compression, LogicalType, Repetition, TimeUnit, Type as PhysicalType, ZstdLevel};
use ::parquet::data_type::{BoolType, ByteArray, ByteArrayType, DoubleType, Int64Type};
use ::parquet::errors::ParquetError;
use ::parquet::file::properties::WriterProperties;
use ::parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use ::parquet::schema::types::{Type, TypePtr};
use std::io::{self, Write};
use std::sync::Arc;

/// A row group ends at so many rows, or once its texts have so many bytes.
const ROWS: usize = 65_536;
const TEXT_BYTES: usize = 32 * 1024 * 1024;

/// Writes rows as a Parquet file.
pub(super) struct ParquetFile<W: Write + Send> {
    file: SerializedFileWriter<W>,
    columns: Vec<Gathered>,
    rows: usize,
    text_bytes: usize,
}

/// The cells of one column that are not written yet: the values that are there, and the levels that say where they stand.
struct Gathered {
    values: Values,
    nullable: bool,
    definition: Vec<i16>,
    repetition: Vec<i16>,
}

enum Values {
    Text(Vec<ByteArray>),
    Texts(Vec<ByteArray>),
    Integer(Vec<i64>),
    Real(Vec<f64>),
    Flag(Vec<bool>),
    /// Microseconds since 1970.
    Time(Vec<i64>),
}

impl<W: Write + Send> ParquetFile<W> {
    pub(super) fn new(to: W, columns: Vec<Column>) -> io::Result<ParquetFile<W>> {
        let properties = WriterProperties::builder().set_compression(Compression::ZSTD(ZstdLevel::default())).build();
        let schema = schema(&columns).map_err(io_error)?;
        let file = SerializedFileWriter::new(to, schema, Arc::new(properties)).map_err(io_error)?;
        Ok(ParquetFile { file, columns: columns.iter().map(Gathered::new).collect(), rows: 0, text_bytes: 0 })
    }

    pub(super) fn row(&mut self, cells: &[Cell<'_>]) -> io::Result<()> {
        for (column, cell) in self.columns.iter_mut().zip(cells) {
            self.text_bytes += column.push(cell);
        }
        self.rows += 1;
        if self.rows >= ROWS || self.text_bytes >= TEXT_BYTES { self.flush() } else { Ok(()) }
    }

    pub(super) fn finish(mut self) -> io::Result<W> {
        if self.rows > 0 {
            self.flush()?;
        }
        // This writes the footer as well.
        let mut to = self.file.into_inner().map_err(io_error)?;
        to.flush()?;
        Ok(to)
    }

    /// Writes what was gathered as a row group.
    fn flush(&mut self) -> io::Result<()> {
        (self.rows, self.text_bytes) = (0, 0);
        let mut group = self.file.next_row_group().map_err(io_error)?;
        for column in &mut self.columns {
            column.write(&mut group).map_err(io_error)?;
        }
        group.close().map_err(io_error)?;
        Ok(())
    }
}

impl Gathered {
    fn new(column: &Column) -> Gathered {
        let values = match column.kind {
            Kind::Text => Values::Text(Vec::new()),
            Kind::Texts => Values::Texts(Vec::new()),
            Kind::Integer => Values::Integer(Vec::new()),
            Kind::Real => Values::Real(Vec::new()),
            Kind::Flag => Values::Flag(Vec::new()),
            Kind::Time => Values::Time(Vec::new()),
        };
        Gathered { values, nullable: column.nullable, definition: Vec::new(), repetition: Vec::new() }
    }

    /// Takes the next cell; gives how many bytes of text it holds.
    fn push(&mut self, cell: &Cell<'_>) -> usize {
        let bytes = |text: &str| ByteArray::from(text.as_bytes().to_vec());
        let present = i16::from(self.nullable);
        let mut size = 0;
        match (&mut self.values, cell) {
            (Values::Texts(values), Cell::Texts(texts)) => {
                for (at, text) in texts.iter().enumerate() {
                    size += text.len();
                    values.push(bytes(text));
                    self.definition.push(present + 1);
                    self.repetition.push(i16::from(at > 0));
                }
                if texts.is_empty() {
                    self.definition.push(present);
                    self.repetition.push(0);
                }
                return size;
            }
            (Values::Texts(_), Cell::Null) if self.nullable => {
                self.definition.push(0);
                self.repetition.push(0);
                return size;
            }
            (_, Cell::Null) if self.nullable => {
                self.definition.push(0);
                return size;
            }
            (Values::Text(values), Cell::Text(text)) => {
                // Rows beside one another often say the same, such as whose they are: that is held once.
                let same = values.last().filter(|last| last.data() == text.as_bytes()).cloned();
                if same.is_none() {
                    size = text.len();
                }
                values.push(same.unwrap_or_else(|| bytes(text)));
            }
            (Values::Integer(values), Cell::Integer(number)) => values.push(*number),
            (Values::Real(values), Cell::Real(number)) => values.push(*number),
            (Values::Flag(values), Cell::Flag(flag)) => values.push(*flag),
            (Values::Time(values), Cell::Time(at)) => values.push(at.as_microsecond()),
            (_, cell) => unreachable!("a cell is of its column's kind, and this is {cell:?}"),
        }
        self.definition.push(present);
        size
    }

    /// Writes the column's part of a row group, and forgets it.
    fn write<W: Write + Send>(&mut self, group: &mut SerializedRowGroupWriter<'_, W>) -> Result<(), ParquetError> {
        let mut out = group.next_column()?.expect("the schema has a leaf for each column");
        let is_list = matches!(self.values, Values::Texts(_));
        let definition = (self.nullable || is_list).then_some(self.definition.as_slice());
        let repetition = is_list.then_some(self.repetition.as_slice());
        match &mut self.values {
            Values::Text(values) | Values::Texts(values) => {
                out.typed::<ByteArrayType>().write_batch(values, definition, repetition)?;
                values.clear();
            }
            Values::Integer(values) | Values::Time(values) => {
                out.typed::<Int64Type>().write_batch(values, definition, repetition)?;
                values.clear();
            }
            Values::Real(values) => {
                out.typed::<DoubleType>().write_batch(values, definition, repetition)?;
                values.clear();
            }
            Values::Flag(values) => {
                out.typed::<BoolType>().write_batch(values, definition, repetition)?;
                values.clear();
            }
        }
        self.definition.clear();
        self.repetition.clear();
        out.close()
    }
}

fn schema(columns: &[Column]) -> Result<TypePtr, ParquetError> {
    let fields = columns.iter().map(|column| field(column).map(Arc::new)).collect::<Result<Vec<_>, _>>()?;
    Ok(Arc::new(Type::group_type_builder("schema").with_fields(fields).build()?))
}

fn field(column: &Column) -> Result<Type, ParquetError> {
    let (name, repetition) = (&*column.name, if column.nullable { Repetition::OPTIONAL } else { Repetition::REQUIRED });
    let leaf = |name: &str, physical, logical: Option<LogicalType>, repetition| {
        Type::primitive_type_builder(name, physical).with_logical_type(logical).with_repetition(repetition).build()
    };
    match column.kind {
        Kind::Text => leaf(name, PhysicalType::BYTE_ARRAY, Some(LogicalType::String), repetition),
        Kind::Integer => leaf(name, PhysicalType::INT64, None, repetition),
        Kind::Real => leaf(name, PhysicalType::DOUBLE, None, repetition),
        Kind::Flag => leaf(name, PhysicalType::BOOLEAN, None, repetition),
        Kind::Time => {
            let time = LogicalType::timestamp(true, TimeUnit::MICROS);
            leaf(name, PhysicalType::INT64, Some(time), repetition)
        }
        Kind::Texts => {
            let element = leaf("element", PhysicalType::BYTE_ARRAY, Some(LogicalType::String), Repetition::REQUIRED)?;
            let list = Type::group_type_builder("list")
                .with_repetition(Repetition::REPEATED)
                .with_fields(vec![Arc::new(element)])
                .build()?;
            Type::group_type_builder(name)
                .with_logical_type(Some(LogicalType::List))
                .with_repetition(repetition)
                .with_fields(vec![Arc::new(list)])
                .build()
        }
    }
}

/// What the system said, where it was the system.
fn io_error(error: ParquetError) -> io::Error {
    match error {
        ParquetError::External(inner) => match inner.downcast::<io::Error>() {
            Ok(error) => *error,
            Err(other) => io::Error::other(other),
        },
        other => io::Error::other(other),
    }
}

#[cfg(test)]
mod tests;
