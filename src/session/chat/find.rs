//! Takes a file; gives the conversations in it: the id of each and where its bytes are.
//!
//! Files of one conversation a line may be far larger than memory, so they are read line by line, and a conversation can be read
//! later without the rest.

use super::{Role, is_message};
use crate::session::ReadReport;
use crate::session::document::{Text, parse};
use crate::session::value::text_of;
use memchr::memmem;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;
use serde_json::value::RawValue;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Cursor, Seek};
use std::ops::Range;
use std::path::Path;

/// One of the conversations in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conversation {
    /// Its own id; a number, which is no name beyond its file, stands behind the file's name: `file:7`. Without one, the file's
    /// name, with the line or the place in the list where there are several.
    pub id: String,
    /// Where in the file it is, in bytes.
    pub span: Range<u64>,
    /// A hash of those bytes, to know copies by.
    pub hash: blake3::Hash,
}

/// The conversations in a file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Found {
    /// In the file's order.
    pub conversations: Vec<Conversation>,
    /// How many lines, or elements of a list, hold none.
    pub others: u64,
}

/// Whether a file that begins with `head` may hold conversations, so that it is worth to be read as a whole.
pub fn may_hold(head: &[u8]) -> bool {
    let has = |key: &str| memmem::find(head, key.as_bytes()).is_some();
    let first = head.trim_ascii_start().first();
    (has("\"messages\"") || first == Some(&b'[')) && has("\"role\"") && (has("\"content\"") || has("\"tool_calls\""))
}

/// Finds the conversations in a file.
///
/// # Errors
/// Fails if the file cannot be read; what is in it makes nothing fail.
pub fn find(path: &Path) -> io::Result<Found> {
    search(BufReader::new(File::open(path)?), path)
}

/// Finds the conversations in the bytes of a file that is named like `path`.
pub fn find_in(bytes: &[u8], path: &Path) -> Found {
    search(Cursor::new(bytes), path).unwrap_or_default()
}

fn search(mut file: impl BufRead + Seek, path: &Path) -> io::Result<Found> {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let mut finding = Finding { stem: name(&stem), found: Found::default(), has_sound_line: false };
    if has_value_in_first_line(&mut file)? {
        finding.lines(&mut file)?;
        let is_document = path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("json"));
        if let [only] = finding.found.conversations.as_mut_slice()
            && is_document
            && only.id == format!("{}:1", finding.stem)
        {
            only.id.clone_from(&finding.stem);
        }
    } else {
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        if finding.document(&bytes).is_none() {
            // The first line may be damaged alone; if not, the document is.
            file.rewind()?;
            finding.lines(&mut file)?;
            if !finding.has_sound_line && finding.found.others > 0 {
                finding.found = Found::default();
                finding.damaged(&bytes, 0, None);
            }
        }
    }
    Ok(finding.found)
}

/// Whether the first line that is not blank holds a whole value, so that others may follow on lines of their own.
fn has_value_in_first_line(file: &mut (impl BufRead + Seek)) -> io::Result<bool> {
    let mut line = Vec::new();
    while line.trim_ascii().is_empty() {
        line.clear();
        if file.read_until(b'\n', &mut line)? == 0 {
            break;
        }
    }
    let (_, padded) = padding(&line);
    let is_value = serde_json::Deserializer::from_slice(&line[padded..])
        .into_iter::<IgnoredAny>()
        .next()
        .is_some_and(|v| v.is_ok());
    file.rewind()?;
    Ok(is_value)
}

/// How many bytes at the beginning are blank, and how many are blank or none of the text's: runs of NUL that an interrupted write
/// left, a byte order mark.
fn padding(bytes: &[u8]) -> (usize, usize) {
    let blank = bytes.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
    let mut padded = blank;
    loop {
        match &bytes[padded..] {
            [0xEF, 0xBB, 0xBF, ..] => padded += 3,
            [byte, ..] if byte.is_ascii_whitespace() || *byte == 0 => padded += 1,
            _ => return (blank, padded),
        }
    }
}

struct Finding {
    stem: String,
    found: Found,
    /// Whether a line holds a conversation that is not damaged.
    has_sound_line: bool,
}

impl Finding {
    fn lines(&mut self, file: &mut impl BufRead) -> io::Result<()> {
        let mut line = Vec::new();
        let mut offset = 0;
        for number in 1u64.. {
            line.clear();
            let length = file.read_until(b'\n', &mut line)?;
            if length == 0 {
                break;
            }
            self.values(&line, offset, number);
            offset += length as u64;
        }
        Ok(())
    }

    /// Takes a line; several values can stand in one that was appended to without a line end.
    fn values(&mut self, line: &[u8], offset: u64, number: u64) {
        let mut at = 0;
        loop {
            let (blank, padded) = padding(&line[at..]);
            let rest = &line[at + padded..];
            if rest.is_empty() {
                return;
            }
            let from = offset + (at + blank) as u64;
            let mut values = serde_json::Deserializer::from_slice(rest).into_iter::<&RawValue>();
            let Some(Ok(value)) = values.next() else { return self.damaged(&line[at + blank..], from, Some(number)) };
            let known = self.found.conversations.len();
            self.value(value.get(), from..offset + (at + padded) as u64, Some(number));
            self.has_sound_line |= self.found.conversations.len() > known;
            at += padded + values.byte_offset();
        }
    }

