//! Shares, medians and means of hand-made rows.

use super::*;
use crate::material::Coverage;
use crate::run::Status;
use crate::session::SessionId;
use crate::unit::UnitId;
use serde_json::json;

fn row(status: Status, fields: Value) -> Annotation {
    let Value::Object(fields) = fields else { panic!("fields are an object") };
    Annotation {
        unit: UnitId::from_text("codex:s"),
        session: SessionId::of_unit("codex:s"),
        task: "all".to_owned(),
        rater: "m".to_owned(),
        sample: 0,
        status,
        detail: None,
        fields,
        evidence: vec![],
        coverage: Coverage { tokens: 1.0, prompts: 1.0 },
        usage: None,
        cost_usd: None,
        cached: false,
        attempts: 1,
        latency_ms: 0,
    }
}

fn of(rows: &[Annotation], field: &str) -> FieldSummary {
    summarise(&Codebook::with_every_type(), rows).into_iter().find(|summary| summary.field == field).unwrap()
}

#[test]
fn only_answered_units_with_a_value_are_counted() {
    let rows = [
        row(Status::Ok, json!({ "label": "yes", "topics": ["ui"], "mood": null })),
        row(Status::Repaired, json!({ "label": "yes", "topics": ["ui", "db"], "mood": "bad" })),
        row(Status::Ok, json!({ "label": "no", "topics": [], "mood": "bad" })),
        row(Status::Invalid, json!({})),
        row(Status::Invalid, json!({ "label": "no" })),
    ];
    let count = |label: &str, count: usize| Count { label: label.to_owned(), count };
    let label = of(&rows, "label");
    assert_eq!(
        (label.answered, label.distribution),
        (3, Distribution::Labels(vec![count("no", 1), count("yes", 2), count("on", 0)]))
    );
    assert_eq!(of(&rows, "topics").distribution, Distribution::Labels(vec![count("ui", 2), count("db", 1)]));
    let mood = of(&rows, "mood");
    assert_eq!((mood.answered, mood.distribution), (2, Distribution::Labels(vec![count("good", 0), count("bad", 2)])));
}

#[test]
fn flags_and_criteria_are_counted() {
    let rows = [
        row(Status::Ok, json!({ "urgent": true, "checks": { "tests_run": true, "committed": false } })),
        row(Status::Ok, json!({ "urgent": false, "checks": { "tests_run": true, "committed": true } })),
        row(Status::Ok, json!({ "urgent": false, "checks": { "tests_run": false, "committed": false } })),
    ];
    let counts = |field: &str| match of(&rows, field).distribution {
        Distribution::Labels(counts) => counts.into_iter().map(|one| (one.label, one.count)).collect::<Vec<_>>(),
        other => panic!("{other:?}"),
    };
    assert_eq!(counts("urgent"), [("true".to_owned(), 1), ("false".to_owned(), 2)]);
    assert_eq!(counts("checks"), [("tests_run".to_owned(), 2), ("committed".to_owned(), 1)]);
}

#[test]
fn scores_have_mean_median_quartiles_and_mode() {
    let rows: Vec<Annotation> = [1, 9, 4, 4, 2].map(|score| row(Status::Ok, json!({ "score": score }))).into();
    let Distribution::Score(score) = of(&rows, "score").distribution else { panic!("scores") };
    assert_eq!(
        score,
        ScoreSummary {
            mean: Some(4.0),
            median: Some(4.0),
            quartiles: Some((2.0, 4.0)),
            mode: Some(4.0),
            mode_share: Some(0.4)
        }
    );
    let tie: Vec<Annotation> = [3, 1, 3, 1].map(|score| row(Status::Ok, json!({ "score": score }))).into();
    let Distribution::Score(score) = of(&tie, "score").distribution else { panic!("scores") };
    assert_eq!((score.median, score.mode, score.mode_share), (Some(2.0), Some(1.0), Some(0.5)));
    let Distribution::Score(none) = of(&[], "score").distribution else { panic!("scores") };
    assert_eq!(none, ScoreSummary { mean: None, median: None, quartiles: None, mode: None, mode_share: None });
}

#[test]
fn quantiles_interpolate() {
    let counted = |numbers: &[f64]| -> BTreeMap<Number, usize> {
        numbers.iter().fold(BTreeMap::new(), |mut counts, number| {
            *counts.entry(Number(*number)).or_default() += 1;
            counts
        })
    };
    let numbers = counted(&[10.0, 2.0, 1.0, 3.0]);
    assert_eq!(quantile(&numbers, 0.25), Some(1.75));
    assert_eq!(quantile(&numbers, 0.5), Some(2.5));
    assert_eq!(quantile(&numbers, 0.75), Some(4.75));
    assert_eq!((quantile(&numbers, 0.0), quantile(&numbers, 1.0)), (Some(1.0), Some(10.0)));
    assert_eq!(quantile(&counted(&[7.0]), 0.25), Some(7.0));
    // Many alike: the place is found among them, not among distinct numbers.
    let alike = counted(&[5.0, 5.0, 5.0, 5.0, 9.0]);
    assert_eq!((quantile(&alike, 0.75), quantile(&alike, 0.9)), (Some(5.0), Some(5.0 + 0.6 * 4.0)));
    assert_eq!(quantile(&counted(&[]), 0.5), None);
}

#[test]
fn shares_have_means() {
    let rows = [(20, 80), (50, 50)].map(|(a, b)| row(Status::Ok, json!({ "phases": { "reading": a, "writing": b } })));
    let mean = |part: &str, mean: f64| Mean { part: part.to_owned(), mean };
    assert_eq!(
        of(&rows, "phases").distribution,
        Distribution::Shares(vec![mean("reading", 35.0), mean("writing", 65.0)])
    );
}

#[test]
fn text_and_evidence_are_not_summarised() {
    let fields: Vec<String> = summarise(&Codebook::with_every_type(), &[]).into_iter().map(|one| one.field).collect();
    assert_eq!(fields, ["label", "topics", "score", "hours", "urgent", "phases", "checks", "mood"]);
}

#[test]
fn counts_say_what_sorted_numbers_would() {
    let mut state = 7u64;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as f64 / 1e4 - 50_000.0
    };
    for of in [1usize, 2, 3, 10, 1000] {
        let numbers: Vec<f64> = (0..of).map(|at| if at % 3 == 0 { -0.0 } else { next() }).collect();
        let rows: Vec<Annotation> = numbers.iter().map(|hours| row(Status::Ok, json!({ "hours": hours }))).collect();
        let Distribution::Score(got) = super::tests::of(&rows, "hours").distribution else { panic!("numbers") };
        let mut sorted = numbers.clone();
        sorted.sort_by(|a, b| a.partial_cmp(b).unwrap());
        let quantile = |p: f64| {
            let place = p * (of - 1) as f64;
            let (low, high) = (sorted[place.floor() as usize], sorted[place.ceil() as usize]);
            low + place.fract() * (high - low)
        };
        let close = |a: f64, b: f64| (a - b).abs() < 1e-9 * (1.0 + b.abs());
        assert!(close(got.mean.unwrap(), sorted.iter().sum::<f64>() / of as f64), "{of}");
        assert!(close(got.median.unwrap(), quantile(0.5)), "{of}");
        let (low, high) = got.quartiles.unwrap();
        assert!(close(low, quantile(0.25)) && close(high, quantile(0.75)), "{of}");
        if of > 3 {
            assert_eq!((got.mode, got.mode_share), (Some(0.0), Some(of.div_ceil(3) as f64 / of as f64)));
        }
    }
}
