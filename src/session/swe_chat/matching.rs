//! Takes two tellings of the same session, one by the rows of a table and one by its transcript; gives which prompt is which.
//!
//! Ordinals differ, since each telling may know prompts that the other lacks. A pair has the same words, and pairs never cross. Words at
//! the same time are matched first. Between those pairs words alone decide, but only where they stand equally often on both sides: of
//! two prompts "go on" and one row "go on" nobody can say which is meant, and a label on the wrong prompt would be worse than none.

use super::words::folded;
use crate::session::Session;
use std::collections::HashMap;
use std::hash::Hash;
use std::ops::Range;

/// The pairs of prompts, as ordinals in `rows` and in `transcript`, in order.
pub(super) fn prompts(rows: &Session, transcript: &Session) -> Vec<(u32, u32)> {
    let (ours, theirs) = (keys(rows), keys(transcript));
    let whole = (0..ours.len(), 0..theirs.len());
    let mut pairs = Vec::new();
    let timed = |key: &Key| key.at.map(|at| (key.text.clone(), at));
    let by_text = |key: &Key| Some(key.text.clone());
    align(&ours, &theirs, whole.clone(), &timed, &mut pairs);
    pairs.sort_unstable();
    for gap in gaps(&pairs, whole) {
        align(&ours, &theirs, gap, &by_text, &mut pairs);
    }
    pairs.sort_unstable();
    pairs.into_iter().map(|(our, their)| (ours[our].ordinal, theirs[their].ordinal)).collect()
}

/// What a prompt is known by.
struct Key {
    ordinal: u32,
    text: String,
    /// In milliseconds: transcripts carry no more.
    at: Option<i64>,
}

fn keys(session: &Session) -> Vec<Key> {
    let key = |(event, prompt): (&crate::session::Event, &crate::session::Prompt)| Key {
        ordinal: prompt.ordinal,
        text: folded(&prompt.text),
        at: event.at.map(|at| at.as_millisecond()),
    };
    session.prompts().map(key).filter(|key| !key.text.is_empty()).collect()
}

/// Adds pairs within the ranges, and between those pairs again, until none is found.
fn align<K: Eq + Hash>(
    ours: &[Key],
    theirs: &[Key],
    within: (Range<usize>, Range<usize>),
    of: &dyn Fn(&Key) -> Option<K>,
    pairs: &mut Vec<(usize, usize)>,
) {
    let mut open = vec![within];
    while let Some(within) = open.pop() {
        let mut places: HashMap<K, (Vec<usize>, Vec<usize>)> = HashMap::new();
        for at in within.0.clone() {
            if let Some(key) = of(&ours[at]) {
                places.entry(key).or_default().0.push(at);
            }
        }
        for at in within.1.clone() {
            if let Some(key) = of(&theirs[at]) {
                places.entry(key).or_default().1.push(at);
            }
        }
        let equally_often = places.into_values().filter(|(ours, theirs)| ours.len() == theirs.len());
        let mut candidates: Vec<(usize, usize)> =
            equally_often.flat_map(|(ours, theirs)| ours.into_iter().zip(theirs)).collect();
        candidates.sort_unstable();
        let found = longest_rising(&candidates);
        if !found.is_empty() {
            open.extend(gaps(&found, within));
            pairs.extend(found);
        }
    }
}

/// What lies before, between and behind pairs that rise on both sides.
fn gaps(pairs: &[(usize, usize)], within: (Range<usize>, Range<usize>)) -> Vec<(Range<usize>, Range<usize>)> {
    let starts =
        std::iter::once((within.0.start, within.1.start)).chain(pairs.iter().map(|(our, their)| (our + 1, their + 1)));
    let ends = pairs.iter().copied().chain([(within.0.end, within.1.end)]);
    starts
        .zip(ends)
        .map(|(start, end)| (start.0..end.0, start.1..end.1))
        .filter(|(ours, theirs)| !ours.is_empty() && !theirs.is_empty())
        .collect()
}

