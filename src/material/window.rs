//! Which events fit a limit of tokens: takes rendered lines, gives the ranges of them that stay.

use super::line::Line;
use crate::codebook::Cut;
use std::ops::Range;

/// The share of the limit that a cut in the middle gives to the beginning.
const BEGINNING_SHARE: f64 = 0.35;
/// The share of the limit that the session's first prompt may take from what comes right before a later one.
const FIRST_PROMPT_SHARE: f64 = 0.3;
/// Tokens kept free for the marks of what is left out: at most three gaps.
pub(super) const MARKS: u64 = 75;

/// For each prompt, where a window begins that ends with it: at the beginning until that is too long, then behind as many lines as leave
/// half of the limit free for those to come. It hangs on nothing after the prompt.
pub(super) fn growing(lines: &[Line], prompts: &[usize], budget: u64) -> Vec<usize> {
    let ahead = prompts.first().map_or(0, |&first| room_of_first(&lines[first], budget)) + MARKS;
    let (mut start, mut end, mut tokens) = (0, 0, 0);
    prompts
        .iter()
        .map(|&prompt| {
            tokens += lines[end..=prompt].iter().map(|line| line.tokens).sum::<u64>();
            end = prompt + 1;
            if tokens + if start > 0 { ahead } else { 0 } > budget {
                while start < prompt && tokens + ahead > budget / 2 {
                    tokens -= lines[start].tokens;
                    start += 1;
                }
            }
            start
        })
        .collect()
}

/// The window, and before it the session's first prompt, which says what the session is about.
pub(super) fn with_first_prompt(lines: &[Line], first: usize, window: Range<usize>, budget: u64) -> Vec<Range<usize>> {
    if window.start == 0 {
        return vec![window];
    }
    let room = room_of_first(&lines[first], budget);
    let tokens: u64 = lines[window.clone()].iter().map(|line| line.tokens).sum();
    match room > 0 && first < window.start && tokens + room + MARKS <= budget {
        true => vec![first..first + 1, window],
        false => vec![window],
    }
}

/// What the session's first prompt takes where the lines after it are left out; 0 if it is too long to be kept for itself.
fn room_of_first(first: &Line, budget: u64) -> u64 {
    let fits = first.tokens as f64 <= budget as f64 * FIRST_PROMPT_SHARE;
    if fits { first.tokens } else { 0 }
}

/// Those of the visible lines that fit. The target always stays, and the first prompt is the next to find room.
pub(super) fn fitting(
    lines: &[Line],
    visible: Range<usize>,
    target: Option<usize>,
    budget: u64,
    cut: Cut,
) -> Vec<Range<usize>> {
    let total: u64 = lines[visible.clone()].iter().map(|line| line.tokens).sum();
    if total <= budget {
        return vec![visible];
    }
    let mut kept = vec![false; lines.len()];
    let mut left = budget.saturating_sub(MARKS);
    let mut take = |at: usize, left: &mut u64| {
        if kept[at] {
            return true;
        }
        let fits = lines[at].tokens <= *left;
        if fits || target == Some(at) {
            kept[at] = true;
            *left = left.saturating_sub(lines[at].tokens);
        }
        fits
    };
    if let Some(target) = target {
        take(target, &mut left);
    }
    if let Some(first) = visible.clone().find(|&at| lines[at].is_prompt) {
        take(first, &mut left);
    }
    if cut == Cut::Middle {
        let mut beginning = (left as f64 * BEGINNING_SHARE) as u64;
        let whole = beginning;
        for at in visible.clone() {
            if !take(at, &mut beginning) {
                break;
            }
        }
        left -= whole - beginning;
    }
    for at in visible.clone().rev() {
        if !take(at, &mut left) {
            break;
        }
    }
    ranges(&kept)
}

/// The runs of what is kept.
pub(super) fn ranges(kept: &[bool]) -> Vec<Range<usize>> {
    let mut ranges: Vec<Range<usize>> = Vec::new();
    for at in (0..kept.len()).filter(|&at| kept[at]) {
        match ranges.last_mut() {
            Some(last) if last.end == at => last.end = at + 1,
            _ => ranges.push(at..at + 1),
        }
    }
    ranges
}
