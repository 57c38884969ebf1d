//! Agreement within groups of items: a model can be good on one agent's sessions and useless on another's, and the overall figure is then of
//! neither.

use super::Judging;
use crate::agreement::agree;
use crate::agreement::ceiling::HumanCeiling;
use crate::agreement::field::Pair;
use crate::agreement::{AgreementError, FieldAgreement};
use crate::evaluation::FieldRatings;
use serde::Serialize;
use std::collections::{BTreeMap, HashMap};

/// Agreement by group.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Groups {
    /// What items are grouped by.
    pub by: String,
    /// Items that are in no group.
    pub without_group: usize,
    /// The groups, in the order of their names.
    pub groups: Vec<GroupAgreement>,
}

/// Agreement within one group. Disagreements are those of the whole field.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct GroupAgreement {
    /// The group.
    pub group: String,
    /// Its items.
    pub items: usize,
    /// Their clusters.
    pub clusters: usize,
    /// The pairs of the field.
    pub pairs: Vec<Pair>,
    /// The ceiling that humans set in it.
    pub human_ceiling: Option<HumanCeiling>,
    /// What concerns the whole group.
    pub warnings: Vec<String>,
}

/// Agreement within each group.
pub(super) fn by_groups(
    field: &FieldRatings,
    judging: &Judging<'_>,
    by: &str,
    groups: &HashMap<String, String>,
) -> Result<Groups, AgreementError> {
    let ratings = &field.ratings;
    let mut items: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    let mut without_group = 0;
    for (place, item) in ratings.items().iter().enumerate() {
        match groups.get(item) {
            Some(group) => items.entry(group).or_default().push(place),
            None => without_group += 1,
        }
    }
    let settings = field.settings(judging.task, judging.cluster, judging.resampling);
    let of = |(group, items): (&str, Vec<usize>)| {
        let FieldAgreement { items, clusters, mut pairs, human_ceiling, warnings, .. } =
            agree(&ratings.of_items(&items), &settings)?;
        pairs.iter_mut().for_each(|pair| pair.disagreements.clear());
        Ok(GroupAgreement { group: group.to_owned(), items, clusters, pairs, human_ceiling, warnings })
    };
    let groups = items.into_iter().map(of).collect::<Result<Vec<_>, AgreementError>>()?;
    Ok(Groups { by: by.to_owned(), without_group, groups })
}
