//! `report`: one HTML file, and the same as JSON. Held against `agree` and `estimate`, hostile text, and sizes.

use crate::project::{Project, codex, words};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use regex::Regex;
use ring::digest::{SHA256, digest};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::PathBuf;
use std::sync::LazyLock;
use std::time::Instant;

/// What text must not do anywhere: each of these would end an element, an attribute, a script or a style, or begin one.
const HOSTILE: &str = "</td></script></style></title><script>alert(1)</script><img src=x onerror=alert(2)>\"' onload='alert(3)' &lt;b&gt; --> ]]> {{ 7*7 }}";

/// What `right` says of prompt `nth` of session `session`, with a few errors of each rater.
fn says(rater: &str, session: usize, nth: usize) -> &'static str {
    let right = match words(session, nth) {
        "stop that" => "rough",
        "do it now" => "curt",
        _ => "calm",
    };
    let at = session * 4 + nth;
    match rater {
        "a" if at.is_multiple_of(9) => "curt",
        "b" if at.is_multiple_of(7) => "calm",
        "gold" if at % 10 == 4 => "curt",
        _ => right,
    }
}

/// Two runs of each task, gold with splits and probabilities, two humans.
pub fn labelled() -> Project {
    static MADE: LazyLock<BTreeMap<PathBuf, Vec<u8>>> = LazyLock::new(|| make().files(""));
    Project::holding(&MADE)
}

fn make() -> Project {
    let project = Project::new();
    let mut gold = "unit,rater,label,split,probability,note\n".to_owned();
    for (session, nth) in (0..8).flat_map(|session| (1..=4).map(move |nth| (session, nth))) {
        for rater in ["gold", "a", "b"] {
            let split = if session < 5 { "dev" } else { "test" };
            let probability = if rater == "gold" { "0.8" } else { "" };
            let label = says(rater, session, nth);
            writeln!(
                gold,
                "codex:s{session}#{nth},{rater},{label},{split},{probability},note of {rater} on {session}-{nth}"
            )
            .expect("a string takes it");
        }
    }
    project.write("gold/tone.csv", gold);
    let mut gold = "unit,rater,score,phases\n".to_owned();
    for session in 0..10 {
        for (rater, off) in [("gold", 0), ("a", 5), ("b", 9)] {
            let (score, reading) = (30 + session * 3 + off, (session * 7 + off) % 60);
            writeln!(gold, "codex:s{session},{rater},{score},reading={reading};writing={}", 100 - reading)
                .expect("a string takes it");
        }
    }
    project.write("gold/effort.csv", gold);
    project.ok(&["annotate", "--quiet"]);
    project.ok(&["annotate", "--quiet", "--model", "baseline/majority"]);
    project
}

fn report(project: &Project, more: &[&str]) -> String {
    project.ok(&[&["report", "--replicates", "200", "--quiet"], more].concat());
    project.read("report.html")
}

fn document(project: &Project, more: &[&str]) -> Value {
    project.json(&[&["report", "--replicates", "200"], more].concat())
}

fn task<'d>(document: &'d Value, name: &str) -> &'d Value {
    let tasks = document["tasks"].as_array().expect("there are tasks");
    tasks.iter().find(|task| task["task"] == name).unwrap_or_else(|| panic!("no task {name}"))
}

/// Tags in order: the name, with `/` before it at an end. Fails on what is no tag.
fn tags(html: &str) -> Vec<String> {
    let own = Regex::new(r"(?s)(<style>).*?(</style>)|(<script>).*?(</script>)").expect("a valid pattern");
    let without = own.replace_all(html, "$1$2$3$4");
    let tag = Regex::new(r#"^<(/?[a-zA-Z][a-zA-Z0-9]*|!doctype html)((?: [a-zA-Z0-9-]+="[^"<>]*")*)>"#)
        .expect("a valid pattern");
    let mut found = vec![];
    let mut rest = without.as_ref();
    while let Some(at) = rest.find('<') {
        rest = &rest[at..];
        let parts =
            tag.captures(rest).unwrap_or_else(|| panic!("no tag: {}", rest.chars().take(80).collect::<String>()));
        for attribute in parts[2].split("=\"").filter_map(|before| before.rsplit(' ').next()) {
            assert!(
                !attribute.to_lowercase().starts_with("on") && attribute != "style" && attribute != "src",
                "{attribute}"
            );
        }
        found.push(parts[1].to_owned());
        rest = &rest[parts[0].len()..];
    }
    found
}

/// That every element that is opened is closed, in order.
fn assert_nested(html: &str) {
    let mut open: Vec<String> = vec![];
    for tag in tags(html) {
        match tag.strip_prefix('/') {
            Some(name) => assert_eq!(open.pop().as_deref(), Some(name)),
            None if ["!doctype html", "meta", "br", "input", "link", "col"].contains(&tag.as_str()) => {}
            None => open.push(tag),
        }
    }
    assert!(open.is_empty(), "{open:?}");
}

fn between<'t>(text: &'t str, start: &str, end: &str) -> &'t str {
    let from = text.find(start).unwrap_or_else(|| panic!("no {start}")) + start.len();
    &text[from..from + text[from..].find(end).unwrap_or_else(|| panic!("no {end}"))]
}

