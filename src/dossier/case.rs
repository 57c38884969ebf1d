//! Units on which raters differ, with everybody's answer and what they say for it: takes gold and runs, gives those that tell most.
//!
//! A confusion is a cell of the matrix: what the reference says and what the first rater who differs says instead. One case of each confusion is
//! taken in turn, of the commonest first, so that a rare confusion is not lost behind a hundred of a common one. Within a confusion those come
//! first on which more models differ, humans agree with the reference, and models are surer.

use super::RunView;
use super::excerpt::Excerpt;
use crate::answer::Evidence;
use crate::codebook::{Codebook, Field, FieldKind};
use crate::evaluation::judged::JudgedField;
use crate::evaluation::sealed::Seal;
use crate::evaluation::stated_confidence;
use crate::gold::{GOLD_RATER, Gold, GoldRow, Split};
use crate::run::{Annotation, Status};
use crate::unit::UnitId;
use serde::Serialize;
use serde_json::Value;
use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap, HashSet};

/// Units on which raters differ.
#[derive(Debug, Default, Serialize)]
pub struct Disagreements {
    /// How many there are, a field at a time, sealed ones left out.
    pub all: usize,
    /// Those that are told.
    pub shown: Vec<Case>,
    /// Units of the test split on which raters differ, of which nothing is told.
    pub sealed: usize,
    /// Why transcripts could not be looked into, if they could not.
    pub without_transcripts: Option<String>,
}

/// A unit on which raters differ on a field.
#[derive(Debug, Clone, Serialize)]
pub struct Case {
    /// The field.
    pub field: String,
    /// The unit.
    pub unit: UnitId,
    /// Its split, where the gold says one.
    pub split: Option<&'static str>,
    /// What the adjudicated answer is, if there is one.
    pub reference: Option<String>,
    /// What raters said, models first.
    pub answers: Vec<RaterAnswer>,
    /// What was said in the session; none where its transcript is not here.
    pub excerpt: Option<Excerpt>,
}

/// What one rater said.
#[derive(Debug, Clone, Serialize)]
pub struct RaterAnswer {
    /// The rater.
    pub rater: String,
    /// Whether it is a model.
    pub is_model: bool,
    /// The answer; none where there is none.
    pub answer: Option<String>,
    /// Why there is none.
    pub status: Option<Status>,
    /// Whether it is another answer than the reference's, or, without a reference, than the first rater's.
    pub differs: bool,
    /// How sure the rater is, from 0 to 1: as stated, or the share of samples that agree.
    pub sure: Option<f64>,
    /// Its texts, by field.
    pub texts: Vec<(String, String)>,
    /// What it cites.
    pub evidence: Vec<Evidence>,
    /// A human's note.
    pub note: Option<String>,
    /// How much of the text a model saw.
    pub coverage: Option<f64>,
}

impl Case {
    /// The texts in it that came from transcripts and raters.
    pub(super) fn texts(&mut self) -> Vec<&mut String> {
        let mut texts: Vec<&mut String> = vec![];
        for answer in &mut self.answers {
            texts.extend(answer.texts.iter_mut().map(|(_, text)| text));
            texts.extend(answer.evidence.iter_mut().map(|evidence| &mut evidence.quote));
            texts.extend(answer.note.as_mut());
        }
        texts
    }
}

/// Everybody's rows on a unit.
#[derive(Default)]
struct Rows<'a> {
    gold: Option<&'a GoldRow>,
    humans: Vec<&'a GoldRow>,
    /// The run's place among the views, and the row's in it.
    models: Vec<(usize, usize)>,
}

/// Cases by field, reference's answer and another's.
type Confusions = BTreeMap<(usize, String, String), Vec<(Rank, UnitId)>>;

/// What makes a case tell more: compared from the left, the largest first.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
struct Rank {
    /// Models that differ.
    models: usize,
    /// Whether all humans are with the reference.
    humans_agree: bool,
    /// How far answers are apart.
    distance: f64,
    /// How sure the surest model that differs is.
    sure: f64,
}

