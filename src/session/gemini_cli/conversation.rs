//! Takes what happened in a chat; gives the session that they tell.

use super::chat::Chat;
use super::history::Step;
use super::injected::{Piece, pieces};
use super::message::{Author, Call, Content, Message, Response};
use super::outcome::{commits_text, judge, plan_feedback};
use crate::session::Channel;
use crate::session::value::is_id;
use crate::session::{EventBody, InjectedSource, SessionBuilder, ToolOutcome, tool};
use jiff::Timestamp;
use std::collections::{BTreeMap, HashMap, VecDeque};

/// Notes by which the client tells that the human stopped the agent.
const STOPPED: &[&str] = &["Request cancelled.", "User cancelled the request."];

/// How the client notes that it replaced the conversation by a summary.
const COMPRESSED: &str = "Chat history compressed from";

/// Tools that ask the human something, so that the wait for their result is the human's.
const ASKING: &[&str] = &["ask_user", "exit_plan_mode"];

/// A call whose result stands in a later message.
#[derive(Debug)]
struct Open {
    event: u32,
    call: Call,
}

struct Conversation<'a> {
    session: &'a mut SessionBuilder,
    /// The "user" is another agent: its words are nobody's prompts.
    subagent: bool,
    /// First event of each step that counts.
    first_events: BTreeMap<usize, u32>,
    /// Prompts that count.
    prompts: Vec<u32>,
    open: VecDeque<Open>,
    open_by_id: HashMap<String, u32>,
    /// Whether the agent is at work: a note that comes when it is not tells nothing of its time.
    working: bool,
    /// When such a note came, until it is known what follows.
    idle_note: Option<Timestamp>,
    /// Whether the last thing that happened is a call that was refused, cut off or left without a result.
    tool_was_stopped: bool,
    /// Whether the last thing that happened is that the human stopped the agent: the client may note it twice.
    stopped: bool,
    /// The event of a compaction whose summary may follow.
    compaction: Option<u32>,
}

/// Tells `chat` to `session`.
pub(super) fn tell(chat: Chat, session: &mut SessionBuilder) {
    session.tick(chat.started, true);
    let subagent = chat.is_subagents;
    let mut conversation = Conversation {
        session,
        subagent,
        first_events: BTreeMap::new(),
        prompts: Vec::new(),
        open: VecDeque::new(),
        open_by_id: HashMap::new(),
        working: subagent,
        idle_note: None,
        tool_was_stopped: false,
        stopped: false,
        compaction: None,
    };
    for (index, step) in chat.steps.into_iter().enumerate() {
        let first = conversation.session.events().len() as u32 + 1;
        conversation.first_events.insert(index, first);
        match step {
            Step::Message(message) => conversation.message(*message),
            Step::Rewind { first } => conversation.rewind(first),
            Step::Compaction { at, summary } => conversation.compaction(at, summary),
        }
    }
    conversation.tick(None, true);
}

