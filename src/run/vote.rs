//! What several samples of a unit say together: takes a unit's rows, gives one row, and how far the samples agree with it.
//!
//! | field | the vote | agreement |
//! |---|---|---|
//! | label, flag, each criterion | the most frequent answer; on a tie the one that came first | share of the samples that gave it |
//! | labels | each label that more than half of the samples gave; half: as the one that came first | share of the samples that gave just these |
//! | score | the mean, rounded to a whole number | standard deviation (n − 1) |
//! | number, each part of shares | the mean | standard deviation (n − 1) |
//! | text, evidence | those of the first of the samples that agree with the vote most | |
//!
//! Samples without an answer have no vote, but are counted in the share: they agree with nothing. Of an optional field it is voted first
//! whether it is left out (on a tie as the answer that came first), then, among the samples that have it, on what it says.

use super::Annotation;
use crate::codebook::{Codebook, FieldKind};
use crate::usage::Usage;
use serde::Serialize;
use serde_json::{Map, Number, Value};
use std::collections::BTreeSet;

/// What is voted on: a field, or a part of one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VoteColumn {
    /// The field.
    pub field: String,
    /// The part of it, for shares and criteria.
    pub part: Option<String>,
    how: How,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum How {
    MostFrequent,
    EachLabel(Vec<String>),
    WholeMean,
    Mean,
}

impl VoteColumn {
    /// `field`, or `field.part`.
    pub fn name(&self) -> String {
        match &self.part {
            Some(part) => format!("{}.{part}", self.field),
            None => self.field.clone(),
        }
    }

    /// Whether samples agree by a share of them, rather than within a standard deviation.
    pub fn is_share(&self) -> bool {
        matches!(self.how, How::MostFrequent | How::EachLabel(_))
    }

    fn value<'r>(&self, row: &'r Annotation) -> &'r Value {
        let value = row.fields.get(&self.field);
        let value = match &self.part {
            Some(part) => value.and_then(|value| value.get(part)),
            None => value,
        };
        value.unwrap_or(&Value::Null)
    }
}

/// How far the samples of a unit agree on a column.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Agreement {
    /// The part of all samples that agree with the vote.
    pub share: Option<f64>,
    /// The standard deviation of their numbers.
    pub sd: Option<f64>,
    /// Whether as many samples were against the vote as for it, so that the answer that came first stands.
    pub tied: bool,
}

/// A unit's vote.
#[derive(Debug, Clone, PartialEq)]
pub struct Vote {
    /// The row: the voted answers; the tokens, cost and time of all samples; the number of the sample that has its texts and evidence.
    pub row: Annotation,
    /// How far the samples agree, in the order of [`Voting::columns`].
    pub agreement: Vec<Agreement>,
    /// Samples.
    pub samples: usize,
    /// Those of them that have an answer.
    pub answered: usize,
}

/// How the samples of a task vote.
#[derive(Debug, Clone)]
pub struct Voting {
    columns: Vec<VoteColumn>,
}

impl Voting {
    /// The vote on the fields of a codebook.
    pub fn new(codebook: &Codebook) -> Voting {
        let mut columns = Vec::new();
        for field in &codebook.fields {
            let mut add = |part: Option<&str>, how: How| {
                columns.push(VoteColumn { field: field.name.clone(), part: part.map(str::to_owned), how });
            };
            match &field.kind {
                FieldKind::Label(_) | FieldKind::Flag { .. } => add(None, How::MostFrequent),
                FieldKind::Labels(labels) => add(None, How::EachLabel(labels.names())),
                FieldKind::Score(_) => add(None, How::WholeMean),
                FieldKind::Number => add(None, How::Mean),
                FieldKind::Shares(parts) => parts.iter().for_each(|part| add(Some(&part.name), How::Mean)),
                FieldKind::Criteria(criteria) => {
                    criteria.iter().for_each(|one| add(Some(&one.name), How::MostFrequent));
                }
                FieldKind::Text | FieldKind::Evidence => {}
            }
        }
        Voting { columns }
    }

    /// What is voted on, in the codebook's order.
    pub fn columns(&self) -> &[VoteColumn] {
        &self.columns
    }

    /// The votes of a run's rows, in which the samples of a unit stand together.
    pub fn votes(&self, rows: &[Annotation]) -> Vec<Vote> {
        rows.chunk_by(|one, next| one.unit == next.unit).filter_map(|samples| self.vote(samples)).collect()
    }

