//! That no secret reaches the wire: one of every kind in every place of a transcript, for the agents that there are readers for.

use crate::context::{Context, Ended};
use crate::fake::{Asked, Fake};
use serde_json::{Value, json};
use std::fs;

const CLAUDE: &str = "00000000-0000-4000-8000-0000000000c1";
const CODEX: &str = "0199aaaa-0000-7000-8000-0000000000c2";

/// A text with a secret, and what of it must not be seen. Joined from pieces, so that no scanner takes this file for a leak.
struct Plant {
    text: String,
    secret: String,
}

/// One plant a kind, made different by `salt` so that each place has its own.
fn plants(salt: usize) -> Vec<Plant> {
    let salt = format!("{salt:04}");
    let plant = |around: &str, pieces: &[&str]| {
        let secret = pieces.concat().replace("0000", &salt);
        Plant { text: around.replace("{}", &secret), secret }
    };
    let key = format!("MIIEowIBAAKCAQEAwJalrXUtnFEMIK7MDENGbPxRfiCYzzz123{salt}AbCdEfGhIj");
    let pem = ["-----BEGIN ", "PRIVATE KEY-----\n", &key, "\nc3RvcA==\n-----END ", "PRIVATE KEY-----"].concat();
    vec![
        plant("{}", &["sk-", "proj-abcDEF0000_456-ghiJKL789mnoPQR"]),
        plant("{}", &["sk-ant-", "api03-AbC0000_dEf-456GhI789jKl012"]),
        plant("{}", &["AIza", "SyA1b2C3d4E5f6G7h8I9j0K1l2M3n4O0000"]),
        plant("{}", &["AKIA", "IOSFODNN7EXA0000"]),
        plant("aws_secret_access_key={}", &["wJalrXUtnFEMI/K7MDENG/bPxRfiCYzzz1230000"]),
        plant("{}", &["ghp_", "16C7e42F292c6912E7710c838347Ae170000"]),
        plant("{}", &["gho_", "16C7e42F292c6912E7710c838347Ae170000"]),
        plant("{}", &["github_pat_", "11ABCDEFG0abcdefghijkl_mnopqrstuvwxyz0000"]),
        plant("{}", &["glpat-", "AbCdEf12345678900000"]),
        plant("{}", &["xoxb-", "123456789012-AbCdEfGhIjKlMnOpQrSt0000"]),
        plant("{}", &["sk_live_", "4eC39HqLyjWDarjtT1zd0000"]),
        plant("{}", &["npm_", "AbCdEfGhIjKlMnOpQrStUvWxYz0123450000"]),
        plant("{}", &["pypi-", "AgEIcHlwaS5vcmcCJDNhYjEyMzQ1LTY3ODkt0000"]),
        plant("{}", &["hf_", "AbCdEfGhIjKlMnOpQrStUvWxYzAbCd0000"]),
        plant("{}", &["SG.", "AbCdEfGhIjKlMnOpQrStUv.WxYz0123456789AbCdEfGhIj0000"]),
        plant("{}", &["AC", "0123456789abcdef0123456789ab0000"]),
        plant(
            "AccountKey={}==",
            &["Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGM0000"],
        ),
        plant("Authorization: Bearer {}", &["abc123DEF456ghi789JKL0000"]),
        plant("api_key = \"{}\"", &["9f8e7d6c5b4a39281706f5e4d3c20000"]),
        plant("password={}", &["hunter0000"]),
        plant("https://bob:{}@db.corp.net/x", &["s3cr3t-Pa550000"]),
        plant("{}", &["eyJ", "hbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N0000"]),
        plant("{}", &["jane.doe0000@corp.dev"]),
        plant("/home/{}/src", &["jdoe0000"]),
        plant("/Users/{}/src", &["mdoe0000"]),
        plant("C:\\Users\\{}\\src", &["wdoe0000"]),
        plant("~/.claude/projects/-Users-{}-src", &["ddoe0000"]),
        Plant { text: pem, secret: key },
    ]
}

/// Texts with every kind of secret, a new set each time, and all secrets handed out.
#[derive(Default)]
struct Planter {
    sets: usize,
    secrets: Vec<String>,
}

impl Planter {
    fn text(&mut self, before: &str) -> String {
        self.sets += 1;
        let mut text = before.to_owned();
        for plant in plants(self.sets) {
            text.push_str(&format!("\n{} .", plant.text));
            self.secrets.push(plant.secret);
        }
        text
    }

