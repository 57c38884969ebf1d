//! One request to a model: from the store if it was ever answered, else over the wire, paced and retried. An answer is in the store
//! before anyone sees it.

mod attempt;
mod refusals;
mod request_key;

pub use request_key::request_key;

use super::recall::{Answered, Recall};
use super::spending::{Exhausted, Spending};
use super::warmth::{Beginnings, Warmth};
use crate::config::Model;
use crate::llm::client::{Answer, Client, TransportError};
use crate::llm::pace::{Pacer, Size};
use crate::llm::retry::{Backoff, LONGEST_WAIT};
use crate::llm::{Fault, Feature, Lacking, OUTPUT_LIMIT, Request, Response};
use crate::material::estimate_tokens;
use crate::run::Status;
use crate::store::{
    Kept, Lane, ModelFact, NewResponse, RequestKey, RequestParts, Store, StoreError, StoredResponse, Subject,
};
use attempt::{Attempt, Received};
use jiff::{SignedDuration, Timestamp};
use refusals::Refusals;
use std::borrow::Cow;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// What a model was found to lack is tried again after this time: models change.
const FACT_LIFETIME: SignedDuration = SignedDuration::from_hours(7 * 24);
/// A refused connection ends a run after so many attempts, if nothing was ever answered: the server is not there.
const CONNECTS_BEFORE_GIVING_UP: u32 = 3;

/// Why a request has no answer.
#[derive(Debug)]
pub enum AskError {
    /// This unit gets none.
    Unit(Unanswered),
    /// No unit can get one: the run ends.
    Stop(Stopped),
    /// The run was told to end before the request was sent.
    Cancelled,
    /// The store failed.
    Store(StoreError),
}

/// Why nothing more was asked.
#[derive(Debug, Clone, PartialEq)]
pub enum Stopped {
    /// Something that no further request would get past.
    Trouble(String),
    /// The cap on what may be spent.
    Exhausted(Exhausted),
}

impl fmt::Display for Stopped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Stopped::Trouble(message) => f.write_str(message),
            Stopped::Exhausted(exhausted) => exhausted.fmt(f),
        }
    }
}

/// A request that got no answer.
#[derive(Debug)]
pub struct Unanswered {
    /// How its unit ends.
    pub status: Status,
    /// Why.
    pub reason: String,
    /// How often it was sent.
    pub attempts: u32,
}

/// What a request is sent for.
#[derive(Debug, Clone, Copy)]
pub struct Purpose<'a> {
    /// The run that pays.
    pub run: &'a str,
    /// The task.
    pub task: &'a str,
    /// What is asked about.
    pub subject: &'a Subject,
    /// Where an answer that is stored has to be younger than this to stand: an older one is replaced.
    pub since: Option<Timestamp>,
}

impl From<StoreError> for AskError {
    fn from(error: StoreError) -> AskError {
        AskError::Store(error)
    }
}

/// Asks one model, for all units of a run of the program.
pub struct Asker {
    /// Whom it asks, and what was answered before.
    pub recall: Arc<Recall>,
    /// What may be spent, and what was.
    pub spending: Spending,
    store: Arc<Store>,
    client: Client,
    pacer: Pacer,
    backoff: Backoff,
    warmth: Warmth,
    lacking: RwLock<Lacking>,
    notes: Mutex<Vec<String>>,
    answers: AtomicU64,
    refusals: Refusals,
    /// Whether people have been told of the outage that there is.
    outage_noted: AtomicBool,
    /// No new request is sent once this is cancelled.
    pub wind_down: CancellationToken,
    /// Requests under way are dropped once this is cancelled.
    pub abandon: CancellationToken,
}

