//! Runs and their summaries as tables.

use super::{dollars, grid, text};
use crate::agreement::estimate::short;
use crate::agreement::{Estimate, FieldAgreement, PairFigures};
use crate::evaluation::leak::LeakCheck;
use crate::run::vote::VoteSummary;
use crate::run::{Annotation, Manifest, Status, Totals};
use crate::summary::{Distribution, FieldSummary};
use serde::Serialize;
use std::collections::BTreeMap;

/// A task of a finished job, in short: what the table shows and `summary.json` holds.
#[derive(Debug, Serialize)]
pub struct TaskSummary {
    /// The task.
    pub task: String,
    /// The run's name.
    pub run: String,
    /// Who annotated.
    pub rater: String,
    /// Counts.
    pub totals: Totals,
    /// Cost of a label in US dollars; `None` where it is not known.
    pub cost_per_label_usd: Option<f64>,
    /// The answers, a field at a time.
    pub fields: Vec<FieldSummary>,
    /// How far samples agree with the votes that `fields` and `agreement` are about; `None` where units have one sample.
    pub votes: Option<VoteSummary>,
    /// Why units have no answer: the most frequent reason of each state.
    pub reasons: Vec<Reason>,
    /// How the run agrees with gold, and the humans with one another.
    pub agreement: Vec<FieldHeadline>,
    /// The part of the gold that `agreement` is about: `dev`, where the gold has a test split; none for all of it.
    pub gold_split: Option<&'static str>,
    /// Whether the gold holds examples of the codebook; none without gold.
    pub leaks: Option<LeakCheck>,
}

/// Why units ended in a state.
#[derive(Debug, Serialize)]
pub struct Reason {
    /// The state.
    pub status: Status,
    /// Units in it.
    pub units: usize,
    /// The most frequent reason, the first in order on a tie.
    pub most_often: String,
}

/// Distinct reasons of a state that are told apart; what is frequent is among the first.
const REASONS: usize = 1_000;

/// The reasons of rows, taken one at a time.
#[derive(Debug, Default)]
pub struct Reasons {
    states: BTreeMap<Status, (usize, BTreeMap<String, usize>)>,
}

impl Reasons {
    /// Takes a row, if it is in trouble.
    pub fn add(&mut self, row: &Annotation) {
        if !row.status.is_trouble() {
            return;
        }
        let (units, details) = self.states.entry(row.status).or_default();
        *units += 1;
        let detail = row.detail.as_deref().unwrap_or("no reason");
        if let Some(count) = details.get_mut(detail) {
            *count += 1;
        } else if details.len() < REASONS {
            details.insert(detail.to_owned(), 1);
        }
    }

    /// The reason of each state, in the order of reports.
    pub fn finish(self) -> Vec<Reason> {
        let of_state = |(status, (units, details)): (Status, (usize, BTreeMap<String, usize>))| {
            let (most_often, _) = details.into_iter().min_by_key(|(_, count)| std::cmp::Reverse(*count))?;
            Some(Reason { status, units, most_often })
        };
        self.states.into_iter().filter_map(of_state).collect()
    }
}

/// A field's agreement in one line.
#[derive(Debug, Serialize)]
pub struct FieldHeadline {
    /// The field.
    pub field: String,
    /// Which coefficient it is: `cohen_kappa` for labels, `icc_a1` for scores.
    pub coefficient: &'static str,
    /// Items that gold and the run both have.
    pub items: usize,
    /// Sessions of those items.
    pub clusters: usize,
    /// Between gold and the run.
    pub with_gold: Option<Estimate>,
    /// Percent agreement between gold and the run, as a share; `None` for scores.
    pub percent: Option<f64>,
    /// Between the humans.
    pub human_human: Option<Estimate>,
}

impl FieldHeadline {
    /// The line of `field` for the run by `rater`.
    pub fn of(field: &FieldAgreement, rater: &str) -> FieldHeadline {
        let humans = |pair: &&crate::agreement::Pair| pair.kind == crate::agreement::field::PairKind::HumanHuman;
        let pair = field.pairs.iter().find(|pair| Some(&pair.a) == field.reference.as_ref() && pair.b == rater);
        let coefficient = |figures: &PairFigures| match figures {
            PairFigures::Labels(labels) => labels.agreement.cohen_kappa.clone(),
            PairFigures::Scores(scores) => scores.icc_a1.clone(),
        };
        FieldHeadline {
            field: field.field.clone(),
            coefficient: if field.labels.is_empty() { "icc_a1" } else { "cohen_kappa" },
            items: pair.map_or(0, |pair| pair.items),
            clusters: pair.map_or(0, |pair| pair.clusters),
            with_gold: pair.map(|pair| coefficient(&pair.figures)),
            percent: pair.and_then(|pair| match &pair.figures {
                PairFigures::Labels(labels) => labels.agreement.percent,
                PairFigures::Scores(_) => None,
            }),
            human_human: field.pairs.iter().find(humans).map(|pair| coefficient(&pair.figures)),
        }
    }

