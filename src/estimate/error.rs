//! Why nothing of a run can be corrected, with the way out.

use miette::Diagnostic;
use std::path::PathBuf;

/// Why nothing of a run can be corrected.
#[derive(Debug, thiserror::Error, Diagnostic)]
pub enum EstimateError {
    /// Nobody knows how the gold was drawn.
    #[error("{path} does not say how its units were drawn, so nothing can be corrected by it", path = path.display())]
    #[diagnostic(help(
        "gold that was picked by hand is biased in ways that no formula sees. `interrater sample {task}` draws units and records their \
         probabilities (column `probability`); if this gold was drawn at random from the run's units, say so with --assume-random. \
         `interrater agree --task {task}` needs no such thing"
    ))]
    UnknownDesign {
        /// The gold file.
        path: PathBuf,
        /// The task.
        task: String,
    },
    /// Some gold has a probability, some has none.
    #[error("{path}: {missing} of {rows} gold units have no probability", path = path.display())]
    #[diagnostic(help(
        "fill in the column `probability` for the units that were drawn; leave units that were picked by hand out of this file"
    ))]
    SomeProbabilities {
        /// The gold file.
        path: PathBuf,
        /// Rows without.
        missing: usize,
        /// All rows.
        rows: usize,
    },
    /// The run was made with another codebook than the gold is read by.
    #[error("run `{run}` was made with another version of the codebook of `{task}` than the one here")]
    #[diagnostic(help("annotate again with this version, or name the folder of the older one in [paths] prompts"))]
    OtherCodebook {
        /// The run.
        run: String,
        /// The task.
        task: String,
    },
    /// Only single humans labelled.
    #[error("{path} has no row of rater `gold`{part}", path = path.display())]
    #[diagnostic(help(
        "what is corrected by is the adjudicated answer; where one person labelled each unit, write `gold` as the rater of those rows"
    ))]
    NotAdjudicated {
        /// The gold file.
        path: PathBuf,
        /// In which part of it.
        part: String,
    },
    /// Gold and the rater's answers do not meet.
    #[error("no gold unit of {path} has an answer of {rater}", path = path.display())]
    #[diagnostic(help(
        "where gold is of other sessions than the run, annotate those too, with the same model and codebook: the run of them tells how the model errs"
    ))]
    NoOverlap {
        /// The gold file.
        path: PathBuf,
        /// The rater.
        rater: String,
    },
    /// The field is not there, or has no gold.
    #[error("task `{task}` has no {what} `{name}` with gold")]
    #[diagnostic(help("it has: {known}"))]
    NotThere {
        /// The task.
        task: String,
        /// `field` or `collapse`.
        what: &'static str,
        /// The name asked for.
        name: String,
        /// Those that there are.
        known: String,
    },
}
