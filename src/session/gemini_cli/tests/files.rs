//! Files: which are chats, whose they are, and what damage does to them.

use super::*;

fn document(messages: &[Value]) -> Value {
    with(facts(), json!({ "messages": messages }))
}

fn pretty(document: &Value) -> String {
    serde_json::to_string_pretty(document).expect("a value is JSON")
}

#[test]
fn a_document_is_a_chat_whatever_its_file_is_called() {
    let document =
        document(&[message("1", 1, "user", "one"), message("2", 2, "gemini", "1"), message("1", 1, "user", "uno")]);
    for text in [document.to_string(), pretty(&document), format!("\u{feff}{}", pretty(&document))] {
        let path = Path::new("full.jsonl");
        assert_eq!(recognise(text.as_bytes(), path).as_deref(), Some(ID));
        assert_eq!(
            recognise(&text.as_bytes()[..160.min(text.len())], path).as_deref(),
            Some(ID),
            "from the head alone"
        );
        let session = read(ID, &[(path.to_owned(), text.into_bytes())]);
        assert_eq!((prompts(&session), session.read.records, session.read.bad), (vec!["uno"], 3, 0));
        assert_eq!(session.id.as_str(), format!("gemini_cli:{ID}"));
    }
}

#[test]
fn a_chat_and_the_lines_it_was_resumed_in_are_one_session() {
    let document = document(&[message("1", 1, "user", "one")]).to_string().into_bytes();
    let resumed = lines(&[message("1", 1, "user", "one"), message("2", 2, "user", "two")]);
    let files = [(PathBuf::from("a.json"), document), (PathBuf::from("a.jsonl"), resumed)];
    let session = read(ID, &files);
    assert_eq!((prompts(&session), session.path.to_str()), (vec!["one", "two"], Some("a.jsonl")));
}

#[test]
fn what_was_taken_back_is_known_in_the_union_too() {
    let rows = [
        message("1", 1, "user", "one"),
        message("2", 2, "gemini", "1"),
        message("3", 3, "user", "two, which is wrong"),
        message("4", 4, "gemini", "2"),
        json!({ "$rewindTo": "3" }),
        message("5", 9, "user", "three"),
    ];
    let resumed = lines(&[&rows[..1], &rows[2..]].concat());
    let document = document(&rows[..2]).to_string().into_bytes();
    let session = read(ID, &[(PathBuf::from("a.json"), document), (PathBuf::from("a.jsonl"), resumed)]);
    assert_eq!(prompts(&session), ["one", "two, which is wrong", "three"]);
    assert_eq!(session.events[4].body, EventBody::Rewind { first_event: 3, prompts: 1 });
    assert_eq!(session.events.len(), 6);
}

#[test]
fn a_subagent_is_a_part_of_its_session_or_a_session_without_prompts() {
    let path = PathBuf::from(format!("/h/chats/{ID}/sub1.jsonl"));
    let facts = with(facts(), json!({ "sessionId": "sub1", "kind": "subagent" }));
    let rows = [facts, message("1", 1, "user", "look into it"), message("2", 2, "gemini", "done")];
    let chat = rows.map(|row| row.to_string()).join("\n").into_bytes();
    let named = Thread { id: String::from("sub1"), parent: Some(ID.to_owned()), subagent: true };
    assert_eq!(thread(&chat, &path), Some(named));
    assert_eq!(recognise(&chat, &path).as_deref(), Some(ID));
    let main = (PathBuf::from("a.jsonl"), lines(&[message("1", 1, "user", "go")]));
    let together = read(ID, &[(path.clone(), chat.clone()), main]);
    assert_eq!((prompts(&together), together.subagent_events), (vec!["go"], 2));
    let alone = read("sub1", &[(path, chat)]).summary();
    assert_eq!((alone.prompts, alone.events, alone.subagent_events), (0, 2, 0));
}

#[test]
fn a_document_that_is_cut_off_gives_what_is_there() {
    let whole = pretty(&document(&[message("1", 1, "user", "one"), message("2", 2, "user", "two")]));
    let cut = &whole[..whole.len() - 20];
    assert_eq!(recognise(cut.as_bytes(), Path::new("a.json")).as_deref(), Some(ID));
    let session = read(ID, &[(PathBuf::from("a.json"), cut.as_bytes().to_vec())]);
    assert_eq!((prompts(&session), session.read.bad), (vec!["one"], 1));
}

#[test]
fn broken_characters_are_replaced() {
    let text = pretty(&document(&[message("1", 1, "user", "one")])).replace("one", "o\tn\\ud83de");
    let session = read(ID, &[(PathBuf::from("a.json"), text.into_bytes())]);
    assert_eq!((prompts(&session), session.read.repaired, session.read.bad), (vec!["o\tn\u{fffd}e"], 1, 0));
}

