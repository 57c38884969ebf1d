//! Agreement as text: one table of pairs at a glance, then what stands behind each pair.
//!
//! Takes a [`FieldAgreement`], gives a string without colours. Ends of intervals are cut to the range of the coefficient here, and only here.

use crate::agreement::all::{All, AllFigures};
use crate::agreement::benchmark::Benchmark;
use crate::agreement::ceiling::HumanCeiling;
use crate::agreement::estimate::{Estimate, short};
use crate::agreement::field::{FieldAgreement, LabelFigures, Pair, PairFigures};
use crate::agreement::label_pair::LabelAgreement;
use crate::agreement::score_pair::ScoreAgreement;
use crate::agreement::sets::SetFigures;
use comfy_table::{CellAlignment, ContentArrangement, Table, presets};

/// How to print.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TableOptions {
    /// Columns of the terminal; cells are wrapped to fit. None: as wide as it takes.
    pub width: Option<u16>,
    /// Whether to show what stands behind each pair: labels, confusion matrix, collapses.
    pub details: bool,
}

impl Default for TableOptions {
    fn default() -> TableOptions {
        TableOptions { width: None, details: true }
    }
}

/// One field's agreement as text.
pub fn agreement_table(found: &FieldAgreement, options: TableOptions) -> String {
    let mut text = heading(found);
    let mut notes = vec![];
    text.push_str(&pairs_table(found, options, &mut notes));
    if let Some(all) = &found.all {
        text.push_str(&panel_lines(all, &mut notes));
    }
    if let Some(ceiling) = &found.human_ceiling {
        text.push_str(&ceiling_lines(ceiling, found, options, &mut notes));
    }
    notes.sort();
    notes.dedup();
    push_lines(&mut text, "note", &notes);
    push_lines(&mut text, "warning", &found.warnings);
    let any_measured = found.pairs.iter().any(|pair| pair.kind.measures_a_model());
    for pair in found.pairs.iter().filter(|pair| !any_measured || pair.kind.measures_a_model()) {
        text.push_str(&pair_details(pair, options));
    }
    text
}

fn heading(found: &FieldAgreement) -> String {
    let task = found.task.as_ref().map(|task| format!("{task} · ")).unwrap_or_default();
    let clusters = match found.cluster.as_str() {
        "item" => "each item its own cluster".to_owned(),
        cluster => counted(found.clusters, cluster),
    };
    format!(
        "{task}{} ({}): {}, {clusters}; 95 % intervals, {} replicates, seed {}\n\n",
        found.field,
        found.level,
        counted(found.items, "item"),
        found.resampling.replicates,
        found.resampling.seed,
    )
}

pub(super) fn counted(count: usize, noun: &str) -> String {
    if count == 1 { format!("1 {noun}") } else { format!("{count} {noun}s") }
}

pub(super) fn push_lines(text: &mut String, kind: &str, lines: &[String]) {
    for line in lines {
        text.push_str(&format!("{kind}: {line}\n"));
    }
}

/// A table without borders; all columns but the first are aligned to the right.
pub(super) fn plain_table(header: &[&str], rows: Vec<Vec<String>>, options: TableOptions) -> String {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING).set_header(header.iter().map(|name| (*name).to_owned()));
    if let Some(width) = options.width {
        table.set_content_arrangement(ContentArrangement::Dynamic).set_width(width);
    } else {
        table.set_content_arrangement(ContentArrangement::Disabled);
    }
    rows.into_iter().for_each(|row| {
        table.add_row(row);
    });
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    let mut text = table.trim_fmt();
    text.push('\n');
    text
}

/// How a statistic is printed.
#[derive(Clone, Copy)]
pub(super) enum Style {
    /// A coefficient within [−1, 1].
    Coefficient,
    /// A number on the scale of the scores.
    Score,
}

/// `.52 [.38, .65]`; what is undefined is said in a note.
pub(super) fn cell(estimate: &Estimate, style: Style, what: &str, notes: &mut Vec<String>) -> String {
    if let Some(reason) = &estimate.undefined {
        notes.push(format!("{what}: {reason}"));
    }
    let print = |value: f64| match style {
        Style::Coefficient => short(value.clamp(-1.0, 1.0)),
        Style::Score => format!("{value:.1}"),
    };
    match (estimate.value, estimate.low, estimate.high) {
        (None, ..) => "undefined".to_owned(),
        (Some(value), Some(low), Some(high)) => format!("{} [{}, {}]", print(value), print(low), print(high)),
        (Some(value), ..) => print(value),
    }
}

