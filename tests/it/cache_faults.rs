//! The store in trouble: full disks, locks, damage, several processes, folders that cannot be written, odd names. Each time the words say
//! what to do, nothing that was stored is lost, and the next run goes on.

use crate::context::{Context, Ended, KEY, assert_whole, session_id, states, target};
use crate::fake::{Asked, Fake, Provider, Reply};
use rusqlite::Connection;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// A server whose answers are long and each its own.
fn talkative() -> Fake {
    let answer = |asked: &Asked, _: &Value| {
        let (session, prompt) = target(asked);
        json!({ "reason": format!("{session}-{prompt} {} ", asked.nth).repeat(150), "label": "calm" })
    };
    Fake::plan(|_| Reply::Answer).answer(answer).start()
}

fn store(context: &Context) -> PathBuf {
    context.path().join(".interrater/store.db")
}

fn cache(context: &Context, arguments: &[&str]) -> Ended {
    context.run(&[&["cache"], arguments].concat())
}

fn one_error<'e>(ended: &'e Ended, said: &str) -> &'e str {
    let errors = ended.lines("error");
    assert!(errors.len() == 1 && errors[0].contains(said), "{said}: {}", ended.stderr);
    errors[0]
}

fn bodies(context: &Context) -> BTreeSet<String> {
    context.stored().into_iter().map(|(_, body)| body).collect()
}

/// Runs a script in which file systems can be mounted, with `$BIN` for the binary and `$URL` for the server; `None` where the system does
/// not allow it.
fn among_mounts(context: &Context, fake: &Fake, script: &str) -> Option<Ended> {
    let allowed = |options: &[&str]| {
        let tried = Command::new("unshare").args(options).args(["mount", "-t", "tmpfs", "tmpfs", "/mnt"]).output();
        tried.is_ok_and(|output| output.status.success())
    };
    let options = [&["-Urm"][..], &["-m"]].into_iter().find(|options| allowed(options));
    let Some(options) = options else {
        eprintln!("skipped: this system lets nobody mount a file system of its own");
        return None;
    };
    let output = Command::new("unshare")
        .args(options)
        .args(["sh", "-euc", script])
        .current_dir(context.path())
        .env("BIN", env!("CARGO_BIN_EXE_interrater"))
        .env("URL", fake.base_url(Provider::OpenAi))
        .env("OPENAI_API_KEY", KEY)
        .env("NO_COLOR", "1")
        .output()
        .unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    let ended = Ended { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) };
    Some(ended)
}

#[test]
fn a_full_disk_stops_the_run_and_the_next_one_goes_on_with_all_that_was_stored() {
    let context = Context::with_sessions(10, 20);
    context.write("config.toml", "[input]\nsessions = [\"sessions\"]\n[paths]\nstore = \"small/store.db\"\n");
    let fake = talkative();
    let script = r#"
        mkdir small && mount -t tmpfs -o size=500k tmpfs small
        annotate() { "$BIN" annotate --model openai/some-model --base-url "$URL" --concurrency 4; }
        code=0; annotate 2> first.err > first.out || code=$?
        echo "first $code"
        "$BIN" cache stats --json > stats.json
        code=0; annotate 2> still.err > still.out || code=$?
        echo "still $code"
        mount -o remount,size=64m small
        annotate 2> second.err > second.out
        "$BIN" cache export all.jsonl
        cp small/store.db kept.db
    "#;
    let Some(ended) = among_mounts(&context, &fake, script) else { return };
    let ended = ended.with(0);
    assert_eq!(ended.stdout, "first 2\nstill 2\n", "{}", ended.stderr);
    for file in ["first.err", "still.err"] {
        let said = context.read(file);
        let errors: Vec<&str> = said.lines().filter(|line| line.starts_with("error")).collect();
        assert_eq!(
            errors,
            ["error: no room to write small/store.db: free space on its disk, then run again"],
            "{said}"
        );
    }
    let stats: Value = serde_json::from_str(&context.read("stats.json")).unwrap();
    let held = stats["answers"].as_u64().unwrap();
    assert!((10..200).contains(&held), "{held}");
    assert_whole(&context.rows("mood"), 10, 20);
    assert_eq!(states(&context.rows("mood"))["ok"], 200);
    assert_eq!(context.read("all.jsonl").lines().count(), 200);
    // Only what was under way when there was no room, or was sent before that was known, had to be asked again, each time.
    assert!(fake.seen().len() <= 200 + 2 * 2 * 4, "{}", fake.seen().len());
}

