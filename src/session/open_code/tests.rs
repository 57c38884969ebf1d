//! Invented sessions: every rule once.

use super::*;
use crate::session::{Channel, EventBody, InjectedSource, ToolOutcome};
use crate::usage::Usage;
use proptest::prelude::*;
use serde_json::{Value, json};

mod files;

/// Reads files from memory, where nothing can fail.
fn read(id: &str, files: &[(PathBuf, Vec<u8>)]) -> Session {
    super::read(id, files).expect("memory can be read")
}

const ID: &str = "ses_1";
const BEGIN: i64 = 1_770_000_000_000;

fn facts(fields: Value) -> Value {
    let facts = json!({ "id": ID, "projectID": "p", "directory": "/w", "version": "1.2.0", "title": "t", "time": { "created": BEGIN } });
    with(facts, fields)
}

fn with(mut object: Value, fields: Value) -> Value {
    for (key, value) in fields.as_object().cloned().unwrap_or_default() {
        object[&key] = value;
    }
    object
}

fn after(seconds: i64) -> i64 {
    BEGIN + seconds * 1000
}

fn user(id: &str, second: i64, parts: &[Value]) -> Value {
    let info = json!({ "id": id, "sessionID": ID, "role": "user", "time": { "created": after(second) }, "agent": "build",
                       "summary": { "diffs": [{ "file": "a", "before": "x", "after": "y" }] } });
    json!({ "info": info, "parts": parts })
}

fn assistant(id: &str, from: i64, to: i64, fields: Value, parts: &[Value]) -> Value {
    let info = json!({ "id": id, "sessionID": ID, "role": "assistant", "modelID": "m1", "providerID": "x", "mode": "build",
                       "time": { "created": after(from), "completed": after(to) } });
    json!({ "info": with(info, fields), "parts": parts })
}

fn text(text: &str) -> Value {
    json!({ "id": "prt", "type": "text", "text": text })
}

fn synthetic(words: &str) -> Value {
    with(text(words), json!({ "synthetic": true }))
}

fn tool(name: &str, state: Value) -> Value {
    json!({ "id": "prt", "type": "tool", "tool": name, "callID": "c", "state": state })
}

fn bash(command: &str, output: &str, exit: i64) -> Value {
    tool(
        "bash",
        json!({ "status": "completed", "input": { "command": command }, "output": output, "metadata": { "exit": exit },
                         "time": { "start": after(3), "end": after(4) } }),
    )
}

fn failed(name: &str, error: &str) -> Value {
    tool(
        name,
        json!({ "status": "error", "input": {}, "error": error, "time": { "start": after(3), "end": after(4) } }),
    )
}

fn export(facts: Value, messages: &[Value]) -> Vec<u8> {
    json!({ "info": facts, "messages": messages }).to_string().into_bytes()
}

fn session_of(facts: Value, messages: &[Value]) -> Session {
    read(ID, &[(PathBuf::from("full.jsonl"), export(facts, messages))])
}

fn session(messages: &[Value]) -> Session {
    session_of(facts(json!({})), messages)
}

fn prompts(session: &Session) -> Vec<(&str, Channel)> {
    session.prompts().map(|(_, prompt)| (prompt.text.as_str(), prompt.channel)).collect()
}

fn outcomes(session: &Session) -> Vec<ToolOutcome> {
    let results = session.events.iter().filter_map(|event| match &event.body {
        EventBody::ToolResult(result) => Some(result.outcome),
        _ => None,
    });
    results.collect()
}

fn injected(session: &Session) -> Vec<(InjectedSource, &str)> {
    let injected = session.events.iter().filter_map(|event| match &event.body {
        EventBody::Injected { source, text } => Some((*source, text.as_str())),
        _ => None,
    });
    injected.collect()
}

#[test]
fn only_what_the_human_typed_is_the_prompt() {
    let file = |mime: &str| json!({ "type": "file", "mime": mime, "url": "data:" });
    let session = session(&[
        user(
            "1",
            1,
            &[text("explain"), text("@a.rs"), synthetic("Called the Read tool"), file("text/plain"), file("image/png")],
        ),
        user("2", 2, &[synthetic("Continue if you have next steps")]),
        user("3", 3, &[with(text("hidden"), json!({ "ignored": true }))]),
        user("4", 4, &[file("image/png")]),
    ]);
    assert_eq!(prompts(&session), [("explain\n@a.rs", Channel::Typed), ("", Channel::Typed)]);
    assert_eq!(session.prompts().map(|(_, prompt)| prompt.images).collect::<Vec<_>>(), [1, 1]);
    use InjectedSource::{Context, Harness};
    assert_eq!(injected(&session).iter().map(|(source, _)| *source).collect::<Vec<_>>(), [Context, Harness, Harness]);
}

