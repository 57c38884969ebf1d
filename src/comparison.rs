//! Which of several raters is better on the same items, and whether the difference could be chance.
//!
//! ```text
//! shared items ─ SharedLabels, SharedScores ─┬─ paired: each rater's figure and every difference, with intervals
//!                                            ├─ permutation: the test that keeps sessions whole
//!                                            └─ correctness: McNemar, Cochran · multiplicity · alternative_annotator
//! ```
//!
//! Everything is a function of data at hand: nothing is read, printed or remembered here.

pub mod alternative_annotator;
pub mod correctness;
pub mod multiplicity;
pub mod paired;
pub mod permutation;
pub mod shared;

pub use shared::{Metric, SharedLabels, SharedScores};
