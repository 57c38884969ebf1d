//! What becomes of the rows of SWE-chat tables: events, counts, labels.

use crate::parquet_file::{Cells, Columns};
use crate::swe_chat::*;
use interrater::corpus::{self, Corpus};
use interrater::session::{Agent, EventBody, Session, ToolOutcome};
use interrater::usage::Usage;
use std::path::Path;
use tempfile::TempDir;

/// A folder with this table of conversations.
pub fn folder(turns: &[Turn]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    put(&folder.path().join("conversations.parquet"), &conversations(turns));
    folder
}

pub fn find(folder: &Path) -> Corpus {
    corpus::find(&[folder.to_owned()]).unwrap_or_else(|error| panic!("{error}"))
}

/// The only session of a table with these turns.
fn told(turns: Vec<Turn>) -> Session {
    let folder = folder(&session("s1", turns));
    let corpus = find(folder.path());
    assert_eq!(corpus.sources().len(), 1);
    corpus::read(&corpus.sources()[0]).unwrap()
}

/// The events as short words.
pub fn events(session: &Session) -> Vec<String> {
    session
        .events
        .iter()
        .map(|event| match &event.body {
            EventBody::Prompt(prompt) => format!("{:?} {}: {}", prompt.channel, prompt.ordinal, prompt.text),
            EventBody::Reply { text } => format!("reply: {text}"),
            EventBody::ToolCall(call) => format!("{} ({:?}): {}", call.name, call.category, call.input),
            EventBody::ToolResult(result) => format!("{:?} of {:?}: {}", result.outcome, result.call, result.text),
            EventBody::Interruption { during_tool } => format!("interruption, tool {during_tool}"),
            EventBody::Injected { source, text } => format!("injected {source:?}: {text}"),
            EventBody::Compaction { summary } => format!("compaction: {summary}"),
            EventBody::Rewind { .. } => "rewind".to_owned(),
            EventBody::Commit { hash, subject } => format!("commit {hash}: {subject}"),
            EventBody::ClientError { text } => format!("error: {text}"),
        })
        .collect()
}

/// The labels as `task prompt value`.
pub fn labels(session: &Session) -> Vec<String> {
    session
        .labels
        .iter()
        .map(|label| match label.prompt {
            Some(prompt) => format!("{} {prompt} {}", label.task, label.value),
            None => format!("{} {}", label.task, label.value),
        })
        .collect()
}

