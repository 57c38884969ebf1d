//! One field's agreement: every pair that matters, the whole panel, and the ceiling that humans set.

use super::all::{All, AllFigures, all};
use super::benchmark::{ALTMAN, Benchmark, KOO_LI, KRIPPENDORFF, LANDIS_KOCH};
use super::ceiling::{HumanCeiling, human_ceiling};
use super::collapse::{Collapse, CollapseFigures, CollapsedLabels};
use super::interval::Resampling;
use super::label_pair::{LabelAgreement, LabelRow, PairContext, clusters_of, label_agreement};
use super::ratings::{Cell, Level, Ratings};
use super::score_pair::{ScoreAgreement, ScoreRow, score_agreement};
use super::sets::{SetFigures, set_figures};
use super::warning::{field_warnings, label_warnings, score_warnings, set_warnings};
use thiserror::Error;

/// What cannot be asked of these ratings.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum AgreementError {
    /// A rater that has rated nothing.
    #[error("no rater '{rater}' (the raters are: {raters})")]
    UnknownRater {
        /// The rater.
        rater: String,
        /// The raters there are, joined.
        raters: String,
    },
    /// A collapse of a label that is not declared.
    #[error("the collapse '{collapse}' maps '{label}', which is not a label (the labels are: {labels})")]
    UnknownCollapseLabel {
        /// The collapse.
        collapse: String,
        /// The label.
        label: String,
        /// The labels there are, joined.
        labels: String,
    },
}

/// What to compute.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// The task, for the report.
    pub task: Option<String>,
    /// The field, for the report.
    pub field: String,
    /// The rater to measure others by, such as `gold`.
    pub reference: Option<String>,
    /// Which raters are human. An adjudicated reference is not one of them.
    pub humans: Vec<String>,
    /// What a cluster is called, where the ratings have clusters.
    pub cluster: String,
    /// The codebook's collapses.
    pub collapses: Vec<Collapse>,
    /// The declared values of ordered labels.
    pub values: Option<Vec<f64>>,
    /// Where each label is a set of labels: those that it is made of.
    pub members: Option<Vec<String>>,
    /// How to resample.
    pub resampling: Resampling,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            task: None,
            field: "label".to_owned(),
            reference: None,
            humans: vec![],
            cluster: "session".to_owned(),
            collapses: vec![],
            values: None,
            members: None,
            resampling: Resampling::default(),
        }
    }
}

/// One field's agreement: an element of `fields` in `agree --json`.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct FieldAgreement {
    /// The task.
    pub task: Option<String>,
    /// The field.
    pub field: String,
    /// The level.
    pub level: Level,
    /// The labels in order; empty for scores.
    pub labels: Vec<String>,
    /// What was resampled: `session`, a column, or `item`.
    pub cluster: String,
    /// How many of them there are.
    pub clusters: usize,
    /// How many items there are.
    pub items: usize,
    /// The rater that others are measured by.
    pub reference: Option<String>,
    /// Every rater's answers.
    pub raters: Vec<RaterCounts>,
    /// The pairs: the reference with everyone, and humans with one another; all pairs where no reference is known.
    pub pairs: Vec<Pair>,
    /// The panel of humans if there are two, else of all raters; `None` with a single rater.
    pub all: Option<All>,
    /// Words for the panel's coefficients, with their sources.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub benchmarks: Vec<Benchmark>,
    /// The ceiling that humans set, with two humans and a model.
    pub human_ceiling: Option<HumanCeiling>,
    /// What concerns the whole field.
    pub warnings: Vec<String>,
    /// How the intervals were drawn.
    pub resampling: Drawn,
}

/// The resampling behind the intervals.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct Drawn {
    /// Bootstrap replicates.
    pub replicates: u32,
    /// Seed.
    pub seed: u64,
}

/// One rater's answers. The three counts sum to the items.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct RaterCounts {
    /// The rater.
    pub rater: String,
    /// Items with a usable answer.
    pub items: usize,
    /// Items without an answer.
    pub missing: usize,
    /// Items with an answer that cannot be used.
    pub invalid: usize,
}

