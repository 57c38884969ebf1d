//! Odd things where transcripts should be, and odd things in them: pipes, names, depths, numbers, times, ids, files that change.

use crate::project::{Project, claude, codex};
use crate::story::{self, Form, LAST, Telling};
use interrater::corpus;
use serde_json::{Value, json};
use std::fs;
use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};

fn sessions(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))).collect()
}

#[cfg(unix)]
#[test]
fn what_is_no_regular_file_is_not_opened_but_told_of() {
    let project = Project::empty();
    project.write("logs/a.jsonl", codex("a", &["go"]));
    let pipe = project.path("logs/pipe.jsonl");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status().expect("there is a mkfifo command");
    assert!(made.success());
    let _socket =
        std::os::unix::net::UnixListener::bind(project.path("logs/socket.jsonl")).expect("a socket can be made");
    fs::create_dir(project.path("logs/folder.jsonl")).expect("a folder can be made");
    let ran = project.ok(&["sessions", "logs", "--json"]);
    assert_eq!(sessions(&ran.out).len(), 1);
    for name in ["pipe", "socket"] {
        let line = format!("skipped logs/{name}.jsonl: cannot be read: not a regular file");
        assert!(ran.err.contains(&line), "{}", ran.err);
    }
    let named = project.refused(&["sessions", "logs/pipe.jsonl"]);
    assert!(named.contains("cannot read logs/pipe.jsonl: not a regular file"), "{named}");
    let folder = project.refused(&["sessions", "logs/folder.jsonl"]);
    assert!(folder.contains("no transcript in logs/folder.jsonl: no files"), "{folder}");
    let device = project.refused(&["sessions", "/dev/zero"]);
    assert!(device.contains("cannot read /dev/zero: not a regular file"), "{device}");
}

#[cfg(unix)]
#[test]
fn names_that_are_no_text_or_would_steer_a_terminal_are_names() {
    use std::os::unix::ffi::OsStrExt;
    let project = Project::empty();
    fs::create_dir(project.path("logs")).expect("a folder can be made");
    for (number, name) in
        [&b"a\nb.jsonl"[..], b"\xFF\xFE.jsonl", b"\x1b[31mred.jsonl", b"'\"$(x) `;.jsonl"].iter().enumerate()
    {
        let path = project.path("logs").join(std::ffi::OsStr::from_bytes(name));
        fs::write(path, codex(&format!("s{number}"), &["go"])).expect("a file can be written");
    }
    fs::write(project.path("logs").join("no\n\x1b[2Jtranscript.jsonl"), "{}").expect("a file can be written");
    let ran = project.ok(&["sessions", "logs", "--json"]);
    assert_eq!(sessions(&ran.out).len(), 4);
    assert!(
        ran.err.contains("\nskipped logs/no\u{FFFD}\u{FFFD}[2Jtranscript.jsonl: not a transcript\n"),
        "{:?}",
        ran.err
    );
    let table = project.ok(&["sessions", "logs"]).out;
    let listed = table.lines().skip(1).take_while(|line| !line.is_empty()).count();
    assert_eq!((listed, table.contains('\u{1b}')), (4, false));
    project.ok(&["init"]);
    let ran = project.ok(&["annotate", "pushback", "--sessions", "logs", "--json"]);
    assert_eq!(serde_json::from_str::<Value>(&ran.out).expect("one document")["tasks"][0]["totals"]["units"], 4);
}

#[test]
fn thousands_of_small_files_in_deep_folders_are_found() {
    let project = Project::empty();
    let mut folder = String::from("logs");
    for number in 0..2000 {
        if number % 10 == 0 {
            folder.push_str("/deeper");
        }
        project.write(&format!("{folder}/{number}.jsonl"), codex(&format!("s{number}"), &["go"]));
    }
    let ran = project.ok(&["sessions", "logs", "--json"]);
    assert_eq!(sessions(&ran.out).len(), 2000);
    assert!(ran.err.starts_with("2000 sessions (codex 2000), 2000 prompts"), "{}", ran.err);
}

