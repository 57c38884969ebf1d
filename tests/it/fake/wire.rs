//! The providers' forms: what is a request, and how answers and errors look.

use super::Asked;
use super::schema;
use axum::http::Method;
use regex::Regex;
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;

/// Whose form is spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Provider {
    OpenAi,
    Anthropic,
    Gemini,
}

/// A request that was understood.
pub struct Question {
    pub model: String,
    pub prompt: String,
    /// The answer's schema, also where it stands in the prompt; null where there is none.
    pub schema: Value,
}

/// How an answer ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    Stop,
    Length,
    Refusal,
}

/// An error answer.
#[derive(Debug, Clone)]
pub struct Rejection {
    pub status: u16,
    /// The provider's finer word, or empty for the usual one of the status.
    pub code: &'static str,
    pub message: String,
    pub param: Option<String>,
}

impl Rejection {
    /// The usual error of a status.
    pub fn of_status(status: u16) -> Self {
        Self { status, code: "", message: format!("status {status} on demand"), param: None }
    }

    fn new(status: u16, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into(), param: None }
    }

    /// A parameter that the model or the version does not take.
    fn parameter(name: &str) -> Self {
        let message = format!("Unsupported parameter: '{name}' is not supported with this model.");
        Self { status: 400, code: "unsupported_parameter", message, param: Some(name.to_owned()) }
    }

    fn unknown(name: &str) -> Self {
        let message = format!("Unknown parameter: '{name}': Extra inputs are not permitted");
        Self { status: 400, code: "unknown_parameter", message, param: Some(name.to_owned()) }
    }

    fn form(message: impl Into<String>) -> Self {
        Self::new(400, "", message)
    }
}

/// A model that nobody has.
const NO_MODEL: &str = "no-such-model";

/// Tells whose form a request has and whether it is right.
pub fn check(
    method: &Method,
    asked: &Asked,
    key: Option<&str>,
    refuses: &BTreeSet<&'static str>,
) -> Result<(Provider, Question), (Provider, Rejection)> {
    let (path, query) = asked.path.split_once('?').unwrap_or((&asked.path, ""));
    let gemini_model = path.strip_prefix("/v1beta/models/").and_then(|rest| rest.strip_suffix(":generateContent"));
    let provider = match (path, gemini_model) {
        ("/v1/chat/completions", _) => Provider::OpenAi,
        ("/v1/messages", _) => Provider::Anthropic,
        (_, Some(_)) => Provider::Gemini,
        _ => return Err((Provider::OpenAi, Rejection::new(404, "", format!("no such path: {path}")))),
    };
    let checked = || {
        if method != Method::POST {
            return Err(Rejection::new(405, "", "only POST is answered"));
        }
        if !query.is_empty() {
            return Err(Rejection::form(format!("a query is not expected: {query}")));
        }
        if asked.headers.get("content-type").is_none_or(|form| !form.starts_with("application/json")) {
            return Err(Rejection::form("content-type must be application/json"));
        }
        authorized(provider, asked, key)?;
        let body = asked.body.as_object().ok_or_else(|| Rejection::form("the body is no JSON object"))?;
        let question = match provider {
            Provider::OpenAi => openai(body, refuses),
            Provider::Anthropic => anthropic(body, asked.headers.get("anthropic-version").map(String::as_str), refuses),
            Provider::Gemini => gemini(body, gemini_model.unwrap_or_default(), refuses),
        }?;
        if question.model == NO_MODEL {
            return Err(Rejection::new(404, "model_not_found", format!("model: {NO_MODEL} is not found")));
        }
        Ok(question)
    };
    checked().map(|question| (provider, question)).map_err(|rejection| (provider, rejection))
}

