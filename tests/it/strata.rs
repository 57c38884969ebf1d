//! Gold that was drawn by strata: what `sample` draws, `estimate` takes for what it is.

use crate::project::{Project, TONE, codex};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::LazyLock;

const SESSIONS: usize = 70;

/// What prompt `nth` of a session says: the baseline knows `stop` and `now`, of which there are half as many.
fn words(session: usize, nth: usize) -> &'static str {
    match (session * 4 + nth) % 7 {
        0 | 5 => "stop that",
        3 => "do it now",
        _ => "please go on",
    }
}

/// What a prompt is: some calm words are rough all the same.
fn truth(session: usize, nth: usize) -> &'static str {
    match words(session, nth) {
        "stop that" if (session + nth).is_multiple_of(6) => "calm",
        "stop that" => "rough",
        "do it now" => "curt",
        _ if (session * 7 + nth * 11).is_multiple_of(6) => "rough",
        _ => "calm",
    }
}

/// How heated it is, from 0 to 100; the baseline says 50 and adds.
fn heat(session: usize, nth: usize) -> f64 {
    let base = match truth(session, nth) {
        "rough" => 75.0,
        "curt" => 60.0,
        _ => 20.0,
    };
    base + ((session * 13 + nth * 5) % 17) as f64
}

/// Seventy sessions, the baseline's run `cues` on a label and a score, and the run `other` of an invented model.
fn project() -> Project {
    static MADE: LazyLock<BTreeMap<PathBuf, Vec<u8>>> = LazyLock::new(|| {
        let project = Project::empty();
        project.write("config.toml", "[input]\nsessions = [\"logs\"]\n");
        let score = "[[field]]\nname = \"heat\"\ntype = \"score\"\nmin = 0\nmax = 100\nstart = 30\n\
                     [[field.cue]]\npattern = '(?i)stop'\nadd = 30\n[[field.cue]]\npattern = '(?i)now'\nadd = 20\n+++\n{% block material";
        project.write("prompts/tone.md", TONE.replacen("+++\n{% block material", score, 1));
        for session in 0..SESSIONS {
            let prompts: Vec<&str> = (1..=4).map(|nth| words(session, nth)).collect();
            project.write(&format!("logs/{session:02}.jsonl"), codex(&format!("s{session}"), &prompts));
        }
        project.ok(&["annotate", "tone", "--quiet", "--run", "cues"]);
        let mut manifest: Value = serde_json::from_str(&project.read("runs/cues/manifest.json")).unwrap();
        let rater = manifest["rater"].as_str().unwrap().replace("baseline/cues", "lab/other");
        (manifest["run"], manifest["rater"]) = (json!("other"), json!(rater));
        project.write("runs/other/manifest.json", manifest.to_string());
        let rows = project.rows("runs/cues/annotations.jsonl").into_iter().enumerate().map(|(at, mut row)| {
            if at % 4 == 1 {
                row["fields"]["label"] = json!("curt");
            }
            row["rater"] = json!(rater);
            format!("{row}\n")
        });
        project.write("runs/other/annotations.jsonl", rows.collect::<String>());
        project.files("")
    });
    Project::holding(&MADE)
}

fn place(unit: &str) -> (usize, usize) {
    let (session, nth) = unit.trim_start_matches("codex:s").split_once('#').unwrap();
    (session.parse().unwrap(), nth.parse().unwrap())
}

/// Draws by `by`, and fills the sheet in.
fn label(project: &Project, by: &str, size: &str) -> Vec<BTreeMap<String, String>> {
    project.ok(&["sample", "tone", "--size", size, "--by", by, "--quiet"]);
    let text = project.read("gold/tone.sample.csv");
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let header: Vec<String> = reader.headers().unwrap().iter().map(str::to_owned).collect();
    let rows: Vec<BTreeMap<String, String>> = (reader.records())
        .map(|record| {
            let mut row: BTreeMap<String, String> =
                header.iter().cloned().zip(record.unwrap().iter().map(str::to_owned)).collect();
            let (session, nth) = place(&row["unit"]);
            row.insert("rater".to_owned(), "gold".to_owned());
            row.insert("label".to_owned(), truth(session, nth).to_owned());
            row.insert("heat".to_owned(), heat(session, nth).to_string());
            row
        })
        .collect();
    write_gold(project, &rows);
    rows
}

const COLUMNS: [&str; 6] = ["unit", "rater", "label", "heat", "probability", "stratum"];

fn write_gold(project: &Project, rows: &[BTreeMap<String, String>]) {
    let line = |row: &BTreeMap<String, String>| COLUMNS.map(|column| row[column].clone()).join(",") + "\n";
    let text: String = std::iter::once(COLUMNS.join(",") + "\n").chain(rows.iter().map(line)).collect();
    project.write("gold/tone.csv", text);
}

