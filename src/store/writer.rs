//! The one thread that writes: takes rows, commits them in groups, and says of each when it is durable.
//!
//! A group is whatever has gathered while the last one was written, up to [`GROUP`] rows. So a lone row waits for nothing, and under load
//! one flush of the disk serves many rows: the slower the disk, the larger the groups.

use super::row::{BATCH, RequestCell, checksum, superseded_key};
use super::{Evaluation, Kept, Lane, ModelFact, NewResponse, RequestKey, Standing, StoreError};
use rusqlite::types::ValueRef;
use rusqlite::{Connection, ErrorCode, Transaction, TransactionBehavior, params};
use std::path::{Path, PathBuf};
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

/// Rows in one commit at most.
const GROUP: usize = 1024;

/// Rows that may wait for the writer; whoever brings more waits first. Bodies are large: this bounds memory.
const WAITING: usize = 2048;

/// How long an answer waits where another process holds the file, for a backup or to make it smaller: what is lost here was paid for.
const PATIENCE: Duration = Duration::from_secs(120);

/// Something to write.
#[derive(Debug)]
pub(super) enum Job {
    Response(Box<NewResponse>),
    /// A response in the place of the one with its key.
    Replacement(Box<NewResponse>),
    Fact(Box<ModelFact>),
    Evaluations(Vec<Evaluation>),
}

/// A job, and who waits for it.
struct Order {
    job: Job,
    done: Done,
    _place: Option<OwnedSemaphorePermit>,
}

enum Done {
    Task(oneshot::Sender<Result<Kept, StoreError>>),
    Thread(mpsc::SyncSender<Result<Kept, StoreError>>),
}

impl Done {
    fn tell(self, outcome: Result<Kept, StoreError>) {
        // Whoever asked may be gone; the row is written all the same.
        match self {
            Done::Task(sender) => drop(sender.send(outcome)),
            Done::Thread(sender) => drop(sender.send(outcome)),
        }
    }
}

/// The handle of the thread that writes. Dropping it waits for the thread.
#[derive(Debug)]
pub(super) struct Writer {
    path: PathBuf,
    places: Arc<Semaphore>,
    orders: Option<mpsc::Sender<Order>>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    pub(super) fn start(path: &Path, connection: Connection) -> Result<Writer, StoreError> {
        let (orders, incoming) = mpsc::channel();
        let file = path.to_owned();
        let thread = std::thread::Builder::new()
            .name("store".to_owned())
            .spawn(move || serve(&file, connection, &incoming))
            .map_err(|_| StoreError::Stopped { path: path.to_owned() })?;
        Ok(Writer {
            path: path.to_owned(),
            places: Arc::new(Semaphore::new(WAITING)),
            orders: Some(orders),
            thread: Some(thread),
        })
    }

    pub(super) async fn write(&self, job: Job) -> Result<Kept, StoreError> {
        let place = Arc::clone(&self.places).acquire_owned().await.map_err(|_| self.stopped())?;
        let (done, outcome) = oneshot::channel();
        self.order(Order { job, done: Done::Task(done), _place: Some(place) })?;
        outcome.await.map_err(|_| self.stopped())?
    }

    pub(super) fn write_blocking(&self, job: Job) -> Result<Kept, StoreError> {
        let (done, outcome) = mpsc::sync_channel(1);
        self.order(Order { job, done: Done::Thread(done), _place: None })?;
        outcome.recv().map_err(|_| self.stopped())?
    }

    fn order(&self, order: Order) -> Result<(), StoreError> {
        self.orders.as_ref().and_then(|orders| orders.send(order).ok()).ok_or_else(|| self.stopped())
    }

