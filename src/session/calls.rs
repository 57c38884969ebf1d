//! Takes calls and results of a conversation in order; tells them to a session, each result with its call.

use super::content::Call;
use super::{EventBody, SessionBuilder, ToolCategory, ToolOutcome, tool};
use jiff::Timestamp;

/// A call without a result yet.
#[derive(Debug)]
struct Open {
    event: u32,
    id: Option<String>,
    commits: bool,
    /// Whether the human has spoken since.
    is_past: bool,
}

/// The calls of a conversation.
#[derive(Debug, Default)]
pub(super) struct Calls {
    open: Vec<Open>,
}

impl Calls {
    /// Whether a call since the last prompt has no result yet.
    pub(super) fn any_open(&self) -> bool {
        self.open.iter().any(|open| !open.is_past)
    }

    /// Takes note of a prompt: results that come later without an id are not those of calls before it.
    pub(super) fn forget(&mut self) {
        self.open.retain(|open| open.id.is_some());
        self.open.iter_mut().for_each(|open| open.is_past = true);
    }

    /// Tells a call.
    pub(super) fn call(&mut self, session: &mut SessionBuilder, at: Option<Timestamp>, call: Call) {
        let command = call.input.command.as_deref();
        let category = match tool::category(&call.name, command) {
            // A tool of any name that takes a command runs it.
            ToolCategory::Other if command.is_some() => tool::category("Bash", command),
            category => category,
        };
        let commits = command.is_some_and(tool::commits);
        let event = session.tool_call(at, &call.name, category, call.input.text);
        self.open.push(Open { event, id: call.id, commits, is_past: false });
    }

    /// Tells a result: of the call with this id, else of the first that has none. A result is a result also where its call is
    /// not known.
    pub(super) fn result(
        &mut self,
        session: &mut SessionBuilder,
        at: Option<Timestamp>,
        id: Option<&str>,
        outcome: ToolOutcome,
        text: String,
    ) {
        let named = self.open.iter().position(|open| id.is_some() && open.id.as_deref() == id);
        let in_order = || self.open.iter().position(|open| !open.is_past && (id.is_none() || open.id.is_none()));
        let open = named.or_else(in_order).map(|at| self.open.remove(at));
        let commits: Vec<EventBody> = match &open {
            Some(Open { commits: true, .. }) => tool::find_commits(&text)
                .map(|(hash, subject)| EventBody::Commit { hash: hash.to_owned(), subject: subject.to_owned() })
                .collect(),
            _ => Vec::new(),
        };
        session.tool_result(at, open.map(|open| open.event), outcome, text);
        for commit in commits {
            session.push(at, commit);
        }
    }
}
