//! A project in a folder of its own, and the real binary run in it.

use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tempfile::TempDir;

/// Longer than any command here takes by far; a hang ends as a failure.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A codebook of prompts: a text, a label with cues and a collapse.
pub const TONE: &str = r#"+++
task = "tone"
title = "Tone"
unit = "prompt"
sees = { before = "all", max_tokens = 2000 }

[[field]]
name = "reason"
type = "text"

[[field]]
name = "label"
type = "label"
[[field.label]]
name = "rough"
definition = "Rough."
cues = ['(?i)\bstop\b']
[[field.label]]
name = "curt"
definition = "Curt."
cues = ['(?i)\bnow\b']
[[field.label]]
name = "calm"
definition = "Calm."
[[field.collapse]]
name = "binary"
map = { rough = "harsh", curt = "harsh", calm = "calm" }
+++
{% block material %}{{ material.open }}
{{ material.text }}{{ material.close }}{% endblock %}
{% block instructions %}Label event {{ target.event }}: {% for l in field.label.labels %}{{ l.name }} {% endfor %}{% endblock %}
"#;

/// A codebook of sessions: a score and shares.
pub const EFFORT: &str = r#"+++
task = "effort"
title = "Effort"
unit = "session"
sees = { max_tokens = 2000 }

[[field]]
name = "score"
type = "score"
min = 0
max = 100
start = 50
[[field.cue]]
pattern = '(?i)stop'
add = -10

[[field]]
name = "phases"
type = "shares"
[[field.part]]
name = "reading"
definition = "Reading."
tools = ["research"]
[[field.part]]
name = "writing"
definition = "Writing."
tools = ["edit"]
+++
{% block material %}{{ material.text }}{% endblock %}
{% block instructions %}Score the session of {{ session.prompts }} prompts.{% endblock %}
"#;

/// A folder with whatever a test writes into it.
pub struct Project {
    folder: TempDir,
}

/// What a command left behind.
#[derive(Debug)]
pub struct Ran {
    /// Exit code.
    pub code: i32,
    /// stdout.
    pub out: String,
    /// stderr.
    pub err: String,
}

impl Project {
    /// An empty folder.
    pub fn empty() -> Project {
        Project { folder: tempfile::tempdir().expect("a temporary folder can be made") }
    }

    /// Two codebooks, and ten sessions of four prompts; prompt `n` of session `s` says what [`words`] gives.
    pub fn new() -> Project {
        let project = Project::empty();
        project.write("config.toml", "[input]\nsessions = [\"logs\"]\n");
        project.write("prompts/tone.md", TONE).write("prompts/effort.md", EFFORT);
        for session in 0..10 {
            let prompts: Vec<String> = (1..=4).map(|nth| words(session, nth).to_owned()).collect();
            project.write(&format!("logs/{session}.jsonl"), codex(&format!("s{session}"), &prompts));
        }
        project
    }

    /// A folder with these files, by their names in it.
    pub fn holding(files: &BTreeMap<PathBuf, Vec<u8>>) -> Project {
        let project = Project::empty();
        for (name, bytes) in files {
            project.write(&name.display().to_string(), bytes);
        }
        project
    }

