//! What a command writes to, in trouble: a full or read-only disk under the run's files, a stdout that is full or that nobody reads.

use crate::context::{Context, Ended, assert_whole, states};
use crate::fake::{Fake, Provider, Reply};
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::process::{Command, Stdio};

/// Annotates with a model of the server and this stdout.
fn annotate_into(context: &Context, fake: &Fake, stdout: Stdio, more: &[&str]) -> Ended {
    let output = Command::new(env!("CARGO_BIN_EXE_interrater"))
        .args(["annotate", "--model", "openai/some-model", "--base-url", &fake.base_url(Provider::OpenAi)])
        .args(more)
        .current_dir(context.path())
        .env_clear()
        .env("HOME", context.path())
        .stdin(Stdio::null())
        .stdout(stdout)
        .stderr(Stdio::piped())
        .output()
        .unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Ended { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
}

/// A pipe whose reader has gone.
fn nobody_reads() -> Stdio {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    writer.into()
}

#[test]
fn a_reader_that_has_gone_changes_nothing_of_how_a_run_ends() {
    let context = Context::with_sessions(1, 3);
    let fake = Fake::start();
    for more in [&[][..], &["--json"]] {
        let ended = annotate_into(&context, &fake, nobody_reads(), more).with(0);
        assert!(ended.lines("error").is_empty(), "{}", ended.stderr);
    }
    let refusing = Fake::plan(|_| Reply::status(403)).start();
    for more in [&["--run", "other"][..], &["--run", "other", "--json"]] {
        let ended = annotate_into(&context, &refusing, nobody_reads(), more).with(2);
        assert_eq!(ended.lines("error: stopped: HTTP 403").len(), 1, "{}", ended.stderr);
    }
    assert_whole(&context.rows("mood"), 1, 3);
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_stdout_is_named_and_costs_no_row() {
    let context = Context::with_sessions(1, 3);
    let fake = Fake::start();
    for more in [&[][..], &["--json"]] {
        let full = fs::File::options().write(true).open("/dev/full").unwrap();
        let ended = annotate_into(&context, &fake, full.into(), more).with(2);
        let said = "error: cannot write to stdout: No space left on device (os error 28)";
        assert_eq!((ended.lines(said).len(), ended.lines("hint").len()), (1, 1), "{}", ended.stderr);
    }
    assert_whole(&context.rows("mood"), 1, 3);
    assert_eq!(fake.seen().len(), 3);
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_under_the_runs_is_named_and_no_answer_is_paid_for_again() {
    for file in ["annotations.jsonl.new", "annotations.csv.new", "manifest.json.new", "summary.json.new"] {
        let context = Context::with_sessions(2, 10);
        let fake = Fake::start();
        context.annotate(&fake, &["--limit", "2"]).with(0);
        let folder = context.run_folder("mood");
        let before = fs::read(folder.join("annotations.jsonl")).unwrap();
        symlink("/dev/full", folder.join(file)).unwrap();
        let ended = context.annotate(&fake, &[]).with(2);
        let errors = ended.lines("error");
        let said = "No space left on device (os error 28)";
        assert!(errors.len() == 1 && errors[0].starts_with("error: cannot write runs/mood-"), "{file}: {errors:?}");
        assert!(errors[0].ends_with(said) && errors[0].contains(file.trim_end_matches(".new")), "{file}: {errors:?}");
        assert_eq!(ended.lines("hint: free space there, then repeat the command").len(), 1, "{}", ended.stderr);
        // No reader ever sees half a file.
        let after = context.rows("mood").len();
        assert!(after == 20 || fs::read(folder.join("annotations.jsonl")).unwrap() == before, "{file}: {after} rows");
        fs::remove_file(folder.join(file)).unwrap();
        let (asked, held) = (fake.seen().len(), context.stored().len());
        assert!(held >= 2);
        context.annotate(&fake, &[]).with(0);
        assert_eq!(fake.seen().len() - asked, 20 - held, "{file}: a stored answer was asked for again");
        assert_eq!(states(&context.rows("mood"))["ok"], 20);
    }
}

#[test]
fn a_folder_that_cannot_be_written_is_named_before_anything_is_asked() {
    let context = Context::with_sessions(1, 3);
    let fake = Fake::start();
    context.annotate(&fake, &["--limit", "1"]).with(0);
    let folder = context.run_folder("mood");
    let set = |mode| fs::set_permissions(&folder, fs::Permissions::from_mode(mode)).unwrap();
    fs::remove_file(folder.join(".lock")).unwrap();
    set(0o555);
    if fs::write(folder.join("probe"), "").is_ok() {
        // Nothing is forbidden to root: a folder in the place of the file is.
        set(0o755);
        fs::remove_file(folder.join("probe")).unwrap();
        fs::create_dir(folder.join(".lock")).unwrap();
    }
    let ended = context.annotate(&fake, &[]).with(2);
    let errors = ended.lines("error: cannot write runs/mood-");
    assert!(errors.len() == 1 && errors[0].contains("/.lock: "), "{}", ended.stderr);
    assert_eq!((ended.lines("error").len(), ended.lines("hint").len()), (1, 1), "{}", ended.stderr);
    assert_eq!(fake.seen().len(), 1);
    set(0o755);
}
