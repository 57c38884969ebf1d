//! Invented chats: every rule once.

use super::*;
use crate::session::{Channel, EventBody, InjectedSource, ToolOutcome};
use crate::usage::Usage;
use proptest::prelude::*;
use serde_json::json;
use std::path::PathBuf;

mod files;

/// Reads files from memory, where nothing can fail.
fn read(id: &str, files: &[(PathBuf, Vec<u8>)]) -> Session {
    super::read(id, files).expect("memory can be read")
}

const ID: &str = "11111111-2222-4333-8444-555555555555";

fn facts() -> Value {
    json!({ "sessionId": ID, "projectHash": "abc", "startTime": "2026-05-01T10:00:00Z", "lastUpdated": "x", "kind": "main" })
}

/// A message `second` seconds after the start.
fn message(id: &str, second: u32, kind: &str, content: impl Into<Value>) -> Value {
    let timestamp = format!("2026-05-01T10:{:02}:{:02}.000Z", second / 60, second % 60);
    json!({ "id": id, "timestamp": timestamp, "type": kind, "content": content.into() })
}

fn with(mut message: Value, fields: Value) -> Value {
    for (key, value) in fields.as_object().cloned().unwrap_or_default() {
        message[&key] = value;
    }
    message
}

fn call(id: &str, name: &str, arguments: Value, status: &str, response: Value) -> Value {
    json!({ "id": id, "name": name, "args": arguments, "status": status, "timestamp": "2026-05-01T10:00:20Z",
            "result": [{ "functionResponse": { "id": id, "name": name, "response": response } }] })
}

fn shell(id: &str, command: &str, status: &str, response: Value) -> Value {
    call(id, "run_shell_command", json!({ "command": command }), status, response)
}

fn calls(id: &str, calls: &[Value]) -> Value {
    with(message(id, 5, "gemini", ""), json!({ "toolCalls": calls, "model": "gemini-x" }))
}

fn lines(rows: &[Value]) -> Vec<u8> {
    let rows: Vec<String> = std::iter::once(&facts()).chain(rows).map(Value::to_string).collect();
    rows.join("\n").into_bytes()
}

fn session(rows: &[Value]) -> Session {
    read(ID, &[(PathBuf::from("session-a.jsonl"), lines(rows))])
}

fn prompts(session: &Session) -> Vec<&str> {
    session.prompts().map(|(_, prompt)| prompt.text.as_str()).collect()
}

fn outcomes(session: &Session) -> Vec<ToolOutcome> {
    let results = session.events.iter().filter_map(|event| match &event.body {
        EventBody::ToolResult(result) => Some(result.outcome),
        _ => None,
    });
    results.collect()
}

fn injected(session: &Session) -> Vec<(InjectedSource, &str)> {
    let injected = session.events.iter().filter_map(|event| match &event.body {
        EventBody::Injected { source, text } => Some((*source, text.as_str())),
        _ => None,
    });
    injected.collect()
}

#[test]
fn a_message_that_is_written_again_replaces_the_earlier_one() {
    let tokens = json!({ "input": 100, "output": 10, "cached": 60, "thoughts": 5, "tool": 2, "total": 117 });
    let said = with(message("g", 5, "gemini", "I look."), json!({ "tokens": tokens, "model": "gemini-x" }));
    let called = with(said.clone(), json!({ "toolCalls": [shell("c", "ls", "success", json!({ "output": "a" }))] }));
    let session = session(&[message("u", 1, "user", "look"), said, message("u2", 30, "user", "and?"), called]);
    assert_eq!(prompts(&session), ["look", "and?"]);
    assert_eq!(session.usage, Usage { input: 42, cached_input: 60, cache_write: 0, output: 15, reasoning: 5 });
    assert_eq!(session.models, ["gemini-x"]);
    let kinds: Vec<bool> = session.events.iter().map(|event| matches!(event.body, EventBody::Prompt(_))).collect();
    assert_eq!(kinds, [true, false, false, false, true], "it stays at its first place");
    assert_eq!(session.tool_calls().map(|(_, call)| call.input.as_str()).collect::<Vec<_>>(), ["ls"]);
}

#[test]
fn what_was_typed_is_the_prompt_and_not_what_it_became() {
    let expanded =
        json!([{ "text": "explain @a.rs" }, { "text": "--- Content from referenced files ---" }, { "text": "fn a()" }]);
    let noted =
        with(message("1", 1, "user", expanded.clone()), json!({ "displayContent": [{ "text": "explain @a.rs" }] }));
    let joined = "explain @b.rs\n--- Content from referenced files ---\nfn b()";
    let session = session(&[noted, message("2", 2, "user", expanded), message("3", 3, "user", joined)]);
    assert_eq!(prompts(&session), ["explain @a.rs", "explain @a.rs", "explain @b.rs"]);
    assert!(injected(&session).iter().all(|(source, _)| *source == InjectedSource::Context));
    assert_eq!(injected(&session).len(), 5);
}

