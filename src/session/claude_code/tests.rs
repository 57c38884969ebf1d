//! One test a rule, on rows written by hand.

use super::*;
use crate::session::{Channel, EventBody, InjectedSource, ToolOutcome};
use proptest::prelude::*;
use serde_json::{Value, json};

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

#[test]
fn a_turn_becomes_prompt_call_result_and_reply() {
    let session = Transcript::new()
        .user(json!("fix it"))
        .call("t1", "Bash", json!({"command": "cargo test"}))
        .result("t1", "ok")
        .reply("done")
        .read();
    let bodies: Vec<_> = session.events.iter().map(|event| (event.number, &event.body)).collect();
    assert!(matches!(bodies[0], (1, EventBody::Prompt(prompt)) if prompt.ordinal == 1 && prompt.text == "fix it"));
    assert!(matches!(bodies[1], (2, EventBody::ToolCall(call)) if call.input == "cargo test"));
    assert!(matches!(bodies[2], (3, EventBody::ToolResult(result)) if result.call == Some(2) && result.text == "ok"));
    assert!(matches!(bodies[3], (4, EventBody::Reply { text }) if text == "done"));
    assert_eq!(session.models, ["claude-x"]);
    assert_eq!(session.id.as_str(), format!("claude_code:{SESSION}"));
}

#[test]
fn the_humans_blocks_of_a_row_are_one_prompt_and_injected_blocks_are_none() {
    let session = Transcript::new()
        .user(json!([
            {"type": "text", "text": "<ide_opened_file>a.rs</ide_opened_file>"},
            {"type": "text", "text": "look here"},
            {"type": "image", "source": {"data": "…"}},
            {"type": "text", "text": "and there<system-reminder>x</system-reminder>"},
            {"type": "text", "text": "and back\n<system-reminder>be careful</system-reminder>"},
        ]))
        .read();
    assert_eq!(
        prompts(&session),
        [(Channel::Typed, "look here\n\nand there<system-reminder>x</system-reminder>\n\nand back")]
    );
    assert_eq!(session.prompts().next().map(|(_, prompt)| prompt.images), Some(1));
    assert_eq!(injected(&session), [(InjectedSource::Context, "a.rs"), (InjectedSource::Harness, "be careful")]);
}

#[test]
fn rows_that_say_they_are_not_the_humans_are_injected() {
    let session = Transcript::new()
        .user_with(json!("Base directory for this skill: /s"), json!({"isMeta": true}))
        .user_with(json!("done"), json!({"origin": {"kind": "task-notification"}, "promptSource": "sdk"}))
        .user_with(json!("go on"), json!({"origin": {"kind": "human"}, "promptSource": "sdk"}))
        .user_with(json!("Implement the following plan:\n\n# P"), json!({"planContent": "# P"}))
        .user(json!("Implement the following plan:\n\n# Q"))
        .user(json!(null))
        .user(json!("   "))
        .read();
    assert_eq!(prompts(&session), [(Channel::Typed, "go on")]);
    let sources: Vec<_> = injected(&session).into_iter().map(|(source, _)| source).collect();
    use InjectedSource::{AcceptedPlan, Notification, Skill};
    assert_eq!(sources, [Skill, Notification, AcceptedPlan, AcceptedPlan]);
}

#[test]
fn words_beside_a_result_are_steering_unless_the_client_wrote_them() {
    let result = |text: &str| json!([{"type": "tool_result", "tool_use_id": "t", "content": "ok"}, {"type": "text", "text": text}]);
    let session = Transcript::new().user(result("Tool loaded.")).user(result("but keep the old name")).read();
    assert_eq!(prompts(&session), [(Channel::Steering, "but keep the old name")]);
}

