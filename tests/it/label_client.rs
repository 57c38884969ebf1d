//! A labelling server under way, and a client that says exactly what it is told to: over plain TCP, with any head.

use crate::project::{PATIENCE, Project};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::Instant;

/// `interrater label … --json` in a project; killed when it is dropped.
pub struct Server {
    child: Child,
    /// What it said of itself.
    pub said: Value,
    /// `127.0.0.1:PORT`.
    pub host: String,
    /// The path that lets in.
    pub path: String,
    /// `name=value`.
    pub cookie: String,
}

/// An answer.
#[derive(Debug, Clone)]
pub struct Reply {
    pub status: u16,
    pub head: String,
    pub body: String,
}

impl Reply {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The same, if it has this status.
    pub fn with(self, status: u16) -> Reply {
        assert_eq!(self.status, status, "{self:?}");
        self
    }
}

/// One request, as it is written here, over a connection of its own. `None` where the server is gone.
pub fn exchange(host: &str, request: &str) -> Option<Reply> {
    let mut stream = TcpStream::connect(host).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout can be set");
    stream.write_all(request.as_bytes()).ok()?;
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).ok()?;
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let (head, body) = text.split_once("\r\n\r\n")?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    // A process that is killed while it writes says only half.
    let length = head.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok());
    if length.is_some_and(|length: usize| body.len() < length) {
        return None;
    }
    Some(Reply { status, head: head.to_owned(), body: body.to_owned() })
}

impl Server {
    /// Starts it, and waits until it says where it is.
    pub fn start(project: &Project, args: &[&str]) -> Server {
        let mut child = Command::new(env!("CARGO_BIN_EXE_interrater"))
            .args([&["label"], args, &["--json"]].concat())
            .current_dir(project.path("."))
            .env_clear()
            .env("HOME", project.path("."))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary starts");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("stdout is piped")).read_line(&mut line).expect("it says something");
        let said: Value = serde_json::from_str(&line).unwrap_or_else(|error| {
            let mut said = String::new();
            drop(child.stderr.take().map(|mut stderr| stderr.read_to_string(&mut said)));
            panic!("{error}: {line:?}: {said}")
        });
        let url = said["url"].as_str().expect("it says its address");
        let (host, path) = url.strip_prefix("http://").and_then(|rest| rest.split_once('/')).expect("it is an address");
        let (host, path) = (host.to_owned(), format!("/{path}"));
        let mut server = Server { child, said, host, path, cookie: String::new() };
        let opened = server.raw("GET", &server.path.clone(), &[], "").with(200);
        let cookie = opened.head.lines().find_map(|line| line.strip_prefix("set-cookie: ")).expect("a cookie is set");
        server.cookie = cookie.split(';').next().expect("it has a value").to_owned();
        server
    }

    /// A request with this head and no other.
    pub fn raw(&self, method: &str, path: &str, head: &[(&str, &str)], body: &str) -> Reply {
        self.try_raw(method, path, head, body).expect("the server answers")
    }

    fn try_raw(&self, method: &str, path: &str, head: &[(&str, &str)], body: &str) -> Option<Reply> {
        let mut request =
            format!("{method} {path} HTTP/1.1\r\nConnection: close\r\nContent-Length: {}\r\n", body.len());
        if !head.iter().any(|(name, _)| name.eq_ignore_ascii_case("host")) {
            request.push_str(&format!("Host: {}\r\n", self.host));
        }
        head.iter().for_each(|(name, value)| request.push_str(&format!("{name}: {value}\r\n")));
        exchange(&self.host, &format!("{request}\r\n{body}"))
    }

    /// What the page asks.
    pub fn get(&self, path: &str) -> Reply {
        self.raw("GET", path, &[("Cookie", &self.cookie)], "")
    }

    /// What the page sends; `None` where the server is gone.
    pub fn try_post(&self, path: &str, body: &Value) -> Option<Reply> {
        let origin = format!("http://{}", self.host);
        let head = [("Cookie", self.cookie.as_str()), ("Origin", &origin), ("Content-Type", "application/json")];
        self.try_raw("POST", path, &head, &body.to_string())
    }

    /// What the page sends.
    pub fn post(&self, path: &str, body: &Value) -> Reply {
        self.try_post(path, body).expect("the server answers")
    }

    /// Labels a unit of the task `tone`.
    pub fn label(&self, at: usize, label: &str, note: &str) -> Value {
        let body = json!({ "fields": { "label": label }, "note": note, "seconds": 1.5 });
        self.post(&format!("/api/units/{at}/answer"), &body).with(200).json()
    }

    /// The names and states of the pile.
    pub fn states(&self) -> Vec<String> {
        let pile = self.get("/api/units").with(200).json();
        pile["units"]
            .as_array()
            .expect("a list")
            .iter()
            .map(|unit| unit["state"].as_str().expect("a state").to_owned())
            .collect()
    }

    /// Kills it while others still talk to it.
    pub fn kill_now(&self) {
        let sent = Command::new("kill").args(["-KILL", &self.child.id().to_string()]).status();
        assert!(sent.expect("there is a kill command").success());
    }

    /// Kills it, which it cannot notice.
    pub fn kill(mut self) {
        self.child.kill().expect("a child can be killed");
        self.child.wait().expect("a child can be waited for");
    }

    /// Ends it as Ctrl-C does, and gives exit code and what it said on stderr.
    pub fn end(mut self) -> (Option<i32>, String) {
        let sent = Command::new("kill").args(["-INT", &self.child.id().to_string()]).status();
        assert!(sent.expect("there is a kill command").success());
        let begun = Instant::now();
        let status = loop {
            if let Some(status) = self.child.try_wait().expect("a child can be waited for") {
                break status;
            }
            assert!(begun.elapsed() < PATIENCE, "the server does not end");
            std::thread::yield_now();
        };
        let mut said = String::new();
        self.child.stderr.take().expect("stderr is piped").read_to_string(&mut said).expect("it is text");
        (status.code(), said)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
