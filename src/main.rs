//! The command line: arguments → command → exit code.

#![warn(clippy::unwrap_used)]

mod commands;

use clap::Parser;
use commands::{Exit, say};
use interrater::cli::{Cli, Verb};
use miette::{GraphicalReportHandler, GraphicalTheme, Report};
use std::process::ExitCode;

/// Rows are made on some threads and written on another: an allocator that takes that lightly is a sixth of a run from the store.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let Cli { verb, common } = Cli::parse();
    let done = match verb {
        Verb::Init(args) => commands::init::run(&args, &common),
        Verb::Sessions(args) => commands::sessions::run(&args, &common),
        Verb::Annotate(args) => commands::annotate::run(&args, &common),
        Verb::Runs(args) => commands::runs::run(&args, &common),
        Verb::Batch(args) => commands::batch::run(&args, &common),
        Verb::Cache(args) => commands::cache::run(&args, &common),
        Verb::Compare(args) => commands::compare::run(&args, &common),
        Verb::Label(args) => commands::label::run(&args, &common),
        Verb::Sample(args) => commands::sample::run(&args, &common),
        Verb::Agree(args) => commands::agree::run(&args, &common),
        Verb::Estimate(args) => commands::estimate::run(&args, &common),
        Verb::Report(args) => commands::report::run(&args, &common),
        Verb::Stat(args) => commands::stat::run(&args, &common),
    };
    match done {
        Ok(exit) => exit.into(),
        Err(report) => {
            print_error(&report);
            Exit::Unusable.into()
        }
    }
}

/// One line that says what and where, the causes, the piece of the file if there is one, the way out.
fn print_error(report: &Report) {
    say!("error: {report}");
    let mut shown = report.to_string();
    for cause in report.chain().skip(1) {
        let text = cause.to_string();
        // A transparent error is its own cause; saying it twice would not help.
        if !shown.contains(&text) {
            say!("  caused by: {text}");
        }
        shown = text;
    }
    if report.source_code().is_some() {
        let handler = GraphicalReportHandler::new_themed(GraphicalTheme::unicode_nocolor()).with_context_lines(1);
        let mut snippet = String::new();
        if handler.render_report(&mut snippet, report.as_ref()).is_ok() {
            let piece =
                snippet.lines().skip_while(|line| !line.contains('╭')).take_while(|line| !line.contains("help:"));
            piece.for_each(|line| say!("{line}"));
        }
    }
    if let Some(help) = report.help() {
        say!("hint: {help}");
    }
}
