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

use super::{Agent, ReadReport, Session, SessionBuilder, lines};
use memchr::memchr_iter;
use row::{Body, Row};
use std::cmp::Reverse;
use std::path::{Path, PathBuf};

/// The session that a file which begins with `head` belongs to: for a subagent's thread, that of the thread that started it.
/// None if the file is not a Codex rollout.
pub fn recognise(head: &[u8], path: &Path) -> Option<String> {
    thread(head, path).map(|thread| thread.parent.unwrap_or(thread.id))
}

/// Reads the session `id` from `files`: copies of its rollout, of which the longest is used, and rollouts of its subagents.
///
/// A subagent's rollout on its own is a session without prompts.
pub fn read(id: &str, files: &[(PathBuf, Vec<u8>)]) -> Session {
    let mut mains = Vec::new();
    let mut subagents = Vec::new();
    for file in files {
        let (path, bytes) = file;
        let thread = thread(bytes, path);
        match thread {
            Some(thread) if thread.subagent && thread.id != id => subagents.push((thread.id, file)),
            _ => mains.push(file),
        }
    }
    mains.sort_by_key(|(path, bytes)| (Reverse(length(bytes)), path));
    let path = mains.first().or_else(|| subagents.first().map(|(_, file)| file)).map(|(path, _)| path.clone());
    let mut session = SessionBuilder::new(Agent::Codex, id, path.unwrap_or_default());
    if let Some((_, bytes)) = mains.first() {
        let mut report = ReadReport::default();
        let rows = rows(bytes, &mut report);
        session.read = report;
        let copied = replay::copied_rows(&rows);
        let first = rows.iter().find_map(|row| match &row.body {
            Body::Meta { thread, forked, .. } => Some((thread.as_ref().is_some_and(|thread| thread.subagent), *forked)),
            _ => None,
        });
        let (subagent, forked) = first.unwrap_or_default();
        let inherits = forked || subagent || !copied.is_empty();
        conversation::tell(rows, copied, subagent, inherits, &mut session);
    }
    // Copies of a subagent's rollout, too, count once, by the longest.
    subagents.sort_by_key(|(thread, (path, bytes))| (thread.clone(), Reverse(length(bytes)), path.clone()));
    subagents.dedup_by(|(later, _), (earlier, _)| later == earlier);
    for (_, (_, bytes)) in subagents {
        let mut report = ReadReport::default();
        let mut records = 0;
        lines::for_each_record(bytes, &mut report, &mut |text| {
            serde_json::from_str::<serde::de::IgnoredAny>(text)?;
            records += 1;
            Ok(())
        });
        session.subagent_events += records;
        session.read.absorb(report);
    }
    session.finish()
}

fn rows(bytes: &[u8], report: &mut ReadReport) -> Vec<Row> {
    let mut rows = Vec::new();
    lines::for_each_record(bytes, report, &mut |text| {
        rows.push(Row::parse(text)?);
        Ok(())
    });
    rows
}

/// By what the longest of several copies is found: lines first, since redaction changes the bytes.
fn length(bytes: &[u8]) -> (usize, usize) {
    (memchr_iter(b'\n', bytes).count(), bytes.len())
}

#[cfg(test)]
mod tests;
