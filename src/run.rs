//! A run: one task by one rater over many units, as files. `annotations.jsonl`, `.csv` and, where it is built in, `.parquet`;
//! `manifest.json`, `summary.json`.
//!
//! Files are written beside their names and moved there when they are whole: a reader never sees half a run.

mod error;
mod table;
pub mod vote;
mod writer;

pub use writer::Writer;

pub use error::RunError;

use crate::answer::Evidence;
use crate::material::Coverage;
use crate::redact::Redactions;
use crate::session::SessionId;
use crate::shard::Shard;
use crate::unit::{Grouping, UnitId};
use crate::usage::Usage;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};

/// The version of the files that this program writes.
pub const FORMAT: u32 = 1;

/// How a unit ended. Every unit of a run has one of these.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Answered in the codebook's form.
    Ok,
    /// Answered, after something harmless was forgiven.
    Repaired,
    /// Answered twice, and never in the codebook's form.
    Invalid,
    /// The model or a filter of the provider declined.
    Refused,
    /// A length limit cut the answer.
    Truncated,
    /// No answer came.
    Failed,
    /// There was nothing to ask.
    Skipped,
}

impl Status {
    /// All of them, in the order of reports.
    pub const ALL: [Status; 7] = [
        Status::Ok,
        Status::Repaired,
        Status::Invalid,
        Status::Refused,
        Status::Truncated,
        Status::Failed,
        Status::Skipped,
    ];

    /// The word in files and tables.
    pub fn name(self) -> &'static str {
        match self {
            Status::Ok => "ok",
            Status::Repaired => "repaired",
            Status::Invalid => "invalid",
            Status::Refused => "refused",
            Status::Truncated => "truncated",
            Status::Failed => "failed",
            Status::Skipped => "skipped",
        }
    }

    /// Whether the unit has an answer.
    pub fn is_answered(self) -> bool {
        matches!(self, Status::Ok | Status::Repaired)
    }

    /// Whether a run with such a unit is not wholly done: it ends with exit code 1.
    pub fn is_trouble(self) -> bool {
        !self.is_answered() && self != Status::Skipped
    }
}

/// One rater's answer on one unit: a row of `annotations.jsonl`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Annotation {
    /// The unit.
    pub unit: UnitId,
    /// Its session.
    pub session: SessionId,
    /// The task.
    pub task: String,
    /// `PROVIDER/MODEL@task-hash`; `/session` behind it where prompts of a session shared a request.
    pub rater: String,
    /// Which of several answers, from 0.
    pub sample: u32,
    /// How it ended.
    pub status: Status,
    /// Why, where it did not end well.
    pub detail: Option<String>,
    /// The answers, in the codebook's order; empty without one.
    pub fields: Map<String, Value>,
    /// Cited evidence, checked.
    pub evidence: Vec<Evidence>,
    /// How much of the session the rater saw.
    pub coverage: Coverage,
    /// Tokens of all requests of the unit, or its part of them where units share requests; `None` where nobody told.
    pub usage: Option<Usage>,
    /// What the unit cost, whoever paid; `None` where the price is unknown.
    pub cost_usd: Option<f64>,
    /// Whether another run had paid for the answer.
    pub cached: bool,
    /// Requests sent. Those that units share are divided over them, so that rows add up to the requests that there were.
    pub attempts: u32,
    /// Time of the requests that were answered, in milliseconds; of a shared one all of it.
    pub latency_ms: u64,
}

/// Where a run's numbers come from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// Version of the files.
    pub format: u32,
    /// The run's name.
    pub run: String,
    /// The task.
    pub task: String,
    /// The codebook.
    pub codebook: FileVersion,
    /// `PROVIDER/MODEL`.
    pub model: String,
    /// `PROVIDER/MODEL@task-hash`; `/session` behind it where prompts of a session shared a request.
    pub rater: String,
    /// Where the model was reached; `None` for the built-in baselines.
    pub endpoint: Option<String>,
    /// What else shaped the answers.
    pub settings: Settings,
    /// The transcripts.
    pub inputs: Vec<FileVersion>,
    /// The program that wrote the run.
    pub program: String,
    /// When the first answer of the run was asked for.
    pub started: Timestamp,
    /// When the files were last written.
    pub finished: Timestamp,
    /// Whether every unit has a row.
    pub complete: bool,
    /// What the run was told of the model on the way, such as a parameter that it refuses.
    pub notes: Vec<String>,
    /// Counts.
    pub totals: Totals,
}

