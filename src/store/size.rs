//! How large stored answers and their requests were: what tells how a model counts.

use super::row::{Cells, Column};
use super::{Reader, StoreError};
use crate::unit::UnitId;
use crate::usage::Usage;
use rusqlite::params;

/// The sizes of an answered request.
#[derive(Debug, Clone, PartialEq)]
pub struct AnsweredSize {
    /// The task that it was asked for, if any.
    pub task: Option<String>,
    /// What it was about; the session, for one about several of its prompts. `None` where nobody wrote it down.
    pub unit: Option<UnitId>,
    /// Bytes of text that were sent; `None` where nobody wrote it down.
    pub bytes: Option<u64>,
    /// Tokens as billed.
    pub usage: Usage,
}

impl Reader {
    /// The sizes of the latest `limit` answers of a model whose usage is known, latest first.
    pub fn sizes(
        &self,
        provider: &str,
        endpoint: &str,
        model: &str,
        limit: usize,
    ) -> Result<Vec<AnsweredSize>, StoreError> {
        let unit = if self.format() == 1 { "NULL" } else { "unit" };
        let sql = format!(
            "SELECT id, task, {unit}, request ->> '$.bytes', usage FROM response
             WHERE provider = ?1 AND endpoint = ?2 AND model = ?3 AND usage IS NOT NULL ORDER BY id DESC LIMIT ?4"
        );
        let fail = |error| self.fail(error);
        let mut statement = self.connection().prepare(&sql).map_err(fail)?;
        let mut rows = statement.query(params![provider, endpoint, model, limit as i64]).map_err(fail)?;
        let mut sizes = Vec::new();
        while let Some(row) = rows.next().map_err(fail)? {
            let cells = Cells { path: self.path(), table: "response", row };
            let Some(usage) = cells.json(Column(4, "usage"))? else { continue };
            sizes.push(AnsweredSize {
                task: cells.get(Column(1, "task"))?,
                unit: cells.get::<Option<String>>(Column(2, "unit"))?.map(UnitId::from_text),
                bytes: cells.get::<Option<i64>>(Column(3, "request"))?.and_then(|bytes| u64::try_from(bytes).ok()),
                usage,
            });
        }
        Ok(sizes)
    }
}