#[cfg(unix)]
#[test]
fn a_limit_of_the_system_stops_the_run_likewise() {
    let context = Context::with_sessions(10, 20);
    let fake = talkative();
    let script = r#"ulimit -f 800; exec "$BIN" annotate --model openai/some-model --base-url "$URL" --concurrency 4"#;
    let output = Command::new("sh")
        .args(["-c", script])
        .current_dir(context.path())
        .env("BIN", env!("CARGO_BIN_EXE_interrater"))
        .env("URL", fake.base_url(Provider::OpenAi))
        .output()
        .unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(
        said.contains("error: the disk does not take what is written to .interrater/store.db (disk I/O error)"),
        "{said}"
    );
    let held = context.stored().len();
    assert!((10..200).contains(&held), "{held}");
    context.annotate(&fake, &[]).with(0);
    assert_whole(&context.rows("mood"), 10, 20);
    // Those that were under way, or on their way to the disk, are asked for twice.
    assert!(fake.seen().len() <= 200 + 4 * 4, "{}", fake.seen().len());
}

#[test]
fn an_answer_waits_while_another_process_holds_the_store() {
    let context = Context::with_sessions(2, 10);
    let fake = talkative();
    context.annotate(&fake, &["--limit", "1"]).with(0);
    let mut other = Connection::open(store(&context)).unwrap();
    let lock = other.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate).unwrap();
    let mut running = context.start_annotating(&fake, &["--concurrency", "32"]);
    running.until("all requests", || fake.asked() >= 20);
    assert_eq!(context.stored().len(), 1);
    lock.rollback().unwrap();
    running.end().with(0);
    assert_eq!((context.stored().len(), fake.seen().len()), (20, 20));
}

#[test]
fn a_store_that_is_locked_for_long_is_named() {
    let context = Context::with_sessions(1, 2);
    let fake = talkative();
    context.annotate(&fake, &[]).with(0);
    let other = Connection::open(store(&context)).unwrap();
    other.execute_batch("PRAGMA locking_mode = exclusive; BEGIN EXCLUSIVE").unwrap();
    let ended = cache(&context, &["stats"]).with(2);
    let said =
        ".interrater/store.db has been locked by another process for 10 seconds: wait for it or end it, then run again";
    one_error(&ended, said);
    other.execute_batch("ROLLBACK").unwrap();
    drop(other);
    cache(&context, &["stats"]).with(0);
}

/// A project with 200 answers, and what its store holds.
fn paid() -> (Context, Fake, BTreeSet<String>) {
    let context = Context::with_sessions(10, 20);
    let fake = talkative();
    context.annotate(&fake, &[]).with(0);
    let held = bodies(&context);
    assert_eq!(held.len(), 200);
    (context, fake, held)
}

/// Does what the words of a damaged store advise; gives how many answers are left.
fn rescue(context: &Context, held: &BTreeSet<String>) -> usize {
    let moved = context.path().join("moved.db");
    fs::rename(store(context), &moved).unwrap();
    let ended = cache(context, &["merge", "moved.db"]);
    assert!(matches!(ended.code, Some(0 | 1)), "{}", ended.stderr);
    let told = ended.stderr.contains("damaged and left out") || ended.stderr.contains("of the file's end are missing");
    assert_eq!(ended.code == Some(1), told, "{}", ended.stderr);
    let left = bodies(context);
    assert!(left.is_subset(held), "what comes from a damaged store was never stored so");
    cache(context, &["export", "left.jsonl"]).with(0);
    fs::remove_file(moved).unwrap();
    left.len()
}

