//! The batch lane: takes what is asked as the engine does, hands over what the store lacks, many requests at once, and puts the answers
//! into the store, where the engine finds them.
//!
//! ```text
//! plan ─ questions ─ draft ─ journal ─ submit ─ … ─ collect ─ store
//!                              │         └─ recover: a process that ended before the server had answered
//!                              └─ file: export ─ … ─ import
//! ```
//!
//! What is about to be sent is written down first ([`crate::store::journal`]). So no request is in two jobs, and where nobody knows whether
//! a server took a job, that is said, and the job is not sent again before somebody says so.

pub mod collect;
pub mod draft;
pub mod file;
pub mod link;
pub mod questions;
pub mod recover;
pub mod submit;

use crate::config::ConfigError;
use crate::engine::EngineError;
use crate::store::StoreError;
use crate::store::journal::{Job, JobState, Journal, Way};
use jiff::Timestamp;
use miette::Diagnostic;
use rand::RngExt;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

/// Why a batch cannot be submitted, collected, exported or imported.
#[derive(Debug, thiserror::Error, Diagnostic)]
pub enum BatchError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A job's server cannot be reached with this configuration.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Config(#[from] ConfigError),
    /// The questions cannot be made.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Engine(#[from] EngineError),
    /// The provider has no batch lane here.
    #[error("there is no batch lane for {0} here")]
    #[diagnostic(help(
        "`interrater annotate` asks it request by request; the batch lane is for providers of kind openai or anthropic"
    ))]
    NoLane(String),
    /// The provider speaks another form.
    #[error("{0} does not take requests in the form of OpenAI's batch files")]
    #[diagnostic(help(
        "files are for providers of kind openai, such as a server of your own; `interrater batch submit` hands over without one"
    ))]
    NoFile(String),
    /// Nobody is asked.
    #[error("{0} asks nobody: there is nothing to hand over")]
    #[diagnostic(help("name a model with --model PROVIDER/MODEL"))]
    NobodyAsked(String),
    /// Another process makes jobs.
    #[error("another process is handing over requests from this store ({})", .0.display())]
    #[diagnostic(help("wait for it; what it hands over is then left out here"))]
    Busy(PathBuf),
    /// A file failed.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// There is such a file already.
    #[error("{} is there already", .0.display())]
    #[diagnostic(help("its requests may be under way: name another file, or move this one away"))]
    Exists(PathBuf),
    /// The server takes none of it.
    #[error("the server did not take job {job}: {reason}")]
    #[diagnostic(help("its requests are free again: mend the cause and repeat the command"))]
    NotTaken {
        /// The job.
        job: String,
        /// What the server said.
        reason: String,
    },
    /// Nobody knows whether the server has taken a job.
    #[error("nobody knows whether the server took job {job}: {reason}")]
    #[diagnostic(help(
        "`interrater batch status` looks for it. Where the server does not have it, `interrater batch submit --resubmit {job}` frees its \
         requests, and they are submitted, and paid, anew"
    ))]
    Unconfirmed {
        /// The job.
        job: String,
        /// What happened.
        reason: String,
    },
    /// There is no such job.
    #[error("there is no job `{0}`")]
    #[diagnostic(help("`interrater batch status` lists the jobs"))]
    UnknownJob(String),
    /// The job is closed.
    #[error("job `{job}` is {state}: its requests are free already")]
    #[diagnostic(help("leave --resubmit out"))]
    Closed {
        /// The job.
        job: String,
        /// Where it stands.
        state: &'static str,
    },
}

/// What happens while jobs are made or collected.
#[derive(Debug)]
pub enum Event<'e> {
    /// Something that people should know.
    Note(String),
    /// A job has got further.
    Job(&'e Job),
}

/// Who hears of what happens.
pub type Listener<'l> = &'l mut dyn FnMut(Event<'_>);

/// The folder of inputs on their way, beside the store.
pub fn folder(store: &Path) -> PathBuf {
    store.parent().unwrap_or(Path::new("")).join("batch")
}

/// Holds the right to make jobs from a store, for this process; it ends with the file.
pub(crate) fn lock(store: &Path) -> Result<File, BatchError> {
    let folder = folder(store);
    let path = folder.join(".lock");
    let io = |source| BatchError::Io { action: "write", path: path.clone(), source };
    fs::create_dir_all(&folder).map_err(io)?;
    let file = File::create(&path).map_err(io)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(fs::TryLockError::WouldBlock) => Err(BatchError::Busy(store.to_owned())),
        Err(fs::TryLockError::Error(source)) => Err(io(source)),
    }
}

/// A name for a job that no other project has.
fn new_id(way: Way) -> String {
    let letter = match way {
        Way::Batch => 'b',
        Way::File => 'f',
    };
    let number: u64 = rand::rng().random();
    format!("{letter}{:012x}", number >> 16)
}

/// Gives a job up: its requests are free, whatever became of it.
pub fn give_up(store: &Path, id: &str) -> Result<u64, BatchError> {
    let _lock = lock(store)?;
    let mut journal = Journal::open(store)?;
    let mut job = journal.job(id)?.ok_or_else(|| BatchError::UnknownJob(id.to_owned()))?;
    if !job.state.is_open() {
        return Err(BatchError::Closed { job: job.id, state: job.state.name() });
    }
    job.message = Some(format!("given up while it was {}", job.state.name()));
    job.state = JobState::Dropped;
    job.closed_at = Some(Timestamp::now());
    Ok(journal.close(&job)?)
}
