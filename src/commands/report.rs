//! `report`: everything that is known of runs, as one HTML file or one JSON document.

mod illustrated;
mod stage;

use super::agree::{check_split, ledger_name, record};
use super::estimate::{of_same_rater, strata};
use super::evaluating::{Look, leak_check};
use super::{Exit, UsageError, config, library, print, print_json, say};
use illustrated::illustrate;
use interrater::agreement::field::{Drawn, PairKind};
use interrater::agreement::{FieldAgreement, PairFigures, Resampling};
use interrater::cli::{Common, Report as Args};
use interrater::codebook::{Codebook, Library};
use interrater::comparison::alternative_annotator::AlternativeAnnotator;
use interrater::config::Config;
use interrater::dossier::{self, Dossier, RunEstimate, TaskDossier, TaskParts};
use interrater::estimate::of_run::RunEstimation;
use interrater::estimate::poststratified::Target;
use interrater::evaluation::judged::{JudgedField, Judging, judge};
use interrater::evaluation::leak::LeakCheck;
use interrater::evaluation::sealed::{Opened, Seal, split_named};
use interrater::evaluation::{Cluster, Comparison, FieldRatings, RunRows};
use interrater::gold::{Gold, Split};
use interrater::report::{html, plural};
use interrater::run::Run;
use interrater::store::{Evaluation, Store};
use miette::{Diagnostic, IntoDiagnostic, Result};
use stage::Stages;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// The file that cannot be written.
#[derive(Debug, thiserror::Error, Diagnostic)]
#[error("cannot write {path}: {source}", path = path.display())]
#[diagnostic(help("--out FILE names another place"))]
struct Unwritable {
    path: PathBuf,
    source: std::io::Error,
}

/// Fewest disagreements of a task that are told, however many tasks there are.
const FEWEST_CASES: usize = 20;

/// Computes, and writes or prints.
pub fn run(args: &Args, common: &Common) -> Result<Exit> {
    let config = config(common)?;
    let library = library(&config)?;
    let mut warnings = vec![];
    let tasks = chosen(args, &config, &library, &mut warnings)?;
    let inputs: BTreeSet<PathBuf> =
        (tasks.values().flatten()).flat_map(|run| run.manifest.inputs.iter().map(|input| input.path.clone())).collect();
    let stages = Stages::begin(common.quiet);
    let mut dossier = Dossier {
        format: dossier::FORMAT,
        program: format!("interrater {}", env!("CARGO_PKG_VERSION")),
        split: args.split.clone(),
        test_shown: args.show_test,
        resampling: Drawn { replicates: args.replicates, seed: args.seed },
        tasks: vec![],
        warnings,
    };
    let most_cases = (args.disagreements / tasks.len().max(1)).max(FEWEST_CASES.min(args.disagreements));
    for (task, runs) in tasks {
        stages.enter(&task);
        let codebook = library.task(&task)?;
        let gold = Gold::find(&config.paths.gold, codebook)?;
        if let Some(Err(empty)) =
            gold.as_ref().map(|gold| check_split(gold, split_named(&args.split), &task, &args.split))
        {
            // A task that nobody named need not have this part.
            if !args.task.is_empty() || !args.runs.is_empty() {
                return Err(empty.into());
            }
            dossier.warnings.push(format!("{task} left out: its gold has no units in split {}", args.split));
            continue;
        }
        dossier.tasks.push(of_task((&library, codebook), gold, runs, most_cases, args, &config, &stages)?);
    }
    stages.enter("transcripts");
    illustrate(&mut dossier.tasks, inputs, &config);
    stages.end();
    if common.json {
        print_json(&dossier)?;
    }
    if args.out.is_some() || !common.json {
        let path = args.out.clone().unwrap_or_else(|| PathBuf::from("report.html"));
        let page = html::page(&dossier);
        write(&path, page.as_str())?;
        let told = format!(
            "wrote {} ({:.1} MB): {}, {}\n",
            path.display(),
            page.as_str().len() as f64 / 1e6,
            plural(dossier.tasks.len() as u64, "task"),
            plural(dossier.tasks.iter().map(|task| task.runs.len() as u64).sum(), "run"),
        );
        if common.json { say!("{}", told.trim_end()) } else { print(&told)? }
    }
    if !common.quiet {
        dossier.warnings.iter().for_each(|warning| say!("note: {warning}"));
    }
    Ok(Exit::Done)
}

