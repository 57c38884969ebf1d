//! `label`: people label on a page. What is saved is on disk, in a gold file that others edit too, whatever happens to the server.

use crate::label_client::Server;
use crate::project::{Project, claude, codex};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::time::Duration;

/// A project without gold.
fn project() -> Project {
    Project::new()
}

/// The rows of a gold file by unit and rater: every cell by its column.
fn rows(project: &Project, name: &str) -> BTreeMap<(String, String), BTreeMap<String, String>> {
    let text = project.read(name);
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let header = reader.headers().expect("a header").clone();
    let rows = reader.records().map(|record| record.expect("a row"));
    rows.map(|record| {
        let row: BTreeMap<String, String> =
            header.iter().zip(record.iter()).map(|(column, cell)| (column.to_owned(), cell.to_owned())).collect();
        ((row["unit"].clone(), row["rater"].clone()), row)
    })
    .collect()
}

fn key(unit: &str, rater: &str) -> (String, String) {
    (unit.to_owned(), rater.to_owned())
}

fn journal(project: &Project) -> Vec<Value> {
    project.rows("gold/tone.labelling.jsonl")
}

#[test]
fn a_person_labels_skips_takes_back_and_goes_on_another_day() {
    let project = project();
    let server = Server::start(&project, &["tone", "--rater", "ada"]);
    assert_eq!((&server.said["rater"], &server.said["progress"]["units"]), (&json!("ada"), &json!(40)));
    let task = server.get("/api/task").with(200).json();
    let labels: Vec<(&str, &str)> = (task["question"]["fields"][1]["choices"].as_array().unwrap().iter())
        .map(|choice| (choice["name"].as_str().unwrap(), choice["key"].as_str().unwrap()))
        .collect();
    assert_eq!(labels, [("rough", "1"), ("curt", "2"), ("calm", "3")]);
    let material = server.get("/api/units/2/material").with(200).json();
    let pieces = material["pieces"].as_array().unwrap();
    assert_eq!(pieces.last().unwrap()["is_target"], json!(true));
    // A prompt's rater sees nothing of what came after it.
    assert!(!material.to_string().contains("reply 3") && material.to_string().contains("reply 2"));
    assert!(!server.get("/api/units/2/transcript?from=1").with(200).body.contains("reply 3"));
    server.get("/api/units/2/events/6").with(404);
    assert!(server.get("/api/units/2/prompt").with(200).json()["text"].as_str().unwrap().contains("Label event"));

    let saved = server.label(0, "calm", "");
    assert_eq!((&saved["state"], &saved["next"]), (&json!("done"), &json!(1)));
    let quote = json!({ "event": 1, "quote": "please go on" });
    let invented = json!({ "event": 1, "quote": "never said" });
    let body = json!({ "fields": { "label": "curt", "reason": "two\nlines, \"quoted\"" }, "evidence": [quote, invented], "note": "hm", "seconds": 4.25 });
    let saved = server.post("/api/units/1/answer", &body).with(200).json();
    assert_eq!(saved["evidence"][0]["found"], json!(true));
    assert_eq!(saved["evidence"][1]["found"], json!(false));
    server.post("/api/units/3/skip", &json!({ "note": "later", "seconds": 1 })).with(200);
    assert_eq!(server.states()[..5], ["done", "done", "todo", "skipped", "todo"]);
    assert_eq!(server.post("/api/undo", &json!({})).with(200).json()["at"], json!(3));
    assert_eq!(server.states()[3], "todo");
    server.label(0, "rough", "changed my mind");
    server.post("/api/undo", &json!({})).with(200);

    let found = rows(&project, "gold/tone.csv");
    assert_eq!(found.len(), 2);
    assert_eq!(found[&key("codex:s0#1", "ada")]["label"], "calm");
    let second = &found[&key("codex:s0#2", "ada")];
    assert_eq!(
        (second["label"].as_str(), second["reason"].as_str(), second["note"].as_str()),
        ("curt", "two\nlines, \"quoted\"", "hm")
    );
    let what: Vec<String> = journal(&project).iter().map(|line| line["what"].as_str().unwrap().to_owned()).collect();
    assert_eq!(what, ["answer", "answer", "skip", "undo", "answer", "undo"]);
    assert_eq!(journal(&project)[1]["seconds"], json!(4.3));
    let (code, said) = server.end();
    assert_eq!(code, Some(0));
    assert!(said.contains("2 labelled now; 2 of 40 done, 0 skipped"), "{said}");

    let server = Server::start(&project, &["tone", "--rater", "ada"]);
    let given = server.get("/api/units/1").with(200).json();
    assert_eq!((&given["fields"]["label"], &given["evidence"][0]["quote"]), (&json!("curt"), &json!("please go on")));
    assert_eq!(server.post("/api/undo", &json!({})).with(409).json()["error"], json!("there is nothing to undo"));
    // The file is gold as it is.
    project.ok(&["agree", "--task", "tone", "--replicates", "200"]);
}