/// A file and its content's hash, or a git repository and that of the transcripts read from it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct FileVersion {
    /// The file, or the repository.
    #[serde(serialize_with = "crate::session::as_text")]
    pub path: PathBuf,
    /// blake3 of its content; of a repository, of the ids of the objects that were read: in order, each once, as hexadecimal digits and a line
    /// end. The ids stand for the objects' bytes.
    pub hash: String,
    /// Of a repository, the commit that its branch of checkpoints stood at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
}

/// What shaped the answers beside codebook, model and transcripts.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    /// Sampling temperature, if one was asked for.
    pub temperature: Option<f64>,
    /// Limit of output tokens, if one was set.
    pub max_output_tokens: Option<u32>,
    /// Answers per unit.
    pub samples: u32,
    /// The condition on sessions, as it was typed.
    #[serde(rename = "where")]
    pub filter: Option<String>,
    /// The part of the sessions that the run is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shard: Option<Shard>,
    /// The first units only.
    pub limit: Option<usize>,
    /// Seed of the order in which units were drawn for the limit.
    pub shuffle: Option<u64>,
    /// Whether secrets, e-mail addresses and home names were replaced before the rater saw a session.
    #[serde(default)]
    pub redacted: bool,
    /// Which units shared a request, if any did; nothing is written where each had its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<Grouping>,
}

/// Counts over a run.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Totals {
    /// Units that the run is about, times samples.
    pub units: usize,
    /// Rows.
    pub rows: usize,
    /// Rows by state.
    pub status: BTreeMap<Status, usize>,
    /// Tokens.
    pub usage: Usage,
    /// Cost of all rows whose cost is known.
    pub cost_usd: Option<f64>,
    /// Rows whose cost is not known.
    pub cost_unknown: usize,
    /// Rows that another run had paid for.
    pub cached: usize,
    /// Requests sent.
    pub attempts: u64,
    /// Citations, and those that the transcript does not hold.
    pub citations: usize,
    /// Citations that the transcript does not hold.
    pub citations_not_found: usize,
    /// What was replaced in the sessions of the run, by kind.
    #[serde(default)]
    pub redactions: Redactions,
}

impl Totals {
    /// What one label costs in US dollars: the cost of all rows, over those that say something. `None` where it is not known of all.
    pub fn cost_per_label_usd(&self) -> Option<f64> {
        let cost = self.cost_usd.filter(|_| self.cost_unknown == 0)?;
        (self.answered() > 0).then(|| cost / self.answered() as f64)
    }

    /// Adds a row.
    pub fn add(&mut self, row: &Annotation) {
        self.rows += 1;
        *self.status.entry(row.status).or_default() += 1;
        self.usage += row.usage.unwrap_or_default();
        match row.cost_usd {
            Some(cost) => *self.cost_usd.get_or_insert(0.0) += cost,
            None => self.cost_unknown += 1,
        }
        self.cached += usize::from(row.cached);
        self.attempts += u64::from(row.attempts);
        self.citations += row.evidence.len();
        self.citations_not_found += row.evidence.iter().filter(|evidence| !evidence.found).count();
    }

    /// Rows with an answer.
    pub fn answered(&self) -> usize {
        self.status.iter().filter(|(status, _)| status.is_answered()).map(|(_, count)| count).sum()
    }

    /// Rows that failed, are invalid, refused or cut.
    pub fn trouble(&self) -> usize {
        self.status.iter().filter(|(status, _)| status.is_trouble()).map(|(_, count)| count).sum()
    }
}

