//! What people do with units: label them, and decide where they differ. Takes codebook, units, sessions and the gold file; knows no
//! terminal and no browser, which are two ways to the same desk.
//!
//! ```text
//! pile (which units) ─ shelf (their sessions, read when needed) ─ sight (what the rater sees)
//! codebook ─ question (the form) ─ desk (one rater's answers) ─ gold file and its journal
//!                                  adjudication (several raters' answers, the decision), round (what the codebook leaves open)
//! ```
//!
//! A [`desk::Desk`] holds one rater's rows and never those of another: nothing that is made of it can show them.

pub mod adjudication;
pub mod desk;
pub mod line;
pub mod pile;
pub mod question;
pub mod round;
pub mod shelf;
pub mod sight;
