//! Files: which are OpenCode's, whose they are, where the rest of them lies, and what damage does.

use super::*;
use rusqlite::Connection;
use tempfile::TempDir;

fn messages() -> Vec<Value> {
    vec![
        user("msg_1", 1, &[text("one")]),
        assistant(
            "msg_2",
            2,
            3,
            json!({ "tokens": { "input": 5, "output": 2 } }),
            &[bash("ls", "a", 0), text("Done.")],
        ),
        user("msg_3", 4, &[text("two")]),
    ]
}

fn child() -> Value {
    facts(json!({ "id": "ses_2", "parentID": ID }))
}

fn write(folder: &TempDir, name: &str, value: &Value) {
    let path = folder.path().join(name);
    fs::create_dir_all(path.parent().expect("a file is in a folder")).expect("a folder can be made");
    fs::write(path, value.to_string()).expect("a file can be written");
}

/// A storage folder with the session, its messages and parts; without marks in the parts, they are known by their folder.
fn storage(folder: &TempDir, root: &str, marked: bool) {
    for message in messages() {
        let id = message["info"]["id"].as_str().expect("a message has an id").to_owned();
        write(folder, &format!("{root}message/{ID}/{id}.json"), &message["info"]);
        for (at, part) in message["parts"].as_array().into_iter().flatten().enumerate() {
            let part =
                if marked { with(part.clone(), json!({ "messageID": id, "sessionID": ID })) } else { part.clone() };
            write(folder, &format!("{root}part/{id}/prt_{at}.json"), &part);
        }
    }
}

fn database(folder: &TempDir) -> PathBuf {
    let path = folder.path().join("opencode.db");
    let database = Connection::open(&path).expect("a database can be made");
    let tables = "CREATE TABLE session (id TEXT, project_id TEXT, parent_id TEXT, time_created INTEGER, revert TEXT);
                  CREATE TABLE message (id TEXT, session_id TEXT, time_created INTEGER, data TEXT);
                  CREATE TABLE part (id TEXT, message_id TEXT, session_id TEXT, data TEXT);";
    database.execute_batch(tables).expect("tables can be made");
    let session = "INSERT INTO session VALUES (?1, 'p', ?2, ?3, NULL)";
    database.execute(session, (ID, None::<String>, BEGIN)).expect("a row can be written");
    database.execute(session, ("ses_2", Some(ID), BEGIN)).expect("a row can be written");
    database.execute(session, ("ses_3", None::<String>, BEGIN)).expect("a row can be written");
    let mut rows: Vec<(String, Value)> = messages().into_iter().map(|message| (ID.to_owned(), message)).collect();
    rows.push((String::from("ses_2"), user("msg_9", 2, &[text("look into it")])));
    for (session, message) in rows {
        let id = message["info"]["id"].as_str().expect("a message has an id");
        let row = (id, &session, message["info"]["time"]["created"].as_i64(), message["info"].to_string());
        database.execute("INSERT INTO message VALUES (?1, ?2, ?3, ?4)", row).expect("a row can be written");
        for (at, part) in message["parts"].as_array().into_iter().flatten().enumerate() {
            let row = (format!("{id}_{at}"), id, &session, part.to_string());
            database.execute("INSERT INTO part VALUES (?1, ?2, ?3, ?4)", row).expect("a row can be written");
        }
    }
    path
}

#[test]
fn a_session_is_the_same_wherever_it_is_stored() {
    let exported = tempfile::tempdir().expect("a temporary folder can be made");
    write(&exported, "full.jsonl", &json!({ "info": facts(json!({})), "messages": messages() }));
    let stored = tempfile::tempdir().expect("a temporary folder can be made");
    write(&stored, &format!("session/p/{ID}.json"), &facts(json!({})));
    storage(&stored, "", true);
    let earlier = tempfile::tempdir().expect("a temporary folder can be made");
    write(&earlier, &format!("session/info/{ID}.json"), &facts(json!({})));
    storage(&earlier, "session/", false);
    let held = tempfile::tempdir().expect("a temporary folder can be made");
    database(&held);
    let mut seen = Vec::new();
    // The database also holds a message of a subagent.
    for (folder, records) in [(&exported, 7), (&stored, 7), (&earlier, 7), (&held, 8)] {
        let corpus = crate::corpus::find(&[folder.path().to_owned()]).expect("there is a session");
        assert!(corpus.skipped().is_empty(), "{:?}", corpus.skipped());
        let source = corpus.sources().iter().find(|source| source.native_id == ID).expect("the session is found");
        let session = crate::corpus::read(source).expect("the files can be read");
        assert_eq!((session.read.records, session.read.bad), (records, 0));
        seen.push((session.id.to_string(), session.events, session.usage, session.active_seconds));
    }
    assert_eq!(seen[0].0, "opencode:ses_1");
    assert_eq!(seen[0].1.len(), 5);
    assert!(seen.iter().all(|other| *other == seen[0]));
}

