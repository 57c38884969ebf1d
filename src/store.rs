//! The store of paid answers: takes responses as they were received, gives them back by the key of their request.
//!
//! One SQLite file holds three tables: `response` (what was paid for), `evaluation` (which rater was scored on which split of which gold,
//! when) and `model_fact` (what models were found to lack). Bodies are plain text, so that
//! `sqlite3 .interrater/store.db "select body from response"` shows them.
//!
//! A row is durable before [`Store::put`] returns: an answer that is used can always be found again. Nothing here deletes.

mod file;
mod writer;

use crate::llm::Feature;
use crate::usage::Usage;
use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, params};
use serde::{Deserialize, Serialize};
use std::collections::HashSet;
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use writer::{Job, Writer};

/// Names a request by what was asked: equal keys mean that one answer serves both.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RequestKey([u8; 32]);

impl RequestKey {
    /// The key with these bytes.
    pub const fn new(bytes: [u8; 32]) -> RequestKey {
        RequestKey(bytes)
    }

    /// The key's bytes; evenly spread, so good for dealing requests out.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl From<blake3::Hash> for RequestKey {
    fn from(hash: blake3::Hash) -> RequestKey {
        RequestKey(*hash.as_bytes())
    }
}

impl fmt::Display for RequestKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(blake3::Hash::from_bytes(self.0).to_hex().as_str())
    }
}

impl fmt::Debug for RequestKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RequestKey({self})")
    }
}

impl FromStr for RequestKey {
    type Err = StoreError;

    fn from_str(text: &str) -> Result<RequestKey, StoreError> {
        match blake3::Hash::from_hex(text) {
            Ok(hash) => Ok(hash.into()),
            Err(_) => Err(StoreError::BadKey { text: text.to_owned() }),
        }
    }
}

/// The hashes of a request's parts, as hex; two requests with unlike keys differ in at least one of them or in their model.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequestParts {
    /// The instructions before the conversation.
    pub system: String,
    /// The conversation.
    pub turns: String,
    /// The answer's schema.
    pub schema: String,
    /// Temperature, limits, sample.
    pub settings: String,
}

impl RequestParts {
    /// The names of the parts in which two requests differ.
    pub fn differing(&self, other: &RequestParts) -> Vec<&'static str> {
        let RequestParts { system, turns, schema, settings } = self;
        [
            ("system", system, &other.system),
            ("turns", turns, &other.turns),
            ("schema", schema, &other.schema),
            ("settings", settings, &other.settings),
        ]
        .into_iter()
        .filter(|(_, ours, theirs)| ours != theirs)
        .map(|(name, _, _)| name)
        .collect()
    }
}

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
    /// From sending to the last byte, of the attempt that succeeded; kept in milliseconds.
    pub latency: Duration,
}

/// A paid answer as the store holds it.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredResponse {
    /// The row's number: the order of payment.
    pub id: i64,
    /// The answer.
    pub response: NewResponse,
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

/// Why the store could not be opened, read or written. Each message names the file and, where there is one, the way out.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// The folder of the store cannot be made.
    #[error("cannot create the folder {}: {source}", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// Why.
        source: Arc<std::io::Error>,
    },
    /// The file is something else.
    #[error("{} is not a store of answers (not an SQLite database): move it away, or name another file for the store", path.display())]
    NotADatabase {
        /// The file.
        path: PathBuf,
    },
    /// The file is a database of another program.
    #[error("{} is a database, but not a store of answers: name another file for the store", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// The file was written by a later version.
    #[error(
        "{} has format {found}, and this version of interrater knows formats up to {known}: install a newer interrater, or name another file for the store",
        path.display()
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: i64,
        /// The latest format known here.
        known: i64,
    },
    /// The file is damaged.
    #[error(
        "{path} is damaged ({source}): save what can be read with `sqlite3 {path} .recover | sqlite3 rescued.db`, move the damaged file away and put the rescued one in its place",
        path = path.display()
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What SQLite found.
        source: Arc<rusqlite::Error>,
    },
    /// Another process holds the file for longer than we wait.
    #[error("{} has been locked by another process for {} seconds: wait for it or end it, then run again", path.display(), file::BUSY_TIMEOUT.as_secs())]
    Locked {
        /// The file.
        path: PathBuf,
    },
    /// No room for an answer.
    #[error("no room to write {}: free space on its disk, then run again", path.display())]
    DiskFull {
        /// The file.
        path: PathBuf,
    },
    /// The file or its folder cannot be written.
    #[error("{} cannot be written: give write permission on it and its folder, or name another file for the store", path.display())]
    ReadOnly {
        /// The file.
        path: PathBuf,
    },
    /// The file system cannot share memory between processes.
    #[error("{} is on a file system without write-ahead logging (a network disk?): keep the store on a local disk", path.display())]
    NoLog {
        /// The file.
        path: PathBuf,
    },
    /// A row that no version of ours can have written.
    #[error("{} holds a {table} row {id} whose {column} is not readable: {reason}", path.display())]
    BadRow {
        /// The file.
        path: PathBuf,
        /// Its table.
        table: &'static str,
        /// The row's number.
        id: i64,
        /// The column.
        column: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// Text that is no request key.
    #[error("`{text}` is not a request key: 64 hexadecimal digits are expected")]
    BadKey {
        /// The text.
        text: String,
    },
    /// The thread that writes has ended.
    #[error("the writer of {} has stopped", path.display())]
    Stopped {
        /// The file.
        path: PathBuf,
    },
    /// Any other failure that SQLite tells of.
    #[error("cannot {action} {}: {source}", path.display())]
    Sqlite {
        /// What was tried: open, read, write.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// SQLite's error.
        source: Arc<rusqlite::Error>,
    },
}

