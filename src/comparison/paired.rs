//! Each rater's figure and the difference of every pair, on the same resampled clusters.
//!
//! Pairing pays: an item that is hard for one rater is hard for the other, and that part of the chance cancels in the difference.

use super::shared::{Metric, Shared};
use crate::agreement::cluster_sums::{ClusterSums, Statistic, SummedSample};
use crate::agreement::estimate::{Estimate, Undefined};
use crate::agreement::influence::{cluster_sums, independent_se, linearised_se};
use crate::agreement::interval::{Resampled, Resampling};

/// The pairs (earlier, later) of `raters` raters, in the order in which their differences are resampled.
pub fn pairs(raters: usize) -> Vec<(usize, usize)> {
    (0..raters).flat_map(|a| (a + 1..raters).map(move |b| (a, b))).collect()
}

/// Figures and differences with their replicates.
#[derive(Debug)]
pub struct Paired {
    resampled: Resampled,
    raters: usize,
}

impl Paired {
    /// Resamples whole clusters, once for all raters. A difference is the later rater's figure less the earlier one's.
    pub fn new(shared: &dyn Shared, metric: Metric, resampling: Resampling) -> Paired {
        let (width, labels, raters) = (shared.width(), shared.labels(), shared.raters());
        let entries = (0..shared.clusters().len())
            .flat_map(|item| {
                (0..raters).flat_map(move |rater| {
                    let parts = shared.item(rater, item).into_iter();
                    parts.map(move |(place, amount)| (shared.clusters()[item], rater * width + place, amount))
                })
            })
            .collect();
        let figure = move |rater: usize, sums: &[f64]| metric.of(&sums[rater * width..(rater + 1) * width], labels);
        let mut statistics: Vec<Box<dyn Statistic>> = Vec::new();
        for rater in 0..raters {
            statistics.push(Box::new(move |sums: &[f64]| figure(rater, sums)));
        }
        for (a, b) in pairs(raters) {
            statistics.push(Box::new(move |sums: &[f64]| Ok(figure(b, sums)? - figure(a, sums)?)));
        }
        let sample = SummedSample { sums: ClusterSums::new(raters * width, entries), statistics };
        Paired { resampled: Resampled::new(&sample, resampling), raters }
    }

    /// Number of clusters.
    pub fn clusters(&self) -> usize {
        self.resampled.clusters()
    }

    /// A rater's figure with the default interval. `unit` names what was drawn: `cluster` or `item`.
    pub fn figure(&self, rater: usize, unit: &str) -> Estimate {
        self.resampled.estimate(rater, unit)
    }

    /// The difference of a pair, by its place in [`pairs`], with the default interval.
    pub fn difference(&self, pair: usize, unit: &str) -> Estimate {
        self.resampled.estimate(self.raters + pair, unit)
    }

    /// The replicates behind everything, for other intervals: raters first, then pairs.
    pub fn resampled(&self) -> &Resampled {
        &self.resampled
    }
}

/// Standard errors of a difference from the influence of each item, ψ^B − ψ^A.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Linearized {
    /// Figure of b less figure of a.
    pub difference: f64,
    /// As if items were independent: √(mean(ψ²)/n).
    pub se_items: f64,
    /// By clusters: √(G/(G − 1) Σ_g(Σ_{t∈g} ψ_t)²)/n; `None` for a single cluster.
    pub se_clusters: Option<f64>,
    /// Number of clusters.
    pub clusters: usize,
}

/// The difference of raters `a` and `b` with its linearised standard errors.
pub fn linearized(shared: &dyn Shared, metric: Metric, (a, b): (usize, usize)) -> Result<Linearized, Undefined> {
    let figure = |rater: usize| metric.of(&shared.sums(rater), shared.labels());
    let difference = figure(b)? - figure(a)?;
    let (from, to) = (shared.influence(metric, a)?, shared.influence(metric, b)?);
    let influence: Vec<f64> = from.iter().zip(&to).map(|(a, b)| b - a).collect();
    let sums = cluster_sums(shared.clusters().iter().copied().zip(influence.iter().copied()));
    Ok(Linearized {
        difference,
        se_items: independent_se(&influence).ok_or(Undefined::NoItems)?,
        se_clusters: linearised_se(&sums, influence.len() as f64),
        clusters: sums.len(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::comparison::{SharedLabels, SharedScores};

    /// 24 sessions of 5 turns; b repairs a third of a's errors, always the same ones.
    fn shared() -> SharedLabels {
        let reference: Vec<usize> = (0..120).map(|i| i % 3).collect();
        let wrong = |i: usize, every: usize| i.is_multiple_of(7) && (i / 7).is_multiple_of(every);
        let answers = |every: usize| -> Vec<usize> {
            reference
                .iter()
                .enumerate()
                .map(|(i, &label)| if wrong(i, every) { (label + 1) % 3 } else { label })
                .collect()
        };
        let raters = vec![answers(1), answers(3)];
        SharedLabels { labels: 3, clusters: (0..120).map(|i| i / 5).collect(), reference, raters }
    }

    #[test]
    fn a_difference_is_the_later_less_the_earlier_with_an_interval_narrower_than_the_parts() {
        let paired = Paired::new(&shared(), Metric::Kappa, Resampling { replicates: 2000, seed: 3 });
        let (a, b, difference) =
            (paired.figure(0, "cluster"), paired.figure(1, "cluster"), paired.difference(0, "cluster"));
        assert!((difference.value.unwrap() - (b.value.unwrap() - a.value.unwrap())).abs() < 1e-12);
        assert!(difference.value.unwrap() > 0.0 && difference.low.unwrap() > 0.0);
        let unpaired = (a.se.unwrap().powi(2) + b.se.unwrap().powi(2)).sqrt();
        assert!(difference.se.unwrap() < unpaired);
    }

    #[test]
    fn the_linearised_and_the_jackknife_standard_error_are_close() {
        let shared = shared();
        for metric in [Metric::Kappa, Metric::Accuracy, Metric::MacroF1] {
            let paired = Paired::new(&shared, metric, Resampling { replicates: 200, seed: 3 });
            let jackknife = paired.difference(0, "cluster").se.unwrap();
            let linear = linearized(&shared, metric, (0, 1)).unwrap();
            assert_eq!(linear.clusters, 24);
            assert!((linear.se_clusters.unwrap() / jackknife - 1.0).abs() < 0.1, "{metric:?}");
        }
    }

    #[test]
    fn scores_are_compared_by_their_errors() {
        let shared = SharedScores {
            clusters: (0..40).map(|i| i / 2).collect(),
            reference: (0..40).map(f64::from).collect(),
            raters: vec![
                (0..40).map(|i| f64::from(i) + 4.0).collect(),
                (0..40).map(|i| f64::from(i - i % 3)).collect(),
            ],
        };
        let paired = Paired::new(&shared, Metric::MeanAbsoluteError, Resampling { replicates: 500, seed: 1 });
        assert_eq!(paired.figure(0, "cluster").value, Some(4.0));
        assert!((paired.difference(0, "cluster").value.unwrap() - (39.0 / 40.0 - 4.0)).abs() < 1e-9);
        assert!(paired.difference(0, "cluster").high.unwrap() < -2.5);
    }
}
