//! Which labels are taken for which: a matrix a pair, and every label's figures.

use super::parts::{Cell, MOST_HUMAN_PAIRS, MOST_PAIRS, Names, Page, folded, table};
use crate::agreement::field::PairKind;
use crate::agreement::{FieldAgreement, Pair, PairFigures};
use crate::chart::forest::words;
use crate::chart::heat::{Sides, heat};
use crate::dossier::TaskDossier;
use crate::markup::{Markup, classed};

/// The section: pairs with a model in sight, humans folded.
pub fn inside(task: &TaskDossier, names: &Names, page: &Page) -> Markup {
    let pairs = task.fields().flat_map(|field| field.pairs.iter().map(move |pair| (field, pair)));
    let is_human = |pair: &Pair| matches!(pair.kind, PairKind::HumanHuman | PairKind::ReferenceHuman);
    let (people, others): (Vec<_>, Vec<_>) =
        pairs.filter(|(_, pair)| matches!(pair.figures, PairFigures::Labels(_))).partition(|(_, pair)| is_human(pair));
    let draw = |pairs: &[(&FieldAgreement, &Pair)]| -> Markup {
        pairs.iter().map(|(field, pair)| of_pair(field, pair, names, page)).collect()
    };
    let shown = people.len().min(MOST_HUMAN_PAIRS);
    let (models, humans) = (draw(&others[..others.len().min(MOST_PAIRS)]), draw(&people[..shown]));
    let left_out = match others.len().saturating_sub(MOST_PAIRS) {
        0 => String::new(),
        more => format!(" {more} more pairs are in --json."),
    };
    let note = format!("The fuller a cell, the larger its part of the row; framed cells are agreement.{left_out}");
    let grid = |figures: Markup| -> Markup { classed("div", "pair").child(figures).into() };
    if models.is_empty() {
        return grid(humans);
    }
    let mut models: Markup = [classed("p", "note").text(note).into(), grid(models)].into_iter().collect();
    if !humans.is_empty() {
        let title = match people.len() > shown {
            true => format!("Humans: {shown} of {} pairs, all in --json", people.len()),
            false => "Humans".to_owned(),
        };
        models.push(folded(&title, grid(humans)));
    }
    models
}

fn of_pair(field: &FieldAgreement, pair: &Pair, names: &Names, page: &Page) -> Markup {
    let PairFigures::Labels(labels) = &pair.figures else { return Markup::default() };
    if pair.items == 0 {
        return classed("p", "note")
            .text(format!("{} and {} have no unit in common.", names.get(&pair.a), names.get(&pair.b)))
            .into();
    }
    let (a, b) = (names.get(&pair.a), names.get(&pair.b));
    let found = &labels.agreement;
    let title = format!("{} · {a} and {b}", field.field);
    let note = format!(
        "Rows: {a}; columns: {b}. The same label on {} of {} units.",
        found.confusion.counts.iter().enumerate().map(|(k, row)| row.get(k).copied().unwrap_or(0)).sum::<u64>(),
        pair.items
    );
    let mut header: Vec<String> = vec![format!("{a} ↓ {b} →")];
    header.extend(found.confusion.labels.iter().map(|label| format!("#{label}")));
    let header: Vec<&str> = header.iter().map(String::as_str).collect();
    let counts = (found.confusion.labels.iter().zip(&found.confusion.counts))
        .map(|(label, row)| {
            let counts = row.iter().map(|count| Cell::count(*count as usize));
            std::iter::once(Cell::text(label.as_str())).chain(counts).collect()
        })
        .collect();
    let mut numbers = table(&format!("Counts: {title}"), &header, counts);
    numbers.push(per_label(pair, a, b));
    page.figure(&title, &note, |caption| heat(caption, &found.confusion, Sides { rows: a, columns: b }), numbers)
}

fn per_label(pair: &Pair, a: &str, b: &str) -> Markup {
    let PairFigures::Labels(labels) = &pair.figures else { return Markup::default() };
    let rounded = |value: Option<f64>| Cell::number(value.map(|value| (value * 100.0).round() / 100.0));
    let rows = (labels.agreement.per_label.iter())
        .map(|label| {
            vec![
                Cell::text(label.label.as_str()),
                Cell::count(label.support as usize),
                Cell::count(label.used as usize),
                rounded(label.precision),
                rounded(label.recall),
                rounded(label.f1),
                rounded(label.kappa),
                label.overuse.as_ref().map_or(Cell::text("–"), |one| Cell::ranked(words(one), one.value)),
            ]
        })
        .collect();
    let (by_a, by_b) = (format!("#by {a}"), format!("#by {b}"));
    let header = ["label", &by_a, &by_b, "#precision", "#recall", "#F1", "#κ", "#over-use"];
    table("Each label", &header, rows)
}
