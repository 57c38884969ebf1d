//! Takes a tool call's state; gives how the call ended and which words in it are a human's.

use super::record::State;
use crate::session::ToolOutcome;

/// How the client words it that the human refused a call.
const REFUSAL: &str = "The user rejected permission to use this";

/// What stands between a refusal and its reason.
const FEEDBACK: &str = "with the following feedback:";

/// How the call ended; none while it has not.
pub(super) fn judge(state: &State) -> Option<ToolOutcome> {
    let text = state.text();
    let text = text.trim();
    Some(match state.status().as_str() {
        "error" => {
            let reason = text.strip_prefix("Error: ").unwrap_or(text);
            if reason.starts_with(REFUSAL) || reason.starts_with("The user dismissed this question") {
                ToolOutcome::Rejected
            } else if state.was_interrupted() || reason.starts_with("Tool execution aborted") {
                ToolOutcome::Interrupted
            } else {
                ToolOutcome::Failed
            }
        }
        "completed" | "success" => {
            let note = text.rsplit_once('\n').filter(|(_, end)| end.starts_with("</") && end.ends_with("metadata>"));
            let notes = note.map(|(notes, _)| notes.lines().rev().take_while(|line| !line.starts_with('<')));
            let mut notes = notes.into_iter().flatten();
            if notes.clone().any(|line| line == "User aborted the command") {
                ToolOutcome::Interrupted
            } else if state.exit().is_some_and(|code| code != 0.0)
                || notes.any(|line| line.contains(" terminated command after exceeding timeout"))
            {
                ToolOutcome::Failed
            } else {
                ToolOutcome::Ok
            }
        }
        _ => return None,
    })
}

/// The words that a human gave with a refusal.
pub(super) fn rejection_words(text: &str) -> Option<&str> {
    let (lead, words) = text.split_once(FEEDBACK)?;
    let words = words.trim();
    (lead.trim_start_matches("Error: ").starts_with(REFUSAL) && !words.is_empty()).then_some(words)
}