#[test]
fn slash_commands_are_prompts_if_they_carry_words_to_the_agent() {
    let command = |name: &str, arguments: &str| {
        json!(format!(
            "<command-name>/{name}</command-name>\n<command-message>{name}</command-message>\n<command-args>{arguments}</command-args>"
        ))
    };
    let session = Transcript::new()
        .user(command("review", "the parser, please"))
        .user_with(json!([{"type": "text", "text": "Review as follows …"}]), json!({"isMeta": true}))
        .reply("ok")
        .user(command("commit", ""))
        .reply("ok")
        .user(command("clear", ""))
        .user(command("model", "opus"))
        .user(command("plan", "think about it"))
        .user(json!("<local-command-stdout>Enabled plan mode</local-command-stdout>"))
        .row("system", json!({"subtype": "local_command", "content": "<command-name>/mcp</command-name>"}))
        .row(
            "system",
            json!({"subtype": "local_command", "content": "<local-command-stdout>dismissed</local-command-stdout>"}),
        )
        .read();
    assert_eq!(prompts(&session), [(Channel::SlashCommand, "/review the parser, please")]);
    use InjectedSource::{CommandOutput, Skill};
    let expected = [
        (Skill, "Review as follows …"),
        (Skill, "/commit"),
        (CommandOutput, "/clear"),
        (CommandOutput, "/model opus"),
        (CommandOutput, "/plan think about it"),
        (CommandOutput, "Enabled plan mode"),
        (CommandOutput, "/mcp"),
        (CommandOutput, "dismissed"),
    ];
    assert_eq!(injected(&session), expected);
}

#[test]
fn a_shell_command_is_a_prompt_and_its_output_is_not() {
    let session = Transcript::new()
        .user(json!("<bash-input>git pull</bash-input>"))
        .user(json!("<bash-stdout>Already up to date.</bash-stdout><bash-stderr></bash-stderr>"))
        .read();
    assert_eq!(prompts(&session), [(Channel::Shell, "!git pull")]);
    assert_eq!(injected(&session), [(InjectedSource::CommandOutput, "Already up to date.")]);
}

#[test]
fn a_queued_text_that_comes_again_as_a_row_counts_once() {
    let session = Transcript::new()
        .user(json!("a"))
        .queue("enqueue", Some("b"))
        .reply("x")
        .queue("dequeue", None)
        .user(json!("b"))
        .reply("y")
        .read();
    assert_eq!(prompts(&session), [(Channel::Typed, "a"), (Channel::Typed, "b")]);
}

#[test]
fn a_queued_text_that_is_removed_was_delivered_in_mid_turn() {
    let session = Transcript::new()
        .user(json!("a"))
        .queue("enqueue", Some("{\"task_id\":\"1\",\"description\":\"d\"}"))
        .queue("enqueue", Some("not like that"))
        .call("t", "Read", json!({"file_path": "f"}))
        .queue("remove", None)
        .result("t", "ok")
        .reply("I see")
        .queue("remove", None)
        .user(json!("b"))
        .read();
    assert_eq!(prompts(&session), [(Channel::Typed, "a"), (Channel::Steering, "not like that"), (Channel::Typed, "b")]);
    // It stands where it reached the agent: between the call and its result.
    assert_eq!(session.prompts().nth(1).map(|(event, _)| event.number), Some(3));
}

#[test]
fn a_queued_text_may_be_typed_again_later() {
    let session = Transcript::new()
        .queue("enqueue", Some("yes"))
        .reply("x")
        .queue("remove", Some("yes"))
        .reply("y")
        .user(json!("yes"))
        .read();
    assert_eq!(prompts(&session), [(Channel::Steering, "yes"), (Channel::Typed, "yes")]);
}

#[test]
fn what_left_the_queue_unsent_is_no_prompt() {
    let session = Transcript::new()
        .user(json!("a"))
        .queue("enqueue", Some("back to the editor"))
        .queue("popAll", None)
        .queue("enqueue", Some("/model"))
        .queue("remove", None)
        .queue("enqueue", Some("<task-notification><task-id>1</task-id></task-notification>"))
        .queue("remove", None)
        .queue("enqueue", Some("never sent"))
        .reply("x")
        .read();
    assert_eq!(prompts(&session), [(Channel::Typed, "a")]);
}

#[test]
fn an_attached_queued_text_counts_once_whatever_else_holds_it() {
    let attached = |text: &str, fields: Value| {
        let mut attachment = json!({"type": "queued_command", "prompt": text, "commandMode": "prompt"});
        for (key, value) in fields.as_object().into_iter().flatten() {
            attachment[key] = value.clone();
        }
        json!({"attachment": attachment})
    };
    let session = Transcript::new()
        .user(json!("a"))
        .queue("enqueue", Some("use b"))
        .reply("x")
        .queue("remove", Some("use b"))
        .row("attachment", attached("use b", json!({"origin": {"kind": "human"}})))
        .reply("y")
        .row(
            "attachment",
            attached("<task-notification>t</task-notification>", json!({"commandMode": "task-notification"})),
        )
        .row("attachment", attached("from an agent", json!({"origin": {"kind": "coordinator"}})))
        .row("attachment", attached("c", json!({})))
        .user(json!("c"))
        .read();
    assert_eq!(prompts(&session), [(Channel::Typed, "a"), (Channel::Steering, "use b"), (Channel::Typed, "c")]);
}

