//! Votes of hand-made samples.

use super::*;
use crate::answer::Evidence;
use crate::material::Coverage;
use crate::run::Status;
use crate::session::SessionId;
use crate::unit::UnitId;
use serde_json::json;

fn row(unit: &str, sample: u32, status: Status, fields: Value) -> Annotation {
    let Value::Object(fields) = fields else { panic!("fields are an object") };
    Annotation {
        unit: UnitId::from_text(unit),
        session: SessionId::of_unit(unit),
        task: "all".to_owned(),
        rater: "m".to_owned(),
        sample,
        status,
        detail: None,
        fields,
        evidence: vec![],
        coverage: Coverage { tokens: 1.0, prompts: 1.0 },
        usage: Some(Usage { input: 10, output: 1 + u64::from(sample), ..Usage::default() }),
        cost_usd: Some(0.5),
        cached: sample > 0,
        attempts: 1,
        latency_ms: 100,
    }
}

/// The vote of samples with these fields, all answered.
fn vote(fields: &[Value]) -> Vote {
    let rows: Vec<Annotation> = fields
        .iter()
        .enumerate()
        .map(|(sample, fields)| row("codex:s#1", sample as u32, Status::Ok, fields.clone()))
        .collect();
    voting().vote(&rows).unwrap()
}

fn voting() -> Voting {
    Voting::new(&Codebook::with_every_type())
}

fn agreement(vote: &Vote, name: &str) -> Agreement {
    let at = voting().columns().iter().position(|column| column.name() == name).unwrap();
    vote.agreement[at]
}

fn close(a: Option<f64>, b: f64) -> bool {
    a.is_some_and(|a| (a - b).abs() < 1e-12)
}

#[test]
fn every_measured_field_and_part_is_voted_on() {
    let names: Vec<String> = voting().columns().iter().map(VoteColumn::name).collect();
    assert_eq!(names[..5], ["label", "topics", "score", "hours", "urgent"]);
    assert!(names.contains(&"phases.reading".to_owned()) && names.contains(&"checks.tests_run".to_owned()));
    assert!(!names.contains(&"reason".to_owned()) && !names.contains(&"proof".to_owned()));
}

#[test]
fn the_most_frequent_label_wins_and_on_a_tie_the_one_that_came_first() {
    let of = |labels: &[&str]| vote(&labels.iter().map(|label| json!({ "label": label })).collect::<Vec<_>>());
    let clear = of(&["no", "yes", "yes"]);
    assert_eq!(clear.row.fields["label"], "yes");
    assert!(close(agreement(&clear, "label").share, 2.0 / 3.0) && !agreement(&clear, "label").tied);
    assert_eq!(clear.row.detail, None);
    let tie = of(&["on", "no", "no", "on"]);
    assert_eq!(tie.row.fields["label"], "on");
    assert!(close(agreement(&tie, "label").share, 0.5) && agreement(&tie, "label").tied);
    assert_eq!(tie.row.detail.as_deref(), Some("a tie in label: the answer that came first stands"));
    // The first sample is not among those that are tied.
    assert_eq!(of(&["on", "yes", "no", "no", "yes"]).row.fields["label"], "yes");
}

#[test]
fn samples_without_an_answer_do_not_vote_and_agree_with_nothing() {
    let rows = [
        row("codex:s#1", 0, Status::Invalid, json!({})),
        row("codex:s#1", 1, Status::Ok, json!({ "label": "no" })),
        row("codex:s#1", 2, Status::Refused, json!({})),
        row("codex:s#1", 3, Status::Repaired, json!({ "label": "no" })),
    ];
    let some = voting().vote(&rows).unwrap();
    assert_eq!((some.samples, some.answered, some.row.status, some.row.sample), (4, 2, Status::Ok, 1));
    assert_eq!(some.row.fields["label"], "no");
    assert!(close(agreement(&some, "label").share, 0.5));
    assert_eq!(some.row.detail.as_deref(), Some("2 of 4 samples have no answer (invalid, refused)"));
    let none = voting().vote(&[rows[2].clone(), rows[0].clone()]).unwrap();
    assert_eq!((none.row.status, none.answered, agreement(&none, "label").share), (Status::Refused, 0, None));
    assert!(none.row.fields.is_empty());
    assert_eq!(voting().vote(&[]), None);
}