    /// For places that hold one line and show the beginning of it.
    fn line(&mut self) -> String {
        self.sets += 1;
        let plant = plants(self.sets).swap_remove(5);
        self.secrets.push(plant.secret);
        plant.text
    }
}

fn claude(planter: &mut Planter) -> String {
    let mut rows: Vec<Value> = Vec::new();
    let mut add = |kind: &str, message: Value| {
        let step = rows.len();
        rows.push(json!({
            "parentUuid": null, "isSidechain": false, "userType": "external", "cwd": "/w", "sessionId": CLAUDE, "version": "2.1.18",
            "type": kind, "uuid": format!("u{step}"), "message": message, "timestamp": format!("2026-03-01T10:00:{step:02}.000Z"),
        }));
    };
    let user = |content: Value| json!({ "role": "user", "content": content });
    let assistant = |id: &str, content: Value| json!({ "id": id, "role": "assistant", "model": "claude-sonnet-5", "content": content });
    let call =
        |id: &str, name: &str, input: Value| json!([{ "type": "tool_use", "id": id, "name": name, "input": input }]);
    let result = |id: &str, text: &str| json!([{ "type": "tool_result", "tool_use_id": id, "content": text }]);
    add("user", user(planter.text("Please look at this.").into()));
    add("assistant", assistant("m1", json!([{ "type": "text", "text": planter.text("I looked.") }])));
    add("assistant", assistant("m2", call("t1", "Bash", json!({ "command": planter.text("cat <<EOF") }))));
    add("user", user(result("t1", &planter.text("ok"))));
    add(
        "assistant",
        assistant(
            "m3",
            call(
                "t2",
                "Edit",
                json!({ "file_path": format!("/src/{}", planter.line()), "old_string": planter.text("a"), "new_string": planter.text("b") }),
            ),
        ),
    );
    let refusal = "The user doesn't want to proceed with this tool use. The tool use was rejected (eg. if it was a file edit, the \
        new_string was NOT written to the file). To tell you how to proceed, the user said:\n";
    add(
        "user",
        user(
            json!([{ "type": "tool_result", "tool_use_id": "t2", "is_error": true, "content": planter.text(refusal) }]),
        ),
    );
    let slash = format!(
        "<command-message>review</command-message>\n<command-name>/review</command-name>\n<command-args>{}</command-args>",
        planter.text("this")
    );
    add("user", user(slash.into()));
    add(
        "assistant",
        assistant("m4", call("t3", &format!("mcp__{}", planter.line()), json!({ "query": planter.text("q") }))),
    );
    add("user", user(result("t3", &planter.text("found"))));
    add("assistant", assistant("m5", call("t4", "Bash", json!({ "command": "git commit -m x" }))));
    add("user", user(result("t4", &format!("[main 1a2b3c4] use {}\n 1 file changed", planter.line()))));
    let mut lines: Vec<String> = rows.iter().map(Value::to_string).collect();
    let steering = planter.text("also do that");
    for operation in ["enqueue", "remove"] {
        lines.push(
            json!({ "type": "queue-operation", "operation": operation, "sessionId": CLAUDE, "content": steering,
            "timestamp": "2026-03-01T10:01:00.000Z" })
            .to_string(),
        );
    }
    let summary = json!({ "parentUuid": null, "isSidechain": false, "userType": "external", "cwd": "/w", "sessionId": CLAUDE, "version": "2.1.18",
        "type": "user", "uuid": "us", "isCompactSummary": true, "timestamp": "2026-03-01T10:02:00.000Z",
        "message": user(planter.text("This session is being continued from a previous conversation.").into()) });
    lines.push(summary.to_string());
    lines.join("\n") + "\n"
}

