//! Takes the text of a row in the human's name; gives the human's words in it, and what the client put there.

use crate::session::claude_code::text::{Author, Piece, pieces};
use crate::session::codex::injected;
use crate::session::cursor::query::{self, Said};
use crate::session::{Agent, InjectedSource};

/// Splits a text as the agent's own reader does. The table keeps texts as they are, with the marks of each client.
pub(super) fn split(agent: Agent, text: &str) -> Vec<Piece<'_>> {
    let claude = |text| pieces(text, Author::default());
    match agent {
        Agent::Codex => {
            if injected::tells_of_abort(text) {
                return vec![Piece::Interruption { during_tool: false }];
            }
            if let Some((command, output)) = injected::shell_command(text) {
                return vec![Piece::Shell(command), Piece::LocalOutput(output)];
            }
            if let Some(source) = injected::source(text) {
                return vec![Piece::Injected(source, text)];
            }
            let (context, words) = injected::split_editor_context(text);
            let context = context.map(|context| Piece::Injected(InjectedSource::Context, context));
            context.into_iter().chain(claude(words)).collect()
        }
        Agent::Cursor => query::split(text, false)
            .into_iter()
            .flat_map(|said| match said {
                Said::ByHuman(words) => claude(words),
                Said::ByClient(source, text) => vec![Piece::Injected(source, text)],
            })
            .collect(),
        _ => claude(text),
    }
}

/// Where a text comes from that the table marks as nobody's words.
pub(super) fn source(agent: Agent, text: &str) -> InjectedSource {
    let meta = Author { meta: true, ..Author::default() };
    match pieces(text, meta).into_iter().next() {
        // What is not known by its beginning is the body of a skill or a command, where the client has them.
        Some(Piece::Injected(InjectedSource::Skill, _)) if agent != Agent::ClaudeCode => InjectedSource::Context,
        Some(Piece::Injected(source, _)) => source,
        _ => InjectedSource::Harness,
    }
}

/// A text for comparison: rows and transcripts join lines and blocks in ways of their own.
pub(super) fn folded(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
