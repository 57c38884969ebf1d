//! What can be typed: clap structs only.

pub mod batch;
pub mod cache;
pub mod compare;
pub mod sample;
pub mod estimate;
pub mod label;
pub mod report;
pub mod sessions;

pub use batch::{Batch, BatchVerb};
pub use cache::{Cache, CacheVerb};
pub use compare::Compare;
pub use estimate::Estimate;
pub use label::Label;
pub use report::Report;
pub use sample::{By, Sample};
pub use sessions::{Export, Sessions, SessionsVerb};

use crate::shard::Shard;
use crate::unit::Grouping;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, Parser, Subcommand};
use std::path::PathBuf;

const TEMPLATE: &str = "\
{about}

{usage-heading} {usage}

Annotate
  init [DIR]         a project to start from: configuration, codebooks, sample sessions with gold
  sessions PATH…     what is found at some paths; one session to read; tables for pandas, polars, DuckDB
  annotate [TASK…]   annotate sessions with a model; without one, with the built-in baseline
  runs [RUN]         the runs here: states, tokens, cost
  batch VERB         the provider's batch lane, at its lower price: submit, status, collect; files: export, import
  cache VERB         the store of paid answers: stats, why, prune, export, merge
Judge
  agree [FILE]       agreement of raters: a task's gold, humans and runs, or any ratings file
  compare RUN RUN…   runs against one another on the same gold: differences, tests, what is mended and broken
  stat NAME [FILE]   one statistic of a ratings file, as a JSON object; --list names them
Conclude
  sample TASK        what humans should label next, drawn with known probabilities; the split into dev and test
  label TASK         the page on which people label by the codebook's definitions, and decide where they differ
  estimate RUN       shares and means of a run, corrected by gold for the errors of its model; differences of groups
  report [RUN…]      everything that is known of runs, as one HTML file: numbers, charts, units on which raters differ

{options}{after-help}";

/// Annotate coding-agent sessions with LLMs, and tell how far the labels can be trusted.
#[derive(Debug, Parser)]
#[command(
    name = "interrater",
    version,
    help_template = TEMPLATE,
    arg_required_else_help = true,
    disable_help_subcommand = true,
    after_help = "`interrater VERB --help` shows a verb's options with an example."
)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub verb: Verb,
    /// What every verb takes.
    #[command(flatten)]
    pub common: Common,
}