#[test]
fn a_file_that_grows_while_it_is_read_is_read_up_to_somewhere() {
    let project = Project::empty();
    project.write("a.jsonl", claude("grows", &["one", "two"]));
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let path = project.path("a.jsonl");
            let mut file = fs::OpenOptions::new().append(true).open(path).expect("the file is there");
            for number in 3.. {
                let row = crate::project::claude_prompt("grows", number, "more");
                // In two halves, so that a reader may come between them.
                let (half, rest) = row.split_at(row.len() / 2);
                file.write_all(half.as_bytes()).and_then(|()| writeln!(file, "{rest}")).expect("there is room");
                if done.load(Ordering::Relaxed) || number > 200_000 {
                    break;
                }
            }
        });
        for _ in 0..3 {
            let ran = project.run(&["sessions", "a.jsonl", "--json"]);
            let found = sessions(&ran.out);
            let read = &found[0]["read"];
            assert_eq!((ran.code, found.len()), (0, 1), "{}", ran.err);
            assert!(found[0]["prompts"].as_u64() >= Some(2) && read["bad"].as_u64() <= Some(1), "{read}");
        }
        done.store(true, Ordering::Relaxed);
    });
}

#[test]
fn a_file_that_is_replaced_between_finding_and_reading_is_what_it_is_then() {
    let project = Project::empty();
    for telling in story::all() {
        let Some(file) = telling.file() else { continue };
        for other in
            [&b""[..], b"\0\0\0", b"nothing of the kind", b"{\"messages\":[", codex("other", &["go"]).as_bytes()]
        {
            telling.write(&project, "x", &telling.records());
            let corpus = corpus::find(&[project.path("x")]).expect("there is a session");
            project.write(&format!("x/{file}"), other);
            let session = corpus::read(&corpus.sources()[0]).expect("the file is there");
            assert_eq!(session.id.as_str(), telling.id);
            assert!(session.prompts().count() <= 1, "{}: the words are gone", telling.name);
        }
        fs::remove_dir_all(project.path("x")).expect("the folder is there");
    }
}

/// Changes every member of these names.
fn set(value: &mut Value, keys: &[&str], new: &Value) {
    match value {
        Value::Array(values) => values.iter_mut().for_each(|value| set(value, keys, new)),
        Value::Object(members) => {
            for (key, value) in members {
                match keys.contains(&key.as_str()) && !value.is_object() && !value.is_array() {
                    true => value.clone_from(new),
                    false => set(value, keys, new),
                }
            }
        }
        _ => {}
    }
}

/// The story of everyone with these members changed, read in one go.
fn told_with(keys: &[&str], new: &Value) -> Vec<(Telling, Value)> {
    told_by(story::all(), keys, new)
}

fn told_by(tellings: Vec<Telling>, keys: &[&str], new: &Value) -> Vec<(Telling, Value)> {
    let project = Project::empty();
    let mut told = Vec::new();
    for telling in tellings {
        if matches!(telling.form, Form::Text(..)) {
            continue;
        }
        let records = telling.records().into_iter().map(|record| {
            let mut value = serde_json::from_slice(&record).expect("a record is JSON");
            set(&mut value, keys, new);
            value.to_string().into_bytes()
        });
        telling.write(&project, &telling.name.replace(' ', "-"), &records.collect::<Vec<_>>());
        told.push(telling);
    }
    let ran = project.ok(&["sessions", ".", "--json"]);
    let found = sessions(&ran.out);
    let session_of = |telling: &Telling| {
        let place = format!("./{}/", telling.name.replace(' ', "-"));
        let is_its = |session: &&Value| session["path"].as_str().is_some_and(|path| path.starts_with(&place));
        found
            .iter()
            .find(is_its)
            .cloned()
            .unwrap_or_else(|| panic!("{} is lost with {keys:?} {new}: {}", telling.name, ran.err))
    };
    told.into_iter()
        .map(|telling| (session_of(&telling), telling))
        .map(|(session, telling)| (telling, session))
        .collect()
}

