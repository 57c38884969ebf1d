//! Checkpoints of Entire as they really are: split, mislabelled, repeated, damaged, incomplete; and what is done with sessions from a repository.

use crate::entire::{IDS, TIDY, checkpoint, metadata, sessions, sharded, share, together};
use crate::project::{EFFORT, Project, TONE, claude, claude_prompt, codex};
use crate::repository::{Files, Repository};
use gix_hash::ObjectId;
use serde_json::{Value, json};
use std::fs;

const BRANCH: &str = "refs/heads/entire/checkpoints/v1";

/// A repository with these checkpoints on the branch, and a folder with the same tree.
fn both(project: &Project, files: &Files) -> Repository {
    for (path, bytes) in files {
        project.write(&format!("folder/{path}"), bytes);
    }
    let repository = Repository::at(&project.path("repo"));
    let tip = repository.commit(files, &[], "checkpoint");
    repository.reference(BRANCH, tip);
    repository
}

/// What is found in the repository, which is what is found in the folder but for the paths, and what is said of it.
fn alike(project: &Project) -> (Vec<Value>, Vec<String>) {
    let skipped = |place: &str, root: &str| -> Vec<String> {
        let said = project.ok(&["sessions", place]).err;
        let lines = said.lines().filter(|line| line.starts_with("skipped "));
        lines.map(|line| line.replace(root, "")).collect()
    };
    let (in_git, in_folder) = (sessions(project, &["repo"]), sessions(project, &["folder"]));
    let plain = |sessions: &[Value], root: &str| serde_json::to_string(sessions).expect("JSON").replace(root, "");
    assert_eq!(plain(&in_git, "repo/entire/checkpoints/v1:"), plain(&in_folder, "folder/"));
    let skipped_in_git = skipped("repo", "repo/entire/checkpoints/v1:");
    assert_eq!(skipped_in_git, skipped("folder", "folder/"));
    (in_git, skipped_in_git)
}

fn with(mut files: Files, name: &str, bytes: impl Into<Vec<u8>>) -> Files {
    files.insert(name.to_owned(), bytes.into());
    files
}

#[test]
fn a_long_transcript_is_put_together_from_its_parts() {
    let project = Project::empty();
    let lines: Vec<String> = (1..=6).map(|nth| claude_prompt(TIDY, nth, &format!("prompt {nth}"))).collect();
    let split = checkpoint(IDS[0], metadata(IDS[0], TIDY, 1, json!({})), lines[..2].join("\n"));
    let split = with(split, "0/full.jsonl.001", lines[2..4].join("\n") + "\n");
    let split = with(split, "0/full.jsonl.010", "not yet");
    let split = with(split, "0/full.jsonl.002", lines[4..].join("\n"));
    let mut files = sharded(IDS[0], split);
    // A document of Gemini CLI is split into documents that have lost its name.
    let message = |nth: usize| {
        json!([{ "id": format!("u{nth}"), "timestamp": format!("2026-05-01T10:{nth:02}:00Z"), "type": "user", "content": format!("ask {nth}") },
               { "id": format!("g{nth}"), "timestamp": format!("2026-05-01T10:{nth:02}:30Z"), "type": "gemini", "content": "done", "model": "m",
                 "tokens": { "input": 10, "output": 1, "cached": 0, "thoughts": 0, "tool": 0, "total": 11 } }])
    };
    let part = |nth: usize| json!({ "messages": message(nth) }).to_string();
    let gemini = checkpoint(IDS[1], metadata(IDS[1], "2026-05-01-gem", 2, json!({ "agent": null })), part(1));
    let gemini = with(with(gemini, "0/full.jsonl.001", part(2)), "0/full.jsonl.002", part(3));
    files.extend(sharded(IDS[1], gemini));
    both(&project, &files);
    let (sessions, skipped) = alike(&project);
    let facts = |session: &Value| (session["id"].clone(), session["prompts"].clone(), session["read"]["bad"].clone());
    assert_eq!(facts(&sessions[0]), (json!("gemini_cli:gem"), json!(3), json!(0)));
    assert_eq!(sessions[0]["usage"]["input"], json!(30));
    // The part that came too late is no row.
    assert_eq!(facts(&sessions[1]), (json!(format!("claude_code:{TIDY}")), json!(6), json!(1)));
    let missing = "skipped c0/0000000001/0/full.jsonl.003: cannot be read: this part of a transcript is missing";
    assert_eq!(skipped, [missing]);
}

