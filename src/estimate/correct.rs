//! The decision which formula corrects a share or a mean, with its guards. Takes units with the model's answers, gold on some of them and how
//! that was drawn; gives numbers with intervals, formula, assumptions and warnings.

use super::NoCorrection;
use super::design;
use super::misclassification::{self, BinaryCounts};
use super::poststratified::{self, Counts, Target};
use super::ppi::{self, Convention, Lambda, Parts};
use super::sessions::{LabelUnit, ScoreUnit, bootstrap_share, counts, mean_se};
use super::spread::{Drawn, Spread};
use super::stratified::{self, MOST_UNTUNED, StratumMean};
use crate::agreement::Estimate;
use crate::agreement::interval::{FEWEST_CLUSTERS, Resampling};
use serde::Serialize;
use std::collections::BTreeMap;

/// Fewer gold units than this on which gold and model differ: normal theory gives intervals that are too short.
pub const FEWEST_ERRORS: usize = 5;

/// Fewer sessions with gold than this: intervals are uncertain themselves.
const FEW_SESSIONS: usize = 20;

/// Fewer gold units than this: normal theory for a mean is doubtful.
const FEW_SCORES: usize = 50;

/// How gold came to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Design {
    /// Every unit had the same probability, as recorded.
    EqualProbability,
    /// The probability depends on nothing but the model's label.
    ByModelLabel,
    /// Drawn alike within strata, and every unit's stratum is known.
    Stratified,
    /// Known probabilities that differ.
    UnequalProbability,
    /// Declared to be a random part of the units, with nothing recorded.
    AssumedRandom,
    /// Gold is of other units.
    OtherUnits,
}

impl Design {
    /// In words.
    pub fn in_words(self) -> &'static str {
        match self {
            Design::EqualProbability => "every unit had the same recorded probability of being gold",
            Design::ByModelLabel => "recorded probabilities of being gold that depend on the model's label alone",
            Design::Stratified => "gold is a random part of each stratum, and the stratum of every unit is known",
            Design::UnequalProbability => "recorded probabilities of being gold that differ between units",
            Design::AssumedRandom => "gold is taken as a random part of the units because --assume-random says so",
            Design::OtherUnits => "gold is of other units than those of the run",
        }
    }
}

/// A corrected number, with all that it rests on.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Corrected {
    /// The share or mean of the model's answers as they are.
    pub raw: Option<f64>,
    /// The share or mean of gold alone, unweighted.
    pub gold_alone: Option<f64>,
    /// The corrected share or mean.
    pub corrected: Estimate,
    /// The formula's name.
    pub formula: &'static str,
    /// Units with an answer of the model.
    pub units: usize,
    /// Gold units that the formula used.
    pub gold: usize,
    /// Their sessions.
    pub gold_sessions: usize,
    /// Gold units on which gold and model differ.
    pub gold_errors: usize,
    /// The weight of the model's answers, where the formula has one.
    pub lambda: Option<f64>,
    /// Correlation of gold and model on gold units.
    pub correlation: Option<f64>,
    /// What the gold is worth with the model beside it, in units drawn alike without a model: n/(1 − ρ²); where it was drawn with probabilities
    /// that differ, the variance of gold by that of the corrected number.
    pub effective_gold: Option<f64>,
    /// What gold that was drawn with probabilities that differ is worth by its weights alone, in equally weighted units: (Σw)²/Σw².
    pub weighted_gold: Option<f64>,
    /// The strata with units here, where gold was drawn by them.
    pub strata: Vec<StratumUsed>,
    /// The corrected number if all units without an answer were against it, or for it; none where every unit has an answer, or the scale has
    /// no ends.
    pub bounds: Option<(f64, f64)>,
    /// What to know about it.
    pub warnings: Vec<String>,
    /// The uncertainty, for differences.
    #[serde(skip)]
    pub spread: Spread,
}

