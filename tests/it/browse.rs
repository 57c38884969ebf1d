//! `sessions` for a person: the listing in an order, its sums, and one session to read.

use crate::project::{Project, claude, claude_prompt, codex, shipped};
use serde_json::{Value, json};

/// Three agents' worth of work: sessions that differ in prompts, models, tokens and times.
fn mixed() -> Project {
    let project = Project::empty();
    let reply = |session: &str, at: usize, model: &str, output: u64| {
        json!({
            "parentUuid": null, "isSidechain": false, "userType": "external", "cwd": "/home/ada/app", "sessionId": session,
            "version": "2.0.72", "type": "assistant", "uuid": format!("{session}-r{at}"), "timestamp": format!("2026-05-01T11:{at:02}:00.000Z"),
            "message": {
                "id": format!("msg_{session}_{at}"), "type": "message", "role": "assistant", "model": model,
                "content": [{ "type": "text", "text": format!("reply {at}") }],
                "usage": { "input_tokens": 10, "cache_read_input_tokens": 100, "cache_creation_input_tokens": 1000, "output_tokens": output },
            },
        })
    };
    let first = format!("{}{}\n", claude("c1", &["go", "on"]), reply("c1", 3, "claude-b", 7));
    let both =
        format!("{}{}\n{}\n", claude("c2", &["go"]), reply("c2", 2, "claude-b", 20), reply("c2", 4, "claude-a", 30));
    let again =
        format!("{}{}\n{}\n", claude("c3", &["go"]), reply("c3", 2, "claude-a", 1), reply("c3", 4, "claude-b", 2));
    project.write("logs/1.jsonl", first).write("logs/2.jsonl", both).write("logs/3.jsonl", again);
    project.write("logs/4.jsonl", codex("x1", &["a", "b", "c"]));
    project
}

fn ids(project: &Project, more: &[&str]) -> Vec<String> {
    let ran = project.ok(&[&["sessions", "logs", "--json"], more].concat());
    let id = |line: &str| serde_json::from_str::<Value>(line).unwrap()["id"].as_str().unwrap().to_owned();
    ran.out.lines().map(id).collect()
}

#[test]
fn the_listing_is_sorted_and_limited() {
    let project = mixed();
    let (c1, c2, c3, x1) = ("claude_code:c1", "claude_code:c2", "claude_code:c3", "codex:x1");
    assert_eq!(ids(&project, &[]), [c1, c2, c3, x1]);
    assert_eq!(ids(&project, &["--reverse"]), [x1, c3, c2, c1]);
    assert_eq!(ids(&project, &["--sort", "prompts"]), [c2, c3, c1, x1], "equals stay in their order");
    assert_eq!(ids(&project, &["--sort", "prompts", "--reverse", "--limit", "2"]), [x1, c1]);
    assert_eq!(ids(&project, &["--sort", "usage.output"]), [x1, c3, c1, c2]);
    assert_eq!(ids(&project, &["--sort", "output", "--reverse", "--where", "prompts < 3"]), [c2, c1, c3]);
    // What names no model stands last in either order.
    assert_eq!(ids(&project, &["--sort", "model"]), [c3, c1, c2, x1]);
    assert_eq!(ids(&project, &["--sort", "models", "--reverse"]), [c2, c1, c3, x1]);
    let limited = project.ok(&["sessions", "logs", "--limit", "1"]);
    assert!(limited.out.contains(c1) && !limited.out.contains(c2), "{}", limited.out);
    assert!(limited.err.contains("4 sessions (claude_code 3, codex 1), 7 prompts"), "{}", limited.err);
    assert!(limited.err.contains("0 damaged lines; 1 of them listed\n"), "{}", limited.err);
    let refused = project.refused(&["sessions", "logs", "--sort", "promts"]);
    assert!(
        refused.contains("usage.cached_input") && refused.contains("a similar value exists: 'prompts'"),
        "{refused}"
    );
    project.refused(&["sessions", "logs", "--limit", "0"]);
}

