//! Bland and Altman's plot: the difference of two raters' scores against their mean, the bias, and the limits between which 95 % of the
//! differences lie (Bland and Altman 1986).

use super::scale::{Scale, number, round_ends};
use super::scatter::{HALF, HEIGHT, PLOT_X, PLOT_Y, Point, axes, dots};
use super::{Caption, drawing, label, line, rectangle};
use crate::agreement::score_pair::LimitsOfAgreement;
use crate::markup::{Markup, Tag, tag};

/// The plot of `points`, whose x is the mean of both scores and whose y is the second less the first.
pub fn difference(caption: Caption<'_>, ends: (f64, f64), points: &[Point], limits: &LimitsOfAgreement) -> Markup {
    let marked = [limits.low, limits.high, limits.value, Some(0.0)];
    let heights = points.iter().map(|point| point.y).chain(marked.into_iter().flatten());
    let (x, y) = (Scale::new(ends, PLOT_X), Scale::new(round_ends(heights).unwrap_or((-1.0, 1.0)), PLOT_Y));
    let mut chart = drawing(caption, HALF, HEIGHT).children(band(&y, limits)).children(axes(
        &x,
        &y,
        ("mean of both", "difference"),
    ));
    if let Some(zero) = y.place(0.0) {
        chart = chart.child(line("zero", (PLOT_X.0, zero), (PLOT_X.1, zero)));
    }
    chart = chart.children(dots(&x, &y, points));
    for (class, name, value) in
        [("limit", "upper limit", limits.high), ("bias", "bias", limits.value), ("limit", "lower limit", limits.low)]
    {
        if let Some((value, at)) = value.and_then(|value| Some((value, y.held(value)?.0))) {
            chart = chart
                .child(
                    line(class, (PLOT_X.0, at), (PLOT_X.1, at))
                        .child(tag("title").text(format!("{name} {}", number(value)))),
                )
                .child(label("value on", PLOT_X.0 + 5.0, at - 4.0, "start", format!("{name} {}", tenth(value))));
        }
    }
    chart.into()
}

/// To a tenth: limits are no finer.
fn tenth(value: f64) -> String {
    number((value * 10.0).round() / 10.0)
}

fn band(y: &Scale, limits: &LimitsOfAgreement) -> Vec<Tag> {
    let held = |value: Option<f64>| value.and_then(|value| Some(y.held(value)?.0));
    match (held(limits.low), held(limits.high)) {
        (Some(low), Some(high)) => vec![rectangle("band", (PLOT_X.0, high), PLOT_X.1 - PLOT_X.0, low - high)],
        _ => vec![],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agreement::Estimate;

    const CAPTION: Caption<'static> = Caption { id: "d", title: "t", description: "d" };

    fn limits(value: Option<f64>, low: Option<f64>, high: Option<f64>) -> LimitsOfAgreement {
        let side = Estimate::undefined("not asked");
        let (lower, upper) = (side.clone(), side);
        LimitsOfAgreement { value, se: None, low, high, method: None, undefined: None, sd: None, lower, upper }
    }

    #[test]
    fn the_bias_and_its_limits_stand_where_they_should() {
        let points = [Point { x: 50.0, y: 10.0, count: 1 }];
        let drawn = difference(CAPTION, (0.0, 100.0), &points, &limits(Some(5.0), Some(-10.0), Some(10.0)));
        let drawn = drawn.as_str();
        // Heights from −10 at 250 to 10 at 10.
        assert!(
            drawn
                .contains("<line class=\"bias\" x1=\"48\" y1=\"70\" x2=\"338\" y2=\"70\"><title>bias 5</title></line>"),
            "{drawn}"
        );
        assert!(
            drawn.contains("<rect class=\"band\" x=\"48\" y=\"10\" width=\"290\" height=\"240\"></rect>"),
            "{drawn}"
        );
        assert!(drawn.contains("<circle class=\"dot\" cx=\"193\" cy=\"10\""), "{drawn}");
        assert!(drawn.contains(">lower limit −10</text>"));
    }

    #[test]
    fn without_limits_or_points_there_is_an_empty_plot() {
        let drawn = difference(CAPTION, (0.0, 100.0), &[], &limits(None, None, Some(f64::NAN)));
        assert!(!drawn.as_str().contains("class=\"bias\"") && !drawn.as_str().contains("=\"NaN"), "{}", drawn.as_str());
    }
}
