//! Codebooks: what is asked of a unit. Takes `prompts/<task>.md`, gives fields, labels, collapses, prompt template and hash.
//!
//! A codebook is TOML front matter between `+++` lines, then a minijinja template with named blocks. It is the single source of the
//! prompt, the JSON schema, the validation of answers, the columns of gold and the collapses in the statistics.

pub mod group;
pub mod schema;
mod source;

pub use source::{CodebookError, error_at};

use regex::Regex;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

/// A codebook's version: blake3 of its text and of the partial templates that it includes.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CodebookHash(String);

impl CodebookHash {
    /// The first eight digits, as in names of runs and raters.
    pub fn short(&self) -> &str {
        &self.0[..8]
    }

    /// All 64 hexadecimal digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for CodebookHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A task: what is asked of each unit.
#[derive(Debug, Clone)]
pub struct Codebook {
    /// The task's name, which is the file's.
    pub task: String,
    /// A heading for people.
    pub title: String,
    /// What gets one annotation.
    pub unit: UnitKind,
    /// Which part of a session the rater sees.
    pub sees: Sees,
    /// Whether the definitions can be judged with the whole session in sight, so that one request may ask for several of its prompts;
    /// `None` where the codebook does not say.
    pub group: Option<bool>,
    /// The answer, in the order in which it is to be given.
    pub fields: Vec<Field>,
    /// The blocks of the template, in the order of the file: the order of the message.
    pub blocks: Vec<Block>,
    /// The file's text.
    pub text: String,
    /// Where it was read from.
    pub path: PathBuf,
    /// Its version.
    pub hash: CodebookHash,
}

/// A named block of the template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    /// `material`, `instructions`, `system` or any other name.
    pub name: String,
    /// Where its inside stands in the file's text.
    pub span: std::ops::Range<usize>,
}

/// What gets one annotation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UnitKind {
    /// A whole session.
    Session,
    /// One prompt of a human.
    Prompt,
}

impl UnitKind {
    /// `session` or `prompt`.
    pub fn name(self) -> &'static str {
        match self {
            UnitKind::Session => "session",
            UnitKind::Prompt => "prompt",
        }
    }
}

/// Which part of a session a rater sees, and where it is cut if it is too long.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sees {
    /// For prompts: how much of what came before.
    #[serde(default)]
    pub before: Before,
    /// For prompts: what came after. There is one answer, written down so that it can be read.
    #[serde(default)]
    pub after: After,
    /// How much of each tool result.
    #[serde(default)]
    pub tool_results: Amount,
    /// How much of each tool call's arguments.
    #[serde(default)]
    pub tool_calls: Amount,
    /// Whether each event carries the time since the session's start.
    #[serde(default)]
    pub times: bool,
    /// Where events are left out when the material is longer than `max_tokens`; by default the start for prompts, the middle for
    /// sessions.
    #[serde(default)]
    pub cut: Option<Cut>,
    /// Limit of the material, in estimated tokens.
    #[serde(default = "default_max_tokens")]
    pub max_tokens: u64,
}

fn default_max_tokens() -> u64 {
    24_000
}

/// How much of what came before a prompt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Before {
    /// Everything.
    #[default]
    All,
    /// From the human's previous prompt on.
    Recent,
    /// Nothing: the prompt alone.
    Nothing,
}

/// What came after a prompt: never shown to a rater who is asked for this prompt alone, because a label must not know the future. Where prompts
/// are asked for together, [`Codebook::group`] allowed it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum After {
    /// Nothing.
    #[default]
    Nothing,
}

/// How much of a text is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Amount {
    /// All of it.
    Full,
    /// Its beginning and its end.
    #[default]
    Head,
    /// Only that it was there.
    None,
}

/// Where events are left out when there are too many.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cut {
    /// The oldest, except for the session's first prompt.
    Start,
    /// Between the beginning and the end.
    Middle,
}

/// One answer of a task.
#[derive(Debug, Clone)]
pub struct Field {
    /// Its name in answers, rows and gold columns.
    pub name: String,
    /// What it holds.
    pub kind: FieldKind,
    /// What the rater is told about it.
    pub description: String,
    /// Whether `null` is an answer.
    pub optional: bool,
}

