//! The cap on what a run of the program may spend: money is set aside before a request goes and settled when it is answered, so that what
//! is in flight can never carry the sum over the cap.

use crate::llm::Request;
use crate::llm::price::Price;
use crate::usage::Usage;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

/// Output tokens that are set aside where a request has no limit of its own.
pub const UNLIMITED_OUTPUT: u32 = 16_384;

/// What may be spent, what was, and what is set aside.
#[derive(Debug)]
pub struct Budget {
    cap_usd: f64,
    price: Price,
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct State {
    spent_usd: f64,
    reserved_usd: f64,
    in_flight: usize,
}

/// Money set aside for one attempt. Dropped without being settled it counts as spent: nobody knows what the provider has charged.
#[derive(Debug)]
pub struct Reservation<'b> {
    budget: &'b Budget,
    usd: f64,
    settled: Option<f64>,
}

/// The next request could cost more than what is left.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
#[error("${spent_usd:.4} of the ${cap_usd} of --max-cost are spent, and the next request could cost ${needed_usd:.4}")]
pub struct Exhausted {
    /// The cap in US dollars.
    pub cap_usd: f64,
    /// What is spent.
    pub spent_usd: f64,
    /// What the next request could cost.
    pub needed_usd: f64,
}

impl Budget {
    /// A budget of `cap_usd` US dollars at these prices.
    pub fn new(cap_usd: f64, price: Price) -> Budget {
        Budget { cap_usd, price, state: Mutex::default(), changed: Notify::new() }
    }

    /// Sets aside the most that one attempt at `request` can cost; waits while requests in flight might yet give back what is missing.
    ///
    /// # Errors
    /// With nothing in flight there is too little left.
    pub async fn reserve(&self, request: &Request) -> Result<Reservation<'_>, Exhausted> {
        let usd = self.most(request);
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            // Listens from here on: a change between the look and the wait is not missed.
            changed.as_mut().enable();
            {
                let mut state = self.state();
                if state.spent_usd + state.reserved_usd + usd <= self.cap_usd {
                    state.reserved_usd += usd;
                    state.in_flight += 1;
                    return Ok(Reservation { budget: self, usd, settled: None });
                }
                if state.in_flight == 0 {
                    return Err(Exhausted { cap_usd: self.cap_usd, spent_usd: state.spent_usd, needed_usd: usd });
                }
            }
            changed.await;
        }
    }

    /// The most that one attempt can cost. A token has at least one byte; what is written to a cache may cost more than what is only read.
    fn most(&self, request: &Request) -> f64 {
        let Request { system, turns, schema, max_output_tokens, .. } = request;
        let text: usize = turns.iter().flat_map(|turn| &turn.parts).map(|part| part.text.len()).sum();
        // A few tokens tell the turns apart; a schema that is sent in the prompt stands there with some words around it.
        let prompt = system.as_ref().map_or(0, String::len) + text + 2 * schema.json.to_string().len() + 1_000;
        let output = u64::from(max_output_tokens.unwrap_or(UNLIMITED_OUTPUT));
        let of = |usage: Usage| self.price.cost(&Usage { output, ..usage });
        let prompt = prompt as u64;
        let read = of(Usage { input: prompt, ..Usage::default() });
        read.max(of(Usage { cache_write: prompt, ..Usage::default() }))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing panics amid a change of the state.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Reservation<'_> {
    /// The attempt was answered with this usage, as far as the server told.
    pub fn settle(mut self, usage: Option<&Usage>) {
        self.settled = usage.map(|usage| self.budget.price.cost(usage));
    }

    /// The attempt was refused: nothing is charged for that.
    pub fn give_back(mut self) {
        self.settled = Some(0.0);
    }
}

impl Drop for Reservation<'_> {
    fn drop(&mut self) {
        let mut state = self.budget.state();
        state.reserved_usd -= self.usd;
        state.spent_usd += self.settled.unwrap_or(self.usd);
        state.in_flight -= 1;
        drop(state);
        self.budget.changed.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::llm::{AnswerSchema, Part, Role, Turn};
    use std::sync::Arc;
    use std::time::Duration;

    fn request(bytes: usize) -> Request {
        Request {
            model: "m".to_owned(),
            system: None,
            turns: vec![Turn { role: Role::User, parts: vec![Part { text: "x".repeat(bytes), cache_mark: false }] }],
            schema: AnswerSchema { name: "a".to_owned(), json: serde_json::json!({}) },
            temperature: None,
            max_output_tokens: Some(1_000),
            sample: 0,
        }
    }

    fn budget(cap_usd: f64) -> Budget {
        Budget::new(cap_usd, toml::from_str("input = 1.0\ncache_write = 1.25\noutput = 10.0").unwrap())
    }

    fn used(input: u64, output: u64) -> Usage {
        Usage { input, output, ..Usage::default() }
    }

    #[test]
    fn the_most_that_a_request_can_cost_is_set_aside() {
        let most = budget(1.0).most(&request(9_000));
        assert!((most - ((9_000.0 + 4.0 + 1_000.0) * 1.25 + 1_000.0 * 10.0) / 1e6).abs() < 1e-12, "{most}");
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_in_flight_never_carries_the_sum_over_the_cap() {
        let (budget, cap) = (Arc::new(budget(0.1)), 0.1);
        let mut askers = tokio::task::JoinSet::new();
        for nth in 0..64_u64 {
            let budget = budget.clone();
            askers.spawn(async move {
                let mut paid = 0.0;
                while let Ok(reservation) = budget.reserve(&request(4_000)).await {
                    tokio::time::sleep(Duration::from_millis(100 + nth * 7)).await;
                    let usage = used(1_000 + nth, 200 + nth % 5 * 200);
                    paid += budget.price.cost(&usage);
                    reservation.settle(Some(&usage));
                }
                paid
            });
        }
        let paid: f64 = askers.join_all().await.into_iter().sum();
        let most = budget.most(&request(4_000));
        assert!(paid <= cap && paid > cap - most, "{paid}");
    }

    #[tokio::test(start_paused = true)]
    async fn an_attempt_whose_end_nobody_knows_counts_in_full() {
        let budget = budget(1.0);
        drop(budget.reserve(&request(4_000)).await.unwrap());
        assert_eq!(budget.state().spent_usd, budget.most(&request(4_000)));
        budget.reserve(&request(4_000)).await.unwrap().settle(None);
        assert_eq!(budget.state().spent_usd, 2.0 * budget.most(&request(4_000)));
        budget.reserve(&request(4_000)).await.unwrap().give_back();
        assert_eq!((budget.state().spent_usd, budget.state().in_flight), (2.0 * budget.most(&request(4_000)), 0));
    }

    #[tokio::test(start_paused = true)]
    async fn too_little_is_told_with_the_numbers() {
        let message = budget(0.01).reserve(&request(4_000)).await.unwrap_err().to_string();
        assert_eq!(message, "$0.0000 of the $0.01 of --max-cost are spent, and the next request could cost $0.0163");
    }
}
