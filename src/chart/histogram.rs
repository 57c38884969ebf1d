//! How numbers are spread: a bar a bin.

use super::scale::{Scale, number};
use super::{Caption, drawing, label, line, rectangle};
use crate::markup::{Markup, tag};

const WIDTH: f64 = 350.0;
const PLOT_X: (f64, f64) = (40.0, 338.0);
const PLOT_Y: (f64, f64) = (110.0, 10.0);

/// The chart of counts in equal bins between the ends; `axis` says of what.
pub fn histogram(caption: Caption<'_>, axis: &str, ends: (f64, f64), counts: &[usize]) -> Markup {
    let most = counts.iter().copied().max().unwrap_or(0);
    let (x, y) = (Scale::new(ends, PLOT_X), Scale::new((0.0, most.max(1) as f64), PLOT_Y));
    let mut chart = drawing(caption, WIDTH, 154.0);
    for tick in y.ticks(2).into_iter().filter(|tick| tick.fract() == 0.0) {
        let Some(at) = y.place(tick) else { continue };
        chart = chart.child(line("grid", (PLOT_X.0, at), (PLOT_X.1, at))).child(label(
            "tick",
            PLOT_X.0 - 6.0,
            at + 4.0,
            "end",
            number(tick),
        ));
    }
    for tick in x.ticks(5) {
        let Some(at) = x.place(tick) else { continue };
        chart = chart.child(label("tick", at, PLOT_Y.0 + 15.0, "middle", number(tick)));
    }
    let width = (PLOT_X.1 - PLOT_X.0) / counts.len().max(1) as f64;
    let step = (x.domain().1 - x.domain().0) / counts.len().max(1) as f64;
    for (nth, &count) in counts.iter().enumerate() {
        let Some(top) = y.place(count as f64) else { continue };
        let low = x.domain().0 + step * nth as f64;
        let title = format!("{} to {}: {count} units", number(low), number(low + step));
        let bar = rectangle("bar", (PLOT_X.0 + width * nth as f64 + 1.0, top), width - 2.0, PLOT_Y.0 - top);
        chart = chart.child(bar.child(tag("title").text(title)));
    }
    chart.child(label("axis", (PLOT_X.0 + PLOT_X.1) / 2.0, 148.0, "middle", axis)).into()
}

/// Counts of numbers in `bins` equal bins; what lies beyond the ends is in the first or the last, what is no number in none.
pub fn counts(values: impl IntoIterator<Item = f64>, (low, high): (f64, f64), bins: usize) -> Vec<usize> {
    let mut counts = vec![0; bins];
    for value in values.into_iter().filter(|value| !value.is_nan()) {
        let place = ((value - low) / (high - low) * bins as f64).floor();
        if let Some(count) = counts.get_mut((place.max(0.0) as usize).min(bins.saturating_sub(1))) {
            *count += 1;
        }
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::*;

    const CAPTION: Caption<'static> = Caption { id: "h", title: "t", description: "d" };

    #[test]
    fn bars_are_as_high_as_their_count() {
        let drawn = histogram(CAPTION, "score", (0.0, 100.0), &[5, 10]);
        let drawn = drawn.as_str();
        assert!(
            drawn.contains(
                "<rect class=\"bar\" x=\"41\" y=\"60\" width=\"147\" height=\"50\"><title>0 to 50: 5 units</title>"
            ),
            "{drawn}"
        );
        assert!(drawn.contains("<rect class=\"bar\" x=\"190\" y=\"10\" width=\"147\" height=\"100\">"), "{drawn}");
    }

    #[test]
    fn values_are_counted_in_their_bin_and_the_last_bin_is_closed() {
        assert_eq!(
            counts([0.0, 9.9, 10.0, 99.9, 100.0, 120.0, -5.0, f64::NAN], (0.0, 100.0), 10),
            [3, 1, 0, 0, 0, 0, 0, 0, 0, 3]
        );
        assert_eq!(counts([1.0], (0.0, 1.0), 0), Vec::<usize>::new());
    }

    #[test]
    fn no_bins_and_empty_bins_are_drawn() {
        for counts in [vec![], vec![0, 0]] {
            assert!(!histogram(CAPTION, "a", (0.0, 1.0), &counts).as_str().contains("NaN"));
        }
    }
}
