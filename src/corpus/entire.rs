//! Takes the checkpoints of Entire found in a folder or a repository; adds their transcripts to a gathering, each once, and what was recorded
//! beside them.

use super::checkpoints::{self, CheckpointFolder, SessionFolder};
use super::commits::{self, Links};
use super::gathering::Gathering;
use super::place::{Holder, Place};
use super::references::References;
use super::repository::{self, OpenError, Repository};
use super::sniff::{self, Sniffed, Thread};
use super::{CorpusError, SkipReason, Skipped};
use crate::session::Agent;
use crate::session::entire::{self, Checkpoint, Names};
use gix_hash::ObjectId;
use rayon::prelude::*;
use std::collections::{BTreeSet, HashMap};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What Entire recorded of a session in one checkpoint: where it is, so that it is read with the session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// The checkpoint's id.
    pub checkpoint: String,
    /// The session's metadata.
    pub session: Option<Place>,
    /// The metadata of the checkpoint as a whole.
    pub whole: Option<Place>,
    /// Hashes of the commits that name the checkpoint, the oldest first.
    pub commits: Vec<String>,
}

impl Record {
    /// Reads what was recorded.
    ///
    /// # Errors
    /// Those of [`Place::read`]. Metadata that cannot be understood is an error too.
    pub fn read(&self) -> io::Result<Checkpoint> {
        let bytes = |place: &Option<Place>| place.as_ref().map(Place::read).transpose();
        let (session, whole) = (bytes(&self.session)?, bytes(&self.whole)?);
        let damaged = || io::Error::new(io::ErrorKind::InvalidData, "no metadata");
        let mut checkpoint =
            entire::read(&self.checkpoint, session.as_deref(), whole.as_deref()).ok_or_else(damaged)?;
        checkpoint.commits.clone_from(&self.commits);
        Ok(checkpoint)
    }
}

/// A git repository whose checkpoints were read instead of its files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundRepository {
    /// Its folder.
    pub path: PathBuf,
    /// The references that hold the checkpoints, for people.
    pub references: String,
    /// How many checkpoints there are.
    pub checkpoints: usize,
    /// The commit of the branch of checkpoints, if they are on a branch.
    pub commit: Option<String>,
    /// Whether the folder has no work tree.
    pub is_bare: bool,
    /// Whether it is a shallow clone, so that commits are missing which may name a checkpoint.
    pub is_shallow: bool,
}

/// What a folder is.
pub(super) enum Opened {
    /// No repository, or one without checkpoints.
    Plain,
    /// A repository with checkpoints.
    Checkpoints(Box<(Repository, References)>),
    /// A repository that cannot be looked into.
    Unsupported(OpenError),
}

/// Looks whether `folder` is a repository with checkpoints.
pub(super) fn open(folder: &Path) -> Opened {
    let Some(location) = repository::locate(folder) else { return Opened::Plain };
    match Repository::open(location, folder.to_owned()) {
        Ok(repository) => {
            let references = References::of(&repository);
            match references.hold_checkpoints() {
                true => Opened::Checkpoints(Box::new((repository, references))),
                false => Opened::Plain,
            }
        }
        Err(error) => Opened::Unsupported(error),
    }
}

/// What tells a transcript from others before it is read.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Identity {
    Objects(Vec<ObjectId>),
    File(PathBuf),
}

impl Identity {
    fn of(place: &Place) -> Identity {
        match &place.holder {
            Holder::Blob { id, .. } => Identity::Objects(vec![*id]),
            Holder::Parts(parts) => {
                let each: Vec<Identity> = parts.iter().map(Identity::of).collect();
                let objects = each.iter().filter_map(|part| match part {
                    Identity::Objects(ids) => Some(ids.as_slice()),
                    Identity::File(_) => None,
                });
                let objects: Vec<ObjectId> = objects.flatten().copied().collect();
                if objects.len() == parts.len() {
                    Identity::Objects(objects)
                } else {
                    Identity::File(place.path.clone())
                }
            }
            Holder::File | Holder::Span { .. } | Holder::Rows(_) | Holder::Record(_) => {
                Identity::File(place.path.clone())
            }
        }
    }
}

