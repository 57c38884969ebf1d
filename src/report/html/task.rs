//! A task's part of the page, section by section.

use super::parts::{Names, Page};
use super::{agreement, answers, confidence, confusion, disagreements, manifests, scores, trust, units, versions};
use crate::agreement::PairFigures;
use crate::chart::shortened;
use crate::dossier::{Dossier, TaskDossier};
use crate::markup::{Markup, Tag, classed, tag};
use crate::report::plural;

/// The id of a section of the nth task.
pub fn anchor(nth: usize, section: &str) -> String {
    format!("task-{}{}{section}", nth + 1, if section.is_empty() { "" } else { "-" })
}

/// The sections that a task has, with their headings.
pub fn sections(task: &TaskDossier) -> Vec<(&'static str, &'static str)> {
    let is_compared = task.fields().any(|field| !field.pairs.is_empty());
    let has_labels =
        (task.fields().flat_map(|field| &field.pairs)).any(|pair| matches!(pair.figures, PairFigures::Labels(_)));
    let has_runs = !task.runs.is_empty();
    let versions = task.versions.iter().any(|field| !field.series.is_empty());
    [
        ("answers", "Answers", has_runs),
        ("agreement", "Agreement", is_compared),
        ("confusion", "Confusions", has_labels),
        ("scores", "Scores", !task.scores.is_empty()),
        ("confidence", "Confidence", task.agreement.iter().any(|field| !field.calibration.is_empty())),
        ("trust", "How far to trust it", trust::is_there(task)),
        ("versions", "Versions of the codebook", versions),
        ("units", "States, coverage, cost", has_runs),
        ("disagreements", "Disagreements", task.disagreements.all + task.disagreements.sealed > 0),
        ("manifests", "Where it comes from", true),
    ]
    .into_iter()
    .filter_map(|(id, name, is_there)| is_there.then_some((id, name)))
    .collect()
}

/// The part of `task`.
pub fn section(task: &TaskDossier, dossier: &Dossier, page: &Page) -> Tag {
    let nth = dossier.tasks.iter().position(|other| other.task == task.task).unwrap_or_default();
    let names = Names::of(task);
    let mut made = classed("section", "task")
        .with("id", anchor(nth, ""))
        .child(tag("h2").text(&task.title))
        .child(classed("p", "lead").text(lead(task)))
        .child(warnings(task, &names));
    for (id, name) in sections(task) {
        let inside = match id {
            "answers" => answers::inside(task, &names, page),
            "agreement" => agreement::inside(task, &names, page),
            "confusion" => confusion::inside(task, &names, page),
            "scores" => scores::inside(task, &names, page),
            "confidence" => confidence::inside(task, &names, page),
            "trust" => trust::inside(task, &names),
            "versions" => versions::inside(task, page),
            "units" => units::inside(task, &names, page),
            "disagreements" => disagreements::inside(task, &names, page, dossier.tasks.len()),
            _ => manifests::inside(task, &names),
        };
        made = made.child(tag("section").with("id", anchor(nth, id)).child(tag("h3").text(name)).child(inside));
    }
    made
}

fn lead(task: &TaskDossier) -> String {
    let gold = match &task.gold {
        None => "There is no gold: nothing here says how often a label is right.".to_owned(),
        Some(gold) => {
            let humans: Vec<String> = (gold.raters.iter().filter(|(rater, _)| rater != "gold"))
                .map(|(rater, rows)| format!("{} ({rows})", shortened(rater, 40)))
                .collect();
            let humans = match humans.as_slice() {
                [] => "no rater beside the adjudicated answer".to_owned(),
                several => format!("raters {}", several.join(", ")),
            };
            let adjudicated = gold.raters.iter().find(|(rater, _)| rater == "gold").map_or(0, |(_, rows)| *rows);
            format!(
                "Gold: {} of {}, {adjudicated} adjudicated; {humans}.",
                plural(gold.units as u64, "unit"),
                plural(gold.sessions as u64, "session")
            )
        }
    };
    format!("A unit is a {}. {} annotated it. {gold}", task.unit, plural(task.runs.len() as u64, "run"))
}

/// Every warning with whom it is about, the same one once.
fn warnings(task: &TaskDossier, names: &Names) -> Markup {
    let mut told: Vec<(String, Vec<String>)> = vec![];
    let mut tell = |place: String, warning: &str| match told.iter_mut().find(|(known, _)| known == warning) {
        Some((_, places)) if places.contains(&place) => {}
        Some((_, places)) => places.push(place),
        None => told.push((warning.to_owned(), vec![place])),
    };
    task.warnings.iter().for_each(|warning| tell("task".to_owned(), warning));
    for field in task.fields() {
        field.warnings.iter().for_each(|warning| tell(field.field.clone(), warning));
        for pair in &field.pairs {
            let place = format!("{}, {} and {}", field.field, names.get(&pair.a), names.get(&pair.b));
            pair.warnings.iter().for_each(|warning| tell(place.clone(), warning));
        }
    }
    for found in task.estimates.iter().filter_map(|estimate| estimate.found.as_ref()) {
        found.warnings.iter().for_each(|warning| tell(format!("estimates of {}", found.run), warning));
        for field in &found.fields {
            field.warnings.iter().for_each(|warning| tell(format!("estimates of {}", field.field), warning));
        }
    }
    if told.is_empty() {
        return Markup::default();
    }
    let item = |(warning, places): &(String, Vec<String>)| {
        let shown = places.iter().take(3).cloned().collect::<Vec<_>>().join("; ");
        let more = if places.len() > 3 { format!(" and {} more", places.len() - 3) } else { String::new() };
        tag("li").child(tag("b").text(format!("{shown}{more}: "))).text(warning)
    };
    let count = plural(told.len() as u64, "warning");
    let list = classed("ul", "warnings").children(told.iter().map(item));
    // Many would push the numbers off the page.
    let fold = tag("details").child(tag("summary").text(format!("{count}: read before the numbers"))).child(list);
    if told.len() <= 6 { fold.with("open", "").into() } else { fold.into() }
}