#[test]
fn a_truncated_store_is_told_and_what_is_left_of_it_is_saved() {
    let (context, fake, held) = paid();
    let whole = fs::read(store(&context)).unwrap();
    fs::write(store(&context), &whole[..whole.len() * 2 / 3]).unwrap();
    let asked = fake.seen().len();
    for arguments in [&["cache", "stats"][..], &["cache", "export", "a.jsonl"]] {
        let error = context.run(arguments).with(2);
        let error = one_error(&error, ".interrater/store.db is damaged (").to_owned();
        assert!(
            error
                .contains("move it away, with .interrater/store.db-wal if that is there, and `interrater cache merge`"),
            "{error}"
        );
    }
    one_error(&context.annotate(&fake, &[]).with(2), ".interrater/store.db is damaged (");
    assert_eq!(fake.seen().len(), asked, "nothing is paid again while the store is damaged");
    let left = rescue(&context, &held);
    assert!((60..200).contains(&left), "{left}");
    context.annotate(&fake, &[]).with(0);
    assert_eq!(fake.seen().len(), asked + 200 - left);
    assert_whole(&context.rows("mood"), 10, 20);
}

#[test]
fn no_flipped_byte_changes_an_answer_unnoticed() {
    let (context, _fake, held) = paid();
    let whole = fs::read(store(&context)).unwrap();
    cache(&context, &["export", "whole.jsonl"]).with(0);
    let expected = context.read("whole.jsonl");
    let (mut noticed, mut unused) = (0, 0);
    // Every part of the file, and of its pages.
    let step = whole.len() / 48 + 37;
    for at in (0..whole.len()).step_by(step) {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x15;
        fs::write(store(&context), &bytes).unwrap();
        let ended = cache(&context, &["export", "now.jsonl"]);
        match ended.code {
            Some(0) => {
                assert!(context.read("now.jsonl") == expected, "byte {at}");
                unused += 1;
            }
            Some(2) => {
                assert_eq!(ended.lines("error").len(), 1, "byte {at}: {}", ended.stderr);
                noticed += 1;
                if ended.stderr.contains("is damaged") {
                    let left = rescue(&context, &held);
                    assert!(left >= 150, "byte {at} cost {} answers", 200 - left);
                }
            }
            other => panic!("byte {at}: {other:?} {}", ended.stderr),
        }
        drop(fs::remove_file(store(&context)));
    }
    assert!(noticed > 20 && noticed + unused >= 40, "{noticed} noticed, {unused} unused");
}

#[test]
fn an_empty_store_is_a_new_one_and_what_was_paid_for_is_called_to_mind() {
    let (context, fake, _) = paid();
    fs::write(store(&context), "").unwrap();
    let stats = cache(&context, &["stats", "--json"]).with(0).json();
    assert_eq!((&stats["exists"], &stats["answers"]), (&json!(false), &json!(0)));
    let ended = context.annotate(&fake, &[]).with(0);
    assert_eq!(ended.lines("warning: run mood-openai-some-model-").len(), 1, "{}", ended.stderr);
    assert!(ended.stderr.contains("was paid for, and the store .interrater/store.db has none of its answers"));
    assert_eq!((context.stored().len(), fake.seen().len()), (200, 400));
    let ended = context.annotate(&fake, &[]).with(0);
    assert!(ended.lines("warning").is_empty(), "{}", ended.stderr);
}

