//! The messages API of Anthropic.

mod batch;

use super::batch::BatchLane;
use super::fault::{self, Said};
use super::{
    Accounting, Adapter, End, Fault, Feature, HeaderLookup, HttpRequest, Lacking, OUTPUT_LIMIT, PrefixCache,
    RateLimits, Request, Response, Role, Told, Turn, Unreadable,
};
use crate::usage::Usage;
use serde_json::{Map, Value, json};

/// The adapter for `/v1/messages`.
#[derive(Debug, Clone, Copy, Default)]
pub struct Anthropic;

/// The current version; it takes no temperature, whatever the model.
const VERSION: &str = "2026-10-21";

/// The version that takes a temperature, for models up to 4.6.
const VERSION_WITH_TEMPERATURE: &str = "2023-06-01";

/// More marks than these are an error.
const MAX_CACHE_MARKS: usize = 4;

/// 429 for reasons that no wait mends.
const SPEND_LIMITS: &[&str] = &["enforced_spend_limit_reached", "contract_spend_limit_reached"];

impl Adapter for Anthropic {
    fn prefix_cache(&self) -> PrefixCache {
        PrefixCache::Marked
    }

    fn encode(&self, base_url: &str, request: &Request, lacking: &Lacking) -> HttpRequest {
        let (system, turns) = request.conversation(lacking);
        let temperature = request.sent_temperature(lacking);

        let mut body = Map::new();
        body.insert("model".to_owned(), json!(request.model));
        // It is required.
        body.insert("max_tokens".to_owned(), json!(request.max_output_tokens.unwrap_or(OUTPUT_LIMIT)));
        if let Some(text) = system {
            body.insert("system".to_owned(), json!(text));
        }
        body.insert("messages".to_owned(), messages(&turns));
        if !lacking.contains(&Feature::AnswerSchema) {
            let format = json!({ "type": "json_schema", "schema": accepted(&request.schema.json) });
            body.insert("output_config".to_owned(), json!({ "format": format }));
        }
        if let Some(temperature) = temperature {
            body.insert("temperature".to_owned(), json!(temperature));
        }
        let version = if temperature.is_some() { VERSION_WITH_TEMPERATURE } else { VERSION };
        HttpRequest {
            url: format!("{}/v1/messages", base_url.trim_end_matches('/')),
            headers: vec![("content-type", "application/json".to_owned()), ("anthropic-version", version.to_owned())],
            auth: ("x-api-key", ""),
            body: Value::Object(body).to_string().into_bytes(),
        }
    }

    fn decode(&self, body: &[u8]) -> Result<Response, Unreadable> {
        let root = fault::json(body)?;
        let blocks = root["content"].as_array().ok_or_else(|| fault::lacking("no `content`", body))?;
        let text: String =
            blocks.iter().filter(|block| block["type"] == "text").filter_map(|block| block["text"].as_str()).collect();
        let end = match root["stop_reason"].as_str() {
            Some("end_turn") => End::Stop,
            Some("max_tokens" | "model_context_window_exceeded") => End::Length,
            Some("refusal") => End::Refusal(refusal(&root["stop_details"])),
            Some(other) => End::Other(other.to_owned()),
            // Some compatible servers give no reason with a whole answer.
            None if !text.is_empty() => End::Stop,
            None => End::Other("no stop_reason and no text".to_owned()),
        };
        Ok(Response { text, end, usage: usage(&root["usage"]), model: root["model"].as_str().map(str::to_owned) })
    }

    fn fault(&self, status: u16, header: HeaderLookup<'_>, body: &[u8]) -> Fault {
        let said = Said::read(status, body);
        if said.is(SPEND_LIMITS) || (status == 400 && said.mentions(&["credit balance is too low"])) {
            return Fault::Stop(said.line());
        }
        if matches!(status, 400 | 413) && (said.is_too_long() || said.mentions(&["exceed context limit"])) {
            return Fault::TooLong(said.line());
        }
        if status == 400 && said.mentions(&["content filtering policy"]) {
            return Fault::Refused(said.line());
        }
        said.by_status(header)
    }

