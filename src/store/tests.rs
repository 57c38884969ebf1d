//! Tests of the store against real files.

use super::*;
use rusqlite::Connection;
use std::sync::Arc;

pub(super) fn response(number: u64) -> NewResponse {
    NewResponse {
        key: blake3::hash(&number.to_le_bytes()).into(),
        provider: "openai".to_owned(),
        model: "model-1".to_owned(),
        endpoint: "http://127.0.0.1:1/v1".to_owned(),
        task: Some("pushback".to_owned()),
        subject: Some(Subject {
            unit: UnitId::from_text(format!("codex:s{}#{}", number / 10, number % 10)),
            codebook: "35c07040".to_owned(),
            material: "m".to_owned(),
        }),
        run: "pushback-openai-model-1-00000000".to_owned(),
        parts: RequestParts { system: "a".to_owned(), ..RequestParts::default() },
        body: format!("{{\"answer\": \"ü {number}\"}}\n"),
        status: 200,
        usage: Some(Usage { input: 3, cached_input: 2, cache_write: 1, output: 9, reasoning: 4 }),
        created_at: "2026-11-21T10:00:00.5Z".parse().unwrap(),
        attempts: 2,
        latency: Duration::from_millis(840),
        lane: Lane::Direct,
    }
}

fn fact(feature: Feature) -> ModelFact {
    ModelFact {
        provider: "openai".to_owned(),
        endpoint: "http://127.0.0.1:1/v1".to_owned(),
        model: "model-1".to_owned(),
        feature,
        learnt_at: "2026-11-21T10:00:00Z".parse().unwrap(),
        message: "unsupported value".to_owned(),
    }
}

fn place() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(".interrater").join("store.db");
    (folder, path)
}

#[tokio::test]
async fn an_answer_is_durable_before_it_is_acknowledged() {
    let (_folder, path) = place();
    let store = Store::open(&path).unwrap();
    assert_eq!(store.put(response(1)).await.unwrap(), Kept::New);
    let other = Connection::open(&path).unwrap();
    let body: String = other.query_row("SELECT body FROM response", [], |row| row.get(0)).unwrap();
    assert_eq!(body, response(1).body);
    let kind: String = other.query_row("SELECT typeof(body) FROM response", [], |row| row.get(0)).unwrap();
    assert_eq!(kind, "text");
    let synchronous: i64 =
        file::open(&path).unwrap().pragma_query_value(None, "synchronous", |row| row.get(0)).unwrap();
    assert_eq!(synchronous, 2);
}

#[tokio::test]
async fn an_answer_comes_back_as_it_was_put_after_reopening() {
    let (_folder, path) = place();
    let bare = NewResponse { task: None, subject: None, usage: None, body: String::new(), ..response(2) };
    {
        let store = Store::open(&path).unwrap();
        store.put(response(1)).await.unwrap();
        store.put(bare.clone()).await.unwrap();
    }
    let store = Store::open(&path).unwrap();
    assert_eq!(store.get(&response(1).key).unwrap().unwrap(), StoredResponse { id: 1, response: response(1) });
    assert_eq!(store.get(&bare.key).unwrap().unwrap(), StoredResponse { id: 2, response: bare });
    assert_eq!(store.get(&response(3).key).unwrap(), None);
    let keys = [response(1).key, response(2).key, response(3).key];
    assert_eq!(store.has(&keys).unwrap(), HashSet::from([keys[0], keys[1]]));
}

