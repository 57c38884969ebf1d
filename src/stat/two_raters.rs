//! Two raters on labels.

use super::{Figures, Input, StatError, Statistic};
use serde_json::{Map, Value, json};

/// The family.
pub(super) const ALL: &[Statistic] =
    &[Statistic { name: "n_pairs", summary: "items that both annotators labelled", compute: n_pairs }];

fn n_pairs(input: &Input) -> Result<Map<String, Value>, StatError> {
    let mut figures = Figures::new();
    figures.value("n", json!(input.pair(input.annotator("a")?, input.annotator("b")?).len()));
    Ok(figures.finish())
}
