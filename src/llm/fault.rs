//! What an error answer says, before a provider's own table decides: takes status, headers and body, gives message, code and wait.
//!
//! Bodies come from gateways and compatible servers as well as from the providers: they may be HTML, empty, or JSON of another form.

use super::{Fault, Feature, HeaderLookup, Unreadable};
use jiff::Timestamp;
use jiff::fmt::rfc2822;
use regex::{Captures, Regex, RegexBuilder};
use serde_json::Value;
use std::sync::LazyLock;
use std::time::Duration;

/// Characters of a server's message that are worth a line.
const MESSAGE_CHARS: usize = 300;

/// Characters that show what an unreadable body looks like.
const QUOTE_CHARS: usize = 80;

/// An error answer, taken apart.
#[derive(Debug)]
pub(super) struct Said {
    /// The HTTP status.
    pub status: u16,
    /// The provider's word for the kind of fault: `error.type`, or `error.status` at Gemini.
    pub kind: String,
    /// The finer code, if it is a word: `error.code`, or `error.details.error_code` at Anthropic.
    pub code: String,
    /// The parameter at fault.
    pub param: String,
    /// `error.details`, or null.
    pub details: Value,
    message: String,
    words: String,
}

impl Said {
    /// Takes an error body apart; whatever it is, there is a message.
    pub(super) fn read(status: u16, body: &[u8]) -> Self {
        let text = String::from_utf8_lossy(body);
        let json: Value = serde_json::from_str(&text).unwrap_or(Value::Null);
        let root = match &json {
            Value::Array(list) => list.first().unwrap_or(&Value::Null),
            other => other,
        };
        let error = match &root["error"] {
            Value::Null => root,
            error => error,
        };
        let word = |name: &str| error[name].as_str().unwrap_or_default().to_owned();
        let mut kind = word("type");
        if kind.is_empty() {
            kind = word("status");
        }
        let mut code = error["details"]["error_code"].as_str().unwrap_or_default().to_owned();
        if code.is_empty() {
            code = word("code");
        }
        // Some gateways repeat the status there.
        if code.bytes().all(|byte| byte.is_ascii_digit()) {
            code.clear();
        }
        let message = message_of(error).unwrap_or_else(|| plain(&text));
        let words = format!("{message} {kind} {code}").to_lowercase();
        Self { status, kind, code, param: word("param"), details: error["details"].clone(), message, words }
    }

    /// Status, code and message in a line that holds no key.
    pub(super) fn line(&self) -> String {
        let name = if self.code.is_empty() { &self.kind } else { &self.code };
        let message = match self.message.as_str() {
            "" => "no message",
            message => message,
        };
        let mut message = without_keys(message);
        // A server that refuses a key may quote it, in whatever form.
        if matches!(self.status, 401 | 403) || self.mentions(&["api key", "api_key", "apikey"]) {
            message = without_tokens(&message);
        }
        let message = clip(&message, MESSAGE_CHARS);
        match name.as_str() {
            "" => format!("HTTP {}: {message}", self.status),
            name => format!("HTTP {} {name}: {message}", self.status),
        }
    }

    /// Whether the message, kind or code holds one of these lower-case words.
    pub(super) fn mentions(&self, words: &[&str]) -> bool {
        words.iter().any(|word| self.words.contains(word))
    }

    /// Whether the code or the kind is one of these.
    pub(super) fn is(&self, names: &[&str]) -> bool {
        names.iter().any(|name| *name == self.code || *name == self.kind)
    }

    /// Whether the message says that the prompt is too long for the model, in the words of servers that have no code for it, and of
    /// gateways in front of others.
    pub(super) fn is_too_long(&self) -> bool {
        self.mentions(&[
            "maximum context length",
            "context window",
            "context length",
            "available context size",
            "prompt is too long",
        ])
    }

