//! What is forgiven in an answer, what is not, and which citations a transcript bears out.

use super::*;
use crate::session::{Agent, Channel, SessionBuilder, ToolCategory, ToolOutcome};
use proptest::prelude::*;
use serde_json::json;
use std::path::PathBuf;
use std::sync::LazyLock;

/// A codebook with one label and one text, in this order.
fn simple() -> Codebook {
    Codebook::of_text(
        "t",
        "+++\ntask = \"t\"\ntitle = \"T\"\nunit = \"prompt\"\nsees = {}\n[[field]]\nname = \"reason\"\ntype = \"text\"\n[[field]]\n\
         name = \"label\"\ntype = \"label\"\n[[field.label]]\nname = \"a\"\ndefinition = \"A\"\n[[field.label]]\nname = \"b\"\n\
         definition = \"B\"\n+++\n{% block m %}x{% endblock %}\n",
    )
    .unwrap()
}

/// An answer to the codebook of every type.
fn whole() -> Value {
    json!({
        "proof": [{ "event": 1, "quote": "go" }], "reason": "r", "label": "yes", "topics": ["db", "ui", "db"], "score": 7.0,
        "hours": 1.5, "urgent": false, "phases": { "writing": 60, "reading": 40.0 },
        "checks": { "committed": true, "tests_run": false }, "mood": null,
    })
}

/// The whole answer with one member changed.
fn with(field: &str, value: Value) -> String {
    let mut answer = whole();
    answer[field] = value;
    answer.to_string()
}

fn refused(text: &str) -> String {
    read(&Codebook::with_every_type(), text).expect_err("the answer is refused").to_string()
}

