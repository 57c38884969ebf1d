//! Invented transcripts of rows `{id, kind, at, text}`, of which copies are made.

use super::*;
use proptest::prelude::*;
use serde::Deserialize;
use std::collections::BTreeSet;

/// A row has an id of its own, else a time that others may share, else only a kind.
fn identify(text: &str) -> Result<Identity, serde_json::Error> {
    #[derive(Deserialize)]
    struct Row {
        id: Option<String>,
        #[serde(default)]
        kind: String,
        at: Option<i64>,
        #[serde(default)]
        weight: u64,
    }
    let Row { id, kind, at, weight } = serde_json::from_str(text)?;
    let key = match (&id, at) {
        (Some(id), _) => Key::Own(Key::digest(id)),
        (None, Some(at)) => Key::Shared(Key::digest((at, &kind))),
        (None, None) => Key::Kind(Key::digest(&kind)),
    };
    let at = at.and_then(|at| jiff::Timestamp::from_second(at).ok());
    Ok(Identity { weight, ..Identity::new(key, at) })
}

fn union_of(copies: &[(PathBuf, Vec<u8>)]) -> Vec<Piece> {
    let mut threads = unite(copies, identify, |_, _| Some(())).expect("memory can be read");
    assert_eq!(threads.len(), 1);
    threads.remove(0).1
}

fn copies(texts: &[&str]) -> Vec<(PathBuf, Vec<u8>)> {
    let copy = |(number, text): (usize, &&str)| (PathBuf::from(format!("{number}.jsonl")), text.as_bytes().to_vec());
    texts.iter().enumerate().map(copy).collect()
}

/// The union as one text, with what is between the rows' braces only; pieces are separated by `|`.
fn united(texts: &[&str]) -> String {
    let text = |piece: Piece| String::from_utf8(piece.bytes).expect("rows are text");
    let pieces: Vec<String> = union_of(&copies(texts)).into_iter().map(text).collect();
    pieces.iter().map(|piece| piece.lines().collect::<Vec<_>>().join(" ")).collect::<Vec<_>>().join(" | ")
}

/// Rows with these ids.
fn rows(ids: &str) -> String {
    ids.chars().map(|id| format!("{{\"id\":\"{id}\"}}\n")).collect()
}

fn ids(texts: &[&str]) -> String {
    let only_ids =
        |part: &str| part.split("\"id\":\"").skip(1).filter_map(|row| row.chars().next()).collect::<String>();
    united(texts).split(" | ").map(only_ids).collect::<Vec<_>>().join("|")
}

#[test]
fn a_copy_that_another_begins_with_adds_nothing_not_even_its_cut_line() {
    let whole = format!("{}{}", rows("abc"), "{\"id\":\"d\"}");
    for copy in [&whole[..], &whole[..whole.len() - 3], &rows("ab"), ""] {
        let pieces = union_of(&copies(&[copy, &whole]));
        assert_eq!(pieces.len(), 1);
        assert_eq!(pieces[0].bytes, whole.as_bytes(), "the file as it is, also without a line end");
    }
    assert_eq!(union_of(&copies(&[""])), [Piece { path: PathBuf::from("0.jsonl"), bytes: Vec::new() }]);
}

#[test]
fn what_the_longest_copy_lacks_comes_behind_what_it_follows() {
    for (copies, union) in [
        (["abcdef", "abxc", "ac"], "abxcdef"),
        (["abcdef", "xab", "yab"], "xyabcdef"),
        (["abcdef", "xcd", "ef"], "abxcdef"),
        (["abcdef", "abcdx", "bcx"], "abcdxef"),
        (["abcdef", "axyf", "azf"], "axyzbcdef"),
        (["acef", "abef", "cdef"], "abcdef"),
        // The order is known only from all of them.
        (["acx", "abx", "bc"], "abcx"),
        (["az", "ay", "xy"], "axyz"),
        // A copy that contradicts a longer one gives way.
        (["abcdef", "acbxd", "da"], "abxcdef"),
        (["abcdef", "axyb", "yxc"], "axybcdef"),
    ] {
        let texts = copies.map(rows);
        assert_eq!(ids(&texts.each_ref().map(String::as_str)), union, "{copies:?}");
    }
}

#[test]
fn times_decide_where_the_order_does_not() {
    let row = |id: &str, at: u32| format!("{{\"id\":\"{id}\",\"at\":{at}}}\n");
    let base = [row("a", 1), row("b", 3), row("c", 5), row("d", 7)].concat();
    for (copy, union) in [
        ([row("a", 1), row("x", 4)].concat(), "abxcd"),
        ([row("a", 1), row("x", 9)].concat(), "abcdx"),
        ([row("x", 4), row("d", 7)].concat(), "abxcd"),
        ([row("x", 0), row("d", 7)].concat(), "xabcd"),
        // What stands between two neighbours stays there, whatever its time.
        ([row("a", 1), row("x", 9), row("b", 3)].concat(), "axbcd"),
        ([row("a", 1), rows("x")].concat(), "axbcd"),
    ] {
        assert_eq!(ids(&[&base, &copy]), union);
    }
}

