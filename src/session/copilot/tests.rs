//! Invented transcripts: every rule once.

use super::*;
use crate::session::{Channel, EventBody, InjectedSource, ToolCategory, ToolOutcome};
use crate::usage::Usage;
use proptest::prelude::*;
use serde_json::json;

/// Reads files from memory, where nothing can fail.
fn read(id: &str, files: &[(PathBuf, Vec<u8>)]) -> Session {
    super::read(id, files).expect("memory can be read")
}

const ID: &str = "7c6f5e4d-0000-4000-8000-000000000001";

/// Rows, each a second later than the one before, as a file's bytes.
fn file(rows: &[(&str, Value)]) -> Vec<u8> {
    let lines: Vec<String> = rows
        .iter()
        .enumerate()
        .map(|(second, (kind, data))| {
            let timestamp = format!("2026-05-01T10:{:02}:{:02}.000Z", second / 60, second % 60);
            json!({ "type": kind, "data": data, "id": format!("e{second}"), "timestamp": timestamp, "parentId": null })
                .to_string()
        })
        .collect();
    lines.join("\n").into_bytes()
}

fn start() -> (&'static str, Value) {
    ("session.start", json!({ "sessionId": ID, "copilotVersion": "1.0.64", "selectedModel": "gpt-5" }))
}

fn user(content: &str) -> (&'static str, Value) {
    let seen = format!("<current_datetime>now</current_datetime>\n\n{content}");
    ("user.message", json!({ "content": content, "transformedContent": seen, "attachments": [] }))
}

fn message(content: &str, output: u64, calls: &[(&str, &str)]) -> (&'static str, Value) {
    let calls: Vec<Value> = calls
        .iter()
        .map(|(id, command)| json!({ "toolCallId": id, "name": "bash", "arguments": { "command": command } }))
        .collect();
    ("assistant.message", json!({ "content": content, "toolRequests": calls, "outputTokens": output }))
}

fn begins(id: &str, command: &str) -> (&'static str, Value) {
    let data = json!({ "toolCallId": id, "toolName": "bash", "arguments": { "command": command } });
    ("tool.execution_start", data)
}

fn ends(id: &str, success: bool, content: &str) -> (&'static str, Value) {
    let data = json!({ "toolCallId": id, "success": success, "result": { "content": content } });
    ("tool.execution_complete", data)
}

fn decided(id: &str, kind: &str, feedback: &str) -> (&'static str, Value) {
    let result = json!({ "kind": kind, "feedback": feedback });
    ("permission.completed", json!({ "requestId": "r", "toolCallId": id, "result": result }))
}

fn shutdown(metrics: Value) -> (&'static str, Value) {
    ("session.shutdown", json!({ "shutdownType": "routine", "modelMetrics": metrics }))
}

fn metric(input: u64, read: u64, write: u64, output: u64) -> Value {
    json!({ "usage": { "inputTokens": input, "cacheReadTokens": read, "cacheWriteTokens": write,
                       "outputTokens": output, "reasoningTokens": output / 2 } })
}

fn read_bytes(bytes: Vec<u8>) -> Session {
    read(ID, &[(PathBuf::from("s/events.jsonl"), bytes)])
}

fn session(rows: &[(&str, Value)]) -> Session {
    read_bytes(file(rows))
}

fn prompts(session: &Session) -> Vec<(&str, Channel)> {
    session.prompts().map(|(_, prompt)| (prompt.text.as_str(), prompt.channel)).collect()
}

fn outcomes(session: &Session) -> Vec<ToolOutcome> {
    let results = session.events.iter().filter_map(|event| match &event.body {
        EventBody::ToolResult(result) => Some(result.outcome),
        _ => None,
    });
    results.collect()
}

fn interruptions(session: &Session) -> Vec<bool> {
    let marks = session.events.iter().filter_map(|event| match event.body {
        EventBody::Interruption { during_tool } => Some(during_tool),
        _ => None,
    });
    marks.collect()
}

