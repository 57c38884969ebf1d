//! Before anything is labelled: how many items are needed, and which ones.
//!
//! ```text
//! units, what runs say of them ─ aim ─ draw ─ sample ─ sheet
//! ```
//!
//! [`size`] turns an assumed kappa and margins into a number of items. [`aim`] says where a label would teach most, [`mod@draw`] chooses
//! units by hash with known probabilities, so that what is estimated from them can be corrected later; [`sample`] is the result with
//! splits, [`sheet`] the table that humans fill in.

pub mod aim;
pub mod draw;
pub mod sample;
pub mod sheet;
pub mod size;
