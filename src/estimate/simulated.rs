//! Coverage on made corpora whose truth is known: how often the 95 % interval holds it.

use super::correct::{Corrected, Correction, Design, Labelled};
use super::draw::Draws;
use super::poststratified::Target;
use super::sessions::ScoreUnit;
use crate::agreement::interval::Resampling;

const CORPORA: u64 = 200;

fn correction(design: Design, seed: u64) -> Correction {
    Correction { design, target: Target::Population, resampling: Resampling { replicates: 200, seed } }
}

/// Part of the corpora whose interval holds the truth, and the mean distance of the estimate from it.
fn coverage(truth: f64, one: impl Fn(u64) -> Corrected + Sync) -> (f64, f64) {
    use rayon::prelude::*;
    let found: Vec<(bool, f64)> = (0..CORPORA)
        .into_par_iter()
        .map(|seed| {
            let found = one(seed).corrected;
            let (low, high) = (found.low.unwrap_or(f64::NAN), found.high.unwrap_or(f64::NAN));
            (low <= truth && truth <= high, found.value.unwrap_or(f64::NAN) - truth)
        })
        .collect();
    let part = found.iter().filter(|(held, _)| *held).count() as f64 / CORPORA as f64;
    (part, found.iter().map(|(_, off)| off).sum::<f64>() / CORPORA as f64)
}

#[track_caller]
fn covers((part, bias): (f64, f64), most_bias: f64) {
    println!("covers {:.1} %, off by {bias:.4}", 100.0 * part);
    assert!((0.92..=0.985).contains(&part), "covers {:.1} %", 100.0 * part);
    assert!(bias.abs() < most_bias, "off by {bias:.4} on average");
}

/// Units that stand alone: label 0 with probability `share`, found with sensitivity and specificity.
fn alone(draws: &mut Draws, n: usize, share: f64, (se, sp): (f64, f64)) -> Vec<Labelled> {
    (0..n)
        .map(|session| {
            let is = draws.uniform() < share;
            let says = if is { draws.uniform() < se } else { draws.uniform() >= sp };
            Labelled { session, model: usize::from(!says), gold: Some(usize::from(!is)), probability: None }
        })
        .collect()
}

/// Keeps gold on the first `n` units, which came in no order.
fn with_gold(mut units: Vec<Labelled>, n: usize) -> Vec<Labelled> {
    units[n..].iter_mut().for_each(|unit| unit.gold = None);
    units
}

#[test]
fn shares_of_single_units_are_covered_also_rare_ones_with_hardly_an_error_in_gold() {
    for (share, rates, n) in [(0.3, (0.85, 0.9), 50), (0.05, (0.8, 0.97), 100)] {
        let found = coverage(share, |seed| {
            let mut draws = Draws::new(seed, 17);
            let units = with_gold(alone(&mut draws, 500, share, rates), n);
            correction(Design::EqualProbability, seed).share(&units, 0, 2, 0)
        });
        covers(found, 0.02);
    }
}

/// Sessions of four to twelve prompts, with label mix and accuracy of their own; gold on all prompts of the first `gold` sessions.
fn in_sessions(seed: u64, sessions: usize, gold: usize) -> Vec<Labelled> {
    let mut draws = Draws::new(seed, 23);
    let mut units = vec![];
    for session in 0..sessions {
        let mix = draws.dirichlet(&[1.2, 2.8])[0];
        let wrong = draws.dirichlet(&[1.0, 4.0])[0];
        for _ in 0..4 + draws.below(9) {
            let is = draws.uniform() < mix;
            // Errors go one way mostly, so that raw shares are wrong.
            let errs = draws.uniform() < if is { 0.3 * wrong } else { 1.2 * wrong };
            let gold = (session < gold).then_some(usize::from(!is));
            units.push(Labelled { session, model: usize::from(is == errs), gold, probability: None });
        }
    }
    units
}

#[test]
fn shares_of_units_in_sessions_are_covered_where_whole_sessions_are_gold() {
    // Length and mix of a session are independent, so the share is the mean of the mix.
    let share = |seed| correction(Design::EqualProbability, seed).share(&in_sessions(seed, 100, 30), 0, 2, 0);
    covers(coverage(0.3, share), 0.01);
    let raw = (0..20).map(|seed| share(seed).raw.unwrap()).sum::<f64>() / 20.0;
    assert!(raw > 0.4, "the raw share is to be wrong here: {raw}");
}

