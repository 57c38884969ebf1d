//! Reads a codebook's text strictly: TOML front matter, then the template. Every error points at its line.

use super::{
    Band, Block, Codebook, CodebookHash, Collapse, Criterion, CuePlace, Field, FieldKind, Label, Labels, Part, Score,
    ScoreCue, Sees, UnitKind,
};
use crate::session::ToolCategory;
use crate::source_error::SourceError;
use miette::Diagnostic;
use regex::Regex;
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::path::{Path, PathBuf};
use toml::Spanned;

/// Why a codebook cannot be used.
#[derive(Debug, thiserror::Error, Diagnostic)]
pub enum CodebookError {
    /// The file or folder cannot be read.
    #[error("cannot read {path}: {source}", path = path.display())]
    #[diagnostic(help(
        "`interrater init` writes the shipped codebooks; [paths] prompts in config.toml says where they are looked for"
    ))]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// No codebook has this name.
    #[error("there is no codebook for task `{task}` in {place}")]
    #[diagnostic(help("known tasks: {known}"))]
    UnknownTask {
        /// The name asked for.
        task: String,
        /// Where it was looked for.
        place: String,
        /// The names that there are.
        known: String,
    },
    /// A partial template is wrong.
    #[error("{name}:{line}: {message}")]
    #[diagnostic(help("a partial template may use what the codebooks that include it may use"))]
    Partial {
        /// The file's name in the prompts folder.
        name: String,
        /// The line, from 1.
        line: usize,
        /// What is wrong.
        message: String,
    },
    /// Something in the file is wrong.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Invalid(Box<SourceError>),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawCodebook {
    task: Spanned<String>,
    title: String,
    unit: UnitKind,
    sees: Spanned<Sees>,
    group: Option<Spanned<bool>>,
    #[serde(default)]
    field: Vec<Spanned<RawField>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawField {
    name: Spanned<String>,
    #[serde(rename = "type")]
    kind: Spanned<String>,
    #[serde(default)]
    description: String,
    #[serde(default)]
    optional: bool,
    #[serde(default)]
    level: Option<Level>,
    min: Option<i64>,
    max: Option<i64>,
    start: Option<i64>,
    #[serde(default)]
    cues: Vec<Spanned<String>>,
    #[serde(default)]
    label: Vec<RawLabel>,
    #[serde(default)]
    collapse: Vec<RawCollapse>,
    #[serde(default)]
    band: Vec<RawBand>,
    #[serde(default)]
    cue: Vec<RawScoreCue>,
    #[serde(default)]
    part: Vec<RawPart>,
    #[serde(default)]
    criterion: Vec<RawCriterion>,
}

