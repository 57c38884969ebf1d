//! Sessions as a table: a line a session, in the order that was asked for, as much of it as a terminal is wide.

use super::{duration, grid, text};
use crate::session::{SessionId, SessionSummary};
use clap::ValueEnum;
use std::cmp::Ordering;

/// What sessions are sorted by: the names of `sessions --json`, and those of the table where they differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the names are those of SessionSummary")]
pub enum SortColumn {
    #[value(alias = "session")]
    Id,
    Agent,
    Path,
    #[value(alias = "model")]
    Models,
    Started,
    Ended,
    WallSeconds,
    #[value(alias = "active")]
    ActiveSeconds,
    Events,
    Prompts,
    #[value(alias = "interrupted")]
    Interruptions,
    #[value(alias = "rejected")]
    RejectedTools,
    #[value(alias = "tools")]
    ToolCalls,
    #[value(alias = "failed")]
    FailedToolCalls,
    SubagentEvents,
    Compactions,
    #[value(name = "usage.input")]
    Input,
    #[value(name = "usage.cached_input")]
    CachedInput,
    #[value(name = "usage.cache_write")]
    CacheWrite,
    #[value(name = "usage.output", alias = "output")]
    Output,
    #[value(name = "usage.reasoning")]
    Reasoning,
    Commits,
    AgentPercentage,
}

/// Sorts sessions, smallest first unless `reverse`. Equals stay as they were; what has no value stands last either way.
pub fn sort(sessions: &mut [SessionSummary], column: SortColumn, reverse: bool) {
    sessions.sort_by(|a, b| compare(a, b, column, reverse));
}

fn compare(a: &SessionSummary, b: &SessionSummary, column: SortColumn, reverse: bool) -> Ordering {
    let turn = |order: Ordering| if reverse { order.reverse() } else { order };
    let maybe = |is_none: (bool, bool), order: Ordering| match is_none {
        (false, false) => turn(order),
        // `false` is smaller: those that have a value come first.
        (a, b) => a.cmp(&b),
    };
    match column {
        SortColumn::Id => turn(a.id.cmp(&b.id)),
        SortColumn::Agent => turn(a.agent.name().cmp(b.agent.name())),
        SortColumn::Path => turn(a.path.cmp(&b.path)),
        SortColumn::Models => maybe((a.models.is_empty(), b.models.is_empty()), a.models.cmp(&b.models)),
        SortColumn::Started => maybe((a.started.is_none(), b.started.is_none()), a.started.cmp(&b.started)),
        SortColumn::Ended => maybe((a.ended.is_none(), b.ended.is_none()), a.ended.cmp(&b.ended)),
        SortColumn::WallSeconds => turn(a.wall_seconds.total_cmp(&b.wall_seconds)),
        SortColumn::ActiveSeconds => turn(a.active_seconds.total_cmp(&b.active_seconds)),
        SortColumn::Events => turn(a.events.cmp(&b.events)),
        SortColumn::Prompts => turn(a.prompts.cmp(&b.prompts)),
        SortColumn::Interruptions => turn(a.interruptions.cmp(&b.interruptions)),
        SortColumn::RejectedTools => turn(a.rejected_tools.cmp(&b.rejected_tools)),
        SortColumn::ToolCalls => turn(a.tool_calls.cmp(&b.tool_calls)),
        SortColumn::FailedToolCalls => turn(a.failed_tool_calls.cmp(&b.failed_tool_calls)),
        SortColumn::SubagentEvents => turn(a.subagent_events.cmp(&b.subagent_events)),
        SortColumn::Compactions => turn(a.compactions.cmp(&b.compactions)),
        SortColumn::Input => turn(a.usage.input.cmp(&b.usage.input)),
        SortColumn::CachedInput => turn(a.usage.cached_input.cmp(&b.usage.cached_input)),
        SortColumn::CacheWrite => turn(a.usage.cache_write.cmp(&b.usage.cache_write)),
        SortColumn::Output => turn(a.usage.output.cmp(&b.usage.output)),
        SortColumn::Reasoning => turn(a.usage.reasoning.cmp(&b.usage.reasoning)),
        SortColumn::Commits => turn(a.commits.cmp(&b.commits)),
        SortColumn::AgentPercentage => {
            let is_none = (a.agent_percentage.is_none(), b.agent_percentage.is_none());
            let value = |session: &SessionSummary| session.agent_percentage.unwrap_or_default();
            maybe(is_none, value(a).total_cmp(&value(b)))
        }
    }
}

