//! `agree --task`: a task's gold, human raters and runs.

use crate::project::{Project, words};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::LazyLock;

/// What a rater says of prompt `nth` of session `session`.
fn says(rater: &str, session: usize, nth: usize) -> &'static str {
    let right = match words(session, nth) {
        "stop that" => "rough",
        "do it now" => "curt",
        _ => "calm",
    };
    let at = session * 4 + nth;
    match rater {
        "a" if at.is_multiple_of(9) => "curt",
        "b" if at.is_multiple_of(11) => "calm",
        // The gold knows curt words that hold no cue, and forgives some that do.
        "gold" if at % 10 == 4 => "curt",
        "gold" if right == "rough" && session == 6 => "calm",
        _ => right,
    }
}

fn splits(session: usize) -> &'static str {
    if session < 3 { "dev" } else { "test" }
}

/// The prompts that are labelled: all of the first eight sessions.
fn units() -> impl Iterator<Item = (usize, usize)> {
    (0..8).flat_map(|session| (1..=4).map(move |nth| (session, nth)))
}

/// The project with gold, two humans and a run of the built-in baseline.
fn labelled() -> Project {
    static MADE: LazyLock<BTreeMap<PathBuf, Vec<u8>>> = LazyLock::new(|| make().files(""));
    Project::holding(&MADE)
}

fn make() -> Project {
    let project = Project::new();
    let mut gold = "unit,rater,label,split\n".to_owned();
    for (session, nth) in units() {
        for rater in ["gold", "a", "b"] {
            gold.push_str(&format!(
                "codex:s{session}#{nth},{rater},{},{}\n",
                says(rater, session, nth),
                splits(session)
            ));
        }
    }
    project.write("gold/tone.csv", gold);
    let mut gold = "unit,rater,score,phases\n".to_owned();
    for session in 0..10 {
        for (rater, off) in [("gold", 0), ("a", 5)] {
            let reading = (session * 7 + off) % 60;
            gold.push_str(&format!(
                "codex:s{session},{rater},{},reading={reading};writing={}\n",
                30 + session * 3 + off,
                100 - reading
            ));
        }
    }
    project.write("gold/effort.csv", gold);
    project.ok(&["annotate", "--quiet"]);
    project
}

fn agree(project: &Project, more: &[&str]) -> Vec<Value> {
    let document = project.json(&[&["agree", "--replicates", "200"], more].concat());
    document["fields"].as_array().expect("fields are a list").clone()
}

fn pair<'f>(field: &'f Value, a: &str, b: &str) -> &'f Value {
    let pairs = field["pairs"].as_array().unwrap();
    let found = pairs.iter().find(|pair| pair["a"] == a && pair["b"].as_str().is_some_and(|name| name.starts_with(b)));
    found.unwrap_or_else(|| panic!("no pair {a}–{b}"))
}

/// Kappa of two label functions over units, by its definition.
fn kappa(
    units: &[(usize, usize)],
    a: impl Fn(usize, usize) -> &'static str,
    b: impl Fn(usize, usize) -> &'static str,
) -> f64 {
    let n = units.len() as f64;
    let share = |of: &dyn Fn(usize, usize) -> &'static str, label: &str| {
        units.iter().filter(|(session, nth)| of(*session, *nth) == label).count() as f64 / n
    };
    let po = units.iter().filter(|(session, nth)| a(*session, *nth) == b(*session, *nth)).count() as f64 / n;
    let pe: f64 = ["rough", "curt", "calm", "harsh"].iter().map(|label| share(&a, label) * share(&b, label)).sum();
    (po - pe) / (1.0 - pe)
}

fn close(got: &Value, expected: f64) {
    let got = got.as_f64().unwrap_or_else(|| panic!("{got} is no number"));
    assert!((got - expected).abs() < 1e-9, "{got}, expected {expected}");
}

/// What the baseline says: the cues are in the words.
fn cues(session: usize, nth: usize) -> &'static str {
    says("nobody", session, nth)
}

