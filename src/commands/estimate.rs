//! `estimate`: shares and means of a run, corrected by gold.

use super::evaluating::{Look, leak_check};
use super::{Exit, UsageError, config, library, print, print_json};
use interrater::agreement::Resampling;
use interrater::cli::{Common, Estimate};
use interrater::codebook::Codebook;
use interrater::config::Config;
use interrater::corpus;
use interrater::estimate::numbers::RunEstimates;
use interrater::estimate::of_run::RunEstimation;
use interrater::estimate::poststratified::Target;
use interrater::estimate::strata::{KnownStrata, Sources};
use interrater::evaluation::RunRows;
use interrater::evaluation::sealed::split_named;
use interrater::gold::{Gold, GoldRow};
use interrater::planning::sheet::saved_designs;
use interrater::report::estimate::estimate_table;
use interrater::run::Run;
use interrater::session::SessionSummary;
use interrater::store::{Evaluation, Store};
use interrater::unit::UnitId;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use miette::{IntoDiagnostic, Result};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};

/// More groups than this are no groups.
const MOST_GROUPS: usize = 60;

/// Computes and prints.
pub fn run(args: &Estimate, common: &Common) -> Result<Exit> {
    let config = config(common)?;
    let run = Run::open(&config.paths.runs, &args.run)?;
    let library = library(&config)?;
    let codebook = library.task(&run.manifest.task)?;
    let gold = match &args.gold {
        Some(path) => Gold::read(path, codebook)?,
        None => Gold::find(&config.paths.gold, codebook)?.ok_or_else(|| UsageError::NoGold {
            task: codebook.task.clone(),
            path: config.paths.gold.join(format!("{}.csv", codebook.task)),
        })?,
    };
    let split = split_named(&args.split);
    super::agree::check_split(&gold, split, &codebook.task, &args.split)?;
    let run = RunRows { rows: run.annotations()?, manifest: run.manifest };
    let elsewhere = of_same_rater(&config, &run, &gold)?;
    let groups = match &args.by {
        None => None,
        Some(by) => Some((by.as_str(), grouped(by, args.items.as_deref(), &run, &config)?)),
    };
    let strata = strata(args, &run, &gold, codebook, &config)?;
    let mut found = RunEstimation {
        codebook,
        run: &run,
        elsewhere: &elsewhere,
        gold: &gold,
        split,
        field: args.field.as_deref(),
        collapse: args.collapse.as_deref(),
        groups: groups.as_ref().map(|(by, groups)| (*by, groups)),
        strata: &strata,
        assume_random: args.assume_random,
        target: if args.these_units { Target::TheseUnits } else { Target::Population },
        resampling: Resampling { replicates: args.replicates, seed: args.seed },
    }
    .compute()?;
    let look = Look::at(&config.paths.store, &found.task, &gold, split, args.show_test)?;
    found.was_looked_at(look.opened());
    found.looked_for_leaks(leak_check(&library, codebook, &gold, &all_runs(run, elsewhere), args.show_test, &config));
    record(&config.paths.store, &found, &args.split, look.shown_to)?;
    if common.json {
        print_json(&found)?;
    } else {
        print(&estimate_table(&found))?;
    }
    Ok(Exit::Done)
}

/// Which strata the gold was drawn by, of every unit of the run if that can be known.
fn strata(args: &Estimate, run: &RunRows, gold: &Gold, codebook: &Codebook, config: &Config) -> Result<KnownStrata> {
    let file = args.strata.as_deref();
    let named = file.map(|file| by_items("stratum", file, run)).transpose()?;
    let shown = file.map(|file| file.display().to_string()).unwrap_or_default();
    let folder = gold.path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut designs = saved_designs(folder, &codebook.task);
    if folder != config.paths.gold {
        designs.extend(saved_designs(&config.paths.gold, &codebook.task));
    }
    let open = |name: &str| -> Option<RunRows> {
        let run = Run::open(&config.paths.runs, name).ok()?;
        Some(RunRows { rows: run.annotations().ok()?, manifest: run.manifest })
    };
    let adjudicated: Vec<&GoldRow> = gold.adjudicated().collect();
    Ok(Sources {
        codebook,
        run,
        gold: &adjudicated,
        named: named.as_ref().map(|strata| (shown.as_str(), strata)),
        designs: &designs,
        runs: &open,
    }
    .strata())
}

