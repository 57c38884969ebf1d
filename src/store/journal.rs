//! The journal of batch jobs: what is on its way to a batch lane or to a file, written down before it leaves.
//!
//! A request is in one job at most. Its answer goes into the store and the request leaves the journal in one step, so that nothing is
//! counted or paid twice, wherever a process ends.

mod job;

pub use job::{BatchAnswer, Became, Job, JobRequest, JobState, Progress, Settled, Way};

use super::file::{self, BUSY_TIMEOUT};
use super::row::RequestCell;
use super::writer::{insert_fact, insert_response};
use super::{Kept, Lane, ModelFact, NewResponse, RequestKey, Standing, StoreError};
use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, Transaction, TransactionBehavior, params};
use serde::Serialize;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The journal, open. One process at a time makes jobs; any number may settle them.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    connection: Connection,
}

const JOB: &str = "id, way, provider, endpoint, model, state, place, input_file, remote, progress, message, requests, answered, failed, \
    bytes, created_at, sent_at, closed_at, runs";

impl Journal {
    /// Opens the journal of the store at `path`, which is made where it is missing.
    pub fn open(path: &Path) -> Result<Journal, StoreError> {
        Ok(Journal { path: path.to_owned(), connection: file::open(path)? })
    }

    /// All jobs, the oldest first.
    pub fn jobs(&self) -> Result<Vec<Job>, StoreError> {
        let select = format!("SELECT rowid, {JOB} FROM job ORDER BY rowid");
        let mut statement = self.connection.prepare(&select).map_err(|error| self.fail(error))?;
        let mut rows = statement.query([]).map_err(|error| self.fail(error))?;
        let mut jobs = Vec::new();
        while let Some(row) = rows.next().map_err(|error| self.fail(error))? {
            jobs.push(self.job_of(row)?);
        }
        Ok(jobs)
    }

    /// The job of this name.
    pub fn job(&self, id: &str) -> Result<Option<Job>, StoreError> {
        Ok(self.jobs()?.into_iter().find(|job| job.id == id))
    }

    /// Writes a new job down.
    pub fn begin(&mut self, job: &Job) -> Result<(), StoreError> {
        self.change(|transaction| write_job(transaction, job))
    }

    /// Writes down where a job stands now.
    pub fn update(&mut self, job: &Job) -> Result<(), StoreError> {
        self.change(|transaction| write_job(transaction, job))
    }

    /// Puts requests into a job; of each tells whether it was free. What is in an open job, or has its answer in the store, is not.
    pub fn reserve(&mut self, job: &str, requests: &[JobRequest]) -> Result<Vec<bool>, StoreError> {
        self.change(|transaction| {
            let mut insert = transaction.prepare_cached(
                "INSERT INTO job_request (job, key, task, unit, run, request, state)
                 SELECT ?1, ?2, ?3, ?4, ?5, ?6, 'open' WHERE NOT EXISTS (SELECT 1 FROM response WHERE key = ?2)
                 ON CONFLICT (key) DO UPDATE SET job = excluded.job, task = excluded.task, unit = excluded.unit, run = excluded.run,
                 request = excluded.request, state = 'open', detail = NULL WHERE job_request.state <> 'open'",
            )?;
            let reserve = |JobRequest { key, task, subject, run, parts }: &JobRequest| {
                let request = json(&RequestCell::new(parts, Some(subject)))?;
                let unit = subject.unit.as_str();
                Ok(insert.execute(params![job, key.to_string(), task, unit, run, request])? == 1)
            };
            requests.iter().map(reserve).collect()
        })
    }

    /// Forgets a job of which nothing has left.
    pub fn forget(&mut self, job: &str) -> Result<(), StoreError> {
        self.change(|transaction| {
            transaction.execute("DELETE FROM job_request WHERE job = ?1", [job])?;
            transaction.execute("DELETE FROM job WHERE id = ?1", [job]).map(|_| ())
        })
    }

    /// Closes a job, with the state and message that it has now: what is not settled is free again. Gives how many requests these are.
    pub fn close(&mut self, job: &Job) -> Result<u64, StoreError> {
        self.change(|transaction| {
            write_job(transaction, job)?;
            let free = "DELETE FROM job_request WHERE job = ?1 AND state = 'open'";
            Ok(transaction.execute(free, [&job.id])? as u64)
        })
    }

    /// Which of these requests are in an open job.
    pub fn is_open(&self, key: &RequestKey) -> Result<bool, StoreError> {
        let select = "SELECT 1 FROM job_request WHERE key = ?1 AND state = 'open'";
        let look = || self.connection.prepare_cached(select)?.exists([key.to_string()]);
        look().map_err(|error| self.fail(error))
    }

