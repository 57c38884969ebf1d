//! `batch export` and `import`: requests go out in files, answers come back in files.

use crate::batch::{annotate, jobs, project, start};
use crate::context::{Context, assert_once, assert_whole, states};
use crate::fake::Provider;
use crate::fake::batches::{Batches, answer_file};
use serde_json::{Value, json};

fn export(context: &Context, server: &Batches, more: &[&str]) -> crate::context::Ended {
    start(context, server, Provider::OpenAi, &["batch", "export"], more).end()
}

fn import(context: &Context, file: &str, lines: &[String]) -> Value {
    context.write(file, &(lines.join("\n") + "\n"));
    let told = context.run(&["batch", "import", file, "--json"]);
    assert!(matches!(told.code, Some(0 | 1)), "{told:?}");
    told.json()["files"][0].clone()
}

#[test]
fn what_is_exported_and_answered_elsewhere_is_what_annotate_finds() {
    let context = project(3, 5);
    let server = Batches::start();
    let told = export(&context, &server, &["out/requests.jsonl", "--json"]);
    assert_eq!(told.code, Some(0), "{told:?}");
    let told = told.json();
    assert_eq!((&told["requests"], &told["jobs"][0]["state"]), (&json!(15), &json!("exported")));
    let requests = context.read("out/requests.jsonl");
    let answers = answer_file(&requests);
    assert_eq!((answers.len(), context.files("out").len()), (15, 1));
    // They are on their way: no other export has them, and no submission.
    let again = export(&context, &server, &["again.jsonl", "--json"]).with(0).json();
    assert_eq!((&again["requests"], &again["under_way"]), (&json!(0), &json!(15)));
    assert!(!context.path().join("again.jsonl").exists());

    let told = import(&context, "answers.jsonl", &answers[..10]);
    assert_eq!((&told["gathered"]["stored"], &told["closed"]), (&json!(10), &json!([])));
    let told = import(&context, "answers.jsonl", &answers);
    assert_eq!((&told["gathered"]["stored"], &told["gathered"]["known"]), (&json!(5), &json!(10)));
    assert_eq!(told["closed"].as_array().unwrap().len(), 1);
    assert_eq!(jobs(&context)[0]["state"], "collected");
    annotate(&context, &server, Provider::OpenAi, &[]).with(0);
    let rows = context.rows("mood");
    assert_whole(&rows, 3, 5);
    assert_eq!((states(&rows)["ok"], server.direct(), server.calls("create")), (15, 0, 0));
}

#[test]
fn large_exports_are_split_into_whole_files() {
    for split in [["--max-requests", "4"], ["--max-bytes", "4500"]] {
        let context = project(3, 5);
        let server = Batches::start();
        let told = export(&context, &server, &["requests.jsonl", "--json", split[0], split[1]]).with(0).json();
        let count = told["jobs"].as_array().unwrap().len();
        assert!(count >= 3, "{told}");
        let mut names = Vec::new();
        for number in 1..=count {
            let text = context.read(&format!("requests.{number}.jsonl"));
            let job = &told["jobs"][number - 1];
            assert_eq!((&job["bytes"], &job["requests"]), (&json!(text.len()), &json!(text.lines().count())));
            match split[0] {
                "--max-bytes" => assert!(text.len() <= 4_500 && !text.is_empty(), "{}", text.len()),
                _ => assert!(text.lines().count() <= 4),
            }
            let name =
                |line: &str| serde_json::from_str::<Value>(line).unwrap()["custom_id"].as_str().unwrap().to_owned();
            names.extend(text.lines().map(name));
            import(&context, "answers.jsonl", &answer_file(&text));
        }
        assert_eq!(names.len(), 15);
        assert_once(&names);
        assert!(jobs(&context).iter().all(|job| job["state"] == "collected"));
        annotate(&context, &server, Provider::OpenAi, &[]).with(0);
        assert_eq!((states(&context.rows("mood"))["ok"], server.direct()), (15, 0));
    }
    let context = project(1, 1);
    let told = export(&context, &Batches::start(), &["requests.jsonl", "--json", "--max-bytes", "10"]).with(1).json();
    assert_eq!((&told["too_large"], &told["jobs"]), (&json!(1), &json!([])));
}

