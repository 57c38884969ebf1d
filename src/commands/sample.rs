//! `sample`: what humans should label next.

use super::agree::{choose, open_runs};
use super::{Exit, UsageError, config, library, print, print_json, say, session_paths};
use interrater::cli::{By, Common, Sample as Args};
use interrater::codebook::Codebook;
use interrater::config::Config;
use interrater::corpus;
use interrater::evaluation::{Cluster, Comparison};
use interrater::gold::Gold;
use interrater::planning::aim::{Aim, score_range};
use interrater::planning::sample::{Candidate, Design, Sample, draw};
use interrater::planning::sheet::{Written, sheet, write};
use interrater::planning::size::Plan;
use interrater::report::sample::{plan_text, sample_text};
use interrater::report::sessions::{repository_lines, skipped_lines};
use interrater::unit::units;
use jiff::Timestamp;
use miette::{IntoDiagnostic, Result};
use serde_json::json;
use std::collections::HashSet;
use std::path::PathBuf;

/// Draws, writes the sheet and prints.
pub fn run(args: &Args, common: &Common) -> Result<Exit> {
    let config = config(common)?;
    let library = library(&config)?;
    let codebook = library.task(&args.task)?;
    if let Some(plan) = &args.plan {
        let plan: Plan = plan.parse()?;
        match common.json {
            true => print_json(&json!({ "task": args.task, "plan": plan }))?,
            false => print(&plan_text(&args.task, &plan))?,
        }
        return Ok(Exit::Done);
    }
    let candidates = candidates(args, codebook, &config, common)?;
    let gold = Gold::find(&config.paths.gold, codebook)?;
    let (aim, field) = aim(args, codebook, &candidates, &config, common)?;
    let sessions: HashSet<&str> = candidates.iter().map(|candidate| candidate.session.as_str()).collect();
    let (by, runs) = match &args.by {
        By::Uniform => ("uniform", Vec::new()),
        By::Label(run) => ("label", vec![run.clone()]),
        By::Disagreement(runs) => ("disagreement", runs.clone()),
    };
    let design = Design {
        id: String::new(),
        task: args.task.clone(),
        codebook: codebook.version(),
        by,
        runs,
        field,
        size: args.size,
        mix: if by == "uniform" { 1.0 } else { args.mix },
        salt: args.salt.clone(),
        split_test: args.split_test,
        units: candidates.len(),
        sessions: sessions.len(),
    };
    let sample = draw(&candidates, &aim, design.identified(), gold.as_ref());
    let path = match (&args.out, common.json) {
        (Some(path), _) => Some(path.clone()),
        (None, true) => None,
        (None, false) if sample.to_label == 0 => None,
        (None, false) => Some(config.paths.gold.join(format!("{}.sample.csv", args.task))),
    };
    let written = path.as_ref().map(|path| save(path, &sample, codebook, &args.rater)).transpose()?;
    if common.json {
        let mut document = serde_json::to_value(&sample).into_diagnostic()?;
        document["task"] = json!(args.task);
        document["sheet"] = json!(path.as_ref().map(|path| path.display().to_string()));
        print_json(&document)?;
    } else {
        print(&sample_text(&sample))?;
        if sample.to_label == 0 {
            print("nothing to label: the gold has every drawn unit; a larger --size draws more\n")?;
        } else if let (Some(path), Some(written)) = (&path, written) {
            let done = if written == Written::New { "wrote" } else { "already there, the same:" };
            print(&format!(
                "{done} {} · label it: `interrater label {} --rater NAME`; or fill it in, then add its rows to {}\n",
                path.display(),
                args.task,
                gold_path(args, &config).display()
            ))?;
        }
    }
    if !common.quiet {
        notes(args, &sample).iter().for_each(|note| say!("note: {note}"));
    }
    Ok(Exit::Done)
}

fn gold_path(args: &Args, config: &Config) -> PathBuf {
    config.paths.gold.join(format!("{}.csv", args.task))
}

