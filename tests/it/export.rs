//! `sessions export`: what the tables hold, where they go, and what never happens to a file.

use crate::project::{Project, claude_prompt, codex, shipped};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

fn sample() -> String {
    shipped("gold/sessions").display().to_string()
}

fn keys(row: &Value) -> Vec<String> {
    row.as_object().expect("a row is an object").keys().cloned().collect()
}

/// The columns that the documentation has for a table: name, type, whether there are nulls.
fn documented(table: &str) -> Vec<(String, String, bool)> {
    let text = fs::read_to_string(shipped("docs/export.md")).unwrap();
    let section = text.split(&format!("\n## {table}\n")).nth(1).expect("each table has a section");
    let rows = section.lines().skip_while(|line| !line.starts_with("| `")).take_while(|line| line.starts_with('|'));
    rows.map(|row| {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        (cells[1].trim_matches('`').to_owned(), cells[2].to_owned(), cells[3] != "never")
    })
    .collect()
}

#[test]
fn the_documented_columns_are_those_of_every_row() {
    let project = Project::empty();
    project.ok(&["sessions", "export", &sample(), "-o", "tables/", "--no-redact"]);
    for table in ["sessions", "events"] {
        let documented = documented(table);
        let names: Vec<&String> = documented.iter().map(|(name, _, _)| name).collect();
        for row in project.rows(&format!("tables/{table}.jsonl")) {
            assert_eq!(keys(&row).iter().collect::<Vec<_>>(), names, "{table}");
            for (name, kind, nullable) in &documented {
                let fits = match (kind.as_str(), &row[name]) {
                    (_, Value::Null) => *nullable,
                    ("string", value) => value.is_string(),
                    ("list<string>", value) => value.as_array().is_some_and(|list| list.iter().all(Value::is_string)),
                    ("int64", value) => value.is_i64(),
                    ("double", value) => value.is_f64(),
                    ("boolean", value) => value.is_boolean(),
                    ("timestamp", value) => value.as_str().is_some_and(|at| at.parse::<jiff::Timestamp>().is_ok()),
                    (kind, _) => panic!("{kind} is no type"),
                };
                assert!(fits, "{table}.{name} is {}", row[name]);
            }
        }
    }
}

#[test]
fn a_row_of_the_sessions_is_a_line_of_the_listing() {
    let project = Project::empty();
    project.ok(&["sessions", "export", &sample(), "-o", "sessions.jsonl", "--no-redact"]);
    let rows = project.rows("sessions.jsonl");
    let listed: Vec<Value> = project
        .ok(&["sessions", &sample(), "--json"])
        .out
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(rows.len(), listed.len());
    for (row, mut line) in rows.into_iter().zip(listed) {
        let line = line.as_object_mut().unwrap();
        let mut flat = serde_json::Map::new();
        for (key, value) in std::mem::take(line) {
            match (key.as_str(), value) {
                ("usage" | "read", Value::Object(inner)) => {
                    flat.extend(inner.into_iter().map(|(name, value)| (format!("{key}_{name}"), value)));
                }
                (_, value) => drop(flat.insert(key, value)),
            }
        }
        let unknown: u64 =
            flat["read_unknown"].as_object().unwrap().values().map(|count| count.as_u64().unwrap()).sum();
        flat["read_unknown"] = json!(unknown);
        let checkpoints: Vec<Value> =
            flat["checkpoints"].as_array().unwrap().iter().map(|checkpoint| checkpoint["id"].clone()).collect();
        flat["checkpoints"] = json!(checkpoints);
        flat.insert("redacted".to_owned(), json!(false));
        assert_eq!(row, Value::Object(flat));
    }
}

