//! One attempt at a request: money and pace first, then the wire, and what has become of it.

use super::{AskError, Asker, Stopped};
use crate::engine::key::without_key;
use crate::llm::client::{Answer, TransportError};
use crate::llm::pace::{Outcome, Permit, Size};
use crate::llm::retry::LONGEST_WAIT;
use crate::llm::{Fault, Feature, Request, Response};
use crate::run::Status;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// A unit that fails while so many others are answered fails for its own sake, not for the server's.
const OTHERS_ANSWERED: u64 = 2;

/// What became of one attempt.
pub(super) enum Attempt {
    /// It was answered, and the answer can be read.
    Answered(Box<Received>),
    /// It can be sent again, after this time if the server names one.
    Failed { reason: String, after: Option<Duration> },
    /// The server has asked for a pause, which is not over; it can be sent again after this time.
    StillPaused(Duration),
    /// The model lacks something; it can be sent again without that.
    Learnt,
    /// The server says that it is no request that it can do anything with.
    BadRequest(String),
    /// It will never be answered.
    Unanswerable { status: Status, reason: String },
}

/// An answer that can be read.
pub(super) struct Received {
    /// As it came.
    pub answer: Answer,
    /// What it says.
    pub response: Response,
    /// What of the request the model has shown not to heed, and by what.
    pub ignored: Option<(Feature, String)>,
}

impl Asker {
    /// Sends a request once, as soon as there is money for it and the pace allows; `nth` counts from 1. `answered` is how many
    /// answers there had been when it went out for the first time, if it has.
    pub(super) async fn attempt(
        &self,
        request: &Request,
        size: Size,
        nth: u32,
        answered: &mut Option<u64>,
    ) -> Result<Attempt, AskError> {
        let reservation = tokio::select! {
            biased;
            () = self.wind_down.cancelled() => return Err(AskError::Cancelled),
            reservation = self.spending.reserve(request) => reservation,
        };
        let mut reservation = reservation.map_err(|exhausted| self.stop(Stopped::Exhausted(exhausted)))?;
        let permit = tokio::select! {
            biased;
            () = self.wind_down.cancelled() => return Err(AskError::Cancelled),
            permit = self.pacer.admit(size) => permit,
        };
        let permit = permit.map_err(|outage| self.stop(Stopped::Trouble(outage.to_string())))?;
        let is_look = permit.is_look();
        let lacking = self.lacking();
        let http = self.recall.model.adapter.encode(&self.recall.model.endpoint.base_url, request, &lacking);
        let answered = *answered.get_or_insert(self.answers.load(Ordering::Relaxed));
        reservation.sent();
        let sent = tokio::select! {
            biased;
            sent = self.client.send(&http, self.recall.model.endpoint.api_key.as_ref()) => sent,
            () = self.abandon.cancelled() => return Err(AskError::Cancelled),
        };
        let api_key = self.recall.model.endpoint.api_key.as_ref();
        let answer = match sent {
            Ok(answer) => Answer { body: without_key(answer.body, api_key), ..answer },
            Err(error) => {
                if !error.may_be_billed() {
                    reservation.give_back();
                }
                let reason = error.to_string();
                let outcome = match error {
                    TransportError::Timeout { .. } => Outcome::TimedOut(&reason),
                    _ => Outcome::Failed(&reason),
                };
                self.end_failed(permit, outcome, answered);
                self.transport_fault(&error, nth)?;
                return Ok(Attempt::Failed { reason, after: None });
            }
        };
        if answer.status == 200 {
            permit.observe(&self.recall.model.adapter.rate_limits(&|name| answer.header(name)));
            return match self.recall.model.adapter.decode(&answer.body) {
                Ok(response) => {
                    reservation.settle(response.usage.as_ref());
                    response.usage.iter().for_each(|usage| permit.settle(usage));
                    permit.end(Outcome::Answered);
                    let ignored = self.recall.model.adapter.ignored(request, &lacking, &response);
                    Ok(Attempt::Answered(Box::new(Received { answer, response, ignored })))
                }
                Err(unreadable) => {
                    let reason = unreadable.to_string();
                    self.end_failed(permit, Outcome::Failed(&reason), answered);
                    self.nobody_there(&reason)?;
                    Ok(Attempt::Failed { reason, after: None })
                }
            };
        }
        // What is refused is not charged.
        reservation.give_back();
        match self.fault(&answer, &lacking) {
            Fault::Busy { reason, after, throttled } => {
                let limits = self.recall.model.adapter.rate_limits(&|name| answer.header(name));
                permit.observe(&limits);
                let too_fast = answer.status == 429;
                if let Some(quota) = limits.used_up(after).filter(|_| too_fast) {
                    return Err(self.stop(Stopped::Trouble(format!("{reason}: {quota}"))));
                }
                match throttled {
                    true if too_fast => permit.end(Outcome::TooFast { after, reason: &reason }),
                    true => permit.end(Outcome::Overloaded(&reason)),
                    false => self.end_failed(permit, Outcome::Failed(&reason), answered),
                }
                // It went to look whether a pause that others were asked for is over.
                if is_look && too_fast {
                    return Ok(Attempt::StillPaused(after.unwrap_or_default().min(LONGEST_WAIT)));
                }
                Ok(Attempt::Failed { reason, after })
            }
            Fault::Stop(message) => Err(self.stop(Stopped::Trouble(message))),
            Fault::BadRequest(message) => {
                permit.end(Outcome::Answered);
                Ok(Attempt::BadRequest(message))
            }
            Fault::TooLong(message) => {
                permit.end(Outcome::Answered);
                let reason = format!("too long for the model: {message}");
                Ok(Attempt::Unanswerable { status: Status::Failed, reason })
            }
            Fault::Refused(reason) => {
                permit.end(Outcome::Answered);
                Ok(Attempt::Unanswerable { status: Status::Refused, reason })
            }
            Fault::Lacks(feature, message) => {
                permit.end(Outcome::Answered);
                self.learn(feature, &message).await?;
                Ok(Attempt::Learnt)
            }
        }
    }

    /// Ends a request that has failed. What fails for its own sake says nothing of the server: the last units of a run, if it can answer
    /// none of them, are no outage.
    fn end_failed(&self, permit: Permit, outcome: Outcome<'_>, answered: u64) {
        let is_own = self.answers.load(Ordering::Relaxed) >= answered + OTHERS_ANSWERED;
        if is_own && !self.pacer.is_outage() { drop(permit) } else { permit.end(outcome) }
    }
}
