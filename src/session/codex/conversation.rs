//! Takes a rollout's rows in file order; gives the session that they tell, each thing once.
//!
//! Codex writes much twice: as what the model saw (response items) and as what the screen showed (events). Which of the two
//! stands for prompts, replies and interruptions is decided once for the whole file, from what it holds.

use super::injected;
use super::outcome::judge;
use super::row::{Body, Call, Mark, Role, Row};
use super::tokens::Meter;
use crate::session::tool;
use crate::session::value::is_id;
use crate::session::{Channel, EventBody, InjectedSource, SessionBuilder, ToolOutcome};
use jiff::Timestamp;
use std::collections::{HashMap, HashSet, VecDeque};
use std::ops::Range;

/// Facts about the whole file that decide which of two copies counts.
#[derive(Debug, Default)]
struct Facts {
    /// What was typed, where the client wrote it down as events; else prompts are taken from messages.
    typed: HashSet<String>,
    has_typed: bool,
    has_replies: bool,
    has_aborts: bool,
    /// Calls with a result of their own.
    answered: HashSet<String>,
    /// How calls ended by the client's account.
    ends: HashMap<String, ToolOutcome>,
}

impl Facts {
    fn gather(rows: &[Row]) -> Facts {
        let mut facts = Facts::default();
        for row in rows {
            match &row.body {
                Body::UserMessage { text, injected, .. } => {
                    facts.has_typed |= !injected;
                    facts.typed.insert(text.trim().to_owned());
                }
                Body::Message { role: Role::Assistant, .. } => facts.has_replies = true,
                Body::TurnAborted { .. } => facts.has_aborts = true,
                Body::Output { id: Some(id), .. } => {
                    facts.answered.insert(id.clone());
                }
                Body::CallEnd { id, outcome, .. } => {
                    facts.ends.insert(id.clone(), *outcome);
                }
                _ => {}
            }
        }
        facts
    }
}

/// A call that was made.
#[derive(Debug)]
struct Made {
    event: u32,
    call: Call,
    has_result: bool,
    /// Whether the command commits, also one that was begun by an earlier call.
    commits: bool,
}

/// A turn with prompts that has not been withdrawn.
#[derive(Debug)]
struct Turn {
    first_event: u32,
    prompts: u32,
}

/// Tells the rows to a session builder.
#[derive(Debug)]
pub(super) struct Conversation<'a> {
    session: &'a mut SessionBuilder,
    facts: Facts,
    /// The "user" is another agent: its words are nobody's prompts.
    subagent: bool,
    meter: Meter,
    turns: Vec<Turn>,
    turn_is_open: bool,
    turn_has_prompt: bool,
    made: HashMap<String, Made>,
    /// Calls whose ids were taken out; results find them by order.
    nameless: VecDeque<Made>,
    /// Events of calls of this turn that have no result yet.
    unanswered: HashSet<u32>,
    /// Whether the last thing that happened is a call that was refused or cut off.
    tool_was_stopped: bool,
    /// Running processes: whether their command commits.
    processes: HashMap<String, bool>,
    /// The event of the last compaction, the marks of it seen, and whether nothing has happened since.
    compaction: Option<(u32, Vec<Mark>)>,
}

/// Tells `rows`, of which those at `copied` are another thread's, to `session`.
pub(super) fn tell(rows: Vec<Row>, copied: Range<usize>, subagent: bool, inherits: bool, session: &mut SessionBuilder) {
    let mut conversation = Conversation {
        session,
        facts: Facts::gather(&rows),
        subagent,
        meter: Meter::new(inherits),
        turns: Vec::new(),
        turn_is_open: false,
        turn_has_prompt: false,
        made: HashMap::new(),
        nameless: VecDeque::new(),
        unanswered: HashSet::new(),
        tool_was_stopped: false,
        processes: HashMap::new(),
        compaction: None,
    };
    let mut rows = rows.into_iter().enumerate().peekable();
    while let Some((index, row)) = rows.next() {
        let is_mirrored = matches!(rows.peek(), Some((_, Row { body: Body::UserMessage { injected: false, .. }, .. })));
        conversation.row(row, copied.contains(&index), is_mirrored);
    }
}

