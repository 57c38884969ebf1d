//! Makes tables as SWE-chat has them: all columns of `conversations`, and those of the other tables that matter.

use crate::parquet_file::{Cells, Columns, Layout, write};
use std::path::Path;

/// When the first turn of every session was, in microseconds since 1970: 2026-03-01T10:00:00Z.
pub const BEGIN: i64 = 1_772_359_200_000_000;

/// A row of `conversations`. Rows of a session are ten seconds apart.
#[derive(Debug, Clone, Default)]
pub struct Turn {
    pub session: String,
    pub number: i64,
    pub role: &'static str,
    pub kind: &'static str,
    pub content: Option<String>,
    pub model: Option<&'static str>,
    /// Input, output, cache creation, cache read.
    pub tokens: [i64; 4],
    pub is_continuation: bool,
    pub tool: Option<&'static str>,
    pub call: Option<&'static str>,
    pub input: Option<String>,
    pub operation: Option<&'static str>,
    pub agent: Option<&'static str>,
    pub intent: Option<&'static str>,
    pub pushback: Option<&'static str>,
    /// Whether the row has a time.
    pub timeless: bool,
}

fn turn(role: &'static str, kind: &'static str, content: &str) -> Turn {
    Turn { role, kind, content: Some(content.to_owned()), agent: Some("Claude Code"), ..Turn::default() }
}

/// A human's prompt, without a label.
pub fn prompt(text: &str) -> Turn {
    turn("user", "user_prompt", text)
}

/// A human's prompt with its labels.
pub fn labelled(text: &str, intent: &'static str, pushback: &'static str) -> Turn {
    Turn { intent: Some(intent), pushback: Some(pushback), ..prompt(text) }
}

/// Text in the human's name that nobody typed.
pub fn injected(text: &str) -> Turn {
    turn("user", "system_injected", text)
}

/// Words of the agent, with tokens.
pub fn reply(text: &str) -> Turn {
    let model = Some("claude-sonnet-5");
    Turn { model, tokens: [5, 7, 11, 13], ..turn("assistant", "assistant_response", text) }
}

/// A call of a tool.
pub fn call(id: &'static str, tool: &'static str, input: &str) -> Turn {
    let (tool, call, input) = (Some(tool), Some(id), Some(input.to_owned()));
    Turn { tool, call, input, content: None, ..turn("tool_use", "tool_use", "") }
}

/// What a call gave back.
pub fn result(id: &'static str, text: &str) -> Turn {
    Turn { call: Some(id), ..turn("tool_result", "tool_result", text) }
}

/// A row that is said by nobody.
pub fn metadata(kind: &'static str, text: &str) -> Turn {
    turn("metadata", kind, text)
}

/// An operation on the queue; some have no content.
pub fn queue(operation: &'static str, text: Option<&str>) -> Turn {
    let content = text.map(str::to_owned);
    Turn { operation: Some(operation), content, ..metadata("queue_operation", "") }
}

/// Numbers the turns of a session.
pub fn session(id: &str, turns: Vec<Turn>) -> Vec<Turn> {
    turns.into_iter().enumerate().map(|(at, turn)| Turn { session: id.to_owned(), number: at as i64, ..turn }).collect()
}

/// The table `conversations`: 35 columns with their types.
pub fn conversations(turns: &[Turn]) -> Columns {
    let text = |of: &dyn Fn(&Turn) -> Option<String>| Cells::Text(turns.iter().map(of).collect());
    let fixed = |of: &dyn Fn(&Turn) -> Option<&'static str>| text(&|turn| of(turn).map(str::to_owned));
    let whole = |of: &dyn Fn(&Turn) -> i64| Cells::Whole(turns.iter().map(|turn| Some(of(turn))).collect());
    let flag = |of: &dyn Fn(&Turn) -> bool| Cells::Flag(turns.iter().map(|turn| Some(of(turn))).collect());
    let is_said = |turn: &Turn| matches!(turn.role, "user" | "assistant");
    let length = |turn: &Turn| turn.content.as_ref().map_or(0, String::len) as i64;
    vec![
        ("turn_id", text(&|turn| Some(format!("{}#{}", turn.session, turn.number)))),
        ("session_id", text(&|turn| Some(turn.session.clone()))),
        ("checkpoint_pk", fixed(&|_| Some("ada/app#0123456789ab"))),
        ("repo_id", fixed(&|_| Some("ada/app"))),
        ("user_id", fixed(&|turn| (turn.number % 3 != 0).then_some("u1"))),
        ("turn_number", whole(&|turn| turn.number)),
        (
            "conversation_turn_number",
            Cells::Double(
                turns.iter().map(|turn| Some(if is_said(turn) { turn.number as f64 } else { f64::NAN })).collect(),
            ),
        ),
        ("role", fixed(&|turn| Some(turn.role))),
        ("turn_type", fixed(&|turn| Some(turn.kind))),
        ("is_conversational", flag(&is_said)),
        ("content", text(&|turn| turn.content.clone())),
        ("model", fixed(&|turn| turn.model)),
        (
            "timestamp",
            Cells::Time(
                turns.iter().map(|turn| (!turn.timeless).then_some(BEGIN + turn.number * 10_000_000)).collect(),
            ),
        ),
        ("input_tokens", whole(&|turn| turn.tokens[0])),
        ("output_tokens", whole(&|turn| turn.tokens[1])),
        ("cache_creation_input_tokens", whole(&|turn| turn.tokens[2])),
        ("cache_read_input_tokens", whole(&|turn| turn.tokens[3])),
        ("is_continuation", flag(&|turn| turn.is_continuation)),
        ("is_first_turn", flag(&|turn| turn.number == 0)),
        ("word_count", whole(&|turn| turn.content.as_ref().map_or(0, |text| text.split(' ').count()) as i64)),
        ("char_count", whole(&length)),
        ("tool_name", fixed(&|turn| turn.tool)),
        ("tool_call_id", fixed(&|turn| turn.call)),
        ("file_path", fixed(&|_| None)),
        ("command", fixed(&|_| None)),
        ("pattern", fixed(&|_| None)),
        ("tool_input_json", text(&|turn| turn.input.clone())),
        ("category", fixed(&|turn| turn.tool.map(|_| "Other"))),
        ("bash_category", fixed(&|_| None)),
        ("queue_op_subtype", fixed(&|turn| turn.operation)),
        ("agent", fixed(&|turn| turn.agent)),
        ("strategy", fixed(&|_| Some("manual-commit"))),
        ("language", fixed(&|_| Some("en"))),
        ("prompt_intent", fixed(&|turn| turn.intent)),
        ("prompt_pushback", fixed(&|turn| turn.pushback)),
    ]
}

