//! Where the bytes of a transcript lie, so that they can be read when they are needed and not before.

use super::repository::Repository;
use crate::session::copies::Stored;
use crate::session::swe_chat::Record;
use crate::table::Rows;
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
    /// Rows of the table in that file: turns of the session.
    Rows(Rows),
    /// What the table in that file says of the session in a row of its own; it is small, and was read when it was found.
    Record(Arc<Record>),
}

impl Holder {
    /// Whether a table holds it, and not the bytes of a transcript.
    pub fn is_table(&self) -> bool {
        matches!(self, Holder::Rows(_) | Holder::Record(_))
    }
}

impl Place {
    /// A whole file.
    pub fn file(path: PathBuf) -> Place {
        Place { path, holder: Holder::File }
    }

    /// The bytes.
    ///
    /// # Errors
    /// Those of the system: a file may have gone since it was found, an object may be damaged. What lies in a table is no bytes of a transcript.
    pub fn read(&self) -> io::Result<Vec<u8>> {
        match &self.holder {
            Holder::Rows(_) | Holder::Record(_) => Err(io::ErrorKind::Unsupported.into()),
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
            Holder::Rows(_) | Holder::Record(_) => Err(io::ErrorKind::Unsupported.into()),
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
            Holder::File | Holder::Span { .. } | Holder::Rows(_) | Holder::Record(_) => {
                hasher.update_reader(File::open(&self.path)?).map(|_| ())
            }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::corpus::repository;
    use gix_object::Write;

    /// The same bytes held in each way: in a folder and in a repository within it.
    fn places(folder: &std::path::Path, bytes: &[u8]) -> Vec<Place> {
        let path = folder.join("transcript.jsonl");
        fs::write(&path, [b"before".as_slice(), bytes].concat()).expect("a file can be written");
        let span = Holder::Span { start: 6, end: 6 + bytes.len() as u64 };
        let whole = folder.join("whole.jsonl");
        fs::write(&whole, bytes).expect("a file can be written");
        let git = folder.join("repository.git");
        for inner in ["objects", "refs"] {
            fs::create_dir_all(git.join(inner)).expect("a folder can be made");
        }
        fs::write(git.join("HEAD"), "ref: refs/heads/main\n").expect("a file can be written");
        let objects = gix_odb::loose::Store::at(git.join("objects"), gix_hash::Kind::Sha1);
        let id = objects.write_buf(gix_object::Kind::Blob, bytes).expect("an object can be written");
        let location = repository::locate(&git).expect("it is a repository");
        let repository = Arc::new(Repository::open(location, git.clone()).expect("it can be opened"));
        vec![
            Place { path, holder: span },
            Place::file(whole),
            Place { path: git.join("shown"), holder: Holder::Blob { repository, id } },
        ]
    }

    #[test]
    fn bytes_are_the_same_wherever_they_lie() {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        for bytes in [&b"{\"a\":1}\n{}"[..], b""] {
            for place in places(folder.path(), bytes) {
                assert_eq!(place.read().expect("it can be read"), bytes);
                assert_eq!(place.len().expect("it is there"), bytes.len() as u64);
                assert_eq!(place.is_empty().expect("it is there"), bytes.is_empty());
            }
        }
    }

    #[test]
    fn parts_are_joined_at_line_ends() {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let parts: Vec<Place> = places(folder.path(), b"{}").into_iter().chain(places(folder.path(), b"{}")).collect();
        fs::write(folder.path().join("whole.jsonl"), "[]\n").expect("a file can be written");
        let mut whole = blake3::Hasher::new();
        let place = Place { path: parts[0].path.clone(), holder: Holder::Parts(parts[1..3].to_vec()) };
        assert_eq!(place.read().expect("it can be read"), b"[]\n{}");
        assert_eq!(place.len().expect("it is there"), 5);
        place.hash(&mut whole).expect("it can be read");
        assert_eq!(whole.finalize(), blake3::hash(b"[]\n{}"));
        let place = Place { holder: Holder::Parts(parts[2..4].to_vec()), ..place };
        assert_eq!(place.read().expect("it can be read"), b"{}\n{}");
        fs::remove_dir_all(folder.path().join("repository.git")).expect("a folder can be removed");
        assert!(place.read().is_err());
    }
}
