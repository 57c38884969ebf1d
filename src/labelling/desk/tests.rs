//! What a rater does at a desk, and what is on disk afterwards.

use super::*;
use serde_json::json;
use std::fs;
use std::path::Path;
use tempfile::TempDir;

const TONE: &str = r#"+++
task = "tone"
title = "Tone"
unit = "prompt"
sees = { max_tokens = 1000 }
[[field]]
name = "why"
type = "text"
[[field]]
name = "proof"
type = "evidence"
[[field]]
name = "label"
type = "label"
[[field.label]]
name = "calm"
definition = "Calm."
[[field.label]]
name = "rough"
definition = "Rough."
+++
{% block material %}{{ material.open }}{{ material.text }}{{ material.close }}{% endblock %}
"#;

struct Table {
    folder: TempDir,
}

impl Table {
    fn new() -> Table {
        Table { folder: tempfile::tempdir().unwrap() }
    }

    fn path(&self) -> std::path::PathBuf {
        self.folder.path().join("gold/tone.csv")
    }

    fn desk(&self, rater: &str) -> Result<Desk, DeskError> {
        let codebook = Arc::new(Codebook::of_text("tone", TONE).unwrap());
        let card = |nth: usize| {
            let mut card = Card::of(UnitId::from_text(format!("codex:s#{nth}")));
            card.design.insert("stratum".to_owned(), "rough".to_owned());
            card
        };
        let cards = (1..=4).map(card).collect();
        Desk::new(GoldFile::new(&self.path(), codebook.clone()), codebook, rater, cards)
    }

    fn gold(&self) -> String {
        fs::read_to_string(self.path()).unwrap_or_default()
    }

    fn journal(&self) -> Vec<Entry> {
        journal::read(&journal::path_beside(Path::new(&self.path()))).unwrap().0
    }
}

fn label(label: &str, note: &str) -> Giving {
    let evidence = vec![Evidence { event: 1, quote: "so".to_owned(), found: true }];
    let fields = json!({ "label": label, "why": null }).as_object().unwrap().clone();
    Giving { fields, evidence, note: note.to_owned(), seconds: 3.06 }
}

fn states(desk: &Desk) -> Vec<State> {
    desk.states().unwrap().into_iter().map(|(state, _)| state).collect()
}

#[test]
fn an_answer_is_in_the_gold_file_and_what_has_no_column_in_the_journal() {
    let table = Table::new();
    let desk = table.desk("ada").unwrap();
    assert_eq!(desk.next_from(0).unwrap(), Some(0));
    desk.answer(1, label("rough", "hm, \"well\"")).unwrap();
    let gold = table.gold();
    assert!(gold.starts_with("unit,rater,why,label,session,split,probability,stratum,note,date\n"), "{gold}");
    assert!(gold.contains("\ncodex:s#2,ada,,rough,,,,rough,\"hm, \"\"well\"\"\","), "{gold}");
    let entry = &table.journal()[0];
    assert_eq!((entry.what, entry.seconds, entry.evidence.len()), (What::Answer, Some(3.1), 1));
    assert_eq!(desk.progress().unwrap(), Progress { units: 4, done: 1, skipped: 0, now: 1 });
    assert_eq!((desk.next_from(1).unwrap(), desk.next_from(3).unwrap()), (Some(2), Some(3)));
    // Another day, another desk.
    let desk = table.desk("ada").unwrap();
    let given = desk.given(1).unwrap();
    assert_eq!((given.state, given.note.as_str(), given.evidence.len()), (State::Done, "hm, \"well\"", 1));
    assert_eq!(given.fields["label"], json!("rough"));
}

#[test]
fn nothing_of_another_rater_is_at_a_desk() {
    let table = Table::new();
    table.desk("bob").unwrap().answer(0, label("rough", "a note of bob's")).unwrap();
    let desk = table.desk("ada").unwrap();
    assert_eq!(states(&desk), [State::Todo; 4]);
    let given = desk.given(0).unwrap();
    assert!(given.fields.is_empty() && given.note.is_empty() && given.evidence.is_empty());
    desk.answer(0, label("calm", "")).unwrap();
    desk.undo().unwrap();
    assert!(!format!("{desk:?}").contains("a note of bob's"));
    assert!(table.gold().contains("a note of bob's"));
}

