//! One rater's work on a pile of units: answers, what was skipped, and the way back. What is given back is on disk.
//!
//! A desk looks at its own rater's rows and drops all others where they are read, so that nothing it says can tell of them.

use super::pile::Card;
use super::question::is_required;
use crate::answer::{self, Evidence};
use crate::codebook::{Codebook, FieldKind};
use crate::gold::edit::{Change, Row};
use crate::gold::file::{GoldFile, GoldWriteError, Stamp};
use crate::gold::journal::{self, Entry, What};
use crate::gold::{GOLD_RATER, GoldError, GoldRow, cell};
use crate::unit::UnitId;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use miette::Diagnostic;
use serde::Serialize;
use serde_json::{Map, Value};
use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Bytes of a text or a note, at most.
const LONGEST_TEXT: usize = 100_000;

/// Why something was not done.
#[derive(Debug, thiserror::Error, Diagnostic)]
pub enum DeskError {
    /// A name under which nobody can label.
    #[error("`{0}` cannot be a rater's name here")]
    #[diagnostic(help(
        "name yourself with --rater NAME, without line breaks; `gold` is the adjudicated answer, which --adjudicate makes, and names with `@` are those of models"
    ))]
    Rater(String),
    /// There is no such unit on the pile.
    #[error("there is no unit {0} here")]
    NoUnit(usize),
    /// The answer is not in the codebook's form.
    #[error("{0}")]
    Answer(String),
    /// A skipped unit has an answer.
    #[error("this unit has an answer; change it, or undo it")]
    HasAnswer,
    /// Nothing can be taken back.
    #[error("there is nothing to undo")]
    NothingToUndo,
    /// The row is no longer what it was made.
    #[error("the row was changed by hand since; it was left as it is")]
    ChangedByHand,
    /// The gold file cannot be read or written.
    #[error(transparent)]
    #[diagnostic(transparent)]
    File(#[from] GoldWriteError),
    /// The journal cannot be read.
    #[error("cannot read {path}: {source}", path = path.display())]
    Journal {
        /// The journal.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
}

impl From<GoldError> for DeskError {
    fn from(error: GoldError) -> DeskError {
        DeskError::File(GoldWriteError::Gold(error))
    }
}

/// How far the rater has come with a unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Not labelled.
    Todo,
    /// Labelled: every field that an answer needs is there.
    Done,
    /// Put off.
    Skipped,
}

impl State {
    fn name(self) -> &'static str {
        match self {
            State::Todo => "todo",
            State::Done => "done",
            State::Skipped => "skipped",
        }
    }
}

/// What a rater gave for a unit so far.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Given {
    /// How far it is.
    pub state: State,
    /// The fields.
    pub fields: Map<String, Value>,
    /// The evidence.
    pub evidence: Vec<Evidence>,
    /// The note.
    pub note: String,
}

/// An answer as a person gives it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Giving {
    /// The fields; `null` and an absent one are missing.
    pub fields: Map<String, Value>,
    /// The evidence, checked.
    pub evidence: Vec<Evidence>,
    /// A note.
    pub note: String,
    /// Seconds that it took.
    pub seconds: f64,
}

/// How much is done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Progress {
    /// Units on the pile.
    pub units: usize,
    /// Labelled ones.
    pub done: usize,
    /// Those that were put off.
    pub skipped: usize,
    /// Answers given at this desk since it was set up.
    pub now: usize,
}

/// One rater's row, as far as a desk changes it.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Own {
    pub(super) fields: Map<String, Value>,
    pub(super) note: String,
}

/// What can be taken back.
#[derive(Debug)]
struct Step {
    at: usize,
    before: Option<Own>,
    evidence_before: Vec<Evidence>,
    put_off_before: Option<String>,
    /// What the row was made; `None` for a skip, which leaves it alone.
    made: Option<Own>,
}

#[derive(Debug, Default)]
struct Work {
    stamp: Option<Stamp>,
    rows: HashMap<UnitId, Own>,
    /// Units that were put off, with the note.
    put_off: HashMap<UnitId, String>,
    evidence: HashMap<UnitId, Vec<Evidence>>,
    steps: Vec<Step>,
    now: usize,
}

/// A rater at a pile.
#[derive(Debug)]
pub struct Desk {
    gold: GoldFile,
    codebook: Arc<Codebook>,
    rater: String,
    cards: Vec<Card>,
    work: Mutex<Work>,
}

