//! Jobs whose process ended while it made them: what surely never left is forgotten, what may have is looked for at the server.

use super::draft::remove_file;
use super::file::finish_export;
use super::link::{CallError, Link};
use super::submit::confirm;
use super::{BatchError, Event, Listener, lock};
use crate::llm::batch::{Phase, RemoteBatch};
use crate::store::journal::{Job, JobState, Journal, Way};
use jiff::{SignedDuration, Timestamp};
use std::collections::HashSet;
use std::path::Path;

/// How far the server's clock may be behind ours.
const CLOCKS: SignedDuration = SignedDuration::from_mins(10);

/// Pages of a list that are looked at: ten thousand batches.
const PAGES: usize = 100;

/// Gives the way to a job's server.
pub type Reach<'r> = &'r dyn Fn(&Job) -> Result<Link, BatchError>;

/// What the server knows of a job that was not confirmed.
#[derive(Debug)]
pub enum Found {
    /// This is it.
    It(Box<RemoteBatch>),
    /// Each of these may be it; which one, if any, is told when they have ended.
    Perhaps(Vec<String>),
    /// It is not among so many batches that were made since.
    Nowhere(usize),
}

/// Looks after the jobs of earlier processes; gives those of which still nobody knows whether the server has them. Nobody else may be making
/// jobs meanwhile.
pub async fn recover(journal: &mut Journal, reach: Reach<'_>, listener: Listener<'_>) -> Result<Vec<Job>, BatchError> {
    let mut unconfirmed = Vec::new();
    for mut job in journal.jobs()? {
        match job.state {
            JobState::Planned => {
                journal.forget(&job.id)?;
                remove_file(&mut job);
            }
            JobState::Uploading => {
                job.state = JobState::Dropped;
                job.message =
                    Some("the process ended while it sent the requests; there is no batch of them".to_owned());
                job.closed_at = Some(Timestamp::now());
                remove_file(&mut job);
                journal.close(&job)?;
                listener(Event::Note(format!(
                    "job {} had not reached the server: its requests are free again",
                    job.id
                )));
            }
            JobState::Unconfirmed => {
                remove_file(&mut job);
                let found = match reach(&job) {
                    Ok(link) => find(&link, journal, &job).await.map_err(|error| error.to_string()),
                    Err(error) => Err(error.to_string()),
                };
                job.message = Some(match found {
                    Ok(Found::It(batch)) => {
                        confirm(journal, &mut job, &batch)?;
                        listener(Event::Note(format!("job {} is at the server: {}", job.id, batch.id)));
                        continue;
                    }
                    Ok(Found::Perhaps(ids)) => {
                        format!("it may be {}, which is told when that has ended", ids.join(" or "))
                    }
                    Ok(Found::Nowhere(looked_at)) => format!(
                        "it is not among the {looked_at} batches that the server has made since, as far as this key sees them"
                    ),
                    Err(reason) => format!("the server could not be asked: {reason}"),
                });
                journal.update(&job)?;
                unconfirmed.push(job);
            }
            JobState::Exported => finish_export(journal, &mut job)?,
            JobState::Submitted | JobState::Collected | JobState::Refused | JobState::Dropped => {}
        }
    }
    Ok(unconfirmed)
}

/// The same where nobody is making jobs; else the jobs are left to whoever makes them.
pub async fn recover_if_alone(
    store: &Path,
    journal: &mut Journal,
    reach: Reach<'_>,
    listener: Listener<'_>,
) -> Result<Vec<Job>, BatchError> {
    match lock(store) {
        Ok(_lock) => recover(journal, reach, listener).await,
        Err(BatchError::Busy(_)) => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

/// Looks for a job among the server's batches.
pub(super) async fn find(link: &Link, journal: &Journal, job: &Job) -> Result<Found, FindError> {
    let lane = link.lane();
    let since = job.sent_at.unwrap_or(job.created_at).saturating_sub(CLOCKS).unwrap_or(Timestamp::MIN);
    let of_others: HashSet<String> =
        journal.jobs()?.into_iter().filter(|other| other.way == Way::Batch).filter_map(|other| other.remote).collect();
    let (mut after, mut looked_at, mut perhaps) = (None, 0, Vec::new());
    for _ in 0..PAGES {
        let body = link.ask(&lane.list(link.base_url(), after.as_deref())).await?;
        let page = lane.page(&body).map_err(|unreadable| CallError::Refused(unreadable.to_string()))?;
        let mut older = false;
        for batch in page.batches {
            older |= batch.created_at.is_some_and(|at| at < since);
            if batch.created_at.is_some_and(|at| at < since) || of_others.contains(&batch.id) {
                continue;
            }
            looked_at += 1;
            let by_file = job.input_file.is_some() && batch.input_file == job.input_file;
            if batch.job.as_deref() == Some(&job.id) || by_file {
                return Ok(Found::It(Box::new(batch)));
            }
            if !lane.keeps_names() && batch.counts.total == job.requests {
                match batch.phase {
                    Phase::Ended if is_of(link, journal, job, &batch).await? => return Ok(Found::It(Box::new(batch))),
                    Phase::Working => perhaps.push(batch.id),
                    Phase::Ended | Phase::Rejected => {}
                }
            }
        }
        after = page.next;
        if older || after.is_none() {
            break;
        }
    }
    Ok(if perhaps.is_empty() { Found::Nowhere(looked_at) } else { Found::Perhaps(perhaps) })
}

/// Whether the results of a batch are those of a job: its first line names a request of it.
async fn is_of(link: &Link, journal: &Journal, job: &Job, batch: &RemoteBatch) -> Result<bool, FindError> {
    let Some(result) = batch.results.first() else { return Ok(false) };
    let mut download = link.download(&link.lane().fetch(link.base_url(), result)).await?;
    let mut line = Vec::new();
    while let Some(piece) = download.piece().await.map_err(|error| CallError::Unknown(error.to_string()))? {
        match memchr::memchr(b'\n', &piece) {
            Some(end) => {
                line.extend_from_slice(&piece[..end]);
                break;
            }
            None => line.extend_from_slice(&piece),
        }
    }
    let Ok(line) = link.lane().line(&line) else { return Ok(false) };
    let Ok(key) = line.custom_id.parse() else { return Ok(false) };
    Ok(journal.holds(&job.id, &key)?)
}

/// Why a job could not be looked for.
#[derive(Debug, thiserror::Error)]
pub(super) enum FindError {
    /// The server could not be asked.
    #[error(transparent)]
    Call(#[from] CallError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] crate::store::StoreError),
}
