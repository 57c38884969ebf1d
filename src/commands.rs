//! One file a verb; each body reads as the flow. Only here things are printed and the environment is read.

pub mod agree;
pub mod annotate;
pub mod asking;
pub mod batch;
pub mod cache;
pub mod compare;
pub mod conclude;
pub mod estimate;
mod evaluating;
mod grouping;
mod groups;
pub mod init;
pub mod label;
pub mod pager;
pub mod progress;
pub mod report;
pub mod runs;
pub mod sample;
pub mod sessions;
pub mod stat;
pub mod threshold;
pub mod unit;

use interrater::cli::Common;
use interrater::codebook::Library;
use interrater::config::{Config, expand_home};
use interrater::frame::escape_controls;
use miette::{Diagnostic, IntoDiagnostic, Result};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Prints a line for people. Nobody may be listening: that is no reason to stop. Control characters of foreign text are left out.
macro_rules! say {
    ($($argument:tt)*) => {{
        use std::io::Write;
        drop(writeln!(std::io::stderr(), "{}", $crate::commands::for_terminal(&format!($($argument)*))));
    }};
}
pub(crate) use say;

/// Text without the control characters that would steer a terminal.
pub fn for_terminal(text: &str) -> std::borrow::Cow<'_, str> {
    let steers = |c: char| c.is_control() && c != '\n' && c != '\t';
    if text.contains(steers) { text.replace(steers, "").into() } else { text.into() }
}

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// All is done.
    Done,
    /// Done, but some units have no answer.
    Trouble,
    /// A usage, configuration, codebook or input error.
    Unusable,
    /// A `--fail-under` threshold was missed.
    BelowThreshold,
    /// What was asked for may cost more than `--max-cost`, or did not end below it.
    AtMaxCost,
    /// Interrupted; the next run goes on.
    Interrupted,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(match exit {
            Exit::Done => 0,
            Exit::Trouble => 1,
            Exit::Unusable => 2,
            Exit::BelowThreshold => 3,
            Exit::AtMaxCost => 4,
            Exit::Interrupted => 130,
        })
    }
}

