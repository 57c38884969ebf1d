//! Takes the bytes of a file that may be one JSON document `{…, "messages": […]}`; gives its parts, also from a document that
//! is cut off or damaged further down.
//!
//! Parts stay text until somebody wants them, so that what nobody needs (megabytes of diffs) is never built.

use super::lines::mend;
use serde::de::{DeserializeOwned, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::fmt;

/// What could be read of a document.
#[derive(Debug, Default)]
pub(super) struct Document<'a> {
    /// The document's other members, in order.
    pub fields: Vec<(String, &'a RawValue)>,
    /// The elements of `messages`.
    pub messages: Vec<&'a RawValue>,
    /// Whether there are `messages`, be it none.
    pub has_messages: bool,
    /// How the text ends.
    pub end: End,
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

/// A file's bytes as text: without a byte order mark, broken characters replaced.
pub(super) fn text(bytes: &[u8]) -> Cow<'_, str> {
    String::from_utf8_lossy(bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes))
}

/// Parses JSON, if need be with control characters escaped and halves of characters replaced.
pub(super) fn parse<T: DeserializeOwned>(json: &str) -> Result<T, serde_json::Error> {
    serde_json::from_str(json).or_else(|_| serde_json::from_str(&mend(json)))
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
        let mut document = Document::default();
        let mut json = serde_json::Deserializer::from_str(text);
        if Members(&mut document).deserialize(&mut json).is_ok() {
            document.end = if json.end().is_ok() { End::Whole } else { End::More };
        }
        document
    }

    /// The member `key`, as far as it can be understood as a `T`.
    pub(super) fn field<T: DeserializeOwned>(&self, key: &str) -> Option<T> {
        let (_, value) = self.fields.iter().find(|(name, _)| name == key)?;
        parse(value.get()).ok()
    }

    /// Whether the document has a member `key`.
    pub(super) fn has(&self, key: &str) -> bool {
        self.fields.iter().any(|(name, _)| name == key)
    }
}

/// Reads an object's members into a document; what was read stays read when damage follows.
struct Members<'d, 'a>(&'d mut Document<'a>);

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
            if key == "messages" {
                self.0.has_messages = true;
                map.next_value_seed(Messages(&mut self.0.messages))?;
            } else {
                self.0.fields.push((key, map.next_value()?));
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
