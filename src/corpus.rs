//! Takes what a user points at (files, folders, globs); gives the sessions found there, each readable on its own.
//!
//! Every file's head is looked at, and content alone decides what a file is. Copies of a session and the files of its
//! subagents become one [`SessionSource`]. Reading is separate: a corpus holds paths, never transcripts.

mod gathering;
mod pattern;
mod place;
mod room;

pub use place::{Holder, Place};

use crate::session::chat::Conversation;
use crate::session::{
    Agent, ReadError, Session, SessionId, chat, claude_code, codex, copilot, cursor, gemini_cli, open_code,
};
use gathering::{Gathering, Thread, extension};
use rayon::prelude::*;
use room::Room;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::{fmt, io};

/// One session and the files that hold it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionSource {
    /// Stable id.
    pub id: SessionId,
    /// Whose transcript it is.
    pub agent: Agent,
    /// The agent's own id for the session.
    pub native_id: String,
    /// Copies of the session and transcripts of its subagents, in path order.
    pub places: Vec<Place>,
}

/// A file that is not part of any session, though it might have been meant to.
#[derive(Debug)]
pub struct Skipped {
    /// The file.
    pub path: PathBuf,
    /// Why.
    pub reason: SkipReason,
}

/// Why a file was skipped.
#[derive(Debug)]
pub enum SkipReason {
    /// It is empty.
    Empty,
    /// It looks like data, but not like a transcript of a known agent.
    NotATranscript,
    /// It holds conversations, and beside them lines or elements that are none.
    PartlyUsed {
        /// How many are none.
        others: u64,
    },
    /// It holds a message or a part of a session whose own file is missing.
    Piece,
    /// It is a symbolic link found in a folder: what it points at may be anywhere, or be in the corpus already.
    SymbolicLink,
    /// It could not be read.
    Unreadable(io::Error),
}

impl fmt::Display for SkipReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SkipReason::Empty => f.write_str("empty"),
            SkipReason::NotATranscript => f.write_str("not a transcript"),
            SkipReason::PartlyUsed { others: 1 } => f.write_str("used but for 1 line that is no conversation"),
            SkipReason::PartlyUsed { others } => write!(f, "used but for {others} lines that are no conversation"),
            SkipReason::Piece => f.write_str("a piece of a session whose own file is missing"),
            SkipReason::SymbolicLink => f.write_str("a symbolic link"),
            SkipReason::Unreadable(error) => write!(f, "cannot be read: {error}"),
        }
    }
}

/// Why no corpus could be made of the paths.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
pub enum CorpusError {
    /// Nothing is there.
    #[error("no such file or folder: {path}", path = path.display())]
    #[diagnostic(help("check the path, or name other transcripts with --sessions PATH"))]
    Missing {
        /// What was asked for.
        path: PathBuf,
    },
    /// A path with wildcards that matches nothing.
    #[error("nothing matches {path}", path = path.display())]
    #[diagnostic(help("a pattern such as `logs/**/*.jsonl` has to match at least one transcript"))]
    NoMatch {
        /// What was asked for.
        path: PathBuf,
    },
    /// A path with wildcards that cannot be understood.
    #[error("cannot understand the pattern {path}: {source}", path = path.display())]
    Pattern {
        /// What was asked for.
        path: PathBuf,
        /// What is wrong with it.
        source: ignore::Error,
    },
    /// A folder, or what a pattern matches, without any transcript.
    #[error("no transcript in {path}: {seen}", path = path.display())]
    #[diagnostic(help(
        "transcripts are found by content; known are those of Claude Code (~/.claude/projects), Codex CLI (~/.codex/sessions), Gemini CLI \
         (~/.gemini/tmp), OpenCode (~/.local/share/opencode), Copilot CLI (~/.copilot), Cursor (~/.cursor/projects), and chats: \
         JSON with `messages` that have `role` and `content`"
    ))]
    NoTranscript {
        /// What was asked for.
        path: PathBuf,
        /// What is there instead.
        seen: Seen,
    },
    /// A file that was named, but is not a transcript.
    #[error("not a transcript of a known agent: {path}", path = path.display())]
    #[diagnostic(help(
        "known are transcripts of Claude Code (~/.claude/projects), Codex CLI (~/.codex/sessions), Gemini CLI (~/.gemini/tmp), \
         OpenCode (~/.local/share/opencode), Copilot CLI (~/.copilot), Cursor (~/.cursor/projects), and chats: JSON with `messages` \
         that have `role` and `content`"
    ))]
    NotATranscript {
        /// The file.
        path: PathBuf,
    },
    /// A file that was named, but is empty.
    #[error("empty file: {path}", path = path.display())]
    #[diagnostic(help("name a transcript, or the folder that holds them"))]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// A file or folder that was named, but cannot be read.
    #[error("cannot read {path}: {source}", path = path.display())]
    Unreadable {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// What a folder without a transcript holds: files by extension.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Seen {
    /// How many files have an extension; files without one are under the empty string.
    pub extensions: BTreeMap<String, usize>,
    /// How many files could not be read.
    pub unreadable: usize,
}

