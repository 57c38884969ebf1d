//! Two raters on one field of labels: every coefficient with its interval, the confusion matrix, and what each label's figures are.

use super::cluster_sums::{ClusterSums, Statistic, SummedSample};
use super::distribution::wilson;
use super::estimate::{Estimate, NoInterval, Undefined, Value};
use super::interval::{FEWEST_CLUSTERS, Resampled, Resampling};
use super::kappa::{self, Chance, Weights};
use super::margins::{self, StuartMaxwell};
use super::table::{Confusion, PerLabel, Table, TableView, macro_f1, per_label};
use serde::Serialize;

/// Fewer ratings than this outside the reference's commonest label: no interval of a chance-corrected coefficient.
pub const FEWEST_RARE: usize = 5;

/// One item that both raters labelled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LabelRow {
    /// The cluster (any number that is the same for items of one cluster).
    pub cluster: usize,
    /// Rater a's label.
    pub a: usize,
    /// Rater b's label.
    pub b: usize,
    /// The item.
    pub item: usize,
}

/// How a pair is looked at.
#[derive(Debug, Clone, Copy)]
pub struct PairContext<'a> {
    /// Rater a's name.
    pub a: &'a str,
    /// Rater b's name.
    pub b: &'a str,
    /// Whether a is the reference; otherwise both are equal.
    pub reference: bool,
    /// Whether labels are ordered, so that weighted kappas are wanted too.
    pub ordinal: bool,
    /// The labels' declared values, which weights go by; without them by positions.
    pub values: Option<&'a [f64]>,
    /// Whether items lie in clusters of their own (sessions).
    pub clustered: bool,
    /// How to resample.
    pub resampling: Resampling,
}

impl PairContext<'_> {
    /// What is resampled, for the name of a method.
    pub fn unit(&self) -> &'static str {
        if self.clustered { "cluster" } else { "item" }
    }
}

/// All figures of two raters on one set of labels.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LabelAgreement {
    /// Share of items on which both agree; `None` without items.
    pub percent: Option<f64>,
    /// Lower end of Wilson's interval of `percent`, which takes items as independent.
    pub percent_wilson_low: Option<f64>,
    /// Upper end of Wilson's interval.
    pub percent_wilson_high: Option<f64>,
    /// The same share with the interval of the chosen clusters.
    pub percent_agreement: Estimate,
    /// Cohen's kappa.
    pub cohen_kappa: Estimate,
    /// Kappa with linear weights over declared values, else positions (ordinal fields).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cohen_kappa_linear: Option<Estimate>,
    /// Kappa with quadratic weights over declared values, else positions (ordinal fields).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cohen_kappa_quadratic: Option<Estimate>,
    /// Gwet's AC1.
    pub gwet_ac1: Estimate,
    /// Brennan and Prediger's coefficient over the declared labels.
    pub brennan_prediger: Estimate,
    /// Scott's pi.
    pub scott_pi: Estimate,
    /// The largest kappa that the margins allow.
    pub kappa_max: Option<f64>,
    /// For two labels: |n₁₁ − n₂₂|/n.
    pub prevalence_index: Option<f64>,
    /// For two labels: |n₁₂ − n₂₁|/n.
    pub bias_index: Option<f64>,
    /// Test of equal margins.
    pub stuart_maxwell: Option<StuartMaxwell>,
    /// Counts: rows a, columns b.
    pub confusion: Confusion,
    /// Every label's figures, a being the reference.
    pub per_label: Vec<PerLabel>,
    /// Mean F1 over the labels that a used, an undefined F1 counting 0.
    pub macro_f1: Option<f64>,
    /// Mean F1 over all declared labels, an undefined F1 counting 0.
    pub macro_f1_declared: Option<f64>,
}

/// The coefficients of a pair, in the order in which they are resampled.
#[derive(Debug, Clone, PartialEq)]
enum Coefficient {
    Percent,
    Corrected(Chance),
    Weighted(Vec<f64>),
    Overuse(usize),
}

impl Coefficient {
    fn of(&self, table: TableView<'_>) -> Value {
        match self {
            Coefficient::Percent => kappa::percent_agreement(table),
            Coefficient::Corrected(chance) => kappa::coefficient(table, *chance),
            Coefficient::Weighted(disagreement) => kappa::weighted_kappa(table, disagreement),
            Coefficient::Overuse(label) => match table.total() {
                n if n > 0.0 => Ok((table.column_sum(*label) - table.row_sum(*label)) / n),
                _ => Err(Undefined::NoItems),
            },
        }
    }