#[test]
fn a_prompt_is_what_was_typed_and_not_what_the_client_made_of_it() {
    let session = session(&[start(), user("fix it"), message("Done.", 5, &[])]);
    assert_eq!(prompts(&session), [("fix it", Channel::Typed)]);
    assert_eq!(session.models, ["gpt-5"]);
    assert_eq!(session.id.as_str(), format!("copilot:{ID}"));
}

#[test]
fn what_the_client_sends_in_the_humans_name_is_no_prompt() {
    let mut rows = vec![start(), user("go"), user("  "), user("continue")];
    rows[3].1["isAutopilotContinuation"] = json!(true);
    for source in ["skill-pdf", "schedule-1", "agent-7", "command-init"] {
        let mut row = user("text of another hand");
        row.1["source"] = json!(source);
        rows.push(row);
    }
    let mut command = user("/review the parser");
    command.1["source"] = json!("command-review");
    rows.push(command);
    let session = session(&rows);
    assert_eq!(prompts(&session), [("go", Channel::Typed), ("/review the parser", Channel::SlashCommand)]);
    assert_eq!(session.subagent_events, 1);
}

#[test]
fn words_delivered_in_mid_turn_are_steering_and_images_count() {
    let mut steering = user("not there");
    steering.1["delivery"] = json!("steering");
    steering.1["attachments"] = json!([{ "type": "file", "path": "/a/b.PNG" }, { "type": "file", "path": "/a/b.rs" }]);
    let session = session(&[start(), user("/tmp is full"), steering]);
    assert_eq!(prompts(&session), [("/tmp is full", Channel::Typed), ("not there", Channel::Steering)]);
    assert_eq!(session.prompts().map(|(_, prompt)| prompt.images).collect::<Vec<_>>(), [0, 1]);
}

#[test]
fn a_command_that_the_human_runs_is_a_prompt_and_no_call() {
    let asked =
        ("tool.user_requested", json!({ "toolCallId": "u", "toolName": "bash", "arguments": { "command": "ls" } }));
    let session = session(&[start(), asked, begins("u", "ls"), ends("u", true, "a.txt")]);
    assert_eq!(prompts(&session), [("ls", Channel::Shell)]);
    assert_eq!(session.tool_calls().count(), 0);
    assert!(matches!(&session.events[1].body, EventBody::Injected { source: InjectedSource::CommandOutput, .. }));
}

#[test]
fn a_call_that_is_asked_for_and_begun_is_one_call() {
    let session = session(&[
        start(),
        user("go"),
        message("I will look.", 5, &[("c1", "ls"), ("c2", "cargo test")]),
        begins("c2", "cargo test"),
        begins("c1", "ls"),
        ends("c2", true, "ok\n<shellId: 1 completed with exit code 0>"),
        ends("c1", true, "a"),
        begins("c3", "pwd"),
    ]);
    let calls: Vec<_> = session.tool_calls().map(|(_, call)| (call.input.as_str(), call.category)).collect();
    let expected =
        [("ls", ToolCategory::Research), ("cargo test", ToolCategory::Verify), ("pwd", ToolCategory::Research)];
    assert_eq!(calls, expected);
    let answered = session.events.iter().filter_map(|event| match &event.body {
        EventBody::ToolResult(result) => result.call,
        _ => None,
    });
    assert_eq!(answered.collect::<Vec<_>>(), [4, 3]);
}

#[test]
fn calls_without_usable_ids_are_told_apart_by_order() {
    let session = session(&[
        start(),
        message("", 5, &[("REDACTED", "ls"), ("REDACTED", "pwd")]),
        begins("REDACTED", "ls"),
        begins("REDACTED", "pwd"),
        ends("REDACTED", true, "a"),
        ends("REDACTED", false, "b"),
    ]);
    assert_eq!(session.tool_calls().count(), 2);
    assert_eq!(outcomes(&session), [ToolOutcome::Ok, ToolOutcome::Failed]);
}

