//! What a run says in short: shares of labels, medians of scores, means of shares. Takes rows, gives one summary a field.

use crate::codebook::{Codebook, Field, FieldKind};
use crate::run::Annotation;
use serde::Serialize;
use serde_json::Value;
use std::cmp::Ordering;
use std::collections::BTreeMap;

/// A field's answers in short. Shares are of the answered units; how many were not is in the run's states.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FieldSummary {
    /// The field.
    pub field: String,
    /// Units with an answer in this field.
    pub answered: usize,
    /// What they say.
    #[serde(flatten)]
    pub distribution: Distribution,
}

/// How answers are distributed.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Distribution {
    /// Units by label (several labels, flags and criteria likewise), in the codebook's order.
    Labels(Vec<Count>),
    /// Scores or numbers.
    Score(ScoreSummary),
    /// Mean percentage of each part.
    Shares(Vec<Mean>),
}

/// How often a label was given.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Count {
    /// The label.
    pub label: String,
    /// Units with it.
    pub count: usize,
}

/// A part's mean.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Mean {
    /// The part.
    pub part: String,
    /// Its mean percentage.
    pub mean: f64,
}

/// Scores in short.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ScoreSummary {
    /// The arithmetic mean.
    pub mean: Option<f64>,
    /// The median.
    pub median: Option<f64>,
    /// The first and the third quartile (linear interpolation).
    pub quartiles: Option<(f64, f64)>,
    /// The most frequent score, the lowest on a tie.
    pub mode: Option<f64>,
    /// Share of units at the mode: scores that pile up tell little apart.
    pub mode_share: Option<f64>,
}

/// Summarises the measured fields of `rows`.
pub fn summarise<'r>(codebook: &Codebook, rows: impl IntoIterator<Item = &'r Annotation>) -> Vec<FieldSummary> {
    let mut summing = Summing::new(codebook);
    rows.into_iter().for_each(|row| summing.add(row));
    summing.finish()
}

/// A summary in the making: takes rows one at a time and keeps none. Memory grows with the distinct numbers of a field, nothing else.
#[derive(Debug)]
pub struct Summing {
    fields: Vec<FieldSums>,
}

#[derive(Debug)]
struct FieldSums {
    field: String,
    answered: usize,
    sums: Sums,
}

#[derive(Debug)]
enum Sums {
    /// How often each label was given, and what it is for an answer to have it.
    Labels(Vec<Count>, fn(&Value, &str) -> bool),
    /// How often each number was given.
    Numbers(BTreeMap<Number, usize>),
    /// The sum of each part.
    Shares(Vec<Mean>),
}

impl Sums {
    /// None where a field is not measured.
    fn new(kind: &FieldKind) -> Option<Sums> {
        let counts = |labels: Vec<String>| labels.into_iter().map(|label| Count { label, count: 0 }).collect();
        Some(match kind {
            FieldKind::Label(labels) => Sums::Labels(counts(labels.names()), |value, label| value == label),
            FieldKind::Labels(labels) => Sums::Labels(counts(labels.names()), |value, label| {
                value.as_array().is_some_and(|given| given.iter().any(|one| one == label))
            }),
            FieldKind::Flag { .. } => {
                let labels = counts(vec!["true".to_owned(), "false".to_owned()]);
                Sums::Labels(labels, |value, label| value.as_bool() == Some(label == "true"))
            }
            FieldKind::Criteria(criteria) => {
                let names = counts(criteria.iter().map(|criterion| criterion.name.clone()).collect());
                Sums::Labels(names, |value, name| value.get(name) == Some(&Value::Bool(true)))
            }
            FieldKind::Score(_) | FieldKind::Number => Sums::Numbers(BTreeMap::new()),
            FieldKind::Shares(parts) => {
                Sums::Shares(parts.iter().map(|part| Mean { part: part.name.clone(), mean: 0.0 }).collect())
            }
            FieldKind::Text | FieldKind::Evidence => return None,
        })
    }

