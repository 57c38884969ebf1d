//! What can be typed after `sessions`.

use crate::report::listing::SortColumn;
use clap::{Args, Subcommand, ValueEnum};
use std::path::PathBuf;

/// `sessions`.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true, disable_help_subcommand = true)]
pub struct Sessions {
    /// What else is done with them.
    #[command(subcommand)]
    pub verb: Option<SessionsVerb>,
    /// Files, folders, globs, git repositories with checkpoints of Entire [default: those of the configuration].
    #[arg(value_name = "PATH")]
    pub paths: Vec<String>,
    /// Only sessions for which this holds, such as 'agent = "codex" and prompts > 5'.
    #[arg(long = "where", value_name = "EXPR", help_heading = "Listing", conflicts_with = "show")]
    pub filter: Option<String>,
    /// Sort by this, smallest first [default: the order in which they were found].
    #[arg(long, value_name = "COLUMN", help_heading = "Listing", conflicts_with = "show", ignore_case = true)]
    pub sort: Option<SortColumn>,
    /// Largest first, or last found first.
    #[arg(long, help_heading = "Listing", conflicts_with = "show")]
    pub reverse: bool,
    /// List at most so many; sums are over all.
    #[arg(long, value_name = "N", help_heading = "Listing", conflicts_with = "show", value_parser = clap::value_parser!(u64).range(1..))]
    pub limit: Option<u64>,
    /// Only the sums by agent and by model; with --json as one document.
    #[arg(long, help_heading = "Listing", conflicts_with_all = ["show", "sort", "reverse", "limit"])]
    pub totals: bool,
    /// Print one session, or a prompt of it (SESSION#N) with what is around it; the beginning of an id will do.
    #[arg(long, value_name = "UNIT", help_heading = "One session")]
    pub show: Option<String>,
    /// Print exactly what a rater of this task would see of the unit.
    #[arg(long, value_name = "TASK", requires = "show", help_heading = "One session")]
    pub task: Option<String>,
    /// Show events from this number on.
    #[arg(long, value_name = "N", requires = "show", conflicts_with = "task", help_heading = "One session")]
    pub from: Option<u32>,
    /// Show events up to this number.
    #[arg(long, value_name = "N", requires = "show", conflicts_with = "task", help_heading = "One session")]
    pub to: Option<u32>,
    /// Fold nothing.
    #[arg(long, requires = "show", conflicts_with = "task", help_heading = "One session")]
    pub full: bool,
    /// Replace secrets, e-mail addresses and home names [default with --task: where a rater's sessions leave this machine; else no].
    #[arg(long, requires = "show", conflicts_with = "no_redact", help_heading = "One session")]
    pub redact: bool,
    /// Show the session as it is.
    #[arg(long, requires = "show", help_heading = "One session")]
    pub no_redact: bool,
    /// Print at once, also what is longer than the terminal.
    #[arg(long)]
    pub no_pager: bool,
}

/// What else is done with sessions.
#[derive(Debug, Subcommand)]
pub enum SessionsVerb {
    /// Write sessions and their events as tables for pandas, polars, DuckDB.
    #[command(
        after_help = "Examples:\n  interrater sessions export ~/.claude/projects --output tables/ --format parquet\n  \
        interrater sessions export gold/sessions -o events.jsonl --where 'prompts > 5'\n  \
        interrater sessions export gold/sessions -o - --what sessions | jq .prompts\n\n\
        Columns: docs/export.md"
    )]
    Export(Export),
}

/// `sessions export`.
#[derive(Debug, Args)]
pub struct Export {
    /// Files, folders, globs, git repositories with checkpoints of Entire [default: those of the configuration].
    #[arg(value_name = "PATH")]
    pub paths: Vec<String>,
    /// Where to: a folder gets sessions.FORMAT and events.FORMAT, a file one table, - is stdout.
    #[arg(long, short, value_name = "FILE|FOLDER|-")]
    pub output: PathBuf,
    /// The format [default: what the file's ending says, else jsonl].
    #[arg(long, value_name = "FORMAT")]
    pub format: Option<ExportFormat>,
    /// The table [default: both in a folder; in a file called sessions the sessions, in any other the events].
    #[arg(long, value_name = "TABLE")]
    pub what: Option<ExportTable>,
    /// Only sessions for which this holds, such as 'agent = "codex" and prompts > 5'.
    #[arg(long = "where", value_name = "EXPR")]
    pub filter: Option<String>,
    /// Replace secrets, e-mail addresses and home names. This is the default: tables are made to be handed on.
    #[arg(long, conflicts_with = "no_redact")]
    pub redact: bool,
    /// Write the sessions as they are.
    #[arg(long)]
    pub no_redact: bool,
}

/// `--format`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ExportFormat {
    /// One JSON object a line.
    Jsonl,
    /// Parquet.
    Parquet,
}

/// `--what`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ExportTable {
    /// A row a session.
    Sessions,
    /// A row an event.
    Events,
}
