//! Where the bytes of a transcript lie, so that they can be read when they are needed and not before.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::PathBuf;

/// Where some of a session's bytes lie. Places are in the order of their paths.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// What people are shown.
    pub path: PathBuf,
    /// What holds the bytes.
    pub holder: Holder,
}

/// What holds the bytes of a [`Place`].
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Holder {
    /// The file at the place's path, all of it.
    File,
    /// A part of that file, which may hold other sessions: from the byte `start` to the one before `end`.
    Span {
        /// The first byte.
        start: u64,
        /// The byte after the last.
        end: u64,
    },
}

impl Place {
    /// A whole file.
    pub fn file(path: PathBuf) -> Place {
        Place { path, holder: Holder::File }
    }

    /// The bytes.
    ///
    /// # Errors
    /// Those of the system: a file may have gone since it was found.
    pub fn read(&self) -> io::Result<Vec<u8>> {
        match self.holder {
            Holder::File => fs::read(&self.path),
            Holder::Span { start, end } => {
                let mut file = File::open(&self.path)?;
                file.seek(SeekFrom::Start(start))?;
                let mut bytes = Vec::new();
                file.take(end - start).read_to_end(&mut bytes)?;
                Ok(bytes)
            }
        }
    }

    /// How many bytes there are, without reading them.
    ///
    /// # Errors
    /// Those of [`Place::read`].
    pub fn len(&self) -> io::Result<u64> {
        match &self.holder {
            Holder::File => Ok(fs::metadata(&self.path)?.len()),
            Holder::Span { start, end } => Ok(end - start),
        }
    }

    /// Whether there is nothing to read.
    ///
    /// # Errors
    /// Those of [`Place::read`].
    pub fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }

    /// Feeds what a manifest vouches for to `hasher`: the whole file, also where a session is only a part of it.
    ///
    /// # Errors
    /// Those of [`Place::read`].
    pub fn hash(&self, hasher: &mut blake3::Hasher) -> io::Result<()> {
        match self.holder {
            Holder::File | Holder::Span { .. } => hasher.update_reader(File::open(&self.path)?).map(|_| ()),
        }
    }
}
