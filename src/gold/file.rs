//! A gold file that several people and programs change: single rows, one writer at a time, durable before anybody is told.
//!
//! A writer takes the lock (`<file>.lock` beside it), reads the file anew, changes the rows in question, writes the whole beside the file,
//! flushes it, and gives it the file's name: a reader sees the old file or the new one, a process that dies at any moment leaves one of the
//! two. An editor takes no lock; so the file is looked at once more right before it is replaced, and if it changed, all begins anew.

use super::edit::{Change, changed};
use super::journal::{self, Entry};
use super::{Gold, GoldError, GoldRow, OWN_COLUMNS, Reader};
use crate::codebook::{Codebook, FieldKind};
use miette::Diagnostic;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// How long a writer waits for another one.
const PATIENCE: Duration = Duration::from_secs(10);
/// How often a file may change under a writer's hands.
const ATTEMPTS: usize = 20;

/// Why a row was not written.
#[derive(Debug, thiserror::Error, Diagnostic)]
pub enum GoldWriteError {
    /// The file as it is cannot be used, so nothing is written into it.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Gold(#[from] GoldError),
    /// Somebody else holds the lock.
    #[error("{path} is being written by another program", path = path.display())]
    #[diagnostic(help("try again; if nothing else is at work here, end the program that holds the file's lock"))]
    Locked {
        /// The lock's file.
        path: PathBuf,
    },
    /// It changes all the time.
    #[error("{path} changes all the time", path = path.display())]
    #[diagnostic(help("close the program that writes it, and try again"))]
    Unsteady {
        /// The file.
        path: PathBuf,
    },
    /// It was there and is gone: what is written to its place now would be missing from it when it is back.
    #[error("{path} is gone since this began; bring it back (a folder moved, or no longer mounted?), then save again", path = path.display())]
    Gone {
        /// The file.
        path: PathBuf,
    },
    /// It is not to be changed.
    #[error("{path} is read-only; make it writable, then save again", path = path.display())]
    ReadOnly {
        /// The file.
        path: PathBuf,
    },
    /// It cannot be written.
    #[error("cannot write {path}: {source}", path = path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// A task's gold file and its journal.
#[derive(Debug, Clone)]
pub struct GoldFile {
    path: PathBuf,
    codebook: Arc<Codebook>,
    /// Whether the file has been seen.
    was_there: Arc<AtomicBool>,
}

/// What is known of a file without reading it: if it stays, the content did, too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp(Option<(u64, Option<std::time::SystemTime>)>);

impl GoldFile {
    /// The file at `path`, which need not be there yet.
    pub fn new(path: &Path, codebook: Arc<Codebook>) -> GoldFile {
        // Two ways to one file must lead to one lock; and a link goes on pointing at it.
        let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        let was_there = Arc::new(AtomicBool::new(path.exists()));
        GoldFile { path, codebook, was_there }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where its journal is.
    pub fn journal_path(&self) -> PathBuf {
        journal::path_beside(&self.path)
    }

    /// Whether it changed since then.
    pub fn stamp(&self) -> Stamp {
        Stamp(fs::metadata(&self.path).ok().map(|file| (file.len(), file.modified().ok())))
    }

    /// The rows as they are now; none where there is no file.
    pub fn rows(&self) -> Result<Vec<GoldRow>, GoldError> {
        self.rows_of(&self.bytes()?)
    }

    /// The whole as statistics take it; `None` where there is no file.
    pub fn gold(&self) -> Result<Option<Gold>, GoldError> {
        if self.path.is_file() { Gold::read(&self.path, &self.codebook).map(Some) } else { Ok(None) }
    }

    fn rows_of(&self, bytes: &[u8]) -> Result<Vec<GoldRow>, GoldError> {
        if bytes.iter().all(u8::is_ascii_whitespace) {
            return Ok(Vec::new());
        }
        Reader { path: &self.path, codebook: &self.codebook }.rows(bytes)
    }

    fn bytes(&self) -> Result<Vec<u8>, GoldError> {
        match fs::read(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            read => read.map_err(|source| GoldError::Io { path: self.path.clone(), source }),
        }
    }

    /// Makes changes, and then adds lines to the journal; all of it is on disk when this returns. `decide` is shown the rows as they
    /// are, and says what to change and what to tell; it may be asked again, about rows that came in between.
    ///
    /// # Errors
    /// Nothing is changed if the file cannot be read as gold. If only the journal cannot be written, the rows are changed: the same
    /// once more does no harm.
    pub fn update(
        &self,
        mut decide: impl FnMut(&[GoldRow]) -> (Vec<Change>, Vec<Entry>),
    ) -> Result<Vec<GoldRow>, GoldWriteError> {
        let io = |path: &Path| {
            let path = path.to_owned();
            move |source| GoldWriteError::Io { path, source }
        };
        self.check_place()?;
        if let Some(folder) = self.path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            fs::create_dir_all(folder).map_err(io(folder))?;
        }
        let _lock = self.lock()?;
        for _ in 0..ATTEMPTS {
            let bytes = self.bytes()?;
            let rows = self.rows_of(&bytes)?;
            let (changes, entries) = decide(&rows);
            let journal = self.journal_path();
            if !entries.is_empty() {
                // A journal that cannot be written is found out before anything is changed.
                drop(OpenOptions::new().create(true).append(true).open(&journal).map_err(io(&journal))?);
            }
            let new = changed(&bytes, &self.columns(), &changes);
            let rows = self.rows_of(&new)?;
            if new != bytes {
                let written = self.write_beside(&new).map_err(io(&self.path))?;
                if self.bytes()? != bytes {
                    continue;
                }
                fs::rename(&written, &self.path).and_then(|()| sync_folder(&self.path)).map_err(io(&self.path))?;
            }
            self.was_there.store(self.path.exists(), Ordering::Relaxed);
            journal::append(&journal, &entries).map_err(io(&journal))?;
            return Ok(rows);
        }
        Err(GoldWriteError::Unsteady { path: self.path.clone() })
    }