    /// Whether a request is in this job and open.
    pub fn holds(&self, job: &str, key: &RequestKey) -> Result<bool, StoreError> {
        let select = "SELECT 1 FROM job_request WHERE key = ?1 AND job = ?2 AND state = 'open'";
        let look = || self.connection.prepare_cached(select)?.exists([&key.to_string(), job]);
        look().map_err(|error| self.fail(error))
    }

    /// How many requests of a job are open.
    pub fn open_requests(&self, job: &str) -> Result<u64, StoreError> {
        let select = "SELECT count(*) FROM job_request WHERE job = ?1 AND state = 'open'";
        let count = self.connection.query_row(select, [job], |row| row.get(0)).map_err(|error| self.fail(error))?;
        Ok(i64::cast_unsigned(count))
    }

    /// How many requests of a run are in open jobs.
    pub fn open_of_run(&self, run: &str) -> Result<u64, StoreError> {
        let select = "SELECT count(*) FROM job_request WHERE run = ?1 AND state = 'open'";
        let count = self.connection.query_row(select, [run], |row| row.get(0)).map_err(|error| self.fail(error))?;
        Ok(i64::cast_unsigned(count))
    }

    /// Why requests of a job have no answer, with how many each; the most frequent reason first.
    pub fn reasons(&self, job: &str) -> Result<Vec<(String, u64)>, StoreError> {
        let select = "SELECT coalesce(detail, ''), count(*) FROM job_request WHERE job = ?1 AND state = 'failed'
                      GROUP BY 1 ORDER BY 2 DESC, 1";
        let read = || -> rusqlite::Result<Vec<(String, u64)>> {
            let mut statement = self.connection.prepare(select)?;
            let rows = statement.query_map([job], |row| Ok((row.get(0)?, i64::cast_unsigned(row.get(1)?))))?;
            rows.collect()
        };
        read().map_err(|error| self.fail(error))
    }

    /// Settles requests, all of them or none; of each tells what became of it.
    ///
    /// An answer is taken whatever job its request is in. That there is none frees a request of `job` alone; without one, those that went
    /// into files.
    pub fn settle(
        &mut self,
        job: Option<&str>,
        settled: &[Settled],
        now: Timestamp,
    ) -> Result<Vec<Became>, StoreError> {
        self.change(|transaction| settled.iter().map(|settled| settle(transaction, job, settled, now)).collect())
    }

    /// Keeps a fact about a model.
    pub fn learn(&mut self, fact: &ModelFact) -> Result<(), StoreError> {
        self.change(|transaction| insert_fact(transaction, fact).map(|_| ()))
    }

    /// All of a change or nothing of it.
    fn change<T>(&mut self, change: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T>) -> Result<T, StoreError> {
        let path = self.path.clone();
        let run = || -> rusqlite::Result<T> {
            let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let changed = change(&transaction)?;
            transaction.commit()?;
            Ok(changed)
        };
        run().map_err(|error| StoreError::of("write", &path, BUSY_TIMEOUT, error))
    }

    fn fail(&self, error: rusqlite::Error) -> StoreError {
        StoreError::of("read", &self.path, BUSY_TIMEOUT, error)
    }

    fn job_of(&self, row: &Row<'_>) -> Result<Job, StoreError> {
        let read = || -> rusqlite::Result<Job> {
            let count = |at: usize| row.get(at).map(i64::cast_unsigned);
            let time = |at: usize| -> rusqlite::Result<Option<Timestamp>> {
                row.get::<_, Option<String>>(at)?.map(|text| parsed(at, text.parse())).transpose()
            };
            let word = |at: usize| row.get(at).map(serde_json::Value::String);
            Ok(Job {
                id: row.get(1)?,
                way: parsed(2, serde_json::from_value(word(2)?))?,
                provider: row.get(3)?,
                endpoint: row.get(4)?,
                model: row.get(5)?,
                state: parsed(6, serde_json::from_value(word(6)?))?,
                place: row.get::<_, Option<String>>(7)?.map(PathBuf::from),
                input_file: row.get(8)?,
                remote: row.get(9)?,
                progress: row
                    .get::<_, Option<String>>(10)?
                    .map(|text| parsed(10, serde_json::from_str(&text)))
                    .transpose()?,
                message: row.get(11)?,
                requests: count(12)?,
                answered: count(13)?,
                failed: count(14)?,
                bytes: count(15)?,
                created_at: time(16)?.unwrap_or(Timestamp::UNIX_EPOCH),
                sent_at: time(17)?,
                closed_at: time(18)?,
                runs: parsed(19, serde_json::from_str(&row.get::<_, String>(19)?))?,
            })
        };
        read().map_err(|error| self.fail(error))
    }
}

