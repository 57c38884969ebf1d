//! `agree`: agreement of a task's gold, raters and runs, or of any ratings file.

use super::evaluating::{Look, TaskTold, leak_check};
use super::{Exit, UsageError, config, groups, library, print, print_json, say};
use interrater::agreement::file::read_column;
use interrater::agreement::{self, FieldAgreement, RatingsFile, Resampling};
use interrater::cli::{Agree, Common};
use interrater::codebook::FieldKind;
use interrater::codebook::{Codebook, UnitKind};
use interrater::config::Config;
use interrater::corpus;
use interrater::evaluation::judged::{JudgedField, Judging, judge};
use interrater::evaluation::sealed::{Looks, Seal};
use interrater::evaluation::{Cluster, Comparison, ConfidenceSource, FieldRatings, RunAnswers, RunRows};
use interrater::gold::{Gold, Split};
use interrater::report::judged::judged_table;
use interrater::report::plural;
use interrater::report::terminal::TableOptions;
use interrater::run::{Annotation, Manifest, Run};
use interrater::session::{SessionId, SessionSummary};
use interrater::store::{Evaluation, Store};
use interrater::unit::UnitId;
use jiff::Timestamp;
use miette::{IntoDiagnostic, Result};
use serde_json::{Map, Value};
use std::collections::{BTreeSet, HashMap, HashSet};
use std::path::{Path, PathBuf};

/// Computes and prints.
pub fn run(args: &Agree, common: &Common) -> Result<Exit> {
    let (fields, mut warnings, told) = match (&args.file, &args.task) {
        (Some(file), _) => {
            let (fields, warnings) = ratings_file(file, args)?;
            (fields, warnings, TaskTold::default())
        }
        (None, Some(task)) => {
            let (fields, told) = task_fields(task, args, common)?;
            (fields, Vec::new(), told)
        }
        (None, None) => unreachable!("clap asks for one of the two"),
    };
    let alone = fields.iter().map(|field| &field.agreement).filter(|field| field.pairs.is_empty());
    warnings.extend(alone.map(|field| match field.raters.as_slice() {
        [only] => format!("{}: `{}` is the only rater, so there is nothing to compare", field.field, only.rater),
        _ => format!("{}: there are no two raters to compare", field.field),
    }));
    if common.json {
        print_json(&Document { fields: &fields, warnings: &warnings, told: told.members() })?;
    } else {
        let compared = fields.iter().filter(|field| !field.agreement.pairs.is_empty());
        let text: Vec<String> = compared.map(|field| judged_table(field, TableOptions::default())).collect();
        print(&text.join("\n"))?;
        print(&told.lines())?;
    }
    if !common.quiet {
        warnings.iter().for_each(|warning| say!("note: {warning}"));
    }
    Ok(Exit::Done)
}

/// What `--json` prints, written as it is: a large file has so many disagreements that a tree of them would cost more than all figures.
#[derive(serde::Serialize)]
struct Document<'a> {
    fields: &'a [JudgedField],
    warnings: &'a [String],
    /// What is told beside the figures of a task.
    #[serde(flatten)]
    told: Map<String, Value>,
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

fn ratings_file(file: &Path, args: &Agree) -> Result<(Vec<JudgedField>, Vec<String>)> {
    let read = RatingsFile {
        items: args.items.clone(),
        cluster: (args.by != "session" && args.by != "item").then(|| args.by.clone()),
        by_item: args.by == "item",
        labels: args.labels.as_deref().map(declared_labels),
        level: args.level.parse().into_diagnostic()?,
        ..RatingsFile::new(file)
    }
    .read()?;
    let mut field = FieldRatings::new("label".to_owned(), read.ratings);
    field.reference = args.reference.clone().or_else(|| field.ratings.rater("gold").map(|_| "gold".to_owned()));
    field.humans = args.humans.as_deref().map(declared_labels).unwrap_or_default();
    let covariates = args.items.as_deref().unwrap_or(file);
    let groups =
        args.group_by.as_deref().map(|by| Ok::<_, miette::Report>((by, read_column(covariates, by)?))).transpose()?;
    if let Some(column) = &args.confidence {
        let answers = confidence(&field, column, covariates)?;
        field.runs.extend(answers);
    }
    if let Some(column) = &args.probability {
        field.probabilities = Some(column_of_shares(covariates, column, "probability")?);
    }
    let judging = Judging {
        task: None,
        cluster: &read.cluster,
        resampling: resampling(args),
        groups: groups.as_ref().map(|(by, groups)| (*by, groups)),
        epsilon: args.epsilon,
    };
    Ok((vec![judge(&field, &judging).into_diagnostic()?], read.notices))
}

/// The confidences in a column of the items file, which are those of the one rater who is neither the reference nor a human.
fn confidence(field: &FieldRatings, column: &str, items: &Path) -> Result<Option<RunAnswers>> {
    let others: Vec<&String> = (field.ratings.raters().iter())
        .filter(|rater| Some(*rater) != field.reference.as_ref() && !field.humans.contains(rater))
        .collect();
    let [rater] = others[..] else {
        let raters = field.ratings.raters().join(", ");
        return Err(UsageError::WhoseConfidence { column: column.to_owned(), raters }.into());
    };
    let confidence = Some((ConfidenceSource::Column, column_of_shares(items, column, "confidence")?));
    Ok(Some(RunAnswers { rater: rater.clone(), samples: None, confidence }))
}

