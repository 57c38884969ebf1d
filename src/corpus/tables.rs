//! Takes the tables of SWE-chat that were found; adds their sessions to a corpus.
//!
//! A table is known by its columns. A session that was found as a transcript stays one, and its rows and records are added to it, so that
//! it counts once; any other session is told by its rows in `conversations`. One pass over the column `session_id` says where those are.

mod contents;

use super::{CorpusError, Holder, Place, SessionSource, SkipReason, Skipped};
use crate::session::swe_chat::{self, Record};
use crate::session::{Agent, SessionId};
use crate::table::{Rows, Table, TableError};
use contents::{Commits, index, read_agents, read_commits, read_logs, read_sessions};
use rayon::prelude::*;
use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Why a table, or a part of it, cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TableFault {
    /// The file cannot be read.
    #[error(transparent)]
    File(#[from] TableError),
    /// It holds conversations, but lacks what tells them.
    #[error("a table of conversations without the column `{0}`")]
    Column(&'static str),
    /// It is a table of something else.
    #[error("a Parquet table, but not one of sessions")]
    Other,
    /// Rows that belong to no session.
    #[error("used but for {0} rows whose session is not named or cannot be read")]
    Rows(u64),
    /// Sessions that are only mentioned.
    #[error("used but for {0} sessions that have neither rows nor a transcript")]
    Mentioned(u64),
}

impl TableFault {
    /// What can be done about it.
    pub fn way_out(&self) -> &'static str {
        match self {
            TableFault::File(error) => error.way_out(),
            TableFault::Column(_) => "write the table with all columns that docs/swe-chat.md calls required",
            TableFault::Other => "known are the tables of SWE-chat: see docs/swe-chat.md for their columns",
            TableFault::Rows(_) => "fetch or write the file again",
            TableFault::Mentioned(_) => "name the folder that holds `conversations` or `transcripts` too",
        }
    }
}

/// A table that is known, opened.
#[derive(Debug)]
pub(super) struct Found {
    kind: Kind,
    table: Arc<Table>,
}

impl Found {
    pub fn path(&self) -> &Path {
        self.table.path()
    }
}

/// The tables of SWE-chat.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// A row a turn.
    Conversations,
    /// A row a session.
    Sessions,
    /// A row a transcript.
    Logs,
    /// A row a commit.
    Commits,
    /// Known, and not needed to tell a session.
    Unused,
}

/// Opens a Parquet file and finds out which table it is.
pub(super) fn open(path: &Path) -> Result<Found, TableFault> {
    let table = Table::open(path)?;
    let has = |columns: &[&str]| columns.iter().filter(|column| table.has(column)).count();
    let kind = if has(&["turn_type", "role", "turn_number", "conversation_turn_number", "queue_op_subtype"]) >= 2 {
        for required in ["session_id", "content"] {
            if !table.has(required) {
                return Err(TableFault::Column(required));
            }
        }
        if has(&["turn_type", "role"]) == 0 {
            return Err(TableFault::Column("turn_type"));
        }
        Kind::Conversations
    } else if has(&["commit_sha", "checkpoint_pk"]) == 2 {
        Kind::Commits
    } else if table.has("session_id") && has(&["context_md", "session_metadata_raw"]) >= 1 {
        Kind::Logs
    } else if table.has("session_id") && has(&SESSION_MARKS) >= 2 {
        Kind::Sessions
    } else if (table.has("checkpoint_pk") && has(&["session_pks", "commit_shas", "checkpoint_metadata_raw"]) >= 1)
        || (table.has("repo_id") && has(&["license_type", "repo_github_metadata", "repo_type_domain"]) >= 1)
    {
        Kind::Unused
    } else {
        return Err(TableFault::Other);
    };
    Ok(Found { kind, table: Arc::new(table) })
}

/// Columns that only the table of sessions has together.
const SESSION_MARKS: [&str; 9] = [
    "agent",
    "canonical_checkpoint_pk",
    "checkpoint_ids",
    "checkpoints_count",
    "agent_percentage",
    "prompt_count",
    "turn_count",
    "user_persona",
    "session_success",
];

/// The rows and records among the places of a session.
pub(super) fn parts<'p>(places: &[&'p Place]) -> (Vec<&'p Rows>, Vec<&'p Record>) {
    let (mut rows, mut records) = (Vec::new(), Vec::new());
    for place in places {
        match &place.holder {
            Holder::Rows(found) => rows.push(found),
            Holder::Record(record) => records.push(&**record),
            Holder::File | Holder::Span { .. } | Holder::Blob { .. } | Holder::Parts(_) => {}
        }
    }
    (rows, records)
}

/// What the tables hold of a session.
#[derive(Default)]
struct Entry {
    places: Vec<Place>,
    agent: Option<Agent>,
    /// The name of its transcript's file, where a table tells it.
    transcript: Option<String>,
    has_rows: bool,
}

