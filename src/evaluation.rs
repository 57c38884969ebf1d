//! Brings a task's gold, human raters and runs together: one table of ratings a measured field, ready for agreement.

pub mod compared;
pub mod leak;
pub mod sealed;

use crate::agreement::ratings::{Answer, Level, Ratings, RatingsBuilder, RatingsError};
use crate::codebook::{Codebook, Collapse, FieldKind};
use crate::gold::{GOLD_RATER, Gold, GoldRow, Split};
use crate::run::vote::{Vote, VoteSummary, Voting};
use crate::run::{Annotation, Manifest, Status};
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};

/// A run that is compared.
#[derive(Debug)]
pub struct RunRows {
    /// Where it comes from.
    pub manifest: Manifest,
    /// Its rows.
    pub rows: Vec<Annotation>,
}

impl RunRows {
    /// Whether units have several samples, so that votes are compared.
    pub fn has_samples(&self) -> bool {
        self.manifest.settings.samples > 1
    }
}

/// What is compared.
pub struct Comparison<'c> {
    /// The codebook.
    pub codebook: &'c Codebook,
    /// The gold, if there is some.
    pub gold: Option<&'c Gold>,
    /// The runs.
    pub runs: &'c [RunRows],
    /// Only this split of the gold.
    pub split: Option<Split>,
    /// What is resampled as a whole.
    pub cluster: Cluster,
    /// A collapse of the codebook in the place of the labels it maps.
    pub collapse: Option<&'c str>,
}

/// What is resampled as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cluster {
    /// Sessions: the prompts of one session are not independent.
    Session,
    /// Each unit by itself.
    Item,
}

/// A field's ratings and what is known about them.
#[derive(Debug)]
pub struct FieldRatings {
    /// The field's name; `field.part` for a part of shares or criteria, or one of several labels.
    pub name: String,
    /// The ratings.
    pub ratings: Ratings,
    /// Raters that are people, without the adjudicated answer.
    pub humans: Vec<String>,
    /// The adjudicated answer's rater, if there is one.
    pub reference: Option<String>,
    /// Collapses of the codebook.
    pub collapses: Vec<Collapse>,
    /// What people should know before they read the numbers.
    pub warnings: Vec<String>,
}

/// One column of ratings: a field, or a part of one.
pub(crate) struct Column {
    pub(crate) name: String,
    pub(crate) field: String,
    part: Part,
    /// Label → collapsed label; a label that it does not name is dropped.
    map: Option<BTreeMap<String, String>>,
    pub(crate) level: Level,
    pub(crate) labels: Vec<String>,
    pub(crate) collapses: Vec<Collapse>,
}

/// Which part of a field's value is rated.
enum Part {
    Whole,
    /// A member of an object.
    Member(String),
    /// Whether a label is among several.
    Membership(String),
}

impl Column {
    pub(crate) fn of(codebook: &Codebook) -> Vec<Column> {
        let truth = || vec!["true".to_owned(), "false".to_owned()];
        codebook
            .fields
            .iter()
            .flat_map(|field| {
                let column = |part: Part, level: Level, labels: Vec<String>, collapses: &[Collapse]| Column {
                    name: match &part {
                        Part::Whole => field.name.clone(),
                        Part::Member(part) | Part::Membership(part) => format!("{}.{part}", field.name),
                    },
                    field: field.name.clone(),
                    part,
                    map: None,
                    level,
                    labels,
                    collapses: collapses.to_vec(),
                };
                match &field.kind {
                    FieldKind::Label(labels) => {
                        let level = if labels.ordinal { Level::Ordinal } else { Level::Nominal };
                        vec![column(Part::Whole, level, labels.names(), &labels.collapses)]
                    }
                    FieldKind::Labels(labels) => labels
                        .names()
                        .into_iter()
                        .map(|name| column(Part::Membership(name), Level::Nominal, truth(), &[]))
                        .collect(),
                    FieldKind::Score(_) | FieldKind::Number => vec![column(Part::Whole, Level::Interval, vec![], &[])],
                    FieldKind::Flag { .. } => vec![column(Part::Whole, Level::Nominal, truth(), &[])],
                    FieldKind::Shares(parts) => parts
                        .iter()
                        .map(|part| column(Part::Member(part.name.clone()), Level::Interval, vec![], &[]))
                        .collect(),
                    FieldKind::Criteria(criteria) => criteria
                        .iter()
                        .map(|one| column(Part::Member(one.name.clone()), Level::Nominal, truth(), &[]))
                        .collect(),
                    FieldKind::Text | FieldKind::Evidence => vec![],
                }
            })
            .collect()
    }

    /// The column with a collapse in the place of its labels, if it has that collapse.
    fn collapsed(self, name: &str) -> Option<Column> {
        let collapse = self.collapses.iter().find(|collapse| collapse.name == name)?;
        let mut labels: Vec<String> = Vec::new();
        for label in self.labels.iter().filter_map(|label| collapse.map.get(label)) {
            if !labels.contains(label) {
                labels.push(label.clone());
            }
        }
        let (name, map) = (format!("{} ({name})", self.name), Some(collapse.map.clone()));
        Some(Column { name, map, labels, level: Level::Nominal, collapses: Vec::new(), ..self })
    }

