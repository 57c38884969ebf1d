//! Rank correlations of two raters' scores, with ties.

use super::estimate::{Undefined, Value};
use super::interval::Sample;

/// Two raters' scores on items that lie in clusters, prepared for rank correlations under any weights of the clusters.
#[derive(Debug, Clone)]
pub struct RankSample {
    /// How many clusters there are of each kind: each is by itself.
    kinds: Vec<u32>,
    /// (cluster, rank of x among its values, rank of y), by x.
    rows: Vec<(usize, usize, usize)>,
    x_values: usize,
    y_values: usize,
}

impl RankSample {
    /// From (cluster, x, y). Clusters are numbered from 0 without gaps.
    pub fn new(scores: &[(usize, f64, f64)]) -> RankSample {
        let codes = |pick: &dyn Fn(&(usize, f64, f64)) -> f64| {
            let mut values: Vec<f64> = scores.iter().map(pick).collect();
            values.sort_by(f64::total_cmp);
            values.dedup();
            values
        };
        let (x_values, y_values) = (codes(&|row| row.1), codes(&|row| row.2));
        let code = |values: &[f64], value: f64| values.partition_point(|&other| other < value);
        let mut rows: Vec<(usize, usize, usize)> =
            (scores.iter()).map(|&(cluster, x, y)| (cluster, code(&x_values, x), code(&y_values, y))).collect();
        rows.sort_unstable_by_key(|&(cluster, x, y)| (x, y, cluster));
        RankSample {
            kinds: vec![1; scores.iter().map(|row| row.0 + 1).max().unwrap_or(0)],
            rows,
            x_values: x_values.len(),
            y_values: y_values.len(),
        }
    }

    fn margins(&self, weights: &[u32]) -> (Vec<f64>, Vec<f64>) {
        let (mut x, mut y) = (vec![0.0; self.x_values], vec![0.0; self.y_values]);
        for &(cluster, a, b) in &self.rows {
            x[a] += f64::from(weights[cluster]);
            y[b] += f64::from(weights[cluster]);
        }
        (x, y)
    }

    /// Spearman's ρ: Pearson's r of mid-ranks.
    fn spearman(&self, weights: &[u32], x: &[f64], y: &[f64]) -> Value {
        let n: f64 = x.iter().sum();
        let centre = (n + 1.0) / 2.0;
        let (ranks_x, ranks_y) = (mid_ranks(x), mid_ranks(y));
        let square = |ranks: &[f64], counts: &[f64]| -> f64 {
            ranks.iter().zip(counts).map(|(rank, count)| count * (rank - centre).powi(2)).sum()
        };
        let products: f64 = (self.rows.iter())
            .map(|&(cluster, a, b)| f64::from(weights[cluster]) * (ranks_x[a] - centre) * (ranks_y[b] - centre))
            .sum();
        Ok((products / (square(&ranks_x, x) * square(&ranks_y, y)).sqrt()).clamp(-1.0, 1.0))
    }

    /// Concordant less discordant pairs of items, in O(n log n): items by x, those before counted by y in a binary indexed tree.
    fn concordance(&self, weights: &[u32]) -> f64 {
        let mut tree = CountTree::new(self.y_values);
        let (mut surplus, mut before, mut start) = (0.0, 0.0, 0);
        while start < self.rows.len() {
            let x = self.rows[start].1;
            let end = start + self.rows[start..].partition_point(|row| row.1 == x);
            for &(cluster, _, y) in &self.rows[start..end] {
                let weight = f64::from(weights[cluster]);
                if weight > 0.0 {
                    surplus += weight * (tree.below(y) - (before - tree.below(y + 1)));
                }
            }
            for &(cluster, _, y) in &self.rows[start..end] {
                tree.add(y, f64::from(weights[cluster]));
                before += f64::from(weights[cluster]);
            }
            start = end;
        }
        surplus
    }

    /// Kendall's τ-b (1945): surplus of concordant pairs over √((pairs − ties in x)(pairs − ties in y)).
    fn kendall(&self, weights: &[u32], x: &[f64], y: &[f64]) -> Value {
        let pairs = |count: f64| count * (count - 1.0) / 2.0;
        let untied = |counts: &[f64]| pairs(counts.iter().sum()) - counts.iter().copied().map(pairs).sum::<f64>();
        Ok((self.concordance(weights) / (untied(x) * untied(y)).sqrt()).clamp(-1.0, 1.0))
    }

    /// Two-sided p of τ-b by the normal approximation with the tie correction (Kendall 1970), as for large samples.
    pub fn kendall_p(&self) -> Value {
        let weights = &self.kinds;
        let (x, y) = self.margins(weights);
        check(&x, &y)?;
        let n: f64 = x.iter().sum();
        let sum = |counts: &[f64], term: &dyn Fn(f64) -> f64| counts.iter().map(|&count| term(count)).sum::<f64>();
        let pairs = |t: f64| t * (t - 1.0);
        let triples = |t: f64| t * (t - 1.0) * (t - 2.0);
        let spread = |t: f64| t * (t - 1.0) * (2.0 * t + 5.0);
        let mut variance = (spread(n) - sum(&x, &spread) - sum(&y, &spread)) / 18.0
            + 2.0 * (sum(&x, &pairs) / 2.0) * (sum(&y, &pairs) / 2.0) / pairs(n);
        if n > 2.0 {
            variance += sum(&x, &triples) * sum(&y, &triples) / (9.0 * triples(n));
        }
        Ok(super::distribution::normal_two_sided(self.concordance(weights) / variance.sqrt()))
    }
}

fn check(x: &[f64], y: &[f64]) -> Result<(), Undefined> {
    let used = |counts: &[f64]| counts.iter().filter(|&&count| count > 0.0).count();
    match (x.iter().sum::<f64>(), used(x), used(y)) {
        (n, ..) if n <= 0.0 => Err(Undefined::NoItems),
        (n, ..) if n < 2.0 => Err(Undefined::TooFewItems { needed: 2 }),
        (_, 1, _) | (_, _, 1) => Err(Undefined::OneRaterConstant),
        _ => Ok(()),
    }
}

/// The mid-rank of each value, from how often it occurs.
fn mid_ranks(counts: &[f64]) -> Vec<f64> {
    let mut before = 0.0;
    (counts.iter())
        .map(|count| {
            let rank = before + (count + 1.0) / 2.0;
            before += count;
            rank
        })
        .collect()
}

impl Sample for RankSample {
    fn kinds(&self) -> &[u32] {
        &self.kinds
    }

    /// Spearman's ρ, then Kendall's τ-b.
    fn values(&self, weights: &[u32]) -> Vec<Value> {
        let (x, y) = self.margins(weights);
        match check(&x, &y) {
            Ok(()) => vec![self.spearman(weights, &x, &y), self.kendall(weights, &x, &y)],
            Err(reason) => vec![Err(reason), Err(reason)],
        }
    }
}

/// Counts by position with prefix sums in O(log n) (Fenwick 1994).
struct CountTree(Vec<f64>);

impl CountTree {
    fn new(positions: usize) -> CountTree {
        CountTree(vec![0.0; positions + 1])
    }

    fn add(&mut self, position: usize, count: f64) {
        let mut node = position + 1;
        while node < self.0.len() {
            self.0[node] += count;
            node += node & node.wrapping_neg();
        }
    }

    /// Counts at positions below `position`.
    fn below(&self, position: usize) -> f64 {
        let (mut node, mut sum) = (position, 0.0);
        while node > 0 {
            sum += self.0[node];
            node -= node & node.wrapping_neg();
        }
        sum
    }
}
