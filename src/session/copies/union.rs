//! Takes copies of a transcript of JSON lines, one at a time and the largest first; gives the union of their lines.
//!
//! A copy that a larger one begins with adds nothing. Of any other, each line is looked for: by its bytes, then by what identifies
//! its records, then by its place where nothing does. What is not found is new. The version that came first stands, unless a later
//! one is more complete. Files without a common record are not copies but pieces, and stay apart.

use super::Piece;
use super::held::{Alike, Entry, Held, lines};
use super::identity::{Identify, Identity, Key, hash};
use super::order::order;
use crate::session::ReadReport;
use crate::session::lines::for_each_record;
use std::borrow::Cow;
use std::collections::{HashMap, VecDeque};
use std::ops::Range;
use std::path::Path;

/// The union of the copies so far.
#[derive(Debug)]
pub(in crate::session) struct Union {
    held: Held,
    /// Entries by the hash of their bytes, as far as that was asked for.
    by_bytes: HashMap<u64, Alike>,
    hashed: usize,
    /// Entries by what identifies their records, as far as that was asked for.
    by_key: HashMap<u64, Alike>,
    keyed: usize,
    /// How often a copy's lines were looked for.
    search: usize,
    /// What copies hold that is not all in one file, with how many entries there were when they came.
    sequences: Vec<(usize, Vec<usize>)>,
}

/// A line of a copy.
#[derive(Debug)]
struct Line<'a> {
    text: Cow<'a, [u8]>,
    /// The entry that it is, if it is not new.
    entry: Option<usize>,
    /// Whether it stands in place of what the entry was.
    stands: bool,
    /// What its records are, where its bytes are not known; none in a line that is damaged.
    records: Option<Vec<Identity>>,
}

impl Line<'_> {
    fn is_new_and(&self, is_so: impl Fn(&[Identity]) -> bool) -> bool {
        self.entry.is_none() && self.records.as_deref().is_some_and(is_so)
    }
}

