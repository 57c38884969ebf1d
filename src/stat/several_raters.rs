//! Several raters on labels, gaps allowed: Gwet's family, Krippendorff's alpha, Fleiss, Randolph, Light, agreement of one model's samples.

use super::two_raters::table_of;
use super::weighting::{Scale, weights};
use super::{Figures, Input, Labels, StatError, Statistic};
use crate::agreement::estimate::{Undefined, Value as Figure};
use crate::agreement::kappa::{self, Weights};
use crate::agreement::multi::{self, Family, Metric, Panel};
use serde_json::{Map, Value, json};

type Computed = Result<Map<String, Value>, StatError>;

/// The family.
pub(super) const ALL: &[Statistic] = &[
    Statistic { name: "coverage", summary: "items by how many of the annotators labelled them", compute: coverage },
    Statistic {
        name: "gwet_ac",
        summary: "Gwet's AC1, with weights AC2",
        compute: |input| family(input, Family::Gwet),
    },
    Statistic {
        name: "brennan_prediger",
        summary: "Brennan and Prediger's coefficient, weighted or not",
        compute: |input| family(input, Family::BrennanPrediger),
    },
    Statistic {
        name: "fleiss_kappa_gwet",
        summary: "Fleiss' kappa with gaps and weights",
        compute: |input| family(input, Family::Fleiss),
    },
    Statistic {
        name: "conger_kappa",
        summary: "Conger's kappa with gaps and weights",
        compute: |input| family(input, Family::Conger),
    },
    Statistic {
        name: "krippendorff_alpha_cac",
        summary: "Krippendorff's alpha with fixed weights, standard error and interval",
        compute: |input| family(input, Family::Krippendorff),
    },
    Statistic {
        name: "krippendorff_alpha",
        summary: "Krippendorff's alpha: nominal, ordinal, interval or ratio",
        compute: krippendorff_alpha,
    },
    Statistic {
        name: "fleiss_kappa",
        summary: "Fleiss' kappa of complete data",
        compute: |input| complete(input, Family::Fleiss),
    },
    Statistic {
        name: "randolph_kappa",
        summary: "Randolph's kappa of complete data, chance 1/q over q declared labels",
        compute: |input| complete(input, Family::BrennanPrediger),
    },
    Statistic { name: "light_kappa", summary: "mean of the pairwise kappas, least and greatest", compute: light_kappa },
    Statistic {
        name: "self_consistency",
        summary: "samples of one model by item: most frequent label (null if tied), its share, entropy; alpha across samples",
        compute: self_consistency,
    },
];

/// The annotators of the parameter `annotators`, or of `a` and `b`, or all.
fn raters(input: &Input) -> Result<Vec<usize>, StatError> {
    if input.params.get("annotators").is_some() {
        return input.annotators("annotators");
    }
    if input.params.get("a").is_some() {
        return Ok(vec![input.annotator("a")?, input.annotator("b")?]);
    }
    Ok((0..input.ratings.annotators().len()).collect())
}

/// The items that count (by place): all, or those that every annotator labelled.
fn items(input: &Input, raters: &[usize]) -> Result<Vec<usize>, StatError> {
    let every = input.params.one_of("items", &["all", "co-labelled"])? == "all";
    let labelled = |item: &usize| every || raters.iter().all(|&rater| input.ratings.label(*item, rater).is_some());
    Ok((0..input.ratings.items().len()).filter(labelled).collect())
}

fn panel(input: &Input, raters: &[usize], items: &[usize], labels: &Labels) -> Panel {
    let row = |&item: &usize| {
        raters.iter().map(|&rater| labels.place(input.ratings.label(item, rater)?)).collect::<Vec<Option<usize>>>()
    };
    Panel { labels: labels.len(), rows: items.iter().map(row).collect() }
}

fn coverage(input: &Input) -> Computed {
    let raters = raters(input)?;
    let labelled = |item: usize| raters.iter().filter(|&&rater| input.ratings.label(item, rater).is_some()).count();
    let counts: Vec<usize> = (0..input.ratings.items().len()).map(labelled).collect();
    let with = |wanted: &dyn Fn(usize) -> bool| counts.iter().filter(|&&count| wanted(count)).count();
    let mut figures = Figures::new();
    figures.value("items", json!(counts.len()));
    figures.value("ratings", json!(counts.iter().sum::<usize>()));
    figures.value("items_ge2", json!(with(&|count| count >= 2)));
    figures.value("items_1", json!(with(&|count| count == 1)));
    figures.value("items_0", json!(with(&|count| count == 0)));
    Ok(figures.finish())
}