/// A stratum of a corrected number.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct StratumUsed {
    /// The stratum.
    pub stratum: String,
    /// Its units.
    pub units: usize,
    /// Its gold units.
    pub gold: usize,
    /// The weight of the model's answers in it.
    pub lambda: f64,
}

/// How to correct.
#[derive(Debug, Clone, Copy)]
pub struct Correction<'s> {
    /// How gold was drawn.
    pub design: Design,
    /// The names of the strata, for [`Design::Stratified`].
    pub strata: &'s [String],
    /// Whom the numbers are of.
    pub target: Target,
    /// Replicates and seed.
    pub resampling: Resampling,
}

/// A unit with a label by the model.
#[derive(Debug, Clone, Copy)]
pub struct Labelled {
    /// Its session.
    pub session: usize,
    /// The place of the model's label.
    pub model: usize,
    /// The place of gold's, if there is one.
    pub gold: Option<usize>,
    /// The probability of being gold, where it is recorded.
    pub probability: Option<f64>,
    /// The place of its stratum; 0 where there are none.
    pub stratum: usize,
}

/// Correlation of pairs; none without variation.
fn correlation(pairs: &[(f64, f64)]) -> Option<f64> {
    let n = pairs.len() as f64;
    let (x, y) = pairs.iter().fold((0.0, 0.0), |(x, y), (a, b)| (x + a / n, y + b / n));
    let sum = |of: &dyn Fn(f64, f64) -> f64| pairs.iter().map(|(a, b)| of(a - x, b - y)).sum::<f64>();
    let both = (sum(&|a, _| a * a) * sum(&|_, b| b * b)).sqrt();
    (both > 0.0).then(|| sum(&|a, b| a * b) / both)
}

/// Mean of numbers; none without any.
fn average(values: impl Iterator<Item = f64>) -> Option<f64> {
    let (count, sum) = values.fold((0_u32, 0.0), |(count, sum), x| (count + 1, sum + x));
    (count > 0).then(|| sum / f64::from(count))
}

fn distinct(sessions: impl Iterator<Item = usize>) -> usize {
    sessions.collect::<std::collections::BTreeSet<_>>().len()
}

/// Gold with 1/π.
fn by_probability(rows: &[ScoreUnit], probabilities: &[Option<f64>]) -> Vec<(f64, f64)> {
    rows.iter().zip(probabilities).filter_map(|(row, p)| Some((row.gold?, 1.0 / p.filter(|p| *p > 0.0)?))).collect()
}

/// Gold with the units of its stratum by the gold of it.
fn by_stratum(rows: &[ScoreUnit]) -> Vec<(f64, f64)> {
    let mut counts: BTreeMap<usize, (f64, f64)> = BTreeMap::new();
    for row in rows {
        let (units, gold) = counts.entry(row.stratum).or_default();
        *units += 1.0;
        *gold += f64::from(u8::from(row.gold.is_some()));
    }
    let weight = |row: &ScoreUnit| counts.get(&row.stratum).map_or(0.0, |(units, gold)| units / gold);
    rows.iter().filter_map(|row| Some((row.gold?, weight(row)))).collect()
}

/// What is the same for every formula: raw numbers, counts and correlation of units with a session, the model's number and gold's.
fn frame(rows: &[ScoreUnit]) -> Corrected {
    let pairs: Vec<(f64, f64)> = rows.iter().filter_map(|row| Some((row.gold?, row.guess))).collect();
    let correlation = correlation(&pairs);
    let worth = correlation.filter(|rho| rho.abs() < 1.0).map(|rho| pairs.len() as f64 / (1.0 - rho * rho));
    Corrected {
        raw: average(rows.iter().map(|row| row.guess)),
        gold_alone: average(pairs.iter().map(|(gold, _)| *gold)),
        corrected: Estimate::undefined("no unit has both gold and an answer of the model"),
        formula: "none",
        units: rows.len(),
        gold: pairs.len(),
        gold_sessions: distinct(rows.iter().filter(|row| row.gold.is_some()).map(|row| row.session)),
        gold_errors: pairs.iter().filter(|(gold, guess)| gold != guess).count(),
        lambda: None,
        correlation,
        effective_gold: worth,
        weighted_gold: None,
        strata: vec![],
        bounds: None,
        warnings: vec![],
        spread: Spread::Unknown("no unit has both gold and an answer of the model".to_owned()),
    }
}