    /// Takes a file that is one value; none if it is not.
    fn document(&mut self, bytes: &[u8]) -> Option<()> {
        let (blank, padded) = padding(bytes);
        let value = serde_json::Deserializer::from_slice(&bytes[padded..]).into_iter::<&RawValue>().next()?.ok()?;
        self.value(value.get(), blank as u64..padded as u64, None);
        Some(())
    }

    /// Takes a piece of the file that is damaged: what can be read of it is one conversation, if any.
    fn damaged(&mut self, bytes: &[u8], start: u64, line: Option<u64>) {
        let text = Text::of(bytes);
        // A line that begins with a bracket begins a list that stands on many lines.
        let text = if line.is_none() { text.named("messages") } else { text };
        let report = &mut ReadReport::default();
        let document = text.document("messages", report);
        let mut speaks = false;
        document.for_each_message(is_message, report, &mut |text| {
            speaks |= serde_json::from_str::<Message>(text)?.speaks();
            Ok(())
        });
        if !speaks || !document.has_messages {
            self.found.others += 1;
            return;
        }
        let ids: Ids = parse(&document.readable_part()).unwrap_or_default();
        self.conversation(
            start..start + bytes.trim_ascii_end().len() as u64,
            bytes.trim_ascii_end(),
            ids.first(),
            line,
        );
    }

    /// Takes a value that begins at the end of `padding`: a conversation, or a list of them.
    fn value(&mut self, text: &str, padding: Range<u64>, line: Option<u64>) {
        let start = padding.end;
        let span = |start: u64, text: &str| start..start + text.len() as u64;
        if let Some(outline) = outline(text) {
            let span = padding.start..span(start, text).end;
            return self.conversation(span, text.as_bytes(), outline.id, line);
        }
        let elements: Vec<&RawValue> = serde_json::from_str(text).unwrap_or_default();
        if elements.is_empty() {
            self.found.others += 1;
        }
        for (place, element) in (1..).zip(elements) {
            let within = element.get().as_ptr() as usize - text.as_ptr() as usize;
            match outline(element.get()) {
                Some(outline) => {
                    let element = element.get();
                    self.conversation(
                        span(start + within as u64, element),
                        element.as_bytes(),
                        outline.id,
                        Some(place),
                    );
                }
                None => self.found.others += 1,
            }
        }
    }

    fn conversation(&mut self, span: Range<u64>, bytes: &[u8], own: Option<String>, place: Option<u64>) {
        let id = match (own.map(|own| name(&own)), place) {
            (Some(own), _) if own.bytes().all(|b| b.is_ascii_digit()) => format!("{}:{own}", self.stem),
            (Some(own), _) => own,
            (None, Some(place)) => format!("{}:{place}", self.stem),
            (None, None) => self.stem.clone(),
        };
        self.found.conversations.push(Conversation { id, span, hash: blake3::hash(bytes) });
    }
}

/// What is known of a conversation before it is read.
struct Outline {
    id: Option<String>,
}

#[derive(Deserialize)]
struct Message {
    role: String,
    content: Option<IgnoredAny>,
    tool_calls: Option<IgnoredAny>,
}

impl Message {
    /// Whether it is the human's or the agent's, with something in it.
    fn speaks(&self) -> bool {
        matches!(Role::named(&self.role), Some(Role::Human | Role::Agent))
            && (self.content.is_some() || self.tool_calls.is_some())
    }
}

/// Where clients write a conversation's id.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Ids {
    id: Value,
    conversation_id: Value,
    #[serde(rename = "conversationId")]
    conversation: Value,
    session_id: Value,
    #[serde(rename = "sessionId")]
    session: Value,
    chat_id: Value,
    thread_id: Value,
    uuid: Value,
}

impl Ids {
    fn first(self) -> Option<String> {
        let Ids { id, conversation_id, conversation, session_id, session, chat_id, thread_id, uuid } = self;
        let ids = [id, conversation_id, conversation, session_id, session, chat_id, thread_id, uuid];
        ids.iter().find_map(|id| text_of(Some(id)).filter(|id| !id.trim().is_empty()))
    }
}

/// Whether a value is a conversation: every message has a role, and one at least is the human's or the agent's with something in it.
fn outline(text: &str) -> Option<Outline> {
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Marks {
        messages: Vec<Message>,
    }
    let (messages, id) = if text.starts_with('[') {
        (serde_json::from_str(text).ok()?, None)
    } else {
        let Marks { messages } = serde_json::from_str(text).ok()?;
        (messages, parse(text).map_or(None, Ids::first))
    };
    messages.iter().any(Message::speaks).then_some(Outline { id })
}

/// A foreign name as a part of an id: without blanks, and without the mark that parts a unit's ordinal from its session.
fn name(text: &str) -> String {
    text.trim().replace(|c: char| c == '#' || c.is_whitespace() || c.is_control(), "_")
}
