//! Folders of invented transcripts.

use super::*;
use serde_json::json;
use std::fs;
use tempfile::TempDir;

/// A rollout of the thread `id` with `prompts` prompts.
fn rollout(id: &str, prompts: usize) -> String {
    let meta = json!({ "timestamp": "2026-05-01T10:00:00Z", "type": "session_meta", "payload": { "id": id } });
    let prompt = json!({ "timestamp": "2026-05-01T10:00:01Z", "type": "event_msg",
                         "payload": { "type": "user_message", "message": "go" } });
    format!("{meta}\n{}", format!("{prompt}\n").repeat(prompts))
}

fn subagent(id: &str, parent: &str) -> String {
    let spawned = json!({ "subagent": { "thread_spawn": { "parent_thread_id": parent } } });
    let meta = json!({ "timestamp": "2026-05-01T10:00:00Z", "type": "session_meta", "payload": { "id": id, "source": spawned } });
    format!("{meta}\n")
}

fn folder(files: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    for (name, text) in files {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().expect("a file is in a folder")).expect("a folder can be made");
        fs::write(path, text).expect("a file can be written");
    }
    folder
}

fn find_in(folder: &TempDir, paths: &[&str]) -> Result<Corpus, CorpusError> {
    find(&paths.iter().map(|path| folder.path().join(path)).collect::<Vec<_>>())
}

fn ids(corpus: &Corpus) -> Vec<&str> {
    corpus.sources().iter().map(|source| source.id.as_str()).collect()
}

fn message(result: Result<Corpus, CorpusError>, folder: &TempDir) -> String {
    let error = result.expect_err("there is nothing to find").to_string();
    error.replace(&folder.path().display().to_string(), "F")
}

#[test]
fn sessions_come_in_the_order_of_their_paths_whatever_order_they_are_asked_in() {
    let folder = folder(&[
        ("b/2.jsonl", &rollout("x", 1)),
        ("b/1.jsonl", &rollout("z", 1)),
        (".hidden/a.jsonl", &rollout("y", 1)),
        ("b/.gitignore", "*"),
    ]);
    for paths in [&["."][..], &["b", ".hidden"], &["b/2.jsonl", "b/1.jsonl", ".hidden"]] {
        let corpus = find_in(&folder, paths).expect("there are transcripts");
        assert_eq!(ids(&corpus), ["codex:y", "codex:z", "codex:x"]);
    }
}

#[test]
fn copies_and_subagents_are_one_session() {
    let folder = folder(&[
        ("1/full.jsonl", &rollout("main", 1)),
        ("2/full.jsonl", &rollout("main", 3)),
        ("sub/a.jsonl", &subagent("child", "main")),
        ("sub/b.jsonl", &subagent("grandchild", "child")),
        ("sub/c.jsonl", &subagent("orphan", "elsewhere")),
        ("sub/d.jsonl", &subagent("p", "q")),
        ("sub/e.jsonl", &subagent("q", "p")),
    ]);
    let corpus = find_in(&folder, &["."]).expect("there are transcripts");
    let (main, others) = corpus.sources().split_first().expect("there is a session");
    assert_eq!((main.id.as_str(), main.places.len()), ("codex:main", 4));
    assert!(others.iter().any(|source| source.id.as_str() == "codex:orphan"));
    let files: usize = corpus.sources().iter().map(|source| source.places.len()).sum();
    assert_eq!(files, 7, "threads that name each other as parents are not lost");
    let session = read(main).expect("the files can be read").summary();
    assert_eq!((session.prompts, session.subagent_events), (3, 2));
}

#[test]
fn a_file_that_is_named_twice_counts_once() {
    let folder = folder(&[("a/s.jsonl", &rollout("s", 2)), ("a/sub.jsonl", &subagent("t", "s"))]);
    let corpus = find_in(&folder, &["a", "a/sub.jsonl", "a/../a", "a/*.jsonl"]).expect("there are transcripts");
    assert_eq!(corpus.sources().iter().map(|source| source.places.len()).collect::<Vec<_>>(), [2]);
}