#[tokio::test]
async fn the_first_answer_to_a_request_stays() {
    let (_folder, path) = place();
    let store = Store::open(&path).unwrap();
    assert_eq!(store.put(response(1)).await.unwrap(), Kept::New);
    let later = NewResponse { body: "other".to_owned(), ..response(1) };
    assert_eq!(store.put(later).await.unwrap(), Kept::Earlier);
    assert_eq!(store.get(&response(1).key).unwrap().unwrap().response, response(1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_stores_on_one_file_write_at_once() {
    let (_folder, path) = place();
    let stores = [Arc::new(Store::open(&path).unwrap()), Arc::new(Store::open(&path).unwrap())];
    let mut puts = tokio::task::JoinSet::new();
    for number in 0..1000 {
        for store in &stores {
            let store = Arc::clone(store);
            puts.spawn(async move { store.put(response(number)).await });
        }
    }
    let kept: Vec<Kept> = puts.join_all().await.into_iter().map(Result::unwrap).collect();
    assert_eq!(kept.iter().filter(|kept| **kept == Kept::New).count(), 1000);
    assert_eq!(kept.len(), 2000);
    let keys: Vec<RequestKey> = (0..1000).map(|number| response(number).key).collect();
    assert_eq!(stores[0].has(&keys).unwrap().len(), 1000);
}

#[test]
fn many_processes_may_make_the_same_store() {
    let (_folder, path) = place();
    std::thread::scope(|scope| {
        let opened: Vec<_> = (0..8).map(|_| scope.spawn(|| Store::open(&path).map(drop))).collect();
        for store in opened {
            store.join().unwrap().unwrap();
        }
    });
}

#[tokio::test]
async fn dropping_the_store_writes_what_waits() {
    let (_folder, path) = place();
    let store = Store::open(&path).unwrap();
    for number in 0..20 {
        // Polled once, then dropped, as at an interruption.
        tokio::select! {
            biased;
            kept = store.put(response(number)) => assert_eq!(kept.unwrap(), Kept::New),
            () = std::future::ready(()) => {}
        }
    }
    drop(store);
    let keys: Vec<RequestKey> = (0..20).map(|number| response(number).key).collect();
    assert_eq!(Store::open(&path).unwrap().has(&keys).unwrap().len(), 20);
}

#[test]
fn a_text_file_in_the_place_of_the_store_is_told_and_left_alone() {
    let (_folder, path) = place();
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    for text in ["notes".to_owned(), "notes\n".repeat(10_000)] {
        std::fs::write(&path, &text).unwrap();
        let error = Store::open(&path).unwrap_err();
        assert!(matches!(error, StoreError::NotADatabase { .. }), "{error}");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
    }
}

#[test]
fn a_database_of_another_program_is_told_and_left_alone() {
    let (_folder, path) = place();
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    Connection::open(&path).unwrap().execute_batch("CREATE TABLE notes (text)").unwrap();
    let before = std::fs::read(&path).unwrap();
    let error = Store::open(&path).unwrap_err();
    assert!(matches!(error, StoreError::Foreign { .. }), "{error}");
    assert_eq!(std::fs::read(&path).unwrap(), before);
}

#[test]
fn a_later_format_is_told() {
    let (_folder, path) = place();
    drop(Store::open(&path).unwrap());
    Connection::open(&path).unwrap().pragma_update(None, "user_version", 7).unwrap();
    let error = Store::open(&path).unwrap_err();
    assert!(matches!(error, StoreError::Newer { found: 7, known: 4, .. }), "{error}");
}

#[tokio::test]
async fn a_damaged_file_is_told_with_the_way_out() {
    let (_folder, path) = place();
    {
        let store = Store::open(&path).unwrap();
        for number in 0..200 {
            store.put(response(number)).await.unwrap();
        }
    }
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[4096..].fill(0xAB);
    std::fs::write(&path, bytes).unwrap();
    let error = Store::open(&path).and_then(|store| store.get(&response(1).key)).unwrap_err();
    assert!(matches!(error, StoreError::Damaged { .. }), "{error}");
    assert!(error.to_string().contains("`interrater cache merge`"), "{error}");
}

#[test]
fn a_folder_that_cannot_be_made_is_named() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("file"), "").unwrap();
    let error = Store::open(&folder.path().join("file").join("store.db")).unwrap_err();
    assert!(matches!(error, StoreError::Folder { .. }), "{error}");
}

#[tokio::test]
async fn what_a_model_lacks_is_learnt_once() {
    let (_folder, path) = place();
    let store = Store::open(&path).unwrap();
    store.learn(fact(Feature::Temperature)).await.unwrap();
    store.learn(ModelFact { message: "later".to_owned(), ..fact(Feature::Temperature) }).await.unwrap();
    store.learn(fact(Feature::SystemTurn)).await.unwrap();
    store.learn(ModelFact { model: "model-2".to_owned(), ..fact(Feature::CacheMark) }).await.unwrap();
    let facts = store.facts("openai", "http://127.0.0.1:1/v1", "model-1").unwrap();
    let later = ModelFact { message: "later".to_owned(), ..fact(Feature::Temperature) };
    assert_eq!(facts, [later, fact(Feature::SystemTurn)]);
}

#[tokio::test]
async fn the_ledger_keeps_every_evaluation() {
    let (_folder, path) = place();
    let store = Store::open(&path).unwrap();
    let evaluation = Evaluation {
        rater: "openai/model-1@pushback-3fa9c1d2".to_owned(),
        task: "pushback".to_owned(),
        field: "label".to_owned(),
        gold_path: "gold/pushback.csv".to_owned(),
        gold_hash: "00".to_owned(),
        split: "test".to_owned(),
        at: "2026-11-21T10:00:00Z".parse().unwrap(),
        metric: "kappa".to_owned(),
        value: Some(0.79),
        items: 131,
        shown_to: None,
    };
    let undefined = Evaluation { value: None, shown_to: Some("ada".to_owned()), ..evaluation.clone() };
    store.record_evaluations(vec![evaluation.clone(), undefined.clone()]).unwrap();
    store.record_evaluations(vec![evaluation.clone()]).unwrap();
    assert_eq!(store.evaluations("pushback").unwrap(), [evaluation.clone(), undefined, evaluation]);
    assert_eq!(store.evaluations("intent").unwrap(), []);
}

#[test]
fn a_key_is_written_as_hex_and_read_back() {
    let key = response(1).key;
    assert_eq!(key.to_string().len(), 64);
    assert_eq!(key.to_string().parse::<RequestKey>().unwrap(), key);
    assert!("xyz".parse::<RequestKey>().is_err());
}

#[tokio::test]
async fn the_old_answer_of_a_replaced_one_stays_in_the_table() {
    let (_folder, path) = place();
    let store = Store::open(&path).unwrap();
    store.put(response(1)).await.unwrap();
    let later =
        NewResponse { body: "later".to_owned(), created_at: "2026-11-21T11:00:00Z".parse().unwrap(), ..response(1) };
    store.replace(later.clone()).await.unwrap();
    assert_eq!(store.get(&later.key).unwrap().unwrap().response, later);
    let key = format!("{}#2026-11-21T10:00:00.5Z", response(1).key);
    let other = Connection::open(&path).unwrap();
    let body: String = other.query_row("SELECT body FROM response WHERE key = ?1", [key], |row| row.get(0)).unwrap();
    assert_eq!(body, response(1).body);
}

/// A store that version 0.1 of the program wrote in format 1: 20 answers, two of them superseded, 3 evaluations, one fact.
fn of_format_1() -> (tempfile::TempDir, PathBuf) {
    let (folder, path) = place();
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::copy(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/stores/version-1.db"), &path).unwrap();
    (folder, path)
}

const OF_FORMAT_1: &str = "1501d404f01455031870cc93d21243c63c8b225d276207cf616df95173f7cdc4";

#[tokio::test]
async fn a_store_of_format_1_is_brought_up_to_date_and_loses_nothing() {
    let (_folder, path) = of_format_1();
    let bodies = |path: &Path| -> Vec<(i64, String, String)> {
        let connection = Connection::open(path).unwrap();
        let mut statement =
            connection.prepare("SELECT id, substr(key, 1, 64), body FROM response ORDER BY id").unwrap();
        let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).unwrap();
        rows.collect::<Result<_, _>>().unwrap()
    };
    let before = bodies(&path);
    let store = Store::open(&path).unwrap();
    assert_eq!(before.len(), 20);
    assert_eq!(bodies(&path), before);
    let stored = store.get(&OF_FORMAT_1.parse().unwrap()).unwrap().unwrap();
    assert_eq!((stored.id, stored.response.subject, stored.response.parts.asked), (1, None, None));
    assert_eq!(store.evaluations("mood").unwrap().len(), 3);
    assert_eq!(store.facts("openai", &stored.response.endpoint, "some-model").unwrap().len(), 1);
    let connection = Connection::open(&path).unwrap();
    let superseded: Vec<String> = connection
        .prepare("SELECT key FROM response WHERE length(key) > 64 ORDER BY id")
        .unwrap()
        .query_map([], |row| row.get(0))
        .unwrap()
        .collect::<Result<_, _>>()
        .unwrap();
    let times: Vec<&str> = superseded.iter().map(|key| &key[64..]).collect();
    assert_eq!(times, ["#2026-11-21T13:34:25.651966283Z", "#2026-11-21T13:34:25.674285471Z"]);
    let version: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0)).unwrap();
    assert_eq!(version, 4);
    assert_eq!(store.put(response(1)).await.unwrap(), Kept::New);
    assert_eq!(store.get(&response(1).key).unwrap().unwrap().response, response(1));
}

