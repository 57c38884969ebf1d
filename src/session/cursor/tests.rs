//! Invented transcripts: every rule once.

use super::*;
use crate::session::{ToolCategory, ToolOutcome};
use proptest::prelude::*;
use serde_json::{Value, json};

/// Reads files from memory, where nothing can fail.
fn read(id: &str, files: &[(PathBuf, Vec<u8>)]) -> Session {
    super::read(id, files).expect("memory can be read")
}

fn message(role: &str, content: Value) -> Value {
    json!({ "role": role, "message": { "content": content } })
}

fn text(role: &str, text: &str) -> Value {
    message(role, json!([{ "type": "text", "text": text }]))
}

fn file(rows: &[Value]) -> Vec<u8> {
    rows.iter().map(|row| format!("{row}\n")).collect::<String>().into_bytes()
}

fn session(rows: &[Value]) -> Session {
    read("s", &[(PathBuf::from("s.jsonl"), file(rows))])
}

fn prompts(session: &Session) -> Vec<&str> {
    session.prompts().map(|(_, prompt)| prompt.text.as_str()).collect()
}

fn injected(session: &Session) -> Vec<(InjectedSource, &str)> {
    let texts = session.events.iter().filter_map(|event| match &event.body {
        EventBody::Injected { source, text } => Some((*source, text.as_str())),
        _ => None,
    });
    texts.collect()
}

fn results(session: &Session) -> Vec<(Option<u32>, ToolOutcome)> {
    let results = session.events.iter().filter_map(|event| match &event.body {
        EventBody::ToolResult(result) => Some((result.call, result.outcome)),
        _ => None,
    });
    results.collect()
}

#[test]
fn the_humans_words_are_within_the_marks_of_a_query() {
    let session = session(&[
        text("user", "<timestamp>Monday</timestamp>\n<user_query>\nfix it\n</user_query>\n<extra>x</extra>"),
        text("user", "<system_notice>a task ended</system_notice>"),
        text("user", "words without a mark"),
        message(
            "user",
            json!([{ "type": "text", "text": "<user_query>a</user_query>" }, { "type": "text", "text": "<user_query>b" }]),
        ),
    ]);
    assert_eq!(prompts(&session), ["fix it", "words without a mark", "a\nb"]);
    let expected = [
        (InjectedSource::Context, "<timestamp>Monday</timestamp>"),
        (InjectedSource::Context, "<extra>x</extra>"),
        (InjectedSource::Harness, "<system_notice>a task ended</system_notice>"),
    ];
    assert_eq!(injected(&session), expected);
}

#[test]
fn without_marks_a_text_is_the_humans_unless_the_client_wrote_its_tag() {
    let session = session(&[text("user", "<div> is not closed"), text("user", "<user_info>\nOS: x\n</user_info>")]);
    assert_eq!(prompts(&session), ["<div> is not closed"]);
}

#[test]
fn an_accepted_plan_is_no_prompt() {
    let words = "Implement the plan as specified, it is attached for your reference. Do NOT edit the plan file itself.";
    let session = session(&[text("user", &format!("<user_query>\n{words}\n</user_query>"))]);
    assert_eq!((prompts(&session).len(), injected(&session)), (0, vec![(InjectedSource::AcceptedPlan, words)]));
}

#[test]
fn calls_without_ids_get_their_results_in_order() {
    let session = session(&[
        text("user", "go"),
        message(
            "assistant",
            json!([
                { "type": "thinking", "thinking": "hm" },
                { "type": "text", "text": "I will.\n\n[REDACTED]" },
                { "type": "tool_use", "name": "Shell", "input": { "command": "git commit -m x" } },
                { "type": "tool_use", "name": "StrReplace", "input": { "path": "a", "old_string": "b" } },
            ]),
        ),
        message("user", json!([{ "type": "tool_result", "tool_use_id": "t1", "content": "[main 1a2b3c4] x" }])),
        message("user", json!([{ "type": "tool_result", "tool_use_id": "t2", "content": "no", "is_error": true }])),
    ]);
    assert_eq!(prompts(&session), ["go"]);
    assert!(matches!(&session.events[1].body, EventBody::Reply { text } if text == "I will."));
    let categories: Vec<_> = session.tool_calls().map(|(_, call)| call.category).collect();
    assert_eq!(categories, [ToolCategory::Git, ToolCategory::Edit]);
    assert_eq!(results(&session), [(Some(3), ToolOutcome::Ok), (Some(4), ToolOutcome::Failed)]);
    assert_eq!(session.commits().count(), 1);
}

