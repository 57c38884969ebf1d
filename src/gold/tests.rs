//! What a gold file says, and what is refused at which line.

use super::*;
use miette::Diagnostic;
use proptest::prelude::*;
use serde_json::json;

const HEADER: &str = "unit,rater,reason,label,topics,score,hours,urgent,phases,checks,mood,session,split,probability";
const ROW: &str = "codex:s,gold,\"because, so\",yes,ui; db,6.5,1e3,true,reading=40;writing=60.0,tests_run=true;committed=false,bad,fork,test,0.25";

fn read(text: &str) -> Result<Vec<GoldRow>, GoldError> {
    read_bytes(text.as_bytes())
}

fn read_bytes(bytes: &[u8]) -> Result<Vec<GoldRow>, GoldError> {
    Reader { path: Path::new("all.csv"), codebook: &Codebook::with_every_type() }.rows(bytes)
}

/// The row with one cell changed.
fn with(column: &str, cell: &str) -> String {
    let at = HEADER.split(',').position(|name| name == column).unwrap();
    let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(ROW.as_bytes());
    let record = reader.records().next().unwrap().unwrap();
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(record.iter().enumerate().map(|(place, old)| if place == at { cell } else { old })).unwrap();
    format!("{HEADER}\n{}", String::from_utf8(writer.into_inner().unwrap()).unwrap())
}

#[test]
fn every_type_of_field_has_its_cell() {
    let rows = read(&format!("{HEADER}\n{ROW}\n")).unwrap();
    assert_eq!(
        Value::Object(rows[0].fields.clone()),
        json!({
            "reason": "because, so", "label": "yes", "topics": ["ui", "db"], "score": 6.5, "hours": 1000.0, "urgent": true,
            "phases": { "reading": 40, "writing": 60.0 }, "checks": { "tests_run": true, "committed": false }, "mood": "bad",
        })
    );
    let GoldRow { line, unit, rater, session, split, probability, .. } = &rows[0];
    assert_eq!((*line, unit.as_str(), rater.as_str()), (2, "codex:s", "gold"));
    assert_eq!((session.as_deref(), *split, *probability), (Some("fork"), Some(Split::Test), Some(0.25)));
}

#[test]
fn empty_cells_and_blank_rows_are_missing() {
    let rows = read("unit,rater,label\ncodex:s,a,\n,,\n\ncodex:t,a,no\n").unwrap();
    assert_eq!(rows.len(), 2);
    assert!(rows[0].fields.is_empty() && rows[0].split.is_none() && rows[0].session.is_none());
    assert_eq!((rows[1].line, &rows[1].fields["label"]), (5, &json!("no")));
}

#[test]
fn a_byte_order_mark_and_windows_line_ends_are_read_and_columns_stand_in_any_order() {
    let plain = read("unit,rater,label\ncodex:s,a,no\ncodex:s,b,on\n").unwrap();
    let other = read("\u{feff}label,rater,unit\r\nno,a,codex:s\r\non,b,codex:s\r\n").unwrap();
    assert_eq!(plain, other);
}

#[test]
fn cells_outside_their_field_are_refused() {
    let cases = [
        ("label", "maybe", "field `label` is \"maybe\"; it must be one of no, yes, on"),
        ("label", " yes", "field `label` is \" yes\"; it must be one of no, yes, on"),
        ("topics", "ui;api", "field `topics` holds \"api\"; known labels: ui, db"),
        ("score", "10.5", "field `score` is 10.5; it must be from 0 to 10"),
        ("score", "NaN", "field `score` is NaN; it must be from 0 to 10"),
        ("score", "high", "field `score` is `high`, which is no number"),
        ("hours", "inf", "field `hours` is null; it must be a number"),
        ("urgent", "yes", "field `urgent` is `yes`; expected true or false"),
        ("phases", "reading=40", "field `phases` lacks `writing`; each part needs a percentage from 0 to 100"),
        ("phases", "reading=40;writing=50", "field `phases` has parts that sum to 90; they must sum to 100"),
        ("phases", "reading=40;reading=60", "field `phases` has `reading` twice"),
        ("phases", "40;60", "field `phases` is `40;60`; expected name=value;name=value"),
        ("phases", "reading=x;writing=60", "field `phases` has `reading=x`, which is no value"),
        (
            "checks",
            "tests_run=1;committed=true",
            "field `checks` has `tests_run` = 1; each criterion needs true or false",
        ),
    ];
    for (column, cell, expected) in cases {
        let error = read(&with(column, cell)).unwrap_err();
        assert_eq!(error.to_string(), format!("all.csv:2: rater `gold`, unit `codex:s`: {expected}"));
        assert!(error.help().is_some());
    }
}

