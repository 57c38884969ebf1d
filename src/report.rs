//! Results for people: tables on the terminal.

pub mod terminal;
