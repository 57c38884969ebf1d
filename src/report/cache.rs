//! What the store holds, in words and tables.

use super::{dollars, grid, plural, text};
use crate::reuse::Saved;
use crate::store::tally::{Stats, Tally};
use crate::usage::Usage;
use jiff::Timestamp;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;

/// Bytes as people write them, in decimal units.
pub fn bytes(count: u64) -> String {
    let units = [("GB", 1e9), ("MB", 1e6), ("kB", 1e3)];
    match units.iter().find(|(_, size)| count as f64 >= *size) {
        Some((unit, size)) => format!("{:.1} {unit}", count as f64 / size),
        None => plural(count, "byte"),
    }
}

/// How long ago something was, in its largest unit.
pub fn age(then: Timestamp, now: Timestamp) -> String {
    let seconds = now.duration_since(then).as_secs().max(0).cast_unsigned();
    let units = [("day", 86_400), ("hour", 3_600), ("minute", 60)];
    match units.iter().find(|(_, size)| seconds >= *size) {
        Some((unit, size)) => format!("{} ago", plural(seconds / size, unit)),
        None => "just now".to_owned(),
    }
}

/// A cost of which a part may be unknown.
pub fn cost(usd: Option<f64>, unknown: u64, noun: &str) -> String {
    match (usd, unknown) {
        (usd, 0) => dollars(usd),
        (None, _) => "unknown: no [price] in the configuration, or no token counts".to_owned(),
        (usd, unknown) => format!("{} and unknown for {}", dollars(usd), plural(unknown, noun)),
    }
}

fn tokens(usage: &Usage) -> String {
    let Usage { input, cached_input, cache_write, output, reasoning } = usage;
    format!(
        "input {input}, cached input {cached_input}, cache write {cache_write}, output {output} (reasoning {reasoning})"
    )
}

fn day(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M").to_string()
}

/// Where the store is, and what of it the statistics do not count.
#[derive(Debug, Clone, Copy)]
pub struct Place<'a> {
    /// The file.
    pub path: &'a Path,
    /// Its format.
    pub format: i64,
    /// What it takes on the disk, in bytes.
    pub bytes: u64,
    /// Lines of the ledger.
    pub evaluations: u64,
    /// Facts about models.
    pub model_facts: u64,
}

/// The statistics of a store.
pub fn stats_text(place: Place<'_>, stats: &Stats, saved: &Saved, now: Timestamp) -> String {
    let Tally { answers, superseded, body_bytes, usage, usage_unknown, cost_usd, cost_unknown, oldest, newest, .. } =
        &stats.total;
    let mut lines = vec![
        ("store", format!("{} (format {}), {} on disk", place.path.display(), place.format, bytes(place.bytes))),
        (
            "answers",
            format!("{answers}, {superseded} of them superseded by later ones; {} of text", bytes(*body_bytes)),
        ),
    ];
    if let (Some(oldest), Some(newest)) = (oldest, newest) {
        let (first, last) = (age(*oldest, now), age(*newest, now));
        lines.push(("paid", format!("from {} ({first}) to {} ({last})", day(*oldest), day(*newest))));
    }
    let unknown =
        if *usage_unknown > 0 { format!("; unknown for {}", plural(*usage_unknown, "answer")) } else { String::new() };
    lines.push(("tokens", tokens(usage) + &unknown));
    lines.push(("spent", cost(*cost_usd, *cost_unknown, "answer")));
    let of_runs = format!("{} of {}", plural(saved.rows, "row"), plural(saved.runs, "run"));
    let worth = match saved.rows {
        0 => format!("nothing: no row of {} uses an answer of another run", plural(saved.runs, "run")),
        _ => format!(
            "{}: what {of_runs} would have cost had other runs not paid",
            cost(saved.cost_usd, saved.cost_unknown, "row")
        ),
    };
    lines.push(("saved", worth));
    let ledger = (plural(place.evaluations, "evaluation"), plural(place.model_facts, "fact"));
    lines.push(("ledger", format!("{}; {} about models", ledger.0, ledger.1)));
    let mut out: String = lines.iter().map(|(name, text)| format!("{name:<9}{text}\n")).collect();
    let by = &stats.by;
    for (noun, group) in [("provider", &by.provider), ("model", &by.model), ("task", &by.task), ("run", &by.run)] {
        if !group.is_empty() {
            // Writing to a string cannot fail.
            let _ = write!(out, "\n{}", tallies(noun, group));
        }
    }
    out
}

/// A line a group.
pub fn tallies(noun: &str, group: &BTreeMap<String, Tally>) -> String {
    let header =
        [noun, "answers", "superseded", "text", "input", "cached", "written", "output", "reasoning", "spent", "newest"];
    let mut table = grid(&header, &[1, 2, 3, 4, 5, 6, 7, 8, 9]);
    for (name, tally) in group {
        let usage = &tally.usage;
        let spent = match (tally.cost_usd, tally.cost_unknown) {
            (None, _) => "unknown".to_owned(),
            (known, 0) => dollars(known),
            (known, _) => format!("{} + ?", dollars(known)),
        };
        table.add_row(vec![
            name.clone(),
            tally.answers.to_string(),
            tally.superseded.to_string(),
            bytes(tally.body_bytes),
            usage.input.to_string(),
            usage.cached_input.to_string(),
            usage.cache_write.to_string(),
            usage.output.to_string(),
            usage.reasoning.to_string(),
            spent,
            tally.newest.map(day).unwrap_or_default(),
        ]);
    }
    text(&table)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_and_ages_are_in_their_largest_unit() {
        assert_eq!(
            [0, 1, 999, 1_000, 45_056, 2_500_000, 7_000_000_000].map(bytes),
            ["0 bytes", "1 byte", "999 bytes", "1.0 kB", "45.1 kB", "2.5 MB", "7.0 GB"]
        );
        let then: Timestamp = "2026-11-21T10:00:00Z".parse().unwrap();
        let later = |seconds: i64| age(then, then + jiff::SignedDuration::from_secs(seconds));
        assert_eq!(
            [0, 59, 60, 7_200, 86_400 * 90].map(later),
            ["just now", "just now", "1 minute ago", "2 hours ago", "90 days ago"]
        );
        assert_eq!(later(-5), "just now");
    }

    #[test]
    fn a_cost_tells_what_of_it_is_unknown() {
        assert_eq!(cost(Some(0.0), 0, "answer"), "$0.00");
        assert_eq!(cost(Some(1.5), 2, "answer"), "$1.50 and unknown for 2 answers");
        assert!(cost(None, 2, "answer").starts_with("unknown"));
    }
}
