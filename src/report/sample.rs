//! A draw of units, and a plan, as text.

use super::plural;
use super::terminal::{TableOptions, plain_table};
use crate::planning::sample::Sample;
use crate::planning::size::Plan;

/// The draw at a glance.
pub fn sample_text(sample: &Sample) -> String {
    let design = &sample.design;
    let by = match design.runs.as_slice() {
        [] => design.by.to_owned(),
        runs => format!("{} of {}", design.by, runs.join(", ")),
    };
    let mut text = format!(
        "{}: {} in {}; drawn by {by}, salt `{}`, design {}\n\n",
        design.task,
        plural(design.units as u64, "unit"),
        plural(design.sessions as u64, "session"),
        design.salt,
        design.id
    );
    let rows = (sample.strata.iter())
        .map(|counts| {
            let name = if counts.stratum.is_empty() { "all" } else { &counts.stratum };
            let expected = format!("{:.1}", counts.expected);
            vec![name.to_owned(), counts.units.to_string(), expected, counts.drawn.to_string()]
        })
        .collect();
    text.push_str(&plain_table(&["stratum", "units", "expected", "drawn"], rows, TableOptions::default()));
    let sessions = |split: &str| {
        let of: std::collections::BTreeSet<&str> =
            sample.units.iter().filter(|unit| unit.split == split).map(|unit| unit.session.as_str()).collect();
        let units = sample.units.iter().filter(|unit| unit.split == split).count();
        format!("{split} {} of {}", plural(units as u64, "unit"), plural(of.len() as u64, "session"))
    };
    text.push_str(&format!(
        "\n{} to label, {} in the gold already · {}, {} · worth {:.0} equally weighted units; no weight above {:.1}\n",
        sample.to_label,
        sample.drawn - sample.to_label,
        sessions("dev"),
        sessions("test"),
        sample.effective_size,
        1.0 / sample.smallest_probability.max(f64::MIN_POSITIVE),
    ));
    text
}

/// How many units a plan needs.
pub fn plan_text(task: &str, plan: &Plan) -> String {
    let mut text = format!(
        "{task}: an interval of ±{} around κ = {} with the label on {} of the units needs {} independent units\n",
        plan.halfwidth, plan.kappa, plan.prevalence, plan.independent
    );
    if plan.per_session > 1.0 {
        text.push_str(&format!(
            "{} units a session, correlated by {}: {:.2} times as many, {} units in {}\n",
            plan.per_session,
            plan.icc,
            plan.design_effect,
            plan.units,
            plural(plan.sessions, "session")
        ));
    }
    text.push_str(&format!("next: interrater sample {task} --size {}\n", plan.units));
    text
}
