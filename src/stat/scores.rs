//! Two or more raters on scores: error, limits of agreement, correlations, concordance, intraclass correlation.

use super::{Figures, Input, StatError, Statistic};
use crate::agreement::distribution::{normal_quantile, t_quantile, upper};
use crate::agreement::estimate::{NoInterval, Undefined, Value as Figure};
use crate::agreement::interval::Sample;
use crate::agreement::rank::RankSample;
use crate::agreement::score::{Anova, Icc, Moments, correlation_p};
use crate::agreement::score_pair::median;
use serde_json::{Map, Value, json};

type Computed = Result<Map<String, Value>, StatError>;

/// The family.
pub(super) const ALL: &[Statistic] = &[
    Statistic {
        name: "error",
        summary: "mean and median absolute error, root mean squared error, bias b − a",
        compute: error,
    },
    Statistic {
        name: "bland_altman",
        summary: "bias b − a, standard deviation, limits of agreement, slope of the difference on the mean",
        compute: bland_altman,
    },
    Statistic { name: "pearson", summary: "Pearson's r, p, Fisher's interval", compute: pearson },
    Statistic { name: "spearman", summary: "Spearman's rho with mid-ranks, p by t", compute: spearman },
    Statistic {
        name: "kendall_tau_b",
        summary: "Kendall's tau-b, p by the normal approximation with ties",
        compute: kendall,
    },
    Statistic {
        name: "lin_ccc",
        summary: "Lin's concordance correlation, error and interval on the atanh scale",
        compute: lin_ccc,
    },
    Statistic {
        name: "icc",
        summary: "the six intraclass correlations with F and interval, items that all scored",
        compute: icc,
    },
];

/// Both raters' scores on the items that both scored.
fn pairs(input: &Input) -> Result<Vec<(f64, f64)>, StatError> {
    let rows = input.scores(input.annotator("a")?, input.annotator("b")?)?;
    Ok(rows.into_iter().map(|(_, x, y)| (x, y)).collect())
}

fn mean(values: impl Iterator<Item = f64> + Clone) -> Figure {
    match values.clone().count() {
        0 => Err(Undefined::NoItems),
        n => Ok(values.sum::<f64>() / n as f64),
    }
}

/// Numbers less their mean, by the largest of them: what does not depend on a scale is computed on this one, whatever it was.
fn standardised(values: &[f64], of: impl Iterator<Item = f64> + Clone) -> Vec<f64> {
    let centre = mean(of.clone()).unwrap_or(0.0);
    let largest = of.map(|value| (value - centre).abs()).fold(0.0, f64::max);
    values.iter().map(|value| if largest > 0.0 { (value - centre) / largest } else { 0.0 }).collect()
}

fn error(input: &Input) -> Computed {
    let differences: Vec<f64> = pairs(input)?.into_iter().map(|(x, y)| y - x).collect();
    let absolute: Vec<f64> = differences.iter().map(|d| d.abs()).collect();
    let mut figures = Figures::new();
    figures.value("n", json!(differences.len()));
    figures.number("mae", mean(absolute.iter().copied()));
    figures.number("rmse", mean(differences.iter().map(|d| d * d)).map(f64::sqrt));
    figures.number("bias_b_minus_a", mean(differences.iter().copied()));
    figures.number("median_ae", median(absolute.clone()).ok_or(Undefined::NoItems));
    for most in [5.0, 10.0, 20.0] {
        let within = mean(absolute.iter().map(|&d| f64::from(d <= most)));
        figures.number(format!("within_{most}"), within);
    }
    Ok(figures.finish())
}