    /// Whether the file may be written: it must not have vanished, nor be closed to changes.
    fn check_place(&self) -> Result<(), GoldWriteError> {
        match fs::metadata(&self.path) {
            Ok(file) if file.permissions().readonly() => Err(GoldWriteError::ReadOnly { path: self.path.clone() }),
            Err(_) if self.was_there.load(Ordering::Relaxed) => Err(GoldWriteError::Gone { path: self.path.clone() }),
            _ => Ok(()),
        }
    }

    /// The columns of a new file.
    fn columns(&self) -> Vec<&str> {
        let fields = self.codebook.fields.iter().filter(|field| !matches!(field.kind, FieldKind::Evidence));
        let own = |columns: &'static [&'static str]| columns.iter().copied();
        own(&OWN_COLUMNS[..2]).chain(fields.map(|field| field.name.as_str())).chain(own(&OWN_COLUMNS[2..])).collect()
    }

    /// The lock, until the file that it is on is dropped. It is never removed: another process may be waiting for it.
    fn lock(&self) -> Result<File, GoldWriteError> {
        let path = beside(&self.path, ".lock");
        let io = |source| GoldWriteError::Io { path: path.clone(), source };
        let file = match OpenOptions::new().create(true).truncate(false).write(true).open(&path) {
            // Somebody else's file can be locked all the same.
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => File::open(&path),
            opened => opened,
        }
        .map_err(io)?;
        let begun = Instant::now();
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(file),
                Err(TryLockError::WouldBlock) if begun.elapsed() < PATIENCE => {
                    std::thread::sleep(Duration::from_millis(2));
                }
                Err(TryLockError::WouldBlock) => return Err(GoldWriteError::Locked { path: path.clone() }),
                Err(TryLockError::Error(source)) => return Err(io(source)),
            }
        }
    }

    /// Writes the new content, on disk, under another name.
    fn write_beside(&self, bytes: &[u8]) -> io::Result<PathBuf> {
        let path = beside(&self.path, ".new");
        let write = || {
            let mut file = File::create(&path)?;
            if let Ok(old) = fs::metadata(&self.path) {
                file.set_permissions(old.permissions())?;
            }
            file.write_all(bytes)?;
            file.sync_all()
        };
        write().inspect_err(|_| {
            // Half a copy has no use; that it cannot be removed changes nothing.
            drop(fs::remove_file(&path));
        })?;
        Ok(path)
    }
}

fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(ending);
    path.with_file_name(name)
}

/// Makes sure that a name in a folder survives a power cut.
#[cfg(unix)]
pub(super) fn sync_folder(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder)?.sync_all()
}

