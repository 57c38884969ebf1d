//! Annotates: plan → what is missing → bounded pipeline → rows. Progress is one listener of the events.
//!
//! Threads read sessions and render their units; what the store knows becomes a row there and then ([`prepare`]). For the rest a model is
//! asked: requests that begin alike one before the others ([`warmth`]), each as soon as the pace allows ([`ask`]); for each unit, or for
//! several prompts of a session at once ([`group`]). Rows are written in unit order. Memory holds the sessions under way, never the corpus.

pub mod annotate;
pub mod ask;
pub mod group;
pub(crate) mod key;
mod pipeline;
pub mod plan;
pub mod prepare;
pub mod recall;
pub mod spending;
pub mod warmth;

pub use annotate::Refresh;
pub use ask::Stopped;
pub use plan::{Plan, PlanError, Sampling, TaskPlan};
pub use spending::{Exhausted, Spent};

use crate::codebook::CodebookError;
use crate::config::Rater;
use crate::llm::client::Client;
use crate::llm::pace::{Limits, Pacer};
use crate::llm::retry::Backoff;
use crate::redact::Redactions;
use crate::run::{Annotation, Manifest, RunError, Settings, Totals, Writer, write_json};
use crate::session::ReadError;
use crate::store::{Store, StoreError};
use annotate::RunContext;
use ask::{AskError, Asker};
use jiff::Timestamp;
use miette::Diagnostic;
use pipeline::{Pipeline, until};
use prepare::{Headway, Preparing};
use std::fs::{self, File};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// Questions that wait for their turn, for each that may be asked at once: a pool deep enough to find some whose beginnings are known.
const WAITING_PER_SLOT: usize = 4;
const LEAST_WAITING: usize = 64;
/// The file of a run that says since when it is asked for again; it is there until that is done.
const REFRESHING: &str = ".refreshing";
/// Hand-overs of prepared units that may wait.
const HANDED_OVER: usize = 8;

/// Why a run could not be done at all.
#[derive(Debug, thiserror::Error, Diagnostic)]
pub enum EngineError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The run's files cannot be written.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Run(#[from] RunError),
    /// A prompt cannot be rendered.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Codebook(#[from] CodebookError),
    /// A session that was there is no longer readable.
    #[error(transparent)]
    Session(#[from] ReadError),
    /// The run's folder is held by another process.
    #[error("another process is writing {folder}", folder = .0.display())]
    #[diagnostic(help("wait for it, or name this run with --run"))]
    Busy(PathBuf),
}

/// How requests are sent.
#[derive(Debug, Clone, Copy)]
pub struct Sending {
    /// Requests under way at once.
    pub concurrency: usize,
    /// Requests a minute.
    pub requests_per_minute: Option<u64>,
    /// Tokens a minute.
    pub tokens_per_minute: Option<u64>,
    /// Time that one request may take.
    pub timeout: Duration,
    /// Further attempts after a failure that can pass.
    pub max_retries: u32,
    /// Time for which all requests may fail before the run ends.
    pub patience: Duration,
    /// What may be spent at most, in US dollars.
    pub max_cost_usd: Option<f64>,
}

/// A job: a plan, a rater, and where things go.
pub struct Job {
    /// What is annotated.
    pub plan: Plan,
    /// Who annotates.
    pub rater: Rater,
    /// What shapes the answers.
    pub settings: Settings,
    /// Which stored answers are asked for again.
    pub refresh: Refresh,
    /// How requests are sent.
    pub sending: Sending,
    /// The store of paid answers.
    pub store: PathBuf,
}

/// What happens while a job runs.
pub enum Event<'e> {
    /// A unit has its row.
    Row {
        /// Which task of the plan.
        task: usize,
        /// The row.
        row: &'e Annotation,
    },
    /// A row stands in its run's file: in unit order, unlike [`Event::Row`].
    Written {
        /// Which task of the plan.
        task: usize,
        /// The row.
        row: &'e Annotation,
    },
    /// Something was learnt of the model.
    Note(&'e str),
    /// The run was told to end; so many requests are still under way.
    WindingDown {
        /// Requests under way.
        under_way: usize,
    },
}

/// How a job ended.
#[derive(Debug)]
pub struct Outcome {
    /// Counts of each task, in the plan's order.
    pub totals: Vec<Totals>,
    /// Why it stopped early, if nothing more could be answered.
    pub stopped: Option<Stopped>,
    /// What it has cost; `None` where nobody was asked.
    pub spent: Option<Spent>,
    /// Whether it was told to end.
    pub interrupted: bool,
    /// What was replaced in the sessions, by kind.
    pub redactions: Redactions,
}

