//! What a reader of the numbers must know, in words. Warnings are worth more than a further coefficient.

use super::estimate::{Estimate, short};
use super::label_pair::{LabelAgreement, PairContext};
use super::ratings::{Cell, Ratings};
use super::score_pair::ScoreAgreement;

/// Fewer clusters than this: intervals are uncertain themselves.
const FEW_CLUSTERS: usize = 20;

/// A label with fewer ratings than this in the reference has unsteady figures.
const RARE_LABEL: u64 = 10;

/// Few clusters, in any pair.
fn few_clusters(clusters: usize, context: &PairContext<'_>, warnings: &mut Vec<String>) {
    let unit = context.unit();
    if clusters > 0 && clusters < super::interval::FEWEST_BOOTSTRAP_CLUSTERS {
        warnings.push(format!("only {clusters} {unit}s: intervals by jackknife and t at best, read them with care"));
    } else if clusters > 0 && clusters < FEW_CLUSTERS {
        warnings.push(format!("only {clusters} {unit}s: intervals are uncertain themselves below {FEW_CLUSTERS}"));
    }
}

/// Warnings of a pair on labels.
pub fn label_warnings(found: &LabelAgreement, clusters: usize, context: &PairContext<'_>) -> Vec<String> {
    let mut warnings = vec![];
    let (a, b) = (context.a, context.b);
    if let (Some(percent), Some(kappa)) = (found.percent, found.cohen_kappa.value) {
        if percent >= 0.85 && kappa < 0.4 || found.prevalence_index.is_some_and(|index| index > 0.7) {
            warnings.push(format!(
                "one label prevails: agreement is {:.0} % and kappa {}; look at AC1 ({}), Brennan–Prediger ({}) and the rare label's F1 \
                 beside kappa, none alone is the truth",
                100.0 * percent,
                short(kappa),
                value(&found.gwet_ac1),
                value(&found.brennan_prediger),
            ));
        }
        if kappa < 0.0 {
            warnings
                .push("kappa is below 0: less agreement than by chance; are the labels the same for both?".to_owned());
        }
    }
    if let Some(test) = found.stuart_maxwell.filter(|test| test.p < 0.05) {
        let excess = |label: &&super::table::PerLabel| label.used.abs_diff(label.support);
        let most_over = found.per_label.iter().filter(|label| label.used > label.support).max_by_key(excess);
        if let Some(label) = most_over {
            warnings.push(format!(
                "margins differ (Stuart–Maxwell p {}): {b} over-uses '{}', {} times against {} by {a}",
                short_p(test.p),
                label.label,
                label.used,
                label.support
            ));
        }
    }
    let rare: Vec<String> = (found.per_label.iter())
        .filter(|label| label.support < RARE_LABEL && label.support + label.used > 0)
        .map(|label| format!("'{}' ({})", label.label, label.support))
        .collect();
    if !rare.is_empty() {
        warnings.push(format!(
            "rare in {a}, fewer than {RARE_LABEL} times, so their figures are unsteady: {}",
            rare.join(", ")
        ));
    }
    few_clusters(clusters, context, &mut warnings);
    if let Some(most) = found.kappa_max.filter(|&most| most < 0.8) {
        warnings.push(format!("the margins cap kappa at {}", short(most)));
    }
    if context.ordinal && context.values.is_none() {
        warnings.push(
            "weighted kappas use positions in the label list as values, since the codebook declares none; quadratic ones tend to rise with the \
             number of labels, so never compare them across scales"
                .to_owned(),
        );
    }
    let unused = found.per_label.iter().filter(|label| label.support + label.used == 0).count();
    if unused > 0 && found.percent.is_some() {
        let unused =
            if unused == 1 { "1 declared label is".to_owned() } else { format!("{unused} declared labels are") };
        warnings.push(format!("{unused} unused: AC1 and Brennan–Prediger rise with the number of such labels"));
    }
    warnings
}

/// Warnings of a pair on sets of labels. Most sets are rare and most margins differ, so what is said of labels would only be noise.
pub fn set_warnings(clusters: usize, context: &PairContext<'_>) -> Vec<String> {
    let mut warnings = vec![];
    few_clusters(clusters, context, &mut warnings);
    warnings
}

/// Warnings of a pair on scores.
pub fn score_warnings(found: &ScoreAgreement, clusters: usize, context: &PairContext<'_>) -> Vec<String> {
    let mut warnings = vec![];
    let b = context.b;
    few_clusters(clusters, context, &mut warnings);
    if let (Some(agreement), Some(consistency)) = (found.icc_a1.value, found.icc_c1.value)
        && consistency - agreement > 0.1
    {
        warnings.push(format!(
            "{b} ranks items better (ICC(C,1) {}) than it hits the scale (ICC(A,1) {}): its scores are shifted",
            short(consistency),
            short(agreement)
        ));
    }
    if found.slope.high.is_some_and(|high| high < 0.0) {
        warnings.push(format!("{b} compresses the scale: high scores come out lower, low ones higher"));
    }
    if let (Some(share), Some(mode)) = (found.mode_share.estimate.value, found.mode_share.mode)
        && share >= 0.5
    {
        warnings.push(format!("{b} gives {mode} for {:.0} % of items", 100.0 * share));
    }
    warnings
}

/// Warnings of the field: missing and invalid answers (more than 5 %, or unequal between raters by more than 5 points), and humans
/// who agree too little for a model to be measured by them.
pub fn field_warnings(ratings: &Ratings, human_kappa: Option<f64>, models: bool) -> Vec<String> {
    let items = ratings.items().len();
    let mut warnings = vec![];
    let mut shares: Vec<(f64, &str)> = vec![];
    for (rater, name) in ratings.raters().iter().enumerate() {
        let count = |wanted: Cell| (0..items).filter(|&item| ratings.cell(item, rater) == wanted).count();
        let (missing, invalid) = (count(Cell::Missing), count(Cell::Invalid));
        let share = (missing + invalid) as f64 / items.max(1) as f64;
        shares.push((share, name));
        if share > 0.05 {
            let of_which = if invalid > 0 { format!(" ({invalid} invalid)") } else { String::new() };
            warnings.push(format!(
                "{name}: {} of {items} items have no usable answer{of_which}; agreement is of the rest only",
                missing + invalid
            ));
        }
    }
    let by_share = |x: &&(f64, &str), y: &&(f64, &str)| x.0.total_cmp(&y.0);
    if let (Some(most), Some(least)) = (shares.iter().max_by(by_share), shares.iter().min_by(by_share))
        && most.0 - least.0 > 0.05
    {
        warnings.push(format!(
            "answers are missing unequally: {:.0} % of {}, {:.0} % of {}",
            100.0 * most.0,
            most.1,
            100.0 * least.0,
            least.1
        ));
    }
    if let Some(kappa) = human_kappa.filter(|&kappa| kappa < 0.4 && models) {
        warnings.push(format!(
            "humans agree with one another at {} only: agreement with a human says nothing about a model's accuracy",
            short(kappa)
        ));
    }
    warnings
}

fn value(estimate: &Estimate) -> String {
    estimate.value.map_or("undefined".to_owned(), short)
}

fn short_p(p: f64) -> String {
    if p < 0.001 { "< .001".to_owned() } else { format!("= {}", format!("{p:.3}").trim_start_matches('0')) }
}
