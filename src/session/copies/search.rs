//! Finds the lines of a copy among those that a union holds: by their bytes, then by what identifies their records, then by their
//! place where nothing does.

use super::held::{Alike, Held};
use super::identity::{Identify, Identity, Key, hash};
use super::versions::{self, Frame, Row};
use crate::session::ReadReport;
use crate::session::lines::for_each_record;
use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::ops::Range;

/// A line of a copy.
#[derive(Debug)]
pub(super) struct Line<'a> {
    pub text: Cow<'a, [u8]>,
    /// The entry that it is, if it is not new.
    pub entry: Option<usize>,
    /// Whether it stands in place of what the entry was.
    pub stands: bool,
    /// What its records are, where its bytes are not known; none in a line that is damaged.
    pub records: Option<Vec<Identity>>,
}

/// Where entries are found. It grows as far as it is asked: many copies can do without.
#[derive(Debug, Default)]
pub(super) struct Search {
    /// Entries by the hash of their bytes.
    by_bytes: HashMap<u64, Alike>,
    hashed: usize,
    /// Entries by what identifies their records.
    by_key: HashMap<u64, Vec<usize>>,
    keyed: usize,
    /// What lines of one kind have in common, by their file.
    frames: HashMap<(usize, u64), Frame>,
    /// The number of the search at hand.
    number: usize,
}

impl Line<'_> {
    /// What the records of a line are that was not found.
    pub(super) fn new_records(&self) -> Option<&[Identity]> {
        self.records.as_deref().filter(|_| self.entry.is_none())
    }
}

