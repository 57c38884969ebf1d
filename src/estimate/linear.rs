//! Small linear algebra: systems of up to [`MOST`] unknowns by Gaussian elimination with partial pivoting, condition numbers, the simplex.
//!
//! Matrices are rows of numbers; callers give rows of equal length.

/// The most unknowns. Regressions and confusion matrices here are far smaller than what would need better methods.
pub const MOST: usize = 12;

/// Pivots below this part of the largest number are taken as 0.
const SINGULAR: f64 = 1e-13;

/// Solves `a x = b` for each column of `b`, given as rows; `None` for a singular matrix.
fn eliminate(a: &[Vec<f64>], b: &[Vec<f64>]) -> Option<Vec<Vec<f64>>> {
    let n = a.len();
    let mut rows: Vec<Vec<f64>> = a.iter().zip(b).map(|(left, right)| [&left[..], &right[..]].concat()).collect();
    let scale = a.iter().flatten().fold(0.0_f64, |most, x| most.max(x.abs()));
    for column in 0..n {
        let pivot = (column..n).max_by(|&x, &y| rows[x][column].abs().total_cmp(&rows[y][column].abs()))?;
        rows.swap(column, pivot);
        let head = rows[column].clone();
        if head[column].abs() <= SINGULAR * scale || !head[column].is_finite() {
            return None;
        }
        for (at, row) in rows.iter_mut().enumerate().filter(|(at, _)| *at != column) {
            let factor = row[column] / head[column];
            if at != column && factor != 0.0 {
                row.iter_mut().zip(&head).for_each(|(x, h)| *x -= factor * h);
            }
        }
    }
    Some(rows.iter().enumerate().map(|(at, row)| row[n..].iter().map(|x| x / row[at]).collect()).collect())
}

/// The solution of `a x = b`; `None` for a singular matrix.
pub fn solve(a: &[Vec<f64>], b: &[f64]) -> Option<Vec<f64>> {
    let right: Vec<Vec<f64>> = b.iter().map(|x| vec![*x]).collect();
    Some(eliminate(a, &right)?.into_iter().map(|row| row[0]).collect())
}

/// The inverse; `None` for a singular matrix.
pub fn inverse(a: &[Vec<f64>]) -> Option<Vec<Vec<f64>>> {
    let unit = (0..a.len()).map(|i| (0..a.len()).map(|j| f64::from(u8::from(i == j))).collect()).collect::<Vec<_>>();
    eliminate(a, &unit)
}

/// `a b`.
pub fn product(a: &[Vec<f64>], b: &[Vec<f64>]) -> Vec<Vec<f64>> {
    let columns = b.first().map_or(0, Vec::len);
    let cell = |row: &[f64], j: usize| row.iter().zip(b).map(|(x, other)| x * other[j]).sum();
    a.iter().map(|row| (0..columns).map(|j| cell(row, j)).collect()).collect()
}

/// The transposed matrix.
pub fn transposed(a: &[Vec<f64>]) -> Vec<Vec<f64>> {
    (0..a.first().map_or(0, Vec::len)).map(|j| a.iter().map(|row| row[j]).collect()).collect()
}

/// The condition number in the 2-norm, the largest by the smallest singular value; infinite for a singular matrix.
///
/// Singular values are the roots of the eigenvalues of `aᵀa`, which Jacobi's rotations find; good to about 8 digits, more than a
/// condition number needs.
pub fn condition(a: &[Vec<f64>]) -> f64 {
    let mut m = product(&transposed(a), a);
    let n = m.len();
    // Sweeps converge quadratically: 30 are far more than a 12 × 12 matrix needs.
    for _ in 0..30 {
        for p in 0..n {
            for q in p + 1..n {
                if m[p][q] == 0.0 {
                    continue;
                }
                let theta = (m[q][q] - m[p][p]) / (2.0 * m[p][q]);
                let t = theta.signum() / (theta.abs() + (theta * theta + 1.0).sqrt());
                let t = if theta == 0.0 { 1.0 } else { t };
                let c = 1.0 / (t * t + 1.0).sqrt();
                let s = t * c;
                for row in &mut m {
                    (row[p], row[q]) = (c * row[p] - s * row[q], s * row[p] + c * row[q]);
                }
                let (upper, lower) = m.split_at_mut(q);
                for (x, y) in upper[p].iter_mut().zip(&mut lower[0]) {
                    (*x, *y) = (c * *x - s * *y, s * *x + c * *y);
                }
            }
        }
    }
    let values: Vec<f64> = (0..n).map(|i| m[i][i].max(0.0)).collect();
    let (least, most) = values.iter().fold((f64::INFINITY, 0.0_f64), |(l, m), x| (l.min(*x), m.max(*x)));
    if least <= most * 1e-15 { f64::INFINITY } else { (most / least).sqrt() }
}

