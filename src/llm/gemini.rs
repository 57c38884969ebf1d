//! The generateContent API of Gemini.

use super::fault::{self, Said};
use super::{
    Adapter, End, Fault, Feature, HeaderLookup, HttpRequest, Lacking, RateLimits, Request, Response, Role, Turn,
    Unreadable,
};
use crate::usage::Usage;
use serde_json::{Map, Value, json};
use std::time::Duration;

/// The adapter for `/v1beta/models/MODEL:generateContent`.
#[derive(Debug, Clone, Copy, Default)]
pub struct Gemini;

impl Adapter for Gemini {
    fn encode(&self, base_url: &str, request: &Request, lacking: &Lacking) -> HttpRequest {
        let (system, turns) = request.conversation(lacking);

        let mut config = Map::new();
        if !lacking.contains(&Feature::AnswerSchema) {
            config.insert("responseMimeType".to_owned(), json!("application/json"));
            config.insert("responseJsonSchema".to_owned(), request.schema.json.clone());
        }
        if let Some(limit) = request.max_output_tokens.filter(|_| !lacking.contains(&Feature::OutputLimit)) {
            config.insert("maxOutputTokens".to_owned(), json!(limit));
        }
        if let Some(temperature) = request.sent_temperature(lacking).filter(|_| takes_temperature(&request.model)) {
            config.insert("temperature".to_owned(), json!(temperature));
        }

        let mut body = Map::new();
        if let Some(text) = system {
            body.insert("systemInstruction".to_owned(), json!({ "parts": [{ "text": text }] }));
        }
        body.insert("contents".to_owned(), turns.iter().map(content).collect());
        if !config.is_empty() {
            body.insert("generationConfig".to_owned(), Value::Object(config));
        }
        HttpRequest {
            url: format!(
                "{}/v1beta/models/{}:generateContent",
                base_url.trim_end_matches('/'),
                escaped(bare_name(&request.model))
            ),
            headers: vec![("content-type", "application/json".to_owned())],
            auth: ("x-goog-api-key", ""),
            body: Value::Object(body).to_string().into_bytes(),
        }
    }

    fn leaves_out(&self, model: &str) -> Lacking {
        if takes_temperature(model) { Lacking::new() } else { Lacking::from([Feature::Temperature]) }
    }

    fn decode(&self, body: &[u8]) -> Result<Response, Unreadable> {
        let root = fault::json(body)?;
        let usage = usage(&root["usageMetadata"]);
        let model = root["modelVersion"].as_str().map(str::to_owned);
        let Some(candidate) = root["candidates"].get(0) else {
            // A blocked prompt has no candidates.
            let end = match root["promptFeedback"]["blockReason"].as_str() {
                Some(reason) => End::Refusal(reason.to_owned()),
                // What was billed is an answer, if a useless one.
                None if usage.is_some_and(|usage| usage.output > 0) => End::Other("no candidates".to_owned()),
                None => {
                    return Err(fault::lacking("no `candidates` and no `promptFeedback.blockReason`", body));
                }
            };
            return Ok(Response { text: String::new(), end, usage, model });
        };
        let parts = candidate["content"]["parts"].as_array().map(Vec::as_slice).unwrap_or_default();
        let text: String =
            parts.iter().filter(|part| part["thought"] != true).filter_map(|part| part["text"].as_str()).collect();
        let end = match candidate["finishReason"].as_str() {
            Some("STOP") => End::Stop,
            Some("MAX_TOKENS") => End::Length,
            Some(word @ ("SAFETY" | "RECITATION" | "BLOCKLIST" | "PROHIBITED_CONTENT" | "SPII" | "LANGUAGE")) => {
                End::Refusal(word.to_owned())
            }
            Some(other) => End::Other(other.to_owned()),
            None if candidate.get("content").is_none() => {
                return Err(fault::lacking("no `content` and no `finishReason` in `candidates[0]`", body));
            }
            None if !text.is_empty() => End::Stop,
            None => End::Other("no finishReason and no text".to_owned()),
        };
        Ok(Response { text, end, usage, model })
    }

