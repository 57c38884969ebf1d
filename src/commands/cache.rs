//! `cache`: the store of paid answers.

mod prune;
mod why;

use super::{Exit, config, print, print_json, say, with_store};
use interrater::cli::cache::{Export, Merge};
use interrater::cli::{Cache, CacheVerb, Common};
use interrater::config::Config;
use interrater::filter::{Filter, FilterError};
use interrater::report::cache::{Place, bytes, stats_text};
use interrater::report::plural;
use interrater::reuse::{Saved, saved};
use interrater::run::Run;
use interrater::store::export::{ExportError, export};
use interrater::store::merge::{Merged, merge};
use interrater::store::tally::{Stats, tally};
use interrater::store::{AnswerLine, Reader, StoreError, size_on_disk};
use jiff::Timestamp;
use miette::{Diagnostic, IntoDiagnostic, Result};
use serde::Serialize;
use serde_json::json;
use std::path::Path;

/// Does what was asked for.
pub fn run(args: &Cache, common: &Common) -> Result<Exit> {
    let config = with_store(config(common)?, args.store.as_ref());
    match &args.verb {
        CacheVerb::Stats => stats(&config, common),
        CacheVerb::Why(args) => why::run(args, &config, common),
        CacheVerb::Prune(args) => prune::run(args, &config, common),
        CacheVerb::Export(args) => export_answers(args, &config, common),
        CacheVerb::Merge(args) => merge_files(args, &config, common),
    }
}

/// The store, unless there is none yet.
fn open(path: &Path) -> Result<Option<Reader>> {
    match Reader::open(path) {
        Ok(reader) => Ok(Some(reader)),
        Err(StoreError::Missing { .. }) => Ok(None),
        Err(error) => Err(error).into_diagnostic(),
    }
}

fn stats(config: &Config, common: &Common) -> Result<Exit> {
    let path = &config.paths.store;
    let reader = open(path)?;
    let runs = Run::list(&config.paths.runs)?;
    let (stats, saved, rows) = match &reader {
        Some(reader) => (
            tally(reader, &config.price).into_diagnostic()?,
            saved(&runs, &config.price)?,
            reader.other_rows().into_diagnostic()?,
        ),
        None => (Stats::default(), Saved::default(), (0, 0)),
    };
    let now = Timestamp::now();
    let place = Place {
        path,
        format: reader.as_ref().map_or(0, Reader::format),
        bytes: size_on_disk(path),
        evaluations: rows.0,
        model_facts: rows.1,
    };
    if common.json {
        #[derive(Serialize)]
        struct Document<'a> {
            store: &'a Path,
            exists: bool,
            format: Option<i64>,
            bytes_on_disk: u64,
            #[serde(flatten)]
            stats: &'a Stats,
            oldest_seconds: Option<i64>,
            newest_seconds: Option<i64>,
            saved: &'a Saved,
            evaluations: u64,
            model_facts: u64,
        }
        let seconds = |then: Option<Timestamp>| then.map(|then| now.duration_since(then).as_secs());
        print_json(&Document {
            store: path,
            exists: reader.is_some(),
            format: reader.as_ref().map(Reader::format),
            bytes_on_disk: place.bytes,
            stats: &stats,
            oldest_seconds: seconds(stats.total.oldest),
            newest_seconds: seconds(stats.total.newest),
            saved: &saved,
            evaluations: place.evaluations,
            model_facts: place.model_facts,
        })?;
    } else if reader.is_some() {
        print(&stats_text(place, &stats, &saved, now))?;
    } else {
        say!("there is no store of answers at {} yet; `interrater annotate` with a model makes one", path.display());
    }
    Ok(Exit::Done)
}

/// Why an export stopped: the store or the file, or the condition.
#[derive(Debug, thiserror::Error, Diagnostic)]
enum ExportStopped {
    #[error(transparent)]
    Export(#[from] ExportError),
    #[error(transparent)]
    #[diagnostic(transparent)]
    Filter(#[from] FilterError),
}

fn export_answers(args: &Export, config: &Config, common: &Common) -> Result<Exit> {
    let filter = args.filter.as_deref().map(Filter::<AnswerLine>::new).transpose()?;
    let reader = Reader::open(&config.paths.store).into_diagnostic()?;
    let answers = export::<ExportStopped>(&reader, &args.file, |line| match &filter {
        Some(filter) => Ok(filter.matches(line)?),
        None => Ok(true),
    })?;
    let size = std::fs::metadata(&args.file).into_diagnostic()?.len();
    if common.json {
        print_json(&json!({ "file": args.file, "answers": answers, "bytes": size }))?;
    } else if !common.quiet {
        say!("wrote {} to {}, {}", plural(answers, "answer"), args.file.display(), bytes(size));
    }
    Ok(Exit::Done)
}

fn merge_files(args: &Merge, config: &Config, common: &Common) -> Result<Exit> {
    let mut done: Vec<(&Path, Merged)> = Vec::new();
    for file in &args.files {
        let merged = merge(&config.paths.store, file).into_diagnostic()?;
        if !common.json && !common.quiet {
            say!("{}: {}", file.display(), in_words(&merged));
        }
        done.push((file, merged));
    }
    if common.json {
        let files: Vec<_> = done.iter().map(|(file, merged)| json!({ "file": file, "merged": merged })).collect();
        print_json(&json!({ "store": config.paths.store, "files": files }))?;
    }
    // What could not be read is lost: whoever runs this in a script shall notice.
    Ok(if done.iter().any(|(_, merged)| merged.damaged + merged.missing_bytes > 0) {
        Exit::Trouble
    } else {
        Exit::Done
    })
}

fn in_words(merged: &Merged) -> String {
    let Merged { added, known, conflicting, damaged, missing_bytes, evaluations, facts } = merged;
    let mut words = format!("{added} added, {known} known");
    let more = [
        (*conflicting, "other answers to requests that have one here, kept as superseded"),
        (*damaged, "damaged and left out"),
        (*evaluations, "evaluations added"),
        (*facts, "facts about models added"),
    ];
    for (count, what) in more.iter().filter(|(count, _)| *count > 0) {
        words.push_str(&format!(", {count} {what}"));
    }
    if *missing_bytes > 0 {
        let missing = bytes(*missing_bytes);
        words.push_str(&format!(
            "; {missing} of the file's end are missing, and nobody knows how many answers stood there"
        ));
    }
    words
}