/// Which raters a pair is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub enum PairKind {
    /// The reference and a model.
    #[serde(rename = "reference-model")]
    ReferenceModel,
    /// The reference and a human.
    #[serde(rename = "reference-human")]
    ReferenceHuman,
    /// Two humans.
    #[serde(rename = "human-human")]
    HumanHuman,
    /// A human and a model, where there is no reference.
    #[serde(rename = "human-model")]
    HumanModel,
    /// Two raters of whom nothing is said.
    #[serde(rename = "raters")]
    Raters,
}

impl PairKind {
    /// Whether it may measure a model: anything but two humans, or a human against the reference.
    pub fn measures_a_model(self) -> bool {
        !matches!(self, PairKind::HumanHuman | PairKind::ReferenceHuman)
    }
}

/// Two raters.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Pair {
    /// The reference where there is one, else the rater that came first.
    pub a: String,
    /// The other.
    pub b: String,
    /// What they are.
    pub kind: PairKind,
    /// Items that both rated.
    pub items: usize,
    /// Clusters of those items.
    pub clusters: usize,
    /// The numbers.
    #[serde(flatten)]
    pub figures: PairFigures,
    /// Words for the coefficients, with their sources; none where a coefficient has no standard error.
    pub benchmarks: Vec<Benchmark>,
    /// What to know about them.
    pub warnings: Vec<String>,
    /// Every item on which they differ, in order of the items (for scores: the largest difference first).
    pub disagreements: Vec<Disagreement>,
}

/// A pair's numbers, by kind of field.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
#[serde(untagged)]
pub enum PairFigures {
    /// On labels.
    Labels(Box<LabelFigures>),
    /// On scores.
    Scores(Box<ScoreAgreement>),
}

/// A pair's numbers on labels.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct LabelFigures {
    /// On the labels as declared.
    #[serde(flatten)]
    pub agreement: LabelAgreement,
    /// On each collapse, computed afresh.
    #[serde(serialize_with = "super::collapse::as_map")]
    pub collapses: Vec<(String, CollapseFigures)>,
    /// The commonest confusions.
    pub top_disagreements: Vec<Confused>,
    /// Where labels are sets of labels: how alike the sets are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sets: Option<SetFigures>,
}

/// An off-diagonal cell of the confusion matrix.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Confused {
    /// a's label.
    pub a: String,
    /// b's label.
    pub b: String,
    /// On how many items.
    pub count: u64,
}

/// An item on which two raters differ.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Disagreement {
    /// The item.
    pub unit: String,
    /// a's answer.
    pub a: Given,
    /// b's answer.
    pub b: Given,
}

/// An answer as reported.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
#[serde(untagged)]
pub enum Given {
    /// A label.
    Label(String),
    /// A score.
    Score(f64),
}

