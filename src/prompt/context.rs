//! What templates know: takes codebook, session, unit and material, gives the variables.

use super::BRANCH;
use crate::codebook::{Codebook, FieldKind, UnitKind};
use crate::material::Material;
use crate::session::{Channel, EventBody, Session, ToolOutcome};
use crate::unit::Unit;
use serde::Serialize;
use serde_json::json;
use std::borrow::Cow;
use std::collections::BTreeMap;

/// The variables that a template may use.
pub(super) fn provided(unit: UnitKind) -> Vec<&'static str> {
    let about: &[&str] = match unit {
        UnitKind::Session => &["session"],
        UnitKind::Prompt => &["target", "targets"],
    };
    [&["task", "title", "fields", "field", "material"], about].concat()
}

/// What a template knows of the codebook itself.
pub(super) fn static_context(codebook: &Codebook) -> serde_json::Value {
    let fields: Vec<serde_json::Value> = codebook
        .fields
        .iter()
        .map(|field| {
            let mut value = json!({
                "name": field.name,
                "type": field.kind.name(),
                "description": field.description,
                "optional": field.optional,
            });
            match &field.kind {
                FieldKind::Label(labels) | FieldKind::Labels(labels) => {
                    value["labels"] = labels
                        .labels
                        .iter()
                        .map(|label| json!({ "name": label.name, "definition": label.definition, "examples": label.examples }))
                        .collect();
                }
                FieldKind::Score(score) => {
                    value["min"] = score.min.into();
                    value["max"] = score.max.into();
                    value["bands"] = score
                        .bands
                        .iter()
                        .map(|band| json!({ "from": band.from, "to": band.to, "definition": band.definition }))
                        .collect();
                }
                FieldKind::Shares(parts) => {
                    value["parts"] =
                        parts.iter().map(|part| json!({ "name": part.name, "definition": part.definition })).collect();
                }
                FieldKind::Criteria(criteria) => {
                    value["criteria"] = criteria
                        .iter()
                        .map(|criterion| json!({ "name": criterion.name, "definition": criterion.definition }))
                        .collect();
                }
                FieldKind::Number | FieldKind::Flag { .. } | FieldKind::Text | FieldKind::Evidence => {}
            }
            value
        })
        .collect();
    let by_name: serde_json::Map<String, serde_json::Value> =
        codebook.fields.iter().map(|field| field.name.clone()).zip(fields.iter().cloned()).collect();
    json!({ "task": codebook.task, "title": codebook.title, "fields": fields, "field": by_name })
}

/// What a template knows of the unit. A prompt's context says nothing of the whole session, which would tell the future.
pub(super) fn unit_context(
    codebook: &Codebook,
    session: &Session,
    unit: &Unit,
    material: &Material,
) -> serde_json::Value {
    let mut context = of_material(material);
    match (codebook.unit, unit.prompt) {
        (UnitKind::Prompt, Some(prompt)) => {
            context["target"] = json!({ "event": prompt.event, "channel": prompt.channel });
        }
        _ => context["session"] = json!(SessionContext::of(session)),
    }
    context
}

/// What a template knows of several prompts at once. Where it speaks of one, it speaks of event N, and the group's own text says what that
/// stands for: so that a codebook can be used as it is.
pub(super) fn group_context(units: &[Unit], material: &Material) -> serde_json::Value {
    let mut context = of_material(material);
    let targets = units.iter().filter_map(|unit| unit.prompt);
    context["targets"] = targets.map(|prompt| json!({ "event": prompt.event, "channel": prompt.channel })).collect();
    context["target"] = json!({ "event": "N", "channel": Channel::Typed });
    context
}

fn of_material(material: &Material) -> serde_json::Value {
    // In a request for a single unit the list of targets is empty, which a template takes for false.
    json!({
        "material": { "open": material.open, "close": material.close, "text": branched(material) },
        "targets": [],
    })
}

/// The material's text with a [`BRANCH`] at each of its branches.
fn branched(material: &Material) -> Cow<'_, str> {
    if material.branches.is_empty() {
        return Cow::Borrowed(&material.text);
    }
    let mut text = String::with_capacity(material.text.len() + material.branches.len());
    let mut from = 0;
    for &branch in &material.branches {
        text.push_str(&material.text[from..branch]);
        text.push(BRANCH);
        from = branch;
    }
    text.push_str(&material.text[from..]);
    Cow::Owned(text)
}

#[derive(Serialize)]
struct SessionContext {
    agent: &'static str,
    models: Vec<String>,
    prompts: usize,
    interruptions: usize,
    rejected_tools: usize,
    tool_calls: usize,
    failed_tool_calls: usize,
    categories: Vec<Count>,
    top_tools: Vec<Count>,
    commits: Vec<Commit>,
    wall_minutes: f64,
    active_minutes: f64,
}

#[derive(Serialize)]
struct Count {
    name: String,
    count: usize,
}

#[derive(Serialize)]
struct Commit {
    hash: String,
    subject: String,
}

impl SessionContext {
    fn of(session: &Session) -> SessionContext {
        let mut categories: BTreeMap<String, usize> = BTreeMap::new();
        let mut tools: BTreeMap<String, usize> = BTreeMap::new();
        for (_, call) in session.tool_calls() {
            *categories.entry(call.category.name().to_owned()).or_default() += 1;
            *tools.entry(one_line(&call.name, 40)).or_default() += 1;
        }
        let interruptions =
            session.events.iter().filter(|event| matches!(event.body, EventBody::Interruption { .. })).count();
        let minutes = |seconds: f64| (seconds / 6.0).round() / 10.0;
        SessionContext {
            agent: session.agent.name(),
            models: session.models.iter().map(|model| one_line(model, 60)).collect(),
            prompts: session.prompts().count(),
            interruptions,
            rejected_tools: session.outcomes(ToolOutcome::Rejected),
            tool_calls: session.tool_calls().count(),
            failed_tool_calls: session.outcomes(ToolOutcome::Failed),
            categories: most_first(categories, usize::MAX),
            top_tools: most_first(tools, 8),
            commits: session
                .commits()
                .map(|(hash, subject)| Commit { hash: one_line(hash, 12), subject: one_line(subject, 120) })
                .collect(),
            wall_minutes: minutes(session.wall_seconds()),
            active_minutes: minutes(session.active_seconds),
        }
    }
}

/// Foreign text outside the fence is kept to one short line.
fn one_line(text: &str, limit: usize) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(limit).collect()
}

fn most_first(counts: BTreeMap<String, usize>, limit: usize) -> Vec<Count> {
    let mut counts: Vec<Count> = counts.into_iter().map(|(name, count)| Count { name, count }).collect();
    counts.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| a.name.cmp(&b.name)));
    counts.truncate(limit);
    counts
}
