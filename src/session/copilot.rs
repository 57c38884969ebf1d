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

use super::copies::{self, Stored};
use super::value::text_of;
use super::{Agent, ReadError, ReadReport, Session, SessionBuilder, lines};
use row::Row;
use serde_json::{Map, Value};
use std::collections::HashSet;
use std::path::{Path, PathBuf};
use timeline::Timeline;

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

/// Reads the session `id` from copies of its transcript.
///
/// # Errors
/// A file that cannot be read.
pub fn read<S: Stored>(id: &str, copies: &[S]) -> Result<Session, ReadError> {
    let mut timeline: Option<Timeline> = None;
    let threads = copies::unite(copies, row::identify, |path, bytes| {
        if timeline::session_id(bytes).is_none() {
            return Some(());
        }
        let copy = Timeline::read(path, bytes);
        match &mut timeline {
            Some(known) => known.unite(copy),
            None => timeline = Some(copy),
        }
        None
    })?;
    let mut report = ReadReport::default();
    let mut rows = Vec::new();
    let mut path = PathBuf::new();
    let mut known = HashSet::new();
    if let Some((_, pieces)) = threads.into_iter().next() {
        path = pieces.iter().max_by_key(|piece| piece.bytes.len()).map(|piece| piece.path.clone()).unwrap_or_default();
        for piece in pieces {
            lines::for_each_record(&piece.bytes, &mut report, &mut |text| {
                let row = Row::parse(text)?;
                // A row that is written again, byte for byte, is the same row.
                if row.id.is_empty() || row.is_call() || known.insert(blake3::hash(text.as_bytes())) {
                    rows.push(row);
                }
                Ok(())
            });
        }
    } else if let Some(timeline) = timeline {
        (path, report) = (timeline.path.clone(), timeline.report.clone());
        rows = timeline.into_rows();
    }
    let mut session = SessionBuilder::new(Agent::Copilot, id, path);
    session.read = report;
    conversation::tell(rows, &mut session);
    Ok(session.finish())
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

#[cfg(test)]
mod tests;
