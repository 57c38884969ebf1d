//! A field's agreement with all that tells how far to trust it: subgroups, what runs say twice, what their confidence is worth, whether a model
//! could stand in for a human, and agreement weighted by how the gold was drawn.
//!
//! Takes [`FieldRatings`], gives [`JudgedField`], an element of `fields` in `agree --json`.

pub mod calibration;
pub mod consistency;
pub mod groups;
pub mod stand_in;

use self::calibration::Calibration;
use self::consistency::SelfConsistency;
use self::groups::{Groups, by_groups};
use self::stand_in::StandIn;
use super::{FieldRatings, RunAnswers};
use crate::agreement::interval::Resampling;
use crate::agreement::ratings::{Cell, Level, Ratings};
use crate::agreement::weighted::{WeightedAgreement, WeightedRow, weighted_agreement};
use crate::agreement::{AgreementError, FieldAgreement};
use serde::Serialize;
use std::collections::{BTreeMap, HashMap};

/// How to judge a field.
#[derive(Debug, Clone)]
pub struct Judging<'a> {
    /// The task, for the report.
    pub task: Option<&'a str>,
    /// What is resampled: `session`, a column, or `item`.
    pub cluster: &'a str,
    /// How to resample.
    pub resampling: Resampling,
    /// What items are grouped by, and the group of each item that has one.
    pub groups: Option<(&'a str, &'a HashMap<String, String>)>,
    /// How much worse than a human a model may be in the alternative annotator test.
    pub epsilon: f64,
}

/// One field's agreement with what stands around it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct JudgedField {
    /// Agreement over all items.
    #[serde(flatten)]
    pub agreement: FieldAgreement,
    /// Agreement within groups of items, where they were asked for.
    pub groups: Option<Groups>,
    /// Agreement with the reference, weighted by 1/π, where the gold was drawn with unequal probabilities; by model.
    pub weighted: Vec<Weighted>,
    /// How far a model agrees with itself, by model with several samples.
    pub self_consistency: Vec<SelfConsistency>,
    /// What a model's confidence is worth, by model that has one.
    pub calibration: Vec<Calibration>,
    /// Whether a model could stand in for one of the humans (alternative annotator test), by model.
    pub alternative_annotator: Vec<StandIn>,
    /// How often each rater gave a label that the codebook counts as no answer.
    pub non_answers: BTreeMap<String, BTreeMap<String, usize>>,
}

/// A model's weighted agreement.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Weighted {
    /// The model.
    pub rater: String,
    /// The figures.
    #[serde(flatten)]
    pub figures: WeightedAgreement,
}

/// The models' places in the ratings: everyone but the reference and humans.
fn models(field: &FieldRatings) -> Vec<usize> {
    let ratings = &field.ratings;
    let is_model = |name: &String| Some(name) != field.reference.as_ref() && !field.humans.contains(name);
    (0..ratings.raters().len()).filter(|&rater| is_model(&ratings.raters()[rater])).collect()
}

/// Everything about a field.
///
/// # Errors
/// [`AgreementError`] for a rater or a collapse that is not there.
pub fn judge(field: &FieldRatings, judging: &Judging<'_>) -> Result<JudgedField, AgreementError> {
    let mut agreement = field.agreement(judging.task, judging.cluster, judging.resampling)?;
    let weighted = weighted(field, judging);
    if let Some(first) = weighted.first() {
        agreement.warnings.push(format!(
            "the gold was drawn with unequal probabilities: kappas and shares of the {} items are theirs alone; those of what they were drawn from \
             weight each by 1/π ({:.0} equally weighted items' worth)",
            first.figures.items, first.figures.effective_items
        ));
    }
    for (rater, labels) in &field.non_answers {
        for (label, count) in labels {
            agreement
                .warnings
                .push(format!("{rater} gave '{label}' {count} times, which the codebook counts as no answer"));
        }
    }
    let resampling = judging.resampling;
    Ok(JudgedField {
        groups: judging.groups.map(|(by, groups)| by_groups(field, judging, by, groups)).transpose()?,
        weighted,
        self_consistency: (field.runs.iter())
            .filter_map(|run| consistency::self_consistency(&run.rater, run.samples.as_ref()?, resampling))
            .collect(),
        calibration: field.runs.iter().filter_map(|run| calibration_of(field, run, judging)).collect(),
        alternative_annotator: stand_in::stand_ins(field, &agreement, judging.epsilon),
        non_answers: field.non_answers.clone(),
        agreement,
    })
}

fn calibration_of(field: &FieldRatings, run: &RunAnswers, judging: &Judging<'_>) -> Option<Calibration> {
    let (source, confidence) = run.confidence.as_ref()?;
    let ratings = &field.ratings;
    let (gold, model) = (ratings.rater(field.reference.as_deref()?)?, ratings.rater(&run.rater)?);
    calibration::calibration(ratings, (gold, model), *source, confidence, judging.resampling)
}

/// Pairs of the reference and a model on labels, weighted by 1/π.
fn weighted(field: &FieldRatings, judging: &Judging<'_>) -> Vec<Weighted> {
    let ratings = &field.ratings;
    let (Some(probabilities), Some(reference)) =
        (&field.probabilities, field.reference.as_deref().and_then(|name| ratings.rater(name)))
    else {
        return vec![];
    };
    if ratings.level() == Level::Interval {
        return vec![];
    }
    let unit = if ratings.clustered() { "cluster" } else { "item" };
    let of = |model: usize| {
        let row = |item: usize| match (ratings.cell(item, reference), ratings.cell(item, model)) {
            (Cell::Label(a), Cell::Label(b)) => {
                let weight = 1.0 / probabilities.get(&ratings.items()[item])?;
                Some(WeightedRow { cluster: ratings.cluster(item), a, b, weight })
            }
            _ => None,
        };
        let rows: Vec<WeightedRow> = (0..ratings.items().len()).filter_map(row).collect();
        let figures = weighted_agreement(&rows, ratings.labels().len(), unit, judging.resampling);
        Weighted { rater: ratings.raters()[model].clone(), figures }
    };
    models(field).into_iter().map(of).collect()
}

/// An item's place by its name.
pub(crate) fn places(ratings: &Ratings) -> HashMap<&str, usize> {
    ratings.items().iter().enumerate().map(|(place, item)| (item.as_str(), place)).collect()
}
