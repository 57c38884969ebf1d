//! Takes the queue operations among the rows; tells which queued texts reached the agent and stand in no row of a prompt.
//!
//! What is typed while the agent works is queued. A *delivered* text comes again as a prompt of its own as a rule; if it does not, the
//! operation is all there is of it. A *discarded* one is what the client's log calls `remove`: in real transcripts the agent answers
//! such texts, and no other row holds them, so they were delivered in mid-turn. *Enqueued* alone says nothing: the text may have gone
//! back to the input line.

use super::row::{Operation, Row, Turn};
use super::words::folded;
use crate::session::claude_code::queue::holds;
use crate::session::claude_code::text::queued_words;
use std::collections::VecDeque;

/// What an operation comes to.
#[derive(Debug, PartialEq)]
pub(super) enum Arrival<'a> {
    /// Nothing reached the agent, or nothing is known of it.
    None,
    /// The text is the prompt of a row; the rows of the queue that hold it as well.
    Row { row: usize, queued: Vec<usize> },
    /// These words reached the agent in mid-turn; the rows of the queue that hold them.
    Words { words: &'a str, queued: Vec<usize> },
}

/// The queue as it stands after some rows.
pub(super) struct Queue<'a> {
    rows: &'a [Row],
    waiting: VecDeque<Item<'a>>,
    /// Rows with a human's words that no queued text has claimed yet.
    prompts: Vec<Prompt>,
    /// Rows at which a text was delivered.
    deliveries: Vec<usize>,
}

struct Prompt {
    row: usize,
    text: String,
    taken: bool,
}

struct Item<'a> {
    /// The row that put it in the queue.
    row: usize,
    text: String,
    /// The words, where they are a human's.
    words: Option<&'a str>,
    /// The row in which the text comes again.
    comes_again: Option<usize>,
}

impl<'a> Queue<'a> {
    /// A queue for `rows`; `prompts` are the rows with a human's words, and the words.
    pub fn new(rows: &'a [Row], prompts: Vec<(usize, String)>) -> Queue<'a> {
        let prompts = prompts.into_iter().map(|(row, text)| Prompt { row, text, taken: false }).collect();
        let delivered = |row: &Row| row.turn == Turn::Queue(Operation::Delivered);
        let deliveries = rows.iter().enumerate().filter(|(_, row)| delivered(row)).map(|(at, _)| at).collect();
        Queue { rows, waiting: VecDeque::new(), prompts, deliveries }
    }

    /// Goes on by the operation at row `at`.
    pub fn step(&mut self, at: usize, operation: Operation) -> Arrival<'a> {
        let content = self.rows[at].content.trim();
        match operation {
            Operation::Enqueued | Operation::Notice if !content.is_empty() => {
                let words = queued_words(content).filter(|_| operation == Operation::Enqueued);
                let delivery = self.deliveries.get(self.deliveries.partition_point(|row| *row < at)).copied();
                let comes_again = words.and_then(|words| self.row_after(delivery?, words));
                self.waiting.push_back(Item { row: at, text: folded(content), words, comes_again });
                Arrival::None
            }
            Operation::Delivered => self.delivered(at, content),
            Operation::Discarded => self.discarded(at, content),
            Operation::Enqueued | Operation::Notice | Operation::Other => Arrival::None,
        }
    }

    fn delivered(&mut self, at: usize, content: &'a str) -> Arrival<'a> {
        let item = self.take(content, |queue| {
            let first = |wanted: &dyn Fn(&Item<'_>) -> bool| queue.iter().position(wanted);
            let with_row = queue.iter().enumerate().filter(|(_, item)| item.comes_again.is_some());
            let next_row = with_row.min_by_key(|(_, item)| item.comes_again).map(|(position, _)| position);
            next_row.or_else(|| first(&|item| item.words.is_some())).or_else(|| first(&|_| true))
        });
        let queued = item.iter().map(|item| item.row).chain([at]).collect();
        if let Some(row) = item.as_ref().and_then(|item| item.comes_again) {
            return Arrival::Row { row, queued };
        }
        let Some(words) = item.map_or_else(|| queued_words(content), |item| item.words) else { return Arrival::None };
        match self.row_after(at, words) {
            Some(row) => Arrival::Row { row, queued },
            None => Arrival::Words { words, queued },
        }
    }

    fn discarded(&mut self, at: usize, content: &'a str) -> Arrival<'a> {
        let item = self.take(content, |queue| {
            // An operation that names nothing takes a human's words first: a notice may leave the queue without one.
            let waiting = queue.iter().position(|item| item.words.is_some() && item.comes_again.is_none());
            waiting.or_else(|| queue.iter().position(|item| item.words.is_none()))
        });
        let queued = item.iter().map(|item| item.row).chain([at]).collect();
        if let Some(row) = item.as_ref().and_then(|item| item.comes_again) {
            return Arrival::Row { row, queued };
        }
        let Some(words) = item.map_or_else(|| queued_words(content), |item| item.words) else { return Arrival::None };
        match self.row_beside(at, words) {
            Some(row) => Arrival::Row { row, queued },
            None => Arrival::Words { words, queued },
        }
    }

    /// Takes the item that an operation names, or the one that `unnamed` chooses where it names none.
    fn take(&mut self, content: &str, unnamed: impl Fn(&VecDeque<Item<'a>>) -> Option<usize>) -> Option<Item<'a>> {
        let position = match folded(content) {
            text if text.is_empty() => unnamed(&self.waiting),
            text => self.waiting.iter().position(|item| item.text == text),
        };
        position.and_then(|position| self.waiting.remove(position))
    }

    /// The first row behind `at` whose prompt holds the words and is not another's.
    fn row_after(&mut self, at: usize, words: &str) -> Option<usize> {
        let text = folded(words);
        let prompt =
            self.prompts.iter_mut().find(|prompt| prompt.row > at && !prompt.taken && same(&prompt.text, words))?;
        // Several texts can be sent as one prompt; it is used up by the one that is all of it.
        prompt.taken = folded(&prompt.text) == text;
        Some(prompt.row)
    }

    /// A row close by that holds the words: nothing that the agent said or did stands between.
    fn row_beside(&self, at: usize, words: &str) -> Option<usize> {
        let agents = |row: &usize| matches!(self.rows[*row].turn, Turn::Response | Turn::Call);
        let is_same = |row: &usize| self.prompts.iter().any(|prompt| prompt.row == *row && same(&prompt.text, words));
        let after = (at + 1..self.rows.len()).take_while(|row| !agents(row)).find(is_same);
        after.or_else(|| (0..at).rev().take_while(|row| !agents(row)).find(is_same))
    }
}

/// Whether a prompt is the queued words, alone or as lines among others.
fn same(prompt: &str, words: &str) -> bool {
    holds(prompt.trim(), words.trim()) || folded(prompt) == folded(words)
}
