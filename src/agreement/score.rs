//! Two raters' scores: error, limits of agreement, intraclass and concordance correlation, from moments.
//!
//! x is rater a (the reference), y is rater b, d = y − x. Everything here is a function of sums over items, so that it can be
//! resampled by cluster. The classical intervals take items as independent.

use super::distribution::{UPPER, f_quantile, f_tail, normal_quantile, t_quantile, upper};
use super::estimate::{NoInterval, Undefined, Value};
use super::kappa::TINY;

/// How many sums [`Moments`] need.
pub const MOMENTS: usize = 7;

/// Sums over items of two raters' scores.
///
/// Centre the scores on a common value before summing: differences and variances then keep their digits.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Moments {
    /// Items.
    pub n: f64,
    x: f64,
    y: f64,
    xx: f64,
    yy: f64,
    xy: f64,
    absolute: f64,
}

impl Moments {
    /// What one item adds.
    pub fn item(x: f64, y: f64) -> [f64; MOMENTS] {
        [1.0, x, y, x * x, y * y, x * y, (y - x).abs()]
    }

    /// From sums of [`Moments::item`].
    pub fn new(sums: &[f64]) -> Moments {
        Moments { n: sums[0], x: sums[1], y: sums[2], xx: sums[3], yy: sums[4], xy: sums[5], absolute: sums[6] }
    }

    /// From scores.
    pub fn of(pairs: &[(f64, f64)]) -> Moments {
        let mut sums = [0.0; MOMENTS];
        for &(x, y) in pairs {
            sums.iter_mut().zip(Moments::item(x, y)).for_each(|(sum, amount)| *sum += amount);
        }
        Moments::new(&sums)
    }

    fn at_least(self, needed: u32) -> Result<Moments, Undefined> {
        match self.n {
            n if n <= 0.0 => Err(Undefined::NoItems),
            n if n < f64::from(needed) => Err(Undefined::TooFewItems { needed }),
            _ => Ok(self),
        }
    }

    /// Σ(x − x̄)², Σ(y − ȳ)², Σ(x − x̄)(y − ȳ); rounding left-overs count as 0.
    fn centred(self) -> (f64, f64, f64) {
        let clean = |sum: f64, raw: f64| if sum < TINY * raw.max(1.0) { 0.0 } else { sum };
        (
            clean(self.xx - self.x * self.x / self.n, self.xx),
            clean(self.yy - self.y * self.y / self.n, self.yy),
            self.xy - self.x * self.y / self.n,
        )
    }

    /// Mean of d = y − x: above 0, rater b scores higher.
    pub fn bias(self) -> Value {
        let m = self.at_least(1)?;
        Ok((m.y - m.x) / m.n)
    }

    /// Mean of |d|.
    pub fn mean_absolute_error(self) -> Value {
        let m = self.at_least(1)?;
        Ok(m.absolute / m.n)
    }

    /// √(mean of d²).
    pub fn root_mean_squared_error(self) -> Value {
        let m = self.at_least(1)?;
        Ok(((m.xx + m.yy - 2.0 * m.xy) / m.n).max(0.0).sqrt())
    }

    /// Standard deviation of d (n − 1).
    pub fn sd_of_difference(self) -> Value {
        let m = self.at_least(2)?;
        let (sxx, syy, sxy) = m.centred();
        Ok(((sxx + syy - 2.0 * sxy) / (m.n - 1.0)).max(0.0).sqrt())
    }

    /// One limit of agreement (Bland and Altman 1986), d̄ ∓ 1.96 s_d: lower with −1, upper with 1.
    pub fn limit_of_agreement(self, side: f64) -> Value {
        Ok(self.bias()? + side * normal_quantile(UPPER) * self.sd_of_difference()?)
    }

    /// Standard error of one limit, s_d √(1/n + z²/(2(n − 1))) (Bland and Altman 1999).
    pub fn limit_se(self) -> Value {
        let z = normal_quantile(UPPER);
        Ok(self.sd_of_difference()? * (1.0 / self.n + z * z / (2.0 * (self.n - 1.0))).sqrt())
    }

    /// Slope of d on the mean of both: below 0, rater b compresses the scale.
    pub fn slope(self) -> Value {
        let m = self.at_least(2)?;
        let (sxx, syy, sxy) = m.centred();
        let variance = (sxx + syy + 2.0 * sxy) / 4.0;
        if variance < TINY { Err(Undefined::NoVariation) } else { Ok((syy - sxx) / 2.0 / variance) }
    }

