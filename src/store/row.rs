//! Rows of the store's tables: which columns an answer has, and how they are read, with errors that name the cell.

use super::{
    AskedSettings, Lane, NewResponse, RequestKey, RequestParts, Standing, StoreError, StoredResponse, Subject,
};
use crate::unit::UnitId;
use rusqlite::Row;
use rusqlite::types::{FromSql, ValueRef};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::path::Path;
use std::str::FromStr;
use std::time::Duration;

/// A column of a statement: its place and its name. By its place alone a cell is found at once.
#[derive(Debug, Clone, Copy)]
pub(super) struct Column(pub(super) usize, pub(super) &'static str);

pub(super) const ID: Column = Column(0, "id");
pub(super) const KEY: Column = Column(1, "key");
pub(super) const PROVIDER: Column = Column(2, "provider");
pub(super) const MODEL: Column = Column(3, "model");
pub(super) const ENDPOINT: Column = Column(4, "endpoint");
pub(super) const TASK: Column = Column(5, "task");
pub(super) const UNIT: Column = Column(6, "unit");
pub(super) const RUN: Column = Column(7, "run");
pub(super) const REQUEST: Column = Column(8, "request");
const CHECKSUM: Column = Column(9, "checksum");
const STATUS: Column = Column(10, "status");
pub(super) const USAGE: Column = Column(11, "usage");
pub(super) const CREATED_AT: Column = Column(12, "created_at");
const ATTEMPTS: Column = Column(13, "attempts");
const LATENCY: Column = Column(14, "latency_ms");
pub(super) const LANE: Column = Column(15, "lane");
/// The body, or its length in bytes.
pub(super) const BODY: Column = Column(16, "body");

/// The columns of an answer in a file of `format`, without its body; what a format does not have is null.
pub(super) fn columns(format: i64) -> &'static str {
    match format {
        1 => {
            "id, key, provider, model, endpoint, task, NULL, run, request, NULL, status, usage, created_at, attempts, latency_ms, NULL"
        }
        2 => {
            "id, key, provider, model, endpoint, task, unit, run, request, checksum, status, usage, created_at, attempts, latency_ms, NULL"
        }
        _ => {
            "id, key, provider, model, endpoint, task, unit, run, request, checksum, status, usage, created_at, attempts, latency_ms, lane"
        }
    }
}

/// The columns of a line of the ledger in a file of `format`, without its number; what a format does not have is null.
pub(super) fn ledger_columns(format: i64) -> &'static str {
    match format {
        1..=3 => "rater, task, field, gold_path, gold_hash, split, at, metric, value, items, NULL",
        _ => "rater, task, field, gold_path, gold_hash, split, at, metric, value, items, shown_to",
    }
}

/// What `response.request` holds.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct RequestCell {
    system: String,
    turns: String,
    schema: String,
    settings: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    codebook: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    material: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    asked: Option<AskedSettings>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes: Option<u64>,
}

impl RequestCell {
    pub(super) fn new(parts: &RequestParts, subject: Option<&Subject>) -> RequestCell {
        let RequestParts { system, turns, schema, settings, asked, bytes } = parts.clone();
        RequestCell {
            system,
            turns,
            schema,
            settings,
            codebook: subject.map(|subject| subject.codebook.clone()),
            material: subject.map(|subject| subject.material.clone()),
            asked,
            bytes,
        }
    }

    pub(super) fn take_apart(self, unit: Option<String>) -> (RequestParts, Option<Subject>) {
        let RequestCell { system, turns, schema, settings, codebook, material, asked, bytes } = self;
        let subject = unit.map(|unit| Subject {
            unit: UnitId::from_text(unit),
            codebook: codebook.unwrap_or_default(),
            material: material.unwrap_or_default(),
        });
        (RequestParts { system, turns, schema, settings, asked, bytes }, subject)
    }
}

/// The columns that a checksum is made of, in its order. A superseded answer's key is taken as that of its request.
pub(super) const SUMMED: &str = "substr(key, 1, 64), provider, model, endpoint, task, unit, run, request, status, usage, created_at, attempts, \
    latency_ms, body, lane";

/// How many these are.
const SUMMED_COLUMNS: usize = 15;

/// What `response.lane` holds of an answer of the batch lane; of others it holds nothing.
pub(super) const BATCH: &str = "batch";

/// A checksum of an answer: tells whether it is still what was stored. An answer of no lane has the sum that it had before there were lanes.
pub(super) fn checksum<'v>(cells: impl IntoIterator<Item = ValueRef<'v>>) -> i64 {
    let mut hasher = blake3::Hasher::new();
    for (at, cell) in cells.into_iter().enumerate() {
        match cell {
            ValueRef::Null if at + 1 == SUMMED_COLUMNS => continue,
            ValueRef::Text(bytes) | ValueRef::Blob(bytes) => {
                hasher.update(&(bytes.len() as u64).to_le_bytes());
                hasher.update(bytes)
            }
            ValueRef::Integer(number) => hasher.update(&number.to_le_bytes()),
            ValueRef::Real(number) => hasher.update(&number.to_le_bytes()),
            // No text has this length.
            ValueRef::Null => hasher.update(&u64::MAX.to_le_bytes()),
        };
    }
    let hash = hasher.finalize();
    i64::from_le_bytes(*hash.as_bytes().first_chunk().expect("a hash has 32 bytes"))
}

