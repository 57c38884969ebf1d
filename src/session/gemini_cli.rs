//! Takes the chat files of Gemini CLI; gives the session in them.
//!
//! A chat is one JSON document `{sessionId, projectHash, …, messages}` or, in later versions, JSON lines: the same facts
//! without messages, then messages and changes. A resumed `.json` is copied into a `.jsonl` beside it, so both are one session.
//! A subagent has a file of its own, in which its "user" is the agent that started it.
//!
//! `message` reads a message, `history` puts the records together, `conversation` tells the rest.

mod conversation;
mod history;
mod injected;
mod message;
mod outcome;

use super::document::{self, Document, End};
use super::lines;
use super::value::{text_of, time_of};
use super::{Agent, ReadReport, Session, SessionBuilder};
use history::History;
use serde::de::IgnoredAny;
use serde_json::{Map, Value};
use std::cmp::Reverse;
use std::path::{Path, PathBuf};

type Object = Map<String, Value>;

/// How far the facts about the session are looked for, in bytes.
const HEAD_BYTES: usize = 256 * 1024;

/// A thread of conversation. A subagent has one of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Thread {
    /// The thread's id.
    pub id: String,
    /// The thread that started this one, where the file's place says so.
    pub parent: Option<String>,
    /// Whether it is a subagent's: its "user" is another agent.
    pub subagent: bool,
}

/// The session that a file which begins with `head` belongs to: for a subagent's file, that of the agent that started it.
/// None if the file is not a chat of Gemini CLI.
pub fn recognise(head: &[u8], path: &Path) -> Option<String> {
    thread(head, path).map(|thread| thread.parent.unwrap_or(thread.id))
}

/// The thread in a file that begins with `head`; none if it is not a chat of Gemini CLI.
pub fn thread(head: &[u8], path: &Path) -> Option<Thread> {
    let head = document::text(&head[..head.len().min(HEAD_BYTES)]);
    let begins = Document::read(&head);
    let field = |key| begins.field::<Value>(key).and_then(|value| text_of(Some(&value)));
    match field("sessionId").filter(|id| !id.is_empty()) {
        Some(id) if begins.has("projectHash") && !begins.has("type") => {
            let subagent = field("kind").as_deref() == Some("subagent");
            let parent = parent_folder(path).filter(|parent| subagent && *parent != id);
            Some(Thread { id, parent, subagent })
        }
        _ => slice(&head, path),
    }
}

/// The session in whose folder a subagent's file lies: `chats/<session>/<subagent>.jsonl`.
fn parent_folder(path: &Path) -> Option<String> {
    let folder = path.parent()?;
    let is_chats = folder.parent()?.file_name()? == "chats";
    is_chats.then(|| folder.file_name()?.to_str().map(str::to_owned)).flatten()
}

/// The thread of JSON lines without the row that names it: the beginning may be lost.
fn slice(head: &str, path: &Path) -> Option<Thread> {
    let mut known = false;
    let mut id = None;
    lines::for_each_record(head.as_bytes(), &mut ReadReport::default(), &mut |line| {
        let record: Object = serde_json::from_str(line)?;
        let is_change = ["$set", "$rewindTo"].iter().any(|key| record.contains_key(*key));
        let is_message = record.get("type").and_then(Value::as_str) == Some("gemini") && record.contains_key("content");
        known |= record.len() == 1 && is_change || is_message && record.contains_key("id");
        if record.contains_key("projectHash") {
            id = id.take().or_else(|| text_of(record.get("sessionId")));
        }
        Ok(())
    });
    let stem = || path.file_stem().and_then(|stem| stem.to_str()).map(str::to_owned);
    known.then(|| id.or_else(stem)).flatten().map(|id| Thread { id, parent: None, subagent: false })
}

/// Reads the session `id` from `files`: copies of its chat, of which the longest is used, and chats of its subagents.
///
/// A subagent's chat on its own is a session without prompts.
pub fn read(id: &str, files: &[(PathBuf, Vec<u8>)]) -> Session {
    let mut mains = Vec::new();
    let mut subagents = Vec::new();
    for (path, bytes) in files {
        let chat = Chat::read(path, bytes);
        let kind = if chat.is_subagent() && chat.thread.id != id { &mut subagents } else { &mut mains };
        kind.push(chat);
    }
    // Of equal copies the later format's counts: the client goes on with that one.
    mains.sort_by_key(|chat: &Chat| (Reverse(chat.history.steps.len()), Reverse(chat.is_lines), chat.path.clone()));
    let path = mains.first().or_else(|| subagents.first()).map(|chat| chat.path.clone()).unwrap_or_default();
    let mut session = SessionBuilder::new(Agent::GeminiCli, id, path);
    if let Some(chat) = mains.into_iter().next() {
        let subagent = chat.is_subagent();
        session.read = chat.report;
        conversation::tell(chat.history, subagent, &mut session);
    }
    // Copies of a subagent's chat, too, count once, by the longest.
    subagents.sort_by_key(|chat| (chat.thread.id.clone(), Reverse(chat.history.steps.len())));
    subagents.dedup_by(|later, earlier| later.thread.id == earlier.thread.id);
    for chat in subagents {
        session.subagent_events += chat.history.steps.len() as u64;
        session.read.absorb(chat.report);
    }
    session.finish()
}

/// One file of a session.
struct Chat<'a> {
    path: &'a PathBuf,
    thread: Thread,
    is_lines: bool,
    history: History,
    report: ReadReport,
}

impl Chat<'_> {
    fn read<'a>(path: &'a PathBuf, bytes: &[u8]) -> Chat<'a> {
        let mut history = History::default();
        let mut report = ReadReport::default();
        let text = document::Text::of(bytes);
        let begins = Document::read(text.get());
        let is_lines = begins.end == End::More || !begins.has_messages;
        let mut record = |line: &str| {
            history.record(&serde_json::from_str(line)?);
            Ok(())
        };
        if !is_lines {
            read_document(&text, &mut history, &mut report);
        } else if begins.has_messages && !is_a_record(first_line(text.get())) {
            // Documents of many lines, one behind the other.
            lines::for_each_record(&lines::one_line(bytes), &mut report, &mut record);
        } else {
            lines::for_each_record(bytes, &mut report, &mut record);
        }
        for kind in std::mem::take(&mut history.unknown) {
            report.count_unknown(&kind);
        }
        let unnamed = || Thread { id: String::new(), parent: None, subagent: false };
        Chat { path, thread: thread(bytes, path).unwrap_or_else(unnamed), is_lines, history, report }
    }

    fn is_subagent(&self) -> bool {
        self.thread.subagent
    }
}

/// Reads a chat that is one document; its records are its messages.
fn read_document(text: &document::Text<'_>, history: &mut History, report: &mut ReadReport) {
    let document = text.document("messages", report);
    history.started = document.field::<Value>("startTime").and_then(|time| time_of(Some(&time)));
    document.for_each_message(is_message, report, &mut |message| {
        history.message(&serde_json::from_str(message)?);
        Ok(())
    });
}

/// Whether an object is a message and not a part of one.
fn is_message(text: &str) -> bool {
    serde_json::from_str::<Object>(text)
        .is_ok_and(|object| ["id", "type", "content"].iter().all(|key| object.contains_key(*key)))
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}

fn is_a_record(line: &str) -> bool {
    serde_json::from_str::<IgnoredAny>(line).is_ok()
}

#[cfg(test)]
mod tests;
