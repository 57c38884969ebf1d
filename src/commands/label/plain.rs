//! `label --plain`: one unit at a time in a terminal, at the same desk as the page.

use crate::commands::{Exit, print_beside as print};
use interrater::answer::Citation;
use interrater::labelling::desk::{Desk, DeskError, Giving};
use interrater::labelling::line::{self, Line};
use interrater::labelling::question::Question;
use interrater::labelling::shelf::Shelf;
use interrater::page::told;
use miette::{IntoDiagnostic, Result};
use std::io::BufRead;
use std::time::Instant;

/// A rater in a terminal.
struct Terminal<'d> {
    desk: &'d Desk,
    shelf: &'d Shelf,
    question: &'d Question,
    giving: Giving,
    cited: Vec<Citation>,
    since: Instant,
}

/// Shows units and reads what is typed, until there is no more of either.
pub fn run(desk: &Desk, shelf: &Shelf, question: &Question) -> Result<Exit> {
    let since = Instant::now();
    let mut terminal = Terminal { desk, shelf, question, giving: Giving::default(), cited: Vec::new(), since };
    let progress = desk.progress()?;
    print(&format!(
        "{} · {} labels {} units, {} of them done · ? tells what can be typed\n",
        question.title,
        desk.rater(),
        progress.units,
        progress.done
    ))?;
    let mut at = terminal.first()?;
    let mut lines = std::io::stdin().lock().lines();
    while let Some(place) = at {
        terminal.ask(place)?;
        let Some(typed) = lines.next() else { break };
        let typed = typed.into_diagnostic()?;
        at = match line::read(question, desk.codebook(), &terminal.giving.fields, &typed) {
            Ok(Line::Quit) => break,
            Ok(meant) => terminal.act(place, meant).or_else(|error| {
                let why = error.downcast_ref::<DeskError>().map_or_else(|| error.to_string(), told);
                terminal.refused(place, &why)
            })?,
            Err(problem) => terminal.refused(place, &problem)?,
        };
    }
    if at.is_none() {
        print("nothing is left to label\n")?;
    }
    Ok(Exit::Done)
}

impl Terminal<'_> {
    fn first(&mut self) -> Result<Option<usize>> {
        let first = self.desk.next_from(0)?;
        self.open(first)
    }

    /// Shows a unit.
    fn open(&mut self, at: Option<usize>) -> Result<Option<usize>> {
        let Some(place) = at else { return Ok(None) };
        let given = self.desk.given(place)?;
        self.cited = given.evidence.into_iter().map(|one| Citation { event: one.event, quote: one.quote }).collect();
        self.giving = Giving { fields: given.fields, note: given.note, ..Giving::default() };
        let unit = self.desk.unit(place)?;
        let text = self.shelf.material_text(unit).unwrap_or_else(|error| format!("{error}\n"));
        print(&format!("\n── {} of {} · {unit} ──\n{text}", place + 1, self.desk.len()))?;
        self.since = Instant::now();
        Ok(at)
    }

    fn ask(&self, place: usize) -> Result<()> {
        let form = line::prompt(self.question, self.desk.codebook(), &self.giving.fields);
        let note = if self.giving.note.is_empty() { String::new() } else { format!("  note: {}\n", self.giving.note) };
        print(&format!("{form}\n{note}{}> ", place + 1))
    }

    fn refused(&self, place: usize, why: &str) -> Result<Option<usize>> {
        print(&format!("{why}\n"))?;
        Ok(Some(place))
    }

    /// Does what was meant; gives the unit that is then at hand.
    fn act(&mut self, at: usize, meant: Line) -> Result<Option<usize>> {
        match meant {
            Line::Quit => Ok(None),
            Line::Help => self.tell(at, &line::help(self.question)),
            Line::Exact => {
                let text = self.shelf.prompt_text(self.desk.unit(at)?).into_diagnostic()?;
                self.tell(at, &format!("{text}\n"))
            }
            Line::Note(note) => {
                self.giving.note = note;
                Ok(Some(at))
            }
            Line::Cite(event, quote) => {
                let cited = self.shelf.checked(self.desk.unit(at)?, vec![Citation { event, quote: quote.clone() }]);
                if cited.into_diagnostic()?.iter().all(|one| one.found) {
                    self.cited.push(Citation { event, quote });
                    return self.tell(at, "noted as evidence\n");
                }
                self.tell(at, &format!("event {event} does not hold these words, or comes after the unit\n"))
            }
            Line::Set(field, value) => {
                self.giving.fields.insert(field, value);
                // With one thing to answer, its key is the answer.
                if self.question.fields.iter().filter(|form| form.required).count() == 1 && self.is_whole() {
                    return self.save(at);
                }
                Ok(Some(at))
            }
            Line::Save => self.save(at),
            Line::Skip => {
                self.desk.skip(at, &self.giving.note, self.since.elapsed().as_secs_f64())?;
                print(&format!("skipped {}\n", at + 1))?;
                let next = self.desk.next_from(at + 1)?;
                // What is left was put off: to show it again at once would be no end.
                if next.is_some_and(|next| next <= at) { Ok(None) } else { self.open(next) }
            }
            Line::Undo => {
                let place = self.desk.undo()?;
                print(&format!("taken back: {}\n", place + 1))?;
                self.open(Some(place))
            }
            Line::Move(by) => match at.checked_add_signed(by).filter(|place| *place < self.desk.len()) {
                Some(place) => self.open(Some(place)),
                None => self.tell(at, "there is none\n"),
            },
            Line::Go(place) => match place.checked_sub(1).filter(|place| *place < self.desk.len()) {
                Some(place) => self.open(Some(place)),
                None => self.tell(at, &format!("there are units 1 to {}\n", self.desk.len())),
            },
        }
    }

    fn tell(&self, at: usize, text: &str) -> Result<Option<usize>> {
        print(text)?;
        Ok(Some(at))
    }

    fn is_whole(&self) -> bool {
        let given = |name: &str| self.giving.fields.get(name).is_some_and(|value| !value.is_null());
        self.question.fields.iter().filter(|form| form.required).all(|form| given(&form.name))
    }

    fn save(&mut self, at: usize) -> Result<Option<usize>> {
        self.shelf.check_unit(self.desk.unit(at)?).into_diagnostic()?;
        let evidence = self.shelf.checked(self.desk.unit(at)?, self.cited.clone()).into_diagnostic()?;
        let giving = Giving { evidence, seconds: self.since.elapsed().as_secs_f64(), ..self.giving.clone() };
        self.desk.answer(at, whole_scores(giving))?;
        print(&format!("saved {}\n", at + 1))?;
        let next = self.desk.next_from(at + 1)?;
        self.open(next)
    }
}

/// A cell's number is a fraction; a person's score is a whole number.
fn whole_scores(mut giving: Giving) -> Giving {
    for value in giving.fields.values_mut() {
        if let Some(number) = value.as_f64().filter(|number| number.fract() == 0.0 && number.abs() < 1e15) {
            *value = serde_json::Value::from(number as i64);
        }
    }
    giving
}
