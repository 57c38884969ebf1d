//! Takes a file or an object; gives what it is, found from its first bytes alone.

use super::place::{Holder, Place};
use super::tables::{self, Found, TableFault};
use crate::session::{Agent, chat, claude_code, codex, copilot, cursor, gemini_cli, open_code};
use crate::table::MAGIC;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// How much of a file is read to find out what it is, in bytes: a first row with long instructions fits.
const HEAD_BYTES: u64 = 256 * 1024;

/// A first row that is longer is not waited for, in bytes.
const LONGEST_HEAD_BYTES: u64 = 256 * 1024 * 1024;

/// Why pipes, sockets and devices are not read.
pub(super) const NOT_REGULAR: &str = "not a regular file";

/// A transcript and the thread of conversation in it.
#[derive(Debug)]
pub(super) struct Thread {
    pub place: Place,
    pub agent: Agent,
    pub id: String,
    /// The thread that started this one as its subagent.
    pub parent: Option<String>,
}

/// What a file's head says about it.
#[derive(Debug)]
pub(super) enum Sniffed {
    /// The threads in the file. Where one thread is spread over several files, they come with the one that names it.
    Threads(Vec<Thread>),
    /// A part of a thread that another file names.
    Piece,
    /// Plain chats.
    Chats(chat::Found),
    /// A table of sessions.
    Table(Found),
    /// A Parquet file that is no such table, or a damaged one.
    FaultyTable(TableFault),
    Empty,
    Unknown,
    Unreadable(io::Error),
}

/// Finds out what a file is.
pub(super) fn file(path: &Path) -> Sniffed {
    let head = match read_head(path) {
        Ok(head) if head.is_empty() => return Sniffed::Empty,
        Ok(head) => head,
        Err(error) => return Sniffed::Unreadable(error),
    };
    if head.starts_with(MAGIC) {
        return tables::open(path).map_or_else(Sniffed::FaultyTable, Sniffed::Table);
    }
    let one =
        |(agent, id, parent)| Sniffed::Threads(vec![Thread { place: Place::file(path.to_owned()), agent, id, parent }]);
    if let Some(thread) = early(&head, path) {
        one(thread)
    } else if let Some(found) = open_code::find(&head, path) {
        open_code_threads(found, path)
    } else if let Some(thread) = late(&head, path) {
        one(thread)
    } else if chat::may_hold(&head) {
        // Last, since it goes by common words.
        match chat::find(path) {
            Ok(found) if found.conversations.is_empty() => Sniffed::Unknown,
            Ok(found) => Sniffed::Chats(found),
            Err(error) => Sniffed::Unreadable(error),
        }
    } else {
        Sniffed::Unknown
    }
}

/// Finds out whose transcript a container holds at `place`, where it has a name of the container's. `hint` is the name that the agent
/// gave it: some transcripts do not say themselves which session they are of.
///
/// Gives one thread at most: containers hold transcripts one by one.
pub(super) fn transcript(place: &Place, hint: &Path) -> Sniffed {
    let head = match head(place) {
        Ok(head) if head.is_empty() => return Sniffed::Empty,
        Ok(head) => head,
        Err(error) => return Sniffed::Unreadable(error),
    };
    let one = |(agent, id, parent)| Sniffed::Threads(vec![Thread { place: place.clone(), agent, id, parent }]);
    if let Some(thread) = early(&head, hint) {
        one(thread)
    } else if let Some(open_code::Thread { id, parent }) = open_code::document(&head) {
        one((Agent::OpenCode, id, parent))
    } else if let Some(thread) = late(&head, hint) {
        one(thread)
    } else if chat::may_hold(&head) {
        match place.read().map(|bytes| chat::find_in(&bytes, hint)) {
            Ok(chat::Found { conversations, .. }) => match <[chat::Conversation; 1]>::try_from(conversations) {
                Ok([only]) => one((Agent::Chat, only.id, None)),
                Err(_) => Sniffed::Unknown,
            },
            Err(error) => Sniffed::Unreadable(error),
        }
    } else {
        Sniffed::Unknown
    }
}

type Named = (Agent, String, Option<String>);

/// Agents that are looked for first.
fn early(head: &[u8], path: &Path) -> Option<Named> {
    if let Some(id) = claude_code::recognise(head, path) {
        Some((Agent::ClaudeCode, id, None))
    } else if let Some(codex::Thread { id, parent, .. }) = codex::thread(head, path) {
        Some((Agent::Codex, id, parent))
    } else {
        gemini_cli::thread(head, path).map(|thread| (Agent::GeminiCli, thread.id, thread.parent))
    }
}

/// Agents whose rows have less to know them by.
fn late(head: &[u8], path: &Path) -> Option<Named> {
    if let Some(id) = copilot::recognise(head, path) {
        Some((Agent::Copilot, id, None))
    } else {
        cursor::recognise(head, path).map(|id| (Agent::Cursor, id, None))
    }
}

/// The threads in a file of OpenCode: one, many, or one that is spread over other files too.
fn open_code_threads(found: open_code::Found, path: &Path) -> Sniffed {
    let thread = |path: &Path, thread: &open_code::Thread| Thread {
        place: Place::file(path.to_owned()),
        agent: Agent::OpenCode,
        id: thread.id.clone(),
        parent: thread.parent.clone(),
    };
    Sniffed::Threads(match found {
        open_code::Found::Document(named) => vec![thread(path, &named)],
        open_code::Found::Database(named) => named.iter().map(|named| thread(path, named)).collect(),
        open_code::Found::Storage(named, files) => {
            std::iter::once(path).chain(files.iter().map(PathBuf::as_path)).map(|path| thread(path, &named)).collect()
        }
        open_code::Found::Piece => return Sniffed::Piece,
        open_code::Found::DamagedDatabase(error) => return Sniffed::Unreadable(io::Error::other(error)),
    })
}

/// The first bytes of a place. An object is unpacked as a whole, since that is how it is kept, and cut then.
fn head(place: &Place) -> io::Result<Vec<u8>> {
    match &place.holder {
        Holder::File | Holder::Span { .. } | Holder::Rows(_) | Holder::Record(_) => read_head(&place.path),
        Holder::Parts(parts) => parts.first().map_or_else(|| Ok(Vec::new()), head),
        Holder::Blob { .. } => {
            let mut bytes = place.read()?;
            let window = bytes.len().min(HEAD_BYTES as usize);
            if memchr::memchr(b'\n', &bytes[..window]).is_some() {
                bytes.truncate(window);
            }
            Ok(bytes)
        }
    }
}

fn read_head(path: &Path) -> io::Result<Vec<u8>> {
    // To open a pipe would be to wait for whoever writes into it.
    let metadata = fs::metadata(path)?;
    if !metadata.is_file() {
        return Err(io::Error::other(NOT_REGULAR));
    }
    let mut file = File::open(path)?;
    let mut head = Vec::with_capacity(metadata.len().min(HEAD_BYTES) as usize + 1);
    // A first row can hold a pasted image: what it is shows only once it is whole.
    let mut window = HEAD_BYTES;
    while window > 0 {
        let read = (&mut file).take(window).read_to_end(&mut head)?;
        let is_whole =
            memchr::memchr(b'\n', &head).is_some() || (read as u64) < window || head.len() as u64 >= LONGEST_HEAD_BYTES;
        window = if is_whole { 0 } else { head.len() as u64 };
    }
    Ok(head)
}