impl Search {
    /// Looks for the lines of a copy among the entries of `pieces`, or of all, wherever they stand.
    pub(super) fn find<'a>(
        &mut self,
        held: &mut Held,
        bytes: &'a [u8],
        lines: &[Range<usize>],
        pieces: Option<&[usize]>,
    ) -> Vec<Line<'a>> {
        self.number += 1;
        let mut expected = 0;
        let mut found = Vec::with_capacity(lines.len());
        for range in lines {
            let text = &bytes[range.clone()];
            let entry = self.by_bytes(held, text, expected, pieces);
            let records = entry.is_none().then(|| held.identify(text));
            // A line that is not found may be another version of the one expected.
            expected = entry.unwrap_or(expected) + 1;
            found.push(Line { text: Cow::Borrowed(text), entry, stands: false, records });
        }
        let is_strong = |record: &Identity| record.key.is_strong();
        if found.iter().any(|line| line.new_records().is_some_and(|records| records.iter().any(is_strong))) {
            found = self.by_keys(held, found, pieces);
        }
        found
    }

    /// The entry with the same bytes: the one expected, or the one behind it, else the first that was not found yet.
    fn by_bytes(&mut self, held: &mut Held, text: &[u8], expected: usize, pieces: Option<&[usize]>) -> Option<usize> {
        let number = self.number;
        let is_it = |held: &Held, entry| held.is_open(entry, number, pieces) && held.text(entry) == text;
        let near = [expected, expected + 1].into_iter().find(|&entry| is_it(held, entry));
        let entry = near.or_else(|| {
            for entry in self.hashed..held.entries.len() {
                self.by_bytes.entry(hash(held.text(entry))).or_default().push(entry);
            }
            self.hashed = held.entries.len();
            self.by_bytes.get_mut(&hash(text))?.first(number, |entry| is_it(held, entry))
        })?;
        held.entries[entry].found = number;
        Some(entry)
    }

    /// Finds the entries of lines that are known by their records.
    fn by_keys<'a>(&mut self, held: &mut Held, found: Vec<Line<'a>>, pieces: Option<&[usize]>) -> Vec<Line<'a>> {
        for entry in self.keyed..held.entries.len() {
            self.note_keys(held, entry);
        }
        self.keyed = held.entries.len();
        let mut entries: HashMap<(usize, usize), usize> = HashMap::new();
        let mut shared: BTreeMap<u64, Vec<(usize, usize)>> = BTreeMap::new();
        for (at, line) in found.iter().enumerate() {
            for (number, record) in line.new_records().unwrap_or_default().iter().enumerate() {
                match record.key {
                    Key::Own(key) => {
                        let known = self.by_key.get(&key).into_iter().flatten().rev();
                        // The last version is the one that counts.
                        if let Some(&entry) = known.into_iter().find(|&&entry| held.is_in(entry, pieces)) {
                            entries.insert((at, number), entry);
                        }
                    }
                    Key::Shared(key) => shared.entry(key).or_default().push((at, number)),
                    Key::Kind(_) => {}
                }
            }
        }
        for (key, records) in shared {
            let known = self.by_key.get(&key).into_iter().flatten().copied();
            let open: Vec<usize> = known.filter(|&entry| held.is_open(entry, self.number, pieces)).collect();
            let mark = |records: Option<&[Identity]>| {
                records?.iter().find(|record| record.key == Key::Shared(key)).and_then(|record| record.mark)
            };
            let row = |(at, _): &(usize, usize)| (mark(found[*at].new_records()), &*found[*at].text);
            let other = |entry: &usize| (mark(held.entries[*entry].records.as_deref()), held.text(*entry));
            let rows: Vec<Row<'_>> = records.iter().map(row).collect();
            let others: Vec<Row<'_>> = open.iter().map(other).collect();
            let pairs = versions::pair(&rows, &others, Frame::default());
            entries.extend(records.into_iter().zip(pairs).filter_map(|(record, other)| Some((record, open[other?]))));
        }
        for &entry in entries.values() {
            held.entries[entry].found = self.number;
        }
        let mut lines = Vec::with_capacity(found.len());
        for (at, mut line) in found.into_iter().enumerate() {
            match line.records.take().filter(|_| line.entry.is_none()) {
                Some(records) => {
                    let known = (0..records.len()).map(|number| entries.get(&(at, number)).copied()).collect();
                    lines.extend(tell_apart(held, line, records, known));
                }
                None => lines.push(line),
            }
        }
        lines
    }

    /// Notes what identifies an entry.
    fn note_keys(&mut self, held: &mut Held, entry: usize) {
        for record in held.records(entry) {
            if let Key::Own(key) | Key::Shared(key) = record.key {
                self.by_key.entry(key).or_default().push(entry);
            }
        }
    }

    /// Notes that an entry has another version now.
    pub(super) fn note_version(&mut self, held: &mut Held, entry: usize) {
        if entry < self.hashed {
            self.by_bytes.entry(hash(held.text(entry))).or_default().push(entry);
        }
        if entry < self.keyed {
            self.note_keys(held, entry);
        }
    }

    /// Finds entries of the file `piece` that nothing identifies: between two that are known, those of one kind are versions of each
    /// other, and a damaged line is one of any.
    pub(super) fn by_place(&mut self, held: &mut Held, piece: usize, found: &mut [Line<'_>]) {
        let block = held.block(piece);
        let mut from = block.start;
        let mut at = 0;
        while at < found.len() {
            let is_known = |line: &Line<'_>| line.entry.filter(|entry| block.contains(entry) && *entry >= from);
            let next = (at..found.len()).find_map(|line| Some((line, is_known(&found[line])?)));
            let (end, until) = next.unwrap_or((found.len(), block.end));
            let new: Vec<&mut Line<'_>> = found[at..end].iter_mut().filter(|line| line.entry.is_none()).collect();
            if !new.is_empty() {
                self.between(held, piece, from..until, new, next.is_some());
            }
            from = until + 1;
            at = end + 1;
        }
    }

    /// What lines of this kind have in common in the file `piece`.
    fn frame(&mut self, held: &mut Held, piece: usize, kind: u64) -> Frame {
        /// So many rows show what all have, and are looked for among so many.
        const ENOUGH: usize = 16;
        const MOST: usize = 1024;
        *self.frames.entry((piece, kind)).or_insert_with(|| {
            let block = held.block(piece);
            let is_of_kind = |entry: &usize| held.records(*entry).iter().any(|record| record.key == Key::Kind(kind));
            let rows: Vec<usize> = block.take(MOST).filter(is_of_kind).take(ENOUGH).collect();
            Frame::of(&rows.into_iter().map(|entry| held.text(entry)).collect::<Vec<_>>())
        })
    }

    /// Finds new lines among the entries that stand where they should; `is_bounded` says that what follows is known.
    fn between(
        &mut self,
        held: &mut Held,
        piece: usize,
        entries: Range<usize>,
        mut lines: Vec<&mut Line<'_>>,
        is_bounded: bool,
    ) {
        let open: Vec<usize> = entries.filter(|&entry| held.is_open(entry, self.number, None)).collect();
        let mut of_kind: BTreeMap<u64, (Vec<usize>, Vec<usize>)> = BTreeMap::new();
        let mut damaged = VecDeque::new();
        for &entry in &open {
            match held.records(entry) {
                [] => damaged.push_back(entry),
                [Identity { key: Key::Kind(kind), .. }, ..] => of_kind.entry(*kind).or_default().1.push(entry),
                _ => {}
            }
        }
        for (at, line) in lines.iter().enumerate() {
            if let Some([Identity { key: Key::Kind(kind), .. }, ..]) = line.new_records() {
                of_kind.entry(*kind).or_default().0.push(at);
            }
        }
        for (kind, (new, known)) in of_kind.into_iter().filter(|(_, (new, known))| !new.is_empty() && !known.is_empty())
        {
            // As many rows as are missing between two others are those that are missing.
            let frame = match is_bounded && new.len() == known.len() {
                true => Frame::default(),
                false => self.frame(held, piece, kind),
            };
            let rows: Vec<Row<'_>> = new.iter().map(|&line| (None, &*lines[line].text)).collect();
            let others: Vec<Row<'_>> = known.iter().map(|&entry| (None, held.text(entry))).collect();
            let pairs = versions::pair(&rows, &others, frame);
            for (line, other) in new.into_iter().zip(pairs) {
                lines[line].entry = other.map(|other| known[other]);
            }
        }
        let may_mend = is_bounded || open.len() <= lines.len();
        for line in lines.into_iter().filter(|line| line.entry.is_none()) {
            match line.records.as_deref() {
                Some([]) => line.entry = open.first().copied(),
                _ if may_mend => {
                    line.entry = damaged.pop_front();
                    line.stands = line.entry.is_some();
                }
                _ => {}
            }
        }
    }
}

/// A line of which some records may be `known`: it is an entry, or new; or, where it has both, its records are lines of their own.
fn tell_apart<'a>(
    held: &mut Held,
    mut line: Line<'a>,
    records: Vec<Identity>,
    known: Vec<Option<usize>>,
) -> Vec<Line<'a>> {
    line.entry = known.iter().copied().flatten().next();
    let is_new = |(record, known): (&Identity, &Option<usize>)| record.key.is_strong() && known.is_none();
    if line.entry.is_none() || !records.iter().zip(&known).any(is_new) {
        if let ([record], Some(entry)) = (&records[..], line.entry) {
            line.stands = held.records(entry).iter().all(|known| known.weight < record.weight);
        }
        line.records = Some(records);
        return vec![line];
    }
    let texts = record_texts(held.identify, &line.text);
    let each = records.into_iter().zip(known).zip(texts).filter(|((record, _), _)| record.key.is_strong());
    let line = |((record, entry), text): ((Identity, Option<usize>), String)| Line {
        text: Cow::Owned(text.into_bytes()),
        entry,
        stands: false,
        records: Some(vec![record]),
    };
    each.map(line).collect()
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
