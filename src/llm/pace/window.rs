//! What was spent within the last minute: takes amounts with their times, tells how long to wait until there is room for more.
//!
//! A bucket alone lets a tenth more than a minute's limit through in the minute after a lull. This is what makes a limit a limit: no window
//! of 60 seconds, wherever it begins, holds more.

use std::collections::VecDeque;
use std::time::Duration;
use tokio::time::Instant;

/// What is remembered: a minute, and a quarter of a second for requests that are not equally fast on their way to the server.
pub(super) const SPAN: Duration = Duration::from_millis(60_250);

/// Amounts so near to each other are remembered as one, at the time of the last: a minute is at most some 1200 entries, at any rate.
const GRAIN: Duration = Duration::from_millis(50);

/// What was spent, oldest first.
#[derive(Debug, Default)]
pub(super) struct Window {
    entries: VecDeque<Entry>,
    sum: u64,
}

#[derive(Debug)]
struct Entry {
    first: Instant,
    last: Instant,
    amount: u64,
}

impl Window {
    /// Remembers what is spent now.
    pub(super) fn spend(&mut self, amount: u64, now: Instant) {
        self.sum = self.sum.saturating_add(amount);
        match self.entries.back_mut() {
            Some(entry) if now - entry.first < GRAIN => {
                entry.last = now;
                entry.amount = entry.amount.saturating_add(amount);
            }
            _ => self.entries.push_back(Entry { first: now, last: now, amount }),
        }
    }

    /// Corrects what was spent at a time, if that is not forgotten yet.
    pub(super) fn correct(&mut self, at: Instant, charged: u64, actual: u64) {
        let index = self.entries.partition_point(|entry| entry.last < at);
        let Some(entry) = self.entries.get_mut(index).filter(|entry| entry.first <= at) else { return };
        let before = entry.amount;
        entry.amount = before.saturating_sub(charged).saturating_add(actual);
        self.sum = self.sum.saturating_sub(before).saturating_add(entry.amount);
    }

    /// How long it is until `amount` more is within `limit`; zero where it is now. An amount beyond the limit waits for an empty window.
    pub(super) fn wait(&mut self, amount: u64, limit: u64, now: Instant) -> Duration {
        while let Some(entry) = self.entries.pop_front_if(|entry| entry.last + SPAN <= now) {
            self.sum = self.sum.saturating_sub(entry.amount);
        }
        let mut excess = self.sum.saturating_add(amount).saturating_sub(limit);
        let mut wait = Duration::ZERO;
        for entry in &self.entries {
            if excess == 0 {
                break;
            }
            excess = excess.saturating_sub(entry.amount);
            wait = entry.last + SPAN - now;
        }
        wait
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn there_is_room_as_the_oldest_are_forgotten() {
        let start = Instant::now();
        let mut window = Window::default();
        assert_eq!(window.wait(10, 10, start), Duration::ZERO);
        window.spend(4, start);
        window.spend(6, start + Duration::from_secs(10));
        let now = start + Duration::from_secs(20);
        assert_eq!(window.wait(4, 10, now), SPAN - Duration::from_secs(20));
        assert_eq!(window.wait(5, 10, now), SPAN - Duration::from_secs(10));
        assert_eq!(window.wait(500, 10, now), SPAN - Duration::from_secs(10));
        assert_eq!(window.wait(4, 10, start + SPAN), Duration::ZERO);
        assert_eq!(window.sum, 6);
    }

    #[test]
    fn a_correction_is_of_the_time_at_which_it_was_spent() {
        let start = Instant::now();
        let later = start + Duration::from_secs(10);
        let mut window = Window::default();
        window.spend(4, start);
        window.spend(6, later);
        window.correct(start, 4, 1);
        assert_eq!(window.sum, 7);
        window.correct(later, 6, 60);
        assert_eq!(window.sum, 61);
        window.correct(start + Duration::from_secs(5), 6, 60);
        assert_eq!(window.sum, 61, "nothing was spent then");
        window.wait(0, 100, start + SPAN);
        assert_eq!(window.sum, 60);
        window.correct(start, 1, 1_000);
        assert_eq!(window.sum, 60, "what is forgotten stays so");
        window.correct(later, u64::MAX, u64::MAX);
        window.spend(u64::MAX, later);
        assert_eq!(window.sum, u64::MAX);
    }

    proptest! {
        #[test]
        fn no_minute_holds_more_than_the_limit(steps in prop::collection::vec((0_u64..3_000, 1_u64..40), 1..200)) {
            const LIMIT: u64 = 100;
            let mut now = Instant::now();
            let mut window = Window::default();
            let mut spent: Vec<(Instant, u64)> = Vec::new();
            for (pause, amount) in steps {
                now += Duration::from_millis(pause);
                now += window.wait(amount, LIMIT, now);
                prop_assert_eq!(window.wait(amount, LIMIT, now), Duration::ZERO);
                window.spend(amount, now);
                spent.push((now, amount));
                let minute: u64 = spent.iter().filter(|(at, _)| now - *at < MINUTE).map(|(_, amount)| amount).sum();
                prop_assert!(minute <= LIMIT);
            }
        }
    }
}
