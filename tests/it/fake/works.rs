//! The fake and the adapters against each other: what one sends the other takes.

use super::{Fake, Provider, Reply};
use interrater::llm::anthropic::Anthropic;
use interrater::llm::gemini::Gemini;
use interrater::llm::openai::OpenAi;
use interrater::llm::{
    Adapter, AnswerSchema, End, Fault, Feature, Lacking, Part, RateLimits, Request, Response, Role, Told, Turn,
};
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

const PROVIDERS: [Provider; 3] = [Provider::OpenAi, Provider::Anthropic, Provider::Gemini];

fn adapter(provider: Provider) -> &'static dyn Adapter {
    match provider {
        Provider::OpenAi => &OpenAi,
        Provider::Anthropic => &Anthropic,
        Provider::Gemini => &Gemini,
    }
}

fn request(text: &str) -> Request {
    let part = |text: &str, cache_mark| Part { text: text.to_owned(), cache_mark };
    Request {
        model: "some-model".to_owned(),
        system: Some("You annotate.".to_owned()),
        turns: vec![Turn { role: Role::User, parts: vec![part("The transcript.", true), part(text, false)] }],
        schema: AnswerSchema {
            name: "label".to_owned(),
            json: json!({
                "type": "object",
                "properties": {
                    "reason": { "type": "string" },
                    "label": { "type": "string", "enum": ["correction", "rejection", "none"] },
                    "score": { "type": "integer", "description": "From 3 to 7." },
                    "phases": {
                        "type": "object",
                        "description": "Percentages that sum to 100.",
                        "properties": { "a": { "type": "integer" }, "b": { "type": "integer" }, "c": { "type": "integer" } },
                        "required": ["a", "b", "c"],
                        "additionalProperties": false,
                    },
                    "evidence": { "type": "array", "items": { "type": "string" } },
                    "note": { "type": ["string", "null"] },
                },
                "required": ["reason", "label", "score", "phases", "evidence", "note"],
                "additionalProperties": false,
            }),
        },
        temperature: None,
        max_output_tokens: Some(1000),
        sample: 0,
    }
}

/// What came of a request.
#[derive(Debug)]
enum Came {
    Answer(Response),
    Unreadable(String),
    Fault(Fault),
    Broken,
}

/// Sends requests in order, each when the last one is answered.
fn send(fake: &Fake, provider: Provider, key: Option<&str>, requests: &[Request], lacking: &Lacking) -> Vec<Came> {
    // A second installation is refused and harmless.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let client = reqwest::Client::new();
        let mut came = Vec::new();
        for request in requests {
            let http = adapter(provider).encode(&fake.base_url(provider), request, lacking);
            let mut call = client.post(&http.url).body(http.body).timeout(Duration::from_secs(5));
            for (name, value) in http.headers {
                call = call.header(name, value);
            }
            if let Some(key) = key {
                call = call.header(http.auth.0, format!("{}{key}", http.auth.1));
            }
            let Ok(response) = call.send().await else {
                came.push(Came::Broken);
                continue;
            };
            let (status, headers) = (response.status().as_u16(), response.headers().clone());
            let Ok(body) = response.bytes().await else {
                came.push(Came::Broken);
                continue;
            };
            let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
            came.push(match status {
                200 => match adapter(provider).decode(&body) {
                    Ok(response) => Came::Answer(response),
                    Err(unreadable) => Came::Unreadable(unreadable.0),
                },
                status => Came::Fault(adapter(provider).fault(status, &header, &body)),
            });
        }
        came
    })
}

fn ask(fake: &Fake, provider: Provider) -> Came {
    send(fake, provider, None, &[request("What is its label?")], &Lacking::new()).remove(0)
}

fn answer(fake: &Fake, provider: Provider) -> Response {
    match ask(fake, provider) {
        Came::Answer(response) => response,
        other => panic!("{provider:?}: {other:?}"),
    }
}

