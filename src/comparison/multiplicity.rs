//! p values adjusted for how many comparisons were made.

use std::str::FromStr;
use thiserror::Error;

/// How p values are adjusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Adjustment {
    /// Holm 1979: the chance of any false discovery. For comparisons on which something is decided.
    Holm,
    /// Benjamini and Hochberg 1995: the share of false discoveries. For screening.
    BenjaminiHochberg,
    /// Benjamini and Yekutieli 2001: the same under any dependence.
    BenjaminiYekutieli,
}

/// An adjustment that does not exist.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("unknown method '{0}': it is holm, bh or by")]
pub struct UnknownAdjustment(String);

impl FromStr for Adjustment {
    type Err = UnknownAdjustment;

    fn from_str(text: &str) -> Result<Adjustment, UnknownAdjustment> {
        match text {
            "holm" => Ok(Adjustment::Holm),
            "bh" => Ok(Adjustment::BenjaminiHochberg),
            "by" => Ok(Adjustment::BenjaminiYekutieli),
            other => Err(UnknownAdjustment(other.to_owned())),
        }
    }
}

impl Adjustment {
    /// Adjusts p values, in their order, for as many comparisons as there are.
    pub fn adjust(self, p: &[f64]) -> Vec<f64> {
        self.adjust_among(p, p.len())
    }

    /// Adjusts p values for `m` comparisons of which only these are known, `m` being at least their number.
    ///
    /// The unknown ones are taken as larger than all known ones: no other value would give larger adjusted ones under Holm.
    pub fn adjust_among(self, p: &[f64], m: usize) -> Vec<f64> {
        let m = m.max(p.len()) as f64;
        let mut order: Vec<usize> = (0..p.len()).collect();
        order.sort_by(|&i, &j| p[i].total_cmp(&p[j]));
        let mut adjusted = vec![0.0; p.len()];
        match self {
            Adjustment::Holm => {
                let mut largest = 0.0_f64;
                for (rank, &place) in order.iter().enumerate() {
                    largest = largest.max((m - rank as f64) * p[place]);
                    adjusted[place] = largest.min(1.0);
                }
            }
            Adjustment::BenjaminiHochberg | Adjustment::BenjaminiYekutieli => {
                let harmonic = match self {
                    Adjustment::BenjaminiYekutieli => (1..=m as usize).map(|j| 1.0 / j as f64).sum(),
                    _ => 1.0,
                };
                let mut smallest = 1.0_f64;
                for (rank, &place) in order.iter().enumerate().rev() {
                    smallest = smallest.min(harmonic * m * p[place] / (rank + 1) as f64);
                    adjusted[place] = smallest;
                }
            }
        }
        adjusted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(found: &[f64], expected: &[f64]) {
        assert_eq!(found.len(), expected.len());
        for (found, expected) in found.iter().zip(expected) {
            assert!((found - expected).abs() < 1e-12, "{found} {expected}");
        }
    }

    #[test]
    fn adjusted_as_by_a_reference_implementation() {
        let p = [0.012, 0.04, 0.0005, 0.3, 0.021, 0.021];
        close(&Adjustment::Holm.adjust(&p), &[0.06, 0.084, 0.003, 0.3, 0.084, 0.084]);
        close(&Adjustment::BenjaminiHochberg.adjust(&p), &[0.0315, 0.048, 0.003, 0.3, 0.0315, 0.0315]);
        close(&Adjustment::BenjaminiYekutieli.adjust(&p), &[0.077175, 0.1176, 0.00735, 0.735, 0.077175, 0.077175]);
    }

    #[test]
    fn comparisons_that_are_not_shown_count() {
        close(&Adjustment::Holm.adjust_among(&[0.01, 0.02], 7), &[0.07, 0.12]);
        close(&Adjustment::Holm.adjust_among(&[0.01, 0.02], 1), &[0.02, 0.02]);
        close(&Adjustment::Holm.adjust(&[]), &[]);
    }

    #[test]
    fn a_larger_p_is_never_adjusted_below_a_smaller_one() {
        let p = [0.03, 0.031, 0.032, 0.033, 0.9];
        for method in [Adjustment::Holm, Adjustment::BenjaminiHochberg, Adjustment::BenjaminiYekutieli] {
            let adjusted = method.adjust(&p);
            assert!(adjusted.windows(2).all(|pair| pair[0] <= pair[1]), "{method:?} {adjusted:?}");
            assert!(adjusted.iter().zip(p).all(|(adjusted, p)| *adjusted >= p && *adjusted <= 1.0));
        }
    }
}
