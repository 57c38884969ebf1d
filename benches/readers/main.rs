//! How fast transcripts are read, and in how much memory: `cargo bench --bench readers -- --gigabytes 10`.
//!
//! Makes invented sessions, lets several readers read the same files in turns, each in a process of its own, and prints what they
//! took side by side. See `benches/README.md`. A harness of its own, since a framework for benchmarks measures one function many
//! times in one process: here whole programs are measured, on gigabytes, with their memory.

mod claude_code;
mod codex;
mod contender;
mod corpus;
mod measure;
mod shares;
mod text;

use clap::Parser;
use contender::Contender;
use corpus::{Corpus, Part};
use measure::{Spread, Took};
use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::Instant;

/// Readers side by side, on invented sessions.
#[derive(Debug, Parser)]
struct Arguments {
    /// How much to make and read, in 10⁹ bytes.
    #[arg(long, default_value_t = 0.3)]
    gigabytes: f64,
    /// How much of it all readers read; only the fast ones read all.
    #[arg(long, default_value_t = 1.0)]
    side_by_side: f64,
    /// How often each reader reads.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Another seed makes other sessions.
    #[arg(long, default_value_t = 20_261_121)]
    seed: u64,
    /// Where the sessions are made, in a folder that is deleted at the end; by default the system's for temporary files.
    #[arg(long)]
    folder: Option<PathBuf>,
    /// Leave the sessions there.
    #[arg(long)]
    keep: bool,
    /// How large the two sessions are that are read at the same time, in 10⁶ bytes; 0 leaves them out.
    #[arg(long, default_value_t = 100)]
    large_megabytes: usize,
    /// Said by `cargo bench`, and not by `cargo test`, for which a short run is enough.
    #[arg(long, hide = true)]
    bench: bool,
    /// Reads as this reader, in this process.
    #[arg(long, hide = true, value_enum)]
    read: Option<Contender>,
    /// What to read.
    #[arg(hide = true)]
    paths: Vec<PathBuf>,
}

