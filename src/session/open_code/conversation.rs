//! Takes a transcript; gives the session that it tells.

use super::outcome::{judge, rejection_words};
use super::record::{Info, Part};
use super::transcript::{Message, Transcript};
use crate::session::arguments::Arguments;
use crate::session::value::text_of;
use crate::session::{Channel, EventBody, InjectedSource, SessionBuilder, ToolOutcome, tool};
use crate::usage::Usage;
use jiff::Timestamp;

/// What the client writes in the human's name when the human runs a command; the command stands in the next message.
const SHELL_NOTE: &str = "The following tool was executed by the user";

/// The tool that asks the human something, so that the wait for its result is the human's.
const QUESTION: &str = "question";

struct Conversation<'a> {
    session: &'a mut SessionBuilder,
    /// The "user" is another agent: its words are nobody's prompts.
    subagent: bool,
    /// When the agent's last message was done.
    completed: Option<Timestamp>,
    /// Whether the next message holds a command that the human ran.
    shell: bool,
    /// The event of a compaction whose summary may follow.
    compaction: Option<u32>,
    /// Where that begins which the human took back: a message, or a part of one.
    reverted: (Option<String>, Option<String>),
    /// First event of what was taken back.
    first_reverted: Option<u32>,
}

/// Tells `transcript` to `session`.
pub(super) fn tell(transcript: Transcript, session: &mut SessionBuilder) {
    let facts = &transcript.facts;
    session.tick(facts.created(), true);
    let mut conversation = Conversation {
        subagent: facts.parent().is_some(),
        reverted: (text_of(facts.revert.get("messageID")), text_of(facts.revert.get("partID"))),
        session,
        completed: None,
        shell: false,
        compaction: None,
        first_reverted: None,
    };
    for message in &transcript.messages {
        conversation.message(message);
    }
    conversation.rewind();
}

