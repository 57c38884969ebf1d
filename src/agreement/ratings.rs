//! One field's ratings: who said what about which item.
//!
//! Built from long rows (item, rater, answer) by the rules that keep an agreement honest: a missing answer is missing, a model's
//! invalid answer is missing and counted apart, an identical duplicate is dropped with a notice, a conflicting one is an error, and
//! so is a label outside the declared set. Labels are opaque: nothing is trimmed, `01` is not `1`, `NA` is a label.

use foldhash::fast::RandomState;
use serde::Serialize;
use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::str::FromStr;
use thiserror::Error;

/// What kind of answer a field has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// Labels without order.
    Nominal,
    /// Labels in the order of the declared list.
    Ordinal,
    /// Numbers whose differences mean something, such as scores from 0 to 100.
    Interval,
}

impl FromStr for Level {
    type Err = RatingsError;

    fn from_str(text: &str) -> Result<Level, RatingsError> {
        match text {
            "nominal" => Ok(Level::Nominal),
            "ordinal" => Ok(Level::Ordinal),
            "interval" => Ok(Level::Interval),
            _ => Err(RatingsError::UnknownLevel { level: text.to_owned() }),
        }
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Level::Nominal => "nominal",
            Level::Ordinal => "ordinal",
            Level::Interval => "interval",
        })
    }
}

/// One rater's answer on one item, as it arrives.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    /// A label, or a number as text where the level is interval. Empty text is a missing answer.
    Text(String),
    /// A number.
    Number(f64),
    /// A model answered, but with nothing that can be used (invalid, refused, truncated).
    Invalid,
    /// No answer.
    Missing,
}

/// One rater's answer on one item, as it is kept.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Cell {
    /// No answer.
    Missing,
    /// An answer that cannot be used.
    Invalid,
    /// A label, by its position in [`Ratings::labels`].
    Label(usize),
    /// A number.
    Number(f64),
}

/// What is wrong with ratings.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum RatingsError {
    /// A level that does not exist.
    #[error("unknown level '{level}': it is nominal, ordinal or interval")]
    UnknownLevel {
        /// What was given.
        level: String,
    },
    /// Two different answers of one rater on one item.
    #[error("item '{item}': annotator '{rater}' has two different answers, '{first}' and '{second}'")]
    ConflictingDuplicate {
        /// The item.
        item: String,
        /// The rater.
        rater: String,
        /// The answer that came first.
        first: String,
        /// The answer that came second.
        second: String,
    },
    /// A label that is not declared.
    #[error(
        "item '{item}': annotator '{rater}' used the label '{label}', which is not declared (declared: {declared})"
    )]
    UndeclaredLabel {
        /// The item.
        item: String,
        /// The rater.
        rater: String,
        /// The label.
        label: String,
        /// The declared labels, joined.
        declared: String,
    },
    /// Text where a number belongs.
    #[error("item '{item}': annotator '{rater}' gave '{text}', which is not a number")]
    NotANumber {
        /// The item.
        item: String,
        /// The rater.
        rater: String,
        /// The text.
        text: String,
    },
    /// Fewer than two labels were declared.
    #[error("{count} label declared: with fewer than two there is nothing to annotate")]
    TooFewLabels {
        /// How many were declared.
        count: usize,
    },
    /// One label was declared twice.
    #[error("the label '{label}' is declared twice")]
    LabelDeclaredTwice {
        /// The label.
        label: String,
    },
    /// Ordered labels whose order nobody knows.
    #[error("the labels have an order ({labels}), but nobody said which")]
    NoOrder {
        /// The labels.
        labels: String,
    },
    /// A declared label without a name.
    #[error("an empty label is declared, which no row can have")]
    EmptyLabel,
    /// Labels were declared for numbers.
    #[error("labels are declared, but the level is interval")]
    LabelsForNumbers,
    /// One item in two clusters.
    #[error("item '{item}' is in two clusters, '{first}' and '{second}'")]
    TwoClusters {
        /// The item.
        item: String,
        /// The first cluster.
        first: String,
        /// The second cluster.
        second: String,
    },
    /// Some items have a cluster and this one has none.
    #[error("item '{item}' has no cluster, though others have one")]
    NoCluster {
        /// The item.
        item: String,
    },
    /// An empty item or rater.
    #[error("an empty {what}")]
    EmptyName {
        /// `item` or `annotator`.
        what: &'static str,
    },
    /// Two different lines about one item.
    #[error("item '{item}' has two different lines: '{column}' is '{first}' and '{second}'")]
    TwoCovariates {
        /// The item.
        item: String,
        /// The column in which they differ.
        column: String,
        /// What the first line says.
        first: String,
        /// What the second line says.
        second: String,
    },
}

