//! Takes the bytes of a file that may be one JSON document with a list, such as `{…, "messages": […]}`; gives its parts, also from a
//! document that is cut off or damaged further down.
//!
//! Parts stay text until somebody wants them, so that what nobody needs (megabytes of diffs) is never built.

use super::ReadReport;
use super::lines::{for_each_element, mend};
use serde::de::{DeserializeOwned, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::cell::OnceCell;
use std::fmt;

/// What could be read of a document.
#[derive(Debug, Default)]
pub(super) struct Document<'a> {
    /// The document's other members, in order.
    pub fields: Vec<(String, &'a RawValue)>,
    /// The elements of the list.
    pub messages: Vec<&'a RawValue>,
    /// Whether there is the list, be it empty.
    pub has_messages: bool,
    /// How the text ends.
    pub end: End,
    /// What stands behind the last message that was read.
    rest: &'a str,
}

/// How the text of a document ends.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// Damaged or cut off: what stands further down is lost.
    #[default]
    Broken,
    /// With the document.
    Whole,
    /// Behind the document there is more: these are JSON lines.
    More,
}

/// A file's bytes as text: without a byte order mark and runs of NUL, broken characters replaced.
pub(super) fn text(bytes: &[u8]) -> Cow<'_, str> {
    let text = String::from_utf8_lossy(trim(bytes));
    if text.bytes().any(|byte| byte.is_ascii_control() && !byte.is_ascii_whitespace() && byte != 0x7F) {
        return Cow::Owned(mend(&text).into_owned());
    }
    text
}

/// The bytes without what an interrupted write or an editor put around them.
fn trim(bytes: &[u8]) -> &[u8] {
    let is_padding = |byte: &u8| *byte == 0;
    let bytes = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
    let start = bytes.iter().position(|byte| !is_padding(byte)).unwrap_or(bytes.len());
    let end = bytes.iter().rposition(|byte| !is_padding(byte)).map_or(start, |last| last + 1);
    &bytes[start..end]
}

/// The text of a file that is one document.
#[derive(Debug)]
pub(super) struct Text<'a> {
    text: Cow<'a, str>,
    /// Whether the text is not what the bytes are.
    is_repaired: bool,
    mended: OnceCell<String>,
}

impl<'a> Text<'a> {
    pub(super) fn of(bytes: &'a [u8]) -> Text<'a> {
        let text = text(bytes);
        let is_repaired = matches!(text, Cow::Owned(_)) || text.len() < bytes.len();
        Text { text, is_repaired, mended: OnceCell::new() }
    }

    /// The text.
    pub(super) fn get(&self) -> &str {
        &self.text
    }

    /// The text as the member `key` of a document, if it is a bare list.
    pub(super) fn named(mut self, key: &str) -> Text<'a> {
        if self.text.trim_start().starts_with('[') {
            self.text = Cow::Owned(format!("{{\"{key}\":{}}}", self.text.trim()));
        }
        self
    }

    /// Reads the document whose list is the member `list`, and counts its lines and whether it had to be repaired.
    pub(super) fn document(&self, list: &str, report: &mut ReadReport) -> Document<'_> {
        report.lines += self.text.lines().filter(|line| !line.trim().is_empty()).count() as u64;
        let mut document = Document::with_list(&self.text, list);
        let mut is_repaired = self.is_repaired;
        if document.end == End::Broken {
            let mended = Document::with_list(self.mended.get_or_init(|| mend(&self.text).into_owned()), list);
            is_repaired = mended.end != End::Broken;
            // Where that does not help, elements are mended one by one: behind a lost quote inside and outside change places.
            if is_repaired {
                document = mended;
            }
        }
        report.repaired += u64::from(is_repaired);
        document
    }

    /// Reads the documents with messages that the text is put together from, as [`Text::document`] does; mostly there is one.
    pub(super) fn documents(&self, report: &mut ReadReport) -> Vec<Document<'_>> {
        let first = self.document("messages", report);
        let parts = if first.end == End::More { parts(&self.text) } else { Vec::new() };
        if parts.is_empty() { vec![first] } else { parts.into_iter().map(Document::read).collect() }
    }
}

/// Parses JSON, if need be with control characters escaped and halves of characters replaced.
pub(super) fn parse<T: DeserializeOwned>(json: &str) -> Result<T, serde_json::Error> {
    serde_json::from_str(json).or_else(|_| serde_json::from_str(&mend(json)))
}

/// Parses JSON as [`parse`] does, and counts what had to be repaired or left out.
pub(super) fn parse_counted<T: DeserializeOwned>(json: &str, report: &mut ReadReport) -> Option<T> {
    if let Ok(parsed) = serde_json::from_str(json) {
        return Some(parsed);
    }
    let mended = serde_json::from_str(&mend(json)).ok();
    match mended {
        Some(_) => report.repaired += 1,
        None => report.bad += 1,
    }
    mended
}

