//! Values of other shapes than expected: types of records and blocks that nobody knows, numbers in quotes, nothing where
//! something was, a text where a list was.

use super::{Damage, every, last_words};
use crate::story::{self, Form, LAST, Telling, with};
use serde_json::{Value, json};

/// The story with one more record, before the last words.
fn with_record(telling: &Telling, record: Value) -> Vec<Vec<u8>> {
    let mut records = telling.records();
    let at = last_words(&records);
    records.insert(at, record.to_string().into_bytes());
    records
}

#[test]
fn records_of_unknown_types_are_counted_and_cost_nothing() {
    every(|telling| {
        let at = story::at(30);
        let (record, unknown) = match telling.name {
            "claude_code" => (
                json!({ "type": "hologram", "sessionId": "s", "uuid": "h", "timestamp": at, "isSidechain": false, "message": { "content": [{ "type": "text", "text": "?" }] } }),
                "hologram",
            ),
            "codex" => (json!({ "timestamp": at, "type": "hologram", "payload": { "message": "?" } }), "hologram"),
            "gemini_cli lines" | "gemini_cli document" => {
                (json!({ "id": "h", "timestamp": at, "type": "hologram", "content": "?" }), "hologram")
            }
            "opencode export" => (json!({ "info": { "id": "msg_h", "role": "hologram" }, "parts": [] }), "hologram"),
            "copilot" => (
                json!({ "type": "hologram", "data": { "content": "?" }, "id": "h", "timestamp": at, "parentId": null }),
                "hologram",
            ),
            "copilot document" => (json!({ "type": "hologram", "timestamp": at, "text": "?" }), "timeline.hologram"),
            "cursor" => (json!({ "type": "hologram", "status": "?" }), "hologram"),
            "chat line" | "chat document" => (json!({ "role": "hologram", "content": "?" }), "role hologram"),
            _ => return None,
        };
        Some(Damage::records(with_record(telling, record)).unknown(json!({ unknown: 1 })))
    });
}

#[test]
fn blocks_of_unknown_types_are_counted_and_cost_nothing() {
    every(|telling| {
        let hologram = json!({ "type": "hologram", "depth": 3 });
        let (record, unknown) = match telling.name {
            "claude_code" => (
                json!({ "type": "assistant", "sessionId": "s", "uuid": "h", "isSidechain": false, "message": { "role": "assistant", "content": [hologram] } }),
                "assistant/hologram",
            ),
            "codex" => (
                json!({ "type": "response_item", "payload": { "type": "message", "role": "assistant", "content": [hologram] } }),
                "message.hologram",
            ),
            "gemini_cli lines" | "gemini_cli document" => {
                (json!({ "id": "h", "type": "gemini", "content": [{ "hologram": {} }] }), "part.hologram")
            }
            "opencode export" => (
                json!({ "info": { "id": "msg_h", "role": "assistant" }, "parts": [{ "id": "prt_h", "type": "hologram" }] }),
                "part.hologram",
            ),
            "cursor" => (json!({ "role": "assistant", "message": { "content": [hologram] } }), "hologram"),
            "chat line" | "chat document" => (json!({ "role": "assistant", "content": [hologram] }), "hologram"),
            // Their rows have no blocks.
            _ => return None,
        };
        Some(Damage::records(with_record(telling, record)).unknown(json!({ unknown: 1 })))
    });
}

/// Changes every value within `value`, innermost first.
fn each_value(value: &mut Value, change: &mut dyn FnMut(&mut Value)) {
    match value {
        Value::Array(values) => values.iter_mut().for_each(|value| each_value(value, change)),
        Value::Object(members) => members.values_mut().for_each(|value| each_value(value, change)),
        _ => {}
    }
    change(value);
}

/// The story with every value changed.
fn changed(telling: &Telling, change: &mut dyn FnMut(&mut Value)) -> Option<Vec<Vec<u8>>> {
    if matches!(telling.form, Form::Text(..)) {
        return None;
    }
    let values = telling.records().into_iter().map(|record| {
        let mut value = serde_json::from_slice(&record).expect("a record is JSON");
        each_value(&mut value, change);
        value.to_string().into_bytes()
    });
    Some(values.collect())
}

#[test]
fn numbers_in_quotes_and_with_a_fraction_are_numbers() {
    every(|telling| {
        let quoted = changed(telling, &mut |value| {
            if value.is_number() {
                *value = json!(value.to_string());
            }
        });
        quoted.map(Damage::records)
    });
    every(|telling| {
        let fractions = changed(telling, &mut |value| {
            if let Some(number) = value.as_u64() {
                *value = json!(number as f64);
            }
        });
        fractions.map(Damage::records)
    });
}

#[test]
fn no_account_of_tokens_is_no_tokens() {
    let nothing = json!({ "input": 0, "cached_input": 0, "cache_write": 0, "output": 0, "reasoning": 0 });
    for none in [Value::Null, json!("?"), json!([]), json!({}), json!(-1)] {
        every(|telling| {
            let records = changed(telling, &mut |value| {
                for key in ["usage", "tokens", "info", "modelMetrics", "outputTokens"] {
                    // A message's `info` is more than its tokens.
                    let holds_tokens = |value: &Value| key != "info" || value.get("total_token_usage").is_some();
                    if let Some(held) = value.get_mut(key).filter(|held| holds_tokens(held)) {
                        *held = none.clone();
                    }
                }
            });
            Some(Damage::records(records?).unless(json!({ "usage": nothing })))
        });
    }
}

/// Puts `content` where the last words are.
fn with_last_words(telling: &Telling, content: &Value) -> Option<Vec<Vec<u8>>> {
    let mut records = telling.records();
    let at = last_words(&records);
    let mut record: Value = serde_json::from_slice(&records[at]).ok()?;
    let place = match telling.name {
        "claude_code" => "/message/content",
        "codex" => "/payload/message",
        "gemini_cli lines" | "gemini_cli document" => "/content",
        "opencode export" => "/parts/0/text",
        "opencode storage" | "opencode database" | "copilot document" => "/text",
        "copilot" => "/data/content",
        "cursor" => "/message/content",
        "chat line" | "chat document" => "/content",
        _ => return None,
    };
    *record.pointer_mut(place).expect("the words are there") = content.clone();
    records[at] = record.to_string().into_bytes();
    Some(records)
}

#[test]
fn words_are_a_text_or_a_list_of_blocks() {
    let texts = [
        json!(LAST),
        json!([{ "type": "text", "text": LAST }]),
        json!([LAST]),
        json!({ "type": "text", "text": LAST }),
    ];
    for content in texts {
        every(|telling| Some(Damage::records(with_last_words(telling, &content)?).last(LAST)));
    }
}

#[test]
fn no_words_are_no_prompt_and_no_damage() {
    for content in [json!(null), json!([]), json!(""), json!([null]), json!([{ "type": "text", "text": null }])] {
        every(|telling| {
            let records = with_last_words(telling, &content)?;
            Some(Damage::records(records).unless(with(json!({}), json!({ "prompts": 2 }))))
        });
    }
}
