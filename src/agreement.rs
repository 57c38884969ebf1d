//! How far raters agree.
//!
//! ```text
//! rows or a file ─ Ratings ─ agree ─ FieldAgreement (JSON, terminal table)
//! ```
//!
//! [`ratings`] and [`mod@file`] take in who said what, strictly. [`agree`] computes every pair ([`label_pair`], [`score_pair`]), the panel
//! ([`mod@all`]) and the ceiling that humans set ([`ceiling`]); [`benchmark`] has words for coefficients. The coefficients are plain functions of tables and moments
//! ([`kappa`], [`score`], [`rank`], [`multi`]), and [`interval`] gives all of them intervals by resampling whole clusters.

pub mod all;
pub mod benchmark;
pub mod ceiling;
pub mod cluster_sums;
pub mod collapse;
pub mod distribution;
mod draw;
pub mod estimate;
pub mod field;
pub mod file;
pub mod influence;
pub mod interval;
pub mod kappa;
pub mod label_pair;
pub mod margins;
pub mod multi;
pub mod rank;
pub mod ratings;
pub mod score;
pub mod score_pair;
pub mod sets;
pub mod table;
pub mod warning;
pub mod weighted;

pub use collapse::Collapse;
pub use estimate::{Estimate, NoInterval, Undefined};
pub use field::{AgreementError, FieldAgreement, Pair, PairFigures, Settings, agree};
pub use file::{FileError, RatingsFile, RatingsRead};
pub use interval::Resampling;
pub use ratings::{Answer, Cell, Level, Ratings, RatingsBuilder, RatingsError};
