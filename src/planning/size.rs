//! How many items a kappa needs, from its large-sample variance (Fleiss, Cohen and Everitt 1969) at an assumed value and margins.
//!
//! Two labels; p11 = (po + p1 + p2 − 1)/2 with po = κ(1 − pe) + pe. For items nested in sessions multiply by the [`design_effect`]:
//! sessions count, not turns.

use crate::agreement::distribution::normal_quantile;
use crate::agreement::kappa::{self, Weights};
use crate::agreement::table::Table;
use thiserror::Error;

/// A plan that cannot be.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum PlanError {
    /// A number outside its range.
    #[error("{name} = {value} must be {range}")]
    OutOfRange {
        /// The number.
        name: &'static str,
        /// What was said.
        value: f64,
        /// What it must be.
        range: &'static str,
    },
    /// No table of two raters has this kappa with these margins.
    #[error("κ = {kappa} is not possible when the raters use the label on {rate_a} and {rate_b} of the items")]
    Impossible {
        /// The kappa.
        kappa: f64,
        /// Share of the label in rater a.
        rate_a: f64,
        /// Share of the label in rater b.
        rate_b: f64,
    },
}

fn within(name: &'static str, value: f64, above: f64, below: f64, range: &'static str) -> Result<f64, PlanError> {
    if value > above && value < below { Ok(value) } else { Err(PlanError::OutOfRange { name, value, range }) }
}

/// n·Var(κ) of two raters who use a label on shares `rate_a` and `rate_b` of the items.
pub fn unit_variance(kappa: f64, rate_a: f64, rate_b: f64) -> Result<f64, PlanError> {
    for (name, rate) in [("rate_a", rate_a), ("rate_b", rate_b)] {
        within(name, rate, 0.0, 1.0, "between 0 and 1")?;
    }
    within("kappa", kappa, -1.0, 1.0, "between -1 and 1")?;
    let expected = rate_a * rate_b + (1.0 - rate_a) * (1.0 - rate_b);
    let observed = kappa * (1.0 - expected) + expected;
    let both = (observed + rate_a + rate_b - 1.0) / 2.0;
    let cells = [both, rate_a - both, rate_b - both, observed - both];
    if cells.iter().any(|cell| *cell < -1e-12) {
        return Err(PlanError::Impossible { kappa, rate_a, rate_b });
    }
    let cells = cells.map(|cell| cell.max(0.0));
    let variances = kappa::variances(Table::from_counts(2, &cells).view(), &Weights::None.disagreement(2));
    // The table's shares sum to 1, so that this is the variance of one item.
    variances.map(|both| both.interval).map_err(|_| PlanError::Impossible { kappa, rate_a, rate_b })
}

/// Items so that the interval of κ reaches `halfwidth` to either side, at confidence `confidence`.
pub fn items_for_halfwidth(
    kappa: f64,
    (rate_a, rate_b): (f64, f64),
    halfwidth: f64,
    confidence: f64,
) -> Result<u64, PlanError> {
    within("halfwidth", halfwidth, 0.0, 1.0, "between 0 and 1")?;
    within("conf", confidence, 0.0, 1.0, "between 0 and 1")?;
    let z = normal_quantile(0.5 + confidence / 2.0);
    Ok(whole(unit_variance(kappa, rate_a, rate_b)? * (z / halfwidth).powi(2)))
}

/// Items, not rounded, so that a one-sided test of κ = `kappa0` at level `alpha` finds `kappa1` with probability `power`:
/// ((z_α√V₀ + z_β√V₁)/(κ₁ − κ₀))², V the variance of one item.
pub fn items_for_test(
    (kappa1, kappa0): (f64, f64),
    (rate_a, rate_b): (f64, f64),
    power: f64,
    alpha: f64,
) -> Result<f64, PlanError> {
    within("power", power, 0.0, 1.0, "between 0 and 1")?;
    within("alpha", alpha, 0.0, 1.0, "between 0 and 1")?;
    if (kappa1 - kappa0).abs() < 1e-9 {
        return Err(PlanError::OutOfRange { name: "kappa1", value: kappa1, range: "another value than kappa0" });
    }
    let (v0, v1) = (unit_variance(kappa0, rate_a, rate_b)?, unit_variance(kappa1, rate_a, rate_b)?);
    let z = normal_quantile(1.0 - alpha) * v0.sqrt() + normal_quantile(power) * v1.sqrt();
    Ok((z / (kappa1 - kappa0)).powi(2))
}