#[test]
fn every_provider_answers_by_the_schema_and_the_same_again() {
    for provider in PROVIDERS {
        let fake = Fake::start();
        let first = answer(&fake, provider);
        assert_eq!(first.end, End::Stop);
        assert_eq!(first, answer(&fake, provider));
        let fields: Value = serde_json::from_str(&first.text).unwrap();
        assert!(["correction", "rejection", "none"].contains(&fields["label"].as_str().unwrap()), "{fields}");
        assert!((3..=7).contains(&fields["score"].as_i64().unwrap()), "{fields}");
        let shares: i64 = fields["phases"].as_object().unwrap().values().map(|share| share.as_i64().unwrap()).sum();
        assert_eq!(shares, 100, "{fields}");
        assert_eq!(fields["evidence"], json!([]));
        let usage = first.usage.unwrap();
        assert!(usage.input > 0 && usage.cached_input > 0 && usage.output > usage.reasoning && usage.reasoning > 0);
        assert_eq!(first.model.as_deref(), Some("some-model-20261001"));
        assert_eq!(fake.complaints(), Vec::<String>::new());
        assert_eq!(fake.counts().into_values().collect::<Vec<_>>(), [2]);
        let seen = fake.seen();
        assert_eq!(seen.iter().map(|seen| (seen.asked.index, seen.asked.nth)).collect::<Vec<_>>(), [(0, 0), (1, 1)]);
        assert!(seen[0].asked.prompt.contains("The transcript.") && seen[0].asked.at <= seen[1].asked.at);
        assert_eq!((fake.peak(), seen[0].answered.as_str()), (1, "Answer"));
    }
}

