//! Takes what a user points at (files, folders, globs); gives the sessions found there, each readable on its own.
//!
//! Every file's head is looked at, and content alone decides what a file is. Copies of a session and the files of its
//! subagents become one [`SessionSource`]. Reading is separate: a corpus holds paths, never transcripts.

use crate::session::{Agent, ReadError, Session, SessionId, claude_code, codex};
use ignore::WalkBuilder;
use ignore::gitignore::{Gitignore, GitignoreBuilder};
use rayon::prelude::*;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::ffi::OsStr;
use std::fmt;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Component, Path, PathBuf};

/// How much of a file is read to find out what it is, in bytes: a first row with long instructions fits.
const HEAD_BYTES: u64 = 256 * 1024;

/// Extensions of files that are never a transcript; they are counted, not opened.
const NOT_DATA: &[&str] = &[
    "7z", "avif", "bmp", "bz2", "c", "cfg", "class", "cpp", "css", "csv", "db", "dll", "doc", "docx", "dylib", "exe",
    "gif", "go", "gz", "h", "html", "ico", "ini", "ipynb", "jar", "java", "jpeg", "jpg", "js", "jsx", "kt", "lock",
    "lua", "md", "mov", "mp3", "mp4", "o", "otf", "parquet", "pdf", "php", "png", "pptx", "py", "pyc", "rb", "rs",
    "scss", "sh", "so", "sql", "sqlite", "svg", "swift", "tar", "tgz", "tiff", "toml", "ts", "tsv", "tsx", "ttf",
    "vue", "wasm", "wav", "webm", "webp", "woff", "woff2", "xlsx", "xml", "xz", "yaml", "yml", "zip", "zst",
];

/// One session and the files that hold it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionSource {
    /// Stable id.
    pub id: SessionId,
    /// Whose transcript it is.
    pub agent: Agent,
    /// The agent's own id for the session.
    pub native_id: String,
    /// Copies of the session and files of its subagents, in path order.
    pub files: Vec<PathBuf>,
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
            SkipReason::SymbolicLink => f.write_str("a symbolic link"),
            SkipReason::Unreadable(error) => write!(f, "cannot be read: {error}"),
        }
    }
}

/// Why no corpus could be made of the paths.
#[derive(Debug, thiserror::Error)]
pub enum CorpusError {
    /// Nothing is there.
    #[error("no such file or folder: {path}", path = path.display())]
    Missing {
        /// What was asked for.
        path: PathBuf,
    },
    /// A path with wildcards that matches nothing.
    #[error("nothing matches {path}", path = path.display())]
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
    NoTranscript {
        /// What was asked for.
        path: PathBuf,
        /// What is there instead.
        seen: Seen,
    },
    /// A file that was named, but is not a transcript.
    #[error("not a transcript of a known agent: {path}", path = path.display())]
    NotATranscript {
        /// The file.
        path: PathBuf,
    },
    /// A file that was named, but is empty.
    #[error("empty file: {path}", path = path.display())]
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
    let Gathering { threads, skipped, other_files, .. } = gathering;
    Ok(Corpus { sources: group(threads), skipped, other_files })
}

/// Reads one session.
///
/// # Errors
/// A file that has become unreadable. Damage inside a file is no error; [`Session::read`] tells of it.
pub fn read(source: &SessionSource) -> Result<Session, ReadError> {
    let files = source
        .files
        .iter()
        .map(|path| match fs::read(path) {
            Ok(bytes) => Ok((path.clone(), bytes)),
            Err(error) => Err(ReadError::Io { path: path.clone(), source: error }),
        })
        .collect::<Result<Vec<_>, _>>()?;
    Ok(match source.agent {
        Agent::ClaudeCode => claude_code::read(&source.native_id, &files),
        Agent::Codex => codex::read(&source.native_id, &files),
    })
}

