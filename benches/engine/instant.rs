//! A server that answers at once in OpenAI's form, and a client that does nothing but ask: what the engine is measured against.

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;

const ANSWER: &str = r#"{"id":"1","object":"chat.completion","model":"instant","choices":[{"index":0,"finish_reason":"stop","message":{"role":"assistant","content":"{\"label\":\"yes\"}"}}],"usage":{"prompt_tokens":100,"completion_tokens":5,"total_tokens":105}}"#;

/// A few bodies are kept, for the bare client to send again.
const KEPT_BODIES: usize = 256;

#[derive(Debug, Default)]
struct Log {
    asked: AtomicUsize,
    first: Mutex<Option<Instant>>,
    bodies: Mutex<Vec<Vec<u8>>>,
}

/// The server, on a thread of its own; it ends with the program.
pub struct Server {
    port: u16,
    log: Arc<Log>,
    _runtime: Runtime,
}

impl Server {
    /// Starts it on a free port of the loopback.
    pub fn start() -> io::Result<Server> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0"))?;
        let port = listener.local_addr()?.port();
        let log = Arc::new(Log::default());
        let shared = log.clone();
        runtime.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let log = shared.clone();
                // A connection that breaks off has been measured as well.
                tokio::spawn(async move { drop(serve(stream, &log).await) });
            }
        });
        Ok(Server { port, log, _runtime: runtime })
    }

    /// As `--base-url` takes it.
    pub fn base_url(&self) -> String {
        format!("http://127.0.0.1:{}/v1", self.port)
    }

    /// How many requests came so far.
    pub fn asked(&self) -> usize {
        self.log.asked.load(Ordering::Relaxed)
    }

    /// When the first request came.
    pub fn first(&self) -> Option<Instant> {
        *self.log.first.lock().expect("nobody panics with the lock held")
    }

    /// Some of the bodies that came.
    pub fn bodies(&self) -> Vec<Vec<u8>> {
        self.log.bodies.lock().expect("nobody panics with the lock held").clone()
    }
}

async fn serve(mut stream: TcpStream, log: &Log) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let answer = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{ANSWER}",
        ANSWER.len()
    );
    let mut buffer = Vec::with_capacity(64 * 1024);
    loop {
        let (begin, length) = loop {
            if let Some(head) = memchr::memmem::find(&buffer, b"\r\n\r\n") {
                break (head + 4, content_length(&buffer[..head]));
            }
            if stream.read_buf(&mut buffer).await? == 0 {
                return Ok(());
            }
        };
        while buffer.len() < begin + length {
            if stream.read_buf(&mut buffer).await? == 0 {
                return Ok(());
            }
        }
        let nth = log.asked.fetch_add(1, Ordering::Relaxed);
        if nth == 0 {
            *log.first.lock().expect("nobody panics with the lock held") = Some(Instant::now());
        }
        if nth < KEPT_BODIES {
            log.bodies.lock().expect("nobody panics with the lock held").push(buffer[begin..begin + length].to_vec());
        }
        buffer.drain(..begin + length);
        stream.write_all(answer.as_bytes()).await?;
    }
}

fn content_length(head: &[u8]) -> usize {
    let head = String::from_utf8_lossy(head);
    let value = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse().ok())?
    });
    value.unwrap_or(0)
}

/// Sends `count` requests with the given bodies, so many at once, with the HTTP library that the program uses and nothing else.
pub fn bare_client(server: &Server, bodies: &[Vec<u8>], count: usize, concurrency: usize) -> io::Result<Duration> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    // The library has two crypto providers to choose from, and wants to be told even where nothing is encrypted.
    drop(rustls::crypto::ring::default_provider().install_default());
    let client = reqwest::Client::builder().no_proxy().tcp_nodelay(true).build().map_err(io::Error::other)?;
    let url = format!("{}/chat/completions", server.base_url());
    let started = Instant::now();
    runtime.block_on(async {
        let mut askers = tokio::task::JoinSet::new();
        for asker in 0..concurrency {
            let (client, url, bodies) = (client.clone(), url.clone(), bodies.to_vec());
            askers.spawn(async move {
                for nth in (asker..count).step_by(concurrency) {
                    let request = client.post(&url).header("content-type", "application/json");
                    let answer = request.body(bodies[nth % bodies.len()].clone()).send().await?;
                    drop(answer.bytes().await?);
                }
                Ok::<(), reqwest::Error>(())
            });
        }
        while let Some(done) = askers.join_next().await {
            done.map_err(io::Error::other)?.map_err(io::Error::other)?;
        }
        Ok::<(), io::Error>(())
    })?;
    Ok(started.elapsed())
}

/// A process's CPU time and the most memory it has held, in megabytes; `None` where the system does not tell.
pub fn usage(process: u32) -> Option<(Duration, f64)> {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    // The name in brackets may hold blanks; user and system time are the 12th and 13th field after it.
    let ticks: u64 =
        stat.rsplit_once(')')?.1.split_whitespace().skip(11).take(2).map(|field| field.parse().unwrap_or(0)).sum();
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kilobytes: f64 = peak.split_whitespace().next()?.parse().ok()?;
    Some((Duration::from_millis(ticks * 10), kilobytes / 1024.0))
}
