//! Configuration: what `config.toml`, the environment and flags say, resolved once.

pub(crate) mod number;

use crate::llm::client::stays_here;
use crate::llm::price::{Price, PriceTable};
use crate::llm::{Adapter, Endpoint, anthropic::Anthropic, gemini::Gemini, openai::OpenAi};
use crate::source_error::SourceError;
use miette::Diagnostic;
use secrecy::SecretString;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

/// Why the configuration cannot be used.
#[derive(Debug, thiserror::Error, Diagnostic)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read {path}: {source}", path = path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file says something that has no meaning.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Invalid(Box<SourceError>),
    /// A model is not named as it should be.
    #[error("`{0}` is no model: expected PROVIDER/MODEL")]
    #[diagnostic(help(
        "for example anthropic/claude-haiku-5.5, openai/gpt-6-luna, gemini/gemini-3.5-flash or baseline/cues"
    ))]
    ModelName(String),
    /// The provider is not known.
    #[error("there is no provider `{name}`")]
    #[diagnostic(help("known providers: {known}; a [provider.{name}] table in config.toml adds one"))]
    UnknownProvider {
        /// The name asked for.
        name: String,
        /// The names that there are.
        known: String,
    },
    /// The built-in baseline has no such model.
    #[error("there is no model `baseline/{0}`")]
    #[diagnostic(help("the built-in models are baseline/cues and baseline/majority"))]
    UnknownBaseline(String),
    /// The data has no such model.
    #[error("there is no model `dataset/{0}`")]
    #[diagnostic(help("dataset/labels stands for the labels that came with the sessions"))]
    UnknownDataset(String),
    /// A provider table lacks something.
    #[error("[provider.{name}] needs `{key}`")]
    #[diagnostic(help("kind is openai, anthropic or gemini; base_url is what the official client takes"))]
    ProviderIncomplete {
        /// The provider's name.
        name: String,
        /// The missing key.
        key: &'static str,
    },
    /// There is no key for the provider.
    #[error("no API key for {provider}: the environment variable {variable} is not set")]
    #[diagnostic(help("set {variable}, or use --model baseline/cues, which needs no key"))]
    MissingKey {
        /// The provider.
        provider: String,
        /// The variable that should hold the key.
        variable: String,
    },
    /// A key is in the address.
    #[error("a base URL must not hold a user name or password")]
    #[diagnostic(help(
        "put the key into an environment variable, and its name into `api_key_env` of a [provider.NAME] table"
    ))]
    CredentialsInUrl,
    /// An address is none.
    #[error("`{0}` is no base URL: expected http://… or https://…")]
    BaseUrl(String),
}

/// What `config.toml` can say. An unknown key is an error.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// What to annotate.
    pub input: Input,
    /// How to annotate it.
    pub annotate: Annotate,
    /// Providers by name.
    pub provider: BTreeMap<String, Provider>,
    /// Prices by `PROVIDER/MODEL`.
    pub price: PriceTable,
    /// Where things are.
    pub paths: Paths,
}

/// What to annotate.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Input {
    /// Files, folders and globs with transcripts, and git repositories with checkpoints of Entire.
    pub sessions: Vec<String>,
}

impl Default for Input {
    fn default() -> Input {
        Input { sessions: vec!["gold/sessions".to_owned()] }
    }
}

/// How to annotate.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Annotate {
    /// Tasks, when none is named; empty for all.
    pub tasks: Vec<String>,
    /// `PROVIDER/MODEL`.
    pub model: String,
    /// Requests under way at once.
    #[serde(deserialize_with = "number::positive")]
    pub concurrency: usize,
    /// Seconds that one request may take.
    #[serde(deserialize_with = "number::positive")]
    pub timeout: u64,
    /// Further attempts after a failure that can pass.
    pub max_retries: u32,
    /// Seconds for which all requests may fail before the run ends.
    #[serde(deserialize_with = "number::positive")]
    pub patience: u64,
    /// Whether sessions are redacted; absent: where they leave the machine.
    pub redact: Option<bool>,
}

impl Default for Annotate {
    fn default() -> Annotate {
        Annotate {
            tasks: Vec::new(),
            model: "baseline/cues".to_owned(),
            concurrency: 64,
            timeout: 300,
            max_retries: 6,
            patience: 600,
            redact: None,
        }
    }
}

