//! Tests of tables, on files that they write.

use super::*;
use ::parquet::file::metadata::{PageIndexPolicy, ParquetMetaDataReader};
use file::{Cells, Columns, Layout, write};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::fs;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

#[path = "../../tests/it/parquet_file.rs"]
mod file;

/// So many rows: a number, a text now and then, a float with NaN, a flag, a time.
fn columns(rows: i64) -> Columns {
    let rows = 0..rows;
    vec![
        ("number", Cells::Whole(rows.clone().map(Some).collect())),
        ("text", Cells::Text(rows.clone().map(|row| (row % 3 != 0).then(|| format!("row {row} äöü"))).collect())),
        (
            "double",
            Cells::Double(rows.clone().map(|row| Some(if row % 2 == 0 { f64::NAN } else { row as f64 })).collect()),
        ),
        ("flag", Cells::Flag(rows.clone().map(|row| (row % 5 != 0).then_some(row % 2 == 0)).collect())),
        ("time", Cells::Time(rows.map(|row| Some(1_770_000_000_000_000 + row)).collect())),
    ]
}

fn written(layout: Layout) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.parquet");
    write(&path, &columns(10_000), layout);
    (folder, path)
}

fn spans(ranges: &[(u64, u64)]) -> Vec<Span> {
    ranges.iter().map(|&(start, end)| Span { start, end }).collect()
}

/// What a row holds, from its number alone.
fn expected(row: u64) -> [Cell; 5] {
    let number = row as f64;
    [
        Cell::Number(number),
        if row % 3 == 0 { Cell::Null } else { Cell::Text(format!("row {row} äöü").into()) },
        Cell::Number(if row % 2 == 0 { f64::NAN } else { number }),
        if row % 5 == 0 { Cell::Null } else { Cell::Flag(row % 2 == 0) },
        Cell::Time(jiff::Timestamp::from_microsecond(1_770_000_000_000_000 + row as i64).unwrap()),
    ]
}

/// Reads ranges and compares each cell.
fn check(table: &Table, ranges: &[(u64, u64)]) {
    let names = ["number", "text", "double", "flag", "time"];
    let mut batch = table.read(&names, &spans(ranges)).unwrap();
    assert_eq!(batch.damaged, 0);
    for (at, row) in ranges.iter().flat_map(|&(start, end)| start..end).enumerate() {
        for (column, expected) in expected(row).into_iter().enumerate() {
            let cell = batch.take(column, at);
            let same = cell == expected || format!("{cell:?}") == format!("{expected:?}");
            assert!(same, "row {row}, column {column}: {cell:?}");
        }
    }
}

#[test]
fn any_rows_can_be_read_in_any_order() {
    for layout in [Layout::SNAPPY, Layout::zstd(), Layout { group: 10_000, ..Layout::SNAPPY }] {
        let (_folder, path) = written(layout);
        let table = Table::open(&path).unwrap();
        assert_eq!(table.rows(), 10_000);
        assert!(table.has("text") && !table.has("texts"));
        check(&table, &[(0, 10_000)]);
        check(&table, &[(990, 1010), (1999, 2001), (9_999, 10_000)]);
        check(&table, &[(5_000, 5_001)]);
        check(&table, &[(0, 1), (50, 51), (52, 53), (7_000, 7_450)]);
        for start in [3_000, 3_010, 2_950, 8_000, 0] {
            check(&table, &[(start, start + 77)]);
        }
    }
}

#[test]
fn threads_do_not_get_into_each_others_way() {
    let (_folder, path) = written(Layout { group: 4_000, ..Layout::SNAPPY });
    let table = Table::open(&path).unwrap();
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let table = &table;
            scope.spawn(move || {
                for step in 0..40 {
                    let start = (step * 233 + thread * 2_411) % 9_900;
                    check(table, &[(start, start + 100)]);
                }
            });
        }
    });
}

