//! What a job is about: which sessions, which units of which tasks, and where each run goes. Reads every session once, keeps none.

use crate::codebook::{Codebook, Library, UnitKind};
use crate::corpus::{Corpus, Holder, Place};
use crate::filter::{Filter, FilterError};
use crate::run::FileVersion;
use crate::session::{ReadError, SessionSummary};
use crate::shard::Shard;
use crate::unit::Grouping;
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Why there is nothing to plan.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
pub enum PlanError {
    /// A transcript cannot be read.
    #[error(transparent)]
    Session(#[from] ReadError),
    /// The condition on sessions cannot be used.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Filter(#[from] FilterError),
    /// No session fulfils the condition.
    #[error("none of {0} sessions fulfils the condition")]
    #[diagnostic(help("`interrater sessions --json` shows what there is to compare"))]
    NothingLeft(usize),
    /// A transcript cannot be hashed.
    #[error("cannot read {path}: {source}", path = path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
}

/// What a job is about.
pub struct Plan {
    /// The transcripts.
    pub corpus: Corpus,
    /// The codebooks and partial templates.
    pub library: Library,
    /// One entry a session, in the corpus's order.
    pub sessions: Vec<SessionSummary>,
    /// The transcripts' hashes.
    pub inputs: Vec<FileVersion>,
    /// The tasks.
    pub tasks: Vec<TaskPlan>,
}

/// One task of a job.
pub struct TaskPlan {
    /// The codebook.
    pub codebook: Arc<Codebook>,
    /// The run's name.
    pub run: String,
    /// The run's folder.
    pub folder: PathBuf,
    /// `PROVIDER/MODEL@task-hash`; `/session` behind it where prompts of a session share a request.
    pub rater: String,
    /// Which units share a request, if any do.
    pub group: Option<Grouping>,
    /// How many units are annotated.
    pub units: usize,
    /// Which ones.
    pub selection: Selection,
    /// What `baseline/majority` answers.
    pub majority: Option<Map<String, Value>>,
}

/// Which units of a task are annotated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Selection {
    /// All.
    All,
    /// These, as (session's place in the corpus, unit's place in the session).
    Some(BTreeSet<(usize, usize)>),
}

impl Selection {
    /// Whether the unit is selected.
    pub fn holds(&self, session: usize, unit: usize) -> bool {
        match self {
            Selection::All => true,
            Selection::Some(chosen) => chosen.contains(&(session, unit)),
        }
    }

    /// How many of the `units` units of the session are selected.
    pub fn count(&self, session: usize, units: usize) -> usize {
        match self {
            Selection::All => units,
            Selection::Some(chosen) => chosen.range((session, 0)..(session + 1, 0)).count(),
        }
    }

    /// Whether any unit of the session is selected.
    pub fn touches(&self, session: usize) -> bool {
        match self {
            Selection::All => true,
            Selection::Some(chosen) => chosen.range((session, 0)..(session + 1, 0)).next().is_some(),
        }
    }
}

/// How many units of each task are annotated.
#[derive(Debug, Clone, Copy, Default)]
pub struct Sampling {
    /// At most so many.
    pub limit: Option<usize>,
    /// Drawn at random with this seed, rather than the first.
    pub shuffle: Option<u64>,
}

/// Reads every session once, for its summary. Sessions that cannot be read or do not fulfil `filter` leave the corpus.
pub fn survey(corpus: &mut Corpus, filter: Option<&Filter>) -> Result<Vec<SessionSummary>, PlanError> {
    let mut sessions = corpus.survey(|session| session.summary())?;
    if let Some(filter) = filter {
        let keep = filter.retain(&mut sessions)?;
        corpus.retain(&keep);
        if sessions.is_empty() {
            return Err(PlanError::NothingLeft(keep.len()));
        }
    }
    Ok(sessions)
}

/// Leaves the sessions of one part of the corpus; there may be none.
pub fn keep_shard(corpus: &mut Corpus, sessions: &mut Vec<SessionSummary>, shard: Shard) {
    let keep: Vec<bool> = sessions.iter().map(|session| shard.holds(&session.id)).collect();
    corpus.retain(&keep);
    sessions.retain(|session| shard.holds(&session.id));
}

/// What the sessions are read from, with hashes: each file once, though it may hold many sessions, and each repository once, though it may hold thousands of
/// transcripts.
pub fn inputs(corpus: &Corpus) -> Result<Vec<FileVersion>, PlanError> {
    let mut files: BTreeMap<&Path, &Place> = BTreeMap::new();
    let mut objects: BTreeMap<&Path, BTreeSet<String>> = BTreeMap::new();
    let mut places: Vec<&Place> = corpus.sources().iter().flat_map(|source| &source.places).collect();
    while let Some(place) = places.pop() {
        match &place.holder {
            Holder::File | Holder::Span { .. } | Holder::Rows(_) | Holder::Record(_) => {
                files.insert(&place.path, place);
            }
            Holder::Blob { repository, id } => {
                objects.entry(repository.shown()).or_default().insert(id.to_string());
            }
            Holder::Parts(parts) => places.extend(parts),
        }
    }
    let mut inputs = files
        .into_par_iter()
        .map(|(path, place)| {
            let mut hasher = blake3::Hasher::new();
            place.hash(&mut hasher).map_err(|source| PlanError::Io { path: path.to_owned(), source })?;
            Ok(FileVersion { path: path.to_owned(), hash: hasher.finalize().to_hex().to_string(), commit: None })
        })
        .collect::<Result<Vec<_>, PlanError>>()?;
    for (path, ids) in objects {
        let list: String = ids.into_iter().map(|id| id + "\n").collect();
        let repository = corpus.repositories().iter().find(|repository| repository.path == path);
        inputs.push(FileVersion {
            path: path.to_owned(),
            hash: blake3::hash(list.as_bytes()).to_hex().to_string(),
            commit: repository.and_then(|repository| repository.commit.clone()),
        });
    }
    inputs.sort();
    Ok(inputs)
}

/// How many units of `kind` there are, and which are annotated.
pub fn select(sessions: &[SessionSummary], kind: UnitKind, sampling: Sampling) -> (usize, Selection) {
    let count = |session: &SessionSummary| count(session, kind);
    let total = sessions.iter().map(count).sum();
    let Some(limit) = sampling.limit.filter(|limit| *limit < total) else { return (total, Selection::All) };
    let mut all: Vec<(usize, usize)> =
        sessions.iter().enumerate().flat_map(|(at, session)| (0..count(session)).map(move |nth| (at, nth))).collect();
    if let Some(seed) = sampling.shuffle {
        all.shuffle(&mut ChaCha8Rng::seed_from_u64(seed));
    }
    all.truncate(limit);
    (limit, Selection::Some(all.into_iter().collect()))
}

/// How many units of `kind` a session has.
pub fn count(session: &SessionSummary, kind: UnitKind) -> usize {
    match kind {
        UnitKind::Session => 1,
        UnitKind::Prompt => session.prompts,
    }
}
