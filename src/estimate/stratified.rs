//! A mean where gold was drawn at random within each stratum: θ̂ = Σ_h W_h θ̂_h, W_h the stratum's part of all units, each θ̂_h by PPI++ with a
//! λ of its own (StratPPI, Fisch et al. 2024).
//!
//! Takes units with their strata, gives the mean with its standard error. Where gold has several units in a session, sessions are what varies:
//! the influence of each unit, W_h (λŷ − mean)/N_h without gold and W_h (y − λŷ − mean)/n_h with it, is summed within its session over all strata.
//!
//! The published formula has the W_h known. They are where these very units are meant; what the units are a sample of has others, and Σ W_h (θ̂_h −
//! θ̂)²/N is added for that.

use super::NoCorrection;
use super::poststratified::Target;
use super::ppi::{self, Convention, Lambda, Parts, mean_of};
use super::sessions::ScoreUnit;
use std::collections::{BTreeMap, BTreeSet};

/// λ is set to 1 rather than tuned on this much gold or less.
pub const MOST_UNTUNED: usize = 30;

/// A stratum's part in the mean.
#[derive(Debug, Clone, PartialEq)]
pub struct StratumMean {
    /// Its part of all units.
    pub share: f64,
    /// Its units.
    pub units: usize,
    /// Its gold units.
    pub gold: usize,
    /// The weight of the model's answers.
    pub lambda: f64,
    /// The mean within it.
    pub estimate: f64,
    /// The standard error of that, for independent units.
    pub se: f64,
}

/// A stratified mean.
#[derive(Debug, Clone, PartialEq)]
pub struct StratifiedMean {
    /// The strata that have units, by their place.
    pub strata: BTreeMap<usize, StratumMean>,
    /// The mean.
    pub estimate: f64,
    /// Its standard error with the strata's parts as given, for independent units: that of the published formula.
    pub se_within: f64,
    /// Its standard error.
    pub se: f64,
    /// Degrees of freedom of t: Satterthwaite's, or sessions with gold less strata.
    pub df: f64,
}

/// The mean of units, of which some have gold; `names` are those of the strata. Sessions are what varies if `by_session` says so.
///
/// # Errors
/// [`NoCorrection`] where a stratum with units has less than two of gold.
pub fn mean(
    units: &[ScoreUnit],
    names: &[String],
    target: Target,
    by_session: bool,
) -> Result<StratifiedMean, NoCorrection> {
    let mut members: BTreeMap<usize, Vec<&ScoreUnit>> = BTreeMap::new();
    for unit in units {
        members.entry(unit.stratum).or_default().push(unit);
    }
    let all = units.len() as f64;
    let mut strata = BTreeMap::new();
    for (place, members) in &members {
        strata.insert(*place, of_stratum(members, all, &names[*place], target)?);
    }
    let estimate = strata.values().map(|one| one.share * one.estimate).sum::<f64>();
    // What units are a sample of has other parts than they: that varies, too.
    let between = match target {
        Target::Population => {
            strata.values().map(|one| one.share * (one.estimate - estimate).powi(2)).sum::<f64>() / all
        }
        Target::TheseUnits => 0.0,
    };
    let (within, df) = independent(&strata, between, all);
    let (se, df) = match by_session {
        true => by_sessions(&members, &strata, estimate, target),
        false => ((within + between).sqrt(), df),
    };
    Ok(StratifiedMean { strata, estimate, se_within: within.sqrt(), se, df })
}

fn of_stratum(members: &[&ScoreUnit], all: f64, name: &str, target: Target) -> Result<StratumMean, NoCorrection> {
    let gold: Vec<(f64, f64)> = members.iter().filter_map(|unit| Some((unit.gold?, unit.guess))).collect();
    let rest: Vec<f64> = members.iter().filter(|unit| unit.gold.is_none()).map(|unit| unit.guess).collect();
    if gold.len() < 2 {
        return Err(NoCorrection::StratumWithoutGold { stratum: name.to_owned(), gold: gold.len() });
    }
    let found = match (target, rest.len()) {
        (Target::TheseUnits, _) => ppi::finite_mean(Parts { gold: &gold, rest: &rest }, 0.05),
        // One unit says nothing of how others vary: gold stands for it, as for all where all is gold.
        (Target::Population, 0 | 1) => {
            ppi::mean(Parts { gold: &gold, rest: &[0.0; 2] }, Lambda::Fixed(0.0), Convention::SmallSample, 0.05)
        }
        (Target::Population, _) => {
            let lambda = if gold.len() <= MOST_UNTUNED { Lambda::Fixed(1.0) } else { Lambda::OnGold };
            ppi::mean(Parts { gold: &gold, rest: &rest }, lambda, Convention::SmallSample, 0.05)
        }
    }?;
    Ok(StratumMean {
        share: members.len() as f64 / all,
        units: members.len(),
        gold: gold.len(),
        lambda: found.lambda,
        estimate: found.estimate,
        se: found.se,
    })
}

/// The variance within strata, and degrees of freedom of that and the one between them.
fn independent(strata: &BTreeMap<usize, StratumMean>, between: f64, all: f64) -> (f64, f64) {
    let parts = || strata.values().map(|one| ((one.share * one.se).powi(2), one.gold as f64 - 1.0));
    let within: f64 = parts().map(|(variance, _)| variance).sum();
    let spread: f64 = parts().chain([(between, all - 1.0)]).map(|(variance, df)| variance * variance / df).sum();
    (within, if spread > 0.0 { (within + between).powi(2) / spread } else { 1.0 })
}

fn by_sessions(
    members: &BTreeMap<usize, Vec<&ScoreUnit>>,
    strata: &BTreeMap<usize, StratumMean>,
    estimate: f64,
    target: Target,
) -> (f64, f64) {
    let all: f64 = strata.values().map(|one| one.units as f64).sum();
    let mut sums: BTreeMap<usize, f64> = BTreeMap::new();
    let mut with_gold = BTreeSet::new();
    for (members, one) in members.values().zip(strata.values()) {
        let rectifier = |unit: &ScoreUnit| unit.gold.map(|gold| gold - one.lambda * unit.guess);
        let of_gold = mean_of(members.iter().filter_map(|unit| rectifier(unit)).collect::<Vec<f64>>().into_iter());
        let n = one.gold as f64;
        let rest = members.len() as f64 - n;
        let left: Vec<f64> =
            members.iter().filter(|unit| unit.gold.is_none()).map(|unit| one.lambda * unit.guess).collect();
        let of_rest = if left.is_empty() { 0.0 } else { mean_of(left.into_iter()) };
        // Of these very units nothing but what has no gold is left to be known.
        let unknown = if target == Target::TheseUnits { 1.0 - n / members.len() as f64 } else { 1.0 };
        let scale = (unknown * n / (n - 1.0)).sqrt();
        for unit in members {
            let influence = match rectifier(unit) {
                Some(rectifier) => {
                    with_gold.insert(unit.session);
                    scale * (rectifier - of_gold) / n
                }
                None if target == Target::Population => (one.lambda * unit.guess - of_rest) / rest,
                None => continue,
            };
            let of_parts = if target == Target::Population { (one.estimate - estimate) / all } else { 0.0 };
            *sums.entry(unit.session).or_default() += one.share * influence + of_parts;
        }
    }
    let g = sums.len() as f64;
    let correction = if g > 1.0 { g / (g - 1.0) } else { 1.0 };
    let df = (with_gold.len() as f64 - strata.len() as f64).max(1.0);
    ((correction * sums.values().map(|sum| sum * sum).sum::<f64>()).sqrt(), df)
}
