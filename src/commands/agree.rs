//! `agree`: agreement of a task's gold, raters and runs, or of any ratings file.

use super::{Exit, UsageError, config, library, print, print_json, say};
use interrater::agreement::{self, Collapse, FieldAgreement, RatingsFile, Resampling, Settings};
use interrater::cli::{Agree, Common};
use interrater::codebook::FieldKind;
use interrater::codebook::{Codebook, UnitKind};
use interrater::config::Config;
use interrater::corpus;
use interrater::evaluation::{Cluster, Comparison, FieldRatings, RunRows};
use interrater::gold::{Gold, Split};
use interrater::report::plural;
use interrater::report::terminal::{self, TableOptions};
use interrater::run::{Annotation, Manifest, Run};
use interrater::session::{SessionId, SessionSummary};
use interrater::store::{Evaluation, Store};
use jiff::Timestamp;
use miette::{IntoDiagnostic, Result};
use std::collections::HashSet;
use std::path::{Path, PathBuf};

/// Computes and prints.
pub fn run(args: &Agree, common: &Common) -> Result<Exit> {
    let (fields, mut warnings) = match (&args.file, &args.task) {
        (Some(file), _) => ratings_file(file, args)?,
        (None, Some(task)) => (task_fields(task, args, common)?, Vec::new()),
        (None, None) => unreachable!("clap asks for one of the two"),
    };
    warnings.extend(fields.iter().filter(|field| field.pairs.is_empty()).map(|field| match field.raters.as_slice() {
        [only] => format!("{}: `{}` is the only rater, so there is nothing to compare", field.field, only.rater),
        _ => format!("{}: there are no two raters to compare", field.field),
    }));
    if common.json {
        print_json(&Document { fields: &fields, warnings: &warnings })?;
    } else {
        let compared = fields.iter().filter(|field| !field.pairs.is_empty());
        let text: Vec<String> =
            compared.map(|field| terminal::agreement_table(field, TableOptions::default())).collect();
        print(&text.join("\n"))?;
    }
    if !common.quiet {
        warnings.iter().for_each(|warning| say!("note: {warning}"));
    }
    Ok(Exit::Done)
}

/// What `--json` prints, written as it is: a large file has so many disagreements that a tree of them would cost more than all figures.
#[derive(serde::Serialize)]
struct Document<'a> {
    fields: &'a [FieldAgreement],
    warnings: &'a [String],
}

fn resampling(args: &Agree) -> Resampling {
    Resampling { replicates: args.replicates, seed: args.seed }
}

/// The labels of `--labels`: one record of CSV, so that a label may hold a comma.
fn declared_labels(text: &str) -> Vec<String> {
    let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(text.as_bytes());
    let record = reader.records().next().and_then(Result::ok).unwrap_or_default();
    record.iter().map(str::to_owned).collect()
}

