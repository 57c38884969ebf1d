//! Prediction-powered inference (Angelopoulos et al. 2023, PPI; 2024, PPI++): the mean of the model's answers, rectified by gold.
//!
//! With gold y on a part S of the units, model answers ŷ on all, U the units without gold:
//! θ̂ = mean_U(λŷ) + mean_S(y − λŷ), SE² = Var_U(λŷ)/N + Var_S(y − λŷ)/n. λ = 1 is plain PPI, λ = 0 uses the gold alone.

use super::NoCorrection;
use super::linear;
use super::regression;
use crate::agreement::distribution::{normal_quantile, t_quantile};

/// Answers of the model with and without gold.
#[derive(Debug, Clone, Copy)]
pub struct Parts<'a> {
    /// Gold and the model's answer, for the units that have both.
    pub gold: &'a [(f64, f64)],
    /// The model's answers on the other units. Not on all: those with gold would count twice.
    pub rest: &'a [f64],
}

/// How much the model's answers count.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Lambda {
    /// Chosen from the data so that the variance is least, within 0 and 1 (PPI++).
    Tuned,
    /// The same with the variance of the model's answers on gold in the place of that on all units. Where few answers are large, by chance more
    /// or fewer of them are gold, and [`Lambda::Tuned`] follows: it is then too small where they are too few, the estimate is biased and its
    /// interval too short. A coefficient fitted on gold alone hardly moves.
    OnGold,
    /// Set beforehand.
    Fixed(f64),
}

/// Which variances and quantiles.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Convention {
    /// Variances with 1/n and normal quantiles, as the reference implementation has them.
    Asymptotic,
    /// Variances with 1/(n − 1) and quantiles of t with n − 1 degrees of freedom: right for little gold.
    SmallSample,
}

/// A corrected mean.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Mean {
    /// Units with gold.
    pub gold: usize,
    /// Units without.
    pub rest: usize,
    /// The weight of the model's answers.
    pub lambda: f64,
    /// The mean.
    pub estimate: f64,
    /// Its standard error.
    pub se: f64,
    /// Lower end of the interval.
    pub low: f64,
    /// Upper end of the interval.
    pub high: f64,
}

pub(crate) fn mean_of(values: impl ExactSizeIterator<Item = f64>) -> f64 {
    let n = values.len() as f64;
    values.sum::<f64>() / n
}

/// Mean of squared deviations, divided by n − `less`.
fn variance(values: &[f64], less: f64) -> f64 {
    let mean = mean_of(values.iter().copied());
    values.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / (values.len() as f64 - less)
}

/// λ̂ = Cov_S(y, ŷ) / ((1 + n/N) Var_{S∪U}(ŷ)) within 0 and 1; 0 where ŷ does not vary. Covariance with 1/n, variance with 1/(n + N − 1).
pub fn tuned_lambda(parts: Parts<'_>) -> f64 {
    let (n, rest) = (parts.gold.len() as f64, parts.rest.len() as f64);
    let mean_y = mean_of(parts.gold.iter().map(|(y, _)| *y));
    let mean_guess = mean_of(parts.gold.iter().map(|(_, guess)| *guess));
    let covariance = parts.gold.iter().map(|(y, guess)| (y - mean_y) * (guess - mean_guess)).sum::<f64>() / n;
    let pool: Vec<f64> = parts.gold.iter().map(|(_, guess)| *guess).chain(parts.rest.iter().copied()).collect();
    let spread = (1.0 + n / rest) * variance(&pool, 1.0);
    if spread > 0.0 { (covariance / spread).clamp(0.0, 1.0) } else { 0.0 }
}

/// λ̂ = Cov_S(y, ŷ) / ((1 + n/N) Var_S(ŷ)) within 0 and 1; 0 where ŷ does not vary on gold.
pub fn lambda_on_gold(parts: Parts<'_>) -> f64 {
    let (n, rest) = (parts.gold.len() as f64, parts.rest.len() as f64);
    let mean_y = mean_of(parts.gold.iter().map(|(y, _)| *y));
    let mean_guess = mean_of(parts.gold.iter().map(|(_, guess)| *guess));
    let (both, own) = parts.gold.iter().fold((0.0, 0.0), |(both, own), (y, guess)| {
        (both + (y - mean_y) * (guess - mean_guess), own + (guess - mean_guess).powi(2))
    });
    if own > 0.0 { (both / own / (1.0 + n / rest)).clamp(0.0, 1.0) } else { 0.0 }
}

