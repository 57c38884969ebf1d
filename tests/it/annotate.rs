//! `annotate` where all goes well: files, repeats, options.

use crate::context::{Context, asked_since, assert_once, assert_whole, session_id, states, target};
use crate::fake::{Fake, Provider, Reply};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::time::Duration;

const PRICES: &str = r#"
[input]
sessions = ["sessions"]
[price."openai/some-model"]
input = 2.0
cached_input = 0.5
cache_write = 2.5
output = 8.0
[price."gemini/some-model"]
input = 2.0
cached_input = 0.5
cache_write = 2.5
output = 8.0
[price."anthropic/some-model"]
input = 2.0
cached_input = 0.5
cache_write = 2.5
output = 8.0
"#;

const FORMS: [(&str, Provider); 3] =
    [("openai", Provider::OpenAi), ("anthropic", Provider::Anthropic), ("gemini", Provider::Gemini)];

/// Annotates with `PROVIDER/some-model` of the server.
fn annotate_in(
    context: &Context,
    fake: &Fake,
    (name, provider): (&str, Provider),
    more: &[&str],
) -> crate::context::Ended {
    let (model, url) = (format!("{name}/some-model"), fake.base_url(provider));
    context.run(&[&["annotate", "--model", &model, "--base-url", &url], more].concat())
}

