//! Where raters differ and what counts: units that two or more people labelled, their answers side by side, the gold answer.
//!
//! Whoever decides sees all human answers. A model's answer is told only when it is asked for, and that it was is on record before it is
//! told: a decision that was made with a model in sight is no independent one.

use super::desk::{self, DeskError, Giving, Own, Progress, seconds_of};
use super::pile::Card;
use super::question::is_required;
use crate::answer::Evidence;
use crate::codebook::{Codebook, Field, FieldKind};
use crate::gold::edit::Change;
use crate::gold::file::{GoldFile, Stamp};
use crate::gold::journal::{self, Entry, What};
use crate::gold::{GOLD_RATER, Gold, GoldRow, cell};
use crate::run::Annotation;
use crate::unit::UnitId;
use serde::Serialize;
use serde_json::{Map, Value};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Scores and shares that differ by more than this part of their range are decided by a person; others may be averaged.
pub const FAR: f64 = 0.2;

/// How far the raters of a unit are apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Somebody has to decide.
    Differ,
    /// Numbers differ a little; their mean will do.
    Close,
    /// All say the same.
    Agree,
}

/// One rater's answer.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Voice {
    /// The rater.
    pub rater: String,
    /// The fields.
    pub fields: Map<String, Value>,
    /// The note.
    pub note: String,
    /// The evidence, where the journal has some.
    pub evidence: Vec<Evidence>,
}

/// A unit that several people labelled.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Case {
    /// How far they are apart.
    pub verdict: Verdict,
    /// Fields on which they differ.
    pub open: Vec<String>,
    /// Their answers, by rater.
    pub voices: Vec<Voice>,
    /// What follows from them where nobody need decide: answers that are the same, and means.
    pub settled: Map<String, Value>,
    /// The gold answer, if there is one.
    pub decision: Option<Decision>,
}

/// A gold answer.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Decision {
    /// The fields.
    pub fields: Map<String, Value>,
    /// Why.
    pub note: String,
}

/// A model's answers, told on demand.
#[derive(Debug)]
pub struct Model {
    /// The run.
    pub run: String,
    /// The model.
    pub rater: String,
    /// Its answers.
    pub answers: HashMap<UnitId, Annotation>,
}

/// What a model said of a unit.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ModelVoice {
    /// The run.
    pub run: String,
    /// The model, and whether it answered.
    pub rater: String,
    /// How it ended; `None` where the run does not have the unit.
    pub status: Option<crate::run::Status>,
    /// The fields.
    pub fields: Map<String, Value>,
    /// The evidence.
    pub evidence: Vec<Evidence>,
}

/// How many cases are without a decision and need none of a person's.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Rest {
    /// All say the same.
    pub agreed: usize,
    /// Numbers differ a little.
    pub averaged: usize,
}

/// How far a case is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// How far the raters are apart.
    pub verdict: Verdict,
    /// Whether there is a gold answer.
    pub decided: bool,
    /// Whether a rater noted anything.
    pub noted: bool,
}

/// What the answers to a unit come to.
struct Reading {
    verdict: Verdict,
    open: Vec<String>,
    settled: Map<String, Value>,
}

/// What is written at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Which {
    /// Cases on which all agree.
    Agreed,
    /// Cases whose numbers are averaged.
    Averaged,
}

/// A row before and after it was decided on.
type Turn = (UnitId, Option<Own>, Option<Own>);

#[derive(Debug, Default)]
struct Table {
    stamp: Option<Stamp>,
    /// By unit: the raters' rows, and the gold row.
    rows: HashMap<UnitId, (Vec<GoldRow>, Option<GoldRow>)>,
    evidence: HashMap<(UnitId, String), Vec<Evidence>>,
    shown: HashSet<UnitId>,
    /// Decisions that can be taken back: where they were made, and the rows.
    steps: Vec<(usize, Vec<Turn>)>,
    now: usize,
}

/// Several raters' answers, and somebody who decides.
#[derive(Debug)]
pub struct Adjudication {
    gold: GoldFile,
    codebook: Arc<Codebook>,
    by: String,
    models: Vec<Model>,
    cards: Vec<Card>,
    table: Mutex<Table>,
}