impl Desk {
    /// Sets a rater at a pile; what was done before is taken up.
    pub fn new(gold: GoldFile, codebook: Arc<Codebook>, rater: &str, cards: Vec<Card>) -> Result<Desk, DeskError> {
        if rater.trim() != rater || rater.is_empty() || is_taken(rater) || rater.contains(char::is_control) {
            return Err(DeskError::Rater(rater.to_owned()));
        }
        let path = gold.journal_path();
        let (entries, _) = journal::read(&path).map_err(|source| DeskError::Journal { path, source })?;
        let mut work = Work::default();
        for entry in entries.into_iter().filter(|entry| entry.rater == rater) {
            work.take_up(entry);
        }
        let desk = Desk { gold, codebook, rater: rater.to_owned(), cards, work: Mutex::new(work) };
        drop(desk.refreshed()?);
        Ok(desk)
    }

    /// The rater.
    pub fn rater(&self) -> &str {
        &self.rater
    }

    /// The codebook.
    pub fn codebook(&self) -> &Arc<Codebook> {
        &self.codebook
    }

    /// How many units there are.
    pub fn len(&self) -> usize {
        self.cards.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.cards.is_empty()
    }

    /// The unit at a place of the pile.
    pub fn unit(&self, at: usize) -> Result<&UnitId, DeskError> {
        self.card(at).map(|card| &card.unit)
    }

    fn card(&self, at: usize) -> Result<&Card, DeskError> {
        self.cards.get(at).ok_or(DeskError::NoUnit(at + 1))
    }

