//! Finds the names of home folders: `/home/NAME`, `/Users/NAME`, `C:\Users\NAME`, with escaped or encoded separators, and the dashed
//! form (`-Users-NAME-src`) in which an agent names a project's folder.
//!
//! A folder called `home` or `Users` inside a project is none: the path must begin there, or be a place where systems put homes.

use super::Kind;
use super::span::{Span, after_escape};
use regex::Regex;
use std::collections::BTreeSet;
use std::sync::LazyLock;

/// `/`, `\/`, up to four backslashes, or their percent codes.
static FOLDER: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(
        r"(?:\\?/|\\{1,4}|%2[Ff]|%5[Cc])(home|[Uu]sers|USERS|Documents and Settings)(\\?/|\\{1,4}|%2[Ff]|%5[Cc])",
    )
    .expect("a valid pattern")
});
static DASHED: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"-(?:Users|home)-").expect("a valid pattern"));
/// What may stand before a root: a drive, a mount of one, or a place where systems have homes.
static PLACE: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(
        r"(?i)(?:^|[^a-z0-9_.~/\\})-]|\\[nrt])(?:(?:/|\\/|%2f)(?:mnt/|cygdrive/|host_mnt/|run/desktop/mnt/host/)?[a-z]|/(?:var|usr|export|data|nfs|mnt|host|host_mnt|rootfs|hostfs|private|system/volumes/data|run/host|volumes/[^/\n]{1,40})|[/\\]{2,8}wsl[$.a-z]{0,12}[/\\]{1,4}[a-z0-9._-]{1,40})$",
    )
    .expect("a valid pattern")
});
/// How far the place before a root is looked at, in bytes.
const PLACE_BYTES: usize = 80;
/// No user name is longer, in bytes.
const LONGEST_NAME: usize = 64;
/// Names that stand for anybody or belong to a machine.
const NOBODY: &[&str] = &[
    "user",
    "username",
    "users",
    "you",
    "your",
    "yourname",
    "your-name",
    "your_name",
    "yourusername",
    "your-username",
    "your_username",
    "name",
    "me",
    "someone",
    "somebody",
    "shared",
    "public",
    "default",
    "default user",
    "all users",
    "runner",
    "runneradmin",
    "ubuntu",
    "node",
    "vscode",
    "linuxbrew",
    "docker",
    "root",
    "ec2-user",
    "circleci",
    "vagrant",
    "codespace",
    "gitpod",
    "node_modules",
    "nonexistent",
    "foo",
    "bar",
    "xxx",
    "index",
    "page",
    "home",
];
/// Files and pages that live in a folder called `home`.
const FILES: &[&str] = &[
    "html", "htm", "tsx", "ts", "jsx", "js", "css", "scss", "php", "py", "json", "md", "mdx", "svg", "png", "vue",
    "txt", "sh",
];

/// Names of home folders seen so far.
#[derive(Debug, Default)]
pub(super) struct Names {
    /// As they stand in dashed folders, the longest first.
    dashed: BTreeSet<(std::cmp::Reverse<usize>, String)>,
}

impl Names {
    /// Takes the names that `spans` found in `text`.
    pub(super) fn learn(&mut self, text: &str, spans: &[Span]) {
        for span in spans.iter().filter(|span| span.kind == Kind::User) {
            let name = normal_name(&text[span.range.clone()]);
            self.dashed.insert((std::cmp::Reverse(name.len()), name));
        }
    }

    fn has(&self, name: &str) -> bool {
        let name = normal_name(name);
        self.dashed.contains(&(std::cmp::Reverse(name.len()), name))
    }

    /// The length of the known name that `rest` begins with, up to a dash or an end.
    fn prefix(&self, rest: &str) -> Option<usize> {
        self.dashed.iter().map(|(_, name)| name).find_map(|name| {
            let ends = |at: usize| rest[at..].chars().next().is_none_or(|c| !c.is_alphanumeric());
            let head = rest.get(..name.len())?;
            (normal_name(head) == *name && ends(name.len())).then_some(name.len())
        })
    }
}

/// The form in which two spellings of a name are the same: a dashed folder keeps letters and digits only.
pub(super) fn normal_name(name: &str) -> String {
    name.chars().map(|c| if c.is_alphanumeric() { c } else { '-' }).collect()
}

pub(super) fn find(text: &str, spans: &mut Vec<Span>) {
    for folder in FOLDER.captures_iter(text) {
        let (Some(whole), Some(word), Some(separator)) = (folder.get(0), folder.get(1), folder.get(2)) else {
            continue;
        };
        if is_root(text, whole.start(), word.as_str())
            && let Some(end) = name_end(text, whole.end(), separator.as_str())
        {
            spans.push(Span::new(whole.end()..end, Kind::User));
        }
    }
}

