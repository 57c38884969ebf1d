//! What a run costs: the cap that nothing in flight gets over, and the account of what was spent and saved.

use crate::context::{Context, asked_since, assert_once, assert_whole};
use crate::fake::{Fake, Provider, Reply};
use rusqlite::Connection;
use serde_json::{Value, json};
use std::time::Duration;

/// Dear enough for a few prompts to make cents of them.
const PRICES: &str = r#"
[input]
sessions = ["sessions"]
[price."openai/some-model"]
input = 20.0
cached_input = 5.0
output = 80.0
"#;

fn dear(sessions: usize, prompts: usize) -> Context {
    let context = Context::with_sessions(sessions, prompts);
    context.write("config.toml", PRICES);
    context
}

/// What the answers in the store cost, by the token counts in their bodies.
fn billed(context: &Context) -> f64 {
    let counts = |body: &str| -> f64 {
        let usage = serde_json::from_str::<Value>(body).unwrap()["usage"].clone();
        let count = |name: &str| usage[name].as_f64().unwrap();
        let cached = usage["prompt_tokens_details"]["cached_tokens"].as_f64().unwrap_or(0.0);
        (count("prompt_tokens") - cached) * 20.0 + cached * 5.0 + count("completion_tokens") * 80.0
    };
    context.stored().iter().map(|(_, body)| counts(body) / 1e6).sum()
}

#[test]
fn a_cap_holds_whatever_is_in_flight_and_the_next_run_goes_on() {
    let context = dear(6, 20);
    // Some attempts end without a word: nobody knows whether they were billed, so they count.
    let fake = Fake::plan(|asked| if asked.index % 9 == 4 { Reply::Reset } else { Reply::Answer })
        .delay(Duration::from_millis(20))
        .start();
    let limits = ["--max-output-tokens", "400", "--concurrency", "64", "--json"];
    let ended = context.annotate(&fake, &[&limits[..], &["--max-cost", "1.2"]].concat()).with(4);
    let spent = &ended.json()["spent"];
    let (cost, untold) = (spent["cost_usd"].as_f64().unwrap(), spent["untold_usd"].as_f64().unwrap());
    assert!((cost - billed(&context)).abs() < 1e-9, "{cost} and {} in the store", billed(&context));
    assert!(cost + untold <= 1.2 && cost > 0.2, "{spent}");
    assert_eq!(spent["answers"], context.stored().len());
    let (errors, hints) = (ended.lines("error: stopped at --max-cost: $"), ended.lines("hint"));
    assert_eq!((errors.len(), hints.len()), (1, 1), "{}", ended.stderr);
    let before = context.stored().len();
    assert!((1..120).contains(&before), "{before}");

    // The cap is that of one command.
    let repeated = (0..60).map(|_| context.annotate(&fake, &[&limits[..], &["--max-cost", "1.2"]].concat()).code);
    assert_eq!(repeated.into_iter().find(|code| *code != Some(4)), Some(Some(0)));
    assert_whole(&context.rows("mood"), 6, 20);
    let asked: Vec<String> =
        fake.seen().into_iter().filter(|seen| seen.answered == "Answer").map(|seen| seen.asked.hash).collect();
    assert_once(&asked);
}

