//! Takes the text of one record; gives a [`Row`]: what Copilot CLI wrote, with tolerant types and without what nobody needs.

use super::tokens::Totals;
use crate::session::copies::{Identity, Key};
use crate::session::input::{Input, input};
use crate::session::value::{flat_text, is_id, number_of, text_of, time_of};
use crate::session::{Channel, InjectedSource, ToolOutcome};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use std::path::Path;

type Object = Map<String, Value>;

/// One record of a transcript.
#[derive(Debug)]
pub(super) struct Row {
    pub at: Option<Timestamp>,
    /// The record's own id.
    pub id: String,
    /// Whether a subagent's work is told.
    pub subagent: bool,
    pub body: Body,
}

/// What a record says.
#[derive(Debug)]
pub(super) enum Body {
    /// The session was taken up again, perhaps by another process.
    Resumed { model: Option<String> },
    /// The human began the session, or chose a model, a mode, permissions.
    Settings { model: Option<String> },
    /// Written while the client prepares a prompt that the human has just sent.
    BeforePrompt,
    /// The client's instructions to the model.
    Instructions { text: String },
    /// A message in the human's name. `task` tells whose background work it belongs to.
    User { text: String, images: u32, author: Author, channel: Channel, task: Option<String> },
    /// A message of the model, with the calls that it asks for.
    Message { id: Option<String>, text: String, model: Option<String>, output: u64, calls: Vec<Call> },
    /// A call begins to run.
    Started { call: Call, model: Option<String> },
    /// The human runs a tool from the prompt (`!command`).
    UserTool(Call),
    /// A call has ended.
    Ended { id: Option<String>, outcome: ToolOutcome, text: String },
    /// The client asks whether a call may run.
    Asked { request: String, call: String },
    /// That question is answered.
    Decided { request: Option<String>, call: Option<String>, decision: Decision, feedback: String },
    /// The turn was cut off.
    Aborted { by_human: bool },
    /// Text that the client adds.
    Injected { source: InjectedSource, text: String },
    /// The conversation so far was replaced by a summary.
    Compaction { summary: String },
    /// The event with this id and all after it were withdrawn.
    Rewound { to: String },
    /// The client or the provider failed.
    Error { text: String },
    /// A subagent begins its work.
    SubagentStarted,
    /// A subagent has ended its work.
    SubagentEnded,
    /// The client's account of the tokens, by model.
    Shutdown(Vec<(String, Totals)>),
    /// A record of a known type that says nothing about the conversation.
    Silent,
    /// A record of a type that is not known.
    Unknown(String),
}

/// Who wrote a message in the human's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Author {
    /// The human.
    Human,
    /// The client.
    Client(InjectedSource),
    /// Another agent of the same session.
    Agent,
}

/// The answer to the question whether a call may run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Decision {
    /// It may.
    Approved,
    /// The human refused.
    Refused,
    /// The question was withdrawn, as when the human stops the agent.
    Cancelled,
    /// A rule, a policy or a hook refused.
    Forbidden,
}

/// A tool call as the transcript has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Call {
    pub id: Option<String>,
    pub name: String,
    /// The server and the tool, where an MCP server offers it.
    pub mcp: Option<(String, String)>,
    pub input: Input,
}

impl Row {
    /// Reads one record; fails, without effect, where the text is not a JSON object.
    pub(super) fn parse(text: &str) -> Result<Row, serde_json::Error> {
        #[derive(Deserialize)]
        struct Envelope<'a> {
            #[serde(default, rename = "type")]
            kind: Value,
            #[serde(default)]
            id: Value,
            #[serde(default)]
            timestamp: Value,
            #[serde(default, rename = "agentId")]
            agent: Value,
            #[serde(borrow)]
            data: Option<&'a RawValue>,
        }
        let envelope: Envelope = serde_json::from_str(text)?;
        let kind = text_of(Some(&envelope.kind)).unwrap_or_else(|| String::from("without a type"));
        let mut row = Row {
            at: time_of(Some(&envelope.timestamp)),
            id: text_of(Some(&envelope.id)).unwrap_or_default(),
            subagent: filled(Some(&envelope.agent)),
            body: Body::Silent,
        };
        let Some(data) = envelope.data else {
            row.body = body(&kind, &Object::new());
            return Ok(row);
        };
        // Hooks repeat every tool's output: it is not even parsed.
        if kind.starts_with("hook.") {
            row.body = hook(data);
        } else if let Value::Object(data) = serde_json::from_str(data.get())? {
            row.subagent |= filled(data.get("parentToolCallId"));
            row.body = body(&kind, &data);
        } else {
            row.body = Body::Unknown(kind);
        }
        Ok(row)
    }
}

impl Row {
    /// Whether the row tells of a call: calls are known by their ids, and where those were taken out two rows may be alike.
    pub(super) fn is_call(&self) -> bool {
        matches!(self.body, Body::Started { .. } | Body::Ended { .. } | Body::Silent)
    }
}