/// The documents with messages that a text is put together from, one behind the other, where there are several: a transcript that was too
/// long for one file. Empty if the text is anything else.
pub(super) fn parts(text: &str) -> Vec<&str> {
    let mut values = serde_json::Deserializer::from_str(text).into_iter::<&RawValue>();
    let mut parts = Vec::new();
    for value in values.by_ref().map_while(Result::ok) {
        if !Document::read(value.get()).has_messages {
            return Vec::new();
        }
        parts.push(value.get());
    }
    // What follows the last whole value may be a part that is cut off.
    let rest = text.get(values.byte_offset()..).unwrap_or_default().trim();
    if !parts.is_empty() && Document::read(rest).has_messages {
        parts.push(rest);
    }
    if parts.len() > 1 { parts } else { Vec::new() }
}

impl<'a> Document<'a> {
    /// Reads what a text begins with; empty where that is no object.
    pub(super) fn read(text: &'a str) -> Document<'a> {
        Document::with_list(text, "messages")
    }

    /// Reads what a text begins with, as [`Document::read`] does; its messages are in the member `list`.
    pub(super) fn with_list(text: &'a str, list: &str) -> Document<'a> {
        let mut document = Document { rest: text, ..Document::default() };
        let mut json = serde_json::Deserializer::from_str(text);
        if (Members { document: &mut document, list }).deserialize(&mut json).is_ok() {
            document.end = if json.end().is_ok() { End::Whole } else { End::More };
        }
        let behind = |value: &RawValue| value.get().as_ptr() as usize + value.get().len() - text.as_ptr() as usize;
        document.rest = match (document.messages.last(), document.fields.last()) {
            (Some(message), _) => &text[behind(message)..],
            // The first message cannot be read: the list begins behind the member before it.
            (None, field) => {
                let begins = &text[field.map_or(0, |(_, value)| behind(value))..];
                begins.find('[').map_or(begins, |bracket| &begins[bracket + 1..])
            }
        };
        document
    }

    /// Calls `each` with the text of every message, in order, and counts into `report`. Behind damage messages are found by
    /// searching; `is_message` tells them from their parts.
    ///
    /// `each` must have no effect when it fails, since it is then called again with what could be repaired of the message.
    pub(super) fn for_each_message(
        &self,
        is_message: fn(&str) -> bool,
        report: &mut ReadReport,
        each: &mut dyn FnMut(&str) -> Result<(), serde_json::Error>,
    ) {
        for message in &self.messages {
            let text = message.get();
            if each(text).is_ok() {
                report.records += 1;
            } else if each(&mend(text)).is_ok() {
                report.records += 1;
                report.repaired += 1;
            } else {
                report.bad += 1;
            }
        }
        if self.end == End::Broken {
            let before = (report.bad, report.records);
            for_each_element(self.rest, is_message, report, each);
            // Where nothing is missing but a comma all is found again; where nothing follows the end at least is missing.
            match report.bad == before.0 {
                true if report.records > before.1 => report.repaired += 1,
                true => report.bad += 1,
                false => {}
            }
        }
    }

    /// The member `key`, as far as it can be understood as a `T`.
    pub(super) fn field<T: DeserializeOwned>(&self, key: &str) -> Option<T> {
        let (_, value) = self.fields.iter().find(|(name, _)| name == key)?;
        parse(value.get()).ok()
    }

    /// The members before any damage, as a document of their own.
    pub(super) fn readable_part(&self) -> String {
        let members: Vec<String> =
            self.fields.iter().map(|(key, value)| format!("{}:{}", Value::from(key.as_str()), value.get())).collect();
        format!("{{{}}}", members.join(","))
    }

    /// Whether the document has a member `key`.
    pub(super) fn has(&self, key: &str) -> bool {
        self.fields.iter().any(|(name, _)| name == key)
    }
}

/// Reads an object's members into a document; what was read stays read when damage follows.
struct Members<'d, 'a> {
    document: &'d mut Document<'a>,
    list: &'d str,
}

impl<'a> DeserializeSeed<'a> for Members<'_, 'a> {
    type Value = ();

    fn deserialize<D: Deserializer<'a>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'a> Visitor<'a> for Members<'_, 'a> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<M: MapAccess<'a>>(self, mut map: M) -> Result<(), M::Error> {
        while let Some(key) = map.next_key::<String>()? {
            if key == self.list {
                self.document.has_messages = true;
                map.next_value_seed(Messages(&mut self.document.messages))?;
            } else {
                self.document.fields.push((key, map.next_value()?));
            }
        }
        Ok(())
    }
}

/// Reads an array's elements; any other value counts as an empty one.
struct Messages<'d, 'a>(&'d mut Vec<&'a RawValue>);

impl<'a> DeserializeSeed<'a> for Messages<'_, 'a> {
    type Value = ();

    fn deserialize<D: Deserializer<'a>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'a> Visitor<'a> for Messages<'_, 'a> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array")
    }

    fn visit_seq<S: SeqAccess<'a>>(self, mut elements: S) -> Result<(), S::Error> {
        while let Some(element) = elements.next_element()? {
            self.0.push(element);
        }
        Ok(())
    }

