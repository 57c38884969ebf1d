//! The input of one job while it is put together: requests go into the journal, a group at a time, and those that were free into a file.

use super::questions::{Forecasting, Measure, Missing, Wanted, cost};
use super::{BatchError, new_id};
use crate::forecast::Between;
use crate::llm::batch::{BatchLane, BatchLimits, Frame};
use crate::store::journal::{Job, JobRequest, JobState, Journal, Way};
use jiff::Timestamp;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

/// Requests and bytes that wait until they are written down together.
const GROUP: usize = 256;
const GROUP_BYTES: usize = 8 << 20;

/// How large jobs may get, where that is less than what is taken.
#[derive(Debug, Clone, Copy, Default)]
pub struct Split {
    /// Requests of a job.
    pub requests: Option<u64>,
    /// Bytes of its input.
    pub bytes: Option<u64>,
}

impl Split {
    pub(super) fn within(self, limits: BatchLimits) -> BatchLimits {
        BatchLimits {
            requests: self.requests.map_or(limits.requests, |requests| requests.min(limits.requests)),
            bytes: self.bytes.map_or(limits.bytes, |bytes| bytes.min(limits.bytes)),
        }
    }
}

/// A job's input.
pub(super) struct Draft {
    /// The job, so far.
    pub job: Job,
    /// The headers that each of its requests would have had alone.
    pub headers: Vec<(&'static str, String)>,
    frame: Frame,
    limits: BatchLimits,
    file: BufWriter<File>,
    waiting: Vec<(JobRequest, Vec<u8>)>,
    waiting_bytes: usize,
    /// Requests that were in another job.
    pub elsewhere: u64,
    /// What those that are in the file add to a forecast.
    pub taken: Vec<Measure>,
    measures: Vec<Measure>,
}

impl Draft {
    /// Begins a job and its file.
    pub(super) fn begin(
        journal: &mut Journal,
        wanted: &Wanted,
        way: Way,
        folder: &Path,
        lane: &dyn BatchLane,
        limits: BatchLimits,
    ) -> Result<Draft, BatchError> {
        let id = new_id(way);
        let name = match way {
            Way::Batch => format!("{id}.jsonl"),
            // It gets its name when all of it is there.
            Way::File => format!(".{id}.part"),
        };
        let place = std::path::absolute(folder.join(name)).map_err(|source| BatchError::Io {
            action: "write",
            path: folder.to_owned(),
            source,
        })?;
        let model = &wanted.model;
        let frame = lane.frame();
        let job = Job {
            id,
            way,
            provider: model.name.provider.clone(),
            endpoint: model.endpoint.base_url.clone(),
            model: model.name.model.clone(),
            runs: Vec::new(),
            state: JobState::Planned,
            place: Some(place.clone()),
            input_file: None,
            remote: None,
            progress: None,
            message: None,
            requests: 0,
            answered: 0,
            failed: 0,
            bytes: (frame.before.len() + frame.after.len()) as u64,
            created_at: Timestamp::now(),
            sent_at: None,
            closed_at: None,
        };
        journal.begin(&job)?;
        let io = |source| BatchError::Io { action: "write", path: place.clone(), source };
        fs::create_dir_all(folder).map_err(io)?;
        let mut file = BufWriter::new(File::create(&place).map_err(io)?);
        file.write_all(frame.before).map_err(io)?;
        Ok(Draft {
            job,
            headers: Vec::new(),
            frame,
            limits,
            file,
            waiting: Vec::new(),
            waiting_bytes: 0,
            elsewhere: 0,
            taken: Vec::new(),
            measures: Vec::new(),
        })
    }

    /// Whether a request of so many bytes would still fit, if all that wait are taken.
    pub(super) fn fits(&self, bytes: usize) -> bool {
        let between = self.frame.between.len();
        let waiting = self.waiting_bytes + self.waiting.len() * between;
        let requests = self.job.requests + self.waiting.len() as u64;
        requests < self.limits.requests && self.job.bytes + (waiting + between + bytes) as u64 <= self.limits.bytes
    }

    /// Whether a request of so many bytes fits into any job.
    pub(super) fn can_hold(frame: Frame, limits: BatchLimits, bytes: usize) -> bool {
        limits.requests > 0 && (frame.before.len() + bytes + frame.after.len()) as u64 <= limits.bytes
    }

    /// Adds a request, as it stands in the file.
    pub(super) fn add(
        &mut self,
        journal: &mut Journal,
        request: JobRequest,
        entry: Vec<u8>,
        measure: Measure,
    ) -> Result<(), BatchError> {
        self.waiting_bytes += entry.len();
        self.waiting.push((request, entry));
        self.measures.push(measure);
        if self.waiting.len() >= GROUP || self.waiting_bytes >= GROUP_BYTES { self.flush(journal) } else { Ok(()) }
    }

