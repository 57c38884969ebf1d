//! Takes a transcript's rows in file order; gives the session that they tell, each thing once.
//!
//! A call stands in the message that asks for it and again where it begins to run; a refusal stands in the answer to the
//! client's question and again as the call's result.

use super::row::{Author, Body, Call, Decision, Row};
use super::tokens::Meter;
use crate::session::value::is_id;
use crate::session::{Channel, EventBody, InjectedSource, SessionBuilder, ToolOutcome, tool};
use jiff::Timestamp;
use std::collections::{HashMap, HashSet, VecDeque};

/// A call that was made.
#[derive(Debug)]
struct Made {
    event: u32,
    call: Call,
    /// Whether it has begun to run.
    started: bool,
    /// The event of its result.
    result: Option<u32>,
    /// Whether an interruption came before its result.
    cut_off: bool,
}

/// Tells the rows to a session builder.
#[derive(Debug)]
struct Conversation<'a> {
    session: &'a mut SessionBuilder,
    meter: Meter,
    /// The model in use, for messages that do not name theirs.
    model: Option<String>,
    /// The background task of the human's own messages, and how many subagents are at work.
    root_task: Option<String>,
    subagents: usize,
    made: HashMap<String, Made>,
    /// Calls whose ids were taken out; later rows find them by order.
    nameless: VecDeque<Made>,
    /// Events of calls since the last prompt that have no result yet.
    open: HashSet<u32>,
    /// Calls that the human runs.
    user_tools: HashSet<String>,
    /// Questions whether a call may run.
    asked: HashMap<String, String>,
    /// The first event of each row.
    begins: HashMap<String, u32>,
    /// Whether the last thing that happened is a call that was refused or cut off.
    tool_was_stopped: bool,
}

/// Tells `rows` to `session`.
pub(super) fn tell(rows: Vec<Row>, session: &mut SessionBuilder) {
    let mut conversation = Conversation {
        session,
        meter: Meter::default(),
        model: None,
        root_task: None,
        subagents: 0,
        made: HashMap::new(),
        nameless: VecDeque::new(),
        open: HashSet::new(),
        user_tools: HashSet::new(),
        asked: HashMap::new(),
        begins: HashMap::new(),
        tool_was_stopped: false,
    };
    for row in rows {
        conversation.row(row);
    }
    let usage = conversation.meter.usage();
    session.usage += usage;
}