/// Takes a record's text; gives what tells it from the others of its transcript.
pub(super) fn identify(text: &str) -> Result<Identity, serde_json::Error> {
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Marks {
        id: Value,
        #[serde(rename = "type")]
        kind: Value,
        timestamp: Value,
    }
    let Marks { id, kind, timestamp } = serde_json::from_str(text)?;
    let kind = text_of(Some(&kind));
    let key = match (text_of(Some(&id)).filter(|id| is_id(id)), text_of(Some(&timestamp))) {
        (Some(id), _) => Key::Own(Key::digest(id)),
        (None, Some(time)) => Key::Shared(Key::digest((kind, time))),
        (None, None) => Key::Kind(Key::digest(kind)),
    };
    Ok(Identity::new(key, time_of(Some(&timestamp))))
}

fn hook(data: &RawValue) -> Body {
    #[derive(Deserialize)]
    struct Hook {
        #[serde(default, rename = "hookType")]
        kind: Value,
    }
    let hook: Option<Hook> = serde_json::from_str(data.get()).ok();
    match hook.and_then(|hook| text_of(Some(&hook.kind))).as_deref() {
        Some("userPromptSubmitted" | "sessionEnd") => Body::BeforePrompt,
        _ => Body::Silent,
    }
}

fn body(kind: &str, data: &Object) -> Body {
    match kind {
        "session.start" => Body::Settings { model: field(data, "selectedModel") },
        "session.resume" => Body::Resumed { model: field(data, "selectedModel") },
        "session.model_change" => Body::Settings { model: field(data, "newModel") },
        "session.mode_changed" | "session.permissions_changed" => Body::Settings { model: None },
        "system.message" => Body::Instructions { text: text(data, "content") },
        "user.message" => user(data),
        "assistant.message" => Body::Message {
            id: field(data, "messageId"),
            text: text(data, "content"),
            model: field(data, "model"),
            output: number_of(data.get("outputTokens")).unwrap_or(0),
            calls: match data.get("toolRequests") {
                Some(Value::Array(calls)) => calls.iter().filter_map(Value::as_object).map(call).collect(),
                _ => Vec::new(),
            },
        },
        "tool.execution_start" => Body::Started { call: call(data), model: field(data, "model") },
        "tool.user_requested" => Body::UserTool(call(data)),
        "tool.execution_complete" => ended(data),
        "permission.requested" => {
            let asked = data.get("permissionRequest").and_then(|asked| text_of(asked.get("toolCallId")));
            match (field(data, "requestId"), asked) {
                (Some(request), Some(call)) => Body::Asked { request, call },
                _ => Body::Silent,
            }
        }
        "permission.completed" => decided(data),
        "abort" => {
            let by_human = matches!(
                text(data, "reason").replace(' ', "_").as_str(),
                "user_initiated" | "user_abort" | "remote_command"
            );
            Body::Aborted { by_human }
        }
        "system.notification" => Body::Injected { source: InjectedSource::Notification, text: text(data, "content") },
        "skill.invoked" => Body::Injected { source: InjectedSource::Skill, text: text(data, "content") },
        "session.compaction_complete" if data.get("success") != Some(&Value::Bool(false)) => {
            Body::Compaction { summary: text(data, "summaryContent") }
        }
        "session.snapshot_rewind" => Body::Rewound { to: text(data, "upToEventId") },
        "session.error" => Body::Error { text: text(data, "message") },
        "model.call_failure" => Body::Error { text: text(data, "errorMessage") },
        "subagent.started" => Body::SubagentStarted,
        "subagent.completed" | "subagent.failed" => Body::SubagentEnded,
        "session.shutdown" => Body::Shutdown(metrics(data.get("modelMetrics"))),
        _ if is_silent(kind) => Body::Silent,
        _ => Body::Unknown(kind.to_owned()),
    }
}

/// Whether a record repeats what stands elsewhere, or concerns the client only.
fn is_silent(kind: &str) -> bool {
    const SILENT: &[&str] = &[
        "assistant.idle",
        "assistant.intent",
        "assistant.reasoning",
        "assistant.turn_end",
        "assistant.turn_start",
        "assistant.usage",
        "model.call_finished",
        "pending_messages.modified",
        "session.auto_mode_resolved",
        "session.autopilot_objective_changed",
        "session.background_tasks_changed",
        "session.binary_asset",
        "session.compaction_complete",
        "session.compaction_start",
        "session.context_changed",
        "session.context_cleared",
        "session.handoff",
        "session.idle",
        "session.import_legacy",
        "session.info",
        "session.plan_changed",
        "session.remote_steerable_changed",
        "session.skills_loaded",
        "session.task_complete",
        "session.title_changed",
        "session.todos_changed",
        "session.tools_updated",
        "session.truncation",
        "session.usage_checkpoint",
        "session.usage_info",
        "session.warning",
        "session.workspace_file_changed",
        "subagent.configured",
        "subagent.deselected",
        "subagent.selected",
        "tool_search.activated",
    ];
    const FAMILIES: &[&str] = &[
        "auto_mode_switch.",
        "command.",
        "elicitation.",
        "exit_plan_mode.",
        "external_tool.",
        "mcp.",
        "sampling.",
        "session.custom_agents_",
        "session.extensions_",
        "session.mcp_",
        "session.schedule_",
        "tool.execution_p",
        "user_input.",
    ];
    SILENT.contains(&kind) || kind.ends_with("_delta") || FAMILIES.iter().any(|family| kind.starts_with(family))
}

