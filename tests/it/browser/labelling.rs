//! One person labels: by keys alone, every type of field, and through the death of the server.

use super::driver::Browser;
use super::{ENTER, ESCAPE, TAB, acts, gold, project, settled, shown, visit};
use crate::label_client::Server;
use crate::project::Project;
use serde_json::json;
use std::collections::BTreeMap;

/// The label of each unit that has a row, without the agent's name.
fn labels(project: &Project) -> BTreeMap<String, [String; 2]> {
    let rows = gold(project, "tone").into_iter();
    rows.map(|([unit, rater], row)| {
        assert_eq!(rater, "ada");
        (unit.trim_start_matches("codex:").to_owned(), [row["label"].clone(), row["note"].clone()])
    })
    .collect()
}

#[test]
fn keys_alone_label_note_skip_take_back_and_jump_and_a_reload_goes_on() {
    let Some(browser) = Browser::start() else { return };
    let project = project();
    let server = Server::start(&project, &["tone", "--rater", "ada"]);
    visit(&browser, &server);
    shown(&browser, 1);
    assert_eq!(browser.text("#who"), "labelled by ada");
    assert_eq!(browser.text("#target .words"), "please go on");
    browser.press("1");
    browser.wait_for("#status", "Saved 1.");
    shown(&browser, 2);
    // What the page says to be saved is in the file by then.
    assert_eq!(labels(&project).len(), 1);
    // Letters in a note are letters.
    browser.press("n");
    browser.press("sun 12");
    browser.press(ESCAPE);
    browser.press("3");
    browser.wait_for("#status", "Saved 2.");
    shown(&browser, 3);
    browser.press("s");
    browser.wait_for("#status", "Skipped 3.");
    shown(&browser, 4);
    browser.press("2");
    shown(&browser, 5);
    browser.press("u");
    browser.wait_for("#status", "Taken back: 4.");
    shown(&browser, 4);
    assert_eq!(labels(&project).len(), 2);
    browser.press("1");
    shown(&browser, 5);
    browser.press("g");
    browser.wait("document.querySelector('#list').open && document.activeElement.id === 'list-search'");
    browser.press(&format!("s4#2{ENTER}"));
    shown(&browser, 18);
    browser.press("3");
    shown(&browser, 19);
    browser.press("kk");
    browser.wait("!document.querySelector('#unit-name').textContent.startsWith('19 of')");
    settled(&browser);
    let pair = |label: &str, note: &str| [label.to_owned(), note.to_owned()];
    let pressed = [
        ("s0#1", pair("rough", "")),
        ("s0#2", pair("calm", "sun 12")),
        ("s0#4", pair("rough", "")),
        ("s4#2", pair("calm", "")),
    ];
    assert_eq!(labels(&project), pressed.map(|(unit, row)| (unit.to_owned(), row)).into());
    assert_eq!(acts(&project, "tone"), ["answer", "answer", "skip", "answer", "undo", "answer", "answer"]);
    browser.reload();
    shown(&browser, 5);
    assert_eq!(browser.text("#progress-text"), "4 of 40, 1 skipped");
    browser.press("k");
    shown(&browser, 4);
    assert_eq!(browser.text("#state"), "Saved earlier.");
    assert_eq!(browser.value("document.querySelector('#field-label input:checked').value"), json!("rough"));
    assert_eq!(browser.complaints(), Vec::<String>::new());
}

