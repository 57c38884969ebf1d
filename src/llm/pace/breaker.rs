//! Whether the server is there at all: takes failures and answers, and while everything fails lets single requests through to look.

use std::time::Duration;
use tokio::time::Instant;

/// So many failures in a row, without one answer between them, are an outage.
const FAILURES: u32 = 10;
/// The time between two looks, at first and at most.
const INTERVALS: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));

/// Nothing was answered for so long that waiting on is for people to decide.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no request was answered for {}; the last time: {reason}", in_words(*.lasted))]
pub struct Outage {
    /// Since the first of the failures in a row.
    pub lasted: Duration,
    /// How the last one failed.
    pub reason: String,
}

fn in_words(time: Duration) -> String {
    match time.as_secs() {
        seconds @ 0..120 => format!("{seconds} s"),
        seconds => format!("{} min", seconds / 60),
    }
}

/// Why nothing may go.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Broken {
    /// Until it is time for the next look.
    For(Duration),
    /// Until the look that is under way has ended; not longer than this.
    UntilLooked(Duration),
    /// For good.
    Outage(Outage),
}

/// Failures in a row.
#[derive(Debug)]
pub(super) struct Breaker {
    /// How long an outage may last.
    patience: Duration,
    failures: u32,
    /// When the first of the failures in a row was told.
    since: Option<Instant>,
    /// When the last of them was counted that says that the server has too much to do.
    throttled: Option<Instant>,
    reason: String,
    open: Option<Looking>,
}

/// How an outage is looked at.
#[derive(Debug)]
struct Looking {
    next: Instant,
    interval: Duration,
    under_way: bool,
}

impl Breaker {
    pub(super) fn new(patience: Duration) -> Breaker {
        Breaker { patience, failures: 0, since: None, throttled: None, reason: String::new(), open: None }
    }

    /// Whether only single requests go through.
    pub(super) fn is_open(&self) -> bool {
        self.open.is_some()
    }

    /// Whether a request may go.
    pub(super) fn pass(&self, now: Instant) -> Result<(), Broken> {
        let (Some(open), Some(since)) = (&self.open, self.since) else { return Ok(()) };
        let lasted = now - since;
        if lasted >= self.patience {
            return Err(Broken::Outage(Outage { lasted, reason: self.reason.clone() }));
        }
        let rest = self.patience - lasted;
        if open.under_way {
            Err(Broken::UntilLooked(rest))
        } else if now < open.next {
            Err(Broken::For(rest.min(open.next - now)))
        } else {
            Ok(())
        }
    }

    /// A request goes; gives whether it is a look at an outage.
    pub(super) fn enter(&mut self) -> bool {
        self.open.as_mut().is_some_and(|open| {
            open.under_way = true;
            true
        })
    }

    /// A look has ended without saying anything.
    pub(super) fn give_up(&mut self) {
        if let Some(open) = &mut self.open {
            open.under_way = false;
        }
    }

    /// A request was answered; gives whether that ends an outage.
    pub(super) fn answered(&mut self) -> bool {
        self.failures = 0;
        self.since = None;
        self.open.take().is_some()
    }

    /// A request failed; `is_look` is what [`Breaker::enter`] said of it.
    pub(super) fn failed(&mut self, is_look: bool, reason: &str, now: Instant) {
        self.since.get_or_insert(now);
        reason.clone_into(&mut self.reason);
        match &mut self.open {
            // What was under way when the outage began says nothing new.
            Some(_) if !is_look => {}
            Some(open) => {
                open.interval = (open.interval * 2).min(INTERVALS.1);
                open.next = now + open.interval;
                open.under_way = false;
            }
            None => {
                self.failures += 1;
                if self.failures >= FAILURES {
                    self.open = Some(Looking { next: now + INTERVALS.0, interval: INTERVALS.0, under_way: false });
                }
            }
        }
    }

    /// A request that was sent then met a server with too much to do: that is no outage while it goes on for a few rounds only. Requests
    /// that were in flight together count as one.
    pub(super) fn throttled(&mut self, is_look: bool, reason: &str, sent: Instant, now: Instant) {
        if is_look || self.throttled.is_none_or(|throttled| sent > throttled) {
            self.throttled = Some(now);
            self.failed(is_look, reason, now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_secs(600);

    fn broken(start: Instant) -> Breaker {
        let mut breaker = Breaker::new(PATIENCE);
        for _ in 0..FAILURES {
            assert_eq!(breaker.pass(start), Ok(()));
            assert!(!breaker.enter());
            breaker.failed(false, "HTTP 502", start);
        }
        breaker
    }

    #[test]
    fn failures_in_a_row_let_single_requests_through_with_growing_intervals() {
        let mut now = Instant::now();
        let mut breaker = broken(now);
        let mut waits = Vec::new();
        for _ in 0..9 {
            let Err(Broken::For(wait)) = breaker.pass(now) else { panic!("{breaker:?}") };
            waits.push(wait.as_secs());
            now += wait;
            assert_eq!(breaker.pass(now), Ok(()));
            assert!(breaker.enter());
            assert!(matches!(breaker.pass(now), Err(Broken::UntilLooked(_))), "one at a time");
            breaker.failed(false, "HTTP 503", now);
            assert!(matches!(breaker.pass(now), Err(Broken::UntilLooked(_))), "an older one says nothing");
            breaker.failed(true, "HTTP 504", now);
        }
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 60, 60, 60]);
        now += Duration::from_secs(60);
        assert!(breaker.enter() && breaker.answered());
        assert_eq!(breaker.pass(now), Ok(()));
        assert!(!breaker.is_open());
    }

    #[test]
    fn any_answer_between_failures_is_no_outage() {
        let now = Instant::now();
        let mut breaker = Breaker::new(PATIENCE);
        for number in 0..1_000 {
            breaker.failed(false, "x", now);
            if number % 9 == 8 {
                assert!(!breaker.answered());
            }
            assert!(!breaker.is_open());
        }
    }

    #[test]
    fn an_outage_has_an_end() {
        let start = Instant::now();
        let mut breaker = broken(start);
        assert!(breaker.enter());
        let Err(Broken::UntilLooked(wait)) = breaker.pass(start + Duration::from_secs(500)) else { panic!() };
        assert_eq!(wait.as_secs(), 100);
        let outage = breaker.pass(start + PATIENCE).unwrap_err();
        let Broken::Outage(outage) = outage else { panic!("{outage:?}") };
        assert_eq!(outage.to_string(), "no request was answered for 10 min; the last time: HTTP 502");
        breaker.give_up();
        assert!(matches!(breaker.pass(start), Err(Broken::For(_))));
    }

    #[test]
    fn a_crowd_that_is_throttled_together_counts_once() {
        let start = Instant::now();
        let mut breaker = Breaker::new(PATIENCE);
        let second = |number| start + Duration::from_secs(number);
        for round in 0..9 {
            for _ in 0..64 {
                breaker.throttled(false, "HTTP 429", second(2 * round), second(2 * round + 1));
            }
        }
        assert!(!breaker.is_open());
        breaker.throttled(false, "HTTP 429", second(100), second(101));
        assert!(breaker.is_open());
    }
}
