//! Takes a text; gives it without what carries no words and could hide some: terminal escapes, control and invisible characters.

use regex::Regex;
use std::borrow::Cow;
use std::sync::LazyLock;

/// Colours and cursor movements (CSI), titles and links (OSC).
static ESCAPES: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)").expect("a valid pattern")
});

/// Control characters and terminal escapes carry no words, and some would hide others. Rare ends of line become common ones, so that
/// they are indented like these.
pub(crate) fn printable(text: &str) -> Cow<'_, str> {
    const LINE_ENDS: [char; 3] = ['\u{2028}', '\u{2029}', '\u{85}'];
    let hidden = |c: char| {
        (c.is_control() && c != '\n' && c != '\t')
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{e0000}'..='\u{e007f}')
    };
    match (text.contains(LINE_ENDS), text.contains(hidden)) {
        (true, _) => Cow::Owned(text.replace(LINE_ENDS, "\n").replace(hidden, "")),
        (false, true) => Cow::Owned(text.replace(hidden, "")),
        (false, false) => Cow::Borrowed(text),
    }
}

/// The text as it is scanned, if it differs.
pub(super) fn visible(text: &str) -> Option<String> {
    let plain = if text.contains('\x1b') { ESCAPES.replace_all(text, "") } else { Cow::Borrowed(text) };
    match printable(&plain) {
        Cow::Owned(changed) => Some(changed),
        Cow::Borrowed(_) => match plain {
            Cow::Owned(changed) => Some(changed),
            Cow::Borrowed(_) => None,
        },
    }
}