/// A provider.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Provider {
    /// Whose wire format it speaks.
    pub kind: Option<ProviderKind>,
    /// Where it is.
    pub base_url: Option<String>,
    /// The environment variable that holds its key.
    pub api_key_env: Option<String>,
    /// Requests a minute.
    #[serde(deserialize_with = "number::positive_if_given")]
    pub rpm: Option<u64>,
    /// Tokens a minute, input and output together.
    #[serde(deserialize_with = "number::positive_if_given")]
    pub tpm: Option<u64>,
    /// Input tokens a minute.
    #[serde(deserialize_with = "number::positive_if_given")]
    pub input_tpm: Option<u64>,
    /// Output tokens a minute.
    #[serde(deserialize_with = "number::positive_if_given")]
    pub output_tpm: Option<u64>,
    /// Limit of output tokens of each answer, reasoning included.
    #[serde(deserialize_with = "number::positive_if_given")]
    pub max_output_tokens: Option<u32>,
}

/// A wire format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProviderKind {
    /// Chat completions.
    Openai,
    /// Messages.
    Anthropic,
    /// generateContent.
    Gemini,
}

impl ProviderKind {
    const BUILT_IN: [(&'static str, ProviderKind); 3] =
        [("openai", ProviderKind::Openai), ("anthropic", ProviderKind::Anthropic), ("gemini", ProviderKind::Gemini)];

    fn official_url(self) -> &'static str {
        match self {
            ProviderKind::Openai => "https://api.openai.com/v1",
            ProviderKind::Anthropic => "https://api.anthropic.com",
            ProviderKind::Gemini => "https://generativelanguage.googleapis.com",
        }
    }

    fn key_variable(self) -> &'static str {
        match self {
            ProviderKind::Openai => "OPENAI_API_KEY",
            ProviderKind::Anthropic => "ANTHROPIC_API_KEY",
            ProviderKind::Gemini => "GEMINI_API_KEY",
        }
    }

    fn url_variable(self) -> Option<&'static str> {
        match self {
            ProviderKind::Openai => Some("OPENAI_BASE_URL"),
            ProviderKind::Anthropic => Some("ANTHROPIC_BASE_URL"),
            ProviderKind::Gemini => None,
        }
    }

    fn adapter(self) -> Arc<dyn Adapter> {
        match self {
            ProviderKind::Openai => Arc::new(OpenAi),
            ProviderKind::Anthropic => Arc::new(Anthropic),
            ProviderKind::Gemini => Arc::new(Gemini),
        }
    }
}

/// Where things are.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Paths {
    /// Codebooks.
    pub prompts: PathBuf,
    /// Gold files.
    pub gold: PathBuf,
    /// Runs.
    pub runs: PathBuf,
    /// The store of paid answers.
    pub store: PathBuf,
}

impl Default for Paths {
    fn default() -> Paths {
        Paths {
            prompts: PathBuf::from("prompts"),
            gold: PathBuf::from("gold"),
            runs: PathBuf::from("runs"),
            store: PathBuf::from(".interrater/store.db"),
        }
    }
}

/// `PROVIDER/MODEL`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ModelName {
    /// Who answers.
    pub provider: String,
    /// The provider's name for the model; it may hold slashes.
    pub model: String,
}

impl FromStr for ModelName {
    type Err = ConfigError;

    fn from_str(text: &str) -> Result<ModelName, ConfigError> {
        match text.split_once('/') {
            Some((provider, model)) if !provider.is_empty() && !model.is_empty() => {
                Ok(ModelName { provider: provider.to_owned(), model: model.to_owned() })
            }
            _ => Err(ConfigError::ModelName(text.to_owned())),
        }
    }
}

impl fmt::Display for ModelName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.provider, self.model)
    }
}

/// Who annotates.
#[derive(Clone)]
pub enum Rater {
    /// Cue words and structure of the codebook.
    Cues,
    /// The most frequent gold answer.
    Majority,
    /// Whoever made the labels that came with the data.
    Labels,
    /// A model behind an endpoint.
    Model(Box<Model>),
}

impl Rater {
    /// Whether the rater is shown anything: labels that came with the data were made from what others saw.
    pub fn sees(&self) -> bool {
        !matches!(self, Rater::Labels)
    }

