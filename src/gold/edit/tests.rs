//! What changes in a gold file, and that nothing else does.

use super::*;
use proptest::prelude::*;

const COLUMNS: [&str; 4] = ["unit", "rater", "label", "note"];

fn unit(text: &str) -> UnitId {
    UnitId::from_text(text)
}

fn cells(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(name, cell)| ((*name).to_owned(), (*cell).to_owned())).collect()
}

fn row(of: &str, rater: &str, pairs: &[(&str, &str)]) -> Row {
    let (where_empty, where_column) = (BTreeMap::new(), BTreeMap::new());
    Row { unit: unit(of), rater: rater.to_owned(), cells: cells(pairs), where_empty, where_column }
}

fn after(text: &str, changes: &[Change]) -> String {
    String::from_utf8(changed(text.as_bytes(), &COLUMNS, changes)).unwrap()
}

fn put(text: &str, of: &str, rater: &str, pairs: &[(&str, &str)]) -> String {
    after(text, &[Change::Put(row(of, rater, pairs))])
}

#[test]
fn a_file_that_is_not_there_or_empty_begins_with_a_header() {
    for text in ["", "\n", " \r\n"] {
        assert_eq!(put(text, "codex:s#1", "ada", &[("label", "yes")]), "unit,rater,label,note\ncodex:s#1,ada,yes,\n");
    }
    let marked = put("\u{feff}", "codex:s#1", "ada", &[("label", "yes")]);
    assert_eq!(marked, "\u{feff}unit,rater,label,note\ncodex:s#1,ada,yes,\n");
}

#[test]
fn only_the_cell_that_changes_is_written_anew() {
    let text = "\u{feff}note,unit,label,rater\r\n\"a, \"\"b\"\"\",\"u\",no,ada\r\n\r\n,u,\"yes\",bob\r\n,v,\"no\",ada";
    let changed = put(text, "u", "ada", &[("label", "yes"), ("note", "a, \"b\"")]);
    assert_eq!(changed, text.replace("\"u\",no,ada", "\"u\",yes,ada"));
    assert_eq!(put(text, "v", "ada", &[("label", "no")]), text, "quotes that are not needed stay");
}

#[test]
fn a_new_row_has_the_order_and_the_line_ends_of_the_file() {
    let text = "note,unit,label,rater\r\n,u,yes,bob";
    let changed = put(text, "u", "ada", &[("label", "no"), ("note", "one\ntwo, \"three\"")]);
    assert_eq!(changed, format!("{text}\r\n\"one\ntwo, \"\"three\"\"\",u,no,ada\r\n"));
}

#[test]
fn a_column_that_is_needed_is_added_and_one_that_is_not_is_not() {
    let text = "unit,rater,label\r\nu,bob,yes\r\n\r\n,,\r\n\"v\",bob,no";
    assert_eq!(put(text, "u", "bob", &[("label", "yes"), ("note", "")]), text);
    let changed = put(text, "u", "bob", &[("note", "why, then")]);
    assert_eq!(changed, "unit,rater,label,note\r\nu,bob,yes,\"why, then\"\r\n\r\n,,,\r\n\"v\",bob,no,");
}

#[test]
fn cells_of_the_design_are_filled_in_and_never_replaced() {
    let mut wanted = row("u", "ada", &[("label", "yes")]);
    wanted.where_empty = cells(&[("split", "dev"), ("probability", "0.25")]);
    wanted.where_column = cells(&[("date", "2026-05-01")]);
    let text = "unit,rater,label,split\nu,ada,no,test\n";
    let changed = after(text, &[Change::Put(wanted.clone())]);
    assert_eq!(changed, "unit,rater,label,split,probability\nu,ada,yes,test,0.25\n");
    let with_date = after("unit,rater,label,split,probability,date\n", &[Change::Put(wanted)]);
    assert_eq!(with_date, "unit,rater,label,split,probability,date\nu,ada,yes,dev,0.25,2026-05-01\n");
}

