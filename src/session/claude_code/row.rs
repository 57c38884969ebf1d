//! The rows of a Claude Code transcript as far as they matter here.
//!
//! Text is borrowed from the line where it can be; what is not named here (structured copies of tool results, images, thinking and
//! its signatures, snapshots) is skipped without being built. No field's type makes a row unreadable: clients of many versions and
//! gateways wrote these files.

use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, de::value::MapAccessDeserializer};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

/// One line.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Row<'a> {
    #[serde(rename = "type", borrow)]
    pub kind: Word<'a>,
    #[serde(borrow)]
    pub uuid: Word<'a>,
    #[serde(rename = "parentUuid", borrow)]
    pub parent: Word<'a>,
    #[serde(borrow)]
    pub timestamp: Word<'a>,
    #[serde(rename = "isSidechain")]
    pub sidechain: Flag,
    #[serde(rename = "isMeta")]
    pub meta: Flag,
    #[serde(rename = "isCompactSummary")]
    pub compact_summary: Flag,
    #[serde(rename = "isApiErrorMessage")]
    pub api_error: Flag,
    #[serde(borrow)]
    pub origin: Object<Origin<'a>>,
    #[serde(rename = "planContent")]
    pub plan: Present,
    #[serde(rename = "requestId", borrow)]
    pub request: Word<'a>,
    #[serde(rename = "sourceToolAssistantUUID", borrow)]
    pub source_row: Word<'a>,
    #[serde(rename = "toolDenialKind", borrow)]
    pub denial: Word<'a>,
    #[serde(rename = "toolUseResult", borrow)]
    pub structured_result: Option<&'a RawValue>,
    #[serde(borrow)]
    pub message: Object<Message<'a>>,
    /// Of `system` rows.
    #[serde(borrow)]
    pub subtype: Word<'a>,
    #[serde(rename = "retryAttempt")]
    pub retry: Count,
    #[serde(borrow)]
    pub error: Option<&'a RawValue>,
    /// Of `queue-operation` rows.
    #[serde(borrow)]
    pub operation: Word<'a>,
    /// Of `system` and `queue-operation` rows.
    #[serde(borrow)]
    pub content: Content<'a>,
    #[serde(borrow)]
    pub attachment: Object<Attachment<'a>>,
    /// Of `progress` rows.
    #[serde(borrow)]
    pub data: Object<Progress<'a>>,
}

/// Who made a user row, in newer versions.
#[derive(Debug, Deserialize)]
pub(super) struct Origin<'a> {
    #[serde(default, borrow)]
    pub kind: Word<'a>,
}

/// The message of an API call, or a piece of it.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Message<'a> {
    #[serde(borrow)]
    pub id: Word<'a>,
    #[serde(borrow)]
    pub model: Word<'a>,
    #[serde(borrow)]
    pub content: Content<'a>,
    pub usage: Object<Tokens>,
}

/// Tokens as the provider counts them.
#[derive(Debug, Default, Clone, Copy, Deserialize)]
#[serde(default)]
pub(super) struct Tokens {
    pub input_tokens: Count,
    pub output_tokens: Count,
    pub cache_creation_input_tokens: Count,
    pub cache_read_input_tokens: Count,
}

/// What the client attaches to a conversation.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Attachment<'a> {
    #[serde(rename = "type", borrow)]
    pub kind: Word<'a>,
    #[serde(borrow)]
    pub prompt: Content<'a>,
    #[serde(rename = "commandMode", borrow)]
    pub mode: Word<'a>,
    #[serde(borrow)]
    pub origin: Object<Origin<'a>>,
    #[serde(rename = "isMeta")]
    pub meta: Flag,
    #[serde(borrow)]
    pub content: Content<'a>,
    #[serde(borrow)]
    pub filename: Word<'a>,
    #[serde(rename = "hookEvent", borrow)]
    pub hook_event: Word<'a>,
}

/// A sign of life during a call; subagents of older versions speak in these.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Progress<'a> {
    #[serde(rename = "type", borrow)]
    pub kind: Word<'a>,
    #[serde(borrow)]
    pub message: Object<ProgressMessage<'a>>,
    #[serde(rename = "hookEvent", borrow)]
    pub hook_event: Word<'a>,
}

/// A subagent's row within a progress row.
#[derive(Debug, Deserialize)]
pub(super) struct ProgressMessage<'a> {
    #[serde(default, borrow)]
    pub uuid: Word<'a>,
}

