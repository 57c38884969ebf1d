//! Estimates by design (Egami, Hinck, Stewart and Wei 2023; AIPW): every unit's probability of being gold is known.
//!
//! ỹ_i = ŷ_i + (R_i/π_i)(y_i − ŷ_i), R_i whether the unit is gold, is unbiased for y_i whatever the model does; means and regressions of ỹ
//! are then those of y.

use super::NoCorrection;
use super::regression::{self, Fit};

/// A unit with an answer of the model.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Unit {
    /// The model's answer.
    pub guess: f64,
    /// Gold, if the unit was drawn.
    pub gold: Option<f64>,
    /// The probability with which it was to be drawn; needed of gold units only.
    pub probability: f64,
    /// Its cluster.
    pub cluster: usize,
}

impl Unit {
    fn pseudo_outcome(&self) -> f64 {
        self.guess + self.gold.map_or(0.0, |gold| (gold - self.guess) / self.probability)
    }
}

/// A mean by design, beside the numbers that it repairs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DesignMean {
    /// The mean of ỹ.
    pub estimate: f64,
    /// Its standard error for independent units: s_ỹ/√N.
    pub se: f64,
    /// Its standard error by clusters; none with a single one.
    pub se_cluster: Option<f64>,
    /// Number of clusters.
    pub clusters: usize,
    /// Clusters with gold.
    pub gold_clusters: usize,
    /// Units with gold.
    pub gold: usize,
    /// The mean of the model's answers.
    pub naive_model: f64,
    /// The mean of gold, as if every unit had been drawn alike.
    pub naive_gold: f64,
    /// The mean of gold weighted by 1/π (Hájek 1971), without the model.
    pub hajek_gold: f64,
    /// Σ 1/π over gold, which is an unbiased estimate of the number of units, and its standard error for independent draws.
    pub implied_units: (f64, f64),
}

fn check(units: &[Unit]) -> Result<(), NoCorrection> {
    let gold = units.iter().filter(|unit| unit.gold.is_some());
    if gold.clone().count() == 0 {
        return Err(NoCorrection::NoGold);
    }
    let known = |unit: &Unit| unit.probability > 0.0 && unit.probability.is_finite();
    if gold.clone().all(known) { Ok(()) } else { Err(NoCorrection::NoProbability) }
}

/// The mean by design.
///
/// # Errors
/// [`NoCorrection`] without gold, with a gold unit without a probability, or with a single unit.
pub fn mean(units: &[Unit]) -> Result<DesignMean, NoCorrection> {
    check(units)?;
    let outcomes: Vec<f64> = units.iter().map(Unit::pseudo_outcome).collect();
    let clusters: Vec<usize> = units.iter().map(|unit| unit.cluster).collect();
    if units.len() < 2 {
        return Err(NoCorrection::TooFewGold { gold: units.len(), needed: 2 });
    }
    let fit = regression::least_squares(&vec![vec![1.0]; units.len()], &outcomes, Some(&clusters))?;
    let gold: Vec<(f64, f64, usize)> =
        units.iter().filter_map(|unit| Some((unit.gold?, 1.0 / unit.probability, unit.cluster))).collect();
    let weight: f64 = gold.iter().map(|(_, w, _)| w).sum();
    let mut with_gold: Vec<usize> = gold.iter().map(|(.., cluster)| *cluster).collect();
    with_gold.sort_unstable();
    with_gold.dedup();
    let spread: f64 = gold.iter().map(|(_, w, _)| (1.0 - 1.0 / w) * w * w).sum();
    Ok(DesignMean {
        estimate: fit.coefficients[0],
        se: fit.hc1[0],
        se_cluster: fit.cluster.map(|errors| errors[0]),
        clusters: fit.clusters,
        gold_clusters: with_gold.len(),
        gold: gold.len(),
        naive_model: units.iter().map(|unit| unit.guess).sum::<f64>() / units.len() as f64,
        naive_gold: gold.iter().map(|(y, ..)| y).sum::<f64>() / gold.len() as f64,
        hajek_gold: gold.iter().map(|(y, w, _)| y * w).sum::<f64>() / weight,
        implied_units: (weight, spread.sqrt()),
    })
}

/// The standard error of the mean among these very units, of which each was drawn by itself: SE² = Σ_gold (1 − π)(y − ŷ)²/π² / N². By sessions, if
/// gold has several units in one: the terms' deviations from their mean are summed within each, for whole sessions may have been drawn.
pub fn error_of_these(units: &[Unit], by_session: bool) -> f64 {
    let all = units.len() as f64;
    let term = |unit: &Unit| {
        let left = (1.0 - unit.probability).max(0.0).sqrt();
        unit.gold.map_or(0.0, |gold| left * (gold - unit.guess) / unit.probability)
    };
    if !by_session {
        return units.iter().map(|unit| term(unit).powi(2)).sum::<f64>().sqrt() / all;
    }
    let mean = units.iter().map(term).sum::<f64>() / all;
    let mut sums: std::collections::BTreeMap<usize, f64> = std::collections::BTreeMap::new();
    for unit in units {
        *sums.entry(unit.cluster).or_default() += term(unit) - mean;
    }
    let g = sums.len() as f64;
    (g / (g - 1.0).max(1.0) * sums.values().map(|sum| sum * sum).sum::<f64>()).sqrt() / all
}

/// The regression of ỹ on covariates, one row a unit.
///
/// # Errors
/// As [`mean`], and those of [`regression::least_squares`].
pub fn regression(units: &[Unit], x: &[Vec<f64>]) -> Result<Fit, NoCorrection> {
    check(units)?;
    let outcomes: Vec<f64> = units.iter().map(Unit::pseudo_outcome).collect();
    let clusters: Vec<usize> = units.iter().map(|unit| unit.cluster).collect();
    regression::least_squares(x, &outcomes, Some(&clusters))
}
