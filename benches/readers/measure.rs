//! Runs a process and tells what it took: time by the clock, time of the processor, and the most memory that it ever held.

use serde_json::Value;
use std::error::Error;
use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;
use wait4::Wait4;

/// What a process took.
#[derive(Debug, Clone, Copy)]
pub struct Took {
    /// Seconds by the clock.
    pub seconds: f64,
    /// Seconds of processors, the system's included.
    pub processor: f64,
    /// The largest resident set, in bytes; 0 where the system does not tell. Never less than the starting process had, which is little.
    pub peak: u64,
    /// What it counted.
    pub count: u64,
}

/// Runs a command that prints what it counted: a number, or lines of `sessions --json`. `scratch` is a file for what it prints.
pub fn run(mut command: Command, scratch: &Path) -> Result<Took, Box<dyn Error>> {
    command.stdin(Stdio::null()).stdout(File::create(scratch)?);
    let began = Instant::now();
    let used = command.spawn()?.wait4()?;
    let seconds = began.elapsed().as_secs_f64();
    if !used.status.success() {
        return Err(format!("{:?} ended with {}", command.get_program(), used.status).into());
    }
    let processor = used.rusage.utime + used.rusage.stime;
    let count = count(&fs::read_to_string(scratch)?)?;
    Ok(Took { seconds, processor: processor.as_secs_f64(), peak: used.rusage.maxrss, count })
}

fn count(printed: &str) -> Result<u64, Box<dyn Error>> {
    if !printed.starts_with('{') {
        return Ok(printed.trim().parse()?);
    }
    let mut sum = 0;
    for line in printed.lines() {
        let session: Value = serde_json::from_str(line)?;
        sum += session["read"]["records"].as_u64().ok_or("a session without a count of records")?;
    }
    Ok(sum)
}

/// The median, the lowest and the highest of some figures.
#[derive(Debug, Clone, Copy)]
pub struct Spread {
    /// The median.
    pub median: f64,
    /// The lowest.
    pub low: f64,
    /// The highest.
    pub high: f64,
}

impl Spread {
    /// Of figures of which there is at least one; without any, all is 0.
    pub fn of(figures: impl Iterator<Item = f64>) -> Spread {
        let mut figures: Vec<f64> = figures.collect();
        figures.sort_by(f64::total_cmp);
        let at = |place: usize| figures.get(place).copied().unwrap_or(0.0);
        let count = figures.len();
        Spread {
            median: (at(count.saturating_sub(1) / 2) + at(count / 2)) / 2.0,
            low: at(0),
            high: at(count.saturating_sub(1)),
        }
    }
}
