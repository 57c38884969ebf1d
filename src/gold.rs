//! The reference set: who labelled what. Takes `gold/<task>.csv`, gives rows checked against the codebook.
//!
//! One row is one rater's answer on one unit: `unit,rater,<one column a field>[,session][,split][,probability][,stratum][,note][,date]`.
//! Rater `gold` is the adjudicated answer. An empty cell is missing. A cell of shares is `part=percent;part=percent;…`, a cell of
//! several labels or criteria likewise separated by `;`, and `;` alone is none of several labels. [`mod@file`] changes single rows of it.

pub mod cell;
pub mod edit;
pub mod file;
pub mod journal;

use crate::codebook::{Codebook, FieldKind, UnitKind};
use crate::sheet::{Lines, reason, unclosed_quote, without_mark};
use crate::unit::UnitId;
use miette::Diagnostic;
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::path::{Path, PathBuf};

/// The name of the rater whose answers are the adjudicated ones.
pub const GOLD_RATER: &str = "gold";

/// Columns that are no fields.
const OWN_COLUMNS: [&str; 8] = ["unit", "rater", "session", "split", "probability", "stratum", "note", "date"];

/// Why a gold file cannot be used.
#[derive(Debug, thiserror::Error, Diagnostic)]
pub enum GoldError {
    /// The file cannot be read.
    #[error("cannot read {path}: {source}", path = path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// It is not CSV.
    #[error("{path}:{line}: {message}", path = path.display())]
    #[diagnostic(help(
        "gold files are comma-separated with a header; a cell with a comma or a line break stands in double quotes"
    ))]
    Csv {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: u64,
        /// What is wrong.
        message: String,
    },
    /// A column is missing, doubled or unknown.
    #[error("{path}:1: {message}", path = path.display())]
    #[diagnostic(help("columns of this task: {known}"))]
    Column {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        message: String,
        /// The columns that there may be.
        known: String,
    },
    /// A cell cannot stand.
    #[error("{path}:{line}: {message}", path = path.display())]
    #[diagnostic(help("{hint}"))]
    Cell {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: u64,
        /// What is wrong.
        message: String,
        /// The way out.
        hint: String,
    },
}

/// Which part of the gold a unit belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Split {
    /// For work on the codebook.
    Dev,
    /// For the final figure.
    Test,
}

impl Split {
    /// `dev` or `test`.
    pub fn name(self) -> &'static str {
        match self {
            Split::Dev => "dev",
            Split::Test => "test",
        }
    }
}

/// One rater's answer on one unit.
#[derive(Debug, Clone, PartialEq)]
pub struct GoldRow {
    /// Its line in the file, from 1.
    pub line: u64,
    /// The unit.
    pub unit: UnitId,
    /// The rater.
    pub rater: String,
    /// The answers; a missing one is absent.
    pub fields: Map<String, Value>,
    /// The session, where a column says it; else it follows from the unit's id.
    pub session: Option<String>,
    /// The split, where a column says it.
    pub split: Option<Split>,
    /// The probability with which the unit was drawn.
    pub probability: Option<f64>,
    /// The stratum that it was drawn from.
    pub stratum: Option<String>,
    /// What the rater noted.
    pub note: Option<String>,
    /// When it was labelled, as written.
    pub date: Option<String>,
}

/// A task's reference set.
#[derive(Debug, Clone)]
pub struct Gold {
    /// The file.
    pub path: PathBuf,
    /// blake3 of the file.
    pub hash: String,
    /// The rows, in the file's order.
    pub rows: Vec<GoldRow>,
}

impl Gold {
    /// Reads `path` strictly.
    pub fn read(path: &Path, codebook: &Codebook) -> Result<Gold, GoldError> {
        let bytes = std::fs::read(path).map_err(|source| GoldError::Io { path: path.to_owned(), source })?;
        let rows = Reader { path, codebook }.rows(&bytes)?;
        Ok(Gold { path: path.to_owned(), hash: blake3::hash(&bytes).to_hex().to_string(), rows })
    }

    /// Reads `folder/<task>.csv` if there is one.
    pub fn find(folder: &Path, codebook: &Codebook) -> Result<Option<Gold>, GoldError> {
        let path = folder.join(format!("{}.csv", codebook.task));
        if path.is_file() { Gold::read(&path, codebook).map(Some) } else { Ok(None) }
    }

    /// The units that anyone labelled.
    pub fn units(&self) -> HashSet<&str> {
        self.rows.iter().map(|row| row.unit.as_str()).collect()
    }

    /// The raters, `gold` first, then by name.
    pub fn raters(&self) -> Vec<&str> {
        let names: BTreeSet<&str> = self.rows.iter().map(|row| row.rater.as_str()).collect();
        let mut names: Vec<&str> = names.into_iter().collect();
        names.sort_by_key(|name| (*name != GOLD_RATER, *name));
        names
    }

    /// The adjudicated answers.
    pub fn adjudicated(&self) -> impl Iterator<Item = &GoldRow> {
        self.rows.iter().filter(|row| row.rater == GOLD_RATER)
    }

    /// An error that points at the line of `row`.
    pub fn error_at(&self, row: &GoldRow, message: String, hint: String) -> GoldError {
        GoldError::Cell { path: self.path.clone(), line: row.line, message, hint }
    }
}

struct Reader<'a> {
    path: &'a Path,
    codebook: &'a Codebook,
}