    /// The feature at fault: by the named parameter, else by the parameter that the message names first.
    ///
    /// A value out of range is the user's to correct, and no sign that the parameter is lacking.
    pub(super) fn feature(&self) -> Option<Feature> {
        let param = self.param.to_lowercase();
        let feature = if param.is_empty() || param == "null" { first_named(&self.words) } else { first_named(&param) };
        feature.filter(|feature| {
            !matches!(feature, Feature::Temperature | Feature::OutputLimit)
                || !(self.code.ends_with("_max_value")
                    || self.code.ends_with("_min_value")
                    || self.mentions(RANGE_WORDS))
        })
    }

    /// A fault that may pass.
    pub(super) fn busy(&self, after: Option<Duration>) -> Fault {
        let overloaded = self.status == 503 && self.mentions(&["overload", "slow_down"]);
        let throttled = matches!(self.status, 429 | 529) || overloaded || self.is(&["overloaded_error"]);
        Fault::Busy { reason: self.line(), after, throttled }
    }

    /// What the status alone says, after a provider's own codes have been looked at.
    pub(super) fn by_status(&self, header: HeaderLookup<'_>) -> Fault {
        let never_again = header("x-should-retry").is_some_and(|hint| hint.trim().eq_ignore_ascii_case("false"));
        match self.status {
            401..=403 => Fault::Stop(self.line()),
            404 => match self.feature() {
                // A router without a server for the schema answers so.
                Some(Feature::AnswerSchema) => Fault::Lacks(Feature::AnswerSchema, self.line()),
                _ => Fault::Stop(self.line()),
            },
            413 => Fault::TooLong(self.line()),
            400 | 422 if self.is_too_long() => Fault::TooLong(self.line()),
            400 | 422 if self.mentions(NO_SUCH_MODEL) => Fault::Stop(self.line()),
            400 | 422 => match self.feature() {
                Some(feature) => Fault::Lacks(feature, self.line()),
                None => Fault::BadRequest(self.line()),
            },
            // A framework that calls its own refusal of a request's form an error of the server.
            500 if self.mentions(&["validation error"]) && self.mentions(&["'body'"]) => match self.feature() {
                Some(feature) => Fault::Lacks(feature, self.line()),
                None => self.busy(wait(header)),
            },
            501 => Fault::Lacks(self.feature().unwrap_or(Feature::AnswerSchema), self.line()),
            409 | 500..=599 if never_again => Fault::BadRequest(self.line()),
            408 | 409 | 425 | 429 | 500..=599 => self.busy(wait(header)),
            _ => Fault::BadRequest(self.line()),
        }
    }
}

/// How gateways say with status 400 that they do not know the model: LiteLLM, OpenRouter, DeepSeek, Mistral.
const NO_SUCH_MODEL: &[&str] = &[
    "invalid model name",
    "not a valid model",
    "model not exist",
    "model does not exist",
    "invalid_model",
    "unknown model",
];

/// Words of a message that say a value is out of its range.
const RANGE_WORDS: &[&str] = &[
    "range",
    "less than",
    "greater than",
    "between 0 and",
    "too large",
    "too small",
    "at least",
    "at most",
    "<= ",
    ">= ",
];

/// How servers name what may be lacking. `max_tokens` is here to be found before a hint at its successor: it is the last form of the
/// limit that is tried, so there is nothing to leave out.
const NAMES: &[(&str, Option<Feature>)] = &[
    ("temperature", Some(Feature::Temperature)),
    ("max_completion_tokens", Some(Feature::OutputLimit)),
    ("maxoutputtokens", Some(Feature::OutputLimit)),
    ("max_output_tokens", Some(Feature::OutputLimit)),
    ("max_tokens", None),
    ("cache_control", Some(Feature::CacheMark)),
    ("response_format", Some(Feature::AnswerSchema)),
    ("output_config", Some(Feature::AnswerSchema)),
    ("output_format", Some(Feature::AnswerSchema)),
    ("responsejsonschema", Some(Feature::AnswerSchema)),
    ("responseschema", Some(Feature::AnswerSchema)),
    ("responsemimetype", Some(Feature::AnswerSchema)),
    ("response_mime_type", Some(Feature::AnswerSchema)),
    ("response mime type", Some(Feature::AnswerSchema)),
    ("schema", Some(Feature::AnswerSchema)),
    ("structured output", Some(Feature::AnswerSchema)),
    ("structured_output", Some(Feature::AnswerSchema)),
    ("json mode", Some(Feature::AnswerSchema)),
    ("guided", Some(Feature::AnswerSchema)),
    ("grammar", Some(Feature::AnswerSchema)),
    ("too many states", Some(Feature::AnswerSchema)),
    ("messages[0].role", Some(Feature::SystemTurn)),
    ("messages.0.role", Some(Feature::SystemTurn)),
    ("systeminstruction", Some(Feature::SystemTurn)),
    ("system_instruction", Some(Feature::SystemTurn)),
    ("system instruction", Some(Feature::SystemTurn)),
    ("developer instruction", Some(Feature::SystemTurn)),
    ("system role", Some(Feature::SystemTurn)),
    ("system message", Some(Feature::SystemTurn)),
    ("system prompt", Some(Feature::SystemTurn)),
    ("'system'", Some(Feature::SystemTurn)),
];