    /// Whether the value is divided by 1 − pe of the margins, which few rare labels make unsteady.
    fn leans_on_margins(&self) -> bool {
        matches!(self, Coefficient::Corrected(Chance::Cohen | Chance::Scott) | Coefficient::Weighted(_))
    }

    /// Whether the value is 0 by construction when a rater used a single label.
    fn zero_for_constant_rater(&self) -> bool {
        matches!(self, Coefficient::Corrected(Chance::Cohen) | Coefficient::Weighted(_))
    }

    /// A lower bound when all `n` independent clusters agree: the disagreement that would still be missed in 5 % of samples is
    /// 3/n (rule of three, Hanley and Lippman-Hand 1983), set against the chance agreement seen.
    fn bound_of_perfection(&self, table: TableView<'_>, n: f64) -> Option<f64> {
        let missed = (3.0 / n).min(1.0);
        match self {
            Coefficient::Corrected(chance) => {
                let pe = kappa::expected_agreement(table, *chance).ok()?;
                Some((1.0 - missed - pe) / (1.0 - pe))
            }
            Coefficient::Weighted(disagreement) => {
                let (_, expected) = kappa::disagreements(table, disagreement).ok()?;
                Some(1.0 - missed / expected)
            }
            Coefficient::Percent | Coefficient::Overuse(_) => None,
        }
    }
}

/// The table of some rows.
pub fn table_of(rows: &[LabelRow], labels: usize) -> Table {
    let mut table = Table::new(labels);
    rows.iter().for_each(|row| table.add(row.a, row.b));
    table
}

/// How many ratings lie outside the commonest label: of a if it is the reference, else of the rater who has fewer. With two labels it
/// is the count of the rarer one.
pub fn rare_count(table: TableView<'_>, reference: bool) -> usize {
    let (rows, columns) = table.margins();
    let outside = |margin: &[f64]| margin.iter().sum::<f64>() - margin.iter().copied().fold(0.0, f64::max);
    let count = if reference { outside(&rows) } else { outside(&rows).min(outside(&columns)) };
    count.round() as usize
}

/// Number of different clusters.
pub fn clusters_of(clusters: impl Iterator<Item = usize>) -> usize {
    let mut clusters: Vec<usize> = clusters.collect();
    clusters.sort_unstable();
    clusters.dedup();
    clusters.len()
}

/// Everything about two raters on `labels`.
pub fn label_agreement(rows: &[LabelRow], labels: &[String], context: &PairContext<'_>) -> LabelAgreement {
    let q = labels.len();
    let table = table_of(rows, q);
    let view = table.view();
    let mut coefficients = vec![
        Coefficient::Percent,
        Coefficient::Corrected(Chance::Cohen),
        Coefficient::Corrected(Chance::Gwet),
        Coefficient::Corrected(Chance::BrennanPrediger),
        Coefficient::Corrected(Chance::Scott),
    ];
    coefficients.extend((0..q).map(Coefficient::Overuse));
    if context.ordinal {
        let weights = match context.values {
            Some(values) => [Weights::LinearByValue(values.to_vec()), Weights::QuadraticByValue(values.to_vec())],
            None => [Weights::Linear, Weights::Quadratic],
        };
        coefficients.extend(weights.map(|weights| Coefficient::Weighted(weights.disagreement(q))));
    }
    let resampled = resample(rows, q, &coefficients, context.resampling);
    let estimate = |place: usize| finish(&coefficients[place], place, &resampled, view, labels, context);
    let mut figures = per_label(view, labels);
    for (k, figure) in figures.iter_mut().enumerate() {
        figure.overuse = (figure.support + figure.used > 0).then(|| estimate(5 + k));
    }
    let n = view.total();
    let wilson = wilson(view.agreed(), n);
    let (macro_f1_declared, macro_f1) = macro_f1(&figures);
    LabelAgreement {
        percent: kappa::percent_agreement(view).ok(),
        percent_wilson_low: wilson.map(|ends| ends.0),
        percent_wilson_high: wilson.map(|ends| ends.1),
        percent_agreement: estimate(0),
        cohen_kappa: estimate(1),
        cohen_kappa_linear: context.ordinal.then(|| estimate(5 + q)),
        cohen_kappa_quadratic: context.ordinal.then(|| estimate(6 + q)),
        gwet_ac1: estimate(2),
        brennan_prediger: estimate(3),
        scott_pi: estimate(4),
        kappa_max: kappa::kappa_max(view).ok(),
        prevalence_index: margins::prevalence_index(view),
        bias_index: margins::bias_index(view),
        stuart_maxwell: margins::stuart_maxwell(view),
        confusion: Confusion::of(view, labels),
        per_label: figures,
        macro_f1,
        macro_f1_declared,
    }
}

