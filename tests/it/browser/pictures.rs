//! The pictures of the documentation, from the sample sessions that come with the program: written where `INTERRATER_SCREENSHOTS` names a folder.

use super::driver::Browser;
use super::{ESCAPE, settled, shown, visit};
use crate::label_client::Server;
use crate::project::{Project, shipped};
use serde_json::json;
use std::fs;
use std::path::{Path, PathBuf};

/// The shipped project, its gold, and a run of each task.
fn sample() -> Project {
    let project = Project::empty();
    for folder in ["prompts", "gold", "gold/sessions/claude_code", "gold/sessions/codex"] {
        for entry in fs::read_dir(shipped(folder)).expect("a shipped folder").map(|entry| entry.expect("an entry")) {
            if entry.path().is_file() {
                let name = format!("{folder}/{}", entry.file_name().to_str().expect("a name is text"));
                project.write(&name, fs::read(entry.path()).expect("a shipped file"));
            }
        }
    }
    project.write("config.toml", "[input]\nsessions = [\"gold/sessions\"]\n");
    project
}

#[test]
fn the_pictures_of_the_documentation_show_the_sample_sessions() {
    let Some(folder) = std::env::var_os("INTERRATER_SCREENSHOTS").map(PathBuf::from) else {
        return println!("skipped: INTERRATER_SCREENSHOTS names no folder");
    };
    let Some(browser) = Browser::start() else { return };
    let save = |name: &str| fs::write(folder.join(name), browser.screenshot()).expect("a picture is written");
    let size = |height: i64| {
        let window = json!({ "width": 1280, "height": height, "deviceScaleFactor": 1, "mobile": false });
        browser.command("Emulation.setDeviceMetricsOverride", window);
    };
    browser.emulate("screen", "light");
    let project = sample();
    size(800);
    let all = project.read("gold/pushback.csv");
    let raters: Vec<&str> = all.lines().filter(|line| !line.contains(",gold,")).collect();
    project.write("gold/pushback.csv", raters.join("\n") + "\n");
    let judge = Server::start(&project, &["pushback", "--adjudicate", "--rater", "eve"]);
    visit(&browser, &judge);
    browser.press(&format!("{ESCAPE}j"));
    shown(&browser, 2);
    save("adjudicate.png");
    project.write("gold/pushback.csv", &all);
    project.ok(&["annotate", "--quiet"]);
    project.ok(&["annotate", "--quiet", "--model", "baseline/majority"]);
    project.ok(&["report", "--replicates", "500", "--quiet", "--task", "pushback", "--task", "success"]);
    browser.open(&address(&project.path("report.html")));
    browser.wait("document.querySelector('.browser .controls:not([hidden])')");
    size(1000);
    browser.run(
        "document.documentElement.style.scrollBehavior = 'auto';
         [...document.querySelectorAll('h3')].find(one => one.textContent === 'Agreement').scrollIntoView();",
    );
    save("report.png");
    project.write("gold/pushback.csv", "unit,rater,label\n");
    let server = Server::start(&project, &["pushback", "--rater", "ada"]);
    size(800);
    visit(&browser, &server);
    // One into a session, where there is something to see above it.
    for at in 1..4 {
        shown(&browser, at);
        browser.press("4");
    }
    shown(&browser, 4);
    settled(&browser);
    save("label.png");
}

fn address(path: &Path) -> String {
    format!("file://{}", path.display())
}
