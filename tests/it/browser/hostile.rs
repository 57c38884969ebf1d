//! Words that would be markup, scripts, addresses or styles, wherever words come from: in a browser they stay words.

use super::driver::Browser;
use super::{ESCAPE, settled, shown, visit};
use crate::label_client::Server;
use crate::project::{Project, TONE, claude_prompt, codex};
use serde_json::{Value, json};
use std::fmt::Write;
use std::io::ErrorKind;
use std::net::TcpListener;

/// Runs before anything of a page: what the page's policy forbids is noted, and whatever ran.
const WATCH: &str = "window.noticed = [];
    document.addEventListener('securitypolicyviolation', event => noticed.push(`${event.violatedDirective} ${event.blockedURI}`));
    for (const name of ['alert', 'confirm', 'prompt', 'open', 'eval']) window[name] = () => noticed.push(name);";

/// What words must not become on a page of ours.
const INJECTED: &str = "[...document.querySelectorAll('img, iframe, object, embed, base, form[action], video, audio, frame, math, marquee, \
     body script, body style, body link, a[href^=\"javascript\" i], area, meta[http-equiv=refresh], [onerror], [onload], [onclick], [onmouseover], [srcdoc]')]\
     .filter(one => !(one.matches('script:last-of-type') && one.textContent.startsWith('\"use strict\"')))\
     .map(one => one.outerHTML.slice(0, 200))";

/// A machine elsewhere, as it were: whatever asks it for something was made to by hostile words.
struct Elsewhere(TcpListener);

impl Elsewhere {
    fn new() -> Elsewhere {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        listener.set_nonblocking(true).expect("a listener need not wait");
        Elsewhere(listener)
    }

    fn words(&self) -> String {
        let there = format!("http://{}", self.0.local_addr().expect("it has an address"));
        format!(
            "</td></style></script></textarea><script>alert(1)</script><img src={there}/i onerror=alert(2)><svg onload=alert(3)>\
             <link rel=stylesheet href={there}/s><iframe srcdoc='<script>parent.alert(4)</script>'></iframe>\
             <a href='javascript:alert(5)'>go</a><style>@import url({there}/c);</style> javascript:alert(6) \u{202e}desrever\u{202c} \u{2066}x"
        )
    }

    fn was_asked(&self) -> bool {
        !matches!(self.0.accept(), Err(error) if error.kind() == ErrorKind::WouldBlock)
    }
}

/// A Claude Code transcript in which everybody says these words: person, agent, tool, and the tool's input.
fn transcript(session: &str, words: &str) -> String {
    let row = |nth: usize, kind: &str, content: Value| {
        json!({
            "parentUuid": format!("{session}-{}", nth - 1), "isSidechain": false, "userType": "external", "cwd": words, "sessionId": session,
            "version": "2.0.72", "type": kind, "uuid": format!("{session}-{nth}"), "timestamp": format!("2026-05-01T10:{nth:02}:00.000Z"),
            "message": { "id": format!("m{nth}"), "role": kind, "model": words, "content": content },
        })
    };
    let rows = [
        row(2, "assistant", json!([{ "type": "text", "text": words }])),
        row(3, "assistant", json!([{ "type": "tool_use", "id": "t1", "name": words, "input": { "command": words } }])),
        row(
            4,
            "user",
            json!([{ "type": "tool_result", "tool_use_id": "t1", "content": format!("{words}\n").repeat(30) }]),
        ),
    ];
    let rows: String = rows.iter().map(|row| format!("{row}\n")).collect();
    format!("{}\n{rows}{}\n", claude_prompt(session, 1, words), claude_prompt(session, 5, words))
}

fn hostile_project(words: &str) -> Project {
    let project = Project::empty();
    let quoted = json!(words)
        .to_string()
        .replace('\u{202e}', "\\u202e")
        .replace('\u{202c}', "\\u202c")
        .replace('\u{2066}', "\\u2066");
    let codebook = TONE
        .replace("\"Tone\"", &quoted)
        .replace("name = \"curt\"", "name = \"<script>alert(7)</script>\"")
        .replace("\"Curt.\"", &format!("{quoted}\nexamples = [{quoted}]"))
        .replace("type = \"text\"", &format!("type = \"text\"\ndescription = {quoted}"))
        .replace("curt = ", "\"<script>alert(7)</script>\" = ");
    project.write("config.toml", "[input]\nsessions = [\"logs\"]\n").write("prompts/tone.md", codebook);
    project.write("logs/<img src=x onerror=alert(8)>.jsonl", transcript("<b>one", words));
    project.write("logs/'><script>alert(9)<.jsonl", codex("<i>two", &[words, "please go on"]));
    project
}

fn watched(browser: &Browser) {
    browser.command("Page.addScriptToEvaluateOnNewDocument", json!({ "source": WATCH }));
}

