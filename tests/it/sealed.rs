//! What must not reach a model or an eye before the end: examples of a codebook in its gold, and single units of the test split.

use crate::project::{Project, TONE, codex, words};
use serde_json::{Value, json};

/// Ten sessions of four prompts, gold on eight of them, the first four dev, the next four test; the run `cues` of the baseline.
fn project(codebook: &str) -> Project {
    let project = Project::empty();
    project.write("config.toml", "[input]\nsessions = [\"logs\"]\n").write("prompts/tone.md", codebook);
    for session in 0..10 {
        let prompts: Vec<String> = (1..=4)
            .map(|nth| match (session, nth) {
                (1, 2) => "Well, please have another look  at the importer; it is odd".to_owned(),
                (5, 3) => "please have another look at the importer".to_owned(),
                _ => words(session, nth).to_owned(),
            })
            .collect();
        project.write(&format!("logs/{session}.jsonl"), codex(&format!("s{session}"), &prompts));
    }
    let label = |session: usize, nth: usize| match words(session, nth) {
        _ if (session + nth).is_multiple_of(5) => "rough",
        "stop that" => "rough",
        "do it now" => "curt",
        _ => "calm",
    };
    let rows = (0..8).flat_map(|session| (1..=4).map(move |nth| (session, nth)));
    let rows: String = rows
        .map(|(session, nth)| {
            let split = if session < 4 { "dev" } else { "test" };
            format!("codex:s{session}#{nth},gold,{},{split},0.8\n", label(session, nth))
        })
        .collect();
    project.write("gold/tone.csv", format!("unit,rater,label,split,probability\n{rows}"));
    project.ok(&["annotate", "tone", "--quiet", "--run", "cues"]);
    std::fs::remove_dir_all(project.path(".interrater")).unwrap();
    project
}

fn with_example() -> String {
    let examples = "definition = \"Calm.\"\nexamples = [\"Please have another look at the importer\", \"go on\"]";
    TONE.replace("definition = \"Calm.\"", examples)
}

const FEW: [&str; 2] = ["--replicates", "200"];

/// A second run, of an invented model.
fn second_run(project: &Project) {
    let mut manifest: Value = serde_json::from_str(&project.read("runs/cues/manifest.json")).unwrap();
    let rater = manifest["rater"].as_str().unwrap().replace("baseline/cues", "lab/other");
    (manifest["run"], manifest["rater"]) = (json!("other"), json!(rater));
    project.write("runs/other/manifest.json", manifest.to_string());
    let rows = project.rows("runs/cues/annotations.jsonl").into_iter().enumerate().map(|(at, mut row)| {
        if at.is_multiple_of(3) {
            row["fields"]["label"] = json!("rough");
        }
        row["rater"] = json!(rater);
        format!("{row}\n")
    });
    project.write("runs/other/annotations.jsonl", rows.collect::<String>());
}

#[test]
fn an_example_in_the_gold_is_told_by_every_verb_that_scores() {
    let project = project(&with_example());
    second_run(&project);
    let warning = "warning: the gold holds examples of the codebook (2 units), and whoever is shown the answer knows it: “Please have another \
                   look at the importer” of `calm` in codex:s1#2, 1 unit of the test split. Replace these examples, or drop these units from \
                   the gold";
    for args in
        [&["agree", "--task", "tone", "--run", "cues"][..], &["compare", "cues", "other"], &["estimate", "cues"]]
    {
        let said = project.ok(&[args, &FEW].concat()).out;
        assert_eq!(said.matches(warning).count(), 1, "{args:?}: {said}");
        let leaks = &project.json(&[args, &FEW].concat())["leaks"];
        let expected = json!({ "units": 32, "unread": 0, "not_made": null, "leaking": 2, "found": [{
            "label": "calm", "example": "Please have another look at the importer", "units": ["codex:s1#2"], "hidden": 1,
        }] });
        assert_eq!(leaks, &expected, "{args:?}");
        let shown = &project.json(&[args, &["--show-test"], &FEW[..]].concat())["leaks"]["found"][0];
        assert_eq!((&shown["units"], &shown["hidden"]), (&json!(["codex:s1#2", "codex:s5#3"]), &json!(0)), "{args:?}");
    }
    let said = project.ok(&["annotate", "tone", "--run", "cues"]).err;
    assert!(said.contains(&warning.replace("warning: ", "warning: tone: ")), "{said}");
}

