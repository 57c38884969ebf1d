//! What is written is read back by the format's own reader.

use super::*;
use ::parquet::file::reader::{FileReader, SerializedFileReader};
use ::parquet::record::Field;
use ::parquet::record::RowAccessor;
use ::parquet::schema::printer::print_schema;
use std::fs::File;

fn columns() -> Vec<Column> {
    vec![
        Column::always("id", Kind::Text),
        Column::always("models", Kind::Texts),
        Column::nullable("labels", Kind::Texts),
        Column::nullable("count", Kind::Integer),
        Column::nullable("share", Kind::Real),
        Column::nullable("is_last", Kind::Flag),
        Column::nullable("at", Kind::Time),
        Column::always("length", Kind::Integer),
    ]
}

/// A row of which only `id` and its length are there.
fn sparse(id: &str) -> Vec<Cell<'_>> {
    let mut cells = vec![id.into(), Cell::Texts(vec![])];
    cells.resize(7, Cell::Null);
    cells.push(Cell::count(id.len()));
    cells
}

fn written(rows: &[Vec<Cell<'_>>]) -> Vec<u8> {
    let mut file = ParquetFile::new(Vec::new(), columns()).unwrap();
    rows.iter().for_each(|row| file.row(row).unwrap());
    file.finish().unwrap()
}

fn reader(bytes: &[u8]) -> SerializedFileReader<File> {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(bytes).unwrap();
    SerializedFileReader::new(file).unwrap()
}

/// The rows as the format's own reader shows them.
fn read(bytes: &[u8]) -> Vec<String> {
    let reader = reader(bytes);
    let show = |field: &Field| match field {
        Field::Str(text) => text.clone(),
        Field::TimestampMicros(micros) => format!("{micros} µs"),
        other => other.to_string(),
    };
    reader
        .get_row_iter(None)
        .unwrap()
        .map(|row| row.unwrap().get_column_iter().map(|(_, field)| show(field)).collect::<Vec<_>>().join(" | "))
        .collect()
}

#[test]
fn every_kind_comes_back_with_and_without_a_value() {
    let at: jiff::Timestamp = "2026-05-01T10:00:00.123456789Z".parse().unwrap();
    let rows = [
        vec![
            "é\n\u{0}".into(),
            Cell::Texts(vec!["a", "b"]),
            Cell::Texts(vec!["x"]),
            Cell::Integer(-3),
            0.25.into(),
            false.into(),
            at.into(),
            Cell::Integer(1),
        ],
        sparse("four"),
        vec![
            "z".into(),
            Cell::Texts(vec!["c"]),
            Cell::Texts(vec![]),
            7u32.into(),
            f64::MAX.into(),
            true.into(),
            at.into(),
            Cell::Integer(3),
        ],
    ];
    assert_eq!(
        read(&written(&rows)),
        [
            "é\n\u{0} | [\"a\", \"b\"] | [\"x\"] | -3 | 0.25 | false | 1777629600123456 µs | 1",
            "four | [] | null | null | null | null | null | 4",
            "z | [\"c\"] | [] | 7 | 1.7976931348623157E308 | true | 1777629600123456 µs | 3",
        ]
    );
}

#[test]
fn the_schema_says_what_texts_lists_and_times_are() {
    let reader = reader(&written(&[]));
    let mut shown = Vec::new();
    print_schema(&mut shown, reader.metadata().file_metadata().schema());
    insta::assert_snapshot!(String::from_utf8(shown).unwrap(), @r"
    message schema {
      REQUIRED BYTE_ARRAY id (STRING);
      REQUIRED group models (LIST) {
        REPEATED group list {
          REQUIRED BYTE_ARRAY element (STRING);
        }
      }
      OPTIONAL group labels (LIST) {
        REPEATED group list {
          REQUIRED BYTE_ARRAY element (STRING);
        }
      }
      OPTIONAL INT64 count;
      OPTIONAL DOUBLE share;
      OPTIONAL BOOLEAN is_last;
      OPTIONAL INT64 at (TIMESTAMP(MICROS,true));
      REQUIRED INT64 length;
    }
    ");
    assert_eq!(reader.metadata().num_row_groups(), 0);
}

#[test]
fn many_rows_become_groups_of_bounded_size_and_the_same_bytes_each_time() {
    let long: Vec<String> = (0..5).map(|at| at.to_string().repeat(TEXT_BYTES / 4)).collect();
    let ids: Vec<String> = (0..ROWS + 10).map(|at| at.to_string()).collect();
    let rows: Vec<_> = ids.iter().chain(&long).map(|id| sparse(id)).collect();
    let bytes = written(&rows);
    let reader = reader(&bytes);
    let groups: Vec<i64> = reader.metadata().row_groups().iter().map(|group| group.num_rows()).collect();
    // The second group ends with the fourth long text, which makes it as large as a group may be.
    assert_eq!(groups, [ROWS as i64, 14, 1]);
    assert_eq!(reader.get_row_iter(None).unwrap().count(), rows.len());
    assert!(bytes == written(&rows), "the same rows are the same bytes");
}

#[test]
fn what_rows_beside_one_another_repeat_is_held_once_and_written_each_time() {
    let long = "x".repeat(TEXT_BYTES / 2);
    let texts = [&long, "a", "a", "", "", &long, &long, &long, &long];
    let rows: Vec<_> = texts.iter().map(|text| sparse(text)).collect();
    let reader = reader(&written(&rows));
    let groups: Vec<i64> = reader.metadata().row_groups().iter().map(|group| group.num_rows()).collect();
    assert_eq!(groups, [6, 3], "the second group holds one long text, not three");
    let ids: Vec<String> =
        reader.get_row_iter(None).unwrap().map(|row| row.unwrap().get_string(0).unwrap().clone()).collect();
    assert_eq!(ids, texts);
}

#[test]
fn what_the_system_says_reaches_the_caller() {
    struct Full;
    impl Write for Full {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::StorageFull.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let ended = ParquetFile::new(Full, columns()).and_then(|mut file| {
        file.row(&sparse("a"))?;
        file.finish()
    });
    assert_eq!(ended.map(drop).unwrap_err().kind(), io::ErrorKind::StorageFull);
}
