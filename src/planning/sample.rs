//! A drawn sample: which units humans should label, with their probabilities, strata and splits, and what it is worth.

use super::aim::Aim;
use super::draw::{is_drawn, probabilities, split_of};
use super::size::effective_size;
use crate::gold::{Gold, Split};
use serde::Serialize;
use std::collections::{BTreeMap, HashMap, HashSet};

/// How units are drawn. Written beside the sheet: without it nobody can say later what the sample stands for.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Design {
    /// First digits of a hash of everything below.
    pub id: String,
    /// The task.
    pub task: String,
    /// The codebook's version.
    pub codebook: String,
    /// `uniform`, `label` or `disagreement`.
    pub by: &'static str,
    /// The runs that it looks at.
    pub runs: Vec<String>,
    /// The field that it looks at.
    pub field: Option<String>,
    /// Expected size.
    pub size: u64,
    /// Uniform share.
    pub mix: f64,
    /// The salt.
    pub salt: String,
    /// Share of sessions that go into the test split.
    pub split_test: f64,
    /// Units there were to draw from.
    pub units: usize,
    /// Sessions they lie in.
    pub sessions: usize,
}

impl Design {
    /// With its id.
    pub fn identified(self) -> Design {
        let text = format!("{:?}", Design { id: String::new(), ..self.clone() });
        Design { id: blake3::hash(text.as_bytes()).to_hex()[..8].to_owned(), ..self }
    }
}

/// A unit to draw from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// The unit.
    pub unit: String,
    /// Its session.
    pub session: String,
}

/// A drawn unit.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SampledUnit {
    /// The unit.
    pub unit: String,
    /// Its session.
    pub session: String,
    /// The split of the whole session: `dev` or `test`.
    pub split: &'static str,
    /// The probability with which it was drawn.
    pub probability: f64,
    /// Its stratum; empty if there are none.
    pub stratum: String,
    /// Whether the gold has it already, so that nobody needs to label it.
    pub in_gold: bool,
}

/// What became of a stratum.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct StratumCounts {
    /// The stratum; empty if there are none.
    pub stratum: String,
    /// Units in it.
    pub units: usize,
    /// How many are expected to be drawn.
    pub expected: f64,
    /// How many were.
    pub drawn: usize,
}

/// The result.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Sample {
    /// How it was drawn.
    pub design: Design,
    /// Expected number of units: the sum of all probabilities.
    pub expected: f64,
    /// Drawn units.
    pub drawn: usize,
    /// Drawn units that the gold does not have.
    pub to_label: usize,
    /// What the drawn units are worth for a mean, weighted: (Σ1/π)²/Σ1/π².
    pub effective_size: f64,
    /// The smallest probability of all units, drawn or not: no weight exceeds its inverse.
    pub smallest_probability: f64,
    /// By stratum.
    pub strata: Vec<StratumCounts>,
    /// The drawn units, in the order of the sessions.
    pub units: Vec<SampledUnit>,
}

/// A split's word in files.
fn name(split: Split) -> &'static str {
    match split {
        Split::Dev => "dev",
        Split::Test => "test",
    }
}

/// Draws. Sessions whose split the gold knows keep it.
pub fn draw(candidates: &[Candidate], aim: &Aim, design: Design, gold: Option<&Gold>) -> Sample {
    let chances = probabilities(&aim.sizes, design.size as f64, design.mix);
    let rows = || gold.iter().flat_map(|gold| &gold.rows);
    let labelled: HashSet<&str> = rows().map(|row| row.unit.as_str()).collect();
    let mut known: HashMap<String, Split> = HashMap::new();
    for row in rows() {
        if let Some(split) = row.split {
            let session = row.session.clone().unwrap_or_else(|| row.unit.session().as_str().to_owned());
            known.entry(session).or_insert(split);
        }
    }
    let mut strata: BTreeMap<&str, StratumCounts> = BTreeMap::new();
    let mut units = Vec::new();
    for ((candidate, stratum), &probability) in candidates.iter().zip(&aim.strata).zip(&chances) {
        let counts = strata.entry(stratum).or_insert_with(|| StratumCounts {
            stratum: stratum.clone(),
            units: 0,
            expected: 0.0,
            drawn: 0,
        });
        counts.units += 1;
        counts.expected += probability;
        if !is_drawn(&design.salt, &candidate.unit, probability) {
            continue;
        }
        counts.drawn += 1;
        let split = known.get(&candidate.session).copied();
        units.push(SampledUnit {
            unit: candidate.unit.clone(),
            session: candidate.session.clone(),
            split: name(split.unwrap_or_else(|| split_of(&design.salt, &candidate.session, design.split_test))),
            probability,
            stratum: stratum.clone(),
            in_gold: labelled.contains(candidate.unit.as_str()),
        });
    }
    let weights: Vec<f64> = units.iter().map(|unit| 1.0 / unit.probability).collect();
    Sample {
        design,
        expected: chances.iter().sum(),
        drawn: units.len(),
        to_label: units.iter().filter(|unit| !unit.in_gold).count(),
        effective_size: effective_size(&weights),
        smallest_probability: chances.iter().copied().fold(1.0, f64::min),
        strata: strata.into_values().collect(),
        units,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidates(sessions: usize) -> Vec<Candidate> {
        let of = |session: usize| {
            (1..=5).map(move |nth| Candidate {
                unit: format!("codex:s{session}#{nth}"),
                session: format!("codex:s{session}"),
            })
        };
        (0..sessions).flat_map(of).collect()
    }

    fn design(size: u64) -> Design {
        Design {
            id: String::new(),
            task: "tone".to_owned(),
            codebook: "tone-1".to_owned(),
            by: "uniform",
            runs: vec![],
            field: None,
            size,
            mix: 0.2,
            salt: "pepper".to_owned(),
            split_test: 0.4,
            units: 0,
            sessions: 0,
        }
        .identified()
    }

    #[test]
    fn splits_keep_sessions_whole_and_the_counts_add_up() {
        let candidates = candidates(100);
        let sample = draw(&candidates, &Aim::uniform(500), design(200), None);
        assert!((sample.expected - 200.0).abs() < 1e-9 && (170..230).contains(&sample.drawn), "{}", sample.drawn);
        assert_eq!((sample.units.len(), sample.to_label), (sample.drawn, sample.drawn));
        assert!((sample.effective_size - sample.drawn as f64).abs() < 1e-6);
        let mut splits = HashMap::new();
        for unit in &sample.units {
            assert_eq!(*splits.entry(&unit.session).or_insert(unit.split), unit.split);
        }
        let tests = splits.values().filter(|split| **split == "test").count();
        assert!((25..55).contains(&tests), "{tests}");
    }

    #[test]
    fn a_sample_of_everything_is_everything_with_probability_1() {
        let candidates = candidates(4);
        let sample = draw(&candidates, &Aim::uniform(20), design(1000), None);
        assert!(sample.units.iter().all(|unit| unit.probability == 1.0) && sample.drawn == 20);
    }

    #[test]
    fn designs_that_differ_have_different_ids() {
        let other = Design { salt: "salt".to_owned(), ..design(200) }.identified();
        assert_ne!(design(200).id, other.id);
        assert_eq!(design(200).id, design(200).id);
    }
}
