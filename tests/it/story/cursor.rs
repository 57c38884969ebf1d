//! Cursor: messages without times and tokens; of what became of a call it tells little, and in plain text nothing.

use super::{FAILURE, FIRST, Form, LAST, README, STEERING, Telling, whole, with};
use serde_json::{Value, json};

/// The story as JSON lines.
pub fn lines() -> Telling {
    let text = |text: &str| json!({ "type": "text", "text": text });
    let query = |words: &str| message("user", vec![text(&format!("<user_query>\n{words}\n</user_query>"))]);
    let call =
        |id: &str, name: &str, input: Value| json!({ "type": "tool_use", "id": id, "name": name, "input": input });
    let result = |id: &str, failed: bool, text: &str| {
        message("user", vec![json!({ "type": "tool_result", "tool_use_id": id, "is_error": failed, "content": text })])
    };
    let rows = vec![
        query(FIRST),
        message(
            "assistant",
            vec![text("I start with the lexer."), call("c1", "Shell", json!({ "command": "cargo test" }))],
        ),
        result("c1", true, FAILURE),
        query(STEERING),
        message(
            "assistant",
            vec![call("c2", "StrReplace", json!({ "path": "src/lexer.rs", "old_string": "a", "new_string": "b" }))],
        ),
        json!({ "type": "turn_ended", "status": "aborted" }),
        query(LAST),
        message("assistant", vec![call("c3", "Read", json!({ "path": "README.md" }))]),
        result("c3", false, README),
        json!({ "type": "turn_ended", "status": "success" }),
    ];
    let says = with(whole(), json!({ "rejected_tools": 0, "compactions": 0, "usage": no_tokens() }));
    let form = Form::Lines("c0250f00-0000-4000-8000-000000000001.jsonl", rows);
    Telling { name: "cursor", id: "cursor:c0250f00-0000-4000-8000-000000000001", form, says }
}

/// The story as plain text.
pub fn text() -> Telling {
    let messages = [
        format!("user:\n<user_query>\n{FIRST}\n</user_query>"),
        format!(
            "assistant:\nI start with the lexer.\n[Tool call] Shell\n  command: cargo test\n[Tool result] Shell\n{FAILURE}"
        ),
        format!("user:\n<user_query>\n{STEERING}\n</user_query>"),
        String::from("assistant:\n[Tool call] StrReplace\n  path: src/lexer.rs\n  old_string: a\n  new_string: b"),
        format!("user:\n<user_query>\n{LAST}\n</user_query>"),
        format!("assistant:\n[Tool call] Read\n  path: README.md\n[Tool result] Read\n{README}"),
    ];
    let says = with(
        whole(),
        json!({ "interruptions": 0, "rejected_tools": 0, "failed_tool_calls": 0, "compactions": 0, "usage": no_tokens() }),
    );
    let form = Form::Text("c0250f00-0000-4000-8000-000000000002.txt", messages.to_vec());
    Telling { name: "cursor text", id: "cursor:c0250f00-0000-4000-8000-000000000002", form, says }
}

fn message(role: &str, content: Vec<Value>) -> Value {
    json!({ "role": role, "message": { "content": content } })
}

fn no_tokens() -> Value {
    json!({ "input": 0, "cached_input": 0, "cache_write": 0, "output": 0, "reasoning": 0 })
}
