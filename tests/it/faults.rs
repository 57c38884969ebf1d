//! Faults of single requests: every unit ends in a true state, and its row says why.

use crate::context::{Context, asked_since, assert_whole, is_second, row, states, target};
use crate::fake::{Asked, Fake, Provider, Reply};
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Every tenth prompt of a session meets the same fault, whose first two pass.
fn one_in_ten(asked: &Asked) -> Reply {
    let first = asked.nth == 0;
    match target(asked).1 % 10 {
        1 if first => Reply::throttled(0),
        2 if first => Reply::status(500),
        3 if first => Reply::NotJson,
        4 if first => Reply::Reset,
        5 => Reply::Fenced,
        6 => Reply::Cut,
        7 => Reply::Refusal,
        8 => Reply::WrongSchema,
        9 if !is_second(asked) => Reply::WrongSchema,
        _ => Reply::Answer,
    }
}

#[test]
fn every_unit_ends_in_a_true_state_that_is_explained() {
    for (name, provider) in
        [("openai", Provider::OpenAi), ("anthropic", Provider::Anthropic), ("gemini", Provider::Gemini)]
    {
        let context = Context::with_sessions(6, 10);
        let fake = Fake::plan(one_in_ten).start();
        let (model, url) = (format!("{name}/some-model"), fake.base_url(provider));
        let arguments = ["annotate", "--model", &model, "--base-url", &url, "--concurrency", "32"];
        let ended = context.run(&arguments).with(1);
        assert!(ended.lines("error").is_empty(), "{}", ended.stderr);
        let rows = context.rows("mood");
        assert_whole(&rows, 6, 10);
        for session in 1..=6 {
            for prompt in 1..=10 {
                let row = row(&rows, session, prompt);
                let (status, detail, attempts) = match prompt {
                    1..=4 => ("ok", "", 2),
                    5 => ("repaired", "code fence", 1),
                    6 => ("truncated", "a length limit cut the answer", 1),
                    7 if provider == Provider::Gemini => ("refused", "PROHIBITED_CONTENT", 1),
                    7 => ("refused", "I cannot help with that.", 1),
                    8 => ("invalid", "asked again", 2),
                    9 => ("ok", "second answer", 2),
                    _ => ("ok", "", 1),
                };
                assert_eq!((&row["status"], &row["attempts"]), (&json!(status), &json!(attempts)), "{row}");
                match detail {
                    "" => assert!(row["detail"].is_null(), "{row}"),
                    detail => assert!(row["detail"].as_str().unwrap().contains(detail), "{row}"),
                }
                if matches!(prompt, 8 | 9) {
                    assert!(row["detail"].as_str().unwrap().contains("no such label"), "{row}");
                }
                assert_eq!(row["fields"].as_object().unwrap().is_empty(), matches!(prompt, 6..=8), "{row}");
                assert!(row["usage"]["input"].as_u64().unwrap() > 0, "what was answered is booked: {row}");
            }
        }
        assert_eq!(context.manifest("mood")["complete"], true);

        // All of it was answered and stored: nothing is asked again, whatever the state.
        let (asked, before) = (fake.seen().len(), context.files("runs"));
        context.run(&arguments).with(1);
        assert_eq!(fake.seen().len(), asked, "{name}");
        assert!(before == context.files("runs"), "{name}: a file of the run has changed");
    }
}

#[test]
fn faults_that_pass_and_forms_that_are_forgiven_are_no_trouble() {
    let context = Context::with_sessions(2, 6);
    let fake = Fake::plan(|asked| match (target(asked).1, asked.nth) {
        (1, 0) => Reply::status(503),
        (2, 0) => Reply::CutBody,
        (3, 0) => Reply::Empty,
        (4, _) => Reply::TrailingComma,
        (5, _) => Reply::WithProse,
        (6, _) if !is_second(asked) => Reply::Garbage,
        _ => Reply::Answer,
    })
    .start();
    context.annotate(&fake, &[]).with(0);
    let rows = context.rows("mood");
    assert_eq!(states(&rows).into_iter().collect::<Vec<_>>(), [("ok".to_owned(), 8), ("repaired".to_owned(), 4)]);
    for (prompt, detail) in [(4, "trailing comma"), (5, "text around"), (6, "no JSON object")] {
        assert!(row(&rows, 1, prompt)["detail"].as_str().unwrap().contains(detail));
    }
}

