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
use super::lines::{self, mend};
use super::value::{text_of, time_of};
use super::{Agent, ReadReport, Session, SessionBuilder};
use history::History;
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
        // A part of a document, or one that was put together from parts: only the messages are left.
        _ if begins.has_messages
            && begins.fields.is_empty()
            && begins.messages.iter().any(|raw| is_message(raw.get())) =>
        {
            unnamed(path)
        }
        _ => slice(&head, path),
    }
}

/// Whether JSON is a message as only Gemini CLI writes it.
fn is_message(json: &str) -> bool {
    document::parse(json).is_ok_and(|message: Object| {
        message.get("type").and_then(Value::as_str) == Some("gemini") && message.contains_key("content")
    })
}

/// The thread of a file that does not name it.
fn unnamed(path: &Path) -> Option<Thread> {
    let id = path.file_stem()?.to_str()?.to_owned();
    Some(Thread { id, parent: None, subagent: false })
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
    let named = id.map(|id| Thread { id, parent: None, subagent: false });
    known.then(|| named.or_else(|| unnamed(path))).flatten()
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
        let text = document::text(bytes);
        let begins = Document::read(&text);
        let parts = if begins.end == End::More && begins.has_messages { document::parts(&text) } else { Vec::new() };
        let is_lines = parts.is_empty() && (begins.end == End::More || !begins.has_messages);
        if !parts.is_empty() {
            for part in parts {
                read_document(part, Document::read(part), &mut history, &mut report);
            }
        } else if is_lines {
            lines::for_each_record(bytes, &mut report, &mut |line| {
                history.record(&serde_json::from_str(line)?);
                Ok(())
            });
        } else {
            read_document(&text, begins, &mut history, &mut report);
        }
        for kind in std::mem::take(&mut history.unknown) {
            report.count_unknown(&kind);
        }
        let nameless = || Thread { id: String::new(), parent: None, subagent: false };
        Chat { path, thread: thread(bytes, path).unwrap_or_else(nameless), is_lines, history, report }
    }

    fn is_subagent(&self) -> bool {
        self.thread.subagent
    }
}

/// Reads a chat that is one document; its records are its messages.
fn read_document(text: &str, begins: Document<'_>, history: &mut History, report: &mut ReadReport) {
    let mended;
    let document = if begins.end == End::Broken {
        mended = mend(text);
        report.repaired += 1;
        Document::read(&mended)
    } else {
        begins
    };
    if document.end == End::Broken {
        report.repaired = 0;
        report.bad += 1;
    }
    report.lines += text.lines().filter(|line| !line.trim().is_empty()).count() as u64;
    history.started = document.field::<Value>("startTime").and_then(|time| time_of(Some(&time)));
    for message in &document.messages {
        match document::parse::<Object>(message.get()) {
            Ok(message) => {
                report.records += 1;
                history.message(&message);
            }
            Err(_) => report.bad += 1,
        }
    }
}

#[cfg(test)]
mod tests;
