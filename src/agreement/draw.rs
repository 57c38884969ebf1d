//! Draws of clusters with replacement: how often each kind of cluster is in a resampled data set.
//!
//! Clusters that hold the same are of one kind, and only the number of draws of a kind matters. Where a kind has many clusters (items that are
//! their own clusters have a few kinds of thousands), that number is drawn at once, binomially; the others are drawn one by one. Both together
//! are the multinomial distribution of as many draws as there are clusters, and depend on nothing but kinds, seed and replicate.

use super::interval::Resampling;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use rayon::prelude::*;

/// A kind of at least so many clusters is drawn at once: a binomial number costs as much as about so many single draws.
const MANY: u32 = 24;

/// How many single draws are handed over at a time.
const DRAWS_AT_ONCE: usize = 1024;

/// What takes the draws of one replicate.
pub(super) trait Drawn {
    /// A kind was drawn so often.
    fn add(&mut self, kind: usize, times: u32);

    /// Kinds that were drawn once each.
    fn add_each(&mut self, kinds: &[u32]);
}

impl Drawn for [u32] {
    fn add(&mut self, kind: usize, times: u32) {
        self[kind] += times;
    }

    fn add_each(&mut self, kinds: &[u32]) {
        kinds.iter().for_each(|&kind| self[kind as usize] += 1);
    }
}

/// How draws are made for given kinds.
pub(super) struct Draws {
    clusters: u32,
    /// Kinds of many clusters, with their number.
    many: Vec<(usize, u32)>,
    /// The kind of each other cluster.
    others: Vec<u32>,
    /// Draws one of the others.
    below: Below,
}

impl Draws {
    /// Of kinds with so many clusters each.
    pub(super) fn new(kinds: &[u32]) -> Draws {
        let sized = || kinds.iter().copied().enumerate();
        let others: Vec<u32> = sized()
            .filter(|&(_, clusters)| clusters < MANY)
            .flat_map(|(kind, clusters)| std::iter::repeat_n(kind as u32, clusters as usize))
            .collect();
        Draws {
            clusters: kinds.iter().sum(),
            many: sized().filter(|&(_, clusters)| clusters >= MANY).collect(),
            below: Below::new(others.len() as u64),
            others,
        }
    }

    /// Draws as many clusters as there are.
    fn draw(&self, generator: &mut ChaCha8Rng, drawn: &mut (impl Drawn + ?Sized)) {
        let (mut draws, mut clusters) = (self.clusters, self.clusters);
        for &(kind, size) in &self.many {
            let times = if size == clusters {
                draws
            } else {
                binomial(generator, draws, f64::from(size) / f64::from(clusters))
            };
            drawn.add(kind, times);
            draws -= times;
            clusters -= size;
        }
        let mut kinds = [0; DRAWS_AT_ONCE];
        let mut left = if self.others.is_empty() { 0 } else { draws as usize };
        while left > 0 {
            let kinds = &mut kinds[..left.min(DRAWS_AT_ONCE)];
            self.below.fill(generator, kinds);
            kinds.iter_mut().for_each(|kind| *kind = self.others[*kind as usize]);
            drawn.add_each(kinds);
            left -= kinds.len();
        }
    }
}

/// What `evaluate` makes of each replicate, in the order of replicates. `empty` makes room for draws, which `clear` empties each time.
pub(super) fn replicates<D: Drawn + ?Sized, R: std::ops::DerefMut<Target = D>, V: Send>(
    draws: &Draws,
    resampling: Resampling,
    empty: impl Fn() -> R + Sync + Send,
    clear: impl Fn(&mut D) + Sync + Send,
    evaluate: impl Fn(&D) -> V + Sync + Send,
) -> Vec<V> {
    let first = ChaCha8Rng::seed_from_u64(resampling.seed);
    (0..resampling.replicates)
        .into_par_iter()
        .map_init(empty, |drawn, replicate| {
            let mut generator = first.clone();
            generator.set_stream(u64::from(replicate));
            clear(drawn);
            draws.draw(&mut generator, &mut **drawn);
            evaluate(drawn)
        })
        .collect()
}

/// Uniform numbers below a bound by widening multiplication with rejection, several from 64 random bits (Lemire 2019; Brackett-Rozinsky and
/// Lemire 2024). Written out so that results do not change with a library's choice of algorithm.
struct Below {
    bound: u64,
    /// How many numbers 64 bits give.
    numbers: usize,
    /// The bound to the power of that.
    power: u64,
    /// 2⁶⁴ modulo that power: so many of the 2⁶⁴ are one too many.
    rejected: u64,
}

