//! Ends from outside amid a submission or a collection: nothing is submitted twice unasked, nothing that came back is lost.

use crate::batch::{PROVIDERS, annotate, jobs, model, project, start, submit};
use crate::context::{Context, Running, assert_once, states};
use crate::fake::Provider;
use crate::fake::batches::{Act, Batches, Fate};
use serde_json::json;
use std::fs;

fn ended(provider: Provider) -> &'static str {
    if provider == Provider::OpenAi { "completed" } else { "ended" }
}

/// A server that does this the first time that it is called so.
fn once(what: &'static str, act: Act) -> Batches {
    Batches::plan(move |called| if called.what == what && called.nth == 0 { act } else { Act::Do })
}

/// Submits, and kills the process once the server was called so.
fn killed_at(context: &Context, server: &Batches, provider: Provider, what: &'static str) {
    let mut running = start(context, server, provider, &["batch", "submit"], &[]);
    running.until(what, || server.calls(what) == 1);
    running.kill();
}

#[test]
fn a_job_that_had_arrived_when_its_process_was_killed_is_found_at_openai() {
    let context = project(2, 5);
    let server = once("create", Act::DoAndHang);
    let mut running = start(&context, &server, Provider::OpenAi, &["batch", "submit"], &[]);
    running.until("a batch", || server.sizes() == [10]);
    running.kill();
    // Batches of others: the list has several pages.
    for _ in 0..3 {
        submit(&project(1, 1), &server, Provider::OpenAi, &[]).with(0);
    }
    let told = submit(&context, &server, Provider::OpenAi, &["--json"]).with(0);
    assert_eq!(told.lines("note: job b").len(), 1, "{}", told.stderr);
    let told = told.json();
    assert_eq!((&told["requests"], &told["under_way"], &told["unconfirmed"]), (&json!(0), &json!(10), &json!([])));
    assert_eq!(server.sizes(), [10, 1, 1, 1]);
    let job = jobs(&context).remove(0);
    assert_eq!((&job["state"], &job["remote"]), (&json!("submitted"), &json!("batch_1")));
    server.end("completed", |_| Fate::Answer);
    context.run(&["batch", "collect"]).with(0);
    annotate(&context, &server, Provider::OpenAi, &[]).with(0);
    assert_eq!((states(&context.rows("mood"))["ok"], server.direct()), (10, 0));
}

#[test]
fn a_job_that_had_arrived_is_found_at_anthropic_once_its_results_tell() {
    let context = project(2, 5);
    let server = once("create", Act::DoAndHang);
    let mut running = start(&context, &server, Provider::Anthropic, &["batch", "submit"], &[]);
    running.until("a batch", || server.sizes() == [10]);
    running.kill();
    // Another batch of as many requests.
    let other = project(2, 5);
    other.session(
        1,
        &["request 1-1.".to_owned(), "another.".to_owned(), "third.".to_owned(), "4".to_owned(), "5".to_owned()],
    );
    other.session(2, &["6".to_owned(), "7".to_owned(), "8".to_owned(), "9".to_owned(), "10".to_owned()]);
    submit(&other, &server, Provider::Anthropic, &[]).with(0);
    assert_eq!(server.sizes(), [10, 10]);

    let told = submit(&context, &server, Provider::Anthropic, &["--json"]).with(1);
    assert_eq!(told.lines("warning: nobody knows whether the server took job b").len(), 1, "{}", told.stderr);
    let told = told.json();
    assert_eq!((&told["requests"], &told["under_way"]), (&json!(0), &json!(10)));
    assert_eq!(
        told["unconfirmed"][0]["message"],
        "it may be msgbatch_2 or msgbatch_1, which is told when that has ended"
    );
    assert_eq!(jobs(&context)[0]["state"], "unconfirmed");
    server.end("ended", |_| Fate::Answer);
    context.run(&["batch", "collect"]).with(0);
    assert_eq!((context.stored().len(), server.sizes().len()), (10, 2));
    annotate(&context, &server, Provider::Anthropic, &[]).with(0);
    assert_eq!((states(&context.rows("mood"))["ok"], server.direct()), (10, 0));
}

