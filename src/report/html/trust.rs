//! What tells how far agreement can be trusted: figures weighted by how the gold was drawn, models asked several times, and whether a model
//! could stand in for a human.

use super::parts::{Cell, Names, table};
use crate::chart::forest::words;
use crate::dossier::TaskDossier;
use crate::evaluation::judged::JudgedField;
use crate::markup::{Markup, classed};

/// Whether there is anything to tell.
pub fn is_there(task: &TaskDossier) -> bool {
    task.agreement.iter().any(|field| {
        !field.weighted.is_empty() || !field.self_consistency.is_empty() || !field.alternative_annotator.is_empty()
    })
}

/// The section.
pub fn inside(task: &TaskDossier, names: &Names) -> Markup {
    let mut made = Markup::default();
    made.push(weighted(&task.agreement, names));
    made.push(samples(&task.agreement, names));
    made.push(stand_ins(&task.agreement, names));
    made
}

fn note(text: &str) -> Markup {
    classed("p", "note").text(text).into()
}

fn weighted(fields: &[JudgedField], names: &Names) -> Markup {
    let rows: Vec<Vec<Cell>> = (fields.iter())
        .flat_map(|field| field.weighted.iter().map(move |found| (field, found)))
        .map(|(field, found)| {
            let figures = &found.figures;
            vec![
                Cell::text(format!("{} · {}", field.agreement.field, names.get(&found.rater))),
                Cell::ranked(words(&figures.cohen_kappa), figures.cohen_kappa.value),
                Cell::ranked(words(&figures.percent_agreement), figures.percent_agreement.value),
                Cell::count(figures.items),
                Cell::number(Some(figures.effective_items.round())),
            ]
        })
        .collect();
    if rows.is_empty() {
        return Markup::default();
    }
    let mut made = table("Weighted by 1/π", &["field · rater", "#κ", "#agreement", "#units", "#worth"], rows);
    made.push(note("The gold was drawn with unequal probabilities: these figures are of what it was drawn from, the others of the gold alone."));
    made
}

fn samples(fields: &[JudgedField], names: &Names) -> Markup {
    let rows: Vec<Vec<Cell>> = (fields.iter())
        .flat_map(|field| field.self_consistency.iter().map(move |found| (field, found)))
        .map(|(field, found)| {
            vec![
                Cell::text(format!("{} · {}", field.agreement.field, names.get(&found.rater))),
                Cell::ranked(words(&found.krippendorff_alpha), found.krippendorff_alpha.value),
                Cell::share(found.unanimous),
                Cell::share(found.mean_vote_share),
                Cell::text(found.tied.map_or("–".to_owned(), |tied| tied.to_string())),
                Cell::count(found.samples),
                Cell::count(found.units),
            ]
        })
        .collect();
    if rows.is_empty() {
        return Markup::default();
    }
    let header = ["field · rater", "#α of the samples", "#all alike", "#vote share", "#tied", "#samples", "#units"];
    let mut made = table("Models asked several times", &header, rows);
    made.push(note("A model that agrees with itself can be wrong all the same: this bounds nothing."));
    made
}

fn stand_ins(fields: &[JudgedField], names: &Names) -> Markup {
    let found: Vec<_> = (fields.iter())
        .flat_map(|field| field.alternative_annotator.iter().map(move |found| (field, found)))
        .filter(|(_, found)| !found.contests.is_empty())
        .collect();
    let Some((_, first)) = found.first() else { return Markup::default() };
    let title = format!("Could a model stand in for a human? (alternative annotator test, ε = {})", first.epsilon);
    let rows = (found.iter())
        .map(|(field, found)| {
            vec![
                Cell::text(format!("{} · {}", field.agreement.field, names.get(&found.rater))),
                Cell::text(match found.passes {
                    Some(true) => "yes",
                    Some(false) => "no",
                    None => "not tested",
                }),
                Cell::number(found.winning_rate),
                Cell::number(found.winning_rate_clustered),
                Cell::share(found.advantage),
                Cell::count(found.contests.len()),
            ]
        })
        .collect();
    let mut made = table(&title, &["field · rater", "passes", "#ω", "#ω by sessions", "#ρ", "#humans"], rows);
    let mut told: Vec<&String> = found.iter().flat_map(|(_, found)| &found.warnings).collect();
    told.sort();
    told.dedup();
    told.into_iter().for_each(|warning| made.push(note(warning)));
    made
}
