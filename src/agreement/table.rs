//! Two raters' labels as a table of counts: rows are rater a, columns rater b, both in declared order.

use super::estimate::{Estimate, Undefined, Value};
use serde::Serialize;

/// A q × q table of (possibly weighted) counts.
#[derive(Debug, Clone, PartialEq)]
pub struct Table {
    labels: usize,
    counts: Vec<f64>,
}

impl Table {
    /// An empty table of `labels` × `labels`.
    pub fn new(labels: usize) -> Table {
        Table { labels, counts: vec![0.0; labels * labels] }
    }

    /// A table from counts by row.
    ///
    /// # Panics
    /// If there are not `labels`² counts.
    pub fn from_counts(labels: usize, counts: &[f64]) -> Table {
        assert_eq!(counts.len(), labels * labels, "a table is square");
        Table { labels, counts: counts.to_vec() }
    }

    /// Counts one item that a labelled `a` and b labelled `b` (label indices).
    pub fn add(&mut self, a: usize, b: usize) {
        self.counts[a * self.labels + b] += 1.0;
    }

    /// The same counts as a view.
    pub fn view(&self) -> TableView<'_> {
        TableView { labels: self.labels, counts: &self.counts }
    }
}

/// A table that somebody else owns: `counts` by row, `labels`² of them.
#[derive(Debug, Clone, Copy)]
pub struct TableView<'a> {
    /// Number of labels q.
    pub labels: usize,
    /// Counts by row.
    pub counts: &'a [f64],
}

impl<'a> TableView<'a> {
    /// The count of items that a labelled `a` and b labelled `b`.
    pub fn count(self, a: usize, b: usize) -> f64 {
        self.counts[a * self.labels + b]
    }

    /// One row: the items that a labelled `a`.
    pub fn row(self, a: usize) -> &'a [f64] {
        &self.counts[a * self.labels..(a + 1) * self.labels]
    }

    /// Number of items.
    pub fn total(self) -> f64 {
        self.counts.iter().sum()
    }

    /// Items on the diagonal.
    pub fn agreed(self) -> f64 {
        (0..self.labels).map(|k| self.count(k, k)).sum()
    }

    /// How often a used label `k`.
    pub fn row_sum(self, k: usize) -> f64 {
        self.row(k).iter().sum()
    }

    /// How often b used label `k`.
    pub fn column_sum(self, k: usize) -> f64 {
        (0..self.labels).map(|a| self.count(a, k)).sum()
    }

    /// Row sums and column sums.
    pub fn margins(self) -> (Vec<f64>, Vec<f64>) {
        ((0..self.labels).map(|k| self.row_sum(k)).collect(), (0..self.labels).map(|k| self.column_sum(k)).collect())
    }

    /// The 2 × 2 table of label `k` against all others (`k` first).
    pub fn one_against_rest(self, k: usize) -> Table {
        let both = self.count(k, k);
        let (row, column, total) = (self.row_sum(k), self.column_sum(k), self.total());
        Table::from_counts(2, &[both, row - both, column - both, total - row - column + both])
    }
}

/// A confusion matrix for the reader: counts in the order of the codebook.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Confusion {
    /// Labels of rows and columns.
    pub labels: Vec<String>,
    /// `counts[i][j]`: items that a labelled `labels[i]` and b labelled `labels[j]`.
    pub counts: Vec<Vec<u64>>,
}

impl Confusion {
    /// The matrix of a table of whole counts.
    pub fn of(table: TableView<'_>, labels: &[String]) -> Confusion {
        let counts = (0..table.labels).map(|a| table.row(a).iter().map(|&c| c.round() as u64).collect()).collect();
        Confusion { labels: labels.to_vec(), counts }
    }
}

