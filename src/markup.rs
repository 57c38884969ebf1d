//! HTML and SVG that foreign text cannot break out of: takes names of the program's own and values from anywhere, gives markup.
//!
//! Names of elements and attributes are `&'static str`, so they are written in this program; every text and every attribute's value is
//! escaped on its way in. There is no other way in but [`Markup::own`], which takes a static text.

use std::fmt::{Display, Write};

/// Elements without an inside.
const VOID: [&str; 5] = ["meta", "br", "input", "link", "col"];

/// Well-formed markup.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Markup(String);

impl Markup {
    /// A text, escaped.
    pub fn text(text: impl Display) -> Markup {
        let mut markup = Markup::default();
        escape_into(&mut markup.0, &text.to_string());
        markup
    }

    /// A text of the program's own, such as a style sheet, as it is.
    pub fn own(text: &'static str) -> Markup {
        Markup(text.to_owned())
    }

    /// Puts more behind it.
    pub fn push(&mut self, more: impl Into<Markup>) {
        self.0.push_str(&more.into().0);
    }

    /// The markup.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<M: Into<Markup>> FromIterator<M> for Markup {
    fn from_iter<T: IntoIterator<Item = M>>(parts: T) -> Markup {
        let mut all = Markup::default();
        parts.into_iter().for_each(|part| all.push(part));
        all
    }
}

/// An element in the making.
#[derive(Debug, Clone)]
pub struct Tag {
    name: &'static str,
    attributes: String,
    inside: String,
}

/// An empty element.
pub fn tag(name: &'static str) -> Tag {
    Tag { name, attributes: String::new(), inside: String::new() }
}

/// An element of a class.
pub fn classed(name: &'static str, class: &'static str) -> Tag {
    tag(name).with("class", class)
}

impl Tag {
    /// An attribute.
    pub fn with(mut self, name: &'static str, value: impl Display) -> Tag {
        self.attributes.push(' ');
        self.attributes.push_str(name);
        self.attributes.push_str("=\"");
        escape_into(&mut self.attributes, &value.to_string());
        self.attributes.push('"');
        self
    }

    /// A number as an attribute, to a hundredth: what a drawing needs.
    pub fn at(self, name: &'static str, value: f64) -> Tag {
        self.with(name, coordinate(value))
    }

    /// A text inside.
    pub fn text(mut self, text: impl Display) -> Tag {
        escape_into(&mut self.inside, &text.to_string());
        self
    }

    /// Markup inside.
    pub fn child(mut self, child: impl Into<Markup>) -> Tag {
        self.inside.push_str(&child.into().0);
        self
    }

    /// Several elements inside.
    pub fn children<M: Into<Markup>>(self, children: impl IntoIterator<Item = M>) -> Tag {
        children.into_iter().fold(self, Tag::child)
    }
}

impl From<Tag> for Markup {
    fn from(tag: Tag) -> Markup {
        let Tag { name, attributes, inside } = tag;
        if VOID.contains(&name) {
            return Markup(format!("<{name}{attributes}>"));
        }
        Markup(format!("<{name}{attributes}>{inside}</{name}>"))
    }
}

/// A coordinate to a hundredth, without what says nothing. What is no number is 0: nothing that is drawn can be nowhere.
pub fn coordinate(value: f64) -> String {
    let rounded = (value * 100.0).round() / 100.0;
    // -0 is 0.
    if rounded.is_finite() && rounded != 0.0 { rounded.to_string() } else { "0".to_owned() }
}

/// Escapes for text and for attribute values alike. Characters that no document may hold become the sign for one that was lost.
fn escape_into(markup: &mut String, text: &str) {
    for c in text.chars() {
        match c {
            '&' => markup.push_str("&amp;"),
            '<' => markup.push_str("&lt;"),
            '>' => markup.push_str("&gt;"),
            '"' => markup.push_str("&quot;"),
            '\'' => markup.push_str("&#39;"),
            '\n' | '\t' => markup.push(c),
            '\r' => {}
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => markup.push('\u{fffd}'),
            // Characters that turn the direction of what follows are shown as what they are.
            '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => drop(write!(markup, "[U+{:04X}]", c as u32)),
            c => markup.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn texts_and_values_are_escaped() {
        let made: Markup = tag("td").with("title", "\"><script>").text("</td><script>alert('x')</script> & co").into();
        assert_eq!(
            made.as_str(),
            "<td title=\"&quot;&gt;&lt;script&gt;\">&lt;/td&gt;&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt; &amp; co</td>"
        );
    }

    #[test]
    fn elements_nest_and_void_ones_have_no_end() {
        let made: Markup = tag("p").text("a").child(tag("br")).child(tag("b").text("c")).into();
        assert_eq!(made.as_str(), "<p>a<br><b>c</b></p>");
        let list: Markup = ["x", "y"].into_iter().map(|text| tag("li").text(text)).collect();
        assert_eq!(list.as_str(), "<li>x</li><li>y</li>");
    }

    #[test]
    fn control_characters_do_not_pass_and_directions_are_shown() {
        assert_eq!(Markup::text("a\0b\x1bc\r\nd\u{202e}e").as_str(), "a\u{fffd}b\u{fffd}c\nd[U+202E]e");
    }

    #[test]
    fn coordinates_are_short_and_always_numbers() {
        let shown: Vec<String> =
            [1.0, 0.125, -0.001, f64::NAN, f64::INFINITY, -3.456].into_iter().map(coordinate).collect();
        assert_eq!(shown, ["1", "0.13", "0", "0", "0", "-3.46"]);
    }

    proptest! {
        #[test]
        fn no_text_opens_or_closes_anything(text in ".*") {
            let made: Markup = tag("i").with("title", &text).text(&text).into();
            prop_assert_eq!(made.as_str().matches('<').count(), 2);
            prop_assert_eq!(made.as_str().matches('>').count(), 2);
            prop_assert_eq!(made.as_str().matches('"').count(), 2);
        }
    }
}