/// Runs a job. `interrupt` ends it cleanly: no new request is sent, those under way are waited for; cancelling `abandon` drops them.
pub async fn run(
    job: Job,
    interrupt: CancellationToken,
    abandon: CancellationToken,
    listener: &mut (dyn FnMut(Event<'_>) + Send),
) -> Result<Outcome, EngineError> {
    let started = Timestamp::now();
    let asker = asker(&job, &abandon)?.map(Arc::new);
    let Job { plan, rater, settings, refresh, sending, store: _ } = job;
    let plan = Arc::new(plan);
    let samples = settings.samples.max(1);
    let _locks = lock(&plan)?;
    let mut contexts = contexts(&plan, &settings);
    if refresh == Refresh::Everything {
        for (context, task) in contexts.iter_mut().zip(&plan.tasks) {
            context.refreshing_since = Some(refreshing_since(task, started)?);
        }
    }
    let contexts = Arc::new(contexts);
    let (sender, mut prepared) = mpsc::channel(HANDED_OVER);
    let headway = Arc::new(Headway::default());
    let preparing = Preparing {
        plan: plan.clone(),
        contexts: contexts.clone(),
        rater: rater.clone(),
        recall: asker.as_ref().map(|asker| asker.recall.clone()),
        refresh,
        wind_down: asker.as_ref().map(|asker| asker.wind_down.clone()).unwrap_or_default(),
        samples,
        redacted: settings.redacted,
        headway: headway.clone(),
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let preparation = tokio::task::spawn_blocking(move || preparing.run(threads, &sender));
    let waiting = (sending.concurrency * WAITING_PER_SLOT).max(LEAST_WAITING);
    let mut pipeline = Pipeline {
        contexts,
        asker,
        refresh,
        under_way: JoinSet::new(),
        writers: plan
            .tasks
            .iter()
            .map(|t| Writer::create(&t.folder, &t.codebook, samples))
            .collect::<Result<Vec<_>, _>>()?,
        headway: headway.clone(),
        listener,
        deadline: None,
        stopped: None,
    };
    let mut open = true;
    let mut interrupted = false;
    let ended = async {
        while open || !pipeline.under_way.is_empty() {
            tokio::select! {
                biased;
                () = interrupt.cancelled(), if !interrupted => {
                    interrupted = true;
                    open &= pipeline.asker.is_some();
                    pipeline.wind_down();
                }
                () = abandon.cancelled(), if open && pipeline.deadline.is_some() => open = false,
                () = until(pipeline.deadline), if !abandon.is_cancelled() => abandon.cancel(),
                Some(done) = pipeline.under_way.join_next(), if !pipeline.under_way.is_empty() => {
                    pipeline.take(done.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic())))?;
                }
                next = prepared.recv(), if open && pipeline.under_way.len() < waiting => match next {
                    Some(units) => units.into_iter().try_for_each(|unit| pipeline.start(unit))?,
                    None => open = false,
                },
            }
        }
        Ok::<(), EngineError>(())
    };
    let ended = ended.await;
    // Threads that wait for headway, or for somebody to take what they have prepared, end.
    headway.end();
    drop(prepared);
    let produced = preparation.await.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()));
    ended?;
    let Pipeline { asker, writers, mut stopped, listener, .. } = pipeline;
    if let Some(asker) = asker.as_ref().filter(|_| stopped.is_none() && !interrupted) {
        stopped = asker.refused_throughout()?.map(|said| AskError::Stop(Stopped::Trouble(said)));
    }
    let notes = asker.as_ref().map(|asker| asker.known_lacks()).unwrap_or_default();
    let mut totals = Vec::new();
    for (at, (task, writer)) in plan.tasks.iter().zip(writers).enumerate() {
        let mut counts =
            writer.finish(task.units * samples as usize, &mut |row| listener(Event::Written { task: at, row }))?;
        counts.redactions = produced.as_ref().map(|redactions| redactions[at].clone()).unwrap_or_default();
        write_manifest(&plan, task, &rater, &settings, started, &notes, &counts)?;
        if counts.rows == counts.units && stopped.is_none() && !interrupted {
            // Nothing is left of it to go on with.
            drop(fs::remove_file(task.folder.join(REFRESHING)));
        }
        totals.push(counts);
    }
    let redactions = produced?.pop().unwrap_or_default();
    let stopped = match stopped {
        Some(AskError::Store(error)) => return Err(error.into()),
        Some(AskError::Stop(stopped)) => Some(stopped),
        Some(AskError::Unit(ask::Unanswered { reason, .. })) => Some(Stopped::Trouble(reason)),
        Some(AskError::Cancelled) | None => None,
    };
    Ok(Outcome { totals, stopped, spent: asker.map(|asker| asker.spending.spent()), interrupted, redactions })
}