#[test]
fn a_shell_command_fails_by_its_exit_code_in_the_last_line_alone() {
    let session = session(&[
        start(),
        message("", 5, &[("a", "false"), ("b", "cat log"), ("c", "x")]),
        ends("a", true, "no\n<shellId: 3 completed with exit code 1>"),
        ends("b", true, "<exited with exit code 1>\n<exited with exit code 0>"),
        ends("c", false, "no such tool"),
    ]);
    assert_eq!(outcomes(&session), [ToolOutcome::Failed, ToolOutcome::Ok, ToolOutcome::Failed]);
}

#[test]
fn a_refused_call_is_rejected_once_and_its_reason_is_a_prompt() {
    let mut refused = ends("a", false, "");
    refused.1["error"] = json!({ "code": "denied", "message": "The user refused." });
    refused.1["result"] = Value::Null;
    let session = session(&[
        start(),
        message("", 5, &[("a", "rm -r x"), ("b", "ls"), ("c", "id")]),
        ("permission.requested", json!({ "requestId": "r", "permissionRequest": { "toolCallId": "a" } })),
        (
            "permission.completed",
            json!({ "requestId": "r", "result": { "kind": "denied-interactively-by-user", "feedback": "keep x" } }),
        ),
        refused,
        decided("b", "approved", ""),
        ends("b", true, "x"),
        decided("c", "denied-by-rules", ""),
        ends("c", false, "not allowed"),
    ]);
    assert_eq!(outcomes(&session), [ToolOutcome::Rejected, ToolOutcome::Ok, ToolOutcome::Failed]);
    assert_eq!(prompts(&session), [("keep x", Channel::Rejection)]);
    assert!(matches!(&session.events[3].body, EventBody::ToolResult(result) if result.text == "The user refused."));
}

#[test]
fn an_interruption_is_the_humans_and_cuts_off_what_runs() {
    let abort = |reason: &str| ("abort", json!({ "reason": reason }));
    let session = session(&[
        start(),
        user("go"),
        message("", 5, &[("a", "sleep 9")]),
        begins("a", "sleep 9"),
        abort("user_initiated"),
        ends("a", false, ""),
        user("again"),
        abort("user_initiated"),
        abort("autopilot_credit_limit"),
    ]);
    assert_eq!(interruptions(&session), [true, false]);
    assert_eq!(outcomes(&session), [ToolOutcome::Interrupted]);
}

#[test]
fn subagents_rows_are_counted_and_nothing_else() {
    let mut rows = vec![start(), user("go"), ("subagent.started", json!({ "toolCallId": "t" }))];
    rows[1].1["parentAgentTaskId"] = json!("root");
    let mut inner = message("inner", 100, &[("s", "ls")]);
    inner.1["parentToolCallId"] = json!("t");
    rows.push(inner);
    let mut given = user("look around");
    given.1["parentAgentTaskId"] = json!("other");
    rows.push(given);
    rows.push(("subagent.completed", json!({ "toolCallId": "t" })));
    let mut later = user("thanks");
    later.1["parentAgentTaskId"] = json!("another process");
    rows.push(later);
    let session = session(&rows);
    assert_eq!(session.subagent_events, 2);
    assert_eq!(prompts(&session).len(), 2);
    assert_eq!((session.tool_calls().count(), session.usage.output), (0, 0));
}

#[test]
fn usage_is_booked_without_overlap() {
    let session = session(&[start(), message("", 9, &[]), shutdown(json!({ "gpt-5": metric(1000, 800, 50, 60) }))]);
    assert_eq!(session.usage, Usage { input: 150, cached_input: 800, cache_write: 50, output: 60, reasoning: 30 });
}

#[test]
fn an_account_that_goes_on_replaces_and_one_that_begins_anew_adds() {
    let resume = || ("session.resume", json!({ "eventCount": 3 }));
    let rows = |second: Value| {
        let first = shutdown(json!({ "gpt-5": metric(100, 0, 0, 40) }));
        session(&[start(), message("", 40, &[]), first, resume(), message("", 30, &[]), shutdown(second)]).usage
    };
    let goes_on = rows(json!({ "gpt-5": metric(180, 0, 0, 70) }));
    assert_eq!((goes_on.input, goes_on.output), (180, 70));
    let anew = rows(json!({ "gpt-5": metric(120, 0, 0, 30) }));
    assert_eq!((anew.input, anew.output), (220, 70));
}

