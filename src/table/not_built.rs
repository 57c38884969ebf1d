//! What stands in the place of the reader in a program that was built without it.

use super::{Batch, Span, TableError};
use std::convert::Infallible;
use std::path::Path;

/// A Parquet file; here there is none.
#[derive(Debug)]
pub struct Table(Infallible);

impl Table {
    /// Refuses.
    ///
    /// # Errors
    /// Always [`TableError::NotBuilt`].
    pub fn open(_path: &Path) -> Result<Table, TableError> {
        Err(TableError::NotBuilt)
    }

    /// The file.
    pub fn path(&self) -> &Path {
        match self.0 {}
    }

    /// Whether there is a column of this name.
    pub fn has(&self, _column: &str) -> bool {
        match self.0 {}
    }

    /// How many rows there are.
    pub fn rows(&self) -> u64 {
        match self.0 {}
    }

    /// Reads cells.
    ///
    /// # Errors
    /// None, since there is no table.
    pub fn read(&self, _columns: &[&str], _spans: &[Span]) -> std::io::Result<Batch> {
        match self.0 {}
    }
}