    /// Pearson's r.
    pub fn pearson(self) -> Value {
        let m = self.at_least(2)?;
        let (sxx, syy, sxy) = m.centred();
        if sxx <= 0.0 || syy <= 0.0 {
            return Err(Undefined::OneRaterConstant);
        }
        Ok((sxy / (sxx * syy).sqrt()).clamp(-1.0, 1.0))
    }

    /// Lin's concordance correlation (1989), 2s_xy/(s_x² + s_y² + (x̄ − ȳ)²) with variances over n.
    pub fn concordance(self) -> Value {
        self.concordance_over(self.n)
    }

    /// The same with variances over `divisor`: n as Lin has it, or n − 1.
    pub fn concordance_over(self, divisor: f64) -> Value {
        let m = self.at_least(2)?;
        let (sxx, syy, sxy) = m.centred();
        let shift = (m.x - m.y).powi(2) / (m.n * m.n) * divisor;
        let all = sxx + syy + shift;
        if all < TINY { Err(Undefined::NoVariation) } else { Ok(2.0 * sxy / all) }
    }

    /// Krippendorff's alpha with the interval metric, two raters and no gaps.
    pub fn krippendorff_alpha(self) -> Value {
        let m = self.at_least(1)?;
        let values = 2.0 * m.n;
        interval_alpha(2.0 * (m.xx + m.yy - 2.0 * m.xy).max(0.0), values, m.x + m.y, m.xx + m.yy)
    }

    /// The two-way analysis of variance of both raters.
    pub fn anova(self) -> Result<Anova, Undefined> {
        let m = self.at_least(2)?;
        Anova::new(m.n, m.xx + m.yy + 2.0 * m.xy, m.xx + m.yy, &[m.x, m.y])
    }

    /// Fisher's interval of Pearson's r: tanh(atanh r ± z/√(n − 3)).
    pub fn pearson_interval(self, confidence: f64) -> Result<(f64, f64), NoInterval> {
        let r = self.pearson().map_err(|_| NoInterval::Degenerate)?;
        match self.n {
            n if n <= 3.0 => Err(NoInterval::TooFewItems),
            _ if r.abs() >= 1.0 - TINY => Err(NoInterval::NoResidual),
            n => Ok(fisher(r, 1.0 / (n - 3.0).sqrt(), confidence)),
        }
    }

    /// Two-sided p of Pearson's r by t with n − 2 degrees of freedom; 1 for two items, whose r is always 1 or −1.
    pub fn pearson_p(self) -> Value {
        let r = self.pearson()?;
        Ok(if self.n < 3.0 { 1.0 } else { correlation_p(r, self.n) })
    }

    /// Standard error of Lin's concordance and its interval on the atanh scale (Lin 1989, corrected 2000):
    /// SE² = [(1 − r²)ρ²(1 − ρ²)/r² + 2ρ³(1 − ρ)u²/r − ρ⁴u⁴/(2r²)]/(n − 2), u² = (x̄ − ȳ)²/(s_x s_y).
    pub fn concordance_interval(self, divisor: f64, confidence: f64) -> Result<(f64, (f64, f64)), NoInterval> {
        let (Ok(rho), Ok(r)) = (self.concordance_over(divisor), self.pearson()) else {
            return Err(NoInterval::Degenerate);
        };
        if self.n <= 2.0 {
            return Err(NoInterval::TooFewItems);
        }
        if r.abs() < TINY || rho.abs() >= 1.0 - TINY {
            return Err(NoInterval::NoResidual);
        }
        let (sxx, syy, _) = self.centred();
        let u2 = ((self.x - self.y) / self.n).powi(2) / ((sxx * syy).sqrt() / divisor);
        let variance = ((1.0 - r * r) * rho * rho * (1.0 - rho * rho) / (r * r)
            + 2.0 * rho.powi(3) * (1.0 - rho) * u2 / r
            - rho.powi(4) * u2 * u2 / (2.0 * r * r))
            / (self.n - 2.0);
        let se = variance.max(0.0).sqrt();
        Ok((se, fisher(rho, se / (1.0 - rho * rho), confidence)))
    }

    /// d̄ ± t_{n−1} s_d/√n, with the standard error.
    pub fn bias_interval(self) -> Result<(f64, (f64, f64)), NoInterval> {
        let (Ok(bias), Ok(sd)) = (self.bias(), self.sd_of_difference()) else { return Err(NoInterval::TooFewItems) };
        if sd <= 0.0 {
            return Err(NoInterval::NoResidual);
        }
        let se = sd / self.n.sqrt();
        let half = t_quantile(UPPER, self.n - 1.0) * se;
        Ok((se, (bias - half, bias + half)))
    }
}