/// What a field holds.
#[derive(Debug, Clone)]
pub enum FieldKind {
    /// One of the labels.
    Label(Labels),
    /// Any number of the labels.
    Labels(Labels),
    /// A whole number within bounds.
    Score(Score),
    /// Any number.
    Number,
    /// True or false.
    Flag {
        /// Cues of the built-in baseline.
        cues: Vec<Regex>,
    },
    /// Free text.
    Text,
    /// Parts of a whole, in percent, that sum to 100.
    Shares(Vec<Part>),
    /// Events with quotes that support the answer; checked against the transcript.
    Evidence,
    /// A list of criteria, each met or not.
    Criteria(Vec<Criterion>),
}

impl FieldKind {
    /// The name of the type in a codebook.
    pub fn name(&self) -> &'static str {
        match self {
            FieldKind::Label(_) => "label",
            FieldKind::Labels(_) => "labels",
            FieldKind::Score(_) => "score",
            FieldKind::Number => "number",
            FieldKind::Flag { .. } => "flag",
            FieldKind::Text => "text",
            FieldKind::Shares(_) => "shares",
            FieldKind::Evidence => "evidence",
            FieldKind::Criteria(_) => "criteria",
        }
    }

    /// Whether raters can agree or disagree on it in numbers; text and evidence only explain.
    pub fn is_measured(&self) -> bool {
        !matches!(self, FieldKind::Text | FieldKind::Evidence)
    }
}

/// The labels of a field.
#[derive(Debug, Clone)]
pub struct Labels {
    /// In the order of the file, which is the order of an ordinal scale.
    pub labels: Vec<Label>,
    /// Whether the order carries meaning.
    pub ordinal: bool,
    /// Maps to fewer labels, declared before anyone saw a confusion matrix.
    pub collapses: Vec<Collapse>,
}

impl Labels {
    /// The names, in order.
    pub fn names(&self) -> Vec<String> {
        self.labels.iter().map(|label| label.name.clone()).collect()
    }

    /// The labels that are answers, without those that say that there is none.
    pub fn answers(&self) -> impl Iterator<Item = &Label> {
        self.labels.iter().filter(|label| !label.missing)
    }

    /// The values of the labels that are answers, where they are declared.
    pub fn values(&self) -> Option<Vec<f64>> {
        self.answers().map(|label| label.value).collect()
    }

    /// Whether `name` is declared.
    pub fn contains(&self, name: &str) -> bool {
        self.labels.iter().any(|label| label.name == name)
    }
}

/// One label.
#[derive(Debug, Clone)]
pub struct Label {
    /// The label itself.
    pub name: String,
    /// When it applies.
    pub definition: String,
    /// Cases of it.
    pub examples: Vec<String>,
    /// Words that the built-in baseline looks for.
    pub cues: Vec<Regex>,
    /// Other names that labels in existing data have for it. No model may answer with them.
    pub aliases: Vec<String>,
    /// Its place on the scale of an ordered field; weighted kappas go by it.
    pub value: Option<f64>,
    /// Whether it says that there is no answer, as `unclear` may: agreement and estimates count it as missing.
    pub missing: bool,
}

/// A map of labels to fewer; a label that it does not name is dropped.
#[derive(Debug, Clone, Serialize)]
pub struct Collapse {
    /// Its name in reports.
    pub name: String,
    /// Label → collapsed label.
    pub map: BTreeMap<String, String>,
}

/// A whole number within bounds.
#[derive(Debug, Clone)]
pub struct Score {
    /// The lowest score.
    pub min: i64,
    /// The highest score.
    pub max: i64,
    /// What ranges of the score mean.
    pub bands: Vec<Band>,
    /// Where the built-in baseline starts.
    pub start: Option<i64>,
    /// What moves the built-in baseline.
    pub cues: Vec<ScoreCue>,
}

/// What a range of a score means.
#[derive(Debug, Clone)]
pub struct Band {
    /// The lowest score of the band.
    pub from: i64,
    /// The highest score of the band.
    pub to: i64,
    /// What it means.
    pub definition: String,
}

/// A cue that moves the baseline's score.
#[derive(Debug, Clone)]
pub struct ScoreCue {
    /// Looked for in `place`.
    pub pattern: Regex,
    /// Added once for each prompt (or once for the place) in which it is found.
    pub add: i64,
    /// Where it is looked for.
    pub place: CuePlace,
}

/// Where the baseline looks for a cue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CuePlace {
    /// In each prompt.
    #[default]
    Prompts,
    /// In the last prompt.
    LastPrompt,
    /// In the agent's last words.
    LastReply,
    /// In the subjects of the commits.
    Commits,
}

