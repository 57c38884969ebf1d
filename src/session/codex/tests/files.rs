//! Files: which are rollouts, whose they are, and what damage does to them.

use super::*;
use proptest::prelude::*;

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
fn a_rollout_is_what_all_its_copies_hold() {
    let words = |words: &str| event("user_message", json!({ "message": words }));
    let rows = [
        meta(),
        words("one"),
        call("a", "ls"),
        exec("a", "Process exited with code 0", "x"),
        words("two"),
        words("three"),
    ];
    let whole = String::from_utf8(file(&rows)).expect("JSON is text");
    let lines: Vec<&str> = whole.lines().collect();
    let of = |path: &str, rows: &[usize]| {
        (PathBuf::from(path), rows.iter().map(|&row| lines[row]).collect::<Vec<_>>().join("\n").into_bytes())
    };
    let session = read(ID, &[of("1", &[0, 1, 2, 3]), of("2", &[0, 1, 4, 5, 2]), of("3", &[0, 3, 4])]);
    assert_eq!(prompts(&session), ["one", "two", "three"]);
    assert_eq!((outcomes(&session).len(), session.read.lines), (1, 6));
    // Files that have nothing in common follow each other.
    let session = read(ID, &[of("1", &[4, 5]), of("2", &[0, 1, 2, 3])]);
    assert_eq!(session.events, read_bytes(whole.into_bytes()).events);
    assert_eq!(session.path.to_str(), Some("2"));
}

#[test]
fn results_of_calls_at_one_moment_are_told_apart_by_the_call() {
    let at = |(kind, payload): (&str, Value)| {
        json!({ "timestamp": "2026-05-01T10:00:09.000Z", "type": kind, "payload": payload }).to_string()
    };
    let result = |id: &str, text: &str| at(exec(id, "Process exited with code 0", text));
    let begin = [at(meta()), at(call("a", "ls")), at(call("b", "pwd"))].join("\n");
    let long = [begin.clone(), result("b", &"the folder is /home and nothing else".repeat(20))].join("\n");
    let rewritten = [begin, result("a", "REDACTED"), result("b", "the folder is REDACTED")].join("\n");
    let session = read(ID, &[(PathBuf::from("1"), long.into_bytes()), (PathBuf::from("2"), rewritten.into_bytes())]);
    let results: Vec<String> = session
        .events
        .iter()
        .filter_map(|event| match &event.body {
            EventBody::ToolResult(result) => Some(result.text.trim().to_owned()),
            _ => None,
        })
        .collect();
    assert_eq!(results.len(), 2, "{results:?}");
    assert!(results[0].contains("REDACTED") && results[1].contains("nothing else"), "{results:?}");
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
