//! The batch lanes of OpenAI and Anthropic on the loopback: files, batches, lists and results on their real paths, with faults on demand.
//!
//! A batch stays in progress until the test ends it. Each of its requests must be right by itself; single requests are answered, too, and
//! counted, so that tests see that there were none.

mod calls;

use super::answer::generated;
use super::line::{Cut, Door, Handle};
use super::wire::{End, Provider, Question, Rejection};
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{ConnectInfo, State};
use axum::http::{HeaderMap, HeaderValue, Method, Response, StatusCode, Uri};
use calls::{checked, create, direct, fetch, find, list, upload};
use http_body::Frame;
use jiff::Timestamp;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll};
use std::thread::JoinHandle;
use tokio::sync::oneshot;

/// A call to the lane, as a plan sees it.
#[derive(Debug, Clone)]
pub struct Called {
    /// `upload`, `create`, `look`, `list` or `fetch`.
    pub what: &'static str,
    /// How often this was called before.
    pub nth: usize,
}

/// What the server does with a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    /// As it should.
    Do,
    /// It does it, and does not answer.
    DoAndHang,
    /// It does not do it, and does not answer.
    Hang,
    /// It does it, and the connection is reset.
    DoAndReset,
    /// It does not do it: an error status.
    Status(u16),
    /// The same with so many seconds to wait.
    Wait(u16, u32),
    /// The connection ends in the middle of the body.
    Cut,
    /// The body ends in the middle, as if that were its end.
    Half,
    /// So many lines of the body come, and no more.
    Stall(usize),
}

/// What comes of a request.
#[derive(Debug, Clone)]
pub enum Fate {
    /// An answer that fits its schema.
    Answer,
    /// An answer with this text.
    Text(String),
    /// An error status with its message and parameter.
    Fault(u16, &'static str, Option<&'static str>),
    /// It is out of time.
    Expired,
    /// There is no line of it.
    Silent,
}

type Plan = dyn Fn(&Called) -> Act + Send + Sync;

/// A running server.
pub struct Batches {
    address: SocketAddr,
    shared: Arc<Shared>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    plan: Box<Plan>,
    key: Option<String>,
    log: Mutex<Log>,
}

#[derive(Default)]
struct Log {
    calls: BTreeMap<&'static str, usize>,
    files: BTreeMap<String, Vec<u8>>,
    batches: Vec<Batch>,
    direct: usize,
    complaints: Vec<String>,
}

struct Batch {
    id: String,
    provider: Provider,
    input_file: Value,
    metadata: Value,
    entries: Vec<Entry>,
    created: Timestamp,
    state: String,
    succeeded: usize,
    failed: usize,
    unfinished: usize,
    errors: Value,
    results: Vec<(String, Vec<u8>)>,
}

struct Entry {
    custom_id: String,
    question: Question,
}

impl Shared {
    fn log(&self) -> MutexGuard<'_, Log> {
        self.log.lock().expect("no holder of the log panics")
    }
}

impl Batches {
    /// A server that does all as it should.
    pub fn start() -> Batches {
        Batches::plan(|_| Act::Do)
    }

    /// A server that does as the plan says.
    pub fn plan(plan: impl Fn(&Called) -> Act + Send + Sync + 'static) -> Batches {
        Batches::with(Box::new(plan), None)
    }

    /// A server that wants this key.
    pub fn with_key(key: &str, plan: impl Fn(&Called) -> Act + Send + Sync + 'static) -> Batches {
        Batches::with(Box::new(plan), Some(key.to_owned()))
    }

