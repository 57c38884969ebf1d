//! `cache`: statistics, explanations, deleting, exporting, merging.

use crate::context::{Context, Ended, asked_since, session_id, target};
use crate::fake::{Fake, Provider, Reply};
use rusqlite::Connection;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fs;

const CONFIG: &str = r#"
[input]
sessions = ["sessions"]
[price."openai/some-model"]
input = 2.0
cached_input = 0.5
cache_write = 2.5
output = 8.0
"#;

fn unit(session: usize, prompt: usize) -> String {
    format!("claude_code:{}#{prompt}", session_id(session))
}

/// What `cache why` says of the first prompt of the first session, asked for with the server's address.
fn why(context: &Context, fake: &Fake, more: &[&str]) -> Value {
    let (unit, url) = (unit(1, 1), fake.base_url(Provider::OpenAi));
    let usual = ["cache", "why", &unit, "--model", "openai/some-model", "--base-url", &url, "--json"];
    // A later flag of the test stands for the usual one.
    let taken = |flag: &str| more.contains(&flag);
    let mut arguments: Vec<&str> = usual[..3].to_vec();
    for pair in usual[3..7].chunks(2).filter(|pair| !taken(pair[0])) {
        arguments.extend(pair);
    }
    let told = context.run(&[&arguments, more, &usual[7..]].concat()).with(0).json();
    told["requests"].clone()
}

fn parts(told: &Value) -> Vec<String> {
    let nearest = told["nearest"].as_array().unwrap();
    assert_eq!(told["found"], Value::Null, "{told}");
    nearest[0]["differs"].as_array().unwrap().iter().map(|one| one["part"].as_str().unwrap().to_owned()).collect()
}

fn cache(context: &Context, arguments: &[&str]) -> Ended {
    context.run(&[&["cache"], arguments].concat())
}

fn database(context: &Context) -> Connection {
    Connection::open(context.path().join(".interrater/store.db")).unwrap()
}

#[test]
fn statistics_are_those_of_the_rows() {
    let context = Context::with_sessions(3, 4);
    context.write("config.toml", CONFIG);
    let fake = Fake::start();
    context.annotate(&fake, &["mood", "--run", "first"]).with(0);
    context.annotate(&fake, &["mood", "--run", "second"]).with(0);
    context.annotate(&fake, &["mood", "--run", "second", "--limit", "5", "--refresh"]).with(0);
    let stats = cache(&context, &["stats", "--json"]).with(0).json();
    assert_eq!((&stats["answers"], &stats["superseded"], &stats["exists"]), (&json!(17), &json!(5), &json!(true)));
    assert_eq!((&stats["format"], &stats["usage_unknown"], &stats["cost_unknown"]), (&json!(4), &json!(0), &json!(0)));
    let stored = context.stored();
    assert_eq!(stats["body_bytes"], stored.iter().map(|(_, body)| body.len()).sum::<usize>());
    // The first run's rows are those of the answers that it paid for.
    let first = &stats["by"]["run"]["first"];
    assert_eq!((&first["answers"], &first["superseded"]), (&json!(12), &json!(5)));
    let totals = &context.manifest("first")["totals"];
    for kind in ["input", "cached_input", "cache_write", "output", "reasoning"] {
        assert_eq!(first["usage"][kind], totals["usage"][kind], "{kind}");
    }
    let close = |a: &Value, b: f64| (a.as_f64().unwrap() - b).abs() < 1e-9;
    assert!(close(&first["cost_usd"], totals["cost_usd"].as_f64().unwrap()));
    let runs = ["first", "second"].map(|run| stats["by"]["run"][run]["cost_usd"].as_f64().unwrap());
    assert!(close(&stats["cost_usd"], runs.iter().sum()));
    for (kind, name) in [("provider", "openai"), ("model", "openai/some-model"), ("task", "mood")] {
        assert_eq!(stats["by"][kind][name]["answers"], 17, "{kind}");
    }
    // The second run asked for its five units itself: it saved nothing in the end.
    assert_eq!((&stats["saved"]["runs"], &stats["saved"]["rows"]), (&json!(2), &json!(0)));
    context.annotate(&fake, &["mood", "--run", "third"]).with(0);
    let saved = cache(&context, &["stats", "--json"]).with(0).json()["saved"].clone();
    let third = &context.manifest("third")["totals"];
    assert_eq!((&saved["rows"], &saved["cost_unknown"]), (&json!(12), &json!(0)));
    assert!(close(&saved["cost_usd"], third["cost_usd"].as_f64().unwrap()));
    assert_eq!(saved["usage"]["output"], third["usage"]["output"]);

    let text = cache(&context, &["stats"]).with(0).stdout;
    assert!(text.contains("17, 5 of them superseded"), "{text}");
    assert!(text.lines().any(|line| line.starts_with("openai/some-model")), "{text}");
}