#[test]
fn a_turn_that_was_stopped_is_an_interruption_and_one_that_failed_an_error() {
    let end = |status: &str| json!({ "type": "turn_ended", "status": status, "error": "limit" });
    let session =
        session(&[text("user", "go"), end("success"), end("aborted"), end("error"), json!({ "type": "new" })]);
    assert!(matches!(session.events[1].body, EventBody::Interruption { during_tool: false }));
    assert!(matches!(&session.events[2].body, EventBody::ClientError { text } if text == "limit"));
    assert_eq!((session.events.len(), session.read.unknown["new"]), (3, 1));
}

#[test]
fn the_plain_text_tells_the_same() {
    let text = "user:\n<user_query>\nfix\nassistant:\nis a word here\n</user_query>\n\nassistant:\n[Thinking] hm\nmore\n\nI will look.\n\
                [Tool call] Shell\n  command: cargo test\n  description: Test\n\n[Tool result] Shell\nok\n\nassistant:\nDone.\n\n\
                user:\n<user_query>thanks</user_query>\n";
    assert_eq!(recognise(text.as_bytes(), Path::new("a/c0ffee.txt")).as_deref(), Some("c0ffee"));
    let session = read("s", &[(PathBuf::from("s.txt"), text.as_bytes().to_vec())]);
    assert_eq!(prompts(&session), ["fix\nassistant:\nis a word here", "thanks"]);
    let calls: Vec<_> = session.tool_calls().map(|(_, call)| (call.input.as_str(), call.category)).collect();
    assert_eq!(calls, [("cargo test", ToolCategory::Verify)]);
    let replies = session.events.iter().filter_map(|event| match &event.body {
        EventBody::Reply { text } => Some(text.as_str()),
        _ => None,
    });
    assert_eq!(replies.collect::<Vec<_>>(), ["I will look.", "Done."]);
    assert_eq!(results(&session), [(Some(3), ToolOutcome::Ok)]);
    assert_eq!((session.read.records, session.read.lines), (4, 19));
}

#[test]
fn subagents_belong_to_the_session_that_started_them_and_have_no_prompts() {
    let rows = file(&[text("user", "look"), text("assistant", "ok")]);
    let child = PathBuf::from("p/main-id/subagents/child.jsonl");
    assert_eq!(recognise(&rows, &child).as_deref(), Some("main-id"));
    let main = (PathBuf::from("p/main-id/main-id.jsonl"), file(&[text("user", "go")]));
    let whole = read("main-id", &[main, (child.clone(), rows.clone())]);
    assert_eq!((whole.prompts().count(), whole.subagent_events, whole.read.records), (1, 2, 3));
    let alone = read("main-id", &[(child, rows)]);
    assert_eq!((alone.prompts().count(), alone.subagent_events), (0, 2));
}

#[test]
fn only_cursors_rows_are_cursors() {
    let path = Path::new("c.jsonl");
    assert_eq!(recognise(&file(&[text("user", "go")]), path).as_deref(), Some("c"));
    let typed = json!({ "type": "message", "role": "user", "message": { "content": "go" } });
    let wrapped = json!({ "type": "message", "id": "m", "message": { "role": "user", "content": [] } });
    for other in [typed, wrapped, json!({ "role": "user", "content": "go" }), json!({})] {
        assert_eq!(recognise(&file(std::slice::from_ref(&other)), path), None, "{other}");
    }
    for other in ["user:\nhello\nassistant:\nhi\n", "user: <user_query>", "", "assistant:\n<user_query>"] {
        assert_eq!(recognise(other.as_bytes(), path), None, "{other}");
    }
}

proptest! {
    #[test]
    fn no_bytes_make_the_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        recognise(&bytes, Path::new("é.jsonl"));
        read("s", &[(PathBuf::from("s"), bytes)]);
    }

    #[test]
    fn no_text_makes_the_reader_panic(
        text in "user:\n<user_query>((user:|assistant:|\\[Thinking\\]|\\[Tool call\\] |\\[Tool result\\]|</user_query>|é| a: b|[a-z ])\n?){0,40}",
    ) {
        read("s", &[(PathBuf::from("s"), text.into_bytes())]);
    }

    #[test]
    fn no_rows_make_the_reader_panic(
        rows in prop::collection::vec((prop::sample::select(vec!["user", "assistant", "tool", "x"]), crate::session::value::any_json()), 0..12),
    ) {
        let rows: Vec<Value> = rows.into_iter().map(|(role, content)| message(role, content)).collect();
        let session = session(&rows);
        prop_assert_eq!(session.read.records, rows.len() as u64);
    }
}
