//! Takes the text of one record; gives a [`Row`]: what Codex wrote, with tolerant types and without what nobody needs.

use super::thread::{Thread, is_bare_item, is_bare_meta, thread_of};
use super::tokens::Totals;
use crate::session::ToolOutcome;
use crate::session::copies::{Identity, Key};
use crate::session::value::{flat_text, is_id, number_of, text_of, time_of, uuid_time};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

type Object = Map<String, Value>;

/// One record of a rollout.
#[derive(Debug)]
pub(super) struct Row {
    pub at: Option<Timestamp>,
    pub body: Body,
}

/// What a record says.
#[derive(Debug)]
pub(super) enum Body {
    /// Whose rollout it is; `forked`: it began with a copy of another one.
    Meta { thread: Option<Thread>, created: Option<Timestamp>, forked: bool },
    /// The settings of a turn; `turn` is when the turn began.
    TurnContext { model: Option<String>, turn: Option<Timestamp> },
    /// A turn began.
    TurnStarted { turn: Option<Timestamp> },
    /// A turn came to its end.
    TurnEnded,
    /// A turn was cut off; `by_human`: by a key or a new prompt, not by a budget.
    TurnAborted { by_human: bool },
    /// The last turns were withdrawn.
    RolledBack { turns: u64 },
    /// What was typed; `injected`: by the client, in the human's name.
    UserMessage { text: String, images: u32, injected: bool },
    /// The agent's words as the client showed them: a copy of a message with role assistant.
    AgentMessage { text: String },
    /// The running total of tokens and the last call's share; none in the first row of many sessions.
    Tokens { total: Option<Totals>, last: Option<Totals> },
    /// A message to or from the model.
    Message { role: Role, parts: Vec<String>, images: u32, unknown: Vec<String> },
    /// A tool call.
    Call(Call),
    /// What a tool call gave back.
    Output { id: Option<String>, text: String, success: Option<bool> },
    /// The client's own account of how a call ended.
    CallEnd { id: String, outcome: ToolOutcome, text: String },
    /// A mark of a compaction; each kind stands at most once for one compaction.
    Compaction { mark: Mark, summary: String },
    /// A message between agents.
    AgentNote { text: String },
    /// The client or the provider failed.
    Error { text: String },
    /// A record of a known type that says nothing about the conversation.
    Silent,
    /// A record of a type that is not known.
    Unknown(String),
}

/// Whose words a message holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    User,
    Assistant,
    /// Developer or system: the client's words.
    Client,
}

/// A tool call as the transcript has it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Call {
    pub id: Option<String>,
    pub name: String,
    /// The command, patch or query; else the arguments as compact JSON.
    pub input: String,
    /// Whether `input` is a shell command.
    pub is_command: bool,
    /// The running process that the call writes to.
    pub process: Option<String>,
    /// Whether a result follows in a row of its own.
    pub answered: bool,
}

/// The rows that tell of a compaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mark {
    /// `compacted`.
    Row,
    /// `context_compacted`.
    Event,
    /// A response item.
    Item,
}

impl Row {
    /// Reads one record; fails, without effect, where the text is not a JSON object.
    pub(super) fn parse(text: &str) -> Result<Row, serde_json::Error> {
        #[derive(Deserialize)]
        struct Envelope<'a> {
            #[serde(borrow)]
            timestamp: Option<&'a RawValue>,
            #[serde(borrow, rename = "type")]
            kind: Option<&'a RawValue>,
            #[serde(borrow)]
            payload: Option<&'a RawValue>,
        }
        let envelope: Envelope = serde_json::from_str(text)?;
        let value = |raw: Option<&RawValue>| raw.map(|raw| serde_json::from_str::<Value>(raw.get())).transpose();
        let at = time_of(value(envelope.timestamp)?.as_ref());
        let Some(payload) = envelope.payload else {
            return Ok(Row { at, body: bare(&serde_json::from_str(text)?) });
        };
        let kind = text_of(value(envelope.kind)?.as_ref()).unwrap_or_default();
        let body = match kind.as_str() {
            // Encrypted thoughts are the bulk of many files: they are not even parsed.
            "response_item" if tag(payload) == "reasoning" => Body::Silent,
            "world_state" | "inter_agent_communication_metadata" => Body::Silent,
            _ => match serde_json::from_str(payload.get())? {
                Value::Object(payload) => wrapped(&kind, &payload),
                _ => Body::Unknown(kind),
            },
        };
        Ok(Row { at, body })
    }
}