#[test]
fn a_job_that_nobody_can_find_is_sent_again_only_when_somebody_says_so() {
    for provider in PROVIDERS {
        let context = project(1, 5);
        let server = once("create", Act::Hang);
        killed_at(&context, &server, provider, "create");
        for _ in 0..2 {
            let told = submit(&context, &server, provider, &["--json"]).with(1).json();
            assert_eq!((&told["requests"], &told["under_way"], server.sizes().len()), (&json!(0), &json!(5), 0));
        }
        let job = jobs(&context).remove(0);
        assert_eq!((&job["state"], &job["remote"]), (&json!("unconfirmed"), &json!(null)));
        context.run(&["batch", "collect"]).with(1);
        let id = job["id"].as_str().unwrap();
        let told = submit(&context, &server, provider, &["--resubmit", id, "--json"]).with(0).json();
        assert_eq!((&told["requests"], server.sizes()), (&json!(5), vec![5]));
        let again = submit(&context, &server, provider, &["--resubmit", id]).with(2);
        assert_eq!(again.lines("error: job `b").len(), 1, "{}", again.stderr);
        submit(&context, &server, provider, &["--resubmit", "nothing"]).with(2);
    }
}

#[test]
fn what_had_not_left_when_the_process_was_killed_is_free() {
    let context = project(1, 5);
    let server = once("upload", Act::Hang);
    killed_at(&context, &server, Provider::OpenAi, "upload");
    assert_eq!(jobs(&context)[0]["state"], "dropped");
    let told = submit(&context, &server, Provider::OpenAi, &["--json"]).with(0).json();
    assert_eq!((&told["requests"], server.sizes()), (&json!(5), vec![5]));
    let left: Vec<_> = fs::read_dir(context.path().join(".interrater/batch")).unwrap().collect();
    assert_eq!(left.len(), 1, "the inputs are removed: {left:?}");
}

#[test]
fn an_answer_that_was_lost_is_looked_for_at_once() {
    for act in [Act::DoAndReset, Act::Cut, Act::Half] {
        let context = project(1, 5);
        let server = once("create", act);
        submit(&context, &server, Provider::OpenAi, &[]).with(0);
        assert_eq!((server.sizes(), server.calls("create"), server.calls("list")), (vec![5], 1, 1), "{act:?}");
        assert_eq!(jobs(&context)[0]["state"], "submitted");
    }
    for act in [Act::Status(500), Act::Status(504), Act::DoAndReset] {
        let context = project(1, 5);
        let server = once("create", act);
        let told = submit(&context, &server, Provider::Anthropic, &[]).with(2);
        assert_eq!(told.lines("error: nobody knows whether the server took job b").len(), 1, "{}", told.stderr);
        assert_eq!(server.calls("create"), 1, "{act:?}");
    }
    for (act, calls) in [(Act::Status(529), 2), (Act::Wait(429, 0), 2), (Act::Status(400), 1), (Act::Status(413), 1)] {
        let context = project(1, 5);
        let server = once("create", act);
        let told = submit(&context, &server, Provider::Anthropic, &[]);
        assert_eq!((told.code, server.calls("create")), (Some(if calls == 2 { 0 } else { 2 }), calls), "{act:?}");
        let told = submit(&context, &server, Provider::Anthropic, &["--json"]).with(0).json();
        assert_eq!(told["requests"], if calls == 2 { 0 } else { 5 }, "{act:?}");
    }
}