/// The corrected mean, with an interval that misses with probability `alpha`.
///
/// # Errors
/// [`NoCorrection`] without gold, with less than two gold units (for [`Convention::SmallSample`]), or where all units have gold.
pub fn mean(parts: Parts<'_>, lambda: Lambda, convention: Convention, alpha: f64) -> Result<Mean, NoCorrection> {
    let n = parts.gold.len();
    let less = if convention == Convention::SmallSample { 1.0 } else { 0.0 };
    if n == 0 {
        return Err(NoCorrection::NoGold);
    }
    if parts.rest.is_empty() {
        return Err(NoCorrection::NothingElse);
    }
    if (n.min(parts.rest.len()) as f64) <= less {
        return Err(NoCorrection::TooFewGold { gold: n, needed: 2 });
    }
    // A coefficient that was fitted on gold takes a degree of freedom from it.
    let (lambda, fitted) = match lambda {
        Lambda::Tuned => (tuned_lambda(parts), 0),
        Lambda::OnGold => (lambda_on_gold(parts), usize::from(n > 2)),
        Lambda::Fixed(lambda) => (lambda, 0),
    };
    let rectifier: Vec<f64> = parts.gold.iter().map(|(y, guess)| y - lambda * guess).collect();
    let imputed: Vec<f64> = parts.rest.iter().map(|guess| lambda * guess).collect();
    let estimate = mean_of(imputed.iter().copied()) + mean_of(rectifier.iter().copied());
    let se = (variance(&imputed, less) / imputed.len() as f64 + variance(&rectifier, less + fitted as f64) / n as f64)
        .sqrt();
    let half = se * upper_quantile(convention, n - fitted, alpha);
    Ok(Mean { gold: n, rest: parts.rest.len(), lambda, estimate, se, low: estimate - half, high: estimate + half })
}

fn upper_quantile(convention: Convention, n: usize, alpha: f64) -> f64 {
    match convention {
        Convention::Asymptotic => normal_quantile(1.0 - alpha / 2.0),
        Convention::SmallSample => t_quantile(1.0 - alpha / 2.0, n as f64 - 1.0),
    }
}

/// The corrected mean with weights of the units, first of those with gold; asymptotic, as the reference implementation has it: each part's
/// weights are scaled to mean 1, and the variance is that of w (y − λŷ).
///
/// # Errors
/// As [`mean`].
pub fn weighted_mean(
    parts: Parts<'_>,
    weights: (&[f64], &[f64]),
    lambda: Lambda,
    alpha: f64,
) -> Result<Mean, NoCorrection> {
    if parts.gold.is_empty() {
        return Err(NoCorrection::NoGold);
    }
    if parts.rest.is_empty() {
        return Err(NoCorrection::NothingElse);
    }
    let scaled = |weights: &[f64]| -> Vec<f64> {
        let mean = mean_of(weights.iter().copied());
        weights.iter().map(|w| w / mean).collect()
    };
    let (of_gold, of_rest) = (scaled(weights.0), scaled(weights.1));
    let at = |lambda: f64| {
        let imputed: Vec<f64> = parts.rest.iter().zip(&of_rest).map(|(guess, w)| w * lambda * guess).collect();
        let rectifier: Vec<f64> =
            parts.gold.iter().zip(&of_gold).map(|((y, guess), w)| w * (y - lambda * guess)).collect();
        (mean_of(imputed.iter().copied()) + mean_of(rectifier.iter().copied()), imputed, rectifier)
    };
    let lambda = match lambda {
        Lambda::Fixed(lambda) => lambda,
        Lambda::Tuned | Lambda::OnGold => {
            let centre = at(1.0).0;
            let gold: Vec<(f64, f64)> = (parts.gold.iter().zip(&of_gold))
                .map(|((y, guess), w)| (w * (y - centre), w * (guess - centre)))
                .collect();
            let rest: Vec<f64> = parts.rest.iter().zip(&of_rest).map(|(guess, w)| w * (guess - centre)).collect();
            let parts = Parts { gold: &gold, rest: &rest };
            if lambda == Lambda::OnGold { lambda_on_gold(parts) } else { tuned_lambda(parts) }
        }
    };
    let (estimate, imputed, rectifier) = at(lambda);
    let (n, rest) = (rectifier.len(), imputed.len());
    let se = (variance(&imputed, 0.0) / rest as f64 + variance(&rectifier, 0.0) / n as f64).sqrt();
    let half = se * upper_quantile(Convention::Asymptotic, n, alpha);
    Ok(Mean { gold: n, rest, lambda, estimate, se, low: estimate - half, high: estimate + half })
}

