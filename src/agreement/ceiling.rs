//! How well a model agrees with humans, against how well humans agree with one another, on the same items.

use super::all::{mean_kappa, pairs_of};
use super::cluster_sums::{Items, Statistic, SummedSample};
use super::estimate::{Estimate, Undefined, Value};
use super::interval::Resampled;
use super::label_pair::PairContext;
use super::ratings::{Cell, Level, Ratings};
use super::score::{Icc, MOMENTS, Moments};
use serde::Serialize;

/// The ceiling that humans set.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct HumanCeiling {
    /// The humans. An adjudicated reference is not one of them: it is cleaner than any human.
    pub humans: Vec<String>,
    /// What is averaged over pairs: `cohen_kappa`, or `icc_a1` for scores.
    pub statistic: &'static str,
    /// One entry a model.
    pub models: Vec<ModelCeiling>,
}

/// One model against the humans, on the items that it and at least two humans rated.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ModelCeiling {
    /// The model.
    pub rater: String,
    /// How many items.
    pub items: usize,
    /// How many clusters they lie in.
    pub clusters: usize,
    /// Mean over pairs of humans.
    pub mean_human_human: Estimate,
    /// Mean over pairs of the model and a human.
    pub mean_model_human: Estimate,
    /// The second less the first, on the same resampled clusters.
    pub difference: Estimate,
}

/// The ceiling, if there are two humans or more and a model. Raters by position.
pub fn human_ceiling(
    ratings: &Ratings,
    humans: &[usize],
    models: &[usize],
    context: &PairContext<'_>,
) -> Option<HumanCeiling> {
    if humans.len() < 2 || models.is_empty() {
        return None;
    }
    Some(HumanCeiling {
        humans: humans.iter().map(|&rater| ratings.raters()[rater].clone()).collect(),
        statistic: if ratings.level() == Level::Interval { "icc_a1" } else { "cohen_kappa" },
        models: models.iter().map(|&model| model_ceiling(ratings, humans, model, context)).collect(),
    })
}

fn model_ceiling(ratings: &Ratings, humans: &[usize], model: usize, context: &PairContext<'_>) -> ModelCeiling {
    let answered = |item: usize, rater: usize| matches!(ratings.cell(item, rater), Cell::Label(_) | Cell::Number(_));
    let shared: Vec<usize> = (0..ratings.items().len())
        .filter(|&item| answered(item, model) && humans.iter().filter(|&&human| answered(item, human)).count() >= 2)
        .collect();
    let row = |&item: &usize| {
        let cells = humans.iter().chain([&model]).map(|&rater| ratings.cell(item, rater)).collect();
        CeilingRow { cluster: ratings.cluster(item), cells }
    };
    let rows: Vec<CeilingRow> = shared.iter().map(row).collect();
    let labels = (ratings.level() != Level::Interval).then(|| ratings.labels().len());
    let sample = ceiling_sample(&rows, humans.len(), labels);
    let clusters = sample.sums.clusters();
    let resampled = Resampled::new(&sample, context.resampling);
    let estimate = |place: usize| resampled.estimate(place, context.unit());
    ModelCeiling {
        rater: ratings.raters()[model].clone(),
        items: shared.len(),
        clusters,
        mean_human_human: estimate(0),
        mean_model_human: estimate(1),
        difference: estimate(2),
    }
}

/// One item that the model and at least two humans answered.
#[derive(Debug, Clone)]
pub struct CeilingRow {
    /// Its cluster.
    pub cluster: usize,
    /// The humans' answers, then the model's.
    pub cells: Vec<Cell>,
}

/// Three statistics of sums by cluster: the mean over pairs of humans, that over pairs of the model and a human, the second less the first.
/// Of `labels` the mean is of kappa, of scores (none) of ICC(A,1).
pub fn ceiling_sample(rows: &[CeilingRow], humans: usize, labels: Option<usize>) -> SummedSample<'static> {
    let human_pairs = pairs_of(humans);
    let pairs: Vec<(usize, usize)> =
        human_pairs.iter().copied().chain((0..humans).map(|human| (human, humans))).collect();
    let centre = mean_score(rows);
    let block = labels.map_or(MOMENTS, |q| q * q);
    let entries = |cells: &[Cell]| {
        let mut entries = vec![];
        for (pair, &(a, b)) in pairs.iter().enumerate() {
            let start = pair * block;
            match (cells[a], cells[b], labels) {
                (Cell::Label(a), Cell::Label(b), Some(q)) => entries.push((start + a * q + b, 1.0)),
                (Cell::Number(a), Cell::Number(b), None) => {
                    let moments = Moments::item(a - centre, b - centre).into_iter().enumerate();
                    entries.extend(moments.map(|(place, amount)| (start + place, amount)));
                }
                _ => {}
            }
        }
        entries
    };
    let answer = |cell: &Cell| match cell {
        Cell::Label(label) => Some(*label as u64),
        Cell::Number(number) => Some(number.to_bits()),
        Cell::Missing | Cell::Invalid => None,
    };
    let mut items = Items::new(pairs.len() * block);
    for row in rows {
        let kind: Vec<Option<u64>> = row.cells.iter().map(answer).collect();
        items.add(row.cluster, kind.as_slice(), || entries(&row.cells));
    }
    let split = human_pairs.len() * block;
    let mean = move |sums: &[f64]| labels.map_or_else(|| mean_icc(sums), |q| mean_kappa(sums, q));
    let statistics: Vec<Box<dyn Statistic>> = vec![
        Box::new(move |sums: &[f64]| mean(&sums[..split])),
        Box::new(move |sums: &[f64]| mean(&sums[split..])),
        Box::new(move |sums: &[f64]| Ok(mean(&sums[split..])? - mean(&sums[..split])?)),
    ];
    SummedSample { sums: items.sums(), statistics }
}

fn mean_score(rows: &[CeilingRow]) -> f64 {
    let numbers = rows.iter().flat_map(|row| &row.cells).filter_map(|cell| match cell {
        Cell::Number(number) => Some(*number),
        _ => None,
    });
    let (count, sum) = numbers.fold((0_u64, 0.0), |(count, sum), number| (count + 1, sum + number));
    sum / count.max(1) as f64
}

fn mean_icc(sums: &[f64]) -> Value {
    let defined: Vec<f64> = (sums.chunks_exact(MOMENTS))
        .filter_map(|moments| Moments::new(moments).anova().and_then(|anova| anova.icc(Icc::Agreement)).ok())
        .collect();
    if defined.is_empty() {
        Err(Undefined::NoVariation)
    } else {
        Ok(defined.iter().sum::<f64>() / defined.len() as f64)
    }
}