#[test]
fn the_shipped_project_is_annotated_without_key_and_network_and_again_without_a_change() {
    let context = Context::empty();
    context.run(&["init"]).with(0);
    let told = context.run(&["sessions", "gold/sessions", "--json"]).with(0);
    let sessions: Vec<Value> = told.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let prompts: u64 = sessions.iter().map(|session| session["prompts"].as_u64().unwrap()).sum();
    assert!(sessions.len() > 10 && prompts > 50);

    context.run(&["annotate"]).with(0);
    let runs: Vec<String> = std::fs::read_dir(context.path().join("runs"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert_eq!(runs.len(), 7, "{runs:?}");
    for run in &runs {
        let manifest = context.manifest(run);
        let rows = context.rows(run);
        let units = if rows[0]["unit"].as_str().unwrap().contains('#') { prompts } else { sessions.len() as u64 };
        assert_eq!(rows.len() as u64, units, "{run}");
        let distinct: BTreeSet<&str> = rows.iter().map(|row| row["unit"].as_str().unwrap()).collect();
        assert_eq!(distinct.len(), rows.len(), "{run}");
        assert_eq!((&manifest["complete"], &manifest["endpoint"]), (&json!(true), &Value::Null));
        assert_eq!((&manifest["totals"]["units"], &manifest["totals"]["rows"]), (&json!(units), &json!(units)));
        assert!(rows.iter().all(|row| row["cost_usd"] == 0.0 && row["attempts"] == 0));
        let mut names: Vec<String> = std::fs::read_dir(context.run_folder(run))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| name != ".lock")
            .collect();
        names.sort();
        let mut expected = vec!["annotations.csv", "annotations.jsonl", "manifest.json", "summary.json"];
        if cfg!(feature = "parquet") {
            expected.insert(2, "annotations.parquet");
        }
        assert_eq!(names, expected);
        let mut table = csv::Reader::from_path(context.run_folder(run).join("annotations.csv")).unwrap();
        let records: Vec<csv::StringRecord> = table.records().collect::<Result<_, _>>().unwrap();
        assert!(
            records
                .iter()
                .map(|record| record.get(0).unwrap())
                .eq(rows.iter().map(|row| row["unit"].as_str().unwrap()))
        );
    }

    let before = context.files("runs");
    context.run(&["annotate"]).with(0);
    assert!(before == context.files("runs"), "a file of a run has changed");
}

#[test]
fn the_configuration_may_lie_elsewhere() {
    let (context, elsewhere) = (Context::with_sessions(2, 2), Context::empty());
    let config = context.path().join("config.toml").display().to_string();
    elsewhere.run(&["annotate", "--config", &config]).with(0);
    assert_whole(&context.rows("mood"), 2, 2);
    assert!(!elsewhere.path().join("runs").exists());
}

#[test]
fn a_baseline_asks_nobody() {
    let context = Context::with_sessions(1, 3);
    context.session(2, &["I am cross.".to_owned()]);
    context.run(&["annotate"]).with(0);
    let rows = context.rows("mood");
    let labels: Vec<&str> = rows.iter().map(|row| row["fields"]["label"].as_str().unwrap()).collect();
    assert_eq!(labels, ["calm", "calm", "calm", "cross"]);
    assert!(rows[0]["rater"].as_str().unwrap().starts_with("baseline/cues@mood-"));
    assert!(context.stored().is_empty());
}

#[test]
fn every_form_is_asked_once_and_booked() {
    for form in FORMS {
        let context = Context::with_sessions(3, 4);
        context.write("config.toml", PRICES);
        let fake = Fake::start();
        annotate_in(&context, &fake, form, &[]).with(0);
        assert_eq!(fake.complaints(), Vec::<String>::new());
        let rows = context.rows("mood");
        assert_whole(&rows, 3, 4);
        for row in &rows {
            assert_eq!((&row["status"], &row["detail"], &row["cached"]), (&json!("ok"), &Value::Null, &json!(false)));
            assert_eq!(row["attempts"], 1);
            let tokens = |name: &str| row["usage"][name].as_f64().unwrap();
            assert!(tokens("input") > 0.0 && tokens("cached_input") > 0.0 && tokens("output") > tokens("reasoning"));
            let cost = (2.0 * tokens("input")
                + 0.5 * tokens("cached_input")
                + 2.5 * tokens("cache_write")
                + 8.0 * tokens("output"))
                / 1e6;
            assert!((row["cost_usd"].as_f64().unwrap() - cost).abs() < 1e-12, "{row}");
        }
        let manifest = context.manifest("mood");
        assert_eq!((&manifest["complete"], &manifest["totals"]["attempts"]), (&json!(true), &json!(12)));
        let total: f64 = rows.iter().map(|row| row["cost_usd"].as_f64().unwrap()).sum();
        assert!((manifest["totals"]["cost_usd"].as_f64().unwrap() - total).abs() < 1e-12);
        assert_eq!(fake.seen().len(), 12);

        let before = context.files("runs");
        annotate_in(&context, &fake, form, &[]).with(0);
        assert!(before == context.files("runs"), "{form:?}: a file of the run has changed");

        let written = std::fs::read(context.run_folder("mood").join("annotations.jsonl")).unwrap();
        std::fs::remove_dir_all(context.path().join("runs")).unwrap();
        annotate_in(&context, &fake, form, &[]).with(0);
        assert!(written == std::fs::read(context.run_folder("mood").join("annotations.jsonl")).unwrap(), "{form:?}");

        annotate_in(&context, &fake, form, &["--run", "other"]).with(0);
        let other = context.rows("other");
        assert!(other.iter().all(|row| row["cached"] == true) && other.len() == 12);
        assert_eq!(other[5]["fields"], rows[5]["fields"]);
        assert_eq!(context.manifest("other")["totals"]["cached"], 12);
        assert_eq!(fake.seen().len(), 12, "{form:?}: a stored answer was asked for again");
    }
}

#[test]
fn what_costs_an_unknown_price_is_null_and_not_zero() {
    let context = Context::with_sessions(1, 2);
    context.annotate(&Fake::start(), &[]).with(0);
    assert!(context.rows("mood").iter().all(|row| row["cost_usd"].is_null() && row["usage"]["input"] != 0));
    let totals = &context.manifest("mood")["totals"];
    assert_eq!((&totals["cost_usd"], &totals["cost_unknown"]), (&Value::Null, &json!(2)));
}

#[test]
fn tokens_that_nobody_told_are_null() {
    let context = Context::with_sessions(1, 2);
    context.write("config.toml", PRICES);
    context.annotate(&Fake::plan(|_| Reply::NoUsage).start(), &[]).with(0);
    assert!(context.rows("mood").iter().all(|row| row["usage"].is_null() && row["cost_usd"].is_null()));
}

#[test]
fn new_sessions_are_added_to_the_run_that_is_there() {
    let context = Context::with_sessions(2, 2);
    let fake = Fake::start();
    context.annotate(&fake, &[]).with(0);
    context.session(3, &["request 3-1.".to_owned(), "request 3-2.".to_owned()]);
    context.annotate(&fake, &[]).with(0);
    assert_whole(&context.rows("mood"), 3, 2);
    let after = fake.seen()[4..].iter().map(|seen| target(&seen.asked).0).collect::<Vec<_>>();
    assert_eq!(after, [3, 3]);
}

#[test]
fn a_limit_takes_the_first_units_or_draws_them_by_a_seed() {
    let context = Context::with_sessions(5, 4);
    let fake = Fake::start();
    let units = |name: &str, more: &[&str]| -> Vec<String> {
        context.annotate(&fake, &[&["--run", name, "--limit", "6"], more].concat()).with(0);
        context.rows(name).iter().map(|row| row["unit"].as_str().unwrap().to_owned()).collect()
    };
    let first = units("first", &[]);
    let all: Vec<String> =
        (1..=2).flat_map(|s| (1..=4).map(move |p| format!("claude_code:{}#{p}", session_id(s)))).take(6).collect();
    assert_eq!(first, all);
    let (one, again, two) =
        (units("one", &["--shuffle", "1"]), units("again", &["--shuffle", "1"]), units("two", &["--shuffle", "2"]));
    assert_eq!(one, again);
    assert!(one != two && one != first && one.len() == 6);
    assert!(one.is_sorted(), "rows are in unit order");
    assert_once(&asked_since(&fake, 0));
    assert_eq!(context.manifest("one")["totals"]["units"], 6);
}

#[test]
fn samples_are_answers_of_their_own() {
    let context = Context::with_sessions(2, 3);
    let fake = Fake::start();
    context.annotate(&fake, &["--samples", "3"]).with(0);
    let rows = context.rows("mood");
    assert_eq!(rows.len(), 18);
    let samples: Vec<u64> = rows.iter().map(|row| row["sample"].as_u64().unwrap()).collect();
    assert_eq!(samples[..6], [0, 1, 2, 0, 1, 2]);
    assert_eq!(fake.counts().into_values().collect::<Vec<_>>(), [3; 6]);
    assert_eq!(context.manifest("mood")["totals"]["units"], 18);
    context.annotate(&fake, &["--samples", "3"]).with(0);
    assert_eq!(fake.seen().len(), 18);
}

#[test]
fn refresh_asks_again_and_keeps_the_old_answers() {
    let context = Context::with_sessions(2, 3);
    let fake = Fake::plan(|_| Reply::Answer)
        .answer(|asked, _| json!({ "reason": format!("answer {}", asked.nth), "label": "calm" }))
        .start();
    context.annotate(&fake, &[]).with(0);
    context.annotate(&fake, &["--refresh"]).with(0);
    assert_eq!(fake.counts().into_values().collect::<Vec<_>>(), [2; 6]);
    assert!(context.rows("mood").iter().all(|row| row["fields"]["reason"] == "answer 1"));
    let stored = context.stored();
    assert_eq!(stored.len(), 12);
    assert_eq!(stored.iter().filter(|(_, body)| body.contains("answer 0")).count(), 6);
    context.annotate(&fake, &[]).with(0);
    assert_eq!(fake.seen().len(), 12, "the new answers are the ones to use");
    assert!(context.rows("mood").iter().all(|row| row["fields"]["reason"] == "answer 1"));
}

#[test]
fn no_more_requests_are_under_way_than_allowed() {
    for concurrency in [1, 5] {
        let context = Context::with_sessions(4, 10);
        let fake = Fake::plan(|_| Reply::Answer).delay(Duration::from_millis(20)).start();
        context.annotate(&fake, &["--concurrency", &concurrency.to_string()]).with(0);
        assert_eq!(fake.peak(), concurrency);
    }
}

#[test]
fn requests_a_minute_are_kept() {
    let context = Context::with_sessions(1, 10);
    let fake = Fake::start();
    // A tenth of a minute's share may go at once: 6 requests, then one each second.
    context.annotate(&fake, &["--rpm", "60", "--limit", "8"]).with(0);
    let times: Vec<Duration> = fake.seen().iter().map(|seen| seen.asked.at).collect();
    let took = times[7] - times[0];
    assert!(took >= Duration::from_millis(1900), "{took:?}");
}

#[test]
fn a_threshold_that_is_missed_has_an_exit_code_of_its_own() {
    let context = Context::with_sessions(4, 5);
    let gold: String = (1..=4)
        .flat_map(|session| (1..=5).map(move |prompt| (session, prompt)))
        .map(|(session, prompt)| {
            let label = if prompt % 2 == 0 { "calm" } else { "cross" };
            format!("claude_code:{}#{prompt},gold,{label}\n", session_id(session))
        })
        .collect();
    context.write("gold/mood.csv", &format!("unit,rater,label\n{gold}"));
    let right = |asked: &crate::fake::Asked, _: &Value| {
        let label = if target(asked).1.is_multiple_of(2) { "calm" } else { "cross" };
        json!({ "reason": "", "label": label })
    };
    let good = Fake::plan(|_| Reply::Answer).answer(right).start();
    context.annotate(&good, &["--fail-under", "kappa=0.9"]).with(0);
    let bad = Fake::plan(|_| Reply::Answer).answer(|_, _| json!({ "reason": "", "label": "calm" })).start();
    context.annotate(&bad, &["--fail-under", "kappa=0.9"]).with(3);
    context.annotate(&bad, &["--fail-under", "percent=0.3"]).with(0);
    context.annotate(&bad, &["--fail-under", "loudness=0.3"]).with(2);
}

#[test]
fn json_is_one_document_and_quiet_is_quiet() {
    let context = Context::with_sessions(2, 2);
    let fake = Fake::start();
    let told = context.annotate(&fake, &["--json"]).with(0).json();
    assert_eq!(told["tasks"][0]["totals"]["rows"], 4);
    assert_eq!((&told["stopped"], &told["interrupted"]), (&Value::Null, &json!(false)));
    let quiet = context.annotate(&fake, &["--quiet", "--run", "other"]).with(0);
    assert_eq!(quiet.stderr, "");
    let both = context.annotate(&fake, &["--quiet", "--json"]).with(0);
    assert_eq!(both.stderr, "");
    both.json();
}

#[test]
fn a_dry_run_asks_nothing_and_writes_nothing() {
    let context = Context::with_sessions(2, 3);
    context.write("config.toml", PRICES);
    let fake = Fake::start();
    let told = context.annotate(&fake, &["--dry-run", "--json"]).with(0).json();
    assert_eq!((&told["tasks"][0]["requests"], &told["asks"]), (&json!(6), &json!(true)));
    assert!(told["prompt"].as_str().unwrap().contains("request 1-1."));
    let cost = told["tasks"][0]["cost_usd"].as_array().unwrap();
    assert!(0.0 < cost[0].as_f64().unwrap() && cost[0].as_f64().unwrap() < cost[1].as_f64().unwrap());
    assert!(fake.seen().is_empty() && !context.path().join("runs").exists() && context.stored().is_empty());
}

#[test]
fn a_session_without_a_prompt_is_skipped_and_no_trouble() {
    let context = Context::with_sessions(1, 1);
    let codebook = context.read("prompts/mood.md").replace("unit = \"prompt\"", "unit = \"session\"");
    context.write("prompts/mood.md", &codebook.replace(" of event {{ target.event }}", ""));
    context.session(2, &[]);
    let reply = json!({
        "parentUuid": null, "isSidechain": false, "userType": "external", "cwd": "/", "sessionId": session_id(2), "version": "2.1.18",
        "type": "assistant", "uuid": "a", "timestamp": "2026-03-01T10:00:00.000Z",
        "message": { "id": "m", "type": "message", "role": "assistant", "model": "claude-sonnet-5",
            "content": [{ "type": "text", "text": "Hello." }], "usage": { "input_tokens": 1, "output_tokens": 1 } },
    });
    context.write(&format!("sessions/{}.jsonl", session_id(2)), &format!("{reply}\n"));
    let fake = Fake::start();
    context.annotate(&fake, &[]).with(0);
    let rows = context.rows("mood");
    assert_eq!(states(&rows).into_iter().collect::<Vec<_>>(), [("ok".to_owned(), 1), ("skipped".to_owned(), 1)]);
    assert_eq!(rows[1]["detail"], "nobody typed a prompt in this session");
    assert_eq!(fake.seen().len(), 1);
}
