//! What a model's confidence is worth, on the units that have gold: is what it is 80 % sure of right in 80 % of cases, and does it know which of its
//! answers are wrong?

use super::places;
use crate::agreement::cluster_sums::{ClusterSums, Statistic, SummedSample};
use crate::agreement::estimate::{Estimate, Undefined};
use crate::agreement::interval::{Resampled, Resampling};
use crate::agreement::ratings::{Cell, Ratings};
use crate::confidence::Judged;
use crate::confidence::calibration::{
    Bin, Binning, FEWEST_FOR_ERROR, area_under_curve, calibration_error, log_loss, reliability,
};
use crate::confidence::coverage::{Accepted, Routing, area_under_risk, risk_at};
use crate::evaluation::ConfidenceSource;
use serde::Serialize;
use std::collections::HashMap;

/// Bins of the reliability table.
const BINS: usize = 10;

/// A model's calibration.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Calibration {
    /// The model.
    pub rater: String,
    /// Where its confidence comes from.
    pub source: ConfidenceSource,
    /// Units with gold, an answer and a confidence.
    pub items: usize,
    /// Share of right answers.
    pub accuracy: Estimate,
    /// Mean confidence less that share: above 0, it is surer than it is right.
    pub overconfidence: Estimate,
    /// Mean of (confidence − right)².
    pub brier: Estimate,
    /// Mean of −ln of the probability given to what happened.
    pub log_loss: Option<f64>,
    /// How often a right answer is surer than a wrong one; .5 says nothing. None unless there are both.
    pub auroc_correct: Option<f64>,
    /// Expected calibration error in 10 bins of equal width; none below 200 units, where it says more about the bins.
    pub expected_calibration_error: Option<f64>,
    /// The reliability table: one row a bin that holds units.
    pub reliability: Vec<Bin>,
    /// Mean error rate of the surest units over all coverages.
    pub aurc: Option<f64>,
    /// Error rate of the surer half.
    pub risk_at_coverage_50: Option<f64>,
    /// The largest part of the units, the surest ones, whose error rate stays below 5 % with a certainty of 95 % over all lines tried; the rest is
    /// for humans. None if there is no such part. Chosen on these units: verify it on others.
    pub routing: Option<Accepted>,
    /// What to know about it.
    pub warnings: Vec<String>,
}

/// The calibration of one model. None without a unit that has all three: gold, answer, confidence.
pub fn calibration(
    ratings: &Ratings,
    (gold, model): (usize, usize),
    source: ConfidenceSource,
    confidence: &HashMap<String, f64>,
    resampling: Resampling,
) -> Option<Calibration> {
    let places = places(ratings);
    let mut rows: Vec<(usize, Judged)> = (confidence.iter())
        .filter_map(|(unit, &confidence)| {
            let item = *places.get(unit.as_str())?;
            match (ratings.cell(item, gold), ratings.cell(item, model)) {
                (Cell::Label(gold), Cell::Label(given)) => {
                    Some((item, Judged { confidence, right: gold == given, weight: 1.0 }))
                }
                _ => None,
            }
        })
        .collect();
    rows.sort_by_key(|(item, _)| *item);
    if rows.is_empty() {
        return None;
    }
    let judged: Vec<Judged> = rows.iter().map(|(_, judged)| *judged).collect();
    let entries = rows.iter().flat_map(|(item, judged)| {
        let (right, cluster) = (f64::from(judged.right), ratings.cluster(*item));
        let parts = [1.0, right, judged.confidence - right, (judged.confidence - right).powi(2)];
        parts.into_iter().enumerate().map(move |(place, amount)| (cluster, place, amount))
    });
    let mean = |place: usize| -> Box<dyn Statistic> {
        Box::new(move |sums: &[f64]| if sums[0] > 0.0 { Ok(sums[place] / sums[0]) } else { Err(Undefined::NoItems) })
    };
    let sample =
        SummedSample { sums: ClusterSums::new(4, entries.collect()), statistics: vec![mean(1), mean(2), mean(3)] };
    let resampled = Resampled::new(&sample, resampling);
    let unit = if ratings.clustered() { "cluster" } else { "item" };
    let enough = judged.len() >= FEWEST_FOR_ERROR;
    let mut warnings = vec![];
    if !enough {
        warnings.push(format!(
            "{} units are too few for a calibration error (at least {FEWEST_FOR_ERROR}); read the Brier score and the table",
            judged.len()
        ));
    }
    let one = judged[0].confidence;
    if judged.iter().all(|item| item.confidence == one) {
        warnings.push("it is always equally sure: its confidence tells right from wrong in no way".to_owned());
    }
    Some(Calibration {
        rater: ratings.raters()[model].clone(),
        source,
        items: judged.len(),
        accuracy: resampled.estimate(0, unit),
        overconfidence: resampled.estimate(1, unit),
        brier: resampled.estimate(2, unit),
        log_loss: log_loss(&judged),
        auroc_correct: area_under_curve(&judged),
        expected_calibration_error: calibration_error(&judged, BINS, Binning::EqualWidth).filter(|_| enough),
        reliability: reliability(&judged, BINS, Binning::EqualWidth),
        aurc: area_under_risk(&judged),
        risk_at_coverage_50: risk_at(&judged, 0.5),
        routing: Routing { target: 0.05, alpha: 0.05, thresholds: 20 }.line(&judged),
        warnings,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agreement::{Answer, Level, RatingsBuilder};

    #[test]
    fn overconfidence_is_confidence_less_accuracy() {
        let mut builder = RatingsBuilder::new(Level::Nominal);
        let mut confidence = HashMap::new();
        for item in 0..20 {
            let id = item.to_string();
            builder.push(&id, "gold", Answer::Text("a".to_owned())).unwrap();
            let given = if item % 4 == 0 { "b" } else { "a" };
            builder.push(&id, "m", Answer::Text(given.to_owned())).unwrap();
            confidence.insert(id, if item % 2 == 0 { 0.8 } else { 1.0 });
        }
        confidence.insert("elsewhere".to_owned(), 0.1);
        let ratings = builder.finish().unwrap();
        let resampling = Resampling { replicates: 200, seed: 1 };
        let found = calibration(&ratings, (0, 1), ConfidenceSource::Stated, &confidence, resampling).unwrap();
        assert_eq!(found.items, 20);
        assert!((found.accuracy.value.unwrap() - 0.75).abs() < 1e-12);
        assert!((found.overconfidence.value.unwrap() - 0.15).abs() < 1e-12);
        assert!((found.brier.value.unwrap() - (5.0 * 0.64 + 5.0 * 0.04) / 20.0).abs() < 1e-12);
        // Wrong items all have .8; of the 15 right ones 10 have 1 and 5 have .8.
        assert!((found.auroc_correct.unwrap() - (10.0 + 2.5) / 15.0).abs() < 1e-12);
        assert_eq!(found.expected_calibration_error, None);
        assert_eq!(found.reliability.len(), 2);
        assert!(found.warnings[0].contains("20 units are too few"));
    }
}