#[test]
fn a_rewritten_row_is_the_same_row_and_the_first_version_stands_unless_it_is_less_complete() {
    let base = r#"{"id":"a","text":"the key is REDACTED"}
{"id":"b","weight":1}
{"id":"c","text":"longer"}"#;
    let copy = r#"{"id":"a","text":"it is 12"}
{"id":"b","weight":2}
{"id":"x"}"#;
    assert_eq!(
        united(&[base, copy]),
        r#"{"id":"a","text":"the key is REDACTED"} {"id":"b","weight":2} {"id":"x"} {"id":"c","text":"longer"}"#
    );
}

#[test]
fn rows_of_one_time_come_in_the_same_order_in_every_copy() {
    let row = |text: &str| format!("{{\"at\":1,\"text\":\"{text}\"}}\n");
    let base = ["one", "two", "three, which the other copy has without these words"].map(row).concat();
    let same = ["one", "two", "three", "four"].map(row).concat();
    let union = united(&[&base, &same]);
    assert_eq!(
        union,
        ["one", "two", "three, which the other copy has without these words", "four"]
            .map(row)
            .concat()
            .trim_end()
            .replace('\n', " ")
    );
    // What is known by its bytes is not taken for another.
    assert_eq!(
        united(&[&["two", "and a longer one"].map(row).concat(), &["one", "two"].map(row).concat()])
            .matches("two")
            .count(),
        1
    );
}

#[test]
fn rows_that_nothing_identifies_are_known_by_their_place() {
    let row = |kind: &str, text: &str| format!("{{\"kind\":\"{kind}\",\"text\":\"{text}\"}}\n");
    let base =
        [row("user", "go on"), row("agent", "REDACTED"), row("end", ""), row("user", "go on"), row("end", "")].concat();
    let copy =
        [row("user", "go on"), row("agent", "x"), row("end", ""), row("user", "go on"), row("note", "y")].concat();
    let union = [
        row("user", "go on"),
        row("agent", "REDACTED"),
        row("end", ""),
        row("user", "go on"),
        row("note", "y"),
        row("end", ""),
    ];
    assert_eq!(united(&[&base, &copy]), union.concat().trim_end().replace('\n', " "));
    // Equal rows count as often as they stand in the copy that has most of them.
    let twice = [row("user", "again"), row("user", "again")].concat();
    let thrice = [row("user", "again"), row("end", "of it"), row("user", "again"), row("user", "again")].concat();
    assert_eq!(united(&[&thrice, &twice]).matches("again").count(), 3);
}

#[test]
fn files_without_a_common_record_are_pieces_in_the_order_of_time() {
    let row = |id: &str, at: u32| format!("{{\"id\":\"{id}\",\"at\":{at}}}\n");
    let mode = "{\"kind\":\"mode\"}\n";
    let early = [mode, &row("a", 1), &row("b", 2)].concat();
    let late = [mode, &row("x", 5), &row("y", 6), &row("z", 7)].concat();
    let latest = row("q", 9);
    assert_eq!(ids(&[&late, &latest, &early]), "ab|xyz|q");
    // Each keeps the rows that nothing identifies, and their copies belong to them.
    let copy = [mode, &row("a", 1), &row("c", 3)].concat();
    let pieces = united(&[&late, &early, &copy]);
    assert_eq!(pieces.matches("mode").count(), 2, "{pieces}");
    assert_eq!(ids(&[&late, &early, &copy]), "abc|xyz");
    // A file that has something of both makes them one.
    let bridge = [row("b", 2), row("m", 4), row("x", 5)].concat();
    assert_eq!(ids(&[&late, &latest, &early, &bridge]), "abmxyz|q");
}

