//! What a rater sees of a session: its events rendered as text, cut where the codebook says, fenced as other people's words.
//!
//! A prompt's material holds nothing that came after the prompt, and no rater's label is ever part of it. What is left out is marked
//! where it was, and counted in [`Coverage`].

use crate::codebook::{Amount, Before, Cut, Sees};
use crate::redact::visible::printable;
use crate::session::{Channel, Event, EventBody, InjectedSource, Session, ToolCategory, ToolOutcome};
use crate::unit::Unit;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// Bytes per token that estimates use; English prose has about 4, code and logs fewer.
const BYTES_PER_TOKEN: f64 = 3.5;
/// Lines and bytes that [`Amount::Head`] leaves of a text.
const HEAD_LINES: usize = 12;
const HEAD_BYTES: usize = 1_200;
/// An event longer than this share of the whole limit is cut in its middle.
const LARGEST_EVENT_SHARE: f64 = 0.25;
/// The share of the limit that a cut in the middle gives to the beginning.
const BEGINNING_SHARE: f64 = 0.35;
/// Tokens kept free for the marks of what is left out: at most three gaps.
const MARKS: u64 = 75;

/// How many tokens a text has, roughly: exact counts exist for one model family only.
pub fn estimate_tokens(text: &str) -> u64 {
    (text.len() as f64 / BYTES_PER_TOKEN).ceil() as u64
}

/// What a rater sees.
#[derive(Debug, Clone, PartialEq)]
pub struct Material {
    /// The rendered events.
    pub text: String,
    /// The line that opens the fence.
    pub open: String,
    /// The line that closes it; it does not occur in `text`.
    pub close: String,
    /// How much of the session is in it.
    pub coverage: Coverage,
    /// Numbers of the events that are shown, in order.
    pub shown: Vec<u32>,
}

/// How much of what a rater could have seen is in the material, as shares from 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Coverage {
    /// Share of the text, in estimated tokens.
    pub tokens: f64,
    /// Share of the human's prompts.
    pub prompts: f64,
}

/// Renders what a rater of `unit` sees of its session.
pub fn render(session: &Session, unit: &Unit, sees: &Sees) -> Material {
    let target = unit.prompt.map(|prompt| prompt.event);
    let visible = visible(session, target, sees.before);
    let budget = sees.max_tokens;
    let largest = ((budget as f64 * LARGEST_EVENT_SHARE * BYTES_PER_TOKEN) as usize).max(400);
    let lines: Vec<Line> = visible.iter().map(|event| Line::render(session, event, target, sees, largest)).collect();
    let cut = sees.cut.unwrap_or(if target.is_some() { Cut::Start } else { Cut::Middle });
    let kept = keep(&lines, budget, cut);
    let text = join(&lines, &kept);
    let (open, close) = fence(session, &text);
    let share = |part: u64, whole: u64| if whole == 0 { 1.0 } else { (part as f64 / whole as f64).min(1.0) };
    let sum = |value: &dyn Fn(&Line) -> u64, kept_only: bool| {
        lines.iter().zip(&kept).filter(|(_, kept)| !kept_only || **kept).map(|(line, _)| value(line)).sum::<u64>()
    };
    let prompts = |line: &Line| u64::from(line.is_prompt);
    Material {
        coverage: Coverage {
            tokens: round(share(sum(&|line| line.shown_bytes, true), sum(&|line| line.full_bytes, false))),
            prompts: round(share(sum(&prompts, true), sum(&prompts, false))),
        },
        shown: lines.iter().zip(&kept).filter(|(_, kept)| **kept).map(|(line, _)| line.number).collect(),
        text,
        open,
        close,
    }
}

/// Four digits: shares are read by people and compared in files.
fn round(share: f64) -> f64 {
    (share * 10_000.0).round() / 10_000.0
}

/// The events that a rater may see: for a prompt those up to it, never one after it.
fn visible(session: &Session, target: Option<u32>, before: Before) -> &[Event] {
    let Some(target) = target else { return &session.events };
    let end = session.events.partition_point(|event| event.number <= target);
    let last = end.saturating_sub(1);
    let start = match before {
        Before::All => 0,
        Before::Nothing => last,
        Before::Recent => {
            session.events[..last].iter().rposition(|event| matches!(event.body, EventBody::Prompt(_))).unwrap_or(0)
        }
    };
    &session.events[start..end]
}

/// One event as text.
struct Line {
    number: u32,
    text: String,
    tokens: u64,
    /// Bytes of the event's own words that are shown, and that there were.
    shown_bytes: u64,
    full_bytes: u64,
    is_prompt: bool,
    is_target: bool,
}

