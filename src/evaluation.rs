//! Brings a task's gold, human raters and runs together: one table of ratings a measured field, ready for agreement.

pub mod column;
pub mod compared;
pub mod judged;
pub mod leak;
pub mod sealed;

pub(crate) use self::column::Column;
use crate::agreement::interval::Resampling;
use crate::agreement::ratings::{Answer, Ratings, RatingsBuilder, RatingsError};
use crate::agreement::{self, AgreementError, FieldAgreement};
use crate::codebook::{Codebook, Collapse, FieldKind};
use crate::gold::{GOLD_RATER, Gold, GoldRow, Split};
use crate::run::vote::{Vote, VoteSummary, Voting};
use crate::run::{Annotation, Manifest, Status};
use crate::unit::UnitId;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet, HashMap};

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

impl Cluster {
    /// `session` or `item`.
    pub fn name(self) -> &'static str {
        match self {
            Cluster::Session => "session",
            Cluster::Item => "item",
        }
    }
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
    /// The declared values of ordered labels.
    pub values: Option<Vec<f64>>,
    /// Where labels are sets of labels: those that they are made of.
    pub members: Option<Vec<String>>,
    /// What more runs say than one answer a unit.
    pub runs: Vec<RunAnswers>,
    /// How often each rater gave a label that counts as no answer.
    pub non_answers: BTreeMap<String, BTreeMap<String, usize>>,
    /// With which probability the gold's units were drawn, where all have one and they differ.
    pub probabilities: Option<HashMap<String, f64>>,
    /// What people should know before they read the numbers.
    pub warnings: Vec<String>,
}

/// What a run says about a field besides one answer a unit.
#[derive(Debug)]
pub struct RunAnswers {
    /// Its rater in the ratings.
    pub rater: String,
    /// Each sample's answers as a rater's, where units have several.
    pub samples: Option<Ratings>,
    /// How sure it is of each unit's answer, from 0 to 1.
    pub confidence: Option<(ConfidenceSource, HashMap<String, f64>)>,
}

/// Where a confidence comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ConfidenceSource {
    /// The rater's own field `confidence`.
    Stated,
    /// The share of samples that gave the answer.
    VoteShare,
    /// A column of the items file.
    Column,
}

impl FieldRatings {
    /// Ratings of which nothing more is known.
    pub fn new(name: String, ratings: Ratings) -> FieldRatings {
        FieldRatings {
            name,
            ratings,
            humans: vec![],
            reference: None,
            collapses: vec![],
            values: None,
            members: None,
            runs: vec![],
            non_answers: BTreeMap::new(),
            probabilities: None,
            warnings: vec![],
        }
    }

    /// What agreement is to be computed of it. `cluster` names what is resampled.
    pub fn settings(&self, task: Option<&str>, cluster: &str, resampling: Resampling) -> agreement::Settings {
        let collapse = |one: &Collapse| agreement::Collapse {
            name: one.name.clone(),
            map: one.map.iter().map(|(from, to)| (from.clone(), Some(to.clone()))).collect(),
        };
        agreement::Settings {
            task: task.map(str::to_owned),
            field: self.name.clone(),
            reference: self.reference.clone(),
            humans: self.humans.clone(),
            cluster: cluster.to_owned(),
            collapses: self.collapses.iter().map(collapse).collect(),
            values: self.values.clone(),
            members: self.members.clone(),
            resampling,
        }
    }

