//! Changes single rows of a gold file's bytes and leaves all others as they are: takes the bytes and what is to change, gives the bytes.
//!
//! People edit gold by hand, in editors and spreadsheets. So nothing is written anew that need not be: a cell whose text stays keeps its
//! quotes, a row of another rater its every byte, the file its line ends, its order of columns and its mark. Only a column that a change
//! needs and the file lacks touches every row: each gets one more cell at its end.

use crate::sheet::without_mark;
use crate::unit::UnitId;
use std::collections::{BTreeMap, HashMap};
use std::ops::Range;

/// A change of one rater's row of one unit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// The row says this from now on; it is added if it is not there.
    Put(Row),
    /// There is no such row any more.
    Remove {
        /// The unit.
        unit: UnitId,
        /// The rater.
        rater: String,
    },
}

/// What a row is to say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// The unit.
    pub unit: UnitId,
    /// The rater.
    pub rater: String,
    /// Cells by column. One that is empty clears what is there; where there is no such column it needs none.
    pub cells: BTreeMap<String, String>,
    /// Cells by column, for which only an empty cell makes room.
    pub where_empty: BTreeMap<String, String>,
    /// Cells by column, which are written only if the file has the column.
    pub where_column: BTreeMap<String, String>,
}

impl Row {
    fn all(&self) -> impl Iterator<Item = (&String, &String)> {
        self.cells.iter().chain(&self.where_empty).chain(&self.where_column)
    }
}

/// The bytes of a gold file after the changes, each of which is about a row of its own. `columns` are those of a file that is made anew. The bytes must be those of a gold file as
/// it is strictly read: every row has as many cells as the header, which names each column once, `unit` and `rater` among them.
pub fn changed(bytes: &[u8], columns: &[&str], changes: &[Change]) -> Vec<u8> {
    if changes.is_empty() {
        return bytes.to_vec();
    }
    let fresh;
    let bytes = if without_mark(bytes).iter().all(u8::is_ascii_whitespace) {
        fresh = [&bytes[..bytes.len() - without_mark(bytes).len()], columns.join(",").as_bytes(), b"\n"].concat();
        &fresh
    } else {
        bytes
    };
    let sheet = Sheet::of(bytes);
    let missing = sheet.missing_columns(changes);
    if !missing.is_empty() {
        return changed(&sheet.with_columns(&missing), columns, changes);
    }
    let index = sheet.index();
    let mut splices = Splices::default();
    let mut added = String::new();
    for change in changes {
        let (unit, rater) = match change {
            Change::Put(Row { unit, rater, .. }) | Change::Remove { unit, rater } => (unit, rater),
        };
        let there = index.get(&(unit.to_string(), rater.clone())).map_or(&[][..], Vec::as_slice);
        match change {
            Change::Remove { .. } => {
                for &record in there {
                    let Record { cells, next } = &sheet.records[record];
                    splices.replace(cells[0].start..*next, String::new());
                }
            }
            Change::Put(row) if there.is_empty() => added.push_str(&sheet.new_row(row)),
            Change::Put(row) => there.iter().for_each(|&record| sheet.refill(record, row, &mut splices)),
        }
    }
    if !added.is_empty() {
        let before = if sheet.ends_with_line() { "" } else { sheet.line_end() };
        splices.replace(bytes.len()..bytes.len(), format!("{before}{added}"));
    }
    splices.apply(bytes)
}

/// A cell as it stands in a file.
fn quoted(cell: &str) -> String {
    if cell.contains([',', '"', '\n', '\r']) { format!("\"{}\"", cell.replace('"', "\"\"")) } else { cell.to_owned() }
}

/// Where a record stands.
#[derive(Debug)]
struct Record {
    /// Its cells, quotes included.
    cells: Vec<Range<usize>>,
    /// Where what follows its line end begins.
    next: usize,
}

/// Where everything stands in a file.
struct Sheet<'b> {
    bytes: &'b [u8],
    header: Vec<String>,
    /// The header is the first.
    records: Vec<Record>,
}

