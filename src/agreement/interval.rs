//! One mechanism for the intervals of every statistic: resample whole clusters.
//!
//! Prompts are nested in sessions, and an interval that takes them as independent covers 82 to 84 % instead of 95 %. So the
//! cluster (a session) is what is drawn, and everything is recomputed in each draw.
//!
//! A [`Sample`] gives its statistics for any multiplicities of its clusters; from that follow the jackknife (each cluster once
//! weighted 0), the bootstrap (multinomial weights) and BCa. Most statistics are functions of sums over items (a q × q table of
//! counts, moments): [`SummedSample`] keeps one sparse vector of sums per cluster and the statistics as [`Statistic`]s of the total,
//! so that a replicate costs a weighted sum and not a pass over rows. The difference of two statistics is a statistic too.

use super::distribution::{CONFIDENCE, normal_cdf, normal_quantile, t_quantile, upper};
use super::estimate::{Estimate, NoInterval, Value};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use rayon::prelude::*;

/// Replicates if nobody says otherwise.
pub const DEFAULT_REPLICATES: u32 = 10_000;

/// Fewer clusters than this: no interval.
pub const FEWEST_CLUSTERS: usize = 5;

/// Fewer clusters than this: jackknife and t instead of the bootstrap.
pub const FEWEST_BOOTSTRAP_CLUSTERS: usize = 10;

/// How much of a bootstrap may be undefined.
const MOST_UNDEFINED: f64 = 0.05;

/// How to resample.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Resampling {
    /// Bootstrap replicates.
    pub replicates: u32,
    /// Seed. Replicate r reads stream r of a ChaCha8 generator, so results do not depend on the number of threads.
    pub seed: u64,
}

impl Default for Resampling {
    fn default() -> Resampling {
        Resampling { replicates: DEFAULT_REPLICATES, seed: 0 }
    }
}

/// Data drawn by clusters, with the statistics computed from it.
pub trait Sample: Sync {
    /// Number of clusters.
    fn clusters(&self) -> usize;

    /// All statistics, in a fixed order, when cluster g is in the data `weights[g]` times.
    fn values(&self, weights: &[u32]) -> Vec<Value>;

    /// All statistics with each cluster left out in turn.
    fn leave_one_out(&self) -> Vec<Vec<Value>> {
        let all = vec![1; self.clusters()];
        (0..self.clusters())
            .into_par_iter()
            .map_init(
                || all.clone(),
                |weights, g| {
                    weights[g] = 0;
                    let values = self.values(weights);
                    weights[g] = 1;
                    values
                },
            )
            .collect()
    }
}

/// A function of sums over items.
pub trait Statistic: Send + Sync {
    /// The value for a data set whose items sum to `sums`.
    fn value(&self, sums: &[f64]) -> Value;
}

impl<F: Fn(&[f64]) -> Value + Send + Sync> Statistic for F {
    fn value(&self, sums: &[f64]) -> Value {
        self(sums)
    }
}

/// Sums over items kept by cluster: one sparse vector of `width` numbers each.
#[derive(Debug, Clone)]
pub struct ClusterSums {
    width: usize,
    starts: Vec<usize>,
    places: Vec<u32>,
    amounts: Vec<f64>,
}

impl ClusterSums {
    /// The sums of `entries` (cluster, place, amount), places below `width`. Clusters without an entry do not count.
    ///
    /// # Panics
    /// If a place is not below `width`.
    pub fn new(width: usize, mut entries: Vec<(usize, usize, f64)>) -> ClusterSums {
        entries.sort_by_key(|&(cluster, place, _)| (cluster, place));
        let mut sums = ClusterSums { width, starts: vec![], places: vec![], amounts: vec![] };
        let mut last = None;
        for (cluster, place, amount) in entries {
            assert!(place < width, "a place lies within the width");
            if last == Some((cluster, place)) {
                if let Some(sum) = sums.amounts.last_mut() {
                    *sum += amount;
                }
                continue;
            }
            if last.is_none_or(|(before, _)| before != cluster) {
                sums.starts.push(sums.places.len());
            }
            sums.places.push(place as u32);
            sums.amounts.push(amount);
            last = Some((cluster, place));
        }
        sums.starts.push(sums.places.len());
        sums
    }

