//! What was said in the sessions of disagreements: only the transcripts of units that are shown are read.

use interrater::config::{Config, expand_home};
use interrater::corpus::{self, Corpus};
use interrater::dossier::TaskDossier;
use interrater::dossier::case::{Case, by_session};
use interrater::dossier::excerpt::{illustrate as illustrate_session, redact_alone};
use std::collections::BTreeSet;
use std::path::PathBuf;

/// Gives the cases of all tasks their excerpts, each session being read once; where its transcript is not here, says so.
pub fn illustrate(tasks: &mut [TaskDossier], inputs: BTreeSet<PathBuf>, config: &Config) {
    let shown = tasks.iter_mut().map(|task| std::mem::take(&mut task.disagreements.shown));
    let counts: Vec<Vec<Case>> = shown.collect();
    let lengths: Vec<usize> = counts.iter().map(Vec::len).collect();
    let mut cases: Vec<Case> = counts.into_iter().flatten().collect();
    let reason = match corpus_of(inputs, config) {
        _ if cases.is_empty() => None,
        Err(reason) => Some(reason),
        Ok(corpus) => {
            read(corpus, &mut cases);
            None
        }
    };
    cases.iter_mut().filter(|case| case.excerpt.is_none()).for_each(redact_alone);
    let mut cases = cases.into_iter();
    for (task, length) in tasks.iter_mut().zip(lengths) {
        task.disagreements.shown = cases.by_ref().take(length).collect();
        task.disagreements.without_transcripts = reason.clone().filter(|_| length > 0);
    }
}

/// The sessions that the runs were made from, or those of the configuration; why there are none.
fn corpus_of(inputs: BTreeSet<PathBuf>, config: &Config) -> Result<Corpus, String> {
    let mut paths: BTreeSet<PathBuf> = inputs.into_iter().filter(|path| path.exists()).collect();
    if paths.is_empty() {
        let configured = config.input.sessions.iter().map(|path| expand_home(path, &crate::commands::environment));
        paths = configured.filter(|path| path.exists()).collect();
    }
    if paths.is_empty() {
        return Err("the transcripts of these runs are not here".to_owned());
    }
    corpus::find(&paths.into_iter().collect::<Vec<_>>()).map_err(|error| error.to_string())
}

fn read(mut corpus: Corpus, cases: &mut [Case]) {
    let sessions = by_session(cases);
    let keep: Vec<bool> = corpus.sources().iter().map(|source| sessions.contains_key(source.id.as_str())).collect();
    corpus.retain(&keep);
    let told = corpus.read_all(|session| {
        let places = sessions.get(session.id.as_str()).cloned().unwrap_or_default();
        let own = places.iter().map(|&at| cases[at].clone()).collect();
        (places, illustrate_session(session, own))
    });
    // A transcript that has become unreadable is one that is not here.
    for (places, told) in told.into_iter().flatten() {
        for (at, case) in places.into_iter().zip(told) {
            cases[at] = case;
        }
    }
}
