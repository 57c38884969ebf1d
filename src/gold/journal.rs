//! The journal beside a gold file: what people did when they labelled, in order. `gold/<task>.labelling.jsonl`, one JSON object a line.
//!
//! It holds what a gold file has no place for: evidence, what was skipped, how long an answer took, and that somebody looked at a model's
//! answer. Lines are only ever added. The gold file says what counts; a line is written after the row that it tells of.

use crate::answer::Evidence;
use crate::unit::UnitId;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// The version of the lines.
pub const FORMAT: u32 = 1;

/// What somebody did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum What {
    /// Answered, or changed an answer.
    Answer,
    /// Put the unit off.
    Skip,
    /// Took the last answer or skip back.
    Undo,
    /// Decided on the gold answer.
    Adjudicated,
    /// Looked at a model's answer before deciding.
    ModelShown,
}

/// One line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// Version of the line.
    pub format: u32,
    /// When.
    pub at: Timestamp,
    /// Whose answer it is about; `gold` when adjudicating.
    pub rater: String,
    /// The unit.
    pub unit: UnitId,
    /// What was done.
    pub what: What,
    /// The answer, where there is one; after an undo, the one that counts again.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub fields: Map<String, Value>,
    /// The evidence, checked against the transcript.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub evidence: Vec<Evidence>,
    /// The note, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// Seconds that the unit was in front of the person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seconds: Option<f64>,
    /// What the unit is after an undo: `todo`, `done` or `skipped`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
    /// The run whose answer was looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<String>,
    /// Who decided, when adjudicating.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// How it was decided: `taken` from a rater, `mean`, `agreed`, or `decided` anew.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub how: Option<String>,
    /// The codebook's version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub codebook: Option<String>,
}

impl Entry {
    /// A line without an answer.
    pub fn new(rater: &str, unit: &UnitId, what: What) -> Entry {
        Entry {
            format: FORMAT,
            at: Timestamp::now(),
            rater: rater.to_owned(),
            unit: unit.clone(),
            what,
            fields: Map::new(),
            evidence: Vec::new(),
            note: None,
            seconds: None,
            state: None,
            run: None,
            by: None,
            how: None,
            codebook: None,
        }
    }
}

/// Where the journal of a gold file is.
pub fn path_beside(gold: &Path) -> PathBuf {
    gold.with_extension("labelling.jsonl")
}

/// The lines, in order, and how many of them say nothing: a process that was killed may leave half a line. Without a file there are none.
pub fn read(path: &Path) -> io::Result<(Vec<Entry>, usize)> {
    let bytes = match std::fs::read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok((Vec::new(), 0)),
        read => read?,
    };
    let lines = bytes.split(|byte| *byte == b'\n').filter(|line| !line.trim_ascii().is_empty());
    let (mut entries, mut unread) = (Vec::new(), 0);
    for line in lines {
        match serde_json::from_slice(line) {
            Ok(entry) => entries.push(entry),
            Err(_) => unread += 1,
        }
    }
    Ok((entries, unread))
}

/// Adds lines, which are on disk when this returns. Whoever calls it holds the lock of the gold file.
pub(super) fn append(path: &Path, entries: &[Entry]) -> io::Result<()> {
    if entries.is_empty() {
        return Ok(());
    }
    let is_new = !path.exists();
    let mut file = OpenOptions::new().create(true).read(true).append(true).open(path)?;
    let mut text = String::new();
    if !ends_with_line(&mut file)? {
        text.push('\n');
    }
    for entry in entries {
        text.push_str(&serde_json::to_string(entry).expect("a line has only string keys"));
        text.push('\n');
    }
    file.write_all(text.as_bytes())?;
    file.sync_data()?;
    if is_new { super::file::sync_folder(path) } else { Ok(()) }
}

fn ends_with_line(file: &mut File) -> io::Result<bool> {
    if file.seek(SeekFrom::End(0))? == 0 {
        return Ok(true);
    }
    file.seek(SeekFrom::End(-1))?;
    let mut last = [0];
    file.read_exact(&mut last)?;
    Ok(last == *b"\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_added_and_half_a_line_costs_only_itself() {
        let folder = tempfile::tempdir().unwrap();
        let path = path_beside(&folder.path().join("tone.csv"));
        assert_eq!(path.file_name().unwrap(), "tone.labelling.jsonl");
        assert_eq!(read(&path).unwrap(), (vec![], 0));
        let unit = UnitId::from_text("codex:s#1");
        let mut answer = Entry::new("ada", &unit, What::Answer);
        answer.fields.insert("label".to_owned(), "calm".into());
        answer.evidence.push(Evidence { event: 3, quote: "line\nbreak".to_owned(), found: true });
        let shown = Entry { run: Some("cues".to_owned()), ..Entry::new("gold", &unit, What::ModelShown) };
        append(&path, std::slice::from_ref(&answer)).unwrap();
        append(&path, std::slice::from_ref(&shown)).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.contains("\"what\":\"model-shown\"") && text.lines().count() == 2, "{text}");
        std::fs::write(&path, format!("{text}{{\"format\":1,\"at\":\"20")).unwrap();
        append(&path, std::slice::from_ref(&answer)).unwrap();
        assert_eq!(read(&path).unwrap(), (vec![answer.clone(), shown, answer], 1));
    }
}
