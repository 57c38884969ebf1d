//! Takes the tips of a repository's branches; gives the commits that name a checkpoint of Entire in a line `Entire-Checkpoint: <id>`.
//!
//! A squashed commit has the lines of all that it was made of, in its midst as often as at its end, so every line counts.

use super::references::is_checkpoint_id;
use super::repository::Repository;
use gix_hash::ObjectId;
use std::collections::{HashMap, HashSet};
use std::io;

/// Which commits name which checkpoint.
#[derive(Debug, Default)]
pub(super) struct Links {
    /// Hashes by checkpoint, the oldest commit first.
    pub by_checkpoint: HashMap<String, Vec<String>>,
    /// Whether older commits are not in the clone.
    pub is_shallow: bool,
    /// Commits that cannot be read, with all that are only reached through them.
    pub errors: Vec<io::Error>,
}

/// Walks all commits that can be reached from `tips`, each once.
pub(super) fn links(repository: &Repository, tips: &[ObjectId]) -> Links {
    let ends: HashSet<ObjectId> = repository.shallow_ends().into_iter().collect();
    let mut links = Links { is_shallow: !ends.is_empty(), ..Links::default() };
    let mut known: HashSet<ObjectId> = tips.iter().copied().collect();
    let mut waiting: Vec<ObjectId> = known.iter().copied().collect();
    let mut found: Vec<(i64, ObjectId, String)> = Vec::new();
    while let Some(id) = waiting.pop() {
        let commit = match repository.commit(id) {
            Ok(commit) => commit,
            Err(error) => {
                links.errors.push(error);
                continue;
            }
        };
        found.extend(named(&commit.message).map(|checkpoint| (commit.seconds, id, checkpoint.to_owned())));
        if !ends.contains(&id) {
            waiting.extend(commit.parents.into_iter().filter(|parent| known.insert(*parent)));
        }
    }
    found.sort();
    found.dedup();
    for (_, id, checkpoint) in found {
        links.by_checkpoint.entry(checkpoint).or_default().push(id.to_hex().to_string());
    }
    links
}

/// The checkpoints that a message names.
fn named(message: &str) -> impl Iterator<Item = &str> {
    message.lines().filter_map(|line| {
        let value = line.trim_start_matches([' ', '\t', '*', '-', '>']).strip_prefix("Entire-Checkpoint:")?;
        value.split_whitespace().next().filter(|id| is_checkpoint_id(id))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checkpoints_are_named_anywhere_in_a_message_but_on_lines_of_their_own() {
        let message = "Mend it (#7)\n\n* first\n\nEntire-Checkpoint: a3b2c4d5e6f7\n* second\n  Entire-Checkpoint:  0123456789ab \r\n\
                       see Entire-Checkpoint: ffffffffffff\nEntire-Checkpoint: soon\nEntire-Checkpoint: 01M3WE2VX9HQC3NVY9BWYCW6JV\n";
        let found: Vec<&str> = named(message).collect();
        assert_eq!(found, ["a3b2c4d5e6f7", "0123456789ab", "01M3WE2VX9HQC3NVY9BWYCW6JV"]);
    }
}
