//! One event as a line of material: who or what, the words, and how much of them is shown.

use super::{BYTES_PER_TOKEN, estimate_tokens};
use crate::codebook::{Amount, Sees};
use crate::redact::visible::printable;
use crate::session::{Channel, Event, EventBody, InjectedSource, Session, ToolOutcome};
use std::borrow::Cow;

/// Lines and bytes that [`Amount::Head`] leaves of a text.
pub(super) const HEAD_LINES: usize = 12;
pub(super) const HEAD_BYTES: usize = 1_200;
/// An event longer than this is cut in its middle: this share of the whole limit, but never more than so many tokens, so that codebooks
/// with unlike limits render an event alike.
const LARGEST_EVENT_SHARE: f64 = 0.25;
const LARGEST_EVENT_TOKENS: f64 = 6_000.0;

/// One event as text.
#[derive(Debug)]
pub(super) struct Line {
    pub number: u32,
    /// Several lines of text, in fact: those after the first are indented.
    pub text: String,
    pub tokens: u64,
    /// Bytes of the event's own words that are shown, and that there were.
    pub shown_bytes: u64,
    pub full_bytes: u64,
    pub is_prompt: bool,
}

impl Line {
    pub fn render(session: &Session, event: &Event, sees: &Sees) -> Line {
        let largest = (sees.max_tokens as f64 * LARGEST_EVENT_SHARE).min(LARGEST_EVENT_TOKENS) * BYTES_PER_TOKEN;
        let largest = (largest as usize).max(400);
        let (label, words, amount) = describe(event, sees.tool_calls, sees.tool_results);
        let shown = match amount {
            Amount::Full => cut_middle(&words, largest, usize::MAX),
            Amount::Head => cut_middle(&words, HEAD_BYTES.min(largest), HEAD_LINES),
            Amount::None if words.trim().is_empty() => Cow::Borrowed(""),
            Amount::None => Cow::Owned(format!("({} characters not shown)", words.chars().count())),
        };
        let time = match (sees.times, session.started, event.at) {
            (true, Some(started), Some(at)) => format!(" +{}", clock(at.as_second() - started.as_second())),
            _ => String::new(),
        };
        let separator = if shown.is_empty() { "" } else { ": " };
        let text = format!("[{}{time}] {label}{separator}{}", event.number, indent(&shown));
        let shown_bytes = if amount == Amount::None { 0 } else { shown.len().min(words.len()) };
        Line {
            number: event.number,
            // The end of the line, and perhaps the target's mark.
            tokens: estimate_tokens(&text) + 2,
            text,
            shown_bytes: shown_bytes as u64,
            full_bytes: words.len() as u64,
            is_prompt: matches!(event.body, EventBody::Prompt(_)),
        }
    }
}

/// Who or what, the words, and how much of them to show, where so much is shown of the input and of the results of tools.
pub(crate) fn describe(event: &Event, tool_calls: Amount, tool_results: Amount) -> (String, Cow<'_, str>, Amount) {
    let words = printable;
    match &event.body {
        EventBody::Prompt(prompt) => {
            let how = match prompt.channel {
                Channel::Typed | Channel::SlashCommand | Channel::Shell => "USER",
                Channel::Steering => "USER (while the agent worked)",
                Channel::Rejection => "USER (as the reason for rejecting the tool call)",
            };
            let images = match prompt.images {
                0 => String::new(),
                1 => " (with an image)".to_owned(),
                n => format!(" (with {n} images)"),
            };
            (format!("{how}{images}"), words(&prompt.text), Amount::Full)
        }
        EventBody::Reply { text } => ("AGENT".to_owned(), words(text), Amount::Full),
        EventBody::ToolCall(call) => {
            let name: String = printable(&call.name).chars().filter(|c| !c.is_control()).take(60).collect();
            (format!("TOOL {name} ({})", call.category.name()), words(&call.input), tool_calls)
        }
        EventBody::ToolResult(result) => {
            let of = result.call.map(|call| format!(" of {call}")).unwrap_or_default();
            let outcome = match result.outcome {
                ToolOutcome::Ok => "",
                ToolOutcome::Failed => ", failed",
                ToolOutcome::Rejected => ", rejected by the user",
                ToolOutcome::Interrupted => ", interrupted",
            };
            // A refusal's text is the harness's boilerplate; the user's own words follow as a prompt.
            let amount = if result.outcome == ToolOutcome::Rejected { Amount::None } else { tool_results };
            (format!("RESULT{of}{outcome}"), words(&result.text), amount)
        }
        EventBody::Interruption { during_tool } => {
            let what =
                if *during_tool { "INTERRUPTED by the user during a tool call" } else { "INTERRUPTED by the user" };
            (what.to_owned(), Cow::Borrowed(""), Amount::Full)
        }
        EventBody::Injected { source, text } => {
            let amount = if *source == InjectedSource::AcceptedPlan { Amount::Full } else { Amount::Head };
            (format!("NOTE ({}, nobody typed this)", injected(*source)), words(text), amount)
        }
        EventBody::Compaction { summary } => {
            ("NOTE (the conversation so far was summarised)".to_owned(), words(summary), Amount::Head)
        }
        EventBody::Rewind { first_event, prompts } => {
            let what = format!("REWOUND by the user to before [{first_event}]; {prompts} prompt(s) withdrawn");
            (what, Cow::Borrowed(""), Amount::Full)
        }
        EventBody::Commit { hash, subject } => (format!("COMMIT {}", printable(hash)), words(subject), Amount::Full),
        EventBody::ClientError { text } => ("NOTE (error of the client)".to_owned(), words(text), Amount::Head),
    }
}