impl Adjudication {
    /// The units of the gold file that two or more raters labelled: where they differ first, each group in the file's order. `by` is who
    /// decides.
    pub fn new(
        gold: GoldFile,
        codebook: Arc<Codebook>,
        by: &str,
        models: Vec<Model>,
    ) -> Result<Adjudication, DeskError> {
        let path = gold.journal_path();
        let (entries, _) = journal::read(&path).map_err(|source| DeskError::Journal { path, source })?;
        let mut table = Table::default();
        for entry in entries {
            match entry.what {
                What::Answer | What::Undo => {
                    table.evidence.insert((entry.unit, entry.rater), entry.evidence);
                }
                What::ModelShown => {
                    table.shown.insert(entry.unit);
                }
                What::Skip | What::Adjudicated => {}
            }
        }
        let mut adjudication =
            Adjudication { gold, codebook, by: by.to_owned(), models, cards: Vec::new(), table: Mutex::new(table) };
        let rows = adjudication.gold.rows()?;
        let mut order: Vec<Card> = Vec::new();
        let mut seen = HashSet::new();
        for row in &rows {
            if seen.insert(row.unit.clone()) {
                order.push(Card::of_row(row.clone()));
            }
        }
        {
            let table = adjudication.refreshed()?;
            order.retain(|card| table.rows.get(&card.unit).is_some_and(|(raters, _)| raters.len() >= 2));
            order.sort_by_key(|card| adjudication.case_of(&table, &card.unit).verdict);
        }
        adjudication.cards = order;
        Ok(adjudication)
    }

    /// Who decides.
    pub fn by(&self) -> &str {
        &self.by
    }

    /// The gold file's path.
    pub fn gold(&self) -> &GoldFile {
        &self.gold
    }

    /// The codebook.
    pub fn codebook(&self) -> &Arc<Codebook> {
        &self.codebook
    }

    /// The runs whose answers can be asked for.
    pub fn runs(&self) -> Vec<&str> {
        self.models.iter().map(|model| model.run.as_str()).collect()
    }

    /// How many cases there are.
    pub fn len(&self) -> usize {
        self.cards.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.cards.is_empty()
    }

    /// The unit at a place of the list.
    pub fn unit(&self, at: usize) -> Result<&UnitId, DeskError> {
        self.card(at).map(|card| &card.unit)
    }

    fn card(&self, at: usize) -> Result<&Card, DeskError> {
        self.cards.get(at).ok_or(DeskError::NoUnit(at + 1))
    }

    /// The gold file's rows without the adjudicated ones, as statistics take them.
    pub fn human(&self) -> Result<Option<Gold>, DeskError> {
        let gold = self.gold.gold()?;
        Ok(gold.map(|mut gold| {
            gold.rows.retain(|row| row.rater != GOLD_RATER);
            gold
        }))
    }

