//! A forest plot: a line a coefficient, its interval, and as a band what humans reach on the same items.

use super::scale::{Scale, number};
use super::{Caption, WIDTH, diamond, drawing, label, line, rectangle, shortened, whisker};
use crate::agreement::Estimate;
use crate::agreement::estimate::short;
use crate::markup::{Markup, Tag, classed, tag};

/// Where the names end, and the plot begins and ends.
const NAMES: f64 = 250.0;
const PLOT: (f64, f64) = (262.0, 552.0);
const ROW: f64 = 30.0;
const TOP: f64 = 10.0;
const AXIS: f64 = 40.0;
/// Characters that have room before the plot.
const ROOM: usize = 36;

/// A line of the plot.
#[derive(Debug, Clone, Copy)]
pub struct Row<'a> {
    /// Whose coefficient.
    pub name: &'a str,
    /// What it is of, such as `231 units`.
    pub note: &'a str,
    /// The coefficient.
    pub estimate: &'a Estimate,
    /// Whether it is of two humans: these are drawn as circles, models as diamonds.
    pub is_human: bool,
    /// What humans reach with one another on the same items.
    pub ceiling: Option<&'a Estimate>,
}

/// The plot of `rows`; `axis` says what is measured.
pub fn forest(caption: Caption<'_>, axis: &str, rows: &[Row<'_>]) -> Markup {
    let height = TOP + ROW * rows.len() as f64 + AXIS;
    let scale = Scale::new(ends(rows), PLOT);
    let bottom = TOP + ROW * rows.len() as f64;
    let mut chart = drawing(caption, WIDTH, height);
    // Bands lie below everything.
    for (nth, row) in rows.iter().enumerate() {
        if let Some(ceiling) = row.ceiling {
            chart = chart.children(band(&scale, TOP + ROW * nth as f64, ceiling));
        }
    }
    for tick in scale.ticks(6) {
        let Some(x) = scale.place(tick) else { continue };
        let class = if tick.abs() < 1e-9 { "zero" } else { "grid" };
        chart = chart.child(line(class, (x, TOP), (x, bottom))).child(label(
            "tick",
            x,
            bottom + 16.0,
            "middle",
            number(tick),
        ));
    }
    for (nth, row) in rows.iter().enumerate() {
        chart = chart.child(line_of(&scale, TOP + ROW * nth as f64, row));
    }
    chart.child(label("axis", (PLOT.0 + PLOT.1) / 2.0, bottom + 34.0, "middle", axis)).into()
}

