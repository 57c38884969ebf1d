//! Takes a message in the human's or the client's name; gives what of it the client put there.

use crate::session::InjectedSource;

/// How texts begin that the client writes in the human's name, and where they come from.
const PREFIXES: &[(&str, InjectedSource)] = &[
    ("# AGENTS.md instructions", InjectedSource::Context),
    ("<INSTRUCTIONS>", InjectedSource::Context),
    ("<environment_context>", InjectedSource::Context),
    ("<user_instructions>", InjectedSource::Context),
    ("<permissions instructions>", InjectedSource::Context),
    ("<collaboration_mode>", InjectedSource::Context),
    ("<apps_instructions>", InjectedSource::Context),
    ("<skills_instructions>", InjectedSource::Context),
    ("<plugins_instructions>", InjectedSource::Context),
    ("<personality_spec>", InjectedSource::Context),
    ("<model_switch>", InjectedSource::Harness),
    ("<recommended_plugins>", InjectedSource::Context),
    ("<realtime_conversation>", InjectedSource::Harness),
    ("<turn_aborted>", InjectedSource::Harness),
    ("<user_action>", InjectedSource::Harness),
    ("<goal_context>", InjectedSource::Harness),
    ("<codex_internal_context", InjectedSource::Harness),
    ("<hook_prompt", InjectedSource::Hook),
    ("<skill>", InjectedSource::Skill),
    ("<subagent_notification>", InjectedSource::Notification),
    ("<user_shell_command>", InjectedSource::CommandOutput),
    ("Another language model started to solve this problem and produced a summary", InjectedSource::Harness),
    ("Warning: The maximum number of unified exec processes", InjectedSource::Harness),
    ("Warning: apply_patch was requested via", InjectedSource::Harness),
];

/// Where a text of a message with role user comes from, if the client wrote it.
pub(in crate::session) fn source(text: &str) -> Option<InjectedSource> {
    let text = text.trim_start();
    PREFIXES.iter().find(|(prefix, _)| text.starts_with(prefix)).map(|&(_, source)| source)
}

/// Whether a text only marks where an image stands.
pub(super) fn frames_image(text: &str) -> bool {
    let text = text.trim();
    text == "</image>"
        || text == "<image>"
        || (text.starts_with("<image name=") && text.ends_with('>') && !text.contains('\n'))
}

/// Whether a text tells the model that the turn was cut off.
pub(in crate::session) fn tells_of_abort(text: &str) -> bool {
    text.trim_start().starts_with("<turn_aborted>")
}

/// The command and the output of `!command`, which the client hands to the model as one message.
pub(in crate::session) fn shell_command(text: &str) -> Option<(&str, &str)> {
    let body = text.trim().strip_prefix("<user_shell_command>")?;
    let body = body.strip_suffix("</user_shell_command>").unwrap_or(body);
    let (_, body) = body.split_once("<command>")?;
    let (command, rest) = body.split_once("</command>")?;
    Some((command.trim(), rest.trim()))
}

/// Parts what editors send: open files and the like first, then, below a heading, the human's words.
pub(in crate::session) fn split_editor_context(text: &str) -> (Option<&str>, &str) {
    const REQUEST: &str = "## My request for Codex:";
    let begins = text.trim_start();
    let is_context =
        begins.starts_with("# Context from my IDE setup:") || begins.starts_with("# Files mentioned by the user:");
    match text.rsplit_once(REQUEST).filter(|_| is_context) {
        Some((context, request)) => (Some(context.trim()), request.trim()),
        None => (None, text),
    }
}
