//! `compare`: runs against one another on the same gold.

use crate::project::{Project, words};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::LazyLock;

const LABELS: [&str; 3] = ["rough", "curt", "calm"];

/// What a rater says of prompt `nth` of session `session`; the baseline `cues` reads the words.
fn says(rater: &str, session: usize, nth: usize) -> &'static str {
    let cues = match words(session, nth) {
        "stop that" => "rough",
        "do it now" => "curt",
        _ => "calm",
    };
    let at = session * 4 + nth;
    match rater {
        "gold" if at % 10 == 4 => "curt",
        "gold" if cues == "rough" && session == 6 => "calm",
        "a" if at.is_multiple_of(9) => "curt",
        "b" if at.is_multiple_of(11) => "calm",
        // Mends what the cues miss in the later sessions, and breaks some of the earlier ones.
        "later" if session >= 4 => says("gold", session, nth),
        "later" if at.is_multiple_of(5) => "rough",
        "clumsy" if at.is_multiple_of(3) => LABELS[at % 3],
        _ => cues,
    }
}

fn split(session: usize) -> &'static str {
    if session < 4 { "dev" } else { "test" }
}

fn unit(session: usize, nth: usize) -> String {
    format!("codex:s{session}#{nth}")
}

/// Sessions and prompts of the gold.
fn units(sessions: std::ops::Range<usize>) -> Vec<(usize, usize)> {
    sessions.flat_map(|session| (1..=4).map(move |nth| (session, nth))).collect()
}

fn gold(units: &[(usize, usize)], raters: &[&str]) -> String {
    let rows = units.iter().flat_map(|&(session, nth)| {
        raters.iter().map(move |rater| {
            format!("{},{rater},{},{}\n", unit(session, nth), says(rater, session, nth), split(session))
        })
    });
    std::iter::once("unit,rater,label,split\n".to_owned()).chain(rows).collect()
}

/// Gold of nine sessions and two humans, the baseline's run `cues`, and two runs of invented models.
fn project() -> Project {
    static MADE: LazyLock<BTreeMap<PathBuf, Vec<u8>>> = LazyLock::new(|| {
        let project = Project::new();
        project.write("gold/tone.csv", gold(&units(0..9), &["gold", "a", "b"]));
        project.ok(&["annotate", "tone", "--quiet", "--run", "cues"]);
        other_run(&project, "later", "lab/later", None);
        other_run(&project, "clumsy", "lab/clumsy", Some("session"));
        // What `annotate` wrote of its own run would count as a rater that was scored.
        std::fs::remove_dir_all(project.path(".interrater")).unwrap();
        project.files("")
    });
    Project::holding(&MADE)
}

/// The run `cues` again, by another model that answers as `rater` does.
fn other_run(project: &Project, rater: &str, model: &str, group: Option<&str>) {
    let mut manifest: Value = serde_json::from_str(&project.read("runs/cues/manifest.json")).unwrap();
    let name = manifest["rater"].as_str().unwrap().replace("baseline/cues", model);
    manifest["run"] = json!(rater);
    manifest["model"] = json!(model);
    manifest["rater"] = json!(name);
    if let Some(group) = group {
        manifest["settings"]["group"] = json!(group);
    }
    project.write(&format!("runs/{rater}/manifest.json"), manifest.to_string());
    let rows = project.rows("runs/cues/annotations.jsonl").into_iter().map(|mut row| {
        let id = row["unit"].as_str().unwrap().to_owned();
        let (session, nth) = id.trim_start_matches("codex:s").split_once('#').unwrap();
        row["fields"]["label"] = json!(says(rater, session.parse().unwrap(), nth.parse().unwrap()));
        row["rater"] = json!(name);
        format!("{row}\n")
    });
    project.write(&format!("runs/{rater}/annotations.jsonl"), rows.collect::<String>());
}

fn compare(project: &Project, more: &[&str]) -> Value {
    project.json(&[&["compare", "--replicates", "400"], more].concat())
}