impl Corpus {
    /// What was found, in order of the first path of each, then of the ids.
    pub fn sources(&self) -> &[SessionSource] {
        &self.sources
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
    /// At any time one session a worker thread is in memory, besides what `each` returns.
    pub fn read_all<R: Send>(&self, each: impl Fn(Session) -> R + Sync) -> Vec<Result<R, ReadError>> {
        self.sources.par_iter().with_max_len(1).map(|source| read(source).map(&each)).collect()
    }
}

/// A transcript file and the thread of conversation in it.
#[derive(Debug)]
struct Thread {
    path: PathBuf,
    agent: Agent,
    id: String,
    /// The thread that started this one as its subagent.
    parent: Option<String>,
}

/// What a file's head says about it.
enum Sniffed {
    Thread { agent: Agent, id: String, parent: Option<String> },
    Empty,
    Unknown,
    Unreadable(io::Error),
}

/// What the paths held so far.
#[derive(Default)]
struct Gathering {
    threads: Vec<Thread>,
    skipped: Vec<Skipped>,
    other_files: usize,
    /// Canonical paths, so that no file counts twice when two of the user's paths overlap.
    known: HashSet<PathBuf>,
}

impl Gathering {
    fn add(&mut self, path: &Path) -> Result<(), CorpusError> {
        match fs::metadata(path) {
            Ok(metadata) if metadata.is_dir() => {
                let files = self.walk(path, None);
                self.add_many(path, files)
            }
            Ok(_) => self.add_named(path),
            Err(_) if has_wildcard(path) => {
                let (root, pattern) = split_pattern(path);
                let pattern =
                    glob(&pattern).map_err(|source| CorpusError::Pattern { path: path.to_owned(), source })?;
                let files = self.walk(&root, Some(&pattern));
                match files.is_empty() {
                    true => Err(CorpusError::NoMatch { path: path.to_owned() }),
                    false => self.add_many(path, files),
                }
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Err(CorpusError::Missing { path: path.to_owned() })
            }
            Err(source) => Err(CorpusError::Unreadable { path: path.to_owned(), source }),
        }
    }

    /// Adds a file that the user named: it has to be a transcript.
    fn add_named(&mut self, path: &Path) -> Result<(), CorpusError> {
        let path = path.to_owned();
        match sniff(&path) {
            Sniffed::Thread { agent, id, parent } => {
                if self.is_new(&path) {
                    self.threads.push(Thread { path, agent, id, parent });
                }
                Ok(())
            }
            Sniffed::Empty => Err(CorpusError::Empty { path }),
            Sniffed::Unknown => Err(CorpusError::NotATranscript { path }),
            Sniffed::Unreadable(source) => Err(CorpusError::Unreadable { path, source }),
        }
    }

    /// Adds the transcripts among `files`, found at `asked`: there has to be one.
    fn add_many(&mut self, asked: &Path, files: Vec<PathBuf>) -> Result<(), CorpusError> {
        let sniffed: Vec<(PathBuf, Sniffed)> = files
            .into_par_iter()
            .map(|path| {
                let sniffed = if is_obviously_not_data(&path) { Sniffed::Unknown } else { sniff(&path) };
                (path, sniffed)
            })
            .collect();
        let mut seen = Seen::default();
        let mut found = false;
        for (path, sniffed) in sniffed {
            let reason = match sniffed {
                Sniffed::Thread { agent, id, parent } => {
                    found = true;
                    if self.is_new(&path) {
                        self.threads.push(Thread { path, agent, id, parent });
                    }
                    continue;
                }
                Sniffed::Unreadable(error) => {
                    seen.unreadable += 1;
                    SkipReason::Unreadable(error)
                }
                Sniffed::Empty => SkipReason::Empty,
                Sniffed::Unknown => SkipReason::NotATranscript,
            };
            seen.add(&path);
            if !self.is_new(&path) {
                continue;
            }
            if matches!(reason, SkipReason::Unreadable(_)) || looks_like_data(&path) {
                self.skipped.push(Skipped { path, reason });
            } else {
                self.other_files += 1;
            }
        }
        if found { Ok(()) } else { Err(CorpusError::NoTranscript { path: asked.to_owned(), seen }) }
    }

    /// The files below `root`, sorted by name within each folder; only those that `pattern` matches, or a folder above them.
    fn walk(&mut self, root: &Path, pattern: Option<&Gitignore>) -> Vec<PathBuf> {
        let mut builder = WalkBuilder::new(root);
        builder.standard_filters(false).sort_by_file_name(OsStr::cmp).filter_entry(|entry| entry.file_name() != ".git");
        let mut files = Vec::new();
        for entry in builder.build() {
            let entry = match entry {
                Ok(entry) => entry,
                Err(error) => {
                    self.skip_unreadable(root, error);
                    continue;
                }
            };
            let Some(kind) = entry.file_type() else { continue };
            if kind.is_dir() || !pattern.is_none_or(|pattern| matches(pattern, root, entry.path())) {
                continue;
            }
            if kind.is_symlink() && entry.depth() > 0 {
                if looks_like_data(entry.path()) && self.is_new(entry.path()) {
                    self.skipped.push(Skipped { path: entry.into_path(), reason: SkipReason::SymbolicLink });
                }
            } else if kind.is_file() {
                files.push(entry.into_path());
            }
        }
        files
    }

