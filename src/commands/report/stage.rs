//! What a report is at, for whoever waits: a line that changes on a terminal, elsewhere a line now and then.

use crate::commands::say;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::cell::Cell;
use std::io::IsTerminal;
use std::time::{Duration, Instant};

/// Plain lines come at most this often.
const LINE_EVERY: Duration = Duration::from_secs(10);

/// The stages of a report.
pub struct Stages {
    spinner: Option<ProgressBar>,
    quiet: bool,
    last_line: Cell<Instant>,
}

impl Stages {
    /// Begins, silently.
    pub fn begin(quiet: bool) -> Stages {
        let spinner = (!quiet && std::io::stderr().is_terminal()).then(|| {
            let spinner = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
            spinner
                .set_style(ProgressStyle::with_template("{spinner} {elapsed} {wide_msg}").expect("a valid template"));
            spinner.enable_steady_tick(Duration::from_millis(120));
            spinner
        });
        Stages { spinner, quiet, last_line: Cell::new(Instant::now()) }
    }

    /// Says what comes now.
    pub fn enter(&self, what: &str) {
        if let Some(spinner) = &self.spinner {
            spinner.set_message(what.to_owned());
        } else if !self.quiet && self.last_line.get().elapsed() >= LINE_EVERY {
            self.last_line.set(Instant::now());
            say!("{what} …");
        }
    }

    /// Clears the line.
    pub fn end(self) {
        if let Some(spinner) = self.spinner {
            spinner.finish_and_clear();
        }
    }
}
