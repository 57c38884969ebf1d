//! The alternative annotator test: may a model stand in for a human of the panel? (Calderon, Reichart and Dror, ACL 2025)
//!
//! Each human in turn is set aside, and the model and that human are scored by how well they match the others. The model wins against a
//! human if it is not worse by more than ε, and passes if it wins against half of them. Two things to know when reading it: with two
//! humans it only asks whom the model resembles, and where one label dominates, a model that always says it passes.

use super::multiplicity::Adjustment;
use crate::agreement::distribution::t_lower;
use crate::agreement::influence::{cluster_sums, linearised_se};

/// What is asked of the panel.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AlternativeAnnotator {
    /// What a human's costs are worth: the model may be worse by this much. 0.2 for experts, 0.15 skilled, 0.1 crowd.
    pub epsilon: f64,
    /// False discovery rate over the humans.
    pub q: f64,
    /// Items with fewer human answers are left out.
    pub fewest_humans: usize,
    /// Humans with fewer items are not tested.
    pub fewest_items: usize,
    /// How a label is compared with the others' labels.
    pub scoring: Scoring,
}

impl Default for AlternativeAnnotator {
    fn default() -> AlternativeAnnotator {
        AlternativeAnnotator { epsilon: 0.2, q: 0.05, fewest_humans: 2, fewest_items: 30, scoring: Scoring::Accuracy }
    }
}

/// How well one answer matches the answers of others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scoring {
    /// Share of the others who say the same.
    Accuracy,
    /// −√(mean squared difference), for scores.
    NegativeRootMeanSquare,
}

impl Scoring {
    fn of(self, answer: f64, others: &[f64]) -> f64 {
        let n = others.len() as f64;
        match self {
            Scoring::Accuracy => others.iter().filter(|&&other| other == answer).count() as f64 / n,
            Scoring::NegativeRootMeanSquare => {
                -(others.iter().map(|other| (answer - other).powi(2)).sum::<f64>() / n).sqrt()
            }
        }
    }
}

/// An item that goes into the test. Labels stand as their positions.
#[derive(Debug, Clone, PartialEq)]
pub struct PanelItem {
    /// Its cluster.
    pub cluster: usize,
    /// The model's answer.
    pub model: Option<f64>,
    /// Each human's answer.
    pub humans: Vec<Option<f64>>,
}

/// One human against the model.
#[derive(Debug, Clone, PartialEq)]
pub struct Contest {
    /// The human, by position.
    pub human: usize,
    /// Items.
    pub items: usize,
    /// Share of items on which the model matches the others at least as well as the human, ρ^f.
    pub model_share: f64,
    /// Share of items on which the human matches them at least as well, ρ^h.
    pub human_share: f64,
    /// One-sided p of "the model is worse by ε or more", items taken as independent as in the paper.
    pub p: f64,
    /// The same with the standard error by clusters and t with G − 1 degrees of freedom; `None` for a single cluster.
    pub p_clustered: Option<f64>,
}

/// The outcome.
#[derive(Debug, Clone, PartialEq)]
pub struct Verdict {
    /// Every human who was tested.
    pub contests: Vec<Contest>,
    /// Humans with too few items, by position.
    pub skipped: Vec<usize>,
    /// ω: share of tested humans against whom the model wins; `None` if nobody was tested.
    pub winning_rate: Option<f64>,
    /// ρ: mean over humans of the model's share. Models are compared by it.
    pub advantage: Option<f64>,
    /// ω ≥ ½; `None` if nobody was tested.
    pub passes: Option<bool>,
    /// ω with p values by clusters; `None` if any of them is missing.
    pub winning_rate_clustered: Option<f64>,
}

impl AlternativeAnnotator {
    /// The test. Every item has as many humans, answered or not.
    pub fn test(&self, items: &[PanelItem]) -> Verdict {
        let answered = |item: &&PanelItem| item.humans.iter().flatten().count() >= self.fewest_humans.max(2);
        let kept: Vec<(&PanelItem, f64)> =
            items.iter().filter(answered).filter_map(|item| Some((item, item.model?))).collect();
        let humans = items.iter().map(|item| item.humans.len()).max().unwrap_or(0);
        let (mut contests, mut skipped) = (Vec::new(), Vec::new());
        for human in 0..humans {
            let own: Vec<(&PanelItem, f64, f64)> =
                kept.iter().filter_map(|&(item, model)| Some((item, model, item.humans[human]?))).collect();
            // A single difference has no variance.
            match own.len() < self.fewest_items.max(2) {
                true => skipped.push(human),
                false => contests.push(self.contest(human, &own)),
            }
        }
        let mean = |sum: f64| (!contests.is_empty()).then(|| sum / contests.len() as f64);
        let winning_rate = self.winning_rate(&contests.iter().map(|contest| contest.p).collect::<Vec<f64>>());
        let clustered: Option<Vec<f64>> = contests.iter().map(|contest| contest.p_clustered).collect();
        Verdict {
            winning_rate,
            advantage: mean(contests.iter().map(|contest| contest.model_share).sum()),
            passes: winning_rate.map(|rate| rate >= 0.5),
            winning_rate_clustered: clustered.and_then(|p| self.winning_rate(&p)),
            contests,
            skipped,
        }
    }

    /// ω for each ε of a grid: the verdict flips with ε, so one ε alone says little.
    pub fn over(&self, epsilons: &[f64], items: &[PanelItem]) -> Vec<(f64, Option<f64>)> {
        epsilons
            .iter()
            .map(|&epsilon| (epsilon, AlternativeAnnotator { epsilon, ..*self }.test(items).winning_rate))
            .collect()
    }

