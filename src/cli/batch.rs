//! What can be typed after `batch`.

use super::Asking;
use clap::{Args, Subcommand};
use std::path::PathBuf;

/// `batch`.
#[derive(Debug, Args)]
pub struct Batch {
    /// What to do.
    #[command(subcommand)]
    pub verb: BatchVerb,
}

/// What can be done with the batch lane.
#[derive(Debug, Subcommand)]
pub enum BatchVerb {
    /// Hand over to the provider all requests that the store has no answer to.
    #[command(after_help = "Examples:\n  interrater batch submit --model openai/MODEL --dry-run\n  \
        interrater batch submit pushback --model anthropic/MODEL --sessions ~/.claude/projects --max-cost 20\n\n\
        Once collected, `interrater annotate` with the same options finds the answers in the store.")]
    Submit(Submit),
    /// The jobs: where they stand, how far the provider has got.
    #[command(after_help = "Example:\n  interrater batch status --json")]
    Status,
    /// Fetch what has ended into the store.
    #[command(after_help = "Example:\n  interrater batch collect --wait && interrater annotate --model openai/MODEL")]
    Collect(Collect),
    /// Write all requests that the store has no answer to into a file, in OpenAI's batch form.
    #[command(after_help = "Example:\n  interrater batch export requests.jsonl pushback --model local/MODEL\n  \
        vllm run-batch -i requests.jsonl -o answers.jsonl --model MODEL\n  interrater batch import answers.jsonl")]
    Export(Export),
    /// Take answers to exported requests from files in the form of OpenAI's results.
    #[command(after_help = "Example:\n  interrater batch import answers.1.jsonl answers.2.jsonl")]
    Import(Import),
}

/// `batch submit`.
#[derive(Debug, Args)]
pub struct Submit {
    /// What is asked, and of whom.
    #[command(flatten)]
    pub asking: Asking,
    /// What all submissions have in common.
    #[command(flatten)]
    pub handing: Handing,
    /// Further attempts after a failure that can pass; 0 is none.
    #[arg(long, value_name = "N", help_heading = "Pace")]
    pub max_retries: Option<u32>,
    /// Seconds that the server may take to answer, beside the time for sending.
    #[arg(long, value_name = "S", help_heading = "Pace", value_parser = clap::value_parser!(u64).range(1..))]
    pub timeout: Option<u64>,
}

/// How requests are handed over, wherever they go.
#[derive(Debug, Args)]
pub struct Handing {
    /// Say what would be handed over and what it might cost; hand nothing over.
    #[arg(long, help_heading = "How")]
    pub dry_run: bool,
    /// Hand nothing over, and end with exit code 4, if the high end of the estimated cost is above this.
    #[arg(long, value_name = "USD", help_heading = "How", value_parser = dollars)]
    pub max_cost: Option<f64>,
    /// Give these open jobs up first: their requests are handed over anew, and paid again if they were answered after all.
    #[arg(long, value_name = "JOB", num_args = 1.., help_heading = "How")]
    pub resubmit: Vec<String>,
    /// Requests of a job, at most [default: as many as the provider takes, 50000 in a file].
    #[arg(long, value_name = "N", help_heading = "How", value_parser = clap::value_parser!(u64).range(1..))]
    pub max_requests: Option<u64>,
    /// Bytes of a job's input, at most [default: as many as the provider takes, 200000000 in a file].
    #[arg(long, value_name = "N", help_heading = "How", value_parser = clap::value_parser!(u64).range(1..))]
    pub max_bytes: Option<u64>,
}

/// `batch collect`.
#[derive(Debug, Args)]
pub struct Collect {
    /// Wait until nothing more is to come.
    #[arg(long)]
    pub wait: bool,
}

/// `batch export`.
#[derive(Debug, Args)]
pub struct Export {
    /// The file; with numbers in its name where one is not enough.
    pub file: PathBuf,
    /// What is asked, and of whom.
    #[command(flatten)]
    pub asking: Asking,
    /// What all submissions have in common.
    #[command(flatten)]
    pub handing: Handing,
}

/// `batch import`.
#[derive(Debug, Args)]
pub struct Import {
    /// Files with a line an answer.
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
}

/// A sum of money.
fn dollars(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(value) if value.is_finite() && value >= 0.0 => Ok(value),
        _ => Err("a cost is a number of US dollars, such as 20 or 0.5".to_owned()),
    }
}