#[test]
fn an_interruption_counts_once() {
    let session = Transcript::new()
        .user(json!("a"))
        .reply("x")
        .user(json!([{"type": "text", "text": "[Request interrupted by user]"}]))
        .user(json!("b"))
        .call("t", "Bash", json!({"command": "sleep 9"}))
        .error("t", "[Request interrupted by user for tool use]")
        .user(json!([{"type": "text", "text": "[Request interrupted by user for tool use]"}]))
        .user(json!("Operation stopped by hook: [Request interrupted by user]"))
        .read();
    assert_eq!(interruptions(&session), [false, true]);
    assert_eq!(results(&session), [(Some(5), ToolOutcome::Interrupted)]);
    assert_eq!(session.summary().failed_tool_calls, 0);
    assert_eq!(prompts(&session).len(), 2);
}

#[test]
fn a_refused_call_is_rejected_and_the_humans_reason_is_a_prompt() {
    let refused = "The user doesn't want to proceed with this tool use. The tool use was rejected (eg. …). ";
    let session = Transcript::new()
        .call("t1", "Edit", json!({"file_path": "a", "old_string": "x", "new_string": "y"}))
        .error("t1", &format!("{refused}To tell you how to proceed, the user said:\nuse a branch"))
        .call("t2", "Bash", json!({"command": "rm -r x"}))
        .error("t2", &format!("{refused}STOP what you are doing and wait for the user to tell you how to proceed."))
        .user(json!([{"type": "text", "text": "[Request interrupted by user for tool use]"}]))
        .call("t3", "AskUserQuestion", json!({"questions": []}))
        .error(
            "t3",
            &format!(
                "{refused}To tell you how to proceed, the user said:\nThe user wants to clarify these questions.\n …"
            ),
        )
        .call("t4", "Read", json!({"file_path": "q"}))
        .result("t4", &refused)
        .read();
    assert_eq!(prompts(&session), [(Channel::Rejection, "use a branch")]);
    assert_eq!(interruptions(&session), [true]);
    let summary = session.summary();
    assert_eq!((summary.rejected_tools, summary.failed_tool_calls, summary.tool_calls), (3, 0, 4));
}

#[test]
fn failures_are_what_ran_and_failed_or_what_the_harness_refused() {
    let session = Transcript::new()
        .call("t1", "Bash", json!({"command": "false"}))
        .error("t1", "Exit code 1")
        .call("t2", "Read", json!({"file_path": "x"}))
        .error("t2", "<tool_use_error>File does not exist.</tool_use_error>")
        .call("t3", "Bash", json!({"command": "x"}))
        .user_with(
            json!([{"type": "tool_result", "tool_use_id": "t3", "content": "denied by the classifier", "is_error": true}]),
            json!({"toolDenialKind": "automode-unavailable"}),
        )
        .call("t4", "Bash", json!({"command": "x"}))
        .user_with(
            json!([{"type": "tool_result", "tool_use_id": "t4", "content": "no", "is_error": true}]),
            json!({"toolDenialKind": "user-rejected"}),
        )
        .read();
    let summary = session.summary();
    assert_eq!((summary.failed_tool_calls, summary.rejected_tools), (3, 1));
}

#[test]
fn chosen_answers_are_injected_and_no_prompt() {
    let session = Transcript::new()
        .call("t", "AskUserQuestion", json!({"questions": [{"question": "Which?"}]}))
        .result("t", "User has answered your questions: \"Which?\"=\"B\". You can now continue.")
        .read();
    assert_eq!(prompts(&session), []);
    assert!(matches!(injected(&session)[..], [(InjectedSource::Answers, text)] if text.contains("\"B\"")));
}

#[test]
fn calls_are_told_apart_by_id_and_redacted_ones_by_row_or_order() {
    let result = |row: &str| json!({"sourceToolAssistantUUID": row, "uuid": format!("of-{row}")});
    let block = json!([{"type": "tool_result", "tool_use_id": "REDACTED", "content": "x"}]);
    let session = Transcript::new()
        .call("t1", "Read", json!({"file_path": "a"}))
        .call("t1", "Read", json!({"file_path": "a"}))
        .result("t1", "x")
        .result("t1", "x")
        .call("REDACTED", "Read", json!({"file_path": "b"}))
        .call("REDACTED", "Read", json!({"file_path": "c"}))
        .user_with(block.clone(), result("u5"))
        .user(block.clone())
        .call("REDACTED", "Read", json!({"file_path": "d"}))
        .user(block)
        .result("elsewhere", "x")
        .read();
    assert_eq!(session.summary().tool_calls, 4);
    let calls: Vec<_> = results(&session).into_iter().map(|(call, _)| call).collect();
    assert_eq!(calls, [Some(1), Some(4), Some(3), Some(7), None]);
}

