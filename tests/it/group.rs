//! `annotate --group session`: many prompts of a session in one request, and a row for each as if it had been asked for alone.

use crate::context::{Context, Ended, assert_whole, session_id, typed};
use crate::fake::{Asked, Fake, Provider, Reply};
use regex::Regex;
use rusqlite::Connection;
use serde_json::{Value, json};
use std::collections::BTreeMap;

const PRICES: &str = r#"
[input]
sessions = ["sessions"]
[price."openai/some-model"]
input = 2.0
cached_input = 0.5
cache_write = 2.5
output = 8.0
"#;

/// A project whose one codebook allows groups, and says nothing else of them.
pub fn project(sessions: usize, prompts: usize) -> Context {
    let context = Context::with_sessions(sessions, prompts);
    allow(&context, "group = true");
    context.write("config.toml", PRICES);
    context
}

/// Puts a line into the front matter of the project's codebook.
fn allow(context: &Context, line: &str) {
    let text = context
        .read("prompts/mood.md")
        .replace("[[field]]\nname = \"reason\"", &format!("{line}\n[[field]]\nname = \"reason\""));
    context.write("prompts/mood.md", &text);
}

/// The events that a request asks for: those of its last sentence that narrows them down, else those of the list, else the only one.
pub fn listed(asked: &Asked) -> Vec<u32> {
    let narrowed = Regex::new(r"for events? ([\d, ]+) and for no other").unwrap();
    let list = Regex::new(r"(?m)^- event (\d+)").unwrap();
    let alone = Regex::new(r"What is the mood of event (\d+)\?").unwrap();
    let number = |text: &str| text.trim().parse().unwrap();
    match narrowed.captures_iter(&asked.prompt).last() {
        Some(found) => found[1].split(',').map(number).collect(),
        None if list.is_match(&asked.prompt) => {
            list.captures_iter(&asked.prompt).map(|found| number(&found[1])).collect()
        }
        None => alone.captures_iter(&asked.prompt).map(|found| number(&found[1])).collect(),
    }
}

/// An entry for the prompt that is this event: every other prompt is cross.
pub fn entry(event: u32) -> Value {
    let label = if event % 4 == 1 { "cross" } else { "calm" };
    json!({ "unit": event, "reason": format!("event {event}"), "label": label })
}

/// An answer as it ought to be; a request for one prompt gets one of its own.
pub fn answer(asked: &Asked, schema: &Value) -> Value {
    match schema["properties"]["answers"].is_object() {
        true => json!({ "answers": listed(asked).into_iter().map(entry).collect::<Vec<_>>() }),
        false => json!({ "reason": "alone", "label": "calm" }),
    }
}

pub fn annotate(context: &Context, fake: &Fake, more: &[&str]) -> Ended {
    context.annotate(fake, &[&["--group", "session"], more].concat())
}

/// The token counts of all stored answers, and of all rows.
pub fn tokens(context: &Context, rows: &[Value]) -> (BTreeMap<String, u64>, BTreeMap<String, u64>) {
    let connection = Connection::open(context.path().join(".interrater/store.db")).unwrap();
    let mut statement = connection.prepare("SELECT usage FROM response").unwrap();
    let stored = statement.query_map([], |row| row.get::<_, String>(0)).unwrap();
    let stored: Vec<Value> = stored.map(|usage| serde_json::from_str(&usage.unwrap()).unwrap()).collect();
    let sum = |usages: &mut dyn Iterator<Item = &Value>| {
        let mut sums = BTreeMap::new();
        for (name, count) in usages.flat_map(|usage| usage.as_object().unwrap()) {
            *sums.entry(name.clone()).or_insert(0) += count.as_u64().unwrap();
        }
        sums
    };
    (sum(&mut stored.iter()), sum(&mut rows.iter().map(|row| &row["usage"])))
}

pub fn requests(rows: &[Value]) -> u64 {
    rows.iter().map(|row| row["attempts"].as_u64().unwrap()).sum()
}

