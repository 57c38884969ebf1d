//! Takes the running totals of a rollout in file order; gives the tokens that its own calls used.

use crate::session::value::number_of;
use crate::usage::Usage;
use serde_json::Value;

/// Token counts as Codex books them: cached and written tokens are a part of the input, reasoning is a part of the output.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Totals {
    input: u64,
    cached: u64,
    written: u64,
    output: u64,
    reasoning: u64,
}

impl Totals {
    /// Reads a `total_token_usage` or `last_token_usage`; none where it holds no count.
    pub(super) fn from_json(value: &Value) -> Option<Totals> {
        let count = |key| number_of(value.get(key));
        let (input, output) = (count("input_tokens"), count("output_tokens"));
        input.or(output)?;
        Some(Totals {
            input: input.unwrap_or(0),
            cached: count("cached_input_tokens").unwrap_or(0),
            written: count("cache_write_input_tokens").unwrap_or(0),
            output: output.unwrap_or(0),
            reasoning: count("reasoning_output_tokens").unwrap_or(0),
        })
    }

    fn since(self, earlier: Totals) -> Totals {
        Totals {
            input: self.input.saturating_sub(earlier.input),
            cached: self.cached.saturating_sub(earlier.cached),
            written: self.written.saturating_sub(earlier.written),
            output: self.output.saturating_sub(earlier.output),
            reasoning: self.reasoning.saturating_sub(earlier.reasoning),
        }
    }

    fn fell_below(self, earlier: Totals) -> bool {
        self.input < earlier.input || self.output < earlier.output
    }

    fn usage(self) -> Usage {
        let cached_input = self.cached.min(self.input);
        let cache_write = self.written.min(self.input - cached_input);
        Usage {
            input: self.input - cached_input - cache_write,
            cached_input,
            cache_write,
            output: self.output,
            reasoning: self.reasoning.min(self.output),
        }
    }
}

/// Turns running totals into usage. A total that is shown again adds nothing.
#[derive(Debug)]
pub(super) struct Meter {
    shown: Option<Totals>,
    inherits: bool,
}

impl Meter {
    /// A meter at nought; `inherits` says that the first total may include another thread's calls.
    pub(super) fn new(inherits: bool) -> Meter {
        Meter { shown: None, inherits }
    }

    /// Takes a total that another thread reached: calls so far are not this one's.
    pub(super) fn inherit(&mut self, total: Totals) {
        self.shown = Some(total);
    }

    /// Takes the next total, and the last call's share where it is given; gives what is new.
    pub(super) fn advance(&mut self, total: Option<Totals>, last: Option<Totals>) -> Usage {
        let Some(total) = total else { return Usage::default() };
        let new = match self.shown {
            Some(shown) if !total.fell_below(shown) => total.since(shown),
            // The count began anew: what it shows was used since then, at least by the last call.
            Some(_) => last.filter(|&last| !total.fell_below(last)).unwrap_or(total),
            None if self.inherits => last.unwrap_or(total),
            None => total,
        };
        self.shown = Some(total);
        new.usage()
    }
}