fn family(input: &Input, which: Family) -> Computed {
    let raters = raters(input)?;
    let labels = input.labels(&raters)?;
    let items = items(input, &raters)?;
    let weights = weights(input, &labels, Scale::Values)?;
    let confidence = input.params.confidence()?;
    let name = if input.params.get("N").is_some() { "N" } else { "population" };
    let population = input.params.get(name).map(|_| input.params.number(name)).transpose()?;
    let rated = |item: &usize| raters.iter().any(|&rater| input.ratings.label(*item, rater).is_some());
    let clusters = input.clusters(items.iter().copied().filter(rated))?;
    let mut figures = Figures::new();
    let panel = panel(input, &raters, &items, &labels);
    let found = match multi::family(&panel, which, &weights) {
        Ok(found) => found,
        Err(reason) => {
            figures.undefined("value", reason);
            figures.number("pa", multi::observed_agreement(&panel, which, &weights));
            for key in ["pe", "se", "ci_low", "ci_high"] {
                figures.undefined(key, reason);
            }
            return Ok(figures.finish());
        }
    };
    if population.is_some_and(|population| population < found.rated as f64) {
        return Err(input.params.wrong(name, format!("as many items as there are at hand, {}, or more", found.rated)));
    }
    figures.exact("value", found.value);
    figures.exact("pa", found.observed);
    figures.exact("pe", found.expected);
    let clustered = input.params.get("cluster").is_some();
    let error = if clustered {
        found.clustered_se(|row| clusters[&items[row]]).map(|(se, count)| (se, count as f64 - 1.0))
    } else {
        found.se(population).map(|se| (se, found.items.len() as f64 - 1.0))
    };
    let error = error.ok_or(if clustered { "fewer than 2 clusters" } else { "fewer than 2 items" });
    figures.number("se", error.map(|(se, _)| se));
    figures.interval("ci", error.map(|(se, df)| found.interval(se, df, confidence)));
    figures.value("n", json!(found.items.len()));
    if clustered {
        figures.optional("clusters", error.ok().map(|(_, df)| df + 1.0), "fewer than 2 clusters");
    }
    Ok(figures.finish())
}

fn krippendorff_alpha(input: &Input) -> Computed {
    let raters = raters(input)?;
    let level = input.params.one_of("level", &["nominal", "ordinal", "interval", "ratio"])?;
    let declared = input.params.get("labels").is_some();
    let items = items(input, &raters)?;
    if level != "nominal" && !declared {
        // Without declared labels their order and their values are those of the numbers that they are.
        for &item in &items {
            raters.iter().try_for_each(|&rater| input.score(item, rater).map(drop))?;
        }
    }
    let labels = input.labels(&raters)?;
    let metric = match level {
        "nominal" => Metric::Nominal,
        "ordinal" => Metric::Ordinal,
        "interval" => Metric::Interval(input.values(&labels)?),
        _ => Metric::Ratio(input.values(&labels)?),
    };
    let panel = panel(input, &raters, &items, &labels);
    let mut figures = Figures::new();
    figures.number("alpha", multi::panel_alpha(&panel, &metric));
    let paired = panel.rows.iter().filter(|row| row.iter().flatten().count() >= 2).count();
    figures.value("n", json!(paired));
    Ok(figures.finish())
}

/// The unweighted coefficient of data without gaps; items that nobody labelled do not count.
fn complete(input: &Input, which: Family) -> Computed {
    let raters = raters(input)?;
    let labels = input.labels(&raters)?;
    let mut panel = panel(input, &raters, &items(input, &raters)?, &labels);
    panel.rows.retain(|row| row.iter().any(Option::is_some));
    let gaps = panel.rows.iter().flatten().any(Option::is_none);
    let found = if gaps { Err(Undefined::Gaps) } else { multi::family(&panel, which, &Weights::None) };
    let mut figures = Figures::new();
    figures.number("kappa", found.as_ref().map(|found| found.value));
    figures.number("pa", found.as_ref().map(|found| found.observed));
    figures.number("pe", found.as_ref().map(|found| found.expected));
    figures.value("n", json!(panel.rows.len()));
    Ok(figures.finish())
}

