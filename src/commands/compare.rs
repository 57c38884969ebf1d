//! `compare`: runs against one another on the same gold.

use super::agree::{check_split, check_units, choose, ledger_name, open_runs};
use super::evaluating::{Look, leak_check};
use super::{Exit, UsageError, config, library, print, print_json};
use interrater::agreement::{Level, Resampling};
use interrater::cli::{Common, Compare as Args};
use interrater::comparison::Metric;
use interrater::evaluation::compared::{self, Compare, ComparedField, RunName};
use interrater::evaluation::sealed::split_named;
use interrater::evaluation::{Cluster, Comparison, RunRows};
use interrater::gold::Gold;
use interrater::report::compare::{Heading, comparison_table};
use interrater::report::terminal::TableOptions;
use interrater::run::Run;
use interrater::store::{Evaluation, Store};
use jiff::Timestamp;
use miette::{IntoDiagnostic, Result};
use std::path::Path;

/// Compares, writes into the ledger who was scored, and prints.
pub fn run(args: &Args, common: &Common) -> Result<Exit> {
    let config = config(common)?;
    let library = library(&config)?;
    if let Some(twice) = (1..args.runs.len()).find(|&at| args.runs[..at].contains(&args.runs[at])) {
        return Err(UsageError::SameRun(args.runs[twice].clone()).into());
    }
    let first = Run::open(&config.paths.runs, &args.runs[0])?.manifest;
    let task = args.task.clone().unwrap_or_else(|| first.task.clone());
    if task != first.task {
        return Err(UsageError::OtherTask { run: first.run, task: first.task, wanted: task }.into());
    }
    let codebook = library.task(&task)?;
    let gold = match &args.gold {
        Some(path) => Gold::read(path, codebook)?,
        None => Gold::find(&config.paths.gold, codebook)?.ok_or_else(|| UsageError::NoGold {
            task: task.clone(),
            path: config.paths.gold.join(format!("{task}.csv")),
        })?,
    };
    let runs = open_runs(&config, codebook, Some(&gold), &args.runs, common)?;
    check_units(&gold, codebook.unit, &[], &runs, &config)?;
    let split = split_named(&args.split);
    check_split(&gold, split, &task, &args.split)?;
    let by_item = args.by == "item";
    let comparison = Comparison {
        codebook,
        gold: Some(&gold),
        runs: &runs,
        split,
        cluster: if by_item { Cluster::Item } else { Cluster::Session },
        collapse: args.collapse.as_deref(),
    };
    let fields =
        choose(comparison.fields().into_diagnostic()?, codebook, args.field.as_deref(), args.collapse.as_deref())?;
    // Without a name the first field, which stands for the task; with one all of its parts.
    let fields = if args.field.is_some() { fields } else { fields.into_iter().take(1).collect() };
    let names: Vec<RunName> = runs
        .iter()
        .map(|run| RunName {
            run: run.manifest.run.clone(),
            rater: comparison.rater_name(run).to_owned(),
            model: run.manifest.model.clone(),
            group: run.manifest.settings.group,
        })
        .collect();
    let look = Look::at(&config.paths.store, &task, &gold, split, args.show_test)?;
    let mut compared = Vec::new();
    for field in &fields {
        let metric = match args.metric.as_deref() {
            Some(name) => name.parse::<Metric>().into_diagnostic()?,
            None if field.ratings.level() == Level::Interval => Metric::MeanAbsoluteError,
            None => Metric::Kappa,
        };
        let ask = Compare {
            runs: &names,
            gold: &gold,
            seal: &look.seal,
            metric,
            resampling: Resampling { replicates: args.replicates, seed: args.seed },
            scored: look.looks().raters(names.iter().map(|run| ledger_name(&runs, &run.rater))),
            margin: args.margin,
        };
        compared.push(compared::compare(field, by_item, &ask)?);
    }
    record(&config.paths.store, lines(&compared, &task, &gold, &args.split, (&look, &runs)))?;
    let (opened, leaks) = (look.opened(), leak_check(&library, codebook, &gold, &runs, args.show_test, &config));
    if common.json {
        print_json(&serde_json::json!({
            "task": task, "gold": gold.path, "gold_hash": gold.hash, "split": args.split, "test_opened": opened.map(|opened| opened.times),
            "test_shown": opened.map(|opened| opened.shown), "leaks": leaks, "fields": compared,
        }))?;
    } else {
        let heading = Heading { task: &task, split: &args.split, opened };
        let text: Vec<String> =
            compared.iter().map(|field| comparison_table(field, heading, TableOptions::default())).collect();
        print(&text.join("\n"))?;
        leaks.warning().iter().try_for_each(|warning| print(&format!("warning: {warning}\n")))?;
    }
    Ok(Exit::Done)
}

fn record(store: &Path, lines: Vec<Evaluation>) -> Result<()> {
    Store::open(store).and_then(|store| store.record_evaluations(lines)).into_diagnostic()
}

fn lines(
    compared: &[ComparedField],
    task: &str,
    gold: &Gold,
    split: &str,
    (look, runs): (&Look<'_>, &[RunRows]),
) -> Vec<Evaluation> {
    let at = Timestamp::now();
    let line = |field: &ComparedField, run: &compared::ComparedRun| Evaluation {
        rater: ledger_name(runs, &run.rater).to_owned(),
        task: task.to_owned(),
        field: field.field.clone(),
        gold_path: gold.path.display().to_string(),
        gold_hash: gold.hash.clone(),
        split: split.to_owned(),
        at,
        metric: if field.metric == Metric::Kappa { "cohen_kappa" } else { field.metric.name() }.to_owned(),
        value: run.figure.value,
        items: field.units as u64,
        shown_to: look.shown_to.clone(),
    };
    compared.iter().flat_map(|field| field.runs.iter().map(move |run| line(field, run))).collect()
}
