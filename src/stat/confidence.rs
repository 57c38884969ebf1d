//! Confidence and routing: calibration, risk and coverage.

use super::{Figures, Input, Labels, StatError, Statistic};
use crate::agreement::estimate::Undefined;
use crate::agreement::kappa;
use crate::agreement::table::TableView;
use crate::confidence::Judged;
use crate::confidence::calibration::{self, Binning};
use crate::confidence::coverage::{Routing, area_under_risk, risk_at};
use crate::planning::size::effective_size;
use serde_json::{Map, Value, json};

type Computed = Result<Map<String, Value>, StatError>;

/// The family.
pub(super) const ALL: &[Statistic] = &[
    Statistic {
        name: "calibration",
        summary: "does 80 % sure mean right in 80 %: ECE, Brier score, AUROC, log loss, reliability table",
        compute: calibrated,
    },
    Statistic {
        name: "calibration_weighted",
        summary: "Brier score, accuracy and kappa of items drawn with unequal probabilities",
        compute: calibrated_weighted,
    },
    Statistic {
        name: "risk_coverage",
        summary: "error rate of the surest items, and its mean over all coverages",
        compute: risk_coverage,
    },
    Statistic {
        name: "routing_threshold",
        summary: "from which confidence on the error rate stays below `risk`, with certainty 1 − `alpha`",
        compute: routing,
    },
];

/// Items with gold, a label of the model and its confidence.
struct Sure<'i> {
    labels: Labels,
    rows: Vec<(usize, &'i str, &'i str)>,
    items: Vec<Judged>,
}