impl Corrected {
    /// Puts in the number; a share lies within 0 and 1.
    fn with(mut self, value: f64, spread: Spread, formula: &'static str, method: &str, is_share: bool) -> Corrected {
        let clip = |x: f64| if is_share { x.clamp(0.0, 1.0) } else { x };
        self.formula = formula;
        self.corrected = match spread.interval(value) {
            Ok((low, high)) => {
                Estimate::with_interval(clip(value), spread.se(), (clip(low), clip(high)), method.to_owned())
            }
            Err(reason) => Estimate::without_interval(clip(value), reason),
        };
        if is_share && clip(value) != value {
            self.warnings.push(format!("the formula gives {value:.3}, which is no share; cut to {:.0}", clip(value)));
        }
        if self.corrected.low.is_some() && self.is_clustered() && self.gold_sessions < FEW_SESSIONS {
            let sessions = self.gold_sessions;
            self.warnings.push(format!(
                "gold is of {sessions} sessions only: intervals are uncertain themselves below {FEW_SESSIONS}"
            ));
        }
        self.spread = spread;
        self
    }

    /// Says what gold with these weights is worth; in a finite population less is left to know than the variance says.
    fn weighing(mut self, weights: &[(f64, f64)], target: Target) -> Corrected {
        let sum = |of: &dyn Fn(f64, f64) -> f64| weights.iter().map(|(y, w)| of(*y, *w)).sum::<f64>();
        let (total, squares) = (sum(&|_, w| w), sum(&|_, w| w * w));
        self.weighted_gold = (squares > 0.0).then(|| total * total / squares);
        let mean = sum(&|y, w| w * y) / total;
        let variance = sum(&|y, w| w * (y - mean).powi(2)) / total;
        let left = if target == Target::TheseUnits { variance / self.units as f64 } else { 0.0 };
        self.effective_gold =
            self.corrected.se.filter(|se| *se > 0.0 && variance > 0.0).map(|se| variance / (se * se + left));
        self
    }

    fn refused(mut self, formula: &'static str, reason: impl std::fmt::Display) -> Corrected {
        let reason = reason.to_string();
        self.formula = formula;
        self.corrected = Estimate::undefined(reason.clone());
        self.spread = Spread::Unknown(reason);
        self
    }

    fn few_errors(&self) -> String {
        format!(
            "gold and model differ on {} gold units, fewer than {FEWEST_ERRORS}: a normal interval would be too short",
            self.gold_errors
        )
    }

    fn few_sessions(&self) -> String {
        format!("gold is of {} sessions, at least {FEWEST_CLUSTERS} are needed", self.gold_sessions)
    }

    fn warn_of_few_scores(&mut self) {
        self.warnings
            .push(format!("only {} gold units: below {FEW_SCORES} the interval is itself uncertain", self.gold));
    }

    /// Whether gold has several units in a session, so that sessions are drawn.
    fn is_clustered(&self) -> bool {
        self.gold_sessions < self.gold
    }

    /// Adds the bounds for units without an answer: `answered` of `all` have one, on a scale from `least` to `most`.
    pub fn bound(&mut self, answered: usize, all: usize, (least, most): (f64, f64)) {
        if let Some(value) = self.corrected.value.filter(|_| answered < all) {
            let part = answered as f64 / all as f64;
            self.bounds = Some((part * value + (1.0 - part) * least, part * value + (1.0 - part) * most));
        }
    }
}