impl Asker {
    /// Opens the way to `model`.
    pub fn new(
        model: Model,
        store: Store,
        client: Client,
        pacer: Pacer,
        backoff: Backoff,
        cap_usd: Option<f64>,
    ) -> Result<Asker, StoreError> {
        let store = Arc::new(store);
        let lacking = lacking(&store, &model)?;
        Ok(Asker {
            spending: Spending::new(model.price.clone(), cap_usd),
            recall: Arc::new(Recall::new(model, store.clone())),
            store,
            client,
            pacer,
            backoff,
            warmth: Warmth::default(),
            lacking: RwLock::new(lacking),
            notes: Mutex::new(Vec::new()),
            answers: AtomicU64::new(0),
            refusals: Refusals::default(),
            outage_noted: AtomicBool::new(false),
            wind_down: CancellationToken::new(),
            abandon: CancellationToken::new(),
        })
    }

    /// How many requests are under way.
    pub fn in_flight(&self) -> usize {
        self.pacer.in_flight()
    }

    /// What was learnt of the model since the last call.
    pub fn take_notes(&self) -> Vec<String> {
        std::mem::take(&mut *self.notes.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// What the model lacks, as far as it is known, in words for a manifest.
    pub fn known_lacks(&self) -> Vec<String> {
        self.lacking().iter().map(|feature| lack_in_words(*feature).to_owned()).collect()
    }

    /// Leaves out what the adapter knows that the model does not take, and says so.
    pub fn leave_out(&self, features: Lacking) {
        let mut lacking = self.lacking.write().unwrap_or_else(PoisonError::into_inner);
        for feature in features {
            if lacking.insert(feature) {
                self.note(lack_in_words(feature).to_owned());
            }
        }
    }

    /// What the server said where it called all requests bad and this model has never answered any: the run has come to nothing.
    pub fn refused_throughout(&self) -> Result<Option<String>, StoreError> {
        let Some(said) = self.refusals.said() else { return Ok(None) };
        Ok((!self.has_answered()?).then_some(said))
    }

    /// Whether this model has answered anything, in this run or an earlier one.
    fn has_answered(&self) -> Result<bool, StoreError> {
        let model = &self.recall.model;
        Ok(self.answers.load(Ordering::Relaxed) > 0
            || self.store.knows(&model.name.provider, &model.endpoint.base_url, &model.name.model)?)
    }

    /// The answer to `request`: the stored one, unless there is none or a new one is asked for. Of requests that begin alike one goes first.
    pub async fn ask(
        &self,
        request: &Request,
        key: RequestKey,
        parts: RequestParts,
        beginnings: &Beginnings,
        purpose: Purpose<'_>,
    ) -> Result<Answered, AskError> {
        let lead = tokio::select! {
            biased;
            () = self.wind_down.cancelled() => return Err(AskError::Cancelled),
            lead = self.warmth.enter(beginnings) => lead,
        };
        // Another process, or another unit with the same words, may have asked meanwhile.
        let stands = |stored: &StoredResponse| purpose.since.is_none_or(|since| stored.response.created_at >= since);
        if let Some(stored) = self.store.get(&key)?.filter(stands)
            && let Ok(answered) = self.recall.answered(stored)
        {
            return Ok(answered);
        }
        let outcome = self.send(request, key, parts, purpose).await;
        if outcome.is_ok() {
            lead.answered();
            self.answers.fetch_add(1, Ordering::Relaxed);
            self.refusals.answered();
            self.outage_noted.store(false, Ordering::Relaxed);
        }
        outcome
    }

    async fn send(
        &self,
        request: &Request,
        key: RequestKey,
        parts: RequestParts,
        purpose: Purpose<'_>,
    ) -> Result<Answered, AskError> {
        let size = self.size(request);
        let request = self.bounded(request);
        let mut attempts = 0;
        // Attempts that failed as all others did: they say nothing of this unit, and do not count against it.
        let mut in_outage = 0;
        // How many answers there had been when it went out for the first time.
        let mut answered = None;
        loop {
            attempts += 1;
            let (reason, after) = match self.attempt(&request, size, attempts, &mut answered).await? {
                Attempt::Answered(answered) => {
                    let Received { answer, response, ignored } = *answered;
                    let new = NewResponse {
                        key,
                        provider: self.recall.model.name.provider.clone(),
                        model: self.recall.model.name.model.clone(),
                        endpoint: self.recall.model.endpoint.base_url.clone(),
                        task: Some(purpose.task.to_owned()),
                        subject: Some(purpose.subject.clone()),
                        run: purpose.run.to_owned(),
                        parts,
                        body: String::from_utf8_lossy(&answer.body).into_owned(),
                        status: answer.status,
                        usage: response.usage,
                        created_at: Timestamp::now(),
                        attempts,
                        latency: answer.elapsed,
                        lane: Lane::Direct,
                    };
                    let kept = self.keep(new, response, purpose).await;
                    if let Some((feature, sign)) = ignored {
                        self.learn(feature, &sign).await?;
                    }
                    return kept;
                }
                Attempt::Unanswerable { status, reason } => {
                    return Err(AskError::Unit(Unanswered { status, reason, attempts }));
                }
                Attempt::BadRequest(message) => {
                    let has_answered = self.has_answered()?;
                    if let Some(why) = self.refusals.refused(&purpose.subject.unit, &message, has_answered) {
                        return Err(self.stop(Stopped::Trouble(why)));
                    }
                    let reason = format!("the server takes no such request: {message}");
                    return Err(AskError::Unit(Unanswered { status: Status::Failed, reason, attempts }));
                }
                Attempt::Learnt => {
                    attempts -= 1;
                    continue;
                }
                Attempt::StillPaused(wait) => {
                    in_outage += 1;
                    self.wait(wait).await?;
                    continue;
                }
                Attempt::Failed { reason, after } => (reason, after),
            };
            let delay = if self.pacer.is_outage() {
                in_outage += 1;
                if !self.outage_noted.swap(true, Ordering::Relaxed) {
                    self.note(format!("nothing is answered any more ({reason}); waiting for the server"));
                }
                Some(after.unwrap_or_default().min(LONGEST_WAIT))
            } else {
                self.backoff.delay(attempts - in_outage, after, &mut rand::rng())
            };
            let Some(delay) = delay else {
                let times = if attempts == 1 { "once".to_owned() } else { format!("{attempts} times") };
                let reason = format!("asked {times}; the last answer: {reason}");
                return Err(AskError::Unit(Unanswered { status: Status::Failed, reason, attempts }));
            };
            self.wait(delay).await?;
        }
    }

    /// The request with a limit of output tokens, where there is a cap on what may be spent: without one nobody knows what it can cost. The
    /// limit is far above what an answer needs, and an answer that it cuts is told as cut; so it is not part of the request's name.
    fn bounded<'r>(&self, request: &'r Request) -> Cow<'r, Request> {
        match request.max_output_tokens {
            None if self.spending.is_capped() => {
                Cow::Owned(Request { max_output_tokens: Some(OUTPUT_LIMIT), ..request.clone() })
            }
            _ => Cow::Borrowed(request),
        }
    }