/// The next whole number; what exceeds one by rounding alone is that one.
pub fn whole(items: f64) -> u64 {
    (items - 1e-9).ceil().max(0.0) as u64
}

/// By how much clustering multiplies a variance: 1 + (m − 1)ρ, m items a cluster, ρ their correlation.
pub fn design_effect(per_cluster: f64, correlation: f64) -> Result<f64, PlanError> {
    if per_cluster < 1.0 || !per_cluster.is_finite() {
        let range = "at least 1";
        return Err(PlanError::OutOfRange { name: "per-session", value: per_cluster, range });
    }
    if !(0.0..=1.0).contains(&correlation) {
        return Err(PlanError::OutOfRange { name: "icc", value: correlation, range: "from 0 to 1" });
    }
    Ok(1.0 + (per_cluster - 1.0) * correlation)
}

/// A plan for the interval of a kappa.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct Plan {
    /// Assumed kappa.
    pub kappa: f64,
    /// Half the width of the 95 % interval.
    pub halfwidth: f64,
    /// Share of the units with the label, for both raters.
    pub prevalence: f64,
    /// Units a session.
    pub per_session: f64,
    /// Their correlation.
    pub icc: f64,
    /// Units that would do if they were independent.
    pub independent: u64,
    /// By how much sessions multiply them.
    pub design_effect: f64,
    /// Units needed.
    pub units: u64,
    /// Sessions they lie in.
    pub sessions: u64,
}

/// Why a plan cannot be read.
#[derive(Debug, Clone, PartialEq, Error, miette::Diagnostic)]
#[error("`{text}` is no plan: {reason}")]
#[diagnostic(help("write kappa=0.7,halfwidth=0.1 and, if you know them, prevalence=0.3,per-session=8,icc=0.1"))]
pub struct PlanSyntax {
    text: String,
    reason: String,
}

impl std::str::FromStr for Plan {
    type Err = PlanSyntax;

    /// From `kappa=0.7,halfwidth=0.1[,prevalence=0.3][,per-session=8,icc=0.1]`.
    fn from_str(text: &str) -> Result<Plan, PlanSyntax> {
        let wrong = |reason: String| PlanSyntax { text: text.to_owned(), reason };
        let mut said = std::collections::BTreeMap::new();
        for part in text.split(',') {
            let (name, value) = part.split_once('=').ok_or_else(|| wrong(format!("`{part}` is not name=value")))?;
            let (name, value) = (name.trim(), value.trim());
            if !["kappa", "halfwidth", "prevalence", "per-session", "icc"].contains(&name) {
                return Err(wrong(format!("nothing is called `{name}`")));
            }
            let number = value.parse::<f64>().ok().filter(|number| number.is_finite());
            let number = number.ok_or_else(|| wrong(format!("`{value}` is no number")))?;
            if said.insert(name, number).is_some() {
                return Err(wrong(format!("`{name}` stands twice")));
            }
        }
        let needed = |name: &str| said.get(name).copied().ok_or_else(|| wrong(format!("`{name}` is missing")));
        let (kappa, halfwidth) = (needed("kappa")?, needed("halfwidth")?);
        let prevalence = said.get("prevalence").copied().unwrap_or(0.5);
        let (per_session, icc) = match said.contains_key("per-session") || said.contains_key("icc") {
            true => (needed("per-session")?, needed("icc")?),
            false => (1.0, 0.0),
        };
        let independent = items_for_halfwidth(kappa, (prevalence, prevalence), halfwidth, 0.95);
        let independent = independent.map_err(|error| wrong(error.to_string()))?;
        let design_effect = design_effect(per_session, icc).map_err(|error| wrong(error.to_string()))?;
        let units = whole(independent as f64 * design_effect);
        Ok(Plan {
            kappa,
            halfwidth,
            prevalence,
            per_session,
            icc,
            independent,
            design_effect,
            units,
            sessions: whole(units as f64 / per_session),
        })
    }
}

