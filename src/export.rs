//! Takes a corpus; gives its sessions and their events as tables in files, for pandas, polars, DuckDB and the like.
//!
//! Sessions are read on every core and written in the corpus's order, so that the same transcripts are the same bytes. A few sessions
//! are in memory at a time. A file has its name only once it is whole.

mod events;
mod file;
mod in_order;
mod sessions;

use crate::corpus::{self, Corpus, SessionSource};
use crate::filter::{Filter, FilterError};
use crate::frame::{Cell, Column, Format, NoParquet, Row, Writer};
use crate::redact::{self, Redactions};
use crate::session::{Event, ReadError, Session, SessionSummary};
use file::PendingFile;
use miette::Diagnostic;
use serde::Serialize;
use std::collections::HashSet;
use std::fs;
use std::io::{self, BufWriter, Write};
use std::path::{MAIN_SEPARATOR, Path, PathBuf};

/// Why nothing could be exported.
#[derive(Debug, thiserror::Error, Diagnostic)]
pub enum ExportError {
    /// A transcript cannot be read.
    #[error(transparent)]
    Session(#[from] ReadError),
    /// The condition on sessions cannot be used.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Filter(#[from] FilterError),
    /// The format is not built in.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Format(#[from] NoParquet),
    /// A file's ending and the format that was asked for contradict each other.
    #[error("{path} is the name of a {named} file, and --format {asked} was asked for", path = path.display())]
    #[diagnostic(help("leave --format out, or name the file after its format"))]
    OtherEnding {
        /// The file.
        path: PathBuf,
        /// The format that its name says.
        named: Format,
        /// The format asked for.
        asked: Format,
    },
    /// Parquet is no format for a pipe.
    #[error("Parquet is not written to stdout")]
    #[diagnostic(help("name a file, such as -o events.parquet, or write JSON lines to stdout with --format jsonl"))]
    ParquetToStdout,
    /// The file is an input.
    #[error("{path} is one of the transcripts that are exported", path = .0.display())]
    #[diagnostic(help("name another file: transcripts are never written to"))]
    IsInput(PathBuf),
    /// A file cannot be written.
    #[error("cannot write {path}: {source}", path = path.display())]
    Write {
        /// The file; `-` for stdout.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// What is exported.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Table {
    /// A row a session.
    Sessions,
    /// A row an event.
    Events,
}

impl Table {
    /// Its name, which is that of its file in a folder.
    pub fn name(self) -> &'static str {
        match self {
            Table::Sessions => "sessions",
            Table::Events => "events",
        }
    }

    /// Its columns, in order.
    pub fn columns(self) -> &'static [Column] {
        match self {
            Table::Sessions => &sessions::COLUMNS,
            Table::Events => &events::COLUMNS,
        }
    }
}

/// An event as its row of the table of events, for documents.
pub fn event_document(session: &Session, event: &Event) -> serde_json::Value {
    let row = Row { columns: &events::COLUMNS, cells: &events::cells(session, event) };
    serde_json::to_value(row).expect("a row has only string keys")
}

/// Where the tables go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Destination {
    /// The tables with their files.
    files: Vec<(Table, PathBuf)>,
    format: Format,
}

