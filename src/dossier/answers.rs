//! What a run says of each field: shares of labels and means as they stand, with intervals by session, and the corrected number beside them.
//!
//! A raw share's interval tells of the draw of sessions alone; the bias of the model is in none. Shares have Wilson's interval at the effective
//! number of units, n_eff = p(1 − p)/SE² with the SE by sessions (Franco, Little, Louis and Slud 2019); means have mean ± t·SE with G − 1
//! degrees of freedom, G being the number of sessions.

use super::RunView;
use crate::agreement::distribution::{CONFIDENCE, t_quantile, upper, wilson};
use crate::agreement::interval::FEWEST_CLUSTERS;
use crate::agreement::ratings::Answer;
use crate::agreement::{Estimate, NoInterval};
use crate::chart::histogram::counts;
use crate::codebook::{Codebook, FieldKind};
use crate::estimate::numbers::RunEstimates;
use crate::evaluation::Column;
use crate::gold::Gold;
use serde::Serialize;
use std::collections::{BTreeMap, HashMap};

/// Bins of a histogram.
const BINS: usize = 20;

/// A field's answers.
#[derive(Debug, Serialize)]
pub struct FieldAnswers {
    /// The field.
    pub field: String,
    /// `share` or `mean`.
    pub quantity: &'static str,
    /// Ends of the scale of a mean.
    pub ends: Option<(f64, f64)>,
    /// Units with an answer.
    pub answered: usize,
    /// Their sessions.
    pub sessions: usize,
    /// A number a label or part; of scores one.
    pub rows: Vec<NamedAnswer>,
    /// Of scores: units in twenty equal bins between the ends.
    pub histogram: Option<Vec<usize>>,
}

/// A label's share or a mean.
#[derive(Debug, Serialize)]
pub struct NamedAnswer {
    /// The label or part; `mean` of scores.
    pub name: String,
    /// Units with the label; none for means.
    pub count: Option<usize>,
    /// As the answers stand.
    pub raw: Estimate,
    /// Corrected by gold, where the design of the gold allows it.
    pub corrected: Option<Estimate>,
}

/// The answers of a run, a field at a time.
pub(crate) fn answers(
    codebook: &Codebook,
    gold: Option<&Gold>,
    view: &RunView<'_>,
    found: Option<&RunEstimates>,
) -> Vec<FieldAnswers> {
    let columns = Column::of_shares(codebook);
    let sessions = session_numbers(gold, view);
    let of_field = |field: &crate::codebook::Field| -> Option<FieldAnswers> {
        // Without what is derived of several parts together: `rubric (all met)`.
        let is_own = |column: &&Column| column.field == field.name && !column.name.contains(' ');
        let own: Vec<&Column> = columns.iter().filter(is_own).collect();
        own.first()?;
        let given = |column: &Column| -> Vec<(usize, Answer)> {
            (view.rows.iter().zip(&sessions))
                .filter(|(row, _)| row.status.is_answered())
                .map(|(row, session)| (*session, column.answer(&row.fields)))
                .filter(|(_, answer)| !matches!(answer, Answer::Missing | Answer::Invalid))
                .collect()
        };
        let corrected = |column: &Column, what: &str| corrected(found?, &column.name, what);
        let part = |column: &Column| column.name.strip_prefix(&format!("{}.", field.name)).unwrap_or("mean").to_owned();
        let first = given(own[0]);
        let (quantity, ends, rows, histogram) = match &field.kind {
            FieldKind::Label(labels) => {
                let row = |name: String| {
                    let hits = hits(&first, &name);
                    NamedAnswer { corrected: corrected(own[0], &name), ..share(name, &hits) }
                };
                ("share", None, labels.names().into_iter().map(row).collect(), None)
            }
            FieldKind::Labels(_) | FieldKind::Criteria(_) | FieldKind::Flag { .. } => {
                let row = |column: &&Column| {
                    let name = if own.len() == 1 && part(column) == "mean" { "true".to_owned() } else { part(column) };
                    NamedAnswer { corrected: corrected(column, "true"), ..share(name, &hits(&given(column), "true")) }
                };
                ("share", None, own.iter().map(row).collect(), None)
            }
            FieldKind::Score(_) | FieldKind::Number | FieldKind::Shares(_) => {
                let row = |column: &&Column| NamedAnswer {
                    name: part(column),
                    count: None,
                    raw: mean(&numbers(&given(column))),
                    corrected: corrected(column, "mean"),
                };
                let values: Vec<f64> = numbers(&first).into_iter().map(|(_, value)| value).collect();
                let ends = match &field.kind {
                    FieldKind::Score(score) => Some((score.min as f64, score.max as f64)),
                    FieldKind::Shares(_) => Some((0.0, 100.0)),
                    _ => crate::chart::scale::round_ends(values.iter().copied()),
                };
                let is_one = !matches!(field.kind, FieldKind::Shares(_));
                let histogram = ends.filter(|_| is_one).map(|ends| counts(values.iter().copied(), ends, BINS));
                ("mean", ends, own.iter().map(row).collect(), histogram)
            }
            FieldKind::Text | FieldKind::Evidence => return None,
        };
        let distinct: std::collections::BTreeSet<usize> = first.iter().map(|(session, _)| *session).collect();
        Some(FieldAnswers {
            field: field.name.clone(),
            quantity,
            ends,
            answered: first.len(),
            sessions: distinct.len(),
            rows,
            histogram,
        })
    };
    codebook.fields.iter().filter_map(of_field).collect()
}

