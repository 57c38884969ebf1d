//! Numbers of reference implementations, where the worked cases lie beside the checkout; says what was skipped where not.

use super::estimate::Value as Statistic;
use super::interval::{ClusterSums, Resampled, SummedSample};
use super::kappa::{self, Weights};
use super::label_pair::{LabelRow, table_of};
use super::multi::{self, Family, Metric, Panel};
use super::rank::RankSample;
use super::score::{Anova, Icc, Moments};
use super::table::{TableView, macro_f1, per_label};
use super::*;
use serde_json::{Map, Value, json};
use std::fs;
use std::path::{Path, PathBuf};

fn folder() -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/vectors");
    folder.is_dir().then_some(folder)
}

fn texts(value: &Value) -> Option<Vec<String>> {
    Some(value.as_array()?.iter().filter_map(|text| text.as_str().map(str::to_owned)).collect())
}

struct Case<'a> {
    folder: &'a Path,
    id: &'a str,
    params: &'a Value,
}

impl Case<'_> {
    fn text(&self, key: &str) -> Option<&str> {
        self.params[key].as_str()
    }

    fn read(&self, level: Level) -> RatingsRead {
        let items = self.folder.join(format!("{}.items.csv", self.id));
        let cluster = self.text("cluster");
        RatingsFile {
            items: items.is_file().then_some(items),
            by_item: cluster.is_none(),
            cluster: cluster.map(str::to_owned),
            labels: texts(&self.params["labels"]).filter(|_| level != Level::Interval),
            level,
            ..RatingsFile::new(self.folder.join(format!("{}.csv", self.id)))
        }
        .read()
        .unwrap()
    }

    fn values(&self, ratings: &Ratings) -> Vec<f64> {
        match self.params["values"].as_array() {
            Some(values) => values.iter().map(|value| value.as_f64().unwrap()).collect(),
            None => (1..=ratings.labels().len()).map(|value| value as f64).collect(),
        }
    }

    fn pair(&self) -> (Ratings, Vec<LabelRow>) {
        let ratings = self.read(Level::Nominal).ratings;
        let rater = |keys: [&str; 2]| ratings.rater(keys.iter().find_map(|key| self.text(key)).unwrap()).unwrap();
        let (a, b) = (rater(["a", "gold"]), rater(["b", "pred"]));
        let rows = (0..ratings.items().len())
            .filter_map(|item| match (ratings.cell(item, a), ratings.cell(item, b)) {
                (Cell::Label(a), Cell::Label(b)) => Some(LabelRow { cluster: ratings.cluster(item), a, b, item }),
                _ => None,
            })
            .collect();
        (ratings, rows)
    }

    fn scores(&self) -> Vec<(f64, f64)> {
        let ratings = self.read(Level::Interval).ratings;
        let rater = |key: &str| ratings.rater(self.text(key).unwrap()).unwrap();
        let (a, b) = (rater("a"), rater("b"));
        (0..ratings.items().len())
            .filter_map(|item| match (ratings.cell(item, a), ratings.cell(item, b)) {
                (Cell::Number(a), Cell::Number(b)) => Some((a, b)),
                _ => None,
            })
            .collect()
    }

    fn annotators(&self, ratings: &Ratings) -> Vec<usize> {
        texts(&self.params["annotators"]).unwrap().iter().map(|name| ratings.rater(name).unwrap()).collect()
    }

    fn panel(&self) -> (Ratings, Panel) {
        let ratings = self.read(Level::Nominal).ratings;
        let annotators = self.annotators(&ratings);
        let label = |item, rater| match ratings.cell(item, rater) {
            Cell::Label(label) => Some(label),
            _ => None,
        };
        let rows = (0..ratings.items().len())
            .map(|item| annotators.iter().map(|&rater| label(item, rater)).collect::<Vec<Option<usize>>>())
            .filter(|row| self.text("items") != Some("co-labelled") || row.iter().all(Option::is_some))
            .collect();
        let labels = ratings.labels().len();
        (ratings, Panel { labels, rows })
    }

    fn weights(&self, ratings: &Ratings) -> Option<Weights> {
        Some(match self.text("weights")? {
            "none" | "identity" => Weights::None,
            "linear" if self.params["annotators"].is_array() => Weights::LinearByValue(self.values(ratings)),
            "quadratic" if self.params["annotators"].is_array() => Weights::QuadraticByValue(self.values(ratings)),
            "linear" => Weights::Linear,
            "quadratic" => Weights::Quadratic,
            "linear_by_value" => Weights::LinearByValue(self.values(ratings)),
            "quadratic_by_value" => Weights::QuadraticByValue(self.values(ratings)),
            "ordinal" => Weights::Ordinal,
            _ => return None,
        })
    }

    fn family(&self, which: Family) -> Option<Value> {
        let (ratings, panel) = self.panel();
        Some(match multi::family(&panel, which, &self.weights(&ratings)?) {
            Ok(found) => json!({
                "value": found.value, "pa": found.observed, "pe": found.expected, "se": found.se,
                "ci_low": found.interval.map(|ends| ends.0), "ci_high": found.interval.map(|ends| ends.1),
            }),
            Err(_) => json!({"value": null, "se": null, "ci_low": null, "ci_high": null}),
        })
    }

    fn alpha(&self) -> Option<Value> {
        if self.text("level") == Some("interval") && self.params["values"].is_null() {
            let ratings = self.read(Level::Interval).ratings;
            let context = label_pair::PairContext {
                a: "",
                b: "",
                reference: false,
                ordinal: false,
                clustered: false,
                resampling: Resampling { replicates: 10, seed: 0 },
            };
            let all = super::all::all(&ratings, &self.annotators(&ratings), &context)?;
            let all::AllFigures::Scores(scores) = all.figures else { panic!("scores") };
            return Some(json!({"alpha": scores.krippendorff_alpha.value}));
        }
        let (ratings, panel) = self.panel();
        let metric = match self.text("level")? {
            "nominal" => Metric::Nominal,
            "ordinal" => Metric::Ordinal,
            "interval" => Metric::Interval(self.values(&ratings)),
            "ratio" => Metric::Ratio(self.values(&ratings)),
            _ => return None,
        };
        let q = panel.labels;
        let mut sums = vec![0.0; q * q];
        for row in &panel.rows {
            let parts = multi::coincidences(&multi::counts(row, q));
            sums.iter_mut().zip(parts).for_each(|(sum, part)| *sum += part);
        }
        Some(json!({"alpha": multi::krippendorff_alpha(&sums, q, &metric).ok()}))
    }

    fn bootstrap(&self) -> Value {
        let (ratings, rows) = self.pair();
        let q = ratings.labels().len();
        let entries = rows.iter().map(|row| (row.cluster, row.a * q + row.b, 1.0)).collect();
        let kappa = move |sums: &[f64]| -> Statistic { kappa::cohen_kappa(TableView { labels: q, counts: sums }) };
        let sample = SummedSample { sums: ClusterSums::new(q * q, entries), statistics: vec![Box::new(kappa)] };
        let found = Resampled::new(&sample, Resampling::default());
        let (percentile, bca, expanded) =
            (found.percentile(0).unwrap(), found.bca(0).unwrap(), found.t_expanded(0).unwrap());
        let jackknife = found.jackknife_t(0).unwrap();
        let table = table_of(&rows, q);
        let influence = kappa::influence(table.view(), &Weights::None.disagreement(q)).unwrap();
        let variances = kappa::variances(table.view(), &Weights::None.disagreement(q)).unwrap();
        let mut by_cluster = vec![0.0; ratings.cluster_count()];
        rows.iter().for_each(|row| by_cluster[row.cluster] += influence[row.a * q + row.b]);
        let (g, n) = (found.clusters() as f64, rows.len() as f64);
        let linearized = (g / (g - 1.0) * by_cluster.iter().map(|sum| sum * sum).sum::<f64>()).sqrt() / n;
        json!({
            "percentile_low": percentile.0, "percentile_high": percentile.1, "bca_low": bca.0, "bca_high": bca.1,
            "texp_low": expanded.0, "texp_high": expanded.1, "kappa": found.value(0).ok(),
            "se_iid": variances.interval.sqrt(), "se_cluster_linearized": linearized,
            "se_cluster_jackknife": found.jackknife_se(0), "clusters": found.clusters(),
            "jackknife_t_low": jackknife.0, "jackknife_t_high": jackknife.1,
        })
    }

    fn compute(&self, stat: &str) -> Option<Value> {
        Some(match stat {
            "n_pairs" if self.params["labels"].is_null() && self.id.starts_with('d') => {
                json!({"n": self.scores().len()})
            }
            "n_pairs" => json!({"n": self.pair().1.len()}),
            "confusion_matrix" => {
                let (ratings, rows) = self.pair();
                let table = table_of(&rows, ratings.labels().len());
                json!({"rows=a,cols=b": table::Confusion::of(table.view(), ratings.labels()).counts})
            }
            "percent_agreement" => {
                let (ratings, rows) = self.pair();
                let table = table_of(&rows, ratings.labels().len());
                let wilson = distribution::wilson(table.view().agreed(), table.view().total());
                json!({"po": kappa::percent_agreement(table.view()).ok(),
                       "wilson_low": wilson.map(|ends| ends.0), "wilson_high": wilson.map(|ends| ends.1)})
            }
            "cohen_kappa" | "cohen_kappa_asymptotic" => {
                let (ratings, rows) = self.pair();
                let q = ratings.labels().len();
                let table = table_of(&rows, q);
                let v = self.weights(&ratings)?.disagreement(q);
                let value = kappa::weighted_kappa(table.view(), &v).ok();
                let variances = kappa::variances(table.view(), &v).ok();
                let half = variances.map(|both| distribution::normal_quantile(0.975) * both.interval.sqrt());
                let z = variances.and_then(|both| Some(value? / both.null.sqrt()));
                json!({
                    "kappa": value, "n": rows.len(), "se": variances.map(|both| both.interval.sqrt()),
                    "se0": variances.map(|both| both.null.sqrt()), "z": z,
                    "p_two_sided": z.map(distribution::normal_two_sided),
                    "ci_low": half.and_then(|half| Some(value? - half)),
                    "ci_high": half.and_then(|half| Some(value? + half)),
                    "kappa_max": kappa::kappa_max(table.view()).ok(),
                })
            }
            "scott_pi" | "pabak" => {
                let (ratings, rows) = self.pair();
                let table = table_of(&rows, ratings.labels().len());
                json!({"pi": kappa::scott_pi(table.view()).ok(), "value": kappa::brennan_prediger(table.view()).ok()})
            }
            "per_class" => {
                let (ratings, rows) = self.pair();
                let table = table_of(&rows, ratings.labels().len());
                let figures = per_label(table.view(), ratings.labels());
                let place = ratings.labels().iter().position(|label| Some(label.as_str()) == self.text("label"))?;
                let label = &figures[place];
                json!({"n_a": label.support, "n_b": label.used, "n_both": table.view().count(place, place),
                       "specific_agreement": label.f1, "kappa_one_vs_rest": label.kappa})
            }
            "classification" => {
                let (ratings, rows) = self.pair();
                let table = table_of(&rows, ratings.labels().len());
                let mut found = Map::new();
                for figure in per_label(table.view(), ratings.labels()) {
                    found.insert(format!("{}|precision", figure.label), json!(figure.precision));
                    found.insert(format!("{}|recall", figure.label), json!(figure.recall));
                    found.insert(format!("{}|f1-score", figure.label), json!(figure.f1));
                    found.insert(format!("{}|support", figure.label), json!(figure.support));
                }
                Value::Object(found)
            }
            "classification_macro" => {
                let (ratings, rows) = self.pair();
                let table = table_of(&rows, ratings.labels().len());
                let (declared, used) = macro_f1(&per_label(table.view(), ratings.labels()));
                json!({"macro_f1_all_labels_zero0": declared, "macro_f1_gold_labels_zero0": used})
            }
            "stuart_maxwell" => {
                let (ratings, rows) = self.pair();
                let table = table_of(&rows, ratings.labels().len());
                let found = margins::stuart_maxwell(table.view())?;
                json!({"statistic": found.statistic, "df": found.df, "p": found.p})
            }
            "collapse" => {
                let ratings = self.read(Level::Nominal).ratings;
                let map = self.params["map"].as_object()?;
                let map = map.iter().map(|(from, to)| (from.clone(), to.as_str().map(str::to_owned))).collect();
                let settings = Settings {
                    reference: self.text("a").map(str::to_owned),
                    collapses: vec![Collapse { name: "c".into(), map }],
                    resampling: Resampling { replicates: 100, seed: 0 },
                    ..Settings::default()
                };
                let found = agree(&ratings, &settings).unwrap();
                let PairFigures::Labels(figures) = &found.pairs[0].figures else { panic!("labels") };
                let figures = &figures.collapses[0].1;
                json!({"n": figures.items, "kappa": figures.agreement.cohen_kappa.value, "po": figures.agreement.percent})
            }
            "gwet_ac" => self.family(Family::Gwet)?,
            "brennan_prediger" => self.family(Family::BrennanPrediger)?,
            "fleiss_kappa_gwet" => self.family(Family::Fleiss)?,
            "krippendorff_alpha_cac" => self.family(Family::Krippendorff)?,
            "conger_kappa" => self.family(Family::Conger)?,
            "krippendorff_alpha" => self.alpha()?,
            "light_kappa" | "fleiss_kappa" => {
                let ratings = self.read(Level::Nominal).ratings;
                let settings = Settings {
                    humans: texts(&self.params["annotators"])?,
                    resampling: Resampling { replicates: 100, seed: 0 },
                    ..Settings::default()
                };
                let all::AllFigures::Labels(all) = agree(&ratings, &settings).unwrap().all?.figures else {
                    panic!("labels")
                };
                json!({"mean_pairwise_kappa": all.mean_pairwise_kappa.estimate.value,
                       "pairs_defined": all.mean_pairwise_kappa.pairs_defined, "kappa": all.fleiss_kappa.value})
            }
            "kappa_cluster" | "kappa_bootstrap" => self.bootstrap(),
            "pearson" => {
                let moments = Moments::of(&self.scores());
                let interval = moments.pearson_interval().ok();
                json!({"r": moments.pearson().ok(), "p": moments.pearson_p().ok(),
                       "ci_low": interval.map(|ends| ends.0), "ci_high": interval.map(|ends| ends.1)})
            }
            "spearman" | "kendall_tau_b" => {
                let scores = self.scores();
                let rows: Vec<(usize, f64, f64)> = scores.iter().enumerate().map(|(i, s)| (i, s.0, s.1)).collect();
                let sample = RankSample::new(&rows);
                let values = interval::Sample::values(&sample, &vec![1; rows.len()]);
                match stat {
                    "spearman" => {
                        let rho = values[0].ok();
                        json!({"rho": rho, "p": rho.map(|rho| score::correlation_p(rho, rows.len() as f64))})
                    }
                    _ => json!({"tau": values[1].ok(), "p": sample.kendall_p().ok()}),
                }
            }
            "error" => {
                let moments = Moments::of(&self.scores());
                json!({"mae": moments.mean_absolute_error().ok(), "rmse": moments.root_mean_squared_error().ok(),
                       "bias_b_minus_a": moments.bias().ok()})
            }
            "bland_altman" => {
                let moments = Moments::of(&self.scores());
                let (_, ends) = moments.bias_interval().unwrap();
                json!({"bias": moments.bias().ok(), "sd": moments.sd_of_difference().ok(),
                       "loa_low": moments.limit_of_agreement(-1.0).ok(), "loa_high": moments.limit_of_agreement(1.0).ok(),
                       "loa_se": moments.limit_se().ok(), "bias_ci_low": ends.0, "bias_ci_high": ends.1})
            }
            "lin_ccc" => {
                let moments = Moments::of(&self.scores());
                let (se, ends) = moments.concordance_interval().unwrap();
                json!({"ccc": moments.concordance().ok(), "se": se, "ci_low": ends.0, "ci_high": ends.1})
            }
            "icc" => {
                let ratings = self.read(Level::Interval).ratings;
                let annotators = self.annotators(&ratings);
                let number = |item, rater| match ratings.cell(item, rater) {
                    Cell::Number(number) => Some(number),
                    _ => None,
                };
                let rows: Vec<Vec<f64>> = (0..ratings.items().len())
                    .filter_map(|item| annotators.iter().map(|&rater| number(item, rater)).collect())
                    .collect();
                let anova = Anova::of_rows(&rows).unwrap();
                let mut found = Map::new();
                for (name, form) in [
                    ("ICC(1,1)", Icc::OneWay),
                    ("ICC(A,1)", Icc::Agreement),
                    ("ICC(C,1)", Icc::Consistency),
                    ("ICC(1,k)", Icc::OneWayMean),
                    ("ICC(A,k)", Icc::AgreementMean),
                    ("ICC(C,k)", Icc::ConsistencyMean),
                ] {
                    let interval = anova.icc_interval(form).ok();
                    found.insert(name.to_owned(), json!(anova.icc(form).ok()));
                    found.insert(format!("{name}|ci_low"), json!(interval.map(|ends| ends.0)));
                    found.insert(format!("{name}|ci_high"), json!(interval.map(|ends| ends.1)));
                }
                Value::Object(found)
            }
            _ => return None,
        })
    }
}

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

