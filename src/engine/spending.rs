//! What a job spends: each attempt sets money aside before it goes and is settled when it has ended, so that what is in flight can never
//! carry the sum over a cap; and the account of what was paid, and of what did not have to be.

use crate::llm::price::Price;
use crate::llm::{OUTPUT_LIMIT, Request};
use crate::run::Annotation;
use crate::usage::Usage;
use serde::Serialize;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

/// Tokens around the words of a prompt: what tells turns apart, and what a provider says of the form of the answer.
const TOKENS_AROUND: usize = 1_000;

/// What a job may spend, and what it has spent.
#[derive(Debug)]
pub struct Spending {
    price: Option<Price>,
    /// The cap in US dollars. There is none without a price.
    cap_usd: Option<f64>,
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct State {
    spent: Spent,
    reserved_usd: f64,
    in_flight: usize,
}

/// The account of a job: of what it did itself, not of what earlier ones have paid.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Spent {
    /// Answers that it has paid for.
    pub answers: u64,
    /// Their tokens, as far as the server told.
    pub usage: Usage,
    /// What they cost in US dollars; `None` where no price is known.
    pub cost_usd: Option<f64>,
    /// Attempts that may have been billed although nobody told: without an answer, or with one that tells no usage.
    pub untold: u64,
    /// What those can have cost at most, in US dollars; it counts against a cap. `None` without one.
    pub untold_usd: Option<f64>,
    /// What the provider's prompt cache has saved, in US dollars: the answers at the plain input price, less what they cost.
    pub saved_by_prompt_cache_usd: Option<f64>,
    /// Answers that were stored, and used again.
    pub stored: u64,
    /// What was paid for those when they were asked for, in US dollars; `None` where no price is known.
    pub saved_by_store_usd: Option<f64>,
}

/// Money set aside for one attempt. Dropped after it was sent and without being settled it counts as spent: nobody knows what the provider
/// has charged.
#[derive(Debug)]
pub struct Reservation<'s> {
    spending: &'s Spending,
    usd: f64,
    end: End,
}

#[derive(Debug, Clone, Copy)]
enum End {
    /// It costs nothing: it was not sent, or it was refused.
    Free,
    /// Nobody knows what it cost.
    Untold,
    /// It was answered, and this is what it took.
    Told(Usage),
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

impl Spending {
    /// Nothing spent yet, at this price, if one is known. A cap needs a price.
    pub fn new(price: Option<Price>, cap_usd: Option<f64>) -> Spending {
        let cap_usd = cap_usd.filter(|_| price.is_some());
        Spending { price, cap_usd, state: Mutex::default(), changed: Notify::new() }
    }

    /// Whether there is a cap.
    pub fn is_capped(&self) -> bool {
        self.cap_usd.is_some()
    }

