//! Coverage where gold was drawn by strata.

use super::*;

/// Strata by their part of the units, the share of the label there, sensitivity and specificity, and the gold that is expected of it.
type Strata = [(f64, f64, (f64, f64), f64); 3];

const UNITS: usize = 900;

const COMMON: Strata = [(0.7, 0.15, (0.9, 0.97), 40.0), (0.2, 0.5, (0.7, 0.8), 40.0), (0.1, 0.8, (0.8, 0.6), 30.0)];
const RARE: Strata = [(0.7, 0.02, (0.8, 0.99), 50.0), (0.2, 0.08, (0.7, 0.95), 50.0), (0.1, 0.25, (0.8, 0.85), 40.0)];

fn names() -> Vec<String> {
    ["easy", "hard", "odd"].map(str::to_owned).to_vec()
}

fn truth(strata: &Strata) -> f64 {
    strata.iter().map(|(part, share, ..)| part * share).sum()
}

fn made(seed: u64, strata: &Strata, of_session: usize) -> Vec<Labelled> {
    let mut draws = Draws::new(seed, 43);
    let parts: Vec<f64> = strata.iter().map(|(part, ..)| *part).collect();
    let mut mix = parts.clone();
    (0..UNITS)
        .map(|at| {
            if at % of_session == 0 && of_session > 1 {
                mix = draws.dirichlet(&parts.iter().map(|part| 4.0 * part).collect::<Vec<f64>>());
            }
            let stratum = stratum(&mut draws, &mix);
            let (_, share, (se, sp), _) = strata[stratum];
            let is = draws.uniform() < share;
            let says = if is { draws.uniform() < se } else { draws.uniform() >= sp };
            let (model, gold) = (usize::from(!says), Some(usize::from(!is)));
            Labelled { session: at / of_session, model, gold, probability: None, stratum }
        })
        .collect()
}

/// Keeps as much gold of each stratum as is expected.
fn drawn(seed: u64, mut units: Vec<Labelled>, strata: &Strata) -> Vec<Labelled> {
    let mut draws = Draws::new(seed, 61);
    for unit in &mut units {
        let (part, .., gold) = strata[unit.stratum];
        unit.gold = unit.gold.filter(|_| draws.uniform() < gold / (part * UNITS as f64));
    }
    units
}

/// Sessions of six whose mix of strata differs, if there are any.
fn stratum(draws: &mut Draws, mix: &[f64]) -> usize {
    let at = draws.uniform();
    if at < mix[0] { 0 } else { usize::from(at >= mix[0] + mix[1]) + 1 }
}

#[test]
fn shares_by_strata_are_covered() {
    let names = names();
    for (name, strata, of_session) in [("share", COMMON, 1), ("rare share", RARE, 1), ("share in sessions", COMMON, 6)]
    {
        let share = |correction: Correction<'_>, units: &[Labelled]| {
            let correction = Correction { strata: &names, ..correction };
            correction.share(units, 0, 2, 0)
        };
        let one =
            |seed| share(correction(Design::Stratified, seed), &drawn(seed, made(seed, &strata, of_session), &strata));
        covers(&format!("{name} by strata"), coverage_of(truth(&strata), one), 0.01);
        let found = coverage(|seed| {
            let all = made(seed, &strata, of_session);
            let truth = share_of(&all);
            (share(of_these(Design::Stratified, seed), &drawn(seed, all, &strata)).corrected, truth)
        });
        covers(&format!("{name} by strata, of these units"), found, 0.01);
    }
}

/// Scores in strata: three in four of the first are 0.
fn scores(seed: u64, of_session: f64) -> Vec<ScoreUnit> {
    let mut draws = Draws::new(seed, 47);
    let mut shift = 0.0;
    (0..UNITS)
        .map(|at| {
            if at % 6 == 0 {
                shift = of_session * draws.normal();
            }
            let session = if of_session > 0.0 { at / 6 } else { at };
            let stratum = stratum(&mut draws, &PARTS);
            let score = match stratum {
                0 if draws.uniform() < 0.75 => 0.0,
                0 => 60.0 + 20.0 * draws.normal(),
                1 => 50.0 + 20.0 * draws.normal(),
                _ => 80.0 + 8.0 * draws.normal(),
            } + shift;
            let guess = 10.0 + 0.8 * score + 0.5 * shift + [4.0, 12.0, 20.0][stratum] * draws.normal();
            ScoreUnit { session, guess, gold: Some(score), stratum }
        })
        .collect()
}

const PARTS: [f64; 3] = [0.7, 0.2, 0.1];

#[test]
fn means_by_strata_are_covered() {
    let names = names();
    let population = 0.7 * 0.25 * 60.0 + 0.2 * 50.0 + 0.1 * 80.0;
    for (of_session, gold) in [(0.0, 15.0), (0.0, 60.0), (8.0, 40.0)] {
        let made = |seed| {
            let all = scores(seed, of_session);
            let truth = all.iter().filter_map(|unit| unit.gold).sum::<f64>() / all.len() as f64;
            let mut draws = Draws::new(seed, 67);
            let mut is_gold = |stratum: usize| draws.uniform() < gold / (PARTS[stratum] * UNITS as f64);
            let rows = all.into_iter().map(|row| ScoreUnit { gold: row.gold.filter(|_| is_gold(row.stratum)), ..row });
            (rows.collect::<Vec<ScoreUnit>>(), truth)
        };
        let name = format!("mean by strata, {gold:.0} gold units each, sessions differ by {of_session}");
        let mean = |correction: Correction<'_>, rows: &[ScoreUnit]| {
            let correction = Correction { strata: &names, ..correction };
            correction.mean(rows, &[])
        };
        let found = coverage_of(population, |seed| mean(correction(Design::Stratified, seed), &made(seed).0));
        covers(&name, found, 1.0);
        let found = coverage(|seed| {
            let (rows, truth) = made(seed);
            (mean(of_these(Design::Stratified, seed), &rows).corrected, truth)
        });
        covers(&format!("{name}, of these units"), found, 1.0);
    }
}
