//! What is settled, what is left to decide, what is on record.

use super::*;
use crate::run::Status;
use serde_json::json;
use std::fs;
use std::path::PathBuf;
use tempfile::TempDir;

const HEADER: &str = "unit,rater,label,topics,score,urgent,phases,checks,mood,note\n";
const REST: &str = "ui,8,true,reading=40;writing=60,tests_run=true;committed=false,bad";

struct Court {
    folder: TempDir,
}

impl Court {
    fn new(rows: &[(&str, &str, &str)]) -> Court {
        let folder = tempfile::tempdir().unwrap();
        let lines: Vec<String> = rows.iter().map(|(unit, rater, rest)| format!("{unit},{rater},{rest}\n")).collect();
        fs::write(folder.path().join("all.csv"), format!("{HEADER}{}", lines.concat())).unwrap();
        Court { folder }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("all.csv")
    }

    fn open(&self) -> Adjudication {
        let codebook = Arc::new(Codebook::with_every_type());
        let row: Annotation = serde_json::from_value(json!({
            "unit": "codex:b", "session": "codex:b", "task": "all", "rater": "m", "sample": 0, "status": "ok", "detail": null,
            "fields": { "label": "on" }, "evidence": [], "coverage": { "tokens": 1.0, "prompts": 1.0 }, "usage": null,
            "cost_usd": null, "cached": false, "attempts": 1, "latency_ms": 1,
        }))
        .unwrap();
        let model =
            Model { run: "r1".to_owned(), rater: "m".to_owned(), answers: HashMap::from([(row.unit.clone(), row)]) };
        Adjudication::new(GoldFile::new(&self.path(), codebook.clone()), codebook, "eve", vec![model]).unwrap()
    }

    fn text(&self) -> String {
        fs::read_to_string(self.path()).unwrap()
    }
}

/// One that agrees, one that is close, one that differs, one with a single rater.
fn court() -> Court {
    let with = |label: &str, score: &str| format!("{label},{},note", REST.replace(",8,", &format!(",{score},")));
    let (yes, near, far) = (with("yes", "8"), with("yes", "7"), with("yes", "5"));
    Court::new(&[
        ("codex:a", "ada", &yes),
        ("codex:a", "bob", &yes),
        ("codex:c", "ada", &yes),
        ("codex:c", "bob", &near),
        ("codex:b", "bob", &far),
        ("codex:b", "ada", &yes),
        ("codex:d", "ada", &yes),
    ])
}

#[test]
fn disagreements_come_first_and_single_answers_are_no_case() {
    let court = court();
    let open = court.open();
    let units: Vec<&str> = (0..open.len()).map(|at| open.unit(at).unwrap().as_str()).collect();
    assert_eq!(units, ["codex:b", "codex:c", "codex:a"]);
    let verdicts: Vec<Verdict> = open.states().unwrap().into_iter().map(|one| one.verdict).collect();
    assert_eq!(verdicts, [Verdict::Differ, Verdict::Close, Verdict::Agree]);
    let (case, seen) = open.case(0).unwrap();
    assert_eq!((case.open, seen), (vec!["score".to_owned()], false));
    assert_eq!(case.voices.iter().map(|voice| voice.rater.as_str()).collect::<Vec<_>>(), ["ada", "bob"]);
    assert_eq!(open.case(1).unwrap().0.settled["score"], json!(7.5));
    assert_eq!(open.standing(0).unwrap().1, Rest { agreed: 1, averaged: 1 });
}

#[test]
fn the_rest_is_settled_at_once_if_it_is_what_was_shown_and_taken_back_at_once() {
    let court = court();
    let open = court.open();
    let before = court.text();
    let error = open.settle(Which::Averaged, 2).unwrap_err().to_string();
    assert!(error.contains("there are 1 of these by now, not 2"), "{error}");
    assert_eq!(court.text(), before);
    assert_eq!(open.settle(Which::Averaged, 1).unwrap(), 1);
    assert_eq!(open.settle(Which::Agreed, 1).unwrap(), 1);
    assert!(court.text().starts_with(&before) && court.text().contains("codex:c,gold,yes,ui,7.5,"), "{}", court.text());
    assert_eq!((open.standing(0).unwrap().1, open.progress().unwrap().done), (Rest::default(), 2));
    open.undo().unwrap();
    open.undo().unwrap();
    assert_eq!(court.text(), before);
    let how: Vec<Option<String>> =
        journal::read(&open.gold().journal_path()).unwrap().0.into_iter().map(|entry| entry.how).collect();
    assert_eq!(how, [Some("mean".to_owned()), Some("agreed".to_owned()), None, None]);
}

