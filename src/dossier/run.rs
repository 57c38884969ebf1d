//! A run in a report: where it comes from, what it says, how much of the sessions its rater saw, how long requests took.

use super::RunView;
use super::answers::{FieldAnswers, answers};
use crate::chart::histogram::counts;
use crate::codebook::Codebook;
use crate::estimate::numbers::RunEstimates;
use crate::gold::Gold;
use crate::redact::redact_texts;
use crate::report::runs::{Reason, Reasons};
use crate::run::vote::{VoteSummary, Voting};
use crate::run::{Annotation, Manifest};
use serde::Serialize;

/// A run.
#[derive(Debug, Serialize)]
pub struct RunDossier {
    /// Its name.
    pub run: String,
    /// Its rater, as ratings name it.
    pub rater: String,
    /// Where its numbers come from; names of homes in paths are replaced.
    pub manifest: Manifest,
    /// What it says, a field at a time.
    pub answers: Vec<FieldAnswers>,
    /// How far samples agree, where units have several.
    pub votes: Option<VoteSummary>,
    /// Why units have no answer.
    pub reasons: Vec<Reason>,
    /// How much of the material the rater saw.
    pub coverage: Coverage,
    /// Time of the requests of a row in milliseconds; none where nobody was asked.
    pub latency: Option<Latency>,
}

/// How much of the material raters saw.
#[derive(Debug, Serialize)]
pub struct Coverage {
    /// Units whose rater saw something.
    pub units: usize,
    /// Those of them whose material was cut or shortened.
    pub cut: usize,
    /// Those of them in which some prompt of the person was left out.
    pub prompts_cut: usize,
    /// The least share of the text.
    pub least: Option<f64>,
    /// The median share of the text.
    pub median: Option<f64>,
    /// Units by share of the text, in twenty bins.
    pub histogram: Vec<usize>,
}

/// How long requests took, in milliseconds.
#[derive(Debug, Serialize)]
pub struct Latency {
    /// Rows that were asked for.
    pub rows: usize,
    /// Half of them took no longer.
    pub median: u64,
    /// Nine of ten took no longer.
    pub ninth_decile: u64,
    /// The longest.
    pub longest: u64,
}

impl RunDossier {
    /// That of the run in `view`.
    pub(crate) fn of(
        codebook: &Codebook,
        gold: Option<&Gold>,
        view: &RunView<'_>,
        voting: &Voting,
        found: Option<&RunEstimates>,
    ) -> RunDossier {
        let rows = &view.run.rows;
        let mut reasons = Reasons::default();
        rows.iter().for_each(|row| reasons.add(row));
        RunDossier {
            run: view.run.manifest.run.clone(),
            rater: view.rater.to_owned(),
            manifest: without_homes(&view.run.manifest),
            answers: answers(codebook, gold, view, found),
            votes: view.votes.as_ref().map(|votes| VoteSummary::of(voting, votes)),
            reasons: reasons.finish(),
            coverage: coverage(&view.rows),
            latency: latency(rows),
        }
    }
}

/// A manifest whose paths do not tell who somebody is.
fn without_homes(manifest: &Manifest) -> Manifest {
    let mut manifest = manifest.clone();
    let mut paths: Vec<String> =
        manifest.inputs.iter().map(|input| input.path.to_string_lossy().into_owned()).collect();
    redact_texts(&mut paths.iter_mut().collect::<Vec<&mut String>>());
    for (input, path) in manifest.inputs.iter_mut().zip(paths) {
        input.path = path.into();
    }
    manifest
}

fn coverage(rows: &[Annotation]) -> Coverage {
    let seen = || rows.iter().map(|row| row.coverage).filter(|coverage| coverage.tokens > 0.0);
    let mut shares: Vec<f64> = seen().map(|coverage| coverage.tokens).collect();
    shares.sort_by(f64::total_cmp);
    Coverage {
        units: shares.len(),
        cut: shares.iter().filter(|share| **share < 1.0).count(),
        prompts_cut: seen().filter(|coverage| coverage.prompts < 1.0).count(),
        least: shares.first().copied(),
        median: quantile(&shares, 0.5),
        histogram: counts(shares.iter().copied(), (0.0, 1.0), 20),
    }
}

fn latency(rows: &[Annotation]) -> Option<Latency> {
    let mut times: Vec<u64> =
        rows.iter().filter(|row| !row.cached && row.latency_ms > 0).map(|row| row.latency_ms).collect();
    times.sort_unstable();
    Some(Latency {
        rows: times.len(),
        median: quantile(&times, 0.5)?,
        ninth_decile: quantile(&times, 0.9)?,
        longest: *times.last()?,
    })
}

/// The smallest value that at least this share of sorted values is not above.
fn quantile<T: Copy>(sorted: &[T], share: f64) -> Option<T> {
    let place = (share * sorted.len() as f64).ceil() as usize;
    sorted.get(place.max(1) - 1).copied()
}

#[cfg(test)]
mod tests {
    use super::quantile;

    #[test]
    fn quantiles_are_values_that_were_there() {
        assert_eq!(quantile(&[1, 2, 3, 4], 0.5), Some(2));
        assert_eq!(quantile(&[1, 2, 3, 4, 5, 6, 7, 8, 9, 10], 0.9), Some(9));
        assert_eq!((quantile(&[7], 0.9), quantile::<u64>(&[], 0.5)), (Some(7), None));
    }
}
