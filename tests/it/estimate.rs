//! `estimate`: shares and means of a run, corrected by gold that was drawn in different ways.

use crate::project::{EFFORT, Project, TONE, codex};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::LazyLock;

const SESSIONS: usize = 60;

/// What prompt `nth` of a session says: the built-in baseline knows `stop` and `now`.
fn says(session: usize, nth: usize) -> &'static str {
    match (session * 5 + nth * 3) % 8 {
        0 | 5 => "stop that",
        3 => "do it now",
        _ => "please go on",
    }
}

/// What the baseline makes of it.
fn model(session: usize, nth: usize) -> &'static str {
    match says(session, nth) {
        "stop that" => "rough",
        "do it now" => "curt",
        _ => "calm",
    }
}

/// What it is: some calm words are rough all the same, and some `stop` is meant kindly.
fn truth(session: usize, nth: usize) -> &'static str {
    match model(session, nth) {
        "calm" if (session * 7 + nth * 11).is_multiple_of(5) => "rough",
        "rough" if (session + nth).is_multiple_of(9) => "calm",
        label => label,
    }
}

fn all() -> impl Iterator<Item = (usize, usize)> {
    (0..SESSIONS).flat_map(|session| (1..=4).map(move |nth| (session, nth)))
}

/// Whether a session is gold: every third.
fn is_gold((session, _): &(usize, usize)) -> bool {
    session % 3 == 0
}

/// Gold on the prompts for which `drawn` has a probability; without the column where that is 0.
fn gold(drawn: impl Fn((usize, usize)) -> Option<f64>) -> String {
    let rows = all().filter_map(|(session, nth)| {
        let probability = drawn((session, nth))?;
        let probability = if probability > 0.0 { probability.to_string() } else { String::new() };
        Some(format!("codex:s{session}#{nth},gold,{},{probability}\n", truth(session, nth)))
    });
    std::iter::once("unit,rater,label,probability\n".to_owned()).chain(rows).collect()
}

/// Two codebooks, sixty sessions in two months, runs of the built-in baseline.
fn annotated() -> Project {
    static MADE: LazyLock<BTreeMap<PathBuf, Vec<u8>>> = LazyLock::new(|| {
        let project = Project::empty();
        project.write("config.toml", "[input]\nsessions = [\"logs\"]\n");
        project.write("prompts/tone.md", TONE).write("prompts/effort.md", EFFORT);
        for session in 0..SESSIONS {
            let prompts: Vec<&str> = (1..=4).map(|nth| says(session, nth)).collect();
            let text = codex(&format!("s{session}"), &prompts);
            let text = if session % 2 == 0 { text } else { text.replace("2026-05-01", "2026-06-02") };
            project.write(&format!("logs/{session:02}.jsonl"), text);
        }
        project.ok(&["annotate", "--quiet"]);
        project.files("")
    });
    Project::holding(&MADE)
}

fn estimate(project: &Project, more: &[&str]) -> Value {
    let run = project.run_name("tone-baseline");
    project.json(&[&["estimate", &run, "--replicates", "800"], more].concat())
}

/// The number of a label in a field's group.
fn of<'f>(found: &'f Value, field: usize, group: usize, what: &str) -> &'f Value {
    let estimates = found["fields"][field]["groups"][group]["estimates"].as_array().unwrap();
    estimates.iter().find(|one| one["what"] == what).unwrap_or_else(|| panic!("no {what} in {found}"))
}

#[track_caller]
fn close(got: &Value, expected: f64) {
    let got = got.as_f64().unwrap_or_else(|| panic!("{got} is no number"));
    assert!((got - expected).abs() < 1e-9, "{got}, expected {expected}");
}

fn part(units: impl Iterator<Item = (usize, usize)>, is: impl Fn(usize, usize) -> bool) -> f64 {
    let judged: Vec<bool> = units.map(|(session, nth)| is(session, nth)).collect();
    judged.iter().filter(|is| **is).count() as f64 / judged.len() as f64
}