    /// The coefficient's name as people write it.
    fn symbol(&self) -> &'static str {
        if self.coefficient == "cohen_kappa" { "κ" } else { "ICC" }
    }
}

/// The table at the end of `annotate`: a line a task; for a task with parts a line a part.
pub fn summary_table(tasks: &[TaskSummary]) -> String {
    let header = ["task", "units", "ok", "not ok", "answers", "with gold", "human–human"];
    let mut table = grid(&header, &[1, 2, 3]);
    for task in tasks {
        let totals = &task.totals;
        let lead = [task.task.clone(), totals.units.to_string(), totals.answered().to_string(), not_ok(totals)];
        for (line, [answers, with_gold, human_human]) in task.lines().into_iter().enumerate() {
            let lead = lead.iter().map(|text| if line == 0 { text.clone() } else { String::new() });
            table.add_row(lead.chain([answers, with_gold, human_human]));
        }
    }
    text(&table)
}

impl TaskSummary {
    /// The primary field's lines: what was answered, agreement with gold, agreement of the humans.
    fn lines(&self) -> Vec<[String; 3]> {
        let Some(field) = self.fields.first() else { return vec![Default::default()] };
        let agreement = |name: &str| {
            let line = self.agreement.iter().find(|line| line.field == name);
            let shown = |estimate: Option<&Estimate>| match (line, estimate) {
                (Some(line), Some(estimate)) => format!("{} {}", line.symbol(), interval(estimate)),
                _ => "–".to_owned(),
            };
            let with_gold = shown(line.and_then(|line| line.with_gold.as_ref()));
            (with_gold, shown(line.and_then(|line| line.human_human.as_ref())))
        };
        match &field.distribution {
            Distribution::Shares(means) if field.answered > 0 => means
                .iter()
                .map(|mean| {
                    let (with_gold, human_human) = agreement(&format!("{}.{}", field.field, mean.part));
                    [format!("{} {:.0} %", mean.part, mean.mean), with_gold, human_human]
                })
                .collect(),
            _ => {
                let (with_gold, human_human) = agreement(&field.field);
                vec![[answers(field), with_gold, human_human]]
            }
        }
    }
}

/// `.52 [.38, .65]`, or why there is no number.
pub fn interval(estimate: &Estimate) -> String {
    match (estimate.value, estimate.low, estimate.high) {
        (Some(value), Some(low), Some(high)) => {
            format!("{} [{}, {}]", short(value), short(low.max(-1.0)), short(high.min(1.0)))
        }
        (Some(value), ..) => format!("{} (no interval)", short(value)),
        (None, ..) => "undefined".to_owned(),
    }
}

/// How many rows have no answer, and why, in words.
pub fn not_ok(totals: &Totals) -> String {
    let missing = totals.units.saturating_sub(totals.rows);
    let states: Vec<String> = totals
        .status
        .iter()
        .filter(|(status, _)| !status.is_answered())
        .map(|(status, count)| format!("{count} {}", status.name()))
        .chain((missing > 0).then(|| format!("{missing} not asked")))
        .collect();
    if states.is_empty() { "0".to_owned() } else { states.join(", ") }
}

/// A field's answers in one line: the labels by frequency, a score's median and pile-up, the mean shares.
pub fn answers(field: &FieldSummary) -> String {
    match &field.distribution {
        _ if field.answered == 0 => "no answers".to_owned(),
        Distribution::Labels(counts) => {
            let mut counts: Vec<_> = counts.iter().filter(|count| count.count > 0).collect();
            counts.sort_by_key(|count| std::cmp::Reverse(count.count));
            let share = |count: usize| (count as f64 / field.answered as f64 * 100.0).round();
            let shown: Vec<String> =
                counts.iter().take(3).map(|count| format!("{} {} %", count.label, share(count.count))).collect();
            format!("{}{}", shown.join(", "), if counts.len() > 3 { ", …" } else { "" })
        }
        Distribution::Score(score) => {
            let number = |value: Option<f64>| value.map(|value| format!("{value:.0}")).unwrap_or_default();
            let pile = score.mode_share.map(|share| format!("{:.0} %", share * 100.0)).unwrap_or_default();
            format!("median {}, {pile} at the mode ({})", number(score.median), number(score.mode))
        }
        Distribution::Shares(means) => {
            means.iter().map(|mean| format!("{} {:.0} %", mean.part, mean.mean)).collect::<Vec<_>>().join(", ")
        }
    }
}

