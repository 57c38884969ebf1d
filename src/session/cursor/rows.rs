//! Takes Cursor's JSON lines; gives their messages.

use super::Record;
use crate::session::content::{Part, parts, result};
use crate::session::copies::{Identity, Key};
use crate::session::value::{flat_text, is_id, text_of};
use crate::session::{ReadReport, lines};
use serde::Deserialize;
use serde_json::{Map, Value};

/// Whether a file that begins with `head` holds such rows.
pub(super) fn are_in(head: &[u8]) -> bool {
    let mut found = false;
    lines::for_each_record(head, &mut ReadReport::default(), &mut |text| {
        if !found {
            found = is_row(&serde_json::from_str(text)?);
        }
        Ok(())
    });
    found
}

/// Whether a record is a message of Cursor's. Others write a message within a row, too, but with a type or an id of the row.
fn is_row(record: &Map<String, Value>) -> bool {
    let has = |key| record.contains_key(key);
    let content = record.get("message").and_then(|message| message.get("content"));
    matches!(record.get("role").and_then(Value::as_str), Some("user" | "assistant"))
        && content.is_some_and(|content| content.is_array() || content.is_string())
        && !["type", "uuid", "sessionId", "session_id", "timestamp"].into_iter().any(has)
}

/// The messages in a file.
pub(super) fn records(bytes: &[u8], report: &mut ReadReport) -> Vec<Record> {
    let mut records = Vec::new();
    lines::for_each_record(bytes, report, &mut |text| {
        let row: Map<String, Value> = serde_json::from_str(text)?;
        records.push(record(&row));
        Ok(())
    });
    records
}

/// Takes a record's text; gives what tells it from the others of its transcript, which is little: such rows have no ids and no times.
pub(super) fn identify(text: &str) -> Result<Identity, serde_json::Error> {
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Marks {
        id: Value,
        role: Value,
        #[serde(rename = "type")]
        kind: Value,
    }
    let Marks { id, role, kind } = serde_json::from_str(text)?;
    let key = match text_of(Some(&id)).filter(|id| is_id(id)) {
        Some(id) => Key::Own(Key::digest(id)),
        None => Key::Kind(Key::digest((text_of(Some(&role)), text_of(Some(&kind))))),
    };
    Ok(Identity::new(key, None))
}

fn record(row: &Map<String, Value>) -> Record {
    let message = row.get("message").and_then(Value::as_object);
    let content = || parts(message.and_then(|message| message.get("content")).or_else(|| row.get("content")));
    match text_of(row.get("role")).as_deref() {
        Some("user") => Record::User(content()),
        Some("assistant") => {
            let model = row.get("model").or_else(|| message?.get("model"));
            Record::Assistant { parts: content(), model: text_of(model) }
        }
        Some("system") => Record::System(content()),
        Some("tool") => match content().into_iter().find(|part| matches!(part, Part::Result { .. })) {
            Some(told) => Record::User(vec![told]),
            None => Record::User(vec![result(message.unwrap_or(row))]),
        },
        Some(role) => Record::Unknown(format!("role {role}")),
        None => mark(row),
    }
}

/// A row that is no message.
fn mark(row: &Map<String, Value>) -> Record {
    let kind = text_of(row.get("type")).unwrap_or_else(|| String::from("without a type"));
    if kind != "turn_ended" {
        return Record::Unknown(kind);
    }
    match text_of(row.get("status")).as_deref() {
        Some("aborted" | "cancelled" | "canceled" | "interrupted") => Record::Stopped,
        Some("error") => Record::Failed(row.get("error").map(flat_text).unwrap_or_default()),
        _ => Record::Silent,
    }
}
