//! A reliability diagram: how often the answers are right of which a rater is so sure, with an interval; on the line, sure is right.

use super::scale::{Scale, percent};
use super::{Caption, drawing, label, line, rectangle};
use crate::agreement::distribution::wilson;
use crate::confidence::calibration::Bin;
use crate::markup::{Markup, classed, coordinate, tag};

const SIDE: f64 = 350.0;
const PLOT_X: (f64, f64) = (58.0, 298.0);
const PLOT_Y: (f64, f64) = (250.0, 10.0);
/// Below the plot, a bar a bin says how many units it holds.
const BARS: (f64, f64) = (330.0, 300.0);

/// The diagram of `bins`.
pub fn reliability(caption: Caption<'_>, bins: &[Bin]) -> Markup {
    let (x, y) = (Scale::new((0.0, 1.0), PLOT_X), Scale::new((0.0, 1.0), PLOT_Y));
    let mut chart = drawing(caption, SIDE, 340.0);
    for tick in [0.0, 0.25, 0.5, 0.75, 1.0] {
        let (Some(at_x), Some(at_y)) = (x.place(tick), y.place(tick)) else { continue };
        chart = chart
            .child(line("grid", (at_x, PLOT_Y.1), (at_x, PLOT_Y.0)))
            .child(line("grid", (PLOT_X.0, at_y), (PLOT_X.1, at_y)))
            .child(label("tick", at_x, PLOT_Y.0 + 14.0, "middle", percent(tick)))
            .child(label("tick", PLOT_X.0 - 6.0, at_y + 4.0, "end", percent(tick)));
    }
    let right = classed("text", "axis")
        .with("transform", format!("translate(10 {}) rotate(-90)", coordinate((PLOT_Y.0 + PLOT_Y.1) / 2.0)))
        .with("text-anchor", "middle")
        .text("right");
    chart = chart
        .child(right)
        .child(label("axis", (PLOT_X.0 + PLOT_X.1) / 2.0, PLOT_Y.0 + 30.0, "middle", "how sure"))
        .child(line("diagonal", (PLOT_X.0, PLOT_Y.0), (PLOT_X.1, PLOT_Y.1)));
    let most = bins.iter().map(|bin| bin.items).max().unwrap_or(0).max(1) as f64;
    for bin in bins {
        let (Some((at_x, _)), Some((at_y, _))) = (x.held(bin.confidence), y.held(bin.accuracy)) else { continue };
        let title = format!("{} sure: {} right of {} units", percent(bin.confidence), percent(bin.accuracy), bin.items);
        let mut group = tag("g").child(tag("title").text(title));
        if let Some((low, high)) = interval(bin).and_then(|(low, high)| Some((y.held(low)?.0, y.held(high)?.0))) {
            group = group
                .child(line("whisker", (at_x, low), (at_x, high)))
                .child(line("whisker", (at_x - 3.5, low), (at_x + 3.5, low)))
                .child(line("whisker", (at_x - 3.5, high), (at_x + 3.5, high)));
        }
        let height = (BARS.0 - BARS.1) * bin.items as f64 / most;
        group = group.child(classed("circle", "human").at("cx", at_x).at("cy", at_y).at("r", 4.5)).child(rectangle(
            "bar",
            (at_x - 6.0, BARS.0 - height),
            12.0,
            height,
        ));
        chart = chart.child(group);
    }
    chart.into()
}

/// Wilson's interval of the share that is right, by the bin's number of units.
pub fn interval(bin: &Bin) -> Option<(f64, f64)> {
    wilson(bin.accuracy * bin.items as f64, bin.items as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CAPTION: Caption<'static> = Caption { id: "r", title: "t", description: "d" };

    #[test]
    fn a_bin_stands_at_its_mean_confidence_and_its_share_of_right_answers() {
        let bins = [
            Bin { items: 10, weight: 10.0, confidence: 0.75, accuracy: 0.5 },
            Bin { items: 20, weight: 20.0, confidence: 1.0, accuracy: 1.0 },
        ];
        let drawn = reliability(CAPTION, &bins);
        let drawn = drawn.as_str();
        assert!(drawn.contains("<circle class=\"human\" cx=\"238\" cy=\"130\" r=\"4.5\"></circle>"), "{drawn}");
        assert!(
            drawn.contains("<rect class=\"bar\" x=\"232\" y=\"315\" width=\"12\" height=\"15\"></rect>"),
            "{drawn}"
        );
        assert!(drawn.contains("<title>75 % sure: 50 % right of 10 units</title>"), "{drawn}");
        // Wilson of 5 of 10: .2366 to .7634.
        let (low, high) = interval(&bins[0]).unwrap();
        assert!((low - 0.2366).abs() < 1e-4 && (high - 0.7634).abs() < 1e-4);
    }

    #[test]
    fn no_bins_and_bins_without_numbers_draw_the_line_alone() {
        let nothing = Bin { items: 0, weight: 0.0, confidence: f64::NAN, accuracy: f64::NAN };
        for bins in [vec![], vec![nothing]] {
            let drawn = reliability(CAPTION, &bins);
            assert!(drawn.as_str().contains("diagonal") && !drawn.as_str().contains("circle"), "{}", drawn.as_str());
        }
    }
}
