//! How fast intervals and `agree` are, on invented ratings. Prints figures.
//!
//! `cargo bench --bench statistics -- [--rounds N] [--write FOLDER]`. Sessions are resampled as whole ones, by the library on one and on two
//! threads and, as a baseline in the same run, by a loop that walks over the rows of every session drawn. Then the program reads a million
//! ratings and computes everything, with sessions and without, as a table and as JSON. What is printed must be the same for one thread and for
//! two. `--write` leaves the files in a folder, for `statistics_peers.py`, and measures nothing.

use interrater::agreement::cluster_sums::{ClusterSums, SummedSample};
use interrater::agreement::interval::{Resampled, Resampling};
use interrater::agreement::kappa::cohen_kappa;
use interrater::agreement::table::{Table, TableView};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use std::fmt::Write;
use std::io::Read;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;
use wait4::Wait4;

const LABELS: [&str; 4] = ["clarification", "correction", "non_pushback", "rejection"];
/// Of each label, in percent.
const SHARES: [u32; 4] = [15, 15, 60, 10];
const REPLICATES: u32 = 10_000;
/// Replicates of the baseline, which would take minutes for all of them.
const BASELINE_REPLICATES: u32 = 200;

/// Invented ratings: one row an item, its session and each rater's label.
struct Invented {
    sessions: usize,
    rows: Vec<(usize, Vec<usize>)>,
}

impl Invented {
    /// Raters give the label that an item has in 75 to 94 % of cases, by session, and guess otherwise.
    fn new(items: usize, raters: usize, sessions: usize) -> Invented {
        let mut generator = ChaCha8Rng::seed_from_u64(1);
        let mut below = |bound: u32| ((u64::from(generator.next_u32()) * u64::from(bound)) >> 32) as u32;
        let hits: Vec<u32> = (0..sessions).map(|_| 75 + below(20)).collect();
        let label = |drawn: u32| {
            let up_to = |label: usize| SHARES[..=label].iter().sum::<u32>();
            (0..LABELS.len()).find(|&label| drawn < up_to(label)).expect("shares sum to 100")
        };
        let rows = (0..items)
            .map(|_| {
                let session = below(sessions as u32) as usize;
                let truth = label(below(100));
                let labels = (0..raters).map(|_| if below(100) < hits[session] { truth } else { label(below(100)) });
                (session, labels.collect())
            })
            .collect();
        Invented { sessions, rows }
    }

    fn write(&self, folder: &Path, name: &str) -> std::io::Result<()> {
        let (mut ratings, mut items) = ("item,annotator,label\n".to_owned(), "item,session\n".to_owned());
        for (item, (session, labels)) in self.rows.iter().enumerate() {
            let id = format!("session-{session:06}#{item}");
            writeln!(items, "{id},session-{session:06}").expect("text grows");
            for (rater, &label) in labels.iter().enumerate() {
                writeln!(ratings, "{id},rater{rater},{}", LABELS[label]).expect("text grows");
            }
        }
        std::fs::write(folder.join(format!("{name}.csv")), ratings)?;
        std::fs::write(folder.join(format!("{name}.items.csv")), items)
    }
}

/// Median, least and most seconds of some rounds, and what the last one gave. All must give the same.
fn rounds<T: PartialEq>(count: u32, mut work: impl FnMut() -> T) -> ([f64; 3], T) {
    let mut seconds = vec![];
    let mut given: Option<T> = None;
    for _ in 0..count.max(1) {
        let began = Instant::now();
        let now = work();
        seconds.push(began.elapsed().as_secs_f64());
        assert!(given.as_ref().is_none_or(|before| *before == now), "two rounds gave different numbers");
        given = Some(now);
    }
    seconds.sort_by(f64::total_cmp);
    ([seconds[seconds.len() / 2], seconds[0], seconds[seconds.len() - 1]], given.expect("a round at least"))
}

fn print(what: &str, [median, least, most]: [f64; 3], more: &str) {
    println!("{what:<66}{median:>8.3} s ({least:.3}–{most:.3}) {more}");
}

/// Kappa's t-expanded interval by whole sessions: counting the rows is part of it.
fn interval(invented: &Invented) -> (f64, f64) {
    let q = LABELS.len();
    let cells: Vec<Vec<(usize, f64)>> = (0..q * q).map(|cell| vec![(cell, 1.0)]).collect();
    let items = invented.rows.iter().map(|(session, labels)| (*session, labels[0] * q + labels[1])).collect();
    let kappa = |counts: &[f64]| cohen_kappa(TableView { labels: q, counts });
    let sums = ClusterSums::of_items(q * q, &cells, items);
    let sample = SummedSample { sums, statistics: vec![Box::new(kappa)] };
    let resampled = Resampled::new(&sample, Resampling { replicates: REPLICATES, seed: 1 });
    resampled.t_expanded(0, 0.95).expect("enough sessions")
}