/// The mean over these very units, not over what they stand for: mean_all(ŷ) + mean_S(y − ŷ), SE² = (1 − n/N_all) s²/n, t with n − 1
/// degrees of freedom.
///
/// # Errors
/// [`NoCorrection`] with less than two gold units.
pub fn finite_mean(parts: Parts<'_>, alpha: f64) -> Result<Mean, NoCorrection> {
    let (n, rest) = (parts.gold.len(), parts.rest.len());
    if n < 2 {
        return Err(NoCorrection::TooFewGold { gold: n, needed: 2 });
    }
    let all = (n + rest) as f64;
    let guesses = parts.gold.iter().map(|(_, guess)| *guess).chain(parts.rest.iter().copied()).sum::<f64>();
    let differences: Vec<f64> = parts.gold.iter().map(|(y, guess)| y - guess).collect();
    let estimate = guesses / all + mean_of(differences.iter().copied());
    let se = ((1.0 - n as f64 / all) * variance(&differences, 1.0) / n as f64).sqrt();
    let half = se * t_quantile(1.0 - alpha / 2.0, n as f64 - 1.0);
    Ok(Mean { gold: n, rest, lambda: 1.0, estimate, se, low: estimate - half, high: estimate + half })
}

/// A difference of two corrected means, `b` less `a`, of units that are independent of one another.
pub fn difference(a: &Mean, b: &Mean, alpha: f64) -> Mean {
    let (estimate, se) = (b.estimate - a.estimate, a.se.hypot(b.se));
    let half = se * normal_quantile(1.0 - alpha / 2.0);
    let (gold, rest) = (a.gold + b.gold, a.rest + b.rest);
    Mean { gold, rest, lambda: f64::NAN, estimate, se, low: estimate - half, high: estimate + half }
}

/// A part of the units in which gold was drawn at random.
#[derive(Debug, Clone)]
pub struct Stratum {
    /// Its name.
    pub name: String,
    /// Gold and the model's answer.
    pub gold: Vec<(f64, f64)>,
    /// The model's answers on its other units.
    pub rest: Vec<f64>,
}

/// A stratified mean.
#[derive(Debug, Clone, PartialEq)]
pub struct Stratified {
    /// The strata with their part of all units, in the order given.
    pub strata: Vec<(String, f64, Mean)>,
    /// The mean of all.
    pub mean: Mean,
}

/// θ̂ = Σ W_h θ̂_h, Var = Σ W_h² Var_h, W_h the stratum's part of all units, each stratum with its own λ (Fisch et al. 2024). The interval has
/// t with Satterthwaite's degrees of freedom for [`Convention::SmallSample`].
///
/// # Errors
/// [`NoCorrection`] where a stratum has less than two gold units, or nothing but gold.
pub fn stratified_mean(
    strata: &[Stratum],
    lambda: Lambda,
    convention: Convention,
    alpha: f64,
) -> Result<Stratified, NoCorrection> {
    let all: usize = strata.iter().map(|stratum| stratum.gold.len() + stratum.rest.len()).sum();
    if all == 0 {
        return Err(NoCorrection::NoGold);
    }
    let mut found = Vec::new();
    for Stratum { name, gold, rest } in strata {
        if gold.len() < 2 {
            return Err(NoCorrection::StratumWithoutGold { stratum: name.clone(), gold: gold.len() });
        }
        let share = (gold.len() + rest.len()) as f64 / all as f64;
        found.push((name.clone(), share, mean(Parts { gold, rest }, lambda, convention, alpha)?));
    }
    let estimate = found.iter().map(|(_, share, mean)| share * mean.estimate).sum::<f64>();
    let parts = || found.iter().map(|(_, share, mean)| ((share * mean.se).powi(2), mean.gold as f64 - 1.0));
    let total: f64 = parts().map(|(variance, _)| variance).sum();
    let half = total.sqrt()
        * match convention {
            Convention::Asymptotic => normal_quantile(1.0 - alpha / 2.0),
            Convention::SmallSample => {
                let spread: f64 = parts().map(|(variance, df)| variance * variance / df).sum();
                t_quantile(1.0 - alpha / 2.0, if spread > 0.0 { total * total / spread } else { 1.0 })
            }
        };
    let (gold, rest) = found.iter().fold((0, 0), |(n, m), (.., mean)| (n + mean.gold, m + mean.rest));
    let (low, high) = (estimate - half, estimate + half);
    Ok(Stratified { strata: found, mean: Mean { gold, rest, lambda: f64::NAN, estimate, se: total.sqrt(), low, high } })
}

