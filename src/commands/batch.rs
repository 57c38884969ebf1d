//! `batch`: the provider's batch lane, and files for servers of one's own.

mod hand_over;

use super::{Exit, config, environment, print, print_json, say};
use interrater::batch::collect::{JobReport, collect, look};
use interrater::batch::file::import;
use interrater::batch::link::Link;
use interrater::batch::recover::recover_if_alone;
use interrater::batch::{BatchError, Event};
use interrater::cli::batch::{Collect, Import};
use interrater::cli::{Batch, BatchVerb, Common};
use interrater::config::{Config, ConfigError, Key, Model, ModelName, Rater};
use interrater::llm::retry::Backoff;
use interrater::report::batch::{JobDocument, gathered, jobs_table, report_lines};
use interrater::store::is_new;
use interrater::store::journal::{Job, JobState, Journal};
use jiff::Timestamp;
use miette::{IntoDiagnostic, Result};
use serde_json::json;
use std::time::Duration;

/// Does what was asked for.
pub fn run(args: &Batch, common: &Common) -> Result<Exit> {
    let config = config(common)?;
    match &args.verb {
        BatchVerb::Submit(args) => hand_over::submit(args, &config, common),
        BatchVerb::Export(args) => hand_over::export(args, &config, common),
        BatchVerb::Status => status(&config, common),
        BatchVerb::Collect(args) => fetch(args, &config, common),
        BatchVerb::Import(args) => take_over(args, &config, common),
    }
}

/// How long a server may take, and how often it is asked again.
#[derive(Clone, Copy)]
struct Patience {
    timeout: Duration,
    backoff: Backoff,
}

impl Patience {
    fn new(config: &Config, timeout: Option<u64>, max_retries: Option<u32>) -> Patience {
        let max_retries = max_retries.unwrap_or(config.annotate.max_retries);
        Patience {
            timeout: Duration::from_secs(timeout.unwrap_or(config.annotate.timeout)),
            backoff: Backoff { max_retries, ..Backoff::default() },
        }
    }
}

/// The way to the server of a job that was made before, perhaps with other options.
fn reach(job: &Job, config: &Config, patience: Patience) -> Result<Link, BatchError> {
    let name = ModelName { provider: job.provider.clone(), model: job.model.clone() };
    let model = |url: Option<&str>| -> Result<Option<Model>, ConfigError> {
        Ok(match config.rater(&name, url, &environment, Key::Required)? {
            Rater::Model(model) => Some(*model),
            Rater::Cues | Rater::Majority | Rater::Labels => None,
        })
    };
    // Without an address of its own the provider must have its key.
    let usual = model(None).map(|model| model.filter(|model| model.endpoint.base_url == job.endpoint));
    let model = match usual {
        Ok(Some(model)) => Some(model),
        Err(error @ ConfigError::MissingKey { .. }) if is_official(job, config) => return Err(error.into()),
        Ok(None) | Err(_) => model(Some(&job.endpoint))?,
    };
    Link::new(model.ok_or_else(|| BatchError::NobodyAsked(name.to_string()))?, patience.timeout, patience.backoff)
}

/// Whether a job went to where its provider is by default.
fn is_official(job: &Job, config: &Config) -> bool {
    let name = ModelName { provider: job.provider.clone(), model: job.model.clone() };
    let usual = config.rater(&name, None, &environment, Key::Optional);
    matches!(usual, Ok(Rater::Model(model)) if model.endpoint.base_url == job.endpoint)
}

/// Runs something that talks to a server.
fn block_on<T>(future: impl Future<Output = T>) -> Result<T> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().into_diagnostic()?;
    Ok(runtime.block_on(future))
}

fn status(config: &Config, common: &Common) -> Result<Exit> {
    let store = &config.paths.store;
    let patience = Patience::new(config, None, Some(1));
    let mut jobs = Vec::new();
    if !is_new(store) {
        let mut journal = Journal::open(store).into_diagnostic()?;
        let reach = |job: &Job| reach(job, config, patience);
        let troubles = block_on(async {
            recover_if_alone(store, &mut journal, &reach, &mut |event| tell(event, common)).await?;
            look(&mut journal, &reach).await
        })??;
        if !common.quiet {
            troubles.iter().for_each(|(job, reason)| say!("warning: job {job}: {reason}"));
        }
        jobs = journal.jobs().into_diagnostic()?;
    }
    let now = Timestamp::now();
    if common.json {
        let jobs: Vec<JobDocument<'_>> = jobs.iter().map(|job| JobDocument::new(job, now)).collect();
        print_json(&json!({ "jobs": jobs }))?;
    } else if jobs.is_empty() {
        say!("no jobs; `interrater batch submit` makes some");
    } else {
        print(&jobs_table(&jobs, now))?;
    }
    Ok(Exit::Done)
}

