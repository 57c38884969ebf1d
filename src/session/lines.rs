//! Takes the bytes of a JSON-lines file; gives the text of each JSON object in it, in order, also from damaged lines.
//!
//! A sound line goes to the caller as it stands. Only a line that the caller cannot parse is looked at again, piece by piece:
//! agents append without a final newline, are killed in mid-write and cut characters in half, and what follows the damage is
//! usually whole. A piece is looked at a bounded number of times, so a damaged line of 100 MB costs linear time too.

use super::ReadReport;
use memchr::{memchr, memchr_iter, memchr2};
use serde::Deserialize;
use serde::de::IgnoredAny;
use std::borrow::Cow;

/// Deeper nesting than this is damage, not data.
const DEEPEST: usize = 4096;

/// Calls `each` with the text of every JSON object in `bytes`, in order, and counts into `report`.
///
/// `each` parses the text and says whether it could; it must have no effect when it fails, since it is then called again with
/// what could be saved from the line.
pub fn for_each_record(
    bytes: &[u8],
    report: &mut ReadReport,
    each: &mut dyn FnMut(&str) -> Result<(), serde_json::Error>,
) {
    let mut rest = bytes;
    while !rest.is_empty() {
        let end = memchr(b'\n', rest).unwrap_or(rest.len());
        let line = rest[..end].trim_ascii();
        rest = rest.get(end + 1..).unwrap_or_default();
        if line.is_empty() {
            continue;
        }
        report.lines += 1;
        let sound = line.first() == Some(&b'{') && std::str::from_utf8(line).is_ok_and(|text| each(text).is_ok());
        if sound {
            report.records += 1;
        } else {
            let bad = report.bad;
            repair(
                &String::from_utf8_lossy(line),
                Contents { is_record: looks_like_record, in_list: false },
                report,
                each,
            );
            if report.bad == bad {
                report.repaired += 1;
            }
        }
    }
}

/// What a damaged text holds.
#[derive(Clone, Copy)]
struct Contents {
    /// Tells a record, found by searching, from a part of one.
    is_record: fn(&str) -> bool,
    /// Whether the records are elements of a list, so that brackets may close behind the last.
    in_list: bool,
}

/// Finds elements in the rest of a document's list, behind the place where it cannot be read on; `is_element` tells them from
/// their parts. Calls `each` and counts as [`for_each_record`] does.
pub(super) fn for_each_element(
    rest: &str,
    is_element: fn(&str) -> bool,
    report: &mut ReadReport,
    each: &mut dyn FnMut(&str) -> Result<(), serde_json::Error>,
) {
    repair(rest, Contents { is_record: is_element, in_list: true }, report, each);
}

/// Finds the objects of a damaged text.
fn repair(
    text: &str,
    contents: Contents,
    report: &mut ReadReport,
    each: &mut dyn FnMut(&str) -> Result<(), serde_json::Error>,
) {
    let bytes = text.as_bytes();
    let mut at = 0;
    // Whether the object at `at` begins a record. Found by searching behind damage, it may as well be a part of one.
    let mut certain = true;
    // Whether the damage around here is counted already.
    let mut counted = false;
    while let Some(start) = skip_separators(bytes, at, contents.in_list) {
        if bytes[start] != b'{' {
            report.bad += u64::from(!counted);
            counted = true;
            certain = false;
            at = next_object(bytes, start);
            continue;
        }
        match scan(bytes, start) {
            Scan::Whole { end } => {
                let object = mend(&text[start..end]);
                // Within a list a part of an element looks the same as an element from outside.
                let is_record = certain && !contents.in_list || (contents.is_record)(&object);
                if is_record && each(&object).is_ok() {
                    report.records += 1;
                    counted = false;
                    certain = true;
                } else if certain && !contents.in_list {
                    report.bad += 1;
                }
                at = end;
            }
            Scan::Broken { at: broken, inner, string_end } => {
                report.bad += u64::from(certain && !(contents.in_list && counted));
                counted = true;
                if let Some((from, to)) = inner {
                    let object = mend(&text[from..to]);
                    if (contents.is_record)(&object) && each(&object).is_ok() {
                        report.records += 1;
                    }
                }
                // A record cut within a string runs on into the next record up to that one's first quote: …"cut{"type":…
                let glued = string_end
                    .and_then(|quote| bytes[..quote].iter().rposition(|byte| !byte.is_ascii_whitespace()))
                    .filter(|&brace| brace > start && bytes[brace] == b'{');
                (at, certain) = match glued {
                    _ if bytes.get(broken) == Some(&b'{') => (broken, true),
                    Some(brace) => (brace, true),
                    None => (next_object(bytes, broken.max(start + 1)), false),
                };
            }
        }
    }
}

