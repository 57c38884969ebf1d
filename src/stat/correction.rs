//! Shares, means and differences of a model's labels, corrected by gold. The formulas are in [`crate::estimate`]; here variances and quantiles
//! are those of the reference implementations (1/n and normal).

mod shares;

use super::{Figures, Input, StatError, Statistic};
use crate::estimate::ppi::{self, Convention, Lambda, Parts, RegressionParts, Stratum};
use crate::estimate::{NoCorrection, design};
use serde_json::{Map, Value};

/// The family.
pub(super) const ALL: &[Statistic] = &[
    Statistic {
        name: "naive_mean",
        summary: "means of the model's answers and of the gold's, uncorrected",
        compute: naive_mean,
    },
    Statistic { name: "ppi_mean", summary: "mean by prediction-powered inference (PPI++)", compute: ppi_mean },
    Statistic {
        name: "ppi_mean_weighted",
        summary: "mean by prediction-powered inference with weights of the items",
        compute: ppi_mean_weighted,
    },
    Statistic {
        name: "ppi_difference",
        summary: "difference of two groups' means by prediction-powered inference",
        compute: ppi_difference,
    },
    Statistic { name: "ppi_ols", summary: "linear regression by prediction-powered inference", compute: ppi_ols },
    Statistic {
        name: "stratified_ppi_mean",
        summary: "mean by prediction-powered inference within strata",
        compute: stratified_ppi_mean,
    },
    Statistic {
        name: "difference_estimator_finite",
        summary: "mean over the items of the file alone, as a finite population",
        compute: difference_estimator_finite,
    },
    Statistic {
        name: "dsl_mean",
        summary: "mean by design, from known probabilities of being gold",
        compute: dsl_mean,
    },
    Statistic {
        name: "dsl_ols",
        summary: "linear regression by design, from known probabilities of being gold",
        compute: dsl_ols,
    },
    Statistic {
        name: "poststratified_shares",
        summary: "shares of all labels, post-stratified on the model's label",
        compute: shares::poststratified_shares,
    },
    Statistic {
        name: "poststratified_prevalence",
        summary: "share of one label, post-stratified on the model's label",
        compute: shares::poststratified_prevalence,
    },
    Statistic {
        name: "poststratified_jeffreys",
        summary: "interval of the post-stratified share from a Jeffreys posterior",
        compute: shares::poststratified_jeffreys,
    },
    Statistic {
        name: "rogan_gladen",
        summary: "share of a label corrected by sensitivity and specificity, Lang–Reiczigel interval",
        compute: shares::rogan_gladen,
    },
    Statistic {
        name: "rogan_gladen_bootstrap",
        summary: "bootstrap interval of the same that resamples the gold alone",
        compute: shares::rogan_gladen_bootstrap,
    },
    Statistic {
        name: "confusion_inversion",
        summary: "shares of all labels by the inverted confusion matrix",
        compute: shares::confusion_inversion,
    },
];

/// An item that the model answered: its place, the gold's label if it has one, the model's.
type Item<'i> = (usize, Option<&'i str>, &'i str);

/// The items that the model answered, in file order.
fn answered(input: &Input) -> Result<Vec<Item<'_>>, StatError> {
    let (gold, model) = (input.annotator("gold")?, input.annotator("llm")?);
    let places = 0..input.ratings.items().len();
    Ok(places
        .filter_map(|item| Some((item, input.ratings.label(item, gold), input.ratings.label(item, model)?)))
        .collect())
}

/// What of a label is averaged.
enum Quantity<'p> {
    /// 1 for this label, 0 for others: `1[label=yes]`.
    Is(&'p str),
    /// The label as a number.
    Number,
}

impl<'p> Quantity<'p> {
    /// `None` for an indicator of something other than one label, such as `1[label>=50]`.
    fn parse(text: &'p str) -> Option<Quantity<'p>> {
        let Some(rest) = text.trim().strip_prefix("1[") else { return Some(Quantity::Number) };
        let (name, label) = rest.strip_suffix(']')?.split_once('=')?;
        let is_name = name.trim().bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        is_name.then(|| Quantity::Is(label.strip_prefix('=').unwrap_or(label)))
    }

    fn of(&self, input: &Input, item: usize, annotator: &str, label: &str) -> Result<f64, StatError> {
        match self {
            Quantity::Is(wanted) => Ok(f64::from(u8::from(label == *wanted))),
            Quantity::Number => label.trim().parse().ok().filter(|x: &f64| x.is_finite()).ok_or_else(|| {
                let item = input.ratings.items()[item].clone();
                StatError::NotANumber { item, annotator: annotator.to_owned(), label: label.to_owned() }
            }),
        }
    }
}

/// An item in numbers.
#[derive(Clone, Copy)]
struct Row {
    item: usize,
    gold: Option<f64>,
    guess: f64,
}

fn rows(input: &Input, quantity: &Quantity<'_>) -> Result<Vec<Row>, StatError> {
    let (gold_name, model_name) = (input.params.text("gold")?, input.params.text("llm")?);
    let row = |(item, gold, guess): Item<'_>| {
        let gold = gold.map(|label| quantity.of(input, item, gold_name, label)).transpose()?;
        Ok(Row { item, gold, guess: quantity.of(input, item, model_name, guess)? })
    };
    answered(input)?.into_iter().map(row).collect()
}