#[test]
fn one_request_a_session_in_every_form_and_the_rows_add_up() {
    for (name, provider) in
        [("openai", Provider::OpenAi), ("anthropic", Provider::Anthropic), ("gemini", Provider::Gemini)]
    {
        let context = project(3, 5);
        let fake = Fake::plan(|_| Reply::Answer).answer(answer).start();
        let (model, url) = (format!("{name}/some-model"), fake.base_url(provider));
        let arguments = ["annotate", "--model", &model, "--base-url", &url, "--group", "session"];
        context.run(&arguments).with(0);
        assert_eq!(fake.complaints(), Vec::<String>::new());
        assert_eq!(fake.seen().len(), 3, "{name}");
        for seen in fake.seen() {
            assert_eq!(listed(&seen.asked), [1, 3, 5, 7, 9]);
            assert_eq!(seen.asked.prompt.matches(">>> [").count(), 5);
            // The codebook speaks of one prompt; the group's own words say what that stands for.
            assert!(seen.asked.prompt.contains("What is the mood of event N?"), "{}", seen.asked.prompt);
            assert!(!seen.asked.prompt.contains("reply 1-5."), "nothing after the last prompt is shown");
        }
        let rows = context.rows("mood");
        assert_whole(&rows, 3, 5);
        let labels: Vec<&str> = rows[..5].iter().map(|row| row["fields"]["label"].as_str().unwrap()).collect();
        assert_eq!(labels, ["cross", "calm", "cross", "calm", "cross"]);
        for row in &rows {
            assert_eq!((&row["status"], &row["detail"], &row["cached"]), (&json!("ok"), &Value::Null, &json!(false)));
            assert_eq!(row["coverage"], json!({ "tokens": 1.0, "prompts": 1.0 }));
            assert!(row["rater"].as_str().unwrap().ends_with("/session"), "{row}");
            assert!(row["usage"]["reasoning"].as_u64() <= row["usage"]["output"].as_u64());
        }
        let (stored, booked) = tokens(&context, &rows);
        assert_eq!(stored, booked, "{name}");
        assert!(stored["output"] > 0);
        let manifest = context.manifest("mood");
        assert_eq!((&manifest["settings"]["group"], &manifest["rater"]), (&json!("session"), &rows[0]["rater"]));
        assert_eq!((requests(&rows), &manifest["totals"]["attempts"]), (3, &json!(3)));
        assert!(manifest["run"].as_str().unwrap().ends_with("-grouped"));

        let before = context.files("runs");
        context.run(&arguments).with(0);
        assert!(before == context.files("runs") && fake.seen().len() == 3);
    }
}

#[test]
fn the_cost_of_a_request_is_divided_to_the_last_cent() {
    let context = project(1, 7);
    let fake = Fake::plan(|_| Reply::Answer).answer(answer).start();
    annotate(&context, &fake, &[]).with(0);
    let rows = context.rows("mood");
    let (tokens, _) = tokens(&context, &rows);
    let of = |name: &str| tokens[name] as f64;
    let cost = (2.0 * of("input") + 0.5 * of("cached_input") + 2.5 * of("cache_write") + 8.0 * of("output")) / 1e6;
    let sum: f64 = rows.iter().map(|row| row["cost_usd"].as_f64().unwrap()).sum();
    assert!((sum - cost).abs() < 1e-15 && cost > 0.0, "{sum} {cost}");
    // All of it is saved when the command is repeated, also by prompts that have no whole request of their own.
    let again = annotate(&context, &fake, &["--json"]).with(0).json();
    assert!((again["spent"]["saved_by_store_usd"].as_f64().unwrap() - cost).abs() < 1e-12, "{}", again["spent"]);
}

#[test]
fn a_grouped_run_and_another_stand_side_by_side() {
    let context = project(2, 4);
    let fake = Fake::plan(|_| Reply::Answer).answer(answer).start();
    annotate(&context, &fake, &[]).with(0);
    context.annotate(&fake, &[]).with(0);
    assert_eq!(fake.seen().len(), 2 + 8, "each way has its own answers");
    let told = context.run(&["agree", "--task", "mood", "--json"]).with(0).json();
    let raters: Vec<&str> =
        told["fields"][0]["raters"].as_array().unwrap().iter().map(|rater| rater["rater"].as_str().unwrap()).collect();
    assert_eq!(raters.len(), 2, "{told}");
    assert_eq!(raters.iter().filter(|rater| rater.ends_with("/session")).count(), 1, "{raters:?}");
    // A run is one rater's, also by name.
    annotate(&context, &fake, &["--run", "mine"]).with(0);
    let refused = context.annotate(&fake, &["--run", "mine"]).with(2);
    assert!(refused.stderr.contains("/session, not of "), "{}", refused.stderr);
    assert_eq!(fake.seen().len(), 10);
}

