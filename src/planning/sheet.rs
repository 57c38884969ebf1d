//! The sheet that humans fill in: the columns of a gold file, with the answers empty.
//!
//! Once the answers are in, its rows can be gold as they are: unit, rater, answers, session, split, probability, stratum.

use super::sample::Sample;
use crate::codebook::{Codebook, FieldKind};
use serde::Deserialize;
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Why a sheet was not written.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
pub enum SheetError {
    /// There is another file.
    #[error("{path} is here already, and is another sheet", path = .0.display())]
    #[diagnostic(help("name another file with --out; a sheet is never overwritten, for there may be answers in it"))]
    Exists(PathBuf),
    /// It cannot be written.
    #[error("cannot write {path}: {source}", path = path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// What became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Written {
    /// Written.
    New,
    /// The same sheet was there.
    AlreadyThere,
}

/// The sheet as CSV: the drawn units that the gold does not have, in order; `rater` is who will fill it in.
pub fn sheet(sample: &Sample, codebook: &Codebook, rater: &str) -> Vec<u8> {
    let fields: Vec<&str> = (codebook.fields.iter())
        .filter(|field| !matches!(field.kind, FieldKind::Evidence))
        .map(|field| field.name.as_str())
        .collect();
    let mut writer = csv::Writer::from_writer(Vec::new());
    let header = ["unit", "rater"].into_iter().chain(fields.iter().copied());
    let header = header.chain(["session", "split", "probability", "stratum", "note", "date"]);
    let mut records: Vec<Vec<String>> = vec![header.map(str::to_owned).collect()];
    for unit in sample.units.iter().filter(|unit| !unit.in_gold) {
        let mut record = vec![unit.unit.clone(), rater.to_owned()];
        record.extend(fields.iter().map(|_| String::new()));
        let probability = unit.probability.to_string();
        record.extend([unit.session.clone(), unit.split.to_owned(), probability, unit.stratum.clone()]);
        record.extend([String::new(), String::new()]);
        records.push(record);
    }
    for record in records {
        writer.write_record(record).expect("memory takes every record, and all have as many cells");
    }
    writer.into_inner().expect("memory takes every record")
}

/// Where the design of a sheet is kept: beside it.
pub fn design_path(sheet: &Path) -> PathBuf {
    sheet.with_extension("design.json")
}

/// A design as it was saved, as far as it says where strata come from.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct SavedDesign {
    /// First digits of its hash.
    pub id: String,
    /// The task.
    pub task: String,
    /// `uniform`, `label` or `disagreement`.
    pub by: String,
    /// The runs that it looked at.
    #[serde(default)]
    pub runs: Vec<String>,
    /// The field that it looked at.
    #[serde(default)]
    pub field: Option<String>,
}

/// The designs of a task's samples in a folder, in the order of their files' names. What is none is passed over.
pub fn saved_designs(folder: &Path, task: &str) -> Vec<SavedDesign> {
    let mut paths: Vec<PathBuf> =
        fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    paths.retain(|path| path.to_string_lossy().ends_with(".design.json"));
    paths.sort();
    let read = |path: &PathBuf| serde_json::from_slice::<SavedDesign>(&fs::read(path).ok()?).ok();
    paths.iter().filter_map(read).filter(|design| design.task == task).collect()
}

/// Writes a sheet and its design, unless the same sheet is there. Neither is ever overwritten.
pub fn write(path: &Path, sheet: &[u8], design: &[u8]) -> Result<Written, SheetError> {
    let io = |path: &Path| {
        let path = path.to_owned();
        move |source| SheetError::Io { path, source }
    };
    match fs::read(path) {
        Ok(there) if there == sheet => return Ok(Written::AlreadyThere),
        Ok(_) => return Err(SheetError::Exists(path.to_owned())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(source) => return Err(io(path)(source)),
    }
    let beside = design_path(path);
    if beside.exists() {
        return Err(SheetError::Exists(beside));
    }
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        fs::create_dir_all(folder).map_err(io(folder))?;
    }
    for (path, bytes) in [(beside.as_path(), design), (path, sheet)] {
        let mut file = OpenOptions::new().write(true).create_new(true).open(path).map_err(io(path))?;
        file.write_all(bytes).map_err(io(path))?;
    }
    Ok(Written::New)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sheet_is_written_once_and_never_over_another_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("gold/tone.sample.csv");
        assert_eq!(write(&path, b"unit\n", b"{}").unwrap(), Written::New);
        assert_eq!(fs::read(design_path(&path)).unwrap(), b"{}");
        assert_eq!(write(&path, b"unit\n", b"{\"later\":1}").unwrap(), Written::AlreadyThere);
        assert!(matches!(write(&path, b"unit,rater\n", b"{}"), Err(SheetError::Exists(_))));
        assert_eq!(fs::read(&path).unwrap(), b"unit\n");
        fs::remove_file(&path).unwrap();
        assert!(matches!(write(&path, b"unit\n", b"{}"), Err(SheetError::Exists(_))), "the design is kept, too");
    }
}
