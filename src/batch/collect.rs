//! Fetching what has come of jobs: results are read as they come, each line by its own status, and settled in groups. Whatever interrupts
//! it, the next time nothing is settled twice.

use super::link::{CallError, Link};
use super::recover::Reach;
use super::submit::note_progress;
use super::{BatchError, Event, Listener};
use crate::engine::key::without_key;
use crate::llm::batch::{BatchCounts, BatchLane, LineOutcome, Phase, RemoteBatch};
use crate::llm::{Adapter, Fault, Feature};
use crate::store::journal::{BatchAnswer, Became, Job, JobState, Journal, Settled};
use crate::store::{ModelFact, RequestKey};
use jiff::Timestamp;
use secrecy::SecretString;
use serde::Serialize;
use std::time::Duration;

/// Lines that are settled together.
const GROUP: usize = 256;
const GROUP_BYTES: usize = 4 << 20;

/// No line of a result is longer.
const LONGEST_LINE: usize = 64 << 20;

/// The first and the longest wait between two looks at what is not done yet.
const FIRST_WAIT: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// What came in.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Gathered {
    /// Answers that are stored now.
    pub stored: u64,
    /// Answers to requests that were answered otherwise meanwhile: stored as superseded ones.
    pub second: u64,
    /// Requests that came back without an answer: they are free again.
    pub freed: u64,
    /// Lines whose requests were settled before.
    pub known: u64,
    /// Lines of requests that nobody here has asked.
    pub foreign: u64,
    /// Lines that cannot be read.
    pub unreadable: u64,
}

impl Gathered {
    /// Adds what came of something else.
    pub fn absorb(&mut self, other: Gathered) {
        let Gathered { stored, second, freed, known, foreign, unreadable } = other;
        self.stored += stored;
        self.second += second;
        self.freed += freed;
        self.known += known;
        self.foreign += foreign;
        self.unreadable += unreadable;
    }

    fn count(&mut self, became: Became) {
        *match became {
            Became::Stored => &mut self.stored,
            Became::Second => &mut self.second,
            Became::Freed => &mut self.freed,
            Became::Known => &mut self.known,
            Became::Foreign => &mut self.foreign,
        } += 1;
    }
}

/// What a look at a job brought.
#[derive(Debug)]
pub struct JobReport {
    /// The job, as it stands now.
    pub job: Job,
    /// What came in.
    pub gathered: Gathered,
    /// Why there was no more.
    pub trouble: Option<String>,
    /// Why requests came back without an answer, with how many each; the most frequent reason first.
    pub reasons: Vec<(String, u64)>,
}

impl JobReport {
    /// Whether more is to come by itself.
    fn is_waiting(&self) -> bool {
        self.job.state == JobState::Submitted && self.trouble.is_none()
    }
}

/// Asks how far the submitted jobs have got, and writes it down. Fetches nothing. Gives the jobs that could not be asked for, and why.
pub async fn look(journal: &mut Journal, reach: Reach<'_>) -> Result<Vec<(String, String)>, BatchError> {
    let mut troubles = Vec::new();
    for mut job in journal.jobs()?.into_iter().filter(|job| job.state == JobState::Submitted) {
        match remote(&job, reach).await {
            Ok((_, batch)) => {
                note_progress(&mut job, &batch);
                journal.update(&job)?;
            }
            Err(reason) => troubles.push((job.id, reason)),
        }
    }
    Ok(troubles)
}

/// Fetches what has ended; with `wait` until nothing more is to come. Gives a report of each job that was submitted.
pub async fn collect(
    journal: &mut Journal,
    reach: Reach<'_>,
    wait: bool,
    listener: Listener<'_>,
) -> Result<Vec<JobReport>, BatchError> {
    let mut reports: Vec<JobReport> = Vec::new();
    let mut due: Vec<Job> = journal.jobs()?.into_iter().filter(|job| job.state == JobState::Submitted).collect();
    let mut pause = FIRST_WAIT;
    loop {
        for job in std::mem::take(&mut due) {
            let report = collect_one(journal, reach, job).await?;
            listener(Event::Job(&report.job));
            match wait && report.is_waiting() {
                true => due.push(report.job),
                false => reports.push(report),
            }
        }
        if due.is_empty() {
            return Ok(reports);
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LONGEST_WAIT);
    }
}

