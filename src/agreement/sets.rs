//! Two raters who each give an item any number of labels: how alike the sets are.
//!
//! Each set that occurs is a label of its own for [`super::ratings`]; here the sets are taken apart again.

use super::cluster_sums::{ClusterSums, Statistic, SummedSample};
use super::estimate::{Estimate, Undefined, Value};
use super::interval::Resampled;
use super::label_pair::{LabelRow, PairContext};
use serde::Serialize;

/// What separates the labels of a set.
pub const SEPARATOR: &str = ";";

/// The set without a label.
pub const EMPTY: &str = "∅";

/// A set as a label of its own.
pub fn name_of(labels: &[&str]) -> String {
    if labels.is_empty() { EMPTY.to_owned() } else { labels.join(SEPARATOR) }
}

/// A pair's figures on sets of labels.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SetFigures {
    /// Share of items on which both sets are the same.
    pub exact_match: Estimate,
    /// Mean of |A ∩ B| / |A ∪ B| (Jaccard 1912); two empty sets count 1.
    pub jaccard: Estimate,
    /// Krippendorff's alpha with the distance of MASI (Passonneau 2006): 1 − Jaccard × 1, ⅔, ⅓ or 0 for equal, nested, overlapping and disjoint
    /// sets.
    pub krippendorff_alpha_masi: Estimate,
    /// F1 over all labels of all items together: 2Σ|A ∩ B| / (Σ|A| + Σ|B|).
    pub micro_f1: Estimate,
    /// Mean of the labels' F1, over those that a used; an undefined F1 counts 0.
    pub macro_f1: Estimate,
}

/// The sets that occur, and how far apart they are.
struct Sets {
    members: usize,
    sets: Vec<Vec<bool>>,
    masi: Vec<f64>,
}

impl Sets {
    /// `names` are sets as [`name_of`] makes them, of `members`.
    fn new(names: &[String], members: &[String]) -> Sets {
        let sets: Vec<Vec<bool>> = (names.iter())
            .map(|name| {
                let given: Vec<&str> = name.split(SEPARATOR).collect();
                members.iter().map(|member| given.contains(&member.as_str())).collect()
            })
            .collect();
        let pairs = sets.iter().flat_map(|a| sets.iter().map(move |b| masi_distance(a, b)));
        let masi = pairs.collect();
        Sets { members: members.len(), sets, masi }
    }

    fn shared(&self, row: &LabelRow) -> impl Iterator<Item = (bool, bool)> {
        self.sets[row.a].iter().copied().zip(self.sets[row.b].iter().copied())
    }
}

fn counts(a: &[bool], b: &[bool]) -> (f64, f64) {
    let both = a.iter().zip(b).filter(|(a, b)| **a && **b).count();
    let either = a.iter().zip(b).filter(|(a, b)| **a || **b).count();
    (both as f64, either as f64)
}

fn jaccard(a: &[bool], b: &[bool]) -> f64 {
    let (both, either) = counts(a, b);
    if either == 0.0 { 1.0 } else { both / either }
}

fn masi_distance(a: &[bool], b: &[bool]) -> f64 {
    let within = |a: &[bool], b: &[bool]| a.iter().zip(b).all(|(a, b)| !a || *b);
    let nesting = match (within(a, b), within(b, a)) {
        (true, true) => 1.0,
        (false, false) if counts(a, b).0 > 0.0 => 1.0 / 3.0,
        (false, false) => 0.0,
        _ => 2.0 / 3.0,
    };
    1.0 - jaccard(a, b) * nesting
}

/// Where the sums stand: items, equal ones, Jaccard, MASI distance; then of each label how often both, a and b gave it; then how often each
/// set was given.
const ITEMS: usize = 0;
const EQUAL: usize = 1;
const JACCARD: usize = 2;
const MASI: usize = 3;
const LABELS: usize = 4;

/// The figures of two raters on sets. `names` are the sets in the order of the rows' labels, `members` the labels they are made of.
pub fn set_figures(rows: &[LabelRow], names: &[String], members: &[String], context: &PairContext<'_>) -> SetFigures {
    let sets = Sets::new(names, members);
    let given = LABELS + 3 * sets.members;
    let mut entries = vec![];
    for row in rows {
        let mut add = |place: usize, amount: f64| {
            if amount != 0.0 {
                entries.push((row.cluster, place, amount));
            }
        };
        add(ITEMS, 1.0);
        add(EQUAL, f64::from(row.a == row.b));
        add(JACCARD, jaccard(&sets.sets[row.a], &sets.sets[row.b]));
        add(MASI, sets.masi[row.a * names.len() + row.b]);
        for (label, (a, b)) in sets.shared(row).enumerate() {
            add(LABELS + 3 * label, f64::from(a && b));
            add(LABELS + 3 * label + 1, f64::from(a));
            add(LABELS + 3 * label + 2, f64::from(b));
        }
        add(given + row.a, 1.0);
        add(given + row.b, 1.0);
    }
    let mean = |place: usize| {
        move |sums: &[f64]| if sums[ITEMS] > 0.0 { Ok(sums[place] / sums[ITEMS]) } else { Err(Undefined::NoItems) }
    };
    let masi = &sets.masi;
    let statistics: Vec<Box<dyn Statistic + '_>> = vec![
        Box::new(mean(EQUAL)),
        Box::new(mean(JACCARD)),
        Box::new(move |sums: &[f64]| alpha(sums[MASI], &sums[given..], masi)),
        Box::new(move |sums: &[f64]| micro_f1(&sums[LABELS..given])),
        Box::new(move |sums: &[f64]| macro_f1(&sums[LABELS..given])),
    ];
    let sample = SummedSample { sums: ClusterSums::new(given + names.len(), entries), statistics };
    let resampled = Resampled::new(&sample, context.resampling);
    let estimate = |place: usize| resampled.estimate(place, context.unit());
    SetFigures {
        exact_match: estimate(0),
        jaccard: estimate(1),
        krippendorff_alpha_masi: estimate(2),
        micro_f1: estimate(3),
        macro_f1: estimate(4),
    }
}

