//! Ratings and covariates as a file holds them: items in file order, labels as opaque text.
//!
//! Here nothing is declared yet: which labels there may be is a parameter of the statistic. An empty label and an absent row are the same,
//! a missing rating; the same rating twice counts once; two different ones are an error.

use crate::agreement::file::Sheet;
use crate::agreement::{FileError, RatingsError};
use std::collections::HashMap;
use std::path::Path;

/// Names in the order of their first appearance.
#[derive(Debug, Clone, Default)]
pub(super) struct Names {
    names: Vec<String>,
    places: HashMap<String, usize>,
}

impl Names {
    pub(super) fn place(&mut self, name: &str) -> usize {
        if let Some(&place) = self.places.get(name) {
            return place;
        }
        self.names.push(name.to_owned());
        self.places.insert(name.to_owned(), self.names.len() - 1);
        self.names.len() - 1
    }

    pub(super) fn find(&self, name: &str) -> Option<usize> {
        self.places.get(name).copied()
    }
}

/// Who gave what label to which item.
#[derive(Debug, Clone, Default)]
pub struct Ratings {
    items: Names,
    annotators: Names,
    labels: Names,
    /// Label by (item, annotator).
    cells: HashMap<(usize, usize), usize>,
    repeated: usize,
}

impl Ratings {
    /// Ratings from rows (item, annotator, label), an empty label being a missing one.
    pub fn from_rows<'r>(rows: impl IntoIterator<Item = (&'r str, &'r str, &'r str)>) -> Result<Ratings, RatingsError> {
        let mut ratings = Ratings::default();
        rows.into_iter().try_for_each(|(item, annotator, label)| ratings.push(item, annotator, label))?;
        Ok(ratings)
    }

    /// Reads a file with the columns item, annotator and label. A file without rows, or an empty one, holds no ratings.
    pub fn read(path: &Path) -> Result<Ratings, FileError> {
        let mut sheet = Sheet::open(path)?;
        let mut ratings = Ratings::default();
        if sheet.header().is_empty() {
            return Ok(ratings);
        }
        let [item, annotator, label] = sheet.columns(["item", "annotator", "label"])?;
        while let Some(record) = sheet.next()? {
            ratings
                .push(&record[item], &record[annotator], &record[label])
                .map_err(|source| sheet.row_error(source))?;
        }
        Ok(ratings)
    }

    fn push(&mut self, item: &str, annotator: &str, label: &str) -> Result<(), RatingsError> {
        for (name, what) in [(item, "item"), (annotator, "annotator")] {
            if name.is_empty() {
                return Err(RatingsError::EmptyName { what });
            }
        }
        let cell = (self.items.place(item), self.annotators.place(annotator));
        if label.is_empty() {
            return Ok(());
        }
        let label = self.labels.place(label);
        match self.cells.insert(cell, label) {
            Some(before) if before != label => Err(RatingsError::ConflictingDuplicate {
                item: item.to_owned(),
                rater: annotator.to_owned(),
                first: self.labels.names[before].clone(),
                second: self.labels.names[label].clone(),
            }),
            Some(_) => {
                self.repeated += 1;
                Ok(())
            }
            None => Ok(()),
        }
    }

    /// Items in file order, those without any label among them.
    pub fn items(&self) -> &[String] {
        &self.items.names
    }

    /// Annotators in file order.
    pub fn annotators(&self) -> &[String] {
        &self.annotators.names
    }

    /// The place of an annotator.
    pub fn annotator(&self, name: &str) -> Option<usize> {
        self.annotators.find(name)
    }

    /// The label that an annotator gave an item (both by place); `None` where it is missing.
    pub fn label(&self, item: usize, annotator: usize) -> Option<&str> {
        self.cells.get(&(item, annotator)).map(|&label| self.labels.names[label].as_str())
    }

    /// Rows that repeat a rating word for word; each rating counts once.
    pub fn repeated(&self) -> usize {
        self.repeated
    }
}

/// What is known about the items: item → column → text.
#[derive(Debug, Clone, Default)]
pub struct Covariates {
    columns: Vec<String>,
    rows: HashMap<String, Vec<String>>,
}

impl Covariates {
    /// Reads a file with the column item and any others. Two different lines on one item are an error.
    pub fn read(path: &Path) -> Result<Covariates, FileError> {
        let mut sheet = Sheet::open(path)?;
        let [item] = sheet.columns(["item"])?;
        let mut covariates = Covariates { columns: sheet.header().to_vec(), rows: HashMap::new() };
        while let Some(record) = sheet.next()? {
            let row: Vec<String> = record.iter().map(str::to_owned).collect();
            if let Some(before) = covariates.rows.get(&record[item]).filter(|before| **before != row) {
                let place = before.iter().zip(&row).position(|(one, other)| one != other).unwrap_or(0);
                return Err(sheet.row_error(RatingsError::TwoCovariates {
                    item: record[item].to_owned(),
                    column: covariates.columns[place].clone(),
                    first: before[place].clone(),
                    second: row[place].clone(),
                }));
            }
            covariates.rows.insert(record[item].to_owned(), row);
        }
        Ok(covariates)
    }

    /// The names of the columns.
    pub fn columns(&self) -> &[String] {
        &self.columns
    }

    /// What a column says of an item; `None` where there is no such column, no line, or an empty cell.
    pub fn get(&self, item: &str, column: &str) -> Option<&str> {
        let place = self.columns.iter().position(|name| name == column)?;
        self.rows.get(item).map(|row| row[place].as_str()).filter(|text| !text.is_empty())
    }
}