fn fetch(args: &Collect, config: &Config, common: &Common) -> Result<Exit> {
    let store = &config.paths.store;
    let patience = Patience::new(config, None, None);
    let mut reports = Vec::new();
    let mut unconfirmed = Vec::new();
    if !is_new(store) {
        let mut journal = Journal::open(store).into_diagnostic()?;
        let reach = |job: &Job| reach(job, config, patience);
        let mut told: Vec<(String, String)> = Vec::new();
        (unconfirmed, reports) = block_on(async {
            let unconfirmed = recover_if_alone(store, &mut journal, &reach, &mut |event| tell(event, common)).await?;
            let mut listener = |event: Event<'_>| match event {
                // Each state of a job is said once.
                Event::Job(job) if args.wait && job.state == JobState::Submitted => {
                    let state = job.progress.as_ref().map(|progress| progress.state.clone()).unwrap_or_default();
                    let now = (job.id.clone(), state);
                    if !told.contains(&now) && !common.quiet {
                        say!("job {}: {}", now.0, now.1);
                    }
                    told.push(now);
                }
                event => tell(event, common),
            };
            let reports = collect(&mut journal, &reach, args.wait, &mut listener).await?;
            Ok::<_, BatchError>((unconfirmed, reports))
        })??;
    }
    let now = Timestamp::now();
    if common.json {
        let document = |report: &JobReport| {
            let reasons: Vec<_> = report
                .reasons
                .iter()
                .map(|(reason, requests)| json!({ "reason": reason, "requests": requests }))
                .collect();
            json!({
                "job": JobDocument::new(&report.job, now), "gathered": report.gathered, "trouble": report.trouble,
                "reasons": reasons,
            })
        };
        let unconfirmed: Vec<JobDocument<'_>> = unconfirmed.iter().map(|job| JobDocument::new(job, now)).collect();
        let jobs: Vec<_> = reports.iter().map(document).collect();
        print_json(&json!({ "jobs": jobs, "unconfirmed": unconfirmed }))?;
    } else if reports.is_empty() && unconfirmed.is_empty() {
        say!("no job is at a server; `interrater batch submit` makes some");
    } else {
        reports.iter().flat_map(report_lines).for_each(|line| say!("{line}"));
    }
    warn_of(&unconfirmed);
    let is_trouble = |report: &JobReport| report.trouble.is_some() || report.gathered.freed > 0;
    Ok(if unconfirmed.is_empty() && !reports.iter().any(is_trouble) { Exit::Done } else { Exit::Trouble })
}

fn take_over(args: &Import, config: &Config, common: &Common) -> Result<Exit> {
    let mut files = Vec::new();
    let mut trouble = false;
    for file in &args.files {
        let imported = import(&config.paths.store, file)?;
        trouble |= imported.gathered.unreadable > 0 || imported.gathered.freed > 0;
        if !common.json && !common.quiet {
            say!("{}: {}", file.display(), gathered(&imported.gathered));
            imported.closed.iter().for_each(|job| say!("job {} has all its answers", job.id));
        }
        let closed: Vec<&String> = imported.closed.iter().map(|job| &job.id).collect();
        files.push(json!({ "file": file, "gathered": imported.gathered, "closed": closed }));
    }
    if common.json {
        print_json(&json!({ "files": files }))?;
    }
    Ok(if trouble { Exit::Trouble } else { Exit::Done })
}

/// Says what people should know while jobs are worked on.
fn tell(event: Event<'_>, common: &Common) {
    match event {
        Event::Note(note) if !common.quiet => say!("note: {note}"),
        Event::Note(_) | Event::Job(_) => {}
    }
}

/// Says of which jobs nobody knows whether the server took them, and the way out.
fn warn_of(unconfirmed: &[Job]) {
    for job in unconfirmed {
        let message = job.message.as_deref().unwrap_or("nobody has looked for it");
        say!("warning: nobody knows whether the server took job {} ({} requests): {message}", job.id, job.requests);
        say!(
            "hint: they are held back. Where the server does not have them, `interrater batch submit --resubmit {}` submits them, and pays, anew",
            job.id
        );
    }
}
