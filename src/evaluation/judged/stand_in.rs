//! Whether a model could stand in for one of the humans: the alternative annotator test with what has to be known beside it. Passing does not make
//! the model's shares unbiased.

use super::models;
use crate::agreement::FieldAgreement;
use crate::agreement::estimate::Estimate;
use crate::agreement::field::PairFigures;
use crate::agreement::ratings::{Cell, Level};
use crate::comparison::alternative_annotator::{AlternativeAnnotator, PanelItem, Scoring};
use crate::evaluation::FieldRatings;
use serde::Serialize;

/// The grid of ε over which the verdict is shown.
const GRID: [f64; 7] = [0.0, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3];

/// The outcome for one model.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct StandIn {
    /// The model.
    pub rater: String,
    /// How much worse than a human it may be.
    pub epsilon: f64,
    /// ω: share of tested humans against whom it wins; none if nobody has items enough.
    pub winning_rate: Option<f64>,
    /// ω with p values by clusters.
    pub winning_rate_clustered: Option<f64>,
    /// ρ: mean over humans of the share of items on which it matches the others at least as well.
    pub advantage: Option<f64>,
    /// ω ≥ ½.
    pub passes: Option<bool>,
    /// One line a tested human.
    pub contests: Vec<HumanContest>,
    /// Humans with fewer than 30 items.
    pub skipped: Vec<String>,
    /// ω over a grid of ε.
    pub over_epsilon: Vec<(f64, Option<f64>)>,
    /// Mean kappa (ICC(A,1) of scores) of the model with the humans, whose lower end has to lie above 0.
    pub agreement_with_humans: Option<Estimate>,
    /// The label that the reference uses least, and the model's F1 on it.
    pub rarest_label: Option<(String, Option<f64>)>,
    /// What to know about it.
    pub warnings: Vec<String>,
}

/// One human against the model.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct HumanContest {
    /// The human.
    pub human: String,
    /// Items.
    pub items: usize,
    /// Share of items on which the model matches the others at least as well as this human.
    pub model_share: f64,
    /// Share of items on which this human does at least as well as the model.
    pub human_share: f64,
    /// One-sided p, items taken as independent as in the paper.
    pub p: f64,
    /// The same by clusters.
    pub p_clustered: Option<f64>,
}

/// The test of every model, where there are two humans or more.
pub(super) fn stand_ins(field: &FieldRatings, agreement: &FieldAgreement, epsilon: f64) -> Vec<StandIn> {
    let humans: Vec<usize> = field.humans.iter().filter_map(|human| field.ratings.rater(human)).collect();
    if humans.len() < 2 {
        return vec![];
    }
    models(field).into_iter().map(|model| stand_in(field, agreement, &humans, model, epsilon)).collect()
}

fn stand_in(field: &FieldRatings, agreement: &FieldAgreement, humans: &[usize], model: usize, epsilon: f64) -> StandIn {
    let ratings = &field.ratings;
    let answer = |item: usize, rater: usize| match ratings.cell(item, rater) {
        Cell::Label(label) => Some(label as f64),
        Cell::Number(number) => Some(number),
        _ => None,
    };
    let items: Vec<PanelItem> = (0..ratings.items().len())
        .map(|item| PanelItem {
            cluster: ratings.cluster(item),
            model: answer(item, model),
            humans: humans.iter().map(|&human| answer(item, human)).collect(),
        })
        .collect();
    let scoring = if ratings.level() == Level::Interval { Scoring::NegativeRootMeanSquare } else { Scoring::Accuracy };
    let test = AlternativeAnnotator { epsilon, scoring, ..AlternativeAnnotator::default() };
    let verdict = test.test(&items);
    let name = |human: usize| ratings.raters()[humans[human]].clone();
    let rater = &ratings.raters()[model];
    let with_humans = (agreement.human_ceiling.iter().flat_map(|ceiling| &ceiling.models))
        .find(|one| one.rater == *rater)
        .map(|one| one.mean_model_human.clone());
    let rarest_label = rarest(agreement, rater);
    let mut warnings = vec![];
    if humans.len() < 3 {
        warnings
            .push("with two humans the test only asks whom the model resembles; three or more are advised".to_owned());
    }
    if verdict.contests.is_empty() {
        warnings.push(format!(
            "no human has {} items shared with another and the model: nothing is tested",
            test.fewest_items
        ));
    }
    if verdict.passes == Some(true) {
        let agreement = with_humans.as_ref().and_then(|estimate| estimate.low.or(estimate.value));
        if agreement.is_none_or(|least| least <= 0.0) {
            warnings.push(
                "it passes, but its agreement with humans is not surely above chance: do not rely on it".to_owned(),
            );
        }
        if let Some((label, Some(f1))) = &rarest_label
            && *f1 < 0.4
        {
            warnings.push(format!(
                "it passes, but its F1 on the rare label '{label}' is {f1:.2}: where one label prevails, a model that always says it passes"
            ));
        }
    }
    StandIn {
        rater: rater.clone(),
        epsilon,
        winning_rate: verdict.winning_rate,
        winning_rate_clustered: verdict.winning_rate_clustered,
        advantage: verdict.advantage,
        passes: verdict.passes,
        skipped: verdict.skipped.iter().map(|&human| name(human)).collect(),
        contests: (verdict.contests.iter())
            .map(|contest| HumanContest {
                human: name(contest.human),
                items: contest.items,
                model_share: contest.model_share,
                human_share: contest.human_share,
                p: contest.p,
                p_clustered: contest.p_clustered,
            })
            .collect(),
        over_epsilon: if verdict.contests.is_empty() { vec![] } else { test.over(&GRID, &items) },
        agreement_with_humans: with_humans,
        rarest_label,
        warnings,
    }
}

/// The label that the first rater of a pair with the model used least, but used, with the model's F1.
fn rarest(agreement: &FieldAgreement, rater: &str) -> Option<(String, Option<f64>)> {
    let pair = agreement.pairs.iter().find(|pair| pair.kind.measures_a_model() && pair.b == rater)?;
    let PairFigures::Labels(figures) = &pair.figures else { return None };
    let used = figures.agreement.per_label.iter().filter(|label| label.support > 0);
    used.min_by_key(|label| label.support).map(|label| (label.label.clone(), label.f1))
}
