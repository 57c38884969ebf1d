//! Writing a run: takes rows however they arrive, gives files in unit order. `annotations.jsonl` has a row a unit and sample; the flat files
//! have a row a unit, which is the vote where there are several samples.

use super::table::{self, AnnotationTable, SAMPLES};
use super::vote::{Ballot, Vote, VoteColumn, Voting};
use super::{Annotation, RunError, Totals};
use crate::codebook::{Codebook, FieldKind};
use crate::frame::Kind;
use crate::usage::Usage;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

/// Is shown each row as it is written.
pub type Witness<'w> = &'w mut dyn FnMut(&Annotation);

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
    /// Where units have several samples, those of one unit, which vote.
    ballot: Option<Ballot>,
    totals: Totals,
}

/// A column of the flat files that holds a field or a part of one.
pub(super) struct Column {
    field: String,
    part: Option<String>,
    pub(super) kind: Kind,
}

impl Column {
    pub(super) fn name(&self) -> String {
        match &self.part {
            Some(part) => format!("{}.{part}", self.field),
            None => self.field.clone(),
        }
    }

    pub(super) fn value<'a>(&self, row: &'a Annotation) -> Option<&'a Value> {
        let value = row.fields.get(&self.field);
        match &self.part {
            Some(part) => value.and_then(|value| value.get(part)),
            None => value,
        }
    }
}

impl Writer {
    /// Begins to write the run in `folder`, with so many samples a unit.
    pub fn create(folder: &Path, codebook: &Codebook, samples: u32) -> Result<Writer, RunError> {
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
        let ballot = (samples > 1).then(|| Voting::new(codebook).begin());
        let columns_voted_on = ballot.iter().flat_map(|ballot| ballot.voting().columns());
        let voted: Vec<String> = columns_voted_on.map(agreement_name).collect();
        let table = AnnotationTable::create(&path, &columns, &voted);
        let mut writer = Writer {
            table: table.map_err(|source| RunError::Io { action: "write", path, source })?,
            folder: folder.to_owned(),
            jsonl: BufWriter::new(open("annotations.jsonl.new")?),
            csv: csv::Writer::from_writer(open("annotations.csv.new")?),
            columns,
            next: 0,
            waiting: BTreeMap::new(),
            ballot,
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
            .chain(writer.ballot.iter().flat_map(|_| SAMPLES.map(str::to_owned)))
            .chain(voted)
            .collect();
        writer.csv.write_record(&header).map_err(|error| writer.csv_error(error))?;
        Ok(writer)
    }

    /// Takes the row at `position` of the run's order.
    pub fn put(&mut self, position: usize, row: Annotation, witness: Witness<'_>) -> Result<(), RunError> {
        if position == self.next {
            self.next += 1;
            self.write(row, witness)?;
        } else {
            self.waiting.insert(position, Some(row));
        }
        self.catch_up(witness)
    }

    /// There will be no row at `position`.
    pub fn leave_out(&mut self, position: usize, witness: Witness<'_>) -> Result<(), RunError> {
        self.waiting.insert(position, None);
        self.catch_up(witness)
    }

    /// How many rows wait for earlier ones.
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    fn catch_up(&mut self, witness: Witness<'_>) -> Result<(), RunError> {
        while let Some(row) = self.waiting.remove(&self.next) {
            self.next += 1;
            row.map_or(Ok(()), |row| self.write(row, witness))?;
        }
        Ok(())
    }

    /// What was taken so far.
    pub fn totals(&self) -> &Totals {
        &self.totals
    }

    /// Writes what is still waiting (rows after a gap, in a run that was stopped) and moves the files to their names.
    pub fn finish(mut self, units: usize, witness: Witness<'_>) -> Result<Totals, RunError> {
        for row in std::mem::take(&mut self.waiting).into_values().flatten() {
            self.write(row, witness)?;
        }
        let last = self.ballot.as_mut().and_then(Ballot::end);
        last.map_or(Ok(()), |vote| self.flat(&vote.row, Some(&vote)))?;
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

    fn write(&mut self, row: Annotation, witness: Witness<'_>) -> Result<(), RunError> {
        self.totals.add(&row);
        witness(&row);
        let line = serde_json::to_string(&row).expect("a row has only string keys");
        writeln!(self.jsonl, "{line}").map_err(|source| RunError::Io {
            action: "write",
            path: self.folder.join("annotations.jsonl.new"),
            source,
        })?;
        match &mut self.ballot {
            None => self.flat(&row, None),
            Some(ballot) => ballot.put(row).map_or(Ok(()), |vote| self.flat(&vote.row, Some(&vote))),
        }
    }

    /// Writes a row of the flat files, with how far samples agree with it.
    fn flat(&mut self, row: &Annotation, vote: Option<&Vote>) -> Result<(), RunError> {
        if let Some(table) = &mut self.table {
            table.row(row, &self.columns, vote).map_err(|source| RunError::Io {
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
        if let Some(vote) = vote {
            record.extend([vote.samples.to_string(), vote.answered.to_string()]);
            let figures = vote.agreement.iter().map(|one| one.share.or(one.sd));
            record.extend(figures.map(|figure| figure.map(|figure| figure.to_string()).unwrap_or_default()));
        }
        self.csv.write_record(&record).map_err(|error| self.csv_error(error))
    }

    fn csv_error(&self, error: csv::Error) -> RunError {
        RunError::Io { action: "write", path: self.folder.join("annotations.csv.new"), source: io::Error::other(error) }
    }
}

/// The name of the column that says how far samples agree.
fn agreement_name(column: &VoteColumn) -> String {
    format!("{}.{}", if column.is_share() { "vote_share" } else { "vote_sd" }, column.name())
}