    fn refreshed(&self) -> Result<MutexGuard<'_, Table>, DeskError> {
        let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        let stamp = self.gold.stamp();
        if table.stamp != Some(stamp) {
            table.take_rows(self.gold.rows()?);
            table.stamp = Some(stamp);
        }
        Ok(table)
    }

    fn case_of(&self, table: &Table, unit: &UnitId) -> Case {
        let (rows, gold) = table.rows.get(unit).cloned().unwrap_or_default();
        let Reading { verdict, open, settled } = self.read(&rows);
        let voice = |row: GoldRow| Voice {
            evidence: table.evidence.get(&(unit.clone(), row.rater.clone())).cloned().unwrap_or_default(),
            rater: row.rater,
            fields: row.fields,
            note: row.note.unwrap_or_default(),
        };
        let decided = gold.filter(|row| self.is_whole(&row.fields));
        Case {
            verdict,
            open,
            voices: rows.into_iter().map(voice).collect(),
            settled,
            decision: decided.map(|row| Decision { fields: row.fields, note: row.note.unwrap_or_default() }),
        }
    }

    /// What the raters' rows of a unit come to.
    fn read(&self, rows: &[GoldRow]) -> Reading {
        let mut reading = Reading { verdict: Verdict::Agree, open: Vec::new(), settled: Map::new() };
        for field in self.codebook.fields.iter().filter(|field| field.kind.is_measured()) {
            let values: Vec<Option<&Value>> = rows.iter().map(|row| row.fields.get(&field.name)).collect();
            match settle(field, &values) {
                Settled::Missing => {}
                Settled::Same(value) => {
                    reading.settled.insert(field.name.clone(), value);
                }
                Settled::Mean(value) => {
                    reading.verdict = reading.verdict.min(Verdict::Close);
                    reading.settled.insert(field.name.clone(), value);
                }
                Settled::Open => {
                    reading.verdict = Verdict::Differ;
                    reading.open.push(field.name.clone());
                }
            }
        }
        reading
    }

    fn is_whole(&self, fields: &Map<String, Value>) -> bool {
        self.codebook.fields.iter().all(|field| !is_required(field) || fields.contains_key(&field.name))
    }

    /// A case, and whether a model's answer was looked at.
    pub fn case(&self, at: usize) -> Result<(Case, bool), DeskError> {
        let unit = self.unit(at)?;
        let table = self.refreshed()?;
        Ok((self.case_of(&table, unit), table.shown.contains(unit)))
    }

    /// For every case, in order: how far the raters are apart, whether it is decided, and whether anybody noted anything.
    pub fn states(&self) -> Result<Vec<Standing>, DeskError> {
        let table = self.refreshed()?;
        let state = |card: &Card| {
            let Some((rows, gold)) = table.rows.get(&card.unit) else {
                return Standing { verdict: Verdict::Agree, decided: false, noted: false };
            };
            Standing {
                verdict: self.read(rows).verdict,
                decided: gold.as_ref().is_some_and(|row| self.is_whole(&row.fields)),
                noted: rows.iter().any(|row| row.note.as_ref().is_some_and(|note| !note.is_empty())),
            }
        };
        Ok(self.cards.iter().map(state).collect())
    }

    /// How far it is: what is decided, what need not be decided by a person, and the first open case from a place on and then from the start.
    pub fn standing(&self, from: usize) -> Result<(Progress, Rest, Option<usize>), DeskError> {
        let states = self.states()?;
        let open = |wanted: Verdict| states.iter().filter(|one| one.verdict == wanted && !one.decided).count();
        let rest = Rest { agreed: open(Verdict::Agree), averaged: open(Verdict::Close) };
        let done = states.iter().filter(|one| one.decided).count();
        let now = self.table.lock().unwrap_or_else(PoisonError::into_inner).now;
        let from = from.min(states.len());
        let next = (from..states.len()).chain(0..from).find(|at| !states[*at].decided);
        Ok((Progress { units: states.len(), done, skipped: 0, now }, rest, next))
    }

    /// How much is decided.
    pub fn progress(&self) -> Result<Progress, DeskError> {
        self.standing(0).map(|(progress, _, _)| progress)
    }

    /// Writes the gold answer of a case. `how` is `taken` from a rater or `decided`. It is on disk when this returns.
    pub fn decide(&self, at: usize, giving: Giving, how: String) -> Result<(), DeskError> {
        let card = self.card(at)?;
        let change = self.change(card, &giving)?;
        let entry = self.entry(card, &giving, how);
        let mut table = self.refreshed()?;
        self.write(&mut table, at, vec![change], vec![entry])
    }

    /// Writes the gold answer of all cases of a kind that have none. `expected` is how many the person was told of.
    pub fn settle(&self, which: Which, expected: usize) -> Result<usize, DeskError> {
        let wanted = if which == Which::Agreed { Verdict::Agree } else { Verdict::Close };
        let mut table = self.refreshed()?;
        let (mut changes, mut entries) = (Vec::new(), Vec::new());
        for card in &self.cards {
            let case = self.case_of(&table, &card.unit);
            if case.verdict != wanted || case.decision.is_some() {
                continue;
            }
            let giving = Giving { fields: case.settled, ..Giving::default() };
            changes.push(self.change(card, &giving)?);
            entries.push(self.entry(card, &giving, if which == Which::Agreed { "agreed" } else { "mean" }.to_owned()));
        }
        let count = changes.len();
        if count != expected {
            return Err(DeskError::Answer(format!("there are {count} of these by now, not {expected}; look again")));
        }
        self.write(&mut table, 0, changes, entries)?;
        Ok(count)
    }

    fn change(&self, card: &Card, giving: &Giving) -> Result<Change, DeskError> {
        if let Some(missing) = self
            .codebook
            .fields
            .iter()
            .find(|field| is_required(field) && giving.fields.get(&field.name).is_none_or(Value::is_null))
        {
            return Err(DeskError::Answer(format!("`{}` is missing", missing.name)));
        }
        // A gold score may be a mean.
        let cells = desk::cells(&self.codebook, giving, false).map_err(DeskError::Answer)?;
        Ok(Change::Put(desk::row(card, GOLD_RATER, cells)))
    }

    fn entry(&self, card: &Card, giving: &Giving, how: String) -> Entry {
        let mut entry = Entry::new(GOLD_RATER, &card.unit, What::Adjudicated);
        entry.fields = giving.fields.clone().into_iter().filter(|(_, value)| !value.is_null()).collect();
        entry.evidence.clone_from(&giving.evidence);
        entry.note = Some(giving.note.clone()).filter(|note| !note.is_empty());
        entry.seconds = Some(seconds_of(giving.seconds)).filter(|seconds| *seconds > 0.0);
        entry.by = Some(self.by.clone());
        entry.how = Some(how);
        entry.codebook = Some(self.codebook.version());
        entry
    }

    fn write(&self, table: &mut Table, at: usize, changes: Vec<Change>, entries: Vec<Entry>) -> Result<(), DeskError> {
        let units: Vec<UnitId> = entries.iter().map(|entry| entry.unit.clone()).collect();
        let mut before = Vec::new();
        let rows = self.gold.update(|rows| {
            before = units.iter().map(|unit| gold_of(rows, unit)).collect();
            (changes.clone(), entries.clone())
        })?;
        let turns = units.iter().zip(before).map(|(unit, before)| (unit.clone(), before, gold_of(&rows, unit)));
        table.now += units.len();
        table.steps.push((at, turns.collect()));
        table.take_rows(rows);
        table.stamp = None;
        Ok(())
    }

    /// Takes the last decision, or the last lot of them, back; says where it was made. Rows that somebody changed since are left alone.
    pub fn undo(&self) -> Result<usize, DeskError> {
        let mut table = self.refreshed()?;
        let (at, turns) = table.steps.pop().ok_or(DeskError::NothingToUndo)?;
        let (mut changes, mut entries) = (Vec::new(), Vec::new());
        for (unit, before, _) in &turns {
            let mut entry = Entry::new(GOLD_RATER, unit, What::Undo);
            entry.by = Some(self.by.clone());
            changes.push(match before {
                None => Change::Remove { unit: unit.clone(), rater: GOLD_RATER.to_owned() },
                Some(own) => {
                    entry.fields.clone_from(&own.fields);
                    let giving = Giving { fields: own.fields.clone(), note: own.note.clone(), ..Giving::default() };
                    let cells = desk::cells(&self.codebook, &giving, false).map_err(DeskError::Answer)?;
                    Change::Put(desk::row(&Card::of(unit.clone()), GOLD_RATER, cells))
                }
            });
            entries.push(entry);
        }
        let mut is_as_made = true;
        let written = self.gold.update(|rows| {
            is_as_made = turns.iter().all(|(unit, _, made)| gold_of(rows, unit) == *made);
            if is_as_made { (changes.clone(), entries.clone()) } else { (Vec::new(), Vec::new()) }
        });
        let rows = match written {
            Ok(rows) => rows,
            Err(error) => {
                table.steps.push((at, turns));
                return Err(error.into());
            }
        };
        table.take_rows(rows);
        table.stamp = None;
        if !is_as_made {
            return Err(DeskError::ChangedByHand);
        }
        table.now = table.now.saturating_sub(turns.len());
        Ok(at)
    }

    /// What the models said of a case; that somebody looked is on disk before this returns.
    pub fn show_models(&self, at: usize) -> Result<Vec<ModelVoice>, DeskError> {
        let unit = self.unit(at)?;
        let entry = |model: &Model| {
            let mut entry = Entry::new(GOLD_RATER, unit, What::ModelShown);
            entry.by = Some(self.by.clone());
            entry.run = Some(model.run.clone());
            entry
        };
        let entries: Vec<Entry> = self.models.iter().map(entry).collect();
        let mut table = self.refreshed()?;
        self.gold.update(|_| (Vec::new(), entries.clone()))?;
        table.shown.insert(unit.clone());
        let voice = |model: &Model| {
            let row = model.answers.get(unit);
            ModelVoice {
                run: model.run.clone(),
                rater: model.rater.clone(),
                status: row.map(|row| row.status),
                fields: row.map(|row| row.fields.clone()).unwrap_or_default(),
                evidence: row.map(|row| row.evidence.clone()).unwrap_or_default(),
            }
        };
        Ok(self.models.iter().map(voice).collect())
    }
}