#[test]
fn what_is_not_known_of_costs_is_null() {
    let context = Context::with_sessions(1, 3);
    context.annotate(&Fake::start(), &[]).with(0);
    let stats = cache(&context, &["stats", "--json"]).with(0).json();
    assert_eq!((&stats["cost_usd"], &stats["cost_unknown"]), (&Value::Null, &json!(3)));
    // A price that is entered later holds for what was paid before.
    context.write("config.toml", CONFIG);
    let stats = cache(&context, &["stats", "--json"]).with(0).json();
    assert!(stats["cost_usd"].as_f64().unwrap() > 0.0 && stats["cost_unknown"] == 0);
}

#[test]
fn a_project_without_a_store_has_nothing_to_tell_and_gets_none() {
    let context = Context::with_sessions(1, 1);
    let stats = cache(&context, &["stats", "--json"]).with(0).json();
    assert_eq!((&stats["exists"], &stats["answers"], &stats["cost_usd"]), (&json!(false), &json!(0), &Value::Null));
    cache(&context, &["stats"]).with(0);
    cache(&context, &["prune", "--superseded", "--yes"]).with(0);
    let ended = cache(&context, &["export", "answers.jsonl"]).with(2);
    assert!(ended.lines("error: there is no store of answers at .interrater/store.db").len() == 1, "{}", ended.stderr);
    assert_eq!(why(&context, &Fake::start(), &[])[0]["of_task"], 0);
    assert!(!context.path().join(".interrater").exists() && !context.path().join("answers.jsonl").exists());
}

#[test]
fn why_finds_what_annotate_has_paid_for_under_every_setting() {
    let context = Context::with_sessions(2, 2);
    let fake = Fake::start();
    let settings: [&[&str]; 5] =
        [&[], &["--temperature", "0.5"], &["--max-output-tokens", "500"], &["--samples", "3"], &["--redact"]];
    for (nth, setting) in settings.iter().enumerate() {
        // A mail address, so that redaction makes a difference.
        context.session(1, &["request 1-1. ask ada@bletchley.uk".to_owned(), "request 1-2.".to_owned()]);
        let told = why(&context, &fake, setting);
        let new = told.as_array().unwrap().iter().filter(|one| one["found"].is_null()).count();
        assert!(new >= 1 && told.as_array().unwrap().len() == if *setting == ["--samples", "3"] { 3 } else { 1 });
        let run = format!("run-{nth}");
        context.annotate(&fake, &[&["mood", "--run", &run], *setting].concat()).with(0);
        for one in why(&context, &fake, setting).as_array().unwrap() {
            assert!(one["found"]["run"].as_str().unwrap().starts_with("run-"), "{one}");
            assert!(one["found"]["usage"]["output"].as_u64().unwrap() > 0);
        }
        let asked = fake.seen().len();
        context.annotate(&fake, &[&["mood", "--run", &run], *setting].concat()).with(0);
        assert_eq!(fake.seen().len(), asked);
    }
    let text = context
        .run(&[
            "cache",
            "why",
            &unit(1, 1),
            "--model",
            "openai/some-model",
            "--base-url",
            &fake.base_url(Provider::OpenAi),
        ])
        .with(0)
        .stdout;
    assert!(text.contains(": found. Run run-0 paid for it at ") && text.contains("`annotate` asks nobody."), "{text}");
}