/// Options of every verb.
#[derive(Debug, Args)]
pub struct Common {
    /// One JSON document on stdout (JSON lines for `sessions`), and nothing else there.
    #[arg(long, global = true)]
    pub json: bool,
    /// No progress and no notes on stderr.
    #[arg(long, short, global = true)]
    pub quiet: bool,
    /// The configuration file [default: config.toml here, if there is one].
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

/// The verbs.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// A project to start from: config.toml, prompts/ and gold/, never overwriting a file.
    #[command(after_help = "Example:\n  interrater init study && cd study && interrater annotate")]
    Init(Init),
    /// What the readers find at some paths: one line a session, then sums by agent and model.
    #[command(
        after_help = "Examples:\n  interrater sessions ~/.claude/projects --sort started --reverse --limit 20\n  \
        interrater sessions gold/sessions --json\n  interrater sessions gold/sessions --show UNIT\n  \
        interrater sessions gold/sessions --show UNIT --task pushback\n  \
        interrater sessions export ~/.claude/projects --output tables/ --format parquet\n\n\
        A folder called `export` is given as ./export."
    )]
    Sessions(Sessions),
    /// Annotate sessions: every task of the configuration, or those that are named.
    #[command(
        after_help = "Examples:\n  interrater annotate\n  interrater annotate pushback --model anthropic/MODEL --dry-run\n  \
        interrater annotate success --sessions ~/.claude/projects --limit 20 --shuffle 1\n  \
        interrater annotate --shard 3/8 --store /scratch/3.db    # then: interrater cache merge /scratch/*.db && interrater annotate"
    )]
    Annotate(Annotate),
    /// The runs here; one run's states, tokens, cost.
    #[command(after_help = "Example:\n  interrater runs pushback-baseline-cues-3fa9c1d2")]
    Runs(Runs),
    /// The provider's batch lane: many requests at once, answered within a day, at a lower price. Or files of them.
    #[command(
        arg_required_else_help = true,
        disable_help_subcommand = true,
        after_help = "Example:\n  interrater batch submit --model openai/MODEL && interrater batch collect --wait"
    )]
    Batch(Batch),
    /// The store of paid answers.
    #[command(
        arg_required_else_help = true,
        disable_help_subcommand = true,
        after_help = "Example:\n  interrater cache stats"
    )]
    Cache(Cache),
    /// Agreement: a task's gold, raters and runs; or any ratings file with the columns item,annotator,label.
    #[command(
        after_help = "Examples:\n  interrater agree --task pushback\n  interrater agree --task pushback --run RUN --collapse binary\n  \
        interrater agree ratings.csv --labels yes,no --items items.csv"
    )]
    Agree(Agree),
    /// Runs against one another on the same units of the gold: differences, tests, what one mends and breaks.
    #[command(
        after_help = "Examples:\n  interrater compare RUN RUN\n  interrater compare RUN RUN RUN --split dev --collapse binary\n  \
        interrater compare RUN RUN --split test --margin 0.05"
    )]
    Compare(Compare),
    /// Draw what humans should label next, with known probabilities, and the split into dev and test; or say how many units are needed.
    #[command(
        after_help = "Examples:\n  interrater sample pushback --size 200\n  interrater sample pushback --by label:RUN --size 100 --json\n  \
        interrater sample pushback --by disagreement:RUN,RUN\n  interrater sample pushback --plan kappa=0.7,halfwidth=0.1,per-session=8,icc=0.1"
    )]
    Sample(Sample),
    /// Label units by hand, on a page that this machine serves.
    ///
    /// The page shows what a model would see of a unit, the codebook's definitions, and a key for every label. Answers go into the gold file,
    /// a row a unit, under the rater's name; other rows are left alone, and no other rater's answer is shown.
    #[command(
        after_help = "Examples:\n  interrater sample pushback --size 100 && interrater label pushback --rater ada\n  \
        interrater label success --rater ada --sessions ~/.claude/projects --open-browser\n  \
        interrater label pushback --adjudicate --run RUN"
    )]
    Label(Label),
    /// Shares and means of a run, corrected by gold for the errors of the model that labelled it, with intervals; by groups, with differences.
    #[command(
        after_help = "Examples:\n  interrater estimate RUN\n  interrater estimate RUN --by model --collapse binary --split test\n  \
        interrater estimate RUN --assume-random      # gold without probabilities that was drawn at random all the same"
    )]
    Estimate(Estimate),
    /// Everything that is known of runs, as one HTML file that needs nothing else: answers, agreement, corrected shares, units on which raters differ.
    #[command(
        after_help = "Examples:\n  interrater report\n  interrater report RUN RUN --split dev --out dev.html\n  \
        interrater report --task pushback --json > report.json"
    )]
    Report(Report),
    /// One statistic of a ratings file, with all its parameters: one JSON object on stdout, null where a figure is undefined.
    #[command(
        arg_required_else_help = true,
        after_help = "Examples:\n  interrater stat --list\n  \
        interrater stat cohen_kappa ratings.csv --params '{\"a\": \"h1\", \"b\": \"h2\", \"labels\": [\"no\", \"yes\"]}'\n  \
        interrater stat kappa_cluster ratings.csv --items items.csv --params '{\"a\": \"gold\", \"b\": \"llm\", \"cluster\": \"session\"}'"
    )]
    Stat(Stat),
}

/// A share from 0 to 1.
fn epsilon(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(value) if (0.0..=1.0).contains(&value) => Ok(value),
        _ => Err("a number from 0 to 1 is needed".to_owned()),
    }
}

/// `init`.
#[derive(Debug, Args)]
pub struct Init {
    /// Where.
    #[arg(default_value = ".")]
    pub dir: PathBuf,
}

/// What a pair of flags asks for, if it asks for anything.
pub fn choice(on: bool, off: bool) -> Option<bool> {
    match (on, off) {
        (true, _) => Some(true),
        (_, true) => Some(false),
        _ => None,
    }
}