#[test]
fn a_command_counts_by_the_words_that_a_human_added_to_it() {
    let command = |id, typed: &str| {
        with(
            message(id, 1, "user", json!([{ "text": "A long template" }])),
            json!({ "displayContent": [{ "text": typed }] }),
        )
    };
    let session = session(&[
        command("1", "/init"),
        command("2", "/review the parser only"),
        message("3", 3, "user", "/stats model"),
        message("4", 4, "user", "/tmp/a.log is empty, why?"),
    ]);
    let found: Vec<(&str, Channel)> = session.prompts().map(|(_, p)| (p.text.as_str(), p.channel)).collect();
    assert_eq!(
        found,
        [("/review the parser only", Channel::SlashCommand), ("/tmp/a.log is empty, why?", Channel::Typed)]
    );
    let sources: Vec<InjectedSource> = injected(&session).into_iter().map(|(source, _)| source).collect();
    use InjectedSource::{CommandOutput, Skill};
    assert_eq!(sources, [Skill, Skill, Skill, CommandOutput]);
}

#[test]
fn what_the_client_says_in_the_humans_name_is_no_prompt() {
    let response = json!([{ "functionResponse": { "id": "x", "response": { "output": "" } } }]);
    let session = session(&[
        message("1", 1, "user", "System: Please continue."),
        with(message("2", 2, "user", json!([{ "text": "go on" }])), json!({ "displayContent": response.clone() })),
        message("3", 3, "user", "[Function Response: read_many_files]--- a ---"),
        message("4", 4, "user", json!([{ "text": "<session_context>\nToday" }])),
        message("5", 5, "user", response),
        message("6", 6, "user", json!([{ "text": "<hook_context>x</hook_context>" }, { "text": "go" }])),
    ]);
    assert_eq!(prompts(&session), ["go"]);
    assert_eq!(injected(&session).len(), 5);
}

#[test]
fn a_shell_command_of_the_human_is_a_prompt_with_its_output_beside_it() {
    let text = "I ran the following shell command:\n```sh\ngit diff\n```\n\nThis produced the following result:\n```\n a | 2\n```";
    let session = session(&[message("1", 1, "user", json!([{ "text": text }]))]);
    let found: Vec<(&str, Channel)> = session.prompts().map(|(_, p)| (p.text.as_str(), p.channel)).collect();
    assert_eq!(found, [("git diff", Channel::Shell)]);
    assert_eq!(injected(&session), [(InjectedSource::CommandOutput, " a | 2")]);
}

#[test]
fn images_come_with_their_prompt() {
    let image = json!({ "inlineData": { "mimeType": "image/png", "data": "AAAA" } });
    let session = session(&[
        message("1", 1, "user", json!([image, { "text": "what is this?" }])),
        message("2", 2, "user", json!([image])),
    ]);
    let found: Vec<(&str, u32)> = session.prompts().map(|(_, p)| (p.text.as_str(), p.images)).collect();
    assert_eq!(found, [("what is this?", 1), ("", 1)]);
}

#[test]
fn a_call_ends_as_the_client_says() {
    let cancelled = |reason: &str| json!({ "error": format!("[Operation Cancelled] Reason: {reason}") });
    let plan = |text: &str| call("p", "exit_plan_mode", json!({}), "success", json!({ "output": text }));
    let session = session(&[
        message("u", 1, "user", "go"),
        calls(
            "g",
            &[
                shell("1", "ls", "success", json!({ "output": "Output: Exit Code: 1\nExit Code: 0\nSignal: (none)" })),
                shell(
                    "2",
                    "false",
                    "success",
                    json!({ "output": "Output: (empty)\nError: (none)\nExit Code: 1\nSignal: 0\nProcess Group PGID: 7" }),
                ),
                call("3", "read_file", json!({ "file_path": "a" }), "error", json!({ "error": "File not found" })),
                call("4", "read_file", json!({}), "success", json!({ "output": "Exit Code: 1" })),
                shell("5", "rm a", "cancelled", cancelled("User denied execution.")),
                shell("6", "rm b", "cancelled", cancelled("User did not allow tool call")),
                shell("7", "sleep 9", "cancelled", cancelled("User cancelled tool execution.")),
                shell("8", "x", "cancelled", Value::Null),
                plan("Plan rejected. User feedback: smaller steps\n\nThe plan is stored at: p.md"),
                plan("Plan approved."),
                json!({ "id": "9", "name": "glob", "args": { "pattern": "*" }, "status": "executing" }),
            ],
        ),
        message("i", 30, "info", "Request cancelled."),
    ]);
    use ToolOutcome::{Failed, Interrupted, Ok, Rejected};
    assert_eq!(outcomes(&session), [Ok, Failed, Failed, Ok, Rejected, Rejected, Interrupted, Rejected, Rejected, Ok]);
    assert_eq!(prompts(&session), ["go", "smaller steps"]);
    assert!(session.events.iter().any(|event| event.body == EventBody::Interruption { during_tool: true }));
    assert_eq!(session.tool_calls().count(), 11);
}

