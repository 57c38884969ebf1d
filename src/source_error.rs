//! An error in a file that a user wrote: what is wrong, on which line, the piece itself, the way out.

use miette::{Diagnostic, NamedSource, SourceSpan};
use std::ops::Range;
use std::path::{Path, PathBuf};

/// What is wrong with a piece of a file.
#[derive(Debug, thiserror::Error, Diagnostic)]
#[error("{path}:{line}: {message}", path = path.display())]
pub struct SourceError {
    /// The file.
    pub path: PathBuf,
    /// The line, from 1.
    pub line: usize,
    /// What is wrong.
    pub message: String,
    /// The way out.
    #[help]
    pub help: Option<String>,
    /// The file's text.
    #[source_code]
    text: NamedSource<String>,
    /// The offending piece.
    #[label("here")]
    at: SourceSpan,
}

impl SourceError {
    /// An error at `span` (bytes) of the file's text; a span beyond its end points at the end.
    pub fn new(
        path: &Path,
        text: &str,
        span: Range<usize>,
        message: impl Into<String>,
        help: Option<String>,
    ) -> Box<SourceError> {
        let start = span.start.min(text.len());
        Box::new(SourceError {
            path: path.to_owned(),
            line: memchr::memchr_iter(b'\n', &text.as_bytes()[..start]).count() + 1,
            message: message.into(),
            help,
            text: NamedSource::new(path.display().to_string(), text.to_owned()),
            at: (start..span.end.clamp(start, text.len())).into(),
        })
    }

    /// The offending piece.
    pub fn piece(&self) -> &str {
        &self.text.inner()[self.at.offset()..self.at.offset() + self.at.len()]
    }
}