fn resample(rows: &[LabelRow], q: usize, coefficients: &[Coefficient], resampling: Resampling) -> Resampled {
    let cells: Vec<Vec<(usize, f64)>> = (0..q * q).map(|cell| vec![(cell, 1.0)]).collect();
    let items = rows.iter().map(|row| (row.cluster, row.a * q + row.b)).collect();
    let statistics = (coefficients.iter())
        .map(|coefficient| {
            let statistic = move |sums: &[f64]| coefficient.of(TableView { labels: q, counts: sums });
            Box::new(statistic) as Box<dyn Statistic>
        })
        .collect();
    Resampled::new(&SummedSample { sums: ClusterSums::of_items(q * q, &cells, items), statistics }, resampling)
}

/// A coefficient as reported, with the cases in which the resampled interval would mislead taken first.
fn finish(
    coefficient: &Coefficient,
    place: usize,
    resampled: &Resampled,
    table: TableView<'_>,
    labels: &[String],
    context: &PairContext<'_>,
) -> Estimate {
    let value = match resampled.value(place) {
        Ok(value) => value,
        Err(reason) => return Estimate::undefined(in_words(reason, table, labels)),
    };
    let clusters = resampled.clusters();
    if clusters < FEWEST_CLUSTERS {
        return Estimate::without_interval(value, NoInterval::TooFewClusters { clusters });
    }
    let (rows, columns) = table.margins();
    if coefficient.zero_for_constant_rater() {
        for (name, margin) in [(context.a, &rows), (context.b, &columns)] {
            if let Some(label) = only_label(margin) {
                let reason = format!("{name} used only '{}', so the value is 0 by construction", labels[label]);
                return Estimate::without_interval(value, reason);
            }
        }
    }
    let rare = rare_count(table, context.reference);
    if coefficient.leans_on_margins() && rare < FEWEST_RARE {
        return Estimate::without_interval(value, NoInterval::RareLabel { count: rare });
    }
    let n = table.total();
    if table.agreed() >= n || (table.agreed() <= 0.0 && *coefficient == Coefficient::Percent) {
        let units = clusters as f64;
        if let Some(low) = coefficient.bound_of_perfection(table, units) {
            let method = format!("perfect agreement: rule of three over {clusters} {}s", context.unit());
            return Estimate::with_interval(value, None, (low, 1.0), method);
        }
        if let (Coefficient::Percent, Some(ends)) = (coefficient, wilson(value * units, units)) {
            return Estimate::with_interval(value, None, ends, format!("Wilson over {clusters} {}s", context.unit()));
        }
    }
    resampled.estimate(place, context.unit())
}

/// The one label that a rater used, if it is one.
fn only_label(margin: &[f64]) -> Option<usize> {
    let mut used = (0..margin.len()).filter(|&k| margin[k] > 0.0);
    match (used.next(), used.next()) {
        (Some(label), None) => Some(label),
        _ => None,
    }
}

