//! `sessions`: what the readers find, and what a rater would see.

use super::{Exit, UsageError, config, library, print, session_paths};
use interrater::cli::{Common, Sessions};
use interrater::config::Config;
use interrater::corpus::{self, Corpus};
use interrater::material;
use interrater::prompt::Prompter;
use interrater::report::sessions::{overview, skipped_lines, table};
use interrater::session::SessionId;
use interrater::unit::units;
use miette::{IntoDiagnostic, Result};

/// Lists sessions, or shows one unit's material.
pub fn run(args: &Sessions, common: &Common) -> Result<Exit> {
    let config = config(common)?;
    let corpus = corpus::find(&session_paths(&args.paths, &config)?)?;
    if let (Some(unit), Some(task)) = (&args.show, &args.task) {
        return show(&config, &corpus, unit, task);
    }
    let sessions =
        corpus.read_all(|session| session.summary()).into_iter().collect::<Result<Vec<_>, _>>().into_diagnostic()?;
    if common.json {
        let lines: Vec<String> =
            sessions.iter().map(serde_json::to_string).collect::<Result<_, _>>().into_diagnostic()?;
        print(&lines.iter().map(|line| format!("{line}\n")).collect::<String>())?;
    } else {
        print(&table(&sessions))?;
    }
    if !common.quiet {
        eprintln!("{}", overview(&sessions));
        skipped_lines(&corpus).iter().for_each(|line| eprintln!("{line}"));
    }
    Ok(Exit::Done)
}

/// Prints the messages that a model would get for the unit, and how much of the session they cover.
fn show(config: &Config, corpus: &Corpus, wanted: &str, task: &str) -> Result<Exit> {
    let library = library(config)?;
    let codebook = library.task(task)?;
    let id = SessionId::of_unit(wanted);
    let unknown = |prompts| UsageError::UnknownUnit { unit: wanted.to_owned(), task: task.to_owned(), prompts };
    let source = corpus.sources().iter().find(|source| source.id == id).ok_or_else(|| unknown(0))?;
    let session = corpus::read(source)?;
    let unit = units(&session, codebook.unit)
        .into_iter()
        .find(|unit| unit.id.as_str() == wanted)
        .ok_or_else(|| unknown(session.prompts().count()))?;
    let material = material::render(&session, &unit, &codebook.sees);
    let prompt = Prompter::new(&library, [codebook])?.render(task, &session, &unit, &material)?;
    let parts = prompt.system.iter().chain(prompt.parts.iter().map(|part| &part.text));
    print(&format!("{}\n", parts.cloned().collect::<Vec<_>>().join("\n\n")))?;
    eprintln!(
        "{unit}: {:.0} % of the text, {:.0} % of the prompts, about {} tokens",
        material.coverage.tokens * 100.0,
        material.coverage.prompts * 100.0,
        material::estimate_tokens(&material.text),
        unit = unit.id,
    );
    Ok(Exit::Done)
}
