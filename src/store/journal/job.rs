//! A job and its requests: what the journal holds of them.

use crate::llm::batch::BatchCounts;
use crate::store::{RequestKey, RequestParts, Subject};
use crate::usage::Usage;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// Requests that are handed over together.
#[derive(Debug, Clone, PartialEq)]
pub struct Job {
    /// Our name for it.
    pub id: String,
    /// How it goes.
    pub way: Way,
    /// The provider's name in the configuration.
    pub provider: String,
    /// The base URL.
    pub endpoint: String,
    /// The model.
    pub model: String,
    /// The runs that its requests are for.
    pub runs: Vec<String>,
    /// Where it stands.
    pub state: JobState,
    /// The file of its requests.
    pub place: Option<PathBuf>,
    /// The server's name for its input.
    pub input_file: Option<String>,
    /// The server's name for the batch.
    pub remote: Option<String>,
    /// What the server said of it last.
    pub progress: Option<Progress>,
    /// What there is to know of it.
    pub message: Option<String>,
    /// Its requests.
    pub requests: u64,
    /// Those of them that were answered.
    pub answered: u64,
    /// Those of them that came back without an answer, and are free to be asked again.
    pub failed: u64,
    /// Bytes of its input.
    pub bytes: u64,
    /// When it was begun.
    pub created_at: Timestamp,
    /// When the server was asked to take it.
    pub sent_at: Option<Timestamp>,
    /// When it was closed.
    pub closed_at: Option<Timestamp>,
}

/// How a job goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Way {
    /// By the provider's batch lane.
    Batch,
    /// By a file that somebody else has answered.
    File,
}

/// Where a job stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JobState {
    /// It is being put together; nothing has left.
    Planned,
    /// Its input is on its way; there is no batch yet.
    Uploading,
    /// The server was asked to make the batch, and has not answered: nobody here knows whether it did.
    Unconfirmed,
    /// The server has it.
    Submitted,
    /// It is in a file.
    Exported,
    /// All that came of it is in the store.
    Collected,
    /// The server did not take it.
    Refused,
    /// It was given up: its requests are free.
    Dropped,
}

impl JobState {
    /// Whether answers may still come, so that its requests are asked nowhere else.
    pub fn is_open(self) -> bool {
        match self {
            JobState::Planned
            | JobState::Uploading
            | JobState::Unconfirmed
            | JobState::Submitted
            | JobState::Exported => true,
            JobState::Collected | JobState::Refused | JobState::Dropped => false,
        }
    }

    /// Its name, as it is stored and shown.
    pub fn name(self) -> &'static str {
        match self {
            JobState::Planned => "planned",
            JobState::Uploading => "uploading",
            JobState::Unconfirmed => "unconfirmed",
            JobState::Submitted => "submitted",
            JobState::Exported => "exported",
            JobState::Collected => "collected",
            JobState::Refused => "refused",
            JobState::Dropped => "dropped",
        }
    }
}

/// What a server said of a batch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// Its word for the batch's state.
    pub state: String,
    /// How far the batch had got.
    #[serde(flatten)]
    pub counts: BatchCounts,
    /// When it said so.
    pub at: Timestamp,
}

/// A request that goes into a job: all that its answer's row needs and the server does not tell.
#[derive(Debug, Clone, PartialEq)]
pub struct JobRequest {
    /// The request's key.
    pub key: RequestKey,
    /// The task that it is for.
    pub task: String,
    /// What it is about.
    pub subject: Subject,
    /// The run that pays.
    pub run: String,
    /// Hashes of its parts.
    pub parts: RequestParts,
}

/// What came of a request.
#[derive(Debug, Clone, PartialEq)]
pub struct Settled {
    /// The request's key.
    pub key: RequestKey,
    /// Its answer, or why there is none.
    pub outcome: Result<BatchAnswer, String>,
}

/// An answer, as it goes into the store.
#[derive(Debug, Clone, PartialEq)]
pub struct BatchAnswer {
    /// The body as received.
    pub body: String,
    /// Tokens as billed, where the server told.
    pub usage: Option<Usage>,
}

/// What became of something that was settled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Became {
    /// The answer is stored, and is the one to use.
    Stored,
    /// The answer is stored as a superseded one: meanwhile another one was paid for.
    Second,
    /// The request is free again.
    Freed,
    /// It was settled before.
    Known,
    /// Nobody here has asked it.
    Foreign,
}