#[test]
fn the_events_are_what_the_sessions_count() {
    let project = Project::empty();
    project.ok(&["sessions", "export", &sample(), "-o", "tables/", "--no-redact"]);
    let (sessions, events) = (project.rows("tables/sessions.jsonl"), project.rows("tables/events.jsonl"));
    let mut by_session: BTreeMap<&str, Vec<&Value>> = BTreeMap::new();
    for event in &events {
        by_session.entry(event["session"].as_str().unwrap()).or_default().push(event);
    }
    for session in &sessions {
        let id = session["id"].as_str().unwrap();
        let events = &by_session[id];
        let count = |column: &str, value: &str| json!(events.iter().filter(|event| event[column] == value).count());
        assert_eq!(session["events"], json!(events.len()), "{id}");
        for (column, value, total) in [
            ("kind", "prompt", "prompts"),
            ("kind", "interruption", "interruptions"),
            ("kind", "tool_call", "tool_calls"),
            ("kind", "compaction", "compactions"),
            ("kind", "commit", "commits"),
            ("outcome", "failed", "failed_tool_calls"),
            ("outcome", "rejected", "rejected_tools"),
        ] {
            assert_eq!(session[total], count(column, value), "{id} {total}");
        }
        let (mut prompts, mut results) = (0, 0);
        for (at, event) in events.iter().enumerate() {
            assert_eq!(event["number"], json!(at + 1), "{id}");
            if event["kind"] == "prompt" {
                prompts += 1;
                assert_eq!((&event["ordinal"], &event["unit"]), (&json!(prompts), &json!(format!("{id}#{prompts}"))));
            }
            if let Some(call) = event["call"].as_u64() {
                results += 1;
                let call = events[call as usize - 1];
                assert_eq!((&call["kind"], &call["tool"]), (&json!("tool_call"), &event["tool"]), "{id}");
            }
        }
        assert!(results > 0, "{id}");
    }
    // In the order of the listing, and session after session.
    let mut order: Vec<&Value> = events.iter().map(|event| &event["session"]).collect();
    order.dedup();
    assert_eq!(order, sessions.iter().map(|session| &session["id"]).collect::<Vec<_>>());
}

#[test]
fn the_same_sessions_are_the_same_bytes_on_any_number_of_threads() {
    let project = Project::empty();
    project.ok(&["init"]);
    let export = |threads: &str| {
        let args = ["sessions", "export", "gold/sessions/codex", "-o", "gold/sessions/codex/tables"];
        let ran = project.run_with(&args, &[("RAYON_NUM_THREADS", threads)]);
        assert_eq!(ran.code, 0, "{}", ran.err);
        project.files("gold/sessions/codex/tables")
    };
    let first = export("1");
    assert_eq!(first.len(), 2);
    // The tables lie among the transcripts now, and are none.
    for threads in ["2", "7"] {
        assert!(export(threads) == first, "{threads} threads");
    }
}