fn bland_altman(input: &Input) -> Computed {
    let pairs = pairs(input)?;
    let differences = pairs.iter().map(|(x, y)| y - x);
    let n = pairs.len() as f64;
    let bias = mean(differences.clone());
    let needed = Undefined::TooFewItems { needed: 2 };
    let sd = bias.and_then(|bias| match n {
        n if n < 2.0 => Err(needed),
        n => Ok((differences.map(|d| (d - bias).powi(2)).sum::<f64>() / (n - 1.0)).sqrt()),
    });
    let around = |half: Figure| bias.and_then(|bias| half.map(|half| (bias - half, bias + half)));
    let confidence = input.params.confidence()?;
    let z = normal_quantile(upper(0.95));
    let half = sd.map(|sd| t_quantile(upper(confidence), n - 1.0) * sd / n.sqrt());
    let centre = mean(pairs.iter().map(|(x, y)| (x + y) / 2.0)).unwrap_or(0.0);
    let moments = Moments::of(&pairs.iter().map(|(x, y)| (x - centre, y - centre)).collect::<Vec<_>>());
    let mut figures = Figures::new();
    figures.value("n", json!(pairs.len()));
    figures.number("bias", bias);
    figures.number("sd", sd);
    figures.interval("loa", around(sd.map(|sd| z * sd)));
    figures.interval("bias_ci", around(half));
    figures.number("loa_se", sd.map(|sd| sd * (1.0 / n + z * z / (2.0 * (n - 1.0))).sqrt()));
    figures.number("slope_on_mean", moments.slope());
    Ok(figures.finish())
}

fn pearson(input: &Input) -> Computed {
    let (x, y): (Vec<f64>, Vec<f64>) = pairs(input)?.into_iter().unzip();
    let (x, y) = (standardised(&x, x.iter().copied()), standardised(&y, y.iter().copied()));
    let moments = Moments::of(&x.into_iter().zip(y).collect::<Vec<_>>());
    let r = moments.pearson();
    let interval = match (r, moments.pearson_interval(input.params.confidence()?)) {
        // The formula's limits, for what they are worth: of points on a line r itself, of three items or fewer everything.
        (Ok(_), Err(NoInterval::TooFewItems)) => Ok((-1.0, 1.0)),
        (Ok(r), Err(NoInterval::NoResidual)) => Ok((r, r)),
        (Ok(_), interval) => interval.map_err(|reason| reason.to_string()),
        (Err(reason), _) => Err(reason.to_string()),
    };
    let mut figures = Figures::new();
    figures.value("n", json!(moments.n as u64));
    figures.number("r", r);
    figures.number("p", moments.pearson_p());
    figures.interval("ci", interval);
    Ok(figures.finish())
}

/// Both scores with each item by itself, Spearman's and Kendall's coefficients.
fn ranks(input: &Input) -> Result<(RankSample, usize, Vec<Figure>), StatError> {
    let rows: Vec<(usize, f64, f64)> =
        pairs(input)?.into_iter().enumerate().map(|(place, (x, y))| (place, x, y)).collect();
    let sample = RankSample::new(&rows);
    let values = sample.values(&vec![1; rows.len()]);
    Ok((sample, rows.len(), values))
}

fn spearman(input: &Input) -> Computed {
    let (_, n, values) = ranks(input)?;
    let p = values[0].and_then(|rho| match n {
        0..=2 => Err(Undefined::TooFewItems { needed: 3 }),
        n => Ok(correlation_p(rho, n as f64)),
    });
    let mut figures = Figures::new();
    figures.value("n", json!(n));
    figures.number("rho", values[0]);
    figures.number("p", p);
    Ok(figures.finish())
}

fn kendall(input: &Input) -> Computed {
    input.params.one_of("method", &["asymptotic"])?;
    let (sample, n, values) = ranks(input)?;
    let mut figures = Figures::new();
    figures.value("n", json!(n));
    figures.number("tau", values[1]);
    figures.number("p", sample.kendall_p());
    Ok(figures.finish())
}

