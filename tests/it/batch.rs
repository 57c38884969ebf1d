//! `batch submit`, `status`, `collect`: from the questions to rows at the lane's price, with nothing asked twice.

use crate::context::{Context, Ended, KEY, Running, assert_once, assert_whole, states, typed};
use crate::fake::Provider;
use crate::fake::batches::{Act, Batches, Fate};
use serde_json::{Value, json};
use std::fs;

pub const PROVIDERS: [Provider; 2] = [Provider::OpenAi, Provider::Anthropic];

/// A project whose models have prices.
pub fn project(sessions: usize, prompts: usize) -> Context {
    let context = Context::with_sessions(sessions, prompts);
    let price = |model: &str| format!("[price.\"{model}\"]\ninput = 1.0\noutput = 2.0\nbatch_discount = 0.5\n");
    let config =
        format!("[input]\nsessions = [\"sessions\"]\n{}{}", price("openai/some-model"), price("anthropic/some-model"));
    context.write("config.toml", &config);
    context
}

pub fn model(provider: Provider) -> &'static str {
    if provider == Provider::OpenAi { "openai/some-model" } else { "anthropic/some-model" }
}

/// Begins a command with a model of the server.
pub fn start(context: &Context, server: &Batches, provider: Provider, verb: &[&str], more: &[&str]) -> Running {
    let url = server.base_url(provider);
    context.start(&[verb, &["--model", model(provider), "--base-url", &url], more].concat())
}

pub fn submit(context: &Context, server: &Batches, provider: Provider, more: &[&str]) -> Ended {
    start(context, server, provider, &["batch", "submit"], more).end()
}

pub fn annotate(context: &Context, server: &Batches, provider: Provider, more: &[&str]) -> Ended {
    start(context, server, provider, &["annotate"], more).end()
}

pub fn jobs(context: &Context) -> Vec<Value> {
    let told = context.run(&["batch", "status", "--json"]).with(0).json();
    told["jobs"].as_array().expect("a list of jobs").clone()
}

/// What all rows cost.
fn cost(rows: &[Value]) -> f64 {
    rows.iter().map(|row| row["cost_usd"].as_f64().expect("the cost is known")).sum()
}

