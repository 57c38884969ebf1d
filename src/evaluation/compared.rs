//! Several runs on the same units of a gold, against one another: each one's figure, every difference with its interval and test, which
//! units one mends or breaks, and whether a run is about as good as a human.
//!
//! Takes one field's ratings ([`super::FieldRatings`]) and who has ever been scored on this gold, gives [`ComparedField`].

use super::FieldRatings;
use super::sealed::Seal;
use crate::agreement::ceiling::human_ceiling;
use crate::agreement::estimate::{Estimate, NoInterval};
use crate::agreement::field::Drawn;
use crate::agreement::interval::Resampling;
use crate::agreement::label_pair::{FEWEST_RARE, LabelRow, PairContext, label_agreement, rare_count, table_of};
use crate::agreement::ratings::{Cell, Level, Ratings};
use crate::comparison::correctness::McNemar;
use crate::comparison::multiplicity::Adjustment;
use crate::comparison::paired::{Paired, linearized, pairs};
use crate::comparison::permutation::{Permutation, Swaps, permutation};
use crate::comparison::shared::Shared;
use crate::comparison::{Metric, SharedLabels, SharedScores};
use crate::gold::Gold;
use crate::unit::Grouping;
use serde::Serialize;
use std::collections::{BTreeMap, HashSet};

/// A run as it stands in the ratings.
#[derive(Debug, Clone, PartialEq)]
pub struct RunName {
    /// The run.
    pub run: String,
    /// Its rater in the ratings.
    pub rater: String,
    /// `PROVIDER/MODEL`.
    pub model: String,
    /// Which units shared a request.
    pub group: Option<Grouping>,
}

/// What to compute.
#[derive(Debug, Clone)]
pub struct Compare<'c> {
    /// The runs, the reference of differences first.
    pub runs: &'c [RunName],
    /// The gold.
    pub gold: &'c Gold,
    /// Which of its units are not named.
    pub seal: &'c Seal,
    /// The figure.
    pub metric: Metric,
    /// How to resample; its replicates are the number of random swaps, too, but at least 10,000 of those.
    pub resampling: Resampling,
    /// Every rater who was ever scored on this part of this gold, these runs included.
    pub scored: Vec<String>,
    /// How much worse than humans a run may be.
    pub margin: Option<f64>,
}

/// Why runs cannot be compared on a field.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, miette::Diagnostic)]
pub enum CompareError {
    /// Nobody adjudicated.
    #[error("field `{field}`: the gold has no rows of the rater `gold` to compare with")]
    #[diagnostic(help(
        "adjudicate: give each unit one row whose rater is `gold`; one person's answers alone can be that"
    ))]
    NoReference {
        /// The field.
        field: String,
    },
    /// A run that rated nothing of it.
    #[error("field `{field}`: run `{run}` has none of the units of this gold")]
    #[diagnostic(help("annotate the sessions that the gold is about, then compare"))]
    NothingRated {
        /// The field.
        field: String,
        /// The run.
        run: String,
    },
    /// A figure of labels for scores, or the other way round.
    #[error("field `{field}`: {metric} is not for fields of this kind ({level})")]
    #[diagnostic(help("kappa, accuracy and f1 are for labels, mae is for scores; --field names another field"))]
    WrongMetric {
        /// The field.
        field: String,
        /// The metric.
        metric: &'static str,
        /// The level.
        level: Level,
    },
    /// There is no unit that all have answered.
    #[error("field `{field}`: no unit is answered in the gold and by all of these runs")]
    #[diagnostic(help("compare runs over the same sessions; `interrater runs RUN` shows what a run holds"))]
    NothingShared {
        /// The field.
        field: String,
    },
}