#[test]
fn why_names_each_part_that_differs_and_what_finds_the_answer() {
    let context = Context::with_sessions(2, 2);
    context.session(1, &["request 1-1. ask ada@bletchley.uk".to_owned(), "request 1-2.".to_owned()]);
    let fake = Fake::start();
    context.annotate(&fake, &["--temperature", "0.5", "--samples", "2"]).with(0);
    let of = |more: &[&str]| why(&context, &fake, more)[0].clone();
    let same = ["--temperature", "0.5"];
    let told = of(&[]);
    assert_eq!(parts(&told), ["temperature"]);
    let change = &told["nearest"][0]["differs"][0];
    assert_eq!((&change["stored"], &change["now"]), (&json!("0.5"), &json!("none")));
    assert_eq!(change["hint"], "--temperature 0.5 finds it");
    assert_eq!((&told["of_unit"], &told["of_task"]), (&json!(2), &json!(8)));
    assert_eq!(parts(&of(&[&same[..], &["--model", "openai/other"]].concat())), ["model"]);
    let told = of(&[&same[..], &["--base-url", "http://127.0.0.1:9/v1"]].concat());
    assert_eq!(parts(&told), ["endpoint"]);
    let hint = told["nearest"][0]["differs"][0]["hint"].as_str().unwrap();
    assert!(hint.starts_with(&format!("--base-url {} finds it", fake.base_url(Provider::OpenAi))), "{hint}");
    assert_eq!(parts(&of(&[&same[..], &["--max-output-tokens", "9"]].concat())), ["max_output_tokens"]);
    assert_eq!(parts(&of(&["--model", "openai/other", "--max-output-tokens", "9"])).len(), 3);
    let samples = why(&context, &fake, &["--temperature", "0.5", "--samples", "3"]);
    assert_eq!(parts(&samples[2]), ["sample"]);
    let told = of(&[&same[..], &["--redact"]].concat());
    assert_eq!(parts(&told), ["redaction"]);
    assert!(told["nearest"][0]["differs"][0]["hint"].as_str().unwrap().starts_with("--no-redact finds it"));

    // The codebook's words, its labels, the transcript.
    let codebook = context.read("prompts/mood.md");
    context.write("prompts/mood.md", &codebook.replace("What is the mood", "Which mood is it"));
    let told = of(&same);
    assert_eq!(parts(&told), ["words"]);
    let change = &told["nearest"][0]["differs"][0];
    assert!(change["hint"].as_str().unwrap().contains("the codebook was edited"), "{change}");
    assert_ne!(change["stored"], change["now"]);
    context.write("prompts/mood.md", &codebook.replace("name = \"cross\"", "name = \"angry\""));
    assert_eq!(parts(&of(&same)), ["schema"]);
    context.write("prompts/mood.md", &codebook);
    context.session(1, &["request 1-1. ask nobody".to_owned()]);
    assert_eq!(parts(&of(&same)), ["material"]);
    let url = fake.base_url(Provider::OpenAi);
    let text = context.run(&["cache", "why", &unit(1, 1), "--model", "openai/x", "--base-url", &url]).with(0).stdout;
    for line in
        ["    model: openai/some-model then, openai/x now", "    temperature: 0.5 then, none now", "    material"]
    {
        assert!(text.lines().any(|shown| shown == line), "{line} in\n{text}");
    }
}

#[test]
fn why_says_what_else_there_is_where_nothing_comes_near() {
    let context = Context::with_sessions(2, 2);
    let fake = Fake::start();
    context.annotate(&fake, &["--limit", "2", "--shuffle", "3"]).with(0);
    context.session(3, &["request 3-1.".to_owned()]);
    let url = fake.base_url(Provider::OpenAi);
    let ask = |unit: &str| context.run(&["cache", "why", unit, "--model", "openai/some-model", "--base-url", &url]);
    let text = ask(&unit(3, 1)).with(0).stdout;
    assert!(text.contains("2 answers are stored for this task, none of them to this unit."), "{text}");
    let ended = ask(&unit(3, 2)).with(2);
    assert!(ended.lines("hint: its units are prompts: ").len() == 1, "{}", ended.stderr);
    let ended = ask("claude_code:nobody#1").with(2);
    assert!(ended.lines("hint: there is no session `claude_code:nobody`").len() == 1, "{}", ended.stderr);
    let text = context.run(&["cache", "why", &unit(1, 1), "--task", "mood"]).with(0).stdout;
    assert!(text.contains("a baseline asks nobody"), "{text}");
}