/// The session of each row, by number. A column of the gold may say that sessions belong together.
fn session_numbers(gold: Option<&Gold>, view: &RunView<'_>) -> Vec<usize> {
    let declared: HashMap<&str, &str> = (gold.iter().flat_map(|gold| &gold.rows))
        .filter_map(|row| Some((row.unit.as_str(), row.session.as_deref()?)))
        .collect();
    let mut numbers: HashMap<&str, usize> = HashMap::new();
    (view.rows.iter())
        .map(|row| {
            let session = declared.get(row.unit.as_str()).copied().unwrap_or(row.session.as_str());
            let next = numbers.len();
            *numbers.entry(session).or_insert(next)
        })
        .collect()
}

fn hits(given: &[(usize, Answer)], name: &str) -> Vec<(usize, f64)> {
    given.iter().map(|(session, answer)| (*session, f64::from(*answer == Answer::Text(name.to_owned())))).collect()
}

fn numbers(given: &[(usize, Answer)]) -> Vec<(usize, f64)> {
    let number = |answer: &Answer| match answer {
        Answer::Number(number) => Some(*number),
        _ => None,
    };
    given.iter().filter_map(|(session, answer)| Some((*session, number(answer)?))).collect()
}

/// The corrected number that `estimate` found for a column, if it is defined.
fn corrected(found: &RunEstimates, column: &str, what: &str) -> Option<Estimate> {
    let field = found.fields.iter().find(|field| field.field == column && field.collapse.is_none())?;
    let named = field.groups.first()?.estimates.iter().find(|named| named.what == what)?;
    Some(named.corrected.corrected.clone()).filter(|estimate| estimate.value.is_some())
}

/// A mean, its standard error by sessions (linearised), and the number of sessions.
fn clustered(values: &[(usize, f64)]) -> Option<(f64, f64, usize)> {
    let n = values.len() as f64;
    if values.is_empty() {
        return None;
    }
    let mean = values.iter().map(|(_, value)| value).sum::<f64>() / n;
    let mut sums: BTreeMap<usize, f64> = BTreeMap::new();
    for (session, value) in values {
        *sums.entry(*session).or_default() += (value - mean) / n;
    }
    let g = sums.len() as f64;
    let se = (g / (g - 1.0).max(1.0) * sums.values().map(|sum| sum * sum).sum::<f64>()).sqrt();
    Some((mean, se, sums.len()))
}