/// The runs of each task, in the order of the tasks' names.
fn chosen(
    args: &Args,
    config: &Config,
    library: &Library,
    warnings: &mut Vec<String>,
) -> Result<BTreeMap<String, Vec<Run>>> {
    let runs: Vec<Run> = if args.runs.is_empty() {
        let (whole, shards): (Vec<Run>, Vec<Run>) =
            Run::list(&config.paths.runs)?.into_iter().partition(|run| run.manifest.settings.shard.is_none());
        if !shards.is_empty() {
            let count = plural(shards.len() as u64, "run");
            warnings.push(format!("{count} over a part of the sessions left out; naming one takes it in"));
        }
        whole
    } else {
        args.runs.iter().map(|name| Run::open(&config.paths.runs, name)).collect::<Result<_, _>>()?
    };
    if let Some(twice) = (1..args.runs.len()).find(|&at| args.runs[..at].contains(&args.runs[at])) {
        return Err(UsageError::SameRun(args.runs[twice].clone()).into());
    }
    let mut tasks: BTreeMap<String, Vec<Run>> = BTreeMap::new();
    for task in &args.task {
        tasks.entry(library.task(task)?.task.clone()).or_default();
    }
    for run in runs {
        let task = run.manifest.task.clone();
        match (tasks.get_mut(&task), library.task(&task)) {
            (Some(known), _) => known.push(run),
            (None, _) if !args.task.is_empty() => {}
            (None, Ok(_)) => tasks.entry(task).or_default().push(run),
            // A run that was named is meant.
            (None, Err(error)) if !args.runs.is_empty() => return Err(error.into()),
            (None, Err(_)) => {
                warnings.push(format!("run {} left out: there is no codebook of `{task}` here", run.manifest.run));
            }
        }
    }
    if tasks.is_empty() { Err(UsageError::NothingToReport(config.paths.runs.clone()).into()) } else { Ok(tasks) }
}

/// Everything about a task.
fn of_task(
    (library, codebook): (&Library, &Codebook),
    gold: Option<Gold>,
    runs: Vec<Run>,
    most_cases: usize,
    args: &Args,
    config: &Config,
    stages: &Stages,
) -> Result<TaskDossier> {
    let task = codebook.task.as_str();
    if gold.is_none() && runs.is_empty() {
        return Err(UsageError::NothingToCompare(task.to_owned()).into());
    }
    let split = split_named(&args.split);
    let resampling = Resampling { replicates: args.replicates, seed: args.seed };
    let open = |run: Run| Ok(RunRows { rows: run.annotations()?, manifest: run.manifest });
    let mut runs: Vec<RunRows> = runs.into_iter().map(open).collect::<Result<_>>()?;
    let mut warnings = vec![];
    let ratings = ratings(codebook, gold.as_ref(), split, &mut runs, &mut warnings)?;
    let raters = {
        let comparison = comparison(codebook, gold.as_ref(), split, &runs);
        runs.iter().map(|run| comparison.rater_name(run).to_owned()).collect()
    };
    let judging = Judging {
        task: Some(task),
        cluster: Cluster::Session.name(),
        resampling,
        groups: None,
        epsilon: AlternativeAnnotator::default().epsilon,
    };
    let agreement: Vec<JudgedField> =
        ratings.iter().map(|field| judge(field, &judging)).collect::<Result<_, _>>().into_diagnostic()?;
    let mut estimates = vec![];
    for run in &runs {
        stages.enter(&format!("{task}: {}", run.manifest.run));
        estimates.push(estimate(codebook, run, gold.as_ref(), split, resampling, config)?);
    }
    let (evaluations, opened) = ledger(config, task, gold.as_ref(), args, (&runs, &agreement))?;
    let leaks = gold.as_ref().map(|gold| leak_check(library, codebook, gold, &runs, args.show_test, config));
    warnings.extend(opened.map(Opened::in_words));
    warnings.extend(leaks.as_ref().and_then(LeakCheck::warning));
    Ok(TaskDossier::of(TaskParts {
        codebook,
        gold: gold.as_ref(),
        split,
        runs: &runs,
        raters,
        ratings: &ratings,
        agreement,
        estimates,
        evaluations: &evaluations,
        opened,
        leaks,
        seal: &gold.as_ref().map(|gold| Seal::of(gold, args.show_test)).unwrap_or_default(),
        most_cases,
        warnings,
    }))
}

fn comparison<'c>(
    codebook: &'c Codebook,
    gold: Option<&'c Gold>,
    split: Option<Split>,
    runs: &'c [RunRows],
) -> Comparison<'c> {
    Comparison { codebook, gold, runs, split, cluster: Cluster::Session, collapse: None }
}

