//! How far raters agree.

pub mod confusion;
pub mod interval;
pub mod kappa;
pub mod multi;
pub mod score;
