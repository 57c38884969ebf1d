//! Takes a tool's name and the shell command that it ran; gives the kind of work that is, and the commits in its output.

use super::ToolCategory;

/// The kind of work that a call of the tool `name` does; `command` is what a shell tool runs, or which of its commands an
/// editor tool carries out.
pub fn category(name: &str, command: Option<&str>) -> ToolCategory {
    match name {
        "Read"
        | "Grep"
        | "Glob"
        | "LS"
        | "LSP"
        | "WebFetch"
        | "WebSearch"
        | "NotebookRead"
        | "ToolSearch"
        | "ListMcpResourcesTool"
        | "ReadMcpResourceTool"
        | "view_image"
        | "web_search"
        | "web_search_call"
        | "read_file"
        | "list_dir"
        | "grep_files"
        | "tool_search"
        | "tool_search_call" => ToolCategory::Research,
        "Edit" | "Write" | "MultiEdit" | "NotebookEdit" | "apply_patch" => ToolCategory::Edit,
        "Task" | "Agent" | "TaskOutput" | "AgentOutputTool" | "Skill" | "SlashCommand" | "SendMessage"
        | "TeamCreate" | "TeamDelete" | "spawn_agent" | "send_input" | "send_message" | "wait" | "wait_agent"
        | "resume_agent" | "close_agent" | "followup_task" | "list_agents" => ToolCategory::Delegate,
        "TodoWrite" | "TodoRead" | "TaskCreate" | "TaskUpdate" | "TaskList" | "TaskGet" | "update_plan"
        | "EnterPlanMode" | "ExitPlanMode" | "exit_plan_mode" | "AskUserQuestion" | "request_user_input" => {
            ToolCategory::Plan
        }
        "BashOutput" | "KillShell" | "KillBash" | "TaskStop" | "write_stdin" => ToolCategory::Shell,
        "Bash" | "PowerShell" | "shell" | "shell_command" | "exec_command" | "local_shell" | "local_shell_call"
        | "container.exec" | "unified_exec" => command.map_or(ToolCategory::Shell, shell_category),
        _ => match name.strip_prefix("mcp__").or_else(|| Some(name.split_once("-mcp-server-")?.1)) {
            Some(tool) => mcp_category(tool),
            None => category_elsewhere(name, command),
        },
    }
}

/// The kind of work of a tool of Gemini CLI, OpenCode, Copilot CLI or Cursor.
fn category_elsewhere(name: &str, command: Option<&str>) -> ToolCategory {
    match name {
        "view"
        | "read"
        | "list"
        | "webfetch"
        | "websearch"
        | "codesearch"
        | "read_many_files"
        | "list_directory"
        | "search_file_content"
        | "google_web_search"
        | "get_internal_docs"
        | "glob"
        | "grep"
        | "rg"
        | "lsp"
        | "web_fetch"
        | "fetch_copilot_cli_documentation"
        | "SemanticSearch"
        | "codebase_search"
        | "grep_search"
        | "file_search"
        | "glob_file_search"
        | "read_file_v2"
        | "ReadFile"
        | "ListDir"
        | "FetchMcpResource"
        | "fetch_rules" => ToolCategory::Research,
        "str_replace_editor" | "str_replace_based_edit_tool" if command == Some("view") => ToolCategory::Research,
        "str_replace_editor"
        | "str_replace_based_edit_tool"
        | "multiedit"
        | "patch"
        | "write_file"
        | "replace"
        | "edit"
        | "create"
        | "write"
        | "edit_file"
        | "edit_file_v2"
        | "search_replace"
        | "StrReplace"
        | "Delete"
        | "delete_file"
        | "ApplyPatch"
        | "EditNotebook"
        | "edit_notebook" => ToolCategory::Edit,
        "ReadLints" | "read_lints" => ToolCategory::Verify,
        "update_todo" | "todo_write" | "report_intent" | "ask_user" | "AskQuestion" | "CreatePlan" | "create_plan"
        | "SwitchMode" | "todowrite" | "todoread" | "question" | "plan_enter" | "plan_exit" | "write_todos"
        | "update_topic" | "enter_plan_mode" => ToolCategory::Plan,
        "task"
        | "skill"
        | "read_agent"
        | "write_agent"
        | "Subagent"
        | "activate_skill"
        | "delegate_to_agent"
        | "invoke_agent"
        | "codebase_investigator"
        | "generalist"
        | "cli_help" => ToolCategory::Delegate,
        "read_bash" | "write_bash" | "stop_bash" | "list_bash" | "read_powershell" | "write_powershell"
        | "stop_powershell" | "list_powershell" | "Await" | "AwaitShell" => ToolCategory::Shell,
        "bash"
        | "run_shell_command"
        | "powershell"
        | "Shell"
        | "run_terminal_cmd"
        | "run_terminal_command"
        | "run_terminal_command_v2" => command.map_or(ToolCategory::Shell, shell_category),
        _ => ToolCategory::Other,
    }
}

