//! Who reads the same files: each counts the rows (the plain read: the bytes), so that none can be fast by leaving some out.

use clap::ValueEnum;
use interrater::corpus;
use rayon::ThreadPoolBuilder;
use serde::de::IgnoredAny;
use serde_json::Value;
use std::error::Error;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::Command;

/// A reader that runs in a process of its own, so that time and memory are its alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Contender {
    /// Reads all bytes through one buffer, as `cat` does.
    Plain,
    /// Reads each file whole and counts its lines.
    Lines,
    /// Has serde_json check each line and build nothing.
    Checked,
    /// Has serde_json build a `Value` of each line.
    Values,
    /// interrater's readers, one session after the other.
    Reader,
    /// interrater's readers on two threads.
    ReaderOnTwo,
    /// The program `interrater sessions --json` with its defaults.
    Sessions,
    /// Python's `json.loads` on each line.
    Python,
}

/// What Python runs.
const PYTHON: &str = "
import json, os, sys
rows = 0
for root in sys.argv[1:]:
    for folder, _, names in os.walk(root):
        for name in names:
            with open(os.path.join(folder, name), 'rb') as lines:
                for line in lines:
                    json.loads(line)
                    rows += 1
print(rows)
";

impl Contender {
    /// What the report calls it.
    pub fn title(self) -> &'static str {
        match self {
            Contender::Plain => "plain read, one buffer",
            Contender::Lines => "memchr: lines only",
            Contender::Checked => "serde_json: checked, nothing built",
            Contender::Values => "serde_json: a Value per line",
            Contender::Reader => "interrater's readers, 1 thread",
            Contender::ReaderOnTwo => "interrater's readers, 2 threads",
            Contender::Sessions => "`interrater sessions --json`, all cores",
            Contender::Python => "python3: json.loads per line",
        }
    }

    /// The process that reads `folders` and prints how many rows there are (for `sessions`: in each session).
    pub fn command(self, folders: &[PathBuf]) -> io::Result<Command> {
        let mut command = match self {
            Contender::Sessions => {
                let mut command = Command::new(env!("CARGO_BIN_EXE_interrater"));
                command.args(["sessions", "--json", "--quiet"]);
                command
            }
            Contender::Python => {
                let mut command = Command::new("python3");
                command.args(["-c", PYTHON]);
                command
            }
            _ => {
                let mut command = Command::new(std::env::current_exe()?);
                let name = self.to_possible_value().map(|value| value.get_name().to_owned());
                command.arg("--read").args(name);
                command
            }
        };
        command.args(folders);
        Ok(command)
    }

    /// Reads the files in `folders`, in this process; gives how many rows there are, or bytes where it knows no rows.
    pub fn read(self, folders: &[PathBuf]) -> Result<u64, Box<dyn Error>> {
        let mut files = Vec::new();
        for folder in folders {
            list(folder, &mut files)?;
        }
        let mut count = 0;
        match self {
            Contender::Plain => {
                let mut buffer = vec![0; 1 << 20];
                for path in files {
                    let mut file = File::open(path)?;
                    loop {
                        let read = file.read(&mut buffer)?;
                        if read == 0 {
                            break;
                        }
                        count += read as u64;
                    }
                }
            }
            Contender::Lines => {
                for path in files {
                    count += memchr::memchr_iter(b'\n', &fs::read(path)?).count() as u64;
                }
            }
            Contender::Checked => {
                for path in files {
                    count += each_line(&fs::read(path)?, |line| serde_json::from_str::<IgnoredAny>(line).map(drop))?;
                }
            }
            Contender::Values => {
                for path in files {
                    count += each_line(&fs::read(path)?, |line| serde_json::from_str::<Value>(line).map(drop))?;
                }
            }
            Contender::Reader => {
                for session in corpus::find(folders)?.sessions() {
                    count += session?.read.records;
                }
            }
            Contender::ReaderOnTwo => {
                let pool = ThreadPoolBuilder::new().num_threads(2).build()?;
                let corpus = corpus::find(folders)?;
                for rows in pool.install(|| corpus.read_all(|session| session.read.records)) {
                    count += rows?;
                }
            }
            Contender::Sessions | Contender::Python => return Err("runs as a program of its own".into()),
        }
        Ok(count)
    }
}

/// Calls `each` with the lines of a file; gives how many there are.
fn each_line(bytes: &[u8], mut each: impl FnMut(&str) -> serde_json::Result<()>) -> Result<u64, Box<dyn Error>> {
    let mut rows = 0;
    let mut rest = bytes;
    while let Some(end) = memchr::memchr(b'\n', rest) {
        each(std::str::from_utf8(&rest[..end])?)?;
        rows += 1;
        rest = &rest[end + 1..];
    }
    Ok(rows)
}

/// The files below a folder, by name.
fn list(folder: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    let mut entries =
        fs::read_dir(folder)?.map(|entry| entry.map(|entry| entry.path())).collect::<Result<Vec<_>, _>>()?;
    entries.sort();
    for path in entries {
        if path.is_dir() {
            list(&path, files)?;
        } else {
            files.push(path);
        }
    }
    Ok(())
}