/// Kappa of answers with the gold, by its definition.
fn kappa(pairs: &[(&str, &str)]) -> f64 {
    let n = pairs.len() as f64;
    let po = pairs.iter().filter(|(gold, answer)| gold == answer).count() as f64 / n;
    let pe: f64 = (LABELS.iter())
        .map(|label| {
            let share = |of: &dyn Fn(&(&str, &str)) -> bool| pairs.iter().filter(|pair| of(pair)).count() as f64 / n;
            share(&|pair| pair.0 == *label) * share(&|pair| pair.1 == *label)
        })
        .sum();
    (po - pe) / (1.0 - pe)
}

fn answers(rater: &str, units: &[(usize, usize)]) -> Vec<(&'static str, &'static str)> {
    units.iter().map(|&(session, nth)| (says("gold", session, nth), says(rater, session, nth))).collect()
}

fn close(got: &Value, expected: f64, what: &str) {
    let got = got.as_f64().unwrap_or_else(|| panic!("{what}: {got} is no number"));
    assert!((got - expected).abs() < 1e-9, "{what}: {got}, expected {expected}");
}

#[test]
fn figures_differences_and_p_values_are_the_definitions() {
    let project = project();
    let document = compare(&project, &["cues", "later", "clumsy"]);
    assert_eq!((&document["task"], &document["split"]), (&json!("tone"), &json!("all")));
    let field = &document["fields"][0];
    assert_eq!(
        (&field["field"], &field["metric"], &field["units"], &field["clusters"], &field["cluster"]),
        (&json!("label"), &json!("kappa"), &json!(36), &json!(9), &json!("session"))
    );
    let all = units(0..9);
    for (run, rater) in field["runs"].as_array().unwrap().iter().zip(["cues", "later", "clumsy"]) {
        assert_eq!((&run["run"], &run["answered"], &run["invalid"]), (&json!(rater), &json!(36), &json!(0)));
        close(&run["figure"]["value"], kappa(&answers(rater, &all)), rater);
        assert!(run["figure"]["low"].as_f64().unwrap() < run["figure"]["value"].as_f64().unwrap());
    }
    let pairs = field["pairs"].as_array().unwrap();
    let names: Vec<(&str, &str)> =
        pairs.iter().map(|pair| (pair["a"].as_str().unwrap(), pair["b"].as_str().unwrap())).collect();
    assert_eq!(names, [("cues", "later"), ("cues", "clumsy"), ("later", "clumsy")]);
    for (pair, (a, b)) in pairs.iter().zip(names) {
        let difference = kappa(&answers(b, &all)) - kappa(&answers(a, &all));
        close(&pair["difference"]["value"], difference, "difference");
        // All 2⁹ ways to swap whole sessions.
        let extreme = (0..1_usize << 9).filter(|subset| {
            let swapped = |own: &str, other: &str| -> Vec<(&str, &str)> {
                let of = |&(session, nth): &(usize, usize)| {
                    let rater = if subset >> session & 1 == 1 { other } else { own };
                    (says("gold", session, nth), says(rater, session, nth))
                };
                all.iter().map(of).collect()
            };
            let moved = kappa(&swapped(b, a)) - kappa(&swapped(a, b));
            moved.abs() >= difference.abs() - 1e-12
        });
        let p = extreme.count() as f64 / 512.0;
        assert_eq!(pair["permutation"]["exact"], json!(true));
        close(&pair["permutation"]["p_two_sided"], p, "p");
    }
    let mut p: Vec<f64> = pairs.iter().map(|pair| pair["permutation"]["p_two_sided"].as_f64().unwrap()).collect();
    p.sort_by(f64::total_cmp);
    assert_eq!(field["multiplicity"]["m"], json!(3));
    let least = pairs.iter().map(|pair| pair["p_adjusted"].as_f64().unwrap()).fold(1.0, f64::min);
    assert!((least - (3.0 * p[0]).min(1.0)).abs() < 1e-9);
}

