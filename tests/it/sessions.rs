//! `sessions`: what the readers find, and what a rater would see.

use crate::project::{Project, claude, claude_prompt, codex, first_line, shipped};
use serde_json::Value;
use std::fs;

/// The checked-in sample sessions.
fn sample() -> String {
    shipped("gold/sessions").display().to_string()
}

fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).expect("each line is one document")).collect()
}

fn total(sessions: &[Value], key: &str) -> u64 {
    sessions.iter().map(|session| session[key].as_u64().unwrap_or_else(|| panic!("{key} is a count"))).sum()
}

#[test]
fn json_has_the_contracts_keys_in_order() {
    let ran = Project::new().ok(&["sessions", "--json"]);
    let sessions = lines(&ran.out);
    assert_eq!(sessions.len(), 10);
    let keys = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>().join(" ");
    for session in &sessions {
        assert_eq!(
            keys(session),
            "id agent path models started ended wall_seconds active_seconds events prompts interruptions rejected_tools tool_calls \
             failed_tool_calls subagent_events compactions usage commits agent_percentage checkpoints read"
        );
        assert_eq!(keys(&session["usage"]), "input cached_input cache_write output reasoning");
        assert_eq!(keys(&session["read"]), "lines records unknown repaired bad");
    }
    insta::assert_snapshot!(first_line(&ran.out), @r#"{"id":"codex:s0","agent":"codex","path":"logs/0.jsonl","models":[],"started":"2026-05-01T10:00:00Z","ended":"2026-05-01T10:04:00Z","wall_seconds":240.0,"active_seconds":0.0,"events":8,"prompts":4,"interruptions":0,"rejected_tools":0,"tool_calls":0,"failed_tool_calls":0,"subagent_events":0,"compactions":0,"usage":{"input":0,"cached_input":0,"cache_write":0,"output":0,"reasoning":0},"commits":0,"agent_percentage":null,"checkpoints":[],"read":{"lines":9,"records":9,"unknown":{},"repaired":0,"bad":0}}"#);
    assert_eq!(ran.err, "10 sessions (codex 10), 40 prompts, 0 interruptions, 0 damaged lines\n");
}

#[test]
fn the_table_is_data_and_the_overview_is_for_people() {
    let project = Project::empty();
    project.write("a.jsonl", claude("c1", &["go", "on"])).write("b.jsonl", codex("x1", &["go"]));
    let ran = project.ok(&["sessions", "."]);
    insta::assert_snapshot!(ran.out, @"
    session         started           prompts  interrupted  tools  failed  rejected  active  output tokens  commits  model
    claude_code:c1  2026-05-01 10:01        2            0      0       0         0   0 min              0        0
    codex:x1        2026-05-01 10:00        1            0      0       0         0   0 min              0        0

    agent        sessions  prompts  interrupted  tools  failed  rejected  active  commits  input  cached input  cache write  output  reasoning
    claude_code         1        2            0      0       0         0   0 min        0      0             0            0       0          0
    codex               1        1            0      0       0         0   0 min        0      0             0            0       0          0
    all                 2        3            0      0       0         0   0 min        0      0             0            0       0          0

    model        sessions  prompts  interrupted  tools  failed  rejected  active  commits  input  cached input  cache write  output  reasoning
    (not named)         2        3            0      0       0         0   0 min        0      0             0            0       0          0
    ");
    assert_eq!(ran.err, "2 sessions (claude_code 1, codex 1), 3 prompts, 0 interruptions, 0 damaged lines\n");
    let quiet = project.ok(&["sessions", ".", "--quiet"]);
    assert_eq!((quiet.out, quiet.err.as_str()), (ran.out, ""));
}

#[test]
fn the_sample_sessions_are_read_whole() {
    let sessions = lines(&Project::empty().ok(&["sessions", "--json", &sample()]).out);
    // Counted here from the files alone.
    let (mut rows, mut outputs) = (0, std::collections::BTreeMap::new());
    let mut pending = vec![shipped("gold/sessions")];
    while let Some(path) = pending.pop() {
        if path.is_dir() {
            pending.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        } else if path.extension().is_some_and(|extension| extension == "jsonl") {
            let text = fs::read(&path).unwrap();
            rows += String::from_utf8_lossy(&text).lines().filter(|line| !line.trim().is_empty()).count() as u64;
            if path.parent().is_some_and(|folder| folder.ends_with("claude_code")) {
                // A line can hold two rows; a subagent's rows are not the main agent's.
                let text = String::from_utf8_lossy(&text);
                let rows = text.lines().flat_map(|line| serde_json::Deserializer::from_str(line).into_iter::<Value>());
                for row in rows.map_while(Result::ok).filter(|row| row["isSidechain"] != true) {
                    let message = &row["message"];
                    if let (Some(id), Some(output)) =
                        (message["id"].as_str(), message["usage"]["output_tokens"].as_u64())
                    {
                        outputs.insert(id.to_owned(), output);
                    }
                }
            }
        }
    }
    let read: u64 = sessions.iter().map(|session| session["read"]["lines"].as_u64().unwrap()).sum();
    assert_eq!(read, rows, "every line is accounted for");
    let claude = sessions.iter().filter(|session| session["agent"] == "claude_code");
    let output: u64 = claude.map(|session| session["usage"]["output"].as_u64().unwrap()).sum();
    assert_eq!(output, outputs.values().sum::<u64>(), "the last row of each message counts, once");
    // Literal totals: a change of a reader shows here.
    let counts = [
        "prompts",
        "interruptions",
        "rejected_tools",
        "tool_calls",
        "failed_tool_calls",
        "subagent_events",
        "compactions",
        "commits",
    ]
    .map(|key| format!("{key} {}", total(&sessions, key)));
    insta::assert_snapshot!(format!("{} sessions, {}", sessions.len(), counts.join(", ")), @"28 sessions, prompts 231, interruptions 7, rejected_tools 11, tool_calls 439, failed_tool_calls 20, subagent_events 40, compactions 2, commits 16");
    let sum = |key: &str| sessions.iter().map(|session| session["read"][key].as_u64().unwrap()).sum::<u64>();
    assert_eq!((sum("repaired"), sum("bad")), (1, 0));
    assert!(sessions.iter().all(|session| session["read"]["unknown"].as_object().unwrap().is_empty()));
}

#[test]
fn what_a_rater_would_see_ends_with_the_unit() {
    let project = Project::new();
    let ran = project.ok(&["sessions", "--show", "codex:s1#3", "--task", "tone"]);
    insta::assert_snapshot!(ran.out.replace(&mark(&ran.out), "MARK"), @"
    <<<transcript MARK>>>
    [1] USER: please go on
    [2] AGENT: reply 1
    [3] USER: please go on
    [4] AGENT: reply 2
    >>> [5] USER: stop that
    <<<end of transcript MARK>>>

    Label event 5: rough curt calm
    ");
    insta::assert_snapshot!(ran.err, @"
    codex:s1#3: 100 % of the text, 100 % of the prompts, about 31 tokens
    not redacted; --redact shows what a model elsewhere would see
    ");
    let quiet = project.ok(&["sessions", "--show", "codex:s1#3", "--task", "tone", "--quiet"]);
    assert_eq!((quiet.out, quiet.err.as_str()), (ran.out, ""));
    let session = project.ok(&["sessions", "--show", "codex:s1", "--task", "effort"]);
    assert!(
        session.out.contains("[8] AGENT: reply 4") && session.out.ends_with("Score the session of 4 prompts.\n"),
        "{}",
        session.out
    );
}

/// The mark of the material's fence.
fn mark(text: &str) -> String {
    let start = text.find("<<<transcript ").expect("the material is fenced") + "<<<transcript ".len();
    text[start..start + 16].to_owned()
}

#[test]
fn what_a_rater_would_see_is_one_document_where_json_is_asked_for() {
    let project = Project::new();
    let shown = project.json(&["sessions", "--show", "codex:s1#3", "--task", "tone"]);
    assert_eq!(shown["unit"], "codex:s1#3");
    assert_eq!(shown["events"], serde_json::json!([1, 2, 3, 4, 5]));
    // The material parts where prompts begin: there another unit's goes another way.
    let parts: Vec<&str> = shown["parts"].as_array().unwrap().iter().map(|part| part.as_str().unwrap()).collect();
    let begins: Vec<&str> = parts.iter().map(|part| &part[..7]).collect();
    assert_eq!(begins, ["<<<tran", "[3] USE", ">>> [5]", "Label e"]);
    assert_eq!(shown["schema"]["required"], serde_json::json!(["reason", "label"]));
}

#[test]
fn every_prompt_of_the_sample_is_the_last_event_of_its_material() {
    let project = Project::empty();
    project.ok(&["init"]);
    let sessions = lines(&project.ok(&["sessions", "--json"]).out);
    for session in sessions.iter().filter(|session| session["prompts"].as_u64() > Some(0)).step_by(3) {
        let unit = format!("{}#{}", session["id"].as_str().unwrap(), session["prompts"]);
        let shown = project.json(&["sessions", "--show", &unit, "--task", "pushback"]);
        let parts: Vec<&str> = shown["parts"].as_array().unwrap().iter().map(|part| part.as_str().unwrap()).collect();
        let (instructions, material) = parts.split_last().unwrap();
        let material = material.concat();
        let fence = format!("<<<end of transcript {}>>>", mark(&material));
        let material = material.trim_end();
        assert!(material.ends_with(&fence), "{unit}");
        let text = &material[..material.len() - fence.len()];
        let target = &text[text.find("\n>>> [").expect("the unit is marked")..];
        assert!(!target[6..].contains("\n["), "nothing follows {unit}: {target}");
        let last = shown["events"].as_array().unwrap().last().unwrap();
        assert!(target.starts_with(&format!("\n>>> [{last} +")), "{unit}");
        assert!(!instructions.contains(&mark(material)), "the instructions name no mark that a text could use");
    }
}

#[test]
fn a_unit_that_does_not_exist_is_named_with_those_that_do() {
    let project = Project::new();
    let show = |unit: &str, task: &str| project.refused(&["sessions", "--show", unit, "--task", task]);
    insta::assert_snapshot!(show("codex:s1#5", "tone"), @"
    error: there is no unit `codex:s1#5` of task `tone` here
    hint: its units are prompts: `codex:s1#1` to `codex:s1#4`
    ");
    insta::assert_snapshot!(show("codex:s1", "tone"), @"
    error: there is no unit `codex:s1` of task `tone` here
    hint: its units are prompts: `codex:s1#1` to `codex:s1#4`
    ");
    insta::assert_snapshot!(show("codex:s1#1", "effort"), @"
    error: there is no unit `codex:s1#1` of task `effort` here
    hint: its units are sessions: `codex:s1`
    ");
    insta::assert_snapshot!(show("codex:zzz#1", "tone"), @"
    error: there is no unit `codex:zzz#1` of task `tone` here
    hint: there is no session `codex:zzz`; `interrater sessions` lists those that there are
    ");
    insta::assert_snapshot!(show("codex:s1#1", "tune"), @"
    error: there is no codebook for task `tune` in prompts
    hint: known tasks: effort, tone
    ");
    assert!(project.refused(&["sessions", "--task", "tone"]).contains("--show <UNIT>"));
}

#[test]
fn places_without_a_transcript_are_refused_with_what_is_there() {
    let project = Project::empty();
    fs::create_dir(project.path("empty")).unwrap();
    project
        .write("docs/a.md", "# a")
        .write("docs/b.md", "# b")
        .write("plain.jsonl", "{\"a\": 1}\n")
        .write("nothing.jsonl", "");
    let said = |path: &str| project.refused(&["sessions", path]);
    insta::assert_snapshot!(said("empty"), @"
    error: no transcript in empty: no files
    hint: transcripts are found by content; known are those of Claude Code (~/.claude/projects), Codex CLI (~/.codex/sessions), Gemini CLI (~/.gemini/tmp), OpenCode (~/.local/share/opencode), Copilot CLI (~/.copilot), Cursor (~/.cursor/projects), and chats: JSON with `messages` that have `role` and `content`
    ");
    insta::assert_snapshot!(said("docs"), @"
    error: no transcript in docs: 2 other files (2 .md)
    hint: transcripts are found by content; known are those of Claude Code (~/.claude/projects), Codex CLI (~/.codex/sessions), Gemini CLI (~/.gemini/tmp), OpenCode (~/.local/share/opencode), Copilot CLI (~/.copilot), Cursor (~/.cursor/projects), and chats: JSON with `messages` that have `role` and `content`
    ");
    insta::assert_snapshot!(said("missing"), @"
    error: no such file or folder: missing
    hint: check the path, or name other transcripts with --sessions PATH
    ");
    insta::assert_snapshot!(said("plain.jsonl"), @"
    error: not a transcript of a known agent: plain.jsonl
    hint: known are transcripts of Claude Code (~/.claude/projects), Codex CLI (~/.codex/sessions), Gemini CLI (~/.gemini/tmp), OpenCode (~/.local/share/opencode), Copilot CLI (~/.copilot), Cursor (~/.cursor/projects), and chats: JSON with `messages` that have `role` and `content`
    ");
    insta::assert_snapshot!(said("nothing.jsonl"), @"
    error: empty file: nothing.jsonl
    hint: name a transcript, or the folder that holds them
    ");
    insta::assert_snapshot!(said("*.log"), @"
    error: nothing matches *.log
    hint: a pattern such as `logs/**/*.jsonl` has to match at least one transcript
    ");
    insta::assert_snapshot!(said("docs/[a.jsonl"), @"
    error: nothing matches docs/[a.jsonl
    hint: a pattern such as `logs/**/*.jsonl` has to match at least one transcript
    ");
    insta::assert_snapshot!(project.refused(&["sessions"]), @"
    error: no sessions were named, and gold/sessions is not here
    hint: name some with --sessions PATH, such as ~/.claude/projects, or write the sample project with `interrater init`
    ");
}

#[test]
fn a_file_that_is_named_twice_counts_once() {
    let project = Project::new();
    let once = project.ok(&["sessions", "logs/1.jsonl", "--json"]).out;
    for paths in
        [&["logs/1.jsonl", "logs/1.jsonl"][..], &["logs/1.jsonl", "./logs/1.jsonl"], &["logs/1*", "logs/1.jsonl"]]
    {
        let twice = project.ok(&[&["sessions", "--json"], paths].concat());
        assert_eq!(lines(&twice.out).len(), 1, "{paths:?}");
        assert_eq!(lines(&twice.out)[0]["prompts"], lines(&once)[0]["prompts"], "{paths:?}");
    }
    assert_eq!(lines(&project.ok(&["sessions", "logs", "logs/1.jsonl", "--json"]).out).len(), 10);
}

#[test]
fn files_in_a_folder_that_are_no_transcript_are_mentioned() {
    let project = Project::new();
    project.write("logs/other.jsonl", "{\"a\": 1}\n").write("logs/notes.md", "# notes");
    let ran = project.ok(&["sessions", "logs"]);
    assert!(ran.err.contains("skipped logs/other.jsonl: not a transcript"), "{}", ran.err);
    assert!(!ran.err.contains("notes.md"), "{}", ran.err);
}

/// A damaged transcript: its bytes, how many prompts it still has, and the pieces repaired and lost.
fn damaged() -> Vec<(&'static str, Vec<u8>, u64, u64, u64)> {
    let row = |nth: usize| claude_prompt("d", nth, &format!("prompt {nth}"));
    let plain = format!("{}\n{}\n{}\n", row(1), row(2), row(3));
    let mut invalid = format!("{}\n{}\n", row(1), row(2)).into_bytes();
    let at = invalid.windows(8).position(|window| window == b"prompt 2").unwrap();
    invalid[at] = 0xff;
    vec![
        ("whole", plain.clone().into(), 3, 0, 0),
        ("with a byte order mark", format!("\u{feff}{plain}").into(), 3, 1, 0),
        ("with Windows line ends", plain.replace('\n', "\r\n").into(), 3, 0, 0),
        ("with blank lines", plain.replace('\n', "\n\n").into(), 3, 0, 0),
        ("without a last line end", plain.trim_end().into(), 3, 0, 0),
        ("with glued objects", format!("{}{}\n{}\n", row(1), row(2), row(3)).into(), 3, 1, 0),
        ("with NULs", format!("{}\n\0\0\0\0{}\n{}\n", row(1), row(2), row(3)).into(), 3, 1, 0),
        ("with a cut last line", plain[..plain.len() - 40].into(), 2, 0, 1),
        ("with a line of garbage", format!("{}\n<<<<<<< HEAD\n{}\n", row(1), row(2)).into(), 2, 0, 1),
        ("that is not UTF-8", invalid, 2, 1, 0),
    ]
}

#[test]
fn damage_costs_no_more_than_the_damaged_piece_and_is_counted() {
    let project = Project::empty();
    for (what, bytes, prompts, repaired, bad) in damaged() {
        project.write("d.jsonl", bytes);
        let ran = project.ok(&["sessions", "d.jsonl", "--json"]);
        let sessions = lines(&ran.out);
        assert_eq!(sessions.len(), 1, "{what}");
        let read = &sessions[0]["read"];
        assert_eq!(
            (sessions[0]["prompts"].as_u64(), read["repaired"].as_u64(), read["bad"].as_u64()),
            (Some(prompts), Some(repaired), Some(bad)),
            "{what}: {read}"
        );
        let damaged = if repaired + bad == 1 { "1 damaged line" } else { "0 damaged lines" };
        assert!(ran.err.contains(damaged), "{what}: {}", ran.err);
        assert_eq!(ran.err.contains("could not be read"), bad > 0, "{what}: {}", ran.err);
    }
}
