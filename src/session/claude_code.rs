//! Reads Claude Code transcripts: JSON lines, one row a content block, with subagents in files of their own.
//!
//! Takes the bytes of a session's files; gives a [`Session`]. The rows' types are in `row`; `text` tells a human's words from what
//! the client put in; `steps` turns rows into what each says on its own, and `assemble` (with `queue` and `result`) into events.

mod assemble;
mod input;
mod queue;
mod result;
mod row;
mod steps;
mod text;

use super::lines::{for_each_record, for_each_record_of};
use super::pull::Pull;
use super::{Agent, ReadError, ReadReport, Session, SessionBuilder};
use row::{Word, flag, present};
use std::cmp::Reverse;
use std::io::Read;
use std::path::{Path, PathBuf};
use steps::Steps;

/// How much of a file's beginning says when it begins.
const HEAD: usize = 256 * 1024;

/// The marks by which a row is known.
#[derive(Debug, Default)]
struct Marks<'a> {
    kind: Word<'a>,
    session: Word<'a>,
    timestamp: Word<'a>,
    sidechain: Option<bool>,
    leaf: bool,
    snapshot: bool,
    operation: bool,
    last_prompt: bool,
    custom_title: bool,
    payload: bool,
}

impl<'a> Marks<'a> {
    fn read(line: &'a str) -> Result<Marks<'a>, serde_json::Error> {
        let mut pull = Pull::new(line);
        let mut marks = Marks::default();
        pull.members(|pull, key| {
            match key {
                "type" => marks.kind = Word::read(pull)?,
                "sessionId" => marks.session = Word::read(pull)?,
                "timestamp" => marks.timestamp = Word::read(pull)?,
                "isSidechain" if pull.peek()? != b'n' => marks.sidechain = Some(flag(pull)?),
                "leafUuid" => marks.leaf = present(pull)?,
                "snapshot" => marks.snapshot = present(pull)?,
                "operation" => marks.operation = present(pull)?,
                "lastPrompt" => marks.last_prompt = present(pull)?,
                "customTitle" => marks.custom_title = present(pull)?,
                "payload" => marks.payload = present(pull)?,
                _ => pull.skip()?,
            }
            Ok(())
        })?;
        pull.end()?;
        Ok(marks)
    }

    /// Whether only Claude Code writes such rows.
    fn are_claude_codes(&self) -> bool {
        if self.payload {
            return false;
        }
        let named = !self.session.get().is_empty();
        match self.kind.get() {
            // Relatives of Claude Code write rows alike but for this mark.
            "user" | "assistant" | "system" | "progress" | "attachment" => named && self.sidechain.is_some(),
            "summary" => self.leaf,
            "file-history-snapshot" => self.snapshot,
            "queue-operation" => self.operation,
            "last-prompt" => self.last_prompt,
            "custom-title" => self.custom_title,
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
        let marks = Marks::read(line)?;
        if marks.are_claude_codes() {
            known = true;
            only_subagents &= marks.sidechain == Some(true);
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

/// An id without the date (`2026-01-21-…`) that some containers put before it.
fn without_date(id: &str) -> &str {
    let dated = id.len() > 11
        && id
            .bytes()
            .zip("0000-00-00-".bytes())
            .all(|(b, mark)| if mark == b'0' { b.is_ascii_digit() } else { b == mark });
    if dated { &id[11..] } else { id }
}

/// Reads one session from all its files: the transcript, copies of it, subagents' files. Rows that stand in several count once.
pub fn read(id: &str, files: &[(PathBuf, Vec<u8>)]) -> Session {
    let mut order: Vec<usize> = (0..files.len()).collect();
    if files.len() > 1 {
        // Pieces of one transcript in their order, and of copies that begin alike the longest first.
        let begins: Vec<String> = files.iter().map(|(_, bytes)| first_time(bytes)).collect();
        order.sort_by_key(|&file| (&begins[file], Reverse(files[file].1.len())));
    }
    let mut steps = Steps::default();
    let mut report = ReadReport::default();
    // The file that shows more than a subagent, or else the largest.
    let mut main: Option<(bool, usize, usize)> = None;
    for file in order {
        let (_, bytes) = &files[file];
        for_each_record(bytes, &mut report, &mut |line| steps.line(line));
        let (rows, subagent_rows) = steps.rows_here;
        // A copy's rows are all known already, so a file is a subagent's only if it shows nothing but subagents.
        let is_main = rows > 0 || subagent_rows == 0;
        if main.is_none_or(|(known_main, length, _)| (is_main, bytes.len()) > (known_main, length)) {
            main = Some((is_main, bytes.len(), file));
        }
        steps.end_file(&mut report);
    }
    let path = main.map(|(_, _, file)| files[file].0.clone()).unwrap_or_default();
    tell(id, path, steps, report)
}

/// Reads one session from its only file, of which no more is in memory than what becomes of it.
///
/// # Errors
/// Those of `rows`, the file at `path`.
pub fn read_file(id: &str, path: &Path, rows: impl Read) -> Result<Session, ReadError> {
    let mut steps = Steps::default();
    let mut report = ReadReport::default();
    for_each_record_of(rows, &mut report, &mut |line| steps.line(line))
        .map_err(|source| ReadError::Io { path: path.to_owned(), source })?;
    steps.end_file(&mut report);
    Ok(tell(id, path.to_owned(), steps, report))
}

fn tell(id: &str, path: PathBuf, steps: Steps, report: ReadReport) -> Session {
    let mut builder = SessionBuilder::new(Agent::ClaudeCode, id, path);
    for model in &steps.models {
        builder.model(model);
    }
    builder.usage = steps.usage();
    builder.subagent_events = steps.subagent_events;
    builder.read = report;
    assemble::assemble(&steps.steps, steps.texts, &mut builder);
    builder.finish()
}

/// The time of a file's first row that has one.
fn first_time(bytes: &[u8]) -> String {
    let head = &bytes[..bytes.len().min(HEAD)];
    let mut first = String::new();
    let mut scratch = ReadReport::default();
    for_each_record(head, &mut scratch, &mut |line| {
        if first.is_empty() {
            let marks = Marks::read(line)?;
            first.push_str(marks.timestamp.get());
        }
        Ok(())
    });
    first
}

#[cfg(test)]
mod tests;
