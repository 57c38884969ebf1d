//! Copies of one session become one session, as containers store them: cumulative, rewritten, with rows that one of them lacks.

use crate::project::{Project, TONE, claude_prompt};
use interrater::corpus;
use interrater::session::Session;
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};

/// What stands in a row before secrets are taken out.
const SECRET: &str = "correct horse";

/// An agent's way to write the same conversation, a row a text; the second row has the secret.
struct Format {
    agent: &'static str,
    /// The file's name in each checkpoint.
    file: &'static str,
    rows: Vec<Value>,
}

fn at(second: usize) -> String {
    format!("2026-05-01T10:00:{second:02}.000Z")
}

fn formats() -> Vec<Format> {
    let said = [
        "read the settings",
        "They say that correct horse opens the vault.",
        "hide it",
        "Done, it is out of sight.",
        "now run all tests",
        "Nine of them pass.",
        "good, commit",
        "Committed as the last thing of this session.",
    ];
    let is_agents = |nth: usize| nth % 2 == 1;
    let mut formats = Vec::new();
    let claude = said.iter().enumerate().map(|(nth, text)| {
        let mut row: Value = serde_json::from_str(&claude_prompt("c1", nth + 1, text)).expect("a row is JSON");
        if is_agents(nth) {
            row["type"] = json!("assistant");
            row["message"] = json!({ "id": format!("m{nth}"), "role": "assistant", "content": [{ "type": "text", "text": text }],
                                     "usage": { "input_tokens": 1, "output_tokens": nth } });
        }
        row
    });
    formats.push(Format { agent: "claude_code", file: "full.jsonl", rows: claude.collect() });
    let mut codex = vec![json!({ "timestamp": at(0), "type": "session_meta", "payload": { "id": "x1" } })];
    codex.extend(said.iter().enumerate().map(|(nth, text)| {
        let kind = if is_agents(nth) { "agent_message" } else { "user_message" };
        // Rows of several kinds are written within one millisecond.
        json!({ "timestamp": at(1 + nth / 2), "type": "event_msg", "payload": { "type": kind, "message": text } })
    }));
    codex.swap(0, 1);
    formats.push(Format {
        agent: "codex",
        file: "rollout-2026-05-01T10-00-00-11111111-2222-4333-8444-555555555555.jsonl",
        rows: codex,
    });
    let copilot = said.iter().enumerate().map(|(nth, text)| {
        let kind = if is_agents(nth) { "assistant.message" } else { "user.message" };
        json!({ "type": kind, "data": { "content": text }, "id": format!("e{nth}"), "timestamp": at(nth), "parentId": null })
    });
    formats.push(Format { agent: "copilot", file: "p1/events.jsonl", rows: copilot.collect() });
    let gemini = said.iter().enumerate().map(|(nth, text)| {
        let kind = if is_agents(nth) { "gemini" } else { "user" };
        json!({ "id": format!("g{nth}"), "timestamp": at(nth), "type": kind, "content": text })
    });
    let facts = json!({ "sessionId": "g1", "projectHash": "h", "startTime": at(0), "lastUpdated": at(9) });
    let mut gemini: Vec<Value> = gemini.collect();
    gemini.insert(0, facts);
    gemini.swap(0, 1);
    formats.push(Format { agent: "gemini_cli", file: "session-g1.jsonl", rows: gemini });
    let cursor = said.iter().enumerate().map(|(nth, text)| {
        let role = if is_agents(nth) { "assistant" } else { "user" };
        json!({ "role": role, "message": { "content": [{ "type": "text", "text": text }] } })
    });
    formats.push(Format { agent: "cursor", file: "k1.jsonl", rows: cursor.collect() });
    formats
}

fn lines(rows: &[Value]) -> String {
    rows.iter().map(|row| format!("{row}\n")).collect()
}

/// The line of `sessions --json`, without the path, and what a rater sees of the last prompt.
fn seen(project: &Project) -> (Value, String) {
    let listed = project.ok(&["sessions", "logs", "--json"]).out;
    assert_eq!(listed.lines().count(), 1, "it is one session:\n{listed}");
    let mut session: Value = serde_json::from_str(&listed).expect("a line is JSON");
    let unit = format!("{}#{}", session["id"].as_str().unwrap_or_default(), session["prompts"]);
    let shown = project.ok(&["sessions", "logs", "--show", &unit, "--task", "tone"]).out;
    session.as_object_mut().expect("a session is an object").remove("path");
    (session, shown)
}

fn project() -> Project {
    let project = Project::empty();
    project.write("prompts/tone.md", TONE);
    project
}

