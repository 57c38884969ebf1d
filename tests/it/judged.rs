//! What `agree` tells besides pairs: groups, calibration, who could stand in for a human, sets, criteria, values, answers that are none.

use crate::project::Project;
use serde_json::{Value, json};

fn close(got: &Value, expected: f64, what: &str) {
    let got = got.as_f64().unwrap_or_else(|| panic!("{what}: {got} is no number"));
    assert!((got - expected).abs() < 1e-9 * expected.abs().max(1.0), "{what}: {got}, expected {expected}");
}

/// The one field of a ratings file.
fn agree(project: &Project, args: &[&str]) -> Value {
    project.json(&[&["agree", "--replicates", "200"], args].concat())["fields"][0].clone()
}

/// One statistic of the same file.
fn stat(project: &Project, name: &str, params: &Value) -> Value {
    let ran = project.ok(&["stat", name, "r.csv", "--items", "i.csv", "--params", &params.to_string()]);
    serde_json::from_str(&ran.out).unwrap()
}

/// 120 items in 30 sessions, labelled by gold, three humans and a model with a confidence. Odd sessions are of another agent.
fn panel() -> Project {
    let project = Project::empty();
    let (mut ratings, mut items) = ("item,annotator,label\n".to_owned(), "item,session,agent,sure\n".to_owned());
    let labels = ["no", "yes", "maybe"];
    for item in 0..120_usize {
        let truth = (item * item + item / 4) % 3;
        for (rater, every, off) in [("gold", 1000, 1), ("h1", 9, 1), ("h2", 7, 2), ("h3", 11, 1), ("m", 5, 1)] {
            let label = if item % every == every - 1 { labels[(truth + off) % 3] } else { labels[truth] };
            ratings.push_str(&format!("i{item},{rater},{label}\n"));
        }
        let sure = if item % 5 == 4 { 0.55 } else { [0.6, 0.7, 0.8, 0.9][item % 4] };
        let agent = if (item / 4) % 2 == 0 { "codex" } else { "claude_code" };
        items.push_str(&format!("i{item},s{},{agent},{sure}\n", item / 4));
    }
    project.write("r.csv", ratings);
    project.write("i.csv", items);
    project
}

const LABELS: &str = "no,yes,maybe";

#[test]
fn groups_are_the_same_figures_on_their_own_items() {
    let project = panel();
    let all = agree(&project, &["r.csv", "--items", "i.csv", "--labels", LABELS, "--group-by", "agent"]);
    let groups = &all["groups"];
    assert_eq!((&groups["by"], &groups["without_group"]), (&json!("agent"), &json!(0)));
    let groups = groups["groups"].as_array().unwrap();
    assert_eq!(groups.iter().map(|group| &group["group"]).collect::<Vec<_>>(), ["claude_code", "codex"]);
    for group in groups {
        let kept = project.read("i.csv");
        let kept: Vec<&str> = (kept.lines().filter(|line| line.contains(group["group"].as_str().unwrap())))
            .map(|line| line.split(',').next().unwrap())
            .collect();
        let rows = project.read("r.csv");
        let rows =
            rows.lines().filter(|row| row.starts_with("item,") || kept.contains(&row.split(',').next().unwrap()));
        project.write("part.csv", rows.map(|row| format!("{row}\n")).collect::<String>());
        let alone = agree(&project, &["part.csv", "--items", "i.csv", "--labels", LABELS]);
        assert_eq!((&group["items"], &group["clusters"]), (&json!(60), &json!(15)));
        for (here, there) in group["pairs"].as_array().unwrap().iter().zip(alone["pairs"].as_array().unwrap()) {
            assert_eq!((&here["a"], &here["b"]), (&there["a"], &there["b"]));
            for figure in ["cohen_kappa", "gwet_ac1", "confusion"] {
                assert_eq!(here[figure], there[figure], "{figure} of {} – {}", here["a"], here["b"]);
            }
        }
    }
    let table = project.ok(&["agree", "r.csv", "--items", "i.csv", "--group-by", "agent", "--replicates", "200"]).out;
    let line = table
        .lines()
        .find(|line| line.starts_with(" codex") && line.contains("gold – m"))
        .expect("a line a group and pair");
    assert!(line.ends_with(" 60        15"), "{line}");
    let told = project.refused(&["agree", "r.csv", "--items", "i.csv", "--group-by", "colour"]);
    assert!(told.contains("i.csv:1: no column 'colour' (the columns are: item, session, agent, sure)"), "{told}");
}