/// The comparison of runs on one field: an element of `fields` in `compare --json`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ComparedField {
    /// The field.
    pub field: String,
    /// The level.
    pub level: Level,
    /// The figure.
    pub metric: Metric,
    /// What was resampled and swapped: `session` or `item`.
    pub cluster: &'static str,
    /// How many of them there are.
    pub clusters: usize,
    /// Units that the gold and all runs answered: all figures are on these.
    pub units: usize,
    /// Units that the gold answers.
    pub gold_units: usize,
    /// The runs.
    pub runs: Vec<ComparedRun>,
    /// Every pair.
    pub pairs: Vec<ComparedPair>,
    /// How p values were adjusted.
    pub multiplicity: Multiplicity,
    /// Whether runs are about as good as humans, where a margin was given.
    pub non_inferiority: Option<NonInferiority>,
    /// What people should know.
    pub warnings: Vec<String>,
    /// How intervals were drawn.
    pub resampling: Drawn,
}

/// One run's figure.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ComparedRun {
    /// The run.
    pub run: String,
    /// Its rater.
    pub rater: String,
    /// `PROVIDER/MODEL`.
    pub model: String,
    /// Which units shared a request.
    pub group: Option<Grouping>,
    /// Units of the gold that it answers.
    pub answered: usize,
    /// Units of the gold without an answer of it.
    pub missing: usize,
    /// Units of the gold whose answer cannot be used.
    pub invalid: usize,
    /// The figure on the shared units.
    pub figure: Estimate,
    /// Share of the shared units on which it says what the gold says; `None` for scores.
    pub accuracy: Option<f64>,
}

/// Two runs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ComparedPair {
    /// The earlier run.
    pub a: String,
    /// The later run.
    pub b: String,
    /// Figure of b less figure of a.
    pub difference: Estimate,
    /// Standard error of the difference from influence values, by clusters.
    pub se_linearized: Option<f64>,
    /// The permutation test; `None` where the difference is undefined.
    pub permutation: Option<Permutation>,
    /// Its two-sided p, adjusted for every rater ever scored.
    pub p_adjusted: Option<f64>,
    /// McNemar's test; `None` for scores, and where sessions have several units.
    pub mcnemar: Option<McNemar>,
    /// Why there is none, or what to bear in mind.
    pub mcnemar_note: Option<String>,
    /// Units that b has right and a wrong; `None` for scores.
    pub fixed: Option<Changed>,
    /// Units that a has right and b wrong; `None` for scores.
    pub broken: Option<Changed>,
    /// Whether the runs differ in which units shared a request.
    pub groups_differ: bool,
}

/// Units that changed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Changed {
    /// How many.
    pub count: usize,
    /// Which, those of the test split left out: who reads them tunes to them.
    pub units: Vec<String>,
    /// How many of the test split were left out.
    pub hidden: usize,
}

/// For how many comparisons p values were adjusted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Multiplicity {
    /// `holm`.
    pub method: &'static str,
    /// The number: raters ever scored on this part of this gold, or pairs shown if these are more.
    pub m: usize,
    /// The raters.
    pub raters: Vec<String>,
}

/// The runs against humans.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct NonInferiority {
    /// How much worse a run may be, δ.
    pub margin: f64,
    /// `cohen_kappa`, or `icc_a1` for scores: a mean over pairs.
    pub statistic: &'static str,
    /// The humans.
    pub humans: Vec<String>,
    /// One entry a run.
    pub runs: Vec<AgainstHumans>,
}

/// One run against humans, on the units that it and two humans answered.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AgainstHumans {
    /// The run.
    pub run: String,
    /// How many units.
    pub items: usize,
    /// Mean over pairs of humans.
    pub human_human: Estimate,
    /// Mean over pairs of the run and a human.
    pub run_human: Estimate,
    /// The second less the first.
    pub difference: Estimate,
    /// Whether the lower end of the difference lies above −δ; `None` without an interval.
    pub holds: Option<bool>,
}