#[test]
fn an_interruption_that_is_noted_twice_counts_once() {
    let stop = |id: &str, text: &str| message(id, 9, "info", text);
    let session = session(&[
        message("u", 1, "user", "go"),
        stop("1", "Request cancelled."),
        stop("2", "User cancelled the request."),
        message("v", 20, "user", "Request cancelled."),
        stop("3", "Request cancelled."),
    ]);
    assert_eq!((session.summary().interruptions, prompts(&session).len()), (2, 2));
}

#[test]
fn a_rewind_withdraws_what_it_takes_back() {
    let session = session(&[
        message("1", 1, "user", "one"),
        message("2", 2, "gemini", "1"),
        message("3", 3, "user", "two"),
        message("4", 4, "gemini", "2"),
        json!({ "$rewindTo": "3" }),
        message("3", 5, "user", "three"),
        json!({ "$rewindTo": "unknown" }),
        json!({ "$rewindTo": "unknown" }),
        message("5", 6, "user", "four"),
    ]);
    assert_eq!(prompts(&session), ["one", "two", "three", "four"]);
    let rewinds: Vec<(u32, u32)> = session
        .events
        .iter()
        .filter_map(|event| match event.body {
            EventBody::Rewind { first_event, prompts } => Some((first_event, prompts)),
            _ => None,
        })
        .collect();
    assert_eq!(rewinds, [(3, 1), (1, 2)]);
}

#[test]
fn a_new_context_of_the_model_takes_nothing_back_and_says_nothing_twice() {
    let session = session(&[
        message("1", 1, "user", "one"),
        calls("2", &[shell("c", "ls", "success", json!({ "output": "long output" }))]),
        message("i", 9, "info", "Chat history compressed from 9000 to 1200 tokens."),
        json!({ "$set": { "messages": [
            message("s", 9, "user", "<state_snapshot>All so far</state_snapshot>"),
            message("t", 9, "gemini", "Got it. Thanks for the additional context!"),
            message("new id", 9, "user", "one"),
            calls("2", &[shell("c", "ls", "success", json!({ "output": "[masked]" }))]),
        ] } }),
        message("3", 20, "user", "two"),
    ]);
    assert_eq!(prompts(&session), ["one", "two"]);
    assert_eq!((session.summary().tool_calls, session.summary().compactions), (1, 1));
    assert!(
        session
            .events
            .iter()
            .any(|event| matches!(&event.body, EventBody::Compaction { summary } if summary.contains("All so far")))
    );
    assert!(
        session
            .events
            .iter()
            .any(|event| matches!(&event.body, EventBody::ToolResult(result) if result.text == "long output"))
    );
}

#[test]
fn messages_that_come_only_as_context_count() {
    let both = json!([message("1", 1, "user", "one"), message("2", 2, "gemini", "1")]);
    let more = json!([message("1", 1, "user", "one"), message("2", 2, "gemini", "1"), message("3", 3, "user", "two")]);
    let session = session(&[json!({ "$set": { "messages": both } }), json!({ "$set": { "messages": more } })]);
    assert_eq!((prompts(&session), session.events.len()), (vec!["one", "two"], 3));
}

#[test]
fn calls_and_results_may_stand_in_messages_of_their_own() {
    let parts = json!([{ "text": "Look." }, { "functionCall": { "id": "f", "name": "read_file", "args": { "file_path": "a" } } }]);
    let response = json!([{ "functionResponse": { "id": "f", "response": { "error": "gone" } } }]);
    let session =
        session(&[message("1", 1, "user", "go"), message("2", 2, "gemini", parts), message("3", 3, "user", response)]);
    assert_eq!((outcomes(&session), prompts(&session).len()), (vec![ToolOutcome::Failed], 1));
}

#[test]
fn commits_are_found_behind_what_the_client_puts_before_an_output() {
    let output = "Command: git commit -m x\nDirectory: (root)\nOutput: [main 1a2b3c4] Fix it\n 1 file changed\nError: (none)\nExit Code: 0";
    let session = session(&[calls("g", &[shell("c", "git commit -m x", "success", json!({ "output": output }))])]);
    assert_eq!(session.commits().collect::<Vec<_>>(), [("1a2b3c4", "Fix it")]);
}

#[test]
fn an_error_of_the_client_is_no_reply_and_a_note_is_nothing() {
    let session = session(&[
        message("1", 1, "user", "go"),
        message("2", 2, "error", "[API Error: 429]"),
        message("3", 3, "info", "Gemini CLI update available!"),
        message("4", 4, "warning", "careful"),
        message("5", 5, "from_the_future", "x"),
    ]);
    assert_eq!(session.events.len(), 2);
    assert_eq!(session.events[1].body, EventBody::ClientError { text: String::from("[API Error: 429]") });
    assert_eq!(session.read.unknown.get("from_the_future"), Some(&1));
}

#[test]
fn the_agents_time_leaves_out_waits_for_the_human() {
    let session = session(&[
        message("i", 8, "info", "Welcome"),
        message("1", 10, "user", "go"),
        message("2", 13, "gemini", "Done."),
        message("n", 40, "info", "Update available"),
        message("3", 50, "user", "more"),
        message("4", 54, "gemini", "Done."),
    ]);
    assert_eq!((session.active_seconds, session.wall_seconds()), (7.0, 54.0));
}
