//! What is asked of a language model and what it answers, whoever the provider is.
//!
//! A provider's adapter is pure: a [`Request`] becomes an [`HttpRequest`], a body becomes a [`Response`], an error answer becomes a
//! [`Fault`]. [`batch`] is for many requests at once. [`client`] moves bytes, [`pace`] decides when, [`retry`] whether again, [`price`] what it cost.

pub mod anthropic;
pub mod baseline;
pub mod batch;
pub mod client;
pub mod existing;
mod fault;
pub mod gemini;
mod limits;
pub mod openai;
pub mod pace;
pub mod price;
pub mod retry;

pub use limits::{Accounting, RateLimits, Told, UsedUp};

use crate::usage::Usage;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeSet;
use std::time::Duration;

/// A limit of output tokens where one is needed and none was set. Reasoning counts into it, so that it is far more than an answer needs.
pub const OUTPUT_LIMIT: u32 = 16_000;

/// One question to a model, before any provider's form.
#[derive(Debug, Clone, PartialEq)]
pub struct Request {
    /// The provider's name for the model.
    pub model: String,
    /// Instructions that stand before the conversation.
    pub system: Option<String>,
    /// The conversation; the first and the last turn are the user's.
    pub turns: Vec<Turn>,
    /// The form of the answer.
    pub schema: AnswerSchema,
    /// Sampling temperature; `None` leaves it to the provider.
    pub temperature: Option<f64>,
    /// Limit of output tokens, reasoning included; `None` leaves it to the provider where it allows that.
    pub max_output_tokens: Option<u32>,
    /// Which of several answers to the same question this is, from 0. It is part of the key, not of the wire.
    pub sample: u32,
}

/// One turn of the conversation.
#[derive(Debug, Clone, PartialEq)]
pub struct Turn {
    /// Who speaks.
    pub role: Role,
    /// What is said, in parts.
    pub parts: Vec<Part>,
}

/// Who speaks in a turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// We do.
    User,
    /// The model does.
    Assistant,
}

/// A piece of a turn: a turn's text is that of its parts, one after the other, with nothing between.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// The text; never empty.
    pub text: String,
    /// Whether the prefix that ends here is worth a cache mark: other requests share it.
    pub cache_mark: bool,
}

/// The JSON schema of an answer, within what all three providers accept.
#[derive(Debug, Clone, PartialEq)]
pub struct AnswerSchema {
    /// A name of `a-zA-Z0-9_-`.
    pub name: String,
    /// The schema: every object closed, every property required, no bounds (they are in descriptions and checked here).
    pub json: Value,
}

/// The text of a system turn, if there is one, and of what follows it.
pub fn text_of<'t>(system: Option<&'t str>, parts: impl Iterator<Item = &'t Part>) -> String {
    system.into_iter().flat_map(|system| [system, "\n\n"]).chain(parts.map(|part| part.text.as_str())).collect()
}

impl AnswerSchema {
    /// The schema as words, for a server without structured output.
    pub fn in_words(&self) -> String {
        format!(
            "Answer with one JSON object that fits this JSON schema. Write nothing before or after it, and no code fence.\n\n{}",
            self.json
        )
    }
}

impl Request {
    /// The parts of all turns.
    pub fn parts(&self) -> impl Iterator<Item = &Part> {
        self.turns.iter().flat_map(|turn| &turn.parts)
    }

    /// What a model reads, but for the schema, as a person would read it.
    pub fn text(&self) -> String {
        text_of(self.system.as_deref(), self.parts())
    }

    /// The system text and the turns for a model that lacks something: a schema that cannot be sent ends the last user turn,
    /// system text that cannot be sent opens the first one. Blank parts and turns are left out, marks on what is lacking are off.
    pub fn conversation(&self, lacking: &Lacking) -> (Option<String>, Vec<Turn>) {
        let mut turns = self.turns.clone();
        for turn in &mut turns {
            turn.parts.retain(|part| !part.text.trim().is_empty());
            for part in &mut turn.parts {
                part.cache_mark &= !lacking.contains(&Feature::CacheMark);
            }
        }
        turns.retain(|turn| !turn.parts.is_empty());

        if lacking.contains(&Feature::AnswerSchema) || lacking.contains(&Feature::SchemaForm) {
            let part = Part { text: format!("\n\n{}", self.schema.in_words()), cache_mark: false };
            match turns.last_mut() {
                Some(turn) if turn.role == Role::User => turn.parts.push(part),
                _ => turns.push(Turn { role: Role::User, parts: vec![part] }),
            }
        }

        let mut system = self.system.clone().filter(|text| !text.trim().is_empty());
        if lacking.contains(&Feature::SystemTurn)
            && let Some(text) = system.take()
        {
            let part = Part { text: format!("{text}\n\n"), cache_mark: false };
            match turns.first_mut() {
                Some(turn) if turn.role == Role::User => turn.parts.insert(0, part),
                _ => turns.insert(0, Turn { role: Role::User, parts: vec![part] }),
            }
        }
        (system, turns)
    }

