//! How evenly a limit a minute is spent: takes amounts, gives the wait before the next of them. Amounts are paid in parts.

use super::window::SPAN;
use governor::clock::Clock;
use governor::middleware::NoOpMiddleware;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};
use std::num::NonZeroU32;
use std::time::Duration;
use tokio::time::Instant;

/// Tokio's time since a start: so that tests run on a paused clock.
#[derive(Debug, Clone)]
struct Ticks(Instant);

impl Clock for Ticks {
    type Instant = Duration;

    fn now(&self) -> Duration {
        self.0.elapsed()
    }
}

/// A bucket that holds a second's share, or one: servers that limit a minute may look at shorter times as well.
#[derive(Debug)]
pub(super) struct Bucket {
    limiter: RateLimiter<NotKeyed, InMemoryState, Ticks, NoOpMiddleware<Duration>>,
    clock: Ticks,
    per_minute: u64,
    burst: u64,
    /// What may go beside the bucket: a start from rest, and what was given back.
    credit: u64,
}

impl Bucket {
    /// A bucket that was full for a while: a tenth of a minute may go at once. What is spent so in one minute is missing in the next.
    pub(super) fn new(per_minute: u64) -> Bucket {
        let mut bucket = Bucket::running(per_minute);
        bucket.give_back(u64::MAX);
        bucket
    }

    /// A bucket for a limit that has changed in the midst of a run.
    pub(super) fn running(per_minute: u64) -> Bucket {
        let burst = narrow(per_minute / 60);
        let period = Duration::from_nanos(nanoseconds(per_minute)).max(Duration::from_nanos(1));
        let quota = Quota::with_period(period).expect("the period is not zero").allow_burst(burst);
        let clock = Ticks(Instant::now());
        let limiter = RateLimiter::direct_with_clock(quota, clock.clone());
        Bucket { limiter, clock, per_minute, burst: u64::from(burst.get()), credit: 0 }
    }

    /// The limit.
    pub(super) fn per_minute(&self) -> u64 {
        self.per_minute
    }

    /// Pays as much of what is owed as there is; an error tells how long to wait for the next part.
    ///
    /// In parts, for what is larger than the bucket could never be paid at once.
    pub(super) fn pay(&mut self, owed: &mut u64) -> Result<(), Duration> {
        let from_credit = self.credit.min(*owed);
        self.credit -= from_credit;
        *owed -= from_credit;
        while *owed > 0 {
            // Half a bucket: whoever comes a little late for it has not lost what would have run over.
            let part = narrow((*owed).min((self.burst / 2).max(1)));
            match self.limiter.check_n(part).expect("no part is larger than the bucket") {
                Ok(()) => *owed -= u64::from(part.get()),
                Err(not_until) => return Err(not_until.wait_time_from(self.clock.now())),
            }
        }
        Ok(())
    }

    /// Gives back what was paid and not used, up to a tenth of a minute.
    pub(super) fn give_back(&mut self, amount: u64) {
        self.credit = self.credit.saturating_add(amount).min((self.per_minute / 10).saturating_sub(self.burst));
    }
}

/// How long one takes to fill in.
fn nanoseconds(per_minute: u64) -> u64 {
    u64::try_from(SPAN.as_nanos() / u128::from(per_minute.max(1))).unwrap_or(u64::MAX)
}

fn narrow(count: u64) -> NonZeroU32 {
    NonZeroU32::new(u32::try_from(count).unwrap_or(u32::MAX)).unwrap_or(NonZeroU32::MIN)
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn pay(bucket: &mut Bucket, mut owed: u64) -> f64 {
        let started = Instant::now();
        while let Err(wait) = bucket.pay(&mut owed) {
            tokio::time::sleep(wait).await;
        }
        started.elapsed().as_secs_f64()
    }

    #[tokio::test(start_paused = true)]
    async fn a_tenth_of_a_minute_goes_at_the_start_and_then_a_second_at_most() {
        let mut bucket = Bucket::new(6_000);
        assert_eq!(pay(&mut bucket, 600).await, 0.0);
        assert!((pay(&mut bucket, 100).await - 1.0).abs() < 0.02);
        tokio::time::sleep(Duration::from_secs(30)).await;
        assert_eq!(pay(&mut bucket, 100).await, 0.0);
        assert!((pay(&mut bucket, 1_000).await - 10.0).abs() < 0.1);
        bucket.give_back(50);
        assert_eq!(pay(&mut bucket, 50).await, 0.0);
        assert!(pay(&mut bucket, 10).await > 0.0);
    }

    #[tokio::test(start_paused = true)]
    async fn any_limit_can_be_paid() {
        for per_minute in [1, 3, 59, 61, 6_000, 1_000_000, u64::from(u32::MAX)] {
            let mut bucket = Bucket::running(per_minute);
            let part = per_minute.div_ceil(7);
            pay(&mut bucket, part).await;
            let started = Instant::now();
            let mut paid = 0;
            while paid < per_minute * 10 {
                paid += part;
                pay(&mut bucket, part).await;
            }
            let minutes = started.elapsed().as_secs_f64() / SPAN.as_secs_f64();
            let rate = paid as f64 / (minutes * per_minute as f64);
            assert!((0.99..=1.02).contains(&rate), "{per_minute}: {rate}");
        }
    }
}