    fn rate_limits(&self, header: HeaderLookup<'_>) -> RateLimits {
        let told = |name: &str| Told {
            limit: fault::limit(header, &format!("anthropic-ratelimit-{name}-limit")),
            left: fault::limit(header, &format!("anthropic-ratelimit-{name}-remaining")),
            reset: fault::until(header, &format!("anthropic-ratelimit-{name}-reset")),
        };
        RateLimits {
            requests: told("requests"),
            // The sum of the next two, or a workspace's own limit where that is the tighter one.
            tokens: told("tokens"),
            input_tokens: told("input-tokens"),
            output_tokens: told("output-tokens"),
        }
    }

    fn accounting(&self) -> Accounting {
        Accounting::WithoutCached
    }

    fn batch_lane(&self) -> Option<&dyn BatchLane> {
        Some(self)
    }
}

/// Turns as text blocks. Of too many marks the last ones stay: they cover the longest prefixes.
fn messages(turns: &[Turn]) -> Value {
    let marks = turns.iter().flat_map(|turn| &turn.parts).filter(|part| part.cache_mark).count();
    let mut surplus = marks.saturating_sub(MAX_CACHE_MARKS);
    let mut messages = Vec::with_capacity(turns.len());
    for turn in turns {
        let role = match turn.role {
            Role::User => "user",
            Role::Assistant => "assistant",
        };
        let mut blocks = Vec::with_capacity(turn.parts.len());
        for part in &turn.parts {
            let mut block = json!({ "type": "text", "text": part.text });
            if part.cache_mark && surplus > 0 {
                surplus -= 1;
            } else if part.cache_mark {
                block["cache_control"] = json!({ "type": "ephemeral" });
            }
            blocks.push(block);
        }
        messages.push(json!({ "role": role, "content": blocks }));
    }
    Value::Array(messages)
}

/// Why the model declined, in the best words there are.
fn refusal(details: &Value) -> String {
    let words =
        ["explanation", "category"].iter().find_map(|name| details[*name].as_str().filter(|word| !word.is_empty()));
    words.unwrap_or("refusal").to_owned()
}

/// The four counts do not overlap at Anthropic.
fn usage(usage: &Value) -> Option<Usage> {
    let input = fault::count(usage, "input_tokens");
    let output = fault::count(usage, "output_tokens");
    if input.is_none() && output.is_none() {
        return None;
    }
    let output = output.unwrap_or(0);
    let count = |name: &str| fault::count(usage, name).unwrap_or(0);
    Some(Usage {
        input: input.unwrap_or(0),
        cached_input: count("cache_read_input_tokens"),
        cache_write: count("cache_creation_input_tokens"),
        output,
        reasoning: fault::count(&usage["output_tokens_details"], "thinking_tokens").unwrap_or(0).min(output),
    })
}

/// Keywords of a schema that Anthropic takes; `minItems` and `pattern` only in part.
const ACCEPTED: &[&str] = &[
    "type",
    "properties",
    "required",
    "additionalProperties",
    "items",
    "enum",
    "const",
    "anyOf",
    "allOf",
    "$ref",
    "$defs",
    "definitions",
    "title",
    "default",
    "format",
];