/// α = 1 − (N − 1) Σ o_cd δ_cd / Σ n_c n_d δ_cd; two raters give each item two coincidences.
fn alpha(distance: f64, given: &[f64], masi: &[f64]) -> Value {
    let n: f64 = given.iter().sum();
    if n < 2.0 {
        return Err(Undefined::NoItems);
    }
    let mut expected = 0.0;
    for (c, count) in given.iter().enumerate().filter(|(_, count)| **count > 0.0) {
        let row = &masi[c * given.len()..(c + 1) * given.len()];
        expected += count * row.iter().zip(given).map(|(distance, other)| distance * other).sum::<f64>();
    }
    if expected <= 1e-9 { Err(Undefined::OneLabelUsed) } else { Ok(1.0 - (n - 1.0) * 2.0 * distance / expected) }
}

fn micro_f1(labels: &[f64]) -> Value {
    let sum = |part: usize| labels.iter().skip(part).step_by(3).sum::<f64>();
    let given = sum(1) + sum(2);
    if given > 0.0 { Ok(2.0 * sum(0) / given) } else { Err(Undefined::NoItems) }
}

fn macro_f1(labels: &[f64]) -> Value {
    let used = labels.chunks_exact(3).filter(|label| label[1] > 0.0);
    let (count, sum) =
        used.fold((0.0, 0.0), |(count, sum), label| (count + 1.0, sum + 2.0 * label[0] / (label[1] + label[2])));
    if count > 0.0 { Ok(sum / count) } else { Err(Undefined::NoItems) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agreement::interval::Resampling;

    fn owned(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    fn context() -> PairContext<'static> {
        PairContext {
            a: "gold",
            b: "m",
            reference: true,
            ordinal: false,
            clustered: false,
            values: None,
            resampling: Resampling { replicates: 200, seed: 1 },
        }
    }

    fn rows(pairs: &[(usize, usize)]) -> Vec<LabelRow> {
        pairs.iter().enumerate().map(|(item, &(a, b))| LabelRow { cluster: item, a, b, item }).collect()
    }

    #[test]
    fn masi_tells_equal_nested_overlapping_and_disjoint_sets_apart() {
        let set = |text: &str| -> Vec<bool> { text.chars().map(|c| c == '1').collect() };
        let distance = |a: &str, b: &str| masi_distance(&set(a), &set(b));
        assert_eq!(distance("110", "110"), 0.0);
        assert_eq!(distance("000", "000"), 0.0);
        assert!((distance("110", "100") - (1.0 - 0.5 * 2.0 / 3.0)).abs() < 1e-12);
        assert!((distance("110", "011") - (1.0 - 1.0 / 9.0)).abs() < 1e-12);
        assert_eq!(distance("100", "011"), 1.0);
        assert_eq!(distance("000", "011"), 1.0);
    }

    #[test]
    fn figures_of_a_small_example_by_hand() {
        let (names, members) = (owned(&["x", "x;y", "∅"]), owned(&["x", "y"]));
        let found = set_figures(&rows(&[(0, 0), (0, 1), (1, 1), (2, 0)]), &names, &members, &context());
        let near = |estimate: &Estimate, expected: f64| {
            assert!((estimate.value.unwrap() - expected).abs() < 1e-12, "{estimate:?} is not {expected}");
        };
        near(&found.exact_match, 0.5);
        near(&found.jaccard, (1.0 + 0.5 + 1.0 + 0.0) / 4.0);
        // Both gave x three times; a gave x 3 and y 1, b gave x 4 and y 2 times.
        near(&found.micro_f1, 2.0 * 4.0 / 10.0);
        near(&found.macro_f1, (2.0 * 3.0 / 7.0 + 2.0 * 1.0 / 3.0) / 2.0);
        // Sets given: x 4 times, x;y 3 times, none once. Distances: x and x;y 2/3, none to both 1.
        let expected = 2.0 * (4.0 * 3.0 * (2.0 / 3.0) + 4.0 * 1.0 + 3.0 * 1.0);
        near(&found.krippendorff_alpha_masi, 1.0 - 7.0 * 2.0 * (2.0 / 3.0 + 1.0) / expected);
    }

    #[test]
    fn the_same_set_throughout_leaves_alpha_undefined() {
        let found = set_figures(&rows(&[(0, 0); 20]), &owned(&["x"]), &owned(&["x", "y"]), &context());
        assert_eq!(found.krippendorff_alpha_masi.value, None);
        assert_eq!(found.exact_match.value, Some(1.0));
    }
}
