//! What runs say: shares of labels and means, raw and corrected.

use super::parts::{Cell, Names, Page, folded, table};
use crate::agreement::Estimate;
use crate::chart::histogram::histogram;
use crate::chart::scale::{number, percent};
use crate::chart::shares::{Quantity, Row, shares};
use crate::dossier::answers::FieldAnswers;
use crate::dossier::run::RunDossier;
use crate::dossier::{RunEstimate, TaskDossier};
use crate::estimate::numbers::RunEstimates;
use crate::markup::{Markup, classed, tag};
use crate::report::plural;

/// The section.
pub fn inside(task: &TaskDossier, names: &Names, page: &Page) -> Markup {
    let mut made = Markup::default();
    made.push(refusals(&task.estimates, names, task));
    for run in &task.runs {
        for field in &run.answers {
            made.push(figure(task, run, field, names, page));
        }
        if let Some(votes) = &run.votes {
            let words = votes.fields.iter().filter_map(|line| votes.in_words(&line.field, &line.field, "shown"));
            let list = words.map(|words| tag("li").text(words));
            made.push(tag("p").text(format!("{}: units have several samples.", names.get(&run.rater))));
            made.push(classed("ul", "plain").children(list));
        }
    }
    for found in task.estimates.iter().filter_map(|estimate| estimate.found.as_ref()) {
        let name = task.runs.iter().find(|run| run.run == found.run).map_or("", |run| names.get(&run.rater));
        made.push(folded(&format!("All corrected numbers of {name}, collapses included"), corrected_table(found)));
    }
    made
}

/// Why shares are not corrected, once for all runs that share the reason.
fn refusals(estimates: &[RunEstimate], names: &Names, task: &TaskDossier) -> Markup {
    let mut told: Vec<(&str, Option<&str>, Vec<&str>)> = vec![];
    for estimate in estimates {
        let Some(reason) = estimate.refused.as_deref() else { continue };
        let name = task.runs.iter().find(|run| run.run == estimate.run).map_or("", |run| names.get(&run.rater));
        match told.iter_mut().find(|(known, ..)| *known == reason) {
            Some((.., runs)) => runs.push(name),
            None => told.push((reason, estimate.hint.as_deref(), vec![name])),
        }
    }
    let line = |(reason, hint, runs): (&str, Option<&str>, Vec<&str>)| {
        let whose = if runs.len() == estimates.len() { String::new() } else { format!(" ({})", runs.join(", ")) };
        let hint = hint.map(|hint| format!(" The way out: {hint}.")).unwrap_or_default();
        classed("p", "note").child(tag("b").text(format!("Not corrected{whose}: "))).text(format!("{reason}.{hint}"))
    };
    told.into_iter().map(line).collect()
}

fn figure(task: &TaskDossier, run: &RunDossier, field: &FieldAnswers, names: &Names, page: &Page) -> Markup {
    let quantity = match (field.quantity, field.ends) {
        ("share", _) => Quantity::Share,
        (_, ends) => {
            let (low, high) = ends.unwrap_or((0.0, 1.0));
            Quantity::Mean(low, high)
        }
    };
    let rows: Vec<Row<'_>> = (field.rows.iter())
        .map(|row| Row { name: &row.name, raw: &row.raw, corrected: row.corrected.as_ref() })
        .collect();
    let what = if field.quantity == "share" { "shares" } else { "means" };
    let title = format!("{} · {what} of {}", field.field, names.get(&run.rater));
    let is_corrected = field.rows.iter().any(|row| row.corrected.is_some());
    let corrected = if is_corrected {
        "◆ corrected by gold for the errors of the model."
    } else {
        "Raw answers of the model: their intervals know the draw of sessions, not the model’s bias."
    };
    let note = format!(
        "{} with an answer, of {}. {corrected}",
        plural(field.answered as u64, "unit"),
        plural(field.sessions as u64, "session")
    );
    let numbers = (field.rows.iter())
        .map(|row| {
            vec![
                Cell::text(row.name.as_str()),
                row.count.map_or(Cell::text("–"), Cell::count),
                shown(quantity, Some(&row.raw)),
                shown(quantity, row.corrected.as_ref()),
                Cell::text(method(&row.raw)),
            ]
        })
        .collect();
    let header = ["answer", "#units", "#raw", "#corrected", "interval of the raw number"];
    let mut made = page.figure(
        &title,
        &note,
        |caption| shares(caption, quantity, &rows),
        table(&format!("{title} in {}", task.task), &header, numbers),
    );
    if let (Some(counts), Some(ends)) = (&field.histogram, field.ends) {
        made.push(spread(run, field, counts, ends, names, page));
    }
    made
}