#[test]
fn without_transcripts_or_examples_there_is_no_search_and_that_is_said_in_json_only() {
    let without = project(TONE);
    let args = [&["agree", "--task", "tone"][..], &FEW].concat();
    assert_eq!(without.json(&args)["leaks"]["not_made"], json!("the codebook has no examples"));
    let with = project(&with_example());
    std::fs::remove_dir_all(with.path("logs")).unwrap();
    for args in [&["agree", "--task", "tone"][..], &["estimate", "cues"]] {
        let args = [args, &FEW].concat();
        let leaks = &with.json(&args)["leaks"];
        let reason = json!("the transcripts of the gold units are not here");
        assert_eq!((&leaks["not_made"], &leaks["units"], &leaks["unread"]), (&reason, &json!(0), &json!(32)));
        let said = with.ok(&args);
        assert!(!said.out.contains("examples") && !said.err.contains("transcripts"), "{said:?}");
    }
}

#[test]
fn sessions_that_gold_does_not_name_are_not_read() {
    let project = project(&with_example());
    // A file that ends in the session's id will do; what is in others does not matter.
    for session in 0..10 {
        let old = project.path(&format!("logs/{session}.jsonl"));
        std::fs::rename(old, project.path(&format!("logs/rollout-s{session}.jsonl"))).unwrap();
    }
    project.ok(&["annotate", "tone", "--quiet", "--run", "cues"]);
    for session in [8, 9] {
        project.write(&format!("logs/rollout-s{session}.jsonl"), "no transcript any more");
    }
    let found = project.json(&[&["agree", "--task", "tone", "--run", "cues"][..], &FEW].concat());
    assert_eq!((&found["leaks"]["units"], &found["leaks"]["leaking"]), (&json!(32), &json!(2)));
}

#[test]
fn every_look_at_the_test_split_counts_whichever_verb_takes_it() {
    let project = project(TONE);
    second_run(&project);
    let looks: [&[&str]; 5] = [
        &["agree", "--task", "tone", "--run", "cues"],
        &["compare", "cues", "other", "--split", "test"],
        &["estimate", "cues", "--split", "test"],
        &["agree", "--task", "tone", "--split", "test"],
        &["estimate", "cues"],
    ];
    for (before, args) in looks.into_iter().enumerate() {
        let dev = args.iter().filter(|arg| !["--split", "test"].contains(arg)).copied().chain(["--split", "dev"]);
        let dev: Vec<&str> = dev.chain(FEW).collect();
        assert_eq!(project.json(&dev)["test_opened"], Value::Null, "{dev:?}");
        assert!(!project.ok(&dev).out.contains("test opened"), "{dev:?}");
        let times = if before == 0 { "1 time".to_owned() } else { format!("{} times", before + 1) };
        let said = project.ok(&[args, &FEW].concat()).out;
        assert_eq!(said.matches(&format!("note: test opened {times} for this task\n")).count(), 1, "{args:?}: {said}");
    }
    // Another row in the gold does not make the test split unseen.
    project.write("gold/tone.csv", project.read("gold/tone.csv") + "codex:s8#1,gold,calm,test,0.8\n");
    let found = project.json(&[&["agree", "--task", "tone"][..], &FEW].concat());
    assert_eq!(found["test_opened"], json!(6));
    // What `annotate` says at its end is of the dev split: it is run with every change of a codebook.
    let said = project.ok(&["annotate", "tone", "--run", "cues"]).err;
    assert!(said.contains("note: tone: compared with the dev split of the gold"), "{said}");
    let found = project.json(&[&["agree", "--task", "tone"][..], &FEW].concat());
    assert_eq!(found["test_opened"], json!(7));
}

