//! Two prompts or models on one gold: McNemar, differences, permutation, multiplicity, the alternative annotator test.

use super::{Figures, Input, StatError, Statistic};
use crate::agreement::estimate::NoInterval;
use crate::agreement::interval::{DEFAULT_REPLICATES, Resampling};
use crate::comparison::alternative_annotator::{AlternativeAnnotator, PanelItem, Scoring};
use crate::comparison::correctness::{McNemar, cochran_q};
use crate::comparison::multiplicity::Adjustment;
use crate::comparison::paired::{Paired, linearized};
use crate::comparison::permutation::{DEFAULT_SWAPS, Swaps, permutation};
use crate::comparison::shared::Shared;
use crate::comparison::{Metric, SharedLabels, SharedScores};
use serde_json::{Map, Value, json};

type Computed = Result<Map<String, Value>, StatError>;

/// The family.
pub(super) const ALL: &[Statistic] = &[
    Statistic {
        name: "mcnemar",
        summary: "are a and b right equally often: exact, mid-p, χ²; for one item a session only",
        compute: mcnemar,
    },
    Statistic {
        name: "cochran_q",
        summary: "are several prompts right equally often; for one item a session only",
        compute: cochran,
    },
    Statistic {
        name: "metric_difference",
        summary: "accuracy, f1, kappa or mae of b less that of a (`metric`), with errors and intervals by cluster",
        compute: difference,
    },
    Statistic {
        name: "kappa_permutation_exact",
        summary: "test of the difference: the answers of a and b swapped by cluster, all ways where clusters are few",
        compute: swapped,
    },
    Statistic { name: "kappa_permutation", summary: "the same as kappa_permutation_exact", compute: swapped },
    Statistic { name: "p_adjust", summary: "p values adjusted by holm, bh or by", compute: p_adjust },
    Statistic {
        name: "alt_test",
        summary: "may the model stand in for a human of the panel (Calderon et al. 2025)",
        compute: alt_test,
    },
];

/// The replicates and the seed of the parameters.
fn resampling(input: &Input) -> Result<Resampling, StatError> {
    let replicates = input.params.count_or("replicates", u64::from(DEFAULT_REPLICATES))?;
    match u32::try_from(replicates) {
        Ok(replicates @ 1..=1_000_000) => Ok(Resampling { replicates, seed: input.params.count_or("seed", 0)? }),
        _ => Err(input.params.wrong("replicates", "a number from 1 to 1000000")),
    }
}

/// Items that gold and all of `raters` answered.
fn shared_items(input: &Input, gold: usize, raters: &[usize]) -> Vec<usize> {
    let answered = |&item: &usize| {
        input.ratings.label(item, gold).is_some() && raters.iter().all(|&one| input.ratings.label(item, one).is_some())
    };
    (0..input.ratings.items().len()).filter(answered).collect()
}

fn shared(input: &Input, metric: Metric) -> Result<Box<dyn Shared + '_>, StatError> {
    let (gold, raters) = (input.annotator("gold")?, [input.annotator("a")?, input.annotator("b")?]);
    let items = shared_items(input, gold, &raters);
    let places = input.clusters(items.iter().copied())?;
    let clusters: Vec<usize> = items.iter().map(|item| places[item]).collect();
    if metric.is_of_scores() {
        let scores = |rater: usize| -> Result<Vec<f64>, StatError> {
            Ok(items
                .iter()
                .map(|&item| input.score(item, rater))
                .collect::<Result<Vec<_>, _>>()?
                .into_iter()
                .flatten()
                .collect())
        };
        let raters = vec![scores(raters[0])?, scores(raters[1])?];
        return Ok(Box::new(SharedScores { clusters, reference: scores(gold)?, raters }));
    }
    let labels = input.labels(&[gold, raters[0], raters[1]])?;
    let of = |rater: usize| -> Vec<usize> {
        items.iter().filter_map(|&item| labels.place(input.ratings.label(item, rater)?)).collect()
    };
    let raters = raters.into_iter().map(of).collect();
    Ok(Box::new(SharedLabels { labels: labels.len(), clusters, reference: of(gold), raters }))
}

