//! What a model's confidence is worth: calibration, and how risk falls as unsure items are set aside.
//!
//! Confidence is a stated probability or the share of samples that voted for the label. Everything is measured on items with gold, the
//! target being "the model's label is right".

pub mod calibration;
pub mod coverage;

/// One item with gold: how sure the model was, and whether it was right.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Judged {
    /// Confidence, 0 to 1.
    pub confidence: f64,
    /// Whether the label is the reference's.
    pub right: bool,
    /// Weight, such as 1/π of an item drawn with probability π; 1 where all are alike.
    pub weight: f64,
}
