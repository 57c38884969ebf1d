//! How many items a study needs, and what clustering and unequal weights cost.

use super::{Figures, Input, StatError, Statistic};
use crate::planning::size::{self, PlanError};
use serde_json::{Map, Value, json};

type Computed = Result<Map<String, Value>, StatError>;

/// The family.
pub(super) const ALL: &[Statistic] = &[
    Statistic {
        name: "kappa_n_for_halfwidth",
        summary: "items for an interval of kappa that reaches `halfwidth` to either side",
        compute: for_halfwidth,
    },
    Statistic {
        name: "kappa_n_for_test",
        summary: "items for a one-sided test of kappa0 that finds kappa1 with probability `power`",
        compute: for_test,
    },
    Statistic {
        name: "design_effect",
        summary: "by how much `per_cluster` items a cluster with correlation `icc` multiply a variance",
        compute: design_effect,
    },
    Statistic {
        name: "effective_size",
        summary: "how many equally weighted items are worth these, drawn with probability `prob`",
        compute: effective_size,
    },
];

fn impossible(error: PlanError) -> StatError {
    let hint = "kappa lies between -1 and what the shares of the label allow".to_owned();
    StatError::Unfit { what: error.to_string(), hint }
}

fn for_halfwidth(input: &Input) -> Computed {
    let params = &input.params;
    let kappa = params.number("kappa")?;
    let rates = (
        params.number_or("rate_a", params.number_or("rate", 0.5)?)?,
        params.number_or("rate_b", params.number_or("rate", 0.5)?)?,
    );
    let found = size::items_for_halfwidth(kappa, rates, params.number("halfwidth")?, params.confidence()?);
    let mut figures = Figures::new();
    figures.value("n", json!(found.map_err(impossible)?));
    figures.exact("n_times_var", size::unit_variance(kappa, rates.0, rates.1).map_err(impossible)?);
    Ok(figures.finish())
}

fn for_test(input: &Input) -> Computed {
    let params = &input.params;
    let rate = params.number_or("rate", 0.5)?;
    let rates = (params.number_or("rate_a", rate)?, params.number_or("rate_b", rate)?);
    let kappas = (params.number("kappa1")?, params.number("kappa0")?);
    let found = size::items_for_test(
        kappas,
        rates,
        params.number_or("power", 0.8)?,
        params.number_or("alpha_one_sided", 0.05)?,
    )
    .map_err(impossible)?;
    let mut figures = Figures::new();
    figures.value("n", json!(size::whole(found)));
    figures.exact("n_raw", found);
    Ok(figures.finish())
}

fn design_effect(input: &Input) -> Computed {
    let found = size::design_effect(input.params.number("per_cluster")?, input.params.number("icc")?);
    let mut figures = Figures::new();
    figures.exact("design_effect", found.map_err(impossible)?);
    Ok(figures.finish())
}

fn effective_size(input: &Input) -> Computed {
    let name = input.params.text_or("prob", "prob")?;
    let column = input.covariate(name)?;
    let weight = |item: usize| -> Result<f64, StatError> {
        match column.number(item)? {
            probability if probability > 0.0 && probability <= 1.0 => Ok(1.0 / probability),
            other => Err(StatError::Covariate {
                item: input.ratings.items()[item].clone(),
                column: name.to_owned(),
                expected: "a number above 0, at most 1",
                found: other.to_string(),
            }),
        }
    };
    let weights = (0..input.ratings.items().len()).map(weight).collect::<Result<Vec<f64>, StatError>>()?;
    let mut figures = Figures::new();
    figures.value("n", json!(weights.len()));
    figures.exact("effective_size", size::effective_size(&weights));
    Ok(figures.finish())
}
