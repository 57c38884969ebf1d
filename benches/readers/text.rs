//! Makes invented text: source code and prose, escaped for JSON already, in any length and always the same for a seed.
//!
//! What a parser's speed hangs on is like real transcripts: lines of some forty characters with a quote or a tab here and there
//! (about one escape in twenty bytes of code, one in a hundred of prose), and few characters beyond ASCII.

use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::fmt::Write;

/// Bytes of code to cut from; enough that no cache holds all of it beside the parser's own data.
const POOL_BYTES: usize = 4 << 20;

const SYLLABLES: [&str; 32] = [
    "ba", "cor", "del", "fi", "gan", "hel", "in", "jo", "ka", "lum", "mer", "nor", "ost", "pra", "qui", "ra", "sen",
    "tor", "ul", "ver", "wil", "xen", "yar", "zo", "bri", "cla", "dra", "fle", "gri", "ple", "sta", "tru",
];

/// Text to cut pieces from.
pub struct Text {
    code: Pool,
    prose: Pool,
    letters: String,
}

/// Lines of escaped text, each with its escaped line end.
struct Pool {
    text: String,
    /// Where each line begins, and the end of the last.
    starts: Vec<usize>,
}

impl Text {
    /// The text of a seed.
    pub fn new(seed: u64) -> Text {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let code = Pool::new(POOL_BYTES, |line| code_line(&mut random, line));
        let mut random = ChaCha8Rng::seed_from_u64(seed ^ 1);
        let prose = Pool::new(POOL_BYTES / 4, |line| prose_line(&mut random, line));
        let mut random = ChaCha8Rng::seed_from_u64(seed ^ 2);
        const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        let letters = (0..POOL_BYTES / 16).map(|_| ALPHABET[random.random_range(0..64)] as char).collect();
        Text { code, prose, letters }
    }

    /// Lines of code, about `bytes` long.
    pub fn code(&self, random: &mut impl Rng, bytes: usize) -> &str {
        self.code.cut(random, bytes)
    }

    /// The same, line by line.
    pub fn code_lines(&self, random: &mut impl Rng, bytes: usize) -> impl Iterator<Item = &str> {
        self.code.lines(random, bytes)
    }

    /// Sentences, about `bytes` long.
    pub fn prose(&self, random: &mut impl Rng, bytes: usize) -> &str {
        self.prose.cut(random, bytes)
    }

    /// Letters and digits without any sense: signatures, encrypted content.
    pub fn noise(&self, random: &mut impl Rng, bytes: usize) -> &str {
        let bytes = bytes.min(self.letters.len());
        let start = random.random_range(0..=self.letters.len() - bytes);
        &self.letters[start..start + bytes]
    }
}

impl Pool {
    fn new(bytes: usize, mut line: impl FnMut(&mut String)) -> Pool {
        let mut text = String::with_capacity(bytes + 1024);
        let mut starts = vec![0];
        while text.len() < bytes {
            line(&mut text);
            text.push_str("\\n");
            starts.push(text.len());
        }
        Pool { text, starts }
    }

    /// The lines, by number, of a piece of about `bytes`.
    fn piece(&self, random: &mut impl Rng, bytes: usize) -> std::ops::Range<usize> {
        let end = self.text.len();
        let from = random.random_range(0..=end - bytes.min(end));
        let first = self.starts.partition_point(|&start| start < from).min(self.starts.len() - 2);
        let last = self.starts.partition_point(|&start| start < from + bytes).clamp(first + 1, self.starts.len() - 1);
        first..last
    }

    /// A piece without its last line end.
    fn cut(&self, random: &mut impl Rng, bytes: usize) -> &str {
        let lines = self.piece(random, bytes);
        &self.text[self.starts[lines.start]..self.starts[lines.end] - 2]
    }

    fn lines(&self, random: &mut impl Rng, bytes: usize) -> impl Iterator<Item = &str> {
        self.piece(random, bytes).map(|line| &self.text[self.starts[line]..self.starts[line + 1] - 2])
    }
}

/// A name of two or three syllables.
pub fn name(random: &mut impl Rng) -> String {
    (0..random.random_range(2..4)).map(|_| SYLLABLES[random.random_range(0..SYLLABLES.len())]).collect()
}

fn code_line(random: &mut impl Rng, line: &mut String) {
    for _ in 0..random.random_range(0..4) {
        line.push_str("    ");
    }
    let (a, b, c) = (name(random), name(random), name(random));
    let number = random.random_range(0..4096);
    let written = match random.random_range(0..16) {
        0 => Ok(()),
        1 => write!(line, "let {a} = {b}.{c}({number}, &mut self.{a});"),
        2 => write!(line, "if {a}.{b}() != \\\"{c}\\\" {{"),
        3 => write!(line, "\\t{a}.{b} = {c}[{number}]"),
        4 => write!(line, "// {a} {b} {c}: {number} — see {b}, and what {c} says about {a}"),
        5 => write!(line, "import {{ {a}, {b}, {c} }} from './{c}';"),
        6 => write!(line, "return Err({a}::{b}(format!(\\\"{c} {{}}\\\", {number})));"),
        7 => write!(line, "}} else if {a} < {number} && {b}.is_empty() {{"),
        8 => write!(line, "re = /^{a}\\\\s+({b}|{c})$/"),
        9 => write!(line, "\\t\\t{a}: {{ {b}: {number}, {c}: true }},"),
        10 | 11 => write!(line, "fn {a}_{b}({c}: &str, limit: usize) -> Result<(), {b}Error> {{"),
        12 => write!(line, "\\t\\treturn {a}({b}, {c}) + {number}"),
        13 | 14 => write!(line, "assert_eq!({a}.{b}({c}), Some({number}));"),
        _ => write!(line, "}}"),
    };
    written.expect("a string takes what is written to it");
}

fn prose_line(random: &mut impl Rng, line: &mut String) {
    for word in 0..random.random_range(12..40) {
        if word > 0 {
            line.push(' ');
        }
        match random.random_range(0..40) {
            0 => line.push_str("`src/"),
            1 => line.push_str("— "),
            _ => {}
        }
        line.push_str(&name(random));
    }
    line.push('.');
}