fn injected(source: InjectedSource) -> &'static str {
    match source {
        InjectedSource::Harness => "harness notice",
        InjectedSource::Notification => "task notification",
        InjectedSource::Skill => "skill or command text",
        InjectedSource::CommandOutput => "output of a local command",
        InjectedSource::Hook => "hook",
        InjectedSource::AcceptedPlan => "the agent's plan, accepted by the user",
        InjectedSource::Answers => "answers chosen in a question tool",
        InjectedSource::Context => "context",
    }
}

/// Follow-up lines are indented, so that no text can pass for the start of another event.
fn indent(text: &str) -> String {
    text.trim_end().replace('\n', "\n    ")
}

fn clock(seconds: i64) -> String {
    let seconds = seconds.max(0);
    format!("{}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60)
}

/// Keeps the beginning and the end of a text within limits of bytes and lines, with a mark of what is missing between.
pub(super) fn cut_middle(text: &str, max_bytes: usize, max_lines: usize) -> Cow<'_, str> {
    let lines = if max_lines == usize::MAX { 0 } else { memchr::memchr_iter(b'\n', text.as_bytes()).count() + 1 };
    if text.len() <= max_bytes && lines <= max_lines {
        return Cow::Borrowed(text);
    }
    let (head_lines, tail_lines) = (max_lines.div_ceil(3) * 2, max_lines / 3);
    let head_end = floor_boundary(text, nth_line_start(text, head_lines).min(max_bytes / 3 * 2));
    let tail_by_lines = nth_last_line_start(text, tail_lines);
    let tail_start = ceil_boundary(text, tail_by_lines.max(text.len() - (max_bytes / 3).min(text.len())).max(head_end));
    let left_out = text[head_end..tail_start].chars().count();
    if left_out == 0 {
        return Cow::Borrowed(text);
    }
    Cow::Owned(format!(
        "{}\n[… {left_out} characters left out …]\n{}",
        text[..head_end].trim_end(),
        &text[tail_start..]
    ))
}

fn nth_line_start(text: &str, n: usize) -> usize {
    if n >= text.len() {
        return text.len();
    }
    memchr::memchr_iter(b'\n', text.as_bytes()).nth(n.saturating_sub(1)).map_or(text.len(), |at| at + 1)
}

fn nth_last_line_start(text: &str, n: usize) -> usize {
    if n >= text.len() {
        return 0;
    }
    memchr::memrchr_iter(b'\n', text.trim_end().as_bytes()).nth(n.saturating_sub(1)).map_or(0, |at| at + 1)
}

fn floor_boundary(text: &str, at: usize) -> usize {
    text.floor_char_boundary(at.min(text.len()))
}

fn ceil_boundary(text: &str, at: usize) -> usize {
    text.ceil_char_boundary(at.min(text.len()))
}