/// One field's ratings.
#[derive(Debug, Clone, PartialEq)]
pub struct Ratings {
    level: Level,
    labels: Vec<String>,
    items: Vec<String>,
    clusters: Option<Vec<usize>>,
    cluster_names: Vec<String>,
    raters: Vec<String>,
    cells: Vec<Cell>,
    notices: Vec<String>,
}

impl Ratings {
    /// The level.
    pub fn level(&self) -> Level {
        self.level
    }

    /// Labels in declared order (in sorted order, if they were not declared). Empty for numbers.
    pub fn labels(&self) -> &[String] {
        &self.labels
    }

    /// Item ids, in order of first appearance.
    pub fn items(&self) -> &[String] {
        &self.items
    }

    /// Raters, in order of first appearance.
    pub fn raters(&self) -> &[String] {
        &self.raters
    }

    /// The position of a rater.
    pub fn rater(&self, name: &str) -> Option<usize> {
        self.raters.iter().position(|rater| rater == name)
    }

    /// The answer of a rater on an item, both by position.
    pub fn cell(&self, item: usize, rater: usize) -> Cell {
        self.cells[item * self.raters.len() + rater]
    }

    /// Whether items have clusters of their own; otherwise each item is its own cluster.
    pub fn clustered(&self) -> bool {
        self.clusters.is_some()
    }

    /// The cluster of an item, by position.
    pub fn cluster(&self, item: usize) -> usize {
        self.clusters.as_ref().map_or(item, |clusters| clusters[item])
    }

    /// The name of an item's cluster; the item's own id where there are no clusters.
    pub fn cluster_name(&self, item: usize) -> &str {
        self.clusters.as_ref().map_or(&self.items[item], |clusters| &self.cluster_names[clusters[item]])
    }

    /// Number of clusters among all items.
    pub fn cluster_count(&self) -> usize {
        if self.clustered() { self.cluster_names.len() } else { self.items.len() }
    }

    /// The same raters and labels on some of the items, by position.
    pub fn of_items(&self, items: &[usize]) -> Ratings {
        let mut names: Vec<usize> = vec![];
        let mut places: HashMap<usize, usize> = HashMap::new();
        let clusters = self.clusters.as_ref().map(|clusters| {
            let place = |&item: &usize| {
                *places.entry(clusters[item]).or_insert_with(|| {
                    names.push(clusters[item]);
                    names.len() - 1
                })
            };
            items.iter().map(place).collect()
        });
        let raters = self.raters.len();
        Ratings {
            level: self.level,
            labels: self.labels.clone(),
            items: items.iter().map(|&item| self.items[item].clone()).collect(),
            clusters,
            cluster_names: names.iter().map(|&cluster| self.cluster_names[cluster].clone()).collect(),
            raters: self.raters.clone(),
            cells: items
                .iter()
                .flat_map(|item| self.cells[item * raters..(item + 1) * raters].iter().copied())
                .collect(),
            notices: vec![],
        }
    }

    /// What was done to the rows on the way in, for people.
    pub fn notices(&self) -> &[String] {
        &self.notices
    }
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Kept {
    Invalid,
    Label(usize),
    Number(f64),
}

/// Collects rows into [`Ratings`].
#[derive(Debug, Clone)]
pub struct RatingsBuilder {
    level: Level,
    declared: bool,
    labels: Vec<String>,
    label_places: HashMap<String, usize, RandomState>,
    items: Names,
    raters: Names,
    /// By rater, then by item as far as the rater's last one.
    kept: Vec<Vec<Option<Kept>>>,
    /// The cluster of each item, rated or not.
    clusters: HashMap<String, usize, RandomState>,
    cluster_names: Names,
    duplicates: u64,
    first_duplicate: Option<String>,
}

#[derive(Debug, Clone, Default)]
struct Names {
    names: Vec<String>,
    places: HashMap<String, usize, RandomState>,
    last: usize,
}

impl Names {
    fn place(&mut self, name: &str) -> usize {
        // Most rows are about the same as the last one, or about what came after that before.
        let near = [self.last, self.last + 1];
        let known = near.into_iter().find(|&place| self.names.get(place).is_some_and(|known| known == name));
        self.last = match known.or_else(|| self.places.get(name).copied()) {
            Some(place) => place,
            None => {
                self.places.insert(name.to_owned(), self.names.len());
                self.names.push(name.to_owned());
                self.names.len() - 1
            }
        };
        self.last
    }
}

impl RatingsBuilder {
    /// Ratings of this level. Labels not declared are taken from the rows, in sorted order.
    pub fn new(level: Level) -> RatingsBuilder {
        RatingsBuilder {
            level,
            declared: false,
            labels: vec![],
            label_places: HashMap::default(),
            items: Names::default(),
            raters: Names::default(),
            kept: vec![],
            clusters: HashMap::default(),
            cluster_names: Names::default(),
            duplicates: 0,
            first_duplicate: None,
        }
    }

