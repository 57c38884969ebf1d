//! Where the numbers come from: codebook, gold, and every run's manifest.

use super::parts::{Cell, Names, facts, folded, table};
use crate::dossier::TaskDossier;
use crate::dossier::run::RunDossier;
use crate::markup::{Markup, tag};
use crate::report::plural;
use crate::run::FileVersion;

/// Inputs that are listed; a hash stands for all of them.
const MOST_INPUTS: usize = 40;

/// The section.
pub fn inside(task: &TaskDossier, names: &Names) -> Markup {
    let mut rows = vec![
        ("codebook", format!("{} · blake3 {}", task.codebook.path.display(), task.codebook.hash)),
        (
            "fields",
            task.codebook
                .fields
                .iter()
                .map(|field| format!("{} ({})", field.name, field.kind))
                .collect::<Vec<_>>()
                .join(", "),
        ),
    ];
    match &task.gold {
        None => rows.push(("gold", "none".to_owned())),
        Some(gold) => {
            rows.push(("gold", format!("{} · blake3 {}", gold.path.display(), gold.hash)));
            let splits: Vec<String> = gold.splits.iter().map(|(split, units)| format!("{units} {split}")).collect();
            rows.push(("splits", format!("{} units", splits.join(", "))));
            let drawn = if gold.probabilities { "recorded of every adjudicated unit" } else { "not recorded" };
            rows.push(("probabilities", drawn.to_owned()));
        }
    }
    let mut made = facts(rows);
    made.push(definitions(task));
    made.push(task.runs.iter().map(|run| of_run(run, names)).collect::<Markup>());
    made
}

fn definitions(task: &TaskDossier) -> Markup {
    let rows: Vec<Vec<Cell>> = (task.codebook.fields.iter())
        .flat_map(|field| field.labels.iter().map(move |(name, definition)| (field, name, definition)))
        .map(|(field, name, definition)| {
            vec![Cell::text(name.as_str()), Cell::text(field.name.as_str()), Cell::text(definition.as_str())]
        })
        .collect();
    if rows.is_empty() {
        return Markup::default();
    }
    folded("What the labels mean", table("Labels and their definitions", &["label", "field", "definition"], rows))
        .into()
}

fn of_run(run: &RunDossier, names: &Names) -> Markup {
    let manifest = &run.manifest;
    let settings = &manifest.settings;
    let said = |value: Option<String>| value.unwrap_or_else(|| "as the model has it".to_owned());
    let mut rows = vec![
        ("run", manifest.run.clone()),
        ("rater", manifest.rater.clone()),
        ("model", manifest.model.clone()),
        ("endpoint", manifest.endpoint.clone().unwrap_or_else(|| "none".to_owned())),
        ("codebook", format!("{} · blake3 {}", manifest.codebook.path.display(), manifest.codebook.hash)),
        ("program", manifest.program.clone()),
        ("time", format!("{} to {}", manifest.started, manifest.finished)),
        ("complete", if manifest.complete { "every unit has a row" } else { "no" }.to_owned()),
        ("temperature", said(settings.temperature.map(|t| t.to_string()))),
        ("output limit", said(settings.max_output_tokens.map(|tokens| format!("{tokens} tokens")))),
        ("samples", settings.samples.to_string()),
        ("sessions", if settings.redacted { "redacted" } else { "as they are" }.to_owned()),
        (
            "inputs",
            format!(
                "{} · blake3 of their hashes {}",
                plural(manifest.inputs.len() as u64, "file"),
                together(&manifest.inputs)
            ),
        ),
    ];
    rows.extend(settings.filter.iter().map(|filter| ("only", filter.clone())));
    rows.extend(settings.limit.map(|limit| ("limit", format!("{limit} units"))));
    rows.extend(settings.shuffle.map(|seed| ("drawn with seed", seed.to_string())));
    rows.extend(settings.shard.map(|shard| ("shard", shard.to_string())));
    rows.extend(settings.group.map(|group| ("asked together", format!("prompts of a {}", group.name()))));
    rows.extend(manifest.notes.iter().map(|note| ("note", note.clone())));
    let shown = manifest.inputs.iter().take(MOST_INPUTS);
    let inputs = shown.map(|input| {
        let commit = input.commit.as_deref().unwrap_or("–").to_owned();
        vec![Cell::text(input.path.display().to_string()), Cell::text(input.hash.as_str()), Cell::text(commit)]
    });
    let count = manifest.inputs.len();
    let title = match count > MOST_INPUTS {
        true => format!("The first {MOST_INPUTS} of {count} inputs; all are in the run’s manifest.json"),
        false => format!("{} as read", plural(count as u64, "input")),
    };
    let inside: Markup =
        [facts(rows), folded("Inputs", table(&title, &["file", "blake3", "commit"], inputs.collect())).into()]
            .into_iter()
            .collect();
    tag("details").child(tag("summary").text(format!("Run of {}", names.get(&run.rater)))).child(inside).into()
}

/// A hash that stands for all inputs, in their order.
fn together(inputs: &[FileVersion]) -> String {
    let mut hasher = blake3::Hasher::new();
    for input in inputs {
        hasher.update(input.hash.as_bytes());
        hasher.update(b"\n");
    }
    hasher.finalize().to_hex()[..16].to_owned()
}
