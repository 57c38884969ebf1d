//! Takes the rows of a session's files, one at a time; gives steps: what each row says on its own.
//!
//! What a row means can hang on rows that come later (whether a queued text is delivered, whether a command only worked the
//! interface), so steps are put together afterwards.

use super::input;
use super::row::{Attachment, Block, Content, Row, Tokens};
use super::text::{self, Author, Piece};
use crate::session::tool;
use crate::session::{InjectedSource, ToolCategory};
use crate::usage::Usage;
use jiff::Timestamp;
use serde::Deserialize;
use std::collections::{HashMap, HashSet};

/// What Entire's redaction writes in place of an id: it stands for any of them.
pub(super) const REDACTED: &str = "REDACTED";

/// Something that a row says.
#[derive(Debug)]
pub(super) struct Step {
    pub at: Option<Timestamp>,
    pub what: What,
}

/// The kinds of step.
#[derive(Debug)]
pub(super) enum What {
    /// A row of the main conversation begins; whether a human's act ended the wait before it.
    Row { human: bool },
    /// A human's words in a user row; `parent` is the row it answers.
    Prompt { text: String, images: u32, parent: Option<String> },
    /// Words beside a tool's result.
    Aside(String),
    /// A slash command.
    Command { name: String, arguments: String },
    /// `!cmd`.
    Shell(String),
    /// Output of a command that ran locally.
    LocalOutput(String),
    /// Text that nobody typed.
    Injected(InjectedSource, String),
    /// The mark that a human leaves when stopping the agent.
    Interruption { during_tool: bool },
    /// The conversation was cut here to be summarised.
    Boundary,
    /// The summary.
    Summary(String),
    /// Words of the agent.
    Reply(String),
    /// A failure of the client or the provider.
    ClientError(String),
    /// A tool call.
    Call(Call),
    /// A tool's result.
    Result(Output),
    /// A text was put in the queue.
    Enqueue(String),
    /// The next text of the queue was sent as a row of its own.
    Dequeue(Option<String>),
    /// A text left the queue in mid-turn.
    Remove(Option<String>),
    /// The queue went back to the input line.
    PopAll,
    /// A queued text arrived in mid-turn, as newer versions write it.
    Delivered { text: String, images: u32 },
}

/// A tool call.
#[derive(Debug)]
pub(super) struct Call {
    pub id: String,
    /// The row it stands in.
    pub row: String,
    pub name: String,
    pub category: ToolCategory,
    pub input: String,
    /// Whether it runs `git commit`.
    pub commits: bool,
}

/// A tool's result.
#[derive(Debug)]
pub(super) struct Output {
    pub id: String,
    /// The row of the call, where the result says it.
    pub row: Option<String>,
    pub failed: bool,
    /// Who refused the call, in newer versions.
    pub denial: Option<String>,
    pub text: String,
    /// The commit that the client saw.
    pub commit: Option<String>,
}

/// The client's own account of a git command.
#[derive(Deserialize)]
struct Structured {
    #[serde(rename = "gitOperation")]
    git: Option<GitOperation>,
}

#[derive(Deserialize)]
struct GitOperation {
    commit: Option<GitCommit>,
}

#[derive(Deserialize)]
struct GitCommit {
    sha: Option<String>,
}

/// Collects the steps of all files of a session.
#[derive(Debug, Default)]
pub(super) struct Steps {
    pub steps: Vec<Step>,
    pub models: Vec<String>,
    pub subagent_events: u64,
    /// Types of rows and blocks that are not known, as often as they stand there.
    pub unknown: Vec<String>,
    uuids: HashSet<String>,
    /// The time and the text of the last row that queued one.
    last_queued: Option<(String, Option<String>)>,
    usage: HashMap<String, Usage>,
}

impl Steps {
    /// Tokens of the main agent: of each message, once.
    pub fn usage(&self) -> Usage {
        self.usage.values().copied().sum()
    }

    /// Takes a line. When it fails, it has had no effect.
    pub fn line(&mut self, line: &str) -> Result<(), serde_json::Error> {
        let row: Row<'_> = serde_json::from_str(line)?;
        let inputs = inputs(&row)?;
        if row.uuid.some().is_some_and(|uuid| !self.uuids.insert(uuid.to_owned())) {
            return Ok(());
        }
        self.row(row, inputs);
        Ok(())
    }

