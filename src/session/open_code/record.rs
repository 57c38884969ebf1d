//! Takes the JSON of OpenCode's records (a session's facts, a message, a part); gives them with tolerant types.
//!
//! Only what is asked for is built: a message may carry megabytes of diffs, a part the files it was given.

use crate::session::value::{flat_text, number_of, text_of, time_of};
use crate::usage::Usage;
use jiff::Timestamp;
use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value;
use std::fmt;

/// What is known about a session.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Facts {
    id: Value,
    #[serde(rename = "parentID")]
    parent: Value,
    #[serde(rename = "projectID")]
    project: Value,
    directory: Value,
    version: Value,
    time: Value,
    /// What the human took back last; what stands behind it is deleted only when the conversation goes on.
    pub revert: Value,
}

impl Facts {
    /// The session's id.
    pub(super) fn id(&self) -> Option<String> {
        text_of(Some(&self.id)).filter(|id| !id.is_empty())
    }

    /// The session whose agent started this one.
    pub(super) fn parent(&self) -> Option<String> {
        text_of(Some(&self.parent)).filter(|parent| !parent.is_empty())
    }

    pub(super) fn created(&self) -> Option<Timestamp> {
        time_of(self.time.get("created"))
    }

    /// Whether these are a session's facts and not just any object with an id.
    pub(super) fn are_open_codes(&self) -> bool {
        let known = [&self.project, &self.directory, &self.version].iter().filter(|value| value.is_string()).count();
        self.id().is_some() && self.created().is_some() && known >= 2
    }

    pub(super) fn from_columns(
        id: &str,
        parent: Option<String>,
        created: Option<i64>,
        revert: Option<String>,
    ) -> Facts {
        Facts {
            id: id.into(),
            parent: parent.into(),
            time: serde_json::json!({ "created": created }),
            revert: revert.and_then(|revert| serde_json::from_str(&revert).ok()).unwrap_or_default(),
            ..Facts::default()
        }
    }
}

/// What is known about a message.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Info {
    id: Value,
    #[serde(rename = "sessionID")]
    session: Value,
    role: Value,
    time: Value,
    #[serde(rename = "modelID")]
    model: Value,
    /// Where some versions name the model.
    #[serde(rename = "model")]
    provided: Value,
    tokens: Value,
    error: Value,
    /// Set where the message is the summary that replaced the conversation; on a human's message it is something else.
    pub summary: Flag,
}

impl Info {
    pub(super) fn id(&self) -> Option<String> {
        text_of(Some(&self.id))
    }

    pub(super) fn session(&self) -> Option<String> {
        text_of(Some(&self.session))
    }

    pub(super) fn role(&self) -> String {
        text_of(Some(&self.role)).unwrap_or_default()
    }

    pub(super) fn created(&self) -> Option<Timestamp> {
        time_of(self.time.get("created"))
    }

    pub(super) fn completed(&self) -> Option<Timestamp> {
        time_of(self.time.get("completed"))
    }

    pub(super) fn model(&self) -> Option<String> {
        text_of(Some(&self.model)).or_else(|| text_of(self.provided.get("modelID")))
    }

    pub(super) fn usage(&self) -> Option<Usage> {
        usage(&self.tokens)
    }

    /// The error that ended the message: its name and what it says.
    pub(super) fn error(&self) -> Option<(String, String)> {
        error(&self.error)
    }
}

/// A part of a message.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Part {
    id: Value,
    #[serde(rename = "messageID")]
    message: Value,
    #[serde(rename = "type")]
    kind: Value,
    text: Value,
    /// Whether the client made it.
    pub synthetic: Flag,
    /// Whether the model does not get to see it.
    pub ignored: Flag,
    tool: Value,
    pub state: Option<State>,
    time: Value,
    mime: Value,
    prompt: Value,
    command: Value,
    tokens: Value,
    error: Value,
}

/// A tool call's progress.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct State {
    status: Value,
    pub input: Value,
    output: Value,
    error: Value,
    time: Value,
    metadata: Option<Metadata>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct Metadata {
    exit: Value,
    interrupted: Flag,
}

impl Part {
    pub(super) fn id(&self) -> Option<String> {
        text_of(Some(&self.id))
    }

    /// The part under the id that it is stored with.
    pub(super) fn with_id(mut self, id: String) -> Part {
        self.id = id.into();
        self
    }

    pub(super) fn message(&self) -> Option<String> {
        text_of(Some(&self.message))
    }

    pub(super) fn kind(&self) -> String {
        text_of(Some(&self.kind)).unwrap_or_default()
    }