impl Correction<'_> {
    fn with_seed(&self, offset: u64) -> Resampling {
        Resampling { seed: self.resampling.seed.wrapping_add(offset), ..self.resampling }
    }

    /// The share of one label of `labels` among units, of which some have gold. `offset` tells the draws of different groups apart.
    pub fn share(&self, units: &[Labelled], label: usize, labels: usize, offset: u64) -> Corrected {
        let is = |place: usize| f64::from(u8::from(place == label));
        let rows: Vec<ScoreUnit> = (units.iter())
            .map(|unit| ScoreUnit {
                session: unit.session,
                guess: is(unit.model),
                gold: unit.gold.map(is),
                stratum: unit.stratum,
            })
            .collect();
        let found = frame(&rows);
        if found.gold == 0 {
            return found;
        }
        if self.design == Design::UnequalProbability {
            let probabilities: Vec<Option<f64>> = units.iter().map(|unit| unit.probability).collect();
            return self
                .by_design(found, &rows, probabilities.iter().copied(), true)
                .weighing(&by_probability(&rows, &probabilities), self.target);
        }
        if self.design == Design::Stratified {
            return self.stratified_share(found, &rows, offset).weighing(&by_stratum(&rows), self.target);
        }
        // Where probabilities differ between the model's labels, each of them is a stratum. Else two strata are enough, the model's label or
        // not: many strata with little gold each would pull a rare label's share up by their priors.
        let by_label = self.design == Design::ByModelLabel;
        let strata = if by_label { labels } else { 2 };
        let of_label: Vec<LabelUnit> = (units.iter())
            .map(|unit| LabelUnit {
                session: unit.session,
                stratum: if by_label { unit.model } else { usize::from(unit.model != label) },
                gold: unit.gold.map(|gold| gold == label),
            })
            .collect();
        self.poststratified(found, &of_label, strata, offset, "post-stratified on the model's label")
    }

    fn poststratified(
        &self,
        mut found: Corrected,
        units: &[LabelUnit],
        strata: usize,
        offset: u64,
        formula: &'static str,
    ) -> Corrected {
        let counts = counts(units, strata);
        let all: f64 = counts.all.iter().sum();
        let unseen: f64 = counts.without_gold().map(|k| counts.all[k]).sum();
        let rate = |row: &Vec<f64>| {
            let sum: f64 = row.iter().sum();
            // Without gold the posterior is the prior, whose mean is one half.
            if sum > 0.0 { row[0] / sum } else { 0.5 }
        };
        let value = counts.all.iter().zip(&counts.gold).map(|(count, row)| count / all * rate(row)).sum();
        if unseen > 0.0 {
            let whose = match (strata, counts.gold[0].iter().sum::<f64>() == 0.0) {
                (2, true) => "units that the model gave this label",
                (2, false) => "units that the model gave another label",
                _ => "units of some model labels",
            };
            found.warnings.push(format!(
                "{unseen:.0} {whose}, and no gold on any of them: nothing is known there (one half, with a wide interval); label some"
            ));
        }
        if self.target == Target::TheseUnits && found.gold == found.units {
            let known = Spread::Drawn(vec![Drawn { draws: vec![value; 2], clusters: None }]);
            return found.with(
                value,
                known,
                "share of gold, which is of all units",
                "nothing is left to estimate",
                true,
            );
        }
        let posterior = |resampling: Resampling| Drawn {
            draws: self.posterior(&counts, resampling).into_iter().map(|shares| shares[0]).collect(),
            clusters: None,
        };
        let resampling = self.with_seed(offset);
        if !found.is_clustered() {
            let method = "Jeffreys posterior";
            return found.with(value, Spread::Drawn(vec![posterior(resampling)]), formula, method, true);
        }
        if found.gold_sessions < FEWEST_CLUSTERS {
            let reason = found.few_sessions();
            return found.with(value, Spread::Unknown(reason), formula, "", true);
        }
        let sets = vec![bootstrap_share(units, strata, self.target, resampling), posterior(resampling)];
        let method = "session bootstrap, t-expanded, no shorter than the Jeffreys posterior";
        found.with(value, Spread::Drawn(sets), formula, method, true)
    }

    fn posterior(&self, counts: &Counts, Resampling { replicates, seed }: Resampling) -> Vec<Vec<f64>> {
        match self.target {
            Target::Population => poststratified::posterior(counts, self.target, replicates, seed),
            Target::TheseUnits => poststratified::posterior_of_these(counts, replicates, seed),
        }
    }

    /// The share of a label by strata, each post-stratified on whether the model gave the label: StratPPI, with the λ of each stratum that makes
    /// its gold fit best. Where one of the two has no gold, the stratum is taken as a whole.
    fn stratified_share(&self, mut found: Corrected, rows: &[ScoreUnit], offset: u64) -> Corrected {
        let formula = "post-stratified on the model's label within each stratum";
        let cells: Vec<LabelUnit> = (rows.iter())
            .map(|row| LabelUnit {
                session: row.session,
                stratum: 2 * row.stratum + usize::from(row.guess < 0.5),
                gold: row.gold.map(|gold| gold > 0.5),
            })
            .collect();
        let places = 2 * self.strata.len();
        let known = counts(&cells, places);
        let gold = |cell: usize| known.gold[cell].iter().sum::<f64>();
        let rate = |cells: &[usize]| {
            let hits: f64 = cells.iter().map(|cell| known.gold[*cell][0]).sum();
            hits / cells.iter().map(|cell| gold(*cell)).sum::<f64>()
        };
        let (mut whole, mut strata) = (vec![], vec![]);
        for (place, name) in self.strata.iter().enumerate() {
            let both = [2 * place, 2 * place + 1];
            let units: f64 = both.iter().map(|cell| known.all[*cell]).sum();
            let with_gold: f64 = both.iter().map(|cell| gold(*cell)).sum();
            if units == 0.0 {
                continue;
            }
            if with_gold < 2.0 {
                let reason = NoCorrection::StratumWithoutGold { stratum: name.clone(), gold: with_gold as usize };
                return found.refused(formula, reason);
            }
            let lambda = if both.iter().any(|cell| gold(*cell) == 0.0) {
                whole.push(place);
                0.0
            } else {
                rate(&both[..1]) - rate(&both[1..])
            };
            strata.push(StratumUsed { stratum: name.clone(), units: units as usize, gold: with_gold as usize, lambda });
        }
        found.strata = strata;
        let cells = cells.into_iter().map(|unit| match whole.contains(&(unit.stratum / 2)) {
            true => LabelUnit { stratum: unit.stratum / 2 * 2, ..unit },
            false => unit,
        });
        self.poststratified(found, &cells.collect::<Vec<LabelUnit>>(), places, offset, formula)
    }

    /// The mean of numbers by strata.
    fn stratified_mean(&self, mut found: Corrected, rows: &[ScoreUnit]) -> Corrected {
        let formula = "stratified PPI++ (StratPPI)";
        let mean = match stratified::mean(rows, self.strata, self.target, found.is_clustered()) {
            Ok(mean) => mean,
            Err(reason) => return found.refused(formula, reason),
        };
        let used = |(place, one): (&usize, &StratumMean)| StratumUsed {
            stratum: self.strata[*place].clone(),
            units: one.units,
            gold: one.gold,
            lambda: one.lambda,
        };
        found.strata = mean.strata.iter().map(used).collect();
        if found.gold < FEW_SCORES {
            found.warn_of_few_scores();
        }
        if found.gold_errors < FEWEST_ERRORS && found.gold < found.units {
            let reason = found.few_errors();
            return found.with(mean.estimate, Spread::Unknown(reason), formula, "", false);
        }
        if !found.is_clustered() {
            let spread = Spread::Normal { se: mean.se, df: mean.df };
            return found.with(mean.estimate, spread, formula, "t, Satterthwaite", false);
        }
        if found.gold_sessions < FEWEST_CLUSTERS {
            let reason = found.few_sessions();
            return found.with(mean.estimate, Spread::Unknown(reason), formula, "", false);
        }
        let spread = Spread::Normal { se: mean.se, df: mean.df };
        found.with(mean.estimate, spread, formula, "sessions, linearised, t", false)
    }

    /// The estimate by design of a share or a mean.
    fn by_design(
        &self,
        mut found: Corrected,
        rows: &[ScoreUnit],
        probabilities: impl Iterator<Item = Option<f64>>,
        is_share: bool,
    ) -> Corrected {
        let formula = "by design (DSL)";
        let units: Vec<design::Unit> = (rows.iter().zip(probabilities))
            .map(|(row, probability)| design::Unit {
                guess: row.guess,
                gold: row.gold,
                probability: probability.unwrap_or(0.0),
                cluster: row.session,
            })
            .collect();
        let mean = match design::mean(&units) {
            Ok(mean) => mean,
            Err(reason) => return found.refused(formula, reason),
        };
        let (implied, se) = mean.implied_units;
        if (implied - units.len() as f64).abs() > 3.0 * se {
            found.warnings.push(format!(
                "the recorded probabilities imply {implied:.0} units, the run has {}: are they of this run, and is all of the gold here?",
                units.len()
            ));
        }
        if found.gold_errors < FEWEST_ERRORS {
            let reason = found.few_errors();
            return found.with(mean.estimate, Spread::Unknown(reason), formula, "", is_share);
        }
        if found.is_clustered() && mean.gold_clusters < FEWEST_CLUSTERS {
            let reason = format!("gold is of {} sessions, at least {FEWEST_CLUSTERS} are needed", mean.gold_clusters);
            return found.with(mean.estimate, Spread::Unknown(reason), formula, "", is_share);
        }
        let se = match self.target {
            Target::Population => mean.se_cluster.unwrap_or(mean.se),
            Target::TheseUnits => design::error_of_these(&units, found.is_clustered()),
        };
        let spread = Spread::Normal { se, df: mean.gold_clusters.max(2) as f64 - 1.0 };
        found.with(mean.estimate, spread, formula, "sessions, linearised, t", is_share)
    }

    /// The mean of numbers among units, of which some have gold.
    pub fn mean(&self, rows: &[ScoreUnit], probabilities: &[Option<f64>]) -> Corrected {
        let mut found = frame(rows);
        if found.gold == 0 {
            return found;
        }
        let unequal = matches!(self.design, Design::UnequalProbability | Design::ByModelLabel);
        if unequal {
            return self
                .by_design(found, rows, probabilities.iter().copied(), false)
                .weighing(&by_probability(rows, probabilities), self.target);
        }
        if self.design == Design::Stratified {
            return self.stratified_mean(found, rows).weighing(&by_stratum(rows), self.target);
        }
        let gold: Vec<(f64, f64)> = rows.iter().filter_map(|row| Some((row.gold?, row.guess))).collect();
        let rest: Vec<f64> = rows.iter().filter(|row| row.gold.is_none()).map(|row| row.guess).collect();
        let parts = Parts { gold: &gold, rest: &rest };
        let tuned = if gold.len() <= MOST_UNTUNED { Lambda::Fixed(1.0) } else { Lambda::OnGold };
        let (mean, formula) = match (self.target, rest.is_empty()) {
            (Target::TheseUnits, _) => (ppi::finite_mean(parts, 0.05), "difference estimator for these units"),
            (_, true) => {
                let formula = "mean of gold, which is of all units";
                (
                    ppi::mean(
                        Parts { gold: &gold, rest: &[0.0, 0.0] },
                        Lambda::Fixed(0.0),
                        Convention::SmallSample,
                        0.05,
                    ),
                    formula,
                )
            }
            (Target::Population, false) => (ppi::mean(parts, tuned, Convention::SmallSample, 0.05), "PPI++"),
        };
        let mean = match mean {
            Ok(mean) => mean,
            Err(reason) => return found.refused(formula, reason),
        };
        found.lambda = Some(mean.lambda);
        if gold.len() < FEW_SCORES {
            found.warn_of_few_scores();
        }
        if found.gold_errors < FEWEST_ERRORS && !rest.is_empty() {
            let reason = found.few_errors();
            return found.with(mean.estimate, Spread::Unknown(reason), formula, "", false);
        }
        if !found.is_clustered() {
            let spread = Spread::Normal { se: mean.se, df: gold.len() as f64 - 1.0 };
            return found.with(mean.estimate, spread, formula, "t", false);
        }
        if found.gold_sessions < FEWEST_CLUSTERS {
            let reason = found.few_sessions();
            return found.with(mean.estimate, Spread::Unknown(reason), formula, "", false);
        }
        let spread =
            Spread::Normal { se: mean_se(rows, mean.lambda, self.target), df: found.gold_sessions as f64 - 1.0 };
        found.with(mean.estimate, spread, formula, "sessions, linearised, t", false)
    }

    /// The share of a label by how the model errs on gold of other units: (gold is the label, the model says so).
    pub fn share_from_elsewhere(&self, units: &[Labelled], label: usize, elsewhere: &[Labelled]) -> Corrected {
        let formula = "Rogan–Gladen";
        let is = |place: usize| f64::from(u8::from(place == label));
        let row = |unit: &Labelled, gold: Option<usize>| ScoreUnit {
            session: unit.session,
            guess: is(unit.model),
            gold: gold.map(is),
            stratum: 0,
        };
        let on_gold: Vec<ScoreUnit> = elsewhere.iter().map(|unit| row(unit, unit.gold)).collect();
        let here: Vec<ScoreUnit> = units.iter().map(|unit| row(unit, None)).collect();
        let mut found =
            Corrected { raw: frame(&here).raw, units: units.len(), effective_gold: None, ..frame(&on_gold) };
        let count = |gold: bool, model: bool| {
            elsewhere.iter().filter(|unit| (unit.gold == Some(label)) == gold && (unit.model == label) == model).count()
                as f64
        };
        let counts = BinaryCounts {
            hits: count(true, true),
            positive: count(true, true) + count(true, false),
            rejections: count(false, false),
            negative: count(false, false) + count(false, true),
            flagged: units.iter().filter(|unit| unit.model == label).count() as f64,
            units: units.len() as f64,
        };
        let share = match misclassification::rogan_gladen(counts, 0.05) {
            Ok(share) => share,
            Err(reason) => return found.refused(formula, reason),
        };
        if share.informedness() < misclassification::WEAK_INFORMEDNESS {
            found.warnings.push(format!(
                "sensitivity + specificity − 1 is {:.2}: errors are amplified {:.0}-fold",
                share.informedness(),
                1.0 / share.informedness()
            ));
        }
        if found.is_clustered() {
            found
                .warnings
                .push("units of one session are taken as independent, so the interval is too short".to_owned());
        }
        if share.unclipped != share.estimate {
            found.warnings.push(format!("the formula gives {:.3}, which is no share; cut", share.unclipped));
        }
        found.formula = formula;
        let ends = (share.low.min(share.estimate), share.high.max(share.estimate));
        found.corrected = Estimate::with_interval(share.estimate, Some(share.se), ends, "Lang–Reiczigel");
        found.spread = Spread::Normal { se: share.se, df: 1e6 };
        found
    }
}

/// The difference of two corrected numbers of independent units, `b` less `a`.
pub fn difference(a: &Corrected, b: &Corrected) -> (Option<f64>, Estimate) {
    let raw = a.raw.zip(b.raw).map(|(a, b)| b - a);
    let (Some(first), Some(second)) = (a.corrected.value, b.corrected.value) else {
        let reason =
            [a, b].iter().find_map(|one| one.corrected.undefined.clone().filter(|_| one.corrected.value.is_none()));
        return (raw, Estimate::undefined(reason.unwrap_or_default()));
    };
    let spread = b.spread.less(&a.spread);
    let value = second - first;
    let estimate = match spread.interval(value) {
        Ok(ends) => {
            Estimate::with_interval(value, spread.se(), ends, "of the two groups' uncertainties, as independent")
        }
        Err(reason) => Estimate::without_interval(value, reason),
    };
    (raw, estimate)
}