#[test]
fn undo_gives_back_what_was_there_one_step_at_a_time() {
    let table = Table::new();
    let desk = table.desk("ada").unwrap();
    desk.answer(0, label("calm", "")).unwrap();
    let first = table.gold();
    desk.answer(0, label("rough", "second thoughts")).unwrap();
    desk.skip(2, "unsure", 1.0).unwrap();
    desk.answer(2, label("calm", "")).unwrap();
    assert_eq!(states(&desk), [State::Done, State::Todo, State::Done, State::Todo]);
    assert_eq!(desk.undo().unwrap(), 2);
    assert_eq!(states(&desk)[2], State::Skipped);
    assert_eq!(desk.given(2).unwrap().note, "unsure");
    // So it is for a desk that is set up now.
    assert_eq!(states(&table.desk("ada").unwrap())[2], State::Skipped);
    assert_eq!(desk.undo().unwrap(), 2);
    assert_eq!(states(&table.desk("ada").unwrap())[2], State::Todo);
    assert_eq!(desk.undo().unwrap(), 0);
    assert_eq!((table.gold(), desk.given(0).unwrap().fields["label"].clone()), (first, json!("calm")));
    assert_eq!(desk.undo().unwrap(), 0);
    assert_eq!(table.gold().lines().count(), 1);
    assert!(matches!(desk.undo(), Err(DeskError::NothingToUndo)));
    let undone = table.journal().iter().filter(|entry| entry.what == What::Undo).count();
    assert_eq!((undone, desk.progress().unwrap().now), (4, 0));
}

#[test]
fn a_row_that_was_changed_by_hand_is_seen_and_not_undone() {
    let table = Table::new();
    let desk = table.desk("ada").unwrap();
    desk.answer(0, label("calm", "")).unwrap();
    let edited = table.gold().replace("ada,,calm", "ada,by hand,rough");
    fs::write(table.path(), &edited).unwrap();
    assert_eq!(desk.given(0).unwrap().fields["label"], json!("rough"));
    assert!(matches!(desk.undo(), Err(DeskError::ChangedByHand)));
    assert_eq!(table.gold(), edited);
    fs::write(table.path(), edited.lines().next().unwrap()).unwrap();
    assert_eq!(states(&desk)[0], State::Todo);
}

#[test]
fn what_is_no_answer_is_refused_and_nothing_is_written() {
    let table = Table::new();
    let desk = table.desk("ada").unwrap();
    let with = |fields: Value| Giving { fields: fields.as_object().unwrap().clone(), ..Giving::default() };
    for (giving, said) in [
        (with(json!({})), "`label` is missing"),
        (with(json!({ "label": null })), "`label` is missing"),
        (with(json!({ "label": "loud" })), "`label` is \"loud\""),
        (with(json!({ "label": "calm", "rater": "bob" })), "`rater` is no field"),
        (with(json!({ "label": "calm", "proof": [] })), "`proof` is no field"),
        (with(json!({ "label": "calm", "why": 3 })), "`why` is 3"),
        (Giving { note: "x".repeat(LONGEST_TEXT + 1), ..label("calm", "") }, "note is longer"),
    ] {
        let error = desk.answer(0, giving).unwrap_err().to_string();
        assert!(error.starts_with(said), "{error}");
    }
    assert!(matches!(desk.answer(4, label("calm", "")), Err(DeskError::NoUnit(5))));
    assert!(!table.path().exists() && table.journal().is_empty());
    desk.answer(0, label("calm", "")).unwrap();
    assert!(matches!(desk.skip(0, "", 1.0), Err(DeskError::HasAnswer)));
    for name in ["gold", "", " ada", "a\nb"] {
        assert!(matches!(table.desk(name), Err(DeskError::Rater(_))), "{name:?}");
    }
}