    fn add(&mut self, value: &Value) {
        match self {
            Sums::Labels(counts, has) => {
                counts.iter_mut().filter(|count| has(value, &count.label)).for_each(|count| count.count += 1);
            }
            Sums::Numbers(counts) => {
                if let Some(number) = value.as_f64() {
                    // A zero is a zero, whatever its sign.
                    *counts.entry(Number(number + 0.0)).or_default() += 1;
                }
            }
            Sums::Shares(sums) => {
                for sum in sums {
                    sum.mean += value.get(&sum.part).and_then(Value::as_f64).unwrap_or(0.0);
                }
            }
        }
    }
}

impl Summing {
    /// A summary of no rows.
    pub fn new(codebook: &Codebook) -> Summing {
        let sums =
            |field: &Field| Some(FieldSums { field: field.name.clone(), answered: 0, sums: Sums::new(&field.kind)? });
        Summing { fields: codebook.fields.iter().filter_map(sums).collect() }
    }

    /// Takes a row, if it has an answer.
    pub fn add(&mut self, row: &Annotation) {
        if !row.status.is_answered() {
            return;
        }
        for field in &mut self.fields {
            if let Some(value) = row.fields.get(&field.field).filter(|value| !value.is_null()) {
                field.answered += 1;
                field.sums.add(value);
            }
        }
    }

    /// The summary, a field at a time.
    pub fn finish(self) -> Vec<FieldSummary> {
        let summary = |FieldSums { field, answered, sums }| {
            let distribution = match sums {
                Sums::Labels(counts, _) => Distribution::Labels(counts),
                Sums::Numbers(counts) => Distribution::Score(scores(&counts)),
                Sums::Shares(sums) => {
                    let count = answered.max(1) as f64;
                    Distribution::Shares(sums.into_iter().map(|sum| Mean { mean: sum.mean / count, ..sum }).collect())
                }
            };
            FieldSummary { field, answered, distribution }
        };
        self.fields.into_iter().map(summary).collect()
    }
}

/// A number that was given, in the order of numbers.
#[derive(Debug, Clone, Copy)]
struct Number(f64);

impl PartialEq for Number {
    fn eq(&self, other: &Number) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Number {}

impl PartialOrd for Number {
    fn partial_cmp(&self, other: &Number) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Number {
    fn cmp(&self, other: &Number) -> Ordering {
        self.0.total_cmp(&other.0)
    }
}

fn scores(counts: &BTreeMap<Number, usize>) -> ScoreSummary {
    let count: usize = counts.values().sum();
    let sum: f64 = counts.iter().map(|(number, times)| number.0 * *times as f64).sum();
    let mode = counts.iter().fold(None, |best: Option<(f64, usize)>, (number, times)| match best {
        Some((_, most)) if most >= *times => best,
        _ => Some((number.0, *times)),
    });
    ScoreSummary {
        mean: (count > 0).then(|| sum / count as f64),
        median: quantile(counts, 0.5),
        quartiles: quantile(counts, 0.25).zip(quantile(counts, 0.75)),
        mode: mode.map(|(number, _)| number),
        mode_share: mode.map(|(_, times)| times as f64 / count as f64),
    }
}

/// The quantile of numbers by linear interpolation (Hyndman and Fan's type 7).
fn quantile(counts: &BTreeMap<Number, usize>, p: f64) -> Option<f64> {
    let last = counts.values().sum::<usize>().checked_sub(1)?;
    let place = p * last as f64;
    let (low, share) = (place.floor() as usize, place.fract());
    let (low, high) = (at(counts, low)?, at(counts, (low + 1).min(last))?);
    Some(low + share * (high - low))
}

/// The number at this place, from 0, if all stood in a row.
fn at(counts: &BTreeMap<Number, usize>, place: usize) -> Option<f64> {
    let mut before = 0;
    counts.iter().find_map(|(number, times)| {
        before += times;
        (place < before).then_some(number.0)
    })
}

#[cfg(test)]
mod tests;
