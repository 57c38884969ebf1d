//! Could the difference of two raters be chance? Swap their answers by whole clusters and see.
//!
//! If two raters are equally good, which of them gave which answers of a session is arbitrary. So the answers are swapped session by
//! session, all 2^G ways where sessions are few, else at random. Single turns are never swapped: turns of one session go together, and a
//! test that takes them as independent declares equal raters different in a fifth of all studies.

use super::shared::{Metric, Shared};
use crate::agreement::estimate::Undefined;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use rayon::prelude::*;
use std::collections::BTreeMap;

/// Up to so many clusters in which the raters differ, all swaps are tried.
pub const MOST_ENUMERATED: usize = 20;

/// Random swaps if nobody says otherwise.
pub const DEFAULT_SWAPS: u32 = 10_000;

/// Differences this close count as equal.
const TIE: f64 = 1e-12;

/// The swaps that one thread takes at once, as a power of 2.
const BLOCK: usize = 8;

/// The outcome of the test.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct Permutation {
    /// Figure of b less figure of a.
    pub difference: f64,
    /// Share of swaps whose difference is at least as far from 0.
    pub p_two_sided: f64,
    /// Share of swaps in which b is ahead by at least as much.
    pub p_b_greater: f64,
    /// Whether all swaps were tried.
    pub exact: bool,
    /// How many swaps were tried.
    pub swaps: u64,
    /// Clusters in which the raters differ.
    pub differing: usize,
}

/// How the swaps are chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Swaps {
    /// How many, where they are drawn at random.
    pub random: u32,
    /// Seed; swap r reads stream r of a ChaCha8 generator.
    pub seed: u64,
}

impl Default for Swaps {
    fn default() -> Swaps {
        Swaps { random: DEFAULT_SWAPS, seed: 0 }
    }
}

/// The sums of both raters, and what a swap of each cluster moves from a to b.
struct Arrangements {
    metric: Metric,
    labels: usize,
    a: Vec<f64>,
    b: Vec<f64>,
    /// b's sums less a's, of each cluster in which their answers differ: places and amounts, none where the sums are the same.
    moved: Vec<Vec<(usize, f64)>>,
}

impl Arrangements {
    fn of(shared: &dyn Shared, metric: Metric, (a, b): (usize, usize)) -> Arrangements {
        let mut clusters = BTreeMap::<usize, BTreeMap<usize, f64>>::new();
        for (item, &cluster) in shared.clusters().iter().enumerate() {
            // A cluster in which answers differ may be swapped, whether or not its sums change.
            if shared.item(a, item) == shared.item(b, item) {
                continue;
            }
            let moved = clusters.entry(cluster).or_default();
            for (rater, sign) in [(a, -1.0), (b, 1.0)] {
                let parts = shared.item(rater, item).into_iter();
                parts.for_each(|(place, amount)| *moved.entry(place).or_default() += sign * amount);
            }
        }
        let moved = clusters
            .into_values()
            .map(|moved| moved.into_iter().filter(|(_, amount)| *amount != 0.0).collect::<Vec<(usize, f64)>>())
            .collect();
        Arrangements { metric, labels: shared.labels(), a: shared.sums(a), b: shared.sums(b), moved }
    }

    fn difference(&self, a: &[f64], b: &[f64]) -> Result<f64, Undefined> {
        Ok(self.metric.of(b, self.labels)? - self.metric.of(a, self.labels)?)
    }

    /// Swaps a cluster, or swaps it back.
    fn swap(&self, cluster: usize, back: bool, a: &mut [f64], b: &mut [f64]) {
        let sign = if back { -1.0 } else { 1.0 };
        for &(place, amount) in &self.moved[cluster] {
            a[place] += sign * amount;
            b[place] -= sign * amount;
        }
    }
}

/// How many differences are as extreme as the one observed: on both sides, and on b's.
#[derive(Clone, Copy, Default)]
struct Extremes {
    both: u64,
    upper: u64,
}

