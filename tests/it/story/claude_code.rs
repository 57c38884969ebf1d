//! Claude Code: a row a content block, usage that grows from row to row, steering that only the queue knows.

use super::{FAILURE, FIRST, Form, LAST, README, STEERING, SUMMARY, TOKENS, Telling, at, whole, with};
use serde_json::{Value, json};

const ID: &str = "0c0ffee0-0000-4000-8000-000000000001";

/// The story as JSON lines.
pub fn lines() -> Telling {
    let refusal = "The user doesn't want to proceed with this tool use. The tool use was rejected (eg. if it was a file edit, …).";
    let rows = vec![
        row("user", 1, "u1", json!({ "message": { "role": "user", "content": FIRST } })),
        assistant(4, "u2", 0, 3, json!({ "type": "text", "text": "I start with the lexer." })),
        assistant(5, "u3", 0, 30, call("t1", "Bash", json!({ "command": "cargo test" }))),
        result(9, "u4", "t1", true, &format!("Exit code 101\n{FAILURE}")),
        queue(10, "enqueue", Some(STEERING)),
        queue(11, "remove", None),
        assistant(
            14,
            "u5",
            1,
            50,
            call("t2", "Edit", json!({ "file_path": "src/lexer.rs", "old_string": "a", "new_string": "b" })),
        ),
        result(20, "u6", "t2", true, refusal),
        row(
            "user",
            20,
            "u7",
            json!({ "message": { "role": "user", "content": [{ "type": "text", "text": "[Request interrupted by user for tool use]" }] } }),
        ),
        row(
            "system",
            25,
            "u8",
            json!({ "subtype": "compact_boundary", "content": "Conversation compacted", "compactMetadata": { "trigger": "manual" } }),
        ),
        row("user", 26, "u9", json!({ "isCompactSummary": true, "message": { "role": "user", "content": SUMMARY } })),
        row("user", 40, "u10", json!({ "message": { "role": "user", "content": [{ "type": "text", "text": LAST }] } })),
        assistant(44, "u11", 2, 20, call("t3", "Read", json!({ "file_path": "README.md" }))),
        result(45, "u12", "t3", false, README),
    ];
    // Its reasoning is a part of the output that nobody counts.
    let says = with(whole(), json!({ "usage": { "reasoning": 0 } }));
    Telling {
        name: "claude_code",
        id: "claude_code:0c0ffee0-0000-4000-8000-000000000001",
        form: Form::Lines("0c0ffee0-0000-4000-8000-000000000001.jsonl", rows),
        says,
    }
}

fn row(kind: &str, second: u64, uuid: &str, more: Value) -> Value {
    with(
        json!({
            "parentUuid": null, "isSidechain": false, "userType": "external", "cwd": "/home/ada/parser", "sessionId": ID,
            "version": "2.0.72", "gitBranch": "main", "type": kind, "uuid": uuid, "timestamp": at(second),
        }),
        more,
    )
}

fn assistant(second: u64, uuid: &str, answer: usize, output: u64, block: Value) -> Value {
    let [input, read, written, ..] = TOKENS[answer];
    let usage = json!({ "input_tokens": input, "cache_read_input_tokens": read, "cache_creation_input_tokens": written,
                        "output_tokens": output, "service_tier": "standard" });
    let message = json!({ "id": format!("msg_{answer}"), "type": "message", "role": "assistant", "model": "claude-sonnet-5",
                          "content": [block], "stop_reason": null, "usage": usage });
    row("assistant", second, uuid, json!({ "requestId": format!("req_{answer}"), "message": message }))
}

fn call(id: &str, name: &str, input: Value) -> Value {
    json!({ "type": "tool_use", "id": id, "name": name, "input": input })
}

fn result(second: u64, uuid: &str, id: &str, failed: bool, text: &str) -> Value {
    let block = json!({ "type": "tool_result", "tool_use_id": id, "is_error": failed, "content": text });
    row("user", second, uuid, json!({ "message": { "role": "user", "content": [block] }, "toolUseResult": text }))
}

fn queue(second: u64, operation: &str, content: Option<&str>) -> Value {
    let mut row =
        json!({ "type": "queue-operation", "operation": operation, "timestamp": at(second), "sessionId": ID });
    if let Some(content) = content {
        row["content"] = json!(content);
    }
    row
}
