//! What a server may do to a request, one row a fault, in all three wire formats: what passes costs no unit, what stays ends its own unit
//! with words that say what it was, and what no wait cures ends the run at once.

use crate::context::{Context, KEY, assert_whole, row, states, target};
use crate::fake::{Asked, Fake, Provider, Reply};
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// A fault of a unit's first requests.
struct Row {
    reply: Reply,
    /// How many of the unit's requests meet it where it passes.
    times: usize,
    /// What its row says where it stays.
    said: &'static str,
}

fn fault(reply: Reply, times: usize, said: &'static str) -> Row {
    Row { reply, times, said }
}

/// A status with headers, in the words of something between us and the provider.
fn status(code: u16, headers: &[(&'static str, &str)]) -> Reply {
    let headers = headers.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
    Reply::Status { code, body: Some("of a gateway".to_owned()), headers }
}

/// Of a server whose clock is years behind ours: what counts is the second between its two times.
const BEHIND: &[(&str, &str)] =
    &[("date", "Sat, 21 Nov 2020 08:00:00 GMT"), ("retry-after", "Sat, 21 Nov 2020 08:00:01 GMT")];
/// Of one whose clock is years ahead.
const AHEAD: &[(&str, &str)] =
    &[("date", "Fri, 21 Nov 2036 08:00:00 GMT"), ("retry-after", "Fri, 21 Nov 2036 08:00:01 GMT")];

/// Faults that may pass.
fn faults() -> Vec<Row> {
    vec![
        fault(status(429, &[]), 2, "HTTP 429"),
        fault(Reply::throttled(1), 1, "HTTP 429"),
        fault(status(429, &[("retry-after-ms", "20")]), 1, "HTTP 429"),
        fault(status(429, BEHIND), 1, "HTTP 429"),
        fault(status(429, AHEAD), 1, "HTTP 429"),
        fault(status(503, BEHIND), 1, "HTTP 503"),
        fault(status(429, &[("retry-after", "soon")]), 1, "HTTP 429"),
        fault(Reply::status(500), 1, "HTTP 500"),
        fault(Reply::status(502), 2, "HTTP 502"),
        fault(Reply::status(503), 1, "HTTP 503"),
        fault(Reply::status(504), 2, "HTTP 504"),
        fault(Reply::status(529), 1, "HTTP 529"),
        fault(Reply::status(408), 1, "HTTP 408"),
        fault(status(502, &[]), 1, "HTTP 502: of a gateway"),
        fault(Reply::Hang(Duration::from_secs(3_600)), 1, "no complete answer from [SERVER] within 3 s"),
        fault(Reply::Trickle, 1, "no complete answer from [SERVER] within 3 s"),
        fault(Reply::Reset, 2, "the connection to [SERVER] was lost: "),
        fault(Reply::CutBody, 1, "the connection to [SERVER] was lost: "),
        fault(Reply::Endless, 1, "the answer of [SERVER] is larger than 8388608 bytes"),
        fault(Reply::Empty, 1, "unreadable answer: the body is empty"),
        fault(Reply::NotJson, 1, "unreadable answer: no JSON but a web page (`Welcome`): is the base URL right, and"),
        fault(status(200, &[]), 1, "unreadable answer: no JSON; it begins with: of a gateway"),
    ]
}

/// A project with twice as many prompts as there are faults: every other one meets none, so that it is no outage.
fn project(faults: &[Row]) -> Context {
    Context::with_sessions(1, 2 * faults.len())
}

/// The fault that a request meets, if its unit is one that does.
fn met<'f>(faults: &'f [Row], asked: &Asked) -> Option<&'f Row> {
    let prompt = target(asked).1;
    prompt.is_multiple_of(2).then(|| &faults[prompt / 2 - 1])
}

fn annotate(context: &Context, fake: &Fake, name: &str, provider: Provider, more: &[&str]) -> crate::context::Ended {
    let (model, url) = (format!("{name}/some-model"), fake.base_url(provider));
    context.run(&[&["annotate", "--model", &model, "--base-url", &url, "--timeout", "3"], more].concat())
}

fn what_passes_costs_no_unit(name: &str, provider: Provider) {
    let faults = faults();
    let count = faults.len();
    let context = project(&faults);
    let fake = Fake::plan(move |asked| match met(&faults, asked) {
        Some(fault) if asked.nth < fault.times => fault.reply.clone(),
        _ => Reply::Answer,
    })
    .start();
    let ended = annotate(&context, &fake, name, provider, &["--concurrency", "8"]).with(0);
    assert!(ended.lines("error").is_empty(), "{}", ended.stderr);
    let rows = context.rows("mood");
    assert_whole(&rows, 1, 2 * count);
    assert_eq!(states(&rows)["ok"], 2 * count);
    for (at, fault) in self::faults().iter().enumerate() {
        let row = row(&rows, 1, 2 * at + 2);
        assert!(row["attempts"].as_u64().unwrap() > fault.times as u64, "{}: {row}", fault.said);
    }
    let asked = fake.seen().len();
    annotate(&context, &fake, name, provider, &[]).with(0);
    assert_eq!(fake.seen().len(), asked, "something was paid twice");
}