fn authorized(provider: Provider, asked: &Asked, key: Option<&str>) -> Result<(), Rejection> {
    let bearer = asked.headers.get("authorization").and_then(|value| value.strip_prefix("Bearer "));
    let own = |name: &str| asked.headers.get(name).map(String::as_str);
    let given = match provider {
        Provider::OpenAi => bearer,
        Provider::Anthropic if bearer.is_some() && own("x-api-key").is_some() => {
            return Err(Rejection::new(401, "invalid_api_key", "x-api-key and authorization exclude each other"));
        }
        Provider::Anthropic => own("x-api-key").or(bearer),
        Provider::Gemini => own("x-goog-api-key"),
    };
    match (provider, given) {
        _ if key.is_none() || given == key => Ok(()),
        (Provider::Gemini, None) => Err(Rejection::new(403, "", "the caller has no identity")),
        (Provider::Gemini, Some(_)) => Err(Rejection::new(400, "API_KEY_INVALID", "API key not valid.")),
        // As the real one does, and more openly: the refused key is quoted.
        _ => {
            Err(Rejection::new(401, "invalid_api_key", format!("Incorrect API key provided: {}.", given.unwrap_or(""))))
        }
    }
}

/// Every key is known, and none of those that this model refuses.
fn keys(object: &Map<String, Value>, known: &[&str], refuses: &BTreeSet<&'static str>) -> Result<(), Rejection> {
    for name in object.keys() {
        if refuses.contains(name.as_str()) {
            return Err(Rejection::parameter(name));
        }
        if !known.contains(&name.as_str()) {
            return Err(Rejection::unknown(name));
        }
    }
    Ok(())
}

fn text_of(value: &Value, name: &str) -> Result<String, Rejection> {
    let text = value[name].as_str().ok_or_else(|| Rejection::form(format!("{name} must be a string")))?;
    Ok(text.to_owned())
}

const OPENAI: &[&str] = &[
    "model",
    "messages",
    "response_format",
    "max_completion_tokens",
    "max_tokens",
    "temperature",
    "top_p",
    "stop",
    "seed",
    "reasoning_effort",
    "verbosity",
    "prompt_cache_key",
    "prompt_cache_options",
    "store",
    "metadata",
    "service_tier",
    "n",
];

fn openai(body: &Map<String, Value>, refuses: &BTreeSet<&'static str>) -> Result<Question, Rejection> {
    keys(body, OPENAI, refuses)?;
    let root = Value::Object(body.clone());
    let model = text_of(&root, "model")?;
    let reasons = matches(&model, r"^(o\d|gpt-([5-9]|\d\d))") && !model.ends_with("-chat-latest");
    if reasons && body.contains_key("max_tokens") {
        return Err(Rejection::parameter("max_tokens"));
    }
    if reasons && body.get("temperature").is_some_and(|value| value.as_f64() != Some(1.0)) {
        return Err(Rejection::parameter("temperature"));
    }
    let messages = root["messages"].as_array().filter(|list| !list.is_empty());
    let mut prompt = Vec::new();
    for (at, message) in messages.ok_or_else(|| Rejection::form("messages must be a list"))?.iter().enumerate() {
        keys(
            message.as_object().ok_or_else(|| Rejection::form("a message is an object"))?,
            &["role", "content", "name"],
            refuses,
        )?;
        let role = text_of(message, "role")?;
        if role == "system" && refuses.contains("system") {
            let param = format!("messages[{at}].role");
            let message = "'system' is not supported with this model.".to_owned();
            return Err(Rejection { status: 400, code: "unsupported_value", message, param: Some(param) });
        }
        if !["developer", "system", "user", "assistant"].contains(&role.as_str()) {
            return Err(Rejection::form(format!("unknown role {role}")));
        }
        // Parts are allowed by the real one, but many servers like it take a string alone.
        prompt.push(text_of(message, "content")?);
    }
    let mut schema = Value::Null;
    if let Some(format) = body.get("response_format") {
        let inner = if refuses.contains("json_schema") { format } else { &format["json_schema"] };
        let fault = if refuses.contains("json_schema") {
            if format["type"] != "json_object" {
                return Err(Rejection { status: 500, ..Rejection::form(NO_JSON_SCHEMA) });
            }
            None
        } else if format["type"] != "json_schema" {
            Some("type must be json_schema".to_owned())
        } else if !inner["name"].as_str().is_some_and(|name| matches(name, "^[a-zA-Z0-9_-]{1,64}$")) {
            Some("a name of 1 to 64 letters, digits, _ and - is required".to_owned())
        } else if inner["strict"] != true {
            Some("strict must be true".to_owned())
        } else {
            schema::openai_fault(&inner["schema"])
        };
        if let Some(fault) = fault {
            let message = format!("Invalid schema for response_format: {fault}");
            return Err(Rejection { status: 400, code: "", message, param: Some("response_format".to_owned()) });
        }
        schema = inner["schema"].clone();
    }
    finished(model, &prompt, schema)
}

