//! Takes the rows of a session in their order; tells them to a session as events.

use super::queue::{Arrival, Queue};
use super::row::{Row, Turn};
use super::words;
use crate::session::calls::Calls;
use crate::session::claude_code::result::{answers, outcome_of_text, rejection_words};
use crate::session::claude_code::text::{Piece, is_interface_command};
use crate::session::content::Call;
use crate::session::input::{Input, input};
use crate::session::{Agent, Channel, EventBody, InjectedSource, SessionBuilder, ToolCategory, ToolOutcome, tool};
use crate::session::{claude_code, codex};
use crate::usage::Usage;
use jiff::Timestamp;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use std::borrow::Cow;
use std::collections::{BTreeMap, HashSet};

/// The lengths at which the tables cut the result of a tool: 10 KB, by either reading of the unit.
const CUT_AT: [usize; 2] = [10_000, 10_240];

/// What the client writes where the conversation was cut to be summarised.
const COMPACTED: &str = "Conversation compacted";

/// What the telling of rows came to.
#[derive(Debug, Default)]
pub(super) struct Told {
    /// The ordinal of the prompt that a row became, by the row's place.
    pub prompts: BTreeMap<usize, u32>,
}

/// Tells `rows` to `builder`.
pub(super) fn tell(agent: Agent, rows: &[Row], builder: &mut SessionBuilder) -> Told {
    let mut conversation = Conversation {
        agent,
        rows,
        queue: Queue::new(rows, human_rows(agent, rows)),
        before_human: before_human(rows),
        builder,
        calls: Calls::default(),
        delegated: HashSet::new(),
        questions: HashSet::new(),
        told: Told::default(),
        queued: Vec::new(),
        stopped_by_result: false,
        boundary: None,
        booked: None,
    };
    for at in 0..rows.len() {
        conversation.row(at);
    }
    let Conversation { mut told, queued, .. } = conversation;
    // A queue operation and the row in which its text came again are the same prompt.
    for (row, operations) in queued {
        if let Some(&ordinal) = told.prompts.get(&row) {
            told.prompts.extend(operations.into_iter().map(|operation| (operation, ordinal)));
        }
    }
    told
}

/// The rows with a human's words, and the words.
fn human_rows(agent: Agent, rows: &[Row]) -> Vec<(usize, String)> {
    let words = |row: &Row| {
        let texts: Vec<&str> = words::split(agent, &row.content)
            .into_iter()
            .filter_map(|piece| match piece {
                Piece::Human(text) => Some(text),
                _ => None,
            })
            .collect();
        texts.join("\n\n")
    };
    let prompts = rows.iter().enumerate().filter(|(_, row)| row.turn == Turn::Prompt && !row.is_continuation);
    prompts.map(|(at, row)| (at, words(row))).filter(|(_, words)| !words.is_empty()).collect()
}

/// Of each row, whether the next that is said by anyone is in the human's name. The client runs hooks when a prompt is sent, and logs them
/// first: the wait before them is the human's.
fn before_human(rows: &[Row]) -> Vec<bool> {
    let mut before = vec![false; rows.len()];
    let mut human_next = false;
    for (at, row) in rows.iter().enumerate().rev() {
        before[at] = human_next;
        match row.turn {
            Turn::Prompt | Turn::Injected => human_next = true,
            Turn::Progress | Turn::SystemEvent | Turn::Snapshot | Turn::Queue(_) | Turn::Unknown(_) => {}
            _ => human_next = false,
        }
    }
    before
}

struct Conversation<'a> {
    agent: Agent,
    rows: &'a [Row],
    queue: Queue<'a>,
    /// Whether a human comes next after each row.
    before_human: Vec<bool>,
    builder: &'a mut SessionBuilder,
    calls: Calls,
    /// What the agent told subagents to do.
    delegated: HashSet<String>,
    /// Ids of calls that ask the human something, so that the wait for their results is the human's.
    questions: HashSet<String>,
    told: Told,
    /// Queue operations whose text is the prompt of a row.
    queued: Vec<(usize, Vec<usize>)>,
    /// Whether a result said already that the human stopped the agent.
    stopped_by_result: bool,
    /// The compaction that has no summary yet.
    boundary: Option<u32>,
    /// The tokens that were booked last, while the agent's message may go on.
    booked: Option<Usage>,
}

