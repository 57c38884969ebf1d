//! A run: one task by one rater over many units, as files. `annotations.jsonl`, `.csv` and, where it is built in, `.parquet`;
//! `manifest.json`, `summary.json`.
//!
//! Files are written beside their names and moved there when they are whole: a reader never sees half a run.

mod error;
mod table;

pub use error::RunError;

use crate::answer::Evidence;
use crate::codebook::{Codebook, FieldKind};
use crate::frame::Kind;
use crate::material::Coverage;
use crate::redact::Redactions;
use crate::session::SessionId;
use crate::unit::UnitId;
use crate::usage::Usage;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};
use table::AnnotationTable;

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
    /// `PROVIDER/MODEL@task-hash`.
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
    /// Tokens of all requests of the unit; `None` where nobody told.
    pub usage: Option<Usage>,
    /// What the unit cost, whoever paid; `None` where the price is unknown.
    pub cost_usd: Option<f64>,
    /// Whether another run had paid for the answer.
    pub cached: bool,
    /// Requests sent.
    pub attempts: u32,
    /// Time of the requests that were answered, in milliseconds.
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
    /// `PROVIDER/MODEL@task-hash`.
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
    /// The first units only.
    pub limit: Option<usize>,
    /// Seed of the order in which units were drawn for the limit.
    pub shuffle: Option<u64>,
    /// Whether secrets, e-mail addresses and home names were replaced before the rater saw a session.
    #[serde(default)]
    pub redacted: bool,
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

/// Writes a run's rows in unit order, however they arrive.
pub struct Writer {
    folder: PathBuf,
    jsonl: BufWriter<File>,
    csv: csv::Writer<File>,
    /// None where the program is built without Parquet.
    table: Option<AnnotationTable>,
    columns: Vec<Column>,
    next: usize,
    /// Rows that came before their turn; `None` for units that get none.
    waiting: BTreeMap<usize, Option<Annotation>>,
    totals: Totals,
}

/// A column of the flat files that holds a field or a part of one.
struct Column {
    field: String,
    part: Option<String>,
    kind: Kind,
}

impl Column {
    fn name(&self) -> String {
        match &self.part {
            Some(part) => format!("{}.{part}", self.field),
            None => self.field.clone(),
        }
    }

    fn value<'a>(&self, row: &'a Annotation) -> Option<&'a Value> {
        let value = row.fields.get(&self.field);
        match &self.part {
            Some(part) => value.and_then(|value| value.get(part)),
            None => value,
        }
    }
}

impl Writer {
    /// Begins to write the run in `folder`.
    pub fn create(folder: &Path, codebook: &Codebook) -> Result<Writer, RunError> {
        fs::create_dir_all(folder).map_err(|source| RunError::Io {
            action: "create",
            path: folder.to_owned(),
            source,
        })?;
        let open = |name: &str| {
            let path = folder.join(name);
            File::create(&path).map_err(|source| RunError::Io { action: "write", path, source })
        };
        let columns: Vec<Column> = codebook
            .fields
            .iter()
            .filter(|field| !matches!(field.kind, FieldKind::Evidence))
            .flat_map(|field| {
                let parts: Vec<Option<String>> = match &field.kind {
                    FieldKind::Shares(parts) => parts.iter().map(|part| Some(part.name.clone())).collect(),
                    FieldKind::Criteria(criteria) => criteria.iter().map(|one| Some(one.name.clone())).collect(),
                    _ => vec![None],
                };
                let kind = table::kind(&field.kind);
                parts.into_iter().map(move |part| Column { field: field.name.clone(), part, kind })
            })
            .collect();
        let path = folder.join("annotations.parquet.new");
        let table = AnnotationTable::create(&path, &columns);
        let mut writer = Writer {
            table: table.map_err(|source| RunError::Io { action: "write", path, source })?,
            folder: folder.to_owned(),
            jsonl: BufWriter::new(open("annotations.jsonl.new")?),
            csv: csv::Writer::from_writer(open("annotations.csv.new")?),
            columns,
            next: 0,
            waiting: BTreeMap::new(),
            totals: Totals::default(),
        };
        let names = writer.columns.iter().map(Column::name);
        let header: Vec<String> = ["unit", "session", "task", "rater", "sample", "status", "detail"]
            .into_iter()
            .map(str::to_owned)
            .chain(names)
            .chain(
                [
                    "evidence_cited",
                    "evidence_found",
                    "coverage_tokens",
                    "coverage_prompts",
                    "input",
                    "cached_input",
                    "cache_write",
                    "output",
                    "reasoning",
                    "cost_usd",
                    "cached",
                    "attempts",
                    "latency_ms",
                ]
                .into_iter()
                .map(str::to_owned),
            )
            .collect();
        writer.csv.write_record(&header).map_err(|error| writer.csv_error(error))?;
        Ok(writer)
    }

