//! The store of paid answers: takes responses as they were received, gives them back by the key of their request.
//!
//! One SQLite file holds `response` (what was paid for), `evaluation` (which rater was scored on which split of which gold, when),
//! `model_fact` (what models were found to lack), and [`journal`]'s tables (what is on its way to a batch lane). Bodies are plain text, so that
//! `sqlite3 .interrater/store.db "select body from response"` shows them.
//!
//! A row is durable before [`Store::put`] returns: an answer that is used can always be found again. Nothing is deleted but by [`prune`].

mod entry;
mod error;
pub mod export;
mod file;
mod format;
pub mod journal;
mod line;
pub mod merge;
pub mod prune;
mod reader;
mod request;
mod row;
mod size;
pub mod tally;
pub mod why;
mod writer;

pub use entry::Entry;
pub use error::StoreError;
pub use file::{is_new, size_on_disk};
pub use line::AnswerLine;
pub use reader::{Reader, Snapshot};
pub use request::{AskedSettings, RequestKey, RequestParts};
pub use size::AnsweredSize;

use crate::llm::Feature;
use crate::llm::price::Price;
use crate::unit::UnitId;
use crate::usage::Usage;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use writer::{Job, Writer};

/// A paid answer on its way into the store.
#[derive(Debug, Clone, PartialEq)]
pub struct NewResponse {
    /// What was asked.
    pub key: RequestKey,
    /// The provider's name in the configuration.
    pub provider: String,
    /// The model that was asked.
    pub model: String,
    /// The base URL that was asked.
    pub endpoint: String,
    /// The task that it was asked for, if any.
    pub task: Option<String>,
    /// What it was asked about; `None` where nobody wrote it down.
    pub subject: Option<Subject>,
    /// The name of the run that paid.
    pub run: String,
    /// Hashes of the request's parts, to explain later why another request did not match.
    pub parts: RequestParts,
    /// The body as received.
    pub body: String,
    /// The HTTP status.
    pub status: u16,
    /// Tokens as billed, where the server tells.
    pub usage: Option<Usage>,
    /// When the answer came.
    pub created_at: Timestamp,
    /// How many attempts it took, this one included.
    pub attempts: u32,
    /// From sending to the last byte, of the attempt that succeeded; kept in milliseconds. Zero where nobody waited for it: in the batch
    /// lane.
    pub latency: Duration,
    /// The way that it came, which decides what it cost.
    pub lane: Lane,
}

impl NewResponse {
    /// What it cost in US dollars; `None` where the server told no tokens.
    pub fn cost(&self, price: &Price) -> Option<f64> {
        self.usage.map(|usage| self.lane.cost(price, &usage))
    }
}

/// The way that an answer came.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Lane {
    /// It was asked for and waited for.
    #[default]
    Direct,
    /// The provider's batch lane.
    Batch,
}

impl Lane {
    /// What a request costs that came this way, in US dollars.
    pub fn cost(self, price: &Price, usage: &Usage) -> f64 {
        match self {
            Lane::Direct => price.cost(usage),
            Lane::Batch => price.batch_cost(usage),
        }
    }
}

/// What a request was about. It is not part of the key, which is made of what was said: it tells where that came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject {
    /// The unit.
    pub unit: UnitId,
    /// The beginning of the codebook's hash, as raters' names have it.
    pub codebook: String,
    /// Hash of the unit's material, which is a part of what was said.
    pub material: String,
}

/// A paid answer as the store holds it.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredResponse {
    /// The row's number: the order of payment.
    pub id: i64,
    /// The answer.
    pub response: NewResponse,
}

/// Whether an answer is the one to use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It is what its request finds.
    Current,
    /// A later one stands in its place, or an earlier one was there first; it was paid for all the same.
    Superseded,
}

/// What became of an answer that was put.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kept {
    /// It is stored.
    New,
    /// The key was there already (another process paid for the same): the earlier answer stays, and is the one to use.
    Earlier,
}

/// A line of the ledger: one rater, scored once on one field of one split.
#[derive(Debug, Clone, PartialEq)]
pub struct Evaluation {
    /// Who was scored.
    pub rater: String,
    /// The task.
    pub task: String,
    /// The field of the task.
    pub field: String,
    /// The gold file as it was named.
    pub gold_path: String,
    /// Hash of the gold file's content, as hex.
    pub gold_hash: String,
    /// Which part of the gold: `dev`, `test`, `all`.
    pub split: String,
    /// When.
    pub at: Timestamp,
    /// What was computed, such as `kappa`.
    pub metric: String,
    /// The result; `None` where it is undefined.
    pub value: Option<f64>,
    /// How many units it was computed on.
    pub items: u64,
    /// To whom single units of the test split were shown; `None` where they were hidden, as they are unless someone asks for them.
    pub shown_to: Option<String>,
}