/// The nearest vector of shares: none below 0, sum 1 (Duchi et al. 2008).
pub fn onto_simplex(v: &[f64]) -> Vec<f64> {
    let mut sorted = v.to_vec();
    sorted.sort_by(|x, y| y.total_cmp(x));
    let (mut sum, mut shift) = (0.0, 0.0);
    for (at, x) in sorted.iter().enumerate() {
        sum += x;
        let candidate = (sum - 1.0) / (at + 1) as f64;
        if x - candidate > 0.0 {
            shift = candidate;
        }
    }
    v.iter().map(|x| (x - shift).max(0.0)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(a: f64, b: f64) -> bool {
        (a - b).abs() < 1e-9 * b.abs().max(1.0)
    }

    #[test]
    fn systems_are_solved_with_a_pivot_of_zero_and_singular_ones_are_refused() {
        let a = vec![vec![0.0, 2.0, 1.0], vec![1.0, -1.0, 0.5], vec![3.0, 0.0, -2.0]];
        let x = solve(&a, &[7.0, 0.5, -3.0]).unwrap();
        for (row, b) in a.iter().zip([7.0, 0.5, -3.0]) {
            assert!(near(row.iter().zip(&x).map(|(a, x)| a * x).sum(), b));
        }
        let unit = product(&a, &inverse(&a).unwrap());
        assert!((0..3).all(|i| (0..3).all(|j| near(unit[i][j], f64::from(u8::from(i == j))))));
        assert_eq!(solve(&[vec![1.0, 2.0], vec![2.0, 4.0]], &[1.0, 2.0]), None);
    }

    #[test]
    fn a_twelve_by_twelve_system_is_solved() {
        let a: Vec<Vec<f64>> = (0..12)
            .map(|i| {
                (0..12).map(|j| f64::from((i * 7 + j * j * 3 + i * j) % 13) + if i == j { 20.0 } else { 0.0 }).collect()
            })
            .collect();
        let wanted: Vec<f64> = (0..12).map(|i| f64::from(i) - 4.5).collect();
        let b: Vec<f64> = a.iter().map(|row| row.iter().zip(&wanted).map(|(x, y)| x * y).sum()).collect();
        assert!(solve(&a, &b).unwrap().iter().zip(&wanted).all(|(x, y)| near(*x, *y)));
    }

    #[test]
    fn condition_numbers_are_those_of_the_singular_values() {
        assert!(near(condition(&[vec![3.0, 0.0], vec![0.0, -0.5]]), 6.0));
        // Singular values of [[1, 1], [0, 1]] are φ and 1/φ.
        let golden = (1.0 + 5.0_f64.sqrt()) / 2.0;
        assert!((condition(&[vec![1.0, 1.0], vec![0.0, 1.0]]) - golden * golden).abs() < 1e-7);
        assert_eq!(condition(&[vec![1.0, 2.0], vec![2.0, 4.0]]), f64::INFINITY);
    }

    #[test]
    fn the_simplex_is_met_at_its_nearest_point() {
        assert_eq!(onto_simplex(&[0.2, 0.8]), [0.2, 0.8]);
        let found = onto_simplex(&[0.7, 0.5, -0.2]);
        assert!(near(found[0], 0.6) && near(found[1], 0.4) && found[2] == 0.0);
        assert_eq!(onto_simplex(&[2.0, 0.0]), [1.0, 0.0]);
    }
}