#[test]
fn the_other_columns_are_strict_too() {
    let cases = [
        (with("split", "train"), "all.csv:2: `train` is no split"),
        (with("probability", "0"), "all.csv:2: `0` is no probability"),
        (with("probability", "1.1"), "all.csv:2: `1.1` is no probability"),
        (with("probability", "NaN"), "all.csv:2: `NaN` is no probability"),
        (with("unit", ""), "all.csv:2: a row needs a unit and a rater"),
        (with("rater", ""), "all.csv:2: a row needs a unit and a rater"),
        (with("unit", "codex:s#1"), "all.csv:2: `codex:s#1` is no session unit"),
        ("unit,rater,colour\n".to_owned(), "all.csv:1: unknown column `colour`"),
        ("unit,rater,proof\n".to_owned(), "all.csv:1: unknown column `proof`"),
        ("unit,rater,label,label\n".to_owned(), "all.csv:1: column `label` stands twice"),
        ("unit,label\n".to_owned(), "all.csv:1: column `rater` is missing"),
        ("unit;rater;label\n".to_owned(), "all.csv:1: unknown column `unit;rater;label`"),
        (String::new(), "all.csv:1: column `unit` is missing"),
        ("unit,rater,label\ncodex:s,a,no,x\n".to_owned(), "all.csv:2: this row has 4 cells, the header has 3"),
        ("unit,rater,label\ncodex:s,a\n".to_owned(), "all.csv:2: this row has 2 cells, the header has 3"),
    ];
    for (text, expected) in cases {
        assert_eq!(read(&text).unwrap_err().to_string(), expected);
    }
    let latin = read_bytes(b"unit,rater,reason\ncodex:s,a,ok\ncodex:t,a,caf\xe9\n").unwrap_err();
    assert_eq!(latin.to_string(), "all.csv:3: this row is not UTF-8");
}

#[test]
fn the_same_row_twice_is_one_and_a_second_opinion_is_an_error() {
    let same = "unit,rater,label\ncodex:s,a,no\ncodex:s,a,no\ncodex:s,b,yes\n";
    assert_eq!(read(same).unwrap().len(), 2);
    let error = read("unit,rater,label\ncodex:s,a,no\ncodex:t,a,no\ncodex:s,a,yes\n").unwrap_err();
    assert_eq!(error.to_string(), "all.csv:4: rater `a` answers `codex:s` again, and differently (line 2)");
}

#[test]
fn a_quote_that_is_never_closed_is_an_error_and_not_the_rest_of_the_file() {
    let error =
        read("unit,rater,label,reason\ncodex:s,a,no,\"so\"\ncodex:t,a,no,\"well\ncodex:u,a,no,fine\n").unwrap_err();
    assert_eq!(error.to_string(), "all.csv:3: the double quote that opens here is never closed");
    assert_eq!(read("unit,rater,reason\ncodex:s,a,\"he said \"\"no\"\"\"\ncodex:t,a,5\" screen\n").unwrap().len(), 2);
}

#[test]
fn gold_is_the_first_rater() {
    let rows = read("unit,rater,label\ncodex:s,zoe,no\ncodex:s,gold,no\ncodex:s,amy,no\n").unwrap();
    let gold = Gold { path: PathBuf::from("all.csv"), hash: String::new(), rows };
    assert_eq!(gold.raters(), ["gold", "amy", "zoe"]);
    assert_eq!(gold.adjudicated().count(), 1);
}

proptest! {
    #[test]
    fn a_well_formed_file_has_no_open_quote_and_a_cut_one_has(cells in prop::collection::vec("[a,\"\n\r ]{0,6}", 1..12)) {
        let mut writer = csv::WriterBuilder::new().quote_style(csv::QuoteStyle::Always).from_writer(Vec::new());
        for cell in &cells {
            writer.write_record([cell.as_str(), "x"]).unwrap();
        }
        let whole = writer.into_inner().unwrap();
        prop_assert_eq!(unclosed_quote(&whole), None);
        // Without its last quote the file ends within a cell, on whose line nothing else can change.
        let cut = &whole[..whole.len() - 2];
        prop_assert!(unclosed_quote(cut).is_some());
    }
}

#[test]
fn a_unit_is_in_one_split_whoever_rates_it() {
    let error = read("unit,rater,label,split\ncodex:s,a,no,dev\ncodex:s,b,on,\ncodex:s,gold,on,test\n").unwrap_err();
    assert!(error.to_string().ends_with("4: `codex:s` is in test here and in dev (line 2)"), "{error}");
}
