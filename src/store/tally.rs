//! What the store holds, in numbers: takes its answers and a table of prices, gives counts, tokens and what was spent.

use super::{Entry, Reader, Standing, StoreError};
use crate::llm::price::{Price, PriceTable};
use crate::usage::Usage;
use jiff::Timestamp;
use serde::Serialize;
use std::collections::{BTreeMap, HashMap};

/// A sum of money of which some parts may be unknown.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Cost {
    known: f64,
    known_parts: u64,
    unknown_parts: u64,
}

impl Cost {
    /// Adds what one thing cost.
    pub fn add(&mut self, usd: Option<f64>) {
        match usd {
            Some(usd) => (self.known, self.known_parts) = (self.known + usd, self.known_parts + 1),
            None => self.unknown_parts += 1,
        }
    }

    /// The sum of what is known, in US dollars; `None` where nothing is, which is not 0.
    pub fn usd(&self) -> Option<f64> {
        (self.known_parts > 0 || self.unknown_parts == 0).then_some(self.known)
    }

    /// Parts whose cost is not known.
    pub fn unknown(&self) -> u64 {
        self.unknown_parts
    }
}

/// Counts over some answers. Superseded answers are among them: they were paid for.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Tally {
    /// Answers.
    pub answers: u64,
    /// Those of them in whose place a later one stands.
    pub superseded: u64,
    /// Bytes of the bodies.
    pub body_bytes: u64,
    /// Tokens of the answers of which they are known.
    pub usage: Usage,
    /// Answers whose tokens nobody told.
    pub usage_unknown: u64,
    /// What the answers cost by the table of prices, as far as that is known, in US dollars; null where nothing is.
    pub cost_usd: Option<f64>,
    /// Answers whose cost is not known: no price, or no tokens.
    pub cost_unknown: u64,
    /// When the first of them came.
    pub oldest: Option<Timestamp>,
    /// When the last of them came.
    pub newest: Option<Timestamp>,
    #[serde(skip)]
    cost: Cost,
}

impl Tally {
    /// Adds an answer.
    pub fn add(&mut self, entry: &Entry, price: Option<&Price>) {
        self.answers += 1;
        self.superseded += u64::from(entry.standing == Standing::Superseded);
        self.body_bytes += entry.body_bytes;
        self.usage += entry.usage.unwrap_or_default();
        self.usage_unknown += u64::from(entry.usage.is_none());
        // One answer is one request, so that tiers of a price are those that it reached.
        self.cost.add(price.zip(entry.usage).map(|(price, usage)| entry.lane.cost(price, &usage)));
        (self.cost_usd, self.cost_unknown) = (self.cost.usd(), self.cost.unknown());
        self.oldest = Some(self.oldest.map_or(entry.created_at, |oldest| oldest.min(entry.created_at)));
        self.newest = Some(self.newest.map_or(entry.created_at, |newest| newest.max(entry.created_at)));
    }
}

/// What the store holds.
#[derive(Debug, Default, Serialize)]
pub struct Stats {
    /// All answers.
    #[serde(flatten)]
    pub total: Tally,
    /// The same by provider, model, task and run; answers without a task have no line in `task`.
    pub by: Groups,
}

/// Tallies by name.
#[derive(Debug, Default, Serialize)]
pub struct Groups {
    /// By the provider's name in the configuration.
    pub provider: BTreeMap<String, Tally>,
    /// By `PROVIDER/MODEL`.
    pub model: BTreeMap<String, Tally>,
    /// By task.
    pub task: BTreeMap<String, Tally>,
    /// By the run that paid.
    pub run: BTreeMap<String, Tally>,
}

/// Counts the answers of a store.
pub fn tally(reader: &Reader, prices: &PriceTable) -> Result<Stats, StoreError> {
    let mut stats = Stats { total: Tally { cost_usd: Some(0.0), ..Tally::default() }, ..Stats::default() };
    let mut known = HashMap::new();
    reader.entries(|entry| {
        let model = entry.model_name();
        let price: Option<&Price> = *known.entry(model.clone()).or_insert_with(|| prices.of(&model));
        stats.total.add(&entry, price);
        let Groups { provider, model: models, task, run } = &mut stats.by;
        provider.entry(entry.provider.clone()).or_default().add(&entry, price);
        models.entry(model).or_default().add(&entry, price);
        run.entry(entry.run.clone()).or_default().add(&entry, price);
        if let Some(name) = entry.task.clone() {
            task.entry(name).or_default().add(&entry, price);
        }
        Ok::<(), StoreError>(())
    })?;
    Ok(stats)
}
