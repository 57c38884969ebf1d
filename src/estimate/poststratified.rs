//! Shares by post-stratification on the model's label: θ_j = Σ_k s_k P̂(y = j | ŷ = k), s_k the part of all units that the model labelled k.
//!
//! The interval is that of a Jeffreys posterior: each P̂(·|k) a Dirichlet with ½ added to its counts, the model's shares likewise. It holds
//! where gold happens to show no error of the model, where normal theory gives an interval of no width.

use super::NoCorrection;
use super::draw::Draws;
use rayon::prelude::*;

/// Draws of a posterior if nobody says otherwise.
pub const DRAWS: u32 = 20_000;

/// Draws that share a stream of random numbers: to begin one costs more than a draw.
const BLOCK: u32 = 64;

/// Counts by the model's label.
#[derive(Debug, Clone, PartialEq)]
pub struct Counts {
    /// Gold units by the model's label (rows) and gold's (columns).
    pub gold: Vec<Vec<f64>>,
    /// All units by the model's label.
    pub all: Vec<f64>,
}

/// Whom the shares are of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// What these units are a sample of: the model's shares vary too.
    Population,
    /// These units and no others.
    TheseUnits,
}

impl Counts {
    fn model_shares(&self) -> Vec<f64> {
        let sum: f64 = self.all.iter().sum();
        self.all.iter().map(|count| count / sum).collect()
    }

    /// A label of the model that stands on some units and on no gold unit.
    pub fn without_gold(&self) -> impl Iterator<Item = usize> {
        self.all
            .iter()
            .zip(&self.gold)
            .enumerate()
            .filter(|(_, (all, row))| **all > 0.0 && row.iter().all(|c| *c == 0.0))
            .map(|(k, _)| k)
    }

    /// One gold label against the rest, the model's labels as they are.
    pub fn against_rest(&self, label: usize) -> Counts {
        let gold = self.gold.iter().map(|row| vec![row[label], row.iter().sum::<f64>() - row[label]]).collect();
        Counts { gold, all: self.all.clone() }
    }

    /// One label against the rest, on both sides.
    pub fn binary(&self, label: usize) -> Counts {
        let gold = self.against_rest(label).gold;
        let rest = |column: usize| gold.iter().map(|row| row[column]).sum::<f64>() - gold[label][column];
        let all: f64 = self.all.iter().sum();
        Counts {
            gold: vec![gold[label].clone(), vec![rest(0), rest(1)]],
            all: vec![self.all[label], all - self.all[label]],
        }
    }
}

/// The shares of the gold labels.
///
/// # Errors
/// [`NoCorrection`] without gold, or where a label of the model has no gold unit.
pub fn shares(counts: &Counts, labels: &[String]) -> Result<Vec<f64>, NoCorrection> {
    if counts.gold.iter().flatten().sum::<f64>() == 0.0 {
        return Err(NoCorrection::NoGold);
    }
    if let Some(label) = counts.without_gold().next() {
        let label = labels.get(label).cloned().unwrap_or_default();
        return Err(NoCorrection::LabelWithoutGold { label });
    }
    let columns = counts.gold.first().map_or(0, Vec::len);
    let mut found = vec![0.0; columns];
    for (share, row) in counts.model_shares().iter().zip(&counts.gold) {
        let sum: f64 = row.iter().sum();
        if sum > 0.0 {
            found.iter_mut().zip(row).for_each(|(theta, count)| *theta += share * count / sum);
        }
    }
    Ok(found)
}

/// Draws of the posterior of the shares among these very units, one row a draw: those with gold are known, so that of the variance of each
/// P̂(·|k) the part 1 − n/N of its gold in its units is left.
pub fn posterior_of_these(counts: &Counts, draws: u32, seed: u64) -> Vec<Vec<f64>> {
    let cells = counts.gold.iter().zip(&counts.all).zip(counts.model_shares());
    let cells: Vec<(Vec<f64>, Vec<f64>, f64, f64)> = cells
        .map(|((row, all), share)| {
            let sum: f64 = row.iter().sum();
            let known = row.iter().map(|count| if sum > 0.0 { count / sum } else { 0.0 }).collect();
            let unknown = if *all > 0.0 && sum > 0.0 { (1.0 - sum / all).max(0.0).sqrt() } else { 1.0 };
            (row.iter().map(|count| count + 0.5).collect(), known, unknown, share)
        })
        .collect();
    let columns = counts.gold.first().map_or(0, Vec::len);
    in_blocks(draws, seed, |source| {
        let mut theta = vec![0.0; columns];
        for (parameters, known, unknown, share) in &cells {
            let drawn = source.dirichlet(parameters);
            for ((theta, p), known) in theta.iter_mut().zip(drawn).zip(known) {
                // Without gold nothing is known: the draw stands as it is.
                let known = if *unknown < 1.0 { *known } else { p };
                *theta += share * (known + unknown * (p - known));
            }
        }
        theta
    })
}

fn in_blocks(draws: u32, seed: u64, draw: impl Fn(&mut Draws) -> Vec<f64> + Sync) -> Vec<Vec<f64>> {
    (0..draws.div_ceil(BLOCK))
        .into_par_iter()
        .flat_map_iter(|block| {
            let mut source = Draws::new(seed, u64::from(block));
            let count = BLOCK.min(draws - block * BLOCK);
            (0..count).map(|_| draw(&mut source)).collect::<Vec<Vec<f64>>>()
        })
        .collect()
}

/// Draws of the posterior of the shares, one row a draw. A label of the model without gold has its prior, and widens the interval so.
pub fn posterior(counts: &Counts, target: Target, draws: u32, seed: u64) -> Vec<Vec<f64>> {
    let fixed = counts.model_shares();
    let with_half = |row: &[f64]| row.iter().map(|count| count + 0.5).collect::<Vec<f64>>();
    let parameters: Vec<Vec<f64>> = counts.gold.iter().map(|row| with_half(row)).collect();
    let of_model = with_half(&counts.all);
    let columns = counts.gold.first().map_or(0, Vec::len);
    let draw = |source: &mut Draws| {
        let model = match target {
            Target::Population => source.dirichlet(&of_model),
            Target::TheseUnits => fixed.clone(),
        };
        let mut theta = vec![0.0; columns];
        for (share, row) in model.iter().zip(&parameters) {
            let drawn = source.dirichlet(row);
            theta.iter_mut().zip(drawn).for_each(|(theta, p)| *theta += share * p);
        }
        theta
    };
    in_blocks(draws, seed, draw)
}