    /// A count of the votes of rows that come one at a time.
    pub fn begin(self) -> Ballot {
        Ballot { voting: self, samples: Vec::new() }
    }

    /// The vote of a unit's samples; `None` without any.
    pub fn vote(&self, samples: &[Annotation]) -> Option<Vote> {
        let answered: Vec<&Annotation> = samples.iter().filter(|row| row.status.is_answered()).collect();
        let mut voted: Vec<(Value, Agreement)> = Vec::new();
        for column in &self.columns {
            let given: Vec<&Value> = answered.iter().map(|row| column.value(row)).collect();
            voted.push(vote_on(&column.how, &given, samples.len()));
        }
        // Texts explain an answer: they are those of a sample that gave it.
        let spokesman = answered
            .iter()
            .min_by(|one, other| {
                let distance = |row: &Annotation| self.distance(row, &voted);
                distance(one).partial_cmp(&distance(other)).unwrap_or(std::cmp::Ordering::Equal)
            })
            .copied()
            .or(samples.first())?;
        let mut row = spokesman.clone();
        if !answered.is_empty() {
            for (column, (value, _)) in self.columns.iter().zip(&voted) {
                put(&mut row.fields, column, value.clone());
            }
        }
        row.usage = samples.iter().map(|row| row.usage).sum::<Option<Usage>>();
        row.cost_usd = samples.iter().map(|row| row.cost_usd).sum::<Option<f64>>().map(|cost| cost + 0.0);
        row.cached = samples.iter().all(|row| row.cached);
        row.attempts = samples.iter().map(|row| row.attempts).sum();
        row.latency_ms = samples.iter().map(|row| row.latency_ms).sum();
        row.detail = self.detail(spokesman, samples, answered.len(), &voted);
        let agreement = voted.into_iter().map(|(_, agreement)| agreement).collect();
        Some(Vote { row, agreement, samples: samples.len(), answered: answered.len() })
    }

    /// How far a sample is from the vote: first in how many answers that are not numbers, then in the sum of its numbers.
    fn distance(&self, row: &Annotation, voted: &[(Value, Agreement)]) -> (usize, f64) {
        let (mut unlike, mut apart) = (0, 0.0);
        for (column, (value, _)) in self.columns.iter().zip(voted) {
            let given = column.value(row);
            match (given.as_f64(), value.as_f64()) {
                (Some(given), Some(voted)) => apart += (given - voted).abs(),
                _ => unlike += usize::from(!is_same(given, value)),
            }
        }
        (unlike, apart)
    }

    fn detail(
        &self,
        spokesman: &Annotation,
        samples: &[Annotation],
        answered: usize,
        voted: &[(Value, Agreement)],
    ) -> Option<String> {
        if samples.len() == 1 {
            return spokesman.detail.clone();
        }
        let mut notes: Vec<String> = spokesman.detail.iter().cloned().collect();
        if answered < samples.len() {
            let states: BTreeSet<&str> =
                samples.iter().filter(|row| !row.status.is_answered()).map(|row| row.status.name()).collect();
            let states = states.into_iter().collect::<Vec<_>>().join(", ");
            notes.push(format!("{} of {} samples have no answer ({states})", samples.len() - answered, samples.len()));
        }
        let tied = self.columns.iter().zip(voted).filter(|(_, (_, agreement))| agreement.tied);
        let tied: Vec<String> = tied.map(|(column, _)| column.name()).collect();
        if !tied.is_empty() {
            notes.push(format!("a tie in {}: the answer that came first stands", tied.join(", ")));
        }
        (!notes.is_empty()).then(|| notes.join("; "))
    }
}

/// The samples of one unit, until the next one begins.
#[derive(Debug)]
pub struct Ballot {
    voting: Voting,
    samples: Vec<Annotation>,
}

impl Ballot {
    /// How samples vote.
    pub fn voting(&self) -> &Voting {
        &self.voting
    }

    /// Takes the next row; gives the vote on the unit before it, if it is another one's.
    pub fn put(&mut self, row: Annotation) -> Option<Vote> {
        let vote = if self.samples.first().is_some_and(|first| first.unit != row.unit) { self.end() } else { None };
        self.samples.push(row);
        vote
    }