/// What is found once the session's names are known: dashed folders, and homes below some other folder.
pub(super) fn find_known(text: &str, names: &Names) -> Vec<Span> {
    let mut spans = Vec::new();
    for dashed in DASHED.find_iter(text) {
        let rest = &text[dashed.end()..];
        let is_name = |c: &char| c.is_ascii_alphanumeric() || *c == '_';
        let length = names.prefix(rest).unwrap_or_else(|| rest.chars().take_while(is_name).map(char::len_utf8).sum());
        let name = &rest[..length];
        if name.len() > 1 && is_somebody(name) && starts_folder(text, dashed.start()) {
            spans.push(Span::new(dashed.end()..dashed.end() + length, Kind::User));
        }
    }
    for folder in FOLDER.captures_iter(text) {
        let (Some(whole), Some(separator)) = (folder.get(0), folder.get(2)) else { continue };
        if let Some(end) = name_end(text, whole.end(), separator.as_str())
            && names.has(&text[whole.end()..end])
        {
            spans.push(Span::new(whole.end()..end, Kind::User));
        }
    }
    spans
}

/// Whether the folder whose separator is at `at` is where paths begin.
fn is_root(text: &str, at: usize, word: &str) -> bool {
    let before = &text[text.floor_char_boundary(at.saturating_sub(PLACE_BYTES))..at];
    if let Some(rest) = before.strip_suffix(':')
        && let Some(drive) = rest.chars().last()
    {
        let letters = rest.chars().rev().take_while(char::is_ascii_alphanumeric).count();
        let alone = letters == 1 || letters == 2 && after_escape(text, at - 2);
        if drive.is_ascii_alphabetic() && alone {
            return true;
        }
    }
    let bare = before.trim_end_matches("%2F").trim_end_matches("%2f").trim_end_matches(['/', '\\']);
    if ["file:", "file%3A", "file%3a", "vscode://file", "//localhost"].iter().any(|scheme| bare.ends_with(scheme)) {
        return true;
    }
    // `/users/…` in small letters is a route of some API unless a drive stands before it.
    if word != "home" && word != "Users" {
        return false;
    }
    let last = before.chars().last();
    let continues = |c: char| c.is_alphanumeric() || "_.~/\\})".contains(c);
    last.is_none_or(|c| !continues(c)) || after_escape(text, at) || is_flag(before) || PLACE.is_match(before)
}

/// `-I/home/NAME`: a compiler's flag with a path.
fn is_flag(before: &str) -> bool {
    let mut last = before.chars().rev();
    let (letter, dash, space) = (last.next(), last.next(), last.next());
    letter.is_some_and(|c| c.is_ascii_uppercase()) && dash == Some('-') && space.is_none_or(|c| !c.is_alphanumeric())
}

/// Where the name that begins at `start` ends, if somebody's name begins there.
fn name_end(text: &str, start: usize, separator: &str) -> Option<usize> {
    let window = &text[start..text.floor_char_boundary((start + LONGEST_NAME).min(text.len()))];
    let is_name = |c: char| c.is_alphanumeric() || "._@+~-".contains(c);
    let word = |text: &str| text.chars().take_while(|&c| is_name(c)).map(char::len_utf8).sum::<usize>();
    let mut length = word(window);
    if separator.starts_with('\\') && !separator.ends_with('/') {
        // Windows has names of several words; a separator must follow, or nobody could say where they end.
        let mut longer = length;
        for _ in 0..2 {
            let rest = &window[longer..];
            let Some(next) = rest.strip_prefix(' ').map(word).filter(|next| *next > 0) else { break };
            longer += 1 + next;
            if window[longer..].starts_with('\\') {
                length = longer;
            }
        }
    }
    let name = window[..length].trim_end_matches(['.', '-', '@', '~', '+']);
    is_somebody(name).then_some(start + name.len())
}

fn is_somebody(name: &str) -> bool {
    let lower = name.to_lowercase();
    let is_file = lower.rsplit_once('.').is_some_and(|(_, ending)| FILES.contains(&ending));
    let has_letter = lower.chars().any(char::is_alphabetic);
    // A hidden folder or file has no user for its owner.
    has_letter && !lower.starts_with('.') && !is_file && !NOBODY.contains(&lower.as_str())
}

/// Whether a dashed folder can begin at `at`: at the start of a word, after a separator, or after a drive (`C-`).
fn starts_folder(text: &str, at: usize) -> bool {
    let before = &text[text.floor_char_boundary(at.saturating_sub(8))..at];
    let drive = before.strip_suffix('-').and_then(|rest| rest.strip_suffix(|c: char| c.is_ascii_alphabetic()));
    let last = drive.unwrap_or(before).chars().last();
    last.is_none_or(|c| !(c.is_alphanumeric() || "_.-".contains(c))) || drive.is_none() && after_escape(text, at)
}
