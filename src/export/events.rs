//! The table of events: a row an event, with the columns of all kinds side by side. `docs/export.md` is its documentation.

use crate::frame::{Cell, Column, Kind};
use crate::session::{Event, EventBody, Session, ToolCall};
use crate::unit::UnitId;

/// How many columns it has.
const WIDTH: usize = 18;

/// Its columns.
pub(super) static COLUMNS: [Column; WIDTH] = [
    Column::always("session", Kind::Text),
    Column::always("number", Kind::Integer),
    Column::nullable("at", Kind::Time),
    Column::always("kind", Kind::Text),
    Column::nullable("text", Kind::Text),
    Column::nullable("unit", Kind::Text),
    Column::nullable("ordinal", Kind::Integer),
    Column::nullable("channel", Kind::Text),
    Column::nullable("images", Kind::Integer),
    Column::nullable("tool", Kind::Text),
    Column::nullable("category", Kind::Text),
    Column::nullable("call", Kind::Integer),
    Column::nullable("outcome", Kind::Text),
    Column::nullable("source", Kind::Text),
    Column::nullable("during_tool", Kind::Flag),
    Column::nullable("first_event", Kind::Integer),
    Column::nullable("withdrawn_prompts", Kind::Integer),
    Column::nullable("commit", Kind::Text),
];

/// What an event has beside its number, time and kind.
#[derive(Default)]
struct Parts<'a> {
    text: Option<&'a str>,
    unit: Option<UnitId>,
    ordinal: Option<u32>,
    channel: Option<&'a str>,
    images: Option<u32>,
    tool: Option<&'a ToolCall>,
    call: Option<u32>,
    outcome: Option<&'a str>,
    source: Option<&'a str>,
    during_tool: Option<bool>,
    first_event: Option<u32>,
    withdrawn_prompts: Option<u32>,
    commit: Option<&'a str>,
}

/// An event's row.
pub(super) fn cells<'a>(session: &'a Session, event: &'a Event) -> [Cell<'a>; WIDTH] {
    let parts = parts(session, event);
    [
        session.id.as_str().into(),
        event.number.into(),
        event.at.into(),
        event.body.name().into(),
        parts.text.into(),
        parts.unit.map(|unit| Cell::text(unit.to_string())).into(),
        parts.ordinal.into(),
        parts.channel.into(),
        parts.images.into(),
        parts.tool.map(|tool| tool.name.as_str()).into(),
        parts.tool.map(|tool| tool.category.name()).into(),
        parts.call.into(),
        parts.outcome.into(),
        parts.source.into(),
        parts.during_tool.into(),
        parts.first_event.into(),
        parts.withdrawn_prompts.into(),
        parts.commit.into(),
    ]
}

fn parts<'a>(session: &'a Session, event: &'a Event) -> Parts<'a> {
    match &event.body {
        EventBody::Prompt(prompt) => Parts {
            text: Some(&prompt.text),
            unit: Some(UnitId::of_prompt(&session.id, prompt.ordinal)),
            ordinal: Some(prompt.ordinal),
            channel: Some(prompt.channel.name()),
            images: Some(prompt.images),
            ..Parts::default()
        },
        EventBody::Reply { text } | EventBody::ClientError { text } => Parts { text: Some(text), ..Parts::default() },
        EventBody::ToolCall(call) => Parts { text: Some(&call.input), tool: Some(call), ..Parts::default() },
        EventBody::ToolResult(result) => Parts {
            text: Some(&result.text),
            tool: result.call.and_then(|number| call(session, number)),
            call: result.call,
            outcome: Some(result.outcome.name()),
            ..Parts::default()
        },
        EventBody::Interruption { during_tool } => Parts { during_tool: Some(*during_tool), ..Parts::default() },
        EventBody::Injected { source, text } => {
            Parts { text: Some(text), source: Some(source.name()), ..Parts::default() }
        }
        EventBody::Compaction { summary } => Parts { text: Some(summary), ..Parts::default() },
        EventBody::Rewind { first_event, prompts } => {
            Parts { first_event: Some(*first_event), withdrawn_prompts: Some(*prompts), ..Parts::default() }
        }
        EventBody::Commit { hash, subject } => Parts { text: Some(subject), commit: Some(hash), ..Parts::default() },
    }
}

/// The tool call at an event, so that a result says what it is the result of.
fn call(session: &Session, number: u32) -> Option<&ToolCall> {
    match &session.events.get(number.checked_sub(1)? as usize)?.body {
        EventBody::ToolCall(call) => Some(call),
        _ => None,
    }
}
