//! What a run says: its summary, why units have no answer, how far it agrees with gold. Takes its rows as they are written, and keeps only
//! those that gold knows.

use super::agree::record;
use interrater::agreement::{FieldAgreement, Resampling};
use interrater::codebook::Codebook;
use interrater::config::Config;
use interrater::evaluation::leak::LeakCheck;
use interrater::evaluation::sealed::Looks;
use interrater::evaluation::{Cluster, Comparison, RunRows};
use interrater::gold::{Gold, Split};
use interrater::report::runs::{FieldHeadline, Reasons, TaskSummary};
use interrater::run::vote::{Ballot, Vote, VoteSums, Voting};
use interrater::run::{Annotation, Run, write_json};
use interrater::summary::Summing;
use miette::{IntoDiagnostic, Result};
use std::collections::HashSet;

/// What the rows of a run say together.
pub struct Conclusion<'g> {
    codebook: &'g Codebook,
    gold: Option<&'g Gold>,
    labelled: HashSet<&'g str>,
    summing: Summing,
    reasons: Reasons,
    /// Where units have several samples, those vote.
    ballot: Option<Ballot>,
    votes: VoteSums,
    /// Whether the gold holds examples of the codebook.
    pub leaks: Option<LeakCheck>,
    /// The rows that gold knows.
    rows: Vec<Annotation>,
}

impl<'g> Conclusion<'g> {
    /// Of no rows yet, with so many samples a unit.
    pub fn begin(codebook: &'g Codebook, gold: Option<&'g Gold>, samples: u32) -> Conclusion<'g> {
        let voting = Voting::new(codebook);
        Conclusion {
            codebook,
            gold,
            labelled: gold.map(Gold::units).unwrap_or_default(),
            summing: Summing::new(codebook),
            reasons: Reasons::default(),
            votes: VoteSums::new(&voting),
            leaks: None,
            ballot: (samples > 1).then(|| voting.begin()),
            rows: Vec::new(),
        }
    }

    /// Takes the next row, in unit order.
    pub fn add(&mut self, row: &Annotation) {
        self.reasons.add(row);
        if self.labelled.contains(row.unit.as_str()) {
            self.rows.push(row.clone());
        }
        match &mut self.ballot {
            Some(ballot) => {
                let vote = ballot.put(row.clone());
                self.count(vote);
            }
            None => self.summing.add(row),
        }
    }

    fn count(&mut self, vote: Option<Vote>) {
        if let Some(vote) = vote {
            self.summing.add(&vote.row);
            self.votes.add(&vote);
        }
    }

    /// Compares the run called `name` with gold, and writes what it says beside it.
    pub fn finish(mut self, name: &str, config: &Config) -> Result<TaskSummary> {
        let last = self.ballot.as_mut().and_then(Ballot::end);
        self.count(last);
        let run = Run::open(&config.paths.runs, name)?;
        let rater = run.manifest.rater.clone();
        let (task, totals) = (run.manifest.task.clone(), run.manifest.totals.clone());
        let folder = run.folder.clone();
        let runs = [RunRows { manifest: run.manifest, rows: self.rows }];
        // A job that is repeated with every change of a codebook must not use up the test split: that is opened by who asks for it.
        let split = self.gold.filter(|gold| Looks::opens_test(gold, None)).map(|_| Split::Dev);
        let is_there = |gold: &&Gold| split.is_none() || gold.rows.iter().any(|row| row.split == split);
        let agreement = match self.gold.filter(is_there) {
            Some(gold) if !runs[0].rows.is_empty() => {
                let comparison = Comparison {
                    codebook: self.codebook,
                    gold: Some(gold),
                    runs: &runs,
                    split,
                    cluster: Cluster::Session,
                    collapse: None,
                };
                let ratings = comparison.fields().into_diagnostic()?;
                let fields: Vec<FieldAgreement> = (ratings.iter())
                    .map(|field| field.agreement(Some(&task), Cluster::Session.name(), Resampling::default()))
                    .collect::<Result<_, _>>()
                    .into_diagnostic()?;
                let part = split.map_or("all", Split::name);
                record(&config.paths.store, &task, gold, part, None, (&runs, &fields.iter().collect::<Vec<_>>()))?;
                fields.iter().map(|field| FieldHeadline::of(field, &rater)).collect()
            }
            _ => Vec::new(),
        };
        let cost_per_label_usd = totals.cost_per_label_usd();
        let summary = TaskSummary {
            task,
            run: name.to_owned(),
            rater,
            totals,
            cost_per_label_usd,
            fields: self.summing.finish(),
            votes: self.ballot.map(|_| self.votes.finish()),
            reasons: self.reasons.finish(),
            agreement,
            gold_split: split.map(Split::name),
            leaks: self.leaks,
        };
        write_json(&folder.join("summary.json"), &summary)?;
        Ok(summary)
    }
}
