//! The binary on SWE-chat tables: what it lists, the labels that came with them as a rater, and tables that cannot be used.

use crate::project::{Project, claude, codex, first_line};
use crate::swe_chat::*;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;

/// Two sessions with labels, `s1` and `s2`, and one without, `s3`.
fn turns() -> Vec<Turn> {
    let by_codex = |turns: Vec<Turn>| turns.into_iter().map(|turn| Turn { agent: Some("Codex"), ..turn }).collect();
    [
        session(
            "s1",
            vec![
                labelled("add a cache", "create new code", "non_pushback"),
                reply("done"),
                labelled("no, use a map", "Refactor", "Correction"),
                reply("done"),
                labelled("it still crashes", "debug", "failure report"),
                reply("fixed"),
                labelled("I will do it myself", "other", "takeover"),
            ],
        ),
        session(
            "s2",
            by_codex(vec![
                labelled("undo that", "git", "rejection"),
                reply("undone"),
                prompt("go on"),
                reply("ok"),
                labelled("thanks, push it", "git", "non_pushback"),
            ]),
        ),
        session("s3", vec![prompt("hello"), reply("hello")]),
    ]
    .concat()
}

fn rows() -> Vec<Row> {
    let row = Row { agent: Some("Claude Code"), checkpoints: "[]", ..Row::default() };
    vec![
        Row {
            session: "s1",
            persona: Some("Expert Nitpicker"),
            success: Some("85"),
            agent_percentage: Some(99.5),
            ..row
        },
        Row { session: "s2", agent: Some("Codex"), persona: Some("Power User"), success: Some("0"), ..row },
        Row { session: "s3", agent_percentage: Some(f64::NAN), ..row },
    ]
}

/// A project with the shipped codebooks and the tables in `data`.
fn project() -> Project {
    let project = Project::empty();
    put(&project.path("data/conversations.parquet"), &conversations(&turns()));
    put(&project.path("data/sessions.parquet"), &sessions(&rows()));
    project
}

/// The transcript of `s1`; it has a prompt that the table lacks.
const TRANSCRIPT: [&str; 5] = ["add a cache", "and a test", "no, use a map", "it still crashes", "I will do it myself"];

fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).expect("each line is one document")).collect()
}

/// The runs' rows by unit: state, and the answer or the reason.
fn answers(project: &Project, task: &str) -> BTreeMap<String, String> {
    let rows =
        project.rows(&format!("runs/{}/annotations.jsonl", project.run_name(&format!("{task}-dataset-labels-"))));
    rows.iter()
        .map(|row| {
            let answer = match row["fields"].as_object().expect("fields are an object").values().next() {
                Some(value) => value.to_string(),
                None => row["detail"].as_str().expect("there is a reason").to_owned(),
            };
            let unit = row["unit"].as_str().expect("a row has a unit").to_owned();
            (unit, format!("{} {answer}", row["status"].as_str().expect("a row has a state")))
        })
        .collect()
}

