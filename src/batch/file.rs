//! The lane without a provider: requests go into files in OpenAI's batch form, which `vllm run-batch` and most servers read; answers come
//! back from files.

use super::collect::{Gathered, Reading};
use super::draft::{Counted, Draft, Drafting, Split};
use super::questions::{Questions, Wanted};
use super::recover::{Reach, recover};
use super::{BatchError, Listener, lock};
use crate::llm::batch::BatchLane;
use crate::llm::openai::OpenAi;
use crate::redact::Redactions;
use crate::store::journal::{Job, JobState, Journal, Way};
use jiff::Timestamp;
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

/// As much of a file is read at once.
const PIECE: usize = 256 * 1024;

/// What was written.
#[derive(Debug)]
pub struct Exported {
    /// A job a file.
    pub jobs: Vec<Job>,
    /// What was counted on the way.
    pub counted: Counted,
    /// Units that needed no request.
    pub settled: u64,
    /// What was replaced in the sessions; empty where they are written as they are.
    pub redactions: Redactions,
}

/// Writes all that the store lacks and no open job has: to `file`, or to several with numbers in their names.
pub async fn export(
    wanted: &Wanted,
    file: &Path,
    split: Split,
    reach: Reach<'_>,
    listener: Listener<'_>,
) -> Result<Exported, BatchError> {
    if !wanted.model.adapter.batch_lane().is_some_and(BatchLane::takes_lines) {
        return Err(BatchError::NoFile(wanted.model.name.to_string()));
    }
    let _lock = lock(&wanted.store)?;
    let mut journal = Journal::open(&wanted.store)?;
    recover(&mut journal, reach, listener).await?;
    for name in [file.to_owned(), numbered(file, 1)] {
        if name.exists() {
            return Err(BatchError::Exists(name));
        }
    }
    let limits = split.within(OpenAi.limits());
    let folder = file.parent().unwrap_or(Path::new("")).to_owned();
    let folder = if folder.as_os_str().is_empty() { PathBuf::from(".") } else { folder };
    let mut drafting = Drafting::begin(wanted, Way::File, &OpenAi, limits, folder)?;
    let mut questions = Questions::begin(wanted)?;
    let mut drafts = Vec::new();
    let written = write(&mut drafting, &mut journal, &mut questions, &mut drafts).await;
    let settled = questions.settled;
    let redactions = questions.end().await;
    written?;
    let jobs = name(&mut journal, drafts, file)?;
    Ok(Exported { jobs, counted: drafting.counted, settled, redactions: redactions? })
}

async fn write(
    drafting: &mut Drafting<'_>,
    journal: &mut Journal,
    questions: &mut Questions,
    drafts: &mut Vec<Draft>,
) -> Result<(), BatchError> {
    while let Some(missing) = questions.next().await? {
        drafts.extend(drafting.take(journal, missing)?);
    }
    drafts.extend(drafting.end(journal)?);
    Ok(())
}

/// Gives the files their names, now that all of them are there.
fn name(journal: &mut Journal, drafts: Vec<Draft>, file: &Path) -> Result<Vec<Job>, BatchError> {
    let count = drafts.len();
    let names: Vec<PathBuf> =
        (1..=count).map(|number| if count == 1 { file.to_owned() } else { numbered(file, number) }).collect();
    if let Some(taken) = names.iter().find(|name| name.exists()) {
        return Err(BatchError::Exists(taken.clone()));
    }
    let mut jobs = Vec::new();
    for (draft, name) in drafts.into_iter().zip(names) {
        let mut job = draft.job;
        let place =
            std::path::absolute(&name).map_err(|source| BatchError::Io { action: "write", path: name, source })?;
        // Written down first: from now on the file may be answered.
        job.input_file = job.place.replace(place).map(|part| part.to_string_lossy().into_owned());
        job.state = JobState::Exported;
        job.sent_at = Some(Timestamp::now());
        journal.update(&job)?;
        finish_export(journal, &mut job)?;
        jobs.push(job);
    }
    Ok(jobs)
}

/// Gives a job's file its name, if it has not got it.
pub(super) fn finish_export(journal: &mut Journal, job: &mut Job) -> Result<(), BatchError> {
    let (Some(part), Some(place)) = (job.input_file.take(), &job.place) else { return Ok(()) };
    if Path::new(&part).exists() {
        fs::rename(&part, place).map_err(|source| BatchError::Io { action: "write", path: place.clone(), source })?;
    }
    Ok(journal.update(job)?)
}

/// `requests.jsonl` as `requests.2.jsonl`.
fn numbered(file: &Path, number: usize) -> PathBuf {
    let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let stem = name.strip_suffix(".jsonl").unwrap_or(&name);
    file.with_file_name(format!("{stem}.{number}.jsonl"))
}

/// What came of a file.
#[derive(Debug)]
pub struct Imported {
    /// What came in.
    pub gathered: Gathered,
    /// Jobs that are closed now: all that they asked has come back.
    pub closed: Vec<Job>,
}

/// Takes over the answers of a file in the form of OpenAI's results.
pub fn import(store: &Path, file: &Path) -> Result<Imported, BatchError> {
    let io = |source| BatchError::Io { action: "read", path: file.to_owned(), source };
    let mut source = File::open(file).map_err(io)?;
    let mut journal = Journal::open(store)?;
    let mut reading = Reading::new(&mut journal, None, &OpenAi, &OpenAi, None);
    let mut piece = vec![0; PIECE];
    loop {
        match source.read(&mut piece) {
            Ok(0) => break,
            Ok(read) => reading.feed(&piece[..read])?,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(io(error)),
        }
    }
    reading.end()?;
    let gathered = reading.gathered;
    let mut closed = Vec::new();
    for mut job in journal.jobs()?.into_iter().filter(|job| job.state == JobState::Exported) {
        if journal.open_requests(&job.id)? == 0 {
            job.state = JobState::Collected;
            job.closed_at = Some(Timestamp::now());
            journal.close(&job)?;
            closed.push(job);
        }
    }
    Ok(Imported { gathered, closed })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_stands_before_the_ending() {
        let numbered = |file: &str| numbered(Path::new(file), 2).display().to_string();
        assert_eq!(numbered("out/requests.jsonl"), "out/requests.2.jsonl");
        assert_eq!(numbered("requests"), "requests.2.jsonl");
    }
}
