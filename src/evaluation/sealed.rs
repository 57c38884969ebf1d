//! The sealed part of a gold, its test split: who tunes to it measures nothing by it any more.
//!
//! Takes the gold, the part of it that is looked at, and the ledger's lines on the task; says how often the test split was opened, who was
//! ever scored on this part, and which units are not to be named.

use super::compared::Changed;
use crate::agreement::FieldAgreement;
use crate::gold::{Gold, Split};
use crate::store::Evaluation;
use jiff::Timestamp;
use std::collections::{BTreeSet, HashMap, HashSet};

/// Fewer units of the test split than this are no group of their own.
pub const FEWEST_HIDDEN: usize = 5;

/// The split of this name; `None` for `all`.
pub fn split_named(name: &str) -> Option<Split> {
    match name {
        "dev" => Some(Split::Dev),
        "test" => Some(Split::Test),
        _ => None,
    }
}

/// Which units of a gold are not named: those of its test split, unless someone asks for them.
#[derive(Debug, Clone, Default)]
pub struct Seal {
    hidden: HashSet<String>,
}

impl Seal {
    /// Of this gold. With `show_test` nothing is hidden.
    pub fn of(gold: &Gold, show_test: bool) -> Seal {
        let test = gold.rows.iter().filter(|row| !show_test && row.split == Some(Split::Test));
        Seal { hidden: test.map(|row| row.unit.to_string()).collect() }
    }

    /// Whether the unit is not to be named.
    pub fn hides(&self, unit: &str) -> bool {
        self.hidden.contains(unit)
    }

    /// Takes groups that hold hidden units, but fewer than [`FEWEST_HIDDEN`], out of `groups` (unit → group): a figure of few units tells what
    /// the answer to each of them is. Gives how many groups these are.
    pub fn leave_out_small_groups<U>(&self, groups: &mut HashMap<U, String>, name: impl Fn(&U) -> &str) -> usize {
        let mut hidden: HashMap<String, usize> = HashMap::new();
        for (_, group) in groups.iter().filter(|(unit, _)| self.hides(name(unit))) {
            *hidden.entry(group.clone()).or_default() += 1;
        }
        hidden.retain(|_, count| *count < FEWEST_HIDDEN);
        groups.retain(|_, group| !hidden.contains_key(group));
        hidden.len()
    }

    /// The units as they may be told.
    pub fn told(&self, units: impl IntoIterator<Item = String>) -> Changed {
        let mut told = Changed::default();
        for unit in units {
            told.count += 1;
            match self.hides(&unit) {
                true => told.hidden += 1,
                false => told.units.push(unit),
            }
        }
        told
    }

    /// Leaves disagreements on hidden units out of what `agree` tells; gives of how many units.
    pub fn hide_disagreements<'f>(&self, fields: impl IntoIterator<Item = &'f mut FieldAgreement>) -> usize {
        let mut left_out = BTreeSet::new();
        for pair in fields.into_iter().flat_map(|field| &mut field.pairs) {
            pair.disagreements.retain(|one| {
                let is_hidden = self.hides(&one.unit);
                if is_hidden {
                    left_out.insert(one.unit.clone());
                }
                !is_hidden
            });
        }
        left_out.len()
    }
}

/// How often the test split was opened, this time included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Opened {
    /// How often.
    pub times: usize,
    /// In how many of these times single units were shown.
    pub shown: usize,
}

impl Opened {
    /// In words.
    pub fn in_words(self) -> String {
        let times = |count: usize| if count == 1 { "1 time".to_owned() } else { format!("{count} times") };
        let shown = match self.shown {
            0 => String::new(),
            shown => format!(", its single units shown {}", times(shown)),
        };
        format!("test opened {} for this task{shown}", times(self.times))
    }
}

/// The ledger's lines on one task, looked at for one part of one gold.
#[derive(Debug, Clone, Copy)]
pub struct Looks<'l> {
    lines: &'l [Evaluation],
    gold: &'l Gold,
    split: Option<Split>,
}

