//! A Chromium without a window, told what to do through chromedriver: WebDriver's JSON over plain HTTP on this machine.
//!
//! Every browser has a profile and a driver of its own, and both end with it. A test that finds no browser says so and passes; where
//! `INTERRATER_BROWSER` is `required` it fails.

use crate::project::PATIENCE;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Between two looks at a condition.
const GLANCE: Duration = Duration::from_millis(10);
/// What is started, under its names, the commonest first.
const BROWSERS: [&str; 4] = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];
const FLAGS: [&str; 11] = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--force-color-profile=srgb",
    "--window-size=1280,900",
];

/// A browser under way.
pub struct Browser {
    driver: Child,
    host: String,
    session: String,
    /// Profile and home.
    folder: TempDir,
}

/// A program on the search path.
fn program(names: &[&str]) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let files = || std::env::split_paths(&path);
    names.iter().find_map(|name| files().map(|folder| folder.join(name)).find(|file| file.is_file()))
}

/// Says why a test does not look, or fails where it has to.
pub fn skip(why: &str) {
    assert!(std::env::var("INTERRATER_BROWSER").as_deref() != Ok("required"), "{why}, and INTERRATER_BROWSER=required");
    println!("skipped: {why}");
}

/// One request over a connection of its own: status and body. The driver leaves connections open, so the body ends where its length says.
fn exchange(host: &str, method: &str, path: &str, body: &str) -> io::Result<(u16, Value)> {
    let mut stream = TcpStream::connect(host)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let length = body.len();
    let request = format!(
        "{method} {path} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
    );
    stream.write_all(request.as_bytes())?;
    let mut answer = BufReader::new(stream);
    let (mut status, mut length) = (0, 0);
    loop {
        let mut line = String::new();
        answer.read_line(&mut line)?;
        let line = line.trim_end().to_ascii_lowercase();
        if line.is_empty() {
            break;
        } else if let Some(code) = line.strip_prefix("http/1.1 ") {
            status = code.split(' ').next().and_then(|code| code.parse().ok()).unwrap_or(0);
        } else if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse().unwrap_or(0);
        }
    }
    let mut bytes = vec![0; length];
    answer.read_exact(&mut bytes)?;
    Ok((status, serde_json::from_slice(&bytes)?))
}

