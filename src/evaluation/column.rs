//! What is measured of a codebook: a column of ratings for each field, or several for a field that has parts.

use crate::agreement::ratings::{Answer, Level};
use crate::agreement::sets;
use crate::codebook::{Codebook, Collapse, FieldKind, Labels};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// One column of ratings: a field, or a part of one.
pub(crate) struct Column {
    pub(crate) name: String,
    pub(crate) field: String,
    part: Part,
    /// Label → collapsed label; a label that it does not name is dropped.
    map: Option<BTreeMap<String, String>>,
    pub(crate) level: Level,
    pub(crate) labels: Vec<String>,
    /// Declared labels that count as no answer.
    pub(crate) missing: Vec<String>,
    /// The labels' declared values.
    pub(crate) values: Option<Vec<f64>>,
    /// Of a column of sets: the labels that they are made of. Its own labels are the sets that occur.
    pub(crate) members: Option<Vec<String>>,
    pub(crate) collapses: Vec<Collapse>,
}

/// Which part of a field's value is rated.
enum Part {
    Whole,
    /// A member of an object.
    Member(String),
    /// Whether a label is among several.
    Membership(String),
    /// All of several labels, as one label.
    Set(Vec<String>),
    /// The part of the criteria that is met, in percent.
    ShareMet(Vec<String>),
    /// Whether every criterion is met.
    AllMet(Vec<String>),
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
                        Part::Set(_) => format!("{} (sets)", field.name),
                        Part::ShareMet(_) => format!("{} (share met)", field.name),
                        Part::AllMet(_) => format!("{} (all met)", field.name),
                    },
                    field: field.name.clone(),
                    part,
                    map: None,
                    level,
                    labels,
                    missing: Vec::new(),
                    values: None,
                    members: None,
                    collapses: collapses.to_vec(),
                };
                match &field.kind {
                    FieldKind::Label(labels) => {
                        let level = if labels.ordinal { Level::Ordinal } else { Level::Nominal };
                        let whole = column(Part::Whole, level, names(labels), &labels.collapses);
                        vec![whole.with_scale_of(labels)]
                    }
                    FieldKind::Labels(labels) => {
                        let members = names(labels);
                        let each = members.iter().cloned().map(Part::Membership);
                        let each = each.map(|part| column(part, Level::Nominal, truth(), &[]));
                        let sets = column(Part::Set(members.clone()), Level::Nominal, Vec::new(), &[]);
                        each.chain([Column { members: Some(members.clone()), ..sets }]).collect()
                    }
                    FieldKind::Score(_) | FieldKind::Number => vec![column(Part::Whole, Level::Interval, vec![], &[])],
                    FieldKind::Flag { .. } => vec![column(Part::Whole, Level::Nominal, truth(), &[])],
                    FieldKind::Shares(parts) => parts
                        .iter()
                        .map(|part| column(Part::Member(part.name.clone()), Level::Interval, vec![], &[]))
                        .collect(),
                    FieldKind::Criteria(criteria) => {
                        let names: Vec<String> = criteria.iter().map(|one| one.name.clone()).collect();
                        let each = names.iter().cloned().map(Part::Member);
                        let each = each.map(|part| column(part, Level::Nominal, truth(), &[]));
                        // Of a single criterion both say what it says.
                        let whole = (names.len() > 1).then(|| {
                            let share = column(Part::ShareMet(names.clone()), Level::Interval, vec![], &[]);
                            [share, column(Part::AllMet(names.clone()), Level::Nominal, truth(), &[])]
                        });
                        each.chain(whole.into_iter().flatten()).collect()
                    }
                    FieldKind::Text | FieldKind::Evidence => vec![],
                }
            })
            .collect()
    }

    /// The column with a collapse in the place of its labels, if it has that collapse.
    pub(super) fn collapsed(self, name: &str) -> Option<Column> {
        let collapse = self.collapses.iter().find(|collapse| collapse.name == name)?;
        let mut labels: Vec<String> = Vec::new();
        for label in self.labels.iter().filter_map(|label| collapse.map.get(label)) {
            if !labels.contains(label) {
                labels.push(label.clone());
            }
        }
        let (name, map) = (format!("{} ({name})", self.name), Some(collapse.map.clone()));
        Some(Column { name, map, labels, level: Level::Nominal, values: None, collapses: Vec::new(), ..self })
    }

    /// The columns that shares are taken of: a label that says that there is no answer is a part of the whole there, like any other.
    pub(crate) fn of_shares(codebook: &Codebook) -> Vec<Column> {
        let with_all_labels = |mut column: Column| {
            let missing = std::mem::take(&mut column.missing);
            column.labels.extend(missing);
            column
        };
        Column::of(codebook).into_iter().map(with_all_labels).collect()
    }

    /// What the codebook says about the labels besides their names.
    fn with_scale_of(mut self, labels: &Labels) -> Column {
        self.missing = labels.labels.iter().filter(|label| label.missing).map(|label| label.name.clone()).collect();
        self.values = labels.values();
        for collapse in &mut self.collapses {
            collapse.map.retain(|label, _| !self.missing.contains(label));
        }
        self
    }

    /// The label that stands for no answer, if that is what was given.
    pub(crate) fn missing_label<'v>(&self, fields: &'v Map<String, Value>) -> Option<&'v str> {
        let given = fields.get(&self.field)?.as_str()?;
        self.missing.iter().any(|label| label == given).then_some(given)
    }

    /// Whether no collapse stands in the place of its labels.
    pub(crate) fn labels_stand_as_they_are(&self) -> bool {
        self.map.is_none()
    }

    /// Whether its labels are sets of labels, of which nobody can say all beforehand.
    pub(crate) fn is_of_sets(&self) -> bool {
        self.members.is_some()
    }

    pub(crate) fn answer(&self, fields: &Map<String, Value>) -> Answer {
        let Some(value) = fields.get(&self.field).filter(|value| !value.is_null()) else { return Answer::Missing };
        if self.missing_label(fields).is_some() {
            return Answer::Missing;
        }
        let given = |label: &str| value.as_array().is_some_and(|labels| labels.iter().any(|one| one == label));
        let value = match &self.part {
            Part::Whole => Some(value.clone()),
            Part::Member(part) => value.get(part).cloned(),
            Part::Membership(label) => Some(Value::Bool(given(label))),
            Part::Set(members) => {
                let set: Vec<&str> = members.iter().map(String::as_str).filter(|member| given(member)).collect();
                Some(Value::String(sets::name_of(&set)))
            }
            Part::ShareMet(names) => met(value, names).map(|met| Value::from(100.0 * met as f64 / names.len() as f64)),
            Part::AllMet(names) => met(value, names).map(|met| Value::Bool(met == names.len())),
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

/// How many criteria are met; none if one of them has no answer.
fn met(value: &Value, names: &[String]) -> Option<usize> {
    let answers: Option<Vec<bool>> = names.iter().map(|name| value.get(name).and_then(Value::as_bool)).collect();
    answers.map(|answers| answers.into_iter().filter(|met| *met).count())
}

/// The labels that are answers.
fn names(labels: &Labels) -> Vec<String> {
    labels.answers().map(|label| label.name.clone()).collect()
}
