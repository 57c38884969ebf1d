//! A provider on the loopback: OpenAI's, Anthropic's and Gemini's form on their real paths, as strict as they are, with faults on demand.
//!
//! ```ignore
//! let fake = Fake::plan(|asked| if asked.nth == 0 { Reply::status(500) } else { Reply::Answer }).key("secret").start();
//! run(&fake.base_url(Provider::OpenAi));
//! assert_eq!(fake.counts().len(), 3);
//! assert_eq!(fake.complaints(), Vec::<String>::new());
//! ```
//!
//! The server has threads of its own, so that synchronous tests can drive a binary against it; it ends when it is dropped.

mod answer;
pub mod batches;
mod line;
mod schema;
mod wire;
mod works;

use answer::generated;
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{ConnectInfo, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode, Uri};
use line::{Cut, Door, Handle};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tokio::io::AsyncWriteExt;
use tokio::sync::oneshot;
use tokio_util::io::ReaderStream;
pub use wire::Provider;
use wire::{End, Question, Rejection};

/// What the server is asked, as a plan and the log see it.
#[derive(Debug, Clone)]
pub struct Asked {
    /// The request's place among all, from 0.
    pub index: usize,
    /// How often this very body came before, from 0.
    pub nth: usize,
    /// A hash of the body's bytes.
    pub hash: String,
    /// The path with its query.
    pub path: String,
    /// The headers, names in lower case.
    pub headers: BTreeMap<String, String>,
    /// The body; null where it is no JSON.
    pub body: Value,
    /// All text of the conversation, system text included.
    pub prompt: String,
    /// When it came, counted from the server's start.
    pub at: Duration,
}

/// What the server did with a request.
#[derive(Debug, Clone)]
pub struct Seen {
    /// The request.
    pub asked: Asked,
    /// The plan's reply, or `rejected: …` where the request is not in the provider's form.
    pub answered: String,
}

/// What the server does with a request that is in the provider's form.
#[derive(Debug, Clone)]
pub enum Reply {
    /// A whole answer that fits the request's schema.
    Answer,
    /// A whole answer with this text.
    Text(String),
    /// An error status; a body of `None` is an error in the provider's form.
    Status { code: u16, body: Option<String>, headers: Vec<(&'static str, String)> },
    /// The answer in a code fence.
    Fenced,
    /// The answer between sentences.
    WithProse,
    /// The answer with a comma too many.
    TrailingComma,
    /// An answer that is no JSON at all.
    Garbage,
    /// The first half of the answer, ended by the output limit.
    Cut,
    /// The model declines.
    Refusal,
    /// JSON that does not fit the schema.
    WrongSchema,
    /// An answer without token counts.
    NoUsage,
    /// Status 200 and no body.
    Empty,
    /// Status 200 and a page of HTML.
    NotJson,
    /// The answer with bytes in its text that are no UTF-8.
    NotUtf8,
    /// Status 200 and a body that comes byte by byte and never ends.
    Trickle,
    /// Status 200 and a body that comes as fast as it can and never ends.
    Endless,
    /// The answer after a wait, beside the delay of all answers.
    Hang(Duration),
    /// The connection is reset without an answer.
    Reset,
    /// The connection ends in the middle of the answer's body.
    CutBody,
}

impl Reply {
    /// An error status in the provider's form.
    pub fn status(code: u16) -> Reply {
        Reply::Status { code, body: None, headers: Vec::new() }
    }

    /// Too many requests: come again after so many seconds.
    pub fn throttled(seconds: u32) -> Reply {
        Reply::Status { code: 429, body: None, headers: vec![("retry-after", seconds.to_string())] }
    }
}

type Plan = dyn Fn(&Asked) -> Reply + Send + Sync;
type Answerer = dyn Fn(&Asked, &Value) -> Value + Send + Sync;

/// A server that is not started yet.
pub struct Setup {
    plan: Box<Plan>,
    answer: Option<Box<Answerer>>,
    key: Option<String>,
    delay: Duration,
    refuses: BTreeSet<&'static str>,
    headers: Vec<(&'static str, String)>,
}

impl Setup {
    /// Requests must bring this key.
    pub fn key(mut self, key: &str) -> Self {
        self.key = Some(key.to_owned());
        self
    }

    /// Every answer takes so long.
    pub fn delay(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }

    /// Answers are made by the test, from the request and its schema, rather than generated.
    pub fn answer(mut self, answer: impl Fn(&Asked, &Value) -> Value + Send + Sync + 'static) -> Self {
        self.answer = Some(Box::new(answer));
        self
    }

    /// The model lacks a parameter and says so: `temperature`, `system`, `cache_control`, `response_format`,
    /// `max_completion_tokens`, … under the name that the provider has for it.
    pub fn refuses(mut self, parameter: &'static str) -> Self {
        self.refuses.insert(parameter);
        self
    }

    /// Every answer carries this header.
    pub fn header(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }

    /// Starts the server.
    pub fn start(self) -> Fake {
        let shared = Arc::new(Shared { setup: self, started: Instant::now(), state: Mutex::new(Log::default()) });
        let (ready, address) = std::sync::mpsc::channel();
        let (stop, stopped) = oneshot::channel();
        let served = Arc::clone(&shared);
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_multi_thread()
                .worker_threads(2)
                .enable_all()
                .build()
                .expect("a runtime starts");
            runtime.block_on(async {
                let door =
                    Door::open(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await.expect("a loopback port is free");
                ready.send(door.address()).expect("the test waits for the address");
                let router = Router::new().fallback(serve).with_state(served);
                let service = router.into_make_service_with_connect_info::<Handle>();
                tokio::select! {
                    result = axum::serve(door, service) => result.expect("the server runs until it is stopped"),
                    _ = stopped => {}
                }
            });
            // Answers that still hang are not waited for.
            runtime.shutdown_background();
        });
        let address = address.recv().expect("the server starts");
        Fake { address, shared, stop: Some(stop), thread: Some(thread) }
    }
}

/// A running server.
pub struct Fake {
    address: SocketAddr,
    shared: Arc<Shared>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    setup: Setup,
    started: Instant,
    state: Mutex<Log>,
}

#[derive(Default)]
struct Log {
    asked: usize,
    seen: Vec<Seen>,
    counts: BTreeMap<String, usize>,
    in_flight: usize,
    peak: usize,
}

impl Shared {
    fn log(&self) -> MutexGuard<'_, Log> {
        self.state.lock().expect("no holder of the log panics")
    }
}

impl Fake {
    /// A server that answers everything.
    pub fn start() -> Fake {
        Fake::plan(|_| Reply::Answer).start()
    }

