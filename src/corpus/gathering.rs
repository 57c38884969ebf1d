//! Takes a user's paths one by one; gives the transcripts behind them, and what was left aside and why.

use super::checkpoints::TRANSCRIPT;
use super::entire::{self, FoundRepository, Known, Opened, Record};
use super::references::References;
use super::repository::{self, OpenError, Repository};
use super::sniff::{self, Sniffed, Thread};
use super::tables::Found;
use super::{CorpusError, Seen, SkipReason, Skipped, pattern};
use crate::session::{Agent, chat};
use ignore::WalkBuilder;
use ignore::gitignore::Gitignore;
use rayon::prelude::*;
use std::collections::HashSet;
use std::ffi::OsStr;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc;

/// Extensions of files that are never a transcript; they are counted, not opened.
const NOT_DATA: &[&str] = &[
    "7z", "avif", "bmp", "bz2", "c", "cfg", "class", "cpp", "css", "csv", "dll", "doc", "docx", "dylib", "exe", "gif",
    "go", "gz", "h", "html", "ico", "ini", "ipynb", "jar", "java", "jpeg", "jpg", "js", "jsx", "kt", "lock", "lua",
    "md", "mov", "mp3", "mp4", "o", "otf", "pdf", "php", "png", "pptx", "py", "pyc", "rb", "rs", "scss", "sh", "so",
    "sql", "svg", "swift", "tar", "tgz", "tiff", "toml", "ts", "tsv", "tsx", "ttf", "vue", "wasm", "wav", "webm",
    "webp", "woff", "woff2", "xlsx", "xml", "xz", "yaml", "yml", "zip", "zst",
];

/// What a walk came by.
struct Walked {
    files: Vec<PathBuf>,
    /// How many symbolic links, to files or folders.
    links: usize,
    /// Repositories with checkpoints.
    repositories: Vec<(Repository, References)>,
}

/// What the paths held so far.
#[derive(Default)]
pub(super) struct Gathering {
    pub threads: Vec<Thread>,
    /// Plain chats, of which a file may hold many.
    pub chats: Vec<(PathBuf, chat::Conversation)>,
    /// Tables of sessions.
    pub tables: Vec<Found>,
    pub skipped: Vec<Skipped>,
    pub other_files: usize,
    /// Repositories whose checkpoints were read.
    pub repositories: Vec<FoundRepository>,
    /// What was recorded beside transcripts, by agent and thread.
    pub records: Vec<(Agent, String, Record)>,
    /// Whose the transcripts in checkpoints are.
    pub known_transcripts: Known,
    /// Files that are no transcript of their own, but may be a part of one which another file names.
    pieces: Vec<Skipped>,
    /// Canonical paths, so that no file counts twice when two of the user's paths overlap.
    known: HashSet<PathBuf>,
}