#[test]
fn what_is_submitted_and_collected_is_what_annotate_finds_at_half_the_price() {
    for provider in PROVIDERS {
        let context = project(4, 5);
        let server = Batches::start();
        let told = submit(&context, &server, provider, &["--json"]).with(0).json();
        assert_eq!((&told["requests"], &told["settled"], &told["under_way"]), (&json!(20), &json!(0), &json!(0)));
        let (low, high) = (told["cost_usd"]["low"].as_f64().unwrap(), told["cost_usd"]["high"].as_f64().unwrap());
        assert_eq!((server.sizes(), server.complaints()), (vec![20], Vec::new()));
        assert!(
            fs::read_dir(context.path().join(".interrater/batch"))
                .unwrap()
                .all(|file| file.unwrap().file_name() == ".lock")
        );

        let job = jobs(&context).remove(0);
        assert_eq!((&job["state"], &job["requests"], &job["answered"]), (&json!("submitted"), &json!(20), &json!(0)));
        assert_eq!((&job["model"], &job["server"]["total"]), (&json!(model(provider)), &json!(20)));
        assert_eq!(job["runs"].as_array().unwrap().len(), 1);
        // It is in an open job: nothing is left to submit, and nothing to collect.
        let again = submit(&context, &server, provider, &["--json"]).with(0).json();
        assert_eq!((&again["requests"], &again["under_way"]), (&json!(0), &json!(20)));
        let early = context.run(&["batch", "collect"]).with(0);
        assert!(early.stderr.contains("nothing to fetch yet"), "{}", early.stderr);

        server.end(if provider == Provider::OpenAi { "completed" } else { "ended" }, |_| Fate::Answer);
        let told = context.run(&["batch", "collect", "--json"]).with(0).json();
        assert_eq!(told["jobs"][0]["gathered"]["stored"], 20);
        assert_eq!((server.calls("fetch"), server.calls("create"), context.stored().len()), (1, 1, 20));
        let job = jobs(&context).remove(0);
        assert_eq!((&job["state"], &job["answered"], &job["failed"]), (&json!("collected"), &json!(20), &json!(0)));
        // What is done is not fetched again, and nothing is left to submit.
        context.run(&["batch", "collect"]).with(0);
        let again = submit(&context, &server, provider, &["--json"]).with(0).json();
        assert_eq!((&again["requests"], &again["settled"], server.calls("fetch")), (&json!(0), &json!(20), 1));

        annotate(&context, &server, provider, &[]).with(0);
        let rows = context.rows("mood");
        assert_whole(&rows, 4, 5);
        assert_eq!((states(&rows)["ok"], server.direct()), (20, 0));
        assert!(rows.iter().all(|row| row["cached"] == false && row["attempts"] == 1), "this run has paid for them");
        let paid = cost(&rows);
        assert!(0.0 < paid && paid < high && low < high, "{low} {paid} {high}");
        let stats = context.run(&["cache", "stats", "--json"]).with(0).json();
        assert!((stats["cost_usd"].as_f64().unwrap() - paid).abs() < 1e-9, "{stats}");

        // The same answers, asked for one by one, cost twice as much.
        let direct = project(4, 5);
        annotate(&direct, &server, provider, &[]).with(0);
        let rows = direct.rows("mood");
        assert!((cost(&rows) - 2.0 * paid).abs() < 1e-9, "{} {paid}", cost(&rows));
        assert_eq!(server.direct(), 20);
        // The lane goes with the answer.
        context.run(&["cache", "export", "answers.jsonl"]).with(0);
        let merged = Context::empty();
        merged.write("config.toml", &context.read("config.toml"));
        merged.write("answers.jsonl", &context.read("answers.jsonl"));
        merged.run(&["cache", "merge", "answers.jsonl"]).with(0);
        let stats = merged.run(&["cache", "stats", "--json"]).with(0).json();
        assert!((stats["cost_usd"].as_f64().unwrap() - paid).abs() < 1e-9, "{stats}");
    }
}

#[test]
fn only_what_the_store_lacks_is_submitted() {
    let context = project(2, 5);
    let server = Batches::start();
    annotate(&context, &server, Provider::OpenAi, &["--limit", "4"]).with(0);
    let told = submit(&context, &server, Provider::OpenAi, &["--json"]).with(0).json();
    assert_eq!((&told["requests"], &told["settled"]), (&json!(6), &json!(4)));
    // Another sample is another request; the first ones are under way.
    let told = submit(&context, &server, Provider::OpenAi, &["--samples", "2", "--json"]).with(0).json();
    assert_eq!((&told["requests"], &told["under_way"], &told["settled"]), (&json!(10), &json!(6), &json!(4)));
    assert_once(&server.custom_ids());
    server.end("completed", |_| Fate::Answer);
    context.run(&["batch", "collect", "--wait"]).with(0);
    annotate(&context, &server, Provider::OpenAi, &["--samples", "2"]).with(0);
    assert_eq!((states(&context.rows("mood"))["ok"], server.direct()), (20, 4));
}

