//! Chance-corrected agreement of two raters on labels, from their table of counts.
//!
//! Every function takes a [`TableView`], so that it serves the data, a resampled data set and a single label alike.

use super::estimate::{Undefined, Value};
use super::table::TableView;

/// Below this a denominator counts as 0: sums of fractions may miss an exact 0.
pub(crate) const TINY: f64 = 1e-12;

/// How far apart two labels are: the disagreement v_ij, 0 on the diagonal. Coefficients are invariant to its scale.
#[derive(Debug, Clone, PartialEq)]
pub enum Weights {
    /// Every disagreement counts 1.
    None,
    /// |i − j| over positions in the declared order.
    Linear,
    /// (i − j)² over positions in the declared order.
    Quadratic,
    /// |x_i − x_j| over declared values.
    LinearByValue(Vec<f64>),
    /// (x_i − x_j)² over declared values.
    QuadraticByValue(Vec<f64>),
    /// Gwet's ordinal weights, C(|i − j| + 1, 2) over positions.
    Ordinal,
    /// A matrix by row: q² disagreements, not negative, 0 on the diagonal.
    Matrix(Vec<f64>),
}

impl Weights {
    /// The disagreement matrix by row for `q` labels, scaled to a largest entry of 1.
    pub fn disagreement(&self, q: usize) -> Vec<f64> {
        let by = |distance: &dyn Fn(usize, usize) -> f64| -> Vec<f64> {
            (0..q * q).map(|cell| distance(cell / q, cell % q)).collect()
        };
        let mut v = match self {
            Weights::None => by(&|i, j| f64::from(i != j)),
            Weights::Linear => by(&|i, j| i.abs_diff(j) as f64),
            Weights::Quadratic => by(&|i, j| (i.abs_diff(j) as f64).powi(2)),
            Weights::LinearByValue(x) => by(&|i, j| (x[i] - x[j]).abs()),
            Weights::QuadraticByValue(x) => by(&|i, j| (x[i] - x[j]).powi(2)),
            Weights::Ordinal => by(&|i, j| {
                let d = i.abs_diff(j) as f64;
                d * (d + 1.0) / 2.0
            }),
            Weights::Matrix(matrix) => matrix.clone(),
        };
        let largest = v.iter().copied().fold(0.0, f64::max);
        if largest > 0.0 {
            v.iter_mut().for_each(|x| *x /= largest);
        }
        v
    }
}

/// Share of items on which both agree, po.
pub fn percent_agreement(table: TableView<'_>) -> Value {
    let n = table.total();
    if n > 0.0 { Ok(table.agreed() / n) } else { Err(Undefined::NoItems) }
}

/// (po − pe)/(1 − pe), undefined where pe = 1.
fn corrected(po: f64, pe: f64) -> Value {
    if 1.0 - pe < TINY { Err(Undefined::OneLabelUsed) } else { Ok((po - pe) / (1.0 - pe)) }
}

/// Agreement expected by chance under each coefficient's model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Chance {
    /// Cohen 1960: Σ p_i· p_·i.
    Cohen,
    /// Scott 1955: Σ ((p_i· + p_·i)/2)².
    Scott,
    /// Gwet 2008, AC1: Σ π_k(1 − π_k)/(q − 1) with π the mean of both margins.
    Gwet,
    /// Brennan and Prediger 1981, Bennett's S, PABAK for q labels: 1/q.
    BrennanPrediger,
}

/// Expected agreement pe of a table that holds items.
pub fn expected_agreement(table: TableView<'_>, chance: Chance) -> Value {
    let n = table.total();
    if n <= 0.0 {
        return Err(Undefined::NoItems);
    }
    let q = table.labels;
    let mut pe = 0.0;
    for k in 0..q {
        let (row, column) = (table.row_sum(k) / n, table.column_sum(k) / n);
        let mean = (row + column) / 2.0;
        pe += match chance {
            Chance::Cohen => row * column,
            Chance::Scott => mean * mean,
            Chance::Gwet => mean * (1.0 - mean),
            Chance::BrennanPrediger => 1.0 / (q * q) as f64,
        };
    }
    match chance {
        Chance::Gwet | Chance::BrennanPrediger if q < 2 => Err(Undefined::OneLabelKnown),
        Chance::Gwet => Ok(pe / (q as f64 - 1.0)),
        _ => Ok(pe),
    }
}

