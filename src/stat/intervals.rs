//! Kappa and its differences for items that lie in sessions: linearised errors, jackknife, bootstrap; the ceiling that humans set.

use super::two_raters::has_constant_rater;
use super::weighting::{Scale, weights};
use super::{Figures, Input, Labels, StatError, Statistic};
use crate::agreement::Cell;
use crate::agreement::ceiling::{CeilingRow, ceiling_sample};
use crate::agreement::cluster_sums::{ClusterSums, SummedSample};
use crate::agreement::estimate::{NoInterval, Undefined, Value as Figure};
use crate::agreement::influence::{cluster_sums, independent_se, linearised_se};
use crate::agreement::interval::{Resampled, Resampling};
use crate::agreement::kappa;
use crate::agreement::table::{Table, TableView};
use serde_json::{Map, Value, json};

type Computed = Result<Map<String, Value>, StatError>;

/// Replicates if the parameters do not say: enough for ends that are steady to the third decimal.
const REPLICATES: u64 = 50_000;

/// The same with more clusters than [`MANY_CLUSTERS`], whose draws take their time.
const REPLICATES_OF_MANY: u64 = 10_000;

const MANY_CLUSTERS: usize = 2_000;

/// The family.
pub(super) const ALL: &[Statistic] = &[
    Statistic {
        name: "kappa_cluster",
        summary: "kappa with standard errors for independent items and for clusters: linearised, jackknife",
        compute: kappa_cluster,
    },
    Statistic {
        name: "kappa_bootstrap",
        summary: "kappa's bootstrap by cluster: percentile, BCa and t-expanded intervals, standard error",
        compute: kappa_bootstrap,
    },
    Statistic {
        name: "kappa_difference",
        summary: "kappa of gold and b less kappa of gold and a, with standard errors for items and clusters",
        compute: kappa_difference,
    },
    Statistic {
        name: "kappa_difference_bootstrap",
        summary: "bootstrap of that difference, both on the same resampled clusters",
        compute: kappa_difference_bootstrap,
    },
    Statistic {
        name: "human_ceiling",
        summary: "mean kappa among humans, mean kappa of the model with them, the difference with its cluster jackknife",
        compute: human_ceiling,
    },
];

/// The items that a reference and one or two others labelled, with their clusters.
struct Rows {
    labels: Labels,
    disagreement: Vec<f64>,
    /// (cluster, the reference's label, the others' labels).
    rows: Vec<(usize, usize, Vec<usize>)>,
}

impl Rows {
    fn read(input: &Input, reference: &str, others: &[&str]) -> Result<Rows, StatError> {
        let reference = input.annotator(reference)?;
        let others: Vec<usize> = others.iter().map(|other| input.annotator(other)).collect::<Result<_, _>>()?;
        let everybody: Vec<usize> = [&[reference][..], &others].concat();
        let labels = input.labels(&everybody)?;
        let disagreement = weights(input, &labels, Scale::Positions)?.disagreement(labels.len());
        let place = |item: usize, annotator: usize| labels.place(input.ratings.label(item, annotator)?);
        let mut rows = vec![];
        for item in 0..input.ratings.items().len() {
            let given: Option<Vec<usize>> = others.iter().map(|&other| place(item, other)).collect();
            if let (Some(gold), Some(given)) = (place(item, reference), given) {
                rows.push((item, gold, given));
            }
        }
        let clusters = input.clusters(rows.iter().map(|row| row.0))?;
        rows.iter_mut().for_each(|row| row.0 = clusters[&row.0]);
        Ok(Rows { labels, disagreement, rows })
    }

    fn table(&self, other: usize) -> Table {
        let mut table = Table::new(self.labels.len());
        self.rows.iter().for_each(|row| table.add(row.1, row.2[other]));
        table
    }

    fn kappa(&self, other: usize) -> Figure {
        kappa::weighted_kappa(self.table(other).view(), &self.disagreement)
    }

