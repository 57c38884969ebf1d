//! Takes rows of `conversations`; gives them in the order of the turns, each once, with the texts that are needed.

use crate::table::{Cell, Rows, Span, push};
use crate::usage::Usage;
use jiff::Timestamp;
use std::collections::HashSet;
use std::io;

/// Columns that are read of every row. Any of them may be missing.
const LIGHT: [&str; 16] = [
    "turn_id",
    "turn_number",
    "turn_type",
    "role",
    "timestamp",
    "model",
    "input_tokens",
    "output_tokens",
    "cache_creation_input_tokens",
    "cache_read_input_tokens",
    "is_continuation",
    "tool_name",
    "tool_call_id",
    "queue_op_subtype",
    "prompt_intent",
    "prompt_pushback",
];

/// Columns with long texts, in the order of the fields of [`Row`].
pub(super) const TEXTS: &[&str] = &["content", "tool_input_json", "command", "file_path", "pattern"];

/// Columns of labels, and the tasks that they answer.
const LABELS: [(&str, &str); 2] = [("prompt_intent", "intent"), ("prompt_pushback", "pushback")];

/// What a row is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Turn {
    Prompt,
    Injected,
    Response,
    Thinking,
    Call,
    Result,
    Summary,
    SystemEvent,
    Snapshot,
    Progress,
    Queue(Operation),
    Unknown(String),
}

/// What happened to the queue of prompts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operation {
    Enqueued,
    Delivered,
    Discarded,
    Notice,
    Other,
}

impl Turn {
    /// The turn of these columns; a table without turn types still has roles.
    fn of(kind: Option<String>, role: Option<&str>, operation: Option<&str>) -> Turn {
        match (kind.as_deref(), role) {
            (Some("user_prompt"), _) | (None, Some("user")) => Turn::Prompt,
            (Some("system_injected"), _) => Turn::Injected,
            (Some("assistant_response"), _) | (None, Some("assistant")) => Turn::Response,
            (Some("assistant_thinking"), _) => Turn::Thinking,
            (Some("tool_use"), _) | (None, Some("tool_use")) => Turn::Call,
            (Some("tool_result"), _) | (None, Some("tool_result")) => Turn::Result,
            (Some("summary"), _) => Turn::Summary,
            (Some("system_event"), _) | (None, Some("metadata")) => Turn::SystemEvent,
            (Some("file_snapshot"), _) => Turn::Snapshot,
            (Some("progress"), _) => Turn::Progress,
            (Some("queue_operation"), _) => Turn::Queue(match operation {
                Some("user_prompt_enqueued") => Operation::Enqueued,
                Some("user_prompt_delivered") => Operation::Delivered,
                Some("user_prompt_discarded") => Operation::Discarded,
                Some("task_notification") => Operation::Notice,
                _ => Operation::Other,
            }),
            (Some(other), _) => Turn::Unknown(other.to_owned()),
            (None, role) => Turn::Unknown(format!("role {}", role.unwrap_or("unknown"))),
        }
    }

    /// Whether the row's texts become part of the session.
    pub fn is_told(&self) -> bool {
        !matches!(self, Turn::Thinking | Turn::Snapshot | Turn::Progress | Turn::Unknown(_))
    }

    /// Whether the row's text can be a prompt.
    pub fn may_hold_prompt(&self) -> bool {
        matches!(self, Turn::Prompt | Turn::Injected | Turn::Queue(_))
    }
}

/// A row.
#[derive(Debug, Clone)]
pub(super) struct Row {
    pub turn: Turn,
    pub at: Option<Timestamp>,
    pub model: Option<String>,
    pub usage: Usage,
    pub is_continuation: bool,
    /// Whether the row is metadata rather than said by someone.
    pub is_metadata: bool,
    pub tool: Option<String>,
    pub call: Option<String>,
    /// Labels: task and value.
    pub labels: Vec<(&'static str, String)>,
    pub content: String,
    pub input: Option<String>,
    pub command: Option<String>,
    pub file: Option<String>,
    pub pattern: Option<String>,
}

/// Rows, and what was met on the way.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub rows: Vec<Row>,
    /// Rows that came again under the same `turn_id`.
    pub duplicates: u64,
    /// Cells that could not be read.
    pub damaged: u64,
}

