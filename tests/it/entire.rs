//! Checkpoints of Entire: from a git repository in each of its layouts, and from the same tree in a folder.

use crate::project::{Project, claude, codex};
use crate::repository::{Files, Repository};
use serde_json::{Value, json};

pub const TIDY: &str = "0f3c2b1a-0000-4000-8000-000000000001";

/// Ids of checkpoints, in the order in which they were made; the paths have another.
pub const IDS: [&str; 5] = ["c00000000001", "a00000000002", "b00000000003", "a10000000004", "000000000005"];

/// A session's metadata.
pub fn metadata(checkpoint: &str, session: &str, minute: usize, more: Value) -> Vec<u8> {
    let mut metadata = json!({
        "cli_version": "0.8.42", "checkpoint_id": checkpoint, "session_id": session, "strategy": "manual-commit",
        "created_at": format!("2026-05-01T12:{minute:02}:00.123456+02:00"), "branch": "next", "checkpoints_count": 1,
        "files_touched": ["src/a.rs", "src/b.rs"], "agent": "Claude Code",
        "token_usage": { "input_tokens": 3, "cache_creation_tokens": 5, "cache_read_tokens": 7, "output_tokens": 11, "api_call_count": 1 },
    });
    metadata.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
    metadata.to_string().into_bytes()
}

/// The metadata of a checkpoint as a whole.
fn whole(checkpoint: &str) -> Vec<u8> {
    json!({ "checkpoint_id": checkpoint, "strategy": "manual-commit", "branch": "next", "sessions": [{}], "files_touched": ["src/a.rs"] })
        .to_string()
        .into_bytes()
}

/// The share of the agent, and of what.
pub fn share(percentage: f64, committed: u64) -> Value {
    json!({ "initial_attribution": { "agent_percentage": percentage, "total_committed": committed } })
}

/// The files of one checkpoint with one session, by their paths in the checkpoint.
pub fn checkpoint(checkpoint: &str, metadata: Vec<u8>, transcript: impl Into<Vec<u8>>) -> Files {
    let file = |name: &str, bytes: Vec<u8>| (name.to_owned(), bytes);
    Files::from([
        file("metadata.json", whole(checkpoint)),
        file("0/metadata.json", metadata),
        file("0/full.jsonl", transcript.into()),
        file("0/prompt.txt", b"go".to_vec()),
        file("0/context.md", b"# context".to_vec()),
        file("0/content_hash.txt", b"sha256:00".to_vec()),
        file("0/transcript.jsonl", b"{\"v\":1,\"agent\":\"claude-code\",\"type\":\"user\"}\n".to_vec()),
    ])
}

/// The same files in the tree of all checkpoints.
pub fn sharded(checkpoint: &str, files: Files) -> Files {
    let (first, rest) = checkpoint.split_at(2);
    files.into_iter().map(|(path, bytes)| (format!("{first}/{rest}/{path}"), bytes)).collect()
}

/// The words of the first `count` prompts of a session.
fn prompts(count: usize) -> Vec<&'static str> {
    ["one", "two", "three", "four", "five"][..count].to_vec()
}

/// Five checkpoints of a growing session; in the last there is another session too.
fn growing() -> Vec<(&'static str, Files)> {
    let lines = [4, 6, 0, 5, 5];
    let mut checkpoints: Vec<(&str, Files)> = IDS
        .iter()
        .enumerate()
        .map(|(at, id)| {
            let metadata = metadata(id, TIDY, at, share(100.0 * (at % 2) as f64, lines[at]));
            (*id, checkpoint(id, metadata, claude(TIDY, &prompts(at + 1))))
        })
        .collect();
    let last = &mut checkpoints[4].1;
    last.insert("1/full.jsonl".to_owned(), codex("other", &["go", "on"]).into_bytes());
    last.insert("1/metadata.json".to_owned(), metadata(IDS[4], "other", 4, json!({ "agent": "Gemini CLI" })));
    checkpoints
}

/// One tree of many checkpoints.
pub fn together(checkpoints: &[(&str, Files)]) -> Files {
    checkpoints.iter().flat_map(|(id, files)| sharded(id, files.clone())).collect()
}

