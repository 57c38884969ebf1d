//! Ratings files: `item,annotator,label` in CSV, and a second file of what is known about the items.
//!
//! Read strictly: what cannot be understood is an error that names file and line and the way out. A byte order mark is tolerated,
//! columns may stand in any order, and columns that nobody asked for are named in a notice.

use super::ratings::{Level, Ratings, RatingsBuilder, RatingsError};
use crate::sheet::{Lines, unclosed_quote, without_mark};
use csv::StringRecord;
use std::collections::HashMap;
use std::io::Cursor;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use thiserror::Error;

/// Why a ratings file cannot be read.
#[derive(Debug, Error)]
pub enum FileError {
    /// The file cannot be opened.
    #[error("cannot open {path}: {source}", path = .path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A line is not CSV in UTF-8, or has more or fewer columns than the header.
    #[error("{path}:{line}: {reason}", path = .path.display(), reason = crate::sheet::reason(.error))]
    Csv {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: u64,
        /// Why.
        error: csv::Error,
    },
    /// A column is missing.
    #[error("{path}:1: no column '{column}' (the columns are: {found}); the header must name {wanted}", path = .path.display())]
    NoColumn {
        /// The file.
        path: PathBuf,
        /// The column.
        column: String,
        /// The columns that are there.
        found: String,
        /// The columns that must be there.
        wanted: String,
    },
    /// A column is there twice.
    #[error("{path}:1: the column '{column}' is there twice; rename or remove one", path = .path.display())]
    ColumnTwice {
        /// The file.
        path: PathBuf,
        /// The column.
        column: String,
    },
    /// A row breaks the rules of ratings.
    #[error("{path}:{line}: {source}", path = .path.display())]
    Row {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: u64,
        /// Why.
        source: Box<RatingsError>,
    },
    /// The ratings as a whole break the rules.
    #[error("{path}: {source}", path = .path.display())]
    Whole {
        /// The file.
        path: PathBuf,
        /// Why.
        source: Box<RatingsError>,
    },
    /// The declared labels break the rules.
    #[error("the declared labels: {0}")]
    Labels(Box<RatingsError>),
    /// A rated item has no line in the items file.
    #[error("{path}: no line for item '{item}', which is rated in {ratings}; add it, or leave the items file out", path = .path.display(), ratings = .ratings.display())]
    NoItem {
        /// The items file.
        path: PathBuf,
        /// The ratings file.
        ratings: PathBuf,
        /// The item.
        item: String,
    },
    /// An item's cluster is empty.
    #[error("{path}:{line}: item '{item}' has an empty '{column}'; fill it in, or name another column with --by", path = .path.display())]
    EmptyCluster {
        /// The items file.
        path: PathBuf,
        /// The line, from 1.
        line: u64,
        /// The item.
        item: String,
        /// The cluster column.
        column: String,
    },
    /// A quote that is never closed: it would swallow every row after it.
    #[error("{path}:{line}: the double quote that opens here is never closed", path = .path.display())]
    OpenQuote {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: u64,
    },
    /// There is not one rating.
    #[error("{path}: no ratings below the header", path = .path.display())]
    Empty {
        /// The file.
        path: PathBuf,
    },
}

impl miette::Diagnostic for FileError {
    fn help<'a>(&'a self) -> Option<Box<dyn std::fmt::Display + 'a>> {
        self.hint().map(|hint| Box::new(hint) as Box<dyn std::fmt::Display>)
    }
}

