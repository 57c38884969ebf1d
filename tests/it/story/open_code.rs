//! OpenCode: messages with parts, exported as one document, spread over a folder, or in a database.

use super::{FAILURE, FIRST, Form, LAST, README, STEERING, SUMMARY, TOKENS, Telling, whole, with};
use serde_json::{Value, json};

/// The session's id while it is put together; each form gets one of its own.
const ID: &str = "ses_of_the_story";

/// The story as `opencode export` writes it.
pub fn export() -> Telling {
    let own = |value: Value| named(value, "ses_0c0de0000001");
    let form = Form::Document {
        file: "ses_0c0de0000001.json",
        facts: own(json!({ "info": facts() })),
        list: "messages",
        elements: messages().into_iter().map(own).collect(),
        pretty: false,
    };
    Telling { name: "opencode export", id: "opencode:ses_0c0de0000001", form, says: whole() }
}

/// The story as a storage folder.
pub fn storage() -> Telling {
    let mut files = vec![(format!("storage/session/p/{ID}.json"), facts())];
    for message in messages() {
        let id = message["info"]["id"].as_str().expect("a message has an id").to_owned();
        files.push((format!("storage/message/{ID}/{id}.json"), message["info"].clone()));
        for part in message["parts"].as_array().expect("a message has parts") {
            files.push((
                format!("storage/part/{id}/{}.json", part["id"].as_str().expect("a part has an id")),
                part.clone(),
            ));
        }
    }
    let own = |(name, value): (String, Value)| (name.replace(ID, "ses_0c0de0000002"), named(value, "ses_0c0de0000002"));
    let form = Form::Storage(files.into_iter().map(own).collect());
    Telling { name: "opencode storage", id: "opencode:ses_0c0de0000002", form, says: whole() }
}

/// The story as a database.
pub fn database() -> Telling {
    let own = |value: Value| named(value, "ses_0c0de0000003");
    let form = Form::Database(own(facts()), messages().into_iter().map(own).collect());
    Telling { name: "opencode database", id: "opencode:ses_0c0de0000003", form, says: whole() }
}

/// The value with the session's id in place of the one that stands for it.
fn named(value: Value, id: &str) -> Value {
    serde_json::from_str(&value.to_string().replace(ID, id)).expect("an id is no part of JSON's syntax")
}

/// Milliseconds so many seconds after the story begins.
fn millis(second: u64) -> u64 {
    1_777_629_600_000 + second * 1000
}

fn facts() -> Value {
    json!({ "id": ID, "projectID": "p", "directory": "/home/ada/parser", "title": "Parser", "version": "1.2.0", "time": { "created": millis(0), "updated": millis(50) } })
}

fn messages() -> Vec<Value> {
    let refusal = "The user rejected permission to use this specific tool call.";
    vec![
        user("msg_1", 1, json!({ "type": "text", "text": FIRST })),
        answer(
            "msg_2",
            [2, 12],
            0,
            json!({}),
            vec![
                json!({ "type": "text", "text": "I start with the lexer." }),
                call(
                    "c1",
                    "bash",
                    json!({ "command": "cargo test" }),
                    json!({ "status": "completed", "output": FAILURE, "metadata": { "exit": 101 }, "time": { "start": millis(5), "end": millis(9) } }),
                ),
            ],
        ),
        user("msg_3", 10, json!({ "type": "text", "text": STEERING })),
        answer(
            "msg_4",
            [13, 20],
            1,
            json!({ "error": { "name": "MessageAbortedError", "data": { "message": "" } } }),
            vec![call(
                "c2",
                "edit",
                json!({ "filePath": "src/lexer.rs", "oldString": "a", "newString": "b" }),
                json!({ "status": "error", "error": refusal, "time": { "start": millis(14), "end": millis(20) } }),
            )],
        ),
        user("msg_5", 25, json!({ "type": "compaction", "auto": false })),
        message(
            "msg_6",
            json!({ "role": "assistant", "time": { "created": millis(26), "completed": millis(27) }, "summary": true }),
            vec![json!({ "type": "text", "text": SUMMARY })],
        ),
        user("msg_7", 40, json!({ "type": "text", "text": LAST })),
        answer(
            "msg_8",
            [41, 46],
            2,
            json!({}),
            vec![call(
                "c3",
                "read",
                json!({ "filePath": "README.md" }),
                json!({ "status": "completed", "output": README, "time": { "start": millis(44), "end": millis(45) } }),
            )],
        ),
    ]
}

fn message(id: &str, info: Value, parts: Vec<Value>) -> Value {
    let own = |at: usize| json!({ "id": format!("prt_{}_{at}", &id[4..]), "sessionID": ID, "messageID": id });
    let parts: Vec<Value> = parts.into_iter().enumerate().map(|(at, part)| with(own(at), part)).collect();
    json!({ "info": with(json!({ "id": id, "sessionID": ID }), info), "parts": parts })
}

fn user(id: &str, second: u64, part: Value) -> Value {
    message(id, json!({ "role": "user", "time": { "created": millis(second) }, "agent": "build" }), vec![part])
}

/// An answer; what the cache took part in stands beside the input, and the reasoning is a part of the output.
fn answer(id: &str, [created, completed]: [u64; 2], answer: usize, more: Value, mut parts: Vec<Value>) -> Value {
    let [input, read, write, output, reasoning] = TOKENS[answer];
    let tokens = json!({ "total": input + read + write + output, "input": input, "output": output, "reasoning": reasoning,
                         "cache": { "read": read, "write": write } });
    parts.push(json!({ "type": "step-finish", "reason": "tool-calls", "cost": 0, "tokens": tokens }));
    let info = json!({ "role": "assistant", "modelID": "gpt-6", "providerID": "openai", "time": { "created": millis(created), "completed": millis(completed) }, "tokens": tokens });
    message(id, with(info, more), parts)
}

fn call(id: &str, tool: &str, input: Value, state: Value) -> Value {
    json!({ "type": "tool", "callID": id, "tool": tool, "state": with(json!({ "input": input }), state) })
}
