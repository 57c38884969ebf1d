//! Corrected shares and means as text: the raw number beside the corrected one, then what the numbers rest on.

use super::{grid, plural, text};
use crate::agreement::Estimate;
use crate::estimate::numbers::{FieldEstimates, RunEstimates};
use std::collections::BTreeMap;

/// A run's corrected numbers as text.
pub fn estimate_table(found: &RunEstimates) -> String {
    let mut out = format!(
        "{} · {}\n{} of {}, {} answered; {} gold, {} of them in the run ({})\n95 % intervals, {} replicates, seed {}\n",
        found.run,
        found.rater,
        plural(found.units.all as u64, "unit"),
        plural(found.units.sessions as u64, "session"),
        found.units.answered,
        found.gold.rows,
        found.gold.in_run,
        found.gold.path.display(),
        found.replicates,
        found.seed,
    );
    // One reason stands for all numbers that share it.
    let mut notes: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for field in &found.fields {
        let name = match &field.collapse {
            Some(collapse) => format!("{} ({collapse})", field.field),
            None => field.field.clone(),
        };
        out.push_str(&format!("\n{} · {}\n", name, field.quantity));
        out.push_str(&numbers(field, found.by.as_deref(), &name, &mut notes));
        out.push_str(&differences(field, &name, &mut notes));
        if let Some(inversion) = &field.inversion {
            let shares =
                inversion.shares.iter().flatten().map(|(label, share)| format!("{label} {:.1} %", 100.0 * share));
            let shares: Vec<String> = shares.collect();
            let condition = inversion.condition.map(|x| format!(" (condition number {x:.1})")).unwrap_or_default();
            let note = inversion.note.iter().map(|note| format!(" {note}")).collect::<String>();
            out.push_str(&format!(
                "all labels at once, by the inverted confusion matrix{condition}: {}{note}\n",
                shares.join(", ")
            ));
        }
        let formulas: Vec<String> = formulas(field);
        let note = field.design_note.iter().map(|note| format!(" ({note})")).collect::<String>();
        out.push_str(&format!("formula: {}; {}{note}\n", formulas.join("; "), field.design.in_words()));
        out.push_str(&weights(field));
        field.warnings.iter().for_each(|warning| out.push_str(&format!("warning: {warning}\n")));
    }
    out.push('\n');
    for (note, places) in notes {
        let shown = places.iter().take(3).cloned().collect::<Vec<_>>().join(", ");
        let more = if places.len() > 3 { format!(" and {} more", places.len() - 3) } else { String::new() };
        out.push_str(&format!("note: {shown}{more}: {note}\n"));
    }
    found.notes.iter().for_each(|note| out.push_str(&format!("note: {note}\n")));
    found.warnings.iter().for_each(|warning| out.push_str(&format!("warning: {warning}\n")));
    found.assumptions.iter().for_each(|assumption| out.push_str(&format!("assumes: {assumption}\n")));
    out
}

/// What the weights of unequally drawn gold cost, and how it lies in strata.
fn weights(field: &FieldEstimates) -> String {
    let mut out = String::new();
    for group in &field.groups {
        let Some(found) = group.estimates.first().map(|one| &one.corrected) else { continue };
        let of = group.group.iter().map(|group| format!("{group}: ")).collect::<String>();
        if !found.strata.is_empty() {
            let strata = found.strata.iter().map(|one| format!("{} {}/{}", one.stratum, one.gold, one.units));
            out.push_str(&format!("gold/units by stratum: {of}{}\n", strata.collect::<Vec<_>>().join(", ")));
        }
        if let Some(weighted) = found.weighted_gold {
            out.push_str(&format!("weights: {of}{} gold units weigh like {weighted:.0} equal ones\n", found.gold));
        }
    }
    out
}

/// The formulas of a field, each with how its intervals were made.
fn formulas(field: &FieldEstimates) -> Vec<String> {
    let mut found: Vec<String> = vec![];
    for named in field.groups.iter().flat_map(|group| &group.estimates) {
        let method = named.corrected.corrected.method.iter().map(|method| format!(", {method}")).collect::<String>();
        let formula = format!("{}{method}", named.corrected.formula);
        if !found.contains(&formula) {
            found.push(formula);
        }
    }
    found
}