    /// A server that does as the plan says.
    pub fn plan(plan: impl Fn(&Asked) -> Reply + Send + Sync + 'static) -> Setup {
        Setup {
            plan: Box::new(plan),
            answer: None,
            key: None,
            delay: Duration::ZERO,
            refuses: BTreeSet::new(),
            headers: Vec::new(),
        }
    }

    /// The base URL as the provider's official client takes it.
    pub fn base_url(&self, provider: Provider) -> String {
        match provider {
            Provider::OpenAi => format!("http://{}/v1", self.address),
            Provider::Anthropic | Provider::Gemini => format!("http://{}", self.address),
        }
    }

    /// All requests so far, in the order in which they came.
    pub fn seen(&self) -> Vec<Seen> {
        let mut seen = self.shared.log().seen.clone();
        seen.sort_by_key(|seen| seen.asked.index);
        seen
    }

    /// How many requests have come.
    pub fn asked(&self) -> usize {
        self.shared.log().asked
    }

    /// How often each distinct body came.
    pub fn counts(&self) -> BTreeMap<String, usize> {
        self.shared.log().counts.clone()
    }

    /// What was wrong with requests that are not in the provider's form.
    pub fn complaints(&self) -> Vec<String> {
        self.seen().into_iter().map(|seen| seen.answered).filter(|answered| answered.starts_with("rejected")).collect()
    }

    /// The most requests that were under way at once.
    pub fn peak(&self) -> usize {
        self.shared.log().peak
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A panic of the server has been printed; a second one here would hide the test's own.
            let _ = thread.join();
        }
    }
}

/// Counts a request as under way until it is answered or its client is gone.
struct UnderWay(Arc<Shared>);

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.log().in_flight -= 1;
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
    let mut asked = Asked {
        index: 0,
        nth: 0,
        hash: blake3::hash(&body).to_hex()[..16].to_owned(),
        path: uri.to_string(),
        headers: headers
            .iter()
            .map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned()))
            .collect(),
        body: serde_json::from_slice(&body).unwrap_or(Value::Null),
        prompt: String::new(),
        at: shared.started.elapsed(),
    };
    {
        let mut log = shared.log();
        asked.index = log.asked;
        log.asked += 1;
        let count = log.counts.entry(asked.hash.clone()).or_default();
        asked.nth = *count;
        *count += 1;
        log.in_flight += 1;
        log.peak = log.peak.max(log.in_flight);
    }
    let _under_way = UnderWay(Arc::clone(&shared));
    let setup = &shared.setup;

    let checked = wire::check(&method, &asked, setup.key.as_deref(), &setup.refuses);
    let (provider, question) = match checked {
        Ok(checked) => checked,
        Err((provider, rejection)) => {
            let answered = format!("rejected: {} {}", rejection.status, rejection.message);
            let response = respond(setup, rejection.status, &provider.error(&rejection).to_string(), &[]);
            shared.log().seen.push(Seen { asked, answered });
            return response;
        }
    };
    asked.prompt.clone_from(&question.prompt);
    let reply = (setup.plan)(&asked);
    // Logged before the wait: a client that gives up was seen all the same.
    shared.log().seen.push(Seen { asked: asked.clone(), answered: format!("{reply:?}") });

    let hang = if let Reply::Hang(wait) = &reply { *wait } else { Duration::ZERO };
    tokio::time::sleep(setup.delay + hang).await;
    match &reply {
        Reply::Reset => handle.cut(Cut::Reset),
        Reply::CutBody => handle.cut(Cut::Half),
        _ => {}
    }
    reply_to(setup, provider, &question, &asked, &reply)
}

