//! What tells a record of a transcript from the others, so that it is known again in another copy.

use foldhash::quality::FixedState;
use jiff::Timestamp;
use std::hash::{BuildHasher, Hash, Hasher};

/// Tells what a record is from its text; fails where that is no record.
pub(in crate::session) type Identify = fn(&str) -> Result<Identity, serde_json::Error>;

/// What a record is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::session) struct Identity {
    pub key: Key,
    /// What tells records apart that share a key, where it is known: versions of a record do not differ in it.
    pub mark: Option<u64>,
    /// When it was written.
    pub at: Option<Timestamp>,
    /// How complete it is, among versions of the same record.
    pub weight: u64,
}

impl Identity {
    /// What is known by its key alone.
    pub(in crate::session) fn new(key: Key, at: Option<Timestamp>) -> Identity {
        Identity { key, mark: None, at, weight: 0 }
    }
}

/// By what a record is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(in crate::session) enum Key {
    /// An id of its own: all records that have it are versions of one.
    Own(u64),
    /// What several records may share; these come in the same order in every copy.
    Shared(u64),
    /// Its kind only: it is known by its bytes, else by its place among others.
    Kind(u64),
}

impl Key {
    /// A key that is made of `parts`.
    pub(in crate::session) fn digest(parts: impl Hash) -> u64 {
        FixedState::default().hash_one(parts)
    }

    /// Whether two files that share it hold the same transcript.
    pub(super) fn is_strong(self) -> bool {
        !matches!(self, Key::Kind(_))
    }
}

/// A hash of some bytes: where two are equal, the bytes have to be compared.
pub(super) fn hash(bytes: &[u8]) -> u64 {
    let mut hasher = foldhash::fast::FixedState::default().build_hasher();
    hasher.write(bytes);
    hasher.finish()
}
