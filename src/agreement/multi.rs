//! Agreement of several raters on labels, with gaps.

use super::distribution::{t_quantile, upper};
use super::estimate::{Undefined, Value};
use super::influence::{cluster_sums, linearised_se};
use super::kappa::{TINY, Weights};

/// Several raters' labels: one row an item, one column a rater, `None` where a rating is missing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Panel {
    /// Number of declared labels q.
    pub labels: usize,
    /// Label indices by item and rater.
    pub rows: Vec<Vec<Option<usize>>>,
}

/// How often each of `labels` occurs in an item's ratings, R_ik.
pub fn counts(row: &[Option<usize>], labels: usize) -> Vec<f64> {
    let mut counts = vec![0.0; labels];
    row.iter().flatten().for_each(|&label| counts[label] += 1.0);
    counts
}

/// How far apart two labels are for Krippendorff's alpha, δ².
#[derive(Debug, Clone, PartialEq)]
pub enum Metric {
    /// 1 if they differ.
    Nominal,
    /// (Σ_{g=c..d} n_g − (n_c + n_d)/2)² over the labels' counts: it depends on the data.
    Ordinal,
    /// (c − d)² over the labels' values.
    Interval(Vec<f64>),
    /// ((c − d)/(c + d))² over the labels' values.
    Ratio(Vec<f64>),
}

/// What an item adds to the coincidence matrix (by row): each ordered pair of its ratings counts 1/(m − 1). Nothing if it has one rating.
pub fn coincidences(counts: &[f64]) -> Vec<f64> {
    let q = counts.len();
    let m: f64 = counts.iter().sum();
    if m < 2.0 {
        return vec![0.0; q * q];
    }
    let pairs = |c: usize, d: usize| counts[c] * (counts[d] - f64::from(c == d)) / (m - 1.0);
    (0..q * q).map(|cell| pairs(cell / q, cell % q)).collect()
}

/// δ² between labels that occur `counts` times.
fn distances<'m>(counts: &'m [f64], metric: &'m Metric) -> impl Fn(usize, usize) -> f64 + 'm {
    let mut up_to = vec![0.0];
    counts.iter().for_each(|count| up_to.push(up_to[up_to.len() - 1] + count));
    move |c, d| match metric {
        Metric::Nominal => f64::from(c != d),
        Metric::Ordinal => {
            let (low, high) = (c.min(d), c.max(d));
            (up_to[high + 1] - up_to[low] - (counts[low] + counts[high]) / 2.0).powi(2)
        }
        Metric::Interval(x) => (x[c] - x[d]).powi(2),
        Metric::Ratio(x) if x[c] + x[d] == 0.0 => 0.0,
        Metric::Ratio(x) => ((x[c] - x[d]) / (x[c] + x[d])).powi(2),
    }
}

/// 1 − (N − 1) Σ o_cd δ²_cd / Σ n_c n_d δ²_cd from label counts n_c and the sum Σ o_cd δ²_cd.
fn alpha(counts: &[f64], observed: f64, metric: &Metric) -> Value {
    let total: f64 = counts.iter().sum();
    if total <= TINY {
        return Err(Undefined::NoItems);
    }
    // Sums from which a cluster was taken leave rounding behind where a label is no longer used.
    let used: Vec<usize> = (0..counts.len()).filter(|&label| counts[label] > TINY * total).collect();
    let (expected, farthest) = match metric {
        Metric::Interval(x) => squares_apart(used.iter().map(|&label| (counts[label], x[label])), total),
        _ => {
            let distance = distances(counts, metric);
            let (mut expected, mut farthest) = (0.0, 0.0_f64);
            for (place, &c) in used.iter().enumerate() {
                for &d in &used[..place] {
                    expected += 2.0 * counts[c] * counts[d] * distance(c, d);
                    farthest = farthest.max(distance(c, d));
                }
            }
            (expected, farthest)
        }
    };
    if farthest == 0.0 || expected <= TINY * total * total * farthest {
        Err(Undefined::OneLabelUsed)
    } else {
        Ok(1.0 - (total - 1.0) * observed / expected)
    }
}

/// Σ n_c n_d (x_c − x_d)² = 2N Σ n_c (x_c − x̄)², in one pass over however many values, and the largest (x_c − x_d)².
fn squares_apart(values: impl Iterator<Item = (f64, f64)> + Clone, total: f64) -> (f64, f64) {
    let mean = values.clone().map(|(count, x)| count * x).sum::<f64>() / total;
    let (low, high) = values.clone().fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), (_, x)| (l.min(x), h.max(x)));
    (2.0 * total * values.map(|(count, x)| count * (x - mean).powi(2)).sum::<f64>(), (high - low).powi(2))
}