    fn fault(&self, status: u16, header: HeaderLookup<'_>, body: &[u8]) -> Fault {
        let said = Said::read(status, body);
        // A wrong key is a 400 here.
        if detail_values(&said.details, "reason").any(|reason| reason.starts_with("API_KEY_")) {
            return Fault::Stop(said.line());
        }
        match status {
            400 if said.mentions(&["token count"]) && said.mentions(&["exceeds"]) => Fault::TooLong(said.line()),
            // The region or the billing of the account.
            400 if said.is(&["FAILED_PRECONDITION"]) => Fault::Stop(said.line()),
            429 => quota(&said, header),
            500..=599 => match (said.by_status(header), retry_delay(&said.details)) {
                (Fault::Busy { .. }, Some(after)) => said.busy(Some(after)),
                (fault, _) => fault,
            },
            _ => said.by_status(header),
        }
    }

    /// Gemini tells no limits in headers.
    fn rate_limits(&self, _header: HeaderLookup<'_>) -> RateLimits {
        RateLimits::default()
    }
}

/// A quota of a minute passes; one of a day, a spending cap, or one that does not say when it ends, does not.
fn quota(said: &Said, header: HeaderLookup<'_>) -> Fault {
    let after = retry_delay(&said.details).or_else(|| fault::wait(header));
    let quotas = || {
        said.details
            .as_array()
            .into_iter()
            .flatten()
            .flat_map(|detail| detail["violations"].as_array().into_iter().flatten())
    };
    let named = |word: &str| quotas().filter_map(|quota| quota["quotaId"].as_str()).any(|id| id.contains(word));
    if named("PerDay") || said.mentions(&["spending cap", "spend cap", "spend limit"]) {
        return Fault::Stop(said.line());
    }
    // Another form than Google's comes from something between us: it says no more than that we are too fast.
    if named("PerMinute") || after.is_some() || !said.is(&["RESOURCE_EXHAUSTED"]) {
        return said.busy(after);
    }
    Fault::Stop(said.line())
}

/// The values of a name in all details.
fn detail_values<'a>(details: &'a Value, name: &'a str) -> impl Iterator<Item = &'a str> {
    details.as_array().into_iter().flatten().filter_map(move |detail| detail[name].as_str())
}

/// `retryDelay: "47s"` (also `"0.5s"`) of a RetryInfo.
fn retry_delay(details: &Value) -> Option<Duration> {
    let text = detail_values(details, "retryDelay").next()?;
    Duration::try_from_secs_f64(text.trim().strip_suffix('s')?.parse().ok()?).ok()
}

/// From Gemini 3 on a temperature worsens answers, is ignored, or refused. Aliases such as `gemini-flash-latest` are newer.
fn takes_temperature(model: &str) -> bool {
    match bare_name(model).strip_prefix("gemini-") {
        Some(version) => version.starts_with("1.") || version.starts_with("2."),
        None => true,
    }
}

/// The list of models gives names with their collection.
fn bare_name(model: &str) -> &str {
    model.strip_prefix("models/").unwrap_or(model)
}

/// A name as one segment of a path.
fn escaped(name: &str) -> String {
    let mut path = String::with_capacity(name.len());
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            path.push(char::from(byte));
        } else {
            path.push_str(&format!("%{byte:02X}"));
        }
    }
    path
}

fn content(turn: &Turn) -> Value {
    let role = match turn.role {
        Role::User => "user",
        Role::Assistant => "model",
    };
    let parts: Vec<Value> = turn.parts.iter().map(|part| json!({ "text": part.text })).collect();
    json!({ "role": role, "parts": parts })
}