    /// Sets aside the most that one attempt at `request` can cost; waits while requests in flight might yet give back what is missing.
    ///
    /// # Errors
    /// With nothing in flight there is too little left.
    pub async fn reserve(&self, request: &Request) -> Result<Reservation<'_>, Exhausted> {
        let (Some(cap_usd), Some(price)) = (self.cap_usd, &self.price) else {
            return Ok(Reservation { spending: self, usd: 0.0, end: End::Free });
        };
        let usd = most(price, request);
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            // Listens from here on: a change between the look and the wait is not missed.
            changed.as_mut().enable();
            {
                let mut state = self.state();
                let spent_usd = state.spent.counted();
                if spent_usd + state.reserved_usd + usd <= cap_usd {
                    state.reserved_usd += usd;
                    state.in_flight += 1;
                    return Ok(Reservation { spending: self, usd, end: End::Free });
                }
                if state.in_flight == 0 {
                    return Err(Exhausted { cap_usd, spent_usd, needed_usd: usd });
                }
            }
            changed.await;
        }
    }

    /// A row was made of stored answers.
    pub fn reused(&self, row: &Annotation) {
        let mut state = self.state();
        state.spent.stored += 1;
        if let Some(cost) = row.cost_usd {
            *state.spent.saved_by_store_usd.get_or_insert(0.0) += cost;
        }
    }

    /// The account so far.
    pub fn spent(&self) -> Spent {
        let priced = |usd: Option<f64>| self.price.as_ref().map(|_| usd.unwrap_or(0.0));
        let spent = self.state().spent.clone();
        Spent {
            cost_usd: priced(spent.cost_usd),
            untold_usd: self.cap_usd.map(|_| spent.untold_usd.unwrap_or(0.0)),
            saved_by_prompt_cache_usd: priced(spent.saved_by_prompt_cache_usd),
            saved_by_store_usd: priced(spent.saved_by_store_usd),
            ..spent
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing panics amid a change of the state.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Spent {
    /// What counts against the cap.
    fn counted(&self) -> f64 {
        self.cost_usd.unwrap_or(0.0) + self.untold_usd.unwrap_or(0.0)
    }

    fn pay(&mut self, usage: Usage, price: Option<&Price>) {
        self.answers += 1;
        self.usage += usage;
        let Some(price) = price else { return };
        let cost = price.cost(&usage);
        let plain = price.cost(&Usage { input: usage.prompt(), cached_input: 0, cache_write: 0, ..usage });
        *self.cost_usd.get_or_insert(0.0) += cost;
        *self.saved_by_prompt_cache_usd.get_or_insert(0.0) += plain - cost;
    }
}

/// The most that one attempt can cost. A token has at least one byte; what is written to a cache may cost more than what is only read.
fn most(price: &Price, request: &Request) -> f64 {
    let Request { system, schema, max_output_tokens, .. } = request;
    let text: usize = request.parts().map(|part| part.text.len()).sum();
    // A schema that a server does not take stands in the prompt.
    let prompt = system.as_ref().map_or(0, String::len) + text + schema.json.to_string().len() + TOKENS_AROUND;
    let output = u64::from(max_output_tokens.unwrap_or(OUTPUT_LIMIT));
    let of = |usage: Usage| price.cost(&Usage { output, ..usage });
    let prompt = prompt as u64;
    let read = of(Usage { input: prompt, ..Usage::default() });
    read.max(of(Usage { cache_write: prompt, ..Usage::default() }))
}

impl Reservation<'_> {
    /// The attempt goes out: from here on it may be billed.
    pub fn sent(&mut self) {
        self.end = End::Untold;
    }

    /// It was answered with this usage, as far as the server told.
    pub fn settle(mut self, usage: Option<&Usage>) {
        self.end = usage.map_or(End::Untold, |usage| End::Told(*usage));
    }

    /// It was refused, or never arrived: nothing is charged for that.
    pub fn give_back(mut self) {
        self.end = End::Free;
    }
}

impl Drop for Reservation<'_> {
    fn drop(&mut self) {
        let mut state = self.spending.state();
        match self.end {
            End::Free => {}
            End::Untold => {
                state.spent.untold += 1;
                *state.spent.untold_usd.get_or_insert(0.0) += self.usd;
            }
            End::Told(usage) => state.spent.pay(usage, self.spending.price.as_ref()),
        }
        if self.spending.is_capped() {
            state.in_flight -= 1;
            // Sums of what was added and taken away again drift; with nothing in flight the true one is known.
            state.reserved_usd = if state.in_flight == 0 { 0.0 } else { state.reserved_usd - self.usd };
            drop(state);
            self.spending.changed.notify_waiters();
        }
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

    fn price() -> Price {
        toml::from_str("input = 1.0\ncached_input = 0.1\ncache_write = 1.25\noutput = 10.0").unwrap()
    }

    fn capped(cap_usd: f64) -> Spending {
        Spending::new(Some(price()), Some(cap_usd))
    }

    fn used(input: u64, output: u64) -> Usage {
        Usage { input, output, ..Usage::default() }
    }

    #[test]
    fn the_most_that_a_request_can_cost_is_set_aside() {
        let most = most(&price(), &request(9_000));
        assert!((most - ((9_000.0 + 2.0 + 1_000.0) * 1.25 + 1_000.0 * 10.0) / 1e6).abs() < 1e-12, "{most}");
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_in_flight_never_carries_the_sum_over_the_cap() {
        let (spending, cap) = (Arc::new(capped(0.1)), 0.1);
        let mut askers = tokio::task::JoinSet::new();
        for nth in 0..64_u64 {
            let spending = spending.clone();
            askers.spawn(async move {
                let mut paid = 0.0;
                while let Ok(mut reservation) = spending.reserve(&request(4_000)).await {
                    reservation.sent();
                    tokio::time::sleep(Duration::from_millis(100 + nth * 7)).await;
                    let usage = used(1_000 + nth, 200 + nth % 5 * 200);
                    paid += price().cost(&usage);
                    reservation.settle(Some(&usage));
                }
                paid
            });
        }
        let paid: f64 = askers.join_all().await.into_iter().sum();
        assert!(paid <= cap && paid > cap - most(&price(), &request(4_000)), "{paid}");
        assert!((spending.spent().cost_usd.unwrap() - paid).abs() < 1e-9);
    }

    #[tokio::test(start_paused = true)]
    async fn an_attempt_whose_end_nobody_knows_counts_in_full() {
        let (spending, most) = (capped(1.0), most(&price(), &request(4_000)));
        let mut lost = spending.reserve(&request(4_000)).await.unwrap();
        lost.sent();
        drop(lost);
        assert_eq!(spending.spent().untold_usd, Some(most));
        spending.reserve(&request(4_000)).await.unwrap().settle(None);
        assert_eq!(spending.spent().untold_usd, Some(2.0 * most));
        let mut refused = spending.reserve(&request(4_000)).await.unwrap();
        refused.sent();
        refused.give_back();
        drop(spending.reserve(&request(4_000)).await.unwrap());
        let spent = spending.spent();
        assert_eq!((spent.untold, spent.untold_usd, spent.cost_usd), (2, Some(2.0 * most), Some(0.0)));
        let state = spending.state();
        assert_eq!((state.in_flight, state.reserved_usd), (0, 0.0));
    }

    #[tokio::test(start_paused = true)]
    async fn too_little_is_told_with_the_numbers() {
        let message = capped(0.01).reserve(&request(4_000)).await.unwrap_err().to_string();
        assert_eq!(message, "$0.0000 of the $0.01 of --max-cost are spent, and the next request could cost $0.0163");
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_cap_the_account_is_kept_all_the_same() {
        let spending = Spending::new(Some(price()), None);
        let usage = Usage { input: 100, cached_input: 300, cache_write: 0, output: 10, reasoning: 0 };
        spending.reserve(&request(10)).await.unwrap().settle(Some(&usage));
        let spent = spending.spent();
        assert_eq!((spent.answers, spent.usage.cached_share(), spent.untold_usd), (1, Some(0.75), None));
        assert!((spent.cost_usd.unwrap() - 230e-6).abs() < 1e-12, "{spent:?}");
        assert!((spent.saved_by_prompt_cache_usd.unwrap() - 270e-6).abs() < 1e-12, "{spent:?}");
        let unpriced = Spending::new(None, Some(1.0));
        unpriced.reserve(&request(10)).await.unwrap().settle(Some(&usage));
        assert_eq!((unpriced.spent().answers, unpriced.spent().cost_usd), (1, None));
    }
}
