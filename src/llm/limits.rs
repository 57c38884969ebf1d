//! What a server says of its limits, and how it counts against them.

use std::fmt;
use std::time::Duration;

/// What is used up for as long as this is no limit of a minute: nobody waits for it.
const A_QUOTA: Duration = Duration::from_secs(3_600);

/// What a server says of its limits in an answer's headers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RateLimits {
    /// Of requests.
    pub requests: Told,
    /// Of tokens, where input and output share one limit.
    pub tokens: Told,
    /// Of input tokens alone.
    pub input_tokens: Told,
    /// Of output tokens alone.
    pub output_tokens: Told,
}

/// What a server says of one limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Told {
    /// How much there is, as a rule of each minute.
    pub limit: Option<u64>,
    /// How much of it was left when the request was counted.
    pub left: Option<u64>,
    /// After which time all of it is there again.
    pub reset: Option<Duration>,
}

/// How a server counts a request against its limits of tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Accounting {
    /// What goes in and what comes out.
    #[default]
    AsUsed,
    /// As used, but for input that is read from a cache.
    WithoutCached,
    /// The larger of the input and of the limit of output that the request sets, whatever comes out; as used where it sets none.
    OutputLimit,
}

/// A limit that is used up for so long that waiting is not worth it: a day's quota rather than a minute's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub struct UsedUp {
    /// Of what there is none left, and how much of it there was, where the server says so.
    pub limit: Option<(&'static str, u64)>,
    /// When there is some again, from now.
    pub back_in: Duration,
}

impl fmt::Display for UsedUp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let minutes = self.back_in.as_secs().div_ceil(60);
        match self.limit {
            Some((what, limit)) => write!(f, "the limit of {limit} {what} is used up")?,
            None => f.write_str("the quota is used up")?,
        }
        write!(f, "; the server says that it is back in {} h {} min", minutes / 60, minutes % 60)
    }
}

impl RateLimits {
    /// A limit that stays used up for hours, as the headers of a refusal tell it or its `Retry-After` does. A limit of requests or tokens a
    /// minute is back within a minute.
    pub fn used_up(&self, after: Option<Duration>) -> Option<UsedUp> {
        let RateLimits { requests, tokens, input_tokens, output_tokens } = *self;
        let named = [
            (requests, "requests"),
            (tokens, "tokens"),
            (input_tokens, "input tokens"),
            (output_tokens, "output tokens"),
        ];
        let empty = named.into_iter().filter(|(told, _)| told.left == Some(0)).find_map(|(told, what)| {
            let back_in = told.reset.filter(|reset| *reset >= A_QUOTA)?;
            Some(UsedUp { limit: told.limit.map(|limit| (what, limit)), back_in })
        });
        empty.or_else(|| after.filter(|after| *after >= A_QUOTA).map(|back_in| UsedUp { limit: None, back_in }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_that_is_used_up_for_hours_is_told_from_one_that_is_back_soon() {
        let hours = Duration::from_secs(5 * 3_600 + 61);
        let told = |left, reset| Told { limit: Some(200), left: Some(left), reset: Some(reset) };
        let of = |requests, tokens| RateLimits { requests, tokens, ..RateLimits::default() };
        let burst = told(0, Duration::from_secs(59));
        assert_eq!(of(burst, Told::default()).used_up(Some(Duration::from_secs(59))), None);
        assert_eq!(of(told(1, hours), burst).used_up(None), None, "there is something left");
        let said = of(burst, told(0, hours)).used_up(None).unwrap().to_string();
        assert_eq!(said, "the limit of 200 tokens is used up; the server says that it is back in 5 h 2 min");
        let said = RateLimits::default().used_up(Some(hours)).unwrap().to_string();
        assert_eq!(said, "the quota is used up; the server says that it is back in 5 h 2 min");
    }
}
