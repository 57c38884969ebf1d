//! How many requests may be in flight: takes how they end, gives a number that finds what a server can do.
//!
//! It is as in networks: double with each round of answers until something says stop, then halve, go back quickly to nearly what was
//! proven, and feel the way from there. A round is as many answers as may be in flight.

use tokio::time::Instant;

/// Where it begins: enough for a small run, too little to trouble anyone.
const START: usize = 8;

/// The places of requests in flight.
#[derive(Debug)]
pub(super) struct Concurrency {
    /// What the user allows.
    maximum: usize,
    level: usize,
    in_flight: usize,
    /// Up to here the level doubles with each round; beyond, nobody knows.
    proven: usize,
    /// Whether all places were taken since the last growth: else more of them would prove nothing.
    full: bool,
    /// Answers of the round beyond what is proven.
    answers: usize,
    /// Rounds beyond what is proven that went well.
    rounds: usize,
    decreased: Option<Instant>,
}

impl Concurrency {
    pub(super) fn new(maximum: usize) -> Concurrency {
        let maximum = maximum.max(1);
        Concurrency {
            maximum,
            level: maximum.min(START),
            in_flight: 0,
            proven: maximum,
            full: false,
            answers: 0,
            rounds: 0,
            decreased: None,
        }
    }

    /// How many may be in flight now.
    pub(super) fn level(&self) -> usize {
        self.level
    }

    /// How many are.
    pub(super) fn in_flight(&self) -> usize {
        self.in_flight
    }

    /// Whether there is a place.
    pub(super) fn has_place(&self) -> bool {
        self.in_flight < self.level
    }

    /// Takes a place.
    pub(super) fn enter(&mut self) {
        self.in_flight += 1;
        self.full |= self.in_flight >= self.level;
    }

    /// Gives a place back.
    pub(super) fn leave(&mut self) {
        self.in_flight -= 1;
    }

    /// A request that was sent then has been answered; it is still in its place.
    pub(super) fn answered(&mut self, sent: Instant) {
        // What went before the last decrease says nothing of the level since.
        if self.level >= self.maximum || self.decreased.is_some_and(|decreased| sent <= decreased) {
            return;
        }
        if self.level < self.proven {
            if self.in_flight * 2 >= self.level {
                self.level += 1;
            }
        } else if self.full {
            self.answers += 1;
            if self.answers >= self.level {
                // One more at first. After several rounds without trouble the limit is somewhere else than it was.
                let step = 1_usize << (self.rounds / 2).min(16);
                self.level = (self.level + step.min(self.level)).min(self.maximum);
                self.rounds += 1;
                self.answers = 0;
                self.full = false;
            }
        }
    }

    /// The server has too much to do, says the answer to a request that was sent then: half as many.
    ///
    /// Answers to requests that went before the last decrease are its echo and change nothing. Those in flight beyond the new level end in
    /// their own time.
    pub(super) fn decrease(&mut self, sent: Instant, now: Instant) {
        if self.decreased.is_some_and(|decreased| sent <= decreased) {
            return;
        }
        let reached = self.level.min(self.in_flight).max(1);
        self.level = (reached / 2).max(1);
        self.proven = (reached - reached.div_ceil(16)).max(1);
        self.begin_round(now);
    }

    /// The server is back after an outage: as at the start, up to what was proven before.
    pub(super) fn restart(&mut self, now: Instant) {
        self.proven = self.proven.max(self.level);
        self.level = self.level.min(START);
        self.begin_round(now);
    }

    fn begin_round(&mut self, now: Instant) {
        self.decreased = Some(now);
        self.full = false;
        self.answers = 0;
        self.rounds = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    /// Rounds of answers with every place taken; gives the level after each.
    fn rounds(concurrency: &mut Concurrency, count: u64, from: Instant) -> Vec<usize> {
        let round = |number| {
            let sent = from + Duration::from_secs(number);
            let places = concurrency.level();
            (0..places).for_each(|_| concurrency.enter());
            for _ in 0..places {
                concurrency.answered(sent);
            }
            (0..places).for_each(|_| concurrency.leave());
            concurrency.level()
        };
        (1..=count).map(round).collect()
    }

    #[test]
    fn it_doubles_up_to_what_the_user_allows() {
        let start = Instant::now();
        assert_eq!(rounds(&mut Concurrency::new(100), 5, start), [16, 32, 64, 100, 100]);
        assert_eq!(rounds(&mut Concurrency::new(3), 2, start), [3, 3]);
        assert_eq!(Concurrency::new(0).level(), 1);
    }

    #[test]
    fn it_does_not_grow_where_there_is_no_need() {
        let start = Instant::now();
        let mut concurrency = Concurrency::new(64);
        for _ in 0..100 {
            concurrency.enter();
            concurrency.answered(start);
            concurrency.leave();
        }
        assert_eq!(concurrency.level(), 8);
    }

    #[test]
    fn one_signal_halves_and_its_echoes_do_not() {
        let start = Instant::now();
        let mut concurrency = Concurrency::new(64);
        rounds(&mut concurrency, 3, start);
        (0..64).for_each(|_| concurrency.enter());
        let sent = start + Duration::from_secs(4);
        for late in 0..64 {
            concurrency.decrease(sent, sent + Duration::from_millis(late));
            concurrency.answered(sent);
            concurrency.leave();
        }
        assert_eq!(concurrency.level(), 32);
        // Back to nearly as many in a round or two, then one by one, then faster: the limit may have been raised.
        let grown = rounds(&mut concurrency, 8, sent + Duration::from_secs(1));
        assert_eq!(grown, [60, 61, 62, 64, 64, 64, 64, 64]);
    }

    #[test]
    fn a_server_that_recovers_is_used_again_soon() {
        let start = Instant::now();
        let mut concurrency = Concurrency::new(64);
        for number in 0..20 {
            concurrency.enter();
            let now = start + Duration::from_secs(number);
            concurrency.decrease(now, now);
            concurrency.leave();
            assert!(concurrency.level() >= 1);
        }
        assert_eq!(concurrency.level(), 1);
        let grown = rounds(&mut concurrency, 12, start + Duration::from_secs(20));
        assert!(grown.is_sorted() && grown[3] <= 8 && grown[11] == 64, "{grown:?}");

        rounds(&mut concurrency, 1, start + Duration::from_secs(40));
        concurrency.restart(start + Duration::from_secs(60));
        assert_eq!(concurrency.level(), 8);
        assert_eq!(rounds(&mut concurrency, 3, start + Duration::from_secs(60)), [16, 32, 64]);
    }
}
