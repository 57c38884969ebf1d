//! How uncertain a corrected number is, in a form from which the interval of a difference follows too.

use super::draw::quantile;
use crate::agreement::distribution::{UPPER, normal_cdf, t_quantile};

/// The uncertainty of a number.
#[derive(Debug, Clone, PartialEq)]
pub enum Spread {
    /// Draws of the number, of one or more methods; the interval is the hull of theirs, so that it is no shorter than any of them.
    Drawn(Vec<Drawn>),
    /// Normal theory.
    Normal {
        /// Standard error.
        se: f64,
        /// Degrees of freedom of t.
        df: f64,
    },
    /// There is none, for this reason.
    Unknown(String),
}

/// Draws by one method.
#[derive(Debug, Clone, PartialEq)]
pub struct Drawn {
    /// The draws, in the order of their replicates.
    pub draws: Vec<f64>,
    /// Independent clusters behind a bootstrap, whose percentiles are expanded by t (Hesterberg 2014); none for a posterior.
    pub clusters: Option<usize>,
}

impl Drawn {
    /// The central 95 % of the draws, expanded where clusters were drawn.
    fn interval(&self) -> (f64, f64) {
        let tail = match self.clusters {
            None => 1.0 - UPPER,
            Some(clusters) => {
                let g = clusters as f64;
                normal_cdf(-(g / (g - 1.0)).sqrt() * t_quantile(UPPER, g - 1.0))
            }
        };
        let mut sorted = self.draws.clone();
        sorted.sort_by(f64::total_cmp);
        (quantile(&sorted, tail), quantile(&sorted, 1.0 - tail))
    }

    fn sd(&self) -> f64 {
        let n = self.draws.len() as f64;
        let mean = self.draws.iter().sum::<f64>() / n;
        (self.draws.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / (n - 1.0)).sqrt()
    }

    fn less(&self, other: &Drawn) -> Drawn {
        let draws = self.draws.iter().zip(&other.draws).map(|(b, a)| b - a).collect();
        let clusters = match (self.clusters, other.clusters) {
            (Some(a), Some(b)) => Some(a + b),
            (one, other) => one.or(other),
        };
        Drawn { draws, clusters }
    }
}

impl Spread {
    /// Standard error: the largest of the methods'.
    pub fn se(&self) -> Option<f64> {
        match self {
            Spread::Drawn(sets) => sets.iter().map(Drawn::sd).reduce(f64::max),
            Spread::Normal { se, .. } => Some(*se),
            Spread::Unknown(_) => None,
        }
    }

    /// The 95 % interval around `value`, or why there is none.
    pub fn interval(&self, value: f64) -> Result<(f64, f64), String> {
        match self {
            Spread::Drawn(sets) => Ok(sets
                .iter()
                .map(Drawn::interval)
                .fold((value, value), |(low, high), (l, h)| (low.min(l), high.max(h)))),
            Spread::Normal { se, df } => {
                let half = t_quantile(UPPER, *df) * se;
                Ok((value - half, value + half))
            }
            Spread::Unknown(reason) => Err(reason.clone()),
        }
    }

    /// The uncertainty of this number less another that is independent of it.
    pub fn less(&self, other: &Spread) -> Spread {
        match (self, other) {
            (Spread::Unknown(reason), _) | (_, Spread::Unknown(reason)) => Spread::Unknown(reason.clone()),
            (Spread::Drawn(b), Spread::Drawn(a)) => {
                // Where one number has one method more, its first stands against the other's further ones.
                let sets = 0..a.len().max(b.len());
                Spread::Drawn(sets.map(|at| b[at.min(b.len() - 1)].less(&a[at.min(a.len() - 1)])).collect())
            }
            (b, a) => match (b.se(), a.se()) {
                (Some(b_se), Some(a_se)) => {
                    let df = |spread: &Spread| if let Spread::Normal { df, .. } = spread { *df } else { f64::MAX };
                    // Welch and Satterthwaite.
                    let (u, v) = (b_se * b_se, a_se * a_se);
                    let whole = u * u / df(b) + v * v / df(a);
                    let df = if whole > 0.0 { ((u + v).powi(2) / whole).min(1e6) } else { 1e6 };
                    Spread::Normal { se: b_se.hypot(a_se), df }
                }
                _ => Spread::Unknown("a method without draws".to_owned()),
            },
        }
    }
}