    /// Stores an answer before anyone sees it. Where another process has stored one for the same request, that one is used.
    async fn keep(&self, new: NewResponse, response: Response, purpose: Purpose<'_>) -> Result<Answered, AskError> {
        let key = new.key;
        let stored = StoredResponse { id: 0, response: new.clone() };
        let kept = if purpose.since.is_some() { self.store.replace(new).await } else { self.store.put(new).await };
        // What cannot be stored is lost: nothing more is asked.
        let kept = kept.inspect_err(|_| self.wind_down.cancel())?;
        if kept == Kept::Earlier
            && let Some(earlier) = self.store.get(&key)?
            && let Ok(answered) = self.recall.answered(earlier)
        {
            return Ok(answered);
        }
        Ok(Answered { stored, response })
    }

    fn fault(&self, answer: &Answer, lacking: &Lacking) -> Fault {
        let fault = self.recall.model.adapter.fault(answer.status, &|name| answer.header(name), &answer.body);
        fault.unless_left_out(lacking)
    }

    /// Whether a request that did not get through can be sent again; else why the run ends.
    fn transport_fault(&self, error: &TransportError, attempts: u32) -> Result<(), AskError> {
        let was_reached = self.answers.load(Ordering::Relaxed) > 0;
        let connects = matches!(error, TransportError::Connect { .. });
        if connects || matches!(error, TransportError::TooLarge { .. }) {
            self.nobody_there(&error.to_string())?;
        }
        let given_up = connects && !was_reached && attempts >= CONNECTS_BEFORE_GIVING_UP;
        if given_up || !error.can_pass(was_reached) {
            Err(self.stop(Stopped::Trouble(error.to_string())))
        } else {
            Ok(())
        }
    }