    fn with(plan: Box<Plan>, key: Option<String>) -> Batches {
        let shared = Arc::new(Shared { plan, key, log: Mutex::default() });
        let (ready, address) = std::sync::mpsc::channel();
        let (stop, stopped) = oneshot::channel();
        let served = Arc::clone(&shared);
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
            let runtime = runtime.expect("a runtime starts");
            runtime.block_on(async {
                let door = Door::open(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await.expect("a port is free");
                ready.send(door.address()).expect("the test waits for the address");
                let router =
                    Router::new().fallback(serve).layer(axum::extract::DefaultBodyLimit::disable()).with_state(served);
                let service = router.into_make_service_with_connect_info::<Handle>();
                tokio::select! {
                    result = axum::serve(door, service) => result.expect("the server runs until it is stopped"),
                    _ = stopped => {}
                }
            });
            runtime.shutdown_background();
        });
        let address = address.recv().expect("the server starts");
        Batches { address, shared, stop: Some(stop), thread: Some(thread) }
    }

    /// The base URL as the provider's official client takes it.
    pub fn base_url(&self, provider: Provider) -> String {
        match provider {
            Provider::OpenAi => format!("http://{}/v1", self.address),
            Provider::Anthropic | Provider::Gemini => format!("http://{}", self.address),
        }
    }

    /// How often something was called.
    pub fn calls(&self, what: &str) -> usize {
        self.shared.log().calls.get(what).copied().unwrap_or(0)
    }

    /// Single requests that were asked.
    pub fn direct(&self) -> usize {
        self.shared.log().direct
    }

    /// What was wrong with calls and requests.
    pub fn complaints(&self) -> Vec<String> {
        self.shared.log().complaints.clone()
    }

    /// How many requests each batch has.
    pub fn sizes(&self) -> Vec<usize> {
        self.shared.log().batches.iter().map(|batch| batch.entries.len()).collect()
    }

    /// The names of all requests of all batches.
    pub fn custom_ids(&self) -> Vec<String> {
        let log = self.shared.log();
        log.batches.iter().flat_map(|batch| &batch.entries).map(|entry| entry.custom_id.clone()).collect()
    }

    /// The prompt of the last request of the last batch.
    pub fn last_prompt(&self) -> String {
        let log = self.shared.log();
        log.batches.last().and_then(|batch| batch.entries.last()).expect("there is a batch").question.prompt.clone()
    }

    /// The last file that was sent.
    pub fn last_input(&self) -> String {
        let log = self.shared.log();
        let id = format!("file-{}", log.files.len());
        String::from_utf8_lossy(&log.files[&id]).into_owned()
    }

    /// Changes the state of all batches that are not done, without ending them.
    pub fn move_on(&self, state: &str) {
        for batch in self.shared.log().batches.iter_mut().filter(|batch| batch.results.is_empty()) {
            batch.state = state.to_owned();
        }
    }

    /// Rejects all batches that are not done, as a validation that failed.
    pub fn reject(&self, code: &str, message: &str) {
        for batch in self.shared.log().batches.iter_mut().filter(|batch| batch.results.is_empty()) {
            batch.state = "failed".to_owned();
            batch.errors = json!({ "object": "list", "data": [{ "code": code, "message": message, "line": null }] });
        }
    }

    /// Ends all batches that are not done; `fate` says what comes of each request, by its place among all of its batch.
    pub fn end(&self, state: &str, fate: impl Fn(usize) -> Fate) {
        for batch in self.shared.log().batches.iter_mut().filter(|batch| batch.results.is_empty()) {
            batch.end(state, &fate);
        }
    }
}

