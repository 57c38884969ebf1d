//! `init`: a project to start from.

use crate::project::{Project, first_line, shipped};
use std::fs;

#[test]
fn a_new_project_is_the_shipped_one_and_annotates() {
    let project = Project::empty();
    let ran = project.ok(&["init", "study"]);
    assert!(ran.out.starts_with("wrote ") && ran.out.trim_end().ends_with("files to study"), "{}", ran.out);
    assert_eq!(ran.err, "next: interrater annotate\n");
    for name in ["config.toml", "prompts/pushback.md", "prompts/_transcript.md"] {
        assert_eq!(project.read(&format!("study/{name}")), fs::read_to_string(shipped(name)).unwrap(), "{name}");
    }
    assert_eq!(project.files("study/gold").len(), walk("gold"));
    // It works inside, and from outside by its configuration.
    let ran = project.ok(&["annotate", "outcome", "--limit", "3", "--config", "study/config.toml"]);
    assert!(ran.out.contains("outcome"), "{}", ran.out);
    assert!(project.path("study/runs").is_dir() && !project.path("runs").exists());
}

/// How many files the checkout has below `name`.
fn walk(name: &str) -> usize {
    let mut pending = vec![shipped(name)];
    let mut count = 0;
    while let Some(path) = pending.pop() {
        match fs::read_dir(&path) {
            Ok(entries) => pending.extend(entries.map(|entry| entry.unwrap().path())),
            Err(_) => count += 1,
        }
    }
    count
}

#[test]
fn what_is_there_is_never_overwritten() {
    let project = Project::empty();
    project.write("config.toml", "# mine\n").write("prompts/pushback.md", "mine too");
    let listed = project.json(&["init"]);
    let paths = |key: &str| {
        listed[key].as_array().unwrap().iter().map(|path| path.as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(paths("kept"), ["./config.toml", "./prompts/pushback.md"]);
    assert!(paths("written").contains(&"./prompts/intent.md".to_owned()));
    assert_eq!(
        (project.read("config.toml").as_str(), project.read("prompts/pushback.md").as_str()),
        ("# mine\n", "mine too")
    );
    let before = project.files(".");
    let again = project.ok(&["init", "--quiet"]);
    assert!(again.out.starts_with("wrote 0 files to ., kept "), "{}", again.out);
    assert_eq!(again.err, "");
    assert_eq!(project.files("."), before);
}

#[test]
fn a_place_that_is_no_folder_is_an_error() {
    let project = Project::empty();
    project.write("file", "x");
    let said = project.refused(&["init", "file"]);
    assert!(first_line(&said).starts_with("error: cannot "), "{said}");
    assert!(first_line(&said).contains("file"), "{said}");
    assert_eq!(project.read("file"), "x");
}