    pub(crate) fn answer(&self, fields: &Map<String, Value>) -> Answer {
        let value = match (fields.get(&self.field), &self.part) {
            (None | Some(Value::Null), _) => return Answer::Missing,
            (Some(value), Part::Whole) => Some(value.clone()),
            (Some(value), Part::Member(part)) => value.get(part).cloned(),
            (Some(value), Part::Membership(label)) => {
                Some(Value::Bool(value.as_array().is_some_and(|labels| labels.iter().any(|one| one == label))))
            }
        };
        match value {
            None | Some(Value::Null) => Answer::Missing,
            Some(Value::String(text)) => match &self.map {
                None => Answer::Text(text),
                Some(map) => map.get(&text).cloned().map_or(Answer::Missing, Answer::Text),
            },
            Some(Value::Number(number)) => number.as_f64().map_or(Answer::Missing, Answer::Number),
            Some(other) => Answer::Text(other.to_string()),
        }
    }
}

impl Comparison<'_> {
    /// The ratings of every measured field that anyone rated. Units that only a run rated are left out where there is gold.
    pub fn fields(&self) -> Result<Vec<FieldRatings>, RatingsError> {
        let gold: Vec<&GoldRow> = self
            .gold
            .iter()
            .flat_map(|gold| &gold.rows)
            .filter(|row| self.split.is_none() || row.split == self.split)
            .collect();
        let sessions: BTreeMap<&str, &str> =
            gold.iter().filter_map(|row| Some((row.unit.as_str(), row.session.as_deref()?))).collect();
        let voting = Voting::new(self.codebook);
        let votes: Vec<Option<Vec<Vote>>> =
            self.runs.iter().map(|run| run.has_samples().then(|| voting.votes(&run.rows))).collect();
        Column::of(self.codebook)
            .into_iter()
            .filter_map(|column| match self.collapse {
                None => Some(column),
                Some(name) => column.collapsed(name),
            })
            .filter_map(|column| self.field(&column, &gold, &sessions, (&voting, &votes)).transpose())
            .collect()
    }

    fn field(
        &self,
        column: &Column,
        gold: &[&GoldRow],
        sessions: &BTreeMap<&str, &str>,
        (voting, votes): (&Voting, &[Option<Vec<Vote>>]),
    ) -> Result<Option<FieldRatings>, RatingsError> {
        let gold: Vec<&&GoldRow> = gold.iter().filter(|row| row.fields.contains_key(&column.field)).collect();
        if self.gold.is_some() && gold.is_empty() {
            return Ok(None);
        }
        let wanted: BTreeSet<&str> = gold.iter().map(|row| row.unit.as_str()).collect();
        let mut builder = RatingsBuilder::new(column.level);
        if !column.labels.is_empty() {
            builder = builder.labels(&column.labels)?;
        }
        let mut rate = |unit: &crate::unit::UnitId, rater: &str, answer: Answer| -> Result<(), RatingsError> {
            if self.cluster == Cluster::Session {
                let session = unit.session();
                builder.cluster(unit.as_str(), sessions.get(unit.as_str()).copied().unwrap_or(session.as_str()))?;
            }
            builder.push(unit.as_str(), rater, answer)
        };
        // The adjudicated answers come first, so that items stand in their order.
        let (adjudicated, others): (Vec<&GoldRow>, Vec<&GoldRow>) =
            gold.iter().map(|row| **row).partition(|row| row.rater == GOLD_RATER);
        for row in adjudicated.iter().chain(&others) {
            rate(&row.unit, &row.rater, column.answer(&row.fields))?;
        }
        let mut warnings = Vec::new();
        for (run, votes) in self.runs.iter().zip(votes) {
            let is_wanted = |row: &Annotation| self.gold.is_none() || wanted.contains(row.unit.as_str());
            let rows: Vec<&Annotation> = match votes {
                Some(votes) => votes.iter().map(|vote| &vote.row).collect(),
                None => run.rows.iter().collect(),
            };
            for row in rows.into_iter().filter(|row| is_wanted(row)) {
                let answer = match row.status {
                    Status::Skipped => Answer::Missing,
                    status if status.is_answered() => column.answer(&row.fields),
                    _ => Answer::Invalid,
                };
                rate(&row.unit, self.rater_name(run), answer)?;
            }
            if let Some(votes) = votes {
                let compared = VoteSummary::of(voting, votes.iter().filter(|vote| is_wanted(&vote.row)));
                let words = compared.in_words(&column.field, &column.name, "compared");
                warnings.extend(words.map(|words| format!("{}: {words}", run.manifest.run)));
            }
            if !run.manifest.complete {
                warnings.push(format!("{}: the run is not complete", run.manifest.run));
            }
            if run.manifest.codebook.hash != self.codebook.hash.as_str() {
                warnings.push(format!("{}: made with another version of the codebook", run.manifest.run));
            }
        }
        Ok(Some(FieldRatings {
            name: column.name.clone(),
            ratings: builder.finish()?,
            humans: others.iter().map(|row| row.rater.clone()).collect::<BTreeSet<_>>().into_iter().collect(),
            reference: (!adjudicated.is_empty()).then(|| GOLD_RATER.to_owned()),
            collapses: column.collapses.clone(),
            warnings,
        }))
    }

    /// A run's rater; its own name as well where two runs have the same rater.
    pub fn rater_name<'r>(&self, run: &'r RunRows) -> &'r str {
        let same = self.runs.iter().filter(|other| other.manifest.rater == run.manifest.rater).count();
        if same > 1 { &run.manifest.run } else { &run.manifest.rater }
    }
}