/// How scores are spread: what piles up tells little apart.
fn spread(
    run: &RunDossier,
    field: &FieldAnswers,
    counts: &[usize],
    ends: (f64, f64),
    names: &Names,
    page: &Page,
) -> Markup {
    let step = (ends.1 - ends.0) / counts.len().max(1) as f64;
    let row = |(nth, count): (usize, &usize)| {
        let low = ends.0 + step * nth as f64;
        vec![Cell::ranked(format!("{} to {}", number(low), number(low + step)), Some(low)), Cell::count(*count)]
    };
    let title = format!("{} · spread of {}", field.field, names.get(&run.rater));
    page.figure(
        &title,
        "Units by their value: where they pile up, values tell little apart.",
        |caption| histogram(caption, &field.field, ends, counts),
        table(&title, &["from, to", "#units"], counts.iter().enumerate().map(row).collect()),
    )
}

fn shown(quantity: Quantity, estimate: Option<&Estimate>) -> Cell {
    match estimate {
        Some(estimate) => Cell::ranked(quantity.words(estimate), estimate.value),
        None => Cell::text("–"),
    }
}

fn method(estimate: &Estimate) -> String {
    estimate.method.clone().or_else(|| estimate.undefined.clone()).unwrap_or_default()
}

fn corrected_table(found: &RunEstimates) -> Markup {
    let rows = found.fields.iter().flat_map(|field| {
        let is_share = field.quantity == "share";
        let quantity = if is_share { Quantity::Share } else { Quantity::Mean(0.0, 1.0) };
        let written = move |value: f64| if is_share { percent(value) } else { number(value) };
        let name = match &field.collapse {
            Some(collapse) => format!("{} ({collapse})", field.field),
            None => field.field.clone(),
        };
        field.groups.iter().flat_map(|group| &group.estimates).map(move |named| {
            let one = &named.corrected;
            let notes: Vec<&str> = one.corrected.undefined.iter().chain(&one.warnings).map(String::as_str).collect();
            let plain = |value: Option<f64>| Cell::ranked(value.map_or("–".to_owned(), written), value);
            vec![
                Cell::text(name.clone()),
                Cell::text(named.what.as_str()),
                plain(one.raw),
                shown(quantity, Some(&one.corrected)),
                plain(one.gold_alone),
                Cell::count(one.units),
                Cell::count(one.gold),
                Cell::count(one.gold_errors),
                Cell::ranked(
                    one.bounds.map_or("–".to_owned(), |(low, high)| format!("{} to {}", written(low), written(high))),
                    one.bounds.map(|(low, _)| low),
                ),
                Cell::text(one.formula),
                Cell::text(notes.join("; ")),
            ]
        })
    });
    let header = [
        "field",
        "answer",
        "#raw",
        "#corrected",
        "#gold alone",
        "#units",
        "#gold",
        "#differ",
        "#bounds",
        "formula",
        "notes",
    ];
    let mut made = table(&format!("Corrected numbers of {}", found.run), &header, rows.collect());
    let assumed = found.assumptions.iter().map(|assumption| tag("li").text(assumption));
    made.push(tag("p").text("These numbers are right if:"));
    made.push(classed("ul", "plain").children(assumed));
    made
}
