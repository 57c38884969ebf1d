//! A project in a temporary folder, and the binary that works in it: with bounded waits, and without the environment of whoever tests.

use crate::fake::{Asked, Fake, Provider};
use regex::Regex;
use rusqlite::Connection;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// No command of a test takes so long, unless something hangs.
const LIMIT: Duration = Duration::from_secs(60);

/// A key that no text holds by chance.
pub const KEY: &str = "a-test-key-Zq81LmXw0v";

/// The one task of a test's project: short requests, so that thousands of them cost little.
const MOOD: &str = r#"+++
task = "mood"
title = "Mood"
unit = "prompt"
sees = { before = "all", after = "nothing", tool_results = "head", max_tokens = 4000 }

[[field]]
name = "reason"
type = "text"
description = "Why."

[[field]]
name = "label"
type = "label"
description = "The mood."
[[field.label]]
name = "calm"
definition = "Nothing is felt."
[[field.label]]
name = "cross"
definition = "Something is felt."
cues = ['(?i)\bcross\b']
+++
{% block material %}{{ material.open }}
{{ material.text }}
{{ material.close }}{% endblock %}
{% block instructions %}What is the mood of event {{ target.event }}? Answer with JSON: `reason`, then `label`, which is calm or cross.{% endblock %}
"#;

/// A project.
pub struct Context {
    folder: tempfile::TempDir,
    environment: BTreeMap<String, String>,
}

impl Context {
    /// An empty folder.
    pub fn empty() -> Context {
        let folder = tempfile::tempdir().expect("there is room for a folder");
        Context { folder, environment: BTreeMap::new() }
    }

    /// A project with the task `mood` and so many sessions of so many prompts.
    pub fn with_sessions(sessions: usize, prompts: usize) -> Context {
        let context = Context::empty();
        context.write("prompts/mood.md", MOOD);
        for session in 1..=sessions {
            let texts: Vec<String> = (1..=prompts).map(|prompt| typed(session, prompt)).collect();
            context.session(session, &texts);
        }
        context.write("config.toml", "[input]\nsessions = [\"sessions\"]\n");
        context
    }

    /// Writes a small Claude Code session in which a person types these prompts.
    pub fn session(&self, number: usize, prompts: &[String]) {
        let id = session_id(number);
        let row = |kind: &str, message: Value, step: usize| {
            json!({
                "parentUuid": null, "isSidechain": false, "userType": "external", "cwd": "/home/someone", "sessionId": id,
                "version": "2.1.18", "type": kind, "uuid": format!("{number}-{step}"), "message": message,
                "timestamp": format!("2026-03-01T10:{:02}:{:02}.000Z", step / 60, step % 60),
            })
            .to_string()
        };
        let mut lines = Vec::new();
        for (at, text) in prompts.iter().enumerate() {
            lines.push(row("user", json!({ "role": "user", "content": text }), 2 * at));
            let reply = json!([{ "type": "text", "text": format!("reply {number}-{}.", at + 1) }]);
            let message = json!({
                "id": format!("msg_{number}_{at}"), "type": "message", "role": "assistant", "model": "claude-sonnet-5",
                "content": reply, "usage": { "input_tokens": 5, "output_tokens": 7 },
            });
            lines.push(row("assistant", message, 2 * at + 1));
        }
        self.write(&format!("sessions/{id}.jsonl"), &(lines.join("\n") + "\n"));
    }

    /// The project's folder.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Writes a file of the project.
    pub fn write(&self, path: &str, text: &str) {
        let path = self.path().join(path);
        fs::create_dir_all(path.parent().expect("the file is in the project")).expect("the folder can be made");
        fs::write(path, text).expect("the file can be written");
    }

