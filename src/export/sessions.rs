//! The table of sessions: what `sessions --json` says of each, flat. `docs/export.md` is its documentation.

use crate::frame::{Cell, Column, Kind};
use crate::session::SessionSummary;

/// How many columns it has.
const WIDTH: usize = 30;

/// Its columns.
pub(super) static COLUMNS: [Column; WIDTH] = [
    Column::always("id", Kind::Text),
    Column::always("agent", Kind::Text),
    Column::always("path", Kind::Text),
    Column::always("models", Kind::Texts),
    Column::nullable("started", Kind::Time),
    Column::nullable("ended", Kind::Time),
    Column::always("wall_seconds", Kind::Real),
    Column::always("active_seconds", Kind::Real),
    Column::always("events", Kind::Integer),
    Column::always("prompts", Kind::Integer),
    Column::always("interruptions", Kind::Integer),
    Column::always("rejected_tools", Kind::Integer),
    Column::always("tool_calls", Kind::Integer),
    Column::always("failed_tool_calls", Kind::Integer),
    Column::always("subagent_events", Kind::Integer),
    Column::always("compactions", Kind::Integer),
    Column::always("usage_input", Kind::Integer),
    Column::always("usage_cached_input", Kind::Integer),
    Column::always("usage_cache_write", Kind::Integer),
    Column::always("usage_output", Kind::Integer),
    Column::always("usage_reasoning", Kind::Integer),
    Column::always("commits", Kind::Integer),
    Column::nullable("agent_percentage", Kind::Real),
    Column::always("checkpoints", Kind::Texts),
    Column::always("read_lines", Kind::Integer),
    Column::always("read_records", Kind::Integer),
    Column::always("read_unknown", Kind::Integer),
    Column::always("read_repaired", Kind::Integer),
    Column::always("read_bad", Kind::Integer),
    Column::always("redacted", Kind::Flag),
];

/// A session's row.
pub(super) fn cells(session: &SessionSummary, redacted: bool) -> [Cell<'_>; WIDTH] {
    [
        session.id.as_str().into(),
        session.agent.name().into(),
        Cell::Text(session.path.to_string_lossy()),
        Cell::Texts(session.models.iter().map(String::as_str).collect()),
        session.started.into(),
        session.ended.into(),
        session.wall_seconds.into(),
        session.active_seconds.into(),
        Cell::count(session.events),
        Cell::count(session.prompts),
        Cell::count(session.interruptions),
        Cell::count(session.rejected_tools),
        Cell::count(session.tool_calls),
        Cell::count(session.failed_tool_calls),
        Cell::count(session.subagent_events),
        Cell::count(session.compactions),
        Cell::count(session.usage.input),
        Cell::count(session.usage.cached_input),
        Cell::count(session.usage.cache_write),
        Cell::count(session.usage.output),
        Cell::count(session.usage.reasoning),
        Cell::count(session.commits),
        session.agent_percentage.into(),
        Cell::Texts(session.checkpoints.iter().map(|checkpoint| checkpoint.id.as_str()).collect()),
        Cell::count(session.read.lines),
        Cell::count(session.read.records),
        Cell::count(session.read.unknown.values().sum::<u64>()),
        Cell::count(session.read.repaired),
        Cell::count(session.read.bad),
        redacted.into(),
    ]
}