fn in_words(reason: Undefined, table: TableView<'_>, labels: &[String]) -> String {
    match (reason, only_label(&table.margins().0)) {
        (Undefined::OneLabelUsed, Some(label)) => format!("both annotators used only '{}'", labels[label]),
        _ => reason.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(counts: &[&[usize]]) -> Vec<LabelRow> {
        let mut rows = vec![];
        for (a, row) in counts.iter().enumerate() {
            for (b, &count) in row.iter().enumerate() {
                for _ in 0..count {
                    rows.push(LabelRow { cluster: rows.len(), a, b, item: rows.len() });
                }
            }
        }
        rows
    }

    fn context() -> PairContext<'static> {
        PairContext {
            a: "gold",
            b: "model",
            reference: true,
            ordinal: false,
            values: None,
            clustered: false,
            resampling: Resampling { replicates: 500, seed: 1 },
        }
    }

    fn labels(q: usize) -> Vec<String> {
        ["no", "yes", "maybe"].iter().take(q).map(|&label| label.to_owned()).collect()
    }

    #[test]
    fn the_same_label_throughout_leaves_kappa_undefined_and_ac1_at_1() {
        let found = label_agreement(&rows(&[&[0, 0], &[0, 20]]), &labels(2), &context());
        assert_eq!(found.cohen_kappa, Estimate::undefined("both annotators used only 'yes'"));
        assert_eq!(found.scott_pi.value, None);
        assert_eq!(found.gwet_ac1.value, Some(1.0));
        assert_eq!(found.brennan_prediger.value, Some(1.0));
        assert_eq!(found.percent, Some(1.0));
        assert!((found.percent_wilson_low.unwrap() - 0.8388748419471804).abs() < 1e-9);
        assert_eq!((found.per_label[0].f1, found.per_label[1].f1), (None, Some(1.0)));
    }

    #[test]
    fn a_constant_rater_has_kappa_0_without_an_interval() {
        let found = label_agreement(&rows(&[&[0, 30], &[0, 20]]), &labels(2), &context());
        assert_eq!(found.cohen_kappa.value, Some(0.0));
        assert_eq!((found.cohen_kappa.se, found.cohen_kappa.low), (None, None));
        assert!(found.cohen_kappa.undefined.unwrap().contains("model used only 'yes'"));
        assert!(found.gwet_ac1.low.is_some());
    }

    #[test]
    fn perfect_agreement_gets_a_lower_bound_and_no_standard_error() {
        let found = label_agreement(&rows(&[&[20, 0], &[0, 20]]), &labels(2), &context());
        assert_eq!((found.cohen_kappa.value, found.cohen_kappa.se), (Some(1.0), None));
        assert!((found.cohen_kappa.low.unwrap() - (1.0 - 3.0 / 40.0 - 0.5) / 0.5).abs() < 1e-12);
        assert_eq!(found.cohen_kappa.high, Some(1.0));
    }

    #[test]
    fn disjoint_labels_are_0_and_no_items_are_undefined() {
        let found = label_agreement(&rows(&[&[0, 30, 0], &[0, 0, 0], &[0, 0, 0]]), &labels(3), &context());
        assert_eq!((found.percent, found.cohen_kappa.value), (Some(0.0), Some(0.0)));
        let found = label_agreement(&[], &labels(2), &context());
        assert_eq!((found.percent, found.cohen_kappa.value, found.gwet_ac1.value), (None, None, None));
        assert_eq!(found.cohen_kappa.undefined.as_deref(), Some("no item was rated by both"));
    }

    #[test]
    fn a_rare_label_in_the_reference_refuses_the_interval_of_kappa() {
        let found = label_agreement(&rows(&[&[118, 5], &[2, 0]]), &labels(2), &context());
        assert!(found.cohen_kappa.low.is_none() && found.cohen_kappa.value.is_some());
        assert!(found.cohen_kappa.undefined.unwrap().contains("(2, at least 5"));
        assert!(found.gwet_ac1.low.is_some());
    }

    #[test]
    fn few_clusters_change_the_method_and_very_few_refuse() {
        let mut data = rows(&[&[15, 10], &[5, 20]]);
        data.iter_mut().enumerate().for_each(|(i, row)| row.cluster = i % 7);
        let context = PairContext { clustered: true, ..context() };
        let found = label_agreement(&data, &labels(2), &context);
        assert_eq!(found.cohen_kappa.method.as_deref(), Some("cluster jackknife, t"));
        data.iter_mut().enumerate().for_each(|(i, row)| row.cluster = i % 4);
        let found = label_agreement(&data, &labels(2), &context);
        assert!(found.cohen_kappa.undefined.unwrap().contains("4 clusters are too few"));
    }

    #[test]
    fn the_number_of_threads_does_not_change_the_numbers() {
        let data = rows(&[&[15, 10], &[5, 20]]);
        let run = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| label_agreement(&data, &labels(2), &context()))
        };
        assert_eq!(run(1), run(3));
    }
}