#[test]
fn a_server_that_asks_for_a_pause_gets_it() {
    let context = Context::with_sessions(1, 4);
    let fake = Fake::plan(|asked| if asked.index == 0 { Reply::throttled(1) } else { Reply::Answer }).start();
    context.annotate(&fake, &["--concurrency", "1"]).with(0);
    let seen = fake.seen();
    assert!(seen[1].asked.at - seen[0].asked.at >= Duration::from_secs(1));
    assert_eq!(seen.len(), 5);
}

#[test]
fn no_retries_means_that_each_request_is_sent_once() {
    let context = Context::with_sessions(2, 5);
    let fake = Fake::plan(|asked| match target(asked).1 {
        1 => Reply::status(500),
        2 => Reply::throttled(0),
        3 => Reply::Reset,
        4 => Reply::NotJson,
        _ => Reply::Answer,
    })
    .start();
    context.annotate(&fake, &["--max-retries", "0"]).with(1);
    assert_eq!(fake.counts().into_values().collect::<Vec<_>>(), [1; 10]);
    let rows = context.rows("mood");
    assert_whole(&rows, 2, 5);
    for (prompt, reason) in [(1, "HTTP 500"), (2, "HTTP 429"), (3, "connection"), (4, "no JSON")] {
        let row = row(&rows, 2, prompt);
        assert_eq!((&row["status"], &row["attempts"]), (&json!("failed"), &json!(1)), "{row}");
        let detail = row["detail"].as_str().unwrap();
        assert!(detail.starts_with("asked once") && detail.contains(reason), "{detail}");
    }
    assert_eq!(row(&rows, 1, 5)["status"], "ok");
}

#[test]
fn retries_end_and_the_next_run_asks_only_what_failed() {
    let healthy = Arc::new(AtomicBool::new(false));
    let context = Context::with_sessions(2, 5);
    let is_healthy = healthy.clone();
    let fake = Fake::plan(move |asked| {
        let broken = target(asked).1 == 2 && !is_healthy.load(Ordering::SeqCst);
        if broken { Reply::status(500) } else { Reply::Answer }
    })
    .start();
    context.annotate(&fake, &["--max-retries", "1"]).with(1);
    let rows = context.rows("mood");
    let failed = row(&rows, 1, 2);
    assert_eq!((&failed["status"], &failed["attempts"]), (&json!("failed"), &json!(2)));
    assert!(failed["detail"].as_str().unwrap().starts_with("asked 2 times; the last answer: HTTP 500"), "{failed}");
    assert_eq!(states(&rows)["ok"], 8);

    healthy.store(true, Ordering::SeqCst);
    let asked = fake.seen().len();
    context.annotate(&fake, &[]).with(0);
    let again: Vec<_> = fake.seen()[asked..].iter().map(|seen| target(&seen.asked)).collect();
    assert_eq!(again.len(), 2);
    assert!(again.contains(&(1, 2)) && again.contains(&(2, 2)));
    assert_eq!(states(&context.rows("mood"))["ok"], 10);
}

#[test]
fn a_server_that_never_answers_is_given_up() {
    let context = Context::with_sessions(1, 2);
    let fake = Fake::plan(|_| Reply::Hang(Duration::from_secs(3600))).start();
    context.annotate(&fake, &["--max-retries", "0", "--timeout", "1"]).with(1);
    for row in context.rows("mood") {
        assert_eq!(row["status"], "failed");
        assert!(row["detail"].as_str().unwrap().contains("no complete answer"), "{row}");
    }
}

