//! Takes what a user points at (files, folders, globs, git repositories); gives the sessions found there, each readable on its own.
//!
//! Every file's head is looked at, and content alone decides what a file is. Copies of a session and the files of its
//! subagents become one [`SessionSource`]. Reading is separate: a corpus holds paths, never transcripts.
//!
//! Checkpoints of Entire lie in a folder or in a git repository: `repository` reads git's objects, `references` and `checkpoints` know where in
//! it Entire keeps what, `commits` links its commits, and `entire` adds what is found.

mod checkpoints;
mod commits;
mod entire;
mod gathering;
mod pattern;
mod place;
mod references;
mod repository;
mod sniff;
mod tables;
mod room;

pub use entire::{FoundRepository, Record};
pub use place::{Holder, Place};
pub use repository::Repository;
pub use tables::TableFault;

use crate::session::chat::Conversation;
use crate::session::{
    Agent, ReadError, Session, SessionId, chat, claude_code, codex, copilot, cursor, gemini_cli, open_code, swe_chat,
};
use gathering::{Gathering, extension};
use rayon::prelude::*;
use room::Room;
use sniff::Thread;
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
    /// What a container recorded beside the transcripts.
    pub records: Vec<Record>,
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
    /// It is a session's metadata that cannot be understood.
    Metadata,
    /// It is a session's folder in a checkpoint, and the transcript is not there.
    NoTranscript,
    /// It is a session's folder in a checkpoint that has no transcript but `transcript.jsonl`: a retelling without cached tokens, in which skills
    /// look like prompts.
    OnlyRetold,
    /// It is a table, of which not everything can be used.
    Table(TableFault),
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
            SkipReason::Metadata => f.write_str("metadata that cannot be understood"),
            SkipReason::NoTranscript => f.write_str("the session's transcript is not there"),
            SkipReason::OnlyRetold => {
                f.write_str("the session's transcript is there in short only (transcript.jsonl, not full.jsonl)")
            }
            SkipReason::Table(fault) => fault.fmt(f),
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
    /// A repository without transcripts and without checkpoints.
    #[error("no transcript in {path}: {seen}; and no checkpoints of Entire in its git repository", path = path.display())]
    #[diagnostic(help(
        "checkpoints are on the branch entire/checkpoints/v1, or below refs/entire/checkpoints; a clone may lack them: \
         git -C {path} fetch origin '+refs/heads/entire/*:refs/remotes/origin/entire/*' '+refs/entire/*:refs/entire/*'",
        path = path.display()
    ))]
    NothingInRepository {
        /// The repository.
        path: PathBuf,
        /// What is there instead.
        seen: Seen,
    },
    /// A repository with a place for checkpoints and none in it.
    #[error("no checkpoint of Entire has a transcript in the git repository {path}", path = path.display())]
    #[diagnostic(help("its work tree is not searched; to search it, name a folder in it"))]
    NoCheckpoints {
        /// The repository.
        path: PathBuf,
    },
    /// A repository with checkpoints of which none can be read.
    #[error("no checkpoint of Entire can be read in the git repository {path}: {reason}", path = path.display())]
    #[diagnostic(help(
        "a partial clone lacks objects that were never asked for, and a damaged one may be mended by its remote: \
         git -C {path} fetch --refetch --no-filter origin",
        path = path.display()
    ))]
    UnreadableCheckpoints {
        /// The repository.
        path: PathBuf,
        /// What is wrong with the first thing that cannot be read.
        reason: String,
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
    /// A table that was named, but cannot be used.
    #[error("cannot use {path}: {fault}", path = path.display())]
    #[diagnostic(help("{}", fault.way_out()))]
    Table {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        fault: TableFault,
    },
    /// Tables that tell of sessions, and nothing that holds one.
    #[error("no conversation in {path}", path = path.display())]
    #[diagnostic(help(
        "its tables tell of sessions, but neither the table `conversations` nor the folder `transcripts` is with them: name the folder that \
         holds all of them"
    ))]
    NoConversation {
        /// One of the tables.
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
    /// How many symbolic links there are; they are not followed.
    pub links: usize,
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
        let plural = |count| if count == 1 { "" } else { "s" };
        let links = match self.links {
            0 => String::new(),
            links => {
                format!(" and {links} symbolic link{}, which are followed only where they are named", plural(links))
            }
        };
        let files = self.files();
        if files == 0 {
            return write!(f, "no files{links}");
        }
        write!(f, "{files} other file{}", plural(files))?;
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
        f.write_str(&links)
    }
}