fn fisher(correlation: f64, se: f64, confidence: f64) -> (f64, f64) {
    let (centre, half) = (correlation.atanh(), normal_quantile(upper(confidence)) * se);
    ((centre - half).tanh(), (centre + half).tanh())
}

/// Two-sided p of a correlation by t with n − 2 degrees of freedom.
pub fn correlation_p(r: f64, n: f64) -> f64 {
    let df = n - 2.0;
    super::distribution::t_two_sided(r * (df / (1.0 - r * r)).sqrt(), df)
}

/// Krippendorff's alpha with the interval metric from sums over units with two ratings or more:
/// `disagreement` Σ_u Σ_{a≠b}(v_a − v_b)²/(m_u − 1), the number of values, their sum and their sum of squares.
pub fn interval_alpha(disagreement: f64, values: f64, sum: f64, squares: f64) -> Value {
    if values <= 0.0 {
        return Err(Undefined::NoItems);
    }
    let expected = 2.0 * (values * squares - sum * sum);
    if expected < TINY * (values * squares).max(1.0) {
        return Err(Undefined::NoVariation);
    }
    Ok(1.0 - (values - 1.0) * disagreement / expected)
}

/// Two-way analysis of variance of n items by k raters without gaps.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Anova {
    /// Items.
    pub n: f64,
    /// Raters.
    pub k: f64,
    /// Mean square between items, MSR.
    pub items: f64,
    /// Mean square between raters, MSC.
    pub raters: f64,
    /// Residual mean square, MSE.
    pub residual: f64,
    /// Mean square within items, MSW.
    pub within: f64,
}

/// Which intraclass correlation (McGraw and Wong 1996; Shrout and Fleiss 1979 in brackets).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Icc {
    /// One-way, single rating (1,1).
    OneWay,
    /// Absolute agreement, single rating, ICC(A,1) (2,1).
    Agreement,
    /// Consistency, single rating, ICC(C,1) (3,1).
    Consistency,
    /// One-way, mean of k ratings (1,k).
    OneWayMean,
    /// Absolute agreement, mean of k ratings (2,k).
    AgreementMean,
    /// Consistency, mean of k ratings (3,k).
    ConsistencyMean,
}

/// A test by F.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FTest {
    /// F.
    pub f: f64,
    /// Degrees of freedom of the numerator.
    pub df1: f64,
    /// Degrees of freedom of the denominator.
    pub df2: f64,
    /// Upper tail.
    pub p: f64,
}

impl Anova {
    /// From the number of items, the sum of squared item totals, the sum of squared scores, and each rater's sum.
    pub fn new(n: f64, squared_totals: f64, squares: f64, sums: &[f64]) -> Result<Anova, Undefined> {
        let k = sums.len() as f64;
        if k < 2.0 {
            return Err(Undefined::TooFewRaters);
        }
        if n < 2.0 {
            return Err(if n <= 0.0 { Undefined::NoItems } else { Undefined::TooFewItems { needed: 2 } });
        }
        let total: f64 = sums.iter().sum();
        let correction = total * total / (n * k);
        let clean = |sum: f64| if sum < TINY * squares.max(1.0) { 0.0 } else { sum };
        let all = clean(squares - correction);
        let items = clean(squared_totals / k - correction);
        let raters = clean(sums.iter().map(|sum| sum * sum).sum::<f64>() / n - correction);
        let residual = clean(all - items - raters);
        Ok(Anova {
            n,
            k,
            items: items / (n - 1.0),
            raters: raters / (k - 1.0),
            residual: residual / ((n - 1.0) * (k - 1.0)),
            within: (raters + residual) / (n * (k - 1.0)),
        })
    }

    /// From rows of k scores each. Only ratios of mean squares have a meaning afterwards: scores are scaled by the largest deviation, so that
    /// small and large scales are treated alike.
    pub fn of_rows(rows: &[Vec<f64>]) -> Result<Anova, Undefined> {
        let k = rows.first().map_or(0, Vec::len);
        if k == 0 {
            return Err(Undefined::NoItems);
        }
        let centre = rows.iter().flatten().sum::<f64>() / (rows.len() * k) as f64;
        let largest = rows.iter().flatten().map(|score| (score - centre).abs()).fold(0.0, f64::max);
        let scaled = |score: &f64| if largest > 0.0 { (score - centre) / largest } else { 0.0 };
        let (mut sums, mut squared_totals, mut squares) = (vec![0.0; k], 0.0, 0.0);
        for row in rows {
            squared_totals += row.iter().map(scaled).sum::<f64>().powi(2);
            for (sum, score) in sums.iter_mut().zip(row.iter().map(scaled)) {
                *sum += score;
                squares += score * score;
            }
        }
        Anova::new(rows.len() as f64, squared_totals, squares, &sums)
    }

