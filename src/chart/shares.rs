//! Shares of labels, or means: for each a bar with the raw number and its interval, and below it a diamond with the corrected one.

use super::scale::{Scale, number, percent};
use super::{Caption, WIDTH, diamond, drawing, label, line, rectangle, shortened, whisker};
use crate::agreement::Estimate;
use crate::markup::{Markup, Tag, tag};

const NAMES: f64 = 190.0;
const PLOT: (f64, f64) = (202.0, 520.0);
const TOP: f64 = 8.0;
const AXIS: f64 = 24.0;
const ROOM: usize = 27;

/// A label's share, or a part's mean.
#[derive(Debug, Clone, Copy)]
pub struct Row<'a> {
    /// The label or part.
    pub name: &'a str,
    /// What the model's answers are as they stand.
    pub raw: &'a Estimate,
    /// The corrected number, where there is one.
    pub corrected: Option<&'a Estimate>,
}

/// What the numbers are.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Quantity {
    /// Shares from 0 to 1, written as percent.
    Share,
    /// Means on a scale with these ends.
    Mean(f64, f64),
}

impl Quantity {
    fn written(self, value: f64) -> String {
        match self {
            Quantity::Share => percent(value),
            Quantity::Mean(..) => number((value * 10.0).round() / 10.0),
        }
    }

    /// A number with its interval.
    pub fn words(self, estimate: &Estimate) -> String {
        match (estimate.value, estimate.low, estimate.high) {
            (Some(value), Some(low), Some(high)) => {
                format!("{} [{}, {}]", self.written(value), self.end(low), self.end(high))
            }
            (Some(value), ..) => self.written(value),
            (None, ..) => "undefined".to_owned(),
        }
    }

    /// An end of an interval: its unit stands with the value.
    fn end(self, value: f64) -> String {
        match self {
            Quantity::Share => self.written(value.clamp(0.0, 1.0)).trim_end_matches(" %").to_owned(),
            Quantity::Mean(..) => self.written(value),
        }
    }
}

/// The chart of `rows`.
pub fn shares(caption: Caption<'_>, quantity: Quantity, rows: &[Row<'_>]) -> Markup {
    let is_corrected = rows.iter().any(|row| row.corrected.is_some());
    let row_height = if is_corrected { 38.0 } else { 24.0 };
    let bottom = TOP + row_height * rows.len() as f64;
    let scale = Scale::new(ends(quantity, rows), PLOT);
    let mut chart = drawing(caption, WIDTH, bottom + AXIS);
    for tick in scale.ticks(5) {
        let Some(x) = scale.place(tick) else { continue };
        chart = chart.child(line("grid", (x, TOP), (x, bottom))).child(label(
            "tick",
            x,
            bottom + 16.0,
            "middle",
            quantity.written(tick).replace(".0 %", " %"),
        ));
    }
    for (nth, row) in rows.iter().enumerate() {
        chart = chart.child(row_of(&scale, quantity, TOP + row_height * nth as f64, row_height, row));
    }
    chart.into()
}

/// From 0 to the largest end, in steps of a fifth; of a mean the whole scale.
fn ends(quantity: Quantity, rows: &[Row<'_>]) -> (f64, f64) {
    match quantity {
        Quantity::Mean(low, high) => (low, high),
        Quantity::Share => {
            let estimates = rows.iter().flat_map(|row| [Some(row.raw), row.corrected]).flatten();
            let most = estimates.flat_map(|one| [one.value, one.high]).flatten().fold(0.0, f64::max);
            (0.0, ((most * 5.0 - 1e-9).ceil() / 5.0).clamp(0.2, 1.0))
        }
    }
}

fn row_of(scale: &Scale, quantity: Quantity, top: f64, height: f64, row: &Row<'_>) -> Tag {
    let middle = top + if row.corrected.is_some() { 12.0 } else { height / 2.0 };
    let corrected = row.corrected.map(|one| format!("; corrected {}", quantity.words(one))).unwrap_or_default();
    let mut group = tag("g")
        .child(tag("title").text(format!("{}: raw {}{corrected}", row.name, quantity.words(row.raw))))
        .child(label("name", NAMES, top + height / 2.0 + 4.0, "end", shortened(row.name, ROOM)));
    let start = scale.place(scale.domain().0).unwrap_or(PLOT.0);
    if let Some((x, _)) = row.raw.value.and_then(|x| scale.held(x)) {
        group = group.child(rectangle("bar", (start, middle - 6.0), x - start, 12.0));
    }
    group = group.children(whisker("whisker", scale, middle, row.raw)).child(label(
        "value",
        PLOT.1 + 12.0,
        middle + 4.0,
        "start",
        quantity.words(row.raw),
    ));
    if let Some(found) = row.corrected {
        let below = middle + 15.0;
        group = group.children(whisker("whisker corrected", scale, below, found));
        if let Some((x, _)) = found.value.and_then(|x| scale.held(x)) {
            group = group.child(diamond("corrected", x, below, 5.0));
        }
        group =
            group.child(label("value", PLOT.1 + 12.0, below + 4.0, "start", format!("◆ {}", quantity.words(found))));
    }
    group
}

#[cfg(test)]
mod tests {
    use super::*;

    const CAPTION: Caption<'static> = Caption { id: "s", title: "t", description: "d" };

    #[test]
    fn a_bar_and_a_diamond_stand_where_they_should() {
        let raw = Estimate::with_interval(0.25, None, (0.2, 0.3), "m");
        let corrected = Estimate::with_interval(0.5, None, (0.375, 0.625), "m");
        let drawn = shares(CAPTION, Quantity::Share, &[Row { name: "a", raw: &raw, corrected: Some(&corrected) }]);
        let drawn = drawn.as_str();
        // The scale ends at 80 %, so 25 % is 318 · 0.25 / 0.8 wide.
        assert!(
            drawn.contains("<rect class=\"bar\" x=\"202\" y=\"14\" width=\"99.38\" height=\"12\"></rect>"),
            "{drawn}"
        );
        assert!(drawn.contains("<polygon class=\"corrected\" points=\"400.75,30"), "{drawn}");
        assert!(drawn.contains(">25 % [20, 30]</text>") && drawn.contains(">◆ 50 % [38, 62]</text>"), "{drawn}");
    }

    #[test]
    fn means_have_the_whole_scale_and_nothing_undefined_is_drawn() {
        let (mean, none) = (Estimate::without_interval(62.54, "few"), Estimate::undefined("no answers"));
        let rows = [Row { name: "m", raw: &mean, corrected: None }, Row { name: "n", raw: &none, corrected: None }];
        let drawn = shares(CAPTION, Quantity::Mean(0.0, 100.0), &rows);
        assert_eq!(drawn.as_str().matches("class=\"bar\"").count(), 1);
        assert!(drawn.as_str().contains(">62.5</text>") && drawn.as_str().contains(">undefined</text>"));
        assert!(!drawn.as_str().contains("class=\"whisker\""));
    }

    #[test]
    fn no_labels_and_shares_that_are_no_numbers_draw_an_empty_scale() {
        let nothing = Estimate::with_interval(f64::NAN, None, (f64::NAN, f64::NAN), "m");
        for rows in [vec![], vec![Row { name: "a", raw: &nothing, corrected: Some(&nothing) }]] {
            let drawn = shares(CAPTION, Quantity::Share, &rows);
            assert!(drawn.as_str().contains(">20 %</text>") && !drawn.as_str().contains("NaN"), "{}", drawn.as_str());
        }
    }
}
