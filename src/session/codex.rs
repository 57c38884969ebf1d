//! Takes the rollout files of Codex CLI; gives the session in them.
//!
//! A rollout is JSON lines `{timestamp, type, payload}`; the oldest ones have the bare items of the conversation instead. One
//! file holds one thread. A subagent has a thread, and so a file, of its own, in which its "user" is the agent that started it.
//!
//! `row` reads a record, `replay` finds what a fork copied from another thread, `conversation` tells the rest.

mod conversation;
pub(super) mod injected;
pub(super) mod outcome;
mod replay;
mod row;
mod thread;
mod tokens;

pub use thread::{Thread, thread};

use super::copies::{self, Stored};
use super::{Agent, ReadError, ReadReport, Session, SessionBuilder, lines};
use row::{Body, Row};
use std::path::Path;

/// The session that a file which begins with `head` belongs to: for a subagent's thread, that of the thread that started it.
/// None if the file is not a Codex rollout.
pub fn recognise(head: &[u8], path: &Path) -> Option<String> {
    thread(head, path).map(|thread| thread.parent.unwrap_or(thread.id))
}

/// Reads the session `id` from copies of its rollout, and of rollouts of its subagents.
///
/// A subagent's rollout on its own is a session without prompts.
///
/// # Errors
/// A file that cannot be read.
pub fn read<S: Stored>(id: &str, copies: &[S]) -> Result<Session, ReadError> {
    let subagent = |path: &Path, bytes: &[u8]| {
        let thread = thread(bytes, path).filter(|thread| thread.subagent && thread.id != id);
        Some(thread.map(|thread| thread.id))
    };
    let mut threads = copies::unite(copies, row::identify, subagent)?;
    threads.sort_by_key(|(subagent, _)| subagent.is_some());
    let largest = threads.first().and_then(|(_, pieces)| pieces.iter().max_by_key(|piece| piece.bytes.len()));
    let path = largest.map(|piece| piece.path.clone()).unwrap_or_default();
    let mut session = SessionBuilder::new(Agent::Codex, id, path);
    let mut report = ReadReport::default();
    let mut rows = Vec::new();
    for (subagent, pieces) in threads {
        for piece in pieces {
            lines::for_each_record(&piece.bytes, &mut report, &mut |text| {
                match subagent {
                    Some(_) => {
                        serde_json::from_str::<serde::de::IgnoredAny>(text)?;
                        session.subagent_events += 1;
                    }
                    None => rows.push(Row::parse(text)?),
                }
                Ok(())
            });
        }
    }
    session.read = report;
    let copied = replay::copied_rows(&rows);
    let first = rows.iter().find_map(|row| match &row.body {
        Body::Meta { thread, forked, .. } => Some((thread.as_ref().is_some_and(|thread| thread.subagent), *forked)),
        _ => None,
    });
    let (subagent, forked) = first.unwrap_or_default();
    let inherits = forked || subagent || !copied.is_empty();
    conversation::tell(rows, copied, subagent, inherits, &mut session);
    Ok(session.finish())
}

#[cfg(test)]
mod tests;