#[test]
fn a_prompt_that_is_too_long_fails_alone() {
    let context = Context::with_sessions(1, 4);
    let body = json!({ "error": { "message": "This model's maximum context length is 10 tokens.", "type": "invalid_request_error",
        "param": "messages", "code": "context_length_exceeded" } });
    let fake = Fake::plan(move |asked| match target(asked).1 {
        4 => Reply::Status { code: 400, body: Some(body.to_string()), headers: Vec::new() },
        _ => Reply::Answer,
    })
    .start();
    context.annotate(&fake, &[]).with(1);
    let rows = context.rows("mood");
    assert_eq!(states(&rows)["ok"], 3);
    assert!(rows[3]["detail"].as_str().unwrap().starts_with("too long for the model"), "{}", rows[3]);
    assert_eq!(fake.seen().len(), 4);
}

#[test]
fn retry_failed_asks_again_where_the_stored_answer_is_of_no_use() {
    let healthy = Arc::new(AtomicBool::new(false));
    let context = Context::with_sessions(2, 5);
    let is_healthy = healthy.clone();
    let fake = Fake::plan(move |asked| match target(asked).1 {
        _ if is_healthy.load(Ordering::SeqCst) => Reply::Answer,
        1 => Reply::Cut,
        2 => Reply::Refusal,
        3 => Reply::WrongSchema,
        4 => Reply::Fenced,
        _ => Reply::Answer,
    })
    .start();
    context.annotate(&fake, &[]).with(1);
    healthy.store(true, Ordering::SeqCst);
    let asked = fake.seen().len();
    context.annotate(&fake, &[]).with(1);
    assert_eq!(fake.seen().len(), asked, "a plain repeat asks nothing");
    context.annotate(&fake, &["--retry-failed"]).with(0);
    let mut again: Vec<usize> = fake.seen()[asked..].iter().map(|seen| target(&seen.asked).1).collect();
    again.sort_unstable();
    assert_eq!(again, [1, 1, 2, 2, 3, 3]);
    assert_eq!(
        states(&context.rows("mood")).into_iter().collect::<Vec<_>>(),
        [("ok".to_owned(), 8), ("repaired".to_owned(), 2)]
    );
    // Two answers to each wrong one; the old ones are still there.
    assert_eq!(context.stored().len(), 12 + 6);
    assert_eq!(asked_since(&fake, 0).len(), 12 + 6);
}

#[test]
fn a_long_pause_for_one_unit_does_not_hold_the_others() {
    let context = Context::with_sessions(2, 10);
    let fake = Fake::plan(|asked| if target(asked) == (1, 3) { Reply::throttled(89) } else { Reply::Answer }).start();
    let mut running = context.start_annotating(&fake, &["--concurrency", "2", "--max-retries", "1"]);
    running.until("the answers to all others", || context.stored().len() == 19);
    running.signal("INT");
    running.end().with(130);
    assert_eq!(states(&context.rows("mood")).into_iter().collect::<Vec<_>>(), [("ok".to_owned(), 19)]);
    assert_eq!(fake.seen().len(), 20);
}

#[test]
fn units_that_a_server_never_answers_are_no_outage_when_they_are_the_last_ones() {
    let context = Context::with_sessions(2, 30);
    context.write("config.toml", "[input]\nsessions = [\"sessions\"]\n[annotate]\npatience = 5\n");
    // Of 60 units 15 make the server fail, whenever they come: at last there are no others.
    let is_odd = |(session, prompt): (usize, usize)| session == 1 && prompt % 2 == 1;
    let fake = Fake::plan(move |asked| if is_odd(target(asked)) { Reply::status(500) } else { Reply::Answer }).start();
    let ended = context.annotate(&fake, &["--max-retries", "2", "--concurrency", "8"]).with(1);
    assert!(ended.lines("note").is_empty(), "{}", ended.stderr);
    let rows = context.rows("mood");
    assert_whole(&rows, 2, 30);
    assert_eq!((states(&rows)["ok"], states(&rows)["failed"]), (45, 15));
    assert!(rows.iter().filter(|row| row["status"] == "failed").all(|row| row["attempts"] == 3));
}
