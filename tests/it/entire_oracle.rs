//! Real checkpoints: the tokens that Entire recorded, against what the readers find in the same slice of the same transcript.

use interrater::session::entire::{self, Checkpoint};
use interrater::session::{claude_code, codex, copilot, gemini_cli, open_code};
use interrater::usage::Usage;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// A transcript and what was recorded of it.
struct Case {
    name: String,
    transcript: PathBuf,
    checkpoint: Checkpoint,
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let mut entries: Vec<PathBuf> =
        fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path()).collect();
    entries.sort();
    entries
}

fn cases(shared: &Path) -> Vec<Case> {
    let mut cases = Vec::new();
    let mut add = |name: String, transcript: PathBuf, metadata: &Path| {
        let session = fs::read(metadata).expect("metadata");
        let names = entire::names(&session).expect("a session's metadata");
        let checkpoint = entire::read(&names.checkpoint, Some(&session), None).expect("it can be understood");
        cases.push(Case { name, transcript, checkpoint });
    };
    for repository in entries(&shared.join("entire-metadata")) {
        let repository_name = repository.file_name().expect("a name").to_owned();
        for metadata in entries(&repository) {
            let name = metadata.file_name().and_then(|name| name.to_str()).expect("a name").to_owned();
            let Some(id) = name.strip_suffix(".session.json") else { continue };
            let transcript = ["claude", "codex", "gemini", "opencode", "copilot"]
                .iter()
                .map(|agent| shared.join(agent).join(&repository_name))
                .filter(|folder| folder.is_dir())
                .flat_map(|folder| entries(&folder))
                .find(|path| path.file_stem().is_some_and(|stem| stem.to_string_lossy().ends_with(id)))
                .unwrap_or_else(|| panic!("no transcript of {id}"));
            add(format!("{}/{id}", repository_name.display()), transcript, &metadata);
        }
    }
    for repository in entries(&shared.join("entire")) {
        for folder in entries(&repository).iter().flat_map(|first| entries(first)) {
            let name = folder.strip_prefix(shared).expect("it is below").display().to_string();
            add(name, folder.join("0/full.jsonl"), &folder.join("0/metadata.json"));
        }
    }
    cases
}

/// What the reader of the transcript's agent counts in these lines of it.
fn count(transcript: &Path, text: &[u8], lines: &[&[u8]]) -> Usage {
    let files = [(transcript.to_owned(), lines.concat())];
    let session = if claude_code::recognise(text, transcript).is_some() {
        claude_code::read("s", &files)
    } else if codex::recognise(text, transcript).is_some() {
        codex::read("s", &files)
    } else if let Some(thread) = open_code::document(text) {
        open_code::read(&thread.id, &files)
    } else if gemini_cli::recognise(text, transcript).is_some() {
        gemini_cli::read("s", &files)
    } else {
        copilot::read("s", &files)
    };
    // Entire does not tell reasoning from other output.
    Usage { reasoning: 0, ..session.expect("bytes in memory can be read").usage }
}

/// How the count goes with the record.
fn verdict(case: &Case) -> &'static str {
    let Some(recorded) = case.checkpoint.usage else { return "nothing recorded" };
    let text = fs::read(&case.transcript).expect("a transcript");
    let lines: Vec<&[u8]> = text.split_inclusive(|&byte| byte == b'\n').collect();
    let count = |lines: &[&[u8]]| count(&case.transcript, &text, lines);
    let start = (case.checkpoint.starts_at_line as usize).min(lines.len());
    if count(&lines[start..]) == recorded {
        return "equal";
    }
    // Some old versions of Entire stored no more than the slice, others counted from the beginning.
    if start > 0 && count(&lines) == recorded {
        return "equal, of the whole file";
    }
    // Counts only grow from line to line.
    let (mut low, mut high) = (start, lines.len());
    while low < high {
        let middle = (low + high) / 2;
        if count(&lines[start..middle]).total() < recorded.total() {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    if count(&lines[start..low]) == recorded { "equal up to a line, and the turn went on" } else { "different" }
}

#[test]
fn recorded_tokens_are_those_of_the_slice() {
    let shared = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/sessions");
    if !shared.is_dir() {
        eprintln!("skipped: no real checkpoints in {}", shared.display());
        return;
    }
    let mut verdicts: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for case in cases(&shared) {
        verdicts.entry(verdict(&case)).or_default().push(case.name);
    }
    let cases = |verdict: &str| verdicts.get(verdict).map(Vec::as_slice).unwrap_or_default();
    assert_eq!(cases("different"), [""; 0]);
    let recorded = verdicts.values().map(Vec::len).sum::<usize>() - cases("nothing recorded").len();
    assert!(cases("equal").len() * 2 > recorded, "{verdicts:#?}");
}