#[test]
fn a_prompt_that_is_by_itself_is_asked_for_as_ever() {
    let context = project(2, 1);
    let fake = Fake::plan(|_| Reply::Answer).answer(answer).start();
    context.annotate(&fake, &[]).with(0);
    annotate(&context, &fake, &[]).with(0);
    assert_eq!(fake.seen().len(), 2, "the answers are those of the other run");
    let folder = context.path().join("runs").read_dir().unwrap().map(|entry| entry.unwrap().path());
    let folder = folder.into_iter().find(|path| path.display().to_string().ends_with("-grouped")).unwrap();
    let grouped = context.rows(folder.file_name().unwrap().to_str().unwrap());
    assert!(grouped.iter().all(|row| row["cached"] == true && row["rater"].as_str().unwrap().ends_with("/session")));
}

#[test]
fn only_chosen_prompts_are_asked_for_and_the_rest_is_context() {
    let context = project(2, 6);
    let fake = Fake::plan(|_| Reply::Answer).answer(answer).start();
    annotate(&context, &fake, &["--limit", "5", "--shuffle", "3"]).with(0);
    let rows = context.rows("mood");
    assert_eq!(rows.len(), 5);
    let asked: usize = fake.seen().iter().map(|seen| listed(&seen.asked).len()).sum();
    assert_eq!(asked, 5);
    for seen in fake.seen() {
        let events = listed(&seen.asked);
        assert_eq!(seen.asked.prompt.matches(">>> [").count(), events.len());
        let last = events.last().unwrap();
        assert!(!seen.asked.prompt.contains(&format!("\n[{}", last + 1)), "nothing after the last of them");
        assert!((1..=*last).all(|event| seen.asked.prompt.contains(&format!("[{event}]"))), "{}", seen.asked.prompt);
    }
}

#[test]
fn samples_have_requests_of_their_own() {
    let context = project(2, 3);
    let fake = Fake::plan(|_| Reply::Answer).answer(answer).start();
    annotate(&context, &fake, &["--samples", "3"]).with(0);
    assert_eq!(fake.seen().len(), 6);
    let rows = context.rows("mood");
    let order: Vec<(String, u64)> =
        rows.iter().map(|row| (row["unit"].as_str().unwrap().to_owned(), row["sample"].as_u64().unwrap())).collect();
    let expected: Vec<(String, u64)> = (1..=2)
        .flat_map(|session| (1..=3).map(move |prompt| format!("claude_code:{}#{prompt}", session_id(session))))
        .flat_map(|unit| (0..3).map(move |sample| (unit.clone(), sample)))
        .collect();
    assert_eq!(order, expected);
    assert_eq!(requests(&rows), 6);
}

#[test]
fn a_long_session_takes_several_requests_of_consecutive_prompts() {
    let context = project(1, 300);
    let fake = Fake::plan(|_| Reply::Answer).answer(answer).start();
    annotate(&context, &fake, &["--concurrency", "1"]).with(0);
    let rows = context.rows("mood");
    assert_whole(&rows, 1, 300);
    let mut groups: Vec<Vec<u32>> = fake.seen().iter().map(|seen| listed(&seen.asked)).collect();
    groups.sort();
    assert_eq!(groups.concat(), (0..300).map(|nth| 2 * nth + 1).collect::<Vec<u32>>());
    assert!(groups.len() > 3 && groups.len() < 30, "{}", groups.len());
    // The codebook's limit holds: 4,000 tokens of material, and the words around it.
    assert!(fake.seen().iter().all(|seen| seen.asked.prompt.len() < 4_000 * 7 / 2 + 3_000));
    // Less output, fewer prompts at once.
    let before = fake.seen().len();
    annotate(&context, &fake, &["--max-output-tokens", "1000", "--run", "short"]).with(0);
    let seen = fake.seen();
    assert!(seen[before..].iter().all(|seen| listed(&seen.asked).len() <= 4));
    assert_whole(&context.rows("short"), 1, 300);
}

