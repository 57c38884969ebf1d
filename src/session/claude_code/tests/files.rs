//! Which files are transcripts, how several make one session, and what damage costs.

use super::*;
use proptest::prelude::*;

#[test]
fn subagents_are_counted_and_nothing_else() {
    let subagent = |text: &str| json!({"isSidechain": true, "agentId": "a1", "message": {"role": "user", "content": text, "usage": {"output_tokens": 9}}});
    let main = Transcript::new()
        .user(json!("a"))
        .row("user", subagent("Explore"))
        .row("assistant", subagent("found"))
        .row("progress", json!({"data": {"type": "agent_progress", "message": {"type": "user", "uuid": "p1"}}}))
        .row("progress", json!({"data": {"type": "hook_progress"}}));
    let mut other = Transcript::new();
    other = other.raw(json!({"type": "user", "uuid": "p1", "isSidechain": true, "sessionId": SESSION, "message": {"content": "Look"}}));
    other = other.raw(json!({"type": "assistant", "uuid": "p2", "isSidechain": true, "sessionId": SESSION, "message": {"content": []}}));
    other = other.raw(json!({"type": "assistant", "uuid": "p3", "isSidechain": true, "sessionId": SESSION, "message": {"content": "x".repeat(9999)}}));
    let files =
        [(PathBuf::from("s/subagents/agent-a1.jsonl"), other.bytes()), (PathBuf::from("s.jsonl"), main.bytes())];
    let session = read(SESSION, &files);
    assert_eq!((session.subagent_events, session.prompts().count(), session.usage.output), (5, 1, 0));
    assert_eq!(session.path, PathBuf::from("s.jsonl"));
    assert_eq!(recognise(&files[0].1, &files[0].0).as_deref(), Some(SESSION));
}

#[test]
fn copies_of_a_transcript_count_once() {
    let whole = Transcript::new()
        .user(json!("a"))
        .queue("enqueue", Some("b"))
        .reply("x")
        .queue("remove", Some("b"))
        .reply("y")
        .user(json!("c"));
    let half = Transcript { rows: whole.rows[..4].to_vec() };
    let files = [(PathBuf::from("half.jsonl"), half.bytes()), (PathBuf::from("whole.jsonl"), whole.bytes())];
    let session = read(SESSION, &files);
    assert_eq!(prompts(&session), [(Channel::Typed, "a"), (Channel::Steering, "b"), (Channel::Typed, "c")]);
    assert_eq!(session.path, PathBuf::from("whole.jsonl"));
    assert_eq!((session.read.records, session.events.len()), (6, 5));
    // A transcript cut in two is put together in the order of time.
    let rest = Transcript { rows: whole.rows[4..].to_vec() };
    let cut = read(SESSION, &[(PathBuf::from("2"), rest.bytes()), (PathBuf::from("1"), half.bytes())]);
    assert_eq!(cut.events, session.events);
}

#[test]
fn damaged_lines_lose_nothing_that_is_whole() {
    let rows = Transcript::new().user(json!("a")).reply("x").user(json!("b")).reply("y").rows;
    let line = |row: usize| rows[row].to_string();
    for (case, file, repaired, bad) in [
        ("glued", format!("{}{}\n{}\n{}", line(0), line(1), line(2), line(3)), 1, 0),
        ("nul", format!("{}\n\0\0\0{}\n{}\n\0\0\n{}\n", line(0), line(1), line(2), line(3)), 2, 0),
        ("truncated", format!("{}\n{}{}\n{}\n{}\n", line(0), &line(1)[..60], line(1), line(2), line(3)), 0, 1),
        ("crlf", format!("\u{feff}{}\r\n{}\r\n\r\n{}\r\n{}\r\n", line(0), line(1), line(2), line(3)), 1, 0),
        ("control", format!("{}\n{}\n{}\n{}", line(0), line(1).replace("\"x\"", "\"x\t\""), line(2), line(3)), 1, 0),
        (
            "surrogate",
            format!("{}\n{}\n{}\n{}", line(0), line(1).replace("\"x\"", "\"x\\ud83d\""), line(2), line(3)),
            1,
            0,
        ),
    ] {
        let session = read(SESSION, &[(PathBuf::from("a"), file.into_bytes())]);
        assert_eq!((session.events.len(), session.read.records), (4, 4), "{case}");
        assert_eq!((session.read.repaired, session.read.bad), (repaired, bad), "{case}");
    }
}

#[test]
fn half_a_character_in_a_calls_arguments_is_replaced() {
    let call = Transcript::new().call("t", "Bash", json!({"command": "echo X"})).rows[0].to_string();
    let session = read(SESSION, &[(PathBuf::from("a"), call.replace("echo X", "echo \\ud83d").into_bytes())]);
    assert!(session.tool_calls().all(|(_, call)| call.input == "echo \u{fffd}"));
    assert_eq!((session.summary().tool_calls, session.read.repaired), (1, 1));
}

#[test]
fn a_transcript_is_recognised_by_its_rows_and_named_by_its_session() {
    let bytes = Transcript::new()
        .raw(json!({"type": "summary", "summary": "s", "leafUuid": "l"}))
        .raw(json!({"type": "file-history-snapshot", "messageId": "m", "snapshot": {}}))
        .user_with(json!("a"), json!({"sessionId": "other"}))
        .user(json!("b"))
        .bytes();
    let of = |head: &[u8], name: &str| recognise(head, Path::new(name));
    assert_eq!(of(&bytes, &format!("p/{SESSION}.jsonl")).as_deref(), Some(SESSION));
    assert_eq!(of(&bytes, &format!("2026-01-21-{SESSION}.jsonl")).as_deref(), Some(SESSION));
    assert_eq!(of(&bytes, "0/full.jsonl").as_deref(), Some("other"));
    assert_eq!(of(&bytes[..bytes.len() - 9], "full.jsonl").as_deref(), Some("other"));
    assert_eq!(
        of(b"{\"type\":\"summary\",\"summary\":\"s\",\"leafUuid\":\"l\"}\n", "p/abc.jsonl").as_deref(),
        Some("abc")
    );
    let dated = String::from_utf8_lossy(&bytes).replace("\"other\"", "\"2026-01-21-abc\"");
    assert_eq!(of(dated.as_bytes(), "full.jsonl").as_deref(), Some("abc"));
}

