//! What a run says in short: shares of labels, medians of scores, means of shares. Takes rows, gives one summary a field.

use crate::codebook::{Codebook, FieldKind};
use crate::run::Annotation;
use serde::Serialize;
use serde_json::Value;

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
    let answered: Vec<&Annotation> = rows.into_iter().filter(|row| row.status.is_answered()).collect();
    codebook
        .fields
        .iter()
        .filter_map(|field| {
            let values: Vec<&Value> = answered
                .iter()
                .filter_map(|row| row.fields.get(&field.name))
                .filter(|value| !value.is_null())
                .collect();
            let distribution = match &field.kind {
                FieldKind::Label(labels) => counts(labels.names(), &values, |value, label| value == label),
                FieldKind::Labels(labels) => counts(labels.names(), &values, |value, label| {
                    value.as_array().is_some_and(|given| given.iter().any(|one| one == label))
                }),
                FieldKind::Flag { .. } => {
                    counts(vec!["true".to_owned(), "false".to_owned()], &values, |value, label| {
                        value.as_bool() == Some(label == "true")
                    })
                }
                FieldKind::Criteria(criteria) => {
                    let names = criteria.iter().map(|criterion| criterion.name.clone()).collect();
                    counts(names, &values, |value, name| value.get(name) == Some(&Value::Bool(true)))
                }
                FieldKind::Score(_) | FieldKind::Number => Distribution::Score(scores(&values)),
                FieldKind::Shares(parts) => Distribution::Shares(
                    parts
                        .iter()
                        .map(|part| {
                            let sum: f64 = values.iter().filter_map(|value| value.get(&part.name)?.as_f64()).sum();
                            let mean = if values.is_empty() { 0.0 } else { sum / values.len() as f64 };
                            Mean { part: part.name.clone(), mean }
                        })
                        .collect(),
                ),
                FieldKind::Text | FieldKind::Evidence => return None,
            };
            Some(FieldSummary { field: field.name.clone(), answered: values.len(), distribution })
        })
        .collect()
}

fn counts(labels: Vec<String>, values: &[&Value], has: impl Fn(&Value, &str) -> bool) -> Distribution {
    Distribution::Labels(
        labels
            .into_iter()
            .map(|label| {
                let count = values.iter().filter(|value| has(value, &label)).count();
                Count { label, count }
            })
            .collect(),
    )
}

fn scores(values: &[&Value]) -> ScoreSummary {
    let mut numbers: Vec<f64> = values.iter().filter_map(|value| value.as_f64()).collect();
    numbers.sort_by(f64::total_cmp);
    let runs = numbers.chunk_by(|a, b| a == b);
    let mode = runs.fold(None, |best: Option<&[f64]>, run| match best {
        Some(best) if best.len() >= run.len() => Some(best),
        _ => Some(run),
    });
    let count = numbers.len() as f64;
    ScoreSummary {
        mean: (!numbers.is_empty()).then(|| numbers.iter().sum::<f64>() / count),
        median: quantile(&numbers, 0.5),
        quartiles: quantile(&numbers, 0.25).zip(quantile(&numbers, 0.75)),
        mode: mode.and_then(|run| run.first().copied()),
        mode_share: mode.map(|run| run.len() as f64 / count),
    }
}

/// The quantile of sorted numbers by linear interpolation (Hyndman and Fan's type 7).
fn quantile(sorted: &[f64], p: f64) -> Option<f64> {
    let last = sorted.len().checked_sub(1)?;
    let place = p * last as f64;
    let (low, share) = (place.floor() as usize, place.fract());
    let high = sorted[(low + 1).min(last)];
    Some(sorted[low] + share * (high - sorted[low]))
}

#[cfg(test)]
mod tests;