impl Destination {
    /// Reads what a user means by `output`: `-` is stdout; a folder (one that is there, or a name that ends with a separator or has no
    /// ending) gets a file a table; any other name is a file with one table.
    ///
    /// Without `format`, a file's ending decides, else it is JSON lines. Without `table`, a file called `sessions` holds that table, any
    /// other the events.
    ///
    /// # Errors
    /// A format that is not built in, that contradicts the file's ending, or that stdout cannot take.
    pub fn new(output: &Path, format: Option<Format>, table: Option<Table>) -> Result<Destination, ExportError> {
        if output == Path::new("-") {
            if format == Some(Format::Parquet) {
                return Err(ExportError::ParquetToStdout);
            }
            let files = vec![(table.unwrap_or(Table::Events), output.to_owned())];
            return Ok(Destination { files, format: Format::JsonLines });
        }
        let ends_with_separator = output.to_string_lossy().ends_with(['/', MAIN_SEPARATOR]);
        let is_folder = match fs::metadata(output) {
            Ok(metadata) => metadata.is_dir(),
            Err(_) => ends_with_separator || output.extension().is_none(),
        };
        if is_folder {
            let format = format.unwrap_or(Format::JsonLines).check()?;
            let tables = table.map_or_else(|| vec![Table::Sessions, Table::Events], |table| vec![table]);
            let file = |table: Table| output.join(format!("{}.{format}", table.name()));
            return Ok(Destination { files: tables.into_iter().map(|table| (table, file(table))).collect(), format });
        }
        let named =
            output.extension().and_then(|extension| match extension.to_string_lossy().to_ascii_lowercase().as_str() {
                "parquet" | "pq" => Some(Format::Parquet),
                "jsonl" | "ndjson" => Some(Format::JsonLines),
                _ => None,
            });
        let format = match (named, format) {
            (Some(named), Some(asked)) if named != asked => {
                return Err(ExportError::OtherEnding { path: output.to_owned(), named, asked });
            }
            (named, asked) => asked.or(named).unwrap_or(Format::JsonLines).check()?,
        };
        let is_sessions = output.file_stem().is_some_and(|stem| stem == Table::Sessions.name());
        let table = table.unwrap_or(if is_sessions { Table::Sessions } else { Table::Events });
        Ok(Destination { files: vec![(table, output.to_owned())], format })
    }

    /// Whether it is stdout.
    pub fn is_stdout(&self) -> bool {
        self.files.iter().any(|(_, path)| path == Path::new("-"))
    }

    /// Whether a file of it is one of the transcripts.
    fn check_inputs(&self, corpus: &Corpus) -> Result<(), ExportError> {
        let there = |path: &Path| fs::canonicalize(path).ok();
        let outputs: Vec<(&PathBuf, PathBuf)> =
            self.files.iter().filter_map(|(_, path)| Some((path, there(path)?))).collect();
        if outputs.is_empty() {
            return Ok(());
        }
        let inputs: HashSet<PathBuf> =
            corpus.sources().iter().flat_map(|source| &source.places).filter_map(|place| there(&place.path)).collect();
        match outputs.into_iter().find(|(_, real)| inputs.contains(real)) {
            Some((path, _)) => Err(ExportError::IsInput(path.clone())),
            None => Ok(()),
        }
    }
}

/// What was exported.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Exported {
    /// The files with their tables.
    pub files: Vec<ExportedFile>,
    /// Sessions in them.
    pub sessions: u64,
    /// Events in them, whether or not that table was written.
    pub events: u64,
    /// Sessions that the condition left out.
    pub left_out: u64,
    /// Sessions that could not be read, and why.
    pub unreadable: Vec<String>,
    /// Whether secrets, e-mail addresses and home names were replaced.
    pub redacted: bool,
    /// What was replaced, by kind.
    pub redactions: Redactions,
}

/// A file that was written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ExportedFile {
    /// The table in it.
    pub table: Table,
    /// Where it is; `-` for stdout.
    pub path: PathBuf,
    /// Its rows.
    pub rows: u64,
}

/// A session that was read for export.
struct Ready {
    summary: SessionSummary,
    session: Session,
    redactions: Redactions,
}

