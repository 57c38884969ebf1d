//! Takes the files of a chat, documents or lines; gives what happened in it, each thing once.

use super::history::{History, Step};
use super::{Object, thread};
use crate::session::ReadReport;
use crate::session::copies::{Chosen, Identity, Key, Merged, Piece, merge};
use crate::session::document::{self, Document, End, Text};
use crate::session::lines;
use crate::session::value::{is_id, time_of};
use jiff::Timestamp;
use serde_json::Value;
use std::path::{Path, PathBuf};

/// One chat.
#[derive(Debug)]
pub(super) struct Chat {
    pub path: PathBuf,
    /// Whether another agent wrote what stands in the human's name.
    pub is_subagents: bool,
    /// When it began.
    pub started: Option<Timestamp>,
    pub steps: Vec<Step>,
    pub report: ReadReport,
    is_lines: bool,
}

impl Chat {
    /// Reads a chat that is one document; none if the bytes are lines.
    pub(super) fn from_document(path: &Path, bytes: &[u8]) -> Option<Chat> {
        let text = Text::of(bytes);
        let begins = Document::read(text.get());
        let is_lines = begins.end == End::More && document::parts(text.get()).is_empty();
        if is_lines || !begins.has_messages {
            return None;
        }
        let mut history = History::default();
        let mut report = ReadReport::default();
        for document in text.documents(&mut report) {
            read_document(&document, &mut history, &mut report);
        }
        Some(Chat::new(path, bytes, false, history, report))
    }

    /// Reads a chat of JSON lines.
    pub(super) fn from_lines(pieces: &[Piece]) -> Chat {
        let mut history = History::default();
        let mut report = ReadReport::default();
        for piece in pieces {
            lines::for_each_record(&piece.bytes, &mut report, &mut |line| {
                history.record(&serde_json::from_str(line)?);
                Ok(())
            });
        }
        let largest = pieces.iter().max_by_key(|piece| piece.bytes.len());
        let (path, bytes) = largest.map(|piece| (&*piece.path, &*piece.bytes)).unwrap_or((Path::new(""), &[]));
        Chat::new(path, bytes, true, history, report)
    }

    fn new(path: &Path, bytes: &[u8], is_lines: bool, history: History, mut report: ReadReport) -> Chat {
        let is_subagents = thread(bytes, path).is_some_and(|thread| thread.subagent);
        let History { steps, started, unknown, .. } = history;
        for kind in unknown {
            report.count_unknown(&kind);
        }
        Chat { path: path.to_owned(), is_subagents, started, steps, report, is_lines }
    }

    /// Adds what another copy of the chat has that this one lacks. The longer one's order stands; of equal ones that of the later
    /// format, since the client goes on with that one.
    pub(super) fn unite(&mut self, mut copy: Chat) {
        if (copy.steps.len(), copy.is_lines) > (self.steps.len(), self.is_lines) {
            std::mem::swap(self, &mut copy);
        }
        self.started = self.started.or(copy.started);
        let identities = |steps: &[Step]| steps.iter().map(|step| identity(steps, step)).collect::<Vec<_>>();
        let Merged { chosen, places: [base, others] } = merge(&identities(&self.steps), &identities(&copy.steps));
        let mut steps: Vec<Option<Step>> = std::mem::take(&mut self.steps).into_iter().map(Some).collect();
        let mut copied: Vec<Option<Step>> = copy.steps.into_iter().map(Some).collect();
        for chosen in chosen {
            let (step, places) = match chosen {
                Chosen::Base(at) => (steps[at].take(), &base),
                Chosen::Copy { at, replaces } => {
                    self.report.records += u64::from(replaces.is_none());
                    (copied[at].take(), &others)
                }
            };
            self.steps.extend(step.map(|step| match step {
                Step::Rewind { first } => Step::Rewind { first: places[first] },
                step => step,
            }));
        }
    }
}

/// What tells a step from the others.
fn identity(steps: &[Step], step: &Step) -> Identity {
    match step {
        Step::Message(message) => {
            let key = match message.id.as_deref().filter(|id| is_id(id)) {
                Some(id) => Key::Own(Key::digest(id)),
                None => Key::Shared(Key::digest((format!("{:?}", message.author), message.content.text()))),
            };
            let answered = message.calls.iter().filter(|call| call.response.is_some()).count();
            let facts = message.calls.len() + answered + usize::from(message.tokens.is_some());
            Identity { weight: facts as u64, ..Identity::new(key, message.at) }
        }
        Step::Rewind { first } => {
            let first = match steps.get(*first) {
                Some(Step::Message(message)) => message.id.clone(),
                _ => None,
            };
            Identity::new(Key::Shared(Key::digest(("rewind", first))), None)
        }
        Step::Compaction { at, summary } => Identity::new(Key::Shared(Key::digest(("compaction", summary))), *at),
    }
}

/// Reads a document of a chat; its records are its messages.
fn read_document(document: &Document<'_>, history: &mut History, report: &mut ReadReport) {
    let started = document.field::<Value>("startTime").and_then(|time| time_of(Some(&time)));
    history.started = history.started.or(started);
    document.for_each_message(is_message, report, &mut |message| {
        history.message(&serde_json::from_str(message)?);
        Ok(())
    });
}

/// Whether an object is a message and not a part of one.
fn is_message(text: &str) -> bool {
    serde_json::from_str::<Object>(text)
        .is_ok_and(|object| ["id", "type", "content"].iter().all(|key| object.contains_key(*key)))
}
