//! Takes a row's text; gives what tells it from the others of its session.

use super::row::{Tokens, Word};
use super::steps::timestamp;
use crate::session::copies::{Identity, Key};
use crate::session::pull::Pull;
use crate::session::value::is_id;

#[derive(Debug, Default)]
struct Marks<'a> {
    kind: Word<'a>,
    uuid: Word<'a>,
    timestamp: Word<'a>,
    operation: Word<'a>,
    leaf: Word<'a>,
    output_tokens: u64,
}

/// Rows of the conversation have an id, those of the queue a time; others only name what they are about. Of two versions of a row
/// the one that counts more tokens was written later.
pub(super) fn identify(line: &str) -> Result<Identity, serde_json::Error> {
    let mut marks = Marks::default();
    let mut pull = Pull::new(line);
    pull.members(|pull, key| {
        match key {
            "type" => marks.kind = Word::read(pull)?,
            "uuid" => marks.uuid = Word::read(pull)?,
            "timestamp" => marks.timestamp = Word::read(pull)?,
            "operation" => marks.operation = Word::read(pull)?,
            "leafUuid" => marks.leaf = Word::read(pull)?,
            "message" if pull.peek()? == b'{' => marks.output_tokens = output_tokens(pull)?,
            _ => pull.skip()?,
        }
        Ok(())
    })?;
    pull.end()?;
    let Marks { kind, uuid, timestamp: time, operation, leaf, output_tokens } = marks;
    let key = match (uuid.get(), time.get()) {
        (uuid, _) if is_id(uuid) => Key::Own(Key::digest(uuid)),
        (_, "") => Key::Kind(Key::digest((kind.get(), leaf.get()))),
        (_, time) => Key::Shared(Key::digest((kind.get(), operation.get(), time))),
    };
    Ok(Identity { weight: output_tokens, ..Identity::new(key, timestamp(time.get())) })
}

/// What a message says of the tokens of its answer so far.
fn output_tokens(pull: &mut Pull<'_>) -> Result<u64, serde_json::Error> {
    let mut tokens = 0;
    pull.members(|pull, key| {
        match key {
            "usage" => tokens = Tokens::read(pull)?.map_or(0, |usage| usage.output_tokens),
            _ => pull.skip()?,
        }
        Ok(())
    })?;
    Ok(tokens)
}
