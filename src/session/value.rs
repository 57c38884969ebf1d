//! Takes JSON values as they come; gives texts, counts and times where they can be understood as such.

use jiff::Timestamp;
use serde_json::Value;

/// The time in a UUID of version 7.
pub(super) fn uuid_time(uuid: &str) -> Option<Timestamp> {
    let bytes = uuid.as_bytes();
    if bytes.len() != 36 || bytes[14] != b'7' {
        return None;
    }
    let millisecond = i64::from_str_radix(&format!("{}{}", uuid.get(..8)?, uuid.get(9..13)?), 16).ok()?;
    Timestamp::from_millisecond(millisecond).ok()
}

/// The text of an output: a string, parts with texts, or an object around either; else its JSON.
pub(super) fn flat_text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Array(parts) => {
            let texts: Vec<String> = parts.iter().map(flat_text).filter(|text| !text.is_empty()).collect();
            texts.join("\n")
        }
        Value::Object(object) => {
            let inner = ["text", "content", "output", "stdout"].iter().find_map(|key| object.get(*key));
            match inner {
                Some(inner) => flat_text(inner),
                // A picture is megabytes of nothing to read.
                None if object.get("type").and_then(Value::as_str) == Some("input_image") => String::from("[image]"),
                None => value.to_string(),
            }
        }
        _ => value.to_string(),
    }
}

/// A string, or a number as one.
pub(super) fn text_of(value: Option<&Value>) -> Option<String> {
    match value? {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// Whether a text can tell things apart: some archives replace ids, as if they were secrets.
pub(super) fn is_id(text: &str) -> bool {
    !text.is_empty() && text != "REDACTED"
}

/// A count, also where it is written as a float or in quotes.
pub(super) fn number_of(value: Option<&Value>) -> Option<u64> {
    let number = match value? {
        Value::Number(number) => number.as_u64().map_or(number.as_f64()?, |whole| whole as f64),
        Value::String(text) => text.trim().parse().ok()?,
        _ => return None,
    };
    (number.is_finite() && number >= 0.0).then_some(number as u64)
}

/// A time in ISO form, or in seconds or milliseconds since 1970.
pub(super) fn time_of(value: Option<&Value>) -> Option<Timestamp> {
    /// In seconds this is the year 5138, in milliseconds March 1973.
    const SECONDS_BELOW: f64 = 1e11;
    /// Fewer digits are a year or a part of a date.
    const DIGITS: usize = 9;
    let number = match value? {
        Value::String(text) => {
            let is_number = text.bytes().take_while(u8::is_ascii_digit).count() >= DIGITS;
            return match text.parse() {
                Ok(time) => Some(time),
                Err(_) if is_number => time_of(Some(&Value::from(text.parse::<f64>().ok()?))),
                Err(_) => None,
            };
        }
        Value::Number(number) => number.as_f64()?,
        _ => return None,
    };
    let milliseconds = if number.abs() < SECONDS_BELOW { number * 1000.0 } else { number };
    Timestamp::from_millisecond(milliseconds as i64).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_time_is_a_text_or_a_number_in_quotes_or_not() {
        let second: Timestamp = "2026-05-01T10:00:00Z".parse().expect("a time");
        for told in [
            json!("2026-05-01T10:00:00Z"),
            json!("2026-05-01T12:00:00+02:00"),
            json!(1_777_629_600),
            json!(1_777_629_600_000_u64),
            json!(1_777_629_600_000.0),
            json!("1777629600"),
            json!("1777629600000"),
            json!("1777629600000.0"),
        ] {
            assert_eq!(time_of(Some(&told)), Some(second), "{told}");
        }
        for odd in [
            json!(null),
            json!(""),
            json!("2026"),
            json!("10000-01-01T00:00:00Z"),
            json!(1e308),
            json!(-1e308),
            json!(253_402_300_800_000_u64),
            json!("1777629600000000000000000"),
            json!("123456789x"),
        ] {
            assert_eq!(time_of(Some(&odd)), None, "{odd}");
        }
    }

    #[test]
    fn a_count_is_a_number_that_is_not_below_nought() {
        for (told, count) in [
            (json!(7), Some(7)),
            (json!(7.9), Some(7)),
            (json!("7"), Some(7)),
            (json!(u64::MAX), Some(u64::MAX)),
            (json!(1e308), Some(u64::MAX)),
            (json!(-1), None),
            (json!("-1"), None),
            (json!("many"), None),
            (json!(null), None),
        ] {
            assert_eq!(number_of(Some(&told)), count, "{told}");
        }
    }
}

/// JSON of any shape, often with the names that readers look for.
#[cfg(test)]
pub(super) fn any_json() -> impl proptest::strategy::Strategy<Value = Value> {
    use proptest::prelude::*;
    const WORDS: [&str; 22] = [
        "user",
        "assistant",
        "tool",
        "system",
        "text",
        "tool_use",
        "tool_result",
        "image",
        "c1",
        "e0",
        "REDACTED",
        "-5",
        "bash",
        "user_initiated",
        "denied-interactively-by-user",
        "success",
        "<user_query>",
        "<user_query>go</user_query>",
        "{\"command\":\"git commit\"}",
        "<exited with exit code 1>",
        "2026-05-01T10:00:00Z",
        "",
    ];
    const KEYS: [&str; 26] = [
        "type",
        "role",
        "content",
        "text",
        "message",
        "messages",
        "toolCallId",
        "toolName",
        "toolRequests",
        "name",
        "arguments",
        "function",
        "tool_calls",
        "tool_call_id",
        "tool_use_id",
        "result",
        "success",
        "reason",
        "kind",
        "feedback",
        "id",
        "upToEventId",
        "modelMetrics",
        "usage",
        "timestamp",
        "command",
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        prop::sample::select(&WORDS[..]).prop_map(Value::from),
        ".{0,12}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::vec((prop::sample::select(&KEYS[..]), inner), 0..6)
                .prop_map(|pairs| pairs.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()),
        ]
    })
}
