//! Faults that no wait cures: the run stops with one clear line, keeps what it has, and goes on from there later.

use crate::context::{Context, KEY, asked_since, assert_whole, row, states, target};
use crate::fake::{Asked, Fake, Provider, Reply};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::net::{Ipv4Addr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// An error in OpenAI's form.
fn error(status: u16, code: &str, message: &str) -> Reply {
    let body = json!({ "error": { "message": message, "type": "invalid_request_error", "param": null, "code": code } });
    Reply::Status { code: status, body: Some(body.to_string()), headers: Vec::new() }
}

/// That the server's error ends a run of 40 units after some answers, and that the next run asks for the rest alone.
fn stops_and_goes_on(reply: Reply, said: &str) {
    let context = Context::with_sessions(4, 10);
    let healthy = Arc::new(AtomicBool::new(false));
    let is_healthy = healthy.clone();
    let fake = Fake::plan(move |asked| {
        let answers = asked.index < 12 || is_healthy.load(Ordering::SeqCst);
        if answers { Reply::Answer } else { reply.clone() }
    })
    .start();
    let ended = context.annotate(&fake, &["--concurrency", "4"]).with(2);
    let errors = ended.lines("error");
    assert!(errors.len() == 1 && errors[0].contains(said), "{}", ended.stderr);
    assert_eq!(ended.lines("hint").len(), 1, "{}", ended.stderr);
    assert!(fake.seen().len() <= 16, "the rest was asked in vain: {}", fake.seen().len());
    let rows = context.rows("mood");
    assert_eq!(states(&rows).into_iter().collect::<Vec<_>>(), [("ok".to_owned(), 12)]);
    let manifest = context.manifest("mood");
    assert_eq!((&manifest["complete"], &manifest["totals"]["units"]), (&json!(false), &json!(40)));

    let answered: BTreeSet<String> =
        fake.seen().into_iter().filter(|seen| seen.answered == "Answer").map(|seen| seen.asked.hash).collect();
    let before = fake.seen().len();
    healthy.store(true, Ordering::SeqCst);
    context.annotate(&fake, &[]).with(0);
    assert_whole(&context.rows("mood"), 4, 10);
    let after = asked_since(&fake, before);
    assert_eq!(after.len(), 28);
    assert!(after.iter().all(|hash| !answered.contains(hash)), "an answered unit was asked again");
    assert_eq!(context.manifest("mood")["complete"], true);
}

#[test]
fn an_account_without_permission_stops_the_run() {
    stops_and_goes_on(
        error(403, "", "You may not use this model."),
        "HTTP 403 invalid_request_error: You may not use this model.",
    );
}

#[test]
fn a_key_that_is_withdrawn_stops_the_run() {
    stops_and_goes_on(error(401, "invalid_api_key", "The key is no longer valid."), "HTTP 401 invalid_api_key");
}

#[test]
fn a_model_that_is_withdrawn_stops_the_run() {
    stops_and_goes_on(
        error(404, "model_not_found", "The model is gone."),
        "HTTP 404 model_not_found: The model is gone.",
    );
}

#[test]
fn a_spend_limit_stops_the_run_although_it_looks_like_a_rate_limit() {
    stops_and_goes_on(error(429, "insufficient_quota", "You exceeded your quota."), "HTTP 429 insufficient_quota");
}

/// A server that calls some requests bad, and answers the others.
fn fussy(is_bad: impl Fn(&Asked) -> bool + Send + Sync + 'static) -> Fake {
    let bad = error(400, "", "The colour of the request is wrong.");
    Fake::plan(move |asked| if is_bad(asked) { bad.clone() } else { Reply::Answer }).start()
}

#[test]
fn a_unit_whose_request_is_bad_fails_alone() {
    let context = Context::with_sessions(4, 10);
    let healthy = Arc::new(AtomicBool::new(false));
    let is_healthy = healthy.clone();
    // The very first one, all of a session, and one among others.
    let odd = |(session, prompt)| matches!((session, prompt), (1, 1) | (2, _) | (3, 5));
    let fake = fussy(move |asked| odd(target(asked)) && !is_healthy.load(Ordering::SeqCst));
    for _ in 0..2 {
        let ended = context.annotate(&fake, &["--concurrency", "4"]).with(1);
        assert!(ended.lines("error").is_empty(), "{}", ended.stderr);
        let rows = context.rows("mood");
        assert_whole(&rows, 4, 10);
        assert_eq!((states(&rows)["ok"], states(&rows)["failed"]), (28, 12));
        let failed = row(&rows, 3, 5);
        let detail =
            "the server takes no such request: HTTP 400 invalid_request_error: The colour of the request is wrong.";
        assert_eq!((&failed["detail"], &failed["attempts"]), (&json!(detail), &json!(1)), "{failed}");
    }
    // Bad requests are not sent again within a run, and what was answered is not in the next.
    assert_eq!(fake.seen().len(), 28 + 12 + 12);
    healthy.store(true, Ordering::SeqCst);
    context.annotate(&fake, &[]).with(0);
    assert_eq!(fake.seen().len(), 28 + 12 + 12 + 12);
}

#[test]
fn bad_requests_of_several_units_in_a_row_stop_the_run() {
    let context = Context::with_sessions(10, 10);
    let healthy = Arc::new(AtomicBool::new(false));
    let is_healthy = healthy.clone();
    let fake = fussy(move |asked| asked.index >= 12 && !is_healthy.load(Ordering::SeqCst));
    let ended = context.annotate(&fake, &["--concurrency", "4"]).with(2);
    let errors = ended.lines("error");
    let said = "The colour of the request is wrong. (so for ";
    assert!(errors.len() == 1 && errors[0].contains(said), "{}", ended.stderr);
    assert_eq!(ended.lines("hint").len(), 1, "{}", ended.stderr);
    // Thirty in a row, among which an answer may come that was under way.
    assert!(fake.seen().len() <= 12 + 2 * 30 + 4, "the rest was asked in vain: {}", fake.seen().len());
    assert_eq!(states(&context.rows("mood"))["ok"], 12);
    healthy.store(true, Ordering::SeqCst);
    let before = fake.seen().len();
    context.annotate(&fake, &[]).with(0);
    assert_eq!(fake.seen().len(), before + 88);
    assert_whole(&context.rows("mood"), 10, 10);
}

#[test]
fn a_run_of_which_all_requests_are_bad_has_failed_however_short_it_is() {
    let context = Context::with_sessions(1, 3);
    let fake = fussy(|_| true);
    let ended = context.annotate(&fake, &[]).with(2);
    let errors = ended.lines("error");
    assert!(errors.len() == 1 && errors[0].ends_with("The colour of the request is wrong."), "{}", ended.stderr);
    assert_eq!(fake.seen().len(), 3);
}

#[test]
fn a_wrong_key_and_an_unknown_model_are_told_at_once_for_every_provider() {
    for (name, provider, variable) in [
        ("openai", Provider::OpenAi, "OPENAI_API_KEY"),
        ("anthropic", Provider::Anthropic, "ANTHROPIC_API_KEY"),
        ("gemini", Provider::Gemini, "GEMINI_API_KEY"),
    ] {
        let context = Context::with_sessions(3, 10).set(variable, KEY);
        let fake = Fake::plan(|_| Reply::Answer).key("another-key-7731").start();
        let url = fake.base_url(provider);
        let model = format!("{name}/some-model");
        let ended = context.run(&["annotate", "--model", &model, "--base-url", &url, "--json"]).with(2);
        assert_eq!(ended.lines("error").len(), 1, "{}", ended.stderr);
        assert!(!ended.stderr.contains(KEY) && !ended.stdout.contains(KEY), "{ended:?}");
        assert!(fake.seen().len() <= 8);
        let told = ended.json();
        assert!(told["stopped"].as_str().is_some_and(|reason| !reason.contains(KEY)), "{told}");
        assert!(context.rows("mood").is_empty());

        let fake = Fake::start();
        let (url, model) = (fake.base_url(provider), format!("{name}/no-such-model"));
        let ended = context.run(&["annotate", "--model", &model, "--base-url", &url]).with(2);
        let errors = ended.lines("error");
        assert!(errors.len() == 1 && errors[0].contains("404"), "{}", ended.stderr);
    }
}

#[test]
fn a_missing_key_is_told_before_anything_is_read_or_written() {
    let context = Context::with_sessions(1, 1);
    let ended = context.run(&["annotate", "--model", "anthropic/some-model"]).with(2);
    assert_eq!(
        ended.stderr,
        "error: no API key for anthropic: the environment variable ANTHROPIC_API_KEY is not set\n\
         hint: set ANTHROPIC_API_KEY, or use --model baseline/cues, which needs no key\n"
    );
    assert!(!context.path().join("runs").exists() && ended.stdout.is_empty());
}

/// An address at which nobody listens.
fn nobody() -> String {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    format!("http://{}/v1", listener.local_addr().unwrap())
}

#[test]
fn a_server_that_is_not_there_is_told_soon() {
    let context = Context::with_sessions(5, 10);
    let begun = Instant::now();
    let ended = context.run(&["annotate", "--model", "openai/some-model", "--base-url", &nobody()]).with(2);
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    let errors: Vec<String> = ended.lines("error").into_iter().map(|line| context.filtered(line)).collect();
    assert_eq!(errors.len(), 1, "{}", ended.stderr);
    assert!(errors[0].starts_with("error: stopped: cannot connect to [SERVER]"), "{errors:?}");
}

#[test]
fn a_server_that_goes_away_does_not_use_up_all_units() {
    let context = Context::with_sessions(10, 30);
    context.write("config.toml", "[input]\nsessions = [\"sessions\"]\n[annotate]\npatience = 3\n");
    let healthy = Arc::new(AtomicBool::new(false));
    let is_healthy = healthy.clone();
    let fake = Fake::plan(move |asked| {
        let answers = asked.index < 5 || is_healthy.load(Ordering::SeqCst);
        if answers { Reply::Answer } else { Reply::status(502) }
    })
    .start();
    let ended = context.annotate(&fake, &["--max-retries", "0"]).with(2);
    let errors = ended.lines("error");
    assert_eq!(errors.len(), 1, "{}", ended.stderr);
    assert!(
        errors[0].starts_with("error: stopped: no request was answered for 3 s; the last time: HTTP 502"),
        "{errors:?}"
    );
    // Each of the five answers may arrive late and end a row of up to 9 failures; 10 are an outage, with 16 under way, and then it is
    // looked at two or three times.
    assert!(fake.seen().len() <= 5 + 5 * 9 + 10 + 16 + 3, "{}", fake.seen().len());
    let rows = context.rows("mood");
    assert_eq!(states(&rows)["ok"], 5);
    assert!(rows.iter().all(|row| row["status"] == "ok" || row["detail"].as_str().unwrap().contains("HTTP 502")));
    // The next run goes on where this one ended.
    let before = fake.seen().len();
    healthy.store(true, Ordering::SeqCst);
    context.annotate(&fake, &[]).with(0);
    assert_eq!(fake.seen().len(), before + 295);
    assert_whole(&context.rows("mood"), 10, 30);
}

#[test]
fn a_server_that_comes_back_costs_no_unit() {
    let context = Context::with_sessions(10, 30);
    let away = Duration::from_millis(200)..Duration::from_millis(2_500);
    let fake =
        Fake::plan(move |asked| if away.contains(&asked.at) { Reply::status(503) } else { Reply::Answer }).start();
    context.annotate(&fake, &["--max-retries", "1"]).with(0);
    let rows = context.rows("mood");
    assert_whole(&rows, 10, 30);
    assert_eq!(states(&rows).into_iter().collect::<Vec<_>>(), [("ok".to_owned(), 300)]);
    let refused = fake.seen().iter().filter(|seen| seen.answered != "Answer").count();
    assert!(refused < 120, "it was asked {refused} times while it was away");
}

#[test]
fn a_quota_of_a_day_stops_the_run_and_says_when_it_is_back() {
    let headers = vec![
        ("x-ratelimit-limit-requests", "200".to_owned()),
        ("x-ratelimit-remaining-requests", "0".to_owned()),
        ("x-ratelimit-reset-requests", "5h12m30s".to_owned()),
        ("retry-after", "2".to_owned()),
    ];
    let said = "HTTP 429 rate_limit_exceeded: Slow down.: the limit of 200 requests is used up; the server says that it is \
        back in 5 h 13 min";
    let body = json!({ "error": { "message": "Slow down.", "type": "requests", "code": "rate_limit_exceeded" } });
    stops_and_goes_on(Reply::Status { code: 429, body: Some(body.to_string()), headers }, said);
    let headers = vec![("retry-after", "18000".to_owned())];
    stops_and_goes_on(Reply::Status { code: 429, body: None, headers }, "the server says that it is back in 5 h 0 min");
}

#[test]
fn a_stop_in_a_repeated_run_keeps_the_rows_of_what_is_stored() {
    let context = Context::with_sessions(2, 5);
    let healthy = Arc::new(AtomicBool::new(true));
    let is_healthy = healthy.clone();
    let fake = Fake::plan(
        move |_| {
            if is_healthy.load(Ordering::SeqCst) { Reply::Answer } else { error(403, "", "No longer.") }
        },
    )
    .start();
    context.annotate(&fake, &[]).with(0);
    let before: Vec<Value> = context.rows("mood");
    healthy.store(false, Ordering::SeqCst);
    context.annotate(&fake, &["--refresh"]).with(2);
    // What was asked again in vain is not lost: the old answers are still the ones to use.
    context.annotate(&fake, &[]).with(0);
    assert_eq!(context.rows("mood"), before);
}
