//! Threads that read sessions and render their units: takes a plan, gives rows where they can be made at once (a baseline's, or from a
//! stored answer), and requests where somebody has to be asked.
//!
//! Sessions are begun in order and worked on side by side. How far a thread may get ahead is bounded by the rows that wait for earlier
//! ones, so memory holds the sessions under way and never the corpus.

mod groups;

use super::EngineError;
use super::annotate::{Known, Question, RunContext, Work, baseline_row, from_store, material_hash, skipped_row};
use super::group::GroupQuestion;
use super::plan::Plan;
use super::recall::Recall;
use super::warmth::Beginnings;
use crate::codebook::UnitKind;
use crate::config::Rater;
use crate::engine::Refresh;
use crate::llm::PrefixCache;
use crate::material::{Coverage, Renderer};
use crate::prompt::{Prompt, Prompter};
use crate::redact::{self, Redactions};
use crate::run::Annotation;
use crate::session::Session;
use crate::store::StoreError;
use crate::unit::{Grouping, Unit, units};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// Rows that may wait for earlier ones before threads wait with further sessions.
const WAITING_ROWS: usize = 4_096;
/// Units are handed over so many at once, since a hand-over costs more than a stored unit's row.
const AT_ONCE: usize = 64;
/// Bytes of prompts that are handed over at once, at most, but for the last one of them.
const BYTES_AT_ONCE: usize = 1 << 20;

/// A unit on its way.
pub enum Prepared {
    /// It has its row.
    Row {
        /// Which task of the plan.
        task: usize,
        /// Where in its run.
        position: usize,
        /// The row.
        row: Box<Annotation>,
    },
    /// A model has to be asked.
    Ask(Box<Question>),
    /// A model has to be asked for several prompts at once. Comes only where the plan's task has a `group`; what follows from the answer, more
    /// requests perhaps, is for [`super::group`] to say.
    Group(Box<GroupQuestion>),
    /// It was planned, but its session has fewer units by now.
    Gone {
        /// Which task of the plan.
        task: usize,
        /// Where in its run.
        position: usize,
    },
}

/// How far the rows have got; threads wait for it.
#[derive(Debug, Default)]
pub struct Headway {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// Rows that wait for earlier ones.
    waiting: usize,
    /// Sessions that threads are at work on.
    under_way: usize,
    ended: bool,
}

impl Headway {
    /// Tells how many rows wait for earlier ones.
    pub fn set_waiting(&self, waiting: usize) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let was_full = state.waiting >= WAITING_ROWS;
        state.waiting = waiting;
        if was_full && waiting < WAITING_ROWS {
            self.changed.notify_all();
        }
    }

    /// Lets no thread begin another session.
    pub fn end(&self) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).ended = true;
        self.changed.notify_all();
    }

    /// Waits for leave to begin another session; `false` if nothing shall begin any more.
    fn begin(&self) -> bool {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        // With nothing under way the rows may be waiting for this very session.
        while !state.ended && state.waiting >= WAITING_ROWS && state.under_way > 0 {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.under_way += 1;
        !state.ended
    }

    fn done(&self) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).under_way -= 1;
        self.changed.notify_all();
    }
}

/// What the threads share.
pub struct Preparing {
    /// What is annotated.
    pub plan: Arc<Plan>,
    /// What all rows of each run share.
    pub contexts: Arc<Vec<RunContext>>,
    /// Who annotates.
    pub rater: Rater,
    /// What the model was asked before, if the rater is one.
    pub recall: Option<Arc<Recall>>,
    /// Which stored answers are asked for again.
    pub refresh: Refresh,
    /// From when on none are: a job that is told to end keeps the answers that it has.
    pub wind_down: CancellationToken,
    /// Answers per unit.
    pub samples: u32,
    /// Whether sessions are redacted.
    pub redacted: bool,
    /// How far the rows have got.
    pub headway: Arc<Headway>,
}

/// What was replaced in the sessions of each task, and of all sessions at the end.
pub type Replaced = Vec<Redactions>;

