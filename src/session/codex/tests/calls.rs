//! Tool calls, their ends, and the tokens that they cost.

use super::*;

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
    let without_other_meta = [&written_now[..1], &written_now[2..]].concat();
    for lines in [&written_now[..], &old_times, &turns, &without_rows, &without_other_meta] {
        let session = read_bytes(lines.join("\n").into_bytes());
        assert_eq!(session.usage, usage(100, 50, 10, 5), "{lines:#?}");
        assert_eq!(session.id.as_str(), format!("codex:{ID}"));
        assert!(session.wall_seconds() < 100.0, "copied rows have no part in the session's time");
    }
}