#[test]
fn each_of_several_labels_needs_more_than_half() {
    let three =
        vote(&[json!({ "topics": ["ui", "db"] }), json!({ "topics": ["db"] }), json!({ "topics": ["db", "ui"] })]);
    assert_eq!(three.row.fields["topics"], json!(["ui", "db"]));
    assert!(close(agreement(&three, "topics").share, 2.0 / 3.0) && !agreement(&three, "topics").tied);
    let two = vote(&[json!({ "topics": ["ui"] }), json!({ "topics": ["db"] })]);
    assert_eq!(two.row.fields["topics"], json!(["ui"]), "half of them: as the first sample");
    assert!(agreement(&two, "topics").tied && close(agreement(&two, "topics").share, 0.5));
    let none = vote(&[json!({ "topics": [] }), json!({ "topics": [] }), json!({ "topics": ["ui"] })]);
    assert_eq!(none.row.fields["topics"], json!([]));
}

#[test]
fn numbers_are_averaged() {
    let mean = vote(&[
        json!({ "score": 70, "hours": 1.5 }),
        json!({ "score": 71, "hours": 2.0 }),
        json!({ "score": 75, "hours": 4 }),
    ]);
    assert_eq!((&mean.row.fields["score"], &mean.row.fields["hours"]), (&json!(72), &json!(2.5)));
    assert!(close(agreement(&mean, "score").sd, 7f64.sqrt()));
    assert_eq!((agreement(&mean, "score").share, agreement(&mean, "score").tied), (None, false));
    let half = vote(&[json!({ "score": 70 }), json!({ "score": 71 })]);
    assert_eq!(half.row.fields["score"], 71, "a whole number, as the codebook has it");
    let parts = vote(&[
        json!({ "phases": { "reading": 20, "writing": 80 } }),
        json!({ "phases": { "reading": 50, "writing": 50 } }),
        json!({ "phases": { "reading": 30, "writing": 70 } }),
    ]);
    let sum: f64 = ["reading", "writing"].map(|part| parts.row.fields["phases"][part].as_f64().unwrap()).iter().sum();
    assert!((sum - 100.0).abs() < 1e-9, "means of shares still sum to 100");
}

#[test]
fn flags_and_criteria_are_voted_on_one_by_one() {
    let of = |urgent: bool, run: bool, committed: bool| json!({ "urgent": urgent, "checks": { "tests_run": run, "committed": committed } });
    let vote = vote(&[of(true, true, false), of(false, true, true), of(false, false, true)]);
    assert_eq!(vote.row.fields["urgent"], false);
    assert_eq!(vote.row.fields["checks"], json!({ "tests_run": true, "committed": true }));
    assert!(close(agreement(&vote, "checks.committed").share, 2.0 / 3.0));
}

#[test]
fn what_most_leave_out_is_left_out() {
    let out = vote(&[json!({ "mood": "bad" }), json!({ "mood": null }), json!({})]);
    assert_eq!(out.row.fields["mood"], Value::Null);
    assert!(close(agreement(&out, "mood").share, 2.0 / 3.0));
    let given = vote(&[json!({ "mood": "bad" }), json!({ "mood": null }), json!({ "mood": "bad" })]);
    assert_eq!(given.row.fields["mood"], "bad");
    // Half of the samples: as the first of them, and among those that have the field its most frequent value.
    let mood = |moods: [Value; 4]| vote(&moods.map(|mood| json!({ "mood": mood })));
    let first_out = mood([json!(null), json!("bad"), json!("bad"), json!(null)]);
    assert_eq!((&first_out.row.fields["mood"], agreement(&first_out, "mood").tied), (&Value::Null, true));
    let first_in = mood([json!("good"), json!(null), json!(null), json!("good")]);
    assert_eq!((&first_in.row.fields["mood"], agreement(&first_in, "mood").tied), (&json!("good"), true));
    let split = mood([json!(null), json!("good"), json!("bad"), json!("bad")]);
    assert_eq!((&split.row.fields["mood"], agreement(&split, "mood").tied), (&json!("bad"), false));
    assert!(close(agreement(&split, "mood").share, 0.5));
}

