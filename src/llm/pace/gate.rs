//! One rate limit, of requests or of tokens a minute: a bucket that can be paid from in parts and set to what the server says is left.

use governor::clock::Clock;
use governor::middleware::StateInformationMiddleware;
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

/// A limit per minute.
#[derive(Debug)]
pub(super) struct Gate {
    per_minute: NonZeroU32,
    limiter: RateLimiter<NotKeyed, InMemoryState, Ticks, StateInformationMiddleware>,
    clock: Ticks,
    /// What was in the bucket, and when: the limiter tells it at payments only.
    level: (u64, Instant),
    synced: Option<Instant>,
}

/// What the server says of a limit, and what has happened since it said so.
#[derive(Debug, Clone, Copy)]
pub(super) struct Told {
    /// Its limit per minute.
    pub(super) limit: u64,
    /// What was left of it.
    pub(super) left: Option<u64>,
    /// How long ago that was, at most.
    pub(super) age: Duration,
    /// What we have spent since.
    pub(super) spent: u64,
}

impl Gate {
    /// A limit whose bucket holds a tenth of a minute: an idle start must not double the first minute's share.
    pub(super) fn new(per_minute: u64) -> Gate {
        Gate::filled(per_minute, u64::MAX)
    }

    fn filled(per_minute: u64, available: u64) -> Gate {
        let per_minute = narrow(per_minute);
        let burst = burst(per_minute);
        let clock = Ticks(Instant::now());
        let limiter = RateLimiter::direct_with_clock(Quota::per_minute(per_minute).allow_burst(burst), clock.clone())
            .with_middleware::<StateInformationMiddleware>();
        let mut gate =
            Gate { per_minute, limiter, clock, level: (u64::from(burst.get()), Instant::now()), synced: None };
        let missing = u64::from(burst.get()).saturating_sub(available);
        if missing > 0 {
            gate.take(narrow(missing)).expect("a full bucket pays its own size");
        }
        gate
    }

    /// The limit.
    pub(super) fn per_minute(&self) -> u64 {
        u64::from(self.per_minute.get())
    }

    /// Pays as much of what is owed as the bucket holds; an error tells how long to wait for the next part.
    ///
    /// In parts, for two reasons: what is larger than the bucket could never be paid at once, and what is paid is not lost if the server's
    /// word empties the bucket meanwhile.
    pub(super) fn pay(&mut self, owed: &mut u64) -> Result<(), Duration> {
        while *owed > 0 {
            let part = narrow((*owed).min(self.part()));
            self.take(part)?;
            *owed -= u64::from(part.get());
        }
        Ok(())
    }

    /// Follows the server: a new limit, or another level of the bucket, where either differs by more than 5 % of the limit.
    ///
    /// `configured` is the user's own limit: it is never exceeded, and where it is the lower one the server's room is none of ours.
    pub(super) fn follow(gate: &mut Option<Gate>, configured: Option<u64>, told: Told) {
        if told.limit == 0 {
            return;
        }
        let limit = configured.map_or(told.limit, |own| own.min(told.limit));
        let refilled = u128::from(told.limit) * told.age.as_millis() / 60_000;
        let left = told.left.map(|left| {
            let now = u128::from(left).saturating_add(refilled).min(u128::from(told.limit));
            u64::try_from(now).unwrap_or(u64::MAX).saturating_sub(told.spent).min(bucket(limit))
        });
        let now = Instant::now();
        let Some(current) = gate else {
            *gate = Some(Gate { synced: Some(now), ..Gate::filled(limit, left.unwrap_or(u64::MAX)) });
            return;
        };
        if current.synced.is_some_and(|synced| now - synced < current.rest()) {
            return;
        }
        let available = current.available();
        let wanted = match left {
            Some(left) if left < available || limit == told.limit => left,
            _ => available,
        };
        let differs = |ours: u64, theirs: u64| u128::from(ours.abs_diff(theirs)) * 20 > u128::from(limit);
        if differs(current.per_minute(), limit) || differs(available, wanted) {
            *gate = Some(Gate { synced: Some(now), ..Gate::filled(limit, wanted) });
        }
    }

    /// What the bucket holds now.
    fn available(&self) -> u64 {
        let (level, at) = self.level;
        let refilled = u128::from(self.per_minute()) * at.elapsed().as_millis() / 60_000;
        level.saturating_add(u64::try_from(refilled).unwrap_or(u64::MAX)).min(bucket(self.per_minute()))
    }

    fn take(&mut self, part: NonZeroU32) -> Result<(), Duration> {
        match self.limiter.check_n(part).expect("no part is larger than the bucket") {
            Ok(state) => {
                self.level = (u64::from(state.remaining_burst_capacity()), Instant::now());
                Ok(())
            }
            Err(not_until) => Err(not_until.wait_time_from(self.clock.now())),
        }
    }

    fn part(&self) -> u64 {
        (bucket(self.per_minute()) / 16).max(1)
    }

    /// The least time between two changes: a second, and long enough for two parts to be paid, so that waiting requests get on.
    fn rest(&self) -> Duration {
        let two_parts = Duration::from_secs(120 * self.part()) / self.per_minute.get();
        two_parts.max(Duration::from_secs(1))
    }
}

fn bucket(per_minute: u64) -> u64 {
    u64::from(burst(narrow(per_minute)).get())
}

fn burst(per_minute: NonZeroU32) -> NonZeroU32 {
    NonZeroU32::new(per_minute.get() / 10).unwrap_or(NonZeroU32::MIN)
}

/// A limit beyond four thousand million a minute is none.
fn narrow(count: u64) -> NonZeroU32 {
    NonZeroU32::new(u32::try_from(count).unwrap_or(u32::MAX)).unwrap_or(NonZeroU32::MIN)
}