impl FileError {
    /// The way out, where there is one to name.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            FileError::Row { source, .. } | FileError::Whole { source, .. } | FileError::Labels(source) => {
                match **source {
                    RatingsError::ConflictingDuplicate { .. } => {
                        Some("keep one of the two rows, or give the second pass an annotator name of its own")
                    }
                    RatingsError::UndeclaredLabel { .. } => Some(
                        "correct the row, or add the label to the declared ones (labels are taken as they are, blanks included)",
                    ),
                    RatingsError::NotANumber { .. } => {
                        Some("correct the row, empty the cell if the answer is missing, or choose the level nominal")
                    }
                    RatingsError::NoOrder { .. } => {
                        Some("name them from the lowest to the highest: --labels low,mid,high")
                    }
                    RatingsError::TwoClusters { .. } => {
                        Some("an item belongs to one session; correct one of its lines")
                    }
                    RatingsError::TwoCovariates { .. } => Some("an item has one line; remove one of the two"),
                    RatingsError::NoCluster { .. } => Some("give every item a session, or none"),
                    RatingsError::EmptyName { .. } => {
                        Some("every row names an item and an annotator; only the label may be empty")
                    }
                    _ => None,
                }
            }
            FileError::Csv { error, .. } if matches!(error.kind(), csv::ErrorKind::Utf8 { .. }) => {
                Some("the file is not in UTF-8: save it as that (in a spreadsheet: CSV UTF-8)")
            }
            FileError::Csv { .. } => Some(
                "a label that holds a comma, a quote or a line break stands in double quotes, its own quotes doubled",
            ),
            FileError::OpenQuote { .. } => Some("close it, or double it (\"\") where it belongs to the label itself"),
            FileError::NoColumn { .. } => Some("the long form has one row a rating: item,annotator,label"),
            _ => None,
        }
    }
}

/// Where ratings are and how to take them.
#[derive(Debug, Clone)]
pub struct RatingsFile {
    /// The file of ratings, `item,annotator,label`.
    pub ratings: PathBuf,
    /// The file of items, `item,session,…`.
    pub items: Option<PathBuf>,
    /// The column of clusters; `session` by default where such a column exists. Looked for in the items file, then in the ratings file.
    pub cluster: Option<String>,
    /// Each item by itself, whatever columns there are.
    pub by_item: bool,
    /// Declared labels in order; those seen, sorted, if none.
    pub labels: Option<Vec<String>>,
    /// The level.
    pub level: Level,
}

impl RatingsFile {
    /// A ratings file with nothing else said: nominal, labels as seen, sessions if there is such a column.
    pub fn new(ratings: impl Into<PathBuf>) -> RatingsFile {
        RatingsFile {
            ratings: ratings.into(),
            items: None,
            cluster: None,
            by_item: false,
            labels: None,
            level: Level::Nominal,
        }
    }

    /// Reads the files. Gives the ratings, the name of the cluster (`session`, or `item` without clusters), and notices for people.
    pub fn read(&self) -> Result<RatingsRead, FileError> {
        let mut builder = RatingsBuilder::new(self.level);
        if let Some(labels) = &self.labels {
            builder = builder.labels(labels).map_err(|source| FileError::Labels(Box::new(source)))?;
        }
        let mut sheet = Sheet::open(&self.ratings)?;
        let [item, annotator, label] = sheet.columns(["item", "annotator", "label"])?;
        let wanted = self.cluster.as_deref().unwrap_or("session");
        let mut notices = vec![];
        let clustered_by_items = match (&self.items, self.by_item) {
            (Some(path), false) => read_clusters(path, wanted, &mut builder)?,
            _ => false,
        };
        let own_clusters = match self.by_item || clustered_by_items {
            true => None,
            false => sheet.position(wanted),
        };
        if let (Some(path), false, None) = (&self.items, clustered_by_items || self.by_item, own_clusters) {
            notices.push(format!("{}: no column '{wanted}', so each item is its own cluster", path.display()));
        }
        if self.cluster.is_some() && !clustered_by_items && own_clusters.is_none() && !self.by_item {
            return Err(sheet.no_column(wanted, &["item", "annotator", "label", wanted]));
        }
        let known: Vec<usize> =
            [Some(item), Some(annotator), Some(label), own_clusters].into_iter().flatten().collect();
        if let Some(notice) = sheet.unknown(&known) {
            notices.push(notice);
        }
        let mut rows = 0_u64;
        let mut record = StringRecord::new();
        while sheet.read(&mut record)? {
            rows += 1;
            let added = builder.push_text(&record[item], &record[annotator], &record[label]);
            added.map_err(|source| sheet.row_error(source))?;
            if let Some(column) = own_clusters {
                if record[column].is_empty() {
                    return Err(sheet.empty_cluster(&record[item], wanted));
                }
                builder.cluster(&record[item], &record[column]).map_err(|source| sheet.row_error(source))?;
            }
        }
        if rows == 0 {
            return Err(FileError::Empty { path: self.ratings.clone() });
        }
        let ratings = builder.finish().map_err(|source| match (source, &self.items) {
            (RatingsError::NoCluster { item }, Some(path)) => {
                FileError::NoItem { path: path.clone(), ratings: self.ratings.clone(), item }
            }
            (source, _) => FileError::Whole { path: self.ratings.clone(), source: Box::new(source) },
        })?;
        notices.extend(ratings.notices().iter().map(|notice| format!("{}: {notice}", self.ratings.display())));
        let cluster = if ratings.clustered() { wanted.to_owned() } else { "item".to_owned() };
        Ok(RatingsRead { ratings, cluster, notices })
    }
}