#[test]
fn the_content_says_whose_transcript_it_is_and_the_metadata_what_it_is_called() {
    let project = Project::empty();
    let mut files = Files::new();
    let mut add = |at: usize, folder: usize, session: &str, label: Value, transcript: String| {
        let mut one = checkpoint(IDS[at], metadata(IDS[at], session, at, json!({ "agent": label })), transcript);
        for name in ["metadata.json", "full.jsonl"] {
            let bytes = one.remove(&format!("0/{name}")).expect("it is there");
            one.insert(format!("{folder}/{name}"), bytes);
        }
        files.extend(sharded(IDS[at], one));
    };
    let cursor = json!({ "role": "user", "message": { "content": [{ "type": "text", "text": "<user_query>\ngo\n</user_query>" }] } });
    let chat = json!({ "messages": [{ "role": "user", "content": "go" }, { "role": "assistant", "content": "done" }] });
    // A resumed session begins with rows of the one before.
    let resumed = [claude("earlier", &["a"]), claude("later", &["b"])].concat();
    add(0, 0, "2026-01-21-later", json!("Gemini CLI"), resumed);
    add(1, 0, "x", json!("Agent"), codex("x", &["go"]));
    // The same session twice in a checkpoint, which has lost the folder in between.
    add(1, 3, "x", Value::Null, codex("x", &["go", "on"]));
    add(2, 0, "cur", json!("Claude Code"), format!("{cursor}\n"));
    add(3, 0, "other-cur", json!("Cursor"), format!("{cursor}\n\n"));
    add(4, 0, "talk", json!("Droid"), chat.to_string());
    both(&project, &files);
    let (sessions, skipped) = alike(&project);
    let mut facts: Vec<(&str, u64, usize)> = sessions
        .iter()
        .map(|session| {
            let checkpoints = session["checkpoints"].as_array().expect("a list").len();
            (session["id"].as_str().expect("an id"), session["prompts"].as_u64().expect("a count"), checkpoints)
        })
        .collect();
    facts.sort();
    let expected = [
        ("chat:talk", 1, 1),
        ("claude_code:later", 2, 1),
        ("codex:x", 2, 1),
        ("cursor:cur", 1, 1),
        ("cursor:other-cur", 1, 1),
    ];
    assert_eq!(facts, expected);
    assert!(skipped.is_empty(), "{skipped:?}");
}

#[test]
fn identical_transcripts_are_one() {
    let project = Project::empty();
    // Finished at the end of the turn, after three commits.
    let transcript = claude(TIDY, &["one", "two"]);
    let checkpoints: Vec<(&str, Files)> = IDS[..3]
        .iter()
        .enumerate()
        .map(|(at, id)| (*id, checkpoint(id, metadata(id, TIDY, at, share(50.0, 2)), &*transcript)))
        .collect();
    let repository = Repository::at(&project.path("repo"));
    let tip = repository.commit(&together(&checkpoints), &[], "checkpoint");
    repository.reference(BRANCH, tip);
    let found = sessions(&project, &["repo"]);
    assert_eq!(
        (&found[0]["read"]["lines"], &found[0]["path"]),
        (&json!(2), &json!("repo/entire/checkpoints/v1:a0/0000000002/0/full.jsonl"))
    );
    assert_eq!(found[0]["checkpoints"].as_array().map(Vec::len), Some(3));
    let clone = Repository::at(&project.path("clone"));
    let tip = clone.commit(&together(&checkpoints[..1]), &[], "checkpoint");
    clone.reference(BRANCH, tip);
    let found = sessions(&project, &["repo", "clone"]);
    assert_eq!((found.len(), &found[0]["read"]["lines"]), (1, &json!(2)), "nor does a second clone repeat it");
}

