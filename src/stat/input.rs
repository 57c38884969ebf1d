//! What a statistic is computed from, with accessors that are typed and strict.

use super::{Covariates, Params, Ratings, StatError};
use crate::agreement::RatingsError;
use std::collections::HashMap;
use std::path::Path;

/// Ratings, what is known about their items, and parameters.
#[derive(Debug, Clone, Default)]
pub struct Input {
    /// Who gave what label to which item.
    pub ratings: Ratings,
    /// Item → column → text.
    pub items: Covariates,
    /// The parameters.
    pub params: Params,
}

/// A declared label set: names in their order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Labels {
    names: Vec<String>,
    places: HashMap<String, usize>,
}

impl Labels {
    /// From names in order.
    pub fn new(names: Vec<String>) -> Labels {
        let places = names.iter().enumerate().map(|(place, name)| (name.clone(), place)).collect();
        Labels { names, places }
    }

    /// The names in order.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// The place of a label.
    pub fn place(&self, label: &str) -> Option<usize> {
        self.places.get(label).copied()
    }
}

/// One column of the covariates.
#[derive(Debug, Clone, Copy)]
pub struct Column<'i> {
    input: &'i Input,
    name: &'i str,
}

impl<'i> Column<'i> {
    /// What it says of an item (by place); an error where it says nothing.
    pub fn text(&self, item: usize) -> Result<&'i str, StatError> {
        self.input.items.get(&self.input.ratings.items()[item], self.name).ok_or_else(|| self.wrong(item, "a text"))
    }

    /// The number that it says of an item; an error where it says none.
    pub fn number(&self, item: usize) -> Result<f64, StatError> {
        let number = self.text(item).map_err(|_| self.wrong(item, "a number"))?.trim().parse().ok();
        number.filter(|number: &f64| number.is_finite()).ok_or_else(|| self.wrong(item, "a number"))
    }

    fn wrong(&self, item: usize, expected: &'static str) -> StatError {
        let item = &self.input.ratings.items()[item];
        StatError::Covariate {
            item: item.clone(),
            column: self.name.to_owned(),
            expected,
            found: self.input.items.get(item, self.name).unwrap_or_default().to_owned(),
        }
    }
}

impl Input {
    /// Reads the files and the parameters. A statistic of numbers alone needs no file.
    pub fn read(ratings: Option<&Path>, items: Option<&Path>, params: Option<&str>) -> Result<Input, StatError> {
        Ok(Input {
            params: params.map(Params::parse).transpose()?.unwrap_or_default(),
            ratings: ratings.map(Ratings::read).transpose()?.unwrap_or_default(),
            items: items.map(Covariates::read).transpose()?.unwrap_or_default(),
        })
    }

    /// The annotator (by place) whom a parameter names.
    pub fn annotator(&self, parameter: &str) -> Result<usize, StatError> {
        self.known(parameter, self.params.text(parameter)?)
    }

    /// The annotators whom a parameter lists, each once.
    pub fn annotators(&self, parameter: &str) -> Result<Vec<usize>, StatError> {
        let mut annotators = vec![];
        for name in self.params.texts(parameter)? {
            let annotator = self.known(parameter, name)?;
            if annotators.contains(&annotator) {
                return Err(self.params.wrong(parameter, format!("each annotator once (`{name}` is there twice)")));
            }
            annotators.push(annotator);
        }
        Ok(annotators)
    }

    fn known(&self, parameter: &str, name: &str) -> Result<usize, StatError> {
        self.ratings.annotator(name).ok_or_else(|| StatError::UnknownAnnotator {
            parameter: parameter.to_owned(),
            annotator: name.to_owned(),
            hint: match self.ratings.annotators() {
                [] => "a ratings file is given after the statistic's name: interrater stat NAME FILE".to_owned(),
                known => format!("they have: {}", known.join(", ")),
            },
        })
    }

