//! Which stratum each unit of a run was drawn from, where gold was drawn by strata.
//!
//! Gold rows record it of themselves; an estimate by strata needs it of every unit. It follows from what the draw looked at: a file that
//! names it, the runs of a saved design, the run's own answers, or the agents. What is found is used only if it says of every gold unit what its
//! row says.

use crate::codebook::Codebook;
use crate::evaluation::{Cluster, Comparison, FieldRatings, RunRows};
use crate::gold::GoldRow;
use crate::planning::aim::{Aim, score_range};
use crate::planning::sheet::SavedDesign;
use crate::unit::UnitId;
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// The stratum of every unit of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Strata {
    /// The strata, by name.
    pub names: Vec<String>,
    /// Each unit's, by its place in `names`.
    pub of: HashMap<UnitId, usize>,
    /// How it is known.
    pub whence: String,
}

/// What is known of strata.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KnownStrata {
    /// The gold records none.
    None,
    /// The stratum of every unit.
    OfAll(Strata),
    /// That of gold units alone.
    OfGold {
        /// Why not of the others.
        why: String,
    },
}

/// Where strata may follow from.
pub struct Sources<'a> {
    /// The codebook.
    pub codebook: &'a Codebook,
    /// The run.
    pub run: &'a RunRows,
    /// The adjudicated gold.
    pub gold: &'a [&'a GoldRow],
    /// Strata by a file that was named, with its name.
    pub named: Option<(&'a str, &'a HashMap<UnitId, String>)>,
    /// Designs of samples of this task.
    pub designs: &'a [SavedDesign],
    /// Other runs by name.
    pub runs: &'a dyn Fn(&str) -> Option<RunRows>,
}

impl Sources<'_> {
    /// Looks for the strata of all units of the run.
    pub fn strata(&self) -> KnownStrata {
        let units: BTreeSet<&str> = self.run.rows.iter().map(|row| row.unit.as_str()).collect();
        let gold: Vec<&GoldRow> = self.gold.iter().copied().filter(|row| units.contains(row.unit.as_str())).collect();
        let without = gold.iter().filter(|row| row.stratum.is_none()).count();
        if without == gold.len() {
            return KnownStrata::None;
        }
        if without > 0 {
            return KnownStrata::OfGold { why: format!("{without} of {} gold units have no stratum", gold.len()) };
        }
        let units: Vec<&str> = units.into_iter().collect();
        let mut reasons = Vec::new();
        for Candidate { whence, is_sure, strata } in self.candidates(&units) {
            match strata.and_then(|strata| fits(&gold, &units, strata)) {
                Ok((names, of)) => return KnownStrata::OfAll(Strata { names, of, whence }),
                Err(why) if is_sure => reasons.push(format!("{whence}: {why}")),
                Err(_) => {}
            }
        }
        let why = match reasons.is_empty() {
            true => "no design of the sample is here, and neither answers nor agents say it".to_owned(),
            false => reasons.join("; "),
        };
        KnownStrata::OfGold { why }
    }

    /// Everything that may say it, the surest first.
    fn candidates<'s>(&'s self, units: &'s [&str]) -> impl Iterator<Item = Candidate> + 's {
        let named = self.named.map(|(file, strata)| Candidate {
            whence: file.to_owned(),
            is_sure: true,
            strata: of_each(units, |unit| strata.get(&UnitId::from_text(unit)).cloned())
                .ok_or_else(|| "it lacks units of the run".to_owned()),
        });
        let designs = self.designs.iter().filter(|design| design.by != "uniform").map(|design| Candidate {
            whence: format!("the sample's design {}", design.id),
            is_sure: true,
            strata: self.by_design(design, units),
        });
        let own = self.fields(std::slice::from_ref(self.run)).unwrap_or_default().into_iter();
        let own = own.map(|field| Candidate {
            whence: format!("the run's own `{}`", field.name),
            is_sure: false,
            strata: Ok(self.by_answers(&field, units)),
        });
        let agent = |unit: &str| unit.split_once(':').map(|(agent, _)| agent.to_owned());
        let agents = Candidate {
            whence: "the agents".to_owned(),
            is_sure: false,
            strata: of_each(units, agent).ok_or_else(|| "a unit has no agent".to_owned()),
        };
        named.into_iter().chain(designs).chain(own).chain([agents])
    }

    fn fields(&self, runs: &[RunRows]) -> Option<Vec<FieldRatings>> {
        let codebook = self.codebook;
        Comparison { codebook, gold: None, runs, split: None, cluster: Cluster::Item, collapse: None }.fields().ok()
    }

    fn by_answers(&self, field: &FieldRatings, units: &[&str]) -> HashMap<UnitId, String> {
        let range = score_range(self.codebook, &field.name, &field.ratings);
        placed(units, Aim::label(units, &field.ratings, range))
    }

    fn by_design(&self, design: &SavedDesign, units: &[&str]) -> Result<HashMap<UnitId, String>, String> {
        let open = |name: &String| -> Result<RunRows, String> {
            if *name == self.run.manifest.run {
                return Ok(RunRows { manifest: self.run.manifest.clone(), rows: self.run.rows.clone() });
            }
            (self.runs)(name).ok_or_else(|| format!("it was drawn by run `{name}`, which is not here"))
        };
        let runs = design.runs.iter().map(open).collect::<Result<Vec<RunRows>, String>>()?;
        let fields = self.fields(&runs).unwrap_or_default();
        let field = fields.iter().find(|field| Some(&field.name) == design.field.as_ref());
        let field = field.ok_or("its runs have no answers to the field that it was drawn by")?;
        if design.by == "label" {
            return Ok(self.by_answers(field, units));
        }
        let range = score_range(self.codebook, &field.name, &field.ratings);
        Ok(placed(units, Aim::disagreement(units, &field.ratings, runs.len(), range)))
    }
}

/// What may say the strata: how, and what it says or why it says nothing.
struct Candidate {
    whence: String,
    /// Whether it is told why it does not fit; else it was merely tried.
    is_sure: bool,
    strata: Result<HashMap<UnitId, String>, String>,
}

fn placed(units: &[&str], aim: Aim) -> HashMap<UnitId, String> {
    units.iter().map(|unit| UnitId::from_text(*unit)).zip(aim.strata).collect()
}

fn of_each(units: &[&str], stratum: impl Fn(&str) -> Option<String>) -> Option<HashMap<UnitId, String>> {
    units.iter().map(|unit| Some((UnitId::from_text(*unit), stratum(unit)?))).collect()
}

/// Names and places, if every gold unit is where its row says.
type Places = (Vec<String>, HashMap<UnitId, usize>);

fn fits(gold: &[&GoldRow], units: &[&str], strata: HashMap<UnitId, String>) -> Result<Places, String> {
    for row in gold {
        let (recorded, found) = (row.stratum.as_deref().unwrap_or_default(), strata.get(&row.unit));
        if found.map(String::as_str) != Some(recorded) {
            let now = found.map_or("none", String::as_str);
            return Err(format!("`{}` was drawn from `{recorded}` and would now be of `{now}`", row.unit));
        }
    }
    let names: BTreeSet<&String> = strata.values().collect();
    let names: Vec<String> = names.into_iter().cloned().collect();
    let places: BTreeMap<&str, usize> = names.iter().enumerate().map(|(place, name)| (name.as_str(), place)).collect();
    let of = units.iter().filter_map(|unit| {
        let unit = UnitId::from_text(*unit);
        let place = *places.get(strata.get(&unit)?.as_str())?;
        Some((unit, place))
    });
    let of = of.collect();
    Ok((names, of))
}
