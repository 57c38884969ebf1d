//! A session: one coding agent's transcript, the same shape for every agent.
//!
//! Readers (one file a format below this module) turn a transcript's rows into [`Event`]s through a [`SessionBuilder`];
//! nothing after this module asks which agent it was.

mod arguments;
pub mod builder;
mod calls;
pub mod chat;
pub mod claude_code;
pub mod codex;
mod content;
pub mod copies;
pub mod copilot;
pub mod cursor;
mod document;
pub mod entire;
pub mod gemini_cli;
mod input;
pub mod lines;
mod names;
pub mod open_code;
pub mod swe_chat;
pub mod tool;
mod value;

pub use builder::SessionBuilder;

use crate::usage::Usage;
use entire::{Checkpoint, CheckpointSummary};
use jiff::Timestamp;
use serde::{Deserialize, Serialize, Serializer};
use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::path::{Path, PathBuf};

/// The program whose transcript this is, found from the file's content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Agent {
    /// Claude Code (JSON lines with `sessionId` and `uuid`).
    ClaudeCode,
    /// Codex CLI (rollout JSON lines with `type` and `payload`).
    Codex,
    /// GitHub Copilot CLI (JSON lines with `type`, `data` and `parentId`; formerly one document with a `timeline`).
    Copilot,
    /// Cursor (JSON lines with `role` and `message`; formerly plain text).
    Cursor,
    /// A plain chat of any program (`messages` with `role` and `content`).
    Chat,
    /// Gemini CLI (one JSON document, or JSON lines that replace each other by id).
    GeminiCli,
    /// OpenCode (an exported document, a storage folder or a SQLite database).
    #[serde(rename = "opencode")]
    OpenCode,
}

impl Agent {
    /// The name used in ids and tables, such as `claude_code`.
    pub fn name(self) -> &'static str {
        match self {
            Agent::ClaudeCode => "claude_code",
            Agent::Codex => "codex",
            Agent::Copilot => "copilot",
            Agent::Cursor => "cursor",
            Agent::Chat => "chat",
            Agent::GeminiCli => "gemini_cli",
            Agent::OpenCode => "opencode",
        }
    }
}

impl fmt::Display for Agent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// An agent's own id is no longer than this, in bytes; what is longer is damage.
const LONGEST_ID: usize = 256;

/// A session's stable id, `agent:session-id`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SessionId(String);

impl SessionId {
    /// The id of `native`, the agent's own id for the session: without the mark that parts a unit's ordinal from its session, without
    /// control characters, and no longer than a row can bear.
    pub fn new(agent: Agent, native: &str) -> SessionId {
        let clean = native.replace(|c: char| c == '#' || c.is_control(), "_");
        if clean.len() <= LONGEST_ID {
            return SessionId(format!("{agent}:{clean}"));
        }
        let cut = &clean[..clean.floor_char_boundary(LONGEST_ID)];
        SessionId(format!("{agent}:{cut}")).told_apart(native)
    }

    /// The id of another session that would have the same one: with a hash of `by` behind it.
    pub fn told_apart(&self, by: &str) -> SessionId {
        SessionId(format!("{self}@{}", &blake3::hash(by.as_bytes()).to_hex()[..8]))
    }

