//! Requests that a server calls bad: one unit's own fault, or that of something which all units share? Takes refusals and answers as they
//! come, tells when it cannot be the units'.

use crate::session::SessionId;
use crate::unit::UnitId;
use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// So many different units in a row are no accident where nothing was ever answered.
const AT_FIRST: usize = 10;
/// So many are none where something was, if they are of several sessions: what is odd in one may be so in each of its units.
const LATER: usize = 30;

/// The units that were refused since the last answer.
#[derive(Debug, Default)]
pub(super) struct Refusals(Mutex<InARow>);

#[derive(Debug, Default)]
struct InARow {
    units: HashSet<UnitId>,
    sessions: HashSet<SessionId>,
    /// What the server said of the last one.
    said: String,
}

impl Refusals {
    /// A unit's request was refused as a bad one; gives why the run ends, if this was one too many for a model that has, or has never,
    /// answered anything.
    pub(super) fn refused(&self, unit: &UnitId, said: &str, has_answered: bool) -> Option<String> {
        let mut row = self.row();
        row.sessions.insert(unit.session());
        row.units.insert(unit.clone());
        said.clone_into(&mut row.said);
        let units = row.units.len();
        let is_enough = if has_answered { units >= LATER && row.sessions.len() > 1 } else { units >= AT_FIRST };
        is_enough.then(|| format!("{said} (so for {units} units in a row)"))
    }

    /// A request was answered: what was refused before was so for its own sake.
    pub(super) fn answered(&self) {
        *self.row() = InARow::default();
    }

    /// What the server said of the last unit, if any was refused since the last answer.
    pub(super) fn said(&self) -> Option<String> {
        let row = self.row();
        (!row.units.is_empty()).then(|| row.said.clone())
    }

    fn row(&self) -> MutexGuard<'_, InARow> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unit(session: usize, prompt: usize) -> UnitId {
        UnitId::from_text(format!("claude_code:{session}#{prompt}"))
    }

    fn refuse(refusals: &Refusals, units: impl IntoIterator<Item = UnitId>, has_answered: bool) -> Vec<Option<String>> {
        units.into_iter().map(|unit| refusals.refused(&unit, "HTTP 400: no", has_answered)).collect()
    }

    #[test]
    fn ten_units_are_enough_where_nothing_was_ever_answered_and_thirty_elsewhere() {
        for (has_answered, enough) in [(false, 10), (true, 30)] {
            let refusals = Refusals::default();
            // The same unit again says nothing new.
            let units = (1..enough).flat_map(|number| [unit(number % 3, number), unit(number % 3, number)]);
            assert!(refuse(&refusals, units, has_answered).iter().all(Option::is_none));
            let why = refusals.refused(&unit(1, enough), "HTTP 400: no", has_answered).unwrap();
            assert_eq!(why, format!("HTTP 400: no (so for {enough} units in a row)"));
        }
    }

    #[test]
    fn an_answer_between_them_clears_the_others() {
        let refusals = Refusals::default();
        for round in 0..100 {
            let units = (0..29).map(|number| unit(number, round));
            assert!(refuse(&refusals, units, true).iter().all(Option::is_none));
            assert_eq!(refusals.said().as_deref(), Some("HTTP 400: no"));
            refusals.answered();
            assert_eq!(refusals.said(), None);
        }
    }

    #[test]
    fn one_odd_session_may_have_any_number_of_units() {
        let refusals = Refusals::default();
        assert!(refuse(&refusals, (0..500).map(|number| unit(1, number)), true).iter().all(Option::is_none));
        assert!(refusals.refused(&unit(2, 1), "HTTP 400: no", true).is_some());
    }
}