    /// Takes the row at `position` of the run's order.
    pub fn put(&mut self, position: usize, row: Annotation) -> Result<(), RunError> {
        if position == self.next {
            self.next += 1;
            self.write(&row)?;
        } else {
            self.waiting.insert(position, Some(row));
        }
        self.catch_up()
    }

    /// There will be no row at `position`.
    pub fn leave_out(&mut self, position: usize) -> Result<(), RunError> {
        self.waiting.insert(position, None);
        self.catch_up()
    }

    /// How many rows wait for earlier ones.
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    fn catch_up(&mut self) -> Result<(), RunError> {
        while let Some(row) = self.waiting.remove(&self.next) {
            self.next += 1;
            row.map_or(Ok(()), |row| self.write(&row))?;
        }
        Ok(())
    }

    /// What was taken so far.
    pub fn totals(&self) -> &Totals {
        &self.totals
    }

    /// Writes what is still waiting (rows after a gap, in a run that was stopped) and moves the files to their names.
    pub fn finish(mut self, units: usize) -> Result<Totals, RunError> {
        for row in std::mem::take(&mut self.waiting).into_values().flatten() {
            self.write(&row)?;
        }
        self.totals.units = units;
        let io = |action, path: PathBuf| move |source| RunError::Io { action, path, source };
        self.jsonl.flush().map_err(io("write", self.folder.join("annotations.jsonl.new")))?;
        self.csv.flush().map_err(io("write", self.folder.join("annotations.csv.new")))?;
        let mut names = vec!["annotations.jsonl", "annotations.csv"];
        let parquet = self.folder.join("annotations.parquet");
        if let Some(table) = self.table {
            table.finish().map_err(io("write", parquet))?;
            names.push("annotations.parquet");
        } else if parquet.exists() {
            // Another build wrote it, of other rows.
            fs::remove_file(&parquet).map_err(io("remove", parquet))?;
        }
        for name in names {
            let (new, path) = (self.folder.join(format!("{name}.new")), self.folder.join(name));
            fs::rename(&new, &path).map_err(io("write", path))?;
        }
        Ok(self.totals)
    }

    fn write(&mut self, row: &Annotation) -> Result<(), RunError> {
        self.totals.add(row);
        let line = serde_json::to_string(row).expect("a row has only string keys");
        writeln!(self.jsonl, "{line}").map_err(|source| RunError::Io {
            action: "write",
            path: self.folder.join("annotations.jsonl.new"),
            source,
        })?;
        if let Some(table) = &mut self.table {
            table.row(row, &self.columns).map_err(|source| RunError::Io {
                action: "write",
                path: self.folder.join("annotations.parquet.new"),
                source,
            })?;
        }
        let plain = |value: Option<&Value>| match value {
            None | Some(Value::Null) => String::new(),
            Some(Value::String(text)) => text.clone(),
            Some(Value::Array(items)) => items.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(";"),
            Some(other) => other.to_string(),
        };
        let mut record = vec![
            row.unit.to_string(),
            row.session.to_string(),
            row.task.clone(),
            row.rater.clone(),
            row.sample.to_string(),
            row.status.name().to_owned(),
            row.detail.clone().unwrap_or_default(),
        ];
        record.extend(self.columns.iter().map(|column| plain(column.value(row))));
        let found = row.evidence.iter().filter(|evidence| evidence.found).count();
        let token =
            |count: fn(&Usage) -> u64| row.usage.as_ref().map(|usage| count(usage).to_string()).unwrap_or_default();
        record.extend([
            row.evidence.len().to_string(),
            found.to_string(),
            row.coverage.tokens.to_string(),
            row.coverage.prompts.to_string(),
            token(|usage| usage.input),
            token(|usage| usage.cached_input),
            token(|usage| usage.cache_write),
            token(|usage| usage.output),
            token(|usage| usage.reasoning),
            row.cost_usd.map(|cost| cost.to_string()).unwrap_or_default(),
            row.cached.to_string(),
            row.attempts.to_string(),
            row.latency_ms.to_string(),
        ]);
        self.csv.write_record(&record).map_err(|error| self.csv_error(error))
    }

    fn csv_error(&self, error: csv::Error) -> RunError {
        RunError::Io { action: "write", path: self.folder.join("annotations.csv.new"), source: io::Error::other(error) }
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
        for (at, line) in file.lines().enumerate() {
            let row = serde_json::from_str(&line.map_err(io)?).map_err(|error| RunError::Invalid {
                path: path.clone(),
                line: at + 1,
                message: error.to_string(),
            })?;
            visit(row);
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
