//! Shares, means and differences of a run, corrected by gold for the errors of the model that labelled it.
//!
//! A raw share of model labels is wrong by the bias of the model, and no interval around it says so. What repairs it depends on how the gold
//! was drawn, so the formulas stand apart from the decision which of them is right:
//!
//! | formula | file | right when |
//! |---|---|---|
//! | post-stratified shares | [`mod@poststratified`] | gold is a random part of the units, or of the units of each model label |
//! | PPI, PPI++ | [`mod@ppi`] | gold is a random part of the units |
//! | stratified PPI | [`mod@stratified`] | gold is a random part of each stratum, and every unit's stratum is known |
//! | DSL (AIPW) | [`mod@design`] | every unit's probability of being gold is known |
//! | Rogan–Gladen, matrix inversion | [`mod@misclassification`] | gold is of other units, and the model errs there as it does here |
//!
//! [`mod@correct`] takes the decision, with its guards; [`of_run`] brings a run, its gold and groups of sessions to it.
//!
//! Formulas take plain numbers and give a number, or [`NoCorrection`] with the reason. [`linear`], [`regression`] and [`draw`] are what they need.

pub mod correct;
pub mod design;
pub mod draw;
pub mod drawing;
pub mod error;
pub mod linear;
pub mod misclassification;
pub mod numbers;
pub mod of_run;
pub mod poststratified;
pub mod ppi;
pub mod regression;
pub mod sessions;
pub mod spread;
pub mod strata;
pub mod stratified;

/// Why there is no corrected number. It never stands for 0.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum NoCorrection {
    /// No gold at all.
    #[error("no unit has both gold and an answer of the model")]
    NoGold,
    /// No model labels beside those of the gold.
    #[error("no unit has an answer of the model but no gold")]
    NothingElse,
    /// Fewer gold units than the formula needs.
    #[error("{gold} gold units are too few, at least {needed} are needed")]
    TooFewGold {
        /// How many there are.
        gold: usize,
        /// How many it needs.
        needed: usize,
    },
    /// A stratum without enough gold.
    #[error("stratum `{stratum}` has {gold} gold units, at least 2 are needed in each")]
    StratumWithoutGold {
        /// The stratum.
        stratum: String,
        /// Its gold units.
        gold: usize,
    },
    /// A label that the model gave, on no gold unit.
    #[error("no gold unit has the model label `{label}`, so nothing says what it stands for")]
    LabelWithoutGold {
        /// The model label.
        label: String,
    },
    /// Gold has no unit of a label, so that nobody knows what the model makes of one.
    #[error("no gold unit is `{label}`, so nothing says how the model labels one")]
    NoGoldOfLabel {
        /// The gold label.
        label: String,
    },
    /// Sensitivity and specificity are those of guessing, or worse.
    #[error("sensitivity + specificity − 1 is {informedness:.3}: the model's label says nothing about the gold's")]
    NotInformative {
        /// Youden's J.
        informedness: f64,
    },
    /// The confusion matrix cannot be inverted with any use.
    #[error(
        "the condition number of the confusion matrix is {condition:.1}, more than {most}: errors would be amplified beyond use"
    )]
    IllConditioned {
        /// The condition number, infinite for a singular matrix.
        condition: f64,
        /// The most that is accepted.
        most: f64,
    },
    /// The covariates determine one another.
    #[error("the covariates are linearly dependent")]
    Dependent,
    /// More unknowns than the solver is made for.
    #[error("{unknowns} coefficients are too many, at most {most} can be estimated", most = linear::MOST)]
    TooManyCoefficients {
        /// How many.
        unknowns: usize,
    },
    /// A gold unit whose probability of being drawn is 0 or unknown.
    #[error("a gold unit has no probability above 0 of being drawn")]
    NoProbability,
}

#[cfg(test)]
mod tests;
#[cfg(test)]
mod simulated;
