//! Takes a tool call's arguments; gives the text that a rater judges the call by.

use super::row::Word;
use crate::session::arguments::change;
use crate::session::pull::Pull;
use std::borrow::Cow;

/// The arguments of the tools that everyone uses.
#[derive(Debug, Default)]
struct Arguments<'a> {
    command: Word<'a>,
    file_path: Word<'a>,
    notebook_path: Word<'a>,
    path: Word<'a>,
    pattern: Word<'a>,
    url: Word<'a>,
    query: Word<'a>,
    description: Word<'a>,
    prompt: Word<'a>,
    plan: Word<'a>,
    skill: Word<'a>,
    args: Word<'a>,
    content: Word<'a>,
    new_source: Word<'a>,
    replacement: Replacement<'a>,
    /// Those of a `MultiEdit`.
    edits: Vec<Replacement<'a>>,
}

/// What an edit replaces by what.
#[derive(Debug, Default)]
struct Replacement<'a> {
    old: Word<'a>,
    new: Word<'a>,
}

impl<'a> Arguments<'a> {
    fn read(json: &'a str) -> Result<Arguments<'a>, serde_json::Error> {
        let mut arguments = Arguments::default();
        Pull::new(json).members(|pull, key| {
            match key {
                "command" => arguments.command = Word::read(pull)?,
                "file_path" => arguments.file_path = Word::read(pull)?,
                "notebook_path" => arguments.notebook_path = Word::read(pull)?,
                "path" => arguments.path = Word::read(pull)?,
                "pattern" => arguments.pattern = Word::read(pull)?,
                "url" => arguments.url = Word::read(pull)?,
                "query" => arguments.query = Word::read(pull)?,
                "description" => arguments.description = Word::read(pull)?,
                "prompt" => arguments.prompt = Word::read(pull)?,
                "plan" => arguments.plan = Word::read(pull)?,
                "skill" => arguments.skill = Word::read(pull)?,
                "args" => arguments.args = Word::read(pull)?,
                "content" => arguments.content = Word::read(pull)?,
                "new_source" => arguments.new_source = Word::read(pull)?,
                "edits" if pull.peek()? == b'[' => pull.elements(|pull| {
                    let mut replacement = Replacement::default();
                    if pull.peek()? != b'{' {
                        return pull.skip();
                    }
                    pull.members(|pull, key| replacement.member(pull, key))?;
                    arguments.edits.push(replacement);
                    Ok(())
                })?,
                _ => arguments.replacement.member(pull, key)?,
            }
            Ok(())
        })?;
        Ok(arguments)
    }
}

impl<'a> Replacement<'a> {
    fn member(&mut self, pull: &mut Pull<'a>, key: &str) -> Result<(), serde_json::Error> {
        match key {
            "old_string" => self.old = Word::read(pull)?,
            "new_string" => self.new = Word::read(pull)?,
            _ => pull.skip()?,
        }
        Ok(())
    }

    fn text(&self) -> String {
        change(self.old.get(), self.new.get())
    }
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
pub(in crate::session) fn read(tool: &str, json: &str) -> Result<Input, serde_json::Error> {
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
    let arguments = Arguments::read(json)?;
    let path =
        [&arguments.file_path, &arguments.notebook_path, &arguments.path].into_iter().find_map(|path| path.some());
    let path = path.unwrap_or_default();
    let mut command = None;
    let text = match tool {
        "Bash" | "PowerShell" => {
            command = arguments.command.some().map(str::to_owned);
            Cow::Borrowed(arguments.command.get())
        }
        "Edit" => Cow::Owned(format!("{path}\n{}", arguments.replacement.text())),
        "MultiEdit" => {
            let changes = arguments.edits.iter().map(Replacement::text);
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
        read(tool, json).unwrap().text
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