    fn visit_map<M: MapAccess<'a>>(self, mut map: M) -> Result<(), M::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_is_taken_apart() {
        let document = Document::read("{\"a\": \"x\",\n \"messages\": [{\"b\": 1}, 2],\n \"c\": null}\n");
        assert_eq!((document.end, document.has_messages), (End::Whole, true));
        assert_eq!(document.messages.iter().map(|raw| raw.get()).collect::<Vec<_>>(), ["{\"b\": 1}", "2"]);
        assert_eq!(document.field::<String>("a").as_deref(), Some("x"));
        assert!(document.has("c") && !document.has("messages"));
        assert_eq!(Document::read("{\"a\":1}\n{\"b\":2}").end, End::More);
        assert!(Document::read("{\"messages\":null}").has_messages);
    }

    #[test]
    fn what_stands_before_damage_is_kept() {
        let whole = "{\"a\":\"x\",\"messages\":[{\"b\":1},{\"b\":2}]}";
        for cut in 0..whole.len() {
            let document = Document::read(&whole[..cut]);
            assert_eq!(document.end, End::Broken);
            assert_eq!(document.has("a"), cut >= 8, "cut at {cut}");
            assert_eq!(document.messages.len(), usize::from(cut >= 28) + usize::from(cut >= 36), "cut at {cut}");
        }
        for text in ["", "[1]", "null", "{", "{]", "text"] {
            let document = Document::read(text);
            assert!(document.fields.is_empty() && !document.has_messages, "{text}");
        }
    }

    /// The messages of a document's bytes, and the report's records, repaired and bad.
    fn read(bytes: &[u8]) -> (Vec<u64>, [u64; 3]) {
        let mut report = ReadReport::default();
        let text = Text::of(bytes);
        let document = text.document("messages", &mut report);
        let mut found = Vec::new();
        document.for_each_message(|text| text.starts_with("{\"b\""), &mut report, &mut |text| {
            let message: serde_json::Value = serde_json::from_str(text)?;
            found.extend(message["b"].as_u64());
            Ok(())
        });
        (found, [report.records, report.repaired, report.bad])
    }

    #[test]
    fn what_stands_behind_damage_is_found_again() {
        let whole = br#"{"a":"x","messages":[{"b":1},{"b":2,"c":"y"},{"b":3}]}"#;
        assert_eq!(read(whole), (vec![1, 2, 3], [3, 0, 0]));
        let damaged = |from: &str, to: &[u8]| {
            let text = std::str::from_utf8(whole).unwrap();
            let (before, after) = text.split_once(from).unwrap();
            read(&[before.as_bytes(), to, after.as_bytes()].concat())
        };
        let all = vec![1, 2, 3];
        for (from, to, found, counts) in [
            ("{\"a\"", &b"\xEF\xBB\xBF{\"a\""[..], all.clone(), [3, 1, 0]),
            ("x", b"\xFF", all.clone(), [3, 1, 0]),
            ("y", b"\x1B[1m\0", all.clone(), [3, 1, 0]),
            ("y", b"\\ud83d", all.clone(), [3, 1, 0]),
            ("{\"a\"", b"\0\0{\"a\"", all.clone(), [3, 1, 0]),
            (",{\"b\":2", b",\0\0{\"b\":2", all.clone(), [3, 1, 0]),
            (",{\"b\":2", b"{\"b\":2", all, [3, 1, 0]),
            ("{\"b\":1}", b"{\"b", vec![2, 3], [2, 0, 1]),
            ("{\"b\":1}", b"{\"b\":\"x\n", vec![2, 3], [2, 0, 1]),
            ("y\"}", b"", vec![1, 3], [2, 0, 1]),
            (",\"c\":\"y\"}", b"", vec![1, 3], [2, 0, 1]),
            (",{\"b\":3}]}", b"", vec![1, 2], [2, 0, 1]),
            ("{\"b\":3}]}", b"{\"b\":", vec![1, 2], [2, 0, 1]),
        ] {
            assert_eq!(damaged(from, to), (found, counts), "{from} to {}", to.escape_ascii());
        }
    }

    #[test]
    fn parts_of_a_document_are_told_from_lines() {
        let (one, two) = ("{\"messages\":[1]}", "{\n\"messages\": [2]\n}");
        assert_eq!(parts(&format!("{one}\n{two}")), [one, two]);
        assert_eq!(parts(&format!("{one}{two}\n")), [one, two]);
        assert_eq!(parts(&format!("{one}\n{{\"messages\":[3,")), [one, "{\"messages\":[3,"], "the last is cut off");
        for other in [one, two, "", "{\"messages\":[]}\n{\"type\":\"user\"}", "{\"messages\":[]}\n{\"a\":"] {
            assert!(parts(other).is_empty(), "{other}");
        }
    }

    #[test]
    fn halves_of_characters_cost_no_part() {
        let document = Document::read(r#"{"a":"\ud83d","messages":[]}"#);
        assert_eq!(document.field::<String>("a").as_deref(), Some("\u{FFFD}"));
    }
}