/// Agreement on one field.
pub fn agree(ratings: &Ratings, settings: &Settings) -> Result<FieldAgreement, AgreementError> {
    let reference = settings.reference.as_deref().map(|name| position(ratings, name)).transpose()?;
    let humans = settings.humans.iter().map(|name| position(ratings, name)).collect::<Result<Vec<usize>, _>>()?;
    let models: Vec<usize> =
        (0..ratings.raters().len()).filter(|rater| Some(*rater) != reference && !humans.contains(rater)).collect();
    let collapses = (settings.collapses.iter())
        .map(|collapse| CollapsedLabels::new(collapse, ratings.labels()))
        .collect::<Result<Vec<CollapsedLabels>, _>>()?;
    let context = PairContext {
        a: "",
        b: "",
        reference: false,
        ordinal: ratings.level() == Level::Ordinal,
        values: settings.values.as_deref(),
        clustered: ratings.clustered(),
        resampling: settings.resampling,
    };
    let pairs = pairs(ratings, reference, &humans)
        .into_iter()
        .map(|(a, b, kind)| {
            let (name_a, name_b) = (&ratings.raters()[a], &ratings.raters()[b]);
            let context = PairContext { a: name_a, b: name_b, reference: Some(a) == reference, ..context };
            pair(ratings, (a, b), kind, (&collapses, settings.members.as_deref()), &context)
        })
        .collect();
    let everyone: Vec<usize> = (0..ratings.raters().len()).collect();
    let panel = all(ratings, if humans.len() >= 2 { &humans } else { &everyone }, &context);
    let human_kappa = match &panel {
        Some(All { figures: AllFigures::Labels(labels), .. }) if humans.len() >= 2 => {
            labels.mean_pairwise_kappa.estimate.value
        }
        _ => None,
    };
    Ok(FieldAgreement {
        task: settings.task.clone(),
        field: settings.field.clone(),
        level: ratings.level(),
        labels: ratings.labels().to_vec(),
        cluster: if ratings.clustered() { settings.cluster.clone() } else { "item".to_owned() },
        clusters: ratings.cluster_count(),
        items: ratings.items().len(),
        reference: settings.reference.clone(),
        raters: rater_counts(ratings),
        pairs,
        benchmarks: panel_benchmarks(panel.as_ref()),
        all: panel,
        human_ceiling: human_ceiling(ratings, &humans, &models, &context),
        warnings: field_warnings(ratings, human_kappa, !models.is_empty()),
        resampling: Drawn { replicates: settings.resampling.replicates, seed: settings.resampling.seed },
    })
}

fn position(ratings: &Ratings, name: &str) -> Result<usize, AgreementError> {
    ratings
        .rater(name)
        .ok_or_else(|| AgreementError::UnknownRater { rater: name.to_owned(), raters: ratings.raters().join(", ") })
}

fn rater_counts(ratings: &Ratings) -> Vec<RaterCounts> {
    let items = ratings.items().len();
    (ratings.raters().iter().enumerate())
        .map(|(rater, name)| {
            let count = |wanted: Cell| (0..items).filter(|&item| ratings.cell(item, rater) == wanted).count();
            let (missing, invalid) = (count(Cell::Missing), count(Cell::Invalid));
            RaterCounts { rater: name.clone(), items: items - missing - invalid, missing, invalid }
        })
        .collect()
}

/// The pairs that matter: the reference with models, humans with one another, the reference with humans. Without a reference all.
fn pairs(ratings: &Ratings, reference: Option<usize>, humans: &[usize]) -> Vec<(usize, usize, PairKind)> {
    let raters = ratings.raters().len();
    let kind = |a: usize, b: usize| {
        let human = |rater: usize| humans.contains(&rater);
        match (Some(a) == reference, human(a), human(b)) {
            (_, true, true) => PairKind::HumanHuman,
            (true, _, true) => PairKind::ReferenceHuman,
            (true, _, false) => PairKind::ReferenceModel,
            (false, false, false) => PairKind::Raters,
            (false, ..) => PairKind::HumanModel,
        }
    };
    let mut pairs: Vec<(usize, usize)> = vec![];
    match reference {
        None => pairs.extend(super::all::pairs_of(raters)),
        Some(reference) => {
            pairs.extend((0..raters).filter(|&other| other != reference).map(|other| (reference, other)));
            let others: Vec<usize> =
                (0..raters).filter(|rater| *rater != reference && humans.contains(rater)).collect();
            pairs.extend(super::all::pairs_of(others.len()).into_iter().map(|(i, j)| (others[i], others[j])));
        }
    }
    let order = |kind: PairKind| match kind {
        PairKind::ReferenceModel | PairKind::HumanModel | PairKind::Raters => 0,
        PairKind::HumanHuman => 1,
        PairKind::ReferenceHuman => 2,
    };
    let mut kinds: Vec<(usize, usize, PairKind)> = pairs.into_iter().map(|(a, b)| (a, b, kind(a, b))).collect();
    kinds.sort_by_key(|&(_, _, kind)| order(kind));
    kinds
}

