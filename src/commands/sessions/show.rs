//! `sessions --show`: one session as a person reads it, or what a rater would see of a unit.

use crate::commands::pager::print_in_pages;
use crate::commands::{Exit, UsageError, environment, library, print_json, say};
use interrater::cli::{Common, Sessions, choice};
use interrater::codebook::UnitKind;
use interrater::config::{Config, Key};
use interrater::corpus::{Corpus, SessionSource};
use interrater::export::event_document;
use interrater::material;
use interrater::prompt::Prompter;
use interrater::redact::{self, Redactions};
use interrater::report::transcript::{View, transcript};
use interrater::session::{Session, SessionId};
use interrater::unit::{UnitId, units};
use miette::Result;
use serde_json::{Value, json};

/// Prints a session, or a prompt of it with what is around it.
pub fn session(config: &Config, corpus: &Corpus, wanted: &str, args: &Sessions, common: &Common) -> Result<Exit> {
    let redacted = choice(args.redact, args.no_redact).or(config.annotate.redact).unwrap_or(false);
    let (source, ordinal) = find(corpus, wanted)?;
    let (session, redactions) = redact::read(source, redacted)?;
    let mut view = match ordinal {
        None => View::whole(),
        Some(ordinal) => View::around(&session, ordinal)
            .ok_or_else(|| UsageError::UnknownPrompt { unit: wanted.to_owned(), hint: prompt_units(&session) })?,
    };
    let first = args.from.unwrap_or(if args.to.is_some() { 1 } else { *view.events.start() });
    let last = args.to.unwrap_or(if args.from.is_some() { u32::MAX } else { *view.events.end() });
    (view.events, view.full) = (first..=last, args.full);
    if common.json {
        let events: Vec<Value> = (session.events.iter().filter(|event| view.events.contains(&event.number)))
            .map(|event| event_document(&session, event))
            .collect();
        let redactions = redacted.then_some(&redactions);
        print_json(&json!({ "session": session.summary(), "events": events, "redactions": redactions }))?;
    } else {
        print_in_pages(&transcript(&session, &view), !args.no_pager)?;
    }
    if redacted && !common.quiet {
        say!("redacted in the session: {redactions}");
    }
    Ok(Exit::Done)
}

/// Prints the messages that a model would get for the unit, and how much of the session they cover.
pub fn material(
    config: &Config,
    corpus: &Corpus,
    wanted: &str,
    task: &str,
    args: &Sessions,
    common: &Common,
) -> Result<Exit> {
    let redacted = match choice(args.redact, args.no_redact).or(config.annotate.redact) {
        Some(choice) => choice,
        // A model that cannot be asked, for want of a key, is remote all the same.
        None => config
            .rater(&config.annotate.model.parse()?, None, &environment, Key::Optional)
            .map_or(true, |r| r.is_remote()),
    };
    let library = library(config)?;
    let codebook = library.task(task)?;
    let unknown = |hint: String| UsageError::UnknownUnit { unit: wanted.to_owned(), task: task.to_owned(), hint };
    let (source, ordinal) = match find(corpus, wanted) {
        Err(UsageError::UnknownSession(id)) => {
            let hint = format!("there is no session `{id}`; `interrater sessions` lists those that there are");
            return Err(unknown(hint).into());
        }
        found => found?,
    };
    let (session, redactions) = redact::read(source, redacted)?;
    let id = match ordinal {
        Some(ordinal) => UnitId::of_prompt(&session.id, ordinal),
        None => UnitId::from_text(session.id.as_str()),
    };
    let unit = units(&session, codebook.unit).into_iter().find(|unit| unit.id == id).ok_or_else(|| {
        unknown(match codebook.unit {
            UnitKind::Session => format!("its units are sessions: `{}`", session.id),
            UnitKind::Prompt => prompt_units(&session),
        })
    })?;
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
        print_in_pages(&format!("{}\n", prompt.text()), !args.no_pager)?;
    }
    if !common.quiet {
        say!(
            "{unit}: {:.0} % of the text, {:.0} % of the prompts, about {tokens} tokens",
            material.coverage.tokens * 100.0,
            material.coverage.prompts * 100.0,
            unit = unit.id,
        );
        say_redactions(redacted, &redactions);
    }
    Ok(Exit::Done)
}

fn say_redactions(redacted: bool, redactions: &Redactions) {
    match redacted {
        true => say!("redacted in the session: {redactions}"),
        false => say!("not redacted; --redact shows what a model elsewhere would see"),
    }
}

fn prompt_units(session: &Session) -> String {
    let id = &session.id;
    match session.prompts().count() {
        0 => "its units are prompts, and this session has none".to_owned(),
        last => format!("its units are prompts: `{id}#1` to `{id}#{last}`"),
    }
}

/// The session that an id, or the beginning of one, means; with a prompt's ordinal if the id has one.
fn find<'c>(corpus: &'c Corpus, wanted: &str) -> Result<(&'c SessionSource, Option<u32>), UsageError> {
    const NAMED: usize = 5;
    let id = SessionId::of_unit(wanted);
    let ordinal = wanted[id.as_str().len()..].strip_prefix('#').and_then(|ordinal| ordinal.parse().ok());
    let exact = |id: &str| corpus.sources().iter().find(|source| source.id.as_str() == id);
    // Some agents' own ids may end like a unit's.
    if let Some(source) = exact(wanted) {
        return Ok((source, None));
    }
    if let Some(source) = exact(id.as_str()) {
        return Ok((source, ordinal));
    }
    let begun: Vec<&SessionSource> =
        corpus.sources().iter().filter(|source| source.id.as_str().starts_with(id.as_str())).collect();
    match begun.as_slice() {
        [source] => Ok((source, ordinal)),
        [] => Err(UsageError::UnknownSession(id.to_string())),
        several => {
            let names: Vec<&str> = several.iter().take(NAMED).map(|source| source.id.as_str()).collect();
            let more = if several.len() > NAMED { ", …" } else { "" };
            Err(UsageError::SeveralSessions {
                session: id.to_string(),
                count: several.len(),
                names: format!("{}{more}", names.join(", ")),
            })
        }
    }
}
