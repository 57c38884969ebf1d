//! One limit a minute, of requests or of tokens: the user's own or what the server says, whichever is lower.
//!
//! A request passes when three hold: what was spent in the last minute leaves room for it, what the server said was left does so as well,
//! and it was its turn in an even flow. The server's word is as old as the request that it was about: what was let go since is taken off,
//! what has come back since is added.

use super::bucket::Bucket;
use super::window::Window;
use crate::llm::Told;
use std::time::Duration;
use tokio::time::Instant;

const MINUTE: Duration = Duration::from_secs(60);
/// A limit whose whole is back later than this is none of a minute.
const LONGER_THAN_A_MINUTE: Duration = Duration::from_secs(90);
/// What is beyond this is no limit.
const NO_LIMIT: u64 = u32::MAX as u64;
/// How often the server is believed that its limit is a higher one: two machines behind one name may not agree.
const REST: Duration = Duration::from_secs(1);
/// The least part of its cost that is charged for a request where the server always has more left than we reckon.
const LEAST_SHARE: f64 = 0.125;
/// By which the share falls and rises.
const SHARE_STEP: f64 = 0.75;

/// A limit per minute, or none.
#[derive(Debug, Default)]
pub(super) struct Gate {
    /// The user's own limit: never exceeded.
    own: Option<u64>,
    /// What the server says.
    told: Option<u64>,
    bucket: Option<Bucket>,
    window: Window,
    /// When the request went whose answer told the limit.
    heard: Option<Instant>,
    word: Option<Word>,
    /// What was used beyond what was paid.
    debt: u64,
    /// All that was let go since the start.
    let_go: u64,
    changed: Option<Instant>,
    share: Share,
}

/// What the server said was left.
#[derive(Debug, Clone, Copy)]
struct Word {
    left: u64,
    /// When the request went that it was about.
    as_of: Instant,
    /// What had been let go by then, that request included.
    let_go: u64,
}

/// What of its reckoned cost a request is charged: less than all where the server always has plenty left. Some charge for less than might
/// be used, and some give back what was not.
#[derive(Debug)]
struct Share {
    value: f64,
    /// The least that was left, in parts of the limit, since then.
    least: f64,
    since: Option<Instant>,
}

impl Default for Share {
    fn default() -> Share {
        Share { value: 1.0, least: 1.0, since: None }
    }
}

impl Share {
    fn see(&mut self, left: f64, now: Instant) {
        let since = *self.since.get_or_insert(now);
        self.least = self.least.min(left);
        let step = if self.least < 0.25 && now - since >= REST {
            1.0 / SHARE_STEP
        } else if now - since < MINUTE {
            return;
        } else if self.least > 0.5 {
            SHARE_STEP
        } else {
            1.0
        };
        *self = Share { value: (self.value * step).clamp(LEAST_SHARE, 1.0), least: 1.0, since: Some(now) };
    }
}

impl Gate {
    /// A gate with the user's own limit, if there is one.
    pub(super) fn new(own: Option<u64>) -> Gate {
        let own = own.filter(|limit| *limit <= NO_LIMIT).map(|limit| limit.max(1));
        Gate { own, bucket: own.map(Bucket::new), ..Gate::default() }
    }

    fn limit(&self) -> Option<u64> {
        self.bucket.as_ref().map(Bucket::per_minute)
    }

    /// All that was let go since the start.
    pub(super) fn let_go(&self) -> u64 {
        self.let_go
    }

    /// What a request pays that counts `amount`: no more than a whole minute, for then the server's own bucket is as full as it gets, and
    /// whether it takes the request is for it to say.
    pub(super) fn price(&self, amount: u64) -> u64 {
        let share = if self.is_own() { 1.0 } else { self.share.value };
        let amount = if share < 1.0 { (amount as f64 * share).ceil() as u64 } else { amount };
        self.limit().map_or(amount, |limit| amount.min(limit))
    }

    /// What the next request owes that pays this price: what others have used beyond theirs comes upon it.
    pub(super) fn owed(&mut self, price: u64) -> u64 {
        price.saturating_add(std::mem::take(&mut self.debt))
    }

    /// Whether the user's own limit is the one that counts.
    fn is_own(&self) -> bool {
        self.own.is_some_and(|own| self.told.is_none_or(|told| own <= told))
    }