#[test]
fn mended_and_broken_units_are_named_unless_they_are_of_the_test_split() {
    let project = project();
    let expected = |right: &str, wrong: &str, of: &str| -> BTreeSet<String> {
        let is = |rater: &str, at: (usize, usize)| says(rater, at.0, at.1) == says("gold", at.0, at.1);
        let all = units(0..9).into_iter().filter(|&at| is(right, at) && !is(wrong, at) && split(at.0) == of);
        all.map(|(session, nth)| unit(session, nth)).collect()
    };
    for (args, splits) in
        [(&["--split", "dev"][..], &["dev"][..]), (&["--split", "test"], &["test"]), (&[], &["dev", "test"])]
    {
        let document = compare(&project, &[&["cues", "later"], args].concat());
        let pair = &document["fields"][0]["pairs"][0];
        for (name, right, wrong) in [("fixed", "later", "cues"), ("broken", "cues", "later")] {
            let count: usize = splits.iter().map(|split| expected(right, wrong, split).len()).sum();
            assert_eq!(pair[name]["count"], json!(count), "{name} {args:?}");
            let shown: BTreeSet<String> =
                pair[name]["units"].as_array().unwrap().iter().map(|id| id.as_str().unwrap().to_owned()).collect();
            let wanted = if splits.contains(&"dev") { expected(right, wrong, "dev") } else { BTreeSet::new() };
            assert_eq!(shown, wanted, "{name} {args:?}");
        }
    }
    let printed = project.ok(&["compare", "cues", "later", "--split", "test"]).out;
    assert!(!printed.contains("codex:s") && printed.contains("of the test split, not shown"), "{printed}");
    let printed = project.ok(&["compare", "cues", "later", "--split", "dev"]).out;
    assert!(printed.contains("broken by later against cues: codex:s"), "{printed}");
}

#[test]
fn every_rater_that_was_ever_scored_counts_shown_or_not() {
    let project = project();
    let m = |document: &Value| document["fields"][0]["multiplicity"]["m"].as_u64().unwrap();
    assert_eq!(m(&compare(&project, &["cues", "later", "--split", "dev"])), 2);
    // Scoring a third run elsewhere counts here, whether on the whole gold or on its part; on the other part it does not.
    project.ok(&["agree", "--task", "tone", "--run", "clumsy", "--split", "test", "--replicates", "200"]);
    assert_eq!(m(&compare(&project, &["cues", "later", "--split", "dev"])), 2);
    project.ok(&["agree", "--task", "tone", "--run", "clumsy", "--replicates", "200"]);
    let document = compare(&project, &["cues", "later", "--split", "dev"]);
    assert_eq!(m(&document), 3);
    assert!(document["fields"][0]["multiplicity"]["raters"].to_string().contains("lab/clumsy@tone-"));
    let pair = &document["fields"][0]["pairs"][0];
    let p = pair["permutation"]["p_two_sided"].as_f64().unwrap();
    close(&pair["p_adjusted"], (3.0 * p).min(1.0), "Holm");
    assert!(project.ok(&["compare", "cues", "later", "--split", "dev"]).out.contains("p (Holm, m = 3)"));
    // A corrected cell makes no new gold.
    let edited = project.read("gold/tone.csv").replacen(",calm,", ",curt,", 1);
    assert_ne!(edited, project.read("gold/tone.csv"));
    project.write("gold/tone.csv", edited);
    assert_eq!(m(&compare(&project, &["cues", "later", "--split", "dev"])), 3);
    // Another gold is another start.
    project.write("gold/other.csv", gold(&units(0..8), &["gold"]));
    assert_eq!(m(&compare(&project, &["cues", "later", "--gold", "gold/other.csv"])), 2);
}

#[test]
fn how_often_the_test_split_was_opened_is_told() {
    let project = project();
    assert_eq!(compare(&project, &["cues", "later", "--split", "dev"])["test_opened"], Value::Null);
    assert_eq!(compare(&project, &["cues", "later", "--split", "test"])["test_opened"], json!(1));
    assert_eq!(compare(&project, &["cues", "later"])["test_opened"], json!(2));
    let printed = project.ok(&["compare", "cues", "later", "--split", "test"]).out;
    assert!(printed.contains("note: test opened 3 times for this task"), "{printed}");
}

