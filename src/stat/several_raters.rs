//! Several raters on labels, gaps allowed.

use super::Statistic;

/// The family.
pub(super) const ALL: &[Statistic] = &[];
