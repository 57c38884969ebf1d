//! `sessions export`: sessions and their events as tables.

use crate::commands::{Exit, UsageError, print_json, say};
use indicatif::{ProgressBar, ProgressStyle};
use interrater::cli::sessions::{ExportFormat, ExportTable};
use interrater::cli::{Common, Export};
use interrater::config::Config;
use interrater::export::{self, Destination, ExportError, Exported, Table};
use interrater::filter::Filter;
use interrater::frame::Format;
use interrater::report::plural;
use interrater::report::sessions::{repository_lines, skipped_lines};
use miette::Result;
use std::io::{self, IsTerminal};
use std::time::{Duration, Instant};

/// Plain lines of progress come at most this often.
const LINE_EVERY: Duration = Duration::from_secs(10);

/// Writes the tables, and says what is in them.
pub fn run(args: &Export, config: &Config, common: &Common) -> Result<Exit> {
    let format = args.format.map(|format| match format {
        ExportFormat::Jsonl => Format::JsonLines,
        ExportFormat::Parquet => Format::Parquet,
    });
    let table = args.what.map(|table| match table {
        ExportTable::Sessions => Table::Sessions,
        ExportTable::Events => Table::Events,
    });
    let destination = Destination::new(&args.output, format, table)?;
    if common.json && destination.is_stdout() {
        return Err(UsageError::TwoThingsOnStdout.into());
    }
    let filter = args.filter.as_deref().map(Filter::new).transpose()?;
    let corpus = super::find(&args.paths, config)?;
    let mut progress = Progress::start(corpus.sources().len(), common.quiet);
    let ended = export::export(&corpus, filter.as_ref(), !args.no_redact, &destination, &mut |done| progress.on(done));
    progress.finish();
    let exported = match ended {
        // Nobody reads on: `| head`.
        Err(ExportError::Write { source, .. })
            if destination.is_stdout() && source.kind() == io::ErrorKind::BrokenPipe =>
        {
            return Ok(Exit::Done);
        }
        ended => ended?,
    };
    if common.json {
        print_json(&exported)?;
    }
    if !common.quiet {
        repository_lines(&corpus).iter().chain(&skipped_lines(&corpus)).for_each(|line| say!("{line}"));
        say_exported(&exported);
    }
    Ok(Exit::Done)
}

fn say_exported(exported: &Exported) {
    for file in &exported.files {
        let name = match file.path.as_os_str() == "-" {
            true => "to stdout".to_owned(),
            false => file.path.display().to_string(),
        };
        let rows = match file.table {
            Table::Sessions => plural(file.rows, "session"),
            Table::Events => format!("{} of {}", plural(file.rows, "event"), plural(exported.sessions, "session")),
        };
        say!("wrote {name}: {rows}");
    }
    for reason in &exported.unreadable {
        say!("skipped: {reason}");
    }
    if exported.left_out > 0 {
        say!("the condition left out {}", plural(exported.left_out, "session"));
    }
    match exported.redacted {
        true => say!("redacted: {}; --no-redact writes the sessions as they are", exported.redactions),
        false => say!("not redacted: the sessions are written as they are, with all secrets that they hold"),
    }
}

/// Shows how many sessions are done: a bar on a terminal, a line now and then elsewhere.
struct Progress {
    bar: Option<ProgressBar>,
    quiet: bool,
    sessions: usize,
    last_line: Instant,
}

impl Progress {
    fn start(sessions: usize, quiet: bool) -> Progress {
        let bar = (io::stderr().is_terminal() && !quiet).then(|| {
            let style = ProgressStyle::with_template("export  {bar:20} {pos:>6}/{len:<6} sessions  ETA {eta}")
                .expect("a valid template")
                .progress_chars("━╸ ");
            ProgressBar::new(sessions as u64).with_style(style)
        });
        Progress { bar, quiet, sessions, last_line: Instant::now() }
    }

    fn on(&mut self, done: usize) {
        if let Some(bar) = &self.bar {
            bar.set_position(done as u64);
        } else if !self.quiet && self.last_line.elapsed() >= LINE_EVERY {
            self.last_line = Instant::now();
            say!("{done}/{} sessions", self.sessions);
        }
    }

    fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