#[test]
fn each_row_says_what_was_shown_of_what_came_before_its_prompt() {
    // Long enough to be cut before the last prompts.
    let texts: Vec<String> = (1..=40).map(|prompt| format!("{} {}", typed(1, prompt), "word ".repeat(80))).collect();
    let shares = |grouped: bool| {
        let context = project(0, 0);
        context.session(1, &texts);
        let fake = Fake::plan(|_| Reply::Answer).answer(answer).start();
        let more: &[&str] = if grouped { &["--group", "session"] } else { &[] };
        context.annotate(&fake, more).with(0);
        context.rows("mood").iter().map(|row| row["coverage"].clone()).collect::<Vec<_>>()
    };
    let (grouped, alone) = (shares(true), shares(false));
    assert_eq!(grouped, alone, "a prompt is shown the same past as by itself");
    assert!(grouped.last().unwrap()["tokens"].as_f64().unwrap() < 0.9);
}

#[test]
fn an_event_after_the_prompt_is_no_evidence_for_it() {
    let context = project(1, 3);
    let codebook =
        context.read("prompts/mood.md").replace("type = \"text\"\ndescription = \"Why.\"", "type = \"evidence\"");
    context.write("prompts/mood.md", &codebook);
    let fake = Fake::plan(|_| Reply::Answer)
        .answer(|asked, _| {
            let cite = |prompt: u32| json!({ "event": 2 * prompt - 1, "quote": typed(1, prompt as usize) });
            let entry = |event: u32| json!({ "unit": event, "reason": [cite(1), cite(2), cite(3)], "label": "calm" });
            json!({ "answers": listed(asked).into_iter().map(entry).collect::<Vec<_>>() })
        })
        .start();
    annotate(&context, &fake, &[]).with(0);
    let found: Vec<Vec<bool>> = context
        .rows("mood")
        .iter()
        .map(|row| row["evidence"].as_array().unwrap().iter().map(|one| one["found"].as_bool().unwrap()).collect())
        .collect();
    assert_eq!(found, [[true, false, false], [true, true, false], [true, true, true]]);
}