    /// Agreement of every pair, of the panel, and the human ceiling.
    pub fn agreement(
        &self,
        task: Option<&str>,
        cluster: &str,
        resampling: Resampling,
    ) -> Result<FieldAgreement, AgreementError> {
        let mut found = agreement::agree(&self.ratings, &self.settings(task, cluster, resampling))?;
        found.warnings.extend(self.warnings.iter().cloned());
        Ok(found)
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
        let mut rate = |unit: &UnitId, rater: &str, answer: Answer| -> Result<(), RatingsError> {
            if let Some(cluster) = self.cluster_of(unit, sessions.get(unit.as_str()).copied()) {
                builder.cluster(unit.as_str(), &cluster)?;
            }
            builder.push(unit.as_str(), rater, answer)
        };
        // The adjudicated answers come first, so that items stand in their order.
        let (adjudicated, others): (Vec<&GoldRow>, Vec<&GoldRow>) =
            gold.iter().map(|row| **row).partition(|row| row.rater == GOLD_RATER);
        let mut non_answers: BTreeMap<String, BTreeMap<String, usize>> = BTreeMap::new();
        let mut note = |rater: &str, fields: &serde_json::Map<String, serde_json::Value>| {
            if let Some(label) = column.missing_label(fields) {
                *non_answers.entry(rater.to_owned()).or_default().entry(label.to_owned()).or_default() += 1;
            }
        };
        let mut warnings: Vec<String> = doubtful_sessions(&gold).into_iter().collect();
        warnings.extend(others.iter().map(|row| row.rater.as_str()).find(|rater| rater.eq_ignore_ascii_case(GOLD_RATER)).map(
            |rater| format!("the rater `{rater}` counts as a person; the adjudicated answer's rater is called `{GOLD_RATER}`"),
        ));
        for row in adjudicated.iter().chain(&others) {
            note(&row.rater, &row.fields);
            rate(&row.unit, &row.rater, column.answer(&row.fields))?;
        }
        let mut runs = Vec::new();
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
                note(self.rater_name(run), &row.fields);
                rate(&row.unit, self.rater_name(run), answer)?;
            }
            runs.push(RunAnswers {
                rater: self.rater_name(run).to_owned(),
                samples: votes.is_some().then(|| self.samples(column, run, is_wanted)).transpose()?,
                confidence: self.confidence(column, run, voting, votes.as_deref()),
            });
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
            values: column.values.clone(),
            members: column.members.clone(),
            runs,
            non_answers,
            probabilities: unequal_probabilities(&adjudicated),
            warnings,
        }))
    }

    /// Whose session a unit is of, if sessions are resampled.
    fn cluster_of(&self, unit: &UnitId, named: Option<&str>) -> Option<String> {
        (self.cluster == Cluster::Session).then(|| named.map_or_else(|| unit.session().to_string(), str::to_owned))
    }

    /// Each sample of a run as a rater.
    fn samples(
        &self,
        column: &Column,
        run: &RunRows,
        is_wanted: impl Fn(&Annotation) -> bool,
    ) -> Result<Ratings, RatingsError> {
        let mut builder = RatingsBuilder::new(column.level);
        if !column.labels.is_empty() {
            // Samples that say that there is no answer agree with one another, too.
            let labels: Vec<String> = column.labels.iter().chain(&column.missing).cloned().collect();
            builder = builder.labels(&labels)?;
        }
        for row in run.rows.iter().filter(|row| is_wanted(row)) {
            if let Some(cluster) = self.cluster_of(&row.unit, None) {
                builder.cluster(row.unit.as_str(), &cluster)?;
            }
            let answer = match (row.status.is_answered(), column.missing_label(&row.fields)) {
                (false, _) => Answer::Invalid,
                (true, Some(label)) if column.labels_stand_as_they_are() => Answer::Text(label.to_owned()),
                (true, _) => column.answer(&row.fields),
            };
            builder.push(row.unit.as_str(), &format!("sample {}", row.sample), answer)?;
        }
        builder.finish()
    }

    /// How sure a run is of its answers: the share of samples that voted for them, else what it says in a field `confidence`, which is about the
    /// first field of labels.
    fn confidence(
        &self,
        column: &Column,
        run: &RunRows,
        voting: &Voting,
        votes: Option<&[Vote]>,
    ) -> Option<(ConfidenceSource, HashMap<String, f64>)> {
        if let Some(votes) = votes {
            let place = (voting.columns().iter())
                .position(|voted| voted.is_share() && (voted.name() == column.name || voted.field == column.name))?;
            let shares =
                votes.iter().filter_map(|vote| Some((vote.row.unit.to_string(), vote.agreement[place].share?)));
            return Some((ConfidenceSource::VoteShare, shares.collect()));
        }
        let labelled = |kind: &FieldKind| matches!(kind, FieldKind::Label(_) | FieldKind::Flag { .. });
        let first = self.codebook.fields.iter().find(|field| labelled(&field.kind))?;
        let stated = stated_confidence(self.codebook).filter(|_| first.name == column.field)?;
        let answered = run.rows.iter().filter(|row| row.status.is_answered());
        let sure = answered.filter_map(|row| Some((row.unit.to_string(), stated(row)?)));
        Some((ConfidenceSource::Stated, sure.collect()))
    }

    /// A run's rater; its own name as well where two runs have the same rater.
    pub fn rater_name<'r>(&self, run: &'r RunRows) -> &'r str {
        let same = self.runs.iter().filter(|other| other.manifest.rater == run.manifest.rater).count();
        if same > 1 { &run.manifest.run } else { &run.manifest.rater }
    }
}

/// A column `session` of the gold may say that sessions belong together. Where it takes one apart, its units are not as independent as they look.
fn doubtful_sessions(gold: &[&&GoldRow]) -> Option<String> {
    let mut named: BTreeMap<crate::session::SessionId, &str> = BTreeMap::new();
    let apart = gold.iter().find(|row| {
        row.session.as_deref().is_some_and(|session| *named.entry(row.unit.session()).or_insert(session) != session)
    })?;
    Some(format!(
        "the gold's column `session` puts units of `{}` into several sessions: intervals take them as independent, and may be too short",
        apart.unit.session()
    ))
}

/// How sure a row says that it is, from 0 to 1, if the codebook asks for it in a field `confidence`: a score on its own scale, or a number.
pub(crate) fn stated_confidence(codebook: &Codebook) -> Option<impl Fn(&Annotation) -> Option<f64> + use<>> {
    const FIELD: &str = "confidence";
    let (low, high) = match &codebook.field(FIELD)?.kind {
        FieldKind::Score(score) => (score.min as f64, score.max as f64),
        FieldKind::Number => (0.0, 1.0),
        _ => return None,
    };
    Some(move |row: &Annotation| {
        let sure = (row.fields.get(FIELD)?.as_f64()? - low) / (high - low);
        (0.0..=1.0).contains(&sure).then_some(sure)
    })
}

/// The probabilities of adjudicated units, where every one has one and they are not all alike.
fn unequal_probabilities(adjudicated: &[&GoldRow]) -> Option<HashMap<String, f64>> {
    let known: Option<HashMap<String, f64>> =
        adjudicated.iter().map(|row| Some((row.unit.to_string(), row.probability?))).collect();
    let known = known?;
    let (low, high) = known.values().fold((f64::INFINITY, 0.0_f64), |(low, high), p| (low.min(*p), high.max(*p)));
    (high - low > 1e-6 * high).then_some(known)
}
