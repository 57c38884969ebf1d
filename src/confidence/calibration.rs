//! Does 80 % sure mean right in 80 %? Brier score, calibration error, log loss and the area under the curve, weighted or not.

use super::Judged;

/// Fewer items with gold than this: the calibration error says more about the bins than about the model.
pub const FEWEST_FOR_ERROR: usize = 200;

/// Probabilities are kept this far from 0 and 1 in the log loss.
const CLIP: f64 = 1e-6;

/// How confidences are put into bins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Binning {
    /// Bins of equal width, open below and closed above; the first takes 0 as well.
    EqualWidth,
    /// Bins of (nearly) as many items, in the order of confidence.
    EqualMass,
}

/// One row of a reliability table.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct Bin {
    /// Items.
    pub items: usize,
    /// Sum of their weights.
    pub weight: f64,
    /// Mean confidence.
    pub confidence: f64,
    /// Share that is right.
    pub accuracy: f64,
}

fn total(items: &[Judged]) -> Option<f64> {
    let total: f64 = items.iter().map(|item| item.weight).sum();
    (total > 0.0).then_some(total)
}

fn mean(items: &[Judged], of: impl Fn(&Judged) -> f64) -> Option<f64> {
    Some(items.iter().map(|item| item.weight * of(item)).sum::<f64>() / total(items)?)
}

/// Mean of (c − z)², z whether the item is right. `None` without items.
pub fn brier(items: &[Judged]) -> Option<f64> {
    mean(items, |item| (item.confidence - f64::from(item.right)).powi(2))
}

/// Share of right items.
pub fn accuracy(items: &[Judged]) -> Option<f64> {
    mean(items, |item| f64::from(item.right))
}

/// Mean of −ln of the probability given to what happened, probabilities clipped at 10⁻⁶.
pub fn log_loss(items: &[Judged]) -> Option<f64> {
    mean(items, |item| {
        let sure = item.confidence.clamp(CLIP, 1.0 - CLIP);
        -(if item.right { sure } else { 1.0 - sure }).ln()
    })
}

/// The reliability table: one row a bin that holds items.
pub fn reliability(items: &[Judged], bins: usize, binning: Binning) -> Vec<Bin> {
    let mut groups: Vec<Vec<Judged>> = vec![Vec::new(); bins];
    match binning {
        Binning::EqualWidth => {
            let edges: Vec<f64> = (1..bins).map(|edge| edge as f64 / bins as f64).collect();
            for item in items {
                groups[edges.partition_point(|edge| *edge < item.confidence)].push(*item);
            }
        }
        Binning::EqualMass => {
            let mut sorted = items.to_vec();
            sorted.sort_by(|one, other| one.confidence.total_cmp(&other.confidence));
            for (rank, item) in sorted.iter().enumerate() {
                groups[rank * bins / sorted.len()].push(*item);
            }
        }
    }
    groups
        .iter()
        .filter_map(|group| {
            Some(Bin {
                items: group.len(),
                weight: total(group)?,
                confidence: mean(group, |item| item.confidence)?,
                accuracy: accuracy(group)?,
            })
        })
        .collect()
}

/// Expected calibration error Σ (w_b/w)|accuracy − confidence|. It is too large with few items: see [`FEWEST_FOR_ERROR`].
pub fn calibration_error(items: &[Judged], bins: usize, binning: Binning) -> Option<f64> {
    let all = total(items)?;
    let table = reliability(items, bins, binning);
    Some(table.iter().map(|bin| bin.weight / all * (bin.accuracy - bin.confidence).abs()).sum())
}

/// How often a right item is surer than a wrong one, ties counting half. `None` unless there are both.
pub fn area_under_curve(items: &[Judged]) -> Option<f64> {
    let mut sorted = items.to_vec();
    sorted.sort_by(|one, other| one.confidence.total_cmp(&other.confidence));
    let (mut below, mut ahead, mut right, mut wrong) = (0.0, 0.0, 0.0, 0.0);
    for tied in sorted.chunk_by(|one, other| one.confidence == other.confidence) {
        let sum = |which: bool| tied.iter().filter(|item| item.right == which).map(|item| item.weight).sum::<f64>();
        let (tied_right, tied_wrong) = (sum(true), sum(false));
        ahead += tied_right * (below + tied_wrong / 2.0);
        below += tied_wrong;
        right += tied_right;
        wrong += tied_wrong;
    }
    (right > 0.0 && wrong > 0.0).then(|| ahead / (right * wrong))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(cases: &[(f64, bool)]) -> Vec<Judged> {
        cases.iter().map(|&(confidence, right)| Judged { confidence, right, weight: 1.0 }).collect()
    }

    fn close(found: Option<f64>, expected: f64) {
        assert!((found.unwrap() - expected).abs() < 1e-12, "{found:?} {expected}");
    }

    #[test]
    fn figures_of_a_small_case_by_hand() {
        let items = judged(&[(0.9, true), (0.9, false), (0.6, true), (0.3, false), (0.0, false)]);
        close(brier(&items), (0.01 + 0.81 + 0.16 + 0.09) / 5.0);
        // Bins (.8,.9], (.5,.6], (.2,.3] and [0,.1].
        close(calibration_error(&items, 10, Binning::EqualWidth), (2.0 * 0.4 + 0.4 + 0.3) / 5.0);
        // Right: .9 and .6; wrong: .9, .3, 0.
        close(area_under_curve(&items), (2.5 + 2.0) / 6.0);
        let loss = -(0.9_f64.ln() + 0.1_f64.ln() + 0.6_f64.ln() + 0.7_f64.ln() + (1.0 - 1e-6_f64).ln()) / 5.0;
        close(log_loss(&items), loss);
    }

    #[test]
    fn edges_belong_to_the_bin_below_and_0_to_the_first() {
        let items = judged(&[(0.0, true), (0.1, true), (0.100_001, true), (0.3, true), (1.0, true)]);
        let table = reliability(&items, 10, Binning::EqualWidth);
        assert_eq!(table.iter().map(|bin| bin.items).collect::<Vec<usize>>(), [2, 1, 1, 1]);
        // 0.3 lies in (.2, .3], not above it, for all that 3/10 is no exact binary number.
        assert_eq!(table[2].confidence, 0.3);
    }

    #[test]
    fn bins_of_equal_mass_hold_as_many_items() {
        let items: Vec<Judged> = judged(&(0..20).map(|i| (f64::from(i * i) / 400.0, i % 2 == 0)).collect::<Vec<_>>());
        let table = reliability(&items, 5, Binning::EqualMass);
        assert!(table.iter().all(|bin| bin.items == 4) && table.len() == 5);
    }

    #[test]
    fn a_weight_of_2_is_the_item_twice() {
        let mut weighted = judged(&[(0.8, true), (0.8, false), (0.4, true), (0.2, false)]);
        weighted[1].weight = 2.0;
        let twice = judged(&[(0.8, true), (0.8, false), (0.8, false), (0.4, true), (0.2, false)]);
        for figure in [brier, log_loss, area_under_curve, accuracy] {
            close(figure(&weighted), figure(&twice).unwrap());
        }
        let error = |items: &[Judged]| calibration_error(items, 10, Binning::EqualWidth);
        close(error(&weighted), error(&twice).unwrap());
    }

    #[test]
    fn what_cannot_be_computed_is_none() {
        assert_eq!((brier(&[]), log_loss(&[]), area_under_curve(&[])), (None, None, None));
        assert_eq!(calibration_error(&[], 10, Binning::EqualMass), None);
        assert_eq!(area_under_curve(&judged(&[(0.4, true), (0.9, true)])), None);
    }
}
