//! How a model counts: takes the sizes of stored answers, gives tokens for a request that was not sent yet.
//!
//! Providers publish no tokenizer for most models, and nobody knows how much a model reasons before it answers. What its stored answers took
//! tells both. An interval goes from the 5th to the 95th percentile of single answers; that of a sum of many is narrower, if they are of the same kind.

use crate::store::AnsweredSize;
use crate::usage::Usage;
use serde::Serialize;
use std::collections::BTreeMap;
use std::ops::AddAssign;

/// Fewer answers teach nothing.
const LEAST_ANSWERS: usize = 20;
/// Tokens a byte of prose, code and logs, of any tokenizer; CJK text may lie outside.
const ANY_MODEL: Between<f64> = Between(0.75 / 3.5, 1.0 / 3.5, 1.35 / 3.5);
/// Output tokens of one answer of any model: a bare label, a short reason, a long one with evidence or some reasoning before it.
const ANY_ANSWER: Between<f64> = Between(40.0, 200.0, 1_200.0);

/// Low, expected and high.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Between<T>(pub T, pub T, pub T);

impl<T: AddAssign> AddAssign for Between<T> {
    fn add_assign(&mut self, other: Between<T>) {
        self.0 += other.0;
        self.1 += other.1;
        self.2 += other.2;
    }
}

impl Between<f64> {
    fn times(self, factor: f64) -> Between<u64> {
        let of = |number: f64| (number * factor).round() as u64;
        Between(of(self.0), of(self.1), of(self.2))
    }
}

/// How a model counts.
#[derive(Debug, Clone, PartialEq)]
pub struct Learnt {
    answers: Option<usize>,
    tokens_a_byte: Between<f64>,
    /// Parts of the prompts that were read from the provider's cache, and written to it.
    cached: f64,
    written: f64,
    /// Output tokens of an answer about one unit, by task and by whether the unit is a prompt: an answer about a session may be one about
    /// several of its prompts.
    output: BTreeMap<(String, bool), Between<f64>>,
}

impl Default for Learnt {
    fn default() -> Learnt {
        Learnt { answers: None, tokens_a_byte: ANY_MODEL, cached: 0.0, written: 0.0, output: BTreeMap::new() }
    }
}

impl Learnt {
    /// What these answers teach.
    pub fn of(sizes: &[AnsweredSize]) -> Learnt {
        let mut learnt = Learnt::default();
        let prompts: Vec<(u64, u64)> = sizes
            .iter()
            .filter_map(|size| Some((size.bytes.filter(|bytes| *bytes > 0)?, size.usage.prompt())))
            .filter(|(_, tokens)| *tokens > 0)
            .collect();
        if prompts.len() >= LEAST_ANSWERS {
            let total = |of: fn(&(u64, u64)) -> u64| prompts.iter().map(of).sum::<u64>() as f64;
            let (bytes, tokens) = (total(|prompt| prompt.0), total(|prompt| prompt.1));
            let ratios = prompts.iter().map(|(bytes, tokens)| *tokens as f64 / *bytes as f64).collect();
            learnt.tokens_a_byte = around(ratios, tokens / bytes);
            learnt.answers = Some(prompts.len());
            let usage: Usage = sizes.iter().map(|size| size.usage).sum();
            learnt.cached = usage.cached_input as f64 / usage.prompt() as f64;
            learnt.written = usage.cache_write as f64 / usage.prompt() as f64;
        }
        let mut outputs: BTreeMap<(String, bool), Vec<f64>> = BTreeMap::new();
        for size in sizes {
            if let (Some(task), Some(unit)) = (&size.task, &size.unit) {
                outputs.entry((task.clone(), unit.is_prompt())).or_default().push(size.usage.output as f64);
            }
        }
        for (task, outputs) in outputs.into_iter().filter(|(_, outputs)| outputs.len() >= LEAST_ANSWERS) {
            let mean = outputs.iter().sum::<f64>() / outputs.len() as f64;
            learnt.output.insert(task, around(outputs, mean));
        }
        learnt
    }

