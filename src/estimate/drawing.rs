//! How a field's gold was drawn from the units of a run, by what its rows record: which decides the formula.

use super::correct::Design;
use super::error::EstimateError;
use super::strata::KnownStrata;
use crate::gold::Gold;
use std::collections::{BTreeMap, BTreeSet};

/// A unit with an answer of the model, as far as the draw of gold matters.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DrawnUnit {
    /// Whether it has gold.
    pub is_gold: bool,
    /// The probability of being gold, where it is recorded.
    pub probability: Option<f64>,
    /// The place of the model's label, for labels.
    pub label: Option<usize>,
    /// The place of its stratum; 0 where there are none.
    pub stratum: usize,
}

/// What decides.
pub struct Drawing<'a> {
    /// The gold, for errors that name it.
    pub gold: &'a Gold,
    /// The task.
    pub task: &'a str,
    /// Take gold without probabilities as a random part.
    pub assume_random: bool,
    /// What is known of strata.
    pub strata: &'a KnownStrata,
}

/// Whether all are the same, but for rounding in a file.
fn alike(values: impl Iterator<Item = f64>) -> bool {
    let (low, high) = values.fold((f64::INFINITY, 0.0_f64), |(low, high), p| (low.min(p), high.max(p)));
    high - low <= 1e-6 * high
}

impl Drawing<'_> {
    /// The design, and what to know about the choice.
    ///
    /// # Errors
    /// [`EstimateError`] where probabilities are missing, of all gold or some.
    pub fn design(&self, units: &[DrawnUnit], elsewhere: bool) -> Result<(Design, Option<String>), EstimateError> {
        if elsewhere {
            return Ok((Design::OtherUnits, None));
        }
        let gold: Vec<&DrawnUnit> = units.iter().filter(|unit| unit.is_gold).collect();
        let missing = gold.iter().filter(|unit| unit.probability.is_none()).count();
        match (missing, self.assume_random) {
            (0, _) => {}
            (_, true) if missing == gold.len() => return Ok(self.assumed()),
            (_, false) if missing == gold.len() => {
                let (path, task) = (self.gold.path.clone(), self.task.to_owned());
                return Err(EstimateError::UnknownDesign { path, task });
            }
            _ => {
                let path = self.gold.path.clone();
                return Err(EstimateError::SomeProbabilities { path, missing, rows: gold.len() });
            }
        }
        if alike(gold.iter().filter_map(|unit| unit.probability)) {
            return Ok((Design::EqualProbability, None));
        }
        if self.depends_on_label_alone(units, &gold) {
            return Ok((Design::ByModelLabel, None));
        }
        Ok(match self.strata {
            KnownStrata::None => (Design::UnequalProbability, None),
            KnownStrata::OfGold { why } => (
                Design::UnequalProbability,
                Some(format!("weighted by 1/π, for strata are known of gold alone: {why}")),
            ),
            KnownStrata::OfAll(strata) => match alike_within(&gold, |unit| Some(unit.stratum)) {
                None => (Design::Stratified, Some(format!("strata by {}", strata.whence))),
                Some(place) => {
                    let name = strata.names.get(place).map_or("", String::as_str);
                    let why = format!("weighted by 1/π, for probabilities differ within stratum `{name}`");
                    (Design::UnequalProbability, Some(why))
                }
            },
        })
    }

    /// Whether units with the same label of the model had the same probability. Gold alone cannot say so where it was drawn by something else: the
    /// units that were not drawn may have had another one.
    fn depends_on_label_alone(&self, units: &[DrawnUnit], gold: &[&DrawnUnit]) -> bool {
        if gold.iter().any(|unit| unit.label.is_none()) || alike_within(gold, |unit| unit.label).is_some() {
            return false;
        }
        match self.strata {
            KnownStrata::None => true,
            KnownStrata::OfGold { .. } => false,
            KnownStrata::OfAll(_) => {
                let of_stratum: BTreeMap<usize, f64> =
                    gold.iter().filter_map(|unit| Some((unit.stratum, unit.probability?))).collect();
                let drawn = |unit: &DrawnUnit| {
                    let probability = Some(*of_stratum.get(&unit.stratum)?);
                    Some(DrawnUnit { probability, ..*unit })
                };
                let units: Option<Vec<DrawnUnit>> = units.iter().map(drawn).collect();
                units.is_some_and(|units| alike_within(&units.iter().collect::<Vec<_>>(), |unit| unit.label).is_none())
            }
        }
    }

    /// Without probabilities.
    fn assumed(&self) -> (Design, Option<String>) {
        match self.strata {
            KnownStrata::None => (Design::AssumedRandom, None),
            KnownStrata::OfAll(strata) => {
                let note = "taken as a random part of each stratum because --assume-random says so";
                (Design::Stratified, Some(format!("strata by {}; {note}", strata.whence)))
            }
            KnownStrata::OfGold { why } => {
                let note =
                    "taken as a random part of all units although its rows have strata, which are known of gold alone";
                (Design::AssumedRandom, Some(format!("{note}: {why}")))
            }
        }
    }
}

