//! Several raters on one field at once: the coefficients of the whole panel, resampled like those of a pair.

use super::cluster_sums::{Items, Statistic, SummedSample};
use super::estimate::{Estimate, NoInterval, Undefined, Value};
use super::interval::Resampled;
use super::kappa;
use super::label_pair::{FEWEST_RARE, PairContext};
use super::multi::{Metric, coincidences, counts, krippendorff_alpha};
use super::ratings::{Cell, Level, Ratings};
use super::score::{Anova, Icc, interval_alpha};
use super::table::TableView;
use serde::Serialize;

/// The panel's coefficients.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct All {
    /// Who is in the panel.
    pub raters: Vec<String>,
    /// Items with at least two ratings.
    pub items: usize,
    /// The coefficients.
    #[serde(flatten)]
    pub figures: AllFigures,
}

/// The panel's coefficients, by kind of field.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum AllFigures {
    /// Of labels.
    Labels(AllLabels),
    /// Of scores.
    Scores(AllScores),
}

/// The panel's coefficients on labels.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AllLabels {
    /// Krippendorff's alpha, nominal or ordinal as the field is.
    pub krippendorff_alpha: Estimate,
    /// Fleiss' kappa in Gwet's form, which allows gaps.
    pub fleiss_kappa: Estimate,
    /// Gwet's AC1.
    pub gwet_ac1: Estimate,
    /// Mean of Cohen's kappa over pairs, each pair on the items it shares (Light 1971).
    pub mean_pairwise_kappa: MeanPairwise,
}

/// A mean over pairs of raters.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MeanPairwise {
    /// The mean over the pairs where the statistic is defined.
    #[serde(flatten)]
    pub estimate: Estimate,
    /// The least.
    pub min: Option<f64>,
    /// The greatest.
    pub max: Option<f64>,
    /// How many pairs are in the mean.
    pub pairs_defined: usize,
}

/// The panel's coefficients on scores.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AllScores {
    /// Krippendorff's alpha, interval metric, gaps allowed.
    pub krippendorff_alpha: Estimate,
    /// Intraclass correlation, absolute agreement, on the items that every rater scored.
    pub icc_a1: Estimate,
    /// Intraclass correlation, consistency, on the same items.
    pub icc_c1: Estimate,
    /// How many items every rater scored.
    pub complete_items: usize,
}

/// The coefficients of `raters` (by position). None with fewer than two raters.
pub fn all(ratings: &Ratings, raters: &[usize], context: &PairContext<'_>) -> Option<All> {
    if raters.len() < 2 {
        return None;
    }
    let paired = |item: &usize| raters.iter().filter(|&&rater| is_answer(ratings.cell(*item, rater))).count() >= 2;
    Some(All {
        raters: raters.iter().map(|&rater| ratings.raters()[rater].clone()).collect(),
        items: (0..ratings.items().len()).filter(paired).count(),
        figures: match ratings.level() {
            Level::Interval => AllFigures::Scores(scores(ratings, raters, context)),
            Level::Nominal | Level::Ordinal => AllFigures::Labels(labels(ratings, raters, context)),
        },
    })
}

fn is_answer(cell: Cell) -> bool {
    matches!(cell, Cell::Label(_) | Cell::Number(_))
}

/// Pairs of positions below `count`.
pub(crate) fn pairs_of(count: usize) -> Vec<(usize, usize)> {
    (0..count).flat_map(|i| (i + 1..count).map(move |j| (i, j))).collect()
}

/// Mean over tables of q × q that stand one after another, of those where kappa is defined.
pub(crate) fn mean_kappa(sums: &[f64], q: usize) -> Value {
    let defined = kappas(sums, q);
    match defined.len() {
        0 if sums.iter().all(|count| *count == 0.0) => Err(Undefined::NoItems),
        0 => Err(Undefined::OneLabelUsed),
        pairs => Ok(defined.iter().sum::<f64>() / pairs as f64),
    }
}

/// The defined kappas of tables that stand one after another.
fn kappas(sums: &[f64], q: usize) -> Vec<f64> {
    (sums.chunks_exact((q * q).max(1)))
        .filter_map(|counts| kappa::cohen_kappa(TableView { labels: q, counts }).ok())
        .collect()
}