/// The first position from `at` on that is not blank, NUL, a comma, a byte order mark or, in a list, a closing bracket.
fn skip_separators(bytes: &[u8], mut at: usize, in_list: bool) -> Option<usize> {
    loop {
        match bytes.get(at..)? {
            [b' ' | b'\t' | b'\r' | b'\n' | b'\0' | b',', ..] => at += 1,
            [b'}' | b']', ..] if in_list => at += 1,
            [0xEF, 0xBB, 0xBF, ..] => at += 3,
            [_, ..] => return Some(at),
            [] => return None,
        }
    }
}

/// Where an object with a key next begins, or the end.
fn next_object(bytes: &[u8], from: usize) -> usize {
    let has_key = |brace: &usize| bytes[brace + 1..].iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'"');
    let rest = bytes.get(from..).unwrap_or_default();
    memchr_iter(b'{', rest).map(|offset| from + offset).find(has_key).unwrap_or(bytes.len())
}

/// Whether an object found behind damage is a transcript's row and not a part of one.
fn looks_like_record(text: &str) -> bool {
    #[derive(Deserialize)]
    struct Marks {
        #[serde(rename = "type")]
        kind: Option<IgnoredAny>,
        timestamp: Option<IgnoredAny>,
        #[serde(rename = "sessionId")]
        session_id: Option<IgnoredAny>,
        uuid: Option<IgnoredAny>,
        payload: Option<IgnoredAny>,
        #[serde(rename = "leafUuid")]
        leaf_uuid: Option<IgnoredAny>,
        #[serde(rename = "projectHash")]
        project: Option<IgnoredAny>,
        role: Option<IgnoredAny>,
        message: Option<IgnoredAny>,
        #[serde(rename = "$set")]
        set: Option<IgnoredAny>,
        #[serde(rename = "$rewindTo")]
        rewind: Option<IgnoredAny>,
    }
    serde_json::from_str::<Marks>(text).is_ok_and(|marks| {
        let Marks { kind, timestamp, session_id, uuid, payload, leaf_uuid, project, role, message, set, rewind } =
            marks;
        let is_typed = kind.is_some() && [timestamp, session_id, uuid, payload, leaf_uuid].iter().any(Option::is_some);
        let is_message = role.is_some() && message.is_some();
        is_typed || is_message || session_id.is_some() && project.is_some() || set.is_some() || rewind.is_some()
    })
}

/// How far an object could be followed.
enum Scan {
    /// To its closing brace; `end` is behind it.
    Whole { end: usize },
    /// Up to `at`, where no JSON can go on.
    Broken {
        /// The offending byte, or the end of the line.
        at: usize,
        /// The last object inside that is whole and has nothing but blanks between itself and `at`.
        inner: Option<(usize, usize)>,
        /// The closing quote of a string that is the last thing before `at`.
        string_end: Option<usize>,
    },
}

/// What may come next.
#[derive(Clone, Copy)]
enum Expect {
    Value,
    ValueOrEnd,
    Key,
    KeyOrEnd,
    Colon,
    CommaOrEnd,
}

