//! Whether two raters use the labels equally often.

use super::distribution::chi_squared_tail;
use super::table::TableView;
use serde::Serialize;

/// The Stuart–Maxwell test of equal margins (Stuart 1955, Maxwell 1970). It takes items as independent.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct StuartMaxwell {
    /// χ².
    pub statistic: f64,
    /// Degrees of freedom: labels with a disagreement, less one.
    pub df: u32,
    /// p.
    pub p: f64,
}

/// χ² = dᵀS⁻¹d with d_k = n_k· − n_·k, S_kk = n_k· + n_·k − 2n_kk, S_kl = −(n_kl + n_lk), over all labels but one.
/// Labels without a disagreement (unused ones among them) say nothing about the margins and are left out, or S would be
/// singular. None where nothing is left, or where the labels fall into groups that are never confused with one another.
pub fn stuart_maxwell(table: TableView<'_>) -> Option<StuartMaxwell> {
    let confused = |k: &usize| table.row_sum(*k) + table.column_sum(*k) > 2.0 * table.count(*k, *k);
    stuart_maxwell_over(table, (0..table.labels).filter(confused).collect())
}

/// The same over the labels that somebody used, and no fewer: the definition to the letter, without a value where a label is never confused
/// with another. Its degrees of freedom are those labels less one.
pub fn stuart_maxwell_of_used(table: TableView<'_>) -> (u32, Option<StuartMaxwell>) {
    let used: Vec<usize> = (0..table.labels).filter(|&k| table.row_sum(k) + table.column_sum(k) > 0.0).collect();
    (used.len().saturating_sub(1) as u32, stuart_maxwell_over(table, used))
}

fn stuart_maxwell_over(table: TableView<'_>, mut used: Vec<usize>) -> Option<StuartMaxwell> {
    let (rows, columns) = table.margins();
    let discordant = |k: usize| rows[k] + columns[k] - 2.0 * table.count(k, k);
    // The label that is left out must be one that is confused, or the singular system would go unnoticed.
    used.pop().filter(|&last| discordant(last) > 0.0)?;
    if used.is_empty() {
        return None;
    }
    let d: Vec<f64> = used.iter().map(|&k| rows[k] - columns[k]).collect();
    let s: Vec<Vec<f64>> = used
        .iter()
        .map(|&k| {
            used.iter()
                .map(|&l| match k == l {
                    true => discordant(k),
                    false => -(table.count(k, l) + table.count(l, k)),
                })
                .collect()
        })
        .collect();
    let solved = solve(s, d.clone())?;
    let statistic: f64 = d.iter().zip(&solved).map(|(x, y)| x * y).sum();
    let df = used.len() as u32;
    Some(StuartMaxwell { statistic, df, p: chi_squared_tail(statistic.max(0.0), f64::from(df)) })
}

/// Solves a small linear system by elimination with partial pivoting; none if it is singular.
fn solve(mut matrix: Vec<Vec<f64>>, mut right: Vec<f64>) -> Option<Vec<f64>> {
    let n = right.len();
    for column in 0..n {
        let pivot = (column..n).max_by(|&i, &j| matrix[i][column].abs().total_cmp(&matrix[j][column].abs()))?;
        if matrix[pivot][column].abs() < 1e-9 {
            return None;
        }
        matrix.swap(column, pivot);
        right.swap(column, pivot);
        for row in column + 1..n {
            let factor = matrix[row][column] / matrix[column][column];
            let (above, below) = matrix.split_at_mut(row);
            for (target, source) in below[0][column..].iter_mut().zip(&above[column][column..]) {
                *target -= factor * source;
            }
            right[row] -= factor * right[column];
        }
    }
    for row in (0..n).rev() {
        let known: f64 = (row + 1..n).map(|k| matrix[row][k] * right[k]).sum();
        right[row] = (right[row] - known) / matrix[row][row];
    }
    Some(right)
}

/// For two labels: |n₁₁ − n₂₂|/n, how unequal the two kinds of agreement are (Byrt, Bishop and Carlin 1993).
pub fn prevalence_index(table: TableView<'_>) -> Option<f64> {
    let n = table.total();
    (table.labels == 2 && n > 0.0).then(|| (table.count(0, 0) - table.count(1, 1)).abs() / n)
}

/// For two labels: |n₁₂ − n₂₁|/n, how unequal the margins are (Byrt, Bishop and Carlin 1993).
pub fn bias_index(table: TableView<'_>) -> Option<f64> {
    let n = table.total();
    (table.labels == 2 && n > 0.0).then(|| (table.count(0, 1) - table.count(1, 0)).abs() / n)
}
