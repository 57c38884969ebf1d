//! How a coefficient changed with the codebook: takes the ledger's lines, gives for each field the versions, oldest first, and each model's
//! latest figure under each of them.

use super::RunView;
use crate::store::Evaluation;
use jiff::Timestamp;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// A field over versions of its codebook.
#[derive(Debug, PartialEq, Serialize)]
pub struct FieldVersions {
    /// The field.
    pub field: String,
    /// `cohen_kappa` or `icc_a1`.
    pub metric: String,
    /// The versions, by the first eight digits of their hash, in the order in which anyone was first scored with them.
    pub versions: Vec<String>,
    /// A line a model.
    pub series: Vec<ModelVersions>,
    /// How many lines of the ledger are of raters whose codebook it does not tell.
    pub untold: usize,
}

/// A model over versions.
#[derive(Debug, PartialEq, Serialize)]
pub struct ModelVersions {
    /// `PROVIDER/MODEL`, with `/session` behind it where prompts shared requests.
    pub model: String,
    /// Its latest figure under each version that it was scored with, in their order.
    pub figures: Vec<VersionFigure>,
}

/// A figure of the ledger.
#[derive(Debug, PartialEq, Serialize)]
pub struct VersionFigure {
    /// The version.
    pub version: String,
    /// The latest figure; none where it was undefined.
    pub value: Option<f64>,
    /// Units behind it.
    pub items: u64,
    /// When it was computed.
    pub at: Timestamp,
    /// The first eight digits of the gold's hash.
    pub gold: String,
    /// How often this rater was scored on this part of this gold.
    pub times: usize,
}

/// The history of a task's fields on one part of the gold.
pub(crate) fn over_versions(
    task: &str,
    evaluations: &[Evaluation],
    split: &str,
    views: &[RunView<'_>],
) -> Vec<FieldVersions> {
    let mut fields: BTreeMap<(&str, &str), Vec<&Evaluation>> = BTreeMap::new();
    let wanted = |line: &&Evaluation| {
        line.task == task && line.split == split && matches!(line.metric.as_str(), "cohen_kappa" | "icc_a1")
    };
    for line in evaluations.iter().filter(wanted) {
        fields.entry((line.field.as_str(), line.metric.as_str())).or_default().push(line);
    }
    let history =
        |((field, metric), lines): ((&str, &str), Vec<&Evaluation>)| history(task, field, metric, &lines, views);
    fields.into_iter().map(history).collect()
}

fn history(task: &str, field: &str, metric: &str, lines: &[&Evaluation], views: &[RunView<'_>]) -> FieldVersions {
    let mut versions: Vec<String> = vec![];
    let mut series: BTreeMap<String, BTreeMap<String, Vec<&Evaluation>>> = BTreeMap::new();
    let mut untold = 0;
    for line in lines {
        let named = views.iter().find(|view| view.rater == line.rater).map(|view| view.run.manifest.rater.as_str());
        let Some((model, version)) = of_rater(named.unwrap_or(&line.rater), task) else {
            untold += 1;
            continue;
        };
        if !versions.contains(&version) {
            versions.push(version.clone());
        }
        series.entry(model).or_default().entry(version).or_default().push(line);
    }
    let figures = |found: BTreeMap<String, Vec<&Evaluation>>| -> Vec<VersionFigure> {
        (versions.iter())
            .filter_map(|version| {
                let lines = found.get(version)?;
                let last = lines.iter().max_by_key(|line| line.at)?;
                let times: BTreeSet<Timestamp> =
                    lines.iter().filter(|line| line.gold_hash == last.gold_hash).map(|line| line.at).collect();
                Some(VersionFigure {
                    version: version.clone(),
                    value: last.value,
                    items: last.items,
                    at: last.at,
                    gold: last.gold_hash.chars().take(8).collect(),
                    times: times.len(),
                })
            })
            .collect()
    };
    let series = series.into_iter().map(|(model, found)| ModelVersions { model, figures: figures(found) }).collect();
    FieldVersions { field: field.to_owned(), metric: metric.to_owned(), versions, series, untold }
}

/// Model and version of a rater: `PROVIDER/MODEL@task-hash`, `/session` behind it where prompts shared requests.
fn of_rater(rater: &str, task: &str) -> Option<(String, String)> {
    let (model, rest) = rater.rsplit_once('@')?;
    let version = rest.strip_prefix(task)?.strip_prefix('-')?;
    let (version, way) = version.split_once('/').map_or((version, String::new()), |(v, way)| (v, format!(" /{way}")));
    let is_hash = version.len() == 8 && version.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_hash.then(|| (format!("{model}{way}"), version.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(rater: &str, value: f64, minute: i64, gold: &str) -> Evaluation {
        Evaluation {
            rater: rater.to_owned(),
            task: "mood".to_owned(),
            field: "label".to_owned(),
            gold_path: "gold/mood.csv".to_owned(),
            gold_hash: gold.to_owned(),
            split: "all".to_owned(),
            at: Timestamp::from_second(60 * minute).unwrap(),
            metric: "cohen_kappa".to_owned(),
            value: Some(value),
            items: 20,
            shown_to: None,
        }
    }

    #[test]
    fn versions_stand_in_the_order_in_which_they_were_first_used() {
        let lines = [
            line("a/m@mood-ffffffff", 0.2, 1, "g1"),
            line("a/m@mood-00000000", 0.5, 2, "g1"),
            line("b/n@mood-00000000/session", 0.4, 3, "g1"),
            line("a/m@mood-ffffffff", 0.3, 4, "g2"),
            line("my-run", 0.9, 5, "g1"),
        ];
        let other = Evaluation { split: "dev".to_owned(), ..line("a/m@mood-11111111", 0.1, 0, "g1") };
        let lines: Vec<Evaluation> = lines.into_iter().chain([other]).collect();
        let found = over_versions("mood", &lines, "all", &[]);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].versions, ["ffffffff", "00000000"]);
        assert_eq!(found[0].untold, 1);
        let told: Vec<(&str, Vec<Option<f64>>)> = (found[0].series.iter())
            .map(|one| (one.model.as_str(), one.figures.iter().map(|figure| figure.value).collect()))
            .collect();
        assert_eq!(told, [("a/m", vec![Some(0.3), Some(0.5)]), ("b/n /session", vec![Some(0.4)])]);
        let first = &found[0].series[0].figures[0];
        assert_eq!((first.gold.as_str(), first.times), ("g2", 1), "the latest figure, on the gold of then");
    }

    #[test]
    fn what_is_no_rater_of_the_task_is_not_taken_for_one() {
        assert_eq!(of_rater("a/m@mood-1234abcd", "mood"), Some(("a/m".to_owned(), "1234abcd".to_owned())));
        assert_eq!(of_rater("a/m@mood-1234", "mood"), None);
        assert_eq!(of_rater("a/m@tone-1234abcd", "mood"), None);
        assert_eq!(of_rater("x", "mood"), None);
    }
}
