//! Finds the values of things that are called a password, a key, a token or a secret: `api_key = "…"`, `PASSWORD=…`, `--token …`,
//! `"secret": "…"` also in escaped JSON, `<password>…</password>`, `the password is …`.
//!
//! The name alone says little, since code is full of `token = next()`: a value must look random, or for a password at least like one.

use super::Kind;
use super::span::Span;
use regex::Regex;
use std::collections::HashSet;
use std::sync::LazyLock;

static NAME: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(
        r#"(?xi)
        (?: (?<password> pass(?:word|wd|phrase) | pwd | _pass )
          | api[\ _-]?key | secret(?:[_-]?access)?[_-]?key | secret | (?:access|auth|refresh|bearer|session|id|bot)[_-]?token
          | token | private[_-]?key | client[_-]?secret | access[_-]?key | signing[_-]?key | encryption[_-]?key | credentials? | _auth
        )
        (?: (?<assigned> \\{0,3} ["'`]? \]? \s{0,8} (?: => | := | = | : ) \s{0,8} )
          | (?<said> \s is :? \s{1,4} )
          | (?<tag> > )
          | (?<space> \s )
        )"#,
    )
    .expect("a valid pattern")
});
/// No secret of this kind is longer, in bytes; longer texts are documents or keys that are found otherwise.
const LONGEST_VALUE: usize = 512;
/// Bits a character that a random value has at least: hexadecimal digits of 16 characters have about 3.3.
const LEAST_ENTROPY: f64 = 3.0;
/// Words that show that a value is to be filled in.
const PLACEHOLDERS: &[&str] = &[
    "your",
    "example",
    "placeholder",
    "changeme",
    "change_me",
    "change-me",
    "dummy",
    "redacted",
    "replace",
    "xxxx",
    "****",
    "....",
    "<",
    ">",
    "…",
    "${",
    "{{",
    "_here",
    "-here",
    "insert",
    "undefined",
    "process.env",
    "os.environ",
    "secrets.",
    "env.",
    "getenv",
];

pub(super) fn find(text: &str, spans: &mut Vec<Span>) {
    // A secret of a known form is known to its last letter; what follows is something else, such as the host of a URL.
    let continues = |at: usize| text[at..].starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-');
    let known: HashSet<usize> =
        spans.iter().filter(|span| !continues(span.range.end)).map(|span| span.range.start).collect();
    let mut at = 0;
    while let Some(name) = NAME.captures_at(text, at) {
        let Some(whole) = name.get(0) else { break };
        at = whole.end();
        let is_password = name.name("password").is_some();
        let before = &text[text.floor_char_boundary(whole.start().saturating_sub(48))..whole.start()];
        let how = if name.name("assigned").is_some() {
            How::Assigned
        } else if name.name("said").is_some() {
            How::Said
        } else if name.name("tag").is_some() && is_tag(before) {
            How::Tag
        } else if name.name("space").is_some() && is_flag(before) {
            How::Assigned
        } else {
            // What follows may be a name of its own.
            continue;
        };
        if is_cursor(before) {
            continue;
        }
        let Some((start, end, quoted)) = value(text, whole.end(), how) else { continue };
        if known.contains(&start) {
            continue;
        }
        let value = &text[start..end];
        let (kind, is_one) = match is_password {
            true => (Kind::Password, is_password_like(value, how, quoted)),
            false => (Kind::Secret, is_secret_like(value, how)),
        };
        if is_one {
            spans.push(Span::new(start..end, kind));
            at = end;
        }
    }
}

/// How a name and its value are joined.
#[derive(Clone, Copy, PartialEq, Eq)]
enum How {
    Assigned,
    Said,
    Tag,
}

/// Whether the name ends a flag: `--db-`, `--`.
fn is_flag(before: &str) -> bool {
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    let (rest, name) = before.split_at(before.trim_end_matches(is_name).len());
    // The letter of an escape such as `\n` is none of the flag's.
    name.starts_with("--") || rest.ends_with('\\') && name.get(1..).is_some_and(|name| name.starts_with("--"))
}