#[test]
fn transcripts_of_subagents_belong_to_their_session() {
    let project = Project::empty();
    let task = |session: &str| {
        let rows: Vec<String> = (1..=3)
            .map(|nth| {
                claude_prompt(session, nth, "look")
                    .replace("\"isSidechain\":false", "\"isSidechain\":true")
                    .replace("\"uuid\":\"", "\"uuid\":\"t")
            })
            .collect();
        rows.join("\n") + "\n"
    };
    let files = checkpoint(IDS[0], metadata(IDS[0], TIDY, 0, json!({})), claude(TIDY, &["one"]));
    let files = with(files, "tasks/toolu_1/agent-a1.jsonl", task(TIDY));
    let files = with(files, "tasks/toolu_1/task.json", "{\"tool_use_id\":\"toolu_1\"}");
    // One that names itself as its session, in the session's own folder as old versions have it.
    let files = with(files, "0/tasks/toolu_2/agent-b2.jsonl", task("agent-b2").replace("agent-b2-", "b-"));
    let files = with(files, "0/tasks/toolu_2/checkpoint.json", "{\"session_id\":\"s\"}");
    let files = with(files, "assets/manifest.json", "{}");
    both(&project, &sharded(IDS[0], files));
    let (sessions, skipped) = alike(&project);
    assert_eq!(sessions.len(), 1, "{sessions:#?}");
    assert_eq!((&sessions[0]["prompts"], &sessions[0]["subagent_events"]), (&json!(1), &json!(6)));
    assert!(skipped.is_empty(), "{skipped:?}");
}

