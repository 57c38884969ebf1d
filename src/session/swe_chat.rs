//! Reads sessions of SWE-chat tables: one row a turn in `conversations`, one row a session in `sessions`.
//!
//! Where a session's raw transcript is at hand, that is read, and the tables only add what they alone know ([`complete`]). Where it is
//! not, the rows tell the session ([`read`]). `docs/swe-chat.md` says what becomes of which column; `row` reads rows, `words` tells a
//! human's words from the client's, `queue` finds prompts that stand in queue operations only, `conversation` puts events together, and
//! `matching` finds the prompts of a transcript among the rows.

mod conversation;
mod matching;
mod queue;
mod row;
mod words;

use super::builder::SessionBuilder;
use super::{Agent, EventBody, ExistingLabel, ReadError, Session};
use crate::table::Rows;
use crate::usage::Usage;
use conversation::Told;
pub use row::label;
use row::{Row, Turn};
use std::cmp::Ordering;
use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;

/// What [`ReadReport::unknown`](super::ReadReport::unknown) calls a label whose row is no prompt here.
pub const LABEL_WITHOUT_PROMPT: &str = "label without a prompt";

/// What a table with one row a session says of it.
#[derive(Debug, Clone, Default)]
pub struct Record {
    /// The table's id of the session.
    pub session: String,
    /// Share of committed lines written by the agent, 0 to 100.
    pub agent_percentage: Option<f64>,
    /// Tokens of the whole session, for rows that have none.
    pub usage: Usage,
    /// Labels of the session: task and value.
    pub labels: Vec<(&'static str, String)>,
    /// Commits of the session's checkpoints: hash and first line of the message.
    pub commits: Vec<(String, String)>,
}

/// A table has one record a session, so records of the same table are told apart by their sessions.
impl PartialEq for Record {
    fn eq(&self, other: &Record) -> bool {
        self.session == other.session
    }
}

impl Eq for Record {}

impl PartialOrd for Record {
    fn partial_cmp(&self, other: &Record) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Record {
    fn cmp(&self, other: &Record) -> Ordering {
        self.session.cmp(&other.session)
    }
}

/// The agent of this name in a table; a name that is not known may be any agent's, so it is told as a plain chat.
pub fn agent(name: &str) -> Agent {
    match fold(name).as_str() {
        "claudecode" | "claude" => Agent::ClaudeCode,
        "codex" | "codexcli" | "openaicodex" => Agent::Codex,
        "copilot" | "copilotcli" | "githubcopilot" | "githubcopilotcli" => Agent::Copilot,
        "cursor" | "cursorcli" | "cursoragent" => Agent::Cursor,
        "gemini" | "geminicli" => Agent::GeminiCli,
        "opencode" => Agent::OpenCode,
        _ => Agent::Chat,
    }
}

/// The agent's own id for a session of a table: without the date that some containers put before it.
pub fn native_id(session: &str) -> &str {
    super::entire::without_date(session)
}

/// A name without case, spaces, underscores and hyphens: what writers spell differently.
pub fn fold(name: &str) -> String {
    name.chars().filter(|c| !c.is_whitespace() && !matches!(c, '_' | '-')).flat_map(char::to_lowercase).collect()
}

/// Reads a session from the tables alone.
///
/// # Errors
/// A table that can no longer be opened. Rows that are damaged are counted in the session's report.
pub fn read(agent: Agent, id: &str, rows: &[&Rows], records: &[&Record]) -> Result<Session, ReadError> {
    let path = rows.first().map(|rows| rows.table.path().to_owned()).unwrap_or_default();
    let mut builder = SessionBuilder::new(agent, id, path);
    let found = row::read(rows, Turn::is_told, row::TEXTS).map_err(|error| unreadable(rows, error))?;
    builder.read.lines = found.rows.len() as u64 + found.duplicates;
    builder.read.records = found.rows.len() as u64;
    builder.read.bad = found.damaged;
    let told = conversation::tell(agent, &found.rows, &mut builder);
    if builder.usage == Usage::default() {
        // Rows of many sessions carry no tokens; what the container counted is better than nothing.
        builder.usage = records.iter().map(|record| record.usage).max_by_key(Usage::total).unwrap_or_default();
    }
    let mut session = builder.finish();
    add_records(&mut session, records);
    let (labels, lost) = labels_of(&found.rows, &told);
    session.labels.extend(labels);
    count_lost(&mut session, lost);
    Ok(session)
}

/// Adds what the tables know to a session that was read from its transcript: labels, commits, the agent's share.
///
/// # Errors
/// Those of [`read`].
pub fn complete(session: &mut Session, rows: &[&Rows], records: &[&Record]) -> Result<(), ReadError> {
    add_records(session, records);
    let labelled = row::have_labels(rows);
    if !labelled {
        return Ok(());
    }
    // Only the prompts have to be found again: what the agent said and did is not even unpacked.
    let found = row::read(rows, Turn::may_hold_prompt, &["content"]).map_err(|error| unreadable(rows, error))?;
    session.read.bad += found.damaged;
    if found.rows.iter().all(|row| row.labels.is_empty()) {
        return Ok(());
    }
    let mut builder = SessionBuilder::new(session.agent, "", PathBuf::new());
    let told = conversation::tell(session.agent, &found.rows, &mut builder);
    let (labels, mut lost) = labels_of(&found.rows, &told);
    let copy = builder.finish();
    let matched: HashMap<u32, u32> = matching::prompts(&copy, session).into_iter().collect();
    for mut label in labels {
        label.prompt = label.prompt.and_then(|ordinal| matched.get(&ordinal).copied());
        match label.prompt {
            Some(_) => session.labels.push(label),
            None => lost += 1,
        }
    }
    count_lost(session, lost);
    Ok(())
}

fn unreadable(rows: &[&Rows], source: std::io::Error) -> ReadError {
    let path = rows.first().map(|rows| rows.table.path().to_owned()).unwrap_or_default();
    ReadError::Io { path, source }
}

fn add_records(session: &mut Session, records: &[&Record]) {
    for record in records {
        session.agent_percentage = session.agent_percentage.or(record.agent_percentage);
        for (task, value) in &record.labels {
            if !session.labels.iter().any(|label| label.task == *task) {
                session.labels.push(ExistingLabel { task, prompt: None, value: value.clone() });
            }
        }
        for (hash, subject) in &record.commits {
            // The transcript abbreviates hashes.
            let known = session.commits().any(|(known, _)| !known.is_empty() && hash.starts_with(known));
            if !known {
                let number = u32::try_from(session.events.len() + 1).unwrap_or(u32::MAX);
                let body = EventBody::Commit { hash: hash.clone(), subject: subject.clone() };
                session.events.push(super::Event { number, at: None, body });
            }
        }
    }
}

/// The labels of the rows that became prompts, and how many belong to none. Of two labels of a task for one prompt the first counts.
fn labels_of(rows: &[Row], told: &Told) -> (Vec<ExistingLabel>, u64) {
    let mut labels: BTreeMap<(u32, &'static str), String> = BTreeMap::new();
    let mut lost = 0;
    for (at, row) in rows.iter().enumerate() {
        for (task, value) in &row.labels {
            match told.prompts.get(&at) {
                Some(&ordinal) => drop(labels.entry((ordinal, task)).or_insert_with(|| value.clone())),
                None => lost += 1,
            }
        }
    }
    let labels =
        labels.into_iter().map(|((ordinal, task), value)| ExistingLabel { task, prompt: Some(ordinal), value });
    (labels.collect(), lost)
}

fn count_lost(session: &mut Session, lost: u64) {
    if lost > 0 {
        *session.read.unknown.entry(LABEL_WITHOUT_PROMPT.to_owned()).or_default() += lost;
    }
}
