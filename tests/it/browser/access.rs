//! The pages under axe-core, which knows the rules of accessibility: nothing that it calls serious or critical.
//!
//! `INTERRATER_AXE` names the file `axe.min.js` of the npm package `axe-core`; without it these tests say that they skipped.

use super::driver::{Browser, skip};
use super::{ENTER, project, settled, shown, visit};
use crate::label_client::Server;
use crate::report::labelled;
use serde_json::Value;

/// The rules, where they are.
fn axe() -> Option<String> {
    let Some(path) = std::env::var_os("INTERRATER_AXE") else {
        println!("skipped: INTERRATER_AXE does not say where axe.min.js is");
        return None;
    };
    match std::fs::read_to_string(&path) {
        Ok(text) => Some(text),
        Err(error) => {
            skip(&format!("{}: {error}", path.display()));
            None
        }
    }
}

/// Fails with every rule that is broken seriously, and where.
fn assert_accessible(browser: &Browser, axe: &str, place: &str) {
    if browser.value("typeof window.axe") == "undefined" {
        browser.run(&format!("{axe}\n;"));
    }
    let found = browser.run_to_end(
        "const done = arguments[arguments.length - 1];
         axe.run(document, { resultTypes: ['violations'] }).then(
           ({ violations, passes }) => done({ passes: passes.length, violations: violations.map(({ id, impact, help, nodes }) => [impact, id, help, nodes.slice(0, 3).map(node => `${node.target} ${node.failureSummary}`)]) }),
           error => done({ error: String(error) }),
         );",
    );
    let violations = found["violations"].as_array().unwrap_or_else(|| panic!("{place}: {found}"));
    assert!(found["passes"].as_u64() > Some(10), "{place}: hardly a rule was tried: {found}");
    let (serious, other): (Vec<&Value>, Vec<&Value>) =
        violations.iter().partition(|one| matches!(one[0].as_str(), Some("serious" | "critical")));
    other.iter().for_each(|one| println!("{place}: {one}"));
    assert!(serious.is_empty(), "{place}: {serious:#?}");
}

fn both(browser: &Browser, axe: &str, place: &str) {
    for scheme in ["light", "dark"] {
        browser.emulate("screen", scheme);
        assert_accessible(browser, axe, &format!("{place}, {scheme}"));
    }
}

#[test]
fn the_labelling_page_breaks_no_serious_rule_of_accessibility() {
    let Some(axe) = axe() else { return };
    let Some(browser) = Browser::start() else { return };
    let project = project();
    let server = Server::start(&project, &["every", "--rater", "ada"]);
    visit(&browser, &server);
    both(&browser, &axe, "every type of field");
    browser.press(&format!("1345{ENTER}"));
    browser.wait_for("#alert", "missing");
    both(&browser, &axe, "something is missing");
    browser.press(super::ESCAPE);
    browser.run("document.activeElement.blur();");
    browser.press("?");
    browser.wait("document.querySelector('#help').open");
    both(&browser, &axe, "the keys");
    browser.press(super::ESCAPE);
    browser.press("g");
    browser.wait("document.querySelector('#list').open");
    both(&browser, &axe, "the list");
    browser.press(super::ESCAPE);
    for view in ["Exact text", "Transcript"] {
        browser.press("v");
        browser.wait_for("#views [aria-pressed=true]", view);
        settled(&browser);
        both(&browser, &axe, view);
    }
}

#[test]
fn the_page_on_which_people_decide_breaks_no_serious_rule_of_accessibility() {
    let Some(axe) = axe() else { return };
    let Some(browser) = Browser::start() else { return };
    let project = project();
    let mut text = "unit,rater,label,note\n".to_owned();
    for at in 0..12 {
        let unit = format!("codex:s{}#{}", at / 4, at % 4 + 1);
        let bob = if at % 5 == 0 { "rough" } else { "calm" };
        text.push_str(&format!("{unit},ada,calm,a note\n{unit},bob,{bob},another\n"));
    }
    project.write("gold/tone.csv", text);
    project.ok(&["annotate", "tone", "--quiet", "--run", "cues"]);
    let judge = Server::start(&project, &["tone", "--adjudicate", "--run", "cues"]);
    visit(&browser, &judge);
    browser.wait("document.querySelector('#round').open");
    both(&browser, &axe, "the codebook round");
    browser.press(super::ESCAPE);
    browser.wait("!document.querySelector('#round').open");
    shown(&browser, 1);
    browser.press("m");
    browser.wait("document.querySelector('.voice.model')");
    both(&browser, &axe, "answers side by side");
    browser.click("#settle-agreed");
    browser.wait("document.querySelector('#ask').open");
    both(&browser, &axe, "what is written at once");
}

#[test]
fn a_report_breaks_no_serious_rule_of_accessibility() {
    let Some(axe) = axe() else { return };
    let Some(browser) = Browser::start() else { return };
    let project = labelled();
    project.ok(&["report", "--replicates", "200", "--quiet"]);
    browser.open(&format!("file://{}", project.path("report.html").display()));
    browser.wait("document.querySelector('.browser .controls:not([hidden])')");
    both(&browser, &axe, "the report");
}