impl Conversation<'_> {
    /// Takes a row; `is_mirrored` says that the next one is an event with what was typed.
    fn row(&mut self, row: Row, is_copy: bool, is_mirrored: bool) {
        let Row { at, body } = row;
        if !is_copy {
            let human = self.ends_a_wait(&body);
            self.session.tick(at, human);
        }
        if let Body::Message { unknown, .. } = &body {
            unknown.iter().for_each(|kind| self.session.read.count_unknown(kind));
        }
        match body {
            Body::Tokens { total, last } if is_copy => {
                if let Some(total) = total.or(last) {
                    self.meter.inherit(total);
                }
            }
            Body::Tokens { total, last } => self.session.usage += self.meter.advance(total, last),
            Body::TurnContext { model, .. } => {
                if let Some(model) = model {
                    self.session.model(&model);
                }
            }
            Body::TurnStarted { .. } => self.turn(true),
            Body::TurnEnded => self.turn(false),
            Body::TurnAborted { by_human } => {
                if by_human {
                    self.interruption(at);
                }
                self.turn(false);
            }
            Body::RolledBack { turns } => self.rewind(at, turns),
            Body::UserMessage { text, injected: true, .. } => self.injected(at, None, text),
            Body::UserMessage { text, images, injected: false } => self.typed(at, text, images),
            Body::AgentMessage { text } if !self.facts.has_replies => self.reply(at, text),
            Body::Message { role: Role::Assistant, parts, .. } => self.reply(at, parts.join("\n")),
            Body::Message { role: Role::User, parts, images, .. } => self.user_message(at, parts, images, is_mirrored),
            Body::Message { role: Role::Client, parts, .. } => {
                for text in parts {
                    self.injected(at, None, text);
                }
            }
            Body::Call(call) => self.call(at, call),
            Body::Output { id, text, success } => self.output(at, id.as_deref(), text, success),
            Body::CallEnd { id, outcome, text } => self.call_end(at, &id, outcome, text),
            Body::Compaction { mark, summary } => self.compaction(at, mark, summary),
            Body::AgentNote { text } => self.injected(at, Some(InjectedSource::Notification), text),
            Body::Error { text } => {
                self.session.push(at, EventBody::ClientError { text });
            }
            Body::Unknown(kind) => self.session.read.count_unknown(&kind),
            Body::Meta { .. } | Body::AgentMessage { .. } | Body::Silent => {}
        }
    }

    /// Whether the time before a row was spent waiting for the human: a prompt is written as several rows, and the first ones
    /// are those of the turn that it begins.
    fn ends_a_wait(&self, body: &Body) -> bool {
        if self.subagent {
            return false;
        }
        match body {
            Body::TurnStarted { .. } | Body::RolledBack { .. } | Body::Meta { .. } => true,
            Body::UserMessage { injected, .. } => !injected,
            Body::TurnContext { .. } => !self.turn_is_open,
            Body::Message { role: Role::User, parts, .. } => parts
                .iter()
                .any(|text| injected::source(text).is_none_or(|source| source == InjectedSource::CommandOutput)),
            _ => false,
        }
    }

    fn turn(&mut self, is_open: bool) {
        self.turn_is_open = is_open;
        self.turn_has_prompt = false;
        self.unanswered.clear();
    }

    /// Notes that something happened, so that another mark of a compaction is another compaction.
    fn happened(&mut self) {
        self.compaction = None;
        self.tool_was_stopped = false;
    }

    fn reply(&mut self, at: Option<Timestamp>, text: String) {
        if !text.trim().is_empty() {
            self.happened();
            self.session.reply(at, text);
        }
    }

    fn injected(&mut self, at: Option<Timestamp>, source: Option<InjectedSource>, text: String) {
        if !text.trim().is_empty() {
            let source = source.or_else(|| injected::source(&text)).unwrap_or(InjectedSource::Harness);
            self.session.injected(at, source, text);
        }
    }

    /// Takes words typed by the human, or, in a subagent's rollout, written by the agent that started it.
    fn typed(&mut self, at: Option<Timestamp>, text: String, images: u32) {
        if self.subagent {
            return self.injected(at, Some(InjectedSource::Context), text);
        }
        let (context, words) = injected::split_editor_context(&text);
        if let Some(context) = context {
            self.session.injected(at, InjectedSource::Context, context);
        }
        let channel = if self.turn_is_open && self.turn_has_prompt { Channel::Steering } else { Channel::Typed };
        self.prompt(at, channel, words, images);
    }

    fn prompt(&mut self, at: Option<Timestamp>, channel: Channel, text: &str, images: u32) {
        if text.trim().is_empty() && images == 0 {
            return;
        }
        self.happened();
        let event = self.session.prompt(at, channel, text, images);
        match self.turns.last_mut() {
            Some(turn) if self.turn_is_open && self.turn_has_prompt => turn.prompts += 1,
            _ => self.turns.push(Turn { first_event: event, prompts: 1 }),
        }
        self.turn_has_prompt = true;
    }

    /// Takes a message with role user: a copy of what was typed, texts that the client adds, or, in files without events, the
    /// prompt itself.
    fn user_message(&mut self, at: Option<Timestamp>, parts: Vec<String>, images: u32, is_mirrored: bool) {
        let mut words = Vec::new();
        for text in parts {
            if let Some((command, result)) = injected::shell_command(&text) {
                if !self.subagent && !self.facts.typed.contains(text.trim()) {
                    self.prompt(at, Channel::Shell, command, 0);
                    self.injected(at, Some(InjectedSource::CommandOutput), result.to_owned());
                }
            } else if let Some(source) = injected::source(&text) {
                if injected::tells_of_abort(&text) && !self.facts.has_aborts {
                    self.interruption(at);
                    self.turn(false);
                }
                if !self.facts.typed.contains(text.trim()) {
                    self.injected(at, Some(source), text);
                }
            } else if !injected::frames_image(&text) {
                words.push(text);
            }
        }
        let text = words.join("\n");
        if !self.facts.has_typed {
            self.typed(at, text, images);
        } else if !is_mirrored && !self.facts.typed.contains(text.trim()) {
            self.injected(at, None, text);
        }
    }

    fn interruption(&mut self, at: Option<Timestamp>) {
        if self.subagent {
            return;
        }
        let during_tool = self.tool_was_stopped || !self.unanswered.is_empty();
        self.happened();
        self.session.push(at, EventBody::Interruption { during_tool });
    }

    /// Takes back the last turns. Words that were typed in mid-turn go with the turn that they were typed in.
    fn rewind(&mut self, at: Option<Timestamp>, turns: u64) {
        let kept = self.turns.len().saturating_sub(usize::try_from(turns).unwrap_or(usize::MAX));
        let withdrawn = self.turns.split_off(kept);
        if let Some(first) = withdrawn.first() {
            let prompts = withdrawn.iter().map(|turn| turn.prompts).sum();
            self.happened();
            self.session.push(at, EventBody::Rewind { first_event: first.first_event, prompts });
        }
        self.turn(false);
    }

    fn compaction(&mut self, at: Option<Timestamp>, mark: Mark, summary: String) {
        if let Some((event, marks)) = self.compaction.as_mut().filter(|(_, marks)| !marks.contains(&mark)) {
            marks.push(mark);
            let known = self.session.events_mut().get_mut(*event as usize - 1).map(|event| &mut event.body);
            if let Some(EventBody::Compaction { summary: known }) = known
                && known.is_empty()
            {
                *known = summary;
            }
            return;
        }
        self.happened();
        let event = self.session.push(at, EventBody::Compaction { summary });
        self.compaction = Some((event, vec![mark]));
    }

    fn call(&mut self, at: Option<Timestamp>, call: Call) {
        let id = call.id.clone().filter(|id| is_id(id));
        // A call that is written again is the same call; an id that is used again is another one.
        if id.as_ref().and_then(|id| self.made.get(id)).is_some_and(|made| made.call == call) {
            return;
        }
        self.happened();
        let command = call.is_command.then_some(call.input.as_str());
        let commits = command.is_some_and(tool::commits)
            || call.process.as_ref().is_some_and(|process| self.processes.get(process) == Some(&true));
        let event = self.session.tool_call(at, &call.name, tool::category(&call.name, command), call.input.as_str());
        let made = Made { event, commits, has_result: !call.answered, call };
        if made.call.answered {
            self.unanswered.insert(event);
        }
        match id {
            Some(id) => drop(self.made.insert(id, made)),
            None if made.call.answered => self.nameless.push_back(made),
            None => {}
        }
    }

    fn output(&mut self, at: Option<Timestamp>, id: Option<&str>, text: String, success: Option<bool>) {
        let told = id.and_then(|id| self.facts.ends.get(id)).copied();
        let mut nameless;
        let made = match id.filter(|id| is_id(id)) {
            Some(id) => self.made.get_mut(id),
            None => {
                nameless = self.nameless.pop_front();
                nameless.as_mut()
            }
        };
        if made.as_ref().is_some_and(|made| made.has_result) {
            return;
        }
        let (event, commits) = made.map_or((None, false), |made| {
            made.has_result = true;
            (Some(made.event), made.commits)
        });
        let judgement = judge(text);
        let told = told.or_else(|| success.map(|success| if success { ToolOutcome::Ok } else { ToolOutcome::Failed }));
        let outcome = judgement.outcome.or(told).unwrap_or(ToolOutcome::Ok);
        if let Some(process) = judgement.process {
            self.processes.insert(process, commits);
        }
        self.result(at, event, outcome, judgement.text, commits);
    }

    /// Takes the client's account of a call's end; it stands for the result where that is missing.
    fn call_end(&mut self, at: Option<Timestamp>, id: &str, outcome: ToolOutcome, text: String) {
        let Some(made) = self.made.get_mut(id).filter(|made| !made.has_result && !self.facts.answered.contains(id))
        else {
            return;
        };
        made.has_result = true;
        let (event, commits) = (made.event, made.commits);
        self.result(at, Some(event), outcome, text, commits);
    }

    fn result(&mut self, at: Option<Timestamp>, call: Option<u32>, outcome: ToolOutcome, text: String, commits: bool) {
        self.happened();
        self.tool_was_stopped = matches!(outcome, ToolOutcome::Rejected | ToolOutcome::Interrupted);
        if let Some(call) = call {
            self.unanswered.remove(&call);
        }
        let made: Vec<EventBody> = match commits {
            true => tool::find_commits(&text)
                .map(|(hash, subject)| EventBody::Commit { hash: hash.to_owned(), subject: subject.to_owned() })
                .collect(),
            false => Vec::new(),
        };
        self.session.tool_result(at, call, outcome, text);
        for commit in made {
            self.session.push(at, commit);
        }
    }
}