    /// An intraclass correlation. It may be negative.
    pub fn icc(self, form: Icc) -> Value {
        let Anova { n, k, items, raters, residual, within } = self;
        let (above, below) = match form {
            Icc::OneWay => (items - within, items + (k - 1.0) * within),
            Icc::Agreement => (items - residual, items + (k - 1.0) * residual + k * (raters - residual) / n),
            Icc::Consistency => (items - residual, items + (k - 1.0) * residual),
            Icc::OneWayMean => (items - within, items),
            Icc::AgreementMean => (items - residual, items + (raters - residual) / n),
            Icc::ConsistencyMean => (items - residual, items),
        };
        if below.abs() < TINY { Err(Undefined::NoVariation) } else { Ok(above / below) }
    }

    /// The interval of an intraclass correlation by F; for absolute agreement that of McGraw and Wong.
    pub fn icc_interval(self, form: Icc, confidence: f64) -> Result<(f64, f64), NoInterval> {
        let Anova { n, k, .. } = self;
        let average =
            |(low, high): (f64, f64)| (low * k / (1.0 + low * (k - 1.0)), high * k / (1.0 + high * (k - 1.0)));
        match form {
            Icc::OneWay => self.f_interval(self.within, n * (k - 1.0), confidence),
            Icc::Consistency => self.f_interval(self.residual, (n - 1.0) * (k - 1.0), confidence),
            Icc::Agreement => self.agreement_interval(confidence),
            Icc::OneWayMean => self.icc_interval(Icc::OneWay, confidence).map(average),
            Icc::ConsistencyMean => self.icc_interval(Icc::Consistency, confidence).map(average),
            Icc::AgreementMean => self.icc_interval(Icc::Agreement, confidence).map(average),
        }
    }

    /// The test that items do not differ: F = MSR over the error of the form, its degrees of freedom, p. None where that error is 0.
    pub fn f_test(self, form: Icc) -> Result<FTest, NoInterval> {
        let Anova { n, k, items, residual, within, .. } = self;
        let (error, df2) = match form {
            Icc::OneWay | Icc::OneWayMean => (within, n * (k - 1.0)),
            _ => (residual, (n - 1.0) * (k - 1.0)),
        };
        if error <= 0.0 {
            return Err(NoInterval::NoResidual);
        }
        let f = items / error;
        Ok(FTest { f, df1: n - 1.0, df2, p: f_tail(f, n - 1.0, df2) })
    }

    /// F = MSR/error, F_L = F/F_{.975}(n − 1, df), F_U = F·F_{.975}(df, n − 1); ends (F − 1)/(F + k − 1).
    fn f_interval(self, error: f64, df: f64, confidence: f64) -> Result<(f64, f64), NoInterval> {
        if error <= 0.0 {
            return Err(NoInterval::NoResidual);
        }
        let f = self.items / error;
        let end = |f: f64| (f - 1.0) / (f + self.k - 1.0);
        let upper = upper(confidence);
        Ok((end(f / f_quantile(upper, self.n - 1.0, df)), end(f * f_quantile(upper, df, self.n - 1.0))))
    }

    fn agreement_interval(self, confidence: f64) -> Result<(f64, f64), NoInterval> {
        let Anova { n, k, items, raters, residual, .. } = self;
        if residual <= 0.0 {
            return Err(NoInterval::NoResidual);
        }
        let rho = self.icc(Icc::Agreement).map_err(|_| NoInterval::NoResidual)?;
        let f = raters / residual;
        let a = k * rho * f;
        let b = n * (1.0 + (k - 1.0) * rho) - k * rho;
        let df = (n - 1.0) * (k - 1.0) * (a + b).powi(2) / ((n - 1.0) * a * a + b * b);
        if !df.is_finite() || df <= 0.0 {
            return Err(NoInterval::NoResidual);
        }
        let rest = k * raters + (k * n - k - n) * residual;
        let f1 = f_quantile(upper(confidence), n - 1.0, df);
        let f2 = f_quantile(upper(confidence), df, n - 1.0);
        Ok((
            n * (items - f1 * residual) / (f1 * rest + n * items),
            n * (f2 * items - residual) / (rest + n * f2 * items),
        ))
    }
}