/// A row of `sessions`.
#[derive(Debug, Clone, Copy, Default)]
pub struct Row {
    pub session: &'static str,
    pub agent: Option<&'static str>,
    pub checkpoints: &'static str,
    pub agent_percentage: Option<f64>,
    pub output_tokens: i64,
    pub persona: Option<&'static str>,
    pub success: Option<&'static str>,
}

/// The table `sessions`.
pub fn sessions(rows: &[Row]) -> Columns {
    let text = |of: &dyn Fn(&Row) -> Option<&'static str>| {
        Cells::Text(rows.iter().map(|row| of(row).map(str::to_owned)).collect())
    };
    let whole = |of: &dyn Fn(&Row) -> i64| Cells::Whole(rows.iter().map(|row| Some(of(row))).collect());
    vec![
        ("session_id", text(&|row| Some(row.session))),
        ("repo_id", text(&|_| Some("ada/app"))),
        ("user_id", text(&|_| None)),
        ("checkpoint_ids", text(&|row| Some(row.checkpoints))),
        ("canonical_checkpoint_pk", text(&|_| None)),
        ("agent", text(&|row| row.agent)),
        ("created_at", Cells::Time(rows.iter().map(|_| Some(BEGIN)).collect())),
        ("input_tokens", whole(&|_| 100)),
        ("output_tokens", whole(&|row| row.output_tokens)),
        ("cache_creation_tokens", whole(&|_| 300)),
        ("cache_read_tokens", whole(&|_| 400)),
        ("agent_percentage", Cells::Double(rows.iter().map(|row| row.agent_percentage).collect())),
        ("turn_count", whole(&|_| 1)),
        ("user_persona", text(&|row| row.persona)),
        ("session_success", text(&|row| row.success)),
    ]
}

/// The table `commits`: checkpoint, hash, message.
pub fn commits(rows: &[(&str, &str, &str)]) -> Columns {
    let text = |of: &dyn Fn(&(&str, &str, &str)) -> String| Cells::Text(rows.iter().map(|row| Some(of(row))).collect());
    vec![
        ("commit_sha", text(&|row| row.1.to_owned())),
        ("checkpoint_pk", text(&|row| row.0.to_owned())),
        ("commit_message", text(&|row| row.2.to_owned())),
        ("is_agent_author", Cells::Flag(rows.iter().map(|_| Some(false)).collect())),
    ]
}

/// The table `session_logs`: session, path of its transcript.
pub fn logs(rows: &[(&str, &str)]) -> Columns {
    let text = |of: &dyn Fn(&(&str, &str)) -> String| Cells::Text(rows.iter().map(|row| Some(of(row))).collect());
    vec![
        ("session_id", text(&|row| row.0.to_owned())),
        ("transcript_path", text(&|row| row.1.to_owned())),
        ("context_md", text(&|_| String::new())),
        ("session_metadata_raw", text(&|_| "{}".to_owned())),
    ]
}

/// Writes a table with snappy in small row groups.
pub fn put(path: &Path, columns: &Columns) {
    std::fs::create_dir_all(path.parent().expect("a file is in a folder")).expect("a folder can be made");
    write(path, columns, Layout { group: 7, page: 3, ..Layout::SNAPPY });
}
