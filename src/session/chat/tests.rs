//! Invented chats: every rule once.

use super::*;
use crate::session::{EventBody, ToolCategory, ToolOutcome};
use proptest::prelude::*;
use serde_json::json;
use std::fs;

/// Reads files from memory, where nothing can fail.
fn read(id: &str, files: &[(PathBuf, Vec<u8>)]) -> Session {
    super::read(id, files).expect("memory can be read")
}

fn session_of(bytes: Vec<u8>) -> Session {
    read("c", &[(PathBuf::from("c.json"), bytes)])
}

fn session(conversation: &Value) -> Session {
    session_of(conversation.to_string().into_bytes())
}

fn prompts(session: &Session) -> Vec<&str> {
    session.prompts().map(|(_, prompt)| prompt.text.as_str()).collect()
}

fn results(session: &Session) -> Vec<(Option<u32>, ToolOutcome, &str)> {
    let results = session.events.iter().filter_map(|event| match &event.body {
        EventBody::ToolResult(result) => Some((result.call, result.outcome, result.text.as_str())),
        _ => None,
    });
    results.collect()
}

/// What is found in a file of this name and text: ids with the text that each stands for, and how much is none.
fn found(name: &str, text: &str) -> (Vec<(String, String)>, u64) {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let path = folder.path().join(name);
    fs::write(&path, text).expect("a file can be written");
    let Found { conversations, others } = find(&path).expect("the file can be read");
    let told = conversations.into_iter().map(|conversation| {
        let Conversation { id, span, hash } = conversation;
        let part = &text[span.start as usize..span.end as usize];
        assert_eq!(hash, blake3::hash(part.as_bytes()));
        (id, part.to_owned())
    });
    (told.collect(), others)
}

fn ids(name: &str, text: &str) -> Vec<String> {
    found(name, text).0.into_iter().map(|(id, _)| id).collect()
}

const ONE: &str = r#"{"messages":[{"role":"user","content":"hi"}]}"#;
const NAMED: &str = r#"{"id":"conv-a","messages":[{"role":"user","content":"hi"}]}"#;

#[test]
fn messages_become_events_in_their_order() {
    let session = session(&json!({ "model": "m", "messages": [
        { "role": "system", "content": "Be brief." },
        { "role": "user", "content": [{ "type": "text", "text": "look" }, { "type": "image_url" }, { "type": "text", "text": "here" }] },
        { "role": "assistant", "content": "I will.", "tool_calls": [
            { "id": "a", "type": "function", "function": { "name": "shell", "arguments": "{\"command\":\"cargo test\"}" } },
            { "id": "b", "type": "function", "function": { "name": "anything", "arguments": "{\"command\":\"ls\"}" } },
        ] },
        { "role": "tool", "tool_call_id": "b", "content": "x.rs" },
        { "role": "tool", "tool_call_id": "a", "content": "2 failed", "is_error": true },
        { "role": "assistant", "content": "Two fail.", "model": "n" },
        { "role": "narrator", "content": "…" },
    ] }));
    assert_eq!(prompts(&session), ["look\nhere"]);
    assert_eq!(session.prompts().map(|(_, prompt)| prompt.images).sum::<u32>(), 1);
    assert!(matches!(&session.events[0].body, EventBody::Injected { source: InjectedSource::Context, .. }));
    let categories: Vec<_> = session.tool_calls().map(|(_, call)| call.category).collect();
    assert_eq!(categories, [ToolCategory::Verify, ToolCategory::Research]);
    assert_eq!(results(&session), [(Some(5), ToolOutcome::Ok, "x.rs"), (Some(4), ToolOutcome::Failed, "2 failed")]);
    assert_eq!((session.models.as_slice(), session.read.unknown["role narrator"]), (&["m".into(), "n".into()][..], 1));
    assert_eq!(session.id.as_str(), "chat:c");
}

#[test]
fn results_in_a_message_of_the_human_are_no_prompt() {
    let session = session(&json!({ "messages": [
        { "role": "assistant", "content": [{ "type": "tool_use", "id": "a", "name": "Bash", "input": { "command": "git commit" } }] },
        { "role": "user", "content": [{ "type": "tool_result", "tool_use_id": "a", "content": "[main 1a2b3c4] x" }] },
        { "role": "user", "content": " " },
    ] }));
    assert_eq!((prompts(&session).len(), results(&session).len(), session.commits().count()), (0, 1, 1));
}

#[test]
fn a_result_finds_its_call_by_id_also_behind_a_prompt_and_by_order_only_before_it() {
    let call = |id: Value| json!({ "role": "assistant", "tool_calls": [{ "id": id, "function": { "name": "f", "arguments": "{}" } }] });
    let session = session(&json!({ "messages": [
        call(json!("a")),
        call(Value::Null),
        { "role": "user", "content": "wait" },
        { "role": "tool", "content": "late" },
        { "role": "tool", "content": "late", "tool_call_id": "a" },
    ] }));
    let expected = [(None, ToolOutcome::Ok, "late"), (Some(1), ToolOutcome::Ok, "late")];
    assert_eq!(results(&session), expected);
}

#[test]
fn usage_is_booked_without_overlap_in_either_convention() {
    let openai = json!({ "prompt_tokens": 100, "completion_tokens": 20, "prompt_tokens_details": { "cached_tokens": 60 },
                         "completion_tokens_details": { "reasoning_tokens": 5 } });
    let anthropic = json!({ "input_tokens": 40, "output_tokens": 20, "cache_read_input_tokens": 60, "cache_creation_input_tokens": 7 });
    let whole = session(&json!({ "messages": [{ "role": "user", "content": "a" }], "usage": openai }));
    assert_eq!(whole.usage, Usage { input: 40, cached_input: 60, cache_write: 0, output: 20, reasoning: 5 });
    let messages = json!([{ "role": "assistant", "content": "a", "usage": anthropic }, { "role": "assistant", "content": "b", "usage": anthropic }]);
    let each = session(&json!({ "messages": messages, "usage": openai }));
    assert_eq!(each.usage, Usage { input: 80, cached_input: 120, cache_write: 14, output: 40, reasoning: 0 });
}

