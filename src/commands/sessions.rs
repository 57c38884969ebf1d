//! `sessions`: what the readers find, and what a rater would see.

use super::unit::{source_of, unit_of};
use super::{Exit, config, environment, library, print, print_json, say, session_paths};
use interrater::cli::{Common, Sessions, choice};
use interrater::config::{Config, Key};
use interrater::corpus::{self, Corpus};
use interrater::filter::Filter;
use interrater::material;
use interrater::prompt::Prompter;
use interrater::redact;
use interrater::report::sessions::{overview, repository_lines, skipped_lines, table};
use miette::{IntoDiagnostic, Result};
use serde_json::json;

/// Lists sessions, or shows one unit's material.
pub fn run(args: &Sessions, common: &Common) -> Result<Exit> {
    let config = config(common)?;
    let filter = args.filter.as_deref().map(Filter::new).transpose()?;
    let corpus = corpus::find(&session_paths(&args.paths, &config)?)?;
    if let (Some(unit), Some(task)) = (&args.show, &args.task) {
        let redacted = match choice(args.redact, args.no_redact).or(config.annotate.redact) {
            Some(choice) => choice,
            // A model that cannot be asked, for want of a key, is remote all the same.
            None => config
                .rater(&config.annotate.model.parse()?, None, &environment, Key::Optional)
                .map_or(true, |r| r.is_remote()),
        };
        return show(&config, &corpus, unit, task, redacted, common);
    }
    let mut sessions =
        corpus.read_all(|session| session.summary()).into_iter().collect::<Result<Vec<_>, _>>().into_diagnostic()?;
    if let Some(filter) = &filter {
        filter.retain(&mut sessions)?;
    }
    if common.json {
        let lines: Vec<String> =
            sessions.iter().map(serde_json::to_string).collect::<Result<_, _>>().into_diagnostic()?;
        print(&lines.iter().map(|line| format!("{line}\n")).collect::<String>())?;
    } else {
        print(&table(&sessions))?;
    }
    if !common.quiet {
        say!("{}", overview(&sessions));
        repository_lines(&corpus).iter().chain(&skipped_lines(&corpus)).for_each(|line| say!("{line}"));
    }
    Ok(Exit::Done)
}

/// Prints the messages that a model would get for the unit, and how much of the session they cover.
fn show(config: &Config, corpus: &Corpus, wanted: &str, task: &str, redacted: bool, common: &Common) -> Result<Exit> {
    let library = library(config)?;
    let codebook = library.task(task)?;
    let (session, redactions) = redact::read(source_of(corpus, wanted, task)?, redacted)?;
    let unit = unit_of(&session, codebook, wanted)?;
    let material = material::render(&session, &unit, &codebook.sees);
    let prompt = Prompter::new(&library, [codebook])?.render(task, &session, &unit, &material)?;
    let tokens = material::estimate_tokens(&material.text);
    let parts: Vec<&str> = prompt.parts.iter().map(|part| part.text.as_str()).collect();
    if common.json {
        print_json(&json!({
            "unit": unit.id, "task": task, "coverage": material.coverage, "material_tokens": tokens, "events": material.shown,
            "redactions": redacted.then_some(&redactions), "system": prompt.system, "parts": parts, "schema": prompt.schema.json,
        }))?;
    } else {
        print(&format!("{}\n", prompt.text()))?;
    }
    if !common.quiet {
        say!(
            "{unit}: {:.0} % of the text, {:.0} % of the prompts, about {tokens} tokens",
            material.coverage.tokens * 100.0,
            material.coverage.prompts * 100.0,
            unit = unit.id,
        );
        match redacted {
            true => say!("redacted in the session: {redactions}"),
            false => say!("not redacted; --redact shows what a model elsewhere would see"),
        }
    }
    Ok(Exit::Done)
}