impl<'l> Looks<'l> {
    /// Of a part of a gold, among the lines on its task.
    pub fn at(gold: &'l Gold, split: Option<Split>, lines: &'l [Evaluation]) -> Looks<'l> {
        Looks { lines, gold, split }
    }

    /// Whether the test split is looked at: where the gold has none there is nothing to keep.
    pub fn opens_test(gold: &Gold, split: Option<Split>) -> bool {
        split != Some(Split::Dev) && gold.rows.iter().any(|row| row.split == Some(Split::Test))
    }

    /// Every rater who was ever scored on this part of this gold, and those who are now. Who was scored on all of it was scored on each part,
    /// and the other way round. A file that was edited since is the same gold, and so is one that was moved: a corrected cell does not undo a try.
    pub fn raters<'r>(&self, now: impl Iterator<Item = &'r str>) -> Vec<String> {
        let before = self.lines.iter().filter(|line| {
            let other = split_named(&line.split);
            let is_same = line.gold_hash == self.gold.hash || line.gold_path == self.gold.path.display().to_string();
            is_same && (self.split.is_none() || other.is_none() || other == self.split)
        });
        let before = before.map(|line| line.rater.clone());
        before.chain(now.map(str::to_owned)).collect::<BTreeSet<String>>().into_iter().collect()
    }

    /// How often the test split was opened, this time included; `None` where it is not looked at. A gold that was changed since keeps its
    /// count: its test units were seen. `shown` is whether single units are shown now.
    pub fn opened(&self, shown: bool) -> Option<Opened> {
        if !Looks::opens_test(self.gold, self.split) {
            return None;
        }
        // All of an earlier gold is known to have had a test split where one of its parts was asked for.
        let parted: HashSet<&str> = (self.lines.iter())
            .filter(|line| split_named(&line.split).is_some())
            .map(|line| line.gold_hash.as_str())
            .chain([self.gold.hash.as_str()])
            .collect();
        let opens = |line: &&Evaluation| match split_named(&line.split) {
            Some(split) => split == Split::Test,
            None => parted.contains(line.gold_hash.as_str()),
        };
        let times: BTreeSet<Timestamp> = self.lines.iter().filter(opens).map(|line| line.at).collect();
        let with_units: BTreeSet<Timestamp> =
            self.lines.iter().filter(opens).filter(|line| line.shown_to.is_some()).map(|line| line.at).collect();
        Some(Opened { times: times.len() + 1, shown: with_units.len() + usize::from(shown) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gold::GoldRow;
    use crate::unit::UnitId;
    use std::path::PathBuf;

    fn gold(hash: &str, splits: &[Option<Split>]) -> Gold {
        let row = |(nth, split): (usize, &Option<Split>)| GoldRow {
            line: nth as u64 + 2,
            unit: UnitId::from_text(format!("codex:s#{nth}")),
            rater: "gold".to_owned(),
            fields: serde_json::Map::new(),
            session: None,
            split: *split,
            probability: None,
            stratum: None,
            note: None,
            date: None,
        };
        let rows = splits.iter().enumerate().map(row).collect();
        Gold { path: PathBuf::from("gold/tone.csv"), hash: hash.to_owned(), rows }
    }

    fn line(rater: &str, hash: &str, split: &str, second: i64, shown_to: Option<&str>) -> Evaluation {
        Evaluation {
            rater: rater.to_owned(),
            task: "tone".to_owned(),
            field: "label".to_owned(),
            gold_path: "gold/tone.csv".to_owned(),
            gold_hash: hash.to_owned(),
            split: split.to_owned(),
            at: Timestamp::from_second(second).unwrap(),
            metric: "cohen_kappa".to_owned(),
            value: Some(0.5),
            items: 10,
            shown_to: shown_to.map(str::to_owned),
        }
    }

    #[test]
    fn groups_of_few_test_units_are_left_out() {
        let splits = [[Some(Split::Test); 6], [Some(Split::Dev); 6]].concat();
        let gold = gold("1", &splits);
        let group = |nth: usize| {
            if nth == 0 {
                "one"
            } else if nth < 6 {
                "five"
            } else {
                "dev"
            }
            .to_owned()
        };
        let mut groups: HashMap<String, String> = (0..12).map(|nth| (format!("codex:s#{nth}"), group(nth))).collect();
        assert_eq!(Seal::of(&gold, false).leave_out_small_groups(&mut groups, String::as_str), 1);
        assert!(groups.len() == 11 && !groups.values().any(|group| group == "one"));
        assert_eq!(Seal::of(&gold, true).leave_out_small_groups(&mut groups, String::as_str), 0);
    }

    #[test]
    fn openings_are_counted_by_time_over_all_versions_of_the_gold() {
        let both = gold("new", &[Some(Split::Dev), Some(Split::Test)]);
        let lines = [
            line("a", "new", "test", 1, None),
            // The same look at a second rater.
            line("b", "new", "test", 1, None),
            line("a", "new", "dev", 2, None),
            line("a", "new", "all", 3, Some("ada")),
            line("c", "old", "test", 4, None),
            line("c", "old", "all", 5, None),
            // Nobody knows whether this one had a test split.
            line("c", "older", "all", 6, None),
        ];
        let opened = |split, shown| Looks::at(&both, split, &lines).opened(shown);
        assert_eq!(opened(None, false), Some(Opened { times: 5, shown: 1 }));
        assert_eq!(opened(Some(Split::Test), true), Some(Opened { times: 5, shown: 2 }));
        assert_eq!(opened(Some(Split::Dev), false), None);
        assert_eq!(Looks::at(&gold("new", &[None, Some(Split::Dev)]), None, &lines).opened(false), None);
        assert_eq!(
            opened(None, false).unwrap().in_words(),
            "test opened 5 times for this task, its single units shown 1 time"
        );
        assert_eq!(Opened { times: 1, shown: 0 }.in_words(), "test opened 1 time for this task");
    }

    #[test]
    fn raters_are_those_of_this_gold_and_part() {
        let both = gold("new", &[Some(Split::Dev), Some(Split::Test)]);
        let lines = [
            line("a", "new", "test", 1, None),
            line("b", "new", "dev", 2, None),
            line("c", "new", "all", 3, None),
            // The file as it was before an edit, and another file.
            line("d", "old", "test", 4, None),
            Evaluation { gold_path: "gold/other.csv".to_owned(), ..line("e", "other", "test", 5, None) },
        ];
        let raters = |split| Looks::at(&both, split, &lines).raters(["z"].into_iter());
        assert_eq!(raters(Some(Split::Test)), ["a", "c", "d", "z"]);
        assert_eq!(raters(Some(Split::Dev)), ["b", "c", "z"]);
        assert_eq!(raters(None), ["a", "b", "c", "d", "z"]);
    }

    #[test]
    fn units_of_the_test_split_are_counted_and_not_named() {
        let gold = gold("new", &[Some(Split::Dev), Some(Split::Test), None]);
        let units = || (0..3).map(|nth| format!("codex:s#{nth}"));
        let told = Seal::of(&gold, false).told(units());
        assert_eq!((told.count, told.hidden, told.units), (3, 1, vec!["codex:s#0".to_owned(), "codex:s#2".to_owned()]));
        assert_eq!(Seal::of(&gold, true).told(units()).units.len(), 3);
    }
}