#[test]
fn numbers_are_those_of_the_reference_implementations() {
    let Some(folder) = folder() else {
        eprintln!("skipped: no worked cases beside the checkout");
        return;
    };
    let (mut numbers, mut skipped, mut wrong) = (0, vec![], vec![]);
    let mut files: Vec<PathBuf> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    for path in files.iter().filter(|path| path.extension().is_some_and(|ending| ending == "json")) {
        let id = path.file_stem().unwrap().to_str().unwrap();
        let case: Value = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
        for check in case["checks"].as_array().unwrap() {
            let stat = check["stat"].as_str().unwrap();
            let case = Case { folder: &folder, id, params: &check["params"] };
            let Some(found) = case.compute(stat) else {
                skipped.push(format!("{id} {stat}"));
                continue;
            };
            let tolerance = check["tol"].as_f64().unwrap();
            for (key, expected) in check["expect"].as_object().unwrap() {
                match found.get(key) {
                    None => skipped.push(format!("{id} {stat} {key}")),
                    Some(found) if matches(found, expected, tolerance) => numbers += 1,
                    Some(found) => wrong.push(format!("{id} {stat} {key}: {found}, not {expected}")),
                }
            }
        }
    }
    eprintln!("{numbers} numbers agree; skipped: {}", skipped.join(", "));
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(numbers > 500, "only {numbers} numbers were checked");
}