#[test]
fn a_model_is_tested_as_a_stand_in_for_humans_and_its_confidence_is_measured() {
    let project = panel();
    let args = [
        "r.csv",
        "--items",
        "i.csv",
        "--labels",
        LABELS,
        "--humans",
        "h1,h2,h3",
        "--confidence",
        "sure",
        "--epsilon",
        "0.15",
    ];
    let field = agree(&project, &args);
    let test = &field["alternative_annotator"][0];
    let expected = stat(
        &project,
        "alt_test",
        &json!({ "humans": ["h1", "h2", "h3"], "llm": "m", "scoring": "accuracy", "epsilon": 0.15, "q": 0.05 }),
    );
    assert_eq!((&test["rater"], &test["passes"]), (&json!("m"), &expected["passes"]));
    close(&test["winning_rate"], expected["winning_rate"].as_f64().unwrap(), "ω");
    close(&test["advantage"], expected["advantage_prob"].as_f64().unwrap(), "ρ");
    close(&test["contests"][1]["p"], expected["h2|p"].as_f64().unwrap(), "p of h2");
    assert_eq!(test["over_epsilon"].as_array().unwrap().len(), 7);
    assert_eq!(field["human_ceiling"]["humans"], json!(["h1", "h2", "h3"]));
    close(
        &test["agreement_with_humans"]["value"],
        field["human_ceiling"]["models"][0]["mean_model_human"]["value"].as_f64().unwrap(),
        "κ with humans",
    );

    let calibration = &field["calibration"][0];
    let expected =
        stat(&project, "calibration", &json!({ "gold": "gold", "llm": "m", "confidence": "sure", "bins": 10 }));
    assert_eq!((&calibration["source"], &calibration["items"]), (&json!("column"), &json!(120)));
    close(&calibration["brier"]["value"], expected["brier"].as_f64().unwrap(), "Brier");
    close(&calibration["auroc_correct"], expected["auroc_correct"].as_f64().unwrap(), "AUROC");
    close(&calibration["log_loss"], expected["log_loss"].as_f64().unwrap(), "log loss");
    assert_eq!(calibration["expected_calibration_error"], Value::Null, "120 items are too few for it");
    assert!(calibration["brier"]["low"].as_f64().unwrap() < calibration["brier"]["value"].as_f64().unwrap());
    let kappa = (field["pairs"].as_array().unwrap().iter()).find(|pair| pair["b"] == "m").unwrap();
    assert_eq!(kappa["benchmarks"][0]["source"], "Landis and Koch 1977");

    let told = project.refused(&["agree", "r.csv", "--items", "i.csv", "--confidence", "sure"]);
    assert!(told.contains("nobody can say whose confidence `sure` is"), "{told}");
    project.write("i.csv", project.read("i.csv").replace("i7,s1,claude_code,0.9", "i7,s1,claude_code,90"));
    let told = project.refused(&[&["agree"], &args[..]].concat());
    assert!(told.contains("item `i7`: `90` in the column `sure` is no confidence"), "{told}");
}

const CODEBOOK: &str = r#"+++
task = "review"
title = "Review"
unit = "session"
sees = {}

