//! One little story, told as every agent would write it down: two prompts and words in between, a call that fails, one that is
//! refused, an interruption, a compaction, tokens of every kind. Invented; the forms are the real ones.

mod chat;
mod claude_code;
mod codex;
mod copilot;
mod cursor;
mod gemini_cli;
mod open_code;

use crate::project::Project;
use rusqlite::Connection;
use serde_json::{Value, json};

/// What the human types first.
pub const FIRST: &str = "build the parser";
/// What the human types while the agent works.
pub const STEERING: &str = "keep the old lexer";
/// What the human types last.
pub const LAST: &str = "and then publish it";
/// What the failing call gives back.
pub const FAILURE: &str = "error: test failed";
/// What the last call gives back.
pub const README: &str = "A parser.";
/// What the conversation was replaced by.
pub const SUMMARY: &str = "The parser is half done.";

/// Tokens of the three answers: uncached input, read from a cache, written to one, output, the reasoning in it.
pub const TOKENS: [[u64; 5]; 3] = [[100, 40, 10, 30, 8], [200, 60, 20, 50, 12], [50, 100, 5, 20, 4]];

/// The story as one agent tells it.
pub struct Telling {
    /// For messages of tests.
    pub name: &'static str,
    /// The session's id.
    pub id: &'static str,
    /// How it lies on the disk.
    pub form: Form,
    /// What a summary has to say of it: everything that the format can express.
    pub says: Value,
}

/// How a transcript lies on the disk.
pub enum Form {
    /// JSON lines in a file of this name.
    Lines(&'static str, Vec<Value>),
    /// One JSON document in a file of this name: an object whose member of this name is the list.
    Document { file: &'static str, facts: Value, list: &'static str, elements: Vec<Value>, pretty: bool },
    /// Messages in plain text, in a file of this name.
    Text(&'static str, Vec<String>),
    /// A file for every record.
    Storage(Vec<(String, Value)>),
    /// Rows of a database: the session, its messages and their parts.
    Database(Value, Vec<Value>),
}

/// All tellings.
pub fn all() -> Vec<Telling> {
    vec![
        claude_code::lines(),
        codex::lines(),
        gemini_cli::lines(),
        gemini_cli::document(),
        open_code::export(),
        open_code::storage(),
        open_code::database(),
        copilot::lines(),
        copilot::document(),
        cursor::lines(),
        cursor::text(),
        chat::line(),
        chat::document(),
    ]
}

/// What a summary says of the whole story.
pub fn whole() -> Value {
    let sum = |kind: usize| TOKENS.iter().map(|tokens| tokens[kind]).sum::<u64>();
    json!({
        "prompts": 3, "interruptions": 1, "rejected_tools": 1, "tool_calls": 3, "failed_tool_calls": 1, "compactions": 1,
        "usage": { "input": sum(0), "cached_input": sum(1), "cache_write": sum(2), "output": sum(3), "reasoning": sum(4) },
    })
}

/// An object with more members, or others; what is an object itself is joined.
pub fn with(mut object: Value, more: Value) -> Value {
    for (key, value) in more.as_object().expect("keys and values") {
        match value {
            Value::Object(inner) => inner.iter().for_each(|(inner, value)| object[key][inner] = value.clone()),
            value => object[key] = value.clone(),
        }
    }
    object
}

/// The time so many seconds after the story begins.
pub fn at(second: u64) -> String {
    format!("2026-05-01T10:{:02}:{:02}.000Z", second / 60, second % 60)
}

impl Telling {
    /// The records: rows, elements, messages, files. A record is one piece of JSON or text.
    pub fn records(&self) -> Vec<Vec<u8>> {
        let bytes = |value: &Value| value.to_string().into_bytes();
        match &self.form {
            Form::Lines(_, rows) => rows.iter().map(bytes).collect(),
            Form::Document { elements, .. } => elements.iter().map(bytes).collect(),
            Form::Text(_, messages) => messages.iter().map(|text| text.clone().into_bytes()).collect(),
            Form::Storage(files) => files.iter().map(|(_, value)| bytes(value)).collect(),
            Form::Database(_, messages) => cells(messages).into_iter().map(|(_, cell)| bytes(&cell)).collect(),
        }
    }

    /// The name of the transcript's file; none where it has many.
    pub fn file(&self) -> Option<&'static str> {
        match &self.form {
            Form::Lines(name, _) | Form::Text(name, _) | Form::Document { file: name, .. } => Some(name),
            Form::Storage(_) | Form::Database(..) => None,
        }
    }

    /// The bytes of the transcript's file with these records, and `between` any two of them.
    pub fn bytes(&self, records: &[Vec<u8>], between: &[u8]) -> Vec<u8> {
        let joined = records.join(between);
        match &self.form {
            Form::Document { facts, list, pretty, .. } => {
                let facts = if *pretty { format!("{facts:#}") } else { facts.to_string() };
                let facts = facts.strip_suffix('}').expect("facts are an object").trim_end();
                let comma = if facts.ends_with('{') { "" } else { "," };
                [format!("{facts}{comma}\"{list}\":[").as_bytes(), &joined, b"]}"].concat()
            }
            _ => joined,
        }
    }

    /// What stands between two records.
    pub fn between(&self) -> &'static [u8] {
        match &self.form {
            Form::Lines(..) | Form::Text(..) => b"\n",
            Form::Document { pretty: true, .. } => b",\n  ",
            Form::Document { .. } => b",",
            Form::Storage(_) | Form::Database(..) => b"",
        }
    }

