//! Two raters on labels: kappa and its relatives, each label's figures, equal margins, collapses.

use super::weighting::{Scale, weights};
use super::{Figures, Input, Labels, StatError, Statistic};
use crate::agreement::distribution::{normal_quantile, normal_two_sided, upper, wilson_at};
use crate::agreement::estimate::{NoInterval, Undefined};
use crate::agreement::kappa::{self, Weights};
use crate::agreement::margins;
use crate::agreement::table::{
    Confusion, Table, TableView, balanced_accuracy, macro_f1, matthews_correlation, mean_by_support, per_label,
};
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;

type Computed = Result<Map<String, Value>, StatError>;

/// The family.
pub(super) const ALL: &[Statistic] = &[
    Statistic { name: "n_pairs", summary: "items that both annotators labelled", compute: n_pairs },
    Statistic {
        name: "confusion_matrix",
        summary: "counts by label of a (rows) and b (columns)",
        compute: confusion_matrix,
    },
    Statistic {
        name: "percent_agreement",
        summary: "share of items on which both agree, Wilson's interval",
        compute: percent_agreement,
    },
    Statistic { name: "cohen_kappa", summary: "Cohen's kappa, weighted or not", compute: cohen_kappa },
    Statistic {
        name: "cohen_kappa_asymptotic",
        summary: "kappa with the large-sample errors of Fleiss, Cohen and Everitt, test, interval, kappa_max",
        compute: cohen_kappa_asymptotic,
    },
    Statistic { name: "kappa_max", summary: "the largest kappa that the margins allow", compute: kappa_max },
    Statistic { name: "scott_pi", summary: "Scott's pi", compute: scott_pi },
    Statistic { name: "pabak", summary: "(q·po − 1)/(q − 1) over q declared labels", compute: pabak },
    Statistic {
        name: "prevalence_index",
        summary: "for two labels: prevalence index, bias index",
        compute: prevalence_index,
    },
    Statistic {
        name: "per_class",
        summary: "one label: counts, specific agreement, kappa against the rest",
        compute: per_class,
    },
    Statistic {
        name: "classification",
        summary: "precision, recall, F1 and support by label, their means by support, accuracy, Matthews' correlation",
        compute: classification,
    },
    Statistic {
        name: "classification_macro",
        summary: "mean F1 over declared labels and over those in gold, balanced accuracy",
        compute: classification_macro,
    },
    Statistic { name: "stuart_maxwell", summary: "test of equal margins", compute: stuart_maxwell },
    Statistic {
        name: "collapse",
        summary: "kappa on coarser labels: `map` says where each goes, null drops an item",
        compute: collapse,
    },
];

/// Two raters' labels and their table of counts.
struct Pair {
    labels: Labels,
    table: Table,
    n: usize,
}

impl Pair {
    fn of(input: &Input, a: &str, b: &str) -> Result<Pair, StatError> {
        let (a, b) = (input.annotator(a)?, input.annotator(b)?);
        let labels = input.labels(&[a, b])?;
        let rows = input.pair(a, b);
        Ok(Pair { table: table_of(&labels, rows.iter().map(|&(_, x, y)| (x, y))), labels, n: rows.len() })
    }
}

/// The table of some pairs of labels.
pub(super) fn table_of<'l>(labels: &Labels, rows: impl Iterator<Item = (&'l str, &'l str)>) -> Table {
    let mut table = Table::new(labels.len());
    let places = rows.filter_map(|(x, y)| Some((labels.place(x)?, labels.place(y)?)));
    places.for_each(|(x, y)| table.add(x, y));
    table
}

fn n_pairs(input: &Input) -> Computed {
    let mut figures = Figures::new();
    figures.value("n", json!(input.pair(input.annotator("a")?, input.annotator("b")?).len()));
    Ok(figures.finish())
}

fn confusion_matrix(input: &Input) -> Computed {
    let pair = Pair::of(input, "a", "b")?;
    let confusion = Confusion::of(pair.table.view(), pair.labels.names());
    let mut figures = Figures::new();
    figures.value("labels", json!(confusion.labels));
    figures.value("rows=a,cols=b", json!(confusion.counts));
    Ok(figures.finish())
}

fn percent_agreement(input: &Input) -> Computed {
    let pair = Pair::of(input, "a", "b")?;
    let table = pair.table.view();
    let mut figures = Figures::new();
    figures.value("n", json!(pair.n));
    figures.number("po", kappa::percent_agreement(table));
    let wilson = wilson_at(table.agreed(), table.total(), input.params.confidence()?);
    figures.interval("wilson", wilson.ok_or(Undefined::NoItems));
    Ok(figures.finish())
}