/// Chooses `most` cases at most.
pub(crate) fn choose(
    codebook: &Codebook,
    gold: Option<&Gold>,
    split: Option<Split>,
    views: &[RunView<'_>],
    agreement: &[JudgedField],
    seal: &Seal,
    most: usize,
) -> Disagreements {
    let compared = |field: &&Field| {
        agreement
            .iter()
            .map(|field| &field.agreement)
            .any(|found| found.field.split(['.', ' ']).next() == Some(&field.name) && !found.pairs.is_empty())
    };
    let fields: Vec<&Field> = codebook.fields.iter().filter(compared).collect();
    let rows = rows_by_unit(gold, split, views, seal);
    let confidence = stated_confidence(codebook);
    let stated = |row: &Annotation| confidence.as_ref()?(row);
    let mut confusions: Confusions = BTreeMap::new();
    let mut all = 0;
    for (unit, rows) in &rows {
        for (place, field) in fields.iter().enumerate() {
            if gold.is_some() && !rows.gold.iter().chain(&rows.humans).any(|row| row.fields.contains_key(&field.name)) {
                continue;
            }
            let case = case(field, unit, rows, views, &stated);
            let Some((from, to, rank)) = ranked(field, &case, rows, views) else { continue };
            all += 1;
            confusions.entry((place, from, to)).or_default().push((rank, (*unit).clone()));
        }
    }
    let mut queues: Vec<(usize, Vec<(Rank, UnitId)>)> =
        confusions.into_iter().map(|((place, ..), cases)| (place, cases)).collect();
    for (_, cases) in &mut queues {
        // Units in order where nothing tells them apart.
        cases.sort_by(|a, b| b.0.partial_cmp(&a.0).unwrap_or(std::cmp::Ordering::Equal).then_with(|| a.1.cmp(&b.1)));
    }
    queues.sort_by_key(|(_, cases)| Reverse(cases.len()));
    let longest = queues.first().map_or(0, |(_, cases)| cases.len());
    let in_turn =
        (0..longest).flat_map(|nth| queues.iter().filter_map(move |(place, cases)| Some((*place, &cases.get(nth)?.1))));
    let shown =
        in_turn.take(most).map(|(place, unit)| case(fields[place], unit, &rows[unit], views, &stated)).collect();
    Disagreements { all, shown, sealed: 0, without_transcripts: None }
}

fn rows_by_unit<'a>(
    gold: Option<&'a Gold>,
    split: Option<Split>,
    views: &'a [RunView<'_>],
    seal: &Seal,
) -> BTreeMap<&'a UnitId, Rows<'a>> {
    let mut rows: BTreeMap<&UnitId, Rows<'_>> = BTreeMap::new();
    for row in gold.iter().flat_map(|gold| &gold.rows).filter(|row| split.is_none() || row.split == split) {
        let of_unit = rows.entry(&row.unit).or_default();
        match row.rater == GOLD_RATER {
            true => of_unit.gold = Some(row),
            false => of_unit.humans.push(row),
        }
    }
    for (view, one) in views.iter().enumerate() {
        for (at, row) in one.rows.iter().enumerate() {
            match (gold, rows.get_mut(&row.unit)) {
                (_, Some(of_unit)) => of_unit.models.push((view, at)),
                (None, None) => rows.entry(&row.unit).or_default().models.push((view, at)),
                (Some(_), None) => {}
            }
        }
    }
    rows.retain(|unit, _| !seal.hides(unit.as_str()));
    rows
}

