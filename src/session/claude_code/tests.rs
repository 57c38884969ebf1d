//! One test a rule, on rows written by hand: what rows mean (`conversation`), and what files are (`files`).

mod conversation;
mod files;

use super::*;
use crate::session::{Channel, EventBody, InjectedSource, ToolOutcome};
use serde_json::{Value, json};
use std::path::PathBuf;

/// Reads files from memory, where nothing can fail.
fn read(id: &str, files: &[(PathBuf, Vec<u8>)]) -> Session {
    super::read(id, files).expect("memory can be read")
}

const SESSION: &str = "5e55104e-0000-4000-8000-000000000001";

/// A transcript in the making: every row gets an id, the one before as its parent, and a time ten seconds later.
#[derive(Default)]
struct Transcript {
    rows: Vec<Value>,
}

impl Transcript {
    fn new() -> Transcript {
        Transcript::default()
    }

    fn raw(mut self, row: Value) -> Self {
        self.rows.push(row);
        self
    }

    fn row(self, kind: &str, fields: Value) -> Self {
        let number = self.rows.len();
        let second = number * 10;
        let parent = self.rows.iter().rev().find_map(|row| row.get("uuid")).cloned();
        let mut row = json!({
            "parentUuid": parent, "isSidechain": false, "userType": "external", "cwd": "/w", "sessionId": SESSION, "version": "2.1.0",
            "type": kind, "uuid": format!("u{number}"), "timestamp": format!("2026-01-01T00:{:02}:{:02}.000Z", second / 60, second % 60),
        });
        for (key, value) in fields.as_object().into_iter().flatten() {
            row[key] = value.clone();
        }
        self.raw(row)
    }

    fn user(self, content: Value) -> Self {
        self.row("user", json!({"message": {"role": "user", "content": content}}))
    }

    fn user_with(self, content: Value, fields: Value) -> Self {
        let mut with = self.user(content);
        if let (Some(row), Value::Object(fields)) = (with.rows.last_mut(), fields) {
            for (key, value) in fields {
                row[key] = value;
            }
        }
        with
    }

    fn reply(self, text: &str) -> Self {
        let id = format!("msg_{}", self.rows.len());
        let content = json!([{"type": "text", "text": text}]);
        self.row("assistant", json!({"message": {"id": id, "model": "claude-x", "content": content}, "requestId": "r"}))
    }

    fn call(self, id: &str, name: &str, input: Value) -> Self {
        let content = json!([{"type": "tool_use", "id": id, "name": name, "input": input}]);
        self.row("assistant", json!({"message": {"id": format!("msg_{id}"), "model": "claude-x", "content": content}}))
    }

    fn result(self, id: &str, text: &str) -> Self {
        self.user(json!([{"type": "tool_result", "tool_use_id": id, "content": text}]))
    }

    fn error(self, id: &str, text: &str) -> Self {
        self.user(json!([{"type": "tool_result", "tool_use_id": id, "content": text, "is_error": true}]))
    }

    fn queue(self, operation: &str, content: Option<&str>) -> Self {
        let number = self.rows.len();
        let mut row = json!({"type": "queue-operation", "operation": operation, "sessionId": SESSION,
            "timestamp": format!("2026-01-01T01:00:{:02}.000Z", number % 60)});
        if let Some(content) = content {
            row["content"] = content.into();
        }
        self.raw(row)
    }

    fn bytes(&self) -> Vec<u8> {
        self.rows.iter().map(|row| format!("{row}\n")).collect::<String>().into_bytes()
    }

    fn read(&self) -> Session {
        let session = read(SESSION, &[(PathBuf::from("a.jsonl"), self.bytes())]);
        assert_eq!(session.read.bad, 0);
        session
    }
}

fn prompts(session: &Session) -> Vec<(Channel, &str)> {
    session.prompts().map(|(_, prompt)| (prompt.channel, prompt.text.as_str())).collect()
}

fn injected(session: &Session) -> Vec<(InjectedSource, &str)> {
    let found = session.events.iter().filter_map(|event| match &event.body {
        EventBody::Injected { source, text } => Some((*source, text.as_str())),
        _ => None,
    });
    found.collect()
}

fn results(session: &Session) -> Vec<(Option<u32>, ToolOutcome)> {
    let found = session.events.iter().filter_map(|event| match &event.body {
        EventBody::ToolResult(result) => Some((result.call, result.outcome)),
        _ => None,
    });
    found.collect()
}

fn interruptions(session: &Session) -> Vec<bool> {
    let found = session.events.iter().filter_map(|event| match event.body {
        EventBody::Interruption { during_tool } => Some(during_tool),
        _ => None,
    });
    found.collect()
}
