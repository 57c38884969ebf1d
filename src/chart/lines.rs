//! A coefficient over versions of a codebook: a line a model, with a mark of its own for each.

use super::scale::{Scale, number};
use super::{Caption, WIDTH, diamond, drawing, label, line, rectangle, shortened};
use crate::markup::{Markup, Tag, classed, coordinate, tag};

const PLOT_X: (f64, f64) = (52.0, 480.0);
const PLOT_Y: (f64, f64) = (210.0, 10.0);
const HEIGHT: f64 = 262.0;

/// The values of one model, each with the place of its version.
#[derive(Debug, Clone)]
pub struct Series<'a> {
    /// Whose.
    pub name: &'a str,
    /// Version (from 0) and value.
    pub values: Vec<(usize, f64)>,
}

/// The chart of `series` over `versions`, oldest first; `axis` says what is measured.
pub fn lines(caption: Caption<'_>, axis: &str, versions: &[&str], series: &[Series<'_>]) -> Markup {
    let last = versions.len().saturating_sub(1).max(1) as f64;
    // Half a step of room on both sides.
    let x = Scale::new((-0.5, last + 0.5), PLOT_X);
    let lowest = series.iter().flat_map(|one| &one.values).map(|(_, value)| *value).fold(0.0, f64::min);
    let y = Scale::new((((lowest * 5.0).floor() / 5.0).max(-1.0), 1.0), PLOT_Y);
    let mut chart = drawing(caption, WIDTH, HEIGHT);
    for tick in y.ticks(5) {
        let Some(at) = y.place(tick) else { continue };
        chart = chart
            .child(line(if tick.abs() < 1e-9 { "zero" } else { "grid" }, (PLOT_X.0, at), (PLOT_X.1, at)))
            .child(label("tick", PLOT_X.0 - 6.0, at + 4.0, "end", number(tick)));
    }
    for (nth, version) in versions.iter().enumerate() {
        let Some(at) = x.place(nth as f64) else { continue };
        chart = chart.child(label("tick", at, PLOT_Y.0 + 16.0, "middle", shortened(version, 12)));
    }
    chart = chart
        .child(label("axis", (PLOT_X.0 + PLOT_X.1) / 2.0, HEIGHT - 12.0, "middle", "codebook, oldest version first"))
        .child(
            classed("text", "axis")
                .with("transform", format!("translate(11 {}) rotate(-90)", coordinate((PLOT_Y.0 + PLOT_Y.1) / 2.0)))
                .with("text-anchor", "middle")
                .text(axis),
        );
    let names = places(series, &y);
    for (nth, one) in series.iter().enumerate() {
        let places: Vec<(f64, f64, usize, f64)> = one
            .values
            .iter()
            .filter_map(|&(version, value)| Some((x.place(version as f64)?, y.held(value)?.0, version, value)))
            .collect();
        let path: Vec<String> =
            places.iter().map(|(x, y, ..)| format!("{},{}", coordinate(*x), coordinate(*y))).collect();
        let mut group =
            tag("g").child(classed("polyline", "series").with("points", path.join(" ")).with("fill", "none"));
        for (at_x, at_y, version, value) in &places {
            let title = format!("{}, {}: {}", one.name, versions.get(*version).unwrap_or(&""), number(*value));
            group = group.child(mark(nth, *at_x, *at_y).child(tag("title").text(title)));
        }
        if let Some((at_x, at_y, ..)) = places.last() {
            let named = names[nth];
            group = group
                .child(line("leader", (at_x + 8.0, *at_y), (PLOT_X.1 + 8.0, named)))
                .child(mark(nth, PLOT_X.1 + 18.0, named))
                .child(label("name", PLOT_X.1 + 28.0, named + 4.0, "start", shortened(one.name, 30)));
        }
        chart = chart.child(group);
    }
    chart.into()
}

/// Heights of the names at the right: that of the last value, apart from one another.
fn places(series: &[Series<'_>], y: &Scale) -> Vec<f64> {
    let wanted =
        |one: &Series<'_>| one.values.last().and_then(|(_, value)| Some(y.held(*value)?.0)).unwrap_or(PLOT_Y.0);
    let mut order: Vec<(usize, f64)> = series.iter().map(wanted).enumerate().collect();
    order.sort_by(|a, b| a.1.total_cmp(&b.1));
    let mut found = vec![0.0; series.len()];
    let mut below = f64::NEG_INFINITY;
    for (nth, wanted) in order {
        below = wanted.max(below + 16.0);
        found[nth] = below;
    }
    found
}

/// Marks that differ in shape.
fn mark(nth: usize, x: f64, y: f64) -> Tag {
    match nth % 4 {
        0 => diamond("model", x, y, 5.5),
        1 => classed("circle", "human").at("cx", x).at("cy", y).at("r", 4.5),
        2 => rectangle("square", (x - 4.0, y - 4.0), 8.0, 8.0),
        _ => classed("circle", "hollow").at("cx", x).at("cy", y).at("r", 4.5),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CAPTION: Caption<'static> = Caption { id: "l", title: "t", description: "d" };

    #[test]
    fn values_stand_over_their_version_and_are_joined() {
        let series = [Series { name: "m", values: vec![(0, 0.25), (1, 0.75)] }];
        let drawn = lines(CAPTION, "κ", &["aaaa", "bbbb"], &series);
        let drawn = drawn.as_str();
        // Versions at a quarter and three quarters of the width; heights from 0 at 210 to 1 at 10.
        assert!(drawn.contains("<polyline class=\"series\" points=\"159,160 373,60\" fill=\"none\">"), "{drawn}");
        assert!(drawn.contains("<title>m, bbbb: 0.75</title>"), "{drawn}");
    }

    #[test]
    fn names_at_the_right_do_not_lie_on_one_another() {
        let one = |value: f64| Series { name: "m", values: vec![(0, value)] };
        let y = Scale::new((0.0, 1.0), PLOT_Y);
        assert_eq!(places(&[one(0.5), one(0.5), one(0.51)], &y), [124.0, 140.0, 108.0]);
    }

    #[test]
    fn no_series_one_value_and_no_numbers_are_drawn() {
        let empty = Series { name: "e", values: vec![] };
        let nothing = Series { name: "n", values: vec![(0, f64::NAN)] };
        for series in [vec![], vec![empty], vec![nothing]] {
            let drawn = lines(CAPTION, "κ", &["aaaa"], &series);
            assert!(
                !drawn.as_str().contains("NaN") && !drawn.as_str().contains("class=\"model\""),
                "{}",
                drawn.as_str()
            );
        }
        let drawn = lines(CAPTION, "κ", &["aaaa"], &[Series { name: "m", values: vec![(0, -0.3)] }]);
        assert!(drawn.as_str().contains("class=\"zero\""), "the scale goes below 0");
    }
}
