//! Takes a file of OpenCode's storage folder; gives what it holds, and for a session's facts where the rest of it lies.
//!
//! `session/<project>/<session>.json`, `message/<session>/<message>.json`, `part/<message>/<part>.json`; earlier
//! `session/info/<session>.json`, `session/message/<session>/<message>.json`, `session/part/<session>/<message>/<part>.json`.

use super::record::{Facts, Info, Part};
use crate::session::ReadReport;
use crate::session::document::{self, Document, End};
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

/// A file of a storage folder.
#[derive(Debug)]
pub(super) struct Piece {
    pub holds: Holds,
    /// Whether it was damaged.
    pub report: ReadReport,
}

/// What a file holds.
#[derive(Debug)]
pub(super) enum Holds {
    Session(Box<Facts>),
    Message(Box<Info>),
    Part(Box<Part>),
}

/// Parts without a mark of their own are known by their type and by the folder they lie in.
const PART_TYPES: &[&str] = &[
    "text",
    "reasoning",
    "tool",
    "file",
    "step-start",
    "step-finish",
    "patch",
    "snapshot",
    "agent",
    "subtask",
    "compaction",
    "retry",
];

/// How much of a message is read to find out its id, in bytes.
const HEAD_BYTES: u64 = 64 * 1024;

/// What a file with `text` holds; none if it is not of a storage folder. One that is cut off is known by what stands before the cut,
/// and holds as much.
pub(super) fn piece(text: &document::Text<'_>, path: &Path) -> Option<Piece> {
    let mut report = ReadReport::default();
    let begins = text.document("messages", &mut report);
    if begins.has_messages {
        return None;
    }
    report.bad += u64::from(begins.end != End::Whole);
    let readable = begins.readable_part();
    let word = |key| begins.field::<String>(key);
    let is_message = matches!(word("role").as_deref(), Some("user" | "assistant"));
    let holds = if is_message && begins.has("id") && begins.has("sessionID") {
        Holds::Message(document::parse_counted(&readable, &mut report).unwrap_or_default())
    } else if let Some(kind) = word("type").filter(|_| begins.has("id")) {
        let marked = begins.has("messageID") && !begins.has("timestamp");
        let placed = PART_TYPES.contains(&kind.as_str())
            && path.ancestors().skip(1).take(4).any(|folder| folder.ends_with("part"));
        if !marked && !placed {
            return None;
        }
        Holds::Part(document::parse_counted(&readable, &mut report).unwrap_or_default())
    } else {
        let facts: Facts = document::parse_counted(&readable, &mut report)?;
        if !facts.are_open_codes() {
            return None;
        }
        Holds::Session(Box::new(facts))
    };
    Some(Piece { holds, report })
}

/// The name of the folder that a file lies in.
pub(super) fn folder_name(path: &Path) -> Option<String> {
    path.parent()?.file_name()?.to_str().map(str::to_owned)
}

/// The files with the messages and parts of the session `id`, whose facts lie at `path`.
pub(super) fn files(id: &str, path: &Path) -> Vec<PathBuf> {
    let Some(root) = root(path) else { return Vec::new() };
    let mut files = Vec::new();
    let parts = root.join("part");
    // Only the samples of some tools have parts side by side in one folder.
    let mut beside: Vec<(PathBuf, String)> = Vec::new();
    for part in json_files(&parts) {
        let head = head(&part);
        if let Some(Piece { holds: Holds::Part(known), .. }) = piece(&document::Text::of(&head), &part)
            && let Some(message) = known.message()
        {
            beside.push((part, message));
        }
    }
    for message in json_files(&root.join("message").join(id)) {
        let stem = message.file_stem().and_then(|stem| stem.to_str()).map(str::to_owned);
        let named = Document::read(&document::text(&head(&message))).field::<String>("id");
        let mut ids: Vec<String> = stem.into_iter().chain(named).collect();
        ids.dedup();
        for message in &ids {
            files.extend(json_files(&parts.join(message)));
            files.extend(json_files(&parts.join(id).join(message)));
            files.extend(beside.iter().filter(|(_, of)| of == message).map(|(part, _)| part.clone()));
        }
        files.push(message);
    }
    files
}

/// The folder that holds `message` and `part`.
fn root(path: &Path) -> Option<&Path> {
    let folder = path.parent()?;
    let sessions = folder.parent()?;
    if folder.ends_with("info") && sessions.join("message").is_dir() { Some(sessions) } else { sessions.parent() }
}

/// The JSON files in a folder, by name; none where there is no such folder.
fn json_files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut files: Vec<PathBuf> = entries
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_file()))
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "json"))
        .collect();
    files.sort();
    files
}

/// How a file begins; nothing where it cannot be read: it is read again for its content, and then it is an error with its path.
fn head(path: &Path) -> Vec<u8> {
    let mut head = Vec::new();
    let read = File::open(path).and_then(|file| file.take(HEAD_BYTES).read_to_end(&mut head));
    if read.is_err() {
        head.clear();
    }
    head
}
