//! Scores of two raters against one another, as points with counts.

use crate::agreement::PairFigures;
use crate::agreement::field::PairKind;
use crate::agreement::ratings::{Cell, Level};
use crate::agreement::score_pair::LimitsOfAgreement;
use crate::chart::scale::round_ends;
use crate::chart::scatter::{Point, points};
use crate::codebook::{Codebook, FieldKind};
use crate::evaluation::FieldRatings;
use crate::evaluation::judged::JudgedField;
use serde::Serialize;

/// More distinct pairs of scores than this are rounded to a grid.
const MOST_POINTS: usize = 250;

/// The grid's lines in each direction.
const GRID: u32 = 24;

/// Two raters' scores on one field.
#[derive(Debug, Serialize)]
pub struct ScorePlot {
    /// The field; `field.part` for parts of shares.
    pub field: String,
    /// The reference, or the rater that came first.
    pub a: String,
    /// The other.
    pub b: String,
    /// Whether they are a model and what it is measured by, rather than humans.
    pub is_model: bool,
    /// Units that both scored.
    pub items: usize,
    /// The ends of the scale.
    pub ends: (f64, f64),
    /// a's score, b's score.
    pub points: Vec<Point>,
    /// Mean of both, b less a.
    pub differences: Vec<Point>,
    /// Whether points are rounded to a grid.
    pub rounded: bool,
    /// Limits of agreement.
    #[serde(skip)]
    pub limits: LimitsOfAgreement,
}

/// The plots of every pair of `agreement` that is of scores, but for those of single humans with the reference.
pub(crate) fn plots(codebook: &Codebook, ratings: &[FieldRatings], agreement: &[JudgedField]) -> Vec<ScorePlot> {
    let mut plots = vec![];
    for (field, found) in ratings
        .iter()
        .zip(agreement.iter().map(|field| &field.agreement))
        .filter(|(field, _)| field.ratings.level() == Level::Interval)
    {
        for pair in found.pairs.iter().filter(|pair| pair.kind != PairKind::ReferenceHuman) {
            let PairFigures::Scores(figures) = &pair.figures else { continue };
            let (Some(a), Some(b)) = (field.ratings.rater(&pair.a), field.ratings.rater(&pair.b)) else { continue };
            let scores: Vec<(f64, f64)> = (0..field.ratings.items().len())
                .filter_map(|item| match (field.ratings.cell(item, a), field.ratings.cell(item, b)) {
                    (Cell::Number(a), Cell::Number(b)) => Some((a, b)),
                    _ => None,
                })
                .collect();
            let differences: Vec<(f64, f64)> = scores.iter().map(|(a, b)| ((a + b) / 2.0, b - a)).collect();
            let drawn = points(&scores, MOST_POINTS, GRID);
            let differing = points(&differences, MOST_POINTS, GRID);
            plots.push(ScorePlot {
                field: found.field.clone(),
                a: pair.a.clone(),
                b: pair.b.clone(),
                is_model: pair.kind != PairKind::HumanHuman,
                items: scores.len(),
                ends: ends(codebook, &found.field, &scores),
                rounded: distinct(&scores) > MOST_POINTS,
                points: drawn,
                differences: differing,
                limits: figures.limits_of_agreement.clone(),
            });
        }
    }
    plots
}

fn distinct(pairs: &[(f64, f64)]) -> usize {
    points(pairs, usize::MAX, GRID).len()
}

/// The ends of a field's scale: as declared, else as seen.
fn ends(codebook: &Codebook, field: &str, scores: &[(f64, f64)]) -> (f64, f64) {
    match codebook.field(field.split('.').next().unwrap_or_default()).map(|field| &field.kind) {
        Some(FieldKind::Score(score)) => (score.min as f64, score.max as f64),
        Some(FieldKind::Shares(_)) => (0.0, 100.0),
        _ => round_ends(scores.iter().flat_map(|(a, b)| [*a, *b])).unwrap_or((0.0, 1.0)),
    }
}
