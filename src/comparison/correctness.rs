//! Tests of who is right how often: McNemar for two raters, Cochran's Q for several.
//!
//! Both take items as independent. **They hold for one turn a session only**: with several, equally good raters are declared different in
//! a fifth of studies, and [`super::permutation`] is the test to use.

use crate::agreement::distribution::chi_squared_tail;
use serde::Serialize;
use statrs::distribution::{Binomial, Discrete, DiscreteCDF};

/// McNemar's test on two raters' right and wrong answers.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct McNemar {
    /// `[[both right, only a right], [only b right, neither]]`.
    pub table: [[u64; 2]; 2],
    /// Exact: min(1, 2·P(X ≤ min(b, c))) with X ~ Binomial(b + c, ½); 1 if nothing is discordant.
    pub p_exact: f64,
    /// Exact less P(X = min(b, c)); `None` for b = c, where two conventions exist.
    pub p_mid: Option<f64>,
    /// (b − c)²/(b + c); `None` if nothing is discordant.
    pub chi2: Option<f64>,
    /// Its tail, one degree of freedom.
    pub p: Option<f64>,
    /// With continuity correction, (|b − c| − 1)²/(b + c).
    pub chi2_cc: Option<f64>,
    /// Its tail.
    pub p_cc: Option<f64>,
}

impl McNemar {
    /// The test on whether each item was answered right.
    pub fn of(a: &[bool], b: &[bool]) -> McNemar {
        let mut table = [[0_u64; 2]; 2];
        a.iter().zip(b).for_each(|(&a, &b)| match (a, b) {
            (true, true) => table[0][0] += 1,
            (true, false) => table[0][1] += 1,
            (false, true) => table[1][0] += 1,
            (false, false) => table[1][1] += 1,
        });
        McNemar::from_table(table)
    }

    /// The test on a table.
    pub fn from_table(table: [[u64; 2]; 2]) -> McNemar {
        let (only_a, only_b) = (table[0][1], table[1][0]);
        let discordant = only_a + only_b;
        if discordant == 0 {
            return McNemar { table, p_exact: 1.0, p_mid: None, chi2: None, p: None, chi2_cc: None, p_cc: None };
        }
        let fewer = only_a.min(only_b);
        let chance = Binomial::new(0.5, discordant).expect("one half is a probability");
        let p_exact = (2.0 * chance.cdf(fewer)).min(1.0);
        let apart = only_a.abs_diff(only_b) as f64;
        let n = discordant as f64;
        let (chi2, chi2_cc) = (apart * apart / n, (apart - 1.0).powi(2) / n);
        McNemar {
            table,
            p_exact,
            p_mid: (only_a != only_b).then(|| p_exact - chance.pmf(fewer)),
            chi2: Some(chi2),
            p: Some(chi_squared_tail(chi2, 1.0)),
            chi2_cc: Some(chi2_cc),
            p_cc: Some(chi_squared_tail(chi2_cc, 1.0)),
        }
    }
}

/// Cochran's Q.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct CochranQ {
    /// (k − 1)(k ΣC² − T²)/(kT − ΣR²), C a rater's and R an item's number of right answers, T their total.
    pub statistic: f64,
    /// k − 1.
    pub df: usize,
    /// Tail of χ².
    pub p: f64,
}

/// Whether several raters are right equally often. One row an item; `None` with fewer than two raters, or if every item is answered
/// right by all or by none, so that nothing distinguishes the raters.
pub fn cochran_q(right: &[Vec<bool>]) -> Option<CochranQ> {
    let raters = right.first()?.len();
    if raters < 2 {
        return None;
    }
    let k = raters as f64;
    let mut columns = vec![0.0_f64; raters];
    let (mut total, mut row_squares) = (0.0, 0.0);
    for row in right {
        let count = row.iter().filter(|&&right| right).count() as f64;
        row.iter().zip(&mut columns).for_each(|(&right, column)| *column += f64::from(right));
        total += count;
        row_squares += count * count;
    }
    let denominator = k * total - row_squares;
    if denominator <= 0.0 {
        return None;
    }
    let squares: f64 = columns.iter().map(|column| column * column).sum();
    let statistic = (k - 1.0) * (k * squares - total * total) / denominator;
    Some(CochranQ { statistic, df: raters - 1, p: chi_squared_tail(statistic, k - 1.0) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mcnemar_as_computed_by_a_reference_implementation() {
        let found = McNemar::from_table([[109, 25], [56, 10]]);
        assert!((found.p_exact - 0.000752126064634077).abs() < 1e-12);
        assert!((found.p_mid.unwrap() - 0.000534721491328179).abs() < 1e-12);
        assert!((found.chi2.unwrap() - 11.864197530864198).abs() < 1e-10);
        assert!((found.p.unwrap() - 0.0005722342197389277).abs() < 1e-10);
        assert!((found.p_cc.unwrap() - 0.0008581206663936758).abs() < 1e-10);
    }

    #[test]
    fn nothing_discordant_is_no_difference_and_equal_counts_have_no_mid_p() {
        let right = [true, true, false];
        let found = McNemar::of(&right, &right);
        assert_eq!((found.table, found.p_exact, found.p_mid, found.chi2), ([[2, 0], [0, 1]], 1.0, None, None));
        let found = McNemar::of(&[true, false], &[false, true]);
        assert_eq!((found.p_exact, found.p_mid, found.chi2), (1.0, None, Some(0.0)));
    }

    #[test]
    fn cochran_with_two_raters_is_mcnemar_without_correction() {
        let pairs = [(25, (true, false)), (56, (false, true)), (109, (true, true)), (10, (false, false))];
        let rows: Vec<Vec<bool>> = pairs.iter().flat_map(|&(count, (a, b))| vec![vec![a, b]; count]).collect();
        let found = cochran_q(&rows).unwrap();
        assert!((found.statistic - 11.864197530864198).abs() < 1e-10);
        assert_eq!(found.df, 1);
    }

    #[test]
    fn raters_that_nothing_distinguishes_have_no_q() {
        assert_eq!(cochran_q(&[vec![true, true, true], vec![false, false, false]]), None);
        assert_eq!(cochran_q(&[]), None);
        assert_eq!(cochran_q(&[vec![true], vec![false]]), None);
    }
}
