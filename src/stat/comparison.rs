//! Two prompts or models on one gold: McNemar, permutation, multiplicity, the alternative annotator test.

use super::Statistic;

/// The family.
pub(super) const ALL: &[Statistic] = &[];
