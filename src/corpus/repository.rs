//! Takes a folder; gives the git repository in it: its references and its objects.
//!
//! Nothing of a repository's configuration is used (but for the one line that says how its objects are named), so it does not matter who
//! owns the repository, and nothing that it holds can start a program. Objects may be loose, packed, or in a repository that this one borrows from.

use gix_hash::ObjectId;
use gix_object::{CommitRefIter, Find, Kind, TreeRefIter};
use gix_odb::{HandleArc, HeaderExt, Store};
use gix_pack::cache::lru::MemoryCappedHashmap;
use gix_ref::{Target, file};
use std::cmp::Ordering;
use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// How much of what deltas are made from a reader keeps at hand, in bytes.
const DELTA_BASES_BYTES: usize = 48 * 1024 * 1024;

/// Where a repository's files lie.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Location {
    /// What is a worktree's own, such as its `HEAD`.
    own: PathBuf,
    /// What all worktrees share: objects and branches.
    shared: PathBuf,
    /// Whether the folder holds the repository itself rather than a work tree.
    pub is_bare: bool,
}

/// A git repository.
///
/// Repositories are compared by the folder of their objects.
pub struct Repository {
    location: Location,
    /// What people are shown.
    shown: PathBuf,
    store: Arc<Store>,
    /// Readers that wait for their next use, with what they know already.
    idle: Mutex<Vec<HandleArc>>,
}

/// An entry of a tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    pub name: String,
    pub id: ObjectId,
    pub is_tree: bool,
}

/// What a walk through commits needs to know of one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Commit {
    pub tree: ObjectId,
    pub parents: Vec<ObjectId>,
    /// When it was made, in seconds since 1970.
    pub seconds: i64,
    pub message: String,
}

/// Why a repository cannot be opened.
#[derive(Debug, thiserror::Error)]
pub(super) enum OpenError {
    /// Objects are named by another hash than SHA-1.
    #[error("its objects are named by {0}, which cannot be read yet")]
    ObjectFormat(String),
    /// References are kept in another way than as files.
    #[error(
        "its references are kept as `{0}`, which cannot be read yet; `git refs migrate --ref-format=files` changes that"
    )]
    ReferenceStorage(String),
    /// The system said no.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// The repository that `folder` is, or is a work tree of; none if it is a plain folder.
pub(super) fn locate(folder: &Path) -> Option<Location> {
    let inner = folder.join(".git");
    let (own, is_bare) = match fs::metadata(&inner) {
        Ok(metadata) if metadata.is_dir() => (inner, false),
        // Linked worktrees and submodules.
        Ok(metadata) if metadata.is_file() => {
            (folder.join(fs::read_to_string(&inner).ok()?.strip_prefix("gitdir:")?.trim()), false)
        }
        _ => (folder.to_owned(), true),
    };
    if !own.join("HEAD").is_file() {
        return None;
    }
    let shared = match fs::read_to_string(own.join("commondir")) {
        Ok(shared) => own.join(shared.trim_end()),
        Err(_) => own.clone(),
    };
    let is_repository = shared.join("objects").is_dir() && shared.join("refs").is_dir();
    is_repository.then_some(Location { own, shared, is_bare })
}

impl Repository {
    /// Opens a repository that people are shown as `shown`.
    pub(super) fn open(location: Location, shown: PathBuf) -> Result<Repository, OpenError> {
        let config = fs::read(location.shared.join("config")).unwrap_or_default();
        for line in String::from_utf8_lossy(&config).lines() {
            let Some((key, value)) = line.split_once('=') else { continue };
            let value = value.trim().trim_matches('"').to_ascii_lowercase();
            match key.trim().to_ascii_lowercase().as_str() {
                "objectformat" if value != "sha1" => return Err(OpenError::ObjectFormat(value)),
                "refstorage" if value != "files" => return Err(OpenError::ReferenceStorage(value)),
                _ => {}
            }
        }
        let objects = location.shared.join("objects");
        let store = Store::at_opts(objects, gix_hash::Kind::Sha1, &mut std::iter::empty(), Default::default())?;
        Ok(Repository { location, shown, store: Arc::new(store), idle: Mutex::default() })
    }

    /// What people are shown.
    pub fn shown(&self) -> &Path {
        &self.shown
    }

    /// Whether the folder holds the repository itself rather than a work tree.
    pub fn is_bare(&self) -> bool {
        self.location.is_bare
    }

    /// The folder of the objects, which tells repositories apart.
    pub(super) fn identity(&self) -> PathBuf {
        self.location.shared.join("objects")
    }

    /// The commits that a shallow clone ends at.
    pub(super) fn shallow_ends(&self) -> Vec<ObjectId> {
        let ends = fs::read_to_string(self.location.shared.join("shallow")).unwrap_or_default();
        ends.lines().filter_map(|line| ObjectId::from_hex(line.trim().as_bytes()).ok()).collect()
    }

