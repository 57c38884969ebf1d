//! What is to be handed over: takes a plan and a model, gives one by one the requests that the store has no answer to.

use super::BatchError;
use crate::config::{Model, Rater};
use crate::engine::annotate::{Question, Refresh, RunContext, outstanding, subject};
use crate::engine::ask::lacking;
use crate::engine::group::{self, GroupQuestion};
use crate::engine::prepare::{Headway, Prepared, Preparing, Replaced};
use crate::engine::recall::Recall;
use crate::engine::{self, EngineError, Plan};
use crate::forecast::{Between, Forecast, Learnt, TaskForecast, learn};
use crate::llm::price::Price;
use crate::llm::{HttpRequest, Lacking, Request};
use crate::redact::Redactions;
use crate::run::Settings;
use crate::store::journal::{JobRequest, Journal};
use crate::store::{RequestKey, RequestParts, Store, Subject};
use std::collections::{HashSet, VecDeque};
use std::path::PathBuf;
use std::sync::Arc;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Hand-overs of prepared units that may wait.
const HANDED_OVER: usize = 8;

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
    /// What it adds to a forecast.
    pub measure: Measure,
    /// Where its first unit's row stands in the task's run.
    pub position: usize,
    /// What the journal keeps of it.
    pub request: JobRequest,
    /// As it would go out alone.
    pub http: HttpRequest,
    /// The prompt's text.
    pub prompt: String,
}

/// What a request adds to a forecast.
#[derive(Debug, Clone, Copy)]
pub struct Measure {
    /// Which task of the plan it is for.
    pub task: usize,
    /// Bytes of text.
    pub bytes: u64,
    /// Answers that it is for.
    pub answers: usize,
}

/// The requests without an answer, one by one.
pub struct Questions {
    contexts: Arc<Vec<RunContext>>,
    recall: Arc<Recall>,
    /// What the model is known to lack.
    lacking: Lacking,
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
        let answers = Store::open(&store)?;
        let mut lacking = lacking(&answers, &model)?;
        if settings.temperature.is_some() {
            lacking.extend(model.adapter.leaves_out(&model.name.model));
        }
        let recall = Arc::new(Recall::new(model.clone(), Arc::new(answers)));
        let contexts = Arc::new(engine::contexts(&plan, &settings));
        let (sender, receiver) = mpsc::channel(HANDED_OVER);
        let headway = Arc::new(Headway::default());
        let preparing = Preparing {
            plan,
            contexts: contexts.clone(),
            rater: Rater::Model(Box::new(model)),
            recall: Some(recall.clone()),
            refresh: Refresh::Nothing,
            wind_down: CancellationToken::new(),
            samples: settings.samples.max(1),
            redacted: settings.redacted,
            headway: headway.clone(),
        };
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let preparation = tokio::task::spawn_blocking(move || preparing.run(threads, &sender));
        Ok(Questions {
            contexts,
            recall,
            lacking,
            receiver,
            waiting: VecDeque::new(),
            headway,
            preparation,
            settled: 0,
        })
    }

    /// The next one.
    pub async fn next(&mut self) -> Result<Option<Missing>, BatchError> {
        loop {
            match self.waiting.pop_front() {
                Some(Prepared::Ask(question)) => return Ok(Some(self.missing(*question)?)),
                Some(Prepared::Group(group)) => return Ok(Some(self.missing_of_group(*group)?)),
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
        let Question { work, request, key, parts, material, beginnings: _ } =
            outstanding(context, &self.recall, question)?;
        let subject = subject(&context.codebook, &work.unit, material);
        Ok(self.asked((work.task, work.position), 1, request, (key, parts), subject))
    }

    /// Several prompts that share a request. What may follow from the answer is asked for one by one.
    fn missing_of_group(&self, question: GroupQuestion) -> Result<Missing, BatchError> {
        let task = question.task();
        let context = &self.contexts[task];
        let GroupQuestion { works, request, key, parts, material, beginnings: _ } =
            group::outstanding(context, &self.recall, question)?;
        let first = works.first().expect("a group has prompts");
        let subject = group::subject(&context.codebook, &first.unit.session, material);
        Ok(self.asked((task, first.position), works.len(), request, (key, parts), subject))
    }

    fn asked(
        &self,
        (task, position): (usize, usize),
        answers: usize,
        request: Request,
        (key, parts): (RequestKey, RequestParts),
        subject: Subject,
    ) -> Missing {
        let context = &self.contexts[task];
        let model = &self.recall.model;
        Missing {
            measure: Measure { task, bytes: parts.bytes.unwrap_or(0), answers },
            position,
            http: model.adapter.encode(&model.endpoint.base_url, &request, &self.lacking),
            prompt: request.text(),
            request: JobRequest { key, task: context.codebook.task.clone(), subject, run: context.run.clone(), parts },
        }
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
    /// Cost in US dollars. `None` where no price is known.
    pub fn cost(&self) -> Option<Between<f64>> {
        cost(&self.forecast.tasks)
    }
}

/// Adds up what the tasks cost.
pub fn cost(tasks: &[TaskForecast]) -> Option<Between<f64>> {
    tasks.iter().try_fold(Between::default(), |mut sum, task| {
        sum += task.cost_usd?;
        Some(sum)
    })
}

/// What is forecast, while it is counted.
#[derive(Debug)]
pub(super) struct Forecasting {
    learnt: Learnt,
    /// Prices of the lane.
    price: Option<Price>,
    /// One a task.
    pub tasks: Vec<TaskForecast>,
}

impl Forecasting {
    pub(super) fn begin(wanted: &Wanted) -> Result<Forecasting, BatchError> {
        let price = wanted.model.price.as_ref().map(Price::in_batch);
        let tasks = &wanted.plan.tasks;
        let tasks = tasks.iter().map(|task| TaskForecast::begin(&task.codebook, price.as_ref())).collect();
        Ok(Forecasting { learnt: learn(&wanted.model, &wanted.store)?, price, tasks })
    }

    pub(super) fn add(&mut self, Measure { task, bytes, answers }: Measure) {
        self.tasks[task].add(bytes, answers, &self.learnt, self.price.as_ref());
    }
}

/// Goes through all that would be handed over and hands nothing over.
pub async fn estimate(wanted: &Wanted) -> Result<Estimate, BatchError> {
    let journal = Journal::open(&wanted.store)?;
    let mut counted = Forecasting::begin(wanted)?;
    let mut questions = Questions::begin(wanted)?;
    let mut first: Option<((usize, usize), String)> = None;
    let (mut under_way, mut seen) = (0, HashSet::new());
    while let Some(missing) = questions.next().await? {
        if journal.is_open(&missing.request.key)? {
            under_way += 1;
        } else if seen.insert(short(&missing.request.key)) {
            counted.add(missing.measure);
            // Sessions are prepared side by side, and come in any order.
            let place = (missing.measure.task, missing.position);
            if first.as_ref().is_none_or(|(first, _)| place < *first) {
                first = Some((place, missing.prompt));
            }
        }
    }
    let settled = questions.settled;
    let redactions = questions.end().await?;
    let redactions = wanted.settings.redacted.then_some(redactions);
    Ok(Estimate {
        forecast: Forecast {
            learnt_from: counted.learnt.answers(),
            tasks: counted.tasks,
            prompt: first.map(|(_, prompt)| prompt),
            asks: true,
            redactions,
        },
        settled,
        under_way,
    })
}

/// Enough of a key to count by: a whole one would take four times the memory.
fn short(key: &RequestKey) -> u64 {
    u64::from_le_bytes(*key.as_bytes().first_chunk().expect("a key has 32 bytes"))
}