/// The schema with what Anthropic refuses said in descriptions instead, as the official client does.
fn accepted(schema: &Value) -> Value {
    let Value::Object(fields) = schema else { return schema.clone() };
    let mut kept = Map::new();
    let mut said = Vec::new();
    for (name, value) in fields {
        match name.as_str() {
            "properties" | "$defs" | "definitions" => {
                let inner = value.as_object().map(|fields| {
                    fields.iter().map(|(name, schema)| (name.clone(), accepted(schema))).collect::<Map<_, _>>()
                });
                kept.insert(name.clone(), inner.map_or_else(|| value.clone(), Value::Object));
            }
            "items" => {
                kept.insert(name.clone(), accepted(value));
            }
            "anyOf" | "allOf" | "oneOf" => {
                let inner = value.as_array().map(|list| list.iter().map(accepted).collect());
                // Of alternatives that exclude each other, any is one of them.
                let name = if name == "oneOf" { "anyOf" } else { name };
                kept.insert(name.to_owned(), inner.map_or_else(|| value.clone(), Value::Array));
            }
            "minItems" if matches!(value.as_u64(), Some(0 | 1)) => {
                kept.insert(name.clone(), value.clone());
            }
            "pattern" if value.as_str().is_some_and(plain_pattern) => {
                kept.insert(name.clone(), value.clone());
            }
            "description" | "$schema" => {}
            name if ACCEPTED.contains(&name) => {
                kept.insert(name.to_owned(), value.clone());
            }
            _ => said.push(format!("{name}: {value}")),
        }
    }
    if kept.contains_key("properties") {
        kept.insert("additionalProperties".to_owned(), Value::Bool(false));
    }
    let description = fields.get("description").and_then(Value::as_str).unwrap_or_default();
    let said = if said.is_empty() { String::new() } else { format!("{{{}}}", said.join(", ")) };
    let description = [description, &said].into_iter().filter(|text| !text.is_empty()).collect::<Vec<_>>().join("\n\n");
    if !description.is_empty() {
        kept.insert("description".to_owned(), Value::String(description));
    }
    Value::Object(kept)
}

/// A pattern without lookaround, back-references and word boundaries.
fn plain_pattern(pattern: &str) -> bool {
    let mut escaped = false;
    for c in pattern.chars() {
        if escaped && (c.is_ascii_digit() || matches!(c, 'b' | 'B' | 'k')) {
            return false;
        }
        escaped = c == '\\' && !escaped;
    }
    !["(?=", "(?!", "(?<"].iter().any(|look| pattern.contains(look))
}

#[cfg(test)]
mod tests {
    use super::super::tests::{headers, no_headers, request};
    use super::super::{AnswerSchema, Part};
    use super::*;
    use std::time::Duration;

    fn encoded(request: &Request, lacking: &[Feature]) -> (HttpRequest, Value) {
        let http = Anthropic.encode("https://api.anthropic.com", request, &lacking.iter().copied().collect());
        let body = serde_json::from_slice(&http.body).unwrap();
        (http, body)
    }

    fn version(http: &HttpRequest) -> &str {
        &http.headers.iter().find(|(name, _)| *name == "anthropic-version").unwrap().1
    }

    fn decoded(body: &str) -> Response {
        Anthropic.decode(body.as_bytes()).unwrap()
    }

    fn fault(status: u16, body: &str) -> Fault {
        Anthropic.fault(status, &no_headers, body.as_bytes())
    }

    fn error(kind: &str, message: &str) -> String {
        json!({ "type": "error", "error": { "type": kind, "message": message }, "request_id": "req_1" }).to_string()
    }

    #[test]
    fn a_request_has_blocks_with_marks_and_a_schema_without_a_name() {
        let (http, body) = encoded(&Request { temperature: None, ..request() }, &[]);
        assert_eq!(http.url, "https://api.anthropic.com/v1/messages");
        assert_eq!(http.auth, ("x-api-key", ""));
        assert_eq!(version(&http), "2026-10-21");
        assert_eq!(
            body,
            json!({
                "model": "some-model",
                "max_tokens": 500,
                "system": "You annotate.",
                "messages": [{ "role": "user", "content": [
                    { "type": "text", "text": "The transcript.\n\n", "cache_control": { "type": "ephemeral" } },
                    { "type": "text", "text": "What is its label?" },
                ] }],
                "output_config": { "format": { "type": "json_schema", "schema": request().schema.json } },
            })
        );
    }

    #[test]
    fn a_temperature_goes_with_the_older_version_alone() {
        let (http, body) = encoded(&request(), &[]);
        assert_eq!((version(&http), &body["temperature"]), ("2023-06-01", &json!(0.5)));
        let (http, body) = encoded(&request(), &[Feature::Temperature]);
        assert_eq!((version(&http), body.get("temperature")), ("2026-10-21", None));
    }

