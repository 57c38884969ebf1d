//! Examples of a codebook that stand in its gold: what a rater was shown the answer of says nothing about how well it labels.
//!
//! Takes a codebook and the texts of gold units, gives which example is in which unit. Texts are compared without regard to case, kinds of
//! quotation marks and white space. An example of twenty characters or more may be a part of the unit's text, a shorter one has to be all of
//! it; and a unit's text of that length that stands anywhere in the codebook is one, too, whether or not it is marked as an example.

use crate::codebook::{Codebook, FieldKind};
use crate::gold::Split;
use crate::report::plural;
use crate::unit::UnitId;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// A text of fewer characters than this is no trace of where it comes from: it has to be all that a unit says.
const SHORTEST: usize = 20;

/// As many examples are named in a warning.
const MOST_EXAMPLES: usize = 3;

/// As many units are named of an example.
const MOST_UNITS: usize = 4;

/// As many characters of an example are shown.
const MOST_CHARACTERS: usize = 60;

/// Quotation marks, opening and closing.
const QUOTES: [(char, char); 4] = [('“', '”'), ('"', '"'), ('«', '»'), ('„', '“')];

/// A gold unit with what people said in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnitText {
    /// The unit.
    pub unit: UnitId,
    /// Its part of the gold.
    pub split: Option<Split>,
    /// The prompt, or all prompts of the session.
    pub prompts: Vec<String>,
}

/// An example that is in a gold unit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leak {
    /// The unit.
    pub unit: UnitId,
    /// Its part of the gold.
    pub split: Option<Split>,
    /// The label whose example it is; none for a passage of the template.
    pub label: Option<String>,
    /// The example, as the codebook has it.
    pub example: String,
}

/// A codebook's example.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Example {
    /// The label; none for a passage in quotation marks of the template.
    pub label: Option<String>,
    /// The text as written.
    pub text: String,
}

/// The examples of a codebook's labels, and the passages in quotation marks of its template and of the partial templates that it includes.
pub fn examples(codebook: &Codebook, partials: &BTreeMap<String, String>) -> Vec<Example> {
    let labels = codebook.fields.iter().flat_map(|field| match &field.kind {
        FieldKind::Label(labels) | FieldKind::Labels(labels) => labels.labels.as_slice(),
        _ => &[],
    });
    let mut found: Vec<Example> = labels
        .flat_map(|label| label.examples.iter().map(|text| (&label.name, text)))
        .map(|(label, text)| Example { label: Some(label.clone()), text: text.clone() })
        .collect();
    for text in templates(codebook, partials) {
        let quoted = quoted(&text).into_iter().filter(|text| is_long(&plain(text)));
        found.extend(quoted.map(|text| Example { label: None, text }));
    }
    found.retain(|example| !plain(&example.text).is_empty());
    found
}

/// Whether units need to be read at all: without examples there is nothing that could leak.
pub fn has_examples(codebook: &Codebook, partials: &BTreeMap<String, String>) -> bool {
    let speaks_of_one = |text: &String| text.to_lowercase().contains("example");
    !examples(codebook, partials).is_empty() || templates(codebook, partials).iter().any(speaks_of_one)
}

/// Every example that is in a unit, in the order of the units.
pub fn leaks(codebook: &Codebook, partials: &BTreeMap<String, String>, units: &[UnitText]) -> Vec<Leak> {
    let examples: Vec<(Example, String)> = examples(codebook, partials)
        .into_iter()
        .map(|example| {
            let plain = plain(&example.text);
            (example, plain)
        })
        .collect();
    let template = plain(&templates(codebook, partials).join("\n"));
    let mut found = Vec::new();
    for UnitText { unit, split, prompts } in units {
        let prompts: Vec<String> = prompts.iter().map(|prompt| plain(prompt)).collect();
        let leak = |label: Option<String>, example: String| Leak { unit: unit.clone(), split: *split, label, example };
        let holds = |example: &str| match is_long(example) {
            true => prompts.iter().any(|prompt| contains_words(prompt, example)),
            false => prompts.len() == 1 && prompts[0] == example,
        };
        let before = found.len();
        for (example, text) in &examples {
            let is_known = found[before..].iter().any(|leak: &Leak| plain(&leak.example) == *text);
            if !is_known && holds(text) {
                found.push(leak(example.label.clone(), example.text.clone()));
            }
        }
        // Few-shot examples that are in no quotation marks: the other way round.
        if found.len() == before
            && let Some(prompt) = prompts.iter().find(|prompt| is_long(prompt) && contains_words(&template, prompt))
        {
            found.push(leak(None, prompt.clone()));
        }
    }
    found
}

