//! Corrections by how the model errs on given gold: for gold of other units than those reported on, where P(ŷ|y) is believed to be the same.
//!
//! Rogan and Gladen (1978) for a label against the rest, with the interval of Lang and Reiczigel (2014); the inverted confusion matrix for
//! all labels at once.

use super::NoCorrection;
use super::draw::{Draws, central};
use super::linear;
use crate::agreement::distribution::normal_quantile;

/// Below this Youden's J errors are amplified more than threefold.
pub const WEAK_INFORMEDNESS: f64 = 0.3;

/// The highest condition number with which a confusion matrix is inverted.
pub const MOST_CONDITION: f64 = 10.0;

/// Counts of a label against the rest.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BinaryCounts {
    /// Gold units of the label that the model labelled so.
    pub hits: f64,
    /// Gold units of the label.
    pub positive: f64,
    /// Gold units of other labels that the model labelled otherwise.
    pub rejections: f64,
    /// Gold units of other labels.
    pub negative: f64,
    /// Units to be corrected that the model labelled so.
    pub flagged: f64,
    /// Units to be corrected.
    pub units: f64,
}

/// A share by Rogan and Gladen.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RoganGladen {
    /// P(ŷ|y).
    pub sensitivity: f64,
    /// P(not ŷ|not y).
    pub specificity: f64,
    /// The model's share in the units to be corrected.
    pub rate: f64,
    /// (q̂ + sp − 1)/(se + sp − 1), which may lie outside 0 and 1.
    pub unclipped: f64,
    /// The same within 0 and 1.
    pub estimate: f64,
    /// Standard error by the delta method.
    pub se: f64,
    /// Lower end of Lang and Reiczigel's interval, within 0 and 1.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

impl RoganGladen {
    /// Youden's J, sensitivity + specificity − 1.
    pub fn informedness(&self) -> f64 {
        self.sensitivity + self.specificity - 1.0
    }
}

fn delta_se(q: f64, n: f64, p: f64, (se, m1): (f64, f64), (sp, m0): (f64, f64)) -> f64 {
    let variance = q * (1.0 - q) / n + p * p * se * (1.0 - se) / m1 + (1.0 - p).powi(2) * sp * (1.0 - sp) / m0;
    variance.max(0.0).sqrt() / (se + sp - 1.0)
}

/// The share of a label, with an interval that misses with probability `alpha`.
///
/// # Errors
/// [`NoCorrection`] where gold has no unit of the label, or none of another; where there is nothing to correct; where se + sp ≤ 1.
pub fn rogan_gladen(counts: BinaryCounts, alpha: f64) -> Result<RoganGladen, NoCorrection> {
    let BinaryCounts { hits, positive: m1, rejections, negative: m0, flagged, units: n } = counts;
    if m1 + m0 == 0.0 {
        return Err(NoCorrection::NoGold);
    }
    if n == 0.0 {
        return Err(NoCorrection::NothingElse);
    }
    if m1 == 0.0 || m0 == 0.0 {
        let label = if m1 == 0.0 { "the label" } else { "another label" };
        return Err(NoCorrection::NoGoldOfLabel { label: label.to_owned() });
    }
    let (se, sp, q) = (hits / m1, rejections / m0, flagged / n);
    let informedness = se + sp - 1.0;
    if informedness <= 1e-12 {
        return Err(NoCorrection::NotInformative { informedness });
    }
    let unclipped = (q + sp - 1.0) / informedness;
    let z = normal_quantile(1.0 - alpha / 2.0);
    let n_z = n + z * z;
    let (q_z, se_z, sp_z) = ((flagged + z * z / 2.0) / n_z, (hits + 1.0) / (m1 + 2.0), (rejections + 1.0) / (m0 + 2.0));
    let p_z = (q_z + sp_z - 1.0) / (se_z + sp_z - 1.0);
    let (m1_z, m0_z) = (m1 + 2.0, m0 + 2.0);
    let shift = 2.0 * z * z * (p_z * se_z * (1.0 - se_z) / m1_z - (1.0 - p_z) * sp_z * (1.0 - sp_z) / m0_z);
    let half = z * delta_se(q_z, n_z, p_z, (se_z, m1_z), (sp_z, m0_z));
    Ok(RoganGladen {
        sensitivity: se,
        specificity: sp,
        rate: q,
        unclipped,
        estimate: unclipped.clamp(0.0, 1.0),
        se: delta_se(q, n, unclipped, (se, m1), (sp, m0)),
        low: (p_z + shift - half).clamp(0.0, 1.0),
        high: (p_z + shift + half).clamp(0.0, 1.0),
    })
}

