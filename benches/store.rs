//! How fast the store of paid answers is: durable writes, reads by key, merging, with answers of the usual size. Prints figures.
//!
//! `cargo bench --bench store` works in the folder for temporary files, which should be on a disk; `TMPDIR` says where that is.

use interrater::store::{AskedSettings, Lane, NewResponse, RequestKey, RequestParts, Store, StoreError, Subject};
use interrater::unit::UnitId;
use interrater::usage::Usage;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Answers in a store.
const ANSWERS: u64 = 100_000;
/// Characters of an answer's body.
const BODY: usize = 700;

fn hex(text: &str) -> String {
    blake3::hash(text.as_bytes()).to_hex()[..16].to_owned()
}

fn key(number: u64) -> RequestKey {
    blake3::hash(&number.to_le_bytes()).into()
}

fn answer(number: u64) -> NewResponse {
    let text = format!("{{\"id\":\"chatcmpl-{number}\",\"choices\":[{{\"message\":{{\"content\":\"");
    NewResponse {
        key: key(number),
        provider: "openai".to_owned(),
        model: "some-model".to_owned(),
        endpoint: "http://127.0.0.1:8000/v1".to_owned(),
        task: Some("pushback".to_owned()),
        subject: Some(Subject {
            unit: UnitId::from_text(format!(
                "claude_code:00000000-0000-4000-8000-{:012}#{}",
                number / 40,
                number % 40 + 1
            )),
            codebook: "35c07040".to_owned(),
            material: hex(&number.to_string()),
        }),
        run: "pushback-openai-some-model-35c07040".to_owned(),
        parts: RequestParts {
            system: hex("system"),
            turns: hex(&number.to_string()),
            schema: hex("schema"),
            settings: hex("settings"),
            asked: Some(AskedSettings { temperature: Some(0.0), max_output_tokens: None, sample: 0 }),
            bytes: Some(4_000),
        },
        body: format!("{text:x<BODY$}"),
        status: 200,
        usage: Some(Usage { input: 812, cached_input: 4096, cache_write: 0, output: 61, reasoning: 0 }),
        created_at: "2026-11-21T10:00:00.5Z".parse().expect("a time"),
        attempts: 1,
        latency: Duration::from_millis(840),
        lane: Lane::Direct,
    }
}

/// Does something to so many answers, and prints how long it took: by the clock, and where the system tells, of the processors.
fn measure(what: &str, count: u64, work: impl FnOnce() -> Result<(), StoreError>) -> Result<(), StoreError> {
    let (began, processors) = (Instant::now(), processor_seconds());
    work()?;
    let seconds = began.elapsed().as_secs_f64();
    let busy =
        processor_seconds().zip(processors).map(|(after, before)| format!("{:.2} s of processors", after - before));
    let rate = count as f64 / seconds;
    println!("{what:<54}{seconds:>8.3} s {rate:>9.0}/s   {}", busy.unwrap_or_default());
    Ok(())
}

/// Time that this process has had on processors: on a machine with other work the clock tells little. Linux counts hundredths of a second.
fn processor_seconds() -> Option<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks = |at: usize| fields.get(at)?.parse::<u64>().ok();
    Some((ticks(11)? + ticks(12)?) as f64 / 100.0)
}

/// Writes answers as an engine does: many wait at once, and each knows when it is on the disk.
fn write(path: &Path, numbers: std::ops::Range<u64>, waiting: u64) -> Result<(), StoreError> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().expect("a runtime");
    let store = Arc::new(Store::open(path)?);
    runtime.block_on(async {
        let tasks: Vec<_> = (0..waiting)
            .map(|first| {
                let (store, numbers) = (Arc::clone(&store), numbers.clone());
                tokio::spawn(async move {
                    for number in numbers.skip(first as usize).step_by(waiting as usize) {
                        store.put(answer(number)).await?;
                    }
                    Ok::<(), StoreError>(())
                })
            })
            .collect();
        for task in tasks {
            task.await.expect("a task that writes")?;
        }
        Ok(())
    })
}

fn read(store: &Store, threads: u64, keys: &[RequestKey], at_once: usize) -> Result<(), StoreError> {
    std::thread::scope(|scope| {
        let readers: Vec<_> = (0..threads as usize)
            .map(|thread| {
                scope.spawn(move || -> Result<(), StoreError> {
                    let mut reader = store.reader()?;
                    let own: Vec<&RequestKey> = keys.iter().skip(thread).step_by(threads as usize).collect();
                    for keys in own.chunks(at_once) {
                        if at_once == 1 {
                            assert!(reader.get(keys[0])?.is_some());
                            continue;
                        }
                        let snapshot = reader.snapshot()?;
                        for key in keys {
                            assert!(snapshot.get(key)?.is_some_and(|stored| stored.response.body.len() >= BODY));
                        }
                    }
                    Ok(())
                })
            })
            .collect();
        readers.into_iter().try_for_each(|reader| reader.join().expect("a thread that reads"))
    })
}

fn main() -> Result<(), StoreError> {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("store.db");
    println!("{ANSWERS} answers of {BODY} characters, in {}", folder.path().display());

    measure("written, 1024 at once, each durable when it returns", ANSWERS, || write(&path, 0..ANSWERS, 1024))?;
    measure("written, one at a time", 2_000, || write(&path, ANSWERS..ANSWERS + 2_000, 1))?;
    println!("{:.1} MB on disk", interrater::store::size_on_disk(&path) as f64 / 1e6);

    let store = Store::open(&path)?;
    let keys: Vec<RequestKey> = (0..ANSWERS).map(key).collect();
    for threads in [1, 2] {
        for (at_once, how) in [(1, "one by one"), (256, "256 a snapshot"), (usize::MAX, "in one snapshot")] {
            measure(&format!("read by {threads} threads, {how}"), ANSWERS, || read(&store, threads, &keys, at_once))?;
        }
    }
    measure("looked up, all at once", ANSWERS, || {
        assert_eq!(store.has(&keys)?.len(), keys.len());
        Ok(())
    })
}