/// The parameter `value`.
fn value(input: &Input) -> Result<Quantity<'_>, StatError> {
    let wrong = || input.params.wrong("value", "`1[label=yes]`, or `label` for the labels as numbers");
    Quantity::parse(input.params.text_or("value", "label")?).ok_or_else(wrong)
}

/// The rows of the parameter `value`: `1[label=X]`, or the labels as numbers.
fn valued(input: &Input) -> Result<Vec<Row>, StatError> {
    rows(input, &value(input)?)
}

/// Whether the model's answers on gold items count among the unlabelled too: only on demand, since they would count twice.
fn all_are_unlabelled(input: &Input) -> Result<bool, StatError> {
    let text = input.params.text_or("unlabeled", "items with llm and without gold")?;
    match text {
        _ if text.contains("without gold") => Ok(false),
        "items with llm" | "all items" | "all" => Ok(true),
        _ => Err(input.params.wrong("unlabeled", "`items with llm and without gold` or `all items`")),
    }
}

type Split = (Vec<(f64, f64)>, Vec<f64>);

fn split(rows: &[Row], all: bool) -> Split {
    let gold = rows.iter().filter_map(|row| Some((row.gold?, row.guess))).collect();
    (gold, rows.iter().filter(|row| all || row.gold.is_none()).map(|row| row.guess).collect())
}

fn lambda(input: &Input) -> Result<Lambda, StatError> {
    match input.params.get("lambda") {
        None => Ok(Lambda::Tuned),
        Some(Value::String(text)) if text == "tuned" => Ok(Lambda::Tuned),
        Some(Value::String(text)) if text == "gold" => Ok(Lambda::OnGold),
        Some(value) => {
            value.as_f64().map(Lambda::Fixed).ok_or_else(|| input.params.wrong("lambda", "tuned, gold or a number"))
        }
    }
}

/// Variances with 1/n and normal quantiles, unless `small_sample` is asked for.
fn convention(input: &Input) -> Result<Convention, StatError> {
    Ok(match input.params.get("convention") {
        None => Convention::Asymptotic,
        Some(_) => match input.params.one_of("convention", &["asymptotic", "small_sample"])? {
            "small_sample" => Convention::SmallSample,
            _ => Convention::Asymptotic,
        },
    })
}

fn alpha(input: &Input) -> Result<f64, StatError> {
    Ok(1.0 - input.params.confidence()?)
}

/// A mean's figures under a prefix such as `easy|`.
fn push_mean(figures: &mut Figures, prefix: &str, found: &Result<ppi::Mean, NoCorrection>, keys: &[&str]) {
    for key in keys {
        let number = |found: &ppi::Mean| match *key {
            "lambda" => found.lambda,
            "estimate" => found.estimate,
            "se" => found.se,
            "ci_low" => found.low,
            _ => found.high,
        };
        figures.number(format!("{prefix}{key}"), found.as_ref().map(number));
    }
}

const WHOLE: [&str; 5] = ["lambda", "estimate", "se", "ci_low", "ci_high"];

fn naive_mean(input: &Input) -> Result<Map<String, Value>, StatError> {
    let quantity = value(input)?;
    let mut figures = Figures::new();
    for (key, parameter) in [("llm_all", "llm"), ("gold_only", "gold")] {
        if input.params.get(parameter).is_none() && input.ratings.annotator(parameter).is_none() {
            continue;
        }
        let name = input.params.text_or(parameter, parameter)?;
        let annotator = match input.params.get(parameter) {
            Some(_) => Some(input.annotator(parameter)?),
            None => input.ratings.annotator(name),
        };
        let label = |item| annotator.and_then(|annotator| Some((item, input.ratings.label(item, annotator)?)));
        let values: Vec<f64> = ((0..input.ratings.items().len()).filter_map(label))
            .map(|(item, label)| quantity.of(input, item, name, label))
            .collect::<Result<_, _>>()?;
        let mean = (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64);
        figures.optional(key, mean, NoCorrection::NoGold);
    }
    Ok(figures.finish())
}