#[test]
fn a_report_of_all_runs_is_one_file_with_every_section() {
    let project = labelled();
    let told = project.ok(&["report", "--replicates", "200"]).out;
    let size = std::fs::metadata(project.path("report.html")).unwrap().len() as f64 / 1e6;
    assert_eq!(told, format!("wrote report.html ({size:.1} MB): 2 tasks, 4 runs\n"));
    let html = project.read("report.html");
    assert!(html.starts_with("<!doctype html>\n<html lang=\"en\">"));
    assert_nested(&html);
    for section in [
        "Overview",
        "Answers",
        "Agreement",
        "Confusions",
        "Scores",
        "States, coverage, cost",
        "Disagreements",
        "Where it comes from",
    ] {
        assert!(Regex::new(&format!("<h[23]>{section}</h[23]>")).unwrap().is_match(&html), "{section}");
    }
    // Every chart says what it is, and its numbers stand beside it.
    let charts = html.matches("<svg ").count();
    assert!(charts >= 15, "{charts}");
    assert_eq!(html.matches("role=\"img\"").count(), charts);
    assert_eq!(html.matches("<desc ").count(), charts);
    assert_eq!(html.matches("<figure>").count(), html.matches("<summary>Numbers</summary>").count());
    // Headings go down one step at a time, and ids are used once.
    let levels: Vec<u32> =
        tags(&html).iter().filter_map(|tag| tag.strip_prefix('h').and_then(|level| level.parse().ok())).collect();
    assert_eq!(levels[0], 1);
    assert!(levels.windows(2).all(|pair| pair[1] <= pair[0] + 1), "{levels:?}");
    let ids: Vec<&str> = Regex::new(r#" id="([^"]*)""#)
        .unwrap()
        .captures_iter(&html)
        .map(|found| found.get(1).unwrap().as_str())
        .collect();
    let distinct: std::collections::BTreeSet<&&str> = ids.iter().collect();
    assert_eq!(distinct.len(), ids.len(), "an id is used twice");
    for link in Regex::new(r##"href="#([^"]*)""##).unwrap().captures_iter(&html) {
        assert!(ids.contains(&&link[1]), "{} leads nowhere", &link[1]);
    }
}

#[test]
fn the_numbers_are_those_of_agree_and_estimate() {
    let project = labelled();
    let found = document(&project, &[]);
    for name in ["tone", "effort"] {
        let agree = project.json(&["agree", "--task", name, "--replicates", "200"]);
        let mut fields = agree["fields"].clone();
        // What is told of single test units is the only difference.
        let test = |unit: &str| ["s5", "s6", "s7"].iter().any(|session| unit.starts_with(&format!("codex:{session}#")));
        for pair in fields.as_array_mut().unwrap().iter_mut().flat_map(|field| field["pairs"].as_array_mut().unwrap()) {
            pair["disagreements"].as_array_mut().unwrap().retain(|one| !test(one["unit"].as_str().unwrap()));
        }
        assert_eq!(task(&found, name)["agreement"], fields, "{name}");
    }
    for estimate in task(&found, "tone")["estimates"].as_array().unwrap() {
        let run = estimate["run"].as_str().unwrap();
        let (mut here, mut there) =
            (estimate["found"].clone(), project.json(&["estimate", run, "--replicates", "200"]));
        // How often the gold was looked at, and whether it holds examples, is told once a task.
        for found in [&mut here, &mut there] {
            let found = found.as_object_mut().unwrap();
            found.retain(|name, _| !["test_opened", "test_shown", "leaks", "notes"].contains(&name.as_str()));
        }
        assert_eq!(here, there, "{run}");
    }
    let effort = &task(&found, "effort")["estimates"][0];
    assert_eq!(effort["found"], Value::Null);
    let reason = "gold/effort.csv does not say how its units were drawn, so nothing can be corrected by it";
    assert_eq!(effort["refused"], reason);
    let html = report(&project, &[]);
    assert!(html.contains(reason), "the page gives the reason");
    // The page has the kappa that the document has, as it is written.
    let kappa = &task(&found, "tone")["agreement"][0]["pairs"][0]["cohen_kappa"];
    let short = |value: &Value| format!("{:.2}", value.as_f64().unwrap().min(1.0)).trim_start_matches('0').to_owned();
    let shown = format!("{} [{}, {}]", short(&kappa["value"]), short(&kappa["low"]), short(&kappa["high"]));
    assert!(html.contains(&shown), "{shown}");
    // Corrected shares stand beside the raw ones.
    let row = &task(&found, "tone")["runs"][0]["answers"][0]["rows"][0];
    assert!(row["raw"]["low"].is_number() && row["corrected"]["low"].is_number(), "{row}");
}

#[test]
fn results_of_single_test_units_are_told_only_when_asked_for() {
    let project = labelled();
    // Prompt 4 of session 5 is where the gold is `curt` and nobody else says so.
    let sealed = "codex:s6#";
    let html = report(&project, &[]);
    assert!(!html.contains(sealed) && !document(&project, &[]).to_string().contains(sealed));
    assert!(html.contains("of the test split not told"));
    let html = report(&project, &["--show-test"]);
    assert!(html.contains(sealed) && document(&project, &["--show-test"]).to_string().contains(sealed));
    let dev = document(&project, &["--split", "dev", "--task", "tone"]);
    assert_eq!((&dev["split"], &task(&dev, "tone")["agreement"][0]["items"]), (&json!("dev"), &json!(20)));
    assert_eq!(dev["tasks"].as_array().unwrap().len(), 1);
}

#[test]
fn disagreements_have_words_answers_and_reasons() {
    let project = labelled();
    let found = document(&project, &["--task", "tone"]);
    let disagreements = &task(&found, "tone")["disagreements"];
    let shown = disagreements["shown"].as_array().unwrap();
    assert_eq!(disagreements["all"], json!(shown.len()), "they are few enough to be shown all");
    for case in shown {
        let unit = case["unit"].as_str().unwrap();
        let (session, nth) = unit.strip_prefix("codex:s").and_then(|rest| rest.split_once('#')).unwrap();
        let said = words(session.parse().unwrap(), nth.parse().unwrap());
        let parts = case["excerpt"]["parts"].as_array().unwrap();
        let target = parts.iter().find(|part| part["is_target"] == true).unwrap();
        assert_eq!((&target["who"], &target["text"]), (&json!("person"), &json!(said)), "{unit}");
        let answers = case["answers"].as_array().unwrap();
        assert!(answers.iter().any(|answer| answer["differs"] == true), "{unit}");
        assert!(
            answers.iter().any(|answer| answer["note"] == json!(format!("note of a on {session}-{nth}"))),
            "{unit}"
        );
    }
    // Of a session its first and last prompts, and what the agent said last.
    let effort = document(&project, &["--task", "effort"]);
    let case = &task(&effort, "effort")["disagreements"]["shown"][0];
    let unit = case["unit"].as_str().unwrap();
    let session: usize = unit.strip_prefix("codex:s").unwrap().parse().unwrap();
    let said: Vec<&str> = (case["excerpt"]["parts"].as_array().unwrap().iter())
        .filter(|part| part["who"] == "person")
        .map(|part| part["text"].as_str().unwrap())
        .collect();
    assert_eq!(said, [words(session, 1), words(session, 4)]);
    // A cap is told, and what is left out is in the document all the same.
    let few = document(&project, &["--task", "tone", "--disagreements", "2"]);
    assert_eq!(task(&few, "tone")["disagreements"]["shown"].as_array().unwrap().len(), 2);
    assert_eq!(task(&few, "tone")["agreement"], task(&found, "tone")["agreement"]);
    let html = report(&project, &["--task", "tone", "--disagreements", "2"]);
    assert!(html.contains(&format!("2 of {} units on which someone differs", shown.len())), "the cap is told");
    assert_eq!(html.matches("<article class=\"case\"").count(), 2);
}

#[test]
fn transcripts_that_are_gone_are_said_to_be_gone() {
    let project = labelled();
    std::fs::remove_dir_all(project.path("logs")).unwrap();
    let html = report(&project, &[]);
    assert!(
        html.contains("the transcripts of these runs are not here") && html.contains("The transcript is not here.")
    );
    assert!(html.contains("note of a on"), "what raters say is there all the same");
}

#[test]
fn the_policy_allows_the_pages_own_style_and_script_and_nothing_else() {
    let html = report(&labelled(), &[]);
    let policy = between(&html, "http-equiv=\"Content-Security-Policy\" content=\"", "\"").replace("&#39;", "'");
    let hash = |text: &str| format!("'sha256-{}'", BASE64_STANDARD.encode(digest(&SHA256, text.as_bytes())));
    let style = hash(between(&html, "<style>", "</style>"));
    let script = hash(between(&html, "<script>", "</script>"));
    assert_eq!(
        policy,
        format!("default-src 'none'; style-src {style}; script-src {script}; base-uri 'none'; form-action 'none'")
    );
    assert_eq!((html.matches("<script").count(), html.matches("<style").count()), (1, 1));
    // The policy stands before anything that it is about.
    assert!(html.find("Content-Security-Policy") < html.find("<style>"));
    for scheme in ["http:", "https:", "url(", "@import", "data:", "//"] {
        let style = between(&html, "<style>", "</style>");
        assert!(!style.contains(scheme), "{scheme} in the style sheet");
    }
    let attribute = Regex::new(r#" (?:href|src|action|data|poster|srcset|formaction)="([^"]*)""#).unwrap();
    assert!(attribute.captures_iter(&html).all(|found| found[1].starts_with('#')), "something is fetched");
}

#[test]
fn hostile_text_stays_text_wherever_it_comes_from() {
    let project = Project::empty();
    let secret = "AKIAIOSFODNN7EXAMPLE";
    project.write("config.toml", "[input]\nsessions = [\"logs\"]\n");
    let label = "<script>x</script>";
    let definition = HOSTILE.replace(['\'', '"'], "");
    let codebook = crate::project::TONE
        .replace("\"Tone\"", &format!("'{definition}'"))
        .replace("name = \"curt\"", &format!("name = \"{label}\""))
        .replace("\"Curt.\"", &format!("'{definition}'"))
        .replace("curt = ", &format!("\"{label}\" = "));
    project.write("prompts/tone.md", codebook);
    let rater = "\"<img src=x onerror=alert(4)>\"";
    let note = format!("\"{} {secret}\"", HOSTILE.replace('"', "\"\""));
    let mut gold = "unit,rater,label,note\n".to_owned();
    for session in 0..6 {
        let prompts: Vec<String> = (1..=3).map(|nth| format!("stop {nth} {HOSTILE} key {secret}")).collect();
        project.write(&format!("logs/{session} <svg onload=alert(5)>.jsonl"), codex(&format!("s{session}"), &prompts));
        for nth in 1..=3 {
            let wrong = if nth == 1 { "calm" } else { label };
            writeln!(gold, "codex:s{session}#{nth},gold,{wrong},{note}").unwrap();
            writeln!(gold, "codex:s{session}#{nth},{rater},{wrong},{note}").unwrap();
            writeln!(gold, "codex:s{session}#{nth},b,rough,{note}").unwrap();
        }
    }
    project.write("gold/tone.csv", gold);
    project.ok(&["annotate", "tone", "--quiet", "--run", "one"]);
    project.ok(&["annotate", "tone", "--quiet", "--model", "baseline/majority", "--run", "two"]);
    // A model's own words and a server's, as they come.
    let path = "runs/one/annotations.jsonl";
    let rows: String = (project.read(path).lines().enumerate())
        .map(|(at, line)| {
            let mut row: Value = serde_json::from_str(line).unwrap();
            row["fields"]["reason"] = json!(format!("{HOSTILE} {secret}"));
            row["evidence"] = json!([{ "event": 1, "quote": HOSTILE, "found": false }]);
            if at % 5 == 4 {
                (row["status"], row["detail"]) = (json!("failed"), json!(HOSTILE));
            }
            format!("{row}\n")
        })
        .collect();
    project.write(path, rows);
    let path = "runs/one/manifest.json";
    let mut manifest: Value = serde_json::from_str(&project.read(path)).unwrap();
    manifest["notes"] = json!([HOSTILE]);
    manifest["endpoint"] = json!(HOSTILE);
    manifest["settings"]["where"] = json!(HOSTILE);
    manifest["model"] = json!(HOSTILE);
    project.write(path, manifest.to_string());
    let html = report(&project, &[]);
    assert_nested(&html);
    let known = tags(&html);
    assert!(!known.iter().any(|tag| ["img", "iframe", "object", "base"].contains(&tag.as_str())));
    assert_eq!((html.matches("<script").count(), html.matches("</script").count()), (1, 1));
    assert!(html.contains("&lt;img src=x onerror=alert(4)&gt;"), "the rater's name is shown as it is");
    assert!(html.contains("&lt;svg onload=alert(5)&gt;"), "and the file's");
    assert!(html.contains("{{ 7*7 }}"), "no template is made of it");
    assert!(!html.contains(secret), "secrets are taken out of prompts, reasons and notes");
    assert!(!document(&project, &[])["tasks"].to_string().contains(secret));
}

#[test]
fn a_second_report_is_the_same_and_the_ledger_knows_of_one_look() {
    let project = labelled();
    let first = report(&project, &["--seed", "5"]);
    let lines = || -> i64 {
        let store = rusqlite::Connection::open(project.path(".interrater/store.db")).unwrap();
        store.query_row("select count(*) from evaluation", [], |row| row.get(0)).unwrap()
    };
    let looks = lines();
    assert_eq!(report(&project, &["--seed", "5"]), first);
    assert_eq!(lines(), looks, "the same figures again are no further look");
    assert!(first.contains("test opened 1 time for this task"));
    let told = project.ok(&["report", "--replicates", "201", "--split", "test"]).err;
    assert!(lines() > looks, "another part of the gold is one");
    assert_eq!(told, "note: effort left out: its gold has no units in split test\n");
    let named = project.refused(&["report", "--split", "dev", "--task", "effort"]);
    assert!(named.starts_with("error: the gold of `effort` has no units in split `dev`"), "{named}");
}

#[test]
fn versions_of_a_codebook_are_told_apart_in_the_history() {
    let project = labelled();
    let book =
        project.read("prompts/tone.md").replace("definition = \"Calm.\"", "definition = \"Calm, or nothing at all.\"");
    project.write("prompts/tone.md", book);
    project.ok(&["annotate", "tone", "--quiet"]);
    let found = document(&project, &["--task", "tone"]);
    let history = &task(&found, "tone")["versions"][0];
    assert_eq!((&history["field"], history["versions"].as_array().unwrap().len()), (&json!("label"), 2));
    let cues = history["series"].as_array().unwrap().iter().find(|one| one["model"] == "baseline/cues").unwrap();
    assert_eq!(cues["figures"].as_array().unwrap().len(), 2);
    assert_eq!(task(&found, "tone")["runs"].as_array().unwrap().len(), 3);
    assert!(report(&project, &["--task", "tone"]).contains("over versions of the codebook</title>"));
    // A label that is gone: older runs cannot be compared any more, and it is said.
    let book = project.read("prompts/tone.md").replace("\"curt\"", "\"brisk\"").replace("curt =", "brisk =");
    project.write("prompts/tone.md", book);
    project.write("gold/tone.csv", project.read("gold/tone.csv").replace(",curt,", ",brisk,"));
    project.ok(&["annotate", "tone", "--quiet"]);
    let found = document(&project, &["--task", "tone"]);
    assert_eq!(task(&found, "tone")["runs"].as_array().unwrap().len(), 1);
    let warnings = task(&found, "tone")["warnings"].as_array().unwrap();
    assert_eq!(warnings.iter().filter(|warning| warning.as_str().unwrap().contains("left out")).count(), 3);
    assert!(warnings[0].as_str().unwrap().contains("left out: made with another version of the codebook"));
}

#[test]
fn samples_have_a_reliability_diagram() {
    let project = labelled();
    project.ok(&["annotate", "tone", "--quiet", "--samples", "3", "--run", "thrice"]);
    let found = document(&project, &["thrice"]);
    let field = &task(&found, "tone")["agreement"][0];
    let plot = &field["calibration"][0];
    assert_eq!((&plot["source"], &plot["items"]), (&json!("vote_share"), &json!(32)));
    assert_eq!(field["self_consistency"][0]["samples"], 3);
    assert_eq!(plot["reliability"].as_array().unwrap().len(), 1, "samples of a baseline are all alike");
    assert!(report(&project, &["thrice"]).contains("<h3>Confidence</h3>"));
}

#[test]
fn what_cannot_be_reported_is_said() {
    let project = Project::new();
    insta::assert_snapshot!(project.refused(&["report"]), @"
    error: there are no runs in runs to report on
    hint: `interrater annotate` makes some; --task TASK reports on a task's gold alone
    ");
    project.ok(&["annotate", "tone", "--quiet"]);
    let run = project.run_name("tone-");
    insta::assert_snapshot!(project.refused(&["report", &run, &run]).replace(&run, "[RUN]"), @"
    error: run `[RUN]` is named twice
    hint: name two runs or more, each once
    ");
    let nowhere = project.refused(&["report", "--replicates", "200", "--out", "no/such/folder/report.html"]);
    assert!(nowhere.starts_with("error: cannot write no/such/folder/report.html"), "{nowhere}");
    // Without gold there is a report all the same.
    assert!(report(&project, &[]).contains("There is no gold"));
}

/// Runs of many units, of labels and of scores: the page stays small and is made in little time.
#[test]
fn ten_thousand_units_fit_into_five_megabytes() {
    let project = labelled();
    let labels = ["rough", "curt", "calm"];
    let fields = |at: usize, task: &str| match task {
        "tone" => json!({ "reason": "Words of a model about a prompt. ".repeat(30), "label": labels[at % 3] }),
        _ => json!({ "score": at * 37 % 101, "phases": { "reading": at * 53 % 101, "writing": 100 - at * 53 % 101 } }),
    };
    let mut runs = vec![];
    // Rank correlations of many scores take their time without optimization.
    for (task, units) in [("tone", 10_000), ("effort", 2_000)] {
        let run = project.run_name(&format!("{task}-baseline-cues"));
        let path = format!("runs/{run}/annotations.jsonl");
        let row: Value = serde_json::from_str(project.read(&path).lines().next().unwrap()).unwrap();
        let unit = |at: usize| match task {
            "tone" => (format!("codex:many-{}#{}", at / 10, at % 10 + 1), format!("codex:many-{}", at / 10)),
            _ => (format!("codex:many-{at}"), format!("codex:many-{at}")),
        };
        let mut rows = String::new();
        for at in 0..units {
            let mut row = row.clone();
            let (unit, session) = unit(at);
            (row["unit"], row["session"], row["fields"]) = (json!(unit), json!(session), fields(at, task));
            writeln!(rows, "{row}").unwrap();
        }
        project.write(&path, rows);
        runs.push(run);
    }
    let (mut tone, mut effort) = ("unit,rater,label\n".to_owned(), "unit,rater,score,phases,session\n".to_owned());
    for (nth, rater) in ["gold", "a", "b"].iter().enumerate() {
        for at in 0..10_000 {
            let label = labels[(at + usize::from(at % 4 == 0)) % 3];
            writeln!(tone, "codex:many-{}#{},{rater},{label}", at / 10, at % 10 + 1).unwrap();
        }
        for at in 0..2_000 {
            let (score, reading) = ((at * 37 + nth + at % 23) % 101, (at * 53 + nth * 7 + at % 19) % 101);
            let phases = format!("reading={reading};writing={}", 100 - reading);
            writeln!(effort, "codex:many-{at},{rater},{score},{phases},group-{}", at / 20).unwrap();
        }
    }
    project.write("gold/tone.csv", tone).write("gold/effort.csv", effort);
    let begun = Instant::now();
    let html = report(&project, &[runs[0].as_str(), runs[1].as_str()]);
    let page = begun.elapsed().as_secs_f64();
    assert!(html.len() < 5_000_000, "{} bytes", html.len());
    assert!(Regex::new(r"\b\d+ of 2500 units on which someone differs").unwrap().is_match(&html));
    let found = document(&project, &[&runs[0]]);
    let all = task(&found, "tone")["agreement"][0]["pairs"][0]["disagreements"].as_array().unwrap().len();
    assert_eq!(all, 2500, "the document has the rest");
    println!("{} bytes, the page in {page:.1} s", html.len());
    crate::browser::report::opens(&project.path("report.html"));
}