    /// The session that a unit id (`agent:session-id` or `agent:session-id#n`) belongs to.
    pub fn of_unit(unit: &str) -> SessionId {
        let session = match unit.rsplit_once('#') {
            Some((session, ordinal)) if !ordinal.is_empty() && ordinal.bytes().all(|b| b.is_ascii_digit()) => session,
            _ => unit,
        };
        SessionId(session.to_owned())
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One transcript as every later stage sees it.
#[derive(Debug, Clone, PartialEq)]
pub struct Session {
    /// Stable id.
    pub id: SessionId,
    /// Whose transcript it is.
    pub agent: Agent,
    /// The file that it was read from (the main one, where there are several).
    pub path: PathBuf,
    /// Models that answered, in order of first appearance; client-made placeholders are left out.
    pub models: Vec<String>,
    /// Earliest time in the transcript.
    pub started: Option<Timestamp>,
    /// Latest time in the transcript.
    pub ended: Option<Timestamp>,
    /// Seconds in which the agent worked: gaps between rows in file order, each capped at five minutes,
    /// those that end at a human's prompt left out.
    pub active_seconds: f64,
    /// What happened, in file order, numbered from 1.
    pub events: Vec<Event>,
    /// Rows of subagents. They are in no other count.
    pub subagent_events: u64,
    /// Tokens of the main agent.
    pub usage: Usage,
    /// Share of committed lines written by the agent (0 to 100), where the container records it: pooled over the checkpoints.
    pub agent_percentage: Option<f64>,
    /// What Entire recorded whenever the human committed, in the order of time; empty where the transcript is not from Entire.
    pub checkpoints: Vec<Checkpoint>,
    /// Labels that came with the data, made by whoever published it. No rater sees them.
    pub labels: Vec<ExistingLabel>,
    /// How the file was read.
    pub read: ReadReport,
}

/// A label that came with the data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExistingLabel {
    /// The task that it answers.
    pub task: &'static str,
    /// The ordinal of the prompt that it is about; `None` for the whole session.
    pub prompt: Option<u32>,
    /// The answer as the data has it: foreign text.
    pub value: String,
}

/// Something that happened in a session.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// Position in the session, from 1; evidence refers to it.
    pub number: u32,
    /// When, if the transcript says.
    pub at: Option<Timestamp>,
    /// What.
    pub body: EventBody,
}

/// The kinds of event. An event never holds what only a later event could know: a call does not know its outcome.
#[derive(Debug, Clone, PartialEq)]
pub enum EventBody {
    /// Words that a human typed to the agent.
    Prompt(Prompt),
    /// Words of the agent.
    Reply {
        /// The text.
        text: String,
    },
    /// The agent called a tool.
    ToolCall(ToolCall),
    /// What a tool call gave back.
    ToolResult(ToolResult),
    /// The human stopped the agent.
    Interruption {
        /// Whether the mark follows a tool call that was refused or cut off.
        during_tool: bool,
    },
    /// Text that entered the conversation without a human typing it.
    Injected {
        /// Where it came from.
        source: InjectedSource,
        /// The text.
        text: String,
    },
    /// The conversation so far was replaced by a summary.
    Compaction {
        /// The summary, where the transcript has it.
        summary: String,
    },
    /// The human went back: the events from `first_event` up to this one no longer count for the agent.
    Rewind {
        /// Number of the first withdrawn event.
        first_event: u32,
        /// How many prompts were withdrawn.
        prompts: u32,
    },
    /// A commit that the agent made.
    Commit {
        /// Abbreviated hash.
        hash: String,
        /// First line of the message.
        subject: String,
    },
    /// The client or the provider failed (an API error, a usage limit): no words of the model.
    ClientError {
        /// The message.
        text: String,
    },
}

/// Words that a human typed.
#[derive(Debug, Clone, PartialEq)]
pub struct Prompt {
    /// The prompt's ordinal in its session, from 1: the `n` of a unit id.
    pub ordinal: u32,
    /// What was typed; injected blocks of the same row are not in it.
    pub text: String,
    /// How it reached the agent.
    pub channel: Channel,
    /// How many images came with it.
    pub images: u32,
}

/// How a prompt reached the agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Channel {
    /// Typed at the agent's input.
    Typed,
    /// A slash command with its arguments.
    SlashCommand,
    /// A shell command that the human ran from the agent's input (`!cmd`).
    Shell,
    /// Typed while the agent worked and delivered in mid-turn.
    Steering,
    /// Given as the reason when a tool call was rejected.
    Rejection,
}

/// A tool call.
#[derive(Debug, Clone, PartialEq)]
pub struct ToolCall {
    /// The tool's name as the transcript has it: foreign text.
    pub name: String,
    /// What kind of work the call does.
    pub category: ToolCategory,
    /// The arguments: the command, the path, the pattern; else compact JSON.
    pub input: String,
}