fn light_kappa(input: &Input) -> Computed {
    let raters = raters(input)?;
    let labels = input.labels(&raters)?;
    let disagreement = weights(input, &labels, Scale::Positions)?.disagreement(labels.len());
    let mut pairs = Figures::new();
    let mut defined = vec![];
    for (place, &a) in raters.iter().enumerate() {
        for &b in &raters[place + 1..] {
            let rows = input.pair(a, b);
            let table = table_of(&labels, rows.iter().map(|&(_, x, y)| (x, y)));
            let kappa: Figure = kappa::weighted_kappa(table.view(), &disagreement);
            defined.extend(kappa);
            pairs.number(format!("{}|{}", input.ratings.annotators()[a], input.ratings.annotators()[b]), kappa);
        }
    }
    let reason = if raters.len() < 2 { "fewer than two annotators" } else { "kappa is undefined for every pair" };
    let some = |value: f64| (!defined.is_empty()).then_some(value);
    let mut figures = Figures::new();
    figures.optional("mean_pairwise_kappa", some(defined.iter().sum::<f64>() / defined.len() as f64), reason);
    figures.value("pairs_defined", json!(defined.len()));
    figures.optional("min_pairwise_kappa", some(defined.iter().copied().fold(f64::INFINITY, f64::min)), reason);
    figures.optional("max_pairwise_kappa", some(defined.iter().copied().fold(f64::NEG_INFINITY, f64::max)), reason);
    figures.value("pairs", Value::Object(pairs.finish()));
    Ok(figures.finish())
}

fn self_consistency(input: &Input) -> Computed {
    let samples = input.annotators("samples")?;
    let labels = input.labels(&samples)?;
    let items: Vec<usize> = (0..input.ratings.items().len()).collect();
    let panel = panel(input, &samples, &items, &labels);
    let (mut tied, mut plurality, mut shares, mut entropies) = (vec![], vec![], vec![], vec![]);
    for (&item, row) in items.iter().zip(&panel.rows) {
        let counts = multi::counts(row, labels.len());
        let (total, most) = (counts.iter().sum::<f64>(), counts.iter().copied().fold(0.0, f64::max));
        if total == 0.0 {
            plurality.push(Value::Null);
            shares.push(Value::Null);
            entropies.push(Value::Null);
            continue;
        }
        let mut leaders = (0..labels.len()).filter(|&k| counts[k] == most);
        match (leaders.next(), leaders.next()) {
            (Some(only), None) => plurality.push(json!(labels.names()[only])),
            _ => {
                tied.push(json!(input.ratings.items()[item]));
                plurality.push(Value::Null);
            }
        }
        shares.push(json!(most / total));
        let used = counts.iter().filter(|&&count| count > 0.0);
        entropies.push(json!(used.map(|count| count / total * (total / count).ln()).sum::<f64>()));
    }
    let mut figures = Figures::new();
    figures.value("items", json!(input.ratings.items()));
    figures.value("tied_items", Value::Array(tied));
    figures.value("plurality", Value::Array(plurality));
    figures.value("share", Value::Array(shares));
    figures.value("entropy_nats", Value::Array(entropies));
    figures.number("alpha", multi::panel_alpha(&panel, &Metric::Nominal));
    figures.value("note", "agreement of a model with itself is no bound of its agreement with anybody else");
    Ok(figures.finish())
}

#[cfg(test)]
mod tests {
    use super::super::input::input;
    use super::super::{Params, find};
    use super::*;

    fn found(name: &str, rows: &[(&str, &str, &str)], params: Value) -> Value {
        Value::Object((find(name).unwrap().compute)(&input(rows, params)).unwrap())
    }

    #[test]
    fn coefficients_of_complete_data_say_so_where_there_are_gaps() {
        let rows =
            [("i1", "x", "a"), ("i1", "y", "b"), ("i2", "x", "a"), ("i2", "y", ""), ("i3", "x", ""), ("i3", "y", "")];
        let gaps = found("fleiss_kappa", &rows, json!({"labels": ["a", "b"]}));
        assert_eq!(gaps["kappa"], Value::Null);
        assert!(gaps["undefined"]["kappa"].as_str().unwrap().contains("complete data"));
        let paired = found("fleiss_kappa", &rows, json!({"labels": ["a", "b"], "items": "co-labelled"}));
        assert_eq!((&paired["kappa"], &paired["n"]), (&json!(-1.0), &json!(1)));
        let counts = found("coverage", &rows, json!({"annotators": ["x", "y"]}));
        assert_eq!(counts, json!({"items": 3, "ratings": 3, "items_ge2": 1, "items_1": 1, "items_0": 1}));
    }

