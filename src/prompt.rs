//! From a codebook's template and a unit's material to the messages that a model gets.
//!
//! The blocks of the template become the user's turn, in the file's order; a block named `system` becomes the system text. Each block
//! is a part of the turn, and the block that holds the material is as many parts as there are places where the materials of a session's
//! units part ways: so that what requests share is made of whole parts, behind each of which a provider can be asked to keep what it has
//! read.

use crate::codebook::{Codebook, CodebookError, FieldKind, Library, UnitKind, error_at, schema::answer_schema};
use crate::llm::{AnswerSchema, Part, Request, Role, Turn};
use crate::material::Material;
use crate::session::{EventBody, Session, ToolOutcome};
use crate::unit::Unit;
use minijinja::syntax::SyntaxConfig;
use minijinja::value::Serde;
use minijinja::{Environment, UndefinedBehavior, Value};
use serde::Serialize;
use serde_json::json;
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Stands in the material's text where other units may go on in another way, while templates are rendered. No foreign text holds it:
/// control characters are taken out of transcripts.
const BRANCH: char = '\u{1e}';

/// Steps that one template may take; a template that loops over its own output ends here, not never.
const FUEL: u64 = 50_000_000;

/// What a model is asked, independent of the model.
#[derive(Debug, Clone, PartialEq)]
pub struct Prompt {
    /// Text of the `system` block, if the codebook has one.
    pub system: Option<String>,
    /// The other blocks, in order.
    pub parts: Vec<Part>,
    /// The form of the answer.
    pub schema: AnswerSchema,
}

impl Prompt {
    /// All that a model reads, but for the schema.
    pub fn text(&self) -> String {
        let system = self.system.iter().flat_map(|system| [system.as_str(), "\n\n"]);
        system.chain(self.parts.iter().map(|part| part.text.as_str())).collect()
    }

    /// The request that asks `model` this.
    pub fn request(
        &self,
        model: &str,
        temperature: Option<f64>,
        max_output_tokens: Option<u32>,
        sample: u32,
    ) -> Request {
        Request {
            model: model.to_owned(),
            system: self.system.clone(),
            turns: vec![Turn { role: Role::User, parts: self.parts.clone() }],
            schema: self.schema.clone(),
            temperature,
            max_output_tokens,
            sample,
        }
    }
}

/// Renders prompts. Made once, shared by all workers.
#[derive(Debug)]
pub struct Prompter {
    environment: Environment<'static>,
    /// What of the context depends on the codebook alone, by task.
    codebooks: BTreeMap<String, (Arc<Codebook>, Value, AnswerSchema)>,
}

impl Prompter {
    /// Compiles the templates of `codebooks`; an error points at the line of the codebook.
    pub fn new<'c>(
        library: &Library,
        codebooks: impl IntoIterator<Item = &'c Codebook>,
    ) -> Result<Prompter, CodebookError> {
        let mut environment = Environment::new();
        environment.set_undefined_behavior(UndefinedBehavior::SemiStrict);
        environment.set_debug(true);
        environment.set_fuel(Some(FUEL));
        let syntax = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build();
        environment.set_syntax(syntax.expect("the standard delimiters do not clash"));
        environment.set_auto_escape_callback(|_| minijinja::AutoEscape::None);
        for (name, text) in library.partials() {
            environment.add_template_owned(name.clone(), text.clone()).map_err(|error| CodebookError::Partial {
                name: name.clone(),
                line: error.line().unwrap_or(1),
                message: reason(&error),
            })?;
        }
        let mut prompter = Prompter { environment, codebooks: BTreeMap::new() };
        for codebook in codebooks {
            prompter.add(codebook)?;
        }
        Ok(prompter)
    }

    fn add(&mut self, codebook: &Codebook) -> Result<(), CodebookError> {
        let codebook = Arc::new(codebook.clone());
        for block in &codebook.blocks {
            let padding = codebook.text[..block.span.start].matches('\n').count();
            // Blank lines before the block make the engine's line numbers those of the file.
            let source = format!("{}{}", "\n".repeat(padding), &codebook.text[block.span.clone()]);
            let name = template_name(&codebook, &block.name);
            self.environment
                .add_template_owned(name.clone(), source)
                .map_err(|error| template_error(&codebook, &block.name, &error))?;
            let template =
                self.environment.get_template(&name).map_err(|error| template_error(&codebook, &block.name, &error))?;
            let provided = provided(codebook.unit);
            let unknown: BTreeSet<String> = template
                .undeclared_variables(false)
                .into_iter()
                .filter(|name| !provided.contains(&name.as_str()))
                .collect();
            if let Some(name) = unknown.first() {
                let inside = &codebook.text[block.span.clone()];
                let at = block.span.start + inside.find(name.as_str()).unwrap_or(0);
                let help = format!("a template of a {} task may use: {}", codebook.unit.name(), provided.join(", "));
                let message = format!("unknown variable `{name}` in block `{}`", block.name);
                return Err(error_at(&codebook, at..at + name.len(), message, Some(help)));
            }
        }
        let context = Value::from(Serde(static_context(&codebook)));
        let schema = answer_schema(&codebook);
        self.codebooks.insert(codebook.task.clone(), (codebook, context, schema));
        Ok(())
    }

    /// The prompt for one unit of `task`.
    pub fn render(
        &self,
        task: &str,
        session: &Session,
        unit: &Unit,
        material: &Material,
    ) -> Result<Prompt, CodebookError> {
        let (codebook, fixed, schema) = self.codebooks.get(task).ok_or_else(|| CodebookError::UnknownTask {
            task: task.to_owned(),
            place: "this run".to_owned(),
            known: self.codebooks.keys().cloned().collect::<Vec<_>>().join(", "),
        })?;
        let varying = Value::from(Serde(context(codebook, session, unit, material)));
        let context = minijinja::context! { ..varying, ..fixed.clone() };
        let mut system = None;
        let mut blocks: Vec<String> = Vec::new();
        for block in &codebook.blocks {
            let text = self
                .environment
                .get_template(&template_name(codebook, &block.name))
                .and_then(|template| template.render(context.clone()))
                .map_err(|error| template_error(codebook, &block.name, &error))?;
            let text = text.trim();
            match text.is_empty() {
                true => {}
                false if block.name == "system" => system = Some(text.replace(BRANCH, "")),
                false => blocks.push(text.to_owned()),
            }
        }
        Ok(Prompt { system, parts: parts(&blocks), schema: schema.clone() })
    }
}