    /// Ends the run where nothing was ever answered and all that comes back is no sign of a server that could.
    fn nobody_there(&self, reason: &str) -> Result<(), AskError> {
        let never_answered = self.answers.load(Ordering::Relaxed) == 0;
        if never_answered && self.pacer.is_outage() {
            Err(self.stop(Stopped::Trouble(reason.to_owned())))
        } else {
            Ok(())
        }
    }

    /// Ends the run. No request goes out after this, also not in the place of the one that was just answered.
    fn stop(&self, stopped: Stopped) -> AskError {
        self.wind_down.cancel();
        AskError::Stop(stopped)
    }

    fn note(&self, note: String) {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner).push(note);
    }

    async fn wait(&self, delay: Duration) -> Result<(), AskError> {
        tokio::select! {
            () = self.wind_down.cancelled() => Err(AskError::Cancelled),
            () = tokio::time::sleep(delay) => Ok(()),
        }
    }

    fn lacking(&self) -> Lacking {
        self.lacking.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    async fn learn(&self, feature: Feature, message: &str) -> Result<(), StoreError> {
        let new = self.lacking.write().unwrap_or_else(PoisonError::into_inner).insert(feature);
        if new {
            self.note(format!("{}: {}", lack_in_words(feature), message));
            let fact = ModelFact {
                provider: self.recall.model.name.provider.clone(),
                endpoint: self.recall.model.endpoint.base_url.clone(),
                model: self.recall.model.name.model.clone(),
                feature,
                learnt_at: Timestamp::now(),
                message: message.to_owned(),
            };
            self.store.learn(fact).await?;
        }
        Ok(())
    }

    /// How large the request is, as far as that can be told before it is sent.
    fn size(&self, request: &Request) -> Size {
        let texts = request.parts().map(|part| estimate_tokens(&part.text)).sum::<u64>();
        let system = request.system.as_deref().map_or(0, estimate_tokens);
        let input = texts + system + estimate_tokens(&request.schema.json.to_string());
        Size { input, output_limit: request.max_output_tokens.map(u64::from) }
    }
}

/// What a model is known to lack, from answers of the last days.
pub fn lacking(store: &Store, model: &Model) -> Result<Lacking, StoreError> {
    let youngest = Timestamp::now().saturating_sub(FACT_LIFETIME).unwrap_or(Timestamp::MIN);
    let facts = store.facts(&model.name.provider, &model.endpoint.base_url, &model.name.model)?;
    Ok(facts.into_iter().filter(|fact| fact.learnt_at >= youngest).map(|fact| fact.feature).collect())
}

fn lack_in_words(feature: Feature) -> &'static str {
    match feature {
        Feature::Temperature => "the model takes no temperature; it is left out",
        Feature::OutputLimit => "the model does not take the usual output limit; its older name is used",
        Feature::SchemaForm => "the server takes a JSON schema in its older form only; it goes into the prompt as well",
        Feature::AnswerSchema => "the server takes no JSON schema; it goes into the prompt",
        Feature::CacheMark => "the server takes no cache marks; they are left out",
        Feature::SystemTurn => "the model takes no system text; it opens the user's turn",
    }
}