fn ppi_mean(input: &Input) -> Result<Map<String, Value>, StatError> {
    let (gold, rest) = split(&valued(input)?, all_are_unlabelled(input)?);
    let parts = Parts { gold: &gold, rest: &rest };
    let found = ppi::mean(parts, lambda(input)?, Convention::Asymptotic, alpha(input)?);
    let mut figures = Figures::new();
    figures.value("n", gold.len());
    figures.value("N", rest.len());
    push_mean(&mut figures, "", &found, &WHOLE);
    Ok(figures.finish())
}

/// The weights of items: a column, or `1/COLUMN`. Items that the column says nothing of have 1 if that holds for all of them.
fn weights(input: &Input, items: &[usize]) -> Result<Vec<f64>, StatError> {
    let text = input.params.text("weights")?;
    let (name, inverted) = text.strip_prefix("1/").map_or((text, false), |name| (name, true));
    let column = input.covariate(name)?;
    if items.iter().all(|item| column.text(*item).map_or(true, str::is_empty)) {
        return Ok(vec![1.0; items.len()]);
    }
    let weight = |item: &usize| column.number(*item).map(|w| if inverted { 1.0 / w } else { w });
    items.iter().map(weight).collect()
}

fn ppi_mean_weighted(input: &Input) -> Result<Map<String, Value>, StatError> {
    let (rows, all) = (valued(input)?, all_are_unlabelled(input)?);
    let (gold, rest) = split(&rows, all);
    let items =
        |wanted: &dyn Fn(&Row) -> bool| rows.iter().filter(|row| wanted(row)).map(|row| row.item).collect::<Vec<_>>();
    let of_gold = weights(input, &items(&|row| row.gold.is_some()))?;
    let of_rest = weights(input, &items(&|row| all || row.gold.is_none()))?;
    let parts = Parts { gold: &gold, rest: &rest };
    let found = ppi::weighted_mean(parts, (&of_gold, &of_rest), lambda(input)?, alpha(input)?);
    let mut figures = Figures::new();
    figures.value("n", gold.len());
    figures.value("N", rest.len());
    push_mean(&mut figures, "", &found, &WHOLE);
    Ok(figures.finish())
}

/// The values of a column in ascending order (as numbers if all are) with the rows of each.
fn by_column(input: &Input, name: &str, rows: &[Row]) -> Result<Vec<(String, Vec<Row>)>, StatError> {
    let column = input.covariate(name)?;
    let mut groups: Vec<(String, Vec<Row>)> = vec![];
    for row in rows {
        let value = column.text(row.item)?;
        match groups.iter_mut().find(|(known, _)| known == value) {
            Some((_, members)) => members.push(*row),
            None => groups.push((value.to_owned(), vec![*row])),
        }
    }
    let numbers: Option<Vec<f64>> = groups.iter().map(|(value, _)| value.trim().parse().ok()).collect();
    match numbers {
        Some(_) => groups.sort_by(|(a, _), (b, _)| {
            let number = |text: &str| text.trim().parse().unwrap_or(f64::NAN);
            f64::total_cmp(&number(a), &number(b))
        }),
        None => groups.sort_by(|(a, _), (b, _)| a.cmp(b)),
    }
    Ok(groups)
}

fn ppi_difference(input: &Input) -> Result<Map<String, Value>, StatError> {
    let name = input.params.text("group")?;
    let groups = by_column(input, name, &valued(input)?)?;
    let [(first, of_first), (second, of_second)] = &groups[..] else {
        let values: Vec<&str> = groups.iter().map(|(value, _)| value.as_str()).collect();
        return Err(StatError::Unfit {
            what: format!("column `{name}` has {} values, not two: {}", values.len(), values.join(", ")),
            hint: "a difference is of two groups".to_owned(),
        });
    };
    let (lambda, alpha, all) = (lambda(input)?, alpha(input)?, all_are_unlabelled(input)?);
    let mean = |rows: &[Row]| {
        let (gold, rest) = split(rows, all);
        ppi::mean(Parts { gold: &gold, rest: &rest }, lambda, Convention::Asymptotic, alpha)
    };
    let (a, b) = (mean(of_first), mean(of_second));
    let mut figures = Figures::new();
    for (value, found) in [(first, &a), (second, &b)] {
        // `x1|…` also where the column says 1.0.
        let value = match value.trim().parse::<f64>() {
            Ok(number) if number.fract() == 0.0 => format!("{number:.0}"),
            _ => value.clone(),
        };
        push_mean(&mut figures, &format!("{name}{value}|"), found, &WHOLE);
        push_mean(&mut figures, &format!("{value}|"), found, &WHOLE);
    }
    let difference = match (&a, &b) {
        (Ok(a), Ok(b)) => Ok(ppi::difference(a, b, alpha)),
        (Err(reason), _) | (_, Err(reason)) => Err(reason.clone()),
    };
    figures.number("diff", difference.as_ref().map(|found| found.estimate));
    push_mean(&mut figures, "", &difference, &["se", "ci_low", "ci_high"]);
    let naive = |rows: &[Row]| rows.iter().map(|row| row.guess).sum::<f64>() / rows.len() as f64;
    figures.exact("naive_llm_diff", naive(of_second) - naive(of_first));
    Ok(figures.finish())
}

