//! Takes what the finders found in a text; gives spans that do not overlap, and replaces them by the session's placeholders.

use super::Kind;
use super::assignment::is_wordy;
use super::home::normal_name;
use aho_corasick::{AhoCorasick, MatchKind};
use regex::Regex;
use std::collections::HashMap;
use std::ops::Range;
use std::sync::LazyLock;

/// A value shorter than this is replaced only where something says what it is: it might be a word.
const SHORTEST_KNOWN: usize = 8;
/// A value from this length on is replaced also inside a longer word.
const LONG_VALUE: usize = 16;

/// A placeholder, of this run or of an earlier one.
static PLACEHOLDER: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"\[(?:REDACTED:([a-z_]{1,32})|(USER)):([0-9]{1,9})\]").expect("a valid pattern"));

/// A place in a text that is replaced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Span {
    pub range: Range<usize>,
    pub kind: Kind,
}

impl Span {
    pub(super) fn new(range: Range<usize>, kind: Kind) -> Span {
        Span { range, kind }
    }
}

/// Makes spans ordered and disjoint, and takes placeholders out of them. Of two spans of the same words the first found wins, else the
/// wider one; what overlaps in part is replaced as one.
pub(super) fn merge(text: &str, spans: &mut Vec<Span>) {
    if spans.is_empty() {
        return;
    }
    // Stable: finders come in order of how sure they are.
    spans.sort_by_key(|span| (span.range.start, std::cmp::Reverse(span.range.end)));
    let mut merged: Vec<Span> = Vec::with_capacity(spans.len());
    for span in spans.drain(..) {
        match merged.last_mut() {
            Some(last) if span.range.start < last.range.end => last.range.end = last.range.end.max(span.range.end),
            _ => merged.push(span),
        }
    }
    *spans = without_placeholders(text, merged);
}

/// The placeholders that a text has already.
fn placeholders(text: &str) -> Vec<Range<usize>> {
    PLACEHOLDER.find_iter(text).map(|found| found.range()).collect()
}

/// Cuts placeholders out of ordered spans: a second run must find nothing to do.
fn without_placeholders(text: &str, spans: Vec<Span>) -> Vec<Span> {
    let placeholders = placeholders(text);
    if placeholders.is_empty() {
        return spans;
    }
    let mut kept = Vec::with_capacity(spans.len());
    let mut next = 0;
    for Span { range, kind } in spans {
        let mut from = range.start;
        while let Some(placeholder) = placeholders.get(next).filter(|placeholder| placeholder.start < range.end) {
            if from < placeholder.start {
                kept.push(Span::new(from..placeholder.start, kind));
            }
            from = from.max(placeholder.end);
            if placeholder.end > range.end {
                break;
            }
            next += 1;
        }
        if from < range.end {
            kept.push(Span::new(from..range.end, kind));
        }
    }
    kept
}

/// The placeholders of one session.
#[derive(Debug, Default)]
pub(super) struct Book {
    placeholders: HashMap<String, (Kind, String)>,
    users: HashMap<String, String>,
    last: HashMap<&'static str, u64>,
    /// Numbers that the text itself uses already, by kind.
    taken: HashMap<String, u64>,
}

impl Book {
    /// Notes the numbers of placeholders that a text has already, so that a new value never gets one of them.
    pub(super) fn reserve(&mut self, text: &str) {
        for found in PLACEHOLDER.captures_iter(text) {
            let kind = found.get(1).map_or("user", |kind| kind.as_str());
            let number = found[3].parse().unwrap_or(0);
            let taken = self.taken.entry(kind.to_owned()).or_default();
            *taken = number.max(*taken);
        }
    }

    fn number(&mut self, kind: Kind) -> u64 {
        let taken = self.taken.get(kind.name()).copied().unwrap_or(0);
        let last = self.last.entry(kind.name()).or_insert(taken);
        *last += 1;
        *last
    }

    /// Gives a value its placeholder, if it has none yet.
    pub(super) fn enter(&mut self, kind: Kind, value: &str) {
        if kind == Kind::User {
            let name = normal_name(value);
            if !self.users.contains_key(&name) {
                let placeholder = format!("[USER:{}]", self.number(kind));
                self.users.insert(name, placeholder);
            }
        } else if !self.placeholders.contains_key(value) {
            let placeholder = format!("[REDACTED:{kind}:{}]", self.number(kind));
            if kind == Kind::PrivateKey {
                // A line of a key is as good as the key to who has the others.
                for line in value.split(|c: char| !(c.is_ascii_alphanumeric() || "+/=".contains(c))) {
                    if line.len() >= 32 {
                        self.placeholders.entry(line.to_owned()).or_insert_with(|| (kind, placeholder.clone()));
                    }
                }
            }
            self.placeholders.insert(value.to_owned(), (kind, placeholder));
        }
    }

