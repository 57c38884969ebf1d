//! Tests of the journal against real files.

use super::*;
use crate::store::tests::response;
use crate::store::{Reader, Store};

fn job(id: &str, way: Way) -> Job {
    Job {
        id: id.to_owned(),
        way,
        provider: "openai".to_owned(),
        endpoint: "http://127.0.0.1:1/v1".to_owned(),
        model: "model-1".to_owned(),
        runs: vec!["r".to_owned()],
        state: JobState::Planned,
        place: Some("b1.jsonl".into()),
        input_file: None,
        remote: None,
        progress: None,
        message: None,
        requests: 0,
        answered: 0,
        failed: 0,
        bytes: 7,
        created_at: "2026-11-21T10:00:00Z".parse().unwrap(),
        sent_at: None,
        closed_at: None,
    }
}

/// The request that answer `number` answers.
fn request(number: u64) -> JobRequest {
    let NewResponse { key, task, subject, run, parts, .. } = response(number);
    JobRequest { key, task: task.unwrap(), subject: subject.unwrap(), run, parts }
}

fn answered(number: u64) -> Settled {
    let NewResponse { key, body, usage, .. } = response(number);
    Settled { key, outcome: Ok(BatchAnswer { body, usage }) }
}

fn unanswered(number: u64) -> Settled {
    Settled { outcome: Err("no".to_owned()), ..answered(number) }
}

fn now() -> Timestamp {
    "2026-11-22T10:00:00Z".parse().unwrap()
}

fn place() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    (folder, path)
}

#[test]
fn a_job_is_read_as_it_was_written_and_counts_are_those_of_what_was_settled() {
    let (_folder, path) = place();
    let mut journal = Journal::open(&path).unwrap();
    let mut one = job("b1", Way::Batch);
    journal.begin(&one).unwrap();
    assert_eq!(journal.jobs().unwrap(), [one.clone()]);
    journal.reserve("b1", &[request(1), request(2)]).unwrap();
    journal.settle(Some("b1"), &[answered(1), unanswered(2)], now()).unwrap();
    let counts = crate::llm::batch::BatchCounts { total: 2, succeeded: 1, failed: 1, unfinished: 0 };
    one.progress = Some(Progress { state: "completed".to_owned(), counts, at: now() });
    (one.state, one.remote, one.requests) = (JobState::Submitted, Some("batch_1".to_owned()), 2);
    (one.message, one.closed_at, one.place) = (Some("m".to_owned()), Some(now()), None);
    journal.update(&one).unwrap();
    // What this copy of the job does not know is not overwritten.
    assert_eq!(journal.job("b1").unwrap(), Some(Job { answered: 1, failed: 1, ..one }));
    assert_eq!(journal.reasons("b1").unwrap(), [("no".to_owned(), 1)]);
    assert_eq!(journal.job("b2").unwrap(), None);
}

#[test]
fn a_request_is_in_one_open_job_and_in_none_once_it_is_answered() {
    let (_folder, path) = place();
    let (mut one, mut two) = (Journal::open(&path).unwrap(), Journal::open(&path).unwrap());
    one.begin(&job("b1", Way::Batch)).unwrap();
    two.begin(&job("b2", Way::Batch)).unwrap();
    assert_eq!(one.reserve("b1", &[request(1), request(2), request(1)]).unwrap(), [true, true, false]);
    assert_eq!(two.reserve("b2", &[request(2), request(3)]).unwrap(), [false, true]);
    assert!(two.holds("b1", &request(2).key).unwrap() && !two.holds("b2", &request(2).key).unwrap());
    assert_eq!((one.open_requests("b1").unwrap(), one.open_of_run(&request(1).run).unwrap()), (2, 3));
    assert_eq!(one.settle(Some("b1"), &[unanswered(1), answered(2)], now()).unwrap(), [Became::Freed, Became::Stored]);
    // What came back without an answer is free; what has one is not.
    assert_eq!(two.reserve("b2", &[request(1), request(2)]).unwrap(), [true, false]);
    let closed = Job { state: JobState::Dropped, ..job("b2", Way::Batch) };
    assert_eq!(two.close(&closed).unwrap(), 2);
    assert_eq!(one.reserve("b1", &[request(3)]).unwrap(), [true]);
    one.forget("b1").unwrap();
    assert!(!two.is_open(&request(3).key).unwrap());
}

#[test]
fn settling_again_changes_nothing_and_an_answer_is_what_the_store_gives_back() {
    let (_folder, path) = place();
    let mut journal = Journal::open(&path).unwrap();
    journal.begin(&job("b1", Way::Batch)).unwrap();
    journal.reserve("b1", &[request(1), request(2)]).unwrap();
    let lines = [answered(1), unanswered(2), answered(9)];
    assert_eq!(journal.settle(Some("b1"), &lines, now()).unwrap(), [Became::Stored, Became::Freed, Became::Foreign]);
    assert_eq!(journal.settle(Some("b1"), &lines, now()).unwrap(), [Became::Known, Became::Known, Became::Foreign]);
    let expected =
        NewResponse { created_at: now(), attempts: 1, latency: Duration::ZERO, lane: Lane::Batch, ..response(1) };
    let stored = Reader::open(&path).unwrap().get(&request(1).key).unwrap().unwrap();
    assert_eq!(stored.response, expected);
    // An answer that comes after all is taken.
    assert_eq!(journal.settle(Some("b1"), &[answered(2)], now()).unwrap(), [Became::Stored]);
    let job = journal.job("b1").unwrap().unwrap();
    assert_eq!((job.answered, job.failed), (2, 0));
}

#[test]
fn that_there_is_no_answer_frees_only_what_it_is_about() {
    let (_folder, path) = place();
    let mut journal = Journal::open(&path).unwrap();
    journal.begin(&job("b1", Way::Batch)).unwrap();
    journal.begin(&job("f1", Way::File)).unwrap();
    journal.reserve("b1", &[request(1)]).unwrap();
    journal.reserve("f1", &[request(2)]).unwrap();
    let both = [unanswered(1), unanswered(2)];
    assert_eq!(journal.settle(Some("b0"), &both, now()).unwrap(), [Became::Known, Became::Known]);
    assert_eq!(journal.settle(None, &both, now()).unwrap(), [Became::Known, Became::Freed]);
    assert_eq!(journal.settle(Some("b1"), &both, now()).unwrap(), [Became::Freed, Became::Known]);
}

#[tokio::test]
async fn an_answer_to_what_was_answered_meanwhile_is_kept_as_a_superseded_one() {
    let (_folder, path) = place();
    let mut journal = Journal::open(&path).unwrap();
    journal.begin(&job("b1", Way::Batch)).unwrap();
    journal.reserve("b1", &[request(1)]).unwrap();
    let store = Store::open(&path).unwrap();
    store.put(response(1)).await.unwrap();
    let settled = [Settled { outcome: Ok(BatchAnswer { body: "b".to_owned(), usage: None }), ..answered(1) }];
    assert_eq!(journal.settle(Some("b1"), &settled, now()).unwrap(), [Became::Second]);
    assert_eq!(store.get(&request(1).key).unwrap().unwrap().response, response(1));
    let mut standings = Vec::new();
    let reader = Reader::open(&path).unwrap();
    reader
        .entries::<StoreError>(|entry| {
            standings.push((entry.standing, entry.lane));
            Ok(())
        })
        .unwrap();
    assert_eq!(standings, [(Standing::Current, Lane::Direct), (Standing::Superseded, Lane::Batch)]);
}