/// A job's batch, as the server has it now, and the way to it; else why not.
async fn remote(job: &Job, reach: Reach<'_>) -> Result<(Link, RemoteBatch), String> {
    let link = reach(job).map_err(|error| error.to_string())?;
    let id = job.remote.clone().unwrap_or_default();
    let batch = link.batch(&id).await.map_err(|error| error.to_string())?;
    Ok((link, batch))
}

async fn collect_one(journal: &mut Journal, reach: Reach<'_>, mut job: Job) -> Result<JobReport, BatchError> {
    let mut gathered = Gathered::default();
    let (link, batch) = match remote(&job, reach).await {
        Ok(found) => found,
        Err(reason) => return Ok(JobReport { job, gathered, trouble: Some(reason), reasons: Vec::new() }),
    };
    note_progress(&mut job, &batch);
    let trouble = match batch.phase {
        Phase::Working => {
            journal.update(&job)?;
            None
        }
        Phase::Rejected => {
            job.state = JobState::Refused;
            job.message = Some(batch.message.unwrap_or_else(|| format!("the server says `{}`", batch.state)));
            job.closed_at = Some(Timestamp::now());
            journal.close(&job)?;
            job.message.clone()
        }
        Phase::Ended => {
            let (id, key) = (job.id.clone(), link.model.endpoint.api_key.as_ref());
            let mut reader = Reading::new(journal, Some(&id), link.lane(), &*link.model.adapter, key);
            let fetched = fetch(&link, &batch, &mut reader).await;
            gathered = reader.gathered;
            let lacks = std::mem::take(&mut reader.lacks);
            learn(journal, &job, lacks)?;
            match fetched {
                Err(Fetch::Batch(error)) => return Err(error),
                Err(Fetch::Call(error)) => {
                    journal.update(&job)?;
                    Some(format!("its results could not be fetched: {error}"))
                }
                Ok(lines) if lines.lacking(&batch.counts) > 0 => {
                    journal.update(&job)?;
                    Some(format!(
                        "its results are not whole: {} of {} lines are missing; they are fetched again the next time",
                        lines.lacking(&batch.counts),
                        batch.counts.succeeded + batch.counts.failed
                    ))
                }
                Ok(_) => {
                    job.state = JobState::Collected;
                    job.message = batch.message.clone();
                    job.closed_at = Some(Timestamp::now());
                    gathered.freed += journal.close(&job)?;
                    None
                }
            }
        }
    };
    // Answers and failures are counted in the journal.
    let job = journal.job(&job.id)?.unwrap_or(job);
    let reasons = journal.reasons(&job.id)?;
    Ok(JobReport { job, gathered, trouble, reasons })
}

/// Why results were not fetched.
enum Fetch {
    Call(CallError),
    Batch(BatchError),
}

/// Lines that were read.
#[derive(Debug, Clone, Copy, Default)]
struct Lines {
    answers: u64,
    all: u64,
}

impl Lines {
    /// How many lines there should be beside these.
    fn lacking(self, counts: &BatchCounts) -> u64 {
        let answers = counts.succeeded.saturating_sub(self.answers);
        answers.max((counts.succeeded + counts.failed).saturating_sub(self.all))
    }
}

async fn fetch(link: &Link, batch: &RemoteBatch, reader: &mut Reading<'_>) -> Result<Lines, Fetch> {
    for result in &batch.results {
        let mut download = link.download(&link.lane().fetch(link.base_url(), result)).await.map_err(Fetch::Call)?;
        loop {
            let piece = download.piece().await;
            // What came before a line was lost is settled; the rest comes the next time.
            let piece = piece.map_err(|error| Fetch::Call(CallError::Unknown(error.to_string())));
            match piece {
                Ok(Some(piece)) => reader.feed(&piece).map_err(Fetch::Batch)?,
                Ok(None) => break,
                Err(error) => {
                    reader.abandon().map_err(Fetch::Batch)?;
                    return Err(error);
                }
            }
        }
        reader.end().map_err(Fetch::Batch)?;
    }
    Ok(reader.lines)
}

/// Reads results piece by piece.
pub(super) struct Reading<'r> {
    journal: &'r mut Journal,
    job: Option<&'r str>,
    lane: &'r dyn BatchLane,
    adapter: &'r dyn Adapter,
    key: Option<&'r SecretString>,
    rest: Vec<u8>,
    group: Vec<Settled>,
    group_bytes: usize,
    lines: Lines,
    /// What came in so far.
    pub(super) gathered: Gathered,
    /// What the model was found to lack, with its words.
    pub(super) lacks: Vec<(Feature, String)>,
}