/// The run and those that the gold is of.
fn all_runs(run: RunRows, elsewhere: Vec<RunRows>) -> Vec<RunRows> {
    std::iter::once(run).chain(elsewhere).collect()
}

/// Where no gold unit is in the run: the rows on gold units of other runs by the same rater.
fn of_same_rater(config: &Config, run: &RunRows, gold: &Gold) -> Result<Vec<RunRows>> {
    let labelled = gold.units();
    if run.rows.iter().any(|row| labelled.contains(row.unit.as_str())) {
        return Ok(Vec::new());
    }
    let others = Run::list(&config.paths.runs)?.into_iter();
    others
        .filter(|other| other.manifest.rater == run.manifest.rater && other.manifest.run != run.manifest.run)
        .map(|other| {
            let mut rows = other.annotations()?;
            rows.retain(|row| labelled.contains(row.unit.as_str()));
            Ok(RunRows { rows, manifest: other.manifest })
        })
        .collect()
}

/// The group of each unit of the run.
fn grouped(by: &str, items: Option<&Path>, run: &RunRows, config: &Config) -> Result<HashMap<UnitId, String>> {
    let groups: HashMap<UnitId, String> = match (items, by) {
        (Some(file), _) => by_items(by, file, run)?,
        (None, "agent") => {
            let agent = |unit: &UnitId| unit.as_str().split(':').next().unwrap_or_default().to_owned();
            run.rows.iter().map(|row| (row.unit.clone(), agent(&row.unit))).collect()
        }
        (None, _) => by_sessions(by, run, config)?,
    };
    let names: BTreeSet<&String> = groups.values().collect();
    if names.len() > MOST_GROUPS {
        return Err(UsageError::Grouping {
            by: by.to_owned(),
            why: format!("it has {} values, more than {MOST_GROUPS}", names.len()),
            hint: "write coarser groups into a file with the columns unit (or session) and this one, and name it with --items".to_owned(),
        }
        .into());
    }
    Ok(groups)
}

fn by_sessions(by: &str, run: &RunRows, config: &Config) -> Result<HashMap<UnitId, String>> {
    let mut paths: Vec<PathBuf> =
        run.manifest.inputs.iter().map(|input| input.path.clone()).filter(|path| path.exists()).collect();
    if paths.is_empty() {
        let configured =
            config.input.sessions.iter().map(|path| interrater::config::expand_home(path, &super::environment));
        paths = configured.filter(|path| path.exists()).collect();
    }
    let wrong =
        |why: &str, hint: &str| UsageError::Grouping { by: by.to_owned(), why: why.to_owned(), hint: hint.to_owned() };
    if paths.is_empty() {
        let why = "the run's transcripts are not here";
        return Err(wrong(why, "--by agent needs no transcripts; other groups can be given with --items").into());
    }
    let corpus = corpus::find(&paths).into_diagnostic()?;
    let sessions: Vec<SessionSummary> =
        corpus.read_all(|session| session.summary()).into_iter().collect::<Result<_, _>>().into_diagnostic()?;
    let mut of_session: BTreeMap<String, String> = BTreeMap::new();
    for session in &sessions {
        if let Some(group) = of_summary(by, session)? {
            of_session.insert(session.id.to_string(), group);
        }
    }
    let in_run =
        run.rows.iter().filter_map(|row| Some((row.unit.clone(), of_session.get(row.session.as_str())?.clone())));
    let groups: HashMap<UnitId, String> = in_run.collect();
    if groups.is_empty() {
        return Err(
            wrong("no session of the run has it", "`interrater sessions --json` shows what sessions have").into()
        );
    }
    Ok(groups)
}