/// The kind of work of a tool `server__tool` of an MCP server: most servers are there to look things up, and say so in the name.
fn mcp_category(name: &str) -> ToolCategory {
    const LOOKING: [&str; 14] = [
        "search",
        "get",
        "list",
        "read",
        "find",
        "fetch",
        "query",
        "view",
        "show",
        "describe",
        "browse",
        "snapshot",
        "screenshot",
        "lookup",
    ];
    let tool = name.split_once("__").map_or(name, |(_, tool)| tool).to_ascii_lowercase();
    let mut words = tool.split(|c: char| !c.is_ascii_alphanumeric());
    if words.any(|word| LOOKING.contains(&word)) { ToolCategory::Research } else { ToolCategory::Other }
}

/// The kind of work of a shell command: of its parts, the one that weighs most.
///
/// A look around before a test does not make the test research, and a test before a commit is part of committing.
fn shell_category(command: &str) -> ToolCategory {
    let weight = |category: &ToolCategory| match category {
        ToolCategory::Git => 5,
        ToolCategory::Verify => 4,
        ToolCategory::Edit => 3,
        ToolCategory::Shell => 2,
        _ => 1,
    };
    simple_commands(command)
        .iter()
        .filter_map(SimpleCommand::category)
        .max_by_key(weight)
        .unwrap_or(ToolCategory::Shell)
}

/// Whether a shell command runs `git commit`.
pub fn commits(command: &str) -> bool {
    simple_commands(command).iter().any(|simple| {
        let words = simple.program();
        words.first() == Some(&"git") && subcommand(&words) == Some("commit")
    })
}

/// The commits that `git commit` reports in its output, as (abbreviated hash, subject): lines like `[main 1a2b3c4] Subject`.
pub fn find_commits(output: &str) -> impl Iterator<Item = (&str, &str)> {
    output.lines().filter_map(|line| {
        let (head, subject) = line.strip_prefix('[')?.split_once("] ")?;
        let (branch, hash) = head.rsplit_once(' ')?;
        let is_hash = (7..=40).contains(&hash.len()) && hash.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        (is_hash && !branch.is_empty()).then(|| (hash, subject.trim()))
    })
}

/// One program with its arguments, of a longer command.
#[derive(Debug, Default, PartialEq)]
struct SimpleCommand {
    words: Vec<String>,
    /// Whether the output goes into a file.
    writes: bool,
}

impl SimpleCommand {
    /// The words from the program's name on: without variables, wrappers such as `timeout 60`, and the name's directory.
    fn program(&self) -> Vec<&str> {
        let mut words: Vec<&str> = self.words.iter().map(String::as_str).collect();
        loop {
            let wrapped = match words.first().copied() {
                Some(
                    "sudo" | "env" | "time" | "nohup" | "command" | "exec" | "xargs" | "nice" | "stdbuf" | "caffeinate",
                ) => 1 + words[1..].iter().take_while(|word| word.starts_with('-')).count(),
                Some("timeout" | "gtimeout") => {
                    1 + words[1..]
                        .iter()
                        .take_while(|w| w.starts_with('-') || w.starts_with(|c: char| c.is_ascii_digit()))
                        .count()
                }
                Some("if" | "then" | "else" | "elif" | "do" | "while" | "until" | "!" | "{" | "(") => 1,
                Some(word) if is_assignment(word) => 1,
                _ => break,
            };
            words.drain(..wrapped.min(words.len()));
        }
        if let Some(first) = words.first_mut() {
            *first = first.rsplit('/').next().unwrap_or(first);
        }
        words
    }

