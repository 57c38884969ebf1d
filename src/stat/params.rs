//! The parameters of a statistic: a JSON object, read strictly.

use super::{StatError, spelling};
use serde_json::{Map, Value};

/// Every name that some statistic reads. Another name is an error if it is spelt nearly like one of these, else it is documentation and
/// is listed by [`Params::unread`].
const READ: &[&str] = &[
    "a",
    "alpha",
    "alpha_one_sided",
    "annotators",
    "b",
    "binning",
    "bins",
    "cluster",
    "conf",
    "confidence",
    "epsilon",
    "formula",
    "g",
    "gold",
    "group",
    "halfwidth",
    "humans",
    "icc",
    "items",
    "kappa",
    "kappa0",
    "kappa1",
    "label",
    "labels",
    "lambda",
    "level",
    "llm",
    "map",
    "method",
    "metric",
    "N",
    "min_humans_per_item",
    "min_items_per_human",
    "order",
    "p",
    "per_cluster",
    "population",
    "positive",
    "power",
    "pred",
    "prob",
    "prompts",
    "q",
    "rate",
    "rate_a",
    "rate_b",
    "replicates",
    "risk",
    "samples",
    "scoring",
    "seed",
    "stratum",
    "thresholds",
    "unlabeled",
    "value",
    "values",
    "variances",
    "weights",
];

/// Names under which a case documents itself.
const DOCUMENTATION: &[&str] = &["note", "by", "missing", "target", "B", "B_reference", "title", "comment"];

/// Parameters by name. An absent parameter and null are the same.
#[derive(Debug, Clone, Default)]
pub struct Params(Map<String, Value>);

impl Params {
    /// Parameters from the text of a JSON object.
    pub fn parse(text: &str) -> Result<Params, StatError> {
        match serde_json::from_str(text) {
            Ok(Value::Object(members)) => Params::new(members),
            Ok(other) => Err(StatError::NotAnObject { reason: format!("found {}", shown(&other)) }),
            Err(error) => Err(StatError::NotAnObject { reason: error.to_string() }),
        }
    }

    /// Parameters from an object.
    pub fn new(members: Map<String, Value>) -> Result<Params, StatError> {
        let params = Params(members);
        for name in params.unread() {
            if let Some(nearest) = spelling::nearest(name, READ.iter().copied()) {
                return Err(StatError::MisspeltParameter { name: name.to_owned(), nearest: nearest.to_owned() });
            }
        }
        Ok(params)
    }

    /// Parameters that no statistic reads and that are no known documentation: people are told of them.
    pub fn unread(&self) -> Vec<&str> {
        let names = self.0.keys().map(String::as_str);
        names.filter(|name| !READ.contains(name) && !DOCUMENTATION.contains(name)).collect()
    }

