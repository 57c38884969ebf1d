//! Makes a folder of invented sessions, the same for the same seed and size, streaming: one row is in memory.
//!
//! Sizes are log-normal around [`MEDIAN_BYTES`] with a tail to [`LARGEST_BYTES`]; one session in ten is Codex's, all others are
//! Claude Code's. Session `n` of a seed is the same in a corpus of any size, so a larger corpus begins with the smaller ones.

use crate::shares::Shares;
use crate::text::Text;
use crate::{claude_code, codex};
use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The median size of a session. Of real repositories the medians are 0.4 to 1.4 MB.
const MEDIAN_BYTES: f64 = 0.8e6;

/// The standard deviation of the logarithm: with it the mean is 1.8 MB, as in the largest public collection.
const SPREAD: f64 = 1.27;

const SMALLEST_BYTES: f64 = 20e3;
const LARGEST_BYTES: f64 = 50e6;

/// About how many bytes lie in one folder.
const PART_BYTES: u64 = 64_000_000;

/// What is left free on the disk, beside the corpus.
const SPARE_BYTES: u64 = 1_000_000_000;

/// Invented sessions on disk.
pub struct Corpus {
    /// Folders in order.
    pub parts: Vec<Part>,
    /// How many files.
    pub sessions: u64,
    /// Bytes by kind of row.
    pub shares: Shares,
}

/// A folder of sessions.
pub struct Part {
    /// The folder.
    pub folder: PathBuf,
    /// How many bytes are in it.
    pub bytes: u64,
}

impl Corpus {
    /// Makes a corpus of about `bytes` in `folder`.
    pub fn make(folder: &Path, seed: u64, bytes: u64) -> io::Result<Corpus> {
        let text = Text::new(seed);
        let mut corpus = Corpus { parts: Vec::new(), sessions: 0, shares: Shares::default() };
        while corpus.bytes() < bytes {
            let mut random = ChaCha8Rng::seed_from_u64(seed);
            random.set_stream(corpus.sessions + 1);
            let wanted = size(&mut random).min((bytes - corpus.bytes()) as f64 + SMALLEST_BYTES) as usize;
            let part = corpus.part(folder)?;
            let id = uuid(&mut random);
            let is_codex = corpus.sessions % 10 == 9;
            let name = if is_codex { format!("rollout-2026-05-28T20-26-40-{id}") } else { id.clone() };
            let mut out = BufWriter::new(File::create(corpus.parts[part].folder.join(format!("{name}.jsonl")))?);
            let write = if is_codex { codex::write } else { claude_code::write };
            corpus.parts[part].bytes += write(&mut random, &text, wanted, &id, &mut corpus.shares, &mut out)?;
            out.flush()?;
            corpus.sessions += 1;
        }
        Ok(corpus)
    }

    /// Makes `count` Claude Code sessions of `bytes` each in a folder of their own.
    pub fn make_large(folder: &Path, seed: u64, count: u64, bytes: usize) -> io::Result<Part> {
        let text = Text::new(seed);
        let mut part = Part { folder: folder.to_owned(), bytes: 0 };
        fs::create_dir_all(folder)?;
        for nth in 0..count {
            let mut random = ChaCha8Rng::seed_from_u64(!seed);
            random.set_stream(nth);
            let id = uuid(&mut random);
            let mut out = BufWriter::new(File::create(folder.join(format!("{id}.jsonl")))?);
            part.bytes += claude_code::write(&mut random, &text, bytes, &id, &mut Shares::default(), &mut out)?;
            out.flush()?;
        }
        Ok(part)
    }

    /// All bytes.
    pub fn bytes(&self) -> u64 {
        self.parts.iter().map(|part| part.bytes).sum()
    }

    /// The first folders, with at least `bytes` in them if there are so many.
    pub fn first(&self, bytes: u64) -> &[Part] {
        let mut sum = 0;
        let enough = self.parts.iter().position(|part| {
            sum += part.bytes;
            sum >= bytes
        });
        &self.parts[..enough.map_or(self.parts.len(), |last| last + 1)]
    }

    /// The folder that takes the next session.
    fn part(&mut self, folder: &Path) -> io::Result<usize> {
        if self.parts.last().is_none_or(|part| part.bytes >= PART_BYTES) {
            let folder = folder.join(format!("-home-ada-projects-{:03}", self.parts.len()));
            fs::create_dir_all(&folder)?;
            self.parts.push(Part { folder, bytes: 0 });
        }
        Ok(self.parts.len() - 1)
    }
}

/// Whether there is room for `bytes` on the disk that holds `folder`; none if nobody can say.
pub fn has_room(folder: &Path, bytes: u64) -> Option<bool> {
    let told = Command::new("df").arg("-Pk").arg(folder).output().ok()?;
    let told = String::from_utf8(told.stdout).ok()?;
    let free: u64 = told.lines().nth(1)?.split_whitespace().nth(3)?.parse().ok()?;
    Some(free * 1024 >= bytes + SPARE_BYTES)
}

/// A random id in the form of a UUID of version 4.
pub fn uuid(random: &mut impl Rng) -> String {
    let [a, b]: [u64; 2] = [random.random(), random.random()];
    format!(
        "{:08x}-{:04x}-4{:03x}-a{:03x}-{:012x}",
        a >> 32,
        a >> 16 & 0xffff,
        a & 0xfff,
        b >> 52,
        b & 0xffff_ffff_ffff
    )
}

/// The size of a session, in bytes.
fn size(random: &mut impl Rng) -> f64 {
    // Box and Muller's way from two even numbers to a normal one.
    let (radius, angle): (f64, f64) = (random.random_range(f64::MIN_POSITIVE..1.0), random.random());
    let normal = (-2.0 * radius.ln()).sqrt() * (std::f64::consts::TAU * angle).cos();
    (MEDIAN_BYTES * (SPREAD * normal).exp()).clamp(SMALLEST_BYTES, LARGEST_BYTES)
}
