//! `cache why`: asks the store as `annotate` would, and explains what it says.

use super::open;
use crate::commands::unit::{source_of, unit_of};
use crate::commands::{Exit, UsageError, environment, library, print, print_json, session_paths};
use interrater::cli::cache::Why;
use interrater::cli::{Common, choice};
use interrater::codebook::group::prompts_at_once;
use interrater::codebook::{Codebook, UnitKind};
use interrater::config::{Config, Key, Model, ModelName, Rater};
use interrater::corpus::{self, Corpus};
use interrater::engine::annotate::{material_hash, subject};
use interrater::engine::ask::request_key;
use interrater::engine::group;
use interrater::material::{self, Renderer};
use interrater::prompt::{Prompt, Prompter};
use interrater::redact;
use interrater::report::why::{Asked, Change, Found, Told, told_text};
use interrater::store::why::{Difference, Neighbourhood, Wanted, same};
use interrater::store::{Entry, Reader, RequestParts, Subject};
use interrater::unit::{UnitId, units};
use miette::{IntoDiagnostic, Result};

/// What a unit's request is made of, under one choice of redaction.
struct Rendered {
    prompt: Prompt,
    subject: Subject,
}

pub(super) fn run(args: &Why, config: &Config, common: &Common) -> Result<Exit> {
    let name: ModelName = args.model.as_deref().unwrap_or(&config.annotate.model).parse()?;
    // Nobody is asked, so no key is needed.
    let mut rater = config.rater(&name, args.base_url.as_deref(), &environment, Key::Optional)?;
    let redacted = choice(args.redact, args.no_redact).or(config.annotate.redact).unwrap_or(rater.is_remote());
    let library = library(config)?;
    let corpus = corpus::find(&session_paths(&args.sessions, config)?)?;
    let reader = open(&config.paths.store)?;
    let mut told = Vec::new();
    for codebook in codebooks(args, config, &library, &corpus)? {
        let Rater::Model(model) = &mut rater else {
            told.push(Told::nobody(&codebook.task, &args.unit, &name));
            continue;
        };
        model.max_output_tokens = args.max_output_tokens.or(model.max_output_tokens);
        let prompter = Prompter::new(&library, [codebook])?;
        // As `annotate` has it: the flag is for tasks whose codebook allows it.
        let most = (args.group.is_some() && codebook.group == Some(true))
            .then(|| prompts_at_once(codebook, model.max_output_tokens));
        let render = |redacted| render(&corpus, &prompter, codebook, &args.unit, most, redacted);
        let Some(rendered) = render(redacted)? else {
            told.push(Told::nothing_to_ask(&codebook.task, &args.unit, &name));
            continue;
        };
        for sample in 0..args.samples {
            let look = Look { reader: reader.as_ref(), model, codebook, args, sample };
            told.push(look.explain(&rendered, redacted, || render(!redacted))?);
        }
    }
    if common.json {
        print_json(&serde_json::json!({ "store": config.paths.store, "requests": told }))?;
    } else {
        print(&told_text(&told))?;
    }
    Ok(Exit::Done)
}

/// The task that was named, or those that have such a unit.
fn codebooks<'l>(
    args: &Why,
    config: &Config,
    library: &'l interrater::codebook::Library,
    corpus: &Corpus,
) -> Result<Vec<&'l Codebook>> {
    if let Some(task) = &args.task {
        return Ok(vec![library.task(task)?]);
    }
    let all: Vec<&Codebook> = match config.annotate.tasks.as_slice() {
        [] => library.codebooks().iter().collect(),
        tasks => tasks.iter().map(|task| library.task(task)).collect::<Result<_, _>>()?,
    };
    let (session, _) = redact::read(source_of(corpus, &args.unit, "any")?, false).into_diagnostic()?;
    let mut missed: Option<UsageError> = None;
    let mut chosen = Vec::new();
    for codebook in all {
        match unit_of(&session, codebook, &args.unit) {
            Ok(_) => chosen.push(codebook),
            Err(error) => missed = missed.or(Some(error)),
        }
    }
    match missed {
        Some(error) if chosen.is_empty() => Err(error.into()),
        _ => Ok(chosen),
    }
}

