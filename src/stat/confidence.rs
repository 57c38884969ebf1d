//! Confidence and routing: calibration, risk and coverage.

use super::Statistic;

/// The family.
pub(super) const ALL: &[Statistic] = &[];