const TOKENS: [&str; 22] = [
    "input_tokens",
    "output_tokens",
    "cache_read_input_tokens",
    "cache_creation_input_tokens",
    "cached_input_tokens",
    "reasoning_output_tokens",
    "reasoning_tokens",
    "input",
    "output",
    "cached",
    "thoughts",
    "tool",
    "total",
    "reasoning",
    "read",
    "write",
    "inputTokens",
    "outputTokens",
    "cacheReadTokens",
    "cacheWriteTokens",
    "reasoningTokens",
    "total_tokens",
];

#[test]
fn token_counts_of_any_size_are_added_up_without_an_overflow() {
    for (new, largest) in [
        (json!(u64::MAX), u64::MAX),
        (json!(1e308), u64::MAX),
        (json!("18446744073709551615"), u64::MAX),
        (json!(i64::MIN), 0),
        (json!(-1e308), 0),
        (json!(1e-300), 0),
    ] {
        // A tool's output is no count.
        let keys: Vec<&str> =
            TOKENS.into_iter().filter(|key| new.is_number() || !matches!(*key, "tool" | "output")).collect();
        for (telling, session) in told_with(&keys, &new) {
            let usage = &session["usage"];
            for kind in ["input", "cached_input", "cache_write", "output", "reasoning"] {
                let count = usage[kind].as_u64().expect("a count");
                assert!(count <= largest, "{kind} of {} with {new}: {usage}", telling.name);
            }
            // Everyone who counts at all says that it was as much as can be said.
            let counts = telling.says["usage"]["output"] != 0;
            if counts && largest > 0 && new.is_number() {
                assert_eq!(usage["output"], largest, "{} with {new}", telling.name);
            }
            assert_eq!(session["prompts"], telling.says["prompts"], "{} with {new}", telling.name);
        }
    }
}

#[test]
fn times_that_are_none_cost_nothing_but_the_times() {
    const TIMES: [&str; 8] =
        ["timestamp", "startTime", "created", "completed", "start", "end", "updated", "lastUpdated"];
    for new in [
        json!("10000-01-01T00:00:00Z"),
        json!("-009999-01-02T01:59:59Z"),
        json!("0000-00-00T00:00:00Z"),
        json!("9999-12-30T22:00:00Z"),
        json!("yesterday"),
        json!(""),
        json!(0),
        json!(-1),
        json!(u64::MAX),
        json!(1e308),
        json!(253_402_300_800_000_u64),
    ] {
        for (telling, session) in told_with(&TIMES, &new) {
            for key in ["prompts", "interruptions", "rejected_tools", "tool_calls", "failed_tool_calls", "compactions"]
            {
                assert_eq!(session[key], telling.says[key], "{key} of {} at {new}", telling.name);
            }
            let seconds = |key: &str| session[key].as_f64().expect("seconds");
            assert!(
                seconds("wall_seconds") >= 0.0 && seconds("active_seconds") <= seconds("wall_seconds"),
                "{session}"
            );
        }
    }
    // Documents say elsewhere, too, when they begin.
    let others = story::all().into_iter().filter(|telling| matches!(telling.form, Form::Lines(..))).collect();
    for (telling, session) in told_by(others, &TIMES, &Value::Null) {
        assert_eq!(session["started"], Value::Null, "{}", telling.name);
    }
}

