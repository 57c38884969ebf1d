//! From numbers to places: a linear scale, round numbers on it, and how they are written.

/// A linear scale.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Scale {
    domain: (f64, f64),
    range: (f64, f64),
}

impl Scale {
    /// Takes `domain` to `range`. A domain without extent, or with ends that are no numbers, is made one wide, so that nothing divides by 0.
    pub fn new(domain: (f64, f64), range: (f64, f64)) -> Scale {
        let (low, high) = domain;
        let domain = match (low.is_finite(), high.is_finite()) {
            (true, true) if high > low => (low, high),
            (true, _) => (low, low + 1.0),
            (false, true) => (high - 1.0, high),
            (false, false) => (0.0, 1.0),
        };
        Scale { domain, range }
    }

    /// What it begins and ends with.
    pub fn domain(&self) -> (f64, f64) {
        self.domain
    }

    /// The place of a number; `None` for what is none.
    pub fn place(&self, x: f64) -> Option<f64> {
        let ((low, high), (start, end)) = (self.domain, self.range);
        x.is_finite().then(|| start + (x - low) / (high - low) * (end - start))
    }

    /// The place of a number, held within the scale, and whether it lies beyond.
    pub fn held(&self, x: f64) -> Option<(f64, bool)> {
        let (low, high) = self.domain;
        Some((self.place(x.clamp(low, high)).filter(|_| !x.is_nan())?, x < low || x > high))
    }

    /// Round numbers on the scale, about so many.
    pub fn ticks(&self, about: usize) -> Vec<f64> {
        let (low, high) = self.domain;
        let step = round_step((high - low) / about.max(1) as f64);
        let first = (low / step - 1e-9).ceil() as i64;
        let last = (high / step + 1e-9).floor() as i64;
        (first..=last).map(|place| place as f64 * step).collect()
    }
}

/// The smallest of 1, 2, 2.5 and 5 times a power of ten that is not below `step`.
fn round_step(step: f64) -> f64 {
    let power = 10.0_f64.powf(step.log10().floor());
    [1.0, 2.0, 2.5, 5.0, 10.0]
        .into_iter()
        .map(|times| times * power)
        .find(|round| *round >= step * (1.0 - 1e-9))
        .unwrap_or(10.0 * power)
}

/// The ends of numbers, rounded outwards so that a scale begins and ends with a round number. `None` without numbers.
pub fn round_ends(values: impl IntoIterator<Item = f64>) -> Option<(f64, f64)> {
    let finite = values.into_iter().filter(|x| x.is_finite());
    let ends = finite
        .fold(None, |ends: Option<(f64, f64)>, x| Some(ends.map_or((x, x), |(low, high)| (low.min(x), high.max(x)))));
    let (low, high) = ends?;
    if low == high {
        return Some((low - 1.0, high + 1.0));
    }
    let step = round_step((high - low) / 5.0);
    Some(((low / step).floor() * step, (high / step).ceil() * step))
}

/// A number on an axis or in a table: at most three decimals, none that say nothing, a real minus sign.
pub fn number(value: f64) -> String {
    if !value.is_finite() {
        return "–".to_owned();
    }
    let text = format!("{value:.3}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    match text.strip_prefix('-') {
        Some("0") => "0".to_owned(),
        Some(rest) => format!("−{rest}"),
        None => text.to_owned(),
    }
}

/// A share as percent, whole from 10 on.
pub fn percent(share: f64) -> String {
    let value = 100.0 * share;
    if !value.is_finite() {
        return "–".to_owned();
    }
    // What is rare is not nothing.
    let text = if value != 0.0 && value.abs() < 9.95 { format!("{value:.1}") } else { format!("{value:.0}") };
    format!("{} %", text.replace('-', "−"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_places() {
        let scale = Scale::new((0.0, 10.0), (100.0, 300.0));
        assert_eq!((scale.place(0.0), scale.place(5.0), scale.place(10.0)), (Some(100.0), Some(200.0), Some(300.0)));
        assert_eq!((scale.held(12.0), scale.held(-1.0)), (Some((300.0, true)), Some((100.0, true))));
        assert_eq!(
            (scale.held(f64::INFINITY), scale.held(f64::NAN), scale.place(f64::NAN)),
            (Some((300.0, true)), None, None)
        );
        // Upside down, as heights are.
        assert_eq!(Scale::new((0.0, 1.0), (50.0, 0.0)).place(0.25), Some(37.5));
    }

    #[test]
    fn a_scale_without_extent_is_one_wide() {
        assert_eq!(Scale::new((3.0, 3.0), (0.0, 10.0)).place(3.5), Some(5.0));
        assert_eq!(Scale::new((f64::NAN, f64::INFINITY), (0.0, 10.0)).domain(), (0.0, 1.0));
        assert_eq!(Scale::new((2.0, f64::NAN), (0.0, 1.0)).domain(), (2.0, 3.0));
        assert_eq!(Scale::new((f64::NAN, 2.0), (0.0, 1.0)).domain(), (1.0, 2.0));
    }

    #[test]
    fn ticks_are_round_and_within() {
        let ticks = |low, high| Scale::new((low, high), (0.0, 1.0)).ticks(5);
        assert_eq!(ticks(0.0, 100.0), [0.0, 20.0, 40.0, 60.0, 80.0, 100.0]);
        assert_eq!(ticks(-0.2, 1.0).len(), 5);
        assert_eq!(ticks(3.0, 17.0), [5.0, 10.0, 15.0]);
        assert_eq!(
            ticks(0.0, 1.0).iter().map(|x| number(*x)).collect::<Vec<_>>(),
            ["0", "0.2", "0.4", "0.6", "0.8", "1"]
        );
    }

    #[test]
    fn ends_are_rounded_outwards() {
        assert_eq!(round_ends([3.0, 97.0]), Some((0.0, 100.0)));
        assert_eq!(round_ends([-12.0, 7.0, f64::NAN]), Some((-15.0, 10.0)));
        assert_eq!(round_ends([4.0]), Some((3.0, 5.0)));
        assert_eq!(round_ends([f64::NAN]), None);
    }

    #[test]
    fn numbers_are_written_short() {
        let shown: Vec<String> = [0.0, -0.0001, 1.5, -2.0, 100.0, f64::NAN].into_iter().map(number).collect();
        assert_eq!(shown, ["0", "0", "1.5", "−2", "100", "–"]);
        let shown: Vec<String> = [0.0, 0.004, 0.0994, 0.0996, 0.5, 1.0, -0.02].into_iter().map(percent).collect();
        assert_eq!(shown, ["0 %", "0.4 %", "9.9 %", "10 %", "50 %", "100 %", "−2.0 %"]);
    }
}