impl Conversation<'_> {
    fn row(&mut self, at: usize) {
        let row = &self.rows[at];
        match &row.turn {
            Turn::Prompt | Turn::Injected => self.user(at, row),
            Turn::Response => self.response(row),
            Turn::Thinking => {
                self.builder.tick(row.at, false);
                self.model(row);
            }
            Turn::Call => self.call(row),
            Turn::Result => self.result(row),
            Turn::Summary => self.summary(row),
            Turn::SystemEvent => self.system_event(at, row),
            Turn::Progress => self.builder.tick(row.at, self.before_human[at]),
            Turn::Snapshot => {}
            Turn::Queue(operation) => match self.queue.step(at, *operation) {
                Arrival::None => {}
                Arrival::Row { row, queued } => self.queued.push((row, queued)),
                Arrival::Words { words, queued } => {
                    let ordinal = self.prompt(row.at, Channel::Steering, words.trim());
                    self.told.prompts.extend(queued.into_iter().map(|row| (row, ordinal)));
                }
            },
            Turn::Unknown(kind) => self.builder.read.count_unknown(kind),
        }
    }

    /// Adds a prompt; gives its ordinal.
    fn prompt(&mut self, at: Option<Timestamp>, channel: Channel, text: &str) -> u32 {
        self.builder.prompt(at, channel, text, 0);
        self.builder.prompts()
    }

    fn user(&mut self, at: usize, row: &Row) {
        let time = row.at;
        let text = row.content.as_str();
        self.booked = None;
        // The table does not say which rows are a subagent's; the words that the agent gave it are known all the same.
        if self.delegated.contains(text.trim()) {
            self.builder.subagent_events += 1;
            return;
        }
        let pieces = words::split(self.agent, text);
        // Nobody types a continuation: the client sends it, mostly with a summary.
        let by_nobody = row.turn == Turn::Injected || row.is_continuation;
        let is_humans = |piece: &Piece<'_>| match piece {
            Piece::Human(_) => !by_nobody,
            Piece::Command { .. } | Piece::Shell(_) | Piece::LocalOutput(_) => true,
            _ => false,
        };
        self.builder.tick(time, pieces.iter().any(is_humans));
        let mut typed = Vec::new();
        for piece in pieces {
            match piece {
                Piece::Human(text) if row.is_continuation => {
                    self.builder.injected(time, InjectedSource::Harness, text);
                }
                Piece::Human(text) if by_nobody => self.builder.injected(time, words::source(self.agent, text), text),
                Piece::Human(text) => typed.push(text),
                Piece::Command { name, arguments } => self.command(at, time, name, arguments),
                Piece::Shell(command) => {
                    let ordinal = self.prompt(time, Channel::Shell, &format!("!{command}"));
                    self.told.prompts.insert(at, ordinal);
                }
                Piece::LocalOutput("") => {}
                Piece::LocalOutput(text) => self.builder.injected(time, InjectedSource::CommandOutput, text),
                Piece::Interruption { during_tool } => {
                    if !std::mem::take(&mut self.stopped_by_result) {
                        self.builder.push(time, EventBody::Interruption { during_tool });
                    }
                }
                Piece::Summary(text) => self.compaction(time, text),
                Piece::Injected(source, text) => self.builder.injected(time, source, text),
            }
        }
        if !typed.is_empty() {
            self.calls.forget();
            self.stopped_by_result = false;
            let ordinal = self.prompt(time, Channel::Typed, &typed.join("\n\n"));
            self.told.prompts.insert(at, ordinal);
        }
    }

    fn command(&mut self, at: usize, time: Option<Timestamp>, name: &str, arguments: &str) {
        let name = format!("/{}", name.trim_start_matches('/'));
        let line = if arguments.is_empty() { name.clone() } else { format!("{name} {arguments}") };
        if is_interface_command(&name) || self.only_prints(at) {
            self.builder.injected(time, InjectedSource::CommandOutput, line);
        } else if arguments.is_empty() {
            self.builder.injected(time, InjectedSource::Skill, line);
        } else {
            let ordinal = self.prompt(time, Channel::SlashCommand, &line);
            self.told.prompts.insert(at, ordinal);
        }
    }

    /// Whether a command's output follows it: then it ran in the client and the agent never heard of it.
    fn only_prints(&self, at: usize) -> bool {
        let said = |row: &&Row| !matches!(row.turn, Turn::Queue(_) | Turn::Progress | Turn::Snapshot);
        let next = self.rows[at + 1..].iter().find(said);
        next.is_some_and(|row| {
            matches!(row.turn, Turn::Prompt | Turn::Injected | Turn::SystemEvent)
                && matches!(words::split(self.agent, &row.content).first(), Some(Piece::LocalOutput(_)))
        })
    }

    fn response(&mut self, row: &Row) {
        self.stopped_by_result = false;
        self.boundary = None;
        if row.model.as_deref() == Some("<synthetic>") {
            // The client closes a turn that needs no answer in the agent's name, and says there what failed.
            let idle = row.content == "No response requested.";
            self.builder.tick(row.at, idle);
            match row.content.as_str() {
                text if idle => self.builder.injected(row.at, InjectedSource::Harness, text),
                "" => {}
                text => drop(self.builder.push(row.at, EventBody::ClientError { text: text.to_owned() })),
            }
            return;
        }
        self.builder.tick(row.at, false);
        self.model(row);
        self.book(row.usage);
        self.builder.reply(row.at, row.content.as_str());
    }

    fn model(&mut self, row: &Row) {
        if let Some(model) = row.model.as_deref().filter(|model| *model != "<synthetic>") {
            self.builder.model(model);
        }
    }

    /// Books tokens. A message in several rows repeats its own on each, and the output grows: rows with the same prompt between which
    /// nothing was sent to the model are one message.
    fn book(&mut self, usage: Usage) {
        if usage == Usage::default() {
            return;
        }
        let prompt = |usage: &Usage| (usage.input, usage.cached_input, usage.cache_write);
        match self.booked {
            Some(booked) if prompt(&booked) == prompt(&usage) => {
                self.builder.usage.output += usage.output.saturating_sub(booked.output);
                self.booked = Some(Usage { output: usage.output.max(booked.output), ..booked });
            }
            _ => {
                self.builder.usage += usage;
                self.booked = Some(usage);
            }
        }
    }

    fn call(&mut self, row: &Row) {
        self.builder.tick(row.at, false);
        self.model(row);
        self.stopped_by_result = false;
        self.boundary = None;
        let name = row.tool.clone().unwrap_or_default();
        let arguments = arguments(row);
        if tool::category(&name, None) == ToolCategory::Delegate
            && let Some(words) = ["prompt", "message"].iter().find_map(|key| arguments.get(*key)?.as_str())
        {
            self.delegated.insert(words.trim().to_owned());
        }
        if let (Some(id), "AskUserQuestion" | "ExitPlanMode") = (row.call.as_deref(), name.as_str()) {
            self.questions.insert(id.to_owned());
        }
        let input = self.input(&name, row, &arguments);
        self.calls.call(self.builder, row.at, Call { id: row.call.clone(), name, input });
    }

    fn input(&self, name: &str, row: &Row, arguments: &Value) -> Input {
        let raw = row.input.as_deref().and_then(|json| serde_json::from_str::<&RawValue>(json).ok());
        match claude_code::input::read(name, raw) {
            Ok(read) if self.agent == Agent::ClaudeCode && raw.is_some() => {
                Input { text: read.text, command: read.command }
            }
            _ => input(Some(arguments)),
        }
    }

    fn result(&mut self, row: &Row) {
        self.booked = None;
        let (outcome, text) = match self.agent {
            Agent::Codex => {
                let judged = codex::outcome::judge(row.content.clone());
                (judged.outcome.unwrap_or(ToolOutcome::Ok), judged.text)
            }
            _ => (outcome_of_text(&row.content), row.content.clone()),
        };
        let answer = answers(&text).map(str::to_owned);
        let asks = row.call.as_deref().is_some_and(|id| self.questions.contains(id));
        self.builder.tick(row.at, outcome == ToolOutcome::Rejected || asks || answer.is_some());
        let words = rejection_words(&text).filter(|_| outcome == ToolOutcome::Rejected).map(str::to_owned);
        let text = with_mark_of_cut(&text).into_owned();
        self.calls.result(self.builder, row.at, row.call.as_deref(), outcome, text);
        match outcome {
            ToolOutcome::Interrupted if !self.stopped_by_result => {
                self.builder.push(row.at, EventBody::Interruption { during_tool: true });
                self.stopped_by_result = true;
            }
            ToolOutcome::Rejected => {
                if let Some(words) = words {
                    self.prompt(row.at, Channel::Rejection, &words);
                }
            }
            ToolOutcome::Ok => {
                if let Some(answer) = answer {
                    self.builder.injected(row.at, InjectedSource::Answers, answer);
                }
            }
            _ => {}
        }
    }

    /// A summary of this conversation. Claude Code also writes titles of other sessions as summaries; those are metadata.
    fn summary(&mut self, row: &Row) {
        let text = row.content.trim();
        let is_title = self.agent == Agent::ClaudeCode && row.is_metadata;
        let is_summary = matches!(words::split(Agent::ClaudeCode, text).first(), Some(Piece::Summary(_)));
        if !text.is_empty() && (is_summary || !is_title) {
            self.builder.tick(row.at, false);
            self.compaction(row.at, text);
        }
    }

    fn compaction(&mut self, at: Option<Timestamp>, summary: &str) {
        let body = EventBody::Compaction { summary: summary.to_owned() };
        match self.boundary.take().and_then(|event| self.builder.events_mut().get_mut(event as usize - 1)) {
            Some(event) => event.body = body,
            None => drop(self.builder.push(at, body)),
        }
    }

    fn system_event(&mut self, at: usize, row: &Row) {
        if row.content.trim() == COMPACTED {
            self.builder.tick(row.at, false);
            self.boundary = Some(self.builder.push(row.at, EventBody::Compaction { summary: String::new() }));
            return;
        }
        let mut is_local = false;
        for piece in words::split(self.agent, &row.content) {
            let text = match piece {
                Piece::Command { name, .. } => format!("/{}", name.trim_start_matches('/')),
                Piece::LocalOutput(text) => text.to_owned(),
                _ => continue,
            };
            if !is_local {
                is_local = true;
                self.builder.tick(row.at, true);
            }
            if !text.is_empty() {
                self.builder.injected(row.at, InjectedSource::CommandOutput, text);
            }
        }
        if !is_local {
            self.builder.tick(row.at, self.before_human[at]);
        }
    }
}

/// A call's arguments, or what the table took out of them.
fn arguments(row: &Row) -> Value {
    let parsed = row.input.as_deref().map(|json| serde_json::from_str(json).unwrap_or_else(|_| json.into()));
    parsed.filter(|value: &Value| !value.is_null()).unwrap_or_else(|| {
        let parts = [("command", &row.command), ("file_path", &row.file), ("pattern", &row.pattern)];
        let found = parts.into_iter().filter_map(|(key, value)| Some((key.to_owned(), json!(value.as_ref()?))));
        Value::Object(found.collect())
    })
}

/// A result with a mark at its end where the table cut it, so that a rater knows.
fn with_mark_of_cut(text: &str) -> Cow<'_, str> {
    // A cut in bytes falls back to the beginning of a character.
    let cut = CUT_AT
        .iter()
        .any(|at| (at - 3..=*at).contains(&text.len()) || (text.len() > *at && text.chars().count() == *at));
    if cut { Cow::Owned(format!("{text}\n[cut at 10 KB in the data]")) } else { Cow::Borrowed(text) }
}
