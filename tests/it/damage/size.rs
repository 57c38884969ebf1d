//! Long lines, many lines, deep nesting.

use crate::project::Project;
use crate::story::{self, Form, LAST, Telling};
use interrater::corpus;
use interrater::session::SessionSummary;
use serde_json::Value;
use std::io::Write;
use std::time::{Duration, Instant};

/// How long the long lines are.
const LONG: usize = 100_000_000;

fn named(name: &str) -> Telling {
    story::all().into_iter().find(|telling| telling.name == name).expect("there is such a telling")
}

/// Tells the story with last words of 100 MB, and looks that nothing is missing.
fn with_a_long_line(name: &str) {
    let telling = named(name);
    let file = telling.file().expect("it has one file");
    let bytes = telling.bytes(&telling.records(), telling.between());
    let word = bytes.windows(LAST.len()).rposition(|window| window == LAST.as_bytes()).expect("the words are there");
    let project = Project::empty();
    project.write(file, "");
    let mut long = std::fs::File::create(project.path(file)).expect("a file can be made");
    long.write_all(&bytes[..word]).expect("there is room");
    let block = vec![b'x'; 1_000_000];
    (0..LONG / block.len()).for_each(|_| long.write_all(&block).expect("there is room"));
    long.write_all(&bytes[word..]).expect("there is room");
    drop(long);
    let session: Value = serde_json::from_str(&project.ok(&["sessions", "--json", file]).out).expect("one session");
    assert_eq!(session["id"], telling.id);
    for (key, value) in telling.says.as_object().expect("what is said") {
        assert_eq!(session[key], *value, "{key} of {name}");
    }
    assert_eq!((&session["read"]["repaired"], &session["read"]["bad"]), (&Value::from(0), &Value::from(0)));
}

#[test]
fn a_line_of_100_megabytes_of_claude_code_is_a_line() {
    with_a_long_line("claude_code");
}

#[test]
fn a_line_of_100_megabytes_of_codex_is_a_line() {
    with_a_long_line("codex");
}

#[test]
fn a_line_of_100_megabytes_of_gemini_is_a_line() {
    with_a_long_line("gemini_cli lines");
}

#[test]
fn a_line_of_100_megabytes_of_copilot_is_a_line() {
    with_a_long_line("copilot");
}

#[test]
fn a_line_of_100_megabytes_of_cursor_is_a_line() {
    with_a_long_line("cursor");
}

#[test]
fn a_chat_of_100_megabytes_is_a_chat() {
    with_a_long_line("chat line");
}

/// Puts `suffix` behind every id in a value, and moves its time by as many days.
fn rename(value: &mut Value, suffix: usize) {
    const IDS: [&str; 11] = [
        "uuid",
        "id",
        "tool_use_id",
        "call_id",
        "toolCallId",
        "messageId",
        "requestId",
        "callID",
        "callId",
        "messageID",
        "parentUuid",
    ];
    match value {
        Value::Array(values) => values.iter_mut().for_each(|value| rename(value, suffix)),
        Value::Object(members) => {
            for (key, value) in members {
                match value {
                    Value::String(id) if IDS.contains(&key.as_str()) => id.push_str(&format!("-{suffix}")),
                    Value::String(time) if key == "timestamp" => {
                        let day =
                            format!("{:04}-{:02}-{:02}", 2026 + suffix / 336, 1 + suffix / 28 % 12, 1 + suffix % 28);
                        time.replace_range(..day.len(), &day);
                    }
                    value => rename(value, suffix),
                }
            }
        }
        _ => {}
    }
}

/// The story told so often in one session: its rows, but for those that say what session it is.
fn told_often(telling: &Telling, often: usize) -> Vec<Vec<u8>> {
    let records = telling.records();
    let facts = usize::from(matches!(telling.name, "codex" | "gemini_cli lines" | "copilot"));
    let again = (0..often).flat_map(|time| {
        records[facts..].iter().map(move |record| {
            let mut value = serde_json::from_slice(record).expect("a record is JSON");
            rename(&mut value, time);
            value.to_string().into_bytes()
        })
    });
    records[..facts].iter().cloned().chain(again).collect()
}

#[test]
fn time_grows_with_the_length_of_a_session_and_not_faster() {
    const MANY: usize = 30;
    for telling in story::all() {
        if matches!(telling.form, Form::Text(..) | Form::Storage(_) | Form::Database(..)) {
            continue;
        }
        let read = |often: usize| -> (SessionSummary, Duration) {
            let project = Project::empty();
            telling.write(&project, "x", &told_often(&telling, often));
            let begun = Instant::now();
            let corpus = corpus::find(&[project.path("x")]).expect("there is a session");
            let session = corpus::read(&corpus.sources()[0]).expect("it can be read");
            (session.summary(), begun.elapsed())
        };
        // Of several tries the fastest is the least disturbed.
        let fastest = |often| (0..2).map(|_| read(often)).min_by_key(|(_, time)| *time).expect("it was read");
        let (once, little) = fastest(MANY);
        let (session, much) = fastest(8 * MANY);
        assert_eq!(session.prompts, once.prompts * 8, "{}", telling.name);
        assert_eq!(session.tool_calls, once.tool_calls * 8, "{}", telling.name);
        assert!(much < 24 * little + Duration::from_millis(50), "{}: {much:?} after {little:?}", telling.name);
    }
}

#[test]
fn json_that_is_nested_without_end_is_damage_and_no_crash() {
    const DEEP: usize = 100_000;
    let project = Project::empty();
    for telling in story::all() {
        let mut records = telling.records();
        let last = super::last_words(&records);
        for open in ["[", "{\"a\":"] {
            let close = if open == "[" { "]" } else { "}" };
            for closes in [DEEP, 0] {
                let deep = format!("{}1{}", open.repeat(DEEP), close.repeat(closes));
                let mut nested = records.clone();
                let at = nested[last].iter().position(|byte| *byte == b':').unwrap_or(0) + 1;
                nested[last].splice(at..at, deep.bytes());
                let place = format!("{}{closes}{}", telling.name.replace(' ', "-"), open.len());
                telling.write(&project, &place, &nested);
            }
        }
        records.clear();
    }
    let ran = project.ok(&["sessions", "--json", "."]);
    let read = |session: &Value| session["read"]["bad"].as_u64().expect("a count");
    let sessions: Vec<Value> = ran.out.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert!(sessions.iter().map(read).sum::<u64>() > 10, "{}", ran.err);
    for telling in story::all() {
        assert!(sessions.iter().any(|session| session["id"] == telling.id), "{} is lost", telling.name);
    }
}