impl Line {
    fn render(session: &Session, event: &Event, target: Option<u32>, sees: &Sees, largest: usize) -> Line {
        let is_target = target == Some(event.number);
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
        let lead = if is_target { ">>> " } else { "" };
        let separator = if shown.is_empty() { "" } else { ": " };
        let text = format!("{lead}[{}{time}] {label}{separator}{}", event.number, indent(&shown));
        let shown_bytes = if amount == Amount::None { 0 } else { shown.len().min(words.len()) };
        Line {
            number: event.number,
            tokens: estimate_tokens(&text) + 1,
            text,
            shown_bytes: shown_bytes as u64,
            full_bytes: words.len() as u64,
            is_prompt: matches!(event.body, EventBody::Prompt(_)),
            is_target,
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
            (format!("TOOL {name} ({})", category(call.category)), words(&call.input), tool_calls)
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

fn category(category: ToolCategory) -> &'static str {
    match category {
        ToolCategory::Research => "research",
        ToolCategory::Edit => "edit",
        ToolCategory::Verify => "verify",
        ToolCategory::Git => "git",
        ToolCategory::Plan => "plan",
        ToolCategory::Delegate => "delegate",
        ToolCategory::Shell => "shell",
        ToolCategory::Other => "other",
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
fn cut_middle(text: &str, max_bytes: usize, max_lines: usize) -> Cow<'_, str> {
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

/// Which events fit the limit. The target always stays, and the session's first prompt is the next to find room.
fn keep(lines: &[Line], budget: u64, cut: Cut) -> Vec<bool> {
    let total: u64 = lines.iter().map(|line| line.tokens).sum();
    if total <= budget {
        return vec![true; lines.len()];
    }
    let mut kept = vec![false; lines.len()];
    let mut left = budget.saturating_sub(MARKS);
    let mut take = |at: usize, left: &mut u64| {
        if kept[at] {
            return true;
        }
        let fits = lines[at].tokens <= *left;
        if fits || lines[at].is_target {
            kept[at] = true;
            *left = left.saturating_sub(lines[at].tokens);
        }
        fits
    };
    if let Some(target) = lines.iter().position(|line| line.is_target) {
        take(target, &mut left);
    }
    if let Some(first) = lines.iter().position(|line| line.is_prompt) {
        take(first, &mut left);
    }
    if cut == Cut::Middle {
        let mut beginning = (left as f64 * BEGINNING_SHARE) as u64;
        let whole = beginning;
        for at in 0..lines.len() {
            if !take(at, &mut beginning) {
                break;
            }
        }
        left -= whole - beginning;
    }
    for at in (0..lines.len()).rev() {
        if !take(at, &mut left) {
            break;
        }
    }
    kept
}

/// The kept events, with a mark wherever some are missing.
fn join(lines: &[Line], kept: &[bool]) -> String {
    let mut text = String::with_capacity(lines.iter().map(|line| line.text.len() + 1).sum());
    let mut at = 0;
    while at < lines.len() {
        if kept[at] {
            text.push_str(&lines[at].text);
            at += 1;
        } else {
            let end = (at..lines.len()).find(|at| kept[*at]).unwrap_or(lines.len());
            let gone = &lines[at..end];
            let prompts = gone.iter().filter(|line| line.is_prompt).count();
            let (first, last) = (gone[0].number, gone[gone.len() - 1].number);
            text.push_str(&format!("[… events {first}–{last} left out: {} events, {prompts} prompts …]", gone.len()));
            at = end;
        }
        text.push('\n');
    }
    text
}

/// Lines that open and close the material. The mark is the same for all units of a session where possible, so that requests share a
/// prefix, and is chosen anew until the text does not contain it.
fn fence(session: &Session, text: &str) -> (String, String) {
    let mark = (0u32..)
        .map(|attempt| {
            let mut hasher = blake3::Hasher::new();
            hasher.update(session.id.as_str().as_bytes());
            hasher.update(&attempt.to_le_bytes());
            hasher.finalize().to_hex()[..16].to_owned()
        })
        .find(|mark| !text.contains(mark.as_str()) && !facts(session).any(|fact| fact.contains(mark.as_str())))
        .expect("a text of finite length cannot contain every mark");
    (format!("<<<transcript {mark}>>>"), format!("<<<end of transcript {mark}>>>"))
}

/// Foreign words that templates may put beside the text: names of tools and models, subjects of commits.
fn facts(session: &Session) -> impl Iterator<Item = &str> {
    let events = session.events.iter().filter_map(|event| match &event.body {
        EventBody::ToolCall(call) => Some(call.name.as_str()),
        EventBody::Commit { subject, .. } => Some(subject.as_str()),
        _ => None,
    });
    events.chain(session.models.iter().map(String::as_str))
}

#[cfg(test)]
mod tests;