/// The group of a session: a part of its time, its models, or any plain value of its summary.
fn of_summary(by: &str, session: &SessionSummary) -> Result<Option<String>, UsageError> {
    let day = || session.started.map(|at| at.to_zoned(TimeZone::UTC).date());
    Ok(match by {
        "model" => {
            let models: BTreeSet<&String> = session.models.iter().collect();
            let joined = models.into_iter().cloned().collect::<Vec<_>>().join(" + ");
            Some(joined).filter(|text| !text.is_empty())
        }
        "week" => day().map(|day| {
            let week = day.iso_week_date();
            format!("{:04}-W{:02}", week.year(), week.week())
        }),
        "month" => day().map(|day| format!("{:04}-{:02}", day.year(), day.month())),
        _ => {
            let summary = serde_json::to_value(session).unwrap_or_default();
            match summary.get(by) {
                Some(Value::String(text)) => Some(text.clone()),
                Some(Value::Number(number)) => Some(number.to_string()),
                Some(Value::Bool(flag)) => Some(flag.to_string()),
                Some(Value::Null) => None,
                _ => {
                    let hint = "model, agent, week, month, a plain value of `interrater sessions --json`, or a column of --items";
                    let why = "sessions have no such value".to_owned();
                    return Err(UsageError::Grouping { by: by.to_owned(), why, hint: hint.to_owned() });
                }
            }
        }
    })
}

/// Groups from a file with the columns `unit` or `session` and `by`.
fn by_items(by: &str, file: &Path, run: &RunRows) -> Result<HashMap<UnitId, String>> {
    let wrong = |why: String| UsageError::Grouping {
        by: by.to_owned(),
        why,
        hint: format!("--items is a CSV file with a header: unit,{by} or session,{by}"),
    };
    let mut reader = csv::Reader::from_path(file).map_err(|error| wrong(format!("{}: {error}", file.display())))?;
    let header = reader.headers().map_err(|error| wrong(format!("{}: {error}", file.display())))?.clone();
    let place = |name: &str| header.iter().position(|column| column == name);
    let value = place(by).ok_or_else(|| wrong(format!("{} has no such column", file.display())))?;
    let id = place("unit")
        .or(place("session"))
        .ok_or_else(|| wrong(format!("{} has neither unit nor session", file.display())))?;
    let mut known: HashMap<String, String> = HashMap::new();
    for record in reader.records() {
        let record = record.map_err(|error| wrong(format!("{}: {error}", file.display())))?;
        let cell = |at: usize| record.get(at).unwrap_or_default().to_owned();
        if let Some(other) = known.insert(cell(id), cell(value)).filter(|other| *other != cell(value)) {
            return Err(
                wrong(format!("{}: `{}` is in `{other}` and in `{}`", file.display(), cell(id), cell(value))).into()
            );
        }
    }
    let group = |row: &interrater::run::Annotation| {
        known
            .get(row.unit.as_str())
            .or_else(|| known.get(row.session.as_str()))
            .filter(|group| !group.is_empty())
            .cloned()
    };
    let groups: HashMap<UnitId, String> =
        run.rows.iter().filter_map(|row| Some((row.unit.clone(), group(row)?))).collect();
    if groups.is_empty() {
        return Err(wrong(format!("{} names no unit or session of the run", file.display())).into());
    }
    Ok(groups)
}

/// Writes into the ledger that this gold was looked at, and whether its design was assumed.
fn record(store: &Path, found: &RunEstimates, split: &str, shown_to: Option<String>) -> Result<()> {
    let at = Timestamp::now();
    let lines: Vec<Evaluation> = (found.fields.iter())
        .filter_map(|field| {
            let first = field.groups.first()?.estimates.first()?;
            let assumed = if found.gold.assumed_random { ", gold assumed random" } else { "" };
            Some(Evaluation {
                rater: found.rater.clone(),
                task: found.task.clone(),
                field: field.collapse.as_ref().map_or(field.field.clone(), |name| format!("{} ({name})", field.field)),
                gold_path: found.gold.path.display().to_string(),
                gold_hash: found.gold.hash.clone(),
                split: split.to_owned(),
                at,
                metric: format!("corrected_{} of {}{assumed}", field.quantity, first.what),
                value: first.corrected.corrected.value,
                items: first.corrected.gold as u64,
                shown_to: shown_to.clone(),
            })
        })
        .collect();
    if lines.is_empty() {
        return Ok(());
    }
    Store::open(store).into_diagnostic()?.record_evaluations(lines).into_diagnostic()
}