/// An open store. Dropping it waits until everything given to it is written.
#[derive(Debug)]
pub struct Store {
    path: PathBuf,
    reader: Mutex<Connection>,
    writer: Writer,
}

impl Store {
    /// Opens the store at `path`; creates it, and the folder that it is in, where it is missing.
    pub fn open(path: &Path) -> Result<Store, StoreError> {
        let connection = file::open(path)?;
        let reader = file::open_reader(path)?;
        let writer = Writer::start(path, connection)?;
        Ok(Store { path: path.to_owned(), reader: Mutex::new(reader), writer })
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The answer to the request with this key, if it was paid for.
    pub fn get(&self, key: &RequestKey) -> Result<Option<StoredResponse>, StoreError> {
        let reader = self.reader();
        let mut statement = reader
            .prepare_cached(
                "SELECT id, key, provider, model, endpoint, task, run, request, body, status, usage, created_at, attempts, latency_ms
                 FROM response WHERE key = ?1",
            )
            .map_err(|error| self.read_error(error))?;
        let row = statement
            .query_row([key.to_string()], |row| Ok(self.response(row)))
            .optional()
            .map_err(|error| self.read_error(error))?;
        row.transpose()
    }

    /// Those of `keys` that have an answer.
    pub fn has(&self, keys: &[RequestKey]) -> Result<HashSet<RequestKey>, StoreError> {
        let mut reader = self.reader();
        let mut found = HashSet::new();
        // One transaction: a lock and a snapshot for all of them, not for each.
        let look = |reader: &mut Connection, found: &mut HashSet<RequestKey>| -> rusqlite::Result<()> {
            let transaction = reader.transaction()?;
            let mut statement = transaction.prepare_cached("SELECT 1 FROM response WHERE key = ?1")?;
            for key in keys {
                if statement.exists([key.to_string()])? {
                    found.insert(*key);
                }
            }
            Ok(())
        };
        look(&mut reader, &mut found).map_err(|error| self.read_error(error))?;
        Ok(found)
    }

    /// Keeps an answer. Once this returns it is on the disk, whatever happens to this process or machine.
    ///
    /// Dropping the future does not take back an answer that has reached the writer; while more than a thousand others wait there, it has not.
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
        let reader = self.reader();
        let mut statement = reader
            .prepare_cached(
                "SELECT id, feature, learnt_at, message FROM model_fact
                 WHERE provider = ?1 AND endpoint = ?2 AND model = ?3 ORDER BY id",
            )
            .map_err(|error| self.read_error(error))?;
        let mut rows = statement.query(params![provider, endpoint, model]).map_err(|error| self.read_error(error))?;
        let mut facts = Vec::new();
        while let Some(row) = rows.next().map_err(|error| self.read_error(error))? {
            let cells = Cells { store: self, table: "model_fact", row };
            let feature: String = cells.get("feature")?;
            // A feature that only a later version knows is nothing that this version could leave out.
            let Ok(feature) = serde_json::from_value(serde_json::Value::String(feature)) else { continue };
            facts.push(ModelFact {
                provider: provider.to_owned(),
                endpoint: endpoint.to_owned(),
                model: model.to_owned(),
                feature,
                learnt_at: cells.parse("learnt_at")?,
                message: cells.get("message")?,
            });
        }
        Ok(facts)
    }

