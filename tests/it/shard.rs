//! `annotate --shard K/N`: parts of a corpus by session, on stores of their own or on one, and the whole run made of their answers.

use crate::context::{Context, Running, asked_since, assert_once, assert_whole, session_id};
use crate::fake::{Fake, Reply};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

const SESSIONS: usize = 12;
const PROMPTS: usize = 3;

fn answering() -> Fake {
    Fake::plan(|_| Reply::Answer)
        .answer(|asked, _| json!({ "reason": format!("of {}.", asked.hash), "label": "calm" }))
        .start()
}

/// The units of a run.
fn units(rows: &[Value]) -> Vec<String> {
    rows.iter().map(|row| row["unit"].as_str().unwrap().to_owned()).collect()
}

/// Which shard of `of` has each session, as the runs say.
fn places(context: &Context, of: usize) -> BTreeMap<String, usize> {
    let mut places = BTreeMap::new();
    for number in 1..=of {
        for row in rows_of(context, &format!("-{number}-of-{of}")) {
            let before = places.insert(row["session"].as_str().unwrap().to_owned(), number);
            assert!(before.is_none_or(|before| before == number), "a session is in two shards");
        }
    }
    places
}

/// The rows of the only run whose name ends so.
fn rows_of(context: &Context, end: &str) -> Vec<Value> {
    let names: Vec<String> = std::fs::read_dir(context.path().join("runs"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.ends_with(end))
        .collect();
    assert_eq!(names.len(), 1, "{end}: {names:?}");
    context
        .read(&format!("runs/{}/annotations.jsonl", names[0]))
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[test]
fn shards_on_stores_of_their_own_make_one_run_that_asks_nothing() {
    for of in [4, 40] {
        let context = Context::with_sessions(SESSIONS, PROMPTS);
        let gold: String =
            (1..=SESSIONS).map(|session| format!("claude_code:{}#1,gold,calm\n", session_id(session))).collect();
        context.write("gold/mood.csv", &format!("unit,rater,label\n{gold}"));
        let fake = answering();
        let mut all = Vec::new();
        for number in 1..=of {
            let (shard, store) = (format!("{number}/{of}"), format!("scratch/{number}.db"));
            // More shards than sessions: one without any is no error.
            let told = context.annotate(&fake, &["--shard", &shard, "--store", &store]).with(0);
            assert_eq!(told.lines(&format!("shard {shard}: ")).len(), 1, "{}", told.stderr);
            all.extend(units(&rows_of(&context, &format!("-{number}-of-{of}"))));
        }
        let distinct: BTreeSet<&String> = all.iter().collect();
        assert_eq!((all.len(), distinct.len()), (SESSIONS * PROMPTS, SESSIONS * PROMPTS), "each unit is in one shard");
        assert_eq!(fake.seen().len(), SESSIONS * PROMPTS);
        assert!(!context.path().join(".interrater").exists(), "each shard has its own store");

        let stores: Vec<String> = (1..=of).map(|number| format!("scratch/{number}.db")).collect();
        let stores: Vec<&str> = stores.iter().map(String::as_str).collect();
        context.run(&[&["cache", "merge"], &stores[..]].concat()).with(0);
        let told = context.annotate(&fake, &["--run", "whole"]).with(0);
        assert_eq!(fake.seen().len(), SESSIONS * PROMPTS, "an answer was asked for again: {}", told.stderr);
        let whole = context.rows("whole");
        assert_whole(&whole, SESSIONS, PROMPTS);
        assert_eq!(context.stored().len(), SESSIONS * PROMPTS);
        let mut rows: Vec<Value> =
            (1..=of).flat_map(|number| rows_of(&context, &format!("-{number}-of-{of}"))).collect();
        rows.sort_by_key(|row| row["unit"].to_string());
        let fields = |rows: &[Value]| rows.iter().map(|row| row["fields"].clone()).collect::<Vec<_>>();
        assert_eq!(fields(&rows), fields(&whole));

        // A rater is judged by the whole run, once.
        let told = context.run(&["agree", "--task", "mood", "--json", "--replicates", "200"]).with(0);
        let raters = told.json()["fields"][0]["raters"].as_array().unwrap().len();
        assert_eq!(raters, 2, "{}", told.stdout);
        assert_eq!(
            told.lines(&format!("note: {of} runs over a part of the sessions left out")).len(),
            1,
            "{}",
            told.stderr
        );
    }
}

#[test]
fn a_shards_manifest_says_which_it_is_and_of_which_files() {
    let context = Context::with_sessions(SESSIONS, PROMPTS);
    context.annotate(&answering(), &["--shard", "2/3", "--run", "mine"]).with(0);
    let manifest = context.manifest("mine-mood-2-of-3");
    assert_eq!(manifest["settings"]["shard"], "2/3");
    let sessions: BTreeSet<String> =
        context.rows("mine-mood-2-of-3").iter().map(|row| row["session"].to_string()).collect();
    assert!(!sessions.is_empty() && sessions.len() < SESSIONS);
    assert_eq!(manifest["inputs"].as_array().unwrap().len(), sessions.len(), "only what the shard is read from");
    assert_eq!((&manifest["complete"], &manifest["totals"]["units"]), (&json!(true), &json!(sessions.len() * PROMPTS)));
    let told = context.run(&["runs", "mine-mood-2-of-3"]).with(0);
    assert!(told.stdout.contains("shard     2/3 of the sessions"), "{}", told.stdout);
    context.annotate(&answering(), &["--run", "whole"]).with(0);
    assert!(context.manifest("whole")["settings"].get("shard").is_none());
}

#[test]
fn processes_with_one_store_share_the_work() {
    let context = Context::with_sessions(SESSIONS, 10);
    let fake = answering();
    let shards = ["1/3", "2/3", "3/3"];
    let running: Vec<Running> =
        shards.iter().map(|shard| context.start_annotating(&fake, &["--shard", shard, "--run", "all"])).collect();
    running.into_iter().for_each(|running| drop(running.end().with(0)));
    assert_eq!((fake.seen().len(), context.stored().len()), (SESSIONS * 10, SESSIONS * 10));
    assert_once(&asked_since(&fake, 0));
    context.annotate(&fake, &["--run", "whole"]).with(0);
    assert_eq!(fake.seen().len(), SESSIONS * 10);
    assert_whole(&context.rows("whole"), SESSIONS, 10);
}

#[test]
fn sessions_stay_in_their_shard_whatever_is_beside_them() {
    let context = Context::with_sessions(SESSIONS, 1);
    let annotate = |context: &Context| {
        for number in 1..=3 {
            context.run(&["annotate", "--quiet", "--shard", &format!("{number}/3")]).with(0);
        }
        places(context, 3)
    };
    let before = annotate(&context);
    assert_eq!(before.len(), SESSIONS);
    // Some are added, some go, one moves.
    for session in SESSIONS + 1..=3 * SESSIONS {
        context.session(session, &["Hello.".to_owned()]);
    }
    let file = |session: usize| context.path().join(format!("sessions/{}.jsonl", session_id(session)));
    std::fs::remove_file(file(1)).unwrap();
    std::fs::create_dir(context.path().join("sessions/other")).unwrap();
    std::fs::rename(file(2), context.path().join("sessions/other/renamed.jsonl")).unwrap();
    let after = annotate(&context);
    assert_eq!(after.len(), 3 * SESSIONS - 1);
    assert!(after.iter().all(|(session, shard)| before.get(session).is_none_or(|before| before == shard)));
}

#[test]
fn a_condition_comes_before_the_shard_and_a_limit_after_it() {
    let context = Context::with_sessions(SESSIONS, PROMPTS);
    context.session(SESSIONS + 1, &["a lonely request.".to_owned()]);
    let run = |name: &str, more: &[&str]| {
        context.run(&[&["annotate", "--run", name, "--shard", "1/2"], more].concat()).with(0);
        units(&context.rows(&format!("{name}-mood-1-of-2")))
    };
    let (all, some, few) = (run("all", &[]), run("some", &["--where", "prompts > 1"]), run("few", &["--limit", "4"]));
    let is_long = |unit: &&String| !unit.contains(&session_id(SESSIONS + 1));
    assert_eq!(some, all.iter().filter(is_long).cloned().collect::<Vec<_>>());
    assert_eq!(few, all[..4]);
    let drawn = run("drawn", &["--limit", "4", "--shuffle", "3"]);
    assert!(drawn.len() == 4 && drawn.iter().all(|unit| all.contains(unit)));
}

#[test]
fn what_is_no_shard_is_refused() {
    let context = Context::with_sessions(1, 1);
    for (shard, words) in [
        ("0/8", "there is no shard 0 of 8: they are numbered from 1 to 8"),
        ("9/8", "there is no shard 9 of 8: they are numbered from 1 to 8"),
        ("a/b", "a shard is written K/N, such as 3/8 for the third of eight"),
        ("1/0", "a corpus cannot be cut into 0 shards"),
        ("3", "a shard is written K/N"),
    ] {
        let told = context.run(&["annotate", "--shard", shard]).with(2);
        assert!(told.stderr.contains(words), "{shard}: {}", told.stderr);
    }
    context.run(&["annotate", "--shard", "1/2", "--fail-under", "kappa=0.5"]).with(2);
    assert!(!context.path().join("runs").exists());
}

#[test]
fn a_store_can_be_named() {
    let context = Context::with_sessions(1, 2);
    let fake = answering();
    context.annotate(&fake, &["--store", "elsewhere/answers.db"]).with(0);
    assert!(context.path().join("elsewhere/answers.db").is_file() && !context.path().join(".interrater").exists());
    let stats = context.run(&["cache", "stats", "--store", "elsewhere/answers.db", "--json"]).with(0).json();
    assert_eq!(stats["answers"], 2, "{stats}");
    context.run(&["cache", "--store", "all.db", "merge", "elsewhere/answers.db"]).with(0);
    context.annotate(&fake, &["--store", "all.db"]).with(0);
    assert_eq!(fake.seen().len(), 2);
}
