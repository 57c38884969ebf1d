//! Chat completions: OpenAI's own API and the many servers that speak its form.

mod batch;

use super::batch::BatchLane;
use super::fault::{self, Said};
use super::{
    Accounting, Adapter, AnswerSchema, End, Fault, Feature, HeaderLookup, HttpRequest, Lacking, RateLimits, Request,
    Response, Role, Told, Turn, Unreadable,
};
use crate::usage::Usage;
use serde_json::{Map, Value, json};

/// The adapter for `/chat/completions`.
#[derive(Debug, Clone, Copy, Default)]
pub struct OpenAi;

/// No answer comes while the account is in this state, whatever the status.
const NO_MONEY: &[&str] = &[
    "insufficient_quota",
    "credit_balance_exhausted",
    "organization_spend_limit_exceeded",
    "project_spend_limit_exceeded",
    "organization_usage_limit_exceeded",
    "billing_hard_limit_reached",
    "billing_not_active",
];

/// A prompt that does not fit, in the codes of OpenAI and of servers like it.
const TOO_LONG: &[&str] = &["context_length_exceeded", "exceed_context_size_error"];

/// What a limit of a day is called in a message.
const A_DAYS_QUOTA: &[&str] = &["requests per day", "tokens per day", "(rpd)", "(tpd)"];

/// A filter in front of the model.
const FILTERED: &[&str] = &["invalid_prompt", "content_filter", "content_policy_violation"];

impl Adapter for OpenAi {
    fn encode(&self, base_url: &str, request: &Request, lacking: &Lacking) -> HttpRequest {
        let (system, turns) = request.conversation(lacking);
        let mut messages = Vec::with_capacity(turns.len() + 1);
        if let Some(text) = system {
            // `developer` is the newer word, `system` the one that every server takes.
            messages.push(json!({ "role": "system", "content": text }));
        }
        messages.extend(turns.iter().map(message));

        let mut body = Map::new();
        body.insert("model".to_owned(), json!(request.model));
        body.insert("messages".to_owned(), Value::Array(messages));
        if !lacking.contains(&Feature::AnswerSchema) {
            let is_old = lacking.contains(&Feature::SchemaForm);
            let format = if is_old { older_format(&request.schema) } else { response_format(&request.schema) };
            body.insert("response_format".to_owned(), format);
        }
        if let Some(limit) = request.max_output_tokens {
            let name = if lacking.contains(&Feature::OutputLimit) { "max_tokens" } else { "max_completion_tokens" };
            body.insert(name.to_owned(), json!(limit));
        }
        if let Some(temperature) = request.sent_temperature(lacking) {
            body.insert("temperature".to_owned(), json!(temperature));
        }
        HttpRequest {
            url: format!("{}/chat/completions", base_url.trim_end_matches('/')),
            headers: vec![("content-type", "application/json".to_owned())],
            auth: ("authorization", "Bearer "),
            body: Value::Object(body).to_string().into_bytes(),
        }
    }

    fn decode(&self, body: &[u8]) -> Result<Response, Unreadable> {
        let root = fault::json(body)?;
        let Some(choice) = root["choices"].get(0) else {
            // What was billed is an answer, if a useless one: it is stored, and not paid for again unless that is asked for.
            let billed = usage(&root["usage"]).filter(|usage| usage.total() > 0);
            let usage = billed.ok_or_else(|| fault::lacking("no `choices[0]`", body))?;
            let end = End::Other("no choices".to_owned());
            return Ok(Response { text: String::new(), end, usage: Some(usage), model: None });
        };
        if let Some(error) = fault::error_inside(choice) {
            return Err(error);
        }
        let message = choice["message"].as_object().ok_or_else(|| fault::lacking("no `choices[0].message`", body))?;
        let text = text(message.get("content").unwrap_or(&Value::Null));
        let refusal = message.get("refusal").and_then(Value::as_str).filter(|reason| !reason.is_empty());
        let end = match (refusal, choice["finish_reason"].as_str()) {
            (Some(reason), _) => End::Refusal(reason.to_owned()),
            (None, Some("stop")) => End::Stop,
            (None, Some("length")) => End::Length,
            (None, Some("content_filter")) => End::Refusal("content_filter".to_owned()),
            (None, Some(other)) => End::Other(other.to_owned()),
            // Some servers give no reason with a whole answer.
            (None, None) if !text.is_empty() => End::Stop,
            (None, None) => End::Other("no finish_reason and no text".to_owned()),
        };
        Ok(Response { text, end, usage: usage(&root["usage"]), model: root["model"].as_str().map(str::to_owned) })
    }

