//! What answers teach of the size of requests: takes what was reckoned and what was used, gives better reckonings.
//!
//! Nobody but the provider knows how many tokens a text has, and nobody at all how long an answer will be. A model's tokens are a rather
//! steady multiple of what [`crate::material::estimate_tokens`] gives, and its answers to one task are much alike.

use crate::llm::Accounting;
use crate::usage::Usage;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// Answers whose lengths are remembered.
const LENGTHS: usize = 128;
/// Three of five answers are no longer than what is set aside for them. More would leave room unused while they are under way.
const QUANTILE: f64 = 0.6;
/// Output that is expected before anything was learnt.
const EXPECTED_OUTPUT: u64 = 600;
/// Requests that count in a ratio, roughly: older ones fade.
const MEMORY: f64 = 64.0;
/// No text has fewer or more tokens than these multiples of its estimate; what a server says beyond them is a slip.
const PLAUSIBLE: std::ops::RangeInclusive<f64> = 0.02..=20.0;
/// More than this part is not set aside for what input may be beyond its estimate: input that is sometimes read from a cache spreads widely.
const WIDEST: f64 = 0.5;

/// How large a request is, as far as that can be told before it is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Size {
    /// Input tokens, as estimated from the text alone.
    pub input: u64,
    /// The limit of output tokens that the request sets.
    pub output_limit: Option<u64>,
}

/// What was learnt of a model, to be kept from one run to the next.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Snapshot {
    /// Input tokens to one estimated token.
    pub input: f64,
    /// The part of the input tokens that counts against limits: less than 1 where cached input does not.
    pub counted: f64,
    /// By which part of it counted input differs from what these two make of an estimate, on the average.
    pub spread: f64,
    /// Output tokens that three of five answers do not exceed.
    pub output: u64,
    /// How many answers this is drawn from.
    pub answers: u64,
}

impl Default for Snapshot {
    fn default() -> Snapshot {
        Snapshot { input: 1.0, counted: 1.0, spread: 0.0, output: EXPECTED_OUTPUT, answers: 0 }
    }
}

/// What a request counts against the four limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Charge {
    pub(super) requests: u64,
    pub(super) tokens: u64,
    pub(super) input: u64,
    pub(super) output: u64,
}

impl Charge {
    /// In the order of the gates.
    pub(super) fn amounts(&self) -> [u64; 4] {
        [self.requests, self.tokens, self.input, self.output]
    }
}

/// A quotient of two sums in which old terms fade.
#[derive(Debug, Clone, Copy)]
struct Ratio {
    above: f64,
    below: f64,
}

impl Ratio {
    /// As if it was seen so in a few answers of a usual size.
    fn known(value: f64) -> Ratio {
        Ratio { above: value * 4_000.0, below: 4_000.0 }
    }

    fn add(&mut self, above: u64, below: u64) {
        let keep = 1.0 - 1.0 / MEMORY;
        self.above = self.above * keep + above as f64;
        self.below = self.below * keep + below as f64;
    }

    fn value(&self) -> f64 {
        (self.above / self.below).clamp(*PLAUSIBLE.start(), *PLAUSIBLE.end())
    }
}

/// What was learnt so far.
#[derive(Debug)]
pub(super) struct Learnt {
    accounting: Accounting,
    input: Ratio,
    counted: Ratio,
    spread: f64,
    lengths: VecDeque<u64>,
    output: u64,
    answers: u64,
}

impl Learnt {
    /// What is known at the start.
    pub(super) fn new(accounting: Accounting, known: Snapshot) -> Learnt {
        let sane = |value: f64| if PLAUSIBLE.contains(&value) { value } else { 1.0 };
        Learnt {
            accounting,
            input: Ratio::known(sane(known.input)),
            counted: Ratio::known(sane(known.counted).min(1.0)),
            spread: if (0.0..=WIDEST).contains(&known.spread) { known.spread } else { 0.0 },
            lengths: VecDeque::with_capacity(LENGTHS),
            output: known.output,
            answers: known.answers,
        }
    }

    /// What a request will count, and what it may count beyond that: most come out a little lower, and then the rest is given back.
    pub(super) fn charge(&self, size: Size) -> Charge {
        let output = size.output_limit.map_or(self.output, |limit| limit.min(self.output));
        let input = self.expected_input(size) * (1.0 + self.spread);
        self.counting(input.round() as u64, output, size.output_limit)
    }

    fn expected_input(&self, size: Size) -> f64 {
        size.input as f64 * self.input.value() * self.counted.value()
    }

    /// What a request has counted, now that its answer is there.
    pub(super) fn actual(&self, size: Size, usage: &Usage) -> Charge {
        self.counting(self.counted_input(usage), usage.output, size.output_limit)
    }

    fn counting(&self, input: u64, output: u64, output_limit: Option<u64>) -> Charge {
        let tokens = match (self.accounting, output_limit) {
            (Accounting::OutputLimit, Some(limit)) => input.max(limit),
            _ => input.saturating_add(output),
        };
        Charge { requests: 1, tokens, input, output }
    }

    fn counted_input(&self, usage: &Usage) -> u64 {
        match self.accounting {
            Accounting::AsUsed | Accounting::OutputLimit => usage.prompt(),
            Accounting::WithoutCached => usage.input.saturating_add(usage.cache_write),
        }
    }

