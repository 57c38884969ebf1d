//! `agree`: agreement of a task's gold, raters and runs, or of any ratings file.

use super::{Exit, UsageError, config, library, print, print_json};
use interrater::agreement::{self, Collapse, FieldAgreement, RatingsFile, Resampling, Settings};
use interrater::cli::{Agree, Common};
use interrater::codebook::Codebook;
use interrater::config::Config;
use interrater::corpus;
use interrater::evaluation::{Cluster, Comparison, FieldRatings, RunRows};
use interrater::gold::{Gold, Split};
use interrater::report::terminal::{self, TableOptions};
use interrater::run::Run;
use interrater::store::{Evaluation, Store};
use interrater::unit::units;
use jiff::Timestamp;
use miette::{IntoDiagnostic, Result};
use std::collections::HashSet;
use std::path::{Path, PathBuf};

/// Computes and prints.
pub fn run(args: &Agree, common: &Common) -> Result<Exit> {
    let (fields, warnings) = match (&args.file, &args.task) {
        (Some(file), _) => ratings_file(file, args)?,
        (None, Some(task)) => (task_fields(task, args, common)?, Vec::new()),
        (None, None) => unreachable!("clap asks for one of the two"),
    };
    if common.json {
        print_json(&serde_json::json!({ "fields": fields, "warnings": warnings }))?;
    } else {
        let text: Vec<String> =
            fields.iter().map(|field| terminal::agreement_table(field, TableOptions::default())).collect();
        print(&text.join("\n"))?;
    }
    if !common.quiet {
        warnings.iter().for_each(|warning| eprintln!("note: {warning}"));
    }
    Ok(Exit::Done)
}

fn resampling(args: &Agree) -> Resampling {
    Resampling { replicates: args.replicates, seed: args.seed }
}

fn ratings_file(file: &Path, args: &Agree) -> Result<(Vec<FieldAgreement>, Vec<String>)> {
    let read = RatingsFile {
        items: args.items.clone(),
        cluster: (args.by != "session" && args.by != "item").then(|| args.by.clone()),
        by_item: args.by == "item",
        labels: (!args.labels.is_empty()).then(|| args.labels.clone()),
        level: args.level.parse().into_diagnostic()?,
        ..RatingsFile::new(file)
    }
    .read()?;
    let gold = read.ratings.rater("gold").map(|_| "gold".to_owned());
    let settings = Settings {
        reference: args.reference.clone().or(gold),
        cluster: read.cluster,
        resampling: resampling(args),
        ..Settings::default()
    };
    Ok((vec![agreement::agree(&read.ratings, &settings).into_diagnostic()?], read.notices))
}

fn task_fields(task: &str, args: &Agree, common: &Common) -> Result<Vec<FieldAgreement>> {
    let config = config(common)?;
    let library = library(&config)?;
    let codebook = library.task(task)?;
    let gold = match &args.gold {
        Some(path) => Some(Gold::read(path, codebook)?),
        None => Gold::find(&config.paths.gold, codebook)?,
    };
    let runs = open_runs(&config, codebook, &args.run)?;
    if gold.is_none() && runs.is_empty() {
        return Err(UsageError::NothingToCompare(task.to_owned()).into());
    }
    if let Some(gold) = &gold {
        check_units(gold, &runs, codebook, &config)?;
    }
    let split = match args.split.as_str() {
        "dev" => Some(Split::Dev),
        "test" => Some(Split::Test),
        _ => None,
    };
    let cluster = if args.by == "item" { Cluster::Item } else { Cluster::Session };
    let comparison = Comparison { codebook, gold: gold.as_ref(), runs: &runs, split, cluster };
    let ratings = choose(comparison.fields().into_diagnostic()?, codebook, args)?;
    let fields = agree_fields(task, &ratings, cluster, resampling(args), args.collapse.as_deref())?;
    if let Some(gold) = &gold {
        record(&config.paths.store, task, gold, &args.split, &fields)?;
    }
    Ok(fields)
}

/// The named runs, or all runs of the task.
fn open_runs(config: &Config, codebook: &Codebook, named: &[String]) -> Result<Vec<RunRows>> {
    let runs: Vec<Run> = if named.is_empty() {
        Run::list(&config.paths.runs)?.into_iter().filter(|run| run.manifest.task == codebook.task).collect()
    } else {
        named.iter().map(|name| Run::open(&config.paths.runs, name)).collect::<Result<_, _>>()?
    };
    runs.into_iter().map(|run| Ok(RunRows { rows: run.annotations()?, manifest: run.manifest })).collect()
}