    /// The temperature, unless the model takes none.
    fn sent_temperature(&self, lacking: &Lacking) -> Option<f64> {
        self.temperature.filter(|_| !lacking.contains(&Feature::Temperature))
    }
}

/// Where a provider is reached.
#[derive(Debug, Clone)]
pub struct Endpoint {
    /// As the official clients take it: with `/v1` for OpenAI, without a path for Anthropic and Gemini. No slash at the end.
    pub base_url: String,
    /// The key; a server of one's own may need none.
    pub api_key: Option<SecretString>,
}

/// The bytes of a request.
#[derive(Debug, Clone)]
pub struct HttpRequest {
    /// Where it goes; it is always a POST.
    pub url: String,
    /// Headers but for the key's, names in lower case.
    pub headers: Vec<(&'static str, String)>,
    /// The header that carries the key: name, and what stands before the key in its value.
    pub auth: (&'static str, &'static str),
    /// The JSON body.
    pub body: Vec<u8>,
}

/// What a model answered.
#[derive(Debug, Clone, PartialEq)]
pub struct Response {
    /// The answer's text, without reasoning; empty where there is none.
    pub text: String,
    /// How it ended.
    pub end: End,
    /// Tokens as billed; `None` where the server reports none.
    pub usage: Option<Usage>,
    /// The model that answered, as the provider names it.
    pub model: Option<String>,
}

/// How an answer ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// The model was done.
    Stop,
    /// A length limit cut it.
    Length,
    /// The model or a filter of the provider declined; the reason as given.
    Refusal(String),
    /// Anything else that is no answer; the provider's word for it.
    Other(String),
}

/// Something that a server or model may lack; learnt from its refusals and then left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Feature {
    /// The `temperature` parameter.
    Temperature,
    /// The output limit under its usual name (`max_completion_tokens` at OpenAI: then `max_tokens` is tried).
    OutputLimit,
    /// The usual form of structured output (`json_schema` at OpenAI): then its older form is tried, and the schema goes into the prompt as
    /// well, since not every server heeds it there.
    SchemaForm,
    /// Structured output: then the schema goes into the prompt.
    AnswerSchema,
    /// `cache_control` marks.
    CacheMark,
    /// A system (or developer) turn: then its text opens the first user turn.
    SystemTurn,
}

/// What a model is known to lack.
pub type Lacking = BTreeSet<Feature>;

/// Why a request got no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// Nothing of this run can succeed (a wrong key, an unknown model, no money, a daily quota): stop with one message.
    Stop(String),
    /// It may pass: ask again, not before `after`.
    Busy {
        /// What the server said.
        reason: String,
        /// The wait that the server asks for.
        after: Option<Duration>,
        /// Whether it says that we are too fast (429, 529), rather than that it is broken.
        throttled: bool,
    },
    /// This unit's prompt is too long for the model.
    TooLong(String),
    /// A filter in front of the model declined this unit's prompt; other units may pass.
    Refused(String),
    /// The model lacks something that can be left out; see [`Fault::unless_left_out`].
    Lacks(Feature, String),
    /// The request is refused, and asking again would not help: for its own sake, or for something that all units share.
    BadRequest(String),
}

impl Fault {
    /// The fault of a request that was sent without what is in `lacking`: what was left out already cannot be left out again, and
    /// leaving it out was no help.
    pub fn unless_left_out(self, lacking: &Lacking) -> Fault {
        match self {
            Fault::Lacks(Feature::SchemaForm, reason) if lacking.contains(&Feature::SchemaForm) => {
                Fault::Lacks(Feature::AnswerSchema, reason).unless_left_out(lacking)
            }
            Fault::Lacks(feature, reason) if lacking.contains(&feature) => Fault::BadRequest(reason),
            other => other,
        }
    }
}

/// A body with status 200 that is no answer in the provider's form.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unreadable answer: {0}")]
pub struct Unreadable(pub String);

/// How a provider keeps the beginnings of prompts that it has read, to charge less when they come again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PrefixCache {
    /// Not at all.
    None,
    /// Any beginning, in small steps, without being asked.
    Automatic,
    /// Up to where a request carries a mark; the schema is a part of the beginning.
    Marked,
}

/// Looks a response header up by its lower-case name.
pub type HeaderLookup<'a> = &'a dyn Fn(&str) -> Option<String>;

/// A provider's wire format, as pure functions.
pub trait Adapter: Send + Sync {
    /// The request in the provider's form, without what the model is known to lack.
    fn encode(&self, base_url: &str, request: &Request, lacking: &Lacking) -> HttpRequest;

    /// How the provider keeps beginnings of prompts.
    fn prefix_cache(&self) -> PrefixCache {
        PrefixCache::Automatic
    }

