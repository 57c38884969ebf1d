//! When the next request may go: takes the limits, what servers say and how requests end; gives permits.
//!
//! What stands before a request, in this order: an outage, in which single requests look whether it is over (`breaker`), a pause that the
//! server asked for (`pause`), limits of requests and tokens a minute (`gate`) against which a request counts what it will
//! use, most likely (`learnt`), and the number of requests in flight (`concurrency`). Requests pass one after the other in the order in
//! which they came. That is what makes it fair: a long transcript would otherwise wait for a moment at which no short one takes
//! what it saves up for, and such a moment does not come.

mod breaker;
mod bucket;
mod concurrency;
mod gate;
mod learnt;
mod pause;
mod window;

pub use breaker::Outage;
pub use learnt::{Size, Snapshot};

use super::retry::LONGEST_WAIT;
use super::{Accounting, RateLimits};
use crate::usage::Usage;
use breaker::{Breaker, Broken};
use concurrency::Concurrency;
use gate::Gate;
use learnt::{Charge, Learnt};
use pause::Pause;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::Instant;

/// A request that is so many times larger than most is one that the server may have no room for, while it has for others.
const LARGE: f64 = 2.5;
/// How long a large request that the server has no room for holds the others: until they have shown whether there is room for them.
const DOUBT: Duration = Duration::from_secs(1);
/// The step by which the usual size is tracked: half of the sizes are above it, half below.
const SIZE_STEP: f64 = 1.05;

/// The limits that the user sets. Where one is `None`, what the server says of it is followed, if it says anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Requests in flight at most; 0 counts as 1.
    pub concurrency: usize,
    /// Requests a minute.
    pub requests_per_minute: Option<u64>,
    /// Tokens a minute, input and output together.
    pub tokens_per_minute: Option<u64>,
    /// Input tokens a minute, as the server counts them.
    pub input_tokens_per_minute: Option<u64>,
    /// Output tokens a minute.
    pub output_tokens_per_minute: Option<u64>,
    /// How long all requests may fail.
    pub patience: Duration,
}

/// Lets requests go at the pace of one model at one endpoint. Clones share it.
#[derive(Debug, Clone)]
pub struct Pacer {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    /// Held by the request that is next; waiting for it is first come, first served.
    turn: tokio::sync::Mutex<()>,
    state: Mutex<State>,
    /// Wakes the one request that is next when something has changed.
    changed: Notify,
}

#[derive(Debug)]
struct State {
    pause: Pause,
    breaker: Breaker,
    concurrency: Concurrency,
    /// Of requests, of tokens, of input tokens, of output tokens.
    gates: [Gate; 4],
    learnt: Learnt,
    /// The size that half of the requests exceed, in tokens; zero before the first.
    usual: f64,
}

