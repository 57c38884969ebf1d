//! Pauses that a server asks for: takes refusals with a wait and answers, gives whether a request may go.
//!
//! A pause is for all, since it is mostly the account that is too fast. Sometimes it is not: a router has sent one request to a server that
//! is full, and the others would be answered. So in a long pause single requests look whether it is over for the others.

use std::time::Duration;
use tokio::time::Instant;

/// Pauses up to here are waited for.
const SHORT: Duration = Duration::from_secs(5);
/// The time from the beginning of a pause to the first look, and between looks twice as much each time.
const FIRST_LOOK: Duration = Duration::from_secs(3);
/// So many answers after a pause that a look has ended prove that it was no use. After fewer, the next pause is believed for longer.
const PROOF: u32 = 20;

/// The pause that there is, if there is one, and what is known of earlier ones.
#[derive(Debug)]
pub(super) struct Pause {
    until: Instant,
    /// The next look at a long pause.
    look: Instant,
    interval: Duration,
    under_way: bool,
    /// Answers since a look has ended a pause; `None` where none has.
    answers: Option<u32>,
}

impl Pause {
    pub(super) fn none(now: Instant) -> Pause {
        Pause { until: now, look: now, interval: FIRST_LOOK, under_way: false, answers: None }
    }

    /// How long the next request has to wait, if it has to.
    pub(super) fn wait(&self, now: Instant) -> Option<Duration> {
        let rest = self.until.saturating_duration_since(now);
        if rest.is_zero() {
            None
        } else if self.under_way {
            Some(rest)
        } else {
            let to_look = self.look.saturating_duration_since(now);
            (!to_look.is_zero()).then(|| rest.min(to_look))
        }
    }

    /// A request goes; gives whether it is a look at a pause.
    pub(super) fn enter(&mut self, now: Instant) -> bool {
        let is_look = now < self.until;
        self.under_way |= is_look;
        is_look
    }

    /// The server asks for a pause of this length.
    pub(super) fn asked(&mut self, after: Duration, is_look: bool, now: Instant) {
        let is_new = now >= self.until;
        self.until = self.until.max(now + after);
        if is_look {
            self.looked_in_vain(now);
        } else if is_new {
            // What was in flight together with the first that was refused says nothing of the looks.
            if after > SHORT
                && let Some(answers) = self.answers.take()
            {
                self.interval = if answers >= PROOF { FIRST_LOOK } else { self.interval * 2 };
            }
            self.set_look(now);
        }
    }

    /// A request was answered.
    pub(super) fn answered(&mut self, is_look: bool, now: Instant) {
        if is_look {
            self.under_way = false;
            self.until = now;
            self.answers = Some(0);
        } else if let Some(answers) = &mut self.answers {
            *answers = answers.saturating_add(1);
        }
    }

    /// A look has met something else than a refusal or an answer.
    pub(super) fn looked_in_vain(&mut self, now: Instant) {
        self.under_way = false;
        self.interval = self.interval.saturating_mul(2);
        self.set_look(now);
    }

    /// A look has ended without saying anything.
    pub(super) fn give_up(&mut self) {
        self.under_way = false;
    }

    fn set_look(&mut self, now: Instant) {
        let is_short = self.until.saturating_duration_since(now) <= SHORT;
        self.look = if is_short { self.until } else { now + self.interval };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(89);

    /// When requests go that are all refused, in seconds from the first refusal on, until the pause is over.
    fn looks(pause: &mut Pause, start: Instant) -> Vec<u64> {
        pause.asked(LONG, false, start);
        let (mut now, mut looks) = (start, Vec::new());
        while let Some(wait) = pause.wait(now) {
            now += wait;
            if pause.wait(now).is_none() && pause.enter(now) {
                looks.push((now - start).as_secs());
                // The server knows when it is over.
                pause.asked(start + LONG - now, true, now);
            }
        }
        assert_eq!(now - start, LONG);
        looks
    }

    #[test]
    fn a_long_pause_is_looked_at_less_and_less_and_is_never_longer_than_was_asked() {
        let now = Instant::now();
        let mut pause = Pause::none(now);
        assert_eq!(looks(&mut pause, now), [3, 9, 21, 45]);
        // It was right: the next one is believed.
        assert_eq!(looks(&mut pause, now + LONG), [48]);
        assert_eq!(looks(&mut pause, now + 2 * LONG), [] as [u64; 0]);
    }

    #[test]
    fn a_short_pause_is_waited_for() {
        let now = Instant::now();
        let mut pause = Pause::none(now);
        pause.asked(SHORT, false, now);
        assert_eq!(pause.wait(now), Some(SHORT));
        assert_eq!(pause.wait(now + SHORT), None);
        assert!(!pause.enter(now + SHORT));
    }

    #[test]
    fn a_look_that_is_answered_ends_the_pause_for_all() {
        let start = Instant::now();
        let mut pause = Pause::none(start);
        let mut now = start;
        // One request in a hundred meets a full server: 3 seconds each time.
        for _ in 0..50 {
            pause.asked(LONG, false, now);
            assert_eq!(pause.wait(now), Some(FIRST_LOOK));
            now += FIRST_LOOK;
            assert!(pause.enter(now));
            assert!(pause.wait(now).is_some(), "one at a time");
            pause.answered(true, now);
            assert_eq!(pause.wait(now), None);
            for _ in 0..99 {
                assert!(!pause.enter(now));
                pause.answered(false, now);
            }
        }
        assert_eq!((now - start).as_secs(), 150);
    }

    #[test]
    fn a_look_that_was_lucky_is_no_proof() {
        let mut now = Instant::now();
        let mut pause = Pause::none(now);
        let mut waits = Vec::new();
        for _ in 0..6 {
            pause.asked(LONG, false, now);
            let wait = pause.wait(now).unwrap();
            waits.push(wait.as_secs());
            now += wait;
            let is_look = pause.enter(now);
            pause.answered(is_look, now);
            (0..5).for_each(|_| pause.answered(false, now));
        }
        assert_eq!(waits, [3, 6, 12, 24, 48, 89]);
    }
}