#[test]
fn sessions_with_any_id_can_be_listed_shown_and_annotated() {
    let ids = [
        "a#1",
        "../../etc/passwd",
        "a\"b,c",
        "a\nb",
        "'; DROP TABLE response; --",
        "",
        " ",
        "é\u{202e}x",
        "%s",
        &"long".repeat(500),
    ];
    let project = Project::empty();
    project.ok(&["init"]);
    for (number, id) in ids.iter().enumerate() {
        project.write(&format!("logs/{number}.jsonl"), codex(id, &["go", "stop that now"]));
    }
    let found = sessions(&project.ok(&["sessions", "logs", "--json"]).out);
    assert_eq!(found.len(), ids.len());
    let mut shown: Vec<&str> = found.iter().map(|session| session["id"].as_str().expect("an id")).collect();
    for id in &shown {
        assert!(id.len() < 300 && !id.contains(['\n', '#']), "{id}");
        let material = project.json(&["sessions", "logs", "--show", &format!("{id}#2"), "--task", "pushback"]);
        assert_eq!(material["unit"], format!("{id}#2"));
    }
    shown.sort_unstable();
    shown.dedup();
    assert_eq!(shown.len(), ids.len(), "no two sessions have one id");
    project.ok(&["annotate", "pushback", "--sessions", "logs", "--run", "odd"]);
    let rows = project.rows("runs/odd/annotations.jsonl");
    assert_eq!(rows.len(), 2 * ids.len());
    assert!(rows.iter().all(|row| row["status"] == "ok"));
    let table = project.read("runs/odd/annotations.csv");
    let table: Vec<csv::StringRecord> =
        csv::Reader::from_reader(table.as_bytes()).records().collect::<Result<_, _>>().expect("a table");
    let units: Vec<&str> = rows.iter().filter_map(|row| row["unit"].as_str()).collect();
    assert_eq!(table.iter().map(|row| &row[0]).collect::<Vec<_>>(), units);
}

#[test]
fn a_damaged_database_is_told_of_and_costs_no_other_session() {
    let project = Project::empty();
    let telling = story::all().into_iter().find(|telling| telling.name == "opencode database").expect("there is one");
    telling.write(&project, "logs", &telling.records());
    project.write("logs/other.jsonl", codex("other", &["go"]));
    let whole = fs::read(project.path("logs/opencode.db")).expect("the database is there");
    let mut seen = (0, 0);
    for (at, length) in [(0, 100), (16, 84), (100, 400), (1000, 3000), (4096, 8192), (whole.len() / 2, whole.len() / 2)]
    {
        let mut bytes = whole.clone();
        let end = (at + length).min(bytes.len());
        bytes[at..end].iter_mut().for_each(|byte| *byte ^= 0x5A);
        project.write("logs/opencode.db", &bytes);
        let ran = project.ok(&["sessions", "logs", "--json"]);
        let found = sessions(&ran.out);
        assert!(found.iter().any(|session| session["id"] == "codex:other"), "{}", ran.err);
        let is_found = found.iter().any(|session| session["id"] == telling.id);
        let is_told = ran.err.contains("skipped logs/opencode.db: cannot be read");
        // Without its first bytes it is a file like any other.
        assert!(is_found || is_told || at == 0, "damaged at {at}: {}", ran.err);
        seen = (seen.0 + usize::from(is_found), seen.1 + usize::from(is_told));
    }
    for length in [50, 512, 4096, whole.len() / 2, whole.len() - 1] {
        project.write("logs/opencode.db", &whole[..length]);
        let ran = project.ok(&["sessions", "logs", "--json"]);
        let is_found = sessions(&ran.out).iter().any(|session| session["id"] == telling.id);
        let is_told = ran.err.contains("skipped logs/opencode.db: cannot be read");
        assert!(is_found || is_told, "cut at {length}: {}", ran.err);
        seen = (seen.0 + usize::from(is_found), seen.1 + usize::from(is_told));
    }
    assert!(seen.1 > 0, "{seen:?}");
    project.write("logs/opencode.db", &whole[..512]);
    let alone = project.refused(&["sessions", "logs/opencode.db"]);
    assert!(alone.starts_with("error: cannot read "), "{alone}");
}

#[test]
fn last_words_that_steer_a_terminal_do_not_when_they_are_shown() {
    let project = Project::empty();
    project.ok(&["init"]);
    let words = format!("{LAST} \u{1b}]0;owned\u{7}\u{1b}[2J\0");
    project.write("logs/a.jsonl", codex("a", &[words]));
    let shown = project.ok(&["sessions", "logs", "--show", "codex:a#1", "--task", "pushback"]).out;
    assert!(shown.contains(LAST) && !shown.contains(['\u{1b}', '\u{7}', '\0']), "{shown:?}");
}