fn estimate(project: &Project, more: &[&str]) -> Value {
    project.json(&[&["estimate", "cues", "--replicates", "400"], more].concat())
}

#[track_caller]
fn close(got: &Value, expected: f64) {
    let got = got.as_f64().unwrap_or_else(|| panic!("{got} is no number"));
    assert!((got - expected).abs() < 1e-9, "{got}, expected {expected}");
}

/// The run's answers by unit.
fn answers(project: &Project) -> BTreeMap<String, Value> {
    let rows = project.rows("runs/cues/annotations.jsonl").into_iter();
    rows.map(|row| (row["unit"].as_str().unwrap().to_owned(), row["fields"].clone())).collect()
}

#[test]
fn a_mean_by_strata_has_the_numbers_of_the_statistic() {
    let project = project();
    let gold = label(&project, "label:cues", "80");
    let found = estimate(&project, &["--field", "heat"]);
    let field = &found["fields"][0];
    assert_eq!((&field["design"], &field["quantity"]), (&json!("stratified"), &json!("mean")));
    assert!(field["design_note"].as_str().unwrap().starts_with("strata by the sample's design "), "{field}");
    let one = &field["groups"][0]["estimates"][0];

    let answers = answers(&project);
    let model = answers.iter().map(|(unit, fields)| format!("{unit},llm,{}\n", fields["heat"]));
    let gold_rows = gold.iter().map(|row| format!("{},gold,{}\n", row["unit"], row["heat"]));
    let ratings: String = std::iter::once("item,annotator,label\n".to_owned()).chain(model).chain(gold_rows).collect();
    let items = answers.iter().map(|(unit, fields)| format!("{unit},{}\n", fields["label"].as_str().unwrap()));
    project.write("ratings.csv", ratings);
    project.write("items.csv", std::iter::once("item,stratum\n".to_owned()).chain(items).collect::<String>());
    let lambdas: Vec<(String, f64)> = (one["strata"].as_array().unwrap().iter())
        .map(|one| (one["stratum"].as_str().unwrap().to_owned(), one["lambda"].as_f64().unwrap()))
        .collect();
    assert_eq!(lambdas, [("calm".to_owned(), 1.0), ("curt".to_owned(), 1.0), ("rough".to_owned(), 1.0)]);
    let params =
        json!({ "gold": "gold", "llm": "llm", "lambda": 1, "convention": "small_sample", "alpha": 0.05 }).to_string();
    let ran = project.ok(&["stat", "stratified_ppi_mean", "ratings.csv", "--items", "items.csv", "--params", &params]);
    let stat: Value = serde_json::from_str(&ran.out).unwrap();
    close(&one["corrected"]["value"], stat["estimate"].as_f64().unwrap());
    for (name, key) in [("units", "share"), ("gold", "gold")] {
        let total: u64 = one["strata"].as_array().unwrap().iter().map(|one| one[name].as_u64().unwrap()).sum();
        assert_eq!(total, if name == "units" { 280 } else { gold.len() as u64 }, "{key}");
    }
    for stratum in one["strata"].as_array().unwrap() {
        let share = stratum["units"].as_f64().unwrap() / 280.0;
        close(&stat[format!("{}|share", stratum["stratum"].as_str().unwrap())], share);
    }
    let whole: f64 = answers.keys().map(|unit| place(unit)).map(|(s, n)| heat(s, n)).sum::<f64>() / 280.0;
    let (low, high) = (one["corrected"]["low"].as_f64().unwrap(), one["corrected"]["high"].as_f64().unwrap());
    assert!(low <= whole && whole <= high, "{whole} is not in [{low}, {high}]");
    assert!(one["effective_gold"].as_f64().is_some() && one["weighted_gold"].as_f64().unwrap() < gold.len() as f64);
    let said = project.ok(&["estimate", "cues", "--field", "heat"]).out;
    assert!(said.contains("gold/units by stratum: calm ") && said.contains("equal ones"), "{said}");
}

#[test]
fn a_stratum_without_two_gold_units_is_refused() {
    let project = project();
    let mut gold = label(&project, "label:cues", "80");
    let mut curt = 0;
    gold.retain(|row| {
        curt += usize::from(row["stratum"] == "curt");
        row["stratum"] != "curt" || curt == 1
    });
    write_gold(&project, &gold);
    for (field, at) in [("heat", 0), ("label", 1)] {
        let one = &estimate(&project, &["--field", field])["fields"][at]["groups"][0]["estimates"][0];
        assert_eq!(
            (&one["corrected"]["value"], &one["corrected"]["undefined"]),
            (&Value::Null, &json!("stratum `curt` has 1 gold units, at least 2 are needed in each"))
        );
    }
}

