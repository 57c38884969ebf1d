//! A run's shares and means, corrected: takes a run, gold and perhaps groups of units, gives numbers field by field.

use super::correct::{Correction, Design, Labelled, difference};
use super::drawing::{self, Drawing, DrawnUnit};
use super::error::EstimateError;
use super::misclassification::{self, MOST_CONDITION};
use super::numbers::{
    Difference, FieldEstimates, GoldUsed, GroupEstimates, Inversion, Named, RunEstimates, UnitCounts,
};
use super::poststratified::Target;
use super::sessions::ScoreUnit;
use super::strata::KnownStrata;
use crate::agreement::Estimate;
use crate::agreement::interval::Resampling;
use crate::agreement::ratings::{Answer, Level};
use crate::codebook::{Codebook, Collapse, FieldKind};
use crate::evaluation::{Column, RunRows};
use crate::gold::{Gold, GoldRow, Split};
use crate::run::vote::Voting;
use crate::run::{Annotation, Status};
use crate::unit::UnitId;
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// What a collapse leaves out is a label of its own here: shares are of all units.
const DROPPED: &str = "(dropped)";

/// Up to so many groups all pairs are compared; more are compared with the first.
const MOST_PAIRED_GROUPS: usize = 4;

/// What is estimated from what.
pub struct RunEstimation<'a> {
    /// The codebook.
    pub codebook: &'a Codebook,
    /// The run.
    pub run: &'a RunRows,
    /// Other runs of the same rater, for gold of other units.
    pub elsewhere: &'a [RunRows],
    /// The gold.
    pub gold: &'a Gold,
    /// Only this part of the gold.
    pub split: Option<Split>,
    /// Only this field.
    pub field: Option<&'a str>,
    /// Only this collapse.
    pub collapse: Option<&'a str>,
    /// The group of each unit that has one, and what groups are called.
    pub groups: Option<(&'a str, &'a HashMap<UnitId, String>)>,
    /// Which strata gold was drawn by.
    pub strata: &'a KnownStrata,
    /// Take gold without probabilities as a random part of the units.
    pub assume_random: bool,
    /// Whom the numbers are of.
    pub target: Target,
    /// Replicates and seed.
    pub resampling: Resampling,
}

/// A unit's answers by the model, with its place.
struct Answered<'r> {
    unit: &'r UnitId,
    session: usize,
    row: &'r Annotation,
}