    fn row(&mut self, row: Row<'_>, inputs: Vec<input::Input>) {
        let at = timestamp(row.timestamp.get());
        let kind = row.kind.get();
        if row.sidechain.0 {
            self.subagent_events += u64::from(matches!(kind, "user" | "assistant"));
            return;
        }
        match kind {
            "user" => self.user(&row, at),
            "assistant" => self.assistant(&row, inputs, at),
            "system" => self.system(&row, at),
            "attachment" => {
                if let Some(attachment) = &row.attachment.0 {
                    self.attachment(attachment, at);
                }
            }
            "progress" => {
                let Some(progress) = &row.data.0 else { return };
                if let Some(message) = progress.message.0.as_ref().filter(|_| progress.kind.get() == "agent_progress") {
                    let known = message.uuid.some().is_some_and(|uuid| !self.uuids.insert(uuid.to_owned()));
                    self.subagent_events += u64::from(!known);
                }
                self.push(at, What::Row { human: is_humans(progress.hook_event.get()) });
            }
            "queue-operation" => self.queue(&row, at),
            "summary"
            | "file-history-snapshot"
            | "file-history-delta"
            | "last-prompt"
            | "custom-title"
            | "ai-title"
            | "agent-name"
            | "agent-color"
            | "mode"
            | "permission-mode"
            | "pr-link"
            | "frame-link"
            | "tag"
            | "marble-origami-commit"
            | "content-replacement"
            | "worktree-state"
            | "bridge-session" => {}
            other => self.unknown.push(other.to_owned()),
        }
    }

    fn push(&mut self, at: Option<Timestamp>, what: What) {
        self.steps.push(Step { at, what });
    }

    fn user(&mut self, row: &Row<'_>, at: Option<Timestamp>) {
        let begin = self.steps.len();
        self.push(at, What::Row { human: false });
        let Some(message) = &row.message.0 else { return };
        if row.compact_summary.0 {
            self.push(at, What::Summary(message.content.joined()));
            return;
        }
        let author = Author {
            meta: row.meta.0,
            origin: row.origin.0.as_ref().map(|origin| origin.kind.get()),
            plan: row.plan.0,
        };
        let mut words = Words::default();
        match &message.content {
            Content::Nothing => {}
            Content::Text(text) => self.pieces(text, author, at, &mut words),
            Content::Blocks(blocks) => {
                let beside_result = blocks.iter().any(|block| block.kind.get() == "tool_result");
                for block in blocks {
                    match block.kind.get() {
                        "tool_result" => self.result(row, block, at),
                        "text" | "" => self.pieces(block.text.get(), author, at, &mut words),
                        "image" => words.images += 1,
                        "document" => {}
                        other => self.unknown.push(format!("user/{other}")),
                    }
                }
                if beside_result {
                    for words in words.texts.drain(..) {
                        self.push(at, What::Aside(words));
                    }
                    words.images = 0;
                }
            }
        }
        let mut human = words.human;
        if !words.texts.is_empty() {
            human = true;
            let parent = row.parent.some().map(str::to_owned);
            self.push(at, What::Prompt { text: words.texts.join("\n\n"), images: words.images, parent });
        } else if words.images > 0 && !row.meta.0 {
            human = true;
            self.push(at, What::Injected(InjectedSource::Context, "[image]".to_owned()));
        }
        self.steps[begin].what = What::Row { human };
    }

    /// Sorts the pieces of a text block.
    fn pieces(&mut self, text: &str, author: Author<'_>, at: Option<Timestamp>, words: &mut Words) {
        for piece in text::pieces(text, author) {
            let what = match piece {
                Piece::Human(text) => {
                    words.texts.push(text.to_owned());
                    continue;
                }
                Piece::Command { name, arguments } => {
                    words.human = true;
                    let name = format!("/{}", name.trim_start_matches('/'));
                    What::Command { name, arguments: arguments.to_owned() }
                }
                Piece::Shell(command) => {
                    words.human = true;
                    What::Shell(format!("!{command}"))
                }
                Piece::LocalOutput(text) => {
                    words.human = true;
                    What::LocalOutput(text.to_owned())
                }
                Piece::Interruption { during_tool } => What::Interruption { during_tool },
                Piece::Summary(text) => What::Summary(text.to_owned()),
                Piece::Injected(source, text) => {
                    // The caveat stands before what a human ran locally and ends the same wait.
                    words.human |= author.meta && source == InjectedSource::Harness;
                    What::Injected(source, text.to_owned())
                }
            };
            self.push(at, what);
        }
    }