    /// The kind of work; none for what only prepares or prints (`cd`, `echo`, variables).
    fn category(&self) -> Option<ToolCategory> {
        let words = self.program();
        let program = *words.first()?;
        let sub = subcommand(&words).unwrap_or_default();
        let category = match program {
            "bash" | "sh" | "zsh" | "dash" => match script(&words) {
                Some(script) => shell_category(script),
                None if mentions_check(words.get(1).copied().unwrap_or_default()) => ToolCategory::Verify,
                None => ToolCategory::Shell,
            },
            "git" | "gh" | "glab" | "jj" | "hg" | "svn" | "gt" => ToolCategory::Git,
            "cd" | "pushd" | "popd" | "echo" | "printf" | "export" | "set" | "source" | "." | "true" | "false"
            | "sleep" | "wait" | "exit" | "read" | "for" | "done" | "fi" | "esac" | "case" | "test" | "[" | "[["
            | "}" | ")" | "Select-Object" | "ForEach-Object" | "Where-Object" | "Sort-Object" | "Out-String"
            | "Out-Null" | "Write-Host" | "Write-Output" | "unset" | "local" | "shopt" | "trap" | "return"
            | "break" | "continue" | "in" => {
                return self.writes.then_some(ToolCategory::Edit);
            }
            "tee" | "rm" | "mv" | "cp" | "touch" | "mkdir" | "rmdir" | "ln" | "chmod" | "chown" | "patch" | "dd"
            | "truncate" | "install" | "rsync" | "apply_patch" | "unzip" => ToolCategory::Edit,
            "sed" | "perl" if words[1..].iter().any(|word| in_place(word)) => ToolCategory::Edit,
            "gofmt" | "goimports" | "rustfmt" if words[1..].contains(&"-w") => ToolCategory::Edit,
            "cat" | "ls" | "ll" | "tree" | "rg" | "grep" | "egrep" | "fgrep" | "zgrep" | "ag" | "ack" | "fd"
            | "find" | "head" | "tail" | "sed" | "awk" | "gawk" | "cut" | "sort" | "uniq" | "wc" | "jq" | "yq"
            | "less" | "more" | "bat" | "nl" | "od" | "xxd" | "hexdump" | "strings" | "stat" | "file" | "du" | "df"
            | "diff" | "cmp" | "comm" | "which" | "type" | "whereis" | "pwd" | "tr" | "column" | "paste" | "fold"
            | "basename" | "dirname" | "realpath" | "readlink" | "date" | "env" | "printenv" | "uname" | "whoami"
            | "hostname" | "ps" | "pgrep" | "lsof" | "curl" | "wget" | "man" | "tac" | "rev" | "expr" | "seq"
            | "md5sum" | "sha256sum" | "shasum" | "ast-grep" | "sg" | "Get-Content" | "Get-ChildItem"
            | "Select-String" | "dir" => {
                if self.writes {
                    ToolCategory::Edit
                } else {
                    ToolCategory::Research
                }
            }
            "pytest" | "py.test" | "tox" | "nox" | "mypy" | "pyright" | "basedpyright" | "ruff" | "flake8"
            | "pylint" | "black" | "isort" | "jest" | "vitest" | "mocha" | "ava" | "cypress" | "playwright"
            | "eslint" | "oxlint" | "biome" | "prettier" | "tsc" | "vue-tsc" | "svelte-check" | "golangci-lint"
            | "staticcheck" | "gofmt" | "goimports" | "gotestsum" | "rustc" | "rustfmt" | "rspec" | "rubocop"
            | "phpunit" | "phpstan" | "ctest" | "shellcheck" | "shfmt" | "hadolint" | "actionlint" | "yamllint"
            | "markdownlint" | "make" | "gmake" | "ninja" | "cmake" | "bazel" | "buck2" | "meson" | "gcc" | "g++"
            | "clang" | "clang++" | "cc" | "javac" | "mvn" | "mvnw" | "gradle" | "gradlew" | "ant" | "sbt"
            | "xcodebuild" | "pre-commit" | "stylelint" | "jshint" | "unittest" | "tflint" => ToolCategory::Verify,
            "cargo" => match sub {
                "add" | "remove" | "init" | "new" => ToolCategory::Edit,
                "run" | "install" | "publish" | "update" | "login" => ToolCategory::Shell,
                "tree" | "metadata" | "search" | "info" => ToolCategory::Research,
                _ => ToolCategory::Verify,
            },
            "go" => match sub {
                "test" | "build" | "vet" | "fmt" | "generate" => ToolCategory::Verify,
                "doc" | "list" | "env" | "version" => ToolCategory::Research,
                _ => ToolCategory::Shell,
            },
            "npm" | "pnpm" | "yarn" | "bun" | "npx" | "pnpx" | "bunx" | "deno" | "uv" | "uvx" | "poetry" | "pipenv"
            | "rye" | "hatch" | "mise" | "just" | "task" | "rake" | "bundle" | "dotnet" | "swift" | "mix" | "zig"
            | "nx" | "turbo" | "lerna" | "composer" | "flutter" | "dart" | "docker" | "docker-compose" | "python"
            | "python3" | "node" | "php" | "ruby" | "tsx" => {
                let before_code = words[1..].iter().take_while(|&&word| !matches!(word, "-c" | "-e" | "-"));
                if before_code.copied().any(mentions_check) { ToolCategory::Verify } else { ToolCategory::Shell }
            }
            name if mentions_check(name) => ToolCategory::Verify,
            _ => ToolCategory::Shell,
        };
        Some(category)
    }
}