fn codex(planter: &mut Planter) -> String {
    let mut rows = vec![(
        "session_meta",
        json!({ "id": CODEX, "timestamp": "2026-05-01T10:00:00.000Z", "cwd": "/w", "source": "cli" }),
    )];
    let text = planter.text("Please look at this too.");
    let content = |kind: &str, text: &str| json!([{ "type": kind, "text": text }]);
    rows.push(("response_item", json!({ "type": "message", "role": "user", "content": content("input_text", &text) })));
    rows.push(("event_msg", json!({ "type": "user_message", "message": text, "images": [] })));
    rows.push((
        "response_item",
        json!({ "type": "message", "role": "assistant", "content": content("output_text", &planter.text("I did.")) }),
    ));
    let arguments = json!({ "cmd": planter.text("cat <<EOF") }).to_string();
    rows.push((
        "response_item",
        json!({ "type": "function_call", "name": "exec_command", "call_id": "c1", "arguments": arguments }),
    ));
    let output = format!(
        "Chunk ID: 1a2b3c\nWall time: 0.1 seconds\nProcess exited with code 0\nOriginal token count: 4\nOutput:\n{}",
        planter.text("x")
    );
    rows.push(("response_item", json!({ "type": "function_call_output", "call_id": "c1", "output": output })));
    let patch = format!("*** Begin Patch\n*** Update File: /home/pdoe/a.rs\n+{}\n*** End Patch", planter.text("x"));
    rows.push((
        "response_item",
        json!({ "type": "custom_tool_call", "name": "apply_patch", "call_id": "c2", "input": patch }),
    ));
    rows.push(("compacted", json!({ "message": planter.text("Summary of what happened.") })));
    let lines = rows.iter().enumerate().map(|(second, (kind, payload))| {
        json!({ "timestamp": format!("2026-05-01T10:00:{second:02}.000Z"), "type": kind, "payload": payload })
            .to_string()
            + "\n"
    });
    lines.collect()
}

/// A project whose rater is shown everything, and the secrets in it.
fn planted() -> (Context, Vec<String>) {
    let context = Context::with_sessions(0, 0);
    let whole = r#"+++
task = "whole"
title = "Whole"
unit = "session"
sees = { tool_calls = "full", tool_results = "full", max_tokens = 900000 }

[[field]]
name = "evidence"
type = "evidence"
+++
{% block system %}{{ session.models }} {{ session.commits }} {{ session.top_tools }}{% endblock %}
{% block material %}{{ material.open }}
{{ material.text }}
{{ material.close }}{% endblock %}
"#;
    context.write("prompts/whole.md", whole);
    let mut planter = Planter::default();
    context.write("sessions/claude.jsonl", &claude(&mut planter));
    context.write("sessions/codex.jsonl", &codex(&mut planter));
    (context, planter.secrets)
}

/// Every request as one text, with the escapes of JSON and without.
fn wire(fake: &Fake) -> String {
    fake.seen().iter().map(|seen| format!("{}\n{}\n", seen.asked.body, seen.asked.prompt)).collect()
}

/// The first secret of each text that holds one of every kind.
fn first_ones(secrets: &[String]) -> impl Iterator<Item = &String> {
    secrets.iter().filter(|secret| secret.starts_with("sk-p"))
}

fn assert_none(secrets: &[String], text: &str) {
    let left: Vec<&String> = secrets.iter().filter(|secret| text.contains(secret.as_str())).collect();
    let around = left.first().and_then(|secret| text.lines().find(|line| line.contains(secret.as_str())));
    assert!(left.is_empty(), "{left:?}: {around:?}");
}

fn cite(asked: &Asked, schema: &Value) -> Value {
    if schema["properties"]["label"].is_object() {
        return json!({ "reason": "", "label": "calm" });
    }
    // The first address that the model was shown, quoted.
    let line =
        asked.prompt.lines().find(|line| line.contains("email") || line.contains("corp.dev")).unwrap_or_default();
    let quote = line.trim().trim_start_matches(">>> ").to_owned();
    let event = 1;
    json!({ "evidence": [{ "event": event, "quote": quote }] })
}

fn annotate(context: &Context, fake: &Fake, more: &[&str]) -> Ended {
    context.annotate(fake, &[&["whole"], more].concat())
}