/// What a ratings file held.
#[derive(Debug, Clone)]
pub struct RatingsRead {
    /// The ratings.
    pub ratings: Ratings,
    /// The name of the cluster; `item` where there is none.
    pub cluster: String,
    /// What people should know about the reading.
    pub notices: Vec<String>,
}

/// Reads the items' clusters; whether there is such a column (it may also stand in the ratings file).
fn read_clusters(path: &Path, wanted: &str, builder: &mut RatingsBuilder) -> Result<bool, FileError> {
    let mut sheet = Sheet::open(path)?;
    let [item] = sheet.columns(["item"])?;
    let Some(cluster) = sheet.position(wanted) else { return Ok(false) };
    let mut record = StringRecord::new();
    while sheet.read(&mut record)? {
        if record[cluster].is_empty() {
            return Err(sheet.empty_cluster(&record[item], wanted));
        }
        builder.cluster(&record[item], &record[cluster]).map_err(|source| sheet.row_error(source))?;
    }
    Ok(true)
}

/// A column of an items (or ratings) file: each item's value; items with an empty cell are left out.
///
/// # Errors
/// [`FileError`] if there is no such column, or an item has two different values.
pub fn read_column(path: &Path, column: &str) -> Result<HashMap<String, String>, FileError> {
    let mut sheet = Sheet::open(path)?;
    let [item, value] = sheet.columns(["item", column])?;
    let mut found: HashMap<String, String> = HashMap::new();
    while let Some(record) = sheet.next()? {
        if record[value].is_empty() {
            continue;
        }
        let (name, text) = (record[item].to_owned(), record[value].to_owned());
        match found.get(&name) {
            Some(first) if *first != text => {
                let (first, column) = (first.clone(), column.to_owned());
                return Err(sheet.row_error(RatingsError::TwoCovariates { item: name, column, first, second: text }));
            }
            Some(_) => {}
            None => drop(found.insert(name, text)),
        }
    }
    Ok(found)
}

/// A CSV file that knows where it is.
pub(crate) struct Sheet {
    path: PathBuf,
    bytes: Bytes,
    reader: csv::Reader<Cursor<Bytes>>,
    header: Vec<String>,
    /// Where the last row begins.
    position: csv::Position,
}

/// A file's bytes, which the reader of CSV and the finder of lines share.
#[derive(Clone)]
struct Bytes(Arc<Vec<u8>>);

impl AsRef<[u8]> for Bytes {
    fn as_ref(&self) -> &[u8] {
        without_mark(&self.0)
    }
}

impl Sheet {
    pub(crate) fn open(path: &Path) -> Result<Sheet, FileError> {
        let bytes = std::fs::read(path).map_err(|source| FileError::Open { path: path.to_owned(), source })?;
        if let Some(line) = unclosed_quote(&bytes) {
            return Err(FileError::OpenQuote { path: path.to_owned(), line });
        }
        let bytes = Bytes(Arc::new(bytes));
        let mut reader = csv::ReaderBuilder::new().from_reader(Cursor::new(bytes.clone()));
        let header = reader.headers().map_err(|error| FileError::Csv { path: path.to_owned(), line: 1, error })?;
        let header: Vec<String> = header.iter().map(str::to_owned).collect();
        for (place, column) in header.iter().enumerate() {
            if header[..place].contains(column) {
                return Err(FileError::ColumnTwice { path: path.to_owned(), column: column.clone() });
            }
        }
        Ok(Sheet { path: path.to_owned(), bytes, reader, header, position: csv::Position::new() })
    }

    pub(crate) fn position(&self, column: &str) -> Option<usize> {
        self.header.iter().position(|name| name == column)
    }