/// Whether a word of a command line names a check: `test`, `build:types`, `run_lint.sh`, `vitest`.
fn mentions_check(word: &str) -> bool {
    const CHECKS: [&str; 23] = [
        "test",
        "tests",
        "build",
        "lint",
        "check",
        "typecheck",
        "tsc",
        "vitest",
        "jest",
        "pytest",
        "eslint",
        "mypy",
        "ruff",
        "compile",
        "unittest",
        "clippy",
        "fmt",
        "format",
        "prettier",
        "biome",
        "playwright",
        "rspec",
        "verify",
    ];
    word.split(|c: char| !c.is_ascii_alphanumeric()).any(|part| CHECKS.contains(&part) || part.ends_with("lint"))
}

/// Whether a word of `sed` or `perl` asks to write the file back: `-i`, `-i.bak`, `-pi`, `--in-place`.
fn in_place(word: &str) -> bool {
    let flags = word.strip_prefix('-').unwrap_or_default();
    word.starts_with("--in-place")
        || flags.starts_with('i')
        || (flags.len() <= 4 && flags.ends_with('i') && flags.bytes().all(|b| b.is_ascii_lowercase()))
}

/// `NAME=value` before a command.
fn is_assignment(word: &str) -> bool {
    word.split_once('=').is_some_and(|(name, _)| {
        !name.is_empty()
            && !name.starts_with(|c: char| c.is_ascii_digit())
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
    })
}

/// The script of `bash -lc SCRIPT`.
fn script<'a>(words: &[&'a str]) -> Option<&'a str> {
    let option =
        words[1..].iter().position(|word| word.starts_with('-') && !word.starts_with("--") && word.ends_with('c'))?;
    words.get(option + 2).copied()
}

/// The first word after a program's options: `commit` in `git -C dir commit`.
fn subcommand<'a>(words: &[&'a str]) -> Option<&'a str> {
    let mut rest = words.get(1..)?.iter();
    while let Some(&word) = rest.next() {
        match word {
            "-C" | "-c" | "--git-dir" | "--work-tree" | "--manifest-path" | "-R" => {
                rest.next();
            }
            _ if word.starts_with(['-', '+']) => {}
            _ => return Some(word),
        }
    }
    None
}

