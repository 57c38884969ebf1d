//! Ends that come from outside: kills, signals, a second process. No answer is lost and none is asked for twice.

use crate::context::{Context, Running, asked_since, assert_once, assert_whole, states};
use crate::fake::{Fake, Reply};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

const CONCURRENCY: usize = 16;

/// A server whose every answer names the request that it belongs to, so that the store tells what it holds.
fn signing(delay: u64) -> Fake {
    Fake::plan(|_| Reply::Answer)
        .delay(Duration::from_millis(delay))
        .answer(|asked, _| json!({ "reason": format!("of {}.", asked.hash), "label": "calm" }))
        .start()
}

/// The requests whose answers are in the store.
fn stored(context: &Context) -> BTreeSet<String> {
    let signature = regex::Regex::new("of ([0-9a-f]{16})\\.").unwrap();
    let bodies = context.stored();
    let signed: BTreeSet<String> =
        bodies.iter().map(|(_, body)| signature.captures(body).unwrap()[1].to_owned()).collect();
    assert_eq!(signed.len(), bodies.len(), "an answer is stored twice");
    signed
}

#[test]
fn a_run_that_is_killed_again_and_again_asks_for_no_stored_answer() {
    let context = Context::with_sessions(100, 20);
    let fake = signing(10);
    let concurrency = CONCURRENCY.to_string();
    let start = || context.start_annotating(&fake, &["--quiet", "--concurrency", &concurrency]);
    let mut random = ChaCha8Rng::seed_from_u64(11);
    let (mut kills, mut held) = (0, Vec::new());
    for attempt in 0..25 {
        held.push((fake.asked(), stored(&context)));
        let mut running = start();
        // Now and then it dies before it has asked anything; else amid its requests.
        if attempt % 4 != 3 {
            let before = fake.asked();
            // Or ends, where there is nothing left to ask.
            for _ in 0..5_000 {
                if fake.asked() > before || running.ends_within(Duration::from_millis(2)) {
                    break;
                }
            }
        }
        if running.ends_within(Duration::from_millis(50 + random.next_u64() % 550)) {
            running.end().with(0);
            break;
        }
        running.kill();
        kills += 1;
    }
    held.push((fake.asked(), stored(&context)));
    start().end().with(0);

    let grown = held.windows(2).filter(|pair| pair[0].1.len() < pair[1].1.len() && pair[1].1.len() < 2000).count();
    assert!(grown >= 2, "the run was too short to be killed amid its requests: {kills} kills, {grown}");
    assert_whole(&context.rows("mood"), 100, 20);
    assert_eq!(states(&context.rows("mood"))["ok"], 2000);
    assert_eq!(stored(&context).len(), 2000);
    assert_eq!(fake.complaints(), Vec::<String>::new());
    let seen = asked_since(&fake, 0);
    for (from, known) in &held {
        let again = seen[*from..].iter().filter(|hash| known.contains(*hash)).count();
        assert_eq!(again, 0, "stored answers were asked for again");
    }
    let counts: BTreeMap<String, usize> = fake.counts();
    assert_eq!(counts.len(), 2000);
    let repeats = seen.len() - counts.len();
    assert!(repeats <= kills * CONCURRENCY, "{repeats} requests were sent again after {kills} kills");
}

/// That a signal in the middle of a run ends it cleanly.
fn ends_cleanly(signal: &str) {
    let context = Context::with_sessions(10, 20);
    let fake = signing(40);
    let mut running = context.start_annotating(&fake, &["--concurrency", "8"]);
    running.until("30 requests", || fake.asked() >= 30);
    running.signal(signal);
    let ended = running.end().with(130);
    assert_eq!(ended.lines("stopping: waiting for").len(), 1, "{}", ended.stderr);
    assert!(ended.lines("error").is_empty(), "{}", ended.stderr);
    // Each request that was sent has been waited for, and each answer has a row.
    let asked = fake.seen().len();
    assert!((30..200).contains(&asked), "{asked}");
    assert_eq!(stored(&context).len(), asked);
    let rows = context.rows("mood");
    assert_eq!((rows.len(), states(&rows)["ok"]), (asked, asked));
    let manifest = context.manifest("mood");
    assert_eq!((&manifest["complete"], &manifest["totals"]["units"]), (&json!(false), &json!(200)));

    context.start_annotating(&fake, &["--concurrency", "32"]).end().with(0);
    assert_whole(&context.rows("mood"), 10, 20);
    assert_once(&asked_since(&fake, 0));
    assert_eq!(context.manifest("mood")["complete"], true);
}

