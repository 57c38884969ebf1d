//! What was found, in one line, and what was left aside.

use super::plural;
use crate::corpus::{Corpus, FoundRepository};
use crate::session::SessionSummary;
use std::collections::BTreeMap;

/// `24 sessions (claude_code 16, codex 8), 131 prompts, 9 interruptions, 0 damaged pieces left out`.
pub fn overview(sessions: &[SessionSummary]) -> String {
    let mut agents: BTreeMap<&str, usize> = BTreeMap::new();
    for session in sessions {
        *agents.entry(session.agent.name()).or_default() += 1;
    }
    let agents: Vec<String> = agents.iter().map(|(agent, count)| format!("{agent} {count}")).collect();
    let sum = |count: fn(&SessionSummary) -> u64| sessions.iter().map(count).sum::<u64>();
    let mut text = format!(
        "{} ({}), {}, {}, {}",
        plural(sessions.len() as u64, "session"),
        agents.join(", "),
        plural(sum(|session| session.prompts as u64), "prompt"),
        plural(sum(|session| session.interruptions as u64), "interruption"),
        plural(sum(|session| session.read.repaired + session.read.bad), "damaged line"),
    );
    let bad = sum(|session| session.read.bad);
    if bad > 0 {
        text.push_str(&format!(", {bad} pieces of which could not be read"));
    }
    text
}

/// Files that look like data but hold no session: nothing vanishes silently.
pub fn skipped_lines(corpus: &Corpus) -> Vec<String> {
    const SHOWN: usize = 5;
    let skipped = corpus.skipped();
    let mut lines: Vec<String> = skipped
        .iter()
        .take(SHOWN)
        .map(|skipped| format!("skipped {}: {}", skipped.path.display(), skipped.reason))
        .collect();
    if skipped.len() > SHOWN {
        lines.push(format!("skipped {} more files that are no transcript", skipped.len() - SHOWN));
    }
    lines
}

/// Repositories that were read instead of the files in their work trees: whoever named a folder may have meant those.
pub fn repository_lines(corpus: &Corpus) -> Vec<String> {
    corpus
        .repositories()
        .iter()
        .map(|repository| {
            let FoundRepository { path, references, checkpoints, is_bare, is_shallow, .. } = repository;
            format!(
                "note: {path} is a git repository with {count} of Entire: read from {references}{files}{commits}",
                path = path.display(),
                count = plural(*checkpoints as u64, "checkpoint"),
                files = if *is_bare { "" } else { "; the files of its work tree are not searched" },
                commits = if *is_shallow { "; a shallow clone, so commits of the sessions may be missing" } else { "" },
            )
        })
        .collect()
}
