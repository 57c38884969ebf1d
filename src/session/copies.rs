//! Takes the copies of transcripts, one at a time and the largest first; gives each transcript once, with all that any copy has.
//!
//! Containers store a session as often as they save it, and a later copy need not begin with an earlier one: secrets are taken out
//! anew, rows are dropped or rewritten. `union` puts lines together, `documents` what documents list; `identity` says what makes
//! an entry the same in two copies, `versions` which rows belong together where that is not enough, `order` in which order entries
//! come. `search` finds a copy's lines among those that are `held`.
//!
//! In memory are the union and one copy.

mod documents;
mod held;
mod identity;
mod order;
mod search;
mod union;
mod versions;

pub(super) use documents::{Chosen, Merged, merge, unite_lists};
pub(super) use identity::{Identify, Identity, Key};

use super::ReadError;
use std::borrow::Cow;
use std::cmp::Reverse;
use std::io;
use std::path::{Path, PathBuf};
use union::Union;

/// What holds a copy of a transcript, or a part of one: it is loaded when its turn comes.
pub trait Stored {
    /// Where it lies, for people and for what a transcript's place says about it.
    fn path(&self) -> &Path;

    /// The file that holds it and nothing else, if there is one.
    fn file(&self) -> Option<&Path>;

    /// How many bytes it has.
    ///
    /// # Errors
    /// Those of the system.
    fn size(&self) -> io::Result<u64>;

    /// The bytes.
    ///
    /// # Errors
    /// Those of the system.
    fn load(&self) -> io::Result<Cow<'_, [u8]>>;
}

impl<S: Stored> Stored for &S {
    fn path(&self) -> &Path {
        (**self).path()
    }

    fn file(&self) -> Option<&Path> {
        (**self).file()
    }

    fn size(&self) -> io::Result<u64> {
        (**self).size()
    }

    fn load(&self) -> io::Result<Cow<'_, [u8]>> {
        (**self).load()
    }
}

/// Bytes in memory under a path that need not exist.
impl Stored for (PathBuf, Vec<u8>) {
    fn path(&self) -> &Path {
        &self.0
    }

    fn file(&self) -> Option<&Path> {
        None
    }

    fn size(&self) -> io::Result<u64> {
        Ok(self.1.len() as u64)
    }

    fn load(&self) -> io::Result<Cow<'_, [u8]>> {
        Ok(Cow::Borrowed(&self.1))
    }
}

/// A transcript, or a part of one that has nothing in common with the others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Piece {
    /// Where its largest copy lies.
    pub path: PathBuf,
    /// Its lines.
    pub bytes: Vec<u8>,
}

/// Loads a copy.
pub(super) fn load<S: Stored>(copy: &S) -> Result<Cow<'_, [u8]>, ReadError> {
    copy.load().map_err(|source| ReadError::Io { path: copy.path().to_owned(), source })
}

/// The copies with the largest first, and those of one size in the order of their paths.
pub(super) fn largest_first<S: Stored>(copies: &[S]) -> Result<Vec<&S>, ReadError> {
    if let [only] = copies {
        return Ok(vec![only]);
    }
    let size = |copy: &S| copy.size().map_err(|source| ReadError::Io { path: copy.path().to_owned(), source });
    let mut sized =
        copies.iter().map(|copy| Ok((Reverse(size(copy)?), copy))).collect::<Result<Vec<_>, ReadError>>()?;
    sized.sort_by(|(size, copy), (other_size, other)| (size, copy.path()).cmp(&(other_size, other.path())));
    Ok(sized.into_iter().map(|(_, copy)| copy).collect())
}

/// Unites copies of transcripts of JSON lines, whose records `identify` tells apart.
///
/// `thread` says of which thread of conversation a copy is; none means that it has no lines, and is taken care of already. Threads
/// come in the order of their largest copies, the pieces of each in the order of time.
pub(super) fn unite<S: Stored, K: PartialEq>(
    copies: &[S],
    identify: Identify,
    mut thread: impl FnMut(&Path, &[u8]) -> Option<K>,
) -> Result<Vec<(K, Vec<Piece>)>, ReadError> {
    let mut threads: Vec<(K, Union)> = Vec::new();
    for copy in largest_first(copies)? {
        let bytes = load(copy)?;
        let Some(key) = thread(copy.path(), &bytes) else { continue };
        let at = threads.iter().position(|(known, _)| *known == key).unwrap_or_else(|| {
            threads.push((key, Union::new(identify)));
            threads.len() - 1
        });
        threads[at].1.add(copy.path(), bytes);
    }
    Ok(threads.into_iter().map(|(key, union)| (key, union.finish())).collect())
}

#[cfg(test)]
mod tests;
