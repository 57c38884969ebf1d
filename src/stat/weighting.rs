//! How far apart two labels are: the parameter `weights`, as the coefficients understand it.

use super::{Input, Labels, StatError};
use crate::agreement::kappa::Weights;
use serde_json::Value;

/// What `linear` and `quadratic` mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scale {
    /// Positions in the declared order, as for Cohen's kappa.
    Positions,
    /// The labels' values, as in Gwet's family.
    Values,
}

const WORDS: &str =
    "none, identity, linear, quadratic, ordinal, linear_by_value, quadratic_by_value or {\"disagreement\": matrix}";

/// The weights that the parameters ask for; none if they say nothing.
pub(super) fn weights(input: &Input, labels: &Labels, scale: Scale) -> Result<Weights, StatError> {
    let params = &input.params;
    let word = match params.get("weights") {
        None => return Ok(Weights::None),
        Some(Value::Object(members)) => {
            return match (members.get("disagreement"), members.len()) {
                (Some(matrix), 1) => disagreement(input, labels, matrix),
                _ => Err(params.wrong("weights", WORDS)),
            };
        }
        Some(word) => word.as_str().ok_or_else(|| params.wrong("weights", WORDS))?,
    };
    if matches!(word, "none" | "identity" | "unweighted") {
        return Ok(Weights::None);
    }
    let numeric = labels.names().iter().all(|label| label.trim().parse::<f64>().is_ok());
    if params.get("labels").is_none() && !numeric {
        return Err(params.wrong("labels", "the labels in their order, since the weights go by it"));
    }
    Ok(match (word, scale) {
        ("linear", Scale::Positions) => Weights::Linear,
        ("quadratic", Scale::Positions) => Weights::Quadratic,
        ("linear", Scale::Values) | ("linear_by_value", _) => Weights::LinearByValue(input.values(labels)?),
        ("quadratic", Scale::Values) | ("quadratic_by_value", _) => Weights::QuadraticByValue(input.values(labels)?),
        ("ordinal", _) => Weights::Ordinal,
        _ => return Err(params.wrong("weights", WORDS)),
    })
}

fn disagreement(input: &Input, labels: &Labels, matrix: &Value) -> Result<Weights, StatError> {
    let q = labels.len();
    let wrong = |expected: String| input.params.wrong("weights", expected);
    let rows: Option<Vec<Vec<f64>>> = matrix.as_array().and_then(|rows| {
        rows.iter().map(|row| row.as_array()?.iter().map(Value::as_f64).collect::<Option<Vec<f64>>>()).collect()
    });
    let rows = rows
        .filter(|rows| rows.len() == q && rows.iter().all(|row| row.len() == q))
        .ok_or_else(|| wrong(format!("a disagreement matrix of {q} rows of {q} numbers")))?;
    for (i, row) in rows.iter().enumerate() {
        for (j, &v) in row.iter().enumerate() {
            if v < 0.0 || (i == j && v != 0.0) || (v - rows[j][i]).abs() > 1e-12 * v.abs() {
                return Err(wrong(format!(
                    "a symmetric matrix of disagreements, not negative, 0 on the diagonal (row {}, column {} is {v})",
                    i + 1,
                    j + 1
                )));
            }
        }
    }
    if input.params.get("labels").is_none() {
        return Err(input.params.wrong("labels", "the labels that the rows of the matrix belong to"));
    }
    Ok(Weights::Matrix(rows.concat()))
}