#[test]
fn what_is_not_there_is_empty() {
    let (_folder, path) = written(Layout::SNAPPY);
    let table = Table::open(&path).unwrap();
    let mut batch = table.read(&["other", "number"], &spans(&[(9_998, 10_005)])).unwrap();
    assert_eq!((batch.take(0, 1), batch.take(1, 1), batch.take(1, 2)), (Cell::Null, Cell::Number(9_999.0), Cell::Null));
    assert_eq!(batch.damaged, 0);
}

#[test]
fn a_file_that_is_cut_or_packed_otherwise_is_refused_with_the_reason() {
    let (folder, path) = written(Layout::SNAPPY);
    let whole = fs::read(&path).unwrap();
    let refused = |bytes: &[u8]| {
        let path = folder.path().join("d.parquet");
        fs::write(&path, bytes).unwrap();
        Table::open(&path).unwrap_err().to_string()
    };
    for cut in [4, 8, 100, whole.len() / 2, whole.len() - 1] {
        assert!(refused(&whole[..cut]).starts_with("a damaged Parquet file: "), "{cut}");
    }
    assert!(matches!(Table::open(Path::new("/nowhere.parquet")), Err(TableError::Io(_))));
}

/// Where the page with a row of a column begins and how long it is.
fn page(path: &Path, column: usize, row: i64) -> (usize, usize) {
    let policy = PageIndexPolicy::Required;
    let file = fs::File::open(path).unwrap();
    let metadata = ParquetMetaDataReader::new().with_offset_index_policy(policy).parse_and_finish(&file).unwrap();
    let index = metadata.page_index_for_row_group(0);
    let pages = index.page_locations(column).unwrap();
    let page = pages.iter().rfind(|page| page.first_row_index <= row).unwrap();
    (page.offset as usize, page.compressed_page_size as usize)
}

#[test]
fn damage_in_a_page_costs_that_page() {
    for compression in [Layout::SNAPPY.compression, Layout::zstd().compression] {
        let layout = Layout { compression, group: 10_000, page: 1_000, index: true, dictionary: false };
        let (_folder, path) = written(layout);
        let (start, length) = page(&path, 1, 5_032);
        let mut bytes = fs::read(&path).unwrap();
        bytes[start + length / 2..][..200].fill(0xff);
        fs::write(&path, &bytes).unwrap();
        let table = Table::open(&path).unwrap();
        let mut batch = table.read(&["number", "text"], &spans(&[(0, 10_000)])).unwrap();
        assert!((1_000..=2_500).contains(&batch.damaged), "{}", batch.damaged);
        assert_eq!(batch.take(0, 5_032), Cell::Number(5_032.0), "other columns are whole");
        assert_eq!(batch.take(1, 5_032), Cell::Null);
        for row in (1..10_000).filter(|row| row % 3 != 0 && !(3_000..7_000).contains(row)) {
            assert_ne!(batch.take(1, row), Cell::Null, "row {row}");
        }
    }
}

#[test]
fn no_damage_makes_a_reader_panic() {
    let names = ["number", "text", "double", "flag", "time"];
    for layout in [Layout::SNAPPY, Layout { dictionary: false, ..Layout::zstd() }] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("t.parquet");
        write(&path, &columns(300), Layout { group: 100, page: 50, ..layout });
        let whole = fs::read(&path).unwrap();
        let mut random = ChaCha8Rng::seed_from_u64(1);
        for round in 0..200 {
            let mut bytes = whole.clone();
            for _ in 0..random.random_range(1..4) {
                let at = random.random_range(4..bytes.len() - 8);
                bytes[at] = random.random();
            }
            fs::write(&path, &bytes).unwrap();
            if let Ok(table) = Table::open(&path) {
                let batch = table.read(&names, &spans(&[(0, 10), (40, 300)])).unwrap();
                let expected = table.rows().min(10) + table.rows().clamp(40, 300) - 40;
                assert!(batch.columns.iter().all(|cells| cells.len() as u64 == expected), "round {round}");
            }
        }
    }
}