/// What weights cost: (Σw)²/Σw² equally weighted items say as much. 0 without items.
pub fn effective_size(weights: &[f64]) -> f64 {
    let (sum, squares) = weights.iter().fold((0.0, 0.0), |(sum, squares), w| (sum + w, squares + w * w));
    if squares > 0.0 { sum * sum / squares } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_for_a_halfwidth_as_published() {
        for (kappa, rates, halfwidth, expected) in [
            (0.6, (0.5, 0.5), 0.1, 246),
            (0.7, (0.3, 0.3), 0.1, 236),
            (0.8, (0.1, 0.1), 0.1, 401),
            (0.6, (0.2, 0.25), 0.15, 157),
            (0.4, (0.5, 0.5), 0.05, 1291),
        ] {
            assert_eq!(items_for_halfwidth(kappa, rates, halfwidth, 0.95).unwrap(), expected);
        }
    }

    #[test]
    fn items_for_a_test_need_both_variances() {
        // With balanced margins the variance of one item is 1 − κ².
        let z = |p: f64| normal_quantile(p);
        let expected = ((z(0.95) * (1.0_f64 - 0.16).sqrt() + z(0.8) * (1.0_f64 - 0.36).sqrt()) / 0.2).powi(2);
        let found = items_for_test((0.6, 0.4), (0.5, 0.5), 0.8, 0.05).unwrap();
        assert!((found - expected).abs() < 1e-9, "{found} {expected}");
        assert!(items_for_test((0.4, 0.4), (0.5, 0.5), 0.8, 0.05).is_err());
    }

    #[test]
    fn plans_that_cannot_be_say_why() {
        let message = |result: Result<u64, PlanError>| result.unwrap_err().to_string();
        assert_eq!(
            message(items_for_halfwidth(0.9, (0.1, 0.5), 0.1, 0.95)),
            "κ = 0.9 is not possible when the raters use the label on 0.1 and 0.5 of the items"
        );
        assert_eq!(message(items_for_halfwidth(0.6, (0.5, 0.5), 0.0, 0.95)), "halfwidth = 0 must be between 0 and 1");
        assert_eq!(message(items_for_halfwidth(0.6, (0.0, 0.5), 0.1, 0.95)), "rate_a = 0 must be between 0 and 1");
        assert!(items_for_halfwidth(f64::NAN, (0.5, 0.5), 0.1, 0.95).is_err());
    }

    #[test]
    fn a_plan_is_read_strictly_and_counts_sessions() {
        let plan: Plan = "kappa=0.7,halfwidth=0.1,prevalence=0.3,per-session=8,icc=0.1".parse().unwrap();
        assert_eq!((plan.independent, plan.units, plan.sessions), (236, 402, 51));
        let plan: Plan = "kappa=0.6, halfwidth=0.1".parse().unwrap();
        assert_eq!((plan.independent, plan.units, plan.sessions), (246, 246, 246));
        for (text, reason) in [
            ("kappa=0.6", "`halfwidth` is missing"),
            ("kappa=0.6,halfwidth=0.1,icc=0.1", "`per-session` is missing"),
            ("kappa=0.6,halfwidth=x", "`x` is no number"),
            ("kappa=0.6,halfwith=0.1", "nothing is called `halfwith`"),
            ("kappa=0.6,kappa=0.7,halfwidth=0.1", "`kappa` stands twice"),
            ("kappa=0.6,halfwidth=2", "halfwidth = 2 must be between 0 and 1"),
        ] {
            let error = text.parse::<Plan>().unwrap_err().to_string();
            assert_eq!(error, format!("`{text}` is no plan: {reason}"));
        }
    }

    #[test]
    fn clustering_and_weights_cost_items() {
        assert!((design_effect(8.0, 0.1).unwrap() - 1.7).abs() < 1e-12);
        assert_eq!(design_effect(1.0, 0.5), Ok(1.0));
        assert!(design_effect(0.5, 0.1).is_err() && design_effect(8.0, 1.5).is_err());
        assert_eq!(effective_size(&[2.0; 7]), 7.0);
        assert!((effective_size(&[1.0, 3.0]) - 1.6).abs() < 1e-12);
        assert_eq!(effective_size(&[]), 0.0);
    }
}