impl<'b> Sheet<'b> {
    /// Finds records and cells as the `csv` crate does: blank lines are none, `\r`, `\n` and both end a line, and a quote means something
    /// only where a cell begins with one.
    fn of(bytes: &'b [u8]) -> Sheet<'b> {
        let is_end = |at: usize| matches!(bytes.get(at), Some(b'\r' | b'\n'));
        let mut at = bytes.len() - without_mark(bytes).len();
        let mut records = Vec::new();
        loop {
            while is_end(at) {
                at += 1;
            }
            if at >= bytes.len() {
                break;
            }
            let mut cells = Vec::new();
            loop {
                let start = at;
                at = end_of_cell(bytes, at);
                cells.push(start..at);
                if bytes.get(at) != Some(&b',') {
                    break;
                }
                at += 1;
            }
            at += match bytes.get(at..) {
                Some([b'\r', b'\n', ..]) => 2,
                Some([_, ..]) => 1,
                _ => 0,
            };
            records.push(Record { cells, next: at });
        }
        let mut sheet = Sheet { bytes, header: Vec::new(), records };
        if let Some(header) = sheet.records.first() {
            sheet.header = (0..header.cells.len()).map(|cell| sheet.text(0, cell)).collect();
        }
        sheet
    }

    fn column(&self, name: &str) -> Option<usize> {
        self.header.iter().position(|column| column == name)
    }

    /// A cell's text, without quotes.
    fn text(&self, record: usize, cell: usize) -> String {
        let Some(range) = self.records[record].cells.get(cell) else { return String::new() };
        let raw = &self.bytes[range.clone()];
        let Some(inside) = raw.strip_prefix(b"\"") else { return String::from_utf8_lossy(raw).into_owned() };
        let mut text = Vec::with_capacity(inside.len());
        let mut bytes = inside.iter().peekable();
        let mut is_quoted = true;
        while let Some(&byte) = bytes.next() {
            match byte {
                b'"' if is_quoted && bytes.next_if(|next| **next == b'"').is_some() => text.push(b'"'),
                b'"' if is_quoted => is_quoted = false,
                other => text.push(other),
            }
        }
        String::from_utf8_lossy(&text).into_owned()
    }

    /// The rows of each rater and unit: one, or several that say the same.
    fn index(&self) -> HashMap<(String, String), Vec<usize>> {
        let mut index: HashMap<(String, String), Vec<usize>> = HashMap::new();
        if let (Some(units), Some(raters)) = (self.column("unit"), self.column("rater")) {
            for record in 1..self.records.len() {
                index.entry((self.text(record, units), self.text(record, raters))).or_default().push(record);
            }
        }
        index
    }

    /// The columns that a change has something for and the file lacks.
    fn missing_columns(&self, changes: &[Change]) -> Vec<String> {
        let mut missing: Vec<String> = Vec::new();
        for change in changes {
            let Change::Put(row) = change else { continue };
            for (name, cell) in row.cells.iter().chain(&row.where_empty) {
                if !cell.is_empty() && self.column(name).is_none() && !missing.contains(name) {
                    missing.push(name.clone());
                }
            }
        }
        missing
    }

    /// A line for a row that is not there yet.
    fn new_row(&self, row: &Row) -> String {
        let cell = |name: &String| match name.as_str() {
            "unit" => row.unit.to_string(),
            "rater" => row.rater.clone(),
            _ => row.all().find(|(column, _)| *column == name).map(|(_, cell)| cell.clone()).unwrap_or_default(),
        };
        let cells: Vec<String> = self.header.iter().map(|name| quoted(&cell(name))).collect();
        format!("{}{}", cells.join(","), self.line_end())
    }

    /// Replaces the cells of a row that do not say yet what they should.
    fn refill(&self, record: usize, row: &Row, splices: &mut Splices) {
        for (name, cell) in row.all() {
            let Some(at) = self.column(name) else { continue };
            let old = self.text(record, at);
            let is_kept = !old.is_empty() && row.where_empty.contains_key(name);
            if old != *cell && !is_kept {
                splices.replace(self.records[record].cells[at].clone(), quoted(cell));
            }
        }
    }

    /// The bytes with further columns at the end.
    fn with_columns(&self, names: &[String]) -> Vec<u8> {
        let mut splices = Splices::default();
        for (record, Record { cells, .. }) in self.records.iter().enumerate() {
            let cells_end = cells.last().map_or(0, |cell| cell.end);
            let more = names.iter().map(|name| if record == 0 { format!(",{}", quoted(name)) } else { ",".to_owned() });
            splices.replace(cells_end..cells_end, more.collect());
        }
        splices.apply(self.bytes)
    }

    /// The line end that the header has.
    fn line_end(&self) -> &'static str {
        let end = self.records.first().map_or(0, |header| header.cells.last().map_or(0, |cell| cell.end));
        match self.bytes.get(end..) {
            Some([b'\r', b'\n', ..]) => "\r\n",
            Some([b'\r', ..]) => "\r",
            _ => "\n",
        }
    }

    fn ends_with_line(&self) -> bool {
        // A line end within the last cell's quotes is none.
        let cells_end = self.records.last().and_then(|last| last.cells.last()).map_or(0, |cell| cell.end);
        cells_end < self.bytes.len()
    }
}

/// Where the cell that begins at `at` ends.
fn end_of_cell(bytes: &[u8], mut at: usize) -> usize {
    if bytes.get(at) == Some(&b'"') {
        at += 1;
        loop {
            match bytes.get(at..) {
                Some([b'"', b'"', ..]) => at += 2,
                Some([b'"', ..]) => {
                    at += 1;
                    break;
                }
                Some([_, ..]) => at += 1,
                _ => return bytes.len(),
            }
        }
    }
    while !matches!(bytes.get(at), None | Some(b',' | b'\r' | b'\n')) {
        at += 1;
    }
    at
}

/// Replacements in a text, in its order.
#[derive(Default)]
struct Splices(Vec<(Range<usize>, String)>);

impl Splices {
    fn replace(&mut self, range: Range<usize>, text: String) {
        self.0.push((range, text));
    }

    fn apply(mut self, bytes: &[u8]) -> Vec<u8> {
        self.0.sort_by_key(|(range, _)| range.start);
        let mut edited = Vec::with_capacity(bytes.len() + self.0.iter().map(|(_, text)| text.len()).sum::<usize>());
        let mut at = 0;
        for (range, text) in self.0 {
            edited.extend_from_slice(&bytes[at..range.start]);
            edited.extend_from_slice(text.as_bytes());
            at = range.end;
        }
        edited.extend_from_slice(&bytes[at..]);
        edited
    }
}

#[cfg(test)]
mod tests;
