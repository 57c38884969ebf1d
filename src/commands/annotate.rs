//! `annotate`: the main job.

use super::asking::{self, Asked};
use super::conclude::Conclusion;
use super::evaluating::leak_check_in;
use super::progress::Progress;
use super::threshold::Threshold;
use super::{Exit, UsageError, config, json_text, print, print_beside, print_json, say, with_store};
use interrater::cli::{Annotate, Common};
use interrater::config::{Config, Key, Rater};
use interrater::engine::{self, Event, Job, Outcome, Plan, Refresh, Sending, Stopped, TaskPlan};
use interrater::evaluation::leak::LeakCheck;
use interrater::forecast;
use interrater::gold::Gold;
use interrater::report::runs::{Reason, TaskSummary, summary_table};
use interrater::report::spending::spending_line;
use interrater::run::{Manifest, Settings, Status};
use interrater::shard::Shard;
use interrater::store::is_new;
use interrater::store::journal::Journal;
use miette::{IntoDiagnostic, Result};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Annotates, writes the runs, and prints what they say.
pub fn run(args: &Annotate, common: &Common) -> Result<Exit> {
    let config = with_store(config(common)?, args.store.as_ref());
    let threshold = args.fail_under.as_deref().map(Threshold::parse).transpose()?;
    // A dry run asks nobody, so it needs no key.
    let need = if args.dry_run { Key::Optional } else { Key::Required };
    let Asked { plan, rater, settings, codebooks, golds } = asking::asked(&args.asking, need, &config, common)?;
    if let (Some(_), Rater::Model(model)) = (args.max_cost, &rater)
        && model.price.is_none()
    {
        return Err(UsageError::NoPrice(model.name.to_string()).into());
    }
    if args.dry_run {
        return dry_run(plan, &rater, &settings, refresh(args), &config, common);
    }
    let job = Job {
        rater,
        settings,
        refresh: refresh(args),
        sending: Sending {
            concurrency: args.concurrency.map_or(config.annotate.concurrency, |n| n as usize).max(1),
            requests_per_minute: args.rpm,
            tokens_per_minute: args.tpm,
            timeout: Duration::from_secs(args.timeout.unwrap_or(config.annotate.timeout)),
            max_retries: args.max_retries.unwrap_or(config.annotate.max_retries),
            patience: Duration::from_secs(config.annotate.patience),
            max_cost_usd: args.max_cost,
        },
        store: config.paths.store.clone(),
        plan,
    };
    for task in &job.plan.tasks {
        check_run(task, args.asking.samples, &config, common)?;
        warn_of_jobs(task, &job.rater, &config, common)?;
    }
    let names: Vec<String> = job.plan.tasks.iter().map(|task| task.run.clone()).collect();
    let (redacted, rater_sees) = (job.settings.redacted, job.rater.sees());
    // A part of a run is no run to judge a rater by.
    let golds: Vec<Option<&Gold>> =
        golds.iter().map(|gold| gold.as_ref().filter(|_| args.asking.shard.is_none())).collect();
    let leaks: Vec<Option<LeakCheck>> = (codebooks.iter().zip(&golds))
        .map(|(codebook, gold)| Some(leak_check_in(&job.plan.corpus, &job.plan.library, codebook, (*gold)?)))
        .collect();
    let samples = args.asking.samples;
    let mut conclusions: Vec<Conclusion<'_>> =
        codebooks.iter().zip(golds).map(|(codebook, gold)| Conclusion::begin(codebook, gold, samples)).collect();
    conclusions.iter_mut().zip(leaks).for_each(|(conclusion, leaks)| conclusion.leaks = leaks);
    let outcome = execute(job, samples, &mut conclusions, common)?;
    if redacted && !common.quiet {
        say!("redacted: {}", outcome.redactions);
    }
    let concluded = names.iter().zip(conclusions).map(|(name, conclusion)| conclusion.finish(name, &config));
    let summaries = concluded.collect::<Result<Vec<_>>>()?;
    if common.json {
        let told = serde_json::json!({
            "tasks": summaries,
            "spent": outcome.spent,
            "stopped": outcome.stopped.as_ref().map(ToString::to_string),
            "interrupted": outcome.interrupted,
        });
        print_beside(&json_text(&told)?)?;
    } else {
        print_beside(&summary_table(&summaries))?;
        if !common.quiet {
            outcome.spent.iter().filter_map(spending_line).for_each(|line| say!("{line}"));
            closing_lines(&summaries, args.asking.shard, &config);
            if !rater_sees {
                hint_at_labels(&summaries);
            }
        }
    }
    if let Some(Stopped::Exhausted(exhausted)) = outcome.stopped {
        say!("error: stopped at --max-cost: {exhausted}");
        if exhausted.spent_usd > 0.0 {
            say!("hint: repeat the command to go on: what was answered is stored, and the cap is that of one command");
        } else {
            say!("hint: raise --max-cost, or lower what a request could cost with --max-output-tokens");
        }
        return Ok(Exit::AtMaxCost);
    }
    if let Some(Stopped::Trouble(reason)) = outcome.stopped {
        say!("error: stopped: {reason}");
        say!("hint: mend the cause and repeat the command: what was answered is stored, and it goes on from there");
        return Ok(Exit::Unusable);
    }
    if let Some(missed) = threshold.as_ref().and_then(|threshold| threshold.missed(&summaries)) {
        say!("error: {missed}");
    }
    Ok(match (outcome.interrupted, threshold) {
        (true, _) => Exit::Interrupted,
        (_, Some(threshold)) if threshold.missed(&summaries).is_some() => Exit::BelowThreshold,
        _ if outcome.totals.iter().any(|totals| totals.trouble() > 0) => Exit::Trouble,
        _ => Exit::Done,
    })
}