    fn stopped(&self) -> StoreError {
        StoreError::Stopped { path: self.path.clone() }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        // The closed channel ends the thread once it has written what waits.
        self.orders = None;
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

fn serve(path: &Path, mut connection: Connection, incoming: &mpsc::Receiver<Order>) {
    while let Ok(first) = incoming.recv() {
        let group: Vec<Order> = std::iter::once(first).chain(incoming.try_iter().take(GROUP - 1)).collect();
        write_group(path, &mut connection, group);
    }
}

/// Writes a group in one transaction and tells each of its owners what became of it, after the commit.
fn write_group(path: &Path, connection: &mut Connection, mut group: Vec<Order>) {
    match commit_patiently(connection, &group) {
        Ok(outcomes) => {
            for (order, kept) in group.into_iter().zip(outcomes) {
                order.done.tell(Ok(kept));
            }
        }
        // One row (too large for what is left of the disk) must not take the others with it. A lock would hold each of them as well.
        Err(error) if group.len() > 1 && error.sqlite_error_code() != Some(ErrorCode::DatabaseBusy) => {
            for order in group.drain(..) {
                write_group(path, connection, vec![order]);
            }
        }
        Err(error) => {
            let error = Arc::new(error);
            for order in group {
                order.done.tell(Err(StoreError::of("write", path, PATIENCE, Arc::clone(&error))));
            }
        }
    }
}

fn commit_patiently(connection: &mut Connection, group: &[Order]) -> rusqlite::Result<Vec<Kept>> {
    let begun = Instant::now();
    loop {
        match commit(connection, group) {
            // Each attempt has waited for as long as the connection does.
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) && begun.elapsed() < PATIENCE => {}
            done => return done,
        }
    }
}

/// All of a group or, where there is an error, nothing of it.
fn commit(connection: &mut Connection, group: &[Order]) -> rusqlite::Result<Vec<Kept>> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let outcomes =
        group.iter().map(|order| insert(&transaction, &order.job)).collect::<rusqlite::Result<Vec<Kept>>>()?;
    transaction.commit()?;
    Ok(outcomes)
}

fn insert(transaction: &Transaction<'_>, job: &Job) -> rusqlite::Result<Kept> {
    match job {
        Job::Response(response) => insert_response(transaction, response, Standing::Current),
        Job::Fact(fact) => insert_fact(transaction, fact),
        Job::Evaluations(evaluations) => {
            evaluations.iter().try_for_each(|evaluation| insert_evaluation(transaction, evaluation))?;
            Ok(Kept::New)
        }
        Job::Replacement(response) => {
            supersede(transaction, &response.key)?;
            insert_response(transaction, response, Standing::Current)
        }
    }
}

/// Gives the answer to this request, if there is one, a key that no request has.
fn supersede(transaction: &Transaction<'_>, key: &RequestKey) -> rusqlite::Result<usize> {
    // Only the same answer can have the key already.
    transaction
        .prepare_cached("UPDATE OR REPLACE response SET key = key || '#' || created_at WHERE key = ?1")?
        .execute([key.to_string()])
}

/// Inserts an answer unless its key is there: under the key of its request, or under that of a superseded answer.
pub(super) fn insert_response(
    transaction: &Transaction<'_>,
    response: &NewResponse,
    standing: Standing,
) -> rusqlite::Result<Kept> {
    let NewResponse {
        key,
        provider,
        model,
        endpoint,
        task,
        subject,
        run,
        parts,
        body,
        status,
        usage,
        created_at,
        attempts,
        latency,
        lane,
    } = response;
    let lane = (*lane == Lane::Batch).then_some(BATCH);
    let usage = usage.as_ref().map(json).transpose()?;
    let latency = i64::try_from(latency.as_millis()).unwrap_or(i64::MAX);
    let (key, created_at) = (key.to_string(), created_at.to_string());
    let request = json(&RequestCell::new(parts, subject.as_ref()))?;
    let unit = subject.as_ref().map(|subject| subject.unit.as_str());
    let text = |cell| ValueRef::Text(str::as_bytes(cell));
    let or_null = |cell: Option<_>| cell.map_or(ValueRef::Null, text);
    let checksum = checksum([
        text(&key),
        text(provider),
        text(model),
        text(endpoint),
        or_null(task.as_deref()),
        or_null(unit),
        text(run),
        text(&request),
        ValueRef::Integer(i64::from(*status)),
        or_null(usage.as_deref()),
        text(&created_at),
        ValueRef::Integer(i64::from(*attempts)),
        ValueRef::Integer(latency),
        text(body),
        or_null(lane),
    ]);
    let key = match standing {
        Standing::Superseded => superseded_key(&key, &created_at),
        Standing::Current => key,
    };
    let inserted = transaction
        .prepare_cached(
            "INSERT OR IGNORE INTO response
             (key, provider, model, endpoint, task, unit, run, request, body, checksum, status, usage, created_at, attempts, latency_ms, lane)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16)",
        )?
        .execute(params![
            key, provider, model, endpoint, task, unit, run, request, body, checksum, status, usage, created_at, attempts, latency, lane,
        ])?;
    Ok(if inserted == 1 { Kept::New } else { Kept::Earlier })
}