/// A superseded answer's key is that of its request with its time behind it.
pub(super) fn superseded_key(key: &str, created_at: &str) -> String {
    format!("{key}#{created_at}")
}

/// A row whose cells are read with errors that name the cell. The first column is the row's number.
pub(super) struct Cells<'a> {
    pub(super) path: &'a Path,
    pub(super) table: &'static str,
    pub(super) row: &'a Row<'a>,
}

impl Cells<'_> {
    pub(super) fn get<T: FromSql>(&self, column: Column) -> Result<T, StoreError> {
        self.row.get(column.0).map_err(|error| self.bad(column, &error))
    }

    pub(super) fn count<T: TryFrom<i64, Error: fmt::Display>>(&self, column: Column) -> Result<T, StoreError> {
        T::try_from(self.get::<i64>(column)?).map_err(|error| self.bad(column, &error))
    }

    pub(super) fn parse<T: FromStr<Err: fmt::Display>>(&self, column: Column) -> Result<T, StoreError> {
        self.text(column)?.parse().map_err(|error| self.bad(column, &error))
    }

    pub(super) fn json<T: for<'de> Deserialize<'de>>(&self, column: Column) -> Result<Option<T>, StoreError> {
        let cell = self.row.get_ref(column.0).map_err(|error| self.bad(column, &error))?;
        let text = cell.as_str_or_null().map_err(|error| self.bad(column, &error))?;
        text.map(serde_json::from_str).transpose().map_err(|error| self.bad(column, &error))
    }

    pub(super) fn text(&self, column: Column) -> Result<&str, StoreError> {
        let cell = self.row.get_ref(column.0).map_err(|error| self.bad(column, &error))?;
        cell.as_str().map_err(|error| self.bad(column, &error))
    }

    /// The answer, which is what was stored.
    pub(super) fn response(&self) -> Result<StoredResponse, StoreError> {
        let id = self.get(ID)?;
        if self.get::<Option<i64>>(CHECKSUM)?.is_some_and(|stored| stored != self.checksum()) {
            return Err(StoreError::Altered { path: self.path.to_owned(), id });
        }
        let (parts, subject) = self.json::<RequestCell>(REQUEST)?.unwrap_or_default().take_apart(self.get(UNIT)?);
        let (key, _) = self.key()?;
        let response = NewResponse {
            key,
            provider: self.get(PROVIDER)?,
            model: self.get(MODEL)?,
            endpoint: self.get(ENDPOINT)?,
            task: self.get(TASK)?,
            subject,
            run: self.get(RUN)?,
            parts,
            body: self.get(BODY)?,
            status: self.count(STATUS)?,
            usage: self.json(USAGE)?,
            created_at: self.parse(CREATED_AT)?,
            attempts: self.count(ATTEMPTS)?,
            latency: Duration::from_millis(self.count(LATENCY)?),
            lane: self.lane()?,
        };
        Ok(StoredResponse { id, response })
    }

    /// The way that the answer came: what knows of no other lane says none.
    pub(super) fn lane(&self) -> Result<Lane, StoreError> {
        match self.get::<Option<String>>(LANE)?.as_deref() {
            None => Ok(Lane::Direct),
            Some(BATCH) => Ok(Lane::Batch),
            Some(_) => Err(self.bad(LANE, &"not a lane")),
        }
    }

    fn checksum(&self) -> i64 {
        let summed = [
            PROVIDER, MODEL, ENDPOINT, TASK, UNIT, RUN, REQUEST, STATUS, USAGE, CREATED_AT, ATTEMPTS, LATENCY, BODY,
            LANE,
        ];
        let cell = |column: Column| self.row.get_ref(column.0).unwrap_or(ValueRef::Null);
        let key = match cell(KEY) {
            ValueRef::Text(key) => ValueRef::Text(&key[..key.len().min(64)]),
            other => other,
        };
        checksum(std::iter::once(key).chain(summed.map(cell)))
    }

    /// The key of the answer's request, and whether it is the answer to use: else the key goes on after that of the request.
    pub(super) fn key(&self) -> Result<(RequestKey, Standing), StoreError> {
        let text = self.text(KEY)?;
        let (key, standing) = match text.split_once('#') {
            Some((key, _)) => (key, Standing::Superseded),
            None => (text, Standing::Current),
        };
        Ok((key.parse().map_err(|error| self.bad(KEY, &error))?, standing))
    }

    pub(super) fn bad(&self, column: Column, reason: &dyn fmt::Display) -> StoreError {
        StoreError::BadRow {
            path: self.path.to_owned(),
            table: self.table,
            id: self.row.get(0).unwrap_or_default(),
            column: column.1,
            reason: reason.to_string(),
        }
    }
}
