//! Takes the one document that Copilot CLI wrote until autumn 2025; gives the rows that would say the same today.
//!
//! Its `timeline` lists what the screen showed: what the human typed, the agent's words, each call together with its result.

use super::row::{Author, Body, Row, call};
use crate::session::copies::{self, Identity, Key};
use crate::session::document::{self, End, Text};
use crate::session::value::{flat_text, is_id, text_of, time_of};
use crate::session::{Channel, ReadReport, ToolOutcome};
use jiff::Timestamp;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::{Map, Value};
use std::path::{Path, PathBuf};

/// How far the keys are looked for that a document begins with, in bytes.
const OPENING: usize = 1024;

/// The session that a document names, if `head` is one or begins like one.
pub(super) fn session_id(head: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    struct Marks {
        #[serde(rename = "sessionId")]
        session: String,
        #[serde(rename = "startTime")]
        _start: IgnoredAny,
        #[serde(rename = "timeline")]
        _timeline: Vec<IgnoredAny>,
    }
    let opening = document::text(&head[..head.len().min(OPENING)]);
    let opening = opening.trim_start();
    let (before, after) = opening.strip_prefix('{')?.split_once("\"sessionId\"").unwrap_or(("", ""));
    let begins_alike =
        before.trim().is_empty() && after.contains("\"startTime\"") && after.contains("\"chatMessages\"");
    if begins_alike {
        let (_, value) = after.split_once('"')?;
        let (id, _) = value.split_once('"')?;
        return (!id.is_empty()).then(|| id.to_owned());
    }
    // Another order of the keys: the document has to be whole.
    let marks: Marks = document::parse(&document::text(head)).ok()?;
    (!marks.session.is_empty()).then_some(marks.session)
}

/// What a document says.
#[derive(Debug)]
pub(super) struct Timeline {
    pub path: PathBuf,
    pub report: ReadReport,
    /// What each entry is, and what it says.
    entries: Vec<(Identity, Vec<Row>)>,
    started: Option<Row>,
}

impl Timeline {
    /// Reads the document at `path`.
    pub(super) fn read(path: &Path, bytes: &[u8]) -> Timeline {
        let mut report = ReadReport::default();
        let mut entries = Vec::new();
        let text = Text::of(bytes);
        let document = text.document("timeline", &mut report);
        let start: Option<Value> = document.field("startTime");
        let started = Some(row(time_of(start.as_ref()), Body::Settings { model: None }));
        document.for_each_message(is_entry, &mut report, &mut |text| {
            let listed = serde_json::from_str(text)?;
            entries.push((identity(&listed), entry(&listed)));
            Ok(())
        });
        // What follows the document is nothing that a client writes.
        report.bad += u64::from(document.end == End::More);
        Timeline { path: path.to_owned(), report, entries, started }
    }

    /// Adds what a copy of the document has that this one lacks.
    pub(super) fn unite(&mut self, copy: Timeline) {
        self.entries = copies::unite_lists(std::mem::take(&mut self.entries), copy.entries, |(identity, _)| *identity);
        self.started = self.started.take().or(copy.started);
    }

    /// The rows that would say the same today.
    pub(super) fn into_rows(self) -> Vec<Row> {
        self.started.into_iter().chain(self.entries.into_iter().flat_map(|(_, rows)| rows)).collect()
    }
}

/// What tells an entry from the others. A call's entry is written again when the call has ended.
fn identity(entry: &Map<String, Value>) -> Identity {
    let kind = text_of(entry.get("type"));
    let key = match text_of(entry.get("id")).filter(|id| is_id(id)) {
        Some(id) => Key::Own(Key::digest(id)),
        None => Key::Shared(Key::digest((&kind, text_of(entry.get("timestamp")), entry.get("text").map(flat_text)))),
    };
    let weight = u64::from(kind.as_deref() == Some("tool_call_completed"));
    Identity { weight, ..Identity::new(key, time_of(entry.get("timestamp"))) }
}

/// Whether an object is an entry of the timeline and not a part of one.
fn is_entry(text: &str) -> bool {
    serde_json::from_str::<Map<String, Value>>(text)
        .is_ok_and(|object| object.contains_key("type") && object.contains_key("timestamp"))
}

fn row(at: Option<Timestamp>, body: Body) -> Row {
    Row { at, id: String::new(), subagent: false, body }
}

/// What an entry says; a call together with its result says two things.
fn entry(entry: &Map<String, Value>) -> Vec<Row> {
    let at = time_of(entry.get("timestamp"));
    let text = || entry.get("text").map(flat_text).unwrap_or_default();
    let kind = entry.get("type").and_then(Value::as_str).unwrap_or("without a type");
    let body = match kind {
        "user" => Body::User { text: text(), images: 0, author: Author::Human, channel: Channel::Typed, task: None },
        "copilot" => Body::Message { id: None, text: text(), model: None, output: 0, calls: Vec::new() },
        "error" => Body::Error { text: text() },
        "tool_call_requested" => Body::Started { call: call(entry), model: None },
        "tool_call_completed" => {
            let call = call(entry);
            let ended = ended(call.id.clone(), entry.get("result"));
            return vec![row(at, Body::Started { call, model: None }), row(at, ended)];
        }
        "info" | "warning" => Body::Silent,
        _ => Body::Unknown(format!("timeline.{kind}")),
    };
    vec![row(at, body)]
}

fn ended(id: Option<String>, result: Option<&Value>) -> Body {
    let kind = result.and_then(|result| text_of(result.get("type"))).unwrap_or_default();
    let outcome = match kind.as_str() {
        "success" | "" => ToolOutcome::Ok,
        "rejected" => ToolOutcome::Rejected,
        _ => ToolOutcome::Failed,
    };
    let log = result.and_then(|result| result.get("log").or_else(|| result.get("content")));
    Body::Ended { id, outcome, text: log.map(flat_text).unwrap_or_default() }
}
