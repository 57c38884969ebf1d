//! When the next request may go: takes the limits and what servers say, gives permits.
//!
//! Three gates stand in a row: a time before which nothing goes (the server asked for a pause), the number of requests in flight, and the
//! requests and tokens a minute. Requests pass them one after the other in the order in which they came. That is what makes it fair: a long
//! transcript would otherwise wait for a moment at which no short one takes what it saves up for, and such a moment does not come.

mod gate;

use super::RateLimits;
use super::retry::LONGEST_WAIT;
use gate::{Gate, Told};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::Instant;

/// How long all must go well before one more request may be in flight.
const HEALTHY_WINDOW: Duration = Duration::from_secs(5);

/// Steps from none to all of the configured concurrency, for large ones; small ones grow one by one.
const STEPS: usize = 32;

/// The limits that the user sets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Requests in flight at most; 0 counts as 1.
    pub concurrency: usize,
    /// Requests a minute; `None` follows what the server says, if it says anything.
    pub requests_per_minute: Option<u64>,
    /// Tokens a minute; `None` follows what the server says, if it says anything.
    pub tokens_per_minute: Option<u64>,
}

/// Lets requests go at the pace of one endpoint. Clones share it.
#[derive(Debug, Clone)]
pub struct Pacer {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    limits: Limits,
    /// Held by the request that is next; waiting for it is first come, first served.
    turn: tokio::sync::Mutex<()>,
    state: Mutex<State>,
    /// Wakes the one request that is next when something has changed.
    changed: Notify,
}

#[derive(Debug)]
struct State {
    not_before: Instant,
    in_flight: usize,
    concurrency: usize,
    /// When the concurrency was last halved.
    halved: Option<Instant>,
    /// When the concurrency last grew or an answer was throttled: a healthy window begins here.
    unhealthy: Instant,
    requests: Option<Gate>,
    tokens: Option<Gate>,
    /// Tokens used beyond what was estimated and paid.
    debt: u64,
    sent: Sent,
}

/// What has been let go since the start.
#[derive(Debug, Clone, Copy, Default)]
struct Sent {
    requests: u64,
    tokens: u64,
}

/// Why a gate lets the next request wait.
enum Closed {
    For(Duration),
    UntilChange,
}

/// The leave to have one request in flight, until it is dropped.
#[derive(Debug)]
pub struct Permit {
    place: Place,
    at: Instant,
    sent: Sent,
    throttled: AtomicBool,
}