#[test]
fn many_processes_may_bring_the_same_store_up_to_date() {
    let (_folder, path) = of_format_1();
    std::thread::scope(|scope| {
        let opened: Vec<_> = (0..8).map(|_| scope.spawn(|| Store::open(&path).map(drop))).collect();
        for store in opened {
            store.join().unwrap().unwrap();
        }
    });
    assert_eq!(Reader::open(&path).unwrap().format(), 4);
}

#[test]
fn a_reader_reads_format_1_and_leaves_it_as_it_is() {
    let (_folder, path) = of_format_1();
    let before = std::fs::read(&path).unwrap();
    let reader = Reader::open(&path).unwrap();
    assert_eq!(reader.format(), 1);
    assert_eq!(reader.get(&OF_FORMAT_1.parse().unwrap()).unwrap().unwrap().id, 1);
    drop(reader);
    assert_eq!(std::fs::read(&path).unwrap(), before);
}

#[test]
fn a_reader_makes_no_store() {
    let (_folder, path) = place();
    assert!(matches!(Reader::open(&path).unwrap_err(), StoreError::Missing { .. }));
    assert!(!path.parent().unwrap().exists());
}

#[tokio::test]
async fn a_snapshot_sees_one_moment_and_a_reader_every_answer_that_is_stored() {
    let (_folder, path) = place();
    let store = Store::open(&path).unwrap();
    store.put(response(1)).await.unwrap();
    let mut reader = store.reader().unwrap();
    let snapshot = reader.snapshot().unwrap();
    assert!(snapshot.get(&response(1).key).unwrap().is_some());
    store.put(response(2)).await.unwrap();
    assert_eq!(snapshot.get(&response(2).key).unwrap(), None);
    drop(snapshot);
    assert!(reader.get(&response(2).key).unwrap().is_some());
}