fn ratings_file(file: &Path, args: &Agree) -> Result<(Vec<FieldAgreement>, Vec<String>)> {
    let read = RatingsFile {
        items: args.items.clone(),
        cluster: (args.by != "session" && args.by != "item").then(|| args.by.clone()),
        by_item: args.by == "item",
        labels: args.labels.as_deref().map(declared_labels),
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
    let runs = open_runs(&config, codebook, gold.as_ref(), &args.run, common)?;
    if gold.is_none() && runs.is_empty() {
        return Err(UsageError::NothingToCompare(task.to_owned()).into());
    }
    if let Some(gold) = &gold {
        check_units(gold, codebook.unit, &[], &runs, &config)?;
    }
    let split = match args.split.as_str() {
        "dev" => Some(Split::Dev),
        "test" => Some(Split::Test),
        _ => None,
    };
    if let Some(gold) = &gold {
        check_split(gold, split, task, &args.split)?;
    }
    let cluster = match args.by.as_str() {
        "session" => Cluster::Session,
        "item" => Cluster::Item,
        other => return Err(UsageError::Cluster(other.to_owned()).into()),
    };
    let comparison =
        Comparison { codebook, gold: gold.as_ref(), runs: &runs, split, cluster, collapse: args.collapse.as_deref() };
    let ratings =
        choose(comparison.fields().into_diagnostic()?, codebook, args.field.as_deref(), args.collapse.as_deref())?;
    let fields = agree_fields(task, &ratings, cluster, resampling(args))?;
    if let Some(gold) = &gold {
        record(&config.paths.store, task, gold, &args.split, &fields)?;
    }
    Ok(fields)
}

/// The named runs, or all runs of the task but for those over a part of the sessions; where there is gold, with the rows that it knows.
pub fn open_runs(
    config: &Config,
    codebook: &Codebook,
    gold: Option<&Gold>,
    named: &[String],
    common: &Common,
) -> Result<Vec<RunRows>> {
    let runs: Vec<Run> = if named.is_empty() {
        let of_task = Run::list(&config.paths.runs)?.into_iter().filter(|run| run.manifest.task == codebook.task);
        let (whole, shards): (Vec<Run>, Vec<Run>) = of_task.partition(|run| run.manifest.settings.shard.is_none());
        if !shards.is_empty() && !common.quiet {
            say!(
                "note: {} over a part of the sessions left out; `interrater annotate` without --shard makes a whole run of their answers, \
                 and --run names them",
                plural(shards.len() as u64, "run")
            );
        }
        whole
    } else {
        named.iter().map(|name| Run::open(&config.paths.runs, name)).collect::<Result<_, _>>()?
    };
    if let Some(other) = runs.iter().find(|run| run.manifest.task != codebook.task) {
        let Manifest { run, task, .. } = other.manifest.clone();
        return Err(UsageError::OtherTask { run, task, wanted: codebook.task.clone() }.into());
    }
    let labelled = gold.map(Gold::units);
    let open = |run: Run| {
        let mut rows = Vec::new();
        run.rows(|row: Annotation| {
            if labelled.as_ref().is_none_or(|labelled| labelled.contains(row.unit.as_str())) {
                rows.push(row);
            }
        })?;
        Ok(RunRows { rows, manifest: run.manifest })
    };
    runs.into_iter().map(open).collect()
}

/// An empty part of the gold would give no figure and no reason.
pub fn check_split(gold: &Gold, split: Option<Split>, task: &str, name: &str) -> Result<(), UsageError> {
    if gold.rows.iter().any(|row| split.is_none() || row.split == split) {
        return Ok(());
    }
    let count = |split| gold.rows.iter().filter(|row| row.split == split).count();
    Err(UsageError::EmptySplit {
        task: task.to_owned(),
        gold: gold.path.clone(),
        split: name.to_owned(),
        dev: count(Some(Split::Dev)),
        test: count(Some(Split::Test)),
        neither: count(None),
    })
}

/// Gold on a unit that exists nowhere is a mistake in the gold: it would silently be compared with nothing.
///
/// Units are those of the sessions at hand, of runs, and of the transcripts that the configuration names. Where it names none that are
/// here, nobody can say that a session does not exist.
pub fn check_units(
    gold: &Gold,
    kind: UnitKind,
    at_hand: &[SessionSummary],
    runs: &[RunRows],
    config: &Config,
) -> Result<()> {
    let mut known = unit_ids(at_hand, kind);
    known.extend(runs.iter().flat_map(|run| &run.rows).map(|row| row.unit.to_string()));
    if gold.rows.iter().all(|row| known.contains(row.unit.as_str())) {
        return Ok(());
    }
    let configured = configured_sessions(config)?;
    known.extend(unit_ids(&configured, kind));
    let sessions: HashSet<&SessionId> = at_hand.iter().chain(&configured).map(|session| &session.id).collect();
    for row in gold.rows.iter().filter(|row| !known.contains(row.unit.as_str())) {
        let hint = if sessions.contains(&row.unit.session()) {
            "the session is there, but has no such prompt; `interrater sessions` shows how many it has"
        } else if !configured.is_empty() {
            "no such session in [input] sessions of the configuration, nor in a run; correct the id or name the transcripts there"
        } else {
            continue;
        };
        return Err(gold.error_at(row, format!("unknown unit `{}`", row.unit), hint.to_owned()).into());
    }
    Ok(())
}

/// The sessions that the configuration names, as far as they are here.
fn configured_sessions(config: &Config) -> Result<Vec<SessionSummary>> {
    let paths: Vec<PathBuf> = (config.input.sessions.iter())
        .map(|path| interrater::config::expand_home(path, &super::environment))
        .filter(|path| path.exists())
        .collect();
    let Ok(corpus) = corpus::find(&paths) else { return Ok(Vec::new()) };
    corpus.read_all(|session| session.summary()).into_iter().collect::<Result<_, _>>().into_diagnostic()
}

fn unit_ids(sessions: &[SessionSummary], kind: UnitKind) -> HashSet<String> {
    let ids = sessions.iter().flat_map(|session| match kind {
        UnitKind::Session => vec![session.id.to_string()],
        UnitKind::Prompt => (1..=session.prompts).map(|ordinal| format!("{}#{ordinal}", session.id)).collect(),
    });
    ids.collect()
}

/// The field that was named, or all of them; an error if the codebook has no such field or collapse.
pub fn choose(
    fields: Vec<FieldRatings>,
    codebook: &Codebook,
    field: Option<&str>,
    collapse: Option<&str>,
) -> Result<Vec<FieldRatings>> {
    let unknown = |what, name: &str, known: Vec<String>| UsageError::NotInCodebook {
        task: codebook.task.clone(),
        what,
        name: name.to_owned(),
        known: if known.is_empty() { "none".to_owned() } else { known.join(", ") },
    };
    let mut fields = fields;
    if let Some(name) = collapse.filter(|_| fields.is_empty()) {
        let known = codebook.fields.iter().filter_map(|field| match &field.kind {
            FieldKind::Label(labels) => Some(labels.collapses.iter().map(|collapse| collapse.name.clone())),
            _ => None,
        });
        return Err(unknown("collapse", name, known.flatten().collect()).into());
    }
    if let Some(name) = field {
        let known = fields.iter().map(|field| field.name.clone()).collect();
        fields.retain(|field| field.name.split(['.', ' ']).next() == Some(name) || field.name == name);
        if fields.is_empty() {
            return Err(unknown("measured field", name, known).into());
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
) -> Result<Vec<FieldAgreement>> {
    fields
        .iter()
        .map(|field| {
            let collapses = field
                .collapses
                .iter()
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