/// Writes a JSON document under its name in one step; leaves an equal file alone.
pub fn write_json(path: &Path, document: &impl Serialize) -> Result<(), RunError> {
    let mut text = serde_json::to_string_pretty(document).expect("our documents have only string keys");
    text.push('\n');
    if fs::read_to_string(path).is_ok_and(|old| old == text) {
        return Ok(());
    }
    let io = |source| RunError::Io { action: "write", path: path.to_owned(), source };
    let new = path.with_extension("json.new");
    fs::write(&new, text).and_then(|()| fs::rename(&new, path)).map_err(io)
}

/// A run on disk.
#[derive(Debug, Clone)]
pub struct Run {
    /// Its folder.
    pub folder: PathBuf,
    /// Where its numbers come from.
    pub manifest: Manifest,
}

impl Run {
    /// The run of this name, or the one in the folder of this path.
    pub fn open(runs: &Path, name: &str) -> Result<Run, RunError> {
        let folder = [runs.join(name), PathBuf::from(name)]
            .into_iter()
            .find(|folder| folder.join("manifest.json").is_file())
            .ok_or_else(|| RunError::Unknown { name: name.to_owned(), folder: runs.to_owned() })?;
        let path = folder.join("manifest.json");
        let text =
            fs::read_to_string(&path).map_err(|source| RunError::Io { action: "read", path: path.clone(), source })?;
        let manifest: Manifest = serde_json::from_str(&text).map_err(|error| RunError::Invalid {
            path: path.clone(),
            line: error.line(),
            message: error.to_string(),
        })?;
        if manifest.format > FORMAT {
            let message = format!("format {} is newer than this program, which knows {FORMAT}", manifest.format);
            return Err(RunError::Invalid { path, line: 1, message });
        }
        Ok(Run { folder, manifest })
    }

    /// All runs in a folder, by name. A folder that is not there has none.
    pub fn list(runs: &Path) -> Result<Vec<Run>, RunError> {
        let mut names: Vec<String> = match fs::read_dir(runs) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(source) => return Err(RunError::Io { action: "read", path: runs.to_owned(), source }),
            Ok(entries) => entries
                .filter_map(|entry| Some(entry.ok()?.path()))
                .filter(|path| path.join("manifest.json").is_file())
                .filter_map(|path| Some(path.file_name()?.to_str()?.to_owned()))
                .collect(),
        };
        names.sort();
        names.iter().map(|name| Run::open(runs, name)).collect()
    }

    /// The rows, in order.
    pub fn annotations(&self) -> Result<Vec<Annotation>, RunError> {
        let mut rows = Vec::new();
        self.rows(|row| rows.push(row))?;
        Ok(rows)
    }

    /// Shows each row to `visit`, in order, or what of it `T` takes.
    pub fn rows<T: for<'de> Deserialize<'de>>(&self, mut visit: impl FnMut(T)) -> Result<(), RunError> {
        let path = self.folder.join("annotations.jsonl");
        let io = |source| RunError::Io { action: "read", path: path.clone(), source };
        let file = BufReader::new(File::open(&path).map_err(io)?);
        let mut rows = 0;
        for (at, line) in file.lines().enumerate() {
            let row = serde_json::from_str(&line.map_err(io)?).map_err(|error| RunError::Invalid {
                path: path.clone(),
                line: at + 1,
                message: error.to_string(),
            })?;
            visit(row);
            rows = at + 1;
        }
        let expected = self.manifest.totals.rows;
        if self.manifest.complete && rows < expected {
            return Err(RunError::Cut { path, rows, expected });
        }
        Ok(())
    }
}

/// A name that is safe as a folder's: letters, digits, `.`, `_` and `-`.
pub fn safe_name(text: &str) -> String {
    let safe: String =
        text.chars().map(|c| if c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-') { c } else { '-' }).collect();
    safe.trim_matches(['.', '-']).to_owned()
}
