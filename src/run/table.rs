//! `annotations.parquet`: the columns of `annotations.csv` with their types, nulls for what is empty there.

use super::Annotation;
use super::vote::Vote;
use super::writer::Column as FieldColumn;
use crate::codebook::FieldKind;
use crate::frame::{Cell, Column, Format, Kind, Writer};
use crate::usage::Usage;
use serde_json::Value;
use std::borrow::Cow;
use std::fs::File;
use std::io::{self, BufWriter};
use std::path::Path;

/// The columns before those of the codebook's fields.
const BEFORE: [Column; 7] = [
    Column::always("unit", Kind::Text),
    Column::always("session", Kind::Text),
    Column::always("task", Kind::Text),
    Column::always("rater", Kind::Text),
    Column::always("sample", Kind::Integer),
    Column::always("status", Kind::Text),
    Column::nullable("detail", Kind::Text),
];

/// The columns after them.
const AFTER: [Column; 13] = [
    Column::always("evidence_cited", Kind::Integer),
    Column::always("evidence_found", Kind::Integer),
    Column::always("coverage_tokens", Kind::Real),
    Column::always("coverage_prompts", Kind::Real),
    Column::nullable("input", Kind::Integer),
    Column::nullable("cached_input", Kind::Integer),
    Column::nullable("cache_write", Kind::Integer),
    Column::nullable("output", Kind::Integer),
    Column::nullable("reasoning", Kind::Integer),
    Column::nullable("cost_usd", Kind::Real),
    Column::always("cached", Kind::Flag),
    Column::always("attempts", Kind::Integer),
    Column::always("latency_ms", Kind::Integer),
];

/// The columns after these where there are several samples, before those that say how far they agree.
pub(super) const SAMPLES: [&str; 2] = ["samples", "samples_answered"];

/// Writes the rows of a run as Parquet.
pub(super) struct AnnotationTable {
    writer: Writer<BufWriter<File>>,
}

impl AnnotationTable {
    /// Begins the file, with columns for how far samples agree where there are several; none where the program is built without Parquet.
    pub(super) fn create(path: &Path, fields: &[FieldColumn], voted: &[String]) -> io::Result<Option<AnnotationTable>> {
        if Format::Parquet.check().is_err() {
            return Ok(None);
        }
        let mut columns = BEFORE.to_vec();
        for field in fields {
            let name = field.name();
            // In Parquet a name has one column; a codebook may have a field of any name.
            let is_taken = columns.iter().chain(&AFTER).any(|column| column.name == name)
                || (!voted.is_empty() && (voted.contains(&name) || SAMPLES.contains(&name.as_str())));
            let name = if is_taken { format!("fields.{name}") } else { name };
            columns.push(Column { name: Cow::Owned(name), kind: field.kind, nullable: true });
        }
        columns.extend(AFTER);
        if !voted.is_empty() {
            columns.extend(SAMPLES.map(|name| Column::always(name, Kind::Integer)));
            let real = |name: &String| Column { name: Cow::Owned(name.clone()), kind: Kind::Real, nullable: true };
            columns.extend(voted.iter().map(real));
        }
        let writer = Writer::new(BufWriter::new(File::create(path)?), Format::Parquet, columns)?;
        Ok(Some(AnnotationTable { writer }))
    }

    /// Writes a row.
    pub(super) fn row(&mut self, row: &Annotation, fields: &[FieldColumn], vote: Option<&Vote>) -> io::Result<()> {
        let mut cells: Vec<Cell<'_>> = vec![
            row.unit.as_str().into(),
            row.session.as_str().into(),
            row.task.as_str().into(),
            row.rater.as_str().into(),
            row.sample.into(),
            row.status.name().into(),
            row.detail.as_deref().into(),
        ];
        cells.extend(fields.iter().map(|field| field.value(row).map_or(Cell::Null, |value| cell(value, field.kind))));
        let found = row.evidence.iter().filter(|evidence| evidence.found).count();
        let tokens =
            |count: fn(&Usage) -> u64| row.usage.as_ref().map_or(Cell::Null, |usage| Cell::count(count(usage)));
        cells.extend([
            Cell::count(row.evidence.len()),
            Cell::count(found),
            row.coverage.tokens.into(),
            row.coverage.prompts.into(),
            tokens(|usage| usage.input),
            tokens(|usage| usage.cached_input),
            tokens(|usage| usage.cache_write),
            tokens(|usage| usage.output),
            tokens(|usage| usage.reasoning),
            row.cost_usd.into(),
            row.cached.into(),
            row.attempts.into(),
            Cell::count(row.latency_ms),
        ]);
        if let Some(vote) = vote.filter(|vote| !vote.agreement.is_empty()) {
            cells.extend([Cell::count(vote.samples), Cell::count(vote.answered)]);
            cells.extend(vote.agreement.iter().map(|one| Cell::from(one.share.or(one.sd))));
        }
        self.writer.row(&cells)
    }

    /// Ends the file.
    pub(super) fn finish(self) -> io::Result<()> {
        self.writer.finish().map(drop)
    }
}

/// What the answers to a field, or to a part of it, are in a table.
pub(super) fn kind(field: &FieldKind) -> Kind {
    match field {
        FieldKind::Label(_) | FieldKind::Text | FieldKind::Evidence => Kind::Text,
        FieldKind::Labels(_) => Kind::Texts,
        FieldKind::Score(_) => Kind::Integer,
        FieldKind::Number | FieldKind::Shares(_) => Kind::Real,
        FieldKind::Flag { .. } | FieldKind::Criteria(_) => Kind::Flag,
    }
}

/// An answer as a cell; null where there is none.
fn cell(value: &Value, kind: Kind) -> Cell<'_> {
    match kind {
        Kind::Text | Kind::Time => value.as_str().into(),
        Kind::Texts => match value {
            Value::Array(items) => Cell::Texts(items.iter().filter_map(Value::as_str).collect()),
            _ => Cell::Null,
        },
        Kind::Integer => value.as_i64().map_or(Cell::Null, Cell::Integer),
        Kind::Real => value.as_f64().into(),
        Kind::Flag => value.as_bool().into(),
    }
}
