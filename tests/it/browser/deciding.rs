//! Two label at the same time into one file, and a third decides where they differ.

use super::driver::Browser;
use super::{acts, gold, project, settled, shown, visit};
use crate::label_client::Server;
use crate::project::Project;
use serde_json::json;

/// Units that both label.
const UNITS: usize = 12;

fn unit(at: usize) -> String {
    format!("codex:s{}#{}", at / 4, at % 4 + 1)
}

/// The gold answers by unit: a field each.
fn decided(project: &Project, task: &str, field: &str) -> Vec<String> {
    let rows = gold(project, task).into_iter();
    rows.filter(|([_, rater], _)| rater == "gold").map(|([unit, _], row)| format!("{unit} {}", row[field])).collect()
}

#[test]
fn two_windows_label_into_one_file_and_a_third_decides_by_keys() {
    let Some(browser) = Browser::start() else { return };
    let project = project();
    project.write("units.txt", (0..UNITS).map(|at| unit(at) + "\n").collect::<String>());
    let start = |rater| Server::start(&project, &["tone", "--rater", rater, "--units", "units.txt"]);
    let servers = [start("ada"), start("bob")];
    visit(&browser, &servers[0]);
    let [ada, bob] = browser.new_window();
    visit(&browser, &servers[1]);
    // Both press before either is waited for. They differ on the sixth and the tenth unit.
    let pressed = |rater: usize, at: usize| match (rater, at) {
        (0, 5 | 9) => "1",
        (1, 5 | 9) => "2",
        _ if at.is_multiple_of(3) => "2",
        _ => "3",
    };
    for at in 0..UNITS {
        for (rater, window) in [&ada, &bob].into_iter().enumerate() {
            browser.switch(window);
            shown(&browser, at + 1);
            browser.press(pressed(rater, at));
        }
    }
    for window in [&ada, &bob] {
        browser.switch(window);
        browser.wait_for("#status", "All done: 12 of 12 labelled.");
        assert_eq!(browser.complaints(), Vec::<String>::new());
    }
    assert_eq!(gold(&project, "tone").len(), 2 * UNITS);
    let words = ["rough", "curt", "calm"];
    for ([of, rater], row) in gold(&project, "tone") {
        let at = (0..UNITS).find(|at| unit(*at) == of).expect("a unit of the list");
        let key: usize = pressed(usize::from(rater == "bob"), at).parse().expect("a digit");
        assert_eq!(row["label"], words[key - 1], "{rater} on {of}");
    }

    let judge = Server::start(&project, &["tone", "--adjudicate", "--rater", "eve"]);
    browser.new_window();
    visit(&browser, &judge);
    // Before anything is decided, what the codebook leaves open.
    browser.wait("document.querySelector('#round').open");
    browser.wait_for("#round", "ada and bob, 12 units");
    browser.wait_for("#round", "2 units");
    browser.press(super::ENTER);
    browser.wait("!document.querySelector('#round').open");
    settled(&browser);
    browser.wait_for(".verdict", "The raters differ. Not decided.");
    assert!(browser.text("#unit-name").ends_with("s1#2"));
    browser.press("a");
    shown(&browser, 2);
    browser.wait_for("#status", "Saved 1.");
    browser.wait_for(".verdict", "The raters differ.");
    browser.press("b");
    shown(&browser, 3);
    browser.wait_for(".verdict", "The raters agree.");
    browser.click("#settle-agreed");
    browser.wait_for("#ask", "10 gold answers will be written at once");
    browser.click("#settle-yes");
    browser.wait_for("#status", "10 gold answers saved.");
    browser.wait_for("#progress-text", "12 of 12 decided");
    let found = decided(&project, "tone", "label");
    assert_eq!(
        (found.len(), &found[5], &found[9]),
        (12, &"codex:s1#2 rough".to_owned(), &"codex:s2#2 curt".to_owned())
    );
    assert_eq!(acts(&project, "tone").iter().filter(|act| *act == "adjudicated").count(), 12);
    let table = project.ok(&["agree", "--task", "tone", "--replicates", "200"]).out;
    let table: Vec<&str> = table.lines().take_while(|line| !line.starts_with("note")).collect();
    insta::assert_snapshot!(table.join("\n"), @"
    tone · label (nominal): 12 items, 3 sessions; 95 % intervals, 200 replicates, seed 1

                   κ  AC1  agree  items  sessions
     ada – bob   .70  .77   83 %     12         3
     gold – ada  .85  .88   92 %     12         3
     gold – bob  .84  .89   92 %     12         3
    ");
}

#[test]
fn scores_that_are_close_are_averaged_and_the_others_decided_first() {
    let Some(browser) = Browser::start() else { return };
    let project = project();
    let mut text = "unit,rater,score,phases\n".to_owned();
    for (session, ada, bob) in [(0, 40, 60), (1, 10, 90), (2, 70, 72)] {
        for (rater, score) in [("ada", ada), ("bob", bob)] {
            text.push_str(&format!("codex:s{session},{rater},{score},reading=40;writing=60\n"));
        }
    }
    project.write("gold/effort.csv", text);
    let judge = Server::start(&project, &["effort", "--adjudicate"]);
    visit(&browser, &judge);
    browser.wait_for(".verdict", "The raters differ.");
    assert!(browser.text("#unit-name").ends_with("s1"));
    browser.press(&format!("{}b", super::ESCAPE));
    shown(&browser, 2);
    browser.wait_for(".verdict", "The raters are close");
    browser.click("#settle-averaged");
    browser.click("#settle-yes");
    browser.wait_for("#progress-text", "3 of 3 decided");
    assert_eq!(decided(&project, "effort", "score"), ["codex:s0 50", "codex:s1 90", "codex:s2 71"]);
    // A key that comes while a unit is loading is for no unit.
    settled(&browser);
    browser.press("u");
    browser.wait_for("#progress-text", "1 of 3 decided");
    assert_eq!(decided(&project, "effort", "score"), ["codex:s1 90"]);
    assert_eq!(browser.complaints(), Vec::<String>::new());
}

#[test]
fn the_codebook_round_does_not_open_over_the_work_of_somebody_who_has_begun() {
    let Some(browser) = Browser::start() else { return };
    let project = project();
    let rows = |at: usize| format!("{0},ada,calm\n{0},bob,{1}\n", unit(at), if at < 2 { "curt" } else { "calm" });
    project.write("gold/tone.csv", "unit,rater,label\n".to_owned() + &(0..UNITS).map(rows).collect::<String>());
    // The round's figures come late: when they are let go.
    let late = "const ask = window.fetch;
        const held = new Promise(release => (window.release = release));
        window.fetch = async (path, ...rest) => {
          const answer = await ask(path, ...rest);
          if (path !== '/api/round') return answer;
          await held;
          const words = await answer.text();
          answer.text = async () => (setTimeout(() => (window.taken = true)), words);
          return answer;
        };";
    browser.command("Page.addScriptToEvaluateOnNewDocument", json!({ "source": late }));
    let judge = Server::start(&project, &["tone", "--adjudicate"]);
    visit(&browser, &judge);
    browser.press("a");
    shown(&browser, 2);
    browser.run("release();");
    browser.wait("window.taken");
    assert_eq!(browser.value("document.querySelector('#round').open"), json!(false));
    // Whoever asks for it gets it.
    browser.press("f");
    browser.wait("document.querySelector('#round').open");
    browser.wait_for("#round", "ada and bob, 12 units");
}