#[test]
fn a_removed_row_takes_its_line_along_and_nothing_else() {
    let text = "unit,rater,label\nu,ada,yes\nu,bob,no\n\nu,ada,yes\nv,ada,no";
    let gone = Change::Remove { unit: unit("u"), rater: "ada".to_owned() };
    assert_eq!(after(text, &[gone]), "unit,rater,label\nu,bob,no\n\nv,ada,no");
    let last = Change::Remove { unit: unit("v"), rater: "ada".to_owned() };
    assert_eq!(after(text, &[last]), "unit,rater,label\nu,ada,yes\nu,bob,no\n\nu,ada,yes\n");
    let nobody = Change::Remove { unit: unit("u"), rater: "eve".to_owned() };
    assert_eq!(after(text, &[nobody]), text);
}

#[test]
fn rows_that_say_the_same_twice_are_changed_alike() {
    let text = "unit,rater,label\nu,ada,yes\nu,ada,yes\n";
    assert_eq!(put(text, "u", "ada", &[("label", "no")]), "unit,rater,label\nu,ada,no\nu,ada,no\n");
}

#[test]
fn many_changes_are_made_at_once() {
    let text = "unit,rater,label\nu,ada,yes\nv,ada,no\n";
    let changes = [
        Change::Put(row("w", "ada", &[("label", "no"), ("note", "n")])),
        Change::Remove { unit: unit("u"), rater: "ada".to_owned() },
        Change::Put(row("v", "ada", &[("label", "yes")])),
        Change::Put(row("x", "ada", &[("label", "no")])),
    ];
    assert_eq!(after(text, &changes), "unit,rater,label,note\nv,ada,yes,\nw,ada,no,n\nx,ada,no,\n");
}

/// How a file is written: its cells, each quoted or not, its line ends, blank lines, a mark.
#[derive(Debug, Clone)]
struct File {
    rows: Vec<Vec<(String, bool)>>,
    line_end: &'static str,
    blank: Vec<bool>,
    ends: bool,
    mark: bool,
}

const HEADER: [&str; 5] = ["label", "unit", "note", "rater", "date"];

impl File {
    fn text(&self) -> String {
        let mut text = if self.mark { "\u{feff}".to_owned() } else { String::new() };
        text.push_str(&HEADER.join(","));
        text.push_str(self.line_end);
        for (nth, row) in self.rows.iter().enumerate() {
            let cells = row.iter().map(|(cell, is_quoted)| match *is_quoted || cell.contains([',', '"', '\n', '\r']) {
                true => format!("\"{}\"", cell.replace('"', "\"\"")),
                false => cell.clone(),
            });
            text.push_str(&cells.collect::<Vec<_>>().join(","));
            if nth + 1 < self.rows.len() || self.ends {
                text.push_str(self.line_end);
            }
            if self.blank[nth] && nth + 1 < self.rows.len() {
                text.push_str(self.line_end);
            }
        }
        text
    }
}

fn cell() -> impl Strategy<Value = (String, bool)> {
    let text = prop_oneof![
        3 => "[a-z ]{0,6}".prop_map(|text| text),
        2 => "[a\"',\n\r;=é… ]{0,8}".prop_map(|text| text),
        1 => Just("日本, \"q\"\r\nz".to_owned()),
    ];
    (text, any::<bool>())
}

fn file() -> impl Strategy<Value = File> {
    let named = |names: &'static [&'static str]| (proptest::sample::select(names), any::<bool>());
    let row = (cell(), named(&["u", "v", "w,x"]), cell(), named(&["ada", "bob \"b\""]), cell());
    let rows = proptest::collection::vec(row, 0..7).prop_map(|rows| {
        let own = |(text, is_quoted): (&str, bool)| (text.to_owned(), is_quoted);
        rows.into_iter().map(|(a, unit, b, rater, c)| vec![a, own(unit), b, own(rater), c]).collect::<Vec<_>>()
    });
    let line_end = proptest::sample::select(&["\n", "\r\n", "\r"][..]);
    let blank = proptest::collection::vec(any::<bool>(), 7);
    (rows, line_end, blank, any::<bool>(), any::<bool>()).prop_map(|(rows, line_end, blank, ends, mark)| File {
        rows,
        line_end,
        blank,
        ends,
        mark,
    })
}

