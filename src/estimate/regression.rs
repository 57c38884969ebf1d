//! Ordinary least squares with robust covariance. Takes rows of covariates and outcomes, gives coefficients and their standard errors.

use super::NoCorrection;
use super::linear;
use std::collections::BTreeMap;

/// A fit: coefficients and their standard errors, in the order of the covariates.
#[derive(Debug, Clone, PartialEq)]
pub struct Fit {
    /// The coefficients.
    pub coefficients: Vec<f64>,
    /// Standard errors that allow for unequal variances (White 1980).
    pub hc0: Vec<f64>,
    /// The same times √(n/(n − k)).
    pub hc1: Vec<f64>,
    /// Standard errors by clusters, with the factor G/(G − 1) · (n − 1)/(n − k); none without clusters or with a single one.
    pub cluster: Option<Vec<f64>>,
    /// Number of clusters.
    pub clusters: usize,
}

/// `(XᵀWX)⁻¹` and the coefficients of weighted least squares.
pub(crate) fn coefficients(
    x: &[Vec<f64>],
    y: &[f64],
    weights: Option<&[f64]>,
) -> Result<(Vec<Vec<f64>>, Vec<f64>), NoCorrection> {
    let k = x.first().map_or(0, Vec::len);
    if k > linear::MOST {
        return Err(NoCorrection::TooManyCoefficients { unknowns: k });
    }
    if x.len() < k || k == 0 {
        return Err(NoCorrection::TooFewGold { gold: x.len(), needed: k.max(1) });
    }
    let weight = |at: usize| weights.map_or(1.0, |weights| weights[at]);
    let mut cross = vec![vec![0.0; k]; k];
    let mut right = vec![0.0; k];
    for (at, (row, y)) in x.iter().zip(y).enumerate() {
        let w = weight(at);
        for i in 0..k {
            right[i] += w * row[i] * y;
            (0..k).for_each(|j| cross[i][j] += w * row[i] * row[j]);
        }
    }
    let inverse = linear::inverse(&cross).ok_or(NoCorrection::Dependent)?;
    let found = inverse.iter().map(|row| row.iter().zip(&right).map(|(a, b)| a * b).sum()).collect();
    Ok((inverse, found))
}

/// The roots of the diagonal of `bread · meat · bread`.
pub(crate) fn sandwich(bread: &[Vec<f64>], meat: &[Vec<f64>]) -> Vec<f64> {
    let found = linear::product(&linear::product(bread, meat), bread);
    (0..bread.len()).map(|i| found[i][i].max(0.0).sqrt()).collect()
}

/// Σ v vᵀ.
fn outer_sum<'v>(vectors: impl Iterator<Item = &'v Vec<f64>>, k: usize) -> Vec<Vec<f64>> {
    let mut sum = vec![vec![0.0; k]; k];
    for v in vectors {
        for i in 0..k {
            (0..k).for_each(|j| sum[i][j] += v[i] * v[j]);
        }
    }
    sum
}

/// Fits y on x by ordinary least squares.
///
/// # Errors
/// [`NoCorrection`] if there are fewer rows than covariates, too many covariates, or dependent ones.
pub fn least_squares(x: &[Vec<f64>], y: &[f64], clusters: Option<&[usize]>) -> Result<Fit, NoCorrection> {
    let (bread, found) = coefficients(x, y, None)?;
    let (n, k) = (x.len() as f64, found.len());
    let scores: Vec<Vec<f64>> = (x.iter().zip(y))
        .map(|(row, y)| {
            let residual = y - row.iter().zip(&found).map(|(a, b)| a * b).sum::<f64>();
            row.iter().map(|x| x * residual).collect()
        })
        .collect();
    let hc0 = sandwich(&bread, &outer_sum(scores.iter(), k));
    let hc1 = hc0.iter().map(|se| se * (n / (n - k as f64)).sqrt()).collect();
    let mut sums: BTreeMap<usize, Vec<f64>> = BTreeMap::new();
    for (score, cluster) in scores.iter().zip(clusters.unwrap_or_default()) {
        let sum = sums.entry(*cluster).or_insert_with(|| vec![0.0; k]);
        sum.iter_mut().zip(score).for_each(|(sum, x)| *sum += x);
    }
    let g = sums.len() as f64;
    let cluster = (sums.len() > 1).then(|| {
        let factor = (g / (g - 1.0) * (n - 1.0) / (n - k as f64)).sqrt();
        sandwich(&bread, &outer_sum(sums.values(), k)).iter().map(|se| se * factor).collect()
    });
    Ok(Fit { coefficients: found, hc0, hc1, cluster, clusters: sums.len() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_found_with_the_errors_of_the_textbook() {
        let x: Vec<Vec<f64>> = [0.0, 1.0, 2.0, 3.0].iter().map(|x| vec![1.0, *x]).collect();
        let fit = least_squares(&x, &[1.0, 2.9, 5.2, 6.9], Some(&[0, 0, 1, 1])).unwrap();
        assert!((fit.coefficients[0] - 1.0).abs() < 1e-12 && (fit.coefficients[1] - 2.0).abs() < 1e-12);
        // Residuals 0, −.1, .2, −.1; Σ (x − 1.5)² e² / 5².
        let hc0 = ((0.25 * 0.01 + 0.25 * 0.04 + 2.25 * 0.01_f64) / 25.0).sqrt();
        assert!((fit.hc0[1] - hc0).abs() < 1e-12 && (fit.hc1[1] - hc0 * 2.0_f64.sqrt()).abs() < 1e-12);
        // By cluster (x − 1.5) e sums to .05 and to .1 − .15 = −.05.
        let cluster = (2.0 * 3.0 / 2.0 * (0.0025 + 0.0025_f64)).sqrt() / 5.0;
        assert!((fit.cluster.unwrap()[1] - cluster).abs() < 1e-12);
        assert_eq!(least_squares(&[vec![1.0, 2.0], vec![1.0, 2.0]], &[0.0, 1.0], None), Err(NoCorrection::Dependent));
    }
}