/// Units of a regression: covariates, gold and the model's answer; covariates and the model's answer.
#[derive(Debug, Clone, Copy)]
pub struct RegressionParts<'a> {
    /// Covariates of the units with gold.
    pub gold_x: &'a [Vec<f64>],
    /// Gold and the model's answer.
    pub gold: &'a [(f64, f64)],
    /// Covariates of the other units.
    pub rest_x: &'a [Vec<f64>],
    /// The model's answers on them.
    pub rest: &'a [f64],
}

/// Corrected coefficients.
#[derive(Debug, Clone, PartialEq)]
pub struct Coefficients {
    /// The weight of the model's answers.
    pub lambda: f64,
    /// The coefficients, in the order of the covariates.
    pub estimates: Vec<f64>,
    /// Their standard errors.
    pub errors: Vec<f64>,
    /// Ends of their intervals.
    pub intervals: Vec<(f64, f64)>,
}

/// θ̂ = OLS_U(λŷ) + OLS_S(y − λŷ), with the covariance H⁻¹ (n/N Cov_U(λ g_ŷ) + Cov_S(g_y − λ g_ŷ)) H⁻¹ / n of the gradients g; asymptotic.
/// A tuned λ is that of the point estimate with λ = 1, and minimises the sum of all coefficients' variances.
///
/// # Errors
/// [`NoCorrection`] with less units in either part than covariates, or dependent covariates.
pub fn regression(parts: RegressionParts<'_>, lambda: Lambda, alpha: f64) -> Result<Coefficients, NoCorrection> {
    let lambda = match lambda {
        Lambda::Fixed(lambda) => lambda,
        // Gradients have no few large values: one way of tuning is enough.
        Lambda::Tuned | Lambda::OnGold => regression_lambda(parts, 1.0)?,
    };
    let point = parts.point(lambda)?;
    let found = parts.gradients(&point, lambda != 0.0)?;
    let (n, rest) = (parts.gold.len() as f64, parts.rest.len() as f64);
    let imputed: Vec<Vec<f64>> = found.rest.iter().map(|g| g.iter().map(|x| lambda * x).collect()).collect();
    let rectifier: Vec<Vec<f64>> = (found.gold.iter().zip(&found.guessed))
        .map(|(g, guessed)| g.iter().zip(guessed).map(|(g, h)| g - lambda * h).collect())
        .collect();
    let (of_rest, of_gold) = (covariance(&imputed), covariance(&rectifier));
    let meat: Vec<Vec<f64>> =
        (of_rest.iter().zip(&of_gold)).map(|(a, b)| a.iter().zip(b).map(|(a, b)| n / rest * a + b).collect()).collect();
    let errors: Vec<f64> = regression::sandwich(&found.inverse_hessian, &meat).iter().map(|se| se / n.sqrt()).collect();
    let z = normal_quantile(1.0 - alpha / 2.0);
    let intervals = point.iter().zip(&errors).map(|(b, se)| (b - z * se, b + z * se)).collect();
    Ok(Coefficients { lambda, estimates: point, errors, intervals })
}

/// The λ that is best by the gradients at the estimate that has λ = `at`. The reference implementation's interval tunes twice: its λ is the
/// best at the estimate that has the best λ at 1.
///
/// # Errors
/// As [`regression()`].
pub fn regression_lambda(parts: RegressionParts<'_>, at: f64) -> Result<f64, NoCorrection> {
    Ok(parts.gradients(&parts.point(at)?, at != 0.0)?.lambda())
}