fn pair(
    ratings: &Ratings,
    (a, b): (usize, usize),
    kind: PairKind,
    (collapses, members): (&[CollapsedLabels], Option<&[String]>),
    context: &PairContext<'_>,
) -> Pair {
    let (mut labels, mut scores) = (vec![], vec![]);
    for item in 0..ratings.items().len() {
        let cluster = ratings.cluster(item);
        match (ratings.cell(item, a), ratings.cell(item, b)) {
            (Cell::Label(a), Cell::Label(b)) => labels.push(LabelRow { cluster, a, b, item }),
            (Cell::Number(a), Cell::Number(b)) => scores.push(ScoreRow { cluster, a, b, item }),
            _ => {}
        }
    }
    let unit = |item: usize| ratings.items()[item].clone();
    let names = ratings.labels();
    let (items, clusters, figures, warnings, disagreements) = match ratings.level() {
        Level::Interval => {
            let clusters = clusters_of(scores.iter().map(|row| row.cluster));
            let found = score_agreement(&scores, context);
            let warnings = score_warnings(&found, clusters, context);
            let items = scores.len();
            scores.retain(|row| row.a != row.b);
            scores.sort_by(|x, y| (y.b - y.a).abs().total_cmp(&(x.b - x.a).abs()));
            let disagreements = (scores.iter())
                .map(|row| Disagreement { unit: unit(row.item), a: Given::Score(row.a), b: Given::Score(row.b) })
                .collect();
            (items, clusters, PairFigures::Scores(Box::new(found)), warnings, disagreements)
        }
        Level::Nominal | Level::Ordinal => {
            let clusters = clusters_of(labels.iter().map(|row| row.cluster));
            let agreement = label_agreement(&labels, names, context);
            let warnings = match members {
                None => label_warnings(&agreement, clusters, context),
                Some(_) => set_warnings(clusters, context),
            };
            let figures = LabelFigures {
                collapses: collapses.iter().map(|collapse| collapse.figures(&labels, context)).collect(),
                top_disagreements: top_disagreements(&agreement),
                sets: members.map(|members| set_figures(&labels, names, members, context)),
                agreement,
            };
            let disagreements = (labels.iter().filter(|row| row.a != row.b))
                .map(|row| Disagreement {
                    unit: unit(row.item),
                    a: Given::Label(names[row.a].clone()),
                    b: Given::Label(names[row.b].clone()),
                })
                .collect();
            (labels.len(), clusters, PairFigures::Labels(Box::new(figures)), warnings, disagreements)
        }
    };
    Pair {
        a: context.a.to_owned(),
        b: context.b.to_owned(),
        kind,
        items,
        clusters,
        benchmarks: benchmarks(&figures),
        figures,
        warnings,
        disagreements,
    }
}

/// Words for a pair's coefficients.
fn benchmarks(figures: &PairFigures) -> Vec<Benchmark> {
    let found = match figures {
        PairFigures::Labels(labels) => {
            let kappa = &labels.agreement.cohen_kappa;
            [LANDIS_KOCH.benchmark("cohen_kappa", kappa), ALTMAN.benchmark("cohen_kappa", kappa)]
        }
        PairFigures::Scores(scores) => [
            KOO_LI.benchmark("icc_a1", &scores.icc_a1),
            KRIPPENDORFF.benchmark("krippendorff_alpha", &scores.krippendorff_alpha),
        ],
    };
    found.into_iter().flatten().collect()
}

/// Words for the panel's alpha.
fn panel_benchmarks(panel: Option<&All>) -> Vec<Benchmark> {
    let alpha = match panel.map(|panel| &panel.figures) {
        Some(AllFigures::Labels(labels)) => &labels.krippendorff_alpha,
        Some(AllFigures::Scores(scores)) => &scores.krippendorff_alpha,
        None => return vec![],
    };
    KRIPPENDORFF.benchmark("krippendorff_alpha", alpha).into_iter().collect()
}