#[tokio::test]
async fn an_answer_whose_body_was_altered_is_not_used() {
    let (_folder, path) = place();
    let store = Store::open(&path).unwrap();
    store.put(response(1)).await.unwrap();
    drop(store);
    let mut bytes = std::fs::read(&path).unwrap();
    let at = memchr::memmem::find(&bytes, "ü 1".as_bytes()).unwrap();
    bytes[at + 3] = b'7';
    std::fs::write(&path, bytes).unwrap();
    let error = Store::open(&path).unwrap().get(&response(1).key).unwrap_err();
    assert!(matches!(error, StoreError::Altered { id: 1, .. }), "{error}");
}

#[tokio::test]
async fn no_reader_waits_for_another() {
    let (_folder, path) = place();
    let store = Store::open(&path).unwrap();
    store.put(response(1)).await.unwrap();
    let key = response(1).key;
    // One that waited for the other would wait for ever.
    let both = store.read(|one| store.read(|other| Ok((one.get(&key)?, other.get(&key)?)))).unwrap();
    assert!(both.0.is_some() && both.0 == both.1);
    assert_eq!(store.idle.lock().unwrap().len(), 2, "readers are kept for who reads next");
    store.put(response(2)).await.unwrap();
    assert!(store.get(&response(2).key).unwrap().is_some(), "one that was kept sees what came since");
    assert_eq!(store.idle.lock().unwrap().len(), 2);
}

