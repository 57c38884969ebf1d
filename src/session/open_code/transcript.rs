//! Takes files of OpenCode (exported documents, files of the storage folder); gives the transcripts in them.

use super::record::{Facts, Info, Part};
use super::storage::{self, Piece};
use crate::session::ReadReport;
use crate::session::copies::{self, Identity, Key};
use crate::session::document::{self, Document, End};
use crate::session::lines::mend;
use crate::session::value::is_id;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::collections::{HashMap, HashSet};
use std::ffi::OsStr;
use std::path::PathBuf;

/// One session as it is stored, wherever that is.
#[derive(Debug, Default)]
pub(super) struct Transcript {
    pub path: PathBuf,
    pub id: String,
    pub facts: Facts,
    pub messages: Vec<Message>,
    pub report: ReadReport,
    /// Whether it is a document, which has lines.
    pub has_lines: bool,
}

/// A message with its parts, in order.
#[derive(Debug, Default)]
pub(super) struct Message {
    pub id: String,
    pub info: Info,
    pub parts: Vec<Part>,
}

/// A message of an exported document.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Exported {
    info: Option<Box<RawValue>>,
    parts: Option<Vec<Box<RawValue>>>,
}

impl Message {
    /// What tells it from the others of its session; it is written again whenever it knows more.
    fn identity(&self) -> Identity {
        let at = self.info.created();
        let key = match is_id(&self.id) {
            true => Key::Own(Key::digest(&self.id)),
            false => Key::Shared(Key::digest((self.info.role(), at.map(|at| at.as_millisecond())))),
        };
        let has_ended = self.info.completed().is_some() || self.info.error().is_some();
        let states = self.parts.iter().filter_map(|part| part.state.as_ref());
        let done = states.filter(|state| matches!(state.status().as_str(), "completed" | "error")).count();
        let weight = (self.parts.len() + done) as u64 + u64::from(has_ended);
        Identity { weight, ..Identity::new(key, at) }
    }
}

impl Transcript {
    /// Reads an exported document; none if the text is something else.
    pub(super) fn from_export(path: PathBuf, text: &str) -> Option<Transcript> {
        let mended;
        let mut document = Document::read(text);
        if !document.has_messages {
            return None;
        }
        let lines = text.lines().filter(|line| !line.trim().is_empty()).count() as u64;
        let mut report = ReadReport { lines, ..ReadReport::default() };
        if document.end == End::Broken {
            mended = mend(text);
            document = Document::read(&mended);
            match document.end {
                End::Broken => report.bad += 1,
                _ => report.repaired += 1,
            }
        }
        let facts: Facts = document.field("info").unwrap_or_default();
        let mut transcript = Transcript {
            path,
            id: facts.id().unwrap_or_default(),
            facts,
            report,
            messages: Vec::new(),
            has_lines: true,
        };
        let parts = if document.end == End::More { document::parts(text) } else { Vec::new() };
        let others = parts.iter().skip(1).map(|part| Document::read(part));
        for document in std::iter::once(document).chain(others) {
            transcript.report.bad += u64::from(!parts.is_empty() && document.end == End::Broken);
            for message in &document.messages {
                match document::parse::<Exported>(message.get()) {
                    Ok(exported) => transcript.add_exported(exported),
                    Err(_) => transcript.report.bad += 1,
                }
            }
        }
        if transcript.id.is_empty() {
            transcript.id = transcript.messages.iter().find_map(|message| message.info.session()).unwrap_or_default();
        }
        Some(transcript)
    }

    fn add_exported(&mut self, exported: Exported) {
        let Some(info) = exported.info.and_then(|info| document::parse::<Info>(info.get()).ok()) else {
            self.report.bad += 1;
            return;
        };
        self.report.records += 1;
        let mut message = Message { id: info.id().unwrap_or_default(), info, parts: Vec::new() };
        for part in exported.parts.unwrap_or_default() {
            match document::parse(part.get()) {
                Ok(part) => {
                    self.report.records += 1;
                    message.parts.push(part);
                }
                Err(_) => self.report.bad += 1,
            }
        }
        self.messages.push(message);
    }

    /// Adds what a copy of the transcript has that this one lacks: the longer one's order stands, of each message the version that
    /// tells more.
    pub(super) fn unite(&mut self, mut copy: Transcript) {
        if copy.messages.len() > self.messages.len() {
            std::mem::swap(self, &mut copy);
        }
        if self.facts.id().is_none() {
            self.facts = copy.facts;
        }
        let records = self.records();
        self.messages = copies::unite_lists(std::mem::take(&mut self.messages), copy.messages, Message::identity);
        let added = self.records().saturating_sub(records);
        self.report.records += added;
        self.report.lines += if self.has_lines { 0 } else { added };
    }

    /// Reads files of storage folders, in path order: every session whose facts or messages are among them.
    pub(super) fn from_storage(files: Vec<(PathBuf, Piece)>) -> Vec<Transcript> {
        let mut transcripts: Vec<Transcript> = Vec::new();
        let mut places: HashMap<String, usize> = HashMap::new();
        let mut parts: Vec<(String, Part)> = Vec::new();
        let mut messages = Vec::new();
        let mut known = HashSet::new();
        for (path, piece) in files {
            match piece {
                Piece::Session(facts) => {
                    let id = facts.id().unwrap_or_default();
                    places.entry(id.clone()).or_insert_with(|| {
                        transcripts.push(Transcript { path: path.clone(), id, facts: *facts, ..Transcript::default() });
                        transcripts.len() - 1
                    });
                }
                Piece::Message(info) => messages.push((path, info)),
                Piece::Part(part) => {
                    let message = part.message().or_else(|| storage::folder_name(&path)).unwrap_or_default();
                    // Folders, too, are copied; then a part comes again under its name.
                    if known.insert((message.clone(), path.file_stem().map(OsStr::to_owned))) {
                        parts.push((message, *part));
                    }
                }
            }
        }
        let mut by_id: HashMap<String, (usize, usize)> = HashMap::new();
        for (path, info) in messages {
            let session = info.session().or_else(|| storage::folder_name(&path)).unwrap_or_default();
            let place = *places.entry(session.clone()).or_insert_with(|| {
                transcripts.push(Transcript { path: path.clone(), id: session, ..Transcript::default() });
                transcripts.len() - 1
            });
            let id = info.id().unwrap_or_default();
            if by_id.contains_key(&id) && is_id(&id) {
                continue;
            }
            let transcript = &mut transcripts[place];
            by_id.entry(id.clone()).or_insert((place, transcript.messages.len()));
            transcript.messages.push(Message { id, info: *info, parts: Vec::new() });
        }
        for (message, part) in parts {
            if let Some(&(place, at)) = by_id.get(&message) {
                transcripts[place].messages[at].parts.push(part);
            }
        }
        for transcript in &mut transcripts {
            transcript.messages.sort_by_key(|message| message.info.created());
            transcript.count();
        }
        transcripts
    }

    /// Counts the records of a transcript that has no lines: every record stands for one.
    pub(super) fn count(&mut self) {
        self.report.records = self.records();
        self.report.lines = self.report.records + self.report.bad;
    }

    fn records(&self) -> u64 {
        self.messages.iter().map(|message| 1 + message.parts.len() as u64).sum()
    }
}
