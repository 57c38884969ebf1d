//! Deleting answers: which are meant, and how they go. The one place where the store loses anything.

use super::file::BUSY_TIMEOUT;
use super::{Entry, Standing, StoreError, file};
use jiff::Timestamp;
use std::path::Path;

/// Which answers are meant: those for which everything that is set holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selection {
    /// Those that came before this.
    pub before: Option<Timestamp>,
    /// Those in whose place a later one stands.
    pub superseded: bool,
    /// Those that one of these runs paid for; empty for any.
    pub runs: Vec<String>,
    /// Those of one of these models, as `PROVIDER/MODEL` or `MODEL`; empty for any.
    pub models: Vec<String>,
    /// Those of one of these tasks; empty for any.
    pub tasks: Vec<String>,
}

impl Selection {
    /// Whether nothing is set, so that all answers would be meant.
    pub fn is_empty(&self) -> bool {
        *self == Selection::default()
    }

    /// Whether the answer is meant.
    pub fn takes(&self, entry: &Entry) -> bool {
        let Selection { before, superseded, runs, models, tasks } = self;
        before.is_none_or(|before| entry.created_at < before)
            && (!superseded || entry.standing == Standing::Superseded)
            && (runs.is_empty() || runs.contains(&entry.run))
            && (models.is_empty() || models.contains(&entry.model) || models.contains(&entry.model_name()))
            && (tasks.is_empty() || entry.task.as_ref().is_some_and(|task| tasks.contains(task)))
    }
}

/// What became of answers that were to be deleted.
#[derive(Debug)]
pub struct Deleted {
    /// How many are gone.
    pub answers: u64,
    /// Why the file has not become smaller, where it has not: its free pages are used for new answers.
    pub not_smaller: Option<StoreError>,
}

/// Deletes the answers with these numbers, all or none, and makes the file smaller. Numbers that are not there are passed over.
pub fn delete(path: &Path, ids: &[i64]) -> Result<Deleted, StoreError> {
    let mut connection = file::open(path)?;
    let fail = |error| StoreError::of("write", path, BUSY_TIMEOUT, error);
    let transaction = connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate).map_err(fail)?;
    let mut delete = transaction.prepare("DELETE FROM response WHERE id = ?1").map_err(fail)?;
    let mut answers = 0;
    for id in ids {
        answers += delete.execute([id]).map_err(fail)? as u64;
    }
    drop(delete);
    transaction.commit().map_err(fail)?;
    // What was deleted would otherwise stay in the file, readable.
    let smaller = connection
        .execute_batch("VACUUM")
        .and_then(|()| connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())));
    Ok(Deleted { answers, not_smaller: smaller.map_err(fail).err() })
}