/// The columns, and which of them a narrow terminal gets first.
const COLUMNS: [(&str, usize); 11] = [
    ("session", 0),
    ("started", 1),
    ("prompts", 2),
    ("interrupted", 5),
    ("tools", 4),
    ("failed", 7),
    ("rejected", 10),
    ("active", 3),
    ("output tokens", 8),
    ("commits", 9),
    ("model", 6),
];
/// Columns between two of a table.
const GAP: usize = 2;

/// A table of sessions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listing {
    /// The table.
    pub text: String,
    /// Columns that found no room.
    pub left_out: Vec<&'static str>,
}

/// The sessions as a table, whole, or within `width` columns. Where it is too wide, ids are cut to what tells them apart among `all` ids
/// (`--show` takes such a beginning), then columns are left out.
pub fn listing(sessions: &[SessionSummary], all: &[&SessionId], width: Option<usize>) -> Listing {
    let mut rows: Vec<[String; COLUMNS.len()]> = sessions.iter().map(row).collect();
    let all_columns: Vec<usize> = (0..COLUMNS.len()).collect();
    let Some(width) = width.filter(|width| line_width(&rows, &all_columns) > *width) else {
        return Listing { text: table(&rows, &all_columns), left_out: Vec::new() };
    };
    let short = short_ids(all);
    for (row, session) in rows.iter_mut().zip(sessions) {
        if let Ok(at) = short.binary_search_by(|(id, _)| (*id).cmp(session.id.as_str())) {
            row[0] = short[at].1.to_owned();
        }
    }
    let mut by_need: Vec<usize> = all_columns;
    by_need.sort_by_key(|column| COLUMNS[*column].1);
    let mut kept: Vec<usize> = Vec::new();
    for column in by_need {
        kept.push(column);
        // The first stays, however narrow the terminal.
        if kept.len() > 1 && line_width(&rows, &kept) > width {
            kept.pop();
        }
    }
    kept.sort_unstable();
    let left_out = (0..COLUMNS.len()).filter(|column| !kept.contains(column)).map(|column| COLUMNS[column].0).collect();
    Listing { text: table(&rows, &kept), left_out }
}

fn row(session: &SessionSummary) -> [String; COLUMNS.len()] {
    let model = match session.models.as_slice() {
        [] => String::new(),
        [model] => model.clone(),
        [model, others @ ..] => format!("{model} +{}", others.len()),
    };
    [
        session.id.to_string(),
        session.started.map(|at| at.strftime("%Y-%m-%d %H:%M").to_string()).unwrap_or_default(),
        session.prompts.to_string(),
        session.interruptions.to_string(),
        session.tool_calls.to_string(),
        session.failed_tool_calls.to_string(),
        session.rejected_tools.to_string(),
        duration(session.active_seconds),
        session.usage.output.to_string(),
        session.commits.to_string(),
        model,
    ]
}

fn table(rows: &[[String; COLUMNS.len()]], columns: &[usize]) -> String {
    let header: Vec<&str> = columns.iter().map(|column| COLUMNS[*column].0).collect();
    let is_number = |column: usize| !matches!(COLUMNS[column].0, "session" | "started" | "model");
    let numbers: Vec<usize> = (0..columns.len()).filter(|at| is_number(columns[*at])).collect();
    let mut grid = grid(&header, &numbers);
    for row in rows {
        grid.add_row(columns.iter().map(|column| row[*column].as_str()).collect::<Vec<_>>());
    }
    text(&grid)
}

/// How wide a table of these columns is.
fn line_width(rows: &[[String; COLUMNS.len()]], columns: &[usize]) -> usize {
    let widths = columns.iter().map(|&column| {
        let cells = rows.iter().map(|row| row[column].chars().count());
        cells.max().unwrap_or(0).max(COLUMNS[column].0.len())
    });
    widths.sum::<usize>() + GAP * columns.len().saturating_sub(1)
}

/// The shortest beginning of each id that no other id has, but never fewer than eight characters of the agent's own id. Sorted by id.
fn short_ids<'a>(ids: &[&'a SessionId]) -> Vec<(&'a str, &'a str)> {
    const SHORTEST: usize = 8;
    let mut ids: Vec<&str> = ids.iter().map(|id| id.as_str()).collect();
    ids.sort_unstable();
    let common = |a: &str, b: &str| a.bytes().zip(b.bytes()).take_while(|(a, b)| a == b).count();
    (0..ids.len())
        .map(|at| {
            let id = ids[at];
            let neighbours = [at.checked_sub(1), Some(at + 1)];
            let shared = neighbours.into_iter().flatten().filter_map(|at| ids.get(at)).map(|other| common(id, other));
            let agent = id.find(':').map_or(0, |colon| colon + 1);
            let length = (shared.max().unwrap_or(0) + 1).max(agent + SHORTEST);
            (id, &id[..id.ceil_char_boundary(length.min(id.len()))])
        })
        .collect()
}