    /// Declares the labels, in order.
    pub fn labels(mut self, labels: &[String]) -> Result<RatingsBuilder, RatingsError> {
        if self.level == Level::Interval {
            return Err(RatingsError::LabelsForNumbers);
        }
        if labels.len() < 2 {
            return Err(RatingsError::TooFewLabels { count: labels.len() });
        }
        for label in labels {
            if label.is_empty() {
                return Err(RatingsError::EmptyLabel);
            }
            if self.label_places.insert(label.clone(), self.labels.len()).is_some() {
                return Err(RatingsError::LabelDeclaredTwice { label: label.clone() });
            }
            self.labels.push(label.clone());
        }
        self.declared = true;
        Ok(self)
    }

    /// Says which cluster (session) an item belongs to. Once one item has a cluster, every rated item needs one.
    pub fn cluster(&mut self, item: &str, cluster: &str) -> Result<(), RatingsError> {
        let place = self.cluster_names.place(cluster);
        match self.clusters.get(item) {
            Some(&first) if first != place => Err(RatingsError::TwoClusters {
                item: item.to_owned(),
                first: self.cluster_names.names[first].clone(),
                second: cluster.to_owned(),
            }),
            Some(_) => Ok(()),
            None => {
                self.clusters.insert(item.to_owned(), place);
                Ok(())
            }
        }
    }

    /// Adds one rater's answer on one item. A missing answer still makes item and rater known.
    pub fn push(&mut self, item: &str, rater: &str, answer: Answer) -> Result<(), RatingsError> {
        let (item, rater) = self.named(item, rater)?;
        let kept = match answer {
            Answer::Missing => None,
            Answer::Invalid => Some(Kept::Invalid),
            Answer::Number(number) if self.level == Level::Interval && number.is_finite() => Some(Kept::Number(number)),
            Answer::Number(number) => self.understood(item, rater, &number.to_string())?,
            Answer::Text(text) => self.understood(item, rater, &text)?,
        };
        self.keep(item, rater, kept)
    }

    /// The same as to push a text.
    pub fn push_text(&mut self, item: &str, rater: &str, text: &str) -> Result<(), RatingsError> {
        let (item, rater) = self.named(item, rater)?;
        let kept = self.understood(item, rater, text)?;
        self.keep(item, rater, kept)
    }

    /// The places of item and rater, which from now on are known.
    fn named(&mut self, item: &str, rater: &str) -> Result<(usize, usize), RatingsError> {
        for (name, what) in [(item, "item"), (rater, "annotator")] {
            if name.is_empty() {
                return Err(RatingsError::EmptyName { what });
            }
        }
        Ok((self.items.place(item), self.raters.place(rater)))
    }

    fn keep(&mut self, item: usize, rater: usize, kept: Option<Kept>) -> Result<(), RatingsError> {
        let Some(kept) = kept else { return Ok(()) };
        if self.kept.len() <= rater {
            self.kept.resize(rater + 1, vec![]);
        }
        let of_rater = &mut self.kept[rater];
        if of_rater.len() <= item {
            of_rater.resize(item + 1, None);
        }
        match of_rater[item] {
            None => of_rater[item] = Some(kept),
            Some(first) if first == kept => {
                self.duplicates += 1;
                let (item, rater) = (&self.items.names[item], &self.raters.names[rater]);
                self.first_duplicate.get_or_insert_with(|| format!("item '{item}', annotator '{rater}'"));
            }
            Some(first) => {
                return Err(RatingsError::ConflictingDuplicate {
                    item: self.items.names[item].clone(),
                    rater: self.raters.names[rater].clone(),
                    first: self.show(&first),
                    second: self.show(&kept),
                });
            }
        }
        Ok(())
    }

