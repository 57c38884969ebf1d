//! What codebook and gold are: versions, labels, who labelled how much.

use crate::codebook::{Codebook, FieldKind};
use crate::gold::{Gold, Split};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::path::PathBuf;

/// A codebook in short.
#[derive(Debug, Serialize)]
pub struct CodebookFacts {
    /// The file.
    #[serde(serialize_with = "crate::session::as_text")]
    pub path: PathBuf,
    /// blake3 of it and of what it includes.
    pub hash: String,
    /// Its fields.
    pub fields: Vec<FieldFacts>,
}

/// A field in short.
#[derive(Debug, Serialize)]
pub struct FieldFacts {
    /// Its name.
    pub name: String,
    /// Its type.
    pub kind: &'static str,
    /// Its labels, parts or criteria, with their definitions.
    pub labels: Vec<(String, String)>,
}

impl CodebookFacts {
    /// Those of `codebook`.
    pub fn of(codebook: &Codebook) -> CodebookFacts {
        let fields = (codebook.fields.iter())
            .map(|field| FieldFacts {
                name: field.name.clone(),
                kind: field.kind.name(),
                labels: match &field.kind {
                    FieldKind::Label(labels) | FieldKind::Labels(labels) => {
                        labels.labels.iter().map(|label| (label.name.clone(), label.definition.clone())).collect()
                    }
                    FieldKind::Shares(parts) => {
                        parts.iter().map(|part| (part.name.clone(), part.definition.clone())).collect()
                    }
                    FieldKind::Criteria(criteria) => {
                        criteria.iter().map(|one| (one.name.clone(), one.definition.clone())).collect()
                    }
                    _ => vec![],
                },
            })
            .collect();
        CodebookFacts { path: codebook.path.clone(), hash: codebook.hash.to_string(), fields }
    }
}

/// A gold file in short.
#[derive(Debug, Serialize)]
pub struct GoldFacts {
    /// The file.
    #[serde(serialize_with = "crate::session::as_text")]
    pub path: PathBuf,
    /// blake3 of it.
    pub hash: String,
    /// Units that anyone labelled.
    pub units: usize,
    /// Their sessions.
    pub sessions: usize,
    /// Raters with the number of their rows, `gold` first.
    pub raters: Vec<(String, usize)>,
    /// Units by split: `dev`, `test`, `neither`.
    pub splits: BTreeMap<&'static str, usize>,
    /// Whether every adjudicated row says with which probability its unit was drawn.
    pub probabilities: bool,
}

impl GoldFacts {
    /// Those of `gold`.
    pub fn of(gold: &Gold) -> GoldFacts {
        let count = |rater: &str| gold.rows.iter().filter(|row| row.rater == rater).count();
        let mut splits: BTreeMap<&'static str, usize> = BTreeMap::new();
        let mut seen: HashSet<&str> = HashSet::new();
        for row in gold.rows.iter().filter(|row| seen.insert(row.unit.as_str())) {
            *splits.entry(row.split.map_or("neither", Split::name)).or_default() += 1;
        }
        let session =
            |row: &crate::gold::GoldRow| row.session.clone().unwrap_or_else(|| row.unit.session().to_string());
        GoldFacts {
            path: gold.path.clone(),
            hash: gold.hash.clone(),
            units: seen.len(),
            sessions: gold.rows.iter().map(session).collect::<BTreeSet<String>>().len(),
            raters: gold.raters().into_iter().map(|rater| (rater.to_owned(), count(rater))).collect(),
            splits,
            probabilities: gold.adjudicated().next().is_some()
                && gold.adjudicated().all(|row| row.probability.is_some()),
        }
    }
}