fn cohen_kappa(input: &Input) -> Computed {
    let pair = Pair::of(input, "a", "b")?;
    let weights = weights(input, &pair.labels, Scale::Positions)?;
    let mut figures = Figures::new();
    figures.value("n", json!(pair.n));
    figures.number("kappa", kappa::weighted_kappa(pair.table.view(), &weights.disagreement(pair.labels.len())));
    Ok(figures.finish())
}

/// Whether a rater used a single label: kappa is 0 then by construction, and so are its errors, which say nothing.
pub(super) fn has_constant_rater(table: TableView<'_>) -> bool {
    let constant = |margin: &[f64]| margin.iter().filter(|&&count| count > 0.0).count() == 1;
    let (rows, columns) = table.margins();
    constant(&rows) || constant(&columns)
}

fn cohen_kappa_asymptotic(input: &Input) -> Computed {
    let pair = Pair::of(input, "a", "b")?;
    let weights = weights(input, &pair.labels, Scale::Positions)?;
    let disagreement = weights.disagreement(pair.labels.len());
    let table = pair.table.view();
    let value = kappa::weighted_kappa(table, &disagreement);
    let (se, se0) = match kappa::variances(table, &disagreement) {
        Ok(variances) => (Ok(variances.interval.sqrt()), Ok(variances.null.sqrt())),
        Err(reason) => (Err(reason), Err(reason)),
    };
    let by_construction = value.is_ok() && has_constant_rater(table);
    let quantile = normal_quantile(upper(input.params.confidence()?));
    let z = value.and_then(|value| Ok(value / se0?));
    let mut figures = Figures::new();
    figures.value("n", json!(pair.n));
    figures.number("kappa", value);
    if by_construction {
        for key in ["se", "ci_low", "ci_high", "se0", "z", "p_two_sided"] {
            figures.undefined(key, NoInterval::OneRaterConstant);
        }
        figures.number("kappa_max", kappa::kappa_max(table));
        return Ok(figures.finish());
    }
    figures.number("se", se);
    figures.interval("ci", value.and_then(|value| se.map(|se| (value - quantile * se, value + quantile * se))));
    figures.number("se0", se0);
    figures.number("z", z);
    figures.number("p_two_sided", z.map(|z| if z.is_finite() { normal_two_sided(z) } else { f64::NAN }));
    if weights == Weights::None {
        figures.number("kappa_max", kappa::kappa_max(table));
    }
    Ok(figures.finish())
}

fn kappa_max(input: &Input) -> Computed {
    let pair = Pair::of(input, "a", "b")?;
    let mut figures = Figures::new();
    figures.number("kappa_max", kappa::kappa_max(pair.table.view()));
    Ok(figures.finish())
}

fn scott_pi(input: &Input) -> Computed {
    let pair = Pair::of(input, "a", "b")?;
    let mut figures = Figures::new();
    figures.number("pi", kappa::scott_pi(pair.table.view()));
    Ok(figures.finish())
}

fn pabak(input: &Input) -> Computed {
    let pair = Pair::of(input, "a", "b")?;
    let mut figures = Figures::new();
    figures.number("value", kappa::brennan_prediger(pair.table.view()));
    Ok(figures.finish())
}

fn prevalence_index(input: &Input) -> Computed {
    let pair = Pair::of(input, "a", "b")?;
    let table = pair.table.view();
    let reason = if pair.labels.len() == 2 { "no item was rated by both" } else { "only for two labels" };
    let mut figures = Figures::new();
    figures.optional("prevalence_index", margins::prevalence_index(table), reason);
    figures.optional("bias_index", margins::bias_index(table), reason);
    Ok(figures.finish())
}

fn per_class(input: &Input) -> Computed {
    let pair = Pair::of(input, "a", "b")?;
    let label = input.params.text("label")?;
    let k = pair
        .labels
        .place(label)
        .ok_or_else(|| input.params.wrong("label", format!("one of the labels {}", pair.labels.names().join(", "))))?;
    let figure = &per_label(pair.table.view(), pair.labels.names())[k];
    let mut figures = Figures::new();
    figures.value("n_a", json!(figure.support));
    figures.value("n_b", json!(figure.used));
    figures.value("n_both", json!(pair.table.view().count(k, k)));
    figures.optional("specific_agreement", figure.f1, "neither annotator used the label");
    figures.number("kappa_one_vs_rest", kappa::cohen_kappa(pair.table.view().one_against_rest(k).view()));
    Ok(figures.finish())
}

