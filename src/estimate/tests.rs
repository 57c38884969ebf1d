//! Numbers of reference implementations (ppi-python 0.2.3, statsmodels 0.15) on scores made by whole numbers.

use super::correct::{Correction, Design, Labelled, difference};
use super::poststratified::Target;
use super::sessions::ScoreUnit;
use super::*;
use crate::agreement::interval::Resampling;
use misclassification::{BinaryCounts, invert, rogan_gladen};
use ppi::{Convention, Lambda, Parts, RegressionParts};

struct Scores {
    x: Vec<f64>,
    score: Vec<f64>,
    guess: Vec<f64>,
}

const UNITS: usize = 300;

fn scores() -> Scores {
    let x: Vec<f64> = (0..UNITS).map(|i| (i * 37 % 101) as f64 / 50.0 - 1.0).collect();
    let score: Vec<f64> = (0..UNITS).map(|i| 20.0 + (i * 53 % 41) as f64 + 12.0 * x[i]).collect();
    let guess = (0..UNITS).map(|i| 0.7 * score[i] + 10.0 + (i * 29 % 23) as f64 - 5.0 * x[i]).collect();
    Scores { x, score, guess }
}

fn is_gold(i: usize) -> bool {
    i.is_multiple_of(5)
}

impl Scores {
    fn gold(&self) -> Vec<(f64, f64)> {
        (0..UNITS).filter(|i| is_gold(*i)).map(|i| (self.score[i], self.guess[i])).collect()
    }

    fn rest(&self) -> Vec<f64> {
        (0..UNITS).filter(|i| !is_gold(*i)).map(|i| self.guess[i]).collect()
    }

    fn units(&self) -> Vec<design::Unit> {
        (0..UNITS)
            .map(|i| design::Unit {
                guess: self.guess[i],
                gold: is_gold(i).then_some(self.score[i]),
                probability: if i.is_multiple_of(2) { 0.3 } else { 0.15 },
                cluster: i / 7,
            })
            .collect()
    }

    fn covariates(&self, wanted: impl Fn(usize) -> bool) -> Vec<Vec<f64>> {
        (0..UNITS).filter(|i| wanted(*i)).map(|i| vec![1.0, self.x[i]]).collect()
    }
}

#[track_caller]
fn near(got: f64, expected: f64) {
    assert!((got - expected).abs() < 1e-9 * expected.abs().max(1.0), "{got}, expected {expected}");
}

#[test]
fn means_are_those_of_the_reference_implementation() {
    let scores = scores();
    let (gold, rest) = (scores.gold(), scores.rest());
    let parts = Parts { gold: &gold, rest: &rest };
    for (lambda, estimate, low, high) in [
        (Lambda::Tuned, 40.30230822203645, 37.736882594907684, 42.86773384916522),
        (Lambda::Fixed(1.0), 40.24085, 37.61679654964715, 42.864903450352855),
        (Lambda::Fixed(0.0), 40.53933333333334, 36.96348398212004, 44.11518268454664),
    ] {
        let found = ppi::mean(parts, lambda, Convention::Asymptotic, 0.05).unwrap();
        near(found.estimate, estimate);
        near(found.low, low);
        near(found.high, high);
        let small = ppi::mean(parts, lambda, Convention::SmallSample, 0.05).unwrap();
        assert!(small.low < found.low && small.estimate == found.estimate);
    }
    let weight = |i: usize| 1.0 + (i % 4) as f64 * 0.5;
    let of = |wanted: bool| (0..UNITS).filter(|i| is_gold(*i) == wanted).map(weight).collect::<Vec<f64>>();
    for (lambda, estimate, low, high) in [
        (Lambda::Tuned, 40.32179729287346, 37.65448435598454, 42.98911022976238),
        (Lambda::Fixed(1.0), 40.26126190476191, 37.2367917688669, 43.28573204065692),
    ] {
        let found = ppi::weighted_mean(parts, (&of(true), &of(false)), lambda, 0.1).unwrap();
        near(found.estimate, estimate);
        near(found.low, low);
        near(found.high, high);
    }
}

