//! What confidence is worth: reliability diagrams.

use super::parts::{Cell, Names, Page, table};
use crate::chart::reliability::{interval, reliability};
use crate::chart::scale::{number, percent};
use crate::confidence::calibration::Bin;
use crate::dossier::TaskDossier;
use crate::dossier::confidence::ConfidencePlot;
use crate::markup::{Markup, classed, tag};
use crate::report::plural;

/// The section.
pub fn inside(task: &TaskDossier, names: &Names, page: &Page) -> Markup {
    let plots = task.confidence.iter().map(|plot| one(plot, names, page));
    classed("div", "pair").children(plots).into()
}

fn one(plot: &ConfidencePlot, names: &Names, page: &Page) -> Markup {
    let title = format!("{} · how sure {} is", plot.field, names.get(&plot.rater));
    let note = format!(
        "Sure by {}; {} with gold. On the line, 80 % sure is right in 80 %. Below: units by how sure.",
        plot.source,
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
    let rows = plot.bins.iter().map(row).collect();
    let shown =
        |value: Option<f64>| value.map_or("undefined".to_owned(), |value| number((value * 1000.0).round() / 1000.0));
    let figures = format!(
        "right {}, Brier score {}, calibration error {}, area under the curve {}",
        plot.accuracy.map_or("–".to_owned(), percent),
        shown(plot.brier),
        shown(plot.calibration_error),
        shown(plot.area_under_curve)
    );
    let mut made = page.figure(
        &title,
        &note,
        |caption| reliability(caption, &plot.bins),
        table(&title, &["#sure", "#right", "#units"], rows),
    );
    made.push(classed("p", "note").text(figures));
    made.push(plot.warnings.iter().map(|warning| classed("p", "note").text(warning)).collect::<Markup>());
    tag("div").child(made).into()
}