#[test]
fn a_field_of_parts_is_left_out_as_a_whole() {
    let checks = |run: bool, committed: bool| json!({ "checks": { "tests_run": run, "committed": committed } });
    let out = vote(&[json!({ "checks": null }), json!({}), checks(true, true)]);
    assert_eq!(out.row.fields["checks"], Value::Null);
    // Two samples differ in one part, as two left the field out: no part of it is lost.
    let given = vote(&[checks(true, true), checks(true, false), json!({}), json!({})]);
    assert_eq!(given.row.fields["checks"], json!({ "tests_run": true, "committed": true }));
    let text = vote(&[json!({}), checks(true, true), checks(true, true)]);
    assert_eq!(text.row.fields["checks"], json!({ "tests_run": true, "committed": true }));
}

#[test]
fn texts_and_evidence_are_those_of_a_sample_that_agrees() {
    let evidence = |event: i64| vec![Evidence { event, quote: "q".to_owned(), found: true }];
    let mut rows: Vec<Annotation> = ["no", "yes", "yes"]
        .iter()
        .enumerate()
        .map(|(at, label)| {
            row(
                "codex:s#1",
                at as u32,
                Status::Ok,
                json!({ "reason": format!("reason {at}"), "label": label, "score": 10 * at }),
            )
        })
        .collect();
    rows.iter_mut().zip(0..).for_each(|(row, at)| row.evidence = evidence(at));
    let vote = voting().vote(&rows).unwrap();
    // Both later samples say yes; the score of the first of them is the mean.
    assert_eq!(
        (vote.row.sample, &vote.row.fields["reason"], vote.row.evidence.clone()),
        (1, &json!("reason 1"), evidence(1))
    );
    assert_eq!(
        (vote.row.cost_usd, vote.row.attempts, vote.row.latency_ms, vote.row.cached),
        (Some(1.5), 3, 300, false)
    );
    assert_eq!(vote.row.usage, Some(Usage { input: 30, output: 6, ..Usage::default() }));
    rows[2].usage = None;
    rows[2].cost_usd = None;
    let unknown = voting().vote(&rows).unwrap().row;
    assert_eq!((unknown.usage, unknown.cost_usd), (None, None));
}

#[test]
fn one_sample_is_what_it_is() {
    let fields =
        json!({ "reason": "r", "label": "no", "topics": ["db", "ui"], "score": 70, "hours": 1.0, "mood": null });
    let only = row("codex:s#1", 0, Status::Repaired, fields);
    let vote = voting().vote(std::slice::from_ref(&only)).unwrap();
    assert_eq!((vote.row.fields["score"].clone(), vote.row.fields["hours"].clone()), (json!(70), json!(1.0)));
    assert_eq!((vote.row.status, vote.row.fields["label"].clone()), (only.status, json!("no")));
    assert_eq!((agreement(&vote, "label").share, agreement(&vote, "score").sd), (Some(1.0), None));
}

#[test]
fn a_run_is_summed_up_unit_by_unit() {
    let labels = |unit: &str, labels: &[&str]| -> Vec<Annotation> {
        let rows = labels.iter().enumerate();
        rows.map(|(at, label)| row(unit, at as u32, Status::Ok, json!({ "label": label, "score": 10 * at }))).collect()
    };
    let mut rows = labels("codex:s#1", &["no", "no", "no"]);
    rows.extend(labels("codex:s#2", &["no", "yes", "yes"]));
    rows.extend(labels("codex:s#3", &["no", "yes"]));
    rows.push(row("codex:s#4", 0, Status::Failed, json!({})));
    let voting = voting();
    let votes = voting.votes(&rows);
    assert_eq!(votes.iter().map(|vote| vote.samples).collect::<Vec<_>>(), [3, 3, 2, 1]);
    let summary = VoteSummary::of(&voting, &votes);
    assert_eq!((summary.samples, summary.units), (3, 4));
    let label = &summary.fields[0];
    assert_eq!((label.units, label.unanimous, label.tied, label.mean_sd), (3, Some(1), 1, None));
    assert!(close(label.mean_share, (1.0 + 2.0 / 3.0 + 0.5) / 3.0));
    let words = summary.in_words("label", "label", "compared").unwrap();
    assert_eq!(
        words,
        "the vote of 3 samples is compared; 72 % of the samples agree with it, all of them on 1 of 3 units; 1 of 3 units are ties, where the \
         answer that came first stands"
    );
    let words = summary.in_words("score", "score", "shown").unwrap();
    assert_eq!(words, "the mean of 3 samples is shown; their standard deviation is 9.02 on average");
}