/// A place among the requests in flight.
#[derive(Debug)]
struct Place(Arc<Shared>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.state().in_flight -= 1;
        self.0.changed.notify_one();
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if !self.throttled.load(Ordering::Relaxed) {
            let shared = &self.place.0;
            shared.state().recover(shared.limits.concurrency);
        }
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing panics amid a change of the state.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pacer {
    /// A pacer with nothing in flight.
    pub fn new(limits: Limits) -> Pacer {
        let limits = Limits { concurrency: limits.concurrency.max(1), ..limits };
        let now = Instant::now();
        let state = State {
            not_before: now,
            in_flight: 0,
            concurrency: limits.concurrency,
            halved: None,
            unhealthy: now,
            requests: limits.requests_per_minute.map(Gate::new),
            tokens: limits.tokens_per_minute.map(Gate::new),
            debt: 0,
            sent: Sent::default(),
        };
        let shared =
            Shared { limits, turn: tokio::sync::Mutex::new(()), state: Mutex::new(state), changed: Notify::new() };
        Pacer { shared: Arc::new(shared) }
    }

    /// Waits until a request of about `tokens` tokens may go.
    ///
    /// One that is larger than the limit of a whole minute goes after it has paid for a whole minute: then the server's own bucket is as
    /// full as it gets, and whether it takes the request is for it to say, since `tokens` is an estimate.
    ///
    /// Dropping the future gives the place up; what was paid stays paid.
    pub async fn admit(&self, tokens: u64) -> Permit {
        let _turn = self.shared.turn.lock().await;
        // Held from here on: a place is given back also where this future is dropped amid the waits below.
        let place = self.pass(|state| state.enter().map(|()| Place(Arc::clone(&self.shared)))).await;
        let mut request = 1;
        self.pass(|state| State::pay(&mut state.requests, &mut request)).await;
        // Taken over at the first look: `None` until it is the tokens' turn.
        let mut owed = None;
        let paid = self.pass(|state| {
            let limit = state.tokens.as_ref().map_or(0, Gate::per_minute);
            let owed = owed.get_or_insert_with(|| tokens.min(limit) + std::mem::take(&mut state.debt));
            State::pay(&mut state.tokens, owed)?;
            state.sent.requests += 1;
            state.sent.tokens += tokens;
            Ok(state.sent)
        });
        let sent = paid.await;
        Permit { place, at: Instant::now(), sent, throttled: AtomicBool::new(false) }
    }

    /// Waits until a gate is open. The pause is looked at first, and again after every wait: it may have been asked for meanwhile.
    async fn pass<T>(&self, mut gate: impl FnMut(&mut State) -> Result<T, Closed>) -> T {
        loop {
            let closed = {
                let mut state = self.shared.state();
                match state.pause().and_then(|()| gate(&mut state)) {
                    Ok(passed) => return passed,
                    Err(closed) => closed,
                }
            };
            match closed {
                // Whether the time has passed or something has changed: both are looked at anew.
                Closed::For(wait) => drop(tokio::time::timeout(wait, self.shared.changed.notified()).await),
                Closed::UntilChange => self.shared.changed.notified().await,
            }
        }
    }

    /// Lets nothing go for this long, or [`LONGEST_WAIT`] if that is shorter; a pause that is already longer stays.
    pub fn hold(&self, pause: Duration) {
        let mut state = self.shared.state();
        state.not_before = state.not_before.max(Instant::now() + pause.min(LONGEST_WAIT));
    }

    /// The server says that we are too fast: halves the requests in flight, and holds all of them for as long as it asks.
    ///
    /// Answers to requests that went before the last halving are its echo: they halve nothing again. Those in flight beyond the new limit
    /// end in their own time.
    pub fn throttled(&self, permit: &Permit, after: Option<Duration>) {
        permit.throttled.store(true, Ordering::Relaxed);
        let mut state = self.shared.state();
        state.unhealthy = Instant::now();
        if state.halved.is_none_or(|halved| permit.at > halved) {
            state.concurrency = (state.concurrency / 2).max(1);
            state.halved = Some(state.unhealthy);
        }
        drop(state);
        if let Some(after) = after {
            self.hold(after);
        }
    }

    /// Charges what a request used beyond its estimate: later requests wait for it.
    ///
    /// A smaller use gives nothing back, for servers charge what a request might use; where they do give back, [`Pacer::observe`] sees it.
    pub fn settle(&self, estimate: u64, actual: u64) {
        let mut state = self.shared.state();
        let Some(limit) = state.tokens.as_ref().map(Gate::per_minute) else { return };
        // Servers forget after a minute, and so may we.
        state.debt = state.debt.saturating_add(actual.saturating_sub(estimate)).min(limit);
    }

    /// Follows the limits that the answer to this permit's request told. The user's own limits are never exceeded.
    ///
    /// What was left is as old as the request: what has been let go since is taken off, what has been refilled since is added.
    pub fn observe(&self, permit: &Permit, limits: RateLimits) {
        let RateLimits { requests, requests_left, tokens, tokens_left } = limits;
        let own = self.shared.limits;
        let age = permit.at.elapsed();
        let mut state = self.shared.state();
        let spent = Sent {
            requests: state.sent.requests - permit.sent.requests,
            tokens: state.sent.tokens - permit.sent.tokens,
        };
        if let Some(limit) = requests {
            let told = Told { limit, left: requests_left, age, spent: spent.requests };
            Gate::follow(&mut state.requests, own.requests_per_minute, told);
        }
        if let Some(limit) = tokens {
            let told = Told { limit, left: tokens_left, age, spent: spent.tokens };
            Gate::follow(&mut state.tokens, own.tokens_per_minute, told);
        }
        drop(state);
        self.shared.changed.notify_one();
    }

    /// How many requests may be in flight now: the configured number, or less after throttled answers.
    pub fn concurrency(&self) -> usize {
        self.shared.state().concurrency
    }

    /// How many requests are in flight.
    pub fn in_flight(&self) -> usize {
        self.shared.state().in_flight
    }
}

impl State {
    fn pause(&self) -> Result<(), Closed> {
        let left = self.not_before.saturating_duration_since(Instant::now());
        if left.is_zero() { Ok(()) } else { Err(Closed::For(left)) }
    }

    fn enter(&mut self) -> Result<(), Closed> {
        if self.in_flight >= self.concurrency {
            return Err(Closed::UntilChange);
        }
        self.in_flight += 1;
        Ok(())
    }

    fn pay(gate: &mut Option<Gate>, owed: &mut u64) -> Result<(), Closed> {
        gate.as_mut().map_or(Ok(()), |gate| gate.pay(owed).map_err(Closed::For))
    }

    /// One answer went well: after a window of such answers the concurrency grows again.
    fn recover(&mut self, maximum: usize) {
        if self.concurrency < maximum && self.unhealthy.elapsed() >= HEALTHY_WINDOW {
            self.concurrency = (self.concurrency + (maximum / STEPS).max(1)).min(maximum);
            self.unhealthy = Instant::now();
        }
    }
}

#[cfg(test)]
mod tests;