    /// What a text says; none if it is empty.
    fn understood(&mut self, item: usize, rater: usize, text: &str) -> Result<Option<Kept>, RatingsError> {
        if text.is_empty() {
            return Ok(None);
        }
        let names = || (self.items.names[item].clone(), self.raters.names[rater].clone());
        if self.level == Level::Interval {
            return match text.parse::<f64>() {
                Ok(number) if number.is_finite() => Ok(Some(Kept::Number(number))),
                _ => {
                    let (item, rater) = names();
                    Err(RatingsError::NotANumber { item, rater, text: text.to_owned() })
                }
            };
        }
        if let Some(&place) = self.label_places.get(text) {
            return Ok(Some(Kept::Label(place)));
        }
        if self.declared {
            let (item, rater) = names();
            let declared = self.labels.join(", ");
            return Err(RatingsError::UndeclaredLabel { item, rater, label: text.to_owned(), declared });
        }
        self.label_places.insert(text.to_owned(), self.labels.len());
        self.labels.push(text.to_owned());
        Ok(Some(Kept::Label(self.labels.len() - 1)))
    }

    fn show(&self, kept: &Kept) -> String {
        match kept {
            Kept::Invalid => "(invalid)".to_owned(),
            Kept::Label(place) => self.labels[*place].clone(),
            Kept::Number(number) => number.to_string(),
        }
    }

    /// The ratings.
    pub fn finish(self) -> Result<Ratings, RatingsError> {
        if self.level == Level::Ordinal && !self.declared && self.labels.len() > 2 && self.numbers().is_none() {
            return Err(RatingsError::NoOrder { labels: self.labels.join(", ") });
        }
        let (labels, order) = self.ordered_labels();
        let raters = self.raters.names.len();
        let mut cells = vec![Cell::Missing; self.items.names.len() * raters];
        for (rater, of_rater) in self.kept.iter().enumerate() {
            for (item, kept) in of_rater.iter().enumerate() {
                cells[item * raters + rater] = match *kept {
                    None => Cell::Missing,
                    Some(Kept::Invalid) => Cell::Invalid,
                    Some(Kept::Label(place)) => Cell::Label(order[place]),
                    Some(Kept::Number(number)) => Cell::Number(number),
                };
            }
        }
        let mut cluster_names = Names::default();
        let clusters = match self.clusters.is_empty() {
            true => None,
            false => Some(
                (self.items.names.iter())
                    .map(|item| match self.clusters.get(item) {
                        Some(&cluster) => Ok(cluster_names.place(&self.cluster_names.names[cluster])),
                        None => Err(RatingsError::NoCluster { item: item.clone() }),
                    })
                    .collect::<Result<Vec<usize>, RatingsError>>()?,
            ),
        };
        let notices = (self.first_duplicate.iter())
            .map(|first| match self.duplicates {
                1 => format!("1 identical duplicate dropped: {first}"),
                many => format!("{many} identical duplicates dropped, the first: {first}"),
            })
            .collect();
        Ok(Ratings {
            level: self.level,
            labels,
            items: self.items.names,
            clusters,
            cluster_names: cluster_names.names,
            raters: self.raters.names,
            cells,
            notices,
        })
    }

    /// The labels as declared or else sorted, and where each one as first met now stands.
    fn ordered_labels(&self) -> (Vec<String>, Vec<usize>) {
        if self.declared {
            return (self.labels.clone(), (0..self.labels.len()).collect());
        }
        let mut sorted: Vec<String> = self.labels.iter().cloned().collect::<BTreeSet<String>>().into_iter().collect();
        if let Some(numbers) = self.numbers() {
            sorted.sort_by(|one, other| numbers[one.as_str()].total_cmp(&numbers[other.as_str()]));
        }
        let places: HashMap<&str, usize> =
            sorted.iter().enumerate().map(|(place, label)| (label.as_str(), place)).collect();
        let order = self.labels.iter().map(|label| places[label.as_str()]).collect();
        (sorted, order)
    }