    #[test]
    fn ordinal_and_interval_alpha_need_numbers_or_a_declared_order() {
        let rows = [("i1", "x", "low"), ("i1", "y", "high")];
        let input = |params: Value| {
            let mut input = input(&rows, json!({}));
            input.params = Params::new(params.as_object().unwrap().clone()).unwrap();
            krippendorff_alpha(&input)
        };
        assert!(input(json!({"level": "ordinal"})).unwrap_err().to_string().contains("'low', which is not a number"));
        assert!(input(json!({"level": "ordinal", "labels": ["low", "high"]})).is_ok());
        assert!(
            input(json!({"level": "cardinal"})).unwrap_err().to_string().contains("nominal, ordinal, interval, ratio")
        );
    }

    #[test]
    fn alpha_of_small_values_is_that_of_large_ones() {
        let rows = |scale: f64| {
            let scores = [(1.0, 2.0), (3.0, 3.0), (4.0, 2.0), (2.0, 2.0), (5.0, 4.0)];
            let row = |(place, &(x, y)): (usize, &(f64, f64))| {
                let (item, x, y) = (format!("i{place}"), (x * scale).to_string(), (y * scale).to_string());
                [(item.clone(), "x", x), (item, "y", y)]
            };
            scores.iter().enumerate().flat_map(row).collect::<Vec<_>>()
        };
        let alpha = |scale: f64| {
            let rows = rows(scale);
            let rows: Vec<(&str, &str, &str)> = rows.iter().map(|(i, a, l)| (i.as_str(), *a, l.as_str())).collect();
            found("krippendorff_alpha", &rows, json!({"level": "interval"}))["alpha"].as_f64().unwrap()
        };
        assert!((alpha(1.0) - alpha(1e-9)).abs() < 1e-9);
        let same: Vec<String> = (0..7).map(|place| format!("i{place}")).collect();
        let same: Vec<(&str, &str, &str)> =
            same.iter().flat_map(|i| [(i.as_str(), "x", "0.1"), (i, "y", "0.1")]).collect();
        assert_eq!(found("krippendorff_alpha", &same, json!({"level": "interval"}))["alpha"], Value::Null);
    }

    /// Ten items of three raters with gaps.
    fn gaps() -> Vec<(String, &'static str, &'static str)> {
        let rows = ["11.", "223", "333", "121", ".11", "2..", "333", "222", "131", "111"];
        let label = |letter: char| ["1", "2", "3"].into_iter().find(|label| label.starts_with(letter)).unwrap_or("");
        let item = |(place, row): (usize, &&'static str)| {
            let cells = ["x", "y", "z"]
                .into_iter()
                .zip(row.chars())
                .map(move |(rater, letter)| (format!("i{place}"), rater, label(letter)));
            cells.collect::<Vec<_>>()
        };
        rows.iter().enumerate().flat_map(item).collect()
    }

    #[test]
    fn a_finite_population_narrows_the_interval_as_in_irrcac() {
        let rows = gaps();
        let rows: Vec<(&str, &str, &str)> =
            rows.iter().map(|(item, rater, label)| (item.as_str(), *rater, *label)).collect();
        let params = |more: Value| {
            let mut params =
                json!({"annotators": ["x", "y", "z"], "labels": ["1", "2", "3"], "weights": "quadratic", "conf": 0.9});
            params.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            params
        };
        // irrCAC 0.4.4: CAC(weights="quadratic", confidence_level=.9, N=50).
        for (name, value, se, part, low) in [
            ("gwet_ac", 0.6815286624204, 0.226713630138, 0.2027788353657, 0.3098121568431),
            ("krippendorff_alpha_cac", 0.6909871244635, 0.214405041022, 0.1917696985775, 0.3343821578173),
            ("conger_kappa", 0.6942675159236, 0.2206235771091, 0.1973317263421, 0.3325361763431),
        ] {
            let close = |found: &Value, expected: f64| {
                assert!((found.as_f64().unwrap() - expected).abs() < 1e-10, "{name}: {found}")
            };
            let whole = found(name, &rows, params(json!({})));
            close(&whole["value"], value);
            close(&whole["se"], se);
            let part_of = found(name, &rows, params(json!({"population": 50})));
            close(&part_of["se"], part);
            close(&part_of["ci_low"], low);
            let alone = found(name, &rows, params(json!({"cluster": "item"})));
            close(&alone["se"], se);
        }
    }
}