/// A share of ones.
fn share(name: String, hits: &[(usize, f64)]) -> NamedAnswer {
    let count = hits.iter().filter(|(_, hit)| *hit > 0.0).count();
    let raw = match clustered(hits) {
        None => Estimate::undefined("no unit has an answer"),
        Some((share, _, clusters)) if clusters < FEWEST_CLUSTERS => {
            Estimate::without_interval(share, NoInterval::TooFewClusters { clusters })
        }
        Some((share, se, clusters)) => {
            let n = hits.len() as f64;
            // Where every unit says the same, sessions are all that is known to be independent.
            let effective = if se > 0.0 { (share * (1.0 - share) / (se * se)).min(n) } else { clusters as f64 };
            match wilson(share * effective, effective) {
                Some(ends) => Estimate::with_interval(share, Some(se), ends, "Wilson, effective units by session"),
                None => Estimate::without_interval(share, NoInterval::TooFewItems),
            }
        }
    };
    NamedAnswer { name, count: Some(count), raw, corrected: None }
}

/// A mean of numbers.
fn mean(values: &[(usize, f64)]) -> Estimate {
    match clustered(values) {
        None => Estimate::undefined("no unit has an answer"),
        Some((mean, _, clusters)) if clusters < FEWEST_CLUSTERS => {
            Estimate::without_interval(mean, NoInterval::TooFewClusters { clusters })
        }
        Some((mean, se, clusters)) => {
            let half = se * t_quantile(upper(CONFIDENCE), (clusters - 1) as f64);
            Estimate::with_interval(mean, Some(se), (mean - half, mean + half), "t by session")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_of_independent_units_has_wilsons_interval() {
        // A session a unit: SE² is p(1 − p)/(n − 1), so the effective number is n − 1.
        let hits: Vec<(usize, f64)> = (0..41).map(|unit| (unit, f64::from(u8::from(unit < 10)))).collect();
        let found = share("a".to_owned(), &hits);
        let (low, high) = wilson(10.0 / 41.0 * 40.0, 40.0).unwrap();
        assert_eq!(found.count, Some(10));
        assert!((found.raw.low.unwrap() - low).abs() < 1e-12 && (found.raw.high.unwrap() - high).abs() < 1e-12);
    }

    #[test]
    fn units_of_one_session_that_say_the_same_count_as_one() {
        // Ten sessions of ten units each, in three of which all units have the label.
        let hits: Vec<(usize, f64)> = (0..100).map(|unit| (unit / 10, f64::from(u8::from(unit < 30)))).collect();
        let found = share("a".to_owned(), &hits).raw;
        let (low, high) = wilson(0.3 * 9.0, 9.0).unwrap();
        assert!((found.low.unwrap() - low).abs() < 1e-9 && (found.high.unwrap() - high).abs() < 1e-9, "{found:?}");
    }

    #[test]
    fn shares_of_nothing_and_of_everything_have_an_interval_all_the_same() {
        let all: Vec<(usize, f64)> = (0..60).map(|unit| (unit / 3, 1.0)).collect();
        let found = share("a".to_owned(), &all).raw;
        assert_eq!((found.value, found.high.map(|high| high.min(1.0))), (Some(1.0), Some(1.0)));
        assert!((0.8..0.9).contains(&found.low.unwrap()), "twenty sessions, not sixty units: {found:?}");
        let few: Vec<(usize, f64)> = (0..4).map(|unit| (unit, 0.0)).collect();
        assert_eq!(
            share("a".to_owned(), &few).raw.undefined.unwrap(),
            "no interval: 4 clusters are too few, at least 5 are needed"
        );
        assert!(share("a".to_owned(), &[]).raw.value.is_none());
    }

    #[test]
    fn a_mean_has_a_t_interval_by_session() {
        let values: Vec<(usize, f64)> = [10.0, 20.0, 30.0, 40.0, 50.0].into_iter().enumerate().collect();
        let found = mean(&values);
        // s = 15.811, SE = 7.071, t(.975, 4) = 2.7764.
        assert_eq!(found.value, Some(30.0));
        assert!((found.se.unwrap() - 7.0711).abs() < 1e-4 && (found.low.unwrap() - 10.3676).abs() < 1e-3, "{found:?}");
        assert!(mean(&[]).undefined.is_some());
    }
}
