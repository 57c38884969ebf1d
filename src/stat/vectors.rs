//! The worked cases of `tests/vectors`, each check through the public statistics. A number passes when it is within the check's tolerance,
//! relative above 1; null stands only for null.

use super::{Covariates, Input, Params, Ratings, Statistic};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};

fn matches(found: &Value, expected: &Value, tolerance: f64) -> bool {
    match (found, expected) {
        (Value::Array(found), Value::Array(expected)) => {
            found.len() == expected.len() && found.iter().zip(expected).all(|(x, y)| matches(x, y, tolerance))
        }
        _ => match (found.as_f64(), expected.as_f64()) {
            (Some(x), Some(y)) => (x - y).abs() <= tolerance * y.abs().max(1.0),
            _ => found == expected,
        },
    }
}

fn numbers_in(value: &Value) -> usize {
    value.as_array().map_or(1, |list| list.iter().map(numbers_in).sum())
}

/// The checks of a family in all cases: how many figures agree, and what does not.
fn run(family: &[Statistic]) -> (usize, Vec<String>) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors");
    let (mut numbers, mut wrong) = (0, vec![]);
    let mut files: Vec<PathBuf> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|ending| ending == "json"));
    files.sort();
    assert_eq!(files.len(), 16);
    for path in files {
        let id = path.file_stem().unwrap().to_str().unwrap();
        let case: Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
        let items = folder.join(format!("{id}.items.csv"));
        let mut input = Input {
            ratings: Ratings::read(&folder.join(format!("{id}.csv"))).unwrap(),
            items: if items.is_file() { Covariates::read(&items).unwrap() } else { Covariates::default() },
            params: Params::default(),
        };
        for check in case["checks"].as_array().unwrap() {
            let stat = check["stat"].as_str().unwrap();
            let Some(statistic) = family.iter().find(|statistic| statistic.name == stat) else { continue };
            let params = &check["params"];
            input.params = Params::new(params.as_object().unwrap().clone()).unwrap();
            let found = Value::Object((statistic.compute)(&input).unwrap());
            let tolerance = check["tol"].as_f64().unwrap();
            for (key, expected) in check["expect"].as_object().unwrap() {
                match found.get(key) {
                    Some(found) if matches(found, expected, tolerance) => numbers += numbers_in(expected),
                    Some(found) => wrong.push(format!("{id} {stat} {params}: {key} is {found}, not {expected}")),
                    None => wrong.push(format!("{id} {stat} {params}: no {key}")),
                }
            }
        }
    }
    (numbers, wrong)
}

#[track_caller]
fn agrees(family: &[Statistic], least: usize) {
    let (numbers, wrong) = run(family);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(numbers >= least, "only {numbers} figures were checked");
}

#[test]
fn two_raters_are_as_the_references_have_them() {
    agrees(super::two_raters::ALL, 400);
}

#[test]
fn several_raters_are_as_the_references_have_them() {
    agrees(super::several_raters::ALL, 400);
}

#[test]
fn scores_are_as_the_references_have_them() {
    agrees(super::scores::ALL, 30);
}

#[test]
fn errors_and_intervals_of_kappa_in_sessions_are_as_the_references_have_them() {
    agrees(super::intervals::ALL, 29);
}

#[test]
fn corrections_are_as_the_references_have_them() {
    agrees(super::correction::ALL, 65);
}

#[test]
fn comparisons_are_as_the_references_have_them() {
    agrees(super::comparison::ALL, 70);
}