fn lin_ccc(input: &Input) -> Computed {
    let pairs = pairs(input)?;
    let all = pairs.iter().flat_map(|&(x, y)| [x, y]);
    let side = |pick: fn(&(f64, f64)) -> f64| standardised(&pairs.iter().map(pick).collect::<Vec<_>>(), all.clone());
    let moments = Moments::of(&side(|pair| pair.0).into_iter().zip(side(|pair| pair.1)).collect::<Vec<_>>());
    let divisor = match input.params.one_of("variances", &["1/n", "1/(n-1)"])? {
        "1/n" => moments.n,
        _ => moments.n - 1.0,
    };
    let value = moments.concordance_over(divisor);
    let interval = moments.concordance_interval(divisor, input.params.confidence()?);
    let interval =
        interval.map_err(|reason| value.map_or_else(|undefined| undefined.to_string(), |_| reason.to_string()));
    let mut figures = Figures::new();
    figures.value("n", json!(pairs.len()));
    figures.number("ccc", value);
    figures.number("se", interval.as_ref().map(|(se, _)| *se));
    figures.interval("ci", interval.as_ref().map(|(_, ends)| *ends));
    Ok(figures.finish())
}

fn icc(input: &Input) -> Computed {
    let raters = match input.params.get("annotators") {
        Some(_) => input.annotators("annotators")?,
        None => vec![input.annotator("a")?, input.annotator("b")?],
    };
    let mut rows = vec![];
    for item in 0..input.ratings.items().len() {
        let row: Vec<Option<f64>> = raters.iter().map(|&rater| input.score(item, rater)).collect::<Result<_, _>>()?;
        rows.extend(row.into_iter().collect::<Option<Vec<f64>>>());
    }
    let confidence = input.params.confidence()?;
    let anova = Anova::of_rows(&rows);
    let mut figures = Figures::new();
    figures.value("n", json!(rows.len()));
    figures.value("raters", json!(raters.len()));
    for (name, form) in [
        ("ICC(1,1)", Icc::OneWay),
        ("ICC(A,1)", Icc::Agreement),
        ("ICC(C,1)", Icc::Consistency),
        ("ICC(1,k)", Icc::OneWayMean),
        ("ICC(A,k)", Icc::AgreementMean),
        ("ICC(C,k)", Icc::ConsistencyMean),
    ] {
        let value = anova.and_then(|anova| anova.icc(form));
        // Without a value there is no test and no interval, for the same reason.
        let because = |reason: NoInterval| value.map_or_else(|undefined| undefined.to_string(), |_| reason.to_string());
        let whole = anova.map_err(|undefined| undefined.to_string());
        let test = whole.clone().and_then(|anova| anova.f_test(form).map_err(because));
        figures.number(name, value);
        figures.interval(
            &format!("{name}|ci"),
            whole.and_then(|anova| anova.icc_interval(form, confidence).map_err(because)),
        );
        figures.number(format!("{name}|F"), test.as_ref().map(|test| test.f));
        figures.number(format!("{name}|df1"), test.as_ref().map(|test| test.df1));
        figures.number(format!("{name}|df2"), test.as_ref().map(|test| test.df2));
        figures.number(format!("{name}|p"), test.as_ref().map(|test| test.p));
    }
    Ok(figures.finish())
}

#[cfg(test)]
mod tests {
    use super::super::find;
    use super::super::input::input;
    use super::*;

    /// Shrout and Fleiss (1979): six targets, four judges, on any scale.
    fn judged(scale: f64) -> Vec<(String, String, String)> {
        let scores = [[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]];
        let rows =
            scores.iter().enumerate().flat_map(|(item, row)| row.iter().enumerate().map(move |cell| (item, cell)));
        rows.map(|(item, (judge, &score))| {
            (format!("i{item}"), format!("j{judge}"), (f64::from(score) * scale).to_string())
        })
        .collect()
    }

    fn found(name: &str, rows: &[(String, String, String)], params: Value) -> Value {
        let rows: Vec<(&str, &str, &str)> =
            rows.iter().map(|(item, judge, score)| (item.as_str(), judge.as_str(), score.as_str())).collect();
        Value::Object((find(name).unwrap().compute)(&input(&rows, params)).unwrap())
    }

