//! `stat`: one statistic of a ratings file as a JSON object.

use crate::project::Project;
use serde_json::{Value, json};

const RATINGS: &str = "item,annotator,label\ni1,h1,yes\ni1,h2,yes\ni2,h1,no\ni2,h2,no\ni3,h1,yes\ni3,h2,no\ni4,h1,no\ni4,h2,no\n\
    i5,h1,yes\ni5,h2,\n";

fn project() -> Project {
    let project = Project::empty();
    project.write("r.csv", RATINGS);
    project
}

/// The object that a statistic prints; `stat` prints JSON without being asked.
fn stat(project: &Project, args: &[&str]) -> Value {
    serde_json::from_str(&project.ok(&[&["stat"], args].concat()).out).unwrap()
}

#[test]
fn a_statistic_is_one_object_and_null_where_it_is_undefined() {
    let project = project();
    let pair = r#"{"a": "h1", "b": "h2", "labels": ["no", "yes"]}"#;
    let found = stat(&project, &["cohen_kappa", "r.csv", "--params", pair]);
    assert_eq!(found, json!({"n": 4, "kappa": 0.5}));
    project.write("same.csv", "item,annotator,label\ni1,h1,no\ni1,h2,no\ni2,h1,no\ni2,h2,no\n");
    let found = stat(&project, &["cohen_kappa", "same.csv", "--params", pair]);
    assert_eq!(found["kappa"], Value::Null);
    assert_eq!(found["undefined"]["kappa"], json!("all ratings are the same label, so chance agreement is 1"));
}

#[test]
fn a_session_is_what_counts_where_a_column_of_the_items_names_it() {
    let project = project();
    project.write("items.csv", "item,session\ni1,s1\ni2,s1\ni3,s2\ni4,s3\ni5,s3\n");
    let params = r#"{"a": "h1", "b": "h2", "cluster": "session"}"#;
    let found = stat(&project, &["kappa_cluster", "r.csv", "--items", "items.csv", "--params", params]);
    assert_eq!((&found["clusters"], &found["n"]), (&json!(3), &json!(4)));
    assert!(found["se_cluster_linearized"].is_number());
    let refused = project.refused(&["stat", "kappa_cluster", "r.csv", "--params", params]);
    assert!(refused.contains("the items have no column `session`") && refused.contains("--items"), "{refused}");
}

#[test]
fn what_cannot_be_computed_is_said_with_the_way_out() {
    let project = project();
    project.write("twice.csv", "item,annotator,label\ni1,h1,yes\ni1,h1,no\n");
    for (args, what, hint) in [
        (&["cohen_kapa", "r.csv"][..], "there is no statistic `cohen_kapa`", "did you mean `cohen_kappa`?"),
        (&["cohen_kappa", "r.csv"], "parameter `a`: expected a text, found nothing", "members of the JSON object"),
        (&["cohen_kappa", "r.csv", "--params", "{"], "the parameters are no JSON object", "--params '{"),
        (
            &["cohen_kappa", "r.csv", "--params", r#"{"a": "h1", "b": "h3"}"#],
            "parameter `b`: there is no annotator `h3` in the ratings",
            "they have: h1, h2",
        ),
        (
            &["cohen_kappa", "r.csv", "--params", r#"{"a": "h1", "b": "h2", "labels": ["no", "maybe"]}"#],
            "item 'i1': annotator 'h1' used the label 'yes', which is not declared (declared: no, maybe)",
            "add the label to the parameter `labels`",
        ),
        (
            &["cohen_kappa", "twice.csv", "--params", "{}"],
            "twice.csv:3: item 'i1': annotator 'h1' has two different answers, 'yes' and 'no'",
            "keep one of the two rows",
        ),
        (&["pearson", "r.csv", "--params", r#"{"a": "h1", "b": "h2"}"#], "gave 'yes', which is not a number", "scores"),
    ] {
        let refused = project.refused(&[&["stat"], args].concat());
        assert!(refused.contains(what), "{refused}");
        assert!(refused.contains("hint: ") && refused.contains(hint), "{refused}");
    }
}

#[test]
fn all_statistics_are_listed_one_a_line() {
    let project = Project::empty();
    let listed = project.ok(&["stat", "--list"]).out;
    assert!(listed.lines().count() > 30 && listed.lines().all(|line| line.split_whitespace().count() > 2));
    assert!(listed.contains("\ncohen_kappa "));
    let names: Value = project.json(&["stat", "--list"]);
    assert_eq!(names.as_array().map(Vec::len), Some(listed.lines().count()));
}
