//! Takes a file; gives the conversations in it: the id of each and where its bytes are.
//!
//! Files of one conversation a line may be far larger than memory, so they are read line by line, and a conversation can be read
//! later without the rest.

use super::Role;
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
    let mut finding = Finding { stem: name(&stem), found: Found::default() };
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
        file.rewind()?;
        file.read_to_end(&mut bytes)?;
        finding.document(&bytes);
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
    let (line, _) = without_mark(&line);
    let is_value =
        serde_json::Deserializer::from_slice(line).into_iter::<IgnoredAny>().next().is_some_and(|v| v.is_ok());
    file.rewind()?;
    Ok(is_value)
}

/// Bytes without a byte order mark, and how many bytes that took off.
fn without_mark(bytes: &[u8]) -> (&[u8], u64) {
    bytes.strip_prefix(b"\xEF\xBB\xBF").map_or((bytes, 0), |rest| (rest, 3))
}

struct Finding {
    stem: String,
    found: Found,
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
            let (text, mark) = without_mark(&line);
            if !text.trim_ascii().is_empty() {
                self.values(text, offset + mark, number);
            }
            offset += length as u64;
        }
        Ok(())
    }

    /// Takes a line; several values can stand in one that was appended to without a line end.
    fn values(&mut self, line: &[u8], offset: u64, number: u64) {
        let mut values = serde_json::Deserializer::from_slice(line).into_iter::<&RawValue>();
        while let Some(value) = values.next() {
            let Ok(value) = value else {
                self.found.others += 1;
                break;
            };
            let start = offset + (values.byte_offset() - value.get().len()) as u64;
            self.value(value.get(), start, Some(number));
        }
    }

    fn document(&mut self, bytes: &[u8]) {
        let (text, mark) = without_mark(bytes);
        let mut values = serde_json::Deserializer::from_slice(text).into_iter::<&RawValue>();
        if let Some(Ok(value)) = values.next() {
            let start = mark + (values.byte_offset() - value.get().len()) as u64;
            self.value(value.get(), start, None);
        }
    }

    /// Takes a value that begins at `start`: a conversation, or a list of them.
    fn value(&mut self, text: &str, start: u64, line: Option<u64>) {
        if let Some(outline) = outline(text) {
            return self.conversation(text, start, outline.id, line);
        }
        let elements: Vec<&RawValue> = serde_json::from_str(text).unwrap_or_default();
        if elements.is_empty() {
            self.found.others += 1;
        }
        for (place, element) in (1..).zip(elements) {
            let within = element.get().as_ptr() as usize - text.as_ptr() as usize;
            match outline(element.get()) {
                Some(outline) => self.conversation(element.get(), start + within as u64, outline.id, Some(place)),
                None => self.found.others += 1,
            }
        }
    }

    fn conversation(&mut self, text: &str, start: u64, own: Option<String>, place: Option<u64>) {
        let id = match (own.map(|own| name(&own)), place) {
            (Some(own), _) if own.bytes().all(|b| b.is_ascii_digit()) => format!("{}:{own}", self.stem),
            (Some(own), _) => own,
            (None, Some(place)) => format!("{}:{place}", self.stem),
            (None, None) => self.stem.clone(),
        };
        let span = start..start + text.len() as u64;
        self.found.conversations.push(Conversation { id, span, hash: blake3::hash(text.as_bytes()) });
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

/// Whether a value is a conversation: every message has a role, and one at least is the human's or the agent's with something in it.
fn outline(text: &str) -> Option<Outline> {
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Marks {
        messages: Vec<Message>,
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
    let (messages, id) = if text.starts_with('[') {
        (serde_json::from_str(text).ok()?, None)
    } else {
        let Marks { messages, id, conversation_id, conversation, session_id, session, chat_id, thread_id, uuid } =
            serde_json::from_str(text).ok()?;
        let ids = [id, conversation_id, conversation, session_id, session, chat_id, thread_id, uuid];
        (messages, ids.iter().find_map(|id| text_of(Some(id)).filter(|id| !id.trim().is_empty())))
    };
    let speaks = |message: &Message| {
        matches!(Role::named(&message.role), Some(Role::Human | Role::Agent))
            && (message.content.is_some() || message.tool_calls.is_some())
    };
    messages.iter().any(speaks).then_some(Outline { id })
}

/// A foreign name as a part of an id: without blanks, and without the mark that parts a unit's ordinal from its session.
fn name(text: &str) -> String {
    text.trim().replace(|c: char| c == '#' || c.is_whitespace() || c.is_control(), "_")
}
