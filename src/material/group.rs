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
        // As for a prompt by itself, so that what is one growing window there is one group here. A prompt opens one gap at most.
        let shown = ranges(&self.kept);
        let is_whole = matches!(shown.as_slice(), [only] if only.start == self.start && kept.iter().all(|range| range.start <= only.end));
        let marks = if is_whole { 0 } else { MARKS.max((shown.len() as u64 + 1) * (MARKS / 3)) };
        if self.tokens + more + marks > renderer.sees.max_tokens {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codebook::{Sees, UnitKind};
    use crate::material::{TARGET, estimate_tokens};
    use crate::session::{Agent, Channel, Session, SessionBuilder};
    use crate::unit::units;
    use proptest::prelude::*;
    use serde_json::json;
    use std::path::PathBuf;

    /// A session whose prompts and replies have these lengths.
    fn session(sizes: &[(usize, usize)]) -> Session {
        let mut builder = SessionBuilder::new(Agent::ClaudeCode, "s", PathBuf::from("s.jsonl"));
        for (turn, (prompt, reply)) in sizes.iter().enumerate() {
            builder.prompt(None, Channel::Typed, format!("prompt {turn} {}", "p".repeat(*prompt)), 0);
            builder.reply(None, format!("reply {turn} {}", "r".repeat(*reply)));
        }
        builder.finish()
    }

    fn sees(before: &str, cut: &str, max_tokens: u64) -> Sees {
        serde_json::from_value(json!({ "before": before, "cut": cut, "max_tokens": max_tokens })).unwrap()
    }

    proptest! {
        #[test]
        fn every_prompt_is_in_one_group_that_fits_and_shows_it_at_least_what_it_saw_alone(
            sizes in proptest::collection::vec((0usize..900, 0usize..900), 1..40),
            chosen in proptest::collection::vec(any::<bool>(), 40),
            before in proptest::sample::select(vec!["all", "recent", "nothing"]),
            cut in proptest::sample::select(vec!["start", "middle"]),
            max_tokens in 200u64..3_000,
            most in 1usize..12,
        ) {
            let session = session(&sizes);
            let sees = sees(before, cut, max_tokens);
            let renderer = Renderer::new(&session, &sees);
            let all = units(&session, UnitKind::Prompt).into_iter().zip(&chosen);
            let chosen: Vec<Unit> = all.filter(|(_, chosen)| **chosen).map(|(unit, _)| unit).collect();
            let groups = renderer.groups(&chosen, most);
            let places: Vec<usize> = groups.iter().flat_map(|group| group.units.clone()).collect();
            prop_assert_eq!(places, (0..chosen.len()).collect::<Vec<_>>());
            for GroupMaterial { units, material, seen } in &groups {
                prop_assert!(units.len() <= most && seen.len() == units.len());
                let alone = |at: usize| renderer.material(&chosen[at]);
                // A prompt that is too long is too long alone as well.
                let limit = max_tokens.max(estimate_tokens(&alone(units.start).text));
                prop_assert!(estimate_tokens(&material.text) <= limit, "{} tokens", estimate_tokens(&material.text));
                prop_assert_eq!(material.text.matches(TARGET).count(), units.len());
                for (at, (coverage, shown)) in units.clone().zip(seen) {
                    let (alone, event) = (alone(at), chosen[at].prompt.unwrap().event);
                    let target = format!("{TARGET}[{event}]");
                    prop_assert!(material.text.contains(&target));
                    prop_assert_eq!(shown.last(), Some(&event));
                    prop_assert!(alone.shown.iter().all(|event| shown.binary_search(event).is_ok()));
                    prop_assert!(coverage.tokens >= alone.coverage.tokens && coverage.prompts >= alone.coverage.prompts);
                }
                let last = chosen[units.end - 1].prompt.unwrap().event;
                prop_assert!(material.shown.iter().all(|event| *event <= last));
            }
        }
    }

    #[test]
    fn a_group_grows_as_long_as_its_beginning_stays() {
        let session = session(&[(100, 100); 60]);
        let renderer = Renderer::new(&session, &sees("all", "start", 1_500));
        let all = units(&session, UnitKind::Prompt);
        let groups = renderer.groups(&all, usize::MAX);
        assert!(groups.len() > 2 && groups.len() < 10, "{}", groups.len());
        for GroupMaterial { units, material, seen } in groups {
            // What the last one sees is what the group is shown, and each has the past that it has alone.
            let last = renderer.material(&all[units.end - 1]);
            assert_eq!(material.text.replace(TARGET, ""), last.text.replace(TARGET, ""));
            for (unit, (coverage, shown)) in all[units].iter().zip(seen) {
                let alone = renderer.material(unit);
                assert_eq!((coverage, shown), (alone.coverage, alone.shown));
            }
        }
    }

    #[test]
    fn prompts_that_are_shown_alone_stand_in_one_material_without_what_lies_between() {
        let session = session(&[(1, 1); 3]);
        let renderer = Renderer::new(&session, &sees("nothing", "middle", 1_000));
        let groups = renderer.groups(&units(&session, UnitKind::Prompt), 10);
        insta::assert_snapshot!(groups[0].material.text, @"
        >>> [1] USER: prompt 0 p
        [… events 2–2 left out: 1 events, 0 prompts …]
        >>> [3] USER: prompt 1 p
        [… events 4–4 left out: 1 events, 0 prompts …]
        >>> [5] USER: prompt 2 p
        ");
        assert!(groups.len() == 1 && groups[0].seen.iter().all(|(coverage, _)| coverage.tokens == 1.0));
    }
}