/// What asks the model, if the rater is one.
fn asker(job: &Job, abandon: &CancellationToken) -> Result<Option<Asker>, StoreError> {
    let Rater::Model(model) = &job.rater else { return Ok(None) };
    let sending = job.sending;
    let limits = Limits {
        concurrency: sending.concurrency,
        requests_per_minute: sending.requests_per_minute.or(model.requests_per_minute),
        tokens_per_minute: sending.tokens_per_minute.or(model.tokens_per_minute),
        input_tokens_per_minute: model.input_tokens_per_minute,
        output_tokens_per_minute: model.output_tokens_per_minute,
        patience: sending.patience,
    };
    let mut asker = Asker::new(
        (**model).clone(),
        Store::open(&job.store)?,
        Client::new(sending.timeout),
        Pacer::new(limits, model.adapter.accounting()),
        Backoff { max_retries: sending.max_retries, ..Backoff::default() },
        sending.max_cost_usd,
    )?;
    asker.abandon = abandon.clone();
    if job.settings.temperature.is_some() {
        asker.leave_out(model.adapter.leaves_out(&model.name.model));
    }
    Ok(Some(asker))
}

/// What all rows of each run share.
pub fn contexts(plan: &Plan, settings: &Settings) -> Vec<RunContext> {
    let context = |task: &TaskPlan| RunContext {
        codebook: task.codebook.clone(),
        run: task.run.clone(),
        rater: task.rater.clone(),
        temperature: settings.temperature,
        majority: task.majority.clone(),
        refreshing_since: None,
    };
    plan.tasks.iter().map(context).collect()
}

/// When it was begun to ask for all of a run again: by this command, or by one before it that did not come to its end.
fn refreshing_since(task: &TaskPlan, started: Timestamp) -> Result<Timestamp, RunError> {
    let path = task.folder.join(REFRESHING);
    if let Some(since) = fs::read_to_string(&path).ok().and_then(|text| text.trim().parse().ok()) {
        return Ok(since);
    }
    let written = fs::write(&path, format!("{started}\n"));
    written.map_err(|source| RunError::Io { action: "write", path, source })?;
    Ok(started)
}

/// Holds each run's folder for this process.
fn lock(plan: &Plan) -> Result<Vec<File>, EngineError> {
    plan.tasks
        .iter()
        .map(|task| {
            let path = task.folder.join(".lock");
            let io = |source| RunError::Io { action: "write", path: path.clone(), source };
            fs::create_dir_all(&task.folder).map_err(io)?;
            let file = File::create(&path).map_err(io)?;
            match file.try_lock() {
                Ok(()) => Ok(file),
                Err(fs::TryLockError::WouldBlock) => Err(EngineError::Busy(task.folder.clone())),
                Err(fs::TryLockError::Error(source)) => Err(io(source).into()),
            }
        })
        .collect()
}

fn write_manifest(
    plan: &Plan,
    task: &TaskPlan,
    rater: &Rater,
    settings: &Settings,
    started: Timestamp,
    notes: &[String],
    totals: &Totals,
) -> Result<(), RunError> {
    let path = task.folder.join("manifest.json");
    let (model, endpoint, max_output_tokens) = match rater {
        Rater::Cues => ("baseline/cues".to_owned(), None, None),
        Rater::Majority => ("baseline/majority".to_owned(), None, None),
        Rater::Labels => ("dataset/labels".to_owned(), None, None),
        Rater::Model(model) => (model.name.to_string(), Some(model.endpoint.base_url.clone()), model.max_output_tokens),
    };
    let mut manifest = Manifest {
        format: crate::run::FORMAT,
        run: task.run.clone(),
        task: task.codebook.task.clone(),
        codebook: crate::run::FileVersion {
            path: task.codebook.path.clone(),
            hash: task.codebook.hash.as_str().to_owned(),
            commit: None,
        },
        model,
        rater: task.rater.clone(),
        endpoint,
        settings: Settings { max_output_tokens, group: task.group, ..settings.clone() },
        inputs: plan.inputs.clone(),
        program: concat!("interrater ", env!("CARGO_PKG_VERSION")).to_owned(),
        started,
        finished: Timestamp::now(),
        complete: totals.rows == totals.units,
        notes: notes.to_vec(),
        totals: totals.clone(),
    };
    // A run that is only repeated keeps its times, so that its files stay the same.
    let old: Option<Manifest> = fs::read_to_string(&path).ok().and_then(|text| serde_json::from_str(&text).ok());
    if let Some(old) = old {
        manifest.started = old.started;
        if (Manifest { finished: old.finished, ..manifest.clone() }) == old {
            manifest.finished = old.finished;
        }
    }
    write_json(&path, &manifest)
}
