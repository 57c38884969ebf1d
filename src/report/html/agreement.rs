//! How far raters agree: a forest plot of every field, all coefficients of every pair, and each collapse.

use super::parts::{Cell, Names, Page, folded, table};
use crate::agreement::all::AllFigures;
use crate::agreement::field::PairKind;
use crate::agreement::{Estimate, FieldAgreement, Level, Pair, PairFigures};
use crate::chart::forest::{Row, forest, words};
use crate::dossier::TaskDossier;
use crate::markup::Markup;
use crate::report::plural;

/// A line of the forest, before it is drawn.
struct Line<'a> {
    name: String,
    note: String,
    estimate: &'a Estimate,
    is_human: bool,
    ceiling: Option<&'a Estimate>,
}

/// The section.
pub fn inside(task: &TaskDossier, names: &Names, page: &Page) -> Markup {
    let mut made = Markup::default();
    for is_score in [false, true] {
        let fields: Vec<&FieldAgreement> = task
            .fields()
            .filter(|field| (field.level == Level::Interval) == is_score && !field.pairs.is_empty())
            .collect();
        if fields.is_empty() {
            continue;
        }
        let several = fields.len() > 1;
        let lines: Vec<Line<'_>> = fields.iter().flat_map(|field| lines(field, several, names)).collect();
        let rows: Vec<Row<'_>> = (lines.iter())
            .map(|line| Row {
                name: &line.name,
                note: &line.note,
                estimate: line.estimate,
                is_human: line.is_human,
                ceiling: line.ceiling,
            })
            .collect();
        let (title, axis) = if is_score {
            ("Agreement on scores", "ICC(A,1): 0 is none, 1 is the same scores throughout")
        } else {
            ("Agreement on labels", "Cohen’s κ: 0 is chance, 1 is agreement throughout")
        };
        let note = match lines.iter().any(|line| line.ceiling.is_some()) {
            true => {
                "◆ a model against the reference, ● humans with one another; the band is what humans reach on the same units as the model."
            }
            false => "◆ two raters. Without two humans beside the models there is no ceiling to hold them against.",
        };
        let numbers = if is_score { score_table(&fields, names) } else { label_table(&fields, names) };
        made.push(page.figure(
            &format!("{title} in {}", task.task),
            note,
            |caption| forest(caption, axis, &rows),
            numbers,
        ));
    }
    let collapses = collapse_rows(task, names);
    if !collapses.is_empty() {
        let header = ["field", "collapse", "pair", "#units", "#κ"];
        made.push(folded("With labels collapsed", table("Agreement with labels collapsed", &header, collapses)));
    }
    made
}

/// Models against the reference, then the humans: their pair, or the mean of their pairs.
fn lines<'a>(field: &'a FieldAgreement, several: bool, names: &Names) -> Vec<Line<'a>> {
    let lead =
        if several { format!("{} · ", field.field.rsplit('.').next().unwrap_or_default()) } else { String::new() };
    let ceiling = |rater: &str| {
        let found = field.human_ceiling.as_ref()?.models.iter().find(|model| model.rater == rater)?;
        Some(&found.mean_human_human)
    };
    let is_model = |pair: &&Pair| !matches!(pair.kind, PairKind::HumanHuman | PairKind::ReferenceHuman);
    let mut lines: Vec<Line<'_>> = (field.pairs.iter().filter(is_model))
        .map(|pair| Line {
            name: match pair.kind {
                PairKind::ReferenceModel => format!("{lead}{}", names.get(&pair.b)),
                _ => format!("{lead}{} – {}", names.get(&pair.a), names.get(&pair.b)),
            },
            note: counted(pair),
            estimate: headline(pair),
            is_human: false,
            ceiling: ceiling(&pair.b),
        })
        .collect();
    let humans: Vec<&Pair> = field.pairs.iter().filter(|pair| pair.kind == PairKind::HumanHuman).collect();
    match (humans.as_slice(), field.all.as_ref().map(|all| (&all.figures, all.items))) {
        ([], _) => {}
        ([pair], _) => lines.push(Line {
            name: format!("{lead}{} – {}", pair.a, pair.b),
            note: counted(pair),
            estimate: headline(pair),
            is_human: true,
            ceiling: None,
        }),
        (several, Some((figures, items))) => lines.push(Line {
            name: format!("{lead}humans, {} pairs", several.len()),
            note: plural(items as u64, "unit"),
            estimate: match figures {
                AllFigures::Labels(labels) => &labels.mean_pairwise_kappa.estimate,
                AllFigures::Scores(scores) => &scores.icc_a1,
            },
            is_human: true,
            ceiling: None,
        }),
        (_, None) => {}
    }
    lines
}

fn counted(pair: &Pair) -> String {
    format!("{}, {}", plural(pair.items as u64, "unit"), plural(pair.clusters as u64, "session"))
}

fn headline(pair: &Pair) -> &Estimate {
    match &pair.figures {
        PairFigures::Labels(labels) => &labels.agreement.cohen_kappa,
        PairFigures::Scores(scores) => &scores.icc_a1,
    }
}

