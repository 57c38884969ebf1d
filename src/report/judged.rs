//! A judged field as text: agreement first, then what tells how far to trust it.

use super::terminal::{Style, TableOptions, agreement_table, cell, percent, plain_table, push_lines};
use crate::agreement::estimate::{Estimate, short};
use crate::agreement::field::{Pair, PairFigures};
use crate::agreement::interval::FEWEST_CLUSTERS;
use crate::evaluation::ConfidenceSource;
use crate::evaluation::judged::calibration::Calibration;
use crate::evaluation::judged::consistency::SelfConsistency;
use crate::evaluation::judged::groups::Groups;
use crate::evaluation::judged::stand_in::StandIn;
use crate::evaluation::judged::{JudgedField, Weighted};

/// A judged field as text.
pub fn judged_table(field: &JudgedField, options: TableOptions) -> String {
    let mut text = agreement_table(&field.agreement, options);
    let mut section = |part: String| {
        if !part.is_empty() {
            text.push('\n');
            text.push_str(&part);
        }
    };
    section(field.groups.as_ref().map_or(String::new(), |groups| by_groups(groups, options)));
    section(weighted(&field.weighted, options));
    section(self_consistency(&field.self_consistency, options));
    for calibration in &field.calibration {
        section(calibrated(calibration, options));
    }
    section(stand_ins(&field.alternative_annotator, options));
    text
}

fn number(value: Option<f64>) -> String {
    value.map_or("–".to_owned(), short)
}

/// A coefficient in a column; why it is undefined goes into the notes.
fn figure(estimate: &Estimate, what: &str, notes: &mut Vec<String>) -> String {
    cell(estimate, Style::Coefficient, what, notes)
}

/// The notes below a table, each once.
fn with_notes(mut text: String, mut notes: Vec<String>) -> String {
    notes.sort();
    notes.dedup();
    push_lines(&mut text, "note", &notes);
    text
}

fn by_groups(groups: &Groups, options: TableOptions) -> String {
    let every_pair = groups.groups.iter().flat_map(|group| &group.pairs);
    let any_measured = every_pair.clone().any(|pair| pair.kind.measures_a_model());
    let scores = every_pair.into_iter().any(|pair| matches!(pair.figures, PairFigures::Scores(_)));
    let mut header = vec![groups.by.as_str(), "raters"];
    header.extend(if scores { vec!["bias", "MAE", "ICC(A,1)"] } else { vec!["κ", "AC1", "agree"] });
    header.extend(["items", "clusters"]);
    let (mut rows, mut notes, mut small) = (vec![], vec![], vec![]);
    for group in &groups.groups {
        let mut own_notes = vec![];
        let is_shown = |pair: &&Pair| !any_measured || pair.kind.measures_a_model();
        for pair in group.pairs.iter().filter(is_shown) {
            let what = |name: &str| format!("{name} of {} – {} in {}", pair.a, pair.b, group.group);
            let mut row = vec![group.group.clone(), format!("{} – {}", pair.a, pair.b)];
            match &pair.figures {
                PairFigures::Labels(figures) => {
                    let found = &figures.agreement;
                    row.push(figure(&found.cohen_kappa, &what("κ"), &mut own_notes));
                    row.push(figure(&found.gwet_ac1, &what("AC1"), &mut own_notes));
                    row.push(found.percent.map_or("–".to_owned(), percent));
                }
                PairFigures::Scores(found) => {
                    row.push(cell(&found.bias, Style::Score, &what("bias"), &mut own_notes));
                    row.push(cell(&found.mae, Style::Score, &what("MAE"), &mut own_notes));
                    row.push(figure(&found.icc_a1, &what("ICC(A,1)"), &mut own_notes));
                }
            }
            row.extend([pair.items.to_string(), pair.clusters.to_string()]);
            rows.push(row);
        }
        match group.clusters < FEWEST_CLUSTERS {
            true => small.push(group.group.as_str()),
            false => notes.extend(own_notes),
        }
    }
    if !small.is_empty() {
        notes.push(format!("no intervals for {}: fewer than {FEWEST_CLUSTERS} clusters", small.join(", ")));
    }
    if groups.without_group > 0 {
        notes.push(format!("{} items are in no group of `{}`", groups.without_group, groups.by));
    }
    with_notes(plain_table(&header, rows, options), notes)
}

