//! Codex CLI: what the model saw and what the screen showed side by side, running totals that come again.

use super::{FAILURE, FIRST, Form, LAST, README, STEERING, SUMMARY, TOKENS, Telling, at, whole, with};
use serde_json::{Value, json};

/// The story as JSON lines.
pub fn lines() -> Telling {
    let failure = format!("Chunk ID: 1\nWall time: 1.2 seconds\nProcess exited with code 101\nOutput:\n{FAILURE}");
    let readme = format!("Chunk ID: 2\nWall time: 0.1 seconds\nProcess exited with code 0\nOutput:\n{README}");
    let patch = "*** Begin Patch\n*** Update File: src/lexer.rs\n*** End Patch";
    let rows = vec![
        row(
            "session_meta",
            0,
            json!({ "id": "0190c0de-0000-7000-8000-000000000001", "timestamp": at(0), "cwd": "/home/ada/parser", "originator": "codex-tui", "cli_version": "0.142.0" }),
        ),
        event(1, "task_started", json!({ "turn_id": "1" })),
        row("turn_context", 1, json!({ "turn_id": "1", "model": "gpt-6-codex", "cwd": "/home/ada/parser" })),
        message(1, "user", "<environment_context>\n  <cwd>/home/ada/parser</cwd>\n</environment_context>"),
        message(1, "user", FIRST),
        event(1, "user_message", json!({ "message": FIRST, "images": [] })),
        event(3, "token_count", json!({ "info": null })),
        event(4, "agent_message", json!({ "message": "I start with the lexer." })),
        message(4, "assistant", "I start with the lexer."),
        item(
            5,
            "function_call",
            json!({ "call_id": "c1", "name": "exec_command", "arguments": json!({ "cmd": "cargo test" }).to_string() }),
        ),
        item(9, "function_call_output", json!({ "call_id": "c1", "output": failure })),
        tokens(9, 0),
        message(10, "user", STEERING),
        event(10, "user_message", json!({ "message": STEERING, "images": [] })),
        item(
            14,
            "custom_tool_call",
            json!({ "call_id": "c2", "name": "apply_patch", "input": patch, "status": "completed" }),
        ),
        item(20, "custom_tool_call_output", json!({ "call_id": "c2", "output": "patch rejected by user" })),
        tokens(20, 1),
        event(20, "turn_aborted", json!({ "reason": "interrupted", "turn_id": "1" })),
        row("compacted", 25, json!({ "message": SUMMARY })),
        event(26, "context_compacted", json!({})),
        event(40, "task_started", json!({ "turn_id": "2" })),
        message(40, "user", LAST),
        event(40, "user_message", json!({ "message": LAST, "images": [] })),
        item(
            44,
            "function_call",
            json!({ "call_id": "c3", "name": "exec_command", "arguments": json!({ "cmd": "cat README.md" }).to_string() }),
        ),
        item(45, "function_call_output", json!({ "call_id": "c3", "output": readme })),
        tokens(46, 2),
        tokens(47, 2),
        event(48, "task_complete", json!({ "turn_id": "2", "duration_ms": 8000 })),
    ];
    // It does not count what is written to a cache.
    let says = with(whole(), json!({ "usage": { "cache_write": 0 } }));
    Telling {
        name: "codex",
        id: "codex:0190c0de-0000-7000-8000-000000000001",
        form: Form::Lines("rollout-2026-05-01T10-00-00-0190c0de-0000-7000-8000-000000000001.jsonl", rows),
        says,
    }
}

fn row(kind: &str, second: u64, payload: Value) -> Value {
    json!({ "timestamp": at(second), "type": kind, "payload": payload })
}

fn typed(outer: &str, second: u64, kind: &str, payload: Value) -> Value {
    row(outer, second, with(json!({ "type": kind }), payload))
}

fn event(second: u64, kind: &str, payload: Value) -> Value {
    typed("event_msg", second, kind, payload)
}

fn item(second: u64, kind: &str, payload: Value) -> Value {
    typed("response_item", second, kind, payload)
}

fn message(second: u64, role: &str, text: &str) -> Value {
    let kind = if role == "user" { "input_text" } else { "output_text" };
    item(second, "message", json!({ "role": role, "content": [{ "type": kind, "text": text }] }))
}

/// The running total up to an answer, as Codex counts: cached tokens are a part of the input.
fn tokens(second: u64, answer: usize) -> Value {
    let count = |calls: &[[u64; 5]]| {
        let sum = |kind: usize| calls.iter().map(|tokens| tokens[kind]).sum::<u64>();
        json!({ "input_tokens": sum(0) + sum(1), "cached_input_tokens": sum(1), "output_tokens": sum(3),
                "reasoning_output_tokens": sum(4), "total_tokens": sum(0) + sum(1) + sum(3) })
    };
    let info =
        json!({ "total_token_usage": count(&TOKENS[..=answer]), "last_token_usage": count(&TOKENS[answer..=answer]) });
    event(second, "token_count", json!({ "info": info, "rate_limits": null }))
}
