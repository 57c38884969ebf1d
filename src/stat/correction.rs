//! Shares, means and differences of a model's labels, corrected by gold.

use super::Statistic;

/// The family.
pub(super) const ALL: &[Statistic] = &[];