/// Krippendorff's alpha (2004) from a coincidence matrix by row.
pub fn krippendorff_alpha(coincidences: &[f64], labels: usize, metric: &Metric) -> Value {
    let counts: Vec<f64> = coincidences.chunks(labels.max(1)).map(|row| row.iter().sum()).collect();
    let distance = distances(&counts, metric);
    let observed =
        (0..coincidences.len()).map(|cell| coincidences[cell] * distance(cell / labels, cell % labels)).sum();
    alpha(&counts, observed, metric)
}

/// Krippendorff's alpha of a panel: the same number without the matrix, which scores of many different values would make huge.
pub fn panel_alpha(panel: &Panel, metric: &Metric) -> Value {
    let units: Vec<Vec<usize>> = (panel.rows.iter())
        .map(|row| row.iter().flatten().copied().collect::<Vec<usize>>())
        .filter(|unit| unit.len() >= 2)
        .collect();
    let mut counts = vec![0.0; panel.labels];
    units.iter().flatten().for_each(|&label| counts[label] += 1.0);
    let distance = distances(&counts, metric);
    let within = |unit: &Vec<usize>| -> f64 {
        let pairs = unit.iter().enumerate().flat_map(|(place, &c)| unit[..place].iter().map(move |&d| (c, d)));
        pairs.map(|(c, d)| if c == d { 0.0 } else { distance(c, d) + distance(d, c) }).sum::<f64>()
            / (unit.len() as f64 - 1.0)
    };
    alpha(&counts, units.iter().map(within).sum(), metric)
}

/// A coefficient of Gwet's family (2014): how chance agreement is modelled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// AC1, or AC2 with weights.
    Gwet,
    /// Brennan and Prediger.
    BrennanPrediger,
    /// Fleiss' kappa, generalised to gaps and weights.
    Fleiss,
    /// Conger's kappa.
    Conger,
    /// Krippendorff's alpha with fixed weights.
    Krippendorff,
}

/// A coefficient of Gwet's family, and what each item contributes to its variance.
#[derive(Debug, Clone, PartialEq)]
pub struct FamilyEstimate {
    /// The coefficient.
    pub value: f64,
    /// Observed agreement pa.
    pub observed: f64,
    /// Chance agreement pe.
    pub expected: f64,
    /// The rows of the panel that count: those with a rating, for alpha those with two.
    pub items: Vec<usize>,
    /// How many rows have a rating.
    pub rated: usize,
    /// c_i less its centre, by item.
    influence: Vec<f64>,
}

impl FamilyEstimate {
    /// Standard error for independent items, √(Σ(c_i − c)²/(n(n − 1))); none with fewer than two. Of `population` items, if they are so
    /// many and no more, the rated ones are a part: the variance is multiplied by 1 − n/N.
    pub fn se(&self, population: Option<f64>) -> Option<f64> {
        let n = self.influence.len() as f64;
        let part = population.map_or(1.0, |population| (1.0 - self.rated as f64 / population).max(0.0));
        let sum: f64 = self.influence.iter().map(|c| c * c).sum();
        (n >= 2.0).then(|| (part * sum / (n * (n - 1.0))).sqrt())
    }

    /// Standard error for items in clusters (numbered by row of the panel), √(G/(G − 1) Σ_g(Σ_{i∈g}(c_i − c))²)/n, and G; none with fewer
    /// than two clusters.
    pub fn clustered_se(&self, cluster: impl Fn(usize) -> usize) -> Option<(f64, usize)> {
        let rows = self.items.iter().zip(&self.influence);
        let sums = cluster_sums(rows.map(|(&row, &influence)| (cluster(row), influence)));
        linearised_se(&sums, self.influence.len() as f64).map(|se| (se, sums.len()))
    }

    /// value ± t_df se, the upper end cut at 1.
    pub fn interval(&self, se: f64, df: f64, confidence: f64) -> (f64, f64) {
        let half = t_quantile(upper(confidence), df) * se;
        (self.value - half, (self.value + half).min(1.0))
    }
}

/// Per item: counts, their sum r_i, and s_i = Σ_k R_ik((Rwᵀ)_ik − 1).
struct Item {
    row: usize,
    counts: Vec<f64>,
    ratings: f64,
    agreement: f64,
}

impl Item {
    fn share(&self) -> f64 {
        if self.ratings >= 2.0 { self.agreement / (self.ratings * (self.ratings - 1.0)) } else { 0.0 }
    }
}

