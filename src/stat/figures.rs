//! The object that a statistic gives: figures by name; one without a value is null, and `undefined` says why.

use serde_json::{Map, Value, json};
use std::fmt::Display;

/// Figures in the order in which they are written.
#[derive(Debug, Default)]
pub struct Figures {
    figures: Map<String, Value>,
    undefined: Map<String, Value>,
}

impl Figures {
    /// No figures yet.
    pub fn new() -> Figures {
        Figures::default()
    }

    /// A number, or null with the reason. A number that is not finite is null too.
    pub fn number<E: Display>(&mut self, key: impl Into<String>, value: Result<f64, E>) {
        match value {
            Ok(value) if value.is_finite() => drop(self.figures.insert(key.into(), json!(value))),
            Ok(_) => self.undefined(key, "the formula divides by 0 here"),
            Err(reason) => self.undefined(key, reason),
        }
    }

    /// A number that there always is.
    pub fn exact(&mut self, key: impl Into<String>, value: f64) {
        self.number::<&str>(key, Ok(value));
    }

    /// A number, or null with this reason.
    pub fn optional(&mut self, key: impl Into<String>, value: Option<f64>, reason: impl Display) {
        self.number(key, value.ok_or(reason));
    }

    /// An interval as `PREFIX_low` and `PREFIX_high`.
    pub fn interval<E: Display>(&mut self, prefix: &str, ends: Result<(f64, f64), E>) {
        let ends = ends.map_err(|reason| reason.to_string());
        self.number(format!("{prefix}_low"), ends.as_ref().map(|ends| ends.0));
        self.number(format!("{prefix}_high"), ends.as_ref().map(|ends| ends.1));
    }

    /// Anything else: a count, a text, a list, a table.
    pub fn value(&mut self, key: impl Into<String>, value: impl Into<Value>) {
        self.figures.insert(key.into(), value.into());
    }

    /// A figure that is undefined on these data.
    pub fn undefined(&mut self, key: impl Into<String>, reason: impl Display) {
        let key = key.into();
        self.undefined.insert(key.clone(), json!(reason.to_string()));
        self.figures.insert(key, Value::Null);
    }

    /// The object, with `undefined` last if there is anything in it.
    pub fn finish(mut self) -> Map<String, Value> {
        if !self.undefined.is_empty() {
            self.figures.insert("undefined".to_owned(), Value::Object(self.undefined));
        }
        self.figures
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_undefined_is_null_and_says_why() {
        let mut figures = Figures::new();
        figures.exact("n", 3.0);
        figures.interval("ci", Err::<(f64, f64), _>("too few"));
        figures.exact("z", f64::NAN);
        let found = Value::Object(figures.finish());
        assert_eq!((&found["n"], &found["ci_low"], &found["z"]), (&json!(3.0), &Value::Null, &Value::Null));
        assert_eq!(found["undefined"]["ci_high"], json!("too few"));
        assert!(found["undefined"]["z"].is_string());
    }
}