/// Whose transcripts some objects are, if they are transcripts: known for all repositories, since an object's id stands for its bytes.
#[derive(Debug, Default)]
pub(super) struct Known(HashMap<Identity, Option<(Agent, String)>>);

/// A transcript that is to be looked into, with the name that the agent gave it.
struct Candidate {
    identity: Identity,
    place: Place,
    hint: PathBuf,
}

impl Gathering {
    /// Adds the checkpoints of a repository. That it has none which can be read is an error where the repository was named.
    pub(super) fn add_repository(
        &mut self,
        repository: Repository,
        mut references: References,
        is_named: bool,
    ) -> Result<bool, CorpusError> {
        let path = repository.shown().to_owned();
        if !self.is_new(&repository.identity()) {
            return Ok(true);
        }
        let repository = Arc::new(repository);
        let (trees, mut errors) = references.trees(&repository);
        let read: Vec<(CheckpointFolder, Vec<(PathBuf, io::Error)>)> =
            trees.par_iter().map(|tree| tree.read(&repository)).collect();
        let mut folders = Vec::with_capacity(read.len());
        for (folder, wrong) in read {
            folders.push(folder);
            errors.extend(wrong);
        }
        let mut links = commits::links(&repository, &references.tips);
        errors.extend(links.errors.drain(..).chain(references.errors.drain(..)).map(|error| (path.clone(), error)));
        let before = self.skipped.len();
        self.skipped
            .extend(errors.into_iter().map(|(path, error)| Skipped { path, reason: SkipReason::Unreadable(error) }));
        let found = self.add_checkpoints(folders, &links);
        if found == 0 && is_named {
            let why = self.skipped.get(before).map(|skipped| match &skipped.reason {
                SkipReason::Unreadable(error) => error.to_string(),
                reason => format!("{}: {reason}", skipped.path.display()),
            });
            return Err(match why {
                Some(reason) => CorpusError::UnreadableCheckpoints { path, reason },
                None => CorpusError::NoCheckpoints { path },
            });
        }
        self.repositories.push(FoundRepository {
            path,
            references: references.described(),
            checkpoints: trees.len(),
            commit: references.branch.as_ref().map(|(_, id)| id.to_hex().to_string()),
            is_bare: repository.is_bare(),
            is_shallow: links.is_shallow,
        });
        Ok(found > 0)
    }

    /// Adds the transcripts of checkpoints; gives how many sessions of checkpoints have one.
    pub(super) fn add_checkpoints(&mut self, folders: Vec<CheckpointFolder>, links: &Links) -> usize {
        let named: Vec<Vec<Option<Result<Names, SkipReason>>>> =
            folders.par_iter().map(|folder| folder.sessions.iter().map(names).collect()).collect();
        let mut candidates: Vec<Candidate> = Vec::new();
        for (folder, names) in folders.iter().zip(&named) {
            let mut add = |place: &Place, hint: PathBuf| {
                let identity = Identity::of(place);
                if self.is_unknown(&identity) {
                    candidates.push(Candidate { identity, place: place.clone(), hint });
                }
            };
            for (session, names) in folder.sessions.iter().zip(names) {
                let id = names.as_ref().and_then(|names| names.as_ref().ok()?.session.as_deref());
                if let Some(place) = &session.transcript {
                    add(place, session.path.join(format!("{}.json", id.unwrap_or("full"))));
                }
            }
            folder.tasks.iter().for_each(|task| add(task, task.path.clone()));
        }
        // In memory at any time is one transcript a worker thread.
        let sniffed: Vec<(Identity, PathBuf, Sniffed)> = candidates
            .into_par_iter()
            .map(|Candidate { identity, place, hint }| {
                let sniffed = sniff::transcript(&place, &hint);
                (identity, place.path, sniffed)
            })
            .collect();
        let mut threads: HashMap<Identity, Thread> = HashMap::new();
        for (identity, path, sniffed) in sniffed {
            let reason = match sniffed {
                Sniffed::Threads(mut found) => match found.pop() {
                    Some(thread) => {
                        self.known_transcripts.0.insert(identity.clone(), Some((thread.agent, thread.id.clone())));
                        threads.insert(identity, thread);
                        continue;
                    }
                    None => SkipReason::NotATranscript,
                },
                Sniffed::Empty => SkipReason::Empty,
                Sniffed::Unreadable(error) => SkipReason::Unreadable(error),
                Sniffed::Table(_) | Sniffed::FaultyTable(_) | Sniffed::Chats(_) | Sniffed::Piece | Sniffed::Unknown => {
                    SkipReason::NotATranscript
                }
            };
            self.skipped.push(Skipped { path, reason });
        }
        folders
            .into_iter()
            .zip(named)
            .map(|(folder, names)| self.add_checkpoint(folder, names, links, &mut threads))
            .sum()
    }

