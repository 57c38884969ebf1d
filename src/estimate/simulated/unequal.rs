//! Coverage where gold was drawn with probabilities that differ: more where the model is unsure.

use super::*;

/// Units of which three in ten are hard; `share` is that of the label among the easy ones.
fn made(seed: u64, n: usize, share: f64, of_session: usize) -> Vec<Labelled> {
    let mut draws = Draws::new(seed, 31);
    let mut hard_here = 0.3;
    (0..n)
        .map(|at| {
            if at % of_session == 0 && of_session > 1 {
                hard_here = draws.dirichlet(&[1.2, 2.8])[0];
            }
            let hard = draws.uniform() < hard_here;
            let is = draws.uniform() < if hard { 3.0 * share } else { share };
            let errs = draws.uniform() < if hard { 0.4 } else { 0.05 };
            let probability = if hard { 0.4 } else { 0.08 };
            Labelled {
                session: at / of_session,
                model: usize::from(is == errs),
                gold: Some(usize::from(!is)),
                probability: Some(probability),
                stratum: 0,
            }
        })
        .collect()
}

/// Keeps gold by the probabilities.
fn drawn(seed: u64, mut units: Vec<Labelled>) -> Vec<Labelled> {
    let mut draws = Draws::new(seed, 53);
    for unit in &mut units {
        unit.gold = unit.gold.filter(|_| draws.uniform() < unit.probability.unwrap());
    }
    units
}

#[test]
fn gold_drawn_where_the_model_is_unsure_is_right_only_by_its_probabilities() {
    for (share, of_session) in [(0.2, 1), (0.03, 1), (0.2, 6)] {
        let truth = 0.3 * 3.0 * share + 0.7 * share;
        let units = |seed| made(seed, 900, share, of_session);
        let name = format!("share {truth:.2} by design, {of_session} units a session");
        let one = |design, seed| correction(design, seed).share(&drawn(seed, units(seed)), 0, 2, 0);
        covers(&name, coverage_of(truth, |seed| one(Design::UnequalProbability, seed)), 0.01);
        let found = coverage(|seed| {
            let all = units(seed);
            let truth = share_of(&all);
            (of_these(Design::UnequalProbability, seed).share(&drawn(seed, all), 0, 2, 0).corrected, truth)
        });
        covers(&format!("{name}, of these units"), found, 0.01);
        let wrong = coverage_of(truth, |seed| one(Design::EqualProbability, seed));
        assert!(wrong.part < 0.9 && wrong.bias > 0.1 * share, "taken as drawn alike it is to be wrong: {wrong:?}");
    }
}

#[test]
fn means_by_design_are_covered() {
    for of_session in [0.0, 8.0] {
        let made = |seed: u64| {
            let mut draws = Draws::new(seed, 59);
            let all = scores(seed, of_session, 0.5);
            let truth = all.iter().filter_map(|unit| unit.gold).sum::<f64>() / all.len() as f64;
            // High guesses are drawn more often.
            let probabilities: Vec<Option<f64>> =
                all.iter().map(|unit| Some(if unit.guess > 55.0 { 0.3 } else { 0.1 })).collect();
            let rows = all.into_iter().zip(&probabilities);
            let rows: Vec<ScoreUnit> = rows
                .map(|(row, probability)| ScoreUnit {
                    gold: row.gold.filter(|_| draws.uniform() < probability.unwrap()),
                    ..row
                })
                .collect();
            (rows, probabilities, truth)
        };
        let name = format!("mean by design, sessions differ by {of_session}");
        let found = coverage_of(30.0, |seed| {
            let (rows, probabilities, _) = made(seed);
            correction(Design::UnequalProbability, seed).mean(&rows, &probabilities)
        });
        covers(&name, found, 0.5);
        let found = coverage(|seed| {
            let (rows, probabilities, truth) = made(seed);
            (of_these(Design::UnequalProbability, seed).mean(&rows, &probabilities).corrected, truth)
        });
        covers(&format!("{name}, of these units"), found, 0.5);
    }
}
