//! `cache prune`: says what goes, and deletes it if told to.

use super::open;
use crate::commands::{Exit, Unconfirmed, UsageError, print, print_json, say};
use interrater::cli::Common;
use interrater::cli::cache::Prune;
use interrater::config::Config;
use interrater::report::cache::{bytes, cost, tallies};
use interrater::report::plural;
use interrater::reuse::References;
use interrater::run::Run;
use interrater::store::prune::{Selection, delete};
use interrater::store::tally::Tally;
use interrater::store::{Entry, StoreError, size_on_disk};
use jiff::{Span, Timestamp, Zoned};
use miette::{IntoDiagnostic, Result};
use serde::Serialize;
use std::collections::BTreeMap;

/// What goes, and what stays although it was meant.
#[derive(Debug, Default, Serialize)]
struct Pruning {
    dry_run: bool,
    /// Whether it is gone.
    deleted: bool,
    /// What goes.
    #[serde(flatten)]
    total: Tally,
    /// What goes, by the run that paid.
    run: BTreeMap<String, Tally>,
    /// What stays since runs refer to it.
    kept: Tally,
    bytes_on_disk: u64,
    #[serde(skip)]
    ids: Vec<i64>,
}

pub(super) fn run(args: &Prune, config: &Config, common: &Common) -> Result<Exit> {
    let selection = Selection {
        before: args.older_than.as_deref().map(before).transpose()?,
        superseded: args.superseded,
        runs: args.run.clone(),
        models: args.model.clone(),
        tasks: args.task.clone(),
    };
    let store = &config.paths.store;
    let mut pruning = choose(&selection, args.force, config)?;
    pruning.dry_run = args.dry_run;
    let before = size_on_disk(store);
    let mut not_smaller = None;
    if args.yes && !pruning.ids.is_empty() {
        // Said before it is done, so that it is known also where this ends amid it.
        tell(&pruning, "deleting", common)?;
        not_smaller = delete(store, &pruning.ids).into_diagnostic()?.not_smaller;
        pruning.deleted = true;
    } else {
        tell(&pruning, "would delete", common)?;
    }
    pruning.bytes_on_disk = size_on_disk(store);
    if common.json {
        print_json(&pruning)?;
    }
    if let Some(error) = not_smaller {
        say!("warning: the answers are gone, but the file has not become smaller: {error}");
    } else if pruning.deleted && !common.quiet {
        say!("the store took {} and now takes {}", bytes(before), bytes(pruning.bytes_on_disk));
    }
    match pruning.deleted || args.dry_run || pruning.ids.is_empty() {
        true => Ok(Exit::Done),
        false => Err(Unconfirmed.into()),
    }
}

/// The moment that was so long ago.
fn before(age: &str) -> Result<Timestamp, UsageError> {
    let wrong = || UsageError::Age(age.to_owned());
    let span: Span = age.parse().map_err(|_| wrong())?;
    if !span.is_positive() {
        return Err(wrong());
    }
    Ok(Zoned::now().checked_sub(span).map_err(|_| wrong())?.timestamp())
}

fn choose(selection: &Selection, force: bool, config: &Config) -> Result<Pruning> {
    let mut pruning = Pruning::default();
    let Some(reader) = open(&config.paths.store)? else { return Ok(pruning) };
    let references = match force {
        true => References::default(),
        false => References::of(&Run::list(&config.paths.runs)?)?,
    };
    let look = |entry: Entry| {
        if selection.takes(&entry) {
            let price = config.price.of(&entry.model_name());
            if references.hold(&entry) {
                pruning.kept.add(&entry, price);
            } else {
                pruning.total.add(&entry, price);
                pruning.run.entry(entry.run.clone()).or_default().add(&entry, price);
                pruning.ids.push(entry.id);
            }
        }
        Ok::<(), StoreError>(())
    };
    reader.entries(look).into_diagnostic()?;
    Ok(pruning)
}

fn tell(pruning: &Pruning, verb: &str, common: &Common) -> Result<()> {
    if common.json {
        return Ok(());
    }
    let Tally { answers, body_bytes, cost_usd, cost_unknown, .. } = &pruning.total;
    if *answers > 0 {
        let paid = cost(*cost_usd, *cost_unknown, "answer");
        print(&format!(
            "{verb} {}, {} of text, paid with {paid}:\n\n{}",
            plural(*answers, "answer"),
            bytes(*body_bytes),
            tallies("run", &pruning.run)
        ))?;
    } else if !common.quiet {
        say!("there is nothing to delete");
    }
    if pruning.kept.answers > 0 && !common.quiet {
        let kept = plural(pruning.kept.answers, "answer");
        say!(
            "kept: {kept} that existing runs refer to; with --force they go as well, and repeating those runs pays again"
        );
    }
    Ok(())
}
