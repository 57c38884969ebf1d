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

use super::copies::{self, Stored};
use super::document::{self, Document};
use super::{Agent, ReadError, Session, SessionBuilder};
use record::{Facts, Info};
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

/// The session in an exported document that begins with `head`; none if it is not OpenCode's, or not a document.
pub fn document(head: &[u8]) -> Option<Thread> {
    exported(&document::text(&head[..head.len().min(HEAD_BYTES)]))
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

/// Reads the session `id` from copies of its exported document, files of a storage folder, databases, and the same of its
/// subagents.
///
/// A subagent's session on its own is one without prompts.
///
/// # Errors
/// A file that cannot be read, or a database that is damaged.
pub fn read<S: Stored>(id: &str, copies: &[S]) -> Result<Session, ReadError> {
    let mut transcripts = Transcripts::default();
    let mut pieces = Vec::new();
    let mut lost = 0;
    for copy in copies::largest_first(copies)? {
        // A database holds many sessions and is not loaded for one of them.
        if let Some(file) = copy.file()
            && is_database(file).map_err(|source| ReadError::Io { path: file.to_owned(), source })?
        {
            database::transcripts(id, file)?.into_iter().for_each(|transcript| transcripts.add(transcript));
            continue;
        }
        let bytes = copies::load(copy)?;
        let text = document::Text::of(&bytes);
        if let Some(transcript) = Transcript::from_export(copy.path().to_owned(), &text) {
            transcripts.add(transcript);
        } else if let Some(piece) = storage::piece(&text, copy.path()) {
            pieces.push((copy.path().to_owned(), piece));
        } else {
            lost += 1;
        }
    }
    pieces.sort_by(|(path, _), (other, _)| path.cmp(other));
    Transcript::from_storage(pieces).into_iter().for_each(|transcript| transcripts.add(transcript));
    Ok(tell(id, transcripts, lost))
}

/// Whether the file at `path` is a database, without reading all of it.
fn is_database(path: &Path) -> std::io::Result<bool> {
    use std::io::Read;
    let mut head = Vec::new();
    fs::File::open(path)?.take(16).read_to_end(&mut head)?;
    Ok(database::is_database(&head))
}

/// The transcripts of a session and its subagents, each once.
#[derive(Default)]
struct Transcripts(Vec<Transcript>);

impl Transcripts {
    fn add(&mut self, transcript: Transcript) {
        match self.0.iter_mut().find(|known| known.id == transcript.id) {
            Some(known) => known.unite(transcript),
            None => self.0.push(transcript),
        }
    }
}

/// Tells the session `id`, of which so many files hold nothing that can be read.
fn tell(id: &str, Transcripts(mut transcripts): Transcripts, lost: u64) -> Session {
    transcripts.sort_by_key(|transcript| transcript.id != id);
    let path = transcripts.first().map(|transcript| transcript.path.clone());
    let mut session = SessionBuilder::new(Agent::OpenCode, id, path.unwrap_or_default());
    for transcript in transcripts {
        session.read.absorb(transcript.report.clone());
        if transcript.id == id {
            conversation::tell(transcript, &mut session);
        } else {
            session.subagent_events += transcript.messages.len() as u64;
        }
    }
    session.read.bad += lost;
    session.finish()
}

#[cfg(test)]
mod tests;