    /// Learns from an answer.
    pub(super) fn learn(&mut self, size: Size, usage: &Usage) {
        let prompt = usage.prompt();
        if size.input > 0 && PLAUSIBLE.contains(&(prompt as f64 / size.input as f64)) {
            let (expected, counted) = (self.expected_input(size), self.counted_input(usage));
            let differs = (counted as f64 - expected).abs() / expected;
            self.spread = (self.spread + (differs - self.spread) / MEMORY).min(WIDEST);
            self.input.add(prompt, size.input);
            self.counted.add(counted, prompt);
        }
        if self.lengths.len() == LENGTHS {
            self.lengths.pop_front();
        }
        self.lengths.push_back(usage.output);
        self.answers += 1;
        // The first few say little of a quantile, and later ones change it slowly.
        if self.answers >= 8 && (self.answers.is_multiple_of(16) || self.lengths.len() < 16) {
            let mut sorted: Vec<u64> = self.lengths.iter().copied().collect();
            let at = ((sorted.len() - 1) as f64 * QUANTILE).ceil() as usize;
            self.output = *sorted.select_nth_unstable(at).1;
        }
    }

    /// What is worth keeping.
    pub(super) fn snapshot(&self) -> Snapshot {
        Snapshot {
            input: self.input.value(),
            counted: self.counted.value().min(1.0),
            spread: self.spread,
            output: self.output,
            answers: self.answers,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn usage(input: u64, cached_input: u64, output: u64) -> Usage {
        Usage { input, cached_input, output, ..Usage::default() }
    }

    fn size(input: u64) -> Size {
        Size { input, output_limit: None }
    }

    #[test]
    fn estimates_are_corrected_by_what_was_used() {
        let mut learnt = Learnt::new(Accounting::AsUsed, Snapshot::default());
        assert_eq!(learnt.charge(size(1_000)), Charge { requests: 1, tokens: 1_600, input: 1_000, output: 600 });
        for number in 0..600 {
            let length = 100 + number % 100;
            learnt.learn(size(2_000), &usage(2_600, 0, length));
        }
        let charge = learnt.charge(size(1_000));
        assert!((1_295..=1_301).contains(&charge.input), "{charge:?}");
        assert!((150..=170).contains(&charge.output), "{charge:?}");
        assert_eq!(charge.tokens, charge.input + charge.output);
        let again = Learnt::new(Accounting::AsUsed, learnt.snapshot());
        assert_eq!(again.charge(size(1_000)), charge);
        assert_eq!(again.snapshot().answers, 600);
    }

    #[test]
    fn each_provider_counts_in_its_own_way() {
        let known = Snapshot { output: 300, ..Snapshot::default() };
        let of = |accounting| Learnt::new(accounting, known);
        let used = usage(400, 600, 200);
        let limited = |limit| Size { input: 1_000, output_limit: Some(limit) };

        let charge = of(Accounting::AsUsed).charge(limited(100));
        assert_eq!((charge.input, charge.output, charge.tokens), (1_000, 100, 1_100));
        let actual = of(Accounting::AsUsed).actual(limited(500), &used);
        assert_eq!((actual.input, actual.output, actual.tokens), (1_000, 200, 1_200));

        let actual = of(Accounting::WithoutCached).actual(limited(500), &used);
        assert_eq!((actual.input, actual.output, actual.tokens), (400, 200, 600));

        let openai = of(Accounting::OutputLimit);
        assert_eq!(openai.charge(limited(500)).tokens, 1_000);
        assert_eq!(openai.charge(limited(5_000)).tokens, 5_000);
        assert_eq!(openai.actual(limited(5_000), &used).tokens, 5_000);
        assert_eq!(openai.charge(size(1_000)).tokens, 1_300);
    }

    #[test]
    fn what_comes_from_a_cache_is_reckoned_with() {
        let mut learnt = Learnt::new(Accounting::WithoutCached, Snapshot::default());
        for _ in 0..500 {
            learnt.learn(size(1_000), &usage(100, 900, 50));
        }
        let charge = learnt.charge(size(1_000));
        assert!((99..=102).contains(&charge.input), "{charge:?}");
    }

    #[test]
    fn estimates_that_are_sometimes_too_low_are_charged_a_little_more() {
        let mut learnt = Learnt::new(Accounting::AsUsed, Snapshot::default());
        for number in 0..600 {
            learnt.learn(size(1_000), &usage(900 + number % 2 * 200, 0, 50));
        }
        let charge = learnt.charge(size(1_000));
        assert!((1_095..=1_105).contains(&charge.input), "{charge:?}");
        // Nothing that a cache does or does not do is set aside for in full.
        let mut learnt = Learnt::new(Accounting::WithoutCached, Snapshot::default());
        for number in 0..600 {
            let cached = if number % 10 == 0 { 0 } else { 1_000 };
            learnt.learn(size(1_000), &usage(1_000 - cached, cached, 50));
        }
        let charge = learnt.charge(size(1_000));
        assert!((100..=180).contains(&charge.input), "{charge:?}");
    }

    #[test]
    fn a_slip_of_the_server_teaches_nothing() {
        let mut learnt = Learnt::new(Accounting::AsUsed, Snapshot::default());
        learnt.learn(size(1_000), &usage(0, 0, 0));
        learnt.learn(size(1_000), &usage(u64::MAX / 4, 0, 0));
        learnt.learn(size(0), &usage(1_000, 0, 0));
        assert_eq!(learnt.charge(size(1_000)).input, 1_000);
        let broken = Snapshot { input: f64::NAN, counted: -1.0, ..Snapshot::default() };
        assert_eq!(Learnt::new(Accounting::AsUsed, broken).charge(size(1_000)).input, 1_000);
    }
}