    fn work(&self) -> MutexGuard<'_, Work> {
        self.work.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The work, with the rows as the file has them now: somebody may have edited it.
    fn refreshed(&self) -> Result<MutexGuard<'_, Work>, DeskError> {
        let mut work = self.work();
        let stamp = self.gold.stamp();
        if work.stamp != Some(stamp) {
            let rows = self.gold.rows()?;
            self.take_rows(&mut work, rows);
            work.stamp = Some(stamp);
        }
        Ok(work)
    }

    fn take_rows(&self, work: &mut Work, rows: Vec<GoldRow>) {
        let own = rows.into_iter().filter(|row| row.rater == self.rater);
        work.rows = own.map(|row| (row.unit, Own { fields: row.fields, note: row.note.unwrap_or_default() })).collect();
    }

    fn is_whole(&self, own: &Own) -> bool {
        self.codebook.fields.iter().all(|field| !is_required(field) || own.fields.contains_key(&field.name))
    }

    fn state(&self, work: &Work, unit: &UnitId) -> State {
        match work.rows.get(unit) {
            Some(own) if self.is_whole(own) => State::Done,
            _ if work.put_off.contains_key(unit) => State::Skipped,
            _ => State::Todo,
        }
    }

    /// How far every unit is, in the pile's order, and whether it has a note.
    pub fn states(&self) -> Result<Vec<(State, bool)>, DeskError> {
        let work = self.refreshed()?;
        let of = |card: &Card| {
            let noted = work.rows.get(&card.unit).map(|own| &own.note).or_else(|| work.put_off.get(&card.unit));
            (self.state(&work, &card.unit), noted.is_some_and(|note| !note.is_empty()))
        };
        Ok(self.cards.iter().map(of).collect())
    }

    /// How far it is: how much is done, and the first unit that is not, from a place on and then from the start; those that were put off come
    /// last.
    pub fn standing(&self, from: usize) -> Result<(Progress, Option<usize>), DeskError> {
        let states = self.states()?;
        let count = |wanted: State| states.iter().filter(|(state, _)| *state == wanted).count();
        let (done, skipped, now) = (count(State::Done), count(State::Skipped), self.work().now);
        let from = from.min(states.len());
        let first = |wanted: State| (from..states.len()).chain(0..from).find(|at| states[*at].0 == wanted);
        let next = first(State::Todo).or_else(|| first(State::Skipped));
        Ok((Progress { units: states.len(), done, skipped, now }, next))
    }

    /// How much is done.
    pub fn progress(&self) -> Result<Progress, DeskError> {
        self.standing(0).map(|(progress, _)| progress)
    }

    /// The first unit that is not done, from a place on.
    pub fn next_from(&self, from: usize) -> Result<Option<usize>, DeskError> {
        self.standing(from).map(|(_, next)| next)
    }

    /// What the rater gave for a unit so far.
    pub fn given(&self, at: usize) -> Result<Given, DeskError> {
        let unit = self.unit(at)?;
        let work = self.refreshed()?;
        let own = work.rows.get(unit).cloned().unwrap_or_default();
        let note = if own.note.is_empty() { work.put_off.get(unit).cloned().unwrap_or_default() } else { own.note };
        Ok(Given {
            state: self.state(&work, unit),
            fields: own.fields,
            evidence: work.evidence.get(unit).cloned().unwrap_or_default(),
            note,
        })
    }

    /// Writes an answer. It is on disk when this returns.
    pub fn answer(&self, at: usize, giving: Giving) -> Result<(), DeskError> {
        let card = self.card(at)?;
        let cells = cells(&self.codebook, &giving, true).map_err(DeskError::Answer)?;
        let row = row(card, &self.rater, cells);
        let mut entry = self.entry(&card.unit, What::Answer, giving.seconds);
        entry.fields = giving.fields.clone().into_iter().filter(|(_, value)| !value.is_null()).collect();
        entry.evidence = giving.evidence.clone();
        entry.note = Some(giving.note.clone()).filter(|note| !note.is_empty());
        let mut work = self.refreshed()?;
        let mut before = None;
        let rows = self.gold.update(|rows| {
            before = self.own_of(rows, &card.unit);
            (vec![Change::Put(row.clone())], vec![entry.clone()])
        })?;
        let made = self.own_of(&rows, &card.unit);
        self.take_rows(&mut work, rows);
        let step = Step {
            at,
            before,
            evidence_before: work.evidence.insert(card.unit.clone(), giving.evidence).unwrap_or_default(),
            put_off_before: work.put_off.remove(&card.unit),
            made,
        };
        work.steps.push(step);
        work.now += 1;
        work.stamp = None;
        Ok(())
    }

    /// Puts a unit off.
    pub fn skip(&self, at: usize, note: &str, seconds: f64) -> Result<(), DeskError> {
        let card = self.card(at)?;
        let note = checked_text("note", note).map_err(DeskError::Answer)?;
        let mut work = self.refreshed()?;
        if self.state(&work, &card.unit) == State::Done {
            return Err(DeskError::HasAnswer);
        }
        let mut entry = self.entry(&card.unit, What::Skip, seconds);
        entry.note = Some(note.to_owned()).filter(|note| !note.is_empty());
        self.gold.update(|_| (Vec::new(), vec![entry.clone()]))?;
        let put_off_before = work.put_off.insert(card.unit.clone(), note.to_owned());
        let step = Step { at, before: None, evidence_before: Vec::new(), put_off_before, made: None };
        work.steps.push(step);
        Ok(())
    }

    /// Takes the last answer or skip back, and says which unit's it was. A row that somebody changed since is left alone.
    pub fn undo(&self) -> Result<usize, DeskError> {
        let mut work = self.refreshed()?;
        let step = work.steps.pop().ok_or(DeskError::NothingToUndo)?;
        let at = step.at;
        match self.take_back(&mut work, &step) {
            Err(error @ DeskError::File(_)) => {
                work.steps.push(step);
                Err(error)
            }
            done => done.map(|()| at),
        }
    }

    fn take_back(&self, work: &mut Work, step: &Step) -> Result<(), DeskError> {
        let card = self.card(step.at)?;
        let mut entry = self.entry(&card.unit, What::Undo, 0.0);
        entry.seconds = None;
        entry.note = step.put_off_before.clone().filter(|note| !note.is_empty());
        let state = match (&step.before, &step.put_off_before) {
            (_, Some(_)) => State::Skipped,
            (Some(own), None) if self.is_whole(own) => State::Done,
            _ => State::Todo,
        };
        entry.state = Some(state.name().to_owned());
        let Some(made) = &step.made else {
            entry.evidence = work.evidence.get(&card.unit).cloned().unwrap_or_default();
            self.gold.update(|_| (Vec::new(), vec![entry.clone()]))?;
            work.restore_skip(&card.unit, step.put_off_before.clone());
            return Ok(());
        };
        let change = match &step.before {
            None => Change::Remove { unit: card.unit.clone(), rater: self.rater.clone() },
            Some(own) => {
                entry.fields.clone_from(&own.fields);
                let giving = Giving { fields: own.fields.clone(), note: own.note.clone(), ..Giving::default() };
                Change::Put(row(card, &self.rater, cells(&self.codebook, &giving, false).map_err(DeskError::Answer)?))
            }
        };
        entry.evidence.clone_from(&step.evidence_before);
        let mut is_as_made = true;
        let rows = self.gold.update(|rows| {
            is_as_made = self.own_of(rows, &card.unit).as_ref() == Some(made);
            if is_as_made { (vec![change.clone()], vec![entry.clone()]) } else { (Vec::new(), Vec::new()) }
        })?;
        self.take_rows(work, rows);
        work.stamp = None;
        if !is_as_made {
            return Err(DeskError::ChangedByHand);
        }
        work.evidence.insert(card.unit.clone(), step.evidence_before.clone());
        work.restore_skip(&card.unit, step.put_off_before.clone());
        work.now = work.now.saturating_sub(1);
        Ok(())
    }

    fn own_of(&self, rows: &[GoldRow], unit: &UnitId) -> Option<Own> {
        let row = rows.iter().find(|row| row.rater == self.rater && row.unit == *unit)?;
        Some(Own { fields: row.fields.clone(), note: row.note.clone().unwrap_or_default() })
    }

    fn entry(&self, unit: &UnitId, what: What, seconds: f64) -> Entry {
        let mut entry = Entry::new(&self.rater, unit, what);
        entry.seconds = Some(seconds_of(seconds));
        entry.codebook = Some(self.codebook.version());
        entry
    }
}