    /// What can be looked for wherever it stands.
    pub(super) fn known_values(&self) -> KnownValues {
        let values: Vec<(&String, Kind)> = self
            .placeholders
            .iter()
            .filter(|(value, (kind, _))| value.len() >= SHORTEST_KNOWN && is_telling(*kind, value))
            .map(|(value, (kind, _))| (value, *kind))
            .collect();
        let kinds = values.iter().map(|(_, kind)| *kind).collect();
        let automaton = match values.is_empty() {
            true => None,
            // Fails only beyond 2³¹ states; then the values stay where nothing says what they are.
            false => AhoCorasick::builder()
                .match_kind(MatchKind::LeftmostLongest)
                .build(values.iter().map(|(value, _)| value.as_bytes()))
                .ok(),
        };
        KnownValues { automaton, kinds }
    }

    /// The text with its spans replaced.
    pub(super) fn replace(&self, text: &str, spans: &[Span]) -> String {
        let mut out = String::with_capacity(text.len());
        let mut from = 0;
        for Span { range, kind } in spans {
            let value = &text[range.clone()];
            let placeholder = match kind {
                Kind::User => self.users.get(&normal_name(value)),
                _ => self.placeholders.get(value).map(|(_, placeholder)| placeholder),
            };
            out.push_str(&text[from..range.start]);
            out.push_str(placeholder.expect("every span was entered into the book"));
            from = range.end;
        }
        out.push_str(&text[from..]);
        out
    }
}

/// Whether a value is replaced also where nothing says what it is. Addresses are found everywhere as it is, and a user in a URL is often
/// a word of the session, such as `postgres`.
fn is_telling(kind: Kind, value: &str) -> bool {
    match kind {
        Kind::Email | Kind::User => false,
        Kind::UrlCredentials => !is_wordy(value) || value.bytes().any(|byte| byte.is_ascii_digit()),
        _ => true,
    }
}

/// Values that were found somewhere in the session.
pub(super) struct KnownValues {
    automaton: Option<AhoCorasick>,
    kinds: Vec<Kind>,
}

impl KnownValues {
    /// Adds the places where a known value stands between `spans`, which are ordered and disjoint.
    pub(super) fn find(&self, text: &str, spans: Vec<Span>) -> Vec<Span> {
        let Some(automaton) = &self.automaton else { return spans };
        let placeholders = placeholders(text);
        let is_free = |range: &Range<usize>| {
            let next = placeholders.partition_point(|placeholder| placeholder.end <= range.start);
            placeholders.get(next).is_none_or(|placeholder| placeholder.start >= range.end)
        };
        let mut all = Vec::with_capacity(spans.len());
        let mut from = 0;
        for span in spans.into_iter().map(Some).chain([None]) {
            let end = span.as_ref().map_or(text.len(), |span| span.range.start);
            for found in automaton.find_iter(&text.as_bytes()[from..end]) {
                let range = from + found.start()..from + found.end();
                if is_free(&range) && (range.len() >= LONG_VALUE || stands_alone(text, &range)) {
                    all.push(Span::new(range, self.kinds[found.pattern().as_usize()]));
                }
            }
            if let Some(span) = span {
                from = span.range.end;
                all.push(span);
            }
        }
        all
    }
}

/// Whether no letter or digit continues the words in `range`; the letter of an escape such as `\n` before them is none.
fn stands_alone(text: &str, range: &Range<usize>) -> bool {
    let word = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
    let bytes = text.as_bytes();
    let before = range.start.checked_sub(1).and_then(|at| bytes.get(at)).is_some_and(word);
    (!before || after_escape(text, range.start)) && !bytes.get(range.end).is_some_and(word)
}

/// Whether the two bytes before `at` are an escape: `\n`, `\r`, `\t`.
pub(super) fn after_escape(text: &str, at: usize) -> bool {
    matches!(text.as_bytes().get(at.wrapping_sub(2)..at), Some([b'\\', b'n' | b'r' | b't']))
}