fn stratified_ppi_mean(input: &Input) -> Result<Map<String, Value>, StatError> {
    let name = input.params.text_or("stratum", "stratum")?;
    let (groups, all) = (by_column(input, name, &valued(input)?)?, all_are_unlabelled(input)?);
    let strata: Vec<Stratum> = (groups.iter())
        .map(|(name, rows)| {
            let (gold, rest) = split(rows, all);
            Stratum { name: name.clone(), gold, rest }
        })
        .collect();
    let found = ppi::stratified_mean(&strata, lambda(input)?, convention(input)?, alpha(input)?);
    let mut figures = Figures::new();
    let items: usize = groups.iter().map(|(_, rows)| rows.len()).sum();
    for (at, (stratum, rows)) in groups.iter().enumerate() {
        let mean = found.as_ref().map(|found| found.strata[at].2).map_err(NoCorrection::clone);
        push_mean(&mut figures, &format!("{stratum}|"), &mean, &["lambda", "estimate", "se"]);
        figures.exact(format!("{stratum}|share"), rows.len() as f64 / items as f64);
    }
    push_mean(&mut figures, "", &found.map(|found| found.mean), &["estimate", "se", "ci_low", "ci_high"]);
    let gold: Vec<f64> = groups.iter().flat_map(|(_, rows)| rows).filter_map(|row| row.gold).collect();
    let mean = (!gold.is_empty()).then(|| gold.iter().sum::<f64>() / gold.len() as f64);
    figures.optional("wrong_unstratified_gold_mean", mean, NoCorrection::NoGold);
    Ok(figures.finish())
}

fn difference_estimator_finite(input: &Input) -> Result<Map<String, Value>, StatError> {
    let (gold, rest) = split(&valued(input)?, false);
    let found = ppi::finite_mean(Parts { gold: &gold, rest: &rest }, alpha(input)?);
    let mut figures = Figures::new();
    push_mean(&mut figures, "", &found, &["estimate", "se", "ci_low", "ci_high"]);
    Ok(figures.finish())
}

/// What a regression is of.
struct Model {
    rows: Vec<Row>,
    /// Covariates, a row each.
    x: Vec<Vec<f64>>,
    /// Whether the first of them is 1.
    intercept: bool,
}

/// A formula `OUTCOME ~ 1 + COLUMN + …`: the outcome, and one row of covariates an item.
fn formula<'p>(
    input: &'p Input,
    items: impl Fn(&Quantity<'p>) -> Result<Vec<Row>, StatError>,
) -> Result<Model, StatError> {
    let text = input.params.text("formula")?;
    let wrong = || input.params.wrong("formula", "`1[label=yes] ~ 1 + COLUMN`, with columns of numbers of the items");
    let (outcome, terms) = text.split_once('~').ok_or_else(wrong)?;
    let rows = items(&Quantity::parse(outcome).ok_or_else(wrong)?)?;
    let terms: Vec<&str> = terms.split('+').map(str::trim).collect();
    let intercept = !terms.contains(&"0");
    let columns = terms.iter().filter(|term| !["0", "1"].contains(term));
    let columns = columns
        .map(|term| if term.is_empty() { Err(wrong()) } else { input.covariate(term) })
        .collect::<Result<Vec<_>, _>>()?;
    let covariates = |row: &Row| {
        let numbers = columns.iter().map(|column| column.number(row.item));
        intercept.then_some(Ok(1.0)).into_iter().chain(numbers).collect::<Result<Vec<f64>, _>>()
    };
    let x = rows.iter().map(covariates).collect::<Result<_, _>>()?;
    Ok(Model { rows, x, intercept })
}

/// Coefficients count from 0 with an intercept, else from 1.
fn coefficient_names(x: &[Vec<f64>], intercept: bool) -> Vec<String> {
    let first = usize::from(!intercept);
    (0..x.first().map_or(0, Vec::len)).map(|at| format!("b{}", at + first)).collect()
}

