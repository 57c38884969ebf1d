//! Charts as SVG: pure functions of numbers, one chart a file. Each says in a title and a description what it shows; colours, fonts and
//! both themes come from the page's style sheet, so a chart holds classes and coordinates only.
//!
//! Nothing is told by colour alone: raw and corrected numbers, raters and versions differ in shape as well, and every mark has its number
//! as a title.

pub mod difference;
pub mod forest;
pub mod heat;
pub mod histogram;
pub mod lines;
pub mod reliability;
pub mod scale;
pub mod scatter;
pub mod shares;
pub mod states;

use crate::agreement::Estimate;
use crate::markup::{Tag, classed, tag};
use scale::Scale;

/// The width of a chart that fills the column, in units that are pixels there.
pub const WIDTH: f64 = 720.0;

/// What a chart is called, for those who do not see it.
#[derive(Debug, Clone, Copy)]
pub struct Caption<'a> {
    /// An id that no other chart of the page has.
    pub id: &'a str,
    /// What it is.
    pub title: &'a str,
    /// What it shows, in a sentence.
    pub description: &'a str,
}

/// An empty chart.
pub fn drawing(caption: Caption<'_>, width: f64, height: f64) -> Tag {
    let Caption { id, title, description } = caption;
    tag("svg")
        .with("viewBox", format!("0 0 {} {}", crate::markup::coordinate(width), crate::markup::coordinate(height)))
        .at("width", width)
        .at("height", height)
        .with("role", "img")
        .with("aria-labelledby", format!("{id}-t {id}-d"))
        .child(tag("title").with("id", format!("{id}-t")).text(title))
        .child(tag("desc").with("id", format!("{id}-d")).text(description))
}

/// A text at a place; `anchor` is start, middle or end.
fn label(class: &'static str, x: f64, y: f64, anchor: &'static str, text: impl std::fmt::Display) -> Tag {
    classed("text", class).at("x", x).at("y", y).with("text-anchor", anchor).text(text)
}

/// A line.
fn line(class: &'static str, (x1, y1): (f64, f64), (x2, y2): (f64, f64)) -> Tag {
    classed("line", class).at("x1", x1).at("y1", y1).at("x2", x2).at("y2", y2)
}

/// A rectangle.
fn rectangle(class: &'static str, (x, y): (f64, f64), width: f64, height: f64) -> Tag {
    classed("rect", class).at("x", x).at("y", y).at("width", width.max(0.0)).at("height", height.max(0.0))
}

/// A square on its corner.
fn diamond(class: &'static str, x: f64, y: f64, radius: f64) -> Tag {
    let points = [(x, y - radius), (x + radius, y), (x, y + radius), (x - radius, y)];
    let points: Vec<String> = points
        .iter()
        .map(|(x, y)| format!("{},{}", crate::markup::coordinate(*x), crate::markup::coordinate(*y)))
        .collect();
    classed("polygon", class).with("points", points.join(" "))
}

/// A text that has room for so many characters: the middle of a longer one is left out, since names differ at both ends.
pub fn shortened(text: &str, room: usize) -> String {
    let count = text.chars().count();
    if count <= room || room < 3 {
        return text.to_owned();
    }
    let (front, back) = ((room - 1).div_ceil(2), (room - 1) / 2);
    let start: String = text.chars().take(front).collect();
    let end: String = text.chars().skip(count - back).collect();
    format!("{start}…{end}")
}

/// The interval of an estimate at a height: a line with ends, an arrow where it goes on beyond the scale. Nothing without an interval.
fn whisker(class: &'static str, scale: &Scale, y: f64, estimate: &Estimate) -> Vec<Tag> {
    let (Some(low), Some(high)) = (estimate.low.and_then(|x| scale.held(x)), estimate.high.and_then(|x| scale.held(x)))
    else {
        return vec![];
    };
    let end = |(x, beyond): (f64, bool), way: f64| {
        if beyond {
            let points = format!(
                "{},{} {},{} {},{}",
                crate::markup::coordinate(x - 4.0 * way),
                crate::markup::coordinate(y - 3.5),
                crate::markup::coordinate(x),
                crate::markup::coordinate(y),
                crate::markup::coordinate(x - 4.0 * way),
                crate::markup::coordinate(y + 3.5)
            );
            classed("polyline", class).with("points", points).with("fill", "none")
        } else {
            line(class, (x, y - 3.5), (x, y + 3.5))
        }
    };
    vec![line(class, (low.0, y), (high.0, y)), end(low, -1.0), end(high, 1.0)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::markup::Markup;

    #[test]
    fn names_are_shortened_in_the_middle() {
        assert_eq!(shortened("abcdefgh", 8), "abcdefgh");
        assert_eq!(shortened("abcdefghi", 8), "abcd…ghi");
        assert_eq!(shortened("ÄÖÜäöüßé", 5), "ÄÖ…ßé");
    }

    #[test]
    fn a_drawing_says_what_it_is() {
        let made: Markup = drawing(Caption { id: "c1", title: "A <b>", description: "d" }, 10.0, 5.5).into();
        assert_eq!(
            made.as_str(),
            "<svg viewBox=\"0 0 10 5.5\" width=\"10\" height=\"5.5\" role=\"img\" aria-labelledby=\"c1-t c1-d\">\
             <title id=\"c1-t\">A &lt;b&gt;</title><desc id=\"c1-d\">d</desc></svg>"
        );
    }

    #[test]
    fn an_interval_beyond_the_scale_ends_in_an_arrow() {
        let scale = Scale::new((0.0, 1.0), (0.0, 100.0));
        let drawn = |low, high| -> Vec<String> {
            let estimate = Estimate::with_interval(0.5, None, (low, high), "m");
            whisker("w", &scale, 10.0, &estimate).into_iter().map(|tag| Markup::from(tag).as_str().to_owned()).collect()
        };
        let inside = drawn(0.25, 0.75);
        assert_eq!(inside[0], "<line class=\"w\" x1=\"25\" y1=\"10\" x2=\"75\" y2=\"10\"></line>");
        assert!(inside.iter().all(|part| part.starts_with("<line")));
        let beyond = drawn(-0.5, 0.75);
        assert!(beyond[0].contains("x1=\"0\"") && beyond[1].contains("points=\"4,6.5 0,10 4,13.5\""), "{beyond:?}");
        assert!(whisker("w", &scale, 0.0, &Estimate::without_interval(0.5, "few")).is_empty());
        assert!(drawn(f64::NAN, 0.5).is_empty());
    }
}