#[test]
fn words_typed_while_the_agent_works_are_steering() {
    let session = session(&[
        user("1", 1, &[text("go")]),
        assistant("2", 2, 20, json!({}), &[text("Working.")]),
        user("3", 10, &[text("not that file")]),
        assistant("4", 21, 30, json!({}), &[text("Done.")]),
        user("5", 40, &[text("thanks")]),
    ]);
    let channels: Vec<Channel> = prompts(&session).into_iter().map(|(_, channel)| channel).collect();
    assert_eq!(channels, [Channel::Typed, Channel::Steering, Channel::Typed]);
}

#[test]
fn a_command_that_the_human_ran_is_a_prompt_and_no_call() {
    let session = session(&[
        user("1", 1, &[synthetic("The following tool was executed by the user")]),
        assistant("2", 2, 3, json!({}), &[bash("git log", "abc", 0)]),
        assistant("3", 5, 6, json!({}), &[text("I see.")]),
    ]);
    assert_eq!(prompts(&session), [("git log", Channel::Shell)]);
    assert_eq!(injected(&session), [(InjectedSource::CommandOutput, "abc")]);
    assert_eq!(session.tool_calls().count(), 0);
}

#[test]
fn the_prompt_of_a_command_is_not_the_humans() {
    let subtask =
        json!({ "type": "subtask", "prompt": "Review all", "description": "d", "agent": "a", "command": "review" });
    let session = session(&[user("1", 1, &[subtask])]);
    assert_eq!(prompts(&session), []);
    assert_eq!(injected(&session), [(InjectedSource::Skill, "/review\nReview all")]);
}

#[test]
fn a_call_ends_as_its_state_says() {
    let refused = "The user rejected permission to use this specific tool call";
    let session = session(&[assistant(
        "1",
        1,
        9,
        json!({}),
        &[
            bash("ls", "a", 0),
            bash("false", "", 1),
            bash("sleep 9", "x\n\n<shell_metadata>\nUser aborted the command\n</shell_metadata>", 0),
            bash(
                "sleep 99",
                "x\n\n<bash_metadata>\nbash tool terminated command after exceeding timeout 5 ms\n</bash_metadata>",
                0,
            ),
            bash("cat log", "User aborted the command", 0),
            failed("edit", "oldString not found"),
            failed("edit", &format!("{refused}.")),
            failed("edit", &format!("Error: {refused} with the following feedback: use tabs")),
            failed("question", "The user dismissed this question"),
            failed("edit", "The user has specified a rule which prevents you from using this specific tool call."),
            failed("edit", "Tool execution aborted"),
            tool("edit", json!({ "status": "error", "error": "x", "metadata": { "interrupted": true } })),
            tool("bash", json!({ "status": "running", "input": { "command": "make" }, "time": { "start": after(5) } })),
            tool(
                "question",
                json!({ "status": "completed", "input": {}, "output": "User has answered your questions: yes" }),
            ),
        ],
    )]);
    use ToolOutcome::{Failed, Interrupted, Ok, Rejected};
    let expected = [
        Ok,
        Failed,
        Interrupted,
        Failed,
        Ok,
        Failed,
        Rejected,
        Rejected,
        Rejected,
        Failed,
        Interrupted,
        Interrupted,
        Ok,
    ];
    assert_eq!(outcomes(&session), expected);
    assert_eq!(prompts(&session), [("use tabs", Channel::Rejection)]);
    assert_eq!(injected(&session), [(InjectedSource::Answers, "User has answered your questions: yes")]);
    assert_eq!(session.tool_calls().count(), 14);
}

#[test]
fn an_abort_is_an_interruption_and_any_other_error_the_clients() {
    let error = |name: &str| json!({ "error": { "name": name, "data": { "message": "why" } } });
    let session = session(&[
        assistant("1", 1, 2, error("MessageAbortedError"), &[text("I")]),
        assistant("2", 3, 4, error("MessageAbortedError"), &[failed("bash", "Tool execution aborted")]),
        assistant("3", 5, 6, error("APIError"), &[]),
    ]);
    let told: Vec<&EventBody> = session.events.iter().map(|event| &event.body).collect();
    assert!(told.contains(&&EventBody::Interruption { during_tool: false }));
    assert!(told.contains(&&EventBody::Interruption { during_tool: true }));
    assert!(told.contains(&&EventBody::ClientError { text: String::from("APIError: why") }));
    assert_eq!(session.summary().interruptions, 2);
}

