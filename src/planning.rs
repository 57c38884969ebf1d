//! Before anything is labelled: how many items are needed, and which ones.
//!
//! [`size`] turns an assumed kappa and margins into a number of items, [`draw`] chooses units by hash with known probabilities, so that
//! what is estimated from them can be corrected later.

pub mod draw;
pub mod size;