/// The items that count for a coefficient: those with a rating, for alpha those with two. At least one has two.
fn items_of(panel: &Panel, family: Family, w: &[f64]) -> Result<Vec<Item>, Undefined> {
    let q = panel.labels;
    let items: Vec<Item> = (panel.rows.iter().enumerate())
        .map(|(place, row)| {
            let counts = counts(row, q);
            let weighted = |k: usize| -> f64 { (0..q).map(|l| w[k * q + l] * counts[l]).sum() };
            let agreement = (0..q).map(|k| counts[k] * (weighted(k) - 1.0)).sum();
            Item { row: place, ratings: counts.iter().sum(), agreement, counts }
        })
        .filter(|item| item.ratings >= if family == Family::Krippendorff { 2.0 } else { 1.0 })
        .collect();
    if items.iter().any(|item| item.ratings >= 2.0) { Ok(items) } else { Err(Undefined::NoItems) }
}

/// 1 − v for every two labels, by row.
fn agreement_weights(weights: &Weights, q: usize) -> Vec<f64> {
    weights.disagreement(q).into_iter().map(|v| 1.0 - v).collect()
}

/// Observed agreement pa, which is defined where its coefficient may be 0/0.
pub fn observed_agreement(panel: &Panel, family: Family, weights: &Weights) -> Value {
    let items = items_of(panel, family, &agreement_weights(weights, panel.labels))?;
    Ok(if family == Family::Krippendorff { alpha_shares(&items).observed } else { mean_share(&items) })
}

fn mean_share(items: &[Item]) -> f64 {
    let paired = items.iter().filter(|item| item.ratings >= 2.0).count() as f64;
    items.iter().map(Item::share).sum::<f64>() / paired
}

/// A coefficient of Gwet's family (Gwet, Handbook of Inter-Rater Reliability, 4th edition), any weights, gaps allowed.
pub fn family(panel: &Panel, family: Family, weights: &Weights) -> Result<FamilyEstimate, Undefined> {
    let q = panel.labels;
    let w = agreement_weights(weights, q);
    let items = items_of(panel, family, &w)?;
    let paired = items.iter().filter(|item| item.ratings >= 2.0).count() as f64;
    if q < 2 && matches!(family, Family::Gwet | Family::BrennanPrediger) {
        return Err(Undefined::OneLabelKnown);
    }
    let n = items.len() as f64;
    let observed = mean_share(&items);
    let shares: Vec<f64> =
        (0..q).map(|k| items.iter().map(|item| item.counts[k] / item.ratings).sum::<f64>() / n).collect();
    let whole: f64 = w.iter().sum();
    let (expected, by_item): (f64, Vec<f64>) = match family {
        Family::Gwet => {
            let scale = whole / (q * (q - 1)) as f64;
            let of = |item: &Item| (0..q).map(|k| item.counts[k] * (1.0 - shares[k])).sum::<f64>() / item.ratings;
            (
                scale * shares.iter().map(|share| share * (1.0 - share)).sum::<f64>(),
                items.iter().map(|item| scale * of(item)).collect(),
            )
        }
        Family::BrennanPrediger => {
            let expected = whole / (q * q) as f64;
            (expected, vec![expected; items.len()])
        }
        Family::Fleiss => {
            let pull = pulls(&w, &shares);
            (chance(&w, &shares), items.iter().map(|item| dot(&item.counts, &pull) / item.ratings).collect())
        }
        Family::Conger => conger_chance(panel, &w)?,
        Family::Krippendorff => return fixed_weight_alpha(&items, rated(panel), &w, q),
    };
    if 1.0 - expected < TINY {
        return Err(Undefined::OneLabelUsed);
    }
    let value = (observed - expected) / (1.0 - expected);
    let rows = items.iter().map(|item| item.row).collect();
    let influence = items.iter().zip(&by_item).map(|(item, pe)| {
        let paired_share = item.share() - if item.ratings >= 2.0 { expected } else { 0.0 };
        n / paired * paired_share / (1.0 - expected) - 2.0 * (1.0 - value) * (pe - expected) / (1.0 - expected) - value
    });
    Ok(FamilyEstimate { value, observed, expected, items: rows, rated: items.len(), influence: influence.collect() })
}

/// How many rows have a rating.
fn rated(panel: &Panel) -> usize {
    panel.rows.iter().filter(|row| row.iter().any(Option::is_some)).count()
}

/// π̃ = (w + wᵀ)π/2.
fn pulls(w: &[f64], shares: &[f64]) -> Vec<f64> {
    let q = shares.len();
    (0..q).map(|k| (0..q).map(|l| (w[k * q + l] + w[l * q + k]) / 2.0 * shares[l]).sum()).collect()
}

