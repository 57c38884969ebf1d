//! The report's file in a browser: it opens from the disk, with nothing from elsewhere, and its filter, keys, colours and paper work.

use super::driver::Browser;
use crate::report::labelled;
use serde_json::json;
use std::path::Path;

/// Says how long a report takes to open; a browser has to be there.
pub fn opens(path: &Path) {
    let Some(browser) = Browser::start() else { return };
    browser.open(&format!("file://{}", path.display()));
    browser.wait("document.querySelector('.browser .controls:not([hidden])')");
    let loaded = browser.wait("performance.getEntriesByType('navigation')[0].loadEventEnd").as_f64().expect("a time");
    let drawn = browser.run_to_end(
        "const done = arguments[arguments.length - 1];
         requestAnimationFrame(() => requestAnimationFrame(() => done(performance.now())));",
    );
    println!("loaded {loaded:.0} ms after it was asked for, drawn by {:.0} ms", drawn.as_f64().expect("a time"));
    assert!(loaded < 10_000.0, "it takes {loaded} ms to load");
    assert_eq!(browser.complaints(), Vec::<String>::new());
}

#[test]
fn a_report_opens_from_the_disk_and_its_disagreements_are_filtered_and_walked_by_keys() {
    let Some(browser) = Browser::start() else { return };
    let project = labelled();
    project.ok(&["report", "--replicates", "200", "--quiet", "--task", "tone", "--show-test"]);
    // There is no network for it.
    browser.command("Network.enable", json!({}));
    let offline = json!({ "offline": true, "latency": 0, "downloadThroughput": 0, "uploadThroughput": 0 });
    browser.command("Network.emulateNetworkConditions", offline);
    browser.open(&format!("file://{}", project.path("report.html").display()));
    browser.wait("document.querySelector('.browser .controls:not([hidden])')");
    let count = |selector: &str| {
        browser.value(&format!("document.querySelectorAll('{selector}').length")).as_u64().expect("a number")
    };
    let all = count(".case");
    assert!(all > 8, "{all}");
    assert_eq!(count(".case:not([hidden])"), 8);
    // Words are found as they are typed.
    browser.run("document.querySelector('[data-by=words]').focus();");
    browser.press("note of a on 0-");
    let found = browser.wait("document.querySelectorAll('.case:not([hidden])').length < 8 && document.querySelectorAll('.case:not([hidden])').length");
    assert!(found.as_u64().expect("a number") >= 1);
    let shown = browser.value("[...document.querySelectorAll('.case:not([hidden])')].every(one => one.textContent.includes('note of a on 0-'))");
    assert_eq!(shown, json!(true));
    browser.run("const words = document.querySelector('[data-by=words]'); words.value = ''; words.dispatchEvent(new Event('input', { bubbles: true }));");
    // A confusion of the list, as many as it says.
    let said = browser.run(
        "const cells = document.querySelector('[data-by=cells]');
         cells.value = '0';
         cells.dispatchEvent(new Event('input', { bubbles: true }));
         return [cells.selectedOptions[0].textContent, document.querySelector('.controls output').value];",
    );
    let number =
        |text: &str, from: char| text.rsplit(from).next().map(|last| last.trim_end_matches(')').trim().to_owned());
    assert_eq!(number(said[0].as_str().unwrap(), '('), number(said[1].as_str().unwrap(), ' '), "{said}");
    browser.run("const cells = document.querySelector('[data-by=cells]'); cells.value = ''; cells.dispatchEvent(new Event('input', { bubbles: true }));");
    // `j` goes from one to the next, over the end of what is shown at once, and `k` back.
    browser.run("document.querySelector('.case:not([hidden])').focus();");
    let place = || browser.value("[...document.querySelectorAll('.case')].indexOf(document.activeElement)");
    browser.press("jjjjjjjj");
    assert_eq!((place(), browser.value("document.activeElement.hidden")), (json!(8), json!(false)));
    browser.press("k");
    assert_eq!((place(), browser.value("document.activeElement.hidden")), (json!(7), json!(false)));
    // Tables are sorted by a click on their heads.
    browser.run("document.querySelector('table.sortable thead button').click();");
    assert_eq!(browser.value("!!document.querySelector('th[aria-sort]')"), json!(true));
    // Light and dark differ, paper shows all disagreements' words and no controls.
    let ground = || browser.value("getComputedStyle(document.body).backgroundColor");
    browser.emulate("screen", "light");
    let light = ground();
    browser.emulate("screen", "dark");
    assert_ne!(ground(), light);
    browser.emulate("print", "light");
    assert_eq!(browser.value("getComputedStyle(document.querySelector('.controls')).display"), json!("none"));
    let paper = browser.command("Page.printToPDF", json!({}));
    assert!(paper["data"].as_str().expect("a file as text").len() > 50_000);
    assert_eq!(browser.value("performance.getEntriesByType('resource').length"), json!(0));
    assert_eq!(browser.complaints(), Vec::<String>::new());
}
