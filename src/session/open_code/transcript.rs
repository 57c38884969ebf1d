//! Takes files of OpenCode (exported documents, files of the storage folder); gives the transcripts in them.

use super::record::{Facts, Info, Part};
use super::storage::{self, Holds, Piece};
use crate::session::ReadReport;
use crate::session::copies::{self, Identity, Key};
use crate::session::document::{self, Document, End};
use crate::session::value::is_id;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;
use serde_json::{Map, Value};
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
    parts: Option<Box<RawValue>>,
}

/// Whether an object is a message and not a part of one.
fn is_message(text: &str) -> bool {
    #[derive(Deserialize)]
    struct Marks {
        info: Option<Map<String, Value>>,
        parts: Option<IgnoredAny>,
    }
    serde_json::from_str::<Marks>(text).is_ok_and(|marks| marks.info.is_some() && marks.parts.is_some())
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
    pub(super) fn from_export(path: PathBuf, text: &document::Text<'_>) -> Option<Transcript> {
        if !Document::read(text.get()).has_messages {
            return None;
        }
        let mut report = ReadReport::default();
        let documents = text.documents(&mut report);
        // What follows the documents is nothing that a client writes.
        report.bad += u64::from(documents.len() == 1 && documents[0].end == End::More);
        let facts: Facts = documents[0].field("info").unwrap_or_default();
        let id = facts.id().unwrap_or_default();
        let mut transcript =
            Transcript { path, id, facts, report: ReadReport::default(), messages: Vec::new(), has_lines: true };
        let mut places = HashMap::new();
        for document in &documents {
            document.for_each_message(is_message, &mut report, &mut |message| {
                transcript.add_exported(serde_json::from_str(message)?, &mut places)
            });
        }
        transcript.report.absorb(report);
        if transcript.id.is_empty() {
            transcript.id = transcript.messages.iter().find_map(|message| message.info.session()).unwrap_or_default();
        }
        Some(transcript)
    }

    /// Adds a message, or puts it at its place among `places` if it is known; fails, without effect, where it cannot be parsed.
    fn add_exported(
        &mut self,
        exported: Exported,
        places: &mut HashMap<String, usize>,
    ) -> Result<(), serde_json::Error> {
        let info = exported.info.as_ref().map_or("null", |info| info.get());
        let info: Info = serde_json::from_str(info)?;
        let mut message = Message { id: info.id().unwrap_or_default(), info, parts: Vec::new() };
        let parts: Option<Vec<Box<RawValue>>> =
            exported.parts.and_then(|parts| document::parse_counted(parts.get(), &mut self.report));
        for part in parts.unwrap_or_default() {
            message.parts.extend(document::parse_counted::<Part>(part.get(), &mut self.report));
        }
        self.report.records += message.parts.len() as u64;
        let place = self.messages.len();
        match places.get(&message.id).filter(|_| is_id(&message.id)).map(|&known| &mut self.messages[known]) {
            // Written twice; the copy that holds more is the later one.
            Some(known) if known.parts.len() < message.parts.len() => *known = message,
            Some(_) => {}
            None => {
                places.insert(message.id.clone(), place);
                self.messages.push(message);
            }
        }
        Ok(())
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
        let mut parts: Vec<(String, Part, ReadReport)> = Vec::new();
        let mut messages = Vec::new();
        let mut known = HashSet::new();
        for (path, Piece { holds, report }) in files {
            match holds {
                Holds::Session(facts) => {
                    let id = facts.id().unwrap_or_default();
                    places.entry(id.clone()).or_insert_with(|| {
                        transcripts.push(Transcript {
                            path: path.clone(),
                            id,
                            facts: *facts,
                            report,
                            ..Transcript::default()
                        });
                        transcripts.len() - 1
                    });
                }
                Holds::Message(info) => messages.push((path, info, report)),
                Holds::Part(part) => {
                    let message = part.message().or_else(|| storage::folder_name(&path)).unwrap_or_default();
                    // Folders, too, are copied; then a part comes again under its name.
                    if known.insert((message.clone(), path.file_stem().map(OsStr::to_owned))) {
                        parts.push((message, *part, report));
                    }
                }
            }
        }
        let mut by_id: HashMap<String, (usize, usize)> = HashMap::new();
        for (path, info, report) in messages {
            let session = info.session().or_else(|| storage::folder_name(&path)).unwrap_or_default();
            let place = *places.entry(session.clone()).or_insert_with(|| {
                transcripts.push(Transcript { path: path.clone(), id: session.clone(), ..Transcript::default() });
                transcripts.len() - 1
            });
            let stem = || path.file_stem().and_then(|stem| stem.to_str()).map(str::to_owned);
            let id = info.id().or_else(stem).unwrap_or_default();
            if by_id.contains_key(&id) && is_id(&id) {
                continue;
            }
            let transcript = &mut transcripts[place];
            transcript.report.absorb(report);
            by_id.entry(id.clone()).or_insert((place, transcript.messages.len()));
            transcript.messages.push(Message { id, info: *info, parts: Vec::new() });
        }
        for (message, part, report) in parts {
            if let Some(&(place, at)) = by_id.get(&message) {
                transcripts[place].messages[at].parts.push(part);
                transcripts[place].report.absorb(report);
            } else if let Some(transcript) = transcripts.first_mut() {
                // Its message cannot be read.
                transcript.report.bad += 1;
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