#[test]
fn mcnemar_is_for_one_unit_a_session() {
    let project = project();
    let printed = project.ok(&["compare", "cues", "clumsy"]).out;
    assert!(printed.contains("McNemar's test is left out") && !printed.contains("McNemar p"), "{printed}");
    assert_eq!(compare(&project, &["cues", "clumsy"])["fields"][0]["pairs"][0]["mcnemar"], Value::Null);
    let single: Vec<(usize, usize)> = (0..10).map(|session| (session, 3)).collect();
    project.write("gold/single.csv", gold(&single, &["gold"]));
    let document = compare(&project, &["cues", "clumsy", "--gold", "gold/single.csv"]);
    let found = &document["fields"][0]["pairs"][0]["mcnemar"];
    let mut table = [[0, 0], [0, 0]];
    for &(session, nth) in &single {
        let wrong = |rater: &str| usize::from(says(rater, session, nth) != says("gold", session, nth));
        table[wrong("cues")][wrong("clumsy")] += 1;
    }
    assert_eq!(found["table"], json!(table));
    assert!(project.ok(&["compare", "cues", "clumsy", "--gold", "gold/single.csv"]).out.contains("McNemar p"));
}

#[test]
fn a_margin_asks_for_the_ceiling_that_humans_set() {
    let project = project();
    let document = compare(&project, &["later", "clumsy", "--margin", "0.3"]);
    let humans = &document["fields"][0]["non_inferiority"];
    assert_eq!((&humans["margin"], &humans["humans"]), (&json!(0.3), &json!(["a", "b"])));
    for run in humans["runs"].as_array().unwrap() {
        let difference = &run["difference"];
        let expected = run["run_human"]["value"].as_f64().unwrap() - run["human_human"]["value"].as_f64().unwrap();
        close(&difference["value"], expected, "difference");
        assert_eq!(run["holds"], json!(difference["low"].as_f64().unwrap() > -0.3));
    }
    assert_eq!(humans["runs"][1]["holds"], json!(false), "answers at random are no human's");
    project.write("gold/one.csv", gold(&units(0..9), &["gold", "a"]));
    let document = compare(&project, &["later", "clumsy", "--margin", "0.3", "--gold", "gold/one.csv"]);
    assert_eq!(document["fields"][0]["non_inferiority"], Value::Null);
    assert!(document["fields"][0]["warnings"].to_string().contains("fewer than two human raters"));
}

#[test]
fn runs_that_were_asked_otherwise_or_lack_answers_are_named() {
    let project = project();
    let warnings = |document: &Value| document["fields"][0]["warnings"].to_string();
    let document = compare(&project, &["cues", "clumsy"]);
    assert!(warnings(&document).contains("cues and clumsy differ in how units were asked for"), "{document}");
    assert_eq!(document["fields"][0]["runs"][1]["group"], json!("session"));
    assert!(!warnings(&compare(&project, &["cues", "later"])).contains("asked for"));
    // A run that could not answer two units is compared on the others, and so is everyone.
    let mut rows = project.rows("runs/later/annotations.jsonl");
    for row in rows.iter_mut().filter(|row| ["codex:s0#2", "codex:s5#1"].contains(&row["unit"].as_str().unwrap())) {
        row["status"] = json!("invalid");
        row["fields"] = json!({});
    }
    project.write("runs/later/annotations.jsonl", rows.iter().map(|row| format!("{row}\n")).collect::<String>());
    let document = compare(&project, &["cues", "later"]);
    let field = &document["fields"][0];
    assert_eq!((&field["units"], &field["gold_units"]), (&json!(34), &json!(36)));
    assert_eq!((&field["runs"][1]["answered"], &field["runs"][1]["invalid"]), (&json!(34), &json!(2)));
    let shared: Vec<(usize, usize)> = units(0..9).into_iter().filter(|at| ![(0, 2), (5, 1)].contains(at)).collect();
    close(&field["runs"][0]["figure"]["value"], kappa(&answers("cues", &shared)), "the other run, on the same units");
    assert!(warnings(&document).contains("later: 2 of 36 units of the gold without a usable answer"));
}

