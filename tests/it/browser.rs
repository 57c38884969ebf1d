//! The pages in a real browser: what a person at a keyboard does, sees and relies on. Each test has a browser, a server and a project of its own.
//!
//! They need `chromium` and `chromedriver` on the search path, and say that they skipped where these are not.

mod access;
mod deciding;
mod driver;
mod hostile;
mod labelling;
mod pace;
mod pictures;
pub mod report;

use crate::label_client::Server;
use crate::project::Project;
use driver::Browser;
use std::collections::BTreeMap;

/// Keys that have no letter, as WebDriver names them.
const ENTER: &str = "\u{E007}";
const ESCAPE: &str = "\u{E00C}";
const TAB: &str = "\u{E004}";

/// A codebook of sessions with a field of every type.
const EVERY: &str = r#"+++
task = "every"
title = "Every type of field"
unit = "session"
sees = { max_tokens = 4000 }

[[field]]
name = "proof"
type = "evidence"
description = "What shows it."
[[field]]
name = "reason"
type = "text"
[[field]]
name = "label"
type = "label"
[[field.label]]
name = "done"
definition = "All that was asked for is there."
examples = ["the build is green"]
[[field.label]]
name = "half_done"
definition = "Something is missing."
[[field]]
name = "topics"
type = "labels"
[[field.label]]
name = "screens"
definition = "What people see."
[[field.label]]
name = "tables"
definition = "What is stored."
[[field]]
name = "score"
type = "score"
min = 0
max = 100
[[field.band]]
from = 0
to = 49
definition = "Little."
[[field.band]]
from = 50
to = 100
definition = "Much."
[[field]]
name = "hours"
type = "number"
optional = true
[[field]]
name = "urgent"
type = "flag"
[[field]]
name = "phases"
type = "shares"
[[field.part]]
name = "reading"
definition = "Reading."
[[field.part]]
name = "writing"
definition = "Writing."
[[field.part]]
name = "checking"
definition = "Checking."
[[field]]
name = "checks"
type = "criteria"
[[field.criterion]]
name = "tests_run"
definition = "Tests were run."
[[field.criterion]]
name = "committed"
definition = "The work was committed."
+++
{% block material %}{{ material.open }}
{{ material.text }}{{ material.close }}{% endblock %}
{% block instructions %}Judge the session.{% endblock %}
"#;

/// The sessions of [`Project::new`], and a third codebook with every type of field.
fn project() -> Project {
    let project = Project::new();
    project.write("prompts/every.md", EVERY);
    project
}

/// Opens a server's page, and waits for its first unit.
fn visit(browser: &Browser, server: &Server) {
    browser.open(&format!("http://{}{}", server.host, server.path));
    browser.wait("location.pathname === '/' && !!document.body.dataset.mode");
    settled(browser);
}

/// Waits until a unit is shown, whole.
fn settled(browser: &Browser) {
    browser.wait(
        "/^\\d/.test(document.querySelector('#unit-name').textContent) && !!document.querySelector('#save') && !document.querySelector('#material[aria-busy], #material-body[aria-busy], #form[aria-busy]') \
         && document.querySelector('#material-body').childElementCount > 0",
    );
}

/// Waits until the unit at a place, from one, is shown.
fn shown(browser: &Browser, place: usize) {
    browser.wait(&format!("document.querySelector('#unit-name').textContent.startsWith('{place} of ')"));
    settled(browser);
}

/// The rows of a gold file by unit and rater, each with its cells by their columns.
fn gold(project: &Project, task: &str) -> BTreeMap<[String; 2], BTreeMap<String, String>> {
    let text = project.read(&format!("gold/{task}.csv"));
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let header = reader.headers().expect("a header").clone();
    let row = |record: csv::StringRecord| -> BTreeMap<String, String> {
        header.iter().zip(record.iter()).map(|(column, cell)| (column.to_owned(), cell.to_owned())).collect()
    };
    let rows = reader.records().map(|record| row(record.expect("a row")));
    rows.map(|row| ([row["unit"].clone(), row["rater"].clone()], row)).collect()
}

/// What the acts of the journal are, in order.
fn acts(project: &Project, task: &str) -> Vec<String> {
    let journal = project.rows(&format!("gold/{task}.labelling.jsonl"));
    journal.iter().map(|line| line["what"].as_str().expect("an act").to_owned()).collect()
}