#[test]
fn ctrl_c_waits_for_what_is_under_way_and_the_next_run_goes_on() {
    ends_cleanly("INT");
}

#[test]
fn a_request_to_terminate_is_honoured_alike() {
    ends_cleanly("TERM");
}

#[test]
fn a_second_ctrl_c_drops_what_is_under_way() {
    let context = Context::with_sessions(1, 20);
    let fake = Fake::plan(|asked| if asked.index < 4 { Reply::Answer } else { Reply::Hang(Duration::from_secs(3600)) })
        .start();
    let mut running = context.start_annotating(&fake, &["--concurrency", "4"]);
    running.until("4 answers and 4 that hang", || fake.asked() >= 8 && context.stored().len() >= 4);
    running.signal("INT");
    assert!(!running.ends_within(Duration::from_millis(300)), "answers under way are paid for: the first one waits");
    running.signal("INT");
    assert!(running.ends_within(Duration::from_secs(10)), "the second one does not wait");
    let ended = running.end().with(130);
    assert_eq!(ended.lines("stopping: waiting for 4 answers").len(), 1, "{}", ended.stderr);
    assert_eq!(states(&context.rows("mood"))["ok"], 4);
}

#[test]
fn an_interruption_does_not_wait_for_retries() {
    let context = Context::with_sessions(1, 4);
    let fake = Fake::plan(|asked| if asked.index < 1 { Reply::Answer } else { Reply::throttled(60) }).start();
    let mut running = context.start_annotating(&fake, &["--concurrency", "2"]);
    running.until("a request that is to come again", || fake.asked() >= 2 && context.stored().len() == 1);
    running.signal("INT");
    assert!(running.ends_within(Duration::from_secs(10)), "it waits for a pause that the server asked for");
    running.end().with(130);
    assert_eq!(context.rows("mood").len(), 1);
}

#[test]
fn two_processes_do_not_write_one_run() {
    let context = Context::with_sessions(2, 10);
    let fake = Fake::plan(|_| Reply::Hang(Duration::from_secs(3600))).start();
    let mut first = context.start_annotating(&fake, &[]);
    first.until("requests of the first", || !fake.seen().is_empty());
    let second = context.annotate(&fake, &[]).with(2);
    assert_eq!(second.lines("error: another process is writing").len(), 1, "{}", second.stderr);
    assert_eq!(second.lines("hint: wait for it, or name this run with --run").len(), 1, "{}", second.stderr);
    first.kill();
    // The lock dies with its holder.
    let healthy = Fake::start();
    context.annotate(&healthy, &[]).with(0);
    assert_whole(&context.rows("mood"), 2, 10);
}

#[test]
fn two_processes_share_one_store() {
    let context = Context::with_sessions(10, 20);
    let fake = signing(2);
    let running: Vec<Running> = ["one", "two"]
        .iter()
        .map(|name| context.start_annotating(&fake, &["--run", name, "--concurrency", "16"]))
        .collect();
    for running in running {
        running.end().with(0);
    }
    for name in ["one", "two"] {
        assert_whole(&context.rows(name), 10, 20);
        assert_eq!(states(&context.rows(name))["ok"], 200);
    }
    assert_eq!(stored(&context).len(), 200);
    let fields = |name: &str| -> Vec<_> { context.rows(name).iter().map(|row| row["fields"].clone()).collect() };
    assert_eq!(fields("one"), fields("two"), "both use the answer that is stored");
    assert!(fake.counts().into_values().all(|count| count <= 2));
}
