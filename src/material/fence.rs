//! The lines that open and close a session's material. No text can close its own fence.

use super::line::Line;
use crate::session::{Event, EventBody, Session};

/// The marks that a session's materials may be fenced with.
#[derive(Debug)]
pub(super) struct Fences {
    /// In the order of preference; each with the first event whose words hold it. The last one is in no event's words.
    marks: Vec<(String, Option<usize>)>,
}

impl Fences {
    /// Chooses marks for `session`, whose events are `lines`. They are the session's own, so that all its materials begin alike.
    pub fn new(session: &Session, lines: &[Line]) -> Fences {
        let mut marks: Vec<(String, Option<usize>)> = Vec::new();
        // A text of finite length cannot hold every mark.
        while marks.last().is_none_or(|(_, held)| held.is_some()) {
            let mut hasher = blake3::Hasher::new();
            hasher.update(session.id.as_str().as_bytes());
            hasher.update(&(marks.len() as u32).to_le_bytes());
            let mark = hasher.finalize().to_hex()[..16].to_owned();
            let finder = memchr::memmem::Finder::new(mark.as_bytes());
            let holds = |text: &str| finder.find(text.as_bytes()).is_some();
            let in_a_model = session.models.iter().any(|model| holds(model)).then_some(0);
            let held = in_a_model.or_else(|| {
                lines
                    .iter()
                    .zip(&session.events)
                    .position(|(line, event)| holds(&line.text) || fact(event).is_some_and(holds))
            });
            marks.push((mark, held));
        }
        Fences { marks }
    }

    /// The lines around the material of the first `end` events: the first mark that none of these holds, whatever comes later.
    pub fn around(&self, end: usize) -> (String, String) {
        let free = self.marks.iter().find(|(_, held)| held.is_none_or(|held| held >= end));
        let mark = free.map_or("", |(mark, _)| mark);
        (format!("<<<transcript {mark}>>>"), format!("<<<end of transcript {mark}>>>"))
    }
}

/// Foreign words that templates may put beside the text: names of tools, subjects of commits.
fn fact(event: &Event) -> Option<&str> {
    match &event.body {
        EventBody::ToolCall(call) => Some(call.name.as_str()),
        EventBody::Commit { subject, .. } => Some(subject.as_str()),
        _ => None,
    }
}