    /// Writes the transcript with these records into the folder `place`.
    pub fn write(&self, project: &Project, place: &str, records: &[Vec<u8>]) {
        match &self.form {
            Form::Storage(files) => {
                for ((name, _), record) in files.iter().zip(records) {
                    project.write(&format!("{place}/{name}"), record);
                }
            }
            Form::Database(session, messages) => {
                project.write(&format!("{place}/opencode.db"), "");
                let path = project.path(&format!("{place}/opencode.db"));
                fill(&path, session, &cells(messages), records).expect("a database can be written");
            }
            _ => {
                let file = self.file().expect("it has one file");
                let end: &[u8] = if matches!(self.form, Form::Document { .. }) { b"" } else { b"\n" };
                project.write(&format!("{place}/{file}"), [&self.bytes(records, self.between()), end].concat());
            }
        }
    }
}

/// The cells of a database's messages and parts, each with the ids of the message and, for a part, of the part.
fn cells(messages: &[Value]) -> Vec<([String; 2], Value)> {
    let id = |value: &Value| value["id"].as_str().expect("a record has an id").to_owned();
    let mut cells = Vec::new();
    for message in messages {
        let of = id(&message["info"]);
        cells.push(([of.clone(), String::new()], message["info"].clone()));
        for part in message["parts"].as_array().into_iter().flatten() {
            cells.push(([of.clone(), id(part)], part.clone()));
        }
    }
    cells
}

fn fill(
    path: &std::path::Path,
    session: &Value,
    cells: &[([String; 2], Value)],
    records: &[Vec<u8>],
) -> rusqlite::Result<()> {
    let database = Connection::open(path)?;
    database.execute_batch(
        "CREATE TABLE session (id TEXT, project_id TEXT, parent_id TEXT, time_created INTEGER);
         CREATE TABLE message (id TEXT, session_id TEXT, time_created INTEGER, data TEXT);
         CREATE TABLE part (id TEXT, message_id TEXT, session_id TEXT, data TEXT);",
    )?;
    let id = session["id"].as_str();
    database.execute("INSERT INTO session VALUES (?1, 'p', NULL, ?2)", (id, session["time"]["created"].as_i64()))?;
    for (([message, part], value), record) in cells.iter().zip(records) {
        match part.as_str() {
            "" => database.execute(
                "INSERT INTO message VALUES (?1, ?2, ?3, ?4)",
                (message, id, value["time"]["created"].as_i64(), record),
            )?,
            _ => database.execute("INSERT INTO part VALUES (?1, ?2, ?3, ?4)", (part, message, id, record))?,
        };
    }
    Ok(())
}