/// One block of a message, or one part of a tool result.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Block<'a> {
    #[serde(rename = "type", borrow)]
    pub kind: Word<'a>,
    #[serde(borrow)]
    pub text: Word<'a>,
    #[serde(borrow)]
    pub id: Word<'a>,
    #[serde(borrow)]
    pub name: Word<'a>,
    #[serde(borrow)]
    pub input: Option<&'a RawValue>,
    #[serde(borrow)]
    pub tool_use_id: Word<'a>,
    #[serde(borrow)]
    pub tool_name: Word<'a>,
    #[serde(borrow)]
    pub content: Content<'a>,
    pub is_error: Flag,
}

/// A text or a list of blocks.
#[derive(Debug, Default)]
pub(super) enum Content<'a> {
    #[default]
    Nothing,
    Text(Cow<'a, str>),
    Blocks(Vec<Block<'a>>),
}

impl Content<'_> {
    /// The text, or the text blocks joined by line ends; images and tools by name.
    pub fn joined(&self) -> String {
        match self {
            Content::Nothing => String::new(),
            Content::Text(text) => text.clone().into_owned(),
            Content::Blocks(blocks) => {
                let mut joined = String::new();
                for block in blocks {
                    let part = match block.kind.get() {
                        "image" => "[image]",
                        "document" => "[document]",
                        "tool_reference" => block.tool_name.get(),
                        _ => block.text.get(),
                    };
                    if !joined.is_empty() && !part.is_empty() {
                        joined.push('\n');
                    }
                    joined.push_str(part);
                }
                joined
            }
        }
    }

    /// The text, or the text blocks joined by blank lines, and nothing of anything else.
    pub fn words(&self) -> String {
        match self {
            Content::Blocks(blocks) => {
                let texts =
                    blocks.iter().filter(|block| matches!(block.kind.get(), "text" | "")).map(|block| block.text.get());
                texts.collect::<Vec<_>>().join("\n\n")
            }
            _ => self.joined(),
        }
    }

    /// The text where there is one.
    pub fn text(&self) -> Option<String> {
        match self {
            Content::Nothing => None,
            _ => Some(self.joined()),
        }
    }

    /// How many images it holds.
    pub fn images(&self) -> u32 {
        match self {
            Content::Blocks(blocks) => blocks.iter().map(|block| u32::from(block.kind.get() == "image")).sum(),
            _ => 0,
        }
    }
}

/// A string; a number or a flag stands for its text, anything else for none.
#[derive(Debug, Default, Clone)]
pub(super) struct Word<'a>(Option<Cow<'a, str>>);

impl Word<'_> {
    /// The text, empty where there is none.
    pub fn get(&self) -> &str {
        self.0.as_deref().unwrap_or_default()
    }

    /// The text where there is one that is not empty.
    pub fn some(&self) -> Option<&str> {
        self.0.as_deref().filter(|text| !text.is_empty())
    }
}

/// A number, also one that is written as a string; else 0.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Count(pub u64);

/// True, also where it is written otherwise.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Flag(pub bool);

/// Whether there is anything but null.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Present(pub bool);

/// An object of the expected kind; none where something else stands in its place.
#[derive(Debug)]
pub(super) struct Object<T>(pub Option<T>);

impl<T> Default for Object<T> {
    fn default() -> Self {
        Object(None)
    }
}

/// Accepts every JSON value; what a type does not care for becomes its default.
macro_rules! tolerant {
    ($type:ty, [$($generics:tt)*], { $($accepts:tt)* }) => {
        impl<'de: 'a, 'a, $($generics)*> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Any<'a, T>(PhantomData<(&'a (), T)>);

                impl<'de: 'a, 'a, $($generics)*> Visitor<'de> for Any<'a, $type> {
                    type Value = $type;

                    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                        f.write_str("any value")
                    }

                    $($accepts)*
                }

                deserializer.deserialize_any(Any(PhantomData))
            }
        }
    };
}

/// The parts of a tolerant visitor that give the default.
macro_rules! no_scalars {
    ($($name:ident: $type:ty),*) => {
        $(fn $name<E>(self, _: $type) -> Result<Self::Value, E> { Ok(Self::Value::default()) })*

        fn visit_unit<E>(self) -> Result<Self::Value, E> { Ok(Self::Value::default()) }
    };
}

/// Skips a list.
macro_rules! no_list {
    () => {
        fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
            while list.next_element::<IgnoredAny>()?.is_some() {}
            Ok(Self::Value::default())
        }
    };
}

/// Skips an object.
macro_rules! no_object {
    () => {
        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
            Ok(Self::Value::default())
        }
    };
}

tolerant!(Word<'a>, [], {
    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Word(Some(Cow::Borrowed(text))))
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Word(Some(Cow::Owned(text.to_owned()))))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Self::Value, E> {
        Ok(Word(Some(Cow::Owned(number.to_string()))))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Self::Value, E> {
        Ok(Word(Some(Cow::Owned(number.to_string()))))
    }

    no_scalars!(visit_f64: f64, visit_bool: bool);
    no_list!();
    no_object!();
});

