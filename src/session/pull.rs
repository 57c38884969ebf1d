//! Takes the text of a JSON value; gives its parts one after the other, in the order they stand, to whoever asks for them.
//!
//! Most of a transcript's bytes are copies that nobody reads. A parser that deserializes types walks through them character by
//! character; here they are skipped from quote to quote. What is skipped is held to JSON's grammar all the same, since that is how
//! damage is found, but not to what an escape within a string may be.

use memchr::{memchr, memchr2};
use serde_json::{Map, Value};
use std::borrow::Cow;

/// Deeper nesting than this is not followed; it can still be skipped.
const DEEPEST: u32 = 128;

/// What goes wrong is always the same: this is not JSON.
type Result<T> = std::result::Result<T, serde_json::Error>;

/// A place in a JSON text.
#[derive(Debug)]
pub(super) struct Pull<'a> {
    text: &'a str,
    at: usize,
    depth: u32,
    /// Whether the text has control characters, which may stand between values and not in strings.
    has_controls: bool,
    /// While a value is skipped: the brackets that have to close what is open.
    due: Vec<u8>,
}

impl<'a> Pull<'a> {
    /// The beginning of `text`.
    pub(super) fn new(text: &'a str) -> Pull<'a> {
        let has_controls = text.bytes().fold(u8::MAX, u8::min) < b' ';
        Pull { text, at: 0, depth: 0, has_controls, due: Vec::new() }
    }

    /// Ends the text: nothing but blanks may follow.
    pub(super) fn end(&mut self) -> Result<()> {
        if self.text[self.at..].trim_ascii_start().is_empty() { Ok(()) } else { Err(damaged()) }
    }

    /// Takes an object; `each` gets the key of every member and has to take its value.
    pub(super) fn members(&mut self, mut each: impl FnMut(&mut Pull<'a>, &str) -> Result<()>) -> Result<()> {
        self.open(b'{')?;
        if self.ends(b'}')? {
            return Ok(());
        }
        loop {
            self.begin_key()?;
            let key = self.string()?;
            self.end_key()?;
            each(self, &key)?;
            if self.closes(b'}')? {
                return Ok(());
            }
        }
    }

    /// Takes a list; `each` has to take one of its elements.
    pub(super) fn elements(&mut self, mut each: impl FnMut(&mut Pull<'a>) -> Result<()>) -> Result<()> {
        self.open(b'[')?;
        if self.ends(b']')? {
            return Ok(());
        }
        loop {
            each(self)?;
            if self.closes(b']')? {
                return Ok(());
            }
        }
    }

    /// The first byte of the next value or mark.
    pub(super) fn peek(&mut self) -> Result<u8> {
        let bytes = self.text.as_bytes();
        while let Some(&byte) = bytes.get(self.at) {
            if !matches!(byte, b' ' | b'\t' | b'\r' | b'\n') {
                return Ok(byte);
            }
            self.at += 1;
        }
        Err(damaged())
    }

    /// Takes a string.
    pub(super) fn string(&mut self) -> Result<Cow<'a, str>> {
        let text = self.text;
        let start = self.at + 1;
        let rest = text.as_bytes().get(start..).unwrap_or_default();
        match memchr2(b'"', b'\\', rest) {
            Some(length) if rest[length] == b'"' && !self.has_controls => {
                self.at = start + length + 1;
                Ok(Cow::Borrowed(&text[start..start + length]))
            }
            _ => {
                self.skip_string()?;
                unescape(&text[start..self.at - 1])
            }
        }
    }

    /// Takes any value and builds it.
    pub(super) fn value(&mut self) -> Result<Value> {
        Ok(match self.peek()? {
            b'"' => Value::String(self.string()?.into_owned()),
            b'{' => {
                let mut object = Map::new();
                self.members(|pull, key| {
                    object.insert(key.to_owned(), pull.value()?);
                    Ok(())
                })?;
                Value::Object(object)
            }
            b'[' => {
                let mut list = Vec::new();
                self.elements(|pull| {
                    list.push(pull.value()?);
                    Ok(())
                })?;
                Value::Array(list)
            }
            _ => self.raw()?.map_or(Ok(Value::Null), serde_json::from_str)?,
        })
    }

    /// Takes any value; gives its text unless it is null.
    pub(super) fn raw(&mut self) -> Result<Option<&'a str>> {
        self.peek()?;
        let start = self.at;
        self.skip()?;
        Ok(Some(&self.text[start..self.at]).filter(|text| *text != "null"))
    }

    /// Takes any value and gives nothing.
    pub(super) fn skip(&mut self) -> Result<()> {
        self.due.clear();
        loop {
            match self.peek()? {
                b'"' => self.skip_string()?,
                bracket @ (b'{' | b'[') => {
                    self.at += 1;
                    let closing = if bracket == b'{' { b'}' } else { b']' };
                    if self.peek()? == closing {
                        self.at += 1;
                    } else {
                        if closing == b'}' {
                            self.skip_key()?;
                        }
                        self.due.push(closing);
                        continue;
                    }
                }
                _ => self.scalar()?,
            }
            loop {
                let Some(&closing) = self.due.last() else { return Ok(()) };
                match self.peek()? {
                    b',' => {
                        self.at += 1;
                        if closing == b'}' {
                            self.skip_key()?;
                        }
                        break;
                    }
                    byte if byte == closing => {
                        self.at += 1;
                        self.due.pop();
                    }
                    _ => return Err(damaged()),
                }
            }
        }
    }

    /// Takes a number, `true`, `false` or `null`.
    fn scalar(&mut self) -> Result<()> {
        let rest = &self.text.as_bytes()[self.at..];
        let length = rest.iter().take_while(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.')).count();
        let is_scalar = match &rest[..length] {
            b"true" | b"false" | b"null" => true,
            number => {
                number.first().is_some_and(|b| matches!(b, b'-' | b'0'..=b'9'))
                    && number.last().is_some_and(u8::is_ascii_digit)
                    && number.iter().all(|b| matches!(b, b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E'))
            }
        };
        self.at += length;
        if is_scalar { Ok(()) } else { Err(damaged()) }
    }

    /// Begins a member's key.
    fn begin_key(&mut self) -> Result<()> {
        if self.peek()? == b'"' { Ok(()) } else { Err(damaged()) }
    }

    /// Takes the colon behind a member's key.
    fn end_key(&mut self) -> Result<()> {
        if self.peek()? != b':' {
            return Err(damaged());
        }
        self.at += 1;
        Ok(())
    }

    /// Takes a member's key and the colon behind it.
    fn skip_key(&mut self) -> Result<()> {
        self.begin_key()?;
        self.skip_string()?;
        self.end_key()
    }

    /// Takes a string without looking at what it says.
    fn skip_string(&mut self) -> Result<()> {
        let bytes = self.text.as_bytes();
        let start = self.at + 1;
        let mut at = start;
        loop {
            let quote = at + memchr(b'"', bytes.get(at..).unwrap_or_default()).ok_or_else(damaged)?;
            at = quote + 1;
            // An odd number of backslashes makes the quote a part of the string.
            let backslashes = bytes[start..quote].iter().rev().take_while(|&&byte| byte == b'\\').count();
            if backslashes % 2 == 0 {
                self.at = at;
                let is_sound = !self.has_controls || bytes[start..quote].iter().all(|&byte| byte >= b' ');
                return if is_sound { Ok(()) } else { Err(damaged()) };
            }
        }
    }

    fn open(&mut self, bracket: u8) -> Result<()> {
        if self.peek()? != bracket || self.depth == DEEPEST {
            return Err(damaged());
        }
        self.at += 1;
        self.depth += 1;
        Ok(())
    }

    /// Takes the bracket that closes what is open, if it is the next mark.
    fn ends(&mut self, bracket: u8) -> Result<bool> {
        let ends = self.peek()? == bracket;
        if ends {
            self.at += 1;
            self.depth -= 1;
        }
        Ok(ends)
    }

    /// Takes what follows a member or an element: a comma, or the bracket that closes what is open.
    fn closes(&mut self, bracket: u8) -> Result<bool> {
        if self.ends(bracket)? {
            return Ok(true);
        }
        if self.text.as_bytes()[self.at] != b',' {
            return Err(damaged());
        }
        self.at += 1;
        Ok(false)
    }
}

/// A string's text from what stands between its quotes.
fn unescape(raw: &str) -> Result<Cow<'_, str>> {
    let Some(first) = memchr(b'\\', raw.as_bytes()) else { return Ok(Cow::Borrowed(raw)) };
    let mut text = String::with_capacity(raw.len());
    let mut rest = raw;
    let mut next = Some(first);
    while let Some(at) = next {
        text.push_str(&rest[..at]);
        let (character, length) = escaped(&rest[at..])?;
        text.push(character);
        rest = &rest[at + length..];
        next = memchr(b'\\', rest.as_bytes());
    }
    text.push_str(rest);
    Ok(Cow::Owned(text))
}

/// The character of the escape that `text` begins with, and the escape's length.
fn escaped(text: &str) -> Result<(char, usize)> {
    let character = match text.as_bytes().get(1).ok_or_else(damaged)? {
        b'n' => '\n',
        b't' => '\t',
        b'r' => '\r',
        mark @ (b'"' | b'\\' | b'/') => char::from(*mark),
        b'b' => '\u{8}',
        b'f' => '\u{C}',
        b'u' => {
            let first = code_unit(text)?;
            let (units, length): (&[u16], usize) = match first {
                0xD800..=0xDBFF => (&[first, code_unit(&text[6..])?], 12),
                _ => (&[first], 6),
            };
            // Half a pair is no character.
            return match char::decode_utf16(units.iter().copied()).next() {
                Some(Ok(character)) => Ok((character, length)),
                _ => Err(damaged()),
            };
        }
        _ => return Err(damaged()),
    };
    Ok((character, 2))
}

/// The UTF-16 code unit of the escape `\uXXXX` that `text` begins with.
fn code_unit(text: &str) -> Result<u16> {
    let digits = text.get(..6).and_then(|escape| escape.strip_prefix("\\u")).ok_or_else(damaged)?;
    if !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return Err(damaged());
    }
    u16::from_str_radix(digits, 16).map_err(|_| damaged())
}

fn damaged() -> serde_json::Error {
    serde::de::Error::custom("not JSON")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::value::any_json;
    use proptest::prelude::*;

    fn read(text: &str) -> Result<Value> {
        let mut pull = Pull::new(text);
        let value = pull.value()?;
        pull.end()?;
        Ok(value)
    }

    fn skip(text: &str) -> Result<()> {
        let mut pull = Pull::new(text);
        pull.skip()?;
        pull.end()
    }

    #[test]
    fn strings_are_read_with_their_escapes() {
        for (json, text) in [
            (r#""""#, ""),
            (r#""plain é""#, "plain é"),
            (r#""\"\\\/\b\f\n\r\t""#, "\"\\/\u{8}\u{c}\n\r\t"),
            (r#""\u00e9\u0000\ud83d\ude00 \\u00e9""#, "é\0😀 \\u00e9"),
            (r#""ends with a backslash \\""#, "ends with a backslash \\"),
        ] {
            assert_eq!(read(json).unwrap(), text, "{json}");
            skip(json).unwrap();
        }
        for json in
            [r#""\ud83d""#, r#""\ude00\ud83d""#, r#""\ud83dx""#, r#""\ud83dé5678""#, r#""\u12""#, r#""\x""#, r#""\é""#]
        {
            assert!(read(json).is_err(), "{json}");
        }
    }

    #[test]
    fn a_control_character_is_none_of_a_string() {
        for control in ['\0', '\n', '\t', '\u{1f}'] {
            for json in [format!("\"a{control}b\""), format!("{{\"a{control}\":1}}"), format!("[1,\"\\n{control}\"]")] {
                assert!(read(&json).is_err() && skip(&json).is_err(), "{json:?}");
            }
        }
        let spaced = "\t{ \"a\\n\" :\r\n[ 1 ,\t\"b\" ] }\n";
        assert_eq!(read(spaced).unwrap(), serde_json::json!({"a\n": [1, "b"]}));
        skip(spaced).unwrap();
    }

    #[test]
    fn what_is_cut_or_garbled_is_not_json() {
        let whole = r#"{"a":[{"b":"x\"y\\"},-1.5e+3,true,false,null,[],{}],"c\u00e9":{"d":[[1],2]}}"#;
        assert_eq!(read(whole).unwrap(), serde_json::from_str::<Value>(whole).unwrap());
        for cut in 0..whole.len() {
            assert!(read(&whole[..cut]).is_err() && skip(&whole[..cut]).is_err(), "{}", &whole[..cut]);
        }
        for json in [
            "{]",
            "[}",
            "[1}",
            "{\"a\"}",
            "{\"a\":}",
            "{1:2}",
            "[1 2]",
            "[1,]",
            "{\"a\":1,}",
            "nul",
            "-",
            "+1",
            "1x",
            "a",
            "{}{}",
        ] {
            assert!(read(json).is_err() && skip(json).is_err(), "{json}");
        }
    }

    #[test]
    fn deep_nesting_can_be_skipped_and_is_not_followed() {
        let deep = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
        assert!(read(&deep(DEEPEST as usize)).is_ok());
        assert!(read(&deep(DEEPEST as usize + 1)).is_err());
        assert!(skip(&deep(1_000_000)).is_ok());
        let row = r#"[{"a":{}},[[]],{"b":[1]}]"#;
        assert_eq!(read(&format!("[{}1]", format!("{row},").repeat(1000))).unwrap().as_array().unwrap().len(), 1001);
    }

    proptest! {
        #[test]
        fn what_is_read_is_what_was_written(written in any_json()) {
            for text in [written.to_string(), format!("{written:#}")] {
                prop_assert_eq!(&read(&text).unwrap(), &serde_json::from_str::<Value>(&text).unwrap());
                let mut pull = Pull::new(&text);
                prop_assert_eq!(pull.raw().unwrap(), Some(text.as_str()).filter(|text| *text != "null"));
            }
        }

        #[test]
        fn whatever_is_json_is_accepted_and_nothing_makes_it_panic(text in r#"([\[\]{}:,"\\ \n0-9e.é-]|true|null|"[a-z\\"u]*"|\\u[d0-9][89c]00){0,30}"#) {
            let is_json = serde_json::from_str::<Value>(&text).is_ok();
            prop_assert!(read(&text).is_ok() || !is_json);
            prop_assert!(skip(&text).is_ok() || !is_json);
            prop_assert!(skip(&text).is_ok() || read(&text).is_err());
        }
    }
}
