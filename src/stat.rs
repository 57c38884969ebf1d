//! One statistic on a ratings file: takes its name, the file's ratings, its items' covariates and parameters, gives a JSON object.
//!
//! ```text
//! FILE ─ Ratings ┐
//! --items ─ Covariates ─ Input ─ Statistic::compute ─ object of figures (a figure without a value is null, with its reason)
//! --params ─ Params ┘
//! ```
//!
//! Each family of statistics is a file with a list `ALL`; [`all`] joins the lists. The mathematics is in [`crate::agreement`] where it is
//! a coefficient or an interval; a family takes parameters apart and names the figures.

mod comparison;
mod confidence;
mod correction;
mod figures;
mod input;
mod intervals;
mod params;
mod planning;
mod ratings;
mod scores;
mod several_raters;
mod spelling;
mod two_raters;
mod weighting;
#[cfg(test)]
mod vectors;

pub use figures::Figures;
pub use input::{Column, Input, Labels};
pub use params::Params;
pub use ratings::{Covariates, Ratings};

use crate::agreement::FileError;
use miette::Diagnostic;
use serde_json::{Map, Value};

/// One statistic.
pub struct Statistic {
    /// Its name on the command line.
    pub name: &'static str,
    /// What it gives, in one line.
    pub summary: &'static str,
    /// Computes it.
    pub compute: fn(&Input) -> Result<Map<String, Value>, StatError>,
}

/// Why a statistic cannot be computed. A statistic that is undefined on the data is no error: its figures are null.
#[derive(Debug, thiserror::Error, Diagnostic)]
pub enum StatError {
    /// There is no such statistic.
    #[error("there is no statistic `{name}`")]
    #[diagnostic(help("{hint}"))]
    UnknownStatistic {
        /// The name asked for.
        name: String,
        /// The nearest name, or where the names are.
        hint: String,
    },
    /// A file cannot be read.
    #[error(transparent)]
    #[diagnostic(transparent)]
    File(#[from] FileError),
    /// The parameters are no JSON object.
    #[error("the parameters are no JSON object: {reason}")]
    #[diagnostic(help("--params '{{\"a\": \"h1\", \"b\": \"h2\"}}'"))]
    NotAnObject {
        /// What they are, or where the text breaks off.
        reason: String,
    },
    /// A parameter is missing or is not what it should be.
    #[error("parameter `{name}`: expected {expected}, found {found}")]
    #[diagnostic(help("parameters are the members of the JSON object of --params"))]
    Parameter {
        /// Its name.
        name: String,
        /// What was expected, with an article.
        expected: String,
        /// What there is.
        found: String,
    },
    /// A parameter that nothing reads, spelt nearly like one that is read.
    #[error("there is no parameter `{name}`")]
    #[diagnostic(help("did you mean `{nearest}`?"))]
    MisspeltParameter {
        /// Its name.
        name: String,
        /// The parameter that there is.
        nearest: String,
    },
    /// An annotator that the ratings do not have.
    #[error("parameter `{parameter}`: there is no annotator `{annotator}` in the ratings")]
    #[diagnostic(help("{hint}"))]
    UnknownAnnotator {
        /// The parameter that names it.
        parameter: String,
        /// The annotator.
        annotator: String,
        /// The annotators that there are.
        hint: String,
    },
    /// A label that is not declared.
    #[error(
        "item '{item}': annotator '{annotator}' used the label '{label}', which is not declared (declared: {declared})"
    )]
    #[diagnostic(help(
        "correct the row, or add the label to the parameter `labels` (labels are taken as they are, blanks included)"
    ))]
    UndeclaredLabel {
        /// The item.
        item: String,
        /// The annotator.
        annotator: String,
        /// The label.
        label: String,
        /// The declared labels, joined.
        declared: String,
    },
    /// A label that should be a number.
    #[error("item '{item}': annotator '{annotator}' gave '{label}', which is not a number")]
    #[diagnostic(help("this statistic is of scores; correct the row, or empty the label if it is missing"))]
    NotANumber {
        /// The item.
        item: String,
        /// The annotator.
        annotator: String,
        /// The label.
        label: String,
    },
    /// A covariate that the items do not have.
    #[error("the items have no column `{column}`")]
    #[diagnostic(help("{hint}"))]
    NoColumn {
        /// The column.
        column: String,
        /// The columns that there are.
        hint: String,
    },
    /// An item without a covariate that it needs.
    #[error("item '{item}' has no `{column}`, or it is not {expected}: '{found}'")]
    #[diagnostic(help("every item that counts has a line in the file of --items, with this column filled in"))]
    Covariate {
        /// The item.
        item: String,
        /// The column.
        column: String,
        /// What it should be, with an article.
        expected: &'static str,
        /// What it is; empty if it is missing.
        found: String,
    },
    /// The data do not fit what was asked.
    #[error("{what}")]
    #[diagnostic(help("{hint}"))]
    Unfit {
        /// What does not fit, and where.
        what: String,
        /// The way out.
        hint: String,
    },
}

/// Every statistic, by family.
pub fn all() -> impl Iterator<Item = &'static Statistic> {
    [
        two_raters::ALL,
        several_raters::ALL,
        scores::ALL,
        intervals::ALL,
        comparison::ALL,
        correction::ALL,
        confidence::ALL,
        planning::ALL,
    ]
    .into_iter()
    .flatten()
}

/// The statistic of this name.
pub fn find(name: &str) -> Result<&'static Statistic, StatError> {
    all().find(|statistic| statistic.name == name).ok_or_else(|| StatError::UnknownStatistic {
        name: name.to_owned(),
        hint: match spelling::nearest(name, all().map(|statistic| statistic.name)) {
            Some(nearest) => format!("did you mean `{nearest}`? `interrater stat --list` names them all"),
            None => "`interrater stat --list` names them all".to_owned(),
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn names_are_unique_and_a_misspelt_one_is_answered_with_the_nearest() {
        let mut names = HashSet::new();
        assert!(all().all(|statistic| names.insert(statistic.name) && !statistic.summary.contains('\n')));
        let Err(error) = find("cohen_kapa") else { panic!("no such statistic") };
        assert!(error.help().unwrap().to_string().starts_with("did you mean `cohen_kappa`?"));
        assert!(find("entirely different").is_err_and(|error| error.help().unwrap().to_string().starts_with('`')));
    }
}