fn metric(input: &Input) -> Result<Metric, StatError> {
    Ok(match input.params.one_of("metric", &["kappa", "accuracy", "f1", "mae"])? {
        "accuracy" => Metric::Accuracy,
        "f1" => Metric::MacroF1,
        "mae" => Metric::MeanAbsoluteError,
        _ => Metric::Kappa,
    })
}

/// Whether each item is answered as gold answers it, by rater.
fn right(input: &Input, raters: &[usize]) -> Result<Vec<Vec<bool>>, StatError> {
    let gold = input.annotator("gold")?;
    let everyone: Vec<usize> = std::iter::once(gold).chain(raters.iter().copied()).collect();
    input.labels(&everyone)?;
    let items = shared_items(input, gold, raters);
    let is_right = |item: usize, rater: usize| input.ratings.label(item, rater) == input.ratings.label(item, gold);
    Ok(items.iter().map(|&item| raters.iter().map(|&rater| is_right(item, rater)).collect()).collect())
}

fn mcnemar(input: &Input) -> Computed {
    let rows = right(input, &[input.annotator("a")?, input.annotator("b")?])?;
    let of = |rater: usize| -> Vec<bool> { rows.iter().map(|row| row[rater]).collect() };
    let found = McNemar::of(&of(0), &of(1));
    let reason = "a and b are right on the same items";
    let mut figures = Figures::new();
    figures.value("table", json!(found.table));
    figures.exact("p_exact", found.p_exact);
    figures.optional("chi2_cc", found.chi2_cc, reason);
    figures.optional("p_cc", found.p_cc, reason);
    figures.optional("chi2", found.chi2, reason);
    figures.optional("p", found.p, reason);
    figures.optional("p_mid", found.p_mid, "a and b are right alone equally often: there are two conventions");
    Ok(figures.finish())
}

fn cochran(input: &Input) -> Computed {
    let rows = right(input, &input.annotators("prompts")?)?;
    let found = cochran_q(&rows);
    let reason = "no item is answered right by some prompts and wrong by others";
    let mut figures = Figures::new();
    figures.optional("statistic", found.map(|q| q.statistic), reason);
    figures.optional("p", found.map(|q| q.p), reason);
    figures.optional("df", found.map(|q| q.df as f64), reason);
    figures.value("n", json!(rows.len()));
    Ok(figures.finish())
}

fn difference(input: &Input) -> Computed {
    let metric = metric(input)?;
    let shared = shared(input, metric)?;
    let found = linearized(&*shared, metric, (0, 1));
    let mut figures = Figures::new();
    for (key, rater) in [("value_a", 0), ("value_b", 1)] {
        figures.number(key, metric.of(&shared.sums(rater), shared.labels()));
    }
    figures.number("diff_b_minus_a", found.map(|found| found.difference));
    figures.number("se_iid", found.map(|found| found.se_items));
    match found {
        Ok(found) => figures.optional("se_cluster_linearized", found.se_clusters, "there is a single cluster"),
        Err(reason) => figures.undefined("se_cluster_linearized", reason),
    }
    let paired = Paired::new(&*shared, metric, resampling(input)?);
    let resampled = paired.resampled();
    let confidence = input.params.confidence()?;
    // The raters' figures come first, then their difference.
    let place = 2;
    figures.optional("se_cluster_jackknife", resampled.jackknife_se(place), NoInterval::UndefinedJackknife);
    figures.interval("texp", resampled.t_expanded(place, confidence));
    figures.value("clusters", json!(paired.clusters()));
    figures.value("n", json!(shared.clusters().len()));
    Ok(figures.finish())
}

fn swapped(input: &Input) -> Computed {
    let metric = metric(input)?;
    let random = input.params.count_or("replicates", u64::from(DEFAULT_SWAPS))?;
    let random = match u32::try_from(random) {
        Ok(random @ 1..) => random,
        _ => return Err(input.params.wrong("replicates", "a whole number above 0")),
    };
    let swaps = Swaps { random, seed: input.params.count_or("seed", 0)? };
    let shared = shared(input, metric)?;
    let found = permutation(&*shared, metric, (0, 1), swaps);
    let mut figures = Figures::new();
    figures.number("diff_b_minus_a", found.map(|found| found.difference));
    figures.number("p_two_sided", found.map(|found| found.p_two_sided));
    figures.number("p_b_greater", found.map(|found| found.p_b_greater));
    if let Ok(found) = found {
        figures.value("enumerated", if found.exact { json!(found.swaps) } else { Value::Null });
        figures.value("exact", json!(found.exact));
        figures.value("swaps", json!(found.swaps));
        figures.value("differing_clusters", json!(found.differing));
    }
    Ok(figures.finish())
}

