//! `annotate --group session` where answers lack something, are cut or refused, or do not come.

use crate::context::{asked_since, assert_once, assert_whole, row, states, typed};
use crate::fake::{Fake, Reply};
use crate::group::{annotate, answer, entry, listed, project, requests, tokens};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::Duration;

#[test]
fn what_an_answer_lacks_is_asked_for_once_more_together() {
    let context = project(1, 6);
    let fake = Fake::plan(|asked| {
        let all = |numbers: &[u32]| {
            Reply::Text(json!({ "answers": numbers.iter().map(|n| entry(*n)).collect::<Vec<_>>() }).to_string())
        };
        match asked.index {
            // 5 is missing, 7 is there twice, 99 is nobody's.
            0 => all(&[1, 3, 7, 7, 9, 11, 99]),
            // 5 is missing again.
            _ => all(&[7]),
        }
    })
    .start();
    annotate(&context, &fake, &[]).with(1);
    let seen = fake.seen();
    assert_eq!((seen.len(), listed(&seen[1].asked)), (2, vec![5, 7]));
    let complaint = "Your answer could not be used: event 5: there is no entry for it; event 7: there are 2 entries for it; there is also an entry \
                     for `unit` 99.";
    assert!(seen[1].asked.prompt.contains(complaint), "{}", seen[1].asked.prompt);
    let rows = context.rows("mood");
    assert_whole(&rows, 1, 6);
    let state = |prompt| {
        (
            row(&rows, 1, prompt)["status"].as_str().unwrap(),
            row(&rows, 1, prompt)["detail"].as_str().unwrap_or_default(),
        )
    };
    assert_eq!(state(1), ("repaired", "left out an entry for `unit` 99"));
    let (status, detail) = state(3);
    assert_eq!(status, "invalid");
    assert!(
        detail.starts_with("there is no entry for it; ") && detail.ends_with("asked again: there is no entry for it"),
        "{detail}"
    );
    assert_eq!(state(4).0, "ok");
    assert!(
        state(4).1.starts_with("second answer; the first could not be used: there are 2 entries for it"),
        "{}",
        state(4).1
    );
    let (stored, booked) = tokens(&context, &rows);
    assert_eq!((stored, requests(&rows)), (booked, 2));
    // The same, free.
    let before = context.files("runs");
    annotate(&context, &fake, &[]).with(1);
    assert!(before == context.files("runs") && fake.seen().len() == 2);
}

#[test]
fn an_answer_that_is_none_is_asked_for_again_as_a_whole() {
    let context = project(1, 3);
    let fake = Fake::plan(|asked| if asked.index == 0 { Reply::Garbage } else { Reply::Fenced }).answer(answer).start();
    annotate(&context, &fake, &[]).with(0);
    assert_eq!(listed(&fake.seen()[1].asked), [1, 3, 5]);
    let rows = context.rows("mood");
    assert_eq!(states(&rows), BTreeMap::from([("repaired".to_owned(), 3)]));
    assert!(rows[0]["detail"].as_str().unwrap().contains("there is no JSON object in the answer"));
}

#[test]
fn what_a_length_limit_cuts_is_asked_for_in_smaller_groups() {
    let context = project(1, 9);
    let fake = Fake::plan(|asked| if asked.index == 0 { Reply::Cut } else { Reply::Answer }).answer(answer).start();
    annotate(&context, &fake, &[]).with(0);
    let seen = fake.seen();
    let whole = 9 - listed(&seen[1].asked).len();
    assert!((3..=5).contains(&whole), "{whole}");
    assert_eq!(seen.len(), 2, "what is left is no more than half");
    let rows = context.rows("mood");
    assert_whole(&rows, 1, 9);
    assert_eq!(states(&rows), BTreeMap::from([("ok".to_owned(), 9)]));
    for (at, row) in rows.iter().enumerate() {
        assert_eq!(row["fields"]["reason"], format!("event {}", 2 * at + 1));
        assert_eq!(row["detail"].is_string(), at >= whole, "{row}");
    }
    let (stored, booked) = tokens(&context, &rows);
    assert_eq!((stored, requests(&rows)), (booked, 2));
}

#[test]
fn a_prompt_whose_answer_is_cut_even_alone_is_truncated_and_the_others_are_not() {
    let context = project(1, 8);
    // The answer on event 5 is too long for any limit.
    let fake = Fake::plan(|asked| match listed(asked).contains(&5) {
        true => Reply::Cut,
        false => Reply::Answer,
    })
    .answer(|asked, _| {
        let mut entries: Vec<Value> = listed(asked).into_iter().map(entry).collect();
        for long in entries.iter_mut().filter(|entry| entry["unit"] == 5) {
            long["reason"] = json!("on and on ".repeat(1_000));
        }
        json!({ "answers": entries })
    })
    .start();
    annotate(&context, &fake, &[]).with(1);
    let rows = context.rows("mood");
    assert_eq!(states(&rows), BTreeMap::from([("ok".to_owned(), 7), ("truncated".to_owned(), 1)]));
    assert_eq!(row(&rows, 1, 3)["status"], "truncated");
    assert!(fake.seen().len() < 8, "{}", fake.seen().len());
    let (stored, booked) = tokens(&context, &rows);
    assert_eq!(stored, booked);

    // Only the request that left it so is sent again.
    let before = fake.seen().len();
    annotate(&context, &fake, &["--retry-failed"]).with(1);
    let again: Vec<Vec<u32>> = fake.seen()[before..].iter().map(|seen| listed(&seen.asked)).collect();
    assert_eq!(again, [[5]]);
}

