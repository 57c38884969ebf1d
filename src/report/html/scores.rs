//! Scores of two raters against one another, and their differences.

use super::parts::{Cell, MOST_HUMAN_PAIRS, MOST_PAIRS, Names, Page, folded, table};
use crate::chart::difference::difference;
use crate::chart::scatter::{Point, scatter};
use crate::dossier::TaskDossier;
use crate::dossier::scores::ScorePlot;
use crate::markup::{Markup, classed};
use crate::report::plural;

/// The section: pairs with a model in sight, humans folded.
pub fn inside(task: &TaskDossier, names: &Names, page: &Page) -> Markup {
    let (models, humans): (Vec<&ScorePlot>, Vec<&ScorePlot>) = task.scores.iter().partition(|plot| plot.is_model);
    let made = |plots: &[&ScorePlot]| -> Markup { plots.iter().map(|plot| pair(plot, names, page)).collect() };
    let shown = &humans[..humans.len().min(MOST_HUMAN_PAIRS)];
    if models.is_empty() {
        return made(shown);
    }
    let mut all = made(&models[..models.len().min(MOST_PAIRS)]);
    if let more @ 1.. = models.len().saturating_sub(MOST_PAIRS) {
        all.push(classed("p", "note").text(format!("{more} more plots are in --json.")));
    }
    if !humans.is_empty() {
        let title = match humans.len() > shown.len() {
            true => format!("Humans with one another: {} of {} plots, all in --json", shown.len(), humans.len()),
            false => "Humans with one another".to_owned(),
        };
        all.push(folded(&title, made(shown)));
    }
    all
}

fn pair(plot: &ScorePlot, names: &Names, page: &Page) -> Markup {
    let (a, b) = (names.get(&plot.a), names.get(&plot.b));
    let rounded = if plot.rounded { " Scores are rounded to a grid." } else { "" };
    let title = format!("{} · {a} and {b}", plot.field);
    let note = format!(
        "{}; a dot is the larger, the more units it stands for. On the line both give the same score.{rounded}",
        plural(plot.items as u64, "unit")
    );
    let together = page.figure(
        &title,
        &note,
        |caption| scatter(caption, (a, b), plot.ends, &plot.points),
        points_table(&title, [a, b], &plot.points),
    );
    let apart = page.figure(
        &format!("{} · difference, {b} less {a}", plot.field),
        "Bland and Altman: the band holds 95 % of the differences, if they are normal and no two units of a session alike.",
        |caption| difference(caption, plot.ends, &plot.differences, &plot.limits),
        points_table(&format!("{title}: differences"), ["mean", "difference"], &plot.differences),
    );
    classed("div", "pair").child(together).child(apart).into()
}

fn points_table(title: &str, [x, y]: [&str; 2], points: &[Point]) -> Markup {
    const MOST: usize = 60;
    let mut frequent = points.to_vec();
    frequent.sort_by_key(|point| std::cmp::Reverse(point.count));
    let row = |point: &Point| vec![Cell::number(Some(point.x)), Cell::number(Some(point.y)), Cell::count(point.count)];
    let rows = frequent.iter().take(MOST).map(row).collect();
    let (x, y) = (format!("#{x}"), format!("#{y}"));
    let caption = match points.len() > MOST {
        true => format!("{title}: the {MOST} most frequent of {} points; all are in --json", points.len()),
        false => title.to_owned(),
    };
    table(&caption, &[&x, &y, "#units"], rows)
}