impl Below {
    /// Of at most 2³²; 0 is never asked.
    fn new(bound: u64) -> Below {
        let bound = bound.max(1);
        // With a sixteenth of the bits to spare, fewer than one in sixteen is rejected.
        let numbers = (1..=8).take_while(|&numbers| bound.checked_pow(numbers).is_some_and(|power| power >> 60 == 0));
        let numbers = numbers.last().unwrap_or(1);
        let power = bound.pow(numbers);
        Below { bound, numbers: numbers as usize, power, rejected: power.wrapping_neg() % power }
    }

    fn fill(&self, generator: &mut ChaCha8Rng, numbers: &mut [u32]) {
        for numbers in numbers.chunks_mut(self.numbers) {
            loop {
                let mut bits = generator.next_u64();
                for number in &mut *numbers {
                    let product = u128::from(bits) * u128::from(self.bound);
                    (*number, bits) = ((product >> 64) as u32, product as u64);
                }
                if bits >= self.power || bits >= self.rejected {
                    break;
                }
            }
        }
    }
}

/// A uniform number in [0, 1) of 53 bits.
fn uniform(generator: &mut ChaCha8Rng) -> f64 {
    const STEP: f64 = 1.0 / (1_u64 << 53) as f64;
    (generator.next_u64() >> 11) as f64 * STEP
}

/// A binomial number of `n` trials with success probability `p` in (0, 1). Written out for the same reason as [`Below`].
fn binomial(generator: &mut ChaCha8Rng, n: u32, p: f64) -> u32 {
    if n == 0 {
        0
    } else if p > 0.5 {
        n - binomial_up_to_half(generator, n, 1.0 - p)
    } else {
        binomial_up_to_half(generator, n, p)
    }
}

fn binomial_up_to_half(generator: &mut ChaCha8Rng, n: u32, p: f64) -> u32 {
    if f64::from(n) * p < 10.0 { by_inversion(generator, n, p) } else { by_rejection(generator, f64::from(n), p) }
}

/// Walks up the distribution until its sum exceeds a uniform number: cheap where np is small.
fn by_inversion(generator: &mut ChaCha8Rng, n: u32, p: f64) -> u32 {
    let odds = p / (1.0 - p);
    let none = (f64::from(n) * (-p).ln_1p()).exp();
    loop {
        let (mut left, mut probability) = (uniform(generator), none);
        for successes in 0..=n {
            if left < probability {
                return successes;
            }
            left -= probability;
            probability *= odds * f64::from(n - successes) / f64::from(successes + 1);
        }
        // Rounding let the probabilities sum to less than the uniform number.
    }
}

/// Transformed rejection with a squeeze, BTRS (Hörmann 1993): a constant number of steps for np of 10 and more.
fn by_rejection(generator: &mut ChaCha8Rng, n: f64, p: f64) -> u32 {
    let q = 1.0 - p;
    let spread = (n * p * q).sqrt();
    let b = 1.15 + 2.53 * spread;
    let a = -0.0873 + 0.0248 * b + 0.01 * p;
    let c = n * p + 0.5;
    let squeeze = 0.92 - 4.2 / b;
    let alpha = (2.83 + 5.1 / b) * spread;
    let odds = p / q;
    let mode = ((n + 1.0) * p).floor();
    loop {
        let u = uniform(generator) - 0.5;
        let v = uniform(generator);
        let edge = 0.5 - u.abs();
        let k = ((2.0 * a / edge + b) * u + c).floor();
        if edge >= 0.07 && v <= squeeze {
            return k as u32;
        }
        if !(0.0..=n).contains(&k) {
            continue;
        }
        let bound = (mode + 0.5) * ((mode + 1.0) / (odds * (n - mode + 1.0))).ln()
            + (n + 1.0) * ((n - mode + 1.0) / (n - k + 1.0)).ln()
            + (k + 0.5) * (odds * (n - k + 1.0) / (k + 1.0)).ln()
            + stirling_rest(mode)
            + stirling_rest(n - mode)
            - stirling_rest(k)
            - stirling_rest(n - k);
        if (v * alpha / (a / (edge * edge) + b)).ln() <= bound {
            return k as u32;
        }
    }
}

