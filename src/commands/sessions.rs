//! `sessions`: what the readers find, one session to read, and tables of all.

mod export;
mod show;

use super::pager::{self, print_in_pages};
use super::{Exit, UsageError, config, print_json, print_json_lines, say, session_paths};
use interrater::cli::{Common, Sessions, SessionsVerb};
use interrater::config::Config;
use interrater::corpus::{self, Corpus, CorpusError};
use interrater::filter::Filter;
use interrater::report::listing::{listing, sort};
use interrater::report::sessions::{overview, repository_lines, skipped_lines};
use interrater::report::totals::{Totals, totals_table};
use interrater::session::{SessionId, SessionSummary};
use miette::Result;

/// Lists sessions, shows one, or exports them.
pub fn run(args: &Sessions, common: &Common) -> Result<Exit> {
    let config = config(common)?;
    if let Some(SessionsVerb::Export(args)) = &args.verb {
        return export::run(args, &config, common);
    }
    let mut corpus = find(&args.paths, &config)?;
    match (&args.show, &args.task) {
        (Some(unit), Some(task)) => show::material(&config, &corpus, unit, task, args, common),
        (Some(unit), None) => show::session(&config, &corpus, unit, args, common),
        (None, _) => list(&mut corpus, args, common),
    }
}

/// Finds what was named, or what the configuration names.
fn find(paths: &[String], config: &Config) -> Result<Corpus> {
    match corpus::find(&session_paths(paths, config)?) {
        // Options before a subcommand make it a path, and there is hardly ever a folder of that name.
        Err(CorpusError::Missing { path }) if path.as_os_str() == "export" => Err(UsageError::ExportComesFirst.into()),
        found => Ok(found?),
    }
}

fn list(corpus: &mut Corpus, args: &Sessions, common: &Common) -> Result<Exit> {
    let filter = args.filter.as_deref().map(Filter::new).transpose()?;
    let mut sessions = corpus.survey(|session| session.summary())?;
    if let Some(filter) = &filter {
        filter.retain(&mut sessions)?;
    }
    match (args.sort, args.reverse) {
        (Some(column), reverse) => sort(&mut sessions, column, reverse),
        (None, true) => sessions.reverse(),
        (None, false) => {}
    }
    let listed = args.limit.map_or(sessions.len(), |limit| (limit as usize).min(sessions.len()));
    let mut left_out = Vec::new();
    match (common.json, args.totals) {
        (true, true) => print_json(&Totals::of(&sessions))?,
        (true, false) => print_json_lines(&sessions[..listed])?,
        (false, true) => print_in_pages(&totals_table(&Totals::of(&sessions), pager::width()), !args.no_pager)?,
        (false, false) => {
            let ids: Vec<&SessionId> = corpus.sources().iter().map(|source| &source.id).collect();
            let listing = listing(&sessions[..listed], &ids, pager::width());
            left_out = listing.left_out;
            print_in_pages(&with_totals(listing.text, &sessions), !args.no_pager)?;
        }
    }
    if !common.quiet {
        if !left_out.is_empty() {
            say!("no room on this terminal for: {}; `| cat` and --json show all", left_out.join(", "));
        }
        let some = if listed < sessions.len() { format!("; {listed} of them listed") } else { String::new() };
        say!("{}{some}", overview(&sessions));
        repository_lines(corpus).iter().chain(&skipped_lines(corpus)).for_each(|line| say!("{line}"));
    }
    Ok(Exit::Done)
}

/// The sums of one session are its own line.
fn with_totals(mut text: String, sessions: &[SessionSummary]) -> String {
    if sessions.len() > 1 {
        text.push('\n');
        text.push_str(&totals_table(&Totals::of(sessions), pager::width()));
    }
    text
}
