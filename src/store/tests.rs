//! Tests of the store against real files.

use super::*;

pub(super) fn response(number: u64) -> NewResponse {
    NewResponse {
        key: blake3::hash(&number.to_le_bytes()).into(),
        provider: "openai".to_owned(),
        model: "model-1".to_owned(),
        endpoint: "http://127.0.0.1:1/v1".to_owned(),
        task: Some("pushback".to_owned()),
        run: "pushback-openai-model-1-00000000".to_owned(),
        parts: RequestParts { system: "a".to_owned(), ..RequestParts::default() },
        body: format!("{{\"answer\": \"ü {number}\"}}\n"),
        status: 200,
        usage: Some(Usage { input: 3, cached_input: 2, cache_write: 1, output: 9, reasoning: 4 }),
        created_at: "2026-11-21T10:00:00.5Z".parse().unwrap(),
        attempts: 2,
        latency: Duration::from_millis(840),
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
    let bare = NewResponse { task: None, usage: None, body: String::new(), ..response(2) };
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
    assert!(matches!(error, StoreError::Newer { found: 7, known: 1, .. }), "{error}");
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
    assert!(error.to_string().contains(".recover"), "{error}");
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
    };
    let undefined = Evaluation { value: None, ..evaluation.clone() };
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

#[test]
fn the_parts_that_differ_are_named() {
    let parts = response(1).parts;
    let other = RequestParts { turns: "b".to_owned(), settings: "c".to_owned(), ..parts.clone() };
    assert_eq!(parts.differing(&other), ["turns", "settings"]);
}