    /// Writes down what waits.
    pub(super) fn flush(&mut self, journal: &mut Journal) -> Result<(), BatchError> {
        let (requests, entries): (Vec<JobRequest>, Vec<Vec<u8>>) =
            std::mem::take(&mut self.waiting).into_iter().unzip();
        let free = journal.reserve(&self.job.id, &requests)?;
        let measures = std::mem::take(&mut self.measures);
        let all = requests.iter().zip(&entries).zip(measures).zip(&free);
        for ((request, entry), measure) in all.filter(|(_, free)| **free).map(|(taken, _)| taken) {
            if !self.job.runs.contains(&request.run) {
                self.job.runs.push(request.run.clone());
            }
            let between = if self.job.requests > 0 { self.frame.between } else { b"" };
            let written = self.file.write_all(between).and_then(|()| self.file.write_all(entry));
            written.map_err(|source| self.io(source))?;
            self.job.requests += 1;
            self.job.bytes += (between.len() + entry.len()) as u64;
            self.taken.push(measure);
        }
        self.elsewhere += free.iter().filter(|free| !**free).count() as u64;
        self.waiting_bytes = 0;
        Ok(())
    }

    /// Ends the file; gives where it is.
    pub(super) fn finish(&mut self, journal: &mut Journal) -> Result<PathBuf, BatchError> {
        self.flush(journal)?;
        let after = self.frame.after;
        let ended = self.file.write_all(after).and_then(|()| self.file.flush());
        ended.and_then(|()| self.file.get_ref().sync_all()).map_err(|source| self.io(source))?;
        journal.update(&self.job)?;
        Ok(self.job.place.clone().expect("a draft has a file"))
    }

    fn io(&self, source: io::Error) -> BatchError {
        BatchError::Io { action: "write", path: self.job.place.clone().unwrap_or_default(), source }
    }
}

/// Jobs being put together, one after the other.
pub(super) struct Drafting<'d> {
    /// What is wanted.
    pub(super) wanted: &'d Wanted,
    /// How it goes.
    pub(super) way: Way,
    /// The form of the files.
    pub(super) lane: &'d dyn BatchLane,
    /// How large they may get.
    pub(super) limits: BatchLimits,
    /// Where they are made.
    pub(super) folder: PathBuf,
    /// What was counted.
    pub(super) counted: Counted,
    draft: Option<Draft>,
}

/// What was counted while jobs were put together.
#[derive(Debug)]
pub struct Counted {
    /// What the requests may cost, at the lane's price, by task.
    pub(super) forecasting: Forecasting,
    /// Requests that were in open jobs already.
    pub under_way: u64,
    /// Requests that are larger than a job may be.
    pub too_large: u64,
}

impl Counted {
    /// What the requests may cost together, in US dollars. `None` where no price is known.
    pub fn cost(&self) -> Option<Between<f64>> {
        cost(&self.forecasting.tasks)
    }
}

impl<'d> Drafting<'d> {
    /// Begins with nothing.
    pub(super) fn begin(
        wanted: &'d Wanted,
        way: Way,
        lane: &'d dyn BatchLane,
        limits: BatchLimits,
        folder: PathBuf,
    ) -> Result<Drafting<'d>, BatchError> {
        let counted = Counted { forecasting: Forecasting::begin(wanted)?, under_way: 0, too_large: 0 };
        Ok(Drafting { wanted, way, lane, limits, folder, counted, draft: None })
    }

    /// The last job, if there is anything in it.
    pub(super) fn end(&mut self, journal: &mut Journal) -> Result<Option<Draft>, BatchError> {
        match self.draft.take() {
            Some(last) => self.finish(journal, last),
            None => Ok(None),
        }
    }

    /// Takes a request; gives the job before it, if that is full now.
    pub(super) fn take(&mut self, journal: &mut Journal, missing: Missing) -> Result<Option<Draft>, BatchError> {
        let Missing { measure, request, http, position: _, prompt: _ } = missing;
        let lane = self.lane;
        if journal.is_open(&request.key)? {
            self.counted.under_way += 1;
            return Ok(None);
        }
        let entry = lane.entry(&request.key.to_string(), &http);
        if !Draft::can_hold(lane.frame(), self.limits, entry.len()) {
            self.counted.too_large += 1;
            return Ok(None);
        }
        let mut full = None;
        if let Some(mut draft) = self.draft.take() {
            if !draft.fits(entry.len()) {
                draft.flush(journal)?;
            }
            if draft.fits(entry.len()) { self.draft = Some(draft) } else { full = self.finish(journal, draft)? }
        }
        let draft = match &mut self.draft {
            Some(draft) => draft,
            none => none.insert(Draft::begin(journal, self.wanted, self.way, &self.folder, lane, self.limits)?),
        };
        draft.headers = http.headers;
        draft.add(journal, request, entry, measure)?;
        Ok(full)
    }

    /// Ends a draft; gives it back if there is anything in it.
    fn finish(&mut self, journal: &mut Journal, mut draft: Draft) -> Result<Option<Draft>, BatchError> {
        draft.finish(journal)?;
        self.counted.under_way += draft.elsewhere;
        draft.taken.drain(..).for_each(|measure| self.counted.forecasting.add(measure));
        if draft.job.requests > 0 {
            return Ok(Some(draft));
        }
        journal.forget(&draft.job.id)?;
        remove_file(&mut draft.job);
        Ok(None)
    }
}

/// Removes the file of a job that needs it no more. Where that fails, a file is left over, and nothing else.
pub(super) fn remove_file(job: &mut Job) {
    if let Some(place) = job.place.take() {
        drop(fs::remove_file(place));
    }
}