fn weighted(found: &[Weighted], options: TableOptions) -> String {
    if found.is_empty() {
        return String::new();
    }
    let mut notes = vec![];
    let rows = (found.iter())
        .map(|one| {
            let figures = &one.figures;
            vec![
                one.rater.clone(),
                figure(&figures.cohen_kappa, &format!("weighted κ of {}", one.rater), &mut notes),
                figure(&figures.percent_agreement, &format!("weighted agreement of {}", one.rater), &mut notes),
                figures.items.to_string(),
                format!("{:.0}", figures.effective_items),
            ]
        })
        .collect();
    let header = ["weighted by 1/π, with the reference", "κ", "agree", "items", "worth"];
    with_notes(plain_table(&header, rows, options), notes)
}

fn self_consistency(found: &[SelfConsistency], options: TableOptions) -> String {
    if found.is_empty() {
        return String::new();
    }
    let mut notes = vec!["a model that agrees with itself can be wrong all the same: this bounds nothing".to_owned()];
    let rows = (found.iter())
        .map(|one| {
            let spread = match one.mean_standard_deviation {
                Some(deviation) => format!("sd {deviation:.1}"),
                None => number(one.mean_vote_share),
            };
            vec![
                one.rater.clone(),
                figure(&one.krippendorff_alpha, &format!("α of the samples of {}", one.rater), &mut notes),
                one.unanimous.map_or("–".to_owned(), percent),
                spread,
                one.tied.map_or("–".to_owned(), |tied| tied.to_string()),
                one.samples.to_string(),
                one.units.to_string(),
            ]
        })
        .collect();
    let header = ["samples of one model", "α", "all alike", "vote share", "tied", "samples", "items"];
    with_notes(plain_table(&header, rows, options), notes)
}

fn calibrated(found: &Calibration, options: TableOptions) -> String {
    let source = match found.source {
        ConfidenceSource::Stated => "as it says",
        ConfidenceSource::VoteShare => "share of its samples",
        ConfidenceSource::Column => "column of the items file",
    };
    let mut notes = vec![];
    let mut text = format!("confidence of {} ({source}), on {} items with gold\n", found.rater, found.items);
    let parts = [
        format!("right {}", figure(&found.accuracy, "accuracy", &mut notes)),
        format!("surer than right by {}", figure(&found.overconfidence, "overconfidence", &mut notes)),
        format!("Brier {}", figure(&found.brier, "Brier score", &mut notes)),
        format!("AUROC {}", number(found.auroc_correct)),
        format!("calibration error {}", number(found.expected_calibration_error)),
        format!("error rate of the surer half {}", number(found.risk_at_coverage_50)),
    ];
    text.push_str(&format!(" {}\n", parts.join(", ")));
    let rows = (found.reliability.iter())
        .map(|bin| vec![String::new(), short(bin.confidence), short(bin.accuracy), bin.items.to_string()])
        .collect();
    text.push_str(&plain_table(&["", "mean confidence", "share right", "items"], rows, options));
    if let Some(line) = &found.routing {
        text.push_str(&format!(
            "from a confidence of {} on ({} of items) the error rate is {}, below .05 with a certainty of .95; try it on other items\n",
            short(line.threshold),
            percent(line.coverage),
            short(line.risk)
        ));
    }
    push_lines(&mut text, "warning", &found.warnings);
    with_notes(text, notes)
}

fn stand_ins(found: &[StandIn], options: TableOptions) -> String {
    let Some(first) = found.first() else { return String::new() };
    let what = format!("alternative annotator test (ε = {})", short(first.epsilon));
    if found.iter().all(|one| one.contests.is_empty()) {
        let why = first.warnings.last().map_or("nobody is tested", String::as_str);
        return format!("{what}: {why}\n");
    }
    let of_all = |warning: &&String| found.iter().all(|one| one.warnings.contains(warning));
    let mut warnings: Vec<String> = first.warnings.iter().filter(of_all).cloned().collect();
    let mut rows: Vec<Vec<String>> = vec![];
    for one in found {
        rows.push(vec![
            one.rater.clone(),
            number(one.winning_rate),
            number(one.winning_rate_clustered),
            number(one.advantage),
            one.passes.map_or("not tested", |passes| if passes { "yes" } else { "no" }).to_owned(),
            one.contests.len().to_string(),
        ]);
        let own = one.warnings.iter().filter(|warning| !of_all(warning));
        warnings.extend(own.map(|warning| format!("{}: {warning}", one.rater)));
    }
    let header = [&what, "ω", "ω by clusters", "ρ", "passes", "humans"];
    let mut text = plain_table(&header, rows, options);
    push_lines(&mut text, "warning", &warnings);
    text
}