impl Conversation<'_> {
    fn message(&mut self, message: &Message) {
        if self.reverted.1.is_none() && self.reverted.0.as_deref() == Some(message.id.as_str()) {
            self.withdraw();
        }
        match message.info.role().as_str() {
            "user" => self.user(message),
            "assistant" if std::mem::take(&mut self.shell) => self.shell(message),
            "assistant" => self.assistant(message),
            role => self.session.read.count_unknown(if role.is_empty() { "message without a role" } else { role }),
        }
    }

    /// Notes that what follows was taken back.
    fn withdraw(&mut self) {
        let next = u32::try_from(self.session.events().len() + 1).unwrap_or(u32::MAX);
        self.first_reverted.get_or_insert(next);
    }

    fn is_reverted(&self, message: &Message, part: &Part) -> bool {
        let (of, from) = &self.reverted;
        from.is_some() && of.as_deref() == Some(message.id.as_str()) && part.id() == *from
    }

    fn user(&mut self, message: &Message) {
        let at = message.info.created();
        let of_kind = |kind: &'static str| message.parts.iter().filter(move |part| part.kind() == kind);
        let is_typed = |part: &&Part| !part.synthetic.0 && !part.ignored.0;
        let texts: Vec<String> = of_kind("text").filter(is_typed).map(Part::text).collect();
        let words = texts.join("\n");
        let images =
            u32::try_from(of_kind("file").filter(is_typed).filter(|part| part.is_image()).count()).unwrap_or(u32::MAX);
        let commands: Vec<String> = of_kind("subtask").filter_map(Part::command).collect();
        let has_words = !words.trim().is_empty() || images > 0;
        let shell = of_kind("text").any(|part| part.text() == SHELL_NOTE);
        self.shell = shell && !has_words;
        let human = !self.subagent && (has_words || !commands.is_empty() || self.shell);
        self.session.tick(at, human);
        if has_words && !self.subagent {
            let is_mid_turn = at.zip(self.completed).is_some_and(|(at, completed)| at < completed);
            let channel = if is_mid_turn { Channel::Steering } else { Channel::Typed };
            self.compaction = None;
            self.session.prompt(at, channel, words, images);
        } else if has_words {
            self.session.injected(at, InjectedSource::Context, words);
        }
        // What the client puts beside words are the files they mention; alone, it makes the agent go on.
        let beside = if has_words || of_kind("file").next().is_some() {
            InjectedSource::Context
        } else {
            InjectedSource::Harness
        };
        for part in &message.parts {
            if self.is_reverted(message, part) {
                self.withdraw();
            }
            match part.kind().as_str() {
                "text" if !is_typed(&part) && part.text() != SHELL_NOTE && !part.text().trim().is_empty() => {
                    self.session.injected(at, beside, part.text());
                }
                "subtask" => {
                    // A command without words of the human's is words of whoever wrote the command.
                    let command = part.command().map(|command| format!("/{}\n", command.trim_start_matches('/')));
                    self.session.injected(at, InjectedSource::Skill, command.unwrap_or_default() + &part.prompt());
                }
                "compaction" => self.compaction(at),
                "text" | "file" | "agent" => {}
                kind => self.silent(kind),
            }
        }
    }

    /// A command that the human ran, written down as if the agent had called a tool.
    fn shell(&mut self, message: &Message) {
        let at = message.info.created();
        self.session.tick(at, true);
        for part in &message.parts {
            let Some(state) = part.state.as_ref().filter(|_| part.kind() == "tool") else { continue };
            let command = Arguments::read(&part.tool(), &state.input).text;
            if self.subagent {
                self.session.injected(at, InjectedSource::Context, command);
            } else {
                self.session.prompt(at, Channel::Shell, command, 0);
            }
            let [_, end] = state.times();
            self.session.tick(end, true);
            if !state.text().trim().is_empty() {
                self.session.injected(end.or(at), InjectedSource::CommandOutput, state.text());
            }
        }
        self.session.tick(message.info.completed(), true);
    }

    fn assistant(&mut self, message: &Message) {
        let info = &message.info;
        let at = info.created();
        self.session.tick(at, false);
        let usage = usage(info, &message.parts);
        self.session.usage += usage;
        let spoke = message.parts.iter().any(|part| matches!(part.kind().as_str(), "text" | "reasoning" | "tool"));
        if let Some(model) = info.model().filter(|_| spoke || usage.total() > 0) {
            self.session.model(&model);
        }
        let mut tool_was_stopped = false;
        // Calls that stand side by side were made before any of them came back.
        let mut made: Vec<(u32, &Part, Arguments)> = Vec::new();
        for part in &message.parts {
            let kind = part.kind();
            if matches!(kind.as_str(), "text" | "step-finish" | "compaction") || self.is_reverted(message, part) {
                made.drain(..).for_each(|call| tool_was_stopped = self.result(at, call));
            }
            if self.is_reverted(message, part) {
                self.withdraw();
            }
            match kind.as_str() {
                "text" => self.text(info, part),
                "tool" => made.extend(self.call(at, part)),
                "reasoning" => part.times().into_iter().for_each(|at| self.session.tick(at, false)),
                "compaction" => self.compaction(at),
                "retry" => self.client_error(at, part.error()),
                kind => self.silent(kind),
            }
        }
        made.into_iter().for_each(|call| tool_was_stopped = self.result(at, call));
        self.session.tick(info.completed(), false);
        self.completed = info.completed();
        match info.error() {
            Some((name, _)) if name == "MessageAbortedError" => {
                if !self.subagent {
                    let at = info.completed().or(at);
                    self.session.push(at, EventBody::Interruption { during_tool: tool_was_stopped });
                }
            }
            error => self.client_error(info.completed().or(at), error),
        }
    }

    fn text(&mut self, info: &Info, part: &Part) {
        let [start, end] = part.times();
        self.session.tick(start, false);
        self.session.tick(end, false);
        let at = start.or_else(|| info.created());
        let text = part.text();
        if text.trim().is_empty() {
        } else if part.synthetic.0 || part.ignored.0 {
            self.session.injected(at, InjectedSource::Harness, text);
        } else if info.summary.0 {
            self.summary(at, &text);
        } else {
            self.compaction = None;
            self.session.reply(at, text);
        }
    }

    fn call<'p>(&mut self, at: Option<Timestamp>, part: &'p Part) -> Option<(u32, &'p Part, Arguments)> {
        let name = part.tool();
        let state = part.state.as_ref()?;
        let arguments = Arguments::read(&name, &state.input);
        let [start, _] = state.times();
        self.session.tick(start, false);
        self.compaction = None;
        let category = tool::category(&name, arguments.command.as_deref());
        let event = self.session.tool_call(start.or(at), &name, category, arguments.text.as_str());
        Some((event, part, arguments))
    }

    /// Tells what a call gave back; says whether it was refused, cut off or did not come back.
    fn result(&mut self, at: Option<Timestamp>, (event, part, arguments): (u32, &Part, Arguments)) -> bool {
        let Some((state, outcome)) = part.state.as_ref().and_then(|state| Some((state, judge(state)?))) else {
            return true;
        };
        let [start, end] = state.times();
        let is_question = part.tool() == QUESTION;
        self.session.tick(end, is_question || outcome == ToolOutcome::Rejected);
        let at = end.or(start).or(at);
        let text = state.text();
        self.session.tool_result(at, Some(event), outcome, text.as_str());
        if outcome == ToolOutcome::Rejected
            && let Some(words) = rejection_words(&text).filter(|_| !self.subagent)
        {
            self.session.prompt(at, Channel::Rejection, words, 0);
        }
        if is_question && outcome == ToolOutcome::Ok {
            self.session.injected(at, InjectedSource::Answers, text.as_str());
        }
        for (hash, subject) in arguments.commits(outcome, &text) {
            self.session.push(at, EventBody::Commit { hash: hash.to_owned(), subject: subject.to_owned() });
        }
        matches!(outcome, ToolOutcome::Rejected | ToolOutcome::Interrupted)
    }

    fn client_error(&mut self, at: Option<Timestamp>, error: Option<(String, String)>) {
        if let Some((name, message)) = error {
            let text = if message.is_empty() { name } else { format!("{name}: {message}") };
            self.session.push(at, EventBody::ClientError { text });
        }
    }

    fn compaction(&mut self, at: Option<Timestamp>) {
        self.compaction = Some(self.session.push(at, EventBody::Compaction { summary: String::new() }));
    }

    /// The words that replaced the conversation, and with them the compaction where nothing announced it.
    fn summary(&mut self, at: Option<Timestamp>, text: &str) {
        if self.compaction.is_none() {
            self.compaction(at);
        }
        let event = self.compaction.and_then(|event| self.session.events_mut().get_mut(event as usize - 1));
        if let Some(EventBody::Compaction { summary }) = event.map(|event| &mut event.body) {
            if !summary.is_empty() {
                summary.push('\n');
            }
            summary.push_str(text);
        }
    }

    /// Parts that say nothing of the conversation are passed over; those of a type that is not known are counted.
    fn silent(&mut self, kind: &str) {
        if !matches!(
            kind,
            "step-start"
                | "step-finish"
                | "snapshot"
                | "patch"
                | "file"
                | "agent"
                | "subtask"
                | "reasoning"
                | "tool"
                | "retry"
        ) {
            self.session.read.count_unknown(&format!("part.{kind}"));
        }
    }

    fn rewind(&mut self) {
        let Some(first_event) = self.first_reverted else { return };
        let withdrawn = self.session.events().iter().filter(|event| event.number >= first_event);
        let prompts = withdrawn.clone().filter(|event| matches!(event.body, EventBody::Prompt(_))).count();
        if withdrawn.count() > 0 {
            let prompts = u32::try_from(prompts).unwrap_or(u32::MAX);
            self.session.push(None, EventBody::Rewind { first_event, prompts });
        }
    }
}

/// The tokens of a message. They stand once at the message and once at the end of each step; early versions wrote several steps
/// into one message and kept only the last one's tokens there.
fn usage(info: &Info, parts: &[Part]) -> Usage {
    let steps: Usage = parts.iter().filter(|part| part.kind() == "step-finish").filter_map(Part::usage).sum();
    let message = info.usage().unwrap_or_default();
    if steps.total() > message.total() { steps } else { message }
}
