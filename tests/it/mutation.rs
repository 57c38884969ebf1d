//! Transcripts changed at random: nothing panics, nothing vanishes silently, and what is counted is there. The transcripts are the
//! story's and, where they lie beside the project, real ones.

use crate::story;
use interrater::corpus::{self, Corpus, CorpusError};
use interrater::session::{EventBody, Session};
use proptest::prelude::*;
use proptest::sample::Index;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

/// Real transcripts are cut to pieces of this many bytes, so that many can be tried.
const PIECE: usize = 24 * 1024;

/// A transcript to change.
struct Original {
    name: String,
    extension: String,
    bytes: Vec<u8>,
}

/// The story in every form that is one file, and real transcripts.
static ORIGINALS: LazyLock<Vec<Original>> = LazyLock::new(|| {
    let mut originals: Vec<Original> = story::all()
        .into_iter()
        .filter_map(|telling| {
            let extension = Path::new(telling.file()?).extension()?.to_str()?.to_owned();
            let bytes = telling.bytes(&telling.records(), telling.between());
            Some(Original { name: telling.name.to_owned(), extension, bytes })
        })
        .collect();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/sessions");
    if !folder.is_dir() {
        eprintln!("skipped: no real transcripts in {}", folder.display());
        return originals;
    }
    let mut folders: Vec<PathBuf> =
        ["claude", "codex", "copilot", "gemini", "opencode", "fixtures"].map(|agent| folder.join(agent)).to_vec();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("the folder can be read").flatten() {
            let path = entry.path();
            let extension = path.extension().unwrap_or_default().to_string_lossy().into_owned();
            if path.is_dir() {
                folders.push(path);
            } else if matches!(extension.as_str(), "json" | "jsonl" | "txt") {
                let bytes = fs::read(&path).expect("the file can be read");
                originals.push(Original { name: path.display().to_string(), extension, bytes });
            }
        }
    }
    originals
});

/// One change.
#[derive(Debug, Clone)]
enum Change {
    Flip(Index, u8),
    Delete(Index, usize),
    Insert(Index, Vec<u8>),
    Truncate(Index),
    SwapLines(Index, Index),
    RepeatLine(Index),
    JoinLines(Index),
    HalveLine(Index),
    /// A piece of another transcript, which may be another agent's.
    Splice(Index, Index, Index),
}

fn change() -> impl Strategy<Value = Change> {
    const INSERTED: [&[u8]; 16] = [
        b"{",
        b"}",
        b"[",
        b"]",
        b"\"",
        b"\\",
        b"\n",
        b"\0",
        b",",
        b"}{",
        b"\\ud83d",
        b"\xFF",
        b"\xEF\xBB\xBF",
        b"null",
        b"1e999",
        b"\r\n",
    ];
    let inserted = prop_oneof![
        prop::sample::select(&INSERTED[..]).prop_map(<[u8]>::to_vec),
        prop::collection::vec(any::<u8>(), 1..40),
        (200usize..700).prop_map(|length| vec![0; length]),
        (1usize..3000).prop_map(|depth| b"{\"a\":[".repeat(depth)),
    ];
    prop_oneof![
        3 => (any::<Index>(), any::<u8>()).prop_map(|(at, byte)| Change::Flip(at, byte)),
        2 => (any::<Index>(), 1usize..2000).prop_map(|(at, length)| Change::Delete(at, length)),
        3 => (any::<Index>(), inserted).prop_map(|(at, bytes)| Change::Insert(at, bytes)),
        1 => any::<Index>().prop_map(Change::Truncate),
        1 => (any::<Index>(), any::<Index>()).prop_map(|(one, other)| Change::SwapLines(one, other)),
        1 => any::<Index>().prop_map(Change::RepeatLine),
        1 => any::<Index>().prop_map(Change::JoinLines),
        2 => any::<Index>().prop_map(Change::HalveLine),
        1 => (any::<Index>(), any::<Index>(), any::<Index>()).prop_map(|(at, other, from)| Change::Splice(at, other, from)),
    ]
}

