//! A server that enforces limits a minute in one of the ways in which real ones do.

use crate::llm::{RateLimits, Told};
use std::collections::VecDeque;
use std::time::Duration;

/// How a limit a minute is enforced.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Rule {
    /// A bucket that fills evenly and holds so many seconds' worth.
    Bucket(f64),
    /// What came in the last 60 seconds.
    Sliding,
    /// What came since the minute began.
    Fixed,
}

/// One limit. Times are seconds since the start.
#[derive(Debug)]
struct Enforced {
    rule: Rule,
    per_minute: f64,
    level: f64,
    at: f64,
    taken: VecDeque<(f64, f64)>,
}

impl Enforced {
    fn new(rule: Rule, per_minute: u64) -> Enforced {
        let per_minute = per_minute as f64;
        let mut enforced = Enforced { rule, per_minute, level: 0.0, at: 0.0, taken: VecDeque::new() };
        enforced.level = enforced.capacity();
        enforced
    }

    fn capacity(&self) -> f64 {
        match self.rule {
            Rule::Bucket(seconds) => self.per_minute / 60.0 * seconds,
            Rule::Sliding | Rule::Fixed => self.per_minute,
        }
    }

    /// What is left now.
    fn left(&mut self, now: f64) -> f64 {
        match self.rule {
            Rule::Bucket(_) => {
                self.level = (self.level + (now - self.at) * self.per_minute / 60.0).min(self.capacity());
                self.at = now;
                self.level
            }
            Rule::Sliding => {
                while self.taken.front().is_some_and(|(at, _)| at + 60.0 <= now) {
                    self.taken.pop_front();
                }
                self.per_minute - self.taken.iter().map(|(_, amount)| amount).sum::<f64>()
            }
            Rule::Fixed => {
                self.taken.retain(|(at, _)| (at / 60.0).floor() == (now / 60.0).floor());
                self.per_minute - self.taken.iter().map(|(_, amount)| amount).sum::<f64>()
            }
        }
    }

    /// How long until there is room; `None` where there is now.
    fn wait(&mut self, amount: f64, now: f64) -> Option<f64> {
        let mut lacking = amount - self.left(now);
        if lacking <= 1e-6 {
            return None;
        }
        Some(match self.rule {
            Rule::Bucket(_) => lacking / self.per_minute * 60.0,
            Rule::Fixed => 60.0 - now % 60.0,
            Rule::Sliding => {
                let enough = self.taken.iter().find(|(_, amount)| {
                    lacking -= amount;
                    lacking <= 1e-6
                });
                enough.map_or(60.0, |(at, _)| at + 60.0 - now)
            }
        })
    }

    fn take(&mut self, amount: f64, now: f64) {
        match self.rule {
            Rule::Bucket(_) => self.level -= amount,
            Rule::Sliding | Rule::Fixed => self.taken.push_back((now, amount)),
        }
    }

    /// What the headers say.
    fn told(&mut self, now: f64) -> Told {
        let left = self.left(now).max(0.0);
        let reset = match self.rule {
            Rule::Bucket(_) => (self.capacity() - left) / self.per_minute * 60.0,
            Rule::Fixed => 60.0 - now % 60.0,
            Rule::Sliding => self.taken.back().map_or(0.0, |(at, _)| at + 60.0 - now),
        };
        Told {
            limit: Some(self.per_minute as u64),
            left: Some(left as u64),
            reset: Some(Duration::from_secs_f64(reset.max(0.0))),
        }
    }
}

/// What came of a request.
#[derive(Debug)]
pub(super) enum Reception {
    /// It is taken.
    Accepted(RateLimits),
    /// 429, and the wait that it asks for.
    Refused(RateLimits, Duration),
}

/// A server with limits of requests, tokens, input tokens and output tokens a minute.
#[derive(Debug)]
pub(super) struct Server {
    rule: Rule,
    limits: [Option<Enforced>; 4],
    /// Whether its headers say what they are.
    tells: bool,
}

impl Server {
    pub(super) fn new(rule: Rule, per_minute: [Option<u64>; 4], tells: bool) -> Server {
        Server { rule, limits: per_minute.map(|limit| limit.map(|limit| Enforced::new(rule, limit))), tells }
    }

    /// Takes a request that counts so much, or refuses it.
    pub(super) fn receive(&mut self, amounts: [u64; 4], now: f64) -> Reception {
        let waits =
            self.limits.iter_mut().zip(amounts).filter_map(|(limit, amount)| limit.as_mut()?.wait(amount as f64, now));
        let wait = waits.fold(0.0, f64::max);
        if wait == 0.0 {
            for (limit, amount) in self.limits.iter_mut().zip(amounts) {
                limit.iter_mut().for_each(|limit| limit.take(amount as f64, now));
            }
        }
        let told = self.told(now);
        // Servers tell whole seconds.
        if wait == 0.0 {
            Reception::Accepted(told)
        } else {
            Reception::Refused(told, Duration::from_secs_f64(wait.ceil()))
        }
    }

    /// Multiplies all limits.
    pub(super) fn change(&mut self, factor: f64, now: f64) {
        for limit in self.limits.iter_mut().flatten() {
            limit.left(now);
            limit.per_minute *= factor;
            limit.level *= if self.rule == Rule::Bucket(60.0) { 1.0 } else { factor };
        }
    }

    fn told(&mut self, now: f64) -> RateLimits {
        if !self.tells {
            return RateLimits::default();
        }
        let [requests, tokens, input_tokens, output_tokens] =
            self.limits.each_mut().map(|limit| limit.as_mut().map(|limit| limit.told(now)).unwrap_or_default());
        RateLimits { requests, tokens, input_tokens, output_tokens }
    }
}