#[test]
fn damage_that_all_copies_have_is_there_once_and_a_whole_row_heals_it() {
    let count = |texts: &[&str]| {
        let mut report = super::super::ReadReport::default();
        for piece in union_of(&copies(texts)) {
            super::super::lines::for_each_record(&piece.bytes, &mut report, &mut |text| identify(text).map(|_| ()));
        }
        (report.records, report.repaired, report.bad)
    };
    let cut = "{\"id\":\"b\",\"te";
    let damaged = [&rows("a"), cut, "\n", &rows("cd")].concat();
    assert_eq!(count(&[&damaged, &[&rows("a"), cut, "\n", &rows("c")].concat()]), (3, 0, 1));
    assert_eq!(count(&[&damaged, &[&rows("a"), "{\"i\n", &rows("cx")].concat()]), (4, 0, 1), "cut elsewhere");
    assert_eq!(count(&[&[&damaged, "\n", &rows("ef")].concat(), &rows("abcd")]), (6, 0, 0));
    assert_eq!(count(&[&rows("abcdef"), &damaged]), (6, 0, 0));
    let glued = [&rows("a"), "{\"id\":\"b\"}{\"id\":\"c\"}\n", &rows("d")].concat();
    assert_eq!(count(&[&[&glued, &rows("e")[..]].concat(), &rows("abcd")]), (5, 1, 0));
    assert_eq!(count(&[&rows("abcd"), &glued]), (4, 0, 0));
    assert_eq!(count(&[&rows("abdefgh"), &glued]), (8, 0, 0), "what is new of a line with two rows is one of its own");
}

#[test]
fn a_copy_that_cannot_be_read_is_an_error_with_its_path() {
    struct Gone(PathBuf);
    impl Stored for Gone {
        fn path(&self) -> &Path {
            &self.0
        }
        fn file(&self) -> Option<&Path> {
            None
        }
        fn size(&self) -> io::Result<u64> {
            Err(io::Error::other("gone"))
        }
        fn load(&self) -> io::Result<Cow<'_, [u8]>> {
            Err(io::Error::other("gone"))
        }
    }
    for copies in [&[Gone(PathBuf::from("a"))][..], &[Gone(PathBuf::from("a")), Gone(PathBuf::from("b"))]] {
        let error = unite(copies, identify, |_, _| Some(())).expect_err("there is nothing");
        assert_eq!(error.to_string(), "cannot read a: gone");
    }
}

#[test]
fn lists_of_documents_are_united_alike() {
    let entry = |id: char, weight: u64| Identity { weight, ..Identity::new(Key::Own(Key::digest(id)), None) };
    let base: Vec<Identity> = "abcd".chars().map(|id| entry(id, 1)).collect();
    let copy = [entry('a', 2), entry('x', 0), entry('c', 0)];
    let chosen = vec![
        Chosen::Copy { at: 0, replaces: Some(0) },
        Chosen::Copy { at: 1, replaces: None },
        Chosen::Base(1),
        Chosen::Base(2),
        Chosen::Base(3),
    ];
    let places = [vec![0, 2, 3, 4], vec![0, 1, 3]];
    assert_eq!(merge(&base, &copy), Merged { chosen, places });
}

/// What a row of a random transcript has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Marks {
    Ids,
    IdsAndTimes,
    Times,
}

/// The row `number` in a version of it.
fn row(number: usize, marks: Marks, version: u8) -> String {
    let text = "REDACTED ".repeat(version as usize);
    match marks {
        Marks::Ids => format!("{{\"id\":\"{number}\",\"text\":\"{text}\"}}"),
        Marks::IdsAndTimes => format!("{{\"id\":\"{number}\",\"at\":{number},\"text\":\"{text}\"}}"),
        Marks::Times => format!("{{\"at\":{number},\"text\":\"{text}\"}}"),
    }
}

/// Which row a line is.
fn number(line: &str) -> usize {
    let digits = line.trim_start_matches(|c: char| !c.is_ascii_digit());
    digits
        .split(|c: char| !c.is_ascii_digit())
        .next()
        .and_then(|digits| digits.parse().ok())
        .expect("a row has a number")
}

/// Copies of a transcript: rows in order, each perhaps rewritten.
fn any_copies() -> impl Strategy<Value = (Marks, Vec<Vec<(usize, u8)>>)> {
    let marks = prop::sample::select(vec![Marks::Ids, Marks::IdsAndTimes, Marks::Times]);
    let copy = prop::collection::btree_map(0usize..24, prop::sample::select(vec![0u8, 0, 0, 1, 3]), 1..24);
    let copies = prop::collection::vec(copy.prop_map(|rows| rows.into_iter().collect::<Vec<_>>()), 1..6);
    (marks, copies)
}

fn files(marks: Marks, copies: &[Vec<(usize, u8)>]) -> Vec<(PathBuf, Vec<u8>)> {
    let file = |rows: &Vec<(usize, u8)>| {
        rows.iter().map(|&(number, version)| row(number, marks, version) + "\n").collect::<String>()
    };
    copies.iter().enumerate().map(|(at, rows)| (PathBuf::from(at.to_string()), file(rows).into_bytes())).collect()
}

fn numbers(piece: &Piece) -> Vec<usize> {
    String::from_utf8_lossy(&piece.bytes).lines().map(number).collect()
}

