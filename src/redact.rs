//! Takes a session; replaces what should not leave the machine by placeholders, and counts it by kind.
//!
//! The whole session is redacted once, after reading and before rendering: prompts, evidence checks, rows and forecasts all come from
//! the same redacted text, so nothing downstream can forget a place. A text is scanned by a set of patterns, what was found is merged
//! into spans that never overlap, and the spans are replaced in one go; a placeholder is never looked into again. The same value gets the
//! same placeholder everywhere in its session, also where nothing around it says what it is.

mod assignment;
mod email;
mod home;
mod key_block;
mod span;
mod token;
pub(crate) mod visible;

use crate::corpus::{self, SessionSource};
use crate::session::{EventBody, ReadError, Session};
use home::Names;
use serde::{Deserialize, Serialize};
use span::{Book, Span};
use std::collections::BTreeMap;
use std::fmt;

/// A placeholder may uncover what stood too close to be told apart, so texts that changed are looked at again, at most so often.
const ROUNDS: usize = 8;

/// What was replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A private key block.
    PrivateKey,
    /// A JSON web token.
    Jwt,
    /// A key of OpenAI, or one in its form.
    OpenaiKey,
    /// A key of Anthropic.
    AnthropicKey,
    /// A key or OAuth secret of Google.
    GoogleKey,
    /// An AWS access key id.
    AwsAccessKey,
    /// An AWS secret access key.
    AwsSecretKey,
    /// A token of GitHub.
    GithubToken,
    /// A token of GitLab.
    GitlabToken,
    /// A token or webhook of Slack.
    SlackToken,
    /// A secret key of Stripe.
    StripeKey,
    /// A token of npm.
    NpmToken,
    /// A token of PyPI.
    PypiToken,
    /// A token of Hugging Face.
    HuggingfaceToken,
    /// A key of SendGrid.
    SendgridKey,
    /// An account or key id of Twilio.
    TwilioKey,
    /// A storage key, signature or client secret of Azure.
    AzureKey,
    /// A key of some other service that is known by its form.
    ApiKey,
    /// What an authorization header carries.
    Authorization,
    /// User and password in a URL.
    UrlCredentials,
    /// The value of something called a password.
    Password,
    /// The value of something called a key, a token or a secret.
    Secret,
    /// An e-mail address.
    Email,
    /// The name of a home folder.
    User,
}

impl Kind {
    /// The word in placeholders and files.
    pub fn name(self) -> &'static str {
        match self {
            Kind::PrivateKey => "private_key",
            Kind::Jwt => "jwt",
            Kind::OpenaiKey => "openai_key",
            Kind::AnthropicKey => "anthropic_key",
            Kind::GoogleKey => "google_key",
            Kind::AwsAccessKey => "aws_access_key",
            Kind::AwsSecretKey => "aws_secret_key",
            Kind::GithubToken => "github_token",
            Kind::GitlabToken => "gitlab_token",
            Kind::SlackToken => "slack_token",
            Kind::StripeKey => "stripe_key",
            Kind::NpmToken => "npm_token",
            Kind::PypiToken => "pypi_token",
            Kind::HuggingfaceToken => "huggingface_token",
            Kind::SendgridKey => "sendgrid_key",
            Kind::TwilioKey => "twilio_key",
            Kind::AzureKey => "azure_key",
            Kind::ApiKey => "api_key",
            Kind::Authorization => "authorization",
            Kind::UrlCredentials => "url_credentials",
            Kind::Password => "password",
            Kind::Secret => "secret",
            Kind::Email => "email",
            Kind::User => "user",
        }
    }

    /// What a note calls one of it.
    fn noun(self) -> &'static str {
        match self {
            Kind::PrivateKey => "private key",
            Kind::Jwt => "JWT",
            Kind::OpenaiKey => "OpenAI key",
            Kind::AnthropicKey => "Anthropic key",
            Kind::GoogleKey => "Google key",
            Kind::AwsAccessKey => "AWS access key",
            Kind::AwsSecretKey => "AWS secret key",
            Kind::GithubToken => "GitHub token",
            Kind::GitlabToken => "GitLab token",
            Kind::SlackToken => "Slack token",
            Kind::StripeKey => "Stripe key",
            Kind::NpmToken => "npm token",
            Kind::PypiToken => "PyPI token",
            Kind::HuggingfaceToken => "Hugging Face token",
            Kind::SendgridKey => "SendGrid key",
            Kind::TwilioKey => "Twilio key",
            Kind::AzureKey => "Azure key",
            Kind::ApiKey => "other API key",
            Kind::Authorization => "authorization header",
            Kind::UrlCredentials => "URL credential",
            Kind::Password => "password",
            Kind::Secret => "other secret",
            Kind::Email => "e-mail address",
            Kind::User => "user name",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// How often something was replaced, by kind.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Redactions(pub BTreeMap<Kind, u64>);

impl Redactions {
    /// Adds the counts of another session.
    pub fn absorb(&mut self, other: &Redactions) {
        for (&kind, count) in &other.0 {
            *self.0.entry(kind).or_default() += count;
        }
    }

    fn count(&mut self, kind: Kind) {
        *self.0.entry(kind).or_default() += 1;
    }
}

/// The most frequent first: `12 e-mail addresses, 3 GitHub tokens`.
impl fmt::Display for Redactions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut counts: Vec<(&Kind, &u64)> = self.0.iter().collect();
        counts.sort_by_key(|&(kind, count)| (std::cmp::Reverse(count), kind));
        if counts.is_empty() {
            return f.write_str("nothing was found");
        }
        for (at, (kind, count)) in counts.into_iter().enumerate() {
            let ending = match (count, kind) {
                (1, _) => "",
                (_, Kind::Email) => "es",
                _ => "s",
            };
            write!(f, "{}{count} {}{ending}", if at == 0 { "" } else { ", " }, kind.noun())?;
        }
        Ok(())
    }
}