fn what_stays_ends_its_own_unit(name: &str, provider: Provider) {
    let faults = faults();
    let count = faults.len();
    let context = project(&faults);
    let healthy = Arc::new(AtomicBool::new(false));
    let is_healthy = healthy.clone();
    let fake = Fake::plan(move |asked| match met(&faults, asked) {
        Some(fault) if !is_healthy.load(Ordering::SeqCst) => fault.reply.clone(),
        _ => Reply::Answer,
    })
    .start();
    let ended = annotate(&context, &fake, name, provider, &["--concurrency", "4", "--max-retries", "0"]).with(1);
    assert!(ended.lines("error").is_empty(), "{}", ended.stderr);
    assert_eq!(ended.lines("mood: ").len(), 1, "the reasons are told: {}", ended.stderr);
    let rows = context.rows("mood");
    assert_whole(&rows, 1, 2 * count);
    for (at, fault) in self::faults().iter().enumerate() {
        let row = row(&rows, 1, 2 * at + 2);
        let detail = context.filtered(row["detail"].as_str().unwrap());
        assert_eq!(row["status"], "failed", "{row}");
        assert!(detail.contains(fault.said), "{name}, {}: {detail}", fault.said);
        assert!(row["cost_usd"].is_null() && row["usage"].is_null(), "it may have been billed: {row}");
    }
    let failed = states(&rows)["failed"];
    healthy.store(true, Ordering::SeqCst);
    let asked = fake.seen().len();
    annotate(&context, &fake, name, provider, &[]).with(0);
    assert_eq!(fake.seen().len() - asked, failed, "the next run asks for what failed and for nothing else");
    assert_eq!(states(&context.rows("mood"))["ok"], 2 * count);
}

#[test]
fn faults_of_openais_form_that_pass_cost_no_unit() {
    what_passes_costs_no_unit("openai", Provider::OpenAi);
}

#[test]
fn faults_of_anthropics_form_that_pass_cost_no_unit() {
    what_passes_costs_no_unit("anthropic", Provider::Anthropic);
}

#[test]
fn faults_of_geminis_form_that_pass_cost_no_unit() {
    what_passes_costs_no_unit("gemini", Provider::Gemini);
}

#[test]
fn faults_of_openais_form_that_stay_end_their_own_units() {
    what_stays_ends_its_own_unit("openai", Provider::OpenAi);
}

#[test]
fn faults_of_anthropics_form_that_stay_end_their_own_units() {
    what_stays_ends_its_own_unit("anthropic", Provider::Anthropic);
}

#[test]
fn faults_of_geminis_form_that_stay_end_their_own_units() {
    what_stays_ends_its_own_unit("gemini", Provider::Gemini);
}

/// An error in the provider's form, with its words for one that no wait cures.
fn used_up(provider: Provider) -> Reply {
    let body = match provider {
        Provider::OpenAi => json!({ "error": { "message": "Limit reached for requests per day (RPD): Limit 200.",
            "type": "requests", "param": null, "code": "rate_limit_exceeded" } }),
        Provider::Anthropic => json!({ "type": "error", "error": { "type": "rate_limit_error", "message": "Enough.",
            "details": { "error_code": "enforced_spend_limit_reached" } } }),
        Provider::Gemini => json!({ "error": { "code": 429, "message": "Enough.", "status": "RESOURCE_EXHAUSTED",
            "details": [{ "@type": "type.googleapis.com/google.rpc.QuotaFailure",
                "violations": [{ "quotaId": "GenerateRequestsPerDayPerProjectPerModel-FreeTier" }] }] } }),
    };
    Reply::Status { code: 429, body: Some(body.to_string()), headers: vec![("retry-after", "1".to_owned())] }
}