#[test]
fn a_database_holds_many_sessions_and_is_not_written_to() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let path = database(&folder);
    let before = fs::read(&path).expect("the file can be read");
    let corpus = crate::corpus::find(std::slice::from_ref(&path)).expect("there are sessions");
    let ids: Vec<&str> = corpus.sources().iter().map(|source| source.id.as_str()).collect();
    assert_eq!(ids, ["opencode:ses_1", "opencode:ses_3"], "a subagent's session is a part of the one that started it");
    assert!(corpus.sources().iter().all(|source| source.places == [crate::corpus::Place::file(path.clone())]));
    let sessions: Vec<_> =
        corpus.sessions().map(|session| session.expect("the database can be read").summary()).collect();
    let counts: Vec<(usize, u64)> = sessions.iter().map(|session| (session.prompts, session.subagent_events)).collect();
    assert_eq!(counts, [(2, 1), (0, 0)]);
    assert_eq!(fs::read(&path).expect("the file can be read"), before);
    assert_eq!(fs::read_dir(folder.path()).expect("the folder can be read").count(), 1);
}

#[test]
fn rows_that_are_still_in_the_log_of_a_database_are_read() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let path = database(&folder);
    let writer = Connection::open(&path).expect("the database can be opened");
    writer.pragma_update(None, "journal_mode", "wal").expect("there can be a log");
    writer.execute("INSERT INTO session VALUES ('ses_4', 'p', NULL, 1, NULL)", ()).expect("a row can be written");
    let threads = database::threads(&path).expect("the database is sound");
    assert!(threads.is_some_and(|threads| threads.iter().any(|thread| thread.id == "ses_4")));
}

#[test]
fn other_databases_are_not_opencodes_and_damaged_ones_are_told_of() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let path = folder.path().join("a.db");
    let other = Connection::open(&path).expect("a database can be made");
    other.execute_batch("CREATE TABLE session (id TEXT)").expect("a table can be made");
    drop(other);
    assert_eq!(find(&fs::read(&path).expect("the file can be read"), &path), None);
    fs::write(&path, b"SQLite format 3\0 and then nothing of the kind").expect("a file can be written");
    assert!(matches!(find(b"SQLite format 3\0", &path), Some(Found::DamagedDatabase(_))));
    let place = crate::corpus::Place::file(path);
    assert!(matches!(super::super::read(ID, &[place]), Err(ReadError::Database { .. })));
}

#[test]
fn a_subagent_is_a_part_of_its_session_or_a_session_without_prompts() {
    let message = user("msg_9", 2, &[text("look into it")]);
    let aborted = assistant("msg_10", 3, 4, json!({ "error": { "name": "MessageAbortedError" } }), &[text("I")]);
    let child = (PathBuf::from("b.json"), export(child(), &[message, aborted]));
    assert_eq!(recognise(&child.1, &child.0).as_deref(), Some(ID));
    let main = (PathBuf::from("a.json"), export(facts(json!({})), &messages()));
    let together = read(ID, &[child.clone(), main.clone(), main]).summary();
    assert_eq!((together.prompts, together.interruptions, together.subagent_events), (2, 0, 2));
    let alone = read("ses_2", &[child]).summary();
    assert_eq!((alone.prompts, alone.interruptions, alone.events, alone.subagent_events), (0, 0, 2, 0));
}

#[test]
fn of_several_copies_the_longest_counts() {
    let copy = |path: &str, messages: &[Value]| (PathBuf::from(path), export(facts(json!({})), messages));
    let session = read(ID, &[copy("1", &messages()[..1]), copy("2", &messages()), copy("3", &messages()[..2])]);
    assert_eq!((session.path.to_str(), prompts(&session).len()), (Some("2"), 2));
}

#[test]
fn pieces_without_their_session_are_told_of() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    storage(&folder, "", true);
    write(&folder, "session/p/ses_7.json", &facts(json!({ "id": "ses_7" })));
    let corpus = crate::corpus::find(&[folder.path().to_owned()]).expect("there is a session");
    assert_eq!(corpus.sources().iter().map(|source| source.id.as_str()).collect::<Vec<_>>(), ["opencode:ses_7"]);
    assert_eq!(corpus.skipped().len(), 7);
    assert_eq!(corpus.skipped()[0].reason.to_string(), "a piece of a session whose own file is missing");
    let piece = crate::corpus::find(&[folder.path().join(format!("message/{ID}/msg_1.json"))]);
    assert!(piece.is_err(), "a message alone is no transcript");
}

#[test]
fn a_document_that_is_cut_off_gives_what_is_there() {
    let whole = String::from_utf8(export(facts(json!({})), &messages())).expect("JSON is text");
    let cut = &whole[..whole.len() - 30];
    assert_eq!(recognise(&cut.as_bytes()[..300], Path::new("a.json")).as_deref(), Some(ID));
    let session = read(ID, &[(PathBuf::from("a.json"), cut.as_bytes().to_vec())]);
    assert_eq!((prompts(&session).len(), session.tool_calls().count(), session.read.bad), (1, 1, 1));
    let turned = json!({ "messages": messages(), "info": facts(json!({})) }).to_string();
    assert_eq!(recognise(turned.as_bytes(), Path::new("a.json")).as_deref(), Some(ID));
    assert_eq!(recognise(&turned.as_bytes()[..900], Path::new("a.json")).as_deref(), Some(ID));
}

