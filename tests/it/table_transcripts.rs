//! Real transcripts, put into tables as the card of SWE-chat describes it: the rows tell the same session as the transcript, and labels
//! find their prompts.

use crate::parquet_file::{Layout, write};
use crate::swe_chat::{Turn, call, conversations, injected, metadata, prompt, queue, reply, result};
use interrater::corpus::{self, Corpus};
use interrater::session::lines::for_each_record;
use interrater::session::{Channel, ReadReport, Session};
use serde_json::Value;
use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};

/// The rows of a transcript: one a block.
fn turns(id: &str, bytes: &[u8]) -> Vec<Turn> {
    let mut turns = Vec::new();
    let mut known = HashSet::new();
    for_each_record(bytes, &mut ReadReport::default(), &mut |line| {
        let row: Value = serde_json::from_str(line)?;
        let is_copy = row["uuid"].as_str().is_some_and(|uuid| !known.insert(uuid.to_owned()));
        if row["isSidechain"] != true && !is_copy {
            let at = row["timestamp"].as_str().and_then(|at| at.parse().ok());
            turns.extend(of_row(&row).into_iter().map(|turn| Turn { at, ..turn }));
        }
        Ok(())
    });
    crate::swe_chat::session(id, turns)
}

fn of_row(row: &Value) -> Vec<Turn> {
    let content = &row["message"]["content"];
    let blocks = || content.as_array().into_iter().flatten();
    match row["type"].as_str() {
        Some("user") => {
            let results = blocks().filter(|block| block["type"] == "tool_result");
            let mut turns: Vec<Turn> =
                results.map(|block| result(&text(&block["tool_use_id"]), &text(&block["content"]))).collect();
            turns.extend(Some(text(content)).filter(|text| !text.is_empty()).map(|text| match row["isMeta"] == true {
                true => injected(&text),
                false => Turn { is_continuation: row["isCompactSummary"] == true, ..prompt(&text) },
            }));
            turns
        }
        Some("assistant") => blocks()
            .filter_map(|block| match block["type"].as_str()? {
                "text" => {
                    Some(Turn { synthetic: row["message"]["model"] == "<synthetic>", ..reply(&text(&block["text"])) })
                }
                "tool_use" => Some(call(&text(&block["id"]), &text(&block["name"]), &block["input"].to_string())),
                _ => None,
            })
            .collect(),
        Some("queue-operation") => {
            let words = row["content"].as_str();
            let is_notice = |words: &str| words.starts_with("<task-notification") || words.starts_with("{\"task_id\"");
            let operation = match row["operation"].as_str() {
                _ if words.is_some_and(|words| is_notice(words.trim_start())) => "task_notification",
                Some("enqueue") => "user_prompt_enqueued",
                Some("dequeue") => "user_prompt_delivered",
                Some("remove") => "user_prompt_discarded",
                _ => "other",
            };
            vec![queue(operation, words)]
        }
        Some("summary") => vec![metadata("summary", &text(&row["summary"]))],
        Some("system") => vec![metadata("system_event", &text(&row["content"]))],
        Some("progress") => vec![metadata("progress", "")],
        Some("file-history-snapshot") => vec![metadata("file_snapshot", "")],
        _ => Vec::new(),
    }
}

/// A text, or the texts of blocks as the lines of one.
fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(blocks) => blocks.iter().filter_map(|block| block["text"].as_str()).collect::<Vec<_>>().join("\n"),
        _ => String::new(),
    }
}

fn transcripts(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut pending = vec![folder.to_owned()];
    while let Some(path) = pending.pop() {
        if path.is_dir() {
            pending.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        } else if path.extension().is_some_and(|extension| extension == "jsonl") {
            found.push(path);
        }
    }
    found.sort();
    found
}

fn sessions(corpus: &Corpus) -> BTreeMap<String, Session> {
    let read = corpus.sessions().map(|session| session.expect("it can be read"));
    read.map(|session| (session.id.to_string(), session)).collect()
}

fn prompts(session: &Session) -> Vec<(Channel, String)> {
    let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    session.prompts().map(|(_, prompt)| (prompt.channel, words(&prompt.text))).collect()
}

#[test]
fn rows_of_real_transcripts_tell_the_same_sessions_and_their_labels_find_the_prompts() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/sessions/claude");
    if !folder.is_dir() {
        println!("skipped: no transcripts beside this checkout");
        return;
    }
    let corpus = corpus::find(std::slice::from_ref(&folder)).unwrap();
    let raw = sessions(&corpus);
    // A table has one row a session, so sessions of one file each.
    let single: BTreeMap<PathBuf, String> = (corpus.sources().iter())
        .filter(|source| source.places.len() == 1)
        .map(|source| (source.places[0].path.clone(), source.native_id.clone()))
        .collect();
    let mut rows: Vec<Turn> = Vec::new();
    for path in transcripts(&folder) {
        let Some(id) = single.get(&path) else { continue };
        let mut turns = turns(id, &fs::read(&path).unwrap());
        for (at, turn) in turns.iter_mut().filter(|turn| turn.kind == "user_prompt").enumerate() {
            turn.label = Some(format!("row {at}"));
        }
        rows.extend(turns);
    }
    assert!(rows.len() > 1_000, "{}", rows.len());
    let tables = tempfile::tempdir().unwrap();
    write(&tables.path().join("conversations.parquet"), &conversations(&rows), Layout::SNAPPY);
    let told = sessions(&corpus::find(&[tables.path().to_owned()]).unwrap());
    let joined = sessions(&corpus::find(&[tables.path().to_owned(), folder]).unwrap());
    assert_eq!(joined.len(), raw.len(), "no session counts twice");
    assert_eq!(told.len(), single.len());
    for (id, told) in &told {
        let raw = &raw[id];
        assert_eq!(prompts(told), prompts(raw), "{id}");
        let counts = |session: &Session| {
            let summary = session.summary();
            (summary.interruptions, summary.rejected_tools, summary.tool_calls, summary.compactions, summary.commits)
        };
        assert_eq!(counts(told), counts(raw), "{id}");
        // Labelled are the typed prompts and the like; no row has the words of a refusal or of steering as a prompt.
        let labelled = |session: &Session| -> BTreeMap<u32, String> {
            session.labels.iter().map(|label| (label.prompt.expect("it is a prompt's"), label.value.clone())).collect()
        };
        let expected = labelled(told);
        let typed =
            raw.prompts().filter(|(_, prompt)| matches!(prompt.channel, Channel::Typed | Channel::SlashCommand));
        assert!(expected.len() >= typed.count(), "{id}");
        assert_eq!(labelled(&joined[id]), expected, "{id}");
    }
}