tolerant!(Count, [], {
    fn visit_u64<E>(self, number: u64) -> Result<Self::Value, E> {
        Ok(Count(number))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Self::Value, E> {
        Ok(Count(number as u64))
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Count(text.trim().parse().unwrap_or_default()))
    }

    no_scalars!(visit_i64: i64, visit_bool: bool);
    no_list!();
    no_object!();
});

tolerant!(Flag, [], {
    fn visit_bool<E>(self, flag: bool) -> Result<Self::Value, E> {
        Ok(Flag(flag))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Self::Value, E> {
        Ok(Flag(number != 0))
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Flag(text.eq_ignore_ascii_case("true")))
    }

    no_scalars!(visit_i64: i64, visit_f64: f64);
    no_list!();
    no_object!();
});

tolerant!(Object<T>, [T: Deserialize<'de>], {
    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map)).map(|object| Object(Some(object)))
    }

    no_scalars!(visit_u64: u64, visit_i64: i64, visit_f64: f64, visit_bool: bool, visit_str: &str);
    no_list!();
});

tolerant!(Content<'a>, [], {
    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Content::Text(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Content::Text(Cow::Owned(text.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let mut blocks = Vec::new();
        while let Some(element) = list.next_element::<Element<'de>>()? {
            blocks.extend(element.0);
        }
        Ok(Content::Blocks(blocks))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        Block::deserialize(MapAccessDeserializer::new(map)).map(|block| Content::Blocks(vec![block]))
    }

    no_scalars!(visit_u64: u64, visit_i64: i64, visit_f64: f64, visit_bool: bool);
});

/// A block in a list; a bare string is a text block.
#[derive(Default)]
struct Element<'a>(Option<Block<'a>>);

impl<'a> Element<'a> {
    fn text(text: Cow<'a, str>) -> Element<'a> {
        let kind = Word(Some(Cow::Borrowed("text")));
        Element(Some(Block { kind, text: Word(Some(text)), ..Block::default() }))
    }
}

tolerant!(Element<'a>, [], {
    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Element::text(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Element::text(Cow::Owned(text.to_owned())))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        Block::deserialize(MapAccessDeserializer::new(map)).map(|block| Element(Some(block)))
    }

    no_scalars!(visit_u64: u64, visit_i64: i64, visit_f64: f64, visit_bool: bool);
    no_list!();
});

impl<'de> Deserialize<'de> for Present {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Option::<IgnoredAny>::deserialize(deserializer).map(|value| Present(value.is_some()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_of_another_type_does_not_cost_the_row() {
        for odd in ["null", "1", "-1", "1.5", "true", "\"x\"", "[1,\"a\",{}]", "{\"b\":[{}]}"] {
            let fields = [
                "type",
                "uuid",
                "parentUuid",
                "timestamp",
                "isSidechain",
                "isMeta",
                "isCompactSummary",
                "origin",
                "planContent",
                "message",
                "content",
                "attachment",
                "data",
                "toolUseResult",
                "error",
                "retryAttempt",
                "snapshot",
            ];
            let row = fields.map(|field| format!("\"{field}\":{odd}")).join(",");
            serde_json::from_str::<Row<'_>>(&format!("{{{row}}}")).unwrap_or_else(|error| panic!("{odd}: {error}"));
            let inner = ["id", "model", "content", "usage"].map(|field| format!("\"{field}\":{odd}")).join(",");
            let tokens = format!("{{\"usage\":{{\"input_tokens\":{odd},\"output_tokens\":\"12\"}}}}");
            for message in [
                format!("{{{inner}}}"),
                tokens,
                format!("{{\"content\":[{odd},{{\"text\":{odd},\"content\":{odd}}}]}}"),
            ] {
                let row = format!("{{\"message\":{message}}}");
                serde_json::from_str::<Row<'_>>(&row).unwrap_or_else(|error| panic!("{row}: {error}"));
            }
        }
    }

    #[test]
    fn content_is_a_text_or_blocks_and_images_are_named() {
        let row: Row<'_> = serde_json::from_str(
            r#"{"content":"a","message":{"content":["x",{"type":"image","source":{"data":"…"}},{"type":"text","text":"y\n"}],
            "usage":{"input_tokens":"7","output_tokens":3.0}}}"#,
        )
        .unwrap();
        assert_eq!(row.content.joined(), "a");
        let message = row.message.0.unwrap();
        assert_eq!((message.content.joined().as_str(), message.content.images()), ("x\n[image]\ny\n", 1));
        let tokens = message.usage.0.unwrap();
        assert_eq!((tokens.input_tokens.0, tokens.output_tokens.0), (7, 3));
    }
}