#[test]
fn the_rows_tell_the_session() {
    let session = told(vec![
        labelled("add a cache", "create new code", "non_pushback"),
        metadata("file_snapshot", "{\"files\":[]}"),
        turn_of_thinking(),
        reply("I will look."),
        call("t1", "Read", r#"{"file_path":"src/a.rs"}"#),
        result("t1", "fn a() {}"),
        metadata("progress", "running"),
        call("t2", "Bash", r#"{"command":"git commit -m x"}"#),
        result("t2", "[main 1a2b3c4] Add a cache\n 1 file changed"),
        reply("Done."),
        labelled("no, use a map", "refactor", "correction"),
    ]);
    assert_eq!(
        events(&session),
        [
            "Typed 1: add a cache",
            "reply: I will look.",
            "Read (Research): src/a.rs",
            "Ok of Some(3): fn a() {}",
            "Bash (Git): git commit -m x",
            "Ok of Some(5): [main 1a2b3c4] Add a cache\n 1 file changed",
            "commit 1a2b3c4: Add a cache",
            "reply: Done.",
            "Typed 2: no, use a map",
        ]
    );
    assert_eq!((session.id.as_str(), session.agent), ("claude_code:s1", Agent::ClaudeCode));
    assert_eq!(session.models, ["claude-sonnet-5"]);
    assert_eq!(session.started.unwrap().to_string(), "2026-03-01T10:00:00Z");
    assert_eq!(session.wall_seconds(), 100.0);
    assert_eq!(session.active_seconds, 90.0, "the last wait is the human's");
    assert_eq!(session.usage, Usage { input: 10, output: 14, cache_write: 22, cached_input: 26, reasoning: 0 });
    assert_eq!((session.read.lines, session.read.records, session.read.bad), (11, 11, 0));
    assert!(session.read.unknown.is_empty());
    assert_eq!(
        labels(&session),
        ["intent 1 create new code", "pushback 1 non_pushback", "intent 2 refactor", "pushback 2 correction"]
    );
}

fn turn_of_thinking() -> Turn {
    Turn { kind: "assistant_thinking", tokens: [0; 4], ..reply("hm") }
}

#[test]
fn what_nobody_typed_is_no_prompt() {
    let session = told(vec![
        prompt("<system_instruction>\nbe brief\n</system_instruction>\n\ngo"),
        prompt("Tool loaded."),
        prompt("Implement the following plan:\n\n# Plan"),
        injected("Base directory for this skill: /x"),
        injected("<task-notification>done</task-notification>"),
        Turn { is_continuation: true, ..prompt("This session is being continued from a previous conversation. …") },
        Turn { is_continuation: true, ..prompt("Continue from where you left off.") },
        prompt("  "),
        Turn { content: None, ..prompt("") },
        prompt("[Request interrupted by user]"),
        prompt("<command-name>/clear</command-name><command-args></command-args>"),
        prompt("<command-name>/review</command-name><command-args>the parser</command-args>"),
        injected("<bash-input>git pull</bash-input>"),
        prompt("why does it print [Request interrupted by user]?"),
    ]);
    assert_eq!(
        events(&session),
        [
            "injected Context: be brief",
            "Typed 1: go",
            "injected Harness: Tool loaded.",
            "injected AcceptedPlan: Implement the following plan:\n\n# Plan",
            "injected Skill: Base directory for this skill: /x",
            "injected Notification: <task-notification>done</task-notification>",
            "compaction: This session is being continued from a previous conversation. …",
            "injected Harness: Continue from where you left off.",
            "interruption, tool false",
            "injected CommandOutput: /clear",
            "SlashCommand 2: /review the parser",
            "Shell 3: !git pull",
            "Typed 4: why does it print [Request interrupted by user]?",
        ]
    );
}

#[test]
fn a_command_that_only_prints_is_the_clients() {
    let command = "<command-name>/plan</command-name><command-args>x</command-args>";
    let printed = injected("<local-command-stdout>Plan mode on</local-command-stdout>");
    let session = told(vec![prompt(command), metadata("progress", ""), printed, prompt(command), reply("ok")]);
    assert_eq!(
        events(&session),
        [
            "injected CommandOutput: /plan x",
            "injected CommandOutput: Plan mode on",
            "SlashCommand 1: /plan x",
            "reply: ok"
        ]
    );
}

#[test]
fn results_are_judged_by_what_the_client_wrote_into_them() {
    let refusal = "The user doesn't want to proceed with this tool use. The tool use was rejected. To tell you how to proceed, the user said:\nuse staging";
    let session = told(vec![
        prompt("go"),
        call("a", "Bash", r#"{"command":"make"}"#),
        result("a", "Exit code 2\nno rule"),
        call("b", "Edit", r#"{"file_path":"a.rs","old_string":"x","new_string":"y"}"#),
        result("b", "<tool_use_error>String to replace not found</tool_use_error>"),
        call("c", "Bash", r#"{"command":"deploy"}"#),
        result("c", refusal),
        prompt("[Request interrupted by user for tool use]"),
        call("d", "Bash", r#"{"command":"sleep 9"}"#),
        result("d", "[Request interrupted by user for tool use]"),
        prompt("[Request interrupted by user for tool use]"),
        call("e", "AskUserQuestion", r#"{"questions":[]}"#),
        result("e", "User has answered your questions: \"a\""),
    ]);
    let counts = [ToolOutcome::Failed, ToolOutcome::Rejected, ToolOutcome::Interrupted].map(|o| session.outcomes(o));
    assert_eq!(counts, [2, 1, 1]);
    assert_eq!(session.summary().interruptions, 2, "a result and the mark behind it are one interruption");
    let told = events(&session);
    assert!(told.contains(&"Rejection 2: use staging".to_owned()), "{told:?}");
    assert!(told.iter().any(|event| event.starts_with("injected Answers: User has answered")), "{told:?}");
}

#[test]
fn a_result_that_was_cut_says_so() {
    let whole = "x".repeat(9_000);
    for (text, cut) in
        [(&whole, false), (&"y".repeat(10_240), true), (&"z".repeat(10_000), true), (&"é".repeat(10_000), true)]
    {
        let session = told(vec![prompt("go"), call("a", "Bash", "{}"), result("a", text)]);
        let told = events(&session).pop().unwrap();
        assert_eq!(told.ends_with("[cut at 10 KB in the data]"), cut, "{}", text.len());
        assert!(told.contains(text.as_str()));
    }
}

#[test]
fn queued_prompts_count_once_and_none_is_lost() {
    let notice = "<task-notification>\n<task-id>1</task-id>\n</task-notification>";
    let session = told(vec![
        prompt("go"),
        queue("user_prompt_enqueued", Some("and run the tests")),
        reply("working"),
        queue("user_prompt_delivered", None),
        prompt("and run the tests"),
        reply("tests run"),
        // Removed in mid-turn: the agent answers it, and no row holds it.
        queue("user_prompt_enqueued", Some("not that file")),
        queue("task_notification", Some(notice)),
        Turn { pushback: Some("correction"), ..queue("user_prompt_discarded", None) },
        reply("right, the other"),
        queue("other", None),
        // Delivered, and no row holds it.
        queue("user_prompt_enqueued", Some("commit it")),
        queue("user_prompt_delivered", Some("commit it")),
        reply("committed"),
        // Back to the input line.
        queue("user_prompt_enqueued", Some("hm, wait")),
    ]);
    assert_eq!(
        events(&session).into_iter().filter(|event| !event.starts_with("reply")).collect::<Vec<_>>(),
        ["Typed 1: go", "Typed 2: and run the tests", "Steering 3: not that file", "Steering 4: commit it"]
    );
    assert_eq!(labels(&session), ["pushback 3 correction"]);
}

#[test]
fn a_label_on_a_queued_text_goes_to_the_row_in_which_it_comes_again() {
    let session = told(vec![
        prompt("go"),
        Turn { pushback: Some("rejection"), ..queue("user_prompt_enqueued", Some("no")) },
        reply("working"),
        queue("user_prompt_delivered", Some("no")),
        prompt("no"),
    ]);
    assert_eq!(session.prompts().count(), 2);
    assert_eq!(labels(&session), ["pushback 2 rejection"]);
}

#[test]
fn words_of_the_agent_to_a_subagent_are_no_prompt() {
    let session = told(vec![
        prompt("look around"),
        call("a", "Task", r#"{"description":"scan","prompt":"Find all callers of f.","subagent_type":"x"}"#),
        prompt("Find all callers of f."),
        result("a", "none"),
    ]);
    assert_eq!((session.prompts().count(), session.subagent_events), (1, 1));
}

#[test]
fn summaries_are_compactions_unless_they_are_titles() {
    let summary = Turn { role: "user", ..metadata("summary", "What was done so far") };
    let session = told(vec![
        metadata("summary", "Fix the parser"),
        prompt("go"),
        metadata("system_event", "Conversation compacted"),
        Turn { is_continuation: true, ..prompt("This session is being continued from a previous conversation: a, b") },
        reply("on"),
        summary,
        metadata("system_event", "stop hook ran"),
    ]);
    assert_eq!(
        events(&session),
        [
            "Typed 1: go",
            "compaction: This session is being continued from a previous conversation: a, b",
            "reply: on",
            "compaction: What was done so far",
        ]
    );
}

#[test]
fn tokens_of_a_message_in_several_rows_count_once() {
    let part = |text: &str, output| Turn { tokens: [5, output, 0, 100], ..reply(text) };
    let session = told(vec![
        prompt("go"),
        part("first", 3),
        part("second", 9),
        call("a", "Bash", "{}"),
        result("a", "ok"),
        part("third", 2),
        Turn { model: Some("<synthetic>"), tokens: [0; 4], ..reply("API Error: 529") },
    ]);
    assert_eq!(session.usage, Usage { input: 10, cached_input: 200, cache_write: 0, output: 11, reasoning: 0 });
    assert_eq!(session.models, ["claude-sonnet-5"]);
    assert_eq!(events(&session).last().unwrap(), "error: API Error: 529");
}

#[test]
fn rows_come_in_the_order_of_turns_each_once() {
    let mut turns = session("s1", vec![prompt("one"), reply("two"), prompt("three"), reply("four")]);
    // As some tables have them: out of order, twice, split by another session.
    turns.swap(0, 3);
    turns.push(turns[2].clone());
    turns.splice(2..2, session("s2", vec![prompt("other")]));
    let folder = folder(&turns);
    let corpus = find(folder.path());
    let ids: Vec<&str> = corpus.sources().iter().map(|source| source.id.as_str()).collect();
    assert_eq!(ids, ["claude_code:s1", "claude_code:s2"]);
    let first = corpus::read(&corpus.sources()[0]).unwrap();
    assert_eq!(events(&first), ["Typed 1: one", "reply: two", "Typed 2: three", "reply: four"]);
    assert_eq!((first.read.lines, first.read.records), (5, 4));
}

#[test]
fn unknown_columns_are_left_alone_and_most_may_be_missing() {
    let turns = session("s1", vec![prompt("one"), reply("two"), Turn { kind: "dream", ..metadata("", "x") }]);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("anything.bin");
    let mut columns = conversations(&turns);
    columns.push(("prompt_attributions", Cells::Double(vec![Some(1.0), None, Some(f64::NAN)])));
    put(&path, &columns);
    let session = corpus::read(&find(&path).sources()[0]).unwrap();
    assert_eq!(events(&session), ["Typed 1: one", "reply: two"]);
    assert_eq!(session.read.unknown.get("dream"), Some(&1));

    let few: Columns = columns
        .into_iter()
        .filter(|(name, _)| ["session_id", "turn_number", "role", "content"].contains(name))
        .collect();
    put(&path, &few);
    let session = corpus::read(&find(&path).sources()[0]).unwrap();
    assert_eq!((session.id.as_str(), session.started), ("chat:s1", None), "nothing says whose it is");
    assert_eq!(events(&session), ["Typed 1: one", "reply: two"]);
}

#[test]
fn the_agent_is_what_the_tables_say() {
    let agents = [
        (Some("Claude Code"), "claude_code:a"),
        (Some("Codex"), "codex:b"),
        (Some("Gemini CLI"), "gemini_cli:c"),
        (Some("OpenCode"), "opencode:d"),
        (Some("Copilot CLI"), "copilot:e"),
        (Some("Cursor"), "cursor:f"),
        (Some("Agent"), "chat:g"),
        (None, "chat:h"),
    ];
    let turns: Vec<Turn> = agents
        .iter()
        .flat_map(|(agent, id)| {
            let name = id.split_once(':').unwrap().1;
            session(name, vec![Turn { agent: *agent, ..prompt("go") }])
        })
        .collect();
    let folder = folder(&turns);
    let corpus = find(folder.path());
    let mut ids: Vec<&str> = corpus.sources().iter().map(|source| source.id.as_str()).collect();
    ids.sort_by_key(|id| id.split_once(':').unwrap().1);
    assert_eq!(ids, agents.map(|(_, id)| id));
}

#[test]
fn other_clients_mark_what_they_add_in_their_own_ways() {
    let by =
        |agent, turns: Vec<Turn>| told(turns.into_iter().map(|turn| Turn { agent: Some(agent), ..turn }).collect());
    let codex = by(
        "Codex",
        vec![
            prompt("# AGENTS.md instructions for /app\nBe brief."),
            prompt("fix it"),
            call("a", "shell", r#"{"command":["bash","-lc","ls nowhere"]}"#),
            result("a", "Exit code: 2\nWall time: 0.1 seconds\nOutput:\nls: nowhere"),
            prompt("<turn_aborted>\nThe user interrupted the previous turn on purpose.\n</turn_aborted>"),
        ],
    );
    assert_eq!(codex.prompts().map(|(_, prompt)| prompt.text.as_str()).collect::<Vec<_>>(), ["fix it"]);
    assert_eq!((codex.outcomes(ToolOutcome::Failed), codex.summary().interruptions), (1, 1));
    let cursor = by("Cursor", vec![prompt("<user_info>mac</user_info>\n<user_query>\nmake it blue\n</user_query>")]);
    assert_eq!(cursor.prompts().map(|(_, prompt)| prompt.text.as_str()).collect::<Vec<_>>(), ["make it blue"]);
}