fn main() -> ExitCode {
    let mut arguments = Arguments::parse();
    if !arguments.bench {
        arguments.gigabytes = arguments.gigabytes.min(0.02);
        arguments.large_megabytes = arguments.large_megabytes.min(10);
        arguments.rounds = 1;
    }
    let done = match arguments.read {
        Some(contender) => contender.read(&arguments.paths).map(|count| println!("{count}")),
        None => bench(&arguments),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn bench(arguments: &Arguments) -> Result<(), Box<dyn Error>> {
    let mut builder = tempfile::Builder::new();
    builder.prefix("interrater-readers-").disable_cleanup(arguments.keep);
    let folder = match &arguments.folder {
        Some(folder) => builder.tempdir_in(folder)?,
        None => builder.tempdir()?,
    };
    let bytes = (arguments.gigabytes * 1e9) as u64;
    let large = arguments.large_megabytes * 1_000_000;
    match corpus::has_room(folder.path(), bytes + 2 * large as u64) {
        Some(false) => {
            return Err(
                format!("{} has no room for {bytes} bytes and one gigabyte more", folder.path().display()).into()
            );
        }
        Some(true) => {}
        None => eprintln!("`df` does not say how much room there is in {}", folder.path().display()),
    }
    eprintln!("making {:.2} GB in {}", bytes as f64 / 1e9, folder.path().display());
    let began = Instant::now();
    let corpus = Corpus::make(&folder.path().join("sessions"), arguments.seed, bytes)?;
    let bench = Bench { scratch: folder.path().join("printed"), rounds: arguments.rounds, has_python: has_python() };
    println!(
        "{} sessions, {:.2} GB, made in {:.0} s; {} processors",
        corpus.sessions,
        gigabytes(corpus.bytes()),
        began.elapsed().as_secs_f64(),
        std::thread::available_parallelism().map_or(1, usize::from),
    );
    print_shares(&corpus);
    bench.side_by_side(corpus.first((arguments.side_by_side * 1e9) as u64))?;
    bench.whole(&corpus)?;
    if large > 0 {
        let part = Corpus::make_large(&folder.path().join("large"), arguments.seed, 2, large)?;
        let took = bench.run(Contender::Sessions, &[part.folder])?;
        println!("\ntwo sessions of {} MB at the same time: peak {}", arguments.large_megabytes, megabytes(took.peak));
    }
    Ok(())
}

/// How things are measured.
struct Bench {
    /// A file for what the readers print.
    scratch: PathBuf,
    rounds: usize,
    has_python: bool,
}

impl Bench {
    /// All readers on the same files.
    fn side_by_side(&self, parts: &[Part]) -> Result<(), Box<dyn Error>> {
        let mut readers = vec![
            Contender::Plain,
            Contender::Lines,
            Contender::Checked,
            Contender::Values,
            Contender::Reader,
            Contender::ReaderOnTwo,
            Contender::Sessions,
        ];
        if self.has_python {
            readers.push(Contender::Python);
        }
        println!("\nall readers on {:.2} GB", gigabytes(sum(parts)));
        let rounds = self.measure(&readers, parts)?;
        let values = readers.iter().position(|&reader| reader == Contender::Values);
        self.print(&readers, &rounds, sum(parts), values.unwrap_or(0));
        if !self.has_python {
            println!("python3 is not here: its reader is left out");
        }
        Ok(())
    }

    /// Reading everything against the program, and the program's memory by the size of what it reads.
    fn whole(&self, corpus: &Corpus) -> Result<(), Box<dyn Error>> {
        let readers = [Contender::Plain, Contender::Sessions];
        println!("\nthe whole corpus, {:.2} GB", gigabytes(corpus.bytes()));
        let rounds = self.measure(&readers, &corpus.parts)?;
        self.print(&readers, &rounds, corpus.bytes(), 0);
        println!("\npeak memory of `interrater sessions` by what it reads");
        for share in [0.03, 0.1, 0.3, 1.0] {
            let parts = corpus.first((corpus.bytes() as f64 * share) as u64);
            let took = self.run(Contender::Sessions, &folders(parts))?;
            println!("{:>8.2} GB  {}", gigabytes(sum(parts)), megabytes(took.peak));
        }
        Ok(())
    }

    /// What each reader took, a round a row.
    fn measure(&self, readers: &[Contender], parts: &[Part]) -> Result<Vec<Vec<Took>>, Box<dyn Error>> {
        let folders = folders(parts);
        // Once unmeasured, so that the files are in the system's cache for all of them.
        let rows = self.run(Contender::Lines, &folders)?.count;
        let mut rounds = Vec::new();
        for _ in 0..self.rounds {
            let mut round = Vec::new();
            for &reader in readers {
                let took = self.run(reader, &folders)?;
                let expected = if reader == Contender::Plain { sum(parts) } else { rows };
                if took.count != expected {
                    return Err(format!("{}: counted {} instead of {expected}", reader.title(), took.count).into());
                }
                round.push(took);
            }
            rounds.push(round);
        }
        Ok(rounds)
    }

    fn run(&self, reader: Contender, folders: &[PathBuf]) -> Result<Took, Box<dyn Error>> {
        measure::run(reader.command(folders)?, &self.scratch)
    }

    fn print(&self, readers: &[Contender], rounds: &[Vec<Took>], bytes: u64, against: usize) {
        let title = readers[against].title();
        println!("medians of {} rounds (lowest–highest); × is the speed against: {title}", rounds.len());
        println!("{:<40}{:>24}{:>22}{:>16}{:>10}", "", "GB/s", "×", "GB/s a core", "peak MB");
        for (place, reader) in readers.iter().enumerate() {
            let speed = Spread::of(rounds.iter().map(|round| gigabytes(bytes) / round[place].seconds));
            let ratio = Spread::of(rounds.iter().map(|round| round[against].seconds / round[place].seconds));
            let core = Spread::of(rounds.iter().map(|round| gigabytes(bytes) / round[place].processor));
            let peak = Spread::of(rounds.iter().map(|round| round[place].peak as f64 / 1e6));
            println!(
                "{:<40}{:>24}{:>22}{:>16}{:>10.0}",
                reader.title(),
                format!("{:.2} ({:.2}–{:.2})", speed.median, speed.low, speed.high),
                format!("{:.2} ({:.2}–{:.2})", ratio.median, ratio.low, ratio.high),
                format!("{:.2}", core.median),
                peak.high,
            );
        }
    }
}

fn print_shares(corpus: &Corpus) {
    let of_codex = corpus.shares.of("codex");
    let others = (corpus.bytes() - of_codex) as f64;
    println!("shares of Claude Code's bytes: here, and measured on real sessions");
    for (kind, measured) in claude_code::MEASURED {
        println!("{kind:<24}{:>7.1} %{:>7.1} %", corpus.shares.of(kind) as f64 / others * 100.0, measured * 100.0);
    }
    println!("Codex has {:.1} % of all bytes", of_codex as f64 / corpus.bytes() as f64 * 100.0);
}

fn has_python() -> bool {
    let quiet = |command: &mut Command| command.stdout(Stdio::null()).stderr(Stdio::null()).status();
    quiet(Command::new("python3").arg("--version")).is_ok_and(|status| status.success())
}

fn folders(parts: &[Part]) -> Vec<PathBuf> {
    parts.iter().map(|part| Path::to_owned(&part.folder)).collect()
}

fn sum(parts: &[Part]) -> u64 {
    parts.iter().map(|part| part.bytes).sum()
}

fn gigabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e9
}

fn megabytes(bytes: u64) -> String {
    if bytes == 0 { "unknown on this system".to_owned() } else { format!("{:.0} MB", bytes as f64 / 1e6) }
}