#[test]
fn what_is_left_aside_is_listed_if_it_looks_like_data() {
    let folder = folder(&[
        ("s.jsonl", &rollout("s", 1)),
        ("other.jsonl", "{\"a\":1}\n"),
        ("settings.json", "{}"),
        ("empty.jsonl", ""),
        ("notes.md", "# notes"),
        ("no-extension", &rollout("by content", 1)),
        (".git/objects/x.jsonl", &rollout("not looked for", 1)),
    ]);
    let corpus = find_in(&folder, &["."]).expect("there are transcripts");
    assert_eq!(ids(&corpus), ["codex:by content", "codex:s"]);
    let skipped: Vec<String> = corpus
        .skipped()
        .iter()
        .map(|skipped| format!("{}: {}", skipped.path.file_name().unwrap_or_default().display(), skipped.reason))
        .collect();
    assert_eq!(skipped, ["empty.jsonl: empty", "other.jsonl: not a transcript", "settings.json: not a transcript"]);
    assert_eq!(corpus.other_files(), 1);
}

#[test]
fn odd_ids_are_ids_of_their_own_and_no_ids_of_units() {
    let long = "x".repeat(100_000);
    let odd = ["a", "a#1", "a_1", "../a", "a\"b,c", "a\nb", "a\u{1b}[31m", "é/x", long.as_str()];
    let texts: Vec<(String, String)> =
        odd.iter().enumerate().map(|(at, id)| (format!("{at}.jsonl"), rollout(id, 1))).collect();
    let texts: Vec<(&str, &str)> = texts.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
    let folder = folder(&texts);
    let corpus = find_in(&folder, &["."]).expect("there are transcripts");
    let hashed = |id: &str, native: &str| format!("codex:{id}@{}", &blake3::hash(native.as_bytes()).to_hex()[..8]);
    let expected = [
        String::from("codex:a"),
        String::from("codex:a_1"),
        hashed("a_1", "a_1"),
        String::from("codex:../a"),
        String::from("codex:a\"b,c"),
        String::from("codex:a_b"),
        String::from("codex:a_[31m"),
        String::from("codex:é/x"),
        hashed(&long[..256], &long),
    ];
    assert_eq!(ids(&corpus), expected);
    for (source, session) in corpus.sources().iter().zip(corpus.sessions()) {
        let session = session.expect("the file can be read");
        assert_eq!(session.id, source.id);
        assert_eq!(session.prompts().count(), 1);
        assert_eq!(SessionId::of_unit(session.id.as_str()), session.id, "a session's unit is the session's");
    }
}

#[test]
fn patterns_match_as_in_a_shell() {
    let files = ["2026/05/a.jsonl", "2026/06/b.jsonl", "2027/05/c.jsonl", "2026/d.jsonl", "2026/x[1].jsonl"];
    let texts: Vec<String> = files.iter().map(|name| rollout(name, 1)).collect();
    let files: Vec<(&str, &str)> = files.iter().zip(&texts).map(|(name, text)| (*name, text.as_str())).collect();
    let folder = folder(&files);
    let cases: [(&str, &[&str]); 7] = [
        ("2026/*.jsonl", &["2026/d.jsonl", "2026/x[1].jsonl"]),
        ("2026/*/*.jsonl", &["2026/05/a.jsonl", "2026/06/b.jsonl"]),
        ("*/05", &["2026/05/a.jsonl", "2027/05/c.jsonl"]),
        ("**/[bc].jsonl", &["2026/06/b.jsonl", "2027/05/c.jsonl"]),
        ("202?/0{5,7}/*", &["2026/05/a.jsonl", "2027/05/c.jsonl"]),
        ("2026/x[1].jsonl", &["2026/x[1].jsonl"]),
        ("2026/0[6]", &["2026/06/b.jsonl"]),
    ];
    for (pattern, expected) in cases {
        let corpus = find_in(&folder, &[pattern]).expect(pattern);
        let found: Vec<&str> = corpus.sources().iter().map(|source| source.native_id.as_str()).collect();
        assert_eq!(found, expected, "{pattern}");
    }
}

#[test]
fn what_is_asked_for_and_not_there_is_an_error() {
    let folder = folder(&[
        ("docs/a.md", ""),
        ("docs/b.md", ""),
        ("docs/c.json", "{}"),
        ("docs/LICENSE", ""),
        ("none/deep/.keep", ""),
        ("notes.jsonl", "{}"),
        ("empty.jsonl", ""),
        ("s.jsonl", &rollout("s", 1)),
    ]);
    fs::remove_file(folder.path().join("none/deep/.keep")).expect("the file is there");
    let cases = [
        ("nowhere", "no such file or folder: F/nowhere"),
        ("nowhere/*.jsonl", "nothing matches F/nowhere/*.jsonl"),
        ("*.csv", "nothing matches F/*.csv"),
        ("{a", "cannot understand the pattern F/{a: "),
        ("docs", "no transcript in F/docs: 4 other files (2 .md, 1 without extension, 1 .json)"),
        ("docs/*.md", "no transcript in F/docs/*.md: 2 other files (2 .md)"),
        ("none", "no transcript in F/none: no files"),
        ("notes.jsonl", "not a transcript of a known agent: F/notes.jsonl"),
        ("empty.jsonl", "empty file: F/empty.jsonl"),
    ];
    for (path, expected) in cases {
        let message = message(find_in(&folder, &["s.jsonl", path]), &folder);
        assert!(message.starts_with(expected), "{path}: {message}");
    }
}