    #[track_caller]
    fn close(found: &Value, expected: f64) {
        assert!(found.as_f64().is_some_and(|found| (found - expected).abs() < 1e-9), "{found}, not {expected}");
    }

    #[test]
    fn intraclass_correlations_are_as_in_pingouin_on_any_scale() {
        // pingouin 0.6.1, intraclass_corr with unrounded intervals.
        for scale in [1.0, 1e-9, 1e9] {
            let figures = found("icc", &judged(scale), json!({"annotators": ["j0", "j1", "j2", "j3"]}));
            for (name, value, f, p, low, high) in [
                ("ICC(1,1)", 0.165741768405, 1.794678492239, 0.164768808345, -0.132932324875, 0.722560062328),
                ("ICC(A,1)", 0.289763779528, 11.027247956403, 0.000134566516, 0.018786513375, 0.761084369649),
                ("ICC(C,1)", 0.714840714841, 11.027247956403, 0.000134566516, 0.342464765034, 0.945858259955),
                ("ICC(1,k)", 0.442797133679, 1.794678492239, 0.164768808345, -0.884442155238, 0.912415420341),
                ("ICC(A,k)", 0.620050547599, 11.027247956403, 0.000134566516, 0.071136815303, 0.927232040168),
                ("ICC(C,k)", 0.909315542377, 11.027247956403, 0.000134566516, 0.675674713816, 0.985891678169),
            ] {
                close(&figures[name], value);
                close(&figures[format!("{name}|F")], f);
                close(&figures[format!("{name}|p")], p);
                close(&figures[format!("{name}|ci_low")], low);
                close(&figures[format!("{name}|ci_high")], high);
            }
        }
    }

    #[test]
    fn correlations_of_six_items_are_as_in_scipy() {
        // scipy 1.12.0: pearsonr with confidence_interval(.9), spearmanr, kendalltau(method="asymptotic").
        let rows = judged(1.0);
        let pair = json!({"a": "j0", "b": "j3", "conf": 0.9});
        let pearson = found("pearson", &rows, pair.clone());
        close(&pearson["r"], 0.7501772840114584);
        close(&pearson["p"], 0.08582119272858969);
        close(&pearson["ci_low"], 0.0236992955885718);
        close(&found("spearman", &rows, pair.clone())["p"], 0.019947079177691843);
        close(&found("kendall_tau_b", &rows, pair.clone())["tau"], 0.7857142857142858);
        close(&found("kendall_tau_b", &rows, pair)["p"], 0.032284353910766825);
    }

    #[test]
    fn a_constant_rater_correlates_with_nobody_and_a_pure_shift_has_no_residual() {
        let rows = |other: fn(usize) -> f64| -> Vec<(String, String, String)> {
            let both = |item: usize| [("x", item as f64), ("y", other(item))];
            let row =
                |(rater, score): (&str, f64), item: usize| (format!("i{item}"), rater.to_owned(), score.to_string());
            (0..5).flat_map(|item| both(item).map(|cell| row(cell, item))).collect()
        };
        let pair = json!({"a": "x", "b": "y"});
        for (name, key) in [("pearson", "r"), ("spearman", "rho"), ("kendall_tau_b", "tau")] {
            assert_eq!(found(name, &rows(|_| 3.0), pair.clone())[key], Value::Null, "{name}");
        }
        close(&found("lin_ccc", &rows(|_| 3.0), pair.clone())["ccc"], 0.0);
        let shifted = rows(|item| item as f64 + 7.0);
        let icc = found("icc", &shifted, pair.clone());
        close(&icc["ICC(C,1)"], 1.0);
        assert_eq!((&icc["ICC(C,1)|F"], &icc["ICC(C,1)|ci_low"]), (&Value::Null, &Value::Null));
        let limits = found("bland_altman", &shifted, pair);
        close(&limits["sd"], 0.0);
        close(&limits["bias_ci_high"], 7.0);
    }
}