    /// Number of clusters that hold something.
    pub fn clusters(&self) -> usize {
        self.starts.len() - 1
    }

    /// Sums over everything.
    pub fn total(&self) -> Vec<f64> {
        self.weighted(&vec![1; self.clusters()])
    }

    fn add(&self, cluster: usize, weight: f64, target: &mut [f64]) {
        let range = self.starts[cluster]..self.starts[cluster + 1];
        for (&place, &amount) in self.places[range.clone()].iter().zip(&self.amounts[range]) {
            target[place as usize] += weight * amount;
        }
    }

    fn weighted(&self, weights: &[u32]) -> Vec<f64> {
        let mut total = vec![0.0; self.width];
        for (cluster, &weight) in weights.iter().enumerate() {
            if weight > 0 {
                self.add(cluster, f64::from(weight), &mut total);
            }
        }
        total
    }
}

/// A sample whose statistics are functions of sums.
pub struct SummedSample<'a> {
    /// The sums by cluster.
    pub sums: ClusterSums,
    /// The statistics.
    pub statistics: Vec<Box<dyn Statistic + 'a>>,
}

impl SummedSample<'_> {
    fn evaluate(&self, sums: &[f64]) -> Vec<Value> {
        self.statistics.iter().map(|statistic| statistic.value(sums)).collect()
    }
}

impl Sample for SummedSample<'_> {
    fn clusters(&self) -> usize {
        self.sums.clusters()
    }

    fn values(&self, weights: &[u32]) -> Vec<Value> {
        self.evaluate(&self.sums.weighted(weights))
    }

    fn leave_one_out(&self) -> Vec<Vec<Value>> {
        let total = self.sums.total();
        let without = |cluster| {
            let mut rest = total.clone();
            self.sums.add(cluster, -1.0, &mut rest);
            self.evaluate(&rest)
        };
        (0..self.clusters()).map(without).collect()
    }
}

/// A sample, its leave-one-out values and its bootstrap replicates.
#[derive(Debug, Clone)]
pub struct Resampled {
    clusters: usize,
    values: Vec<Value>,
    leave_one_out: Vec<Vec<Value>>,
    replicates: Vec<Vec<Value>>,
}

impl Resampled {
    /// Resamples. The bootstrap is left out below [`FEWEST_BOOTSTRAP_CLUSTERS`] clusters, where it would not be used.
    pub fn new(sample: &dyn Sample, resampling: Resampling) -> Resampled {
        let clusters = sample.clusters();
        let values = sample.values(&vec![1; clusters]);
        let leave_one_out = if clusters > 1 { sample.leave_one_out() } else { vec![] };
        let replicates = match clusters < FEWEST_BOOTSTRAP_CLUSTERS {
            true => vec![],
            false => bootstrap(sample, resampling),
        };
        Resampled { clusters, values, leave_one_out, replicates }
    }

    /// Resamples, with the bootstrap however few clusters there are: for those who ask for it by name.
    pub fn with_bootstrap(sample: &dyn Sample, resampling: Resampling) -> Resampled {
        let mut resampled = Resampled::new(sample, Resampling { replicates: 0, ..resampling });
        if resampled.clusters > 1 {
            resampled.replicates = bootstrap(sample, resampling);
        }
        resampled
    }

    /// The value of a statistic on the data.
    pub fn value(&self, statistic: usize) -> Value {
        self.values[statistic]
    }

    /// Number of clusters.
    pub fn clusters(&self) -> usize {
        self.clusters
    }

    fn left_out(&self, statistic: usize) -> Option<Vec<f64>> {
        if self.leave_one_out.is_empty() {
            return None;
        }
        self.leave_one_out.iter().map(|values| values[statistic].ok()).collect()
    }

    /// Cluster jackknife: SE² = (G − 1)/G Σ_g (θ_(−g) − θ̄)². None if the statistic is undefined without some cluster.
    pub fn jackknife_se(&self, statistic: usize) -> Option<f64> {
        let left_out = self.left_out(statistic)?;
        let g = left_out.len() as f64;
        let mean = left_out.iter().sum::<f64>() / g;
        Some(((g - 1.0) / g * left_out.iter().map(|x| (x - mean).powi(2)).sum::<f64>()).sqrt())
    }