/// What a user did that cannot be done.
#[derive(Debug, thiserror::Error, Diagnostic)]
pub enum UsageError {
    /// There are no transcripts where the defaults look for them.
    #[error("no sessions were named, and {path} is not here", path = .0.display())]
    #[diagnostic(help(
        "name some with --sessions PATH, such as ~/.claude/projects, or write the sample project with `interrater init`"
    ))]
    NoSessions(PathBuf),
    /// There is no such unit.
    #[error("there is no unit `{unit}` of task `{task}` here")]
    #[diagnostic(help("{hint}"))]
    UnknownUnit {
        /// The id asked for.
        unit: String,
        /// The task.
        task: String,
        /// What units there are.
        hint: String,
    },
    /// There is no such session.
    #[error("there is no session `{0}` here")]
    #[diagnostic(help("`interrater sessions` lists those that there are"))]
    UnknownSession(String),
    /// Several ids begin so.
    #[error("{count} sessions begin with `{session}`")]
    #[diagnostic(help("write more of the id: {names}"))]
    SeveralSessions {
        /// The beginning.
        session: String,
        /// How many.
        count: usize,
        /// Some of them.
        names: String,
    },
    /// The session has no such prompt.
    #[error("there is no prompt `{unit}` here")]
    #[diagnostic(help("{hint}"))]
    UnknownPrompt {
        /// The unit asked for.
        unit: String,
        /// What prompts there are.
        hint: String,
    },
    /// A subcommand after options.
    #[error("no such file or folder: export")]
    #[diagnostic(help("for the subcommand write `interrater sessions export PATH…`, with its options after it"))]
    ExportComesFirst,
    /// Stdout can hold one of two things.
    #[error("--json and --output - both want stdout")]
    #[diagnostic(help(
        "leave --json out: --output - prints JSON lines; or name a file, and --json says what was written"
    ))]
    TwoThingsOnStdout,
    /// Nothing can be resampled by this in a task's gold.
    #[error("units of a task cannot be resampled by `{0}`")]
    #[diagnostic(help("--by session or --by item; other columns are for a ratings file with --items"))]
    Cluster(String),
    /// A run of another task was named.
    #[error("run `{run}` is of task `{task}`, not of `{wanted}`")]
    #[diagnostic(help("`interrater runs` lists the runs with their tasks"))]
    OtherTask {
        /// The run.
        run: String,
        /// Its task.
        task: String,
        /// The task asked for.
        wanted: String,
    },
    /// The part of the gold that was asked for has no rows.
    #[error("the gold of `{task}` has no units in split `{split}` ({gold})", gold = gold.display())]
    #[diagnostic(help(
        "its rows: {dev} in dev, {test} in test, {neither} in neither; the column `split` says where a row belongs"
    ))]
    EmptySplit {
        /// The task.
        task: String,
        /// The gold file.
        gold: PathBuf,
        /// The split asked for.
        split: String,
        /// Rows in dev.
        dev: usize,
        /// Rows in test.
        test: usize,
        /// Rows in neither.
        neither: usize,
    },
    /// A run cannot have this name.
    #[error("`{0}` is no name for a run")]
    #[diagnostic(help(
        "a run's name is a folder's: letters, digits, `.`, `_` and `-`, not beginning or ending with `.` or `-`"
    ))]
    RunName(String),
    /// The run is another rater's.
    #[error("run `{run}` holds the answers of {rater}, not of {wanted}")]
    #[diagnostic(help("give this run another name with --run; a run is one rater's answers to one version of a task"))]
    OtherRater {
        /// The run.
        run: String,
        /// Whose answers it holds.
        rater: String,
        /// Who would write them now.
        wanted: String,
    },
    /// The folder of codebooks that the configuration names.
    #[error("there is no folder {path} with codebooks", path = .0.display())]
    #[diagnostic(help(
        "it is named in [paths] prompts; without that, prompts/ is read, or the shipped codebooks where there is none"
    ))]
    NoPrompts(PathBuf),
    /// A cap on the cost of a model whose price nobody knows.
    #[error("--max-cost: no price of {0} is known")]
    #[diagnostic(help("add [price.\"{0}\"] to config.toml, with input and output in US dollars per million tokens"))]
    NoPrice(String),
    /// A codebook does not say whether its prompts may be asked for together.
    #[error("--group session: the codebook of `{task}` does not say whether its prompts may be asked for together")]
    #[diagnostic(help(
        "above the first [[field]] of {path} write `group = true` if its labels can be judged with the whole session in sight: the model sees what \
         came after a prompt, and is told to leave it aside; or `group = false`, and each prompt is asked for alone",
        path = path.display()
    ))]
    GroupNotDecided {
        /// The task.
        task: String,
        /// Its codebook.
        path: PathBuf,
    },
    /// No task asks for prompts that may be asked for together.
    #[error("--group session: none of these tasks has prompts that may be asked for together")]
    #[diagnostic(help(
        "leave --group out; it is for tasks whose unit is a prompt and whose codebook says `group = true`"
    ))]
    NothingToGroup,
    /// No path was named.
    #[error("no sessions were named")]
    #[diagnostic(help("name some with --sessions PATH, or in [input] sessions of config.toml"))]
    NoPaths,
    /// A threshold is not in its form.
    #[error("`{0}` is no threshold")]
    #[diagnostic(help("write kappa=0.6, percent=0.8 or icc=0.5"))]
    Threshold(String),
    /// A task has nothing to compare.
    #[error("task `{0}` has neither gold nor runs to compare")]
    #[diagnostic(help("`interrater annotate {0}` makes a run; gold is a file of the gold folder"))]
    NothingToCompare(String),
    /// There are no runs.
    #[error("there are no runs in {path} to report on", path = .0.display())]
    #[diagnostic(help("`interrater annotate` makes some; --task TASK reports on a task's gold alone"))]
    NothingToReport(PathBuf),
    /// Units cannot be grouped so.
    #[error("units cannot be grouped by `{by}`: {why}")]
    #[diagnostic(help("{hint}"))]
    Grouping {
        /// The column.
        by: String,
        /// Why not.
        why: String,
        /// What can be done.
        hint: String,
    },
    /// A column of confidences, and several raters it could be of.
    #[error("nobody can say whose confidence `{column}` is: the raters are {raters}")]
    #[diagnostic(help("it is that of the one rater who is neither the reference nor one of --humans"))]
    WhoseConfidence {
        /// The column.
        column: String,
        /// The raters.
        raters: String,
    },
    /// A confidence or probability that is none.
    #[error("item `{item}`: `{text}` in the column `{column}` is no {what}")]
    #[diagnostic(help(
        "it is a number from 0 to 1 (a probability is above 0); leave the cell empty where there is none"
    ))]
    NoShare {
        /// The item.
        item: String,
        /// The column.
        column: String,
        /// What stands there.
        text: String,
        /// What it should be.
        what: &'static str,
    },
    /// An age is not in its form.
    #[error("`{0}` is no age")]
    #[diagnostic(help("write a number and a unit, such as 90d, 12h, 2w or 6mo"))]
    Age(String),
    /// There is no gold to compare with or to correct by.
    #[error("task `{task}` has no gold ({path} is not here)", path = path.display())]
    #[diagnostic(help("`interrater sample {task}` draws what humans should label; --gold FILE names another file"))]
    NoGold {
        /// The task.
        task: String,
        /// Where it would be.
        path: PathBuf,
    },
    /// There is nothing to draw from.
    #[error("there are no units of task `{0}` to draw from")]
    #[diagnostic(help("`interrater sessions` shows how many prompts the sessions have"))]
    NothingToDraw(String),
    /// There is nothing to label.
    #[error("there are no units of task `{0}` to label")]
    #[diagnostic(help("`interrater sessions` shows which sessions are here; --sessions names others"))]
    NothingToLabel(String),
    /// A terminal is for people.
    #[error("--plain talks to a person, and --json to a program")]
    #[diagnostic(help("leave one of them out; what is labelled stands in the gold file either way"))]
    PlainJson,
    /// Nobody can decide on answers that are not there twice.
    #[error("task `{task}` has no units that two raters labelled ({gold})", gold = gold.display())]
    #[diagnostic(help("`interrater label {task} --rater NAME` is for the first answers; each rater needs a name"))]
    NothingToAdjudicate {
        /// The task.
        task: String,
        /// The gold file.
        gold: PathBuf,
    },
    /// The page's address is not free.
    #[error("cannot listen at {address}: {source}")]
    #[diagnostic(help("leave --port out, and any free port is taken"))]
    CannotListen {
        /// The address asked for.
        address: std::net::SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// A run was named twice.
    #[error("run `{0}` is named twice")]
    #[diagnostic(help("name two runs or more, each once"))]
    SameRun(String),
    /// A field or collapse that the codebook does not have.
    #[error("task `{task}` has no {what} `{name}`")]
    #[diagnostic(help("it has: {known}"))]
    NotInCodebook {
        /// The task.
        task: String,
        /// `field` or `collapse`.
        what: &'static str,
        /// The name asked for.
        name: String,
        /// The names that there are.
        known: String,
    },
}