impl Browser {
    /// Starts one, or says why not.
    pub fn start() -> Option<Browser> {
        let Some(browser) = program(&BROWSERS) else {
            skip("there is no chromium on the search path");
            return None;
        };
        let Some(driver) = program(&["chromedriver"]) else {
            skip("there is no chromedriver on the search path");
            return None;
        };
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let mut driver = Command::new(driver)
            .arg("--port=0")
            .env("HOME", folder.path())
            .env("XDG_CONFIG_HOME", folder.path().join("config"))
            .env("XDG_CACHE_HOME", folder.path().join("cache"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("chromedriver starts");
        let mut lines = BufReader::new(driver.stdout.take().expect("stdout is piped")).lines();
        let port = lines.by_ref().map_while(Result::ok).find_map(|line| {
            let (_, port) = line.split_once("successfully on port ")?;
            port.trim_end_matches('.').parse::<u16>().ok()
        });
        // What it says later is read and dropped, so that it never waits for a reader.
        std::thread::spawn(move || lines.for_each(drop));
        let host = format!("127.0.0.1:{}", port.expect("chromedriver says its port"));
        let mut started = Browser { driver, host, session: String::new(), folder };
        let mut flags: Vec<String> = FLAGS.iter().map(|flag| (*flag).to_owned()).collect();
        flags.push(format!("--user-data-dir={}", started.folder.path().join("profile").display()));
        let wanted = json!({ "capabilities": { "alwaysMatch": {
            "browserName": "chrome",
            "unhandledPromptBehavior": "ignore",
            "goog:loggingPrefs": { "browser": "ALL" },
            "goog:chromeOptions": { "binary": browser, "args": flags },
        } } });
        let said = started.ask("POST", "/session", &wanted);
        started.session = said["sessionId"].as_str().expect("a session has a name").to_owned();
        Some(started)
    }

    fn try_ask(&self, method: &str, path: &str, body: &Value) -> Result<Value, String> {
        let body = if method == "POST" { body.to_string() } else { String::new() };
        let (status, reply) = exchange(&self.host, method, path, &body).map_err(|error| format!("{path}: {error}"))?;
        let value = &reply["value"];
        if status == 200 {
            Ok(value.clone())
        } else {
            Err(format!("{method} {path}: {}: {}", value["error"], value["message"]))
        }
    }

    fn ask(&self, method: &str, path: &str, body: &Value) -> Value {
        self.try_ask(method, path, body).unwrap_or_else(|said| panic!("{said}"))
    }

    /// Asks for something of this session.
    fn tell(&self, path: &str, body: Value) -> Value {
        self.ask("POST", &format!("/session/{}/{path}", self.session), &body)
    }

    /// Opens an address.
    pub fn open(&self, address: &str) {
        self.tell("url", json!({ "url": address }));
    }

    /// Loads the page anew.
    pub fn reload(&self) {
        self.tell("refresh", json!({}));
    }

    /// Runs the body of a function in the page, and gives what it returns.
    pub fn run(&self, script: &str) -> Value {
        self.tell("execute/sync", json!({ "script": script, "args": [] }))
    }

    /// Runs the body of a function whose last argument is to be called with what comes of it.
    pub fn run_to_end(&self, script: &str) -> Value {
        self.tell("execute/async", json!({ "script": script, "args": [] }))
    }

    /// The value of an expression.
    pub fn value(&self, expression: &str) -> Value {
        self.run(&format!("return {expression};"))
    }

    /// What an element shows.
    pub fn text(&self, selector: &str) -> String {
        let text = self.value(&format!("document.querySelector({})?.innerText ?? null", json!(selector)));
        text.as_str().unwrap_or_else(|| panic!("no element {selector}")).to_owned()
    }

    /// Waits until an expression holds, and gives its value.
    pub fn wait(&self, expression: &str) -> Value {
        let begun = Instant::now();
        loop {
            // A page that is being left has nothing to run in.
            let script = json!({ "script": format!("return {expression};"), "args": [] });
            let found = self.try_ask("POST", &format!("/session/{}/execute/sync", self.session), &script);
            if let Ok(value) = &found
                && !matches!(value, Value::Null | Value::Bool(false))
            {
                return value.clone();
            }
            assert!(
                begun.elapsed() < PATIENCE / 2,
                "never: {expression}: {found:?}; the page says: {}",
                self.value("document.body.innerText.slice(0, 1500)")
            );
            std::thread::park_timeout(GLANCE);
        }
    }

    /// Waits until an element shows a text.
    pub fn wait_for(&self, selector: &str, text: &str) {
        self.wait(&format!(
            "document.querySelector({})?.innerText.includes({}) === true",
            json!(selector),
            json!(text)
        ));
    }

    /// Presses keys one after the other, where the page has its focus.
    pub fn press(&self, keys: &str) {
        let actions: Vec<Value> = keys
            .chars()
            .flat_map(|key| ["keyDown", "keyUp"].map(|kind| json!({ "type": kind, "value": key })))
            .collect();
        self.tell("actions", json!({ "actions": [{ "type": "key", "id": "keyboard", "actions": actions }] }));
    }

    /// Clicks the middle of an element.
    pub fn click(&self, selector: &str) {
        let found = self.tell("element", json!({ "using": "css selector", "value": selector }));
        let element = found.as_object().and_then(|found| found.values().next()).and_then(Value::as_str);
        self.tell(&format!("element/{}/click", element.expect("an element has a name")), json!({}));
    }

    /// Draws the mouse, held down, from one place in the window to another.
    pub fn drag(&self, from: [i64; 2], to: [i64; 2]) {
        let move_to =
            |[x, y]: [i64; 2]| json!({ "type": "pointerMove", "duration": 0, "origin": "viewport", "x": x, "y": y });
        let button = |kind| json!({ "type": kind, "button": 0 });
        let actions = json!([move_to(from), button("pointerDown"), move_to(to), button("pointerUp")]);
        self.tell("actions", json!({ "actions": [{ "type": "pointer", "id": "mouse", "actions": actions }] }));
    }

    /// Opens one more window, goes there, and gives the names of the two: the one before and the new one.
    pub fn new_window(&self) -> [String; 2] {
        let before = self.ask("GET", &format!("/session/{}/window", self.session), &Value::Null);
        let new = self.tell("window/new", json!({ "type": "window" }));
        let names = [&before, &new["handle"]].map(|name| name.as_str().expect("a window has a name").to_owned());
        self.switch(&names[1]);
        names
    }

    /// Goes to a window.
    pub fn switch(&self, window: &str) {
        self.tell("window", json!({ "handle": window }));
    }

    /// A command of the browser's own protocol.
    pub fn command(&self, name: &str, parameters: Value) -> Value {
        self.tell("goog/cdp/execute", json!({ "cmd": name, "params": parameters }))
    }

    /// Shows the page as paper (`print`) or a screen would, light or dark.
    pub fn emulate(&self, media: &str, scheme: &str) {
        let features = json!([{ "name": "prefers-color-scheme", "value": scheme }]);
        self.command("Emulation.setEmulatedMedia", json!({ "media": media, "features": features }));
    }

    /// Errors and warnings that the browser told since the last look.
    pub fn complaints(&self) -> Vec<String> {
        let entries = self.tell("se/log", json!({ "type": "browser" }));
        let entries = entries.as_array().expect("a log is a list").iter();
        entries
            .filter(|entry| matches!(entry["level"].as_str(), Some("SEVERE" | "WARNING")))
            .map(|entry| entry["message"].to_string())
            .collect()
    }

    /// Whether a page asks something in a window of its own.
    pub fn has_dialog(&self) -> bool {
        self.try_ask("GET", &format!("/session/{}/alert/text", self.session), &Value::Null).is_ok()
    }

    /// What is to be seen, as a PNG file.
    pub fn screenshot(&self) -> Vec<u8> {
        let text = self.ask("GET", &format!("/session/{}/screenshot", self.session), &Value::Null);
        BASE64_STANDARD.decode(text.as_str().expect("a picture is text")).expect("it is base64")
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // The driver ends its browser when the session ends, and then itself.
        if !self.session.is_empty() {
            drop(self.try_ask("DELETE", &format!("/session/{}", self.session), &Value::Null));
        }
        drop(self.driver.kill());
        drop(self.driver.wait());
    }
}