fn first_named(text: &str) -> Option<Feature> {
    NAMES.iter().filter_map(|(name, feature)| Some((text.find(name)?, *feature))).min_by_key(|(at, _)| *at)?.1
}

/// The message of an error in any of the usual forms.
fn message_of(error: &Value) -> Option<String> {
    let message = match error {
        Value::String(text) => text.clone(),
        Value::Object(fields) => {
            let found =
                ["message", "detail", "error"].iter().find_map(|name| fields.get(*name).filter(|v| !v.is_null()))?;
            match found {
                Value::String(text) => text.clone(),
                other => other.to_string(),
            }
        }
        _ => return None,
    };
    // Routers hide what the provider behind them said.
    let message = match error["metadata"]["raw"].as_str() {
        Some(raw) => format!("{message}: {raw}"),
        None => message,
    };
    Some(plain(&message))
}

/// The message of an error object in a body that came with status 200.
pub(super) fn error_inside(root: &Value) -> Option<Unreadable> {
    let error = root.get("error").filter(|error| error.is_string() || error.is_object())?;
    let message = message_of(error).unwrap_or_else(|| error.to_string());
    Some(Unreadable(clip(
        &without_keys(&format!("the server reports an error with status 200: {message}")),
        MESSAGE_CHARS,
    )))
}

/// A server's words as a line that holds no key.
pub(super) fn in_words(text: &str) -> String {
    clip(&without_keys(&plain(text)), MESSAGE_CHARS)
}

/// The JSON of an answer, or what its body begins with.
///
/// Bytes that are no UTF-8 are replaced rather than refused: the answer was paid for, and most of it can be read.
pub(super) fn json(body: &[u8]) -> Result<Value, Unreadable> {
    let text = String::from_utf8_lossy(body);
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    match serde_json::from_str(text) {
        Ok(value @ Value::Object(_)) => match error_inside(&value) {
            Some(error) => Err(error),
            None => Ok(value),
        },
        Ok(_) => Err(lacking("no JSON object", body)),
        Err(_) if text.trim().is_empty() => Err(Unreadable("the body is empty".to_owned())),
        Err(_) if text.trim_start().starts_with('<') => {
            let page = clip(&without_keys(&plain(text)), QUOTE_CHARS);
            Err(Unreadable(format!(
                "no JSON but a web page (`{page}`): is the base URL right, and is there a portal or proxy that asks for something?"
            )))
        }
        Err(_) => Err(lacking("no JSON", body)),
    }
}

/// An answer without something that it needs.
pub(super) fn lacking(what: &str, body: &[u8]) -> Unreadable {
    let text = String::from_utf8_lossy(body);
    // Whole words of the body are looked at before the cut, or half a key would go unnoticed.
    Unreadable(format!("{what}; it begins with: {}", clip(&without_keys(&plain_spaces(&text)), QUOTE_CHARS)))
}

/// A token count that may be missing, null or written as a float.
pub(super) fn count(object: &Value, name: &str) -> Option<u64> {
    let value = &object[name];
    // A float's cast saturates, so that a negative or endless count cannot wrap.
    value.as_u64().or_else(|| value.as_f64().map(|number| number as u64))
}

