//! How long a person waits from the key that labels a unit to the next unit on the screen, with thousands of units and a long session.

use super::driver::Browser;
use super::{settled, shown, visit};
use crate::label_client::Server;
use crate::project::{Project, TONE, codex};
use serde_json::{Value, json};

/// Notes the milliseconds from each label's key to the first frame in which another unit is shown whole.
const CLOCK: &str = "window.paces = [];
    let pressed = null, before = null;
    const name = document.querySelector('#unit-name');
    addEventListener('keydown', () => { pressed = performance.now(); before = name.textContent; }, true);
    const look = () => {
      if (pressed !== null && name.textContent !== before && !document.querySelector('#material-body').hasAttribute('aria-busy')) {
        paces.push(performance.now() - pressed);
        pressed = null;
      }
      requestAnimationFrame(look);
    };
    look();";

/// Labelled in each of the two: a long session, and many short ones.
const STEPS: usize = 20;

#[test]
fn the_next_unit_is_there_soon_in_five_thousand_units_and_a_session_of_twenty_megabytes() {
    let Some(browser) = Browser::start() else { return };
    let project = Project::empty();
    project.write("config.toml", "[input]\nsessions = [\"logs\"]\n");
    project.write("prompts/tone.md", TONE.replace("max_tokens = 2000", "max_tokens = 24000"));
    let prompts: Vec<String> = (0..500).map(|nth| format!("prompt {nth}, please go on with this one")).collect();
    let reply = "It does what was asked for, and here is why it does so, at some length. ".repeat(560);
    let long: String = codex("long", &prompts).lines().map(|line| line.replace("reply ", &reply) + "\n").collect();
    assert!(long.len() > 19_000_000, "{} bytes", long.len());
    project.write("logs/long.jsonl", &long);
    let mut units: Vec<String> = (400..500).chain(0..400).map(|nth| format!("codex:long#{}\n", nth + 1)).collect();
    for session in 0..45 {
        project.write(&format!("logs/{session}.jsonl"), codex(&format!("s{session}"), &prompts[..100]));
        units.extend((1..=100).map(|nth| format!("codex:s{session}#{nth}\n")));
    }
    assert_eq!(units.len(), 5000);
    project.write("units.txt", units.concat());
    let server = Server::start(&project, &["tone", "--rater", "ada", "--units", "units.txt"]);
    visit(&browser, &server);
    for (name, first) in [("a session of 20 MB", 1), ("sessions of 100 prompts", 2001)] {
        browser.press("g");
        browser.wait("document.querySelector('#list').open");
        browser.press(&format!("{first}{}", super::ENTER));
        shown(&browser, first);
        browser.run(CLOCK);
        for step in 1..=STEPS {
            browser.press("3");
            browser.wait(&format!("paces.length === {step}"));
            shown(&browser, first + step);
        }
        let found = browser.value("paces");
        let mut paces: Vec<f64> = found.as_array().expect("a list").iter().filter_map(Value::as_f64).collect();
        paces.sort_by(f64::total_cmp);
        let [middle, longest] = [paces[paces.len() / 2], paces[paces.len() - 1]];
        println!(
            "5,000 units, {name}: {middle:.0} ms from key to next unit (median of {STEPS}), {longest:.0} ms at most"
        );
        assert!(middle < 2000.0, "{name}: {paces:?}");
        browser.reload();
        settled(&browser);
    }
    assert_eq!(browser.value("document.title.length > 0"), json!(true));
    assert_eq!(browser.complaints(), Vec::<String>::new());
}