    pub(crate) fn columns<const N: usize>(&self, names: [&str; N]) -> Result<[usize; N], FileError> {
        let mut places = [0; N];
        for (place, name) in places.iter_mut().zip(names) {
            *place = self.position(name).ok_or_else(|| self.no_column(name, &names))?;
        }
        Ok(places)
    }

    fn no_column(&self, column: &str, wanted: &[&str]) -> FileError {
        FileError::NoColumn {
            path: self.path.clone(),
            column: column.to_owned(),
            found: self.header.join(", "),
            wanted: wanted.join(", "),
        }
    }

    pub(crate) fn header(&self) -> &[String] {
        &self.header
    }

    fn unknown(&self, known: &[usize]) -> Option<String> {
        let others: Vec<&str> = (self.header.iter().enumerate())
            .filter(|(place, _)| !known.contains(place))
            .map(|(_, name)| name.as_str())
            .collect();
        (!others.is_empty()).then(|| format!("{}: columns not used: {}", self.path.display(), others.join(", ")))
    }

    pub(crate) fn next(&mut self) -> Result<Option<StringRecord>, FileError> {
        let mut record = StringRecord::new();
        Ok(self.read(&mut record)?.then_some(record))
    }

    /// Reads the next row into a record that may have held another; whether there was one.
    pub(crate) fn read(&mut self, record: &mut StringRecord) -> Result<bool, FileError> {
        let more = self.reader.read_record(record).map_err(|error| FileError::Csv {
            path: self.path.clone(),
            line: error.position().map_or(self.line() + 1, |position| self.line_of(position)),
            error,
        })?;
        if let Some(position) = record.position().filter(|_| more) {
            self.position = position.clone();
        }
        Ok(more)
    }

    /// The line on which the last row begins. Found from the beginning of the file: it is asked for once, for an error.
    fn line(&self) -> u64 {
        self.line_of(&self.position)
    }

    fn line_of(&self, position: &csv::Position) -> u64 {
        Lines::default().of(self.bytes.as_ref(), position)
    }

    pub(crate) fn row_error(&self, source: RatingsError) -> FileError {
        FileError::Row { path: self.path.clone(), line: self.line(), source: Box::new(source) }
    }

