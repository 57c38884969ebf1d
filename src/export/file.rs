//! A file that has its name only once it is whole.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

/// A file under a name of its own, until it is done.
#[derive(Debug)]
pub(super) struct PendingFile {
    path: PathBuf,
    new: PathBuf,
    file: File,
    done: bool,
}

impl PendingFile {
    /// Creates the file beside its name, and the folder where it will be.
    pub(super) fn create(path: &Path) -> io::Result<PendingFile> {
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        // A link goes on pointing at the file.
        let path = if path.is_symlink() { fs::canonicalize(path)? } else { path.to_owned() };
        let mut name = path.file_name().unwrap_or_default().to_owned();
        name.push(".new");
        let new = path.with_file_name(name);
        Ok(PendingFile { path, file: File::create(&new)?, new, done: false })
    }

    /// Somewhere to write to.
    pub(super) fn writer(&self) -> io::Result<File> {
        self.file.try_clone()
    }

    /// Gives the file its name, in the place of one that has it already. What was written is on disk first.
    pub(super) fn finish(mut self) -> io::Result<()> {
        self.file.sync_all()?;
        fs::rename(&self.new, &self.path)?;
        self.done = true;
        Ok(())
    }
}

impl Drop for PendingFile {
    fn drop(&mut self) {
        if !self.done {
            // What is left of it has no use; that it cannot be removed changes nothing.
            drop(fs::remove_file(&self.new));
        }
    }
}