/// The interval of `judgy`: only the gold is resampled, as (gold is the label, the model says so); resamples that cannot be corrected are
/// dropped. It undercovers: 74 to 92 % at up to 100 gold units. The part of resamples that was dropped comes with it.
///
/// # Errors
/// [`NoCorrection`] without gold, or where no resample can be corrected.
pub fn rogan_gladen_bootstrap(
    gold: &[(bool, bool)],
    rate: f64,
    alpha: f64,
    replicates: u32,
    seed: u64,
) -> Result<((f64, f64), f64), NoCorrection> {
    if gold.is_empty() {
        return Err(NoCorrection::NoGold);
    }
    let count = |is: (bool, bool)| gold.iter().filter(|one| **one == is).count();
    let cells = [(true, true), (true, false), (false, false), (false, true)].map(count);
    let mut draws = Draws::new(seed, 0);
    let n = gold.len();
    let resample = |draws: &mut Draws| {
        let mut drawn = [0.0; 4];
        for _ in 0..n {
            let mut place = draws.below(n);
            let cell = cells.iter().position(|count| {
                place < *count || {
                    place -= count;
                    false
                }
            });
            drawn[cell.unwrap_or(3)] += 1.0;
        }
        let [hits, misses, rejections, alarms] = drawn;
        if hits + misses == 0.0 || rejections + alarms == 0.0 {
            return None;
        }
        let (se, sp) = (hits / (hits + misses), rejections / (rejections + alarms));
        (se + sp - 1.0 > 0.0).then(|| ((rate + sp - 1.0) / (se + sp - 1.0)).clamp(0.0, 1.0))
    };
    let kept: Vec<f64> = (0..replicates).filter_map(|_| resample(&mut draws)).collect();
    if kept.is_empty() {
        return Err(NoCorrection::NotInformative { informedness: 0.0 });
    }
    let dropped = 1.0 - kept.len() as f64 / f64::from(replicates);
    Ok((central(&kept, alpha), dropped))
}

/// Shares by the inverted confusion matrix.
#[derive(Debug, Clone, PartialEq)]
pub struct Inverted {
    /// The solution of Mᵀp = q, which may lie outside 0 and 1.
    pub unclipped: Vec<f64>,
    /// The nearest shares to it.
    pub projected: Vec<f64>,
    /// The condition number of M.
    pub condition: f64,
}

/// Solves Mᵀp = q, M_jk = P(ŷ = k | y = j) from gold counts (rows gold, columns the model), q the model's shares in the units to be
/// corrected. Whether to use it is the caller's to judge by the condition number.
///
/// # Errors
/// [`NoCorrection`] where a label has no gold unit, for a singular matrix and for more than [`linear::MOST`] labels.
pub fn invert(counts: &[Vec<f64>], model_shares: &[f64], labels: &[String]) -> Result<Inverted, NoCorrection> {
    if counts.len() > linear::MOST {
        return Err(NoCorrection::TooManyCoefficients { unknowns: counts.len() });
    }
    let mut rates = Vec::new();
    for (row, label) in counts.iter().zip(labels) {
        let sum: f64 = row.iter().sum();
        if sum == 0.0 {
            return Err(NoCorrection::NoGoldOfLabel { label: label.clone() });
        }
        rates.push(row.iter().map(|count| count / sum).collect::<Vec<f64>>());
    }
    let condition = linear::condition(&rates);
    let singular = NoCorrection::IllConditioned { condition, most: MOST_CONDITION };
    let unclipped = linear::solve(&linear::transposed(&rates), model_shares).ok_or(singular)?;
    Ok(Inverted { projected: linear::onto_simplex(&unclipped), unclipped, condition })
}
