//! How units ended: a bar a run, with a piece a state. Answered pieces are filled, the others hatched or hollow, each with its count.

use super::{Caption, WIDTH, drawing, label, rectangle, shortened};
use crate::markup::{Markup, classed, tag};
use crate::run::Status;

const NAMES: f64 = 250.0;
const PLOT: (f64, f64) = (262.0, 640.0);
const ROW: f64 = 26.0;

/// A run's units by state.
#[derive(Debug, Clone)]
pub struct Row<'a> {
    /// The run.
    pub name: &'a str,
    /// Rows by state, and those that are not there yet.
    pub states: Vec<(&'static str, usize)>,
}

/// The name of what is not there yet.
pub const NOT_ASKED: &str = "not asked";

/// The chart of `rows`.
pub fn states(caption: Caption<'_>, rows: &[Row<'_>]) -> Markup {
    let mut chart = drawing(caption, WIDTH, ROW * rows.len() as f64 + 8.0);
    // Lines across for whoever does not tell the colours apart.
    let pattern = tag("pattern")
        .with("id", format!("{}-p", caption.id))
        .with("width", 5)
        .with("height", 5)
        .with("patternUnits", "userSpaceOnUse")
        .with("patternTransform", "rotate(45)")
        .child(classed("rect", "hatched").with("width", 5).with("height", 5))
        .child(classed("line", "hatch").with("y2", 5));
    chart = chart.child(tag("defs").child(pattern));
    for (nth, row) in rows.iter().enumerate() {
        let y = 4.0 + ROW * nth as f64;
        let all: usize = row.states.iter().map(|(_, count)| count).sum();
        let mut x = PLOT.0;
        let mut group = classed("g", "states").child(label("name", NAMES, y + 14.0, "end", shortened(row.name, 36)));
        for &(state, count) in row.states.iter().filter(|(_, count)| *count > 0) {
            let width = (PLOT.1 - PLOT.0) * count as f64 / all as f64;
            let title = format!("{}: {count} of {all} {state}", row.name);
            let mut piece = rectangle(class(state), (x, y), width, 18.0).child(tag("title").text(title));
            if class(state) == "trouble" {
                piece = piece.with("fill", format!("url(#{}-p)", caption.id));
            }
            group = group.child(piece);
            if width > 40.0 && class(state) == "answered" {
                group = group.child(label("inside", x + width / 2.0, y + 13.0, "middle", count));
            }
            x += width;
        }
        chart = chart.child(group.child(label("value", PLOT.1 + 10.0, y + 14.0, "start", format!("of {all}"))));
    }
    chart.into()
}

/// Answered, in trouble, or nothing to ask.
fn class(state: &str) -> &'static str {
    match Status::ALL.iter().find(|status| status.name() == state) {
        Some(Status::Ok) => "answered",
        Some(Status::Repaired) => "answered repaired",
        Some(Status::Skipped) | None => "skipped",
        Some(_) => "trouble",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CAPTION: Caption<'static> = Caption { id: "q", title: "t", description: "d" };

    #[test]
    fn pieces_are_as_wide_as_their_part_and_stand_side_by_side() {
        let rows = [Row { name: "run", states: vec![("ok", 3), ("failed", 1), ("skipped", 0)] }];
        let drawn = states(CAPTION, &rows);
        let drawn = drawn.as_str();
        assert!(
            drawn.contains(
                "<rect class=\"answered\" x=\"262\" y=\"4\" width=\"283.5\" height=\"18\"><title>run: 3 of 4 ok</title>"
            ),
            "{drawn}"
        );
        assert!(
            drawn.contains(
                "<rect class=\"trouble\" x=\"545.5\" y=\"4\" width=\"94.5\" height=\"18\" fill=\"url(#q-p)\">"
            ),
            "{drawn}"
        );
        assert!(!drawn.contains("skipped"), "nothing is drawn of what there is none of");
    }

    #[test]
    fn a_run_without_units_is_drawn() {
        for rows in [vec![], vec![Row { name: "run", states: vec![(NOT_ASKED, 0)] }]] {
            assert!(!states(CAPTION, &rows).as_str().contains("NaN"));
        }
    }
}
