//! How many items a study needs.

use super::Statistic;

/// The family.
pub(super) const ALL: &[Statistic] = &[];
