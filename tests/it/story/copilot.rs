//! Copilot CLI: events, with the client's account of the tokens at the end; formerly a document of what the screen showed.

use super::{FAILURE, FIRST, Form, LAST, README, STEERING, SUMMARY, TOKENS, Telling, at, whole, with};
use serde_json::{Value, json};

const ID: &str = "c0b11070-0000-4000-8000-000000000001";

/// The story as JSON lines.
pub fn lines() -> Telling {
    let sum = |kind: usize| TOKENS.iter().map(|tokens| tokens[kind]).sum::<u64>();
    let usage = json!({ "inputTokens": sum(0) + sum(1) + sum(2), "cacheReadTokens": sum(1), "cacheWriteTokens": sum(2),
                        "outputTokens": sum(3), "reasoningTokens": sum(4) });
    let rows = [
        (
            0,
            "session.start",
            json!({ "sessionId": ID, "copilotVersion": "1.0.64", "selectedModel": "gpt-6", "context": { "cwd": "/home/ada/parser" } }),
        ),
        (
            1,
            "user.message",
            json!({ "content": FIRST, "transformedContent": format!("<current_datetime>now</current_datetime>\n\n{FIRST}"), "attachments": [] }),
        ),
        (
            4,
            "assistant.message",
            message(0, "I start with the lexer.", "c1", "bash", json!({ "command": "cargo test" })),
        ),
        (
            5,
            "tool.execution_start",
            json!({ "toolCallId": "c1", "toolName": "bash", "arguments": { "command": "cargo test" } }),
        ),
        (
            9,
            "tool.execution_complete",
            json!({ "toolCallId": "c1", "success": true, "result": { "content": format!("{FAILURE}\n<exited with exit code 101>") } }),
        ),
        (
            10,
            "user.message",
            json!({ "content": STEERING, "transformedContent": STEERING, "attachments": [], "delivery": "steering" }),
        ),
        (
            14,
            "assistant.message",
            message(1, "", "c2", "edit", json!({ "path": "src/lexer.rs", "old_str": "a", "new_str": "b" })),
        ),
        (
            14,
            "permission.requested",
            json!({ "requestId": "r2", "permissionRequest": { "kind": "write", "toolCallId": "c2" } }),
        ),
        (
            20,
            "permission.completed",
            json!({ "requestId": "r2", "result": { "kind": "denied-interactively-by-user" } }),
        ),
        (
            20,
            "tool.execution_complete",
            json!({ "toolCallId": "c2", "success": false, "error": { "message": "The user rejected this tool call.", "code": "rejected" } }),
        ),
        (20, "abort", json!({ "reason": "user_initiated" })),
        (25, "session.compaction_complete", json!({ "success": true, "summaryContent": SUMMARY })),
        (40, "user.message", json!({ "content": LAST, "transformedContent": LAST, "attachments": [] })),
        (44, "assistant.message", message(2, "", "c3", "view", json!({ "path": "README.md" }))),
        (
            44,
            "tool.execution_start",
            json!({ "toolCallId": "c3", "toolName": "view", "arguments": { "path": "README.md" } }),
        ),
        (
            45,
            "tool.execution_complete",
            json!({ "toolCallId": "c3", "success": true, "result": { "content": README } }),
        ),
        (
            50,
            "session.shutdown",
            json!({ "shutdownType": "routine", "modelMetrics": { "gpt-6": { "requests": { "count": 3 }, "usage": usage } } }),
        ),
    ];
    let rows = rows.into_iter().enumerate().map(|(number, (second, kind, data))| {
        json!({ "type": kind, "data": data, "id": format!("e{number}"), "timestamp": at(second), "parentId": null })
    });
    Telling {
        name: "copilot",
        id: "copilot:c0b11070-0000-4000-8000-000000000001",
        form: Form::Lines("c0b11070-0000-4000-8000-000000000001/events.jsonl", rows.collect()),
        says: whole(),
    }
}

/// The story as the old document: it knows neither tokens nor what ended a turn.
pub fn document() -> Telling {
    let entry = |second: u64, kind: &str, fields: Value| {
        with(json!({ "type": kind, "id": second.to_string(), "timestamp": at(second) }), fields)
    };
    let call = |second, id: &str, name: &str, arguments: Value, result: Value| {
        entry(
            second,
            "tool_call_completed",
            json!({ "callId": id, "name": name, "arguments": arguments, "result": result }),
        )
    };
    let elements = vec![
        entry(1, "user", json!({ "text": FIRST })),
        entry(4, "copilot", json!({ "text": "I start with the lexer." })),
        call(
            9,
            "c1",
            "bash",
            json!({ "command": "cargo test" }),
            json!({ "type": "success", "log": format!("{FAILURE}\n<exited with exit code 101>") }),
        ),
        entry(10, "user", json!({ "text": STEERING })),
        call(
            20,
            "c2",
            "str_replace_editor",
            json!({ "command": "str_replace", "path": "src/lexer.rs" }),
            json!({ "type": "rejected" }),
        ),
        entry(40, "user", json!({ "text": LAST })),
        call(
            45,
            "c3",
            "str_replace_editor",
            json!({ "command": "view", "path": "README.md" }),
            json!({ "type": "success", "log": README }),
        ),
    ];
    let facts = json!({ "sessionId": "c0b11070-0000-4000-8000-000000000002", "startTime": at(0), "chatMessages": [] });
    let form = Form::Document { file: "session_c0b11070.json", facts, list: "timeline", elements, pretty: true };
    let nothing = json!({ "input": 0, "cached_input": 0, "cache_write": 0, "output": 0, "reasoning": 0 });
    let says = with(whole(), json!({ "interruptions": 0, "compactions": 0, "usage": nothing }));
    Telling { name: "copilot document", id: "copilot:c0b11070-0000-4000-8000-000000000002", form, says }
}

fn message(answer: usize, text: &str, id: &str, tool: &str, arguments: Value) -> Value {
    json!({ "messageId": format!("m{answer}"), "content": text, "outputTokens": TOKENS[answer][3],
            "toolRequests": [{ "toolCallId": id, "name": tool, "arguments": arguments, "type": "function" }] })
}