#[test]
fn a_decision_needs_every_field_and_replaces_the_one_before() {
    let court = court();
    let open = court.open();
    let (case, _) = open.case(0).unwrap();
    let mut fields = case.settled.clone();
    let decide = |fields: &Map<String, Value>| {
        let giving = Giving { fields: fields.clone(), note: "why".to_owned(), seconds: 2.0, ..Giving::default() };
        open.decide(0, giving, "decided".to_owned())
    };
    assert_eq!(decide(&fields).unwrap_err().to_string(), "`score` is missing");
    fields.insert("score".to_owned(), json!(6.5));
    decide(&fields).unwrap();
    assert_eq!(open.case(0).unwrap().0.decision.unwrap().fields["score"], json!(6.5));
    assert_eq!(open.standing(0).unwrap().2, Some(1));
    fields.insert("score".to_owned(), json!(5));
    decide(&fields).unwrap();
    assert_eq!(court.text().matches(",gold,").count(), 1);
    open.undo().unwrap();
    assert_eq!(open.case(0).unwrap().0.decision.unwrap().fields["score"], json!(6.5));
    fs::write(court.path(), court.text().replace("6.5", "6")).unwrap();
    assert!(matches!(open.undo(), Err(DeskError::ChangedByHand)));
}

#[test]
fn a_model_is_shown_on_demand_and_that_is_on_record() {
    let court = court();
    let open = court.open();
    let before = court.text();
    assert!(!open.gold().journal_path().exists());
    let shown = open.show_models(0).unwrap();
    assert_eq!((shown[0].status, &shown[0].fields["label"]), (Some(Status::Ok), &json!("on")));
    let (entries, _) = journal::read(&open.gold().journal_path()).unwrap();
    assert_eq!(
        (entries[0].what, entries[0].run.as_deref(), entries[0].by.as_deref()),
        (What::ModelShown, Some("r1"), Some("eve"))
    );
    assert!(open.case(0).unwrap().1 && court.open().case(0).unwrap().1 && !open.case(1).unwrap().1);
    assert_eq!((open.show_models(1).unwrap()[0].status, court.text()), (None, before));
}

#[test]
fn shares_are_averaged_part_by_part_and_other_answers_never() {
    let codebook = Codebook::with_every_type();
    let settled = |name: &str, values: &[Value]| {
        let values: Vec<Option<&Value>> =
            values.iter().map(|value| Some(value).filter(|value| !value.is_null())).collect();
        settle(codebook.field(name).unwrap(), &values)
    };
    let shares = |reading: f64| json!({ "reading": reading, "writing": 100.0 - reading });
    assert_eq!(settled("phases", &[shares(40.0), shares(60.0)]), Settled::Mean(shares(50.0)));
    assert_eq!(settled("phases", &[shares(40.0), shares(60.5)]), Settled::Open);
    assert_eq!(settled("score", &[json!(4), json!(6), json!(5)]), Settled::Mean(json!(5.0)));
    assert_eq!(settled("score", &[json!(4), json!(4.0)]), Settled::Same(json!(4)));
    assert_eq!(settled("score", &[json!(4), Value::Null]), Settled::Open);
    assert_eq!(settled("hours", &[Value::Null, Value::Null]), Settled::Missing);
    assert_eq!(settled("hours", &[json!(1), json!(1.1)]), Settled::Open);
    assert_eq!(settled("topics", &[json!(["ui"]), json!(["ui", "db"])]), Settled::Open);
    assert_eq!(settled("urgent", &[json!(true), json!(true)]), Settled::Same(json!(true)));
}