    /// The labels that these annotators may use: the parameter `labels`, in its order; else those that they used, by number if all are
    /// numbers, else by text. A label of theirs that is not declared is an error.
    pub fn labels(&self, annotators: &[usize]) -> Result<Labels, StatError> {
        if self.params.get("labels").is_none() {
            return Ok(self.labels_used(annotators));
        }
        let names = self.params.texts("labels")?;
        if names.len() < 2 {
            return Err(self.params.wrong("labels", "two labels or more"));
        }
        let labels = Labels::new(names.iter().map(|name| (*name).to_owned()).collect());
        if labels.places.len() < names.len() {
            return Err(self.params.wrong("labels", "each label once"));
        }
        for item in 0..self.ratings.items().len() {
            for &annotator in annotators {
                if let Some(label) = self.ratings.label(item, annotator).filter(|label| labels.place(label).is_none()) {
                    return Err(StatError::UndeclaredLabel {
                        item: self.ratings.items()[item].clone(),
                        annotator: self.ratings.annotators()[annotator].clone(),
                        label: label.to_owned(),
                        declared: names.join(", "),
                    });
                }
            }
        }
        Ok(labels)
    }

    fn labels_used(&self, annotators: &[usize]) -> Labels {
        let places = 0..self.ratings.items().len();
        let mut names: Vec<&str> =
            places.flat_map(|item| annotators.iter().filter_map(move |&one| self.ratings.label(item, one))).collect();
        names.sort_unstable();
        names.dedup();
        let numbers: Option<Vec<f64>> = names.iter().map(|name| finite(name)).collect();
        if let Some(numbers) = numbers {
            let mut order: Vec<usize> = (0..names.len()).collect();
            order.sort_by(|&one, &other| numbers[one].total_cmp(&numbers[other]));
            names = order.into_iter().map(|place| names[place]).collect();
        }
        Labels::new(names.into_iter().map(str::to_owned).collect())
    }

    /// The labels' numeric values: the parameter `values`, else the labels themselves if all are numbers, else 1, 2, ….
    pub fn values(&self, labels: &Labels) -> Result<Vec<f64>, StatError> {
        if self.params.get("values").is_none() {
            let own: Option<Vec<f64>> = labels.names().iter().map(|label| finite(label)).collect();
            return Ok(own.unwrap_or_else(|| (1..=labels.len()).map(|place| place as f64).collect()));
        }
        let values = self.params.numbers("values")?;
        match (self.params.get("labels"), values.len() == labels.len()) {
            (Some(_), true) => Ok(values),
            (None, _) => Err(self.params.wrong("labels", "the labels that `values` belong to")),
            (_, false) => Err(self.params.wrong("values", format!("{} numbers, one a label", labels.len()))),
        }
    }

    /// Items that both annotators labelled, in file order, with both labels.
    pub fn pair(&self, a: usize, b: usize) -> Vec<(usize, &str, &str)> {
        let both = |item| Some((item, self.ratings.label(item, a)?, self.ratings.label(item, b)?));
        (0..self.ratings.items().len()).filter_map(both).collect()
    }

    /// Items that both annotators scored, in file order, with both scores.
    pub fn scores(&self, a: usize, b: usize) -> Result<Vec<(usize, f64, f64)>, StatError> {
        let pairs = self.pair(a, b).into_iter();
        pairs.map(|(item, x, y)| Ok((item, self.number(item, a, x)?, self.number(item, b, y)?))).collect()
    }

    /// The score that an annotator gave an item; `None` where it is missing.
    pub fn score(&self, item: usize, annotator: usize) -> Result<Option<f64>, StatError> {
        self.ratings.label(item, annotator).map(|label| self.number(item, annotator, label)).transpose()
    }

    fn number(&self, item: usize, annotator: usize, label: &str) -> Result<f64, StatError> {
        finite(label).ok_or_else(|| StatError::NotANumber {
            item: self.ratings.items()[item].clone(),
            annotator: self.ratings.annotators()[annotator].clone(),
            label: label.to_owned(),
        })
    }

