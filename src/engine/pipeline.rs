//! The units under way: takes prepared units, asks for those that need it, and sends every row to its run.

use super::annotate::{Known, RunContext, by_asking, from_store};
use super::ask::{AskError, Asker};
use super::group::{self, Settled};
use super::prepare::{Headway, Prepared};
use super::{EngineError, Event, Refresh};
use crate::run::{Annotation, RunError, Status, Writer};
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::Instant;

/// Requests under way are waited for this long once a run was told to end: they are paid for.
const GRACE: Duration = Duration::from_secs(20);

/// The units under way, and where their rows go.
pub(super) struct Pipeline<'l> {
    pub contexts: Arc<Vec<RunContext>>,
    /// `None` where nobody is asked.
    pub asker: Option<Arc<Asker>>,
    pub refresh: Refresh,
    pub under_way: JoinSet<Done>,
    pub writers: Vec<Writer>,
    pub headway: Arc<Headway>,
    pub listener: &'l mut (dyn FnMut(Event<'_>) + Send),
    /// When requests under way are given up, once the job was told to end.
    pub deadline: Option<Instant>,
    pub stopped: Option<AskError>,
}

/// Where a row goes: which task of the plan, and where in its run.
type Place = (usize, usize);

/// What has become of a request and those that followed from it: rows, places that get none, and why it ended early if it did.
pub(super) struct Done {
    task: usize,
    settled: Settled,
    error: Option<AskError>,
}

impl Done {
    /// What has become of a question about one unit.
    fn of_unit((task, position): Place, outcome: Result<Annotation, AskError>) -> Done {
        match outcome {
            Ok(row) => Done { task, settled: Settled { rows: vec![(position, row)], open: Vec::new() }, error: None },
            Err(error) => {
                Done { task, settled: Settled { rows: Vec::new(), open: vec![position] }, error: Some(error) }
            }
        }
    }
}

impl Pipeline<'_> {
    /// Takes a prepared unit: its row, or the question that leads to it.
    pub(super) fn start(&mut self, unit: Prepared) -> Result<(), EngineError> {
        match (unit, self.asker.clone()) {
            (Prepared::Row { task, position, row }, _) => self.write_stored((task, position), *row),
            (Prepared::Gone { task, position }, _) => Ok(self.leave_out((task, position))?),
            (Prepared::Ask(question), Some(asker)) if asker.wind_down.is_cancelled() => {
                let (task, position) = (question.work.task, question.work.position);
                // It was prepared before the job was told to end; an answer that was to be replaced stays.
                match from_store(&self.contexts[task], &asker.recall, Refresh::Nothing, question)? {
                    Known::Row(row) => self.write_stored((task, position), *row),
                    Known::Ask(_) => Ok(self.leave_out((task, position))?),
                }
            }
            (Prepared::Ask(question), Some(asker)) => {
                let (contexts, refresh) = (self.contexts.clone(), self.refresh);
                self.under_way.spawn(async move {
                    let (task, position) = (question.work.task, question.work.position);
                    Done::of_unit((task, position), by_asking(&contexts[task], &asker, refresh, *question).await)
                });
                Ok(())
            }
            (Prepared::Group(group), Some(asker)) if asker.wind_down.is_cancelled() => {
                let task = group.task();
                let Settled { rows, open } = group::what_is_stored(&self.contexts[task], &asker.recall, *group)?;
                rows.into_iter().try_for_each(|(position, row)| self.write_stored((task, position), row))?;
                Ok(self.settle(task, Settled { rows: Vec::new(), open })?)
            }
            (Prepared::Group(group), Some(asker)) => {
                let (contexts, refresh, task) = (self.contexts.clone(), self.refresh, group.task());
                self.under_way.spawn(async move {
                    let (settled, error) = group::by_asking(&contexts[task], &asker, refresh, *group).await;
                    Done { task, settled, error }
                });
                Ok(())
            }
            (Prepared::Ask(_) | Prepared::Group(_), None) => Ok(()),
        }
    }

    /// Takes what has become of a question.
    pub(super) fn take(&mut self, Done { task, settled, error }: Done) -> Result<(), RunError> {
        for note in self.asker.iter().flat_map(|asker| asker.take_notes()) {
            (self.listener)(Event::Note(&note));
        }
        match error {
            None | Some(AskError::Cancelled) => {}
            Some(error) => {
                self.stopped.get_or_insert(error);
                self.wind_down();
            }
        }
        self.settle(task, settled)
    }

    fn settle(&mut self, task: usize, Settled { rows, open }: Settled) -> Result<(), RunError> {
        rows.into_iter().try_for_each(|(position, row)| self.write((task, position), row))?;
        open.into_iter().try_for_each(|position| self.leave_out((task, position)))
    }

    /// Writes a row for which nobody was asked now.
    fn write_stored(&mut self, place: Place, row: Annotation) -> Result<(), EngineError> {
        // Not by its attempts: a prompt that shared a request may have none of its own.
        if let Some(asker) = self.asker.as_ref().filter(|_| row.status != Status::Skipped) {
            asker.spending.reused(&row);
        }
        Ok(self.write(place, row)?)
    }

    fn write(&mut self, (task, position): Place, row: Annotation) -> Result<(), RunError> {
        (self.listener)(Event::Row { task, row: &row });
        let listener = &mut self.listener;
        self.writers[task].put(position, row, &mut |row| listener(Event::Written { task, row }))?;
        self.tell_headway();
        Ok(())
    }

    /// The unit gets no row in this run.
    fn leave_out(&mut self, (task, position): Place) -> Result<(), RunError> {
        let listener = &mut self.listener;
        self.writers[task].leave_out(position, &mut |row| listener(Event::Written { task, row }))?;
        self.tell_headway();
        Ok(())
    }

    fn tell_headway(&self) {
        self.headway.set_waiting(self.writers.iter().map(Writer::waiting).sum());
    }

    /// Sends no further request. Units whose answers are stored still get their rows, so that a run that is stopped early never ends
    /// with fewer rows than it had before.
    pub(super) fn wind_down(&mut self) {
        if self.deadline.is_some() {
            return;
        }
        self.deadline = Some(Instant::now() + GRACE);
        if let Some(asker) = &self.asker {
            asker.wind_down.cancel();
        }
        let under_way = self.asker.as_ref().map_or(0, |asker| asker.in_flight());
        (self.listener)(Event::WindingDown { under_way });
    }
}

pub(super) async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}
