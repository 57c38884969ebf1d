//! Takes a tool call's arguments; gives the text that a rater judges the call by.

use serde::Deserialize;
use serde_json::value::RawValue;
use std::borrow::Cow;

use super::row::Word;
use crate::session::arguments::change;

/// The arguments of the tools that everyone uses.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Arguments<'a> {
    #[serde(borrow)]
    command: Word<'a>,
    #[serde(borrow)]
    file_path: Word<'a>,
    #[serde(borrow)]
    notebook_path: Word<'a>,
    #[serde(borrow)]
    path: Word<'a>,
    #[serde(borrow)]
    pattern: Word<'a>,
    #[serde(borrow)]
    url: Word<'a>,
    #[serde(borrow)]
    query: Word<'a>,
    #[serde(borrow)]
    description: Word<'a>,
    #[serde(borrow)]
    prompt: Word<'a>,
    #[serde(borrow)]
    plan: Word<'a>,
    #[serde(borrow)]
    skill: Word<'a>,
    #[serde(borrow)]
    args: Word<'a>,
    #[serde(borrow)]
    content: Word<'a>,
    #[serde(borrow)]
    old_string: Word<'a>,
    #[serde(borrow)]
    new_string: Word<'a>,
    #[serde(borrow)]
    new_source: Word<'a>,
    #[serde(borrow)]
    edits: Option<&'a RawValue>,
}

/// One replacement of a `MultiEdit`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Replacement<'a> {
    #[serde(borrow)]
    old_string: Word<'a>,
    #[serde(borrow)]
    new_string: Word<'a>,
}

/// A tool call's arguments as text, and the command of a shell tool.
#[derive(Debug, Default, PartialEq)]
pub(in crate::session) struct Input {
    /// The text.
    pub text: String,
    /// What a shell tool runs.
    pub command: Option<String>,
}

/// Reads the arguments of a call of `tool`. The error is one of JSON, such as half a surrogate pair in a string.
pub(in crate::session) fn read(tool: &str, raw: Option<&RawValue>) -> Result<Input, serde_json::Error> {
    let json = raw.map_or("", RawValue::get);
    if !json.starts_with('{') {
        return Ok(Input { text: json.to_owned(), command: None });
    }
    // Only tools whose arguments are shown in another form than JSON are worth taking apart.
    let known = matches!(
        tool,
        "Bash"
            | "PowerShell"
            | "Read"
            | "Edit"
            | "Write"
            | "MultiEdit"
            | "NotebookEdit"
            | "NotebookRead"
            | "Grep"
            | "Glob"
            | "LS"
            | "WebFetch"
            | "WebSearch"
            | "Task"
            | "Agent"
            | "Skill"
            | "ExitPlanMode"
    );
    if !known {
        return Ok(Input { text: json.to_owned(), command: None });
    }
    let arguments: Arguments<'_> = serde_json::from_str(json)?;
    let path =
        [&arguments.file_path, &arguments.notebook_path, &arguments.path].into_iter().find_map(|path| path.some());
    let path = path.unwrap_or_default();
    let mut command = None;
    let text = match tool {
        "Bash" | "PowerShell" => {
            command = arguments.command.some().map(str::to_owned);
            Cow::Borrowed(arguments.command.get())
        }
        "Edit" => Cow::Owned(format!("{path}\n{}", change(arguments.old_string.get(), arguments.new_string.get()))),
        "MultiEdit" => {
            let edits: Vec<Replacement<'_>> = match arguments.edits {
                Some(edits) => serde_json::from_str(edits.get()).unwrap_or_default(),
                None => Vec::new(),
            };
            let changes = edits.iter().map(|edit| change(edit.old_string.get(), edit.new_string.get()));
            Cow::Owned(std::iter::once(path.to_owned()).chain(changes).collect::<Vec<_>>().join("\n"))
        }
        "Write" => Cow::Owned(format!("{path}\n{}", arguments.content.get())),
        "NotebookEdit" => Cow::Owned(format!("{path}\n{}", arguments.new_source.get())),
        "Grep" | "Glob" => Cow::Borrowed(arguments.pattern.get()),
        "WebFetch" => Cow::Borrowed(arguments.url.get()),
        "WebSearch" => Cow::Borrowed(arguments.query.get()),
        "Task" | "Agent" => Cow::Owned(format!("{}\n{}", arguments.description.get(), arguments.prompt.get())),
        "Skill" => Cow::Owned(format!("{} {}", arguments.skill.get(), arguments.args.get())),
        "ExitPlanMode" => Cow::Borrowed(arguments.plan.get()),
        _ => Cow::Borrowed(path),
    };
    // An unexpected set of arguments is shown as it is rather than as nothing.
    let text = if text.trim().is_empty() && json != "{}" { json } else { text.trim_end() };
    Ok(Input { text: text.to_owned(), command })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(tool: &str, json: &str) -> String {
        let raw: &RawValue = serde_json::from_str(json).unwrap();
        read(tool, Some(raw)).unwrap().text
    }

    #[test]
    fn arguments_become_what_a_reader_wants_to_see() {
        assert_eq!(text("Bash", r#"{"command":"ls -l","description":"List"}"#), "ls -l");
        assert_eq!(text("Read", r#"{"file_path":"/a/b.rs","offset":3}"#), "/a/b.rs");
        assert_eq!(text("Grep", r#"{"pattern":"fn \\w+","path":"src"}"#), "fn \\w+");
        assert_eq!(text("Task", r#"{"description":"Look","prompt":"Find it","subagent_type":"x"}"#), "Look\nFind it");
        assert_eq!(text("Write", r#"{"file_path":"a","content":"one\ntwo\n"}"#), "a\none\ntwo");
        assert_eq!(text("TodoWrite", r#"{"todos":[1]}"#), r#"{"todos":[1]}"#);
        assert_eq!(text("Bash", r#"{"cmd":"ls"}"#), r#"{"cmd":"ls"}"#);
        assert_eq!(text("Read", r#"["a"]"#), r#"["a"]"#);
    }

    #[test]
    fn an_edit_shows_only_the_lines_that_change() {
        let edit = r#"{"file_path":"a.rs","old_string":"fn a() {\n  1\n}","new_string":"fn a() {\n  2\n  3\n}"}"#;
        assert_eq!(text("Edit", edit), "a.rs\n-   1\n+   2\n+   3");
        let edits =
            r#"{"file_path":"b","edits":[{"old_string":"x","new_string":"y"},{"old_string":"z","new_string":""}]}"#;
        assert_eq!(text("MultiEdit", edits), "b\n- x\n+ y\n- z");
    }
}