[[field]]
name = "grade"
type = "label"
level = "ordinal"
[[field.label]]
name = "bad"
definition = "Bad."
value = 0
[[field.label]]
name = "fair"
definition = "Fair."
value = 1
[[field.label]]
name = "great"
definition = "Great."
value = 10
[[field.label]]
name = "unclear"
definition = "Nobody can tell."
missing = true

[[field]]
name = "topics"
type = "labels"
[[field.label]]
name = "code"
definition = "Code."
[[field.label]]
name = "docs"
definition = "Docs."
[[field.label]]
name = "tests"
definition = "Tests."

[[field]]
name = "rubric"
type = "criteria"
[[field.criterion]]
name = "builds"
definition = "It builds."
[[field.criterion]]
name = "tested"
definition = "It is tested."
+++
{% block material %}{{ transcript }}{% endblock %}
{% block instructions %}Answer.{% endblock %}
"#;

/// 40 sessions by two raters, b being the stricter one.
fn reviewed(more: &str, cells: impl Fn(usize) -> String) -> Project {
    let project = Project::empty();
    project.write("prompts/review.md", CODEBOOK);
    let mut gold = format!("unit,rater,grade,topics,rubric{more}\n");
    let grades = ["bad", "fair", "great"];
    for session in 0..40_usize {
        for (rater, differs) in [("gold", false), ("b", session % 4 == 0)] {
            let grade = if session % 10 == 9 && rater == "b" {
                "unclear"
            } else {
                grades[(session + usize::from(differs)) % 3]
            };
            let topics = if differs { "code" } else { ["code", "code;docs", "tests"][session % 3] };
            let tested = session % 2 == 0 && !differs;
            gold.push_str(&format!(
                "codex:x{session},{rater},{grade},{topics},builds=true;tested={tested}{}\n",
                cells(session)
            ));
        }
    }
    project.write("gold/review.csv", gold);
    project
}

fn field<'f>(fields: &'f Value, name: &str) -> &'f Value {
    let fields = fields["fields"].as_array().unwrap();
    fields.iter().find(|field| field["field"] == name).unwrap_or_else(|| panic!("no field {name}"))
}

#[test]
fn declared_values_weigh_and_labels_that_are_no_answer_are_missing() {
    let project = reviewed("", |_| String::new());
    let all = project.json(&["agree", "--task", "review", "--replicates", "200"]);
    let grade = field(&all, "grade");
    assert_eq!(grade["labels"], json!(["bad", "fair", "great"]), "a label that says that there is no answer is none");
    assert_eq!(grade["raters"][1], json!({ "rater": "b", "items": 36, "missing": 4, "invalid": 0 }));
    assert_eq!(grade["non_answers"], json!({ "b": { "unclear": 4 } }));
    let warnings = grade["warnings"].to_string();
    assert!(warnings.contains("b gave 'unclear' 4 times, which the codebook counts as no answer"), "{warnings}");
    // By the definition, over values 0, 1 and 10.
    let (mut observed, mut expected) = (0.0, 0.0);
    let value = |grade: usize| [0.0, 1.0, 10.0_f64][grade % 3];
    let rated: Vec<(f64, f64)> = (0..40_usize)
        .filter(|session| session % 10 != 9)
        .map(|session| (value(session), value(session + usize::from(session % 4 == 0))))
        .collect();
    let n = rated.len() as f64;
    for (gold, _) in &rated {
        expected += rated.iter().map(|(_, b)| (gold - b).abs()).sum::<f64>() / (n * n);
    }
    observed += rated.iter().map(|(gold, b)| (gold - b).abs()).sum::<f64>() / n;
    close(&grade["pairs"][0]["cohen_kappa_linear"]["value"], 1.0 - observed / expected, "linear kappa by value");
    assert!(!grade["pairs"][0]["warnings"].to_string().contains("positions"), "values are declared");
}