    /// Adds one checkpoint, with transcripts that are not in the gathering yet from `threads`.
    fn add_checkpoint(
        &mut self,
        folder: CheckpointFolder,
        names: Vec<Option<Result<Names, SkipReason>>>,
        links: &Links,
        threads: &mut HashMap<Identity, Thread>,
    ) -> usize {
        let mut sessions: BTreeSet<(Agent, String)> = BTreeSet::new();
        let mut found = 0;
        for (session, names) in folder.sessions.into_iter().zip(names) {
            let SessionFolder { path, mut metadata, transcript, missing_part, is_retold } = session;
            if let Some(path) = missing_part {
                let error = io::Error::new(io::ErrorKind::NotFound, "this part of a transcript is missing");
                self.skipped.push(Skipped { path, reason: SkipReason::Unreadable(error) });
            }
            let id = folder.id.clone().or_else(|| Some(names.as_ref()?.as_ref().ok()?.checkpoint.clone()));
            if let Some(Err(reason)) = names
                && let Some(metadata) = metadata.take()
            {
                self.skipped.push(Skipped { path: metadata.path, reason });
            }
            let Some(transcript) = transcript else {
                let reason = if is_retold { SkipReason::OnlyRetold } else { SkipReason::NoTranscript };
                self.skipped.push(Skipped { path, reason });
                continue;
            };
            let identity = Identity::of(&transcript);
            let Some(Some((agent, native_id))) = self.known_transcripts.0.get(&identity).cloned() else { continue };
            found += 1;
            self.threads.extend(threads.remove(&identity));
            sessions.insert((agent, native_id.clone()));
            if let Some(checkpoint) = id {
                let commits = links.by_checkpoint.get(&checkpoint).cloned().unwrap_or_default();
                let record = Record { checkpoint, session: metadata, whole: folder.metadata.clone(), commits };
                self.records.push((agent, native_id, record));
            }
        }
        for task in folder.tasks {
            let Some(mut thread) = threads.remove(&Identity::of(&task)) else { continue };
            let is_known = |id: &String| sessions.contains(&(thread.agent, id.clone()));
            let belongs = is_known(&thread.id) || thread.parent.as_ref().is_some_and(is_known);
            let mut of_agent = sessions.iter().filter(|(agent, _)| *agent == thread.agent);
            if let (false, Some((_, only)), None) = (belongs, of_agent.next(), of_agent.next()) {
                thread.id.clone_from(only);
                thread.parent = None;
            }
            self.threads.push(thread);
        }
        found
    }

    /// Whether a transcript has not been seen; from now on it has.
    fn is_unknown(&mut self, identity: &Identity) -> bool {
        if self.known_transcripts.0.contains_key(identity) {
            return false;
        }
        self.known_transcripts.0.insert(identity.clone(), None);
        match identity {
            Identity::Objects(_) => true,
            Identity::File(path) => self.is_new(path),
        }
    }

    /// Adds the checkpoints among files; gives how many transcripts they have, and leaves the files that are no part of them.
    pub(super) fn take_checkpoints(&mut self, files: &mut Vec<PathBuf>, seen: &mut super::Seen) -> usize {
        let (folders, taken) = checkpoints::in_files(files);
        files.retain(|file| !taken.contains(file));
        taken.iter().for_each(|file| seen.add(file));
        self.add_checkpoints(folders, &Links::default())
    }
}

/// Whose metadata a session's is; none where there is no metadata.
fn names(session: &SessionFolder) -> Option<Result<Names, SkipReason>> {
    let bytes = session.metadata.as_ref()?.read();
    Some(match bytes {
        Ok(bytes) => entire::names(&bytes).ok_or(SkipReason::Metadata),
        Err(error) => Err(SkipReason::Unreadable(error)),
    })
}