#[tokio::test]
async fn a_store_of_format_2_is_brought_up_to_date_and_its_answers_are_what_was_stored() {
    let (_folder, path) = place();
    let store = Store::open(&path).unwrap();
    store.put(response(1)).await.unwrap();
    drop(store);
    let connection = Connection::open(&path).unwrap();
    let back = "ALTER TABLE response DROP COLUMN lane; ALTER TABLE evaluation DROP COLUMN shown_to; DROP TABLE job_request; DROP TABLE job; PRAGMA user_version = 2";
    connection.execute_batch(back).unwrap();
    drop(connection);
    let reader = Reader::open(&path).unwrap();
    assert_eq!((reader.format(), reader.get(&response(1).key).unwrap().unwrap().response), (2, response(1)));
    drop(reader);
    let merged = merge::merge(&path.with_file_name("other.db"), &path).unwrap();
    assert_eq!((merged.added, merged.damaged), (1, 0));
    for path in [path.clone(), path.with_file_name("other.db")] {
        let store = Store::open(&path).unwrap();
        assert_eq!(store.get(&response(1).key).unwrap().unwrap().response, response(1));
        let batch = NewResponse { lane: Lane::Batch, ..response(2) };
        store.put(batch.clone()).await.unwrap();
        assert_eq!(store.get(&batch.key).unwrap().unwrap().response, batch);
    }
    // The lane decides the cost, so the checksum is over it as well.
    Connection::open(&path).unwrap().execute("UPDATE response SET lane = NULL", []).unwrap();
    let store = Store::open(&path).unwrap();
    assert!(matches!(store.get(&response(2).key), Err(StoreError::Altered { .. })));
    assert_eq!(store.get(&response(1).key).unwrap().unwrap().response, response(1));
}

#[test]
fn a_ledger_of_format_3_is_read_merged_and_brought_up_to_date() {
    let (_folder, path) = place();
    let line = |nth: i64, shown_to: Option<&str>| Evaluation {
        rater: "openai/model-1@pushback-3fa9c1d2".to_owned(),
        task: "pushback".to_owned(),
        field: "label".to_owned(),
        gold_path: "gold/pushback.csv".to_owned(),
        gold_hash: "00".to_owned(),
        split: "test".to_owned(),
        at: jiff::Timestamp::from_second(1_795_000_000 + nth).unwrap(),
        metric: "kappa".to_owned(),
        value: Some(0.79),
        items: 131,
        shown_to: shown_to.map(str::to_owned),
    };
    Store::open(&path).unwrap().record_evaluations(vec![line(1, None), line(2, None)]).unwrap();
    let back = "ALTER TABLE evaluation DROP COLUMN shown_to; PRAGMA user_version = 3";
    Connection::open(&path).unwrap().execute_batch(back).unwrap();
    let reader = Reader::open(&path).unwrap();
    assert_eq!((reader.format(), reader.evaluations("pushback").unwrap()), (3, vec![line(1, None), line(2, None)]));
    drop(reader);
    let other = path.with_file_name("other.db");
    Store::open(&other).unwrap().record_evaluations(vec![line(2, None), line(3, Some("ada"))]).unwrap();
    assert_eq!(merge::merge(&other, &path).unwrap().evaluations, 1);
    assert_eq!(merge::merge(&path, &other).unwrap().evaluations, 1);
    for store in [&path, &other] {
        let mut lines = Store::open(store).unwrap().evaluations("pushback").unwrap();
        lines.sort_by_key(|line| line.at);
        assert_eq!(lines, [line(1, None), line(2, None), line(3, Some("ada"))]);
    }
}
