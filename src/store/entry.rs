//! What the store tells of each answer, without its body: for counting, choosing and comparing.

use super::row::{
    BODY, CREATED_AT, Cells, ENDPOINT, ID, MODEL, PROVIDER, REQUEST, RUN, RequestCell, TASK, UNIT, USAGE, columns,
};
use super::{Lane, Reader, RequestKey, RequestParts, Standing, StoreError, Subject};
use crate::usage::Usage;
use jiff::Timestamp;

/// An answer without its body.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// The row's number: the order of payment in this store.
    pub id: i64,
    /// The key of the request that it answers.
    pub key: RequestKey,
    /// Whether it is the answer to use.
    pub standing: Standing,
    /// The provider's name in the configuration.
    pub provider: String,
    /// The model that was asked.
    pub model: String,
    /// The base URL that was asked.
    pub endpoint: String,
    /// The task that it was asked for, if any.
    pub task: Option<String>,
    /// What it was asked about; `None` where nobody wrote it down.
    pub subject: Option<Subject>,
    /// The name of the run that paid.
    pub run: String,
    /// Hashes of the request's parts.
    pub parts: RequestParts,
    /// Bytes of the body.
    pub body_bytes: u64,
    /// Tokens as billed, where the server told.
    pub usage: Option<Usage>,
    /// When the answer came.
    pub created_at: Timestamp,
    /// The way that it came.
    pub lane: Lane,
}

impl Entry {
    /// `PROVIDER/MODEL`.
    pub fn model_name(&self) -> String {
        format!("{}/{}", self.provider, self.model)
    }
}

impl Reader {
    /// Shows every answer to `visit`, in the order of payment, until it fails.
    pub fn entries<E: From<StoreError>>(&self, mut visit: impl FnMut(Entry) -> Result<(), E>) -> Result<(), E> {
        let fail = |error| self.fail(error);
        let select = format!("SELECT {}, octet_length(body) FROM response ORDER BY id", columns(self.format()));
        let mut statement = self.connection().prepare_cached(&select).map_err(fail)?;
        let mut rows = statement.query([]).map_err(fail)?;
        while let Some(row) = rows.next().map_err(fail)? {
            let cells = Cells { path: self.path(), table: "response", row };
            visit(cells.entry()?)?;
        }
        Ok(())
    }

    /// Lines of the ledger, and facts about models.
    pub fn other_rows(&self) -> Result<(u64, u64), StoreError> {
        let count = |table: &str| {
            let select = format!("SELECT count(*) FROM {table}");
            self.connection()
                .query_row(&select, [], |row| row.get(0))
                .map_err(|error| self.fail(error))
                .map(i64::cast_unsigned)
        };
        Ok((count("evaluation")?, count("model_fact")?))
    }
}

impl Cells<'_> {
    pub(super) fn entry(&self) -> Result<Entry, StoreError> {
        let (parts, subject) = self.json::<RequestCell>(REQUEST)?.unwrap_or_default().take_apart(self.get(UNIT)?);
        let (key, standing) = self.key()?;
        Ok(Entry {
            id: self.get(ID)?,
            key,
            standing,
            provider: self.get(PROVIDER)?,
            model: self.get(MODEL)?,
            endpoint: self.get(ENDPOINT)?,
            task: self.get(TASK)?,
            subject,
            run: self.get(RUN)?,
            parts,
            body_bytes: self.count(BODY)?,
            usage: self.json(USAGE)?,
            created_at: self.parse(CREATED_AT)?,
            lane: self.lane()?,
        })
    }
}