/// The first kind of units within which probabilities differ.
fn alike_within(gold: &[&DrawnUnit], kind: impl Fn(&DrawnUnit) -> Option<usize>) -> Option<usize> {
    let kinds: BTreeSet<usize> = gold.iter().filter_map(|unit| kind(unit)).collect();
    kinds.into_iter().find(|wanted| {
        let of_kind = gold.iter().filter(|unit| kind(unit) == Some(*wanted));
        !alike(of_kind.filter_map(|unit| unit.probability))
    })
}

/// Whether the recorded probabilities fit the number of gold units, of all or of each stratum: else gold is missing, or was drawn from other
/// units.
pub fn doubts(units: &[DrawnUnit], design: Design) -> Vec<String> {
    let groups: BTreeMap<usize, Vec<&DrawnUnit>> = match design {
        Design::EqualProbability => BTreeMap::from([(0, units.iter().collect())]),
        Design::Stratified => units.iter().fold(BTreeMap::new(), |mut groups, unit| {
            groups.entry(unit.stratum).or_insert_with(Vec::new).push(unit);
            groups
        }),
        _ => return vec![],
    };
    groups.into_values().filter_map(|members| doubt(&members)).collect()
}

fn doubt(members: &[&DrawnUnit]) -> Option<String> {
    let gold: Vec<f64> = members.iter().filter(|unit| unit.is_gold).filter_map(|unit| unit.probability).collect();
    let p = *gold.first()?;
    let (gold, units) = (gold.len() as f64, members.len());
    let expected = p * units as f64;
    let off = (gold - expected).abs();
    // Whole sessions may have been drawn, whose number varies more than that of units: small differences say nothing.
    if off <= 3.0 * (expected * (1.0 - p)).sqrt() || off <= 0.25 * expected {
        return None;
    }
    Some(format!(
        "with a probability of {p:.3}, {expected:.0} of {units} units would be gold; {gold:.0} are: was the gold drawn from these units, and \
         is all that was drawn labelled?"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::estimate::strata::Strata;
    use std::collections::HashMap;

    fn design(units: &[DrawnUnit], strata: &KnownStrata) -> Design {
        let gold = Gold { path: "gold/t.csv".into(), hash: String::new(), rows: vec![] };
        Drawing { gold: &gold, task: "t", assume_random: false, strata }.design(units, false).unwrap().0
    }

    fn unit(label: usize, stratum: usize, probability: Option<f64>) -> DrawnUnit {
        DrawnUnit { is_gold: probability.is_some(), probability, label: Some(label), stratum }
    }

    #[test]
    fn a_label_that_merely_coincides_with_the_strata_in_gold_does_not_decide() {
        let known = KnownStrata::OfAll(Strata {
            names: vec!["a".into(), "b".into()],
            of: HashMap::new(),
            whence: String::new(),
        });
        let gold = [unit(0, 0, Some(0.5)), unit(0, 0, Some(0.5)), unit(1, 1, Some(1.0)), unit(1, 1, Some(1.0))];
        let by_label = [&gold[..], &[unit(0, 0, None), unit(1, 1, None)]].concat();
        assert_eq!(design(&by_label, &known), Design::ByModelLabel);
        // A unit that was not drawn has the label of one stratum and lies in the other.
        let by_another = [&gold[..], &[unit(0, 1, None)]].concat();
        assert_eq!(design(&by_another, &known), Design::Stratified);
        let of_gold = KnownStrata::OfGold { why: "no design is here".into() };
        assert_eq!(design(&by_label, &of_gold), Design::UnequalProbability);
        assert_eq!(design(&by_another, &KnownStrata::None), Design::ByModelLabel, "nothing says otherwise");
    }
}
