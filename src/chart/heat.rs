//! A confusion matrix: rows one rater's labels, columns the other's; a cell is the fuller, the larger its part of the row, and holds its count.

use super::{Caption, drawing, label, rectangle, shortened};
use crate::agreement::table::Confusion;
use crate::markup::{Markup, Tag, classed, coordinate, tag};

const NAMES: f64 = 170.0;
const ROOM: usize = 24;
const ROW: f64 = 28.0;
/// Characters of a column's name.
const COLUMN: usize = 18;
/// The most that a cell is filled: text on it stays legible in both themes.
const FULL: f64 = 0.5;

/// Whose labels are the rows and the columns.
#[derive(Debug, Clone, Copy)]
pub struct Sides<'a> {
    /// The reference, in rows.
    pub rows: &'a str,
    /// The other, in columns.
    pub columns: &'a str,
}

/// The matrix.
pub fn heat(caption: Caption<'_>, confusion: &Confusion, sides: Sides<'_>) -> Markup {
    let count = confusion.labels.len();
    let cell = if count > 10 { 36.0 } else { 46.0 };
    // Names that lean by 45° are as high as they are wide; a letter is about 7 wide.
    let longest = confusion.labels.iter().map(|name| name.chars().count().min(COLUMN)).max().unwrap_or(0);
    let top = 44.0 + longest as f64 * 7.0 * std::f64::consts::FRAC_1_SQRT_2;
    let totals = NAMES + cell * count as f64;
    // Names of columns lean to the right, and the last of them needs room.
    let width = totals + 110.0;
    let mut chart = drawing(caption, width, top + ROW * count as f64 + 10.0)
        .child(label("axis", NAMES - 8.0, top - 8.0, "end", format!("{} ↓", shortened(sides.rows, 20))))
        .child(label("axis", 0.0, 14.0, "start", format!("{} →", shortened(sides.columns, 60))));
    for (nth, name) in confusion.labels.iter().enumerate() {
        let x = NAMES + cell * (nth as f64 + 0.5);
        let column = classed("text", "name")
            .with("transform", format!("translate({} {}) rotate(-45)", coordinate(x), coordinate(top - 8.0)))
            .text(shortened(name, COLUMN));
        chart = chart.child(column.child(tag("title").text(name)));
    }
    chart = chart.child(label("note", totals + 30.0, top - 8.0, "middle", "sum"));
    for (nth, (name, counts)) in confusion.labels.iter().zip(&confusion.counts).enumerate() {
        let (y, sum) = (top + ROW * nth as f64, counts.iter().sum::<u64>());
        chart = chart.child(label("name", NAMES - 8.0, y + 18.0, "end", shortened(name, ROOM)));
        for (other, &found) in counts.iter().enumerate() {
            let title = format!("{} {name}, {} {}: {found}", sides.rows, sides.columns, confusion.labels[other]);
            chart = chart.child(cell_of((NAMES + cell * other as f64, y), cell, (found, sum), nth == other, title));
        }
        chart = chart.child(label("note", totals + 30.0, y + 18.0, "middle", sum));
    }
    chart.into()
}

fn cell_of((x, y): (f64, f64), width: f64, (count, sum): (u64, u64), agrees: bool, title: String) -> Tag {
    let share = if sum > 0 { count as f64 / sum as f64 } else { 0.0 };
    let opacity = FULL * share;
    let mut cell = tag("g")
        .child(tag("title").text(title))
        .child(rectangle("cell", (x + 1.0, y + 1.0), width - 2.0, ROW - 2.0).at("fill-opacity", opacity));
    if agrees {
        cell = cell.child(rectangle("agrees", (x + 1.0, y + 1.0), width - 2.0, ROW - 2.0));
    }
    let class = if count == 0 { "nothing" } else { "count" };
    cell.child(label(
        class,
        x + width / 2.0,
        y + 18.0,
        "middle",
        if count == 0 { "·".to_owned() } else { count.to_string() },
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    const CAPTION: Caption<'static> = Caption { id: "h", title: "t", description: "d" };
    const SIDES: Sides<'static> = Sides { rows: "gold", columns: "model" };

    fn confusion(labels: &[&str], counts: &[&[u64]]) -> Confusion {
        Confusion {
            labels: labels.iter().map(|&label| label.to_owned()).collect(),
            counts: counts.iter().map(|row| row.to_vec()).collect(),
        }
    }

    #[test]
    fn a_cell_is_filled_by_its_part_of_the_row_and_holds_its_count() {
        let drawn = heat(CAPTION, &confusion(&["yes", "no"], &[&[3, 1], &[0, 8]]), SIDES);
        let drawn = drawn.as_str();
        let cell =
            "<rect class=\"cell\" x=\"171\" y=\"59.85\" width=\"44\" height=\"26\" fill-opacity=\"0.38\"></rect>";
        assert!(drawn.contains(cell), "{drawn}");
        assert!(drawn.contains("<title>gold yes, model no: 1</title>"), "{drawn}");
        assert!(
            drawn.contains("<text class=\"count\" x=\"193\" y=\"76.85\" text-anchor=\"middle\">3</text>"),
            "{drawn}"
        );
        assert_eq!(drawn.matches("class=\"agrees\"").count(), 2);
        assert_eq!(drawn.matches("class=\"nothing\"").count(), 1, "an empty cell has no number");
    }

    #[test]
    fn empty_matrices_and_labels_that_nobody_used_are_drawn() {
        assert!(heat(CAPTION, &confusion(&[], &[]), SIDES).as_str().starts_with("<svg"));
        let drawn = heat(CAPTION, &confusion(&["a"], &[&[0]]), SIDES);
        assert!(drawn.as_str().contains("fill-opacity=\"0\"") && !drawn.as_str().contains("NaN"));
    }
}
