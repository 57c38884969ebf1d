//! Scores of two raters against one another: a dot a pair of scores, as large as it is frequent, and the line on which both agree.

use super::scale::{Scale, number};
use super::{Caption, drawing, label, line, shortened};
use crate::markup::{Markup, Tag, classed, tag};
use serde::Serialize;

/// The width of a chart that stands beside another.
pub const HALF: f64 = 350.0;
pub(super) const PLOT_X: (f64, f64) = (48.0, 338.0);
pub(super) const PLOT_Y: (f64, f64) = (250.0, 10.0);
pub(super) const HEIGHT: f64 = 290.0;
/// More dots than this have no titles of their own: they would be most of the page.
const MOST_TITLED: usize = 250;
/// The largest dot.
const LARGEST: f64 = 12.0;
/// That of a single unit, where none is so frequent that it has to be smaller.
const SINGLE: f64 = 3.0;
const SMALLEST: f64 = 1.5;

/// A place with so many units.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Point {
    /// To the right.
    pub x: f64,
    /// Upwards.
    pub y: f64,
    /// Units there.
    pub count: usize,
}

/// The scores of `rows` (rater y) against those of another (rater x), on a scale with these ends.
pub fn scatter(caption: Caption<'_>, (x_name, y_name): (&str, &str), ends: (f64, f64), points: &[Point]) -> Markup {
    let (x, y) = (Scale::new(ends, PLOT_X), Scale::new(ends, PLOT_Y));
    drawing(caption, HALF, HEIGHT)
        .children(axes(&x, &y, (x_name, y_name)))
        .child(line("diagonal", (PLOT_X.0, PLOT_Y.0), (PLOT_X.1, PLOT_Y.1)))
        .children(dots(&x, &y, points))
        .into()
}

/// Grid, numbers and names of both axes.
pub(super) fn axes(x: &Scale, y: &Scale, (x_name, y_name): (&str, &str)) -> Vec<Tag> {
    let mut parts = vec![];
    for tick in x.ticks(5) {
        if let Some(at) = x.place(tick) {
            parts.push(line("grid", (at, PLOT_Y.1), (at, PLOT_Y.0)));
            parts.push(label("tick", at, PLOT_Y.0 + 14.0, "middle", number(tick)));
        }
    }
    for tick in y.ticks(5) {
        if let Some(at) = y.place(tick) {
            parts.push(line("grid", (PLOT_X.0, at), (PLOT_X.1, at)));
            parts.push(label("tick", PLOT_X.0 - 6.0, at + 4.0, "end", number(tick)));
        }
    }
    parts.push(label("axis", (PLOT_X.0 + PLOT_X.1) / 2.0, HEIGHT - 8.0, "middle", shortened(x_name, 44)));
    parts.push(
        classed("text", "axis")
            .with("transform", format!("translate(11 {}) rotate(-90)", (PLOT_Y.0 + PLOT_Y.1) / 2.0))
            .with("text-anchor", "middle")
            .text(shortened(y_name, 36)),
    );
    parts
}

/// The dots; those that lie beyond the scale stand at its edge.
pub(super) fn dots(x: &Scale, y: &Scale, points: &[Point]) -> Vec<Tag> {
    let most = points.iter().map(|point| point.count).max().unwrap_or(1).max(1) as f64;
    // Areas are as counts are.
    let single = SINGLE.min(LARGEST / most.sqrt());
    let radius = |count: usize| (single * (count as f64).sqrt()).max(SMALLEST);
    let dot = |point: &Point| {
        let ((at_x, _), (at_y, _)) = (x.held(point.x)?, y.held(point.y)?);
        let title = format!("{}, {}: {} units", number(point.x), number(point.y), point.count);
        let circle = classed("circle", "dot").at("cx", at_x).at("cy", at_y).at("r", radius(point.count));
        Some(if points.len() > MOST_TITLED { circle } else { circle.child(tag("title").text(title)) })
    };
    points.iter().filter_map(dot).collect()
}

