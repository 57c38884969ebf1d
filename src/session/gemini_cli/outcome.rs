//! Takes a call and what it gave back; gives how it ended, from where the client itself writes it and never from what a command
//! printed.

use super::message::{Call, Response};
use crate::session::ToolOutcome;

/// How the call ended.
pub(super) fn judge(call: &Call, response: &Response) -> ToolOutcome {
    match call.status.as_deref() {
        Some("cancelled") => cancelled(&response.text),
        Some("error") => ToolOutcome::Failed,
        _ if response.is_error && response.text.starts_with(CANCELLED) => cancelled(&response.text),
        _ if response.is_error => ToolOutcome::Failed,
        _ if call.name == "exit_plan_mode" && response.text.starts_with(PLAN_REJECTED) => ToolOutcome::Rejected,
        _ if call.arguments.command.is_some() && exit_code(&response.text).is_some_and(|code| code != 0) => {
            ToolOutcome::Failed
        }
        _ => ToolOutcome::Ok,
    }
}

/// How the client begins what it tells the model of a call that the human did not let run.
const CANCELLED: &str = "[Operation Cancelled]";

const PLAN_REJECTED: &str = "Plan rejected.";

/// A cancelled call was refused, unless the reason says that the human stopped the agent while it ran.
fn cancelled(text: &str) -> ToolOutcome {
    let reason = text.lines().next().unwrap_or_default();
    let stopped =
        ["cancelled tool execution", "cancelled the operation", "cancelled by user", "aborted", "was cancelled"]
            .iter()
            .any(|mark| reason.contains(mark));
    if stopped { ToolOutcome::Interrupted } else { ToolOutcome::Rejected }
}

/// The exit code among the lines that the client writes below a command's output.
fn exit_code(text: &str) -> Option<i64> {
    const FOOTER: &[&str] = &["Exit Code: ", "Signal: ", "Background PIDs: ", "Process Group PGID: "];
    let footer = text.lines().rev().take_while(|line| FOOTER.iter().any(|mark| line.starts_with(mark)));
    let code = footer.filter_map(|line| line.strip_prefix("Exit Code: ")).last()?;
    code.trim().parse().ok()
}

/// What a command printed, without the lines that the client puts before it.
pub(super) fn commits_text(text: &str) -> &str {
    let begins = text.strip_prefix("Output: ").or_else(|| text.split_once("\nOutput: ").map(|(_, output)| output));
    begins.unwrap_or(text)
}

/// The words that a human gave when refusing a plan.
pub(super) fn plan_feedback(text: &str) -> Option<&str> {
    let words = text.strip_prefix(PLAN_REJECTED)?.trim_start().strip_prefix("User feedback:")?;
    let words = words.split_once("\n\nThe plan is stored at").map_or(words, |(words, _)| words).trim();
    let words = words.strip_prefix('"').and_then(|words| words.strip_suffix('"')).unwrap_or(words);
    (!words.is_empty()).then_some(words)
}