#[test]
fn secrets_are_replaced_unless_that_is_declined() {
    let project = Project::empty();
    let text = "mail jane.doe@corp.dev, see /home/jdoe/src";
    project.write(".claude/projects/-home-jdoe-src/a.jsonl", format!("{}\n", claude_prompt("a", 1, text)));
    let export = |more: &[&str]| {
        let ran = project.ok(&[&["sessions", "export", ".claude", "-o", "t/"], more].concat());
        (project.read("t/events.jsonl"), project.read("t/sessions.jsonl"), ran.err)
    };
    let (events, sessions, said) = export(&[]);
    assert!(events.contains("[REDACTED:email:1]") && events.contains("/home/[USER:1]/src"), "{events}");
    assert!(
        !events.contains("jdoe") && !events.contains("jane.doe") && !sessions.contains("jdoe"),
        "{events}{sessions}"
    );
    assert!(sessions.contains(r#""redacted":true"#), "{sessions}");
    insta::assert_snapshot!(said, @"
    wrote t/sessions.jsonl: 1 session
    wrote t/events.jsonl: 1 event of 1 session
    redacted: 2 user names, 1 e-mail address; --no-redact writes the sessions as they are
    ");
    // The project's choice is about raters; a file to hand on takes a word of its own.
    project.write("config.toml", "[annotate]\nredact = false\n");
    assert_eq!(export(&[]), (events, sessions, said));
    let (events, sessions, said) = export(&["--no-redact"]);
    assert!(events.contains(text) && sessions.contains("-home-jdoe-src") && sessions.contains(r#""redacted":false"#));
    assert!(
        said.contains("not redacted: the sessions are written as they are, with all secrets that they hold"),
        "{said}"
    );
}

#[test]
fn a_name_says_what_is_written_where() {
    let project = Project::new();
    let export = |args: &[&str]| {
        let ran = project.ok(&[&["sessions", "export", "logs", "-o"], args].concat());
        ran.err.lines().filter(|line| line.starts_with("wrote")).map(str::to_owned).collect::<Vec<_>>()
    };
    let (sessions, events) = ("10 sessions", "80 events of 10 sessions");
    let wrote = |path: &str, rows: &str| format!("wrote {path}: {rows}");
    assert_eq!(export(&["new"]), [wrote("new/sessions.jsonl", sessions), wrote("new/events.jsonl", events)]);
    assert_eq!(export(&["new", "--what", "events"]), [wrote("new/events.jsonl", events)]);
    assert_eq!(export(&["deep/er/a.jsonl"]), [wrote("deep/er/a.jsonl", events)]);
    assert_eq!(export(&["sessions.ndjson"]), [wrote("sessions.ndjson", sessions)]);
    assert_eq!(export(&["sessions.ndjson", "--what", "events"]), [wrote("sessions.ndjson", events)]);
    assert_eq!(export(&["a.json", "--what", "sessions"]), [wrote("a.json", sessions)]);
    assert_eq!(export(&["/dev/null"]), [wrote("/dev/null", events)]);
    assert_eq!(project.rows("a.json").len(), 10);
    let quiet = project.ok(&["sessions", "export", "logs", "-o", "a.jsonl", "--quiet"]);
    assert_eq!((quiet.out.as_str(), quiet.err.as_str()), ("", ""));
    let stdout = project.ok(&["sessions", "export", "logs", "-o", "-"]);
    assert_eq!(stdout.out, project.read("a.jsonl"));
    assert!(stdout.err.starts_with("wrote to stdout: 80 events of 10 sessions\n"), "{}", stdout.err);
    let said = project.json(&["sessions", "export", "logs", "-o", "tables/", "--where", "id = 'codex:s3'"]);
    assert_eq!(
        said,
        json!({
            "files": [
                { "table": "sessions", "path": "tables/sessions.jsonl", "rows": 1 },
                { "table": "events", "path": "tables/events.jsonl", "rows": 8 },
            ],
            "sessions": 1, "events": 8, "left_out": 9, "unreadable": [], "redacted": true, "redactions": {},
        })
    );
    assert_eq!(project.rows("tables/sessions.jsonl")[0]["id"], "codex:s3");
    assert!(!project.files(".").keys().any(|path| path.to_string_lossy().ends_with(".new")));
}

#[test]
fn what_contradicts_itself_is_refused() {
    let project = Project::new();
    let refused = |args: &[&str]| project.refused(&[&["sessions", "export", "logs"], args].concat());
    insta::assert_snapshot!(refused(&["-o", "a.parquet", "--format", "jsonl"]), @"
    error: a.parquet is the name of a parquet file, and --format jsonl was asked for
    hint: leave --format out, or name the file after its format
    ");
    insta::assert_snapshot!(refused(&["-o", "-", "--format", "parquet"]), @"
    error: Parquet is not written to stdout
    hint: name a file, such as -o events.parquet, or write JSON lines to stdout with --format jsonl
    ");
    insta::assert_snapshot!(refused(&["-o", "-", "--json"]), @"
    error: --json and --output - both want stdout
    hint: leave --json out: --output - prints JSON lines; or name a file, and --json says what was written
    ");
    insta::assert_snapshot!(refused(&["-o", "logs/3.jsonl"]), @"
    error: logs/3.jsonl is one of the transcripts that are exported
    hint: name another file: transcripts are never written to
    ");
    assert!(refused(&[]).contains("--output <FILE|FOLDER|->"));
    insta::assert_snapshot!(project.refused(&["sessions", "--quiet", "export"]), @"
    error: no such file or folder: export
    hint: for the subcommand write `interrater sessions export PATH…`, with its options after it
    ");
}

#[test]
fn a_file_is_replaced_only_by_a_whole_one() {
    let project = Project::new();
    project.write("tables/events.jsonl", "old").write("tables/sessions.jsonl", "old");
    let before = project.files(".");
    let said = project.refused(&["sessions", "export", "logs", "-o", "tables", "--where", "promts > 1"]);
    assert!(said.starts_with("error: `promts > 1` is no filter: `promts` is undefined\n"), "{said}");
    assert!(project.files(".") == before, "nothing has changed");
    project.write("blocked/events.jsonl/file", "");
    let said = project.refused(&["sessions", "export", "logs", "-o", "blocked/"]);
    assert!(said.contains("cannot write blocked/events.jsonl: "), "{said}");
    assert_eq!(project.files("blocked").len(), 1, "and no half is left behind");
    project.ok(&["sessions", "export", "logs", "-o", "tables", "--where", "prompts > 90"]);
    assert_eq!(
        (project.read("tables/events.jsonl").as_str(), project.read("tables/sessions.jsonl").as_str()),
        ("", "")
    );
}

#[test]
fn a_folder_called_export_is_still_a_folder() {
    let project = Project::empty();
    project.write("export/a.jsonl", codex("a", &["go"])).write("logs/b.jsonl", codex("b", &["go"]));
    assert_eq!(project.ok(&["sessions", "./export", "--json"]).out.lines().count(), 1);
    assert_eq!(project.ok(&["sessions", "logs", "export", "--json"]).out.lines().count(), 2);
    project.ok(&["sessions", "export", "export", "logs", "-o", "t/"]);
    assert_eq!(project.rows("t/sessions.jsonl").len(), 2);
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let project = Project::empty();
    // More than a pipe holds.
    project.write("a.jsonl", codex("a", &vec!["many words ".repeat(1000); 200]));
    let mut child = Command::new(env!("CARGO_BIN_EXE_interrater"))
        .args(["sessions", "export", "a.jsonl", "-o", "-"])
        .current_dir(project.path(""))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let ended = child.wait_with_output().unwrap();
    assert!(line.starts_with(r#"{"session":"codex:a","number":1,"#), "{line}");
    assert_eq!((ended.status.code(), String::from_utf8_lossy(&ended.stderr).as_ref()), (Some(0), ""));
}

#[cfg(feature = "parquet")]
#[test]
fn parquet_holds_the_documented_columns_and_the_same_cells_as_json_lines() {
    use crate::parquet_rows::{columns, rows};
    let project = Project::empty();
    project.ok(&["sessions", "export", &sample(), "-o", "tables/", "--no-redact"]);
    project.ok(&["sessions", "export", &sample(), "-o", "tables/", "--format", "parquet", "--no-redact"]);
    for table in ["sessions", "events"] {
        let file = project.path(&format!("tables/{table}.parquet"));
        assert_eq!(columns(&file), documented(table));
        let (cells, lines) = (rows(&file), project.rows(&format!("tables/{table}.jsonl")));
        assert_eq!(cells.len(), lines.len());
        cells.iter().zip(&lines).for_each(|(cells, line)| assert_eq!(cells, line));
    }
    let first = project.files("tables");
    project.ok(&["sessions", "export", &sample(), "-o", "tables/", "--format", "parquet", "--no-redact"]);
    assert!(project.files("tables") == first, "the same sessions are the same bytes");
}

#[cfg(feature = "parquet")]
#[test]
fn a_run_has_its_rows_as_parquet_with_their_types() {
    use crate::parquet_rows::{columns, rows};
    use crate::project::TONE;
    let project = Project::new();
    // A field of a name that the row has already.
    project.write("prompts/tone.md", TONE.replace("name = \"reason\"", "name = \"detail\""));
    project.ok(&["annotate"]);
    let types = |run: &str| {
        let file = project.path(&format!("runs/{}/annotations.parquet", project.run_name(run)));
        columns(&file)
            .into_iter()
            .map(|(name, kind, nullable)| format!("{name} {kind}{}", if nullable { "?" } else { "" }))
            .collect::<Vec<_>>()
    };
    let before = "unit string, session string, task string, rater string, sample int64, status string, detail string?";
    let after = "evidence_cited int64, evidence_found int64, coverage_tokens double, coverage_prompts double, input int64?, \
        cached_input int64?, cache_write int64?, output int64?, reasoning int64?, cost_usd double?, cached boolean, attempts int64, \
        latency_ms int64";
    assert_eq!(types("tone").join(", "), format!("{before}, fields.detail string?, label string?, {after}"));
    assert_eq!(
        types("effort").join(", "),
        format!("{before}, score int64?, phases.reading double?, phases.writing double?, {after}")
    );
    let run = project.run_name("effort");
    let (cells, lines) = (
        rows(&project.path(&format!("runs/{run}/annotations.parquet"))),
        project.rows(&format!("runs/{run}/annotations.jsonl")),
    );
    assert_eq!(cells.len(), 10);
    for (cells, line) in cells.iter().zip(&lines) {
        assert_eq!(
            (&cells["unit"], &cells["status"], &cells["cost_usd"]),
            (&line["unit"], &line["status"], &line["cost_usd"])
        );
        assert_eq!(cells["score"], line["fields"]["score"]);
        assert_eq!(cells["phases.reading"].as_f64(), line["fields"]["phases"]["reading"].as_f64());
        assert_eq!((&cells["detail"], &cells["input"]), (&Value::Null, &line["usage"]["input"]));
    }
}

#[cfg(not(feature = "parquet"))]
#[test]
fn a_build_without_parquet_says_so_and_leaves_no_stale_table() {
    let project = Project::new();
    insta::assert_snapshot!(project.refused(&["sessions", "export", "logs", "-o", "a.parquet"]), @"
    error: this program was built without Parquet
    hint: write JSON lines, which pandas, polars and DuckDB read as well, or build with the feature `parquet`, which is on by default
    ");
    project.ok(&["annotate", "tone"]);
    let stale = format!("runs/{}/annotations.parquet", project.run_name("tone"));
    assert!(!project.path(&stale).exists());
    project.write(&stale, "of another build");
    project.ok(&["annotate", "tone"]);
    assert!(!project.path(&stale).exists());
}