    /// θ ± t_{G−1} times the jackknife's standard error.
    pub fn jackknife_t(&self, statistic: usize, confidence: f64) -> Result<(f64, f64), NoInterval> {
        let (Ok(value), Some(se)) = (self.values[statistic], self.jackknife_se(statistic)) else {
            return Err(NoInterval::UndefinedJackknife);
        };
        let half = t_quantile(upper(confidence), self.clusters as f64 - 1.0) * se;
        Ok((value - half, value + half))
    }

    /// The defined replicates in ascending order.
    fn sorted(&self, statistic: usize) -> Result<Vec<f64>, NoInterval> {
        if self.replicates.is_empty() {
            return Err(NoInterval::TooFewClusters { clusters: self.clusters });
        }
        let mut drawn: Vec<f64> = self.replicates.iter().filter_map(|values| values[statistic].ok()).collect();
        let undefined = 1.0 - drawn.len() as f64 / self.replicates.len() as f64;
        if undefined > MOST_UNDEFINED {
            return Err(NoInterval::UndefinedReplicates { percent: 100.0 * undefined });
        }
        drawn.sort_unstable_by(f64::total_cmp);
        if drawn[drawn.len() - 1] - drawn[0] < 1e-12 {
            return Err(NoInterval::Degenerate);
        }
        Ok(drawn)
    }

    /// Standard deviation of the defined replicates, the bootstrap's standard error.
    pub fn bootstrap_se(&self, statistic: usize) -> Result<f64, NoInterval> {
        let drawn = self.sorted(statistic)?;
        let n = drawn.len() as f64;
        let mean = drawn.iter().sum::<f64>() / n;
        Ok((drawn.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (n - 1.0)).sqrt())
    }

    /// Share of the replicates in which a statistic is undefined; none without replicates.
    pub fn undefined_share(&self, statistic: usize) -> Option<f64> {
        let undefined = self.replicates.iter().filter(|values| values[statistic].is_err()).count();
        (!self.replicates.is_empty()).then(|| undefined as f64 / self.replicates.len() as f64)
    }

    /// Percentiles of the replicates at probabilities `low` and `high`.
    fn percentiles(&self, statistic: usize, low: f64, high: f64) -> Result<(f64, f64), NoInterval> {
        let drawn = self.sorted(statistic)?;
        Ok((quantile(&drawn, low), quantile(&drawn, high)))
    }

    /// The plain percentile interval.
    pub fn percentile(&self, statistic: usize, confidence: f64) -> Result<(f64, f64), NoInterval> {
        self.percentiles(statistic, 1.0 - upper(confidence), upper(confidence))
    }

    /// The t-expanded percentile interval (Hesterberg 2014): percentiles at Φ(∓√(G/(G − 1)) t_{G−1,.975}). The default, since
    /// the plain one is too narrow with few clusters.
    pub fn t_expanded(&self, statistic: usize, confidence: f64) -> Result<(f64, f64), NoInterval> {
        let g = self.clusters as f64;
        let tail = normal_cdf(-(g / (g - 1.0)).sqrt() * t_quantile(upper(confidence), g - 1.0));
        self.percentiles(statistic, tail, 1.0 - tail)
    }

    /// The bias-corrected and accelerated interval (Efron 1987), acceleration from the cluster jackknife.
    pub fn bca(&self, statistic: usize, confidence: f64) -> Result<(f64, f64), NoInterval> {
        let drawn = self.sorted(statistic)?;
        let (Ok(value), Some(left_out)) = (self.values[statistic], self.left_out(statistic)) else {
            return Err(NoInterval::UndefinedJackknife);
        };
        let below = drawn.partition_point(|&x| x < value) as f64;
        let up_to = drawn.partition_point(|&x| x <= value) as f64;
        let z0 = normal_quantile((below + up_to) / 2.0 / drawn.len() as f64);
        let mean = left_out.iter().sum::<f64>() / left_out.len() as f64;
        let power = |p: i32| left_out.iter().map(|x| (mean - x).powi(p)).sum::<f64>();
        let acceleration = power(3) / (6.0 * power(2).powf(1.5));
        if !z0.is_finite() || !acceleration.is_finite() {
            return Err(NoInterval::Degenerate);
        }
        let level = |z: f64| normal_cdf(z0 + (z0 + z) / (1.0 - acceleration * (z0 + z)));
        let z = normal_quantile(upper(confidence));
        Ok((quantile(&drawn, level(-z)), quantile(&drawn, level(z))))
    }

