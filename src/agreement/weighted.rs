//! Agreement on items that were drawn with unequal probabilities: each item counts 1/π, so that the figures are those of what it was drawn
//! from. Sessions are resampled with the weights of their items.

use super::cluster_sums::{ClusterSums, SummedSample};
use super::estimate::Estimate;
use super::interval::{Resampled, Resampling};
use super::kappa;
use super::table::TableView;
use serde::Serialize;

/// One item that both raters labelled.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct WeightedRow {
    /// The cluster.
    pub cluster: usize,
    /// Rater a's label.
    pub a: usize,
    /// Rater b's label.
    pub b: usize,
    /// 1/π.
    pub weight: f64,
}

/// A pair's agreement, weighted.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct WeightedAgreement {
    /// Items.
    pub items: usize,
    /// (Σw)²/Σw²: how many equally weighted items would say as much.
    pub effective_items: f64,
    /// Weighted share of items on which both agree.
    pub percent_agreement: Estimate,
    /// Cohen's kappa of the weighted table.
    pub cohen_kappa: Estimate,
}

/// Weighted agreement on `q` labels.
pub fn weighted_agreement(rows: &[WeightedRow], q: usize, unit: &str, resampling: Resampling) -> WeightedAgreement {
    let entries = rows.iter().map(|row| (row.cluster, row.a * q + row.b, row.weight)).collect();
    let view = move |sums: &[f64]| kappa::percent_agreement(TableView { labels: q, counts: sums });
    let kappa = move |sums: &[f64]| kappa::cohen_kappa(TableView { labels: q, counts: sums });
    let sample =
        SummedSample { sums: ClusterSums::new(q * q, entries), statistics: vec![Box::new(view), Box::new(kappa)] };
    let resampled = Resampled::new(&sample, resampling);
    let sum: f64 = rows.iter().map(|row| row.weight).sum();
    let squares: f64 = rows.iter().map(|row| row.weight * row.weight).sum();
    WeightedAgreement {
        items: rows.len(),
        effective_items: if squares > 0.0 { sum * sum / squares } else { 0.0 },
        percent_agreement: resampled.estimate(0, unit),
        cohen_kappa: resampled.estimate(1, unit),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(item: usize, a: usize, b: usize, weight: f64) -> WeightedRow {
        WeightedRow { cluster: item / 2, a, b, weight }
    }

    #[test]
    fn a_weight_of_2_is_the_item_twice() {
        let resampling = Resampling { replicates: 200, seed: 1 };
        let rows: Vec<WeightedRow> =
            (0..40).map(|item| row(item, item % 2, (item / 3) % 2, if item < 20 { 2.0 } else { 1.0 })).collect();
        let twice: Vec<WeightedRow> = (rows.iter())
            .flat_map(|row| std::iter::repeat_n(WeightedRow { weight: 1.0, ..*row }, row.weight as usize))
            .collect();
        let (found, expected) =
            (weighted_agreement(&rows, 2, "cluster", resampling), weighted_agreement(&twice, 2, "cluster", resampling));
        assert_eq!((found.items, expected.items), (40, 60));
        assert!((found.cohen_kappa.value.unwrap() - expected.cohen_kappa.value.unwrap()).abs() < 1e-12);
        assert!((found.cohen_kappa.low.unwrap() - expected.cohen_kappa.low.unwrap()).abs() < 1e-12);
        assert!((found.effective_items - 36.0).abs() < 1e-12, "60²/100");
    }
}