#[derive(Deserialize, Clone, Copy, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
enum Level {
    Nominal,
    Ordinal,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawLabel {
    name: Spanned<String>,
    definition: String,
    #[serde(default)]
    examples: Vec<String>,
    #[serde(default)]
    cues: Vec<Spanned<String>>,
    #[serde(default)]
    aliases: Vec<Spanned<String>>,
    value: Option<Spanned<f64>>,
    #[serde(default)]
    missing: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawCollapse {
    name: Spanned<String>,
    map: Spanned<BTreeMap<String, String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawBand {
    from: i64,
    to: i64,
    definition: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawScoreCue {
    pattern: Spanned<String>,
    add: i64,
    #[serde(default, rename = "in")]
    place: CuePlace,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawPart {
    name: Spanned<String>,
    definition: String,
    #[serde(default)]
    tools: Vec<ToolCategory>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawCriterion {
    name: Spanned<String>,
    definition: String,
}

/// The file being read, for errors that point into it.
struct Source<'a> {
    path: &'a Path,
    text: &'a str,
    /// Where the front matter begins in `text`.
    front: usize,
}

impl Source<'_> {
    /// An error at `span` of the whole text.
    fn error(&self, span: Range<usize>, message: impl Into<String>, help: Option<String>) -> CodebookError {
        CodebookError::Invalid(SourceError::new(self.path, self.text, span, message, help))
    }

    /// An error at `span` of the front matter.
    fn front_error(&self, span: Range<usize>, message: impl Into<String>, help: Option<&str>) -> CodebookError {
        self.error(self.front + span.start..self.front + span.end, message, help.map(str::to_owned))
    }

    fn cues(&self, cues: &[Spanned<String>]) -> Result<Vec<Regex>, CodebookError> {
        cues.iter().map(|cue| self.pattern(cue)).collect()
    }

    fn pattern(&self, cue: &Spanned<String>) -> Result<Regex, CodebookError> {
        Regex::new(cue.get_ref()).map_err(|error| {
            let reason = error.to_string();
            let last = reason.lines().last().unwrap_or_default().trim().to_owned();
            self.front_error(cue.span(), format!("this cue is no regular expression: {last}"), None)
        })
    }

    fn unique<'n>(&self, what: &str, names: impl Iterator<Item = &'n Spanned<String>>) -> Result<(), CodebookError> {
        let mut seen = BTreeSet::new();
        for name in names {
            if name.get_ref().is_empty() {
                return Err(self.front_error(name.span(), format!("a {what} needs a name"), None));
            }
            if !seen.insert(name.get_ref().as_str()) {
                let message = format!("duplicate {what} `{}`", name.get_ref());
                return Err(self.front_error(
                    name.span(),
                    message,
                    Some("each name may stand once; remove or rename one"),
                ));
            }
        }
        Ok(())
    }
}

/// Reads one codebook.
pub(super) fn parse(path: &Path, text: &str, partials: &BTreeMap<String, String>) -> Result<Codebook, CodebookError> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut source = Source { path, text, front: 0 };
    let (front, template_start) = front_matter(&source)?;
    source.front = front.start;
    let raw: RawCodebook = toml::from_str(&text[front.clone()]).map_err(|error| {
        let span = error.span().unwrap_or(0..0);
        source.front_error(span, error.message().replace('\n', " "), None)
    })?;
    let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
    if raw.task.get_ref() != stem {
        let message = format!("task = \"{}\" does not match the file name `{stem}.md`", raw.task.get_ref());
        return Err(source.front_error(
            raw.task.span(),
            message,
            Some("a task is found by its file's name: rename one of the two"),
        ));
    }
    check_sees(&source, &raw)?;
    let group = group(&source, &raw)?;
    if raw.field.is_empty() {
        return Err(source.front_error(0..0, "a codebook needs at least one [[field]]", None));
    }
    source.unique("field", raw.field.iter().map(|field| &field.get_ref().name))?;
    let fields = raw.field.iter().map(|field| read_field(&source, field)).collect::<Result<Vec<_>, _>>()?;
    let blocks = blocks(&source, template_start)?;
    Ok(Codebook {
        task: raw.task.into_inner(),
        title: raw.title,
        unit: raw.unit,
        sees: raw.sees.into_inner(),
        group,
        fields,
        blocks,
        text: text.to_owned(),
        path: path.to_owned(),
        hash: hash(text, group == Some(true), partials),
    })
}

/// The span of the front matter and where the template starts.
fn front_matter(source: &Source<'_>) -> Result<(Range<usize>, usize), CodebookError> {
    let help = Some("a codebook begins with TOML between two lines `+++`, then the prompt's template".to_owned());
    let mut offset = 0;
    let mut start = None;
    for line in source.text.split_inclusive('\n') {
        let next = offset + line.len();
        match (line.trim_end(), start) {
            ("+++", None) => start = Some(next),
            ("+++", Some(start)) => return Ok((start..offset, next)),
            ("", None) => {}
            (_, None) => return Err(source.error(offset..next, "expected `+++`", help)),
            _ => {}
        }
        offset = next;
    }
    Err(source.error(offset..offset, "the front matter has no closing `+++`", help))
}

fn check_sees(source: &Source<'_>, raw: &RawCodebook) -> Result<(), CodebookError> {
    let sees = raw.sees.get_ref();
    if sees.max_tokens < 200 {
        let message = format!("max_tokens = {} leaves no room for a transcript", sees.max_tokens);
        return Err(source.front_error(raw.sees.span(), message, Some("200 is the least")));
    }
    Ok(())
}

/// Whether prompts may be asked for together. Sessions never are, so there the key would say nothing.
fn group(source: &Source<'_>, raw: &RawCodebook) -> Result<Option<bool>, CodebookError> {
    match (&raw.group, raw.unit) {
        (None, _) => Ok(None),
        (Some(group), UnitKind::Prompt) => Ok(Some(*group.get_ref())),
        (Some(group), UnitKind::Session) => Err(source.front_error(
            group.span(),
            "`group` is for tasks whose unit is a prompt",
            Some("each session has a request of its own: remove the line"),
        )),
    }
}

fn read_field(source: &Source<'_>, field: &Spanned<RawField>) -> Result<Field, CodebookError> {
    let raw = field.get_ref();
    let name = raw.name.get_ref();
    if !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
        return Err(source.front_error(
            raw.name.span(),
            format!("`{name}` is no field name"),
            Some("letters, digits and _"),
        ));
    }
    const RESERVED: [&str; 9] =
        ["unit", "rater", "session", "split", "probability", "stratum", "note", "date", "sample"];
    if RESERVED.contains(&name.as_str()) {
        let message = format!("`{name}` is a column of its own in gold files and rows");
        return Err(source.front_error(raw.name.span(), message, Some("give the field another name")));
    }
    let kind = match raw.kind.get_ref().as_str() {
        "label" => FieldKind::Label(read_labels(source, raw)?),
        "labels" => FieldKind::Labels(read_labels(source, raw)?),
        "score" => FieldKind::Score(read_score(source, raw)?),
        "number" => FieldKind::Number,
        "flag" => FieldKind::Flag { cues: source.cues(&raw.cues)? },
        "text" => FieldKind::Text,
        "shares" => FieldKind::Shares(read_parts(source, raw)?),
        "evidence" => FieldKind::Evidence,
        "criteria" => FieldKind::Criteria(read_criteria(source, raw)?),
        other => {
            let help = "types: label, labels, score, number, flag, text, shares, evidence, criteria";
            return Err(source.front_error(raw.kind.span(), format!("unknown field type `{other}`"), Some(help)));
        }
    };
    check_keys(source, field, &kind)?;
    Ok(Field { name: name.clone(), kind, description: raw.description.clone(), optional: raw.optional })
}

/// Refuses keys that belong to another type of field: they would be ignored silently.
fn check_keys(source: &Source<'_>, field: &Spanned<RawField>, kind: &FieldKind) -> Result<(), CodebookError> {
    let raw = field.get_ref();
    let labelled = matches!(kind, FieldKind::Label(_) | FieldKind::Labels(_));
    let scored = matches!(kind, FieldKind::Score(_));
    let misplaced = [
        ("label", !raw.label.is_empty() && !labelled),
        ("collapse", !raw.collapse.is_empty() && !labelled),
        ("level", raw.level.is_some() && !labelled),
        ("min", raw.min.is_some() && !scored),
        ("max", raw.max.is_some() && !scored),
        ("start", raw.start.is_some() && !scored),
        ("band", !raw.band.is_empty() && !scored),
        ("cue", !raw.cue.is_empty() && !scored),
        ("cues", !raw.cues.is_empty() && !matches!(kind, FieldKind::Flag { .. })),
        ("part", !raw.part.is_empty() && !matches!(kind, FieldKind::Shares(_))),
        ("criterion", !raw.criterion.is_empty() && !matches!(kind, FieldKind::Criteria(_))),
    ];
    match misplaced.iter().find(|(_, wrong)| *wrong) {
        None => Ok(()),
        Some((key, _)) => {
            let message = format!("field `{}` of type {} takes no `{key}`", raw.name.get_ref(), kind.name());
            Err(source.front_error(raw.name.span(), message, None))
        }
    }
}

fn read_labels(source: &Source<'_>, raw: &RawField) -> Result<Labels, CodebookError> {
    source.unique("label", raw.label.iter().map(|label| &label.name))?;
    let names = raw.label.iter().flat_map(|label| std::iter::once(&label.name).chain(&label.aliases));
    source.unique("label or alias", names)?;
    if raw.label.len() < 2 {
        let message = format!("field `{}` declares {} labels", raw.name.get_ref(), raw.label.len());
        return Err(source.front_error(
            raw.name.span(),
            message,
            Some("an annotation needs at least two [[field.label]]"),
        ));
    }
    let labels = raw
        .label
        .iter()
        .map(|label| {
            Ok(Label {
                name: label.name.get_ref().clone(),
                definition: label.definition.clone(),
                examples: label.examples.clone(),
                cues: source.cues(&label.cues)?,
                aliases: label.aliases.iter().map(|alias| alias.get_ref().clone()).collect(),
                value: label.value.as_ref().map(|value| *value.get_ref()),
                missing: label.missing,
            })
        })
        .collect::<Result<Vec<_>, CodebookError>>()?;
    check_values(source, raw)?;
    source.unique("collapse", raw.collapse.iter().map(|collapse| &collapse.name))?;
    let mut collapses = Vec::new();
    for collapse in &raw.collapse {
        let map = collapse.map.get_ref();
        if let Some(unknown) = map.keys().find(|from| !labels.iter().any(|label| label.name == **from)) {
            let message = format!("collapse `{}` maps `{unknown}`, which is no label", collapse.name.get_ref());
            return Err(source.front_error(collapse.map.span(), message, None));
        }
        if map.values().collect::<BTreeSet<_>>().len() < 2 {
            let message = format!("collapse `{}` leaves fewer than two labels", collapse.name.get_ref());
            return Err(source.front_error(collapse.map.span(), message, None));
        }
        collapses.push(Collapse { name: collapse.name.get_ref().clone(), map: map.clone() });
    }
    Ok(Labels { labels, ordinal: raw.level == Some(Level::Ordinal), collapses })
}

/// Values are the labels' places on a scale: all labels that are answers have one, or none has, and they rise with the order.
fn check_values(source: &Source<'_>, raw: &RawField) -> Result<(), CodebookError> {
    let answers: Vec<&RawLabel> = raw.label.iter().filter(|label| !label.missing).collect();
    if answers.len() < 2 {
        let message = format!("field `{}` has {} labels that are not `missing`", raw.name.get_ref(), answers.len());
        return Err(source.front_error(raw.name.span(), message, Some("at least two labels have to be answers")));
    }
    let Some(first) = raw.label.iter().find_map(|label| label.value.as_ref()) else { return Ok(()) };
    if raw.level != Some(Level::Ordinal) || raw.kind.get_ref() != "label" {
        let help =
            "values are the places of ordered labels: add level = \"ordinal\" to a field of type label, or remove them";
        return Err(source.front_error(first.span(), "this field's labels have no order", Some(help)));
    }
    for label in &answers {
        match &label.value {
            None => {
                let message = format!("label `{}` has no value, though others have one", label.name.get_ref());
                return Err(source.front_error(label.name.span(), message, Some("give every label a value, or none")));
            }
            Some(value) if !value.get_ref().is_finite() => {
                return Err(source.front_error(value.span(), "a value is a finite number", None));
            }
            Some(_) => {}
        }
    }
    for (one, next) in answers.iter().zip(&answers[1..]) {
        if let (Some(low), Some(high)) = (&one.value, &next.value)
            && low.get_ref() >= high.get_ref()
        {
            let message =
                format!("`{}` does not have a higher value than `{}`", next.name.get_ref(), one.name.get_ref());
            return Err(source.front_error(
                high.span(),
                message,
                Some("labels stand from the lowest value to the highest"),
            ));
        }
    }
    Ok(())
}

fn read_score(source: &Source<'_>, raw: &RawField) -> Result<Score, CodebookError> {
    let (min, max) = (raw.min.unwrap_or(0), raw.max.unwrap_or(100));
    let wrong = |message: String| Err(source.front_error(raw.name.span(), message, None));
    if min >= max {
        return wrong(format!("min = {min} is not below max = {max}"));
    }
    if let Some(start) = raw.start.filter(|start| !(min..=max).contains(start)) {
        return wrong(format!("start = {start} is outside {min} to {max}"));
    }
    if let Some(band) = raw.band.iter().find(|band| band.from > band.to || band.from < min || band.to > max) {
        return wrong(format!("band {} to {} is not within {min} to {max}", band.from, band.to));
    }
    let cues = raw
        .cue
        .iter()
        .map(|cue| Ok(ScoreCue { pattern: source.pattern(&cue.pattern)?, add: cue.add, place: cue.place }))
        .collect::<Result<Vec<_>, CodebookError>>()?;
    let bands = raw
        .band
        .iter()
        .map(|band| Band { from: band.from, to: band.to, definition: band.definition.clone() })
        .collect();
    Ok(Score { min, max, bands, start: raw.start, cues })
}

fn read_parts(source: &Source<'_>, raw: &RawField) -> Result<Vec<Part>, CodebookError> {
    source.unique("part", raw.part.iter().map(|part| &part.name))?;
    if raw.part.len() < 2 {
        let help = "a whole needs at least two [[field.part]]";
        return Err(source.front_error(raw.name.span(), "too few parts", Some(help)));
    }
    Ok(raw
        .part
        .iter()
        .map(|part| Part {
            name: part.name.get_ref().clone(),
            definition: part.definition.clone(),
            tools: part.tools.clone(),
        })
        .collect())
}

fn read_criteria(source: &Source<'_>, raw: &RawField) -> Result<Vec<Criterion>, CodebookError> {
    source.unique("criterion", raw.criterion.iter().map(|criterion| &criterion.name))?;
    if raw.criterion.is_empty() {
        return Err(source.front_error(raw.name.span(), "criteria need at least one [[field.criterion]]", None));
    }
    Ok(raw
        .criterion
        .iter()
        .map(|criterion| Criterion { name: criterion.name.get_ref().clone(), definition: criterion.definition.clone() })
        .collect())
}

/// The template's top-level blocks, in order. Text outside them would never be sent, so it is refused.
fn blocks(source: &Source<'_>, template_start: usize) -> Result<Vec<Block>, CodebookError> {
    let tag = Regex::new(r"(?s)\{#.*?#\}|\{%-?\s*(?:block\s+(\w+)|endblock)[^%]*%\}").expect("a valid pattern");
    let mut blocks: Vec<Block> = Vec::new();
    let mut open: Vec<(String, Range<usize>)> = Vec::new();
    let mut outside_from = template_start;
    let stray = |from: usize, to: usize| {
        let text = &source.text[from..to];
        let start = from + text.len() - text.trim_start().len();
        match text.trim() {
            "" => Ok(()),
            text => {
                let message = "this text stands outside every block and would not be sent";
                Err(source.error(start..start + text.len(), message, None))
            }
        }
    };
    for found in tag.captures_iter(&source.text[template_start..]) {
        let Some(whole) = found.get(0) else { continue };
        let whole_span = template_start + whole.start()..template_start + whole.end();
        if open.is_empty() {
            stray(outside_from, whole_span.start)?;
            outside_from = whole_span.end;
        }
        if let Some(name) = found.get(1) {
            open.push((name.as_str().to_owned(), whole_span));
        } else if !whole.as_str().starts_with("{#") {
            let Some((name, tag)) = open.pop() else {
                return Err(source.error(whole_span, "`endblock` without a block", None));
            };
            if open.is_empty() {
                outside_from = whole_span.end;
                if blocks.iter().any(|block| block.name == name) {
                    return Err(source.error(tag, format!("duplicate block `{name}`"), None));
                }
                blocks.push(Block { name, span: tag.end..whole_span.start });
            }
        }
    }
    if let Some((name, tag)) = open.pop() {
        return Err(source.error(tag, format!("block `{name}` has no `endblock`"), None));
    }
    stray(outside_from, source.text.len())?;
    if blocks.is_empty() {
        let help = "write `{% block material %}…{% endblock %}` and `{% block instructions %}…{% endblock %}`";
        return Err(source.error(template_start..template_start, "the template has no block", Some(help.to_owned())));
    }
    Ok(blocks)
}

/// An error at `span` of a codebook's text, found after it was read.
pub fn error_at(codebook: &Codebook, span: Range<usize>, message: String, help: Option<String>) -> CodebookError {
    Source { path: &codebook.path, text: &codebook.text, front: 0 }.error(span, message, help)
}

/// The version: the text and every partial that it names, line ends made equal; with what a grouped request says, where there may be any.
fn hash(text: &str, may_group: bool, partials: &BTreeMap<String, String>) -> CodebookHash {
    let mut hasher = blake3::Hasher::new();
    let mut add = |part: &str| {
        let part = part.replace("\r\n", "\n");
        hasher.update(&(part.len() as u64).to_le_bytes());
        hasher.update(part.as_bytes());
    };
    add(text);
    let mut pending: Vec<&str> = vec![text];
    let mut seen = BTreeSet::new();
    while let Some(text) = pending.pop() {
        for (name, partial) in partials {
            let is_said = text.contains(name.as_str()) || may_group && name == super::group::PARTIAL;
            if is_said && seen.insert(name) {
                add(name);
                add(partial);
                pending.push(partial);
            }
        }
    }
    CodebookHash(hasher.finalize().to_hex().to_string())
}
