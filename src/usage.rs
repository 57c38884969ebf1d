//! Tokens, booked so that no token is counted twice. One convention for transcripts and for our own requests.

use serde::{Deserialize, Serialize};
use std::ops::{Add, AddAssign};

/// Token counts of one or many model calls.
///
/// The first four never overlap: a prompt's size is `input + cached_input + cache_write`.
/// `reasoning` is a part of `output`, not an addition to it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// Prompt tokens that were neither read from nor written to a prompt cache.
    pub input: u64,
    /// Prompt tokens read from the provider's prompt cache.
    pub cached_input: u64,
    /// Prompt tokens written to the provider's prompt cache.
    pub cache_write: u64,
    /// Generated tokens, reasoning included.
    pub output: u64,
    /// The part of `output` that was reasoning.
    pub reasoning: u64,
}

impl Usage {
    /// All prompt tokens, however they were billed.
    pub fn prompt(&self) -> u64 {
        self.input.saturating_add(self.cached_input).saturating_add(self.cache_write)
    }

    /// The part of the prompt that was read from the provider's cache; `None` without a prompt.
    pub fn cached_share(&self) -> Option<f64> {
        (self.prompt() > 0).then(|| self.cached_input as f64 / self.prompt() as f64)
    }

    /// Prompt and output tokens together.
    pub fn total(&self) -> u64 {
        self.prompt().saturating_add(self.output)
    }

    /// The part of the `nth` (from 0) of `of` units that share it. Each count is divided by itself; what is left over goes to the first
    /// units, one each, so that the parts add up to the whole. In no part is more `reasoning` than `output`.
    pub fn part(&self, nth: usize, of: usize) -> Usage {
        let Usage { input, cached_input, cache_write, output, reasoning } = *self;
        Usage {
            input: part(input, nth, of),
            cached_input: part(cached_input, nth, of),
            cache_write: part(cache_write, nth, of),
            output: part(output, nth, of),
            reasoning: part(reasoning, nth, of),
        }
    }
}

/// The part of the `nth` (from 0) of `of` units that share `count`: the largest remainders of equal shares.
pub fn part(count: u64, nth: usize, of: usize) -> u64 {
    let (nth, of) = (nth as u64, of.max(1) as u64);
    count / of + u64::from(nth < count % of)
}

impl Add for Usage {
    type Output = Usage;

    /// The sums; a damaged file may hold counts that no `u64` can add up, and stays at the largest.
    fn add(self, other: Usage) -> Usage {
        Usage {
            input: self.input.saturating_add(other.input),
            cached_input: self.cached_input.saturating_add(other.cached_input),
            cache_write: self.cache_write.saturating_add(other.cache_write),
            output: self.output.saturating_add(other.output),
            reasoning: self.reasoning.saturating_add(other.reasoning),
        }
    }
}

impl AddAssign for Usage {
    fn add_assign(&mut self, other: Usage) {
        *self = *self + other;
    }
}

impl std::iter::Sum for Usage {
    fn sum<I: Iterator<Item = Usage>>(iter: I) -> Usage {
        iter.fold(Usage::default(), Add::add)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn parts_add_up_and_differ_by_one_at_most(
            counts in proptest::array::uniform5(0u64..1 << 40),
            of in 1usize..400,
        ) {
            let [input, cached_input, cache_write, output, reasoning] = counts;
            let whole = Usage { input, cached_input, cache_write, output, reasoning: reasoning.min(output) };
            let parts: Vec<Usage> = (0..of).map(|nth| whole.part(nth, of)).collect();
            prop_assert_eq!(parts.iter().copied().sum::<Usage>(), whole);
            prop_assert!(parts.iter().all(|part| part.reasoning <= part.output));
            prop_assert!(parts.iter().all(|part| parts[0].input - part.input <= 1));
        }
    }
}