    /// The vote on the last unit.
    pub fn end(&mut self) -> Option<Vote> {
        let samples = std::mem::take(&mut self.samples);
        self.voting.vote(&samples)
    }
}

/// The vote on values that were given, of so many samples, and how far these agree with it.
fn vote_on(how: &How, given: &[&Value], samples: usize) -> (Value, Agreement) {
    let share = |agreeing: usize| Some(agreeing as f64 / samples as f64);
    let present: Vec<&Value> = given.iter().copied().filter(|value| !value.is_null()).collect();
    let absent = given.len() - present.len();
    let Some(first) = given.first() else { return (Value::Null, Agreement::default()) };
    // The parts of a field are left out together, so this is the same for each of them.
    let half = absent == present.len();
    if absent > present.len() || (half && first.is_null()) {
        return (Value::Null, Agreement { share: share(absent), sd: None, tied: half });
    }
    match how {
        How::MostFrequent => {
            let (answer, votes, tied) = most_frequent(&present);
            (answer.clone(), Agreement { share: share(votes), sd: None, tied: tied || half })
        }
        How::EachLabel(labels) => {
            let sets: Vec<BTreeSet<&str>> = present.iter().map(|value| set(value)).collect();
            let mut tied = half;
            let mut is_voted = |label: &str| {
                let votes = sets.iter().filter(|set| set.contains(label)).count();
                let is_even = votes * 2 == sets.len();
                tied |= is_even;
                votes * 2 > sets.len() || (is_even && sets[0].contains(label))
            };
            let agreed: Vec<&str> = labels.iter().map(String::as_str).filter(|label| is_voted(label)).collect();
            let whole: BTreeSet<&str> = agreed.iter().copied().collect();
            let agreeing = sets.iter().filter(|set| **set == whole).count();
            (agreed.into(), Agreement { share: share(agreeing), sd: None, tied })
        }
        How::WholeMean | How::Mean => {
            if let [only] = present[..] {
                return (only.clone(), Agreement { tied: half, ..Agreement::default() });
            }
            let numbers: Vec<f64> = present.iter().filter_map(|value| value.as_f64()).collect();
            let count = numbers.len() as f64;
            let mean = numbers.iter().sum::<f64>() / count;
            let squares: f64 = numbers.iter().map(|number| (number - mean).powi(2)).sum();
            let sd = (numbers.len() > 1).then(|| (squares / (count - 1.0)).sqrt());
            let mean = if *how == How::WholeMean { mean.round() } else { mean };
            (number(mean), Agreement { share: None, sd, tied: half })
        }
    }
}

/// The answer with the most votes, the first of them on a tie; its votes; whether another has as many.
fn most_frequent<'v>(present: &[&'v Value]) -> (&'v Value, usize, bool) {
    let votes = |value: &Value| present.iter().filter(|other| **other == value).count();
    let most = present.iter().map(|value| votes(value)).max().unwrap_or(0);
    let mut foremost = present.iter().copied().filter(|value| votes(value) == most);
    let first = foremost.next().unwrap_or(&Value::Null);
    (first, most, foremost.any(|other| other != first))
}

/// A number as people write it: whole ones without a fraction.
fn number(value: f64) -> Value {
    if value.fract() == 0.0 && value.abs() < 1e15 {
        return Value::from(value as i64);
    }
    Number::from_f64(value).map_or(Value::Null, Value::Number)
}

fn set(value: &Value) -> BTreeSet<&str> {
    value.as_array().into_iter().flatten().filter_map(Value::as_str).collect()
}

fn is_same(one: &Value, other: &Value) -> bool {
    if one.is_array() && other.is_array() { set(one) == set(other) } else { one == other }
}

fn put(fields: &mut Map<String, Value>, column: &VoteColumn, value: Value) {
    match &column.part {
        None => drop(fields.insert(column.field.clone(), value)),
        // A field of parts is left out as a whole.
        Some(_) if value.is_null() => drop(fields.insert(column.field.clone(), value)),
        Some(part) => {
            let whole = fields.entry(column.field.clone()).or_insert_with(|| Value::Object(Map::new()));
            match whole {
                Value::Object(parts) => drop(parts.insert(part.clone(), value)),
                // The sample that speaks left the field out, and most did not.
                other => *other = Value::Object(Map::from_iter([(part.clone(), value)])),
            }
        }
    }
}