impl<'r> Reading<'r> {
    pub(super) fn new(
        journal: &'r mut Journal,
        job: Option<&'r str>,
        lane: &'r dyn BatchLane,
        adapter: &'r dyn Adapter,
        key: Option<&'r SecretString>,
    ) -> Reading<'r> {
        let (rest, group, lacks) = (Vec::new(), Vec::new(), Vec::new());
        let (lines, gathered) = (Lines::default(), Gathered::default());
        Reading { journal, job, lane, adapter, key, rest, group, group_bytes: 0, lines, gathered, lacks }
    }

    /// Takes the next piece.
    pub(super) fn feed(&mut self, mut piece: &[u8]) -> Result<(), BatchError> {
        while let Some(end) = memchr::memchr(b'\n', piece) {
            let (head, tail) = (&piece[..end], &piece[end + 1..]);
            if self.rest.is_empty() {
                self.line(head)?;
            } else {
                let mut line = std::mem::take(&mut self.rest);
                line.extend_from_slice(head);
                self.line(&line)?;
            }
            piece = tail;
        }
        // A line that never ends is kept as far as one can be, and is unreadable then.
        let room = LONGEST_LINE.saturating_sub(self.rest.len());
        self.rest.extend_from_slice(&piece[..piece.len().min(room)]);
        Ok(())
    }

    /// There is no more; the last line may lack its end.
    pub(super) fn end(&mut self) -> Result<(), BatchError> {
        let last = std::mem::take(&mut self.rest);
        self.line(&last)?;
        self.settle()
    }

    /// There is more, and it does not come: what is whole is settled.
    fn abandon(&mut self) -> Result<(), BatchError> {
        self.rest.clear();
        self.settle()
    }

    fn line(&mut self, line: &[u8]) -> Result<(), BatchError> {
        if line.iter().all(u8::is_ascii_whitespace) {
            return Ok(());
        }
        let line = without_key(line.to_vec(), self.key);
        let Ok(line_of) = self.lane.line(&line) else {
            self.gathered.unreadable += 1;
            return Ok(());
        };
        self.lines.all += 1;
        self.lines.answers += u64::from(matches!(line_of.outcome, LineOutcome::Answer(_)));
        let Ok(key) = line_of.custom_id.parse::<RequestKey>() else {
            self.gathered.foreign += 1;
            return Ok(());
        };
        let outcome = match line_of.outcome {
            LineOutcome::Answer(body) => match self.adapter.decode(body.as_bytes()) {
                Ok(response) => Ok(BatchAnswer { body, usage: response.usage }),
                Err(unreadable) => Err(unreadable.to_string()),
            },
            LineOutcome::Fault { status, body } => Err(self.fault(status, &body)),
            LineOutcome::Unasked(reason) => Err(reason),
        };
        self.group_bytes += line.len();
        self.group.push(Settled { key, outcome });
        if self.group.len() >= GROUP || self.group_bytes >= GROUP_BYTES { self.settle() } else { Ok(()) }
    }

    /// What an error says; what the model lacks is remembered, so that the next requests leave it out.
    fn fault(&mut self, status: u16, body: &[u8]) -> String {
        match self.adapter.fault(status, &|_| None, body) {
            Fault::Lacks(feature, reason) => {
                if self.lacks.iter().all(|(known, _)| *known != feature) {
                    self.lacks.push((feature, reason.clone()));
                }
                reason
            }
            Fault::Busy { reason, .. } => reason,
            Fault::TooLong(reason) => format!("too long for the model: {reason}"),
            Fault::Stop(reason) | Fault::Refused(reason) | Fault::BadRequest(reason) => reason,
        }
    }

    fn settle(&mut self) -> Result<(), BatchError> {
        let group = std::mem::take(&mut self.group);
        self.group_bytes = 0;
        if !group.is_empty() {
            let became = self.journal.settle(self.job, &group, Timestamp::now())?;
            became.into_iter().for_each(|became| self.gathered.count(became));
        }
        Ok(())
    }
}

fn learn(journal: &mut Journal, job: &Job, lacks: Vec<(Feature, String)>) -> Result<(), BatchError> {
    for (feature, message) in lacks {
        let Job { provider, endpoint, model, .. } = job.clone();
        journal.learn(&ModelFact { provider, endpoint, model, feature, learnt_at: Timestamp::now(), message })?;
    }
    Ok(())
}
