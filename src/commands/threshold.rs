//! `--fail-under`: a figure that a run has to reach.

use super::UsageError;
use interrater::report::runs::TaskSummary;

/// `METRIC=VALUE` of `--fail-under`.
pub struct Threshold {
    metric: Metric,
    value: f64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Metric {
    Kappa,
    Icc,
    Percent,
}

impl Threshold {
    /// Reads what was typed.
    pub fn parse(text: &str) -> Result<Threshold, UsageError> {
        let wrong = || UsageError::Threshold(text.to_owned());
        let (metric, value) = text.split_once('=').ok_or_else(wrong)?;
        let metric = match metric {
            "kappa" => Metric::Kappa,
            "icc" => Metric::Icc,
            "percent" => Metric::Percent,
            _ => return Err(wrong()),
        };
        let value: f64 = value.parse().map_err(|_| wrong())?;
        // Nothing reaches what is no number: such a threshold would always be missed.
        if value.is_finite() { Ok(Threshold { metric, value }) } else { Err(wrong()) }
    }

    /// What is wrong, unless the primary field of every task that has the metric reaches the value; a figure that is undefined does not.
    pub fn missed(&self, summaries: &[TaskSummary]) -> Option<String> {
        let lines: Vec<(&str, Option<f64>)> = summaries
            .iter()
            .filter_map(|summary| Some((summary.task.as_str(), summary.agreement.first()?)))
            .filter_map(|(task, line)| match (self.metric, line.coefficient) {
                (Metric::Kappa, "cohen_kappa") | (Metric::Icc, "icc_a1") => {
                    Some((task, line.with_gold.as_ref().and_then(|estimate| estimate.value)))
                }
                (Metric::Percent, "cohen_kappa") => Some((task, line.percent)),
                _ => None,
            })
            .collect();
        let name = match self.metric {
            Metric::Kappa => "kappa",
            Metric::Icc => "icc",
            Metric::Percent => "percent",
        };
        if lines.is_empty() {
            return Some(format!("--fail-under {name}: no task has gold to compare with"));
        }
        let low: Vec<String> = lines
            .iter()
            .filter(|(_, figure)| figure.is_none_or(|figure| figure < self.value))
            .map(|(task, figure)| match figure {
                Some(figure) => format!("{task} {figure:.3}"),
                None => format!("{task} undefined"),
            })
            .collect();
        (!low.is_empty()).then(|| format!("--fail-under {name}={}: {}", self.value, low.join(", ")))
    }
}