#[test]
fn jobs_can_be_smaller_than_the_provider_takes_and_each_goes_when_it_is_full() {
    for provider in PROVIDERS {
        let context = project(3, 9);
        let server =
            Batches::plan(|called| if called.what == "create" && called.nth == 2 { Act::Status(400) } else { Act::Do });
        let ended = submit(&context, &server, provider, &["--max-requests", "10"]).with(2);
        assert_eq!(
            (ended.lines("job b").len(), ended.lines("error: the server did not take job b").len()),
            (2, 1),
            "{}",
            ended.stderr
        );
        assert_eq!(server.sizes(), [10, 10]);
        let told = submit(&context, &server, provider, &["--max-bytes", "4500", "--json"]).with(0).json();
        assert_eq!((&told["requests"], &told["under_way"]), (&json!(7), &json!(20)));
        assert!(told["jobs"].as_array().unwrap().len() > 1, "{told}");
        assert_once(&server.custom_ids());
        server.end(if provider == Provider::OpenAi { "completed" } else { "ended" }, |_| Fate::Answer);
        context.run(&["batch", "collect"]).with(0);
        annotate(&context, &server, provider, &[]).with(0);
        assert_eq!((states(&context.rows("mood"))["ok"], server.direct(), server.complaints()), (27, 0, Vec::new()));
    }
}

#[test]
fn collect_waits_until_all_has_ended() {
    let context = project(1, 5);
    let server = Batches::start();
    submit(&context, &server, Provider::Anthropic, &[]).with(0);
    let mut waiting = context.start(&["batch", "collect", "--wait"]);
    waiting.until("a second look", || server.calls("look") >= 2);
    server.end("ended", |_| Fate::Answer);
    let ended = waiting.end().with(0);
    assert_eq!(ended.lines("job b").len(), 2, "{}", ended.stderr);
    assert_eq!(context.stored().len(), 5);
}

#[test]
fn what_came_back_without_an_answer_is_submitted_again_and_nothing_else() {
    for (provider, state) in [(Provider::OpenAi, "expired"), (Provider::Anthropic, "ended")] {
        let context = project(4, 5);
        let server = Batches::start();
        submit(&context, &server, provider, &[]).with(0);
        server.end(state, |at| match at % 5 {
            0 => Fate::Expired,
            1 => Fate::Fault(500, "the server had an error", None),
            2 if provider == Provider::OpenAi => Fate::Silent,
            _ => Fate::Answer,
        });
        let left = if provider == Provider::OpenAi { 12 } else { 8 };
        let told = context.run(&["batch", "collect", "--json"]).with(1).json();
        let gathered = &told["jobs"][0]["gathered"];
        assert_eq!((&gathered["stored"], &gathered["freed"]), (&json!(20 - left), &json!(left)), "{told}");
        assert_eq!(told["jobs"][0]["job"]["state"], "collected");
        let reasons: Vec<&str> =
            told["jobs"][0]["reasons"].as_array().unwrap().iter().map(|why| why["reason"].as_str().unwrap()).collect();
        assert!(
            reasons.len() == 2
                && reasons
                    .iter()
                    .any(|reason| reason.contains("HTTP 500") && reason.contains("the server had an error")),
            "{reasons:?}"
        );
        assert!(reasons.iter().any(|reason| reason.contains("expired")), "{reasons:?}");
        let told = submit(&context, &server, provider, &["--json"]).with(0).json();
        assert_eq!((&told["requests"], &told["settled"]), (&json!(left), &json!(20 - left)));
        assert_eq!(server.sizes(), [20, left]);
        let state = if provider == Provider::OpenAi { "completed" } else { "ended" };
        server.end(state, |_| Fate::Answer);
        context.run(&["batch", "collect", "--wait"]).with(0);
        annotate(&context, &server, provider, &[]).with(0);
        assert_eq!((states(&context.rows("mood"))["ok"], server.direct()), (20, 0));
    }
}

#[test]
fn a_batch_that_the_server_does_not_begin_frees_its_requests_and_says_why() {
    let context = project(1, 5);
    let server = Batches::start();
    submit(&context, &server, Provider::OpenAi, &[]).with(0);
    server.reject("token_limit_exceeded", "Enqueued token limit reached for some-model.");
    let ended = context.run(&["batch", "collect"]).with(1);
    assert!(ended.stderr.contains("token_limit_exceeded: Enqueued token limit reached"), "{}", ended.stderr);
    assert_eq!(jobs(&context)[0]["state"], "refused");
    let told = submit(&context, &server, Provider::OpenAi, &["--json"]).with(0).json();
    assert_eq!(told["requests"], 5);
}