impl Union {
    /// An empty one, of records that `identify` tells apart.
    pub(in crate::session) fn new(identify: Identify) -> Union {
        Union {
            held: Held::new(identify),
            by_bytes: HashMap::new(),
            hashed: 0,
            by_key: HashMap::new(),
            keyed: 0,
            search: 0,
            sequences: Vec::new(),
        }
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
        let mut found = self.find(&bytes, &lines, None);
        let pieces = self.related(&found);
        let Some(&piece) = pieces.first() else {
            drop(found);
            return self.held.keep(path, bytes.into_owned());
        };
        if found.iter().any(|line| line.entry.is_some_and(|entry| !pieces.contains(&self.held.piece(entry)))) {
            found = self.find(&bytes, &lines, Some(&pieces));
        }
        self.held.join(&pieces);
        self.find_by_place(piece, &mut found);
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

    /// Looks for the lines of a copy among the entries of `pieces`, or of all.
    fn find<'a>(&mut self, bytes: &'a [u8], lines: &[Range<usize>], pieces: Option<&[usize]>) -> Vec<Line<'a>> {
        self.search += 1;
        let mut expected = 0;
        let mut found = Vec::with_capacity(lines.len());
        for range in lines {
            let text = &bytes[range.clone()];
            let entry = self.find_by_bytes(text, expected, pieces);
            let records = entry.is_none().then(|| self.held.identify(text));
            // A line that is not found may be another version of the one expected.
            expected = entry.unwrap_or(expected) + 1;
            found.push(Line { text: Cow::Borrowed(text), entry, stands: false, records });
        }
        let is_strong = |record: &Identity| record.key.is_strong();
        if found.iter().any(|line| line.is_new_and(|records| records.iter().any(is_strong))) {
            found = found.into_iter().flat_map(|line| self.find_by_keys(line, pieces)).collect();
        }
        found
    }

    /// The entry with the same bytes: the one expected, or the one behind it, else the first that was not found yet.
    fn find_by_bytes(&mut self, text: &[u8], expected: usize, pieces: Option<&[usize]>) -> Option<usize> {
        let search = self.search;
        let near = [expected, expected + 1].into_iter().find(|&entry| {
            self.held.is_open(entry, search) && self.held.is_in(entry, pieces) && self.held.text(entry) == text
        });
        let entry = near.or_else(|| {
            for entry in self.hashed..self.held.entries.len() {
                self.by_bytes.entry(hash(self.held.text(entry))).or_default().push(entry);
            }
            self.hashed = self.held.entries.len();
            let held = &self.held;
            let is_it = |entry| held.is_open(entry, search) && held.is_in(entry, pieces) && held.text(entry) == text;
            self.by_bytes.get_mut(&hash(text))?.first(search, is_it)
        })?;
        self.held.entries[entry].found = search;
        Some(entry)
    }

    /// Finds the entries of a line that is known by its records, if it is. Of a line with several records those that are new become
    /// lines of their own.
    fn find_by_keys<'a>(&mut self, mut line: Line<'a>, pieces: Option<&[usize]>) -> Vec<Line<'a>> {
        let Some(records) = line.records.take().filter(|_| line.entry.is_none()) else { return vec![line] };
        let found: Vec<Option<usize>> = records.iter().map(|record| self.find_by_key(record, pieces)).collect();
        line.entry = found.iter().copied().flatten().next();
        let is_new = |(record, found): (&Identity, &Option<usize>)| record.key.is_strong() && found.is_none();
        if line.entry.is_none() || !records.iter().zip(&found).any(is_new) {
            if let ([record], Some(entry)) = (&records[..], line.entry) {
                line.stands = self.held.records(entry).iter().all(|known| known.weight < record.weight);
            }
            line.records = Some(records);
            return vec![line];
        }
        let texts = record_texts(self.held.identify, &line.text);
        let each = records.into_iter().zip(found).zip(texts).filter(|((record, _), _)| record.key.is_strong());
        let line = |((record, entry), text): ((Identity, Option<usize>), String)| Line {
            text: Cow::Owned(text.into_bytes()),
            entry,
            stands: false,
            records: Some(vec![record]),
        };
        each.map(line).collect()
    }

    fn find_by_key(&mut self, record: &Identity, pieces: Option<&[usize]>) -> Option<usize> {
        for entry in self.keyed..self.held.entries.len() {
            self.note_keys(entry);
        }
        self.keyed = self.held.entries.len();
        let (held, search) = (&self.held, self.search);
        let entry = match record.key {
            // The last version is the one that counts.
            Key::Own(key) => self.by_key.get(&key)?.last(|entry| held.is_in(entry, pieces))?,
            Key::Shared(key) => {
                let will_do = |entry| held.is_open(entry, search) && held.is_in(entry, pieces);
                self.by_key.get_mut(&key)?.first(search, will_do)?
            }
            Key::Kind(_) => return None,
        };
        self.held.entries[entry].found = search;
        Some(entry)
    }

    fn note_keys(&mut self, entry: usize) {
        for record in self.held.records(entry) {
            if let Key::Own(key) | Key::Shared(key) = record.key {
                self.by_key.entry(key).or_default().push(entry);
            }
        }
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
                is_nameless &= !line.is_new_and(|records| records.iter().any(is_strong));
                continue;
            };
            let piece = self.held.piece(entry);
            if !pieces.contains(&piece) && self.held.records(entry).iter().any(is_strong) {
                pieces.push(piece);
            }
            *alike.entry(piece).or_default() += 1;
        }
        if pieces.is_empty() && is_nameless {
            pieces.extend(
                alike
                    .into_iter()
                    .max_by_key(|&(piece, lines)| (lines, std::cmp::Reverse(piece)))
                    .map(|(piece, _)| piece),
            );
        }
        pieces.sort_unstable();
        pieces
    }

    /// Finds entries that nothing identifies: between two that are known, those of one kind are versions of each other, and a
    /// damaged line is one of any.
    fn find_by_place(&mut self, piece: usize, found: &mut [Line<'_>]) {
        let block = self.held.block(piece);
        let mut from = block.start;
        let mut at = 0;
        while at < found.len() {
            let is_known = |line: &Line<'_>| line.entry.filter(|entry| block.contains(entry) && *entry >= from);
            let next = (at..found.len()).find_map(|line| Some((line, is_known(&found[line])?)));
            let (end, until) = next.unwrap_or((found.len(), block.end));
            self.pair(&mut found[at..end], from..until, next.is_some());
            from = until + 1;
            at = end + 1;
        }
    }

    /// Finds lines among the entries that stand where they should; `is_bounded` says that what follows is known.
    fn pair(&mut self, lines: &mut [Line<'_>], entries: Range<usize>, is_bounded: bool) {
        if lines.iter().all(|line| line.entry.is_some()) {
            return;
        }
        let open: Vec<usize> = entries.filter(|&entry| self.held.is_open(entry, self.search)).collect();
        let mut of_kind: HashMap<u64, VecDeque<usize>> = HashMap::new();
        let mut damaged = VecDeque::new();
        for &entry in &open {
            match self.held.records(entry) {
                [] => damaged.push_back(entry),
                [Identity { key: Key::Kind(kind), .. }, ..] => of_kind.entry(*kind).or_default().push_back(entry),
                _ => {}
            }
        }
        let new = lines.iter().filter(|line| line.entry.is_none()).count();
        let may_mend = is_bounded || open.len() <= new;
        for line in lines.iter_mut().filter(|line| line.entry.is_none()) {
            line.entry = match line.records.as_deref() {
                Some([]) => open.first().copied(),
                Some([Identity { key: Key::Kind(kind), .. }, ..]) => {
                    of_kind.get_mut(kind).and_then(VecDeque::pop_front)
                }
                _ => None,
            };
            if line.entry.is_none() && may_mend {
                line.entry = damaged.pop_front();
                line.stands = line.entry.is_some();
            }
        }
    }

    /// Takes over what a copy of `piece` adds.
    fn take(&mut self, piece: usize, found: Vec<Line<'_>>) {
        let known = self.held.entries.len();
        let number = self.held.texts.len();
        let mut added = Vec::new();
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
                    if entry < self.hashed {
                        self.by_bytes.entry(hash(&text)).or_default().push(entry);
                    }
                    if entry < self.keyed {
                        self.note_keys(entry);
                    }
                }
                Some(_) => {}
            }
        }
        if !added.is_empty() {
            self.held.texts.push(added);
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

/// The texts of a line's records.
fn record_texts(identify: Identify, line: &[u8]) -> Vec<String> {
    let mut texts = Vec::new();
    for_each_record(line, &mut ReadReport::default(), &mut |text| {
        identify(text)?;
        texts.push(text.to_owned());
        Ok(())
    });
    texts
}