/// Follows the object that begins at `start`: its structure only; values are the parser's business.
fn scan(bytes: &[u8], start: usize) -> Scan {
    let mut open: Vec<usize> = Vec::new();
    let mut expect = Expect::Value;
    let mut at = start;
    let mut inner = None;
    let mut string_end = None;
    loop {
        while bytes.get(at).is_some_and(|b| matches!(b, b' ' | b'\t' | b'\r' | b'\n' | b'\0')) {
            at += 1;
        }
        let broken = Scan::Broken { at, inner, string_end };
        let Some(&byte) = bytes.get(at) else { return broken };
        inner = None;
        string_end = None;
        match (expect, byte) {
            (Expect::Value | Expect::ValueOrEnd, b'{' | b'[') => {
                if open.len() == DEEPEST {
                    return Scan::Broken { at: at + 1, inner: None, string_end: None };
                }
                open.push(at);
                expect = if byte == b'{' { Expect::KeyOrEnd } else { Expect::ValueOrEnd };
                at += 1;
            }
            (Expect::Value | Expect::ValueOrEnd | Expect::Key | Expect::KeyOrEnd, b'"') => {
                match string(bytes, at + 1) {
                    Ok(quote) => {
                        string_end = Some(quote);
                        at = quote + 1;
                    }
                    Err(offending) => return Scan::Broken { at: offending, inner: None, string_end: None },
                }
                expect = match expect {
                    Expect::Key | Expect::KeyOrEnd => Expect::Colon,
                    _ => Expect::CommaOrEnd,
                };
            }
            (Expect::Value | Expect::ValueOrEnd, b'-' | b'0'..=b'9' | b't' | b'f' | b'n') => {
                while bytes.get(at).is_some_and(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.')) {
                    at += 1;
                }
                expect = Expect::CommaOrEnd;
            }
            (Expect::Colon, b':') => {
                expect = Expect::Value;
                at += 1;
            }
            (Expect::CommaOrEnd, b',') => {
                let in_object = open.last().is_some_and(|&from| bytes[from] == b'{');
                expect = if in_object { Expect::Key } else { Expect::Value };
                at += 1;
            }
            (Expect::KeyOrEnd | Expect::ValueOrEnd | Expect::CommaOrEnd, b'}' | b']') => {
                let opening = if byte == b'}' { b'{' } else { b'[' };
                let Some(from) = open.pop_if(|from| bytes[*from] == opening) else { return broken };
                at += 1;
                if open.is_empty() {
                    return Scan::Whole { end: at };
                }
                if opening == b'{' {
                    inner = Some((from, at));
                }
                expect = Expect::CommaOrEnd;
            }
            _ => return broken,
        }
    }
}

/// The closing quote of the string whose text begins at `at`, or where it cannot go on.
fn string(bytes: &[u8], mut at: usize) -> Result<usize, usize> {
    loop {
        at += memchr2(b'"', b'\\', &bytes[at..]).ok_or(bytes.len())?;
        if bytes[at] == b'"' {
            return Ok(at);
        }
        match bytes.get(at + 1) {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => at += 2,
            Some(b'u') => {
                let digits = (at + 2..at + 6).find(|&i| !bytes.get(i).is_some_and(u8::is_ascii_hexdigit));
                if let Some(offending) = digits {
                    return Err(offending.min(bytes.len()));
                }
                at += 6;
            }
            _ => return Err(at + 1),
        }
    }
}

/// The JSON with control characters escaped, or blank between its tokens, and halves of surrogate pairs replaced, where it has any.
pub(super) fn mend(text: &str) -> Cow<'_, str> {
    let bytes = text.as_bytes();
    let mut mended = String::new();
    let mut copied = 0;
    let mut at = 0;
    let mut in_string = false;
    while let Some(&byte) = bytes.get(at) {
        let (length, replacement): (usize, Option<Cow<'_, str>>) = match byte {
            b'"' => {
                in_string = !in_string;
                (1, None)
            }
            b'\\' if in_string => match code_unit(bytes, at) {
                Some(0xD800..=0xDBFF) if matches!(code_unit(bytes, at + 6), Some(0xDC00..=0xDFFF)) => (12, None),
                Some(0xD800..=0xDFFF) => (6, Some(r"\ufffd".into())),
                _ => (2, None),
            },
            0..=0x1F if in_string => (1, Some(format!("\\u{byte:04x}").into())),
            b'\t' | b'\n' | b'\r' => (1, None),
            0..=0x1F => (1, Some(" ".into())),
            _ => (1, None),
        };
        if let Some(replacement) = replacement {
            mended.push_str(&text[copied..at]);
            mended.push_str(&replacement);
            copied = at + length;
        }
        at += length;
    }
    if copied == 0 {
        return Cow::Borrowed(text);
    }
    mended.push_str(&text[copied..]);
    Cow::Owned(mended)
}

