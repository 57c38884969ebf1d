//! Takes what the copies of a document list (messages, mostly); gives the union of the lists.

use super::identity::{Identity, Key};
use super::order::order;
use std::collections::HashMap;

/// An entry of the union.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::session) enum Chosen {
    /// The longer list's, by its place there.
    Base(usize),
    /// The other list's: it is new, or the more complete version of one in the longer list.
    Copy {
        /// Its place in the list.
        at: usize,
        /// The place of the version that it replaces.
        replaces: Option<usize>,
    },
}

/// The union of two lists, in the order of the longer one, `base`.
pub(in crate::session) fn merge(base: &[Identity], copy: &[Identity]) -> Vec<Chosen> {
    let mut known: HashMap<Key, (Vec<usize>, usize)> = HashMap::new();
    for (at, entry) in base.iter().enumerate() {
        known.entry(entry.key).or_default().0.push(at);
    }
    let mut new = Vec::new();
    let mut replaced: HashMap<usize, usize> = HashMap::new();
    let mut sequence = Vec::with_capacity(copy.len());
    for (at, entry) in copy.iter().enumerate() {
        let found = known.get_mut(&entry.key).and_then(|(places, next)| {
            let found = places.get(*next).or(places.last().filter(|_| matches!(entry.key, Key::Own(_)))).copied();
            *next += 1;
            found
        });
        if let Some(place) = found
            && entry.weight > base[place].weight
        {
            replaced.insert(place, at);
        }
        sequence.push(found.unwrap_or(base.len() + new.len()));
        new.extend(found.is_none().then_some(at));
    }
    let mut time = |entry: usize| match entry.checked_sub(base.len()) {
        Some(guest) => copy[new[guest]].at,
        None => base[entry].at,
    };
    let order = order(base.len(), new.len(), &[sequence], &mut time);
    let chosen = |entry: usize| match (entry.checked_sub(base.len()), replaced.get(&entry)) {
        (Some(guest), _) => Chosen::Copy { at: new[guest], replaces: None },
        (None, Some(&at)) => Chosen::Copy { at, replaces: Some(entry) },
        (None, None) => Chosen::Base(entry),
    };
    order.into_iter().map(chosen).collect()
}
