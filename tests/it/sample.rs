//! `sample`: what humans should label next.

use crate::project::{Project, codex, words};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;

/// Forty sessions of four prompts, and the baseline's run `cues`.
fn project() -> Project {
    let project = Project::new();
    add_sessions(&project, 10, 40);
    project
}

fn add_sessions(project: &Project, from: usize, to: usize) {
    for session in from..to {
        let prompts: Vec<&str> = (1..=4).map(|nth| words(session, nth)).collect();
        project.write(&format!("logs/{session}.jsonl"), codex(&format!("s{session}"), &prompts));
    }
}

fn drawn(document: &Value) -> BTreeMap<String, Value> {
    let units = document["units"].as_array().unwrap().iter();
    units.map(|unit| (unit["unit"].as_str().unwrap().to_owned(), unit.clone())).collect()
}

fn sheet(project: &Project, name: &str) -> (Vec<String>, Vec<BTreeMap<String, String>>) {
    let text = project.read(name);
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let header: Vec<String> = reader.headers().unwrap().iter().map(str::to_owned).collect();
    let rows =
        reader.records().map(|record| header.iter().cloned().zip(record.unwrap().iter().map(str::to_owned)).collect());
    let rows = rows.collect();
    (header, rows)
}

#[test]
fn a_uniform_draw_has_its_size_and_probability_and_is_the_same_every_time() {
    let project = project();
    let document = project.json(&["sample", "tone", "--size", "40"]);
    assert_eq!((&document["design"]["units"], &document["design"]["sessions"]), (&json!(160), &json!(40)));
    let units = drawn(&document);
    assert!((25..=55).contains(&units.len()), "{}", units.len());
    assert!(units.values().all(|unit| unit["probability"] == json!(0.25) && unit["in_gold"] == json!(false)));
    assert_eq!(document, project.json(&["sample", "tone", "--size", "40"]));
    assert!(!project.path("gold").exists(), "JSON alone writes nothing");
    let other = drawn(&project.json(&["sample", "tone", "--size", "40", "--salt", "another"]));
    assert_ne!(units.keys().collect::<Vec<_>>(), other.keys().collect::<Vec<_>>());
    let seeded = drawn(&project.json(&["sample", "tone", "--size", "40", "--seed", "another"]));
    assert_eq!(other, seeded);
    // A larger draw with the same salt holds the smaller one.
    let larger = drawn(&project.json(&["sample", "tone", "--size", "80"]));
    assert!(units.keys().all(|unit| larger.contains_key(unit)) && larger.len() > units.len());
}

#[test]
fn sessions_that_come_later_change_no_draw_and_no_split() {
    let project = Project::new();
    let small = drawn(&project.json(&["sample", "tone", "--size", "16"]));
    add_sessions(&project, 10, 40);
    // The same probability of .4 over four times as many units.
    let large = drawn(&project.json(&["sample", "tone", "--size", "64"]));
    let old: BTreeMap<&String, &Value> = large
        .iter()
        .filter(|(unit, _)| {
            unit.trim_start_matches("codex:s").split('#').next().unwrap().parse::<usize>().unwrap() < 10
        })
        .collect();
    assert_eq!(old, small.iter().collect());
    assert!(large.len() > small.len());
}

#[test]
fn whole_sessions_go_into_a_split_and_those_of_the_gold_keep_theirs() {
    let project = project();
    let splits = |document: &Value| -> BTreeMap<String, BTreeSet<String>> {
        let mut splits: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for unit in drawn(document).values() {
            let text = |key: &str| unit[key].as_str().unwrap().to_owned();
            splits.entry(text("session")).or_default().insert(text("split"));
        }
        splits
    };
    let found = splits(&project.json(&["sample", "tone", "--size", "160", "--split-test", "0.3"]));
    assert_eq!(found.len(), 40);
    assert!(found.values().all(|splits| splits.len() == 1));
    let tests = found.values().filter(|splits| splits.contains("test")).count();
    assert!((4..=20).contains(&tests), "{tests}");
    let turned = if found["codex:s0"].contains("test") { "dev" } else { "test" };
    project.write("gold/tone.csv", format!("unit,rater,label,split\ncodex:s0#1,gold,calm,{turned}\n"));
    let kept = splits(&project.json(&["sample", "tone", "--size", "160", "--split-test", "0.3"]));
    assert_eq!(kept["codex:s0"], BTreeSet::from([turned.to_owned()]));
    assert!(found.iter().all(|(session, split)| session == "codex:s0" || kept[session] == *split));
    let all = splits(&project.json(&["sample", "tone", "--size", "160", "--split-test", "0"]));
    assert!(all.iter().all(|(session, split)| session == "codex:s0" || split.contains("dev")));
}

