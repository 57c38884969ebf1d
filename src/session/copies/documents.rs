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

/// The union of two lists, in the order of the longer one, `base`; of two versions the more complete one.
pub(in crate::session) fn unite_lists<T>(base: Vec<T>, copy: Vec<T>, identity: impl Fn(&T) -> Identity) -> Vec<T> {
    let identities = |list: &[T]| list.iter().map(&identity).collect::<Vec<_>>();
    let Merged { chosen, .. } = merge(&identities(&base), &identities(&copy));
    let mut base: Vec<Option<T>> = base.into_iter().map(Some).collect();
    let mut copy: Vec<Option<T>> = copy.into_iter().map(Some).collect();
    let take = |chosen| match chosen {
        Chosen::Base(at) => base[at].take(),
        Chosen::Copy { at, .. } => copy[at].take(),
    };
    chosen.into_iter().filter_map(take).collect()
}

/// The union of two lists.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::session) struct Merged {
    /// Its entries.
    pub chosen: Vec<Chosen>,
    /// Where each entry of the longer list stands in it, and each of the other list or the version of it that was chosen.
    pub places: [Vec<usize>; 2],
}

/// Which entries are the union of two lists, in the order of the longer one, `base`.
pub(in crate::session) fn merge(base: &[Identity], copy: &[Identity]) -> Merged {
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
    let sequences = [sequence];
    let order = order(base.len(), new.len(), &sequences, &mut time);
    let mut place = vec![0; order.len()];
    for (at, &entry) in order.iter().enumerate() {
        place[entry] = at;
    }
    let places = [place[..base.len()].to_vec(), sequences[0].iter().map(|&entry| place[entry]).collect()];
    let chosen = |entry: usize| match (entry.checked_sub(base.len()), replaced.get(&entry)) {
        (Some(guest), _) => Chosen::Copy { at: new[guest], replaces: None },
        (None, Some(&at)) => Chosen::Copy { at, replaces: Some(entry) },
        (None, None) => Chosen::Base(entry),
    };
    Merged { chosen: order.into_iter().map(chosen).collect(), places }
}
