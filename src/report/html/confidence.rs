//! What confidence is worth: reliability diagrams.

use super::parts::{Cell, Names, Page, table};
use crate::chart::forest::words;
use crate::chart::reliability::{interval, reliability};
use crate::chart::scale::{number, percent};
use crate::confidence::calibration::Bin;
use crate::dossier::TaskDossier;
use crate::evaluation::ConfidenceSource;
use crate::evaluation::judged::JudgedField;
use crate::evaluation::judged::calibration::Calibration;
use crate::markup::{Markup, classed, tag};
use crate::report::plural;

/// The section.
pub fn inside(task: &TaskDossier, names: &Names, page: &Page) -> Markup {
    let of_field = |field: &JudgedField| -> Vec<Markup> {
        field.calibration.iter().map(|found| one(&field.agreement.field, found, names, page)).collect()
    };
    let plots = task.agreement.iter().flat_map(of_field);
    classed("div", "pair").children(plots).into()
}

fn one(field: &str, plot: &Calibration, names: &Names, page: &Page) -> Markup {
    let title = format!("{field} · how sure {} is", names.get(&plot.rater));
    let source = match plot.source {
        ConfidenceSource::Stated => "what it says of itself",
        ConfidenceSource::VoteShare => "the share of its samples that agree",
        ConfidenceSource::Column => "a column of the items file",
    };
    let note = format!(
        "Sure by {}; {} with gold. On the line, 80 % sure is right in 80 %. Below: units by how sure.",
        source,
        plural(plot.items as u64, "unit")
    );
    let row = |bin: &Bin| {
        let ends = interval(bin).map_or(String::new(), |(low, high)| format!(" [{}, {}]", percent(low), percent(high)));
        vec![
            Cell::share(Some(bin.confidence)),
            Cell::ranked(format!("{}{ends}", percent(bin.accuracy)), Some(bin.accuracy)),
            Cell::count(bin.items),
        ]
    };
    let rows = plot.reliability.iter().map(row).collect();
    let shown =
        |value: Option<f64>| value.map_or("undefined".to_owned(), |value| number((value * 1000.0).round() / 1000.0));
    let figures = format!(
        "right {}, surer than right by {}, Brier score {}, calibration error {}, AUROC {}",
        words(&plot.accuracy),
        words(&plot.overconfidence),
        words(&plot.brier),
        shown(plot.expected_calibration_error),
        shown(plot.auroc_correct)
    );
    let mut made = page.figure(
        &title,
        &note,
        |caption| reliability(caption, &plot.reliability),
        table(&title, &["#sure", "#right", "#units"], rows),
    );
    made.push(classed("p", "note").text(figures));
    made.push(plot.warnings.iter().map(|warning| classed("p", "note").text(warning)).collect::<Markup>());
    tag("div").child(made).into()
}