#[test]
fn groups_that_would_tell_single_test_units_are_left_out() {
    let project = project(TONE);
    let rows = (0..8).flat_map(|session| (1..=4).map(move |nth| format!("codex:s{session}#{nth},g{session}-{nth}\n")));
    project.write("own.csv", format!("unit,own\n{}", rows.collect::<String>()));
    let groups = |more: &[&str]| {
        let args = ["agree", "--task", "tone", "--run", "cues", "--group-by", "own", "--items", "own.csv"];
        let found = project.json(&[&args[..], more, &FEW].concat());
        let groups = found["fields"][0]["groups"]["groups"].as_array().unwrap().iter();
        groups.map(|group| group["group"].as_str().unwrap().to_owned()).collect::<Vec<String>>()
    };
    let is_test = |group: &String| group.starts_with(['4', '5', '6', '7']);
    let shown = groups(&[]);
    assert!(shown.len() == 16 && !shown.iter().any(|group| is_test(&group[1..].to_owned())), "{shown:?}");
    assert_eq!(groups(&["--show-test"]).len(), 32);
    let args = ["agree", "--task", "tone", "--run", "cues", "--group-by", "own", "--items", "own.csv"];
    let said = project.ok(&[&args[..], &FEW].concat()).out;
    assert!(said.contains("note: 16 groups with fewer than 5 units of the test split left out"), "{said}");
}

#[test]
fn single_units_of_the_test_split_are_hidden_until_somebody_asks_and_is_recorded() {
    let project = project(TONE);
    let named = |args: &[&str]| -> (Vec<String>, Value) {
        let found = project.json(&[&["agree", "--task", "tone", "--run", "cues"][..], args, &FEW].concat());
        let units = found["fields"][0]["pairs"][0]["disagreements"].as_array().unwrap().iter();
        (units.map(|one| one["unit"].as_str().unwrap().to_owned()).collect(), found)
    };
    let is_test = |unit: &String| unit.trim_start_matches("codex:s").starts_with(['4', '5', '6', '7']);
    let (hidden, found) = named(&[]);
    let (shown, with_units) = named(&["--show-test"]);
    assert!(!hidden.is_empty() && !hidden.iter().any(is_test), "{hidden:?}");
    assert_eq!(hidden, shown.iter().filter(|unit| !is_test(unit)).cloned().collect::<Vec<_>>());
    assert_eq!(found["test_hidden"], json!(shown.len() - hidden.len()));
    assert!(shown.len() > hidden.len());
    assert_eq!(
        (&with_units["test_hidden"], &with_units["test_opened"], &with_units["test_shown"]),
        (&json!(0), &json!(2), &json!(1))
    );
    assert_eq!(found["fields"][0]["pairs"][0]["cohen_kappa"], with_units["fields"][0]["pairs"][0]["cohen_kappa"]);
    let said = project.ok(&[&["agree", "--task", "tone", "--run", "cues"][..], &FEW].concat()).out;
    assert!(said.contains("note: test opened 3 times for this task, its single units shown 1 time\n"), "{said}");
    assert!(
        said.contains(&format!(
            "disagreements on {} units of the test split are not shown",
            shown.len() - hidden.len()
        )),
        "{said}"
    );
    assert!(!["s4#", "s5#", "s6#", "s7#"].iter().any(|session| said.contains(session)), "{said}");

    second_run(&project);
    let pair = |args: &[&str]| {
        project.json(&[&["compare", "cues", "other"][..], args, &FEW].concat())["fields"][0]["pairs"][0].clone()
    };
    let (hidden, shown) = (pair(&[]), pair(&["--show-test"]));
    assert!(hidden["broken"]["hidden"].as_u64().unwrap() > 0 && shown["broken"]["hidden"] == json!(0));
    assert_eq!(hidden["broken"]["count"], shown["broken"]["count"]);
    let ran = project.run_with(&[&["compare", "cues", "other", "--show-test"][..], &FEW].concat(), &[("USER", "ada")]);
    assert!(ran.out.contains("broken by other against cues") && ran.out.contains("codex:s4#"), "{}", ran.out);
    let store = rusqlite::Connection::open(project.path(".interrater/store.db")).unwrap();
    let count = |name: &str| -> i64 {
        let count = "SELECT count(DISTINCT at) FROM evaluation WHERE shown_to = ?1";
        store.query_row(count, [name], |row| row.get(0)).unwrap()
    };
    assert_eq!((count("ada"), count("unknown")), (1, 2));
    // A look at dev shows nobody anything that is sealed.
    project.ok(&[&["compare", "cues", "other", "--split", "dev", "--show-test"][..], &FEW].concat());
    assert_eq!(count("unknown"), 2);
}
