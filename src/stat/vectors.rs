//! The worked cases of `tests/vectors`, each check through the public statistics. A number passes when it is within the check's tolerance,
//! relative above 1; null stands only for null.

use super::{Covariates, Input, Params, Ratings, StatError, find};
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

/// The cases whose files begin with one of `ids`: how many figures agree, and what does not.
fn run(ids: &[&str]) -> (usize, Vec<String>) {
    run_some(ids, |_| true)
}

/// Those checks of them whose statistic is wanted.
fn run_some(ids: &[&str], wanted: impl Fn(&str) -> bool) -> (usize, Vec<String>) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors");
    let (mut numbers, mut wrong) = (0, vec![]);
    let mut files: Vec<PathBuf> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|ending| ending == "json"));
    files.sort();
    for path in files {
        let id = path.file_stem().unwrap().to_str().unwrap();
        if !ids.iter().any(|wanted| id.starts_with(wanted)) {
            continue;
        }
        let case: Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
        let items = folder.join(format!("{id}.items.csv"));
        let mut input = Input {
            ratings: Ratings::read(&folder.join(format!("{id}.csv"))).unwrap(),
            items: if items.is_file() { Covariates::read(&items).unwrap() } else { Covariates::default() },
            params: Params::default(),
        };
        for check in case["checks"].as_array().unwrap() {
            let stat = check["stat"].as_str().unwrap();
            if !wanted(stat) {
                continue;
            }
            let compute = || -> Result<Value, StatError> {
                input.params = Params::new(check["params"].as_object().unwrap().clone())?;
                Ok(Value::Object((find(stat)?.compute)(&input)?))
            };
            let found = match { compute }() {
                Ok(found) => found,
                Err(error) => {
                    wrong.push(format!("{id} {stat}: {error}"));
                    continue;
                }
            };
            let tolerance = check["tol"].as_f64().unwrap();
            for (key, expected) in check["expect"].as_object().unwrap() {
                match found.get(key) {
                    Some(found) if matches(found, expected, tolerance) => numbers += numbers_in(expected),
                    Some(found) => {
                        wrong.push(format!("{id} {stat} {}: {key} is {found}, not {expected}", check["params"]))
                    }
                    None => wrong.push(format!("{id} {stat} {}: no {key}", check["params"])),
                }
            }
        }
    }
    (numbers, wrong)
}

#[test]
fn two_raters_several_raters_and_scores_are_as_the_references_have_them() {
    let (numbers, wrong) = run(&["a", "b", "c", "d", "h01"]);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(numbers > 1000, "only {numbers} figures were checked");
}

#[test]
fn comparisons_and_votes_are_as_the_references_have_them() {
    let families = [super::comparison::ALL, super::confidence::ALL, super::planning::ALL];
    let mine = |stat: &str| families.iter().any(|family| family.iter().any(|statistic| statistic.name == stat));
    let (numbers, wrong) = run_some(&["e", "f", "h"], mine);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(numbers > 200, "only {numbers} figures were checked");
}