#[test]
fn regressions_are_those_of_the_reference_implementation() {
    let scores = scores();
    let (gold, rest) = (scores.gold(), scores.rest());
    let (gold_x, rest_x) = (scores.covariates(is_gold), scores.covariates(|i| !is_gold(i)));
    let parts = RegressionParts { gold_x: &gold_x, gold: &gold, rest_x: &rest_x, rest: &rest };
    for (lambda, slope, low, high) in [
        (1.0, 10.466509041246919, 4.331212808011278, 16.601805274482558),
        (0.5, 11.674724166688797, 6.8967509767205994, 16.452697356656994),
        (0.0, 12.882939292130676, 7.6342274201096405, 18.131651164151712),
    ] {
        let found = ppi::regression(parts, Lambda::Fixed(lambda), 0.05).unwrap();
        near(found.estimates[1], slope);
        near(found.intervals[1].0, low);
        near(found.intervals[1].1, high);
    }
    let tuned = ppi::regression(parts, Lambda::Tuned, 0.05).unwrap();
    near(tuned.estimates[0], 39.956042686058446);
    near(tuned.estimates[1], 11.933283315034766);
    let twice = ppi::regression_lambda(parts, tuned.lambda).unwrap();
    let found = ppi::regression(parts, Lambda::Fixed(twice), 0.05).unwrap();
    near(found.intervals[1].0, 7.252684398371775);
    near(found.intervals[1].1, 16.68514493250536);
}

#[test]
fn estimates_by_design_are_regressions_of_the_pseudo_outcomes() {
    let scores = scores();
    let found = design::mean(&scores.units()).unwrap();
    near(found.estimate, 39.69027999999999);
    near(found.se, 1.8440873616142353);
    near(found.se_cluster.unwrap(), 1.355542813494493);
    near(found.naive_model, 48.90708);
    near(found.naive_gold, 40.53933333333334);
    near(found.hajek_gold, 39.74400000000001);
    assert_eq!((found.clusters, found.gold), (43, 60));
    let fit = design::regression(&scores.units(), &scores.covariates(|_| true)).unwrap();
    near(fit.coefficients[0], 39.71404695750133);
    near(fit.coefficients[1], 11.140761328760762);
    near(fit.hc0[1], 3.278635296095034);
    near(fit.cluster.unwrap()[1], 3.222793972720019);
}

#[test]
fn a_confusion_matrix_is_inverted_and_a_useless_one_refused() {
    let labels = ["a", "b", "c"].map(str::to_owned);
    let counts = vec![vec![80.0, 15.0, 5.0], vec![10.0, 70.0, 20.0], vec![5.0, 25.0, 70.0]];
    let truth = [0.2, 0.5, 0.3];
    let seen: Vec<f64> = (0..3).map(|k| (0..3).map(|j| truth[j] * counts[j][k] / 100.0).sum()).collect();
    let found = invert(&counts, &seen, &labels).unwrap();
    found.unclipped.iter().zip(truth).for_each(|(got, wanted)| near(*got, wanted));
    assert!((found.condition - 2.1514570210792074).abs() < 1e-7);
    assert_eq!(found.projected.len(), 3);
    let counts = vec![vec![1.0, 1.0, 0.0], vec![1.0, 1.0, 0.0], vec![0.0, 0.0, 1.0]];
    assert!(matches!(invert(&counts, &seen, &labels), Err(NoCorrection::IllConditioned { .. })));
    let counts = vec![vec![1.0, 1.0, 0.0], vec![0.0; 3], vec![0.0, 0.0, 1.0]];
    assert_eq!(invert(&counts, &seen, &labels), Err(NoCorrection::NoGoldOfLabel { label: "b".to_owned() }));
}

#[test]
fn what_is_undefined_says_why() {
    let counts = BinaryCounts { hits: 5.0, positive: 10.0, rejections: 5.0, negative: 10.0, flagged: 4.0, units: 9.0 };
    assert_eq!(rogan_gladen(counts, 0.05), Err(NoCorrection::NotInformative { informedness: 0.0 }));
    let none = BinaryCounts { hits: 0.0, positive: 0.0, ..counts };
    assert!(matches!(rogan_gladen(none, 0.05), Err(NoCorrection::NoGoldOfLabel { .. })));
    let mean = |gold: &[(f64, f64)], rest: &[f64]| {
        ppi::mean(Parts { gold, rest }, Lambda::Tuned, Convention::SmallSample, 0.05)
    };
    assert_eq!(mean(&[], &[1.0]), Err(NoCorrection::NoGold));
    assert_eq!(mean(&[(1.0, 1.0)], &[1.0, 2.0]), Err(NoCorrection::TooFewGold { gold: 1, needed: 2 }));
    assert_eq!(mean(&[(1.0, 1.0)], &[]), Err(NoCorrection::NothingElse));
    // A model that always says the same is worth nothing, not infinitely much.
    assert_eq!(mean(&[(1.0, 3.0), (2.0, 3.0)], &[3.0, 3.0]).map(|found| found.lambda), Ok(0.0));
    let unknown = design::Unit { guess: 0.0, gold: Some(1.0), probability: 0.0, cluster: 0 };
    assert_eq!(design::mean(&[unknown, unknown]), Err(NoCorrection::NoProbability));
}

