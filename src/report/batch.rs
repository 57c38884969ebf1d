//! Batch jobs, in words and tables.

use super::cache::{age, bytes};
use super::{dollars, grid, plural, text};
use crate::batch::collect::{Gathered, JobReport};
use crate::forecast::Between;
use crate::store::journal::{Job, JobState, Progress, Way};
use jiff::Timestamp;
use serde::Serialize;
use std::fmt::Write;
use std::path::Path;

/// A job as a JSON document.
#[derive(Debug, Serialize)]
pub struct JobDocument<'a> {
    id: &'a str,
    way: Way,
    state: JobState,
    model: String,
    endpoint: &'a str,
    runs: &'a [String],
    remote: Option<&'a str>,
    file: Option<&'a Path>,
    server: Option<&'a Progress>,
    message: Option<&'a str>,
    requests: u64,
    answered: u64,
    failed: u64,
    bytes: u64,
    created_at: Timestamp,
    sent_at: Option<Timestamp>,
    closed_at: Option<Timestamp>,
    age_seconds: i64,
}

impl<'a> JobDocument<'a> {
    /// The document of a job, as it stands at `now`.
    pub fn new(job: &'a Job, now: Timestamp) -> JobDocument<'a> {
        JobDocument {
            id: &job.id,
            way: job.way,
            state: job.state,
            model: model(job),
            endpoint: &job.endpoint,
            runs: &job.runs,
            remote: job.remote.as_deref(),
            file: job.place.as_deref(),
            server: job.progress.as_ref(),
            message: job.message.as_deref(),
            requests: job.requests,
            answered: job.answered,
            failed: job.failed,
            bytes: job.bytes,
            created_at: job.created_at,
            sent_at: job.sent_at,
            closed_at: job.closed_at,
            age_seconds: now.duration_since(job.created_at).as_secs(),
        }
    }
}

fn model(job: &Job) -> String {
    format!("{}/{}", job.provider, job.model)
}

/// What has become of a job, in a word or two.
fn standing(job: &Job) -> String {
    match (&job.state, &job.progress, &job.place) {
        (JobState::Submitted, Some(Progress { state, counts, .. }), _) => {
            let done = counts.succeeded + counts.failed + counts.unfinished;
            format!("{state} {done}/{}", if counts.total > 0 { counts.total } else { job.requests })
        }
        (JobState::Exported, _, Some(place)) => format!("exported to {}", place.display()),
        (state, ..) => state.name().to_owned(),
    }
}

/// The jobs, a line each, and what there is to know of some.
pub fn jobs_table(jobs: &[Job], now: Timestamp) -> String {
    let mut table = grid(&["job", "state", "model", "run", "requests", "answered", "without", "begun"], &[4, 5, 6]);
    for job in jobs {
        let run = match job.runs.as_slice() {
            [] => String::new(),
            [run] => run.clone(),
            [run, more @ ..] => format!("{run} and {} more", more.len()),
        };
        table.add_row([
            job.id.clone(),
            standing(job),
            model(job),
            run,
            job.requests.to_string(),
            job.answered.to_string(),
            job.failed.to_string(),
            age(job.created_at, now),
        ]);
    }
    let mut text = text(&table);
    for (job, message) in jobs.iter().filter_map(|job| Some((job, job.message.as_ref()?))) {
        let _ = writeln!(text, "{}: {message}", job.id);
    }
    text
}

/// What was handed over with a job.
pub fn job_line(job: &Job) -> String {
    let place = match (&job.remote, &job.place) {
        (Some(remote), _) => format!(", {remote}"),
        (None, Some(place)) if job.way == Way::File => format!(" in {}", place.display()),
        _ => String::new(),
    };
    format!("job {}: {}, {}{place}", job.id, plural(job.requests, "request"), bytes(job.bytes))
}

/// A cost that lies between two others.
pub fn cost_range(cost: Option<Between<f64>>) -> String {
    match cost {
        Some(Between(low, _, high)) => format!("{} to {}", dollars(Some(low)), dollars(Some(high))),
        None => "cost unknown: no [price] in the configuration".to_owned(),
    }
}

/// What came in, in words.
pub fn gathered(gathered: &Gathered) -> String {
    let Gathered { stored, second, freed, known, foreign, unreadable } = gathered;
    let mut words = format!("{} stored", plural(*stored, "answer"));
    let more = [
        (*second, "kept as superseded: meanwhile answered otherwise"),
        (*known, "known"),
        (*freed, "without an answer, free to be handed over again"),
        (*foreign, "that nobody here has asked"),
        (*unreadable, "unreadable"),
    ];
    for (count, what) in more.iter().filter(|(count, _)| *count > 0) {
        let _ = write!(words, ", {count} {what}");
    }
    words
}

/// How many reasons are worth a line.
const REASONS: usize = 3;

/// What a look at a job brought: a line, and a line each for the most frequent reasons why requests have no answer.
pub fn report_lines(report: &JobReport) -> Vec<String> {
    let JobReport { job, gathered: came, trouble, reasons } = report;
    let mut lines = vec![match (trouble, job.state) {
        (Some(trouble), _) => format!("job {}: {trouble}", job.id),
        (None, JobState::Submitted) => format!("job {}: {}, nothing to fetch yet", job.id, standing(job)),
        (None, _) => format!("job {}: {}", job.id, gathered(came)),
    }];
    lines.extend(reasons.iter().take(REASONS).map(|(reason, count)| format!("  {count} × {reason}")));
    lines
}