/// The inside of the template's blocks, and the partial templates that are included, without what the engine reads.
fn templates(codebook: &Codebook, partials: &BTreeMap<String, String>) -> Vec<String> {
    let mut texts: Vec<&str> =
        codebook.blocks.iter().filter_map(|block| codebook.text.get(block.span.clone())).collect();
    let mut left: Vec<(&String, &String)> = partials.iter().collect();
    let mut at = 0;
    while let Some(text) = texts.get(at).copied() {
        let (included, others): (Vec<(&String, &String)>, _) =
            left.into_iter().partition(|(name, _)| text.contains(name.as_str()));
        texts.extend(included.into_iter().map(|(_, text)| text.as_str()));
        left = others;
        at += 1;
    }
    texts.into_iter().map(without_tags).collect()
}

/// Without `{{ … }}`, `{% … %}` and `{# … #}`, in which quotation marks mean something else. Each is a line of its own afterwards.
fn without_tags(text: &str) -> String {
    let mut kept = String::new();
    let mut rest = text;
    while let Some(start) = rest.find('{') {
        let close = match rest.as_bytes().get(start + 1) {
            Some(b'{') => "}}",
            Some(b'%') => "%}",
            Some(b'#') => "#}",
            _ => {
                kept.push_str(&rest[..=start]);
                rest = &rest[start + 1..];
                continue;
            }
        };
        kept.push_str(&rest[..start]);
        kept.push_str("\n\n");
        rest = rest[start..].find(close).map_or("", |end| &rest[start + end + close.len()..]);
    }
    kept.push_str(rest);
    kept
}

/// Passages in quotation marks, none longer than its paragraph.
fn quoted(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for paragraph in text.split("\n\n") {
        let mut rest = paragraph;
        while let Some((start, open)) = rest.char_indices().find(|(_, c)| QUOTES.iter().any(|(open, _)| open == c)) {
            let inside = &rest[start + open.len_utf8()..];
            let close = |c: char| QUOTES.iter().any(|(one, other)| *one == open && *other == c);
            match inside.find(close) {
                Some(end) => {
                    found.push(inside[..end].to_owned());
                    let after = inside[end..].chars().next().map_or(0, char::len_utf8);
                    rest = &inside[end + after..];
                }
                None => rest = inside,
            }
        }
    }
    found
}

/// Lower case, one space for any white space, and plain quotation marks.
fn plain(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    let quotes = |c: char| match c {
        '’' | '‘' | '`' => '\'',
        '“' | '”' | '„' | '«' | '»' => '"',
        c => c,
    };
    words.join(" ").to_lowercase().chars().map(quotes).collect()
}

fn is_long(plain: &str) -> bool {
    plain.chars().count() >= SHORTEST
}

/// Whether the text holds the passage, and not as a part of longer words.
fn contains_words(text: &str, passage: &str) -> bool {
    let is_edge = |c: Option<char>| c.is_none_or(|c| !c.is_alphanumeric());
    let starts_in_word = passage.chars().next().is_some_and(char::is_alphanumeric);
    let ends_in_word = passage.chars().next_back().is_some_and(char::is_alphanumeric);
    text.match_indices(passage).any(|(at, _)| {
        (!starts_in_word || is_edge(text[..at].chars().next_back()))
            && (!ends_in_word || is_edge(text[at + passage.len()..].chars().next()))
    })
}