#[test]
fn gold_that_does_not_say_how_it_was_drawn_corrects_nothing_unless_that_is_declared() {
    let project = annotated();
    project.write("gold/tone.csv", gold(|unit| is_gold(&unit).then_some(0.0)));
    let run = project.run_name("tone-baseline");
    let said = project.refused(&["estimate", &run]);
    assert!(said.contains("does not say how its units were drawn"), "{said}");
    assert!(said.contains("interrater sample tone") && said.contains("--assume-random"), "{said}");
    let said = project.ok(&["estimate", &run, "--assume-random", "--replicates", "400"]).out;
    assert!(
        said.contains("assumes: gold is taken as a random part of the units because --assume-random says so"),
        "{said}"
    );
    assert!(said.contains("warning: nothing records how the gold was drawn"), "{said}");
    let found = estimate(&project, &["--assume-random"]);
    assert_eq!(
        (&found["fields"][0]["design"], &found["gold"]["assumed_random"]),
        (&json!("assumed_random"), &json!(true))
    );
    project.write("gold/tone.csv", gold(|unit| is_gold(&unit).then_some(if unit.0 == 3 { 0.0 } else { 0.5 })));
    let said = project.refused(&["estimate", &run, "--assume-random"]);
    assert!(said.contains("4 of 80 gold units have no probability"), "{said}");
}

#[test]
fn shares_are_post_stratified_and_hold_the_truth_that_raw_ones_miss() {
    let project = annotated();
    project.write("gold/tone.csv", gold(|unit| is_gold(&unit).then_some(1.0 / 3.0)));
    let found = estimate(&project, &[]);
    assert_eq!(found["fields"].as_array().map(Vec::len), Some(2), "the label and its collapse");
    assert_eq!((&found["units"]["all"], &found["units"]["sessions"]), (&json!(240), &json!(60)));
    assert_eq!((&found["gold"]["rows"], &found["gold"]["in_run"]), (&json!(80), &json!(80)));
    assert_eq!(found["fields"][0]["design"], "equal_probability");
    for label in ["rough", "curt", "calm"] {
        let one = of(&found, 0, 0, label);
        let flagged = part(all(), |s, n| model(s, n) == label);
        let given = |is: bool| {
            let seen = all().filter(is_gold).filter(|(s, n)| (model(*s, *n) == label) == is);
            part(seen, |s, n| truth(s, n) == label)
        };
        close(&one["raw"], flagged);
        close(&one["corrected"]["value"], flagged * given(true) + (1.0 - flagged) * given(false));
        close(&one["gold_alone"], part(all().filter(is_gold), |s, n| truth(s, n) == label));
        let (low, high) = (one["corrected"]["low"].as_f64().unwrap(), one["corrected"]["high"].as_f64().unwrap());
        let whole = part(all(), |s, n| truth(s, n) == label);
        assert!(low <= whole && whole <= high, "{label}: {whole} is not in [{low}, {high}]");
        let errors =
            all().filter(is_gold).filter(|(s, n)| (model(*s, *n) == label) != (truth(*s, *n) == label)).count();
        assert_eq!(
            (&one["gold"], &one["gold_sessions"], &one["gold_errors"]),
            (&json!(80), &json!(20), &json!(errors))
        );
        let rho = one["correlation"].as_f64().unwrap();
        if rho < 1.0 {
            close(&one["effective_gold"], 80.0 / (1.0 - rho * rho));
        }
    }
    let rough = of(&found, 0, 0, "rough");
    assert!(rough["corrected"]["low"].as_f64() > rough["raw"].as_f64(), "the model misses rough words: {rough}");
    assert!(rough["corrected"]["method"].as_str().unwrap().starts_with("session bootstrap"));
    // The collapse is the rest of calm.
    let harsh = of(&found, 1, 0, "harsh");
    close(&harsh["corrected"]["value"], 1.0 - of(&found, 1, 0, "calm")["corrected"]["value"].as_f64().unwrap());
    assert_eq!(estimate(&project, &[]), found, "the same seed gives the same numbers");
    let only = estimate(&project, &["--collapse", "binary"]);
    assert_eq!((only["fields"].as_array().map(Vec::len), &only["fields"][0]["collapse"]), (Some(1), &json!("binary")));
    assert!(
        project.refused(&["estimate", &project.run_name("tone"), "--collapse", "threefold"]).contains("it has: binary")
    );
}

