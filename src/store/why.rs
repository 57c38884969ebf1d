//! Why a request has no stored answer: takes what was looked for, gives the answers that come nearest and in what they differ.

use super::row::{Cells, columns};
use super::{AskedSettings, Entry, Reader, RequestParts, Standing, StoreError, Subject};
use rusqlite::params;
use serde::Serialize;

/// So many answers are told of at most.
const TOLD: usize = 3;

/// A request that was looked for, and not found.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'a> {
    /// The provider's name in the configuration.
    pub provider: &'a str,
    /// The model.
    pub model: &'a str,
    /// The base URL.
    pub endpoint: &'a str,
    /// The task.
    pub task: &'a str,
    /// What is asked about.
    pub subject: &'a Subject,
    /// Hashes of the request's parts.
    pub parts: &'a RequestParts,
}

/// What in a stored answer's request is not as in the one that was looked for; the stored value where there is one to tell.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "snake_case", tag = "part", content = "stored")]
pub enum Difference {
    /// The provider or the model, as `PROVIDER/MODEL`.
    Model(String),
    /// The base URL.
    Endpoint(String),
    /// The temperature.
    Temperature(Option<f64>),
    /// The limit of output tokens.
    MaxOutputTokens(Option<u32>),
    /// Which of several answers it is.
    Sample(u32),
    /// Temperature, limit of output tokens or sample: a store of format 1 does not tell which.
    Settings,
    /// The codebook's system block.
    System,
    /// The form of the answer.
    Schema,
    /// What the rater sees of the session.
    Material,
    /// What is said beside the material: the codebook's words.
    Words,
    /// What is said: a store of format 1 does not tell more.
    Turns,
}

/// A stored answer that comes near.
#[derive(Debug, Clone, PartialEq)]
pub struct Near {
    /// The answer.
    pub entry: Entry,
    /// In what its request differs.
    pub differences: Vec<Difference>,
}

/// The stored answers that come near, and what else there is.
#[derive(Debug, Clone, PartialEq)]
pub struct Neighbourhood {
    /// Those with the fewest differences, of like ones the latest; each differs in something else.
    pub nearest: Vec<Near>,
    /// Answers to this unit for this task.
    pub of_unit: u64,
    /// Answers for this task that do not tell their unit: those of stores of format 1.
    pub without_unit: u64,
    /// Answers for this task.
    pub of_task: u64,
}

impl Reader {
    /// The stored answers that come nearest to a request without one.
    pub fn nearest(&self, wanted: &Wanted<'_>) -> Result<Neighbourhood, StoreError> {
        let fail = |error| self.fail(error);
        let select = format!("SELECT {}, 0 FROM response WHERE task = ?1", columns(self.format()));
        let mut statement = self.connection().prepare(&select).map_err(fail)?;
        let mut rows = statement.query(params![wanted.task]).map_err(fail)?;
        let mut found = Neighbourhood { nearest: Vec::new(), of_unit: 0, without_unit: 0, of_task: 0 };
        let mut candidates: Vec<Near> = Vec::new();
        while let Some(row) = rows.next().map_err(fail)? {
            found.of_task += 1;
            let cells = Cells { path: self.path(), table: "response", row };
            let unit: Option<String> = cells.get(super::row::UNIT)?;
            let is_of_unit = unit.as_deref() == Some(wanted.subject.unit.as_str());
            found.of_unit += u64::from(is_of_unit);
            found.without_unit += u64::from(unit.is_none());
            if unit.is_some() && !is_of_unit {
                continue;
            }
            let entry = cells.entry()?;
            // Without a unit, the same words are about the same unit.
            if entry.standing == Standing::Current && (is_of_unit || same(&entry.parts.turns, &wanted.parts.turns)) {
                candidates.push(Near { differences: differences(wanted, &entry), entry });
            }
        }
        candidates.sort_by_key(|near| (near.differences.len(), std::cmp::Reverse(near.entry.created_at)));
        for near in candidates {
            if found.nearest.len() < TOLD && found.nearest.iter().all(|other| other.differences != near.differences) {
                found.nearest.push(near);
            }
        }
        Ok(found)
    }
}

fn differences(wanted: &Wanted<'_>, entry: &Entry) -> Vec<Difference> {
    let RequestParts { system, turns, schema, settings, asked, bytes: _ } = &entry.parts;
    let mut differences = Vec::new();
    let mut note = |differs: bool, difference: Difference| {
        if differs {
            differences.push(difference);
        }
    };
    let elsewhere = (entry.provider.as_str(), entry.model.as_str()) != (wanted.provider, wanted.model);
    note(elsewhere, Difference::Model(entry.model_name()));
    note(entry.endpoint != wanted.endpoint, Difference::Endpoint(entry.endpoint.clone()));
    match (asked, &wanted.parts.asked) {
        (Some(stored), Some(now)) => {
            let AskedSettings { temperature, max_output_tokens, sample } = *stored;
            note(temperature != now.temperature, Difference::Temperature(temperature));
            note(max_output_tokens != now.max_output_tokens, Difference::MaxOutputTokens(max_output_tokens));
            note(sample != now.sample, Difference::Sample(sample));
        }
        // The hash is over model and endpoint as well: where these differ, it says nothing of the others.
        _ => note(
            !elsewhere && entry.endpoint == wanted.endpoint && !same(settings, &wanted.parts.settings),
            Difference::Settings,
        ),
    }
    note(!same(system, &wanted.parts.system), Difference::System);
    note(!same(schema, &wanted.parts.schema), Difference::Schema);
    if !same(turns, &wanted.parts.turns) {
        match &entry.subject {
            None => note(true, Difference::Turns),
            Some(subject) => {
                let material = subject.material != wanted.subject.material;
                note(material, Difference::Material);
                // Where both may differ, the codebook's hash tells.
                note(!material || subject.codebook != wanted.subject.codebook, Difference::Words);
            }
        }
    }
    differences
}

/// Whether two hashes are one, as far as both are written down.
pub fn same(one: &str, other: &str) -> bool {
    let digits = one.len().min(other.len());
    digits > 0 && one.as_bytes()[..digits] == other.as_bytes()[..digits]
}