    /// Writes a file.
    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) -> &Project {
        let path = self.path(name);
        fs::create_dir_all(path.parent().expect("a file is in a folder")).expect("a folder can be made");
        fs::write(path, content).expect("a file can be written");
        self
    }

    /// A file's text.
    pub fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    /// Where a file is.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Runs the binary in the folder.
    pub fn run(&self, args: &[&str]) -> Ran {
        self.run_with(args, &[])
    }

    /// Runs the binary in the folder with variables in its environment, and no others of its own.
    pub fn run_with(&self, args: &[&str], environment: &[(&str, &str)]) -> Ran {
        let output = assert_cmd::Command::new(env!("CARGO_BIN_EXE_interrater"))
            .args(args)
            .current_dir(self.folder.path())
            .env_clear()
            .env("HOME", self.folder.path())
            .env("NO_COLOR", "1")
            .envs(environment.iter().copied())
            .timeout(PATIENCE)
            .output()
            .expect("the binary runs");
        let text = |bytes: Vec<u8>| self.filtered(&String::from_utf8(bytes).expect("output is UTF-8"));
        Ran {
            code: output.status.code().unwrap_or_else(|| panic!("`{}` took too long", args.join(" "))),
            out: text(output.stdout),
            err: text(output.stderr),
        }
    }

    /// Runs the binary, which has to be content.
    pub fn ok(&self, args: &[&str]) -> Ran {
        let ran = self.run(args);
        assert_eq!(ran.code, 0, "`{}` failed:\n{}", args.join(" "), ran.err);
        ran
    }

    /// Runs the binary with `--json` and reads the one document that it prints.
    pub fn json(&self, args: &[&str]) -> Value {
        let mut args = args.to_vec();
        args.push("--json");
        let ran = self.ok(&args);
        serde_json::from_str(&ran.out).unwrap_or_else(|error| panic!("{error} in:\n{}", ran.out))
    }

    /// What the binary says when it refuses: nothing on stdout, exit code 2.
    pub fn refused(&self, args: &[&str]) -> String {
        let ran = self.run(args);
        assert_eq!((ran.code, ran.out.as_str()), (2, ""), "`{}` is to be refused:\n{}", args.join(" "), ran.err);
        ran.err
    }

    /// Every file below `place` with its bytes, by its name in the project.
    pub fn files(&self, place: &str) -> BTreeMap<PathBuf, Vec<u8>> {
        let mut found = BTreeMap::new();
        let mut pending = vec![self.path(place)];
        while let Some(path) = pending.pop() {
            if path.is_dir() {
                pending.extend(
                    fs::read_dir(&path).expect("a folder is read").map(|entry| entry.expect("an entry").path()),
                );
            } else if path.exists() {
                let name = path.strip_prefix(self.folder.path()).expect("the file is in the project");
                found.insert(name.to_owned(), fs::read(&path).expect("a file is read"));
            }
        }
        found
    }

    /// The name of the only run whose name begins so.
    pub fn run_name(&self, prefix: &str) -> String {
        let names: Vec<String> = fs::read_dir(self.path("runs"))
            .expect("there are runs")
            .map(|entry| entry.expect("an entry").file_name().into_string().expect("a name is text"))
            .filter(|name| name.starts_with(prefix))
            .collect();
        assert_eq!(names.len(), 1, "{prefix}: {names:?}");
        names[0].clone()
    }

    /// Rows of a file of JSON lines.
    pub fn rows(&self, name: &str) -> Vec<Value> {
        self.read(name).lines().map(|line| serde_json::from_str(line).expect("a line is JSON")).collect()
    }

    /// Text without what differs from run to run.
    fn filtered(&self, text: &str) -> String {
        let folder = self.folder.path().display().to_string();
        text.replace(&format!("{folder}/"), "").replace(&folder, "PROJECT")
    }
}

/// What prompt `nth` (from 1) of session `session` says: mostly calm words, `now` and `stop` by a fixed pattern.
pub fn words(session: usize, nth: usize) -> &'static str {
    match (session * 4 + nth) % 7 {
        0 => "stop that",
        3 => "do it now",
        _ => "please go on",
    }
}

/// A Codex rollout with these prompts, each answered, with one search and one patch at the end.
pub fn codex(id: &str, prompts: &[impl AsRef<str>]) -> String {
    let mut rows =
        vec![json!({ "timestamp": "2026-05-01T10:00:00Z", "type": "session_meta", "payload": { "id": id } })];
    for (nth, prompt) in prompts.iter().enumerate() {
        let at = format!("2026-05-01T10:{:02}:00Z", nth + 1);
        rows.push(json!({ "timestamp": at, "type": "event_msg", "payload": { "type": "user_message", "message": prompt.as_ref() } }));
        rows.push(json!({ "timestamp": at, "type": "event_msg", "payload": { "type": "agent_message", "message": format!("reply {}", nth + 1) } }));
    }
    rows.iter().map(|row| format!("{row}\n")).collect()
}

/// A row of a Claude Code transcript with a prompt.
pub fn claude_prompt(session: &str, nth: usize, text: &str) -> String {
    json!({
        "parentUuid": if nth == 1 { Value::Null } else { json!(format!("{session}-{}", nth - 1)) },
        "isSidechain": false, "userType": "external", "cwd": "/home/ada/app", "sessionId": session, "version": "2.0.72",
        "type": "user", "message": { "role": "user", "content": text }, "uuid": format!("{session}-{nth}"),
        "timestamp": format!("2026-05-01T10:{nth:02}:00.000Z"),
    })
    .to_string()
}

/// A Claude Code transcript with these prompts.
pub fn claude(session: &str, prompts: &[&str]) -> String {
    prompts.iter().enumerate().map(|(at, text)| format!("{}\n", claude_prompt(session, at + 1, text))).collect()
}

/// The first line of a text.
pub fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}

/// A shipped file.
pub fn shipped(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}
