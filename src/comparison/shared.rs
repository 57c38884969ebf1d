//! Items that the reference and all compared raters answered, and the figures that are computed from them.
//!
//! A figure is a function of sums over items (a q × q table of counts; a number of items and a sum of errors), so that it can be resampled
//! and permuted by whole clusters.

use crate::agreement::estimate::{Undefined, Value};
use crate::agreement::kappa::{self, Weights};
use crate::agreement::table::TableView;
use std::str::FromStr;
use thiserror::Error;

/// A figure by which raters are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Metric {
    /// Cohen's kappa with the reference.
    Kappa,
    /// Share of items on which the rater says what the reference says.
    Accuracy,
    /// Mean F1 over the labels that the reference used; an F1 without any use counts 0.
    MacroF1,
    /// Mean absolute difference from the reference's score. Less is better.
    MeanAbsoluteError,
}

/// A metric that does not exist.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("unknown metric '{0}': it is kappa, accuracy, f1 or mae")]
pub struct UnknownMetric(String);

impl FromStr for Metric {
    type Err = UnknownMetric;

    fn from_str(text: &str) -> Result<Metric, UnknownMetric> {
        match text {
            "kappa" => Ok(Metric::Kappa),
            "accuracy" => Ok(Metric::Accuracy),
            "f1" => Ok(Metric::MacroF1),
            "mae" => Ok(Metric::MeanAbsoluteError),
            other => Err(UnknownMetric(other.to_owned())),
        }
    }
}

impl Metric {
    /// Its name on the command line and in the ledger.
    pub fn name(self) -> &'static str {
        match self {
            Metric::Kappa => "kappa",
            Metric::Accuracy => "accuracy",
            Metric::MacroF1 => "f1",
            Metric::MeanAbsoluteError => "mae",
        }
    }

    /// How it is called in a table.
    pub fn title(self) -> &'static str {
        match self {
            Metric::Kappa => "κ",
            Metric::Accuracy => "accuracy",
            Metric::MacroF1 => "macro-F1",
            Metric::MeanAbsoluteError => "mean absolute error",
        }
    }

    /// Whether it is computed from scores rather than labels.
    pub fn is_of_scores(self) -> bool {
        self == Metric::MeanAbsoluteError
    }

    /// The figure of sums: q² counts (rows: the reference), or a number of items and a sum of errors.
    pub fn of(self, sums: &[f64], labels: usize) -> Value {
        let table = TableView { labels, counts: sums };
        match self {
            Metric::Kappa => kappa::cohen_kappa(table),
            Metric::Accuracy => kappa::percent_agreement(table),
            Metric::MacroF1 => macro_f1(table),
            Metric::MeanAbsoluteError if sums[0] > 0.0 => Ok(sums[1] / sums[0]),
            Metric::MeanAbsoluteError => Err(Undefined::NoItems),
        }
    }
}

fn f1(table: TableView<'_>, k: usize) -> Option<f64> {
    let uses = table.row_sum(k) + table.column_sum(k);
    (uses > 0.0).then(|| 2.0 * table.count(k, k) / uses)
}

fn macro_f1(table: TableView<'_>) -> Value {
    let used = (0..table.labels).filter(|&k| table.row_sum(k) > 0.0);
    let (sum, count) = used.fold((0.0, 0), |(sum, count), k| (sum + f1(table, k).unwrap_or(0.0), count + 1));
    if count > 0 { Ok(sum / f64::from(count)) } else { Err(Undefined::NoItems) }
}

/// Labels of the reference and of several raters on the same items.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SharedLabels {
    /// Number of declared labels q.
    pub labels: usize,
    /// Each item's cluster.
    pub clusters: Vec<usize>,
    /// The reference's label of each item, below q.
    pub reference: Vec<usize>,
    /// Each rater's label of each item, below q.
    pub raters: Vec<Vec<usize>>,
}

/// Scores of the reference and of several raters on the same items.
#[derive(Debug, Clone, PartialEq)]
pub struct SharedScores {
    /// Each item's cluster.
    pub clusters: Vec<usize>,
    /// The reference's score of each item.
    pub reference: Vec<f64>,
    /// Each rater's score of each item.
    pub raters: Vec<Vec<f64>>,
}

/// Shared items as sums that a metric is computed from.
pub trait Shared {
    /// Each item's cluster.
    fn clusters(&self) -> &[usize];
    /// Number of raters.
    fn raters(&self) -> usize;
    /// Number of declared labels; 0 for scores.
    fn labels(&self) -> usize;
    /// How many sums one rater has.
    fn width(&self) -> usize;
    /// What an item adds to a rater's sums: places and amounts.
    fn item(&self, rater: usize, item: usize) -> Vec<(usize, f64)>;
    /// Influence of each item on a rater's figure: Σψ = 0, and the figure's variance is the mean of ψ² over the number of items.
    fn influence(&self, metric: Metric, rater: usize) -> Result<Vec<f64>, Undefined>;

    /// A rater's sums over all items.
    fn sums(&self, rater: usize) -> Vec<f64> {
        let mut sums = vec![0.0; self.width()];
        for item in 0..self.clusters().len() {
            self.item(rater, item).into_iter().for_each(|(place, amount)| sums[place] += amount);
        }
        sums
    }
}

impl SharedLabels {
    /// The same items, each its own cluster.
    pub fn by_item(self) -> SharedLabels {
        SharedLabels { clusters: (0..self.reference.len()).collect(), ..self }
    }
}

