//! Takes the steps of all rows; gives the session's events: what each row turns out to mean among the others.

use super::queue::Queue;
use super::result;
use super::steps::{Call, Kept, Output, REDACTED, Step, What};
use super::text;
use crate::session::{Channel, EventBody, InjectedSource, SessionBuilder, ToolCategory, ToolOutcome, tool};
use jiff::Timestamp;
use std::collections::{HashMap, HashSet, VecDeque};

/// Adds the events of `steps` to the session; their long texts move from `texts` into the events.
pub(super) fn assemble(steps: &[Step], texts: Vec<String>, builder: &mut SessionBuilder) {
    let mut assembly = Assembly {
        queue: Queue::new(steps),
        steps,
        texts,
        builder,
        calls: Vec::new(),
        by_id: HashMap::new(),
        by_row: HashMap::new(),
        redacted: VecDeque::new(),
        prompts: Vec::new(),
        by_parent: HashMap::new(),
        answered: false,
        stopped_by_result: false,
        boundary: None,
        commits: HashSet::new(),
    };
    for (at, step) in steps.iter().enumerate() {
        assembly.step(at, step);
    }
}

struct Assembly<'a> {
    steps: &'a [Step],
    texts: Vec<String>,
    builder: &'a mut SessionBuilder,
    queue: Queue<'a>,
    calls: Vec<KnownCall>,
    by_id: HashMap<&'a str, usize>,
    by_row: HashMap<&'a str, Vec<usize>>,
    /// Calls whose ids were redacted and that have no result yet.
    redacted: VecDeque<usize>,
    /// Typed prompts that still count for the agent, by event.
    prompts: Vec<u32>,
    /// The last typed prompt that answers a row.
    by_parent: HashMap<&'a str, u32>,
    /// Whether anything but prompts happened since the last prompt.
    answered: bool,
    /// Whether a result said already that the human stopped the agent.
    stopped_by_result: bool,
    /// The compaction that has no summary yet.
    boundary: Option<u32>,
    /// Hashes of commits seen.
    commits: HashSet<String>,
}

/// A call that waits for its result.
struct KnownCall {
    event: u32,
    commits: bool,
    /// Whether it asks the human something, so that the wait for its result is the human's.
    asks: bool,
    done: bool,
}

impl<'a> Assembly<'a> {
    fn step(&mut self, index: usize, step: &'a Step) {
        let at = step.at;
        match &step.what {
            What::Row { human } => {
                let answers = match self.steps.get(index + 1).map(|next| &next.what) {
                    Some(What::Result(output)) => self.is_humans_answer(output),
                    _ => false,
                };
                self.builder.tick(at, *human || answers);
                return;
            }
            What::Prompt { text, images, parent } => {
                self.rewind(at, parent.as_deref());
                let event = self.builder.prompt(at, Channel::Typed, text.as_str(), *images);
                self.prompts.push(event);
                if let Some(parent) = parent {
                    self.by_parent.insert(parent, event);
                }
                self.answered = false;
            }
            What::Aside(text) => {
                self.builder.prompt(at, Channel::Steering, text.as_str(), 0);
            }
            What::Delivered { text, images } => self.delivered(index, at, text, *images),
            What::Enqueue(_) | What::Dequeue(_) | What::Remove(_) | What::PopAll => {
                if let Some(words) = self.queue.step(index) {
                    let text = words.trim();
                    self.builder.prompt(at, Channel::Steering, text, 0);
                }
                return;
            }
            What::Command { name, arguments } => self.command(index, at, name, arguments),
            What::Shell(command) => {
                self.builder.prompt(at, Channel::Shell, command.as_str(), 0);
            }
            What::LocalOutput(text) => self.injected(at, InjectedSource::CommandOutput, text),
            What::Injected(source, text) => self.injected(at, *source, text),
            What::Interruption { during_tool } => {
                if !std::mem::take(&mut self.stopped_by_result) {
                    self.builder.push(at, EventBody::Interruption { during_tool: *during_tool });
                }
                self.answered = true;
                return;
            }
            What::Boundary => self.boundary = Some(self.compaction(at, "")),
            What::Summary(text) => match self.boundary.take() {
                Some(event) => self.summarise(event, text),
                None => {
                    self.compaction(at, text);
                }
            },
            What::Reply(text) => {
                let text = self.take(*text);
                self.builder.reply(at, text);
            }
            What::ClientError(text) => {
                self.builder.push(at, EventBody::ClientError { text: text.clone() });
            }
            What::Call(call) => self.call(at, call),
            What::Result(output) => {
                self.result(at, output);
                return;
            }
        }
        match &step.what {
            What::Reply(_) | What::Call(_) => {
                self.stopped_by_result = false;
                self.boundary = None;
                self.answered = true;
            }
            What::ClientError(_) => self.answered = true,
            What::Prompt { .. } | What::Command { .. } | What::Shell(_) => self.stopped_by_result = false,
            _ => {}
        }
    }

    fn take(&mut self, Kept(at): Kept) -> String {
        std::mem::take(&mut self.texts[at])
    }

    fn injected(&mut self, at: Option<Timestamp>, source: InjectedSource, text: &str) {
        if !text.trim().is_empty() {
            self.builder.injected(at, source, text);
        }
    }

    /// A prompt that answers a row which another prompt answered before: the human went back there.
    ///
    /// Accepted plans and resumed sessions begin new trees, and parallel calls branch all the time, so nothing else counts as going
    /// back; nor do prompts that were sent together.
    fn rewind(&mut self, at: Option<Timestamp>, parent: Option<&str>) {
        let Some(&first_event) = parent.and_then(|parent| self.by_parent.get(parent)).filter(|_| self.answered) else {
            return;
        };
        let kept = self.prompts.partition_point(|&event| event < first_event);
        let withdrawn = self.prompts.len() - kept;
        if withdrawn > 0 {
            self.prompts.truncate(kept);
            self.builder
                .push(at, EventBody::Rewind { first_event, prompts: u32::try_from(withdrawn).unwrap_or(u32::MAX) });
        }
    }

