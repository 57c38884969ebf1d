//! What a run's confidence is worth on units with gold: of what it says of itself (a field `confidence`), and of the share of samples that
//! voted for the answer.

use super::RunView;
use crate::agreement::ratings::{Answer, Level};
use crate::codebook::{Codebook, FieldKind};
use crate::confidence::Judged;
use crate::confidence::calibration::{
    Bin, Binning, FEWEST_FOR_ERROR, accuracy, area_under_curve, brier, calibration_error, reliability,
};
use crate::evaluation::Column;
use crate::gold::{Gold, GoldRow, Split};
use crate::run::vote::Voting;
use serde::Serialize;
use serde_json::Value;
use std::collections::HashMap;

/// Bins of a reliability diagram, of equal width.
const BINS: usize = 10;

/// The field in which raters say how sure they are.
pub(super) const FIELD: &str = "confidence";

/// A run's confidence on one field.
#[derive(Debug, Serialize)]
pub struct ConfidencePlot {
    /// The run.
    pub run: String,
    /// Its rater.
    pub rater: String,
    /// The field whose answers are right or wrong.
    pub field: String,
    /// Where the confidence comes from.
    pub source: String,
    /// Units with gold and a confidence.
    pub items: usize,
    /// Share of right answers.
    pub accuracy: Option<f64>,
    /// Mean squared distance of confidence and outcome.
    pub brier: Option<f64>,
    /// Expected calibration error over ten bins of equal width.
    pub calibration_error: Option<f64>,
    /// How often a right answer is surer than a wrong one.
    pub area_under_curve: Option<f64>,
    /// The bins that hold units.
    pub bins: Vec<Bin>,
    /// What to know about it.
    pub warnings: Vec<String>,
}

/// The plots of all runs.
pub(crate) fn plots(
    codebook: &Codebook,
    gold: Option<&Gold>,
    split: Option<Split>,
    views: &[RunView<'_>],
    voting: &Voting,
) -> Vec<ConfidencePlot> {
    let Some(gold) = gold else { return vec![] };
    let rows: HashMap<&str, &GoldRow> = (gold.adjudicated())
        .filter(|row| split.is_none() || row.split == split)
        .map(|row| (row.unit.as_str(), row))
        .collect();
    let columns: Vec<Column> =
        Column::of(codebook).into_iter().filter(|column| column.level != Level::Interval).collect();
    let mut plots = vec![];
    for view in views {
        if let (Some(column), Some(scale)) = (columns.first(), stated_scale(codebook)) {
            let judged = judge(view, column, &rows, |at| scale(view.rows[at].fields.get(FIELD)?));
            plots.extend(plot(view, column, format!("its field `{FIELD}`"), &judged));
        }
        let Some(votes) = &view.votes else { continue };
        for (place, voted) in voting.columns().iter().enumerate().filter(|(_, voted)| voted.is_share()) {
            let Some(column) = columns.iter().find(|column| column.name == voted.name()) else { continue };
            let judged = judge(view, column, &rows, |at| votes[at].agreement[place].share);
            let samples = view.run.manifest.settings.samples;
            plots.extend(plot(view, column, format!("the share of {samples} samples that agree"), &judged));
        }
    }
    plots
}

/// How a stated confidence becomes a number from 0 to 1, if the codebook asks for one.
pub(super) fn stated_scale(codebook: &Codebook) -> Option<impl Fn(&Value) -> Option<f64> + use<>> {
    let (low, high) = match &codebook.field(FIELD)?.kind {
        FieldKind::Score(score) => (score.min as f64, score.max as f64),
        FieldKind::Number => (0.0, 1.0),
        _ => return None,
    };
    Some(move |value: &Value| {
        let sure = (value.as_f64()? - low) / (high - low);
        (0.0..=1.0).contains(&sure).then_some(sure)
    })
}

fn judge(
    view: &RunView<'_>,
    column: &Column,
    gold: &HashMap<&str, &GoldRow>,
    confidence: impl Fn(usize) -> Option<f64>,
) -> Vec<Judged> {
    (view.rows.iter().enumerate())
        .filter(|(_, row)| row.status.is_answered())
        .filter_map(|(at, row)| {
            let wanted = column.answer(&gold.get(row.unit.as_str())?.fields);
            let given = column.answer(&row.fields);
            let both = wanted != Answer::Missing && given != Answer::Missing;
            Some(Judged { confidence: confidence(at)?, right: wanted == given, weight: 1.0 }).filter(|_| both)
        })
        .collect()
}

/// None where nothing was judged.
fn plot(view: &RunView<'_>, column: &Column, source: String, judged: &[Judged]) -> Option<ConfidencePlot> {
    if judged.is_empty() {
        return None;
    }
    let mut warnings = vec![];
    if judged.len() < FEWEST_FOR_ERROR {
        warnings.push(format!(
            "{} units: with fewer than {FEWEST_FOR_ERROR} the calibration error says more about the bins than about the model",
            judged.len()
        ));
    }
    Some(ConfidencePlot {
        run: view.run.manifest.run.clone(),
        rater: view.rater.to_owned(),
        field: column.name.clone(),
        source,
        items: judged.len(),
        accuracy: accuracy(judged),
        brier: brier(judged),
        calibration_error: calibration_error(judged, BINS, Binning::EqualWidth),
        area_under_curve: area_under_curve(judged),
        bins: reliability(judged, BINS, Binning::EqualWidth),
        warnings,
    })
}