    /// Writes lines into the ledger, all or none; returns once they are on the disk. Blocks its thread for that long.
    pub fn record_evaluations(&self, evaluations: Vec<Evaluation>) -> Result<(), StoreError> {
        self.writer.write_blocking(Job::Evaluations(evaluations)).map(|_| ())
    }

    /// The ledger's lines on a task, oldest first.
    pub fn evaluations(&self, task: &str) -> Result<Vec<Evaluation>, StoreError> {
        let reader = self.reader();
        let mut statement = reader
            .prepare_cached(
                "SELECT id, rater, task, field, gold_path, gold_hash, split, at, metric, value, items
                 FROM evaluation WHERE task = ?1 ORDER BY id",
            )
            .map_err(|error| self.read_error(error))?;
        let mut rows = statement.query([task]).map_err(|error| self.read_error(error))?;
        let mut evaluations = Vec::new();
        while let Some(row) = rows.next().map_err(|error| self.read_error(error))? {
            let cells = Cells { store: self, table: "evaluation", row };
            evaluations.push(Evaluation {
                rater: cells.get("rater")?,
                task: cells.get("task")?,
                field: cells.get("field")?,
                gold_path: cells.get("gold_path")?,
                gold_hash: cells.get("gold_hash")?,
                split: cells.get("split")?,
                at: cells.parse("at")?,
                metric: cells.get("metric")?,
                value: cells.get("value")?,
                items: cells.count("items")?,
            });
        }
        Ok(evaluations)
    }

    fn response(&self, row: &Row<'_>) -> Result<StoredResponse, StoreError> {
        let cells = Cells { store: self, table: "response", row };
        let usage: Option<String> = cells.get("usage")?;
        let response = NewResponse {
            key: cells.parse("key")?,
            provider: cells.get("provider")?,
            model: cells.get("model")?,
            endpoint: cells.get("endpoint")?,
            task: cells.get("task")?,
            run: cells.get("run")?,
            parts: cells.json("request", &cells.get::<String>("request")?)?,
            body: cells.get("body")?,
            status: cells.count("status")?,
            usage: usage.map(|text| cells.json("usage", &text)).transpose()?,
            created_at: cells.parse("created_at")?,
            attempts: cells.count("attempts")?,
            latency: Duration::from_millis(cells.count("latency_ms")?),
        };
        Ok(StoredResponse { id: cells.get("id")?, response })
    }

    fn reader(&self) -> MutexGuard<'_, Connection> {
        // A panic while reading leaves the connection as good as before.
        self.reader.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn read_error(&self, error: rusqlite::Error) -> StoreError {
        file::explain("read", &self.path, Arc::new(error))
    }
}

/// A row whose cells are read by name, with errors that name the cell.
struct Cells<'a> {
    store: &'a Store,
    table: &'static str,
    row: &'a Row<'a>,
}

impl Cells<'_> {
    fn get<T: rusqlite::types::FromSql>(&self, column: &'static str) -> Result<T, StoreError> {
        self.row.get(column).map_err(|error| self.bad(column, &error))
    }

    fn count<T: TryFrom<i64, Error: fmt::Display>>(&self, column: &'static str) -> Result<T, StoreError> {
        T::try_from(self.get::<i64>(column)?).map_err(|error| self.bad(column, &error))
    }

    fn parse<T: FromStr<Err: fmt::Display>>(&self, column: &'static str) -> Result<T, StoreError> {
        self.get::<String>(column)?.parse().map_err(|error| self.bad(column, &error))
    }

    fn json<T: for<'de> Deserialize<'de>>(&self, column: &'static str, text: &str) -> Result<T, StoreError> {
        serde_json::from_str(text).map_err(|error| self.bad(column, &error))
    }

    fn bad(&self, column: &'static str, reason: &dyn fmt::Display) -> StoreError {
        StoreError::BadRow {
            path: self.store.path.clone(),
            table: self.table,
            id: self.row.get("id").unwrap_or_default(),
            column,
            reason: reason.to_string(),
        }
    }
}

#[cfg(test)]
mod tests;