#[test]
fn other_figures_collapses_and_items() {
    let project = project();
    let all = units(0..9);
    let field = |more: &[&str]| compare(&project, &[&["cues", "later"], more].concat())["fields"][0].clone();
    let accuracy = field(&["--metric", "accuracy"]);
    let right = answers("later", &all).iter().filter(|(gold, answer)| gold == answer).count() as f64 / 36.0;
    close(&accuracy["runs"][1]["figure"]["value"], right, "accuracy");
    let f1 = field(&["--metric", "f1"]);
    let expected = LABELS.iter().map(|label| {
        let pairs = answers("cues", &all);
        let both = pairs.iter().filter(|pair| pair.0 == *label && pair.1 == *label).count() as f64;
        let uses = pairs.iter().map(|pair| usize::from(pair.0 == *label) + usize::from(pair.1 == *label));
        2.0 * both / uses.sum::<usize>() as f64
    });
    close(&f1["runs"][0]["figure"]["value"], expected.sum::<f64>() / 3.0, "macro-F1");
    let collapsed = field(&["--collapse", "binary"]);
    assert_eq!(collapsed["field"], json!("label (binary)"));
    let by_item = field(&["--by", "item"]);
    assert_eq!((&by_item["cluster"], &by_item["clusters"]), (&json!("item"), &json!(36)));
    assert!(by_item["warnings"].to_string().contains("takes units of one session as independent"));
}

#[test]
fn scores_are_compared_by_their_errors() {
    let project = project();
    project.ok(&["annotate", "effort", "--quiet", "--run", "first"]);
    let scores: Vec<f64> = project
        .rows("runs/first/annotations.jsonl")
        .iter()
        .map(|row| row["fields"]["score"].as_f64().unwrap())
        .collect();
    let mut gold = "unit,rater,score\n".to_owned();
    (0..10).for_each(|session| gold.push_str(&format!("codex:s{session},gold,{}\n", 30 + session * 3)));
    project.write("gold/effort.csv", gold);
    let manifest = project.read("runs/first/manifest.json").replace("\"first\"", "\"second\"");
    project.write("runs/second/manifest.json", manifest);
    let rows = project.rows("runs/first/annotations.jsonl").into_iter().enumerate().map(|(session, mut row)| {
        row["fields"]["score"] = json!(30 + session * 3 + session % 2);
        format!("{row}\n")
    });
    project.write("runs/second/annotations.jsonl", rows.collect::<String>());
    let field = compare(&project, &["first", "second"])["fields"][0].clone();
    assert_eq!((&field["metric"], &field["field"]), (&json!("mean_absolute_error"), &json!("score")));
    let error = |score: f64, session: usize| (score - (30 + session * 3) as f64).abs();
    let expected = scores.iter().enumerate().map(|(session, score)| error(*score, session)).sum::<f64>() / 10.0;
    close(&field["runs"][0]["figure"]["value"], expected, "error");
    close(&field["pairs"][0]["difference"]["value"], 0.5 - expected, "difference");
    assert_eq!((&field["pairs"][0]["mcnemar"], &field["pairs"][0]["fixed"]), (&Value::Null, &Value::Null));
    let error = project.refused(&["compare", "first", "second", "--metric", "kappa"]);
    assert!(error.contains("kappa is not for fields of this kind"), "{error}");
}

#[test]
fn what_cannot_be_compared_is_refused_with_a_way_out() {
    let project = project();
    for (args, said) in [
        (&["compare", "cues", "cues"][..], "run `cues` is named twice"),
        (&["compare", "cues", "nobody"], "there is no run `nobody`"),
        (&["compare", "cues", "later", "--task", "effort"], "run `cues` is of task `tone`, not of `effort`"),
        (&["compare", "cues", "later", "--field", "mood"], "has no measured field `mood`"),
        (&["compare", "cues", "later", "--collapse", "mood"], "has no collapse `mood`"),
        (&["compare", "cues", "later", "--metric", "mae"], "mae is not for fields of this kind"),
        (&["compare", "cues", "later", "--margin", "2"], "a margin is a number"),
        (&["compare", "cues"], "2 values required"),
    ] {
        let error = project.refused(args);
        assert!(error.contains(said), "{args:?}: {error}");
    }
    std::fs::remove_file(project.path("gold/tone.csv")).unwrap();
    let error = project.refused(&["compare", "cues", "later"]);
    assert!(error.contains("has no gold (gold/tone.csv") && error.contains("hint: "), "{error}");
    project.write("gold/tone.csv", gold(&units(0..9), &["a", "b"]));
    let error = project.refused(&["compare", "cues", "later"]);
    assert!(error.contains("no rows of the rater `gold`"), "{error}");
}
