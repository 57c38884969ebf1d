//! What a job would ask, before it asks anything: units, tokens, cost as an interval, one rendered prompt.

use crate::codebook::CodebookError;
use crate::engine::Plan;
use crate::llm::price::Price;
use crate::material::{Renderer, estimate_tokens};
use crate::prompt::Prompter;
use crate::redact::{self, Redactions};
use crate::session::ReadError;
use crate::unit::units;
use crate::usage::Usage;
use miette::Diagnostic;
use serde::Serialize;
use std::fmt;

/// A tokenizer's count lies within these multiples of the estimate for prose, code and logs; CJK text may lie outside.
const TOKENS_LOW: f64 = 0.75;
const TOKENS_HIGH: f64 = 1.35;
/// Output tokens of one answer: a bare label, and a long reason with evidence or some reasoning.
const OUTPUT_LOW: u64 = 40;
const OUTPUT_HIGH: u64 = 1_200;

/// Why there is no forecast.
#[derive(Debug, thiserror::Error, Diagnostic)]
pub enum ForecastError {
    /// A prompt cannot be rendered.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Codebook(#[from] CodebookError),
    /// A session cannot be read.
    #[error(transparent)]
    Session(#[from] ReadError),
}

/// What a job would ask.
#[derive(Debug, Serialize)]
pub struct Forecast {
    /// A line a task.
    pub tasks: Vec<TaskForecast>,
    /// The first prompt, as a model would get it.
    pub prompt: Option<String>,
    /// Whether anyone would be asked.
    pub asks: bool,
    /// What is replaced in the sessions, by kind; `None` where they are shown as they are.
    pub redactions: Option<Redactions>,
}

/// What one task would ask.
#[derive(Debug, Serialize)]
pub struct TaskForecast {
    /// The task.
    pub task: String,
    /// Requests, if each is answered at once.
    pub requests: usize,
    /// Prompt tokens: low, expected, high.
    pub input_tokens: (u64, u64, u64),
    /// Output tokens: low, high.
    pub output_tokens: (u64, u64),
    /// Cost in US dollars without any prompt cache: low, high. `None` where no price is known.
    pub cost_usd: Option<(f64, f64)>,
}

/// Renders every prompt of `plan` and adds them up.
pub fn forecast(
    plan: &Plan,
    asks: bool,
    price: Option<&Price>,
    samples: u32,
    redacted: bool,
) -> Result<Forecast, ForecastError> {
    let prompter = Prompter::new(&plan.library, plan.tasks.iter().map(|task| &*task.codebook))?;
    let mut tasks: Vec<TaskForecast> =
        plan.tasks.iter().map(|task| TaskForecast::begin(&task.codebook.task, price)).collect();
    let mut first = None;
    let mut redactions = redacted.then(Redactions::default);
    for (at, source) in plan.corpus.sources().iter().enumerate() {
        if !plan.tasks.iter().any(|task| task.selection.touches(at)) {
            continue;
        }
        let (session, replaced) = redact::read(source, redacted)?;
        if let Some(redactions) = &mut redactions {
            redactions.absorb(&replaced);
        }
        if session.prompts().next().is_none() {
            continue;
        }
        for (task, total) in plan.tasks.iter().zip(&mut tasks) {
            let renderer = Renderer::new(&session, &task.codebook.sees);
            let chosen = units(&session, task.codebook.unit).into_iter().enumerate();
            for (_, unit) in chosen.filter(|(nth, _)| task.selection.holds(at, *nth)) {
                let material = renderer.material(&unit);
                let prompt = prompter.render(&task.codebook.task, &session, &unit, &material)?;
                let text = prompt.text();
                let tokens = estimate_tokens(&text) + estimate_tokens(&prompt.schema.json.to_string());
                for _ in 0..samples {
                    total.add(tokens, price);
                }
                first.get_or_insert(text);
            }
        }
    }
    Ok(Forecast { tasks, prompt: first, asks, redactions })
}

impl TaskForecast {
    /// A forecast of no requests.
    pub fn begin(task: &str, price: Option<&Price>) -> TaskForecast {
        TaskForecast {
            task: task.to_owned(),
            requests: 0,
            input_tokens: (0, 0, 0),
            output_tokens: (0, 0),
            cost_usd: price.map(|_| (0.0, 0.0)),
        }
    }

    /// Adds a request of about so many prompt tokens.
    pub fn add(&mut self, tokens: u64, price: Option<&Price>) {
        let (low, high) = ((tokens as f64 * TOKENS_LOW) as u64, (tokens as f64 * TOKENS_HIGH) as u64);
        self.requests += 1;
        let (input, output) = (&mut self.input_tokens, &mut self.output_tokens);
        (input.0, input.1, input.2) = (input.0 + low, input.1 + tokens, input.2 + high);
        (output.0, output.1) = (output.0 + OUTPUT_LOW, output.1 + OUTPUT_HIGH);
        if let (Some(cost), Some(price)) = (&mut self.cost_usd, price) {
            let of = |input, output| price.cost(&Usage { input, output, ..Usage::default() });
            (cost.0, cost.1) = (cost.0 + of(low, OUTPUT_LOW), cost.1 + of(high, OUTPUT_HIGH));
        }
    }
}

impl fmt::Display for Forecast {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(prompt) = &self.prompt {
            writeln!(f, "The first prompt:\n\n{prompt}\n")?;
        }
        for task in &self.tasks {
            let (low, expected, high) = task.input_tokens;
            let cost = match task.cost_usd {
                Some((low, high)) => format!("${low:.2} to ${high:.2} without a prompt cache"),
                None if self.asks => "cost unknown: no [price] in the configuration".to_owned(),
                None => "$0.00: nobody is asked".to_owned(),
            };
            writeln!(
                f,
                "{}: {} requests, about {expected} input tokens ({low} to {high}), {} to {} output tokens, {cost}",
                task.task, task.requests, task.output_tokens.0, task.output_tokens.1
            )?;
        }
        Ok(())
    }
}