/// What is asked, and of whom: as `annotate` and the batch lane take it.
#[derive(Debug, Args)]
pub struct Asking {
    /// Tasks; each is a codebook in the prompts folder [default: those of the configuration, else all].
    #[arg(value_name = "TASK")]
    pub tasks: Vec<String>,
    /// Files, folders, globs with transcripts; git repositories with checkpoints of Entire.
    #[arg(long, value_name = "PATH", num_args = 1.., help_heading = "What")]
    pub sessions: Vec<String>,
    /// Only sessions for which this holds, such as 'agent = "codex" and prompts > 5'.
    #[arg(long = "where", value_name = "EXPR", help_heading = "What")]
    pub filter: Option<String>,
    /// Only part K of N of the sessions, such as 3/8: for N processes or machines. A session's part follows from its id alone; --where
    /// comes before it, and --limit counts within it. The run's name ends with -K-of-N.
    #[arg(long, value_name = "K/N", help_heading = "What")]
    pub shard: Option<Shard>,
    /// At most so many units of each task.
    #[arg(long, value_name = "N", help_heading = "What", value_parser = clap::value_parser!(u64).range(1..))]
    pub limit: Option<u64>,
    /// With --limit: draw the units at random with this seed, rather than take the first.
    #[arg(long, value_name = "SEED", help_heading = "What", requires = "limit")]
    pub shuffle: Option<u64>,
    /// The run's name; with several tasks NAME-TASK.
    #[arg(long, value_name = "NAME", help_heading = "What")]
    pub run: Option<String>,
    /// Replace secrets, e-mail addresses and home names [default: where sessions leave this machine].
    #[arg(long, help_heading = "What", conflicts_with = "no_redact")]
    pub redact: bool,
    /// Show the model the sessions as they are.
    #[arg(long, help_heading = "What")]
    pub no_redact: bool,
    /// Who annotates, as PROVIDER/MODEL.
    #[arg(long, value_name = "PROVIDER/MODEL", help_heading = "Model")]
    pub model: Option<String>,
    /// Where the provider is: with /v1 for openai, without a path for anthropic and gemini.
    #[arg(long, value_name = "URL", help_heading = "Model")]
    pub base_url: Option<String>,
    /// Sampling temperature.
    #[arg(long, value_name = "T", help_heading = "Model", value_parser = temperature)]
    pub temperature: Option<f64>,
    /// Answers per unit.
    #[arg(long, value_name = "K", default_value_t = 1, help_heading = "Model", value_parser = clap::value_parser!(u32).range(1..=100))]
    pub samples: u32,
    /// Ask for the prompts of a session together, where the codebook says `group = true`: far fewer tokens, but the model sees what came after
    /// each prompt.
    #[arg(long, value_name = "session", help_heading = "Model", value_parser = grouping())]
    pub group: Option<Grouping>,
    /// Limit of output tokens of each answer, reasoning included.
    #[arg(long, value_name = "N", help_heading = "Model", value_parser = clap::value_parser!(u32).range(1..))]
    pub max_output_tokens: Option<u32>,
}

/// `annotate`.
#[derive(Debug, Args)]
pub struct Annotate {
    /// What is asked, and of whom.
    #[command(flatten)]
    pub asking: Asking,
    /// Requests under way at once, at most; there are fewer at first and where the server has enough to do.
    #[arg(long, value_name = "N", help_heading = "Pace", value_parser = clap::value_parser!(u64).range(1..=10_000))]
    pub concurrency: Option<u64>,
    /// Requests a minute.
    #[arg(long, value_name = "N", help_heading = "Pace", value_parser = clap::value_parser!(u64).range(1..))]
    pub rpm: Option<u64>,
    /// Tokens a minute, input and output together.
    #[arg(long, value_name = "N", help_heading = "Pace", value_parser = clap::value_parser!(u64).range(1..))]
    pub tpm: Option<u64>,
    /// Further attempts after a failure that can pass; 0 is none.
    #[arg(long, value_name = "N", help_heading = "Pace")]
    pub max_retries: Option<u32>,
    /// Seconds that one request may take.
    #[arg(long, value_name = "S", help_heading = "Pace", value_parser = clap::value_parser!(u64).range(1..))]
    pub timeout: Option<u64>,
    /// Spend at most so many US dollars, whatever is in flight; ends with exit code 4 when the next request could cost more than is left.
    #[arg(long, value_name = "USD", help_heading = "How", value_parser = dollars)]
    pub max_cost: Option<f64>,
    /// The store of paid answers [default: that of the configuration].
    #[arg(long, value_name = "FILE", help_heading = "How")]
    pub store: Option<PathBuf>,
    /// Say what would be asked and what it might cost; ask nothing.
    #[arg(long, help_heading = "How")]
    pub dry_run: bool,
    /// Ask again, whatever the store has. The old answers stay in it.
    #[arg(long, help_heading = "How", conflicts_with = "retry_failed")]
    pub refresh: bool,
    /// Ask again where the stored answer is invalid, refused or cut.
    #[arg(long, help_heading = "How")]
    pub retry_failed: bool,
    /// End with exit code 3 if a figure is below a value, such as kappa=0.6 (also: percent, icc).
    #[arg(long, value_name = "METRIC=VALUE", help_heading = "How", conflicts_with = "shard")]
    pub fail_under: Option<String>,
}

/// A sampling temperature within what any provider takes.
fn temperature(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(value) if (0.0..=2.0).contains(&value) => Ok(value),
        _ => Err("a temperature is a number from 0 to 2".to_owned()),
    }
}

/// An amount of money.
fn dollars(text: &str) -> Result<f64, String> {
    match text.strip_prefix('$').unwrap_or(text).parse::<f64>() {
        Ok(value) if value >= 0.0 && value.is_finite() => Ok(value),
        _ => Err("an amount is a number of US dollars, such as 2.50".to_owned()),
    }
}

/// What may stand after `--group`.
fn grouping() -> impl TypedValueParser<Value = Grouping> {
    PossibleValuesParser::new([Grouping::Session.name()]).map(|_| Grouping::Session)
}