    fn skip_unreadable(&mut self, root: &Path, error: ignore::Error) {
        let path = failed_path(&error).unwrap_or(root).to_owned();
        let message = error.to_string();
        let reason = SkipReason::Unreadable(error.into_io_error().unwrap_or_else(|| io::Error::other(message)));
        self.skipped.push(Skipped { path, reason });
    }

    fn is_new(&mut self, path: &Path) -> bool {
        self.known.insert(fs::canonicalize(path).unwrap_or_else(|_| path.to_owned()))
    }
}

/// The folder or file that a walk failed at.
fn failed_path(error: &ignore::Error) -> Option<&Path> {
    match error {
        ignore::Error::WithPath { path, .. } => Some(path),
        ignore::Error::WithDepth { err, .. } | ignore::Error::WithLineNumber { err, .. } => failed_path(err),
        _ => None,
    }
}

/// Finds out what a file is from its first bytes.
fn sniff(path: &Path) -> Sniffed {
    let head = match read_head(path) {
        Ok(head) if head.is_empty() => return Sniffed::Empty,
        Ok(head) => head,
        Err(error) => return Sniffed::Unreadable(error),
    };
    if let Some(id) = claude_code::recognise(&head, path) {
        Sniffed::Thread { agent: Agent::ClaudeCode, id, parent: None }
    } else if let Some(codex::Thread { id, parent, .. }) = codex::thread(&head, path) {
        Sniffed::Thread { agent: Agent::Codex, id, parent }
    } else {
        Sniffed::Unknown
    }
}

fn read_head(path: &Path) -> io::Result<Vec<u8>> {
    let file = File::open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("not a regular file"));
    }
    let mut head = Vec::new();
    file.take(HEAD_BYTES).read_to_end(&mut head)?;
    Ok(head)
}

/// Joins copies of a session, and threads with the session that started them where it is there.
fn group(threads: Vec<Thread>) -> Vec<SessionSource> {
    let parents: HashMap<(Agent, String), Option<String>> =
        threads.iter().map(|thread| ((thread.agent, thread.id.clone()), thread.parent.clone())).collect();
    let mut groups: BTreeMap<(Agent, String), Vec<PathBuf>> = BTreeMap::new();
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
        groups.entry(root).or_default().push(thread.path);
    }
    let mut sources: Vec<SessionSource> = groups
        .into_iter()
        .map(|((agent, native_id), mut files)| {
            files.sort();
            SessionSource { id: SessionId::new(agent, &native_id), agent, native_id, files }
        })
        .collect();
    sources.sort_by(|a, b| (&a.files, &a.id).cmp(&(&b.files, &b.id)));
    sources
}

fn extension(path: &Path) -> Option<String> {
    Some(path.extension()?.to_str()?.to_ascii_lowercase())
}

fn is_obviously_not_data(path: &Path) -> bool {
    extension(path).is_some_and(|extension| NOT_DATA.contains(&extension.as_str()))
}

/// Whether a user would expect a file of this name to be used: JSON in one of its forms.
fn looks_like_data(path: &Path) -> bool {
    extension(path).is_some_and(|extension| matches!(extension.as_str(), "json" | "jsonl" | "ndjson"))
}

fn has_wildcard(path: &Path) -> bool {
    path.to_str().is_some_and(|path| path.contains(['*', '?', '[', '{']))
}

/// The folder that a pattern begins in, and the pattern below it.
fn split_pattern(path: &Path) -> (PathBuf, String) {
    let mut root = PathBuf::new();
    let mut pattern = String::new();
    for component in path.components() {
        let literal = pattern.is_empty() && !has_wildcard(Path::new(component.as_os_str()));
        if literal || matches!(component, Component::Prefix(_) | Component::RootDir) {
            root.push(component);
        } else {
            pattern.push('/');
            pattern.push_str(&component.as_os_str().to_string_lossy());
        }
    }
    if root.as_os_str().is_empty() {
        root.push(".");
    }
    (root, pattern)
}

/// A pattern with the shell's rules: `*` stays within a folder's name, `**` crosses folders.
fn glob(pattern: &str) -> Result<Gitignore, ignore::Error> {
    let mut builder = GitignoreBuilder::new("");
    builder.add_line(None, pattern)?;
    builder.build()
}

/// Whether `pattern` matches the file or a folder above it, up to `root`.
fn matches(pattern: &Gitignore, root: &Path, file: &Path) -> bool {
    let Ok(below) = file.strip_prefix(root) else { return false };
    below.components().next().is_some() && pattern.matched_path_or_any_parents(below, false).is_ignore()
}