impl Work {
    /// What an entry of the journal left behind.
    fn take_up(&mut self, entry: Entry) {
        let Entry { unit, what, evidence, note, state, .. } = entry;
        match what {
            What::Answer => {
                self.put_off.remove(&unit);
                self.evidence.insert(unit, evidence);
            }
            What::Skip => {
                self.put_off.insert(unit, note.unwrap_or_default());
            }
            What::Undo => {
                match state.as_deref() {
                    Some("skipped") => self.put_off.insert(unit.clone(), note.unwrap_or_default()),
                    _ => self.put_off.remove(&unit),
                };
                self.evidence.insert(unit, evidence);
            }
            What::Adjudicated | What::ModelShown => {}
        }
    }

    fn restore_skip(&mut self, unit: &UnitId, note: Option<String>) {
        match note {
            Some(note) => self.put_off.insert(unit.clone(), note),
            None => self.put_off.remove(unit),
        };
    }
}

/// Seconds as they are kept: a browser may say anything.
pub(super) fn seconds_of(seconds: f64) -> f64 {
    if seconds.is_finite() { (seconds.clamp(0.0, 86_400.0) * 10.0).round() / 10.0 } else { 0.0 }
}

fn checked_text<'t>(what: &str, text: &'t str) -> Result<&'t str, String> {
    match text {
        text if text.len() > LONGEST_TEXT => Err(format!("{what} is longer than {LONGEST_TEXT} bytes")),
        text if text.contains('\0') => Err(format!("{what} holds a NUL")),
        text => Ok(text),
    }
}

/// The cells of an answer, by column. `strict` is how people answer: every field that is needed, whole scores.
pub(super) fn cells(codebook: &Codebook, giving: &Giving, strict: bool) -> Result<BTreeMap<String, String>, String> {
    if let Some(unknown) = giving
        .fields
        .keys()
        .find(|name| codebook.field(name).is_none_or(|field| matches!(field.kind, FieldKind::Evidence)))
    {
        return Err(format!("`{unknown}` is no field of this task"));
    }
    let mut cells = BTreeMap::new();
    for field in codebook.fields.iter().filter(|field| !matches!(field.kind, FieldKind::Evidence)) {
        let value = giving.fields.get(&field.name).unwrap_or(&Value::Null);
        if value.is_null() && strict && is_required(field) {
            return Err(format!("`{}` is missing", field.name));
        }
        if let (Value::String(text), FieldKind::Text) = (value, &field.kind) {
            checked_text(&field.name, text)?;
        }
        if strict && !value.is_null() {
            answer::check(field, value.clone()).map_err(|problem| format!("`{}` {problem}", field.name))?;
        }
        let text = cell::write(field, value).map_err(|problem| format!("`{}` {problem}", field.name))?;
        cells.insert(field.name.clone(), text);
    }
    cells.insert("note".to_owned(), checked_text("note", &giving.note)?.to_owned());
    Ok(cells)
}

/// The row of an answer: with what is known of the unit's draw, and with today's date where the file has dates.
pub(super) fn row(card: &Card, rater: &str, cells: BTreeMap<String, String>) -> Row {
    let date = Timestamp::now().to_zoned(TimeZone::UTC).date().to_string();
    Row {
        unit: card.unit.clone(),
        rater: rater.to_owned(),
        cells,
        where_empty: card.design.clone(),
        where_column: BTreeMap::from([("date".to_owned(), date)]),
    }
}

/// Whether a name is that of the adjudicated answer, however it is written, or has the form of a model's.
fn is_taken(rater: &str) -> bool {
    rater.eq_ignore_ascii_case(GOLD_RATER) || rater.contains('@')
}

#[cfg(test)]
mod tests;