/// `runs`.
#[derive(Debug, Args)]
pub struct Runs {
    /// One run.
    pub run: Option<String>,
}

/// `stat`.
#[derive(Debug, Args)]
pub struct Stat {
    /// The statistic.
    #[arg(value_name = "NAME", required_unless_present = "list")]
    pub name: Option<String>,
    /// A ratings file with the columns item,annotator,label.
    pub file: Option<PathBuf>,
    /// A file of the items' covariates, with the column item and any others.
    #[arg(long, value_name = "FILE")]
    pub items: Option<PathBuf>,
    /// The statistic's parameters, as a JSON object.
    #[arg(long, value_name = "JSON")]
    pub params: Option<String>,
    /// Every statistic, one a line.
    #[arg(long, conflicts_with_all = ["name", "file", "items", "params"])]
    pub list: bool,
}

/// `agree`.
#[derive(Debug, Args)]
pub struct Agree {
    /// A ratings file with the columns item,annotator,label.
    #[arg(conflicts_with_all = ["task", "gold", "run", "split", "collapse", "field"], required_unless_present = "task")]
    pub file: Option<PathBuf>,
    /// The task whose gold, raters and runs are compared.
    #[arg(long, value_name = "TASK", help_heading = "A task")]
    pub task: Option<String>,
    /// The gold file [default: TASK.csv in the gold folder].
    #[arg(long, value_name = "FILE", help_heading = "A task")]
    pub gold: Option<PathBuf>,
    /// Runs to compare [default: all runs of the task].
    #[arg(long, value_name = "RUN", num_args = 1.., help_heading = "A task")]
    pub run: Vec<String>,
    /// The part of the gold.
    #[arg(long, value_name = "SPLIT", default_value = "all", value_parser = ["dev", "test", "all"], help_heading = "A task")]
    pub split: String,
    /// Name single units of the test split, too. The ledger records who looked, and when.
    #[arg(long, conflicts_with = "file", help_heading = "A task")]
    pub show_test: bool,
    /// One collapse of the codebook in the place of its labels.
    #[arg(long, value_name = "NAME", help_heading = "A task")]
    pub collapse: Option<String>,
    /// One field of the codebook.
    #[arg(long, value_name = "NAME", help_heading = "A task")]
    pub field: Option<String>,
    /// The declared labels, in order; one with a comma stands in double quotes.
    #[arg(long, value_name = "A,B,C", conflicts_with = "task", help_heading = "A ratings file")]
    pub labels: Option<String>,
    /// What kind of answers they are.
    #[arg(long, value_name = "LEVEL", default_value = "nominal", value_parser = ["nominal", "ordinal", "interval"], conflicts_with = "task", help_heading = "A ratings file")]
    pub level: String,
    /// What is known of the items, a CSV file: item,session and other columns; of a task's units: unit (or session) and others.
    #[arg(long, value_name = "FILE")]
    pub items: Option<PathBuf>,
    /// Raters that are people, without the adjudicated answer: gives the human ceiling and the alternative annotator test.
    #[arg(long, value_name = "A,B,C", conflicts_with = "task", help_heading = "A ratings file")]
    pub humans: Option<String>,
    /// The column with a model's confidence, from 0 to 1.
    #[arg(long, value_name = "COLUMN", conflicts_with = "task", help_heading = "A ratings file")]
    pub confidence: Option<String>,
    /// The column with the probability with which each item was drawn; figures weighted by its inverse stand beside the others.
    #[arg(long, value_name = "COLUMN", conflicts_with = "task", help_heading = "A ratings file")]
    pub probability: Option<String>,
    /// Agreement within groups as well: agent, model, week, month, a plain value of `sessions --json`, split, stratum, or a column of --items.
    #[arg(long, value_name = "COLUMN")]
    pub group_by: Option<String>,
    /// How much worse than a human a model may be in the alternative annotator test: .2 where humans are experts, .15 skilled, .1 a crowd.
    #[arg(long, value_name = "E", default_value_t = 0.2, value_parser = epsilon)]
    pub epsilon: f64,
    /// The rater that the others are compared with [default: gold, where there is one].
    #[arg(long, value_name = "RATER", conflicts_with = "task", help_heading = "A ratings file")]
    pub reference: Option<String>,
    /// What is resampled as a whole: session, another column of the items file, or item.
    #[arg(long, value_name = "session|COLUMN|item", default_value = "session")]
    pub by: String,
    /// Bootstrap replicates.
    #[arg(long, value_name = "B", default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(200..=1_000_000))]
    pub replicates: u32,
    /// Seed of the bootstrap.
    #[arg(long, value_name = "SEED", default_value_t = 1)]
    pub seed: u64,
}
