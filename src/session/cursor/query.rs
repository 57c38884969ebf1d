//! Takes a text in the human's name; gives the human's words in it, and what the client added.

use crate::session::InjectedSource;

/// What stands before the human's words.
pub(super) const OPENS: &str = "<user_query>";
/// What stands behind them.
pub(super) const CLOSES: &str = "</user_query>";

/// What the client writes when the human accepts a plan.
const ACCEPTED_PLAN: &str = "Implement the plan as specified, it is attached for your reference.";

/// Tags that only the client writes at the beginning of a text.
const CLIENTS: &[&str] = &[
    "<additional_data>",
    "<agent_transcripts>",
    "<attached_files>",
    "<cursor_commands>",
    "<git_status>",
    "<manually_attached_skills>",
    "<open_and_recently_viewed_files>",
    "<project_layout>",
    "<rules>",
    "<system_notification>",
    "<system_reminder>",
    "<timestamp>",
    "<user_info>",
];

/// A piece of a text.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::session) enum Said<'a> {
    ByHuman(&'a str),
    ByClient(InjectedSource, &'a str),
}

/// Whether the client marked the human's words in a text.
pub(super) fn is_marked(text: &str) -> bool {
    text.contains(OPENS)
}

/// Parts a text in the human's name. `marks_queries` says that the transcript marks the human's words elsewhere.
pub(in crate::session) fn split(text: &str, marks_queries: bool) -> Vec<Said<'_>> {
    if !is_marked(text) {
        let begins = text.trim_start();
        let clients = CLIENTS.iter().any(|tag| begins.starts_with(tag)) || (marks_queries && begins.starts_with('<'));
        return vec![if clients { Said::ByClient(InjectedSource::Harness, text) } else { human(text) }];
    }
    let mut said = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once(OPENS) {
        let (words, after) = after.split_once(CLOSES).unwrap_or((after, ""));
        said.push(Said::ByClient(InjectedSource::Context, before.trim()));
        said.push(human(words));
        rest = after;
    }
    said.push(Said::ByClient(InjectedSource::Context, rest.trim()));
    said.retain(|said| !matches!(said, Said::ByClient(_, "")));
    said
}

fn human(words: &str) -> Said<'_> {
    let words = words.trim();
    match words.starts_with(ACCEPTED_PLAN) {
        true => Said::ByClient(InjectedSource::AcceptedPlan, words),
        false => Said::ByHuman(words),
    }
}
