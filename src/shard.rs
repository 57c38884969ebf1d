//! One of several parts of a corpus: `3/8` is the third of eight. Takes session ids, says which belong to it.
//!
//! A session's part follows from its id alone: not from paths, order or other sessions. So machines that share nothing agree on who
//! annotates what, and new sessions move none that were there.

use crate::session::SessionId;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::num::NonZeroU32;
use std::str::FromStr;

/// Part `number` (from 1) of `of` parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Shard {
    number: NonZeroU32,
    of: NonZeroU32,
}

/// Why a text names no part.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ShardError {
    /// It is not two numbers.
    #[error("a shard is written K/N, such as 3/8 for the third of eight")]
    Form,
    /// There is no such part.
    #[error("there is no shard {number} of {of}: they are numbered from 1 to {of}")]
    Number {
        /// The number asked for.
        number: u32,
        /// How many there are.
        of: u32,
    },
    /// A corpus in no parts has none.
    #[error("a corpus cannot be cut into 0 shards; 1/1 is the whole")]
    OfNone,
}

impl Shard {
    /// Part `number`, from 1, of `of` parts.
    pub fn new(number: u32, of: u32) -> Result<Shard, ShardError> {
        let parts = NonZeroU32::new(of).ok_or(ShardError::OfNone)?;
        match NonZeroU32::new(number).filter(|number| *number <= parts) {
            Some(number) => Ok(Shard { number, of: parts }),
            None => Err(ShardError::Number { number, of }),
        }
    }

    /// Whether the session belongs to it: the first eight bytes of the blake3 hash of its id, as a little-endian number, leave
    /// `number - 1` when they are divided by `of`.
    pub fn holds(self, session: &SessionId) -> bool {
        let hash = blake3::hash(session.as_str().as_bytes());
        let mut first = [0; 8];
        first.copy_from_slice(&hash.as_bytes()[..8]);
        u64::from_le_bytes(first) % u64::from(self.of.get()) == u64::from(self.number.get()) - 1
    }

    /// `3-of-8`, for names of files.
    pub fn in_a_name(self) -> String {
        format!("{}-of-{}", self.number, self.of)
    }
}

impl FromStr for Shard {
    type Err = ShardError;

    fn from_str(text: &str) -> Result<Shard, ShardError> {
        let digits = |text: &str| {
            // Numbers as people write them: no sign.
            let is_plain = text.bytes().all(|byte| byte.is_ascii_digit());
            is_plain.then(|| text.parse::<u32>().ok()).flatten().ok_or(ShardError::Form)
        };
        let (number, of) = text.split_once('/').ok_or(ShardError::Form)?;
        Shard::new(digits(number)?, digits(of)?)
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.number, self.of)
    }
}

impl TryFrom<String> for Shard {
    type Error = ShardError;

    fn try_from(text: String) -> Result<Shard, ShardError> {
        text.parse()
    }
}

impl From<Shard> for String {
    fn from(shard: Shard) -> String {
        shard.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::Agent;

    fn ids() -> Vec<SessionId> {
        (0..10_000).map(|number| SessionId::new(Agent::Codex, &format!("s{number}"))).collect()
    }

    #[test]
    fn each_session_is_in_one_part_and_parts_are_alike_in_size() {
        for of in [1, 2, 7, 8, 100] {
            let parts: Vec<Shard> = (1..=of).map(|number| Shard::new(number, of).unwrap()).collect();
            let mut sizes = vec![0; of as usize];
            for id in ids() {
                let holders: Vec<usize> = (0..parts.len()).filter(|at| parts[*at].holds(&id)).collect();
                assert_eq!(holders.len(), 1, "{id}");
                sizes[holders[0]] += 1;
            }
            let mean = 10_000.0 / f64::from(of);
            assert!(sizes.iter().all(|size| (f64::from(*size) - mean).abs() < 5.0 * mean.sqrt() + 1.0), "{sizes:?}");
        }
    }

    #[test]
    fn a_sessions_part_is_the_same_in_every_version_of_the_program() {
        let shard = |id: &str| (1..=8).find(|number| Shard::new(*number, 8).unwrap().holds(&SessionId::of_unit(id)));
        let found = ["claude_code:a", "claude_code:b", "codex:a", "codex:s1", "codex:s2"].map(shard);
        // As the package blake3 of Python has it: int.from_bytes(blake3(id).digest()[:8], "little") % 8 + 1
        assert_eq!(found, EXPECTED.map(Some));
    }

    const EXPECTED: [u32; 5] = [8, 1, 1, 6, 4];

    #[test]
    fn what_names_no_part_says_why() {
        assert_eq!("3/8".parse::<Shard>().unwrap().to_string(), "3/8");
        assert_eq!("8/8".parse::<Shard>().unwrap().in_a_name(), "8-of-8");
        assert_eq!("0/8".parse::<Shard>(), Err(ShardError::Number { number: 0, of: 8 }));
        assert_eq!("9/8".parse::<Shard>(), Err(ShardError::Number { number: 9, of: 8 }));
        assert_eq!("1/0".parse::<Shard>(), Err(ShardError::OfNone));
        for text in ["", "3", "/", "3/", "/8", "a/b", "+3/8", "-1/8", "3/8/2", " 3/8", "3.0/8", "4294967296/4294967297"]
        {
            assert_eq!(text.parse::<Shard>(), Err(ShardError::Form), "{text}");
        }
        let json = serde_json::to_string(&Shard::new(3, 8).unwrap()).unwrap();
        assert_eq!(json, "\"3/8\"");
        assert_eq!(serde_json::from_str::<Shard>(&json).unwrap(), Shard::new(3, 8).unwrap());
        assert!(serde_json::from_str::<Shard>("\"9/8\"").is_err());
    }
}
