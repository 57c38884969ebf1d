//! One request to a model: from the store if it was ever answered, else over the wire, paced and retried. An answer is in the store
//! before anyone sees it.

use super::key::without_key;
use crate::config::Model;
use crate::llm::client::{Answer, Client, TransportError};
use crate::llm::pace::{Outcome, Pacer, Size};
use crate::llm::retry::{Backoff, LONGEST_WAIT};
use crate::llm::{Fault, Feature, Lacking, Request};
use crate::material::estimate_tokens;
use crate::run::Status;
use crate::store::{ModelFact, NewResponse, RequestKey, RequestParts, Store, StoreError, StoredResponse};
use jiff::{SignedDuration, Timestamp};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError, RwLock};
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
    /// No unit can get one: the run ends with this message.
    Stop(String),
    /// The run was told to end before the request was sent.
    Cancelled,
    /// The store failed.
    Store(StoreError),
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
    /// Whether it is sent although the store may have an answer, which the new one then replaces.
    pub anew: bool,
}

impl From<StoreError> for AskError {
    fn from(error: StoreError) -> AskError {
        AskError::Store(error)
    }
}

/// Asks one model, for all units of a run of the program.
pub struct Asker {
    /// The model.
    pub model: Model,
    store: Store,
    client: Client,
    pacer: Pacer,
    backoff: Backoff,
    lacking: RwLock<Lacking>,
    notes: Mutex<Vec<String>>,
    answered: AtomicU64,
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
    ) -> Result<Asker, StoreError> {
        let youngest = Timestamp::now().saturating_sub(FACT_LIFETIME).unwrap_or(Timestamp::MIN);
        let lacking = store
            .facts(&model.name.provider, &model.endpoint.base_url, &model.name.model)?
            .into_iter()
            .filter(|fact| fact.learnt_at >= youngest)
            .map(|fact| fact.feature)
            .collect();
        Ok(Asker {
            model,
            store,
            client,
            pacer,
            backoff,
            lacking: RwLock::new(lacking),
            notes: Mutex::new(Vec::new()),
            answered: AtomicU64::new(0),
            outage_noted: AtomicBool::new(false),
            wind_down: CancellationToken::new(),
            abandon: CancellationToken::new(),
        })
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
        let mut notes = self.notes.lock().unwrap_or_else(PoisonError::into_inner);
        for feature in features {
            if lacking.insert(feature) {
                notes.push(lack_in_words(feature).to_owned());
            }
        }
    }

    /// The stored answer to `request`, if there is one.
    pub fn stored(&self, request: &Request) -> Result<Option<StoredResponse>, StoreError> {
        self.store.get(&self.key(request).0)
    }

    /// The answer to `request`: the stored one, unless there is none or a new one is asked for.
    pub async fn ask(&self, request: &Request, purpose: Purpose<'_>) -> Result<StoredResponse, AskError> {
        let (key, parts) = self.key(request);
        if !purpose.anew
            && let Some(stored) = self.store.get(&key)?
        {
            return Ok(stored);
        }
        let outcome = self.send(request, key, parts, purpose).await;
        if outcome.is_ok() {
            self.answered.fetch_add(1, Ordering::Relaxed);
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
    ) -> Result<StoredResponse, AskError> {
        let unit = |status, reason, attempts| Err(AskError::Unit(Unanswered { status, reason, attempts }));
        let size = self.size(request);
        let mut attempts = 0;
        // Attempts that failed as all others did: they say nothing of this unit, and do not count against it.
        let mut in_outage = 0;
        loop {
            let permit = tokio::select! {
                biased;
                () = self.wind_down.cancelled() => return Err(AskError::Cancelled),
                permit = self.pacer.admit(size) => permit,
            };
            let permit = permit.map_err(|outage| self.stop(outage.to_string()))?;
            let lacking = self.lacking();
            let http = self.model.adapter.encode(&self.model.endpoint.base_url, request, &lacking);
            let sent = tokio::select! {
                biased;
                sent = self.client.send(&http, self.model.endpoint.api_key.as_ref()) => sent,
                () = self.abandon.cancelled() => return Err(AskError::Cancelled),
            };
            attempts += 1;
            let api_key = self.model.endpoint.api_key.as_ref();
            let sent = sent.map(|answer| Answer { body: without_key(answer.body, api_key), ..answer });
            let (reason, after) = match sent {
                Err(error) => {
                    let reason = error.to_string();
                    permit.end(match error {
                        TransportError::Timeout { .. } => Outcome::TimedOut(&reason),
                        _ => Outcome::Failed(&reason),
                    });
                    self.transport_fault(&error, attempts)?;
                    (reason, None)
                }
                Ok(answer) if answer.status == 200 => {
                    permit.observe(&self.model.adapter.rate_limits(&|name| answer.header(name)));
                    match self.model.adapter.decode(&answer.body) {
                        Ok(response) => {
                            response.usage.iter().for_each(|usage| permit.settle(usage));
                            permit.end(Outcome::Answered);
                            let new = NewResponse {
                                key,
                                provider: self.model.name.provider.clone(),
                                model: self.model.name.model.clone(),
                                endpoint: self.model.endpoint.base_url.clone(),
                                task: Some(purpose.task.to_owned()),
                                run: purpose.run.to_owned(),
                                parts,
                                body: String::from_utf8_lossy(&answer.body).into_owned(),
                                status: answer.status,
                                usage: response.usage,
                                created_at: Timestamp::now(),
                                attempts,
                                latency: answer.elapsed,
                            };
                            if purpose.anew {
                                self.store.replace(new).await?;
                            } else {
                                self.store.put(new).await?;
                            }
                            return match self.store.get(&key)? {
                                Some(stored) => Ok(stored),
                                None => {
                                    let reason = "the answer was stored and cannot be found again".to_owned();
                                    unit(Status::Failed, reason, attempts)
                                }
                            };
                        }
                        Err(unreadable) => {
                            let reason = unreadable.to_string();
                            permit.end(Outcome::Failed(&reason));
                            self.nobody_there(&reason)?;
                            (reason, None)
                        }
                    }
                }
                Ok(answer) => match self.fault(&answer, &lacking) {
                    Fault::Busy { reason, after, throttled } => {
                        let limits = self.model.adapter.rate_limits(&|name| answer.header(name));
                        permit.observe(&limits);
                        let too_fast = answer.status == 429;
                        if let Some(quota) = limits.used_up(after).filter(|_| too_fast) {
                            return Err(self.stop(format!("{reason}: {quota}")));
                        }
                        permit.end(match throttled {
                            true if too_fast => Outcome::TooFast { after, reason: &reason },
                            true => Outcome::Overloaded(&reason),
                            false => Outcome::Failed(&reason),
                        });
                        (reason, after)
                    }
                    Fault::Stop(message) | Fault::BadRequest(message) => return Err(self.stop(message)),
                    Fault::TooLong(message) => {
                        permit.end(Outcome::Answered);
                        return unit(Status::Failed, format!("too long for the model: {message}"), attempts);
                    }
                    Fault::Refused(reason) => {
                        permit.end(Outcome::Answered);
                        return unit(Status::Refused, reason, attempts);
                    }
                    Fault::Lacks(feature, message) => {
                        permit.end(Outcome::Answered);
                        self.learn(feature, &message).await?;
                        attempts -= 1;
                        continue;
                    }
                },
            };
            let delay = if self.pacer.is_outage() {
                in_outage += 1;
                if !self.outage_noted.swap(true, Ordering::Relaxed) {
                    let note = format!("nothing is answered any more ({reason}); waiting for the server");
                    self.notes.lock().unwrap_or_else(PoisonError::into_inner).push(note);
                }
                Some(after.unwrap_or_default().min(LONGEST_WAIT))
            } else {
                self.backoff.delay(attempts - in_outage, after, &mut rand::rng())
            };
            let Some(delay) = delay else {
                let times = if attempts == 1 { "once".to_owned() } else { format!("{attempts} times") };
                return unit(Status::Failed, format!("asked {times}; the last answer: {reason}"), attempts);
            };
            self.wait(delay).await?;
        }
    }

    fn fault(&self, answer: &Answer, lacking: &Lacking) -> Fault {
        let fault = self.model.adapter.fault(answer.status, &|name| answer.header(name), &answer.body);
        fault.unless_left_out(lacking)
    }

    /// Whether a request that did not get through can be sent again; else why the run ends.
    fn transport_fault(&self, error: &TransportError, attempts: u32) -> Result<(), AskError> {
        let connects = matches!(error, TransportError::Connect { .. });
        if connects {
            self.nobody_there(&error.to_string())?;
        }
        let given_up = connects && self.answered.load(Ordering::Relaxed) == 0 && attempts >= CONNECTS_BEFORE_GIVING_UP;
        if given_up || !error.can_pass() { Err(self.stop(error.to_string())) } else { Ok(()) }
    }

    /// Ends the run where nothing was ever answered and all that comes back is no sign of a server that could.
    fn nobody_there(&self, reason: &str) -> Result<(), AskError> {
        let never_answered = self.answered.load(Ordering::Relaxed) == 0;
        if never_answered && self.pacer.is_outage() { Err(self.stop(reason.to_owned())) } else { Ok(()) }
    }

    /// Ends the run. No request goes out after this, also not in the place of the one that was just answered.
    fn stop(&self, message: String) -> AskError {
        self.wind_down.cancel();
        AskError::Stop(message)
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
            let note = format!("{}: {}", lack_in_words(feature), message);
            self.notes.lock().unwrap_or_else(PoisonError::into_inner).push(note);
            let fact = ModelFact {
                provider: self.model.name.provider.clone(),
                endpoint: self.model.endpoint.base_url.clone(),
                model: self.model.name.model.clone(),
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
        let texts =
            request.turns.iter().flat_map(|turn| &turn.parts).map(|part| estimate_tokens(&part.text)).sum::<u64>();
        let system = request.system.as_deref().map_or(0, estimate_tokens);
        let input = texts + system + estimate_tokens(&request.schema.json.to_string());
        Size { input, output_limit: request.max_output_tokens.map(u64::from) }
    }

    /// The request's key and the hashes of its parts.
    fn key(&self, request: &Request) -> (RequestKey, RequestParts) {
        // Every field is named, so that a new one is an error here until someone decides whether it belongs to the key.
        let Request { model, system, turns, schema, temperature, max_output_tokens, sample } = request;
        let mut spoken = blake3::Hasher::new();
        for turn in turns {
            absorb(&mut spoken, &serde_json::json!(turn.role).to_string());
            for part in &turn.parts {
                // The cache mark changes the bill, not the answer.
                absorb(&mut spoken, &part.text);
            }
        }
        let parts = RequestParts {
            system: digest(&[system.as_deref().unwrap_or("")]),
            turns: spoken.finalize().to_hex().to_string(),
            schema: digest(&[&schema.name, &schema.json.to_string()]),
            settings: digest(&[
                &self.model.name.provider,
                &self.model.endpoint.base_url,
                model,
                &format!("{temperature:?}"),
                &format!("{max_output_tokens:?}"),
                &sample.to_string(),
            ]),
        };
        let mut hasher = blake3::Hasher::new();
        for part in ["interrater request 1", &parts.system, &parts.turns, &parts.schema, &parts.settings] {
            absorb(&mut hasher, part);
        }
        (RequestKey::new(*hasher.finalize().as_bytes()), parts)
    }
}

/// Adds a text with its length, so that no two lists of texts look the same.
fn absorb(hasher: &mut blake3::Hasher, text: &str) {
    hasher.update(&(text.len() as u64).to_le_bytes());
    hasher.update(text.as_bytes());
}

fn digest(texts: &[&str]) -> String {
    let mut hasher = blake3::Hasher::new();
    texts.iter().for_each(|text| absorb(&mut hasher, text));
    hasher.finalize().to_hex().to_string()
}

fn lack_in_words(feature: Feature) -> &'static str {
    match feature {
        Feature::Temperature => "the model takes no temperature; it is left out",
        Feature::OutputLimit => "the model does not take the usual output limit; its older name is used",
        Feature::AnswerSchema => "the server takes no JSON schema; it goes into the prompt",
        Feature::CacheMark => "the server takes no cache marks; they are left out",
        Feature::SystemTurn => "the model takes no system text; it opens the user's turn",
    }
}