/// Compares the runs on one field.
pub fn compare(field: &FieldRatings, by_item: bool, ask: &Compare<'_>) -> Result<ComparedField, CompareError> {
    let ratings = &field.ratings;
    let name = || field.name.clone();
    let reference = field.reference.as_deref().and_then(|name| ratings.rater(name));
    let reference = reference.ok_or_else(|| CompareError::NoReference { field: name() })?;
    if ask.metric.is_of_scores() != (ratings.level() == Level::Interval) {
        let (metric, level) = (ask.metric.name(), ratings.level());
        return Err(CompareError::WrongMetric { field: name(), metric, level });
    }
    let rater = |run: &RunName| {
        ratings
            .rater(&run.rater)
            .ok_or_else(|| CompareError::NothingRated { field: field.name.clone(), run: run.run.clone() })
    };
    let raters = ask.runs.iter().map(rater).collect::<Result<Vec<usize>, CompareError>>()?;
    let answered = |item: usize, rater: usize| matches!(ratings.cell(item, rater), Cell::Label(_) | Cell::Number(_));
    let gold_units: Vec<usize> = (0..ratings.items().len()).filter(|&item| answered(item, reference)).collect();
    let items: Vec<usize> =
        gold_units.iter().copied().filter(|&item| raters.iter().all(|&rater| answered(item, rater))).collect();
    if items.is_empty() {
        return Err(CompareError::NothingShared { field: name() });
    }
    let fields = Shown { field, ask, by_item, reference, raters, items, sessions: sessions_of(ask.gold) };
    let shared = fields.shared();
    let paired = Paired::new(&*shared, ask.metric, ask.resampling);
    let runs = fields.runs(&paired, &gold_units);
    let pairs = fields.pairs(&*shared, &paired);
    let mut warnings = field.warnings.clone();
    warnings.extend(fields.warnings(&runs, &pairs, gold_units.len()));
    Ok(ComparedField {
        field: name(),
        level: ratings.level(),
        metric: ask.metric,
        cluster: if by_item { "item" } else { "session" },
        clusters: paired.clusters(),
        units: fields.items.len(),
        gold_units: gold_units.len(),
        non_inferiority: ask.margin.and_then(|margin| fields.against_humans(margin)),
        multiplicity: Multiplicity { method: "holm", m: fields.comparisons(), raters: ask.scored.clone() },
        runs,
        pairs,
        warnings,
        resampling: Drawn { replicates: ask.resampling.replicates, seed: ask.resampling.seed },
    })
}

/// The session of each unit, as the gold has it.
fn sessions_of(gold: &Gold) -> BTreeMap<String, String> {
    let session =
        |row: &crate::gold::GoldRow| row.session.clone().unwrap_or_else(|| row.unit.session().as_str().to_owned());
    gold.rows.iter().map(|row| (row.unit.to_string(), session(row))).collect()
}

/// The shared units of one field.
struct Shown<'c> {
    field: &'c FieldRatings,
    ask: &'c Compare<'c>,
    by_item: bool,
    reference: usize,
    raters: Vec<usize>,
    items: Vec<usize>,
    sessions: BTreeMap<String, String>,
}