#[test]
fn without_an_account_the_messages_tell_the_output() {
    let mut again = message("second piece", 12, &[]);
    again.1["messageId"] = json!("m");
    let mut first = message("first piece", 12, &[]);
    first.1["messageId"] = json!("m");
    let rows = [start(), first, again, message("", 3, &[])];
    assert_eq!(session(&rows).usage, Usage { output: 15, ..Usage::default() });
    let silent = [&rows[..], &[shutdown(json!({ "gpt-5": metric(0, 0, 0, 0) }))]].concat();
    assert_eq!(session(&silent).usage.output, 15);
}

#[test]
fn a_model_that_only_subagents_use_is_not_booked() {
    let mut inner = message("inner", 100, &[]);
    inner.1["parentToolCallId"] = json!("t");
    inner.1["model"] = json!("small");
    let account = json!({ "gpt-5": metric(10, 0, 0, 4), "small": metric(500, 0, 0, 100) });
    let session = session(&[start(), inner, message("", 4, &[]), shutdown(account)]);
    assert_eq!((session.usage.input, session.usage.output), (10, 4));
    assert_eq!(session.models, ["gpt-5"]);
}

#[test]
fn waiting_for_the_human_is_no_work() {
    let session = session(&[
        start(),
        ("hook.start", json!({ "hookType": "userPromptSubmitted", "input": {} })),
        ("system.message", json!({ "content": "You are an agent." })),
        user("go"),
        message("", 1, &[("a", "ls")]),
        decided("a", "approved", ""),
        ends("a", true, ""),
        shutdown(json!({})),
    ]);
    assert_eq!((session.active_seconds, session.wall_seconds()), (2.0, 7.0));
}

#[test]
fn commits_compactions_errors_and_unknown_rows_are_told() {
    let session = session(&[
        start(),
        message("", 5, &[("a", "git commit -m x"), ("b", "git log")]),
        ends("a", true, "[main 1a2b3c4] Subject\n<exited with exit code 0>"),
        ends("b", true, "[main 1a2b3c4] Subject"),
        ("session.compaction_complete", json!({ "success": true, "summaryContent": "so far" })),
        ("session.compaction_complete", json!({ "success": false })),
        ("session.error", json!({ "message": "out of quota" })),
        ("session.from_the_future", json!({})),
    ]);
    assert_eq!(session.commits().collect::<Vec<_>>(), [("1a2b3c4", "Subject")]);
    let summary = session.summary();
    assert_eq!((summary.compactions, summary.read.unknown["session.from_the_future"]), (1, 1));
    assert!(
        matches!(&session.events[session.events.len() - 1].body, EventBody::ClientError { text } if text == "out of quota")
    );
}

#[test]
fn a_rewind_withdraws_what_came_after() {
    let back = ("session.snapshot_rewind", json!({ "upToEventId": "e3", "eventsRemoved": 2 }));
    let session = session(&[start(), user("one"), message("ok", 1, &[]), user("two"), message("ok", 1, &[]), back]);
    assert!(matches!(session.events[4].body, EventBody::Rewind { first_event: 3, prompts: 1 }));
}

