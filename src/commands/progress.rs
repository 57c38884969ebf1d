//! Progress for people: bars on a terminal, plain lines elsewhere. A listener of the engine's events, nothing more.

use super::say;
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};
use interrater::engine::{Event, Plan};
use interrater::report::runs::cost;
use interrater::run::Totals;
use std::fmt::Write;
use std::io::IsTerminal;
use std::time::{Duration, Instant};

/// Plain lines come at most this often.
const LINE_EVERY: Duration = Duration::from_secs(10);

/// Shows how far a job is.
pub struct Progress {
    quiet: bool,
    bars: MultiProgress,
    tasks: Vec<TaskProgress>,
    started: Instant,
    last_line: Instant,
}

struct TaskProgress {
    name: String,
    bar: Option<ProgressBar>,
    totals: Totals,
}

impl Progress {
    /// Begins to show a job; `width` is the longest task name.
    pub fn start(plan: &Plan, samples: u32, quiet: bool) -> Progress {
        let bars = MultiProgress::with_draw_target(ProgressDrawTarget::stderr());
        let on_terminal = std::io::stderr().is_terminal() && !quiet;
        let width = plan.tasks.iter().map(|task| task.codebook.task.len()).max().unwrap_or(0);
        let style = ProgressStyle::with_template(&format!(
            "{{prefix:{width}}}  {{bar:20}} {{pos:>6}}/{{len:<6}} {{pace:>9}}  ETA {{eta:<4}} {{wide_msg}}"
        ))
        .expect("a valid template")
        .with_key("pace", |state: &ProgressState, text: &mut dyn Write| {
            // A reader that is gone is no reason to stop.
            write!(text, "{:.1}/s", state.per_sec()).ok();
        })
        .progress_chars("━╸ ");
        let tasks = plan
            .tasks
            .iter()
            .map(|task| {
                let units = task.units * samples as usize;
                let bar = on_terminal.then(|| {
                    let bar = bars.add(ProgressBar::new(units as u64));
                    bar.set_style(style.clone());
                    bar.set_prefix(task.codebook.task.clone());
                    bar
                });
                TaskProgress { name: task.codebook.task.clone(), bar, totals: Totals { units, ..Totals::default() } }
            })
            .collect();
        Progress { quiet, bars, tasks, started: Instant::now(), last_line: Instant::now() }
    }

    /// Takes one event.
    pub fn on(&mut self, event: Event<'_>) {
        match event {
            Event::Row { task, row } => {
                let progress = &mut self.tasks[task];
                progress.totals.add(row);
                if let Some(bar) = &progress.bar {
                    bar.inc(1);
                    bar.set_message(state(&progress.totals));
                }
                self.plain_line();
            }
            Event::Written { .. } => {}
            Event::Note(note) => self.say(&format!("note: {note}")),
            Event::WindingDown { under_way: 0 } => self.say("stopping"),
            Event::WindingDown { under_way } => {
                let answers = if under_way == 1 { "answer" } else { "answers" };
                self.say(&format!("stopping: waiting for {under_way} {answers} under way; Ctrl-C again drops them"));
            }
        }
    }

    /// Ends the bars, which stay as they are.
    pub fn finish(self) -> Duration {
        self.tasks.iter().filter_map(|task| task.bar.as_ref()).for_each(ProgressBar::abandon);
        self.started.elapsed()
    }

    fn say(&self, text: &str) {
        // Notes and bars share a terminal; this prints above the bars.
        if !self.quiet && (!self.has_bars() || self.bars.println(text).is_err()) {
            say!("{text}");
        }
    }

    fn has_bars(&self) -> bool {
        self.tasks.iter().any(|task| task.bar.is_some())
    }

    fn plain_line(&mut self) {
        if self.quiet || self.has_bars() || self.last_line.elapsed() < LINE_EVERY {
            return;
        }
        self.last_line = Instant::now();
        let (done, units) =
            self.tasks.iter().fold((0, 0), |(done, units), task| (done + task.totals.rows, units + task.totals.units));
        let per_second = done as f64 / self.started.elapsed().as_secs_f64();
        let left = Duration::from_secs_f64((units - done) as f64 / per_second);
        let tasks: Vec<String> = self
            .tasks
            .iter()
            .filter(|task| task.totals.rows > 0)
            .map(|task| format!("{} {}/{} {}", task.name, task.totals.rows, task.totals.units, state(&task.totals)))
            .collect();
        say!("{done}/{units}, {per_second:.1}/s, {} s left: {}", left.as_secs(), tasks.join("; "));
    }
}

/// The states that are not ok, and the cost.
fn state(totals: &Totals) -> String {
    let states: Vec<String> = totals
        .status
        .iter()
        .filter(|(status, _)| !matches!(status, interrater::run::Status::Ok))
        .map(|(status, count)| format!("{count} {}, ", status.name()))
        .collect();
    let cost = match cost(totals).as_str() {
        "unknown" => "cost unknown".to_owned(),
        known => known.to_owned(),
    };
    format!("{}{cost}", states.concat())
}