/// What kind of work a tool call does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ToolCategory {
    /// Reading, listing, searching files or the web.
    Research,
    /// Writing or changing files.
    Edit,
    /// Running tests, builds, linters, type checks.
    Verify,
    /// Version control and code hosting.
    Git,
    /// Plans, task lists, questions to the human.
    Plan,
    /// Starting or steering subagents, skills.
    Delegate,
    /// Any other shell command.
    Shell,
    /// Anything else.
    Other,
}

/// What a tool call gave back.
#[derive(Debug, Clone, PartialEq)]
pub struct ToolResult {
    /// Number of the call's event, where it is known.
    pub call: Option<u32>,
    /// How it ended.
    pub outcome: ToolOutcome,
    /// The output.
    pub text: String,
}

/// How a tool call ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ToolOutcome {
    /// It ran.
    Ok,
    /// It ran and failed, or the harness refused it.
    Failed,
    /// The human refused it.
    Rejected,
    /// An interruption cut it off.
    Interrupted,
}

/// Where injected text came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InjectedSource {
    /// A reminder or notice of the harness.
    Harness,
    /// A background task or subagent that ended.
    Notification,
    /// A skill's or command's body.
    Skill,
    /// Output of a command that the human ran locally.
    CommandOutput,
    /// A hook's words.
    Hook,
    /// A plan that the human accepted; its author is the agent.
    AcceptedPlan,
    /// Answers chosen in a question tool.
    Answers,
    /// Project instructions, environment, open files.
    Context,
}

/// How a file was read: nothing that could not be used goes unmentioned.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct ReadReport {
    /// Lines that are not blank.
    pub lines: u64,
    /// JSON records found.
    pub records: u64,
    /// Records of a type that the reader does not know, by type.
    pub unknown: BTreeMap<String, u64>,
    /// Damaged lines whose records could all be used.
    pub repaired: u64,
    /// Damaged pieces that had to be left out.
    pub bad: u64,
}

impl ReadReport {
    /// Adds the counts of another file of the same session.
    pub fn absorb(&mut self, other: ReadReport) {
        let ReadReport { lines, records, unknown, repaired, bad } = other;
        self.lines += lines;
        self.records += records;
        self.repaired += repaired;
        self.bad += bad;
        for (kind, count) in unknown {
            *self.unknown.entry(kind).or_default() += count;
        }
    }

    /// Counts a record of a type that the reader does not know.
    pub fn count_unknown(&mut self, kind: &str) {
        *self.unknown.entry(kind.to_owned()).or_default() += 1;
    }
}

/// What one line of `sessions --json` holds.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SessionSummary {
    /// `agent:session-id`.
    pub id: SessionId,
    /// Whose transcript it is.
    pub agent: Agent,
    /// The file it was read from.
    #[serde(serialize_with = "as_text")]
    pub path: PathBuf,
    /// Models that answered.
    pub models: Vec<String>,
    /// Earliest time.
    pub started: Option<Timestamp>,
    /// Latest time.
    pub ended: Option<Timestamp>,
    /// From the earliest to the latest time.
    pub wall_seconds: f64,
    /// Time in which the agent worked.
    pub active_seconds: f64,
    /// All events.
    pub events: usize,
    /// Words typed by a human.
    pub prompts: usize,
    /// The human stopped the agent.
    pub interruptions: usize,
    /// Calls that the human refused.
    pub rejected_tools: usize,
    /// Calls of the main agent.
    pub tool_calls: usize,
    /// Calls that failed.
    pub failed_tool_calls: usize,
    /// Rows of subagents.
    pub subagent_events: u64,
    /// Times that the conversation was summarised.
    pub compactions: usize,
    /// Tokens of the main agent.
    pub usage: Usage,
    /// Commits: those of the repository that name a checkpoint of the session, each once, where there are any; else those that the transcript
    /// shows the agent making.
    pub commits: usize,
    /// Share of committed lines written by the agent, 0 to 100.
    pub agent_percentage: Option<f64>,
    /// What Entire recorded whenever the human committed, in the order of time.
    pub checkpoints: Vec<CheckpointSummary>,
    /// How the file was read.
    pub read: ReadReport,
}

