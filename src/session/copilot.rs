//! Takes the transcript of GitHub Copilot CLI; gives the session in it.
//!
//! Today that is `<session>/events.jsonl`, rows `{type, data, id, timestamp, parentId}`. Until autumn 2025 it was one document
//! with a `timeline`, the list of what the screen showed.
//!
//! `row` reads a record, `timeline` the old document, as the same rows; `conversation` tells what they say, with `tokens`
//! for the client's account of them.

mod conversation;
mod row;
mod timeline;
mod tokens;

use super::value::text_of;
use super::{Agent, ReadReport, Session, SessionBuilder, lines};
use memchr::memchr_iter;
use row::Row;
use serde_json::{Map, Value};
use std::cmp::Reverse;
use std::collections::HashSet;
use std::path::{Path, PathBuf};

/// Types of rows of which one is enough to know the format.
const ROW_TYPES: &[&str] = &[
    "session.start",
    "session.resume",
    "session.model_change",
    "session.shutdown",
    "user.message",
    "system.message",
    "assistant.turn_start",
    "assistant.message",
    "tool.execution_start",
    "tool.execution_complete",
];

/// The session in a file that begins with `head`, if Copilot CLI wrote it.
pub fn recognise(head: &[u8], path: &Path) -> Option<String> {
    let mut is_transcript = false;
    let mut id = None;
    lines::for_each_record(head, &mut ReadReport::default(), &mut |text| {
        if id.is_none() {
            let record: Map<String, Value> = serde_json::from_str(text)?;
            let kind = record.get("type").and_then(Value::as_str).unwrap_or_default();
            let data = record.get("data").filter(|data| data.is_object());
            if data.is_some() && record.contains_key("parentId") && ROW_TYPES.contains(&kind) {
                is_transcript = true;
            }
            if is_transcript && kind == "session.start" {
                id = data.and_then(|data| text_of(data.get("sessionId"))).filter(|id| !id.is_empty());
            }
        }
        Ok(())
    });
    match id {
        Some(id) => Some(id),
        None if is_transcript => Some(id_from_path(path)),
        None => timeline::session_id(head),
    }
}

/// Reads the session `id` from copies of its transcript, of which the longest is used.
pub fn read(id: &str, files: &[(PathBuf, Vec<u8>)]) -> Session {
    let longest = files.iter().min_by_key(|(path, bytes)| (Reverse(length(bytes)), path));
    let path = longest.map(|(path, _)| path.clone()).unwrap_or_default();
    let mut session = SessionBuilder::new(Agent::Copilot, id, path);
    if let Some((_, bytes)) = longest {
        let mut report = ReadReport::default();
        let rows = match timeline::session_id(bytes) {
            Some(_) => timeline::rows(bytes, &mut report),
            None => rows(bytes, &mut report),
        };
        session.read = report;
        conversation::tell(rows, &mut session);
    }
    session.finish()
}

fn rows(bytes: &[u8], report: &mut ReadReport) -> Vec<Row> {
    let mut rows = Vec::new();
    let mut known = HashSet::new();
    lines::for_each_record(bytes, report, &mut |text| {
        let row = Row::parse(text)?;
        // A row that is written again, byte for byte, is the same row.
        if row.id.is_empty() || row.is_call() || known.insert(blake3::hash(text.as_bytes())) {
            rows.push(row);
        }
        Ok(())
    });
    rows
}

/// An id for a slice without the row that names the session: the folder's name, where the file has the name that all have.
fn id_from_path(path: &Path) -> String {
    let name = match path.file_stem() {
        Some(stem) if stem == "events" => path.parent().and_then(Path::file_name).unwrap_or(stem),
        Some(stem) => stem,
        None => Default::default(),
    };
    name.to_string_lossy().into_owned()
}

/// By what the longest of several copies is found: lines first, since redaction changes the bytes.
fn length(bytes: &[u8]) -> (usize, usize) {
    (memchr_iter(b'\n', bytes).count(), bytes.len())
}

#[cfg(test)]
mod tests;