    fn winning_rate(&self, p: &[f64]) -> Option<f64> {
        let adjusted = Adjustment::BenjaminiYekutieli.adjust(p);
        let wins = adjusted.iter().filter(|&&p| p <= self.q).count();
        (!p.is_empty()).then(|| wins as f64 / p.len() as f64)
    }

    fn contest(&self, human: usize, own: &[(&PanelItem, f64, f64)]) -> Contest {
        let n = own.len() as f64;
        let (mut model_wins, mut human_wins) = (0.0, 0.0);
        let mut differences = Vec::with_capacity(own.len());
        for &(item, model, answer) in own {
            let others: Vec<f64> =
                item.humans.iter().enumerate().filter(|(other, _)| *other != human).filter_map(|(_, x)| *x).collect();
            let (model, answer) = (self.scoring.of(model, &others), self.scoring.of(answer, &others));
            let (model, answer) = (f64::from(model >= answer), f64::from(answer >= model));
            model_wins += model;
            human_wins += answer;
            differences.push(answer - model);
        }
        let mean = differences.iter().sum::<f64>() / n;
        let variance = differences.iter().map(|d| (d - mean).powi(2)).sum::<f64>() / (n - 1.0);
        let sums = cluster_sums(own.iter().zip(&differences).map(|((item, ..), d)| (item.cluster, d - mean)));
        let freedom = sums.len() as f64 - 1.0;
        Contest {
            human,
            items: own.len(),
            model_share: model_wins / n,
            human_share: human_wins / n,
            p: self.p_value(mean, (variance / n).sqrt(), n - 1.0),
            p_clustered: linearised_se(&sums, n).map(|se| self.p_value(mean, se, freedom)),
        }
    }

    /// P(T ≤ (d̄ − ε)/SE). Constant differences have no SE: then the mean alone decides.
    fn p_value(&self, mean: f64, se: f64, df: f64) -> f64 {
        match se > 1e-12 {
            true => t_lower((mean - self.epsilon) / se, df),
            false => f64::from(mean >= self.epsilon),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn items(count: usize, answers: impl Fn(usize) -> (Option<f64>, Vec<Option<f64>>)) -> Vec<PanelItem> {
        (0..count)
            .map(|i| {
                let (model, humans) = answers(i);
                PanelItem { cluster: i / 4, model, humans }
            })
            .collect()
    }

    #[test]
    fn nobody_tested_is_undefined_and_not_a_failure() {
        let few = items(29, |i| (Some(0.0), vec![Some((i % 2) as f64), Some(0.0)]));
        let verdict = AlternativeAnnotator::default().test(&few);
        assert_eq!((verdict.winning_rate, verdict.advantage, verdict.passes), (None, None, None));
        assert_eq!(verdict.skipped, [0, 1]);
        assert_eq!(AlternativeAnnotator::default().over(&[0.1], &few), [(0.1, None)]);
    }

    #[test]
    fn constant_differences_are_decided_by_their_mean() {
        // The model always says what both humans say: d is 0 throughout.
        let same = items(40, |i| (Some((i % 3) as f64), vec![Some((i % 3) as f64); 2]));
        let verdict = AlternativeAnnotator { epsilon: 0.1, ..AlternativeAnnotator::default() }.test(&same);
        assert_eq!((verdict.contests[0].p, verdict.winning_rate, verdict.passes), (0.0, Some(1.0), Some(true)));
        let verdict = AlternativeAnnotator { epsilon: 0.0, ..AlternativeAnnotator::default() }.test(&same);
        assert_eq!((verdict.contests[0].p, verdict.winning_rate, verdict.passes), (1.0, Some(0.0), Some(false)));
        // Always wrong where the humans agree: d is 1 throughout.
        let wrong = items(40, |_| (Some(9.0), vec![Some(0.0); 3]));
        let verdict = AlternativeAnnotator::default().test(&wrong);
        assert_eq!((verdict.contests[2].p, verdict.advantage), (1.0, Some(0.0)));
    }

    #[test]
    fn items_need_a_model_and_two_humans_and_humans_need_items() {
        // The third human answers 10 items only, but is one of the others for the first two.
        let panel = items(60, |i| {
            let model = (i != 5).then_some((i % 2) as f64);
            let first = (i != 7).then_some((i % 2) as f64);
            (model, vec![first, Some(((i + 1) % 2) as f64), (i < 10).then_some(0.0)])
        });
        let verdict = AlternativeAnnotator::default().test(&panel);
        assert_eq!(verdict.skipped, [2]);
        // Item 5 has no model, item 7 not the first human (but two others).
        assert_eq!(verdict.contests.iter().map(|one| one.items).collect::<Vec<usize>>(), [58, 59]);
    }

    #[test]
    fn scores_are_compared_by_distance_and_sessions_widen_the_test() {
        // The model is off by more than the humans in every second session of 4 items.
        let panel = items(80, |i| {
            let truth = (i * 13 % 100) as f64;
            let off = if (i / 4) % 2 == 0 { 12.0 } else { 0.5 };
            (Some(truth + off), vec![Some(truth + 2.0), Some(truth - 2.0), Some(truth + 1.0)])
        });
        let test = AlternativeAnnotator {
            scoring: Scoring::NegativeRootMeanSquare,
            epsilon: 0.2,
            ..AlternativeAnnotator::default()
        };
        let contest = &test.test(&panel).contests[0];
        assert!((contest.model_share - 0.5).abs() < 1e-9, "{}", contest.model_share);
        assert!(contest.p_clustered.unwrap() > contest.p, "{contest:?}");
    }
}