#[test]
fn other_files_are_not_recognised() {
    for text in [
        r#"{"type":"user","uuid":"u","sessionId":"s","message":{"role":"user","content":"hi"}}"#,
        r#"{"timestamp":"t","type":"session_meta","payload":{"id":"x"}}"#,
        r#"{"sessionId":"s","projectHash":"x","messages":[]}"#,
        r#"{"info":{"id":"x"},"messages":[]}"#,
        r#"{"id":"x","version":"1.0.0","time":{"created":5}}"#,
        r#"{"id":"x","type":"text","text":"a"}"#,
        r#"{"role":"user","content":"hi","id":"1"}"#,
        r#"{"messages":[{"role":"user","content":"hi"}]}"#,
        "a note",
        "",
    ] {
        assert_eq!(find(text.as_bytes(), Path::new("x.json")), None, "{text}");
    }
}

#[test]
fn odd_types_are_taken_as_they_come() {
    let session = session(&[
        json!({ "info": { "id": 1, "role": "user", "time": null }, "parts": [{ "type": "text", "text": 5 }, 7, null] }),
        json!({ "info": { "role": "assistant", "summary": "x", "error": "odd", "path": "/w", "cost": {} }, "parts": null }),
        json!({ "info": null, "parts": [] }),
        json!({ "info": { "role": "from the future" }, "parts": [] }),
        assistant(
            "a",
            1,
            2,
            json!({}),
            &[json!({ "type": "from the future" }), json!({ "type": "tool", "state": null })],
        ),
        json!("a string"),
    ]);
    assert_eq!(prompts(&session), [("5", Channel::Typed)]);
    assert_eq!(session.read.unknown.keys().collect::<Vec<_>>(), ["from the future", "part.from the future"]);
    assert_eq!(session.read.bad, 4);
}

#[test]
fn real_sessions_read_without_loss() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/sessions/opencode");
    if !folder.is_dir() {
        eprintln!("skipped: no real sessions in {}", folder.display());
        return;
    }
    let corpus = crate::corpus::find(&[folder]).expect("the folder holds sessions");
    let sessions = corpus.read_all(|session| session.summary());
    assert!(!sessions.is_empty() && corpus.skipped().is_empty());
    for session in sessions {
        let session = session.expect("the files can be read");
        assert!(session.tool_calls > 0 && session.usage.output > 0, "{}", session.id);
        assert_eq!((session.read.bad, session.read.unknown.len()), (0, 0), "{}", session.id);
    }
}

/// JSON of any shape, often with the names that the reader looks for.
fn any_json() -> impl Strategy<Value = Value> {
    let words = prop::sample::select(vec![
        "user",
        "assistant",
        "text",
        "tool",
        "file",
        "subtask",
        "compaction",
        "step-finish",
        "bash",
        "question",
        "completed",
        "error",
        "MessageAbortedError",
        "msg_1",
        "The following tool was executed by the user",
        "Tool execution aborted",
        "x\n<bash_metadata>\nUser aborted the command\n</bash_metadata>",
        "[main 1a2b3c4] x",
        "git commit",
        "The user rejected permission to use this tool with the following feedback: x",
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
        "info",
        "parts",
        "role",
        "type",
        "text",
        "tool",
        "state",
        "status",
        "input",
        "output",
        "error",
        "command",
        "time",
        "created",
        "completed",
        "start",
        "end",
        "tokens",
        "cache",
        "read",
        "reasoning",
        "total",
        "synthetic",
        "summary",
        "name",
        "metadata",
        "exit",
        "messageID",
        "sessionID",
        "prompt",
        "mime",
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
        recognise(&bytes, Path::new("part/é/é.json"));
        read(ID, &[(PathBuf::from("part/é/é.json"), bytes)]);
    }

    #[test]
    fn no_records_make_the_reader_panic(
        infos in prop::collection::vec((any_json(), prop::collection::vec(any_json(), 0..4)), 0..8),
        revert in any_json(), cut in 0usize..600,
    ) {
        let messages: Vec<Value> = infos.into_iter().map(|(info, parts)| json!({ "info": info, "parts": parts })).collect();
        let mut bytes = export(facts(json!({ "revert": revert })), &messages);
        let pieces = messages.iter().flat_map(|message| [message["info"].clone(), message["parts"][0].clone()]);
        let mut files: Vec<(PathBuf, Vec<u8>)> =
            pieces.map(|piece| (PathBuf::from("part/x/y.json"), piece.to_string().into_bytes())).collect();
        bytes.truncate(bytes.len().saturating_sub(cut));
        files.push((PathBuf::from("a.json"), bytes));
        let session = read(ID, &files);
        for (at, event) in session.events.iter().enumerate() {
            prop_assert_eq!(event.number as usize, at + 1);
        }
    }
}