impl Reader<'_> {
    fn rows(&self, bytes: &[u8]) -> Result<Vec<GoldRow>, GoldError> {
        let bytes = without_mark(bytes);
        if let Some(line) = unclosed_quote(bytes) {
            let message = "the double quote that opens here is never closed".to_owned();
            return Err(GoldError::Csv { path: self.path.to_owned(), line, message });
        }
        let mut reader = csv::ReaderBuilder::new().from_reader(bytes);
        let mut lines = Lines::default();
        let header = reader.headers().map_err(|error| self.csv_error(&error, 1))?.clone();
        self.check_header(&header)?;
        let mut rows: Vec<GoldRow> = Vec::new();
        let mut seen: BTreeMap<(UnitId, String), usize> = BTreeMap::new();
        let mut splits: BTreeMap<UnitId, (Split, u64)> = BTreeMap::new();
        for record in reader.records() {
            let record = record.map_err(|error| {
                let line = error.position().map_or(1, |position| lines.of(bytes, position));
                self.csv_error(&error, line)
            })?;
            let line = record.position().map_or(0, |position| lines.of(bytes, position));
            let Some(row) = self.row(&header, &record, line)? else { continue };
            if let Some(split) = row.split {
                let (first, at) = *splits.entry(row.unit.clone()).or_insert((split, row.line));
                if first != split {
                    let message =
                        format!("`{}` is in {} here and in {} (line {at})", row.unit, split.name(), first.name());
                    return Err(self.cell(row.line, message, "a unit is in one split, whoever rates it"));
                }
            }
            let key = (row.unit.clone(), row.rater.clone());
            match seen.get(&key).map(|at| &rows[*at]) {
                None => {
                    seen.insert(key, rows.len());
                    rows.push(row);
                }
                Some(earlier) if earlier.fields == row.fields => {}
                Some(earlier) => {
                    let message = format!(
                        "rater `{}` answers `{}` again, and differently (line {})",
                        row.rater, row.unit, earlier.line
                    );
                    return Err(self.cell(row.line, message, "keep one of the two lines"));
                }
            }
        }
        Ok(rows)
    }

    fn known_columns(&self) -> Vec<&str> {
        let fields = self.codebook.fields.iter().filter(|field| !matches!(field.kind, FieldKind::Evidence));
        OWN_COLUMNS[..2]
            .iter()
            .copied()
            .chain(fields.map(|field| field.name.as_str()))
            .chain(OWN_COLUMNS[2..].iter().copied())
            .collect()
    }

    fn check_header(&self, header: &csv::StringRecord) -> Result<(), GoldError> {
        let known = self.known_columns();
        let wrong =
            |message: String| Err(GoldError::Column { path: self.path.to_owned(), message, known: known.join(", ") });
        let mut seen = BTreeSet::new();
        for column in header {
            if !known.contains(&column) {
                return wrong(format!("unknown column `{column}`"));
            }
            if !seen.insert(column) {
                return wrong(format!("column `{column}` stands twice"));
            }
        }
        for needed in ["unit", "rater"] {
            if !seen.contains(needed) {
                return wrong(format!("column `{needed}` is missing"));
            }
        }
        Ok(())
    }

    fn row(
        &self,
        header: &csv::StringRecord,
        record: &csv::StringRecord,
        line: u64,
    ) -> Result<Option<GoldRow>, GoldError> {
        if record.iter().all(str::is_empty) {
            return Ok(None);
        }
        let cell =
            |name: &str| header.iter().position(|column| column == name).and_then(|at| record.get(at)).unwrap_or("");
        let (unit, rater) = (cell("unit"), cell("rater"));
        if unit.is_empty() || rater.is_empty() {
            return Err(self.cell(line, "a row needs a unit and a rater".to_owned(), "fill in both cells"));
        }
        let unit = UnitId::from_text(unit);
        let is_prompt = unit.session().as_str() != unit.as_str();
        if is_prompt != (self.codebook.unit == UnitKind::Prompt) {
            let message = format!("`{unit}` is no {} unit", self.codebook.unit.name());
            return Err(self.cell(line, message, "prompts are `agent:session-id#n`, sessions `agent:session-id`"));
        }
        let mut fields = Map::new();
        for field in &self.codebook.fields {
            let text = cell(&field.name);
            if text.is_empty() {
                continue;
            }
            let value = cell::parse(field, text).map_err(|problem| {
                let message = format!("rater `{rater}`, unit `{unit}`: field `{}` {problem}", field.name);
                self.cell(line, message, "correct the cell, or leave it empty if it is missing")
            })?;
            fields.insert(field.name.clone(), value);
        }
        let split = match cell("split") {
            "" => None,
            "dev" => Some(Split::Dev),
            "test" => Some(Split::Test),
            other => return Err(self.cell(line, format!("`{other}` is no split"), "a split is dev, test or empty")),
        };
        let probability = match cell("probability") {
            "" => None,
            text => match text.parse::<f64>() {
                Ok(value) if value > 0.0 && value <= 1.0 => Some(value),
                _ => return Err(self.cell(line, format!("`{text}` is no probability"), "a number above 0, at most 1")),
            },
        };
        let filled = |name: &str| Some(cell(name)).filter(|text| !text.is_empty()).map(str::to_owned);
        Ok(Some(GoldRow {
            line,
            unit,
            rater: rater.to_owned(),
            fields,
            session: filled("session"),
            split,
            probability,
            stratum: filled("stratum"),
            note: filled("note"),
            date: filled("date"),
        }))
    }

    fn cell(&self, line: u64, message: String, hint: &str) -> GoldError {
        GoldError::Cell { path: self.path.to_owned(), line, message, hint: hint.to_owned() }
    }

    fn csv_error(&self, error: &csv::Error, line: u64) -> GoldError {
        GoldError::Csv { path: self.path.to_owned(), line, message: reason(error) }
    }
}

#[cfg(test)]
mod tests;