    /// What is never sent to this model, although a request may hold it: known beforehand, so that users can be told.
    fn leaves_out(&self, _model: &str) -> Lacking {
        Lacking::new()
    }

    /// What a request held and its answer shows that the server has not heeded, with what shows it.
    fn ignored(&self, _request: &Request, _lacking: &Lacking, _response: &Response) -> Option<(Feature, String)> {
        None
    }

    /// The answer in a body with status 200.
    fn decode(&self, body: &[u8]) -> Result<Response, Unreadable>;

    /// What an answer with another status means.
    fn fault(&self, status: u16, header: HeaderLookup<'_>, body: &[u8]) -> Fault;

    /// The limits that an answer's headers tell.
    fn rate_limits(&self, header: HeaderLookup<'_>) -> RateLimits;

    /// How the server counts a request against its limits of tokens.
    fn accounting(&self) -> Accounting {
        Accounting::AsUsed
    }

    /// The provider's batch lane, if there is one here.
    fn batch_lane(&self) -> Option<&dyn batch::BatchLane> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// A request that uses everything.
    pub(super) fn request() -> Request {
        Request {
            model: "some-model".to_owned(),
            system: Some("You annotate.".to_owned()),
            turns: vec![Turn {
                role: Role::User,
                parts: vec![
                    Part { text: "The transcript.\n\n".to_owned(), cache_mark: true },
                    Part { text: "What is its label?".to_owned(), cache_mark: false },
                ],
            }],
            schema: AnswerSchema {
                name: "label".to_owned(),
                json: json!({
                    "type": "object",
                    "properties": {
                        "reason": { "type": "string" },
                        "label": { "type": "string", "enum": ["correction", "none"], "description": "The kind." },
                    },
                    "required": ["reason", "label"],
                    "additionalProperties": false,
                }),
            },
            temperature: Some(0.5),
            max_output_tokens: Some(500),
            sample: 0,
        }
    }

    /// A lookup in a list of headers.
    pub(super) fn headers<'a>(list: &'a [(&'a str, &'a str)]) -> impl Fn(&str) -> Option<String> + 'a {
        move |name| list.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
    }

    /// A lookup that finds nothing.
    pub(super) fn no_headers(_: &str) -> Option<String> {
        None
    }

    fn user(text: &str) -> Turn {
        Turn { role: Role::User, parts: vec![Part { text: text.to_owned(), cache_mark: true }] }
    }

    #[test]
    fn nothing_lacking_changes_nothing() {
        let request = request();
        assert_eq!(request.conversation(&Lacking::new()), (request.system.clone(), request.turns.clone()));
    }

    #[test]
    fn the_schema_comes_last_and_the_system_text_first() {
        let mut request = request();
        request
            .turns
            .push(Turn { role: Role::Assistant, parts: vec![Part { text: "x".to_owned(), cache_mark: false }] });
        request.turns.push(user("Again."));
        let all = Lacking::from([Feature::SystemTurn, Feature::AnswerSchema, Feature::CacheMark]);
        let (system, turns) = request.conversation(&all);
        assert_eq!(system, None);
        assert_eq!(turns.len(), 3);
        assert_eq!(turns[0].parts[0].text, "You annotate.\n\n");
        assert_eq!(turns[0].parts.len(), 3);
        assert_eq!(turns[2].parts[1].text, format!("\n\n{}", request.schema.in_words()));
        assert!(turns.iter().flat_map(|turn| &turn.parts).all(|part| !part.cache_mark));
    }

    #[test]
    fn nothing_is_left_out_twice() {
        let fault = || Fault::Lacks(Feature::OutputLimit, "m".to_owned());
        assert_eq!(fault().unless_left_out(&Lacking::from([Feature::Temperature])), fault());
        let again = fault().unless_left_out(&Lacking::from([Feature::OutputLimit]));
        assert_eq!(again, Fault::BadRequest("m".to_owned()));
    }

    #[test]
    fn the_older_form_of_a_schema_is_tried_before_none() {
        let fault = || Fault::Lacks(Feature::SchemaForm, "m".to_owned());
        let lacking = Lacking::from([Feature::SchemaForm]);
        assert_eq!(fault().unless_left_out(&lacking), Fault::Lacks(Feature::AnswerSchema, "m".to_owned()));
        let lacking = Lacking::from([Feature::SchemaForm, Feature::AnswerSchema]);
        assert_eq!(fault().unless_left_out(&lacking), Fault::BadRequest("m".to_owned()));
    }

    #[test]
    fn empty_text_is_never_sent() {
        let request = Request { system: Some(" ".to_owned()), turns: vec![user(" \n"), user("Hello.")], ..request() };
        assert_eq!(request.conversation(&Lacking::new()), (None, vec![user("Hello.")]));
    }
}
