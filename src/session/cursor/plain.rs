//! Takes Cursor's older transcripts, plain text; gives their messages.
//!
//! Lines `user:` and `assistant:` begin a message; within it `[Thinking]`, `[Tool call] Name` with a line for each argument, and
//! `[Tool result] Name` begin what they name. Nothing is escaped: a human's words are safe between the marks of a query only.

use super::{Record, query};
use crate::session::content::{Call, Part};
use crate::session::input::input;
use crate::session::{ReadReport, ToolOutcome};
use memchr::{memchr, memmem};
use serde_json::{Map, Value};
use std::borrow::Cow;

/// Whether a file that begins with `head` is such a text.
pub(super) fn is_in(head: &[u8]) -> bool {
    let text = String::from_utf8_lossy(head);
    let begins = text.trim_start_matches(['\u{feff}', '\0']).trim_start();
    let Some(rest) = begins.strip_prefix("user:") else { return false };
    let Some(rest) = rest.strip_prefix("\r\n").or_else(|| rest.strip_prefix('\n')) else { return false };
    let first = rest.split("\nassistant:").next().unwrap_or_default();
    query::is_marked(first)
}

/// The messages in a text.
pub(super) fn records(bytes: &[u8], report: &mut ReadReport) -> Vec<Record> {
    let mut reading = Reading::default();
    let mut rest = bytes;
    while !rest.is_empty() {
        let end = memchr(b'\n', rest).unwrap_or(rest.len());
        let line = rest[..end].strip_suffix(b"\r").unwrap_or(&rest[..end]);
        rest = rest.get(end + 1..).unwrap_or_default();
        report.lines += u64::from(!line.trim_ascii().is_empty());
        let text = String::from_utf8_lossy(line);
        // An interrupted write leaves runs of NUL around what follows; within a line they are data.
        let sound = text.trim_start_matches('\u{feff}').trim_matches('\0');
        report.repaired += u64::from(sound.len() < line.len() || matches!(text, Cow::Owned(_)));
        if !sound.is_empty() || line.is_empty() {
            reading.line(sound, rest);
        }
    }
    reading.end_message();
    report.records += reading.records.len() as u64;
    reading.records
}

/// What the lines at hand are.
#[derive(Debug, Default)]
enum Piece {
    #[default]
    Text,
    Thoughts,
    Call(String),
    Result,
}

#[derive(Debug, Default)]
struct Reading {
    records: Vec<Record>,
    /// Whether the message at hand is the agent's; none before the first message.
    is_agents: Option<bool>,
    parts: Vec<Part>,
    piece: Piece,
    lines: Vec<String>,
    within_query: bool,
}

impl Reading {
    /// Takes a line; `rest` is what follows it.
    fn line(&mut self, line: &str, rest: &[u8]) {
        if !self.within_query && (line == "user:" || line == "assistant:") {
            self.end_message();
            self.is_agents = Some(line == "assistant:");
            return;
        }
        if self.is_agents == Some(false) {
            self.within_query = match (line.rfind(query::OPENS), line.rfind(query::CLOSES)) {
                (Some(opens), closes) => closes.is_none_or(|closes| closes < opens) && closes_in(rest),
                (None, Some(_)) => false,
                (None, None) => self.within_query,
            };
        } else if let Some(rest) = line.strip_prefix("[Thinking]") {
            self.begin(Piece::Thoughts, rest);
            return;
        } else if let Some(name) = line.strip_prefix("[Tool call]") {
            self.begin(Piece::Call(name.trim().to_owned()), "");
            return;
        } else if line.starts_with("[Tool result]") {
            self.begin(Piece::Result, "");
            return;
        } else if matches!(self.piece, Piece::Thoughts) && line.trim().is_empty() {
            // Nothing else tells where thoughts end.
            self.begin(Piece::Text, "");
            return;
        }
        self.lines.push(line.to_owned());
    }

    fn begin(&mut self, piece: Piece, line: &str) {
        self.end_piece();
        self.piece = piece;
        if !line.trim().is_empty() {
            self.lines.push(line.trim().to_owned());
        }
    }

    fn end_piece(&mut self) {
        let lines = std::mem::take(&mut self.lines);
        let text = || lines.join("\n").trim().to_owned();
        let part = match std::mem::take(&mut self.piece) {
            Piece::Text => Part::Text(text()),
            Piece::Thoughts => Part::Silent,
            Piece::Call(name) => Part::Call(Call { id: None, name, input: input(Some(&arguments(&lines))) }),
            Piece::Result => Part::Result { id: None, outcome: ToolOutcome::Ok, text: text() },
        };
        self.parts.push(part);
    }

    fn end_message(&mut self) {
        self.end_piece();
        self.within_query = false;
        let parts = std::mem::take(&mut self.parts);
        match self.is_agents {
            Some(true) => self.records.push(Record::Assistant { parts, model: None }),
            Some(false) => self.records.push(Record::User(parts)),
            None => {}
        }
    }
}

/// Whether a query that is open ends in what follows; one that was cut off does not end before the next begins.
fn closes_in(rest: &[u8]) -> bool {
    let next = memmem::find(rest, query::OPENS.as_bytes()).unwrap_or(rest.len());
    memmem::find(&rest[..next], query::CLOSES.as_bytes()).is_some()
}

/// The arguments of a call, indented lines `name: value`; a line of another shape goes on with the value before.
fn arguments(lines: &[String]) -> Value {
    let mut arguments: Vec<(&str, String)> = Vec::new();
    for line in lines {
        let named = line.strip_prefix(' ').and_then(|line| line.trim_start().split_once(':'));
        match named.filter(|(name, _)| !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_'))
        {
            Some((name, value)) => arguments.push((name, value.trim_start().to_owned())),
            None => {
                if let Some((_, value)) = arguments.last_mut() {
                    value.push('\n');
                    value.push_str(line);
                }
            }
        }
    }
    let arguments: Map<String, Value> =
        arguments.into_iter().map(|(name, value)| (name.to_owned(), value.trim_end().into())).collect();
    Value::Object(arguments)
}
