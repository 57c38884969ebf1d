//! Invented rollouts: every rule once, and every shape that once broke a parser of this format.

use super::*;
use crate::session::{Channel, EventBody, InjectedSource, Prompt, ToolCategory, ToolOutcome};
use crate::usage::Usage;
use serde_json::{Value, json};
use std::path::PathBuf;

mod calls;
mod files;

/// Reads files from memory, where nothing can fail.
fn read(id: &str, files: &[(PathBuf, Vec<u8>)]) -> Session {
    super::read(id, files).expect("memory can be read")
}

const ID: &str = "0199aaaa-0000-7000-8000-000000000001";
const OTHER: &str = "0199aaaa-0000-7000-8000-000000000002";

/// Rows, each a second later than the one before, as a file's bytes.
fn file(rows: &[(&str, Value)]) -> Vec<u8> {
    let lines: Vec<String> = rows
        .iter()
        .enumerate()
        .map(|(second, (kind, payload))| {
            let timestamp = format!("2026-05-01T10:{:02}:{:02}.000Z", second / 60, second % 60);
            json!({ "timestamp": timestamp, "type": kind, "payload": payload }).to_string()
        })
        .collect();
    lines.join("\n").into_bytes()
}

fn meta() -> (&'static str, Value) {
    ("session_meta", json!({ "id": ID, "timestamp": "2026-05-01T10:00:00.000Z", "cwd": "/w", "source": "cli" }))
}

fn event(kind: &str, mut fields: Value) -> (&'static str, Value) {
    fields["type"] = json!(kind);
    ("event_msg", fields)
}

fn item(kind: &str, mut fields: Value) -> (&'static str, Value) {
    fields["type"] = json!(kind);
    ("response_item", fields)
}

fn message(role: &str, texts: &[&str]) -> (&'static str, Value) {
    let content: Vec<Value> = texts.iter().map(|text| json!({ "type": "input_text", "text": text })).collect();
    item("message", json!({ "role": role, "content": content }))
}

