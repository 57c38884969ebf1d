//! A provider's batch lane: many requests handed over at once, answered within a day, at a lower price.
//!
//! As an adapter for single requests, a lane is pure: requests become the bytes of an input, what is to be sent becomes a [`Call`], bodies
//! become a [`RemoteBatch`] or a [`BatchLine`]. [`super::client`] moves the bytes; files are streamed, since they are as large as a disk allows.

use super::{HttpRequest, Unreadable, fault};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::path::{Path, PathBuf};

/// What a lane takes at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchLimits {
    /// Requests of one batch.
    pub requests: u64,
    /// Bytes of one batch's input.
    pub bytes: u64,
}

/// What stands around the requests of an input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame {
    /// Before the first.
    pub before: &'static [u8],
    /// Between two.
    pub between: &'static [u8],
    /// After the last.
    pub after: &'static [u8],
}

/// A call to a server.
#[derive(Debug, Clone)]
pub struct Call {
    /// Where it goes.
    pub url: String,
    /// Headers but for the key's, names in lower case.
    pub headers: Vec<(&'static str, String)>,
    /// The header that carries the key: name, and what stands before the key in its value.
    pub auth: (&'static str, &'static str),
    /// What is sent; a call that sends nothing is a GET, any other a POST.
    pub payload: Payload,
}

/// What a call sends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Payload {
    /// Nothing.
    None,
    /// These bytes.
    Bytes(Vec<u8>),
    /// A file between other bytes, read while it is sent.
    File {
        /// What comes before it.
        before: Vec<u8>,
        /// The file.
        path: PathBuf,
        /// What comes after it.
        after: Vec<u8>,
    },
}

/// A batch that is to be made.
#[derive(Debug, Clone, Copy)]
pub struct NewBatch<'a> {
    /// Our name for it, which the server keeps where it can.
    pub job: &'a str,
    /// The input.
    pub input: &'a Path,
    /// The server's name for the input, where that was sent before.
    pub input_file: Option<&'a str>,
    /// The headers that each of its requests would have had alone.
    pub headers: &'a [(&'static str, String)],
}

/// A batch as the server tells of it.
#[derive(Debug, Clone, PartialEq)]
pub struct RemoteBatch {
    /// The server's name for it.
    pub id: String,
    /// The server's word for its state.
    pub state: String,
    /// What that word means.
    pub phase: Phase,
    /// When it was made.
    pub created_at: Option<Timestamp>,
    /// Our name for it, where the server keeps that.
    pub job: Option<String>,
    /// The server's name for its input, where it has one.
    pub input_file: Option<String>,
    /// How far it has got.
    pub counts: BatchCounts,
    /// The server's names for what has come of it, once it has ended.
    pub results: Vec<String>,
    /// Why it was not begun or came to nothing.
    pub message: Option<String>,
}

/// How far a batch has got.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BatchCounts {
    /// Its requests, as far as they are counted.
    pub total: u64,
    /// Answered.
    pub succeeded: u64,
    /// Refused or failed.
    pub failed: u64,
    /// Cancelled or out of time.
    pub unfinished: u64,
}

/// Where a batch stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// It is waiting or worked on.
    Working,
    /// No more will come of it; what has come of it can be fetched.
    Ended,
    /// The server did not begin it.
    Rejected,
}

/// A page of a list of batches, the latest first.
#[derive(Debug, Clone, PartialEq)]
pub struct BatchPage {
    /// The batches.
    pub batches: Vec<RemoteBatch>,
    /// After which one the next page begins; `None` where this is the last.
    pub next: Option<String>,
}

impl BatchPage {
    /// A page as both providers write it; `batch` reads an entry, `is_name` says what may be the name of one.
    ///
    /// # Errors
    /// There is no list in it.
    pub(super) fn read(
        body: &[u8],
        batch: impl Fn(&Value) -> Option<RemoteBatch>,
        is_name: impl Fn(&str) -> bool,
    ) -> Result<BatchPage, Unreadable> {
        let root = fault::json(body)?;
        let list = root["data"].as_array().ok_or_else(|| fault::lacking("no list of batches", body))?;
        let batches: Vec<RemoteBatch> = list.iter().filter_map(batch).collect();
        let last = batches.last().map(|batch| batch.id.clone());
        let next = root["last_id"].as_str().filter(|id| is_name(id)).map(str::to_owned).or(last);
        Ok(BatchPage { next: next.filter(|_| root["has_more"] == true), batches })
    }
}

/// A line of a batch's results.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BatchLine {
    /// Our name for the request.
    pub custom_id: String,
    /// What came of it.
    pub outcome: LineOutcome,
}

/// What came of one request of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LineOutcome {
    /// An answer, as it would have come alone with status 200.
    Answer(String),
    /// An error, as it would have come alone.
    Fault {
        /// The HTTP status; 0 where the line has none.
        status: u16,
        /// The body.
        body: Vec<u8>,
    },
    /// Nothing was asked: the batch was cancelled, or ran out of time.
    Unasked(String),
}

/// A provider's batch lane, as pure functions.
pub trait BatchLane: Send + Sync {
    /// What it takes at once.
    fn limits(&self) -> BatchLimits;

    /// What stands around the requests of an input.
    fn frame(&self) -> Frame;

    /// A request as it stands in an input. `custom_id` is of 1 to 64 letters, digits, `_` and `-`.
    fn entry(&self, custom_id: &str, request: &HttpRequest) -> Vec<u8>;

    /// Sends the input by itself; `None` where it goes with the batch.
    fn upload(&self, base_url: &str, batch: NewBatch<'_>) -> Option<Call>;

    /// The server's name for an input that was sent by itself.
    fn uploaded(&self, body: &[u8]) -> Result<String, Unreadable>;

    /// Makes a batch.
    fn create(&self, base_url: &str, batch: NewBatch<'_>) -> Call;

    /// Asks for a batch by the server's name for it.
    fn look(&self, base_url: &str, id: &str) -> Call;

    /// The batch in a body.
    fn batch(&self, body: &[u8]) -> Result<RemoteBatch, Unreadable>;

    /// Asks for a page of the list of batches.
    fn list(&self, base_url: &str, after: Option<&str>) -> Call;

    /// The page in a body.
    fn page(&self, body: &[u8]) -> Result<BatchPage, Unreadable>;

    /// Fetches one of a batch's results.
    fn fetch(&self, base_url: &str, result: &str) -> Call;

    /// A line of the results.
    fn line(&self, line: &[u8]) -> Result<BatchLine, Unreadable>;

    /// Whether inputs and results are lines in OpenAI's form, which other programs read and write as well.
    fn takes_lines(&self) -> bool {
        false
    }

    /// Whether the server keeps our name for a batch, or names its input: then a list tells for certain whether it was made.
    fn keeps_names(&self) -> bool;
}
