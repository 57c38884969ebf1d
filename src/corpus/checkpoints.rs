//! Takes files of a folder, or trees of a git repository; gives the checkpoints of Entire in them.
//!
//! A checkpoint is a folder: `metadata.json`, for each of its sessions a folder `0`, `1`, … (some may be missing) and `tasks`. In a
//! session's folder lie `full.jsonl` (the transcript as the agent wrote it, in several files where it is long), `metadata.json` and notes.
//! A subagent's transcript is `tasks/<call>/agent-<id>.jsonl`, in the checkpoint's folder or the session's.

use super::place::{Holder, Place};
use super::repository::{Entry, Repository};
use crate::session::entire::{self, Names};
use gix_hash::ObjectId;
use rayon::prelude::*;
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::ffi::OsStr;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The transcript as the agent wrote it.
pub(super) const TRANSCRIPT: &str = "full.jsonl";

/// The transcript as Entire retells it: without cached tokens, and with skills that look like prompts.
const RETOLD: &str = "transcript.jsonl";

const METADATA: &str = "metadata.json";

/// What else lies in a session's folder.
const NOTES: [&str; 4] = ["prompt.txt", "context.md", "content_hash.txt", "summary.txt"];

/// Folders of a checkpoint beside those of its sessions.
const FOLDERS: [&str; 2] = ["tasks", "assets"];

/// A checkpoint, or what is there of it.
#[derive(Debug, Default)]
pub(super) struct CheckpointFolder {
    /// Its id, where the place says it.
    pub id: Option<String>,
    /// The metadata of the checkpoint as a whole.
    pub metadata: Option<Place>,
    pub sessions: Vec<SessionFolder>,
    /// Transcripts of subagents.
    pub tasks: Vec<Place>,
}

/// A session in a checkpoint.
#[derive(Debug)]
pub(super) struct SessionFolder {
    /// What people are shown.
    pub path: PathBuf,
    pub metadata: Option<Place>,
    pub transcript: Option<Place>,
    /// A part of the transcript that should be there.
    pub missing_part: Option<PathBuf>,
    /// Whether there is a transcript in Entire's words.
    pub is_retold: bool,
}

/// The number of a part: none for a name that is no part of a transcript.
fn part_number(name: &str) -> Option<u32> {
    match name.strip_prefix(TRANSCRIPT)? {
        "" => Some(0),
        rest => rest
            .strip_prefix('.')
            .filter(|digits| !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()))?
            .parse()
            .ok(),
    }
}

/// A session's folder, from its files. `shown` names a file for people.
fn session_folder(path: PathBuf, files: Vec<(String, Place)>, shown: impl Fn(&str) -> PathBuf) -> SessionFolder {
    let mut parts: BTreeMap<u32, Place> = BTreeMap::new();
    let mut metadata = None;
    let mut is_retold = false;
    for (name, place) in files {
        if let Some(number) = part_number(&name) {
            parts.insert(number, place);
        } else if name == METADATA {
            metadata = Some(place);
        } else {
            is_retold |= name == RETOLD;
        }
    }
    let missing = (0..).zip(parts.keys()).find(|(expected, number)| expected != *number).map(|(expected, _)| expected);
    let missing_part = missing.map(|number| match number {
        0 => shown(TRANSCRIPT),
        _ => shown(&format!("{TRANSCRIPT}.{number:03}")),
    });
    let mut parts: Vec<Place> = parts.into_values().collect();
    let transcript = match parts.len() {
        0 | 1 => parts.pop(),
        _ => Some(Place { path: parts[0].path.clone(), holder: Holder::Parts(parts) }),
    };
    SessionFolder { path, metadata, transcript, missing_part, is_retold }
}

/// The checkpoints among `files` (and what belongs to them but is not listed), and which of the files they take.
pub(super) fn in_files(files: &[PathBuf]) -> (Vec<CheckpointFolder>, HashSet<PathBuf>) {
    let folders_with = |wanted: fn(&str) -> bool| -> BTreeSet<&Path> {
        let named = |path: &&PathBuf| path.file_name().and_then(OsStr::to_str).is_some_and(wanted);
        files.iter().filter(named).filter_map(|path| path.parent()).collect()
    };
    // Whatever stands beside a transcript, or a folder above it, counts even where only the transcript was asked for.
    let mut folders = folders_with(|name| name == METADATA);
    let transcripts = folders_with(|name| part_number(name).is_some());
    for folder in &transcripts {
        folders.insert(folder);
        folders.extend(folder.parent());
    }
    let known: BTreeMap<&Path, Names> = folders
        .into_par_iter()
        .filter_map(|folder| Some((folder, entire::names(&fs::read(folder.join(METADATA)).ok()?)?)))
        .collect();
    let sessions = known.iter().filter(|(_, names)| names.session.is_some()).map(|(folder, _)| *folder);
    let split = transcripts.iter().filter(|folder| folder.join(format!("{TRANSCRIPT}.001")).is_file()).copied();
    let sessions: BTreeSet<&Path> = sessions.chain(split).collect();
    if known.is_empty() && sessions.is_empty() {
        return Default::default();
    }
    let mut checkpoints: BTreeMap<&Path, CheckpointFolder> = BTreeMap::new();
    for folder in &sessions {
        let whole = folder.parent().filter(|above| known.contains_key(above)).unwrap_or(folder);
        let checkpoint = checkpoints.entry(whole).or_default();
        checkpoint.id = checkpoint.id.take().or_else(|| known.get(folder).map(|names| names.checkpoint.clone()));
        checkpoint.sessions.push(session_folder(folder.to_path_buf(), listing(folder), |name| folder.join(name)));
    }
    let mut taken = HashSet::new();
    for path in files {
        let Some((holder, below)) = path
            .ancestors()
            .skip(1)
            .find(|above| known.contains_key(above) || sessions.contains(above))
            .and_then(|above| Some((above, path.strip_prefix(above).ok()?)))
        else {
            continue;
        };
        let parts: Vec<&str> = below.iter().filter_map(OsStr::to_str).collect();
        let is_taken = match parts.as_slice() {
            [METADATA] => true,
            [name] => {
                sessions.contains(holder) && (part_number(name).is_some() || *name == RETOLD || NOTES.contains(name))
            }
            [folder, ..] => FOLDERS.contains(folder),
            [] => false,
        };
        if !is_taken {
            continue;
        }
        taken.insert(path.clone());
        if is_subagents(&parts) {
            let whole = holder.parent().filter(|above| known.contains_key(above)).unwrap_or(holder);
            checkpoints.entry(whole).or_default().tasks.push(Place::file(path.clone()));
        }
    }
    for (folder, checkpoint) in &mut checkpoints {
        if let Some(names) = known.get(folder).filter(|names| names.session.is_none()) {
            checkpoint.id = Some(names.checkpoint.clone());
            checkpoint.metadata = Some(Place::file(folder.join(METADATA)));
        }
    }
    (checkpoints.into_values().collect(), taken)
}