/// The wait that the headers ask for: milliseconds first, then seconds, then a date.
pub(super) fn wait(header: HeaderLookup<'_>) -> Option<Duration> {
    let seconds = |text: String, unit: f64| {
        let number = text.trim().parse::<f64>().ok()?;
        Duration::try_from_secs_f64(number / unit).ok()
    };
    header("retry-after-ms").and_then(|text| seconds(text, 1000.0)).or_else(|| {
        let text = header("retry-after")?;
        if let Some(wait) = seconds(text.clone(), 1.0) {
            return Some(wait);
        }
        let time = rfc2822::parse(text.trim()).ok()?.timestamp();
        let wait = Duration::try_from(time.duration_since(server_time(header))).unwrap_or_default();
        // By our own clock an hour and more is likelier a clock that is wrong than a wait.
        (header("date").is_some() || wait < Duration::from_secs(3_600)).then_some(wait)
    })
}

/// A limit in a header.
pub(super) fn limit(header: HeaderLookup<'_>, name: &str) -> Option<u64> {
    header(name)?.trim().parse().ok()
}

/// A span of time in a header, as OpenAI writes it: `6m0s`, `120ms`, `1h2m3.5s`; plain seconds at some compatible servers.
pub(super) fn span(header: HeaderLookup<'_>, name: &str) -> Option<Duration> {
    let text = header(name)?;
    let mut rest = Some(text.trim()).filter(|text| !text.is_empty())?;
    if let Ok(seconds) = rest.parse::<f64>() {
        return Duration::try_from_secs_f64(seconds).ok();
    }
    let mut seconds = 0.0;
    while !rest.is_empty() {
        let unit_at = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let number = rest[..unit_at].parse::<f64>().ok()?;
        let unit_end = rest[unit_at..].find(|c: char| c.is_ascii_digit()).map_or(rest.len(), |length| unit_at + length);
        seconds += number
            * match &rest[unit_at..unit_end] {
                "d" => 86_400.0,
                "h" => 3_600.0,
                "m" => 60.0,
                "s" => 1.0,
                "ms" => 1e-3,
                "us" | "µs" => 1e-6,
                "ns" => 1e-9,
                _ => return None,
            };
        rest = &rest[unit_end..];
    }
    Duration::try_from_secs_f64(seconds).ok()
}

/// How long it is until a time in a header, as Anthropic writes it: `2026-11-21T08:00:30Z`. What is past is zero.
pub(super) fn until(header: HeaderLookup<'_>, name: &str) -> Option<Duration> {
    let time: Timestamp = header(name)?.trim().parse().ok()?;
    Some(Duration::try_from(time.duration_since(server_time(header))).unwrap_or_default())
}

/// The server's own clock, which is the one that its times were made by, or ours.
fn server_time(header: HeaderLookup<'_>) -> Timestamp {
    let date = |text: String| Some(rfc2822::parse(text.trim()).ok()?.timestamp());
    header("date").and_then(date).unwrap_or_else(Timestamp::now)
}

fn pattern(text: &str) -> Regex {
    RegexBuilder::new(text).case_insensitive(true).build().expect("the patterns of this file are valid")
}

static KEY: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r#"\b(?:(?:sk|gsk|xai|hf|nvapi|pplx|fw|csk)[-_]|AIza|AQ\.)[a-z0-9_\-*.]{8,}|\bbearer\s+[^\s,;]{6,}|[?&]key=[^\s&]+|(?<before>\bkey(?: provided)?:\s+)[^\s,]{4,}"#,
    )
});
static LONG_TOKEN: LazyLock<Regex> = LazyLock::new(|| pattern(r"[a-z0-9_\-*+=]{16,}"));
static TITLE: LazyLock<Regex> = LazyLock::new(|| pattern(r"(?s)<title[^>]*>(.*?)</title>"));
static TAG: LazyLock<Regex> = LazyLock::new(|| pattern(r"(?s)<(?:script|style)\b.*?</(?:script|style)>|<[^>]*>"));

/// Hides what looks like a key: some servers quote the one that they refuse.
fn without_keys(text: &str) -> String {
    KEY.replace_all(text, "${before}…").into_owned()
}