/// A cell's text as something better.
fn parsed<T, E: std::error::Error + Send + Sync + 'static>(column: usize, read: Result<T, E>) -> rusqlite::Result<T> {
    read.map_err(|error| {
        rusqlite::Error::FromSqlConversionFailure(column, rusqlite::types::Type::Text, Box::new(error))
    })
}

fn json(value: &impl Serialize) -> rusqlite::Result<String> {
    serde_json::to_string(value).map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))
}

/// Answers and failures are counted where they are settled, and not overwritten.
fn write_job(transaction: &Transaction<'_>, job: &Job) -> rusqlite::Result<()> {
    let Job { id, way, provider, endpoint, model, state, place, input_file, remote, progress, message, runs, .. } = job;
    let count = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
    let time = |time: Option<Timestamp>| time.map(|time| time.to_string());
    let statement = format!(
        "INSERT INTO job ({JOB}) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19)
         ON CONFLICT (id) DO UPDATE SET state = excluded.state, place = excluded.place, input_file = excluded.input_file,
         remote = excluded.remote, progress = excluded.progress, message = excluded.message, requests = excluded.requests,
         bytes = excluded.bytes, runs = excluded.runs, sent_at = excluded.sent_at, closed_at = excluded.closed_at"
    );
    let way = match way {
        Way::Batch => "batch",
        Way::File => "file",
    };
    transaction
        .prepare_cached(&statement)?
        .execute(params![
            id,
            way,
            provider,
            endpoint,
            model,
            state.name(),
            place.as_ref().map(|place| place.to_string_lossy().into_owned()),
            input_file,
            remote,
            progress.as_ref().map(json).transpose()?,
            message,
            count(job.requests),
            count(job.answered),
            count(job.failed),
            count(job.bytes),
            job.created_at.to_string(),
            time(job.sent_at),
            time(job.closed_at),
            json(runs)?,
        ])
        .map(|_| ())
}

fn settle(
    transaction: &Transaction<'_>,
    of: Option<&str>,
    settled: &Settled,
    now: Timestamp,
) -> rusqlite::Result<Became> {
    let key = settled.key.to_string();
    let asked = transaction
        .prepare_cached(
            "SELECT job.id, job_request.state, provider, endpoint, model, task, unit, run, request, way
             FROM job_request JOIN job ON job.id = job_request.job WHERE key = ?1",
        )?
        .query_row([&key], |row| {
            let cell: RequestCell = parsed(8, serde_json::from_str(&row.get::<_, String>(8)?))?;
            let (parts, subject) = cell.take_apart(row.get(6)?);
            let response = NewResponse {
                key: settled.key,
                provider: row.get(2)?,
                endpoint: row.get(3)?,
                model: row.get(4)?,
                task: row.get(5)?,
                subject,
                run: row.get(7)?,
                parts,
                body: String::new(),
                status: 200,
                usage: None,
                created_at: now,
                attempts: 1,
                latency: Duration::ZERO,
                lane: Lane::Batch,
            };
            let job: String = row.get(0)?;
            let is_meant = of.map_or(row.get::<_, String>(9)? == "file", |of| of == job);
            Ok((job, row.get::<_, String>(1)? == "open", is_meant, response))
        })
        .optional()?;
    let Some((job, is_open, is_meant, response)) = asked else {
        let known = transaction.prepare_cached("SELECT 1 FROM response WHERE key = ?1")?.exists([&key])?;
        return Ok(if known { Became::Known } else { Became::Foreign });
    };
    match &settled.outcome {
        Ok(BatchAnswer { body, usage }) => {
            let response = NewResponse { body: body.clone(), usage: *usage, ..response };
            let became = match insert_response(transaction, &response, Standing::Current)? {
                Kept::New => Became::Stored,
                // It was paid for all the same.
                Kept::Earlier => {
                    insert_response(transaction, &response, Standing::Superseded)?;
                    Became::Second
                }
            };
            transaction.prepare_cached("DELETE FROM job_request WHERE key = ?1")?.execute([&key])?;
            transaction
                .prepare_cached("UPDATE job SET answered = answered + 1, failed = failed - ?2 WHERE id = ?1")?
                .execute(params![job, i64::from(!is_open)])?;
            Ok(became)
        }
        Err(_) if !is_open || !is_meant => Ok(Became::Known),
        Err(reason) => {
            let free = "UPDATE job_request SET state = 'failed', detail = ?2 WHERE key = ?1";
            transaction.prepare_cached(free)?.execute([&key, reason])?;
            transaction.prepare_cached("UPDATE job SET failed = failed + 1 WHERE id = ?1")?.execute([&job])?;
            Ok(Became::Freed)
        }
    }
}

#[cfg(test)]
mod tests;