    /// Influence values ψ by item on the kappa of one of the others.
    fn influence(&self, other: usize) -> Result<Vec<f64>, Undefined> {
        let cells = kappa::influence(self.table(other).view(), &self.disagreement)?;
        Ok(self.rows.iter().map(|row| cells[row.1 * self.labels.len() + row.2[other]]).collect())
    }

    /// Errors for independent items and for clusters.
    fn errors(&self, influence: &[f64]) -> (Option<f64>, Option<f64>) {
        let sums = cluster_sums(self.rows.iter().map(|row| row.0).zip(influence.iter().copied()));
        (independent_se(influence), linearised_se(&sums, self.rows.len() as f64))
    }

    /// One statistic of the sums by cluster: kappa of the first other, or with two that of the second less that of the first.
    fn sample(&self) -> SummedSample<'_> {
        let q = self.labels.len();
        let others = self.rows.first().map_or(1, |row| row.2.len());
        let entries = (self.rows.iter())
            .flat_map(|row| {
                row.2.iter().enumerate().map(|(place, given)| (row.0, (place * q + row.1) * q + given, 1.0))
            })
            .collect();
        let kappa = move |counts: &[f64]| kappa::weighted_kappa(TableView { labels: q, counts }, &self.disagreement);
        let statistic = move |sums: &[f64]| -> Figure {
            if others == 2 { Ok(kappa(&sums[q * q..])? - kappa(&sums[..q * q])?) } else { kappa(sums) }
        };
        SummedSample { sums: ClusterSums::new(others * q * q, entries), statistics: vec![Box::new(statistic)] }
    }
}

const FEW: &str = "fewer than 2 clusters";

fn kappa_cluster(input: &Input) -> Computed {
    let rows = Rows::read(input, "a", &["b"])?;
    let value = rows.kappa(0);
    let errors = rows.influence(0).map(|influence| rows.errors(&influence));
    let resampled = Resampled::new(&rows.sample(), Resampling { replicates: 0, seed: 0 });
    let because = |reason: &str| value.map_or_else(|undefined| undefined.to_string(), |_| reason.to_string());
    let jackknife = NoInterval::UndefinedJackknife.to_string();
    let mut figures = Figures::new();
    figures.value("n", json!(rows.rows.len()));
    figures.number("kappa", value);
    figures.value("clusters", json!(resampled.clusters()));
    if value.is_ok() && has_constant_rater(rows.table(0).view()) {
        for key in ["se_iid", "se_cluster_linearized", "se_cluster_jackknife", "jackknife_t_low", "jackknife_t_high"] {
            figures.undefined(key, NoInterval::OneRaterConstant);
        }
        return Ok(figures.finish());
    }
    figures.optional("se_iid", errors.ok().and_then(|errors| errors.0), because(FEW));
    figures.optional("se_cluster_linearized", errors.ok().and_then(|errors| errors.1), because(FEW));
    figures.optional("se_cluster_jackknife", value.ok().and(resampled.jackknife_se(0)), because(&jackknife));
    let ends = resampled.jackknife_t(0, input.params.confidence()?);
    figures.interval("jackknife_t", ends.map_err(|reason| because(&reason.to_string())));
    Ok(figures.finish())
}

fn kappa_difference(input: &Input) -> Computed {
    let rows = Rows::read(input, "gold", &["a", "b"])?;
    let difference = rows.kappa(0).and_then(|a| Ok(rows.kappa(1)? - a));
    let influence = rows
        .influence(0)
        .and_then(|a| Ok(rows.influence(1)?.into_iter().zip(a).map(|(b, a)| b - a).collect::<Vec<f64>>()));
    let errors = influence.map(|influence| rows.errors(&influence));
    let because = difference.map_or_else(|undefined| undefined.to_string(), |_| FEW.to_owned());
    let resampled = Resampled::new(&rows.sample(), Resampling { replicates: 0, seed: 0 });
    let mut figures = Figures::new();
    figures.value("n", json!(rows.rows.len()));
    figures.number("kappa_a", rows.kappa(0));
    figures.number("kappa_b", rows.kappa(1));
    figures.number("diff_b_minus_a", difference);
    figures.optional("se_iid", errors.ok().and_then(|errors| errors.0), &because);
    figures.optional("se_cluster_linearized", errors.ok().and_then(|errors| errors.1), &because);
    figures.optional("se_cluster_jackknife", difference.ok().and(resampled.jackknife_se(0)), &because);
    figures.value("clusters", json!(resampled.clusters()));
    Ok(figures.finish())
}

