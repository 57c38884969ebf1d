//! What was said in a session, so that a disagreement can be judged: the prompt and what the agent had said before it; of a session its first and
//! last words. Takes the session as it was read, gives texts from which secrets, addresses and names of homes are taken out.

use super::case::Case;
use crate::redact::{redact_texts, redact_with};
use crate::session::{Event, EventBody, Session};
use serde::Serialize;

/// Characters of a prompt, and of other words.
const PROMPT: usize = 900;
const OTHER: usize = 360;
/// Characters of a rater's text, of all of a case, and quotes of an answer.
const TEXT: usize = 700;
const TEXTS: usize = 4_000;
const QUOTES: usize = 4;

/// Some words of a session.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Excerpt {
    /// Who said what, in order.
    pub parts: Vec<Said>,
}

/// What somebody said.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Said {
    /// `person` or `agent`.
    pub who: &'static str,
    /// The event.
    pub event: u32,
    /// Whether it is what the raters were asked about.
    pub is_target: bool,
    /// The words.
    pub text: String,
    /// How many characters of it are left out.
    pub left_out: usize,
}

/// Gives cases of one session their excerpts. What is found in the session is replaced in the raters' texts as well, by the same names.
pub fn illustrate(mut session: Session, mut cases: Vec<Case>) -> Vec<Case> {
    let texts: Vec<&mut String> = cases.iter_mut().flat_map(Case::texts).collect();
    redact_with(&mut session, texts);
    for case in &mut cases {
        case.excerpt = Some(Excerpt { parts: said(&session, case.unit.as_str()) });
        shorten(case);
    }
    cases
}

/// Takes out of a case what should not leave the machine, where the transcript is not here.
pub fn redact_alone(case: &mut Case) {
    redact_texts(&mut case.texts());
    shorten(case);
}

/// Long texts would make the report large: what raters write is cut, after it has been redacted. Where many wrote, each has less room.
fn shorten(case: &mut Case) {
    case.answers.iter_mut().for_each(|answer| answer.evidence.truncate(QUOTES));
    let mut texts = case.texts();
    let room = TEXT.min(TEXTS / texts.len().max(1));
    texts.iter_mut().for_each(|text| **text = beginning(text, room));
}

fn beginning(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        None => text.to_owned(),
        Some((end, _)) => format!("{}…", &text[..end]),
    }
}

fn said(session: &Session, unit: &str) -> Vec<Said> {
    let events = &session.events;
    let target = events.iter().position(|event| match &event.body {
        EventBody::Prompt(prompt) => unit.strip_prefix(session.id.as_str()) == Some(&format!("#{}", prompt.ordinal)),
        _ => false,
    });
    let reply = |events: &[Event]| events.iter().rev().find_map(|event| words(event, OTHER, false));
    let is_prompt = |event: &&Event| matches!(event.body, EventBody::Prompt(_));
    match target {
        Some(at) => reply(&events[..at]).into_iter().chain(words(&events[at], PROMPT, true)).collect(),
        None => {
            let first = events.iter().find(is_prompt);
            let last =
                events.iter().rev().find(is_prompt).filter(|last| Some(last.number) != first.map(|one| one.number));
            let mut parts: Vec<Said> =
                first.into_iter().chain(last).filter_map(|event| words(event, OTHER, false)).collect();
            parts.extend(reply(events));
            parts.sort_by_key(|part| part.event);
            parts
        }
    }
}

/// A prompt or a reply; nothing of other events.
fn words(event: &Event, most: usize, is_target: bool) -> Option<Said> {
    let (who, text) = match &event.body {
        EventBody::Prompt(prompt) => ("person", prompt.text.trim()),
        EventBody::Reply { text } if !is_target => ("agent", text.trim()),
        _ => return None,
    };
    // Of an agent's last words the end matters: that is what the person answers.
    let count = text.chars().count();
    let left_out = count.saturating_sub(most);
    let text = if who == "agent" { text.chars().skip(left_out).collect() } else { text.chars().take(most).collect() };
    Some(Said { who, event: event.number, is_target, text, left_out }).filter(|said| !said.text.is_empty())
}
