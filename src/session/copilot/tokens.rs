//! Takes the accounts of tokens that the client writes when it ends, and the messages between them; gives the usage.

use crate::session::value::number_of;
use crate::usage::Usage;
use serde_json::Value;
use std::collections::{HashMap, HashSet};

/// Token counts as Copilot books them: cached and written tokens are a part of the input, reasoning is a part of the output.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Totals {
    input: u64,
    cached: u64,
    written: u64,
    output: u64,
    reasoning: u64,
}

impl Totals {
    /// Reads a model's `usage`.
    pub(super) fn from_json(usage: &Value) -> Totals {
        let count = |key| number_of(usage.get(key)).unwrap_or(0);
        Totals {
            input: count("inputTokens"),
            cached: count("cacheReadTokens"),
            written: count("cacheWriteTokens"),
            output: count("outputTokens"),
            reasoning: count("reasoningTokens"),
        }
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

/// Adds up a session's tokens.
///
/// Only the account at the end of each process has all of them; messages tell their output alone, and stand for it where a
/// process was killed.
#[derive(Debug, Default)]
pub(super) struct Meter {
    /// What the accounts so far come to.
    booked: Usage,
    /// Output of the main agent's messages since the last account, by message: a message may be written in pieces.
    messages: HashMap<String, u64>,
    nameless: u64,
    main_models: HashSet<String>,
    subagent_models: HashSet<String>,
}

impl Meter {
    /// Notes the model of a message or call.
    pub(super) fn model(&mut self, model: &str, subagent: bool) {
        let models = if subagent { &mut self.subagent_models } else { &mut self.main_models };
        if !models.contains(model) {
            models.insert(model.to_owned());
        }
    }

    /// Takes the output of a message of the main agent.
    pub(super) fn message(&mut self, id: Option<String>, output: u64) {
        match id {
            Some(id) => {
                let known = self.messages.entry(id).or_default();
                *known = output.max(*known);
            }
            None => self.nameless = self.nameless.saturating_add(output),
        }
    }

    /// Takes an account. A session that was taken up again has several: some versions go on counting, others begin anew, so
    /// an account goes on if it has room for what was booked and for what the messages since then told.
    pub(super) fn account(&mut self, models: &[(String, Totals)]) {
        let only_subagents = |model: &String| self.subagent_models.contains(model) && !self.main_models.contains(model);
        let account: Usage =
            models.iter().filter(|(model, _)| !only_subagents(model)).map(|(_, totals)| totals.usage()).sum();
        let told = self.unbooked();
        let goes_on =
            account.output >= self.booked.output.saturating_add(told) && account.prompt() >= self.booked.prompt();
        // Some providers report nothing: all is nought then, and the messages know better.
        let account = Usage { output: account.output.max(told), ..account };
        self.booked = if goes_on { account } else { self.booked + account };
        self.messages.clear();
        self.nameless = 0;
    }

    fn unbooked(&self) -> u64 {
        self.messages.values().fold(self.nameless, |sum, output| sum.saturating_add(*output))
    }

    /// All tokens.
    pub(super) fn usage(&self) -> Usage {
        let mut usage = self.booked;
        usage.output = usage.output.saturating_add(self.unbooked());
        usage
    }
}