/// Takes a record's text; gives what tells it from the others of its rollout: time and type, and the call that it belongs to. The
/// oldest rollouts have no times.
pub(super) fn identify(text: &str) -> Result<Identity, serde_json::Error> {
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Marks<'a> {
        timestamp: Value,
        #[serde(rename = "type")]
        kind: Value,
        role: Value,
        call_id: Value,
        #[serde(borrow)]
        payload: Option<&'a RawValue>,
    }
    let Marks { timestamp, kind, role, call_id, payload } = serde_json::from_str(text)?;
    let (at, time) = (time_of(Some(&timestamp)), text_of(Some(&timestamp)));
    let inner: Marks = payload.and_then(|payload| serde_json::from_str(payload.get()).ok()).unwrap_or_default();
    let call = text_of(Some(&inner.call_id).filter(|id| !id.is_null()).or(Some(&call_id))).filter(|id| is_id(id));
    let mark = call.map(Key::digest);
    let role = text_of(Some(&inner.role)).or_else(|| text_of(Some(&role)));
    let kinds = (text_of(Some(&kind)), text_of(Some(&inner.kind)), role);
    let key = match (time, mark) {
        (Some(time), _) => Key::Shared(Key::digest((time, kinds))),
        (None, Some(call)) => Key::Shared(Key::digest((call, kinds))),
        (None, None) => Key::Kind(Key::digest(kinds)),
    };
    Ok(Identity { mark, ..Identity::new(key, at) })
}

/// A payload's type, without building the rest of it; empty where it has none.
fn tag(payload: &RawValue) -> String {
    #[derive(Deserialize)]
    struct Tag {
        #[serde(default, rename = "type")]
        kind: Value,
    }
    serde_json::from_str::<Tag>(payload.get()).ok().and_then(|tag| text_of(Some(&tag.kind))).unwrap_or_default()
}

/// A row `{timestamp, type, payload}`.
fn wrapped(kind: &str, payload: &Object) -> Body {
    match kind {
        "session_meta" => meta(payload),
        "turn_context" => Body::TurnContext { model: text_of(payload.get("model")), turn: turn_time(payload) },
        "response_item" => item(payload).unwrap_or_else(|kind| Body::Unknown(format!("response_item.{kind}"))),
        "event_msg" => event(payload).unwrap_or_else(|kind| Body::Unknown(format!("event_msg.{kind}"))),
        "compacted" => Body::Compaction { mark: Mark::Row, summary: field(payload, "message") },
        "inter_agent_communication" => Body::AgentNote { text: note(payload) },
        _ => Body::Unknown(kind.to_owned()),
    }
}

/// A row of the oldest rollouts, without a wrapper.
fn bare(record: &Object) -> Body {
    if is_bare_meta(record) {
        meta(record)
    } else if is_bare_item(record) || record.contains_key("type") {
        item(record).unwrap_or_else(Body::Unknown)
    } else if record.contains_key("record_type") {
        Body::Silent
    } else {
        Body::Unknown(String::from("without a type"))
    }
}

fn meta(payload: &Object) -> Body {
    Body::Meta {
        thread: thread_of(payload),
        created: time_of(payload.get("timestamp")),
        forked: text_of(payload.get("forked_from_id")).is_some(),
    }
}

/// A `response_item`: what was sent to or received from the model. Fails with the type if it is not known.
fn item(payload: &Object) -> Result<Body, String> {
    let kind = field(payload, "type");
    Ok(match kind.as_str() {
        "message" => message(payload),
        "reasoning" | "ghost_snapshot" | "additional_tools" | "compaction_trigger" | "other" => Body::Silent,
        "compaction" | "compaction_summary" | "context_compaction" => {
            Body::Compaction { mark: Mark::Item, summary: String::new() }
        }
        "agent_message" => Body::AgentNote { text: note(payload) },
        _ if kind.ends_with("_call") => Body::Call(call(&kind, payload)),
        _ if kind.ends_with("_output") || kind == "tool_result" => {
            let output = payload.get("output").or_else(|| payload.get("tools")).or_else(|| payload.get("result"));
            Body::Output {
                id: text_of(payload.get("call_id")),
                text: output.map(flat_text).unwrap_or_default(),
                success: output.and_then(|output| output.get("success")).and_then(Value::as_bool),
            }
        }
        _ => return Err(kind),
    })
}