    /// The references to objects, by name, in the order of their names, with a `HEAD` that is on no branch; and what cannot be read of them.
    pub(super) fn references(&self) -> (Vec<(String, ObjectId)>, Vec<io::Error>) {
        let Location { own, shared, .. } = &self.location;
        let store = match own == shared {
            true => file::Store::at(own.clone(), gix_hash::Kind::Sha1),
            false => file::Store::for_linked_worktree(own.clone(), shared.clone(), gix_hash::Kind::Sha1),
        };
        let (mut found, mut errors) = (Vec::new(), Vec::new());
        let named = |reference: gix_ref::Reference| match reference.target {
            // What a symbolic reference points at has a name of its own.
            Target::Symbolic(_) => None,
            Target::Object(id) => Some((reference.name.as_bstr().to_string(), id)),
        };
        found.extend(store.try_find("HEAD").ok().flatten().and_then(named));
        let platform = match store.iter() {
            Ok(platform) => platform,
            Err(error) => return (found, vec![damaged("the references", error)]),
        };
        match platform.all() {
            Ok(references) => {
                for reference in references {
                    match reference {
                        Ok(reference) => found.extend(named(reference)),
                        Err(error) => errors.push(damaged("a reference", error)),
                    }
                }
            }
            Err(error) => errors.push(error),
        }
        (found, errors)
    }

    /// A blob's bytes.
    pub(super) fn blob(&self, id: ObjectId) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.find(id, Kind::Blob, &mut bytes)?;
        Ok(bytes)
    }

    /// How many bytes an object has, which is known without reading it.
    pub(super) fn len(&self, id: ObjectId) -> io::Result<u64> {
        self.with_reader(|reader| {
            let header = reader.header(id).map_err(|error| damaged(id, error))?;
            Ok(header.size())
        })
    }

    /// A tree's entries, in its order. Names that are no text are shown as if they were.
    pub(super) fn tree(&self, id: ObjectId) -> io::Result<Vec<Entry>> {
        let mut bytes = Vec::new();
        self.find(id, Kind::Tree, &mut bytes)?;
        TreeRefIter::from_bytes(&bytes, gix_hash::Kind::Sha1)
            .map(|entry| {
                let entry = entry.map_err(|error| damaged(id, error))?;
                Ok(Entry { name: entry.filename.to_string(), id: entry.oid.to_owned(), is_tree: entry.mode.is_tree() })
            })
            .collect()
    }

    /// A commit.
    pub(super) fn commit(&self, id: ObjectId) -> io::Result<Commit> {
        let mut bytes = Vec::new();
        self.find(id, Kind::Commit, &mut bytes)?;
        let commit = CommitRefIter::from_bytes(&bytes, gix_hash::Kind::Sha1);
        let tree =
            CommitRefIter::from_bytes(&bytes, gix_hash::Kind::Sha1).tree_id().map_err(|error| damaged(id, error))?;
        let message = commit.message().map_err(|error| damaged(id, error))?.to_string();
        let seconds = commit.committer().map_or(0, |committer| committer.seconds());
        Ok(Commit { tree, parents: commit.parent_ids().collect(), seconds, message })
    }

    fn find(&self, id: ObjectId, kind: Kind, bytes: &mut Vec<u8>) -> io::Result<()> {
        self.with_reader(|reader| match reader.try_find(&id, bytes) {
            Ok(Some(data)) if data.kind == kind => Ok(()),
            Ok(Some(data)) => Err(io::Error::new(
                io::ErrorKind::InvalidData,
                format!("git object {id} is a {}, where a {kind} was expected", data.kind),
            )),
            Ok(None) => {
                Err(io::Error::new(io::ErrorKind::NotFound, format!("git object {id} is missing from the repository")))
            }
            Err(error) => Err(damaged(id, error)),
        })
    }

    /// Lends a reader that nobody else uses, since a reader is one thread's.
    fn with_reader<R>(&self, read: impl FnOnce(&HandleArc) -> R) -> R {
        let idle = || self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let waiting = idle().pop();
        let reader = waiting.unwrap_or_else(|| {
            let bases = || Box::new(MemoryCappedHashmap::new(DELTA_BASES_BYTES)) as Box<_>;
            self.store.to_cache_arc().with_pack_cache(bases)
        });
        let read = read(&reader);
        idle().push(reader);
        read
    }
}

/// What cannot be read is damaged; the library's own words say how.
fn damaged(what: impl fmt::Display, error: impl fmt::Display) -> io::Error {
    let what = what.to_string();
    let what = if ObjectId::from_hex(what.as_bytes()).is_ok() { format!("git object {what}") } else { what };
    io::Error::new(io::ErrorKind::InvalidData, format!("{what} is damaged: {error}"))
}

impl fmt::Debug for Repository {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Repository").field(&self.location.shared).finish()
    }
}

impl PartialEq for Repository {
    fn eq(&self, other: &Repository) -> bool {
        self.location.shared == other.location.shared
    }
}

impl Eq for Repository {}

impl PartialOrd for Repository {
    fn partial_cmp(&self, other: &Repository) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Repository {
    fn cmp(&self, other: &Repository) -> Ordering {
        self.location.shared.cmp(&other.location.shared)
    }
}