/// Deleting was not confirmed.
#[derive(Debug, thiserror::Error, Diagnostic)]
#[error("nothing was deleted")]
#[diagnostic(help("the same command with --yes deletes what is listed above"))]
pub struct Unconfirmed;

/// The process's environment, for the parts of the library that need a variable.
pub fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// The configuration: the file that was named, the one that is here, or the defaults.
pub fn config(common: &Common) -> Result<Config> {
    match &common.config {
        Some(path) => Ok(Config::read(path)?),
        None if Path::new("config.toml").is_file() => Ok(Config::read(Path::new("config.toml"))?),
        None => Ok(Config::default()),
    }
}

/// The configuration with the store that was named in the place of its own, if one was.
pub fn with_store(mut config: Config, named: Option<&PathBuf>) -> Config {
    if let Some(path) = named {
        config.paths.store.clone_from(path);
    }
    config
}

/// The codebooks: those of the prompts folder, or the shipped ones where there is none.
pub fn library(config: &Config) -> Result<Library> {
    let prompts = &config.paths.prompts;
    if prompts.is_dir() {
        return Ok(Library::read(prompts)?);
    }
    // The folder of the defaults need not be there; one that was named differently is meant.
    let is_named = prompts.file_name() != Config::default().paths.prompts.file_name();
    if is_named { Err(UsageError::NoPrompts(prompts.clone()).into()) } else { Ok(Library::shipped()?) }
}

/// The paths that were named, or those of the configuration.
pub fn session_paths(named: &[String], config: &Config) -> Result<Vec<PathBuf>> {
    let given = if named.is_empty() { &config.input.sessions } else { named };
    if given.is_empty() {
        return Err(UsageError::NoPaths.into());
    }
    let paths: Vec<PathBuf> = given.iter().map(|path| expand_home(path, &environment)).collect();
    if named.is_empty()
        && *config == Config::default()
        && let Some(missing) = paths.iter().find(|path| !path.exists())
    {
        return Err(UsageError::NoSessions(missing.clone()).into());
    }
    Ok(paths)
}

/// Prints text for people. A reader that has gone away (`| head`) is no error.
pub fn print(text: &str) -> Result<()> {
    write(&for_terminal(text))
}

fn write(text: &str) -> Result<()> {
    match io::stdout().write_all(text.as_bytes()).and_then(|()| io::stdout().flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => std::process::exit(0),
        done => Ok(done.map_err(Unprintable)?),
    }
}

/// The same for a command whose work is elsewhere: how it ended is told whether or not anybody reads what it prints.
pub fn print_beside(text: &str) -> Result<()> {
    match io::stdout().write_all(for_terminal(text).as_bytes()).and_then(|()| io::stdout().flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        done => Ok(done.map_err(Unprintable)?),
    }
}

/// What a command prints cannot be written.
#[derive(Debug, thiserror::Error, Diagnostic)]
#[error("cannot write to stdout: {0}")]
#[diagnostic(help("where stdout goes must have room; files that the command writes are not touched by this"))]
pub struct Unprintable(io::Error);

/// Prints one JSON document.
pub fn print_json(document: &impl serde::Serialize) -> Result<()> {
    write(&json_text(document)?)
}

/// One JSON document as it is printed.
pub fn json_text(document: &impl serde::Serialize) -> Result<String> {
    let text = serde_json::to_string_pretty(document).into_diagnostic()?;
    Ok(format!("{}\n", escape_controls(&text)))
}

/// Prints JSON lines, one a document.
pub fn print_json_lines(documents: &[impl serde::Serialize]) -> Result<()> {
    let lines: Vec<String> = documents.iter().map(serde_json::to_string).collect::<Result<_, _>>().into_diagnostic()?;
    write(&lines.iter().map(|line| format!("{}\n", escape_controls(line))).collect::<String>())
}
