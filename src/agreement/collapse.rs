//! Coarser sets of labels: a collapse is applied to both raters, and everything is computed afresh, since the kappa of the coarser labels
//! does not follow from that of the finer ones.

use super::field::AgreementError;
use super::label_pair::{LabelAgreement, LabelRow, PairContext, clusters_of, label_agreement};
use super::warning::label_warnings;
use serde::ser::{SerializeMap, Serializer};

/// A coarser set of labels, declared before the matrix is seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Collapse {
    /// Its name.
    pub name: String,
    /// Label → coarser label; `None` drops the items on which a rater used the label. A label that is not listed is dropped too.
    pub map: Vec<(String, Option<String>)>,
}

/// A pair's numbers on a collapse.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct CollapseFigures {
    /// Items on which neither rater used a dropped label.
    pub items: usize,
    /// Their clusters.
    pub clusters: usize,
    /// The coarser labels.
    pub labels: Vec<String>,
    /// The labels that the collapse drops.
    pub dropped: Vec<String>,
    /// The numbers.
    #[serde(flatten)]
    pub agreement: LabelAgreement,
    /// What to know about them.
    pub warnings: Vec<String>,
}

/// Collapses by name, in the order of the codebook.
pub(crate) fn as_map<S: Serializer>(entries: &[(String, CollapseFigures)], serializer: S) -> Result<S::Ok, S::Error> {
    let mut map = serializer.serialize_map(Some(entries.len()))?;
    for (name, figures) in entries {
        map.serialize_entry(name, figures)?;
    }
    map.end()
}

/// A collapse ready for use: where each label goes.
pub(crate) struct CollapsedLabels {
    name: String,
    labels: Vec<String>,
    dropped: Vec<String>,
    places: Vec<Option<usize>>,
}

impl CollapsedLabels {
    pub(crate) fn new(collapse: &Collapse, labels: &[String]) -> Result<CollapsedLabels, AgreementError> {
        if let Some((label, _)) = collapse.map.iter().find(|(label, _)| !labels.contains(label)) {
            return Err(AgreementError::UnknownCollapseLabel {
                collapse: collapse.name.clone(),
                label: label.clone(),
                labels: labels.join(", "),
            });
        }
        let mut coarse: Vec<String> = vec![];
        let mut places = vec![];
        let mut dropped = vec![];
        for label in labels {
            let target = collapse.map.iter().find(|(from, _)| from == label).and_then(|(_, to)| to.as_ref());
            places.push(target.map(|target| {
                coarse.iter().position(|known| known == target).unwrap_or_else(|| {
                    coarse.push(target.clone());
                    coarse.len() - 1
                })
            }));
            if target.is_none() {
                dropped.push(label.clone());
            }
        }
        Ok(CollapsedLabels { name: collapse.name.clone(), labels: coarse, dropped, places })
    }

    /// Both raters on the coarser labels.
    pub(crate) fn figures(&self, rows: &[LabelRow], context: &PairContext<'_>) -> (String, CollapseFigures) {
        let rows: Vec<LabelRow> = (rows.iter())
            .filter_map(|row| Some(LabelRow { a: self.places[row.a]?, b: self.places[row.b]?, ..*row }))
            .collect();
        let clusters = clusters_of(rows.iter().map(|row| row.cluster));
        let agreement = label_agreement(&rows, &self.labels, context);
        let warnings = label_warnings(&agreement, clusters, context);
        let figures = CollapseFigures {
            items: rows.len(),
            clusters,
            labels: self.labels.clone(),
            dropped: self.dropped.clone(),
            agreement,
            warnings,
        };
        (self.name.clone(), figures)
    }
}
