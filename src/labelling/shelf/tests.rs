//! Sessions are read when they are looked at, a few of them stay, and what was mended is read again.

use super::*;
use crate::codebook::Library;
use crate::corpus;
use crate::labelling::sight::Wanted;
use std::fs;
use std::path::Path;

fn rollout(id: &str, prompts: usize) -> String {
    let mut text = format!(
        "{{\"timestamp\":\"2026-05-01T10:00:00Z\",\"type\":\"session_meta\",\"payload\":{{\"id\":\"{id}\"}}}}\n"
    );
    for nth in 1..=prompts {
        for (kind, words) in [("user_message", format!("ask {id} {nth}")), ("agent_message", format!("say {id} {nth}"))]
        {
            text.push_str(&format!(
                "{{\"timestamp\":\"2026-05-01T10:00:00Z\",\"type\":\"event_msg\",\"payload\":{{\"type\":\"{kind}\",\"message\":\"{words}\"}}}}\n"
            ));
        }
    }
    text
}

fn shelf(folder: &Path, task: &str) -> Shelf {
    for session in 0..6 {
        fs::write(folder.join(format!("{session}.jsonl")), rollout(&format!("s{session}"), 3)).unwrap();
    }
    let library = Library::shipped().unwrap();
    let codebook = Arc::new(library.task(task).unwrap().clone());
    let prompter = Prompter::new(&library, [codebook.as_ref()]).unwrap();
    Shelf::new(codebook, prompter, &corpus::find(&[folder.to_owned()]).unwrap(), false)
}

fn unit(text: &str) -> UnitId {
    UnitId::from_text(text)
}

#[test]
fn a_session_is_read_when_it_is_wanted_and_only_a_few_are_kept() {
    let folder = tempfile::tempdir().unwrap();
    let shelf = shelf(folder.path(), "pushback");
    let first = shelf.open(&unit("codex:s0#1")).unwrap();
    assert!(Arc::ptr_eq(&first, &shelf.open(&unit("codex:s0#3")).unwrap()));
    for session in 1..6 {
        shelf.open(&unit(&format!("codex:s{session}#1"))).unwrap();
    }
    assert_eq!(shelf.kept.lock().unwrap().len(), KEPT);
    // It was put back, so it is another reading.
    assert!(!Arc::ptr_eq(&first, &shelf.open(&unit("codex:s0#1")).unwrap()));
}

#[test]
fn what_cannot_be_shown_is_told_and_found_once_it_is_mended() {
    let folder = tempfile::tempdir().unwrap();
    let shelf = shelf(folder.path(), "pushback");
    assert!(matches!(shelf.sight(&unit("codex:gone#1")), Err(ShelfError::NoSession(_))));
    assert!(matches!(shelf.sight(&unit("codex:s1#9")), Err(ShelfError::NoUnit(_))));
    let path = folder.path().join("2.jsonl");
    let text = fs::read(&path).unwrap();
    fs::remove_file(&path).unwrap();
    assert!(matches!(shelf.sight(&unit("codex:s2#1")), Err(ShelfError::Unreadable(_))));
    fs::write(&path, text).unwrap();
    assert!(shelf.sight(&unit("codex:s2#1")).unwrap().pieces.last().unwrap().is_target);
}

#[test]
fn nothing_after_a_prompt_is_in_any_view_of_it() {
    let folder = tempfile::tempdir().unwrap();
    let shelf = shelf(folder.path(), "pushback");
    let id = unit("codex:s3#2");
    let views = [
        serde_json::to_string(&shelf.sight(&id).unwrap()).unwrap(),
        shelf.material_text(&id).unwrap(),
        shelf.prompt_text(&id).unwrap(),
        serde_json::to_string(&shelf.stretch(&id, Wanted::From(1)).unwrap()).unwrap(),
        serde_json::to_string(&shelf.stretch(&id, Wanted::UpTo(u32::MAX)).unwrap()).unwrap(),
    ];
    for view in &views {
        assert!(view.contains("ask s3 2") && !view.contains("say s3 2") && !view.contains("ask s3 3"), "{view}");
    }
    let cited = |event: i64, quote: &str| crate::answer::Citation { event, quote: quote.to_owned() };
    let found = shelf.checked(&id, vec![cited(1, "ask s3 1"), cited(4, "say s3 2"), cited(-1, "x")]).unwrap();
    assert_eq!(found.iter().map(|one| one.found).collect::<Vec<_>>(), [true, false, false]);
}

#[test]
fn a_person_sees_the_facts_that_a_model_sees_beside_a_session() {
    let folder = tempfile::tempdir().unwrap();
    let shelf = shelf(folder.path(), "success");
    let sight = shelf.sight(&unit("codex:s0")).unwrap();
    let beside = sight.beside.unwrap();
    assert!(beside.contains("prompts: 3;") && !beside.contains("<<<"), "{beside}");
    assert!(sight.pieces.iter().all(|piece| !piece.is_target) && sight.target.is_none());
}