    /// A column of the items' covariates.
    pub fn covariate<'i>(&'i self, name: &'i str) -> Result<Column<'i>, StatError> {
        if self.items.columns().iter().any(|column| column == name) {
            return Ok(Column { input: self, name });
        }
        let hint = match self.items.columns() {
            [] => "name the file of the items' covariates with --items".to_owned(),
            known => format!("they have: {}", known.join(", ")),
        };
        Err(StatError::NoColumn { column: name.to_owned(), hint })
    }

    /// The cluster of each item, numbered from 0 in the order of their first appearance: the column that the parameter `cluster` names;
    /// each item by itself where it is absent, null or `item`.
    pub fn clusters(&self, items: impl Iterator<Item = usize>) -> Result<HashMap<usize, usize>, StatError> {
        let column = match self.params.text_or("cluster", "item")? {
            "item" => None,
            name => Some(self.covariate(name)?),
        };
        let (mut known, mut clusters) = (HashMap::new(), HashMap::new());
        for item in items {
            let place = match &column {
                None => clusters.len(),
                Some(column) => {
                    let next = known.len();
                    *known.entry(column.text(item)?).or_insert(next)
                }
            };
            clusters.insert(item, place);
        }
        Ok(clusters)
    }

    /// What people should know about the reading.
    pub fn notices(&self) -> Vec<String> {
        let mut notices = vec![];
        if self.ratings.repeated() > 0 {
            notices
                .push(format!("{} ratings are there twice, word for word; each counts once", self.ratings.repeated()));
        }
        for name in self.params.unread() {
            notices.push(format!("the parameter `{name}` is not read by any statistic"));
        }
        notices
    }
}

/// A label as a number, if it is one.
fn finite(label: &str) -> Option<f64> {
    label.trim().parse().ok().filter(|number: &f64| number.is_finite())
}

#[cfg(test)]
pub(super) fn input(rows: &[(&str, &str, &str)], params: serde_json::Value) -> Input {
    let serde_json::Value::Object(params) = params else { panic!("parameters are an object") };
    Input {
        ratings: Ratings::from_rows(rows.iter().copied()).unwrap(),
        items: Covariates::default(),
        params: Params::new(params).unwrap(),
    }
}

/// Which ratings break the rules when rows are given in memory.
impl From<RatingsError> for StatError {
    fn from(source: RatingsError) -> StatError {
        StatError::Unfit { what: source.to_string(), hint: "correct the row".to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const ROWS: &[(&str, &str, &str)] =
        &[("i1", "h1", "10"), ("i1", "h2", "9"), ("i2", "h1", "9"), ("i2", "h2", ""), ("i3", "h2", "9")];

    #[test]
    fn items_are_in_file_order_and_an_empty_label_is_missing() {
        let input = input(ROWS, json!({"a": "h1", "b": "h2", "labels": ["10", "9"]}));
        assert_eq!(input.ratings.items(), ["i1", "i2", "i3"]);
        assert_eq!(input.pair(0, 1), [(0, "10", "9")]);
        assert_eq!(input.labels(&[0, 1]).unwrap().names(), ["10", "9"]);
        assert_eq!(input.labels_used(&[0, 1]).names(), ["9", "10"]);
    }

    #[test]
    fn errors_name_item_annotator_and_parameter() {
        let found = input(ROWS, json!({"a": "h3", "labels": ["9", "x"], "cluster": "session"}));
        let message = |error: StatError| error.to_string();
        assert_eq!(
            found.labels(&[0]).map_err(message).unwrap_err(),
            "item 'i1': annotator 'h1' used the label '10', which is not declared (declared: 9, x)"
        );
        assert_eq!(
            found.annotator("a").map_err(message).unwrap_err(),
            "parameter `a`: there is no annotator `h3` in the ratings"
        );
        assert_eq!(found.clusters(0..3).map_err(message).unwrap_err(), "the items have no column `session`");
        let rows = [("i1", "h1", "a"), ("i1", "h1", "b")];
        assert_eq!(
            Ratings::from_rows(rows).unwrap_err().to_string(),
            "item 'i1': annotator 'h1' has two different answers, 'a' and 'b'"
        );
    }
}