    #[test]
    fn what_is_lacking_is_left_out() {
        let lacking = [Feature::CacheMark, Feature::AnswerSchema, Feature::SystemTurn];
        let (_, body) = encoded(&Request { max_output_tokens: None, ..request() }, &lacking);
        assert_eq!(body["max_tokens"], OUTPUT_LIMIT);
        assert!(body.get("output_config").is_none() && body.get("system").is_none());
        let blocks = body["messages"][0]["content"].as_array().unwrap();
        assert_eq!(blocks.len(), 4);
        assert!(blocks.iter().all(|block| block.get("cache_control").is_none()));
    }

    #[test]
    fn at_most_four_marks_are_sent_and_no_empty_block() {
        let part = |text: &str| Part { text: text.to_owned(), cache_mark: true };
        let turn = Turn { role: Role::User, parts: ["a", "b", "", "c", "d", "e", "f"].map(part).to_vec() };
        let (_, body) = encoded(&Request { turns: vec![turn], ..request() }, &[]);
        let blocks = body["messages"][0]["content"].as_array().unwrap();
        let marked: Vec<_> =
            blocks.iter().filter(|block| block.get("cache_control").is_some()).map(|b| &b["text"]).collect();
        assert_eq!((blocks.len(), marked), (6, vec![&json!("c"), &json!("d"), &json!("e"), &json!("f")]));
    }

    #[test]
    fn refused_keywords_become_words_wherever_they_stand() {
        let schema = json!({
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "type": "object",
            "properties": {
                // A field may be called as a keyword is.
                "minimum": { "type": "integer", "minimum": 0, "maximum": 100, "description": "A score." },
                "list": { "type": "array", "minItems": 2, "maxItems": 3, "items": { "type": "string", "maxLength": 9 } },
                "some": { "type": "array", "minItems": 1, "items": { "$ref": "#/$defs/word" } },
                "either": { "oneOf": [{ "type": "null" }, { "type": "string", "pattern": "^a\\b" }] },
            },
            "required": ["minimum", "list", "some", "either"],
            "$defs": { "word": { "type": "string", "pattern": "^[a-z]+$", "minLength": 1 } },
        });
        let schema = AnswerSchema { name: "x".to_owned(), json: schema };
        let (_, body) = encoded(&Request { schema, ..request() }, &[]);
        assert_eq!(
            body["output_config"]["format"]["schema"],
            json!({
                "type": "object",
                "properties": {
                    "minimum": { "type": "integer", "description": "A score.\n\n{minimum: 0, maximum: 100}" },
                    "list": {
                        "type": "array",
                        "items": { "type": "string", "description": "{maxLength: 9}" },
                        "description": "{minItems: 2, maxItems: 3}",
                    },
                    "some": { "type": "array", "minItems": 1, "items": { "$ref": "#/$defs/word" } },
                    "either": { "anyOf": [
                        { "type": "null" },
                        { "type": "string", "description": "{pattern: \"^a\\\\b\"}" },
                    ] },
                },
                "required": ["minimum", "list", "some", "either"],
                "$defs": { "word": { "type": "string", "pattern": "^[a-z]+$", "description": "{minLength: 1}" } },
                "additionalProperties": false,
            })
        );
    }