impl Gathering {
    /// Adds what a user's path stands for.
    pub(super) fn add(&mut self, path: &Path) -> Result<(), CorpusError> {
        match fs::metadata(path) {
            Ok(metadata) if metadata.is_dir() => match entire::open(path) {
                Opened::Checkpoints(opened) => self.add_repository(opened.0, opened.1, true).map(drop),
                other => {
                    if let Opened::Unsupported(error) = other {
                        self.skip_unsupported(path.to_owned(), error);
                    }
                    let walked = self.walk(path, None);
                    self.add_many(path, walked).map_err(|error| match error {
                        CorpusError::NoTranscript { path, seen } if repository::locate(&path).is_some() => {
                            CorpusError::NothingInRepository { path, seen }
                        }
                        error => error,
                    })
                }
            },
            Ok(_) => self.add_named(path),
            Err(_) if pattern::has_wildcard(path) => {
                let (root, below) = pattern::split(path);
                let pattern = pattern::compile(&below)
                    .map_err(|source| CorpusError::Pattern { path: path.to_owned(), source })?;
                let walked = self.walk(&root, Some(&pattern));
                match walked.files.is_empty() && walked.links == 0 && walked.repositories.is_empty() {
                    true => Err(CorpusError::NoMatch { path: path.to_owned() }),
                    false => self.add_many(path, walked),
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
        let mut files = vec![path.to_owned()];
        let is_transcript = path.file_name().is_some_and(|name| name == TRANSCRIPT);
        if is_transcript && self.take_checkpoints(&mut files, &mut Seen::default()) > 0 {
            return Ok(());
        }
        let path = path.to_owned();
        match sniff::file(&path) {
            Sniffed::Threads(threads) => {
                self.add_threads(&path, threads);
                Ok(())
            }
            Sniffed::Chats(found) => {
                self.add_chats(path, found);
                Ok(())
            }
            Sniffed::Table(table) => {
                self.add_table(table);
                Ok(())
            }
            Sniffed::FaultyTable(fault) => Err(CorpusError::Table { path, fault }),
            Sniffed::Empty => Err(CorpusError::Empty { path }),
            Sniffed::Unknown | Sniffed::Piece => Err(CorpusError::NotATranscript { path }),
            Sniffed::Unreadable(source) => Err(CorpusError::Unreadable { path, source }),
        }
    }

    /// Adds the transcripts among `files`, found at `asked`: there has to be one.
    fn add_many(&mut self, asked: &Path, walked: Walked) -> Result<(), CorpusError> {
        let Walked { mut files, links, repositories } = walked;
        let mut seen = Seen { links, ..Seen::default() };
        let mut found = self.take_checkpoints(&mut files, &mut seen) > 0;
        for (repository, references) in repositories {
            found |= self.add_repository(repository, references, false)?;
        }
        let sniffed: Vec<(PathBuf, Sniffed)> = files
            .into_par_iter()
            .map(|path| {
                let sniffed = if is_obviously_not_data(&path) { Sniffed::Unknown } else { sniff::file(&path) };
                (path, sniffed)
            })
            .collect();
        for (path, sniffed) in sniffed {
            let reason = match sniffed {
                Sniffed::Threads(threads) => {
                    found = true;
                    self.add_threads(&path, threads);
                    continue;
                }
                Sniffed::Piece => {
                    seen.add(&path);
                    self.pieces.push(Skipped { path, reason: SkipReason::Piece });
                    continue;
                }
                // Damage may have made it unknown: the session that it belongs to still names it.
                Sniffed::Unknown if looks_like_data(&path) => {
                    seen.add(&path);
                    self.pieces.push(Skipped { path, reason: SkipReason::NotATranscript });
                    continue;
                }
                Sniffed::Chats(chats) => {
                    found = true;
                    self.add_chats(path, chats);
                    continue;
                }
                Sniffed::Table(table) => {
                    found = true;
                    self.add_table(table);
                    continue;
                }
                Sniffed::FaultyTable(fault) => SkipReason::Table(fault),
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

    fn add_table(&mut self, table: Found) {
        if self.is_new(table.path()) {
            self.tables.push(table);
        }
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
            if thread.place.path == path || self.is_new(&thread.place.path) {
                self.threads.push(thread);
            }
        }
    }

    /// Ends the gathering: pieces that no thread has claimed are told of.
    pub(super) fn finish(mut self) -> Gathering {
        for piece in std::mem::take(&mut self.pieces) {
            if self.is_new(&piece.path) {
                self.skipped.push(piece);
            }
        }
        self
    }

    /// The files below `root`, sorted by name within each folder; only those that `pattern` matches, or a folder above them. Repositories with
    /// checkpoints are not entered, unless the pattern asks for something in them.
    fn walk(&mut self, root: &Path, pattern: Option<&Gitignore>) -> Walked {
        let is_asked_for = {
            let (root, pattern) = (root.to_owned(), pattern.cloned());
            move |path: &Path| pattern.as_ref().is_none_or(|pattern| pattern::matches(pattern, &root, path))
        };
        let (sender, opened) = mpsc::channel();
        let mut builder = WalkBuilder::new(root);
        let is_repository = is_asked_for.clone();
        builder.standard_filters(false).sort_by_file_name(OsStr::cmp).filter_entry(move |entry| {
            let is_folder = entry.depth() > 0 && entry.file_type().is_some_and(|kind| kind.is_dir());
            if !is_folder {
                return entry.file_name() != ".git" || entry.depth() == 0;
            }
            if entry.file_name() == ".git" {
                return false;
            }
            match if is_repository(entry.path()) { entire::open(entry.path()) } else { Opened::Plain } {
                Opened::Plain => true,
                Opened::Checkpoints(opened) => {
                    // The other end outlives the walk.
                    drop(sender.send(Ok(opened)));
                    false
                }
                Opened::Unsupported(error) => {
                    drop(sender.send(Err((entry.path().to_owned(), error))));
                    true
                }
            }
        });
        let mut files = Vec::new();
        let mut links = 0;
        for entry in builder.build() {
            let entry = match entry {
                Ok(entry) => entry,
                Err(error) => {
                    self.skip_unreadable(root, error);
                    continue;
                }
            };
            let Some(kind) = entry.file_type() else { continue };
            if kind.is_dir() || !is_asked_for(entry.path()) {
                continue;
            }
            if kind.is_file() {
                files.push(entry.into_path());
                continue;
            }
            // The root itself may be a link: the user named it.
            if entry.depth() == 0 {
                continue;
            }
            let reason = match kind.is_symlink() {
                true => SkipReason::SymbolicLink,
                false => SkipReason::Unreadable(io::Error::other(sniff::NOT_REGULAR)),
            };
            links += usize::from(kind.is_symlink());
            if looks_like_data(entry.path()) && self.is_new(entry.path()) {
                self.skipped.push(Skipped { path: entry.into_path(), reason });
            }
        }
        drop(builder);
        let mut repositories = Vec::new();
        for opened in opened.try_iter() {
            match opened {
                Ok(opened) => repositories.push(*opened),
                Err((path, error)) => self.skip_unsupported(path, error),
            }
        }
        Walked { files, links, repositories }
    }

    fn skip_unsupported(&mut self, path: PathBuf, error: OpenError) {
        let reason = SkipReason::Unreadable(io::Error::new(io::ErrorKind::Unsupported, error.to_string()));
        self.skipped.push(Skipped { path: path.join(".git"), reason });
    }

    fn skip_unreadable(&mut self, root: &Path, error: ignore::Error) {
        let path = failed_path(&error).unwrap_or(root).to_owned();
        let message = error.to_string();
        let reason = SkipReason::Unreadable(error.into_io_error().unwrap_or_else(|| io::Error::other(message)));
        self.skipped.push(Skipped { path, reason });
    }

    /// Whether a file, or the folder of a repository's objects, has not been seen; from now on it has.
    pub(super) fn is_new(&mut self, path: &Path) -> bool {
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

/// A file's extension in lower case.
pub(super) fn extension(path: &Path) -> Option<String> {
    Some(path.extension()?.to_str()?.to_ascii_lowercase())
}

fn is_obviously_not_data(path: &Path) -> bool {
    extension(path).is_some_and(|extension| NOT_DATA.contains(&extension.as_str()))
}

/// Whether a user would expect a file of this name to be used: JSON in one of its forms, or a table. Claude Code writes a `.meta.json` beside each
/// subagent's transcript; it holds no conversation.
fn looks_like_data(path: &Path) -> bool {
    let is_sidecar = path.file_name().is_some_and(|name| name.to_string_lossy().ends_with(".meta.json"));
    !is_sidecar
        && extension(path)
            .is_some_and(|extension| matches!(extension.as_str(), "json" | "jsonl" | "ndjson" | "parquet"))
}
