//! What is to be handed over: takes a plan and a model, gives one by one the requests that the store has no answer to.

use super::BatchError;
use crate::config::{Model, Rater};
use crate::engine::annotate::{Question, Refresh, RunContext, outstanding, subject};
use crate::engine::ask::Asker;
use crate::engine::prepare::{Headway, Prepared, Preparing, Replaced};
use crate::engine::{self, EngineError, Plan};
use crate::forecast::{Forecast, TaskForecast};
use crate::llm::client::Client;
use crate::llm::pace::{Limits, Pacer};
use crate::llm::price::Price;
use crate::llm::retry::Backoff;
use crate::llm::{HttpRequest, Request};
use crate::material::estimate_tokens;
use crate::redact::Redactions;
use crate::run::Settings;
use crate::store::journal::{JobRequest, Journal};
use crate::store::{RequestKey, Store};
use std::collections::{HashSet, VecDeque};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// Hand-overs of prepared units that may wait.
const HANDED_OVER: usize = 8;

/// Nothing is sent at this pace.
const NO_LIMITS: Limits = Limits {
    concurrency: 1,
    requests_per_minute: None,
    tokens_per_minute: None,
    input_tokens_per_minute: None,
    output_tokens_per_minute: None,
    patience: Duration::ZERO,
};

/// What is wanted, of whom, and where the answers are to go.
#[derive(Clone)]
pub struct Wanted {
    /// What is annotated.
    pub plan: Arc<Plan>,
    /// Who annotates.
    pub model: Model,
    /// What shapes the answers.
    pub settings: Settings,
    /// The store of paid answers.
    pub store: PathBuf,
}

/// A request without an answer.
pub struct Missing {
    /// Which task of the plan.
    pub task: usize,
    /// Where its unit's row stands in the task's run.
    pub position: usize,
    /// What the journal keeps of it.
    pub request: JobRequest,
    /// As it would go out alone.
    pub http: HttpRequest,
    /// About how many tokens its prompt has.
    pub tokens: u64,
    /// The prompt's text.
    pub prompt: String,
}

/// The requests without an answer, one by one.
pub struct Questions {
    contexts: Arc<Vec<RunContext>>,
    asker: Arc<Asker>,
    receiver: mpsc::Receiver<Vec<Prepared>>,
    waiting: VecDeque<Prepared>,
    headway: Arc<Headway>,
    preparation: JoinHandle<Result<Replaced, EngineError>>,
    /// Units that need no request: the store has what they need, or there is nothing to ask.
    pub settled: u64,
}

impl Questions {
    /// Begins to look for them, on threads of their own.
    pub fn begin(wanted: &Wanted) -> Result<Questions, BatchError> {
        let Wanted { plan, model, settings, store } = wanted.clone();
        // It sends nothing here: it knows keys, what is stored, and what the model lacks.
        let pacer = Pacer::new(NO_LIMITS, model.adapter.accounting());
        let client = Client::new(Duration::from_secs(1));
        let asker = Asker::new(model.clone(), Store::open(&store)?, client, pacer, Backoff::default())?;
        if settings.temperature.is_some() {
            asker.leave_out(model.adapter.leaves_out(&model.name.model));
        }
        let asker = Arc::new(asker);
        let contexts = engine::contexts(&plan, &settings);
        let (sender, receiver) = mpsc::channel(HANDED_OVER);
        let headway = Arc::new(Headway::default());
        let preparing = Preparing {
            plan,
            contexts: contexts.clone(),
            rater: Rater::Model(Box::new(model)),
            asker: Some(asker.clone()),
            refresh: Refresh::Nothing,
            samples: settings.samples.max(1),
            redacted: settings.redacted,
            headway: headway.clone(),
        };
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let preparation = tokio::task::spawn_blocking(move || preparing.run(threads, &sender));
        Ok(Questions { contexts, asker, receiver, waiting: VecDeque::new(), headway, preparation, settled: 0 })
    }

    /// The next one.
    pub async fn next(&mut self) -> Result<Option<Missing>, BatchError> {
        loop {
            match self.waiting.pop_front() {
                Some(Prepared::Ask(question)) => return Ok(Some(self.missing(*question)?)),
                Some(Prepared::Row { .. } | Prepared::Gone { .. }) => self.settled += 1,
                None => match self.receiver.recv().await {
                    Some(units) => self.waiting.extend(units),
                    None => return Ok(None),
                },
            }
        }
    }

