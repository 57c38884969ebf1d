//! What a job would ask, before it asks anything: requests, tokens, cost as an interval, one rendered prompt.
//!
//! A job is prepared as it would be run, and nobody is asked: so what is stored is not counted again, and prompts that share a request are
//! counted as one.

mod learnt;

pub use learnt::{Between, Learnt};

use crate::codebook::{Codebook, UnitKind};
use crate::config::{Model, Rater};
use crate::engine::prepare::{Headway, Prepared, Preparing};
use crate::engine::recall::Recall;
use crate::engine::{self, EngineError, Plan, Refresh};
use crate::llm::price::Price;
use crate::material::Renderer;
use crate::prompt::Prompter;
use crate::redact::{self, Redactions};
use crate::run::Settings;
use crate::store::{Reader, StoreError, is_new};
use crate::unit::units;
use crate::usage::Usage;
use serde::Serialize;
use std::fmt;
use std::path::Path;
use std::sync::Arc;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// Answers that are looked at to learn how a model counts: the latest ones.
const LEARNT_FROM: usize = 2_000;
/// Hand-overs of prepared units that may wait.
const HANDED_OVER: usize = 64;

/// What a job would ask.
#[derive(Debug, Serialize)]
pub struct Forecast {
    /// A line a task.
    pub tasks: Vec<TaskForecast>,
    /// The first prompt, as a model would get it.
    pub prompt: Option<String>,
    /// Whether anyone would be asked.
    pub asks: bool,
    /// Answers of this model from which the intervals were learnt; `None` where they are those of any model.
    pub learnt_from: Option<usize>,
    /// What is replaced in the sessions, by kind; `None` where they are shown as they are.
    pub redactions: Option<Redactions>,
}

/// What one task would ask.
#[derive(Debug, Serialize)]
pub struct TaskForecast {
    /// The task.
    pub task: String,
    /// What it asks about.
    #[serde(skip)]
    unit: UnitKind,
    /// Rows that need no request: their answers are stored, or there is nothing to ask.
    pub known: usize,
    /// Requests, if each is answered at once.
    pub requests: usize,
    /// Answers: those of a request for several prompts are counted each.
    pub answers: usize,
    /// Prompt tokens: low, expected, high.
    pub input_tokens: Between<u64>,
    /// Output tokens: low, expected, high.
    pub output_tokens: Between<u64>,
    /// Whether output tokens are what answers to this task took, rather than a guess.
    pub output_learnt: bool,
    /// Cost in US dollars: low, expected, high. The highest is without a prompt cache, and with all of it written to one where that costs
    /// more. `None` where no price is known.
    pub cost_usd: Option<Between<f64>>,
}

/// Prepares all of `plan` and adds up what would be asked, on `threads` threads. `store` need not be there.
///
/// # Errors
/// A session or the store cannot be read, or a prompt cannot be rendered.
pub fn forecast(
    plan: Plan,
    rater: &Rater,
    settings: &Settings,
    refresh: Refresh,
    store: &Path,
    threads: usize,
) -> Result<Forecast, EngineError> {
    let model = match rater {
        Rater::Model(model) => Some(&**model),
        Rater::Cues | Rater::Majority | Rater::Labels => None,
    };
    let learnt = model.map(|model| learn(model, store)).transpose()?.unwrap_or_default();
    let price = model.and_then(|model| model.price.as_ref());
    let mut tasks: Vec<TaskForecast> =
        plan.tasks.iter().map(|task| TaskForecast::begin(&task.codebook, price)).collect();
    let plan = Arc::new(plan);
    let contexts = Arc::new(engine::contexts(&plan, settings));
    let recall = model.map(|model| Recall::reading(model.clone(), store)).transpose()?.map(Arc::new);
    let preparing = Preparing {
        plan: plan.clone(),
        contexts: contexts.clone(),
        rater: rater.clone(),
        recall,
        refresh,
        wind_down: CancellationToken::new(),
        samples: settings.samples.max(1),
        redacted: settings.redacted,
        headway: Arc::new(Headway::default()),
    };
    let (sender, mut prepared) = mpsc::channel(HANDED_OVER);
    let mut first: Option<((usize, usize), String)> = None;
    let replaced = std::thread::scope(|scope| {
        let preparation = scope.spawn(move || preparing.run(threads, &sender));
        while let Some(units) = prepared.blocking_recv() {
            for unit in units {
                let (place, answers, request, parts) = match unit {
                    Prepared::Row { task, .. } => {
                        tasks[task].known += 1;
                        continue;
                    }
                    Prepared::Gone { .. } => continue,
                    Prepared::Ask(question) => {
                        ((question.work.task, question.work.position), 1, question.request, question.parts)
                    }
                    Prepared::Group(group) => {
                        let position = group.works.first().map_or(0, |work| work.position);
                        ((group.task(), position), group.works.len(), group.request, group.parts)
                    }
                };
                tasks[place.0].add(parts.bytes.unwrap_or(0), answers, &learnt, price);
                if first.as_ref().is_none_or(|(first, _)| place < *first) {
                    first = Some((place, request.text()));
                }
            }
        }
        preparation.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    });
    let redactions = replaced?.pop().filter(|_| settings.redacted);
    let prompt = match first {
        Some((_, text)) => Some(text),
        None if rater.sees() => first_prompt(&plan, settings.redacted)?,
        None => None,
    };
    Ok(Forecast { tasks, prompt, asks: model.is_some(), learnt_from: learnt.answers(), redactions })
}