/// The UTF-16 code unit of the escape `\uXXXX` at `at`.
fn code_unit(bytes: &[u8], at: usize) -> Option<u16> {
    let digits = bytes.get(at..at + 6)?.strip_prefix(b"\\u")?;
    digits.iter().try_fold(0u16, |unit, &digit| Some(unit << 4 | (digit as char).to_digit(16)? as u16))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    fn read(bytes: impl AsRef<[u8]>) -> (Vec<Value>, ReadReport) {
        let mut report = ReadReport::default();
        let mut found = Vec::new();
        for_each_record(bytes.as_ref(), &mut report, &mut |text| {
            found.push(serde_json::from_str(text)?);
            Ok(())
        });
        assert_eq!(found.len() as u64, report.records);
        (found, report)
    }

    fn counts(report: &ReadReport) -> (u64, u64, u64, u64) {
        (report.lines, report.records, report.repaired, report.bad)
    }

    #[test]
    fn sound_lines_pass_as_they_are_also_without_a_final_newline() {
        let (found, report) = read("{\"a\":1}\n\n  \r\n{\"b\":2}\r\n{\"c\":3}");
        assert_eq!(found, [json!({"a":1}), json!({"b":2}), json!({"c":3})]);
        assert_eq!(counts(&report), (3, 3, 0, 0));
    }

    #[test]
    fn a_byte_order_mark_costs_no_record() {
        let (found, report) = read(b"\xEF\xBB\xBF{\"a\":1}\n{\"b\":2}\n");
        assert_eq!(found.len(), 2);
        assert_eq!(counts(&report), (2, 2, 1, 0));
    }

    #[test]
    fn objects_glued_on_one_line_are_told_apart() {
        let (found, report) = read("{\"a\":\"}{\"}{\"b\":{\"c\":[1]}}{\"d\":null}\n");
        assert_eq!(found, [json!({"a":"}{"}), json!({"b":{"c":[1]}}), json!({"d":null})]);
        assert_eq!(counts(&report), (1, 3, 1, 0));
    }

    #[test]
    fn runs_of_nul_are_skipped() {
        let (found, report) = read("\0\0\0{\"a\":1}\0\0\0{\"b\":2}\n\0\0\n");
        assert_eq!(found, [json!({"a":1}), json!({"b":2})]);
        assert_eq!(counts(&report), (2, 2, 2, 0));
        let (found, report) = read("{\"a\":\0\0[1,\0 2]\0}\n{\"b\":\"\0\"}\n");
        assert_eq!(found, [json!({"a":[1,2]}), json!({"b":"\0"})], "within a text they are data");
        assert_eq!(counts(&report), (2, 2, 2, 0));
    }

    #[test]
    fn rows_of_every_format_are_found_behind_garbage() {
        for row in [
            r#"{"type":"user","uuid":"u"}"#,
            r#"{"timestamp":"t","type":"event_msg","payload":{}}"#,
            r#"{"role":"user","message":{"content":[]}}"#,
            r#"{"sessionId":"s","projectHash":"p"}"#,
            r#"{"$set":{"messages":[]}}"#,
            r#"{"$rewindTo":"m"}"#,
            r#"{"id":"m","timestamp":"t","type":"gemini"}"#,
        ] {
            let (found, report) = read(format!("<<<<<<< {{\"role\":\"user\"}} {row}\n"));
            assert_eq!(found, [serde_json::from_str::<Value>(row).unwrap()]);
            assert_eq!(counts(&report), (1, 1, 0, 1));
        }
    }

    #[test]
    fn elements_are_found_behind_damage_in_a_list() {
        let is_element = |text: &str| serde_json::from_str::<Value>(text).is_ok_and(|value| value.get("id").is_some());
        for (rest, ids, bad) in [
            (r#"{"id":1} {"id":2}],"after":{"a":1}}"#, vec![1, 2], 1),
            (",{\"id\":1,\"x\":\"cut\n  },\n  {\n    \"id\": 2\n  },{\"id\":3}]}\n", vec![2, 3], 1),
            (r#",{"id":1,"x":{"y":tru"#, vec![], 1),
            (r#",{"id":1,"x":{"y":tru,{"z":{"id":2}},{"id":3}]}"#, vec![3], 1),
            ("]}", vec![], 0),
        ] {
            let mut report = ReadReport::default();
            let mut found = Vec::new();
            for_each_element(rest, is_element, &mut report, &mut |text| {
                found.push(serde_json::from_str::<Value>(text)?["id"].clone());
                Ok(())
            });
            assert_eq!((found, report.bad), (ids.into_iter().map(Value::from).collect(), bad), "{rest}");
        }
    }

    #[test]
    fn a_good_object_behind_a_truncated_one_is_recovered() {
        let row = r#"{"type":"user","uuid":"u","message":{"content":"{\"x\":1}"}}"#;
        let whole = r#"{"s":"text \" \u00e9 end","n":-1.5e3,"l":[true,{"k":{}}],"m":{"o":"p"}}"#;
        for cut in 1..whole.len() {
            if !whole.is_char_boundary(cut) {
                continue;
            }
            let (found, report) = read(format!("{}{row}\n", &whole[..cut]));
            assert_eq!(found, [serde_json::from_str::<Value>(row).unwrap()], "cut at {cut}: {}", &whole[..cut]);
            assert_eq!(counts(&report), (1, 1, 0, 1), "cut at {cut}");
        }
    }

    #[test]
    fn a_truncated_line_yields_none_of_its_parts() {
        let (found, report) =
            read("{\"type\":\"user\",\"message\":{\"role\":\"user\",\"content\":[{\"type\":\"text\"}\n{\"a\":1}\n");
        assert_eq!(found, [json!({"a":1})]);
        assert_eq!(counts(&report), (2, 1, 0, 1));
        let (found, report) = read("{\"a\":1 x,\"b\":{\"c\":2}}\n");
        assert_eq!((found.len(), counts(&report)), (0, (1, 0, 0, 1)));
    }

    #[test]
    fn broken_characters_are_replaced() {
        let (found, report) =
            read(b"{\"a\":\"x\xFFy\"}\n{\"b\":\"\\ud83d \\uDE00 \\ud83d\\ude00 \\\\ud83d\"}\n{\"c\":\"1\t2\0\"}\n");
        assert_eq!(found[0], json!({"a":"x\u{FFFD}y"}));
        assert_eq!(found[1], json!({"b":"\u{FFFD} \u{FFFD} \u{1F600} \\ud83d"}));
        assert_eq!(found[2], json!({"c":"1\t2\0"}));
        assert_eq!(counts(&report), (3, 3, 3, 0));
    }

    #[test]
    fn what_is_no_object_is_bad() {
        let (found, report) = read("[1]\nnull\nhello {\"type\":\"x\",\"uuid\":\"y\"}\n{]\n");
        assert_eq!(found.len(), 1);
        assert_eq!(counts(&report), (4, 1, 0, 4));
    }

    #[test]
    fn a_long_damaged_line_takes_linear_time() {
        for piece in ["{\"a\":", "{\"a\":\"{", "[{\"", "{\"a\":1}x", "\\", "\"{\" ", "{\"type\":1,\"uuid\":2},{"] {
            let line = piece.repeat(4_000_000 / piece.len());
            let began = std::time::Instant::now();
            read(&line);
            assert!(began.elapsed().as_secs() < 20, "{piece}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            read(bytes);
        }

        #[test]
        fn mutated_lines_do_not_panic_and_neighbours_survive(
            cuts in proptest::collection::vec((0usize..90, any::<u8>()), 0..6), until in 0usize..90,
        ) {
            let mut line = br#"{"type":"user","uuid":"u\ud83d\ude00","message":{"content":[{"n":1.5e3},null,"a\"b"]},"x":{}}"#.to_vec();
            for (at, byte) in cuts {
                line[at] = if byte == b'\n' { b' ' } else { byte };
            }
            line.truncate(until);
            let mut file = b"{\"first\":1}\n".to_vec();
            file.extend_from_slice(&line);
            file.extend_from_slice(b"\n{\"last\":1}");
            let (found, _) = read(file);
            prop_assert_eq!(found.first(), Some(&json!({"first":1})));
            prop_assert_eq!(found.last(), Some(&json!({"last":1})));
        }
    }
}