/// How to resample: the parameters `replicates` and `seed`.
fn resampling(input: &Input, clusters: usize) -> Result<Resampling, StatError> {
    let default = if clusters > MANY_CLUSTERS { REPLICATES_OF_MANY } else { REPLICATES };
    let replicates = u32::try_from(input.params.count_or("replicates", default)?).ok();
    let replicates = replicates.filter(|replicates| (1..=10_000_000).contains(replicates));
    Ok(Resampling {
        replicates: replicates
            .ok_or_else(|| input.params.wrong("replicates", "a whole number from 1 to 10,000,000"))?,
        seed: input.params.count_or("seed", 1)?,
    })
}

fn kappa_bootstrap(input: &Input) -> Computed {
    let rows = Rows::read(input, "a", &["b"])?;
    let mut figures = Figures::new();
    figures.value("n", json!(rows.rows.len()));
    figures.number("kappa", rows.kappa(0));
    bootstrap(input, &rows, &mut figures)?;
    Ok(figures.finish())
}

fn kappa_difference_bootstrap(input: &Input) -> Computed {
    let rows = Rows::read(input, "gold", &["a", "b"])?;
    let mut figures = Figures::new();
    figures.value("n", json!(rows.rows.len()));
    figures.number("diff_b_minus_a", rows.kappa(0).and_then(|a| Ok(rows.kappa(1)? - a)));
    bootstrap(input, &rows, &mut figures)?;
    Ok(figures.finish())
}

fn bootstrap(input: &Input, rows: &Rows, figures: &mut Figures) -> Result<(), StatError> {
    let sample = rows.sample();
    let resampling = resampling(input, sample.sums.clusters())?;
    let confidence = input.params.confidence()?;
    let resampled = Resampled::with_bootstrap(&sample, resampling);
    let because = |reason: NoInterval| match (resampled.value(0), reason) {
        (Err(undefined), _) => undefined.to_string(),
        (Ok(_), NoInterval::TooFewClusters { .. }) => FEW.to_owned(),
        (Ok(_), reason) => reason.to_string(),
    };
    figures.interval("percentile", resampled.percentile(0, confidence).map_err(because));
    figures.interval("bca", resampled.bca(0, confidence).map_err(because));
    let expanded = if resampled.clusters() > 1 {
        resampled.t_expanded(0, confidence)
    } else {
        Err(NoInterval::TooFewClusters { clusters: resampled.clusters() })
    };
    figures.interval("texp", expanded.map_err(because));
    figures.number("se", resampled.bootstrap_se(0).map_err(because));
    figures.value("clusters", json!(resampled.clusters()));
    figures.value("replicates", json!(resampling.replicates));
    figures.value("seed", json!(resampling.seed));
    figures.optional("undefined_share", resampled.undefined_share(0), FEW);
    Ok(())
}