/// The coefficient of `chance`: (po − pe)/(1 − pe).
pub fn coefficient(table: TableView<'_>, chance: Chance) -> Value {
    let pe = expected_agreement(table, chance)?;
    corrected(percent_agreement(table)?, pe)
}

/// Cohen's kappa (1960). Undefined, not 1, when both raters used one and the same label.
pub fn cohen_kappa(table: TableView<'_>) -> Value {
    coefficient(table, Chance::Cohen)
}

/// Scott's pi (1955).
pub fn scott_pi(table: TableView<'_>) -> Value {
    coefficient(table, Chance::Scott)
}

/// Gwet's AC1 (2008).
pub fn gwet_ac1(table: TableView<'_>) -> Value {
    coefficient(table, Chance::Gwet)
}

/// Brennan and Prediger's coefficient (1981), (q·po − 1)/(q − 1).
pub fn brennan_prediger(table: TableView<'_>) -> Value {
    coefficient(table, Chance::BrennanPrediger)
}

/// Weighted kappa (Cohen 1968), 1 − Qo/Qe, for a disagreement matrix by row.
pub fn weighted_kappa(table: TableView<'_>, disagreement: &[f64]) -> Value {
    let (observed, expected) = disagreements(table, disagreement)?;
    if expected < TINY { Err(Undefined::OneLabelUsed) } else { Ok(1.0 - observed / expected) }
}

/// Observed and expected disagreement, Qo = Σ p_ij v_ij and Qe = Σ p_i· p_·j v_ij.
pub fn disagreements(table: TableView<'_>, disagreement: &[f64]) -> Result<(f64, f64), Undefined> {
    let n = table.total();
    if n <= 0.0 {
        return Err(Undefined::NoItems);
    }
    let (rows, columns) = table.margins();
    let (mut observed, mut expected) = (0.0, 0.0);
    for (i, row) in rows.iter().enumerate() {
        for (j, column) in columns.iter().enumerate() {
            let v = disagreement[i * table.labels + j];
            observed += table.count(i, j) * v;
            expected += row * column * v;
        }
    }
    Ok((observed / n, expected / (n * n)))
}

/// The largest kappa that these margins allow: (Σ min(p_i·, p_·i) − pe)/(1 − pe).
pub fn kappa_max(table: TableView<'_>) -> Value {
    let n = table.total();
    let pe = expected_agreement(table, Chance::Cohen)?;
    let (rows, columns) = table.margins();
    let largest: f64 = rows.iter().zip(&columns).map(|(row, column)| row.min(*column)).sum();
    corrected(largest / n, pe)
}

/// Large-sample variances of kappa for independent items, weighted or not (Fleiss, Cohen and Everitt 1969).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Variances {
    /// For an interval: κ ± z√var.
    pub interval: f64,
    /// For the test of κ = 0: z = κ/√var₀.
    pub null: f64,
}

/// Both variances of Fleiss, Cohen and Everitt. For clustered items use the influence values instead.
pub fn variances(table: TableView<'_>, disagreement: &[f64]) -> Result<Variances, Undefined> {
    let kappa = weighted_kappa(table, disagreement)?;
    let (_, qe) = disagreements(table, disagreement)?;
    let (rows, columns) = mean_disagreements(table, disagreement);
    let (row_sums, column_sums) = table.margins();
    let n = table.total();
    let (mut interval, mut null) = (0.0, 0.0);
    for i in 0..table.labels {
        for j in 0..table.labels {
            let v = disagreement[i * table.labels + j];
            interval += table.count(i, j) / n * (v - (rows[i] + columns[j]) * (1.0 - kappa)).powi(2);
            null += row_sums[i] * column_sums[j] / (n * n) * (v - rows[i] - columns[j]).powi(2);
        }
    }
    let scale = n * qe * qe;
    // Differences that vanish exactly (a constant rater, disjoint labels) leave rounding behind, and its root would not be small.
    let clean = |difference: f64| if difference < 1e-14 { 0.0 } else { difference / scale };
    Ok(Variances { interval: clean(interval - (qe * (1.0 - kappa)).powi(2)), null: clean(null - qe * qe) })
}