fn classification(input: &Input) -> Computed {
    let pair = Pair::of(input, "gold", "pred")?;
    let table = pair.table.view();
    let by_label = per_label(table, pair.labels.names());
    let mut figures = Figures::new();
    for figure in &by_label {
        let label = &figure.label;
        figures.optional(format!("{label}|precision"), figure.precision, "pred never has the label");
        figures.optional(format!("{label}|recall"), figure.recall, "gold never has the label");
        figures.optional(format!("{label}|f1-score"), figure.f1, "neither has the label");
        figures.value(format!("{label}|support"), json!(figure.support));
    }
    let no_items = Undefined::NoItems;
    figures.optional("weighted|precision", mean_by_support(&by_label, |label| label.precision), no_items);
    figures.optional("weighted|recall", mean_by_support(&by_label, |label| label.recall), no_items);
    figures.optional("weighted|f1-score", mean_by_support(&by_label, |label| label.f1), no_items);
    figures.number("accuracy", kappa::percent_agreement(table));
    figures.number("mcc", matthews_correlation(table));
    Ok(figures.finish())
}

fn classification_macro(input: &Input) -> Computed {
    let pair = Pair::of(input, "gold", "pred")?;
    let by_label = per_label(pair.table.view(), pair.labels.names());
    let (declared, in_gold) = macro_f1(&by_label);
    let mut figures = Figures::new();
    figures.optional("macro_f1_all_labels_zero0", declared.filter(|_| pair.n > 0), Undefined::NoItems);
    figures.optional("macro_f1_gold_labels_zero0", in_gold, Undefined::NoItems);
    figures.number("balanced_accuracy", balanced_accuracy(pair.table.view()));
    Ok(figures.finish())
}

fn stuart_maxwell(input: &Input) -> Computed {
    let pair = Pair::of(input, "a", "b")?;
    let (df, test) = margins::stuart_maxwell_of_used(pair.table.view());
    let reason = "a label is never confused with another, so the covariance of the differences cannot be inverted";
    let mut figures = Figures::new();
    figures.optional("statistic", test.map(|test| test.statistic), reason);
    figures.value("df", json!(df));
    figures.optional("p", test.map(|test| test.p), reason);
    if let (None, Some(rest)) = (test, margins::stuart_maxwell(pair.table.view())) {
        figures.value("of_confused_labels", json!(rest));
    }
    Ok(figures.finish())
}

fn collapse(input: &Input) -> Computed {
    let (a, b) = (input.annotator("a")?, input.annotator("b")?);
    let expected = "an object from label to coarser label, or to null";
    let map = input.params.get("map").and_then(Value::as_object).ok_or_else(|| input.params.wrong("map", expected))?;
    if map.values().any(|target| !target.is_string() && !target.is_null()) {
        return Err(input.params.wrong("map", expected));
    }
    let coarse: BTreeSet<&str> = map.values().filter_map(Value::as_str).collect();
    let labels = Labels::new(coarse.into_iter().map(str::to_owned).collect());
    let target = |label: &str| map.get(label).and_then(Value::as_str);
    let both = input.pair(a, b);
    let rows: Vec<(&str, &str)> = both.iter().filter_map(|&(_, x, y)| Some((target(x)?, target(y)?))).collect();
    let table = table_of(&labels, rows.iter().copied());
    let confusion = Confusion::of(table.view(), labels.names());
    let mut figures = Figures::new();
    figures.value("n", json!(rows.len()));
    figures.value("dropped", json!(both.len() - rows.len()));
    let unmapped: BTreeSet<&str> =
        both.iter().flat_map(|&(_, x, y)| [x, y]).filter(|label| !map.contains_key(*label)).collect();
    if !unmapped.is_empty() {
        let unmapped: Vec<&str> = unmapped.into_iter().collect();
        figures.value("unmapped", json!(unmapped));
        figures.value(
            "warning",
            format!("`map` does not name {}: items on which a rater used it are dropped", unmapped.join(", ")),
        );
    }
    figures.number("kappa", kappa::cohen_kappa(table.view()));
    let variances = kappa::variances(table.view(), &Weights::None.disagreement(labels.len()));
    match kappa::cohen_kappa(table.view()).is_ok() && has_constant_rater(table.view()) {
        true => figures.undefined("se", NoInterval::OneRaterConstant),
        false => figures.number("se", variances.map(|variances| variances.interval.sqrt())),
    }
    figures.number("po", kappa::percent_agreement(table.view()));
    figures.value("labels", json!(confusion.labels));
    figures.value("confusion", json!(confusion.counts));
    Ok(figures.finish())
}

#[cfg(test)]
mod tests {
    use super::super::find;
    use super::super::input::input;
    use super::*;