/// Whether the name ends an opening tag: `<db-`, `<`.
fn is_tag(before: &str) -> bool {
    before.trim_end_matches(|c: char| c.is_ascii_alphanumeric() || "-_:.".contains(c)).ends_with('<')
}

/// Page tokens and the like are places in a list.
fn is_cursor(before: &str) -> bool {
    let lower = before.to_ascii_lowercase();
    let name = lower.trim_end_matches(['_', '-']);
    ["page", "next", "continuation", "sync", "pagination", "cursor"].iter().any(|word| name.ends_with(word))
}

/// The value at `from`: its start, its end, and whether quotes enclose it.
fn value(text: &str, from: usize, how: How) -> Option<(usize, usize, bool)> {
    let limit = text.floor_char_boundary((from + LONGEST_VALUE).min(text.len()));
    let window = &text[from..limit];
    // `f"…"`, `b'…'`, `\"…\"`.
    let escapes = window.bytes().take_while(|&byte| byte == b'\\').count();
    let prefix = usize::from(escapes == 0 && matches!(window.as_bytes(), [b'f' | b'b' | b'r', b'"' | b'\'', ..]));
    let lead = escapes + prefix;
    let quote = window[lead..].chars().next().filter(|c| matches!(c, '"' | '\'' | '`'));
    if let Some(quote) = quote {
        let start = lead + 1;
        let close = window[start..].find([quote, '\n'])?;
        let mut inner = &window[start..start + close];
        if escapes > 0 {
            inner = inner.trim_end_matches('\\');
        }
        let spaced = inner.contains(char::is_whitespace);
        return (!inner.is_empty() && !spaced).then(|| (from + start, from + start + inner.len(), true));
    }
    if escapes > 0 {
        return None;
    }
    let stop = |c: char| c.is_whitespace() || "\"'`,;<>{}[]|\\".contains(c) || c.is_control();
    let mut length = window.find(stop).unwrap_or(window.len());
    // The next variable of a query.
    if let Some(next) = window[..length].match_indices('&').map(|(at, _)| at).find(|at| is_query(&window[at + 1..])) {
        length = next;
    }
    let mut inner = &window[..length];
    if let Some(open) = inner.find('(') {
        // `password=get()` is a call; a bracket in the midst of a random word is part of it.
        if inner[..open].chars().all(|c| c.is_ascii_alphanumeric() || "_.:!?$@".contains(c)) {
            return None;
        }
    } else {
        inner = inner.trim_end_matches(')');
    }
    let ending: &[char] = if how == How::Said { &['.', ',', '!', '?', ':', ')'] } else { &['.', ',', ':'] };
    inner = inner.trim_end_matches(ending);
    (!inner.is_empty()).then_some((from, from + inner.len(), false))
}

/// `name=…`
fn is_query(rest: &str) -> bool {
    let name = rest.bytes().take_while(|byte| byte.is_ascii_alphanumeric() || b"_-.".contains(byte)).count();
    name > 0 && rest.as_bytes().get(name) == Some(&b'=')
}

/// Whether a value only shows where the real one goes.
pub(super) fn is_placeholder(value: &str) -> bool {
    let lower = value.to_ascii_lowercase();
    lower.starts_with(['$', '%', '{', '[', '(', '*', '@'])
        || PLACEHOLDERS.iter().any(|word| lower.contains(word))
        || value.len() > 1 && value.bytes().all(|byte| byte == value.as_bytes()[0])
}

/// Whether a value reads like words of a language or of code: pieces of letters and numbers that are not mixed at random.
pub(super) fn is_wordy(value: &str) -> bool {
    value.split(|c: char| !c.is_ascii_alphanumeric()).all(is_wordy_piece)
}

