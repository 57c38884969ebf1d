//! `runs`: the runs here, or one of them.

use super::{Exit, config, print, print_json, say};
use interrater::cli::{Common, Runs};
use interrater::report::runs::{run_details, runs_table};
use interrater::run::{Manifest, Run};
use miette::Result;

/// Lists the runs, or tells what is known of one.
pub fn run(args: &Runs, common: &Common) -> Result<Exit> {
    let config = config(common)?;
    if let Some(name) = &args.run {
        let manifest = Run::open(&config.paths.runs, name)?.manifest;
        if common.json {
            print_json(&manifest)?
        } else {
            print(&run_details(&manifest))?
        }
        return Ok(Exit::Done);
    }
    let runs: Vec<Manifest> = Run::list(&config.paths.runs)?.into_iter().map(|run| run.manifest).collect();
    if common.json {
        print_json(&runs)?;
    } else if runs.is_empty() {
        say!("no runs in {}; `interrater annotate` makes some", config.paths.runs.display());
    } else {
        print(&runs_table(&runs))?;
    }
    Ok(Exit::Done)
}