/// A prompt as today's versions write it: what the model saw, then what was typed.
fn prompt(text: &str) -> [(&'static str, Value); 2] {
    [message("user", &[text]), event("user_message", json!({ "message": text, "images": [] }))]
}

fn call(id: &str, command: &str) -> (&'static str, Value) {
    let arguments = json!({ "cmd": command }).to_string();
    item("function_call", json!({ "name": "exec_command", "call_id": id, "arguments": arguments }))
}

fn output(id: &str, output: impl Into<Value>) -> (&'static str, Value) {
    item("function_call_output", json!({ "call_id": id, "output": output.into() }))
}

fn exec(id: &str, status: &str, text: &str) -> (&'static str, Value) {
    output(id, format!("Chunk ID: 1a2b3c\nWall time: 0.1 seconds\n{status}\nOriginal token count: 4\nOutput:\n{text}"))
}

fn tokens(input: u64, cached: u64, output: u64, last: (u64, u64, u64)) -> (&'static str, Value) {
    let counts = |input: u64, cached: u64, output: u64| {
        json!({ "input_tokens": input, "cached_input_tokens": cached, "output_tokens": output,
                "reasoning_output_tokens": output / 2, "total_tokens": input + output })
    };
    let info = json!({ "total_token_usage": counts(input, cached, output), "last_token_usage": counts(last.0, last.1, last.2) });
    event("token_count", json!({ "info": info }))
}

fn session(rows: &[(&str, Value)]) -> Session {
    read_bytes(file(rows))
}

fn read_bytes(bytes: Vec<u8>) -> Session {
    read(ID, &[(PathBuf::from("rollout.jsonl"), bytes)])
}

fn prompts(session: &Session) -> Vec<&str> {
    session.prompts().map(|(_, prompt)| prompt.text.as_str()).collect()
}

fn bodies(session: &Session) -> Vec<&EventBody> {
    session.events.iter().map(|event| &event.body).collect()
}

fn outcomes(session: &Session) -> Vec<ToolOutcome> {
    let results = session.events.iter().filter_map(|event| match &event.body {
        EventBody::ToolResult(result) => Some(result.outcome),
        _ => None,
    });
    results.collect()
}

fn usage(input: u64, cached_input: u64, output: u64, reasoning: u64) -> Usage {
    Usage { input, cached_input, cache_write: 0, output, reasoning }
}

#[test]
fn a_prompt_and_a_reply_that_are_written_twice_count_once() {
    let [seen, typed] = prompt("fix the parser");
    let context = ["# AGENTS.md instructions for /w\n\nBe brief", "<environment_context>\n</environment_context>"];
    let session = session(&[
        meta(),
        message("developer", &["<permissions instructions>\n</permissions instructions>"]),
        message("user", &context),
        ("turn_context", json!({ "model": "gpt-5.5" })),
        seen,
        typed,
        event("agent_message", json!({ "message": "Done." })),
        item("message", json!({ "role": "assistant", "content": [{ "type": "output_text", "text": "Done." }] })),
    ]);
    assert_eq!(prompts(&session), ["fix the parser"]);
    let context = bodies(&session).iter().filter(|body| matches!(body, EventBody::Injected { .. })).count();
    assert_eq!(context, 3);
    assert_eq!(bodies(&session).iter().filter(|body| matches!(body, EventBody::Reply { .. })).count(), 1);
    assert_eq!(session.models, ["gpt-5.5"]);
    assert_eq!(session.id.as_str(), format!("codex:{ID}"));
}

#[test]
fn a_file_without_events_has_its_prompts_in_messages() {
    let session = session(&[
        meta(),
        message("user", &["<user_instructions>\nbrief\n</user_instructions>"]),
        message("user", &["<environment_context>\n</environment_context>"]),
        message("user", &["<image name=[Image #1]>", "</image>", "why is this red?"]),
        message("user", &["<turn_aborted>\nThe user interrupted\n</turn_aborted>"]),
        message("user", &["and this?"]),
    ]);
    assert_eq!(prompts(&session), ["why is this red?", "and this?"]);
    assert_eq!(session.summary().interruptions, 1);
}

#[test]
fn replies_that_only_the_screen_showed_still_count() {
    let [seen, typed] = prompt("hello");
    let session = session(&[meta(), seen, typed, event("agent_message", json!({ "message": "Hi." }))]);
    assert!(bodies(&session).contains(&&EventBody::Reply { text: String::from("Hi.") }));
}

#[test]
fn what_the_editor_adds_above_a_request_is_not_the_request() {
    let text = "# Context from my IDE setup:\n\n## Open tabs:\n- a.rs\n\n## My request for Codex:\nrename it\n";
    let [seen, typed] = prompt(text);
    let session = session(&[meta(), seen, typed]);
    assert_eq!(prompts(&session), ["rename it"]);
    let context = bodies(&session).into_iter().filter(|body| matches!(body, EventBody::Injected { .. })).count();
    assert_eq!(context, 1);
}

#[test]
fn events_of_a_kind_other_than_plain_were_not_typed() {
    let injected = event("user_message", json!({ "message": "be brief", "kind": "user_instructions" }));
    let typed =
        event("user_message", json!({ "message": "go", "kind": "plain", "images": ["a"], "local_images": ["b"] }));
    let session = session(&[meta(), injected, typed]);
    let images: Vec<u32> = session.prompts().map(|(_, prompt)| prompt.images).collect();
    assert_eq!((prompts(&session), images), (vec!["go"], vec![2]));
}

#[test]
fn an_image_is_a_prompt_and_an_empty_message_is_none() {
    let empty = event("user_message", json!({ "message": "  " }));
    let image = event("user_message", json!({ "message": "", "images": ["data:"] }));
    assert_eq!(session(&[meta(), empty, image]).summary().prompts, 1);
}

#[test]
fn a_command_of_the_human_is_a_prompt_and_its_output_is_not() {
    let text = "<user_shell_command>\n<command>\ncargo test\n</command>\n<result>\nExit code: 0\n</result>\n</user_shell_command>";
    let [seen, typed] = prompt("see?");
    let session = session(&[meta(), message("user", &[text]), seen, typed]);
    let all: Vec<(&str, Channel)> =
        session.prompts().map(|(_, prompt)| (prompt.text.as_str(), prompt.channel)).collect();
    assert_eq!(all, [("cargo test", Channel::Shell), ("see?", Channel::Typed)]);
    assert!(bodies(&session).iter().any(
        |body| matches!(body, EventBody::Injected { source: InjectedSource::CommandOutput, text } if text.contains("Exit code"))
    ));
}

#[test]
fn words_in_mid_turn_are_steering() {
    let start = || event("task_started", json!({ "turn_id": "t" }));
    let [seen, typed] = prompt("first");
    let [seen_later, typed_later] = prompt("no, the other one");
    let [seen_next, typed_next] = prompt("next");
    let session = session(&[
        meta(),
        start(),
        seen,
        typed,
        seen_later,
        typed_later,
        event("task_complete", json!({})),
        start(),
        seen_next,
        typed_next,
    ]);
    let channels: Vec<Channel> = session.prompts().map(|(_, prompt)| prompt.channel).collect();
    assert_eq!(channels, [Channel::Typed, Channel::Steering, Channel::Typed]);
}

#[test]
fn an_interruption_counts_once_and_only_if_a_human_made_it() {
    let mirrored = "<turn_aborted>\nThe user interrupted the previous turn on purpose.\n</turn_aborted>";
    let [seen, typed] = prompt("go");
    let session = session(&[
        meta(),
        seen,
        typed,
        call("c1", "sleep 100"),
        output("c1", "aborted by user after 3.2s"),
        message("user", &[mirrored]),
        event("turn_aborted", json!({ "reason": "interrupted" })),
        event("turn_aborted", json!({ "reason": "budget_limited" })),
        event("turn_aborted", json!({ "reason": "replaced" })),
    ]);
    let interruptions: Vec<_> =
        bodies(&session).into_iter().filter(|body| matches!(body, EventBody::Interruption { .. })).cloned().collect();
    let stopped = |during_tool| EventBody::Interruption { during_tool };
    assert_eq!(interruptions, [stopped(true), stopped(false)]);
    assert_eq!(session.summary().failed_tool_calls, 0);
    assert_eq!(outcomes(&session), [ToolOutcome::Interrupted]);
}

#[test]
fn a_rollback_withdraws_turns_with_all_that_was_typed_in_them() {
    let start = || event("task_started", json!({}));
    let end = || event("task_complete", json!({}));
    let typed = |text| event("user_message", json!({ "message": text }));
    let session = session(&[
        meta(),
        start(),
        typed("one"),
        end(),
        start(),
        typed("two"),
        typed("two, quickly"),
        end(),
        start(),
        typed("three"),
        end(),
        event("thread_rolled_back", json!({ "num_turns": "2" })),
        start(),
        typed("four"),
        event("thread_rolled_back", json!({ "num_turns": 9 })),
        event("thread_rolled_back", json!({ "num_turns": 1 })),
    ]);
    let rewinds: Vec<_> =
        bodies(&session).into_iter().filter(|body| matches!(body, EventBody::Rewind { .. })).cloned().collect();
    assert_eq!(
        rewinds,
        [EventBody::Rewind { first_event: 2, prompts: 3 }, EventBody::Rewind { first_event: 1, prompts: 2 }]
    );
    assert_eq!(session.summary().prompts, 5);
}

#[test]
fn a_compaction_counts_once_however_it_is_told() {
    let compacted = || ("compacted", json!({ "message": "So far: all is well.", "replacement_history": [] }));
    let marked = || event("context_compacted", json!({}));
    let [seen, typed] = prompt("go on");
    let session = session(&[
        meta(),
        item("compaction", json!({ "encrypted_content": "x" })),
        compacted(),
        ("turn_context", json!({ "model": "gpt-5.5" })),
        marked(),
        seen,
        typed,
        marked(),
        compacted(),
        compacted(),
    ]);
    let summaries: Vec<&str> = bodies(&session)
        .into_iter()
        .filter_map(|body| match body {
            EventBody::Compaction { summary } => Some(summary.as_str()),
            _ => None,
        })
        .collect();
    assert_eq!(summaries, ["So far: all is well."; 3]);
}

#[test]
fn waiting_for_the_human_is_not_work() {
    let row = |at: &str, (kind, payload): (&str, Value)| {
        json!({ "timestamp": format!("2026-05-01T10:{at}.000Z"), "type": kind, "payload": payload }).to_string()
    };
    let [seen, typed] = prompt("go");
    let lines = [
        row("00:00", meta()),
        row("00:00", seen),
        row("00:00", typed),
        row("00:20", event("agent_message", json!({ "message": "Done." }))),
        row("00:20", event("task_complete", json!({}))),
        row("04:00", event("task_started", json!({}))),
        row("04:00", ("turn_context", json!({ "model": "m" }))),
        row("04:01", message("user", &["again"])),
        row("04:01", event("user_message", json!({ "message": "again" }))),
        row("20:00", event("agent_message", json!({ "message": "Done." }))),
    ];
    let session = read_bytes(lines.join("\n").into_bytes());
    assert_eq!((session.active_seconds, session.wall_seconds()), (20.0 + 300.0, 1200.0));
}

#[test]
fn ordinals_count_prompts_from_one() {
    let typed = |text| event("user_message", json!({ "message": text }));
    let session = session(&[meta(), typed("a"), typed("a")]);
    let all: Vec<&Prompt> = session.prompts().map(|(_, prompt)| prompt).collect();
    assert_eq!(all.iter().map(|prompt| prompt.ordinal).collect::<Vec<_>>(), [1, 2]);
}
