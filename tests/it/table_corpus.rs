//! Which sessions a corpus with SWE-chat tables has: joined with transcripts, completed by other tables, and told of where a table
//! cannot be used.

use crate::parquet_file::{Cells, Layout, write};
use crate::swe_chat::*;
use crate::table_sessions::{events, find, folder, labels};
use interrater::corpus::{self, CorpusError};
use interrater::session::swe_chat::LABEL_WITHOUT_PROMPT;
use interrater::usage::Usage;
use std::path::{Path, PathBuf};

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
    assert_eq!(skipped, ["used but for 1 session without rows or a transcript"]);
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