pub(super) fn insert_fact(transaction: &Transaction<'_>, fact: &ModelFact) -> rusqlite::Result<Kept> {
    let ModelFact { provider, endpoint, model, feature, learnt_at, message } = fact;
    let feature = serde_json::to_value(feature).map_err(unwritable)?;
    let inserted = transaction
        .prepare_cached(
            "INSERT INTO model_fact (provider, endpoint, model, feature, learnt_at, message)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)
             ON CONFLICT DO UPDATE SET learnt_at = excluded.learnt_at, message = excluded.message",
        )?
        .execute(params![provider, endpoint, model, feature.as_str(), learnt_at.to_string(), message])?;
    Ok(if inserted == 1 { Kept::New } else { Kept::Earlier })
}

fn insert_evaluation(transaction: &Transaction<'_>, evaluation: &Evaluation) -> rusqlite::Result<()> {
    let Evaluation { rater, task, field, gold_path, gold_hash, split, at, metric, value, items, shown_to } = evaluation;
    let items = i64::try_from(*items).unwrap_or(i64::MAX);
    transaction
        .prepare_cached(
            "INSERT INTO evaluation (rater, task, field, gold_path, gold_hash, split, at, metric, value, items, shown_to)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
        )?
        .execute(params![rater, task, field, gold_path, gold_hash, split, at.to_string(), metric, value, items, shown_to])?;
    Ok(())
}

fn json(value: &impl serde::Serialize) -> rusqlite::Result<String> {
    serde_json::to_string(value).map_err(unwritable)
}

fn unwritable(error: serde_json::Error) -> rusqlite::Error {
    rusqlite::Error::ToSqlConversionFailure(Box::new(error))
}

#[cfg(test)]
mod tests {
    use super::super::tests::response;
    use super::*;

    fn order(response: NewResponse) -> (Order, oneshot::Receiver<Result<Kept, StoreError>>) {
        let (done, outcome) = oneshot::channel();
        (Order { job: Job::Response(Box::new(response)), done: Done::Task(done), _place: None }, outcome)
    }

    #[test]
    fn a_full_disk_reaches_whoever_put_the_row_and_spares_the_rows_that_fit() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store.db");
        let mut connection = super::super::file::open(&path).unwrap();
        let pages: i64 = connection.pragma_query_value(None, "page_count", |row| row.get(0)).unwrap();
        connection.pragma_update_and_check(None, "max_page_count", pages + 4, |_| Ok(())).unwrap();
        let (small, small_outcome) = order(response(1));
        let (large, large_outcome) = order(NewResponse { body: "x".repeat(1 << 20), ..response(2) });
        let (last, last_outcome) = order(response(3));
        write_group(&path, &mut connection, vec![small, large, last]);
        assert_eq!(small_outcome.blocking_recv().unwrap().unwrap(), Kept::New);
        let error = large_outcome.blocking_recv().unwrap().unwrap_err();
        assert!(matches!(error, StoreError::DiskFull { .. }), "{error}");
        assert_eq!(last_outcome.blocking_recv().unwrap().unwrap(), Kept::New);
    }
}
