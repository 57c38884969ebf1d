//! Takes a rollout's rows; gives which of them are a copy of another thread's.
//!
//! A fork begins with its own `session_meta`, then holds the rows of the thread that it was forked from, that one's
//! `session_meta` first. Nothing marks the end of the copy. Its turns are older than the fork; where turns carry no time, the
//! rows do: copied rows keep their old times or were all written at one moment.

use super::row::{Body, Role, Row};
use jiff::{SignedDuration, Timestamp};
use std::ops::Range;

/// Rows closer together than this were written in one go.
const ONE_GO: SignedDuration = SignedDuration::from_millis(500);

/// Clocks of the file and of the ids in it may differ by this much.
const TOLERANCE: SignedDuration = SignedDuration::from_secs(2);

/// Which rows are copies.
pub(super) fn copied_rows(rows: &[Row]) -> Range<usize> {
    let Some(own) = rows.iter().position(|row| matches!(row.body, Body::Meta { .. })) else { return 0..0 };
    let Body::Meta { thread, created, forked } = &rows[own].body else { return 0..0 };
    let own_id = thread.as_ref().map(|thread| &thread.id);
    let created = created.or(rows[own].at);
    let embedded = rows.iter().enumerate().skip(own + 1).find_map(|(at, row)| match &row.body {
        Body::Meta { thread: Some(other), .. } if Some(&other.id) != own_id => Some(at),
        _ => None,
    });
    if let Some(start) = embedded {
        return start..end_of_copy(rows, start, created);
    }
    if *forked || thread.as_ref().is_some_and(|thread| thread.subagent) {
        // Without the other thread's facts, turns older than this one tell of a copy, or calls that took no time.
        let end = end_of_copy(rows, own, created);
        let is_old = |row: &Row| begins_before(row, created) == Some(true);
        let is_used = |row: &Row| matches!(row.body, Body::Tokens { total: Some(_), .. });
        if rows[own..end].iter().any(is_old) || rows[own..end_of_moment(rows, own)].iter().any(is_used) {
            return own + 1..end;
        }
    }
    0..0
}

/// The first row behind `start` that begins a turn of the thread's own.
fn end_of_copy(rows: &[Row], start: usize, created: Option<Timestamp>) -> usize {
    let Some(mut previous) = rows[start].at else { return start + 1 };
    // Whether the moment of copying is over.
    let mut later = false;
    for (at, row) in rows.iter().enumerate().skip(start + 1) {
        if let Some(time) = row.at {
            let is_old = created.is_some_and(|created| is_before(time, created));
            later = !is_old && (later || time.duration_since(previous) >= ONE_GO);
            previous = time;
        }
        let own = match begins_before(row, created) {
            Some(before) => !before,
            None => later && begins_turn(row),
        };
        if own {
            return at;
        }
    }
    rows.len()
}

/// Whether a time is before another one, also by clocks that differ.
fn is_before(time: Timestamp, other: Timestamp) -> bool {
    other.duration_since(time) > TOLERANCE
}

/// The first row behind `start` that was not written in one go with it.
fn end_of_moment(rows: &[Row], start: usize) -> usize {
    let gap = |pair: &[Row]| Some(pair[1].at?.duration_since(pair[0].at?) >= ONE_GO);
    rows[start..].windows(2).position(|pair| gap(pair).unwrap_or(true)).map_or(rows.len(), |at| start + at + 1)
}

/// Whether the turn that a row begins is older than the thread; none where the row does not say.
fn begins_before(row: &Row, created: Option<Timestamp>) -> Option<bool> {
    match row.body {
        Body::TurnStarted { turn: Some(turn) } | Body::TurnContext { turn: Some(turn), .. } => {
            Some(is_before(turn, created?))
        }
        _ => None,
    }
}

fn begins_turn(row: &Row) -> bool {
    match &row.body {
        Body::TurnStarted { .. } | Body::TurnContext { .. } | Body::UserMessage { .. } => true,
        Body::Message { role, .. } => *role == Role::User,
        _ => false,
    }
}
