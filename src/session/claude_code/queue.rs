//! Takes the queue's operations among the steps; tells which texts reached the agent in mid-turn and stand nowhere else.
//!
//! A queued text can come again as a row of its own, arrive in mid-turn with nothing but its removal to show for it, go back to the
//! input line, or stay. The queue also carries the client's notices, and its operations often do not say which text they mean.

use super::steps::{Step, What};
use super::text::queued_words;

/// The queue as it stands after some steps.
pub(super) struct Queue<'a> {
    steps: &'a [Step],
    items: Vec<Item<'a>>,
    /// The steps that hold a human's words, in order.
    rows: Vec<Row<'a>>,
    /// How many operations `dequeue` stand before each of `dequeues`.
    dequeues: Vec<usize>,
}

/// A row with words that may have come from the queue.
struct Row<'a> {
    step: usize,
    text: &'a str,
    /// Whether the row itself says that it came from the queue.
    attached: bool,
    taken: bool,
}

struct Item<'a> {
    text: &'a str,
    /// The words, where they are a human's.
    words: Option<&'a str>,
    /// The row in which the text comes again.
    row: Option<usize>,
}

impl<'a> Queue<'a> {
    pub fn new(steps: &'a [Step]) -> Queue<'a> {
        let mut rows = Vec::new();
        let mut dequeues = Vec::new();
        for (step, found) in steps.iter().enumerate() {
            match &found.what {
                What::Prompt { text, .. } => rows.push(Row { step, text: text.trim(), attached: false, taken: false }),
                What::Delivered { text, .. } => {
                    rows.push(Row { step, text: text.trim(), attached: true, taken: false })
                }
                What::Dequeue(_) => dequeues.push(step),
                _ => {}
            }
        }
        Queue { steps, items: Vec::new(), rows, dequeues }
    }

    /// Goes on by the operation at `index`; gives a human's words that reached the agent with it and stand nowhere else.
    pub fn step(&mut self, index: usize) -> Option<&'a str> {
        match &self.steps[index].what {
            What::Enqueue(text) => {
                let text = text.trim();
                let words = queued_words(text);
                let row = words.and_then(|_| self.row_of(index, text));
                self.items.push(Item { text, words, row });
                None
            }
            What::Dequeue(content) => {
                self.dequeue(content.as_deref());
                None
            }
            What::Remove(content) => self.remove(index, content.as_deref()),
            What::PopAll => {
                self.items.clear();
                None
            }
            _ => None,
        }
    }

    /// Whether a step close by holds the same words: nothing of the agent's stands between.
    pub fn comes_beside(&self, index: usize, text: &str) -> bool {
        let same =
            |step: &Step| matches!(&step.what, What::Prompt { text: other, .. } if holds(other.trim(), text.trim()));
        let agents = |step: &&Step| matches!(step.what, What::Reply(_) | What::Call(_));
        self.steps[index + 1..].iter().take_while(|step| !agents(step)).any(same)
            || self.steps[..index].iter().rev().take_while(|step| !agents(step)).any(same)
    }

    /// The row in which a text comes again that was queued at `index`.
    fn row_of(&mut self, index: usize, text: &str) -> Option<usize> {
        let dequeued = self.dequeues.get(self.dequeues.partition_point(|&step| step < index)).copied();
        let from = self.rows.partition_point(|row| row.step < index);
        let row = self.rows[from..].iter_mut().find(|row| {
            let reachable = row.attached || dequeued.is_some_and(|dequeued| dequeued < row.step);
            !row.taken && reachable && holds(row.text, text)
        })?;
        row.taken = row.text == text;
        Some(row.step)
    }

    fn dequeue(&mut self, content: Option<&str>) {
        let named = content.and_then(|content| self.items.iter().position(|item| item.text == content.trim()));
        let next = || {
            let with_row = self.items.iter().enumerate().filter(|(_, item)| item.row.is_some());
            with_row.min_by_key(|(_, item)| item.row).map(|(position, _)| position)
        };
        let notice = || self.items.iter().position(|item| item.words.is_none());
        let any = || (!self.items.is_empty()).then_some(0);
        if let Some(position) = named.or_else(next).or_else(notice).or_else(any) {
            self.items.remove(position);
        }
    }

    fn remove(&mut self, index: usize, content: Option<&str>) -> Option<&'a str> {
        let content = content.map(str::trim).filter(|content| !content.is_empty());
        let position = match content {
            Some(content) => self.items.iter().position(|item| item.text == content),
            // An unnamed removal takes a human's words first: a notice may leave the queue without one.
            None => {
                let waiting = self.items.iter().position(|item| item.words.is_some() && item.row.is_none());
                waiting.or_else(|| self.items.iter().position(|item| item.words.is_none()))
            }
        };
        let (words, row) = match (position, &self.steps[index].what) {
            (Some(position), _) => {
                let item = self.items.remove(position);
                (item.words, item.row)
            }
            // Queued before the transcript begins.
            (None, What::Remove(Some(content))) => (queued_words(content), None),
            _ => (None, None),
        };
        let words = words.filter(|_| row.is_none())?;
        (!self.comes_beside(index, words)).then_some(words)
    }
}

/// Whether a row's text is the queued text, alone or as lines among others.
pub(in crate::session) fn holds(row: &str, text: &str) -> bool {
    if row.len() <= text.len() || text.is_empty() {
        return row == text;
    }
    row.match_indices(text).any(|(at, _)| {
        let (before, after) = (&row[..at], &row[at + text.len()..]);
        (before.is_empty() || before.ends_with('\n')) && (after.is_empty() || after.starts_with('\n'))
    })
}