/// Its rows are not replaced by another rater's, and that a run gets shorter is said.
fn check_run(task: &TaskPlan, samples: u32, config: &Config, common: &Common) -> Result<()> {
    let Some(Manifest { run, totals, endpoint, .. }) = asking::own_run(task, config)? else { return Ok(()) };
    let units = task.units * samples as usize;
    if totals.units > units && !common.quiet {
        say!(
            "note: run {run} had {} units and now has {units}; answers that were paid for stay in the store",
            totals.units
        );
    }
    let store = &config.paths.store;
    if endpoint.is_some() && totals.attempts > 0 && is_new(store) && !common.quiet {
        say!(
            "warning: run {run} was paid for, and the store {} has none of its answers: they are asked for again. If the store is \
             elsewhere, interrupt this, and put it back or name it in [paths] store",
            store.display()
        );
    }
    Ok(())
}

/// What is on its way to a batch lane is paid for twice if it is asked here as well.
fn warn_of_jobs(task: &TaskPlan, rater: &Rater, config: &Config, common: &Common) -> Result<()> {
    let store = &config.paths.store;
    if common.quiet || !matches!(rater, Rater::Model(_)) || is_new(store) {
        return Ok(());
    }
    let open = Journal::open(store).and_then(|journal| journal.open_of_run(&task.run)).into_diagnostic()?;
    if open > 0 {
        say!(
            "warning: {open} requests of run {} are in open batch jobs: what is asked here as well is paid for twice; \
             `interrater batch collect` fetches what has ended",
            task.run
        );
    }
    Ok(())
}

/// Runs the job on a runtime of its own; the first Ctrl-C ends it cleanly, the second drops what is under way.
fn execute(job: Job, samples: u32, conclusions: &mut [Conclusion<'_>], common: &Common) -> Result<Outcome> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().into_diagnostic()?;
    let mut progress = Progress::start(&job.plan, samples, common.quiet);
    let outcome = runtime.block_on(async {
        let (interrupt, abandon) = (CancellationToken::new(), CancellationToken::new());
        tokio::spawn(watch_signals(interrupt.clone(), abandon.clone()));
        outlive_file_limits();
        let mut listen = |event: Event<'_>| match event {
            Event::Written { task, row } => conclusions[task].add(row),
            event => progress.on(event),
        };
        engine::run(job, interrupt, abandon, &mut listen).await
    });
    progress.finish();
    Ok(outcome?)
}

async fn watch_signals(interrupt: CancellationToken, abandon: CancellationToken) {
    for token in [interrupt, abandon] {
        told_to_end().await;
        token.cancel();
    }
    told_to_end().await;
    std::process::exit(130);
}