#[test]
fn a_summary_belongs_to_the_compaction_before_it() {
    let session = session(&[
        user("1", 1, &[json!({ "type": "compaction", "auto": true })]),
        assistant("2", 2, 3, json!({ "summary": true }), &[text("All so far.")]),
        assistant("3", 4, 5, json!({}), &[text("On.")]),
        assistant("4", 6, 7, json!({ "summary": true }), &[text("Again.")]),
    ]);
    let summaries: Vec<&str> = session
        .events
        .iter()
        .filter_map(|event| match &event.body {
            EventBody::Compaction { summary } => Some(summary.as_str()),
            _ => None,
        })
        .collect();
    assert_eq!((summaries, session.events.len()), (vec!["All so far.", "Again."], 3));
}

#[test]
fn tokens_count_once_however_they_are_booked() {
    let tokens = |total: Option<u64>, output: u64, reasoning: u64| json!({ "tokens": { "total": total, "input": 100, "output": output, "reasoning": reasoning, "cache": { "read": 30, "write": 7 } } });
    let step = |fields: Value| with(json!({ "type": "step-finish", "reason": "stop" }), fields);
    let used = |fields: Value, parts: &[Value]| session(&[assistant("1", 1, 2, fields, parts)]).usage;
    let usage = |output, reasoning| Usage { input: 100, cached_input: 30, cache_write: 7, output, reasoning };
    let within = tokens(Some(157), 20, 5);
    assert_eq!(used(within.clone(), &[step(within.clone())]), usage(20, 5));
    assert_eq!(used(tokens(Some(162), 20, 5), &[]), usage(25, 5), "beside the output, by the total");
    assert_eq!(used(tokens(None, 20, 5), &[]), usage(20, 5));
    assert_eq!(used(tokens(None, 20, 50), &[]), usage(70, 50), "more than all of the output cannot be a part of it");
    assert_eq!(used(within.clone(), &[step(within.clone()), step(within)]).output, 40, "several steps in one message");
    assert_eq!(used(json!({ "tokens": null }), &[step(json!({ "tokens": {} }))]), Usage::default());
}

#[test]
fn what_the_human_took_back_is_withdrawn() {
    let messages = [
        user("1", 1, &[text("one")]),
        assistant("2", 2, 3, json!({}), &[text("1"), with(text("more"), json!({ "id": "prt_x" }))]),
        user("3", 4, &[text("two")]),
        assistant("4", 5, 6, json!({}), &[text("2")]),
    ];
    let rewinds = |revert: Value| {
        let session = session_of(facts(json!({ "revert": revert })), &messages);
        let rewinds: Vec<(u32, u32)> = session
            .events
            .iter()
            .filter_map(|event| match event.body {
                EventBody::Rewind { first_event, prompts } => Some((first_event, prompts)),
                _ => None,
            })
            .collect();
        rewinds
    };
    assert_eq!(rewinds(json!({ "messageID": "3" })), [(4, 1)]);
    assert_eq!(rewinds(json!({ "messageID": "2", "partID": "prt_x" })), [(3, 1)]);
    assert_eq!(rewinds(json!({ "messageID": "gone" })), []);
    assert_eq!(rewinds(Value::Null), []);
}

#[test]
fn the_agents_time_leaves_out_waits_for_the_human() {
    let question = tool(
        "question",
        json!({ "status": "completed", "input": {}, "output": "x", "time": { "start": after(12), "end": after(30) } }),
    );
    let session = session(&[
        user("1", 10, &[text("go")]),
        assistant("2", 10, 35, json!({}), &[question]),
        user("3", 90, &[text("on")]),
    ]);
    assert_eq!((session.active_seconds, session.wall_seconds()), (7.0, 90.0));
}

#[test]
fn calls_that_stand_side_by_side_were_made_before_any_came_back() {
    let session = session(&[assistant(
        "1",
        1,
        9,
        json!({}),
        &[bash("git commit -m x", "[main 1a2b3c4] x", 0), bash("ls", "a", 0)],
    )]);
    let kinds: Vec<bool> = session.events.iter().map(|event| matches!(event.body, EventBody::ToolCall(_))).collect();
    assert_eq!(kinds, [true, true, false, false, false]);
    assert_eq!(session.commits().collect::<Vec<_>>(), [("1a2b3c4", "x")]);
    assert_eq!(session.models, ["m1"]);
}
