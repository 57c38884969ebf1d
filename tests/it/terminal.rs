//! The binary on a pseudo-terminal of a given size.

use crate::project::{PATIENCE, Project};
use rustix::io::{FdFlags, fcntl_setfd};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};
use std::fs::File;
use std::io::Read;
use std::process::{Command, Stdio};
use std::sync::mpsc::{RecvTimeoutError, channel};

/// What a command left on a terminal.
#[derive(Debug)]
pub struct OnTerminal {
    /// Exit code.
    pub code: i32,
    /// What the terminal got from stdout.
    pub screen: String,
    /// stderr, which is no terminal.
    pub err: String,
}

/// Runs the binary in the project with stdout on a terminal of so many columns and rows.
pub fn on_terminal(project: &Project, size: (u16, u16), args: &[&str], environment: &[(&str, &str)]) -> OnTerminal {
    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("there are pseudo-terminals");
    fcntl_setfd(&master, FdFlags::CLOEXEC).expect("a flag can be set");
    grantpt(&master).and_then(|()| unlockpt(&master)).expect("the terminal can be opened");
    let (columns, rows) = size;
    tcsetwinsize(&master, Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 })
        .expect("a terminal has a size");
    let name = ptsname(&master, Vec::new()).expect("a terminal has a name").into_string().expect("it is text");
    let slave = File::options().read(true).write(true).open(name).expect("the terminal opens");
    let mut child = Command::new(env!("CARGO_BIN_EXE_interrater"))
        .args(args)
        .current_dir(project.path(""))
        .env_clear()
        .env("HOME", project.path(""))
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .envs(environment.iter().copied())
        .stdin(Stdio::null())
        .stdout(slave)
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary starts");
    let mut errors = child.stderr.take().expect("stderr is piped");
    let errors = std::thread::spawn(move || {
        let mut text = String::new();
        errors.read_to_string(&mut text).map(|_| text).expect("stderr is text")
    });
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        let mut terminal = File::from(master);
        let mut buffer = [0; 4096];
        // Reading fails when the last program has left the terminal.
        while let Ok(read @ 1..) = terminal.read(&mut buffer) {
            if sender.send(buffer[..read].to_vec()).is_err() {
                break;
            }
        }
    });
    let mut bytes = Vec::new();
    loop {
        match receiver.recv_timeout(PATIENCE) {
            Ok(more) => bytes.extend(more),
            Err(RecvTimeoutError::Disconnected) => break,
            Err(RecvTimeoutError::Timeout) => {
                drop(child.kill());
                panic!("`{}` took too long", args.join(" "));
            }
        }
    }
    let code = child.wait().expect("a child can be waited for").code().unwrap_or(-1);
    let screen = String::from_utf8(bytes).expect("the screen shows text").replace("\r\n", "\n");
    OnTerminal { code, screen, err: errors.join().expect("stderr is read") }
}