#[test]
fn checkpoints_of_a_session_are_read_as_if_one_of_them_had_all() {
    for Format { agent, file, rows } in formats() {
        let whole = project();
        whole.write(&format!("logs/{file}"), lines(&rows));
        let (session, shown) = seen(&whole);
        assert_eq!(
            (&session["agent"], &session["prompts"], &session["events"]),
            (&json!(agent), &json!(4), &json!(8)),
            "{agent}"
        );
        assert!(shown.contains(SECRET) && shown.contains("Nine of them"), "{agent}: {shown}");

        let early = &rows[..4];
        let mut lacking = rows.clone();
        lacking.drain(4..6);
        let rewritten = lines(&rows[..6]).replace(SECRET, "REDACTED");
        for order in [[0, 1, 2], [1, 2, 0], [2, 1, 0]] {
            let copies = project();
            for (copy, number) in [lines(early), rewritten.clone(), lines(&lacking)].iter().zip(order) {
                copies.write(&format!("logs/aa/checkpoint{number}/0/{file}"), copy);
            }
            assert_eq!(seen(&copies), (session.clone(), shown.clone()), "{agent}");
        }
    }
}

#[test]
fn documents_of_a_session_are_united_by_message() {
    let document = |messages: &[usize], secret: &str| {
        let said = |nth: usize| if nth == 1 { secret.to_owned() } else { format!("words {nth}") };
        let messages = messages.iter().map(|&nth| {
            let kind = if nth % 2 == 1 { "gemini" } else { "user" };
            json!({ "id": format!("g{nth}"), "timestamp": at(nth), "type": kind, "content": said(nth) })
        });
        json!({ "sessionId": "g1", "projectHash": "h", "startTime": at(0), "messages": messages.collect::<Vec<_>>() })
            .to_string()
    };
    let export = |messages: &[usize], secret: &str| {
        let messages = messages.iter().map(|&nth| {
            let text = if nth == 1 { secret.to_owned() } else { format!("words {nth}") };
            let role = if nth % 2 == 1 { "assistant" } else { "user" };
            // What is said last was not yet done when the shorter copies were made.
            let time = if messages.len() < 7 && nth == 5 { json!({ "created": nth }) } else { json!({ "created": nth, "completed": nth }) };
            let mut parts = vec![json!({ "type": "text", "text": text })];
            if nth == 5 && messages.len() == 7 {
                parts.push(json!({ "type": "text", "text": "more of it" }));
            }
            json!({ "info": { "id": format!("msg_{nth}"), "sessionID": "ses_1", "role": role, "time": time }, "parts": parts })
        });
        let info =
            json!({ "id": "ses_1", "projectID": "p", "directory": "/d", "version": "1", "time": { "created": 1 } });
        json!({ "info": info, "messages": messages.collect::<Vec<_>>() }).to_string()
    };
    let makers: [(&str, &dyn Fn(&[usize], &str) -> String); 2] = [("gemini_cli", &document), ("opencode", &export)];
    for (agent, make) in makers {
        let whole = project();
        whole.write("logs/full.jsonl", make(&[0, 1, 2, 3, 4, 5, 6], SECRET));
        let expected = seen(&whole);
        assert_eq!((&expected.0["agent"], &expected.0["prompts"]), (&json!(agent), &json!(4)));
        let copies = project();
        copies.write("logs/1/full.jsonl", make(&[0, 1, 2], "REDACTED"));
        copies.write("logs/2/full.jsonl", make(&[0, 1, 3, 4, 5, 6], SECRET));
        copies.write("logs/3/full.jsonl", make(&[0, 1, 2, 3, 5], "REDACTED"));
        let (mut session, shown) = seen(&copies);
        if agent == "opencode" {
            // The longest copy's last answer is the shorter one that all have.
            assert!(shown.contains("words 5") && !shown.contains("more of it"));
            copies.write("logs/4/full.jsonl", make(&[1, 2, 3, 4, 5, 6, 0], "REDACTED"));
            (session, _) = seen(&copies);
            assert!(seen(&copies).1.contains("more of it"), "of two versions of a message the one with more parts");
            assert_eq!(session["prompts"], expected.0["prompts"]);
            continue;
        }
        session["read"]["lines"] = expected.0["read"]["lines"].clone();
        assert_eq!((session, shown), expected, "{agent}");
    }
}