fn pairs_table(found: &FieldAgreement, options: TableOptions, notes: &mut Vec<String>) -> String {
    let scores = found.pairs.iter().any(|pair| matches!(pair.figures, PairFigures::Scores(_)));
    let ordinal = found.pairs.iter().any(|pair| match &pair.figures {
        PairFigures::Labels(figures) => figures.agreement.cohen_kappa_linear.is_some(),
        PairFigures::Scores(_) => false,
    });
    let mut header = match (scores, ordinal) {
        (true, _) => vec!["", "bias", "MAE", "ICC(A,1)", "ICC(C,1)", "Spearman", "items"],
        (false, true) => vec!["", "κ", "κ linear", "κ quadratic", "AC1", "agree", "items"],
        (false, false) => vec!["", "κ", "AC1", "agree", "items"],
    };
    let clusters = format!("{}s", found.cluster);
    if found.cluster != "item" {
        header.push(&clusters);
    }
    let rows = (found.pairs.iter())
        .map(|pair| {
            let mut row = vec![format!("{} – {}", pair.a, pair.b)];
            let name = row[0].clone();
            match &pair.figures {
                PairFigures::Labels(figures) => row.extend(label_cells(&figures.agreement, &name, notes)),
                PairFigures::Scores(figures) => row.extend(score_cells(figures, &name, notes)),
            }
            row.push(pair.items.to_string());
            if found.cluster != "item" {
                row.push(pair.clusters.to_string());
            }
            row
        })
        .collect();
    plain_table(&header, rows, options)
}

fn label_cells(found: &LabelAgreement, name: &str, notes: &mut Vec<String>) -> Vec<String> {
    let mut cells = vec![cell(&found.cohen_kappa, Style::Coefficient, &format!("κ of {name}"), notes)];
    for (weighted, what) in [(&found.cohen_kappa_linear, "linear κ"), (&found.cohen_kappa_quadratic, "quadratic κ")] {
        if let Some(weighted) = weighted {
            cells.push(cell(weighted, Style::Coefficient, &format!("{what} of {name}"), notes));
        }
    }
    cells.push(cell(&found.gwet_ac1, Style::Coefficient, &format!("AC1 of {name}"), notes));
    cells.push(found.percent.map_or("undefined".to_owned(), percent));
    cells
}

/// A share in percent. What is not quite all is not rounded to all.
pub(super) fn percent(share: f64) -> String {
    if (0.995..1.0).contains(&share) { "> 99 %".to_owned() } else { format!("{:.0} %", 100.0 * share) }
}

fn score_cells(found: &ScoreAgreement, name: &str, notes: &mut Vec<String>) -> Vec<String> {
    [
        (&found.bias, Style::Score, "bias"),
        (&found.mae, Style::Score, "MAE"),
        (&found.icc_a1, Style::Coefficient, "ICC(A,1)"),
        (&found.icc_c1, Style::Coefficient, "ICC(C,1)"),
        (&found.spearman, Style::Coefficient, "Spearman"),
    ]
    .into_iter()
    .map(|(estimate, style, what)| cell(estimate, style, &format!("{what} of {name}"), notes))
    .collect()
}

fn panel_lines(all: &All, notes: &mut Vec<String>) -> String {
    if all.raters.len() < 3 {
        return String::new();
    }
    let figures = match &all.figures {
        AllFigures::Labels(found) => vec![
            ("Krippendorff α", &found.krippendorff_alpha),
            ("Fleiss κ", &found.fleiss_kappa),
            ("AC1", &found.gwet_ac1),
            ("mean pairwise κ", &found.mean_pairwise_kappa.estimate),
        ],
        AllFigures::Scores(found) => vec![
            ("Krippendorff α", &found.krippendorff_alpha),
            ("ICC(A,1)", &found.icc_a1),
            ("ICC(C,1)", &found.icc_c1),
        ],
    };
    let printed: Vec<String> = (figures.into_iter())
        .map(|(name, estimate)| {
            format!("{name} {}", cell(estimate, Style::Coefficient, &format!("{name} of all"), notes))
        })
        .collect();
    let shared = counted(all.items, "item");
    format!("\n{} on {shared} that two or more rated\n {}\n", all.raters.join(", "), printed.join("\n "))
}

fn ceiling_lines(
    ceiling: &HumanCeiling,
    found: &FieldAgreement,
    options: TableOptions,
    notes: &mut Vec<String>,
) -> String {
    let statistic = if ceiling.statistic == "icc_a1" { "ICC(A,1)" } else { "κ" };
    let (humans, model) = (format!("human–human {statistic}"), format!("model–human {statistic}"));
    let clusters = format!("{}s", found.cluster);
    let mut header = vec!["same items", &humans, &model, "difference", "items"];
    if found.cluster != "item" {
        header.push(&clusters);
    }
    let rows = (ceiling.models.iter())
        .map(|model| {
            let mut cells = vec![model.rater.clone()];
            for (estimate, what) in [
                (&model.mean_human_human, "human–human"),
                (&model.mean_model_human, "model–human"),
                (&model.difference, "difference"),
            ] {
                cells.push(cell(estimate, Style::Coefficient, &format!("{what} for {}", model.rater), notes));
            }
            cells.push(model.items.to_string());
            if found.cluster != "item" {
                cells.push(model.clusters.to_string());
            }
            cells
        })
        .collect();
    format!("\n{}", plain_table(&header, rows, options))
}