    pub(super) fn text(&self) -> String {
        flat_text(&self.text)
    }

    pub(super) fn tool(&self) -> String {
        text_of(Some(&self.tool)).unwrap_or_default()
    }

    pub(super) fn is_image(&self) -> bool {
        self.mime.as_str().is_some_and(|mime| mime.starts_with("image/"))
    }

    /// What a subagent that the human started was told.
    pub(super) fn prompt(&self) -> String {
        text_of(Some(&self.prompt)).unwrap_or_default()
    }

    /// The command by which the human started a subagent.
    pub(super) fn command(&self) -> Option<String> {
        text_of(Some(&self.command)).filter(|command| !command.is_empty())
    }

    pub(super) fn times(&self) -> [Option<Timestamp>; 2] {
        ["start", "end"].map(|key| time_of(self.time.get(key)))
    }

    pub(super) fn usage(&self) -> Option<Usage> {
        usage(&self.tokens)
    }

    pub(super) fn error(&self) -> Option<(String, String)> {
        error(&self.error)
    }
}

impl State {
    pub(super) fn status(&self) -> String {
        text_of(Some(&self.status)).unwrap_or_default()
    }

    /// What the call gave back, or why it did not.
    pub(super) fn text(&self) -> String {
        text_of(Some(&self.error)).or_else(|| text_of(Some(&self.output))).unwrap_or_default()
    }

    pub(super) fn times(&self) -> [Option<Timestamp>; 2] {
        ["start", "end"].map(|key| time_of(self.time.get(key)))
    }

    /// A command's exit code.
    pub(super) fn exit(&self) -> Option<f64> {
        text_of(Some(&self.metadata.as_ref()?.exit))?.parse().ok()
    }

    pub(super) fn was_interrupted(&self) -> bool {
        self.metadata.as_ref().is_some_and(|metadata| metadata.interrupted.0)
    }
}

fn error(error: &Value) -> Option<(String, String)> {
    let name = text_of(error.get("name")).or_else(|| text_of(Some(error)))?;
    let message =
        error.get("data").and_then(|data| text_of(data.get("message"))).or_else(|| text_of(error.get("message")));
    Some((name, message.unwrap_or_default()))
}

/// Tokens as OpenCode books them: input without what the cache took part in. Whether the reasoning is a part of the output or
/// stands beside it depends on the version; the total, where it is given, tells.
fn usage(tokens: &Value) -> Option<Usage> {
    let count = |key| number_of(tokens.get(key));
    let cache = |key| number_of(tokens.get("cache").and_then(|cache| cache.get(key))).unwrap_or(0);
    let (input, output) = (count("input"), count("output"));
    input.or(output)?;
    let (input, output) = (input.unwrap_or(0), output.unwrap_or(0));
    let (cached_input, cache_write, reasoning) = (cache("read"), cache("write"), count("reasoning").unwrap_or(0));
    let without = [input, output, cached_input, cache_write].iter().fold(0, |sum: u64, n| sum.saturating_add(*n));
    let is_beside = reasoning > output || count("total") == Some(without.saturating_add(reasoning));
    let output = if is_beside { output.saturating_add(reasoning) } else { output };
    Some(Usage { input, cached_input, cache_write, output, reasoning })
}

/// Whether a value is `true`; any other value, of whatever type and size, is not.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Flag(pub bool);

impl<'de> Deserialize<'de> for Flag {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Flag, D::Error> {
        struct IsTrue;
        impl<'de> Visitor<'de> for IsTrue {
            type Value = bool;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("any value")
            }

            fn visit_bool<E>(self, value: bool) -> Result<bool, E> {
                Ok(value)
            }

            fn visit_unit<E>(self) -> Result<bool, E> {
                Ok(false)
            }

            fn visit_i64<E>(self, _: i64) -> Result<bool, E> {
                Ok(false)
            }

            fn visit_u64<E>(self, _: u64) -> Result<bool, E> {
                Ok(false)
            }

            fn visit_f64<E>(self, _: f64) -> Result<bool, E> {
                Ok(false)
            }

            fn visit_str<E>(self, _: &str) -> Result<bool, E> {
                Ok(false)
            }

            fn visit_seq<S: SeqAccess<'de>>(self, mut elements: S) -> Result<bool, S::Error> {
                while elements.next_element::<IgnoredAny>()?.is_some() {}
                Ok(false)
            }

            fn visit_map<M: MapAccess<'de>>(self, mut members: M) -> Result<bool, M::Error> {
                while members.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(false)
            }
        }
        deserializer.deserialize_any(IsTrue).map(Flag)
    }
}