/// How the model has counted so far.
pub fn learn(model: &Model, store: &Path) -> Result<Learnt, StoreError> {
    if is_new(store) {
        return Ok(Learnt::default());
    }
    let name = &model.name;
    Ok(Learnt::of(&Reader::open(store)?.sizes(&name.provider, &model.endpoint.base_url, &name.model, LEARNT_FROM)?))
}

/// The prompt of the first unit that there is, where nobody would be asked.
fn first_prompt(plan: &Plan, redacted: bool) -> Result<Option<String>, EngineError> {
    let prompter = Prompter::new(&plan.library, plan.tasks.iter().map(|task| &*task.codebook))?;
    for (at, source) in plan.corpus.sources().iter().enumerate() {
        let Some(task) = plan.tasks.iter().find(|task| task.selection.touches(at)) else { continue };
        let (session, _) = redact::read(source, redacted)?;
        let chosen = units(&session, task.codebook.unit).into_iter().enumerate();
        let first = chosen.filter(|(nth, _)| task.selection.holds(at, *nth)).map(|(_, unit)| unit).next();
        if let Some(unit) = first.filter(|_| session.prompts().next().is_some()) {
            let material = Renderer::new(&session, &task.codebook.sees).material(&unit);
            return Ok(Some(prompter.render(&task.codebook.task, &session, &unit, &material)?.text()));
        }
    }
    Ok(None)
}

impl TaskForecast {
    /// A forecast of no requests.
    pub fn begin(codebook: &Codebook, price: Option<&Price>) -> TaskForecast {
        TaskForecast {
            task: codebook.task.clone(),
            unit: codebook.unit,
            known: 0,
            requests: 0,
            answers: 0,
            input_tokens: Between::default(),
            output_tokens: Between::default(),
            output_learnt: false,
            cost_usd: price.map(|_| Between::default()),
        }
    }

    /// Adds a request of so many bytes, for so many answers.
    pub fn add(&mut self, bytes: u64, answers: usize, learnt: &Learnt, price: Option<&Price>) {
        let input = learnt.input(bytes);
        let is_prompt = self.unit == UnitKind::Prompt;
        let output = learnt.output(&self.task, is_prompt, answers);
        self.output_learnt = learnt.knows_output(&self.task, is_prompt);
        self.requests += 1;
        self.answers += answers;
        self.input_tokens += input;
        self.output_tokens += output;
        if let (Some(cost), Some(price)) = (&mut self.cost_usd, price) {
            let of = |prompt: Usage, output| price.cost(&Usage { output, ..prompt });
            let plain = of(Usage { input: input.2, ..Usage::default() }, output.2);
            let written = of(Usage { cache_write: input.2, ..Usage::default() }, output.2);
            *cost +=
                Between(of(learnt.booked(input.0), output.0), of(learnt.booked(input.1), output.1), plain.max(written));
        }
    }
}

impl fmt::Display for Forecast {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(prompt) = &self.prompt {
            writeln!(f, "The first prompt:\n\n{prompt}\n")?;
        }
        for task in &self.tasks {
            let TaskForecast {
                task,
                known,
                requests,
                answers,
                input_tokens,
                output_tokens,
                output_learnt: _,
                cost_usd,
                unit: _,
            } = task;
            if !self.asks {
                writeln!(f, "{task}: {known} units, $0.00: nobody is asked")?;
                continue;
            }
            let stored = if *known > 0 { format!(", {known} units known without one") } else { String::new() };
            let each = if answers > requests { format!(" for {answers} answers") } else { String::new() };
            let cost = match cost_usd {
                Some(Between(low, expected, high)) => {
                    let usd = |cost: f64| crate::report::dollars(Some(cost));
                    format!("about {} ({} to {})", usd(*expected), usd(*low), usd(*high))
                }
                None => "cost unknown: no [price] in the configuration".to_owned(),
            };
            writeln!(
                f,
                "{task}: {requests} requests{each}{stored}, about {} input tokens ({} to {}), {} output tokens ({} to {}), {cost}",
                input_tokens.1, input_tokens.0, input_tokens.2, output_tokens.1, output_tokens.0, output_tokens.2
            )?;
        }
        match self.learnt_from {
            Some(answers) => {
                writeln!(
                    f,
                    "The intervals are what {answers} stored answers of this model lay within, 9 of 10 of them."
                )?;
                let asked = self.tasks.iter().filter(|task| task.requests > 0 && !task.output_learnt);
                let unknown: Vec<&str> = asked.map(|task| task.task.as_str()).collect();
                match unknown.is_empty() {
                    true => Ok(()),
                    false => writeln!(
                        f,
                        "Output tokens of {} are a guess that holds for any model: too few answers to that are stored.",
                        unknown.join(", ")
                    ),
                }
            }
            None if self.asks => writeln!(
                f,
                "The intervals are wide: they hold for any model. With 20 stored answers of this one they are learnt from those."
            ),
            None => Ok(()),
        }
    }
}