impl Shown<'_> {
    fn ratings(&self) -> &Ratings {
        &self.field.ratings
    }

    fn unit(&self) -> &'static str {
        if self.by_item { "item" } else { "cluster" }
    }

    fn clusters(&self) -> Vec<usize> {
        self.items.iter().map(|&item| self.ratings().cluster(item)).collect()
    }

    fn labels(&self, rater: usize) -> Vec<usize> {
        let label = |&item: &usize| match self.ratings().cell(item, rater) {
            Cell::Label(label) => Some(label),
            _ => None,
        };
        self.items.iter().filter_map(label).collect()
    }

    fn shared(&self) -> Box<dyn Shared> {
        let clusters = self.clusters();
        if !self.ask.metric.is_of_scores() {
            return Box::new(SharedLabels {
                labels: self.ratings().labels().len(),
                clusters,
                reference: self.labels(self.reference),
                raters: self.raters.iter().map(|&rater| self.labels(rater)).collect(),
            });
        }
        let scores = |rater: usize| -> Vec<f64> {
            let score = |&item: &usize| match self.ratings().cell(item, rater) {
                Cell::Number(score) => Some(score),
                _ => None,
            };
            self.items.iter().filter_map(score).collect()
        };
        let raters = self.raters.iter().map(|&rater| scores(rater)).collect();
        Box::new(SharedScores { clusters, reference: scores(self.reference), raters })
    }

    /// A figure over labels whose commoner ones leave too little is not given an interval, as everywhere.
    fn too_rare(&self) -> Option<usize> {
        if !matches!(self.ask.metric, Metric::Kappa | Metric::MacroF1) {
            return None;
        }
        let rows = self.label_rows(self.reference);
        let count = rare_count(table_of(&rows, self.ratings().labels().len()).view(), true);
        (count < FEWEST_RARE).then_some(count)
    }

    fn label_rows(&self, rater: usize) -> Vec<LabelRow> {
        let rows = self.labels(self.reference).into_iter().zip(self.labels(rater)).zip(self.clusters());
        rows.zip(&self.items).map(|(((a, b), cluster), &item)| LabelRow { cluster, a, b, item }).collect()
    }

    fn runs(&self, paired: &Paired, gold_units: &[usize]) -> Vec<ComparedRun> {
        let ratings = self.ratings();
        let of = |(place, (run, &rater)): (usize, (&RunName, &usize))| {
            let context = PairContext {
                a: &ratings.raters()[self.reference],
                b: &run.rater,
                reference: true,
                ordinal: false,
                values: None,
                clustered: !self.by_item,
                resampling: self.ask.resampling,
            };
            // The same guards and numbers as where runs are looked at one by one.
            let labels = (!self.ask.metric.is_of_scores())
                .then(|| label_agreement(&self.label_rows(rater), ratings.labels(), &context));
            let figure = match (self.ask.metric, &labels) {
                (Metric::Kappa, Some(found)) => found.cohen_kappa.clone(),
                (Metric::Accuracy, Some(found)) => found.percent_agreement.clone(),
                _ => self.guarded(paired.figure(place, self.unit())),
            };
            let count =
                |which: fn(Cell) -> bool| gold_units.iter().filter(|&&item| which(ratings.cell(item, rater))).count();
            ComparedRun {
                run: run.run.clone(),
                rater: run.rater.clone(),
                model: run.model.clone(),
                group: run.group,
                answered: count(|cell| matches!(cell, Cell::Label(_) | Cell::Number(_))),
                missing: count(|cell| cell == Cell::Missing),
                invalid: count(|cell| cell == Cell::Invalid),
                figure,
                accuracy: labels.and_then(|found| found.percent),
            }
        };
        self.ask.runs.iter().zip(&self.raters).enumerate().map(of).collect()
    }

    fn guarded(&self, estimate: Estimate) -> Estimate {
        match (self.too_rare(), estimate.value) {
            (Some(count), Some(value)) => Estimate::without_interval(value, NoInterval::RareLabel { count }),
            _ => estimate,
        }
    }

    /// For how many comparisons p values are adjusted: whoever was tried counts, shown or not.
    fn comparisons(&self) -> usize {
        self.ask.scored.len().max(pairs(self.raters.len()).len())
    }

    fn pairs(&self, shared: &dyn Shared, paired: &Paired) -> Vec<ComparedPair> {
        let swaps = Swaps {
            random: self.ask.resampling.replicates.max(crate::comparison::permutation::DEFAULT_SWAPS),
            seed: self.ask.resampling.seed,
        };
        let mut found: Vec<ComparedPair> = (pairs(self.raters.len()).into_iter().enumerate())
            .map(|(place, (a, b))| {
                let (mcnemar, mcnemar_note) = self.mcnemar(a, b);
                ComparedPair {
                    a: self.ask.runs[a].run.clone(),
                    b: self.ask.runs[b].run.clone(),
                    difference: self.guarded(paired.difference(place, self.unit())),
                    se_linearized: linearized(shared, self.ask.metric, (a, b)).ok().and_then(|found| found.se_clusters),
                    permutation: permutation(shared, self.ask.metric, (a, b), swaps).ok(),
                    p_adjusted: None,
                    mcnemar,
                    mcnemar_note,
                    fixed: self.changed(a, b),
                    broken: self.changed(b, a),
                    groups_differ: self.ask.runs[a].group != self.ask.runs[b].group,
                }
            })
            .collect();
        let p: Vec<f64> = found.iter().filter_map(|pair| Some(pair.permutation?.p_two_sided)).collect();
        let mut adjusted = Adjustment::Holm.adjust_among(&p, self.comparisons()).into_iter();
        for pair in found.iter_mut().filter(|pair| pair.permutation.is_some()) {
            pair.p_adjusted = adjusted.next();
        }
        found
    }

    /// Whether a rater has each shared unit right.
    fn right(&self, run: usize) -> Vec<bool> {
        let gold = self.labels(self.reference);
        self.labels(self.raters[run]).iter().zip(gold).map(|(label, gold)| *label == gold).collect()
    }

    fn mcnemar(&self, a: usize, b: usize) -> (Option<McNemar>, Option<String>) {
        if self.ask.metric.is_of_scores() {
            return (None, None);
        }
        let unit = |&item: &usize| &self.ratings().items()[item];
        let sessions: HashSet<&str> =
            self.items.iter().filter_map(|item| self.sessions.get(unit(item))).map(String::as_str).collect();
        if sessions.len() < self.items.len() {
            let note =
                "McNemar's test is left out: it holds for one unit a session only, and these sessions have several";
            return (None, Some(note.to_owned()));
        }
        let note = "McNemar's test holds because each of these sessions has one unit; with several it would not";
        (Some(McNemar::of(&self.right(a), &self.right(b))), Some(note.to_owned()))
    }

    /// Units that `from` has wrong and `to` right.
    fn changed(&self, from: usize, to: usize) -> Option<Changed> {
        if self.ask.metric.is_of_scores() {
            return None;
        }
        let (from, to) = (self.right(from), self.right(to));
        let moved = self.items.iter().zip(from.into_iter().zip(to)).filter(|(_, (from, to))| !from && *to);
        Some(self.ask.seal.told(moved.map(|(&item, _)| self.ratings().items()[item].clone())))
    }

    fn against_humans(&self, margin: f64) -> Option<NonInferiority> {
        let ratings = self.ratings();
        let humans: Vec<usize> = self.field.humans.iter().filter_map(|human| ratings.rater(human)).collect();
        let context = PairContext {
            a: "",
            b: "",
            reference: false,
            ordinal: false,
            values: None,
            clustered: ratings.clustered(),
            resampling: self.ask.resampling,
        };
        let ceiling = human_ceiling(ratings, &humans, &self.raters, &context)?;
        let runs = ceiling.models.into_iter().zip(self.ask.runs);
        Some(NonInferiority {
            margin,
            statistic: ceiling.statistic,
            humans: ceiling.humans,
            runs: runs
                .map(|(model, run)| AgainstHumans {
                    run: run.run.clone(),
                    items: model.items,
                    holds: model.difference.low.map(|low| low > -margin),
                    human_human: model.mean_human_human,
                    run_human: model.mean_model_human,
                    difference: model.difference,
                })
                .collect(),
        })
    }

    fn warnings(&self, runs: &[ComparedRun], pairs: &[ComparedPair], gold_units: usize) -> Vec<String> {
        let mut warnings = Vec::new();
        for run in runs.iter().filter(|run| run.answered < gold_units) {
            warnings.push(format!(
                "{}: {} of {gold_units} units of the gold without a usable answer ({} missing, {} invalid); all figures are on the {} units that every run answers",
                run.run,
                gold_units - run.answered,
                run.missing,
                run.invalid,
                self.items.len(),
            ));
        }
        for pair in pairs.iter().filter(|pair| pair.groups_differ) {
            let of = |name: &str| {
                let group = runs.iter().find(|run| run.run == name).and_then(|run| run.group);
                group.map_or("each unit asked for alone", |_| "the prompts of a session in one request")
            };
            warnings.push(format!(
                "{} and {} differ in how units were asked for ({}; {}), whatever else differs",
                pair.a,
                pair.b,
                of(&pair.a),
                of(&pair.b)
            ));
        }
        if self.ask.margin.is_some() && self.field.humans.len() < 2 {
            warnings.push(
                "--margin: the gold has fewer than two human raters, so there is no ceiling to compare with".to_owned(),
            );
        }
        if self.by_item && self.mcnemar(0, 0).0.is_none() && !self.ask.metric.is_of_scores() {
            warnings.push(
                "--by item takes units of one session as independent: intervals are too narrow and p values too small"
                    .to_owned(),
            );
        }
        warnings
    }
}
