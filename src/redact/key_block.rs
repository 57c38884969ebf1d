//! Finds private key blocks (PEM, OpenSSH, PGP): whole, with escaped line ends, numbered or quoted by a tool, or cut at either end.
//!
//! A block without its end goes as far as its lines look like a key. A mark without a key, as code that reads keys has it, is left.

use super::Kind;
use super::span::Span;
use regex::Regex;
use std::sync::LazyLock;

static MARK: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"-----(BEGIN|END) (?:[A-Z0-9]{1,20} ){0,4}PRIVATE KEY(?: BLOCK)?-----").expect("a valid pattern")
});
/// Pieces that a block is made of: words of base64, and what stands between them in files, strings, listings and diffs.
static PIECE: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(
        r"(?x) ^ (?:
        (?<word> [A-Za-z0-9+/=]{16,} )
      | \s+ | \\{1,2}[nrt] | [\x22'`,>|→│+:\#*-] | [0-9]{1,6}
      | (?:Proc-Type|DEK-Info|Version|Comment): [^\n\\]{0,80}
      | [A-Za-z0-9+/=]{1,15} (?: \s | \\n | [\x22'`] | $ )
    )",
    )
    .expect("a valid pattern")
});
/// The lines of a key before an END mark.
static TAIL: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"(?:[A-Za-z0-9+/=]{16,}(?:\s|\\{1,2}[nr]|[\x22'`,>|→│+:\#*-]|[0-9]{1,6}[\t→│:]){0,24})+(?:[A-Za-z0-9+/=]{1,15}(?:\s|\\{1,2}[nr]|[\x22'`,>|→│+:\#*-]){0,24})?$")
        .expect("a valid pattern")
});
/// No key is longer than this with all that can stand between its lines, in bytes.
const LONGEST_BLOCK: usize = 16 * 1024;
/// What makes a piece between marks a key rather than an ellipsis.
static KEY_WORD: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"[A-Za-z0-9+/=]{16,}").expect("a valid pattern"));

pub(super) fn find(text: &str, spans: &mut Vec<Span>) {
    // Cheaper than the marks' own pattern where, as in nearly all texts, there are none.
    if memchr::memmem::find(text.as_bytes(), b"PRIVATE KEY").is_none() {
        return;
    }
    let marks: Vec<(bool, std::ops::Range<usize>)> =
        MARK.captures_iter(text).filter_map(|mark| Some((&mark[1] == "BEGIN", mark.get(0)?.range()))).collect();
    // Up to where the text is dealt with.
    let mut done = 0;
    for (at, (begins, mark)) in marks.iter().enumerate() {
        if mark.start < done {
            continue;
        }
        let end = match begins {
            true => match marks.get(at + 1) {
                Some((false, end)) if end.start - mark.end <= LONGEST_BLOCK => {
                    KEY_WORD.is_match(&text[mark.end..end.start]).then_some(end.end)
                }
                _ => run(text, mark.end),
            },
            false => Some(mark.end),
        };
        let Some(end) = end else { continue };
        let start = match begins {
            true => Some(mark.start),
            false => {
                let from = text.ceil_char_boundary(done.max(mark.start.saturating_sub(LONGEST_BLOCK)));
                TAIL.find(&text[from..mark.start]).map(|tail| from + tail.start())
            }
        };
        if let Some(start) = start {
            spans.push(Span::new(start..end, Kind::PrivateKey));
            done = end;
        }
    }
}

/// The end of the key that begins at `from`, if there is one: the last word of base64 before something that is no key.
fn run(text: &str, from: usize) -> Option<usize> {
    let limit = text.floor_char_boundary((from + LONGEST_BLOCK).min(text.len()));
    let (mut at, mut end) = (from, None);
    while let Some(piece) = PIECE.captures(&text[at..limit]) {
        let length = piece.get(0).map_or(0, |piece| piece.len());
        if length == 0 {
            break;
        }
        at += length;
        if piece.name("word").is_some() {
            end = Some(at);
        }
    }
    end
}