/// A chat of one prompt, as a line.
fn chat(words: &str) -> String {
    json!({ "messages": [{ "role": "user", "content": words }] }).to_string()
}

#[test]
fn each_chat_of_a_file_is_a_session_that_is_read_alone() {
    let lines = [chat("one"), String::from("{\"a\":1}"), chat("two"), chat("three")].join("\n");
    let folder = folder(&[("many.jsonl", &lines), ("s.jsonl", &rollout("s", 1))]);
    let corpus = find_in(&folder, &["."]).expect("there are transcripts");
    assert_eq!(ids(&corpus), ["chat:many:1", "chat:many:3", "chat:many:4", "codex:s"]);
    let words = corpus.read_all(|session| session.prompts().map(|(_, prompt)| prompt.text.clone()).collect::<String>());
    let words: Vec<String> = words.into_iter().filter_map(Result::ok).collect();
    assert_eq!(words, ["one", "two", "three", "go"]);
    let skipped: Vec<String> = corpus.skipped().iter().map(|skipped| skipped.reason.to_string()).collect();
    assert_eq!(skipped, ["used but for 1 line that is no conversation"]);
}

#[test]
fn chats_of_one_name_are_told_apart_and_copies_are_not() {
    let (one, two) = (chat("one"), chat("two"));
    let folder = folder(&[("a/messages.json", &one), ("b/messages.json", &two), ("c/messages.json", &one)]);
    let corpus = find_in(&folder, &["."]).expect("there are transcripts");
    let other = format!("chat:messages@{}", &blake3::hash(two.as_bytes()).to_hex()[..8]);
    assert_eq!(ids(&corpus), ["chat:messages", other.as_str()]);
}

#[cfg(unix)]
#[test]
fn links_are_followed_where_they_are_named_and_not_where_they_lie_about() {
    let folder = folder(&[("real/s.jsonl", &rollout("s", 1)), ("named/t.jsonl", &rollout("t", 1))]);
    let link = |from: &str, to: &str| {
        std::os::unix::fs::symlink(folder.path().join(from), folder.path().join(to)).expect("a link can be made");
    };
    link("real/s.jsonl", "named/link.jsonl");
    link("named", "way");
    let corpus = find_in(&folder, &["named"]).expect("there are transcripts");
    assert_eq!((ids(&corpus), corpus.skipped().len()), (vec!["codex:t"], 1));
    assert_eq!(ids(&find_in(&folder, &["named/link.jsonl"]).expect("the link leads somewhere")), ["codex:s"]);
    assert_eq!(ids(&find_in(&folder, &["way"]).expect("the link leads somewhere")), ["codex:t"]);
}

#[test]
fn a_file_that_is_gone_when_it_is_read_is_an_error_of_that_session_alone() {
    let folder = folder(&[("a.jsonl", &rollout("a", 1)), ("b.jsonl", &rollout("b", 2)), ("c.jsonl", &rollout("c", 3))]);
    let corpus = find_in(&folder, &["."]).expect("there are transcripts");
    fs::remove_file(folder.path().join("b.jsonl")).expect("the file is there");
    let prompts: Vec<Option<usize>> =
        corpus.read_all(|session| session.prompts().count()).into_iter().map(Result::ok).collect();
    assert_eq!(prompts, [Some(1), None, Some(3)]);
    assert_eq!(corpus.sessions().filter_map(Result::ok).map(|session| session.prompts().count()).sum::<usize>(), 4);
    let mut corpus = corpus;
    assert_eq!(corpus.survey(|session| session.prompts().count()).expect("some can be read"), [1, 3]);
    assert_eq!(ids(&corpus), ["codex:a", "codex:c"]);
    assert!(
        matches!(corpus.skipped(), [Skipped { reason: SkipReason::Unreadable(_), path }] if path.ends_with("b.jsonl"))
    );
    for name in ["a.jsonl", "c.jsonl"] {
        fs::remove_file(folder.path().join(name)).expect("the file is there");
    }
    assert!(corpus.survey(|_| ()).is_err(), "where nothing can be read that is the answer");
}
