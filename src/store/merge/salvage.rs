//! Saving what a damaged store still holds: each row is looked for by its number, and those that cannot be read are left out.

use super::lines::take;
use super::{Merged, take_fact};
use crate::store::StoreError;
use crate::store::file::{self, BUSY_TIMEOUT};
use crate::store::format::{self, Format, VERSION};
use crate::store::row::{Cells, columns, ledger_columns};
use rusqlite::types::Value;
use rusqlite::{Connection, OpenFlags, OptionalExtension, Row, Transaction, TransactionBehavior, params_from_iter};
use std::path::Path;

/// No answer takes fewer bytes of the file.
const SMALLEST_ROW: u64 = 256;

pub(super) fn salvage(connection: &mut Connection, store: &Path, from: &Path) -> Result<Merged, StoreError> {
    let (damaged, version) = open(from)?;
    let fail = |error| StoreError::of("merge into", store, BUSY_TIMEOUT, error);
    let select = format!("SELECT {}, body FROM response WHERE id = ?1", columns(version));
    let mut statement = damaged.prepare(&select).map_err(|error| lost(from, error))?;
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(fail)?;
    let mut merged = Merged::default();
    let (mut read, mut unreadable, mut unreadable_so_far) = (0, 0, 0);
    for id in 1..=last_number(&damaged, from) {
        let look = |row: &Row<'_>| {
            let cells = Cells { path: from, table: "response", row };
            Ok(cells.response().and_then(|stored| Ok((stored.response, cells.key()?.1))))
        };
        match statement.query_row([id], look).optional() {
            Ok(None) => {}
            Ok(Some(Ok((response, standing)))) => {
                take(&transaction, &response, standing, &mut merged).map_err(fail)?;
                (read, unreadable) = (read + 1, unreadable_so_far);
            }
            Ok(Some(Err(_))) | Err(_) => unreadable_so_far += 1,
        }
    }
    // The index of keys may be whole, and then knows how many answers there were. Else those that are missing between others are counted:
    // behind the last one nobody knows where they ended.
    let all: Option<u64> =
        damaged.query_row("SELECT count(*) FROM response", [], |row| row.get(0)).ok().map(i64::cast_unsigned);
    merged.damaged = all.map_or(unreadable, |all| all.saturating_sub(read));
    merged.evaluations = ledger(&damaged, version, &transaction).map_err(fail)?;
    merged.facts = facts(&damaged, &transaction).map_err(fail)?;
    transaction.commit().map_err(fail)?;
    Ok(merged)
}

/// A connection that reads a file although it is shorter than it should be.
fn open(from: &Path) -> Result<(Connection, i64), StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let open = || {
        let connection = Connection::open_with_flags(file::plain(from), flags)?;
        connection.busy_timeout(BUSY_TIMEOUT)?;
        connection.pragma_update(None, "writable_schema", true)?;
        connection.pragma_update(None, "query_only", true)?;
        Ok(connection)
    };
    let connection = open().map_err(|error| lost(from, error))?;
    match format::recognise(from, &connection, None) {
        Ok(Format::Version(version)) => Ok((connection, version)),
        Err(StoreError::Damaged { source, .. }) => Err(StoreError::Lost { path: from.to_owned(), source }),
        failed => failed.and(Err(StoreError::Foreign { path: from.to_owned() })),
    }
}

fn lost(from: &Path, error: rusqlite::Error) -> StoreError {
    StoreError::Lost { path: from.to_owned(), source: error.into() }
}

/// The largest number that a row may have.
fn last_number(damaged: &Connection, from: &Path) -> i64 {
    let told = damaged.query_row("SELECT max(id) FROM response", [], |row| row.get::<_, Option<i64>>(0));
    match told {
        Ok(last) => last.unwrap_or(0),
        Err(_) => i64::try_from(file::size_on_disk(from) / SMALLEST_ROW).unwrap_or(i64::MAX),
    }
}

/// Lines of the ledger that are not here, as far as they can be read.
fn ledger(damaged: &Connection, version: i64, transaction: &Transaction<'_>) -> rusqlite::Result<u64> {
    let mut merged = 0;
    let (columns, theirs) = (ledger_columns(VERSION), ledger_columns(version));
    let statement = format!(
        "INSERT INTO main.evaluation ({columns}) SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11 WHERE NOT EXISTS
         (SELECT 1 FROM main.evaluation WHERE rater = ?1 AND task = ?2 AND field = ?3 AND gold_path = ?4 AND gold_hash = ?5
          AND split = ?6 AND at = ?7 AND metric = ?8 AND value IS ?9 AND items = ?10 AND shown_to IS ?11)"
    );
    for cells in readable(damaged, &format!("SELECT {theirs} FROM evaluation ORDER BY id"), 11) {
        merged += transaction.prepare_cached(&statement)?.execute(params_from_iter(cells))? as u64;
    }
    Ok(merged)
}

fn facts(damaged: &Connection, transaction: &Transaction<'_>) -> rusqlite::Result<u64> {
    let mut merged = 0;
    let select = "SELECT provider, endpoint, model, feature, learnt_at, message FROM model_fact ORDER BY id";
    for cells in readable(damaged, select, 6) {
        let texts: Vec<String> =
            cells.into_iter().filter_map(|cell| if let Value::Text(text) = cell { Some(text) } else { None }).collect();
        if let Ok(fact) = <[String; 6]>::try_from(texts) {
            merged += u64::from(take_fact(transaction, &fact)?);
        }
    }
    Ok(merged)
}

/// The rows of a statement up to the first that cannot be read.
fn readable(damaged: &Connection, select: &str, columns: usize) -> Vec<Vec<Value>> {
    let Ok(mut statement) = damaged.prepare(select) else { return Vec::new() };
    let cells = |row: &Row<'_>| (0..columns).map(|at| row.get(at)).collect::<rusqlite::Result<Vec<Value>>>();
    let Ok(rows) = statement.query_map([], cells) else { return Vec::new() };
    rows.map_while(Result::ok).collect()
}