/// Pairs of numbers as points with counts. More than `most` distinct ones are rounded to a grid of `cells` by `cells` between `x_ends` and
/// `y_ends`, so that a drawing of many thousand units stays small.
pub fn points(pairs: &[(f64, f64)], most: usize, cells: u32) -> Vec<Point> {
    let finite: Vec<(f64, f64)> = pairs.iter().copied().filter(|(x, y)| x.is_finite() && y.is_finite()).collect();
    let counted = |pairs: &[(f64, f64)]| {
        let mut sorted = pairs.to_vec();
        sorted.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1)));
        sorted
            .chunk_by(|a, b| a == b)
            .map(|same| Point { x: same[0].0, y: same[0].1, count: same.len() })
            .collect::<Vec<Point>>()
    };
    let exact = counted(&finite);
    if exact.len() <= most {
        return exact;
    }
    let ends = |of: fn(&(f64, f64)) -> f64| {
        finite.iter().map(of).fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), v| (low.min(v), high.max(v)))
    };
    let (x_ends, y_ends) = (ends(|pair| pair.0), ends(|pair| pair.1));
    let rounded = |value: f64, (low, high): (f64, f64)| {
        let step = (high - low) / f64::from(cells);
        if step > 0.0 { low + ((value - low) / step).round() * step } else { value }
    };
    counted(&finite.iter().map(|&(x, y)| (rounded(x, x_ends), rounded(y, y_ends))).collect::<Vec<_>>())
}

#[cfg(test)]
mod tests {
    use super::*;

    const CAPTION: Caption<'static> = Caption { id: "s", title: "t", description: "d" };

    #[test]
    fn dots_stand_where_they_should_and_are_as_large_as_they_are_frequent() {
        let points = [Point { x: 0.0, y: 100.0, count: 1 }, Point { x: 50.0, y: 50.0, count: 9 }];
        let drawn = scatter(CAPTION, ("gold", "model"), (0.0, 100.0), &points);
        let drawn = drawn.as_str();
        assert!(
            drawn.contains("<circle class=\"dot\" cx=\"48\" cy=\"10\" r=\"3\"><title>0, 100: 1 units</title>"),
            "{drawn}"
        );
        assert!(drawn.contains("<circle class=\"dot\" cx=\"193\" cy=\"130\" r=\"9\">"), "{drawn}");
        assert!(drawn.contains("<line class=\"diagonal\" x1=\"48\" y1=\"250\" x2=\"338\" y2=\"10\"></line>"));
    }

    #[test]
    fn nothing_one_point_and_no_numbers_are_drawn() {
        for points in [vec![], vec![Point { x: f64::NAN, y: 1.0, count: 1 }], vec![Point { x: 1.0, y: 1.0, count: 1 }]]
        {
            let drawn = scatter(CAPTION, ("a", "b"), (0.0, 0.0), &points);
            assert!(!drawn.as_str().contains("NaN"), "{}", drawn.as_str());
            assert_eq!(drawn.as_str().matches("class=\"dot\"").count(), usize::from(points.iter().any(|p| p.x == 1.0)));
        }
    }

    #[test]
    fn equal_pairs_are_one_point_and_many_pairs_are_rounded() {
        let few = points(&[(1.0, 2.0), (1.0, 2.0), (0.0, 5.0), (f64::NAN, 1.0)], 10, 50);
        assert_eq!(few, [Point { x: 0.0, y: 5.0, count: 1 }, Point { x: 1.0, y: 2.0, count: 2 }]);
        let many: Vec<(f64, f64)> = (0..10_000).map(|i| (f64::from(i) * 0.01, f64::from(i % 997) * 0.1)).collect();
        let found = points(&many, 400, 40);
        assert!(found.len() <= 41 * 41, "{}", found.len());
        assert_eq!(found.iter().map(|point| point.count).sum::<usize>(), 10_000, "every unit is in a point");
        let level: Vec<(f64, f64)> = (0..500).map(|i| (f64::from(i), 3.0)).collect();
        assert!(points(&level, 400, 40).iter().all(|point| point.y == 3.0));
    }
}