/// Σ w_kl π_k π_l.
fn chance(w: &[f64], shares: &[f64]) -> f64 {
    let q = shares.len();
    (0..q * q).map(|cell| w[cell] * shares[cell / q] * shares[cell % q]).sum()
}

fn dot(x: &[f64], y: &[f64]) -> f64 {
    x.iter().zip(y).map(|(x, y)| x * y).sum()
}

/// Mean number of ratings r̄, pa' and pa of alpha.
struct AlphaShares {
    mean: f64,
    raw: f64,
    observed: f64,
}

fn alpha_shares(items: &[Item]) -> AlphaShares {
    let n = items.len() as f64;
    let ratings: f64 = items.iter().map(|item| item.ratings).sum();
    let (mean, small) = (ratings / n, 1.0 / ratings);
    let raw = items.iter().map(|item| item.agreement / (mean * (item.ratings - 1.0))).sum::<f64>() / n;
    AlphaShares { mean, raw, observed: (1.0 - small) * raw + small }
}

/// Krippendorff's alpha in Gwet's form, items with two ratings or more.
fn fixed_weight_alpha(items: &[Item], rated: usize, w: &[f64], q: usize) -> Result<FamilyEstimate, Undefined> {
    let n = items.len() as f64;
    let AlphaShares { mean, raw, observed } = alpha_shares(items);
    let shares: Vec<f64> = (0..q).map(|k| items.iter().map(|item| item.counts[k]).sum::<f64>() / n / mean).collect();
    let expected = chance(w, &shares);
    if 1.0 - expected < TINY {
        return Err(Undefined::OneLabelUsed);
    }
    let value = (observed - expected) / (1.0 - expected);
    let centre = (raw - expected) / (1.0 - expected);
    let pull = pulls(w, &shares);
    let influence = items.iter().map(|item| {
        let excess = (item.ratings - mean) / mean;
        let pe = dot(&item.counts, &pull) / mean - expected * excess;
        let k = (item.agreement / (mean * (item.ratings - 1.0)) - observed * excess - expected) / (1.0 - expected);
        k - 2.0 * (1.0 - centre) * (pe - expected) / (1.0 - expected) - centre
    });
    let rows = items.iter().map(|item| item.row).collect();
    Ok(FamilyEstimate { value, observed, expected, items: rows, rated, influence: influence.collect() })
}

/// Conger's chance agreement Σ w_kl (p̄_k p̄_l − s²_kl/m) and each item's part in it.
fn conger_chance(panel: &Panel, w: &[f64]) -> Result<(f64, Vec<f64>), Undefined> {
    let q = panel.labels;
    let rows: Vec<&Vec<Option<usize>>> = panel.rows.iter().filter(|row| row.iter().any(Option::is_some)).collect();
    let raters = rows.first().map_or(0, |row| row.len());
    let m = raters as f64;
    if raters < 2 {
        return Err(Undefined::TooFewRaters);
    }
    let n = rows.len() as f64;
    let rated: Vec<f64> = (0..raters).map(|g| rows.iter().filter(|row| row[g].is_some()).count() as f64).collect();
    if rated.contains(&0.0) {
        return Err(Undefined::NoItems);
    }
    let shares: Vec<Vec<f64>> = (0..raters)
        .map(|g| (0..q).map(|k| rows.iter().filter(|row| row[g] == Some(k)).count() as f64 / rated[g]).collect())
        .collect();
    let means: Vec<f64> = (0..q).map(|k| shares.iter().map(|of| of[k]).sum::<f64>() / m).collect();
    let expected = (0..q * q)
        .map(|cell| {
            let (k, l) = (cell / q, cell % q);
            let covariance = (shares.iter().map(|of| of[k] * of[l]).sum::<f64>() - m * means[k] * means[l]) / (m - 1.0);
            w[cell] * (means[k] * means[l] - covariance / m)
        })
        .sum();
    let by_item = (rows.iter())
        .map(|row| {
            let of_rater = |g: usize| -> f64 {
                let present = f64::from(row[g].is_some()) - rated[g] / n;
                let seen: Vec<f64> = (0..q).map(|l| f64::from(row[g] == Some(l)) - present * shares[g][l]).collect();
                (0..q).map(|k| n / rated[g] * dot(&w[k * q..(k + 1) * q], &seen) * (m * means[k] - shares[g][k])).sum()
            };
            (0..raters).map(of_rater).sum::<f64>() / (m * (m - 1.0))
        })
        .collect();
    Ok((expected, by_item))
}