fn pair_details(pair: &Pair, options: TableOptions) -> String {
    let mut text = format!("\n{} – {}\n", pair.a, pair.b);
    if options.details {
        match &pair.figures {
            PairFigures::Labels(figures) => text.push_str(&label_details(figures, pair, options)),
            PairFigures::Scores(figures) => text.push_str(&score_details(figures, pair)),
        }
    }
    if options.details {
        text.push_str(&words(&pair.benchmarks));
    }
    push_lines(&mut text, "warning", &pair.warnings);
    if let PairFigures::Labels(figures) = &pair.figures {
        for (name, collapse) in &figures.collapses {
            for warning in collapse.warnings.iter().filter(|warning| !pair.warnings.contains(warning)) {
                text.push_str(&format!("warning: {name}: {warning}\n"));
            }
        }
    }
    if pair.warnings.is_empty() && !options.details {
        return String::new();
    }
    text
}

/// Words for coefficients, said once with what they are worth.
fn words(benchmarks: &[Benchmark]) -> String {
    if benchmarks.is_empty() {
        return String::new();
    }
    let words: Vec<String> = (benchmarks.iter())
        .map(|one| {
            let statistic = match one.statistic {
                "cohen_kappa" => "κ",
                "icc_a1" => "ICC(A,1)",
                _ => "α",
            };
            format!("{statistic} {} ({}, probability {})", one.word, one.source, short(one.probability))
        })
        .collect();
    format!("in words, at least: {}\n", words.join("; "))
}

/// Sets of labels: no matrix of all sets with all others, but how alike they are.
fn set_details(found: &SetFigures) -> String {
    let mut notes = vec![];
    let figures = [
        ("exact", &found.exact_match),
        ("Jaccard", &found.jaccard),
        ("α with MASI distance", &found.krippendorff_alpha_masi),
        ("micro-F1", &found.micro_f1),
        ("macro-F1", &found.macro_f1),
    ];
    let parts =
        figures.map(|(name, estimate)| format!("{name} {}", cell(estimate, Style::Coefficient, name, &mut notes)));
    let mut text = format!("{}\n", parts.join(", "));
    push_lines(&mut text, "note", &notes);
    text
}

fn label_details(figures: &LabelFigures, pair: &Pair, options: TableOptions) -> String {
    if let Some(sets) = &figures.sets {
        return set_details(sets);
    }
    let found = &figures.agreement;
    let number = |value: Option<f64>| value.map_or("–".to_owned(), short);
    let rows = (found.per_label.iter())
        .map(|label| {
            vec![
                label.label.clone(),
                label.support.to_string(),
                label.used.to_string(),
                number(label.precision),
                number(label.recall),
                number(label.f1),
                number(label.kappa),
            ]
        })
        .collect();
    let header = ["label", &pair.a, &pair.b, "precision", "recall", "F1", "κ"];
    let mut text = plain_table(&header, rows, options);
    text.push_str(&format!("\nconfusion: rows {}, columns {}\n", pair.a, pair.b));
    let labels = &found.confusion.labels;
    let mut header = vec![""];
    header.extend(labels.iter().map(String::as_str));
    let rows = (labels.iter().zip(&found.confusion.counts))
        .map(|(label, counts)| {
            let count = |count: &u64| if *count == 0 { "·".to_owned() } else { count.to_string() };
            std::iter::once(label.clone()).chain(counts.iter().map(count)).collect()
        })
        .collect();
    text.push_str(&plain_table(&header, rows, options));
    if !figures.collapses.is_empty() {
        let mut notes = vec![];
        let rows = (figures.collapses.iter())
            .map(|(name, collapse)| {
                let dropped = if collapse.dropped.is_empty() { "–".to_owned() } else { collapse.dropped.join(", ") };
                let mut row = vec![name.clone()];
                row.push(cell(
                    &collapse.agreement.cohen_kappa,
                    Style::Coefficient,
                    &format!("κ of {name}"),
                    &mut notes,
                ));
                row.push(collapse.agreement.percent.map_or("–".to_owned(), percent));
                row.extend([collapse.items.to_string(), collapse.labels.join(", "), dropped]);
                row
            })
            .collect();
        text.push('\n');
        text.push_str(&plain_table(&["collapse", "κ", "agree", "items", "labels", "dropped"], rows, options));
        push_lines(&mut text, "note", &notes);
    }
    text
}