impl Extremes {
    /// Counts a difference. One that is undefined is taken as extreme, so that it never makes a test significant.
    fn count(&mut self, difference: Option<f64>, observed: f64) {
        self.both += u64::from(difference.is_none_or(|d| d.abs() >= observed.abs() - TIE));
        self.upper += u64::from(difference.is_none_or(|d| d >= observed - TIE));
    }

    fn plus(self, other: Extremes) -> Extremes {
        Extremes { both: self.both + other.both, upper: self.upper + other.upper }
    }
}

/// The paired permutation test of raters `a` and `b`. Undefined where the difference itself is.
pub fn permutation(
    shared: &dyn Shared,
    metric: Metric,
    pair: (usize, usize),
    swaps: Swaps,
) -> Result<Permutation, Undefined> {
    let arrangements = Arrangements::of(shared, metric, pair);
    let observed = arrangements.difference(&arrangements.a, &arrangements.b)?;
    let differing = arrangements.moved.len();
    let exact = differing <= MOST_ENUMERATED;
    let (extremes, tried) = match exact {
        true => (enumerate(&arrangements, observed), 1_u64 << differing),
        false => (draw(&arrangements, observed, swaps), u64::from(swaps.random)),
    };
    // The observed arrangement is one of all; among random ones it is counted in.
    let own = u64::from(!exact);
    let share = |count: u64| (count + own) as f64 / (tried + own) as f64;
    Ok(Permutation {
        difference: observed,
        p_two_sided: share(extremes.both),
        p_b_greater: share(extremes.upper),
        exact,
        swaps: tried,
        differing,
    })
}

/// All swaps. Swapping everything else instead only turns the sign, so the last cluster stays and each difference counts twice.
fn enumerate(arrangements: &Arrangements, observed: f64) -> Extremes {
    let free = arrangements.moved.len().saturating_sub(1);
    let inner = free.min(BLOCK);
    let mut extremes = (0..1_u64 << (free - inner))
        .into_par_iter()
        .map(|block| {
            let (mut a, mut b) = (arrangements.a.clone(), arrangements.b.clone());
            (inner..free)
                .filter(|cluster| block >> (cluster - inner) & 1 == 1)
                .for_each(|cluster| arrangements.swap(cluster, false, &mut a, &mut b));
            let mut extremes = Extremes::default();
            let mut swapped = 0_u64;
            // A Gray code: each step swaps one cluster.
            for step in 0..1_u64 << inner {
                if step > 0 {
                    let cluster = step.trailing_zeros() as usize;
                    arrangements.swap(cluster, swapped >> cluster & 1 == 1, &mut a, &mut b);
                    swapped ^= 1 << cluster;
                }
                let difference = arrangements.difference(&a, &b).ok();
                extremes.count(difference, observed);
                if !arrangements.moved.is_empty() {
                    extremes.count(difference.map(|difference| -difference), observed);
                }
            }
            extremes
        })
        .collect::<Vec<Extremes>>();
    let first = extremes.pop().unwrap_or_default();
    extremes.into_iter().fold(first, Extremes::plus)
}

fn draw(arrangements: &Arrangements, observed: f64, swaps: Swaps) -> Extremes {
    let generator = ChaCha8Rng::seed_from_u64(swaps.seed);
    (0..swaps.random)
        .into_par_iter()
        .map(|swap| {
            let mut generator = generator.clone();
            generator.set_stream(u64::from(swap));
            let (mut a, mut b) = (arrangements.a.clone(), arrangements.b.clone());
            let mut bits = 0;
            for cluster in 0..arrangements.moved.len() {
                if cluster % 32 == 0 {
                    bits = generator.next_u32();
                }
                if bits >> (cluster % 32) & 1 == 1 {
                    arrangements.swap(cluster, false, &mut a, &mut b);
                }
            }
            let mut extremes = Extremes::default();
            extremes.count(arrangements.difference(&a, &b).ok(), observed);
            extremes
        })
        .reduce(Extremes::default, Extremes::plus)
}

#[cfg(test)]
mod tests;