/// Whether the tables of `rows` have labels of prompts at all.
pub(super) fn have_labels(rows: &[&Rows]) -> bool {
    rows.iter().any(|rows| LABELS.iter().any(|(column, _)| rows.table.has(column)))
}

/// A row with what its place among the others depends on.
struct Placed {
    id: Option<String>,
    number: Option<f64>,
    row: Row,
}

/// Reads rows, with the columns `texts` (a beginning of [`TEXTS`]) only where `wanted`.
pub(super) fn read(rows: &[&Rows], wanted: impl Fn(&Turn) -> bool, texts: &[&str]) -> io::Result<Found> {
    let mut placed = Vec::new();
    let mut damaged = 0;
    for rows in rows {
        let first = placed.len();
        let mut batch = rows.table.read(&LIGHT, &rows.spans)?;
        damaged += batch.damaged;
        let mut spans: Vec<Span> = Vec::new();
        let mut of = Vec::new();
        let numbers = rows.spans.iter().flat_map(|span| span.start..span.end);
        for (at, number) in numbers.enumerate() {
            let [
                id,
                turn_number,
                kind,
                role,
                time,
                model,
                input,
                output,
                written,
                cached,
                continuation,
                tool,
                call,
                operation,
                intent,
                pushback,
            ] = std::array::from_fn(|column| batch.take(column, at));
            let role = role.text();
            let turn = Turn::of(kind.text(), role.as_deref(), operation.text().as_deref());
            if wanted(&turn) {
                push(&mut spans, number);
                of.push(first + at);
            }
            placed.push(Placed {
                id: id.text(),
                number: turn_number.number(),
                row: Row {
                    turn,
                    at: time.time(),
                    model: model.text(),
                    usage: Usage {
                        input: input.count().unwrap_or(0),
                        cached_input: cached.count().unwrap_or(0),
                        cache_write: written.count().unwrap_or(0),
                        output: output.count().unwrap_or(0),
                        reasoning: 0,
                    },
                    is_continuation: continuation.flag(),
                    is_metadata: role.as_deref() == Some("metadata"),
                    tool: tool.text(),
                    call: call.text().filter(|id| id != "REDACTED"),
                    labels: LABELS
                        .iter()
                        .zip([intent, pushback])
                        .filter_map(|((_, task), cell)| label(task, cell))
                        .collect(),
                    content: String::new(),
                    input: None,
                    command: None,
                    file: None,
                    pattern: None,
                },
            });
        }
        let mut batch = rows.table.read(texts, &spans)?;
        damaged += batch.damaged;
        for (at, of) in of.into_iter().enumerate() {
            let row = &mut placed[of].row;
            row.content = batch.take(0, at).text().unwrap_or_default();
            row.input = batch.take(1, at).text();
            row.command = batch.take(2, at).text();
            row.file = batch.take(3, at).text();
            row.pattern = batch.take(4, at).text();
        }
    }
    let (rows, duplicates) = in_order(placed);
    Ok(Found { rows, duplicates, damaged })
}

/// A label, unless the cell is empty in one of the ways that writers have.
pub fn label(task: &'static str, cell: Cell) -> Option<(&'static str, String)> {
    let value = cell.text()?.trim().to_owned();
    let is_empty = value.is_empty() || ["nan", "none", "null"].contains(&value.to_lowercase().as_str());
    (!is_empty).then_some((task, value))
}

/// The rows by turn number; one without a number stays behind the row that it stood behind. A row counts once.
fn in_order(mut placed: Vec<Placed>) -> (Vec<Row>, u64) {
    let mut last = f64::NEG_INFINITY;
    for place in &mut placed {
        last = *place.number.get_or_insert(last);
    }
    placed.sort_by(|a, b| a.number.unwrap_or(last).total_cmp(&b.number.unwrap_or(last)));
    let mut known = HashSet::new();
    let before = placed.len();
    placed.retain(|place| place.id.as_ref().is_none_or(|id| known.insert(id.clone())));
    let duplicates = (before - placed.len()) as u64;
    (placed.into_iter().map(|place| place.row).collect(), duplicates)
}
