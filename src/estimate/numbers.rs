//! What is found of a run: its numbers, what they rest on, and what to know about them. The form of `estimate --json`.

use super::correct::{Corrected, Design};
use super::of_run::RunEstimation;
use crate::agreement::Estimate;
use crate::evaluation::leak::LeakCheck;
use crate::evaluation::sealed::Opened;
use crate::gold::{GoldRow, Split};
use crate::run::Status;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

/// All numbers of a run.
#[derive(Debug, Serialize)]
pub struct RunEstimates {
    /// The run.
    pub run: String,
    /// The task.
    pub task: String,
    /// The rater.
    pub rater: String,
    /// Hash of the codebook of run and gold.
    pub codebook: String,
    /// The gold.
    pub gold: GoldUsed,
    /// The units.
    pub units: UnitCounts,
    /// What groups are by.
    pub by: Option<String>,
    /// `population`, or `these units`.
    pub target: &'static str,
    /// Replicates and seed.
    pub replicates: u32,
    /// Seed of the draws.
    pub seed: u64,
    /// The fields.
    pub fields: Vec<FieldEstimates>,
    /// How often the test split was opened, this time included; none where it is not looked at.
    pub test_opened: Option<usize>,
    /// How often its single units were shown.
    pub test_shown: Option<usize>,
    /// Whether the gold holds examples of the codebook.
    pub leaks: Option<LeakCheck>,
    /// What has to hold for the numbers to be right.
    pub assumptions: Vec<String>,
    /// What to know about all of them.
    pub warnings: Vec<String>,
    /// What to know besides.
    pub notes: Vec<String>,
}

/// The gold behind the numbers.
#[derive(Debug, Serialize)]
pub struct GoldUsed {
    /// The file.
    #[serde(serialize_with = "crate::session::as_text")]
    pub path: PathBuf,
    /// blake3 of it.
    pub hash: String,
    /// Adjudicated rows of the split.
    pub rows: usize,
    /// Those of them that are units of the run.
    pub in_run: usize,
    /// Whether `--assume-random` stands in for recorded probabilities.
    pub assumed_random: bool,
}

/// Units of the run by how they ended.
#[derive(Debug, Serialize)]
pub struct UnitCounts {
    /// Units that were to be answered.
    pub all: usize,
    /// Those with an answer.
    pub answered: usize,
    /// The others, by state.
    pub without_answer: BTreeMap<Status, usize>,
    /// Units in which there was nothing to ask; they count nowhere.
    pub skipped: usize,
    /// Sessions.
    pub sessions: usize,
}

/// One field, or a collapse of it.
#[derive(Debug, Serialize)]
pub struct FieldEstimates {
    /// The field; `field.part` for parts.
    pub field: String,
    /// The collapse.
    pub collapse: Option<String>,
    /// `share` or `mean`.
    pub quantity: &'static str,
    /// How its gold was drawn.
    pub design: Design,
    /// What to know about that: where strata come from, or why they are not used.
    pub design_note: Option<String>,
    /// The numbers; one element without groups.
    pub groups: Vec<GroupEstimates>,
    /// Differences between groups.
    pub differences: Vec<Difference>,
    /// All shares at once by the inverted confusion matrix, for gold of other units.
    pub inversion: Option<Inversion>,
    /// What to know about all of its numbers.
    pub warnings: Vec<String>,
}

/// The numbers of a group.
#[derive(Debug, Serialize)]
pub struct GroupEstimates {
    /// The group; none for all units.
    pub group: Option<String>,
    /// Its units that were to be answered.
    pub units: usize,
    /// The numbers, one a label.
    pub estimates: Vec<Named>,
}

/// A number with its label.
#[derive(Debug, Serialize)]
pub struct Named {
    /// The label, or `mean`.
    pub what: String,
    /// The number.
    #[serde(flatten)]
    pub corrected: Corrected,
}

/// The second group's number less the first's.
#[derive(Debug, Serialize)]
pub struct Difference {
    /// The label, or `mean`.
    pub what: String,
    /// The first group.
    pub a: String,
    /// The second group.
    pub b: String,
    /// The difference of the model's answers as they are.
    pub raw: Option<f64>,
    /// The corrected difference.
    pub corrected: Estimate,
}

/// Shares by the inverted confusion matrix.
#[derive(Debug, Serialize)]
pub struct Inversion {
    /// Shares by label; none where they are refused.
    pub shares: Option<BTreeMap<String, f64>>,
    /// The condition number of the matrix.
    pub condition: Option<f64>,
    /// Why they are refused, or that they were projected.
    pub note: Option<String>,
}

impl RunEstimates {
    /// Says how often the test split was opened, where it is looked at.
    pub fn was_looked_at(&mut self, opened: Option<Opened>) {
        self.test_opened = opened.map(|opened| opened.times);
        self.test_shown = opened.map(|opened| opened.shown);
        self.notes.extend(opened.map(Opened::in_words));
    }

    /// Says what a search for examples of the codebook in the gold found.
    pub fn looked_for_leaks(&mut self, check: LeakCheck) {
        self.warnings.extend(check.warning());
        self.leaks = Some(check);
    }

    /// Says what the numbers rest on.
    pub(super) fn tell(&mut self, asked: &RunEstimation<'_>, gold: &[&GoldRow]) {
        let designs: BTreeSet<&str> = self.fields.iter().map(|field| field.design.in_words()).collect();
        self.assumptions.extend(designs.into_iter().map(str::to_owned));
        let other_units = self.fields.iter().any(|field| field.design == Design::OtherUnits);
        if other_units {
            self.assumptions.push(format!(
                "{} errs on the units of this run as it does on the gold's: the same part of each true label is labelled so",
                self.rater
            ));
        }
        self.assumptions.push("gold is right, and was labelled without the model's label in sight".to_owned());
        self.assumptions.push(match asked.split {
            Some(Split::Test) => "the codebook was not changed after a look at the test split".to_owned(),
            _ => "the codebook was not tuned on this gold; --split test takes the part kept for that".to_owned(),
        });
        if self.target == "these units" {
            self.assumptions.push("nothing beyond the units of this run is meant".to_owned());
        }
        let outside = gold.len() - self.gold.in_run;
        if !other_units && outside > 0 {
            self.warnings.push(format!("{outside} gold units are not in the run and count nowhere"));
        }
        let recorded = gold.iter().any(|row| row.probability.is_some());
        if asked.assume_random && recorded {
            self.warnings.push("--assume-random changes nothing: the gold records probabilities".to_owned());
        }
        if self.gold.assumed_random {
            self.warnings.push(
                "nothing records how the gold was drawn: if it was picked by hand, every corrected number is wrong"
                    .to_owned(),
            );
        }
        let unanswered = self.units.all - self.units.answered;
        if unanswered > 0 {
            let states: Vec<String> =
                self.units.without_answer.iter().map(|(state, count)| format!("{count} {}", state.name())).collect();
            self.warnings.push(format!(
                "{unanswered} of {} units have no answer ({}); numbers are of the others, and the bounds say what all units can have",
                self.units.all,
                states.join(", ")
            ));
        }
        if !asked.run.manifest.complete {
            self.warnings.push("the run is not complete".to_owned());
        }
        let compared = self.fields.iter().map(|field| field.differences.len()).sum::<usize>();
        if compared > 1 {
            self.warnings.push(format!("{compared} differences, each at 95 %: some will leave 0 out by chance"));
        }
    }
}
