//! Takes the chat files of Gemini CLI; gives the session in them.
//!
//! A chat is one JSON document `{sessionId, projectHash, …, messages}` or, in later versions, JSON lines: the same facts
//! without messages, then messages and changes. A resumed `.json` is copied into a `.jsonl` beside it, so both are one session.
//! A subagent has a file of its own, in which its "user" is the agent that started it.
//!
//! `message` reads a message, `history` puts a file's records together, `chat` the files; `conversation` tells the rest.

mod chat;
mod conversation;
mod history;
mod injected;
mod message;
mod outcome;

use super::copies::{self, Stored};
use super::document::{self, Document};
use super::lines;
use super::value::text_of;
use super::{Agent, ReadError, ReadReport, Session, SessionBuilder};
use chat::Chat;
use serde_json::{Map, Value};
use std::path::Path;

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

/// Reads the session `id` from copies of its chat, and of chats of its subagents.
///
/// A subagent's chat on its own is a session without prompts.
///
/// # Errors
/// A file that cannot be read.
pub fn read<S: Stored>(id: &str, copies: &[S]) -> Result<Session, ReadError> {
    let mut chats: Vec<(Option<String>, Chat)> = Vec::new();
    let mut add = |subagent: Option<String>, chat: Chat| match chats.iter_mut().find(|(known, _)| *known == subagent) {
        Some((_, known)) => known.unite(chat),
        None => chats.push((subagent, chat)),
    };
    let subagent = |path: &Path, bytes: &[u8]| {
        let thread = thread(bytes, path).filter(|thread| thread.subagent && thread.id != id);
        thread.map(|thread| thread.id)
    };
    let threads = copies::unite(copies, history::identify, |path, bytes| match Chat::from_document(path, bytes) {
        Some(chat) => {
            add(subagent(path, bytes), chat);
            None
        }
        None => Some(subagent(path, bytes)),
    })?;
    for (subagent, pieces) in threads {
        add(subagent, Chat::from_lines(&pieces));
    }
    chats.sort_by_key(|(subagent, _)| subagent.is_some());
    let path = chats.first().map(|(_, chat)| chat.path.clone()).unwrap_or_default();
    let mut session = SessionBuilder::new(Agent::GeminiCli, id, path);
    for (subagent, chat) in chats {
        session.read.absorb(chat.report.clone());
        match subagent {
            Some(_) => session.subagent_events += chat.steps.len() as u64,
            None => conversation::tell(chat, &mut session),
        }
    }
    Ok(session.finish())
}

#[cfg(test)]
mod tests;
