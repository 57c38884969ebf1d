//! Whether to ask again, and after which wait: takes the count of failures and the server's wish, gives a delay. Nothing here sleeps.

use rand::{Rng, RngExt};
use std::time::Duration;

/// No wait is longer, whatever a server asks for: a run must not stand still for hours over one header.
pub const LONGEST_WAIT: Duration = Duration::from_secs(120);

/// Exponential backoff with full jitter: each wait is drawn evenly from zero up to a bound that doubles.
///
/// The jitter spreads requests that failed together, so that they do not come back together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    /// How often a request is asked again; 0 is never.
    pub max_retries: u32,
    /// The bound of the first wait.
    pub base: Duration,
    /// The bound that no wait exceeds, unless the server asks for more.
    pub cap: Duration,
}

impl Default for Backoff {
    fn default() -> Backoff {
        Backoff { max_retries: 5, base: Duration::from_secs(1), cap: Duration::from_secs(60) }
    }
}

impl Backoff {
    /// The wait before the next attempt, `None` where there shall be none.
    ///
    /// `failures` counts the attempts that have failed, from 1. The wait is never below `after`, the server's own wish, as far as that is
    /// not above [`LONGEST_WAIT`].
    pub fn delay(&self, failures: u32, after: Option<Duration>, random: &mut impl Rng) -> Option<Duration> {
        if failures > self.max_retries {
            return None;
        }
        let doubled = 2_u32.saturating_pow(failures.saturating_sub(1));
        let bound = self.base.saturating_mul(doubled).min(self.cap);
        let jittered = Duration::from_secs_f64(random.random_range(0.0..=bound.as_secs_f64()));
        Some(jittered.max(after.unwrap_or_default().min(LONGEST_WAIT)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand_chacha::ChaCha8Rng;
    use rand_chacha::rand_core::SeedableRng;

    const BACKOFF: Backoff = Backoff { max_retries: 4, base: Duration::from_secs(1), cap: Duration::from_secs(5) };

    fn seconds(failures: u32, after: Option<Duration>) -> Vec<f64> {
        let mut random = ChaCha8Rng::seed_from_u64(7);
        (0..1000).map(|_| BACKOFF.delay(failures, after, &mut random).unwrap().as_secs_f64()).collect()
    }

    #[test]
    fn waits_fill_a_range_that_doubles_up_to_the_cap() {
        for (failures, bound) in [(1, 1.0), (2, 2.0), (3, 4.0), (4, 5.0)] {
            let waits = seconds(failures, None);
            let mean = waits.iter().sum::<f64>() / 1000.0;
            assert!(waits.iter().all(|wait| (0.0..=bound).contains(wait)), "{failures}");
            assert!((mean / bound - 0.5).abs() < 0.05, "{failures}: {mean}");
        }
    }

    #[test]
    fn no_wait_is_below_what_the_server_asks_for() {
        assert!(seconds(4, Some(Duration::from_secs(3))).iter().all(|wait| (3.0..=5.0).contains(wait)));
        assert!(seconds(1, Some(Duration::from_secs(30))).iter().all(|wait| *wait == 30.0));
        assert!(seconds(1, Some(Duration::from_secs(86_400))).iter().all(|wait| *wait == 120.0));
    }

    #[test]
    fn retries_end() {
        let mut random = ChaCha8Rng::seed_from_u64(7);
        assert!(BACKOFF.delay(4, None, &mut random).is_some());
        assert_eq!(BACKOFF.delay(5, None, &mut random), None);
        let never = Backoff { max_retries: 0, ..BACKOFF };
        assert_eq!(never.delay(1, Some(Duration::from_secs(1)), &mut random), None);
    }

    #[test]
    fn no_count_and_no_bound_overflows() {
        let mut random = ChaCha8Rng::seed_from_u64(7);
        let endless = Backoff { max_retries: u32::MAX, base: Duration::MAX, cap: Duration::from_secs(9) };
        assert!(endless.delay(u32::MAX, None, &mut random).unwrap() <= Duration::from_secs(9));
        let zero = Backoff { base: Duration::ZERO, ..BACKOFF };
        assert_eq!(zero.delay(1, None, &mut random), Some(Duration::ZERO));
    }
}