impl Shared for SharedLabels {
    fn clusters(&self) -> &[usize] {
        &self.clusters
    }

    fn raters(&self) -> usize {
        self.raters.len()
    }

    fn labels(&self) -> usize {
        self.labels
    }

    fn width(&self) -> usize {
        self.labels * self.labels
    }

    fn item(&self, rater: usize, item: usize) -> Vec<(usize, f64)> {
        vec![(self.reference[item] * self.labels + self.raters[rater][item], 1.0)]
    }

    fn influence(&self, metric: Metric, rater: usize) -> Result<Vec<f64>, Undefined> {
        let sums = self.sums(rater);
        let table = TableView { labels: self.labels, counts: &sums };
        let n = table.total();
        let value = metric.of(&sums, self.labels)?;
        let by_cell: Vec<f64> = match metric {
            Metric::Kappa => kappa::influence(table, &Weights::None.disagreement(self.labels))?,
            Metric::MacroF1 => {
                // The derivative of 2n_kk/(n_k· + n_·k), averaged over the labels of the reference.
                let used: Vec<usize> = (0..self.labels).filter(|&k| table.row_sum(k) > 0.0).collect();
                let of_cell = |cell: usize| {
                    let (a, b) = (cell / self.labels, cell % self.labels);
                    let parts = used.iter().map(|&k| {
                        let uses = table.row_sum(k) + table.column_sum(k);
                        let own = f64::from(a == k) + f64::from(b == k);
                        n * (2.0 * f64::from(a == k && b == k) - f1(table, k).unwrap_or(0.0) * own) / uses
                    });
                    parts.sum::<f64>() / used.len() as f64
                };
                (0..self.width()).map(of_cell).collect()
            }
            _ => (0..self.width()).map(|cell| f64::from(cell / self.labels == cell % self.labels) - value).collect(),
        };
        let cell = |item: usize| self.reference[item] * self.labels + self.raters[rater][item];
        Ok((0..self.reference.len()).map(|item| by_cell[cell(item)]).collect())
    }
}

impl Shared for SharedScores {
    fn clusters(&self) -> &[usize] {
        &self.clusters
    }

    fn raters(&self) -> usize {
        self.raters.len()
    }

    fn labels(&self) -> usize {
        0
    }

    fn width(&self) -> usize {
        2
    }

    fn item(&self, rater: usize, item: usize) -> Vec<(usize, f64)> {
        vec![(0, 1.0), (1, (self.raters[rater][item] - self.reference[item]).abs())]
    }

    fn influence(&self, metric: Metric, rater: usize) -> Result<Vec<f64>, Undefined> {
        let value = metric.of(&self.sums(rater), 0)?;
        let error = |item: usize| (self.raters[rater][item] - self.reference[item]).abs();
        Ok((0..self.reference.len()).map(|item| error(item) - value).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shared() -> SharedLabels {
        let reference = [0, 0, 0, 1, 1, 1, 2, 2, 0, 1, 2, 0].to_vec();
        let good = [0, 0, 1, 1, 1, 1, 2, 0, 0, 1, 2, 2].to_vec();
        let poor = [0, 1, 1, 1, 0, 1, 0, 0, 0, 2, 2, 2].to_vec();
        SharedLabels { labels: 3, clusters: (0..12).map(|i| i / 3).collect(), reference, raters: vec![good, poor] }
    }

    #[test]
    fn influences_sum_to_0_and_are_the_derivative_of_the_figure() {
        let shared = shared();
        for metric in [Metric::Kappa, Metric::Accuracy, Metric::MacroF1] {
            for rater in 0..2 {
                let influence = shared.influence(metric, rater).unwrap();
                assert!(influence.iter().sum::<f64>().abs() < 1e-9, "{metric:?}");
                let sums = shared.sums(rater);
                let before = metric.of(&sums, 3).unwrap();
                for (item, psi) in influence.iter().enumerate() {
                    // One item more by a little: the figure moves by ψ·ε/(n + ε).
                    let step = 1e-6;
                    let mut more = sums.clone();
                    shared.item(rater, item).into_iter().for_each(|(place, amount)| more[place] += step * amount);
                    let moved = (metric.of(&more, 3).unwrap() - before) / step * 12.0;
                    assert!((moved - psi).abs() < 1e-4, "{metric:?} {moved} {psi}");
                }
            }
        }
    }

    #[test]
    fn macro_f1_is_over_the_labels_that_the_reference_used() {
        // The rater's label 2, which the reference never used, is an error of the others and no label of its own.
        let table = [3.0, 1.0, 1.0, 0.0, 4.0, 0.0, 0.0, 0.0, 0.0];
        let expected = (2.0 * 3.0 / 8.0 + 2.0 * 4.0 / 9.0) / 2.0;
        assert!((Metric::MacroF1.of(&table, 3).unwrap() - expected).abs() < 1e-12);
    }

    #[test]
    fn metrics_have_the_names_of_the_command_line() {
        for metric in [Metric::Kappa, Metric::Accuracy, Metric::MacroF1, Metric::MeanAbsoluteError] {
            assert_eq!(metric.name().parse::<Metric>().unwrap(), metric);
        }
        assert_eq!(
            "auc".parse::<Metric>().unwrap_err().to_string(),
            "unknown metric 'auc': it is kappa, accuracy, f1 or mae"
        );
    }
}
