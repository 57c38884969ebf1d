//! Standard errors from influence values: what one item adds to a statistic, summed by cluster.

use std::collections::BTreeMap;

/// Sums of influence values by cluster, of the clusters that hold something.
pub fn cluster_sums(values: impl Iterator<Item = (usize, f64)>) -> Vec<f64> {
    let mut sums = BTreeMap::new();
    values.for_each(|(cluster, value)| *sums.entry(cluster).or_insert(0.0) += value);
    sums.into_values().collect()
}

/// Linearised cluster standard error, √(G/(G − 1) Σ_g(Σ_{t∈g} ψ_t)²)/n; none with fewer than two clusters.
pub fn linearised_se(sums: &[f64], n: f64) -> Option<f64> {
    let g = sums.len() as f64;
    (g >= 2.0).then(|| (g / (g - 1.0) * sums.iter().map(|sum| sum * sum).sum::<f64>()).sqrt() / n)
}

/// Standard error for independent items, √(mean(ψ²)/n); none without items.
pub fn independent_se(values: &[f64]) -> Option<f64> {
    let n = values.len() as f64;
    (n > 0.0).then(|| values.iter().map(|value| value * value).sum::<f64>().sqrt() / n)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_by_themselves_have_the_independent_error_but_for_the_small_sample_factor() {
        let values = [0.5, -1.0, 0.25, 0.25];
        let sums = cluster_sums(values.into_iter().enumerate());
        let (clustered, independent) = (linearised_se(&sums, 4.0).unwrap(), independent_se(&values).unwrap());
        assert!((clustered - independent * (4.0_f64 / 3.0).sqrt()).abs() < 1e-12);
        assert_eq!(cluster_sums([(7, 1.0), (2, 0.5), (7, -1.0)].into_iter()), [0.5, 0.0]);
        assert_eq!(linearised_se(&[1.0], 4.0), None);
    }
}