/// The same by a pass over the rows of each session drawn, plain percentiles.
fn baseline(invented: &Invented) -> (f64, f64) {
    let mut by_session = vec![vec![]; invented.sessions];
    invented.rows.iter().for_each(|(session, labels)| by_session[*session].push((labels[0], labels[1])));
    by_session.retain(|rows| !rows.is_empty());
    let mut generator = ChaCha8Rng::seed_from_u64(2);
    let mut drawn: Vec<f64> = (0..BASELINE_REPLICATES)
        .map(|_| {
            let mut table = Table::new(LABELS.len());
            for _ in 0..by_session.len() {
                let session = ((u64::from(generator.next_u32()) * by_session.len() as u64) >> 32) as usize;
                by_session[session].iter().for_each(|&(a, b)| table.add(a, b));
            }
            cohen_kappa(table.view()).expect("several labels")
        })
        .collect();
    drawn.sort_by(f64::total_cmp);
    let end = |share: f64| drawn[(share * drawn.len() as f64) as usize];
    (end(0.025), end(0.975))
}

fn bootstrap(count: u32) {
    let invented = Invented::new(100_000, 2, 5_000);
    println!("kappa on 100,000 items in 5,000 sessions, {REPLICATES} replicates of whole sessions");
    let on = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("threads");
        rounds(count, || pool.install(|| interval(&invented)))
    };
    let (one, two) = (on(1), on(2));
    assert_eq!(one.1, two.1, "the interval depends on the number of threads");
    let (seconds, naive) = rounds(1, || baseline(&invented));
    let (low, high) = one.1;
    assert!((low - naive.0).abs() + (high - naive.1).abs() < 0.2 * (high - low), "{:?} and {naive:?}", one.1);
    let whole = seconds[0] * f64::from(REPLICATES) / f64::from(BASELINE_REPLICATES);
    let times = |seconds: [f64; 3]| format!("{:.0} times as fast as the baseline", whole / seconds[0]);
    print("  the library, 1 thread", one.0, &times(one.0));
    print("  the library, 2 threads", two.0, &times(two.0));
    println!("  a pass over rows, 1 thread: {:.3} s for {BASELINE_REPLICATES}, so {whole:.1} s for all", seconds[0]);
    println!("  intervals: [{low:.5}, {high:.5}], by passes over rows [{:.5}, {:.5}]", naive.0, naive.1);
}

/// What `agree` prints; its seconds of processors, which suffer less from other programs than those of the clock, and its peak of memory in
/// megabytes are noted.
fn agree(folder: &Path, args: &[&str], threads: &str, noted: &mut Vec<(f64, u64)>) -> Vec<u8> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_interrater"));
    command.arg("agree").args(args).env("RAYON_NUM_THREADS", threads).current_dir(folder);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("the program starts");
    let mut printed = vec![];
    child.stdout.take().expect("a pipe").read_to_end(&mut printed).expect("what the program prints");
    let ended = child.wait4().expect("the program's use of the machine");
    assert!(ended.status.success(), "agree ended with {}", ended.status);
    noted.push(((ended.rusage.utime + ended.rusage.stime).as_secs_f64(), ended.rusage.maxrss >> 20));
    printed
}

fn whole_files(folder: &Path, count: u32) -> std::io::Result<()> {
    let invented = Invented::new(333_334, 3, 20_000);
    invented.write(folder, "million")?;
    println!("\n`agree` on 1,000,002 ratings of 333,334 items by 3 raters, 20,000 sessions: the whole program");
    let runs: [(&str, &[&str]); 4] = [
        ("sessions, as a table", &["million.csv", "--items", "million.items.csv"]),
        ("sessions, as JSON", &["million.csv", "--items", "million.items.csv", "--json"]),
        ("each item by itself, as a table", &["million.csv"]),
        ("each item by itself, as JSON", &["million.csv", "--json"]),
    ];
    for (what, args) in runs {
        let mut printed = None;
        for threads in ["1", "2"] {
            let mut noted = vec![];
            let (seconds, now) = rounds(count, || agree(folder, args, threads, &mut noted));
            noted.sort_by(|x, y| x.0.total_cmp(&y.0));
            let (busy, peak) = noted[noted.len() / 2];
            let what = format!("  {what}, {threads} thread{}", if threads == "1" { "" } else { "s" });
            print(&what, seconds, &format!("{busy:.2} s of processors, peak {peak} MB"));
            assert!(printed.is_none_or(|before| before == now), "what `agree` prints depends on the number of threads");
            printed = Some(now);
        }
    }
    Ok(())
}

fn main() -> std::io::Result<()> {
    let arguments: Vec<String> = std::env::args().collect();
    let after =
        |name: &str| arguments.iter().position(|argument| argument == name).and_then(|at| arguments.get(at + 1));
    if let Some(folder) = after("--write") {
        std::fs::create_dir_all(folder)?;
        Invented::new(100_000, 2, 5_000).write(Path::new(folder), "pair")?;
        return Invented::new(333_334, 3, 20_000).write(Path::new(folder), "million");
    }
    let count = after("--rounds").and_then(|count| count.parse().ok()).unwrap_or(5);
    bootstrap(count);
    let folder = tempfile::tempdir()?;
    whole_files(folder.path(), count)
}