/// The longest list of pairs, of those sorted by their first, whose second rises too.
fn longest_rising(pairs: &[(usize, usize)]) -> Vec<(usize, usize)> {
    // `ends[n]` is the pair that ends a rising list of n + 1 with the least second.
    let mut ends: Vec<usize> = Vec::new();
    let mut before: Vec<Option<usize>> = Vec::with_capacity(pairs.len());
    for (at, (_, second)) in pairs.iter().enumerate() {
        let length = ends.partition_point(|end| pairs[*end].1 < *second);
        before.push(length.checked_sub(1).map(|length| ends[length]));
        match ends.get_mut(length) {
            Some(end) => *end = at,
            None => ends.push(at),
        }
    }
    let mut found = Vec::new();
    let mut next = ends.last().copied();
    while let Some(at) = next {
        found.push(pairs[at]);
        next = before[at];
    }
    found.reverse();
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::{Agent, Channel, SessionBuilder};
    use jiff::Timestamp;
    use proptest::prelude::*;

    /// A session of prompts, each with the second at which it was typed, if that is known.
    fn session(prompts: &[(&str, Option<i64>)]) -> Session {
        let mut builder = SessionBuilder::new(Agent::Chat, "s", "s".into());
        for (text, second) in prompts {
            let at = second.map(|second| Timestamp::from_second(second).unwrap());
            builder.prompt(at, Channel::Typed, *text, 0);
        }
        builder.finish()
    }

    fn untimed(prompts: &[&str]) -> Session {
        session(&prompts.iter().map(|text| (*text, None)).collect::<Vec<_>>())
    }

    fn pairs(ours: &[&str], theirs: &[&str]) -> Vec<(u32, u32)> {
        prompts(&untimed(ours), &untimed(theirs))
    }

    #[test]
    fn prompts_that_one_side_lacks_shift_the_others() {
        assert_eq!(pairs(&["a", "b", "c"], &["a", "x", "b", "c"]), [(1, 1), (2, 3), (3, 4)]);
        assert_eq!(pairs(&["x", "a", "b"], &["a", "b"]), [(2, 1), (3, 2)]);
        assert_eq!(pairs(&["a  b\nc"], &[" a b c"]), [(1, 1)]);
        assert_eq!(pairs(&[], &["a"]), []);
    }

    #[test]
    fn words_that_come_again_are_matched_by_their_neighbours() {
        let again = ["go on", "a", "go on", "b", "go on"];
        assert_eq!(pairs(&again, &again), [(1, 1), (2, 2), (3, 3), (4, 4), (5, 5)]);
        assert_eq!(pairs(&["a", "go on", "b"], &["go on", "a", "go on", "b", "go on"]), [(1, 2), (2, 3), (3, 4)]);
    }

    #[test]
    fn words_that_could_be_either_prompt_are_neither() {
        assert_eq!(pairs(&["a", "go on", "b"], &["a", "go on", "go on", "b"]), [(1, 1), (3, 4)]);
    }

    #[test]
    fn the_time_tells_equal_words_apart() {
        let ours = session(&[("a", Some(1)), ("go on", Some(7)), ("b", Some(9))]);
        let theirs = session(&[("a", Some(1)), ("go on", Some(4)), ("go on", Some(7)), ("b", None)]);
        assert_eq!(prompts(&ours, &theirs), [(1, 1), (2, 3), (3, 4)]);
    }

    #[test]
    fn times_that_differ_throughout_do_not_hinder() {
        let ours = session(&[("a", Some(3601)), ("b", Some(3602))]);
        let theirs = session(&[("a", Some(1)), ("x", None), ("b", Some(2))]);
        assert_eq!(prompts(&ours, &theirs), [(1, 1), (2, 3)]);
    }

    #[test]
    fn pairs_never_cross() {
        assert_eq!(pairs(&["a", "b"], &["b", "a"]).len(), 1);
    }

    proptest! {
        #[test]
        fn pairs_have_the_same_words_and_rise(ours in "[a-d]{0,30}", theirs in "[a-d]{0,30}") {
            let letters = |text: &str| text.chars().map(String::from).collect::<Vec<_>>();
            let (ours, theirs) = (letters(&ours), letters(&theirs));
            let of = |letters: &[String]| untimed(&letters.iter().map(String::as_str).collect::<Vec<_>>());
            let found = prompts(&of(&ours), &of(&theirs));
            for pair in found.windows(2) {
                prop_assert!(pair[0].0 < pair[1].0 && pair[0].1 < pair[1].1);
            }
            for (our, their) in found {
                prop_assert_eq!(&ours[our as usize - 1], &theirs[their as usize - 1]);
            }
        }

        #[test]
        fn prompts_that_are_the_same_are_all_matched(texts in "[a-c]{0,40}") {
            let letters: Vec<String> = texts.chars().map(String::from).collect();
            let session = untimed(&letters.iter().map(String::as_str).collect::<Vec<_>>());
            let expected: Vec<(u32, u32)> = (1..=letters.len() as u32).map(|n| (n, n)).collect();
            prop_assert_eq!(prompts(&session, &session), expected);
        }
    }
}
