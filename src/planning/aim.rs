//! Where a human label would teach most: by what one run says of units, or by where runs disagree.
//!
//! Takes the runs' answers ([`Ratings`], raters being runs), gives each unit a stratum and a size to draw it by. What is drawn more often
//! for that is weighted less later; nothing here decides whether a unit may be drawn at all.

use super::draw::equal_strata;
use crate::agreement::ratings::{Cell, Ratings};
use crate::codebook::{Codebook, FieldKind};
use std::collections::HashMap;

/// The stratum of units without a usable answer.
pub const NO_ANSWER: &str = "no answer";

/// Bands into which scores are put.
const BANDS: usize = 5;

/// A stratum and a size for each unit.
#[derive(Debug, Clone, PartialEq)]
pub struct Aim {
    /// Strata by unit; empty texts where there are none.
    pub strata: Vec<String>,
    /// Sizes by unit, at least 0.
    pub sizes: Vec<f64>,
}

impl Aim {
    /// All units alike.
    pub fn uniform(units: usize) -> Aim {
        Aim { strata: vec![String::new(); units], sizes: vec![1.0; units] }
    }

    /// As many units of each label that the one run of `ratings` gave; scores in fifths of `range`.
    pub fn label(units: &[&str], ratings: &Ratings, range: (f64, f64)) -> Aim {
        let places = places(ratings);
        let strata: Vec<String> = units
            .iter()
            .map(|unit| match places.get(unit).map(|&item| ratings.cell(item, 0)) {
                Some(Cell::Label(label)) => ratings.labels()[label].clone(),
                Some(Cell::Number(score)) => band(score, range),
                _ => NO_ANSWER.to_owned(),
            })
            .collect();
        Aim { sizes: equal_strata(&strata), strata }
    }

    /// By the root of the estimated chance of an error: the mean disagreement over pairs of runs. Labels differ or do not, scores by their
    /// share of `range`; no answer differs from every answer, and from another none by half.
    pub fn disagreement(units: &[&str], ratings: &Ratings, runs: usize, range: (f64, f64)) -> Aim {
        let places = places(ratings);
        let width = (range.1 - range.0).max(f64::MIN_POSITIVE);
        let errors: Vec<f64> = units
            .iter()
            .map(|unit| {
                let cell = |rater: usize| match places.get(unit) {
                    Some(&item) if rater < ratings.raters().len() => ratings.cell(item, rater),
                    _ => Cell::Missing,
                };
                let (mut sum, mut count) = (0.0, 0.0);
                for a in 0..runs {
                    for b in a + 1..runs {
                        sum += apart(cell(a), cell(b), width);
                        count += 1.0;
                    }
                }
                if count > 0.0 { sum / count } else { 0.0 }
            })
            .collect();
        let stratum = |&error: &f64| match error {
            error if error <= 0.0 => "agree",
            error if error < 0.5 => "differ a little",
            _ => "differ",
        };
        Aim {
            strata: errors.iter().map(|error| stratum(error).to_owned()).collect(),
            sizes: errors.iter().map(|error| error.sqrt()).collect(),
        }
    }
}

/// The range of a field's scores: as declared, else as seen. `name` may go on with the name of a part.
pub fn score_range(codebook: &Codebook, name: &str, ratings: &Ratings) -> (f64, f64) {
    let field = name.split('.').next().unwrap_or_default();
    match codebook.field(field).map(|field| &field.kind) {
        Some(FieldKind::Score(score)) => (score.min as f64, score.max as f64),
        Some(FieldKind::Shares(_)) => (0.0, 100.0),
        _ => {
            let cells = (0..ratings.items().len())
                .flat_map(|item| (0..ratings.raters().len()).map(move |rater| ratings.cell(item, rater)));
            let numbers = cells.filter_map(|cell| if let Cell::Number(number) = cell { Some(number) } else { None });
            numbers.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), x| (low.min(x), high.max(x)))
        }
    }
}

fn places(ratings: &Ratings) -> HashMap<&str, usize> {
    ratings.items().iter().enumerate().map(|(place, item)| (item.as_str(), place)).collect()
}

fn apart(a: Cell, b: Cell, width: f64) -> f64 {
    match (a, b) {
        (Cell::Label(a), Cell::Label(b)) => f64::from(a != b),
        (Cell::Number(a), Cell::Number(b)) => ((a - b).abs() / width).min(1.0),
        (Cell::Missing | Cell::Invalid, Cell::Missing | Cell::Invalid) => 0.5,
        _ => 1.0,
    }
}

fn band(score: f64, (low, high): (f64, f64)) -> String {
    let step = (high - low) / BANDS as f64;
    if step <= 0.0 {
        return format!("{low}");
    }
    let at = (((score - low) / step).floor().max(0.0) as usize).min(BANDS - 1);
    format!("{}–{}", low + step * at as f64, low + step * (at + 1) as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agreement::ratings::{Answer, Level, RatingsBuilder};

    fn labels(rows: &[(&str, &str, &str)]) -> Ratings {
        let mut builder = RatingsBuilder::new(Level::Nominal);
        for (unit, run, label) in rows {
            let answer = if *label == "?" { Answer::Invalid } else { Answer::Text((*label).to_owned()) };
            builder.push(unit, run, answer).unwrap();
        }
        builder.finish().unwrap()
    }

    #[test]
    fn strata_are_labels_and_what_has_no_answer_is_one_too() {
        let ratings = labels(&[("u1", "r", "a"), ("u2", "r", "a"), ("u3", "r", "b"), ("u4", "r", "?")]);
        let aim = Aim::label(&["u1", "u2", "u3", "u4", "u5"], &ratings, (0.0, 0.0));
        assert_eq!(aim.strata, ["a", "a", "b", NO_ANSWER, NO_ANSWER]);
        assert_eq!(aim.sizes, [0.5, 0.5, 1.0, 0.5, 0.5]);
    }

    #[test]
    fn disagreement_counts_pairs_of_runs_and_missing_answers() {
        let ratings = labels(&[
            ("same", "r1", "a"),
            ("same", "r2", "a"),
            ("same", "r3", "a"),
            ("one", "r1", "a"),
            ("one", "r2", "b"),
            ("one", "r3", "a"),
            ("none", "r1", "?"),
        ]);
        let aim = Aim::disagreement(&["same", "one", "none", "unknown"], &ratings, 3, (0.0, 0.0));
        let squares: Vec<f64> = aim.sizes.iter().map(|size| size * size).collect();
        for (found, expected) in squares.iter().zip([0.0, 2.0 / 3.0, 0.5, 0.5]) {
            assert!((found - expected).abs() < 1e-12, "{squares:?}");
        }
        assert_eq!(aim.strata, ["agree", "differ", "differ", "differ"]);
    }

    #[test]
    fn scores_lie_in_bands_and_differ_by_their_distance() {
        let mut builder = RatingsBuilder::new(Level::Interval);
        for (unit, one, other) in [("u1", 0.0, 0.0), ("u2", 100.0, 75.0), ("u3", 40.0, 40.0)] {
            builder.push(unit, "r1", Answer::Number(one)).unwrap();
            builder.push(unit, "r2", Answer::Number(other)).unwrap();
        }
        let ratings = builder.finish().unwrap();
        let units = ["u1", "u2", "u3"];
        assert_eq!(Aim::label(&units, &ratings, (0.0, 100.0)).strata, ["0–20", "80–100", "40–60"]);
        assert_eq!(Aim::disagreement(&units, &ratings, 2, (0.0, 100.0)).sizes, [0.0, 0.5, 0.0]);
    }
}
