//! Takes the records of a file in order; gives the messages, each once and in its last version, and what was taken back.
//!
//! A message that is written again under its id replaces the earlier version at its place: calls and tokens arrive that way.
//! What the client drops from the model's context (a compression, a masked output) was said all the same and stays.

use super::message::{Author, Message};
use crate::session::copies::{Identity, Key};
use crate::session::value::{is_id, text_of, time_of};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Map, Value};
use std::collections::{HashMap, HashSet};

/// How a summary begins that takes the place of the conversation so far.
const SNAPSHOT: &str = "<state_snapshot>";

/// What happened, in order.
#[derive(Debug, PartialEq)]
pub(super) enum Step {
    /// A message.
    Message(Box<Message>),
    /// The human went back to before the step at `first`.
    Rewind { first: usize },
    /// The conversation so far was replaced by a summary.
    Compaction { at: Option<Timestamp>, summary: String },
}

/// A session's messages as its records tell them.
#[derive(Debug, Default)]
pub(super) struct History {
    pub steps: Vec<Step>,
    /// When the session began.
    pub started: Option<Timestamp>,
    /// Types of messages that are not known.
    pub unknown: Vec<String>,
    /// Steps of the messages that count, by their ids.
    by_id: HashMap<String, usize>,
    /// Steps of the messages that count, in order.
    live: Vec<usize>,
}

impl History {
    /// Takes one record: the session's facts, a message, or a change of either.
    pub(super) fn record(&mut self, record: &Map<String, Value>) {
        if let Some(id) = text_of(record.get("$rewindTo")) {
            self.rewind(&id);
        } else if let Some(Value::Object(set)) = record.get("$set") {
            self.facts(set);
            if let Some(Value::Array(messages)) = set.get("messages") {
                self.context(messages);
            }
        } else if record.contains_key("sessionId") && !record.contains_key("type") {
            self.facts(record);
            if let Some(Value::Array(messages)) = record.get("messages") {
                messages.iter().filter_map(Value::as_object).for_each(|message| self.message(message));
            }
        } else {
            self.message(record);
        }
    }

    fn facts(&mut self, facts: &Map<String, Value>) {
        self.started = self.started.or_else(|| time_of(facts.get("startTime")));
    }

    /// Takes a message, new or again.
    pub(super) fn message(&mut self, message: &Map<String, Value>) {
        let message = Message::from_json(message);
        if let Author::Unknown(kind) = &message.author {
            return self.unknown.push(kind.clone());
        }
        self.unknown.extend(message.content.unknown.iter().cloned());
        self.put(message);
    }

    fn put(&mut self, message: Message) {
        let id = message.id.clone().filter(|id| is_id(id));
        if let Some(&step) = id.as_ref().and_then(|id| self.by_id.get(id)) {
            self.steps[step] = Step::Message(Box::new(message));
            return;
        }
        let step = self.steps.len();
        self.steps.push(Step::Message(Box::new(message)));
        self.live.push(step);
        if let Some(id) = id {
            self.by_id.insert(id, step);
        }
    }

    /// Takes back the message `id` and all that follow it. An id that is not known takes back everything, as the client has it.
    fn rewind(&mut self, id: &str) {
        let first = self.by_id.get(id).copied().or_else(|| self.live.first().copied());
        let Some(first) = first else { return };
        self.live.retain(|&step| step < first);
        self.by_id.retain(|_, step| *step < first);
        self.steps.push(Step::Rewind { first });
    }

    /// Takes the list of messages that the model sees from now on. New in it are summaries, and, in files where messages come
    /// in no other way, all; copies under new ids are not new.
    fn context(&mut self, messages: &[Value]) {
        let mut matched = HashSet::new();
        let mut behind_snapshot = false;
        for message in messages.iter().filter_map(Value::as_object) {
            let message = Message::from_json(message);
            let author = match &message.author {
                Author::Unknown(kind) => {
                    self.unknown.push(kind.clone());
                    continue;
                }
                author => author.clone(),
            };
            let known = message.id.as_ref().and_then(|id| self.by_id.get(id)).copied();
            if let Some(step) = known {
                matched.insert(step);
                self.complete(step, message);
                behind_snapshot = false;
                continue;
            }
            let text = message.content.text();
            if author == Author::User && text.trim_start().starts_with(SNAPSHOT) {
                self.compaction(message.at, text);
                behind_snapshot = true;
            } else if let Some(step) = self.same_words(&message, &matched) {
                matched.insert(step);
                if let Some(id) = message.id {
                    self.by_id.insert(id, step);
                }
                behind_snapshot = false;
            } else if !(behind_snapshot && author == Author::Agent && message.tokens.is_none()) {
                // The reply behind a summary is the client's too: it only keeps the turns alternating.
                self.put(message);
                behind_snapshot = false;
            }
        }
    }

    /// Adds what an earlier version of a message lacks. Its words stay: later ones may be masked.
    fn complete(&mut self, step: usize, later: Message) {
        if let Some(Step::Message(known)) = self.steps.get_mut(step) {
            known.tokens = known.tokens.take().or(later.tokens);
            known.model = known.model.take().or(later.model);
            if known.calls.is_empty() {
                known.calls = later.calls;
            }
        }
    }

    /// The message that says the same as one under a new id.
    fn same_words(&self, message: &Message, matched: &HashSet<usize>) -> Option<usize> {
        self.live.iter().copied().filter(|step| !matched.contains(step)).find(|&step| match &self.steps[step] {
            Step::Message(known) => known.author == message.author && known.content == message.content,
            _ => false,
        })
    }

    fn compaction(&mut self, at: Option<Timestamp>, summary: String) {
        // The list is written again whenever it changes, and the summary with it.
        let known =
            self.steps.iter().any(|step| matches!(step, Step::Compaction { summary: known, .. } if *known == summary));
        if !known {
            self.steps.push(Step::Compaction { at, summary });
        }
    }
}

/// Takes a record's text; gives what tells it from the others of its file. A message stands there in several versions, of which the
/// last counts; an earlier version of another copy adds nothing unless it knows more.
pub(super) fn identify(text: &str) -> Result<Identity, serde_json::Error> {
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Marks {
        id: Value,
        #[serde(rename = "type")]
        kind: Value,
        timestamp: Value,
        #[serde(rename = "$rewindTo")]
        rewind: Value,
        #[serde(rename = "toolCalls")]
        calls: Value,
        tokens: Value,
    }
    let marks: Marks = serde_json::from_str(text)?;
    let kind = text_of(Some(&marks.kind));
    let key = match (text_of(Some(&marks.id)).filter(|id| is_id(id)), text_of(Some(&marks.timestamp))) {
        (Some(id), _) => Key::Own(Key::digest(id)),
        (None, Some(time)) => Key::Shared(Key::digest((kind, time))),
        (None, None) => Key::Kind(Key::digest((kind, text_of(Some(&marks.rewind))))),
    };
    let calls = marks.calls.as_array().map_or(&[][..], Vec::as_slice);
    let answered = calls.iter().filter(|call| call.get("result").is_some()).count();
    let facts = calls.len() + answered + usize::from(marks.tokens.is_object());
    Ok(Identity { weight: facts as u64, ..Identity::new(key, time_of(Some(&marks.timestamp))) })
}