#[test]
fn a_codebook_has_to_say_whether_its_prompts_may_be_asked_for_together() {
    let context = Context::with_sessions(1, 2);
    let fake = Fake::plan(|_| Reply::Answer).answer(answer).start();
    let undecided = annotate(&context, &fake, &[]).with(2);
    insta::assert_snapshot!(undecided.stderr, @"
    error: --group session: the codebook of `mood` does not say whether its prompts may be asked for together
    hint: above the first [[field]] of prompts/mood.md write `group = true` if its labels can be judged with the whole session in sight: the model sees what came after a prompt, and is told to leave it aside; or `group = false`, and each prompt is asked for alone
    ");
    allow(&context, "group = false");
    let declined = annotate(&context, &fake, &[]).with(2);
    assert!(
        declined.stderr.contains("none of these tasks has prompts that may be asked for together"),
        "{}",
        declined.stderr
    );
    assert!(fake.seen().is_empty());
    // Beside a task that allows it, one that declines is asked for as ever, and so are sessions.
    let codebook = context.read("prompts/mood.md");
    context
        .write("prompts/tone.md", &codebook.replace("\"mood\"", "\"tone\"").replace("group = false", "group = true"));
    let whole = codebook
        .replace("\"mood\"", "\"whole\"")
        .replace("group = false\n", "")
        .replace("unit = \"prompt\"", "unit = \"session\"");
    context.write("prompts/whole.md", &whole.replace("{{ target.event }}", "1"));
    let ended = annotate(&context, &fake, &[]).with(0);
    assert_eq!(ended.lines("note:"), ["note: mood asks for each prompt alone: its codebook says group = false"]);
    assert_eq!(fake.seen().len(), 2 + 1 + 1);
    let group = |task: &str| context.manifest(task)["settings"]["group"].clone();
    assert_eq!((group("mood"), group("tone"), group("whole")), (Value::Null, json!("session"), Value::Null));
}

#[test]
fn a_codebook_of_sessions_has_no_groups() {
    let context = Context::with_sessions(1, 1);
    allow(&context, "group = true");
    let text = context
        .read("prompts/mood.md")
        .replace("unit = \"prompt\"", "unit = \"session\"")
        .replace("{{ target.event }}", "1");
    context.write("prompts/mood.md", &text);
    let refused = context.run(&["annotate"]).with(2);
    assert!(refused.stderr.contains("`group` is for tasks whose unit is a prompt"), "{}", refused.stderr);
    assert!(refused.stderr.contains("prompts/mood.md:7"), "{}", refused.stderr);
}

#[test]
fn a_baseline_asks_nobody_in_groups_either() {
    let context = Context::with_sessions(1, 2);
    let ended = context.run(&["annotate", "--group", "session"]).with(0);
    assert_eq!(ended.lines("note:"), ["note: --group changes nothing here: nobody is asked"]);
    assert_eq!(context.manifest("mood")["settings"].get("group"), None);
    assert!(!context.manifest("mood")["run"].as_str().unwrap().contains("grouped"));
}

#[test]
fn a_dry_run_counts_requests_and_answers() {
    let context = project(3, 10);
    let forecast = |more: &[&str]| {
        let all = [&["annotate", "--model", "openai/some-model", "--dry-run", "--json"], more].concat();
        context.run(&all).with(0).json()["tasks"][0].clone()
    };
    let (alone, grouped) = (forecast(&[]), forecast(&["--group", "session"]));
    let counts = |told: &Value| (told["requests"].as_u64().unwrap(), told["answers"].as_u64().unwrap());
    assert_eq!((counts(&alone), counts(&grouped)), ((30, 30), (3, 30)));
    assert_eq!(alone["output_tokens"], grouped["output_tokens"]);
    assert!(grouped["input_tokens"][1].as_u64().unwrap() * 2 < alone["input_tokens"][1].as_u64().unwrap());
}

#[test]
fn the_store_explains_and_keeps_what_groups_have_paid_for() {
    let context = project(2, 3);
    let fake = Fake::plan(|_| Reply::Answer).answer(answer).start();
    annotate(&context, &fake, &[]).with(0);
    let url = fake.base_url(Provider::OpenAi);
    let unit = format!("claude_code:{}#2", session_id(1));
    let why = |more: &[&str]| {
        context
            .run(&[&["cache", "why", &unit, "--model", "openai/some-model", "--base-url", &url], more].concat())
            .with(0)
            .stdout
    };
    assert!(
        why(&["--group", "session"]).contains(": found. Run mood-openai-some-model-"),
        "{}",
        why(&["--group", "session"])
    );
    let alone = why(&[]);
    assert!(
        alone.contains("not found") && alone.contains("--group session looks for the one about this prompt"),
        "{alone}"
    );
    // A grouped request that differs is explained by what differs.
    let other = why(&["--group", "session", "--temperature", "0.5"]);
    assert!(other.contains("temperature: none then, 0.5 now"), "{other}");

    context.run(&["cache", "prune", "--task", "mood", "--yes"]).with(0);
    assert_eq!(context.stored().len(), 2, "a run refers to them");
    std::fs::remove_dir_all(context.path().join("runs")).unwrap();
    context.run(&["cache", "prune", "--task", "mood", "--yes"]).with(0);
    assert!(context.stored().is_empty());
}

#[test]
fn what_ends_a_grouped_request_may_be_the_projects_own_and_is_part_of_the_version() {
    let context = project(1, 2);
    let fake = Fake::plan(|_| Reply::Answer).answer(answer).start();
    annotate(&context, &fake, &["--run", "shipped"]).with(0);
    context.write(
        "prompts/_group.md",
        "Every one of these:\n{% for t in targets %}\n- event {{ t.event }}\n{% endfor %}\nAnswer with `answers`.\n",
    );
    annotate(&context, &fake, &["--run", "own"]).with(0);
    assert!(fake.seen()[1].asked.prompt.ends_with("Every one of these:\n- event 1\n- event 3\nAnswer with `answers`."));
    let hash = |run: &str| context.manifest(run)["codebook"]["hash"].clone();
    assert_ne!(hash("shipped"), hash("own"));
}
