//! Two raters on one field of scores: every figure with its interval.
//!
//! Where items are independent, the classical interval is given if there is one; where they lie in sessions, or there is none, sessions
//! (items) are resampled. `method` says which.

use super::cluster_sums::{Items, Statistic, SummedSample};
use super::distribution::{CONFIDENCE, UPPER, t_quantile};
use super::estimate::{Estimate, NoInterval, Value};
use super::interval::{Resampled, Resampling};
use super::label_pair::PairContext;
use super::rank::RankSample;
use super::score::{Anova, Icc, MOMENTS, Moments};
use serde::Serialize;
use std::collections::BTreeMap;

/// One item that both raters scored.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ScoreRow {
    /// The cluster (any number that is the same for items of one cluster).
    pub cluster: usize,
    /// Rater a's score.
    pub a: f64,
    /// Rater b's score.
    pub b: f64,
    /// The item.
    pub item: usize,
}

/// Bland and Altman's limits of agreement: `value` is the bias, `low` and `high` are the limits, between which 95 % of differences
/// lie, and `se` is the standard error of a limit.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LimitsOfAgreement {
    /// Mean difference b − a.
    pub value: Option<f64>,
    /// Standard error of each limit, items taken as independent.
    pub se: Option<f64>,
    /// Lower limit.
    pub low: Option<f64>,
    /// Upper limit.
    pub high: Option<f64>,
    /// What the limits are.
    pub method: Option<String>,
    /// Why they are undefined.
    pub undefined: Option<String>,
    /// Standard deviation of the differences.
    pub sd: Option<f64>,
    /// The lower limit with its interval.
    pub lower: Estimate,
    /// The upper limit with its interval.
    pub upper: Estimate,
}

/// How much a rater leans on one score.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ModeShare {
    /// Share of b's scores at b's commonest score.
    #[serde(flatten)]
    pub estimate: Estimate,
    /// b's commonest score; the lowest of several.
    pub mode: Option<f64>,
    /// Share of a's scores at a's commonest score.
    pub a: Option<f64>,
    /// a's commonest score.
    pub a_mode: Option<f64>,
}

/// All figures of two raters on one field of scores. a is the reference.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ScoreAgreement {
    /// Mean of b − a.
    pub bias: Estimate,
    /// Mean of |b − a|.
    pub mae: Estimate,
    /// √(mean of (b − a)²).
    pub rmse: Estimate,
    /// Median of |b − a|.
    pub median_absolute_error: Option<f64>,
    /// Limits of agreement.
    pub limits_of_agreement: LimitsOfAgreement,
    /// Intraclass correlation, absolute agreement: a bias counts against it.
    pub icc_a1: Estimate,
    /// Intraclass correlation, consistency: a bias does not. The gap to `icc_a1` is the bias of scale.
    pub icc_c1: Estimate,
    /// Lin's concordance correlation.
    pub ccc: Estimate,
    /// Spearman's rank correlation.
    pub spearman: Estimate,
    /// Pearson's correlation.
    pub pearson: Estimate,
    /// Kendall's τ-b.
    pub kendall_tau_b: Estimate,
    /// Krippendorff's alpha, interval metric.
    pub krippendorff_alpha: Estimate,
    /// How much b leans on one score.
    pub mode_share: ModeShare,
    /// Slope of the difference on the mean of both: below 0, b compresses the scale.
    pub slope: Estimate,
    /// Share of items with |b − a| up to the key.
    pub within: BTreeMap<u32, f64>,
}

/// The statistics over moments, in the order in which they are resampled.
const STATISTICS: [fn(Moments) -> Value; 11] = [
    Moments::bias,
    Moments::mean_absolute_error,
    Moments::root_mean_squared_error,
    |m| m.limit_of_agreement(-1.0),
    |m| m.limit_of_agreement(1.0),
    |m| m.anova()?.icc(Icc::Agreement),
    |m| m.anova()?.icc(Icc::Consistency),
    Moments::concordance,
    Moments::pearson,
    Moments::krippendorff_alpha,
    Moments::slope,
];

