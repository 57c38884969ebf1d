//! Takes Cursor's transcripts of its agent; gives the session in them.
//!
//! A transcript is JSON lines `{role, message: {content}}`, or the older plain text with lines `user:` and `assistant:`. It has no
//! times, no tokens, seldom a model, and often no results of tools. Subagents have files of their own, in `subagents/`.
//!
//! `rows` reads JSON lines and `plain` the text, both as messages; `query` finds the human's words in a message.

mod plain;
pub(super) mod query;
mod rows;

use super::calls::Calls;
use super::content::Part;
use super::copies::{self, Stored};
use super::{Agent, Channel, EventBody, InjectedSource, ReadError, ReadReport, Session, SessionBuilder};
use query::Said;
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

/// Reads the session `id` from copies of its transcript and of its subagents' transcripts.
///
/// # Errors
/// A file that cannot be read.
pub fn read<S: Stored>(id: &str, copies: &[S]) -> Result<Session, ReadError> {
    let mut told: Vec<Told> = Vec::new();
    let threads = copies::unite(copies, rows::identify, |path, bytes| {
        let subagent = subagent(path);
        if !plain::is_in(bytes) {
            return Some(subagent);
        }
        // Nothing tells the copies of a text apart but their length.
        if !told.iter().any(|known| known.subagent == subagent) {
            let mut report = ReadReport::default();
            let records = plain::records(bytes, &mut report);
            told.push(Told { subagent, path: path.to_owned(), records, report });
        }
        None
    })?;
    for (subagent, pieces) in threads {
        // Without times nothing says how pieces would follow each other.
        let Some(piece) = pieces.into_iter().max_by_key(|piece| piece.bytes.len()) else { continue };
        let mut report = ReadReport::default();
        let records = rows::records(&piece.bytes, &mut report);
        match told.iter_mut().find(|known| known.subagent == subagent) {
            Some(known) if known.records.len() > records.len() => {}
            Some(known) => *known = Told { subagent, path: piece.path, records, report },
            None => told.push(Told { subagent, path: piece.path, records, report }),
        }
    }
    told.sort_by_key(|told| told.subagent.is_some());
    let path = told.first().map(|told| told.path.clone()).unwrap_or_default();
    let mut session = SessionBuilder::new(Agent::Cursor, id, path);
    for Told { subagent, records, report, .. } in told {
        session.read.absorb(report);
        match subagent {
            Some(_) => session.subagent_events += records.len() as u64,
            None => tell(records, &mut session),
        }
    }
    Ok(session.finish())
}

/// What a transcript says, and whose it is.
struct Told {
    subagent: Option<String>,
    path: PathBuf,
    records: Vec<Record>,
    report: ReadReport,
}

/// The name of a subagent's file; none of the main agent's.
fn subagent(path: &Path) -> Option<String> {
    subagents_folder(path)?;
    Some(path.file_stem().unwrap_or_default().to_string_lossy().into_owned())
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