#[test]
fn what_no_wait_cures_ends_the_run_at_once_in_every_form() {
    let moved: &[(&str, &str)] = &[("location", "https://elsewhere.example/v1/x?key=1")];
    for (name, provider) in
        [("openai", Provider::OpenAi), ("anthropic", Provider::Anthropic), ("gemini", Provider::Gemini)]
    {
        for (reply, said) in [
            (Reply::status(401), "HTTP 401"),
            (Reply::status(402), "HTTP 402"),
            (Reply::status(403), "HTTP 403"),
            (Reply::status(404), "HTTP 404"),
            (used_up(provider), "HTTP 429"),
            (status(429, &[("retry-after", "18000")]), "the server says that it is back in 5 h 0 min"),
            (status(301, moved), "redirects to https://elsewhere.example/v1/x (status 301): set the base URL to"),
            (status(307, moved), "redirects to https://elsewhere.example/v1/x (status 307): set the base URL to"),
            (status(308, &[]), "redirects to an unreadable address (status 308)"),
        ] {
            let context = Context::with_sessions(2, 10);
            let healthy = Arc::new(AtomicBool::new(false));
            let is_healthy = healthy.clone();
            let answered_before = 6;
            let fake = Fake::plan(move |asked| {
                let answers = asked.index < answered_before || is_healthy.load(Ordering::SeqCst);
                if answers { Reply::Answer } else { reply.clone() }
            })
            .start();
            let ended = annotate(&context, &fake, name, provider, &["--concurrency", "2"]).with(2);
            let errors = ended.lines("error: stopped: ");
            assert!(errors.len() == 1 && errors[0].contains(said), "{name}, {said}: {}", ended.stderr);
            assert_eq!((ended.lines("error").len(), ended.lines("hint").len()), (1, 1), "{}", ended.stderr);
            assert!(fake.seen().len() <= answered_before + 2, "{name}, {said}: {}", fake.seen().len());
            let rows: Vec<Value> = context.rows("mood");
            assert_eq!(states(&rows).into_iter().collect::<Vec<_>>(), [("ok".to_owned(), answered_before)]);
            if said == "HTTP 429" {
                healthy.store(true, Ordering::SeqCst);
                let asked = fake.seen().len();
                annotate(&context, &fake, name, provider, &[]).with(0);
                assert_eq!(fake.seen().len() - asked, 20 - answered_before, "{name}, {said}");
            }
        }
    }
}

#[test]
fn no_redirect_is_followed_with_the_key() {
    for (name, provider, variable) in [
        ("openai", Provider::OpenAi, "OPENAI_API_KEY"),
        ("anthropic", Provider::Anthropic, "ANTHROPIC_API_KEY"),
        ("gemini", Provider::Gemini, "GEMINI_API_KEY"),
    ] {
        let context = Context::with_sessions(1, 2).set(variable, KEY);
        let elsewhere = Fake::start();
        let place = format!("{}/v1/messages", elsewhere.base_url(Provider::Gemini));
        let fake = Fake::plan(move |_| status(307, &[("location", &place)])).start();
        let ended = annotate(&context, &fake, name, provider, &[]).with(2);
        assert!(ended.stderr.contains(" redirects to http://127.0.0.1:"), "{}", ended.stderr);
        assert!(!ended.stderr.contains(KEY) && elsewhere.asked() == 0);
    }
}

#[test]
fn bytes_that_are_no_utf_8_cost_no_answer() {
    for (name, provider) in
        [("openai", Provider::OpenAi), ("anthropic", Provider::Anthropic), ("gemini", Provider::Gemini)]
    {
        let context = Context::with_sessions(1, 3);
        let fake = Fake::plan(|_| Reply::NotUtf8).start();
        annotate(&context, &fake, name, provider, &[]).with(0);
        annotate(&context, &fake, name, provider, &["--run", "again"]).with(0);
        assert_eq!(fake.seen().len(), 3, "{name}: an answer was paid for twice");
        for row in context.rows("again") {
            assert!(row["fields"]["reason"].as_str().unwrap().starts_with("w\u{fffd}rds"), "{row}");
        }
    }
}

#[cfg(target_os = "linux")]
#[test]
fn endless_bodies_take_no_memory() {
    use wait4::Wait4;
    let context = Context::with_sessions(1, 32);
    let fake = Fake::plan(|_| Reply::Endless).start();
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_interrater"));
    let url = fake.base_url(Provider::OpenAi);
    let arguments = ["annotate", "--model", "openai/some-model", "--base-url", &url, "--concurrency", "16"];
    command.args(arguments).args(["--max-retries", "0", "--quiet"]).current_dir(context.path()).env_clear();
    let child = command.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null()).spawn().unwrap();
    let ended = child.wait4().unwrap();
    // Nothing is ever answered, which is told after ten of them.
    assert_eq!(ended.status.code(), Some(2));
    let megabytes = ended.rusage.maxrss / (1 << 20);
    println!("{megabytes} MB at most");
    assert!((1..400).contains(&megabytes), "{megabytes} MB");
}