#[test]
fn sums_count_every_session_once_also_those_with_several_models() {
    let project = mixed();
    let listed = project.ok(&["sessions", "logs"]);
    insta::assert_snapshot!(listed.out, @"
    session         started           prompts  interrupted  tools  failed  rejected  active  output tokens  commits  model
    claude_code:c1  2026-05-01 10:01        2            0      0       0         0   5 min              7        0  claude-b
    claude_code:c2  2026-05-01 10:01        1            0      0       0         0   7 min             50        0  claude-b +1
    claude_code:c3  2026-05-01 10:01        1            0      0       0         0   7 min              3        0  claude-a +1
    codex:x1        2026-05-01 10:00        3            0      0       0         0   0 min              0        0

    agent        sessions  prompts  interrupted  tools  failed  rejected  active  commits  input  cached input  cache write  output  reasoning
    claude_code         3        4            0      0       0         0  19 min        0     50           500         5000      60          0
    codex               1        3            0      0       0         0   0 min        0      0             0            0       0          0
    all                 4        7            0      0       0         0  19 min        0     50           500         5000      60          0

    model                sessions  prompts  interrupted  tools  failed  rejected  active  commits  input  cached input  cache write  output  reasoning
    claude-a + claude-b         2        2            0      0       0         0  14 min        0     40           400         4000      53          0
    (not named)                 1        3            0      0       0         0   0 min        0      0             0            0       0          0
    claude-b                    1        2            0      0       0         0   5 min        0     10           100         1000       7          0
    ");
    let only = project.ok(&["sessions", "logs", "--totals"]);
    assert_eq!(only.out, listed.out.split_once("\n\n").unwrap().1);
    assert_eq!(project.ok(&["sessions", "logs", "--limit", "1"]).out.split_once("\n\n").unwrap().1, only.out);
    assert!(!project.ok(&["sessions", "logs/1.jsonl"]).out.contains("\n\n"), "one session is its own sum");

    let totals = project.json(&["sessions", "logs", "--totals"]);
    assert_eq!(
        totals["all"]["usage"],
        json!({ "input": 50, "cached_input": 500, "cache_write": 5000, "output": 60, "reasoning": 0 })
    );
    let groups = |kind: &str, key: &str| -> Vec<Value> {
        totals[kind]
            .as_array()
            .unwrap()
            .iter()
            .map(|group| json!([group[key], group["sessions"], group["usage"]["output"]]))
            .collect()
    };
    assert_eq!(groups("agents", "agent"), [json!(["claude_code", 3, 60]), json!(["codex", 1, 0])]);
    assert_eq!(
        groups("models", "models"),
        [json!([["claude-a", "claude-b"], 2, 53]), json!([[], 1, 0]), json!([["claude-b"], 1, 7])]
    );
    let chosen = project.json(&["sessions", "logs", "--totals", "--where", "'claude-a' in models"]);
    assert_eq!((&chosen["all"]["sessions"], &chosen["all"]["prompts"]), (&json!(2), &json!(2)));
}

#[test]
fn the_sums_of_the_sample_are_the_sums_of_its_lines() {
    let project = Project::empty();
    let sample = shipped("gold/sessions").display().to_string();
    let sessions: Vec<Value> = project
        .ok(&["sessions", &sample, "--json"])
        .out
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let totals = project.json(&["sessions", &sample, "--totals"]);
    let number = |value: &Value| value.as_f64().unwrap_or_else(|| panic!("{value} is a number"));
    for pointer in [
        "/prompts",
        "/interruptions",
        "/rejected_tools",
        "/tool_calls",
        "/failed_tool_calls",
        "/active_seconds",
        "/commits",
        "/usage/input",
        "/usage/cached_input",
        "/usage/cache_write",
        "/usage/output",
        "/usage/reasoning",
    ] {
        let expected: f64 = sessions.iter().map(|session| number(session.pointer(pointer).unwrap())).sum();
        let all = number(totals["all"].pointer(pointer).unwrap());
        assert!((all - expected).abs() < 1e-3, "{pointer}: {all}, {expected}");
        for kind in ["agents", "models"] {
            let sum: f64 =
                totals[kind].as_array().unwrap().iter().map(|group| number(group.pointer(pointer).unwrap())).sum();
            assert!((sum - expected).abs() < 1e-3, "{kind}{pointer}: {sum}, {expected}");
        }
    }
}

/// One session with everything that a reader marks.
fn eventful() -> String {
    let row = |kind: &str, at: &str, message: Value| {
        json!({
            "parentUuid": null, "isSidechain": false, "userType": "external", "cwd": "/home/ada/app", "sessionId": "e1", "version": "2.0.72",
            "type": kind, "uuid": format!("u{at}"), "timestamp": format!("2026-05-{at}Z"), "message": message,
        })
        .to_string()
    };
    let assistant = |id: &str, content: Value| json!({ "id": id, "type": "message", "role": "assistant", "model": "claude-sonnet-5", "content": content, "usage": { "input_tokens": 1, "output_tokens": 2 } });
    let output: String = (1..=40).map(|line| format!("line {line} of the log\n")).collect();
    let result = |id: &str, text: &str, failed: bool| json!({ "role": "user", "content": [{ "type": "tool_result", "tool_use_id": id, "is_error": failed, "content": text }] });
    let call = |id: &str, command: &str| json!([{ "type": "tool_use", "id": id, "name": "Bash", "input": { "command": command } }]);
    [
        row("user", "01T23:59:00.000", json!({ "role": "user", "content": "run the tests\nand tell me" })),
        row(
            "assistant",
            "01T23:59:10.000",
            assistant("m1", json!([{ "type": "text", "text": "Running them.\n\nAll of them." }])),
        ),
        row("assistant", "01T23:59:20.000", assistant("m2", call("t1", "cargo test"))),
        row("user", "01T23:59:50.000", result("t1", &output, true)),
        row("assistant", "02T00:00:10.000", assistant("m3", call("t2", "git push --force"))),
        row(
            "user",
            "02T00:00:20.000",
            json!({ "role": "user", "content": [{ "type": "text", "text": "[Request interrupted by user]" }] }),
        ),
        row("user", "02T00:01:00.000", json!({ "role": "user", "content": "do not push" })),
        row("assistant", "02T00:01:05.000", assistant("m4", json!([{ "type": "text", "text": "I will not." }]))),
    ]
    .join("\n")
        + "\n"
}

#[test]
fn a_session_is_shown_as_a_person_reads_it() {
    let project = Project::empty();
    project.write("e.jsonl", eventful());
    let shown = project.ok(&["sessions", "e.jsonl", "--show", "claude_code:e1"]);
    insta::assert_snapshot!(shown.out, @"
    claude_code:e1
    e.jsonl
    2026-05-01 23:59:00 to 2026-05-02 00:01:05 UTC, active for 1 min
    claude-sonnet-5
    8 events, 2 prompts, 1 interruption, 2 tool calls (1 failed, 0 rejected), 0 compactions, 0 commits
    tokens: 4 input, 0 cached input, 0 cache write, 8 output (0 of it reasoning)

    2026-05-01 (UTC)

    >>>   1  23:59:00  USER  claude_code:e1#1
             run the tests
             and tell me
          2  23:59:10  AGENT
             Running them.

             All of them.
          3  23:59:20  TOOL Bash (verify)
             cargo test
     !    4  23:59:50  RESULT of 3, failed
             line 1 of the log
             line 2 of the log
             line 3 of the log
             line 4 of the log
             line 5 of the log
             line 6 of the log
             … 34 more lines, 642 characters

    2026-05-02 (UTC)
          5  00:00:10  TOOL Bash (git)
             git push --force
    !!!   6  00:00:20  INTERRUPTED by the user

    >>>   7  00:01:00  USER  claude_code:e1#2
             do not push
          8  00:01:05  AGENT
             I will not.
    ");
    assert_eq!(shown.err, "");
    let full = project.ok(&["sessions", "e.jsonl", "--show", "claude_code:e1", "--full"]);
    assert!(full.out.contains("         line 40 of the log\n") && !full.out.contains('…'), "{}", full.out);
}

#[test]
fn a_prompt_is_shown_with_what_is_around_it() {
    let project = Project::new();
    let events = |more: &[&str]| {
        let shown = project.json(&[&["sessions", "--show"], more].concat());
        let numbers = shown["events"].as_array().unwrap().iter().map(|event| event["number"].as_u64().unwrap());
        numbers.collect::<Vec<_>>()
    };
    assert_eq!(events(&["codex:s1"]), [1, 2, 3, 4, 5, 6, 7, 8]);
    assert_eq!(events(&["codex:s1#1"]), [1, 2]);
    assert_eq!(events(&["codex:s1#3"]), [3, 4, 5, 6]);
    assert_eq!(events(&["codex:s1#4"]), [5, 6, 7, 8]);
    assert_eq!(events(&["codex:s1#4", "--from", "7"]), [7, 8]);
    assert_eq!(events(&["codex:s1", "--to", "2"]), [1, 2]);
    assert_eq!(events(&["codex:s1", "--from", "3", "--to", "3"]), [3]);
    let shown = project.ok(&["sessions", "--show", "codex:s1#3"]).out;
    let part = shown.split_once("\n\n").unwrap().1;
    insta::assert_snapshot!(part, @"
    (events 1 to 2 not shown)

    2026-05-01 (UTC)

    >>>   3  10:02:00  USER  codex:s1#2
             please go on
          4  10:02:00  AGENT
             reply 2

    ==>   5  10:03:00  USER  codex:s1#3
             stop that
          6  10:03:00  AGENT
             reply 3

    (events 7 to 8 not shown)
    ");
    assert!(
        project
            .ok(&["sessions", "--show", "codex:s1", "--from", "90"])
            .out
            .ends_with("(no events from 90 to the end)\n")
    );
    let document = project.json(&["sessions", "--show", "codex:s1#2"]);
    assert_eq!((&document["session"]["prompts"], &document["redactions"]), (&json!(4), &Value::Null));
    assert_eq!(
        document["events"][0],
        json!({
            "session": "codex:s1", "number": 1, "at": "2026-05-01T10:01:00Z", "kind": "prompt", "text": "please go on", "unit": "codex:s1#1",
            "ordinal": 1, "channel": "typed", "images": 0, "tool": null, "category": null, "call": null, "outcome": null, "source": null,
            "during_tool": null, "first_event": null, "withdrawn_prompts": null, "commit": null,
        })
    );
}

#[test]
fn the_beginning_of_an_id_will_do_where_it_is_one_sessions() {
    let project = Project::empty();
    for id in ["aaa1", "aaa2", "b", "bb"] {
        project.write(&format!("logs/{id}.jsonl"), codex(id, &["go", "on"]));
    }
    let first = |unit: &str| project.ok(&["sessions", "logs", "--show", unit]).out.lines().next().unwrap().to_owned();
    assert_eq!(first("codex:aaa1"), "codex:aaa1");
    assert_eq!(first("codex:b"), "codex:b", "a whole id is no beginning");
    assert_eq!(first("codex:bb#2"), "codex:bb");
    insta::assert_snapshot!(project.refused(&["sessions", "logs", "--show", "codex:aa#1"]), @"
    error: 2 sessions begin with `codex:aa`
    hint: write more of the id: codex:aaa1, codex:aaa2
    ");
    insta::assert_snapshot!(project.refused(&["sessions", "logs", "--show", "codex:c"]), @"
    error: there is no session `codex:c` here
    hint: `interrater sessions` lists those that there are
    ");
    insta::assert_snapshot!(project.refused(&["sessions", "logs", "--show", "codex:b#3"]), @"
    error: there is no prompt `codex:b#3` here
    hint: its units are prompts: `codex:b#1` to `codex:b#2`
    ");
}

#[test]
fn one_session_is_redacted_where_that_is_asked_for() {
    let project = Project::empty();
    project.write("a.jsonl", format!("{}\n", claude_prompt("a", 1, "mail jane.doe@corp.dev, see /home/jdoe/src")));
    let shown = |more: &[&str]| project.ok(&[&["sessions", "a.jsonl", "--show", "claude_code:a"], more].concat());
    assert!(shown(&[]).out.contains("jane.doe@corp.dev"));
    let redacted = shown(&["--redact"]);
    assert!(redacted.out.contains("[REDACTED:email:1]") && !redacted.out.contains("jdoe"), "{}", redacted.out);
    assert_eq!(redacted.err, "redacted in the session: 1 e-mail address, 1 user name\n");
    project.write("config.toml", "[annotate]\nredact = true\n");
    assert!(shown(&[]).out.contains("[REDACTED:email:1]"));
    assert!(shown(&["--no-redact"]).out.contains("jane.doe@corp.dev"));
}