/// What the check found, in the form of the verbs' `--json`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct LeakCheck {
    /// Gold units whose text was looked at.
    pub units: usize,
    /// Gold units whose transcript is not here.
    pub unread: usize,
    /// Why none was looked at.
    pub not_made: Option<&'static str>,
    /// Those that hold an example.
    pub leaking: usize,
    /// The examples that are in gold units.
    pub found: Vec<LeakedExample>,
}

/// An example with the gold units that hold it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LeakedExample {
    /// The label whose example it is; none for a passage of the template.
    pub label: Option<String>,
    /// The example.
    pub example: String,
    /// The units, those of the test split left out.
    pub units: Vec<String>,
    /// How many of the test split were left out.
    pub hidden: usize,
}

impl LeakCheck {
    /// Of a codebook without examples.
    pub fn nothing_to_look_for() -> LeakCheck {
        LeakCheck { not_made: Some("the codebook has no examples"), ..LeakCheck::default() }
    }

    /// Looks through the texts of gold units; `wanted` is how many gold units there are. Units of the test split are counted, and named only
    /// where `show_test` says so.
    pub fn of(
        codebook: &Codebook,
        partials: &BTreeMap<String, String>,
        texts: &[UnitText],
        wanted: usize,
        show_test: bool,
    ) -> LeakCheck {
        let mut found: Vec<LeakedExample> = Vec::new();
        let mut leaking = BTreeSet::new();
        for Leak { unit, split, label, example } in leaks(codebook, partials, texts) {
            leaking.insert(unit.clone());
            let at = found.iter().position(|one| one.example == example && one.label == label).unwrap_or_else(|| {
                found.push(LeakedExample { label, example, units: Vec::new(), hidden: 0 });
                found.len() - 1
            });
            match split == Some(Split::Test) && !show_test {
                true => found[at].hidden += 1,
                false => found[at].units.push(unit.to_string()),
            }
        }
        LeakCheck {
            units: texts.len(),
            unread: wanted.saturating_sub(texts.len()),
            not_made: texts.is_empty().then_some("the transcripts of the gold units are not here"),
            leaking: leaking.len(),
            found,
        }
    }

    /// What to tell people; none where nothing was found, or nothing looked for.
    pub fn warning(&self) -> Option<String> {
        if self.found.is_empty() {
            return None;
        }
        let mut named: Vec<String> = self.found.iter().take(MOST_EXAMPLES).map(LeakedExample::in_words).collect();
        if self.found.len() > MOST_EXAMPLES {
            named.push(format!("{} more (--json lists them)", self.found.len() - MOST_EXAMPLES));
        }
        Some(format!(
            "the gold holds examples of the codebook ({}), and whoever is shown the answer knows it: {}. Replace these examples, or drop these \
             units from the gold",
            plural(self.leaking as u64, "unit"),
            named.join("; ")
        ))
    }
}

impl LeakedExample {
    fn in_words(&self) -> String {
        let shown: String = self.example.split_whitespace().collect::<Vec<_>>().join(" ");
        let shown = match shown.char_indices().nth(MOST_CHARACTERS) {
            Some((end, _)) => format!("{}…", &shown[..end]),
            None => shown,
        };
        let label = self.label.as_ref().map_or("in the template".to_owned(), |label| format!("of `{label}`"));
        let mut places: Vec<String> = self.units.iter().take(MOST_UNITS).cloned().collect();
        if self.units.len() > MOST_UNITS {
            places.push(format!("{} more", self.units.len() - MOST_UNITS));
        }
        if self.hidden > 0 {
            places.push(format!("{} of the test split", plural(self.hidden as u64, "unit")));
        }
        format!("“{shown}” {label} in {}", places.join(", "))
    }
}

#[cfg(test)]
mod tests;
