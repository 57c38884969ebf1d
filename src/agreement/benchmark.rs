//! Words for coefficients, each with its source. A word is not a verdict: scales differ, and none of them knows what the labels are for.
//!
//! A coefficient near the edge of a band is not surely in it. So the word is that of the highest band to which, or to one above which,
//! the coefficient belongs with a probability of .95 (Gwet 2014, Handbook of Inter-Rater Reliability, chapter 6): the benchmark follows the
//! lower end of what is known, and not the estimate.

use super::distribution::normal_cdf;
use super::estimate::Estimate;
use serde::Serialize;

/// The probability with which the coefficient has to reach the band.
const CERTAINTY: f64 = 0.95;

/// A published scale.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Scale {
    /// Who published it, and when.
    pub source: &'static str,
    /// Lower ends and words, from the lowest band up; the first begins at −1.
    pub bands: &'static [(f64, &'static str)],
}

/// Landis and Koch's, for kappas.
pub const LANDIS_KOCH: Scale = Scale {
    source: "Landis and Koch 1977",
    bands: &[
        (-1.0, "poor"),
        (0.0, "slight"),
        (0.2, "fair"),
        (0.4, "moderate"),
        (0.6, "substantial"),
        (0.8, "almost perfect"),
    ],
};

/// Altman's, for kappas.
pub const ALTMAN: Scale = Scale {
    source: "Altman 1991",
    bands: &[(-1.0, "poor"), (0.2, "fair"), (0.4, "moderate"), (0.6, "good"), (0.8, "very good")],
};

/// Krippendorff's, for alpha.
pub const KRIPPENDORFF: Scale = Scale {
    source: "Krippendorff 2004",
    bands: &[(-1.0, "not to be relied on"), (0.667, "for tentative conclusions"), (0.8, "reliable")],
};

/// Koo and Li's, for intraclass correlations.
pub const KOO_LI: Scale = Scale {
    source: "Koo and Li 2016",
    bands: &[(-1.0, "poor"), (0.5, "moderate"), (0.75, "good"), (0.9, "excellent")],
};

/// A word for a coefficient.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Benchmark {
    /// The coefficient, as it is called in the JSON.
    pub statistic: &'static str,
    /// Where the words come from.
    pub source: &'static str,
    /// The word.
    pub word: &'static str,
    /// The probability that the coefficient lies in that band or above.
    pub probability: f64,
}

impl Scale {
    /// The word for an estimate; `None` without a value or a standard error above 0.
    pub fn benchmark(&self, statistic: &'static str, estimate: &Estimate) -> Option<Benchmark> {
        let (value, se) = (estimate.value?, estimate.se.filter(|&se| se > 0.0)?);
        // A coefficient lies between −1 and 1, so the normal distribution is cut there.
        let (below, up_to) = (normal_cdf((-1.0 - value) / se), normal_cdf((1.0 - value) / se));
        let reaches = |low: f64| (up_to - normal_cdf((low - value) / se)) / (up_to - below);
        let (probability, word) = (self.bands.iter().rev())
            .map(|&(low, word)| (reaches(low), word))
            .find(|(probability, _)| *probability >= CERTAINTY)?;
        Some(Benchmark { statistic, source: self.source, word, probability })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn estimate(value: f64, se: f64) -> Estimate {
        Estimate::with_interval(value, Some(se), (value - 2.0 * se, value + 2.0 * se), "test")
    }

    #[test]
    fn the_word_is_the_one_that_is_surely_reached() {
        let found = LANDIS_KOCH.benchmark("cohen_kappa", &estimate(0.67, 0.15)).unwrap();
        assert_eq!(found.word, "moderate");
        assert!((found.probability - 0.9635).abs() < 5e-4, "{}", found.probability);
        assert_eq!(LANDIS_KOCH.benchmark("cohen_kappa", &estimate(0.67, 0.01)).unwrap().word, "substantial");
        assert_eq!(LANDIS_KOCH.benchmark("cohen_kappa", &estimate(-0.5, 0.01)).unwrap().word, "poor");
    }

    #[test]
    fn without_a_standard_error_there_is_no_word() {
        assert_eq!(KOO_LI.benchmark("icc_a1", &Estimate::undefined("nothing")), None);
        assert_eq!(KOO_LI.benchmark("icc_a1", &Estimate::without_interval(1.0, "nothing")), None);
    }

    #[test]
    fn the_lowest_band_is_reached_by_anything() {
        for scale in [LANDIS_KOCH, ALTMAN, KRIPPENDORFF, KOO_LI] {
            let found = scale.benchmark("x", &estimate(0.1, 2.0)).unwrap();
            assert_eq!(found.word, scale.bands[0].1);
        }
    }
}
