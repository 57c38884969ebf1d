//! Handing over to a batch lane: questions become jobs as large as the lane takes, each written down before it is sent.

use super::draft::{Counted, Draft, Drafting, Split, remove_file};
use super::link::{CallError, Link};
use super::questions::{Questions, Wanted};
use super::recover::{Found, Reach, find, recover};
use super::{BatchError, Event, Listener, folder, lock};
use crate::llm::batch::{NewBatch, RemoteBatch};
use crate::redact::Redactions;
use crate::store::journal::{Job, JobState, Journal, Progress, Way};
use jiff::Timestamp;
use std::path::Path;

/// What was handed over.
#[derive(Debug)]
pub struct Submitted {
    /// The jobs.
    pub jobs: Vec<Job>,
    /// What was counted on the way.
    pub counted: Counted,
    /// Units that needed no request.
    pub settled: u64,
    /// Jobs of earlier processes of which nobody knows whether the server took them.
    pub unconfirmed: Vec<Job>,
    /// What was replaced in the sessions; empty where they are sent as they are.
    pub redactions: Redactions,
}

impl Submitted {
    /// Requests that were handed over.
    pub fn requests(&self) -> u64 {
        self.jobs.iter().map(|job| job.requests).sum()
    }
}

/// Hands over all that the store lacks and no open job has.
pub async fn submit(
    wanted: &Wanted,
    link: &Link,
    split: Split,
    reach: Reach<'_>,
    listener: Listener<'_>,
) -> Result<Submitted, BatchError> {
    let _lock = lock(&wanted.store)?;
    let mut journal = Journal::open(&wanted.store)?;
    let unconfirmed = recover(&mut journal, reach, listener).await?;
    let lane = link.lane();
    let mut drafting = Drafting::begin(wanted, Way::Batch, lane, split.within(lane.limits()), folder(&wanted.store))?;
    let mut questions = Questions::begin(wanted)?;
    let mut jobs = Vec::new();
    let sent = hand_over(&mut drafting, link, &mut journal, &mut questions, &mut jobs, listener).await;
    let settled = questions.settled;
    let redactions = questions.end().await;
    sent?;
    Ok(Submitted { jobs, counted: drafting.counted, settled, unconfirmed, redactions: redactions? })
}

/// Puts jobs together and sends each as soon as it is full.
async fn hand_over(
    drafting: &mut Drafting<'_>,
    link: &Link,
    journal: &mut Journal,
    questions: &mut Questions,
    jobs: &mut Vec<Job>,
    listener: Listener<'_>,
) -> Result<(), BatchError> {
    loop {
        let missing = questions.next().await?;
        let is_last = missing.is_none();
        let full = match missing {
            Some(missing) => drafting.take(journal, missing)?,
            None => drafting.end(journal)?,
        };
        if let Some(full) = full {
            let job = send(link, journal, full).await?;
            listener(Event::Job(&job));
            jobs.push(job);
        }
        if is_last {
            return Ok(());
        }
    }
}

/// Sends a job. What is about to happen is written down before it does.
async fn send(link: &Link, journal: &mut Journal, draft: Draft) -> Result<Job, BatchError> {
    let Draft { mut job, headers, .. } = draft;
    let input = job.place.clone().unwrap_or_default();
    fn new<'a>(job: &'a Job, input: &'a Path, headers: &'a [(&'static str, String)]) -> NewBatch<'a> {
        NewBatch { job: &job.id, input, input_file: job.input_file.as_deref(), headers }
    }
    if let Some(call) = link.lane().upload(link.base_url(), new(&job, &input, &headers)) {
        job.state = JobState::Uploading;
        journal.update(&job)?;
        // A file that is sent twice costs nothing: there is no batch of it yet.
        let uploaded = link.ask(&call).await.and_then(|body| {
            link.lane().uploaded(&body).map_err(|unreadable| CallError::Refused(unreadable.to_string()))
        });
        match uploaded {
            Ok(file) => job.input_file = Some(file),
            Err(error) => return Err(not_taken(journal, job, &error)?),
        }
    }
    job.state = JobState::Unconfirmed;
    job.sent_at = Some(Timestamp::now());
    journal.update(&job)?;
    let call = link.lane().create(link.base_url(), new(&job, &input, &headers));
    let made = link
        .ask_once(&call)
        .await
        .and_then(|body| link.lane().batch(&body).map_err(|unreadable| CallError::Unknown(unreadable.to_string())));
    match made {
        Ok(batch) => confirm(journal, &mut job, &batch)?,
        Err(CallError::Unknown(reason)) => match find(link, journal, &job).await {
            Ok(Found::It(batch)) => confirm(journal, &mut job, &batch)?,
            _ => {
                remove_file(&mut job);
                job.message = Some(reason.clone());
                journal.update(&job)?;
                return Err(BatchError::Unconfirmed { job: job.id, reason });
            }
        },
        Err(error) => return Err(not_taken(journal, job, &error)?),
    }
    Ok(job)
}

/// The server has the job.
pub(super) fn confirm(journal: &mut Journal, job: &mut Job, batch: &RemoteBatch) -> Result<(), BatchError> {
    job.state = JobState::Submitted;
    job.remote = Some(batch.id.clone());
    job.message = None;
    note_progress(job, batch);
    remove_file(job);
    Ok(journal.update(job)?)
}

/// What the server says of a job now.
pub(super) fn note_progress(job: &mut Job, batch: &RemoteBatch) {
    job.progress = Some(Progress { state: batch.state.clone(), counts: batch.counts, at: Timestamp::now() });
}

fn not_taken(journal: &mut Journal, mut job: Job, error: &CallError) -> Result<BatchError, BatchError> {
    let reason = error.to_string();
    job.state = JobState::Refused;
    job.message = Some(reason.clone());
    job.closed_at = Some(Timestamp::now());
    remove_file(&mut job);
    journal.close(&job)?;
    Ok(BatchError::NotTaken { job: job.id, reason })
}
