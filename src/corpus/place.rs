//! Where the bytes of a transcript lie, so that they can be read when they are needed and not before.

use super::repository::Repository;
use crate::session::copies::Stored;
use gix_hash::ObjectId;
use std::borrow::Cow;
use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;

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
    /// An object of a git repository; the place's path is no file.
    Blob {
        /// The repository.
        repository: Arc<Repository>,
        /// The object.
        id: ObjectId,
    },
    /// Several places, one behind the other: a transcript that was too long for one file. Each part ends a line, with or without a line end.
    Parts(Vec<Place>),
}

impl Place {
    /// A whole file.
    pub fn file(path: PathBuf) -> Place {
        Place { path, holder: Holder::File }
    }

    /// The bytes.
    ///
    /// # Errors
    /// Those of the system: a file may have gone since it was found, an object may be damaged.
    pub fn read(&self) -> io::Result<Vec<u8>> {
        match &self.holder {
            Holder::File => fs::read(&self.path),
            Holder::Span { start, end } => {
                let mut file = File::open(&self.path)?;
                file.seek(SeekFrom::Start(*start))?;
                let mut bytes = Vec::new();
                file.take(end - start).read_to_end(&mut bytes)?;
                Ok(bytes)
            }
            Holder::Blob { repository, id } => repository.blob(*id),
            Holder::Parts(parts) => {
                let mut bytes = Vec::new();
                for part in parts {
                    if bytes.last().is_some_and(|&last| last != b'\n') {
                        bytes.push(b'\n');
                    }
                    bytes.append(&mut part.read()?);
                }
                Ok(bytes)
            }
        }
    }

    /// How many bytes there are, without reading them; line ends that parts lack are not in it.
    ///
    /// # Errors
    /// Those of [`Place::read`].
    pub fn len(&self) -> io::Result<u64> {
        match &self.holder {
            Holder::File => Ok(fs::metadata(&self.path)?.len()),
            Holder::Span { start, end } => Ok(end - start),
            Holder::Blob { repository, id } => repository.len(*id),
            Holder::Parts(parts) => parts.iter().map(Place::len).sum(),
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
        match &self.holder {
            Holder::File | Holder::Span { .. } => hasher.update_reader(File::open(&self.path)?).map(|_| ()),
            Holder::Blob { repository, id } => {
                hasher.update(&repository.blob(*id)?);
                Ok(())
            }
            Holder::Parts(parts) => parts.iter().try_for_each(|part| part.hash(hasher)),
        }
    }
}

impl Stored for Place {
    fn path(&self) -> &Path {
        &self.path
    }

    fn file(&self) -> Option<&Path> {
        matches!(self.holder, Holder::File).then_some(&self.path)
    }

    fn size(&self) -> io::Result<u64> {
        self.len()
    }

    fn load(&self) -> io::Result<Cow<'_, [u8]>> {
        self.read().map(Cow::Owned)
    }
}