/// Hides what may be a key: anything long with digits or stars in it.
fn without_tokens(text: &str) -> String {
    let hide = |found: &Captures<'_>| {
        let token = &found[0];
        if token.contains(|c: char| c.is_ascii_digit() || c == '*') { "…".to_owned() } else { token.to_owned() }
    };
    LONG_TOKEN.replace_all(text, hide).into_owned()
}

/// HTML as its title or words; whitespace as single spaces.
fn plain(text: &str) -> String {
    let start = text.trim_start();
    if !start.starts_with('<') {
        return plain_spaces(text);
    }
    let title = TITLE.captures(start).map(|found| plain_spaces(&found[1])).filter(|title| !title.is_empty());
    title.unwrap_or_else(|| plain_spaces(&TAG.replace_all(start, " ")))
}

/// One line without control characters: a server's words are printed on terminals.
fn plain_spaces(text: &str) -> String {
    let words: Vec<String> =
        text.split_whitespace().map(|word| word.chars().filter(|c| !c.is_control()).collect()).collect();
    words.join(" ")
}

fn clip(text: &str, chars: usize) -> String {
    match text.char_indices().nth(chars) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(status: u16, body: &str) -> String {
        Said::read(status, body.as_bytes()).line()
    }

    #[test]
    fn a_message_is_found_in_any_form() {
        assert_eq!(line(500, ""), "HTTP 500: no message");
        assert_eq!(line(502, "  upstream\n\n  died "), "HTTP 502: upstream died");
        assert_eq!(line(502, "up\u{1b}[31mstream\u{7}"), "HTTP 502: up[31mstream");
        assert_eq!(
            line(502, "<html><head><title>502 Bad\nGateway</title></head><body>x</body>"),
            "HTTP 502: 502 Bad Gateway"
        );
        assert_eq!(line(503, "<style>p{}</style><p>down <b>now</b></p>"), "HTTP 503: down now");
        assert_eq!(line(400, r#"{"error":"short"}"#), "HTTP 400: short");
        assert_eq!(line(400, r#"{"detail":"of a framework"}"#), "HTTP 400: of a framework");
        assert_eq!(line(400, r#"{"detail":[{"msg":"m"}]}"#), r#"HTTP 400: [{"msg":"m"}]"#);
        assert_eq!(line(400, r#"{"error":{"message":"m","type":"t","code":400}}"#), "HTTP 400 t: m");
        assert_eq!(
            line(404, r#"[{"error":{"code":404,"message":"m","status":"NOT_FOUND"}}]"#),
            "HTTP 404 NOT_FOUND: m"
        );
        assert_eq!(line(400, r#"{"error":{"message":"m","type":"t","code":"400"}}"#), "HTTP 400 t: m");
        assert_eq!(line(400, r#"{"strange":1}"#), r#"HTTP 400: {"strange":1}"#);
        assert_eq!(line(400, "\u{0}\u{fffd}"), "HTTP 400: \u{fffd}");
    }

    #[test]
    fn a_time_to_come_back_is_reckoned_by_the_clock_of_the_server() {
        let wait = |date: Option<&str>, retry: &str| {
            let header = |name: &str| match name {
                "date" => date.map(str::to_owned),
                "retry-after" => Some(retry.to_owned()),
                _ => None,
            };
            wait(&header).map(|wait| wait.as_secs())
        };
        for year in [1999, 2026, 2096] {
            let at = |time: &str| format!("21 Nov {year} {time} GMT");
            assert_eq!(wait(Some(&at("08:00:00")), &at("08:01:29")), Some(89), "{year}");
            assert_eq!(wait(Some(&at("08:00:00")), &at("13:00:00")), Some(18_000), "{year}");
            assert_eq!(wait(Some(&at("08:00:00")), &at("07:00:00")), Some(0), "{year}");
        }
        // Without the server's clock ours has to do, unless one of the two is clearly wrong.
        assert_eq!(wait(None, "21 Nov 1999 08:00:00 GMT"), Some(0));
        assert_eq!(wait(None, "21 Nov 2096 08:00:00 GMT"), None);
        assert_eq!(wait(None, "18000"), Some(18_000));
    }

    #[test]
    fn a_model_that_nobody_has_ends_the_run_with_whatever_status() {
        for message in [
            "/chat/completions: Invalid model name passed in model=x. Call `/v1/models` to view available models for your key.",
            "x is not a valid model ID",
            "Model Not Exist",
        ] {
            let body = serde_json::json!({ "error": { "message": message } }).to_string();
            assert!(matches!(Said::read(400, body.as_bytes()).by_status(&|_| None), Fault::Stop(_)), "{message}");
        }
    }

    #[test]
    fn a_reset_is_read_as_a_span_or_as_a_time() {
        let spans = [
            ("6m0s", Some(360.0)),
            ("120ms", Some(0.12)),
            (" 1h2m3.5s ", Some(3_723.5)),
            ("1s", Some(1.0)),
            ("2m59.56s", Some(179.56)),
            ("11.38", Some(11.38)),
            ("1d", Some(86_400.0)),
            ("0s", Some(0.0)),
            ("5", Some(5.0)),
            ("", None),
            ("soon", None),
            ("5 parsecs", None),
            ("m", None),
            ("-5", None),
            ("1e300s", None),
        ];
        for (text, seconds) in spans {
            let read = span(&|name| (name == "reset").then(|| text.to_owned()), "reset");
            assert_eq!(read.map(|read| read.as_secs_f64()), seconds, "{text}");
        }
        let times = [
            ("2026-11-21T08:00:30Z", Some(30)),
            ("2026-11-21T09:00:00+01:00", Some(0)),
            ("2026-11-21T07:59:00Z", Some(0)),
            ("2026-11-22T08:00:00Z", Some(86_400)),
            ("tomorrow", None),
        ];
        for (text, seconds) in times {
            let header = |name: &str| match name {
                "date" => Some("Sat, 21 Nov 2026 08:00:00 GMT".to_owned()),
                _ => Some(text.to_owned()),
            };
            assert_eq!(until(&header, "reset").map(|left| left.as_secs()), seconds, "{text}");
        }
    }

    #[test]
    fn a_long_message_is_cut_at_a_character() {
        let long = line(400, &"é".repeat(1000));
        assert_eq!(long.chars().count(), "HTTP 400: ".len() + MESSAGE_CHARS + 1);
        assert!(long.ends_with('…'));
    }

    #[test]
    fn no_message_holds_a_key() {
        for (status, key) in [
            (401, "sk-proj-abcDEF123456"),
            (401, "sk-ant-api03-abcdef"),
            (500, "sk-or-v1-0123456789abcdef"),
            (400, "AIzaSyA0123456789abcdefghijklmnopqrstu"),
            (401, "0123456789abcdef0123456789abcdef"),
            (403, "sk-ab**********************wxyz"),
            (500, "Bearer my-secret"),
        ] {
            let said = line(
                status,
                &format!(r#"{{"error":{{"message":"Incorrect: {key}. See https://example.com/keys."}}}}"#),
            );
            assert!(!said.contains(key), "{said}");
            assert!(said.contains("See https://example.com/keys."), "{said}");
        }
        let said = line(400, r#"{"error":{"message":"Incorrect API key provided: hunter2. Try again."}}"#);
        assert_eq!(said, "HTTP 400: Incorrect API key provided: … Try again.");
        let quoted = lacking("no form", format!("{}sk-proj-abcDEF123456", "x ".repeat(35)).as_bytes()).to_string();
        assert!(!quoted.contains("sk-"), "{quoted}");
    }

    proptest::proptest! {
        #[test]
        fn no_body_makes_the_reader_panic(status in 100u16..1000, body: Vec<u8>) {
            Said::read(status, &body).by_status(&|_| None);
            let _ = json(&body);
        }

        #[test]
        fn no_header_makes_the_wait_panic(text in ".*", digits in "[0-9.]{0,400}(|e|h|m|s|ms|Z)[0-9.-]{0,30}[smZ]?") {
            for text in [text, digits] {
                let header = |_: &str| Some(text.clone());
                wait(&header);
                span(&header, "x");
                until(&header, "x");
            }
        }
    }
}