#[test]
fn a_model_that_lacks_something_is_asked_without_it_the_next_time() {
    let context = project(1, 3);
    let server = Batches::start();
    submit(&context, &server, Provider::OpenAi, &["--temperature", "0.5"]).with(0);
    server.end("completed", |_| {
        Fate::Fault(400, "Unsupported value: 'temperature' does not support 0.5", Some("temperature"))
    });
    context.run(&["batch", "collect"]).with(1);
    submit(&context, &server, Provider::OpenAi, &["--temperature", "0.5"]).with(0);
    let facts: i64 = rusqlite::Connection::open(context.path().join(".interrater/store.db"))
        .unwrap()
        .query_row("SELECT count(*) FROM model_fact WHERE feature = 'temperature'", [], |row| row.get(0))
        .unwrap();
    assert_eq!((facts, server.sizes()), (1, vec![3, 3]));
    assert!(!server.last_input().contains("temperature"), "{}", server.last_input());
}

#[test]
fn an_answer_that_cannot_be_used_leads_to_a_second_question() {
    let context = project(1, 4);
    let server = Batches::start();
    submit(&context, &server, Provider::Anthropic, &[]).with(0);
    server.end("ended", |at| if at == 2 { Fate::Text("no idea".to_owned()) } else { Fate::Answer });
    context.run(&["batch", "collect"]).with(0);
    let told = submit(&context, &server, Provider::Anthropic, &["--json"]).with(0).json();
    assert_eq!((&told["requests"], &told["settled"]), (&json!(1), &json!(3)));
    assert!(server.last_prompt().contains("could not be used"));
    server.end("ended", |_| Fate::Answer);
    context.run(&["batch", "collect"]).with(0);
    annotate(&context, &server, Provider::Anthropic, &[]).with(0);
    let rows = context.rows("mood");
    assert_eq!((states(&rows)["ok"], server.direct(), context.stored().len()), (4, 0, 5));
}

#[test]
fn an_answer_that_was_paid_for_twice_is_kept_as_superseded() {
    let context = project(1, 4);
    let server = Batches::start();
    submit(&context, &server, Provider::OpenAi, &[]).with(0);
    let ended = annotate(&context, &server, Provider::OpenAi, &[]).with(0);
    assert_eq!(ended.lines("warning: 4 requests of run mood-").len(), 1, "{}", ended.stderr);
    server.end("completed", |_| Fate::Answer);
    let told = context.run(&["batch", "collect", "--json"]).with(0).json();
    assert_eq!(
        (&told["jobs"][0]["gathered"]["second"], &told["jobs"][0]["gathered"]["stored"]),
        (&json!(4), &json!(0))
    );
    let stats = context.run(&["cache", "stats", "--json"]).with(0).json();
    assert_eq!((&stats["answers"], &stats["superseded"]), (&json!(8), &json!(4)));
}

#[test]
fn nothing_is_handed_over_above_the_limit_and_nothing_by_a_dry_run() {
    let context = project(2, 5);
    let server = Batches::start();
    let ended = submit(&context, &server, Provider::OpenAi, &["--max-cost", "0.0001"]).with(4);
    assert_eq!(ended.lines("error: it may cost $").len(), 1, "{}", ended.stderr);
    let told = submit(&context, &server, Provider::OpenAi, &["--dry-run", "--json"]).with(0).json();
    assert_eq!((&told["forecast"]["tasks"][0]["requests"], &told["under_way"]), (&json!(10), &json!(0)));
    let high = told["forecast"]["tasks"][0]["cost_usd"][2].as_f64().unwrap();
    let text = submit(&context, &server, Provider::OpenAi, &["--dry-run"]).with(0).stdout;
    assert!(text.contains(&typed(1, 1)) && text.contains("mood: 10 requests"), "{text}");
    assert_eq!(server.calls("upload") + server.calls("create"), 0);
    // The estimate is that of what is sent.
    let told = submit(&context, &server, Provider::OpenAi, &["--max-cost", &(high + 0.001).to_string(), "--json"])
        .with(0)
        .json();
    assert!((told["cost_usd"]["high"].as_f64().unwrap() - high).abs() < 1e-12);
    let poor = Context::with_sessions(1, 1);
    let ended = submit(&poor, &server, Provider::OpenAi, &["--max-cost", "1"]).with(2);
    assert_eq!(ended.lines("error: --max-cost needs a price").len(), 1, "{}", ended.stderr);
}