/// A part of a whole.
#[derive(Debug, Clone)]
pub struct Part {
    /// Its name.
    pub name: String,
    /// What belongs to it.
    pub definition: String,
    /// Tool categories that the built-in baseline counts for it.
    pub tools: Vec<crate::session::ToolCategory>,
}

/// A criterion that is met or not.
#[derive(Debug, Clone)]
pub struct Criterion {
    /// Its name.
    pub name: String,
    /// What has to hold.
    pub definition: String,
}

impl Codebook {
    /// The field whose result stands for the task in summaries: the first that is measured.
    pub fn primary(&self) -> Option<&Field> {
        self.fields.iter().find(|field| field.kind.is_measured())
    }

    /// The field of this name.
    pub fn field(&self, name: &str) -> Option<&Field> {
        self.fields.iter().find(|field| field.name == name)
    }

    /// `task-1a2b3c4d`: how raters name the codebook.
    pub fn version(&self) -> String {
        format!("{}-{}", self.task, self.hash.short())
    }
}

/// All codebooks of a folder, or the ones that come with the program.
#[derive(Debug, Clone)]
pub struct Library {
    codebooks: Vec<Codebook>,
    partials: BTreeMap<String, String>,
    place: String,
}

impl Library {
    /// Reads every `*.md` of `folder`; names that begin with `_` are partial templates, `README.md` is left alone.
    pub fn read(folder: &Path) -> Result<Library, CodebookError> {
        let io = |source| CodebookError::Io { path: folder.to_owned(), source };
        let mut files = Vec::new();
        for entry in std::fs::read_dir(folder).map_err(io)? {
            let path = entry.map_err(io)?.path();
            let Some(name) = path.file_name().and_then(|name| name.to_str()) else { continue };
            if path.extension().is_some_and(|extension| extension == "md") && name != "README.md" {
                let text = std::fs::read_to_string(&path)
                    .map_err(|source| CodebookError::Io { path: path.clone(), source })?;
                files.push((name.to_owned(), path.clone(), text));
            }
        }
        Library::from_files(files, folder.display().to_string())
    }

    /// The codebooks that the program brings along.
    pub fn shipped() -> Result<Library, CodebookError> {
        let files = crate::shipped::prompts()
            .map(|(name, text)| (name.to_owned(), Path::new("prompts").join(name), text.to_owned()))
            .collect();
        Library::from_files(files, "the shipped codebooks".to_owned())
    }

    fn from_files(mut files: Vec<(String, PathBuf, String)>, place: String) -> Result<Library, CodebookError> {
        files.sort();
        let (partials, codebooks): (Vec<_>, Vec<_>) = files.into_iter().partition(|(name, _, _)| name.starts_with('_'));
        let mut partials: BTreeMap<String, String> = partials.into_iter().map(|(name, _, text)| (name, text)).collect();
        if let Some((name, text)) = crate::shipped::prompts().find(|(name, _)| *name == group::PARTIAL) {
            partials.entry(name.to_owned()).or_insert_with(|| text.to_owned());
        }
        let codebooks = codebooks
            .into_iter()
            .map(|(_, path, text)| source::parse(&path, &text, &partials))
            .collect::<Result<Vec<_>, _>>()?;
        Ok(Library { codebooks, partials, place })
    }

    /// The codebooks, by name.
    pub fn codebooks(&self) -> &[Codebook] {
        &self.codebooks
    }

    /// Partial templates, by file name.
    pub fn partials(&self) -> &BTreeMap<String, String> {
        &self.partials
    }

    /// The codebook of `task`.
    pub fn task(&self, task: &str) -> Result<&Codebook, CodebookError> {
        self.codebooks.iter().find(|codebook| codebook.task == task).ok_or_else(|| CodebookError::UnknownTask {
            task: task.to_owned(),
            place: self.place.clone(),
            known: self.codebooks.iter().map(|codebook| codebook.task.as_str()).collect::<Vec<_>>().join(", "),
        })
    }
}

#[cfg(test)]
impl Codebook {
    /// The codebook `prompts/<task>.md` with this text.
    pub(crate) fn of_text(task: &str, text: &str) -> Result<Codebook, CodebookError> {
        source::parse(&Path::new("prompts").join(format!("{task}.md")), text, &BTreeMap::new())
    }

    /// A codebook with a field of every type.
    pub(crate) fn with_every_type() -> Codebook {
        Codebook::of_text("all", tests::EVERY_TYPE).expect("the sample codebook is right")
    }
}

#[cfg(test)]
mod tests;
