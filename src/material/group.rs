//! What a rater sees who is asked for several prompts of a session at once: takes the prompts, gives one material for each run of them that
//! fits the limit.
//!
//! A group's material is all that its prompts' own materials hold, so no prompt is shown less than it would be by itself; what is more
//! is what came after it, up to the group's last prompt. Where only the start is cut, prompts that share a beginning make one group, and each
//! of them is shown exactly the same past as by itself.

use super::window::{MARKS, ranges};
use super::{Coverage, Material, Renderer};
use crate::unit::Unit;
use std::ops::Range;

/// The material of several prompts.
#[derive(Debug, Clone, PartialEq)]
pub struct GroupMaterial {
    /// Which of the units, by their places in the list that was asked for.
    pub units: Range<usize>,
    /// What is shown; its coverage and events are those of the whole group.
    pub material: Material,
    /// For each of the units: how much of what it may be judged by is shown, and the numbers of these events. Neither holds anything
    /// that came after the prompt.
    pub seen: Vec<(Coverage, Vec<u32>)>,
}

impl Renderer {
    /// Groups `units`, which are prompts of the session in their order: consecutive ones, each in one group, at most `most` in a group, and
    /// as many as fit the limit of tokens.
    pub fn groups(&self, units: &[Unit], most: usize) -> Vec<GroupMaterial> {
        let mut groups = Vec::new();
        let mut open: Option<Open> = None;
        for (place, target) in units.iter().enumerate().filter_map(|(place, unit)| Some((place, self.target(unit)?))) {
            let visible = self.visible(Some(target));
            let kept = self.kept(Some(target), visible.clone());
            let more = match open.take() {
                Some(group) if group.targets.len() < most => match group.with(self, &kept, target) {
                    Ok(grown) => {
                        open = Some(grown);
                        continue;
                    }
                    Err(full) => Some(full),
                },
                other => other,
            };
            groups.extend(more.map(|full| full.close(self)));
            open = Some(Open::new(self, place, visible.start, &kept, target));
        }
        groups.extend(open.map(|last| last.close(self)));
        groups
    }
}

/// A group that may still grow.
struct Open {
    first: usize,
    targets: Vec<usize>,
    /// Where what its first prompt may show begins.
    start: usize,
    kept: Vec<bool>,
    tokens: u64,
}

impl Open {
    fn new(renderer: &Renderer, first: usize, start: usize, kept: &[Range<usize>], target: usize) -> Open {
        let mut group = Open { first, targets: Vec::new(), start, kept: vec![false; renderer.lines.len()], tokens: 0 };
        group.add(renderer, kept, target);
        group
    }

    fn add(&mut self, renderer: &Renderer, kept: &[Range<usize>], target: usize) {
        for at in kept.iter().cloned().flatten() {
            if !std::mem::replace(&mut self.kept[at], true) {
                self.tokens += renderer.lines[at].tokens;
            }
        }
        self.targets.push(target);
    }

    /// The group with one more prompt, or as it was if that is too much.
    fn with(mut self, renderer: &Renderer, kept: &[Range<usize>], target: usize) -> Result<Open, Open> {
        let new = kept.iter().cloned().flatten().filter(|&at| !self.kept[at]);
        let more: u64 = new.map(|at| renderer.lines[at].tokens).sum();
        // Three marks of what is left out are allowed for; beyond them each counts, one gap more at most with each prompt.
        let gaps = (ranges(&self.kept).len() as u64).saturating_sub(2) * (MARKS / 3);
        if self.tokens + more + gaps > renderer.sees.max_tokens {
            return Err(self);
        }
        self.add(renderer, kept, target);
        Ok(self)
    }

    fn close(self, renderer: &Renderer) -> GroupMaterial {
        let Open { first, targets, start, kept, .. } = self;
        let kept = ranges(&kept);
        let last = targets.last().map_or(start, |last| last + 1);
        let seen = targets.iter().map(|&target| {
            let visible = renderer.visible(Some(target));
            let past = clipped(&kept, 0..visible.end);
            (renderer.coverage(&clipped(&kept, visible.clone()), visible), renderer.numbers(&past))
        });
        GroupMaterial {
            units: first..first + targets.len(),
            seen: seen.collect(),
            material: renderer.of_lines(&kept, start..last, &targets),
        }
    }
}

/// What of the ranges lies within `bounds`.
fn clipped(kept: &[Range<usize>], bounds: Range<usize>) -> Vec<Range<usize>> {
    kept.iter()
        .map(|range| range.start.max(bounds.start)..range.end.min(bounds.end))
        .filter(|range| !range.is_empty())
        .collect()
}