/// The commonest confusions, five at most.
fn top_disagreements(found: &LabelAgreement) -> Vec<Confused> {
    let labels = &found.confusion.labels;
    let mut cells = vec![];
    for (a, row) in found.confusion.counts.iter().enumerate() {
        for (b, &count) in row.iter().enumerate().filter(|&(b, &count)| a != b && count > 0) {
            cells.push(Confused { a: labels[a].clone(), b: labels[b].clone(), count });
        }
    }
    cells.sort_by_key(|cell| std::cmp::Reverse(cell.count));
    cells.truncate(5);
    cells
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agreement::{Answer, RatingsBuilder};
    use serde_json::Value;

    /// 40 items in 20 sessions: gold and two humans; a model that over-uses `yes` and once gives nothing usable.
    pub(super) fn labelled() -> Ratings {
        let mut builder = RatingsBuilder::new(Level::Nominal).labels(&names(&["no", "yes", "unclear"])).unwrap();
        for item in 0..40 {
            let id = format!("s{}#{item}", item / 2);
            builder.cluster(&id, &format!("s{}", item / 2)).unwrap();
            let gold = if item % 5 < 2 { "yes" } else { "no" };
            let wrong = if gold == "yes" { "no" } else { "yes" };
            let pick = |flip: bool| Answer::Text(if flip { wrong } else { gold }.to_owned());
            builder.push(&id, "gold", pick(false)).unwrap();
            builder.push(&id, "h1", pick(item % 11 == 0)).unwrap();
            builder.push(&id, "h2", pick(item % 13 == 1)).unwrap();
            let answer = if item == 39 { Answer::Invalid } else { pick(item % 7 == 3 && gold == "no") };
            builder.push(&id, "m", answer).unwrap();
        }
        builder.finish().unwrap()
    }

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|&name| name.to_owned()).collect()
    }

    pub(super) fn settings() -> Settings {
        Settings {
            task: Some("pushback".to_owned()),
            reference: Some("gold".to_owned()),
            humans: names(&["h1", "h2"]),
            collapses: vec![Collapse {
                name: "sure".to_owned(),
                map: vec![("yes".to_owned(), Some("yes".to_owned())), ("no".to_owned(), Some("no".to_owned()))],
            }],
            resampling: Resampling { replicates: 300, seed: 7 },
            ..Settings::default()
        }
    }

    fn keys(value: &Value) -> Vec<&str> {
        value.as_object().unwrap().keys().map(String::as_str).collect()
    }

    #[test]
    fn the_json_has_the_shape_that_is_promised() {
        let found = serde_json::to_value(agree(&labelled(), &settings()).unwrap()).unwrap();
        let promised = [
            "task",
            "field",
            "level",
            "labels",
            "cluster",
            "clusters",
            "items",
            "raters",
            "pairs",
            "all",
            "human_ceiling",
            "warnings",
        ];
        assert!(promised.iter().all(|key| keys(&found).contains(key)));
        assert_eq!(
            (&found["cluster"], &found["clusters"], &found["items"]),
            (&"session".into(), &20.into(), &40.into())
        );
        assert_eq!(found["raters"][3], serde_json::json!({"rater": "m", "items": 39, "missing": 0, "invalid": 1}));
        let pair = &found["pairs"][0];
        assert_eq!((&pair["a"], &pair["b"], &pair["items"]), (&"gold".into(), &"m".into(), &39.into()));
        for key in ["cohen_kappa", "gwet_ac1", "brennan_prediger", "scott_pi"] {
            assert_eq!(keys(&pair[key]), ["value", "se", "low", "high", "method", "undefined"]);
            assert_eq!(pair[key]["method"], "cluster bootstrap, t-expanded");
        }
        assert_eq!(pair["confusion"]["labels"], serde_json::json!(["no", "yes", "unclear"]));
        assert_eq!(pair["per_label"][2]["f1"], Value::Null);
        assert_eq!(pair["collapses"]["sure"]["items"], 39);
        assert_eq!(pair["disagreements"][0], serde_json::json!({"unit": "s1#3", "a": "no", "b": "yes"}));
        assert!(keys(&found["all"]).contains(&"mean_pairwise_kappa"));
        assert_eq!(found["human_ceiling"]["models"][0]["items"], 39);
    }

    #[test]
    fn pairs_are_the_reference_with_everyone_and_humans_with_one_another() {
        let of = |settings: &Settings| -> Vec<(String, String)> {
            agree(&labelled(), settings).unwrap().pairs.into_iter().map(|pair| (pair.a, pair.b)).collect()
        };
        let pair = |a: &str, b: &str| (a.to_owned(), b.to_owned());
        let resampling = Resampling { replicates: 20, seed: 0 };
        let with_reference = of(&Settings { resampling, ..settings() });
        assert_eq!(with_reference, [pair("gold", "m"), pair("h1", "h2"), pair("gold", "h1"), pair("gold", "h2")]);
        assert_eq!(of(&Settings { resampling, ..Settings::default() }).len(), 6);
    }

    #[test]
    fn unknown_names_are_errors() {
        let wrong = Settings { reference: Some("Gold".to_owned()), ..settings() };
        let error = agree(&labelled(), &wrong).unwrap_err().to_string();
        assert_eq!(error, "no rater 'Gold' (the raters are: gold, h1, h2, m)");
        let map = vec![("maybe".to_owned(), None)];
        let wrong = Settings { collapses: vec![Collapse { name: "c".to_owned(), map }], ..settings() };
        assert!(agree(&labelled(), &wrong).unwrap_err().to_string().contains("'maybe', which is not a label"));
    }

    #[test]
    fn scores_in_sessions_are_resampled_by_session_and_single_ones_are_classical() {
        let scored = |clustered: bool| {
            let mut builder = RatingsBuilder::new(Level::Interval);
            for item in 0..60_u32 {
                let id = item.to_string();
                if clustered {
                    builder.cluster(&id, &(item / 3).to_string()).unwrap();
                }
                let score = f64::from(item * 37 % 101);
                builder.push(&id, "gold", Answer::Number(score)).unwrap();
                builder.push(&id, "m", Answer::Number(score + f64::from(item * 53 % 17) - 4.0)).unwrap();
            }
            let settings = Settings {
                reference: Some("gold".to_owned()),
                resampling: Resampling { replicates: 200, seed: 0 },
                ..Settings::default()
            };
            serde_json::to_value(agree(&builder.finish().unwrap(), &settings).unwrap()).unwrap()
        };
        let pair = &scored(false)["pairs"][0];
        assert_eq!(pair["icc_a1"]["method"], "McGraw–Wong");
        assert_eq!(pair["ccc"]["method"], "Fisher z (Lin)");
        assert_eq!(pair["spearman"]["method"], "item bootstrap, t-expanded");
        let pair = &scored(true)["pairs"][0];
        for key in [
            "bias",
            "mae",
            "rmse",
            "icc_a1",
            "icc_c1",
            "ccc",
            "spearman",
            "pearson",
            "kendall_tau_b",
            "krippendorff_alpha",
        ] {
            assert_eq!(pair[key]["method"], "cluster bootstrap, t-expanded", "{key}");
        }
        assert!(pair["limits_of_agreement"]["low"].as_f64() < pair["limits_of_agreement"]["high"].as_f64());
        assert!(pair["mode_share"]["value"].is_number());
    }

    #[test]
    fn nothing_rated_by_both_is_undefined_everywhere() {
        for level in [Level::Nominal, Level::Ordinal, Level::Interval] {
            let mut builder = RatingsBuilder::new(level);
            builder.push("1", "a", Answer::Text("1".to_owned())).unwrap();
            builder.push("2", "b", Answer::Text("2".to_owned())).unwrap();
            builder.push("3", "b", Answer::Missing).unwrap();
            let found = agree(&builder.finish().unwrap(), &Settings::default()).unwrap();
            assert_eq!((found.pairs[0].items, found.pairs[0].clusters), (0, 0));
            let json = serde_json::to_value(&found).unwrap();
            let key = if level == Level::Interval { "icc_a1" } else { "cohen_kappa" };
            assert_eq!(json["pairs"][0][key]["value"], Value::Null);
            assert_eq!(json["pairs"][0][key]["undefined"], "no item was rated by both");
        }
    }
}