    /// Whether a request may pass that counts `amount` and pays `price`, of which `owed` is still to be paid to the even flow; else how
    /// long to wait.
    pub(super) fn open(&mut self, amount: u64, price: u64, owed: &mut u64, now: Instant) -> Result<(), Duration> {
        let is_own = self.is_own();
        let Some(bucket) = self.bucket.as_mut() else { return Ok(()) };
        let limit = bucket.per_minute();
        *owed = (*owed).min(limit);
        // Paid while it waits for anything else: a bucket that stands full loses what runs over.
        bucket.pay(owed)?;
        let told = self.told.unwrap_or(limit);
        let amount = amount.min(told);
        let (room, left) = match self.word.as_ref().filter(|word| now - word.as_of < MINUTE) {
            Some(word) => {
                let spent = self.let_go.saturating_sub(word.let_go);
                // In sixty-thousandths of a token, so that nothing is lost by rounding.
                let refilled = u128::from(told) * (now - word.as_of).as_millis();
                let lacking = u128::from(amount.saturating_add(spent).saturating_sub(word.left)) * 60_000;
                let wait = lacking.saturating_sub(refilled).div_ceil(u128::from(told));
                // What is left is believed for a minute only, so that no word holds anyone forever.
                let wait = u64::try_from(wait).map_or(MINUTE, Duration::from_millis);
                (wait.min(word.as_of + MINUTE - now), word.left.saturating_sub(spent))
            }
            None => (Duration::ZERO, 0),
        };
        // Where the server itself has plenty left, the last minute need not be looked at: it counts otherwise than by whole minutes.
        let plenty = !is_own && left > amount.saturating_add(told / 4);
        let window = if plenty { Duration::ZERO } else { self.window.wait(price.min(limit), limit, now) };
        match room.max(window) {
            Duration::ZERO => Ok(()),
            wait => Err(wait),
        }
    }

    /// Lets a request pass.
    pub(super) fn pass(&mut self, amount: u64, price: u64, now: Instant) {
        self.let_go = self.let_go.saturating_add(amount);
        if self.bucket.is_some() {
            self.window.spend(price, now);
        }
    }

    /// Corrects the price that was paid at a time, now that it is known what the request has counted.
    pub(super) fn correct(&mut self, at: Instant, paid: u64, actual: u64) {
        let actual = self.price(actual);
        self.window.correct(at, paid, actual);
        if let Some(bucket) = &mut self.bucket {
            bucket.give_back(paid.saturating_sub(actual));
            // Servers forget after a minute, and so may we.
            self.debt = self.debt.saturating_add(actual.saturating_sub(paid)).min(bucket.per_minute());
        }
    }

    /// Follows what the server said of its limit in the answer to a request that went at `as_of`, when `let_go` had been let go.
    pub(super) fn follow(&mut self, told: Told, as_of: Instant, let_go: u64, now: Instant) {
        let Some(limit) = told.limit.filter(|limit| (1..=NO_LIMIT).contains(limit)) else { return };
        // Answers overtake each other: what an older request has been told is no news.
        if self.heard.is_some_and(|heard| as_of < heard) {
            return;
        }
        self.heard = Some(as_of);
        if told.reset.is_some_and(|reset| reset > LONGER_THAN_A_MINUTE) {
            // A limit of an hour or a day, which is no pace. What happens when it is used up is the server's to say.
            self.told = None;
            self.word = None;
            self.set(self.own, now);
            return;
        }
        self.told = Some(limit);
        self.set(Some(self.own.map_or(limit, |own| own.min(limit))), now);
        if let Some(left) = told.left {
            self.word = Some(Word { left, as_of, let_go });
            self.share.see(left as f64 / limit as f64, now);
        }
    }

    /// Changes the limit: down at once, up with a rest between.
    fn set(&mut self, limit: Option<u64>, now: Instant) {
        let old = self.limit();
        if old == limit || (limit > old && self.changed.is_some_and(|changed| now - changed < REST)) {
            return;
        }
        self.changed = Some(now);
        self.bucket = limit.map(|limit| if old.is_none() { Bucket::new(limit) } else { Bucket::running(limit) });
    }
}