    /// Two raters' letters, item by item.
    fn found(name: &str, a: &str, b: &str, params: Value) -> Value {
        let items: Vec<String> = (0..a.len()).map(|place| format!("i{place}")).collect();
        let label = |text: &'static str, place: usize| &text[place..=place];
        let (a, b): (&'static str, &'static str) = (a.to_owned().leak(), b.to_owned().leak());
        let rows: Vec<(&str, &str, &str)> = (items.iter().enumerate())
            .flat_map(|(place, item)| [(item.as_str(), "x", label(a, place)), (item.as_str(), "y", label(b, place))])
            .collect();
        let mut all = json!({"a": "x", "b": "y", "gold": "x", "pred": "y", "labels": ["a", "b", "c", "d"]});
        all.as_object_mut().unwrap().extend(params.as_object().unwrap().clone());
        Value::Object((find(name).unwrap().compute)(&input(&rows, all)).unwrap())
    }

    #[track_caller]
    fn close(found: &Value, expected: f64) {
        assert!(found.as_f64().is_some_and(|found| (found - expected).abs() < 1e-10), "{found}, not {expected}");
    }

    const A: &str = "aabbbcccaabbcabcaacb";
    const B: &str = "aabbccccaabacabbabcb";

    #[test]
    fn a_matrix_of_disagreements_is_weighed_as_in_statsmodels() {
        // statsmodels 0.15.0, cohens_kappa(table, weights=matrix); the label d is declared and unused.
        let matrix = json!([[0, 1, 4, 9], [1, 0, 2, 5], [4, 2, 0, 1], [9, 5, 1, 0]]);
        let figures = found("cohen_kappa_asymptotic", A, B, json!({"weights": {"disagreement": matrix}}));
        close(&figures["kappa"], 0.8006644518272426);
        close(&figures["se"], 0.10017430538999886);
        close(&figures["se0"], 0.19657698101399218);
        close(&figures["z"], 4.073032598716388);
        let pair =
            input(&[("i", "x", "a")], json!({"labels": ["a", "b"], "weights": {"disagreement": [[0, 1], [2, 0]]}}));
        let error = weights(&pair, &pair.labels(&[0]).unwrap(), Scale::Positions).unwrap_err().to_string();
        assert!(error.contains("symmetric") && error.contains("row 1, column 2 is 1"), "{error}");
    }

    #[test]
    fn unused_labels_and_a_constant_rater_are_as_in_scikit_learn() {
        // scikit-learn 1.9.1, classification_report(zero_division=nan), matthews_corrcoef, f1_score, balanced_accuracy_score.
        close(&found("classification", A, B, json!({}))["mcc"], 0.6992481203007519);
        let means = found("classification_macro", A, B, json!({}));
        close(&means["macro_f1_all_labels_zero0"], 0.6011904761904762);
        close(&means["balanced_accuracy"], 0.8015873015873015);
        let constant = "a".repeat(20);
        let figures = found("classification", A, &constant, json!({}));
        close(&figures["weighted|precision"], 0.35);
        close(&figures["weighted|f1-score"], 0.18148148148148147);
        close(&figures["b|recall"], 0.0);
        for key in ["b|precision", "d|f1-score", "mcc"] {
            assert_eq!(figures[key], Value::Null, "{key}");
        }
        let kappa = found("cohen_kappa_asymptotic", A, &constant, json!({}));
        assert_eq!((&kappa["kappa"], &kappa["se"], &kappa["ci_low"]), (&json!(0.0), &Value::Null, &Value::Null));
        assert!(kappa["undefined"]["se"].as_str().unwrap().contains("0 by construction"));
    }

    #[test]
    fn weights_by_position_need_an_order_that_somebody_declared() {
        let pair = input(&[("i", "x", "low"), ("i", "y", "high")], json!({"a": "x", "b": "y", "weights": "linear"}));
        assert!(cohen_kappa(&pair).unwrap_err().to_string().contains("the labels in their order"));
    }

    #[test]
    fn a_label_that_is_never_confused_leaves_the_test_of_margins_undefined() {
        let figures = found("stuart_maxwell", "aabbbccdd", "aabccbcdd", json!({}));
        assert_eq!((&figures["statistic"], &figures["df"]), (&Value::Null, &json!(3)));
        assert_eq!(figures["of_confused_labels"]["df"], json!(1));
    }

    #[test]
    fn a_label_that_a_collapse_does_not_name_is_told_and_a_constant_rater_has_no_error() {
        let found = found("collapse", "aabbcc", "aabbcc", json!({"map": {"a": "1", "b": "0"}}));
        assert_eq!((&found["n"], &found["dropped"], &found["unmapped"]), (&json!(4), &json!(2), &json!(["c"])));
        assert!(found["warning"].as_str().unwrap().contains("does not name c"));
        let map = json!({"map": {"a": "1", "b": "1", "c": "0"}});
        assert_eq!(super::tests::found("collapse", "aabb", "aabc", map)["se"], Value::Null);
    }
}
