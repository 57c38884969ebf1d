//! How far raters agree.
pub mod distribution;
pub mod estimate;
pub mod file;
pub mod interval;
pub mod kappa;
pub mod margins;
pub mod ratings;
pub mod table;
pub mod label_pair;