/// The parts of a turn made of these blocks. The last part is a request's own; what ends before it is worth a mark.
fn parts(blocks: &[String]) -> Vec<Part> {
    let mut parts: Vec<Part> = Vec::new();
    for (nth, block) in blocks.iter().enumerate() {
        if let Some(last) = parts.last_mut().filter(|_| nth > 0) {
            last.text.push_str("\n\n");
        }
        let texts = block.split(BRANCH).filter(|text| !text.is_empty());
        parts.extend(texts.map(|text| Part { text: text.to_owned(), cache_mark: true }));
    }
    if let Some(last) = parts.last_mut() {
        last.cache_mark = false;
    }
    parts
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

fn template_name(codebook: &Codebook, block: &str) -> String {
    format!("{}.md/{block}", codebook.task)
}

/// The variables that a template may use.
fn provided(unit: UnitKind) -> Vec<&'static str> {
    let about = match unit {
        UnitKind::Session => "session",
        UnitKind::Prompt => "target",
    };
    vec!["task", "title", "fields", "field", "material", about]
}

fn reason(error: &minijinja::Error) -> String {
    let mut text =
        error.detail().map_or_else(|| error.kind().to_string(), |detail| format!("{}: {detail}", error.kind()));
    let mut cause = std::error::Error::source(error);
    while let Some(inner) = cause {
        text.push_str(&format!(": {inner}"));
        cause = inner.source();
    }
    text
}

fn template_error(codebook: &Codebook, block: &str, error: &minijinja::Error) -> CodebookError {
    let own = error.name().is_none_or(|name| name == template_name(codebook, block));
    if !own {
        return CodebookError::Partial {
            name: error.name().unwrap_or_default().to_owned(),
            line: error.line().unwrap_or(1),
            message: reason(error),
        };
    }
    let line = error.line().unwrap_or(1);
    let start: usize = codebook.text.split_inclusive('\n').take(line.saturating_sub(1)).map(str::len).sum();
    let end = codebook.text[start..].find('\n').map_or(codebook.text.len(), |length| start + length);
    let known = provided(codebook.unit).join(", ");
    error_at(codebook, start..end, reason(error), Some(format!("a template of this task may use: {known}")))
}

/// What a template knows of the codebook itself.
fn static_context(codebook: &Codebook) -> serde_json::Value {
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
fn context(codebook: &Codebook, session: &Session, unit: &Unit, material: &Material) -> serde_json::Value {
    let mut context = json!({
        "material": { "open": material.open, "close": material.close, "text": branched(material) },
    });
    match (codebook.unit, unit.prompt) {
        (UnitKind::Prompt, Some(prompt)) => {
            context["target"] = json!({ "event": prompt.event, "channel": prompt.channel });
        }
        _ => context["session"] = json!(SessionContext::of(session)),
    }
    context
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
