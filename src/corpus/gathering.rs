//! Takes a user's paths one by one; gives the transcripts behind them, and what was left aside and why.

use super::{CorpusError, Seen, SkipReason, Skipped, pattern};
use crate::session::{Agent, chat, claude_code, codex, copilot, cursor, gemini_cli, open_code};
use ignore::WalkBuilder;
use ignore::gitignore::Gitignore;
use rayon::prelude::*;
use std::collections::HashSet;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// How much of a file is read to find out what it is, in bytes: a first row with long instructions fits.
const HEAD_BYTES: u64 = 256 * 1024;

/// A first row that is longer is not waited for, in bytes.
const LONGEST_HEAD_BYTES: u64 = 256 * 1024 * 1024;

/// Extensions of files that are never a transcript; they are counted, not opened.
const NOT_DATA: &[&str] = &[
    "7z", "avif", "bmp", "bz2", "c", "cfg", "class", "cpp", "css", "csv", "dll", "doc", "docx", "dylib", "exe", "gif",
    "go", "gz", "h", "html", "ico", "ini", "ipynb", "jar", "java", "jpeg", "jpg", "js", "jsx", "kt", "lock", "lua",
    "md", "mov", "mp3", "mp4", "o", "otf", "parquet", "pdf", "php", "png", "pptx", "py", "pyc", "rb", "rs", "scss",
    "sh", "so", "sql", "svg", "swift", "tar", "tgz", "tiff", "toml", "ts", "tsv", "tsx", "ttf", "vue", "wasm", "wav",
    "webm", "webp", "woff", "woff2", "xlsx", "xml", "xz", "yaml", "yml", "zip", "zst",
];

/// A transcript file and the thread of conversation in it.
#[derive(Debug)]
pub(super) struct Thread {
    pub path: PathBuf,
    pub agent: Agent,
    pub id: String,
    /// The thread that started this one as its subagent.
    pub parent: Option<String>,
}

/// What a file's head says about it.
enum Sniffed {
    /// The threads in the file. Where one thread is spread over several files, they come with the one that names it.
    Threads(Vec<Thread>),
    /// A part of a thread that another file names.
    Piece,
    /// Plain chats.
    Chats(chat::Found),
    Empty,
    Unknown,
    Unreadable(io::Error),
}

/// What the paths held so far.
#[derive(Default)]
pub(super) struct Gathering {
    pub threads: Vec<Thread>,
    /// Plain chats, of which a file may hold many.
    pub chats: Vec<(PathBuf, chat::Conversation)>,
    pub skipped: Vec<Skipped>,
    pub other_files: usize,
    /// Files that hold a part of a thread which another file names.
    pieces: Vec<PathBuf>,
    /// Canonical paths, so that no file counts twice when two of the user's paths overlap.
    known: HashSet<PathBuf>,
}

impl Gathering {
    /// Adds what a user's path stands for.
    pub(super) fn add(&mut self, path: &Path) -> Result<(), CorpusError> {
        match fs::metadata(path) {
            Ok(metadata) if metadata.is_dir() => {
                let files = self.walk(path, None);
                self.add_many(path, files)
            }
            Ok(_) => self.add_named(path),
            Err(_) if pattern::has_wildcard(path) => {
                let (root, below) = pattern::split(path);
                let pattern = pattern::compile(&below)
                    .map_err(|source| CorpusError::Pattern { path: path.to_owned(), source })?;
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
            Sniffed::Threads(threads) => {
                self.add_threads(&path, threads);
                Ok(())
            }
            Sniffed::Chats(found) => {
                self.add_chats(path, found);
                Ok(())
            }
            Sniffed::Empty => Err(CorpusError::Empty { path }),
            Sniffed::Unknown | Sniffed::Piece => Err(CorpusError::NotATranscript { path }),
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
                Sniffed::Threads(threads) => {
                    found = true;
                    self.add_threads(&path, threads);
                    continue;
                }
                Sniffed::Piece => {
                    seen.add(&path);
                    self.pieces.push(path);
                    continue;
                }
                Sniffed::Chats(chats) => {
                    found = true;
                    self.add_chats(path, chats);
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

    /// Adds the chats of a file, and says what of it holds none.
    fn add_chats(&mut self, path: PathBuf, found: chat::Found) {
        if !self.is_new(&path) {
            return;
        }
        let chat::Found { conversations, others } = found;
        self.chats.extend(conversations.into_iter().map(|conversation| (path.clone(), conversation)));
        if others > 0 {
            self.skipped.push(Skipped { path, reason: SkipReason::PartlyUsed { others } });
        }
    }

    /// Adds the threads that the file at `path` holds or names.
    fn add_threads(&mut self, path: &Path, threads: Vec<Thread>) {
        if !self.is_new(path) {
            return;
        }
        for thread in threads {
            // Of the other files of a thread some may belong to another copy already.
            if thread.path == path || self.is_new(&thread.path) {
                self.threads.push(thread);
            }
        }
    }

    /// Ends the gathering: pieces that no thread has claimed are told of.
    pub(super) fn finish(mut self) -> Gathering {
        for path in std::mem::take(&mut self.pieces) {
            if self.is_new(&path) {
                self.skipped.push(Skipped { path, reason: SkipReason::Piece });
            }
        }
        self
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
            if kind.is_dir() || !pattern.is_none_or(|pattern| pattern::matches(pattern, root, entry.path())) {
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
    let one = |agent, id, parent| Sniffed::Threads(vec![Thread { path: path.to_owned(), agent, id, parent }]);
    if let Some(id) = claude_code::recognise(&head, path) {
        one(Agent::ClaudeCode, id, None)
    } else if let Some(codex::Thread { id, parent, .. }) = codex::thread(&head, path) {
        one(Agent::Codex, id, parent)
    } else if let Some(gemini_cli::Thread { id, parent, .. }) = gemini_cli::thread(&head, path) {
        one(Agent::GeminiCli, id, parent)
    } else if let Some(found) = open_code::find(&head, path) {
        open_code_threads(found, path)
    } else if let Some(id) = copilot::recognise(&head, path) {
        one(Agent::Copilot, id, None)
    } else if let Some(id) = cursor::recognise(&head, path) {
        one(Agent::Cursor, id, None)
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

/// The threads in a file of OpenCode: one, many, or one that is spread over other files too.
fn open_code_threads(found: open_code::Found, path: &Path) -> Sniffed {
    let thread = |path: &Path, thread: &open_code::Thread| Thread {
        path: path.to_owned(),
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
    })
}

fn read_head(path: &Path) -> io::Result<Vec<u8>> {
    let file = File::open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("not a regular file"));
    }
    let mut head = Vec::with_capacity(file.metadata()?.len().min(HEAD_BYTES) as usize + 1);
    let mut file = file;
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

/// A file's extension in lower case.
pub(super) fn extension(path: &Path) -> Option<String> {
    Some(path.extension()?.to_str()?.to_ascii_lowercase())
}

fn is_obviously_not_data(path: &Path) -> bool {
    extension(path).is_some_and(|extension| NOT_DATA.contains(&extension.as_str()))
}

/// Whether a user would expect a file of this name to be used: JSON in one of its forms. Claude Code writes a `.meta.json` beside each
/// subagent's transcript; it holds no conversation.
fn looks_like_data(path: &Path) -> bool {
    let is_sidecar = path.file_name().is_some_and(|name| name.to_string_lossy().ends_with(".meta.json"));
    !is_sidecar && extension(path).is_some_and(|extension| matches!(extension.as_str(), "json" | "jsonl" | "ndjson"))
}