/// `candidatesTokenCount` does not hold the thoughts, which are billed as output, too. Counts of 0 are left out.
fn usage(usage: &Value) -> Option<Usage> {
    if !usage.is_object() {
        return None;
    }
    let count = |name: &str| fault::count(usage, name).unwrap_or(0);
    let prompt = count("promptTokenCount");
    let cached = count("cachedContentTokenCount").min(prompt);
    let thoughts = count("thoughtsTokenCount");
    Some(Usage {
        input: prompt - cached,
        cached_input: cached,
        cache_write: 0,
        output: count("candidatesTokenCount").saturating_add(thoughts),
        reasoning: thoughts,
    })
}

#[cfg(test)]
mod tests {
    use super::super::Part;
    use super::super::tests::{headers, no_headers, request};
    use super::*;

    fn encoded(request: &Request, lacking: &[Feature]) -> (HttpRequest, Value) {
        let base = "https://generativelanguage.googleapis.com";
        let http = Gemini.encode(base, request, &lacking.iter().copied().collect());
        let body = serde_json::from_slice(&http.body).unwrap();
        (http, body)
    }

    fn decoded(body: &str) -> Response {
        Gemini.decode(body.as_bytes()).unwrap()
    }

    fn fault(status: u16, body: &str) -> Fault {
        Gemini.fault(status, &no_headers, body.as_bytes())
    }

    fn error(status: &str, message: &str, details: Value) -> String {
        json!({ "error": { "code": 0, "message": message, "status": status, "details": details } }).to_string()
    }

    #[test]
    fn a_request_has_contents_and_a_json_schema() {
        let mut request = Request { model: "gemini-2.5-flash".to_owned(), ..request() };
        request
            .turns
            .push(Turn { role: Role::Assistant, parts: vec![Part { text: "x".to_owned(), cache_mark: false }] });
        request.turns.push(Turn { role: Role::User, parts: vec![Part { text: "y".to_owned(), cache_mark: false }] });
        let (http, body) = encoded(&request, &[]);
        let url = "https://generativelanguage.googleapis.com/v1beta/models/gemini-2.5-flash:generateContent";
        assert_eq!((http.url.as_str(), http.auth), (url, ("x-goog-api-key", "")));
        assert_eq!(
            body,
            json!({
                "systemInstruction": { "parts": [{ "text": "You annotate." }] },
                "contents": [
                    { "role": "user", "parts": [{ "text": "The transcript.\n\n" }, { "text": "What is its label?" }] },
                    { "role": "model", "parts": [{ "text": "x" }] },
                    { "role": "user", "parts": [{ "text": "y" }] },
                ],
                "generationConfig": {
                    "responseMimeType": "application/json",
                    "responseJsonSchema": request.schema.json,
                    "maxOutputTokens": 500,
                    "temperature": 0.5,
                },
            })
        );
    }

    #[test]
    fn later_models_get_no_temperature_and_that_can_be_told() {
        for (model, takes) in [
            ("gemini-2.5-pro", true),
            ("models/gemini-2.0-flash", true),
            ("gemma-3-27b-it", true),
            ("gemini-3-pro-preview", false),
            ("gemini-3.5-flash-lite", false),
            ("gemini-10-flash", false),
            ("gemini-flash-latest", false),
        ] {
            let (_, body) = encoded(&Request { model: model.to_owned(), ..request() }, &[]);
            assert_eq!(body["generationConfig"].get("temperature").is_some(), takes, "{model}");
            assert_eq!(Gemini.leaves_out(model).is_empty(), takes, "{model}");
        }
    }

    #[test]
    fn a_model_is_one_segment_of_the_path() {
        let url = |model: &str| encoded(&Request { model: model.to_owned(), ..request() }, &[]).0.url;
        assert!(url("models/gemini-3.5-flash").ends_with("/v1beta/models/gemini-3.5-flash:generateContent"));
        assert!(url("a/b?key=c:d é").ends_with("/v1beta/models/a%2Fb%3Fkey%3Dc%3Ad%20%C3%A9:generateContent"));
    }

