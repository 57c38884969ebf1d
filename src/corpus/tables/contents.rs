//! Takes a table of each kind; gives what a corpus needs to know of it before any session is read.

use crate::session::Agent;
use crate::session::swe_chat::{self, Record, label};
use crate::table::{Rows, Span, Table, push};
use crate::usage::Usage;
use serde_json::Value;
use std::collections::HashMap;
use std::io;
use std::sync::Arc;

/// So many rows of narrow columns are looked at together.
const CHUNK: u64 = 64 * 1024;

/// Hash and first line of the message of each commit, by checkpoint.
pub(super) type Commits = HashMap<String, Vec<(String, String)>>;

/// A row of the table of sessions.
pub(super) struct SessionRow {
    pub record: Record,
    pub agent: Option<Agent>,
    /// Keys of its checkpoints in other tables.
    pub checkpoints: Vec<String>,
}

/// Where the rows of each session are, and how many rows name none. One pass over one column.
pub(super) fn index(table: &Table) -> io::Result<(HashMap<String, Vec<Span>>, u64)> {
    let mut places: HashMap<String, usize> = HashMap::new();
    let mut sessions: Vec<Vec<Span>> = Vec::new();
    let mut nameless = 0;
    // Rows of a session mostly stand together.
    let mut last: Option<(String, usize)> = None;
    for span in chunks(table) {
        let mut batch = table.read(&["session_id"], &[span])?;
        for (at, row) in (span.start..span.end).enumerate() {
            let Some(session) = batch.take(0, at).text() else {
                nameless += 1;
                continue;
            };
            let place = match &last {
                Some((known, place)) if *known == session => *place,
                _ => {
                    let place = *places.entry(session.clone()).or_insert_with(|| {
                        sessions.push(Vec::new());
                        sessions.len() - 1
                    });
                    last = Some((session, place));
                    place
                }
            };
            push(&mut sessions[place], row);
        }
    }
    let found = places.into_iter().map(|(session, place)| (session, std::mem::take(&mut sessions[place])));
    Ok((found.collect(), nameless))
}

/// The table of sessions. Of two rows of a session the one with more output counts: the other is an earlier state of it.
pub(super) fn read_sessions(table: &Table) -> io::Result<Vec<SessionRow>> {
    const COLUMNS: [&str; 12] = [
        "session_id",
        "agent",
        "agent_percentage",
        "user_persona",
        "session_success",
        "input_tokens",
        "cache_read_tokens",
        "cache_creation_tokens",
        "output_tokens",
        "repo_id",
        "checkpoint_ids",
        "canonical_checkpoint_pk",
    ];
    let mut rows: HashMap<String, SessionRow> = HashMap::new();
    for span in chunks(table) {
        let mut batch = table.read(&COLUMNS, &[span])?;
        for at in 0..span.rows() as usize {
            let [id, agent, share, persona, success, input, cached, written, output, repo, checkpoints, canonical] =
                std::array::from_fn(|column| batch.take(column, at));
            let Some(session) = id.text() else { continue };
            let usage = Usage {
                input: input.count().unwrap_or(0),
                cached_input: cached.count().unwrap_or(0),
                cache_write: written.count().unwrap_or(0),
                output: output.count().unwrap_or(0),
                reasoning: 0,
            };
            let repo = repo.text().unwrap_or_default();
            let mut keys: Vec<String> = list(checkpoints.text().as_deref().unwrap_or_default())
                .into_iter()
                .map(|id| if id.contains('#') { id } else { format!("{repo}#{id}") })
                .collect();
            keys.extend(canonical.text().filter(|key| !keys.contains(key)));
            let row = SessionRow {
                record: Record {
                    session: session.clone(),
                    agent_percentage: share.number(),
                    usage,
                    labels: [label("persona", persona), label("success", success)].into_iter().flatten().collect(),
                    commits: Vec::new(),
                },
                agent: agent.text().map(|name| swe_chat::agent(&name)),
                checkpoints: keys,
            };
            let more = rows.get(&session).is_none_or(|known| known.record.usage.output < usage.output);
            if more {
                rows.insert(session, row);
            }
        }
    }
    Ok(rows.into_values().collect())
}

/// The table of commits.
pub(super) fn read_commits(table: &Table) -> io::Result<Commits> {
    let mut commits = Commits::new();
    for span in chunks(table) {
        let mut batch = table.read(&["checkpoint_pk", "commit_sha", "commit_message"], &[span])?;
        for at in 0..span.rows() as usize {
            let [checkpoint, hash, message] = std::array::from_fn(|column| batch.take(column, at).text());
            let (Some(checkpoint), Some(hash)) = (checkpoint, hash) else { continue };
            let subject = message.unwrap_or_default().lines().next().unwrap_or_default().trim().to_owned();
            let known = commits.entry(checkpoint).or_default();
            if !known.iter().any(|(other, _)| *other == hash) {
                known.push((hash, subject));
            }
        }
    }
    Ok(commits)
}

/// The names of the transcripts' files, without folder and extension, by session.
pub(super) fn read_logs(table: &Table) -> io::Result<Vec<(String, String)>> {
    let mut names = Vec::new();
    for span in chunks(table) {
        let mut batch = table.read(&["session_id", "transcript_path"], &[span])?;
        for at in 0..span.rows() as usize {
            let [session, path] = std::array::from_fn(|column| batch.take(column, at).text());
            let Some(session) = session else { continue };
            let stem = path.as_deref().and_then(|path| std::path::Path::new(path).file_stem()?.to_str());
            names.push((session.clone(), stem.map_or(session, str::to_owned)));
        }
    }
    Ok(names)
}

/// Finds out the agents that no table of sessions tells, from the first row of each session.
pub(super) fn read_agents(unknown: Vec<(Rows, &mut Option<Agent>)>) -> io::Result<()> {
    let mut tables: HashMap<*const Table, (Arc<Table>, Vec<(u64, &mut Option<Agent>)>)> = HashMap::new();
    for (rows, agent) in unknown {
        let Some(first) = rows.spans.first() else { continue };
        let (_, firsts) = tables.entry(Arc::as_ptr(&rows.table)).or_insert_with(|| (rows.table.clone(), Vec::new()));
        firsts.push((first.start, agent));
    }
    for (table, mut firsts) in tables.into_values() {
        firsts.sort_by_key(|(row, _)| *row);
        let mut spans = Vec::new();
        firsts.iter().for_each(|(row, _)| push(&mut spans, *row));
        let mut batch = table.read(&["agent"], &spans)?;
        for (at, (_, agent)) in firsts.into_iter().enumerate() {
            *agent = batch.take(0, at).text().map(|name| swe_chat::agent(&name));
        }
    }
    Ok(())
}

fn chunks(table: &Table) -> impl Iterator<Item = Span> {
    let rows = table.rows();
    (0..rows.div_ceil(CHUNK)).map(move |chunk| Span { start: chunk * CHUNK, end: ((chunk + 1) * CHUNK).min(rows) })
}

/// A list of texts as JSON, or as whatever else has its parts in quotes.
fn list(text: &str) -> Vec<String> {
    match serde_json::from_str(text) {
        Ok(Value::Array(items)) => {
            let text = |item: Value| match item {
                Value::String(text) => text,
                other => other.to_string(),
            };
            items.into_iter().map(text).collect()
        }
        Ok(Value::String(one)) => vec![one],
        _ => {
            let parts = text.split(|c: char| c.is_whitespace() || "[](){},'\"".contains(c));
            parts.filter(|part| !part.is_empty()).map(str::to_owned).collect()
        }
    }
}