/// Where an item's sums for a panel of labels go: items rated at all, items rated twice or more, agreeing share of pairs, label shares
/// (q), coincidences (q²), then one table of q² for each pair of raters.
#[derive(Debug, Clone, Copy)]
struct Places {
    q: usize,
}

impl Places {
    const RATED: usize = 0;
    const PAIRED: usize = 1;
    const AGREED: usize = 2;
    const SHARES: usize = 3;

    fn coincidences(self) -> usize {
        Places::SHARES + self.q
    }

    fn tables(self) -> usize {
        self.coincidences() + self.q * self.q
    }

    /// Gwet's family without weights: pa over items rated twice, label shares π over all items.
    fn family(self, sums: &[f64], expected: impl Fn(&[f64]) -> f64) -> Value {
        if sums[Places::PAIRED] < 0.5 {
            return Err(Undefined::NoItems);
        }
        let observed = sums[Places::AGREED] / sums[Places::PAIRED];
        let rated = sums[Places::RATED];
        let shares: Vec<f64> = sums[Places::SHARES..self.coincidences()].iter().map(|sum| sum / rated).collect();
        let expected = expected(&shares);
        if 1.0 - expected < 1e-9 { Err(Undefined::OneLabelUsed) } else { Ok((observed - expected) / (1.0 - expected)) }
    }

    /// Fleiss: pe = Σ π_k².
    fn fleiss(self, sums: &[f64]) -> Value {
        self.family(sums, |shares| shares.iter().map(|share| share * share).sum())
    }

    /// AC1: pe = Σ π_k(1 − π_k)/(q − 1).
    fn gwet_ac1(self, sums: &[f64]) -> Value {
        if self.q < 2 {
            return Err(Undefined::OneLabelKnown);
        }
        let others = self.q as f64 - 1.0;
        self.family(sums, |shares| shares.iter().map(|share| share * (1.0 - share)).sum::<f64>() / others)
    }
}

fn labels(ratings: &Ratings, raters: &[usize], context: &PairContext<'_>) -> AllLabels {
    let q = ratings.labels().len();
    let places = Places { q };
    let pairs = pairs_of(raters.len());
    let label = |item: usize, rater: usize| match ratings.cell(item, rater) {
        Cell::Label(label) => Some(label),
        _ => None,
    };
    let entries = |row: &[Option<usize>]| {
        let mut entries = vec![];
        let counts = counts(row, q);
        let m: f64 = counts.iter().sum();
        if m < 1.0 {
            return entries;
        }
        entries.push((Places::RATED, 1.0));
        let used = counts.iter().enumerate().filter(|(_, count)| **count > 0.0);
        entries.extend(used.map(|(k, count)| (Places::SHARES + k, count / m)));
        if m < 2.0 {
            return entries;
        }
        entries.push((Places::PAIRED, 1.0));
        let agreeing: f64 = counts.iter().map(|count| count * (count - 1.0)).sum();
        entries.push((Places::AGREED, agreeing / (m * (m - 1.0))));
        let coincidences = coincidences(&counts).into_iter().enumerate().filter(|(_, amount)| *amount > 0.0);
        entries.extend(coincidences.map(|(cell, amount)| (places.coincidences() + cell, amount)));
        for (pair, &(i, j)) in pairs.iter().enumerate() {
            if let (Some(a), Some(b)) = (row[i], row[j]) {
                entries.push((places.tables() + pair * q * q + a * q + b, 1.0));
            }
        }
        entries
    };
    let mut items = Items::new(places.tables() + pairs.len() * q * q);
    let mut row = vec![];
    for item in 0..ratings.items().len() {
        row.clear();
        row.extend(raters.iter().map(|&rater| label(item, rater)));
        items.add(ratings.cluster(item), row.as_slice(), || entries(&row));
    }
    let metric = if ratings.level() == Level::Ordinal { Metric::Ordinal } else { Metric::Nominal };
    let alpha = move |sums: &[f64]| krippendorff_alpha(&sums[places.coincidences()..places.tables()], q, &metric);
    let statistics: Vec<Box<dyn Statistic>> = vec![
        Box::new(alpha),
        Box::new(move |sums: &[f64]| places.fleiss(sums)),
        Box::new(move |sums: &[f64]| places.gwet_ac1(sums)),
        Box::new(move |sums: &[f64]| mean_kappa(&sums[places.tables()..], q)),
    ];
    let sample = SummedSample { sums: items.sums(), statistics };
    let total = sample.sums.total();
    let resampled = Resampled::new(&sample, context.resampling);
    let rare = rare_ratings(&total[places.coincidences()..places.tables()], q, raters.len());
    let estimate = |place: usize, leans_on_margins: bool| match resampled.value(place) {
        Ok(value) if leans_on_margins && rare < FEWEST_RARE => {
            Estimate::without_interval(value, NoInterval::RareLabel { count: rare })
        }
        _ => resampled.estimate(place, context.unit()),
    };
    let each = kappas(&total[places.tables()..], q);
    AllLabels {
        krippendorff_alpha: estimate(0, true),
        fleiss_kappa: estimate(1, true),
        gwet_ac1: estimate(2, false),
        mean_pairwise_kappa: MeanPairwise {
            estimate: estimate(3, true),
            min: each.iter().copied().reduce(f64::min),
            max: each.iter().copied().reduce(f64::max),
            pairs_defined: each.len(),
        },
    }
}