#[test]
fn shares_by_strata_of_other_runs_are_weighted_by_units_and_without_those_runs_by_probabilities() {
    let project = project();
    let gold = label(&project, "disagreement:cues,other", "90");
    let strata: std::collections::BTreeSet<&String> = gold.iter().map(|row| &row["stratum"]).collect();
    assert_eq!(strata.len(), 2, "{strata:?}");
    let found = estimate(&project, &["--field", "label"]);
    let field = &found["fields"][0];
    assert_eq!(field["design"], json!("stratified"));
    let other: BTreeMap<String, Value> = (project.rows("runs/other/annotations.jsonl").into_iter())
        .map(|row| (row["unit"].as_str().unwrap().to_owned(), row["fields"]["label"].clone()))
        .collect();
    let answers = answers(&project);
    let differ = |unit: &String| answers[unit]["label"] != other[unit];
    let mut expected = 0.0;
    for stratum in [false, true] {
        for flagged in [false, true] {
            let of = |unit: &&String| differ(unit) == stratum && (answers[*unit]["label"] == "rough") == flagged;
            let units = answers.keys().filter(of).count() as f64;
            let seen: Vec<&String> = gold.iter().map(|row| &row["unit"]).filter(of).collect();
            let hits = seen.iter().map(|unit| place(unit)).filter(|(s, n)| truth(*s, *n) == "rough").count() as f64;
            if units > 0.0 {
                assert!(!seen.is_empty(), "this made sample has gold in every cell");
                expected += units / 280.0 * hits / seen.len() as f64;
            }
        }
    }
    let rough = &field["groups"][0]["estimates"][0];
    assert_eq!(rough["what"], "rough");
    close(&rough["corrected"]["value"], expected);
    assert!(rough["corrected"]["low"].as_f64() < rough["corrected"]["high"].as_f64());

    std::fs::remove_dir_all(project.path("runs/other")).unwrap();
    let field = &estimate(&project, &["--field", "label"])["fields"][0];
    assert_eq!(field["design"], json!("unequal_probability"));
    let note = field["design_note"].as_str().unwrap();
    assert!(
        note.contains("strata are known of gold alone") && note.contains("run `other`, which is not here"),
        "{note}"
    );
    let said = project.ok(&["estimate", "cues", "--field", "label"]).out;
    assert!(said.contains(note), "{said}");
    // The same strata from a file.
    let rows = answers.keys().map(|unit| format!("{unit},{}\n", if differ(unit) { "differ" } else { "agree" }));
    project.write("strata.csv", std::iter::once("unit,stratum\n".to_owned()).chain(rows).collect::<String>());
    let field = &estimate(&project, &["--field", "label", "--strata", "strata.csv"])["fields"][0];
    assert_eq!((&field["design"], &field["design_note"]), (&json!("stratified"), &json!("strata by strata.csv")));
    close(&field["groups"][0]["estimates"][0]["corrected"]["value"], expected);
}

#[test]
fn strata_that_are_the_runs_own_labels_need_no_design() {
    let project = project();
    let mut gold = label(&project, "label:cues", "80");
    std::fs::remove_file(project.path("gold/tone.sample.design.json")).unwrap();
    let field = |project: &Project, name: &str, at: usize, more: &[&str]| {
        estimate(project, &[&["--field", name], more].concat())["fields"][at].clone()
    };
    let heat = field(&project, "heat", 0, &[]);
    assert_eq!(
        (&heat["design"], &heat["design_note"]),
        (&json!("stratified"), &json!("strata by the run's own `label`"))
    );
    // The label itself is post-stratified, its collapse by the strata below it.
    assert_eq!(field(&project, "label", 0, &[])["design"], json!("by_model_label"));
    assert_eq!(field(&project, "label", 1, &[])["design"], json!("stratified"));
    // Without probabilities the draw within strata has to be vouched for.
    gold.iter_mut().for_each(|row| drop(row.insert("probability".to_owned(), String::new())));
    write_gold(&project, &gold);
    assert!(project.refused(&["estimate", "cues"]).contains("does not say how its units were drawn"));
    let assumed = field(&project, "heat", 0, &["--assume-random"]);
    assert_eq!(assumed["groups"], heat["groups"]);
    // Strata that nothing explains: the probabilities that differ within them still count.
    gold.iter_mut().enumerate().for_each(|(at, row)| {
        row.insert("stratum".to_owned(), if at.is_multiple_of(2) { "left" } else { "right" }.to_owned());
        row.insert("probability".to_owned(), if at.is_multiple_of(3) { "0.2" } else { "0.4" }.to_owned());
    });
    write_gold(&project, &gold);
    let other = field(&project, "heat", 0, &[]);
    assert_eq!(other["design"], json!("unequal_probability"));
    assert!(other["design_note"].as_str().unwrap().contains("neither answers nor agents say it"), "{other}");
}
