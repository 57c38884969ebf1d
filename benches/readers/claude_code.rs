//! Makes an invented Claude Code session of a given size, row by row, with the rows' shares of the bytes as they were measured on
//! real sessions ([`MEASURED`]).

use crate::shares::Shares;
use crate::text::{Text, name};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use std::io::{self, Write};

/// What kinds of row take of the bytes of 1.83 GB of real sessions; `toolUseResult` is a part of the first.
pub const MEASURED: [(&str, f64); 7] = [
    ("user with a result", 0.502),
    ("of it toolUseResult", 0.35),
    ("assistant", 0.249),
    ("progress", 0.190),
    ("user, other", 0.025),
    ("attachment", 0.021),
    ("all other rows", 0.013),
];

/// Writes rows until there are `bytes` of them.
pub fn write(
    random: &mut ChaCha8Rng,
    text: &Text,
    bytes: usize,
    id: &str,
    shares: &mut Shares,
    out: &mut impl Write,
) -> io::Result<u64> {
    let mut session = Session {
        envelope: format!(
            "\"isSidechain\":false,\"userType\":\"external\",\"cwd\":\"/home/ada/projects/{folder}\",\"sessionId\":\"{id}\",\
             \"version\":\"2.1.{patch}\",\"gitBranch\":\"{branch}\",\"slug\":\"{slug}-{branch}\"",
            folder = name(random),
            patch = random.random_range(2..82),
            branch = name(random),
            slug = name(random),
        ),
        random,
        text,
        id,
        shares,
        out,
        row: String::new(),
        written: 0,
        parent: "null".to_owned(),
        milliseconds: 1_780_000_000_000,
        cached: 12_000,
    };
    while (session.written as usize) < bytes {
        session.turn()?;
    }
    Ok(session.written)
}

struct Session<'a, W> {
    random: &'a mut ChaCha8Rng,
    text: &'a Text,
    id: &'a str,
    shares: &'a mut Shares,
    out: &'a mut W,
    /// What every row says.
    envelope: String,
    /// The row at hand.
    row: String,
    written: u64,
    /// The last row's id as JSON.
    parent: String,
    milliseconds: i64,
    /// Tokens that the provider has cached by now.
    cached: u64,
}