/// The sessions found at some paths.
#[derive(Debug, Default)]
pub struct Corpus {
    sources: Vec<SessionSource>,
    skipped: Vec<Skipped>,
    other_files: usize,
    repositories: Vec<FoundRepository>,
}

/// Finds the sessions at `paths`: files, folders (with all that is below them), and patterns such as `logs/*.jsonl`. Of a git repository
/// with checkpoints of Entire, these are read, not the files of its work tree.
///
/// # Errors
/// A path that does not exist, a named file that is not a transcript, and a folder or pattern without any transcript:
/// what a user names is meant, so it is not skipped silently. Files that a folder merely holds are.
pub fn find(paths: &[PathBuf]) -> Result<Corpus, CorpusError> {
    let mut gathering = Gathering::default();
    for path in paths {
        gathering.add(path)?;
    }
    let Gathering { threads, chats, tables, records, mut skipped, other_files, repositories, .. } = gathering.finish();
    let mut sources = group(threads, records);
    sources.extend(tell_apart(chats));
    tables::join(tables, &mut sources, &mut skipped)?;
    sources.sort_by(|a, b| (&a.places, &a.id).cmp(&(&b.places, &b.id)));
    let mut taken: HashSet<SessionId> = HashSet::new();
    for source in &mut sources {
        if !taken.insert(source.id.clone()) {
            source.id = source.id.told_apart(&source.native_id);
        }
    }
    Ok(Corpus { sources, skipped, other_files, repositories })
}

/// Reads one session, with what was recorded beside it.
///
/// # Errors
/// A file that has become unreadable. Damage inside a file is no error; [`Session::read`] tells of it.
pub fn read(source: &SessionSource) -> Result<Session, ReadError> {
    let (tables, transcript): (Vec<&Place>, Vec<&Place>) =
        source.places.iter().partition(|place| place.holder.is_table());
    let (rows, records) = tables::parts(&tables);
    let mut session = if transcript.is_empty() {
        swe_chat::read(source.agent, &source.native_id, &rows, &records)?
    } else {
        let mut session = read_transcript(source, &transcript)?;
        swe_chat::complete(&mut session, &rows, &records)?;
        session
    };
    session.id = source.id.clone();
    let (checkpoints, unread): (Vec<_>, Vec<_>) = source.records.iter().map(Record::read).partition(Result::is_ok);
    session.attach(checkpoints.into_iter().flatten().collect());
    session.read.bad += unread.len() as u64;
    Ok(session)
}

