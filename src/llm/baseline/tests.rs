//! What the raters that ask nobody say, on sessions made for it.

use super::*;
use crate::codebook::UnitKind;
use crate::session::{Agent, Channel, SessionBuilder, ToolCategory};
use crate::unit::units;
use proptest::prelude::*;
use std::path::PathBuf;

fn session(prompts: &[&str], tools: &[ToolCategory]) -> Session {
    let mut builder = SessionBuilder::new(Agent::Codex, "s", PathBuf::from("s.jsonl"));
    for prompt in prompts {
        builder.prompt(None, Channel::Typed, *prompt, 0);
    }
    for tool in tools {
        builder.tool_call(None, "T", *tool, "");
    }
    builder.finish()
}

/// What the cues say of the whole session.
fn said(prompts: &[&str], tools: &[ToolCategory]) -> Map<String, Value> {
    let session = session(prompts, tools);
    cues(&Codebook::with_every_type(), &session, &units(&session, UnitKind::Session)[0])
}

#[test]
fn cue_words_decide_labels_flags_and_scores() {
    let quiet = said(&["go on"], &[]);
    assert_eq!(
        (&quiet["label"], &quiet["topics"], &quiet["score"], &quiet["urgent"]),
        (&json!("no"), &json!([]), &json!(5), &json!(false))
    );
    let loud = said(&["Yes, the table and the screen, ASAP", "Thanks"], &[]);
    assert_eq!(
        (&loud["label"], &loud["topics"], &loud["score"], &loud["urgent"]),
        (&json!("yes"), &json!(["ui", "db"]), &json!(7), &json!(true))
    );
    assert_eq!(said(&["thanks"; 9], &[])["score"], json!(10), "a score stays within its bounds");
}

#[test]
fn a_prompt_is_judged_by_its_own_words() {
    let session = session(&["yes", "go on"], &[]);
    let label = |at: usize| {
        cues(&Codebook::with_every_type(), &session, &units(&session, UnitKind::Prompt)[at])["label"].clone()
    };
    assert_eq!((label(0), label(1)), (json!("yes"), json!("no")));
}

#[test]
fn shares_follow_the_tool_calls_and_sum_to_100() {
    use ToolCategory::{Edit, Git, Research};
    let phases = |tools: &[ToolCategory]| said(&["go"], tools)["phases"].clone();
    assert_eq!(phases(&[Research, Edit, Edit]), json!({ "reading": 33, "writing": 67 }));
    assert_eq!(phases(&[Research, Git]), json!({ "reading": 100, "writing": 0 }));
    assert_eq!(phases(&[]), json!({ "reading": 0, "writing": 100 }), "with nothing to count all is in the last part");
}

#[test]
fn the_answer_of_the_cues_has_every_field_but_evidence_in_the_codebooks_order() {
    let names: Vec<String> = said(&["go"], &[]).keys().cloned().collect();
    assert_eq!(names, ["reason", "label", "topics", "score", "hours", "urgent", "phases", "checks", "mood"]);
}

fn gold(rows: &[Value]) -> Vec<Map<String, Value>> {
    rows.iter().filter_map(|row| row.as_object().cloned()).collect()
}

#[test]
fn the_majority_is_the_most_frequent_the_median_and_the_mean() {
    let row = |label: &str, score: f64, reading: i64, urgent: bool| {
        json!({ "label": label, "topics": ["db"], "score": score, "hours": score, "urgent": urgent,
                "phases": { "reading": reading, "writing": 100 - reading },
                "checks": { "tests_run": urgent, "committed": false }, "mood": "bad" })
    };
    let rows = gold(&[row("yes", 2.0, 10, true), row("no", 9.0, 20, false), row("yes", 3.0, 60, true)]);
    let said = majority(&Codebook::with_every_type(), &rows.iter().collect::<Vec<_>>()).unwrap();
    assert_eq!((&said["label"], &said["score"], &said["hours"]), (&json!("yes"), &json!(3), &json!(3.0)));
    assert_eq!(said["phases"], json!({ "reading": 30.0, "writing": 70.0 }));
    assert_eq!((&said["urgent"], &said["checks"]), (&json!(true), &json!({ "tests_run": true, "committed": false })));
    // What it says is an answer in the codebook's form.
    for field in Codebook::with_every_type().fields.iter().filter(|field| said.contains_key(&field.name)) {
        assert!(crate::answer::check(field, said[&field.name].clone()).is_ok(), "{}", field.name);
    }
}

#[test]
fn without_gold_there_is_no_majority() {
    assert_eq!(majority(&Codebook::with_every_type(), &[]), None);
    let partial = gold(&[json!({ "label": "yes" })]);
    assert_eq!(majority(&Codebook::with_every_type(), &partial.iter().collect::<Vec<_>>()), None);
}

#[test]
fn a_tie_is_broken_the_same_way_in_any_order() {
    let (a, b) = (json!("a"), json!("b"));
    assert_eq!(most_frequent(&[&a, &b]), most_frequent(&[&b, &a]));
    assert_eq!(most_frequent(&[]), None);
}

proptest! {
    #[test]
    fn percentages_are_whole_and_sum_to_100(counts in prop::collection::vec(0..5_000usize, 1..12)) {
        let shares = percentages(&counts);
        let total: usize = counts.iter().sum();
        prop_assert_eq!(shares.iter().sum::<i64>(), 100);
        for (share, count) in shares.iter().zip(&counts).filter(|_| total > 0) {
            let exact = *count as f64 * 100.0 / total as f64;
            prop_assert!((*share as f64 - exact).abs() < 1.0, "{share} for {exact}");
        }
    }
}