impl Drop for Batches {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// A line of results for a request, as OpenAI writes it; also for tests that answer a file.
pub fn openai_line(custom_id: &str, body: &Value) -> String {
    let response = json!({ "status_code": 200, "request_id": "req_1", "body": body });
    json!({ "id": "batch_req_1", "custom_id": custom_id, "response": response, "error": null }).to_string()
}

/// Answers a file of requests in OpenAI's form, line by line.
pub fn answer_file(requests: &str) -> Vec<String> {
    let line = |line: &str| {
        let entry: Value = serde_json::from_str(line).expect("a line is JSON");
        let question = checked(Provider::OpenAi, &entry["body"], &HeaderMap::new()).expect("the request is right");
        assert_eq!((&entry["method"], &entry["url"]), (&json!("POST"), &json!("/v1/chat/completions")));
        let text = generated(&question.schema, &question.prompt).to_string();
        let custom_id = entry["custom_id"].as_str().expect("a request has a name");
        openai_line(custom_id, &Provider::OpenAi.answer(&question, &text, End::Stop))
    };
    requests.lines().map(line).collect()
}

impl Batch {
    fn end(&mut self, state: &str, fate: &dyn Fn(usize) -> Fate) {
        let (mut output, mut errors) = (String::new(), String::new());
        // In another order than they were asked.
        for (at, Entry { custom_id, question }) in self.entries.iter().enumerate().rev() {
            let answer = |text: &str| self.provider.answer(question, text, End::Stop);
            let fate = match fate(at) {
                Fate::Answer => Fate::Text(generated(&question.schema, &question.prompt).to_string()),
                fate => fate,
            };
            let (file, result) = match (fate, self.provider) {
                (Fate::Silent, _) => {
                    self.unfinished += 1;
                    continue;
                }
                (Fate::Text(text), Provider::OpenAi) => {
                    self.succeeded += 1;
                    (&mut output, openai_line(custom_id, &answer(&text)))
                }
                (Fate::Text(text), _) => {
                    self.succeeded += 1;
                    let result = json!({ "type": "succeeded", "message": answer(&text) });
                    (&mut output, json!({ "custom_id": custom_id, "result": result }).to_string())
                }
                (Fate::Fault(status, message, param), provider) => {
                    self.failed += 1;
                    let rejection =
                        Rejection { status, code: "", message: message.to_owned(), param: param.map(str::to_owned) };
                    let error = provider.error(&rejection);
                    match provider {
                        Provider::OpenAi => {
                            let response = json!({ "status_code": status, "request_id": "r", "body": error });
                            (
                                &mut errors,
                                json!({ "id": "b", "custom_id": custom_id, "response": response, "error": null })
                                    .to_string(),
                            )
                        }
                        _ => {
                            let result = json!({ "type": "errored", "error": error });
                            (&mut output, json!({ "custom_id": custom_id, "result": result }).to_string())
                        }
                    }
                }
                (_, Provider::OpenAi) => {
                    self.unfinished += 1;
                    let error = json!({ "code": "batch_expired", "message": "This request could not be executed before the completion window expired." });
                    (
                        &mut errors,
                        json!({ "id": "b", "custom_id": custom_id, "response": null, "error": error }).to_string(),
                    )
                }
                (_, _) => {
                    self.unfinished += 1;
                    (&mut output, json!({ "custom_id": custom_id, "result": { "type": "expired" } }).to_string())
                }
            };
            file.push_str(&result);
            file.push('\n');
        }
        self.state = state.to_owned();
        self.results = vec![(format!("file-out-{}", self.id), output.into_bytes())];
        if !errors.is_empty() {
            self.results.push((format!("file-err-{}", self.id), errors.into_bytes()));
        }
    }