#[test]
fn lines_that_lost_their_beginning_are_known_by_what_only_they_have() {
    let slice = [message("1", 1, "gemini", "1"), json!({ "$set": { "lastUpdated": "x" } })]
        .map(|row| row.to_string())
        .join("\n");
    assert_eq!(recognise(slice.as_bytes(), Path::new("session-x.jsonl")).as_deref(), Some("session-x"));
}

#[test]
fn other_files_are_not_recognised() {
    for text in [
        r#"{"type":"user","uuid":"u","sessionId":"s","message":{"role":"user","content":"hi"}}"#,
        r#"{"timestamp":"t","type":"session_meta","payload":{"id":"x"}}"#,
        r#"{"info":{"id":"ses_1"},"messages":[]}"#,
        r#"{"sessionId":"s","messages":[]}"#,
        r#"{"history":[{"role":"user","parts":[]}]}"#,
        r#"[{"sessionId":"s","projectHash":"x"}]"#,
        r#"{"name":"package","type":"gemini"}"#,
        "a note about \"projectHash\"",
        "",
    ] {
        assert_eq!(recognise(text.as_bytes(), Path::new("x.json")), None, "{text}");
    }
}

#[test]
fn odd_types_are_taken_as_they_come() {
    let session = session(&[
        json!({ "id": 1, "type": "user", "timestamp": null, "content": null }),
        json!({ "id": "2", "type": "user", "content": { "text": "as an object" }, "displayContent": null }),
        json!({ "id": "3", "type": "gemini", "content": 7, "tokens": null, "toolCalls": [null, 3, {}], "model": null }),
        json!({ "id": "4", "type": "gemini", "tokens": { "input": "5", "output": 1.0, "cached": 9 } }),
        json!({ "$set": { "messages": null } }),
        json!({ "$set": [] }),
        json!({ "$rewindTo": null }),
    ]);
    assert_eq!(prompts(&session), ["as an object"]);
    assert_eq!((session.usage.input, session.usage.cached_input, session.usage.output), (0, 5, 1));
}

#[test]
fn real_chats_read_without_loss() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/sessions/gemini");
    if !folder.is_dir() {
        eprintln!("skipped: no real chats in {}", folder.display());
        return;
    }
    let corpus = crate::corpus::find(&[folder]).expect("the folder holds chats");
    let sessions = corpus.read_all(|session| session.summary());
    assert!(!sessions.is_empty() && corpus.skipped().is_empty());
    for session in sessions {
        let session = session.expect("the files can be read");
        assert!(session.prompts > 0 && session.usage.output > 0, "{}", session.id);
        assert_eq!((session.read.bad, session.read.unknown.len()), (0, 0), "{}", session.id);
    }
}

/// JSON of any shape, often with the names that the reader looks for.
fn any_json() -> impl Strategy<Value = Value> {
    let words = prop::sample::select(vec![
        "user",
        "gemini",
        "info",
        "error",
        "a",
        "b",
        "REDACTED",
        "success",
        "cancelled",
        "Request cancelled.",
        "run_shell_command",
        "exit_plan_mode",
        "Plan rejected. User feedback: x",
        "<state_snapshot>",
        "/init",
        "Output: [main 1a2b3c4] x",
        "image/png",
        "2026-05-01T10:00:00Z",
        "git commit",
        "I ran the following shell command:\n```",
        "-5",
    ]);
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        words.prop_map(Value::from),
        ".{0,12}".prop_map(Value::from),
    ];
    let keys = prop::sample::select(vec![
        "id",
        "type",
        "timestamp",
        "content",
        "displayContent",
        "text",
        "parts",
        "toolCalls",
        "name",
        "args",
        "result",
        "status",
        "functionResponse",
        "functionCall",
        "response",
        "output",
        "error",
        "tokens",
        "input",
        "cached",
        "thoughts",
        "$set",
        "$rewindTo",
        "messages",
        "sessionId",
        "inlineData",
        "mimeType",
        "command",
    ]);
    leaf.prop_recursive(5, 48, 6, move |inner| {
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
        recognise(&bytes, Path::new("é.jsonl"));
        read(ID, &[(PathBuf::from("é.jsonl"), bytes)]);
    }

    #[test]
    fn no_records_make_the_reader_panic(rows in prop::collection::vec(any_json(), 0..10), cut in 0usize..400) {
        let document = document(&rows).to_string();
        let cut = document.len().saturating_sub(cut);
        for bytes in [lines(&rows), document.as_bytes()[..cut].to_vec()] {
            let session = read(ID, &[(PathBuf::from("a.jsonl"), bytes)]);
            for (at, event) in session.events.iter().enumerate() {
                prop_assert_eq!(event.number as usize, at + 1);
            }
        }
    }
}