    /// How many answers it was learnt from, if from enough.
    pub fn answers(&self) -> Option<usize> {
        self.answers
    }

    /// Tokens of a prompt of so many bytes.
    pub fn input(&self, bytes: u64) -> Between<u64> {
        self.tokens_a_byte.times(bytes as f64)
    }

    /// Output tokens of a request for so many answers about prompts, or sessions.
    pub fn output(&self, task: &str, is_prompt: bool, answers: usize) -> Between<u64> {
        self.output.get(&(task.to_owned(), is_prompt)).copied().unwrap_or(ANY_ANSWER).times(answers as f64)
    }

    /// Whether it was learnt how long answers about prompts, or sessions, are.
    pub fn knows_output(&self, task: &str, is_prompt: bool) -> bool {
        self.output.contains_key(&(task.to_owned(), is_prompt))
    }

    /// A prompt of so many tokens, as they were booked so far.
    pub fn booked(&self, tokens: u64) -> Usage {
        let cached_input = (tokens as f64 * self.cached) as u64;
        let cache_write = ((tokens as f64 * self.written) as u64).min(tokens - cached_input);
        Usage { input: tokens - cached_input - cache_write, cached_input, cache_write, ..Usage::default() }
    }
}

/// The 5th and the 95th percentile (nearest rank) around a middle that was computed elsewhere.
fn around(mut values: Vec<f64>, middle: f64) -> Between<f64> {
    values.sort_by(f64::total_cmp);
    let at = |share: f64| values[((values.len() as f64 * share).ceil() as usize).clamp(1, values.len()) - 1];
    Between(at(0.05).min(middle), middle, at(0.95).max(middle))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::unit::UnitId;

    /// Answers of a task about prompts of 1,000 bytes each, with so many tokens.
    fn sizes(counts: impl IntoIterator<Item = (u64, u64)>) -> Vec<AnsweredSize> {
        let size = |(at, (input, output)): (usize, (u64, u64))| AnsweredSize {
            task: Some("mood".to_owned()),
            unit: Some(UnitId::from_text(format!("claude_code:a#{at}"))),
            bytes: Some(1_000),
            usage: Usage { input: input / 4, cached_input: input - input / 4, output, ..Usage::default() },
        };
        counts.into_iter().enumerate().map(size).collect()
    }

    #[test]
    fn few_answers_teach_nothing() {
        assert_eq!(Learnt::of(&sizes((0..19).map(|_| (250, 30)))), Learnt::default());
        let any = Learnt::default().input(3_500);
        assert_eq!(
            (any, Learnt::default().output("mood", true, 2)),
            (Between(750, 1_000, 1_350), Between(80, 400, 2_400))
        );
    }

    #[test]
    fn enough_answers_give_their_ratio_and_the_interval_of_nine_in_ten() {
        // 100 answers with 201 to 300 input tokens and 1 to 100 output tokens.
        let learnt = Learnt::of(&sizes((1..=100).map(|nth| (200 + nth, nth))));
        assert_eq!(learnt.answers(), Some(100));
        assert_eq!(learnt.input(10_000), Between(2_050, 2_505, 2_950));
        assert_eq!(learnt.output("mood", true, 10), Between(50, 505, 950));
        // Of another kind nothing is known.
        assert_eq!(learnt.output("mood", false, 1), Learnt::default().output("mood", false, 1));
        assert_eq!(learnt.output("other", true, 1), Learnt::default().output("other", true, 1));
        let booked = learnt.booked(1_000);
        assert!(booked.prompt() == 1_000 && (740..=760).contains(&booked.cached_input), "{booked:?}");
    }

    #[test]
    fn answers_whose_size_nobody_wrote_down_teach_nothing_of_tokens() {
        let unknown = sizes((0..50).map(|_| (250, 30))).into_iter().map(|size| AnsweredSize { bytes: None, ..size });
        let learnt = Learnt::of(&unknown.collect::<Vec<_>>());
        assert_eq!((learnt.answers(), learnt.input(3_500)), (None, Between(750, 1_000, 1_350)));
        assert_eq!(learnt.output("mood", true, 1), Between(30, 30, 30));
    }
}