fn assert_only_words(browser: &Browser, elsewhere: &Elsewhere, place: &str) {
    assert!(!browser.has_dialog(), "{place}");
    assert_eq!(browser.value("window.noticed"), json!([]), "{place}");
    assert_eq!(browser.value(INJECTED), json!([]), "{place}");
    let foreign = "performance.getEntriesByType('resource').map(one => one.name).filter(name => !name.startsWith(`${location.origin}/assets/`) && !name.startsWith(`${location.origin}/api/`))";
    assert_eq!(browser.value(foreign), json!([]), "{place}");
    assert!(!elsewhere.was_asked(), "{place}");
    assert_eq!(browser.complaints(), Vec::<String>::new(), "{place}");
}

#[test]
fn hostile_words_run_fetch_and_inject_nothing_on_the_pages() {
    let Some(browser) = Browser::start() else { return };
    let elsewhere = Elsewhere::new();
    let words = elsewhere.words();
    let project = hostile_project(&words);
    watched(&browser);
    let server = Server::start(&project, &["tone", "--rater", "<img src=x onerror=alert(10)>"]);
    visit(&browser, &server);
    assert_eq!(browser.value("document.querySelector('#title').textContent"), json!(words));
    let units = server.states().len();
    for at in 1..=units {
        shown(&browser, at);
        // All folds, all three views, the list, the keys.
        browser.press("o");
        for view in ["Exact text", "Transcript", "Material"] {
            browser.press("v");
            browser.wait_for("#views [aria-pressed=true]", view);
            settled(&browser);
            browser.press("o");
        }
        browser.press("n");
        browser.run(&format!("document.querySelector('#note').value = {};", json!(words)));
        browser.press(&format!(" {ESCAPE}?"));
        browser.wait("document.querySelector('#help').open");
        browser.press(ESCAPE);
        browser.wait("!document.querySelector('#help').open");
        browser.press("g");
        browser.wait("document.querySelector('#list').open");
        browser.press(ESCAPE);
        browser.wait("!document.querySelector('#list').open");
        assert_only_words(&browser, &elsewhere, &format!("unit {at}"));
        browser.press("2");
        browser.wait_for("#status", if at == units { "All done" } else { "Saved" });
    }
    let rest = Server::start(&project, &["tone", "--rater", "javascript:alert(11)"]);
    for at in 0..units {
        rest.label(at, "rough", words.trim());
    }
    let judge = Server::start(&project, &["tone", "--adjudicate", "--rater", "</style><script>alert(12)</script>"]);
    visit(&browser, &judge);
    assert_eq!(
        browser.text(".voice[data-rater^=\"<img\"] .said").trim(),
        browser.value(&format!("{}.trim()", json!(words))).as_str().unwrap()
    );
    browser.press("a");
    shown(&browser, 2);
    assert_only_words(&browser, &elsewhere, "where people decide");
}

#[test]
fn hostile_words_run_fetch_and_inject_nothing_in_a_reports_file() {
    let Some(browser) = Browser::start() else { return };
    let elsewhere = Elsewhere::new();
    let words = elsewhere.words();
    let project = hostile_project(&words);
    let mut gold = csv::Writer::from_writer(vec![]);
    gold.write_record(["unit", "rater", "label", "note"]).unwrap();
    for unit in ["claude_code:<b>one#1", "claude_code:<b>one#2", "codex:<i>two#1", "codex:<i>two#2"] {
        for (rater, label) in [
            ("gold", "<script>alert(7)</script>"),
            ("<img src=x onerror=alert(10)>", "calm"),
            ("javascript:alert(11)", "rough"),
        ] {
            gold.write_record([unit, rater, label, &words]).unwrap();
        }
    }
    project.write("gold/tone.csv", gold.into_inner().unwrap());
    project.ok(&["annotate", "tone", "--quiet", "--run", "one"]);
    let mut rows = String::new();
    for mut row in project.rows("runs/one/annotations.jsonl") {
        row["fields"]["reason"] = json!(words);
        writeln!(rows, "{row}").unwrap();
    }
    project.write("runs/one/annotations.jsonl", rows);
    project.ok(&["report", "--replicates", "200", "--quiet"]);
    watched(&browser);
    browser.open(&format!("file://{}", project.path("report.html").display()));
    browser.wait("document.querySelector('.browser .controls:not([hidden])')");
    browser.run("document.querySelectorAll('details').forEach(one => (one.open = true));");
    assert!(browser.text("body").contains("<img src=x onerror=alert(10)>"));
    assert!(browser.text(".case").contains("javascript:alert(6)"));
    browser.press(&format!("{0}{0}{0}", super::TAB));
    assert_only_words(&browser, &elsewhere, "the report");
}