#[test]
fn other_prompts_get_other_answers() {
    let fake = Fake::start();
    let requests: Vec<_> = (0..20).map(|at| request(&format!("question {at}"))).collect();
    let came = send(&fake, Provider::Anthropic, None, &requests, &Lacking::new());
    let labels: std::collections::BTreeSet<String> = came
        .into_iter()
        .map(|came| match came {
            Came::Answer(response) => serde_json::from_str::<Value>(&response.text).unwrap()["label"].to_string(),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!((labels.len(), fake.counts().len()), (3, 20));
}

#[test]
fn a_test_may_answer_itself() {
    for provider in PROVIDERS {
        let fake = Fake::plan(|_| Reply::Answer).answer(|asked, _| json!({ "label": asked.index })).start();
        assert_eq!(answer(&fake, provider).text, r#"{"label":0}"#);
        let fake = Fake::plan(|asked| Reply::Text(format!("text {}", asked.nth))).start();
        assert_eq!(answer(&fake, provider).text, "text 0");
    }
}

#[test]
fn a_schema_in_the_prompt_is_answered_as_well() {
    for provider in PROVIDERS {
        let fake = Fake::start();
        let all = Lacking::from([Feature::AnswerSchema, Feature::SystemTurn, Feature::CacheMark, Feature::OutputLimit]);
        let came = send(&fake, provider, None, &[request("What is its label?")], &all).remove(0);
        let Came::Answer(response) = came else { panic!("{came:?}") };
        assert!(response.text.contains(r#""label":"#), "{}", response.text);
    }
}

#[test]
fn a_model_tells_what_it_lacks() {
    for (provider, parameter, feature) in [
        (Provider::OpenAi, "temperature", Feature::Temperature),
        (Provider::OpenAi, "response_format", Feature::AnswerSchema),
        (Provider::OpenAi, "max_completion_tokens", Feature::OutputLimit),
        (Provider::OpenAi, "system", Feature::SystemTurn),
        (Provider::Anthropic, "temperature", Feature::Temperature),
        (Provider::Anthropic, "output_config", Feature::AnswerSchema),
        (Provider::Anthropic, "cache_control", Feature::CacheMark),
        (Provider::Gemini, "temperature", Feature::Temperature),
        (Provider::Gemini, "responseJsonSchema", Feature::AnswerSchema),
        (Provider::Gemini, "systemInstruction", Feature::SystemTurn),
    ] {
        let fake = Fake::plan(|_| Reply::Answer).refuses(parameter).start();
        let asked = [Request { temperature: Some(0.0), ..request("What is its label?") }];
        let came = send(&fake, provider, None, &asked, &Lacking::new()).remove(0);
        assert!(matches!(&came, Came::Fault(Fault::Lacks(lacks, _)) if *lacks == feature), "{parameter}: {came:?}");
        assert_eq!(fake.complaints().len(), 1);
        let came = send(&fake, provider, None, &asked, &Lacking::from([feature])).remove(0);
        assert!(matches!(came, Came::Answer(_)), "{parameter}: {came:?}");
    }
}

#[test]
fn models_that_reason_take_no_temperature() {
    for (provider, model) in [(Provider::OpenAi, "gpt-6-luna"), (Provider::Anthropic, "claude-haiku-5.5")] {
        let fake = Fake::start();
        let asked = [Request { model: model.to_owned(), temperature: Some(0.0), ..request("x") }];
        let came = send(&fake, provider, None, &asked, &Lacking::new()).remove(0);
        assert!(matches!(&came, Came::Fault(Fault::Lacks(Feature::Temperature, _))), "{came:?}");
        let came = send(&fake, provider, None, &asked, &Lacking::from([Feature::Temperature])).remove(0);
        assert!(matches!(came, Came::Answer(_)), "{came:?}");
    }
}

#[test]
fn keys_are_checked_and_never_repeated() {
    for provider in PROVIDERS {
        let fake = Fake::plan(|_| Reply::Answer).key("the-secret-0123456789").start();
        let with = |key| send(&fake, provider, key, &[request("x")], &Lacking::new()).remove(0);
        assert!(matches!(with(Some("the-secret-0123456789")), Came::Answer(_)));
        assert!(matches!(with(None), Came::Fault(Fault::Stop(_))));
        let Came::Fault(Fault::Stop(message)) = with(Some("a-wrong-one-9876543210")) else { panic!("{provider:?}") };
        assert!(!message.contains("9876543210"), "{message}");
    }
}

#[test]
fn an_unknown_model_stops_the_run() {
    for provider in PROVIDERS {
        let asked = [Request { model: "no-such-model".to_owned(), ..request("x") }];
        let came = send(&Fake::start(), provider, None, &asked, &Lacking::new()).remove(0);
        assert!(matches!(came, Came::Fault(Fault::Stop(_))), "{came:?}");
    }
}

#[test]
fn what_no_provider_takes_is_rejected() {
    let assistant = Turn { role: Role::Assistant, parts: vec![Part { text: "x".to_owned(), cache_mark: false }] };
    for provider in [Provider::Anthropic, Provider::Gemini] {
        let mut asked = request("x");
        asked.turns.push(assistant.clone());
        let came = send(&Fake::start(), provider, None, &[asked], &Lacking::new()).remove(0);
        assert!(matches!(came, Came::Fault(Fault::BadRequest(_))), "{came:?}");
    }
    for keyword in ["oneOf", "uniqueItems", "default"] {
        let mut asked = request("x");
        asked.schema.json["properties"]["reason"][keyword] = json!([]);
        let fake = Fake::start();
        let came = send(&fake, Provider::OpenAi, None, &[asked], &Lacking::new()).remove(0);
        assert!(matches!(came, Came::Fault(Fault::Lacks(Feature::AnswerSchema, _))), "{came:?}");
        assert!(fake.complaints()[0].contains(keyword));
    }
    // Bounds are refused by Anthropic, so that the adapter says them in words.
    let mut asked = request("x");
    asked.schema.json["properties"]["score"] = json!({ "type": "integer", "minimum": 40, "maximum": 41 });
    let came = send(&Fake::start(), Provider::Anthropic, None, &[asked], &Lacking::new()).remove(0);
    let Came::Answer(response) = came else { panic!("{came:?}") };
    let fields: Value = serde_json::from_str(&response.text).unwrap();
    assert!((40..=41).contains(&fields["score"].as_i64().unwrap()), "{fields}");
}

#[test]
fn answers_can_be_bad_in_many_ways() {
    for provider in PROVIDERS {
        let with = |reply: Reply| Fake::plan(move |_| reply.clone()).start();
        let text = |reply: Reply| answer(&with(reply), provider).text;
        assert!(text(Reply::Fenced).starts_with("```json\n{"));
        assert!(text(Reply::WithProse).starts_with("Here is"));
        assert!(text(Reply::TrailingComma).ends_with(",}"));
        assert!(serde_json::from_str::<Value>(&text(Reply::Garbage)).is_err());
        assert!(text(Reply::WrongSchema).contains("no such label"));
        assert_eq!(answer(&with(Reply::NoUsage), provider).usage, None);
        assert_eq!(answer(&with(Reply::Cut), provider).end, End::Length);
        assert!(matches!(answer(&with(Reply::Refusal), provider).end, End::Refusal(_)));
        assert!(matches!(ask(&with(Reply::Empty), provider), Came::Unreadable(_)));
        assert!(matches!(ask(&with(Reply::NotJson), provider), Came::Unreadable(said) if said.contains("Welcome")));
        assert!(text(Reply::NotUtf8).contains("w\u{fffd}rds"));
        assert!(matches!(ask(&with(Reply::Reset), provider), Came::Broken));
        assert!(matches!(ask(&with(Reply::CutBody), provider), Came::Broken));
    }
}

#[test]
fn a_connection_that_broke_is_replaced() {
    let fake = Fake::plan(|asked| if asked.nth == 0 { Reply::CutBody } else { Reply::Answer }).start();
    let twice = [request("x"), request("x")];
    let came = send(&fake, Provider::OpenAi, None, &twice, &Lacking::new());
    assert!(matches!(&came[..], [Came::Broken, Came::Answer(_)]), "{came:?}");
}

#[test]
fn statuses_have_the_form_of_their_provider() {
    for provider in PROVIDERS {
        for (status, throttled) in [(429, true), (500, false), (502, false), (529, true)] {
            let came = ask(&Fake::plan(move |_| Reply::status(status)).start(), provider);
            let Came::Fault(Fault::Busy { throttled: said, .. }) = &came else { panic!("{status}: {came:?}") };
            assert_eq!(*said, throttled, "{came:?}");
        }
        let came = ask(&Fake::plan(|_| Reply::throttled(7)).start(), provider);
        let Came::Fault(Fault::Busy { after, .. }) = &came else { panic!("{came:?}") };
        assert_eq!(*after, Some(Duration::from_secs(7)));
        let own = || Reply::Status { code: 418, body: Some("short and stout".to_owned()), headers: Vec::new() };
        let came = ask(&Fake::plan(move |_| own()).start(), provider);
        assert!(matches!(&came, Came::Fault(Fault::BadRequest(said)) if said.contains("short and stout")), "{came:?}");
    }
}

#[test]
fn headers_of_all_answers_can_be_set() {
    let fake = Fake::plan(|_| Reply::Answer).header("x-ratelimit-limit-requests", "500").start();
    let url = fake.base_url(Provider::OpenAi);
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let response = runtime.block_on(reqwest::get(url)).unwrap();
    assert_eq!(response.status(), 404);
    let told = OpenAi.rate_limits(&|name| response.headers().get(name)?.to_str().ok().map(str::to_owned));
    assert_eq!(told, RateLimits { requests: Told { limit: Some(500), ..Told::default() }, ..RateLimits::default() });
}

#[test]
fn answers_can_be_late_and_the_server_ends_before_they_come() {
    let fake = Fake::plan(|_| Reply::Answer).delay(Duration::from_millis(50)).start();
    let begun = Instant::now();
    answer(&fake, Provider::OpenAi);
    assert!(begun.elapsed() >= Duration::from_millis(50));

    let fake = Fake::plan(|_| Reply::Hang(Duration::from_secs(3600))).start();
    let http = OpenAi.encode(&fake.base_url(Provider::OpenAi), &request("x"), &Lacking::new());
    let address = fake.base_url(Provider::Gemini).split_off("http://".len());
    let mut line = TcpStream::connect(address).unwrap();
    let length = http.body.len();
    let head = "POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json";
    write!(line, "{head}\r\ncontent-length: {length}\r\n\r\n").unwrap();
    line.write_all(&http.body).unwrap();
    while fake.seen().is_empty() {
        std::thread::yield_now();
    }
    drop(fake);
    let mut rest = Vec::new();
    // Closed or reset: there is no answer.
    let _ = line.read_to_end(&mut rest);
    assert!(rest.is_empty(), "{}", String::from_utf8_lossy(&rest));
}
