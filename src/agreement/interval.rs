//! One mechanism for the intervals of every statistic: resample whole clusters.
//!
//! Prompts are nested in sessions, and an interval that takes them as independent covers 82 to 84 % instead of 95 %. So the
//! cluster (a session) is what is drawn, and everything is recomputed in each draw.
//!
//! A [`Sample`] gives its statistics for any multiplicities of its clusters; from that follow the jackknife (each cluster once
//! weighted 0), the bootstrap (multinomial weights) and BCa. Most statistics are functions of sums over items (a q × q table of
//! counts, moments): [`SummedSample`](super::cluster_sums::SummedSample) keeps the sums by cluster, so that a replicate costs a weighted sum
//! and not a pass over rows. The difference of two statistics is a statistic too.

use super::distribution::{CONFIDENCE, normal_cdf, normal_quantile, t_quantile, upper};
use super::draw::{self, Draws};
use super::estimate::{Estimate, NoInterval, Value};
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

/// Data drawn by clusters, with the statistics computed from it. Clusters that hold the same may be of one kind; the numbers are as if each
/// were by itself.
pub trait Sample: Sync {
    /// How many clusters there are of each kind.
    fn kinds(&self) -> &[u32];

    /// All statistics, in a fixed order, when there are `weights[k]` clusters of kind k in the data.
    fn values(&self, weights: &[u32]) -> Vec<Value>;

    /// All statistics with one cluster of each kind left out in turn.
    fn leave_one_out(&self) -> Vec<Vec<Value>> {
        (0..self.kinds().len())
            .into_par_iter()
            .map_init(
                || self.kinds().to_vec(),
                |weights, kind| {
                    weights[kind] -= 1;
                    let values = self.values(weights);
                    weights[kind] += 1;
                    values
                },
            )
            .collect()
    }

    /// All statistics of each bootstrap replicate: as many clusters as there are, drawn with replacement.
    fn replicates(&self, resampling: Resampling) -> Vec<Vec<Value>> {
        replicates_by_weights(self, resampling)
    }
}

/// Replicates of a sample that knows no quicker way than weights.
pub(super) fn replicates_by_weights(sample: &(impl Sample + ?Sized), resampling: Resampling) -> Vec<Vec<Value>> {
    let draws = Draws::new(sample.kinds());
    let empty = || vec![0; sample.kinds().len()];
    draw::replicates(&draws, resampling, empty, |weights| weights.fill(0), |weights| sample.values(weights))
}

/// A sample, its leave-one-out values and its bootstrap replicates.
#[derive(Debug, Clone)]
pub struct Resampled {
    /// How many clusters there are of each kind.
    kinds: Vec<u32>,
    clusters: usize,
    values: Vec<Value>,
    /// By kind of the cluster that is left out.
    leave_one_out: Vec<Vec<Value>>,
    replicates: Vec<Vec<Value>>,
}

impl Resampled {
    /// Resamples. The bootstrap is left out below [`FEWEST_BOOTSTRAP_CLUSTERS`] clusters, where it would not be used.
    pub fn new(sample: &dyn Sample, resampling: Resampling) -> Resampled {
        let kinds = sample.kinds().to_vec();
        let clusters = kinds.iter().map(|&count| count as usize).sum();
        let values = sample.values(&kinds);
        let leave_one_out = if clusters > 1 { sample.leave_one_out() } else { vec![] };
        let replicates = match clusters < FEWEST_BOOTSTRAP_CLUSTERS {
            true => vec![],
            false => sample.replicates(resampling),
        };
        Resampled { kinds, clusters, values, leave_one_out, replicates }
    }

    /// Resamples, with the bootstrap however few clusters there are: for those who ask for it by name.
    pub fn with_bootstrap(sample: &dyn Sample, resampling: Resampling) -> Resampled {
        let mut resampled = Resampled::new(sample, Resampling { replicates: 0, ..resampling });
        if resampled.clusters > 1 {
            resampled.replicates = sample.replicates(resampling);
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

    /// The value without a cluster of each kind, and how many clusters are of that kind.
    fn left_out(&self, statistic: usize) -> Option<Vec<(f64, f64)>> {
        if self.leave_one_out.is_empty() {
            return None;
        }
        let values = self.leave_one_out.iter().zip(&self.kinds);
        values.map(|(values, &count)| Some((values[statistic].ok()?, f64::from(count)))).collect()
    }

    /// Cluster jackknife: SE² = (G − 1)/G Σ_g (θ_(−g) − θ̄)². None if the statistic is undefined without some cluster.
    pub fn jackknife_se(&self, statistic: usize) -> Option<f64> {
        let left_out = self.left_out(statistic)?;
        let g = self.clusters as f64;
        let mean = left_out.iter().map(|(x, count)| count * x).sum::<f64>() / g;
        let squares: f64 = left_out.iter().map(|(x, count)| count * (x - mean).powi(2)).sum();
        Some(((g - 1.0) / g * squares).sqrt())
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
        let mean = left_out.iter().map(|(x, count)| count * x).sum::<f64>() / self.clusters as f64;
        let power = |p: i32| left_out.iter().map(|(x, count)| count * (mean - x).powi(p)).sum::<f64>();
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

/// Quantile of sorted numbers by linear interpolation (type 7 of Hyndman and Fan 1996).
fn quantile(sorted: &[f64], probability: f64) -> f64 {
    let place = probability.clamp(0.0, 1.0) * (sorted.len() - 1) as f64;
    let lower = place.floor() as usize;
    let upper = place.ceil() as usize;
    sorted[lower] + (sorted[upper] - sorted[lower]) * (place - lower as f64)
}
