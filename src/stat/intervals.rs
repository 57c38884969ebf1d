//! Intervals of kappa for items that lie in sessions.

use super::Statistic;

/// The family.
pub(super) const ALL: &[Statistic] = &[];