#[test]
fn a_run_of_another_rater_is_told_before_anything_is_paid_for() {
    let context = project(1, 2);
    let server = Batches::start();
    annotate(&context, &server, Provider::Anthropic, &["mood", "--run", "mine"]).with(0);
    let ended = submit(&context, &server, Provider::OpenAi, &["mood", "--run", "mine"]).with(2);
    assert_eq!(ended.lines("error: run `mine` holds the answers of anthropic/").len(), 1, "{}", ended.stderr);
    assert_eq!(server.calls("create"), 0);
}

#[test]
fn who_has_no_lane_is_told_so() {
    let context = project(1, 1);
    let ended =
        context.run(&["batch", "submit", "--model", "gemini/some-model", "--base-url", "http://127.0.0.1:1"]).with(2);
    assert_eq!(ended.lines("error: there is no batch lane for gemini/some-model here").len(), 1, "{}", ended.stderr);
    let ended = context.run(&["batch", "submit"]).with(2);
    assert_eq!(ended.lines("error: baseline/cues asks nobody").len(), 1, "{}", ended.stderr);
    let ended = context
        .run(&["batch", "export", "x.jsonl", "--model", "anthropic/m", "--base-url", "http://127.0.0.1:1"])
        .with(2);
    assert_eq!(ended.lines("error: anthropic/m does not take requests in the form").len(), 1, "{}", ended.stderr);
    let ended = context.run(&["batch", "submit", "--model", "openai/m"]).with(2);
    assert_eq!(ended.lines("error: no API key for openai").len(), 1, "{}", ended.stderr);
    for nothing in ["status", "collect"] {
        let fresh = Context::empty();
        fresh.run(&["batch", nothing]).with(0);
        assert!(!fresh.path().join(".interrater").exists(), "{nothing} makes no store");
    }
}

#[test]
fn a_key_stays_where_it_is_and_a_wrong_one_stops_everything() {
    let server =
        Batches::with_key(
            KEY,
            |called| if called.what == "create" && called.nth == 0 { Act::Wait(429, 0) } else { Act::Do },
        );
    let wrong = project(1, 2).set("OPENAI_API_KEY", "another-key-Zq81LmXw0v");
    let ended = submit(&wrong, &server, Provider::OpenAi, &[]).with(2);
    assert!(ended.stderr.contains("HTTP 401"), "{}", ended.stderr);
    assert!(!ended.stderr.contains("another-key-Zq81LmXw0v"), "{}", ended.stderr);
    assert_eq!(server.calls("upload"), 0);
    assert_eq!(jobs(&wrong)[0]["state"], "refused");

    let context = project(1, 2).set("OPENAI_API_KEY", KEY);
    submit(&context, &server, Provider::OpenAi, &[]).with(0);
    assert_eq!((server.calls("create"), server.sizes()), (2, vec![2]), "a busy server is asked again");
    server.end("completed", |_| Fate::Text(format!("{{\"reason\":\"{KEY}\",\"label\":\"calm\"}}")));
    context.run(&["batch", "collect"]).with(0);
    annotate(&context, &server, Provider::OpenAi, &[]).with(0);
    for (path, content) in context.files(".") {
        assert!(!String::from_utf8_lossy(&content).contains(KEY), "{}", path.display());
    }
}
