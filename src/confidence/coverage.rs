//! Which items a human should look at: how the error rate of the accepted items falls as unsure ones are set aside, and where to draw the line.

use super::Judged;
use crate::agreement::distribution::beta_quantile;

/// Items in descending confidence, ties in their own order.
fn surest_first(items: &[Judged]) -> Vec<Judged> {
    let mut sorted = items.to_vec();
    sorted.sort_by(|one, other| other.confidence.total_cmp(&one.confidence));
    sorted
}

/// Error rate of the k surest items, for k = 1 … n.
pub fn risks(items: &[Judged]) -> Vec<f64> {
    let mut wrong = 0.0;
    surest_first(items)
        .iter()
        .enumerate()
        .map(|(rank, item)| {
            wrong += f64::from(!item.right);
            wrong / (rank + 1) as f64
        })
        .collect()
}

/// Mean of the risks over all coverages. `None` without items.
pub fn area_under_risk(items: &[Judged]) -> Option<f64> {
    let risks = risks(items);
    (!risks.is_empty()).then(|| risks.iter().sum::<f64>() / risks.len() as f64)
}

/// Error rate of the surest items that make up at least `coverage` (above 0, at most 1) of all.
pub fn risk_at(items: &[Judged], coverage: f64) -> Option<f64> {
    let risks = risks(items);
    let count = (coverage * risks.len() as f64 - 1e-9).ceil().max(1.0) as usize;
    risks.get(count - 1).copied()
}

/// One line of the curve: everything at least as sure as a threshold is accepted.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct Accepted {
    /// The smallest accepted confidence.
    pub threshold: f64,
    /// Share of items accepted.
    pub coverage: f64,
    /// Accepted items.
    pub items: usize,
    /// Share of them that is wrong.
    pub risk: f64,
    /// Upper bound of that share.
    pub upper: f64,
}

/// How a line is chosen.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Routing {
    /// The error rate that the accepted items must stay below.
    pub target: f64,
    /// Chance that they do not.
    pub alpha: f64,
    /// How many thresholds are tried, at most.
    pub thresholds: usize,
}

impl Default for Routing {
    fn default() -> Routing {
        Routing { target: 0.05, alpha: 0.05, thresholds: 20 }
    }
}

impl Routing {
    /// The curve at the thresholds tried: distinct confidences at about equal steps of coverage, the surest first. Upper bounds are
    /// Clopper and Pearson's, one-sided, at `alpha` shared over all thresholds (Bonferroni): the best of twenty lines is too good.
    pub fn curve(&self, items: &[Judged]) -> Vec<Accepted> {
        let sorted = surest_first(items);
        let mut ends = Vec::new();
        let (mut count, mut wrong) = (0, 0);
        for tied in sorted.chunk_by(|one, other| one.confidence == other.confidence) {
            count += tied.len();
            wrong += tied.iter().filter(|item| !item.right).count();
            ends.push((tied[0].confidence, count, wrong));
        }
        let tried = self.thresholds.max(1).min(ends.len());
        let mut chosen: Vec<(f64, usize, usize)> = Vec::new();
        for step in 1..=tried {
            let wanted = (step * sorted.len()).div_ceil(tried);
            let end = ends[ends.partition_point(|end| end.1 < wanted).min(ends.len() - 1)];
            if chosen.last() != Some(&end) {
                chosen.push(end);
            }
        }
        let alpha = self.alpha / chosen.len().max(1) as f64;
        chosen
            .iter()
            .map(|&(threshold, count, wrong)| Accepted {
                threshold,
                coverage: count as f64 / sorted.len() as f64,
                items: count,
                risk: wrong as f64 / count as f64,
                upper: clopper_pearson_upper(wrong, count, alpha),
            })
            .collect()
    }

    /// The line with the largest coverage whose bound is not above the target; `None` if there is none, and humans label everything.
    pub fn line(&self, items: &[Judged]) -> Option<Accepted> {
        self.curve(items).into_iter().rev().find(|accepted| accepted.upper <= self.target)
    }
}

/// One-sided upper bound of a share of `wrong` among `n`.
fn clopper_pearson_upper(wrong: usize, n: usize, alpha: f64) -> f64 {
    if wrong >= n { 1.0 } else { beta_quantile(1.0 - alpha, wrong as f64 + 1.0, (n - wrong) as f64) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(cases: &[(f64, bool)]) -> Vec<Judged> {
        cases.iter().map(|&(confidence, right)| Judged { confidence, right, weight: 1.0 }).collect()
    }

    #[test]
    fn risk_by_hand_with_ties_in_the_order_of_items() {
        let items = judged(&[(0.5, false), (0.9, true), (0.9, false), (0.2, true)]);
        assert_eq!(risks(&items), [0.0, 0.5, 2.0 / 3.0, 0.5]);
        assert!((area_under_risk(&items).unwrap() - (0.5 + 2.0 / 3.0 + 0.5) / 4.0).abs() < 1e-12);
        assert_eq!(
            (risk_at(&items, 0.5), risk_at(&items, 1.0), risk_at(&items, 0.6)),
            (Some(0.5), Some(0.5), Some(2.0 / 3.0))
        );
        assert_eq!((area_under_risk(&[]), risk_at(&[], 0.5)), (None, None));
    }

    #[test]
    fn the_bound_is_clopper_and_pearsons() {
        // 3 of 50 at 95 %, as scipy.stats.binomtest(3, 50, alternative="less").proportion_ci(.95).
        assert!((clopper_pearson_upper(3, 50, 0.05) - 0.14783764).abs() < 1e-6);
        assert!((clopper_pearson_upper(0, 100, 0.05) - (1.0 - 0.05_f64.powf(0.01))).abs() < 1e-9);
        assert_eq!(clopper_pearson_upper(4, 4, 0.05), 1.0);
    }

    #[test]
    fn the_line_is_the_largest_coverage_that_holds_the_target() {
        // Above .5 nothing is wrong, below it half.
        let items = judged(&(0..400).map(|i| (f64::from(i) / 400.0, i >= 200 || i % 2 == 0)).collect::<Vec<_>>());
        let routing = Routing { target: 0.05, ..Routing::default() };
        let line = routing.line(&items).unwrap();
        assert!(line.coverage >= 0.5 && line.coverage < 0.6 && line.upper <= 0.05, "{line:?}");
        let next = routing.curve(&items).into_iter().find(|one| one.coverage > line.coverage).unwrap();
        assert!(next.upper > 0.05);
        assert_eq!(Routing { target: 0.001, ..routing }.line(&items), None);
        assert_eq!(routing.line(&[]), None);
    }

    #[test]
    fn tied_items_are_accepted_together_and_more_thresholds_cost_certainty() {
        let votes = judged(&(0..300).map(|i| ([0.6, 0.8, 1.0][i % 3], i % 3 == 2 || i % 4 == 0)).collect::<Vec<_>>());
        let curve = Routing::default().curve(&votes);
        assert_eq!(curve.iter().map(|one| one.items).collect::<Vec<usize>>(), [100, 200, 300]);
        let single = Routing { thresholds: 1, ..Routing::default() }.curve(&votes);
        assert_eq!(single.len(), 1);
        assert!(single[0].upper < curve[2].upper);
    }
}