/// The table of `runs`.
pub fn runs_table(runs: &[Manifest]) -> String {
    let mut table = grid(
        &["run", "model", "units", "ok", "not ok", "output tokens", "cost", "a label", "finished"],
        &[2, 3, 5, 6, 7],
    );
    for run in runs {
        table.add_row(vec![
            run.run.clone(),
            run.model.clone(),
            run.totals.units.to_string(),
            run.totals.answered().to_string(),
            not_ok(&run.totals),
            run.totals.usage.output.to_string(),
            cost(&run.totals),
            dollars(run.totals.cost_per_label_usd()),
            run.finished.strftime("%Y-%m-%d %H:%M").to_string(),
        ]);
    }
    text(&table)
}

/// One run, a line a fact.
pub fn run_details(run: &Manifest) -> String {
    let totals = &run.totals;
    let states: Vec<String> = Status::ALL
        .iter()
        .filter_map(|status| totals.status.get(status).map(|count| format!("{} {count}", status.name())))
        .collect();
    let usage = totals.usage;
    let repositories = run.inputs.iter().any(|input| input.commit.is_some());
    let inputs = format!("{} files{}", run.inputs.len(), if repositories { " and repositories" } else { "" });
    let mut lines = vec![
        ("run", run.run.clone()),
        (
            "task",
            format!(
                "{} (codebook {} {})",
                run.task,
                run.codebook.path.display(),
                &run.codebook.hash[..8.min(run.codebook.hash.len())]
            ),
        ),
        ("rater", run.rater.clone()),
        ("endpoint", run.endpoint.clone().unwrap_or_else(|| "none".to_owned())),
        ("inputs", inputs),
        (
            "units",
            format!("{} ({}){}", totals.units, states.join(", "), if run.complete { "" } else { ", not complete" }),
        ),
        (
            "tokens",
            format!(
                "input {}, cached input {}, cache write {}, output {} (reasoning {}){}",
                usage.input,
                usage.cached_input,
                usage.cache_write,
                usage.output,
                usage.reasoning,
                match usage.cached_share() {
                    Some(share) if share > 0.0 =>
                        format!("; {:.0} % of the prompts from the provider's cache", share * 100.0),
                    _ => String::new(),
                }
            ),
        ),
        ("cost", format!("{}{}", cost(totals), a_label(totals))),
        ("requests", format!("{}, {} rows from answers of other runs", totals.attempts, totals.cached)),
        ("evidence", format!("{} citations, {} not in the transcript", totals.citations, totals.citations_not_found)),
        ("started", run.started.to_string()),
        ("finished", run.finished.to_string()),
        ("program", run.program.clone()),
    ];
    lines.extend(run.settings.shard.map(|shard| ("shard", format!("{shard} of the sessions"))));
    lines.extend(run.notes.iter().map(|note| ("note", note.clone())));
    lines.iter().map(|(name, text)| format!("{name:<10}{text}\n")).collect()
}

/// The cost of all rows, or what of it is known.
pub fn cost(totals: &Totals) -> String {
    match (totals.cost_usd, totals.cost_unknown) {
        (None, 0) => dollars(Some(0.0)),
        (known, 0) => dollars(known),
        (None, _) => "unknown".to_owned(),
        (known, unknown) => format!("{} and unknown for {unknown}", dollars(known)),
    }
}

/// The cost of one label, for a line about the cost of all of them; empty where it is nothing or not known.
fn a_label(totals: &Totals) -> String {
    match totals.cost_per_label_usd() {
        Some(cost) if cost > 0.0 => format!(", {} a label", dollars(Some(cost))),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn row(status: &str, detail: Option<&str>) -> Annotation {
        let row = json!({
            "unit": "codex:s#1", "session": "codex:s", "task": "t", "rater": "m", "sample": 0, "status": status, "detail": detail, "fields": {},
            "evidence": [], "coverage": { "tokens": 1.0, "prompts": 1.0 }, "usage": null, "cost_usd": null, "cached": false, "attempts": 1,
            "latency_ms": 0,
        });
        serde_json::from_value(row).unwrap()
    }

    #[test]
    fn the_most_frequent_reason_of_each_state_is_told_however_many_there_are() {
        let mut reasons = Reasons::default();
        for number in 0..3 * REASONS {
            reasons.add(&row("failed", Some(&format!("request {number} was lost"))));
            if number % 3 == 0 {
                reasons.add(&row("failed", Some("the server is asleep")));
            }
        }
        for (status, detail) in [("invalid", Some("b")), ("invalid", Some("a")), ("refused", None), ("ok", Some("c"))] {
            reasons.add(&row(status, detail));
        }
        let kept: usize = reasons.states.values().map(|(_, details)| details.len()).sum();
        assert!(kept <= REASONS + 3, "memory is bounded: {kept}");
        let told: Vec<(Status, usize, String)> =
            reasons.finish().into_iter().map(|reason| (reason.status, reason.units, reason.most_often)).collect();
        let expected = [
            (Status::Invalid, 2, "a".to_owned()),
            (Status::Refused, 1, "no reason".to_owned()),
            (Status::Failed, 4 * REASONS, "the server is asleep".to_owned()),
        ];
        assert_eq!(told, expected);
    }
}