/// v̄_i· = Σ_j p_·j v_ij and v̄_·j = Σ_i p_i· v_ij.
fn mean_disagreements(table: TableView<'_>, disagreement: &[f64]) -> (Vec<f64>, Vec<f64>) {
    let q = table.labels;
    let n = table.total();
    let (row_sums, column_sums) = table.margins();
    let rows = (0..q).map(|i| (0..q).map(|j| column_sums[j] / n * disagreement[i * q + j]).sum()).collect();
    let columns = (0..q).map(|j| (0..q).map(|i| row_sums[i] / n * disagreement[i * q + j]).sum()).collect();
    (rows, columns)
}

/// Influence of an item in each cell (by row) on kappa:
/// ψ = −[v_ab − (1 − κ)(v̄_a· + v̄_·b) + (1 − κ)Qe]/Qe. Over the items Σψ = 0 and Var(κ) = mean(ψ²)/n.
pub fn influence(table: TableView<'_>, disagreement: &[f64]) -> Result<Vec<f64>, Undefined> {
    let kappa = weighted_kappa(table, disagreement)?;
    let (_, qe) = disagreements(table, disagreement)?;
    let (rows, columns) = mean_disagreements(table, disagreement);
    let q = table.labels;
    Ok((0..q * q)
        .map(|cell| {
            let (a, b) = (cell / q, cell % q);
            -(disagreement[cell] - (1.0 - kappa) * (rows[a] + columns[b]) + (1.0 - kappa) * qe) / qe
        })
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agreement::table::Table;
    use proptest::prelude::*;

    /// A table of up to five labels, and an order of its labels.
    fn tables() -> impl Strategy<Value = (usize, Vec<f64>, Vec<usize>)> {
        (1_usize..6).prop_flat_map(|q| {
            let counts = prop::collection::vec((0_u32..30).prop_map(f64::from), q * q);
            (Just(q), counts, Just((0..q).collect::<Vec<usize>>()).prop_shuffle())
        })
    }

    fn same(x: super::Value, y: super::Value) -> bool {
        match (x, y) {
            (Ok(x), Ok(y)) => (x - y).abs() < 1e-9,
            (x, y) => x == y,
        }
    }

    proptest! {
        #[test]
        fn coefficients_are_symmetric_bounded_and_blind_to_the_order_of_labels((q, counts, order) in tables()) {
            let table = Table::from_counts(q, &counts);
            let turned: Vec<f64> = (0..q * q).map(|cell| counts[cell % q * q + cell / q]).collect();
            let turned = Table::from_counts(q, &turned);
            let moved: Vec<f64> = (0..q * q).map(|cell| counts[order[cell / q] * q + order[cell % q]]).collect();
            let moved = Table::from_counts(q, &moved);
            for coefficient in [cohen_kappa, scott_pi, gwet_ac1, brennan_prediger, percent_agreement] {
                let value = coefficient(table.view());
                prop_assert!(value.is_err() || value.is_ok_and(|value| value.abs() <= 1.0 + 1e-9));
                prop_assert!(same(value, coefficient(turned.view())));
                prop_assert!(same(value, coefficient(moved.view())));
            }
        }

        #[test]
        fn weighted_kappa_without_weights_is_kappa_and_influences_sum_to_0((q, counts, _) in tables()) {
            let table = Table::from_counts(q, &counts);
            let disagreement = Weights::None.disagreement(q);
            prop_assert!(same(cohen_kappa(table.view()), weighted_kappa(table.view(), &disagreement)));
            if let Ok(influence) = influence(table.view(), &disagreement) {
                let n = table.view().total();
                let sum: f64 = influence.iter().zip(&counts).map(|(psi, count)| psi * count).sum();
                let square: f64 = influence.iter().zip(&counts).map(|(psi, count)| psi * psi * count).sum();
                prop_assert!(sum.abs() < 1e-6 * n.max(1.0));
                let variances = variances(table.view(), &disagreement).unwrap();
                prop_assert!((variances.interval - square / n / n).abs() < 1e-9);
            }
        }

        #[test]
        fn kappa_does_not_exceed_what_the_margins_allow((q, counts, _) in tables()) {
            let table = Table::from_counts(q, &counts);
            if let (Ok(kappa), Ok(most)) = (cohen_kappa(table.view()), kappa_max(table.view())) {
                prop_assert!(kappa <= most + 1e-9 && most <= 1.0 + 1e-9);
            }
        }
    }
}