/// ln k! less Stirling's (k + ½) ln(k + 1) − (k + 1) + ½ ln 2π.
fn stirling_rest(k: f64) -> f64 {
    const FIRST: [f64; 10] = [
        0.081_061_466_795_327_26,
        0.041_340_695_955_409_29,
        0.027_677_925_684_998_34,
        0.020_790_672_103_765_09,
        0.016_644_691_189_821_19,
        0.013_876_128_823_070_75,
        0.011_896_709_945_891_77,
        0.010_411_265_261_972_09,
        0.009_255_462_182_712_733,
        0.008_330_563_433_362_87,
    ];
    if k < 10.0 {
        return FIRST[k as usize];
    }
    let next = k + 1.0;
    let square = next * next;
    (1.0 / 12.0 - (1.0 / 360.0 - 1.0 / 1260.0 / square) / square) / next
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agreement::distribution::chi_squared_tail;
    use statrs::distribution::{Binomial, Discrete};

    /// p of the χ² test that `counts` of 0, 1, … come from a distribution; rare values are put together.
    fn fit(counts: &[u32], probability: impl Fn(usize) -> f64) -> f64 {
        let total = f64::from(counts.iter().sum::<u32>());
        let (mut statistic, mut cells) = (0.0, 0.0);
        let (mut seen, mut expected) = (0.0, 0.0);
        for (value, &count) in counts.iter().enumerate() {
            seen += f64::from(count);
            expected += total * probability(value);
            if expected >= 20.0 {
                statistic += (seen - expected).powi(2) / expected;
                cells += 1.0;
                (seen, expected) = (0.0, 0.0);
            }
        }
        statistic += (seen - expected).powi(2) / expected.max(1.0);
        chi_squared_tail(statistic, cells)
    }

    #[test]
    fn binomial_numbers_have_their_distribution() {
        let cases =
            [(1, 0.5), (30, 0.02), (9, 0.7), (40, 0.25), (41, 0.6), (1000, 0.011), (5000, 0.5), (100_000, 0.9995)];
        for (place, (n, p)) in cases.into_iter().enumerate() {
            let mut generator = ChaCha8Rng::seed_from_u64(place as u64);
            let mut counts = vec![0; n as usize + 1];
            (0..200_000).for_each(|_| counts[binomial(&mut generator, n, p) as usize] += 1);
            let exact = Binomial::new(p, u64::from(n)).unwrap();
            let p_value = fit(&counts, |value| exact.pmf(value as u64));
            assert!(p_value > 1e-4, "n = {n}, p = {p}: {p_value}");
        }
    }

    #[test]
    fn every_kind_is_drawn_as_often_as_single_draws_would() {
        // Two kinds drawn at once, one of five clusters and three of one; each number of draws is binomial.
        let kinds = [40, 5, 30, 1, 1, 1];
        let draws = Draws::new(&kinds);
        assert_eq!((draws.many.len(), draws.others.len()), (2, 8));
        let resampling = Resampling { replicates: 100_000, seed: 3 };
        let empty = || vec![0_u32; kinds.len()];
        let drawn = replicates(&draws, resampling, empty, |drawn| drawn.fill(0), |drawn| drawn.to_vec());
        assert!(drawn.iter().all(|weights| weights.iter().sum::<u32>() == 78));
        for (kind, &clusters) in kinds.iter().enumerate() {
            let mut counts = vec![0; 79];
            drawn.iter().for_each(|weights| counts[weights[kind] as usize] += 1);
            let exact = Binomial::new(f64::from(clusters) / 78.0, 78).unwrap();
            assert!(fit(&counts, |value| exact.pmf(value as u64)) > 1e-4, "kind {kind}");
        }
        // The covariance of two kinds is −n p₁ p₂.
        let mean = |of: &dyn Fn(&Vec<u32>) -> f64| drawn.iter().map(of).sum::<f64>() / drawn.len() as f64;
        let product = mean(&|weights| (f64::from(weights[0]) - 40.0) * (f64::from(weights[1]) - 5.0));
        assert!((product + 78.0 * (40.0 / 78.0) * (5.0 / 78.0)).abs() < 0.15, "{product}");
    }

    #[test]
    fn uniform_numbers_fill_their_range_evenly() {
        let mut generator = ChaCha8Rng::seed_from_u64(5);
        for (bound, numbers) in
            [(2, 8), (7, 8), (1000, 6), (20_000, 4), (1 << 29, 2), (1 << 31, 1), (u64::from(u32::MAX), 1)]
        {
            let below = Below::new(bound);
            assert_eq!(below.numbers, numbers);
            let mut drawn = vec![0; 70_001];
            below.fill(&mut generator, &mut drawn);
            assert!(drawn.iter().all(|&number| u64::from(number) < bound));
            // By the place among those of one draw, and by the seventh of the range (with two numbers, by the number).
            let parts = bound.min(7);
            for place in 0..numbers {
                let mut counts = vec![0; parts as usize];
                let numbers = drawn.iter().skip(place).step_by(numbers);
                numbers.for_each(|&number| counts[(u64::from(number) * parts / bound) as usize] += 1);
                let share = |part: usize| {
                    let up_to = |part: u64| (part * bound).div_ceil(parts);
                    (up_to(part as u64 + 1) - up_to(part as u64)) as f64 / bound as f64
                };
                let p_value = fit(&counts, share);
                assert!(p_value > 1e-4, "bound {bound}, place {place}: {p_value}");
            }
        }
    }
}