    /// Whether what the rater sees leaves this machine.
    pub fn is_remote(&self) -> bool {
        match self {
            Rater::Cues | Rater::Majority | Rater::Labels => false,
            Rater::Model(model) => !stays_here(&model.endpoint.base_url),
        }
    }
}

/// A model that can be reached.
#[derive(Clone)]
pub struct Model {
    /// Its name.
    pub name: ModelName,
    /// Its provider's wire format.
    pub adapter: Arc<dyn Adapter>,
    /// Where it is.
    pub endpoint: Endpoint,
    /// Requests a minute.
    pub requests_per_minute: Option<u64>,
    /// Tokens a minute, input and output together.
    pub tokens_per_minute: Option<u64>,
    /// Input tokens a minute.
    pub input_tokens_per_minute: Option<u64>,
    /// Output tokens a minute.
    pub output_tokens_per_minute: Option<u64>,
    /// Limit of output tokens of each answer.
    pub max_output_tokens: Option<u32>,
    /// What it costs, if that is known.
    pub price: Option<Price>,
}

/// Whether a provider that wants a key has to have one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Key {
    /// It has: it will be asked.
    Required,
    /// It need not: nobody will be asked.
    Optional,
}

/// Looks an environment variable up.
pub type EnvironmentLookup<'a> = &'a dyn Fn(&str) -> Option<String>;

impl Config {
    /// Reads a file strictly; its paths are relative to its folder.
    pub fn read(path: &Path) -> Result<Config, ConfigError> {
        let text = std::fs::read_to_string(path).map_err(|source| ConfigError::Io { path: path.to_owned(), source })?;
        let mut config = Config::parse(path, &text)?;
        if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            let Paths { prompts, gold, runs, store } = &mut config.paths;
            for place in [prompts, gold, runs, store] {
                *place = folder.join(&place);
            }
            for place in &mut config.input.sessions {
                if !place.starts_with('~') {
                    *place = folder.join(&place).display().to_string();
                }
            }
        }
        Ok(config)
    }

    /// Reads a configuration's text.
    pub fn parse(path: &Path, text: &str) -> Result<Config, ConfigError> {
        toml::from_str(text).map_err(|error| {
            let span = error.span().unwrap_or(0..0);
            ConfigError::Invalid(SourceError::new(path, text, span, error.message().replace('\n', " "), None))
        })
    }

    /// Who annotates under this name.
    pub fn rater(
        &self,
        name: &ModelName,
        base_url: Option<&str>,
        environment: EnvironmentLookup<'_>,
        need: Key,
    ) -> Result<Rater, ConfigError> {
        if name.provider == "baseline" {
            return match name.model.as_str() {
                "cues" => Ok(Rater::Cues),
                "majority" => Ok(Rater::Majority),
                other => Err(ConfigError::UnknownBaseline(other.to_owned())),
            };
        }
        if name.provider == "dataset" {
            return match name.model.as_str() {
                "labels" => Ok(Rater::Labels),
                other => Err(ConfigError::UnknownDataset(other.to_owned())),
            };
        }
        let table = self.provider.get(&name.provider).cloned();
        let built_in = ProviderKind::BUILT_IN.iter().find(|(known, _)| *known == name.provider).map(|(_, kind)| *kind);
        let unknown = || ConfigError::UnknownProvider {
            name: name.provider.clone(),
            known: ProviderKind::BUILT_IN
                .iter()
                .map(|(known, _)| (*known).to_owned())
                .chain(["baseline".to_owned(), "dataset".to_owned()])
                .chain(
                    self.provider
                        .keys()
                        .filter(|key| !ProviderKind::BUILT_IN.iter().any(|(name, _)| name == key))
                        .cloned(),
                )
                .collect::<Vec<_>>()
                .join(", "),
        };
        let incomplete = |key| ConfigError::ProviderIncomplete { name: name.provider.clone(), key };
        let kind = match (&table, built_in) {
            (None, None) => return Err(unknown()),
            (table, built_in) => {
                table.as_ref().and_then(|table| table.kind).or(built_in).ok_or_else(|| incomplete("kind"))?
            }
        };
        let table = table.unwrap_or_default();
        let from_environment = built_in.and_then(ProviderKind::url_variable).and_then(environment);
        let own_url = base_url.map(str::to_owned).or(from_environment).or(table.base_url.clone());
        let url = match (&own_url, built_in) {
            (Some(url), _) => url.trim_end_matches('/').to_owned(),
            (None, Some(kind)) => kind.official_url().to_owned(),
            (None, None) => return Err(incomplete("base_url")),
        };
        let address = url.strip_prefix("http://").or_else(|| url.strip_prefix("https://"));
        match address.map(|address| address.split('/').next().unwrap_or_default()) {
            None | Some("") => return Err(ConfigError::BaseUrl(url)),
            // The address is written into the manifest and the store.
            Some(host) if host.contains('@') => return Err(ConfigError::CredentialsInUrl),
            Some(_) => {}
        }
        let variable = table.api_key_env.clone().or(built_in.map(|kind| kind.key_variable().to_owned()));
        let key = variable.as_deref().and_then(environment).filter(|key| !key.trim().is_empty());
        // A server of one's own may need no key; the official ones always do, and so does one whose variable was named.
        if let (None, Some(variable)) = (&key, &variable)
            && (own_url.is_none() || table.api_key_env.is_some())
            && need == Key::Required
        {
            return Err(ConfigError::MissingKey { provider: name.provider.clone(), variable: variable.clone() });
        }
        Ok(Rater::Model(Box::new(Model {
            name: name.clone(),
            adapter: kind.adapter(),
            endpoint: Endpoint { base_url: url, api_key: key.map(|key| SecretString::from(key.trim().to_owned())) },
            requests_per_minute: table.rpm,
            tokens_per_minute: table.tpm,
            input_tokens_per_minute: table.input_tpm,
            output_tokens_per_minute: table.output_tpm,
            max_output_tokens: table.max_output_tokens,
            price: self.price.of(&name.to_string()).cloned(),
        })))
    }
}