#[test]
fn every_type_of_field_comes_from_the_codebook_and_wrong_answers_are_refused() {
    let project = project();
    let server = Server::start(&project, &["effort"]);
    assert_eq!(server.said["rater"], json!("human"));
    let fields = json!({ "score": 70, "phases": { "reading": 12.5, "writing": 87.5 } });
    let rest: Vec<String> = (server.get("/api/task").json()["question"]["fields"].as_array().unwrap().iter())
        .filter(|field| !["score", "phases"].contains(&field["name"].as_str().unwrap()))
        .map(|field| field["name"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(rest, Vec::<String>::new(), "the sample codebook has a score and shares");
    server.post("/api/units/0/answer", &json!({ "fields": fields })).with(200);
    let found = rows(&project, "gold/effort.csv");
    let row = &found[&key("codex:s0", "human")];
    assert_eq!((row["score"].as_str(), row["phases"].as_str()), ("70", "reading=12.5;writing=87.5"));
    let before = project.read("gold/effort.csv");
    for (fields, said) in [
        (json!({ "score": 70 }), "`phases` is missing"),
        (json!({ "score": 101, "phases": { "reading": 50, "writing": 50 } }), "`score` is 101"),
        (json!({ "score": 70.5, "phases": { "reading": 50, "writing": 50 } }), "`score` is 70.5"),
        (json!({ "score": 70, "phases": { "reading": 50, "writing": 40 } }), "sum to 90"),
        (json!({ "score": 70, "phases": { "reading": 50, "writing": 50 }, "unit": "x" }), "`unit` is no field"),
    ] {
        let error = server.post("/api/units/1/answer", &json!({ "fields": fields })).with(422).json();
        assert!(error["error"].as_str().unwrap().contains(said), "{error}");
    }
    server.post("/api/units/1/answer", &json!({ "fields": {}, "rater": "bob" })).with(422);
    server.post("/api/units/4000/answer", &json!({ "fields": fields })).with(404);
    assert_eq!(project.read("gold/effort.csv"), before);
}

#[test]
fn the_sheet_of_sample_says_what_is_labelled_and_its_design_goes_into_the_gold() {
    let project = project();
    project.ok(&["annotate", "tone", "--quiet", "--run", "cues"]);
    project.ok(&["sample", "tone", "--size", "20", "--by", "label:cues", "--rater", "grace"]);
    project.write("gold/tone.csv", "unit,rater,label\r\ncodex:s0#1,bob,calm\r\n");
    let server = Server::start(&project, &["tone"]);
    assert_eq!(server.said["rater"], json!("grace"));
    let sheet = rows(&project, "gold/tone.sample.csv");
    assert_eq!(server.states().len(), sheet.len());
    let name = server.get("/api/units").json()["units"][0]["name"].as_str().unwrap().to_owned();
    server.label(0, "calm", "");
    let row = rows(&project, "gold/tone.csv")[&key(&format!("codex:{name}"), "grace")].clone();
    let drawn = &sheet[&key(&format!("codex:{name}"), "grace")];
    for column in ["split", "probability", "stratum"] {
        assert_eq!(row[column], drawn[column], "{column}");
        assert!(!row[column].is_empty());
    }
    // Bob's line has its bytes, and a cell for each column that came.
    assert!(
        project.read("gold/tone.csv").contains("\r\ncodex:s0#1,bob,calm,,,\r\n"),
        "{}",
        project.read("gold/tone.csv")
    );
    // A stratum may be a model's label: no answer of the server holds one.
    for path in ["/api/task", "/api/units", "/api/units/0", "/api/units/0/material"] {
        let body = server.get(path).body;
        assert!(
            !body.contains("stratum") && !body.contains("probability") && !body.contains("split"),
            "{path}: {body}"
        );
    }
}

#[test]
fn units_come_from_a_list_or_from_runs_as_well() {
    let project = project();
    project.write("mine.txt", "codex:s3#2\ncodex:s1#1\n");
    let names = |server: &Server| -> Vec<String> {
        let pile = server.get("/api/units").json();
        pile["units"].as_array().unwrap().iter().map(|unit| unit["name"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(names(&Server::start(&project, &["tone", "--units", "mine.txt"])), ["s3#2", "s1#1"]);
    project.ok(&["annotate", "tone", "--quiet", "--run", "few", "--limit", "7"]);
    let server = Server::start(&project, &["tone", "--run", "few"]);
    assert_eq!(names(&server).len(), 7);
    project.write("mine.txt", "codex:s3#2\ncodex:gone#1\n");
    let server = Server::start(&project, &["tone", "--units", "mine.txt"]);
    assert_eq!(names(&server), ["s3#2"]);
    assert!(
        server.end().1.contains("1 of 2 units left out, since their sessions are not here, such as `codex:gone#1`")
    );
    // A prompt that its session does not have can be put off, and gets no answer.
    project.write("mine.txt", "codex:s3#99\ncodex:s3#2\n");
    let server = Server::start(&project, &["tone", "--units", "mine.txt"]);
    let answer = json!({ "fields": { "label": "calm" } });
    assert!(server.get("/api/units/0/material").with(404).body.contains("has no unit `codex:s3#99`"));
    assert!(server.post("/api/units/0/answer", &answer).with(404).body.contains("has no unit `codex:s3#99`"));
    server.post("/api/units/0/skip", &json!({})).with(200);
    assert!(!project.path("gold/tone.csv").exists());
    for (args, said) in [
        (&["label", "mood"][..], "mood"),
        (&["label", "tone", "--units", "none.txt"], "none.txt"),
        (&["label", "tone", "--rater", "gold"], "`gold` cannot be a rater's name here"),
        (&["label", "tone", "--run", "nobody"], "nobody"),
    ] {
        let error = project.refused(args);
        assert!(error.contains(said), "{args:?}: {error}");
    }
    drop(server);
    project.write("mine.txt", "codex:gone#1\n");
    assert!(project.refused(&["label", "tone", "--units", "mine.txt"]).contains("no units of task `tone` to label"));
}

#[test]
fn no_answer_of_the_server_holds_anything_of_another_rater() {
    let project = project();
    let note = "zq-a-note-that-nobody-else-writes";
    project.write(
        "gold/tone.csv",
        format!("unit,rater,reason,label,note,stratum\ncodex:s0#1,bob,{note},rough,{note},{note}\ncodex:s0#2,gold,{note},rough,{note},\n"),
    );
    project.write(
        "gold/tone.labelling.jsonl",
        json!({
            "format": 1, "at": "2026-05-01T10:00:00Z", "rater": "bob", "unit": "codex:s0#1", "what": "answer",
            "fields": { "label": "rough" }, "note": note, "evidence": [{ "event": 1, "quote": note, "found": true }],
        })
        .to_string()
            + "\n",
    );
    let server = Server::start(&project, &["tone", "--rater", "ada"]);
    let mut said = vec![server.said.to_string()];
    let gets = [
        "/",
        "/api/task",
        "/api/units",
        "/api/units/0",
        "/api/units/1",
        "/api/units/0/material",
        "/api/units/0/prompt",
        "/api/units/0/transcript?from=1",
        "/api/units/0/events/1",
        "/api/round",
        "/api/cases",
        "/api/units/0/answers",
    ];
    for path in gets {
        let reply = server.get(path);
        said.push(format!("{}{}", reply.head, reply.body));
    }
    said.push(server.label(0, "calm", "").to_string());
    said.push(server.post("/api/units/1/skip", &json!({})).body);
    said.push(server.post("/api/undo", &json!({})).body);
    said.push(server.post("/api/undo", &json!({})).body);
    // A damaged row of another rater is told by its line only.
    let gold = project.read("gold/tone.csv");
    project.write("gold/tone.csv", gold.replace("rough", note));
    for reply in
        [server.get("/api/units"), server.post("/api/units/0/answer", &json!({ "fields": { "label": "calm" } }))]
    {
        assert_eq!(reply.status, 503);
        assert!(reply.body.contains("tone.csv:2"), "{reply:?}");
        said.push(reply.body);
    }
    let (_, stderr) = server.end();
    said.push(stderr);
    for text in &said {
        assert!(!text.contains(note), "{text}");
    }
    assert_eq!(
        project.read("gold/tone.csv"),
        gold.replace("rough", note),
        "nothing is written into a file that cannot be read"
    );
}

#[test]
fn an_edit_by_hand_in_the_meantime_is_kept() {
    let project = project();
    let server = Server::start(&project, &["tone", "--rater", "ada"]);
    server.label(0, "calm", "");
    server.label(1, "calm", "");
    let edited = project.read("gold/tone.csv").replace("codex:s0#1,ada,,calm", "codex:s0#1,ada,,rough")
        + "\"codex:s9#1\",bob,\"why\",curt,,,,,,\n\n";
    project.write("gold/tone.csv", &edited);
    assert_eq!(server.get("/api/units/0").json()["fields"]["label"], json!("rough"));
    server.label(2, "calm", "");
    let now = project.read("gold/tone.csv");
    assert!(now.starts_with(&edited), "{now}");
    assert_eq!(now.len() - edited.len(), now[edited.len()..].lines().next().unwrap().len() + 1);
    // Taking back is of the last step only where it still stands.
    server.post("/api/undo", &json!({})).with(200);
    assert_eq!(project.read("gold/tone.csv"), edited);
    project.write("gold/tone.csv", edited.replace("codex:s0#2,ada,,calm", "codex:s0#2,ada,,curt"));
    assert!(server.post("/api/undo", &json!({})).with(409).body.contains("changed by hand"));
}

#[test]
fn two_raters_with_two_servers_on_one_file_lose_nothing() {
    let project = project();
    let servers = ["ada", "bob"].map(|rater| Server::start(&project, &["tone", "--rater", rater]));
    std::thread::scope(|scope| {
        for (server, label) in servers.iter().zip(["calm", "rough"]) {
            scope.spawn(move || (0..25).for_each(|at| drop(server.label(at, label, ""))));
        }
    });
    let found = rows(&project, "gold/tone.csv");
    assert_eq!(found.len(), 50);
    for (rater, label) in [("ada", "calm"), ("bob", "rough")] {
        assert!(found.iter().filter(|((_, of), _)| of == rater).all(|(_, row)| row["label"] == label));
    }
    assert_eq!(journal(&project).len(), 50);
    project.ok(&["agree", "--task", "tone", "--replicates", "200"]);
}

#[test]
fn a_server_that_is_killed_amid_saves_loses_nothing_that_it_said_was_saved() {
    let project = project();
    let labels = ["calm", "rough", "curt"];
    let mut acknowledged: BTreeMap<usize, String> = BTreeMap::new();
    let mut under_way: BTreeMap<usize, BTreeSet<String>> = BTreeMap::new();
    let mut kills = 0;
    for round in 0..12 {
        let server = Server::start(&project, &["tone", "--rater", "ada", "--quiet"]);
        let found = if round == 0 { BTreeMap::new() } else { rows(&project, "gold/tone.csv") };
        for (at, label) in &acknowledged {
            let unit = format!("codex:s{}#{}", at / 4, at % 4 + 1);
            let there = &found[&key(&unit, "ada")]["label"];
            // What was under way when the server died may be there or not; what it had said was saved may not be undone by that.
            let possible = under_way.get(at).is_some_and(|labels| labels.contains(there));
            assert!(there == label || possible, "{unit}: {there}, {label}");
        }
        let (saving, killer) = (&server, round % 3);
        let mut last = None;
        for step in 0..40 {
            let at = (round * 7 + step) % 40;
            let label = labels[(round + step) % 3];
            under_way.entry(at).or_default().insert(label.to_owned());
            let body = json!({ "fields": { "label": label }, "seconds": 1 });
            if step == 3 + killer * 5 {
                // The answer to this one is not waited for: it dies at some moment of it.
                last = Some((at, body));
                break;
            }
            saving.post(&format!("/api/units/{at}/answer"), &body).with(200);
            acknowledged.insert(at, label.to_owned());
            under_way.remove(&at);
        }
        let (at, body) = last.expect("it is killed amid its work");
        let reply = std::thread::scope(|scope| {
            let asked = scope.spawn(|| saving.try_post(&format!("/api/units/{at}/answer"), &body));
            std::thread::park_timeout(Duration::from_micros(700 * (round as u64 % 6)));
            saving.kill_now();
            asked.join().expect("the client ends")
        });
        if reply.is_some_and(|reply| reply.status == 200) {
            acknowledged.insert(at, body["fields"]["label"].as_str().unwrap().to_owned());
            under_way.remove(&at);
        }
        kills += 1;
        server.kill();
    }
    assert_eq!(kills, 12);
    // Nothing is broken: it is read strictly, and labelling goes on.
    let server = Server::start(&project, &["tone", "--rater", "ada"]);
    server.label(39, "calm", "");
    let found = rows(&project, "gold/tone.csv");
    for (at, label) in acknowledged.iter().filter(|(at, _)| !under_way.contains_key(at) && **at != 39) {
        assert_eq!(&found[&key(&format!("codex:s{}#{}", at / 4, at % 4 + 1), "ada")]["label"], label);
    }
    project.ok(&["agree", "--task", "tone", "--replicates", "200"]);
}

#[test]
fn hostile_words_are_data_everywhere() {
    let project = project();
    let hostile = "<script>alert(1)</script><img src=x onerror=alert(2)> \u{202e}]>>> [9] USER: ${1+1}\u{0}";
    fs::remove_dir_all(project.path("logs")).unwrap();
    project.write("logs/a.jsonl", claude("<b>s", &[hostile, "please go on"]));
    project.write("logs/<img src=x>.jsonl", codex("t", &[hostile]));
    let server = Server::start(&project, &["tone", "--rater", "<i>ada</i>"]);
    let reply = server.get("/api/units/0/material").with(200);
    assert!(reply.head.contains("content-type: application/json"), "{}", reply.head);
    assert!(reply.json()["pieces"][0]["text"].as_str().unwrap().contains("<script>alert(1)</script>"));
    server.label(0, "calm", hostile.trim_end_matches('\0'));
    assert_eq!(server.get("/api/units/0").json()["note"], json!(hostile.trim_end_matches('\0')));
    server.post("/api/units/0/answer", &json!({ "fields": { "label": "calm" }, "note": hostile })).with(422);
    // The page itself is the same whatever there is to show.
    let page = server.get("/").with(200).body;
    assert!(!page.contains("alert(") && !page.contains("ada"));
}

/// A gold file in which ada and bob labelled twelve prompts, and differ on two.
fn two_raters(project: &Project) {
    let mut text = "unit,rater,label,note\n".to_owned();
    for at in 0..12 {
        let unit = format!("codex:s{}#{}", at / 4, at % 4 + 1);
        let (ada, bob) = if at == 5 || at == 9 { ("rough", "curt") } else { ("calm", "calm") };
        text.push_str(&format!("{unit},ada,{ada},a{at}\n{unit},bob,{bob},b{at}\n"));
    }
    text.push_str("codex:s9#1,ada,calm,\n");
    project.write("gold/tone.csv", text);
}

#[test]
fn whoever_decides_sees_both_answers_and_the_models_only_on_request() {
    let project = project();
    two_raters(&project);
    project.ok(&["annotate", "tone", "--quiet", "--run", "cues"]);
    let before = project.read("gold/tone.csv");
    let server = Server::start(&project, &["tone", "--adjudicate", "--rater", "eve", "--run", "cues"]);
    assert_eq!((&server.said["mode"], &server.said["progress"]["units"]), (&json!("adjudicate"), &json!(12)));
    let pile = server.get("/api/units").with(200).json();
    assert_eq!((&pile["units"][0]["name"], &pile["units"][1]["name"]), (&json!("s1#2"), &json!("s2#2")));
    assert_eq!(pile["rest"], json!({ "agreed": 10, "averaged": 0 }));
    let case = server.get("/api/units/0").with(200).json();
    let voices: Vec<(&str, &str, &str)> = (case["voices"].as_array().unwrap().iter())
        .map(|voice| {
            (
                voice["rater"].as_str().unwrap(),
                voice["fields"]["label"].as_str().unwrap(),
                voice["note"].as_str().unwrap(),
            )
        })
        .collect();
    assert_eq!(voices, [("ada", "rough", "a5"), ("bob", "curt", "b5")]);
    assert_eq!(
        (&case["verdict"], &case["open"], &case["model_shown"]),
        (&json!("differ"), &json!(["label"]), &json!(false))
    );
    // Nothing of the model's before it is asked for, and not even then without a record.
    let all: String = (0..12).map(|at| server.get(&format!("/api/units/{at}")).body).collect();
    assert!(!all.contains("baseline") && !all.contains("cue words"), "{all}");
    assert!(!project.path("gold/tone.labelling.jsonl").exists());
    let models = server.post("/api/units/0/models", &json!({})).with(200).json();
    assert!(models["models"][0]["rater"].as_str().unwrap().starts_with("baseline/cues@tone-"), "{models}");
    assert_eq!((&journal(&project)[0]["what"], &journal(&project)[0]["by"]), (&json!("model-shown"), &json!("eve")));
    assert_eq!(server.get("/api/units/0").json()["model_shown"], json!(true));
    // The round.
    let round = server.get("/api/round").with(200).json();
    let pair = &round["pairs"][0];
    assert_eq!((&pair["a"], &pair["b"], &pair["items"]), (&json!("ada"), &json!("bob"), &json!(12)));
    assert_eq!(pair["figures"][0]["name"], json!("κ"));
    let agreed = project.json(&["agree", "--task", "tone", "--replicates", "200"]);
    let kappa = agreed["fields"][0]["pairs"]
        .as_array()
        .unwrap()
        .iter()
        .find(|pair| pair["a"] == "ada" && pair["b"] == "bob")
        .unwrap();
    assert_eq!(pair["figures"][0]["value"], kappa["cohen_kappa"]["value"]);
    assert_eq!(pair["open"][0]["between"], json!("curt or rough"));
    assert_eq!(
        pair["open"][0]["cases"][1],
        json!({ "at": 1, "a": "rough", "b": "curt", "a_note": "a9", "b_note": "b9" })
    );
    // One is taken from bob, one is another label still.
    let taken = json!({ "fields": case["voices"][1]["fields"], "note": "", "taken_from": "bob" });
    assert_eq!(server.post("/api/units/0/decision", &taken).with(200).json()["next"], json!(1));
    server.post("/api/units/1/decision", &json!({ "fields": { "label": "calm" }, "note": "neither" })).with(200);
    server.post("/api/units/1/decision", &json!({ "fields": {} })).with(422);
    server.post("/api/settle", &json!({ "which": "agreed", "count": 9 })).with(422);
    server.post("/api/settle", &json!({ "which": "agreed", "count": 10 })).with(200);
    let after = project.read("gold/tone.csv");
    assert!(after.starts_with(&before), "{after}");
    let gold: Vec<&str> = after[before.len()..].lines().collect();
    assert_eq!((gold.len(), gold[0], gold[1]), (12, "codex:s1#2,gold,curt,", "codex:s2#2,gold,calm,neither"));
    server.post("/api/undo", &json!({})).with(200);
    assert_eq!(project.read("gold/tone.csv").lines().count(), before.lines().count() + 2);
    let how: Vec<String> = (journal(&project).iter())
        .filter(|line| line["what"] == "adjudicated")
        .map(|line| line["how"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(how[..3], ["taken from bob", "decided", "agreed"]);
    assert!(server.end().1.contains("2 decided now; 2 of 12 done"));
}

#[test]
fn a_raters_page_has_no_way_to_what_is_decided_and_the_other_none_to_answer() {
    let project = project();
    two_raters(&project);
    let server = Server::start(&project, &["tone", "--rater", "ada"]);
    for path in ["/api/round", "/api/units/0/models", "/api/settle"] {
        server.get(path).with(404);
        server.post(path, &json!({})).with(404);
    }
    server.post("/api/units/0/decision", &json!({ "fields": { "label": "calm" } })).with(404);
    let judge = Server::start(&project, &["tone", "--adjudicate"]);
    judge.post("/api/units/0/answer", &json!({ "fields": { "label": "calm" } })).with(404);
    judge.raw("GET", "/api/units/0", &[("Cookie", &server.cookie)], "").with(401);
    project.write("gold/tone.csv", "unit,rater,label\ncodex:s0#1,ada,calm\n");
    let error = project.refused(&["label", "tone", "--adjudicate"]);
    assert!(error.contains("no units that two raters labelled") && error.contains("--rater NAME"), "{error}");
}

#[test]
fn scores_that_are_close_are_averaged_and_others_decided() {
    let project = project();
    let rows = [("codex:s0", 40, 60), ("codex:s1", 40, 61), ("codex:s2", 70, 70)];
    let mut text = "unit,rater,score,phases\n".to_owned();
    for (unit, ada, bob) in rows {
        text.push_str(&format!("{unit},ada,{ada},reading=50;writing=50\n{unit},bob,{bob},reading=40;writing=60\n"));
    }
    project.write("gold/effort.csv", &text);
    let server = Server::start(&project, &["effort", "--adjudicate"]);
    let pile = server.get("/api/units").json();
    assert_eq!((&pile["units"][0]["name"], &pile["rest"]), (&json!("s1"), &json!({ "agreed": 0, "averaged": 2 })));
    server.post("/api/settle", &json!({ "which": "averaged", "count": 2 })).with(200);
    server
        .post(
            "/api/units/0/decision",
            &json!({ "fields": { "score": 55.5, "phases": { "reading": 45, "writing": 55 } } }),
        )
        .with(200);
    let found = rows_of_gold(&project);
    assert_eq!(
        found,
        [
            "codex:s0,gold,50,reading=45;writing=55",
            "codex:s2,gold,70,reading=45;writing=55",
            "codex:s1,gold,55.5,reading=45;writing=55"
        ]
    );
    project.ok(&["agree", "--task", "effort", "--replicates", "200"]);
}

fn rows_of_gold(project: &Project) -> Vec<String> {
    project.read("gold/effort.csv").lines().filter(|line| line.contains(",gold,")).map(str::to_owned).collect()
}

/// Runs `label --plain` with these lines as input.
fn plainly(project: &Project, args: &[&str], typed: &str) -> (Option<i32>, String, String) {
    let output = assert_cmd::Command::new(env!("CARGO_BIN_EXE_interrater"))
        .args([&["label"], args, &["--plain"]].concat())
        .current_dir(project.path("."))
        .env_clear()
        .env("HOME", project.path("."))
        .write_stdin(typed)
        .timeout(crate::project::PATIENCE)
        .output()
        .expect("the binary runs");
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("output is UTF-8");
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

#[test]
fn in_a_terminal_the_same_desk_takes_lines() {
    let project = project();
    let typed =
        "?\n3\nn not sure\nreason=it says now\ncite 1 please\ncite 1 never said\n2\ns\nu\nloud\ncurt\nu\nq\n1\n";
    let (code, out, err) = plainly(&project, &["tone", "--rater", "ada"], typed);
    assert_eq!(code, Some(0), "{err}");
    assert!(out.contains("── 1 of 40 · codex:s0#1 ──\n>>> [1] USER: please go on\n"), "{out}");
    assert!(out.contains("3 calm: Calm.") && out.contains("label: 1 rough · 2 curt · 3 calm"), "{out}");
    assert!(out.contains("event 1 does not hold these words") && out.contains("noted as evidence"), "{out}");
    assert!(out.contains("skipped 3") && out.contains("`loud` is no key and no answer here"), "{out}");
    assert!(out.ends_with("2 labelled now; 2 of 40 done, 0 skipped\n"), "{out}");
    let found = rows(&project, "gold/tone.csv");
    assert_eq!(found.len(), 2);
    assert_eq!(found[&key("codex:s0#1", "ada")]["label"], "calm");
    let second = &found[&key("codex:s0#2", "ada")];
    assert_eq!(
        (second["label"].as_str(), second["note"].as_str(), second["reason"].as_str()),
        ("curt", "not sure", "it says now")
    );
    let what: Vec<String> = journal(&project).iter().map(|line| line["what"].as_str().unwrap().to_owned()).collect();
    assert_eq!(what, ["answer", "answer", "skip", "undo", "answer", "undo"]);
    // The end of the input is an end as well; what was labelled is not asked for again.
    let (code, out, _) = plainly(&project, &["tone", "--rater", "ada"], "3\n");
    assert_eq!(code, Some(0));
    assert!(out.contains("── 3 of 40") && !out.contains("── 2 of 40") && out.contains("saved 3"), "{out}");
    // All of it, and then there is nothing left.
    let (_, out, _) = plainly(&project, &["tone", "--rater", "ada"], &"1\n".repeat(50));
    assert!(out.contains("nothing is left to label") && out.contains("40 of 40 done"), "{out}");
    let (code, _, err) = plainly(&project, &["tone", "--json"], "");
    assert_eq!(code, Some(2));
    assert!(err.contains("--plain talks to a person"), "{err}");
}

#[test]
fn in_a_terminal_scores_and_shares_are_typed() {
    let project = project();
    let (code, out, _) = plainly(
        &project,
        &["effort", "--rater", "ada"],
        "70\nreading=30;writing=60\nreading=30;writing=70\n\n101\n\nq\n",
    );
    assert_eq!(code, Some(0));
    assert!(out.contains("saved 1") && out.contains("`score` is missing") && out.contains("`101` is no key"), "{out}");
    let found = rows(&project, "gold/effort.csv");
    assert_eq!((found.len(), found[&key("codex:s0", "ada")]["phases"].as_str()), (1, "reading=30;writing=70"));
}
