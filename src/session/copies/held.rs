//! What a union holds: the lines, the files that brought them, and which look alike.

use super::Piece;
use super::identity::{Identify, Identity};
use crate::session::ReadReport;
use crate::session::lines::for_each_record;
use jiff::Timestamp;
use std::ops::Range;
use std::path::{Path, PathBuf};

/// The lines of some files, each once.
#[derive(Debug)]
pub(super) struct Held {
    pub identify: Identify,
    /// What lines are parts of: whole files, and what others added.
    pub texts: Vec<Vec<u8>>,
    pub entries: Vec<Entry>,
    pub files: Vec<File>,
}

/// A line.
#[derive(Debug)]
pub(super) struct Entry {
    pub text: usize,
    pub range: Range<usize>,
    /// The file that it is from; of what copies add, the file that they are copies of.
    pub file: usize,
    /// The last search that found it.
    pub found: usize,
    /// What its records are, once that was asked for; none in a line that is damaged.
    pub records: Option<Vec<Identity>>,
}

/// A file that had nothing in common with those before it.
#[derive(Debug)]
pub(super) struct File {
    pub path: PathBuf,
    /// The largest file of which it turned out to be a part.
    pub piece: usize,
    text: usize,
    /// Its entries, once it was split into lines.
    block: Option<Range<usize>>,
    /// Whether a line of it was replaced.
    is_changed: bool,
}

impl Held {
    pub(super) fn new(identify: Identify) -> Held {
        Held { identify, texts: Vec::new(), entries: Vec::new(), files: Vec::new() }
    }

    /// Whether a file begins with these bytes.
    pub(super) fn begins_with(&self, bytes: &[u8]) -> bool {
        self.files.iter().any(|file| self.texts[file.text].starts_with(bytes))
    }

    /// Keeps a whole file.
    pub(super) fn keep(&mut self, path: &Path, bytes: Vec<u8>) {
        let (piece, text) = (self.files.len(), self.texts.len());
        self.files.push(File { path: path.to_owned(), piece, text, block: None, is_changed: false });
        self.texts.push(bytes);
    }

    /// Splits the files into lines.
    pub(super) fn split(&mut self) {
        for (number, file) in self.files.iter_mut().enumerate().filter(|(_, file)| file.block.is_none()) {
            let begin = self.entries.len();
            let entry = |range| Entry { text: file.text, range, file: number, found: 0, records: None };
            self.entries.extend(lines(&self.texts[file.text]).map(entry));
            file.block = Some(begin..self.entries.len());
        }
    }

    /// The entries of a file that has been split.
    pub(super) fn block(&self, file: usize) -> Range<usize> {
        self.files[file].block.clone().unwrap_or_default()
    }

    /// The files that no larger one is a copy of.
    pub(super) fn roots(&self) -> impl Iterator<Item = usize> {
        self.files.iter().enumerate().filter(|(number, file)| file.piece == *number).map(|(number, _)| number)
    }

    /// Makes several pieces one: the first.
    pub(super) fn join(&mut self, pieces: &[usize]) {
        for file in self.files.iter_mut().filter(|file| pieces.contains(&file.piece)) {
            file.piece = pieces[0];
        }
    }

    pub(super) fn piece(&self, entry: usize) -> usize {
        self.files[self.entries[entry].file].piece
    }

    pub(super) fn is_in(&self, entry: usize, pieces: Option<&[usize]>) -> bool {
        pieces.is_none_or(|pieces| pieces.contains(&self.piece(entry)))
    }

    /// Whether there is such an entry, in these pieces, and a search has not found it yet.
    pub(super) fn is_open(&self, entry: usize, search: usize, pieces: Option<&[usize]>) -> bool {
        self.entries.get(entry).is_some_and(|entry| entry.found != search) && self.is_in(entry, pieces)
    }

    pub(super) fn text(&self, entry: usize) -> &[u8] {
        let Entry { text, range, .. } = &self.entries[entry];
        &self.texts[*text][range.clone()]
    }

    /// What the records of a line are.
    pub(super) fn identify(&self, line: &[u8]) -> Vec<Identity> {
        let mut records = Vec::new();
        for_each_record(line, &mut ReadReport::default(), &mut |text| {
            records.push((self.identify)(text)?);
            Ok(())
        });
        records
    }

    /// What the records of an entry are.
    pub(super) fn records(&mut self, entry: usize) -> &[Identity] {
        if self.entries[entry].records.is_none() {
            self.entries[entry].records = Some(self.identify(self.text(entry)));
        }
        self.entries[entry].records.as_deref().unwrap_or_default()
    }

    pub(super) fn time(&mut self, entry: usize) -> Option<Timestamp> {
        self.records(entry).iter().find_map(|record| record.at)
    }

    /// Puts another version in an entry's place.
    pub(super) fn replace(&mut self, entry: usize, text: usize, range: Range<usize>, records: Option<Vec<Identity>>) {
        let Entry { file, found, .. } = self.entries[entry];
        self.entries[entry] = Entry { text, range, file, found, records };
        self.files[file].is_changed = true;
    }

    /// The transcript of the piece that began with the file `root`, of these entries. Its file is given away where it is just that.
    pub(super) fn piece_of(&mut self, root: usize, entries: &[usize]) -> Piece {
        let path = self.files[root].path.clone();
        let is_its_file = !self.files[root].is_changed && entries.iter().copied().eq(self.block(root));
        if is_its_file {
            return Piece { path, bytes: std::mem::take(&mut self.texts[self.files[root].text]) };
        }
        let mut bytes = Vec::with_capacity(entries.iter().map(|&entry| self.entries[entry].range.len() + 1).sum());
        for &entry in entries {
            bytes.extend_from_slice(self.text(entry));
            bytes.push(b'\n');
        }
        Piece { path, bytes }
    }
}

/// Entries that look alike, in the order in which they came.
#[derive(Debug, Default)]
pub(super) struct Alike {
    entries: Vec<usize>,
    /// The entries before this place will not do for the search at hand.
    next: usize,
    search: usize,
}

impl Alike {
    pub(super) fn push(&mut self, entry: usize) {
        self.entries.push(entry);
    }

    /// The first entry that will do; what will not do does not for the rest of the search.
    pub(super) fn first(&mut self, search: usize, will_do: impl Fn(usize) -> bool) -> Option<usize> {
        if self.search != search {
            (self.search, self.next) = (search, 0);
        }
        self.next += self.entries[self.next..].iter().take_while(|&&entry| !will_do(entry)).count();
        self.entries.get(self.next).copied()
    }
}

/// Where the lines lie that are not blank, without the blanks around them.
pub(super) fn lines(bytes: &[u8]) -> impl Iterator<Item = Range<usize>> {
    let mut at = 0;
    std::iter::from_fn(move || {
        while at < bytes.len() {
            let end = memchr::memchr(b'\n', &bytes[at..]).map_or(bytes.len(), |offset| at + offset);
            let line = &bytes[at..end];
            let begin = at + (line.len() - line.trim_ascii_start().len());
            let length = line.trim_ascii().len();
            at = end + 1;
            if length > 0 {
                return Some(begin..begin + length);
            }
        }
        None
    })
}
