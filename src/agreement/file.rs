//! Ratings files: `item,annotator,label` in CSV, and a second file of what is known about the items.
//!
//! Read strictly: what cannot be understood is an error that names file and line and the way out. A byte order mark is tolerated,
//! columns may stand in any order, and columns that nobody asked for are named in a notice.

use super::ratings::{Answer, Level, Ratings, RatingsBuilder, RatingsError};
use csv::StringRecord;
use std::fs::File;
use std::path::{Path, PathBuf};
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
    #[error("{path}:{line}: {source} (RFC 4180: quote a label that holds a comma, a quote or a line break, and double its quotes)", path = .path.display())]
    Csv {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: u64,
        /// Why.
        source: csv::Error,
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
        source: RatingsError,
    },
    /// The ratings as a whole break the rules.
    #[error("{path}: {source}", path = .path.display())]
    Whole {
        /// The file.
        path: PathBuf,
        /// Why.
        source: RatingsError,
    },
    /// The declared labels break the rules.
    #[error("the declared labels: {0}")]
    Labels(RatingsError),
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
    /// There is not one rating.
    #[error("{path}: no ratings below the header", path = .path.display())]
    Empty {
        /// The file.
        path: PathBuf,
    },
}

impl FileError {
    /// The way out, where there is one to name.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            FileError::Row { source, .. } | FileError::Whole { source, .. } | FileError::Labels(source) => match source
            {
                RatingsError::ConflictingDuplicate { .. } => {
                    Some("keep one of the two rows, or give the second pass an annotator name of its own")
                }
                RatingsError::UndeclaredLabel { .. } => Some(
                    "correct the row, or add the label to the declared ones (labels are taken as they are, blanks included)",
                ),
                RatingsError::NotANumber { .. } => {
                    Some("correct the row, empty the cell if the answer is missing, or choose --level nominal")
                }
                RatingsError::TwoClusters { .. } => Some("an item belongs to one session; correct one of its lines"),
                RatingsError::NoCluster { .. } => Some("give every item a session, or none"),
                RatingsError::EmptyName { .. } => {
                    Some("every row names an item and an annotator; only the label may be empty")
                }
                _ => None,
            },
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
            builder = builder.labels(labels).map_err(FileError::Labels)?;
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
        if self.cluster.is_some() && !clustered_by_items && own_clusters.is_none() && !self.by_item {
            return Err(sheet.no_column(wanted, &["item", "annotator", "label", wanted]));
        }
        let known: Vec<usize> =
            [Some(item), Some(annotator), Some(label), own_clusters].into_iter().flatten().collect();
        if let Some(notice) = sheet.unknown(&known) {
            notices.push(notice);
        }
        let mut rows = 0_u64;
        while let Some(record) = sheet.next()? {
            rows += 1;
            let answer = Answer::Text(record[label].to_owned());
            builder.push(&record[item], &record[annotator], answer).map_err(|source| sheet.row_error(source))?;
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
            (source, _) => FileError::Whole { path: self.ratings.clone(), source },
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
    while let Some(record) = sheet.next()? {
        if record[cluster].is_empty() {
            return Err(sheet.empty_cluster(&record[item], wanted));
        }
        builder.cluster(&record[item], &record[cluster]).map_err(|source| sheet.row_error(source))?;
    }
    Ok(true)
}

/// A CSV file that knows where it is.
struct Sheet {
    path: PathBuf,
    reader: csv::Reader<File>,
    header: Vec<String>,
    line: u64,
}

impl Sheet {
    fn open(path: &Path) -> Result<Sheet, FileError> {
        let file = File::open(path).map_err(|source| FileError::Open { path: path.to_owned(), source })?;
        let mut reader = csv::ReaderBuilder::new().from_reader(file);
        let header = reader.headers().map_err(|source| FileError::Csv { path: path.to_owned(), line: 1, source })?;
        let header: Vec<String> = (header.iter().enumerate())
            .map(|(place, name)| if place == 0 { name.trim_start_matches('\u{feff}') } else { name }.to_owned())
            .collect();
        for (place, column) in header.iter().enumerate() {
            if header[..place].contains(column) {
                return Err(FileError::ColumnTwice { path: path.to_owned(), column: column.clone() });
            }
        }
        Ok(Sheet { path: path.to_owned(), reader, header, line: 1 })
    }

    fn position(&self, column: &str) -> Option<usize> {
        self.header.iter().position(|name| name == column)
    }

    fn columns<const N: usize>(&self, names: [&str; N]) -> Result<[usize; N], FileError> {
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

    fn unknown(&self, known: &[usize]) -> Option<String> {
        let others: Vec<&str> = (self.header.iter().enumerate())
            .filter(|(place, _)| !known.contains(place))
            .map(|(_, name)| name.as_str())
            .collect();
        (!others.is_empty()).then(|| format!("{}: columns not used: {}", self.path.display(), others.join(", ")))
    }

    fn next(&mut self) -> Result<Option<StringRecord>, FileError> {
        let mut record = StringRecord::new();
        let more = self.reader.read_record(&mut record).map_err(|source| FileError::Csv {
            path: self.path.clone(),
            line: source.position().map_or(self.line + 1, csv::Position::line),
            source,
        })?;
        self.line = record.position().map_or(self.line, csv::Position::line);
        Ok(more.then_some(record))
    }

    fn row_error(&self, source: RatingsError) -> FileError {
        FileError::Row { path: self.path.clone(), line: self.line, source }
    }

    fn empty_cluster(&self, item: &str, column: &str) -> FileError {
        FileError::EmptyCluster {
            path: self.path.clone(),
            line: self.line,
            item: item.to_owned(),
            column: column.to_owned(),
        }
    }
}