#[test]
fn a_messages_tokens_count_once_with_its_last_row() {
    let row = |id: Value, request: Value, tokens: Value| json!({"message": {"id": id, "model": "claude-x", "content": [{"type": "thinking", "thinking": ""}], "usage": tokens}, "requestId": request});
    let tokens = |output: Value| json!({"input_tokens": 3, "cache_read_input_tokens": 100, "cache_creation_input_tokens": "20", "output_tokens": output});
    let session = Transcript::new()
        .row("assistant", row(json!("m1"), json!("r1"), tokens(json!(1))))
        .row("assistant", row(json!("m1"), json!("r1"), tokens(json!(50))))
        .row("assistant", row(json!("m2"), json!(null), tokens(json!("7"))))
        .row("assistant", row(json!("m3"), json!("r3"), json!(null)))
        .row("assistant", row(json!("REDACTED"), json!("r4"), tokens(json!(2))))
        .row("assistant", row(json!("REDACTED"), json!("r4"), tokens(json!(2))))
        .read();
    let expected = crate::usage::Usage { input: 9, cached_input: 300, cache_write: 60, output: 59, reasoning: 0 };
    assert_eq!(session.usage, expected);
}

#[test]
fn what_the_client_says_in_the_models_place_is_neither_reply_nor_model() {
    let synthetic = |text: &str| {
        json!({"message": {"id": "s", "model": "<synthetic>", "content": [{"type": "text", "text": text}],
            "usage": {"input_tokens": 0, "output_tokens": 0}}, "isApiErrorMessage": true})
    };
    let session = Transcript::new()
        .row("assistant", synthetic("API Error: 529 overloaded"))
        .row("assistant", synthetic("No response requested."))
        .row("system", json!({"subtype": "api_error", "error": {"status": 500}, "retryAttempt": 1}))
        .row("system", json!({"subtype": "api_error", "error": {"status": 500}}))
        .read();
    let errors: Vec<_> =
        session.events.iter().filter(|event| matches!(event.body, EventBody::ClientError { .. })).collect();
    assert_eq!(errors.len(), 2);
    assert_eq!((session.models.len(), session.events.len()), (0, 3));
}

#[test]
fn commits_come_from_what_git_printed_or_what_the_client_noted() {
    let printed = "[main 1a2b3c4] Add x\n 1 file changed";
    let session = Transcript::new()
        .call("t1", "Bash", json!({"command": "git add . && git commit -m 'Add x'"}))
        .result("t1", printed)
        .call("t2", "Bash", json!({"command": "cat log"}))
        .result("t2", "[main 9999999] Not made here")
        .call("t3", "Bash", json!({"command": "git commit -qm y"}))
        .user_with(
            json!([{"type": "tool_result", "tool_use_id": "t3", "content": ""}]),
            json!({"toolUseResult": {"stdout": "", "gitOperation": {"commit": {"sha": "5e6f7a8b", "kind": "committed"}}}}),
        )
        .read();
    assert_eq!(session.commits().collect::<Vec<_>>(), [("1a2b3c4", "Add x"), ("5e6f7a8b", "")]);
}

#[test]
fn a_compaction_counts_once_however_it_is_written() {
    let summary = "This session is being continued from a previous conversation that ran out of context. …";
    let boundary = json!({"subtype": "compact_boundary", "content": "Conversation compacted", "parentUuid": null});
    let session = Transcript::new()
        .user(json!("a"))
        .row("system", boundary.clone())
        .user_with(json!(summary), json!({"isCompactSummary": true}))
        .reply("x")
        .user_with(json!(summary), json!({"isCompactSummary": true}))
        .reply("x")
        .row("system", boundary)
        .reply("x")
        .read();
    let found = session.events.iter().filter_map(|event| match &event.body {
        EventBody::Compaction { summary } => Some(summary.as_str()),
        _ => None,
    });
    assert_eq!(found.collect::<Vec<_>>(), [summary, summary, ""]);
    assert_eq!(prompts(&session).len(), 1);
}

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
    assert_eq!((session.read.records, session.events.len()), (10, 5));
    // A transcript cut in two is put together in the order of time.
    let rest = Transcript { rows: whole.rows[4..].to_vec() };
    let cut = read(SESSION, &[(PathBuf::from("2"), rest.bytes()), (PathBuf::from("1"), half.bytes())]);
    assert_eq!(cut.events, session.events);
}

