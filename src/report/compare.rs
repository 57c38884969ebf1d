//! The comparison of runs as text: figures, differences, then what is behind them.

use super::plural;
use super::terminal::{Style, TableOptions, cell, plain_table, push_lines};
use crate::agreement::estimate::short;
use crate::evaluation::compared::{Changed, ComparedField, ComparedPair, NonInferiority};
use crate::evaluation::sealed::Opened;

/// As many ids are printed of the units that a run mends or breaks; the JSON has all.
const MOST_UNITS: usize = 8;

/// What is compared, for the heading.
#[derive(Debug, Clone, Copy)]
pub struct Heading<'a> {
    /// The task.
    pub task: &'a str,
    /// `dev`, `test` or `all`.
    pub split: &'a str,
    /// How often the test split was opened, this time included; `None` where it is not looked at.
    pub opened: Option<Opened>,
}

/// One field's comparison as text.
pub fn comparison_table(found: &ComparedField, heading: Heading<'_>, options: TableOptions) -> String {
    let title = found.metric.title();
    let style = if found.metric.is_of_scores() { Style::Score } else { Style::Coefficient };
    let clusters = match found.cluster {
        "item" => "each its own cluster".to_owned(),
        cluster => plural(found.clusters as u64, cluster),
    };
    let split = if heading.split == "all" { String::new() } else { format!(", split {}", heading.split) };
    let mut text = format!(
        "{} · {} ({}): {title} with gold on {}, {clusters}{split}; 95 % intervals, {} replicates, seed {}\n\n",
        heading.task,
        found.field,
        found.level,
        plural(found.units as u64, "unit"),
        found.resampling.replicates,
        found.resampling.seed,
    );
    let mut notes = Vec::new();
    text.push_str(&runs_table(found, style, options, &mut notes));
    text.push('\n');
    text.push_str(&pairs_table(found, style, options, &mut notes));
    if let Some(humans) = &found.non_inferiority {
        text.push('\n');
        text.push_str(&humans_table(humans, options, &mut notes));
    }
    text.push('\n');
    let m = found.multiplicity.m;
    let raters = plural(found.multiplicity.raters.len() as u64, "rater");
    notes.push(format!(
        "p by swapping answers of whole {}s; adjusted by Holm for m = {m}: {raters} were ever scored on this part of this gold, {} shown",
        found.cluster,
        found.runs.len()
    ));
    notes.extend(found.pairs.first().and_then(|pair| pair.mcnemar_note.clone()));
    notes.extend(heading.opened.map(Opened::in_words));
    notes.dedup();
    push_lines(&mut text, "note", &notes);
    push_lines(&mut text, "warning", &found.warnings);
    for pair in &found.pairs {
        text.push_str(&units_line("mended", pair, pair.fixed.as_ref()));
        text.push_str(&units_line("broken", pair, pair.broken.as_ref()));
    }
    text
}

fn runs_table(found: &ComparedField, style: Style, options: TableOptions, notes: &mut Vec<String>) -> String {
    let mut header = vec!["run", found.metric.title()];
    let with_accuracy = found.metric != crate::comparison::Metric::Accuracy && !found.metric.is_of_scores();
    if with_accuracy {
        header.push("right");
    }
    header.push("answered");
    let rows = (found.runs.iter().enumerate())
        .map(|(place, run)| {
            let what = format!("{} of {}", found.metric.title(), run.run);
            let mut row = vec![format!("{} {}", place + 1, run.run), cell(&run.figure, style, &what, notes)];
            if with_accuracy {
                row.push(run.accuracy.map_or("–".to_owned(), |share| format!("{:.0} %", 100.0 * share)));
            }
            row.push(format!("{}/{}", run.answered, found.gold_units));
            row
        })
        .collect();
    plain_table(&header, rows, options)
}

fn number(found: &ComparedField, run: &str) -> usize {
    found.runs.iter().position(|one| one.run == run).map_or(0, |place| place + 1)
}

fn pairs_table(found: &ComparedField, style: Style, options: TableOptions, notes: &mut Vec<String>) -> String {
    let adjusted = format!("p (Holm, m = {})", found.multiplicity.m);
    let mut header = vec!["difference", found.metric.title(), "p", adjusted.as_str()];
    let mcnemar = found.pairs.iter().any(|pair| pair.mcnemar.is_some());
    if mcnemar {
        header.push("McNemar p");
    }
    let labels = !found.metric.is_of_scores();
    if labels {
        header.extend(["mended", "broken"]);
    }
    let rows = (found.pairs.iter())
        .map(|pair| {
            let name = format!("{} − {}", number(found, &pair.b), number(found, &pair.a));
            let what = format!("difference {name}");
            let mut row = vec![name, cell(&pair.difference, style, &what, notes)];
            row.push(p_value(pair.permutation.map(|test| test.p_two_sided)));
            row.push(p_value(pair.p_adjusted));
            if mcnemar {
                row.push(p_value(pair.mcnemar.map(|test| test.p_exact)));
            }
            if labels {
                let count = |changed: &Option<Changed>| changed.as_ref().map_or(0, |changed| changed.count).to_string();
                row.extend([count(&pair.fixed), count(&pair.broken)]);
            }
            row
        })
        .collect();
    plain_table(&header, rows, options)
}

/// `.034`, or `< .001`.
fn p_value(p: Option<f64>) -> String {
    match p {
        None => "undefined".to_owned(),
        Some(p) if p < 0.001 => "< .001".to_owned(),
        Some(p) if p >= 0.9995 => "1".to_owned(),
        Some(p) => format!("{p:.3}").trim_start_matches('0').to_owned(),
    }
}

fn humans_table(found: &NonInferiority, options: TableOptions, notes: &mut Vec<String>) -> String {
    let statistic = if found.statistic == "icc_a1" { "ICC(A,1)" } else { "κ" };
    let margin = format!("lower end > −{}", short(found.margin));
    let (humans, run) = (format!("human–human {statistic}"), format!("run–human {statistic}"));
    let header = ["same units", &humans, &run, "difference", &margin, "units"];
    let rows = (found.runs.iter())
        .map(|one| {
            let mut row = vec![one.run.clone()];
            for (estimate, what) in
                [(&one.human_human, "human–human"), (&one.run_human, "run–human"), (&one.difference, "difference")]
            {
                row.push(cell(estimate, Style::Coefficient, &format!("{what} for {}", one.run), notes));
            }
            row.push(match one.holds {
                Some(true) => "yes".to_owned(),
                Some(false) => "not shown".to_owned(),
                None => "undefined".to_owned(),
            });
            row.push(one.items.to_string());
            row
        })
        .collect();
    plain_table(&header, rows, options)
}

fn units_line(what: &str, pair: &ComparedPair, changed: Option<&Changed>) -> String {
    let Some(changed) = changed.filter(|changed| changed.count > 0) else { return String::new() };
    let mut parts: Vec<String> = changed.units.iter().take(MOST_UNITS).cloned().collect();
    if changed.units.len() > MOST_UNITS {
        parts.push(format!("{} more (--json lists them)", changed.units.len() - MOST_UNITS));
    }
    if changed.hidden > 0 {
        parts.push(format!("{} of the test split, not shown (--show-test)", changed.hidden));
    }
    format!("{what} by {} against {}: {}\n", pair.b, pair.a, parts.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn p_values_are_printed_short() {
        let printed: Vec<String> =
            [Some(0.03412), Some(0.0004), Some(1.0), Some(0.5), None].into_iter().map(p_value).collect();
        assert_eq!(printed, [".034", "< .001", "1", ".500", "undefined"]);
    }
}
