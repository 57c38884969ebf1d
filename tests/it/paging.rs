//! `sessions` on a terminal: pages for what is longer, columns for what is wider, and nothing that steers it.

use crate::project::{Project, codex, shipped};
use crate::terminal::{OnTerminal, on_terminal};
use std::os::unix::fs::symlink;

/// Shows that a text went through it.
const PAGER: (&str, &str) = ("PAGER", "sed s/^/page:/");

fn lines(screen: &OnTerminal) -> Vec<&str> {
    assert_eq!(screen.code, 0, "{}", screen.err);
    screen.screen.lines().collect()
}

/// Whether all of it, some or nothing went through [`PAGER`].
fn paged(screen: &OnTerminal) -> bool {
    let lines = lines(screen);
    let paged = lines.iter().filter(|line| line.starts_with("page:")).count();
    assert!(paged == 0 || paged == lines.len(), "{}", screen.screen);
    assert!(!lines.is_empty());
    paged > 0
}

#[test]
fn what_is_longer_than_the_terminal_goes_through_the_users_pager() {
    let project = Project::new();
    let listing =
        |rows: u16, more: &[&str]| on_terminal(&project, (160, rows), &[&["sessions"], more].concat(), &[PAGER]);
    // Eleven lines of a table, six with what they sum up to, and the shell wants one of its own.
    assert!(paged(&listing(17, &[])));
    assert!(!paged(&listing(18, &[])));
    assert!(!paged(&listing(5, &["--no-pager"])));
    assert!(!paged(&listing(5, &["--json"])));
    let show = |more: &[&str]| {
        let args = [&["sessions", "--show", "codex:s1"], more].concat();
        on_terminal(&project, (120, 10), &args, &[PAGER])
    };
    assert!(paged(&show(&[])));
    assert!(paged(&show(&["--task", "effort"])));
    assert!(!paged(&show(&["--json"])));
    let piped = project.run_with(&["sessions"], &[PAGER]);
    assert!(piped.out.starts_with("session ") && piped.out.lines().count() > 10, "{}", piped.out);
}

#[test]
fn a_pager_that_is_empty_or_cat_is_none_and_less_gets_its_usual_options() {
    let project = Project::new();
    let listing = |environment: &[(&str, &str)]| on_terminal(&project, (120, 5), &["sessions"], environment);
    for none in ["", "cat"] {
        assert!(lines(&listing(&[("PAGER", none)]))[0].starts_with("session "));
    }
    let shows_options = ("PAGER", "echo options: $LESS; cat > /dev/null");
    assert_eq!(lines(&listing(&[shows_options])), ["options: FRX"]);
    assert_eq!(lines(&listing(&[shows_options, ("LESS", "S")])), ["options: S"]);
}

#[test]
fn a_pager_that_ends_early_is_no_error() {
    let project = Project::empty();
    // More than a pipe holds.
    project.write("a.jsonl", codex("a", &[format!("first\n{}", "line of many\n".repeat(100_000))]));
    let args = ["sessions", "a.jsonl", "--show", "codex:a"];
    let screen = on_terminal(&project, (80, 20), &args, &[("PAGER", "head -n 2")]);
    assert_eq!(lines(&screen), ["codex:a", "a.jsonl"]);
    assert_eq!(screen.err, "");
    let interrupted = on_terminal(&project, (80, 20), &args, &[("PAGER", "kill -INT $PPID; tail -n 1")]);
    assert_eq!(lines(&interrupted), ["         reply 1"]);
}

#[test]
fn without_any_pager_all_is_printed() {
    let project = Project::new();
    project.write("bin/note", "");
    let path = project.path("bin").display().to_string();
    let bare = [("PATH", path.as_str())];
    let unpaged = on_terminal(&project, (120, 5), &["sessions", "--no-pager"], &bare);
    assert_eq!(on_terminal(&project, (120, 5), &["sessions"], &bare).screen, unpaged.screen);
    symlink("/bin/sh", project.path("bin/sh")).unwrap();
    let missing = on_terminal(&project, (120, 5), &["sessions"], &[bare[0], ("PAGER", "no-such-pager -x")]);
    assert_eq!(missing.screen, unpaged.screen);
    assert!(missing.err.contains("note: cannot run the pager `no-such-pager -x` that PAGER names"), "{}", missing.err);
}

#[test]
fn the_listing_fits_the_terminal_and_says_what_it_leaves_out() {
    let project = Project::empty();
    let sample = shipped("gold/sessions").display().to_string();
    let listing = |columns: u16| on_terminal(&project, (columns, 24), &["sessions", &sample, "--no-pager"], &[]);
    let wide = listing(200);
    assert!(!wide.err.contains("no room"), "{}", wide.err);
    assert_eq!(wide.screen, project.ok(&["sessions", &sample]).out, "a wide terminal shows what a pipe gets");
    let narrow = listing(80);
    assert!(lines(&narrow).iter().all(|line| line.chars().count() <= 80), "{}", narrow.screen);
    assert_eq!(lines(&narrow)[0], "session               started           prompts  interrupted  tools  active");
    insta::assert_snapshot!(narrow.err, @"
    no room on this terminal for: failed, rejected, output tokens, commits, model; `| cat` and --json show all
    28 sessions (claude_code 18, codex 10), 231 prompts, 7 interruptions, 1 damaged line
    ");
    // What stands there for an id is one that `--show` takes.
    let id = lines(&narrow)[1].split(' ').next().unwrap();
    let shown = project.ok(&["sessions", &sample, "--show", id]);
    assert!(id.len() < 30 && shown.out.starts_with(id), "{id}");
    let tiny = listing(20);
    assert!(lines(&tiny)[0].starts_with("session"), "{}", tiny.screen);
}

#[test]
fn nothing_of_a_transcript_steers_the_terminal() {
    let project = Project::empty();
    let nasty =
        "red \u{1b}[31m bell \u{7} clear \u{9b}2J title \u{1b}]0;x\u{7} back \u{202e} delete \u{7f} return \r end";
    project.write("a.jsonl", codex("a", &[nasty, "next"]));
    let steers = |c: char| (c.is_control() && c != '\n' && c != '\t') || c == '\u{202e}';
    for (rows, more) in [(50, &[] as &[&str]), (50, &["--full"]), (3, &[]), (50, &["--task", "intent"])] {
        let args =
            [&["sessions", "a.jsonl", "--show", if more.is_empty() { "codex:a" } else { "codex:a#1" }], more].concat();
        let screen = on_terminal(&project, (80, rows), &args, &[("PAGER", "sed s/^//")]);
        assert!(screen.screen.contains("red") && screen.screen.contains("end"), "{}", screen.screen);
        assert!(!screen.screen.contains(steers), "{more:?} {:?}", screen.screen);
    }
    // JSON says the same as ever, in characters that do nothing.
    let json = on_terminal(&project, (80, 5), &["sessions", "a.jsonl", "--show", "codex:a", "--json"], &[]);
    let invisible = |c: char| c.is_control() && c != '\n';
    assert!(!json.screen.contains(invisible), "{:?}", json.screen);
    let document: serde_json::Value = serde_json::from_str(&json.screen).unwrap();
    assert_eq!(document["events"][0]["text"], nasty);
}