#[test]
fn a_refusal_holds_for_its_group_and_can_be_asked_again() {
    let context = project(3, 4);
    let fake = Fake::plan(|asked| match asked.prompt.contains(&typed(2, 1)) && asked.nth == 0 {
        true => Reply::Refusal,
        false => Reply::Answer,
    })
    .answer(answer)
    .start();
    annotate(&context, &fake, &[]).with(1);
    let rows = context.rows("mood");
    assert_eq!(states(&rows), BTreeMap::from([("ok".to_owned(), 8), ("refused".to_owned(), 4)]));
    assert!(row(&rows, 2, 1)["detail"].as_str().unwrap().starts_with("asked for with 3 other prompts: "));
    annotate(&context, &fake, &["--retry-failed"]).with(0);
    assert_eq!(fake.seen().len(), 4);
    assert_eq!(states(&context.rows("mood")), BTreeMap::from([("ok".to_owned(), 12)]));
    annotate(&context, &fake, &["--refresh"]).with(0);
    assert_eq!(fake.seen().len(), 7);
}

#[test]
fn a_request_without_an_answer_costs_what_nobody_knows() {
    let context = project(2, 3);
    let fake = Fake::plan(|asked| match asked.prompt.contains(&typed(1, 1)) {
        true => Reply::status(500),
        false => Reply::Answer,
    })
    .answer(answer)
    .start();
    annotate(&context, &fake, &["--max-retries", "1"]).with(1);
    let rows = context.rows("mood");
    assert_eq!(states(&rows), BTreeMap::from([("failed".to_owned(), 3), ("ok".to_owned(), 3)]));
    for prompt in 1..=3 {
        let failed = row(&rows, 1, prompt);
        assert_eq!((&failed["usage"], &failed["cost_usd"]), (&Value::Null, &Value::Null));
    }
    assert_eq!(requests(&rows), 3);
}

#[test]
fn what_was_settled_before_the_end_keeps_its_row() {
    let context = project(1, 4);
    // The first answer lacks the last prompt; then nothing can be asked any more.
    let fake = Fake::plan(|asked| match asked.index {
        0 => Reply::Text(json!({ "answers": [entry(1), entry(3), entry(5)] }).to_string()),
        1 => Reply::status(401),
        _ => Reply::Answer,
    })
    .answer(answer)
    .start();
    annotate(&context, &fake, &[]).with(2);
    let rows = context.rows("mood");
    assert_eq!(rows.len(), 3);
    assert_eq!(context.manifest("mood")["complete"], false);
    annotate(&context, &fake, &[]).with(0);
    assert_whole(&context.rows("mood"), 1, 4);
    assert_eq!(fake.seen().len(), 3, "what was answered is not asked for again");
}

#[test]
fn a_server_without_structured_output_answers_groups_as_well() {
    let context = project(1, 4);
    let fake = Fake::plan(|_| Reply::WithProse)
        .answer(|asked, _| json!({ "answers": listed(asked).into_iter().map(entry).collect::<Vec<_>>() }))
        .refuses("response_format")
        .start();
    annotate(&context, &fake, &[]).with(0);
    assert_eq!(fake.complaints().len(), 1);
    assert!(fake.seen()[1].asked.prompt.contains("fits this JSON schema"));
    assert_eq!(states(&context.rows("mood")), BTreeMap::from([("repaired".to_owned(), 4)]));
}

#[test]
fn an_interrupted_run_goes_on_where_it_ended() {
    let context = project(20, 3);
    let fake = Fake::plan(|_| Reply::Answer).answer(answer).delay(Duration::from_millis(30)).start();
    let mut running = context.start_annotating(&fake, &["--group", "session", "--concurrency", "2"]);
    running.until("some sessions are answered", || fake.asked() >= 5);
    running.signal("INT");
    running.end().with(130);
    let rows = context.rows("mood");
    assert!(rows.len().is_multiple_of(3) && rows.len() < 60, "{}", rows.len());
    assert_eq!(rows.len() / 3, fake.asked(), "what was under way is waited for");
    annotate(&context, &fake, &[]).with(0);
    assert_whole(&context.rows("mood"), 20, 3);
    assert_once(&asked_since(&fake, 0));
}

#[test]
fn a_cap_on_money_holds_for_groups() {
    let context = project(4, 3);
    let fake = Fake::plan(|_| Reply::Answer).answer(answer).start();
    // Less than one request may cost at most.
    annotate(&context, &fake, &["--max-cost", "0.01"]).with(4);
    assert!(fake.seen().is_empty() && context.rows("mood").is_empty());
    annotate(&context, &fake, &["--max-cost", "5"]).with(0);
    assert_whole(&context.rows("mood"), 4, 3);
}
