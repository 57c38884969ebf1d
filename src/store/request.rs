//! What names a request: takes hashes of its parts, gives the key under which its answer is found again.

use super::StoreError;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// Names a request by what was asked: equal keys mean that one answer serves both.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RequestKey([u8; 32]);

impl RequestKey {
    /// The key with these bytes.
    pub const fn new(bytes: [u8; 32]) -> RequestKey {
        RequestKey(bytes)
    }

    /// The key's bytes; evenly spread, so good for dealing requests out.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl From<blake3::Hash> for RequestKey {
    fn from(hash: blake3::Hash) -> RequestKey {
        RequestKey(*hash.as_bytes())
    }
}

impl fmt::Display for RequestKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(blake3::Hash::from_bytes(self.0).to_hex().as_str())
    }
}

impl fmt::Debug for RequestKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RequestKey({self})")
    }
}

impl FromStr for RequestKey {
    type Err = StoreError;

    fn from_str(text: &str) -> Result<RequestKey, StoreError> {
        match blake3::Hash::from_hex(text) {
            Ok(hash) => Ok(hash.into()),
            Err(_) => Err(StoreError::BadKey { text: text.to_owned() }),
        }
    }
}

/// The beginnings of the hashes of a request's parts, as hex digits, to explain later why another request did not match: two requests
/// with unlike keys differ in at least one of them. Stores of format 1 hold the whole hashes.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RequestParts {
    /// The instructions before the conversation.
    pub system: String,
    /// The conversation.
    pub turns: String,
    /// The answer's schema.
    pub schema: String,
    /// Provider, endpoint, model, temperature, limit of output tokens, sample.
    pub settings: String,
    /// Those of the settings that no column tells; `None` in answers of stores of format 1.
    pub asked: Option<AskedSettings>,
    /// How many bytes of text were sent, the schema included; `None` where nobody wrote it down.
    pub bytes: Option<u64>,
}

/// Settings of a request, readable: their hash is in the key.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct AskedSettings {
    /// Sampling temperature; `None` leaves it to the provider.
    pub temperature: Option<f64>,
    /// Limit of output tokens; `None` leaves it to the provider.
    pub max_output_tokens: Option<u32>,
    /// Which of several answers to the same question, from 0.
    pub sample: u32,
}