/// Every unit of the sessions, each once.
fn candidates(args: &Args, codebook: &Codebook, config: &Config, common: &Common) -> Result<Vec<Candidate>> {
    let mut corpus = corpus::find(&session_paths(&args.sessions, config)?)?;
    let kind = codebook.unit;
    let read = corpus.survey(|session| -> Vec<Candidate> {
        let one =
            |unit: interrater::unit::Unit| Candidate { unit: unit.id.to_string(), session: unit.session.to_string() };
        units(&session, kind).into_iter().map(one).collect()
    })?;
    if !common.quiet {
        repository_lines(&corpus).iter().chain(&skipped_lines(&corpus)).for_each(|line| say!("{line}"));
    }
    let mut seen = HashSet::new();
    let all: Vec<Candidate> = read.into_iter().flatten().filter(|one| seen.insert(one.unit.clone())).collect();
    if all.is_empty() { Err(UsageError::NothingToDraw(args.task.clone()).into()) } else { Ok(all) }
}

/// Strata and sizes, and the field that they come from.
fn aim(
    args: &Args,
    codebook: &Codebook,
    candidates: &[Candidate],
    config: &Config,
    common: &Common,
) -> Result<(Aim, Option<String>)> {
    let named = match &args.by {
        By::Uniform => return Ok((Aim::uniform(candidates.len()), None)),
        By::Label(run) => std::slice::from_ref(run),
        By::Disagreement(runs) => runs.as_slice(),
    };
    if let Some(twice) = (1..named.len()).find(|&at| named[..at].contains(&named[at])) {
        return Err(UsageError::SameRun(named[twice].clone()).into());
    }
    let runs = open_runs(config, codebook, None, named, common)?;
    let comparison =
        Comparison { codebook, gold: None, runs: &runs, split: None, cluster: Cluster::Item, collapse: None };
    let fields = choose(comparison.fields().into_diagnostic()?, codebook, args.field.as_deref(), None)?;
    let Some(field) = fields.into_iter().next() else {
        return Err(UsageError::NothingToDraw(args.task.clone()).into());
    };
    let range = score_range(codebook, &field.name, &field.ratings);
    let units: Vec<&str> = candidates.iter().map(|candidate| candidate.unit.as_str()).collect();
    let known: HashSet<&str> = field.ratings.items().iter().map(String::as_str).collect();
    let unknown = units.iter().filter(|unit| !known.contains(*unit)).count();
    if unknown > 0 && !common.quiet {
        say!(
            "note: {unknown} of {} units are in none of these runs; they are drawn as units without an answer",
            units.len()
        );
    }
    let aim = match &args.by {
        By::Disagreement(runs) => Aim::disagreement(&units, &field.ratings, runs.len(), range),
        _ => Aim::label(&units, &field.ratings, range),
    };
    Ok((aim, Some(field.name)))
}

fn save(path: &std::path::Path, sample: &Sample, codebook: &Codebook, rater: &str) -> Result<Written> {
    let mut design = serde_json::to_value(&sample.design).into_diagnostic()?;
    design["drawn"] = json!(Timestamp::now().to_string());
    design["expected"] = json!(sample.expected);
    design["smallest_probability"] = json!(sample.smallest_probability);
    let design = format!("{}\n", serde_json::to_string_pretty(&design).into_diagnostic()?);
    Ok(write(path, &sheet(sample, codebook, rater), design.as_bytes())?)
}

fn notes(args: &Args, sample: &Sample) -> Vec<String> {
    let mut notes = Vec::new();
    if sample.drawn > sample.to_label {
        notes.push(format!(
            "{} drawn units are in the gold already and not in the sheet; drawn with the same salt, gold and sheet are one sample, in which a unit's probability is the larger of the two: --json has this draw's",
            sample.drawn - sample.to_label
        ));
    }
    if args.by != By::Uniform && args.mix < 0.2 {
        notes.push("--mix below 0.2: a few units with large weights will make estimates unsteady".to_owned());
    }
    if let By::Disagreement(_) = args.by
        && sample.strata.iter().all(|counts| counts.stratum == "agree")
    {
        notes.push("the runs never disagree, so the draw is uniform".to_owned());
    }
    notes
}