/// A file that grows beyond the system's limit ends a process that does not say otherwise. What cannot be written is told like a full disk.
#[cfg(unix)]
fn outlive_file_limits() {
    use tokio::signal::unix::{SignalKind, signal};
    /// SIGXFSZ, on Linux, macOS and the BSDs.
    const FILE_TOO_LARGE: i32 = 25;
    // To listen for it is enough; it stays listened for when the stream is dropped.
    drop(signal(SignalKind::from_raw(FILE_TOO_LARGE)));
}

#[cfg(not(unix))]
fn outlive_file_limits() {}

/// Waits for Ctrl-C, or for being told to end.
#[cfg(unix)]
pub async fn told_to_end() {
    use tokio::signal::unix::{SignalKind, signal};
    match signal(SignalKind::terminate()) {
        Ok(mut terminate) => tokio::select! {
            _ = tokio::signal::ctrl_c() => {}
            _ = terminate.recv() => {}
        },
        Err(_) => drop(tokio::signal::ctrl_c().await),
    }
}

/// Waits for Ctrl-C.
#[cfg(not(unix))]
pub async fn told_to_end() {
    drop(tokio::signal::ctrl_c().await);
}

fn closing_lines(summaries: &[TaskSummary], shard: Option<Shard>, config: &Config) {
    let runs = config.paths.runs.display();
    for (task, reason) in summaries.iter().flat_map(|task| task.reasons.iter().map(move |reason| (task, reason))) {
        let Reason { status, units, most_often } = reason;
        say!("{}: {units} {}, most often because: {most_often}", task.task, status.name());
    }
    for task in summaries {
        if let Some(warning) = task.leaks.as_ref().and_then(LeakCheck::warning) {
            say!("warning: {}: {warning}", task.task);
        }
        if let Some(split) = task.gold_split {
            say!(
                "note: {}: compared with the {split} split of the gold; `interrater agree --split test` opens the other",
                task.task
            );
        }
        for field in task.fields.iter().take(1) {
            let words = task.votes.as_ref().and_then(|votes| votes.in_words(&field.field, &field.field, "shown"));
            if let Some(words) = words {
                say!("{}: {words}", task.task);
            }
        }
    }
    let Some(first) = summaries.iter().find(|task| !task.agreement.is_empty()).or(summaries.first()) else { return };
    let more = match summaries.len() {
        1 => String::new(),
        n => format!(" and {} more", n - 1),
    };
    let next = match shard {
        None => format!("interrater agree --task {}, interrater runs", first.task),
        Some(_) => {
            "with the answers of all shards in one store (interrater cache merge), the same without --shard".to_owned()
        }
    };
    say!("wrote {runs}/{}/{more} · next: {next}", first.run);
}

/// Says where labels would have come from, for tasks of which no session brought any.
fn hint_at_labels(summaries: &[TaskSummary]) {
    let without = |task: &&TaskSummary| task.totals.status.iter().all(|(status, _)| *status == Status::Skipped);
    let tasks: Vec<&str> = summaries.iter().filter(without).map(|task| task.task.as_str()).collect();
    if !tasks.is_empty() {
        say!(
            "hint: these sessions came without labels for {}; dataset/labels reads those of SWE-chat tables (Parquet): see docs/swe-chat.md",
            tasks.join(", ")
        );
    }
}

fn refresh(args: &Annotate) -> Refresh {
    match (args.refresh, args.retry_failed) {
        (true, _) => Refresh::Everything,
        (_, true) => Refresh::Trouble,
        _ => Refresh::Nothing,
    }
}

fn dry_run(
    plan: Plan,
    rater: &Rater,
    settings: &Settings,
    refresh: Refresh,
    config: &Config,
    common: &Common,
) -> Result<Exit> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let forecast = forecast::forecast(plan, rater, settings, refresh, &config.paths.store, threads)?;
    if let (Some(redactions), false) = (&forecast.redactions, common.quiet) {
        say!("redacted: {redactions}");
    }
    if common.json {
        print_json(&forecast)?;
    } else {
        print(&forecast.to_string())?;
    }
    Ok(Exit::Done)
}