#[test]
fn what_a_killed_process_left_is_read_and_what_is_missing_of_it_is_asked_again() {
    let context = Context::with_sessions(10, 20);
    let fake = talkative();
    let mut running = context.start_annotating(&fake, &["--concurrency", "4"]);
    running.until("some stored answers", || context.stored().len() >= 40);
    running.kill();
    let log = context.path().join(".interrater/store.db-wal");
    assert!(fs::metadata(&log).unwrap().len() > 0, "the log was to be left over");
    let copy = Context::with_sessions(10, 20);
    fs::create_dir(copy.path().join(".interrater")).unwrap();
    // Before anybody looks, who would tidy up.
    for name in ["store.db", "store.db-wal"] {
        fs::copy(context.path().join(".interrater").join(name), copy.path().join(".interrater").join(name)).unwrap();
    }
    let held = bodies(&context);
    let stats = cache(&context, &["stats", "--json"]).with(0).json();
    assert_eq!(stats["answers"], held.len());
    let asked = fake.seen().len();
    context.annotate(&fake, &[]).with(0);
    assert!(fake.seen().len() - asked <= 200 - held.len());
    assert!(bodies(&context).is_superset(&held));

    // The same store in another place, without the end of its log, as after a power cut on a disk that lied, and then without any.
    let path = copy.path().join(".interrater/store.db-wal");
    let bytes = fs::read(&path).unwrap();
    fs::write(&path, &bytes[..bytes.len() * 2 / 3]).unwrap();
    let left = cache(&copy, &["stats", "--json"]).with(0).json()["answers"].as_u64().unwrap();
    assert!((1..=held.len() as u64).contains(&left), "{left} of {}", held.len());
    copy.annotate(&fake, &[]).with(0);
    assert_whole(&copy.rows("mood"), 10, 20);
    assert_eq!(copy.stored().len(), 200);
}

