//! `annotate`: the main job.

use super::agree::{agree_fields, check_units, record};
use super::progress::Progress;
use super::threshold::Threshold;
use super::{
    Exit, UsageError, config, environment, json_text, library, print, print_beside, print_json, say, session_paths,
};
use interrater::agreement::{FieldAgreement, Resampling};
use interrater::cli::{Annotate, Common, choice};
use interrater::codebook::{Codebook, Library};
use interrater::config::{Config, Key, ModelName, Rater};
use interrater::corpus::{self, Corpus};
use interrater::engine::plan::{select, survey};
use interrater::engine::{self, Job, Outcome, Plan, Refresh, Sampling, Sending, TaskPlan};
use interrater::evaluation::{Cluster, Comparison, RunRows};
use interrater::filter::Filter;
use interrater::forecast;
use interrater::gold::Gold;
use interrater::llm::baseline;
use interrater::material;
use interrater::prompt::Prompter;
use interrater::report::runs::{FieldHeadline, Reason, TaskSummary, summary_table};
use interrater::report::sessions::{overview, repository_lines, skipped_lines};
use interrater::run::{Manifest, Run, Settings, Status, safe_name, write_json};
use interrater::store::is_new;
use interrater::summary::summarise;
use interrater::unit::units;
use miette::{IntoDiagnostic, Result};
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Annotates, writes the runs, and prints what they say.
pub fn run(args: &Annotate, common: &Common) -> Result<Exit> {
    let config = config(common)?;
    let threshold = args.fail_under.as_deref().map(Threshold::parse).transpose()?;
    let filter = args.filter.as_deref().map(Filter::new).transpose()?;
    let library = library(&config)?;
    let codebooks = chosen_codebooks(&library, args, &config)?;
    let prompter = Prompter::new(&library, codebooks.iter().map(|codebook| &**codebook))?;
    let golds =
        codebooks.iter().map(|codebook| Gold::find(&config.paths.gold, codebook)).collect::<Result<Vec<_>, _>>()?;
    let model: ModelName = args.model.as_deref().unwrap_or(&config.annotate.model).parse()?;
    let rater = rater(&model, args, &config)?;
    let mut corpus = corpus::find(&session_paths(&args.sessions, &config)?)?;
    try_templates(&prompter, &codebooks, &corpus)?;
    let (sessions, inputs) = survey(&mut corpus, filter.as_ref())?;
    if !common.quiet {
        repository_lines(&corpus).iter().chain(&skipped_lines(&corpus)).for_each(|line| say!("{line}"));
        say!("{}", overview(&sessions));
    }
    for (codebook, gold) in codebooks.iter().zip(&golds) {
        if let Some(gold) = gold {
            check_units(gold, codebook.unit, &sessions, &[], &config)?;
        }
    }
    if let Some(name) = args.run.as_deref().filter(|name| name.is_empty() || safe_name(name) != *name) {
        return Err(UsageError::RunName(name.to_owned()).into());
    }
    let sampling = Sampling { limit: args.limit.map(|limit| limit as usize), shuffle: args.shuffle };
    let tasks: Vec<TaskPlan> = codebooks
        .iter()
        .zip(&golds)
        .map(|(codebook, gold)| plan_task(codebook, gold.as_ref(), &model, &sessions, sampling, args, &config))
        .collect();
    let plan = Plan { corpus, library, sessions, inputs, tasks };
    let settings = Settings {
        temperature: args.temperature,
        max_output_tokens: None,
        samples: args.samples,
        filter: args.filter.clone(),
        limit: sampling.limit,
        shuffle: sampling.shuffle,
        redacted: choice(args.redact, args.no_redact).or(config.annotate.redact).unwrap_or(rater.is_remote()),
    };
    if rater.is_remote() && !settings.redacted && !common.quiet {
        say!("warning: redaction is off: sessions are sent as they are, with all secrets that they hold");
    }
    if args.dry_run {
        return dry_run(&plan, &rater, &settings, common);
    }
    let job = Job {
        rater,
        settings,
        refresh: match (args.refresh, args.retry_failed) {
            (true, _) => Refresh::Everything,
            (_, true) => Refresh::Trouble,
            _ => Refresh::Nothing,
        },
        sending: Sending {
            concurrency: args.concurrency.map_or(config.annotate.concurrency, |n| n as usize).max(1),
            requests_per_minute: args.rpm,
            tokens_per_minute: args.tpm,
            timeout: Duration::from_secs(args.timeout.unwrap_or(config.annotate.timeout)),
            max_retries: args.max_retries.unwrap_or(config.annotate.max_retries),
            patience: Duration::from_secs(config.annotate.patience),
        },
        store: config.paths.store.clone(),
        plan,
    };
    for task in &job.plan.tasks {
        check_run(task, args.samples, &config, common)?;
    }
    let names: Vec<String> = job.plan.tasks.iter().map(|task| task.run.clone()).collect();
    let (redacted, rater_sees) = (job.settings.redacted, job.rater.sees());
    let outcome = execute(job, args.samples, common)?;
    if redacted && !common.quiet {
        say!("redacted: {}", outcome.redactions);
    }
    let summaries = names
        .iter()
        .zip(codebooks.iter().zip(&golds))
        .map(|(name, (codebook, gold))| conclude(name, codebook, gold.as_ref(), &config))
        .collect::<Result<Vec<_>>>()?;
    if common.json {
        let told =
            serde_json::json!({ "tasks": summaries, "stopped": outcome.stopped, "interrupted": outcome.interrupted });
        print_beside(&json_text(&told)?)?;
    } else {
        print_beside(&summary_table(&summaries))?;
        if !common.quiet {
            closing_lines(&summaries, &config);
            if !rater_sees {
                hint_at_labels(&summaries);
            }
        }
    }
    if let Some(reason) = outcome.stopped {
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

fn chosen_codebooks(library: &Library, args: &Annotate, config: &Config) -> Result<Vec<Arc<Codebook>>> {
    let named = if args.tasks.is_empty() { &config.annotate.tasks } else { &args.tasks };
    if named.is_empty() {
        return Ok(library.codebooks().iter().cloned().map(Arc::new).collect());
    }
    let mut tasks: Vec<&String> = Vec::new();
    for task in named {
        if !tasks.contains(&task) {
            tasks.push(task);
        }
    }
    Ok(tasks.into_iter().map(|task| library.task(task).cloned().map(Arc::new)).collect::<Result<Vec<_>, _>>()?)
}

/// Renders the first unit of every task: what is wrong with a template shows before a run is begun or an answer is paid for.
fn try_templates(prompter: &Prompter, codebooks: &[Arc<Codebook>], corpus: &Corpus) -> Result<()> {
    let mut untried: Vec<&Arc<Codebook>> = codebooks.iter().collect();
    for source in corpus.sources() {
        if untried.is_empty() {
            break;
        }
        let session = corpus::read(source)?;
        let mut left = Vec::new();
        for codebook in untried {
            match units(&session, codebook.unit).first() {
                Some(unit) => {
                    let material = material::render(&session, unit, &codebook.sees);
                    prompter.render(&codebook.task, &session, unit, &material)?;
                }
                None => left.push(codebook),
            }
        }
        untried = left;
    }
    Ok(())
}

fn rater(model: &ModelName, args: &Annotate, config: &Config) -> Result<Rater> {
    // A dry run asks nobody, so it needs no key.
    let need = if args.dry_run { Key::Optional } else { Key::Required };
    let mut rater = config.rater(model, args.base_url.as_deref(), &environment, need)?;
    if let Rater::Model(model) = &mut rater {
        model.max_output_tokens = args.max_output_tokens.or(model.max_output_tokens);
    }
    Ok(rater)
}

fn plan_task(
    codebook: &Arc<Codebook>,
    gold: Option<&Gold>,
    model: &ModelName,
    sessions: &[interrater::session::SessionSummary],
    sampling: Sampling,
    args: &Annotate,
    config: &Config,
) -> TaskPlan {
    let (units, selection) = select(sessions, codebook.unit, sampling);
    let run = match &args.run {
        Some(name) if args.tasks.len() == 1 => safe_name(name),
        Some(name) => safe_name(&format!("{name}-{}", codebook.task)),
        None => safe_name(&format!("{}-{}-{}-{}", codebook.task, model.provider, model.model, codebook.hash.short())),
    };
    let adjudicated: Vec<_> = gold.iter().flat_map(|gold| gold.adjudicated()).map(|row| &row.fields).collect();
    TaskPlan {
        folder: config.paths.runs.join(&run),
        run,
        rater: format!("{model}@{}", codebook.version()),
        units,
        selection,
        majority: baseline::majority(codebook, &adjudicated),
        codebook: codebook.clone(),
    }
}

/// A run is one rater's: its rows are not replaced by another's, and that it gets shorter is said.
fn check_run(task: &TaskPlan, samples: u32, config: &Config, common: &Common) -> Result<()> {
    let Ok(old) = Run::open(&config.paths.runs, &task.run) else { return Ok(()) };
    let Manifest { run, rater, totals, endpoint, .. } = old.manifest;
    if rater != task.rater {
        return Err(UsageError::OtherRater { run, rater, wanted: task.rater.clone() }.into());
    }
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

/// Runs the job on a runtime of its own; the first Ctrl-C ends it cleanly, the second drops what is under way.
fn execute(job: Job, samples: u32, common: &Common) -> Result<Outcome> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().into_diagnostic()?;
    let mut progress = Progress::start(&job.plan, samples, common.quiet);
    let outcome = runtime.block_on(async {
        let (interrupt, abandon) = (CancellationToken::new(), CancellationToken::new());
        tokio::spawn(watch_signals(interrupt.clone(), abandon.clone()));
        engine::run(job, interrupt, abandon, &mut |event| progress.on(event)).await
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

#[cfg(unix)]
async fn told_to_end() {
    use tokio::signal::unix::{SignalKind, signal};
    match signal(SignalKind::terminate()) {
        Ok(mut terminate) => tokio::select! {
            _ = tokio::signal::ctrl_c() => {}
            _ = terminate.recv() => {}
        },
        Err(_) => drop(tokio::signal::ctrl_c().await),
    }
}

#[cfg(not(unix))]
async fn told_to_end() {
    drop(tokio::signal::ctrl_c().await);
}

/// Summarises a written run, compares it with gold, and writes both beside it.
fn conclude(name: &str, codebook: &Codebook, gold: Option<&Gold>, config: &Config) -> Result<TaskSummary> {
    let run = Run::open(&config.paths.runs, name)?;
    let rows = run.annotations()?;
    let (fields, reasons) = (summarise(codebook, &rows), Reason::of(&rows));
    let rater = run.manifest.rater.clone();
    let (task, totals) = (run.manifest.task.clone(), run.manifest.totals.clone());
    let folder = run.folder.clone();
    let runs = [RunRows { manifest: run.manifest, rows }];
    let agreement = match gold {
        Some(gold) if has_common_units(gold, &runs[0]) => {
            let comparison = Comparison {
                codebook,
                gold: Some(gold),
                runs: &runs,
                split: None,
                cluster: Cluster::Session,
                collapse: None,
            };
            let ratings = comparison.fields().into_diagnostic()?;
            let fields: Vec<FieldAgreement> = agree_fields(&task, &ratings, Cluster::Session, Resampling::default())?;
            record(&config.paths.store, &task, gold, "all", &fields)?;
            fields.iter().map(|field| FieldHeadline::of(field, &rater)).collect()
        }
        _ => Vec::new(),
    };
    let summary = TaskSummary { task, run: name.to_owned(), rater, totals, fields, reasons, agreement };
    write_json(&folder.join("summary.json"), &summary)?;
    Ok(summary)
}

fn has_common_units(gold: &Gold, run: &RunRows) -> bool {
    let labelled: HashSet<&str> = gold.rows.iter().map(|row| row.unit.as_str()).collect();
    run.rows.iter().any(|row| labelled.contains(row.unit.as_str()))
}

fn closing_lines(summaries: &[TaskSummary], config: &Config) {
    let runs = config.paths.runs.display();
    for (task, reason) in summaries.iter().flat_map(|task| task.reasons.iter().map(move |reason| (task, reason))) {
        let Reason { status, units, most_often } = reason;
        say!("{}: {units} {}, most often because: {most_often}", task.task, status.name());
    }
    let Some(first) = summaries.iter().find(|task| !task.agreement.is_empty()).or(summaries.first()) else { return };
    let more = match summaries.len() {
        1 => String::new(),
        n => format!(" and {} more", n - 1),
    };
    say!("wrote {runs}/{}/{more} · next: interrater agree --task {}, interrater runs", first.run, first.task);
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

fn dry_run(plan: &Plan, rater: &Rater, settings: &Settings, common: &Common) -> Result<Exit> {
    let price = match rater {
        Rater::Model(model) => model.price.as_ref(),
        Rater::Cues | Rater::Majority | Rater::Labels => None,
    };
    let forecast =
        forecast::forecast(plan, matches!(rater, Rater::Model(_)), price, settings.samples, settings.redacted)?;
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