/// Everything about two raters' scores.
pub fn score_agreement(rows: &[ScoreRow], context: &PairContext<'_>) -> ScoreAgreement {
    let centre = rows.iter().map(|row| row.a + row.b).sum::<f64>() / (2.0 * rows.len().max(1) as f64);
    let pairs: Vec<(f64, f64)> = rows.iter().map(|row| (row.a - centre, row.b - centre)).collect();
    let moments = Moments::of(&pairs);
    let a_mode = mode(rows.iter().map(|row| row.a));
    let b_mode = mode(rows.iter().map(|row| row.b));
    let resampled = resample_moments(rows, centre, b_mode.map(|mode| mode.0), context.resampling);
    let unit = context.unit();
    let by_resampling = |place: usize| resampled.estimate(place, unit);
    let classical = |place: usize, interval: Result<(Option<f64>, (f64, f64)), NoInterval>, method: &str| match (
        context.clustered,
        STATISTICS[place](moments),
    ) {
        (true, _) | (_, Err(_)) => by_resampling(place),
        (false, Ok(value)) => match interval {
            Ok((se, ends)) => Estimate::with_interval(value, se.or(resampled.jackknife_se(place)), ends, method),
            Err(reason) => Estimate::without_interval(value, reason),
        },
    };
    let anova = moments.anova();
    let icc = |form: Icc| {
        let interval = |anova: Anova| anova.icc_interval(form, CONFIDENCE).map(|ends| (None, ends));
        anova.map_or(Err(NoInterval::TooFewItems), interval)
    };
    let ranks = Resampled::new(&RankSample::new(&numbered(rows)), context.resampling);
    let differences: Vec<f64> = rows.iter().map(|row| (row.b - row.a).abs()).collect();
    ScoreAgreement {
        bias: classical(0, moments.bias_interval().map(|(se, ends)| (Some(se), ends)), "t"),
        mae: by_resampling(1),
        rmse: by_resampling(2),
        median_absolute_error: median(differences.clone()),
        limits_of_agreement: limits(
            moments,
            classical(3, limit_interval(moments, -1.0), "Bland–Altman, t"),
            classical(4, limit_interval(moments, 1.0), "Bland–Altman, t"),
        ),
        icc_a1: classical(5, icc(Icc::Agreement), "McGraw–Wong"),
        icc_c1: classical(6, icc(Icc::Consistency), "F"),
        ccc: classical(
            7,
            moments.concordance_interval(moments.n, CONFIDENCE).map(|(se, ends)| (Some(se), ends)),
            "Fisher z (Lin)",
        ),
        spearman: ranks.estimate(0, unit),
        pearson: classical(8, moments.pearson_interval(CONFIDENCE).map(|ends| (None, ends)), "Fisher z"),
        kendall_tau_b: ranks.estimate(1, unit),
        krippendorff_alpha: by_resampling(9),
        mode_share: ModeShare {
            estimate: by_resampling(STATISTICS.len()),
            mode: b_mode.map(|mode| mode.0),
            a: a_mode.map(|mode| mode.1),
            a_mode: a_mode.map(|mode| mode.0),
        },
        slope: by_resampling(10),
        within: match differences.len() {
            0 => BTreeMap::new(),
            n => [5_u32, 10, 20]
                .into_iter()
                .map(|most| (most, differences.iter().filter(|&&d| d <= f64::from(most)).count() as f64 / n as f64))
                .collect(),
        },
    }
}

/// Moments and the uses of b's commonest score by cluster, and the statistics of them.
fn resample_moments(rows: &[ScoreRow], centre: f64, mode: Option<f64>, resampling: Resampling) -> Resampled {
    let mut items = Items::new(MOMENTS + 1);
    for row in rows {
        items.add(row.cluster, &(row.a.to_bits(), row.b.to_bits()), || {
            let moments = Moments::item(row.a - centre, row.b - centre).into_iter();
            moments.chain([f64::from(mode == Some(row.b))]).enumerate().collect()
        });
    }
    let mut statistics: Vec<Box<dyn Statistic>> = vec![];
    for statistic in STATISTICS {
        statistics.push(Box::new(move |sums: &[f64]| statistic(Moments::new(sums))));
    }
    statistics.push(Box::new(|sums: &[f64]| {
        if sums[0] > 0.0 { Ok(sums[MOMENTS] / sums[0]) } else { Err(super::estimate::Undefined::NoItems) }
    }));
    Resampled::new(&SummedSample { sums: items.sums(), statistics }, resampling)
}

/// The rows with clusters numbered from 0 without gaps, in the order of the clusters' numbers.
fn numbered(rows: &[ScoreRow]) -> Vec<(usize, f64, f64)> {
    let mut clusters: Vec<usize> = rows.iter().map(|row| row.cluster).collect();
    clusters.sort_unstable();
    clusters.dedup();
    rows.iter().map(|row| (clusters.partition_point(|&cluster| cluster < row.cluster), row.a, row.b)).collect()
}

type Interval = Result<(Option<f64>, (f64, f64)), NoInterval>;

fn limit_interval(moments: Moments, side: f64) -> Interval {
    match (moments.limit_of_agreement(side), moments.limit_se()) {
        (Ok(_), Ok(se)) if se <= 0.0 => Err(NoInterval::NoResidual),
        (Ok(limit), Ok(se)) => {
            let half = t_quantile(UPPER, moments.n - 1.0) * se;
            Ok((Some(se), (limit - half, limit + half)))
        }
        _ => Err(NoInterval::TooFewItems),
    }
}

fn limits(moments: Moments, lower: Estimate, upper: Estimate) -> LimitsOfAgreement {
    LimitsOfAgreement {
        value: moments.bias().ok(),
        se: moments.limit_se().ok(),
        low: lower.value,
        high: upper.value,
        method: lower.value.map(|_| "bias ± 1.96 standard deviations of the difference".to_owned()),
        undefined: match lower.value {
            Some(_) => None,
            None => lower.undefined.clone(),
        },
        sd: moments.sd_of_difference().ok(),
        lower,
        upper,
    }
}

/// The commonest value and its share; the lowest of several.
fn mode(values: impl Iterator<Item = f64>) -> Option<(f64, f64)> {
    let mut sorted: Vec<f64> = values.collect();
    sorted.sort_by(f64::total_cmp);
    let runs = sorted.chunk_by(|x, y| x == y);
    let longest = runs.fold(None, |best: Option<&[f64]>, run| match best {
        Some(best) if best.len() >= run.len() => Some(best),
        _ => Some(run),
    })?;
    Some((longest[0], longest.len() as f64 / sorted.len() as f64))
}

pub(crate) fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => None,
        n if n % 2 == 1 => Some(values[middle]),
        _ => Some((values[middle - 1] + values[middle]) / 2.0),
    }
}