#[test]
fn why_tells_what_a_store_of_format_1_knows_and_leaves_it_alone() {
    let context = Context::with_sessions(2, 3);
    fs::create_dir(context.path().join(".interrater")).unwrap();
    let path = context.path().join(".interrater/store.db");
    fs::copy(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/stores/version-1.db"), &path).unwrap();
    let before = fs::read(&path).unwrap();
    let told = why(&context, &Fake::start(), &[])[0].clone();
    assert_eq!((&told["of_task"], &told["without_unit"], &told["of_unit"]), (&json!(20), &json!(20), &json!(0)));
    let stats = cache(&context, &["stats", "--json"]).with(0).json();
    assert_eq!((&stats["format"], &stats["answers"], &stats["superseded"]), (&json!(1), &json!(20), &json!(2)));
    assert_eq!((&stats["evaluations"], &stats["model_facts"]), (&json!(3), &json!(1)));
    cache(&context, &["export", "answers.jsonl"]).with(0);
    assert!(before == fs::read(&path).unwrap(), "reading has changed the store");
}

#[test]
fn nothing_is_deleted_without_a_yes_and_nothing_that_a_run_refers_to() {
    let context = Context::with_sessions(2, 3);
    let fake = Fake::start();
    context.annotate(&fake, &["mood", "--run", "kept"]).with(0);
    context.annotate(&fake, &["mood", "--run", "kept", "--limit", "2", "--refresh"]).with(0);
    context.annotate(&fake, &["mood", "--run", "gone", "--temperature", "1"]).with(0);
    context.annotate(&fake, &["mood", "--run", "kept"]).with(0);
    fs::remove_dir_all(context.path().join("runs/gone")).unwrap();
    let stored = context.stored();
    assert_eq!(stored.len(), 14);

    let told = cache(&context, &["prune", "--task", "mood", "--dry-run", "--json"]).with(0).json();
    assert_eq!((&told["answers"], &told["superseded"], &told["deleted"]), (&json!(8), &json!(2), &json!(false)));
    assert_eq!((&told["kept"]["answers"], &told["run"]["gone"]["answers"]), (&json!(6), &json!(6)));
    let refused = cache(&context, &["prune", "--task", "mood"]).with(2);
    assert!(refused.stdout.starts_with("would delete 8 answers, "), "{}", refused.stdout);
    assert_eq!(refused.lines("error: nothing was deleted").len(), 1);
    assert_eq!(refused.lines("kept: 6 answers that existing runs refer to").len(), 1, "{}", refused.stderr);
    assert!(context.stored() == stored);
    cache(&context, &["prune"]).with(2);
    cache(&context, &["prune", "--older-than", "1d", "--dry-run"]).with(0);
    assert_eq!(
        cache(&context, &["prune", "--older-than", "soon", "--yes"]).with(2).lines("error: `soon` is no age").len(),
        1
    );
    assert!(context.stored() == stored);

    let told = cache(&context, &["prune", "--superseded", "--yes", "--json"]).with(0).json();
    assert_eq!((&told["answers"], &told["deleted"]), (&json!(2), &json!(true)));
    assert!(context.stored().iter().all(|(key, _)| key.len() == 64));
    cache(&context, &["prune", "--task", "mood", "--yes"]).with(0);
    assert_eq!(context.stored().len(), 6);
    // The run that was kept is repeated for nothing; the other one pays again.
    let asked = fake.seen().len();
    context.annotate(&fake, &["mood", "--run", "kept"]).with(0);
    assert_eq!(fake.seen().len(), asked);
    context.annotate(&fake, &["mood", "--run", "gone", "--temperature", "1"]).with(0);
    assert_eq!(fake.seen().len(), asked + 6);

    cache(&context, &["prune", "--run", "kept", "--yes"]).with(0);
    assert_eq!(context.stored().len(), 12);
    cache(&context, &["prune", "--run", "kept", "--model", "openai/some-model", "--yes", "--force"]).with(0);
    assert_eq!(context.stored().len(), 6);
    assert_eq!(
        cache(&context, &["prune", "--run", "kept", "--yes"]).with(0).lines("there is nothing to delete").len(),
        1
    );
}

#[test]
fn what_another_run_paid_for_is_kept_for_the_run_that_uses_it() {
    let context = Context::with_sessions(1, 3);
    let fake = Fake::start();
    context.annotate(&fake, &["mood", "--run", "payer"]).with(0);
    context.annotate(&fake, &["mood", "--run", "user", "--limit", "2"]).with(0);
    fs::remove_dir_all(context.path().join("runs/payer")).unwrap();
    cache(&context, &["prune", "--run", "payer", "--yes"]).with(0);
    assert_eq!(context.stored().len(), 2);
    let asked = fake.seen().len();
    context.annotate(&fake, &["mood", "--run", "user", "--limit", "2"]).with(0);
    assert_eq!(fake.seen().len(), asked);
}

#[test]
fn deleted_answers_leave_the_file() {
    let context = Context::with_sessions(5, 20);
    let fake = Fake::plan(|_| Reply::Answer)
        .answer(|_, _| json!({ "reason": "a-word-that-stands-out ".repeat(100), "label": "calm" }))
        .start();
    context.annotate(&fake, &["mood", "--run", "a"]).with(0);
    let path = context.path().join(".interrater/store.db");
    let before = fs::metadata(&path).unwrap().len();
    cache(&context, &["prune", "--run", "a", "--yes", "--force"]).with(0);
    let bytes = fs::read(&path).unwrap();
    assert!((bytes.len() as u64) < before / 4, "{before} and then {}", bytes.len());
    assert!(memchr::memmem::find(&bytes, b"a-word-that-stands-out").is_none());
}

#[test]
fn an_export_is_a_line_an_answer_and_always_the_same() {
    let context = Context::with_sessions(2, 3);
    let fake = Fake::start();
    context.annotate(&fake, &["--temperature", "0.5"]).with(0);
    context.annotate(&fake, &["--temperature", "0.5", "--refresh", "--limit", "1", "mood", "--run", "again"]).with(0);
    cache(&context, &["export", "a.jsonl"]).with(0);
    cache(&context, &["export", "b.jsonl"]).with(0);
    assert_eq!(context.read("a.jsonl"), context.read("b.jsonl"));
    let lines: Vec<Value> = context.read("a.jsonl").lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let stored = context.stored();
    assert_eq!(lines.len(), 7);
    assert_eq!(lines.iter().filter(|line| line["superseded"] == true).count(), 1);
    for line in &lines {
        assert!(
            stored
                .iter()
                .any(|(key, body)| key.starts_with(line["key"].as_str().unwrap()) && line["body"] == body.as_str())
        );
        assert_eq!(
            (&line["format"], &line["task"], &line["settings"]["temperature"]),
            (&json!(1), &json!("mood"), &json!(0.5))
        );
        assert!(
            line["unit"].as_str().unwrap().starts_with("claude_code:") && line["codebook"].as_str().unwrap().len() == 8
        );
    }
    let times: Vec<jiff::Timestamp> =
        lines.iter().map(|line| line["created_at"].as_str().unwrap().parse().unwrap()).collect();
    assert!(times.is_sorted());
    // A store that was merged from the file gives the file again, whatever the order of its rows.
    let other = Context::with_sessions(1, 1);
    let reversed: String = context.read("a.jsonl").lines().rev().map(|line| format!("{line}\n")).collect();
    other.write("reversed.jsonl", &reversed);
    cache(&other, &["merge", "reversed.jsonl"]).with(0);
    cache(&other, &["export", "a.jsonl"]).with(0);
    assert_eq!(other.read("a.jsonl"), context.read("a.jsonl"));

    cache(&context, &["export", "some.jsonl", "--where", "superseded or unit = 'none'"]).with(0);
    assert_eq!(context.read("some.jsonl").lines().count(), 1);
    let told =
        cache(&context, &["export", "some.jsonl", "--where", "settings.sample = 0 and usage.output > 0", "--json"]);
    assert_eq!(told.with(0).json()["answers"], 7);
    let ended = cache(&context, &["export", "none.jsonl", "--where", "tusk = 'mood'"]).with(2);
    assert!(ended.lines("error: `tusk = 'mood'` is no filter").len() == 1, "{}", ended.stderr);
    assert!(ended.lines("hint: for example --where 'task = \"pushback\" and not superseded'").len() == 1);
    assert!(!context.path().join("none.jsonl").exists() && !context.path().join("none.jsonl.new").exists());
}

#[test]
fn an_export_replaces_nothing_but_an_export() {
    let context = Context::with_sessions(1, 2);
    context.annotate(&Fake::start(), &[]).with(0);
    let before = context.files(".interrater");
    for occupied in [".interrater/store.db", "config.toml", "sessions"] {
        let ended = cache(&context, &["export", occupied]).with(2);
        assert!(ended.lines("error: ").iter().any(|line| line.contains("is no export of answers")), "{}", ended.stderr);
    }
    assert!(before == context.files(".interrater"));
    cache(&context, &["export", "a.jsonl"]).with(0);
    cache(&context, &["export", "a.jsonl"]).with(0);
    assert_eq!(context.read("a.jsonl").lines().count(), 2);
}

/// Two projects over the same sessions, each with its own answers of a server that never says the same twice.
fn two_projects() -> (Context, Context, Fake) {
    let fake = Fake::plan(|_| Reply::Answer)
        .refuses("temperature")
        .answer(|asked, _| json!({ "reason": format!("{:?} {}", target(asked), asked.nth), "label": "calm" }))
        .start();
    let (one, two) = (Context::with_sessions(2, 3), Context::with_sessions(3, 3));
    let gold = format!("unit,rater,label\n{},gold,calm\n{},gold,cross\n", unit(1, 1), unit(1, 2));
    for context in [&one, &two] {
        context.write("gold/mood.csv", &gold);
        context.annotate(&fake, &["--temperature", "0.5"]).with(0);
    }
    (one, two, fake)
}

fn counts(told: &Value) -> Vec<u64> {
    let merged = &told["files"][0]["merged"];
    ["added", "known", "conflicting", "damaged", "evaluations", "facts"]
        .map(|name| merged[name].as_u64().unwrap())
        .into()
}

#[test]
fn merging_loses_nothing_keeps_what_is_in_use_and_may_be_repeated() {
    let (one, two, fake) = two_projects();
    let other = two.path().join(".interrater/store.db").display().to_string();
    let ours: BTreeSet<(String, String)> = one.stored().into_iter().collect();
    let told = cache(&one, &["merge", &other, "--json"]).with(0).json();
    // Both were first refused the temperature at another time; the later one is the second's.
    assert_eq!(counts(&told), [3, 0, 6, 0, 1, 1]);
    let merged: BTreeSet<(String, String)> = one.stored().into_iter().collect();
    assert!(merged.is_superset(&ours) && merged.len() == 15);
    let bodies: BTreeSet<String> = merged.into_iter().map(|(_, body)| body).collect();
    assert!(two.stored().iter().all(|(_, body)| bodies.contains(body)));
    let again = cache(&one, &["merge", &other, "--json"]).with(0).json();
    assert_eq!(counts(&again), [0, 9, 0, 0, 0, 0]);
    assert_eq!(one.stored().len(), 15);
    let text = cache(&one, &["merge", &other]).with(0).stderr;
    assert!(text.ends_with(": 0 added, 9 known\n"), "{text}");

    // What the first project used it still uses; what it had not asked for it need not ask.
    let rows = one.rows("mood");
    one.session(3, &(1..=3).map(|prompt| format!("request 3-{prompt}.")).collect::<Vec<_>>());
    let asked = fake.seen().len();
    one.annotate(&fake, &["--temperature", "0.5"]).with(0);
    assert_eq!(asked_since(&fake, asked), Vec::<String>::new());
    assert_eq!(one.rows("mood")[..6], rows[..]);
    let connection = database(&one);
    let facts: i64 = connection.query_row("SELECT count(*) FROM model_fact", [], |row| row.get(0)).unwrap();
    assert_eq!(facts, 1);
}

#[test]
fn an_exported_file_merges_as_its_store_does() {
    let (one, two, fake) = two_projects();
    two.annotate(&fake, &["--temperature", "0.5", "--refresh", "--limit", "1", "mood", "--run", "anew"]).with(0);
    let three = Context::with_sessions(1, 1);
    cache(&two, &["export", "answers.jsonl"]).with(0);
    let paths =
        [two.path().join(".interrater/store.db"), two.path().join("answers.jsonl")].map(|p| p.display().to_string());
    let told = cache(&three, &["merge", &paths[1], "--json"]).with(0).json();
    assert_eq!(counts(&told), [10, 0, 0, 0, 0, 0]);
    assert_eq!(counts(&cache(&three, &["merge", &paths[0], "--json"]).with(0).json())[..4], [0, 10, 0, 0]);
    let told = cache(&one, &["merge", &paths[1], "--json"]).with(0).json();
    // Of ten answers one is superseded, and its request has another answer here, as six others have.
    assert_eq!(counts(&told), [4, 0, 6, 0, 0, 0]);
    assert_eq!(counts(&cache(&one, &["merge", &paths[0], "--json"]).with(0).json())[..4], [0, 10, 0, 0]);
    assert_eq!(counts(&cache(&one, &["merge", &paths[1], "--json"]).with(0).json()), [0, 10, 0, 0, 0, 0]);
}

#[test]
fn a_store_of_format_1_merges_and_stays_as_it_is() {
    let context = Context::with_sessions(1, 1);
    fs::copy(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/stores/version-1.db"), context.path().join("old.db"))
        .unwrap();
    let before = fs::read(context.path().join("old.db")).unwrap();
    let told = cache(&context, &["merge", "old.db", "--json"]).with(0).json();
    assert_eq!(counts(&told), [20, 0, 0, 0, 3, 1]);
    assert_eq!(counts(&cache(&context, &["merge", "old.db", "--json"]).with(0).json()), [0, 20, 0, 0, 0, 0]);
    assert!(before == fs::read(context.path().join("old.db")).unwrap());
    // The same as if the old store had been brought up to date in its place.
    let other = Context::with_sessions(1, 1);
    fs::create_dir(other.path().join(".interrater")).unwrap();
    fs::copy(context.path().join("old.db"), other.path().join(".interrater/store.db")).unwrap();
    other.write("empty.jsonl", "");
    cache(&other, &["merge", "empty.jsonl"]).with(0);
    let set = |context: &Context| context.stored().into_iter().collect::<BTreeSet<_>>();
    assert!(set(&other) == set(&context));
    cache(&context, &["export", "a.jsonl"]).with(0);
    cache(&other, &["export", "a.jsonl"]).with(0);
    assert_eq!(other.read("a.jsonl"), context.read("a.jsonl"));
}

#[test]
fn what_cannot_be_merged_is_named_and_changes_nothing() {
    let context = Context::with_sessions(1, 2);
    context.annotate(&Fake::start(), &[]).with(0);
    cache(&context, &["export", "a.jsonl"]).with(0);
    let line = context.read("a.jsonl").lines().next().unwrap().to_owned();
    Connection::open(context.path().join("foreign.db")).unwrap().execute_batch("CREATE TABLE notes (text)").unwrap();
    context.write("cut.jsonl", &format!("{line}\n{}", &line[..line.len() / 2]));
    context.write("new.jsonl", &format!("{}\n", line.replace("\"format\":1", "\"format\":9")));
    context.write("odd.jsonl", &format!("{}\n", line.replace("\"format\":1", "\"format\":1,\"colour\":\"red\"")));
    context.write("notes.txt", "Notes.\n");
    let fresh = Context::with_sessions(1, 1);
    for (file, said) in [
        ("cut.jsonl", "cut.jsonl:2: EOF while parsing"),
        ("new.jsonl", "new.jsonl:1: format 9 is newer than this program, which knows 2"),
        ("odd.jsonl", "odd.jsonl:1: unknown field `colour`"),
        ("notes.txt", "notes.txt:1: expected"),
        ("foreign.db", "is a database, but not a store of answers"),
        ("none.db", "cannot read"),
        ("sessions", "cannot read"),
    ] {
        let path = context.path().join(file).display().to_string();
        let ended = cache(&fresh, &["merge", &path]).with(2);
        assert!(ended.lines("error: ").iter().any(|line| line.contains(said)), "{file}: {}", ended.stderr);
        assert!(fresh.stored().is_empty());
    }
    let ended = cache(&context, &["merge", "./.interrater/store.db"]).with(2);
    assert_eq!(ended.lines("error: ./.interrater/store.db is the store itself").len(), 1, "{}", ended.stderr);
    assert_eq!(context.stored().len(), 2);
}