#[test]
fn several_labels_have_figures_by_label_and_as_sets() {
    let project = reviewed("", |_| String::new());
    let all = project.json(&["agree", "--task", "review", "--replicates", "200"]);
    assert_eq!(field(&all, "topics.code")["labels"], json!(["true", "false"]));
    let sets = &field(&all, "topics (sets)")["pairs"][0]["sets"];
    let expected = |of: &dyn Fn(&str) -> f64| {
        let gold = |session: usize| ["code", "code;docs", "tests"][session % 3];
        (0..40).map(|session| if session % 4 == 0 { of(gold(session)) } else { 1.0 }).sum::<f64>() / 40.0
    };
    close(&sets["exact_match"]["value"], expected(&|gold| f64::from(gold == "code")), "exact match");
    let jaccard = |gold: &str| match gold {
        "code" => 1.0,
        "code;docs" => 0.5,
        _ => 0.0,
    };
    close(&sets["jaccard"]["value"], expected(&jaccard), "Jaccard");
    assert!(sets["krippendorff_alpha_masi"]["low"].is_number() && sets["micro_f1"]["value"].is_number(), "{sets}");
    let table = project.ok(&["agree", "--task", "review", "--field", "topics", "--replicates", "200"]).out;
    assert!(table.contains("α with MASI distance"), "{table}");
}

#[test]
fn criteria_have_a_share_that_is_met_and_whether_all_are() {
    let project = reviewed("", |_| String::new());
    let all = project.json(&["agree", "--task", "review", "--replicates", "200"]);
    assert_eq!(field(&all, "rubric.tested")["labels"], json!(["true", "false"]));
    let share = &field(&all, "rubric (share met)")["pairs"][0];
    // b finds a test missing in every fourth session, all of which are even and have one.
    close(&share["bias"]["value"], -50.0 * 10.0 / 40.0, "bias of the share met");
    let met = &field(&all, "rubric (all met)")["pairs"][0];
    assert_eq!(met["confusion"], json!({ "labels": ["true", "false"], "counts": [[10, 10], [0, 20]] }));
}

#[test]
fn gold_drawn_with_unequal_probabilities_weighs_each_unit() {
    let p = |session: usize| if session.is_multiple_of(4) { 0.5 } else { 0.125 };
    let project = reviewed(",probability", |session| format!(",{}", p(session)));
    let text = project.read("gold/review.csv");
    // b as a model: the weighted figures are of models with the gold.
    let run: String = (text.lines().filter(|line| !line.contains(",gold,"))).map(|line| format!("{line}\n")).collect();
    assert!(run.lines().count() == 41);
    let all = project.json(&["agree", "--task", "review", "--replicates", "200"]);
    assert_eq!(field(&all, "grade")["weighted"], json!([]), "there is no model");
    project.write("r.csv", {
        let rows = text.lines().skip(1).map(|line| {
            let cells: Vec<&str> = line.split(',').collect();
            format!("{},{},{}\n", cells[0], cells[1], cells[2])
        });
        format!("item,annotator,label\n{}", rows.collect::<String>())
    });
    project.write("i.csv", {
        let rows = (0..40).map(|session| format!("codex:x{session},{},1\n", p(session)));
        format!("item,prob,sure\n{}", rows.collect::<String>())
    });
    let expected = stat(
        &project,
        "calibration_weighted",
        &json!({ "gold": "gold", "llm": "b", "confidence": "sure", "weights": "1/prob" }),
    );
    let field = agree(&project, &["r.csv", "--items", "i.csv", "--probability", "prob"]);
    let weighted = &field["weighted"][0];
    assert_eq!((&weighted["rater"], &weighted["items"]), (&json!("b"), &json!(40)));
    close(&weighted["cohen_kappa"]["value"], expected["kappa"].as_f64().unwrap(), "weighted kappa");
    close(&weighted["effective_items"], expected["effective_size"].as_f64().unwrap(), "effective size");
    assert!(field["warnings"].to_string().contains("drawn with unequal probabilities"), "{}", field["warnings"]);
}
