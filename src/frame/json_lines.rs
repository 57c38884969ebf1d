//! A table as JSON lines: an object a row, with every column in its order, nulls written out.

use super::{Cell, Column};
use serde::ser::{Serialize, SerializeMap, Serializer};
use std::borrow::Cow;
use std::io::{self, Write};

/// JSON in which no character steers a terminal: those that JSON lets stand as they are (U+007F to U+009F) are escaped, which changes
/// no value.
pub fn escape_controls(json: &str) -> Cow<'_, str> {
    let steers = |c: char| matches!(c, '\u{7f}'..='\u{9f}');
    // In UTF-8 they are 7F, and C2 with a byte after it; a long text without either is passed over quickly.
    let bytes = json.as_bytes();
    let may_steer = |at: usize| bytes[at] == 0x7f || bytes.get(at + 1).is_some_and(|next| *next <= 0x9f);
    if !memchr::memchr2_iter(0x7f, 0xc2, bytes).any(may_steer) {
        return Cow::Borrowed(json);
    }
    let mut escaped = String::with_capacity(json.len() + 16);
    for c in json.chars() {
        match steers(c) {
            true => escaped.push_str(&format!("\\u{:04x}", u32::from(c))),
            false => escaped.push(c),
        }
    }
    Cow::Owned(escaped)
}

/// Writes rows as JSON lines.
pub(super) struct JsonLines<W> {
    to: W,
    columns: Vec<Column>,
}

impl<W: Write> JsonLines<W> {
    pub(super) fn new(to: W, columns: Vec<Column>) -> JsonLines<W> {
        JsonLines { to, columns }
    }

    pub(super) fn row(&mut self, cells: &[Cell<'_>]) -> io::Result<()> {
        let line = serde_json::to_string(&Row { columns: &self.columns, cells })?;
        self.to.write_all(escape_controls(&line).as_bytes())?;
        self.to.write_all(b"\n")
    }

    pub(super) fn finish(mut self) -> io::Result<W> {
        self.to.flush()?;
        Ok(self.to)
    }
}

/// A row as an object.
pub(crate) struct Row<'a> {
    pub(crate) columns: &'a [Column],
    pub(crate) cells: &'a [Cell<'a>],
}

impl Serialize for Row<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object = serializer.serialize_map(Some(self.columns.len()))?;
        for (column, cell) in self.columns.iter().zip(self.cells) {
            object.serialize_entry(&column.name, cell)?;
        }
        object.end()
    }
}

impl Serialize for Cell<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Cell::Null => serializer.serialize_none(),
            Cell::Text(text) => serializer.serialize_str(text),
            Cell::Texts(texts) => texts.serialize(serializer),
            Cell::Integer(number) => serializer.serialize_i64(*number),
            Cell::Real(number) => serializer.serialize_f64(*number),
            Cell::Flag(flag) => serializer.serialize_bool(*flag),
            Cell::Time(at) => at.serialize(serializer),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::Kind;

    #[test]
    fn only_characters_that_steer_are_escaped() {
        assert_eq!(escape_controls("\u{7e}\u{a0}¢é\u{c2}"), "\u{7e}\u{a0}¢é\u{c2}");
        assert_eq!(escape_controls("a\u{7f}b\u{80}c\u{9f}d\u{a0}"), "a\\u007fb\\u0080c\\u009fd\u{a0}");
    }

    #[test]
    fn a_row_has_every_column_in_order_and_nulls_are_written_out() {
        let columns = vec![
            Column::always("name", Kind::Text),
            Column::always("models", Kind::Texts),
            Column::nullable("count", Kind::Integer),
            Column::nullable("share", Kind::Real),
            Column::nullable("is_last", Kind::Flag),
            Column::nullable("at", Kind::Time),
        ];
        let mut lines = JsonLines::new(Vec::new(), columns);
        let at: jiff::Timestamp = "2026-05-01T10:00:00.123456Z".parse().unwrap();
        lines
            .row(&[
                "tab\t\"quote\" \u{1b}[2J\u{2028} é\u{9b}2J\u{7f}".into(),
                Cell::Texts(vec!["a", "b"]),
                7u32.into(),
                0.5.into(),
                true.into(),
                at.into(),
            ])
            .unwrap();
        lines.row(&["".into(), Cell::Texts(vec![]), Cell::Null, Cell::Null, Cell::Null, Cell::Null]).unwrap();
        let text = String::from_utf8(lines.finish().unwrap()).unwrap();
        assert_eq!(
            text,
            concat!(
                r#"{"name":"tab\t\"quote\" \u001b[2J"#,
                "\u{2028}",
                r#" é\u009b2J\u007f","models":["a","b"],"count":7,"share":0.5,"is_last":true,"at":"2026-05-01T10:00:00.123456Z"}"#,
                "\n",
                r#"{"name":"","models":[],"count":null,"share":null,"is_last":null,"at":null}"#,
                "\n"
            )
        );
    }
}