/// Cuts a command into its simple commands: at `;`, `&&`, `||`, `|`, `&`, line ends and around `$(…)`, not within quotes or
/// here-documents.
fn simple_commands(command: &str) -> Vec<SimpleCommand> {
    let mut done = Vec::new();
    let mut current = SimpleCommand::default();
    let mut word: Option<String> = None;
    let mut here_documents: Vec<String> = Vec::new();
    let mut rest = command;
    while let Some(c) = rest.chars().next() {
        let after = &rest[c.len_utf8()..];
        rest = after;
        match c {
            '\'' => {
                let end = after.find('\'').unwrap_or(after.len());
                word.get_or_insert_default().push_str(&after[..end]);
                rest = after.get(end + 1..).unwrap_or_default();
            }
            '"' => rest = double_quoted(after, word.get_or_insert_default()),
            '\\' => {
                rest = after.strip_prefix('\n').unwrap_or_else(|| {
                    let escaped = after.chars().next();
                    word.get_or_insert_default().extend(escaped);
                    &after[escaped.map_or(0, char::len_utf8)..]
                });
            }
            '#' if word.is_none() => rest = &after[after.find('\n').unwrap_or(after.len())..],
            '<' if after.starts_with('<') && !after.starts_with("<<") => {
                let mark = after[1..].trim_start_matches('-').trim_start_matches([' ', '\t']);
                let end = mark.find(|c: char| c.is_whitespace() || ";|&<>()".contains(c)).unwrap_or(mark.len());
                here_documents.push(mark[..end].replace(['\'', '"', '\\'], ""));
                rest = &mark[end..];
            }
            '>' => {
                let target = after.trim_start_matches(['>', '|', ' ', '\t']);
                // `2>` and the like belong to the redirection, not to the arguments.
                let errors_only = word.as_deref() == Some("2");
                if word.as_deref().is_some_and(|word| word.len() == 1 && word.bytes().all(|b| b.is_ascii_digit())) {
                    word = None;
                }
                let into_file = !target.starts_with('&') && !target.starts_with("/dev/");
                current.writes |= into_file && !errors_only;
                current.words.extend(word.take());
                let end = target.find(|c: char| c.is_whitespace() || ";|<>()".contains(c)).unwrap_or(target.len());
                rest = &target[end..];
            }
            '\n' => {
                end_command(&mut done, &mut current, &mut word);
                for mark in here_documents.drain(..) {
                    rest = after_here_document(rest, &mark);
                }
            }
            ';' | '|' | '&' | '(' | ')' | '`' => {
                if c == '&' && after.starts_with('>') {
                    continue;
                }
                if c == '(' && word.as_deref().is_some_and(|word| word.ends_with('$')) {
                    word = None;
                }
                end_command(&mut done, &mut current, &mut word);
            }
            c if c.is_whitespace() => current.words.extend(word.take()),
            c => word.get_or_insert_default().push(c),
        }
    }
    end_command(&mut done, &mut current, &mut word);
    done
}

/// Ends the word and the simple command at hand.
fn end_command(done: &mut Vec<SimpleCommand>, current: &mut SimpleCommand, word: &mut Option<String>) {
    current.words.extend(word.take());
    let finished = std::mem::take(current);
    if !finished.words.is_empty() {
        done.push(finished);
    }
}

/// Reads to the closing double quote; gives what follows it.
fn double_quoted<'a>(text: &'a str, word: &mut String) -> &'a str {
    let mut from = 0;
    while let Some(at) = text[from..].find(['"', '\\']).map(|offset| from + offset) {
        word.push_str(&text[from..at]);
        if text.as_bytes()[at] == b'"' {
            return &text[at + 1..];
        }
        let escaped = text[at + 1..].chars().next();
        word.extend(escaped);
        from = at + 1 + escaped.map_or(0, char::len_utf8);
    }
    word.push_str(&text[from..]);
    ""
}

/// What follows the line that ends a here-document.
fn after_here_document<'a>(text: &'a str, mark: &str) -> &'a str {
    let mut rest = text;
    while !rest.is_empty() {
        let (line, after) = rest.split_once('\n').unwrap_or((rest, ""));
        rest = after;
        if line.trim_matches(['\t', ' ', '\r']) == mark {
            break;
        }
    }
    rest
}

#[cfg(test)]
mod tests {
    use super::*;
    use ToolCategory::*;
    use proptest::prelude::*;

    #[test]
    fn tools_are_sorted_by_name() {
        for (name, expected) in [
            ("Read", Research),
            ("WebSearch", Research),
            ("mcp__docs__search_pages", Research),
            ("mcp__slack__post_message", Other),
            ("MultiEdit", Edit),
            ("apply_patch", Edit),
            ("Task", Delegate),
            ("Skill", Delegate),
            ("update_plan", Plan),
            ("AskUserQuestion", Plan),
            ("Bash", Shell),
            ("str_replace_editor", Edit),
            ("github-mcp-server-web_search", Research),
            ("github-mcp-server-create_issue", Other),
            ("StrReplace", Edit),
            ("stop_bash", Shell),
            ("run_shell_command", Shell),
            ("grep_search", Research),
            ("replace", Edit),
            ("todowrite", Plan),
            ("codebase_investigator", Delegate),
            ("Task\" >\n<parameter name=\"description", Other),
        ] {
            assert_eq!(category(name, None), expected, "{name}");
        }
    }