fn read_transcript(source: &SessionSource, places: &[&Place]) -> Result<Session, ReadError> {
    let id = &source.native_id;
    if let (Agent::ClaudeCode, [Place { path, holder: Holder::File }]) = (source.agent, places) {
        let error = |source| ReadError::Io { path: path.clone(), source };
        return claude_code::read_file(id, path, File::open(path).map_err(error)?);
    }
    match source.agent {
        Agent::ClaudeCode => claude_code::read(id, places),
        Agent::Codex => codex::read(id, places),
        Agent::Copilot => copilot::read(id, places),
        Agent::Cursor => cursor::read(id, places),
        Agent::Chat => chat::read(id, places),
        Agent::GeminiCli => gemini_cli::read(id, places),
        Agent::OpenCode => open_code::read(id, places),
    }
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

    /// Files that look like data, but are part of no session, in the order they were found; last those that might have been.
    pub fn skipped(&self) -> &[Skipped] {
        &self.skipped
    }

    /// How many files were left aside without a mention of their own: text, images, programs.
    pub fn other_files(&self) -> usize {
        self.other_files
    }

    /// Git repositories whose checkpoints were read, in the order they were found.
    pub fn repositories(&self) -> &[FoundRepository] {
        &self.repositories
    }

    /// Reads the sessions one after the other.
    pub fn sessions(&self) -> impl Iterator<Item = Result<Session, ReadError>> {
        self.sources.iter().map(read)
    }

    /// Reads the sessions as [`Corpus::read_all`] does. Those that cannot be read leave the corpus and are among the skipped.
    ///
    /// # Errors
    /// Why the first cannot be read, if none of them can.
    pub fn survey<R: Send>(&mut self, each: impl Fn(Session) -> R + Sync) -> Result<Vec<R>, ReadError> {
        let read = self.read_all(each);
        let keep: Vec<bool> = read.iter().map(Result::is_ok).collect();
        let mut kept = Vec::new();
        let mut failed = Vec::new();
        for outcome in read {
            match outcome {
                Ok(made) => kept.push(made),
                Err(error) => failed.push(error),
            }
        }
        if kept.is_empty() && !failed.is_empty() {
            return Err(failed.swap_remove(0));
        }
        self.retain(&keep);
        for error in failed {
            let (path, reason) = match error {
                ReadError::Io { path, source } => (path, source),
                ReadError::Database { path, source } => (path, io::Error::other(source)),
            };
            // One file may hold many sessions.
            if self.skipped.iter().all(|skipped| skipped.path != path) {
                self.skipped.push(Skipped { path, reason: SkipReason::Unreadable(reason) });
            }
        }
        Ok(kept)
    }

    /// Reads the sessions in parallel and gives what `each` makes of them, in the corpus's order.
    ///
    /// At any time one session a worker thread is in memory, besides what `each` returns; of large ones fewer are read at a time.
    pub fn read_all<R: Send>(&self, each: impl Fn(Session) -> R + Sync) -> Vec<Result<R, ReadError>> {
        self.read_where(|_| true, each)
    }

    /// The same for those sessions alone for which `wanted` holds.
    pub fn read_where<R: Send>(
        &self,
        wanted: impl Fn(&SessionId) -> bool,
        each: impl Fn(Session) -> R + Sync,
    ) -> Vec<Result<R, ReadError>> {
        let room = Room::new(rayon::current_num_threads());
        let read_one = |source| {
            let taken = room.take(held(source));
            let session = read(source);
            // Not until `each` is done: that may wait for other readers.
            drop(taken);
            session.map(&each)
        };
        let sources: Vec<&SessionSource> = self.sources.iter().filter(|source| wanted(&source.id)).collect();
        sources.into_par_iter().with_max_len(1).map(read_one).collect()
    }
}

/// About how many bytes are in memory while a session is read; of copies rather too many.
fn held(source: &SessionSource) -> u64 {
    let bytes = source.places.iter().filter_map(|place| place.len().ok()).sum::<u64>();
    match (source.agent, source.places.as_slice()) {
        // A file that is read through a window leaves its texts.
        (Agent::ClaudeCode, [Place { holder: Holder::File, .. }]) => bytes / 4,
        // A database holds many sessions and is not loaded for one of them.
        (Agent::OpenCode, _) => 0,
        _ => bytes,
    }
}

/// Joins copies of a session, and threads with the session that started them where it is there.
fn group(threads: Vec<Thread>, records: Vec<(Agent, String, Record)>) -> Vec<SessionSource> {
    let parents: HashMap<(Agent, String), Option<String>> =
        threads.iter().map(|thread| ((thread.agent, thread.id.clone()), thread.parent.clone())).collect();
    let root = |agent: Agent, id: String| {
        let mut root = (agent, id);
        // Bounded, since damaged files might name each other as parents.
        for _ in 0..parents.len() {
            let Some(Some(parent)) = parents.get(&root) else { break };
            let above = (agent, parent.clone());
            if above == root || !parents.contains_key(&above) {
                break;
            }
            root = above;
        }
        root
    };
    let mut groups: BTreeMap<(Agent, String), (Vec<Place>, Vec<Record>)> = BTreeMap::new();
    for Thread { place, agent, id, .. } in threads {
        groups.entry(root(agent, id)).or_default().0.push(place);
    }
    for (agent, id, record) in records {
        groups.entry(root(agent, id)).or_default().1.push(record);
    }
    groups
        .into_iter()
        .map(|((agent, native_id), (mut places, records))| {
            places.sort();
            // A database is the file of many threads.
            places.dedup();
            SessionSource { id: SessionId::new(agent, &native_id), agent, native_id, places, records }
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
        sources.push(SessionSource { id, agent: Agent::Chat, native_id, places: vec![place], records: Vec::new() });
    }
    sources
}

#[cfg(test)]
mod tests;