    fn empty_cluster(&self, item: &str, column: &str) -> FileError {
        FileError::EmptyCluster {
            path: self.path.clone(),
            line: self.line(),
            item: item.to_owned(),
            column: column.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agreement::{Cell, PairFigures, Settings, agree};
    use std::fs;

    struct Folder(tempfile::TempDir);

    impl Folder {
        fn new(files: &[(&str, &str)]) -> Folder {
            let folder = tempfile::tempdir().unwrap();
            files.iter().for_each(|(name, text)| fs::write(folder.path().join(name), text).unwrap());
            Folder(folder)
        }

        fn ratings(&self) -> RatingsFile {
            RatingsFile::new(self.0.path().join("r.csv"))
        }

        fn with_items(&self) -> RatingsFile {
            RatingsFile { items: Some(self.0.path().join("items.csv")), ..self.ratings() }
        }

        /// The error without the folder's path.
        fn error(&self, file: &RatingsFile) -> String {
            file.read().unwrap_err().to_string().replace(&format!("{}/", self.0.path().display()), "")
        }
    }

    #[test]
    fn columns_stand_in_any_order_and_a_byte_order_mark_is_tolerated() {
        let folder =
            Folder::new(&[("r.csv", "\u{feff}label,note,annotator,item\n\"yes, \"\"so\"\"\",x,h1,i1\nno,,h2,i1\n")]);
        let read = folder.ratings().read().unwrap();
        assert_eq!(read.ratings.labels(), ["no", "yes, \"so\""]);
        assert_eq!((read.ratings.cell(0, 0), read.cluster.as_str()), (Cell::Label(1), "item"));
        assert!(read.notices[0].ends_with("r.csv: columns not used: note"));
    }

    #[test]
    fn errors_name_file_line_and_the_way_out() {
        let folder = Folder::new(&[("r.csv", "item,annotator,label\ni1,h1,a\ni2,h1,b\ni1,h1,b\n")]);
        let error = folder.ratings().read().unwrap_err();
        assert!(error.hint().is_some());
        assert_eq!(
            folder.error(&folder.ratings()),
            "r.csv:4: item 'i1': annotator 'h1' has two different answers, 'a' and 'b'"
        );
        let labels = Some(vec!["a".to_owned(), "c".to_owned()]);
        assert!(folder.error(&RatingsFile { labels, ..folder.ratings() }).starts_with("r.csv:3: item 'i2'"));
        let numbers = RatingsFile { level: Level::Interval, ..folder.ratings() };
        assert!(
            folder.error(&numbers).starts_with("r.csv:2: item 'i1': annotator 'h1' gave 'a', which is not a number")
        );
        let folder = Folder::new(&[("r.csv", "item,rater,label\ni1,h1,a\n")]);
        assert!(
            folder.error(&folder.ratings()).starts_with("r.csv:1: no column 'annotator' (the columns are: item, rater")
        );
        let folder = Folder::new(&[("r.csv", "item,annotator,label\ni1,h1,a\ni1,h2\n")]);
        assert!(folder.error(&folder.ratings()).starts_with("r.csv:3: "));
        let folder = Folder::new(&[("r.csv", "item,annotator,label\n")]);
        assert_eq!(folder.error(&folder.ratings()), "r.csv: no ratings below the header");
    }

    #[test]
    fn clusters_come_from_the_items_file_or_from_the_ratings() {
        let rows = "item,annotator,label,session,repo\ni1,h1,a,s1,x\ni1,h2,a,s1,x\ni2,h1,b,s1,y\n";
        let folder = Folder::new(&[("r.csv", rows), ("items.csv", "item,session,x\ni1,t1,4\ni2,t2,5\ni3,t2,6\n")]);
        let read = folder.with_items().read().unwrap();
        assert_eq!((read.ratings.cluster_name(0), read.ratings.cluster_count()), ("t1", 2));
        let read = folder.ratings().read().unwrap();
        assert_eq!((read.ratings.cluster_count(), read.cluster.as_str()), (1, "session"));
        let read = RatingsFile { cluster: Some("repo".to_owned()), ..folder.with_items() }.read().unwrap();
        assert_eq!((read.ratings.cluster_count(), read.cluster.as_str()), (2, "repo"));
        let read = RatingsFile { by_item: true, ..folder.ratings() }.read().unwrap();
        assert!(!read.ratings.clustered());
        let missing = RatingsFile { cluster: Some("user".to_owned()), ..folder.with_items() };
        assert!(folder.error(&missing).contains("no column 'user'"));
    }

    #[test]
    fn an_items_file_knows_every_rated_item() {
        let rows = "item,annotator,label\ni1,h1,a\ni2,h1,b\n";
        let folder = Folder::new(&[("r.csv", rows), ("items.csv", "item,session\ni1,t1\n")]);
        assert!(
            folder.error(&folder.with_items()).starts_with("items.csv: no line for item 'i2', which is rated in r.csv")
        );
        let folder = Folder::new(&[("r.csv", rows), ("items.csv", "item,session\ni1,t1\ni2,\n")]);
        assert!(folder.error(&folder.with_items()).starts_with("items.csv:3: item 'i2' has an empty 'session'"));
    }

    #[test]
    fn a_plain_file_of_90_items_and_two_annotators_works_without_sessions() {
        let mut text = String::from("item,annotator,label\n");
        for item in 0..90 {
            let (human, model) = (item % 3, if item % 10 == 0 { (item + 1) % 3 } else { item % 3 });
            text.push_str(&format!("{item},human,l{human}\n{item},model,l{model}\n"));
        }
        let folder = Folder::new(&[("r.csv", &text)]);
        let found = agree(&folder.ratings().read().unwrap().ratings, &Settings::default()).unwrap();
        assert_eq!((found.items, found.clusters, found.cluster.as_str()), (90, 90, "item"));
        let PairFigures::Labels(figures) = &found.pairs[0].figures else { panic!("labels") };
        let kappa = &figures.agreement.cohen_kappa;
        assert!((kappa.value.unwrap() - 0.85).abs() < 1e-9);
        assert!(kappa.low.unwrap() > 0.7 && kappa.high.unwrap() < 0.95);
        assert_eq!(kappa.method.as_deref(), Some("item bootstrap, t-expanded"));
    }
}