#[test]
fn sessions_are_listed_from_the_tables_alone() {
    let ran = project().ok(&["sessions", "data", "--json"]);
    let listed = lines(&ran.out);
    let ids: Vec<&str> = listed.iter().map(|session| session["id"].as_str().unwrap()).collect();
    assert_eq!(ids, ["claude_code:s1", "codex:s2", "claude_code:s3"]);
    insta::assert_snapshot!(first_line(&ran.out), @r#"{"id":"claude_code:s1","agent":"claude_code","path":"data/conversations.parquet","models":["claude-sonnet-5"],"started":"2026-03-01T10:00:00Z","ended":"2026-03-01T10:01:00Z","wall_seconds":60.0,"active_seconds":30.0,"events":7,"prompts":4,"interruptions":0,"rejected_tools":0,"tool_calls":0,"failed_tool_calls":0,"subagent_events":0,"compactions":0,"usage":{"input":15,"cached_input":39,"cache_write":33,"output":21,"reasoning":0},"commits":0,"agent_percentage":99.5,"read":{"lines":7,"records":7,"unknown":{},"repaired":0,"bad":0}}"#);
    assert_eq!(ran.err, "3 sessions (claude_code 2, codex 1), 8 prompts, 0 interruptions, 0 damaged lines\n");
    assert_eq!(listed[2]["agent_percentage"], Value::Null, "NaN is nothing");
}

#[test]
fn a_transcript_tells_its_session_and_the_table_the_others() {
    let project = project();
    project.write("data/transcripts/s1.jsonl", claude("s1", &TRANSCRIPT));
    let listed = lines(&project.ok(&["sessions", "data", "--json"]).out);
    let seen: Vec<(&str, &str, u64)> = listed
        .iter()
        .map(|s| (s["id"].as_str().unwrap(), s["path"].as_str().unwrap(), s["prompts"].as_u64().unwrap()))
        .collect();
    assert_eq!(
        seen,
        [
            ("claude_code:s1", "data/transcripts/s1.jsonl", 5),
            ("codex:s2", "data/conversations.parquet", 3),
            ("claude_code:s3", "data/conversations.parquet", 1),
        ]
    );
    assert_eq!(listed[0]["agent_percentage"], 99.5);
}

#[test]
fn labels_become_a_run_that_costs_nothing() {
    let project = project();
    let ran = project.run(&[
        "annotate",
        "pushback",
        "intent",
        "persona",
        "success",
        "--sessions",
        "data",
        "--model",
        "dataset/labels",
    ]);
    assert_eq!(ran.code, 1, "some labels are not the codebook's: {}", ran.err);
    let none = "skipped the data has no label for this prompt";
    assert_eq!(
        answers(&project, "pushback").into_iter().collect::<Vec<_>>(),
        [
            ("claude_code:s1#1", "ok \"non_pushback\""),
            ("claude_code:s1#2", "ok \"correction\""),
            ("claude_code:s1#3", "ok \"failure_report\""),
            ("claude_code:s1#4", "invalid the data says `takeover`, which is no label of this codebook"),
            ("claude_code:s3#1", "skipped this session came without labels"),
            ("codex:s2#1", "ok \"rejection\""),
            ("codex:s2#2", none),
            ("codex:s2#3", "ok \"non_pushback\""),
        ]
        .map(|(unit, answer)| (unit.to_owned(), answer.to_owned()))
    );
    assert_eq!(
        answers(&project, "intent")["claude_code:s1#1"],
        "ok \"create\"",
        "the codebook declares the other name"
    );
    assert_eq!(answers(&project, "intent")["claude_code:s1#2"], "ok \"refactor\"");
    let persona = answers(&project, "persona");
    assert_eq!(persona["claude_code:s1"], "ok \"expert_nitpicker\"");
    assert_eq!(persona["codex:s2"], "invalid the data says `Power User`, which is no label of this codebook");
    let success = answers(&project, "success");
    assert_eq!((success["claude_code:s1"].as_str(), success["codex:s2"].as_str()), ("ok 85", "ok 0"));
    assert_eq!(success["claude_code:s3"], "skipped this session came without labels");

    let name = project.run_name("pushback-dataset-labels-");
    let manifest: Value = serde_json::from_str(&project.read(&format!("runs/{name}/manifest.json"))).unwrap();
    let hash = name.rsplit('-').next().unwrap();
    assert_eq!(manifest["model"], "dataset/labels");
    assert_eq!(manifest["rater"], format!("dataset/labels@pushback-{hash}"));
    assert_eq!((&manifest["endpoint"], &manifest["totals"]["cost_usd"]), (&Value::Null, &json!(0.0)));
    assert_eq!(manifest["totals"]["status"], json!({ "ok": 5, "invalid": 1, "skipped": 2 }));
    let inputs: Vec<&str> =
        manifest["inputs"].as_array().unwrap().iter().map(|i| i["path"].as_str().unwrap()).collect();
    assert_eq!(inputs, ["data/conversations.parquet", "data/sessions.parquet"]);
    let before = project.files("runs");
    project.run(&[
        "annotate",
        "pushback",
        "intent",
        "persona",
        "success",
        "--sessions",
        "data",
        "--model",
        "dataset/labels",
    ]);
    assert_eq!(project.files("runs"), before, "repeated, it writes the same files");
}

#[test]
fn labels_stand_beside_gold_and_other_raters() {
    let project = project();
    project.write("data/transcripts/s1.jsonl", claude("s1", &TRANSCRIPT));
    project.write(
        "gold/pushback.csv",
        "unit,rater,label\n\
         claude_code:s1#1,gold,non_pushback\nclaude_code:s1#2,gold,non_pushback\nclaude_code:s1#3,gold,correction\n\
         claude_code:s1#4,gold,failure_report\nclaude_code:s1#5,gold,correction\ncodex:s2#1,gold,correction\n\
         codex:s2#2,gold,non_pushback\ncodex:s2#3,gold,non_pushback\n",
    );
    let annotate =
        |model| project.run(&["annotate", "pushback", "--sessions", "data", "--model", model, "--quiet"]).code;
    assert_eq!((annotate("dataset/labels"), annotate("baseline/cues")), (1, 0));
    let answers = answers(&project, "pushback");
    assert_eq!(answers["claude_code:s1#2"], "skipped the data has no label for this prompt");
    assert_eq!(answers["claude_code:s1#3"], "ok \"correction\"", "matched by words and order, since ordinals differ");

    let agreement = project.json(&["agree", "--task", "pushback"]);
    let field = &agreement["fields"][0];
    let rater = field["raters"]
        .as_array()
        .unwrap()
        .iter()
        .find(|rater| rater["rater"].as_str().unwrap().starts_with("dataset/labels@pushback-"))
        .expect("the labels are a rater");
    // Eight units with gold: two have no label in the data, one has a label that the codebook lacks.
    assert_eq!((&rater["missing"], &rater["invalid"]), (&json!(2), &json!(1)));
    let pair = field["pairs"]
        .as_array()
        .unwrap()
        .iter()
        .find(|pair| pair["a"] == "gold" && pair["b"] == rater["rater"])
        .expect("it is compared with gold");
    // Of the five with both, gold says another thing once.
    let diagonal: u64 = (0..4).map(|at| pair["confusion"]["counts"][at][at].as_u64().unwrap()).sum();
    assert_eq!(diagonal, 4);
}

#[test]
fn sessions_without_labels_are_all_skipped_with_one_hint() {
    let project = Project::empty();
    project.write("logs/a.jsonl", claude("a", &["go", "no"])).write("logs/b.jsonl", codex("b", &["go"]));
    project
        .write("logs/c.jsonl", r#"{"messages":[{"role":"user","content":"hi"},{"role":"assistant","content":"hi"}]}"#);
    let ran = project.ok(&["annotate", "pushback", "success", "--sessions", "logs", "--model", "dataset/labels"]);
    assert!(answers(&project, "pushback").values().all(|answer| answer == "skipped this session came without labels"));
    assert_eq!(answers(&project, "success").len(), 3);
    let hints: Vec<&str> = ran.err.lines().filter(|line| line.starts_with("hint: ")).collect();
    insta::assert_snapshot!(hints.join("\n"), @"hint: these sessions came without labels for pushback, success; dataset/labels reads those of SWE-chat tables (Parquet): see docs/swe-chat.md");
}

#[test]
fn a_dry_run_and_a_wrong_name_ask_nobody() {
    let project = project();
    let ran = project.ok(&[
        "annotate",
        "pushback",
        "--sessions",
        "data",
        "--model",
        "dataset/labels",
        "--dry-run",
        "--quiet",
    ]);
    assert!(ran.out.ends_with("$0.00: nobody is asked\n"), "{}", ran.out);
    insta::assert_snapshot!(project.refused(&["annotate", "--sessions", "data", "--model", "dataset/gold"]), @"
    error: there is no model `dataset/gold`
    hint: dataset/labels stands for the labels that came with the sessions
    ");
}

#[test]
fn a_damaged_table_is_one_clear_error_or_costs_nothing_but_itself() {
    let project = project();
    let whole = fs::read(project.path("data/conversations.parquet")).unwrap();
    project.write("cut.parquet", &whole[..whole.len() - 100]);
    project.write("no-magic.parquet", &whole[4..]);
    let error = project.refused(&["sessions", "cut.parquet"]);
    assert!(error.starts_with("error: cannot use cut.parquet: a damaged Parquet file: "), "{error}");
    assert!(error.contains("hint: fetch or write the file again"), "{error}");
    assert!(
        project.refused(&["sessions", "no-magic.parquet"]).starts_with("error: not a transcript of a known agent: ")
    );

    project.write("data/cut.parquet", &whole[..whole.len() / 3]).write("data/no-magic.parquet", &whole[4..]);
    let ran = project.ok(&["sessions", "data", "--json"]);
    assert_eq!(lines(&ran.out).len(), 3);
    let skipped: Vec<&str> = ran.err.lines().filter(|line| line.starts_with("skipped ")).collect();
    assert_eq!(skipped.len(), 2, "{skipped:?}");
    assert!(skipped[0].starts_with("skipped data/cut.parquet: a damaged Parquet file: "), "{skipped:?}");
    assert_eq!(skipped[1], "skipped data/no-magic.parquet: not a transcript");
}