impl<W: Write> Session<'_, W> {
    /// What a human asks, and what the agent does about it.
    fn turn(&mut self) -> io::Result<()> {
        self.snapshot()?;
        self.prompt()?;
        if self.chance(45) {
            self.attachment()?;
        }
        for _ in 0..self.random.random_range(2..8) {
            self.message()?;
            if self.chance(2) {
                self.queue()?;
            }
        }
        self.system("turn_duration", "\"durationMs\":91250")?;
        if self.chance(40) {
            self.system("stop_hook_summary", "\"hookCount\":1,\"hookInfos\":[{\"command\":\"./check.sh --quiet\"}],\"hookErrors\":[],\"preventedContinuation\":false")?;
        }
        if self.chance(1) {
            self.system("compact_boundary", "\"content\":\"Conversation compacted\",\"compactMetadata\":{\"trigger\":\"auto\",\"preTokens\":155000}")?;
        }
        Ok(())
    }

    /// One message of the model: thoughts, words and calls in rows of their own, then what the calls gave back.
    fn message(&mut self) -> io::Result<()> {
        let message = format!("msg_01{}", self.text.noise(self.random, 22).replace(['+', '/'], "x"));
        let text = self.text;
        let mut output = 4;
        if self.chance(62) {
            let (thoughts, signature) = (self.around(1900), self.around(1400));
            let block = format!(
                "{{\"type\":\"thinking\",\"thinking\":\"{}\",\"signature\":\"{}\"}}",
                text.prose(self.random, thoughts),
                text.noise(self.random, signature),
            );
            self.assistant(&message, &block, output)?;
        }
        if self.chance(50) {
            output += 60;
            let length = self.around(600);
            let block = format!("{{\"type\":\"text\",\"text\":\"{}\"}}", text.prose(self.random, length));
            self.assistant(&message, &block, output)?;
        }
        let calls = if self.chance(12) { 2 } else { 1 };
        let mut made = Vec::new();
        for _ in 0..calls {
            output += 150;
            made.push(self.call(&message, output)?);
        }
        for call in made {
            self.progress(&call)?;
            self.result(call)?;
        }
        self.cached += 1500;
        Ok(())
    }

    fn call(&mut self, message: &str, output: u64) -> io::Result<Call> {
        let id = format!("toolu_01{}", self.text.noise(self.random, 22).replace(['+', '/'], "x"));
        let (file, place) = (name(self.random), self.random.random_range(1..400));
        let kind = match self.random.random_range(0..100) {
            0..36 => Tool::Bash,
            36..60 => Tool::Read,
            60..82 => Tool::Edit,
            82..94 => Tool::Grep,
            _ => Tool::Write,
        };
        let text = self.text;
        let (old, new) = (self.around(240), self.around(330));
        let (old, new) = (text.code(self.random, old), text.code(self.random, new));
        let commits = self.chance(4);
        let (tool, input) = match kind {
            Tool::Bash if commits => ("Bash", format!("\"command\":\"git add -A && git commit -m \\\"{file}\\\"\"")),
            Tool::Bash => (
                "Bash",
                format!("\"command\":\"cargo test --lib {file} 2>&1 | tail -40\",\"description\":\"Test {file}\""),
            ),
            Tool::Read => ("Read", format!("\"file_path\":\"/home/ada/src/{file}.rs\",\"offset\":{place}")),
            Tool::Edit => (
                "Edit",
                format!("\"file_path\":\"/home/ada/src/{file}.rs\",\"old_string\":\"{old}\",\"new_string\":\"{new}\""),
            ),
            Tool::Grep => ("Grep", format!("\"pattern\":\"fn {file}\",\"path\":\"src\",\"output_mode\":\"content\"")),
            Tool::Write => ("Write", format!("\"file_path\":\"/home/ada/src/{file}.rs\",\"content\":\"{new}\"")),
        };
        let block = format!("{{\"type\":\"tool_use\",\"id\":\"{id}\",\"name\":\"{tool}\",\"input\":{{{input}}}}}");
        self.assistant(message, &block, output)?;
        Ok(Call { id, kind, file, commits, old: old.to_owned(), new: new.to_owned() })
    }

    /// A tool's result: the text that the model got, and the client's structured copy of it.
    fn result(&mut self, call: Call) -> io::Result<()> {
        let failed = self.chance(5);
        let (told, copy) = if failed { self.failure() } else { self.success(&call) };
        let (id, mark) = (call.id, if failed { ",\"is_error\":true" } else { "" });
        self.shares.add("of it toolUseResult", copy.len());
        let body = format!(
            "\"type\":\"user\",\"message\":{{\"role\":\"user\",\"content\":[{{\"tool_use_id\":\"{id}\",\"type\":\"tool_result\",\
             \"content\":\"{told}\"{mark}}}]}}"
        );
        self.chained("user with a result", &body, &format!(",\"toolUseResult\":{copy}"))
    }

    fn failure(&mut self) -> (String, String) {
        if self.chance(20) {
            let told = "The user doesn't want to proceed with this tool use. The tool use was rejected. To tell you how to proceed, \
                        the user said:\\nnot in this file";
            return (told.to_owned(), "\"User rejected tool use\"".to_owned());
        }
        let told = "<tool_use_error>File has not been read yet. Read it first before writing to it.</tool_use_error>";
        (told.to_owned(), "\"Error: File has not been read yet. Read it first before writing to it.\"".to_owned())
    }

    fn success(&mut self, Call { kind, file, commits, old, new, .. }: &Call) -> (String, String) {
        let text = self.text;
        let path = format!("/home/ada/src/{file}.rs");
        match kind {
            Tool::Bash => {
                let (hash, length) = (self.random.random_range(0..1 << 28), self.around(2600));
                let commit =
                    if *commits { format!("[main {hash:07x}] {file}\\n 1 file changed\\n") } else { String::new() };
                let told = commit + text.code(self.random, length);
                let copy = format!("{{\"stdout\":\"{told}\",\"stderr\":\"\",\"interrupted\":false,\"isImage\":false}}");
                (told, copy)
            }
            Tool::Read => {
                let length = self.around(5600);
                let (mut told, mut content, mut count) = (String::new(), String::new(), 0);
                for line in text.code_lines(self.random, length) {
                    count += 1;
                    told.push_str(&format!("{count:>6}→{line}\\n"));
                    content.push_str(&format!("{line}\\n"));
                }
                let copy = format!(
                    "{{\"type\":\"text\",\"file\":{{\"filePath\":\"{path}\",\"content\":\"{content}\",\"numLines\":{count},\
                     \"startLine\":1,\"totalLines\":{count}}}}}"
                );
                (told, copy)
            }
            Tool::Edit => {
                let length = self.around(17_000);
                let whole = text.code(self.random, length);
                let patch: Vec<String> = text.code_lines(self.random, 600).map(|line| format!("\"+{line}\"")).collect();
                let told = format!("The file {path} has been updated. Here's the result of running `cat -n`:\\n{new}");
                let copy = format!(
                    "{{\"filePath\":\"{path}\",\"oldString\":\"{old}\",\"newString\":\"{new}\",\"originalFile\":\"{whole}\",\
                     \"structuredPatch\":[{{\"oldStart\":10,\"oldLines\":7,\"newStart\":10,\"newLines\":8,\"lines\":[{patch}]}}],\
                     \"userModified\":false,\"replaceAll\":false}}",
                    patch = patch.join(","),
                );
                (told, copy)
            }
            Tool::Grep => {
                let length = self.around(3400);
                let told = text.code(self.random, length).to_owned();
                let copy = format!(
                    "{{\"mode\":\"content\",\"numFiles\":0,\"filenames\":[],\"content\":\"{told}\",\"numLines\":40}}"
                );
                (told, copy)
            }
            Tool::Write => {
                let copy = format!(
                    "{{\"type\":\"create\",\"filePath\":\"{path}\",\"content\":\"{new}\",\"structuredPatch\":[],\"originalFile\":null}}"
                );
                (format!("File created successfully at: {path}"), copy)
            }
        }
    }

    /// Signs of life of a call, its hooks, and now and then of a subagent.
    fn progress(&mut self, call: &Call) -> io::Result<()> {
        let text = self.text;
        let about = format!("\"toolUseID\":\"bash-progress-1\",\"parentToolUseID\":\"{}\"", call.id);
        let data = "\"data\":{\"type\":\"hook_progress\",\"hookEvent\":\"PostToolUse\",\"hookName\":\"PostToolUse:Edit\",\"command\":\"node ./hooks/after.js\"}";
        self.chained("progress", &format!("\"type\":\"progress\",{data},{about}"), "")?;
        if matches!(call.kind, Tool::Bash) {
            let length = self.around(900);
            let output = text.code(self.random, length);
            for seconds in 2..4 {
                let data = format!(
                    "\"data\":{{\"type\":\"bash_progress\",\"output\":\"{output}\",\"fullOutput\":\"{output}\",\"elapsedTimeSeconds\":{seconds},\"totalLines\":9}}"
                );
                self.chained("progress", &format!("\"type\":\"progress\",{data},{about}"), "")?;
            }
        }
        if self.chance(28) {
            let (length, uuid) = (self.around(4400), self.uuid());
            let words = text.code(self.random, length);
            let data = format!(
                "\"data\":{{\"message\":{{\"type\":\"user\",\"message\":{{\"role\":\"user\",\"content\":[{{\"type\":\"text\",\"text\":\"{words}\"}}]}},\
                 \"uuid\":\"{uuid}\"}},\"normalizedMessages\":[],\"type\":\"agent_progress\",\"prompt\":\"\",\"agentId\":\"a1b2c3d\"}}"
            );
            self.chained("progress", &format!("\"type\":\"progress\",{data},{about}"), "")?;
        }
        Ok(())
    }

    fn prompt(&mut self) -> io::Result<()> {
        let text = self.text;
        let length = if self.chance(5) { 9000 } else { self.around(1500) };
        let words = match self.random.random_range(0..100) {
            0..4 => "[Request interrupted by user]".to_owned(),
            4..9 => "<command-name>/review</command-name>\\n<command-message>review</command-message>\\n<command-args>the last change</command-args>".to_owned(),
            9..13 => format!("<task-notification>\\n<task-id>1</task-id>\\n{}\\n</task-notification>", text.prose(self.random, length)),
            _ => text.prose(self.random, length).to_owned(),
        };
        let body = format!("\"type\":\"user\",\"message\":{{\"role\":\"user\",\"content\":\"{words}\"}}");
        self.chained("user, other", &body, "")
    }

    fn attachment(&mut self) -> io::Result<()> {
        let length = self.around(5200);
        let listing = self.text.prose(self.random, length);
        let kind = if self.chance(30) { "edited_text_file\",\"filename\":\"src/a.rs" } else { "skill_listing" };
        let body = format!("\"type\":\"attachment\",\"attachment\":{{\"type\":\"{kind}\",\"content\":\"{listing}\"}}");
        self.chained("attachment", &body, "")
    }

    /// A text typed while the agent works: it leaves the queue in mid-turn.
    fn queue(&mut self) -> io::Result<()> {
        let words = self.text.prose(self.random, 120);
        for (operation, content) in [("enqueue", format!(",\"content\":\"{words}\"")), ("remove", String::new())] {
            self.tick();
            let (id, at) = (self.id, self.now());
            self.row = format!(
                "{{\"type\":\"queue-operation\",\"operation\":\"{operation}\",\"timestamp\":\"{at}\",\"sessionId\":\"{id}\"{content}}}"
            );
            self.end("all other rows")?;
        }
        Ok(())
    }

    fn snapshot(&mut self) -> io::Result<()> {
        let (message, at) = (self.uuid(), self.now());
        self.row = format!(
            "{{\"type\":\"file-history-snapshot\",\"messageId\":\"{message}\",\"snapshot\":{{\"messageId\":\"{message}\",\
             \"trackedFileBackups\":{{}},\"timestamp\":\"{at}\"}},\"isSnapshotUpdate\":false}}"
        );
        self.end("all other rows")
    }

    fn system(&mut self, subtype: &str, facts: &str) -> io::Result<()> {
        self.chained(
            "all other rows",
            &format!("\"type\":\"system\",\"subtype\":\"{subtype}\",{facts},\"isMeta\":false"),
            "",
        )
    }

    /// One block of a message of the model.
    fn assistant(&mut self, message: &str, block: &str, output: u64) -> io::Result<()> {
        let cached = self.cached;
        let body = format!(
            "\"message\":{{\"model\":\"claude-opus-4-5-20251101\",\"id\":\"{message}\",\"type\":\"message\",\"role\":\"assistant\",\
             \"content\":[{block}],\"stop_reason\":null,\"stop_sequence\":null,\"usage\":{{\"input_tokens\":3,\
             \"cache_creation_input_tokens\":1500,\"cache_read_input_tokens\":{cached},\"cache_creation\":{{\
             \"ephemeral_5m_input_tokens\":1500,\"ephemeral_1h_input_tokens\":0}},\"output_tokens\":{output},\"service_tier\":\"standard\"}}}},\
             \"requestId\":\"req_{request}\",\"type\":\"assistant\"",
            request = &message[4..],
        );
        self.chained("assistant", &body, "")
    }

    /// A row of the tree: it answers the row before it.
    fn chained(&mut self, kind: &'static str, body: &str, behind: &str) -> io::Result<()> {
        self.tick();
        let (uuid, at) = (self.uuid(), self.now());
        let (parent, envelope) = (&self.parent, &self.envelope);
        self.row =
            format!("{{\"parentUuid\":{parent},{envelope},{body},\"uuid\":\"{uuid}\",\"timestamp\":\"{at}\"{behind}}}");
        self.parent = format!("\"{uuid}\"");
        self.end(kind)
    }

    fn end(&mut self, kind: &'static str) -> io::Result<()> {
        self.row.push('\n');
        self.shares.add(kind, self.row.len());
        self.written += self.row.len() as u64;
        self.out.write_all(self.row.as_bytes())
    }

    fn tick(&mut self) {
        self.milliseconds += self.random.random_range(40..9000);
    }

    fn now(&self) -> String {
        jiff::Timestamp::from_millisecond(self.milliseconds).map(|at| format!("{at:.3}")).unwrap_or_default()
    }

    fn uuid(&mut self) -> String {
        crate::corpus::uuid(self.random)
    }

    fn chance(&mut self, percent: u32) -> bool {
        self.random.random_range(0..100) < percent
    }

    /// A length of about `mean`, most below it and some far above.
    fn around(&mut self, mean: usize) -> usize {
        let far = if self.random.random_range(0..300) == 0 { 15.0 } else { 0.95 };
        let step = self.random.random_range(0.02..1.0f64);
        (mean as f64 * far * -step.ln()) as usize + 16
    }
}

/// A call that waits for its result.
struct Call {
    id: String,
    kind: Tool,
    file: String,
    commits: bool,
    old: String,
    new: String,
}

#[derive(Clone, Copy)]
enum Tool {
    Bash,
    Read,
    Edit,
    Grep,
    Write,
}
