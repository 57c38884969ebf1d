//! What can be typed after `cache`.

use crate::unit::Grouping;
use clap::{Args, Subcommand};
use std::path::PathBuf;

/// `cache`.
#[derive(Debug, Args)]
pub struct Cache {
    /// What to do with the store.
    #[command(subcommand)]
    pub verb: CacheVerb,
    /// The store of paid answers [default: that of the configuration].
    #[arg(long, global = true, value_name = "FILE")]
    pub store: Option<PathBuf>,
}

/// What can be done with the store.
#[derive(Debug, Subcommand)]
pub enum CacheVerb {
    /// What the store holds, what it cost, and what it has saved.
    #[command(after_help = "Example:\n  interrater cache stats --json")]
    Stats,
    /// Why an answer to a unit is found, or is not: which part of the request differs from those that were answered.
    #[command(
        after_help = "Examples:\n  interrater cache why claude_code:6f1c…#3 --task pushback --model anthropic/MODEL\n  \
        interrater cache why UNIT --model local/MODEL --temperature 0.7 --samples 3"
    )]
    Why(Why),
    /// Delete answers. What existing runs refer to is kept.
    #[command(
        after_help = "Examples:\n  interrater cache prune --superseded --dry-run\n  interrater cache prune --older-than 90d --task pushback --yes"
    )]
    Prune(Prune),
    /// Write answers to a file, a line of JSON each, always in the same order.
    #[command(
        after_help = "Examples:\n  interrater cache export answers.jsonl\n  interrater cache export pushback.jsonl --where 'task = \"pushback\" and not superseded'"
    )]
    Export(Export),
    /// Take over the answers of other stores and of exported files.
    #[command(
        after_help = "Examples:\n  interrater cache merge node1/store.db node2/store.db\n  interrater cache merge answers.jsonl"
    )]
    Merge(Merge),
}

/// `cache why`.
#[derive(Debug, Args)]
pub struct Why {
    /// The unit, as in a run's rows.
    pub unit: String,
    /// The task [default: those of the configuration, else all, as far as they have such a unit].
    #[arg(long, value_name = "TASK")]
    pub task: Option<String>,
    /// Files, folders, globs with transcripts.
    #[arg(long, value_name = "PATH", num_args = 1.., help_heading = "As for annotate")]
    pub sessions: Vec<String>,
    /// Who annotates, as PROVIDER/MODEL.
    #[arg(long, value_name = "PROVIDER/MODEL", help_heading = "As for annotate")]
    pub model: Option<String>,
    /// Where the provider is.
    #[arg(long, value_name = "URL", help_heading = "As for annotate")]
    pub base_url: Option<String>,
    /// Sampling temperature.
    #[arg(long, value_name = "T", help_heading = "As for annotate", value_parser = super::temperature)]
    pub temperature: Option<f64>,
    /// Answers per unit.
    #[arg(long, value_name = "K", default_value_t = 1, help_heading = "As for annotate", value_parser = clap::value_parser!(u32).range(1..=100))]
    pub samples: u32,
    /// Prompts of a session are asked for together.
    #[arg(long, value_name = "session", help_heading = "As for annotate", value_parser = super::grouping())]
    pub group: Option<Grouping>,
    /// Limit of output tokens of each answer.
    #[arg(long, value_name = "N", help_heading = "As for annotate", value_parser = clap::value_parser!(u32).range(1..))]
    pub max_output_tokens: Option<u32>,
    /// Replace secrets, e-mail addresses and home names [default: where sessions leave this machine].
    #[arg(long, help_heading = "As for annotate", conflicts_with = "no_redact")]
    pub redact: bool,
    /// Show the model the sessions as they are.
    #[arg(long, help_heading = "As for annotate")]
    pub no_redact: bool,
}

/// `cache prune`.
#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("what").required(true).multiple(true).args(["older_than", "superseded", "run", "model", "task"]))]
pub struct Prune {
    /// Answers older than this, such as 90d, 12h, 6mo.
    #[arg(long, value_name = "AGE")]
    pub older_than: Option<String>,
    /// Answers in whose place a later one stands, after --refresh or --retry-failed.
    #[arg(long)]
    pub superseded: bool,
    /// Answers that these runs paid for.
    #[arg(long, value_name = "RUN", num_args = 1..)]
    pub run: Vec<String>,
    /// Answers of these models.
    #[arg(long, value_name = "PROVIDER/MODEL", num_args = 1..)]
    pub model: Vec<String>,
    /// Answers for these tasks.
    #[arg(long, value_name = "TASK", num_args = 1..)]
    pub task: Vec<String>,
    /// Say what would go; delete nothing.
    #[arg(long, conflicts_with = "yes")]
    pub dry_run: bool,
    /// Delete.
    #[arg(long, short)]
    pub yes: bool,
    /// Delete also what existing runs refer to: repeating them would ask, and pay, again.
    #[arg(long)]
    pub force: bool,
}

/// `cache export`.
#[derive(Debug, Args)]
pub struct Export {
    /// The file; an earlier export there is replaced.
    pub file: PathBuf,
    /// Only answers for which this holds, such as 'task = "pushback" and not superseded'.
    #[arg(long = "where", value_name = "EXPR")]
    pub filter: Option<String>,
}

/// `cache merge`.
#[derive(Debug, Args)]
pub struct Merge {
    /// Stores, also damaged ones, and exported files.
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
}