fn number(value: f64, is_share: bool, sign: bool) -> String {
    let value = if is_share { 100.0 * value } else { value };
    // A difference that rounds to 0 has no sign.
    let value = if format!("{value:.1}") == "-0.0" { 0.0 } else { value };
    if sign { format!("{value:+.1}") } else { format!("{value:.1}") }
}

fn ends(estimate: &Estimate, is_share: bool, sign: bool) -> String {
    match (estimate.value, estimate.low, estimate.high) {
        (None, ..) => "undefined".to_owned(),
        (Some(value), Some(low), Some(high)) => {
            let of = |x| number(x, is_share, sign);
            format!("{} [{}, {}]", of(value), of(low), of(high))
        }
        (Some(value), ..) => number(value, is_share, sign),
    }
}

fn numbers(field: &FieldEstimates, by: Option<&str>, name: &str, notes: &mut BTreeMap<String, Vec<String>>) -> String {
    let is_share = field.quantity == "share";
    let unit = if is_share { " %" } else { "" };
    let bounded = field.groups.iter().flat_map(|group| &group.estimates).any(|one| one.corrected.bounds.is_some());
    let (raw, corrected) = (format!("raw{unit}"), format!("corrected{unit}"));
    let alone = format!("gold alone{unit}");
    let mut header: Vec<&str> = by.into_iter().collect();
    header.extend([field.quantity, &raw, &corrected, &alone, "units", "gold", "differ", "gold is worth"]);
    if bounded {
        header.push("bounds");
    }
    let first = 1 + usize::from(by.is_some());
    let mut table = grid(&header, &(first..header.len()).collect::<Vec<_>>());
    for group in &field.groups {
        for named in &group.estimates {
            let found = &named.corrected;
            let shown = |value: Option<f64>| value.map_or("–".to_owned(), |x| number(x, is_share, false));
            let mut row: Vec<String> = group.group.iter().cloned().collect();
            row.extend([
                named.what.clone(),
                shown(found.raw),
                ends(&found.corrected, is_share, false),
                shown(found.gold_alone),
                found.units.to_string(),
                found.gold.to_string(),
                found.gold_errors.to_string(),
                found.effective_gold.map_or("–".to_owned(), |worth| format!("{worth:.0}")),
            ]);
            if bounded {
                let of = |x| number(x, is_share, false);
                row.push(found.bounds.map_or("–".to_owned(), |(low, high)| format!("{}–{}", of(low), of(high))));
            }
            table.add_row(row);
            let place = match &group.group {
                Some(group) => format!("{name} {} of {group}", named.what),
                None => format!("{name} {}", named.what),
            };
            for note in found.warnings.iter().chain(&found.corrected.undefined) {
                notes.entry(note.clone()).or_default().push(place.clone());
            }
        }
    }
    text(&table)
}

fn differences(field: &FieldEstimates, name: &str, notes: &mut BTreeMap<String, Vec<String>>) -> String {
    if field.differences.is_empty() {
        return String::new();
    }
    let is_share = field.quantity == "share";
    let unit = if is_share { " points" } else { "" };
    let (raw, corrected) = (format!("raw{unit}"), format!("corrected{unit}"));
    let mut table = grid(&["difference", field.quantity, &raw, &corrected], &[2, 3]);
    for one in &field.differences {
        let pair = format!("{} − {}", one.b, one.a);
        let raw = one.raw.map_or("–".to_owned(), |x| number(x, is_share, true));
        table.add_row([pair.clone(), one.what.clone(), raw, ends(&one.corrected, is_share, true)]);
        if let Some(note) = &one.corrected.undefined {
            notes.entry(note.clone()).or_default().push(format!("{name} {} {pair}", one.what));
        }
    }
    format!("\n{}", text(&table))
}