impl Seen {
    /// How many extensions a message names before it sums up the rest.
    const NAMED: usize = 4;

    fn add(&mut self, path: &Path) {
        *self.extensions.entry(extension(path).unwrap_or_default()).or_default() += 1;
    }

    /// All files seen.
    pub fn files(&self) -> usize {
        self.extensions.values().sum()
    }
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let files = self.files();
        if files == 0 {
            return f.write_str("no files");
        }
        write!(f, "{files} other file{}", if files == 1 { "" } else { "s" })?;
        let mut kinds: Vec<(&str, usize)> =
            self.extensions.iter().map(|(kind, &count)| (kind.as_str(), count)).collect();
        kinds.sort_by_key(|&(_, count)| std::cmp::Reverse(count));
        let named: Vec<String> = kinds
            .iter()
            .take(Seen::NAMED)
            .map(|(kind, count)| match kind.is_empty() {
                true => format!("{count} without extension"),
                false => format!("{count} .{kind}"),
            })
            .collect();
        write!(f, " ({}{})", named.join(", "), if kinds.len() > Seen::NAMED { ", …" } else { "" })?;
        if self.unreadable > 0 {
            write!(f, ", {} of them unreadable", self.unreadable)?;
        }
        Ok(())
    }
}

/// The sessions found at some paths.
#[derive(Debug, Default)]
pub struct Corpus {
    sources: Vec<SessionSource>,
    skipped: Vec<Skipped>,
    other_files: usize,
}

/// Finds the sessions at `paths`: files, folders (with all that is below them), and patterns such as `logs/*.jsonl`.
///
/// # Errors
/// A path that does not exist, a named file that is not a transcript, and a folder or pattern without any transcript:
/// what a user names is meant, so it is not skipped silently. Files that a folder merely holds are.
pub fn find(paths: &[PathBuf]) -> Result<Corpus, CorpusError> {
    let mut gathering = Gathering::default();
    for path in paths {
        gathering.add(path)?;
    }
    let Gathering { threads, chats, skipped, other_files, .. } = gathering.finish();
    let mut sources = group(threads);
    sources.extend(tell_apart(chats));
    sources.sort_by(|a, b| (&a.places, &a.id).cmp(&(&b.places, &b.id)));
    Ok(Corpus { sources, skipped, other_files })
}

/// Reads one session.
///
/// # Errors
/// A file that has become unreadable. Damage inside a file is no error; [`Session::read`] tells of it.
pub fn read(source: &SessionSource) -> Result<Session, ReadError> {
    if source.agent == Agent::OpenCode {
        // A database holds many sessions and is not loaded for one of them.
        let paths: Vec<PathBuf> = source.places.iter().map(|place| place.path.clone()).collect();
        return open_code::read_paths(&source.native_id, &paths);
    }
    if let (Agent::ClaudeCode, [Place { path, holder: Holder::File }]) = (source.agent, source.places.as_slice()) {
        let error = |source| ReadError::Io { path: path.clone(), source };
        return claude_code::read_file(&source.native_id, path, File::open(path).map_err(error)?);
    }
    let files = source
        .places
        .iter()
        .map(|place| match place.read() {
            Ok(bytes) => Ok((place.path.clone(), bytes)),
            Err(error) => Err(ReadError::Io { path: place.path.clone(), source: error }),
        })
        .collect::<Result<Vec<_>, _>>()?;
    Ok(match source.agent {
        Agent::ClaudeCode => claude_code::read(&source.native_id, &files),
        Agent::Codex => codex::read(&source.native_id, &files),
        Agent::Copilot => copilot::read(&source.native_id, &files),
        Agent::Cursor => cursor::read(&source.native_id, &files),
        Agent::Chat => chat::read(&source.native_id, &files),
        Agent::GeminiCli => gemini_cli::read(&source.native_id, &files),
        Agent::OpenCode => open_code::read(&source.native_id, &files),
    })
}