/// The records of a file as another reader of CSV sees them.
fn records(text: &[u8]) -> Vec<Vec<String>> {
    let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(without_mark(text));
    reader.records().map(|record| record.unwrap().iter().map(str::to_owned).collect()).collect()
}

/// The bytes of all records but those for which `is_left_out`, cut where another reader of CSV says that records begin.
fn other_bytes(text: &[u8], is_left_out: impl Fn(&[String]) -> bool) -> Vec<Vec<u8>> {
    let text = without_mark(text);
    let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(text);
    let found: Vec<(usize, Vec<String>)> = (reader.records().map(Result::unwrap))
        .map(|record| {
            let start = record.position().unwrap().byte() as usize;
            (start, record.iter().map(str::to_owned).collect())
        })
        .collect();
    let ends = found.iter().skip(1).map(|(start, _)| *start).chain([text.len()]);
    let trimmed = |bytes: &[u8]| {
        let is_line = |byte: &u8| matches!(byte, b'\r' | b'\n');
        let start = bytes.iter().position(|byte| !is_line(byte)).unwrap_or(bytes.len());
        let end = bytes.iter().rposition(|byte| !is_line(byte)).map_or(start, |end| end + 1);
        bytes[start..end].to_vec()
    };
    let kept = found.iter().zip(ends).filter(|((_, cells), _)| !is_left_out(cells));
    kept.map(|((start, _), end)| trimmed(&text[*start..end])).collect()
}

proptest! {
    #[test]
    fn other_rows_keep_every_byte(
        file in file(), label in cell(), note in cell(),
        of in proptest::sample::select(&["u", "v", "w,x", "new"][..]), rater in proptest::sample::select(&["ada", "bob \"b\"", "eve"][..]),
    ) {
        let text = file.text();
        let is_own = |cells: &[String]| cells.len() > 3 && cells[1] == of && cells[3] == rater;
        let changed = put(&text, of, rater, &[("label", &label.0), ("note", &note.0)]);
        prop_assert_eq!(other_bytes(text.as_bytes(), is_own), other_bytes(changed.as_bytes(), is_own));
        prop_assert_eq!(text.starts_with('\u{feff}'), changed.starts_with('\u{feff}'));
        // Read by others, it is the file with that row.
        let mut expected = records(text.as_bytes());
        let wanted = |date: String| vec![label.0.clone(), of.to_owned(), note.0.clone(), rater.to_owned(), date];
        let mut is_there = false;
        for cells in expected.iter_mut().skip(1).filter(|cells| is_own(cells)) {
            is_there = true;
            *cells = wanted(cells[4].clone());
        }
        if !is_there {
            expected.push(wanted(String::new()));
        }
        prop_assert_eq!(records(changed.as_bytes()), expected);
        // The same again changes nothing; without the row, the others are as they were.
        prop_assert_eq!(&put(&changed, of, rater, &[("label", &label.0), ("note", &note.0)]), &changed);
        let without = after(&changed, &[Change::Remove { unit: unit(of), rater: rater.to_owned() }]);
        prop_assert_eq!(other_bytes(without.as_bytes(), |_| false), other_bytes(text.as_bytes(), is_own));
    }

    #[test]
    fn a_further_column_adds_one_cell_to_every_row(file in file(), more in "[a-z,\"]{1,5}") {
        let text = file.text();
        let changed = put(&text, "u", "ada", &[("session", &more)]);
        let (before, after) = (records(text.as_bytes()), records(changed.as_bytes()));
        let is_own = |cells: &[String]| cells[1] == "u" && cells[3] == "ada";
        for (nth, cells) in before.iter().enumerate() {
            prop_assert_eq!(&after[nth][..5], &cells[..]);
            let last = if nth == 0 { "session" } else if is_own(cells) { &more } else { "" };
            prop_assert_eq!(&after[nth][5], last);
        }
        prop_assert_eq!(after.len(), before.len() + usize::from(!before.iter().skip(1).any(|cells| is_own(cells))));
    }
}