/// Makes sure that a name in a folder survives a power cut, where a system lets folders be flushed.
#[cfg(not(unix))]
pub(super) fn sync_folder(_: &Path) -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gold::edit::Row;
    use crate::gold::journal::What;
    use crate::unit::UnitId;
    use std::collections::BTreeMap;

    fn gold_file(path: &Path) -> GoldFile {
        GoldFile::new(path, Arc::new(Codebook::with_every_type()))
    }

    fn put(unit: &str, rater: &str, score: u32) -> Change {
        let cells = BTreeMap::from([("score".to_owned(), score.to_string())]);
        let (where_empty, where_column) = (BTreeMap::new(), BTreeMap::new());
        Change::Put(Row { unit: UnitId::from_text(unit), rater: rater.to_owned(), cells, where_empty, where_column })
    }

    fn entry(unit: &str) -> Entry {
        Entry::new("ada", &UnitId::from_text(unit), What::Answer)
    }

    #[test]
    fn a_file_is_made_with_its_folder_and_every_column() {
        let folder = tempfile::tempdir().unwrap();
        let file = gold_file(&folder.path().join("gold/all.csv"));
        assert!(file.rows().unwrap().is_empty() && file.gold().unwrap().is_none());
        let rows = file.update(|_| (vec![put("codex:s", "ada", 7)], vec![entry("codex:s")])).unwrap();
        assert_eq!((rows.len(), rows[0].fields["score"].as_f64()), (1, Some(7.0)));
        let text = fs::read_to_string(file.path()).unwrap();
        let header = "unit,rater,reason,label,topics,score,hours,urgent,phases,checks,mood,session,split,probability,stratum,note,date";
        assert_eq!(text.lines().next(), Some(header));
        assert_eq!(journal::read(&file.journal_path()).unwrap().0.len(), 1);
    }

    #[test]
    fn a_file_that_vanished_is_not_begun_anew_and_a_journal_that_cannot_be_written_changes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("gold/all.csv");
        let file = gold_file(&path);
        let save = |unit: &str, score| file.update(|_| (vec![put(unit, "ada", score)], vec![entry(unit)]));
        save("codex:s", 7).unwrap();
        fs::rename(folder.path().join("gold"), folder.path().join("away")).unwrap();
        assert!(matches!(save("codex:t", 8), Err(GoldWriteError::Gone { .. })));
        assert!(!folder.path().join("gold").exists());
        fs::rename(folder.path().join("away"), folder.path().join("gold")).unwrap();
        assert_eq!(save("codex:t", 8).unwrap().len(), 2);
        fs::remove_file(file.journal_path()).unwrap();
        fs::create_dir(file.journal_path()).unwrap();
        let before = fs::read(&path).unwrap();
        assert!(matches!(save("codex:u", 9), Err(GoldWriteError::Io { .. })));
        assert_eq!(fs::read(&path).unwrap(), before);
        let mut closed = fs::metadata(&path).unwrap().permissions();
        closed.set_readonly(true);
        fs::set_permissions(&path, closed).unwrap();
        assert!(matches!(save("codex:u", 9), Err(GoldWriteError::ReadOnly { .. })));
    }

    #[test]
    fn a_file_that_is_no_gold_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("all.csv");
        for text in
            ["unit,rater,score\ncodex:s,bob,eleven\n", "unit,rater,colour\n", "unit,rater,score\ncodex:s,\"bob,1\n"]
        {
            fs::write(&path, text).unwrap();
            let file = gold_file(&path);
            let done = file.update(|_| (vec![put("codex:s", "ada", 7)], vec![entry("codex:s")]));
            assert!(matches!(done, Err(GoldWriteError::Gold(_))), "{done:?}");
            assert_eq!(fs::read_to_string(&path).unwrap(), text);
            assert!(!file.journal_path().exists());
        }
    }

    #[test]
    fn an_edit_that_comes_in_between_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("all.csv");
        fs::write(&path, "unit,rater,score\n").unwrap();
        let mut looks = 0;
        let file = gold_file(&path);
        file.update(|rows| {
            looks += 1;
            assert_eq!(rows.len(), looks - 1);
            if looks == 1 {
                // Somebody's editor, which knows of no lock.
                fs::write(&path, "unit,rater,score\ncodex:t,bob,3\n").unwrap();
            }
            (vec![put("codex:s", "ada", 7)], vec![entry("codex:s")])
        })
        .unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "unit,rater,score\ncodex:t,bob,3\ncodex:s,ada,7\n");
        assert_eq!((looks, journal::read(&file.journal_path()).unwrap().0.len()), (2, 1));
    }

    #[test]
    fn many_writers_lose_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("all.csv");
        std::thread::scope(|scope| {
            for rater in 0..4 {
                let file = gold_file(&path);
                scope.spawn(move || {
                    for unit in 0..8 {
                        let unit = format!("codex:s{unit}");
                        let rater = format!("rater{rater}");
                        file.update(|_| (vec![put(&unit, &rater, 5)], vec![entry(&unit)])).unwrap();
                    }
                });
            }
        });
        let file = gold_file(&path);
        assert_eq!(file.rows().unwrap().len(), 32);
        let (entries, unread) = journal::read(&file.journal_path()).unwrap();
        assert_eq!((entries.len(), unread), (32, 0));
    }

    #[cfg(unix)]
    #[test]
    fn a_link_goes_on_pointing_at_the_file_and_the_mode_stays() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let (real, link) = (folder.path().join("real.csv"), folder.path().join("all.csv"));
        fs::write(&real, "unit,rater,score\n").unwrap();
        fs::set_permissions(&real, fs::Permissions::from_mode(0o640)).unwrap();
        std::os::unix::fs::symlink(&real, &link).unwrap();
        gold_file(&link).update(|_| (vec![put("codex:s", "ada", 7)], vec![])).unwrap();
        assert!(link.is_symlink() && fs::read_to_string(&real).unwrap().contains("codex:s,ada,7"));
        assert_eq!(fs::metadata(&real).unwrap().permissions().mode() & 0o777, 0o640);
    }
}