fn message(payload: &Object) -> Body {
    let role = match payload.get("role").and_then(Value::as_str) {
        Some("user") => Role::User,
        Some("assistant") => Role::Assistant,
        _ => Role::Client,
    };
    let (mut images, mut unknown) = (0, Vec::new());
    let parts = match payload.get("content") {
        Some(Value::Array(parts)) => parts
            .iter()
            .filter_map(|part| {
                match part.get("type").and_then(Value::as_str) {
                    Some("input_image") => images += 1,
                    Some(
                        "input_text" | "output_text" | "text" | "input_file" | "input_audio" | "encrypted_content",
                    )
                    | None => {}
                    Some(kind) => unknown.push(format!("message.{kind}")),
                }
                part.as_str().map(str::to_owned).or_else(|| text_of(part.get("text")))
            })
            .collect(),
        Some(content @ Value::Object(_)) => vec![flat_text(content)],
        content => text_of(content).into_iter().collect(),
    };
    Body::Message { role, parts, images, unknown }
}

fn call(kind: &str, payload: &Object) -> Call {
    let function = payload.get("function").and_then(|function| function.get("name"));
    let name = text_of(payload.get("name").or(function)).unwrap_or_else(|| match kind {
        "local_shell_call" | "tool_search_call" => kind.to_owned(),
        _ => kind.trim_end_matches("_call").to_owned(),
    });
    let name = match text_of(payload.get("namespace")) {
        Some(namespace) => format!("{}__{name}", namespace.trim_end_matches('_')),
        None => name,
    };
    let mut call = Call {
        id: text_of(payload.get("call_id")),
        name,
        input: String::new(),
        is_command: false,
        process: None,
        answered: !matches!(kind, "web_search_call" | "image_generation_call"),
    };
    let Some(arguments) = ["arguments", "input", "action"].iter().find_map(|key| payload.get(*key)) else {
        return call;
    };
    // Arguments are a JSON document within a string; a patch is a string that is none.
    let parsed = arguments.as_str().and_then(|text| serde_json::from_str::<Value>(text).ok());
    match (parsed.as_ref().filter(|parsed| parsed.is_object()), arguments) {
        (Some(Value::Object(arguments)), _) | (None, Value::Object(arguments)) => fill(&mut call, arguments),
        _ => call.input = text_of(Some(arguments)).unwrap_or_default(),
    }
    call
}

/// Sets what a call does, from its arguments.
fn fill(call: &mut Call, arguments: &Object) {
    let command = arguments.get("cmd").or_else(|| arguments.get("command")).and_then(command_of);
    if let Some(command) = command {
        call.input = command;
        call.is_command = true;
        return;
    }
    if call.name == "write_stdin" {
        call.input = field(arguments, "chars");
        call.process = text_of(arguments.get("session_id"));
        return;
    }
    // One telling argument says more than all of them as JSON; `kind` is only the tag of a web search's action.
    let telling = ["input", "patch", "query", "url", "path", "file_path", "pattern"].iter().find_map(|key| {
        let others =
            arguments.iter().filter(|(other, value)| other != key && *other != "type" && !is_blank(value)).count();
        text_of(arguments.get(*key)).filter(|_| others == 0 || matches!(*key, "input" | "patch" | "query"))
    });
    call.input = telling.unwrap_or_else(|| Value::Object(arguments.clone()).to_string());
}

fn is_blank(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(values) => values.len() <= 1,
        _ => false,
    }
}

/// A command line: a string, or the words of one; of `bash -lc SCRIPT` the script.
fn command_of(value: &Value) -> Option<String> {
    let words = match value {
        Value::Array(words) => words.iter().filter_map(|word| text_of(Some(word))).collect::<Vec<_>>(),
        _ => return text_of(Some(value)),
    };
    match words.as_slice() {
        [] => None,
        [shell, flag, script] if shell.ends_with("sh") && matches!(flag.as_str(), "-c" | "-lc" | "-ic") => {
            Some(script.clone())
        }
        _ => Some(words.join(" ")),
    }
}

