//! What a written run says: its summary, why units have no answer, how far it agrees with gold. One pass over its rows, of which only
//! those that gold knows are kept.

use super::agree::{agree_fields, record};
use interrater::agreement::{FieldAgreement, Resampling};
use interrater::codebook::Codebook;
use interrater::config::Config;
use interrater::evaluation::{Cluster, Comparison, RunRows};
use interrater::gold::Gold;
use interrater::report::runs::{FieldHeadline, Reasons, TaskSummary};
use interrater::run::vote::{Vote, VoteSums, Voting};
use interrater::run::{Annotation, Run, write_json};
use interrater::summary::Summing;
use miette::{IntoDiagnostic, Result};

/// Summarises a written run, compares it with gold, and writes both beside it.
pub fn conclude(name: &str, codebook: &Codebook, gold: Option<&Gold>, config: &Config) -> Result<TaskSummary> {
    let run = Run::open(&config.paths.runs, name)?;
    let (mut summing, mut reasons) = (Summing::new(codebook), Reasons::default());
    let voting = Voting::new(codebook);
    let mut votes = VoteSums::new(&voting);
    let mut ballot = (run.manifest.settings.samples > 1).then(|| voting.begin());
    let labelled = gold.map(Gold::units).unwrap_or_default();
    let mut rows: Vec<Annotation> = Vec::new();
    let mut count = |vote: Option<Vote>, summing: &mut Summing| {
        if let Some(vote) = vote {
            summing.add(&vote.row);
            votes.add(&vote);
        }
    };
    run.rows(|row: Annotation| {
        reasons.add(&row);
        if labelled.contains(row.unit.as_str()) {
            rows.push(row.clone());
        }
        match &mut ballot {
            Some(ballot) => count(ballot.put(row), &mut summing),
            None => summing.add(&row),
        }
    })?;
    count(ballot.as_mut().and_then(|ballot| ballot.end()), &mut summing);
    let rater = run.manifest.rater.clone();
    let (task, totals) = (run.manifest.task.clone(), run.manifest.totals.clone());
    let folder = run.folder.clone();
    let runs = [RunRows { manifest: run.manifest, rows }];
    let agreement = match gold {
        Some(gold) if !runs[0].rows.is_empty() => {
            let comparison = Comparison {
                codebook,
                gold: Some(gold),
                runs: &runs,
                split: None,
                cluster: Cluster::Session,
                collapse: None,
            };
            let ratings = comparison.fields().into_diagnostic()?;
            let fields: Vec<FieldAgreement> = agree_fields(&task, &ratings, Cluster::Session, Resampling::default())?;
            record(&config.paths.store, &task, gold, "all", &fields)?;
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
        fields: summing.finish(),
        votes: ballot.map(|_| votes.finish()),
        reasons: reasons.finish(),
        agreement,
    };
    write_json(&folder.join("summary.json"), &summary)?;
    Ok(summary)
}