#[test]
fn every_look_at_the_gold_is_in_the_ledger() {
    let project = annotated();
    project.write("gold/tone.csv", gold(|unit| is_gold(&unit).then_some(0.0)));
    let value = estimate(&project, &["--assume-random"]);
    let store = rusqlite::Connection::open(project.path(".interrater/store.db")).unwrap();
    let (metric, recorded, items): (String, f64, i64) = store
        .query_row("SELECT metric, value, items FROM evaluation WHERE field = 'label'", [], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?))
        })
        .unwrap();
    assert_eq!((metric.as_str(), items), ("corrected_share of rough, gold assumed random", 80));
    close(&of(&value, 0, 0, "rough")["corrected"]["value"], recorded);
}

#[test]
fn quotas_by_the_models_label_are_strata_and_other_unequal_draws_are_weighted() {
    let project = annotated();
    // All that the model called rough or curt, and a fifth of the rest.
    let drawn = |(s, n): (usize, usize)| match model(s, n) {
        "calm" => ((s * 3 + n) % 5 == 0).then_some(0.2),
        _ => Some(1.0),
    };
    project.write("gold/tone.csv", gold(drawn));
    let found = estimate(&project, &["--field", "label"]);
    assert_eq!(found["fields"][0]["design"], "by_model_label");
    let expected: f64 = ["rough", "curt", "calm"]
        .iter()
        .map(|label| {
            let seen = all().filter(|unit| drawn(*unit).is_some() && model(unit.0, unit.1) == *label);
            part(all(), |s, n| model(s, n) == *label) * part(seen, |s, n| truth(s, n) == "rough")
        })
        .sum();
    close(&of(&found, 0, 0, "rough")["corrected"]["value"], expected);

    // A draw by something else: half of the even sessions, a quarter of the odd ones.
    let drawn = |(s, n): (usize, usize)| match s % 2 {
        0 => ((s / 2 + n) % 2 == 0).then_some(0.5),
        _ => ((s / 2 + n) % 4 == 0).then_some(0.25),
    };
    project.write("gold/tone.csv", gold(drawn));
    let found = estimate(&project, &[]);
    let one = of(&found, 0, 0, "rough");
    assert_eq!(
        (&found["fields"][0]["design"], &one["formula"]),
        (&json!("unequal_probability"), &json!("by design (DSL)"))
    );
    let is = |label: &str| f64::from(u8::from(label == "rough"));
    let sum: f64 = all()
        .map(|(s, n)| {
            let (y, guess) = (is(truth(s, n)), is(model(s, n)));
            guess + drawn((s, n)).map_or(0.0, |p| (y - guess) / p)
        })
        .sum();
    close(&one["corrected"]["value"], sum / 240.0);
}

#[test]
fn groups_are_corrected_by_their_own_gold_and_compared() {
    let project = annotated();
    project.write("gold/tone.csv", gold(|unit| is_gold(&unit).then_some(1.0 / 3.0)));
    let found = estimate(&project, &["--by", "month", "--collapse", "binary"]);
    let groups: Vec<&str> =
        found["fields"][0]["groups"].as_array().unwrap().iter().map(|group| group["group"].as_str().unwrap()).collect();
    assert_eq!(groups, ["2026-05", "2026-06"]);
    let difference = &found["fields"][0]["differences"][0];
    assert_eq!(
        (&difference["a"], &difference["b"], &difference["what"]),
        (&json!("2026-05"), &json!("2026-06"), &json!("harsh"))
    );
    let value = |group: usize, key: &str| {
        let one = of(&found, 0, group, "harsh");
        if key == "raw" { one["raw"].as_f64().unwrap() } else { one["corrected"]["value"].as_f64().unwrap() }
    };
    close(&difference["raw"], value(1, "raw") - value(0, "raw"));
    close(&difference["corrected"]["value"], value(1, "corrected") - value(0, "corrected"));
    assert!(difference["corrected"]["low"].as_f64() < difference["corrected"]["value"].as_f64());

    let rows: String =
        (0..SESSIONS).map(|s| format!("codex:s{s},{}\n", if s % 4 < 2 { "alpha" } else { "beta" })).collect();
    project.write("teams.csv", format!("session,team\n{rows}"));
    let found = estimate(&project, &["--by", "team", "--items", "teams.csv"]);
    assert_eq!(found["fields"][0]["groups"][1]["group"], "beta");
    let run = project.run_name("tone-baseline");
    assert!(project.refused(&["estimate", &run, "--by", "colour"]).contains("sessions have no such value"));
    let said = project.ok(&["estimate", &run, "--by", "agent", "--replicates", "400"]).out;
    assert!(said.contains("agent  share  raw %") && said.contains("codex  rough"), "{said}");
}