/// Ratings outside the commonest label, per rater.
fn rare_ratings(coincidences: &[f64], q: usize, raters: usize) -> usize {
    let counts: Vec<f64> = coincidences.chunks(q.max(1)).map(|row| row.iter().sum()).collect();
    let outside = counts.iter().sum::<f64>() - counts.iter().copied().fold(0.0, f64::max);
    (outside / raters as f64).round() as usize
}

/// Sums for a panel of scores: alpha's disagreement, values, their sum and sum of squares; then, over complete items, their number, the sum of
/// squared totals, the sum of squares, and each rater's sum.
fn scores(ratings: &Ratings, raters: &[usize], context: &PairContext<'_>) -> AllScores {
    const COMPLETE: usize = 4;
    let k = raters.len();
    let number = |item: usize, rater: usize| match ratings.cell(item, rater) {
        Cell::Number(number) => Some(number),
        _ => None,
    };
    let items = 0..ratings.items().len();
    let values: Vec<f64> =
        items.clone().flat_map(|item| raters.iter().filter_map(move |&rater| number(item, rater))).collect();
    let centre = values.iter().sum::<f64>() / values.len().max(1) as f64;
    let entries = |row: &[f64]| {
        let (m, sum, squares) = (row.len() as f64, row.iter().sum::<f64>(), row.iter().map(|x| x * x).sum::<f64>());
        let mut parts = vec![2.0 * (m * squares - sum * sum).max(0.0) / (m - 1.0), m, sum, squares];
        if row.len() == k {
            parts.extend([1.0, sum * sum, squares]);
            parts.extend(row);
        }
        parts.into_iter().enumerate().collect()
    };
    let mut sums = Items::new(COMPLETE + 3 + k);
    let mut complete_items = 0;
    for item in items {
        let row: Vec<f64> = raters.iter().filter_map(|&rater| number(item, rater)).map(|x| x - centre).collect();
        if row.len() < 2 {
            continue;
        }
        complete_items += usize::from(row.len() == k);
        let kind: Vec<u64> = row.iter().map(|x| x.to_bits()).collect();
        sums.add(ratings.cluster(item), kind.as_slice(), || entries(&row));
    }
    let icc = |form: Icc| {
        move |sums: &[f64]| {
            let sums = &sums[COMPLETE..];
            Anova::new(sums[0], sums[1], sums[2], &sums[3..])?.icc(form)
        }
    };
    let statistics: Vec<Box<dyn Statistic>> = vec![
        Box::new(|sums: &[f64]| interval_alpha(sums[0], sums[1], sums[2], sums[3])),
        Box::new(icc(Icc::Agreement)),
        Box::new(icc(Icc::Consistency)),
    ];
    let sample = SummedSample { sums: sums.sums(), statistics };
    let resampled = Resampled::new(&sample, context.resampling);
    let estimate = |place: usize| resampled.estimate(place, context.unit());
    AllScores { krippendorff_alpha: estimate(0), icc_a1: estimate(1), icc_c1: estimate(2), complete_items }
}
