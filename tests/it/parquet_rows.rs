//! A Parquet file as its columns and rows, read by the format's own reader.

use parquet::basic::{LogicalType, Repetition, TimeUnit, Type as Physical};
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::Field;
use parquet::schema::types::Type;
use serde_json::{Map, Value, json};
use std::fs::File;
use std::path::Path;

/// The columns: name, type as the documentation calls it, whether a cell may be null.
pub fn columns(path: &Path) -> Vec<(String, String, bool)> {
    let reader = open(path);
    let schema = reader.metadata().file_metadata().schema_descr().root_schema_ptr();
    schema.get_fields().iter().map(|field| (field.name().to_owned(), type_name(field), is_nullable(field))).collect()
}

/// The rows, as objects with a key a column; times as RFC 3339.
pub fn rows(path: &Path) -> Vec<Value> {
    let rows = open(path).into_iter().map(|row| row.expect("a row can be read"));
    let object =
        |row: parquet::record::Row| row.get_column_iter().map(|(name, cell)| (name.clone(), value(cell))).collect();
    rows.map(object).map(|object: Map<String, Value>| Value::Object(object)).collect()
}

fn open(path: &Path) -> SerializedFileReader<File> {
    let file = File::open(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    SerializedFileReader::new(file).expect("the file is Parquet")
}

fn is_nullable(field: &Type) -> bool {
    field.get_basic_info().repetition() == Repetition::OPTIONAL
}

fn type_name(field: &Type) -> String {
    if field.is_group() {
        assert_eq!(field.get_basic_info().logical_type_ref(), Some(&LogicalType::List));
        return format!("list<{}>", type_name(&field.get_fields()[0].get_fields()[0]));
    }
    match (field.get_physical_type(), field.get_basic_info().logical_type_ref()) {
        (Physical::BYTE_ARRAY, Some(LogicalType::String)) => "string",
        (Physical::INT64, Some(time)) if *time == LogicalType::timestamp(true, TimeUnit::MICROS) => "timestamp",
        (Physical::INT64, None) => "int64",
        (Physical::DOUBLE, None) => "double",
        (Physical::BOOLEAN, None) => "boolean",
        other => panic!("{other:?}"),
    }
    .to_owned()
}

fn value(cell: &Field) -> Value {
    match cell {
        Field::Null => Value::Null,
        Field::Bool(flag) => json!(flag),
        Field::Long(number) => json!(number),
        Field::Double(number) => json!(number),
        Field::Str(text) => json!(text),
        Field::TimestampMicros(micros) => {
            json!(jiff::Timestamp::from_microsecond(*micros).expect("a time is a time"))
        }
        Field::ListInternal(list) => list.elements().iter().map(value).collect(),
        other => panic!("{other:?}"),
    }
}
