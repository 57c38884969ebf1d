//! From a codebook's template and a unit's material to the messages that a model gets.
//!
//! The blocks of the template become the user's turn, in the file's order; a block named `system` becomes the system text. Each block
//! is a part of the turn, and the block that holds the material is as many parts as there are places where the materials of a session's
//! units part ways: so that what requests share is made of whole parts, behind each of which a provider can be asked to keep what it has
//! read. A prompt for several units ends with the partial template that lists them.

mod context;

use crate::codebook::group::{self, group_schema};
use crate::codebook::schema::answer_schema;
use crate::codebook::{Codebook, CodebookError, Library, error_at};
use crate::llm::{AnswerSchema, Part, Request, Role, Turn, text_of};
use crate::material::Material;
use crate::session::Session;
use crate::unit::Unit;
use context::{group_context, provided, static_context, unit_context};
use minijinja::syntax::SyntaxConfig;
use minijinja::value::Serde;
use minijinja::{Environment, UndefinedBehavior, Value};
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
        text_of(self.system.as_deref(), self.parts.iter())
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
    /// By task.
    codebooks: BTreeMap<String, Fixed>,
}

/// What of a prompt depends on the codebook alone.
#[derive(Debug)]
struct Fixed {
    codebook: Arc<Codebook>,
    context: Value,
    schema: AnswerSchema,
    /// The form of an answer for several prompts.
    group_schema: AnswerSchema,
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
        let (schema, group_schema) = (answer_schema(&codebook), group_schema(&codebook));
        self.codebooks.insert(codebook.task.clone(), Fixed { codebook, context, schema, group_schema });
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
        let fixed = self.fixed(task)?;
        let (system, blocks) = self.blocks(fixed, unit_context(&fixed.codebook, session, unit, material))?;
        Ok(Prompt { system, parts: parts(&blocks), schema: fixed.schema.clone() })
    }

    /// What the template puts behind the material in the same block, such as counts over the session, without the marks of fences; `None`
    /// where there is nothing. A person who labels by the codebook's definitions sees it as a model does.
    pub fn beside(
        &self,
        task: &str,
        session: &Session,
        unit: &Unit,
        material: &Material,
    ) -> Result<Option<String>, CodebookError> {
        let fixed = self.fixed(task)?;
        let (_, blocks) = self.blocks(fixed, unit_context(&fixed.codebook, session, unit, material))?;
        let behind = blocks.iter().find_map(|block| {
            let (_, behind) = block.split_once(&material.open)?;
            behind.split_once(&material.close).map(|(_, behind)| behind.replace(BRANCH, ""))
        });
        let lines = behind.iter().flat_map(|behind| behind.lines());
        let lines: Vec<&str> = lines.filter(|line| *line != material.open && *line != material.close).collect();
        let text = lines.join("\n").trim().to_owned();
        Ok(Some(text).filter(|text| !text.is_empty()))
    }

    /// The prompt for several prompts of `session`, which the material shows as its targets.
    pub fn render_group(&self, task: &str, units: &[Unit], material: &Material) -> Result<Prompt, CodebookError> {
        let fixed = self.fixed(task)?;
        let context = group_context(units, material);
        let (system, mut blocks) = self.blocks(fixed, context.clone())?;
        let last = self
            .environment
            .get_template(group::PARTIAL)
            .and_then(|template| template.render(whole(context, fixed)))
            .map_err(|error| template_error(&fixed.codebook, group::PARTIAL, &error))?;
        blocks.push(last.trim().to_owned());
        Ok(Prompt { system, parts: parts(&blocks), schema: fixed.group_schema.clone() })
    }

    fn fixed(&self, task: &str) -> Result<&Fixed, CodebookError> {
        self.codebooks.get(task).ok_or_else(|| CodebookError::UnknownTask {
            task: task.to_owned(),
            place: "this run".to_owned(),
            known: self.codebooks.keys().cloned().collect::<Vec<_>>().join(", "),
        })
    }

    /// The `system` block and the others, without those that are empty.
    fn blocks(
        &self,
        fixed: &Fixed,
        varying: serde_json::Value,
    ) -> Result<(Option<String>, Vec<String>), CodebookError> {
        let codebook = &fixed.codebook;
        let context = whole(varying, fixed);
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
        Ok((system, blocks))
    }
}

/// All that a template knows.
fn whole(varying: serde_json::Value, fixed: &Fixed) -> Value {
    minijinja::context! { ..Value::from(Serde(varying)), ..fixed.context.clone() }
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

fn template_name(codebook: &Codebook, block: &str) -> String {
    format!("{}.md/{block}", codebook.task)
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
