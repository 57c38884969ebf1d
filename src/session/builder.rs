//! Takes what a reader finds, in file order; gives a finished [`Session`] with numbers, ordinals and times.

use super::{
    Agent, Channel, Event, EventBody, InjectedSource, Prompt, ReadReport, Session, SessionId, ToolCall, ToolCategory,
    ToolOutcome, ToolResult,
};
use crate::usage::Usage;
use jiff::Timestamp;
use std::path::PathBuf;

/// A gap between two rows counts as work for at most this long; beyond it nobody can say what happened.
const LONGEST_ACTIVE_GAP_SECONDS: f64 = 300.0;

/// Collects a session's events in file order.
#[derive(Debug)]
pub struct SessionBuilder {
    agent: Agent,
    native_id: String,
    path: PathBuf,
    models: Vec<String>,
    events: Vec<Event>,
    prompts: u32,
    earliest: Option<Timestamp>,
    latest: Option<Timestamp>,
    previous: Option<Timestamp>,
    active_seconds: f64,
    /// Rows of subagents seen.
    pub subagent_events: u64,
    /// Tokens of the main agent.
    pub usage: Usage,
    /// Share of committed lines written by the agent, 0 to 100.
    pub agent_percentage: Option<f64>,
    /// How the file was read.
    pub read: ReadReport,
}

impl SessionBuilder {
    /// Begins a session; `native_id` is the agent's own id for it.
    pub fn new(agent: Agent, native_id: &str, path: PathBuf) -> SessionBuilder {
        SessionBuilder {
            agent,
            native_id: native_id.to_owned(),
            path,
            models: Vec::new(),
            events: Vec::new(),
            prompts: 0,
            earliest: None,
            latest: None,
            previous: None,
            active_seconds: 0.0,
            subagent_events: 0,
            usage: Usage::default(),
            agent_percentage: None,
            read: ReadReport::default(),
        }
    }

    /// Notes a model that answered.
    pub fn model(&mut self, name: &str) {
        if !name.is_empty() && !self.models.iter().any(|known| known == name) {
            self.models.push(name.to_owned());
        }
    }

    /// Notes that a row of the main conversation carries this time. Call it once a row, in file order, before the row's events;
    /// `human` says that the row is a human's act, so that the wait before it is not the agent's work.
    pub fn tick(&mut self, at: Option<Timestamp>, human: bool) {
        let Some(at) = at else { return };
        self.earliest = Some(self.earliest.map_or(at, |earliest| earliest.min(at)));
        self.latest = Some(self.latest.map_or(at, |latest| latest.max(at)));
        if let Some(previous) = self.previous.filter(|_| !human) {
            let gap = (at.as_millisecond() - previous.as_millisecond()) as f64 / 1000.0;
            self.active_seconds += gap.clamp(0.0, LONGEST_ACTIVE_GAP_SECONDS);
        }
        // Rows of parallel work go back in time; the same seconds must not be counted twice.
        self.previous = Some(self.previous.map_or(at, |previous| previous.max(at)));
    }

    /// Adds a human's prompt; gives its event number.
    pub fn prompt(&mut self, at: Option<Timestamp>, channel: Channel, text: impl Into<String>, images: u32) -> u32 {
        self.prompts += 1;
        let ordinal = self.prompts;
        self.push(at, EventBody::Prompt(Prompt { ordinal, text: text.into(), channel, images }))
    }

    /// Adds words of the agent; blank ones are left out.
    pub fn reply(&mut self, at: Option<Timestamp>, text: impl Into<String>) {
        let text = text.into();
        if !text.trim().is_empty() {
            self.push(at, EventBody::Reply { text });
        }
    }

    /// Adds a tool call; gives its event number, for the result to refer to.
    pub fn tool_call(
        &mut self,
        at: Option<Timestamp>,
        name: &str,
        category: ToolCategory,
        input: impl Into<String>,
    ) -> u32 {
        self.push(at, EventBody::ToolCall(ToolCall { name: name.to_owned(), category, input: input.into() }))
    }

    /// Adds the result of the call at event `call`.
    pub fn tool_result(
        &mut self,
        at: Option<Timestamp>,
        call: Option<u32>,
        outcome: ToolOutcome,
        text: impl Into<String>,
    ) -> u32 {
        self.push(at, EventBody::ToolResult(ToolResult { call, outcome, text: text.into() }))
    }

    /// Adds text that nobody typed.
    pub fn injected(&mut self, at: Option<Timestamp>, source: InjectedSource, text: impl Into<String>) {
        self.push(at, EventBody::Injected { source, text: text.into() });
    }

    /// Adds any event; gives its number.
    pub fn push(&mut self, at: Option<Timestamp>, body: EventBody) -> u32 {
        let number = u32::try_from(self.events.len() + 1).unwrap_or(u32::MAX);
        self.events.push(Event { number, at, body });
        number
    }

    /// How many prompts there are so far: the ordinal of the last one.
    pub fn prompts(&self) -> u32 {
        self.prompts
    }

    /// The events so far.
    pub fn events(&self) -> &[Event] {
        &self.events
    }

    /// The events so far, for a reader that learns later what an earlier row was.
    pub fn events_mut(&mut self) -> &mut [Event] {
        &mut self.events
    }

    /// The session.
    pub fn finish(self) -> Session {
        Session {
            id: SessionId::new(self.agent, &self.native_id),
            agent: self.agent,
            path: self.path,
            models: self.models,
            started: self.earliest,
            ended: self.latest,
            // Transcripts carry milliseconds; more digits would only be noise of the sum.
            active_seconds: (self.active_seconds * 1000.0).round() / 1000.0,
            events: self.events,
            subagent_events: self.subagent_events,
            usage: self.usage,
            agent_percentage: self.agent_percentage,
            checkpoints: Vec::new(),
            labels: Vec::new(),
            read: self.read,
        }
    }
}