fn score_details(found: &ScoreAgreement, pair: &Pair) -> String {
    let mut notes = vec![];
    let mut lines = vec![];
    if let (Some(low), Some(high)) = (found.limits_of_agreement.low, found.limits_of_agreement.high) {
        lines.push(format!("limits of agreement {low:.1} to {high:.1}"));
    }
    for (estimate, style, what) in [
        (&found.rmse, Style::Score, "RMSE"),
        (&found.ccc, Style::Coefficient, "CCC"),
        (&found.pearson, Style::Coefficient, "Pearson"),
        (&found.kendall_tau_b, Style::Coefficient, "Kendall τ-b"),
        (&found.krippendorff_alpha, Style::Coefficient, "Krippendorff α"),
    ] {
        lines.push(format!("{what} {}", cell(estimate, style, what, &mut notes)));
    }
    if let (Some(share), Some(mode)) = (found.mode_share.estimate.value, found.mode_share.mode) {
        lines.push(format!("{} gives {mode} for {:.0} % of items", pair.b, 100.0 * share));
    }
    let within: Vec<String> =
        found.within.iter().map(|(most, share)| format!("{:.0} % within {most}", 100.0 * share)).collect();
    let mut text = format!("{}\n", lines.join(", "));
    if !within.is_empty() {
        text.push_str(&format!("{}\n", within.join(", ")));
    }
    push_lines(&mut text, "note", &notes);
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agreement::{Answer, Collapse, Level, RatingsBuilder, Resampling, Settings, agree};

    fn found(level: Level, items: usize, answer: impl Fn(usize, &str) -> Answer) -> FieldAgreement {
        let mut builder = RatingsBuilder::new(level);
        for item in 0..items {
            let id = item.to_string();
            builder.cluster(&id, &(item / 2).to_string()).unwrap();
            ["gold", "m"].iter().for_each(|rater| builder.push(&id, rater, answer(item, rater)).unwrap());
        }
        let map = ["a", "b"].map(|label| (label.to_owned(), Some("ab".to_owned())));
        let map = map.into_iter().chain([("c".to_owned(), Some("c".to_owned()))]).collect();
        let collapse = Collapse { name: "two".to_owned(), map };
        let settings = Settings {
            task: Some("pushback".to_owned()),
            reference: Some("gold".to_owned()),
            collapses: if level == Level::Interval { vec![] } else { vec![collapse] },
            resampling: Resampling { replicates: 200, seed: 1 },
            ..Settings::default()
        };
        agree(&builder.finish().unwrap(), &settings).unwrap()
    }

    fn label(item: usize, rater: &str) -> Answer {
        let shift = usize::from(rater == "m" && item % 6 == 1);
        Answer::Text(["a", "b", "c"][(item + shift) % 3].to_owned())
    }

    #[test]
    fn a_pair_is_readable_at_a_glance() {
        let text = agreement_table(&found(Level::Nominal, 48, label), TableOptions::default());
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(
            lines[0],
            "pushback · label (nominal): 48 items, 24 sessions; 95 % intervals, 200 replicates, seed 1"
        );
        assert!(lines[2].ends_with("κ             AC1  agree  items  sessions"), "{text}");
        assert!(lines[3].starts_with(" gold – m  .75 [.") && lines[3].ends_with("83 %     48        24"), "{text}");
        assert!(text.contains("\nconfusion: rows gold, columns m\n     a  b   c\n a  16  ·   ·\n"), "{text}");
        assert!(text.contains("\n collapse ") && text.contains("\n two "), "{text}");
        assert!(text.lines().all(|line| line == line.trim_end()), "{text}");
    }

    #[test]
    fn what_is_undefined_is_said_in_a_note() {
        let mut builder = RatingsBuilder::new(Level::Nominal);
        for item in 0..20 {
            let id = item.to_string();
            ["gold", "m"].iter().for_each(|rater| builder.push(&id, rater, Answer::Text("c".to_owned())).unwrap());
        }
        let found = agree(&builder.finish().unwrap(), &Settings::default()).unwrap();
        let text = agreement_table(&found, TableOptions { details: false, ..TableOptions::default() });
        assert!(text.contains(" gold – m  undefined"), "{text}");
        assert!(text.contains("note: κ of gold – m: both annotators used only 'c'"), "{text}");
    }

    #[test]
    fn scores_show_bias_error_and_both_intraclass_correlations() {
        let score = |item: usize, rater: &str| {
            Answer::Number((item * 37 % 101) as f64 + if rater == "m" { (item % 7) as f64 } else { 0.0 })
        };
        let text =
            agreement_table(&found(Level::Interval, 60, score), TableOptions { width: Some(100), details: true });
        let header: Vec<&str> = text.lines().nth(2).unwrap().split_whitespace().collect();
        assert_eq!(header, ["bias", "MAE", "ICC(A,1)", "ICC(C,1)", "Spearman", "items", "sessions"]);
        assert!(text.contains("limits of agreement"), "{text}");
    }
}