/// A column of numbers from 0 to 1; a probability is above 0.
fn column_of_shares(items: &Path, column: &str, what: &'static str) -> Result<HashMap<String, f64>> {
    let number = |(item, text): (String, String)| match text.parse::<f64>() {
        Ok(value) if (0.0..=1.0).contains(&value) && (value > 0.0 || what == "confidence") => Ok((item, value)),
        _ => Err(UsageError::NoShare { item, column: column.to_owned(), text, what }.into()),
    };
    read_column(items, column)?.into_iter().map(number).collect()
}

fn task_fields(task: &str, args: &Agree, common: &Common) -> Result<(Vec<JudgedField>, TaskTold)> {
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
    if gold.is_none() && !common.quiet {
        say!("note: there is no gold of `{task}`: runs are compared with one another, and none of them is the truth");
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
    let groups = match &args.group_by {
        None => None,
        Some(by) => Some((by.as_str(), group_units(by, args, &ratings, (gold.as_ref(), &runs), &config)?)),
    };
    let mut groups = groups;
    let mut told = TaskTold::default();
    if let (Some(gold), Some((_, groups))) = (gold.as_ref().filter(|gold| Looks::opens_test(gold, split)), &mut groups)
    {
        told.small_groups = Seal::of(gold, args.show_test).leave_out_small_groups(groups, String::as_str);
    }
    let judging = Judging {
        task: Some(task),
        cluster: cluster.name(),
        resampling: resampling(args),
        groups: groups.as_ref().map(|(by, groups)| (*by, groups)),
        epsilon: args.epsilon,
    };
    let mut fields = ratings
        .iter()
        .map(|field| judge(field, &judging))
        .collect::<Result<Vec<JudgedField>, _>>()
        .into_diagnostic()?;
    if let Some(gold) = &gold {
        let look = Look::at(&config.paths.store, task, gold, split, args.show_test)?;
        let leaks = leak_check(&library, codebook, gold, &runs, args.show_test, &config);
        let hidden = look.seal.hide_disagreements(fields.iter_mut().map(|field| &mut field.agreement));
        told = TaskTold { opened: look.opened(), hidden, leaks: Some(leaks), ..told };
        let agreements: Vec<&FieldAgreement> = fields.iter().map(|field| &field.agreement).collect();
        record(&config.paths.store, task, gold, &args.split, look.shown_to, (&runs, &agreements))?;
    }
    Ok((fields, told))
}

/// The group of each rated unit: a column of the gold, or what is known of its session.
fn group_units(
    by: &str,
    args: &Agree,
    ratings: &[FieldRatings],
    (gold, runs): (Option<&Gold>, &[RunRows]),
    config: &Config,
) -> Result<HashMap<String, String>> {
    let of_gold = |row: &interrater::gold::GoldRow| match by {
        "split" => row.split.map(|split| if split == Split::Dev { "dev" } else { "test" }.to_owned()),
        "stratum" => row.stratum.clone(),
        _ => None,
    };
    let from_gold: HashMap<String, String> = (gold.iter())
        .flat_map(|gold| &gold.rows)
        .filter_map(|row| Some((row.unit.to_string(), of_gold(row)?)))
        .collect();
    if !from_gold.is_empty() {
        return Ok(from_gold);
    }
    let rated: BTreeSet<&String> = ratings.iter().flat_map(|field| field.ratings.items()).collect();
    let units: Vec<UnitId> = rated.into_iter().map(UnitId::from_text).collect();
    let inputs = runs.iter().flat_map(|run| &run.manifest.inputs).map(|input| input.path.clone());
    let inputs: BTreeSet<PathBuf> = inputs.collect();
    let found = groups::grouped(by, args.items.as_deref(), &units, inputs.into_iter().collect(), config)?;
    Ok(found.into_iter().map(|(unit, group)| (unit.to_string(), group)).collect())
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

/// Who a rater is in the ledger: two runs of one rater go by their own names in a table, and are one rater there.
pub fn ledger_name<'r>(runs: &'r [RunRows], name: &'r str) -> &'r str {
    runs.iter().find(|run| run.manifest.run == name).map_or(name, |run| &run.manifest.rater)
}

/// Writes into the ledger who was scored on which gold: how often is part of what a figure means.
pub fn record(
    store: &Path,
    task: &str,
    gold: &Gold,
    split: &str,
    shown_to: Option<String>,
    (runs, fields): (&[RunRows], &[&FieldAgreement]),
) -> Result<()> {
    let at = Timestamp::now();
    let lines: Vec<Evaluation> = fields
        .iter()
        .flat_map(|field| {
            let humans = |pair: &&agreement::Pair| pair.kind == agreement::field::PairKind::ReferenceModel;
            let shown_to = &shown_to;
            field.pairs.iter().filter(humans).map(move |pair| {
                let (metric, value) = match &pair.figures {
                    agreement::PairFigures::Labels(labels) => ("cohen_kappa", labels.agreement.cohen_kappa.value),
                    agreement::PairFigures::Scores(scores) => ("icc_a1", scores.icc_a1.value),
                };
                Evaluation {
                    rater: ledger_name(runs, &pair.b).to_owned(),
                    task: task.to_owned(),
                    field: field.field.clone(),
                    gold_path: gold.path.display().to_string(),
                    gold_hash: gold.hash.clone(),
                    split: split.to_owned(),
                    at,
                    metric: metric.to_owned(),
                    value,
                    items: pair.items as u64,
                    shown_to: shown_to.clone(),
                }
            })
        })
        .collect();
    if lines.is_empty() {
        return Ok(());
    }
    Store::open(store).into_diagnostic()?.record_evaluations(lines).into_diagnostic()
}