/// The votes of a run in short.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct VoteSummary {
    /// The most samples that a unit has.
    pub samples: usize,
    /// Units.
    pub units: usize,
    /// A line a column.
    pub fields: Vec<FieldVotes>,
}

/// The votes on one column in short.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FieldVotes {
    /// `field`, or `field.part`.
    pub field: String,
    /// Units with an answer.
    pub units: usize,
    /// Those of them whose samples all agree; `None` for numbers.
    pub unanimous: Option<usize>,
    /// Those of them where no answer has more votes than any other.
    pub tied: usize,
    /// Mean share of the samples that agree with the vote; `None` for numbers.
    pub mean_share: Option<f64>,
    /// Mean standard deviation of the samples; `None` for what is no number.
    pub mean_sd: Option<f64>,
}

/// A summary of votes in the making: takes them one at a time and keeps none.
#[derive(Debug)]
pub struct VoteSums {
    samples: usize,
    units: usize,
    columns: Vec<ColumnSums>,
}

#[derive(Debug, Default)]
struct ColumnSums {
    name: String,
    is_share: bool,
    units: usize,
    unanimous: usize,
    tied: usize,
    shares: f64,
    sds: (f64, usize),
}

impl VoteSums {
    /// A summary of no votes.
    pub fn new(voting: &Voting) -> VoteSums {
        let sums = |column: &VoteColumn| ColumnSums {
            name: column.name(),
            is_share: column.is_share(),
            ..ColumnSums::default()
        };
        VoteSums { samples: 0, units: 0, columns: voting.columns.iter().map(sums).collect() }
    }

    /// Takes a vote.
    pub fn add(&mut self, vote: &Vote) {
        self.samples = self.samples.max(vote.samples);
        self.units += 1;
        if vote.answered == 0 {
            return;
        }
        for (sums, agreement) in self.columns.iter_mut().zip(&vote.agreement) {
            sums.units += 1;
            sums.tied += usize::from(agreement.tied);
            let share = agreement.share.unwrap_or(0.0);
            sums.unanimous += usize::from(share >= 1.0);
            sums.shares += share;
            if let Some(sd) = agreement.sd {
                sums.sds = (sums.sds.0 + sd, sums.sds.1 + 1);
            }
        }
    }

    /// The summary.
    pub fn finish(self) -> VoteSummary {
        let mean = |sum: f64, count: usize| (count > 0).then(|| sum / count as f64);
        let fields = self.columns.into_iter().map(|sums| FieldVotes {
            field: sums.name,
            units: sums.units,
            unanimous: sums.is_share.then_some(sums.unanimous),
            tied: sums.tied,
            mean_share: if sums.is_share { mean(sums.shares, sums.units) } else { None },
            mean_sd: mean(sums.sds.0, sums.sds.1),
        });
        VoteSummary { samples: self.samples, units: self.units, fields: fields.collect() }
    }
}

impl VoteSummary {
    /// Sums up some votes.
    pub fn of<'v>(voting: &Voting, votes: impl IntoIterator<Item = &'v Vote>) -> VoteSummary {
        let mut sums = VoteSums::new(voting);
        votes.into_iter().for_each(|vote| sums.add(vote));
        sums.finish()
    }

    /// What is compared or shown where this field, or this part of it, is: the vote, and how far samples agree with it.
    pub fn in_words(&self, field: &str, name: &str, done: &str) -> Option<String> {
        let of = |name: &str| self.fields.iter().find(|line| line.field == name);
        let a_part =
            || self.fields.iter().find(|line| line.field.strip_prefix(field).is_some_and(|part| part.starts_with('.')));
        let line = of(name).or_else(|| of(field)).or_else(a_part)?;
        let samples = self.samples;
        let tied = match line.tied {
            0 => String::new(),
            tied => format!("; {tied} of {} units are ties, where the answer that came first stands", line.units),
        };
        Some(match (line.mean_share, line.mean_sd) {
            (Some(share), _) => format!(
                "the vote of {samples} samples is {done}; {:.0} % of the samples agree with it, all of them on {} of {} units{tied}",
                share * 100.0,
                line.unanimous.unwrap_or(0),
                line.units
            ),
            (None, Some(sd)) => {
                format!("the mean of {samples} samples is {done}; their standard deviation is {sd:.2} on average")
            }
            (None, None) => format!("the vote of {samples} samples is {done}{tied}"),
        })
    }
}

#[cfg(test)]
mod tests;