fn reply_to(setup: &Setup, provider: Provider, question: &Question, asked: &Asked, reply: &Reply) -> Response<Body> {
    let schema = &question.schema;
    let answer = match &setup.answer {
        Some(answer) => answer(asked, schema),
        None => generated(schema, &question.prompt),
    };
    let text = answer.to_string();
    let answered = |text: &str, end: End| respond(setup, 200, &provider.answer(question, text, end).to_string(), &[]);
    match reply {
        Reply::Answer | Reply::Hang(_) | Reply::Reset | Reply::CutBody => answered(&text, End::Stop),
        Reply::Text(text) => answered(text, End::Stop),
        Reply::Fenced => answered(&format!("```json\n{text}\n```"), End::Stop),
        Reply::WithProse => answered(&format!("Here is the annotation:\n{text}\nI hope that this helps."), End::Stop),
        Reply::TrailingComma => answered(&format!("{},}}", text.strip_suffix('}').unwrap_or(&text)), End::Stop),
        Reply::Garbage => answered("I would rather talk about the weather.", End::Stop),
        Reply::Cut => {
            let half: String = text.chars().take(text.chars().count() / 2).collect();
            answered(&half, End::Length)
        }
        Reply::Refusal => answered("I cannot help with that.", End::Refusal),
        Reply::WrongSchema => answered(&answer::spoilt(answer, schema).to_string(), End::Stop),
        Reply::NoUsage => {
            let mut body = provider.answer(question, &text, End::Stop);
            if let Some(fields) = body.as_object_mut() {
                fields.retain(|name, _| !matches!(name.as_str(), "usage" | "usageMetadata"));
            }
            respond(setup, 200, &body.to_string(), &[])
        }
        Reply::Empty => respond(setup, 200, "", &[]),
        Reply::NotJson => {
            let mut page = respond(setup, 200, "<html><title>Welcome</title><body>to the proxy</body></html>", &[]);
            page.headers_mut().insert("content-type", HeaderValue::from_static("text/html; charset=utf-8"));
            page
        }
        Reply::NotUtf8 => {
            let marked = text.replacen("words", "w\u{f8}rds", 1);
            let body = provider.answer(question, &marked, End::Stop).to_string().into_bytes();
            let mut response = respond(setup, 200, "", &[]);
            // As if it were Latin 1.
            let at = body.windows(2).position(|pair| pair == "\u{f8}".as_bytes()).expect("the answer holds a text");
            *response.body_mut() = Body::from([&body[..at], b"\xf8", &body[at + 2..]].concat());
            response
        }
        Reply::Trickle => pouring(setup, b"x", Duration::from_millis(100)),
        Reply::Endless => pouring(setup, &[b'x'; 65_536], Duration::ZERO),
        Reply::Status { code, body, headers } => {
            let own = || provider.error(&Rejection::of_status(*code)).to_string();
            respond(setup, *code, &body.clone().unwrap_or_else(own), headers)
        }
    }
}

/// Status 200 and a body of this piece again and again, until nobody reads it any more.
fn pouring(setup: &Setup, piece: &'static [u8], pause: Duration) -> Response<Body> {
    let (reader, mut writer) = tokio::io::duplex(65_536);
    tokio::spawn(async move {
        while writer.write_all(piece).await.is_ok() {
            tokio::time::sleep(pause).await;
        }
    });
    let mut response = respond(setup, 200, "", &[]);
    *response.body_mut() = Body::from_stream(ReaderStream::new(reader));
    response
}

fn respond(setup: &Setup, status: u16, body: &str, headers: &[(&'static str, String)]) -> Response<Body> {
    let mut response = Response::new(Body::from(body.to_owned()));
    *response.status_mut() = StatusCode::from_u16(status).expect("a plan names statuses of three digits");
    let own = [("content-type", "application/json".to_owned())];
    for (name, value) in own.iter().chain(&setup.headers).chain(headers) {
        let value = HeaderValue::from_str(value).expect("a plan's header values are printable");
        response.headers_mut().insert(HeaderName::from_static(name), value);
    }
    response
}
