//! What the rows of one transcript mean.

use super::*;

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
        .result("t4", refused)
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
        .row("progress", json!({"data": {"type": "hook_progress", "hookEvent": "SessionStart"}}))
        .row("assistant", json!({"message": {"model": "<synthetic>", "content": "No response requested."}}))
        .read();
    // Replies to a, to b, the question after the refusal, and from the answer to the last reply.
    assert_eq!(session.active_seconds, 10.0 + 10.0 + 10.0 + 20.0);
    assert_eq!(session.wall_seconds(), 100.0);
}