    /// Servers that know the older name of the output limit alone pass over the newer one without a word.
    fn ignored(&self, request: &Request, lacking: &Lacking, response: &Response) -> Option<(Feature, String)> {
        let limit = request.max_output_tokens.filter(|_| !lacking.contains(&Feature::OutputLimit))?;
        let output = response.usage?.output;
        let says = || format!("it has answered with {output} tokens where {limit} were allowed");
        (output > u64::from(limit)).then(|| (Feature::OutputLimit, says()))
    }

    fn fault(&self, status: u16, header: HeaderLookup<'_>, body: &[u8]) -> Fault {
        let said = Said::read(status, body);
        if said.is(NO_MONEY) {
            return Fault::Stop(said.line());
        }
        if said.is(FILTERED) || (status == 403 && said.mentions(&["requires moderation", "input was flagged"])) {
            return Fault::Refused(said.line());
        }
        let long_text = said.is(&["string_above_max_length"]) && said.param.starts_with("messages");
        let refused = matches!(status, 400 | 413 | 422 | 500);
        if said.is(TOO_LONG) || long_text || (refused && said.is_too_long()) {
            return Fault::TooLong(said.line());
        }
        // A day's quota is told as a rate limit with a short wait: the next request would pass, and thousands would not.
        if status == 429 && said.mentions(A_DAYS_QUOTA) {
            return Fault::Stop(said.line());
        }
        // A single request above the limit of a minute is told as a rate limit, but no wait helps.
        if status == 429 && said.mentions(&["request too large"]) {
            return Fault::TooLong(said.line());
        }
        if said.is(&["invalid_api_key", "model_not_found", "account_deactivated"]) {
            return Fault::Stop(said.line());
        }
        match said.by_status(header) {
            // The server names what it takes instead.
            Fault::Lacks(Feature::AnswerSchema, line) if said.mentions(&["json_object"]) => {
                Fault::Lacks(Feature::SchemaForm, line)
            }
            other => other,
        }
    }

    fn rate_limits(&self, header: HeaderLookup<'_>) -> RateLimits {
        let told = |name: &str| Told {
            limit: fault::limit(header, &format!("x-ratelimit-limit-{name}")),
            left: fault::limit(header, &format!("x-ratelimit-remaining-{name}")),
            reset: fault::span(header, &format!("x-ratelimit-reset-{name}")),
        };
        RateLimits { requests: told("requests"), tokens: told("tokens"), ..RateLimits::default() }
    }

    fn accounting(&self) -> Accounting {
        Accounting::OutputLimit
    }

    fn batch_lane(&self) -> Option<&dyn BatchLane> {
        Some(self)
    }
}

/// A turn as one string: many compatible servers take no parts.
fn message(turn: &Turn) -> Value {
    let role = match turn.role {
        Role::User => "user",
        Role::Assistant => "assistant",
    };
    let text: String = turn.parts.iter().map(|part| part.text.as_str()).collect();
    json!({ "role": role, "content": text })
}

/// Without `strict` the schema would be mere advice.
fn response_format(schema: &AnswerSchema) -> Value {
    let allowed = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '_' | '-') { c } else { '_' };
    let mut name: String = schema.name.chars().map(allowed).take(64).collect();
    if name.is_empty() {
        name.push_str("answer");
    }
    json!({ "type": "json_schema", "json_schema": { "name": name, "strict": true, "schema": schema.json } })
}

/// The form of servers that know no `json_schema`: llama-cpp-python and some hosts of open models. Others take it without the schema.
fn older_format(schema: &AnswerSchema) -> Value {
    json!({ "type": "json_object", "schema": schema.json })
}

/// Content as a string or, at some servers, as parts; without the reasoning that a server left at its head.
fn text(content: &Value) -> String {
    let text = match content {
        Value::String(text) => text.clone(),
        Value::Array(parts) => parts.iter().filter_map(|part| part["text"].as_str()).collect(),
        _ => String::new(),
    };
    match text.trim_start().strip_prefix("<think>").and_then(|rest| rest.split_once("</think>")) {
        Some((_, answer)) => answer.trim_start().to_owned(),
        None => text,
    }
}

