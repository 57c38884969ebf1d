//! Takes copies of a transcript of JSON lines, one at a time and the largest first; gives the union of their lines.
//!
//! A copy that a larger one begins with adds nothing. Of any other, each line is looked for: by its bytes, then by what identifies
//! its records, then by its place where nothing does. What is not found is new. The version that came first stands, unless a later
//! one is more complete. Files without a common record are not copies but pieces, and stay apart.

use super::Piece;
use super::held::{Entry, Held, lines};
use super::identity::{Identify, Identity};
use super::order::order;
use super::search::{Line, Search};
use std::borrow::Cow;
use std::cmp::Reverse;
use std::collections::HashMap;
use std::ops::Range;
use std::path::Path;

/// The union of the copies so far.
#[derive(Debug)]
pub(in crate::session) struct Union {
    held: Held,
    search: Search,
    /// What copies hold that is not all in one file, with how many entries there were when they came.
    sequences: Vec<(usize, Vec<usize>)>,
}

impl Union {
    /// An empty one, of records that `identify` tells apart.
    pub(in crate::session) fn new(identify: Identify) -> Union {
        Union { held: Held::new(identify), search: Search::default(), sequences: Vec::new() }
    }

    /// Adds a copy that lies at `path`.
    pub(in crate::session) fn add(&mut self, path: &Path, bytes: Cow<'_, [u8]>) {
        if self.held.begins_with(&bytes) {
            return;
        }
        if self.held.files.is_empty() {
            return self.held.keep(path, bytes.into_owned());
        }
        self.held.split();
        let lines: Vec<Range<usize>> = lines(&bytes).collect();
        let mut found = self.search.find(&mut self.held, &bytes, &lines, None);
        let pieces = self.related(&found);
        let Some(&piece) = pieces.first() else {
            drop(found);
            return self.held.keep(path, bytes.into_owned());
        };
        if found.iter().any(|line| line.entry.is_some_and(|entry| !pieces.contains(&self.held.piece(entry)))) {
            found = self.search.find(&mut self.held, &bytes, &lines, Some(&pieces));
        }
        self.held.join(&pieces);
        self.search.by_place(&mut self.held, piece, &mut found);
        self.take(piece, found);
    }

    /// The transcripts, in the order of their first times.
    pub(in crate::session) fn finish(mut self) -> Vec<Piece> {
        let roots: Vec<usize> = self.held.roots().collect();
        if roots.len() > 1 {
            self.held.split();
        }
        let mut guests: HashMap<usize, Vec<usize>> = HashMap::new();
        for entry in 0..self.held.entries.len() {
            let piece = self.held.piece(entry);
            if !self.held.block(piece).contains(&entry) {
                guests.entry(piece).or_default().push(entry);
            }
        }
        let mut pieces = Vec::new();
        for root in roots {
            let entries = self.in_order(root, &guests.remove(&root).unwrap_or_default());
            let begins = entries.iter().find_map(|&entry| self.held.time(entry));
            pieces.push((begins, root, entries));
        }
        pieces.sort_by_key(|(begins, root, _)| (*begins, *root));
        pieces.into_iter().map(|(_, root, entries)| self.held.piece_of(root, &entries)).collect()
    }

    /// The pieces of which the lines are a copy, the one that began with the largest file first.
    fn related(&mut self, found: &[Line<'_>]) -> Vec<usize> {
        let mut pieces = Vec::new();
        let mut alike: HashMap<usize, usize> = HashMap::new();
        let is_strong = |record: &Identity| record.key.is_strong();
        // Whether nothing in them could tell that they are not a copy.
        let mut is_nameless = true;
        for line in found {
            let Some(entry) = line.entry else {
                is_nameless &= !line.new_records().is_some_and(|records| records.iter().any(is_strong));
                continue;
            };
            let piece = self.held.piece(entry);
            if !pieces.contains(&piece) && self.held.records(entry).iter().any(is_strong) {
                pieces.push(piece);
            }
            *alike.entry(piece).or_default() += 1;
        }
        if pieces.is_empty() && is_nameless {
            let most = alike.into_iter().max_by_key(|&(piece, lines)| (lines, Reverse(piece)));
            pieces.extend(most.map(|(piece, _)| piece));
        }
        pieces.sort_unstable();
        pieces
    }

    /// Takes over what a copy of `piece` adds.
    fn take(&mut self, piece: usize, found: Vec<Line<'_>>) {
        let known = self.held.entries.len();
        let number = self.held.texts.len();
        let mut added = Vec::new();
        let mut replaced = Vec::new();
        let mut sequence = Vec::with_capacity(found.len());
        for Line { text, entry, stands, records } in found {
            let begin = added.len();
            if entry.is_none() || stands {
                added.extend_from_slice(&text);
            }
            let range = begin..added.len();
            sequence.push(entry.unwrap_or(self.held.entries.len()));
            match entry {
                None => self.held.entries.push(Entry { text: number, range, file: piece, found: 0, records }),
                Some(entry) if stands => {
                    self.held.replace(entry, number, range, records);
                    replaced.push(entry);
                }
                Some(_) => {}
            }
        }
        if !added.is_empty() {
            self.held.texts.push(added);
        }
        for entry in replaced {
            self.search.note_version(&mut self.held, entry);
        }
        // What is all in one file is in its order anyway.
        let block = self.held.block(piece);
        if sequence.iter().any(|entry| !block.contains(entry)) {
            self.sequences.push((known, sequence));
        }
    }

    /// The entries of the piece that began with the file `root`, of which the `guests` are not in that file.
    fn in_order(&mut self, root: usize, guests: &[usize]) -> Vec<usize> {
        let block = self.held.block(root);
        if guests.is_empty() {
            return block.collect();
        }
        let number = |entry: usize| match guests.binary_search(&entry) {
            Ok(guest) => block.len() + guest,
            Err(_) => entry - block.start,
        };
        let entry = |number: usize| match number.checked_sub(block.len()) {
            Some(guest) => guests[guest],
            None => block.start + number,
        };
        let mut sequences: Vec<(usize, Vec<usize>)> = Vec::new();
        for file in (0..self.held.files.len()).filter(|&file| file != root && self.held.files[file].piece == root) {
            let block = self.held.block(file);
            sequences.push((block.start, block.map(number).collect()));
        }
        for (known, sequence) in &self.sequences {
            if sequence.first().is_some_and(|&entry| self.held.piece(entry) == root) {
                sequences.push((*known, sequence.iter().map(|&entry| number(entry)).collect()));
            }
        }
        sequences.sort_by_key(|(known, _)| *known);
        let sequences: Vec<Vec<usize>> = sequences.into_iter().map(|(_, sequence)| sequence).collect();
        let held = &mut self.held;
        let order = order(block.len(), guests.len(), &sequences, &mut |number| held.time(entry(number)));
        order.into_iter().map(entry).collect()
    }
}