/// An `event_msg`: what the client showed. Fails with the type if it is not known.
fn event(payload: &Object) -> Result<Body, String> {
    let kind = field(payload, "type");
    Ok(match kind.as_str() {
        "user_message" => {
            let count = |key| payload.get(key).and_then(Value::as_array).map_or(0, Vec::len);
            Body::UserMessage {
                text: payload.get("message").map(flat_text).unwrap_or_default(),
                images: u32::try_from(count("images") + count("local_images")).unwrap_or(u32::MAX),
                injected: text_of(payload.get("kind")).is_some_and(|kind| kind != "plain"),
            }
        }
        "agent_message" => Body::AgentMessage { text: field(payload, "message") },
        "task_started" | "turn_started" => Body::TurnStarted { turn: turn_time(payload) },
        "task_complete" | "turn_complete" => Body::TurnEnded,
        "turn_aborted" => {
            let reason = text_of(payload.get("reason")).unwrap_or_else(|| String::from("interrupted"));
            Body::TurnAborted { by_human: matches!(reason.as_str(), "interrupted" | "replaced") }
        }
        "thread_rolled_back" => Body::RolledBack { turns: number_of(payload.get("num_turns")).unwrap_or(1) },
        "token_count" => {
            let info = payload.get("info");
            let totals = |key| Totals::from_json(info?.get(key)?);
            Body::Tokens { total: totals("total_token_usage"), last: totals("last_token_usage") }
        }
        "context_compacted" => Body::Compaction { mark: Mark::Event, summary: String::new() },
        "patch_apply_end" | "exec_command_end" | "mcp_tool_call_end" => call_end(&kind, payload),
        "error" | "stream_error" => {
            let error = payload.get("error");
            let text = text_of(payload.get("message").or_else(|| error?.get("message")).or(error));
            text.map_or(Body::Silent, |text| Body::Error { text })
        }
        _ if SILENT_EVENTS.contains(&kind.as_str()) || kind.starts_with("collab_") || kind.ends_with("_delta") => {
            Body::Silent
        }
        _ => return Err(kind),
    })
}

/// Events that repeat what stands elsewhere, or concern the screen only.
const SILENT_EVENTS: &[&str] = &[
    "agent_reasoning",
    "agent_reasoning_raw_content",
    "agent_reasoning_section_break",
    "apply_patch_approval_request",
    "background_event",
    "deprecation_notice",
    "dynamic_tool_call_request",
    "dynamic_tool_call_response",
    "entered_review_mode",
    "exec_approval_request",
    "exec_command_begin",
    "exited_review_mode",
    "guardian_assessment",
    "hook_completed",
    "hook_started",
    "image_generation_begin",
    "image_generation_end",
    "item_completed",
    "item_started",
    "mcp_startup_complete",
    "mcp_startup_update",
    "mcp_tool_call_begin",
    "model_reroute",
    "model_verification",
    "patch_apply_begin",
    "patch_apply_updated",
    "plan_update",
    "request_permissions",
    "request_user_input",
    "session_configured",
    "shutdown_complete",
    "sub_agent_activity",
    "terminal_interaction",
    "thread_goal_updated",
    "thread_name_updated",
    "thread_settings_applied",
    "turn_diff",
    "undo_completed",
    "undo_started",
    "view_image_tool_call",
    "warning",
    "web_search_begin",
    "web_search_end",
];

fn call_end(kind: &str, payload: &Object) -> Body {
    let Some(id) = text_of(payload.get("call_id")) else { return Body::Silent };
    let result = payload.get("result");
    let failed = match kind {
        "patch_apply_end" => payload.get("success").and_then(Value::as_bool) == Some(false),
        "exec_command_end" => text_of(payload.get("exit_code")).is_some_and(|code| code != "0"),
        _ => result.is_some_and(|result| {
            let answer = result.get("Ok");
            result.get("Err").is_some()
                || answer.and_then(|ok| ok.get("isError")).and_then(Value::as_bool) == Some(true)
        }),
    };
    let outcome = match text_of(payload.get("status")).as_deref() {
        Some("declined") => ToolOutcome::Rejected,
        _ if failed => ToolOutcome::Failed,
        _ => ToolOutcome::Ok,
    };
    let output = ["aggregated_output", "stdout", "stderr"].iter().find_map(|key| text_of(payload.get(*key)));
    let text = output.or_else(|| result.map(flat_text)).unwrap_or_default();
    Body::CallEnd { id, outcome, text }
}

fn note(payload: &Object) -> String {
    payload.get("content").or_else(|| payload.get("message")).map(flat_text).unwrap_or_default()
}

/// When the turn that a row belongs to began: said so, or held by its id (a UUID of version 7 begins with the milliseconds).
fn turn_time(payload: &Object) -> Option<Timestamp> {
    time_of(payload.get("started_at")).or_else(|| uuid_time(&text_of(payload.get("turn_id"))?))
}

fn field(object: &Object, key: &str) -> String {
    text_of(object.get(key)).unwrap_or_default()
}
