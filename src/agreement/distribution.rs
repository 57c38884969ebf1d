//! Quantiles and tails of the normal, t, F and χ² distributions, under their plain names.
//!
//! Callers guarantee what the distributions need (positive degrees of freedom, probabilities inside (0, 1)).

use statrs::distribution::{Beta, ChiSquared, ContinuousCDF, FisherSnedecor, Normal, StudentsT};

/// The confidence of every interval.
pub const CONFIDENCE: f64 = 0.95;

/// Probability below the upper end of a two-sided interval: .975.
pub(crate) const UPPER: f64 = 0.5 + CONFIDENCE / 2.0;

/// Probability below the upper end of a two-sided interval of some confidence.
pub fn upper(confidence: f64) -> f64 {
    0.5 + confidence / 2.0
}

fn standard_normal() -> Normal {
    Normal::new(0.0, 1.0).expect("mean 0 and standard deviation 1 are valid")
}

fn student(df: f64) -> StudentsT {
    StudentsT::new(0.0, 1.0, df).expect("degrees of freedom are positive")
}

/// Φ(x).
pub fn normal_cdf(x: f64) -> f64 {
    standard_normal().cdf(x)
}

/// Φ⁻¹(p).
pub fn normal_quantile(p: f64) -> f64 {
    standard_normal().inverse_cdf(p)
}

/// Two-sided p of a standard normal `z`.
pub fn normal_two_sided(z: f64) -> f64 {
    2.0 * standard_normal().sf(z.abs())
}

/// Quantile of Student's t with `df` degrees of freedom.
pub fn t_quantile(p: f64, df: f64) -> f64 {
    student(df).inverse_cdf(p)
}

/// Probability below t with `df` degrees of freedom.
pub fn t_lower(t: f64, df: f64) -> f64 {
    if t.is_infinite() { f64::from(t > 0.0) } else { student(df).cdf(t) }
}

/// Two-sided p of `t` with `df` degrees of freedom.
pub fn t_two_sided(t: f64, df: f64) -> f64 {
    if t.is_infinite() { 0.0 } else { 2.0 * student(df).sf(t.abs()) }
}

/// Quantile of F with `df1` and `df2` degrees of freedom.
pub fn f_quantile(p: f64, df1: f64, df2: f64) -> f64 {
    FisherSnedecor::new(df1, df2).expect("degrees of freedom are positive").inverse_cdf(p)
}

/// Quantile of Beta(a, b).
pub fn beta_quantile(p: f64, a: f64, b: f64) -> f64 {
    Beta::new(a, b).expect("both shapes are positive").inverse_cdf(p)
}

/// Upper tail of F with `df1` and `df2` degrees of freedom.
pub fn f_tail(x: f64, df1: f64, df2: f64) -> f64 {
    FisherSnedecor::new(df1, df2).expect("degrees of freedom are positive").sf(x.max(0.0))
}

/// Upper tail of χ² with `df` degrees of freedom.
pub fn chi_squared_tail(x: f64, df: f64) -> f64 {
    ChiSquared::new(df).expect("degrees of freedom are positive").sf(x)
}

/// Wilson's score interval (1927) of a share of `successes` in `n` trials; none without trials.
pub fn wilson(successes: f64, n: f64) -> Option<(f64, f64)> {
    wilson_at(successes, n, CONFIDENCE)
}

/// Wilson's interval of any confidence.
pub fn wilson_at(successes: f64, n: f64, confidence: f64) -> Option<(f64, f64)> {
    if n <= 0.0 {
        return None;
    }
    let z = normal_quantile(upper(confidence));
    let share = successes / n;
    let centre = (share + z * z / (2.0 * n)) / (1.0 + z * z / n);
    let half = z * (share * (1.0 - share) / n + z * z / (4.0 * n * n)).sqrt() / (1.0 + z * z / n);
    Some(((centre - half).max(0.0), (centre + half).min(1.0)))
}
