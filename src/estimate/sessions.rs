//! Uncertainty by whole sessions: units of one session are not independent, so sessions are what is drawn.
//!
//! Sessions with gold and those without are drawn apart: how many have gold was decided, not found.

use super::draw::Draws;
use super::poststratified::{Counts, Target};
use super::ppi::mean_of;
use super::spread::Drawn;
use crate::agreement::interval::Resampling;
use rayon::prelude::*;
use std::collections::BTreeMap;

/// A unit for one label: its session, the model's stratum, and whether gold is the label.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LabelUnit {
    /// Its session.
    pub session: usize,
    /// Which of the model's labels, or groups of them, it has.
    pub stratum: usize,
    /// Whether gold is the label; none without gold.
    pub gold: Option<bool>,
}

/// Sums of a session: units, gold units and gold units of the label by stratum.
type Sums = Vec<[f64; 3]>;

/// Bootstrap of a post-stratified share. A stratum that a replicate has no gold of keeps the share that it has in all of the gold.
pub fn bootstrap_share(units: &[LabelUnit], strata: usize, target: Target, resampling: Resampling) -> Drawn {
    let mut sessions: BTreeMap<usize, Sums> = BTreeMap::new();
    for unit in units {
        let sums = sessions.entry(unit.session).or_insert_with(|| vec![[0.0; 3]; strata]);
        let cell = &mut sums[unit.stratum];
        cell[0] += 1.0;
        cell[1] += f64::from(u8::from(unit.gold.is_some()));
        cell[2] += f64::from(u8::from(unit.gold == Some(true)));
    }
    let (with_gold, without): (Vec<Sums>, Vec<Sums>) =
        sessions.into_values().partition(|sums| sums.iter().any(|cell| cell[1] > 0.0));
    let mut whole = vec![[0.0; 3]; strata];
    with_gold.iter().chain(&without).for_each(|sums| add(&mut whole, sums, 1.0));
    let precision: Vec<f64> = whole.iter().map(|cell| if cell[1] > 0.0 { cell[2] / cell[1] } else { 0.5 }).collect();
    // Of these very units the gold is known: what is left varies by the root of its part.
    let unknown: Vec<f64> = (whole.iter())
        .map(|cell| if target == Target::TheseUnits && cell[0] > 0.0 { (1.0 - cell[1] / cell[0]).sqrt() } else { 1.0 })
        .collect();
    let draws = (0..resampling.replicates)
        .into_par_iter()
        .map(|replicate| {
            let mut source = Draws::new(resampling.seed, u64::from(replicate));
            let mut drawn = vec![[0.0; 3]; strata];
            for part in [&with_gold, &without] {
                for (sums, times) in part.iter().zip(source.multiplicities(part.len())) {
                    if times > 0 {
                        add(&mut drawn, sums, f64::from(times));
                    }
                }
            }
            let model = if target == Target::TheseUnits { &whole } else { &drawn };
            let all: f64 = model.iter().map(|cell| cell[0]).sum();
            let share = |k: usize| {
                let [_, gold, hits] = drawn[k];
                let rate = if gold > 0.0 { hits / gold } else { precision[k] };
                model[k][0] / all * (precision[k] + unknown[k] * (rate - precision[k]))
            };
            (0..strata).map(share).sum()
        })
        .collect();
    Drawn { draws, clusters: Some(with_gold.len()) }
}

fn add(sum: &mut Sums, sums: &Sums, times: f64) {
    for (total, cell) in sum.iter_mut().zip(sums) {
        total.iter_mut().zip(cell).for_each(|(total, x)| *total += times * x);
    }
}

/// The counts behind a share.
pub fn counts(units: &[LabelUnit], strata: usize) -> Counts {
    let mut counts = Counts { gold: vec![vec![0.0; 2]; strata], all: vec![0.0; strata] };
    for unit in units {
        counts.all[unit.stratum] += 1.0;
        if let Some(is_label) = unit.gold {
            counts.gold[unit.stratum][usize::from(!is_label)] += 1.0;
        }
    }
    counts
}

/// A unit for a mean: its session, the model's number, and gold's.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ScoreUnit {
    /// Its session.
    pub session: usize,
    /// The model's number.
    pub guess: f64,
    /// Gold's, if there is one.
    pub gold: Option<f64>,
    /// The place of its stratum; 0 where there are none.
    pub stratum: usize,
}

/// The standard error of mean_U(λŷ) + mean_S(y − λŷ) by sessions, linearised: SE² = G/(G − 1) Σ_g (Σ_i u_i)², with u_i = (λŷ_i − mean)/N for
/// units without gold and (y_i − λŷ_i − mean)/n for those with it. For these very units U is all of them and contributes nothing, and the part
/// 1 − n/N of the gold's variance is left.
pub fn mean_se(units: &[ScoreUnit], lambda: f64, target: Target) -> f64 {
    let rectifier: Vec<f64> = units.iter().filter_map(|unit| Some(unit.gold? - lambda * unit.guess)).collect();
    let imputed: Vec<f64> = units.iter().filter(|unit| unit.gold.is_none()).map(|unit| lambda * unit.guess).collect();
    let of_gold = mean_of(rectifier.iter().copied());
    let of_rest = if imputed.is_empty() { 0.0 } else { mean_of(imputed.iter().copied()) };
    let unknown = if target == Target::TheseUnits { 1.0 - rectifier.len() as f64 / units.len() as f64 } else { 1.0 };
    let mut sessions: BTreeMap<usize, f64> = BTreeMap::new();
    for unit in units {
        let influence = match (unit.gold, target) {
            (Some(gold), _) => unknown.sqrt() * (gold - lambda * unit.guess - of_gold) / rectifier.len() as f64,
            (None, Target::Population) => (lambda * unit.guess - of_rest) / imputed.len() as f64,
            (None, Target::TheseUnits) => continue,
        };
        *sessions.entry(unit.session).or_default() += influence;
    }
    let g = sessions.len() as f64;
    (g / (g - 1.0) * sessions.values().map(|sum| sum * sum).sum::<f64>()).sqrt()
}