    fn result(&mut self, row: &Row<'_>, block: &Block<'_>, at: Option<Timestamp>) {
        let commit = row.structured_result.and_then(|raw| git_commit(raw.get()));
        self.push(
            at,
            What::Result(Output {
                id: block.tool_use_id.get().to_owned(),
                row: row.source_row.some().map(str::to_owned),
                failed: block.is_error.0,
                denial: row.denial.some().map(str::to_owned),
                text: block.content.joined(),
                commit,
            }),
        );
    }

    fn assistant(&mut self, row: &Row<'_>, inputs: Vec<input::Input>, at: Option<Timestamp>) {
        let Some(message) = &row.message.0 else { return };
        let model = message.model.get();
        if model == "<synthetic>" || row.api_error.0 {
            let text = message.content.joined();
            // Nothing failed: the client closes a turn that needs no answer, often when the human comes back to the session.
            let idle = text == "No response requested.";
            self.push(at, What::Row { human: idle });
            match text {
                text if idle => self.push(at, What::Injected(InjectedSource::Harness, text)),
                text if text.is_empty() => {}
                text => self.push(at, What::ClientError(text)),
            }
            return;
        }
        self.push(at, What::Row { human: false });
        if !model.is_empty() && !self.models.iter().any(|known| known == model) {
            self.models.push(model.to_owned());
        }
        if let Some(tokens) = message.usage.0 {
            self.count(row, tokens);
        }
        let blocks = match &message.content {
            Content::Nothing => return,
            Content::Text(text) => {
                self.push(at, What::Reply(text.clone().into_owned()));
                return;
            }
            Content::Blocks(blocks) => blocks,
        };
        let mut inputs = inputs.into_iter();
        for block in blocks {
            match block.kind.get() {
                "text" | "" => self.push(at, What::Reply(block.text.get().to_owned())),
                "tool_use" | "server_tool_use" => {
                    let input = inputs.next().unwrap_or_default();
                    let name = block.name.get();
                    self.push(
                        at,
                        What::Call(Call {
                            id: block.id.get().to_owned(),
                            row: row.uuid.get().to_owned(),
                            name: name.to_owned(),
                            category: tool::category(name, input.command.as_deref()),
                            commits: input.command.as_deref().is_some_and(tool::commits),
                            input: input.text,
                        }),
                    );
                }
                kind if kind.ends_with("_tool_result") => self.result(row, block, at),
                "thinking" | "redacted_thinking" | "fallback" | "image" => {}
                other => self.unknown.push(format!("assistant/{other}")),
            }
        }
    }

    /// Books a message's tokens. They repeat on each of its rows and grow until the last.
    fn count(&mut self, row: &Row<'_>, tokens: Tokens) {
        let id = row.message.0.as_ref().map_or("", |message| message.id.get());
        let key = match (id, row.request.get()) {
            ("" | REDACTED, "" | REDACTED) => {
                let Tokens { input_tokens, cache_creation_input_tokens, cache_read_input_tokens, .. } = tokens;
                format!("{}/{}/{}", input_tokens.0, cache_creation_input_tokens.0, cache_read_input_tokens.0)
            }
            ("" | REDACTED, request) => request.to_owned(),
            (id, _) => id.to_owned(),
        };
        let usage = Usage {
            input: tokens.input_tokens.0,
            cached_input: tokens.cache_read_input_tokens.0,
            cache_write: tokens.cache_creation_input_tokens.0,
            output: tokens.output_tokens.0,
            reasoning: 0,
        };
        let booked = self.usage.entry(key).or_default();
        if usage.output >= booked.output {
            *booked = usage;
        }
    }