/// Adds what the tables hold to `sources`: to a session that is there already, or as a session of its own.
pub(super) fn join(
    tables: Vec<Found>,
    sources: &mut Vec<SessionSource>,
    skipped: &mut Vec<Skipped>,
) -> Result<(), CorpusError> {
    let Some(first) = tables.first().map(|table| table.path().to_owned()) else { return Ok(()) };
    let of = |kind: Kind| tables.iter().filter(move |found| found.kind == kind).map(|found| &found.table);
    let unreadable = |path: &Path| {
        let path = path.to_owned();
        move |source| CorpusError::Unreadable { path, source }
    };
    let mut entries: BTreeMap<String, Entry> = BTreeMap::new();
    let conversations: Vec<&Arc<Table>> = of(Kind::Conversations).collect();
    let indexes: Vec<_> = conversations
        .par_iter()
        .map(|table| index(table).map_err(unreadable(table.path())))
        .collect::<Result<Vec<_>, _>>()?;
    for (table, (sessions, nameless)) in conversations.into_iter().zip(indexes) {
        for (session, spans) in sessions {
            let entry = entries.entry(session).or_default();
            let rows = Rows { table: table.clone(), spans };
            entry.places.push(Place { path: table.path().to_owned(), holder: Holder::Rows(rows) });
            entry.has_rows = true;
        }
        if nameless > 0 {
            let reason = SkipReason::Table(TableFault::Rows(nameless));
            skipped.push(Skipped { path: table.path().to_owned(), reason });
        }
    }
    let mut commits: Vec<(PathBuf, Commits)> = Vec::new();
    for table in of(Kind::Commits) {
        commits.push((table.path().to_owned(), read_commits(table).map_err(unreadable(table.path()))?));
    }
    for table in of(Kind::Logs) {
        for (session, transcript) in read_logs(table).map_err(unreadable(table.path()))? {
            entries.entry(session).or_default().transcript = Some(transcript);
        }
    }
    for table in of(Kind::Sessions) {
        for row in read_sessions(table).map_err(unreadable(table.path()))? {
            let entry = entries.entry(row.record.session.clone()).or_default();
            entry.agent = entry.agent.or(row.agent);
            for (path, commits) in &commits {
                let found: Vec<_> =
                    row.checkpoints.iter().filter_map(|key| commits.get(key)).flatten().cloned().collect();
                if !found.is_empty() {
                    let session = row.record.session.clone();
                    let record = Record { session, commits: found, ..Record::default() };
                    entry.places.push(Place { path: path.clone(), holder: Holder::Record(Arc::new(record)) });
                }
            }
            let holder = Holder::Record(Arc::new(row.record));
            entry.places.push(Place { path: table.path().to_owned(), holder });
        }
    }
    let without_agent = entries.values_mut().filter(|entry| entry.agent.is_none()).filter_map(|entry| {
        let rows = entry.places.iter().find_map(|place| match &place.holder {
            Holder::Rows(rows) => Some(rows.clone()),
            _ => None,
        })?;
        Some((rows, &mut entry.agent))
    });
    read_agents(without_agent.collect()).map_err(unreadable(&first))?;
    let mentioned = attach(entries, sources);
    if mentioned > 0 {
        let path =
            of(Kind::Sessions).chain(of(Kind::Logs)).next().map_or_else(|| first.clone(), |t| t.path().to_owned());
        skipped.push(Skipped { path, reason: SkipReason::Table(TableFault::Mentioned(mentioned)) });
    }
    if sources.is_empty() { Err(no_conversation(first, skipped)) } else { Ok(()) }
}

/// Why tables came without a session: a table that cannot be used, or none that holds conversations.
fn no_conversation(path: PathBuf, skipped: &mut Vec<Skipped>) -> CorpusError {
    let is_fault = |fault: &TableFault| matches!(fault, TableFault::File(_) | TableFault::Column(_));
    let at = skipped.iter().position(|skipped| matches!(&skipped.reason, SkipReason::Table(fault) if is_fault(fault)));
    match at.map(|at| skipped.swap_remove(at)) {
        Some(Skipped { path, reason: SkipReason::Table(fault) }) => CorpusError::Table { path, fault },
        _ => CorpusError::NoConversation { path },
    }
}

/// Gives each entry to the session that it is about, or makes it one; counts entries that are neither.
fn attach(entries: BTreeMap<String, Entry>, sources: &mut Vec<SessionSource>) -> u64 {
    let mut known: HashMap<String, usize> = HashMap::new();
    for (at, source) in sources.iter().enumerate() {
        known.entry(source.native_id.clone()).or_insert(at);
    }
    for (at, source) in sources.iter().enumerate() {
        for place in source.places.iter().filter(|place| place.holder == Holder::File) {
            if let Some(stem) = place.path.file_stem().and_then(|stem| stem.to_str()) {
                known.entry(stem.to_owned()).or_insert(at);
            }
        }
    }
    let mut alike: HashMap<String, u32> = HashMap::new();
    for session in entries.keys() {
        *alike.entry(swe_chat::native_id(session).to_owned()).or_default() += 1;
    }
    let mut mentioned = 0;
    for (session, entry) in entries {
        let native = swe_chat::native_id(&session);
        let names = [Some(session.as_str()), Some(native), entry.transcript.as_deref()];
        if let Some(&at) = names.into_iter().flatten().find_map(|name| known.get(name)) {
            let places = &mut sources[at].places;
            places.extend(entry.places);
            places.sort();
            places.dedup();
        } else if entry.has_rows {
            let agent = entry.agent.unwrap_or(Agent::Chat);
            // The date tells sessions apart that are alike without it.
            let native_id = if alike.get(native) == Some(&1) { native.to_owned() } else { session.clone() };
            let id = SessionId::new(agent, &native_id);
            let mut places = entry.places;
            places.sort();
            sources.push(SessionSource { id, agent, native_id, places, records: Vec::new() });
        } else {
            mentioned += 1;
        }
    }
    mentioned
}