    fn document(&self) -> Value {
        let result = |start: &str| self.results.iter().map(|(name, _)| name).find(|name| name.starts_with(start));
        match self.provider {
            Provider::OpenAi => json!({
                "id": self.id, "object": "batch", "endpoint": "/v1/chat/completions", "errors": self.errors,
                "input_file_id": self.input_file, "completion_window": "24h", "status": self.state,
                "output_file_id": result("file-out"), "error_file_id": result("file-err"),
                "created_at": self.created.as_second(), "metadata": self.metadata,
                "request_counts": { "total": self.entries.len(), "completed": self.succeeded, "failed": self.failed },
            }),
            _ => json!({
                "id": self.id, "type": "message_batch", "processing_status": self.state, "created_at": self.created.to_string(),
                "request_counts": {
                    "processing": self.entries.len() - self.succeeded - self.failed - self.unfinished,
                    "succeeded": self.succeeded, "errored": self.failed, "canceled": 0, "expired": self.unfinished,
                },
                "results_url": if self.results.is_empty() { Value::Null } else { json!("https://elsewhere.invalid/results") },
            }),
        }
    }
}

async fn serve(
    State(shared): State<Arc<Shared>>,
    ConnectInfo(handle): ConnectInfo<Handle>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response<Body> {
    let (path, query) = (uri.path().to_owned(), uri.query().unwrap_or_default().to_owned());
    let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
    let (provider, what) = match (&method, parts.as_slice()) {
        (&Method::POST, ["v1", "files"]) => (Provider::OpenAi, "upload"),
        (&Method::POST, ["v1", "batches"]) => (Provider::OpenAi, "create"),
        (&Method::GET, ["v1", "batches"]) => (Provider::OpenAi, "list"),
        (&Method::GET, ["v1", "batches", _]) => (Provider::OpenAi, "look"),
        (&Method::GET, ["v1", "files", _, "content"]) => (Provider::OpenAi, "fetch"),
        (&Method::POST, ["v1", "messages", "batches"]) => (Provider::Anthropic, "create"),
        (&Method::GET, ["v1", "messages", "batches"]) => (Provider::Anthropic, "list"),
        (&Method::GET, ["v1", "messages", "batches", _]) => (Provider::Anthropic, "look"),
        (&Method::GET, ["v1", "messages", "batches", _, "results"]) => (Provider::Anthropic, "fetch"),
        (&Method::POST, ["v1", "chat", "completions"]) => return direct(&shared, Provider::OpenAi, &headers, &body),
        (&Method::POST, ["v1", "messages"]) => return direct(&shared, Provider::Anthropic, &headers, &body),
        _ => return complain(&shared, Provider::OpenAi, Rejection::of_status(404), &format!("{method} {path}")),
    };
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let given = match provider {
        Provider::OpenAi => header("authorization").strip_prefix("Bearer "),
        _ => Some(header("x-api-key")),
    };
    if let Some(key) = shared.key.as_deref().filter(|key| given != Some(key)) {
        assert_ne!(given, Some(key));
        let said = Rejection {
            message: format!("Incorrect API key provided: {}.", given.unwrap_or("")),
            ..Rejection::of_status(401)
        };
        return respond(401, provider.error(&said).to_string());
    }
    if provider == Provider::Anthropic && !["2026-10-21", "2023-06-01"].contains(&header("anthropic-version")) {
        return complain(&shared, provider, Rejection::of_status(400), "anthropic-version");
    }
    let nth = {
        let mut log = shared.log();
        let count = log.calls.entry(what).or_default();
        *count += 1;
        *count - 1
    };
    let act = (shared.plan)(&Called { what, nth });
    match act {
        Act::Status(code) => return respond(code, provider.error(&Rejection::of_status(code)).to_string()),
        Act::Wait(code, seconds) => {
            let mut response = respond(code, provider.error(&Rejection::of_status(code)).to_string());
            response.headers_mut().insert("retry-after", HeaderValue::from(seconds));
            return response;
        }
        Act::Hang => std::future::pending().await,
        _ => {}
    }
    let done = match what {
        "upload" => upload(&shared, &headers, &body),
        "create" => create(&shared, provider, &headers, &body),
        "list" => Ok(list(&shared, provider, &query).to_string().into_bytes()),
        "look" => find(&shared, parts.last().expect("the path has parts")),
        _ => fetch(&shared, provider, parts[parts.len() - 2]),
    };
    let body = match done {
        Ok(body) => body,
        Err(fault) => return complain(&shared, provider, Rejection::of_status(fault.0), &fault.1),
    };
    match act {
        Act::DoAndHang => std::future::pending().await,
        Act::DoAndReset => handle.cut(Cut::Reset),
        Act::Cut => handle.cut(Cut::Half),
        Act::Half => return respond(200, String::from_utf8_lossy(&body[..body.len() / 2]).into_owned()),
        Act::Stall(lines) => {
            let end: usize = body.split_inclusive(|byte| *byte == b'\n').take(lines).map(<[u8]>::len).sum();
            return Response::new(Body::new(Stalled(Some(Bytes::copy_from_slice(&body[..end])))));
        }
        _ => {}
    }
    respond(200, String::from_utf8_lossy(&body).into_owned())
}

/// A body of which a part comes, and then nothing.
struct Stalled(Option<Bytes>);

impl http_body::Body for Stalled {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        // Nobody wakes it: the rest never comes.
        self.0.take().map_or(Poll::Pending, |part| Poll::Ready(Some(Ok(Frame::data(part)))))
    }
}

fn complain(shared: &Shared, provider: Provider, rejection: Rejection, what: &str) -> Response<Body> {
    shared.log().complaints.push(what.to_owned());
    let status = rejection.status;
    respond(status, provider.error(&Rejection { message: what.to_owned(), ..rejection }).to_string())
}

fn respond(status: u16, body: String) -> Response<Body> {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = StatusCode::from_u16(status).expect("a plan names statuses of three digits");
    response.headers_mut().insert("content-type", HeaderValue::from_static("application/json"));
    response
}