/// Reads a session as a rater gets it: redacted if `redacted`, else as it is.
///
/// # Errors
/// Those of [`corpus::read`].
pub fn read(source: &SessionSource, redacted: bool) -> Result<(Session, Redactions), ReadError> {
    let mut session = corpus::read(source)?;
    let redactions = if redacted { redact(&mut session) } else { Redactions::default() };
    Ok((session, redactions))
}

/// Replaces what should not leave the machine in every text of `session`; its ids and its path stay, since no rater sees them.
pub fn redact(session: &mut Session) -> Redactions {
    redact_texts(&mut texts(session))
}

/// Like [`redact`], and the session's path as well: for what is handed on as a file. Ids stay, since annotations refer to them.
pub fn redact_with_path(session: &mut Session) -> Redactions {
    let mut path = session.path.to_string_lossy().into_owned();
    let mut texts = texts(session);
    // Last, so that placeholders have the numbers that raters see.
    texts.push(&mut path);
    let redactions = redact_texts(&mut texts);
    session.path = path.into();
    redactions
}

/// Like [`redact`], and more texts that tell of the session: what is found in one is replaced in all, by the same name.
pub fn redact_with(session: &mut Session, more: Vec<&mut String>) -> Redactions {
    let mut texts = texts(session);
    texts.extend(more);
    redact_texts(&mut texts)
}

/// Replaces what should not leave the machine in texts that belong together.
pub fn redact_texts(texts: &mut [&mut String]) -> Redactions {
    let mut book = Book::default();
    let mut names = Names::default();
    let mut redactions = Redactions::default();
    for text in texts.iter_mut() {
        // Terminal escapes and invisible characters are dropped first: between the letters of a secret they would hide it.
        if let Some(visible) = visible::visible(text) {
            **text = visible;
        }
        book.reserve(text);
    }
    let mut changed = vec![true; texts.len()];
    for _ in 0..ROUNDS {
        let mut found: Vec<Vec<Span>> =
            texts.iter().zip(&changed).map(|(text, changed)| if *changed { find(text) } else { Vec::new() }).collect();
        for (text, spans) in texts.iter().zip(&found) {
            names.learn(text, spans);
        }
        for (text, spans) in texts.iter().zip(&mut found) {
            spans.extend(home::find_known(text, &names));
            span::merge(text, spans);
            spans.iter().for_each(|span| book.enter(span.kind, &text[span.range.clone()]));
        }
        let known = book.known_values();
        for ((text, spans), changed) in texts.iter_mut().zip(found).zip(&mut changed) {
            let spans = known.find(text, spans);
            *changed = !spans.is_empty();
            if *changed {
                spans.iter().for_each(|span| redactions.count(span.kind));
                **text = book.replace(text, &spans);
            }
        }
        if !changed.contains(&true) {
            break;
        }
    }
    redactions
}

/// All that a text shows without knowledge of the others.
fn find(text: &str) -> Vec<Span> {
    let mut spans = Vec::new();
    key_block::find(text, &mut spans);
    token::find(text, &mut spans);
    assignment::find(text, &mut spans);
    email::find(text, &mut spans);
    home::find(text, &mut spans);
    spans
}

/// Every text of a session that can reach a rater. Written out without `..`, so that a new field is a compile error until someone
/// decides.
fn texts(session: &mut Session) -> Vec<&mut String> {
    let Session {
        id: _,
        agent: _,
        path: _,
        models,
        started: _,
        ended: _,
        active_seconds: _,
        events,
        subagent_events: _,
        usage: _,
        agent_percentage: _,
        // No rater sees what was recorded beside the transcript.
        checkpoints: _,
        // No rater sees them.
        labels: _,
        read: _,
    } = session;
    let mut texts: Vec<&mut String> = models.iter_mut().collect();
    for event in events {
        match &mut event.body {
            EventBody::Prompt(prompt) => texts.push(&mut prompt.text),
            EventBody::Reply { text }
            | EventBody::Injected { source: _, text }
            | EventBody::Compaction { summary: text }
            | EventBody::ClientError { text } => texts.push(text),
            EventBody::ToolCall(call) => texts.extend([&mut call.name, &mut call.input]),
            EventBody::ToolResult(result) => texts.push(&mut result.text),
            EventBody::Commit { hash, subject } => texts.extend([hash, subject]),
            EventBody::Interruption { during_tool: _ } | EventBody::Rewind { first_event: _, prompts: _ } => {}
        }
    }
    texts
}

#[cfg(test)]
mod tests;
