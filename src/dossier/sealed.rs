//! Test units stay sealed: whoever has seen on which of them a model errs, and changes the codebook, has no test any more.

use crate::agreement::FieldAgreement;
use crate::gold::{Gold, Split};
use std::collections::HashSet;

/// Units of which no single result is told: those of the test split, unless they may be shown.
pub fn sealed_units(gold: Option<&Gold>, show_test: bool) -> HashSet<String> {
    let rows = gold.iter().filter(|_| !show_test).flat_map(|gold| &gold.rows);
    rows.filter(|row| row.split == Some(Split::Test)).map(|row| row.unit.to_string()).collect()
}

/// Takes single results of sealed units out of `agreement`, and says on how many units raters differ that are no longer told.
pub fn seal(agreement: &mut [FieldAgreement], sealed: &HashSet<String>) -> usize {
    let mut hidden: HashSet<String> = HashSet::new();
    for pair in agreement.iter_mut().flat_map(|field| &mut field.pairs) {
        pair.disagreements.retain(|one| {
            let is_sealed = sealed.contains(&one.unit);
            if is_sealed {
                hidden.insert(one.unit.clone());
            }
            !is_sealed
        });
    }
    hidden.len()
}
