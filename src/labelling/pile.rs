//! Which units are to be labelled: those of a sheet that `sample` drew, of a list, of runs, or all of some sessions.

use crate::codebook::{Codebook, UnitKind};
use crate::gold::{Gold, GoldError, GoldRow, Split};
use crate::unit::UnitId;
use miette::Diagnostic;
use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};

/// A unit on the pile, with what its draw says about it. A rater sees none of the latter: a stratum may be a model's label.
#[derive(Debug, Clone, PartialEq)]
pub struct Card {
    /// The unit.
    pub unit: UnitId,
    /// Columns of a gold row: `session`, `split`, `probability`, `stratum`.
    pub design: BTreeMap<String, String>,
}

/// Why a list of units cannot be used.
#[derive(Debug, thiserror::Error, Diagnostic)]
pub enum PileError {
    /// The file cannot be read.
    #[error("cannot read {path}: {source}", path = path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A line is no unit of the task.
    #[error("{path}:{line}: `{text}` is no {kind} unit", path = path.display())]
    #[diagnostic(help(
        "write one id a line, or a CSV file with a column `unit`; prompts are `agent:session-id#n`, sessions `agent:session-id`"
    ))]
    NoUnit {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: u64,
        /// What stands there.
        text: String,
        /// `session` or `prompt`.
        kind: &'static str,
    },
    /// The sheet is no gold file.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Sheet(#[from] GoldError),
}

impl Card {
    /// A unit of which nothing else is known.
    pub fn of(unit: UnitId) -> Card {
        Card { unit, design: BTreeMap::new() }
    }

    /// The unit of a row, with what the row says of its draw.
    pub(super) fn of_row(row: GoldRow) -> Card {
        let split = row.split.map(|split| if split == Split::Dev { "dev" } else { "test" }.to_owned());
        // Where it follows from the unit's id, nobody needs a column for it.
        let session = row.session.filter(|session| *session != row.unit.session().as_str());
        let columns = [
            ("session", session),
            ("split", split),
            ("probability", row.probability.map(|value| value.to_string())),
            ("stratum", row.stratum),
        ];
        let design = columns.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect();
        Card { unit: row.unit, design }
    }
}

/// The units of a sheet, in its order, and who is to fill it in, if it names one rater.
pub fn of_sheet(path: &Path, codebook: &Codebook) -> Result<(Vec<Card>, Option<String>), PileError> {
    let sheet = Gold::read(path, codebook)?;
    let raters = sheet.raters();
    let rater = if let [only] = raters.as_slice() { Some((*only).to_owned()) } else { None };
    Ok((each_once(sheet.rows.into_iter().map(Card::of_row)), rater))
}

/// The units of a list: one id a line, or the column `unit` of a CSV file.
pub fn of_list(path: &Path, kind: UnitKind) -> Result<Vec<Card>, PileError> {
    let io = |source| PileError::Io { path: path.to_owned(), source };
    let text = std::fs::read_to_string(path).map_err(io)?;
    let text = text.trim_start_matches('\u{feff}');
    let column = text.lines().next().and_then(|line| line.split(',').position(|cell| cell.trim() == "unit"));
    let mut found: Vec<(u64, String)> = Vec::new();
    match column {
        Some(column) => {
            let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(text.as_bytes());
            for record in reader.records() {
                let record = record.map_err(|error| io(std::io::Error::other(error)))?;
                let line = record.position().map_or(0, csv::Position::line);
                found.push((line, record.get(column).unwrap_or_default().to_owned()));
            }
        }
        None => found.extend((1..).zip(text.lines()).map(|(line, text)| (line, text.trim().to_owned()))),
    }
    found.retain(|(_, text)| !text.is_empty());
    for (line, text) in &found {
        let unit = UnitId::from_text(text.as_str());
        if unit.is_prompt() != (kind == UnitKind::Prompt) || !text.contains(':') {
            let (path, line, text) = (path.to_owned(), *line, text.clone());
            return Err(PileError::NoUnit { path, line, text, kind: kind.name() });
        }
    }
    Ok(each_once(found.into_iter().map(|(_, text)| Card::of(UnitId::from_text(text)))))
}

/// Units of which nothing else is known, in order.
pub fn of_units(units: impl IntoIterator<Item = UnitId>) -> Vec<Card> {
    each_once(units.into_iter().map(Card::of))
}

fn each_once(cards: impl Iterator<Item = Card>) -> Vec<Card> {
    let mut seen = HashSet::new();
    cards.filter(|card| seen.insert(card.unit.clone())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_a_line_a_unit_or_a_column_of_a_table() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("units.txt");
        let units = |text: &str, kind: UnitKind| {
            std::fs::write(&path, text).unwrap();
            let cards = of_list(&path, kind)?;
            Ok::<_, PileError>(cards.into_iter().map(|card| card.unit.to_string()).collect::<Vec<_>>())
        };
        let prompts = ["codex:a#1", "codex:b#2"];
        for text in ["codex:a#1\r\n\ncodex:b#2\ncodex:a#1", "label,unit\n\"x, y\",codex:a#1\nno,codex:b#2\n"] {
            assert_eq!(units(text, UnitKind::Prompt).unwrap(), prompts);
        }
        let error = units("codex:a#1\ncodex:b\n", UnitKind::Prompt).unwrap_err();
        assert!(error.to_string().ends_with("units.txt:2: `codex:b` is no prompt unit"), "{error}");
        assert!(units("hello\n", UnitKind::Session).is_err());
    }
}
