//! `stat`: corrections by gold, against numbers of ppi-python and statsmodels on labels made by whole numbers.

use crate::project::Project;
use serde_json::{Value, json};

const ITEMS: usize = 240;

/// The label, and the model's, as places among a, b and c.
fn labels(i: usize) -> (usize, usize) {
    let label = [0, 0, 1, 1, 2][i * 7 % 5];
    (label, if (i * 11).is_multiple_of(9) { (label + 1) % 3 } else { label })
}

fn project() -> Project {
    let (mut ratings, mut items) = ("item,annotator,label\n".to_owned(), "item,session,x,prob,w\n".to_owned());
    for i in 0..ITEMS {
        let name = |place: usize| ["a", "b", "c"][place];
        let (label, model) = labels(i);
        ratings.push_str(&format!("i{i},llm,{}\n", name(model)));
        let x = i % 2;
        if (i / 2).is_multiple_of(if x == 1 { 2 } else { 4 }) {
            ratings.push_str(&format!("i{i},gold,{}\n", name(label)));
        }
        items.push_str(&format!("i{i},s{},{x},{},{}\n", i / 8, if x == 1 { 0.5 } else { 0.25 }, 1 + i % 3));
    }
    let project = Project::empty();
    project.write("r.csv", ratings).write("items.csv", items);
    project
}

#[track_caller]
fn check(project: &Project, name: &str, params: Value, expected: Value) {
    let mut params = params;
    params["gold"] = json!("gold");
    params["llm"] = json!("llm");
    let ran = project.ok(&["stat", name, "r.csv", "--items", "items.csv", "--params", &params.to_string()]);
    let found: Value = serde_json::from_str(&ran.out).unwrap();
    for (key, expected) in expected.as_object().unwrap() {
        let flat = |value: &Value| value.as_array().cloned().unwrap_or_else(|| vec![value.clone()]);
        for (got, expected) in flat(&found[key]).iter().zip(flat(expected)) {
            let (got, expected) = (got.as_f64().unwrap_or(f64::NAN), expected.as_f64().unwrap());
            assert!((got - expected).abs() < 1e-9, "{name} {key}: {got}, expected {expected}");
        }
    }
}

#[test]
fn corrections_are_those_of_the_reference_implementations() {
    let project = project();
    let value = "1[label=a]";
    check(
        &project,
        "dsl_mean",
        json!({ "value": value, "prob": "prob", "g": "llm" }),
        json!({ "estimate": 0.3916666666666667, "se_hc1": 0.039430953488091176, "se_cluster": 0.024516395327346622,
            "naive_llm": 0.375, "naive_gold_unweighted": 0.4, "hajek_gold": 0.4 }),
    );
    check(
        &project,
        "dsl_ols",
        json!({ "formula": "1[label=a] ~ 1 + x", "prob": "prob" }),
        json!({ "b0": 0.36666666666666664, "b1": 0.05, "se_hc0_b1": 0.07863123024835843, "se_cluster_b1": 0.06053725305174592 }),
    );
    check(
        &project,
        "confusion_inversion",
        json!({ "labels": ["a", "b", "c"], "unlabeled": "items with llm and without gold" }),
        json!({ "shares_unclipped": [0.3972850678733032, 0.42099547511312213, 0.18171945701357464] }),
    );
    check(
        &project,
        "poststratified_shares",
        json!({ "labels": ["a", "b", "c"] }),
        json!({ "shares": [0.39865546218487397, 0.40785714285714286, 0.1934873949579832] }),
    );
    check(
        &project,
        "ppi_difference",
        json!({ "value": value, "group": "x", "alpha": 0.05 }),
        json!({ "x0|estimate": 0.37058213716108446, "x1|estimate": 0.41421660791226, "diff": 0.04363447075117555, "se": 0.07772843633373054 }),
    );
    check(
        &project,
        "ppi_mean_weighted",
        json!({ "value": value, "lambda": 1, "weights": "w", "alpha": 0.1 }),
        json!({ "estimate": 0.3977777777777778, "ci_low": 0.31969071228654955, "ci_high": 0.475864843269006 }),
    );
    check(
        &project,
        "ppi_ols",
        json!({ "formula": "1[label=a] ~ 1 + x", "lambda": 1, "alpha": 0.05 }),
        json!({ "b1": 0.07777777777777772, "b1_ci_low": -0.11071714911245478, "b1_ci_high": 0.26627270466801023 }),
    );
}

#[test]
fn what_cannot_be_corrected_is_null_with_its_reason() {
    let project = Project::empty();
    project.write("r.csv", "item,annotator,label\ni1,llm,a\ni1,gold,b\ni2,llm,b\ni2,gold,a\ni3,llm,a\ni4,llm,c\n");
    let stat = |name: &str, params: Value| -> Value {
        let ran = project.ok(&["stat", name, "r.csv", "--params", &params.to_string()]);
        serde_json::from_str(&ran.out).unwrap()
    };
    let found = stat("rogan_gladen", json!({ "gold": "gold", "llm": "llm", "positive": "a" }));
    assert_eq!((&found["sensitivity"], &found["estimate"]), (&json!(0.0), &Value::Null));
    assert!(found["undefined"]["estimate"].as_str().unwrap().contains("says nothing about the gold's"), "{found}");
    let found = stat("poststratified_shares", json!({ "gold": "gold", "llm": "llm", "labels": ["a", "b", "c"] }));
    assert_eq!(
        found["undefined"]["shares"],
        "no gold unit has the model label `c`, so nothing says what it stands for"
    );
    let refused = project.refused(&["stat", "ppi_mean", "r.csv", "--params", r#"{"gold": "gold", "llm": "llm"}"#]);
    assert!(refused.contains("annotator 'gold' gave 'b', which is not a number"), "{refused}");
}