#[test]
fn a_sheet_that_is_filled_in_is_gold() {
    let project = project();
    project.ok(&["sample", "tone", "--size", "50", "--rater", "ada"]);
    let (header, rows) = sheet(&project, "gold/tone.sample.csv");
    assert_eq!(
        header,
        ["unit", "rater", "reason", "label", "session", "split", "probability", "stratum", "note", "date"]
    );
    assert!(rows.iter().all(|row| row["rater"] == "ada" && row["label"].is_empty() && row["probability"] == "0.3125"));
    let design: Value = serde_json::from_str(&project.read("gold/tone.sample.design.json")).unwrap();
    assert_eq!(
        (&design["salt"], &design["size"], &design["by"]),
        (&json!("interrater"), &json!(50), &json!("uniform"))
    );
    // Ada labels by the words; her sheet is the gold.
    let filled = project.read("gold/tone.sample.csv").replace(",ada,,,", ",gold,,calm,");
    project.write("gold/tone.csv", filled);
    project.ok(&["annotate", "tone", "--quiet"]);
    let fields = project.json(&["agree", "--task", "tone", "--replicates", "200"]);
    assert_eq!(fields["fields"][0]["items"], json!(rows.len()));
    // All of it is labelled now; the next, larger draw asks for the others only.
    let next = project.json(&["sample", "tone", "--size", "100"]);
    assert_eq!(next["drawn"].as_u64().unwrap() - next["to_label"].as_u64().unwrap(), rows.len() as u64);
    project.ok(&["sample", "tone", "--size", "100", "--out", "next.csv"]);
    let (_, more) = sheet(&project, "next.csv");
    let labelled: BTreeSet<&String> = rows.iter().map(|row| &row["unit"]).collect();
    assert!(!more.is_empty() && more.iter().all(|row| !labelled.contains(&row["unit"])));
    assert!(project.ok(&["sample", "tone", "--size", "50"]).out.contains("nothing to label"));
}

#[test]
fn no_file_is_overwritten() {
    let project = project();
    project.ok(&["sample", "tone", "--size", "40"]);
    let before = project.files("gold");
    // The same again is no trouble.
    assert!(project.ok(&["sample", "tone", "--size", "40"]).out.contains("already there"));
    let error = project.refused(&["sample", "tone", "--size", "41"]);
    assert!(error.contains("gold/tone.sample.csv is here already") && error.contains("--out"), "{error}");
    project.write("mine.csv", "my notes");
    let error = project.refused(&["sample", "tone", "--out", "mine.csv"]);
    assert!(error.contains("mine.csv is here already"), "{error}");
    assert_eq!((project.files("gold"), project.read("mine.csv")), (before, "my notes".to_owned()));
}

#[test]
fn labels_of_a_run_are_strata_and_rare_ones_are_drawn_more_often() {
    let project = project();
    project.ok(&["annotate", "tone", "--quiet", "--run", "cues"]);
    let document = project.json(&["sample", "tone", "--size", "30", "--by", "label:cues"]);
    let strata: BTreeMap<&str, (u64, f64)> = (document["strata"].as_array().unwrap().iter())
        .map(|one| {
            (one["stratum"].as_str().unwrap(), (one["units"].as_u64().unwrap(), one["expected"].as_f64().unwrap()))
        })
        .collect();
    assert_eq!(strata.keys().copied().collect::<Vec<_>>(), ["calm", "curt", "rough"]);
    let label = |session: usize, nth: usize| match words(session, nth) {
        "stop that" => "rough",
        "do it now" => "curt",
        _ => "calm",
    };
    let count =
        |of: &str| (0..40).flat_map(|s| (1..=4).map(move |n| (s, n))).filter(|&(s, n)| label(s, n) == of).count();
    for (stratum, (units, expected)) in &strata {
        assert_eq!(*units, count(stratum) as u64);
        // Four fifths shared alike by the three, one fifth as units are.
        let wanted = 30.0 * (0.8 / 3.0 + 0.2 * *units as f64 / 160.0);
        assert!((expected - wanted).abs() < 1e-9, "{stratum}: {expected}, {wanted}");
    }
    for (unit, found) in drawn(&document) {
        let (units, expected) = strata[found["stratum"].as_str().unwrap()];
        assert!((found["probability"].as_f64().unwrap() - expected / units as f64).abs() < 1e-9, "{unit}");
    }
    assert!(document["effective_size"].as_f64().unwrap() < document["drawn"].as_f64().unwrap());
}