#[test]
fn results_that_are_cut_are_fetched_again() {
    for provider in PROVIDERS {
        for act in [Act::Cut, Act::Half] {
            let context = project(3, 10);
            let server = once("fetch", act);
            submit(&context, &server, provider, &[]).with(0);
            server.end(ended(provider), |_| Fate::Answer);
            let told = context.run(&["batch", "collect", "--json"]).with(1).json();
            assert_eq!(told["jobs"][0]["job"]["state"], "submitted", "{act:?} {told}");
            assert!(told["jobs"][0]["trouble"].as_str().unwrap().contains("its results"), "{told}");
            let before = context.stored().len();
            assert!(before < 30, "{before}");
            let told = submit(&context, &server, provider, &["--json"]).with(0).json();
            assert_eq!(told["requests"], 0, "what may still come is not asked again");
            let told = context.run(&["batch", "collect", "--json"]).with(0).json();
            let gathered = &told["jobs"][0]["gathered"];
            assert_eq!((&gathered["stored"], &gathered["known"]), (&json!(30 - before), &json!(before)), "{told}");
            assert_eq!((&told["jobs"][0]["job"]["state"], context.stored().len()), (&json!("collected"), 30));
        }
        // A connection that breaks before the first byte is simply tried again.
        let context = project(1, 5);
        let server = once("fetch", Act::DoAndReset);
        submit(&context, &server, provider, &[]).with(0);
        server.end(ended(provider), |_| Fate::Answer);
        context.run(&["batch", "collect"]).with(0);
        assert_eq!((server.calls("fetch"), context.stored().len()), (2, 5));
    }
}

#[test]
fn a_collection_that_is_killed_goes_on_where_it_ended() {
    for provider in PROVIDERS {
        let context = project(20, 30);
        let server = once("fetch", Act::Stall(400));
        submit(&context, &server, provider, &[]).with(0);
        server.end(ended(provider), |_| Fate::Answer);
        let mut running = context.start(&["batch", "collect"]);
        running.until("the first answers", || context.stored().len() >= 256);
        running.kill();
        let before = context.stored().len();
        assert!((256..600).contains(&before), "{before}");
        let told = context.run(&["batch", "collect", "--json"]).with(0).json();
        let gathered = &told["jobs"][0]["gathered"];
        assert_eq!((&gathered["stored"], &gathered["known"]), (&json!(600 - before), &json!(before)));
        let job = &told["jobs"][0]["job"];
        assert_eq!((&job["answered"], &job["failed"], &job["state"]), (&json!(600), &json!(0), &json!("collected")));
        let keys: Vec<String> = context.stored().into_iter().map(|(key, _)| key).collect();
        assert_once(&keys);
        annotate(&context, &server, provider, &["--quiet"]).with(0);
        assert_eq!((keys.len(), states(&context.rows("mood"))["ok"], server.direct()), (600, 600, 0));
    }
}

#[test]
fn two_submissions_at_once_share_no_request() {
    let context = project(10, 20);
    let server = Batches::start();
    let running: Vec<Running> =
        (0..4).map(|_| start(&context, &server, Provider::OpenAi, &["batch", "submit"], &["--quiet"])).collect();
    let ended: Vec<_> = running.into_iter().map(Running::end).collect();
    for ended in &ended {
        let busy = ended.lines("error: another process is handing over requests").len() == 1;
        assert!(ended.code == Some(0) || (ended.code == Some(2) && busy), "{ended:?}");
    }
    assert!(ended.iter().any(|ended| ended.code == Some(0)));
    assert_eq!(server.sizes().iter().sum::<usize>(), 200);
    assert_once(&server.custom_ids());
}

#[test]
fn a_job_whose_batch_is_gone_is_told_and_can_be_given_up() {
    let context = project(1, 5);
    {
        let server = Batches::start();
        submit(&context, &server, Provider::OpenAi, &[]).with(0);
        let told = context.run(&["batch", "status"]).with(0);
        assert!(told.stdout.contains("validating 0/5"), "{}", told.stdout);
        server.move_on("in_progress");
        assert!(context.run(&["batch", "status"]).stdout.contains("in_progress 0/5"));
    }
    // Nobody is there any more.
    context.write("config.toml", &format!("{}\n[annotate]\nmax_retries = 0\n", context.read("config.toml")));
    let told = context.run(&["batch", "collect"]).with(1);
    assert!(told.stderr.contains("cannot connect"), "{}", told.stderr);
    let job = jobs(&context).remove(0);
    assert_eq!((&job["state"], &job["model"]), (&json!("submitted"), &json!(model(Provider::OpenAi))));
    let server = Batches::start();
    let told =
        submit(&context, &server, Provider::OpenAi, &["--resubmit", job["id"].as_str().unwrap(), "--json"]).with(0);
    assert_eq!(told.json()["requests"], 5);
}
