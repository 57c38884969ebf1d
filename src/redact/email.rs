//! Finds e-mail addresses, around each `@` (or `%40`).
//!
//! Left are addresses that reach nobody (`example.com`, `noreply@…`), `git@` of clone URLs, and what only looks like an address:
//! package versions, images at two sizes, decorators after an escaped line end.

use super::Kind;
use super::span::Span;
use std::collections::HashSet;

/// No local part and no domain is longer, in bytes.
const LONGEST_LOCAL: usize = 64;
const LONGEST_DOMAIN: usize = 253;
/// Endings of files and of calls that are no top-level domains, or hardly ever.
const NOT_DOMAINS: &[&str] = &[
    "png",
    "jpg",
    "jpeg",
    "gif",
    "svg",
    "webp",
    "ico",
    "js",
    "ts",
    "jsx",
    "tsx",
    "mjs",
    "cjs",
    "css",
    "scss",
    "html",
    "htm",
    "json",
    "jsonl",
    "yaml",
    "yml",
    "toml",
    "lock",
    "xml",
    "txt",
    "log",
    "rb",
    "kt",
    "exe",
    "dll",
    "tgz",
    "gz",
    "tar",
    "whl",
    "jar",
    "service",
    "timer",
    "socket",
    "localdomain",
    "localhost",
    "test",
    "example",
    "invalid",
    "map",
    "vue",
    "svelte",
    "csv",
    "tsv",
    "sql",
    "pdf",
    "get",
    "put",
    "delete",
];
/// Local parts that belong to nobody.
const NOBODY: &[&str] =
    &["git", "noreply", "no-reply", "donotreply", "do-not-reply", "example", "this", "return", "super"];

pub(super) fn find(text: &str, spans: &mut Vec<Span>) {
    let signs = memchr::memchr_iter(b'@', text.as_bytes()).map(|at| around(text, at, at + 1));
    let codes = memchr::memmem::find_iter(text.as_bytes(), b"%40").map(|at| around(text, at, at + 3));
    let found: Vec<Span> = signs.chain(codes).flatten().collect();
    // What stands before the host of a URL may be a secret, which goes without its host.
    let ends: HashSet<usize> = spans.iter().map(|span| span.range.end).collect();
    let is_secret = |span: &Span| {
        let local = text[span.range.clone()].find(['@', '%']).map_or(span.range.end, |at| span.range.start + at);
        ends.contains(&local)
    };
    spans.extend(found.into_iter().filter(|span| !is_secret(span)));
}

/// The address whose `@` lies in `at..after`.
fn around(text: &str, at: usize, after: usize) -> Option<Span> {
    let bytes = text.as_bytes();
    let earliest = at.saturating_sub(LONGEST_LOCAL);
    let is_local = |byte: u8| byte.is_ascii_alphanumeric() || b"._+-%".contains(&byte);
    let mut start = (earliest..at).rev().take_while(|&at| is_local(bytes[at])).last()?;
    start = after_escape(text, start);
    while start < at && b".-%".contains(&bytes[start]) {
        start += 1;
    }
    let local = text.get(start..at).filter(|local| !local.is_empty())?;
    let latest = (after + LONGEST_DOMAIN).min(bytes.len());
    let is_domain = |byte: u8| byte.is_ascii_alphanumeric() || b".-".contains(&byte);
    let mut end = after + bytes[after..latest].iter().take_while(|&&byte| is_domain(byte)).count();
    while end > after && b".-".contains(&bytes[end - 1]) {
        end -= 1;
    }
    let domain = &text[after..end];
    is_address(local, domain).then(|| Span::new(start..end, Kind::Email))
}

/// Where the words begin that an escape (`\n`, `\u003c`, `%3C`) before them would lengthen.
fn after_escape(text: &str, start: usize) -> usize {
    let bytes = text.as_bytes();
    let hex = |from: usize, digits: usize| {
        bytes.get(from..from + digits).is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
    };
    let escaped = start > 0 && bytes[start - 1] == b'\\';
    match bytes.get(start) {
        Some(b'u') if escaped && hex(start + 1, 4) => start + 5,
        Some(b'n' | b'r' | b't' | b'b' | b'f') if escaped => start + 1,
        Some(b'%') if hex(start + 1, 2) => start + 3,
        _ => start,
    }
}

fn is_address(local: &str, domain: &str) -> bool {
    let labels: Vec<&str> = domain.split('.').collect();
    let (Some(&last), true) = (labels.last(), labels.len() >= 2) else { return false };
    if labels.iter().any(|label| label.is_empty()) || !(2..=24).contains(&last.len()) {
        return false;
    }
    let one_case =
        last.bytes().all(|byte| byte.is_ascii_lowercase()) || last.bytes().all(|byte| byte.is_ascii_uppercase());
    let top = last.to_ascii_lowercase();
    if !one_case || NOT_DOMAINS.contains(&top.as_str()) {
        return false;
    }
    // `react@18.2.x`, `icon@2x.min`: a version, not a host.
    let is_number = |label: &str| label.bytes().all(|byte| byte.is_ascii_digit());
    if labels.len() > 2 && is_number(labels[0]) && labels[1].bytes().next().is_some_and(|byte| byte.is_ascii_digit()) {
        return false;
    }
    let (local, host) = (local.to_ascii_lowercase(), domain.to_ascii_lowercase());
    let reserved = ["example.com", "example.org", "example.net"];
    let is_reserved =
        reserved.iter().any(|name| host.strip_suffix(name).is_some_and(|rest| rest.is_empty() || rest.ends_with('.')));
    !is_reserved && !NOBODY.contains(&local.as_str())
}