    #[test]
    fn a_command_has_the_category_of_its_weightiest_part() {
        for (command, expected) in [
            ("git status", Git),
            ("gh pr view 3 --json title", Git),
            ("cd sub/dir && git -C .. log | head -3", Git),
            ("cargo test -q 2>&1 | tail -20", Verify),
            ("RUST_LOG=debug FOO='a b' cargo clippy --all-targets", Verify),
            ("cd web && npm run build && ls dist", Verify),
            ("npx vitest run src", Verify),
            ("npx -y markdownlint-cli2 docs 2>&1 | Select-Object -Last 5", Verify),
            ("timeout 60 go test ./... > /tmp/out.txt 2>&1; echo $?", Verify),
            ("python -m pytest tests", Verify),
            ("./scripts/run-tests.sh", Verify),
            ("mise run lint && mise run test:ci", Verify),
            ("bash -lc 'cargo check'", Verify),
            ("cat a.txt", Research),
            ("ls -la; pwd", Research),
            ("rg 'git commit' src | sort | uniq -c", Research),
            ("sed -n '1,20p' file && head -5 other", Research),
            ("find . -name '*.rs' 2>/dev/null | xargs grep -l foo", Research),
            ("bash -lc \"sed -n 1,5p x\"", Research),
            ("sed -i 's/a/b/' file", Edit),
            ("cat > notes.md <<'EOF'\ngit commit\nEOF", Edit),
            ("echo hello >> log.txt", Edit),
            ("mkdir -p a/b", Edit),
            ("python3 - <<EOF\nimport os # cargo test\nEOF", Shell),
            ("node server.js &", Shell),
            ("python3 -c 'print(\"test\")'", Shell),
            ("npm install", Shell),
            ("cd /tmp", Shell),
            ("", Shell),
            ("cargo fmt && git add -A && git commit -m 'x'", Git),
            ("echo \"$(git rev-parse HEAD)\"", Shell),
            ("X=$(git rev-parse HEAD)", Git),
        ] {
            assert_eq!(category("Bash", Some(command)), expected, "{command}");
        }
    }

    #[test]
    fn an_editor_tool_that_only_views_is_research() {
        assert_eq!(category("str_replace_editor", Some("view")), Research);
        assert_eq!(category("str_replace_editor", Some("create")), Edit);
    }

    #[test]
    fn only_a_git_commit_that_is_run_counts_as_one() {
        for command in [
            "git commit -m x",
            "git add . && git -c user.name=me commit --amend --no-edit",
            "cd a; GIT_EDITOR=true git commit -m \"$(cat <<'EOF'\nSubject\n\nIt's \"done\"\nEOF\n)\"",
            "sh -c true\ngit commit",
        ] {
            assert!(commits(command), "{command}");
        }
        for command in
            ["git log", "echo 'git commit'", "grep -r \"git commit\" .", "git commit-tree x", "cat <<E\ngit commit\nE"]
        {
            assert!(!commits(command), "{command}");
        }
    }

    #[test]
    fn commits_are_found_in_what_git_prints() {
        let output = "hook: [INFO] ok\n[main 1a2b3c4] Add x: [y] z\n 1 file changed\n[feat/q (root-commit) 0badcafe] First\r\n\
                      [detached HEAD abcdef0] Third\n[main xyz1234] no hash\n[1234567] no branch\n";
        let found: Vec<_> = find_commits(output).collect();
        assert_eq!(found, [("1a2b3c4", "Add x: [y] z"), ("0badcafe", "First"), ("abcdef0", "Third")]);
    }

    proptest! {
        #[test]
        fn no_command_makes_it_panic(command in r#"([a-z ]|['"\\$()`;|&<>#=\n-]|<<|é|git commit|bash -c ){0,40}"#) {
            category("Bash", Some(&command));
            commits(&command);
            find_commits(&command).count();
        }
    }
}