/// The ratings of all runs. Runs of an older codebook may hold labels that this one does not have: these are left out, and it is said.
fn ratings(
    codebook: &Codebook,
    gold: Option<&Gold>,
    split: Option<Split>,
    runs: &mut Vec<RunRows>,
    warnings: &mut Vec<String>,
) -> Result<Vec<FieldRatings>> {
    let error = match comparison(codebook, gold, split, runs).fields() {
        Ok(fields) => return Ok(fields),
        Err(error) => error,
    };
    let is_current = |run: &RunRows| run.manifest.codebook.hash == codebook.hash.as_str();
    if runs.iter().all(is_current) {
        return Err(error).into_diagnostic();
    }
    let (current, older): (Vec<RunRows>, Vec<RunRows>) = runs.drain(..).partition(is_current);
    *runs = current;
    warnings.extend(older.iter().map(|run| {
        let name = &run.manifest.run;
        format!(
            "{name} left out: made with another version of the codebook, and not comparable with this one ({error})"
        )
    }));
    comparison(codebook, gold, split, runs).fields().into_diagnostic()
}

/// A run's corrected numbers, or why there are none: a report is about what there is.
fn estimate(
    codebook: &Codebook,
    run: &RunRows,
    gold: Option<&Gold>,
    split: Option<Split>,
    resampling: Resampling,
    config: &Config,
) -> Result<RunEstimate> {
    let name = run.manifest.run.clone();
    let refused = |error: &dyn Diagnostic| RunEstimate {
        run: name.clone(),
        found: None,
        refused: Some(error.to_string()),
        hint: error.help().map(|help| help.to_string()),
    };
    let Some(gold) = gold else {
        let path = config.paths.gold.join(format!("{}.csv", codebook.task));
        return Ok(refused(&UsageError::NoGold { task: codebook.task.clone(), path }));
    };
    let estimation = RunEstimation {
        codebook,
        run,
        elsewhere: &of_same_rater(config, run, gold)?,
        gold,
        split,
        field: None,
        collapse: None,
        groups: None,
        strata: &strata(None, run, gold, codebook, config)?,
        assume_random: false,
        target: Target::Population,
        resampling,
    };
    Ok(match estimation.compute() {
        Ok(found) => RunEstimate { run: name, found: Some(found), refused: None, hint: None },
        Err(error) => refused(&error),
    })
}

/// The ledger's lines on the task. Figures that are not in it are written into it first: whoever reads a report has looked at the gold. The same
/// figures again are no further look.
fn ledger(
    config: &Config,
    task: &str,
    gold: Option<&Gold>,
    args: &Args,
    (runs, fields): (&[RunRows], &[JudgedField]),
) -> Result<(Vec<Evaluation>, Option<Opened>)> {
    let fields: Vec<&FieldAgreement> = fields.iter().map(|field| &field.agreement).collect();
    let split = args.split.as_str();
    let store = &config.paths.store;
    let read = |store: &Path| match store.exists() {
        true => Store::open(store).into_diagnostic()?.evaluations(task).into_diagnostic(),
        false => Ok(vec![]),
    };
    let known = read(store)?;
    let Some(gold) = gold else { return Ok((known, None)) };
    let figures: BTreeSet<(&str, &str, Option<u64>, u64)> = (known.iter())
        .filter(|line| line.gold_hash == gold.hash && line.split == split)
        .map(|line| (line.rater.as_str(), line.field.as_str(), line.value.map(f64::to_bits), line.items))
        .collect();
    let is_known = fields.iter().all(|field| {
        field.pairs.iter().filter(|pair| pair.kind == PairKind::ReferenceModel).all(|pair| {
            let value = match &pair.figures {
                PairFigures::Labels(labels) => labels.agreement.cohen_kappa.value,
                PairFigures::Scores(scores) => scores.icc_a1.value,
            };
            figures.contains(&(
                ledger_name(runs, &pair.b),
                field.field.as_str(),
                value.map(f64::to_bits),
                pair.items as u64,
            ))
        })
    });
    let look = Look::at(store, task, gold, split_named(split), args.show_test)?;
    let opened = look.opened();
    let shown_to = look.shown_to;
    if is_known && shown_to.is_none() {
        // This look is one of those that the ledger knows.
        return Ok((known, opened.map(|opened| Opened { times: opened.times.saturating_sub(1).max(1), ..opened })));
    }
    record(store, task, gold, split, shown_to, (runs, &fields))?;
    Ok((read(store)?, opened))
}

/// Writes beside the file and moves it there, so that nobody opens half a report.
fn write(path: &Path, text: &str) -> Result<(), Unwritable> {
    let unwritable = |source| Unwritable { path: path.to_owned(), source };
    let mut new = path.as_os_str().to_owned();
    new.push(".new");
    std::fs::write(&new, text).and_then(|()| std::fs::rename(&new, path)).map_err(unwritable)
}