    #[test]
    fn the_order_of_properties_is_kept() {
        let (http, _) = encoded(&request(), &[]);
        let text = String::from_utf8(http.body).unwrap();
        assert!(text.find(r#""reason":"#).unwrap() < text.find(r#""label":"#).unwrap(), "{text}");
    }

    #[test]
    fn an_answer_is_the_text_after_the_thinking() {
        let response = decoded(
            r#"{"id":"msg_1","type":"message","role":"assistant","model":"some-model-20261001","content":[
            {"type":"thinking","thinking":"hm","signature":"s"},{"type":"text","text":"{\"a\":"},{"type":"text","text":"1}"}],
            "stop_reason":"end_turn","stop_sequence":null,"usage":{"input_tokens":12,"cache_read_input_tokens":4096,
            "cache_creation_input_tokens":100,"cache_creation":{"ephemeral_5m_input_tokens":100,"ephemeral_1h_input_tokens":0},
            "output_tokens":60,"output_tokens_details":{"thinking_tokens":40},"service_tier":"standard"}}"#,
        );
        assert_eq!((response.text.as_str(), response.end), (r#"{"a":1}"#, End::Stop));
        assert_eq!(response.model.as_deref(), Some("some-model-20261001"));
        let usage = Usage { input: 12, cached_input: 4096, cache_write: 100, output: 60, reasoning: 40 };
        assert_eq!(response.usage, Some(usage));
        let poor = r#"{"content":[],"stop_reason":"end_turn","usage":{"input_tokens":1,"cache_read_input_tokens":null,"output_tokens":2,"output_tokens_details":null}}"#;
        assert_eq!(decoded(poor).usage, Some(Usage { input: 1, output: 2, ..Usage::default() }));
        assert_eq!(decoded(r#"{"content":[],"stop_reason":"end_turn"}"#).usage, None);
    }

    #[test]
    fn every_end_is_told_apart() {
        let end = |content: &str, rest: &str| decoded(&format!(r#"{{"content":{content},"stop_reason":{rest}}}"#)).end;
        assert_eq!(end("[]", r#""max_tokens""#), End::Length);
        assert_eq!(end("[]", r#""model_context_window_exceeded""#), End::Length);
        assert_eq!(end("[]", r#""refusal""#), End::Refusal("refusal".to_owned()));
        let details = r#""refusal","stop_details":{"type":"refusal","category":"cyber","explanation":null}"#;
        assert_eq!(end("[]", details), End::Refusal("cyber".to_owned()));
        let details = r#""refusal","stop_details":{"type":"refusal","category":"cyber","explanation":"No."}"#;
        assert_eq!(end("[]", details), End::Refusal("No.".to_owned()));
        assert_eq!(end("[]", r#""pause_turn""#), End::Other("pause_turn".to_owned()));
        assert_eq!(end(r#"[{"type":"text","text":"x"}]"#, "null"), End::Stop);
        assert!(matches!(end("[]", "null"), End::Other(_)));
    }

    #[test]
    fn what_is_no_answer_says_what_it_is() {
        let says = |body: &str| Anthropic.decode(body.as_bytes()).unwrap_err().to_string();
        assert!(says("not found").contains("no JSON; it begins with: not found"));
        assert!(says(r#"{"choices":[]}"#).contains("no `content`"));
        assert!(says(&error("overloaded_error", "Overloaded")).contains("Overloaded"));
    }

    #[test]
    fn a_run_stops_for_the_key_the_model_and_the_money() {
        assert!(matches!(fault(401, &error("authentication_error", "invalid x-api-key")), Fault::Stop(_)));
        assert!(matches!(fault(403, &error("permission_error", "m")), Fault::Stop(_)));
        assert!(matches!(fault(402, &error("billing_error", "m")), Fault::Stop(_)));
        let unknown = fault(404, &error("not_found_error", "model: some-model"));
        assert_eq!(unknown, Fault::Stop("HTTP 404 not_found_error: model: some-model".to_owned()));
        let poor = error("invalid_request_error", "Your credit balance is too low to access the API.");
        assert!(matches!(fault(400, &poor), Fault::Stop(_)));
        for code in SPEND_LIMITS {
            let body = json!({ "type": "error", "error": {
                "type": "rate_limit_error", "message": "m", "details": { "error_code": code },
            } });
            assert_eq!(fault(429, &body.to_string()), Fault::Stop(format!("HTTP 429 {code}: m")));
        }
    }

    #[test]
    fn a_busy_server_is_asked_again() {
        let ramp = r#"{"type":"error","error":{"type":"rate_limit_error","message":"m","details":{"error_code":"ramp_limit_exceeded"}}}"#;
        let after = Anthropic.fault(429, &headers(&[("retry-after", "12")]), ramp.as_bytes());
        let Fault::Busy { after, throttled, .. } = after else { panic!("{after:?}") };
        assert_eq!((after, throttled), (Some(Duration::from_secs(12)), true));
        assert!(matches!(fault(529, &error("overloaded_error", "Overloaded")), Fault::Busy { throttled: true, .. }));
        assert!(matches!(fault(500, &error("overloaded_error", "Overloaded")), Fault::Busy { throttled: true, .. }));
        assert!(matches!(fault(500, &error("api_error", "m")), Fault::Busy { throttled: false, .. }));
        assert!(matches!(fault(504, &error("timeout_error", "m")), Fault::Busy { throttled: false, .. }));
        assert!(matches!(fault(529, ""), Fault::Busy { throttled: true, .. }));
    }

    #[test]
    fn what_concerns_one_unit_is_told_apart() {
        for message in [
            "prompt is too long: 210000 tokens > 200000 maximum",
            // A gateway in front of another provider.
            "litellm.ContextWindowExceededError: context window exceeded model=x.",
            "input length and `max_tokens` exceed context limit: 190000 + 16000 > 200000",
        ] {
            assert!(matches!(fault(400, &error("invalid_request_error", message)), Fault::TooLong(_)), "{message}");
        }
        assert!(matches!(fault(413, &error("request_too_large", "m")), Fault::TooLong(_)));
        let filtered = error("invalid_request_error", "Output blocked by content filtering policy");
        assert!(matches!(fault(400, &filtered), Fault::Refused(_)));
    }

    #[test]
    fn a_refused_parameter_is_told_by_the_message() {
        for (feature, message) in [
            (Feature::Temperature, "temperature: `temperature` is not supported on this model."),
            (Feature::AnswerSchema, "output_config.format: Extra inputs are not permitted"),
            (
                Feature::AnswerSchema,
                "output_config.format.schema: For 'integer' type, property 'minimum' is not supported",
            ),
            (Feature::CacheMark, "messages.0.content.0.cache_control: Extra inputs are not permitted"),
        ] {
            let fault = fault(400, &error("invalid_request_error", message));
            assert!(matches!(&fault, Fault::Lacks(lacks, _) if *lacks == feature), "{message} {fault:?}");
        }
        for message in [
            "temperature: range: 0..1",
            "max_tokens: 200000 > 64000, which is the maximum allowed number of output tokens for some-model",
            "messages: text content blocks must be non-empty",
        ] {
            let fault = fault(400, &error("invalid_request_error", message));
            assert!(matches!(fault, Fault::BadRequest(_)), "{message} {fault:?}");
        }
    }

    #[test]
    fn limits_of_input_and_of_output_are_told_apart() {
        let list = [
            ("date", "Sat, 21 Nov 2026 08:00:00 GMT"),
            ("anthropic-ratelimit-requests-limit", "50"),
            ("anthropic-ratelimit-requests-remaining", "49"),
            ("anthropic-ratelimit-requests-reset", "2026-11-21T08:00:01Z"),
            ("anthropic-ratelimit-tokens-limit", "38000"),
            ("anthropic-ratelimit-tokens-remaining", "36000"),
            ("anthropic-ratelimit-input-tokens-limit", "30000"),
            ("anthropic-ratelimit-input-tokens-remaining", "29000"),
            ("anthropic-ratelimit-output-tokens-limit", "8000"),
            ("anthropic-ratelimit-output-tokens-remaining", "7000"),
            ("anthropic-ratelimit-output-tokens-reset", "2026-11-21T08:00:30Z"),
        ];
        let told = |limit, left, reset: Option<u64>| Told {
            limit: Some(limit),
            left: Some(left),
            reset: reset.map(Duration::from_secs),
        };
        let expected = RateLimits {
            requests: told(50, 49, Some(1)),
            tokens: told(38_000, 36_000, None),
            input_tokens: told(30_000, 29_000, None),
            output_tokens: told(8_000, 7_000, Some(30)),
        };
        assert_eq!(Anthropic.rate_limits(&headers(&list)), expected);
        assert_eq!(Anthropic.rate_limits(&no_headers), RateLimits::default());
    }
}
