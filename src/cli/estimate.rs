//! What can be typed after `estimate`.

use clap::Args;
use std::path::PathBuf;

/// `estimate`.
#[derive(Debug, Args)]
pub struct Estimate {
    /// The run whose shares and means are corrected.
    pub run: String,
    /// The gold file [default: TASK.csv in the gold folder].
    #[arg(long, value_name = "FILE")]
    pub gold: Option<PathBuf>,
    /// Numbers of each group of units, and their differences: by the session's model or agent, by the week or month of its start, by any
    /// other value of `sessions --json`, or by a column of --items.
    #[arg(long, value_name = "model|agent|week|month|COLUMN")]
    pub by: Option<String>,
    /// A file with the columns unit (or session) and that of --by.
    #[arg(long, value_name = "FILE", requires = "by")]
    pub items: Option<PathBuf>,
    /// One field of the codebook.
    #[arg(long, value_name = "NAME")]
    pub field: Option<String>,
    /// One collapse of the codebook in the place of its labels.
    #[arg(long, value_name = "NAME")]
    pub collapse: Option<String>,
    /// The part of the gold.
    #[arg(long, value_name = "SPLIT", default_value = "all", value_parser = ["dev", "test", "all"])]
    pub split: String,
    /// Name single units of the test split, too. The ledger records who looked, and when.
    #[arg(long)]
    pub show_test: bool,
    /// A file with the columns unit (or session) and stratum: of every unit of the run that which gold was drawn by [default: what follows
    /// from the design of the sample, the run's own answers or the agents].
    #[arg(long, value_name = "FILE")]
    pub strata: Option<PathBuf>,
    /// Take gold without recorded probabilities as a random part of the units: an assumption that is yours, and stands in the output.
    #[arg(long)]
    pub assume_random: bool,
    /// Mean the units of this run and no others, rather than what they are a sample of.
    #[arg(long)]
    pub these_units: bool,
    /// Replicates of the bootstrap and draws of the posterior.
    #[arg(long, value_name = "B", default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(200..=1_000_000))]
    pub replicates: u32,
    /// Seed of the draws.
    #[arg(long, value_name = "SEED", default_value_t = 1)]
    pub seed: u64,
}