impl Conversation<'_> {
    fn message(&mut self, message: Message) {
        match message.author {
            Author::User => self.user(message),
            Author::Agent => self.agent(message),
            Author::Info | Author::Warning | Author::Error => self.note(message),
            Author::Unknown(_) => {}
        }
    }

    /// Notes the time of a row. A note that came while nobody was at work ends nobody's work: only what follows it tells whether
    /// the agent was at work after all.
    fn tick(&mut self, at: Option<Timestamp>, human: bool) {
        let note = self.idle_note.take();
        if human {
            self.session.tick(note, true);
        }
        self.session.tick(at, human);
    }

    /// Notes that something happened.
    fn happened(&mut self) {
        self.compaction = None;
        self.tool_was_stopped = false;
        self.stopped = false;
    }

    fn user(&mut self, message: Message) {
        let Message { at, content, display, .. } = message;
        let images = content.images;
        // A message whose display has no words is one that the client sent by itself.
        let pieces = pieces(&content.texts, display.as_ref().map(|display| display.texts.as_slice()));
        let typed: Vec<&Piece> = pieces.iter().filter(|piece| matches!(piece, Piece::Typed(..))).collect();
        let human = !self.subagent && (!typed.is_empty() || images > 0);
        self.tick(at, human || !self.working);
        if human {
            let channel = typed.iter().find_map(|piece| match piece {
                Piece::Typed(channel, _) => Some(*channel),
                Piece::Injected(..) => None,
            });
            let words: Vec<&str> = typed
                .iter()
                .filter_map(|piece| match piece {
                    Piece::Typed(_, text) => Some(text.as_str()),
                    Piece::Injected(..) => None,
                })
                .collect();
            self.happened();
            let event = self.session.prompt(at, channel.unwrap_or(Channel::Typed), words.join("\n"), images);
            self.prompts.push(event);
            self.working = true;
        }
        for piece in &pieces {
            match piece {
                Piece::Injected(source, text) => {
                    self.session.injected(at, *source, text.as_str());
                    self.working |= matches!(source, InjectedSource::Skill | InjectedSource::Harness);
                }
                Piece::Typed(_, text) if !human => self.session.injected(at, InjectedSource::Context, text.as_str()),
                Piece::Typed(..) => {}
            }
        }
        self.responses(at, content);
    }

    /// Results that stand in a message of their own.
    fn responses(&mut self, at: Option<Timestamp>, content: Content) {
        for response in content.responses {
            let by_id = response.id.as_ref().and_then(|id| self.open_by_id.remove(id));
            let index = match by_id {
                Some(event) => self.open.iter().position(|open| open.event == event),
                // A result that names a call which has one already is its copy.
                None if response.id.as_deref().is_some_and(is_id) => None,
                None => (!self.open.is_empty()).then_some(0),
            };
            if let Some(open) = index.and_then(|index| self.open.remove(index)) {
                self.result(at, open.event, &open.call, response);
            }
        }
    }

    fn agent(&mut self, message: Message) {
        let at = message.at;
        self.tick(at, false);
        self.session.usage += message.tokens.unwrap_or_default();
        if let Some(model) = &message.model {
            self.session.model(model);
        }
        let text = message.content.text();
        if !text.trim().is_empty() {
            self.happened();
            self.session.reply(at, text);
        }
        let calls: Vec<Open> = message.calls().iter().map(|call| self.call(at, call)).collect();
        self.working = !calls.is_empty();
        for Open { event, mut call } in calls {
            match call.response.take() {
                Some(response) => {
                    let asked = ASKING.contains(&call.name.as_str());
                    let refused = judge(&call, &response) == ToolOutcome::Rejected;
                    self.tick(call.at, asked || refused);
                    self.result(call.at.or(at), event, &call, response);
                }
                None if is_over(&call) => {
                    let response = Response { id: None, text: String::new(), is_error: false };
                    self.tick(call.at, false);
                    self.result(call.at.or(at), event, &call, response);
                }
                None => {
                    if let Some(id) = call.id.clone().filter(|id| is_id(id)) {
                        self.open_by_id.insert(id, event);
                    }
                    self.open.push_back(Open { event, call });
                    self.tool_was_stopped = true;
                }
            }
        }
    }

    fn call(&mut self, at: Option<Timestamp>, call: &Call) -> Open {
        self.happened();
        let category = tool::category(&call.name, call.arguments.command.as_deref());
        let event = self.session.tool_call(at, &call.name, category, call.arguments.text.as_str());
        Open { event, call: call.clone() }
    }

    fn result(&mut self, at: Option<Timestamp>, event: u32, call: &Call, response: Response) {
        self.happened();
        let outcome = judge(call, &response);
        self.tool_was_stopped = matches!(outcome, ToolOutcome::Rejected | ToolOutcome::Interrupted);
        self.session.tool_result(at, Some(event), outcome, response.text.as_str());
        if outcome == ToolOutcome::Rejected
            && let Some(words) = plan_feedback(&response.text).filter(|_| !self.subagent)
        {
            let event = self.session.prompt(at, Channel::Rejection, words, 0);
            self.prompts.push(event);
        }
        if call.name == "ask_user" && outcome == ToolOutcome::Ok {
            self.session.injected(at, InjectedSource::Answers, response.text.as_str());
        }
        for (hash, subject) in call.arguments.commits(outcome, commits_text(&response.text)) {
            self.session.push(at, EventBody::Commit { hash: hash.to_owned(), subject: subject.to_owned() });
        }
    }

    /// A note of the screen.
    fn note(&mut self, message: Message) {
        let text = message.content.text();
        let at = message.at;
        match self.working {
            true => self.tick(at, false),
            false => self.idle_note = at.or(self.idle_note),
        }
        if message.author == Author::Info && STOPPED.contains(&text.trim()) {
            if !self.stopped && !self.subagent {
                let during_tool = self.tool_was_stopped;
                self.happened();
                self.session.push(at, EventBody::Interruption { during_tool });
                self.stopped = true;
            }
            self.open.clear();
            self.working = false;
        } else if message.author == Author::Info && text.trim().starts_with(COMPRESSED) {
            self.compaction(at, String::new());
        } else if message.author == Author::Error && !text.trim().is_empty() {
            self.happened();
            self.session.push(at, EventBody::ClientError { text });
            self.working = false;
        }
    }

    /// Takes a compaction: the client's note of it, its summary, or both in either order.
    fn compaction(&mut self, at: Option<Timestamp>, summary: String) {
        if let Some(event) = self.compaction.take() {
            let known = self.session.events_mut().get_mut(event as usize - 1).map(|event| &mut event.body);
            if let Some(EventBody::Compaction { summary: known }) = known {
                if known.is_empty() {
                    *known = summary;
                    return;
                }
                if summary.is_empty() {
                    return;
                }
            }
        }
        self.happened();
        self.compaction = Some(self.session.push(at, EventBody::Compaction { summary }));
    }

    fn rewind(&mut self, step: usize) {
        let Some(&first_event) = self.first_events.get(&step) else { return };
        let kept = self.prompts.partition_point(|&event| event < first_event);
        let withdrawn = self.prompts.split_off(kept);
        self.happened();
        self.open.clear();
        self.working = false;
        if first_event as usize <= self.session.events().len() {
            let prompts = u32::try_from(withdrawn.len()).unwrap_or(u32::MAX);
            self.session.push(None, EventBody::Rewind { first_event, prompts });
        }
    }
}

/// Whether a call came to an end, though nothing says what it gave back.
fn is_over(call: &Call) -> bool {
    matches!(call.status.as_deref(), Some("success" | "error" | "cancelled"))
}
