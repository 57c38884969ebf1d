//! Tasks and runs at a glance.

use super::parts::{Cell, Names, table, thousands};
use super::task::anchor;
use crate::agreement::Estimate;
use crate::chart::forest::words;
use crate::dossier::run::RunDossier;
use crate::dossier::{Dossier, TaskDossier};
use crate::markup::{Tag, classed, tag};
use crate::report::runs::{FieldHeadline, cost, not_ok};

/// The overview.
pub fn section(dossier: &Dossier) -> Tag {
    let rows = dossier.tasks.iter().flat_map(|task| {
        let names = Names::of(task);
        task.runs.iter().map(move |run| row(task, run, &names)).collect::<Vec<_>>()
    });
    let header = ["task", "rater", "#answered", "not ok", "figure", "#with gold", "#human–human", "#cost"];
    let glance = table("Tasks and runs at a glance", &header, rows.collect());
    let note = "With gold: Cohen’s κ for labels, the intraclass correlation ICC(A,1) for scores (shares: of the first part), between the run and the adjudicated answer. \
                Human–human is the ceiling: two people on the same units.";
    let tasks = dossier.tasks.iter().enumerate().map(|(nth, task)| {
        let link = tag("a").with("href", format!("#{}", anchor(nth, ""))).text(&task.title);
        tag("li").child(link).text(format!(" ({}, a unit is a {})", task.task, task.unit))
    });
    tag("section")
        .with("id", "overview")
        .child(tag("h2").text("Overview"))
        .child(glance)
        .child(classed("p", "note").text(note))
        .child(classed("ul", "plain").children(tasks))
}

/// Units with an answer, of how many; times samples where units have several.
fn answered(run: &RunDossier) -> String {
    let totals = &run.manifest.totals;
    let (all, samples) = (totals.units as u64, u64::from(run.manifest.settings.samples.max(1)));
    let of = if samples == 1 { thousands(all) } else { format!("{} × {samples}", thousands(all / samples)) };
    format!("{} of {of}", thousands(totals.answered() as u64))
}

fn row(task: &TaskDossier, run: &RunDossier, names: &Names) -> Vec<Cell> {
    let totals = &run.manifest.totals;
    let headline = task.fields().next().map(|field| FieldHeadline::of(field, &run.rater));
    let symbol = headline.as_ref().map_or("", |line| if line.coefficient == "cohen_kappa" { "κ" } else { "ICC" });
    let shown = |estimate: Option<&Estimate>| match estimate {
        Some(estimate) => Cell::ranked(words(estimate), estimate.value),
        None => Cell::text("–"),
    };
    vec![
        Cell::text(task.task.as_str()),
        Cell::text(names.get(&run.rater)),
        Cell::ranked(answered(run), Some(totals.answered() as f64)),
        Cell::ranked(not_ok(totals), Some(totals.units.saturating_sub(totals.answered()) as f64)),
        Cell::text(symbol),
        shown(headline.as_ref().and_then(|line| line.with_gold.as_ref())),
        shown(headline.as_ref().and_then(|line| line.human_human.as_ref())),
        Cell::ranked(cost(totals), totals.cost_usd),
    ]
}