/// Whether a path in a checkpoint is a subagent's transcript.
fn is_subagents(parts: &[&str]) -> bool {
    matches!(parts, ["tasks", _, name] if name.starts_with("agent-") && name.ends_with(".jsonl"))
}

/// The files in a folder. One that cannot be listed has none.
fn listing(folder: &Path) -> Vec<(String, Place)> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let files = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_file()));
    files.filter_map(|entry| Some((entry.file_name().into_string().ok()?, Place::file(entry.path())))).collect()
}

/// A checkpoint's tree in a repository.
#[derive(Debug, Clone)]
pub(super) struct Tree {
    pub checkpoint: String,
    pub id: ObjectId,
    /// How its files are shown, up to their names.
    pub shown: String,
}

impl Tree {
    /// The checkpoint in this tree, and the trees in it that cannot be read.
    pub(super) fn read(&self, repository: &Arc<Repository>) -> (CheckpointFolder, Vec<(PathBuf, io::Error)>) {
        let mut reading = Reading { repository, errors: Vec::new() };
        let mut checkpoint = CheckpointFolder { id: Some(self.checkpoint.clone()), ..CheckpointFolder::default() };
        let entries = reading.entries(self.id, &self.shown);
        if entries.iter().any(|entry| !entry.is_tree && part_number(&entry.name).is_some()) {
            // Long ago a checkpoint was its only session's folder.
            checkpoint.sessions.push(reading.session(&entries, &self.shown));
        }
        for entry in entries {
            let shown = format!("{}{}", self.shown, entry.name);
            if !entry.is_tree {
                if entry.name == METADATA {
                    checkpoint.metadata = Some(reading.place(&entry, shown));
                }
            } else if entry.name == "tasks" {
                checkpoint.tasks.extend(reading.tasks(entry.id, &shown));
            } else if entry.name.bytes().all(|byte| byte.is_ascii_digit()) {
                let shown = format!("{shown}/");
                let files = reading.entries(entry.id, &shown);
                if let Some(tasks) = files.iter().find(|entry| entry.is_tree && entry.name == "tasks") {
                    checkpoint.tasks.extend(reading.tasks(tasks.id, &format!("{shown}tasks")));
                }
                if !files.is_empty() {
                    checkpoint.sessions.push(reading.session(&files, &shown));
                }
            }
        }
        (checkpoint, reading.errors)
    }
}

/// Reads trees and goes on where one cannot be read.
struct Reading<'a> {
    repository: &'a Arc<Repository>,
    errors: Vec<(PathBuf, io::Error)>,
}

impl Reading<'_> {
    fn entries(&mut self, tree: ObjectId, shown: &str) -> Vec<Entry> {
        self.repository.tree(tree).unwrap_or_else(|error| {
            self.errors.push((PathBuf::from(shown.trim_end_matches(['/', ':'])), error));
            Vec::new()
        })
    }

    fn place(&self, entry: &Entry, shown: String) -> Place {
        let holder = Holder::Blob { repository: Arc::clone(self.repository), id: entry.id };
        Place { path: PathBuf::from(shown), holder }
    }

    fn session(&self, entries: &[Entry], shown: &str) -> SessionFolder {
        let files = entries
            .iter()
            .filter(|entry| !entry.is_tree)
            .map(|entry| (entry.name.clone(), self.place(entry, format!("{shown}{}", entry.name))))
            .collect();
        let path = PathBuf::from(shown.trim_end_matches(['/', ':']));
        session_folder(path, files, |name| PathBuf::from(format!("{shown}{name}")))
    }

    fn tasks(&mut self, tree: ObjectId, shown: &str) -> Vec<Place> {
        let mut found = Vec::new();
        for call in self.entries(tree, shown).into_iter().filter(|entry| entry.is_tree) {
            let shown = format!("{shown}/{}", call.name);
            for entry in self.entries(call.id, &shown) {
                if !entry.is_tree && is_subagents(&["tasks", &call.name, &entry.name]) {
                    found.push(self.place(&entry, format!("{shown}/{}", entry.name)));
                }
            }
        }
        found
    }
}
