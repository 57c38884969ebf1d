//! How fast the engine asks when only the provider could slow it down, beside a bare client in the same run.
//!
//! `cargo bench --bench engine -- [--units N] [--concurrency N]`. A server of this program's own answers at once on the loopback and shares
//! the cores with what it measures. Figures are of this machine at this moment; the ratios are what to look at.

mod instant;

use instant::Server;
use std::error::Error;
use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

type Outcome<T> = Result<T, Box<dyn Error>>;

/// Prompts in one session.
const PROMPTS: usize = 20;

const CODEBOOK: &str = r#"+++
task = "speed"
title = "A task that is quick to answer"
unit = "prompt"
sees = { before = "recent", tool_results = "head" }

[[field]]
name = "label"
type = "label"
[[field.label]]
name = "yes"
definition = "It is."
[[field.label]]
name = "no"
definition = "It is not."
+++
{% block material %}
{{ material.open }}
{{ material.text|trim }}
{{ material.close }}
{% endblock %}
{% block instructions %}
Label event {{ target.event }}: {% for l in field.label.labels %}{{ l.name }} ({{ l.definition }}) {% endfor %}
{% endblock %}
"#;

fn main() -> Outcome<()> {
    let arguments: Vec<String> = std::env::args().collect();
    let number = |name: &str, default: usize| {
        let at = arguments.iter().position(|argument| argument == name);
        at.and_then(|at| arguments.get(at + 1)?.parse().ok()).unwrap_or(default)
    };
    let (units, concurrency) = (number("--units", 20_000), number("--concurrency", 64));
    let server = Server::start()?;

    let small = project(60)?;
    let before = Instant::now();
    let first = run(small.path(), &server, concurrency, &[])?;
    let until_first = server.first().map(|at| at - before).unwrap_or_default();
    println!(
        "first request {:.0} ms after the start ({} units in {:.2} s)",
        milliseconds(until_first),
        60,
        seconds(first.took)
    );

    let bodies = server.bodies();
    let bare = instant::bare_client(&server, &bodies, units, concurrency)?;
    println!("bare client, {concurrency} at once: {:.0} requests/s", units as f64 / seconds(bare));

    let folder = project(units)?;
    let asked = server.asked();
    let fresh = run(folder.path(), &server, concurrency, &[])?;
    let asked = server.asked() - asked;
    println!(
        "annotate, {units} units: {:.0} a second ({:.2} of the bare client), {:.3} ms of CPU each, peak {:.0} MB, {asked} requests",
        units as f64 / seconds(fresh.took),
        seconds(bare) / seconds(fresh.took),
        milliseconds(fresh.cpu) / units as f64,
        fresh.peak_megabytes,
    );
    let again = run(folder.path(), &server, concurrency, &[])?;
    println!(
        "the same again from the store: {:.2} s, {:.3} ms of CPU each, peak {:.0} MB",
        seconds(again.took),
        milliseconds(again.cpu) / units as f64,
        again.peak_megabytes
    );
    let thousand = run(project(1_000)?.path(), &server, concurrency, &[])?;
    println!("1000 units: peak {:.0} MB", thousand.peak_megabytes);
    Ok(())
}

/// What a run of the program cost.
struct Ran {
    took: Duration,
    /// User and system time, in steps of ten milliseconds, without the very last of them.
    cpu: Duration,
    peak_megabytes: f64,
}

/// Runs `annotate` in `folder` and watches it.
fn run(folder: &Path, server: &Server, concurrency: usize, more: &[&str]) -> Outcome<Ran> {
    let started = Instant::now();
    let mut child = Command::new(env!("CARGO_BIN_EXE_interrater"))
        .current_dir(folder)
        .args(["annotate", "speed", "--model", "openai/instant", "--quiet", "--base-url", &server.base_url()])
        .args(["--concurrency", &concurrency.to_string()])
        .args(more)
        .stdout(Stdio::null())
        .spawn()?;
    let mut ran = Ran { took: Duration::ZERO, cpu: Duration::ZERO, peak_megabytes: 0.0 };
    let status = loop {
        if let Some((cpu, peak)) = instant::usage(child.id()) {
            (ran.cpu, ran.peak_megabytes) = (cpu, peak);
        }
        if let Some(status) = child.try_wait()? {
            break status;
        }
        std::thread::sleep(Duration::from_millis(2));
    };
    ran.took = started.elapsed();
    if !status.success() {
        return Err(format!("annotate ended with {status}").into());
    }
    Ok(ran)
}

/// A project with invented sessions that hold `units` prompts.
fn project(units: usize) -> Outcome<tempfile::TempDir> {
    let folder = tempfile::tempdir()?;
    fs::create_dir_all(folder.path().join("prompts"))?;
    fs::create_dir_all(folder.path().join("sessions"))?;
    fs::write(folder.path().join("prompts/speed.md"), CODEBOOK)?;
    fs::write(folder.path().join("config.toml"), "[input]\nsessions = [\"sessions\"]\n")?;
    for session in 0..units.div_ceil(PROMPTS) {
        let id = format!("{session:08x}-0000-4000-8000-000000000000");
        let mut file = fs::File::create(folder.path().join(format!("sessions/rollout-{id}.jsonl")))?;
        let mut text = format!(
            r#"{{"timestamp":"2026-05-01T10:00:00Z","type":"session_meta","payload":{{"id":"{id}","cwd":"/p","originator":"codex_cli_rs","cli_version":"0.130.0"}}}}"#
        );
        text.push('\n');
        for prompt in 0..PROMPTS.min(units - session * PROMPTS) {
            let words = format!(
                "Please look at part {prompt} of module {session} and tell me whether its tests still pass after the change."
            );
            text.push_str(&format!(
                "{{\"timestamp\":\"2026-05-01T10:{prompt:02}:01Z\",\"type\":\"event_msg\",\"payload\":{{\"type\":\"user_message\",\"message\":\"{words}\"}}}}\n{{\"timestamp\":\"2026-05-01T10:{prompt:02}:30Z\",\"type\":\"event_msg\",\"payload\":{{\"type\":\"agent_message\",\"message\":\"I ran the tests of part {prompt}: 14 passed, none failed. The change is safe to keep.\"}}}}\n"
            ));
        }
        file.write_all(text.as_bytes())?;
    }
    Ok(folder)
}

fn seconds(duration: Duration) -> f64 {
    duration.as_secs_f64()
}

fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}