    /// The labels as numbers, if all of them are.
    fn numbers(&self) -> Option<HashMap<&str, f64>> {
        let number = |label: &str| label.trim().parse().ok().filter(|number: &f64| number.is_finite());
        self.labels.iter().map(|label| Some((label.as_str(), number(label)?))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Answer {
        Answer::Text(text.to_owned())
    }

    fn declared(labels: &[&str]) -> Result<RatingsBuilder, RatingsError> {
        let labels: Vec<String> = labels.iter().map(|&label| label.to_owned()).collect();
        RatingsBuilder::new(Level::Nominal).labels(&labels)
    }

    #[test]
    fn identical_duplicates_are_dropped_and_conflicting_ones_are_errors() {
        let mut builder = RatingsBuilder::new(Level::Nominal);
        builder.push("i1", "h1", text("a")).unwrap();
        builder.push("i1", "h1", text("a")).unwrap();
        builder.push("i1", "h1", Answer::Missing).unwrap();
        let error = builder.push("i1", "h1", text("b")).unwrap_err().to_string();
        assert_eq!(error, "item 'i1': annotator 'h1' has two different answers, 'a' and 'b'");
        let ratings = builder.finish().unwrap();
        assert_eq!(ratings.notices(), ["1 identical duplicate dropped: item 'i1', annotator 'h1'"]);
        assert_eq!(ratings.cell(0, 0), Cell::Label(0));
    }

    #[test]
    fn undeclared_labels_are_errors_and_nothing_is_trimmed() {
        let mut builder = declared(&["01", "1", " pad ", "NA", "null"]).unwrap();
        for (item, label) in ["01", "1", " pad ", "NA", "null"].into_iter().enumerate() {
            builder.push(&item.to_string(), "h1", text(label)).unwrap();
        }
        let error = builder.push("i9", "h1", text("pad")).unwrap_err().to_string();
        assert!(error.starts_with("item 'i9': annotator 'h1' used the label 'pad', which is not declared"));
        let ratings = builder.finish().unwrap();
        assert!((0..5).all(|item| ratings.cell(item, 0) == Cell::Label(item)));
    }

    #[test]
    fn labels_not_declared_are_those_seen_in_sorted_order() {
        let mut builder = RatingsBuilder::new(Level::Nominal);
        for (item, label) in ["b", "c", "", "a"].into_iter().enumerate() {
            builder.push(&item.to_string(), "h1", text(label)).unwrap();
        }
        let ratings = builder.finish().unwrap();
        assert_eq!(ratings.labels(), ["a", "b", "c"]);
        let cells: Vec<Cell> = (0..4).map(|item| ratings.cell(item, 0)).collect();
        assert_eq!(cells, [Cell::Label(1), Cell::Label(2), Cell::Missing, Cell::Label(0)]);
    }

    #[test]
    fn ordered_labels_are_numbers_in_their_order_or_are_declared() {
        let ordinal = |labels: &[&str]| {
            let mut builder = RatingsBuilder::new(Level::Ordinal);
            for (item, label) in labels.iter().enumerate() {
                builder.push(&item.to_string(), "h1", text(label)).unwrap();
            }
            builder.finish()
        };
        assert_eq!(ordinal(&["10", "2", "1", "9"]).unwrap().labels(), ["1", "2", "9", "10"]);
        assert!(matches!(ordinal(&["low", "high", "mid"]), Err(RatingsError::NoOrder { .. })));
        assert_eq!(declared(&["a", "b", ""]).unwrap_err(), RatingsError::EmptyLabel);
    }

    #[test]
    fn a_codebook_of_one_label_is_refused() {
        assert_eq!(declared(&["ok"]).unwrap_err(), RatingsError::TooFewLabels { count: 1 });
        assert!(matches!(declared(&["ok", "ok"]).unwrap_err(), RatingsError::LabelDeclaredTwice { .. }));
    }

    #[test]
    fn numbers_are_finite_numbers() {
        let mut builder = RatingsBuilder::new(Level::Interval);
        builder.push("i1", "h1", text("7.5")).unwrap();
        builder.push("i1", "m", Answer::Invalid).unwrap();
        for wrong in ["high", "NaN", "inf", " 5"] {
            assert!(matches!(builder.push("i2", "h1", text(wrong)), Err(RatingsError::NotANumber { .. })));
        }
        assert!(matches!(builder.push("i2", "h1", Answer::Number(f64::NAN)), Err(RatingsError::NotANumber { .. })));
        let ratings = builder.finish().unwrap();
        assert_eq!((ratings.cell(0, 0), ratings.cell(0, 1)), (Cell::Number(7.5), Cell::Invalid));
    }

    #[test]
    fn an_item_has_one_cluster_and_all_items_have_one_if_any_has() {
        let mut builder = RatingsBuilder::new(Level::Nominal);
        builder.push("i1", "h1", text("a")).unwrap();
        builder.push("i2", "h1", text("a")).unwrap();
        builder.cluster("i1", "s1").unwrap();
        builder.cluster("i1", "s1").unwrap();
        assert!(matches!(builder.cluster("i1", "s2"), Err(RatingsError::TwoClusters { .. })));
        assert_eq!(builder.finish().unwrap_err(), RatingsError::NoCluster { item: "i2".to_owned() });
    }
}