fn p_adjust(input: &Input) -> Computed {
    let method = match input.params.one_of("method", &["holm", "bh", "by"])? {
        "bh" => Adjustment::BenjaminiHochberg,
        "by" => Adjustment::BenjaminiYekutieli,
        _ => Adjustment::Holm,
    };
    let p = input.params.numbers("p")?;
    if p.iter().any(|p| !(0.0..=1.0).contains(p)) {
        return Err(input.params.wrong("p", "a list of numbers from 0 to 1"));
    }
    let mut figures = Figures::new();
    figures.value("adjusted", json!(method.adjust(&p)));
    Ok(figures.finish())
}

/// ω is shown for each of these.
const EPSILONS: [f64; 7] = [0.0, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3];

fn alt_test(input: &Input) -> Computed {
    let (humans, model) = (input.annotators("humans")?, input.annotator("llm")?);
    let scoring = match input.params.one_of("scoring", &["accuracy", "neg_rmse", "rmse", "-rmse"])? {
        "accuracy" => Scoring::Accuracy,
        _ => Scoring::NegativeRootMeanSquare,
    };
    let test = AlternativeAnnotator {
        epsilon: input.params.number_or("epsilon", 0.2)?,
        q: input.params.share_or("q", 0.05)?,
        fewest_humans: input.params.count_or("min_humans_per_item", 2)? as usize,
        fewest_items: input.params.count_or("min_items_per_human", 30)? as usize,
        scoring,
    };
    let everyone: Vec<usize> = humans.iter().copied().chain([model]).collect();
    let labels = (scoring == Scoring::Accuracy).then(|| input.labels(&everyone)).transpose()?;
    let answer = |item: usize, rater: usize| -> Result<Option<f64>, StatError> {
        match &labels {
            None => input.score(item, rater),
            Some(labels) => {
                let place = input.ratings.label(item, rater).and_then(|label| labels.place(label));
                Ok(place.map(|place| place as f64))
            }
        }
    };
    let all = 0..input.ratings.items().len();
    let clusters = input.clusters(all.clone())?;
    let items = all
        .map(|item| {
            Ok(PanelItem {
                cluster: clusters[&item],
                model: answer(item, model)?,
                humans: humans.iter().map(|&human| answer(item, human)).collect::<Result<Vec<_>, StatError>>()?,
            })
        })
        .collect::<Result<Vec<PanelItem>, StatError>>()?;
    let verdict = test.test(&items);
    let name = |human: usize| &input.ratings.annotators()[humans[human]];
    let reason = "no human has items enough to be tested";
    let mut figures = Figures::new();
    figures.optional("winning_rate", verdict.winning_rate, reason);
    figures.optional("advantage_prob", verdict.advantage, reason);
    match verdict.passes {
        Some(passes) => figures.value("passes", json!(passes)),
        None => figures.undefined("passes", reason),
    }
    figures.value("skipped", json!(verdict.skipped.iter().map(|&human| name(human)).collect::<Vec<_>>()));
    for contest in &verdict.contests {
        let human = name(contest.human);
        figures.value(format!("{human}|n"), json!(contest.items));
        figures.exact(format!("{human}|rho_llm"), contest.model_share);
        figures.exact(format!("{human}|rho_human"), contest.human_share);
        figures.exact(format!("{human}|p"), contest.p);
        figures.optional(format!("{human}|p_clustered"), contest.p_clustered, "there is a single cluster");
    }
    figures.optional("winning_rate_clustered", verdict.winning_rate_clustered, reason);
    let grid = test.over(&EPSILONS, &items).into_iter();
    figures.value("winning_rate_by_epsilon", grid.map(|(epsilon, rate)| json!([epsilon, rate])).collect::<Vec<_>>());
    Ok(figures.finish())
}
