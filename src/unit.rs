//! What gets one annotation: a session, or one prompt of a human in it. Takes a session, gives units with stable ids.

use crate::codebook::UnitKind;
use crate::session::{Channel, Session, SessionId};
use serde::{Deserialize, Serialize};
use std::fmt;

/// A unit's stable id: `agent:session-id`, or `agent:session-id#n` with the prompt's ordinal n.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct UnitId(String);

impl UnitId {
    /// An id as it stands in a file.
    pub fn from_text(text: impl Into<String>) -> UnitId {
        UnitId(text.into())
    }

    /// The id of the prompt with this ordinal in a session.
    pub fn of_prompt(session: &SessionId, ordinal: u32) -> UnitId {
        UnitId(format!("{session}#{ordinal}"))
    }

    /// The session that it belongs to.
    pub fn session(&self) -> SessionId {
        SessionId::of_unit(&self.0)
    }

    /// Whether it is a prompt's.
    pub fn is_prompt(&self) -> bool {
        self.session().as_str() != self.0
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for UnitId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One thing to annotate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unit {
    /// Its id.
    pub id: UnitId,
    /// Its session.
    pub session: SessionId,
    /// Where the prompt stands, for units that are prompts.
    pub prompt: Option<PromptUnit>,
}

/// Which units share a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Grouping {
    /// The prompts of a session.
    Session,
}

impl Grouping {
    /// `session`.
    pub fn name(self) -> &'static str {
        match self {
            Grouping::Session => "session",
        }
    }
}

/// A prompt that is to be annotated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PromptUnit {
    /// Number of its event.
    pub event: u32,
    /// Its ordinal among the session's prompts, from 1.
    pub ordinal: u32,
    /// How it reached the agent.
    pub channel: Channel,
}

/// The units of `session`, in order.
pub fn units(session: &Session, kind: UnitKind) -> Vec<Unit> {
    match kind {
        UnitKind::Session => {
            vec![Unit { id: UnitId(session.id.to_string()), session: session.id.clone(), prompt: None }]
        }
        UnitKind::Prompt => session
            .prompts()
            .map(|(event, prompt)| Unit {
                id: UnitId::of_prompt(&session.id, prompt.ordinal),
                session: session.id.clone(),
                prompt: Some(PromptUnit { event: event.number, ordinal: prompt.ordinal, channel: prompt.channel }),
            })
            .collect(),
    }
}
