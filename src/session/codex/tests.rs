//! Invented rollouts: every rule once, and every shape that once broke a parser of this format.

use super::*;
use crate::session::{Channel, EventBody, InjectedSource, Prompt, ToolCategory, ToolOutcome};
use crate::usage::Usage;
use proptest::prelude::*;
use serde_json::{Value, json};

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
fn bare_records_of_the_first_versions_are_read() {
    let rows = [
        json!({ "id": ID, "timestamp": "2025-06-01T08:00:00Z", "instructions": null, "git": {} }),
        json!({ "type": "message", "role": "user", "content": [{ "type": "input_text", "text": "list the files" }] }),
        json!({ "record_type": "state" }),
        json!({ "type": "reasoning", "summary": [], "encrypted_content": "x" }),
        json!({ "type": "local_shell_call", "call_id": "c1", "status": "completed",
                "action": { "type": "exec", "command": ["bash", "-lc", "ls"] } }),
        json!({ "type": "function_call_output", "call_id": "c1",
                "output": json!({ "output": "ls: no\n", "metadata": { "exit_code": 2, "duration_seconds": 0.1 } }).to_string() }),
        json!({ "type": "message", "role": "assistant", "content": [{ "type": "output_text", "text": "None." }] }),
    ];
    let bytes = rows.map(|row| row.to_string()).join("\n").into_bytes();
    assert_eq!(recognise(&bytes, Path::new("a.jsonl")).as_deref(), Some(ID));
    let session = read_bytes(bytes);
    assert_eq!(prompts(&session), ["list the files"]);
    assert_eq!(session.tool_calls().map(|(_, call)| call.input.as_str()).collect::<Vec<_>>(), ["ls"]);
    assert_eq!(outcomes(&session), [ToolOutcome::Failed]);
    assert!(session.read.unknown.is_empty());
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
fn a_call_ends_as_its_header_says_and_not_as_its_output_reads() {
    let cases = [
        (exec("c", "Process exited with code 0", "Process exited with code 1\nExit code: 2\n"), ToolOutcome::Ok),
        (exec("c", "Process exited with code 101", "ok"), ToolOutcome::Failed),
        (exec("c", "Process running with session ID 7", "Process exited with code 1"), ToolOutcome::Ok),
        (output("c", "Exit code: 1\nWall time: 0 seconds\nOutput:\nno"), ToolOutcome::Failed),
        (output("c", "Exit code: 0\nWall time: 0 seconds\nOutput:\naborted by user"), ToolOutcome::Ok),
        (
            output("c", "Exit code: -1\nWall time: 0 seconds\nOutput:\nexec command rejected by user"),
            ToolOutcome::Rejected,
        ),
        (output("c", "Wall time: 3.0 seconds\naborted by user"), ToolOutcome::Interrupted),
        (output("c", "aborted"), ToolOutcome::Interrupted),
        (output("c", "apply_patch verification failed: no such line"), ToolOutcome::Failed),
        (
            output("c", "patch rejected: writing outside of the project; rejected by user approval settings"),
            ToolOutcome::Failed,
        ),
        (output("c", "patch rejected by user"), ToolOutcome::Rejected),
        (output("c", "exec command rejected by user"), ToolOutcome::Rejected),
        (output("c", r#"{"output":"Exit code: 1","metadata":{"exit_code":0}}"#), ToolOutcome::Ok),
        (output("c", r#"{"output":"x","metadata":{"exit_code":"3"}}"#), ToolOutcome::Failed),
        (
            output(
                "c",
                json!([{ "type": "input_text", "text": "Exit code: 4" }, { "type": "input_image", "image_url": "d" }]),
            ),
            ToolOutcome::Failed,
        ),
        (output("c", json!({ "content": "no such tool", "success": false })), ToolOutcome::Failed),
        (output("c", "The log says: Exit code: 1"), ToolOutcome::Ok),
        (output("c", Value::Null), ToolOutcome::Ok),
    ];
    for (result, expected) in cases {
        let shown = result.1.to_string();
        assert_eq!(outcomes(&session(&[meta(), call("c", "x"), result])), [expected], "{shown}");
    }
}

#[test]
fn a_failed_patch_counts_once() {
    let patch = item(
        "custom_tool_call",
        json!({ "name": "apply_patch", "call_id": "p", "input": "*** Begin Patch\n*** End Patch" }),
    );
    let end = event("patch_apply_end", json!({ "call_id": "p", "success": false, "stderr": "no such line" }));
    let result = |text: &str| item("custom_tool_call_output", json!({ "call_id": "p", "output": text }));
    for rows in [
        vec![meta(), patch.clone(), end.clone(), result("Exit code: 1\nOutput:\nno such line")],
        vec![meta(), patch.clone(), end.clone(), result("no such line")],
        vec![meta(), patch.clone(), end],
    ] {
        let session = session(&rows);
        assert_eq!(outcomes(&session), [ToolOutcome::Failed]);
        let (_, call) = session.tool_calls().next().expect("the patch is a call");
        assert_eq!((call.category, call.input.as_str()), (ToolCategory::Edit, "*** Begin Patch\n*** End Patch"));
    }
    let declined = event("patch_apply_end", json!({ "call_id": "p", "success": false, "status": "declined" }));
    assert_eq!(outcomes(&session(&[meta(), patch, declined, result("no")])), [ToolOutcome::Rejected]);
}

#[test]
fn calls_are_told_apart_by_id_and_by_order_where_ids_were_taken_out() {
    let search =
        item("web_search_call", json!({ "status": "completed", "action": { "type": "search", "query": "serde" } }));
    let session = session(&[
        meta(),
        call("a", "ls"),
        call("a", "ls"),
        exec("a", "Process exited with code 0", ""),
        exec("a", "Process exited with code 1", "written again"),
        call("a", "pwd"),
        exec("a", "Process exited with code 0", "/w"),
        search.clone(),
        search,
        call("REDACTED", "one"),
        call("REDACTED", "two"),
        exec("REDACTED", "Process exited with code 0", ""),
        exec("REDACTED", "Process exited with code 5", ""),
        exec("elsewhere", "Process exited with code 1", "the call is in another slice"),
    ]);
    let inputs: Vec<&str> = session.tool_calls().map(|(_, call)| call.input.as_str()).collect();
    assert_eq!(inputs, ["ls", "pwd", "serde", "serde", "one", "two"]);
    let results: Vec<_> = session
        .events
        .iter()
        .filter_map(|event| match &event.body {
            EventBody::ToolResult(result) => Some((result.call, result.outcome == ToolOutcome::Failed)),
            _ => None,
        })
        .collect();
    assert_eq!(results, [(Some(1), false), (Some(3), false), (Some(7), false), (Some(8), true), (None, true)]);
}

#[test]
fn a_commit_is_found_where_the_command_ends() {
    let poll = item(
        "function_call",
        json!({ "name": "write_stdin", "call_id": "b", "arguments": json!({ "session_id": 7, "chars": "" }).to_string() }),
    );
    let done = "[main 1a2b3c4] Add the parser\n 1 file changed\n";
    let session = session(&[
        meta(),
        call("a", "git commit -m 'Add the parser'"),
        exec("a", "Process running with session ID 7", ""),
        poll,
        exec("b", "Process exited with code 0", done),
        call("c", "cat log"),
        exec("c", "Process exited with code 0", "[main 5d6e7f8] Quoted only\n"),
    ]);
    assert_eq!(session.commits().collect::<Vec<_>>(), [("1a2b3c4", "Add the parser")]);
    assert_eq!(session.tool_calls().count(), 3);
}

#[test]
fn usage_is_what_the_running_total_gains() {
    let session = session(&[
        meta(),
        event("token_count", json!({ "info": null })),
        tokens(100, 40, 10, (100, 40, 10)),
        tokens(100, 40, 10, (100, 40, 10)),
        tokens(300, 140, 30, (200, 100, 20)),
        // Compaction used some that no row tells of.
        tokens(450, 200, 50, (100, 40, 10)),
        // The count begins anew.
        tokens(80, 0, 8, (80, 0, 8)),
        event(
            "token_count",
            json!({ "info": { "total_token_usage": { "input_tokens": "90", "output_tokens": 9.0 } } }),
        ),
    ]);
    assert_eq!(session.usage, usage(250 + 80 + 10, 200, 50 + 8 + 1, 25 + 4));
}

#[test]
fn tokens_that_a_fork_copied_are_not_its_own() {
    let other = |id: &str| json!({ "id": id, "timestamp": "2026-05-01T08:00:00Z" });
    let row = |at: &str, (kind, payload): (&str, Value)| {
        json!({ "timestamp": at, "type": kind, "payload": payload }).to_string()
    };
    let own_meta = json!({ "id": ID, "timestamp": "2026-05-01T10:00:00.000Z", "forked_from_id": OTHER });
    let started = |at: u64| event("task_started", json!({ "turn_id": "t", "started_at": at }));
    // 2026-05-01T08:00:00Z and 10:00:00Z
    let (then, now) = (1_777_622_400, 1_777_629_600);
    let copy = "2026-05-01T10:00:00.010Z";
    let written_now = [
        row("2026-05-01T10:00:00.000Z", ("session_meta", own_meta.clone())),
        row(copy, ("session_meta", other(OTHER))),
        row(copy, event("user_message", json!({ "message": "old" }))),
        row(copy, tokens(100, 0, 10, (100, 0, 10))),
        row(copy, tokens(300, 0, 30, (200, 0, 20))),
        row("2026-05-01T10:01:00.000Z", event("user_message", json!({ "message": "new" }))),
        row("2026-05-01T10:01:09.000Z", tokens(450, 50, 40, (150, 50, 10))),
    ];
    let old_times = [
        row("2026-05-01T10:00:00.000Z", ("session_meta", own_meta.clone())),
        row("2026-05-01T08:00:00.000Z", ("session_meta", other(OTHER))),
        row("2026-05-01T08:00:01.000Z", event("user_message", json!({ "message": "old" }))),
        row("2026-05-01T08:00:09.000Z", tokens(300, 0, 30, (300, 0, 30))),
        row("2026-05-01T10:00:05.000Z", event("user_message", json!({ "message": "new" }))),
        row("2026-05-01T10:00:09.000Z", tokens(450, 50, 40, (150, 50, 10))),
    ];
    let turns = [
        row("2026-05-01T10:00:00.000Z", ("session_meta", own_meta.clone())),
        row(copy, ("session_meta", other(OTHER))),
        row(copy, started(then)),
        row(copy, tokens(300, 0, 30, (300, 0, 30))),
        row(copy, started(now)),
        row(copy, tokens(450, 50, 40, (150, 50, 10))),
    ];
    let without_rows = [
        row("2026-05-01T10:00:00.000Z", ("session_meta", own_meta)),
        row("2026-05-01T10:00:09.000Z", tokens(450, 50, 40, (150, 50, 10))),
    ];
    for lines in [&written_now[..], &old_times, &turns, &without_rows] {
        let session = read_bytes(lines.join("\n").into_bytes());
        assert_eq!(session.usage, usage(100, 50, 10, 5), "{lines:#?}");
        assert_eq!(session.id.as_str(), format!("codex:{ID}"));
        assert!(session.wall_seconds() < 100.0, "copied rows have no part in the session's time");
    }
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
fn a_subagent_is_a_part_of_its_session_or_a_session_without_prompts() {
    let spawned = json!({ "subagent": { "thread_spawn": { "parent_thread_id": ID, "depth": 1 } } });
    let child = file(&[
        ("session_meta", json!({ "id": OTHER, "source": spawned, "thread_source": "subagent" })),
        message("user", &["look into it"]),
        event("user_message", json!({ "message": "look into it" })),
        call("a", "ls"),
        exec("a", "Process exited with code 1", ""),
        tokens(100, 0, 10, (100, 0, 10)),
        event("turn_aborted", json!({ "reason": "interrupted" })),
    ]);
    let parent = file(&[meta(), event("user_message", json!({ "message": "go" })), tokens(50, 0, 5, (50, 0, 5))]);
    assert_eq!(recognise(&child, Path::new("b.jsonl")).as_deref(), Some(ID));
    let child_thread = Thread { id: OTHER.to_owned(), parent: Some(ID.to_owned()), subagent: true };
    assert_eq!(thread(&child, Path::new("b.jsonl")), Some(child_thread));

    let files = [
        (PathBuf::from("b.jsonl"), child.clone()),
        (PathBuf::from("copy/b.jsonl"), child.clone()),
        (PathBuf::from("a.jsonl"), parent),
    ];
    let together = read(ID, &files);
    assert_eq!((together.path.to_str(), together.subagent_events), (Some("a.jsonl"), 7));
    assert_eq!((prompts(&together), together.tool_calls().count()), (vec!["go"], 0));
    assert_eq!(together.usage, usage(50, 0, 5, 2));

    let alone = read(OTHER, &[(PathBuf::from("b.jsonl"), child)]).summary();
    assert_eq!((alone.prompts, alone.interruptions, alone.tool_calls, alone.subagent_events), (0, 0, 1, 0));
}

#[test]
fn of_several_copies_the_longest_counts() {
    let short = file(&[meta(), event("user_message", json!({ "message": "one" }))]);
    let long = file(&[
        meta(),
        event("user_message", json!({ "message": "one" })),
        event("user_message", json!({ "message": "two" })),
    ]);
    let session =
        read(ID, &[(PathBuf::from("1"), short.clone()), (PathBuf::from("2"), long), (PathBuf::from("3"), short)]);
    assert_eq!((prompts(&session), session.path.to_str(), session.read.lines), (vec!["one", "two"], Some("2"), 3));
}

#[test]
fn damage_and_unknown_types_are_counted_and_cost_nothing_else() {
    let lines = String::from_utf8(file(&[
        meta(),
        event("user_message", json!({ "message": "one" })),
        event("user_message", json!({ "message": "two" })),
        event("from_the_future", json!({})),
        item("from_the_future", json!({})),
        ("from_the_future", json!({})),
        event("user_message", json!({ "message": "three" })),
    ]))
    .expect("JSON is text");
    let lines: Vec<&str> = lines.lines().collect();
    let truncated = &lines[6][..lines[6].len() / 2];
    let bytes = format!(
        "\u{feff}{}\n{}{}\r\n\n{}\n{}\n{}\n{truncated}\n\0\0{}",
        lines[0], lines[1], lines[2], lines[3], lines[4], lines[5], lines[6]
    );
    let session = read_bytes(bytes.into_bytes());
    assert_eq!(prompts(&session), ["one", "two", "three"]);
    let unknown: Vec<(&str, u64)> = session.read.unknown.iter().map(|(kind, count)| (kind.as_str(), *count)).collect();
    assert_eq!(
        unknown,
        [("event_msg.from_the_future", 1), ("from_the_future", 1), ("response_item.from_the_future", 1)]
    );
    assert_eq!((session.read.records, session.read.bad), (7, 1));
}

#[test]
fn odd_types_are_taken_as_they_come() {
    let session = session(&[
        meta(),
        event("user_message", json!({ "message": null, "images": null })),
        event("user_message", json!({ "message": 7, "images": {} })),
        item("message", json!({ "role": "assistant", "content": null })),
        item("message", json!({ "role": "assistant", "content": "as a string" })),
        item("function_call", json!({ "name": "exec_command", "arguments": { "cmd": ["ls", "-l"] }, "call_id": 3 })),
        item("function_call_output", json!({ "call_id": 3, "output": { "type": "input_text", "text": "a.txt" } })),
        item("function_call", json!({ "name": null, "arguments": "not JSON", "call_id": null })),
        ("turn_context", json!({ "model": null })),
        ("event_msg", json!("a string")),
        ("response_item", Value::Null),
        event("thread_rolled_back", json!({ "num_turns": -1 })),
        event("token_count", json!({ "info": { "prompt": 1420, "completion": 910 } })),
    ]);
    assert_eq!(prompts(&session), ["7"]);
    let calls: Vec<&str> = session.tool_calls().map(|(_, call)| call.input.as_str()).collect();
    assert_eq!(calls, ["ls -l", "not JSON"]);
    assert_eq!((session.usage, session.read.bad), (Usage::default(), 0));
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
fn a_slice_without_a_head_has_an_id_that_its_copies_share() {
    let slice = file(&[event("user_message", json!({ "message": "go" })), event("task_complete", json!({}))]);
    let longer = [slice.as_slice(), b"\n", &file(&[meta()])[..20]].concat();
    let named = format!("rollout-2026-05-01T10-00-00-{ID}.jsonl");
    assert_eq!(recognise(&slice, Path::new(&named)).as_deref(), Some(ID));
    let id = recognise(&slice, Path::new("a/full.jsonl"));
    assert!(id.as_ref().is_some_and(|id| id.starts_with("full-")));
    assert_eq!(id, recognise(&longer, Path::new("b/full.jsonl")));
}

#[test]
fn only_rollouts_are_recognised() {
    let path = Path::new("x.jsonl");
    for text in [
        r#"{"type":"user","uuid":"u","sessionId":"s","message":{"role":"user","content":"hi"}}"#,
        r#"{"type":"message","id":"1","parentId":null,"message":{"role":"user","content":[]}}"#,
        r#"{"type":"session.start","data":{"sessionId":"s"},"id":"1","timestamp":"2026-01-01T00:00:00Z"}"#,
        r#"{"sessionId":"s","messages":[]}"#,
        "a note about \"session_meta\" and its \"id\":\"x\"",
        "[1,2]",
        "",
    ] {
        assert_eq!(thread(text.as_bytes(), path), None, "{text}");
    }
    let long = format!(
        r#"{{"timestamp":"t","type":"session_meta","payload":{{"id":"{ID}","instructions":"{}"#,
        "x".repeat(300_000)
    );
    assert_eq!(recognise(long.as_bytes(), path).as_deref(), Some(ID));
}

#[test]
fn real_rollouts_read_without_loss() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/sessions/codex");
    if !folder.is_dir() {
        eprintln!("skipped: no real rollouts in {}", folder.display());
        return;
    }
    let corpus = crate::corpus::find(&[folder]).expect("the folder holds rollouts");
    let sessions = corpus.read_all(|session| session.summary());
    assert!(!sessions.is_empty() && corpus.skipped().is_empty());
    for session in sessions {
        let session = session.expect("the files can be read");
        assert!(session.prompts > 0 && session.tool_calls > 0 && session.usage.output > 0, "{}", session.id);
        assert_eq!((session.read.bad, session.read.unknown.len()), (0, 0), "{}", session.id);
    }
}

#[test]
fn ordinals_count_prompts_from_one() {
    let typed = |text| event("user_message", json!({ "message": text }));
    let session = session(&[meta(), typed("a"), typed("a")]);
    let all: Vec<&Prompt> = session.prompts().map(|(_, prompt)| prompt).collect();
    assert_eq!(all.iter().map(|prompt| prompt.ordinal).collect::<Vec<_>>(), [1, 2]);
}

/// JSON of any shape, often with the names that the reader looks for.
fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        prop::sample::select(vec![
            "message",
            "user",
            "assistant",
            "user_message",
            "token_count",
            "turn_aborted",
            "thread_rolled_back",
            "compacted",
            "function_call",
            "function_call_output",
            "local_shell_call",
            "session_meta",
            "REDACTED",
            "c1",
            "-5",
            "<turn_aborted>",
            "2026-05-01T10:00:00Z",
            "Process exited with code 1",
            "<user_shell_command><command>",
            "patch_apply_end",
        ])
        .prop_map(Value::from),
        ".{0,12}".prop_map(Value::from),
    ];
    let keys = prop::sample::select(vec![
        "type",
        "role",
        "content",
        "text",
        "message",
        "call_id",
        "name",
        "arguments",
        "output",
        "info",
        "total_token_usage",
        "input_tokens",
        "output_tokens",
        "num_turns",
        "id",
        "timestamp",
        "source",
        "subagent",
        "started_at",
        "images",
        "cmd",
    ]);
    leaf.prop_recursive(4, 32, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::vec((keys.clone(), inner), 0..6)
                .prop_map(|pairs| pairs.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()),
        ]
    })
}

proptest! {
    #[test]
    fn no_bytes_make_the_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let path = Path::new("é.jsonl");
        recognise(&bytes, path);
        read_bytes(bytes);
    }

    #[test]
    fn no_records_make_the_reader_panic(
        rows in prop::collection::vec(
            (prop::sample::select(vec!["session_meta", "turn_context", "response_item", "event_msg", "compacted", "x"]), any_json()),
            0..12,
        ),
    ) {
        let lines: Vec<String> = rows
            .iter()
            .map(|(kind, payload)| json!({ "timestamp": "2026-05-01T10:00:00Z", "type": kind, "payload": payload }).to_string())
            .collect();
        let session = read_bytes(lines.join("\n").into_bytes());
        prop_assert_eq!(session.read.records, rows.len() as u64);
        for (at, event) in session.events.iter().enumerate() {
            prop_assert_eq!(event.number as usize, at + 1);
        }
    }
}