#[test]
fn every_type_of_field_is_filled_in_and_words_are_cited_with_mouse_and_keys() {
    let Some(browser) = Browser::start() else { return };
    let project = project();
    let server = Server::start(&project, &["every", "--rater", "ada"]);
    visit(&browser, &server);
    shown(&browser, 1);
    // Nothing is saved without what an answer needs, and the cursor is where it lacks.
    browser.press(ENTER);
    browser.wait_for("#alert", "label is missing");
    // A label, several labels, a criterion that is met.
    browser.press("1");
    browser.press("34");
    browser.press("5");
    assert_eq!(
        browser.value(
            "[...document.querySelectorAll('input:checked')].map(one => one.closest('[data-label]').dataset.label)"
        ),
        json!(["done", "screens", "tables", "tests_run"])
    );
    browser.press("6");
    browser.press("6");
    // A score by its digits; the band that it falls into is marked.
    browser.press("r");
    browser.press(&format!("72{ESCAPE}"));
    assert_eq!(browser.text(".bands [aria-current]"), "50–100 Much.");
    browser.press("y");
    // Shares that do not sum to 100 are refused, and can be scaled.
    browser.press("i");
    browser.press(&format!("30{TAB}"));
    browser.run("document.querySelector('[data-label=writing] input[type=number]').focus();");
    browser.press("30");
    browser.wait_for(".sum", "sum 60, 40 left");
    browser.press(ENTER);
    browser.wait_for("#alert", "phases");
    browser.wait_for("#alert", "sum to 60");
    assert!(!project.path("gold/every.csv").exists());
    browser.click(".sum-row button");
    browser.wait_for(".sum", "sum 100 ✓");
    browser.press(ESCAPE);
    browser.run("document.activeElement.blur();");
    browser.press("e");
    browser.press(&format!("it says so{ESCAPE}"));
    // Words are selected with the mouse, from one end of a line to the other.
    let ends = browser.run(
        "const range = document.createRange();
         range.selectNodeContents([...document.querySelectorAll('.event.prompt .words')].find(one => one.textContent === 'do it now'));
         const { left, right, top, bottom } = range.getBoundingClientRect();
         const middle = Math.round((top + bottom) / 2);
         return [[Math.ceil(left), middle], [Math.floor(right) - 1, middle]];",
    );
    let [from, to] = [0, 1].map(|end| [0, 1].map(|axis| ends[end][axis].as_i64().expect("a number")));
    browser.drag(from, to);
    browser.press("w");
    browser.wait_for("#field-proof .cited", "do it now");
    browser.press(ENTER);
    browser.wait_for("#status", "Saved 1.");
    shown(&browser, 2);
    let rows = gold(&project, "every");
    let row = &rows[&["codex:s0".to_owned(), "ada".to_owned()]];
    let cells =
        ["label", "topics", "score", "hours", "urgent", "phases", "checks", "reason"].map(|name| row[name].as_str());
    let given = [
        "done",
        "screens;tables",
        "72",
        "",
        "true",
        "reading=50;writing=50;checking=0",
        "tests_run=true;committed=false",
        "it says so",
    ];
    assert_eq!(cells, given);
    let journal = project.rows("gold/every.labelling.jsonl");
    assert_eq!(journal.len(), 1);
    assert_eq!(journal[0]["evidence"][0]["quote"], json!("do it now"));
    assert_eq!(journal[0]["evidence"][0]["found"], json!(true));
    let event = journal[0]["evidence"][0]["event"].as_u64().expect("an event's number");
    let said = server.get(&format!("/api/units/0/events/{event}")).with(200).json();
    assert_eq!(said["text"], json!("do it now"));
    // What was given is shown again.
    browser.press(&format!("{ESCAPE}k"));
    shown(&browser, 1);
    assert_eq!(browser.text("#field-proof .cited q"), "do it now");
    assert_eq!(browser.value("document.querySelector('#field-score .digits').value"), json!("72"));
    assert_eq!(browser.text(".sum"), "sum 100 ✓");
    project.ok(&["agree", "--task", "every", "--replicates", "200"]);
    let complaints = browser.complaints();
    assert!(complaints.iter().all(|said| said.contains("422")), "{complaints:?}");
}

#[test]
fn a_server_that_dies_is_told_and_nothing_that_is_typed_or_saved_is_lost() {
    let Some(browser) = Browser::start() else { return };
    let project = project();
    let server = Server::start(&project, &["tone", "--rater", "ada"]);
    visit(&browser, &server);
    let port = server.host.rsplit_once(':').expect("an address has a port").1.to_owned();
    browser.press("2");
    browser.wait_for("#status", "Saved 1.");
    shown(&browser, 2);
    browser.press("n");
    browser.press(&format!("typed by hand{ESCAPE}"));
    server.kill();
    browser.press("3");
    browser.wait_for("#alert", "not saved: the server does not answer");
    let page = |name: &str| browser.value(&format!("document.querySelector('{name}')?.value ?? null"));
    let typed = || (page("#note"), page("#field-label input:checked"));
    assert_eq!(typed(), (json!("typed by hand"), json!("calm")));
    assert!(!browser.text("#status").contains("Saved"), "{}", browser.text("#status"));
    assert!(browser.text("#unit-name").starts_with("2 of 40"));
    // Nothing of the second answer is in the file, and the first is.
    let pair = |label: &str, note: &str| [label.to_owned(), note.to_owned()];
    let first = ("s0#1".to_owned(), pair("curt", ""));
    assert_eq!(labels(&project), [first.clone()].into());
    let server = Server::start(&project, &["tone", "--rater", "ada", "--port", &port]);
    // It is a server with a token of its own: the page asks for the new address, and goes on once that was opened anywhere in the browser.
    browser.press(ENTER);
    browser.wait_for("#alert", "open the address that the terminal shows");
    assert_eq!(typed(), (json!("typed by hand"), json!("calm")));
    let [old, _] = browser.new_window();
    visit(&browser, &server);
    shown(&browser, 2);
    browser.switch(&old);
    browser.press(ENTER);
    browser.wait_for("#status", "Saved 2.");
    shown(&browser, 3);
    assert_eq!(labels(&project), [first, ("s0#2".to_owned(), pair("calm", "typed by hand"))].into());
    assert_eq!(acts(&project, "tone"), ["answer", "answer"]);
    project.ok(&["agree", "--task", "tone", "--replicates", "200"]);
}
