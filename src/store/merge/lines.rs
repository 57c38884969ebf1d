//! Merging an exported file: answer by answer.

use super::{MergeError, Merged};
use crate::store::file::BUSY_TIMEOUT;
use crate::store::line::AnswerLine;
use crate::store::writer::insert_response;
use crate::store::{Kept, NewResponse, Standing, StoreError};
use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior};
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

pub(super) fn merge(connection: &mut Connection, store: &Path, from: &Path) -> Result<Merged, MergeError> {
    let fail = |error| StoreError::of("merge into", store, BUSY_TIMEOUT, error);
    let io = |source| MergeError::Io { path: from.to_owned(), source };
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(fail)?;
    let mut merged = Merged::default();
    let mut file = BufReader::new(File::open(from).map_err(io)?);
    let mut bytes = Vec::new();
    let mut number = 0;
    while file.read_until(b'\n', &mut bytes).map_err(io)? > 0 {
        number += 1;
        let bad = |reason: String| MergeError::Line { path: from.to_owned(), line: number, reason };
        let text = std::str::from_utf8(&bytes).map_err(|error| bad(error.to_string()))?;
        if !text.trim().is_empty() {
            let (response, standing) = AnswerLine::read(text).map_err(bad)?;
            take(&transaction, &response, standing, &mut merged).map_err(fail)?;
        }
        bytes.clear();
    }
    transaction.commit().map_err(fail)?;
    Ok(merged)
}

/// Takes over one answer, and counts what came of it.
pub(super) fn take(
    transaction: &Transaction<'_>,
    response: &NewResponse,
    standing: Standing,
    merged: &mut Merged,
) -> rusqlite::Result<()> {
    let here: Option<bool> = transaction
        .prepare_cached("SELECT created_at = ?2 AND body = ?3 FROM response WHERE key = ?1")?
        .query_row([&response.key.to_string(), &response.created_at.to_string(), &response.body], |row| row.get(0))
        .optional()?;
    let (place, count) = match (here, standing) {
        (Some(true), _) => {
            merged.known += 1;
            return Ok(());
        }
        (Some(false), Standing::Current) => (Standing::Superseded, &mut merged.conflicting),
        (Some(false) | None, standing) => (standing, &mut merged.added),
    };
    match insert_response(transaction, response, place)? {
        Kept::New => *count += 1,
        Kept::Earlier => merged.known += 1,
    }
    Ok(())
}