fn user(data: &Object) -> Body {
    let text = text(data, "content");
    let source = field(data, "source").unwrap_or_default();
    let continued = data.get("isAutopilotContinuation") == Some(&Value::Bool(true));
    let author = match source.split(['-', ':']).next().unwrap_or_default() {
        _ if continued => Author::Client(InjectedSource::Harness),
        "" | "user" => Author::Human,
        "agent" => Author::Agent,
        "skill" => Author::Client(InjectedSource::Skill),
        // A command's row shows what was typed; one that does not begin with the command holds what it stands for.
        "command" if text.trim_start().starts_with('/') => Author::Human,
        "command" => Author::Client(InjectedSource::Skill),
        _ => Author::Client(InjectedSource::Harness),
    };
    let images = match data.get("attachments") {
        Some(Value::Array(attachments)) => attachments.iter().filter(|attachment| is_image(attachment)).count(),
        _ => 0,
    };
    Body::User {
        text,
        images: u32::try_from(images).unwrap_or(u32::MAX),
        author,
        channel: match field(data, "delivery").as_deref() {
            Some("steering" | "immediate") => Channel::Steering,
            _ if source.starts_with("command") => Channel::SlashCommand,
            _ => Channel::Typed,
        },
        task: field(data, "parentAgentTaskId"),
    }
}

fn is_image(attachment: &Value) -> bool {
    const EXTENSIONS: [&str; 7] = ["png", "jpg", "jpeg", "gif", "webp", "bmp", "heic"];
    let mime = text_of(attachment.get("mimeType")).unwrap_or_default();
    let path = text_of(attachment.get("path")).unwrap_or_default();
    let extension = Path::new(&path).extension().map(|extension| extension.to_string_lossy().to_ascii_lowercase());
    mime.starts_with("image/") || extension.is_some_and(|extension| EXTENSIONS.contains(&extension.as_str()))
}

/// A call, as the model asks for it (`name`) or as it begins to run (`toolName`).
pub(super) fn call(data: &Object) -> Call {
    let name = field(data, "name").or_else(|| field(data, "toolName")).unwrap_or_default();
    let mcp = field(data, "mcpServerName").map(|server| {
        let tool = field(data, "mcpToolName").unwrap_or_else(|| name.clone());
        (server, tool)
    });
    let id = field(data, "toolCallId").or_else(|| field(data, "callId"));
    Call { id, name, mcp, input: input(data.get("arguments")) }
}

fn ended(data: &Object) -> Body {
    let error = data.get("error").filter(|error| !error.is_null());
    let code = error.and_then(|error| text_of(error.get("code"))).unwrap_or_default();
    let outcome = match data.get("success").and_then(Value::as_bool) {
        Some(true) => ToolOutcome::Ok,
        None if error.is_none() => ToolOutcome::Ok,
        _ => match code.as_str() {
            "rejected" => ToolOutcome::Rejected,
            "aborted" | "cancelled" | "canceled" | "interrupted" => ToolOutcome::Interrupted,
            _ => ToolOutcome::Failed,
        },
    };
    let told = data.get("result").map(flat_text).filter(|text| !text.is_empty());
    let message = || error.and_then(|error| text_of(error.get("message")).or_else(|| text_of(Some(error))));
    Body::Ended { id: field(data, "toolCallId"), outcome, text: told.or_else(message).unwrap_or_default() }
}

fn decided(data: &Object) -> Body {
    let result = data.get("result");
    let kind = result.and_then(|result| text_of(result.get("kind"))).unwrap_or_default();
    let decision = match kind.as_str() {
        "cancelled" | "canceled" => Decision::Cancelled,
        "denied-interactively-by-user" | "denied" | "rejected" | "reject" => Decision::Refused,
        _ if kind.starts_with("denied-") => Decision::Forbidden,
        _ => Decision::Approved,
    };
    Body::Decided {
        request: field(data, "requestId"),
        call: field(data, "toolCallId"),
        decision,
        feedback: result.and_then(|result| text_of(result.get("feedback"))).unwrap_or_default(),
    }
}

fn metrics(metrics: Option<&Value>) -> Vec<(String, Totals)> {
    let Some(Value::Object(metrics)) = metrics else { return Vec::new() };
    let models = metrics.iter().filter_map(|(model, metric)| {
        let usage = metric.get("usage")?;
        Some((model.clone(), Totals::from_json(usage)))
    });
    models.collect()
}

fn filled(value: Option<&Value>) -> bool {
    text_of(value).is_some_and(|text| !text.is_empty())
}

/// A text that is there and not empty.
fn field(object: &Object, key: &str) -> Option<String> {
    text_of(object.get(key)).filter(|text| !text.is_empty())
}

fn text(object: &Object, key: &str) -> String {
    object.get(key).map(flat_text).unwrap_or_default()
}