#[test]
fn a_subagents_file_belongs_to_the_session_of_its_folder_or_its_rows() {
    let bytes = Transcript::new()
        .row("user", json!({"isSidechain": true, "sessionId": "agent-1", "message": {"content": "Look"}}))
        .bytes();
    assert_eq!(recognise(&bytes, Path::new("p/parent/subagents/agent-1.jsonl")).as_deref(), Some("parent"));
    assert_eq!(recognise(&bytes, Path::new("p/parent/subagents/workflows/w/agent-1.jsonl")).as_deref(), Some("parent"));
    assert_eq!(recognise(&bytes, Path::new("p/x.jsonl")).as_deref(), Some("agent-1"));
}

#[test]
fn a_first_row_longer_than_the_head_is_recognised() {
    let row = format!(
        "{{\"parentUuid\":null,\"isSidechain\":false,\"userType\":\"external\",\"cwd\":\"/w\",\"sessionId\":\"{SESSION}\",\"type\":\"user\",\
         \"message\":{{\"content\":[{{\"source\":{{\"data\":\"{}",
        "A".repeat(9999)
    );
    assert_eq!(recognise(row.as_bytes(), Path::new("x.jsonl")).as_deref(), Some(SESSION));
    let after_summary = format!("{{\"type\":\"summary\",\"summary\":\"s\",\"leafUuid\":\"l\"}}\n{row}");
    assert_eq!(recognise(after_summary.as_bytes(), Path::new("full.jsonl")).as_deref(), Some(SESSION));
}

#[test]
fn what_other_programs_write_is_not_recognised() {
    for other in [
        r#"{"timestamp":"2026-01-01T00:00:00Z","type":"session_meta","payload":{"id":"x"}}"#,
        r#"{"type":"session.start","data":{"sessionId":"x"},"id":"1","timestamp":"2026-01-01T00:00:00Z"}"#,
        r#"{"sessionId":"x","projectHash":"h","messages":[{"type":"user","content":"hi"}]}"#,
        r#"{"id":"1","timestamp":"2026-01-01T00:00:00Z","type":"user","content":"hi"}"#,
        r#"{"uuid":"1","parentUuid":null,"sessionId":"x","timestamp":"2026-01-01T00:00:00Z","type":"user","message":{"parts":[]}}"#,
        r#"{"role":"user","message":{"content":[]}}"#,
        "",
        "# notes",
    ] {
        assert_eq!(recognise(other.as_bytes(), Path::new("x.jsonl")), None, "{other}");
    }
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        recognise(&bytes, Path::new("a.jsonl"));
        read("x", &[(PathBuf::from("a"), bytes)]);
    }

    #[test]
    fn a_mutated_transcript_does_not_make_it_panic(
        cuts in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..12),
        ends in any::<prop::sample::Index>(),
    ) {
        let mut bytes = Transcript::new()
            .user(json!("<command-name>/x</command-name><command-args>y</command-args>"))
            .call("REDACTED", "Bash", json!({"command": "git commit -m 'é'"}))
            .result("REDACTED", "[main 1a2b3c4] é\n")
            .queue("enqueue", Some("steer"))
            .queue("remove", None)
            .error("t", "[Request interrupted by user for tool use]")
            .user_with(json!([{"type": "text", "text": "<system-reminder>a</system-reminder> b"}]), json!({"parentUuid": "u1"}))
            .row("system", json!({"subtype": "compact_boundary"}))
            .bytes();
        for (at, byte) in cuts {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        bytes.truncate(ends.index(bytes.len()) + 1);
        recognise(&bytes, Path::new("a.jsonl"));
        let session = read("x", &[(PathBuf::from("a"), bytes.clone()), (PathBuf::from("b"), bytes)]);
        prop_assert!(session.active_seconds <= session.wall_seconds() + 1e-6);
    }

    #[test]
    fn no_words_make_it_panic(text in r#"([a-z </>\[\]\n]|<system-reminder>|</system-reminder>|<command-name>|/|é|\[Request interrupted by user\]){0,20}"#) {
        let session = Transcript::new().user(json!(text)).queue("enqueue", Some(&text)).queue("remove", Some(&text)).read();
        prop_assert!(session.prompts().all(|(_, prompt)| !prompt.text.trim().is_empty()));
    }
}

/// Real transcripts lie beside the project where its authors work; elsewhere there is nothing to read.
#[test]
fn every_real_transcript_at_hand_is_read_without_loss() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/sessions/claude");
    let mut folders = vec![folder.clone()];
    let mut read_files = 0;
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "jsonl") {
                let bytes = std::fs::read(&path).unwrap();
                let id = recognise(&bytes[..bytes.len().min(HEAD)], &path);
                let id = id.unwrap_or_else(|| panic!("{} is not recognised", path.display()));
                let session = read(&id, &[(path.clone(), bytes)]);
                assert_eq!(session.read.bad, 0, "{}", path.display());
                assert!(session.prompts().count() + session.tool_calls().count() > 0, "{}", path.display());
                read_files += 1;
            }
        }
    }
    if read_files == 0 {
        eprintln!("skipped: no transcripts at {}", folder.display());
    }
}