/// What one label's figures are, with rater a as the reference.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PerLabel {
    /// The label.
    pub label: String,
    /// How often a used it.
    pub support: u64,
    /// How often b used it.
    pub used: u64,
    /// Share of b's uses that a shares; `None` if b never used it.
    pub precision: Option<f64>,
    /// Share of a's uses that b shares; `None` if a never used it.
    pub recall: Option<f64>,
    /// F1, the same number as specific agreement 2n_kk/(n_k· + n_·k); `None` if neither used it.
    pub f1: Option<f64>,
    /// Cohen's kappa of this label against all others; `None` if undefined.
    pub kappa: Option<f64>,
    /// Share of items that b gave this label less the share that a gave it, with an interval: above 0, b over-uses the label.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub overuse: Option<Estimate>,
}

/// The figures of every label, without intervals.
pub fn per_label(table: TableView<'_>, labels: &[String]) -> Vec<PerLabel> {
    let share = |part: f64, whole: f64| (whole > 0.0).then(|| part / whole);
    labels
        .iter()
        .enumerate()
        .map(|(k, label)| {
            let (both, a, b) = (table.count(k, k), table.row_sum(k), table.column_sum(k));
            PerLabel {
                label: label.clone(),
                support: a.round() as u64,
                used: b.round() as u64,
                precision: share(both, b),
                recall: share(both, a),
                f1: share(2.0 * both, a + b),
                kappa: super::kappa::cohen_kappa(table.one_against_rest(k).view()).ok(),
                overuse: None,
            }
        })
        .collect()
}

/// Mean F1, an undefined F1 counting 0: over all declared labels, and over the labels that a used.
/// The two differ when labels are unused, so the reader is told which is which.
pub fn macro_f1(figures: &[PerLabel]) -> (Option<f64>, Option<f64>) {
    let mean = |chosen: Vec<f64>| (!chosen.is_empty()).then(|| chosen.iter().sum::<f64>() / chosen.len() as f64);
    (
        mean(figures.iter().map(|l| l.f1.unwrap_or(0.0)).collect()),
        mean(figures.iter().filter(|l| l.support > 0).map(|l| l.f1.unwrap_or(0.0)).collect()),
    )
}

/// Mean recall over the labels that a used; undefined without items.
pub fn balanced_accuracy(table: TableView<'_>) -> Value {
    let recalls: Vec<f64> =
        (0..table.labels).filter(|&k| table.row_sum(k) > 0.0).map(|k| table.count(k, k) / table.row_sum(k)).collect();
    if recalls.is_empty() { Err(Undefined::NoItems) } else { Ok(recalls.iter().sum::<f64>() / recalls.len() as f64) }
}

/// Matthews' correlation of both sides' labels (Gorodkin 2004 for more than two); undefined where one side used one label only.
pub fn matthews_correlation(table: TableView<'_>) -> Value {
    let n = table.total();
    if n <= 0.0 {
        return Err(Undefined::NoItems);
    }
    let (rows, columns) = table.margins();
    let product = |x: &[f64], y: &[f64]| -> f64 { x.iter().zip(y).map(|(x, y)| x * y).sum() };
    let (spread_a, spread_b) = (n * n - product(&rows, &rows), n * n - product(&columns, &columns));
    if spread_a < super::kappa::TINY * n * n || spread_b < super::kappa::TINY * n * n {
        return Err(Undefined::OneLabelByOneRater);
    }
    Ok((table.agreed() * n - product(&rows, &columns)) / (spread_a * spread_b).sqrt())
}

/// Mean of a figure over the labels that have it, weighted by how often a used them; the plain mean where a used none of these.
pub fn mean_by_support(figures: &[PerLabel], figure: impl Fn(&PerLabel) -> Option<f64>) -> Option<f64> {
    let defined: Vec<(f64, f64)> =
        figures.iter().filter_map(|label| Some((figure(label)?, label.support as f64))).collect();
    let weight: f64 = defined.iter().map(|(_, weight)| weight).sum();
    match defined.len() {
        0 => None,
        _ if weight > 0.0 => Some(defined.iter().map(|(value, support)| value * support).sum::<f64>() / weight),
        count => Some(defined.iter().map(|(value, _)| value).sum::<f64>() / count as f64),
    }
}
