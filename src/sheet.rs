//! CSV as people write it: what a reader of CSV does not tell, for errors that point at the right line.

/// The bytes without a byte order mark.
pub fn without_mark(bytes: &[u8]) -> &[u8] {
    bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes)
}

/// Finds the lines of records. The reader's own count is short by one after Windows line ends, and by as many as there are blank lines.
#[derive(Debug, Default)]
pub struct Lines {
    at: usize,
    ends: u64,
}

impl Lines {
    /// The line, from 1, on which the record at `position` of `bytes` begins. Records are asked for in their order.
    pub fn of(&mut self, bytes: &[u8], position: &csv::Position) -> u64 {
        let start = usize::try_from(position.byte()).unwrap_or(usize::MAX).min(bytes.len());
        let blank = bytes[start..].iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
        if let Some(passed) = bytes.get(self.at..start + blank) {
            self.ends += passed.iter().filter(|byte| **byte == b'\n').count() as u64;
            self.at = start + blank;
        }
        self.ends + 1
    }
}

/// What is wrong with a row, without the reader's own count of lines.
pub fn reason(error: &csv::Error) -> String {
    match error.kind() {
        csv::ErrorKind::UnequalLengths { expected_len, len, .. } => {
            format!("this row has {len} cells, the header has {expected_len}")
        }
        csv::ErrorKind::Utf8 { .. } => "this row is not UTF-8".to_owned(),
        _ => error.to_string(),
    }
}

/// The line, from 1, on which a quoted cell opens that the file ends in: as CSV is commonly read, it would silently swallow every row
/// after it.
pub fn unclosed_quote(bytes: &[u8]) -> Option<u64> {
    enum Place {
        CellStart,
        Plain,
        Quoted(u64),
        /// After a quote within quotes: the end of the cell, or the first of a pair.
        QuoteInQuotes(u64),
    }
    memchr::memchr(b'"', bytes)?;
    let (mut line, mut place) = (1, Place::CellStart);
    for byte in without_mark(bytes) {
        place = match (byte, place) {
            (b'"', Place::CellStart) => Place::Quoted(line),
            (b'"', Place::Quoted(opened)) => Place::QuoteInQuotes(opened),
            (b'"', Place::QuoteInQuotes(opened)) => Place::Quoted(opened),
            (_, Place::Quoted(opened)) => Place::Quoted(opened),
            (b',' | b'\n' | b'\r', _) => Place::CellStart,
            _ => Place::Plain,
        };
        line += u64::from(*byte == b'\n');
    }
    if let Place::Quoted(opened) = place { Some(opened) } else { None }
}