    fn system(&mut self, row: &Row<'_>, at: Option<Timestamp>) {
        let subtype = row.subtype.get();
        let content = row.content.joined();
        let local = subtype == "local_command";
        self.push(at, What::Row { human: local });
        match subtype {
            "compact_boundary" => self.push(at, What::Boundary),
            "local_command" => {
                for piece in text::pieces(&content, Author::default()) {
                    match piece {
                        Piece::Command { name, .. } => {
                            let name = format!("/{}", name.trim_start_matches('/'));
                            self.push(at, What::Injected(InjectedSource::CommandOutput, name));
                        }
                        Piece::LocalOutput(text) => self.push(at, What::LocalOutput(text.to_owned())),
                        _ => {}
                    }
                }
            }
            "api_error" if row.retry.0 == 0 => {
                let error = row.error.map_or("", |raw| raw.get());
                let text = if content.is_empty() { error.to_owned() } else { content };
                self.push(at, What::ClientError(text));
            }
            _ => {}
        }
    }

    fn attachment(&mut self, attachment: &Attachment<'_>, at: Option<Timestamp>) {
        self.push(at, What::Row { human: is_humans(attachment.hook_event.get()) });
        match attachment.kind.get() {
            "queued_command" => {
                let text = attachment.prompt.words();
                let origin = attachment.origin.0.as_ref().map(|origin| origin.kind.get());
                let notice = matches!(attachment.mode.get(), "task-notification") || text::is_notice(&text);
                match origin {
                    _ if notice => self.push(at, What::Injected(InjectedSource::Notification, text)),
                    None | Some("human" | "") if !attachment.meta.0 => {
                        self.push(at, What::Delivered { text, images: attachment.prompt.images() });
                    }
                    _ => self.push(at, What::Injected(InjectedSource::Harness, text)),
                }
            }
            "hook_additional_context" | "hook_system_message" | "hook_blocking_error" | "hook_non_blocking_error" => {
                let text = attachment.content.joined().trim().to_owned();
                if !text.is_empty() {
                    self.push(at, What::Injected(InjectedSource::Hook, text));
                }
            }
            "edited_text_file" => {
                let text = format!("file changed outside the agent: {}", attachment.filename.get());
                self.push(at, What::Injected(InjectedSource::Context, text));
            }
            _ => {}
        }
    }

    fn queue(&mut self, row: &Row<'_>, at: Option<Timestamp>) {
        let content = row.content.text();
        if row.operation.get() == "enqueue" && !row.timestamp.get().is_empty() {
            // The same text is not queued twice at the same moment: the row was written twice.
            let queued = Some((row.timestamp.get().to_owned(), content.clone()));
            if self.last_queued == queued {
                return;
            }
            self.last_queued = queued;
        }
        let what = match row.operation.get() {
            "enqueue" => What::Enqueue(content.unwrap_or_default()),
            "dequeue" => What::Dequeue(content),
            "remove" => What::Remove(content),
            "popAll" => What::PopAll,
            other => {
                self.unknown.push(format!("queue-operation/{other}"));
                return;
            }
        };
        self.push(at, what);
    }
}

/// A human's words in a row, as far as they are found.
#[derive(Default)]
struct Words {
    texts: Vec<String>,
    images: u32,
    /// Whether the row is a human's act for another reason.
    human: bool,
}

/// The arguments of a row's tool calls, in order.
fn inputs(row: &Row<'_>) -> Result<Vec<input::Input>, serde_json::Error> {
    let Some(Content::Blocks(blocks)) = row.message.0.as_ref().map(|message| &message.content) else {
        return Ok(Vec::new());
    };
    if row.sidechain.0 || row.kind.get() != "assistant" {
        return Ok(Vec::new());
    }
    let calls = blocks.iter().filter(|block| matches!(block.kind.get(), "tool_use" | "server_tool_use"));
    calls.map(|block| input::read(block.name.get(), block.input)).collect()
}

/// Whether a hook ran because a human came, went or typed.
fn is_humans(hook_event: &str) -> bool {
    matches!(hook_event, "SessionStart" | "SessionEnd" | "UserPromptSubmit")
}

/// The commit that a structured result names.
fn git_commit(json: &str) -> Option<String> {
    memchr::memmem::find(json.as_bytes(), b"\"gitOperation\"")?;
    serde_json::from_str::<Structured>(json).ok()?.git?.commit?.sha
}

/// A time as the transcript writes it: ISO, or milliseconds since 1970.
pub(super) fn timestamp(text: &str) -> Option<Timestamp> {
    if text.is_empty() {
        return None;
    }
    text.parse().ok().or_else(|| Timestamp::from_millisecond(text.parse().ok()?).ok())
}
