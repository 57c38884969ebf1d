//! What a rater sees of a unit, in pieces that a page can fold: the material that a model gets, and the transcript behind it.

use crate::codebook::Amount;
use crate::material::{Coverage, Material, describe, estimate_tokens};
use crate::session::{Event, Session};
use crate::unit::Unit;
use serde::Serialize;

/// Bytes of one stretch of a transcript: what a browser lays out at once without a pause.
const STRETCH_BYTES: usize = 192 * 1024;
/// Bytes of one event in a stretch; what is longer is shown on demand.
const EVENT_BYTES: usize = 6 * 1024;
/// Bytes of one event on demand.
const WHOLE_EVENT_BYTES: usize = 4 * 1024 * 1024;

/// The material of a unit.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Sight {
    /// The events and marks of what was left out, in order.
    pub pieces: Vec<Piece>,
    /// What the template puts beside the events, such as counts over the session.
    pub beside: Option<String>,
    /// How much of the session it is.
    pub coverage: Coverage,
    /// Its length in estimated tokens.
    pub tokens: u64,
    /// The event of the unit, if it is a prompt.
    pub target: Option<u32>,
}

/// An event, or a mark of what was left out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Piece {
    /// The event's number; a mark has none.
    pub event: Option<u32>,
    /// The kind of event, as in exports; `gap` for a mark.
    pub kind: &'static str,
    /// Number, time, who or what.
    pub head: String,
    /// The words as they are shown; those of a mark are its head.
    pub text: String,
    /// Whether it is the prompt that is to be labelled.
    pub is_target: bool,
    /// How many bytes of the text are not in it, in a stretch of the transcript.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub more: Option<usize>,
}

impl Sight {
    /// The material in pieces.
    pub fn new(session: &Session, unit: &Unit, material: &Material, beside: Option<String>) -> Sight {
        Sight {
            pieces: pieces(session, &material.text),
            beside,
            coverage: material.coverage,
            tokens: estimate_tokens(&material.text),
            target: unit.prompt.map(|prompt| prompt.event),
        }
    }
}

/// Cuts a material's text at the beginnings of its events. The lines after an event's first one are indented, so nothing in an event
/// can pass for the beginning of another.
fn pieces(session: &Session, text: &str) -> Vec<Piece> {
    let mut found: Vec<String> = Vec::new();
    for line in text.strip_suffix('\n').unwrap_or(text).split('\n') {
        match found.last_mut().filter(|_| line.starts_with("    ")) {
            Some(last) => {
                last.push('\n');
                last.push_str(&line[4..]);
            }
            None => found.push(line.to_owned()),
        }
    }
    found.into_iter().map(|text| piece(session, text)).collect()
}

fn piece(session: &Session, text: String) -> Piece {
    let (is_target, line) = match text.strip_prefix(">>> ") {
        Some(line) => (true, line),
        None => (false, text.as_str()),
    };
    let number: Option<u32> = line
        .strip_prefix('[')
        .and_then(|line| line.split(|c: char| !c.is_ascii_digit()).next())
        .and_then(|digits| digits.parse().ok());
    let event = number.and_then(|number| session.events.get((number as usize).wrapping_sub(1)));
    let Some((number, event)) = number.zip(event) else {
        return Piece { event: None, kind: "gap", head: text, text: String::new(), is_target: false, more: None };
    };
    let (label, _, _) = describe(event, Amount::Full, Amount::Full);
    // `[12 +0:00:03] USER: words`: the label is known, so that no name of a tool can shift the place.
    let end = line.find("] ").map_or(line.len(), |at| at + 2);
    let head_end = if line[end..].starts_with(&label) { end + label.len() } else { end };
    let words = line[head_end..].strip_prefix(": ").unwrap_or(&line[head_end..]);
    Piece {
        event: Some(number),
        kind: event.body.name(),
        head: line[..head_end].trim_end().to_owned(),
        text: words.to_owned(),
        is_target,
        more: None,
    }
}

/// A stretch of a transcript.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Stretch {
    /// Its events.
    pub pieces: Vec<Piece>,
    /// Where the stretch before it ends, if there is one.
    pub previous: Option<u32>,
    /// Where the next stretch begins, if there is one.
    pub next: Option<u32>,
    /// Number of the last event that the rater may see.
    pub last: u32,
}

/// Which events are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// Those from this one on.
    From(u32),
    /// Those up to this one; the last that the rater may see where it comes later.
    UpTo(u32),
}

impl Stretch {
    /// The wanted events, as many as fit.
    pub fn new(session: &Session, unit: &Unit, wanted: Wanted) -> Stretch {
        let last = last_event(session, unit);
        let target = unit.prompt.map(|prompt| prompt.event);
        let visible = match wanted {
            Wanted::From(from) => events(session, from, last),
            Wanted::UpTo(to) => events(session, 1, last.min(to)),
        };
        let (mut pieces, mut bytes) = (Vec::new(), 0);
        let mut take = |event: &Event| {
            let piece = whole_piece(event, target);
            bytes += piece.text.len() + 200;
            pieces.push(piece);
            bytes <= STRETCH_BYTES
        };
        match wanted {
            Wanted::From(_) => drop(visible.iter().all(&mut take)),
            Wanted::UpTo(_) => {
                visible.iter().rev().all(&mut take);
                pieces.reverse();
            }
        }
        let number = |piece: Option<&Piece>| piece.and_then(|piece| piece.event);
        let (begins, ends) = (number(pieces.first()), number(pieces.last()));
        Stretch {
            previous: begins.filter(|first| *first > 1).map(|first| first - 1),
            next: ends.filter(|end| *end < last).map(|end| end + 1),
            pieces,
            last,
        }
    }
}

/// An event as the transcript has it, but for the end of very long words.
fn whole_piece(event: &Event, target: Option<u32>) -> Piece {
    let (label, words, _) = describe(event, Amount::Full, Amount::Full);
    let end = words.floor_char_boundary(EVENT_BYTES.min(words.len()));
    Piece {
        event: Some(event.number),
        kind: event.body.name(),
        head: format!("[{}] {label}", event.number),
        text: words[..end].trim_end().to_owned(),
        is_target: target == Some(event.number),
        more: (end < words.len()).then_some(words.len() - end),
    }
}

fn events(session: &Session, from: u32, last: u32) -> &[Event] {
    let start = (from.max(1) as usize - 1).min(session.events.len());
    let end = (last as usize).min(session.events.len()).max(start);
    &session.events[start..end]
}

/// Number of the last event that a rater of the unit may see: a prompt's own, else the session's last.
pub fn last_event(session: &Session, unit: &Unit) -> u32 {
    unit.prompt.map_or(u32::try_from(session.events.len()).unwrap_or(u32::MAX), |prompt| prompt.event)
}

/// An event's words in full; none for one that the rater may not see.
pub fn event_text(session: &Session, unit: &Unit, number: u32) -> Option<String> {
    let event = events(session, number, last_event(session, unit)).first().filter(|_| number > 0)?;
    let (_, words, _) = describe(event, Amount::Full, Amount::Full);
    let end = words.floor_char_boundary(WHOLE_EVENT_BYTES.min(words.len()));
    let cut = if end < words.len() { "\n[… the rest is too long to be shown here …]" } else { "" };
    Some(format!("{}{cut}", &words[..end]))
}

#[cfg(test)]
mod tests;