impl Conversation<'_> {
    fn row(&mut self, row: Row) {
        let Row { at, id, subagent, body } = row;
        if subagent || self.is_subagents(&body) {
            self.session.subagent_events += 1;
            if let Body::Message { model: Some(model), .. } | Body::Started { model: Some(model), .. } = &body {
                self.meter.model(model, true);
            }
            return;
        }
        self.session.tick(at, ends_a_wait(&body));
        if !id.is_empty() {
            let next = self.session.events().len() + 1;
            self.begins.entry(id).or_insert(u32::try_from(next).unwrap_or(u32::MAX));
        }
        match body {
            Body::Resumed { model } => {
                // The next process has a task of its own.
                self.root_task = None;
                self.subagents = 0;
                self.choose(model);
            }
            Body::Settings { model } => self.choose(model),
            Body::Instructions { text } => self.injected(at, InjectedSource::Context, text),
            Body::Injected { source, text } => self.injected(at, source, text),
            Body::User { text, images, author, channel, task } => {
                self.user(at, text, images, author, channel);
                self.root_task = self.root_task.take().or(task);
            }
            Body::Message { id, text, model, output, calls } => {
                self.answered(model);
                self.meter.message(id.filter(|id| is_id(id)), output);
                self.reply(at, text);
                for call in calls {
                    self.call(at, call, false);
                }
            }
            Body::Started { call, model } => {
                if !call.id.as_ref().is_some_and(|id| self.user_tools.contains(id)) {
                    if let Some(model) = model {
                        self.meter.model(&model, false);
                    }
                    self.call(at, call, true);
                }
            }
            Body::UserTool(call) => self.user_tool(at, call),
            Body::Ended { id, outcome, text } => self.ended(at, id, outcome, text),
            Body::Asked { request, call } => {
                self.asked.insert(request, call);
            }
            Body::Decided { request, call, decision, feedback } => {
                let call = call.or_else(|| self.asked.get(&request?).cloned());
                self.decided(at, call, decision, feedback);
            }
            Body::Aborted { by_human } => self.aborted(at, by_human),
            Body::Compaction { summary } => {
                self.tool_was_stopped = false;
                self.session.push(at, EventBody::Compaction { summary });
            }
            Body::Rewound { to } => self.rewound(at, &to),
            Body::Error { text } => {
                if !text.trim().is_empty() {
                    self.session.push(at, EventBody::ClientError { text });
                }
            }
            Body::SubagentStarted => self.subagents += 1,
            Body::SubagentEnded => self.subagents = self.subagents.saturating_sub(1),
            Body::Shutdown(models) => self.meter.account(&models),
            Body::Unknown(kind) => self.session.read.count_unknown(&kind),
            Body::BeforePrompt | Body::Silent => {}
        }
    }

    /// Whether a message in the human's name was written for a subagent: its task is not that of the human's messages. Only
    /// while subagents are at work, since nothing says that the human's messages have one task throughout.
    fn is_subagents(&self, body: &Body) -> bool {
        match body {
            Body::User { author: Author::Agent, .. } => true,
            Body::User { task: Some(task), .. } => {
                self.subagents > 0 && self.root_task.as_ref().is_some_and(|root| root != task)
            }
            _ => false,
        }
    }

    fn choose(&mut self, model: Option<String>) {
        // "auto" is a wish and no model.
        if let Some(model) = model.filter(|model| model != "auto") {
            self.model = Some(model);
        }
    }

    fn answered(&mut self, model: Option<String>) {
        if let Some(model) = model.or_else(|| self.model.clone()) {
            self.meter.model(&model, false);
            self.session.model(&model);
        }
    }

    fn reply(&mut self, at: Option<Timestamp>, text: String) {
        if !text.trim().is_empty() {
            self.tool_was_stopped = false;
            self.session.reply(at, text);
        }
    }

    fn injected(&mut self, at: Option<Timestamp>, source: InjectedSource, text: String) {
        if !text.trim().is_empty() {
            self.session.injected(at, source, text);
        }
    }

    fn user(&mut self, at: Option<Timestamp>, text: String, images: u32, author: Author, channel: Channel) {
        if let Author::Client(source) = author {
            return self.injected(at, source, text);
        }
        // In autopilot the client goes on by itself with empty messages.
        if text.trim().is_empty() && images == 0 {
            return;
        }
        self.tool_was_stopped = false;
        if channel != Channel::Steering {
            self.open.clear();
        }
        self.session.prompt(at, channel, text, images);
    }

    fn user_tool(&mut self, at: Option<Timestamp>, call: Call) {
        self.tool_was_stopped = false;
        self.session.prompt(at, Channel::Shell, call.input.text, 0);
        self.user_tools.extend(call.id);
    }

    /// Takes a call that the model asks for or that begins to run (`started`): whichever row comes first tells it.
    fn call(&mut self, at: Option<Timestamp>, call: Call, started: bool) {
        if let Some(id) = call.id.as_deref().filter(|id| is_id(id)) {
            let known = self.made.get_mut(id);
            // An id that is used again, after the result, for something else is another call.
            if let Some(made) = known.filter(|made| made.result.is_none() || made.call == call) {
                made.started |= started;
                return;
            }
        } else if started
            && let Some(made) = self.nameless.iter_mut().find(|made| !made.started && made.call.name == call.name)
        {
            made.started = true;
            return;
        }
        self.tool_was_stopped = false;
        let command = call.input.command.as_deref();
        let category = match &call.mcp {
            Some((server, tool)) => tool::category(&format!("mcp__{server}__{tool}"), None),
            None => tool::category(&call.name, command),
        };
        let event = self.session.tool_call(at, &call.name, category, call.input.text.as_str());
        self.open.insert(event);
        let made = Made { event, started, result: None, cut_off: false, call };
        match made.call.id.clone().filter(|id| is_id(id)) {
            Some(id) => drop(self.made.insert(id, made)),
            None => self.nameless.push_back(made),
        }
    }

    fn ended(&mut self, at: Option<Timestamp>, id: Option<String>, outcome: ToolOutcome, text: String) {
        if id.as_ref().is_some_and(|id| self.user_tools.contains(id)) {
            return self.injected(at, InjectedSource::CommandOutput, text);
        }
        let Some(made) = self.find(id.as_deref()) else {
            self.session.tool_result(at, None, outcome, text);
            return;
        };
        let outcome = match outcome {
            ToolOutcome::Ok if exit_code(&made.call.name, &text).is_some_and(|code| code != 0) => ToolOutcome::Failed,
            ToolOutcome::Failed if made.cut_off => ToolOutcome::Interrupted,
            outcome => outcome,
        };
        match made.result {
            // The refusal told of the result already; here are the client's words about it.
            Some(result) => {
                let known = self.session.events_mut().get_mut(result as usize - 1).map(|event| &mut event.body);
                if let Some(EventBody::ToolResult(known)) = known
                    && known.text.is_empty()
                {
                    known.text = text;
                }
            }
            None => self.result(at, id.as_deref(), outcome, text),
        }
    }

    /// Adds the result of the call `id`, and the commits that it reports.
    fn result(&mut self, at: Option<Timestamp>, id: Option<&str>, outcome: ToolOutcome, text: String) {
        let Some(made) = self.find(id) else { return };
        let (event, commits) = (made.event, made.call.input.command.as_deref().is_some_and(tool::commits));
        let commits: Vec<EventBody> = match commits {
            true => tool::find_commits(&text)
                .map(|(hash, subject)| EventBody::Commit { hash: hash.to_owned(), subject: subject.to_owned() })
                .collect(),
            false => Vec::new(),
        };
        self.tool_was_stopped = matches!(outcome, ToolOutcome::Rejected | ToolOutcome::Interrupted);
        self.open.remove(&event);
        let result = self.session.tool_result(at, Some(event), outcome, text);
        if let Some(made) = self.find(id) {
            made.result = Some(result);
        }
        self.nameless.retain(|made| made.result.is_none());
        for commit in commits {
            self.session.push(at, commit);
        }
    }

    /// The call with this id; without one, the first that has no result.
    fn find(&mut self, id: Option<&str>) -> Option<&mut Made> {
        match id.filter(|id| is_id(id)) {
            Some(id) => self.made.get_mut(id),
            None => self.nameless.front_mut(),
        }
    }

    fn decided(&mut self, at: Option<Timestamp>, call: Option<String>, decision: Decision, feedback: String) {
        let open = self.find(call.as_deref()).is_some_and(|made| made.result.is_none());
        match decision {
            // Rules that refuse a call make it fail: its own result tells so.
            Decision::Approved | Decision::Forbidden => return,
            Decision::Refused if open => self.result(at, call.as_deref(), ToolOutcome::Rejected, String::new()),
            Decision::Cancelled if open => self.result(at, call.as_deref(), ToolOutcome::Interrupted, String::new()),
            Decision::Refused | Decision::Cancelled => {}
        }
        if decision == Decision::Refused && !feedback.trim().is_empty() {
            self.session.prompt(at, Channel::Rejection, feedback, 0);
        }
    }

    fn aborted(&mut self, at: Option<Timestamp>, by_human: bool) {
        let during_tool = self.tool_was_stopped || !self.open.is_empty();
        self.tool_was_stopped = false;
        for made in self.made.values_mut().chain(&mut self.nameless) {
            made.cut_off |= self.open.contains(&made.event);
        }
        if by_human {
            self.session.push(at, EventBody::Interruption { during_tool });
        }
    }

    fn rewound(&mut self, at: Option<Timestamp>, to: &str) {
        let Some(&first_event) = self.begins.get(to) else { return };
        let withdrawn = self.session.events().iter().skip(first_event as usize - 1);
        let prompts = withdrawn.filter(|event| matches!(event.body, EventBody::Prompt(_))).count();
        let prompts = u32::try_from(prompts).unwrap_or(u32::MAX);
        if first_event as usize <= self.session.events().len() {
            self.session.push(at, EventBody::Rewind { first_event, prompts });
        }
    }
}

/// Whether the time before a row was spent waiting for the human.
fn ends_a_wait(body: &Body) -> bool {
    match body {
        Body::Settings { .. }
        | Body::Resumed { .. }
        | Body::BeforePrompt
        | Body::Instructions { .. }
        | Body::UserTool(_)
        | Body::Rewound { .. }
        | Body::Shutdown(_) => true,
        Body::User { text, images, author, .. } => *author == Author::Human && (!text.trim().is_empty() || *images > 0),
        Body::Decided { decision, .. } => *decision != Decision::Forbidden,
        _ => false,
    }
}

/// The exit code in the line that the client puts below a shell command's output; a failed command is no failed call to it.
fn exit_code(tool: &str, output: &str) -> Option<i64> {
    if !(tool.contains("bash") || tool.contains("powershell") || tool == "shell") {
        return None;
    }
    let last = output.trim_end().lines().next_back()?.strip_prefix('<')?.strip_suffix('>')?;
    let (_, code) = last.rsplit_once("exit code ")?;
    code.trim().parse().ok()
}
