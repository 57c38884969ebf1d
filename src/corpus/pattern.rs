//! Takes a path with the shell's wildcards; gives where to look and which files match.

use ignore::gitignore::{Gitignore, GitignoreBuilder};
use std::path::{Component, Path, PathBuf};

/// Whether a path is a pattern, if no file has that very name.
pub(super) fn has_wildcard(path: &Path) -> bool {
    path.to_str().is_some_and(|path| path.contains(['*', '?', '[', '{']))
}

/// The folder that a pattern begins in, and the pattern below it.
pub(super) fn split(path: &Path) -> (PathBuf, String) {
    let mut root = PathBuf::new();
    let mut pattern = String::new();
    for component in path.components() {
        let literal = pattern.is_empty() && !has_wildcard(Path::new(component.as_os_str()));
        if literal || matches!(component, Component::Prefix(_) | Component::RootDir) {
            root.push(component);
        } else {
            pattern.push('/');
            pattern.push_str(&component.as_os_str().to_string_lossy());
        }
    }
    if root.as_os_str().is_empty() {
        root.push(".");
    }
    (root, pattern)
}

/// A pattern with the shell's rules: `*` stays within a folder's name, `**` crosses folders.
pub(super) fn compile(pattern: &str) -> Result<Gitignore, ignore::Error> {
    let mut builder = GitignoreBuilder::new("");
    builder.add_line(None, pattern)?;
    builder.build()
}

/// Whether `pattern` matches the file or a folder above it, up to `root`.
pub(super) fn matches(pattern: &Gitignore, root: &Path, file: &Path) -> bool {
    let Ok(below) = file.strip_prefix(root) else { return false };
    below.components().next().is_some() && pattern.matched_path_or_any_parents(below, false).is_ignore()
}