    /// A file of the project.
    pub fn read(&self, path: &str) -> String {
        fs::read_to_string(self.path().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
    }

    /// Sets a variable of the commands' environment, which is empty otherwise.
    pub fn set(mut self, name: &str, value: &str) -> Context {
        self.environment.insert(name.to_owned(), value.to_owned());
        self
    }

    /// Starts the binary in the project.
    pub fn start(&self, arguments: &[&str]) -> Running {
        let mut command = Command::new(env!("CARGO_BIN_EXE_interrater"));
        command
            .args(arguments)
            .current_dir(self.path())
            .env_clear()
            .env("HOME", self.path())
            .env("NO_COLOR", "1")
            .envs(&self.environment)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().expect("the binary starts");
        let stdout = drain(child.stdout.take().expect("stdout is piped"));
        let stderr = drain(child.stderr.take().expect("stderr is piped"));
        Running { child, stdout: Some(stdout), stderr: Some(stderr) }
    }

    /// Runs the binary in the project to its end.
    pub fn run(&self, arguments: &[&str]) -> Ended {
        self.start(arguments).end()
    }

    /// Begins to annotate with a model of the server, in OpenAI's form.
    pub fn start_annotating(&self, fake: &Fake, more: &[&str]) -> Running {
        let url = fake.base_url(Provider::OpenAi);
        self.start(&[&["annotate", "--model", "openai/some-model", "--base-url", &url], more].concat())
    }

    /// Annotates with a model of the server, in OpenAI's form.
    pub fn annotate(&self, fake: &Fake, more: &[&str]) -> Ended {
        self.start_annotating(fake, more).end()
    }

    /// The folder of the only run whose name begins so.
    pub fn run_folder(&self, start: &str) -> PathBuf {
        let entries = fs::read_dir(self.path().join("runs")).expect("there are runs");
        let found: Vec<PathBuf> = entries
            .map(|entry| entry.expect("the folder can be read").path())
            .filter(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(start)))
            .collect();
        assert_eq!(found.len(), 1, "{found:?}");
        found[0].clone()
    }

    /// The rows of the only run whose name begins so.
    pub fn rows(&self, start: &str) -> Vec<Value> {
        let text = fs::read_to_string(self.run_folder(start).join("annotations.jsonl")).expect("the run has rows");
        text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))).collect()
    }

    /// The manifest of the only run whose name begins so.
    pub fn manifest(&self, start: &str) -> Value {
        let path = self.run_folder(start).join("manifest.json");
        serde_json::from_str(&fs::read_to_string(path).expect("the run has a manifest")).expect("a manifest is JSON")
    }

    /// All files below a folder of the project, with their content.
    pub fn files(&self, below: &str) -> BTreeMap<PathBuf, Vec<u8>> {
        let mut files = BTreeMap::new();
        let mut folders = vec![self.path().join(below)];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display())) {
                let path = entry.expect("the folder can be read").path();
                if path.is_dir() {
                    folders.push(path);
                } else {
                    files.insert(path.clone(), fs::read(&path).expect("the file can be read"));
                }
            }
        }
        files
    }

    /// The bodies in the store of paid answers, in the order of payment, with their keys.
    pub fn stored(&self) -> Vec<(String, String)> {
        let path = self.path().join(".interrater/store.db");
        if !path.exists() {
            return Vec::new();
        }
        let connection = Connection::open(path).expect("the store is a database");
        connection.busy_timeout(Duration::from_secs(5)).expect("a timeout can be set");
        let mut statement = match connection.prepare("SELECT key, body FROM response ORDER BY id") {
            Ok(statement) => statement,
            // Killed before the tables were made.
            Err(error) if error.to_string().contains("no such table") => return Vec::new(),
            Err(error) => panic!("{error}"),
        };
        let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).expect("the store can be read");
        rows.collect::<Result<_, _>>().expect("the store can be read")
    }

    /// The text of a command's output without what changes from test to test.
    pub fn filtered(&self, text: &str) -> String {
        let text = text.replace(&self.path().display().to_string(), "[PROJECT]");
        Regex::new(r"127\.0\.0\.1:\d+").expect("the pattern is valid").replace_all(&text, "[SERVER]").into_owned()
    }
}

/// The id that a generated session has in its file.
pub fn session_id(number: usize) -> String {
    format!("00000000-0000-4000-8000-{number:012}")
}

/// What the person types as a generated session's nth prompt.
pub fn typed(session: usize, prompt: usize) -> String {
    format!("request {session}-{prompt}.")
}

/// The session and prompt (both from 1) that a request is about.
pub fn target(asked: &Asked) -> (usize, usize) {
    let pattern = Regex::new(r">>> \[\d+[^\]]*\] USER: request (\d+)-(\d+)\.").expect("the pattern is valid");
    let found = pattern.captures(&asked.prompt).unwrap_or_else(|| panic!("no target: {}", asked.prompt));
    (found[1].parse().expect("digits"), found[2].parse().expect("digits"))
}