/// `password`, `AccessControlPassword`, `arg12`, `128bits`, `20260101`.
fn is_wordy_piece(piece: &str) -> bool {
    let piece = piece.as_bytes();
    let digits_before = piece.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let letters = piece[digits_before..].iter().take_while(|byte| byte.is_ascii_alphabetic()).count();
    let digits_after = piece.len() - digits_before - letters;
    if letters == 0 {
        return piece.len() <= 8;
    }
    let letters = &piece[digits_before..digits_before + letters];
    let turns = letters.windows(2).filter(|pair| pair[0].is_ascii_lowercase() && pair[1].is_ascii_uppercase()).count();
    let longest = letters
        .chunk_by(|a, b| !(a.is_ascii_lowercase() && b.is_ascii_uppercase()))
        .map(<[u8]>::len)
        .max()
        .unwrap_or_default();
    piece[piece.len() - digits_after..].iter().all(u8::is_ascii_digit)
        && digits_after <= 3
        && (digits_before == 0 || digits_before <= 3 && letters.len() >= 3)
        && longest <= 20
        && turns * 4 <= letters.len()
}

fn is_secret_like(value: &str, how: How) -> bool {
    let has_digit = value.bytes().any(|byte| byte.is_ascii_digit());
    let has_letter = value.bytes().any(|byte| byte.is_ascii_alphabetic());
    let least = if how == How::Said { 16 } else { 12 };
    value.len() >= least
        && has_letter
        && (has_digit || value.len() >= 24 && value.bytes().any(|byte| byte.is_ascii_uppercase()))
        && !value.contains("://")
        && !is_placeholder(value)
        && !is_wordy(value)
        && !is_expression(value)
        && entropy(value) >= LEAST_ENTROPY
}

fn is_password_like(value: &str, how: How, quoted: bool) -> bool {
    let has = |kind: fn(&u8) -> bool| value.bytes().any(|byte| kind(&byte));
    let (digit, letter) = (has(u8::is_ascii_digit), has(u8::is_ascii_alphabetic));
    let symbol = value.bytes().any(|byte| byte.is_ascii_punctuation() && !b"._-/:()".contains(&byte));
    let is_path =
        value.starts_with(['/', '~', '.']) || value.get(1..3).is_some_and(|rest| rest == ":\\" || rest == ":/");
    let mixed = letter && digit || letter && symbol && how != How::Said;
    let strong = value.len() >= 20 && !is_wordy(value);
    value.len() >= 6
        && (mixed || strong || digit && (quoted || how == How::Tag))
        && !is_path
        && !value.contains("://")
        && !is_placeholder(value)
        && (quoted || !is_expression(value))
}

/// `self.token2`, `config.get`, `a::b1`, `!x`: code that stands where a value could.
fn is_expression(value: &str) -> bool {
    let chain = value.trim_start_matches(['!', '&', '*']).split(['.', ':']).filter(|piece| !piece.is_empty());
    let is_name = |piece: &str| {
        piece.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
            && piece.bytes().next().is_some_and(|byte| byte.is_ascii_alphabetic() || byte == b'_')
            && is_wordy(piece)
    };
    let count = chain.clone().count();
    let operators = ["==", "&&", "||", "->", "=>", "?.", "!="].iter().any(|operator| value.contains(operator));
    operators
        || (count > 1 || value.contains('_') && !value.bytes().any(|b| b.is_ascii_digit()))
            && chain.clone().all(is_name)
}

/// Shannon entropy of the bytes, in bits a byte.
fn entropy(value: &str) -> f64 {
    let mut counts = [0u32; 256];
    value.bytes().for_each(|byte| counts[usize::from(byte)] += 1);
    let length = value.len() as f64;
    counts
        .iter()
        .filter(|&&count| count > 0)
        .map(|&count| f64::from(count) / length)
        .map(|share| -share * share.log2())
        .sum()
}
