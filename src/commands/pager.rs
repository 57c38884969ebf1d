//! Long text for people goes through their pager, as git does it: `$PAGER`, else `less -FRX`, else `more`, else it is printed.

use super::{environment, for_terminal, print, say};
use miette::Result;
use std::io::{self, IsTerminal, Write};
use std::process::{Command, Stdio};

/// The program's own default, with what it takes: end where all fits, no codes but colours, leave the text on the screen.
const LESS_OPTIONS: &str = "FRX";

/// How wide stdout is, if it is a terminal.
pub fn width() -> Option<usize> {
    terminal().map(|(columns, _)| columns)
}

/// Columns and rows of stdout, if it is a terminal.
fn terminal() -> Option<(usize, usize)> {
    if !io::stdout().is_terminal() {
        return None;
    }
    // A terminal that does not tell is taken for one of the usual size.
    Some(match terminal_size::terminal_size_of(io::stdout()) {
        Some((terminal_size::Width(columns), terminal_size::Height(rows))) if columns > 0 && rows > 0 => {
            (columns.into(), rows.into())
        }
        _ => (80, 24),
    })
}

/// Prints text for people; in pages if stdout is a terminal that it does not fit on.
pub fn print_in_pages(text: &str, paged: bool) -> Result<()> {
    let text = for_terminal(text);
    match terminal() {
        Some((columns, rows)) if paged && screen_lines(&text, columns) >= rows => {
            for pager in pagers(environment("PAGER").as_deref()) {
                if pager.show(&text) {
                    return Ok(());
                }
            }
            print(&text)
        }
        _ => print(&text),
    }
}

/// How many lines of a terminal the text takes.
fn screen_lines(text: &str, columns: usize) -> usize {
    text.lines().map(|line| line.chars().count().div_ceil(columns).max(1)).sum()
}

/// A program that shows text in pages.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Pager {
    /// What the user named: a command line, for the shell.
    Named(String),
    /// One that most systems have.
    Usual(&'static str),
}

/// The pagers to try, in order: none where the user wants none.
fn pagers(named: Option<&str>) -> Vec<Pager> {
    let usual = [Pager::Usual("less"), Pager::Usual("more")];
    match named.map(str::trim) {
        Some("" | "cat") => Vec::new(),
        Some(named) => [Pager::Named(named.to_owned())].into_iter().chain(usual).collect(),
        None => usual.into(),
    }
}

impl Pager {
    fn command(&self) -> Command {
        let mut command = match self {
            Pager::Named(line) if cfg!(unix) => {
                let mut shell = Command::new("sh");
                shell.args(["-c", line]);
                shell
            }
            Pager::Named(line) => {
                let mut words = line.split_whitespace();
                let mut command = Command::new(words.next().unwrap_or_default());
                command.args(words);
                command
            }
            Pager::Usual(name) => Command::new(name),
        };
        // Also for a `less` that the user names without options. Options of the user's own stay.
        if environment("LESS").is_none() {
            command.env("LESS", LESS_OPTIONS);
        }
        command
    }

    /// Shows the text; says whether there was such a program. One that ends before the text does has shown what was wanted.
    fn show(&self, text: &str) -> bool {
        // Ctrl-C is the pager's: it would be left alone with the terminal if it ended this program.
        let _interrupts = Interrupts::keep();
        let Ok(mut child) = self.command().stdin(Stdio::piped()).spawn() else { return false };
        if let Some(mut stdin) = child.stdin.take() {
            drop(stdin.write_all(text.as_bytes()));
        }
        let ended = child.wait();
        // The shell's word for a command that it cannot find or run.
        let missing = ended.is_ok_and(|status| matches!(status.code(), Some(126 | 127)));
        if missing && let Pager::Named(line) = self {
            say!("note: cannot run the pager `{line}` that PAGER names");
            return false;
        }
        true
    }
}

/// Keeps interrupts from ending this program while it lives, and after.
struct Interrupts {
    #[cfg(unix)]
    _listening: Option<(tokio::runtime::Runtime, tokio::signal::unix::Signal)>,
}

impl Interrupts {
    #[cfg(unix)]
    fn keep() -> Interrupts {
        use tokio::signal::unix::{SignalKind, signal};
        let listening = tokio::runtime::Builder::new_current_thread().enable_io().build().ok().and_then(|runtime| {
            let signals = {
                let _inside = runtime.enter();
                signal(SignalKind::interrupt()).ok()?
            };
            Some((runtime, signals))
        });
        Interrupts { _listening: listening }
    }

    #[cfg(not(unix))]
    fn keep() -> Interrupts {
        Interrupts {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_users_pager_comes_first_and_an_empty_one_or_cat_is_none() {
        let names = |pager: Option<&str>| {
            pagers(pager)
                .into_iter()
                .map(|pager| match pager {
                    Pager::Named(line) => line,
                    Pager::Usual(name) => name.to_owned(),
                })
                .collect::<Vec<_>>()
        };
        assert_eq!(names(None), ["less", "more"]);
        assert_eq!(names(Some("most -s")), ["most -s", "less", "more"]);
        assert!(names(Some("")).is_empty() && names(Some(" cat ")).is_empty());
    }

    #[test]
    fn lines_longer_than_the_terminal_take_several() {
        assert_eq!(screen_lines("a\n\nb\n", 80), 3);
        assert_eq!(screen_lines(&"x".repeat(161), 80), 3);
        assert_eq!(screen_lines(&"é".repeat(80), 80), 1);
    }
}
