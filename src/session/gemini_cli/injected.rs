//! Takes a message in the human's name; gives which of it the human typed.

use crate::session::{Channel, InjectedSource};

/// A piece of a message with type user.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Piece {
    /// Words that a human typed, and how.
    Typed(Channel, String),
    /// What somebody else put there.
    Injected(InjectedSource, String),
}

/// Texts that the client sends in the human's name to make the model go on.
const NUDGES: &[&str] = &["System: Please continue.", "Please continue."];

/// How texts begin that the client writes in the human's name, and where they come from.
const PREFIXES: &[(&str, InjectedSource)] = &[
    ("[Function Response: ", InjectedSource::Context),
    ("<session_context>", InjectedSource::Context),
    ("This is the Gemini CLI. We are setting up the context for our chat.", InjectedSource::Context),
    ("Here is the user's editor context", InjectedSource::Context),
    ("--- Content from referenced files ---", InjectedSource::Context),
    ("--- Content from referenced resources ---", InjectedSource::Context),
    ("<hook_context>", InjectedSource::Hook),
    ("<state_snapshot>", InjectedSource::Harness),
];

/// What stands between what was typed and the files that it mentions.
const FILES: &str = "--- Content from referenced files ---";

/// Commands of the client that the model does not hear of.
const INTERFACE: &[&str] = &[
    "about",
    "agents",
    "auth",
    "bug",
    "chat",
    "clear",
    "commands",
    "compress",
    "copy",
    "corgi",
    "directory",
    "docs",
    "editor",
    "exit",
    "extensions",
    "footer",
    "help",
    "hooks",
    "ide",
    "mcp",
    "memory",
    "model",
    "permissions",
    "policies",
    "privacy",
    "profile",
    "quit",
    "restore",
    "resume",
    "rewind",
    "settings",
    "setup-github",
    "shells",
    "shortcuts",
    "skills",
    "stats",
    "terminal-setup",
    "theme",
    "tools",
    "upgrade",
    "vim",
];

/// Parts the texts of a message. `typed` is what the client noted as typed, if it did: then all else was put there.
pub(super) fn pieces(texts: &[String], typed: Option<&[String]>) -> Vec<Piece> {
    let Some(typed) = typed else {
        let mut pieces = Vec::new();
        let mut files = false;
        for text in texts {
            files |= text.trim_start().starts_with(FILES);
            match files {
                true => pieces.push(Piece::Injected(InjectedSource::Context, text.clone())),
                false => part(text, &mut pieces),
            }
        }
        return pieces;
    };
    let mut pieces = Vec::new();
    typed.iter().for_each(|text| part(text, &mut pieces));
    let seen = texts.iter().filter(|text| !typed.contains(text) && !text.trim().is_empty());
    let is_command = matches!(
        pieces.first(),
        Some(Piece::Injected(InjectedSource::Skill, _) | Piece::Typed(Channel::SlashCommand, _))
    );
    let expansion = if is_command { InjectedSource::Skill } else { InjectedSource::Context };
    pieces.extend(seen.map(|text| Piece::Injected(source(text).unwrap_or(expansion), text.clone())));
    pieces
}

/// Parts one text.
fn part(text: &str, pieces: &mut Vec<Piece>) {
    if text.trim().is_empty() {
        return;
    }
    if let Some(source) = source(text) {
        pieces.push(Piece::Injected(source, text.to_owned()));
    } else if let Some((command, output)) = shell_command(text) {
        pieces.push(Piece::Typed(Channel::Shell, command.to_owned()));
        pieces.push(Piece::Injected(InjectedSource::CommandOutput, output.to_owned()));
    } else if let Some((name, arguments)) = slash_command(text) {
        let line = text.trim().to_owned();
        pieces.push(match (INTERFACE.contains(&name), arguments.is_empty()) {
            (true, _) => Piece::Injected(InjectedSource::CommandOutput, line),
            // A command alone is words of whoever wrote the command.
            (false, true) => Piece::Injected(InjectedSource::Skill, line),
            (false, false) => Piece::Typed(Channel::SlashCommand, line),
        });
    } else if let Some((words, files)) = text.split_once(FILES) {
        pieces.push(Piece::Typed(Channel::Typed, words.trim_end().to_owned()));
        pieces.push(Piece::Injected(InjectedSource::Context, files.trim_start().to_owned()));
    } else {
        pieces.push(Piece::Typed(Channel::Typed, text.to_owned()));
    }
}

/// Where a text comes from, if the client wrote it.
fn source(text: &str) -> Option<InjectedSource> {
    let text = text.trim();
    if NUDGES.contains(&text) {
        return Some(InjectedSource::Harness);
    }
    PREFIXES.iter().find(|(prefix, _)| text.starts_with(prefix)).map(|&(_, source)| source)
}

/// The command and the output of `!command`, which the client hands to the model as one message.
fn shell_command(text: &str) -> Option<(&str, &str)> {
    let rest = text.trim().strip_prefix("I ran the following shell command:\n")?;
    let (command, output) = rest.split_once("\n\nThis produced the following result:\n")?;
    let fenced = |text: &'_ str| -> Option<(usize, usize)> {
        let inner = text.strip_prefix("```")?.strip_suffix("```")?;
        let (language, body) = inner.split_once('\n')?;
        let from = 3 + language.len() + 1;
        Some((from, from + body.trim_end().len()))
    };
    let unfenced = |text| fenced(text).map_or(text, |(from, to)| &text[from..to]);
    Some((unfenced(command), unfenced(output)))
}

/// A typed line `/name arguments`; a path is not a command.
fn slash_command(text: &str) -> Option<(&str, &str)> {
    let rest = text.trim().strip_prefix('/')?;
    let (name, arguments) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
    let is_name =
        !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b':' | b'.'));
    is_name.then(|| (name, arguments.trim()))
}
