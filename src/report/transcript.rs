//! A session as a person reads it: its facts, then its events in order, long output folded, prompts marked with their unit ids.

use super::{duration, plural};
use crate::codebook::Amount;
use crate::material::describe;
use crate::redact::visible::printable;
use crate::session::{Event, EventBody, Session, ToolOutcome};
use crate::unit::UnitId;
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use std::ops::RangeInclusive;

/// What is left of a folded text.
const FOLDED_LINES: usize = 6;
const FOLDED_CHARACTERS: usize = 600;

/// Which events are shown, and how much of each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct View {
    /// Numbers of the events.
    pub events: RangeInclusive<u32>,
    /// The prompt that is asked about, by its event.
    pub target: Option<u32>,
    /// Whether nothing is folded.
    pub full: bool,
}

impl View {
    /// The whole session.
    pub fn whole() -> View {
        View { events: 1..=u32::MAX, target: None, full: false }
    }

    /// The prompt with this ordinal and what is around it: from the prompt before to the one after. None if there is no such prompt.
    pub fn around(session: &Session, ordinal: u32) -> Option<View> {
        let prompts: Vec<u32> = session.prompts().map(|(event, _)| event.number).collect();
        let at = (ordinal as usize).checked_sub(1)?;
        let target = *prompts.get(at)?;
        let first = at.checked_sub(1).map_or(1, |before| prompts[before]);
        let last = prompts.get(at + 1).map_or(u32::MAX, |next| next - 1);
        Some(View { events: first..=last, target: Some(target), full: false })
    }
}

/// The session as text, without anything that would steer a terminal.
pub fn transcript(session: &Session, view: &View) -> String {
    let mut text = facts(session);
    let shown: Vec<&Event> = session.events.iter().filter(|event| view.events.contains(&event.number)).collect();
    let (Some(first), Some(last)) = (shown.first(), shown.last()) else {
        let last = match *view.events.end() {
            u32::MAX => "the end".to_owned(),
            last => last.to_string(),
        };
        text.push_str(&format!("\n(no events from {} to {last})\n", view.events.start()));
        return text;
    };
    let events = session.events.len() as u32;
    let width = events.to_string().len().max(3);
    text.push_str(&gap(1, first.number - 1));
    let mut day = None;
    for event in &shown {
        let today = event.at.map(date);
        if today.is_some() && today != day {
            day = today;
            text.push_str(&day.map(|day| format!("\n{day} (UTC)\n")).unwrap_or_default());
        }
        push_event(&mut text, session, event, view, width);
    }
    text.push_str(&gap(last.number + 1, events));
    text
}

/// What is known of the session as a whole.
fn facts(session: &Session) -> String {
    let summary = session.summary();
    let mut lines =
        vec![printable(summary.id.as_str()).into_owned(), printable(&summary.path.to_string_lossy()).into_owned()];
    if let (Some(started), Some(ended)) = (summary.started, summary.ended) {
        let at = |at: Timestamp| at.strftime("%Y-%m-%d %H:%M:%S").to_string();
        lines.push(format!("{} to {} UTC, active for {}", at(started), at(ended), duration(summary.active_seconds)));
    }
    if !summary.models.is_empty() {
        lines.push(printable(&summary.models.join(", ")).into_owned());
    }
    lines.push(format!(
        "{}, {}, {}, {} ({} failed, {} rejected), {}, {}",
        plural(summary.events as u64, "event"),
        plural(summary.prompts as u64, "prompt"),
        plural(summary.interruptions as u64, "interruption"),
        plural(summary.tool_calls as u64, "tool call"),
        summary.failed_tool_calls,
        summary.rejected_tools,
        plural(summary.compactions as u64, "compaction"),
        plural(summary.commits as u64, "commit"),
    ));
    let usage = summary.usage;
    lines.push(format!(
        "tokens: {} input, {} cached input, {} cache write, {} output ({} of it reasoning)",
        usage.input, usage.cached_input, usage.cache_write, usage.output, usage.reasoning,
    ));
    if summary.subagent_events > 0 {
        lines.push(format!("{} of subagents, not shown", plural(summary.subagent_events, "row")));
    }
    lines.iter().map(|line| format!("{line}\n")).collect()
}

/// Says which events are not shown.
fn gap(first: u32, last: u32) -> String {
    match last.checked_sub(first) {
        None => String::new(),
        Some(0) => format!("\n(event {first} not shown)\n"),
        Some(_) => format!("\n(events {first} to {last} not shown)\n"),
    }
}

fn push_event(text: &mut String, session: &Session, event: &Event, view: &View, width: usize) {
    let amount = if view.full { Amount::Full } else { Amount::Head };
    let (mut label, words, amount) = describe(event, amount, amount);
    let mark = match &event.body {
        EventBody::Prompt(prompt) => {
            label.push_str(&format!("  {}", printable(UnitId::of_prompt(&session.id, prompt.ordinal).as_str())));
            text.push('\n');
            if view.target == Some(event.number) { "==>" } else { ">>>" }
        }
        EventBody::Interruption { .. } => "!!!",
        EventBody::ToolResult(result) if result.outcome != ToolOutcome::Ok => " ! ",
        EventBody::Compaction { .. } | EventBody::Rewind { .. } => "---",
        _ => "   ",
    };
    let time = event.at.map(|at| at.strftime("%H:%M:%S").to_string()).unwrap_or_default();
    text.push_str(format!("{mark} {:>width$}  {time:8}  {label}", event.number).trim_end());
    text.push('\n');
    let indent = " ".repeat(3 + 1 + width + 2);
    let mut push = |line: &str| {
        text.push_str(format!("{indent}{line}").trim_end());
        text.push('\n');
    };
    let words = words.trim_end().trim_start_matches('\n');
    match amount {
        _ if words.is_empty() => {}
        Amount::Full => words.lines().for_each(&mut push),
        Amount::Head => fold(words).iter().for_each(|line| push(line)),
        Amount::None => {}
    }
}

/// The beginning of a text, and how much there is more of it.
fn fold(text: &str) -> Vec<String> {
    let all = text.lines().count();
    // A mark in the place of a single line would save nothing.
    let most = if all > FOLDED_LINES + 1 { FOLDED_LINES } else { all };
    let (mut lines, mut shown) = (Vec::new(), 0);
    for line in text.lines().take(most) {
        let room = FOLDED_CHARACTERS - shown;
        let length = line.chars().count();
        if length >= room {
            lines.push(line.chars().take(room).collect());
            shown = FOLDED_CHARACTERS;
            break;
        }
        lines.push(line.to_owned());
        shown += length + 1;
    }
    let hidden = text.chars().count().saturating_sub(shown);
    match all - lines.len() {
        _ if hidden == 0 => {}
        0 => lines.push(format!("… {}", plural(hidden as u64, "more character"))),
        more => lines.push(format!("… {}, {}", plural(more as u64, "more line"), plural(hidden as u64, "character"))),
    }
    lines
}

fn date(at: Timestamp) -> Date {
    at.to_zoned(TimeZone::UTC).date()
}
