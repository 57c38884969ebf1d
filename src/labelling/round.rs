//! The round after the first units that two people labelled: how far they agree, and what the codebook leaves open.
//!
//! A codebook gets better where raters read it differently. So the units on which they differ are put together by what each of them said,
//! with both notes: a group is a sentence that the codebook lacks.

use super::adjudication::{Adjudication, FAR};
use super::desk::DeskError;
use crate::agreement::field::{Disagreement, Given, PairKind};
use crate::agreement::{self, Estimate, Pair, PairFigures, Resampling, Settings};
use crate::codebook::{Codebook, FieldKind};
use crate::evaluation::{Cluster, Comparison};
use crate::gold::Gold;
use serde::Serialize;
use std::collections::{BTreeMap, HashMap};

/// Units that two raters have to share before there is a round.
pub const FIRST: usize = 10;

/// The round.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Round {
    /// Units that two raters share at least before figures are shown.
    pub needed: usize,
    /// Pairs of raters with that many.
    pub pairs: Vec<PairRound>,
}

/// Two raters.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PairRound {
    /// One.
    pub a: String,
    /// The other.
    pub b: String,
    /// Units that both labelled.
    pub items: usize,
    /// How far they agree, field by field.
    pub figures: Vec<Figure>,
    /// What is open.
    pub open: Vec<Group>,
}

/// A figure with its interval.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Figure {
    /// The field, or the part of one.
    pub field: String,
    /// What it is: `κ`, `MAE`, `ICC`.
    pub name: &'static str,
    /// The value.
    pub value: Option<f64>,
    /// Lower end of the 95 % interval.
    pub low: Option<f64>,
    /// Upper end.
    pub high: Option<f64>,
    /// Why it is undefined.
    pub undefined: Option<String>,
}

/// Units on which the same two answers stand against each other.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Group {
    /// The field, or the part of one.
    pub field: String,
    /// The two answers, or how far numbers are apart.
    pub between: String,
    /// The units.
    pub cases: Vec<Open>,
}

/// One of them.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Open {
    /// Its place in the list of cases.
    pub at: usize,
    /// What the one said.
    pub a: String,
    /// What the other said.
    pub b: String,
    /// The one's note.
    pub a_note: String,
    /// The other's.
    pub b_note: String,
}

/// The round of the answers so far.
///
/// # Errors
/// The gold file cannot be read, or its answers are no ratings.
pub fn round(adjudication: &Adjudication) -> Result<Round, DeskError> {
    let mut round = Round { needed: FIRST, pairs: Vec::new() };
    let Some(gold) = adjudication.human()? else { return Ok(round) };
    let codebook = adjudication.codebook();
    let comparison =
        Comparison { codebook, gold: Some(&gold), runs: &[], split: None, cluster: Cluster::Session, collapse: None };
    let fields = comparison.fields().map_err(|error| DeskError::Answer(error.to_string()))?;
    let notes: HashMap<(&str, &str), &str> = (gold.rows.iter())
        .map(|row| ((row.unit.as_str(), row.rater.as_str()), row.note.as_deref().unwrap_or_default()))
        .collect();
    let places: HashMap<&str, usize> =
        (0..adjudication.len()).filter_map(|at| Some((adjudication.unit(at).ok()?.as_str(), at))).collect();
    for field in &fields {
        let settings = Settings {
            task: Some(codebook.task.clone()),
            field: field.name.clone(),
            humans: field.humans.clone(),
            resampling: Resampling { replicates: 2_000, seed: 1 },
            ..Settings::default()
        };
        let found =
            agreement::agree(&field.ratings, &settings).map_err(|error| DeskError::Answer(error.to_string()))?;
        for pair in found.pairs.iter().filter(|pair| pair.kind == PairKind::HumanHuman && pair.items >= FIRST) {
            let place = match round.pairs.iter().position(|other| other.a == pair.a && other.b == pair.b) {
                Some(place) => place,
                None => {
                    let (a, b) = (pair.a.clone(), pair.b.clone());
                    round.pairs.push(PairRound { a, b, items: 0, figures: Vec::new(), open: Vec::new() });
                    round.pairs.len() - 1
                }
            };
            let into = &mut round.pairs[place];
            into.items = into.items.max(pair.items);
            into.figures.extend(figures(&field.name, pair));
            into.open.extend(groups(&field.name, pair, range(codebook, &field.name), &notes, &places));
        }
    }
    Ok(round)
}

/// How many units any two raters share at most.
pub fn shared(gold: &Gold) -> usize {
    let mut raters: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for row in gold.rows.iter().filter(|row| !row.fields.is_empty()) {
        raters.entry(row.unit.as_str()).or_default().push(&row.rater);
    }
    let mut counts: HashMap<(&str, &str), usize> = HashMap::new();
    for of_unit in raters.values_mut() {
        of_unit.sort_unstable();
        for (nth, a) in of_unit.iter().enumerate() {
            for b in &of_unit[nth + 1..] {
                *counts.entry((a, b)).or_default() += 1;
            }
        }
    }
    counts.into_values().max().unwrap_or(0)
}

fn figures(field: &str, pair: &Pair) -> Vec<Figure> {
    let figure = |name: &'static str, estimate: &Estimate| Figure {
        field: field.to_owned(),
        name,
        value: estimate.value,
        low: estimate.low,
        high: estimate.high,
        undefined: estimate.undefined.clone(),
    };
    match &pair.figures {
        PairFigures::Labels(labels) => vec![
            figure("κ", &labels.agreement.cohen_kappa),
            figure("share of agreement", &labels.agreement.percent_agreement),
        ],
        PairFigures::Scores(scores) => vec![figure("MAE", &scores.mae), figure("ICC", &scores.icc_a1)],
    }
}

/// The range of a field's numbers; of a part of shares, 100.
fn range(codebook: &Codebook, field: &str) -> Option<f64> {
    let name = field.split('.').next().unwrap_or(field);
    match &codebook.field(name)?.kind {
        FieldKind::Score(score) => Some((score.max - score.min) as f64),
        FieldKind::Shares(_) => Some(100.0),
        _ => None,
    }
}

fn groups(
    field: &str,
    pair: &Pair,
    range: Option<f64>,
    notes: &HashMap<(&str, &str), &str>,
    places: &HashMap<&str, usize>,
) -> Vec<Group> {
    let far = range.map_or(0.0, |range| range * FAR);
    let mut groups: BTreeMap<String, Vec<Open>> = BTreeMap::new();
    for Disagreement { unit, a, b } in &pair.disagreements {
        let (between, a, b) = match (a, b) {
            (Given::Label(a), Given::Label(b)) => {
                let (first, second) = if a < b { (a, b) } else { (b, a) };
                (format!("{first} or {second}"), a.clone(), b.clone())
            }
            (Given::Score(a), Given::Score(b)) if (a - b).abs() > far + 1e-9 => {
                (format!("more than {far} apart"), a.to_string(), b.to_string())
            }
            _ => continue,
        };
        let Some(&at) = places.get(unit.as_str()) else { continue };
        let note = |rater: &str| notes.get(&(unit.as_str(), rater)).copied().unwrap_or_default().to_owned();
        groups.entry(between).or_default().push(Open { at, a, b, a_note: note(&pair.a), b_note: note(&pair.b) });
    }
    let mut groups: Vec<Group> =
        groups.into_iter().map(|(between, cases)| Group { field: field.to_owned(), between, cases }).collect();
    groups.sort_by_key(|group| std::cmp::Reverse(group.cases.len()));
    groups
}