fn correction(design: Design) -> Correction<'static> {
    Correction { design, strata: &[], target: Target::Population, resampling: Resampling { replicates: 2000, seed: 1 } }
}

/// Single units: (model's label, gold's, how many).
fn labelled(cells: &[(usize, Option<usize>, usize)]) -> Vec<Labelled> {
    let each = cells.iter().flat_map(|&(model, gold, count)| std::iter::repeat_n((model, gold), count));
    each.enumerate()
        .map(|(session, (model, gold))| Labelled { session, model, gold, probability: gold.map(|_| 0.1), stratum: 0 })
        .collect()
}

#[test]
fn without_an_error_in_gold_there_is_no_normal_interval_but_a_posterior() {
    let units = labelled(&[(0, Some(0), 10), (1, Some(1), 40), (0, None, 100), (1, None, 350)]);
    let unequal = correction(Design::UnequalProbability).share(&units, 0, 2, 0);
    assert_eq!((unequal.gold_errors, unequal.corrected.low), (0, None));
    let reason = unequal.corrected.undefined.unwrap();
    assert!(reason.contains("gold and model differ on 0 gold units, fewer than 5"), "{reason}");
    let alike = correction(Design::EqualProbability).share(&units, 0, 2, 0);
    near(alike.corrected.value.unwrap(), 0.22);
    let (low, high) = (alike.corrected.low.unwrap(), alike.corrected.high.unwrap());
    assert!(low < 0.21 && high > 0.24 && high - low > 0.05, "{low} {high}");
    let scores: Vec<ScoreUnit> = units
        .iter()
        .map(|u| ScoreUnit { session: u.session, guess: u.model as f64, gold: u.gold.map(|g| g as f64), stratum: 0 })
        .collect();
    assert_eq!(correction(Design::EqualProbability).mean(&scores, &[]).corrected.low, None);
}

#[test]
fn a_label_of_the_model_without_gold_is_said_to_be_unknown() {
    let units = labelled(&[(0, None, 20), (1, Some(1), 30), (1, Some(0), 6), (1, None, 144)]);
    let found = correction(Design::EqualProbability).share(&units, 0, 2, 0);
    near(found.corrected.value.unwrap(), 0.1 * 0.5 + 0.9 * 6.0 / 36.0);
    assert!(
        found.warnings[0].starts_with("20 units that the model gave this label, and no gold on any of them"),
        "{:?}",
        found.warnings
    );
    assert!(found.corrected.high.unwrap() - found.corrected.low.unwrap() > 0.15);
    let labels = ["a", "b"].map(str::to_owned);
    let counts = poststratified::Counts { gold: vec![vec![0.0, 0.0], vec![6.0, 30.0]], all: vec![20.0, 180.0] };
    assert_eq!(poststratified::shares(&counts, &labels), Err(NoCorrection::LabelWithoutGold { label: "a".to_owned() }));
}

#[test]
fn gold_of_few_sessions_gives_a_number_without_an_interval() {
    let mut units = labelled(&[(0, Some(0), 20), (0, Some(1), 10), (1, Some(1), 30), (0, None, 100), (1, None, 100)]);
    units.iter_mut().for_each(|unit| unit.session = if unit.gold.is_some() { unit.session % 4 } else { unit.session });
    let found = correction(Design::EqualProbability).share(&units, 0, 2, 0);
    assert_eq!((found.gold_sessions, found.corrected.low), (4, None));
    assert_eq!(found.corrected.undefined.as_deref(), Some("no interval: gold is of 4 sessions, at least 5 are needed"));
    let other = correction(Design::EqualProbability).share(&labelled(&[(0, Some(0), 20), (1, Some(1), 20)]), 0, 2, 1);
    let (raw, between) = difference(&found, &other);
    assert!(raw.is_some() && between.value.is_some() && between.low.is_none(), "{between:?}");
    let none = correction(Design::EqualProbability).share(&labelled(&[(0, None, 20)]), 0, 2, 0);
    assert_eq!((none.corrected.value, none.raw), (None, Some(1.0)));
    assert_eq!(difference(&found, &none).1.value, None);
}

#[test]
fn where_all_units_are_gold_and_no_others_are_meant_nothing_is_left_to_estimate() {
    let units = labelled(&[(0, Some(0), 20), (0, Some(1), 10), (1, Some(1), 30)]);
    let these = Correction { target: Target::TheseUnits, ..correction(Design::EqualProbability) };
    let found = these.share(&units, 0, 2, 0).corrected;
    assert!(found.low == found.high && (found.value.unwrap() - 1.0 / 3.0).abs() < 1e-12, "{found:?}");
}