proptest! {
    #[test]
    fn the_union_has_every_row_once_and_every_copy_can_be_read_off_it((marks, copies) in any_copies()) {
        let pieces = union_of(&files(marks, &copies));
        let all: Vec<usize> = pieces.iter().flat_map(numbers).collect();
        let expected: BTreeSet<usize> = copies.iter().flatten().map(|(number, _)| *number).collect();
        prop_assert_eq!(all.len(), expected.len());
        prop_assert_eq!(all.iter().copied().collect::<BTreeSet<_>>(), expected);
        for copy in &copies {
            let piece = pieces.iter().map(numbers).find(|rows| rows.contains(&copy[0].0)).expect("it is in one of them");
            let places: Vec<Option<usize>> = copy.iter().map(|(number, _)| piece.iter().position(|other| other == number)).collect();
            prop_assert!(places.iter().all(Option::is_some), "a copy is in one piece");
            prop_assert!(places.is_sorted());
        }
        if marks != Marks::Ids {
            for piece in &pieces {
                prop_assert!(numbers(piece).is_sorted(), "times tell the whole order");
            }
        }
    }

    #[test]
    fn the_union_does_not_depend_on_the_order_in_which_copies_are_given((marks, copies) in any_copies(), turn in 0usize..6) {
        let mut files = files(marks, &copies);
        let union = union_of(&files);
        let turn = turn % files.len();
        files.rotate_left(turn);
        prop_assert_eq!(&union_of(&files), &union);
        files.reverse();
        prop_assert_eq!(&union_of(&files), &union);
    }

    #[test]
    fn cumulative_copies_are_as_good_as_the_longest(rows in 1usize..30, cuts in prop::collection::vec(0usize..30, 0..6), marks in prop::sample::select(vec![Marks::Ids, Marks::Times])) {
        let whole: Vec<(usize, u8)> = (0..rows).map(|number| (number, 0)).collect();
        let mut copies: Vec<Vec<(usize, u8)>> = cuts.into_iter().map(|cut| whole[..cut.min(rows)].to_vec()).collect();
        copies.push(whole.clone());
        let longest = files(marks, &[whole]).remove(0).1;
        let pieces = union_of(&files(marks, &copies));
        prop_assert_eq!(pieces.len(), 1);
        prop_assert_eq!(&pieces[0].bytes, &longest);
    }

    #[test]
    fn equal_rows_are_as_many_as_in_the_copy_that_has_most(copies in prop::collection::vec(prop::collection::vec(0usize..4, 1..12), 1..5)) {
        let text = |rows: &Vec<usize>| rows.iter().map(|row| format!("{{\"kind\":\"{row}\"}}\n")).collect::<String>();
        let files: Vec<(PathBuf, Vec<u8>)> = copies.iter().enumerate().map(|(at, rows)| (PathBuf::from(at.to_string()), text(rows).into_bytes())).collect();
        let pieces = union_of(&files);
        for kind in 0..4 {
            let most = copies.iter().map(|rows| rows.iter().filter(|row| **row == kind).count()).max().unwrap_or_default();
            let there: Vec<usize> = pieces.iter().map(|piece| numbers(piece).into_iter().filter(|row| *row == kind).count()).collect();
            prop_assert!(there.iter().copied().max() == Some(most) , "{kind}: {there:?} of {most}");
        }
    }

    #[test]
    fn no_bytes_make_it_panic_and_no_record_is_lost(lines in prop::collection::vec("\\PC{0,12}|\\{\"id\":\"[a-d]\"\\}(\\{\"id\":\"[a-d]\"\\})?|\\{\"kind\":\"[ab]", 0..12), cuts in prop::collection::vec((0usize..80, 0usize..80), 1..5)) {
        let whole = lines.join("\n").into_bytes();
        let part = |(begin, end): &(usize, usize)| {
            let (begin, end) = (*begin.min(end), *begin.max(end));
            whole[begin.min(whole.len())..end.min(whole.len())].to_vec()
        };
        let files: Vec<(PathBuf, Vec<u8>)> = cuts.iter().map(part).enumerate().map(|(at, bytes)| (PathBuf::from(at.to_string()), bytes)).collect();
        let ids = |bytes: &[u8]| {
            let mut ids = BTreeSet::new();
            super::super::lines::for_each_record(bytes, &mut super::super::ReadReport::default(), &mut |text| {
                identify(text)?;
                ids.extend(text.split("\"id\":\"").nth(1).map(|id| id[..1].to_owned()));
                Ok(())
            });
            ids
        };
        let union: BTreeSet<String> = union_of(&files).iter().flat_map(|piece| ids(&piece.bytes)).collect();
        let all: BTreeSet<String> = files.iter().flat_map(|(_, bytes)| ids(bytes)).collect();
        prop_assert_eq!(union, all);
    }
}