/// Writes the sessions of `corpus` for which `filter` holds to `destination`; `progress` hears after each session how many are done.
///
/// # Errors
/// No transcript can be read (those that cannot are told of where some can), a filter cannot be used, a file cannot be written. No file has
/// changed then.
pub fn export(
    corpus: &Corpus,
    filter: Option<&Filter>,
    redacted: bool,
    destination: &Destination,
    progress: &mut dyn FnMut(usize),
) -> Result<Exported, ExportError> {
    destination.check_inputs(corpus)?;
    let mut outputs = destination
        .files
        .iter()
        .map(|(table, path)| Output::create(*table, path, destination.format))
        .collect::<Result<Vec<_>, _>>()?;
    let mut exported = Exported {
        files: Vec::new(),
        sessions: 0,
        events: 0,
        left_out: 0,
        unreadable: Vec::new(),
        redacted,
        redactions: Redactions::default(),
    };
    let (mut done, sources) = (0, corpus.sources().len());
    let threads = rayon::current_num_threads();
    in_order::read_in_order(
        corpus.sources(),
        threads,
        |source| read(source, filter, redacted),
        |ready| {
            match ready {
                // One file that has gone is no reason to have none of the others; if all have, it is.
                Err(ExportError::Session(error)) if done + 1 < sources || exported.unreadable.len() < done => {
                    exported.unreadable.push(error.to_string());
                }
                Err(error) => return Err(error),
                Ok(Some(Ready { summary, session, redactions })) => {
                    exported.sessions += 1;
                    exported.events += session.events.len() as u64;
                    exported.redactions.absorb(&redactions);
                    outputs.iter_mut().try_for_each(|output| output.session(&summary, &session, redacted))?;
                }
                Ok(None) => exported.left_out += 1,
            }
            done += 1;
            progress(done);
            Ok(())
        },
    )?;
    // All of them are whole before the first one gets its name.
    let finished = outputs.into_iter().map(Output::finish).collect::<Result<Vec<_>, _>>()?;
    for (file, pending) in finished {
        if let Some(pending) = pending {
            pending.finish().map_err(|source| ExportError::Write { path: file.path.clone(), source })?;
        }
        exported.files.push(file);
    }
    Ok(exported)
}

/// Reads a session if it is meant. The condition is on the session as it is, not on what redaction leaves of it.
fn read(source: &SessionSource, filter: Option<&Filter>, redacted: bool) -> Result<Option<Ready>, ExportError> {
    let mut session = corpus::read(source)?;
    let mut summary = session.summary();
    if !filter.map_or(Ok(true), |filter| filter.matches(&summary))? {
        return Ok(None);
    }
    let mut redactions = Redactions::default();
    if redacted {
        redactions = redact::redact_with_path(&mut session);
        summary = session.summary();
    }
    Ok(Some(Ready { summary, session, redactions }))
}

/// A table on its way to a file.
struct Output {
    file: ExportedFile,
    writer: Writer<BufWriter<Box<dyn Write + Send>>>,
    /// What gets the file's name at the end; none for stdout and for what is no regular file, such as a pipe with a name.
    pending: Option<PendingFile>,
}

impl Output {
    fn create(table: Table, path: &Path, format: Format) -> Result<Output, ExportError> {
        let file = ExportedFile { table, path: path.to_owned(), rows: 0 };
        let open = || -> io::Result<(Box<dyn Write + Send>, Option<PendingFile>)> {
            if path == Path::new("-") {
                return Ok((Box::new(io::stdout()), None));
            }
            if fs::metadata(path).is_ok_and(|metadata| !metadata.is_file()) {
                return Ok((Box::new(fs::File::options().write(true).open(path)?), None));
            }
            let pending = PendingFile::create(path)?;
            Ok((Box::new(pending.writer()?), Some(pending)))
        };
        let created = open().and_then(|(to, pending)| {
            let writer = Writer::new(BufWriter::with_capacity(1 << 16, to), format, table.columns().to_vec())?;
            Ok((writer, pending))
        });
        match created {
            Ok((writer, pending)) => Ok(Output { file, writer, pending }),
            Err(source) => Err(ExportError::Write { path: path.to_owned(), source }),
        }
    }

    fn session(&mut self, summary: &SessionSummary, session: &Session, redacted: bool) -> Result<(), ExportError> {
        match self.file.table {
            Table::Sessions => self.row(&sessions::cells(summary, redacted)),
            Table::Events => session.events.iter().try_for_each(|event| self.row(&events::cells(session, event))),
        }
    }

    fn row(&mut self, cells: &[Cell<'_>]) -> Result<(), ExportError> {
        self.file.rows += 1;
        self.writer.row(cells).map_err(|source| ExportError::Write { path: self.file.path.clone(), source })
    }

    /// Writes what is still held back.
    fn finish(self) -> Result<(ExportedFile, Option<PendingFile>), ExportError> {
        let Output { file, writer, pending } = self;
        match writer.finish() {
            Ok(_) => Ok((file, pending)),
            Err(source) => Err(ExportError::Write { path: file.path, source }),
        }
    }
}

#[cfg(test)]
mod tests;
