//! Takes a tool's result; tells how the call ended and which words in it are a human's.

use super::steps::Output;
use super::text::{STOPPED, STOPPED_TOOL};
use crate::session::ToolOutcome;

/// How a result begins when the human refused the call.
const REFUSALS: [&str; 4] = [
    "The user doesn't want to proceed with this tool use",
    "The user doesn't want to take this action right now",
    "The agent proposed a plan that was rejected by the user",
    "User rejected tool use",
];

/// What stands before the human's reason.
const LEADS: [&str; 2] =
    ["To tell you how to proceed, the user said:", "The user provided the following reason for the rejection:"];

/// Boilerplate that clients add behind the human's reason.
const NOTES: [&str; 2] = ["\n\nNote: The user's next message", "\n\n<system-reminder>"];

/// How the client words it when the human wants to talk about a question instead of answering it.
const CLARIFY: &str = "The user wants to clarify these questions";

/// How the call ended.
pub(super) fn outcome(output: &Output) -> ToolOutcome {
    judge(output.failed, output.denial.as_deref(), output.text.trim())
}

/// How the call ended, as far as the text of its result says it: for tables, which keep nothing else. A failure that the client does not
/// mark in the text goes unseen.
pub(in crate::session) fn outcome_of_text(text: &str) -> ToolOutcome {
    let text = text.trim();
    let exit_code = text.strip_prefix("Exit code ").and_then(|rest| rest.bytes().next());
    let failed = exit_code.is_some_and(|digit| digit.is_ascii_digit() && digit != b'0')
        || ["<tool_use_error>", STOPPED, STOPPED_TOOL, CLARIFY].iter().any(|mark| text.starts_with(mark))
        || REFUSALS.iter().any(|refusal| text.starts_with(refusal));
    judge(failed, None, text)
}

fn judge(failed: bool, denial: Option<&str>, text: &str) -> ToolOutcome {
    if denial == Some("user-rejected") {
        return ToolOutcome::Rejected;
    }
    if !failed {
        return ToolOutcome::Ok;
    }
    if text.starts_with(STOPPED) || text.starts_with(STOPPED_TOOL) || text.ends_with(STOPPED_TOOL) {
        ToolOutcome::Interrupted
    } else if denial.is_none()
        && (REFUSALS.iter().any(|refusal| text.starts_with(refusal)) || text.starts_with(CLARIFY))
    {
        ToolOutcome::Rejected
    } else {
        ToolOutcome::Failed
    }
}

/// The words that a human gave with a refusal.
pub(in crate::session) fn rejection_words(text: &str) -> Option<&str> {
    let (_, words) = LEADS.iter().find_map(|lead| text.split_once(lead))?;
    let words = NOTES.iter().fold(words, |words, note| words.split_once(note).map_or(words, |(words, _)| words)).trim();
    (!words.is_empty() && !words.starts_with(CLARIFY)).then_some(words)
}

/// The answers that a human chose in a question tool.
pub(in crate::session) fn answers(text: &str) -> Option<&str> {
    let text = text.trim();
    text.starts_with("User has answered your questions").then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(failed: bool, denial: Option<&str>, text: &str) -> ToolOutcome {
        let denial = denial.map(str::to_owned);
        outcome(&Output { id: String::new(), row: None, failed, denial, text: text.to_owned(), commit: None })
    }

    #[test]
    fn a_result_tells_how_the_call_ended() {
        let refusal = "The user doesn't want to proceed with this tool use. The tool use was rejected (eg. …).";
        assert_eq!(of(true, None, refusal), ToolOutcome::Rejected);
        assert_eq!(of(true, Some("user-rejected"), "No."), ToolOutcome::Rejected);
        assert_eq!(
            of(true, Some("automode-unavailable"), "auto mode cannot determine the safety"),
            ToolOutcome::Failed
        );
        assert_eq!(of(true, None, "[Request interrupted by user for tool use]"), ToolOutcome::Interrupted);
        assert_eq!(
            of(true, None, "Exit code 137\n[Request interrupted by user for tool use]"),
            ToolOutcome::Interrupted
        );
        assert_eq!(of(true, None, "Exit code 1\ngrep: [Request interrupted by user] not found"), ToolOutcome::Failed);
        assert_eq!(of(true, None, "<tool_use_error>File does not exist.</tool_use_error>"), ToolOutcome::Failed);
        assert_eq!(of(false, None, refusal), ToolOutcome::Ok);
    }

    #[test]
    fn a_text_alone_tells_what_the_client_wrote_into_it() {
        for (text, outcome) in [
            ("Exit code 2\nno such file", ToolOutcome::Failed),
            ("Exit code 0", ToolOutcome::Ok),
            ("<tool_use_error>File does not exist.</tool_use_error>", ToolOutcome::Failed),
            ("The user doesn't want to proceed with this tool use. The tool use was rejected", ToolOutcome::Rejected),
            ("[Request interrupted by user for tool use]", ToolOutcome::Interrupted),
            ("Exit code 137\n[Request interrupted by user for tool use]", ToolOutcome::Interrupted),
            ("grep: Exit code 2", ToolOutcome::Ok),
        ] {
            assert_eq!(outcome_of_text(text), outcome, "{text}");
        }
    }

    #[test]
    fn the_words_of_a_refusal_are_found_without_boilerplate() {
        let head =
            "The user doesn't want to proceed with this tool use. … To tell you how to proceed, the user said:\n";
        assert_eq!(rejection_words(&format!("{head}not main\n\nuse a branch")), Some("not main\n\nuse a branch"));
        let noted = format!("{head}no\n\nNote: The user's next message may contain a correction or preference.");
        assert_eq!(rejection_words(&noted), Some("no"));
        assert_eq!(
            rejection_words(&format!("{head}The user wants to clarify these questions.\n    This means …")),
            None
        );
        assert_eq!(
            rejection_words("The user doesn't want to proceed with this tool use. STOP what you are doing"),
            None
        );
    }
}
