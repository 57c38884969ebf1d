//! Shares of labels: post-stratified on the model's label, or by how the model errs.

use super::{Item, all_are_unlabelled, alpha, answered};
use crate::estimate::NoCorrection;
use crate::estimate::misclassification::{self, BinaryCounts};
use crate::estimate::poststratified::{self, Counts, Target};
use crate::stat::{Figures, Input, Labels, StatError};
use serde_json::{Map, Value};

/// Counts of gold by the model's label, over these labels.
fn label_counts(items: &[Item<'_>], labels: &Labels) -> Counts {
    let mut counts = Counts { gold: vec![vec![0.0; labels.len()]; labels.len()], all: vec![0.0; labels.len()] };
    for (_, gold, guess) in items {
        let Some(k) = labels.place(guess) else { continue };
        counts.all[k] += 1.0;
        if let Some(j) = gold.and_then(|gold| labels.place(gold)) {
            counts.gold[k][j] += 1.0;
        }
    }
    counts
}

fn all_label_counts(input: &Input) -> Result<(Counts, Labels, Vec<Item<'_>>), StatError> {
    let labels = input.labels(&[input.annotator("gold")?, input.annotator("llm")?])?;
    let items = answered(input)?;
    Ok((label_counts(&items, &labels), labels, items))
}

/// The counts of the label `positive` against the rest, in this order.
fn positive_counts(input: &Input) -> Result<(Counts, Vec<Item<'_>>), StatError> {
    let positive = input.params.text("positive")?;
    let items = answered(input)?;
    let mut counts = Counts { gold: vec![vec![0.0; 2]; 2], all: vec![0.0; 2] };
    for (_, gold, guess) in &items {
        let k = usize::from(*guess != positive);
        counts.all[k] += 1.0;
        if let Some(gold) = gold {
            counts.gold[k][usize::from(*gold != positive)] += 1.0;
        }
    }
    Ok((counts, items))
}

pub(super) fn poststratified_shares(input: &Input) -> Result<Map<String, Value>, StatError> {
    let (counts, labels, _) = all_label_counts(input)?;
    let mut figures = Figures::new();
    let found = poststratified::shares(&counts, labels.names());
    match &found {
        Ok(shares) => figures.value("shares", shares.clone()),
        Err(reason) => figures.undefined("shares", reason),
    }
    for (at, label) in labels.names().iter().enumerate() {
        figures.number(format!("{label}|share"), found.as_ref().map(|shares| shares[at]));
    }
    Ok(figures.finish())
}

pub(super) fn poststratified_prevalence(input: &Input) -> Result<Map<String, Value>, StatError> {
    let (counts, _) = positive_counts(input)?;
    let positive = input.params.text("positive")?.to_owned();
    let labels = [positive.clone(), format!("not {positive}")];
    let mut figures = Figures::new();
    let rate = |k: usize| {
        let row = &counts.gold[k];
        let reason = NoCorrection::LabelWithoutGold { label: labels[k].clone() };
        if row.iter().sum::<f64>() > 0.0 { Ok(row[0] / (row[0] + row[1])) } else { Err(reason) }
    };
    figures.number("ppv", rate(0));
    figures.number("for", rate(1));
    figures.number::<&str>("llm_rate_all", Ok(counts.all[0] / (counts.all[0] + counts.all[1])));
    figures.number("estimate", poststratified::shares(&counts, &labels).map(|shares| shares[0]));
    Ok(figures.finish())
}

/// Draws or replicates: the parameter, at least what the figures need to be steady.
fn replicates(input: &Input, least: u32) -> Result<u32, StatError> {
    let wanted = input.params.count_or("replicates", u64::from(least))?;
    u32::try_from(wanted).map_err(|_| input.params.wrong("replicates", "a count below 2³²")).map(|count| count.max(200))
}

pub(super) fn poststratified_jeffreys(input: &Input) -> Result<Map<String, Value>, StatError> {
    let (counts, _) = positive_counts(input)?;
    let target = match input.params.one_of("population", &["infinite", "finite"])? {
        "finite" => Target::TheseUnits,
        _ => Target::Population,
    };
    let draws =
        poststratified::posterior(&counts, target, replicates(input, 100_000)?, input.params.count_or("seed", 1)?);
    let of_label: Vec<f64> = draws.iter().map(|shares| shares[0]).collect();
    let (low, high) = crate::estimate::draw::central(&of_label, alpha(input)?);
    let mut figures = Figures::new();
    let known = counts.gold.iter().flatten().sum::<f64>() > 0.0;
    figures.optional("low", known.then_some(low), NoCorrection::NoGold);
    figures.optional("high", known.then_some(high), NoCorrection::NoGold);
    Ok(figures.finish())
}

/// Counts for the correction by sensitivity and specificity: the units to be corrected are those without gold.
fn misclassification_counts(input: &Input) -> Result<BinaryCounts, StatError> {
    let (counts, items) = positive_counts(input)?;
    let positive = input.params.text("positive")?;
    let all = all_are_unlabelled(input)?;
    let target = || items.iter().filter(|(_, gold, _)| all || gold.is_none());
    let [[hits, alarms], [misses, rejections]] = [0, 1].map(|k| [counts.gold[k][0], counts.gold[k][1]]);
    Ok(BinaryCounts {
        hits,
        positive: hits + misses,
        rejections,
        negative: rejections + alarms,
        flagged: target().filter(|(.., guess)| *guess == positive).count() as f64,
        units: target().count() as f64,
    })
}

pub(super) fn rogan_gladen(input: &Input) -> Result<Map<String, Value>, StatError> {
    let counts = misclassification_counts(input)?;
    let found = misclassification::rogan_gladen(counts, alpha(input)?);
    let found = found.as_ref();
    let mut figures = Figures::new();
    figures.number::<&str>("sensitivity", Ok(counts.hits / counts.positive));
    figures.number::<&str>("specificity", Ok(counts.rejections / counts.negative));
    figures.number::<&str>("llm_rate", Ok(counts.flagged / counts.units));
    figures.number("estimate_unclipped", found.map(|found| found.unclipped));
    figures.number("estimate", found.map(|found| found.estimate));
    figures.number("se_delta", found.map(|found| found.se));
    figures.interval("lang_reiczigel", found.map(|found| (found.low, found.high)));
    Ok(figures.finish())
}

pub(super) fn rogan_gladen_bootstrap(input: &Input) -> Result<Map<String, Value>, StatError> {
    let counts = misclassification_counts(input)?;
    let (_, items) = positive_counts(input)?;
    let positive = input.params.text("positive")?;
    let gold: Vec<(bool, bool)> =
        items.iter().filter_map(|(_, gold, guess)| Some(((*gold)? == positive, *guess == positive))).collect();
    let found = misclassification::rogan_gladen_bootstrap(
        &gold,
        counts.flagged / counts.units,
        alpha(input)?,
        replicates(input, 20_000)?,
        input.params.count_or("seed", 1)?,
    );
    let mut figures = Figures::new();
    figures.interval("judgy", found.as_ref().map(|(ends, _)| *ends));
    figures.number("dropped_replicates", found.as_ref().map(|(_, dropped)| *dropped));
    Ok(figures.finish())
}

pub(super) fn confusion_inversion(input: &Input) -> Result<Map<String, Value>, StatError> {
    let (counts, labels, items) = all_label_counts(input)?;
    let all = all_are_unlabelled(input)?;
    let target: Vec<Item<'_>> = items.iter().filter(|(_, gold, _)| all || gold.is_none()).copied().collect();
    let of_target = label_counts(&target, &labels).all;
    let sum: f64 = of_target.iter().sum();
    let model: Vec<f64> = of_target.iter().map(|count| count / sum).collect();
    // Rows of the counts are the model's labels; the matrix that is inverted has gold in its rows.
    let by_gold = crate::estimate::linear::transposed(&counts.gold);
    let found = match sum > 0.0 {
        true => misclassification::invert(&by_gold, &model, labels.names()),
        false => Err(NoCorrection::NothingElse),
    };
    let mut figures = Figures::new();
    match &found {
        Ok(inverted) => {
            figures.value("shares_unclipped", inverted.unclipped.clone());
            figures.value("shares", inverted.projected.clone());
        }
        Err(reason) => {
            figures.undefined("shares_unclipped", reason);
            figures.undefined("shares", reason);
        }
    }
    figures.number("condition", found.as_ref().map(|inverted| inverted.condition));
    for (at, label) in labels.names().iter().enumerate() {
        figures.number(format!("{label}|share_unclipped"), found.as_ref().map(|inverted| inverted.unclipped[at]));
    }
    Ok(figures.finish())
}