/// Whether a request follows from an answer that could not be used.
pub fn is_second(asked: &Asked) -> bool {
    asked.prompt.contains("could not be used")
}

/// How many rows there are of each state.
pub fn states(rows: &[Value]) -> BTreeMap<String, usize> {
    let mut states = BTreeMap::new();
    for row in rows {
        *states.entry(row["status"].as_str().expect("a row has a state").to_owned()).or_default() += 1;
    }
    states
}

/// The row of a generated session's prompt.
pub fn row(rows: &[Value], session: usize, prompt: usize) -> &Value {
    let unit = format!("claude_code:{}#{prompt}", session_id(session));
    rows.iter().find(|row| row["unit"] == unit.as_str()).unwrap_or_else(|| panic!("no row of {unit}"))
}

/// That there is one row a unit, in order.
pub fn assert_whole(rows: &[Value], sessions: usize, prompts: usize) {
    let units: Vec<&str> = rows.iter().map(|row| row["unit"].as_str().expect("a row has a unit")).collect();
    let expected: Vec<String> = (1..=sessions)
        .flat_map(|session| (1..=prompts).map(move |prompt| format!("claude_code:{}#{prompt}", session_id(session))))
        .collect();
    assert_eq!(units, expected);
}

/// Hashes of the bodies that came from a place of the log on.
pub fn asked_since(fake: &Fake, start: usize) -> Vec<String> {
    fake.seen()[start..].iter().map(|seen| seen.asked.hash.clone()).collect()
}

/// That no body was asked twice in this list.
pub fn assert_once(hashes: &[String]) {
    let distinct: BTreeSet<&String> = hashes.iter().collect();
    assert_eq!(distinct.len(), hashes.len(), "a request was sent again");
}

/// How a command ended.
#[derive(Debug)]
pub struct Ended {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Ended {
    /// The same, if it ended with this code.
    pub fn with(self, code: i32) -> Ended {
        assert_eq!(self.code, Some(code), "{self:?}");
        self
    }

    /// The lines of stderr that begin so.
    pub fn lines(&self, start: &str) -> Vec<&str> {
        self.stderr.lines().filter(|line| line.starts_with(start)).collect()
    }

    /// The one JSON document on stdout.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {}", self.stdout))
    }
}

/// A command under way; killed if it is dropped.
pub struct Running {
    child: Child,
    stdout: Option<JoinHandle<String>>,
    stderr: Option<JoinHandle<String>>,
}

impl Running {
    /// Sends a signal such as `INT`.
    pub fn signal(&self, name: &str) {
        let sent = Command::new("kill").args([&format!("-{name}"), &self.child.id().to_string()]).status();
        assert!(sent.expect("there is a kill command").success());
    }

    /// Waits until something holds.
    pub fn until(&mut self, what: &str, mut holds: impl FnMut() -> bool) {
        let begun = Instant::now();
        while !holds() {
            assert!(begun.elapsed() < LIMIT, "it never came to this: {what}");
            let ended = self.child.try_wait().expect("a child can be waited for");
            assert!(ended.is_none() || holds(), "it ended before this: {what}");
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// Whether it ends by itself within this time.
    pub fn ends_within(&mut self, limit: Duration) -> bool {
        let begun = Instant::now();
        loop {
            if self.child.try_wait().expect("a child can be waited for").is_some() {
                return true;
            }
            if begun.elapsed() >= limit {
                return false;
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// Kills it at once, which it cannot notice.
    pub fn kill(mut self) -> Ended {
        self.child.kill().expect("a child can be killed");
        self.collect()
    }

    /// Waits for its end.
    pub fn end(mut self) -> Ended {
        assert!(self.ends_within(LIMIT), "the command hangs");
        self.collect()
    }

    fn collect(&mut self) -> Ended {
        let code = self.child.wait().expect("a child can be waited for").code();
        let text = |reader: Option<JoinHandle<String>>| {
            reader.expect("a command is collected once").join().expect("a pipe can be read")
        };
        Ended { code, stdout: text(self.stdout.take()), stderr: text(self.stderr.take()) }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Fails where it has ended, as it should have.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn drain(mut pipe: impl Read + Send + 'static) -> JoinHandle<String> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        pipe.read_to_end(&mut bytes).expect("a pipe can be read");
        String::from_utf8(bytes).expect("what is printed is UTF-8")
    })
}
