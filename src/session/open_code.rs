//! Takes what OpenCode stores; gives the sessions in it.
//!
//! There are three places: an exported document `{info, messages: [{info, parts}]}`; a storage folder with a file for every
//! session, message and part; a SQLite database with all of them. A subagent has a session of its own, in which its "user" is
//! the agent that started it.
//!
//! `record` reads a record, `storage`, `database` and `transcript` find the records of a session, `conversation` tells the rest.

mod conversation;
mod database;
mod outcome;
mod record;
mod storage;
mod transcript;

use super::document::{self, Document};
use super::{Agent, ReadError, Session, SessionBuilder};
use record::{Facts, Info};
use std::cmp::Reverse;
use std::fs;
use std::path::{Path, PathBuf};
use storage::Holds;
use transcript::Transcript;

/// How far a session's facts are looked for, in bytes.
const HEAD_BYTES: usize = 256 * 1024;

/// A session, or a subagent's part of one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Thread {
    /// Its id.
    pub id: String,
    /// The session whose agent started it.
    pub parent: Option<String>,
}

/// What a file of OpenCode holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// A session.
    Document(Thread),
    /// A session's facts; its messages and parts are in the other files.
    Storage(Thread, Vec<PathBuf>),
    /// A message or a part: it belongs to a session whose facts are elsewhere.
    Piece,
    /// Any number of sessions.
    Database(Vec<Thread>),
    /// A database that cannot be read, and why: it may be OpenCode's.
    DamagedDatabase(String),
}

/// What a file that begins with `head` holds; none if it is not OpenCode's. Looks beside the file where the rest of it is there.
pub fn find(head: &[u8], path: &Path) -> Option<Found> {
    if database::is_database(head) {
        return match database::threads(path) {
            Ok(threads) => threads.map(Found::Database),
            Err(error) => Some(Found::DamagedDatabase(error.to_string())),
        };
    }
    let text = document::Text::of(&head[..head.len().min(HEAD_BYTES)]);
    if let Some(thread) = exported(text.get()) {
        return Some(Found::Document(thread));
    }
    Some(match storage::piece(&text, path)?.holds {
        Holds::Session(facts) => {
            let id = facts.id()?;
            let files = storage::files(&id, path);
            Found::Storage(Thread { id, parent: facts.parent() }, files)
        }
        Holds::Message(_) | Holds::Part(_) => Found::Piece,
    })
}

/// The session that a file which begins with `head` belongs to: for a subagent's, the one that started it. None if the file is
/// not one of OpenCode's with a single session.
pub fn recognise(head: &[u8], path: &Path) -> Option<String> {
    match find(head, path)? {
        Found::Document(thread) | Found::Storage(thread, _) => Some(thread.parent.unwrap_or(thread.id)),
        Found::Piece | Found::Database(_) | Found::DamagedDatabase(_) => None,
    }
}

/// The session of an exported document.
fn exported(text: &str) -> Option<Thread> {
    #[derive(Default, serde::Deserialize)]
    #[serde(default)]
    struct First {
        info: Info,
    }
    let begins = Document::read(text);
    let facts: Option<Facts> = begins.field("info");
    match facts {
        Some(facts) => {
            let known = begins.has_messages && facts.are_open_codes();
            known.then(|| facts.id().map(|id| Thread { id, parent: facts.parent() })).flatten()
        }
        // The facts may stand behind the messages.
        None => {
            let First { info } = document::parse(begins.messages.first()?.get()).ok()?;
            let known = info.id().is_some() && info.created().is_some();
            known.then(|| info.session().map(|id| Thread { id, parent: None })).flatten()
        }
    }
}

/// Reads the session `id` from `files`: copies of its exported document, of which the longest is used, files of a storage
/// folder, and the same of its subagents.
///
/// A subagent's session on its own is one without prompts.
pub fn read(id: &str, files: &[(PathBuf, Vec<u8>)]) -> Session {
    let (found, lost) = transcripts(files);
    tell(id, found, lost)
}

/// Reads the session `id` from the files at `paths`, any of which may be a database.
///
/// # Errors
/// A file that cannot be read, or a database that is damaged.
pub fn read_paths(id: &str, paths: &[PathBuf]) -> Result<Session, ReadError> {
    let mut found = Vec::new();
    let mut files = Vec::new();
    for path in paths {
        let error = |source| ReadError::Io { path: path.clone(), source };
        if is_database(path).map_err(error)? {
            found.extend(database::transcripts(id, path)?);
        } else {
            files.push((path.clone(), fs::read(path).map_err(error)?));
        }
    }
    let (in_files, lost) = transcripts(&files);
    found.extend(in_files);
    Ok(tell(id, found, lost))
}

/// Whether the file at `path` is a database, without reading all of it.
fn is_database(path: &Path) -> std::io::Result<bool> {
    use std::io::Read;
    let mut head = Vec::new();
    fs::File::open(path)?.take(16).read_to_end(&mut head)?;
    Ok(database::is_database(&head))
}

/// The transcripts in some files, and how many files hold nothing that can be read.
fn transcripts(files: &[(PathBuf, Vec<u8>)]) -> (Vec<Transcript>, u64) {
    let mut found = Vec::new();
    let mut lost = 0;
    let mut pieces = Vec::new();
    for (path, bytes) in files {
        let text = document::Text::of(bytes);
        if let Some(transcript) = Transcript::from_export(path.clone(), &text) {
            found.push(transcript);
        } else if let Some(piece) = storage::piece(&text, path) {
            pieces.push((path, piece));
        } else {
            lost += 1;
        }
    }
    found.extend(Transcript::from_storage(pieces));
    (found, lost)
}

fn tell(id: &str, transcripts: Vec<Transcript>, lost: u64) -> Session {
    let (mut mains, mut subagents): (Vec<_>, Vec<_>) =
        transcripts.into_iter().partition(|transcript| transcript.id == id);
    mains.sort_by_key(|transcript| (Reverse(transcript.messages.len()), transcript.path.clone()));
    let path = mains.first().or_else(|| subagents.first()).map(|transcript| transcript.path.clone());
    let mut session = SessionBuilder::new(Agent::OpenCode, id, path.unwrap_or_default());
    if let Some(transcript) = mains.into_iter().next() {
        session.read = transcript.report.clone();
        conversation::tell(transcript, &mut session);
    }
    // Copies of a subagent's session, too, count once, by the longest.
    subagents.sort_by_key(|transcript| (transcript.id.clone(), Reverse(transcript.messages.len())));
    subagents.dedup_by(|later, earlier| later.id == earlier.id);
    for transcript in subagents {
        session.subagent_events += transcript.messages.len() as u64;
        session.read.absorb(transcript.report);
    }
    session.read.bad += lost;
    session.finish()
}

#[cfg(test)]
mod tests;