fn ppi_ols(input: &Input) -> Result<Map<String, Value>, StatError> {
    let Model { rows, x, intercept } = formula(input, |quantity| rows(input, quantity))?;
    let all = all_are_unlabelled(input)?;
    let (gold, rest) = split(&rows, all);
    let choose = |wanted: &dyn Fn(&Row) -> bool| -> Vec<Vec<f64>> {
        rows.iter().zip(&x).filter(|(row, _)| wanted(row)).map(|(_, x)| x.clone()).collect()
    };
    let (gold_x, rest_x) = (choose(&|row| row.gold.is_some()), choose(&|row| all || row.gold.is_none()));
    let parts = RegressionParts { gold_x: &gold_x, gold: &gold, rest_x: &rest_x, rest: &rest };
    let (lambda, alpha) = (lambda(input)?, alpha(input)?);
    let found = ppi::regression(parts, lambda, alpha);
    // The reference implementation tunes λ once more for the interval, at the coefficients that the first λ gave.
    let interval = match (&found, lambda) {
        (Ok(found), Lambda::Tuned) => ppi::regression_lambda(parts, found.lambda)
            .and_then(|lambda| ppi::regression(parts, Lambda::Fixed(lambda), alpha)),
        (found, _) => found.clone(),
    };
    let mut figures = Figures::new();
    figures.number("lambda", found.as_ref().map(|found| found.lambda));
    for (at, name) in coefficient_names(&x, intercept).iter().enumerate() {
        figures.number(name, found.as_ref().map(|found| found.estimates[at]));
        figures.number(format!("{name}_se"), interval.as_ref().map(|found| found.errors[at]));
        figures.interval(&format!("{name}_ci"), interval.as_ref().map(|found| found.intervals[at]));
    }
    Ok(figures.finish())
}

/// Units with their probability of being gold, the column `prob`, and their cluster: the column that `cluster` names, else `session`.
fn design_units(input: &Input, rows: &[Row]) -> Result<Vec<design::Unit>, StatError> {
    let probability = input.covariate(input.params.text_or("prob", "prob")?)?;
    let has_sessions = input.items.columns().iter().any(|column| column == "session");
    let name = input.params.text_or("cluster", if has_sessions { "session" } else { "item" })?;
    let column = if name == "item" { None } else { Some(input.covariate(name)?) };
    let mut known: std::collections::HashMap<&str, usize> = std::collections::HashMap::new();
    let mut units = vec![];
    for row in rows {
        let next = known.len();
        let cluster = match &column {
            None => row.item,
            Some(column) => *known.entry(column.text(row.item)?).or_insert(next),
        };
        let probability = if row.gold.is_some() { probability.number(row.item)? } else { 1.0 };
        units.push(design::Unit { guess: row.guess, gold: row.gold, probability, cluster });
    }
    Ok(units)
}

fn dsl_mean(input: &Input) -> Result<Map<String, Value>, StatError> {
    let found = design::mean(&design_units(input, &valued(input)?)?);
    let found = found.as_ref();
    let mut figures = Figures::new();
    figures.number("estimate", found.map(|found| found.estimate));
    figures.number("se_hc1", found.map(|found| found.se));
    let clustered = found
        .map_err(NoCorrection::to_string)
        .and_then(|found| found.se_cluster.ok_or_else(|| "a single cluster".to_owned()));
    figures.number("se_cluster", clustered);
    figures.number("naive_llm", found.map(|found| found.naive_model));
    figures.number("naive_gold_unweighted", found.map(|found| found.naive_gold));
    figures.number("hajek_gold", found.map(|found| found.hajek_gold));
    Ok(figures.finish())
}

fn dsl_ols(input: &Input) -> Result<Map<String, Value>, StatError> {
    let Model { rows, x, intercept } = formula(input, |quantity| rows(input, quantity))?;
    let found = design::regression(&design_units(input, &rows)?, &x);
    let found = found.as_ref();
    let mut figures = Figures::new();
    for (at, name) in coefficient_names(&x, intercept).iter().enumerate() {
        figures.number(name, found.map(|fit| fit.coefficients[at]));
        figures.number(format!("se_hc0_{name}"), found.map(|fit| fit.hc0[at]));
        figures.number(format!("se_hc1_{name}"), found.map(|fit| fit.hc1[at]));
        let clustered = found
            .map_err(NoCorrection::to_string)
            .and_then(|fit| fit.cluster.as_ref().map(|errors| errors[at]).ok_or_else(|| "a single cluster".to_owned()));
        figures.number(format!("se_cluster_{name}"), clustered);
    }
    Ok(figures.finish())
}
