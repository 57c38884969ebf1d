//! How far a model agrees with itself when it is asked several times. It is no bound of how right it is: models agree with themselves on wrong
//! answers, and at temperature 0 nearly always.

use crate::agreement::all::{AllFigures, all};
use crate::agreement::estimate::Estimate;
use crate::agreement::interval::Resampling;
use crate::agreement::label_pair::PairContext;
use crate::agreement::ratings::{Cell, Level, Ratings};
use serde::Serialize;

/// A model's agreement with itself.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SelfConsistency {
    /// The model.
    pub rater: String,
    /// The most samples that a unit has.
    pub samples: usize,
    /// Units with at least two answers.
    pub units: usize,
    /// Krippendorff's alpha, the samples as raters.
    pub krippendorff_alpha: Estimate,
    /// Share of units on which all answers are the same.
    pub unanimous: Option<f64>,
    /// Units on which two labels have most votes; of scores none.
    pub tied: Option<usize>,
    /// Mean share of the answers that the commonest label has; of scores none.
    pub mean_vote_share: Option<f64>,
    /// Mean of −Σ p ln p over units, in nats; of scores none.
    pub mean_entropy: Option<f64>,
    /// Mean standard deviation (n − 1) of a unit's scores; of labels none.
    pub mean_standard_deviation: Option<f64>,
}

/// The self-consistency of a run whose samples stand as raters. None where no unit has two answers.
pub fn self_consistency(rater: &str, samples: &Ratings, resampling: Resampling) -> Option<SelfConsistency> {
    let raters: Vec<usize> = (0..samples.raters().len()).collect();
    let context = PairContext {
        a: "",
        b: "",
        reference: false,
        ordinal: samples.level() == Level::Ordinal,
        values: None,
        clustered: samples.clustered(),
        resampling,
    };
    let panel = all(samples, &raters, &context)?;
    let answers = |item: usize| raters.iter().map(move |&sample| samples.cell(item, sample));
    let mut units = Units::default();
    for item in 0..samples.items().len() {
        let labels = answers(item).filter_map(|cell| if let Cell::Label(label) = cell { Some(label) } else { None });
        let scores = answers(item).filter_map(|cell| if let Cell::Number(score) = cell { Some(score) } else { None });
        match samples.level() {
            Level::Interval => units.add_scores(&scores.collect::<Vec<f64>>()),
            Level::Nominal | Level::Ordinal => units.add_labels(labels.collect(), samples.labels().len()),
        }
    }
    if units.count == 0 {
        return None;
    }
    let labelled = samples.level() != Level::Interval;
    let mean = |sum: f64| sum / units.count as f64;
    Some(SelfConsistency {
        rater: rater.to_owned(),
        samples: raters.len(),
        units: units.count,
        krippendorff_alpha: match panel.figures {
            AllFigures::Labels(labels) => labels.krippendorff_alpha,
            AllFigures::Scores(scores) => scores.krippendorff_alpha,
        },
        unanimous: Some(mean(units.unanimous as f64)),
        tied: labelled.then_some(units.tied),
        mean_vote_share: labelled.then(|| mean(units.vote_share)),
        mean_entropy: labelled.then(|| mean(units.entropy)),
        mean_standard_deviation: (!labelled).then(|| mean(units.deviation)),
    })
}

#[derive(Default)]
struct Units {
    count: usize,
    unanimous: usize,
    tied: usize,
    vote_share: f64,
    entropy: f64,
    deviation: f64,
}

impl Units {
    fn add_labels(&mut self, given: Vec<usize>, labels: usize) {
        if given.len() < 2 {
            return;
        }
        let mut votes = vec![0_usize; labels];
        given.iter().for_each(|&label| votes[label] += 1);
        let most = votes.iter().copied().max().unwrap_or(0);
        let shares = votes.iter().filter(|&&votes| votes > 0).map(|&votes| votes as f64 / given.len() as f64);
        self.count += 1;
        self.unanimous += usize::from(most == given.len());
        self.tied += usize::from(votes.iter().filter(|&&votes| votes == most).count() > 1);
        self.vote_share += most as f64 / given.len() as f64;
        self.entropy -= shares.map(|share| share * share.ln()).sum::<f64>();
    }

    fn add_scores(&mut self, given: &[f64]) {
        if given.len() < 2 {
            return;
        }
        let n = given.len() as f64;
        let mean = given.iter().sum::<f64>() / n;
        self.count += 1;
        self.unanimous += usize::from(given.iter().all(|score| *score == given[0]));
        self.deviation += (given.iter().map(|score| (score - mean).powi(2)).sum::<f64>() / (n - 1.0)).sqrt();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agreement::{Answer, RatingsBuilder};

    const QUICK: Resampling = Resampling { replicates: 200, seed: 1 };

    #[test]
    fn votes_entropy_and_ties_of_labels() {
        let mut builder = RatingsBuilder::new(Level::Nominal).labels(&["a".to_owned(), "b".to_owned()]).unwrap();
        for (unit, answers) in [["a", "a", "a", "a"], ["a", "a", "b", "b"], ["a", "b", "b", "b"]].iter().enumerate() {
            for (sample, answer) in answers.iter().enumerate() {
                let answer = Answer::Text((*answer).to_owned());
                builder.push(&unit.to_string(), &format!("sample {sample}"), answer).unwrap();
            }
        }
        builder.push("lone", "sample 0", Answer::Text("a".to_owned())).unwrap();
        let found = self_consistency("m", &builder.finish().unwrap(), QUICK).unwrap();
        assert_eq!((found.samples, found.units, found.tied), (4, 3, Some(1)));
        assert!((found.unanimous.unwrap() - 1.0 / 3.0).abs() < 1e-12);
        assert!((found.mean_vote_share.unwrap() - (1.0 + 0.5 + 0.75) / 3.0).abs() < 1e-12);
        let entropy = (2.0_f64.ln() - 0.25 * 0.25_f64.ln() - 0.75 * 0.75_f64.ln()) / 3.0;
        assert!((found.mean_entropy.unwrap() - entropy).abs() < 1e-12);
        // Coincidences: 4 + 2·1/3·... by the definition: Do = Σ pairs that differ /(m − 1), De from 7 a and 5 b.
        let (observed, expected) = ((8.0 + 6.0) / 3.0, 2.0 * 7.0 * 5.0 / 11.0);
        assert!((found.krippendorff_alpha.value.unwrap() - (1.0 - observed / expected)).abs() < 1e-12);
    }

    #[test]
    fn scores_have_a_deviation_and_no_votes() {
        let mut builder = RatingsBuilder::new(Level::Interval);
        for (unit, answers) in [[50.0, 60.0], [70.0, 70.0]].iter().enumerate() {
            for (sample, answer) in answers.iter().enumerate() {
                builder.push(&unit.to_string(), &format!("sample {sample}"), Answer::Number(*answer)).unwrap();
            }
        }
        let found = self_consistency("m", &builder.finish().unwrap(), QUICK).unwrap();
        assert!((found.mean_standard_deviation.unwrap() - 50.0_f64.sqrt() / 2.0).abs() < 1e-12);
        assert_eq!((found.unanimous, found.tied, found.mean_vote_share), (Some(0.5), None, None));
    }
}