#[test]
fn no_secret_of_any_kind_in_any_place_reaches_the_wire_or_a_row() {
    let (context, secrets) = planted();
    let fake = Fake::plan(|_| crate::fake::Reply::Answer).answer(cite).start();
    let ended = annotate(&context, &fake, &["mood", "--redact"]).with(0);
    let wire = wire(&fake);
    assert_none(&secrets, &wire);
    assert!(
        secrets.len() > 400 && fake.seen().len() > 5,
        "{} secrets in {} requests",
        secrets.len(),
        fake.seen().len()
    );
    let files: String = context.files("runs").values().map(|file| String::from_utf8_lossy(file).into_owned()).collect();
    assert_none(&secrets, &files);

    let rows = context.rows("whole");
    assert!(rows.iter().any(|row| row["evidence"][0]["found"] == true), "{rows:?}");
    let manifest = context.manifest("whole");
    assert_eq!(manifest["settings"]["redacted"], true);
    let counts = manifest["totals"]["redactions"].as_object().unwrap();
    for kind in [
        "github_token",
        "private_key",
        "jwt",
        "email",
        "user",
        "url_credentials",
        "password",
        "secret",
        "authorization",
    ] {
        assert!(counts[kind].as_u64().unwrap() >= 10, "{kind}: {counts:?}");
    }
    let note = ended.lines("redacted: ");
    assert!(
        note.len() == 1 && note[0].contains(" GitHub tokens") && note[0].contains(" e-mail addresses"),
        "{}",
        ended.stderr
    );

    // The same again: nothing is asked, and the files stay as they are.
    let (before, asked) = (context.files("runs"), fake.seen().len());
    annotate(&context, &fake, &["mood", "--redact"]).with(0);
    assert_eq!((before == context.files("runs"), fake.seen().len()), (true, asked));
}

#[test]
fn a_model_on_this_machine_is_shown_everything_unless_asked_otherwise() {
    let (context, secrets) = planted();
    for more in [&[][..], &["--no-redact"][..]] {
        let fake = Fake::plan(|_| crate::fake::Reply::Answer).answer(cite).start();
        let ended = annotate(&context, &fake, &[&["--run", &format!("run{}", more.len())], more].concat()).with(0);
        let wire = wire(&fake);
        // Of every place at least the beginning is shown.
        let gone: Vec<&String> = first_ones(&secrets).filter(|secret| !wire.contains(secret.as_str())).collect();
        assert!(gone.is_empty(), "{gone:?}");
        assert!(ended.lines("redacted").is_empty() && ended.lines("warning").is_empty(), "{}", ended.stderr);
        let _ = fs::remove_dir_all(context.path().join(".interrater"));
    }
    context.write("config.toml", "[input]\nsessions = [\"sessions\"]\n[annotate]\nredact = true\n");
    let fake = Fake::plan(|_| crate::fake::Reply::Answer).answer(cite).start();
    annotate(&context, &fake, &["--run", "configured"]).with(0);
    assert_none(&secrets, &wire(&fake));
    let fake = Fake::plan(|_| crate::fake::Reply::Answer).answer(cite).start();
    annotate(&context, &fake, &["--run", "flagged", "--no-redact"]).with(0);
    let wire = wire(&fake);
    assert!(first_ones(&secrets).all(|secret| wire.contains(secret.as_str())));
}

#[test]
fn what_is_shown_beforehand_is_what_would_be_sent() {
    let (context, secrets) = planted();
    let context = context.set("OPENAI_API_KEY", "unused");
    let unit = format!("claude_code:{CLAUDE}");
    let show = ["sessions", "--show", &unit, "--task", "whole"];
    let plain = context.run(&show).with(0);
    assert!(secrets.iter().any(|secret| plain.stdout.contains(secret.as_str())));
    let redacted = context.run(&[&show[..], &["--redact"]].concat()).with(0);
    assert_none(&secrets, &redacted.stdout);
    assert!(redacted.stderr.contains("redacted in the session: "), "{}", redacted.stderr);
    // Official endpoints are not on this machine. A dry run asks nobody.
    let dry = ["annotate", "whole", "--model", "openai/some-model", "--dry-run"];
    let remote = context.run(&dry).with(0);
    assert_none(&secrets, &remote.stdout);
    assert_eq!(remote.lines("redacted: ").len(), 1, "{}", remote.stderr);
    assert!(remote.stdout.contains(redacted.stdout.trim()), "the first prompt is the one that is shown");
    let open = context.run(&[&dry[..], &["--no-redact"]].concat()).with(0);
    assert!(secrets.iter().any(|secret| open.stdout.contains(secret.as_str())));
    assert_eq!(open.lines("warning: redaction is off").len(), 1, "{}", open.stderr);
    // With a model elsewhere in the configuration, what is shown is redacted.
    context.write("config.toml", "[input]\nsessions = [\"sessions\"]\n[annotate]\nmodel = \"anthropic/m\"\n");
    assert_eq!(context.run(&show).with(0).stdout, redacted.stdout);
    context.run(&["annotate", "--redact", "--no-redact"]).with(2);
    context.run(&["sessions", "--redact"]).with(2);
}