impl Table {
    fn take_rows(&mut self, rows: Vec<GoldRow>) {
        self.rows.clear();
        for row in rows {
            let (raters, gold) = self.rows.entry(row.unit.clone()).or_default();
            if row.rater == GOLD_RATER {
                *gold = Some(row);
            } else if !row.fields.is_empty() {
                raters.push(row);
            }
        }
        for (raters, _) in self.rows.values_mut() {
            raters.sort_by(|a, b| a.rater.cmp(&b.rater));
        }
    }
}

fn gold_of(rows: &[GoldRow], unit: &UnitId) -> Option<Own> {
    let row = rows.iter().find(|row| row.rater == GOLD_RATER && row.unit == *unit)?;
    Some(Own { fields: row.fields.clone(), note: row.note.clone().unwrap_or_default() })
}

/// What several answers to one field come to.
#[derive(Debug, PartialEq)]
enum Settled {
    /// Nobody answered.
    Missing,
    /// All the same.
    Same(Value),
    /// Close enough for a mean.
    Mean(Value),
    /// To be decided.
    Open,
}

fn settle(field: &Field, values: &[Option<&Value>]) -> Settled {
    if values.iter().all(Option::is_none) {
        return Settled::Missing;
    }
    let Some(values) = values.iter().copied().collect::<Option<Vec<&Value>>>() else { return Settled::Open };
    if values.iter().all(|value| cell::same(value, values[0])) {
        return Settled::Same(values[0].clone());
    }
    match &field.kind {
        FieldKind::Score(score) => {
            let numbers: Vec<f64> = values.iter().filter_map(|value| value.as_f64()).collect();
            mean_if_close(&numbers, (score.max - score.min) as f64)
                .map_or(Settled::Open, |mean| Settled::Mean(Value::from(mean)))
        }
        FieldKind::Shares(parts) => {
            let mean = |part: &str| {
                let numbers: Vec<f64> = values.iter().filter_map(|value| value.get(part)?.as_f64()).collect();
                mean_if_close(&numbers, 100.0).map(|mean| (part.to_owned(), Value::from(mean)))
            };
            let means: Option<BTreeMap<String, Value>> = parts.iter().map(|part| mean(&part.name)).collect();
            let Some(mut means) = means else { return Settled::Open };
            let ordered = parts.iter().filter_map(|part| Some((part.name.clone(), means.remove(&part.name)?)));
            Settled::Mean(Value::Object(ordered.collect()))
        }
        _ => Settled::Open,
    }
}

/// The mean, to two digits, unless the numbers are farther apart than [`FAR`] of the range.
fn mean_if_close(numbers: &[f64], range: f64) -> Option<f64> {
    let (low, high) =
        numbers.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), x| (low.min(*x), high.max(*x)));
    (high - low <= FAR * range + 1e-9)
        .then(|| (numbers.iter().sum::<f64>() / numbers.len() as f64 * 100.0).round() / 100.0)
}

#[cfg(test)]
mod tests;