    /// The parameter as it is; `None` where it is absent or null.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name).filter(|value| !value.is_null())
    }

    /// The error that a parameter is not what it should be; `expected` with an article.
    pub fn wrong(&self, name: &str, expected: impl Into<String>) -> StatError {
        StatError::Parameter {
            name: name.to_owned(),
            expected: expected.into(),
            found: self.get(name).map_or_else(|| "nothing".to_owned(), shown),
        }
    }

    /// A text.
    pub fn text(&self, name: &str) -> Result<&str, StatError> {
        self.get(name).and_then(Value::as_str).ok_or_else(|| self.wrong(name, "a text"))
    }

    /// A text, or what stands for its absence.
    pub fn text_or<'p>(&'p self, name: &str, default: &'p str) -> Result<&'p str, StatError> {
        if self.get(name).is_some() { self.text(name) } else { Ok(default) }
    }

    /// One of some words, or the first of them where the parameter is absent.
    pub fn one_of<'w>(&self, name: &str, words: &[&'w str]) -> Result<&'w str, StatError> {
        let given = self.text_or(name, words[0])?;
        words
            .iter()
            .find(|word| **word == given)
            .copied()
            .ok_or_else(|| self.wrong(name, format!("one of {}", words.join(", "))))
    }

    /// A list of texts, not empty.
    pub fn texts(&self, name: &str) -> Result<Vec<&str>, StatError> {
        let list = self.get(name).and_then(Value::as_array);
        list.and_then(|list| list.iter().map(Value::as_str).collect())
            .filter(|texts: &Vec<&str>| !texts.is_empty())
            .ok_or_else(|| self.wrong(name, "a list of texts"))
    }

    /// A number.
    pub fn number(&self, name: &str) -> Result<f64, StatError> {
        self.get(name).and_then(Value::as_f64).ok_or_else(|| self.wrong(name, "a number"))
    }

    /// A number, or what stands for its absence.
    pub fn number_or(&self, name: &str, default: f64) -> Result<f64, StatError> {
        if self.get(name).is_some() { self.number(name) } else { Ok(default) }
    }

    /// A number strictly between 0 and 1, or what stands for its absence.
    pub fn share_or(&self, name: &str, default: f64) -> Result<f64, StatError> {
        let share = self.number_or(name, default)?;
        if share > 0.0 && share < 1.0 { Ok(share) } else { Err(self.wrong(name, "a number between 0 and 1")) }
    }

    /// A list of numbers.
    pub fn numbers(&self, name: &str) -> Result<Vec<f64>, StatError> {
        let list = self.get(name).and_then(Value::as_array);
        list.and_then(|list| list.iter().map(Value::as_f64).collect())
            .ok_or_else(|| self.wrong(name, "a list of numbers"))
    }

    /// A whole number, 0 or more, or what stands for its absence.
    pub fn count_or(&self, name: &str, default: u64) -> Result<u64, StatError> {
        match self.get(name) {
            None => Ok(default),
            Some(value) => value.as_u64().ok_or_else(|| self.wrong(name, "a whole number")),
        }
    }

    /// The confidence of an interval: `conf`, or 1 − `alpha`, or .95.
    pub fn confidence(&self) -> Result<f64, StatError> {
        match self.get("conf") {
            Some(_) => self.share_or("conf", 0.95),
            None => Ok(1.0 - self.share_or("alpha", 0.05)?),
        }
    }
}

/// A JSON value in an error: short.
fn shown(value: &Value) -> String {
    let text = value.to_string();
    if text.chars().count() > 60 { format!("{}…", text.chars().take(60).collect::<String>()) } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> String {
        Params::parse(text).unwrap_err().to_string()
    }

    #[test]
    fn parameters_are_an_object_and_typing_errors_are_found() {
        assert_eq!(error("[1]"), "the parameters are no JSON object: found [1]");
        assert!(error("{\"a\": }").contains("line 1 column 7"));
        assert_eq!(error("{\"lables\": []}"), "there is no parameter `lables`");
        let params = Params::parse(r#"{"note": "x", "provenance of it": 1, "a": null, "conf": 0.9}"#).unwrap();
        assert_eq!(params.unread(), ["provenance of it"]);
        assert_eq!(params.text("a").unwrap_err().to_string(), "parameter `a`: expected a text, found nothing");
        assert_eq!(params.confidence().unwrap(), 0.9);
    }

    #[test]
    fn each_kind_says_what_it_expected() {
        let params = Params::parse(r#"{"labels": ["x", 1], "p": [1, 2.5], "conf": 95, "items": "some"}"#).unwrap();
        assert_eq!(
            params.texts("labels").unwrap_err().to_string(),
            "parameter `labels`: expected a list of texts, found [\"x\",1]"
        );
        assert_eq!(params.numbers("p").unwrap(), [1.0, 2.5]);
        assert!(params.confidence().unwrap_err().to_string().contains("a number between 0 and 1, found 95"));
        assert!(params.one_of("items", &["all", "co-labelled"]).unwrap_err().to_string().contains("all, co-labelled"));
    }
}