/// As llama-cpp-python says it.
const NO_JSON_SCHEMA: &str = "[{'type': 'literal_error', 'loc': ('body', 'response_format', 'type'), 'msg': \"Input should be 'text' or \
    'json_object'\", 'input': 'json_schema'}] 1 validation error";

const ANTHROPIC: &[&str] = &[
    "model",
    "max_tokens",
    "messages",
    "system",
    "output_config",
    "temperature",
    "top_p",
    "top_k",
    "stop_sequences",
    "metadata",
    "thinking",
    "cache_control",
    "service_tier",
];

fn anthropic(
    body: &Map<String, Value>,
    version: Option<&str>,
    refuses: &BTreeSet<&'static str>,
) -> Result<Question, Rejection> {
    let current = match version {
        Some("2026-10-21") => true,
        Some("2023-06-01") => false,
        Some(other) => return Err(Rejection::form(format!("anthropic-version: {other} is no version"))),
        None => return Err(Rejection::form("anthropic-version: header is required")),
    };
    keys(body, ANTHROPIC, refuses)?;
    let root = Value::Object(body.clone());
    let model = text_of(&root, "model")?;
    if root["max_tokens"].as_u64().is_none_or(|limit| limit == 0) {
        return Err(Rejection::form("max_tokens: Field required"));
    }
    // Opus 4.7, the fifth generation and later take none at all.
    let takes_none = current || matches(&model, r"^claude-(fable|mythos|opus-4[.-][7-9]|[a-z]+-([5-9]|\d\d)([.-]|$))");
    if takes_none && ["temperature", "top_p", "top_k"].iter().any(|name| body.contains_key(*name)) {
        return Err(Rejection::form("temperature: `temperature` is not supported; leave it out"));
    }
    if root["temperature"].as_f64().is_some_and(|value| !(0.0..=1.0).contains(&value)) {
        return Err(Rejection::form("temperature: range: 0..1"));
    }

    let mut prompt = Vec::new();
    let mut marks = 0;
    if let Some(system) = body.get("system") {
        prompt.extend(blocks(system, &mut marks, refuses)?);
    }
    let messages = root["messages"].as_array().filter(|list| !list.is_empty());
    let messages = messages.ok_or_else(|| Rejection::form("messages: at least one message is required"))?;
    for message in messages {
        keys(
            message.as_object().ok_or_else(|| Rejection::form("messages: no object"))?,
            &["role", "content"],
            refuses,
        )?;
        if !["user", "assistant"].contains(&text_of(message, "role")?.as_str()) {
            return Err(Rejection::form("messages: roles are user and assistant"));
        }
        prompt.extend(blocks(&message["content"], &mut marks, refuses)?);
    }
    if marks > 4 {
        return Err(Rejection::form(format!(
            "A maximum of 4 blocks with cache_control may be provided. Found {marks}."
        )));
    }
    if messages[0]["role"] != "user" {
        return Err(Rejection::form("messages: first message must use the \"user\" role"));
    }
    if messages.last().is_some_and(|message| message["role"] == "assistant") {
        return Err(Rejection::form("messages: the last message may not be the assistant's"));
    }

    let mut schema = Value::Null;
    if let Some(config) = body.get("output_config") {
        let config = config.as_object().ok_or_else(|| Rejection::form("output_config: no object"))?;
        keys(config, &["format", "effort"], refuses)?;
        let format = config.get("format").and_then(Value::as_object);
        let format = format.ok_or_else(|| Rejection::form("output_config.format: no object"))?;
        keys(format, &["type", "schema"], refuses)?;
        schema = format.get("schema").cloned().unwrap_or_default();
        if let Some(fault) = schema::anthropic_fault(&schema) {
            return Err(Rejection::form(format!("output_config.format.schema: {fault}")));
        }
    }
    finished(model, &prompt, schema)
}