/// The sessions that `sessions --json` prints.
pub fn sessions(project: &Project, paths: &[&str]) -> Vec<Value> {
    let ran = project.ok(&[&["sessions", "--json"], paths].concat());
    ran.out.lines().map(|line| serde_json::from_str(line).expect("each line is one document")).collect()
}

/// What is the same of a session wherever it lies.
fn content(sessions: &[Value]) -> Vec<Value> {
    let mut sessions = sessions.to_vec();
    for session in &mut sessions {
        session.as_object_mut().expect("an object").remove("path");
        session.as_object_mut().expect("an object").remove("commits");
        for checkpoint in session["checkpoints"].as_array_mut().expect("a list") {
            checkpoint.as_object_mut().expect("an object").remove("commits");
        }
    }
    sessions.sort_by_key(|session| session["id"].to_string());
    sessions
}

fn note(references: &str) -> String {
    format!(
        "note: repo is a git repository with 5 checkpoints of Entire: read from {references}; the files of its work tree are not searched\n"
    )
}

/// A work tree with a transcript in it, and in its repository the branch of checkpoints.
fn with_branch(project: &Project, reference: &str) -> Repository {
    project.write("repo/logs/mine.jsonl", codex("mine", &["go"]));
    let repository = Repository::at(&project.path("repo"));
    let tip = repository.commit(&together(&growing()), &[], "checkpoint");
    repository.reference(reference, tip);
    repository
}

const BRANCH: &str = "refs/heads/entire/checkpoints/v1";