impl RunEstimation<'_> {
    /// Computes everything.
    ///
    /// # Errors
    /// [`EstimateError`] where the gold does not allow a correction.
    pub fn compute(&self) -> Result<RunEstimates, EstimateError> {
        let manifest = &self.run.manifest;
        if manifest.codebook.hash != self.codebook.hash.as_str() {
            return Err(EstimateError::OtherCodebook { run: manifest.run.clone(), task: manifest.task.clone() });
        }
        let gold: Vec<&GoldRow> =
            self.gold.adjudicated().filter(|row| self.split.is_none() || row.split == self.split).collect();
        if gold.is_empty() {
            let part = if self.split.is_some() { " in this split" } else { "" };
            return Err(EstimateError::NotAdjudicated { path: self.gold.path.clone(), part: part.to_owned() });
        }
        let rows = voted(self.codebook, self.run);
        let asked: Vec<&Annotation> = rows.iter().filter(|row| row.status != Status::Skipped).collect();
        let own: BTreeSet<&str> = asked.iter().map(|row| row.unit.as_str()).collect();
        let in_run = gold.iter().filter(|row| own.contains(row.unit.as_str())).count();
        let elsewhere: Vec<Annotation> = match in_run {
            0 => self.elsewhere.iter().flat_map(|run| voted(self.codebook, run)).collect(),
            _ => vec![],
        };
        let sessions_of_gold: HashMap<&str, &str> =
            gold.iter().filter_map(|row| Some((row.unit.as_str(), row.session.as_deref()?))).collect();
        let mut places: HashMap<String, usize> = HashMap::new();
        let mut place = |unit: &UnitId| {
            let session =
                sessions_of_gold.get(unit.as_str()).map_or_else(|| unit.session().to_string(), |s| (*s).to_owned());
            let next = places.len();
            *places.entry(session).or_insert(next)
        };
        let units: Vec<Answered<'_>> =
            asked.iter().map(|row| Answered { unit: &row.unit, session: place(&row.unit), row }).collect();
        let sessions = units.iter().map(|unit| unit.session).collect::<BTreeSet<_>>().len();
        let wanted: BTreeSet<&str> = gold.iter().map(|row| row.unit.as_str()).collect();
        let mut met = BTreeSet::new();
        let others: Vec<Answered<'_>> = elsewhere
            .iter()
            .filter(|row| wanted.contains(row.unit.as_str()) && met.insert(row.unit.as_str()))
            .map(|row| Answered { unit: &row.unit, session: place(&row.unit), row })
            .collect();
        if in_run == 0 && others.is_empty() {
            return Err(EstimateError::NoOverlap { path: self.gold.path.clone(), rater: manifest.rater.clone() });
        }
        let answered = asked.iter().filter(|row| row.status.is_answered()).count();
        let mut without_answer: BTreeMap<Status, usize> = BTreeMap::new();
        for row in asked.iter().filter(|row| !row.status.is_answered()) {
            *without_answer.entry(row.status).or_default() += 1;
        }
        let fields = self.fields(&gold, &units, &others)?;
        let mut found = RunEstimates {
            run: manifest.run.clone(),
            task: manifest.task.clone(),
            rater: manifest.rater.clone(),
            codebook: manifest.codebook.hash.clone(),
            gold: GoldUsed {
                path: self.gold.path.clone(),
                hash: self.gold.hash.clone(),
                rows: gold.len(),
                in_run,
                assumed_random: self.assume_random && gold.iter().all(|row| row.probability.is_none()) && in_run > 0,
            },
            units: UnitCounts {
                all: asked.len(),
                answered,
                without_answer,
                skipped: rows.len() - asked.len(),
                sessions,
            },
            by: self.groups.map(|(name, _)| name.to_owned()),
            target: if self.target == Target::TheseUnits { "these units" } else { "population" },
            replicates: self.resampling.replicates,
            seed: self.resampling.seed,
            fields,
            test_opened: None,
            test_shown: None,
            leaks: None,
            assumptions: vec![],
            warnings: vec![],
            notes: vec![],
        };
        found.tell(self, &gold);
        if let Some((name, groups)) = self.groups {
            let mut of_session: HashMap<usize, &String> = HashMap::new();
            let mixed = units.iter().filter_map(|unit| Some((unit.session, groups.get(unit.unit)?)));
            let is_mixed =
                mixed.into_iter().any(|(session, group)| *of_session.entry(session).or_insert(group) != group);
            if is_mixed {
                found.warnings.push(format!(
                    "units of one session are in several groups of `{name}`: differences are taken as if they were independent"
                ));
            }
        }
        Ok(found)
    }

    fn fields(
        &self,
        gold: &[&GoldRow],
        units: &[Answered<'_>],
        others: &[Answered<'_>],
    ) -> Result<Vec<FieldEstimates>, EstimateError> {
        let columns: Vec<Column> = (Column::of_shares(self.codebook).into_iter())
            .filter(|column| !column.is_of_sets() && gold.iter().any(|row| row.fields.contains_key(&column.field)))
            .collect();
        let is_wanted = |column: &&Column| self.field.is_none_or(|name| column.field == name || column.name == name);
        let known = |names: BTreeSet<&str>| {
            if names.is_empty() { "none".to_owned() } else { names.into_iter().collect::<Vec<_>>().join(", ") }
        };
        if let Some(name) = self.field.filter(|_| !columns.iter().any(|column| is_wanted(&column))) {
            let known = known(columns.iter().map(|column| column.name.as_str()).collect());
            return Err(EstimateError::NotThere {
                task: self.codebook.task.clone(),
                what: "field",
                name: name.to_owned(),
                known,
            });
        }
        let mut fields = vec![];
        for column in columns.iter().filter(is_wanted) {
            if column.level == Level::Interval {
                if self.collapse.is_none() {
                    fields.push(self.score_field(column, gold, units, others)?);
                }
                continue;
            }
            if self.collapse.is_none() {
                fields.push(self.label_field(column, None, gold, units, others)?);
            }
            for collapse in column.collapses.iter().filter(|one| self.collapse.is_none_or(|name| one.name == name)) {
                fields.push(self.label_field(column, Some(collapse), gold, units, others)?);
            }
        }
        match self.collapse.filter(|_| fields.is_empty()) {
            None => Ok(fields),
            Some(name) => {
                let known =
                    known(columns.iter().flat_map(|column| &column.collapses).map(|one| one.name.as_str()).collect());
                Err(EstimateError::NotThere {
                    task: self.codebook.task.clone(),
                    what: "collapse",
                    name: name.to_owned(),
                    known,
                })
            }
        }
    }

    /// Decides how the gold of the units was drawn.
    fn drawing(&self, drawn: &[DrawnUnit], elsewhere: bool) -> Result<(Design, Option<String>), EstimateError> {
        Drawing { gold: self.gold, task: &self.codebook.task, assume_random: self.assume_random, strata: self.strata }
            .design(drawn, elsewhere)
    }

    /// The place of a unit's stratum; 0 where there are none.
    fn stratum(&self, unit: &UnitId) -> usize {
        match self.strata {
            KnownStrata::OfAll(strata) => strata.of.get(unit).copied().unwrap_or(0),
            _ => 0,
        }
    }

    /// Gold rows by unit. Of a part of the gold, recorded probabilities are those of being gold times the part's share.
    fn gold_of<'g>(&self, gold: &[&'g GoldRow], column: &Column) -> HashMap<&'g str, (&'g GoldRow, Option<f64>)> {
        let all = self.gold.adjudicated().count().max(1);
        let part = if self.split.is_some() { gold.len() as f64 / all as f64 } else { 1.0 };
        (gold.iter())
            .filter(|row| row.fields.contains_key(&column.field))
            .map(|row| (row.unit.as_str(), (*row, row.probability.map(|p| p * part))))
            .collect()
    }

    /// The groups in order with the units of each; one without a name if there are none.
    fn grouped<'u, T>(&self, units: &'u [(&UnitId, T)]) -> Vec<(Option<String>, Vec<&'u T>)> {
        let Some((_, groups)) = self.groups else {
            return vec![(None, units.iter().map(|(_, unit)| unit).collect())];
        };
        let mut found: BTreeMap<String, Vec<&T>> = BTreeMap::new();
        for (id, unit) in units {
            found.entry(groups.get(*id).cloned().unwrap_or_else(|| "unknown".to_owned())).or_default().push(unit);
        }
        found.into_iter().map(|(name, units)| (Some(name), units)).collect()
    }

    fn correction(&self, design: Design) -> Correction<'_> {
        let strata: &[String] = match self.strata {
            KnownStrata::OfAll(strata) => &strata.names,
            _ => &[],
        };
        Correction { design, strata, target: self.target, resampling: self.resampling }
    }

    fn label_field(
        &self,
        column: &Column,
        collapse: Option<&Collapse>,
        gold: &[&GoldRow],
        units: &[Answered<'_>],
        others: &[Answered<'_>],
    ) -> Result<FieldEstimates, EstimateError> {
        let mut labels: Vec<String> = vec![];
        for label in &column.labels {
            let target = collapse.map_or(label.as_str(), |one| one.map.get(label).map_or(DROPPED, String::as_str));
            if !labels.iter().any(|known| known == target) {
                labels.push(target.to_owned());
            }
        }
        let place = |answer: Answer| match answer {
            Answer::Text(label) if column.labels.contains(&label) => {
                let target = collapse.map_or(label.as_str(), |one| one.map.get(&label).map_or(DROPPED, String::as_str));
                labels.iter().position(|known| known == target)
            }
            _ => None,
        };
        let gold = self.gold_of(gold, column);
        let labelled = |unit: &Answered<'_>| {
            let drawn = gold.get(unit.unit.as_str());
            let answer = unit.row.status.is_answered().then(|| column.answer(&unit.row.fields));
            answer.and_then(place).map(|model| Labelled {
                session: unit.session,
                model,
                gold: drawn.and_then(|(row, _)| place(column.answer(&row.fields))),
                probability: drawn.and_then(|(_, probability)| *probability),
                stratum: self.stratum(unit.unit),
            })
        };
        let rated: Vec<(&UnitId, Option<Labelled>)> = units.iter().map(|unit| (unit.unit, labelled(unit))).collect();
        let elsewhere: Vec<Labelled> = others.iter().filter_map(labelled).filter(|unit| unit.gold.is_some()).collect();
        let drawn: Vec<DrawnUnit> = (rated.iter().filter_map(|(_, unit)| unit.as_ref()))
            .map(|unit| DrawnUnit {
                is_gold: unit.gold.is_some(),
                probability: unit.probability,
                label: Some(unit.model),
                stratum: unit.stratum,
            })
            .collect();
        let (design, design_note) = self.drawing(&drawn, !others.is_empty())?;
        let correction = self.correction(design);
        let warnings = drawing::doubts(&drawn, design);
        // Of two labels that are true and false the second says nothing more.
        let shown = if labels == ["true", "false"] { 1 } else { labels.len() };
        let mut groups = vec![];
        for (at, (group, members)) in self.grouped(&rated).into_iter().enumerate() {
            let of_group: Vec<Labelled> = members.iter().filter_map(|unit| **unit).collect();
            let estimate = |label: usize| {
                let mut corrected = match design {
                    Design::OtherUnits => correction.share_from_elsewhere(&of_group, label, &elsewhere),
                    _ => correction.share(&of_group, label, labels.len(), at as u64),
                };
                corrected.bound(of_group.len(), members.len(), (0.0, 1.0));
                Named { what: labels[label].clone(), corrected }
            };
            let estimates = (0..shown).map(estimate).collect();
            groups.push(GroupEstimates { group, units: members.len(), estimates });
        }
        let inversion = (design == Design::OtherUnits && labels.len() > 2).then(|| {
            let here: Vec<Labelled> = rated.iter().filter_map(|(_, unit)| *unit).collect();
            inverted(&here, &elsewhere, &labels)
        });
        let differences = differences(&groups);
        let collapse = collapse.map(|one| one.name.clone());
        let field = column.name.clone();
        Ok(FieldEstimates {
            field,
            collapse,
            quantity: "share",
            design,
            design_note,
            groups,
            differences,
            inversion,
            warnings,
        })
    }

    fn score_field(
        &self,
        column: &Column,
        gold: &[&GoldRow],
        units: &[Answered<'_>],
        others: &[Answered<'_>],
    ) -> Result<FieldEstimates, EstimateError> {
        let number = |answer: Answer| if let Answer::Number(x) = answer { Some(x) } else { None };
        let gold = self.gold_of(gold, column);
        type Scored = Option<(ScoreUnit, Option<f64>)>;
        let rated: Vec<(&UnitId, Scored)> = (units.iter())
            .map(|unit| {
                let drawn = gold.get(unit.unit.as_str());
                let answer = unit.row.status.is_answered().then(|| column.answer(&unit.row.fields));
                let scored = answer.and_then(number).map(|guess| {
                    let gold = drawn.and_then(|(row, _)| number(column.answer(&row.fields)));
                    (
                        ScoreUnit { session: unit.session, guess, gold, stratum: self.stratum(unit.unit) },
                        drawn.and_then(|(_, probability)| *probability),
                    )
                });
                (unit.unit, scored)
            })
            .collect();
        let drawn: Vec<DrawnUnit> = (rated.iter().filter_map(|(_, unit)| unit.as_ref()))
            .map(|(unit, probability)| DrawnUnit {
                is_gold: unit.gold.is_some(),
                probability: *probability,
                label: None,
                stratum: unit.stratum,
            })
            .collect();
        let (design, design_note) = self.drawing(&drawn, !others.is_empty())?;
        let warnings = drawing::doubts(&drawn, design);
        let ends = self.codebook.field(&column.field).and_then(|field| match &field.kind {
            FieldKind::Score(score) => Some((score.min as f64, score.max as f64)),
            FieldKind::Shares(_) => Some((0.0, 100.0)),
            _ => None,
        });
        let mut groups = vec![];
        for (group, members) in self.grouped(&rated) {
            let of_group: Vec<(ScoreUnit, Option<f64>)> = members.iter().filter_map(|unit| **unit).collect();
            let rows: Vec<ScoreUnit> = of_group.iter().map(|(unit, _)| *unit).collect();
            let probabilities: Vec<Option<f64>> = of_group.iter().map(|(_, probability)| *probability).collect();
            let mut corrected = self.correction(design).mean(&rows, &probabilities);
            if design == Design::OtherUnits {
                let reason =
                    "gold of other units says nothing about a mean here: that needs gold on some of these units";
                corrected.corrected = Estimate::undefined(reason);
            }
            if let Some(ends) = ends {
                corrected.bound(rows.len(), members.len(), ends);
            }
            let estimates = vec![Named { what: "mean".to_owned(), corrected }];
            groups.push(GroupEstimates { group, units: members.len(), estimates });
        }
        let differences = differences(&groups);
        let field = column.name.clone();
        Ok(FieldEstimates {
            field,
            collapse: None,
            quantity: "mean",
            design,
            design_note,
            groups,
            differences,
            inversion: None,
            warnings,
        })
    }
}

/// A row a unit: votes where there are several samples.
fn voted(codebook: &Codebook, run: &RunRows) -> Vec<Annotation> {
    match run.has_samples() {
        true => Voting::new(codebook).votes(&run.rows).into_iter().map(|vote| vote.row).collect(),
        false => run.rows.clone(),
    }
}

fn differences(groups: &[GroupEstimates]) -> Vec<Difference> {
    let last_first = if groups.len() <= MOST_PAIRED_GROUPS { groups.len() } else { 1 };
    let mut found = vec![];
    for (at, a) in groups.iter().enumerate().take(last_first) {
        for b in &groups[at + 1..] {
            for (x, y) in a.estimates.iter().zip(&b.estimates) {
                let (raw, corrected) = difference(&x.corrected, &y.corrected);
                let name = |group: &GroupEstimates| group.group.clone().unwrap_or_default();
                found.push(Difference { what: x.what.clone(), a: name(a), b: name(b), raw, corrected });
            }
        }
    }
    found
}

fn inverted(here: &[Labelled], elsewhere: &[Labelled], labels: &[String]) -> Inversion {
    let q = labels.len();
    let mut counts = vec![vec![0.0; q]; q];
    for unit in elsewhere {
        if let Some(gold) = unit.gold {
            counts[gold][unit.model] += 1.0;
        }
    }
    let shares: Vec<f64> =
        (0..q).map(|k| here.iter().filter(|unit| unit.model == k).count() as f64 / here.len().max(1) as f64).collect();
    match misclassification::invert(&counts, &shares, labels) {
        Ok(found) if found.condition <= MOST_CONDITION => Inversion {
            note: (found.unclipped.iter().any(|share| *share < 0.0))
                .then(|| "some shares came out below 0; these are the nearest that do not".to_owned()),
            shares: Some(labels.iter().cloned().zip(found.projected).collect()),
            condition: Some(found.condition),
        },
        Ok(found) => Inversion {
            shares: None,
            condition: Some(found.condition),
            note: Some(
                super::NoCorrection::IllConditioned { condition: found.condition, most: MOST_CONDITION }.to_string(),
            ),
        },
        Err(reason) => Inversion { shares: None, condition: None, note: Some(reason.to_string()) },
    }
}