    /// The statistic with the default interval: t-expanded percentiles of the cluster bootstrap; with fewer than 10 clusters
    /// jackknife and t; with fewer than 5 none. The standard error is the jackknife's. `unit` names what was drawn: `cluster` or
    /// `item`.
    pub fn estimate(&self, statistic: usize, unit: &str) -> Estimate {
        let value = match self.values[statistic] {
            Ok(value) => value,
            Err(reason) => return Estimate::undefined(reason.to_string()),
        };
        if self.clusters < FEWEST_CLUSTERS {
            return Estimate::without_interval(value, NoInterval::TooFewClusters { clusters: self.clusters });
        }
        let se = self.jackknife_se(statistic);
        let (interval, method) = match self.clusters < FEWEST_BOOTSTRAP_CLUSTERS {
            true => match se {
                Some(se) if se < 1e-12 => (Err(NoInterval::Degenerate), ""),
                _ => (self.jackknife_t(statistic, CONFIDENCE), "jackknife, t"),
            },
            false => (self.t_expanded(statistic, CONFIDENCE), "bootstrap, t-expanded"),
        };
        match interval {
            Ok(ends) => Estimate::with_interval(value, se, ends, format!("{unit} {method}")),
            Err(NoInterval::Degenerate) => Estimate::without_interval(value, NoInterval::Degenerate),
            Err(reason) => Estimate { se, ..Estimate::without_interval(value, reason) },
        }
    }

    /// The statistic with the cluster jackknife's interval, for statistics too dear to bootstrap.
    pub fn estimate_by_jackknife(&self, statistic: usize, unit: &str) -> Estimate {
        match (self.values[statistic], self.jackknife_se(statistic)) {
            (Err(reason), _) => Estimate::undefined(reason.to_string()),
            (Ok(value), _) if self.clusters < FEWEST_CLUSTERS => {
                Estimate::without_interval(value, NoInterval::TooFewClusters { clusters: self.clusters })
            }
            (Ok(value), Some(se)) if se < 1e-12 => Estimate::without_interval(value, NoInterval::Degenerate),
            (Ok(value), se) => match self.jackknife_t(statistic, CONFIDENCE) {
                Ok(ends) => Estimate::with_interval(value, se, ends, format!("{unit} jackknife, t")),
                Err(reason) => Estimate::without_interval(value, reason),
            },
        }
    }
}

fn bootstrap(sample: &dyn Sample, resampling: Resampling) -> Vec<Vec<Value>> {
    let clusters = sample.clusters();
    let generator = ChaCha8Rng::seed_from_u64(resampling.seed);
    (0..resampling.replicates)
        .into_par_iter()
        .map_init(
            || vec![0_u32; clusters],
            |weights, replicate| {
                let mut generator = generator.clone();
                generator.set_stream(u64::from(replicate));
                weights.fill(0);
                for _ in 0..clusters {
                    weights[below(&mut generator, clusters as u32) as usize] += 1;
                }
                sample.values(weights)
            },
        )
        .collect()
}

/// A uniform number below `bound` by widening multiplication with rejection (Lemire 2019); written out so that results do not
/// change with a library's choice of algorithm.
fn below(generator: &mut ChaCha8Rng, bound: u32) -> u32 {
    let threshold = bound.wrapping_neg() % bound;
    loop {
        let product = u64::from(generator.next_u32()) * u64::from(bound);
        if product as u32 >= threshold {
            return (product >> 32) as u32;
        }
    }
}

/// Quantile of sorted numbers by linear interpolation (type 7 of Hyndman and Fan 1996).
fn quantile(sorted: &[f64], probability: f64) -> f64 {
    let place = probability.clamp(0.0, 1.0) * (sorted.len() - 1) as f64;
    let lower = place.floor() as usize;
    let upper = place.ceil() as usize;
    sorted[lower] + (sorted[upper] - sorted[lower]) * (place - lower as f64)
}