/// `prompt_tokens` holds what was read from and written to the cache; each of its tokens has one price.
fn usage(usage: &Value) -> Option<Usage> {
    let prompt = fault::count(usage, "prompt_tokens");
    let output = fault::count(usage, "completion_tokens");
    if prompt.is_none() && output.is_none() {
        return None;
    }
    let (prompt, output) = (prompt.unwrap_or(0), output.unwrap_or(0));
    let detail = |group: &str, name: &str| fault::count(&usage[group], name).unwrap_or(0);
    let cached = detail("prompt_tokens_details", "cached_tokens").min(prompt);
    let written = detail("prompt_tokens_details", "cache_write_tokens").min(prompt - cached);
    Some(Usage {
        input: prompt - cached - written,
        cached_input: cached,
        cache_write: written,
        output,
        reasoning: detail("completion_tokens_details", "reasoning_tokens").min(output),
    })
}

#[cfg(test)]
mod tests {
    use super::super::tests::{headers, no_headers, request};
    use super::*;
    use std::time::Duration;

    fn encoded(request: &Request, lacking: &[Feature]) -> Value {
        let http = OpenAi.encode("https://api.openai.com/v1", request, &lacking.iter().copied().collect());
        serde_json::from_slice(&http.body).unwrap()
    }

    fn decoded(body: &str) -> Response {
        OpenAi.decode(body.as_bytes()).unwrap()
    }

    fn fault(status: u16, body: &str) -> Fault {
        OpenAi.fault(status, &no_headers, body.as_bytes())
    }

    #[test]
    fn a_request_has_a_strict_schema_and_plain_strings() {
        let http = OpenAi.encode("http://localhost:8000/v1/", &request(), &Lacking::new());
        assert_eq!(http.url, "http://localhost:8000/v1/chat/completions");
        assert_eq!(http.auth, ("authorization", "Bearer "));
        assert_eq!(
            encoded(&request(), &[]),
            json!({
                "model": "some-model",
                "messages": [
                    { "role": "system", "content": "You annotate." },
                    { "role": "user", "content": "The transcript.\n\nWhat is its label?" },
                ],
                "response_format": { "type": "json_schema", "json_schema": {
                    "name": "label", "strict": true, "schema": request().schema.json,
                } },
                "max_completion_tokens": 500,
                "temperature": 0.5,
            })
        );
    }

    #[test]
    fn what_is_not_asked_for_is_not_sent() {
        let body = encoded(&Request { system: None, temperature: None, max_output_tokens: None, ..request() }, &[]);
        assert_eq!(body.as_object().unwrap().keys().collect::<Vec<_>>(), ["model", "messages", "response_format"]);
        assert_eq!(body["messages"].as_array().unwrap().len(), 1);
    }

