//! `compare`: what can be typed.

use clap::Args;
use std::path::PathBuf;

/// `compare`.
#[derive(Debug, Args)]
pub struct Compare {
    /// Runs of one task; differences are taken from the first.
    #[arg(value_name = "RUN", num_args = 2.., required = true)]
    pub runs: Vec<String>,
    /// The task [default: that of the runs].
    #[arg(long, value_name = "TASK", help_heading = "What")]
    pub task: Option<String>,
    /// The gold file [default: TASK.csv in the gold folder].
    #[arg(long, value_name = "FILE", help_heading = "What")]
    pub gold: Option<PathBuf>,
    /// The part of the gold.
    #[arg(long, value_name = "SPLIT", default_value = "all", value_parser = ["dev", "test", "all"], help_heading = "What")]
    pub split: String,
    /// Name single units of the test split, too. The ledger records who looked, and when.
    #[arg(long, help_heading = "What")]
    pub show_test: bool,
    /// A field of the codebook [default: the first that is measured].
    #[arg(long, value_name = "NAME", help_heading = "What")]
    pub field: Option<String>,
    /// One collapse of the codebook in the place of its labels.
    #[arg(long, value_name = "NAME", help_heading = "What")]
    pub collapse: Option<String>,
    /// The figure [default: kappa for labels, mae for scores].
    #[arg(long, value_name = "METRIC", value_parser = ["kappa", "accuracy", "f1", "mae"], help_heading = "How")]
    pub metric: Option<String>,
    /// What is resampled and swapped as a whole.
    #[arg(long, value_name = "session|item", default_value = "session", value_parser = ["session", "item"], help_heading = "How")]
    pub by: String,
    /// Whether each run is at most so much worse than humans are with one another, in kappa (ICC for scores); fix it beforehand.
    #[arg(long, value_name = "D", help_heading = "How", value_parser = margin)]
    pub margin: Option<f64>,
    /// Bootstrap replicates; also random swaps, but at least 10,000 of these.
    #[arg(long, value_name = "B", default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(200..=1_000_000), help_heading = "How")]
    pub replicates: u32,
    /// Seed of the bootstrap and of random swaps.
    #[arg(long, value_name = "SEED", default_value_t = 1, help_heading = "How")]
    pub seed: u64,
}

/// A margin of non-inferiority.
fn margin(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(value) if (0.0..1.0).contains(&value) => Ok(value),
        _ => Err("a margin is a number from 0 to below 1, such as 0.05".to_owned()),
    }
}