#[test]
fn means_of_scores_are_covered_alone_and_in_sessions() {
    let made = |seed: u64, of_session: f64| {
        let mut draws = Draws::new(seed, 29);
        (0..600)
            .map(|at| (at / 6, draws.normal()))
            .scan((usize::MAX, 0.0), |(session, shift), (at, noise)| {
                if *session != at {
                    (*session, *shift) = (at, of_session * noise);
                }
                Some((at, *shift))
            })
            .collect::<Vec<(usize, f64)>>()
            .into_iter()
            .map(|(session, shift)| {
                let score = 60.0 + shift + 12.0 * draws.normal();
                (session, score, 25.0 + 0.7 * score + 0.5 * shift + 6.0 * draws.normal())
            })
            .collect::<Vec<_>>()
    };
    let correct = |seed: u64, of_session: f64| {
        let rows: Vec<ScoreUnit> = (made(seed, of_session).into_iter().enumerate())
            .map(|(at, (session, score, guess))| {
                let session = if of_session > 0.0 { session } else { at };
                ScoreUnit { session, guess, gold: (at < 150).then_some(score) }
            })
            .collect();
        correction(Design::EqualProbability, seed).mean(&rows, &[])
    };
    covers(coverage(60.0, |seed| correct(seed, 0.0)), 0.5);
    covers(coverage(60.0, |seed| correct(seed, 10.0)), 0.5);
}

#[test]
fn gold_drawn_where_the_model_is_unsure_is_right_only_by_its_probabilities() {
    let made = |seed: u64| -> Vec<Labelled> {
        let mut draws = Draws::new(seed, 31);
        (0..600)
            .map(|session| {
                let hard = draws.uniform() < 0.3;
                let is = draws.uniform() < if hard { 0.6 } else { 0.2 };
                let errs = draws.uniform() < if hard { 0.4 } else { 0.05 };
                let probability = if hard { 0.4 } else { 0.08 };
                let gold = (draws.uniform() < probability).then_some(usize::from(!is));
                Labelled { session, model: usize::from(is == errs), gold, probability: Some(probability) }
            })
            .collect()
    };
    let truth = 0.3 * 0.6 + 0.7 * 0.2;
    covers(coverage(truth, |seed| correction(Design::UnequalProbability, seed).share(&made(seed), 0, 2, 0)), 0.01);
    let (part, bias) = coverage(truth, |seed| correction(Design::EqualProbability, seed).share(&made(seed), 0, 2, 0));
    assert!(part < 0.9 && bias > 0.02, "taken as drawn alike it is to be wrong: {part} {bias}");
}

#[test]
fn gold_of_other_units_corrects_for_a_shift_that_gold_of_a_part_would_not() {
    let rates = (0.85, 0.9);
    let found = coverage(0.2, |seed| {
        let mut draws = Draws::new(seed, 37);
        let elsewhere = alone(&mut draws, 150, 0.5, rates);
        let here = alone(&mut draws, 1000, 0.2, rates);
        correction(Design::OtherUnits, seed).share_from_elsewhere(&here, 0, &elsewhere)
    });
    covers(found, 0.02);
}

#[test]
fn differences_of_groups_are_covered() {
    use rayon::prelude::*;
    let held = (0..CORPORA).into_par_iter().filter(|seed| {
        let mut draws = Draws::new(*seed, 41);
        let correction = correction(Design::EqualProbability, *seed);
        let a = with_gold(alone(&mut draws, 600, 0.25, (0.9, 0.9)), 60);
        let b = with_gold(alone(&mut draws, 600, 0.45, (0.6, 0.95)), 60);
        let (a, b) = (correction.share(&a, 0, 2, 0), correction.share(&b, 0, 2, 1));
        let (_, found) = super::correct::difference(&a, &b);
        found.low.unwrap() <= 0.2 && 0.2 <= found.high.unwrap()
    });
    let part = held.count() as f64 / CORPORA as f64;
    assert!((0.92..=0.985).contains(&part), "covers {part}");
}
