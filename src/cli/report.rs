//! What can be typed after `report`.

use clap::Args;
use std::path::PathBuf;

/// `report`.
#[derive(Debug, Args)]
pub struct Report {
    /// Runs to report on [default: all runs here, but for those over a part of the sessions].
    #[arg(value_name = "RUN")]
    pub runs: Vec<String>,
    /// Only these tasks; one without runs is reported on by its gold.
    #[arg(long, value_name = "TASK", num_args = 1..)]
    pub task: Vec<String>,
    /// The part of the gold.
    #[arg(long, value_name = "SPLIT", default_value = "all", value_parser = ["dev", "test", "all"])]
    pub split: String,
    /// Tell results of single units of the test split as well: whoever has seen them, and changes the codebook, has no test any more.
    #[arg(long)]
    pub show_test: bool,
    /// The file [default: report.html; none with --json].
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Units on which raters differ, told one by one, at most, over all tasks.
    #[arg(long, value_name = "N", default_value_t = 600)]
    pub disagreements: usize,
    /// Bootstrap replicates and draws of the posterior.
    #[arg(long, value_name = "B", default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(200..=1_000_000))]
    pub replicates: u32,
    /// Seed of the draws.
    #[arg(long, value_name = "SEED", default_value_t = 1)]
    pub seed: u64,
}