#[test]
fn means_of_scores_are_rectified() {
    let project = annotated();
    let run = project.run_name("effort-baseline");
    let scores: Vec<(usize, f64)> = (project.rows(&format!("runs/{run}/annotations.jsonl")).iter())
        .map(|row| {
            let session = row["session"].as_str().unwrap().strip_prefix("codex:s").unwrap().parse().unwrap();
            (session, row["fields"]["score"].as_f64().unwrap())
        })
        .collect();
    assert_eq!(scores.len(), SESSIONS);
    let gold_of = |session: usize, guess: f64| guess + 7.0 + (session % 5) as f64;
    let rows = scores.iter().filter(|(session, _)| session % 3 == 0);
    let rows: String =
        rows.map(|(session, guess)| format!("codex:s{session},gold,{},0.3333\n", gold_of(*session, *guess))).collect();
    project.write("gold/effort.csv", format!("unit,rater,score,probability\n{rows}"));
    let found = project.json(&["estimate", &run]);
    let one = of(&found, 0, 0, "mean");
    assert_eq!(
        (&found["fields"][0]["quantity"], &one["formula"], &one["lambda"]),
        (&json!("mean"), &json!("PPI++"), &json!(1.0))
    );
    // λ is 1 for 20 gold units: mean of the rest, and the mean error on gold.
    let rest: Vec<f64> = scores.iter().filter(|(session, _)| session % 3 != 0).map(|(_, guess)| *guess).collect();
    let off: Vec<f64> =
        scores.iter().filter(|(s, _)| s % 3 == 0).map(|(s, guess)| gold_of(*s, *guess) - guess).collect();
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    close(&one["corrected"]["value"], mean(&rest) + mean(&off));
    assert!(one["warnings"][0].as_str().unwrap().contains("only 20 gold units"));
    let these = project.json(&["estimate", &run, "--these-units"]);
    let guesses: Vec<f64> = scores.iter().map(|(_, guess)| *guess).collect();
    close(&of(&these, 0, 0, "mean")["corrected"]["value"], mean(&guesses) + mean(&off));
}

#[test]
fn gold_of_other_sessions_corrects_by_how_the_model_errs_there() {
    let project = annotated();
    let half = |which: usize| -> Vec<String> {
        (0..SESSIONS).filter(|s| s % 2 == which).map(|s| format!("logs/{s:02}.jsonl")).collect()
    };
    for (name, which) in [("there", 0), ("here", 1)] {
        let paths = half(which);
        let mut args = vec!["annotate", "tone", "--quiet", "--run", name, "--sessions"];
        args.extend(paths.iter().map(String::as_str));
        project.ok(&args);
    }
    std::fs::remove_dir_all(project.path("runs").join(project.run_name("tone-baseline"))).unwrap();
    project.write("gold/tone.csv", gold(|(session, _)| (session % 2 == 0).then_some(0.0)));
    let found = project.json(&["estimate", "here", "--replicates", "400"]);
    assert_eq!((&found["fields"][0]["design"], &found["gold"]["in_run"]), (&json!("other_units"), &json!(0)));
    let one = of(&found, 0, 0, "rough");
    assert_eq!((&one["formula"], &one["corrected"]["method"]), (&json!("Rogan–Gladen"), &json!("Lang–Reiczigel")));
    let there = || all().filter(|(session, _)| session % 2 == 0);
    let given = |is: bool| {
        let seen = there().filter(|(s, n)| (truth(*s, *n) == "rough") == is);
        part(seen, |s, n| (model(s, n) == "rough") == is)
    };
    let rate = part(all().filter(|(session, _)| session % 2 == 1), |s, n| model(s, n) == "rough");
    close(&one["corrected"]["value"], (rate + given(false) - 1.0) / (given(true) + given(false) - 1.0));
    assert!(found["fields"][0]["inversion"]["condition"].as_f64().unwrap() >= 1.0);
    assert!(
        found["assumptions"]
            .as_array()
            .unwrap()
            .iter()
            .any(|one| one.as_str().unwrap().contains("errs on the units of this run as it does on the gold's"))
    );
    std::fs::remove_dir_all(project.path("runs/there")).unwrap();
    assert!(
        project.refused(&["estimate", "here"]).contains("no gold unit of gold/tone.csv has an answer of baseline/cues")
    );
}

