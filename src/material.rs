//! What a rater sees of a session: its events rendered as text, cut where the codebook says, fenced as other people's words.
//!
//! A prompt's material holds nothing that came after the prompt, and no rater's label is ever part of it. What is left out is marked
//! where it was, and counted in [`Coverage`].
//!
//! The materials of a session's prompts begin alike for as long as they can, since providers charge little for a beginning that they
//! have seen: each is the one before it and what came since. Where a prompt's material has to be cut, it loses half of what it may hold
//! at once, so that the next ones again only grow. A [`Renderer`] renders every event once, however many units see it. What several
//! prompts are shown at once is a [`GroupMaterial`].

mod fence;
mod group;
mod line;
mod window;

use crate::codebook::{Before, Cut, Sees};
use crate::session::Session;
use crate::unit::Unit;
use fence::Fences;
pub use group::GroupMaterial;
use line::Line;
pub(crate) use line::describe;
use serde::{Deserialize, Serialize};
use std::ops::Range;

/// Bytes per token that estimates use; English prose has about 4, code and logs fewer.
const BYTES_PER_TOKEN: f64 = 3.5;
/// What stands before the event that is to be annotated.
const TARGET: &str = ">>> ";

/// How many tokens a text has, roughly: exact counts exist for one model family only.
pub fn estimate_tokens(text: &str) -> u64 {
    (text.len() as f64 / BYTES_PER_TOKEN).ceil() as u64
}

/// What a rater sees.
#[derive(Debug, Clone, PartialEq)]
pub struct Material {
    /// The rendered events.
    pub text: String,
    /// Where in `text` other units of the session may go on in another way: the beginnings of prompts, in order. What stands before each
    /// is a beginning that several units share.
    pub branches: Vec<usize>,
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

impl Coverage {
    /// Nothing is in it: nobody looked at it.
    pub const NONE: Coverage = Coverage { tokens: 0.0, prompts: 0.0 };
}

/// Renders what a rater of `unit` sees of its session. For several units of a session a [`Renderer`] does it in less time.
pub fn render(session: &Session, unit: &Unit, sees: &Sees) -> Material {
    Renderer::new(session, sees).material(unit)
}

/// Renders the units of one session for one codebook.
#[derive(Debug)]
pub struct Renderer {
    sees: Sees,
    lines: Vec<Line>,
    /// Where the prompts stand among the lines.
    prompts: Vec<usize>,
    /// For each prompt, the first line of the window that ends with it.
    windows: Vec<usize>,
    fences: Fences,
}

impl Renderer {
    /// Renders every event of `session`.
    pub fn new(session: &Session, sees: &Sees) -> Renderer {
        let lines: Vec<Line> = session.events.iter().map(|event| Line::render(session, event, sees)).collect();
        let prompts: Vec<usize> = (0..lines.len()).filter(|&at| lines[at].is_prompt).collect();
        Renderer {
            windows: window::growing(&lines, &prompts, sees.max_tokens),
            fences: Fences::new(session, &lines),
            sees: *sees,
            lines,
            prompts,
        }
    }

    /// What a rater of `unit` sees. The unit must be one of the session's.
    pub fn material(&self, unit: &Unit) -> Material {
        let target = self.target(unit);
        let visible = self.visible(target);
        let kept = self.kept(target, visible.clone());
        self.of_lines(&kept, visible, target.as_slice())
    }

    /// Where the unit's prompt stands among the lines.
    fn target(&self, unit: &Unit) -> Option<usize> {
        unit.prompt.map(|prompt| self.lines.partition_point(|line| line.number < prompt.event))
    }

    /// The material that is made of the kept ones among the visible lines.
    fn of_lines(&self, kept: &[Range<usize>], visible: Range<usize>, targets: &[usize]) -> Material {
        let (text, branches) = self.join(kept, visible.clone(), targets);
        let (open, close) = self.fences.around(visible.end);
        Material { coverage: self.coverage(kept, visible), shown: self.numbers(kept), text, branches, open, close }
    }

    fn numbers(&self, kept: &[Range<usize>]) -> Vec<u32> {
        kept.iter().flat_map(|range| &self.lines[range.clone()]).map(|line| line.number).collect()
    }

    /// How much of the visible lines the kept ones are.
    fn coverage(&self, kept: &[Range<usize>], visible: Range<usize>) -> Coverage {
        let share = |part: u64, whole: u64| if whole == 0 { 1.0 } else { (part as f64 / whole as f64).min(1.0) };
        let all = [visible];
        let sum = |ranges: &[Range<usize>], value: &dyn Fn(&Line) -> u64| -> u64 {
            ranges.iter().flat_map(|range| &self.lines[range.clone()]).map(value).sum()
        };
        let prompts = |line: &Line| u64::from(line.is_prompt);
        Coverage {
            tokens: round(share(sum(kept, &|line| line.shown_bytes), sum(&all, &|line| line.full_bytes))),
            prompts: round(share(sum(kept, &prompts), sum(&all, &prompts))),
        }
    }

    /// The lines that a rater may see: for a prompt those up to it, never one after it.
    fn visible(&self, target: Option<usize>) -> Range<usize> {
        let Some(target) = target else { return 0..self.lines.len() };
        let start = match self.sees.before {
            Before::All => 0,
            Before::Nothing => target,
            Before::Recent => self.prompts.iter().rev().find(|at| **at < target).copied().unwrap_or(0),
        };
        start..target + 1
    }

    /// Those that the limit leaves.
    fn kept(&self, target: Option<usize>, visible: Range<usize>) -> Vec<Range<usize>> {
        let budget = self.sees.max_tokens;
        let cut = self.sees.cut.unwrap_or(if target.is_some() { Cut::Start } else { Cut::Middle });
        match (target.and_then(|target| self.prompts.binary_search(&target).ok()), self.sees.before, cut) {
            (Some(nth), Before::All, Cut::Start) => {
                let window = self.windows[nth]..visible.end;
                window::with_first_prompt(&self.lines, self.prompts[0], window, budget)
            }
            _ => window::fitting(&self.lines, visible, target, budget, cut),
        }
    }

    /// The kept lines, with a mark wherever some are missing, and where prompts begin.
    fn join(&self, kept: &[Range<usize>], visible: Range<usize>, targets: &[usize]) -> (String, Vec<usize>) {
        let bytes: usize =
            kept.iter().flat_map(|range| &self.lines[range.clone()]).map(|line| line.text.len() + 1).sum();
        let mut text = String::with_capacity(bytes + 200);
        let mut branches = Vec::new();
        let mut at = visible.start;
        for range in kept.iter().chain([&(visible.end..visible.end)]) {
            if at < range.start {
                let gone = &self.lines[at..range.start];
                let prompts = gone.iter().filter(|line| line.is_prompt).count();
                let (first, last) = (gone[0].number, gone[gone.len() - 1].number);
                text.push_str(&format!(
                    "[… events {first}–{last} left out: {} events, {prompts} prompts …]\n",
                    gone.len()
                ));
            }
            for at in range.clone() {
                if self.lines[at].is_prompt && !text.is_empty() {
                    branches.push(text.len());
                }
                if targets.binary_search(&at).is_ok() {
                    text.push_str(TARGET);
                }
                text.push_str(&self.lines[at].text);
                text.push('\n');
            }
            at = range.end;
        }
        (text, branches)
    }
}

/// Four digits: shares are read by people and compared in files.
fn round(share: f64) -> f64 {
    (share * 10_000.0).round() / 10_000.0
}

#[cfg(test)]
mod tests;
