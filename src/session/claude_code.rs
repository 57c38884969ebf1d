//! Reads Claude Code transcripts: JSON lines, one row a content block, with subagents in files of their own.
//!
//! Takes a session's files; gives a [`Session`]. The rows' types are in `row`, what tells rows apart in `identity`; `text` tells a human's words from what
//! the client put in; `steps` turns rows into what each says on its own, and `assemble` (with `queue` and `result`) into events.

mod assemble;
mod identity;
pub(super) mod input;
pub(super) mod queue;
pub(super) mod result;
mod row;
mod steps;
pub(super) mod text;

use super::copies::{self, Stored};
use super::entire::without_date;
use super::lines::for_each_record;
use super::{Agent, ReadError, ReadReport, Session, SessionBuilder};
use row::{Flag, Present, Word};
use serde::Deserialize;
use std::path::Path;
use steps::Steps;

/// How much of a file's beginning says whose work it shows.
const HEAD: usize = 256 * 1024;

/// The marks by which a row is known.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Marks<'a> {
    #[serde(rename = "type", borrow)]
    kind: Word<'a>,
    #[serde(rename = "sessionId", borrow)]
    session: Word<'a>,
    #[serde(rename = "isSidechain")]
    sidechain: Option<Flag>,
    #[serde(rename = "leafUuid")]
    leaf: Present,
    snapshot: Present,
    operation: Present,
    #[serde(rename = "lastPrompt")]
    last_prompt: Present,
    #[serde(rename = "customTitle")]
    custom_title: Present,
    payload: Present,
}

impl Marks<'_> {
    /// Whether only Claude Code writes such rows.
    fn are_claude_codes(&self) -> bool {
        if self.payload.0 {
            return false;
        }
        let named = !self.session.get().is_empty();
        match self.kind.get() {
            // Relatives of Claude Code write rows alike but for this mark.
            "user" | "assistant" | "system" | "progress" | "attachment" => named && self.sidechain.is_some(),
            "summary" => self.leaf.0,
            "file-history-snapshot" => self.snapshot.0,
            "queue-operation" => self.operation.0,
            "last-prompt" => self.last_prompt.0,
            "custom-title" => self.custom_title.0,
            "mode" | "permission-mode" | "agent-name" | "pr-link" => named,
            _ => false,
        }
    }
}

/// The session that a transcript belongs to, if `head` (the beginning of a file, perhaps cut within a line) is a Claude Code
/// transcript: the file's name where rows carry it as their session, else the first session that they name. A subagent's file
/// belongs to the session that started it.
pub fn recognise(head: &[u8], path: &Path) -> Option<String> {
    let stem = path.file_stem().and_then(|stem| stem.to_str()).map(without_date).unwrap_or_default();
    let mut known = false;
    let mut first: Option<String> = None;
    let mut named = false;
    let mut only_subagents = true;
    let mut scratch = ReadReport::default();
    for_each_record(head, &mut scratch, &mut |line| {
        if named {
            return Ok(());
        }
        let marks: Marks<'_> = serde_json::from_str(line)?;
        if marks.are_claude_codes() {
            known = true;
            only_subagents &= marks.sidechain.is_some_and(|flag| flag.0);
            if let Some(session) = marks.session.some().map(without_date) {
                named = session == stem;
                first.get_or_insert_with(|| session.to_owned());
            }
        }
        Ok(())
    });
    if first.is_none() {
        first = head.split(|&byte| byte == b'\n').find_map(cut_row);
        known |= first.is_some();
    }
    match first {
        _ if !known => None,
        // Some subagents name themselves as their session.
        Some(own) if only_subagents && own.starts_with("agent-") => Some(parent_session(path).unwrap_or(own)),
        Some(_) if named => Some(stem.to_owned()),
        Some(session) => Some(session),
        None => Some(stem.to_owned()),
    }
}

/// The session in whose folder a subagent's file lies: `<session>/subagents/…`.
fn parent_session(path: &Path) -> Option<String> {
    let folder = path.ancestors().find(|folder| folder.ends_with("subagents"))?;
    folder.parent()?.file_name()?.to_str().map(|name| without_date(name).to_owned())
}

/// The session of a row so long that the head does not hold all of it (a pasted image): its envelope stands before its message.
fn cut_row(line: &[u8]) -> Option<String> {
    let line = String::from_utf8_lossy(line);
    let envelope = line.split_once("\"message\":").map_or(&*line, |(envelope, _)| envelope);
    let is_row = ["\"parentUuid\":", "\"isSidechain\":", "\"userType\":"].iter().all(|mark| envelope.contains(mark));
    let (_, after) = envelope.split_once("\"sessionId\":\"").filter(|_| is_row)?;
    let (session, _) = after.split_once('"')?;
    (!session.is_empty()).then(|| without_date(session).to_owned())
}

/// Reads one session from all its files: copies and pieces of the transcript, and the same of its subagents' transcripts. Rows that
/// stand in several count once.
///
/// # Errors
/// A file that cannot be read.
pub fn read<S: Stored>(id: &str, copies: &[S]) -> Result<Session, ReadError> {
    let mut threads = copies::unite(copies, identity::identify, |path, bytes| Some(subagent(path, bytes)))?;
    threads.sort_by_key(|(subagent, _)| subagent.is_some());
    let largest = threads.first().and_then(|(_, pieces)| pieces.iter().max_by_key(|piece| piece.bytes.len()));
    let mut builder =
        SessionBuilder::new(Agent::ClaudeCode, id, largest.map(|piece| piece.path.clone()).unwrap_or_default());
    let mut steps = Steps::default();
    let mut report = ReadReport::default();
    for (_, pieces) in threads {
        for piece in pieces {
            for_each_record(&piece.bytes, &mut report, &mut |line| steps.line(line));
        }
    }
    for kind in &steps.unknown {
        report.count_unknown(kind);
    }
    for model in &steps.models {
        builder.model(model);
    }
    builder.usage = steps.usage();
    builder.subagent_events = steps.subagent_events;
    builder.read = report;
    assemble::assemble(&steps.steps, &mut builder);
    Ok(builder.finish())
}

/// The name of a file that shows nothing but a subagent's work; none of any other file.
fn subagent(path: &Path, bytes: &[u8]) -> Option<String> {
    let mut subagents_only = None;
    let mut scratch = ReadReport::default();
    for_each_record(&bytes[..bytes.len().min(HEAD)], &mut scratch, &mut |line| {
        if subagents_only != Some(false) {
            let Marks { sidechain, .. } = serde_json::from_str(line)?;
            subagents_only = sidechain.map(|flag| flag.0).or(subagents_only);
        }
        Ok(())
    });
    let name = path.file_stem().unwrap_or_default().to_string_lossy();
    (subagents_only == Some(true)).then(|| name.into_owned())
}

#[cfg(test)]
mod tests;
