//! The way to one model's batch lane: calls are repeated where that is safe, and errors are told apart as for single requests.

use super::BatchError;
use crate::config::Model;
use crate::engine::key::without_key;
use crate::llm::Fault;
use crate::llm::batch::{BatchLane, Call, RemoteBatch};
use crate::llm::client::{Answer, Client, Download, TransportError};
use crate::llm::retry::Backoff;
use std::time::Duration;

/// Why a call came to nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// No call can succeed now: a wrong key, no money, nobody there.
    #[error("{0}")]
    Stop(String),
    /// The server refuses this very call.
    #[error("{0}")]
    Refused(String),
    /// The server may have done what was asked, or not.
    #[error("{0}")]
    Unknown(String),
}

/// Whether a call may be made again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Again {
    /// It changes nothing, or nothing that costs.
    Always,
    /// Only where it has surely done nothing.
    WhereNothingWasDone,
}

/// The way to a model's batch lane.
pub struct Link {
    /// The model.
    pub model: Model,
    client: Client,
    backoff: Backoff,
}

impl Link {
    /// A way to `model`, if its provider has a lane.
    pub fn new(model: Model, timeout: Duration, backoff: Backoff) -> Result<Link, BatchError> {
        if model.adapter.batch_lane().is_none() {
            return Err(BatchError::NoLane(model.name.to_string()));
        }
        Ok(Link { model, client: Client::new(timeout), backoff })
    }

    /// The lane.
    pub fn lane(&self) -> &dyn BatchLane {
        self.model.adapter.batch_lane().expect("a link is made for a model with a lane")
    }

    /// The server's address.
    pub fn base_url(&self) -> &str {
        &self.model.endpoint.base_url
    }

    /// The batch of this name.
    pub async fn batch(&self, id: &str) -> Result<RemoteBatch, CallError> {
        let body = self.ask(&self.lane().look(self.base_url(), id)).await?;
        self.lane().batch(&body).map_err(|unreadable| CallError::Refused(unreadable.to_string()))
    }

    /// Makes a call that costs nothing, also again and again.
    pub async fn ask(&self, call: &Call) -> Result<Vec<u8>, CallError> {
        self.make(call, Again::Always).await
    }

    /// Makes a call that shall have its effect once.
    pub async fn ask_once(&self, call: &Call) -> Result<Vec<u8>, CallError> {
        self.make(call, Again::WhereNothingWasDone).await
    }

    /// Begins to fetch something long.
    pub async fn download(&self, call: &Call) -> Result<Download, CallError> {
        let mut failures = 0;
        loop {
            failures += 1;
            let (reason, after) = match self.client.download(call, self.model.endpoint.api_key.as_ref()).await {
                Ok(Ok(download)) => return Ok(download),
                Ok(Err(answer)) => self.fault(answer, Again::Always)?,
                Err(error) => transport(&error, Again::Always)?,
            };
            self.wait(failures, after, &reason).await?;
        }
    }

    async fn make(&self, call: &Call, again: Again) -> Result<Vec<u8>, CallError> {
        let mut failures = 0;
        loop {
            failures += 1;
            let (reason, after) = match self.client.call(call, self.model.endpoint.api_key.as_ref()).await {
                Ok(answer) if matches!(answer.status, 200..=299) => {
                    return Ok(without_key(answer.body, self.model.endpoint.api_key.as_ref()));
                }
                Ok(answer) => self.fault(answer, again)?,
                Err(error) => transport(&error, again)?,
            };
            self.wait(failures, after, &reason).await?;
        }
    }

    async fn wait(&self, failures: u32, after: Option<Duration>, reason: &str) -> Result<(), CallError> {
        match self.backoff.delay(failures, after, &mut rand::rng()) {
            Some(delay) => {
                tokio::time::sleep(delay).await;
                Ok(())
            }
            None if failures == 1 => Err(CallError::Stop(reason.to_owned())),
            None => Err(CallError::Stop(format!("asked {failures} times; the last answer: {reason}"))),
        }
    }

    /// What an error answer says, if it may pass: why, and when to come again.
    fn fault(&self, answer: Answer, again: Again) -> Result<(String, Option<Duration>), CallError> {
        let body = without_key(answer.body.clone(), self.model.endpoint.api_key.as_ref());
        match self.model.adapter.fault(answer.status, &|name| answer.header(name), &body) {
            // A server that is too busy has done nothing; one that failed, or a gateway that waited in vain, may have.
            Fault::Busy { reason, .. }
                if again == Again::WhereNothingWasDone && !matches!(answer.status, 429 | 503 | 529) =>
            {
                Err(CallError::Unknown(reason))
            }
            Fault::Busy { reason, after, .. } => Ok((reason, after)),
            Fault::Stop(reason) => Err(CallError::Stop(reason)),
            Fault::TooLong(reason) | Fault::Refused(reason) | Fault::BadRequest(reason) | Fault::Lacks(_, reason) => {
                Err(CallError::Refused(reason))
            }
        }
    }
}

/// What a failure on the way says, if it may pass.
fn transport(error: &TransportError, again: Again) -> Result<(String, Option<Duration>), CallError> {
    let reason = error.to_string();
    match error {
        // Without a connection nothing was sent.
        TransportError::Connect { .. } => Ok((reason, None)),
        error if !error.can_pass(false) => Err(CallError::Stop(reason)),
        _ if again == Again::WhereNothingWasDone => Err(CallError::Unknown(reason)),
        TransportError::TooLarge { .. } => Err(CallError::Stop(reason)),
        _ => Ok((reason, None)),
    }
}