#[test]
fn the_branch_of_a_repository_is_read_and_its_work_tree_is_not() {
    let project = Project::empty();
    let repository = with_branch(&project, BRANCH);
    let user = Files::from([("a.rs".to_owned(), b"fn main() {}".to_vec())]);
    let first = repository.commit(&user, &[], &format!("one\n\nEntire-Checkpoint: {}\n", IDS[0]));
    let message = format!("squashed\n\n* a\n\nEntire-Checkpoint: {}\n\n* b\n\nEntire-Checkpoint: {}", IDS[1], IDS[2]);
    let second = repository.commit(&user, &[first], &message);
    let shadow = repository.commit(&user, &[second], &format!("shadow\n\nEntire-Checkpoint: {}\n", IDS[3]));
    repository
        .reference("refs/heads/main", second)
        .reference("refs/remotes/origin/fix/it", first)
        .reference("refs/heads/entire/1a2b3c4-d5e6f7", shadow);
    let ran = project.ok(&["sessions", "repo", "--json"]);
    assert_eq!(
        ran.err,
        format!(
            "2 sessions (claude_code 1, codex 1), 7 prompts, 0 interruptions, 0 damaged lines\n{}",
            note("entire/checkpoints/v1")
        )
    );
    let sessions = sessions(&project, &["repo"]);
    let tidy = &sessions[0];
    assert_eq!(tidy["id"], format!("claude_code:{TIDY}"));
    assert_eq!(tidy["path"], "repo/entire/checkpoints/v1:00/0000000005/0/full.jsonl");
    assert_eq!((&tidy["prompts"], &tidy["commits"]), (&json!(5), &json!(2)));
    // 0 of 4, 6 of 6, 0 of 0, 5 of 5, 0 of 5.
    assert_eq!(tidy["agent_percentage"], json!(55.0));
    let checkpoints = tidy["checkpoints"].as_array().expect("a list");
    let ids: Vec<&str> = checkpoints.iter().map(|checkpoint| checkpoint["id"].as_str().expect("an id")).collect();
    assert_eq!(ids, IDS, "in the order of time");
    insta::assert_snapshot!(checkpoints[1].to_string().replace(&second.to_string(), "COMMIT"), @r#"{"id":"a00000000002","created":"2026-05-01T10:01:00.123456Z","branch":"next","commits":["COMMIT"],"agent_percentage":100.0,"usage":{"input":3,"cached_input":7,"cache_write":5,"output":11,"reasoning":0},"files_touched":2}"#);
    assert_eq!(checkpoints[2]["agent_percentage"], Value::Null, "nothing was committed");
    assert_eq!(checkpoints[3]["commits"], json!([]), "a shadow branch is no branch of the user's");
    let other = &sessions[1];
    assert_eq!((&other["id"], &other["agent_percentage"]), (&json!("codex:other"), &Value::Null));
    assert_eq!(other["commits"], json!(0));
}

#[test]
fn a_folder_with_the_same_tree_holds_the_same_sessions() {
    let project = Project::empty();
    with_branch(&project, BRANCH);
    for (path, bytes) in together(&growing()) {
        project.write(&format!("folder/{path}"), bytes);
    }
    let ran = project.ok(&["sessions", "folder"]);
    assert_eq!(ran.err.lines().count(), 1, "what belongs to a checkpoint is no noise: {}", ran.err);
    let (git, folder) = (sessions(&project, &["repo"]), sessions(&project, &["folder"]));
    assert_eq!(content(&git), content(&folder));
    assert_eq!(folder[0]["path"], "folder/00/0000000005/0/full.jsonl");
    let both = sessions(&project, &["repo", "folder"]);
    assert_eq!((both.len(), &both[0]["prompts"], &both[1]["prompts"]), (2, &git[0]["prompts"], &git[1]["prompts"]));
    let one = sessions(&project, &["folder/c0/0000000001/0/full.jsonl"]);
    assert_eq!((one[0]["prompts"].clone(), one[0]["checkpoints"][0]["id"].clone()), (json!(1), json!(IDS[0])));
    let matched = sessions(&project, &["folder/**/full.jsonl"]);
    assert_eq!(content(&matched), content(&folder), "metadata counts though nobody asked for it");
}

#[test]
fn every_reference_that_can_hold_checkpoints_is_read() {
    let project = Project::empty();
    let expected = {
        with_branch(&project, BRANCH);
        content(&sessions(&project, &["repo"]))
    };
    let own = |repository: &Repository, checkpoints: &[(&str, Files)]| {
        for (id, files) in checkpoints {
            let commit = repository.commit(files, &[], "checkpoint");
            repository.reference(&format!("refs/entire/checkpoints/{}/{id}", &id[10..]), commit);
        }
    };
    type Make<'a> = &'a dyn Fn(&Project) -> Repository;
    let cases: [(&str, Make<'_>); 5] = [
        ("origin/entire/checkpoints/v1", &|project| with_branch(project, "refs/remotes/origin/entire/checkpoints/v1")),
        ("up/stream/entire/checkpoints/v1", &|project| {
            with_branch(project, "refs/remotes/up/stream/entire/checkpoints/v1")
        }),
        ("entire/checkpoints/v1", &|project| {
            let repository = with_branch(project, BRANCH);
            let old = repository.commit(&together(&growing()[..1]), &[], "old");
            repository.reference("refs/remotes/origin/entire/checkpoints/v1", old);
            repository
        }),
        ("refs/entire/checkpoints/", &|project| {
            let repository = Repository::at(&project.path("repo"));
            own(&repository, &growing());
            let foreign = repository.commit(&together(&growing()), &[], "another layout");
            repository.reference("refs/entire/checkpoints/v2/main", foreign);
            repository
        }),
        ("refs/entire/checkpoints/ and entire/checkpoints/v1", &|project| {
            let mut spoilt = growing();
            // What a reference of its own says goes before the branch.
            spoilt[1].1.insert("0/metadata.json".to_owned(), metadata(IDS[1], TIDY, 50, share(1.0, 1000)));
            let repository = with_branch(project, BRANCH);
            let tip = repository.commit(&together(&spoilt), &[], "checkpoint");
            repository.reference(BRANCH, tip);
            own(&repository, &growing()[..3]);
            repository
        }),
    ];
    for (references, make) in cases {
        for is_packed in [false, true] {
            let project = Project::empty();
            let repository = make(&project);
            if is_packed {
                repository.pack_references();
            }
            let ran = project.ok(&["sessions", "repo"]);
            assert!(ran.err.ends_with(&note(references)), "{references}: {}", ran.err);
            assert_eq!(content(&sessions(&project, &["repo"])), expected, "{references}, packed: {is_packed}");
        }
    }
}

#[test]
fn packed_objects_bare_repositories_and_linked_worktrees_are_read_alike() {
    let project = Project::empty();
    let repository = with_branch(&project, BRANCH);
    let expected = sessions(&project, &["repo"]);
    std::fs::rename(project.path("repo/.git"), project.path("bare.git")).expect("a folder can be moved");
    let bare = sessions(&project, &["bare.git"]);
    assert_eq!(content(&bare), content(&expected));
    assert!(project.ok(&["sessions", "bare.git"]).err.ends_with(
        "note: bare.git is a git repository with 5 checkpoints of Entire: read from entire/checkpoints/v1\n"
    ));
    std::fs::rename(project.path("bare.git"), project.path("repo/.git")).expect("a folder can be moved");
    // As `git worktree add` and submodules do it.
    project
        .write("linked/.git", "gitdir: ../repo/.git/worktrees/linked\n")
        .write("repo/.git/worktrees/linked/HEAD", "ref: refs/heads/other\n")
        .write("repo/.git/worktrees/linked/commondir", "../..\n");
    assert_eq!(content(&sessions(&project, &["linked"])), content(&expected));
    let ran = project.ok(&["sessions", "repo", "linked", "repo/.git"]);
    assert_eq!(ran.err.matches("note: ").count(), 1, "one repository is read once: {}", ran.err);
    if repository.gc() {
        let objects = project.files("repo/.git/objects");
        assert!(objects.keys().any(|path| path.extension().is_some_and(|extension| extension == "pack")));
        assert!(
            !objects.keys().any(|path| path.parent().is_some_and(|folder| folder.ends_with("00"))),
            "none is loose"
        );
        assert_eq!(sessions(&project, &["repo"]), expected);
        project.write("borrower/.git/objects/info/alternates", "../../../repo/.git/objects\n");
        let borrower = Repository::at(&project.path("borrower"));
        std::fs::copy(project.path("repo/.git/packed-refs"), borrower.git.join("packed-refs"))
            .expect("a file can be copied");
        assert_eq!(content(&sessions(&project, &["borrower"])), content(&expected));
    }
}

#[test]
fn repositories_met_in_a_folder_are_read_and_plain_ones_are_searched() {
    let project = Project::empty();
    let expected = {
        with_branch(&project, BRANCH);
        sessions(&project, &["repo"])
    };
    let plain = Repository::at(&project.path("plain"));
    let tip = plain.commit(&Files::from([("a".to_owned(), b"a".to_vec())]), &[], "no checkpoint");
    plain.reference("refs/heads/main", tip);
    project.write("plain/logs/mine.jsonl", codex("plain", &["go"])).write("deep/er/x.jsonl", codex("deep", &["go"]));
    let bare = Repository::bare(&project.path("deep/mirror.git"));
    let tip = bare.commit(&sharded(IDS[0], growing().remove(0).1), &[], "checkpoint");
    bare.reference(BRANCH, tip);
    let ran = project.ok(&["sessions", "."]);
    assert_eq!(ran.err.matches("note: ").count(), 2, "{}", ran.err);
    assert!(!ran.err.contains("skipped"), "{}", ran.err);
    let all = sessions(&project, &["."]);
    let ids: Vec<&str> = all.iter().map(|session| session["id"].as_str().expect("an id")).collect();
    assert_eq!(ids.len(), 4, "{ids:?}");
    assert!(ids.contains(&"codex:plain") && ids.contains(&"codex:deep") && !ids.contains(&"codex:mine"), "{ids:?}");
    let tidy = all.iter().find(|session| session["id"] == expected[0]["id"]).expect("it is there");
    assert_eq!(tidy["prompts"], expected[0]["prompts"]);
    let inside = sessions(&project, &["repo/logs"]);
    assert_eq!(inside[0]["id"], "codex:mine", "a folder in a work tree is a folder");
    let matched = sessions(&project, &["repo/**/*.jsonl"]);
    assert_eq!((matched.len(), &matched[0]["id"]), (1, &json!("codex:mine")), "so is what a pattern asks for");
    assert_eq!(sessions(&project, &["rep*"]).len(), 2, "a pattern may ask for repositories");
}