#[test]
fn an_edited_prompt_rewinds_to_the_first_version() {
    let session = Transcript::new()
        .user(json!("start"))
        .reply("ok")
        .user_with(json!("first version"), json!({"parentUuid": "u1"}))
        .reply("x")
        .user(json!("more"))
        .reply("y")
        .user_with(json!("second version"), json!({"parentUuid": "u1"}))
        .reply("z")
        .user_with(json!("third version"), json!({"parentUuid": "u1"}))
        .read();
    let rewinds = session.events.iter().filter_map(|event| match event.body {
        EventBody::Rewind { first_event, prompts } => Some((event.number, first_event, prompts)),
        _ => None,
    });
    assert_eq!(rewinds.collect::<Vec<_>>(), [(7, 3, 2), (10, 8, 1)]);
    assert_eq!(session.prompts().count(), 5);
}

#[test]
fn roots_and_prompts_sent_together_are_no_rewinds() {
    let root = json!({"parentUuid": null});
    let session = Transcript::new()
        .user_with(json!("a"), root.clone())
        .reply("x")
        .user_with(json!("b"), root)
        .reply("y")
        .user_with(json!("c"), json!({"parentUuid": "u3"}))
        .user_with(json!("d"), json!({"parentUuid": "u3"}))
        .read();
    assert_eq!(session.prompts().count(), session.events.len() - 2);
}

#[test]
fn unknown_rows_and_blocks_are_counted_and_cost_nothing() {
    let session = Transcript::new()
        .raw(json!({"type": "hologram", "sessionId": SESSION}))
        .raw(json!({"type": "summary", "summary": "s", "leafUuid": "l"}))
        .raw(json!({"no": "type"}))
        .row("assistant", json!({"message": {"content": [{"type": "dance"}, "bare words", 7]}}))
        .read();
    let unknown: Vec<_> = session.read.unknown.iter().map(|(kind, count)| (kind.as_str(), *count)).collect();
    assert_eq!(unknown, [("", 1), ("assistant/dance", 1), ("hologram", 1)]);
    assert!(matches!(&session.events[..], [event] if event.body == EventBody::Reply { text: "bare words".to_owned() }));
}

#[test]
fn the_wait_for_a_human_is_not_the_agents_work() {
    let session = Transcript::new()
        .user(json!("a"))
        .reply("x")
        .user(json!("b"))
        .call("t", "Bash", json!({"command": "x"}))
        .error("t", "The user doesn't want to proceed with this tool use.")
        .call("q", "AskUserQuestion", json!({}))
        .result("q", "User has answered your questions: …")
        .row("assistant", json!({"timestamp": "2026-01-01T00:00:00.000Z", "message": {"content": "earlier"}}))
        .reply("y")
        .read();
    // Replies to a, to b, the question after the refusal, and from the answer to the end.
    assert_eq!(session.active_seconds, 10.0 + 10.0 + 10.0 + 20.0);
    assert_eq!(session.wall_seconds(), 80.0);
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
fn a_first_row_longer_than_the_head_is_recognised() {
    let row = format!(
        "{{\"parentUuid\":null,\"isSidechain\":false,\"userType\":\"external\",\"cwd\":\"/w\",\"sessionId\":\"{SESSION}\",\"type\":\"user\",\
         \"message\":{{\"content\":[{{\"source\":{{\"data\":\"{}",
        "A".repeat(9999)
    );
    assert_eq!(recognise(row.as_bytes(), Path::new("x.jsonl")).as_deref(), Some(SESSION));
}

#[test]
fn what_other_programs_write_is_not_recognised() {
    for other in [
        r#"{"timestamp":"2026-01-01T00:00:00Z","type":"session_meta","payload":{"id":"x"}}"#,
        r#"{"type":"session.start","data":{"sessionId":"x"},"id":"1","timestamp":"2026-01-01T00:00:00Z"}"#,
        r#"{"sessionId":"x","projectHash":"h","messages":[{"type":"user","content":"hi"}]}"#,
        r#"{"id":"1","timestamp":"2026-01-01T00:00:00Z","type":"user","content":"hi"}"#,
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