/// The texts of a string or of text blocks, none of them empty.
fn blocks(content: &Value, marks: &mut usize, refuses: &BTreeSet<&'static str>) -> Result<Vec<String>, Rejection> {
    let mut texts = Vec::new();
    match content {
        Value::String(text) => texts.push(text.clone()),
        Value::Array(blocks) => {
            for block in blocks {
                let fields = block.as_object().ok_or_else(|| Rejection::form("messages: a block is an object"))?;
                keys(fields, &["type", "text", "cache_control"], refuses)?;
                if block["type"] != "text" {
                    return Err(Rejection::form("messages: only text blocks are expected here"));
                }
                if let Some(mark) = fields.get("cache_control") {
                    *marks += 1;
                    if mark["type"] != "ephemeral" {
                        return Err(Rejection::form("cache_control.type: must be ephemeral"));
                    }
                }
                texts.push(text_of(block, "text")?);
            }
        }
        _ => return Err(Rejection::form("messages: content must be a string or a list")),
    }
    if texts.is_empty() || texts.iter().any(|text| text.trim().is_empty()) {
        return Err(Rejection::form("messages: text content blocks must be non-empty"));
    }
    Ok(texts)
}

const GEMINI: &[&str] = &["contents", "systemInstruction", "generationConfig", "safetySettings", "cachedContent"];

const GEMINI_CONFIG: &[&str] = &[
    "responseMimeType",
    "responseJsonSchema",
    "responseSchema",
    "maxOutputTokens",
    "temperature",
    "topP",
    "topK",
    "candidateCount",
    "stopSequences",
    "seed",
    "thinkingConfig",
];

fn gemini(body: &Map<String, Value>, model: &str, refuses: &BTreeSet<&'static str>) -> Result<Question, Rejection> {
    keys(body, GEMINI, refuses)?;
    let mut prompt = Vec::new();
    if let Some(system) = body.get("systemInstruction") {
        prompt.extend(parts(system)?);
    }
    let contents = body.get("contents").and_then(Value::as_array).filter(|list| !list.is_empty());
    let contents = contents.ok_or_else(|| Rejection::form("contents is not specified"))?;
    for content in contents {
        if !["user", "model"].contains(&text_of(content, "role")?.as_str()) {
            return Err(Rejection::form("Please use a valid role: user, model."));
        }
        prompt.extend(parts(content)?);
    }
    if contents.last().is_some_and(|content| content["role"] == "model") {
        return Err(Rejection::form("the last turn may not be the model's"));
    }
    let mut schema = Value::Null;
    if let Some(config) = body.get("generationConfig") {
        let config = config.as_object().ok_or_else(|| Rejection::form("generationConfig is no object"))?;
        keys(config, GEMINI_CONFIG, refuses)?;
        if let Some(given) = config.get("responseJsonSchema") {
            if config.get("responseMimeType").is_none_or(|kind| kind != "application/json") {
                return Err(Rejection::form("responseJsonSchema needs responseMimeType application/json"));
            }
            if config.contains_key("responseSchema") {
                return Err(Rejection::form("responseJsonSchema and responseSchema exclude each other"));
            }
            if let Some(fault) = schema::gemini_fault(given) {
                return Err(Rejection::form(format!("responseJsonSchema: {fault}")));
            }
            schema = given.clone();
        }
    }
    finished(model.to_owned(), &prompt, schema)
}

fn parts(content: &Value) -> Result<Vec<String>, Rejection> {
    let parts = content["parts"].as_array().filter(|parts| !parts.is_empty());
    parts.ok_or_else(|| Rejection::form("parts must not be empty"))?.iter().map(|part| text_of(part, "text")).collect()
}

fn finished(model: String, prompt: &[String], schema: Value) -> Result<Question, Rejection> {
    let prompt = prompt.join("\n\n");
    let schema = if schema.is_null() { schema::in_prompt(&prompt) } else { schema };
    Ok(Question { model, prompt, schema })
}

fn matches(text: &str, pattern: &str) -> bool {
    Regex::new(pattern).expect("the pattern is valid").is_match(text)
}

