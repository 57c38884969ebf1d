//! Takes a repository's references; gives those that hold checkpoints of Entire, and those that are the user's branches.

use super::checkpoints::Tree;
use super::repository::Repository;
use gix_hash::ObjectId;
use rayon::prelude::*;
use std::collections::HashSet;
use std::io;
use std::path::PathBuf;

/// The branch whose tree holds all checkpoints.
pub(super) const BRANCH: &str = "entire/checkpoints/v1";

/// Below this, each checkpoint has a reference of its own.
const PREFIX: &str = "refs/entire/checkpoints/";

/// What a repository's references say of checkpoints.
#[derive(Debug, Default)]
pub(super) struct References {
    /// Checkpoints with a reference of their own: id, name, commit.
    own: Vec<(String, String, ObjectId)>,
    /// The branch of checkpoints: its short name and commit.
    pub branch: Option<(String, ObjectId)>,
    /// Tips of the user's branches, local and remote ones.
    pub tips: Vec<ObjectId>,
    /// What cannot be read.
    pub errors: Vec<io::Error>,
}

impl References {
    /// Sorts a repository's references.
    pub(super) fn of(repository: &Repository) -> References {
        let (found, errors) = repository.references();
        let mut references = References { errors, ..References::default() };
        let mut branches: Vec<(u8, String, ObjectId)> = Vec::new();
        for (name, id) in found {
            if let Some(rest) = name.strip_prefix(PREFIX) {
                let checkpoint = checkpoint_of(rest).map(str::to_owned);
                references.own.extend(checkpoint.map(|checkpoint| (checkpoint, name, id)));
            } else if let Some(short) = name.strip_prefix("refs/heads/") {
                match short {
                    BRANCH => branches.push((0, short.to_owned(), id)),
                    _ if short.starts_with("entire/") => {}
                    _ => references.tips.push(id),
                }
            } else if let Some(short) = name.strip_prefix("refs/remotes/") {
                // A remote's name may hold slashes; its branch of checkpoints ends all the same.
                match short.strip_suffix(BRANCH).and_then(|remote| remote.strip_suffix('/')) {
                    Some("origin") => branches.push((1, short.to_owned(), id)),
                    Some(_) => branches.push((2, short.to_owned(), id)),
                    None if short.contains("/entire/") => {}
                    None => references.tips.push(id),
                }
            } else if name == "HEAD" {
                references.tips.push(id);
            }
        }
        branches.sort();
        references.branch = branches.into_iter().next().map(|(_, name, id)| (name, id));
        references
    }

    /// Whether there is a place for checkpoints.
    pub(super) fn hold_checkpoints(&self) -> bool {
        !self.own.is_empty() || self.branch.is_some()
    }

    /// Where the checkpoints are, for people.
    pub(super) fn described(&self) -> String {
        match (&self.branch, self.own.is_empty()) {
            (Some((branch, _)), true) => branch.clone(),
            (Some((branch, _)), false) => format!("{PREFIX} and {branch}"),
            (None, _) => PREFIX.to_owned(),
        }
    }

    /// The trees of all checkpoints, each id once, and what cannot be read. A reference of its own goes before the branch.
    pub(super) fn trees(&self, repository: &Repository) -> (Vec<Tree>, Vec<(PathBuf, io::Error)>) {
        let own: Vec<Result<Tree, (PathBuf, io::Error)>> = self
            .own
            .par_iter()
            .map(|(checkpoint, name, id)| match repository.commit(*id) {
                Ok(commit) => {
                    let shown = format!("{}:", repository.shown().join(name).display());
                    Ok(Tree { checkpoint: checkpoint.clone(), id: commit.tree, shown })
                }
                Err(error) => Err((repository.shown().join(name), error)),
            })
            .collect();
        let (mut trees, mut errors) = (Vec::new(), Vec::new());
        for tree in own {
            match tree {
                Ok(tree) => trees.push(tree),
                Err(error) => errors.push(error),
            }
        }
        let known: HashSet<String> = trees.iter().map(|tree: &Tree| tree.checkpoint.clone()).collect();
        if let Some((branch, tip)) = &self.branch {
            let (more, wrong) = in_branch(repository, branch, *tip);
            trees.extend(more.into_iter().filter(|tree| !known.contains(&tree.checkpoint)));
            errors.extend(wrong);
        }
        (trees, errors)
    }
}

/// The checkpoints in the tree of their branch: `<first two of the id>/<the others>`.
fn in_branch(repository: &Repository, branch: &str, tip: ObjectId) -> (Vec<Tree>, Vec<(PathBuf, io::Error)>) {
    let shown = |below: &str| format!("{}:{below}", repository.shown().join(branch).display());
    let top = match repository.commit(tip).and_then(|commit| repository.tree(commit.tree)) {
        Ok(top) => top,
        Err(error) => return (Vec::new(), vec![(repository.shown().join(branch), error)]),
    };
    let (mut trees, mut errors) = (Vec::new(), Vec::new());
    for first in top.into_iter().filter(|entry| entry.is_tree && entry.name.len() == 2) {
        match repository.tree(first.id) {
            Ok(rest) => trees.extend(rest.into_iter().filter(|entry| entry.is_tree).map(|entry| Tree {
                checkpoint: format!("{}{}", first.name, entry.name),
                id: entry.id,
                shown: shown(&format!("{}/{}/", first.name, entry.name)),
            })),
            Err(error) => errors.push((PathBuf::from(shown(&first.name)), error)),
        }
    }
    (trees, errors)
}

/// The checkpoint that `<last two of the id>/<id>` is of.
fn checkpoint_of(rest: &str) -> Option<&str> {
    let (shard, id) = rest.split_once('/')?;
    (is_checkpoint_id(id) && shard.len() == 2 && id.ends_with(shard)).then_some(id)
}

/// Whether a text is a checkpoint's id: 12 hexadecimal digits, or a ULID.
pub(super) fn is_checkpoint_id(text: &str) -> bool {
    let is_ulid = |byte: u8| byte.is_ascii_digit() || byte.is_ascii_uppercase() && !b"ILOU".contains(&byte);
    match text.len() {
        12 => text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte)),
        26 => text.bytes().all(is_ulid),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_of_checkpoints_are_told_from_others() {
        let ulid = "01M3WE2VX9HQC3NVY9BWYCW6JV";
        for (rest, expected) in [
            ("c4/a3b2c4d5e6c4", Some("a3b2c4d5e6c4")),
            (&*format!("JV/{ulid}"), Some(ulid)),
            ("a3/a3b2c4d5e6c4", None),
            ("v2/main", None),
            ("v2/full/0000000000032", None),
            ("c4/more/a3b2c4d5e6c4", None),
            ("C4/A3B2C4D5E6C4", None),
            ("a3b2c4d5e6c4", None),
        ] {
            assert_eq!(checkpoint_of(rest), expected, "{rest}");
        }
    }
}
