//! Takes a tool's output; gives how the call ended, from where Codex itself writes it and never from what a command printed.

use crate::session::ToolOutcome;
use serde_json::Value;

/// What an output says about its call.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::session) struct Judgement {
    /// How the call ended, where the output says so.
    pub outcome: Option<ToolOutcome>,
    /// The process that goes on running; a later call fetches the rest of its output.
    pub process: Option<String>,
    /// The output, taken out of its JSON where it was wrapped.
    pub text: String,
}

/// How many lines Codex may put above a command's output.
const HEADER_LINES: usize = 10;

/// Judges an output by its first lines.
pub(in crate::session) fn judge(output: String) -> Judgement {
    if let Some((text, code)) = unwrapped(&output) {
        let outcome = match code {
            0 => ToolOutcome::Ok,
            _ => human_act(&text).unwrap_or(ToolOutcome::Failed),
        };
        return Judgement { outcome: Some(outcome), process: None, text };
    }
    let header = Header::read(&output);
    let outcome = match header.code {
        Some(0) => Some(ToolOutcome::Ok),
        // A refusal can stand below a header; only a call that failed is looked at, so that output that quotes one is safe.
        Some(_) => human_act(header.body).or(Some(ToolOutcome::Failed)),
        None if header.process.is_some() => Some(ToolOutcome::Ok),
        None => human_act(header.body).or_else(|| refusal(header.body)),
    };
    Judgement { outcome, process: header.process, text: output }
}

/// The output and exit code of `{"output": …, "metadata": {"exit_code": …}}`.
fn unwrapped(output: &str) -> Option<(String, i64)> {
    if !output.trim_start().starts_with('{') {
        return None;
    }
    let Value::Object(mut object) = serde_json::from_str(output).ok()? else { return None };
    let code = match object.get("metadata")?.get("exit_code")? {
        Value::String(code) => code.parse().ok()?,
        code => code.as_i64()?,
    };
    match object.remove("output")? {
        Value::String(text) => Some((text, code)),
        _ => None,
    }
}

/// What Codex writes above an output.
struct Header<'a> {
    code: Option<i64>,
    process: Option<String>,
    body: &'a str,
}

impl<'a> Header<'a> {
    fn read(output: &'a str) -> Header<'a> {
        let mut header = Header { code: None, process: None, body: output };
        let mut rest = output;
        for _ in 0..HEADER_LINES {
            let (line, below) = rest.split_once('\n').unwrap_or((rest, ""));
            let line = line.trim_end_matches('\r');
            let known = if let Some(code) = line.strip_prefix("Process exited with code ") {
                header.code = code.trim().parse().ok();
                true
            } else if let Some(code) = line.strip_prefix("Exit code: ") {
                header.code = code.trim().parse().ok();
                true
            } else if let Some(process) = line.strip_prefix("Process running with session ID ") {
                header.process = Some(process.trim().to_owned());
                true
            } else {
                ["Chunk ID: ", "Wall time: ", "Original token count: ", "Total output lines: ", "Command: ", "Output:"]
                    .iter()
                    .any(|mark| line.starts_with(mark))
            };
            if !known {
                break;
            }
            rest = below;
            header.body = below;
            if line == "Output:" || below.is_empty() {
                break;
            }
        }
        header
    }
}

/// Whether the human refused the call or cut it off.
fn human_act(body: &str) -> Option<ToolOutcome> {
    let first = body.trim_start().lines().next().unwrap_or_default().trim_end();
    // "patch rejected: …" names a rule that refused it; the human's refusal has no reason.
    if matches!(first, "patch rejected" | "rejected" | "rejected by user")
        || ["exec command rejected by user", "patch rejected by user", "command rejected by user", "rejected by user"]
            .iter()
            .chain(&["user rejected MCP tool call", "user cancelled MCP tool call", "tool call rejected by user"])
            .any(|mark| first.strip_prefix(mark).is_some_and(|rest| !rest.starts_with(" approval settings")))
    {
        Some(ToolOutcome::Rejected)
    } else if first.starts_with("aborted by user") || first == "aborted" {
        Some(ToolOutcome::Interrupted)
    } else {
        None
    }
}

/// Whether Codex itself says that the call could not be carried out.
fn refusal(body: &str) -> Option<ToolOutcome> {
    const MARKS: &[&str] = &[
        "apply_patch verification failed",
        "apply_patch handler received",
        "patch rejected",
        "exec_command failed",
        "write_stdin failed",
        "execution error:",
        "failed to parse function arguments",
        "failed to parse exec arguments",
        "failed in sandbox",
        "failed to execute",
        "unsupported call:",
        "unsupported custom tool call:",
        "command timed out after",
        "approval policy is ",
        "collab spawn failed",
        "collab tool failed",
        "tool call error:",
        "mcp tool call error",
        "sandbox denied",
        "sandbox error:",
        "unable to locate image at",
        "unable to read image at",
        "err: ",
    ];
    let first = body.trim_start().lines().next().unwrap_or_default();
    let blocked = first.ends_with("rejected: blocked by policy");
    (blocked || MARKS.iter().any(|mark| first.starts_with(mark))).then_some(ToolOutcome::Failed)
}