fn harsh(label: &'static str) -> &'static str {
    if label == "calm" { "calm" } else { "harsh" }
}

#[test]
fn a_tasks_gold_humans_and_runs_are_compared() {
    let project = labelled();
    let fields = agree(&project, &["--task", "tone"]);
    assert_eq!(fields.len(), 1, "the text is no measured field");
    let field = &fields[0];
    assert_eq!(
        (&field["task"], &field["field"], &field["cluster"], &field["clusters"], &field["items"]),
        (&json!("tone"), &json!("label"), &json!("session"), &json!(8), &json!(32))
    );
    assert_eq!(field["labels"], json!(["rough", "curt", "calm"]), "the codebook's order");
    let kinds: Vec<String> = (field["pairs"].as_array().unwrap().iter())
        .map(|pair| {
            format!(
                "{}–{} {}",
                pair["a"].as_str().unwrap(),
                pair["b"].as_str().unwrap().split('@').next().unwrap(),
                pair["kind"].as_str().unwrap()
            )
        })
        .collect();
    assert_eq!(
        kinds,
        ["gold–baseline/cues reference-model", "a–b human-human", "gold–a reference-human", "gold–b reference-human"]
    );
    let all: Vec<(usize, usize)> = units().collect();
    let gold = |session, nth| says("gold", session, nth);
    let (a, b) = (|session, nth| says("a", session, nth), |session, nth| says("b", session, nth));
    close(&pair(field, "gold", "baseline")["cohen_kappa"]["value"], kappa(&all, gold, cues));
    close(&pair(field, "a", "b")["cohen_kappa"]["value"], kappa(&all, a, b));
    close(&pair(field, "gold", "b")["cohen_kappa"]["value"], kappa(&all, gold, b));
    let binary = &pair(field, "gold", "baseline")["collapses"]["binary"];
    assert_eq!(binary["items"], json!(32));
    close(&binary["cohen_kappa"]["value"], kappa(&all, |s, n| harsh(gold(s, n)), |s, n| harsh(cues(s, n))));
    assert!(field["human_ceiling"].is_object(), "two humans and a model: {}", field["human_ceiling"]);
}

#[test]
fn a_split_is_computed_on_its_own_units() {
    let project = labelled();
    let gold = |session, nth| says("gold", session, nth);
    let mut sum = 0;
    for split in ["dev", "test"] {
        let field = &agree(&project, &["--task", "tone", "--split", split])[0];
        let own: Vec<(usize, usize)> = units().filter(|(session, _)| splits(*session) == split).collect();
        assert_eq!(field["items"], json!(own.len()));
        close(&pair(field, "gold", "baseline")["cohen_kappa"]["value"], kappa(&own, gold, cues));
        sum += own.len();
    }
    assert_eq!(sum, 32);
    insta::assert_snapshot!(project.refused(&["agree", "--task", "effort", "--split", "test"]), @"
    error: the gold of `effort` has no units in split `test` (gold/effort.csv)
    hint: its rows: 0 in dev, 0 in test, 20 in neither; the column `split` says where a row belongs
    ");
    assert!(
        project.refused(&["agree", "--task", "tone", "--split", "train"]).contains("[possible values: dev, test, all]")
    );
}

#[test]
fn one_collapse_or_one_field_can_be_chosen() {
    let project = labelled();
    let fields = agree(&project, &["--task", "tone", "--collapse", "binary"]);
    let whole = agree(&project, &["--task", "tone"]);
    let inside = &whole[0]["pairs"][0]["collapses"]["binary"];
    assert_eq!(fields[0]["field"], "label (binary)");
    assert_eq!(fields[0]["labels"], inside["labels"]);
    assert_eq!(fields[0]["pairs"][0]["cohen_kappa"]["value"], inside["cohen_kappa"]["value"]);
    assert!(fields[0]["pairs"][0]["collapses"].as_object().unwrap().is_empty());
    let names = |more: &[&str]| {
        agree(&project, &[&["--task", "effort"], more].concat())
            .iter()
            .map(|field| field["field"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(names(&[]), ["score", "phases.reading", "phases.writing"]);
    assert_eq!(names(&["--field", "phases"]), ["phases.reading", "phases.writing"]);
    assert_eq!(names(&["--field", "phases.reading"]), ["phases.reading"]);
    insta::assert_snapshot!(project.refused(&["agree", "--task", "tone", "--collapse", "ternary"]), @"
    error: task `tone` has no collapse `ternary`
    hint: it has: binary
    ");
    insta::assert_snapshot!(project.refused(&["agree", "--task", "effort", "--collapse", "binary"]), @"
    error: task `effort` has no collapse `binary`
    hint: it has: none
    ");
    insta::assert_snapshot!(project.refused(&["agree", "--task", "tone", "--field", "lable"]), @"
    error: task `tone` has no measured field `lable`
    hint: it has: label
    ");
    insta::assert_snapshot!(project.refused(&["agree", "--task", "tone", "--field", "reason"]), @"
    error: task `tone` has no measured field `reason`
    hint: it has: label
    ");
}

#[test]
fn scores_and_shares_are_compared_as_numbers() {
    let project = labelled();
    let fields = agree(&project, &["--task", "effort"]);
    let human = pair(&fields[0], "gold", "a");
    assert_eq!(fields[0]["level"], "interval");
    close(&human["bias"]["value"], 5.0);
    close(&human["mae"]["value"], 5.0);
    close(&human["icc_c1"]["value"], 1.0);
    close(&human["pearson"]["value"], 1.0);
    let below_one = human["icc_a1"]["value"].as_f64().unwrap();
    assert!((0.5..1.0).contains(&below_one), "a constant difference lowers absolute agreement: {below_one}");
    // ICC(A,1) of two raters with equal spread and constant difference d: s² / (s² + d²/2).
    let scores: Vec<f64> = (0..10).map(|session| f64::from(30 + session * 3)).collect();
    let mean = scores.iter().sum::<f64>() / 10.0;
    let variance = scores.iter().map(|score| (score - mean).powi(2)).sum::<f64>() / 9.0;
    close(&human["icc_a1"]["value"], variance / (variance + 12.5));
    let part = pair(&fields[1], "gold", "baseline");
    assert_eq!((&part["items"], &fields[1]["field"]), (&json!(10), &json!("phases.reading")));
    assert!(part["mae"]["value"].is_number());
}

#[test]
fn runs_are_chosen_by_name_and_a_second_one_is_told_apart() {
    let project = labelled();
    let run = project.run_name("tone-");
    project.ok(&["annotate", "tone", "--model", "baseline/majority", "--quiet"]);
    project.ok(&["annotate", "tone", "--run", "again", "--quiet"]);
    let raters = |more: &[&str]| {
        let field = &agree(&project, &[&["--task", "tone"], more].concat())[0];
        field["raters"]
            .as_array()
            .unwrap()
            .iter()
            .map(|rater| rater["rater"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(raters(&[]).len(), 6);
    assert_eq!(raters(&["--run", &run]).len(), 4);
    assert_eq!(
        raters(&["--run", "again", &run])[3..],
        ["again", run.as_str()],
        "the same rater twice goes by the names of the runs"
    );
    // A constant rater has no kappa above 0, and no way to seem to have one.
    let field = &agree(&project, &["--task", "tone", "--run", &project.run_name("tone-baseline-majority")])[0];
    close(&pair(field, "gold", "baseline/majority")["cohen_kappa"]["value"], 0.0);
    insta::assert_snapshot!(project.refused(&["agree", "--task", "tone", "--run", "nope"]), @"
    error: there is no run `nope` in runs
    hint: `interrater runs` lists the runs that there are
    ");
    let effort = project.run_name("effort-");
    let said = project.refused(&["agree", "--task", "tone", "--run", &effort]);
    assert!(said.starts_with(&format!("error: run `{effort}` is of task `effort`, not of `tone`\nhint: ")), "{said}");
}

#[test]
fn every_comparison_with_gold_goes_into_the_ledger() {
    let project = labelled();
    let ledger = || -> Vec<(String, String, String, String, i64)> {
        let connection = rusqlite::Connection::open(project.path(".interrater/store.db")).unwrap();
        let mut lines = connection
            .prepare("SELECT rater, field, split, metric, items FROM evaluation WHERE task = 'tone' ORDER BY id")
            .unwrap();
        let rows =
            lines.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?))).unwrap();
        rows.map(Result::unwrap).collect()
    };
    let before = ledger().len();
    assert_eq!(before, 1, "the run itself was compared once");
    agree(&project, &["--task", "tone", "--split", "test"]);
    agree(&project, &["--task", "tone", "--split", "test"]);
    let lines = ledger();
    assert_eq!(lines.len(), before + 2, "a second look at the test split is a second line");
    let (rater, field, split, metric, items) = lines.last().unwrap();
    assert!(rater.starts_with("baseline/cues@tone-"));
    assert_eq!((field.as_str(), split.as_str(), metric.as_str(), *items), ("label", "test", "cohen_kappa", 20));
    project.refused(&["agree", "--task", "tone", "--field", "lable"]);
    assert_eq!(ledger().len(), before + 2, "what was refused was not looked at");
    let connection = rusqlite::Connection::open(project.path(".interrater/store.db")).unwrap();
    let (value, hash, path): (f64, String, String) = connection
        .query_row("SELECT value, gold_hash, gold_path FROM evaluation ORDER BY id DESC LIMIT 1", [], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?))
        })
        .unwrap();
    let test: Vec<(usize, usize)> = units().filter(|(session, _)| splits(*session) == "test").collect();
    close(&json!(value), kappa(&test, |s, n| says("gold", s, n), cues));
    assert_eq!(hash, blake3::hash(project.read("gold/tone.csv").as_bytes()).to_hex().to_string());
    assert_eq!(path, "gold/tone.csv");
}

#[test]
fn each_item_by_itself_can_be_asked_for_and_nothing_else() {
    let project = labelled();
    let field = &agree(&project, &["--task", "tone", "--by", "item"])[0];
    assert_eq!((&field["cluster"], &field["clusters"]), (&json!("item"), &json!(32)));
    insta::assert_snapshot!(project.refused(&["agree", "--task", "tone", "--by", "team"]), @"
    error: units of a task cannot be resampled by `team`
    hint: --by session or --by item; other columns are for a ratings file with --items
    ");
}

#[test]
fn a_gold_column_can_say_which_sessions_belong_together() {
    let project = labelled();
    let gold = project.read("gold/tone.csv");
    let forked: String = gold
        .lines()
        .enumerate()
        .map(|(at, line)| match (at, line.contains("s0#") || line.contains("s1#")) {
            (0, _) => format!("{line},session\n"),
            (_, true) => format!("{line},fork\n"),
            _ => format!("{line},\n"),
        })
        .collect();
    project.write("gold/tone.csv", forked);
    assert_eq!(agree(&project, &["--task", "tone"])[0]["clusters"], json!(7));
}

#[test]
fn answers_that_are_none_are_counted_and_not_compared() {
    let project = labelled();
    let run = project.run_name("tone-");
    let file = format!("runs/{run}/annotations.jsonl");
    let spoilt: String = (project.rows(&file).into_iter().enumerate())
        .map(|(at, mut row)| {
            if at < 5 {
                row["status"] = json!("invalid");
                row["fields"] = json!({});
            }
            format!("{row}\n")
        })
        .collect();
    project.write(&file, spoilt);
    let field = &agree(&project, &["--task", "tone"])[0];
    let rater = field["raters"]
        .as_array()
        .unwrap()
        .iter()
        .find(|rater| rater["rater"].as_str().unwrap().starts_with("baseline"));
    let rater = rater.unwrap();
    assert_eq!((&rater["items"], &rater["missing"], &rater["invalid"]), (&json!(27), &json!(0), &json!(5)));
    assert_eq!(pair(field, "gold", "baseline")["items"], json!(27));
}

#[test]
fn a_run_of_another_codebook_is_compared_with_a_warning() {
    let project = labelled();
    let run = project.run_name("tone-");
    let codebook = project.read("prompts/tone.md");
    project.write("prompts/tone.md", codebook.replace("Rough.", "Very rough."));
    let field = &agree(&project, &["--task", "tone"])[0];
    let warnings = field["warnings"].as_array().unwrap();
    assert!(warnings.contains(&json!(format!("{run}: made with another version of the codebook"))), "{warnings:?}");
}

#[test]
fn a_task_without_gold_compares_its_runs_and_one_without_anything_is_an_error() {
    let project = Project::new();
    insta::assert_snapshot!(project.refused(&["agree", "--task", "tone"]), @"
    error: task `tone` has neither gold nor runs to compare
    hint: `interrater annotate tone` makes a run; gold is a file of the gold folder
    ");
    insta::assert_snapshot!(project.refused(&["agree", "--task", "tune"]), @"
    error: there is no codebook for task `tune` in prompts
    hint: known tasks: effort, tone
    ");
    insta::assert_snapshot!(project.refused(&["agree", "--task", "tone", "--gold", "mine.csv"]), @"error: cannot read mine.csv: No such file or directory (os error 2)");
    project.ok(&["annotate", "tone", "--run", "one", "--quiet"]);
    project.ok(&["annotate", "tone", "--run", "two", "--quiet"]);
    let field = &agree(&project, &["--task", "tone"])[0];
    assert_eq!((&field["items"], &field["reference"]), (&json!(40), &Value::Null));
    close(&pair(field, "one", "two")["cohen_kappa"]["value"], 1.0);
    assert!(!project.path(".interrater/store.db").exists(), "without gold there is nothing to enter into the ledger");
}

#[test]
fn gold_of_sessions_elsewhere_is_compared_with_the_run_over_them() {
    let project = labelled();
    std::fs::rename(project.path("logs"), project.path("elsewhere")).unwrap();
    std::fs::remove_file(project.path("config.toml")).unwrap();
    project.ok(&["annotate", "tone", "--sessions", "elsewhere", "--quiet"]);
    assert_eq!(agree(&project, &["--task", "tone"])[0]["items"], json!(32));
    // A prompt that a session at hand does not have is a mistake all the same.
    let gold = project.read("gold/tone.csv");
    project.write("gold/tone.csv", format!("{gold}codex:s1#9,gold,calm,test\n"));
    insta::assert_snapshot!(project.refused(&["annotate", "tone", "--sessions", "elsewhere", "--quiet"]), @"
    error: gold/tone.csv:98: unknown unit `codex:s1#9`
    hint: the session is there, but has no such prompt; `interrater sessions` shows how many it has
    ");
}