#[test]
fn what_a_checkpoint_lacks_is_said() {
    let project = Project::empty();
    let good = |at: usize| checkpoint(IDS[at], metadata(IDS[at], IDS[at], at, json!({})), codex(IDS[at], &["go"]));
    let without = |mut files: Files, names: &[&str]| {
        names.iter().for_each(|name| drop(files.remove(*name)));
        files
    };
    let mut files = sharded(IDS[0], with(good(0), "0/metadata.json", "{\"checkpoint_id\""));
    files.extend(sharded(IDS[1], without(good(1), &["0/full.jsonl"])));
    files.extend(sharded(IDS[2], without(good(2), &["0/full.jsonl", "0/transcript.jsonl"])));
    files.extend(sharded(IDS[3], with(good(3), "0/full.jsonl", "")));
    files.extend(sharded(IDS[4], with(good(4), "0/full.jsonl", "{\"a\":1}\n")));
    let repository = Repository::at(&project.path("repo"));
    let tip = repository.commit(&files, &[], "checkpoint");
    repository.reference(BRANCH, tip);
    let ran = project.ok(&["sessions", "repo", "--json"]);
    insta::assert_snapshot!(ran.err.replace("repo/entire/checkpoints/v1:", "…/"), @"
    1 session (codex 1), 1 prompt, 0 interruptions, 0 damaged lines
    note: repo is a git repository with 5 checkpoints of Entire: read from entire/checkpoints/v1; the files of its work tree are not searched
    skipped …/00/0000000005/0/full.jsonl: not a transcript
    skipped …/a1/0000000004/0/full.jsonl: empty
    skipped …/a0/0000000002/0: the session's transcript is there in short only (transcript.jsonl, not full.jsonl)
    skipped …/b0/0000000003/0: the session's transcript is not there
    skipped …/c0/0000000001/0/metadata.json: metadata that cannot be understood
    ");
    let session: Value = serde_json::from_str(&ran.out).expect("there is one session");
    assert_eq!((&session["id"], &session["checkpoints"][0]["id"]), (&json!("codex:c00000000001"), &json!(IDS[0])));
}

#[test]
fn damaged_and_missing_objects_cost_no_more_than_themselves() {
    let project = Project::empty();
    let repository = Repository::at(&project.path("repo"));
    let transcripts: Vec<String> = IDS.iter().map(|id| codex(id, &["go", &"x".repeat(4000)])).collect();
    let checkpoints: Vec<(&str, Files)> = IDS
        .iter()
        .zip(&transcripts)
        .enumerate()
        .map(|(at, (id, transcript))| (*id, checkpoint(id, metadata(id, id, at, json!({})), &**transcript)))
        .collect();
    let tip = repository.commit(&together(&checkpoints), &[], "checkpoint");
    repository.reference(BRANCH, tip);
    let path = |id: ObjectId| repository.object(id);
    let spoil = |id: ObjectId, spoilt: &dyn Fn(&mut Vec<u8>)| {
        let mut bytes = fs::read(path(id)).expect("an object");
        spoilt(&mut bytes);
        fs::remove_file(path(id)).expect("a file can be removed");
        fs::write(path(id), bytes).expect("a file can be written");
    };
    let blob = |at: usize| repository.blob(transcripts[at].as_bytes());
    fs::remove_file(path(blob(0))).expect("a file can be removed");
    spoil(blob(1), &|bytes| bytes.truncate(bytes.len() / 2));
    spoil(blob(2), &|bytes| bytes.clear());
    let session_folder: Files = checkpoints[3]
        .1
        .iter()
        .filter_map(|(name, bytes)| Some((name.strip_prefix("0/")?.to_owned(), bytes.clone())))
        .collect();
    fs::remove_file(path(repository.tree(&session_folder))).expect("a file can be removed");
    let ran = project.ok(&["sessions", "repo"]);
    assert_eq!(ran.err.lines().next(), Some("1 session (codex 1), 2 prompts, 0 interruptions, 0 damaged lines"));
    let skipped: Vec<&str> = ran.err.lines().filter(|line| line.starts_with("skipped ")).collect();
    assert_eq!(skipped.len(), 4, "{}", ran.err);
    for (part, of) in [
        ("c0/0000000001/0/full.jsonl: cannot be read: git object ", " is missing from the repository"),
        ("a0/0000000002/0/full.jsonl: cannot be read: git object ", " is damaged: "),
        ("b0/0000000003/0/full.jsonl: cannot be read: git object ", " is damaged: "),
        ("a1/0000000004/0: cannot be read: git object ", " is missing from the repository"),
    ] {
        assert!(skipped.iter().any(|line| line.contains(part) && line.contains(of)), "{part}: {skipped:#?}");
    }
    // The tip itself.
    fs::remove_file(path(tip)).expect("a file can be removed");
    let refused = project.refused(&["sessions", "repo"]);
    insta::assert_snapshot!(refused.replace(&tip.to_string(), "COMMIT"), @"
    error: no checkpoint of Entire can be read in the git repository repo: git object COMMIT is missing from the repository
    hint: a partial clone lacks objects that were never asked for, and a damaged one may be mended by its remote: git -C repo fetch --refetch --no-filter origin
    ");
}

#[test]
fn repositories_without_anything_to_read_are_refused_with_a_way_out() {
    let project = Project::empty();
    Repository::at(&project.path("empty"));
    let bare = Repository::bare(&project.path("bare.git"));
    let tip = bare.commit(&Files::from([("a.md".to_owned(), b"a".to_vec())]), &[], "no checkpoint");
    bare.reference("refs/heads/main", tip);
    insta::assert_snapshot!(project.refused(&["sessions", "empty"]), @"
    error: no transcript in empty: no files; and no checkpoints of Entire in its git repository
    hint: checkpoints are on the branch entire/checkpoints/v1, or below refs/entire/checkpoints; a clone may lack them: git -C empty fetch origin '+refs/heads/entire/*:refs/remotes/origin/entire/*' '+refs/entire/*:refs/entire/*'
    ");
    insta::assert_snapshot!(project.refused(&["sessions", "empty/.git"]), @"
    error: no transcript in empty/.git: 2 other files (2 without extension); and no checkpoints of Entire in its git repository
    hint: checkpoints are on the branch entire/checkpoints/v1, or below refs/entire/checkpoints; a clone may lack them: git -C empty/.git fetch origin '+refs/heads/entire/*:refs/remotes/origin/entire/*' '+refs/entire/*:refs/entire/*'
    ");
    insta::assert_snapshot!(project.refused(&["sessions", "bare.git"]), @"
    error: no transcript in bare.git: 6 other files (6 without extension); and no checkpoints of Entire in its git repository
    hint: checkpoints are on the branch entire/checkpoints/v1, or below refs/entire/checkpoints; a clone may lack them: git -C bare.git fetch origin '+refs/heads/entire/*:refs/remotes/origin/entire/*' '+refs/entire/*:refs/entire/*'
    ");
    let enabled = Repository::at(&project.path("enabled"));
    let tip = enabled.commit(&Files::from([("README.md".to_owned(), b"a".to_vec())]), &[], "begin");
    enabled.reference(BRANCH, tip);
    insta::assert_snapshot!(project.refused(&["sessions", "enabled"]), @"
    error: no checkpoint of Entire has a transcript in the git repository enabled
    hint: its work tree is not searched; to search it, name a folder in it
    ");
    project.write("new/.git/config", "[core]\n\trepositoryformatversion = 1\n[extensions]\n\tobjectFormat = SHA256\n");
    project
        .write("new/.git/HEAD", "ref: refs/heads/main\n")
        .write("new/.git/objects/x", "")
        .write("new/.git/refs/x", "");
    project.write("new/a.jsonl", codex("a", &["go"]));
    let ran = project.ok(&["sessions", "new"]);
    assert!(
        ran.err.contains("skipped new/.git: cannot be read: its objects are named by sha256, which cannot be read yet"),
        "{}",
        ran.err
    );
}

#[test]
fn what_a_clone_lacks_by_choice_is_said() {
    let project = Project::empty();
    let origin = both(
        &project,
        &sharded(IDS[0], checkpoint(IDS[0], metadata(IDS[0], TIDY, 0, json!({})), claude(TIDY, &["go"]))),
    );
    let user = Files::from([("a".to_owned(), b"a".to_vec())]);
    let first = origin.commit(&user, &[], "first");
    let second = origin.commit(&user, &[first], &format!("second\n\nEntire-Checkpoint: {}", IDS[0]));
    origin.reference("refs/heads/main", second);
    let url = format!("file://{}", origin.git.display());
    let clone = |name: &str, more: &[&str]| {
        let path = project.path(name).display().to_string();
        origin.git(&["config", "uploadpack.allowFilter", "true"])?;
        origin.git(&[&["clone", "--quiet", "--no-single-branch"], more, &[&url, &path]].concat())
    };
    if clone("shallow", &["--depth", "1"]).is_none() {
        return;
    }
    let ran = project.ok(&["sessions", "shallow", "--json"]);
    assert!(ran.err.contains("from origin/entire/checkpoints/v1; the files of its work tree are not searched; a shallow clone, so commits of the sessions may be missing\n"), "{}", ran.err);
    assert!(!ran.err.contains("skipped"), "{}", ran.err);
    let session: Value = serde_json::from_str(&ran.out).expect("one session");
    assert_eq!(session["checkpoints"][0]["commits"], json!([second.to_string()]));
    clone("partial", &["--filter=blob:none"]);
    let refused = project.refused(&["sessions", "partial"]);
    assert!(
        refused.starts_with("error: no checkpoint of Entire can be read in the git repository partial: "),
        "{refused}"
    );
    assert!(refused.contains("is missing from the repository") && refused.contains("fetch --refetch"), "{refused}");
}

#[test]
fn nothing_in_a_repository_is_run_and_nothing_in_it_is_written() {
    let project = Project::empty();
    let repository = both(
        &project,
        &sharded(IDS[0], checkpoint(IDS[0], metadata(IDS[0], TIDY, 0, json!({})), claude(TIDY, &["go"]))),
    );
    let touch = format!("touch {}", project.path("pwned").display());
    let config = format!(
        "[core]\n\tfsmonitor = {touch}\n\tpager = {touch}\n\tsshCommand = {touch}\n[filter \"x\"]\n\tsmudge = {touch}\n\
         [remote \"origin\"]\n\turl = ext::{touch}\n\tpromisor = true\n[include]\n\tpath = /nowhere\n[broken\n"
    );
    project.write("repo/.git/config", &config).write("repo/.gitattributes", "* filter=x\n");
    project.write("repo/.git/hooks/post-checkout", format!("#!/bin/sh\n{touch}\n"));
    fs::remove_file(repository.object(repository.blob(b"go"))).expect("a file can be removed");
    let before = project.files("repo");
    assert_eq!(sessions(&project, &["repo"]).len(), 1);
    assert!(project.files("repo") == before && !project.path("pwned").exists());
}

#[test]
fn sessions_of_a_repository_are_shown_and_annotated_like_any_other() {
    let project = Project::empty();
    project.write("prompts/tone.md", TONE).write("prompts/effort.md", EFFORT);
    let checkpoints: Vec<(&str, Files)> = (0..3)
        .map(|at| {
            let prompts = ["one", "stop that", "three"];
            (IDS[at], checkpoint(IDS[at], metadata(IDS[at], TIDY, at, json!({})), claude(TIDY, &prompts[..=at])))
        })
        .collect();
    let mut files = together(&checkpoints);
    files.extend(sharded(IDS[4], checkpoint(IDS[4], metadata(IDS[4], "x", 9, json!({})), codex("x", &["do it now"]))));
    let repository = both(&project, &files);
    project.write("other/1.jsonl", codex("1", &["go"]));
    let shown = |place: &str| {
        project.ok(&["sessions", place, "--show", &format!("claude_code:{TIDY}#2"), "--task", "tone"]).out
    };
    assert!(shown("repo").contains(">>> [2] USER: stop that"), "{}", shown("repo"));
    assert_eq!(shown("repo"), shown("folder"));
    let annotate = |project: &Project| project.ok(&["annotate", "tone", "--sessions", "repo", "other"]);
    let ran = annotate(&project);
    assert!(ran.err.contains("note: repo is a git repository with 4 checkpoints of Entire"), "{}", ran.err);
    let run = project.run_name("tone-");
    let labels: Vec<(Value, Value)> = project
        .rows(&format!("runs/{run}/annotations.jsonl"))
        .into_iter()
        .map(|row| (row["unit"].clone(), row["fields"]["label"].clone()))
        .collect();
    let unit = |nth: usize, label: &str| (json!(format!("claude_code:{TIDY}#{nth}")), json!(label));
    let expected = [
        (json!("codex:1#1"), json!("calm")),
        (json!("codex:x#1"), json!("curt")),
        unit(1, "calm"),
        unit(2, "rough"),
        unit(3, "calm"),
    ];
    assert_eq!(labels, expected);
    let manifest: Value =
        serde_json::from_str(&project.read(&format!("runs/{run}/manifest.json"))).expect("a manifest");
    let inputs = manifest["inputs"].as_array().expect("a list");
    assert_eq!(inputs.len(), 2, "one entry a repository: {inputs:#?}");
    assert_eq!((&inputs[0]["path"], &inputs[0]["commit"]), (&json!("other/1.jsonl"), &Value::Null));
    let tip = fs::read_to_string(repository.git.join(BRANCH)).expect("a reference");
    assert_eq!((&inputs[1]["path"], &inputs[1]["commit"]), (&json!("repo"), &json!(tip.trim())));
    // What is vouched for can be checked by whoever has git.
    let mut ids: Vec<String> = (checkpoints.iter().map(|(_, files)| &files["0/full.jsonl"]))
        .chain([&files[&format!("{}/{}/0/full.jsonl", &IDS[4][..2], &IDS[4][2..])]])
        .map(|bytes| format!("{}\n", repository.blob(bytes)))
        .collect();
    ids.sort();
    assert_eq!(inputs[1]["hash"], json!(blake3::hash(ids.concat().as_bytes()).to_hex().to_string()));
    let before = project.files("runs");
    annotate(&project);
    assert!(project.files("runs") == before, "a second run changes nothing");
    let where_ = project.ok(&["sessions", "repo", "--where", "checkpoints | length > 2", "--json"]);
    assert_eq!(where_.out.lines().count(), 1);
}
