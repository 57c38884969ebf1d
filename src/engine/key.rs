//! Keeps a key out of whatever is stored or said: takes what a server sent, gives it without the key that it may repeat.

use memchr::memmem;
use secrecy::{ExposeSecret, SecretString};

/// What stands in the place of a key.
const HIDDEN: &[u8] = "…".as_bytes();

/// The body without the key. Before it is read, since a message that is cut in the middle of a key would still hold half of it.
pub(crate) fn without_key(body: Vec<u8>, key: Option<&SecretString>) -> Vec<u8> {
    let Some(key) = key.map(ExposeSecret::expose_secret).filter(|key| is_secret(key)) else { return body };
    let escaped = serde_json::Value::from(key).to_string();
    let escaped = escaped[1..escaped.len() - 1].to_owned();
    let slashes = escaped.replace('/', "\\/");
    [key, &escaped, &slashes].into_iter().fold(body, |body, form| replace(body, form.as_bytes()))
}

/// Servers of one's own often take any word as a key. Words occur in answers, where nothing may be changed, and betray nothing.
fn is_secret(key: &str) -> bool {
    let is_word = !key.contains(|c: char| c.is_ascii_digit() || c.is_ascii_uppercase());
    key.len() >= if is_word { 16 } else { 8 }
}

fn replace(text: Vec<u8>, form: &[u8]) -> Vec<u8> {
    let found: Vec<usize> = memmem::find_iter(&text, form).collect();
    if found.is_empty() {
        return text;
    }
    let mut replaced = Vec::with_capacity(text.len());
    let mut from = 0;
    for at in found {
        replaced.extend_from_slice(&text[from..at]);
        replaced.extend_from_slice(HIDDEN);
        from = at + form.len();
    }
    replaced.extend_from_slice(&text[from..]);
    replaced
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hidden(body: &str, key: &str) -> String {
        String::from_utf8(without_key(body.as_bytes().to_vec(), Some(&SecretString::from(key.to_owned())))).unwrap()
    }

    #[test]
    fn a_key_is_hidden_wherever_and_however_it_stands() {
        assert_eq!(hidden("sk-12345678, not sk-1234567", "sk-12345678"), "…, not sk-1234567");
        assert_eq!(hidden("sk-12345678sk-12345678", "sk-12345678"), "……");
        assert_eq!(hidden(r#"{"m":"ab\/cd\"12 ab/cd\"12"}"#, "ab/cd\"12"), r#"{"m":"… …"}"#);
        assert_eq!(hidden("a-key-of-letters-alone", "a-key-of-letters-alone"), "…");
        assert_eq!(without_key(vec![0xff, b'x'], None), [0xff, b'x']);
    }

    #[test]
    fn a_word_that_serves_as_a_key_stays() {
        for word in ["none", "EMPTY", "correction", "failure_report", ""] {
            let body = format!(r#"{{"label":"{word}"}}"#);
            assert_eq!(hidden(&body, word), body);
        }
    }
}
