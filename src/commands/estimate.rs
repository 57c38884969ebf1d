//! `estimate`: shares and means of a run, corrected by gold.

use super::evaluating::{Look, leak_check, small_groups};
use super::{Exit, UsageError, config, groups, library, print, print_json};
use interrater::agreement::Resampling;
use interrater::cli::{Common, Estimate};
use interrater::codebook::Codebook;
use interrater::config::Config;
use interrater::estimate::numbers::RunEstimates;
use interrater::estimate::of_run::RunEstimation;
use interrater::estimate::poststratified::Target;
use interrater::estimate::strata::{KnownStrata, Sources};
use interrater::evaluation::RunRows;
use interrater::evaluation::sealed::{FEWEST_HIDDEN, Looks, Seal, split_named};
use interrater::gold::{Gold, GoldRow};
use interrater::planning::sheet::saved_designs;
use interrater::report::estimate::estimate_table;
use interrater::run::Run;
use interrater::store::{Evaluation, Store};
use interrater::unit::UnitId;
use jiff::Timestamp;
use miette::{IntoDiagnostic, Result};
use std::path::{Path, PathBuf};

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
        Some(by) => {
            let units = units_of(&run);
            let inputs: Vec<PathBuf> = run.manifest.inputs.iter().map(|input| input.path.clone()).collect();
            Some((by.as_str(), groups::grouped(by, args.items.as_deref(), &units, inputs, &config)?))
        }
    };
    let mut groups = groups;
    let mut left_out = 0;
    if let Some((_, groups)) = groups.as_mut().filter(|_| Looks::opens_test(&gold, split)) {
        let seal = Seal::of(&gold, args.show_test);
        left_out = seal.leave_out_small_groups(groups, UnitId::as_str);
        // What has no group is one of its own, and may tell as much.
        let rest =
            run.rows.iter().filter(|row| seal.hides(row.unit.as_str()) && !groups.contains_key(&row.unit)).count();
        if left_out > 0 && rest < FEWEST_HIDDEN {
            return Err(UsageError::Grouping {
                by: args.by.clone().unwrap_or_default(),
                why: format!("a group has fewer than {FEWEST_HIDDEN} units of the test split, whose answers its figures would tell"),
                hint: "take coarser groups, or --split dev; --show-test allows it, and is recorded".to_owned(),
            }
            .into());
        }
    }
    let strata = strata(args.strata.as_deref(), &run, &gold, codebook, &config)?;
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
    found.notes.extend(small_groups(left_out));
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
pub fn strata(
    file: Option<&Path>,
    run: &RunRows,
    gold: &Gold,
    codebook: &Codebook,
    config: &Config,
) -> Result<KnownStrata> {
    let named = file.map(|file| groups::by_items("stratum", "--strata", file, &units_of(run))).transpose()?;
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

fn units_of(run: &RunRows) -> Vec<UnitId> {
    run.rows.iter().map(|row| row.unit.clone()).collect()
}

/// The run and those that the gold is of.
fn all_runs(run: RunRows, elsewhere: Vec<RunRows>) -> Vec<RunRows> {
    std::iter::once(run).chain(elsewhere).collect()
}

/// Where no gold unit is in the run: the rows on gold units of other runs by the same rater.
pub fn of_same_rater(config: &Config, run: &RunRows, gold: &Gold) -> Result<Vec<RunRows>> {
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