#[test]
fn damage_that_stands_in_all_copies_counts_once() {
    for Format { agent, file, rows } in formats() {
        let cut = &rows[2].to_string()[..rows[2].to_string().len() / 2];
        let copy = |rows: &[Value]| format!("{}{cut}\n{}", lines(&rows[..2]), lines(&rows[3..]));
        let copies = project();
        for length in [5, 7, rows.len()] {
            let mut text = copy(&rows[..length]);
            if length == 7 {
                text = text.replace(SECRET, "REDACTED");
            }
            copies.write(&format!("logs/{length}/{file}"), text);
        }
        let (session, _) = seen(&copies);
        let read = &session["read"];
        assert_eq!(
            (read["lines"].as_u64(), read["bad"].as_u64()),
            (Some(rows.len() as u64), Some(1)),
            "{agent}: {read}"
        );
        // A copy in which the row is whole heals it.
        copies.write(&format!("logs/0/{file}"), lines(&rows[..4]));
        assert_eq!(seen(&copies).0["read"]["bad"], json!(0), "{agent}");
    }
}

/// Copies of a transcript's lines: each lacks some, every line stands in one of them at least, and one has all rows in other words.
fn damaged_copies(lines: &[&str]) -> Vec<String> {
    let keep = |keep: &dyn Fn(usize) -> bool| -> Vec<&str> {
        lines.iter().enumerate().filter(|(at, _)| keep(*at)).map(|(_, line)| *line).collect()
    };
    let rewrite = |line: &str| match line.strip_suffix('}') {
        Some(begin) if serde_json::from_str::<Value>(line).is_ok() => format!("{begin},\"copied\":true}}"),
        _ => line.to_owned(),
    };
    let rewritten: Vec<String> = keep(&|at| at % 7 != 4).iter().map(|line| rewrite(line)).collect();
    vec![
        keep(&|at| at % 5 != 3).join("\n"),
        rewritten.join("\n"),
        keep(&|at| at < lines.len() / 2).join("\n"),
        // The first row names the session.
        keep(&|at| at == 0 || (17..20).contains(&(at % 35))).join("\n"),
    ]
}

/// The same of a document's messages.
fn damaged_documents(document: &Value) -> Vec<String> {
    let keep = |keep: &dyn Fn(usize) -> bool| {
        let mut copy = document.clone();
        let mut at = 0..;
        if let Some(messages) = copy["messages"].as_array_mut() {
            messages.retain(|_| at.next().is_some_and(keep));
        }
        copy.to_string()
    };
    vec![keep(&|at| at % 5 != 3), keep(&|at| at % 7 != 4), keep(&|at| (17..20).contains(&(at % 35)))]
}

#[test]
fn real_transcripts_come_together_again_from_copies_that_lack_rows() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/sessions");
    if !folder.is_dir() {
        eprintln!("skipped: no real transcripts in {}", folder.display());
        return;
    }
    let paths: Vec<PathBuf> =
        ["claude", "codex", "copilot", "gemini", "opencode"].map(|agent| folder.join(agent)).into();
    let corpus = corpus::find(&paths).expect("there are transcripts");
    let mut compared = 0;
    for source in corpus.sources() {
        let [place] = &source.places[..] else { continue };
        let whole = corpus::read(source).expect("the file can be read");
        let text = fs::read_to_string(&place.path).expect("a transcript is text");
        let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
        let copies = match serde_json::from_str::<Value>(&text) {
            Ok(document) if document["messages"].is_array() => damaged_documents(&document),
            // A document of another kind is not made of parts that could be missing.
            Ok(_) => continue,
            Err(_) => damaged_copies(&lines),
        };
        let project = Project::empty();
        let name = place.path.file_name().unwrap_or_default().to_string_lossy();
        for (number, copy) in copies.iter().enumerate().filter(|(_, copy)| !copy.is_empty()) {
            project.write(&format!("{number}/{name}"), copy);
        }
        let copied = corpus::find(&[project.path("")]).expect("there are transcripts");
        let sessions: Vec<Session> = copied.sessions().map(|session| session.expect("the files can be read")).collect();
        let [united] = &sessions[..] else { panic!("{}: {} sessions", source.id, sessions.len()) };
        let other = united.events.iter().zip(&whole.events).find(|(united, whole)| united != whole);
        assert!(other.is_none(), "{}: {other:?}", source.id);
        assert_eq!(united.events.len(), whole.events.len(), "{}", source.id);
        assert_eq!(
            (united.usage, united.subagent_events, united.active_seconds, united.started, united.ended, &united.models),
            (whole.usage, whole.subagent_events, whole.active_seconds, whole.started, whole.ended, &whole.models),
            "{}",
            source.id
        );
        compared += 1;
    }
    assert!(compared > 0);
}
