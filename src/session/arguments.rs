//! Takes a tool call's arguments as JSON; gives the text that a rater judges the call by.
//!
//! For agents that name their arguments alike: what a known tool works on is told by which arguments it has.

use super::tool;
use super::value::text_of;
use super::{ToolCategory, ToolOutcome};
use serde_json::{Map, Value};

/// A call's arguments.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Arguments {
    /// The command, the path with what changes in it, the pattern; else compact JSON.
    pub text: String,
    /// What a shell tool runs.
    pub command: Option<String>,
}

impl Arguments {
    /// Reads the arguments of a call of the tool `name`.
    pub(super) fn read(name: &str, arguments: &Value) -> Arguments {
        let Value::Object(object) = arguments else {
            return Arguments { text: text_of(Some(arguments)).unwrap_or_default(), command: None };
        };
        let category = tool::category(name, None);
        if category == ToolCategory::Shell
            && let Some(command) = text_of(object.get("command"))
        {
            return Arguments { text: command.clone(), command: Some(command) };
        }
        let telling = match category {
            // What the arguments of an unknown tool mean nobody knows.
            ToolCategory::Other | ToolCategory::Plan => None,
            _ => telling(object),
        };
        let text = telling.filter(|text| !text.trim().is_empty());
        Arguments { text: text.unwrap_or_else(|| arguments.to_string()), command: None }
    }

    /// The commits in what the call gave back, if its command makes any and it was not refused.
    pub(super) fn commits<'a>(
        &self,
        outcome: ToolOutcome,
        output: &'a str,
    ) -> impl Iterator<Item = (&'a str, &'a str)> {
        let commits = outcome != ToolOutcome::Rejected && self.command.as_deref().is_some_and(tool::commits);
        commits.then(|| tool::find_commits(output)).into_iter().flatten()
    }
}

/// The arguments that tell what a call does.
fn telling(object: &Map<String, Value>) -> Option<String> {
    let first = |keys: &[&str]| keys.iter().find_map(|key| text_of(object.get(*key)));
    let path = first(&["file_path", "filePath", "absolute_path", "path", "dir_path"]);
    let replaced = |object: &Map<String, Value>| {
        let first = |keys: [&str; 2]| keys.iter().find_map(|key| text_of(object.get(*key)));
        let (old, new) = (first(["old_string", "oldString"]), first(["new_string", "newString"]));
        (old.is_some() || new.is_some()).then(|| change(&old.unwrap_or_default(), &new.unwrap_or_default()))
    };
    if let Some(changed) = replaced(object) {
        return Some(format!("{}\n{changed}", path.unwrap_or_default()));
    }
    if let Some(Value::Array(edits)) = object.get("edits") {
        let changes = edits.iter().filter_map(Value::as_object).filter_map(replaced);
        return Some(path.into_iter().chain(changes).collect::<Vec<_>>().join("\n"));
    }
    if let Some(patch) = first(&["patchText", "patch", "input"]) {
        return Some(patch);
    }
    if let (Some(path), Some(content)) = (&path, text_of(object.get("content"))) {
        return Some(format!("{path}\n{}", content.trim_end()));
    }
    if let Some(prompt) = first(&["prompt", "objective"]) {
        let title = first(&["description", "agent_name"]);
        return Some(title.into_iter().chain([prompt]).collect::<Vec<_>>().join("\n"));
    }
    first(&["pattern", "query", "url"]).or(path).or_else(|| {
        let named = first(&["name", "skill"]).filter(|_| object.len() == 1);
        let paths = ["paths", "include"].iter().find_map(|key| object.get(*key)?.as_array());
        named.or_else(|| Some(paths?.iter().filter_map(Value::as_str).collect::<Vec<_>>().join("\n")))
    })
}

/// A change as removed and added lines, without the lines that both sides share at the beginning and the end.
pub(super) fn change(old: &str, new: &str) -> String {
    let old: Vec<&str> = old.lines().collect();
    let new: Vec<&str> = new.lines().collect();
    let head = old.iter().zip(&new).take_while(|(a, b)| a == b).count();
    let tail = old[head..].iter().rev().zip(new[head..].iter().rev()).take_while(|(a, b)| a == b).count();
    let removed = old[head..old.len() - tail].iter().map(|line| format!("- {line}"));
    let added = new[head..new.len() - tail].iter().map(|line| format!("+ {line}"));
    removed.chain(added).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn text(tool: &str, arguments: Value) -> String {
        Arguments::read(tool, &arguments).text
    }

    #[test]
    fn arguments_become_what_a_reader_wants_to_see() {
        assert_eq!(text("run_shell_command", json!({ "command": "ls -l", "description": "List" })), "ls -l");
        assert_eq!(text("read_file", json!({ "file_path": "a.rs", "offset": 3 })), "a.rs");
        assert_eq!(text("read_many_files", json!({ "paths": ["a", "b"] })), "a\nb");
        assert_eq!(text("grep_search", json!({ "pattern": "fn", "dir_path": "src" })), "fn");
        assert_eq!(text("write_file", json!({ "file_path": "a", "content": "one\ntwo\n" })), "a\none\ntwo");
        assert_eq!(text("edit", json!({ "filePath": "a", "oldString": "x\ny", "newString": "x\nz" })), "a\n- y\n+ z");
        assert_eq!(text("task", json!({ "description": "Look", "prompt": "Find it" })), "Look\nFind it");
        assert_eq!(text("skill", json!({ "name": "review" })), "review");
        assert_eq!(text("todowrite", json!({ "todos": [1] })), r#"{"todos":[1]}"#);
        assert_eq!(text("server_tool", json!({ "path": "a", "mode": 1 })), r#"{"path":"a","mode":1}"#);
        assert_eq!(text("read_file", json!({})), "{}");
        assert_eq!(text("read_file", json!("as text")), "as text");
    }

    #[test]
    fn only_a_shell_tool_that_ran_git_commit_made_commits() {
        let output = "[main 1a2b3c4] Fix";
        let commits =
            |tool: &str, arguments: Value, outcome| Arguments::read(tool, &arguments).commits(outcome, output).count();
        let command = json!({ "command": "git commit -m Fix" });
        assert_eq!(commits("bash", command.clone(), ToolOutcome::Ok), 1);
        assert_eq!(commits("bash", command.clone(), ToolOutcome::Rejected), 0);
        assert_eq!(commits("bash", json!({ "command": "cat log" }), ToolOutcome::Ok), 0);
        assert_eq!(commits("write_file", command, ToolOutcome::Ok), 0);
    }
}