/// The unit's own request, or that of its group of at most `most` prompts.
fn render(
    corpus: &Corpus,
    prompter: &Prompter,
    codebook: &Codebook,
    unit: &str,
    most: Option<usize>,
    redacted: bool,
) -> Result<Option<Rendered>> {
    let (session, _) = redact::read(source_of(corpus, unit, &codebook.task)?, redacted).into_diagnostic()?;
    let unit = unit_of(&session, codebook, unit)?;
    if session.prompts().next().is_none() {
        return Ok(None);
    }
    if let Some(most) = most {
        let all = units(&session, codebook.unit);
        let mut groups = Renderer::new(&session, &codebook.sees).groups(&all, most).into_iter();
        let Some(group) = groups.find(|group| all[group.units.clone()].contains(&unit)) else { return Ok(None) };
        if group.units.len() > 1 {
            let subject = group::subject(codebook, &session.id, material_hash(&group.material.text));
            let prompt = prompter.render_group(&codebook.task, &all[group.units], &group.material)?;
            return Ok(Some(Rendered { prompt, subject }));
        }
    }
    let material = material::render(&session, &unit, &codebook.sees);
    let subject = subject(codebook, &unit, material_hash(&material.text));
    Ok(Some(Rendered { prompt: prompter.render(&codebook.task, &session, &unit, &material)?, subject }))
}

/// One request that is looked for.
struct Look<'a> {
    reader: Option<&'a Reader>,
    model: &'a Model,
    codebook: &'a Codebook,
    args: &'a Why,
    sample: u32,
}

impl Look<'_> {
    fn parts(&self, prompt: &Prompt) -> (interrater::store::RequestKey, RequestParts) {
        let model = self.model;
        let request = prompt.request(&model.name.model, self.args.temperature, model.max_output_tokens, self.sample);
        request_key(model, &request)
    }

    fn explain(
        &self,
        rendered: &Rendered,
        redacted: bool,
        otherwise: impl Fn() -> Result<Option<Rendered>>,
    ) -> Result<Told> {
        let (key, parts) = self.parts(&rendered.prompt);
        let found = match self.reader {
            Some(reader) => reader.get(&key).into_diagnostic()?,
            None => None,
        };
        let near = |subject: &Subject| match (self.reader, &found) {
            (Some(reader), None) => reader
                .nearest(&Wanted {
                    provider: &self.model.name.provider,
                    model: &self.model.name.model,
                    endpoint: &self.model.endpoint.base_url,
                    task: &self.codebook.task,
                    subject,
                    parts: &parts,
                })
                .into_diagnostic(),
            _ => Ok(Neighbourhood { nearest: Vec::new(), of_unit: 0, without_unit: 0, of_task: 0 }),
        };
        let session = UnitId::from_text(rendered.subject.unit.session().to_string());
        let of_groups = match self.codebook.unit == UnitKind::Prompt && rendered.subject.unit != session {
            true => near(&Subject { unit: session, ..rendered.subject.clone() })?.of_unit,
            false => 0,
        };
        let near = near(&rendered.subject)?;
        let mut told = Told {
            unit: UnitId::from_text(&self.args.unit),
            task: self.codebook.task.clone(),
            model: self.model.name.to_string(),
            sample: self.sample,
            asked: Asked::Model {
                key: key.to_string(),
                endpoint: self.model.endpoint.base_url.clone(),
                found: found.map(|stored| Found::of(&stored)),
            },
            nearest: Vec::new(),
            of_unit: near.of_unit,
            without_unit: near.without_unit,
            of_task: near.of_task,
            of_groups,
        };
        let other_words = |entry: &Entry| -> Result<bool> {
            let Some(rendered) = otherwise()? else { return Ok(false) };
            Ok(same(&self.parts(&rendered.prompt).1.turns, &entry.parts.turns))
        };
        for near in near.nearest {
            let is_text =
                |one: &Difference| matches!(one, Difference::Material | Difference::Words | Difference::Turns);
            // Whether it is the redaction can be tried, and then is no guess.
            let redaction = near.differences.iter().any(is_text) && other_words(&near.entry)?;
            let mut changes: Vec<Change> = Vec::new();
            if redaction {
                changes.push(Change::redaction(redacted));
            }
            let rest = near.differences.iter().filter(|one| !(redaction && is_text(one)));
            changes.extend(rest.map(|one| Change::of(one, &near.entry, &parts, &rendered.subject, self.model)));
            told.near(&near.entry, changes);
        }
        Ok(told)
    }
}