#[test]
fn a_cap_of_nothing_asks_nothing_and_one_without_a_price_is_an_error() {
    let context = dear(1, 2);
    let fake = Fake::start();
    let ended = context.annotate(&fake, &["--max-cost", "0"]).with(4);
    assert!(ended.stderr.contains("$0.0000 of the $0 of --max-cost are spent"), "{}", ended.stderr);
    assert!(ended.lines("hint")[0].contains("--max-output-tokens"), "{}", ended.stderr);
    context.write("config.toml", "[input]\nsessions = [\"sessions\"]\n");
    let ended = context.annotate(&fake, &["--max-cost", "5"]).with(2);
    assert!(ended.stderr.contains("--max-cost: no price of openai/some-model is known"), "{}", ended.stderr);
    assert!(ended.stderr.contains(r#"[price."openai/some-model"]"#), "{}", ended.stderr);
    let ended = context.annotate(&fake, &["--max-cost=-1"]).with(2);
    assert!(ended.stderr.contains("an amount is a number of US dollars"), "{}", ended.stderr);
    assert!(fake.seen().is_empty());
    // Who asks nobody spends nothing.
    context.run(&["annotate", "--max-cost", "0"]).with(0);
}

#[test]
fn under_a_cap_every_request_has_an_output_limit_and_its_answer_serves_without_one() {
    let context = dear(1, 3);
    let fake = Fake::start();
    context.annotate(&fake, &["--max-cost", "50"]).with(0);
    assert!(fake.seen().iter().all(|seen| seen.asked.body["max_completion_tokens"] == 16_000));
    let before = fake.seen().len();
    let ended = context.annotate(&fake, &["--json"]).with(0);
    assert_eq!(asked_since(&fake, before), Vec::<String>::new());
    let spent = &ended.json()["spent"];
    assert_eq!((&spent["answers"], &spent["stored"], &spent["cost_usd"]), (&json!(0), &json!(3), &json!(0.0)));
    assert!((spent["saved_by_store_usd"].as_f64().unwrap() - billed(&context)).abs() < 1e-9, "{spent}");
}

#[test]
fn what_was_spent_and_saved_is_said_in_a_line() {
    let context = dear(1, 3);
    let fake = Fake::start();
    let first = context.annotate(&fake, &[]).with(0);
    assert!(first.lines("spent $")[0].contains(" on 3 answers, $"), "{}", first.stderr);
    let again = context.annotate(&fake, &[]).with(0);
    assert!(again.lines("spent nothing; stored answers gave 3 rows and saved $").len() == 1, "{}", again.stderr);
    let connection = Connection::open(context.path().join(".interrater/store.db")).unwrap();
    let stored: u32 = connection.query_row("SELECT count(*) FROM response", [], |row| row.get(0)).unwrap();
    assert_eq!(stored, 3);
    let runs = context.run(&["runs"]).with(0).stdout;
    assert!(runs.contains("a label"), "{runs}");
    let summary: Value =
        serde_json::from_str(&context.read(&format!(
            "{}/summary.json",
            context.run_folder("mood").strip_prefix(context.path()).unwrap().display()
        )))
        .unwrap();
    let a_label = summary["cost_per_label_usd"].as_f64().unwrap();
    assert!((a_label * 3.0 - billed(&context)).abs() < 1e-9, "{a_label}");
    let local = context.run(&["annotate"]).with(0);
    assert!(local.lines("spent").is_empty(), "{}", local.stderr);
    let unpriced = Fake::start();
    let url = unpriced.base_url(Provider::OpenAi);
    let ended = context.run(&["annotate", "--model", "openai/other", "--base-url", &url]).with(0);
    assert_eq!(ended.lines("asked for 3 answers, at a price that is not known").len(), 1, "{}", ended.stderr);
}

#[test]
fn a_dry_run_leaves_out_what_is_stored_and_learns_how_the_model_counts() {
    let context = dear(4, 10);
    let fake = Fake::start();
    let forecast = || context.annotate(&fake, &["--dry-run", "--json"]).with(0).json();
    let blind = forecast();
    assert_eq!((&blind["tasks"][0]["requests"], &blind["learnt_from"]), (&json!(40), &Value::Null));
    context.annotate(&fake, &["--limit", "25", "--run", "some"]).with(0);
    let paid = billed(&context);
    let told = forecast();
    let task = &told["tasks"][0];
    assert_eq!((&task["requests"], &task["known"], &told["learnt_from"]), (&json!(15), &json!(25), &json!(25)));
    let cost: Vec<f64> = task["cost_usd"].as_array().unwrap().iter().map(|usd| usd.as_f64().unwrap()).collect();
    context.annotate(&fake, &[]).with(0);
    let rest = billed(&context) - paid;
    assert!(cost[0] <= rest && rest <= cost[2] && cost[0] <= cost[1] && cost[1] <= cost[2], "{rest} and {cost:?}");
    assert!(cost[2] < 2.0 * cost[0], "it has learnt: {cost:?}");
    assert_eq!(forecast()["tasks"][0]["requests"], 0);
    let all = context.annotate(&fake, &["--dry-run", "--refresh", "--json"]).with(0).json();
    assert_eq!(all["tasks"][0]["requests"], 40);
    let words = context.annotate(&fake, &["--dry-run"]).with(0).stdout;
    assert!(words.contains("mood: 0 requests, 40 units known without one"), "{words}");
    assert!(words.contains("The intervals are what 40 stored answers of this model lay within"), "{words}");
}

#[test]
fn what_is_asked_again_is_asked_again_once_however_often_that_stops() {
    let context = dear(3, 20);
    let fake = Fake::plan(|_| Reply::Answer).delay(Duration::from_millis(5)).start();
    context.annotate(&fake, &[]).with(0);
    assert_eq!(fake.seen().len(), 60);
    let again = || {
        let limits = ["--refresh", "--max-output-tokens", "400", "--max-cost", "0.8", "--concurrency", "8"];
        // Another limit of output tokens is another request: the first one counts as asked again, too.
        context.annotate(&fake, &limits).code
    };
    let mut ended = (0..40).map(|_| again());
    assert_eq!(ended.find(|code| *code != Some(4)), Some(Some(0)));
    assert_eq!(fake.seen().len(), 120, "each unit once more");
    // One that is killed goes on as well.
    let before = fake.seen().len();
    let mut running = context.start_annotating(&fake, &["--refresh", "--concurrency", "4"]);
    running.until("some are answered", || fake.seen().len() > before + 20);
    running.kill();
    let begun = fake.seen().len() - before;
    context.annotate(&fake, &["--refresh"]).with(0);
    let asked = fake.seen().len() - before;
    // Those that were under way, or on their way to the disk, are asked for twice, and no others.
    assert!((60..60 + begun).contains(&asked), "{asked} after {begun}");
    // When it is done, it is done: the next one begins anew.
    context.annotate(&fake, &["--refresh"]).with(0);
    assert_eq!(fake.seen().len(), before + asked + 60);
}