fn coefficient(estimate: &Estimate) -> Cell {
    Cell::ranked(words(estimate), estimate.value)
}

/// Why coefficients are undefined or have no interval, each reason once.
fn reasons(estimates: &[(&str, &Estimate)]) -> Cell {
    let mut told: Vec<(&str, Vec<&str>)> = vec![];
    for (name, estimate) in estimates {
        let Some(reason) = estimate.undefined.as_deref() else { continue };
        match told.iter_mut().find(|(known, _)| *known == reason) {
            Some((_, names)) => names.push(name),
            None => told.push((reason, vec![name])),
        }
    }
    let lines: Vec<String> = told.iter().map(|(reason, names)| format!("{}: {reason}", names.join(", "))).collect();
    Cell::text(lines.join("; "))
}

fn pair_cells(field: &FieldAgreement, pair: &Pair, names: &Names) -> Vec<Cell> {
    vec![
        Cell::text(format!("{} – {}", names.get(&pair.a), names.get(&pair.b))),
        Cell::text(field.field.as_str()),
        Cell::count(pair.items),
        Cell::count(pair.clusters),
    ]
}

fn label_table(fields: &[&FieldAgreement], names: &Names) -> Markup {
    let mut rows = vec![];
    for (field, pair) in fields.iter().flat_map(|field| field.pairs.iter().map(move |pair| (field, pair))) {
        let PairFigures::Labels(labels) = &pair.figures else { continue };
        let found = &labels.agreement;
        rows.push(
            pair_cells(field, pair, names)
                .into_iter()
                .chain([
                    Cell::share(found.percent),
                    coefficient(&found.cohen_kappa),
                    coefficient(&found.gwet_ac1),
                    coefficient(&found.brennan_prediger),
                    coefficient(&found.scott_pi),
                    Cell::number(found.macro_f1.map(|f1| (f1 * 1000.0).round() / 1000.0)),
                    reasons(&[
                        ("κ", &found.cohen_kappa),
                        ("AC1", &found.gwet_ac1),
                        ("B–P", &found.brennan_prediger),
                        ("π", &found.scott_pi),
                    ]),
                ])
                .collect(),
        );
    }
    let header = [
        "pair",
        "field",
        "#units",
        "#sessions",
        "#same label",
        "#Cohen’s κ",
        "#Gwet’s AC1",
        "#Brennan–Prediger",
        "#Scott’s π",
        "#macro F1",
        "notes",
    ];
    table("Every pair of raters", &header, rows)
}

fn score_table(fields: &[&FieldAgreement], names: &Names) -> Markup {
    let mut rows = vec![];
    for (field, pair) in fields.iter().flat_map(|field| field.pairs.iter().map(move |pair| (field, pair))) {
        let PairFigures::Scores(found) = &pair.figures else { continue };
        let plain = |estimate: &Estimate| Cell::ranked(interval(estimate), estimate.value);
        rows.push(
            pair_cells(field, pair, names)
                .into_iter()
                .chain([
                    coefficient(&found.icc_a1),
                    coefficient(&found.icc_c1),
                    coefficient(&found.ccc),
                    coefficient(&found.spearman),
                    plain(&found.bias),
                    plain(&found.mae),
                    plain(&found.rmse),
                    reasons(&[
                        ("ICC(A,1)", &found.icc_a1),
                        ("ICC(C,1)", &found.icc_c1),
                        ("concordance", &found.ccc),
                        ("ρ", &found.spearman),
                    ]),
                ])
                .collect(),
        );
    }
    let header = [
        "pair",
        "field",
        "#units",
        "#sessions",
        "#ICC(A,1)",
        "#ICC(C,1)",
        "#concordance",
        "#Spearman’s ρ",
        "#bias",
        "#mean abs. error",
        "#RMSE",
        "notes",
    ];
    table("Every pair of raters", &header, rows)
}

/// In units of the scale, to a tenth.
fn interval(estimate: &Estimate) -> String {
    let tenth = |value: f64| crate::chart::scale::number((value * 10.0).round() / 10.0);
    match (estimate.value, estimate.low, estimate.high) {
        (Some(value), Some(low), Some(high)) => format!("{} [{}, {}]", tenth(value), tenth(low), tenth(high)),
        (Some(value), ..) => tenth(value),
        (None, ..) => "undefined".to_owned(),
    }
}

fn collapse_rows(task: &TaskDossier, names: &Names) -> Vec<Vec<Cell>> {
    let mut rows = vec![];
    for (field, pair) in task.fields().flat_map(|field| field.pairs.iter().map(move |pair| (field, pair))) {
        let PairFigures::Labels(labels) = &pair.figures else { continue };
        for (name, figures) in &labels.collapses {
            rows.push(vec![
                Cell::text(field.field.as_str()),
                Cell::text(name.as_str()),
                Cell::text(format!("{} – {}", names.get(&pair.a), names.get(&pair.b))),
                Cell::count(figures.items),
                coefficient(&figures.agreement.cohen_kappa),
            ]);
        }
    }
    rows
}
