//! What becomes of the rows of SWE-chat tables: events, counts, labels, and which sessions there are.

use crate::parquet_file::{Cells, Columns, Layout, write};
use crate::swe_chat::*;
use interrater::corpus::{self, Corpus, CorpusError};
use interrater::session::swe_chat::LABEL_WITHOUT_PROMPT;
use interrater::session::{Agent, EventBody, Session, ToolOutcome};
use interrater::usage::Usage;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// A folder with this table of conversations.
fn folder(turns: &[Turn]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    put(&folder.path().join("conversations.parquet"), &conversations(turns));
    folder
}

fn find(folder: &Path) -> Corpus {
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
fn events(session: &Session) -> Vec<String> {
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
fn labels(session: &Session) -> Vec<String> {
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

#[test]
fn a_table_of_sessions_adds_what_it_knows() {
    let folder = folder(&session("2026-03-01-s1", vec![prompt("go"), Turn { tokens: [0; 4], ..reply("done") }]));
    let row = Row {
        session: "2026-03-01-s1",
        agent: Some("Codex"),
        checkpoints: r#"["0123456789ab"]"#,
        agent_percentage: Some(62.5),
        output_tokens: 200,
        persona: Some("Vague Requester"),
        success: Some("70"),
    };
    let earlier = Row { output_tokens: 20, success: Some("10"), ..row };
    let mentioned = Row { session: "s9", agent_percentage: Some(f64::NAN), ..row };
    put(&folder.path().join("sessions.parquet"), &sessions(&[earlier, row, mentioned]));
    let message = "Add a cache\n\nLong story";
    put(
        &folder.path().join("commits.parquet"),
        &commits(&[("ada/app#0123456789ab", "1a2b3c4d5e", message), ("ada/app#ffffffffffff", "99", "Other")]),
    );
    let corpus = find(folder.path());
    assert_eq!(corpus.sources().len(), 1);
    let session = corpus::read(&corpus.sources()[0]).unwrap();
    assert_eq!((session.id.as_str(), session.agent_percentage), ("codex:s1", Some(62.5)));
    assert_eq!(session.usage, Usage { input: 100, output: 200, cache_write: 300, cached_input: 400, reasoning: 0 });
    assert_eq!(events(&session).last().unwrap(), "commit 1a2b3c4d5e: Add a cache");
    assert_eq!(labels(&session), ["persona Vague Requester", "success 70"]);
    let skipped: Vec<String> = corpus.skipped().iter().map(|skipped| skipped.reason.to_string()).collect();
    assert_eq!(skipped, ["used but for 1 sessions that have neither rows nor a transcript"]);
}

/// A Claude Code transcript; each row is ten seconds behind the one before, as in the tables.
fn transcript(id: &str, rows: &[(&str, &str)]) -> String {
    let line = |(at, (kind, text)): (usize, &(&str, &str))| {
        let message = match *kind {
            "user" => serde_json::json!({ "role": "user", "content": text }),
            _ => serde_json::json!({
                "id": format!("m{at}"), "role": "assistant", "model": "claude-sonnet-5",
                "content": [{ "type": "text", "text": text }], "usage": { "input_tokens": 1, "output_tokens": 2 },
            }),
        };
        let time = jiff::Timestamp::from_microsecond(BEGIN + at as i64 * 10_000_000).unwrap();
        let row = serde_json::json!({
            "parentUuid": null, "isSidechain": false, "userType": "external", "cwd": "/home/ada", "sessionId": id,
            "version": "2.0.72", "type": kind, "uuid": format!("{id}-{at}"), "message": message, "timestamp": time.to_string(),
        });
        format!("{row}\n")
    };
    rows.iter().enumerate().map(line).collect()
}

#[test]
fn a_transcript_wins_and_takes_the_labels_of_its_prompts() {
    let folder = folder(&session(
        "s1",
        vec![
            labelled("add a cache", "create new code", "non_pushback"),
            reply("done"),
            // The table does not have the second prompt; this one is the third of the transcript.
            labelled("go  on", "other", "non_pushback"),
            Turn { timeless: true, ..labelled("it crashes\nat line 3", "debug", "failure_report") },
            labelled("never said", "git", "takeover"),
        ],
    ));
    let text = transcript(
        "s1",
        &[
            ("user", "add a cache"),
            ("assistant", "done"),
            ("user", "go on"),
            ("user", "go on"),
            ("assistant", "more"),
            ("user", "it crashes at line 3"),
        ],
    );
    let path = folder.path().join("transcripts/s1.jsonl");
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(&path, text).unwrap();
    put(
        &folder.path().join("sessions.parquet"),
        &sessions(&[Row { session: "s1", agent: Some("Gemini CLI"), success: Some("90"), ..Row::default() }]),
    );
    let corpus = find(folder.path());
    assert_eq!(corpus.sources().len(), 1, "a session that is there twice counts once");
    let session = corpus::read(&corpus.sources()[0]).unwrap();
    assert_eq!((session.id.as_str(), &session.path), ("claude_code:s1", &path), "content decides, not the table");
    assert_eq!((session.prompts().count(), session.usage.output), (4, 4));
    assert_eq!(
        labels(&session),
        [
            "success 90",
            "intent 1 create new code",
            "pushback 1 non_pushback",
            // The time says which of two equal prompts it is.
            "intent 2 other",
            "pushback 2 non_pushback",
            "intent 4 debug",
            "pushback 4 failure_report",
        ]
    );
    assert_eq!(session.read.unknown.get(LABEL_WITHOUT_PROMPT), Some(&2), "two labels of a row that is no prompt here");
}

#[test]
fn a_transcript_elsewhere_under_another_name_is_found_by_its_id() {
    let tables = folder(&session("2026-03-01-s1", vec![labelled("one", "test", "rejection")]));
    let elsewhere = tempfile::tempdir().unwrap();
    std::fs::write(elsewhere.path().join("full.jsonl"), transcript("s1", &[("user", "one")])).unwrap();
    let paths = [tables.path().to_owned(), elsewhere.path().to_owned()];
    let corpus = corpus::find(&paths).unwrap();
    assert_eq!(corpus.sources().len(), 1);
    let session = corpus::read(&corpus.sources()[0]).unwrap();
    assert_eq!(labels(&session), ["intent 1 test", "pushback 1 rejection"]);
}

#[test]
fn a_transcript_whose_own_id_differs_is_found_by_its_file() {
    let folder = folder(&session("s1", vec![labelled("one", "test", "rejection")]));
    put(&folder.path().join("logs.parquet"), &logs(&[("s1", "transcripts/t-1.jsonl"), ("s2", "transcripts/s2.jsonl")]));
    std::fs::create_dir(folder.path().join("transcripts")).unwrap();
    std::fs::write(folder.path().join("transcripts/t-1.jsonl"), transcript("inner", &[("user", "one")])).unwrap();
    let corpus = find(folder.path());
    let ids: Vec<&str> = corpus.sources().iter().map(|source| source.id.as_str()).collect();
    assert_eq!(ids, ["claude_code:inner"]);
    assert_eq!(labels(&corpus::read(&corpus.sources()[0]).unwrap()), ["intent 1 test", "pushback 1 rejection"]);
}

/// The damaged ways of a table, and what the corpus says of each.
fn refused(path: &Path) -> String {
    match corpus::find(&[path.to_owned()]) {
        Err(error @ CorpusError::Table { .. }) => {
            let help = miette::Diagnostic::help(&error).expect("there is a way out").to_string();
            format!("{error} ({help})").replace(&format!("{}/", path.parent().unwrap().display()), "")
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_table_that_cannot_be_used_is_refused_with_the_reason_and_the_others_are_read() {
    let folder = folder(&session("s1", vec![prompt("one")]));
    let path = |name: &str| folder.path().join(name);
    let whole = std::fs::read(path("conversations.parquet")).unwrap();
    std::fs::write(path("cut.parquet"), &whole[..whole.len() / 2]).unwrap();
    let mut columns = conversations(&session("s2", vec![prompt("two")]));
    columns.retain(|(name, _)| *name != "content");
    put(&path("lacking.parquet"), &columns);
    put(&path("other.parquet"), &vec![("fruit", Cells::Text(vec![Some("pear".to_owned())]))]);
    std::fs::write(path("wrong.parquet"), b"PARX not a table").unwrap();

    let cut = refused(&path("cut.parquet"));
    assert!(cut.starts_with("cannot use cut.parquet: a damaged Parquet file: "), "{cut}");
    insta::assert_snapshot!(refused(&path("lacking.parquet")), @"cannot use lacking.parquet: a table of conversations without the column `content` (write the table with all columns that docs/swe-chat.md calls required)");
    insta::assert_snapshot!(refused(&path("other.parquet")), @"cannot use other.parquet: a Parquet table, but not one of sessions (known are the tables of SWE-chat: see docs/swe-chat.md for their columns)");
    assert!(matches!(corpus::find(&[path("wrong.parquet")]), Err(CorpusError::NotATranscript { .. })));

    let corpus = find(folder.path());
    assert_eq!(corpus.sources().len(), 1);
    let skipped: Vec<PathBuf> =
        corpus.skipped().iter().map(|skipped| skipped.path.file_name().unwrap().into()).collect();
    assert_eq!(skipped, ["cut.parquet", "lacking.parquet", "other.parquet", "wrong.parquet"].map(PathBuf::from));
}

#[test]
fn tables_without_a_conversation_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    put(&folder.path().join("sessions.parquet"), &sessions(&[Row { session: "s1", ..Row::default() }]));
    let found = corpus::find(&[folder.path().to_owned()]);
    assert!(matches!(found, Err(CorpusError::NoConversation { .. })), "{found:?}");
    // Where there is a reason, that is told.
    std::fs::write(folder.path().join("conversations.parquet"), b"PAR1 and no more").unwrap();
    let found = corpus::find(&[folder.path().to_owned()]);
    assert!(
        matches!(&found, Err(CorpusError::Table { path, .. }) if path.ends_with("conversations.parquet")),
        "{found:?}"
    );
}

#[test]
fn a_session_split_over_row_groups_and_files_is_read_whole_at_any_size() {
    let folder = tempfile::tempdir().unwrap();
    let (sessions, length) = (250_usize, 480_usize);
    let mut turns: Vec<Turn> = Vec::new();
    for number in 0..sessions {
        let rows = (0..length).map(|at| match at % 8 {
            0 => labelled(&format!("prompt {number}-{at}"), "debug", "correction"),
            1..=4 => metadata("progress", "……"),
            5 => call("a", "Read", r#"{"file_path":"a.rs"}"#),
            6 => result("a", "fn main() {}"),
            _ => reply(&format!("reply {number}-{at}")),
        });
        turns.extend(session(&format!("s{number:03}"), rows.collect()));
    }
    // The first half of a session is in one file, the second in another, between those of others.
    let (first, second) = turns.split_at(100 * length + length / 2);
    let layout = Layout { group: 50_000, page: 2_000, ..Layout::SNAPPY };
    write(&folder.path().join("a.parquet"), &conversations(first), layout);
    write(&folder.path().join("b.parquet"), &conversations(second), Layout { group: 20_011, ..Layout::zstd() });
    assert!(turns.len() > 100_000);
    let corpus = find(folder.path());
    assert_eq!(corpus.sources().len(), sessions);
    let read = corpus.read_all(|session| {
        let prompts: Vec<String> = session.prompts().map(|(_, prompt)| prompt.text.clone()).collect();
        let number = session.id.as_str().rsplit_once('s').unwrap().1.parse::<usize>().unwrap();
        let expected: Vec<String> = (0..length).step_by(8).map(|at| format!("prompt {number}-{at}")).collect();
        assert_eq!(prompts, expected);
        assert_eq!((session.labels.len(), session.read.records as usize, session.read.bad), (120, length, 0));
        assert_eq!(session.tool_calls().count(), length / 8);
    });
    assert_eq!(read.into_iter().filter(Result::is_ok).count(), sessions);
}