    fn missing(&self, question: Question) -> Result<Missing, BatchError> {
        let context = &self.contexts[question.work.task];
        let question = outstanding(context, &self.asker, question)?;
        let Question { work, request, key, parts, material, beginnings: _ } = question;
        Ok(Missing {
            task: work.task,
            position: work.position,
            tokens: tokens(&request),
            http: self.asker.encode(&request),
            prompt: text(&request),
            request: JobRequest {
                key,
                task: context.codebook.task.clone(),
                subject: subject(&context.codebook, &work.unit, material),
                run: context.run.clone(),
                parts,
            },
        })
    }

    /// Ends the threads; gives what was replaced in the sessions.
    pub async fn end(self) -> Result<Redactions, BatchError> {
        self.headway.end();
        drop(self.receiver);
        let produced = self.preparation.await.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()));
        Ok(produced?.pop().unwrap_or_default())
    }
}

/// What would be handed over.
pub struct Estimate {
    /// Requests, tokens and cost at the lane's price, by task.
    pub forecast: Forecast,
    /// Units that need no request.
    pub settled: u64,
    /// Requests that are in open jobs.
    pub under_way: u64,
}

impl Estimate {
    /// Cost in US dollars: low, high. `None` where no price is known.
    pub fn cost(&self) -> Option<(f64, f64)> {
        cost(&self.forecast.tasks)
    }
}

/// Adds up what the tasks cost.
pub fn cost(tasks: &[TaskForecast]) -> Option<(f64, f64)> {
    let add = |(low, high): (f64, f64), task: &TaskForecast| task.cost_usd.map(|cost| (low + cost.0, high + cost.1));
    tasks.iter().try_fold((0.0, 0.0), add)
}

/// Forecasts of no requests, one a task.
pub(super) fn forecasts(plan: &Plan, price: Option<&Price>) -> Vec<TaskForecast> {
    plan.tasks.iter().map(|task| TaskForecast::begin(&task.codebook.task, price)).collect()
}

/// Goes through all that would be handed over and hands nothing over.
pub async fn estimate(wanted: &Wanted) -> Result<Estimate, BatchError> {
    let price = wanted.model.price.as_ref().map(Price::in_batch);
    let journal = Journal::open(&wanted.store)?;
    let mut tasks = forecasts(&wanted.plan, price.as_ref());
    let mut questions = Questions::begin(wanted)?;
    let mut first: Option<((usize, usize), String)> = None;
    let (mut under_way, mut seen) = (0, HashSet::new());
    while let Some(missing) = questions.next().await? {
        if journal.is_open(&missing.request.key)? {
            under_way += 1;
        } else if seen.insert(short(&missing.request.key)) {
            tasks[missing.task].add(missing.tokens, price.as_ref());
            // Sessions are prepared side by side, and come in any order.
            let place = (missing.task, missing.position);
            if first.as_ref().is_none_or(|(first, _)| place < *first) {
                first = Some((place, missing.prompt));
            }
        }
    }
    let settled = questions.settled;
    let redactions = questions.end().await?;
    let redactions = wanted.settings.redacted.then_some(redactions);
    Ok(Estimate {
        forecast: Forecast { tasks, prompt: first.map(|(_, prompt)| prompt), asks: true, redactions },
        settled,
        under_way,
    })
}

/// Enough of a key to count by: a whole one would take four times the memory.
fn short(key: &RequestKey) -> u64 {
    u64::from_le_bytes(*key.as_bytes().first_chunk().expect("a key has 32 bytes"))
}

fn text(request: &Request) -> String {
    let turns = request.turns.iter().flat_map(|turn| &turn.parts).map(|part| part.text.as_str());
    request.system.iter().flat_map(|system| [system.as_str(), "\n\n"]).chain(turns).collect()
}

fn tokens(request: &Request) -> u64 {
    let parts = request.turns.iter().flat_map(|turn| &turn.parts).map(|part| estimate_tokens(&part.text)).sum::<u64>();
    let system = request.system.as_deref().map_or(0, estimate_tokens);
    parts + system + estimate_tokens(&request.schema.json.to_string())
}