/// How a request ended, as far as the pace is concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome<'r> {
    /// With an answer, or with a refusal that concerns this request alone: the server is well.
    Answered,
    /// We are too fast (429).
    TooFast {
        /// The wait that the server asks for.
        after: Option<Duration>,
        /// What it said.
        reason: &'r str,
    },
    /// The server has too much to do (529).
    Overloaded(&'r str),
    /// No answer came in time.
    TimedOut(&'r str),
    /// The server is broken or cannot be reached.
    Failed(&'r str),
}

/// What is still between a request and its permit.
#[derive(Debug, Clone, Copy)]
struct Claim {
    charge: Charge,
    prices: [u64; 4],
    owed: [u64; 4],
}

/// Why the next request has to wait.
enum Closed {
    For(Duration),
    UntilChange,
}

/// The leave to have one request in flight. Whoever drops it without [`Permit::end`] says nothing of how the request ended.
#[derive(Debug)]
pub struct Permit {
    shared: Arc<Shared>,
    at: Instant,
    size: Size,
    claim: Claim,
    /// What had been let go through each gate, this request included.
    let_go: [u64; 4],
    look: Look,
    is_over: bool,
}

/// What a request looks at, beside what it is sent for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Look {
    outage: bool,
    pause: bool,
}

impl Pacer {
    /// A pacer with nothing in flight, for a server that counts tokens in this way.
    pub fn new(limits: Limits, accounting: Accounting) -> Pacer {
        Pacer::knowing(limits, accounting, Snapshot::default())
    }

    /// A pacer that knows what an earlier one has learnt of the same model.
    pub fn knowing(limits: Limits, accounting: Accounting, known: Snapshot) -> Pacer {
        let Limits {
            concurrency,
            requests_per_minute,
            tokens_per_minute,
            input_tokens_per_minute,
            output_tokens_per_minute,
            patience,
        } = limits;
        let own = [requests_per_minute, tokens_per_minute, input_tokens_per_minute, output_tokens_per_minute];
        let state = State {
            pause: Pause::none(Instant::now()),
            breaker: Breaker::new(patience),
            concurrency: Concurrency::new(concurrency),
            gates: own.map(Gate::new),
            learnt: Learnt::new(accounting, known),
            usual: 0.0,
        };
        let shared = Shared { turn: tokio::sync::Mutex::new(()), state: Mutex::new(state), changed: Notify::new() };
        Pacer { shared: Arc::new(shared) }
    }

    /// Waits until a request of this size may go; an error says that nothing was answered for as long as the user has patience.
    ///
    /// A request that is larger than the limit of a whole minute goes after it has paid for a whole minute.
    ///
    /// Dropping the future gives the place in the line up; what was paid stays paid.
    pub async fn admit(&self, size: Size) -> Result<Permit, Outage> {
        let _turn = self.shared.turn.lock().await;
        let mut claim = None;
        loop {
            let closed = {
                let mut state = self.shared.state();
                let now = Instant::now();
                let claim = claim.get_or_insert_with(|| state.claim(size));
                match state.pass(claim, now)? {
                    Some(closed) => closed,
                    None => {
                        let (let_go, look) = state.enter(claim, now);
                        let claim = *claim;
                        let shared = Arc::clone(&self.shared);
                        return Ok(Permit { shared, at: now, size, claim, let_go, look, is_over: false });
                    }
                }
            };
            match closed {
                // Whether the time has passed or something has changed: all is looked at anew.
                Closed::For(wait) => drop(tokio::time::timeout(wait, self.shared.changed.notified()).await),
                Closed::UntilChange => self.shared.changed.notified().await,
            }
        }
    }

    /// How many requests may be in flight now: at most the configured number.
    pub fn concurrency(&self) -> usize {
        self.shared.state().concurrency.level()
    }

    /// How many requests are in flight.
    pub fn in_flight(&self) -> usize {
        self.shared.state().concurrency.in_flight()
    }

    /// Whether everything fails, so that requests wait until the server is back.
    pub fn is_outage(&self) -> bool {
        self.shared.state().breaker.is_open()
    }

    /// What was learnt of the model.
    pub fn snapshot(&self) -> Snapshot {
        self.shared.state().learnt.snapshot()
    }
}

impl Permit {
    /// Follows the limits that the answer's headers tell. The user's own limits are never exceeded.
    pub fn observe(&self, limits: &RateLimits) {
        let RateLimits { requests, tokens, input_tokens, output_tokens } = *limits;
        let told = [requests, tokens, input_tokens, output_tokens];
        if told.iter().all(|told| told.limit.is_none()) {
            return;
        }
        let now = Instant::now();
        let mut state = self.shared.state();
        for ((gate, told), let_go) in state.gates.iter_mut().zip(told).zip(self.let_go) {
            gate.follow(told, self.at, let_go, now);
        }
        drop(state);
        self.shared.changed.notify_one();
    }

    /// Corrects what was charged by what the request has used, and learns from it.
    pub fn settle(&self, usage: &Usage) {
        let mut state = self.shared.state();
        state.learnt.learn(self.size, usage);
        let actual = state.learnt.actual(self.size, usage);
        state.correct(self, actual);
        drop(state);
        self.shared.changed.notify_one();
    }

    /// Whether it goes in a pause that the server asked for, to look whether others would be answered: that it is refused says nothing of it.
    pub fn is_look(&self) -> bool {
        self.look.pause
    }

    /// The request has ended.
    pub fn end(mut self, outcome: Outcome<'_>) {
        self.is_over = true;
        let shared = Arc::clone(&self.shared);
        let mut state = shared.state();
        state.end(&self, outcome, Instant::now());
        state.concurrency.leave();
        drop(state);
        shared.changed.notify_one();
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if self.is_over {
            return;
        }
        let mut state = self.shared.state();
        if self.look.outage {
            state.breaker.give_up();
        }
        if self.look.pause {
            state.pause.give_up();
        }
        state.concurrency.leave();
        drop(state);
        self.shared.changed.notify_one();
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing panics amid a change of the state.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// What a request of this size has to pay.
    fn claim(&mut self, size: Size) -> Claim {
        let charge = self.learnt.charge(size);
        let amounts = charge.amounts();
        let prices = std::array::from_fn(|at| self.gates[at].price(amounts[at]));
        let owed = std::array::from_fn(|at| self.gates[at].owed(prices[at]));
        Claim { charge, prices, owed }
    }

    /// Whether the next request may go, else for how long not.
    fn pass(&mut self, claim: &mut Claim, now: Instant) -> Result<Option<Closed>, Outage> {
        match self.breaker.pass(now) {
            Ok(()) => {}
            Err(Broken::For(wait) | Broken::UntilLooked(wait)) => return Ok(Some(Closed::For(wait))),
            Err(Broken::Outage(outage)) => return Err(outage),
        }
        if let Some(wait) = self.pause.wait(now) {
            return Ok(Some(Closed::For(wait)));
        }
        let amounts = claim.charge.amounts();
        let closed = self.gates.iter_mut().enumerate().filter_map(|(at, gate)| {
            // All of them are paid at the same time, and while there is no place: the first that asks for more is the next to look at.
            gate.open(amounts[at], claim.prices[at], &mut claim.owed[at], now).err()
        });
        Ok(match closed.min() {
            Some(wait) => Some(Closed::For(wait)),
            None => (!self.concurrency.has_place()).then_some(Closed::UntilChange),
        })
    }

    /// Lets the next request go; gives what has been let go through each gate, and what it looks at.
    fn enter(&mut self, claim: &Claim, now: Instant) -> ([u64; 4], Look) {
        self.concurrency.enter();
        let tokens = (claim.charge.tokens as f64).max(1.0);
        self.usual = match self.usual {
            0.0 => tokens,
            usual if tokens > usual => usual * SIZE_STEP,
            usual => usual / SIZE_STEP,
        };
        let amounts = claim.charge.amounts();
        for (at, gate) in self.gates.iter_mut().enumerate() {
            gate.pass(amounts[at], claim.prices[at], now);
        }
        let look = Look { outage: self.breaker.enter(), pause: self.pause.enter(now) };
        (std::array::from_fn(|at| self.gates[at].let_go()), look)
    }

    fn end(&mut self, permit: &Permit, outcome: Outcome<'_>, now: Instant) {
        match outcome {
            Outcome::Answered => self.pause.answered(permit.look.pause, now),
            // Tells the pause itself.
            Outcome::TooFast { .. } => {}
            _ if permit.look.pause => self.pause.looked_in_vain(now),
            _ => {}
        }
        match outcome {
            Outcome::Answered => {
                if self.breaker.answered() {
                    self.concurrency.restart(now);
                }
                self.concurrency.answered(permit.at);
            }
            Outcome::TooFast { after, reason } => {
                // A look at a pause was told what was known.
                if permit.look.outage || !permit.look.pause {
                    self.breaker.throttled(permit.look.outage, reason, permit.at, now);
                }
                // It has cost no tokens.
                self.correct(permit, Charge { requests: 1, ..Charge::default() });
                let after = after.unwrap_or_default().min(LONGEST_WAIT);
                // What is much larger than the others may have found no room where they do: it waits alone.
                let is_large = permit.claim.charge.tokens as f64 > self.usual * LARGE;
                let after = if is_large { after.min(DOUBT) } else { after };
                self.pause.asked(after, permit.look.pause, now);
                if !is_large && self.gates.iter().any(Gate::is_limited) {
                    self.concurrency.decrease_a_little(permit.at, now);
                } else if !is_large {
                    self.concurrency.decrease(permit.at, now);
                }
            }
            Outcome::Overloaded(reason) => {
                self.breaker.throttled(permit.look.outage, reason, permit.at, now);
                self.concurrency.decrease(permit.at, now);
            }
            Outcome::TimedOut(reason) => {
                self.breaker.failed(permit.look.outage, reason, now);
                self.concurrency.decrease(permit.at, now);
            }
            Outcome::Failed(reason) => self.breaker.failed(permit.look.outage, reason, now),
        }
    }

    fn correct(&mut self, permit: &Permit, actual: Charge) {
        let actual = actual.amounts();
        for (at, gate) in self.gates.iter_mut().enumerate() {
            gate.correct(permit.at, permit.claim.prices[at], actual[at]);
        }
    }
}

#[cfg(test)]
mod simulation;
#[cfg(test)]
mod tests;
