//! What becomes of files that go away between finding and reading.

use super::*;

fn corpus(folder: &Path, ids: &[&str]) -> Corpus {
    for id in ids {
        let row = |kind: &str, payload: &str| {
            format!("{{\"timestamp\":\"2026-05-01T10:00:00Z\",\"type\":\"{kind}\",\"payload\":{payload}}}\n")
        };
        let meta = row("session_meta", &format!("{{\"id\":\"{id}\"}}"));
        let prompt = row("event_msg", "{\"type\":\"user_message\",\"message\":\"go\"}");
        fs::write(folder.join(format!("{id}.jsonl")), meta + &prompt).unwrap();
    }
    corpus::find(&[folder.to_owned()]).unwrap()
}

#[test]
fn a_session_that_has_gone_is_told_of_and_the_others_are_written() {
    let folder = tempfile::tempdir().unwrap();
    let corpus = corpus(folder.path(), &["a", "b", "c"]);
    fs::remove_file(folder.path().join("c.jsonl")).unwrap();
    let output = folder.path().join("sessions.jsonl");
    let destination = Destination::new(&output, None, None).unwrap();
    let mut heard = Vec::new();
    let exported = export(&corpus, None, false, &destination, &mut |done| heard.push(done)).unwrap();
    assert_eq!((exported.sessions, heard.as_slice()), (2, &[1, 2, 3][..]));
    assert_eq!(exported.unreadable.len(), 1);
    assert!(exported.unreadable[0].contains("c.jsonl"), "{:?}", exported.unreadable);
    assert_eq!(fs::read_to_string(&output).unwrap().lines().count(), 2);
}

#[test]
fn if_all_have_gone_nothing_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let corpus = corpus(folder.path(), &["a", "b"]);
    let output = folder.path().join("events.jsonl");
    fs::write(&output, "old").unwrap();
    for id in ["a", "b"] {
        fs::remove_file(folder.path().join(format!("{id}.jsonl"))).unwrap();
    }
    let destination = Destination::new(&output, None, None).unwrap();
    let ended = export(&corpus, None, false, &destination, &mut |_| {});
    assert!(matches!(ended, Err(ExportError::Session(_))), "{ended:?}");
    let names: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!((names.len(), fs::read_to_string(&output).unwrap().as_str()), (1, "old"));
}
