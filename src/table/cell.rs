//! One cell of a table, lenient in type: writers disagree on how they store a count, a time or nothing.

use jiff::Timestamp;

/// What stands in a cell.
#[derive(Debug, Clone, Default, PartialEq)]
pub enum Cell {
    /// Nothing.
    #[default]
    Null,
    /// Text.
    Text(Box<str>),
    /// A number; whole numbers are exact up to 2⁵³.
    Number(f64),
    /// Yes or no.
    Flag(bool),
    /// A time.
    Time(Timestamp),
}

impl Cell {
    /// The text, unless it is empty; a number as text, without a fraction where it has none.
    pub fn text(self) -> Option<String> {
        match self {
            Cell::Text(text) => Some(text.into_string()).filter(|text| !text.is_empty()),
            Cell::Number(number) if number.is_nan() => None,
            Cell::Number(number) => Some(number.to_string()),
            Cell::Flag(flag) => Some(flag.to_string()),
            Cell::Time(at) => Some(at.to_string()),
            Cell::Null => None,
        }
    }

    /// The number; NaN is nothing, since a column of whole numbers with gaps is often stored as floats.
    pub fn number(&self) -> Option<f64> {
        match self {
            Cell::Number(number) => Some(*number).filter(|number| number.is_finite()),
            Cell::Text(text) => text.trim().parse().ok().filter(|number: &f64| number.is_finite()),
            _ => None,
        }
    }

    /// The number as a count.
    pub fn count(&self) -> Option<u64> {
        self.number().filter(|number| *number >= 0.0).map(|number| number as u64)
    }

    /// Whether it says yes.
    pub fn flag(&self) -> bool {
        match self {
            Cell::Flag(flag) => *flag,
            Cell::Number(number) => *number == 1.0,
            Cell::Text(text) => text.eq_ignore_ascii_case("true") || &**text == "1",
            Cell::Null | Cell::Time(_) => false,
        }
    }

    /// The time: as such, in ISO form, or as seconds, milliseconds, microseconds or nanoseconds since 1970.
    pub fn time(&self) -> Option<Timestamp> {
        match self {
            Cell::Time(at) => Some(*at),
            Cell::Text(text) => text.trim().parse().ok(),
            // In seconds the first bound is the year 5138, and so on for the finer units.
            Cell::Number(number) if number.is_finite() => match number.abs() {
                size if size < 1e11 => Timestamp::from_millisecond((number * 1e3) as i64).ok(),
                size if size < 1e14 => Timestamp::from_millisecond(*number as i64).ok(),
                size if size < 1e17 => Timestamp::from_microsecond(*number as i64).ok(),
                _ => Timestamp::from_nanosecond(*number as i128).ok(),
            },
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_is_read_as_what_it_is_asked_for() {
        assert_eq!(Cell::Text("".into()).text(), None);
        assert_eq!(Cell::Number(85.0).text().as_deref(), Some("85"));
        assert_eq!((Cell::Number(f64::NAN).text(), Cell::Number(f64::NAN).number()), (None, None));
        assert_eq!((Cell::Text(" 12 ".into()).count(), Cell::Number(-1.0).count()), (Some(12), None));
        for yes in [Cell::Flag(true), Cell::Number(1.0), Cell::Text("True".into())] {
            assert!(yes.flag());
        }
        assert!(!Cell::Null.flag() && !Cell::Text("no".into()).flag());
    }

    #[test]
    fn a_time_is_understood_in_every_unit() {
        let at: Timestamp = "2026-01-21T10:00:00Z".parse().unwrap();
        let second = at.as_second() as f64;
        for cell in [
            Cell::Time(at),
            Cell::Text("2026-01-21 10:00:00+00:00".into()),
            Cell::Number(second),
            Cell::Number(second * 1e3),
            Cell::Number(second * 1e6),
            Cell::Number(second * 1e9),
        ] {
            assert_eq!(cell.time(), Some(at), "{cell:?}");
        }
        assert_eq!((Cell::Null.time(), Cell::Text("soon".into()).time()), (None, None));
    }
}
