//! A number with its interval, or the reason why there is none.

use serde::Serialize;
use thiserror::Error;

/// Why a statistic has no value on some data. It never stands for 0 or 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Undefined {
    /// Nothing was rated by both (or by two of all) raters.
    #[error("no item was rated by both")]
    NoItems,
    /// Fewer items than the formula needs.
    #[error("fewer than {needed} items")]
    TooFewItems {
        /// How many it needs.
        needed: u32,
    },
    /// Every rating is the same label, so that expected agreement is 1 and a chance-corrected coefficient is 0/0.
    #[error("all ratings are the same label, so chance agreement is 1")]
    OneLabelUsed,
    /// The label set holds one label, so that a coefficient over declared labels divides by 0.
    #[error("only one label is known: declare the labels")]
    OneLabelKnown,
    /// All scores are equal.
    #[error("all scores are equal")]
    NoVariation,
    /// One rater gave the same score to every item.
    #[error("one rater gave every item the same score")]
    OneRaterConstant,
    /// One rater gave the same label to every item, so that a correlation of labels is 0/0.
    #[error("one rater gave every item the same label")]
    OneLabelByOneRater,
    /// A formula that needs every rater's rating of every item.
    #[error("a rating is missing, and this coefficient needs complete data")]
    Gaps,
    /// Two raters are needed.
    #[error("fewer than two raters")]
    TooFewRaters,
}

/// A value, or why there is none.
pub type Value = Result<f64, Undefined>;

/// Why a defined value has no interval.
#[derive(Debug, Clone, Copy, PartialEq, Error)]
pub enum NoInterval {
    /// Too few independent clusters.
    #[error("{}, at least 5 are needed", if *clusters == 1 { "1 cluster is too few".to_owned() } else { format!("{clusters} clusters are too few") })]
    TooFewClusters {
        /// How many there are.
        clusters: usize,
    },
    /// The reference holds too few ratings outside its commonest label.
    #[error("too few ratings outside the commonest label ({count}, at least 5 are needed)")]
    RareLabel {
        /// How many there are.
        count: usize,
    },
    /// One rater used one label only: κ is 0 by construction and does not vary.
    #[error("one rater used a single label, so the value is 0 by construction")]
    OneRaterConstant,
    /// The statistic was undefined in too many of the resampled data sets.
    #[error("undefined in {percent:.0} % of the resamples, more than 5 %")]
    UndefinedReplicates {
        /// Share of undefined replicates in percent.
        percent: f64,
    },
    /// Every resampled data set gave the same value.
    #[error("every resample gave the same value")]
    Degenerate,
    /// The statistic is undefined when some cluster is left out.
    #[error("undefined when one cluster is left out")]
    UndefinedJackknife,
    /// The mean squares behind the interval vanish.
    #[error("the residual variance is 0")]
    NoResidual,
    /// Too few items for the classical formula.
    #[error("too few items for an interval")]
    TooFewItems,
}

/// A statistic as it is reported: value, standard error, 95 % interval, how the interval was made, and what is undefined and why.
///
/// Ends of intervals are raw: a symmetric interval may leave the range of the coefficient, and is clipped in print only.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Estimate {
    /// The value; `None` where it is undefined.
    pub value: Option<f64>,
    /// Standard error.
    pub se: Option<f64>,
    /// Lower end of the 95 % interval.
    pub low: Option<f64>,
    /// Upper end of the 95 % interval.
    pub high: Option<f64>,
    /// How the interval was made.
    pub method: Option<String>,
    /// Why the value, or the interval of a defined value, is missing.
    pub undefined: Option<String>,
}

impl Estimate {
    /// An undefined value, with the reason in words.
    pub fn undefined(reason: impl Into<String>) -> Estimate {
        Estimate { value: None, se: None, low: None, high: None, method: None, undefined: Some(reason.into()) }
    }

    /// A value without an interval, with the reason in words.
    pub fn without_interval(value: f64, reason: impl std::fmt::Display) -> Estimate {
        Estimate {
            value: Some(value),
            se: None,
            low: None,
            high: None,
            method: None,
            undefined: Some(format!("no interval: {reason}")),
        }
    }

    /// A value with its interval.
    pub fn with_interval(value: f64, se: Option<f64>, (low, high): (f64, f64), method: impl Into<String>) -> Estimate {
        Estimate {
            value: Some(value),
            se,
            low: Some(low),
            high: Some(high),
            method: Some(method.into()),
            undefined: None,
        }
    }
}

/// A share or coefficient as it is printed: two decimals and no leading zero, `.52` and `-.07`.
pub fn short(value: f64) -> String {
    let text = format!("{value:.2}");
    match text.strip_prefix('-') {
        Some("0.00") => ".00".to_owned(),
        Some(rest) => format!("-{}", rest.strip_prefix('0').unwrap_or(rest)),
        None => text.strip_prefix('0').unwrap_or(&text).to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::short;

    #[test]
    fn coefficients_are_printed_short() {
        let printed: Vec<String> = [0.516, -0.07, 1.0, -0.001, 0.0, -1.0, 0.999].into_iter().map(short).collect();
        assert_eq!(printed, [".52", "-.07", "1.00", ".00", ".00", "-1.00", "1.00"]);
    }
}