/// Something that a model was found to lack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelFact {
    /// The provider's name in the configuration.
    pub provider: String,
    /// The base URL: compatible servers differ under one model name.
    pub endpoint: String,
    /// The model.
    pub model: String,
    /// What it lacks.
    pub feature: Feature,
    /// When it was first refused.
    pub learnt_at: Timestamp,
    /// The server's words.
    pub message: String,
}

/// An open store. Dropping it waits until everything given to it is written.
#[derive(Debug)]
pub struct Store {
    path: PathBuf,
    /// Readers that nobody uses at the moment: as many as threads have read at once.
    idle: Mutex<Vec<Reader>>,
    writer: Writer,
}

impl Store {
    /// Opens the store at `path`; creates it, and the folder that it is in, where it is missing, and brings one of an earlier format up
    /// to date.
    pub fn open(path: &Path) -> Result<Store, StoreError> {
        let connection = file::open(path)?;
        let reader = Reader::open(path)?;
        let writer = Writer::start(path, connection)?;
        Ok(Store { path: path.to_owned(), idle: Mutex::new(vec![reader]), writer })
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A reader for one thread. It sees what [`Store::put`] has returned for, and waits for no other reader.
    pub fn reader(&self) -> Result<Reader, StoreError> {
        Reader::open(&self.path)
    }

    /// The answer to the request with this key, if it was paid for.
    pub fn get(&self, key: &RequestKey) -> Result<Option<StoredResponse>, StoreError> {
        self.read(|reader| reader.get(key))
    }

    /// Those of `keys` that have an answer.
    pub fn has(&self, keys: &[RequestKey]) -> Result<HashSet<RequestKey>, StoreError> {
        self.read(|reader| reader.has(keys))
    }

    /// Keeps an answer. Once this returns it is on the disk, whatever happens to this process or machine.
    ///
    /// Dropping the future does not take back an answer that has reached the writer; while more than two thousand others wait there, it has not.
    pub async fn put(&self, response: NewResponse) -> Result<Kept, StoreError> {
        self.writer.write(Job::Response(Box::new(response))).await
    }

    /// Keeps an answer in the place of the one that its request had. That one stays in the table, under a key that no request has; it is
    /// the one to use until the new one is on the disk.
    pub async fn replace(&self, response: NewResponse) -> Result<Kept, StoreError> {
        self.writer.write(Job::Replacement(Box::new(response))).await
    }

    /// Keeps a fact about a model; learnt again, it takes the later time and words, because a fact grows old.
    pub async fn learn(&self, fact: ModelFact) -> Result<(), StoreError> {
        self.writer.write(Job::Fact(Box::new(fact))).await.map(|_| ())
    }

    /// What a model is known to lack, with the words in which it said so.
    pub fn facts(&self, provider: &str, endpoint: &str, model: &str) -> Result<Vec<ModelFact>, StoreError> {
        self.read(|reader| reader.facts(provider, endpoint, model))
    }

    /// Whether this model, at this endpoint, has ever answered anything.
    pub fn knows(&self, provider: &str, endpoint: &str, model: &str) -> Result<bool, StoreError> {
        self.read(|reader| reader.knows(provider, endpoint, model))
    }

    /// Writes lines into the ledger, all or none; returns once they are on the disk. Blocks its thread for that long.
    pub fn record_evaluations(&self, evaluations: Vec<Evaluation>) -> Result<(), StoreError> {
        self.writer.write_blocking(Job::Evaluations(evaluations)).map(|_| ())
    }

    /// The ledger's lines on a task, oldest first.
    pub fn evaluations(&self, task: &str) -> Result<Vec<Evaluation>, StoreError> {
        self.read(|reader| reader.evaluations(task))
    }

    /// Reads beside whoever else is reading.
    fn read<T>(&self, read: impl FnOnce(&mut Reader) -> Result<T, StoreError>) -> Result<T, StoreError> {
        let idle = || self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let taken = idle().pop();
        let mut reader = match taken {
            Some(reader) => reader,
            None => self.reader()?,
        };
        let outcome = read(&mut reader);
        idle().push(reader);
        outcome
    }
}

#[cfg(test)]
mod tests;