#[test]
fn others_may_read_export_merge_and_prune_while_a_run_writes() {
    let context = Context::with_sessions(10, 20);
    let go_on = Arc::new(AtomicBool::new(false));
    let may_go_on = go_on.clone();
    let fake = Fake::plan(move |asked| {
        // The last requests wait, so that the run is under way for as long as the test needs it.
        while asked.index >= 150 && !may_go_on.load(Ordering::SeqCst) {
            std::thread::yield_now();
        }
        Reply::Answer
    })
    .start();
    fs::copy(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/stores/version-1.db"), context.path().join("old.db"))
        .unwrap();
    let mut running = context.start_annotating(&fake, &["--concurrency", "4"]);
    running.until("some stored answers", || context.stored().len() >= 100);
    let stats = cache(&context, &["stats", "--json"]).with(0).json();
    assert!(stats["answers"].as_u64().unwrap() >= 100);
    cache(&context, &["export", "now.jsonl"]).with(0);
    cache(&context, &["merge", "old.db"]).with(0);
    let told = cache(&context, &["prune", "--superseded", "--yes", "--json"]).with(0).json();
    assert_eq!((&told["answers"], &told["deleted"]), (&json!(2), &json!(true)));
    go_on.store(true, Ordering::SeqCst);
    running.end().with(0);
    assert_whole(&context.rows("mood"), 10, 20);
    assert_eq!(context.stored().len(), 200 + 18);
}

#[test]
fn a_store_that_cannot_be_written_can_be_read_and_merged() {
    let context = Context::with_sessions(2, 3);
    context.write("config.toml", "[input]\nsessions = [\"sessions\"]\n[paths]\nstore = \"fixed/store.db\"\n");
    let fake = talkative();
    context.annotate(&fake, &[]).with(0);
    context.write("other.toml", "[input]\nsessions = [\"sessions\"]\n[paths]\nstore = \"other/store.db\"\n");
    let script = r#"
        mount --bind fixed fixed && mount -o remount,bind,ro fixed
        "$BIN" cache stats --json > stats.json
        "$BIN" cache export all.jsonl
        "$BIN" cache merge fixed/store.db --config other.toml --json > merged.json
        code=0; "$BIN" annotate --model openai/some-model --base-url "$URL" 2> annotate.err || code=$?
        echo "annotate $code"
        code=0; "$BIN" cache prune --task mood --yes --force 2> prune.err || code=$?
        echo "prune $code"
    "#;
    let Some(ended) = among_mounts(&context, &fake, script) else { return };
    let ended = ended.with(0);
    assert!(ended.stdout.starts_with("annotate 2\n") && ended.stdout.ends_with("prune 2\n"), "{ended:?}");
    let json = |file: &str| serde_json::from_str::<Value>(&context.read(file)).unwrap();
    assert_eq!(json("stats.json")["answers"], 6);
    assert_eq!(json("merged.json")["files"][0]["merged"]["added"], 6);
    assert_eq!(context.read("all.jsonl").lines().count(), 6);
    for file in ["annotate.err", "prune.err"] {
        let said = context.read(file);
        let error = said.lines().find(|line| line.starts_with("error: ")).unwrap_or_else(|| panic!("{said}"));
        assert!(error.contains("fixed/store.db") && error.contains("permission"), "{said}");
        assert!(error.contains("or name another file for the store"), "{said}");
    }
    assert_eq!(fake.seen().len(), 6);
}

#[test]
fn a_store_may_have_any_name() {
    for name in ["with blanks/größe ü.db", "file:odd?name#1%.db", "'quoted\" name'.db"] {
        let context = Context::with_sessions(2, 2);
        let path = name.replace('"', "\\\"");
        context.write("config.toml", &format!("[input]\nsessions = [\"sessions\"]\n[paths]\nstore = \"{path}\"\n"));
        let fake = talkative();
        context.annotate(&fake, &[]).with(0);
        context.annotate(&fake, &["--run", "again"]).with(0);
        assert_eq!(fake.seen().len(), 4, "{name}");
        assert!(Path::new(&context.path().join(name)).is_file(), "{name}");
        let stats = cache(&context, &["stats", "--json"]).with(0).json();
        assert_eq!((&stats["answers"], &stats["saved"]["rows"]), (&json!(4), &json!(4)), "{name}");
        let other = Context::with_sessions(1, 1);
        let from = context.path().join(name).display().to_string();
        let told = cache(&other, &["merge", &from, "--json"]).with(0).json();
        assert_eq!(told["files"][0]["merged"]["added"], 4, "{name}");
        let into = context.run(&["cache", "merge", &other.path().join(".interrater/store.db").display().to_string()]);
        assert!(into.with(0).stderr.ends_with(": 0 added, 4 known\n"), "{name}");
        cache(&context, &["prune", "--task", "mood", "--yes", "--force"]).with(0);
        assert_eq!(cache(&context, &["stats", "--json"]).with(0).json()["answers"], 0);
    }
}

#[test]
fn a_folder_in_the_place_of_the_store_is_named() {
    let context = Context::with_sessions(1, 1);
    fs::create_dir_all(store(&context)).unwrap();
    let ended = cache(&context, &["stats"]).with(2);
    one_error(&ended, ".interrater/store.db is a folder: ");
    let unit = format!("claude_code:{}#1", session_id(1));
    let fake = talkative();
    let url = fake.base_url(Provider::OpenAi);
    let ended = context.run(&["cache", "why", &unit, "--model", "openai/m", "--base-url", &url]).with(2);
    one_error(&ended, ".interrater/store.db is a folder: ");
    one_error(&context.annotate(&fake, &[]).with(2), ".interrater/store.db is a folder: ");
    assert!(fake.seen().is_empty());
}

#[test]
fn a_store_whose_end_is_missing_is_merged_with_a_word_about_that() {
    let context = Context::with_sessions(10, 30);
    context.annotate(&Fake::start(), &[]).with(0);
    let store = context.path().join(".interrater/store.db");
    let cut = context.path().join("cut.db");
    let bytes = std::fs::read(&store).unwrap();
    // Whole pages of 4,096 bytes: what is left looks like a store that was never longer.
    std::fs::write(&cut, &bytes[..bytes.len() / 2 / 4_096 * 4_096]).unwrap();
    let ended = context.run(&["cache", "merge", "cut.db", "--store", "new.db"]).with(1);
    assert!(ended.stderr.contains("of the file's end are missing"), "{}", ended.stderr);
    context.run(&["cache", "merge", ".interrater/store.db", "--store", "other.db"]).with(0);
}
