//! Random draws that are the same on every machine: ChaCha8, one stream a replicate, and methods written out here, so that no library's
//! choice of algorithm changes a result.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// A source of draws.
#[derive(Debug, Clone)]
pub struct Draws(ChaCha8Rng);

impl Draws {
    /// The draws of a seed's stream.
    pub fn new(seed: u64, stream: u64) -> Draws {
        let mut generator = ChaCha8Rng::seed_from_u64(seed);
        generator.set_stream(stream);
        Draws(generator)
    }

    /// Uniform in (0, 1).
    pub fn uniform(&mut self) -> f64 {
        ((self.0.next_u64() >> 11) as f64 + 0.5) / (1_u64 << 53) as f64
    }

    /// A whole number below `bound`, which is above 0; the bias of taking parts of 2⁶⁴ is below bound/2⁶⁴.
    pub fn below(&mut self, bound: usize) -> usize {
        ((u128::from(self.0.next_u64()) * bound as u128) >> 64) as usize
    }

    /// Standard normal (Marsaglia and Bray 1964).
    pub fn normal(&mut self) -> f64 {
        loop {
            let (u, v) = (2.0 * self.uniform() - 1.0, 2.0 * self.uniform() - 1.0);
            let square = u * u + v * v;
            if square < 1.0 && square > 0.0 {
                return u * (-2.0 * square.ln() / square).sqrt();
            }
        }
    }

    /// Gamma with this shape, above 0, and scale 1 (Marsaglia and Tsang 2000).
    pub fn gamma(&mut self, shape: f64) -> f64 {
        if shape < 1.0 {
            let boost = self.uniform().powf(1.0 / shape);
            return self.gamma(shape + 1.0) * boost;
        }
        let d = shape - 1.0 / 3.0;
        let c = 1.0 / (9.0 * d).sqrt();
        loop {
            let x = self.normal();
            let v = (1.0 + c * x).powi(3);
            if v > 0.0 && self.uniform().ln() < 0.5 * x * x + d - d * v + d * v.ln() {
                return d * v;
            }
        }
    }

    /// Shares from a Dirichlet distribution with these parameters, all above 0.
    pub fn dirichlet(&mut self, parameters: &[f64]) -> Vec<f64> {
        let drawn: Vec<f64> = parameters.iter().map(|shape| self.gamma(*shape)).collect();
        let sum: f64 = drawn.iter().sum();
        // Tiny shapes can all underflow to 0; then the mean stands.
        let total: f64 = parameters.iter().sum();
        match sum > 0.0 {
            true => drawn.iter().map(|x| x / sum).collect(),
            false => parameters.iter().map(|x| x / total).collect(),
        }
    }

    /// How often each of `n` is drawn in `n` draws with replacement.
    pub fn multiplicities(&mut self, n: usize) -> Vec<u32> {
        let mut drawn = vec![0; n];
        (0..n).for_each(|_| drawn[self.below(n)] += 1);
        drawn
    }
}

/// Quantile of sorted numbers by linear interpolation (type 7 of Hyndman and Fan 1996); NaN without numbers.
pub fn quantile(sorted: &[f64], probability: f64) -> f64 {
    let Some(last) = sorted.len().checked_sub(1) else { return f64::NAN };
    let place = probability.clamp(0.0, 1.0) * last as f64;
    let (lower, upper) = (place.floor() as usize, place.ceil() as usize);
    sorted[lower] + (sorted[upper] - sorted[lower]) * (place - lower as f64)
}

/// The ends between which all but `alpha` of the draws lie.
pub fn central(draws: &[f64], alpha: f64) -> (f64, f64) {
    let mut sorted = draws.to_vec();
    sorted.sort_by(f64::total_cmp);
    (quantile(&sorted, alpha / 2.0), quantile(&sorted, 1.0 - alpha / 2.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gammas_have_their_moments() {
        for shape in [0.5, 1.0, 3.5, 40.0] {
            let mut draws = Draws::new(7, 0);
            let drawn: Vec<f64> = (0..40_000).map(|_| draws.gamma(shape)).collect();
            let mean = drawn.iter().sum::<f64>() / 40_000.0;
            let variance = drawn.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / 40_000.0;
            assert!((mean - shape).abs() < 5.0 * (shape / 40_000.0).sqrt(), "{shape}: mean {mean}");
            assert!((variance / shape - 1.0).abs() < 0.06, "{shape}: variance {variance}");
        }
    }

    #[test]
    fn beta_quantiles_are_those_of_the_distribution() {
        let mut draws = Draws::new(3, 0);
        let drawn: Vec<f64> = (0..60_000).map(|_| draws.dirichlet(&[4.5, 16.5])[0]).collect();
        let (low, high) = central(&drawn, 0.05);
        // Beta(4.5, 16.5): .0715 and .4082.
        assert!((low - 0.0715).abs() < 0.003 && (high - 0.4082).abs() < 0.006, "{low} {high}");
    }

    #[test]
    fn streams_differ_and_repeat() {
        let first = |seed, stream| Draws::new(seed, stream).uniform();
        assert_eq!(first(1, 2), first(1, 2));
        assert!(first(1, 2) != first(1, 3) && first(1, 2) != first(2, 2));
        assert_eq!(Draws::new(1, 1).multiplicities(9).iter().sum::<u32>(), 9);
    }
}