#[test]
fn the_old_document_tells_the_same() {
    let entry = |kind: &str, second: u32, mut fields: Value| {
        fields["type"] = json!(kind);
        fields["timestamp"] = json!(format!("2025-09-01T10:00:{second:02}.000Z"));
        fields
    };
    let document = json!({
        "sessionId": ID,
        "startTime": "2025-09-01T10:00:00.000Z",
        "chatMessages": [],
        "timeline": [
            entry("info", 1, json!({ "text": "Connected" })),
            entry("user", 5, json!({ "text": "go" })),
            entry("copilot", 7, json!({ "text": "I will look." })),
            entry("tool_call_completed", 8, json!({ "callId": "a", "name": "str_replace_editor",
                "arguments": { "command": "view", "path": "a.rs" }, "result": { "type": "success", "log": "fn main" } })),
            entry("tool_call_completed", 9, json!({ "callId": "b", "name": "bash",
                "arguments": { "command": "cargo test" }, "result": { "type": "success", "log": "<exited with exit code 101>" } })),
            entry("tool_call_completed", 10, json!({ "callId": "c", "name": "bash",
                "arguments": { "command": "rm x" }, "result": { "type": "rejected" } })),
        ],
    });
    let text = serde_json::to_string_pretty(&document).expect("JSON can be written");
    assert_eq!(recognise(text.as_bytes(), Path::new("any.json")).as_deref(), Some(ID));
    assert_eq!(
        recognise(&text.as_bytes()[..200], Path::new("any.json")).as_deref(),
        Some(ID),
        "also from its beginning"
    );
    let session = read_bytes(text.into_bytes());
    assert_eq!(prompts(&session), [("go", Channel::Typed)]);
    assert_eq!(outcomes(&session), [ToolOutcome::Ok, ToolOutcome::Failed, ToolOutcome::Rejected]);
    assert_eq!(session.tool_calls().next().map(|(_, call)| call.category), Some(ToolCategory::Research));
    assert_eq!((session.active_seconds, session.wall_seconds()), (6.0, 10.0));
}

#[test]
fn a_transcript_is_known_by_its_rows() {
    let path = Path::new("state/folder-id/events.jsonl");
    assert_eq!(recognise(&file(&[start()]), path).as_deref(), Some(ID));
    assert_eq!(recognise(&file(&[user("a slice")]), path).as_deref(), Some("folder-id"));
    assert_eq!(recognise(&file(&[user("a slice")]), Path::new("named.jsonl")).as_deref(), Some("named"));
    for other in [r#"{"type":"user.message"}"#, r#"{"sessionId":"x","startTime":1}"#, "{}", "", "[]", "sessionId"] {
        assert_eq!(recognise(other.as_bytes(), path), None, "{other}");
    }
}

#[test]
fn of_several_copies_the_longest_is_read() {
    let short = file(&[start(), user("one")]);
    let long = file(&[start(), user("one"), user("two")]);
    let files = [(PathBuf::from("a"), short), (PathBuf::from("b"), long)];
    let session = read(ID, &files);
    assert_eq!((session.prompts().count(), session.path), (2, PathBuf::from("b")));
}

#[test]
fn real_transcripts_read_without_loss() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/sessions/copilot");
    if !folder.is_dir() {
        eprintln!("skipped: no real transcripts in {}", folder.display());
        return;
    }
    let corpus = crate::corpus::find(&[folder]).expect("the folder holds transcripts");
    let sessions = corpus.read_all(|session| session.summary());
    assert!(!sessions.is_empty() && corpus.skipped().is_empty());
    for session in sessions {
        let session = session.expect("the files can be read");
        assert!(session.prompts > 0 && session.active_seconds > 0.0, "{}", session.id);
        assert_eq!((session.read.bad, session.read.unknown.len()), (0, 0), "{}", session.id);
    }
}

proptest! {
    #[test]
    fn no_bytes_make_the_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        recognise(&bytes, Path::new("é.jsonl"));
        read_bytes(bytes);
    }

    #[test]
    fn no_rows_make_the_reader_panic(
        rows in prop::collection::vec((prop::sample::select(vec![
            "session.start", "user.message", "assistant.message", "tool.execution_start", "tool.execution_complete",
            "permission.completed", "abort", "session.snapshot_rewind", "session.shutdown", "subagent.started",
            "tool.user_requested", "session.resume",
        ]), crate::session::value::any_json()), 0..12),
    ) {
        let session = session(&rows);
        prop_assert_eq!(session.read.records, rows.len() as u64);
        for (at, event) in session.events.iter().enumerate() {
            prop_assert_eq!(event.number as usize, at + 1);
        }
    }

    #[test]
    fn no_document_makes_the_reader_panic(entries in prop::collection::vec(crate::session::value::any_json(), 0..8)) {
        let document = json!({ "sessionId": ID, "startTime": 1, "chatMessages": [], "timeline": entries });
        read_bytes(document.to_string().into_bytes());
    }
}