#[test]
fn units_without_an_answer_are_bounded_and_another_codebook_is_refused() {
    let project = annotated();
    project.write("gold/tone.csv", gold(|unit| is_gold(&unit).then_some(1.0 / 3.0)));
    let run = project.run_name("tone-baseline");
    let file = format!("runs/{run}/annotations.jsonl");
    let rows: Vec<String> = (project.rows(&file).into_iter().enumerate())
        .map(|(at, mut row)| {
            // Twelve units of sessions without gold.
            if (20..32).contains(&at) && !row["unit"].as_str().unwrap().contains("s6#") {
                row["status"] = json!("failed");
                row["fields"] = json!({});
            }
            format!("{row}\n")
        })
        .collect();
    project.write(&file, rows.concat());
    let found = estimate(&project, &[]);
    let failed = found["units"]["without_answer"]["failed"].as_u64().unwrap() as f64;
    assert!(failed >= 8.0);
    let one = of(&found, 0, 0, "rough");
    let (value, answered) = (one["corrected"]["value"].as_f64().unwrap(), (240.0 - failed) / 240.0);
    close(&one["bounds"][0], value * answered);
    close(&one["bounds"][1], value * answered + 1.0 - answered);
    let said = project.ok(&["estimate", &run, "--replicates", "400"]).out;
    assert!(said.contains("units have no answer") && said.contains("bounds"), "{said}");

    project.write("prompts/tone.md", TONE.replace("Calm.", "Calm, or kind."));
    assert!(project.refused(&["estimate", &run]).contains("another version of the codebook"));
}

#[test]
fn a_label_that_says_that_there_is_no_answer_is_a_part_of_the_whole() {
    let project = annotated();
    let shares = |project: &Project| -> Vec<(String, f64)> {
        let found = estimate(project, &["--field", "label"]);
        let rows = found["fields"][0]["groups"][0]["estimates"].as_array().unwrap().iter();
        let mut rows: Vec<(String, f64)> =
            rows.map(|row| (row["what"].as_str().unwrap().to_owned(), row["raw"].as_f64().unwrap())).collect();
        rows.sort_by(|one, other| one.0.cmp(&other.0));
        rows
    };
    project.write("gold/tone.csv", gold(|unit| is_gold(&unit).then_some(0.4)));
    let before = shares(&project);
    let book =
        project.read("prompts/tone.md").replace("definition = \"Curt.\"", "definition = \"Curt.\"\nmissing = true");
    project.write("prompts/tone.md", book);
    project.ok(&["annotate", "tone", "--run", "missing", "--quiet"]);
    let found = project.json(&["estimate", "missing", "--field", "label", "--replicates", "200"]);
    let rows = found["fields"][0]["groups"][0]["estimates"].as_array().unwrap();
    for (what, raw) in before {
        let row = rows.iter().find(|row| row["what"] == what.as_str()).unwrap_or_else(|| panic!("no share of {what}"));
        close(&row["raw"], raw);
    }
    let sum: f64 = rows.iter().map(|row| row["raw"].as_f64().unwrap()).sum();
    assert!((sum - 1.0).abs() < 1e-12, "the shares are of all units: {sum}");
    let agree = project.json(&["agree", "--task", "tone", "--run", "missing", "--replicates", "200"]);
    assert_eq!(agree["fields"][0]["labels"], json!(["rough", "calm"]));
}