    #[test]
    fn what_is_lacking_is_left_out() {
        let lacking = [Feature::AnswerSchema, Feature::OutputLimit, Feature::Temperature, Feature::SystemTurn];
        let (_, body) = encoded(&request(), &lacking);
        assert_eq!(body.as_object().unwrap().keys().collect::<Vec<_>>(), ["contents"]);
        assert_eq!(body["contents"][0]["parts"].as_array().unwrap().len(), 4);
    }

    #[test]
    fn an_answer_is_the_parts_that_are_no_thoughts() {
        let response = decoded(
            r#"{"candidates":[{"content":{"role":"model","parts":[{"text":"hm","thought":true},{"text":"{\"a\":"},
            {"text":"1}","thoughtSignature":"s"}]},"finishReason":"STOP","index":0}],"modelVersion":"gemini-3.5-flash",
            "usageMetadata":{"promptTokenCount":5000,"cachedContentTokenCount":4096,"candidatesTokenCount":20,
            "thoughtsTokenCount":80,"totalTokenCount":5100}}"#,
        );
        assert_eq!((response.text.as_str(), response.end), (r#"{"a":1}"#, End::Stop));
        assert_eq!(response.model.as_deref(), Some("gemini-3.5-flash"));
        let usage = Usage { input: 904, cached_input: 4096, cache_write: 0, output: 100, reasoning: 80 };
        assert_eq!(response.usage, Some(usage));
        let poor = r#"{"candidates":[{"finishReason":"MAX_TOKENS"}],"usageMetadata":{"promptTokenCount":5,"thoughtsTokenCount":9}}"#;
        let response = decoded(poor);
        assert_eq!((response.text.as_str(), response.end), ("", End::Length));
        assert_eq!(response.usage, Some(Usage { input: 5, output: 9, reasoning: 9, ..Usage::default() }));
    }

    #[test]
    fn every_end_is_told_apart() {
        let end =
            |reason: &str| decoded(&format!(r#"{{"candidates":[{{"content":{{}},"finishReason":"{reason}"}}]}}"#)).end;
        for word in ["SAFETY", "RECITATION", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII", "LANGUAGE"] {
            assert_eq!(end(word), End::Refusal(word.to_owned()));
        }
        for word in ["OTHER", "MALFORMED_RESPONSE", "A_WORD_OF_TOMORROW"] {
            assert_eq!(end(word), End::Other(word.to_owned()));
        }
        let blocked = decoded(
            r#"{"promptFeedback":{"blockReason":"PROHIBITED_CONTENT"},"usageMetadata":{"promptTokenCount":9}}"#,
        );
        assert_eq!(blocked.end, End::Refusal("PROHIBITED_CONTENT".to_owned()));
        assert_eq!(blocked.usage, Some(Usage { input: 9, ..Usage::default() }));
        let whole = r#"{"candidates":[{"content":{"parts":[{"text":"{}"}]}}]}"#;
        assert_eq!(decoded(whole).end, End::Stop);
        assert!(matches!(decoded(r#"{"candidates":[{"content":{}}]}"#).end, End::Other(_)));
    }

    #[test]
    fn what_is_no_answer_says_what_it_is() {
        let says = |body: &str| Gemini.decode(body.as_bytes()).unwrap_err().to_string();
        assert!(says("{}").contains("no `candidates`"));
        assert!(says(r#"{"candidates":[{}]}"#).contains("no `content`"));
        assert!(says("[{}]").contains("no JSON object"));
        assert!(says(&error("INTERNAL", "broke", Value::Null)).contains("broke"));
    }

    #[test]
    fn a_run_stops_for_the_key_the_model_and_the_account() {
        let info = json!([{ "@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID" }]);
        let wrong = error("INVALID_ARGUMENT", "API key not valid. Please pass a valid API key.", info);
        assert_eq!(
            fault(400, &wrong),
            Fault::Stop("HTTP 400 INVALID_ARGUMENT: API key not valid. Please pass a valid API key.".to_owned())
        );
        assert!(matches!(fault(400, &error("FAILED_PRECONDITION", "region", Value::Null)), Fault::Stop(_)));
        assert!(matches!(fault(403, &error("PERMISSION_DENIED", "m", Value::Null)), Fault::Stop(_)));
        let unknown = error("NOT_FOUND", "models/x is not found for API version v1beta", Value::Null);
        assert!(matches!(fault(404, &format!("[{unknown}]")), Fault::Stop(_)));
    }

    #[test]
    fn a_quota_of_a_minute_passes_and_one_of_a_day_does_not() {
        let quota = |id: &str, delay: Option<&str>| {
            let mut details = vec![json!({
                "@type": "type.googleapis.com/google.rpc.QuotaFailure",
                "violations": [{ "quotaMetric": "m", "quotaId": id }],
            })];
            details.extend(
                delay.map(|delay| json!({ "@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": delay })),
            );
            error("RESOURCE_EXHAUSTED", "You exceeded your current quota", Value::Array(details))
        };
        let minute = fault(429, &quota("GenerateRequestsPerMinutePerProjectPerModel", Some("47.5s")));
        let Fault::Busy { after, throttled, .. } = minute else { panic!("{minute:?}") };
        assert_eq!((after, throttled), (Some(Duration::from_millis(47_500)), true));
        let minute = fault(429, &quota("GenerateRequestsPerMinutePerProjectPerModel", None));
        assert!(matches!(minute, Fault::Busy { after: None, .. }));
        let day = fault(429, &quota("GenerateRequestsPerDayPerProjectPerModel-FreeTier", Some("47s")));
        assert!(matches!(day, Fault::Stop(_)));
        assert!(matches!(fault(429, &error("RESOURCE_EXHAUSTED", "m", Value::Null)), Fault::Stop(_)));
        assert!(matches!(fault(429, "<html>too fast</html>"), Fault::Busy { throttled: true, .. }));
        let waits = Gemini.fault(
            429,
            &headers(&[("retry-after", "3")]),
            error("RESOURCE_EXHAUSTED", "m", Value::Null).as_bytes(),
        );
        assert!(matches!(waits, Fault::Busy { after: Some(_), .. }));
    }

    #[test]
    fn broken_servers_are_asked_again() {
        for (status, word) in [(500, "INTERNAL"), (503, "UNAVAILABLE"), (504, "DEADLINE_EXCEEDED")] {
            let fault = fault(status, &error(word, "m", Value::Null));
            assert!(matches!(fault, Fault::Busy { throttled: false, after: None, .. }), "{fault:?}");
        }
        let overloaded = error("UNAVAILABLE", "The model is overloaded.", json!([{ "retryDelay": "2s" }]));
        let fault = fault(503, &overloaded);
        assert!(matches!(fault, Fault::Busy { throttled: true, after: Some(_), .. }), "{fault:?}");
    }

    #[test]
    fn a_400_is_told_by_its_message() {
        let message = |message: &str| fault(400, &error("INVALID_ARGUMENT", message, Value::Null));
        let long = message("The input token count (2000000) exceeds the maximum number of tokens allowed (1048576).");
        assert!(matches!(long, Fault::TooLong(_)));
        for (feature, text) in [
            (
                Feature::AnswerSchema,
                "Invalid JSON payload received. Unknown name \"responseJsonSchema\" at 'generation_config'",
            ),
            (Feature::AnswerSchema, "The specified schema produces a constraint that has too many states for serving."),
            (Feature::AnswerSchema, "JSON mode is not enabled for models/gemma-3-27b-it"),
            (Feature::SystemTurn, "Developer instruction is not enabled for models/gemma-3-27b-it"),
            (Feature::Temperature, "temperature is not supported by this model"),
        ] {
            let fault = message(text);
            assert!(matches!(&fault, Fault::Lacks(lacks, _) if *lacks == feature), "{text} {fault:?}");
        }
        let range = message("it has a maxOutputTokens value of 100000 but the supported range is from 1 to 65537");
        assert!(matches!(range, Fault::BadRequest(_)));
        assert!(matches!(message("contents is not specified"), Fault::BadRequest(_)));
    }
}