impl Provider {
    /// An answer in the provider's form. A token is four bytes here.
    pub fn answer(self, question: &Question, text: &str, end: End) -> Value {
        let (input, output) = (question.prompt.len().div_ceil(4), text.len().div_ceil(4));
        let model = format!("{}-20261001", question.model);
        let refused = end == End::Refusal;
        match self {
            Provider::OpenAi => json!({
                "id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": model,
                "choices": [{
                    "index": 0,
                    "message": {
                        "role": "assistant",
                        "content": if refused { Value::Null } else { json!(text) },
                        "refusal": if refused { json!(text) } else { Value::Null },
                    },
                    "finish_reason": if end == End::Length { "length" } else { "stop" },
                }],
                "usage": {
                    "prompt_tokens": input, "completion_tokens": output, "total_tokens": input + output,
                    "prompt_tokens_details": { "cached_tokens": input / 2, "cache_write_tokens": 0 },
                    "completion_tokens_details": { "reasoning_tokens": output / 2 },
                },
            }),
            Provider::Anthropic => json!({
                "id": "msg_1", "type": "message", "role": "assistant", "model": model,
                "content": if refused { json!([]) } else { json!([{ "type": "text", "text": text }]) },
                "stop_reason": match end { End::Stop => "end_turn", End::Length => "max_tokens", End::Refusal => "refusal" },
                "stop_details": if refused { json!({ "type": "refusal", "explanation": text }) } else { Value::Null },
                "usage": {
                    "input_tokens": input - input / 2, "cache_read_input_tokens": input / 2, "cache_creation_input_tokens": 0,
                    "output_tokens": output, "output_tokens_details": { "thinking_tokens": output / 2 },
                },
            }),
            Provider::Gemini if refused => json!({
                "promptFeedback": { "blockReason": "PROHIBITED_CONTENT" },
                "usageMetadata": { "promptTokenCount": input, "totalTokenCount": input }, "modelVersion": model,
            }),
            Provider::Gemini => json!({
                "candidates": [{
                    "content": { "role": "model", "parts": [{ "text": "thinking aloud", "thought": true }, { "text": text }] },
                    "finishReason": if end == End::Length { "MAX_TOKENS" } else { "STOP" }, "index": 0,
                }],
                "usageMetadata": {
                    "promptTokenCount": input, "cachedContentTokenCount": input / 2,
                    "candidatesTokenCount": output - output / 2, "thoughtsTokenCount": output / 2,
                    "totalTokenCount": input + output,
                },
                "modelVersion": model,
            }),
        }
    }

    /// An error in the provider's form.
    pub fn error(self, rejection: &Rejection) -> Value {
        let Rejection { status, code, message, param } = rejection;
        match self {
            Provider::OpenAi => {
                let (kind, usual) = match status {
                    401 => ("invalid_request_error", "invalid_api_key"),
                    404 => ("invalid_request_error", "model_not_found"),
                    429 => ("requests", "rate_limit_exceeded"),
                    503 => ("service_unavailable_error", "server_is_overloaded"),
                    500.. => ("server_error", "server_error"),
                    _ => ("invalid_request_error", ""),
                };
                let code = if code.is_empty() { usual } else { code };
                let code = if code.is_empty() { Value::Null } else { json!(code) };
                json!({ "error": { "message": message, "type": kind, "param": param, "code": code } })
            }
            Provider::Anthropic => {
                let kind = match status {
                    401 => "authentication_error",
                    402 => "billing_error",
                    403 => "permission_error",
                    404 => "not_found_error",
                    413 => "request_too_large",
                    429 => "rate_limit_error",
                    504 => "timeout_error",
                    529 => "overloaded_error",
                    500.. => "api_error",
                    _ => "invalid_request_error",
                };
                json!({ "type": "error", "error": { "type": kind, "message": message }, "request_id": "req_1" })
            }
            Provider::Gemini => {
                let word = match status {
                    403 => "PERMISSION_DENIED",
                    404 => "NOT_FOUND",
                    429 => "RESOURCE_EXHAUSTED",
                    503 => "UNAVAILABLE",
                    504 => "DEADLINE_EXCEEDED",
                    500.. => "INTERNAL",
                    _ => "INVALID_ARGUMENT",
                };
                let details = match (*status, *code) {
                    (_, "API_KEY_INVALID") => {
                        json!([{ "@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": code }])
                    }
                    (429, _) => json!([{
                        "@type": "type.googleapis.com/google.rpc.QuotaFailure",
                        "violations": [{ "quotaId": "GenerateRequestsPerMinutePerProjectPerModel" }],
                    }]),
                    _ => json!([]),
                };
                json!({ "error": { "code": status, "message": message, "status": word, "details": details } })
            }
        }
    }
}