impl Preparing {
    /// Works through the plan on `threads` threads; ends when all is handed over, or nobody takes it any more.
    pub fn run(&self, threads: usize, sender: &mpsc::Sender<Vec<Prepared>>) -> Result<Replaced, EngineError> {
        let prompter = Prompter::new(&self.plan.library, self.plan.tasks.iter().map(|task| &*task.codebook))?;
        let positions: Vec<Vec<usize>> = (0..self.plan.tasks.len()).map(|task| self.positions(task)).collect();
        let next = AtomicUsize::new(0);
        let failed = AtomicBool::new(false);
        let work = || {
            let mut replaced = vec![Redactions::default(); self.plan.tasks.len() + 1];
            let mut sending = Sending { sender, held: Vec::new(), bytes: 0, open: true };
            loop {
                let at = next.fetch_add(1, Ordering::Relaxed);
                if at >= self.plan.corpus.sources().len() || !sending.open || failed.load(Ordering::Relaxed) {
                    break;
                }
                if !self.plan.tasks.iter().any(|task| task.selection.touches(at)) {
                    continue;
                }
                let begun = self.headway.begin();
                let outcome =
                    if begun { self.session(at, &prompter, &positions, &mut sending, &mut replaced) } else { Ok(()) };
                sending.flush();
                self.headway.done();
                if let Err(error) = outcome {
                    failed.store(true, Ordering::Relaxed);
                    return Err(error);
                }
                if !begun {
                    break;
                }
            }
            Ok(replaced)
        };
        let parts: Vec<Result<Replaced, EngineError>> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..threads.max(1)).map(|_| scope.spawn(work)).collect();
            threads
                .into_iter()
                .map(|thread| thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
                .collect()
        });
        let mut sum = vec![Redactions::default(); self.plan.tasks.len() + 1];
        for part in parts {
            sum.iter_mut().zip(part?).for_each(|(sum, part)| sum.absorb(&part));
        }
        Ok(sum)
    }

    /// Where the rows of each session begin in the run of a task.
    fn positions(&self, task: usize) -> Vec<usize> {
        let mut position = 0;
        (0..self.plan.sessions.len())
            .map(|at| {
                let begin = position;
                position += self.planned(task, at) * self.samples as usize;
                begin
            })
            .collect()
    }

    /// How many units of a session a task is planned to annotate.
    fn planned(&self, task: usize, at: usize) -> usize {
        let task = &self.plan.tasks[task];
        task.selection.count(at, super::plan::count(&self.plan.sessions[at], task.codebook.unit))
    }

    fn session(
        &self,
        at: usize,
        prompter: &Prompter,
        positions: &[Vec<usize>],
        sending: &mut Sending<'_>,
        replaced: &mut Replaced,
    ) -> Result<(), EngineError> {
        let (session, redactions) = redact::read(&self.plan.corpus.sources()[at], self.redacted)?;
        let touched = self.plan.tasks.iter().map(|task| task.selection.touches(at)).chain([true]);
        replaced.iter_mut().zip(touched).filter(|(_, touched)| *touched).for_each(|(sum, _)| sum.absorb(&redactions));
        let session = Arc::new(session);
        for task in self.order() {
            let chosen: Vec<Unit> = units(&session, self.plan.tasks[task].codebook.unit)
                .into_iter()
                .enumerate()
                .filter(|(nth, _)| self.plan.tasks[task].selection.holds(at, *nth))
                .map(|(_, unit)| unit)
                .collect();
            let samples = self.samples as usize;
            let planned = self.planned(task, at);
            for nth in chosen.len()..planned {
                let first = positions[task][at] + nth * samples;
                (first..first + samples).for_each(|position| sending.send(Prepared::Gone { task, position }, 0));
            }
            let chosen = chosen.into_iter().take(planned).enumerate();
            let unit = |(nth, unit): (usize, Unit)| (positions[task][at] + nth * samples, unit);
            // The longest material goes first where a provider keeps any beginning, the shortest where it keeps what it is told to: there
            // each one adds to the one before it.
            let in_turn: Vec<(usize, Unit)> = match self.cache() {
                PrefixCache::Marked => chosen.map(unit).collect(),
                PrefixCache::Automatic | PrefixCache::None => chosen.rev().map(unit).collect(),
            };
            self.units(task, &session, prompter, in_turn, sending)?;
            if !sending.open {
                break;
            }
        }
        Ok(())
    }

    /// Tasks in the order in which the units of a session are handed over: those that see the whole of it first, unless a provider keeps
    /// only what it is told to.
    fn order(&self) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.plan.tasks.len()).collect();
        let whole = |task: &usize| self.plan.tasks[*task].codebook.unit == UnitKind::Session;
        order.sort_by_key(|task| whole(task) == (self.cache() == PrefixCache::Marked));
        order
    }

    fn refresh(&self) -> Refresh {
        if self.wind_down.is_cancelled() { Refresh::Nothing } else { self.refresh }
    }

    fn cache(&self) -> PrefixCache {
        self.recall.as_ref().map_or(PrefixCache::None, |recall| recall.prefix_cache())
    }

    /// Hands the units of one task and session over, each with the position of its first row.
    fn units(
        &self,
        task: usize,
        session: &Arc<Session>,
        prompter: &Prompter,
        chosen: Vec<(usize, Unit)>,
        sending: &mut Sending<'_>,
    ) -> Result<(), EngineError> {
        let codebook = &self.plan.tasks[task].codebook;
        let has_prompts = session.prompts().next().is_some();
        if !self.rater.sees() {
            chosen.into_iter().for_each(|(first, unit)| self.unseen(task, session, first, &unit, sending));
            return Ok(());
        }
        if let (Some(Grouping::Session), Some(recall)) = (self.plan.tasks[task].group, &self.recall) {
            return self.groups(task, recall, session, prompter, chosen, sending);
        }
        let renderer = Renderer::new(session, &codebook.sees);
        for (first, unit) in chosen {
            let material = renderer.material(&unit);
            let prompt =
                if has_prompts { Some(prompter.render(&codebook.task, session, &unit, &material)?) } else { None };
            let shown: Arc<[u32]> = material.shown.into();
            for sample in 0..self.samples {
                let work = Work {
                    task,
                    position: first + sample as usize,
                    unit: unit.clone(),
                    session: session.clone(),
                    coverage: material.coverage,
                    shown: shown.clone(),
                    is_asked: prompt.is_some(),
                    sample,
                };
                self.unit(work, prompt.as_ref(), &material.text, sending)?;
            }
        }
        Ok(())
    }

    /// Hands over a unit whose rater looks at nothing that could be rendered.
    fn unseen(&self, task: usize, session: &Arc<Session>, first: usize, unit: &Unit, sending: &mut Sending<'_>) {
        for sample in 0..self.samples {
            let position = first + sample as usize;
            let (unit, session, shown) = (unit.clone(), session.clone(), Arc::from([]));
            let work = Work { task, position, unit, session, coverage: Coverage::NONE, shown, is_asked: false, sample };
            let row = Box::new(baseline_row(&self.contexts[task], &self.rater, work));
            sending.send(Prepared::Row { task, position, row }, 0);
        }
    }

    fn unit(
        &self,
        work: Work,
        prompt: Option<&Prompt>,
        material: &str,
        sending: &mut Sending<'_>,
    ) -> Result<(), StoreError> {
        let (task, position) = (work.task, work.position);
        let context = &self.contexts[task];
        let Some(recall) = &self.recall else {
            let row = Box::new(baseline_row(context, &self.rater, work));
            sending.send(Prepared::Row { task, position, row }, 0);
            return Ok(());
        };
        let Some(prompt) = prompt else {
            let row = Box::new(skipped_row(context, work));
            sending.send(Prepared::Row { task, position, row }, 0);
            return Ok(());
        };
        let model = &recall.model;
        let request = prompt.request(&model.name.model, context.temperature, model.max_output_tokens, work.sample);
        let (key, parts) = recall.key(&request);
        let question = Box::new(Question {
            work,
            request,
            key,
            parts,
            beginnings: Beginnings::default(),
            material: String::new(),
        });
        match from_store(context, recall, self.refresh(), question)? {
            Known::Row(row) => sending.send(Prepared::Row { task, position, row }, 0),
            Known::Ask(mut question) => {
                question.beginnings = Beginnings::of(&question.request, self.cache());
                question.material = material_hash(material);
                let bytes = question.request.parts().map(|part| part.text.len()).sum();
                sending.send(Prepared::Ask(question), bytes);
            }
        }
        Ok(())
    }
}

/// What a thread has prepared and not yet handed over.
struct Sending<'s> {
    sender: &'s mpsc::Sender<Vec<Prepared>>,
    held: Vec<Prepared>,
    bytes: usize,
    /// Whether anybody takes it.
    open: bool,
}

impl Sending<'_> {
    fn send(&mut self, prepared: Prepared, bytes: usize) {
        // A request is worth a hand-over of its own: somebody may be free to send it.
        let is_request = matches!(prepared, Prepared::Ask(_) | Prepared::Group(_));
        self.held.push(prepared);
        self.bytes += bytes;
        if is_request || self.held.len() >= AT_ONCE || self.bytes >= BYTES_AT_ONCE {
            self.flush();
        }
    }

    fn flush(&mut self) {
        self.bytes = 0;
        if !self.held.is_empty() && self.open {
            self.open = self.sender.blocking_send(std::mem::take(&mut self.held)).is_ok();
        }
    }
}