impl Corpus {
    /// What was found, in order of the first path of each, then of the ids.
    pub fn sources(&self) -> &[SessionSource] {
        &self.sources
    }

    /// Keeps the sources for which `keep`, in their order, says so.
    pub fn retain(&mut self, keep: &[bool]) {
        let mut keep = keep.iter();
        self.sources.retain(|_| keep.next().copied().unwrap_or(true));
    }

    /// Files that look like data, but are part of no session, in the order they were found.
    pub fn skipped(&self) -> &[Skipped] {
        &self.skipped
    }

    /// How many files were left aside without a mention of their own: text, images, programs.
    pub fn other_files(&self) -> usize {
        self.other_files
    }

    /// Reads the sessions one after the other.
    pub fn sessions(&self) -> impl Iterator<Item = Result<Session, ReadError>> {
        self.sources.iter().map(read)
    }

    /// Reads the sessions in parallel and gives what `each` makes of them, in the corpus's order.
    ///
    /// At any time one session a worker thread is in memory, besides what `each` returns; of large ones fewer are read at a time.
    pub fn read_all<R: Send>(&self, each: impl Fn(Session) -> R + Sync) -> Vec<Result<R, ReadError>> {
        let room = Room::new(rayon::current_num_threads());
        let read_one = |source| {
            let taken = room.take(held(source));
            let session = read(source);
            // Not until `each` is done: that may wait for other readers.
            drop(taken);
            session.map(&each)
        };
        self.sources.par_iter().with_max_len(1).map(read_one).collect()
    }
}

/// About how many bytes are in memory while a session is read.
fn held(source: &SessionSource) -> u64 {
    let bytes = || source.places.iter().filter_map(|place| place.len().ok()).sum::<u64>();
    match source.agent {
        // A file that is read through a window leaves its texts.
        Agent::ClaudeCode if source.places.len() == 1 => bytes() / 4,
        // A database holds many sessions and is not loaded for one of them.
        Agent::OpenCode => 0,
        _ => bytes(),
    }
}

/// Joins copies of a session, and threads with the session that started them where it is there.
fn group(threads: Vec<Thread>) -> Vec<SessionSource> {
    let parents: HashMap<(Agent, String), Option<String>> =
        threads.iter().map(|thread| ((thread.agent, thread.id.clone()), thread.parent.clone())).collect();
    let mut groups: BTreeMap<(Agent, String), Vec<Place>> = BTreeMap::new();
    for thread in threads {
        let mut root = (thread.agent, thread.id);
        // Bounded, since damaged files might name each other as parents.
        for _ in 0..parents.len() {
            let Some(Some(parent)) = parents.get(&root) else { break };
            let above = (thread.agent, parent.clone());
            if above == root || !parents.contains_key(&above) {
                break;
            }
            root = above;
        }
        groups.entry(root).or_default().push(Place::file(thread.path));
    }
    groups
        .into_iter()
        .map(|((agent, native_id), mut places)| {
            places.sort();
            // A database is the file of many threads.
            places.dedup();
            SessionSource { id: SessionId::new(agent, &native_id), agent, native_id, places }
        })
        .collect()
}

/// Gives each chat an id of its own. A copy counts once; other words under an id that is taken get a hash behind it, since a
/// chat's id may be no more than a file's name.
fn tell_apart(mut chats: Vec<(PathBuf, Conversation)>) -> Vec<SessionSource> {
    chats.sort_by(|(path, chat), (other_path, other)| (path, chat.span.start).cmp(&(other_path, other.span.start)));
    let mut known: HashMap<String, HashSet<blake3::Hash>> = HashMap::new();
    let mut sources = Vec::new();
    for (path, Conversation { id, span, hash }) in chats {
        let hashes = known.entry(id.clone()).or_default();
        let is_first = hashes.is_empty();
        if !hashes.insert(hash) {
            continue;
        }
        let native_id = if is_first { id } else { format!("{id}@{}", &hash.to_hex()[..8]) };
        let id = SessionId::new(Agent::Chat, &native_id);
        let place = Place { path, holder: Holder::Span { start: span.start, end: span.end } };
        sources.push(SessionSource { id, agent: Agent::Chat, native_id, places: vec![place] });
    }
    sources
}

#[cfg(test)]
mod tests;
