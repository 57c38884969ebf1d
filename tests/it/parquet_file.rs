//! Writes Parquet files for tests: columns of any of the types that tables of sessions have, in row groups of a given size.

use parquet::basic::{Compression, ConvertedType, LogicalType, Repetition, TimeUnit, Type as Physical};
use parquet::data_type::{BoolType, ByteArray, ByteArrayType, DataType, DoubleType, Int64Type};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::types::Type;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;

/// A column's cells.
#[derive(Clone)]
pub enum Cells {
    Text(Vec<Option<String>>),
    Whole(Vec<Option<i64>>),
    Double(Vec<Option<f64>>),
    Flag(Vec<Option<bool>>),
    /// Microseconds since 1970, in UTC.
    Time(Vec<Option<i64>>),
}

impl Cells {
    pub fn len(&self) -> usize {
        match self {
            Cells::Text(cells) => cells.len(),
            Cells::Whole(cells) | Cells::Time(cells) => cells.len(),
            Cells::Double(cells) => cells.len(),
            Cells::Flag(cells) => cells.len(),
        }
    }

    fn kind(&self, name: &str) -> Type {
        let (physical, logical) = match self {
            Cells::Text(_) => (Physical::BYTE_ARRAY, Some(LogicalType::String)),
            Cells::Whole(_) => (Physical::INT64, None),
            Cells::Double(_) => (Physical::DOUBLE, None),
            Cells::Flag(_) => (Physical::BOOLEAN, None),
            Cells::Time(_) => (Physical::INT64, Some(LogicalType::timestamp(true, TimeUnit::MICROS))),
        };
        Type::primitive_type_builder(name, physical)
            .with_repetition(Repetition::OPTIONAL)
            .with_logical_type(logical)
            .with_converted_type(ConvertedType::NONE)
            .build()
            .expect("the type is right")
    }
}

/// Columns by name.
pub type Columns = Vec<(&'static str, Cells)>;

/// How a file is written.
#[derive(Clone, Copy)]
pub struct Layout {
    pub compression: Compression,
    /// Rows of a row group.
    pub group: usize,
    /// Rows of a page.
    pub page: usize,
    /// Whether the file has an index of pages: few writers add one.
    pub index: bool,
    /// Whether values that come again are stored once.
    pub dictionary: bool,
}

impl Layout {
    pub const SNAPPY: Layout =
        Layout { compression: Compression::SNAPPY, group: 1000, page: 100, index: false, dictionary: true };

    pub fn zstd() -> Layout {
        Layout { compression: Compression::ZSTD(Default::default()), index: true, ..Layout::SNAPPY }
    }
}

/// Writes a file.
pub fn write(path: &Path, columns: &Columns, layout: Layout) {
    let fields = columns.iter().map(|(name, cells)| Arc::new(cells.kind(name))).collect();
    let schema = Type::group_type_builder("schema").with_fields(fields).build().expect("the schema is right");
    let properties = WriterProperties::builder()
        .set_compression(layout.compression)
        .set_data_page_row_count_limit(layout.page)
        .set_write_batch_size(layout.page)
        .set_offset_index_disabled(!layout.index)
        .set_dictionary_enabled(layout.dictionary)
        .build();
    let file = File::create(path).expect("the file can be made");
    let mut writer =
        SerializedFileWriter::new(file, Arc::new(schema), Arc::new(properties)).expect("a writer can be made");
    let rows = columns.first().map_or(0, |(_, cells)| cells.len());
    assert!(columns.iter().all(|(_, cells)| cells.len() == rows), "columns are equally long");
    for start in (0..rows).step_by(layout.group.max(1)) {
        let end = rows.min(start + layout.group);
        let mut group = writer.next_row_group().expect("a row group begins");
        for (_, cells) in columns {
            match cells {
                Cells::Text(cells) => {
                    put::<ByteArrayType, _>(&mut group, &cells[start..end], |text| ByteArray::from(text.as_str()))
                }
                Cells::Whole(cells) | Cells::Time(cells) => put::<Int64Type, _>(&mut group, &cells[start..end], |n| *n),
                Cells::Double(cells) => put::<DoubleType, _>(&mut group, &cells[start..end], |n| *n),
                Cells::Flag(cells) => put::<BoolType, _>(&mut group, &cells[start..end], |flag| *flag),
            }
        }
        group.close().expect("a row group ends");
    }
    writer.close().expect("the file ends");
}

fn put<T: DataType, C>(
    group: &mut SerializedRowGroupWriter<'_, File>,
    cells: &[Option<C>],
    value: impl Fn(&C) -> T::T,
) {
    let values: Vec<T::T> = cells.iter().flatten().map(value).collect();
    let levels: Vec<i16> = cells.iter().map(|cell| i16::from(cell.is_some())).collect();
    let mut column = group.next_column().expect("a column begins").expect("there is a column");
    column.typed::<T>().write_batch(&values, Some(&levels), None).expect("the cells are written");
    column.close().expect("a column ends");
}