#[test]
fn units_on_which_runs_disagree_are_drawn_more_often_and_the_others_never_left_out() {
    let project = project();
    // The majority is that of the gold.
    project.write("gold/tone.csv", "unit,rater,label\ncodex:s0#1,gold,calm\ncodex:s0#2,gold,calm\n");
    project.ok(&["annotate", "tone", "--quiet", "--run", "cues"]);
    project.ok(&["annotate", "tone", "--quiet", "--run", "most", "--model", "baseline/majority"]);
    // The majority of calm is wrong wherever the cues see something.
    let aim = "disagreement:cues,most";
    let document = project.json(&["sample", "tone", "--size", "30", "--by", aim, "--mix", "0.25"]);
    let differing =
        (0..40).flat_map(|s| (1..=4).map(move |n| words(s, n))).filter(|said| *said != "please go on").count();
    let strata = document["strata"].as_array().unwrap();
    assert_eq!((&strata[0]["stratum"], &strata[1]["stratum"]), (&json!("agree"), &json!("differ")));
    assert_eq!(strata[1]["units"], json!(differing));
    let wanted = 0.25 * 30.0 / 160.0;
    for unit in drawn(&document).values() {
        let extra = if unit["stratum"] == "differ" { 0.75 * 30.0 / differing as f64 } else { 0.0 };
        assert!((unit["probability"].as_f64().unwrap() - wanted - extra).abs() < 1e-9, "{unit}");
    }
    assert!((document["smallest_probability"].as_f64().unwrap() - wanted).abs() < 1e-9);
    let printed = project.ok(&["sample", "tone", "--size", "30", "--by", aim, "--mix", "0.1", "--out", "x.csv"]);
    assert!(printed.err.contains("--mix below 0.2"), "{}", printed.err);
}

#[test]
fn units_that_no_run_has_are_drawn_too() {
    let project = Project::new();
    project.ok(&["annotate", "tone", "--quiet", "--run", "cues"]);
    add_sessions(&project, 10, 14);
    let ran = project.run(&["sample", "tone", "--size", "28", "--by", "label:cues", "--json"]);
    let document: Value = serde_json::from_str(&ran.out).unwrap();
    assert!(ran.err.contains("16 of 56 units are in none of these runs"), "{}", ran.err);
    let strata = document["strata"].as_array().unwrap();
    assert!(strata.iter().any(|one| one["stratum"] == "no answer" && one["units"] == json!(16)), "{document}");
}

#[test]
fn a_plan_says_how_many_units_are_needed_and_draws_nothing() {
    let project = project();
    let plan = "kappa=0.7,halfwidth=0.1,prevalence=0.3,per-session=8,icc=0.1";
    let found = project.json(&["sample", "tone", "--plan", plan])["plan"].clone();
    assert_eq!((&found["independent"], &found["units"], &found["sessions"]), (&json!(236), &json!(402), &json!(51)));
    let printed = project.ok(&["sample", "tone", "--plan", plan]).out;
    assert!(printed.contains("402 units in 51 sessions") && printed.contains("--size 402"), "{printed}");
    assert!(!project.path("gold").exists());
    let error = project.refused(&["sample", "tone", "--plan", "kappa=0.7"]);
    assert!(error.contains("`halfwidth` is missing") && error.contains("hint: "), "{error}");
}

#[test]
fn what_cannot_be_drawn_is_refused_with_a_way_out() {
    let project = project();
    for (args, said) in [
        (&["sample", "mood"][..], "mood"),
        (&["sample", "tone", "--by", "label:nobody"], "there is no run `nobody`"),
        (&["sample", "tone", "--by", "disagreement:one"], "with two runs or more"),
        (&["sample", "tone", "--by", "surprise"], "with two runs or more"),
        (&["sample", "tone", "--mix", "0"], "with 0 some units could never be drawn"),
        (&["sample", "tone", "--size", "0"], "0 is not in 1.."),
        (&["sample", "tone", "--split-test", "1.2"], "a share is a number from 0 to 1"),
    ] {
        let error = project.refused(args);
        assert!(error.contains(said), "{args:?}: {error}");
    }
    fs::remove_dir_all(project.path("logs")).unwrap();
    fs::create_dir(project.path("logs")).unwrap();
    let error = project.refused(&["sample", "tone"]);
    assert!(error.contains("error: "), "{error}");
}