/// From 0, or below where an interval reaches there, to 1.
fn ends(rows: &[Row<'_>]) -> (f64, f64) {
    let lowest = rows
        .iter()
        .flat_map(|row| [Some(row.estimate), row.ceiling])
        .flatten()
        .flat_map(|estimate| [estimate.low, estimate.value])
        .flatten()
        .fold(0.0, f64::min);
    // Chance agreement is 0 and little lies far below; arrows tell of what does.
    (((lowest * 5.0).floor() / 5.0).max(-0.6), 1.0)
}

fn band(scale: &Scale, y: f64, ceiling: &Estimate) -> Vec<Tag> {
    let mut parts = vec![];
    if let (Some((low, _)), Some((high, _))) =
        (ceiling.low.and_then(|x| scale.held(x)), ceiling.high.and_then(|x| scale.held(x)))
    {
        parts.push(
            rectangle("band", (low, y), high - low, ROW)
                .child(tag("title").text(format!("humans: {}", words(ceiling)))),
        );
    }
    if let Some((x, _)) = ceiling.value.and_then(|x| scale.held(x)) {
        parts.push(line("ceiling", (x, y), (x, y + ROW)));
    }
    parts
}

fn line_of(scale: &Scale, top: f64, row: &Row<'_>) -> Tag {
    let middle = top + ROW / 2.0;
    let full = format!("{}: {} ({})", row.name, words(row.estimate), row.note);
    let mut group = tag("g")
        .child(tag("title").text(full))
        .child(label("name", NAMES, middle, "end", shortened(row.name, ROOM)))
        .child(label("note", NAMES, middle + 11.0, "end", row.note))
        .children(whisker("whisker", scale, middle, row.estimate));
    if let Some((x, _)) = row.estimate.value.and_then(|x| scale.held(x)) {
        let is_sure = row.estimate.low.is_some();
        group = group.child(match (row.is_human, is_sure) {
            (true, true) => classed("circle", "human").at("cx", x).at("cy", middle).at("r", 4.5),
            (true, false) => classed("circle", "hollow").at("cx", x).at("cy", middle).at("r", 4.5),
            (false, true) => diamond("model", x, middle, 6.0),
            (false, false) => diamond("hollow", x, middle, 6.0),
        });
    }
    group.child(label("value", WIDTH, middle + 4.0, "end", words(row.estimate)))
}

/// `.52 [.38, .65]`, as tables have it.
pub fn words(estimate: &Estimate) -> String {
    match (estimate.value, estimate.low, estimate.high) {
        (Some(value), Some(low), Some(high)) => {
            format!("{} [{}, {}]", minus(value), minus(low.max(-1.0)), minus(high.min(1.0)))
        }
        (Some(value), ..) => format!("{} (no interval)", minus(value)),
        (None, ..) => "undefined".to_owned(),
    }
}

fn minus(value: f64) -> String {
    short(value).replace('-', "−")
}

#[cfg(test)]
mod tests {
    use super::*;

    const CAPTION: Caption<'static> = Caption { id: "f", title: "t", description: "d" };

    fn row<'a>(estimate: &'a Estimate, ceiling: Option<&'a Estimate>) -> Row<'a> {
        Row { name: "m", note: "9 units", estimate, is_human: false, ceiling }
    }

    #[test]
    fn a_value_its_interval_and_the_ceiling_stand_where_they_should() {
        let (estimate, ceiling) = (
            Estimate::with_interval(0.5, None, (0.25, 0.75), "m"),
            Estimate::with_interval(0.8, None, (0.7, 0.9), "m"),
        );
        let drawn = forest(CAPTION, "κ", &[row(&estimate, Some(&ceiling))]);
        let drawn = drawn.as_str();
        // From 0 at 262 to 1 at 552.
        assert!(
            drawn.contains("<line class=\"whisker\" x1=\"334.5\" y1=\"25\" x2=\"479.5\" y2=\"25\"></line>"),
            "{drawn}"
        );
        assert!(
            drawn.contains("<polygon class=\"model\" points=\"407,19 413,25 407,31 401,25\"></polygon>"),
            "{drawn}"
        );
        assert!(drawn.contains("<rect class=\"band\" x=\"465\" y=\"10\" width=\"58\" height=\"30\">"), "{drawn}");
        assert!(drawn.contains("<line class=\"ceiling\" x1=\"494\" y1=\"10\" x2=\"494\" y2=\"40\"></line>"), "{drawn}");
        assert!(drawn.contains(">.50 [.25, .75]</text>"), "{drawn}");
    }

    #[test]
    fn without_an_interval_the_mark_is_hollow_and_without_a_value_there_is_none() {
        let (bare, undefined) = (Estimate::without_interval(-0.07, "few"), Estimate::undefined("no items"));
        let drawn = forest(CAPTION, "κ", &[row(&bare, None)]);
        assert!(drawn.as_str().contains("class=\"hollow\"") && drawn.as_str().contains("−.07 (no interval)"));
        assert!(drawn.as_str().contains(">−0.2</text>"), "the scale begins below 0: {}", drawn.as_str());
        let drawn = forest(CAPTION, "κ", &[row(&undefined, Some(&undefined))]);
        assert!(drawn.as_str().contains("undefined") && !drawn.as_str().contains("class=\"band\""));
        assert!(!drawn.as_str().contains("polygon"));
    }

    #[test]
    fn no_rows_and_numbers_that_are_none_are_drawn_all_the_same() {
        let nothing = Estimate::with_interval(f64::NAN, None, (f64::NAN, f64::NAN), "m");
        for rows in [vec![], vec![row(&nothing, Some(&nothing))]] {
            let drawn = forest(CAPTION, "κ", &rows);
            assert!(drawn.as_str().starts_with("<svg") && !drawn.as_str().contains("=\"NaN"), "{}", drawn.as_str());
        }
    }
}
