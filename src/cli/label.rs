//! `label`: what can be typed.

use clap::Args;
use std::net::IpAddr;
use std::path::PathBuf;

/// `label`.
#[derive(Debug, Args)]
pub struct Label {
    /// The task.
    pub task: String,
    /// Who labels [default: the sheet's rater, else human]; with --adjudicate, who decides [default: human].
    #[arg(long, value_name = "NAME", help_heading = "What")]
    pub rater: Option<String>,
    /// A sheet of `sample` [default: TASK.sample.csv in the gold folder, where there is one; else all units of the sessions].
    #[arg(long, value_name = "FILE", help_heading = "What", conflicts_with = "units")]
    pub sample: Option<PathBuf>,
    /// A list of units: one id a line, or a CSV file with a column `unit`.
    #[arg(long, value_name = "FILE", help_heading = "What")]
    pub units: Option<PathBuf>,
    /// Decide where two raters or more differ, in the place of labelling: their answers side by side, and the gold answer.
    #[arg(long, help_heading = "What", conflicts_with_all = ["sample", "units"])]
    pub adjudicate: bool,
    /// The units of these runs, without their answers; with --adjudicate, the models whose answers can be looked at.
    #[arg(long, value_name = "RUN", num_args = 1.., help_heading = "What", conflicts_with_all = ["sample", "units"])]
    pub run: Vec<String>,
    /// Files, folders, globs with transcripts [default: those of the configuration].
    #[arg(long, value_name = "PATH", num_args = 1.., help_heading = "What")]
    pub sessions: Vec<String>,
    /// The gold file [default: TASK.csv in the gold folder]. Only this rater's rows are changed.
    #[arg(long, value_name = "FILE", help_heading = "What")]
    pub gold: Option<PathBuf>,
    /// Replace secrets, e-mail addresses and home names [default: as for the configured model; yes with --listen].
    #[arg(long, help_heading = "What", conflicts_with = "no_redact")]
    pub redact: bool,
    /// Show the sessions as they are.
    #[arg(long, help_heading = "What")]
    pub no_redact: bool,
    /// The port [default: any that is free].
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true, help_heading = "How")]
    pub port: u16,
    /// The address to listen at. Any but the default lets other machines in, without encryption.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1", help_heading = "How")]
    pub listen: IpAddr,
    /// No page: one unit at a time in this terminal, typed or piped.
    #[arg(long, help_heading = "How", conflicts_with_all = ["adjudicate", "port", "listen", "open_browser"])]
    pub plain: bool,
    /// Open the page in the browser.
    #[arg(long, help_heading = "How", conflicts_with = "no_open_browser")]
    pub open_browser: bool,
    /// Only print the address, which is the default.
    #[arg(long, help_heading = "How", hide = true)]
    pub no_open_browser: bool,
}