/// Replaces a leading `~` by the home folder.
pub fn expand_home(path: &str, environment: EnvironmentLookup<'_>) -> PathBuf {
    match (path.strip_prefix('~'), environment("HOME")) {
        (Some(rest), Some(home)) if rest.is_empty() || rest.starts_with('/') => {
            Path::new(&home).join(rest.trim_start_matches('/'))
        }
        _ => PathBuf::from(path),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shipped_file_says_what_the_defaults_are() {
        let shipped = Config::parse(Path::new("config.toml"), crate::shipped::CONFIG).unwrap();
        let default = Config::default();
        assert_eq!(shipped.input, default.input);
        assert_eq!(shipped.annotate, default.annotate);
        assert_eq!(shipped.paths, default.paths);
        assert!(shipped.provider.is_empty() && shipped.price.0.is_empty());
    }

    #[test]
    fn an_unknown_key_is_named_with_its_line() {
        let error = Config::parse(Path::new("config.toml"), "[annotate]\nmodle = \"x\"\n").unwrap_err();
        assert!(error.to_string().starts_with("config.toml:2: unknown field `modle`"), "{error}");
    }

    #[test]
    fn a_missing_key_is_named_by_its_variable() {
        let name: ModelName = "anthropic/claude-x".parse().unwrap();
        let error = Config::default().rater(&name, None, &|_| None, Key::Required).err().unwrap();
        assert!(error.to_string().contains("ANTHROPIC_API_KEY"), "{error}");
        let own = Config::default().rater(&name, Some("http://127.0.0.1:1/"), &|_| None, Key::Required);
        assert!(matches!(own, Ok(Rater::Model(model)) if model.endpoint.base_url == "http://127.0.0.1:1"));
    }

    #[test]
    fn a_base_url_holds_no_credentials() {
        let name: ModelName = "openai/m".parse().unwrap();
        let with = |url| Config::default().rater(&name, Some(url), &|_| None, Key::Required).err().unwrap();
        assert!(matches!(with("http://user:secret@127.0.0.1/v1"), ConfigError::CredentialsInUrl));
        assert!(!with("http://user:secret@127.0.0.1/v1").to_string().contains("secret"));
        assert!(matches!(with("127.0.0.1:8000"), ConfigError::BaseUrl(_)));
        assert!(matches!(with("http://"), ConfigError::BaseUrl(_)));
    }

    #[test]
    fn a_model_name_may_hold_slashes() {
        let name: ModelName = "local/meta/llama".parse().unwrap();
        assert_eq!((name.provider.as_str(), name.model.as_str()), ("local", "meta/llama"));
        assert!("gpt".parse::<ModelName>().is_err());
    }
}