#[test]
fn a_plain_answer_needs_no_repair_and_comes_out_in_the_codebooks_order() {
    let answer = read(&simple(), r#" {"label": "b", "reason": "because"} "#).unwrap();
    assert_eq!(answer.repaired, None);
    assert_eq!(serde_json::to_string(&answer.fields).unwrap(), r#"{"reason":"because","label":"b"}"#);
}

#[test]
fn what_cannot_change_a_value_is_forgiven_and_said() {
    const PLAIN: &str = r#"{"reason": "a } or { in it, \"so\"", "label": "a"}"#;
    let comma = PLAIN.replace("\"a\"}", "\"a\",\n}");
    let cases = [
        (format!("```json\n{PLAIN}\n```"), "code fence removed"),
        (format!("```\n{PLAIN}\n```\n"), "code fence removed"),
        (format!("Sure, here it is:\n\n```json\n{PLAIN}\n```\nAnything else?"), "code fence removed"),
        (format!("The answer is {PLAIN}. I hope it helps!"), "text around the object removed"),
        (format!("The prompt says {{this}}, so: {PLAIN}"), "text around the object removed"),
        (comma.clone(), "trailing comma removed"),
        (format!("```json\n{comma}\n```"), "trailing comma removed"),
    ];
    for (text, repair) in cases {
        let answer = read(&simple(), &text).unwrap_or_else(|error| panic!("{error}: {text}"));
        assert_eq!(answer.repaired, Some(repair), "{text}");
        assert_eq!(Value::Object(answer.fields), serde_json::from_str::<Value>(PLAIN).unwrap(), "{text}");
    }
}

#[test]
fn a_line_break_that_is_not_escaped_is_a_part_of_its_text() {
    for (written, meant) in [("one\ntwo\ttabs\0", "one\ntwo\ttabs\0"), ("a \\\\\n b \\\" c\u{1}", "a \\\n b \" c\u{1}")]
    {
        let text = format!("{{\n\"reason\": \"{written}\",\n\t\"label\": \"a\"\n}}");
        let answer = read(&simple(), &text).unwrap_or_else(|error| panic!("{error}: {text:?}"));
        assert_eq!(answer.fields["reason"], json!(meant));
        assert_eq!(answer.repaired, Some("control characters in a text escaped"));
    }
    // A backslash before a line break is an escape in other languages.
    let answer = read(&simple(), "{\"reason\": \"a\\\nb\", \"label\": \"a\"}").unwrap();
    assert_eq!(answer.fields["reason"], json!("a\\\nb"));
}

#[test]
fn a_comma_within_a_text_stays() {
    let answer = read(&simple(), r#"{"reason": "x,} y,]", "label": "a",}"#).unwrap();
    assert_eq!(answer.fields["reason"], json!("x,} y,]"));
}

#[test]
fn two_answers_are_none() {
    const A: &str = r#"{"reason": "r", "label": "a"}"#;
    const B: &str = r#"{"reason": "r", "label": "b"}"#;
    for text in [
        format!("{A}\n{B}"),
        format!("```json\n{A}\n```\n```json\n{B}\n```"),
        format!("```json\n{A}\n```\nNo, rather {B}"),
        format!("{A} or ```json\n{B}\n```"),
        format!("{A},{}", B.replace('}', ",}")),
        format!("{A}\n{}", B.trim_end_matches('}')),
    ] {
        assert_eq!(
            read(&simple(), &text).unwrap_err().to_string(),
            "the answer is not valid JSON: there is more than one JSON object",
            "{text}"
        );
    }
}

#[test]
fn what_is_no_object_or_a_broken_one_is_told_apart() {
    for text in ["", "   ", "I would rather not.", "[]", "null", "\"a\"", "```\n```", "}"] {
        assert_eq!(read(&simple(), text), Err(AnswerError::NoObject), "{text}");
    }
    for text in
        ["{", r#"{"reason": "cut of"#, r#"{"reason": "r" "label": "a"}"#, "{'reason': 'r', 'label': 'a'}", "{a} {b}"]
    {
        assert!(matches!(read(&simple(), text), Err(AnswerError::Syntax(_))), "{text}");
    }
}

#[test]
fn missing_and_unknown_fields_are_named() {
    assert_eq!(read(&simple(), r#"{"label": "a"}"#), Err(AnswerError::Missing("reason".to_owned())));
    assert_eq!(
        read(&simple(), r#"{"reason": null, "label": "a"}"#).unwrap_err().to_string(),
        "field `reason` is null; it must be text"
    );
    let error = read(&simple(), r#"{"reason": "", "label": "a", "confidence": 1}"#).unwrap_err();
    assert_eq!(error, AnswerError::Unknown("confidence".to_owned()));
}

#[test]
fn every_type_has_its_normal_form() {
    let answer = read(&Codebook::with_every_type(), &whole().to_string()).unwrap();
    assert_eq!(
        Value::Object(answer.fields.clone()).to_string(),
        json!({
            "reason": "r", "label": "yes", "topics": ["ui", "db"], "score": 7, "hours": 1.5, "urgent": false,
            "phases": { "reading": 40.0, "writing": 60 }, "checks": { "tests_run": false, "committed": true }, "mood": null,
        })
        .to_string()
    );
    assert_eq!(answer.evidence, [Citation { event: 1, quote: "go".to_owned() }]);
    let mut short = whole();
    short.as_object_mut().unwrap().retain(|name, _| name != "mood" && name != "hours");
    let answer = read(&Codebook::with_every_type(), &short.to_string()).unwrap();
    assert_eq!((&answer.fields["mood"], &answer.fields["hours"]), (&Value::Null, &Value::Null));
}

#[test]
fn values_outside_their_type_are_refused_with_what_is_wrong() {
    let cases = [
        ("label", json!("maybe"), "field `label` is \"maybe\"; it must be one of no, yes, on"),
        ("label", json!(true), "field `label` is true; it must be one of no, yes, on"),
        ("label", json!("Yes"), "field `label` is \"Yes\"; it must be one of no, yes, on"),
        ("topics", json!("ui"), "field `topics` is \"ui\"; it must be a list of labels"),
        ("topics", json!(["ui", "api"]), "field `topics` holds \"api\"; known labels: ui, db"),
        ("score", json!(11), "field `score` is 11; it must be a whole number from 0 to 10"),
        ("score", json!(-1), "field `score` is -1; it must be a whole number from 0 to 10"),
        ("score", json!(7.5), "field `score` is 7.5; it must be a whole number from 0 to 10"),
        ("score", json!("7"), "field `score` is \"7\"; it must be a whole number from 0 to 10"),
        ("score", json!(1e300), "field `score` is 1e+300; it must be a whole number from 0 to 10"),
        ("hours", json!("1"), "field `hours` is \"1\"; it must be a number"),
        ("urgent", json!("false"), "field `urgent` is \"false\"; it must be true or false"),
        ("urgent", json!(0), "field `urgent` is 0; it must be true or false"),
        (
            "phases",
            json!({ "reading": 50, "writing": 48 }),
            "field `phases` has parts that sum to 98; they must sum to 100",
        ),
        (
            "phases",
            json!({ "reading": 100 }),
            "field `phases` lacks `writing`; each part needs a percentage from 0 to 100",
        ),
        (
            "phases",
            json!({ "reading": 120, "writing": -20 }),
            "field `phases` has `reading` = 120; each part needs a percentage from 0 to 100",
        ),
        (
            "phases",
            json!({ "reading": 50, "writing": 50, "rest": 0 }),
            "field `phases` has an unknown part `rest`; each part needs a percentage from 0 to 100",
        ),
        ("phases", json!([50, 50]), "field `phases` is [50,50]; each part needs a percentage from 0 to 100"),
        (
            "checks",
            json!({ "tests_run": "yes", "committed": true }),
            "field `checks` has `tests_run` = \"yes\"; each criterion needs true or false",
        ),
        ("mood", json!("fine"), "field `mood` is \"fine\"; it must be one of good, bad"),
        ("proof", json!("event 1"), "field `proof` is \"event 1\"; it must be a list of {event, quote}"),
    ];
    for (field, value, expected) in cases {
        assert_eq!(refused(&with(field, value)), expected);
    }
    let error = refused(&with("proof", json!([{ "event": "1", "quote": "x" }])));
    assert!(error.starts_with("field `proof` must be a list of {event, quote}: "), "{error}");
}

#[test]
fn shares_may_miss_100_by_rounding_only() {
    for (reading, fine) in [(60.9, true), (61.1, false), (59.1, true), (58.9, false)] {
        let text = with("phases", json!({ "reading": reading, "writing": 40 }));
        assert_eq!(read(&Codebook::with_every_type(), &text).is_ok(), fine, "{reading}");
    }
}

fn session() -> Session {
    let mut builder = SessionBuilder::new(Agent::Codex, "x", PathBuf::from("x.jsonl"));
    builder.prompt(None, Channel::Typed, "Please fix\n   the “parser” now", 0);
    builder.reply(None, "I will read the file first, and then change it.");
    let call = builder.tool_call(None, "Bash", ToolCategory::Shell, "cargo test");
    builder.tool_result(None, Some(call), ToolOutcome::Ok, "ok. 3 passed");
    builder.finish()
}

#[test]
fn a_citation_is_found_where_the_shown_event_holds_its_words() {
    let cases = [
        (1, "fix the “parser”", true),
        (1, "\"fix the “parser\"", true),
        (1, "Please … now", true),
        (1, "now ... Please", false),
        (2, "read the file … change it", true),
        (2, "read the files", false),
        (2, "cargo test", false),
        (3, "cargo test", true),
        (1, "", false),
        (1, "…", false),
        (1, "''", false),
        (0, "fix", false),
        (-1, "fix", false),
        (99, "fix", false),
        (i64::MAX, "fix", false),
        // Event 4 was not shown.
        (4, "3 passed", false),
    ];
    let citations =
        cases.iter().map(|(event, quote, _)| Citation { event: *event, quote: (*quote).to_owned() }).collect();
    let found: Vec<bool> =
        check_evidence(&session(), &[1, 2, 3], citations).iter().map(|evidence| evidence.found).collect();
    assert_eq!(found, cases.map(|(_, _, found)| found));
}

/// Made once: the properties are tried many times.
static CODEBOOKS: LazyLock<(Codebook, Codebook)> = LazyLock::new(|| (simple(), Codebook::with_every_type()));

proptest! {
    #[test]
    fn no_text_makes_the_reader_panic(text in "[ -~\n`{}\\[\\]\",:\\\\…語😀]{0,200}") {
        let _ = read(&CODEBOOKS.0, &text);
        let _ = read(&CODEBOOKS.1, &text);
    }

    #[test]
    fn an_answer_is_read_whatever_is_said_around_it(before in "[^{}]{0,60}", after in "[^{}]{0,60}", reason in "\\PC{0,40}") {
        let object = json!({ "reason": reason, "label": "a" });
        let answer = read(&CODEBOOKS.0, &format!("{before}{object}{after}")).unwrap();
        prop_assert_eq!(&answer.fields["reason"], &Value::String(reason));
    }

    #[test]
    fn evidence_never_panics(event in any::<i64>(), quote in "\\PC{0,20}") {
        let evidence = check_evidence(&session(), &[1, 2], vec![Citation { event, quote }]);
        prop_assert!(evidence.len() == 1);
    }
}