/// Writes a path as text: a name that is not UTF-8 is no reason to have no output.
pub(crate) fn as_text<S: Serializer>(path: &Path, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&path.to_string_lossy())
}

impl Session {
    /// The human's prompts, in order.
    pub fn prompts(&self) -> impl Iterator<Item = (&Event, &Prompt)> {
        self.events.iter().filter_map(|event| match &event.body {
            EventBody::Prompt(prompt) => Some((event, prompt)),
            _ => None,
        })
    }

    /// The agent's tool calls, in order.
    pub fn tool_calls(&self) -> impl Iterator<Item = (&Event, &ToolCall)> {
        self.events.iter().filter_map(|event| match &event.body {
            EventBody::ToolCall(call) => Some((event, call)),
            _ => None,
        })
    }

    /// The commits that the agent made, as (hash, subject).
    pub fn commits(&self) -> impl Iterator<Item = (&str, &str)> {
        self.events.iter().filter_map(|event| match &event.body {
            EventBody::Commit { hash, subject } => Some((hash.as_str(), subject.as_str())),
            _ => None,
        })
    }

    /// How many tool results ended in `outcome`.
    pub fn outcomes(&self, outcome: ToolOutcome) -> usize {
        self.count(|body| matches!(body, EventBody::ToolResult(result) if result.outcome == outcome))
    }

    /// From the earliest to the latest time, in seconds; 0 where the transcript has no times.
    pub fn wall_seconds(&self) -> f64 {
        match (self.started, self.ended) {
            (Some(started), Some(ended)) => (ended.as_millisecond() - started.as_millisecond()) as f64 / 1000.0,
            _ => 0.0,
        }
    }

    /// The session's line in a listing.
    pub fn summary(&self) -> SessionSummary {
        SessionSummary {
            id: self.id.clone(),
            agent: self.agent,
            path: self.path.clone(),
            models: self.models.clone(),
            started: self.started,
            ended: self.ended,
            wall_seconds: self.wall_seconds(),
            active_seconds: self.active_seconds,
            events: self.events.len(),
            prompts: self.prompts().count(),
            interruptions: self.count(|body| matches!(body, EventBody::Interruption { .. })),
            rejected_tools: self.outcomes(ToolOutcome::Rejected),
            tool_calls: self.tool_calls().count(),
            failed_tool_calls: self.outcomes(ToolOutcome::Failed),
            subagent_events: self.subagent_events,
            compactions: self.count(|body| matches!(body, EventBody::Compaction { .. })),
            usage: self.usage,
            commits: self.commit_count(),
            agent_percentage: self.agent_percentage,
            checkpoints: self.checkpoints.iter().map(Checkpoint::summary).collect(),
            read: self.read.clone(),
        }
    }

    /// Takes what was recorded beside the transcript.
    pub fn attach(&mut self, checkpoints: Vec<Checkpoint>) {
        if !checkpoints.is_empty() {
            self.checkpoints = entire::in_order(checkpoints);
            self.agent_percentage = entire::agent_percentage(&self.checkpoints);
        }
    }

    fn commit_count(&self) -> usize {
        let linked: HashSet<&String> = self.checkpoints.iter().flat_map(|checkpoint| &checkpoint.commits).collect();
        if linked.is_empty() { self.commits().count() } else { linked.len() }
    }

    fn count(&self, wanted: impl Fn(&EventBody) -> bool) -> usize {
        self.events.iter().filter(|event| wanted(&event.body)).count()
    }
}

/// Why a transcript could not be read at all.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
pub enum ReadError {
    /// The file could not be opened or read.
    #[error("cannot read {path}: {source}", path = path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The database could not be opened or read.
    #[error("cannot read the database {path}: {source}", path = path.display())]
    Database {
        /// The file.
        path: PathBuf,
        /// What SQLite said.
        source: rusqlite::Error,
    },
}
