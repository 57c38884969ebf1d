//! Takes plain chats: `messages` with `role` and `content`, as providers, datasets and any script write them; gives the session in
//! one of them. For agents whose own transcripts have no reader.
//!
//! A file holds one conversation a line, or is a document: a conversation, or a list of them. A conversation is an object with
//! `messages`, or the bare list of messages. `find` tells where in a file each one is; [`read`] takes the bytes of one.

mod find;

pub use find::{Conversation, Found, find, find_in, may_hold};

use super::calls::Calls;
use super::content::{Part, calls, parts, result};
use super::copies::{self, Stored};
use super::document::{End, Text, parse};
use super::value::{number_of, text_of, time_of};
use super::{Agent, Channel, InjectedSource, ReadError, ReadReport, Session, SessionBuilder};
use crate::usage::Usage;
use serde_json::{Map, Value};
use std::path::PathBuf;

/// Where clients write a message's or a conversation's time.
const TIMES: [&str; 7] =
    ["timestamp", "created_at", "createdAt", "create_time", "created", "session_start", "start_time"];

/// Whose words a message holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    Human,
    Agent,
    Tool,
    Client,
}

impl Role {
    fn named(name: &str) -> Option<Role> {
        match name {
            "user" | "human" => Some(Role::Human),
            "assistant" | "model" | "ai" => Some(Role::Agent),
            "tool" | "function" => Some(Role::Tool),
            "system" | "developer" => Some(Role::Client),
            _ => None,
        }
    }
}

/// Reads the session `id` from the bytes of its conversation; of several copies, which are equal, the first.
///
/// # Errors
/// A file that cannot be read.
pub fn read<S: Stored>(id: &str, copies: &[S]) -> Result<Session, ReadError> {
    let Some(first) = copies.first() else {
        return Ok(SessionBuilder::new(Agent::Chat, id, PathBuf::new()).finish());
    };
    let mut session = SessionBuilder::new(Agent::Chat, id, first.path().to_owned());
    let bytes = copies::load(first)?;
    let text = Text::of(&bytes).named("messages");
    let mut report = ReadReport::default();
    let document = text.document("messages", &mut report);
    let mut messages: Vec<Map<String, Value>> = Vec::new();
    document.for_each_message(is_message, &mut report, &mut |text| {
        messages.push(serde_json::from_str(text)?);
        Ok(())
    });
    report.bad += u64::from(document.end == End::More);
    // Clients write a conversation as one record.
    report.records = u64::from(document.has_messages);
    session.read = report;
    let facts = document.fields.iter().filter_map(|(key, value)| Some((key.clone(), parse(value.get()).ok()?)));
    tell(&facts.collect(), &messages, &mut session);
    Ok(session.finish())
}

/// Whether an object is a message and not a part of one.
fn is_message(text: &str) -> bool {
    serde_json::from_str::<Map<String, Value>>(text).is_ok_and(|message| {
        message.get("role").is_some_and(Value::is_string)
            && (message.contains_key("content") || message.contains_key("tool_calls"))
    })
}

fn tell(facts: &Map<String, Value>, messages: &[Map<String, Value>], session: &mut SessionBuilder) {
    session.tick(time(facts), true);
    let model = text_of(facts.get("model"));
    let mut calls = Calls::default();
    let mut usage = None;
    for message in messages {
        if let Some(used) = message.get("usage").and_then(tokens) {
            *usage.get_or_insert_default() += used;
        }
        self::message(message, model.as_deref(), &mut calls, session);
    }
    // What the conversation says of itself as a whole stands for messages that say nothing.
    session.usage += usage.or_else(|| tokens(facts.get("usage")?)).unwrap_or_default();
}

fn message(message: &Map<String, Value>, model: Option<&str>, calls: &mut Calls, session: &mut SessionBuilder) {
    let name = text_of(message.get("role")).unwrap_or_default();
    let at = time(message);
    let Some(role) = Role::named(&name) else {
        session.tick(at, false);
        return session.read.count_unknown(&format!("role {name}"));
    };
    let told = told(role, message);
    let is_prompt = role == Role::Human
        && told
            .iter()
            .any(|part| matches!(part, Part::Image) || matches!(part, Part::Text(text) if !text.trim().is_empty()));
    session.tick(at, is_prompt);
    let mut words = Vec::new();
    let mut images = 0;
    for part in told {
        match part {
            Part::Call(call) => calls.call(session, at, call),
            Part::Result { id, outcome, text } => calls.result(session, at, id.as_deref(), outcome, text),
            Part::Text(text) => words.push(text),
            Part::Image => images += 1,
            Part::Unknown(kind, text) => {
                session.read.count_unknown(&kind);
                words.extend(Some(text).filter(|text| !text.is_empty()));
            }
            Part::Silent => {}
        }
        // The agent's words and calls are told in their order; the human's words of one message are one prompt.
        if role == Role::Agent {
            words.drain(..).for_each(|text| session.reply(at, text));
        }
    }
    let text = words.join("\n");
    match role {
        Role::Human if is_prompt => {
            calls.forget();
            session.prompt(at, Channel::Typed, text, images);
        }
        Role::Client if !text.trim().is_empty() => session.injected(at, InjectedSource::Context, text),
        Role::Agent => {
            if let Some(model) = text_of(message.get("model")).as_deref().or(model) {
                session.model(model);
            }
        }
        _ => {}
    }
}

/// The parts of a message, with calls that stand beside its content; a tool's message is a result as a whole.
fn told(role: Role, message: &Map<String, Value>) -> Vec<Part> {
    let mut told = parts(message.get("content"));
    match role {
        Role::Tool => {
            told.retain(|part| matches!(part, Part::Result { .. }));
            if told.is_empty() {
                told.push(result(message));
            }
        }
        Role::Agent => told.extend(calls(message)),
        Role::Human | Role::Client => {}
    }
    told
}

fn time(object: &Map<String, Value>) -> Option<jiff::Timestamp> {
    TIMES.iter().find_map(|key| time_of(object.get(*key)))
}

/// Reads a `usage` as OpenAI writes it, where cached tokens are a part of the input, or as Anthropic does, where they are not.
fn tokens(usage: &Value) -> Option<Usage> {
    let count = |key| number_of(usage.get(key));
    let detail = |of: &[&str], key| of.iter().find_map(|of| number_of(usage.get(*of)?.get(key)));
    let input = count("prompt_tokens").or_else(|| count("input_tokens"));
    let output = count("completion_tokens").or_else(|| count("output_tokens"));
    input.or(output)?;
    let (input, output) = (input.unwrap_or(0), output.unwrap_or(0));
    let reasoning = detail(&["completion_tokens_details", "output_tokens_details"], "reasoning_tokens").unwrap_or(0);
    let within = detail(&["prompt_tokens_details", "input_tokens_details"], "cached_tokens").unwrap_or(0).min(input);
    Some(Usage {
        input: input - within,
        cached_input: within.saturating_add(count("cache_read_input_tokens").unwrap_or(0)),
        cache_write: count("cache_creation_input_tokens").unwrap_or(0),
        output,
        reasoning: reasoning.min(output),
    })
}

#[cfg(test)]
mod tests;
