//! `stat`: one statistic of a ratings file.

use super::{Exit, print, print_json, say};
use interrater::cli::{Common, Stat};
use interrater::stat::{self, Input};
use miette::Result;
use serde_json::{Value, json};

/// Computes and prints one JSON object; or lists what there is.
pub fn run(args: &Stat, common: &Common) -> Result<Exit> {
    let Some(name) = args.name.as_deref().filter(|_| !args.list) else {
        list(common)?;
        return Ok(Exit::Done);
    };
    let statistic = stat::find(name)?;
    let input = Input::read(args.file.as_deref(), args.items.as_deref(), args.params.as_deref())?;
    print_json(&Value::Object((statistic.compute)(&input)?))?;
    if !common.quiet {
        input.notices().iter().for_each(|notice| say!("note: {notice}"));
    }
    Ok(Exit::Done)
}

fn list(common: &Common) -> Result<()> {
    if common.json {
        let entries: Vec<Value> =
            stat::all().map(|statistic| json!({"name": statistic.name, "summary": statistic.summary})).collect();
        return print_json(&entries);
    }
    let width = stat::all().map(|statistic| statistic.name.len()).max().unwrap_or(0);
    let lines: String =
        stat::all().map(|statistic| format!("{:width$}  {}\n", statistic.name, statistic.summary)).collect();
    print(&lines)
}
