//! Enumeration by hand, agreement of exact and random swaps, and how often equal raters are called different.

use super::*;
use crate::comparison::correctness::McNemar;
use crate::comparison::{SharedLabels, SharedScores};

fn labels(labels: usize, clusters: Vec<usize>, reference: Vec<usize>, a: Vec<usize>, b: Vec<usize>) -> SharedLabels {
    SharedLabels { labels, clusters, reference, raters: vec![a, b] }
}

/// Every subset of clusters swapped, the slow and obvious way.
fn by_hand(shared: &SharedLabels, metric: Metric) -> (f64, f64) {
    let clusters = shared.clusters.iter().max().unwrap() + 1;
    let difference = |shared: &SharedLabels| -> f64 {
        let figure = |rater| metric.of(&shared.sums(rater), shared.labels).unwrap();
        figure(1) - figure(0)
    };
    let observed = difference(shared);
    let mut counts = (0, 0);
    for subset in 0..1_usize << clusters {
        let mut swapped = shared.clone();
        for item in 0..shared.reference.len() {
            if subset >> shared.clusters[item] & 1 == 1 {
                let (a, b) = (shared.raters[0][item], shared.raters[1][item]);
                swapped.raters[0][item] = b;
                swapped.raters[1][item] = a;
            }
        }
        let moved = difference(&swapped);
        counts.0 += usize::from(moved.abs() >= observed.abs() - 1e-12);
        counts.1 += usize::from(moved >= observed - 1e-12);
    }
    let all = (1_usize << clusters) as f64;
    (counts.0 as f64 / all, counts.1 as f64 / all)
}

#[test]
fn enumeration_equals_the_definition() {
    let mut generator = ChaCha8Rng::seed_from_u64(7);
    for round in 0..6 {
        let mut any = |below: u32| (generator.next_u32() % below) as usize;
        let reference: Vec<usize> = (0..44).map(|_| any(3)).collect();
        let near = |any: &mut dyn FnMut(u32) -> usize| -> Vec<usize> {
            reference.iter().map(|&label| if any(4) == 0 { any(3) } else { label }).collect()
        };
        let (a, b) = (near(&mut any), near(&mut any));
        let shared = labels(3, (0..44).map(|i| i / 4).collect(), reference.clone(), a, b);
        for metric in [Metric::Kappa, Metric::Accuracy, Metric::MacroF1] {
            let found = permutation(&shared, metric, (0, 1), Swaps::default()).unwrap();
            let (both, upper) = by_hand(&shared, metric);
            assert!(found.exact && found.differing <= 11, "round {round}");
            assert!((found.p_two_sided - both).abs() < 1e-12, "{metric:?}: {} {both}", found.p_two_sided);
            assert!((found.p_b_greater - upper).abs() < 1e-12, "{metric:?}: {} {upper}", found.p_b_greater);
        }
    }
}

#[test]
fn equal_answers_cannot_differ() {
    let reference: Vec<usize> = (0..20).map(|i| i % 2).collect();
    let mut answers = reference.clone();
    answers[3] = 0;
    let shared = labels(2, (0..20).collect(), reference, answers.clone(), answers);
    let found = permutation(&shared, Metric::Kappa, (0, 1), Swaps::default()).unwrap();
    assert_eq!((found.p_two_sided, found.p_b_greater, found.swaps, found.differing), (1.0, 1.0, 1, 0));
}

#[test]
fn a_difference_of_undefined_figures_is_undefined() {
    let shared = labels(2, vec![0, 1, 2], vec![0; 3], vec![0; 3], vec![0; 3]);
    let found = permutation(&shared, Metric::Kappa, (0, 1), Swaps::default());
    assert_eq!(found, Err(Undefined::OneLabelUsed));
}

#[test]
fn many_clusters_are_swapped_at_random_the_same_way_with_any_number_of_threads() {
    let reference: Vec<usize> = (0..240).map(|i| i % 2).collect();
    let wrong = |step: usize| -> Vec<usize> {
        reference.iter().enumerate().map(|(i, &label)| if i % step == 0 { 1 - label } else { label }).collect()
    };
    let shared = labels(2, (0..240).map(|i| i / 6).collect(), reference.clone(), wrong(5), wrong(6));
    let run = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| permutation(&shared, Metric::Kappa, (0, 1), Swaps { random: 2000, seed: 5 }).unwrap())
    };
    let found = run(1);
    assert_eq!(found, run(3));
    assert!(!found.exact && found.swaps == 2000);
    // (count + 1)/(B + 1): never 0.
    assert!((found.p_two_sided * 2001.0).fract() < 1e-9 && found.p_two_sided > 0.0);
}

#[test]
fn random_swaps_come_close_to_all_swaps() {
    // 18 sessions: enumerable; the random test on the same arrangement must give about the same.
    let scores: Vec<f64> = (0..90).map(|i| f64::from(i * 37 % 100)).collect();
    let off = |by: usize, times: f64| -> Vec<f64> {
        scores.iter().enumerate().map(|(i, score)| score + times * ((i * by % 11) as f64 - 5.0)).collect()
    };
    let clusters: Vec<usize> = (0..90).map(|i| i / 5).collect();
    let shared = SharedScores { clusters, reference: scores.clone(), raters: vec![off(3, 1.1), off(5, 1.0)] };
    let metric = Metric::MeanAbsoluteError;
    let exact = permutation(&shared, metric, (0, 1), Swaps::default()).unwrap();
    assert!(exact.exact);
    let arrangements = Arrangements::of(&shared, metric, (0, 1));
    let extremes = draw(&arrangements, exact.difference, Swaps { random: 20_000, seed: 1 });
    assert!((extremes.both as f64 / 20_000.0 - exact.p_two_sided).abs() < 0.02);
}

/// Two raters who are equally good over all sessions, but not within one: 10 sessions of 12 turns each.
fn equally_good(generator: &mut ChaCha8Rng) -> SharedLabels {
    let mut uniform = || f64::from(generator.next_u32()) / 4_294_967_296.0;
    let (mut reference, mut a, mut b) = (vec![], vec![], vec![]);
    for _ in 0..10 {
        let skill = [uniform(), uniform()].map(|x| 0.55 + 0.4 * x);
        for _ in 0..12 {
            let label = usize::from(uniform() < 0.5);
            reference.push(label);
            a.push(if uniform() < skill[0] { label } else { 1 - label });
            b.push(if uniform() < skill[1] { label } else { 1 - label });
        }
    }
    labels(2, (0..120).map(|i| i / 12).collect(), reference, a, b)
}

#[test]
fn equally_good_raters_are_called_different_in_5_percent_of_studies_and_not_in_the_11_of_single_turns() {
    let studies = 600;
    let mut generator = ChaCha8Rng::seed_from_u64(11);
    let (mut by_session, mut by_turn) = (0, 0);
    for _ in 0..studies {
        let shared = equally_good(&mut generator);
        let found = permutation(&shared, Metric::Kappa, (0, 1), Swaps::default()).unwrap();
        by_session += u32::from(found.p_two_sided <= 0.05);
        let right = |rater: usize| -> Vec<bool> {
            shared.reference.iter().zip(&shared.raters[rater]).map(|(gold, label)| gold == label).collect()
        };
        by_turn += u32::from(McNemar::of(&right(0), &right(1)).p_exact <= 0.05);
    }
    let share = |count: u32| f64::from(count) / f64::from(studies);
    assert!(share(by_session) < 0.07 && share(by_session) > 0.02, "by session {}", share(by_session));
    assert!(share(by_turn) > 0.08, "by turn {}", share(by_turn));
}
