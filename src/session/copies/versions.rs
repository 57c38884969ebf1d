//! Takes rows of two copies that nothing tells apart but their text; gives which are versions of each other.

/// More pairs than this are not compared: then rows belong together in their order.
const MOST_PAIRS: usize = 1 << 20;

/// Two texts of which all is alike.
const SAME: u64 = 1 << 16;

/// A row, with a mark that versions of it do not differ in.
pub(super) type Row<'a> = (Option<u64>, &'a [u8]);

/// What rows have to have in common to be versions of each other.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Frame {
    /// How many bytes all rows begin and end with: they tell nothing.
    begin: usize,
    end: usize,
    /// How much of what stands between has to be alike.
    least: u64,
}

impl Frame {
    /// The frame of rows such as `rows`; without two of them there is nothing to tell it by.
    pub(super) fn of(rows: &[&[u8]]) -> Frame {
        /// Words that are taken out cut a row into pieces; of other words hardly any stand at the same ends.
        const LEAST: u64 = SAME / 8;
        let Some((first, others)) = rows.split_first().filter(|(_, others)| !others.is_empty()) else {
            return Frame::default();
        };
        let begin = others.iter().map(|other| common(first.iter(), other.iter())).min().unwrap_or_default();
        let end = others.iter().map(|other| common(first.iter().rev(), other.iter().rev())).min().unwrap_or_default();
        Frame { begin, end, least: LEAST }
    }
}

fn common<'a>(row: impl Iterator<Item = &'a u8>, other: impl Iterator<Item = &'a u8>) -> usize {
    row.zip(other).take_while(|(row, other)| row == other).count()
}

/// For each of `rows` the place of its version among `others`. Both are in order, either may lack some: the rows that are most alike
/// belong together.
pub(super) fn pair(rows: &[Row<'_>], others: &[Row<'_>], frame: Frame) -> Vec<Option<usize>> {
    if rows.len().saturating_mul(others.len()) > MOST_PAIRS {
        return (0..rows.len()).map(|row| (row < others.len()).then_some(row)).collect();
    }
    // The best that can be made of what begins at a row and at another.
    let width = others.len() + 1;
    let mut best = vec![0u64; (rows.len() + 1) * width];
    let mut likeness = vec![0u64; rows.len() * others.len()];
    for row in (0..rows.len()).rev() {
        for other in (0..others.len()).rev() {
            let alike = alike(rows[row], others[other], frame);
            let next = (row + 1) * width + other;
            likeness[row * others.len() + other] = alike;
            best[row * width + other] = (alike + best[next + 1]).max(best[next]).max(best[row * width + other + 1]);
        }
    }
    let mut pairs = vec![None; rows.len()];
    let (mut row, mut other) = (0, 0);
    while row < rows.len() && other < others.len() {
        let here = best[row * width + other];
        let alike = likeness[row * others.len() + other];
        if alike > 0 && here == alike + best[(row + 1) * width + other + 1] {
            pairs[row] = Some(other);
            (row, other) = (row + 1, other + 1);
        } else if here == best[(row + 1) * width + other] {
            row += 1;
        } else {
            other += 1;
        }
    }
    pairs
}

/// How much two rows have in common at their ends: what is taken out or put in stands between. Nothing if they are no versions of
/// each other, and else something, so that as many rows as possible find one.
fn alike((mark, a): Row<'_>, (other_mark, b): Row<'_>, frame: Frame) -> u64 {
    match (mark, other_mark) {
        (Some(mark), Some(other)) if mark == other => return 2 * SAME,
        (Some(_), Some(_)) => return 0,
        _ => {}
    }
    let shorter = a.len().min(b.len());
    let begin = common(a.iter(), b.iter());
    let end = common(a.iter().rev(), b.iter().rev()).min(shorter - begin);
    let alike = begin.saturating_sub(frame.begin) + end.saturating_sub(frame.end);
    let all = a.len().max(b.len()).saturating_sub(frame.begin + frame.end);
    let share = if all == 0 { SAME } else { alike as u64 * SAME / all as u64 };
    if share < frame.least { 0 } else { 1 + share }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(rows: &[&str], others: &[&str]) -> Vec<Option<usize>> {
        let rows: Vec<Row<'_>> = rows.iter().map(|row| (None, row.as_bytes())).collect();
        let others: Vec<Row<'_>> = others.iter().map(|row| (None, row.as_bytes())).collect();
        pair(&rows, &others, Frame::default())
    }

    #[test]
    fn what_is_most_alike_belongs_together_in_order() {
        let whole = ["the first is 12 long", "a second one", "the first is 13 long"];
        assert_eq!(pairs(&["the first is REDACTED long", "a REDACTED one"], &whole), [Some(0), Some(1)]);
        assert_eq!(pairs(&["a 2nd one", "the first is REDACTED long"], &whole), [Some(1), Some(2)]);
        assert_eq!(pairs(&whole, &["a 2nd one"]), [None, Some(0), None]);
        assert_eq!(pairs(&["x"], &whole), [Some(0)], "one of them it must be");
        assert_eq!(pairs(&["x", "x"], &["x"]), [Some(0), None]);
        assert_eq!(pairs(&[], &whole), []);
        assert_eq!(pairs(&["", ""], &["", "", ""]), [Some(0), Some(1)]);
    }

    #[test]
    fn rows_with_different_marks_are_never_versions_of_each_other() {
        let rows: [Row<'_>; 3] = [(Some(1), b"a"), (Some(2), b"b"), (None, b"c")];
        assert_eq!(pair(&rows[..1], &rows[1..2], Frame::default()), [None]);
        assert_eq!(pair(&rows[..2], &[(Some(2), b"a")], Frame::default()), [None, Some(0)]);
        assert_eq!(pair(&rows, &[(None, b"b"), (Some(3), b"c")], Frame::default()), [None, Some(0), Some(1)]);
    }

    #[test]
    fn what_all_rows_have_does_not_make_two_of_them_versions() {
        let known: [&[u8]; 3] =
            [b"{\"text\":\"fourth\"}", b"{\"text\":\"on and on\"}", b"{\"text\":\"it is 12, is it not\"}"];
        let frame = Frame::of(&known);
        let others = known.map(|row| (None, row));
        let pair = |row: &str| pair(&[(None, row.as_bytes())], &others, frame);
        assert_eq!(pair("{\"text\":\"it is REDACTED, is it not\"}"), [Some(2)]);
        assert_eq!(pair("{\"text\":\"another matter\"}"), [None]);
        assert_eq!(Frame::of(&known[..1]).least, 0, "from one row nothing can be told");
    }

    #[test]
    fn very_many_rows_belong_together_in_their_order() {
        let rows: Vec<String> = (0..2000).map(|row| row.to_string()).collect();
        let rows: Vec<Row<'_>> = rows.iter().map(|row| (None, row.as_bytes())).collect();
        let pairs = pair(&rows, &rows[..1900], Frame::default());
        assert!(pairs.iter().enumerate().all(|(at, found)| *found == (at < 1900).then_some(at)));
    }
}