#[test]
fn lines_of_others_and_lines_without_answers_are_counted_and_no_harm() {
    let context = project(1, 6);
    let server = Batches::start();
    export(&context, &server, &["requests.jsonl"]).with(0);
    let mut lines = answer_file(&context.read("requests.jsonl"));
    let with = |line: &str, change: &dyn Fn(&mut Value)| {
        let mut line: Value = serde_json::from_str(line).unwrap();
        change(&mut line);
        line.to_string()
    };
    let foreign = with(&lines[0], &|line| line["custom_id"] = json!("0".repeat(64)));
    let alien = with(&lines[0], &|line| line["custom_id"] = json!("request-1"));
    let second = with(&lines[0], &|line| line["response"]["body"]["id"] = json!("second"));
    lines[1] = with(&lines[1], &|line| {
        line["response"] = json!({ "status_code": 400, "request_id": "r", "body": null });
        line["error"] = json!("This model's maximum context length is 8 tokens.");
    });
    lines[2] = with(&lines[2], &|line| line["response"]["body"] = json!({ "object": "chat.completion" }));
    lines[3] = lines[3][..lines[3].len() / 2].to_owned();
    lines.extend([foreign, alien, second, String::new()]);
    let told = import(&context, "answers.jsonl", &lines);
    assert_eq!(
        told["gathered"],
        json!({ "stored": 3, "second": 0, "freed": 2, "known": 1, "foreign": 2, "unreadable": 1 })
    );
    assert!(context.stored().iter().all(|(_, body)| !body.contains("second")), "the first answer stays");
    let job = jobs(&context).remove(0);
    assert_eq!((&job["state"], &job["answered"], &job["failed"]), (&json!("exported"), &json!(3), &json!(2)));
    // Two came back without an answer; the one whose line was cut may still come.
    let told = export(&context, &server, &["more.jsonl", "--json"]).with(0).json();
    assert_eq!((&told["requests"], &told["under_way"], &told["settled"]), (&json!(2), &json!(1), &json!(3)));
    import(&context, "more.answers.jsonl", &answer_file(&context.read("more.jsonl")));
    let told =
        export(&context, &server, &["last.jsonl", "--json", "--resubmit", job["id"].as_str().unwrap()]).with(0).json();
    assert_eq!(told["requests"], 1);
    import(&context, "last.answers.jsonl", &answer_file(&context.read("last.jsonl")));
    annotate(&context, &server, Provider::OpenAi, &[]).with(0);
    assert_eq!((states(&context.rows("mood"))["ok"], server.direct()), (6, 0));
}

#[test]
fn no_file_is_overwritten() {
    let context = project(1, 2);
    let server = Batches::start();
    for taken in ["requests.jsonl", "requests.1.jsonl"] {
        context.write(taken, "mine");
        let told = export(&context, &server, &["requests.jsonl"]).with(2);
        assert_eq!(told.lines("error: ").len(), 1, "{}", told.stderr);
        assert!(told.stderr.contains("is there already"), "{}", told.stderr);
        assert_eq!(context.read(taken), "mine");
        std::fs::remove_file(context.path().join(taken)).unwrap();
    }
    export(&context, &server, &["requests.jsonl"]).with(0);
    let told = context.run(&["batch", "import", "nowhere.jsonl"]).with(2);
    assert_eq!(told.lines("error: cannot read nowhere.jsonl").len(), 1, "{}", told.stderr);
}

#[test]
fn an_export_that_was_killed_before_its_file_had_its_name_is_finished_or_forgotten() {
    let context = project(1, 3);
    let server = Batches::start();
    export(&context, &server, &["requests.jsonl"]).with(0);
    let store = rusqlite::Connection::open(context.path().join(".interrater/store.db")).unwrap();
    // As it is between the journal and the file: the job is exported, and the file has its first name.
    let (file, part) = (context.path().join("requests.jsonl"), context.path().join(".part"));
    std::fs::rename(&file, &part).unwrap();
    store.execute("UPDATE job SET input_file = ?1", [part.to_str().unwrap()]).unwrap();
    assert_eq!(jobs(&context)[0]["state"], "exported");
    assert!(file.exists() && !part.exists());
    // As it is before that: it is still being put together.
    std::fs::rename(&file, &part).unwrap();
    store.execute("UPDATE job SET state = 'planned', place = ?1", [part.to_str().unwrap()]).unwrap();
    assert_eq!(jobs(&context), Vec::<Value>::new());
    assert!(!file.exists() && !part.exists());
    let told = export(&context, &server, &["requests.jsonl", "--json"]).with(0).json();
    assert_eq!(told["requests"], 3);
}