/// Gold on a unit that exists nowhere is a mistake in the gold: it would silently be compared with nothing.
pub fn check_units(gold: &Gold, runs: &[RunRows], codebook: &Codebook, config: &Config) -> Result<()> {
    let in_runs: HashSet<&str> = runs.iter().flat_map(|run| &run.rows).map(|row| row.unit.as_str()).collect();
    let missing = |known: &HashSet<String>| {
        gold.rows.iter().find(|row| !in_runs.contains(row.unit.as_str()) && !known.contains(row.unit.as_str()))
    };
    if missing(&HashSet::new()).is_none() {
        return Ok(());
    }
    let paths: Vec<PathBuf> = config
        .input
        .sessions
        .iter()
        .map(|path| interrater::config::expand_home(path, &super::environment))
        .filter(|path| path.exists())
        .collect();
    // Without transcripts nobody can say which units exist.
    let Ok(corpus) = corpus::find(&paths) else { return Ok(()) };
    let known: HashSet<String> = corpus
        .read_all(|session| {
            units(&session, codebook.unit).into_iter().map(|unit| unit.id.to_string()).collect::<Vec<_>>()
        })
        .into_iter()
        .collect::<Result<Vec<_>, _>>()
        .into_diagnostic()?
        .concat()
        .into_iter()
        .collect();
    let sessions: HashSet<&str> = corpus.sources().iter().map(|source| source.id.as_str()).collect();
    match missing(&known) {
        None => Ok(()),
        Some(row) => {
            let session = row.unit.session();
            let hint = if sessions.contains(session.as_str()) {
                "the session is there, but has no such prompt; `interrater sessions` shows how many it has"
            } else {
                "no such session in [input] sessions of the configuration, nor in a run; correct the id or name the transcripts there"
            };
            Err(gold.error_at(row, format!("unknown unit `{}`", row.unit), hint.to_owned()).into())
        }
    }
}

fn choose(fields: Vec<FieldRatings>, codebook: &Codebook, args: &Agree) -> Result<Vec<FieldRatings>> {
    let unknown = |what, name: &str, known: Vec<String>| UsageError::NotInCodebook {
        task: codebook.task.clone(),
        what,
        name: name.to_owned(),
        known: if known.is_empty() { "none".to_owned() } else { known.join(", ") },
    };
    let mut fields = fields;
    if let Some(name) = &args.field {
        let known = fields.iter().map(|field| field.name.clone()).collect();
        fields.retain(|field| field.name == *name || field.name.split('.').next() == Some(name));
        if fields.is_empty() {
            return Err(unknown("measured field", name, known).into());
        }
    }
    if let Some(name) = &args.collapse {
        let known = fields.iter().flat_map(|field| &field.collapses).map(|collapse| collapse.name.clone()).collect();
        fields.retain(|field| field.collapses.iter().any(|collapse| collapse.name == *name));
        if fields.is_empty() {
            return Err(unknown("collapse", name, known).into());
        }
    }
    Ok(fields)
}

/// Agreement of each field; of one collapse in the place of its labels where one is named.
pub fn agree_fields(
    task: &str,
    fields: &[FieldRatings],
    cluster: Cluster,
    resampling: Resampling,
    collapse: Option<&str>,
) -> Result<Vec<FieldAgreement>> {
    fields
        .iter()
        .map(|field| {
            let collapses = field
                .collapses
                .iter()
                .filter(|one| collapse.is_none_or(|name| one.name == name))
                .map(|one| Collapse {
                    name: one.name.clone(),
                    map: one.map.iter().map(|(from, to)| (from.clone(), Some(to.clone()))).collect(),
                })
                .collect();
            let settings = Settings {
                task: Some(task.to_owned()),
                field: field.name.clone(),
                reference: field.reference.clone(),
                humans: field.humans.clone(),
                cluster: if cluster == Cluster::Item { "item" } else { "session" }.to_owned(),
                collapses,
                resampling,
            };
            let mut agreement = agreement::agree(&field.ratings, &settings).into_diagnostic()?;
            agreement.warnings.extend(field.warnings.iter().cloned());
            Ok(agreement)
        })
        .collect()
}

/// Writes into the ledger who was scored on which gold: how often is part of what a figure means.
pub fn record(store: &Path, task: &str, gold: &Gold, split: &str, fields: &[FieldAgreement]) -> Result<()> {
    let at = Timestamp::now();
    let lines: Vec<Evaluation> = fields
        .iter()
        .flat_map(|field| {
            let humans = |pair: &&agreement::Pair| pair.kind == agreement::field::PairKind::ReferenceModel;
            field.pairs.iter().filter(humans).map(move |pair| {
                let (metric, value) = match &pair.figures {
                    agreement::PairFigures::Labels(labels) => ("cohen_kappa", labels.agreement.cohen_kappa.value),
                    agreement::PairFigures::Scores(scores) => ("icc_a1", scores.icc_a1.value),
                };
                Evaluation {
                    rater: pair.b.clone(),
                    task: task.to_owned(),
                    field: field.field.clone(),
                    gold_path: gold.path.display().to_string(),
                    gold_hash: gold.hash.clone(),
                    split: split.to_owned(),
                    at,
                    metric: metric.to_owned(),
                    value,
                    items: pair.items as u64,
                }
            })
        })
        .collect();
    if lines.is_empty() {
        return Ok(());
    }
    Store::open(store).into_diagnostic()?.record_evaluations(lines).into_diagnostic()
}