impl<'i> Sure<'i> {
    fn of(input: &'i Input) -> Result<Sure<'i>, StatError> {
        let (gold, model) = (input.annotator("gold")?, input.annotator("llm")?);
        let labels = input.labels(&[gold, model])?;
        let rows = input.pair(gold, model);
        let column = input.covariate(input.params.text_or("confidence", "confidence")?)?;
        let judge = |&(item, gold, label): &(usize, &str, &str)| -> Result<Judged, StatError> {
            let confidence = column.number(item)?;
            if !(0.0..=1.0).contains(&confidence) {
                return Err(StatError::Covariate {
                    item: input.ratings.items()[item].clone(),
                    column: input.params.text_or("confidence", "confidence")?.to_owned(),
                    expected: "a number from 0 to 1",
                    found: confidence.to_string(),
                });
            }
            Ok(Judged { confidence, right: gold == label, weight: 1.0 })
        };
        let items = rows.iter().map(judge).collect::<Result<Vec<Judged>, StatError>>()?;
        Ok(Sure { labels, rows, items })
    }

    /// Cohen's kappa with these weights.
    fn kappa(&self, weight: impl Fn(usize) -> f64) -> Result<f64, Undefined> {
        let q = self.labels.len();
        let mut counts = vec![0.0; q * q];
        for (row, (_, gold, label)) in self.rows.iter().enumerate() {
            if let (Some(gold), Some(label)) = (self.labels.place(gold), self.labels.place(label)) {
                counts[gold * q + label] += weight(row);
            }
        }
        kappa::cohen_kappa(TableView { labels: q, counts: &counts })
    }
}

fn calibrated(input: &Input) -> Computed {
    let sure = Sure::of(input)?;
    let items = &sure.items;
    let bins = match input.params.count_or("bins", 10)? {
        bins @ 1..=10_000 => bins as usize,
        _ => return Err(input.params.wrong("bins", "a number from 1 to 10000")),
    };
    let words = ["equal width, (lo,hi]", "equal width", "equal mass"];
    let binning = match input.params.one_of("binning", &words)? {
        "equal mass" => Binning::EqualMass,
        _ => Binning::EqualWidth,
    };
    let mut figures = Figures::new();
    figures.value("n", json!(items.len()));
    figures.optional("ece", calibration::calibration_error(items, bins, binning), Undefined::NoItems);
    figures.optional("brier", calibration::brier(items), Undefined::NoItems);
    let reason = "needs items that are right and items that are wrong";
    figures.optional("auroc_correct", calibration::area_under_curve(items), reason);
    figures.optional("log_loss", calibration::log_loss(items), Undefined::NoItems);
    figures.optional("accuracy", calibration::accuracy(items), Undefined::NoItems);
    figures.value("reliability", json!(calibration::reliability(items, bins, binning)));
    if items.len() < calibration::FEWEST_FOR_ERROR {
        let few = format!("with fewer than {} items the ece is too large", calibration::FEWEST_FOR_ERROR);
        figures.value("warning", few);
    }
    Ok(figures.finish())
}

fn calibrated_weighted(input: &Input) -> Computed {
    let sure = Sure::of(input)?;
    let words = input.params.text_or("weights", "1/prob")?;
    let (name, inverse) = match words.strip_prefix("1/") {
        Some(name) => (name, true),
        None => (words, false),
    };
    let column = input.covariate(name)?;
    let mut weighted = sure.items.clone();
    for (item, row) in weighted.iter_mut().zip(&sure.rows) {
        let number = column.number(row.0)?;
        if number <= 0.0 {
            return Err(StatError::Covariate {
                item: input.ratings.items()[row.0].clone(),
                column: name.to_owned(),
                expected: "a number above 0",
                found: number.to_string(),
            });
        }
        item.weight = if inverse { 1.0 / number } else { number };
    }
    let weights: Vec<f64> = weighted.iter().map(|item| item.weight).collect();
    let mut figures = Figures::new();
    figures.value("n", json!(weighted.len()));
    figures.optional("brier", calibration::brier(&weighted), Undefined::NoItems);
    figures.optional("accuracy", calibration::accuracy(&weighted), Undefined::NoItems);
    figures.number("kappa", sure.kappa(|row| weights[row]));
    figures.optional("accuracy_unweighted", calibration::accuracy(&sure.items), Undefined::NoItems);
    figures.number("kappa_unweighted", sure.kappa(|_| 1.0));
    figures.exact("effective_size", effective_size(&weights));
    Ok(figures.finish())
}

fn risk_coverage(input: &Input) -> Computed {
    let sure = Sure::of(input)?;
    let mut figures = Figures::new();
    figures.optional("aurc", area_under_risk(&sure.items), Undefined::NoItems);
    figures.optional("risk_at_coverage_50", risk_at(&sure.items, 0.5), Undefined::NoItems);
    figures.optional("risk_at_coverage_100", risk_at(&sure.items, 1.0), Undefined::NoItems);
    figures.value("n", json!(sure.items.len()));
    Ok(figures.finish())
}

fn routing(input: &Input) -> Computed {
    let sure = Sure::of(input)?;
    let routing = Routing {
        target: input.params.share_or("risk", 0.05)?,
        alpha: input.params.share_or("alpha", 0.05)?,
        thresholds: match input.params.count_or("thresholds", 20)? {
            thresholds @ 1..=10_000 => thresholds as usize,
            _ => return Err(input.params.wrong("thresholds", "a number from 1 to 10000")),
        },
    };
    let line = routing.line(&sure.items);
    let reason = "no threshold keeps the upper bound of the error rate below the target";
    let mut figures = Figures::new();
    figures.optional("threshold", line.map(|line| line.threshold), reason);
    figures.optional("coverage", line.map(|line| line.coverage), reason);
    figures.optional("risk", line.map(|line| line.risk), reason);
    figures.optional("upper", line.map(|line| line.upper), reason);
    figures.value("n", json!(sure.items.len()));
    figures.value("curve", json!(routing.curve(&sure.items)));
    Ok(figures.finish())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stat::input::input;
    use crate::stat::{Covariates, find};
    use serde_json::json;

    /// Eight items with gold, a model's labels and another's, confidences and probabilities.
    fn case(params: Value) -> Input {
        let ids = ["i1", "i2", "i3", "i4", "i5", "i6", "i7", "i8"];
        let labels = [("gold", "aabbabab"), ("llm", "aabbbaab"), ("p2", "abbbabbb"), ("p3", "aaaaaaaa")];
        let texts: Vec<(&str, &str, String)> = (labels.iter())
            .flat_map(|(rater, labels)| {
                ids.iter().zip(labels.chars()).map(|(id, label)| (*id, *rater, label.to_string()))
            })
            .collect();
        let rows: Vec<(&str, &str, &str)> =
            texts.iter().map(|(id, rater, label)| (*id, *rater, label.as_str())).collect();
        let confidence = [0.95, 0.9, 0.8, 0.85, 0.7, 0.6, 0.55, 0.3];
        let probability = [1.0, 0.5, 0.25, 0.5, 1.0, 0.2, 0.5, 0.4];
        let lines: String = (ids.iter().zip(confidence).zip(probability))
            .map(|((id, confidence), probability)| format!("{id},{confidence},{probability}\n"))
            .collect();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("items.csv");
        std::fs::write(&path, format!("item,confidence,prob\n{lines}")).unwrap();
        Input { items: Covariates::read(&path).unwrap(), ..input(&rows, params) }
    }

    #[track_caller]
    fn gives(stat: &str, params: Value, expected: &[(&str, f64)]) {
        let found = (find(stat).unwrap().compute)(&case(params)).unwrap();
        for (key, expected) in expected {
            let value = found[*key].as_f64().unwrap_or_else(|| panic!("{key} is {}", found[*key]));
            assert!((value - expected).abs() < 1e-12, "{stat} {key}: {value}, not {expected}");
        }
    }

    #[test]
    fn figures_are_those_of_scikit_learn_and_statsmodels() {
        let params = json!({"gold": "gold", "llm": "llm", "confidence": "confidence", "bins": 10, "binning": "equal width, (lo,hi]"});
        let calibration =
            [("brier", 0.20218749999999996), ("auroc_correct", 2.0 / 3.0), ("log_loss", 0.5580487040173762)];
        gives("calibration", params, &calibration);
        let params = json!({"gold": "gold", "llm": "llm", "confidence": "confidence", "weights": "1/prob"});
        let weighted = [
            ("brier", 0.21269230769230765),
            ("accuracy", 0.6923076923076923),
            ("kappa", 0.390625),
            ("accuracy_unweighted", 0.75),
            ("kappa_unweighted", 0.5),
        ];
        gives("calibration_weighted", params, &weighted);
        let params = json!({"gold": "gold", "llm": "llm", "confidence": "confidence", "order": "confidence"});
        let risk =
            [("aurc", 0.13363095238095238), ("risk_at_coverage_50", 0.0), ("risk_at_coverage_100", 0.25), ("n", 8.0)];
        gives("risk_coverage", params, &risk);
        let params = json!({"gold": "gold", "prompts": ["llm", "p2", "p3"]});
        gives("cochran_q", params, &[("statistic", 8.0 / 7.0), ("p", 0.5647181220077593), ("df", 2.0)]);
    }

    #[test]
    fn what_is_undefined_is_null_and_what_is_wrong_is_an_error() {
        let compute = |stat: &str, params: Value| (find(stat).unwrap().compute)(&case(params));
        let humans = json!({"humans": ["gold", "p2"], "llm": "llm", "scoring": "accuracy", "epsilon": 0.1});
        let found = compute("alt_test", humans).unwrap();
        assert_eq!((&found["winning_rate"], &found["passes"]), (&Value::Null, &Value::Null));
        assert_eq!(found["skipped"], json!(["gold", "p2"]));
        let found = compute("cochran_q", json!({"gold": "gold", "prompts": ["llm"]})).unwrap();
        assert_eq!((&found["statistic"], &found["p"]), (&Value::Null, &Value::Null));
        let same = json!({"gold": "p3", "llm": "p3", "confidence": "confidence"});
        assert_eq!(compute("calibration", same).unwrap()["auroc_correct"], Value::Null);
        let found = compute("kappa_permutation_exact", json!({"gold": "p3", "a": "p3", "b": "p3"})).unwrap();
        assert_eq!((&found["p_two_sided"], &found["diff_b_minus_a"]), (&Value::Null, &Value::Null));
        let wrong = json!({"gold": "gold", "llm": "llm", "confidence": "certainty"});
        assert_eq!(compute("calibration", wrong).unwrap_err().to_string(), "the items have no column `certainty`");
        assert!(compute("p_adjust", json!({"method": "holm", "p": [0.1, 1.2]})).is_err());
        assert!(
            compute("kappa_n_for_halfwidth", json!({"kappa": 0.9, "rate_a": 0.1, "rate_b": 0.5, "halfwidth": 0.1}))
                .is_err()
        );
    }

    #[test]
    fn numbers_of_items_are_those_of_the_formula() {
        let params = json!({"kappa": 0.6, "rate_a": 0.2, "rate_b": 0.25, "halfwidth": 0.15, "conf": 0.95});
        gives("kappa_n_for_halfwidth", params, &[("n", 157.0), ("n_times_var", 0.9149387755102055)]);
        let params = json!({"kappa1": 0.6, "kappa0": 0.4, "rate": 0.3, "power": 0.8, "alpha_one_sided": 0.05});
        gives("kappa_n_for_test", params, &[("n", 141.0)]);
        gives("effective_size", json!({"prob": "prob"}), &[("effective_size", 19.5 * 19.5 / 61.25)]);
        gives("design_effect", json!({"per_cluster": 8, "icc": 0.1}), &[("design_effect", 1.7)]);
    }
}
