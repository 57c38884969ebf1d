//! What runs have of the store: which stored answers they refer to, and what they saved by using answers that others had paid for.
//!
//! A row of a run does not name the answers that it was made from. What it names decides: task, codebook, model, endpoint, settings, unit
//! and sample, which an answer in the store names too.

use crate::llm::price::PriceTable;
use crate::run::{Run, RunError};
use crate::store::tally::Cost;
use crate::store::{Entry, Standing};
use crate::unit::UnitId;
use crate::usage::Usage;
use serde::{Deserialize, Serialize};
use std::collections::{HashMap, HashSet};

/// What a row tells of where its answer comes from.
#[derive(Deserialize)]
struct Origin {
    unit: UnitId,
    sample: u32,
    cached: bool,
    usage: Option<Usage>,
    cost_usd: Option<f64>,
}

/// What was not paid again because another run had paid for it. Only what rows of runs tell: that a run was repeated, or went on where it
/// ended, saved as well, and is written down nowhere.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Saved {
    /// Runs that were looked at.
    pub runs: u64,
    /// Rows whose answers were all paid for by other runs.
    pub rows: u64,
    /// Their tokens, where they are known.
    pub usage: Usage,
    /// Rows whose tokens are not known.
    pub usage_unknown: u64,
    /// What they would have cost, as far as that is known, in US dollars; null where nothing is.
    pub cost_usd: Option<f64>,
    /// Rows whose cost is not known.
    pub cost_unknown: u64,
}

/// Adds up what the rows of some runs saved.
pub fn saved(runs: &[Run], prices: &PriceTable) -> Result<Saved, RunError> {
    let mut saved = Saved::default();
    let mut cost = Cost::default();
    for run in runs {
        saved.runs += 1;
        let price = prices.of(&run.manifest.model);
        run.rows(|row: Origin| {
            if row.cached {
                saved.rows += 1;
                saved.usage += row.usage.unwrap_or_default();
                saved.usage_unknown += u64::from(row.usage.is_none());
                // The row's own figure is the sum of its requests; the table may have come later.
                cost.add(row.cost_usd.or_else(|| Some(price?.cost(&row.usage?))));
            }
        })?;
    }
    (saved.cost_usd, saved.cost_unknown) = (cost.usd(), cost.unknown());
    Ok(saved)
}

/// Which answers some runs refer to.
#[derive(Debug, Default)]
pub struct References {
    runs: HashMap<Asked, Vec<Reference>>,
}

/// Who was asked, and for what.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Asked {
    task: String,
    model: String,
    endpoint: String,
}

/// What a run holds.
#[derive(Debug)]
struct Reference {
    codebook: String,
    temperature: Option<f64>,
    max_output_tokens: Option<u32>,
    rows: HashSet<(UnitId, u32)>,
}

impl References {
    /// Reads which answers `runs` refer to.
    pub fn of(runs: &[Run]) -> Result<References, RunError> {
        let mut references = References::default();
        for run in runs {
            let manifest = &run.manifest;
            // Without an endpoint nobody was asked.
            let Some(endpoint) = manifest.endpoint.clone() else { continue };
            let mut rows = HashSet::new();
            let is_grouped = manifest.settings.group.is_some();
            run.rows(|row: Origin| {
                // Answers to several prompts at once are about their session.
                if is_grouped {
                    rows.insert((UnitId::from_text(row.unit.session().to_string()), row.sample));
                }
                rows.insert((row.unit, row.sample));
            })?;
            let asked = Asked { task: manifest.task.clone(), model: manifest.model.clone(), endpoint };
            references.runs.entry(asked).or_default().push(Reference {
                codebook: manifest.codebook.hash.clone(),
                temperature: manifest.settings.temperature,
                max_output_tokens: manifest.settings.max_output_tokens,
                rows,
            });
        }
        Ok(references)
    }

    /// Whether a run would miss the answer if it were repeated. An answer that does not tell its unit is taken to be referred to by every
    /// run of its task, model and endpoint; a superseded answer is used by none.
    pub fn hold(&self, entry: &Entry) -> bool {
        let Some(task) = entry.task.clone().filter(|_| entry.standing == Standing::Current) else { return false };
        let asked = Asked { task, model: entry.model_name(), endpoint: entry.endpoint.clone() };
        let Some(references) = self.runs.get(&asked) else { return false };
        let (Some(subject), Some(settings)) = (&entry.subject, entry.parts.asked) else { return true };
        let row = (subject.unit.clone(), settings.sample);
        references.iter().any(|reference| {
            reference.codebook.starts_with(&subject.codebook)
                && reference.temperature == settings.temperature
                && reference.max_output_tokens == settings.max_output_tokens
                && reference.rows.contains(&row)
        })
    }
}
