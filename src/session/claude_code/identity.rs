//! Takes a row's text; gives what tells it from the others of its session.

use super::row::{Object, Tokens, Word};
use super::steps::timestamp;
use crate::session::copies::{Identity, Key};
use crate::session::value::is_id;
use serde::Deserialize;

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Marks<'a> {
    #[serde(rename = "type", borrow)]
    kind: Word<'a>,
    #[serde(borrow)]
    uuid: Word<'a>,
    #[serde(borrow)]
    timestamp: Word<'a>,
    #[serde(borrow)]
    operation: Word<'a>,
    #[serde(rename = "leafUuid", borrow)]
    leaf: Word<'a>,
    message: Object<Message>,
}

#[derive(Debug, Deserialize)]
struct Message {
    #[serde(default)]
    usage: Object<Tokens>,
}

/// Rows of the conversation have an id, those of the queue a time; others only name what they are about. Of two versions of a row
/// the one that counts more tokens was written later.
pub(super) fn identify(line: &str) -> Result<Identity, serde_json::Error> {
    let Marks { kind, uuid, timestamp: time, operation, leaf, message } = serde_json::from_str(line)?;
    let key = match (uuid.get(), time.get()) {
        (uuid, _) if is_id(uuid) => Key::Own(Key::digest(uuid)),
        (_, "") => Key::Kind(Key::digest((kind.get(), leaf.get()))),
        (_, time) => Key::Shared(Key::digest((kind.get(), operation.get(), time))),
    };
    let usage = message.0.and_then(|message| message.usage.0);
    let weight = usage.map_or(0, |usage| usage.output_tokens.0);
    Ok(Identity { weight, ..Identity::new(key, timestamp(time.get())) })
}
