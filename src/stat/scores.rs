//! Two or more raters on scores.

use super::Statistic;

/// The family.
pub(super) const ALL: &[Statistic] = &[];
