//! How units ended, how much raters saw of them, what they cost and how long it took.

use super::parts::{Cell, Names, Page, table, thousands};
use crate::chart::histogram::histogram;
use crate::chart::scale::percent;
use crate::chart::states::{NOT_ASKED, Row, states};
use crate::dossier::TaskDossier;
use crate::dossier::run::{Latency, RunDossier};
use crate::markup::{Markup, classed, tag};
use crate::report::dollars;
use crate::report::runs::cost;
use crate::run::Status;

/// The section.
pub fn inside(task: &TaskDossier, names: &Names, page: &Page) -> Markup {
    let mut made = how_they_ended(task, names, page);
    let reasons = task.runs.iter().flat_map(|run| {
        run.reasons.iter().map(|reason| {
            let text = format!(
                "{}: {} {}, most often: {}",
                names.get(&run.rater),
                reason.units,
                reason.status.name(),
                reason.most_often
            );
            tag("li").text(text)
        })
    });
    let reasons: Markup = reasons.collect();
    if !reasons.is_empty() {
        made.push(classed("ul", "plain").child(reasons));
    }
    // Runs over the same units with the same limit have seen the same.
    let mut told: Vec<(&RunDossier, Vec<&str>)> = vec![];
    for run in task.runs.iter().filter(|run| run.coverage.cut > 0) {
        match told.iter_mut().find(|(known, _)| known.coverage.histogram == run.coverage.histogram) {
            Some((_, raters)) => raters.push(names.get(&run.rater)),
            None => told.push((run, vec![names.get(&run.rater)])),
        }
    }
    let seen = told.iter().map(|(run, raters)| coverage(run, &raters.join(", "), page));
    made.push(classed("div", "pair").children(seen));
    made.push(coverage_table(task, names));
    made.push(cost_table(task, names));
    made
}

fn how_they_ended(task: &TaskDossier, names: &Names, page: &Page) -> Markup {
    let rows: Vec<Row<'_>> = (task.runs.iter())
        .map(|run| {
            let totals = &run.manifest.totals;
            let known =
                Status::ALL.iter().map(|status| (status.name(), totals.status.get(status).copied().unwrap_or(0)));
            let missing = (NOT_ASKED, totals.units.saturating_sub(totals.rows));
            Row { name: names.get(&run.rater), states: known.chain([missing]).collect() }
        })
        .collect();
    let header: Vec<String> = std::iter::once("run".to_owned())
        .chain(Status::ALL.iter().map(|status| format!("#{}", status.name())))
        .chain([format!("#{NOT_ASKED}")])
        .collect();
    let header: Vec<&str> = header.iter().map(String::as_str).collect();
    let cells = (rows.iter())
        .map(|row| {
            let counts = row.states.iter().map(|(_, count)| Cell::count(*count));
            std::iter::once(Cell::text(row.name)).chain(counts).collect()
        })
        .collect();
    page.figure(
        &format!("How units of {} ended", task.task),
        "Filled: answered; hatched: invalid, refused, cut or failed; empty: nothing to ask, or not asked yet. With several samples, of all samples.",
        |caption| states(caption, &rows),
        table("Rows by state", &header, cells),
    )
}

fn coverage(run: &RunDossier, raters: &str, page: &Page) -> Markup {
    let counts = &run.coverage.histogram;
    let row = |(nth, count): (usize, &usize)| {
        let low = nth as f64 / counts.len() as f64;
        let high = (nth + 1) as f64 / counts.len() as f64;
        vec![Cell::ranked(format!("{} to {}", percent(low), percent(high)), Some(low)), Cell::count(*count)]
    };
    let title = format!("How much raters saw: {raters}");
    page.figure(
        &title,
        "Units by the share of the text that was in the material; the rest was cut or shortened.",
        |caption| histogram(caption, "share of the text", (0.0, 1.0), counts),
        table(&title, &["share of the text", "#units"], counts.iter().enumerate().map(row).collect()),
    )
}

fn coverage_table(task: &TaskDossier, names: &Names) -> Markup {
    let rows = (task.runs.iter())
        .map(|run| {
            let seen = &run.coverage;
            let redactions: u64 = run.manifest.totals.redactions.0.values().sum();
            vec![
                Cell::text(names.get(&run.rater)),
                Cell::count(seen.units),
                Cell::count(seen.cut),
                Cell::count(seen.prompts_cut),
                Cell::share(seen.median),
                Cell::share(seen.least),
                match run.manifest.settings.redacted {
                    true => Cell::ranked(format!("{} replaced", thousands(redactions)), Some(redactions as f64)),
                    false => Cell::text("as they are"),
                },
            ]
        })
        .collect();
    let header = ["run", "#with material", "#text cut", "#prompts left out", "#median seen", "#least seen", "sessions"];
    table("How much of the sessions raters saw", &header, rows)
}

fn cost_table(task: &TaskDossier, names: &Names) -> Markup {
    let costs = task.runs.iter().map(|run| {
        let totals = &run.manifest.totals;
        let time = |of: fn(&Latency) -> u64| {
            let value = run.latency.as_ref().map(of);
            let shown = value.map_or("–".to_owned(), |ms| format!("{:.1} s", ms as f64 / 1000.0));
            Cell::ranked(shown, value.map(|ms| ms as f64))
        };
        vec![
            Cell::text(names.get(&run.rater)),
            Cell::ranked(cost(totals), totals.cost_usd),
            Cell::ranked(dollars(totals.cost_per_label_usd()), totals.cost_per_label_usd()),
            tokens(totals.attempts),
            Cell::count(totals.cached),
            time(|latency| latency.median),
            time(|latency| latency.ninth_decile),
        ]
    });
    let header = ["run", "#cost", "#a label", "#requests", "#from other runs", "#median time", "#nine of ten within"];
    let mut made = table("Cost and time", &header, costs.collect());
    let used = task.runs.iter().map(|run| {
        let usage = run.manifest.totals.usage;
        let counts = [usage.input, usage.cached_input, usage.cache_write, usage.output, usage.reasoning];
        std::iter::once(Cell::text(names.get(&run.rater))).chain(counts.map(tokens)).collect()
    });
    let header = ["run", "#input", "#cached input", "#cache write", "#output", "#of it reasoning"];
    made.push(table("Tokens", &header, used.collect()));
    made
}

fn tokens(count: u64) -> Cell {
    Cell::ranked(thousands(count), Some(count as f64))
}