    #[test]
    fn what_a_model_lacks_is_left_out_or_said_otherwise() {
        assert!(encoded(&request(), &[Feature::Temperature]).get("temperature").is_none());

        let body = encoded(&request(), &[Feature::OutputLimit]);
        assert_eq!(body["max_tokens"], 500);
        assert!(body.get("max_completion_tokens").is_none());

        let body = encoded(&request(), &[Feature::AnswerSchema, Feature::SystemTurn]);
        assert!(body.get("response_format").is_none());
        assert_eq!(body["messages"].as_array().unwrap().len(), 1);
        let text = body["messages"][0]["content"].as_str().unwrap();
        assert!(text.starts_with("You annotate.\n\nThe transcript."), "{text}");
        assert!(text.contains(r#""required":["reason","label"]"#), "{text}");
    }

    #[test]
    fn a_server_of_the_older_form_of_schemas_gets_it() {
        let body = encoded(&request(), &[Feature::SchemaForm]);
        assert_eq!(body["response_format"], json!({ "type": "json_object", "schema": request().schema.json }));
        let text = body["messages"][1]["content"].as_str().unwrap();
        assert!(text.contains(r#""required":["reason","label"]"#), "{text}");
        // As llama-cpp-python says it, and as others do.
        let said = r#"{"error":{"message":"[{'type': 'literal_error', 'loc': ('body', 'response_format', 'type'), 'msg': \"Input should be 'text' or 'json_object'\"}] 1 validation error:\n  {'type': 'literal_error'}","type":"internal_server_error","param":null,"code":null}}"#;
        assert!(matches!(fault(500, said), Fault::Lacks(Feature::SchemaForm, _)), "{:?}", fault(500, said));
        let said = r#"{"error":{"message":"response_format.type: must be one of text, json_object"}}"#;
        assert!(matches!(fault(400, said), Fault::Lacks(Feature::SchemaForm, _)));
        // A server that is broken in some other way is asked again.
        for said in ["1 validation error for the answer", "no schema in the database", "json_object"] {
            let body = json!({ "error": { "message": said } }).to_string();
            assert!(matches!(fault(500, &body), Fault::Busy { .. }), "{said}");
        }
    }

    #[test]
    fn an_answer_beyond_its_limit_shows_that_the_limit_was_not_heeded() {
        let response = |output| Response {
            text: String::new(),
            end: End::Stop,
            usage: Some(Usage { output, ..Usage::default() }),
            model: None,
        };
        let ignored = |lacking: Lacking, output| OpenAi.ignored(&request(), &lacking, &response(output));
        assert_eq!(ignored(Lacking::new(), 500), None);
        let says = "it has answered with 501 tokens where 500 were allowed";
        assert_eq!(ignored(Lacking::new(), 501), Some((Feature::OutputLimit, says.to_owned())));
        assert_eq!(ignored(Lacking::from([Feature::OutputLimit]), 501), None, "there is no other name to try");
    }

    #[test]
    fn a_schema_name_is_made_acceptable() {
        let named = |name: &str| {
            let schema = AnswerSchema { name: name.to_owned(), json: json!({}) };
            response_format(&schema)["json_schema"]["name"].as_str().unwrap().to_owned()
        };
        assert_eq!(named("é.b c-d_1"), "__b_c-d_1");
        assert_eq!(named(""), "answer");
        assert_eq!(named(&"x".repeat(100)).len(), 64);
    }

    #[test]
    fn an_answer_is_read_and_booked_without_overlap() {
        let response = decoded(
            r#"{"id":"c","object":"chat.completion","created":1,"model":"some-model-2026-10-01","choices":[{"index":0,
            "message":{"role":"assistant","content":"{\"label\":\"x\"}","refusal":null},"logprobs":null,"finish_reason":"stop"}],
            "usage":{"prompt_tokens":2000,"completion_tokens":90,"total_tokens":2090,
            "prompt_tokens_details":{"cached_tokens":1024,"cache_write_tokens":512,"audio_tokens":0},
            "completion_tokens_details":{"reasoning_tokens":64}}}"#,
        );
        assert_eq!(response.text, r#"{"label":"x"}"#);
        assert_eq!(response.end, End::Stop);
        assert_eq!(response.model.as_deref(), Some("some-model-2026-10-01"));
        let usage = Usage { input: 464, cached_input: 1024, cache_write: 512, output: 90, reasoning: 64 };
        assert_eq!(response.usage, Some(usage));
    }

    #[test]
    fn usage_may_be_poor_or_absent() {
        let with = |usage: &str| {
            decoded(&format!(r#"{{"choices":[{{"message":{{"content":"x"}},"finish_reason":"stop"}}]{usage}}}"#)).usage
        };
        let plain = Some(Usage { input: 7, output: 3, ..Usage::default() });
        assert_eq!(with(""), None);
        assert_eq!(with(r#","usage":null"#), None);
        assert_eq!(with(r#","usage":{}"#), None);
        assert_eq!(with(r#","usage":{"prompt_tokens":7,"completion_tokens":3}"#), plain);
        assert_eq!(with(r#","usage":{"prompt_tokens":7.0,"completion_tokens":3,"prompt_tokens_details":null}"#), plain);
        let odd = with(r#","usage":{"prompt_tokens":7,"prompt_tokens_details":{"cached_tokens":9}}"#).unwrap();
        assert_eq!((odd.input, odd.cached_input), (0, 7));
    }

    #[test]
    fn every_end_is_told_apart() {
        let end = |content: &str, refusal: &str, reason: &str| {
            decoded(&format!(
                r#"{{"choices":[{{"message":{{"content":{content},"refusal":{refusal}}},"finish_reason":{reason}}}]}}"#
            ))
            .end
        };
        assert_eq!(end("\"x\"", "null", "\"stop\""), End::Stop);
        assert_eq!(end("\"x\"", "\"\"", "\"stop\""), End::Stop);
        assert_eq!(end("\"{\"", "null", "\"length\""), End::Length);
        assert_eq!(end("null", "\"I can't.\"", "\"stop\""), End::Refusal("I can't.".to_owned()));
        assert_eq!(end("null", "null", "\"content_filter\""), End::Refusal("content_filter".to_owned()));
        assert_eq!(end("null", "null", "\"tool_calls\""), End::Other("tool_calls".to_owned()));
        assert_eq!(end("\"x\"", "null", "null"), End::Stop);
        assert!(matches!(end("null", "null", "null"), End::Other(_)));
    }

    #[test]
    fn compatible_servers_answer_in_parts_or_with_reasoning_in_the_text() {
        let body =
            |content: &str| format!(r#"{{"choices":[{{"message":{{"content":{content}}},"finish_reason":"stop"}}]}}"#);
        let parts = r#"[{"type":"thinking","thinking":[{"type":"text","text":"hm"}]},{"type":"text","text":"{}"}]"#;
        assert_eq!(decoded(&body(parts)).text, "{}");
        assert_eq!(decoded(&body(r#""<think>\nhm {\n</think>\n\n{}""#)).text, "{}");
        assert_eq!(decoded(&body(r#""<think> without an end""#)).text, "<think> without an end");
    }

    #[test]
    fn bytes_that_are_no_utf_8_cost_no_answer() {
        let body = b"\xef\xbb\xbf{\"choices\":[{\"message\":{\"content\":\"a\xff\xc3b\"},\"finish_reason\":\"stop\"}]}";
        let response = OpenAi.decode(body).unwrap();
        assert_eq!(response.text, "a\u{fffd}\u{fffd}b");
        assert_eq!(OpenAi.decode(String::from_utf8_lossy(body).as_bytes()).unwrap(), response, "as it is stored");
    }

    #[test]
    fn what_is_no_answer_says_what_it_is() {
        let says = |body: &str| OpenAi.decode(body.as_bytes()).unwrap_err().to_string();
        assert_eq!(says(""), "unreadable answer: the body is empty");
        let page = says(&format!("<html>{}</html>", "x".repeat(200)));
        assert!(page.starts_with("unreadable answer: no JSON but a web page (`xxx"), "{page}");
        assert!(page.chars().count() < 250, "{page}");
        let portal = says("<!DOCTYPE html><title>Welcome to\n the lounge</title>");
        assert!(portal.contains("(`Welcome to the lounge`): is the base URL right, and"), "{portal}");
        assert_eq!(says("[1]"), "unreadable answer: no JSON object; it begins with: [1]");
        assert_eq!(says(r#"{"choices":[]}"#), r#"unreadable answer: no `choices[0]`; it begins with: {"choices":[]}"#);
        let billed = decoded(r#"{"choices":[],"usage":{"prompt_tokens":7,"completion_tokens":1}}"#);
        assert_eq!((billed.end, billed.usage.unwrap().total()), (End::Other("no choices".to_owned()), 8));
        assert!(says(r#"{"choices":[{"text":"old form"}]}"#).contains("choices[0].message"));
        let inside = says(r#"{"error":{"message":"upstream died","code":502},"choices":[]}"#);
        assert_eq!(inside, "unreadable answer: the server reports an error with status 200: upstream died");
        assert!(
            says(r#"{"choices":[{"error":{"message":"provider died"},"message":{"content":""}}]}"#)
                .contains("provider died")
        );
    }

    #[test]
    fn a_run_stops_for_the_key_the_model_and_the_money() {
        let body = |kind: &str, code: &str| {
            format!(r#"{{"error":{{"message":"m","type":"{kind}","param":null,"code":"{code}"}}}}"#)
        };
        for (status, kind, code) in [
            (401, "invalid_request_error", "invalid_api_key"),
            (403, "invalid_request_error", "unsupported_country_region_territory"),
            (404, "invalid_request_error", "model_not_found"),
            (402, "billing", "payment_required"),
            (429, "insufficient_quota", "insufficient_quota"),
            (429, "insufficient_quota", "credit_balance_exhausted"),
            (429, "insufficient_quota", "organization_spend_limit_exceeded"),
            (429, "insufficient_quota", "project_spend_limit_exceeded"),
            (429, "insufficient_quota", "organization_usage_limit_exceeded"),
            (429, "insufficient_quota", "a_code_of_tomorrow"),
            (429, "requests", "billing_hard_limit_reached"),
        ] {
            assert_eq!(fault(status, &body(kind, code)), Fault::Stop(format!("HTTP {status} {code}: m")));
        }
        let of_a_day = r#"{"error":{"message":"Rate limit reached for some-model on requests per day (RPD): Limit 200, Used 200. Please try again in 7m12s.","type":"requests","code":"rate_limit_exceeded"}}"#;
        assert!(matches!(fault(429, of_a_day), Fault::Stop(said) if said.contains("7m12s")));
    }

    #[test]
    fn a_rate_limit_passes_after_the_wait_that_is_asked_for() {
        let body =
            br#"{"error":{"message":"Rate limit reached","type":"tokens","param":null,"code":"rate_limit_exceeded"}}"#;
        let after = |list: &[(&str, &str)]| match OpenAi.fault(429, &headers(list), body) {
            Fault::Busy { after, throttled: true, reason } => {
                assert_eq!(reason, "HTTP 429 rate_limit_exceeded: Rate limit reached");
                after
            }
            other => panic!("{other:?}"),
        };
        assert_eq!(after(&[]), None);
        assert_eq!(after(&[("retry-after", "7")]), Some(Duration::from_secs(7)));
        assert_eq!(after(&[("retry-after", "7"), ("retry-after-ms", "6500")]), Some(Duration::from_millis(6500)));
        let dates = [("date", "Sat, 21 Nov 2026 10:00:00 GMT"), ("retry-after", "Sat, 21 Nov 2026 10:01:30 GMT")];
        assert_eq!(after(&dates), Some(Duration::from_secs(90)));
        let past = [("date", "Sat, 21 Nov 2026 10:00:00 GMT"), ("retry-after", "Sat, 21 Nov 2026 09:00:00 GMT")];
        assert_eq!(after(&past), Some(Duration::ZERO));
        assert_eq!(after(&[("retry-after", "soon")]), None);
        assert_eq!(after(&[("retry-after", "-5")]), None);
    }

    #[test]
    fn a_request_larger_than_a_minute_holds_is_too_long() {
        let body = r#"{"error":{"message":"Request too large for m on tokens per min (TPM): Limit 30000, Requested 40000.","type":"tokens","code":"rate_limit_exceeded"}}"#;
        assert!(matches!(fault(429, body), Fault::TooLong(_)));
    }

    #[test]
    fn broken_servers_are_asked_again_unless_they_say_no() {
        let overloaded =
            r#"{"error":{"message":"m","type":"service_unavailable_error","code":"server_is_overloaded"}}"#;
        assert!(matches!(fault(503, overloaded), Fault::Busy { throttled: true, .. }));
        for status in [408, 409, 425, 500, 502, 503, 504, 520] {
            assert!(matches!(fault(status, ""), Fault::Busy { throttled: false, .. }), "{status}");
        }
        assert!(matches!(fault(429, "slow down"), Fault::Busy { throttled: true, .. }));
        let no = headers(&[("x-should-retry", "false")]);
        assert!(matches!(OpenAi.fault(500, &no, b""), Fault::BadRequest(_)));
        assert!(matches!(OpenAi.fault(409, &no, b""), Fault::BadRequest(_)));
        assert!(matches!(OpenAi.fault(429, &no, b""), Fault::Busy { .. }));
        let yes = headers(&[("x-should-retry", "true")]);
        assert!(matches!(OpenAi.fault(500, &yes, b""), Fault::Busy { .. }));
    }

    #[test]
    fn a_prompt_that_does_not_fit_is_told_in_many_ways() {
        for (status, body) in [
            (
                400,
                r#"{"error":{"message":"m","type":"invalid_request_error","param":"messages","code":"context_length_exceeded"}}"#,
            ),
            (
                400,
                r#"{"object":"error","message":"This model's maximum context length is 4096 tokens.","type":"BadRequestError","param":null,"code":400}"#,
            ),
            (
                400,
                r#"{"error":{"code":400,"message":"the request exceeds the available context size","type":"exceed_context_size_error"}}"#,
            ),
            (413, "<html><head><title>413 Request Entity Too Large</title></head></html>"),
        ] {
            assert!(matches!(fault(status, body), Fault::TooLong(_)), "{body}");
        }
    }

    #[test]
    fn a_refused_parameter_is_told_by_name() {
        let named = |param: &str, code: &str, message: &str| {
            let body = json!({ "error": { "message": message, "type": "invalid_request_error", "param": param, "code": code } });
            fault(400, &body.to_string())
        };
        for (feature, fault) in [
            (
                Feature::Temperature,
                named("temperature", "unsupported_value", "'temperature' does not support 0.2 with this model."),
            ),
            (
                Feature::OutputLimit,
                named("max_completion_tokens", "unknown_parameter", "Unknown parameter: 'max_completion_tokens'."),
            ),
            (
                Feature::AnswerSchema,
                named("response_format", "invalid_request_error", "Invalid schema for response_format 'label'"),
            ),
            (
                Feature::SystemTurn,
                named("messages[0].role", "unsupported_value", "does not support 'system' with this model."),
            ),
            (Feature::AnswerSchema, fault(404, r#"{"error":{"message":"no server with response_format here"}}"#)),
            (Feature::AnswerSchema, fault(501, "")),
            (Feature::AnswerSchema, fault(400, r#"{"error":"response_format json_schema is not supported"}"#)),
            (
                Feature::AnswerSchema,
                fault(
                    400,
                    r#"{"error":{"message":"Provider returned error","code":400,"metadata":{"raw":"json_schema is not supported"}}}"#,
                ),
            ),
            (
                Feature::OutputLimit,
                fault(
                    422,
                    r#"{"detail":[{"type":"extra_forbidden","loc":["body","max_completion_tokens"],"msg":"Extra inputs are not permitted"}]}"#,
                ),
            ),
            (Feature::SystemTurn, fault(400, r#"{"object":"error","message":"System role not supported","code":400}"#)),
        ] {
            assert!(matches!(&fault, Fault::Lacks(lacks, _) if *lacks == feature), "{feature:?} {fault:?}");
        }
        // Faults of a value are the user's to mend, and the last form of the limit has nothing after it.
        for fault in [
            named("temperature", "decimal_above_max_value", "Expected a value <= 2, but got 3 instead."),
            named("max_completion_tokens", "integer_below_min_value", "Expected a value >= 16"),
            named("max_tokens", "unsupported_parameter", "Use 'max_completion_tokens' instead."),
            named("messages[1].content", "invalid_type", "temperature"),
            fault(
                400,
                r#"{"error":{"message":"'max_tokens' is not supported. Use 'max_completion_tokens' instead."}}"#,
            ),
            fault(400, ""),
            fault(418, "tea"),
        ] {
            assert!(matches!(fault, Fault::BadRequest(_)), "{fault:?}");
        }
    }

    #[test]
    fn a_filter_concerns_one_unit() {
        let flagged =
            r#"{"error":{"message":"Invalid prompt: flagged","type":"invalid_request_error","code":"invalid_prompt"}}"#;
        assert!(matches!(fault(400, flagged), Fault::Refused(_)));
        let moderated =
            r#"{"error":{"message":"Your model requires moderation and your input was flagged","code":403}}"#;
        assert!(matches!(fault(403, moderated), Fault::Refused(_)));
    }

    #[test]
    fn limits_are_read_from_headers() {
        let told = OpenAi.rate_limits(&headers(&[
            ("x-ratelimit-limit-requests", "500"),
            ("x-ratelimit-remaining-requests", "499"),
            ("x-ratelimit-reset-requests", "120ms"),
            ("x-ratelimit-limit-tokens", "30000"),
            ("x-ratelimit-remaining-tokens", "29000"),
            ("x-ratelimit-reset-tokens", "6m0s"),
        ]));
        let expected = RateLimits {
            requests: Told { limit: Some(500), left: Some(499), reset: Some(Duration::from_millis(120)) },
            tokens: Told { limit: Some(30_000), left: Some(29_000), reset: Some(Duration::from_secs(360)) },
            ..RateLimits::default()
        };
        assert_eq!(told, expected);
        assert_eq!(OpenAi.rate_limits(&no_headers), RateLimits::default());
    }
}
