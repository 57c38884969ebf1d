//! All that a report says, as data: takes a task's codebook, gold, runs and what was computed of them, gives one document.
//!
//! The page and `report --json` are made of it, so both hold the same numbers. Agreement and corrected shares come from where `agree` and
//! `estimate` have them; what is added here is what only a report shows: raw shares with intervals, points of plots, a history over
//! versions of the codebook, and units on which raters differ.

pub mod answers;
pub mod case;
pub mod excerpt;
pub mod facts;
pub mod run;
pub mod scores;
pub mod versions;

use crate::agreement::FieldAgreement;
use crate::agreement::field::Drawn;
use crate::codebook::Codebook;
use crate::estimate::numbers::RunEstimates;
use crate::evaluation::judged::JudgedField;
use crate::evaluation::leak::LeakCheck;
use crate::evaluation::sealed::{Opened, Seal};
use crate::evaluation::{FieldRatings, RunRows};
use crate::gold::{Gold, Split};
use crate::run::Annotation;
use crate::run::vote::{Vote, VoteColumn, Voting};
use crate::store::Evaluation;
use case::Disagreements;
use facts::{CodebookFacts, GoldFacts};
use run::RunDossier;
use scores::ScorePlot;
use serde::Serialize;
use std::borrow::Cow;
use versions::FieldVersions;

/// The version of the document.
pub const FORMAT: u32 = 1;

/// Everything that a report says.
#[derive(Debug, Serialize)]
pub struct Dossier {
    /// Version of the document.
    pub format: u32,
    /// The program that made it.
    pub program: String,
    /// The part of the gold: `dev`, `test` or `all`.
    pub split: String,
    /// Whether results of single test units are in it.
    pub test_shown: bool,
    /// Replicates and seed of all intervals that are drawn.
    pub resampling: Drawn,
    /// The tasks.
    pub tasks: Vec<TaskDossier>,
    /// What concerns all of it.
    pub warnings: Vec<String>,
}

/// What is said of a task.
#[derive(Debug, Serialize)]
pub struct TaskDossier {
    /// The task.
    pub task: String,
    /// Its heading.
    pub title: String,
    /// `session` or `prompt`.
    pub unit: &'static str,
    /// Its codebook.
    pub codebook: CodebookFacts,
    /// Its gold; none where there is none.
    pub gold: Option<GoldFacts>,
    /// Its runs.
    pub runs: Vec<RunDossier>,
    /// Agreement, a field at a time, as `agree --json` has it.
    pub agreement: Vec<JudgedField>,
    /// Corrected shares and means of each run, as `estimate --json` has them, or why there are none.
    pub estimates: Vec<RunEstimate>,
    /// Scores of two raters against one another.
    pub scores: Vec<ScorePlot>,
    /// Coefficients over versions of the codebook, from the ledger.
    pub versions: Vec<FieldVersions>,
    /// Units on which raters differ.
    pub disagreements: Disagreements,
    /// How often the test split was opened for the task; none where it was not looked at.
    pub test_opened: Option<usize>,
    /// In how many of these times single units of it were shown.
    pub test_shown: Option<usize>,
    /// Whether the gold holds examples of the codebook; none without gold.
    pub leaks: Option<LeakCheck>,
    /// What concerns the whole task.
    pub warnings: Vec<String>,
}

/// A run's corrected numbers, or why there are none.
#[derive(Debug, Serialize)]
pub struct RunEstimate {
    /// The run.
    pub run: String,
    /// The numbers.
    pub found: Option<RunEstimates>,
    /// Why there are none.
    pub refused: Option<String>,
    /// The way out.
    pub hint: Option<String>,
}

/// What a task's part of the dossier is made from.
pub struct TaskParts<'a> {
    /// The codebook.
    pub codebook: &'a Codebook,
    /// The gold.
    pub gold: Option<&'a Gold>,
    /// The part of it that is compared.
    pub split: Option<Split>,
    /// The runs.
    pub runs: &'a [RunRows],
    /// Each run's rater, as ratings name it.
    pub raters: Vec<String>,
    /// The ratings behind `agreement`.
    pub ratings: &'a [FieldRatings],
    /// Agreement, a field at a time.
    pub agreement: Vec<JudgedField>,
    /// Corrected numbers, a run at a time.
    pub estimates: Vec<RunEstimate>,
    /// The ledger's lines on the task.
    pub evaluations: &'a [Evaluation],
    /// How often the test split was opened for the task, this look included.
    pub opened: Option<Opened>,
    /// Whether the gold holds examples of the codebook.
    pub leaks: Option<LeakCheck>,
    /// Which units' single results are not in it.
    pub seal: &'a Seal,
    /// How many units on which raters differ are shown at most.
    pub most_cases: usize,
    /// What was noticed on the way.
    pub warnings: Vec<String>,
}

/// A run with its rater's name and a row a unit: votes where units have several samples.
pub(crate) struct RunView<'a> {
    pub(crate) run: &'a RunRows,
    pub(crate) rater: &'a str,
    pub(crate) rows: Cow<'a, [Annotation]>,
    /// Where units have several samples, the votes behind the rows.
    pub(crate) votes: Option<Vec<Vote>>,
    /// What is voted on, in the order of a vote's agreement.
    pub(crate) voted: Vec<String>,
}

impl<'a> RunView<'a> {
    fn new(run: &'a RunRows, rater: &'a str, voting: &Voting) -> RunView<'a> {
        let voted = voting.columns().iter().map(VoteColumn::name).collect();
        if !run.has_samples() {
            return RunView { run, rater, rows: Cow::Borrowed(&run.rows), votes: None, voted };
        }
        let votes = voting.votes(&run.rows);
        let rows = Cow::Owned(votes.iter().map(|vote| vote.row.clone()).collect());
        RunView { run, rater, rows, votes: Some(votes), voted }
    }
}

impl TaskDossier {
    /// Agreement, a field at a time, without what stands around it.
    pub fn fields(&self) -> impl Iterator<Item = &FieldAgreement> {
        self.agreement.iter().map(|field| &field.agreement)
    }

    /// Puts everything together. Results of single test units are left out unless they may be shown.
    pub fn of(parts: TaskParts<'_>) -> TaskDossier {
        let TaskParts { codebook, gold, runs, raters, ratings, mut agreement, estimates, evaluations, .. } = parts;
        let voting = Voting::new(codebook);
        let views: Vec<RunView<'_>> =
            runs.iter().zip(&raters).map(|(run, rater)| RunView::new(run, rater, &voting)).collect();
        let chosen = case::choose(codebook, gold, parts.split, &views, &agreement, parts.seal, parts.most_cases);
        let hidden = parts.seal.hide_disagreements(agreement.iter_mut().map(|field| &mut field.agreement));
        let split = parts.split.map_or("all", Split::name);
        let runs = (views.iter().zip(&estimates))
            .map(|(view, estimate)| RunDossier::of(codebook, gold, view, &voting, estimate.found.as_ref()))
            .collect();
        TaskDossier {
            task: codebook.task.clone(),
            title: codebook.title.clone(),
            unit: codebook.unit.name(),
            codebook: CodebookFacts::of(codebook),
            gold: gold.map(GoldFacts::of),
            runs,
            scores: scores::plots(codebook, ratings, &agreement),
            versions: versions::over_versions(&codebook.task, evaluations, split, &views),
            disagreements: Disagreements { sealed: hidden, ..chosen },
            agreement,
            estimates,
            test_opened: parts.opened.map(|opened| opened.times),
            test_shown: parts.opened.map(|opened| opened.shown),
            leaks: parts.leaks,
            warnings: parts.warnings,
        }
    }
}