fn human_ceiling(input: &Input) -> Computed {
    let (humans, llm) = (input.annotators("humans")?, input.annotator("llm")?);
    if humans.contains(&llm) {
        return Err(input.params.wrong("llm", "an annotator who is not one of the humans"));
    }
    let everybody: Vec<usize> = humans.iter().copied().chain([llm]).collect();
    let labels = input.labels(&everybody)?;
    let cell = |item: usize, annotator: usize| {
        let place = input.ratings.label(item, annotator).and_then(|label| labels.place(label));
        place.map_or(Cell::Missing, Cell::Label)
    };
    let shared: Vec<usize> = (0..input.ratings.items().len())
        .filter(|&item| {
            let rated = humans.iter().filter(|&&human| cell(item, human) != Cell::Missing).count();
            cell(item, llm) != Cell::Missing && rated >= 2
        })
        .collect();
    let clusters = input.clusters(shared.iter().copied())?;
    let row = |item: &usize| CeilingRow {
        cluster: clusters[item],
        cells: everybody.iter().map(|&annotator| cell(*item, annotator)).collect(),
    };
    let rows: Vec<CeilingRow> = shared.iter().map(row).collect();
    let sample = ceiling_sample(&rows, humans.len(), Some(labels.len()));
    let resampled = Resampled::new(&sample, Resampling { replicates: 0, seed: 0 });
    let difference = resampled.value(2);
    let mut figures = Figures::new();
    figures.value("items", json!(shared.len()));
    figures.number("mean_human_human", resampled.value(0));
    figures.number("mean_llm_human", resampled.value(1));
    figures.number("diff_llm_minus_human", difference);
    let because =
        difference.map_or_else(|undefined| undefined.to_string(), |_| NoInterval::UndefinedJackknife.to_string());
    figures.optional("se_diff_cluster_jackknife", difference.ok().and(resampled.jackknife_se(2)), because);
    figures.value("clusters", json!(resampled.clusters()));
    Ok(figures.finish())
}

#[cfg(test)]
mod tests {
    use super::super::input::input;
    use super::*;

    /// Items that three annotators labelled in letters, `.` where one did not.
    fn three(gold: &str, a: &str, b: &str, params: Value) -> Input {
        let items: Vec<String> = (0..gold.len()).map(|place| format!("i{place}")).collect();
        let mut rows = vec![];
        for (name, letters) in [("gold", gold), ("p", a), ("q", b)] {
            for (place, item) in items.iter().enumerate() {
                rows.push((
                    item.as_str(),
                    name,
                    if letters[place..].starts_with('.') { "" } else { &letters[place..=place] },
                ));
            }
        }
        input(&rows, params)
    }

    #[test]
    fn a_difference_is_of_the_items_that_all_three_labelled() {
        let params = json!({"gold": "gold", "a": "p", "b": "q"});
        let whole = kappa_difference(&three("aabbab", "aabaab", "abbbab", params.clone())).unwrap();
        let gaps = kappa_difference(&three("aabbabab", "aabaab.b", "abbbaba.", params)).unwrap();
        assert_eq!((&whole["n"], &gaps["n"]), (&json!(6), &json!(6)));
        assert_eq!(whole, gaps);
    }

    #[test]
    fn each_item_by_itself_is_a_cluster_and_one_cluster_has_no_error() {
        let params = json!({"a": "gold", "b": "p"});
        let items = kappa_cluster(&three("aabbab", "aabaab", "aaaaaa", params.clone())).unwrap();
        let (independent, clustered) =
            (items["se_iid"].as_f64().unwrap(), items["se_cluster_linearized"].as_f64().unwrap());
        assert!((clustered - independent * (6.0_f64 / 5.0).sqrt()).abs() < 1e-12);
        let one = kappa_cluster(&three("a", "b", "a", params.clone())).unwrap();
        assert_eq!((&one["kappa"], &one["se_cluster_linearized"]), (&json!(0.0), &Value::Null));
        let none = kappa_bootstrap(&three("a", ".", "a", params)).unwrap();
        assert_eq!((&none["kappa"], &none["bca_low"], &none["clusters"]), (&Value::Null, &Value::Null, &json!(0)));
    }

    #[test]
    fn few_clusters_are_resampled_too_and_the_seed_decides() {
        let params = |seed: u32| json!({"a": "gold", "b": "p", "replicates": 2000, "seed": seed, "conf": 0.9});
        let found = |seed: u32| kappa_bootstrap(&three("aabbabab", "aabaabbb", "aaaaaaaa", params(seed))).unwrap();
        assert_eq!(found(1), found(1));
        assert_ne!(found(1)["se"], found(2)["se"]);
        let (low, high) = (found(1)["texp_low"].as_f64().unwrap(), found(1)["texp_high"].as_f64().unwrap());
        assert!(low < found(1)["percentile_low"].as_f64().unwrap() && high <= 1.0);
    }
}