/// Gradients of the squared error at a point.
struct Gradients {
    gold: Vec<Vec<f64>>,
    guessed: Vec<Vec<f64>>,
    rest: Vec<Vec<f64>>,
    inverse_hessian: Vec<Vec<f64>>,
}

impl RegressionParts<'_> {
    fn point(&self, lambda: f64) -> Result<Vec<f64>, NoCorrection> {
        let imputed: Vec<f64> = self.rest.iter().map(|guess| lambda * guess).collect();
        let rectifier: Vec<f64> = self.gold.iter().map(|(y, guess)| y - lambda * guess).collect();
        let (_, of_rest) = regression::coefficients(self.rest_x, &imputed, None)?;
        let (_, of_gold) = regression::coefficients(self.gold_x, &rectifier, None)?;
        Ok(of_rest.iter().zip(of_gold).map(|(a, b)| a + b).collect())
    }

    fn gradients(&self, point: &[f64], with_rest: bool) -> Result<Gradients, NoCorrection> {
        let gradient = |x: &Vec<f64>, y: f64| -> Vec<f64> {
            let residual = x.iter().zip(point).map(|(x, b)| x * b).sum::<f64>() - y;
            x.iter().map(|x| x * residual).collect()
        };
        let rest_x: &[Vec<f64>] = if with_rest { self.rest_x } else { &[] };
        let all = (self.gold_x.len() + rest_x.len()) as f64;
        let k = point.len();
        let mut hessian = vec![vec![0.0; k]; k];
        for x in self.gold_x.iter().chain(rest_x) {
            for i in 0..k {
                (0..k).for_each(|j| hessian[i][j] += x[i] * x[j] / all);
            }
        }
        let gold = || self.gold_x.iter().zip(self.gold);
        Ok(Gradients {
            gold: gold().map(|(x, (y, _))| gradient(x, *y)).collect(),
            guessed: gold().map(|(x, (_, guess))| gradient(x, *guess)).collect(),
            rest: match with_rest {
                true => rest_x.iter().zip(self.rest).map(|(x, guess)| gradient(x, *guess)).collect(),
                false => vec![vec![0.0; k]; self.rest.len()],
            },
            inverse_hessian: linear::inverse(&hessian).ok_or(NoCorrection::Dependent)?,
        })
    }
}

impl Gradients {
    fn lambda(&self) -> f64 {
        let k = self.inverse_hessian.len();
        let (n, rest) = (self.gold.len() as f64, self.rest.len() as f64);
        let centred = |rows: &[Vec<f64>]| -> Vec<Vec<f64>> {
            let means: Vec<f64> = (0..k).map(|j| mean_of(rows.iter().map(|row| row[j]))).collect();
            rows.iter().map(|row| row.iter().zip(&means).map(|(x, mean)| x - mean).collect()).collect()
        };
        let (gold, guessed) = (centred(&self.gold), centred(&self.guessed));
        let mut cross = linear::product(&linear::transposed(&gold), &guessed);
        cross.iter_mut().flatten().for_each(|x| *x /= n);
        let symmetric: Vec<Vec<f64>> = (0..k).map(|i| (0..k).map(|j| cross[i][j] + cross[j][i]).collect()).collect();
        let pool = [&self.guessed[..], &self.rest[..]].concat();
        let trace = |m: &[Vec<f64>]| {
            let found = linear::product(&linear::product(&self.inverse_hessian, m), &self.inverse_hessian);
            (0..k).map(|i| found[i][i]).sum::<f64>()
        };
        let spread = 2.0 * (1.0 + n / rest) * trace(&covariance(&pool));
        if spread > 0.0 { (trace(&symmetric) / spread).clamp(0.0, 1.0) } else { 0.0 }
    }
}

/// Covariance matrix of rows, with 1/(n − 1).
fn covariance(rows: &[Vec<f64>]) -> Vec<Vec<f64>> {
    let k = rows.first().map_or(0, Vec::len);
    let means: Vec<f64> = (0..k).map(|j| mean_of(rows.iter().map(|row| row[j]))).collect();
    let mut sum = vec![vec![0.0; k]; k];
    for row in rows {
        for i in 0..k {
            (0..k).for_each(|j| sum[i][j] += (row[i] - means[i]) * (row[j] - means[j]));
        }
    }
    sum.iter_mut().flatten().for_each(|x| *x /= rows.len() as f64 - 1.0);
    sum
}
