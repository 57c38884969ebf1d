//! Reading a store: a connection of one's own, that never makes or changes one.
//!
//! A reader belongs to one thread; as many threads as like may each have one. [`Reader::snapshot`] reads many answers as they were at one
//! moment, without a lock for each, which is what makes threads fast beside one another.

use super::file::BUSY_TIMEOUT;
use super::row::{Cells, Column, columns, ledger_columns};
use super::{Evaluation, ModelFact, RequestKey, StoreError, StoredResponse, file};
use rusqlite::{Connection, OptionalExtension, Transaction, params};
use std::collections::HashSet;
use std::path::{Path, PathBuf};

/// As much of the file as a reader keeps in memory: the index of a hundred thousand answers, for keys come in no order.
const CACHED_KIB: i64 = 8 * 1024;

/// A store that is read.
#[derive(Debug)]
pub struct Reader {
    path: PathBuf,
    connection: Connection,
    format: i64,
    /// The statement that finds an answer by its key.
    by_key: String,
}

/// A store as it was at one moment; answers that are stored meanwhile are not seen. While one is held, the log of what is written grows.
#[derive(Debug)]
pub struct Snapshot<'r> {
    path: &'r Path,
    transaction: Transaction<'r>,
    by_key: &'r str,
}

impl Reader {
    /// Opens the store at `path`, of this format or an earlier one. Nothing is made there, and nothing brought up to date.
    pub fn open(path: &Path) -> Result<Reader, StoreError> {
        let (connection, format) = file::open_reader(path)?;
        connection
            .pragma_update(None, "cache_size", -CACHED_KIB)
            .map_err(|error| StoreError::of("open", path, BUSY_TIMEOUT, error))?;
        let by_key = format!("SELECT {}, body FROM response WHERE key = ?1", columns(format));
        Ok(Reader { path: path.to_owned(), connection, format, by_key })
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The version of the file's format.
    pub fn format(&self) -> i64 {
        self.format
    }

    /// The answer to the request with this key, if it was paid for.
    pub fn get(&self, key: &RequestKey) -> Result<Option<StoredResponse>, StoreError> {
        get(&self.path, &self.connection, &self.by_key, key)
    }

    /// Those of `keys` that have an answer.
    pub fn has(&mut self, keys: &[RequestKey]) -> Result<HashSet<RequestKey>, StoreError> {
        // One transaction: a lock and a snapshot for all of them, not for each.
        let mut look = || -> rusqlite::Result<HashSet<RequestKey>> {
            let transaction = self.connection.transaction()?;
            let mut statement = transaction.prepare_cached("SELECT 1 FROM response WHERE key = ?1")?;
            let mut found = HashSet::new();
            for key in keys {
                if statement.exists([key.to_string()])? {
                    found.insert(*key);
                }
            }
            Ok(found)
        };
        look().map_err(|error| StoreError::of("read", &self.path, BUSY_TIMEOUT, error))
    }

    /// Whether this model, at this endpoint, has ever answered anything.
    pub fn knows(&self, provider: &str, endpoint: &str, model: &str) -> Result<bool, StoreError> {
        let fail = |error| self.fail(error);
        let mut statement = self
            .connection
            .prepare_cached("SELECT 1 FROM response WHERE provider = ?1 AND endpoint = ?2 AND model = ?3")
            .map_err(fail)?;
        statement.exists(params![provider, endpoint, model]).map_err(fail)
    }

    /// The store as it is now, for reading much of it.
    pub fn snapshot(&mut self) -> Result<Snapshot<'_>, StoreError> {
        let transaction =
            self.connection.transaction().map_err(|error| StoreError::of("read", &self.path, BUSY_TIMEOUT, error))?;
        Ok(Snapshot { path: &self.path, transaction, by_key: &self.by_key })
    }

    /// What a model is known to lack, with the words in which it said so.
    pub fn facts(&self, provider: &str, endpoint: &str, model: &str) -> Result<Vec<ModelFact>, StoreError> {
        let fail = |error| self.fail(error);
        let mut statement = self
            .connection
            .prepare_cached(
                "SELECT id, feature, learnt_at, message FROM model_fact
                 WHERE provider = ?1 AND endpoint = ?2 AND model = ?3 ORDER BY id",
            )
            .map_err(fail)?;
        let mut rows = statement.query(params![provider, endpoint, model]).map_err(fail)?;
        let mut facts = Vec::new();
        while let Some(row) = rows.next().map_err(fail)? {
            let cells = Cells { path: &self.path, table: "model_fact", row };
            let feature: String = cells.get(Column(1, "feature"))?;
            // A feature that only a later version knows is nothing that this version could leave out.
            let Ok(feature) = serde_json::from_value(serde_json::Value::String(feature)) else { continue };
            facts.push(ModelFact {
                provider: provider.to_owned(),
                endpoint: endpoint.to_owned(),
                model: model.to_owned(),
                feature,
                learnt_at: cells.parse(Column(2, "learnt_at"))?,
                message: cells.get(Column(3, "message"))?,
            });
        }
        Ok(facts)
    }

    /// The ledger's lines on a task, oldest first.
    pub fn evaluations(&self, task: &str) -> Result<Vec<Evaluation>, StoreError> {
        let fail = |error| self.fail(error);
        let mut statement = self
            .connection
            .prepare_cached(&format!(
                "SELECT id, {} FROM evaluation WHERE task = ?1 ORDER BY id",
                ledger_columns(self.format)
            ))
            .map_err(fail)?;
        let mut rows = statement.query([task]).map_err(fail)?;
        let mut evaluations = Vec::new();
        while let Some(row) = rows.next().map_err(fail)? {
            let cells = Cells { path: &self.path, table: "evaluation", row };
            evaluations.push(Evaluation {
                rater: cells.get(Column(1, "rater"))?,
                task: cells.get(Column(2, "task"))?,
                field: cells.get(Column(3, "field"))?,
                gold_path: cells.get(Column(4, "gold_path"))?,
                gold_hash: cells.get(Column(5, "gold_hash"))?,
                split: cells.get(Column(6, "split"))?,
                at: cells.parse(Column(7, "at"))?,
                metric: cells.get(Column(8, "metric"))?,
                value: cells.get(Column(9, "value"))?,
                items: cells.count(Column(10, "items"))?,
                shown_to: cells.get(Column(11, "shown_to"))?,
            });
        }
        Ok(evaluations)
    }

    pub(super) fn connection(&self) -> &Connection {
        &self.connection
    }

    pub(super) fn fail(&self, error: rusqlite::Error) -> StoreError {
        StoreError::of("read", &self.path, BUSY_TIMEOUT, error)
    }
}

impl Snapshot<'_> {
    /// The answer to the request with this key, if it was paid for.
    pub fn get(&self, key: &RequestKey) -> Result<Option<StoredResponse>, StoreError> {
        get(self.path, &self.transaction, self.by_key, key)
    }
}

fn get(
    path: &Path,
    connection: &Connection,
    by_key: &str,
    key: &RequestKey,
) -> Result<Option<StoredResponse>, StoreError> {
    let fail = |error| StoreError::of("read", path, BUSY_TIMEOUT, error);
    let mut statement = connection.prepare_cached(by_key).map_err(fail)?;
    let read = |row: &rusqlite::Row<'_>| Ok(Cells { path, table: "response", row }.response());
    statement.query_row([key.to_string()], read).optional().map_err(fail)?.transpose()
}