    fn delivered(&mut self, index: usize, at: Option<Timestamp>, text: &str, images: u32) {
        if self.queue.comes_beside(index, text) {
            return;
        }
        if let Some(words) = text::queued_words(text) {
            self.builder.prompt(at, Channel::Steering, words, images);
        }
    }

    fn command(&mut self, index: usize, at: Option<Timestamp>, name: &str, arguments: &str) {
        let line = if arguments.is_empty() { name.to_owned() } else { format!("{name} {arguments}") };
        if text::is_interface_command(name) || self.only_prints(index) {
            self.injected(at, InjectedSource::CommandOutput, &line);
        } else if arguments.is_empty() {
            self.injected(at, InjectedSource::Skill, &line);
        } else {
            self.builder.prompt(at, Channel::SlashCommand, line, 0);
        }
    }

    /// Whether a command's output follows it: then it ran in the client and the agent never heard of it.
    fn only_prints(&self, index: usize) -> bool {
        let next = self.steps[index + 1..].iter().find(|step| {
            !matches!(
                step.what,
                What::Row { .. }
                    | What::Enqueue(_)
                    | What::Dequeue(_)
                    | What::Remove(_)
                    | What::PopAll
                    | What::Injected(InjectedSource::Harness | InjectedSource::Hook | InjectedSource::Context, _)
            )
        });
        next.is_some_and(|step| matches!(step.what, What::LocalOutput(_)))
    }

    fn compaction(&mut self, at: Option<Timestamp>, summary: &str) -> u32 {
        self.builder.push(at, EventBody::Compaction { summary: summary.to_owned() })
    }

    fn summarise(&mut self, event: u32, text: &str) {
        if let Some(event) = self.builder.events_mut().get_mut(event as usize - 1) {
            event.body = EventBody::Compaction { summary: text.to_owned() };
        }
    }

    fn call(&mut self, at: Option<Timestamp>, call: &'a Call) {
        let redacted = call.id.is_empty() || call.id == REDACTED;
        if !redacted && self.by_id.contains_key(call.id.as_str()) {
            return;
        }
        let input = self.take(call.input);
        let event = self.builder.tool_call(at, &call.name, call.category, input);
        let index = self.calls.len();
        let asks =
            call.category == ToolCategory::Plan && matches!(call.name.as_str(), "AskUserQuestion" | "ExitPlanMode");
        self.calls.push(KnownCall { event, commits: call.commits, asks, done: false });
        self.by_row.entry(&call.row).or_default().push(index);
        if redacted {
            self.redacted.push_back(index);
        } else {
            self.by_id.insert(&call.id, index);
        }
    }

    /// The call of a result: by id, else by the row that the result names, else by order.
    fn call_of(&self, output: &Output) -> Option<usize> {
        let by_id = || self.by_id.get(output.id.as_str()).copied();
        let by_row = || {
            let calls = self.by_row.get(output.row.as_deref()?)?;
            calls.iter().copied().find(|&call| !self.calls[call].done)
        };
        let by_order = || {
            let unnamed = output.id.is_empty() || output.id == REDACTED;
            self.redacted.iter().copied().find(|&call| unnamed && !self.calls[call].done)
        };
        by_id().or_else(by_row).or_else(by_order)
    }

    fn is_humans_answer(&self, output: &Output) -> bool {
        let asked = self.call_of(output).is_some_and(|call| self.calls[call].asks);
        asked || result::outcome(output, &self.texts[output.text.0]) == ToolOutcome::Rejected
    }

    fn result(&mut self, at: Option<Timestamp>, output: &Output) {
        let (event, commits, asks) = match self.call_of(output).map(|call| &mut self.calls[call]) {
            Some(call) if call.done => return,
            Some(call) => {
                call.done = true;
                (Some(call.event), call.commits, call.asks)
            }
            None => (None, false, false),
        };
        while self.redacted.front().is_some_and(|&call| self.calls[call].done) {
            self.redacted.pop_front();
        }
        let text = self.take(output.text);
        let outcome = result::outcome(output, &text);
        let (words, answers) = match outcome {
            ToolOutcome::Rejected => (result::rejection_words(&text).map(str::to_owned), None),
            ToolOutcome::Ok if asks => (None, result::answers(&text).map(str::to_owned)),
            _ => (None, None),
        };
        let commits = if commits && outcome != ToolOutcome::Rejected { made(output, &text) } else { Vec::new() };
        self.builder.tool_result(at, event, outcome, text);
        if outcome == ToolOutcome::Interrupted && !self.stopped_by_result {
            self.builder.push(at, EventBody::Interruption { during_tool: true });
            self.stopped_by_result = true;
        }
        if let Some(words) = words {
            self.builder.prompt(at, Channel::Rejection, words, 0);
        }
        if let Some(answers) = answers {
            self.builder.injected(at, InjectedSource::Answers, answers);
        }
        for (hash, subject) in commits {
            if self.commits.insert(hash.clone()) {
                self.builder.push(at, EventBody::Commit { hash, subject });
            }
        }
        self.answered = true;
    }
}

/// The commits of a `git commit`, as (hash, subject): what git printed, else what the client noted.
fn made(output: &Output, text: &str) -> Vec<(String, String)> {
    let mut found: Vec<(String, String)> =
        tool::find_commits(text).map(|(hash, subject)| (hash.to_owned(), subject.to_owned())).collect();
    if found.is_empty() {
        found.extend(output.commit.clone().map(|hash| (hash, String::new())));
    }
    found
}