fn case(
    field: &Field,
    unit: &UnitId,
    rows: &Rows<'_>,
    views: &[RunView<'_>],
    stated: &dyn Fn(&Annotation) -> Option<f64>,
) -> Case {
    let reference = rows.gold.and_then(|row| row.fields.get(&field.name));
    let first = rows.models.iter().find_map(|&(view, at)| value_of(&views[view].rows[at], field));
    let differs = |value: &Value| reference.or(first).is_some_and(|wanted| distance(&field.kind, wanted, value) > 0.0);
    let models = rows.models.iter().map(|&(view, at)| {
        let row = &views[view].rows[at];
        let value = value_of(row, field);
        RaterAnswer {
            rater: views[view].rater.to_owned(),
            is_model: true,
            answer: value.map(words),
            status: value.is_none().then_some(row.status),
            differs: value.is_some_and(differs),
            sure: sure(&views[view], at, field).or_else(|| stated(row)),
            texts: texts_of(row, field),
            evidence: row.evidence.clone(),
            note: None,
            coverage: Some(row.coverage.tokens),
        }
    });
    let humans = rows.humans.iter().chain(rows.gold.as_ref()).filter_map(|row| {
        let value = row.fields.get(&field.name);
        if row.rater == GOLD_RATER && row.note.is_none() {
            return None;
        }
        Some(RaterAnswer {
            rater: row.rater.clone(),
            is_model: false,
            answer: value.map(words),
            status: None,
            differs: value.is_some_and(differs),
            sure: None,
            texts: vec![],
            evidence: vec![],
            note: row.note.clone(),
            coverage: None,
        })
    });
    let split = rows.gold.or(rows.humans.first().copied()).and_then(|row| row.split).map(Split::name);
    Case {
        field: field.name.clone(),
        unit: unit.clone(),
        split,
        reference: reference.map(words),
        answers: models.chain(humans).collect(),
        excerpt: None,
    }
}

/// The confusion that a case is one of, and its rank; none where nobody differs.
fn ranked(field: &Field, case: &Case, rows: &Rows<'_>, views: &[RunView<'_>]) -> Option<(String, String, Rank)> {
    let other = case.answers.iter().find(|answer| answer.differs)?;
    let reference = rows.gold.and_then(|row| row.fields.get(&field.name));
    let apart = rows.models.iter().filter_map(|&(view, at)| {
        let value = value_of(&views[view].rows[at], field)?;
        Some(distance(&field.kind, reference?, value))
    });
    let models = case.answers.iter().filter(|answer| answer.is_model && answer.differs);
    let rank = Rank {
        models: models.clone().count(),
        humans_agree: !case.answers.iter().any(|answer| !answer.is_model && answer.differs),
        distance: apart.fold(0.0, f64::max),
        sure: models.filter_map(|answer| answer.sure).fold(0.0, f64::max),
    };
    let is_label = matches!(field.kind, FieldKind::Label(_) | FieldKind::Flag { .. });
    let cell = |answer: Option<&String>| if is_label { answer.cloned().unwrap_or_default() } else { String::new() };
    Some((cell(case.reference.as_ref()), cell(other.answer.as_ref()), rank))
}

fn value_of<'r>(row: &'r Annotation, field: &Field) -> Option<&'r Value> {
    row.fields.get(&field.name).filter(|value| row.status.is_answered() && !value.is_null())
}

/// The share of samples that agree with the vote on this field.
fn sure(view: &RunView<'_>, at: usize, field: &Field) -> Option<f64> {
    let vote = &view.votes.as_ref()?[at];
    let place = view.voted.iter().position(|name| *name == field.name)?;
    vote.agreement.get(place)?.share
}

/// The texts of a row that are no measured answer.
fn texts_of(row: &Annotation, measured: &Field) -> Vec<(String, String)> {
    let text = |(name, value): (&String, &Value)| match value {
        Value::String(text) if *name != measured.name && text.contains(' ') => Some((name.clone(), text.clone())),
        _ => None,
    };
    row.fields.iter().filter_map(text).collect()
}

/// How far two answers are apart: 0 where they are the same, 1 where labels differ or scores are at opposite ends.
fn distance(kind: &FieldKind, a: &Value, b: &Value) -> f64 {
    let number = |value: &Value| value.as_f64().unwrap_or(f64::NAN);
    match kind {
        FieldKind::Score(score) => (number(a) - number(b)).abs() / (score.max - score.min).max(1) as f64,
        FieldKind::Number => (number(a) - number(b)).abs(),
        FieldKind::Shares(parts) => {
            let part = |value: &Value, name: &str| value.get(name).and_then(Value::as_f64).unwrap_or(0.0);
            parts.iter().map(|one| (part(a, &one.name) - part(b, &one.name)).abs()).sum::<f64>() / 200.0
        }
        FieldKind::Labels(_) => {
            let set = |value: &Value| -> HashSet<String> {
                value.as_array().into_iter().flatten().map(Value::to_string).collect()
            };
            f64::from(u8::from(set(a) != set(b)))
        }
        _ => f64::from(u8::from(a != b)),
    }
}

/// An answer as people read it.
fn words(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(values) if values.is_empty() => "none".to_owned(),
        Value::Array(values) => values.iter().map(words).collect::<Vec<_>>().join(", "),
        Value::Object(parts) => {
            parts.iter().map(|(name, value)| format!("{name} {}", words(value))).collect::<Vec<_>>().join(", ")
        }
        Value::Number(number) => number.as_f64().map_or_else(|| number.to_string(), crate::chart::scale::number),
        other => other.to_string(),
    }
}

/// The sessions of some cases, with the places of the cases.
pub fn by_session(cases: &[Case]) -> HashMap<String, Vec<usize>> {
    let mut sessions: HashMap<String, Vec<usize>> = HashMap::new();
    for (at, case) in cases.iter().enumerate() {
        sessions.entry(case.unit.session().to_string()).or_default().push(at);
    }
    sessions
}

#[cfg(test)]
mod tests;