#[test]
fn times_are_taken_where_there_are_any() {
    let at = |role: &str, second: u32| json!({ "role": role, "content": "x", "timestamp": format!("2026-05-01T10:00:{second:02}Z") });
    let messages = json!([at("user", 5), at("assistant", 9), at("user", 30), at("assistant", 31)]);
    let timed = session(&json!({ "created_at": "2026-05-01T10:00:00Z", "messages": messages }));
    assert_eq!((timed.active_seconds, timed.wall_seconds()), (5.0, 31.0));
    assert_eq!(session(&json!({ "messages": [{ "role": "user", "content": "x" }] })).started, None);
}

#[test]
fn each_line_is_a_conversation_by_its_own_id_or_its_line() {
    let text = format!("{NAMED}\n\n{ONE}\n{{\"id\":7,{}\n{{\"a\":1}}\ncut {{\n{ONE}{NAMED}", &ONE[1..]);
    let (conversations, others) = found("chats.jsonl", &text);
    let ids: Vec<&str> = conversations.iter().map(|(id, _)| id.as_str()).collect();
    assert_eq!(ids, ["conv-a", "chats:3", "chats:7", "chats:7", "conv-a"]);
    assert_eq!(others, 2);
    assert_eq!((conversations[1].1.as_str(), conversations[4].1.as_str()), (ONE, NAMED));
}

#[test]
fn a_document_is_a_conversation_or_a_list_of_them() {
    let pretty = "{\n \"title\": \"t\",\n \"messages\": [\n  {\"role\": \"user\", \"content\": \"hi\"}\n ]\n}\n";
    assert_eq!(found("talk.json", pretty), (vec![("talk".into(), pretty.trim_end().into())], 0));
    assert_eq!(ids("talk.json", ONE), ["talk"]);
    assert_eq!(ids("talk.jsonl", ONE), ["talk:1"]);
    assert_eq!(ids("talk.json", &format!("\u{feff}[\n{NAMED},\n {ONE} ]")), ["conv-a", "talk:2"]);
    assert_eq!(found("talk.json", &format!("[{ONE},3]")).1, 1);
    let bare =
        "[\n {\"role\":\"user\",\"content\":\"hi\"},\n {\"role\":\"assistant\",\"content\":null,\"tool_calls\":[]}\n]";
    assert_eq!(ids("a b#1.json", bare), ["a_b_1"]);
    assert_eq!(prompts(&session_of(bare.as_bytes().to_vec())), ["hi"]);
}

#[test]
fn what_only_resembles_a_chat_is_none() {
    for text in [
        r#"{"messages":[{"type":"user","content":"hi"}]}"#,
        r#"{"messages":[{"role":"user"}]}"#,
        r#"{"messages":[{"role":"admin","content":"all"}]}"#,
        r#"{"messages":[{"role":{"name":"user"},"content":"hi"}]}"#,
        r#"{"messages":["role","content"]}"#,
        r#"{"messages":{"role":"user","content":"hi"}}"#,
        r#"{"messages":[]}"#,
        r#"{"role":"user","content":"hi"}"#,
        r#"{"message":{"role":"user","content":"hi"}}"#,
        r#"[{"info":{"role":"user"},"parts":[],"content":""}]"#,
        "\"messages\" \"role\" \"content\"",
        "",
    ] {
        assert_eq!(ids("x.json", text), Vec::<String>::new(), "{text}");
    }
    for head in [r#"{"name":"x","role":"y","content":"z"}"#, r#"{"messages":[{"content":1}]}"#, ""] {
        assert!(!may_hold(head.as_bytes()), "{head}");
    }
    assert!(may_hold(ONE.as_bytes()));
}

#[test]
fn damage_within_a_conversation_costs_no_more_than_itself() {
    let broken = "{\"messages\":[{\"role\":\"user\",\"content\":\"a \\ud83d b\"}]}";
    assert_eq!(ids("x.jsonl", broken), ["x:1"]);
    let session = session_of(broken.as_bytes().to_vec());
    assert_eq!((prompts(&session), session.read.repaired), (vec!["a \u{fffd} b"], 1));
}

proptest! {
    #[test]
    fn no_bytes_make_the_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        may_hold(&bytes);
        session_of(bytes);
    }

    #[test]
    fn no_messages_make_the_reader_panic(
        messages in prop::collection::vec((prop::sample::select(vec!["user", "assistant", "tool", "system", "x"]), crate::session::value::any_json()), 0..12),
        more in crate::session::value::any_json(),
    ) {
        let messages: Vec<Value> =
            messages.into_iter().map(|(role, content)| json!({ "role": role, "content": content, "tool_calls": content, "usage": content })).collect();
        let session = session(&json!({ "messages": messages, "usage": more }));
        prop_assert_eq!(session.read.records, 1);
    }

    #[test]
    fn every_conversation_that_is_found_can_be_read_alone(
        lines in prop::collection::vec(prop_oneof![Just(ONE.to_owned()), Just(NAMED.to_owned()), Just(String::new()), "[ -~]{0,20}"], 0..8),
    ) {
        let (conversations, _) = found("f.jsonl", &lines.join("\n"));
        for (_, text) in conversations {
            prop_assert_eq!(session_of(text.into_bytes()).prompts().count(), 1);
        }
    }
}