impl Change {
    fn apply(&self, bytes: &mut Vec<u8>) {
        if bytes.is_empty() {
            return;
        }
        let lines = |bytes: &[u8]| bytes.split_inclusive(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect::<Vec<_>>();
        match self {
            Change::Flip(at, byte) => {
                let at = at.index(bytes.len());
                bytes[at] ^= (*byte).max(1);
            }
            Change::Delete(at, length) => {
                let at = at.index(bytes.len());
                bytes.drain(at..(at + length).min(bytes.len()));
            }
            Change::Insert(at, inserted) => {
                let at = at.index(bytes.len());
                bytes.splice(at..at, inserted.iter().copied());
            }
            Change::Truncate(at) => bytes.truncate(at.index(bytes.len())),
            Change::SwapLines(one, other) => {
                let mut lines = lines(bytes);
                let (one, other) = (one.index(lines.len()), other.index(lines.len()));
                lines.swap(one, other);
                *bytes = lines.concat();
            }
            Change::RepeatLine(at) => {
                let mut lines = lines(bytes);
                let at = at.index(lines.len());
                lines.insert(at, lines[at].clone());
                *bytes = lines.concat();
            }
            Change::JoinLines(at) => {
                let mut lines = lines(bytes);
                let at = at.index(lines.len());
                lines[at].pop_if(|byte| *byte == b'\n');
                *bytes = lines.concat();
            }
            Change::HalveLine(at) => {
                let mut lines = lines(bytes);
                let at = at.index(lines.len());
                let half = lines[at].len() / 2;
                lines[at].truncate(half);
                lines[at].push(b'\n');
                *bytes = lines.concat();
            }
            Change::Splice(at, other, from) => {
                let other = &ORIGINALS[other.index(ORIGINALS.len())].bytes;
                let from = from.index(other.len().max(1));
                let piece = other.iter().skip(from).take(4096).copied();
                let at = at.index(bytes.len());
                bytes.splice(at..at, piece);
            }
        }
    }
}

/// A transcript, or whole lines of it.
fn piece(original: &Original, from: Index) -> Vec<u8> {
    let bytes = &original.bytes;
    if bytes.len() <= PIECE || !bytes.contains(&b'\n') {
        return bytes.clone();
    }
    let begin = from.index(bytes.len());
    let begin = bytes[..begin].iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
    bytes[begin..(begin + PIECE).min(bytes.len())].to_vec()
}

/// Reads what lies in a folder; none if nothing there is a transcript.
fn read(folder: &Path) -> Option<(Corpus, Vec<Session>)> {
    let corpus = match corpus::find(&[folder.to_owned()]) {
        Ok(corpus) => corpus,
        Err(CorpusError::NoTranscript { .. }) => return None,
        Err(error) => panic!("{error}"),
    };
    let sessions = corpus.sessions().map(|session| session.expect("the file is there")).collect();
    Some((corpus, sessions))
}

/// Whether what a session says of itself can be.
fn check(session: &Session, bytes: &[u8]) {
    let count = |byte: u8| bytes.iter().filter(|other| **other == byte).count() as u64;
    let read = &session.read;
    assert!(read.records <= count(b'{') + count(b':'), "{read:?}");
    assert!(read.lines <= count(b'\n') + 1, "{read:?}");
    assert!(read.repaired + read.bad <= bytes.len() as u64, "{read:?}");
    assert!(session.active_seconds >= 0.0 && session.active_seconds <= session.wall_seconds() + 1e-3);
    let mut prompts = 0;
    for (at, event) in session.events.iter().enumerate() {
        assert_eq!(event.number as usize, at + 1);
        match &event.body {
            EventBody::Prompt(prompt) => {
                prompts += 1;
                assert_eq!(prompt.ordinal, prompts);
                assert!(!prompt.text.trim().is_empty() || prompt.images > 0, "a prompt says something");
            }
            EventBody::ToolResult(result) => {
                let call = result.call.map(|call| &session.events[call as usize - 1].body);
                assert!(call.is_none_or(|call| matches!(call, EventBody::ToolCall(_))), "a result is of a call");
            }
            EventBody::Rewind { first_event, .. } => assert!(*first_event >= 1 && *first_event <= event.number),
            _ => {}
        }
    }
    let summary = session.summary();
    assert!(summary.failed_tool_calls + summary.rejected_tools <= session.events.len());
    serde_json::to_string(&summary).expect("a summary can be written");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 160, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_change_makes_a_reader_panic_or_a_session_vanish(
        original in any::<Index>(), from in any::<Index>(), changes in prop::collection::vec(change(), 1..6),
    ) {
        let original = &ORIGINALS[original.index(ORIGINALS.len())];
        let mut bytes = piece(original, from);
        changes.iter().for_each(|change| change.apply(&mut bytes));
        let folder = tempfile::tempdir().expect("a folder can be made");
        let path = folder.path().join(format!("transcript.{}", original.extension));
        fs::write(&path, &bytes).expect("a file can be written");
        if let Some((corpus, sessions)) = read(folder.path()) {
            prop_assert!(!sessions.is_empty());
            sessions.iter().for_each(|session| check(session, &bytes));
            let again: Vec<Session> = corpus.sessions().map(|session| session.expect("the file is there")).collect();
            prop_assert!(sessions == again, "reading {} is deterministic", original.name);
        }
        // Beside a transcript the file is either read or told of, unless its name says that it is not data.
        fs::write(folder.path().join("beside.jsonl"), crate::project::claude("beside", &["go"])).expect("a file can be written");
        let (corpus, _) = read(folder.path()).expect("there is a session");
        let is_read = corpus.sources().iter().any(|source| source.places.iter().any(|place| place.path == path));
        let is_told = corpus.skipped().iter().any(|skipped| skipped.path == path);
        let is_text = original.extension == "txt";
        prop_assert!(is_read || is_told || (is_text && corpus.other_files() == 1), "{} vanished", original.name);
    }

    #[test]
    fn damage_to_one_line_costs_no_other(
        original in any::<Index>(), from in any::<Index>(), line in any::<Index>(), changes in prop::collection::vec(change(), 1..4),
    ) {
        let jsonl: Vec<&Original> = ORIGINALS.iter().filter(|original| original.extension == "jsonl").collect();
        let original = jsonl[original.index(jsonl.len())];
        let piece = piece(original, from);
        let mut lines: Vec<Vec<u8>> = piece.split(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect();
        let damaged = line.index(lines.len());
        let records = |lines: &[Vec<u8>]| {
            let folder = tempfile::tempdir().expect("a folder can be made");
            fs::write(folder.path().join("transcript.jsonl"), lines.join(&b'\n')).expect("a file can be written");
            let (corpus, sessions) = read(folder.path())?;
            let [session] = sessions.as_slice() else { return None };
            Some((corpus.sources()[0].agent, session.read.records))
        };
        let without = records(&[&lines[..damaged], &lines[damaged + 1..]].concat());
        changes.iter().for_each(|change| change.apply(&mut lines[damaged]));
        lines[damaged].iter_mut().filter(|byte| **byte == b'\n').for_each(|byte| *byte = b' ');
        // Only as long as it is still the same agent's: a line can make it another's.
        if let (Some((agent, without)), Some((same, with))) = (without, records(&lines)) && agent == same {
            prop_assert!(with >= without, "{}: {with} records, {without} without the damaged line", original.name);
        }
    }
}
