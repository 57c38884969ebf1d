//! Takes Cursor's transcripts of its agent; gives the session in them.
//!
//! A transcript is JSON lines `{role, message: {content}}`, or the older plain text with lines `user:` and `assistant:`. It has no
//! times, no tokens, seldom a model, and often no results of tools. Subagents have files of their own, in `subagents/`.
//!
//! `rows` reads JSON lines and `plain` the text, both as messages; `query` finds the human's words in a message.

mod plain;
mod query;
mod rows;

use super::calls::Calls;
use super::content::Part;
use super::{Agent, Channel, EventBody, InjectedSource, ReadReport, Session, SessionBuilder};
use memchr::memchr_iter;
use query::Said;
use std::cmp::Reverse;
use std::path::{Path, PathBuf};

/// A message or a mark of a transcript.
#[derive(Debug)]
enum Record {
    /// In the human's name, or with results of tools.
    User(Vec<Part>),
    /// The agent's.
    Assistant { parts: Vec<Part>, model: Option<String> },
    /// The client's instructions.
    System(Vec<Part>),
    /// The human stopped the turn.
    Stopped,
    /// The turn failed.
    Failed(String),
    /// Nothing of the conversation.
    Silent,
    /// A record of a type that is not known.
    Unknown(String),
}

/// The session in a file that begins with `head`, if it is a Cursor transcript: for a subagent's file, that of the agent that
/// started it.
pub fn recognise(head: &[u8], path: &Path) -> Option<String> {
    if !rows::are_in(head) && !plain::is_in(head) {
        return None;
    }
    let name = match subagents_folder(path) {
        Some(folder) => folder.parent().and_then(Path::file_name),
        None => path.file_stem(),
    };
    Some(name.unwrap_or_default().to_string_lossy().into_owned())
}

/// The folder `subagents` that a file lies in.
fn subagents_folder(path: &Path) -> Option<&Path> {
    path.parent()?.ancestors().find(|folder| folder.ends_with("subagents"))
}

/// Reads the session `id` from `files`: copies of its transcript, of which the longest is used, and its subagents' transcripts.
pub fn read(id: &str, files: &[(PathBuf, Vec<u8>)]) -> Session {
    let (subagents, mut mains): (Vec<_>, Vec<_>) = files.iter().partition(|(path, _)| subagents_folder(path).is_some());
    mains.sort_by_key(|(path, bytes)| (Reverse(memchr_iter(b'\n', bytes).count()), Reverse(bytes.len()), path));
    let path = mains.first().or(subagents.first()).map(|(path, _)| path.clone()).unwrap_or_default();
    let mut session = SessionBuilder::new(Agent::Cursor, id, path);
    if let Some((_, bytes)) = mains.first() {
        let records = records(bytes, &mut session.read);
        tell(records, &mut session);
    }
    for (_, bytes) in subagents {
        let mut report = ReadReport::default();
        session.subagent_events += records(bytes, &mut report).len() as u64;
        session.read.absorb(report);
    }
    session.finish()
}

fn records(bytes: &[u8], report: &mut ReadReport) -> Vec<Record> {
    match plain::is_in(bytes) {
        true => plain::records(bytes, report),
        false => rows::records(bytes, report),
    }
}

fn tell(records: Vec<Record>, session: &mut SessionBuilder) {
    let marks_queries = records.iter().any(|record| match record {
        Record::User(parts) => parts.iter().any(|part| matches!(part, Part::Text(text) if query::is_marked(text))),
        _ => false,
    });
    let mut calls = Calls::default();
    for record in records {
        match record {
            Record::User(parts) => user(parts, marks_queries, &mut calls, session),
            Record::Assistant { parts, model } => {
                if let Some(model) = model {
                    session.model(&model);
                }
                assistant(parts, &mut calls, session);
            }
            Record::System(parts) => {
                for part in parts {
                    if let Part::Text(text) = part {
                        inject(session, InjectedSource::Context, text);
                    }
                }
            }
            Record::Stopped => {
                session.push(None, EventBody::Interruption { during_tool: calls.any_open() });
                calls.forget();
            }
            Record::Failed(text) => {
                session.push(None, EventBody::ClientError { text });
            }
            Record::Silent => {}
            Record::Unknown(kind) => session.read.count_unknown(&kind),
        }
    }
}

/// Tells a message in the human's name: results first, what the client added, then the human's words as one prompt.
fn user(parts: Vec<Part>, marks_queries: bool, calls: &mut Calls, session: &mut SessionBuilder) {
    let mut words = Vec::new();
    let mut images = 0;
    for part in parts {
        match part {
            Part::Text(text) => {
                for said in query::split(&text, marks_queries) {
                    match said {
                        Said::ByHuman(text) => words.push(text.to_owned()),
                        Said::ByClient(source, text) => inject(session, source, text.to_owned()),
                    }
                }
            }
            Part::Image => images += 1,
            Part::Result { id, outcome, text } => calls.result(session, None, id.as_deref(), outcome, text),
            Part::Unknown(kind, _) => session.read.count_unknown(&kind),
            Part::Call(_) | Part::Silent => {}
        }
    }
    let text = words.join("\n");
    if !text.trim().is_empty() || images > 0 {
        calls.forget();
        session.prompt(None, Channel::Typed, text, images);
    }
}

fn assistant(parts: Vec<Part>, calls: &mut Calls, session: &mut SessionBuilder) {
    /// Stands where Cursor took the model's thoughts out.
    const THOUGHTS: &str = "[REDACTED]";
    for part in parts {
        match part {
            Part::Text(text) => {
                let text = text.trim_end();
                session.reply(None, text.strip_suffix(THOUGHTS).unwrap_or(text).trim_end());
            }
            Part::Call(call) => calls.call(session, None, call),
            Part::Result { id, outcome, text } => calls.result(session, None, id.as_deref(), outcome, text),
            Part::Unknown(kind, text) => {
                session.read.count_unknown(&kind);
                session.reply(None, text);
            }
            Part::Image | Part::Silent => {}
        }
    }
}

fn inject(session: &mut SessionBuilder, source: InjectedSource, text: String) {
    if !text.trim().is_empty() {
        session.injected(None, source, text);
    }
}

#[cfg(test)]
mod tests;
